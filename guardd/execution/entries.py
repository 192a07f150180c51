"""Which resting orders would enlarge a position: what `cancel_entries` ends (interfaces.md 2.4). Pure."""

from decimal import Decimal
from typing import TypeAlias

from guardd.execution.proposal import Proposal, Steps
from guardd.model.decision import CancelEntries
from guardd.model.intent import Action, CancelKind, CancelOrder
from guardd.model.names import EpisodeId, MarginMode, OrderId, PositionKey, PositionMode, RuleName, Symbol
from guardd.model.order import PlanOrder, RestingKind, RestingOrder
from guardd.model.state import AccountState
from guardd.venues.limiter import Lane

Order: TypeAlias = PlanOrder | RestingOrder


def cancel_entries(decision: CancelEntries, state: AccountState) -> Steps:
    """One cancel for each resting or conditional order that would enlarge the position (or any cross one of the account)."""
    if decision.whole_account:
        enlarging = [order for symbol in _cross_symbols(state) for order in _enlarging(state, symbol, None)]
    else:
        enlarging = _enlarging(state, decision.key.symbol, decision.key)
    return Steps(
        proposals=tuple(
            _cancel(decision.rule, decision.episode, order, operator=False)
            for order in enlarging
            if not _is_being_cancelled(state, order.order_id)
        )
    )


def cancel_every_entry(state: AccountState, *, rule: RuleName) -> Steps:
    """One cancel for each order of the account that could open anything: a flattened account stays flat. The operator's word."""
    return Steps(
        proposals=tuple(
            _cancel(rule, _flat_episode(order), order, operator=True)
            for order in _entries(state)
            if not _is_being_cancelled(state, order.order_id)
        )
    )


def entries_left(state: AccountState) -> bool:
    """True while an order rests that could open something guarded."""
    return any(not state.why_unguarded(order.key.symbol) for order in _entries(state))


def _entries(state: AccountState) -> list[Order]:
    """Resting and conditional orders that open something, oldest first."""
    orders: list[Order] = [*state.resting.values(), *state.plans.values()]
    return sorted((order for order in orders if not order.closes), key=lambda order: (order.created_ms, order.order_id))


def _cross_symbols(state: AccountState) -> list[Symbol]:
    """Every instrument with an order that could open something in cross; one held isolated opens nothing there.

    Nothing is sent for one that isn't guarded.
    """
    isolated = {key.symbol for key, held in state.held.items() if held.position.margin_mode is MarginMode.ISOLATED}
    symbols = {order.key.symbol for order in _entries(state)} - isolated
    return sorted(symbol for symbol in symbols if not state.why_unguarded(symbol))


def _enlarging(state: AccountState, symbol: Symbol, only: PositionKey | None) -> list[Order]:
    """The orders that would enlarge `only` (None: any position of the instrument).

    In one-way mode an order against the position closes before it opens: up to the quantity such orders make it smaller and stay.
    """
    one_way = state.position_mode is PositionMode.ONE_WAY
    spare = _opposite_quantities(state, symbol) if one_way else {}
    found: list[Order] = []
    for order in _entries(state):
        if order.key.symbol != symbol:
            continue
        left, size = spare.get(order.key), _size_left(order)
        if left is not None and size is not None and size <= left:
            spare[order.key] = left - size
        elif left is not None or only is None or order.key == only:
            found.append(order)
    return found


def _opposite_quantities(state: AccountState, symbol: Symbol) -> dict[PositionKey, Decimal]:
    """For each side: the quantity held on the other, which an order of this side would close first."""
    return {
        PositionKey(held.key.account, symbol, held.key.side.opposite): held.position.quantity
        for held in state.holds(symbol)
    }


def _size_left(order: Order) -> Decimal | None:
    return order.size - order.filled if isinstance(order, RestingOrder) else order.size


def _is_being_cancelled(state: AccountState, order_id: OrderId) -> bool:
    return any(
        isinstance(pending.intent.write, CancelOrder) and pending.intent.write.order_id == order_id
        for pending in state.pending.values()
    )


def _flat_episode(order: Order) -> EpisodeId:
    return EpisodeId(f"{order.key.symbol}-{order.key.side}-flat")


def _cancel(rule: RuleName, episode: EpisodeId, order: Order, *, operator: bool) -> Proposal:
    if isinstance(order, PlanOrder):
        kind = CancelKind.PLAN
    else:
        kind = CancelKind.TRAILING if order.kind is RestingKind.TRAILING else CancelKind.RESTING
    return Proposal(
        key=order.key,
        episode=episode,
        rule=RuleName(f"{rule}/entry/{order.order_id}"),
        action=Action.CANCEL_ENTRIES,
        write=CancelOrder(key=order.key, order_id=order.order_id, kind=kind),
        lane=Lane.ORDINARY,
        reason=f"order {order.order_id} would enlarge {order.key}",
        operator=operator,
    )
