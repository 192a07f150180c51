"""When a rule fires on a model position: at once, on the way against it, on the way in its favour, or never.

Walked from change to change of its comparisons with the daemon's own search (`crossings.reach`). What a model doesn't have, an
age or a size or a drawdown, counts as unknown: it may be either, so "never" needs no help from it, and neither does "at once".
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from msgspec import Struct

from guardd.policy.conditions import Truth, Use, evaluate
from guardd.policy.crossings import CHANGES_MAX, UNMOVED_BY_MARK, Way, answers, leaves_of, reach
from guardd.policy.language import Metric, PolicyRule
from guardd.policy.sense.models import ENTRY, Modelled
from guardd.policy.triggers import FARTHEST_SHARE, FARTHEST_TIMES, against
from guardd.risk.assess import assess_on

FREE: Final = UNMOVED_BY_MARK | {Metric.NOTIONAL, Metric.UNREALIZED_PNL}
"""What hangs on more than the leverage and the mark."""
CAPS: Final = frozenset({Metric.EFFECTIVE_LEVERAGE})
"""What a rule may bound whatever the mark is: true at once is then what was meant."""


class Firing(Struct, frozen=True, kw_only=True):
    """One rule on one model position. `against`, `favour`: the first mark on that way at which it is true; None: at none."""

    rule: PolicyRule
    on: Modelled
    at_once: bool
    by_cap: bool
    """At once, and only because of what it bounds."""
    possible: bool
    """Somewhere it is true, or may be."""
    against: Decimal | None
    favour: Decimal | None

    @property
    def first_against(self) -> Decimal | None:
        """Where it acts as the price turns against the position; the entry where it does at once."""
        return ENTRY if self.at_once else self.against


def use_of(rule: PolicyRule) -> Use:
    return Use.CLOSE if rule.delevers else Use.WARN


def firing(rule: PolicyRule, on: Modelled) -> Firing:
    """Walk both ways from the entry."""
    hurts = against(on.view)
    helps = Way.UP if hurts is Way.DOWN else Way.DOWN
    possible = False
    found: dict[Way, Decimal | None] = {hurts: None, helps: None}
    for way in (hurts, helps):
        for mark in _marks(rule, on, way):
            truth = _truth(rule, on, mark, FREE)
            possible = possible or truth is not Truth.FALSE
            if truth is Truth.TRUE and found[way] is None and mark != ENTRY:
                found[way] = mark
    at_once = rule.when is not None and _truth(rule, on, ENTRY, FREE) is Truth.TRUE
    return Firing(
        rule=rule,
        on=on,
        at_once=at_once,
        by_cap=at_once and _truth(rule, on, ENTRY, FREE | CAPS) is not Truth.TRUE,
        possible=possible,
        against=found[hurts],
        favour=found[helps],
    )


def _truth(rule: PolicyRule, on: Modelled, mark: Decimal, without: frozenset[Metric]) -> Truth:
    return evaluate(rule.when, assess_on(on.view.on, mark=mark), use_of(rule), without=without)


def _marks(rule: PolicyRule, on: Modelled, way: Way) -> Iterator[Decimal]:
    """The entry, and after it the first mark of each stretch on which the rule's comparisons answer alike."""
    ground, tick = on.view.on, on.view.instrument.tick
    leaves = tuple(dict.fromkeys((leaf, use_of(rule)) for leaf, _ in leaves_of((rule,))))
    limit = ENTRY * (FARTHEST_SHARE if way is Way.DOWN else FARTHEST_TIMES)
    mark = ENTRY
    yield mark
    for _ in range(CHANGES_MAX if leaves else 0):
        answered = answers(leaves, assess_on(ground, mark=mark))
        found = reach(ground, leaves, answered, mark=mark, tick=tick, way=way, limit=limit)
        if found.changed is None:
            return
        mark = found.changed
        yield mark
