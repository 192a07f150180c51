"""What authoritative reads say about an intent: pure comparisons of what was meant with what is there (I7).

The figures that an intent took along (`quantity_before`, `closed_before`) are what a later read is held against, because a
market order that filled at once is in no list of open orders (BitMart reference, 18.4).
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

from guardd.model.event import OrdersRead, PositionsRead
from guardd.model.intent import (
    AddMargin,
    CancelKind,
    CancelOrder,
    CloseAtMarket,
    Intent,
    ModifyProtection,
    MovesMoney,
    PlaceProtection,
)
from guardd.model.moved import MoneyRecord
from guardd.model.names import ClientId, OrderId
from guardd.model.order import OrderUpdate, PlanForm, PlanOrder
from guardd.model.position import Position, episode_id
from guardd.model.reading import is_value
from guardd.model.state import AccountState

CREATED_BEFORE_MS_MAX: Final = 10_000
"""A plan order without a client id may be ours if the venue's stamp is at most this much older than the decision."""

GREW_SHARE: Final = Decimal("0.9")
"""Funding is taken from the margin of an isolated position too: so much of an addition must show."""


def row_of(intent: Intent, read: PositionsRead) -> Position | None:
    """The intent's position in a read; None when it is gone or another life of it began."""
    row = next((row for row in read.positions if row.key == intent.key), None)
    if row is None or (row.opened_ms is not None and episode_id(row.key, row.opened_ms) != intent.episode):
        return None
    return row


def closed_since(
    intent: Intent, write: CloseAtMarket, read: PositionsRead, *, by_later_ones: Decimal = Decimal(0)
) -> Decimal:
    """Contracts of the position that were closed since the decision, by anybody but our later closes; at most what was asked."""
    row = row_of(intent, read)
    if row is None:
        closed = intent.quantity_before
    else:
        closed = max(row.closed_quantity - intent.closed_before, intent.quantity_before - row.quantity)
    return min(max(closed - by_later_ones, Decimal(0)), write.size)


def taken_by_later_closes(intent: Intent, state: AccountState, pushed: Mapping[ClientId, OrderUpdate]) -> Decimal:
    """What closes of this episode that were decided after this one are known to have filled.

    A close that went over a reduction whose outcome is unknown must not pass for that reduction's fill. Only later ones are told
    apart: what an earlier one filled may already be missing from `quantity_before`, and deducting it twice would make an order
    that arrived look lost.
    """
    filled = sum(
        (
            each.filled
            for each in state.finished.of(intent.key)
            if each.filled is not None and _is_later_close(each.intent, intent)
        ),
        Decimal(0),
    )
    for pending in state.in_flight(intent.key):
        told = pushed.get(pending.intent.id)
        if told is not None and _is_later_close(pending.intent, intent):
            filled += told.filled
    return filled


def _is_later_close(other: Intent, intent: Intent) -> bool:
    return (
        other.id != intent.id
        and (other.key, other.episode) == (intent.key, intent.episode)
        and isinstance(other.write, CloseAtMarket)
        and other.decided.mono_ns >= intent.decided.mono_ns
    )


def placed_plan(
    intent: Intent,
    write: PlaceProtection,
    read: OrdersRead,
    order_id: OrderId | None,
    taken: frozenset[OrderId],
    *,
    offset_ms: int = 0,
) -> PlanOrder | None:
    """The plan order that this intent made: by its ids, or where the venue carries none, by what it is.

    `taken`: orders that are known to be somebody's already, ours or a stranger's. `offset_ms`: the venue's clock minus ours.
    """
    earliest_ms = intent.decided.wall_ms + offset_ms - CREATED_BEFORE_MS_MAX
    plans = [plan for plan in read.plans or () if plan.key == write.key]
    for plan in plans:
        if plan.client_id == intent.id or (order_id is not None and plan.order_id == order_id):
            return plan
    for plan in sorted(plans, key=lambda plan: (plan.created_ms, plan.order_id)):
        new = plan.created_ms == 0 or plan.created_ms >= earliest_ms
        if not plan.client_id and new and plan.order_id not in taken and _is_as_meant(plan, write):
            return plan
    return None


def differs_from(plan: PlanOrder, write: PlaceProtection | ModifyProtection) -> str:
    """How a listed order differs from what was asked for; empty when it doesn't."""
    if plan.protection is not write.kind:
        return f"listed as {plan.protection}"
    if plan.trigger_price != write.trigger_price:
        return f"listed with trigger {plan.trigger_price}, not {write.trigger_price}"
    if plan.execution_price is not None:
        return f"listed with a limit price {plan.execution_price}"
    wanted = write.position_size if isinstance(write, PlaceProtection) and write.form is PlanForm.PLAN else None
    size = write.size if write.size is not None else wanted
    if plan.size is None or size is None or plan.size == size:
        return ""
    if plan.size < size or isinstance(write, ModifyProtection):
        return f"listed with size {plan.size}, not {size}"
    return ""


def still_listed(write: CancelOrder, read: OrdersRead) -> bool | None:
    """Whether the order that was to end still rests; None when the read has not its list."""
    if write.kind is CancelKind.PLAN:
        return None if read.plans is None else any(plan.order_id == write.order_id for plan in read.plans)
    return None if read.resting is None else any(order.order_id == write.order_id for order in read.resting)


def listed_plan(order_id: OrderId, read: OrdersRead) -> PlanOrder | None:
    return next((plan for plan in read.plans or () if plan.order_id == order_id), None)


def margin_grew(write: AddMargin, intent: Intent, row: Position) -> bool:
    """True when the position's margin shows the addition. With another quantity it tells nothing: a fill moves margin too."""
    if not is_value(row.margin) or row.quantity != intent.quantity_before:
        return False
    return row.margin - write.margin_before >= write.amount * GREW_SHARE


def record_of(
    intent: Intent, write: MovesMoney, records: Iterable[MoneyRecord], taken: frozenset[OrderId]
) -> MoneyRecord | None:
    """The venue's record of this move: by our id where it carries one, else by its amount, and nobody's already."""
    listed = sorted(records, key=lambda record: (record.at_ms, record.id))
    for record in listed:
        if record.client_id == intent.id:
            return record
    for record in listed:
        if record.client_id is None and record.amount == write.amount and record.id not in taken:
            return record
    return None


def _is_as_meant(plan: PlanOrder, write: PlaceProtection) -> bool:
    size = write.size if write.size is not None or write.form is PlanForm.WHOLE else write.position_size
    return (
        plan.protection is write.kind
        and plan.trigger_price == write.trigger_price
        and plan.size in (size, None if write.form is PlanForm.WHOLE else size)
    )
