"""Bitget V2's enumerations and what they mean to a guard (Bitget reference, 5, 11.10 and 12.1). Case and spelling vary (19.35)."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeVar

from guardd.model.names import ClientId, MarginMode, PositionMode, PriceType, Side, Symbol
from guardd.model.order import OrderAction, PlanForm, ProtectionKind
from guardd.venues.rows import Row, as_list, as_row


class Product(StrEnum):
    """A product type: a line of futures with a position mode and wallets of its own (5, 5.1)."""

    USDT = "USDT-FUTURES"
    USDC = "USDC-FUTURES"
    COIN = "COIN-FUTURES"

    @property
    def linear(self) -> bool:
        """Sized in base coin and settled in dollars. Of the others the unit isn't documented (19.41): nothing is sent for them."""
        return self is not Product.COIN

    @property
    def settle(self) -> str:
        """The margin coin; empty where every contract has its own."""
        return _SETTLE[self]

    @property
    def wallet(self) -> str:
        """Its name in a transfer (8.1)."""
        return _WALLETS[self]


_SETTLE: Final = MappingProxyType({Product.USDT: "USDT", Product.USDC: "USDC", Product.COIN: ""})
_WALLETS: Final = MappingProxyType(
    {Product.USDT: "usdt_futures", Product.USDC: "usdc_futures", Product.COIN: "coin_futures"}
)

HOLD_SIDES: Final = MappingProxyType({"long": Side.LONG, "short": Side.SHORT})
MARGIN_MODES: Final = MappingProxyType(
    {
        "isolated": MarginMode.ISOLATED,
        "fixed": MarginMode.ISOLATED,
        "crossed": MarginMode.CROSS,
        "cross": MarginMode.CROSS,
    }
)
MARGIN_MODE_WORDS: Final = MappingProxyType({MarginMode.ISOLATED: "isolated", MarginMode.CROSS: "crossed"})
POSITION_MODES: Final = MappingProxyType({"one_way_mode": PositionMode.ONE_WAY, "hedge_mode": PositionMode.HEDGE})
POSITION_MODE_WORDS: Final = MappingProxyType({meaning: word for word, meaning in POSITION_MODES.items()})
SWITCHES: Final = MappingProxyType({"on": True, "off": False, "yes": True, "no": False})
TRIGGER_TYPES: Final = MappingProxyType(
    {"mark_price": PriceType.MARK, "fill_price": PriceType.LAST, "index_price": PriceType.LAST}
)
"""An index trigger is taken for the weaker of the two that the model knows: it isn't the price that liquidates."""
TRIGGER_WORDS: Final = MappingProxyType({PriceType.MARK: "mark_price", PriceType.LAST: "fill_price"})
ORDER_LIVES: Final = MappingProxyType(
    {"live": True, "new": True, "init": True, "partially_filled": True, "filled": False}
    | {"canceled": False, "cancelled": False}
)

WHOLE_PLANS: Final = MappingProxyType({"pos_loss": ProtectionKind.STOP_LOSS, "pos_profit": ProtectionKind.TAKE_PROFIT})
SIZED_PLANS: Final = MappingProxyType(
    {"loss_plan": ProtectionKind.STOP_LOSS, "profit_plan": ProtectionKind.TAKE_PROFIT}
)
MOVING_PLAN: Final = "moving_plan"
"""A trailing close. It fires after a turn of the price, not at a price: never counted as a stop."""
PLAN_WORDS: Final = MappingProxyType(
    {
        (PlanForm.WHOLE, ProtectionKind.STOP_LOSS): "pos_loss",
        (PlanForm.WHOLE, ProtectionKind.TAKE_PROFIT): "pos_profit",
        (PlanForm.SIZED, ProtectionKind.STOP_LOSS): "loss_plan",
        (PlanForm.SIZED, ProtectionKind.TAKE_PROFIT): "profit_plan",
    }
)
SHORT_PLAN_WORDS: Final = MappingProxyType(
    {"pl": "normal_plan", "track": "track_plan", "tp": "profit_plan", "sl": "loss_plan", "mtpsl": MOVING_PLAN}
    | {"ptp": "pos_profit", "psl": "pos_loss"}
)
"""What the sockets call the plan types (12.1)."""
PLAN_NAMESPACES: Final = ("profit_loss", "normal_plan", "track_plan")
"""The three lists that conditional orders stand in; none shows another's (quirk 2)."""

_FORCED: Final = ("burst", "reduce", "offset")
"""Liquidation, partial liquidation, netting of hedged sides before it (10, 11.10)."""
_ADL: Final = "adl"

_Meaning = TypeVar("_Meaning")


def word(row: Row, name: str, meanings: Mapping[str, _Meaning]) -> _Meaning:
    """The meaning of a word, whatever its case."""
    value = row.get(name)
    if isinstance(value, str) and value.lower() in meanings:
        return meanings[value.lower()]
    raise row.wrong(name, f"one of {', '.join(meanings)}")


def plain(row: Row, name: str) -> str:
    """A text in lower case; empty for any spelling of absence."""
    return (row.optional_text(name) or "").lower()


def yes(row: Row, name: str) -> bool:
    """YES or yes; everything else is no (19.17)."""
    return plain(row, name) == "yes"


def symbol_of(row: Row, name: str = "symbol") -> Symbol:
    """In upper case, whatever the example printed (2)."""
    return Symbol(row.text(name).upper())


def coin_of(row: Row, name: str = "marginCoin") -> str:
    return row.text(name).upper()


def client_id_of(row: Row) -> ClientId | None:
    """Other software's may hold signs that ours never do: any text is one."""
    text = row.optional_text("clientOid")
    return None if text is None else ClientId(text)


def rows_of(where: str, data: object, name: str) -> Iterator[Row]:
    """The rows of a list inside `data`; null is an empty list (2, quirk 9). An answer without the list says nothing: an order that
    isn't found in it would count as one that never arrived (I7)."""
    row = as_row(where, data)
    if name not in row.fields:
        raise row.wrong(name, "a list or null")
    if row.get(name) is not None:
        yield from row.rows(name)


def list_of(where: str, data: object) -> Iterator[Row]:
    """The rows of a bare list; null is an empty one (2)."""
    for index, each in enumerate(() if data is None else as_list(where, data)):
        yield as_row(f"{where}[{index}]", each)


def forced_action(trade_side: str) -> OrderAction | None:
    """What the exchange itself did, by the footprint in `tradeSide` (10); None for an order of anybody's."""
    if _ADL in trade_side:
        return OrderAction.ADL
    if trade_side.startswith(_FORCED):
        return OrderAction.LIQUIDATION
    return None
