"""What a listener hears, in the order in which it happened, each with the venue's sequence number and time."""

from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from guardd.simulator.contracts import Contract, ContractStatus
from guardd.simulator.orders import MarginMode, Order, Plan
from guardd.simulator.records import Balance, Pool, PositionView, Quote, Trade


class OrderAction(StrEnum):
    SUBMIT = "submit"
    FILL = "fill"
    CANCEL = "cancel"
    MODIFY = "modify"
    LIQUIDATION_CANCEL = "liquidation_cancel"
    ADL_CANCEL = "adl_cancel"
    PARTIAL_LIQUIDATION = "partial_liquidation"
    BANKRUPTCY = "bankruptcy"  # the fill of a full liquidation
    ADL_PASSIVE_FILL = "adl_passive_fill"
    ADL_ACTIVE_FILL = "adl_active_fill"


class PlanAction(StrEnum):
    PLACED = "placed"
    MODIFIED = "modified"
    ACTIVATED = "activated"  # trailing only
    TRIGGERED = "triggered"
    FAILED = "failed"
    CANCELLED = "cancelled"


class OrderChanged(Struct, frozen=True, kw_only=True):
    sequence: int
    at_ms: int
    uid: str
    action: OrderAction
    order: Order
    trade: Trade | None


class PositionChanged(Struct, frozen=True, kw_only=True):
    """A position was opened, enlarged, reduced, closed (`position.size` zero) or its margin or leverage changed."""

    sequence: int
    at_ms: int
    uid: str
    position: PositionView


class BalanceChanged(Struct, frozen=True, kw_only=True):
    """One coin of an account changed; `pool` is the whole of a unified one."""

    sequence: int
    at_ms: int
    uid: str
    balance: Balance
    pool: Pool | None


class PlanChanged(Struct, frozen=True, kw_only=True):
    sequence: int
    at_ms: int
    uid: str
    action: PlanAction
    plan: Plan


class MarkChanged(Struct, frozen=True, kw_only=True):
    sequence: int
    at_ms: int
    symbol: str
    quote: Quote


class Liquidated(Struct, frozen=True, kw_only=True):
    """`loss` is what the account lost from entry to the end, clearance included, as a positive number, in `coin`."""

    sequence: int
    at_ms: int
    uid: str
    margin_mode: MarginMode
    symbols: tuple[str, ...]
    partial: bool
    coin: str  # USD where a pool was liquidated
    loss: Decimal


class ContractChanged(Struct, frozen=True, kw_only=True):
    sequence: int
    at_ms: int
    contract: Contract
    status: ContractStatus


Happening = OrderChanged | PositionChanged | BalanceChanged | PlanChanged | MarkChanged | Liquidated | ContractChanged
Listener = Callable[[Happening], None]
