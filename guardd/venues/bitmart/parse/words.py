"""BitMart's enumerations and what they mean to a guard (reference, section 6)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple, TypeVar

from guardd.model.names import MarginMode, PositionMode, PriceType, Side
from guardd.model.order import Direction, OrderAction, ProtectionKind
from guardd.venues.rows import Row

MARGIN_MODES: Final = MappingProxyType({"cross": MarginMode.CROSS, "isolated": MarginMode.ISOLATED})
STREAM_MARGIN_MODES: Final = MappingProxyType({1: MarginMode.ISOLATED, 2: MarginMode.CROSS})
POSITION_MODES: Final = MappingProxyType({"hedge_mode": PositionMode.HEDGE, "one_way_mode": PositionMode.ONE_WAY})
POSITION_TYPES: Final = MappingProxyType({1: Side.LONG, 2: Side.SHORT})
PRICE_TYPES: Final = MappingProxyType({1: PriceType.LAST, 2: PriceType.MARK})
PRICE_WAYS: Final = MappingProxyType({1: Direction.RISES, 2: Direction.FALLS})
"""1 fires when the price rises to the trigger, 2 when it falls to it: a long's stop is 2, a short's is 1 (11.4)."""
PROTECTIONS: Final = MappingProxyType(
    {"stop_loss": ProtectionKind.STOP_LOSS, "take_profit": ProtectionKind.TAKE_PROFIT}
)


class OrderSide(NamedTuple):
    """Which position an order is about, and whether it closes it."""

    side: Side
    closes: bool


ORDER_SIDES: Final = MappingProxyType(
    {
        1: OrderSide(Side.LONG, closes=False),
        2: OrderSide(Side.SHORT, closes=True),
        3: OrderSide(Side.LONG, closes=True),
        4: OrderSide(Side.SHORT, closes=False),
    }
)
"""Hedge mode: open long, close short, close long, open short. One-way mode: buy, buy reduce-only, sell reduce-only, sell.
Read as positions the two say the same (10.1)."""
CLOSING_SIDE: Final = MappingProxyType({Side.LONG: 3, Side.SHORT: 2})
OPENING_SIDE: Final = MappingProxyType({Side.LONG: 1, Side.SHORT: 4})

WORKING_STATES: Final = MappingProxyType({1: True, 2: True, 4: False})
ORDER_TYPES: Final = frozenset(
    {
        *("limit", "market", "liquidate", "bankruptcy", "adl", "trailing", "trailing_order"),
        *("planorder", "plan_order", "plan", "take_profit", "stop_loss"),
    }
)
TRAILING_TYPES: Final = frozenset({"trailing", "trailing_order"})
STREAM_ACTIONS: Final = MappingProxyType(
    {
        1: OrderAction.FILLED,
        2: OrderAction.SUBMITTED,
        3: OrderAction.CANCELLED,
        4: OrderAction.LIQUIDATION,  # cancelled by a liquidation
        5: OrderAction.ADL,  # cancelled by auto-deleveraging
        6: OrderAction.LIQUIDATION,  # a part was liquidated
        7: OrderAction.LIQUIDATION,  # the order at the bankruptcy price
        8: OrderAction.ADL,  # a passive fill of it
        9: OrderAction.ADL,  # an active one
    }
)
"""4 to 9 are the strongest real-time signs of a forced reduction (6)."""
ENDING_ACTIONS: Final = frozenset({3, 4, 5})

_Meaning = TypeVar("_Meaning")


def word(row: Row, name: str, meanings: Mapping[str, _Meaning]) -> _Meaning:
    """The meaning of a word, whatever its case (`Cross` and `cross` are both seen)."""
    value = row.get(name)
    if isinstance(value, str) and value.lower() in meanings:
        return meanings[value.lower()]
    raise row.wrong(name, f"one of {', '.join(meanings)}")


def number_word(row: Row, name: str, meanings: Mapping[int, _Meaning]) -> _Meaning:
    """The meaning of a number that stands for a word."""
    number = row.integer(name)
    if number in meanings:
        return meanings[number]
    raise row.wrong(name, f"one of {', '.join(str(each) for each in meanings)}")
