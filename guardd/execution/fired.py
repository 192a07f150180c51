"""What a triggered stop left is finished by order (interfaces.md 2.4 "Stops"). Pure."""

from decimal import Decimal
from typing import Final

from guardd.execution.proposal import FiredStop
from guardd.model.decision import Close, Reduce
from guardd.model.instant import Instant
from guardd.model.state import AccountState, Held
from guardd.risk.tranches import closed_for, order_of, share_of

FIRED_FINISH_S: Final = 1.0
"""A triggered stop has this long before the guard closes what it left."""
FIRED_TRANCHE_S: Final = 60.0
"""What is held this long after a tranche fired may be what the user has added since: it is left alone."""


def finish_fired(fired: FiredStop, state: AccountState, *, now: Instant) -> Close | Reduce | None:
    """What closes the rest that a triggered stop left; None while it may still work, or when nothing is left."""
    held = state.held.get(fired.key)
    if held is None or held.episode.id != fired.episode or now.seconds_since(fired.at) < FIRED_FINISH_S:
        return None
    if held.read.seconds_since(fired.at) < FIRED_FINISH_S / 2 and not state.blocks:
        return None
    reason = f"stop {fired.order_id} fired {now.seconds_since(fired.at):.1f} s ago and left a rest"
    rest = _rest_of(fired, state, held)
    if rest is None:
        return Close(key=fired.key, episode=fired.episode, rule=fired.rule, reason=reason)
    if rest <= 0 or now.seconds_since(fired.at) > FIRED_TRANCHE_S:
        return None
    return Reduce(key=fired.key, episode=fired.episode, rule=fired.rule, size=rest, reason=reason)


def _rest_of(fired: FiredStop, state: AccountState, held: Held) -> Decimal | None:
    """What a tranche should have closed and didn't, by what the venue counts as closed since it was placed; None: all that is held.

    The push that tells of its trigger may come before the position's or after it: the quantity says nothing by itself.
    """
    placing = next((each for each in reversed(state.finished) if order_of(each) == fired.order_id), None)
    if placing is None:
        if fired.size is None or fired.size >= fired.quantity_before:
            return None
        return min(held.position.quantity - (fired.quantity_before - fired.size), fired.size)
    share = share_of(placing)
    if share is None:
        return None
    slot = placing.intent.rule
    others = {each.slot: each for each in held.episode.footing.filled if each.slot != slot}
    return min(share - closed_for(slot, placing, state, held, others), held.position.quantity)
