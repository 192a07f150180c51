"""Orders of ours that outlived their position: ended by id once it is confirmed flat (I6). Pure."""

from guardd.execution.proposal import NOTHING, Proposal, Steps
from guardd.execution.resting import made_by_us
from guardd.model.intent import Action, CancelKind, CancelOrder
from guardd.model.names import EpisodeId, RuleName
from guardd.model.order import PlanOrder, RestingOrder
from guardd.model.state import AccountState
from guardd.venues.limiter import Lane


def sweep(state: AccountState) -> Steps:
    """A cancel for each closing order of ours on a position that isn't held; an order that is being ended already is left alone.

    A position leaves `state.held` only when it is confirmed flat. What rests of an earlier life on a position that was opened
    again is reconcile's: it stands until the new life's own stop is listed.
    """
    orders: list[PlanOrder | RestingOrder] = [*state.plans.values(), *state.resting.values()]
    orders = [order for order in orders if order.key not in state.held]
    if not orders:
        return NOTHING
    ending = {p.intent.write.order_id for p in state.pending.values() if isinstance(p.intent.write, CancelOrder)}
    working = {p.intent.key for p in state.pending.values() if not isinstance(p.intent.write, CancelOrder)}
    left = [order for order in orders if order.closes and made_by_us(state, order) and order.key not in working]
    left.sort(key=lambda order: (order.created_ms, order.order_id))
    return Steps(proposals=tuple(_cancel(order) for order in left if order.order_id not in ending))


def _cancel(order: PlanOrder | RestingOrder) -> Proposal:
    kind = CancelKind.PLAN if isinstance(order, PlanOrder) else CancelKind.RESTING
    return Proposal(
        key=order.key,
        episode=EpisodeId(f"{order.key.symbol}-{order.key.side}-flat"),
        rule=RuleName(f"sweep/{order.order_id}"),
        action=Action.CANCEL_PROTECTION,
        write=CancelOrder(key=order.key, order_id=order.order_id, kind=kind),
        lane=Lane.ORDINARY,
        reason=f"order {order.order_id} outlived its position",
    )
