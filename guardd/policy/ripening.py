"""When time alone changes an answer: an age reaches what a rule compares it with, a `for` is over, a figure grows too old, a step
is late, a cooldown ends."""

from collections.abc import Iterable, Iterator
from typing import Final

from guardd.model.instant import Instant
from guardd.model.state import AccountState
from guardd.policy.conditions import USES, Use
from guardd.policy.language import STRENGTHENS, Metric
from guardd.policy.levers import VERIFIED_WITHIN_S
from guardd.policy.memory import Memory
from guardd.policy.view import View
from guardd.risk.ages import READ_AGE_NEAR_S_MAX, READ_AGE_S_MAX

PAST_S: Final = 0.001
"""Comparisons are strict: an age that equals the threshold is not above it yet."""


def turns_in_s(
    views: Iterable[View], state: AccountState, memory: Memory, now: Instant, *, stale_after_s: float | None
) -> float | None:
    """Seconds until the first of these positions' rules may answer otherwise without anything having happened; None: never.

    Without `stale_after_s`: as long as the figures keep coming.
    """
    found = [
        waits_s
        for view in views
        for waits_s in (
            *_ages_turn_s(view),
            *_holding_turns_s(view, memory, now),
            *_levers_late_s(view, memory, now),
            *_cooldowns_end_s(view, state, now),
            *(() if stale_after_s is None else _growing_old_turns_s(view, stale_after_s)),
        )
        if waits_s >= 0
    ]
    return min(found) + PAST_S if found else None


def _ages_turn_s(view: View) -> Iterator[float]:
    ages_s = {Metric.POSITION_AGE: view.risk.position_age_s, Metric.DATA_AGE: view.risk.data_age_s}
    for rule in view.rules:
        for leaf in rule.leaves:
            age_s = ages_s.get(leaf.metric)
            if age_s is not None:
                threshold_s = float(leaf.threshold)
                yield threshold_s - age_s


def _holding_turns_s(view: View, memory: Memory, now: Instant) -> Iterator[float]:
    known = memory.of(view.held.episode.id).rules
    for rule in view.rules:
        for use in USES if rule.hold_s else ():
            remembered = known.get((rule.name, use))
            if remembered is not None and remembered.true_since is not None:
                yield rule.hold_s - now.seconds_since(remembered.true_since)


def _levers_late_s(view: View, memory: Memory, now: Instant) -> Iterator[float]:
    """A margin or leverage step that isn't verified by then has failed, and the rule goes on."""
    known = memory.of(view.held.episode.id).rules
    for rule in view.rules:
        if not rule.kinds.isdisjoint(STRENGTHENS):
            remembered = known.get((rule.name, Use.CLOSE))
            if remembered is not None and remembered.acted is not None:
                yield VERIFIED_WITHIN_S - now.seconds_since(remembered.acted)


def _cooldowns_end_s(view: View, state: AccountState, now: Instant) -> Iterator[float]:
    """A rule that is still true goes on with its next step then."""
    for rule in view.rules:
        progress = state.progress.get((view.held.episode.id, rule.name)) if rule.delevers else None
        if progress is not None and progress.verified is not None:
            yield rule.cooldown_s - now.seconds_since(progress.verified)


def _growing_old_turns_s(view: View, stale_after_s: float) -> Iterator[float]:
    if view.ages.mark_s is not None:
        yield stale_after_s - view.ages.mark_s
    for age_s in (view.ages.position_s, view.ages.account_s if view.cross else None):
        if age_s is not None:
            yield READ_AGE_NEAR_S_MAX - age_s
            yield READ_AGE_S_MAX - age_s
