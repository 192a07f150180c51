"""Topic names: `futures/<group>[:SYMBOL][@speed]` (reference 14.2, 14.6)."""

import re
from enum import StrEnum

from msgspec import Struct

DEPTH_DEFAULT_MS = 200
_CANDLE_MINUTES = {"1m": 1, "5m": 5, "15m": 15, "30m": 30, "1H": 60, "2H": 120, "4H": 240, "1D": 1440, "1W": 10080}
_FORM = re.compile(r"futures/(?P<group>[A-Za-z0-9/]+)(:(?P<symbol>[A-Za-z0-9]+))?(@(?P<speed>100|200)ms)?")
_DEPTH = re.compile(r"(?P<family>depth|depthAll|depthIncrease)(?P<levels>5|20|50)")
_CANDLE = re.compile(r"(?P<family>klineBin|markPriceKlineBin)(?P<step>1m|5m|15m|30m|1H|2H|4H|1D|1W)")
_CURRENCIES = ("USDT", "BTC", "ETH")


class Family(StrEnum):
    TICKER = "ticker"
    FUNDING = "fundingRate"
    DEPTH = "depth"
    DEPTH_ALL = "depthAll"
    DEPTH_INCREASE = "depthIncrease"
    BOOK_TICKER = "bookticker"
    TRADE = "trade"
    CANDLE = "klineBin"
    MARK_CANDLE = "markPriceKlineBin"
    MUTE = "v2"  # futures/v2/depth…: acknowledged, sends nothing useful
    POSITION = "position"
    ORDER = "order"
    ASSET = "asset"


PRIVATE = (Family.POSITION, Family.ORDER, Family.ASSET)
ON_REQUEST = (Family.DEPTH_INCREASE, Family.FUNDING)  # what answers the action `request`
_PLAIN = {"position": Family.POSITION, "order": Family.ORDER}
_NAMED = {str(each): each for each in (Family.FUNDING, Family.BOOK_TICKER, Family.TRADE)}


class Topic(Struct, frozen=True, kw_only=True):
    """One topic as asked for. `symbol` is the currency for assets, "" for all; `levels` and `step_min` 0 elsewhere."""

    name: str
    family: Family
    symbol: str = ""
    levels: int = 0
    step_min: int = 0
    period_ms: int = 0  # 0: pushed on events only

    @property
    def group(self) -> str:
        """The name as frames carry it: depth groups always say their speed."""
        if self.family in (Family.DEPTH, Family.DEPTH_ALL, Family.DEPTH_INCREASE) and "@" not in self.name:
            return f"{self.name}@{self.period_ms}ms"
        return self.name


class UnknownTopic(Exception):
    """`text` is the venue's wording."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


def parse(name: str) -> Topic:
    """Raises UnknownTopic for a group that doesn't exist; symbols are the caller's to check."""
    match = _FORM.fullmatch(name)
    if match is None:
        raise UnknownTopic(f"group [{name}] not exist")
    group, symbol = match["group"], match["symbol"] or ""
    speed_ms = int(match["speed"] or 0)
    if group == "ticker":
        return Topic(name=name, family=Family.TICKER, symbol=symbol)
    if group in _PLAIN and not symbol:
        return Topic(name=name, family=_PLAIN[group])
    if group == "asset" and symbol in _CURRENCIES:
        return Topic(name=name, family=Family.ASSET, symbol=symbol)
    if group.startswith("v2/depth") and symbol:
        return Topic(name=name, family=Family.MUTE, symbol=symbol)
    if symbol:
        return _with_symbol(name, group, symbol, speed_ms)
    raise UnknownTopic(f"group [{name}] not exist")


def _with_symbol(name: str, group: str, symbol: str, speed_ms: int) -> Topic:
    if group in _NAMED:
        family = _NAMED[group]
        return Topic(name=name, family=family, symbol=symbol, period_ms=60_000 if family is Family.FUNDING else 0)
    depth = _DEPTH.fullmatch(group)
    if depth is not None:
        period_ms = speed_ms or DEPTH_DEFAULT_MS
        family, levels = Family(depth["family"]), int(depth["levels"])
        return Topic(name=name, family=family, symbol=symbol, levels=levels, period_ms=period_ms)
    candle = _CANDLE.fullmatch(group)
    if candle is not None:
        step_min = _CANDLE_MINUTES[candle["step"]]
        return Topic(name=name, family=Family(candle["family"]), symbol=symbol, step_min=step_min, period_ms=1_000)
    raise UnknownTopic(f"group [{name}] not exist")
