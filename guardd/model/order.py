"""Orders that rest at the venue, and what was filled."""

from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from guardd.model.names import ClientId, OrderId, PositionKey, PriceType


class RestingKind(StrEnum):
    LIMIT = "limit"
    MARKET = "market"
    TRAILING = "trailing"


class RestingOrder(Struct, frozen=True, kw_only=True):
    """An order in the book (or a trailing order). `key.side` is the side of the position that it opens or closes.

    In one-way mode an order that isn't reduce-only is an opening order of its own direction (buy: long, sell: short).
    """

    order_id: OrderId
    client_id: ClientId | None
    key: PositionKey
    closes: bool
    kind: RestingKind
    price: Decimal | None
    size: Decimal
    filled: Decimal
    created_ms: int


class ProtectionKind(StrEnum):
    STOP_LOSS = "stop_loss"
    TAKE_PROFIT = "take_profit"


class PlanForm(StrEnum):
    """How a plan order rests: on the whole position, on a size of it, or as a plain conditional order."""

    WHOLE = "whole"
    SIZED = "sized"
    PLAN = "plan"


class Direction(StrEnum):
    """Which way the price must go to reach the trigger."""

    RISES = "rises"
    FALLS = "falls"


class PlanOrder(Struct, frozen=True, kw_only=True):
    """An order that waits for a trigger price. `size` None: the whole position, whatever its quantity.

    `protection` says what a closing plan order is to its position; None for one that doesn't close (a conditional entry).
    `execution_price` None: market.
    """

    order_id: OrderId
    client_id: ClientId | None
    key: PositionKey
    protection: ProtectionKind | None
    form: PlanForm
    direction: Direction
    trigger_price: Decimal
    price_type: PriceType
    execution_price: Decimal | None
    size: Decimal | None
    created_ms: int

    @property
    def closes(self) -> bool:
        return self.protection is not None


class OrderAction(StrEnum):
    """What a push about an order says happened."""

    SUBMITTED = "submitted"
    FILLED = "filled"
    CANCELLED = "cancelled"
    LIQUIDATION = "liquidation"
    ADL = "adl"


class OrderUpdate(Struct, frozen=True, kw_only=True):
    """One order event of the private stream. `filled` is cumulative, in contracts."""

    order_id: OrderId
    client_id: ClientId | None
    plan_order_id: OrderId | None
    """The plan order that gave birth to it: the proof that a stop fired."""
    key: PositionKey
    closes: bool
    action: OrderAction
    live: bool
    """Still working in the book after this event."""
    kind: RestingKind
    price: Decimal | None
    size: Decimal
    filled: Decimal
    average_price: Decimal | None
    venue_ms: int


class OrderReport(Struct, frozen=True, kw_only=True):
    """What a look-up says of one order: how much of it was filled, and whether it still works."""

    order_id: OrderId
    client_id: ClientId | None
    size: Decimal
    filled: Decimal
    average_price: Decimal | None
    live: bool
