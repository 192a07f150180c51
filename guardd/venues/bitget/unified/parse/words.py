"""V3's enumerations and what they mean to a guard (UTA reference, 1, 3, 9 and 10). Their case differs from place to place."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeVar

from guardd.model.names import MarginMode, PositionMode, PriceType, Side
from guardd.model.order import OrderAction, ProtectionKind, RestingKind
from guardd.venues.bitget.unified.parse.fields import words
from guardd.venues.rows import Row


class Category(StrEnum):
    """The futures of this venue. Upper case in requests and REST answers, lower case on the sockets (1)."""

    USDT = "USDT-FUTURES"
    USDC = "USDC-FUTURES"
    COIN = "COIN-FUTURES"

    @property
    def inst_type(self) -> str:
        """Its name in the arguments of the public socket."""
        return self.value.lower()


class AccountMode(StrEnum):
    """`accountMode` of the settings (7.2). `hybrid` isn't explained; it is treated like `unified` (16.35)."""

    UNIFIED = "unified"
    HYBRID = "hybrid"
    UPGRADING = "upgrading"
    SWITCHING = "switching"

    @property
    def writable(self) -> bool:
        """False while the account is being converted: nothing may be sent (2)."""
        return self in (AccountMode.UNIFIED, AccountMode.HYBRID)


class AccountLevel(StrEnum):
    BASIC = "basic"
    ADVANCED = "advanced"
    ISOLATED = "isolated"
    DELTA = "delta"

    @property
    def described(self) -> bool:
        """False for the two levels that the documentation only names (3)."""
        return self in (AccountLevel.BASIC, AccountLevel.ADVANCED)


class StrategyStatus(StrEnum):
    PENDING = "pending"
    SUBMITTING = "submitting"
    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"


MARGIN_MODES: Final = MappingProxyType({"crossed": MarginMode.CROSS, "isolated": MarginMode.ISOLATED})
HOLD_MODES: Final = MappingProxyType({"hedge_mode": PositionMode.HEDGE, "one_way_mode": PositionMode.ONE_WAY})
POSITION_SIDES: Final = MappingProxyType({"long": Side.LONG, "short": Side.SHORT})
TRIGGERED_BY: Final = MappingProxyType({"market": PriceType.LAST, "mark": PriceType.MARK})
ORDER_TYPES: Final = MappingProxyType({"limit": RestingKind.LIMIT, "market": RestingKind.MARKET})
TRIGGERED_LEGS: Final = MappingProxyType(
    {"takeprofit": ProtectionKind.TAKE_PROFIT, "stoploss": ProtectionKind.STOP_LOSS}
)
ORDER_LIVES: Final = MappingProxyType(
    {"live": True, "new": True, "partially_filled": True, "filled": False, "cancelled": False, "canceled": False}
)
"""`orderStatus`: whether it still works. The guide spells `canceled` (16.21)."""
STRATEGY_STATES: Final = MappingProxyType(
    {**{each.value: each for each in StrategyStatus}, "canceled": StrategyStatus.CANCELLED}
)

CLOSING_SIDE: Final = MappingProxyType({Side.LONG: "sell", Side.SHORT: "buy"})
"""`side` is the direction of the transaction in both modes: the opposite of V2's hedge closes (0.1, 9.1)."""
OPENING_SIDE: Final = MappingProxyType({Side.LONG: "buy", Side.SHORT: "sell"})

_ADL: Final = ("adl", "reduce", "offset")
_LIQUIDATION: Final = ("liquidation", "burst", "market_risk")
_Meaning = TypeVar("_Meaning")


def word(row: Row, name: str, meanings: Mapping[str, _Meaning]) -> _Meaning:
    """The meaning of a word, whatever its case."""
    value = row.get(name)
    if isinstance(value, str) and value.lower() in meanings:
        return meanings[value.lower()]
    raise row.wrong(name, f"one of {', '.join(meanings)}")


def category(row: Row) -> Category | None:
    """The futures category of a row; None for spot and margin, which aren't this guard's."""
    try:
        return Category(row.text("category").upper())
    except ValueError:
        return None


def account_mode(row: Row) -> AccountMode:
    return word(row, "accountMode", {each.value: each for each in AccountMode})


def account_level(row: Row) -> AccountLevel:
    return word(row, "accountLevel", {each.value: each for each in AccountLevel})


def forced_action(row: Row) -> OrderAction | None:
    """What the exchange itself did with an order, by where it says it came from (4, "Footprints"); None for anybody else's."""
    marks = [words(row, name).lower() for name in ("execType", "delegateType", "tradeSide")]
    if any(sign in mark for mark in marks for sign in _LIQUIDATION):
        return OrderAction.LIQUIDATION
    if any(sign in mark for mark in marks for sign in _ADL) or "off_close" in marks:
        return OrderAction.ADL
    return None
