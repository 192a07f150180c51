"""What may be subscribed: `instType`, `topic` and a selector. UTA reference, 11."""

from collections.abc import Mapping

from guardd.simulator.dialects.bitget_common.sockets import Topic, missing
from guardd.simulator.dialects.bitget_unified.desk import Category, Desk
from guardd.simulator.dialects.bitget_unified.public import STEPS_MIN
from guardd.simulator.refusals import Refused

PUBLIC_PATH, PRIVATE_PATH = "/v3/ws/public", "/v3/ws/private"
PRIVATE_TYPE = "UTA"
PRIVATE = ("account", "position", "order", "fill", "fast-fill", "strategy-order", "adl-notification")
SELECTED = ("strategy-order", "fast-fill")  # carry `symbol: default`
DEPTHS = {"books": 200, "books1": 1, "books5": 5, "books50": 50}
CANDLES = "kline"
PUBLIC = ("ticker", "publicTrade", CANDLES, *DEPTHS)


def read(desk: Desk, argument: Mapping[str, str]) -> Topic:
    """The topic; raises UnknownTopic (30001) for what isn't there."""
    kind, name, symbol = (argument.get(each, "") for each in ("instType", "topic", "symbol"))
    if name in PRIVATE and kind.upper() == PRIVATE_TYPE:
        if symbol not in (("", "default") if name in SELECTED else ("",)):
            raise missing(kind, name, symbol)
        return Topic(arg=dict(argument), channel=name, instrument_type=PRIVATE_TYPE, selector=symbol, private=True)
    interval = argument.get("interval", "")
    category = next((each for each in Category if each.value == kind.upper() and each.value.lower() == kind), None)
    if category is None or name not in PUBLIC or not _listed(desk, category, symbol):
        raise missing(kind, name, symbol)
    if name == CANDLES and interval not in STEPS_MIN:
        raise missing(kind, name, symbol)
    channel = f"{name}@{interval}" if name == CANDLES else name
    return Topic(
        arg=dict(argument),
        channel=channel,
        instrument_type=category.value,
        selector=symbol,
        private=False,
        timed=name == CANDLES or name in DEPTHS,
    )


def _listed(desk: Desk, category: Category, symbol: str) -> bool:
    if desk.coins(category, symbol) and symbol:
        return True
    try:
        return desk.category(symbol) is category
    except Refused:
        return False
