"""At rest: another look soon would find what this one found, unless something happens that is noticed by itself.

What happens by itself is noticed: figures by the reads, marks by the watch, a `for`, a cooldown and an age by the moment they are
over. A look at each second is needed only while something is unsettled: a rule that acts is true, a figure is unknown or old, an
order is on its way.
"""

from collections.abc import Iterable
from typing import Final

from guardd.model.state import AccountState
from guardd.policy.conditions import USES
from guardd.policy.language import DELEVERS, CancelEntering, PolicyRule, TrailStop
from guardd.policy.memory import Memory
from guardd.policy.view import View
from guardd.risk.ages import READ_AGE_NEAR_S_MAX

MARK_AGE_AT_REST_S_MAX: Final = 3.5
"""Marks come each one to three seconds: older ones than this mean that something is about to be wrong."""
NOTICED_WITHIN_S: Final = 1.25
"""So long after the last look at the latest another one comes when figures stop coming: a second, and a pulse."""
_ACTS: Final[frozenset[type]] = frozenset((*DELEVERS, CancelEntering))


def at_rest(views: Iterable[View], state: AccountState, memory: Memory, *, stale_after_s: float) -> bool:
    """True when nothing about these positions is unsettled."""
    if state.pending or state.blocks or state.halted or state.parked is not None or state.unresolved:
        return False
    return stale_after_s >= MARK_AGE_AT_REST_S_MAX + NOTICED_WITHIN_S and all(_rests(view, memory) for view in views)


def _rests(view: View, memory: Memory) -> bool:
    held, ages = view.held, view.ages
    if view.stale or view.risk.contradiction or held.missing_since is not None or held.close_seen is not None:
        return False
    judged = [(ages.mark_s, MARK_AGE_AT_REST_S_MAX), (ages.position_s, READ_AGE_NEAR_S_MAX)]
    if view.cross:
        judged.append((ages.account_s, READ_AGE_NEAR_S_MAX))
    if any(age_s is None or age_s > limit_s for age_s, limit_s in judged):
        return False
    return not any(_stirs(rule, view, memory) for rule in view.rules)


def _stirs(rule: PolicyRule, view: View, memory: Memory) -> bool:
    """It follows the mark, can't be judged, or is true and does something that one try may not settle."""
    if TrailStop in rule.kinds:
        return True
    known = memory.of(view.held.episode.id).rules
    seen = [remembered for use in USES if (remembered := known.get((rule.name, use))) is not None]
    if any(each.unknown_since is not None for each in seen):
        return True
    return not rule.kinds.isdisjoint(_ACTS) and any(each.true_since is not None for each in seen)
