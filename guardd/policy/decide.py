"""The decision: what shall rest, what goes now, and what people are told (interfaces.md 2.3 to 2.5).

Calling it twice on the same state decides the same: what is in flight is part of the state, and blocks a second step.
"""

from collections.abc import Iterable

from msgspec import Struct

from guardd.model.decision import Decision, Tell
from guardd.model.event import FootingFound
from guardd.model.instant import Instant
from guardd.model.names import PositionKey, Symbol
from guardd.model.state import AccountState
from guardd.policy.confirm import Confirmation
from guardd.policy.language import Policy
from guardd.policy.look import Fired, Look
from guardd.policy.memory import Memory
from guardd.policy.rest import at_rest
from guardd.policy.ripening import turns_in_s
from guardd.policy.view import View, views
from guardd.risk.assess import PositionRisk


class Decided(Struct, frozen=True, kw_only=True):
    """What one look brought. `decisions` in the order in which they go: protection, entries, then what reduces risk."""

    decisions: tuple[Decision, ...]
    told: tuple[Tell, ...]
    fired: tuple[Fired, ...]
    ask_rest: frozenset[Symbol]
    """One REST mark of each is wanted now (I28)."""
    read_first: frozenset[PositionKey]
    """A rule would act on these, or their figures contradict each other: read positions and balance, then decide anew."""
    risks: tuple[PositionRisk, ...]
    """Every position that was looked at, for whoever shows it."""
    turns_in_s: float | None = None
    """After so long time alone may change an answer."""
    footings: tuple[FootingFound, ...] = ()
    """What protection stands on, where it changed: to be folded, and so remembered across a restart."""
    at_rest: bool = False
    """Another look soon would find nothing else, as long as the figures keep coming."""
    views: tuple[View, ...] = ()
    """What it was decided on: for whoever asks the same figures something else at this moment."""
    ripens_in_s: float | None = None
    """At rest: `turns_in_s` as long as they do, figures that grow old aside."""


def decide(
    policy: Policy,
    state: AccountState,
    memory: Memory,
    confirmation: Confirmation,
    *,
    now: Instant,
    symbols: Iterable[Symbol] | None = None,
) -> Decided:
    """Decide about all positions, or about those on `symbols` (what `Watch.affected` names after a crossing)."""
    look = Look(policy, state, memory, confirmation, now)
    seen = views(policy, state, now, symbols)
    for view in seen:
        look.judge(view)
    if memory.forget_ended(state):
        confirmation.forget(frozenset(key.symbol for key in state.held))
    look.conclude(seen)
    limit_s = policy.limits.stale_after_s
    rests = look.is_calm() and at_rest(seen, state, memory, stale_after_s=limit_s)
    return Decided(
        decisions=tuple(look.decisions),
        told=tuple(look.told),
        fired=tuple(look.fired),
        ask_rest=frozenset(look.ask_rest),
        read_first=frozenset(look.wishes.read_first),
        risks=tuple(view.risk for view in seen),
        turns_in_s=turns_in_s(seen, state, memory, now, stale_after_s=limit_s),
        footings=tuple(look.footings),
        at_rest=rests,
        views=seen,
        ripens_in_s=turns_in_s(seen, state, memory, now, stale_after_s=None) if rests else None,
    )


def react(
    policy: Policy,
    state: AccountState,
    memory: Memory,
    confirmation: Confirmation,
    *,
    now: Instant,
    symbols: Iterable[Symbol],
) -> Decided:
    """What a crossing calls for at once: the steps that de-lever, and nothing else. `decide` is to follow when they have left.

    A step that goes here is the one that `decide` would let go; protection, warnings and what waits are for that.
    """
    look = Look(policy, state, memory, confirmation, now)
    seen = views(policy, state, now, symbols)
    for view in seen:
        look.wish(view)
    look.choose()
    return Decided(
        decisions=tuple(look.decisions),
        told=tuple(look.told),
        fired=tuple(look.fired),
        ask_rest=frozenset(look.ask_rest),
        read_first=frozenset(look.wishes.read_first),
        risks=tuple(view.risk for view in seen),
        footings=tuple(look.footings),
        views=seen,
    )
