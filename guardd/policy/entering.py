"""Are there orders to cancel that would enlarge a position? Which of them exactly, `execution` finds from the same state."""

from guardd.model.instant import Instant
from guardd.model.names import MarginMode
from guardd.model.order import PlanOrder, RestingOrder
from guardd.model.state import AccountState
from guardd.policy.language import PolicyRule
from guardd.policy.memory import RuleMemory
from guardd.policy.view import View


def wants_cancel(
    state: AccountState, view: View, rule: PolicyRule, remembered: RuleMemory, now: Instant, *, whole_account: bool
) -> bool:
    """True when entries rest that this rule shall end now: those it found at first, and later ones after each cooldown."""
    entries = _entries(state, view, whole_account=whole_account)
    if not entries:
        return False
    since = remembered.cancelled
    if since is None or now.seconds_since(since) >= rule.cooldown_s:
        remembered.cancelled = now
        return True
    since_ms = since.wall_ms + (state.clock_offset_ms or 0)
    return any(entry.created_ms <= since_ms for entry in entries)


def _entries(state: AccountState, view: View, *, whole_account: bool) -> list[RestingOrder | PlanOrder]:
    key = view.held.key
    isolated = {other.symbol for other, held in state.held.items() if held.position.margin_mode is MarginMode.ISOLATED}
    orders: list[RestingOrder | PlanOrder] = [*state.resting.values(), *state.plans.values()]
    return [
        order
        for order in orders
        if not order.closes
        and (order.key == key or (whole_account and order.key.symbol not in isolated))
        and not state.why_unguarded(order.key.symbol)
    ]
