"""Another guardd on the same account: which of the two is the later, and steps back (I14).

Both see the same orders with the same times of the venue, so both come to the same answer without a word between them: the one
whose oldest plan order is the younger looks on. Where both looked on, nobody would protect.
"""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from guardd.model.event import OrdersRead
from guardd.model.instant import Instant
from guardd.model.intent import is_ours
from guardd.model.names import ClientId
from guardd.model.order import PlanOrder, RestingOrder
from guardd.model.state import AccountState

STEPS_BACK_S: Final = 20.0
"""The later one looks on within ten seconds (I14); who still places orders after twice that isn't stepping back."""


class Rivals(Struct, frozen=True, kw_only=True):
    """Orders of another guardd that were not seen before. `later`: it is that one that has to look on."""

    ids: tuple[ClientId, ...]
    later: bool


class RivalWatch:
    """Looks through each list of orders. Remembers since when a rival has been seen to be the later."""

    def __init__(self) -> None:
        self._since: Instant | None = None

    def look(self, event: OrdersRead, state: AccountState) -> Rivals | None:
        """None: no order with our prefix rests here that the journal doesn't know and that wasn't seen before."""
        plans = tuple(event.plans or ())
        orders: tuple[PlanOrder | RestingOrder, ...] = (*plans, *(event.resting or ()))
        foreign = {order.client_id for order in orders if is_ours(order.client_id) and not state.owns(order)}
        seen = state.foreign_ids | state.rival_ids
        ids = tuple(sorted(each for each in foreign if each is not None and each not in seen))
        if not ids:
            return None
        self._since = self._since or event.at
        stepping_back = event.at.seconds_since(self._since) <= STEPS_BACK_S
        return Rivals(ids=ids, later=stepping_back and _was_first(plans, state))


def _was_first(plans: Iterable[PlanOrder], state: AccountState) -> bool:
    """The oldest of all plan orders with our prefix is this guard's own."""
    prefixed = [plan for plan in plans if is_ours(plan.client_id)]
    oldest = min(prefixed, key=lambda plan: (plan.created_ms, plan.order_id), default=None)
    return oldest is not None and state.owns(oldest)
