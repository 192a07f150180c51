"""Which rules come next for each position, and at which marks: for people, so it is solved when its answer may have changed.

Solving halves over the whole policy and takes milliseconds. The watch (`policy/watch.py`) knows when an answer may be another: as
long as a position's figures are those it was solved from and every comparison answers as it did, the next rule is the same.
"""

from collections.abc import Mapping
from decimal import Decimal
from heapq import nsmallest
from typing import Final

from msgspec import Struct

from guardd.model.facts import RuleAhead
from guardd.model.instant import NS_PER_S, Instant
from guardd.model.names import MarginMode, PositionKey, RuleName
from guardd.model.reading import Absent, Reading, is_value
from guardd.model.state import AccountState
from guardd.policy.crossings import UNMOVED_BY_MARK
from guardd.policy.explain import rules_ahead, view_of
from guardd.policy.language import Metric, Policy
from guardd.policy.view import View
from guardd.policy.watch import Solved
from guardd.risk.assess import PositionRisk
from guardd.risk.liquidation import ZERO

CHANGED_EVERY_NS: Final = NS_PER_S
DRIFTING_EVERY_NS: Final = 30 * NS_PER_S
"""What moves slowly and without an edge (the rest of a cross account, time, a drawdown) shifts the mark that is shown by little."""
DRIFT_SHOWN: Final = Decimal("0.01")
"""Part of the way to liquidation by which the venue's number of a cross position moves before people are shown what follows."""
AT_ONCE: Final = 2
"""A few positions at each look: no review stands long before a price frame."""
_BY_THEMSELVES: Final = UNMOVED_BY_MARK - {Metric.LEVERAGE}
"""Metrics that are other than they were without a figure of the position having changed."""


class _Found(Struct, frozen=True, kw_only=True):
    rules: tuple[RuleAhead, ...]
    basis: tuple[object, ...]
    liquidation: Reading
    mark: Decimal
    since_ns: int


class Ahead:
    """Kept by one lookout."""

    def __init__(self, state: AccountState) -> None:
        self._state = state
        self._found: dict[PositionKey, _Found] = {}

    def look(self, policy: Policy, solved: Mapping[PositionKey, Solved], now: Instant) -> None:
        """Solve for a few of those positions whose answer may be another; the one that waited longest goes first."""
        drifts = not policy.compared.isdisjoint(_BY_THEMSELVES)
        due = [key for key in self._state.held if self._is_due(key, solved.get(key), now, drifts=drifts)]
        if len(due) > AT_ONCE:
            due = nsmallest(AT_ONCE, due, key=lambda key: (self._since_ns(key), key))
        for key in due:
            view = view_of(policy, self._state, key, now)
            watched = solved.get(key)
            self._found[key] = _Found(
                rules=_rules(view) if view is not None else (),
                basis=self._basis(key, watched),
                liquidation=watched.liquidation if watched is not None else Absent.UNKNOWN,
                mark=view.risk.mark if view is not None else ZERO,
                since_ns=now.mono_ns,
            )

    def of(self, risk: PositionRisk) -> tuple[RuleName | None, Reading]:
        """The rule that comes next for this position and its mark; none where no rule does, or it wasn't looked for yet."""
        found = self._found.get(risk.key)
        if found is None or not found.rules:
            return None, Absent.NONE
        first = found.rules[0]
        return first.rule, risk.mark if first.is_true else first.at_mark_price

    def all_of(self, key: PositionKey) -> tuple[RuleAhead, ...]:
        """Every rule that a move of this position's mark makes act, the next one first; as solved, so it costs nothing."""
        found = self._found.get(key)
        return found.rules if found is not None else ()

    def forget(self, key: PositionKey) -> None:
        self._found.pop(key, None)

    def _is_due(self, key: PositionKey, solved: Solved | None, now: Instant, *, drifts: bool) -> bool:
        found = self._found.get(key)
        if found is None:
            return True
        waited_ns = now.mono_ns - found.since_ns
        if waited_ns < CHANGED_EVERY_NS:
            return False
        if found.basis != self._basis(key, solved) or (solved is not None and self._has_moved(key, found, solved)):
            return True
        return (drifts or solved is None or self._is_cross(key)) and waited_ns >= DRIFTING_EVERY_NS

    def _has_moved(self, key: PositionKey, found: _Found, solved: Solved) -> bool:
        """The venue's number is another than the answer was solved with; a cross position's moves with each mark of the account."""
        then, now = found.liquidation, solved.liquidation
        if not is_value(then) or not is_value(now):
            return then != now
        return abs(now - then) > (abs(found.mark - then) * DRIFT_SHOWN if self._is_cross(key) else ZERO)

    def _basis(self, key: PositionKey, solved: Solved | None) -> tuple[object, ...]:
        """What an answer hangs on, but what only drifts: the rest of a cross account does, a margin of its own doesn't."""
        if solved is None:
            return ()
        return solved.figures, solved.answered, () if self._is_cross(key) else solved.rest

    def _is_cross(self, key: PositionKey) -> bool:
        return self._state.held[key].position.margin_mode is MarginMode.CROSS

    def _since_ns(self, key: PositionKey) -> int:
        found = self._found.get(key)
        return found.since_ns if found is not None else 0


def _rules(view: View) -> tuple[RuleAhead, ...]:
    mark = view.risk.mark
    return tuple(
        RuleAhead(rule=each.rule, at_mark_price=each.at_mark_price, is_true=each.at_mark_price == mark)
        for each in rules_ahead(view)
    )
