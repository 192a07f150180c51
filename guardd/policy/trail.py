"""The best confirmed mark that a trailing stop stays behind (interfaces.md 2.4 `trail_stop`).

One bad price never moves a stop either: a mark is the best only as far as a second witness came too (I28). It is taken down in
steps of what a stop isn't moved for, so that the journal isn't written with every tick.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Final

from guardd.model.names import RuleName
from guardd.policy.language import PolicyRule, TrailStop
from guardd.policy.memory import EpisodeMemory
from guardd.policy.placing import At

STEP_RATIO: Final = Decimal("0.001")
"""A stop moves from 0.1 % on (interfaces.md 2.4)."""


def follow(rules: Iterable[PolicyRule], at: At) -> None:
    """Take in how far the mark has come in favour, for every rule about the position that trails, whether it is true now or not."""
    reached = at.reached
    if reached is None:
        return
    for name in trailing(rules):
        best = at.memory.best.get(name)
        if best is None or at.sign * (reached - best) >= STEP_RATIO * best:
            at.memory.best[name] = reached


def begin_anew(rule: RuleName, at: At) -> None:
    """From the present mark on: a stop that would be passed before it was ever placed protects nothing."""
    if at.reached is not None:
        at.memory.best[rule] = at.reached


def trail_price(rule: RuleName, action: TrailStop, at: At) -> Decimal | None:
    """Behind the best by the distance, a share of the best; not yet on tick. None while no mark was confirmed."""
    best = at.memory.best.get(rule)
    return None if best is None else best * (1 - at.sign * action.distance)


def next_best(memory: EpisodeMemory, sign: int) -> Iterator[Decimal]:
    """The marks from which on a trailing stop has to be looked at again."""
    for best in memory.best.values():
        yield best * (1 + sign * STEP_RATIO)


def trailing(rules: Iterable[PolicyRule]) -> Iterator[RuleName]:
    for rule in rules:
        if any(isinstance(action, TrailStop) for action in rule.then):
            yield rule.name
