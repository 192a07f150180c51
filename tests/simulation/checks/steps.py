"""How often and how soon the guard acts: cooldowns, the breaker, the leash, what is true at first sight (interfaces.md 2.3, 2.6).

These stand behind I14 and I24: windows and cooldowns hold across restarts, and a second instance adds one step at most.
"""

from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from guardd.model.intent import Action, Intent
from guardd.policy.language import Policy, PolicyRule
from guardd.simulator.ledger import LedgerRow
from guardd.simulator.orders import PositionSide
from tests.simulation.checks.ground import ZERO, Ground, LegKey

CLOSES_A_MINUTE: Final = 3
MINUTE_S: Final = 60.0
HOUR_S: Final = 3_600.0
CLOCK_KINDS: Final = frozenset({"clock-step", "clock-drift"})
LEASHED: Final = frozenset({Action.REDUCE, Action.TAKE_PROFIT})


@dataclass(slots=True)
class Steps:
    """`means` for each closing intent when it is durable, `fill` for each closing fill of ours."""

    ground: Ground
    _by_id: dict[str, tuple[Action, str, str]] = field(default_factory=dict)
    _filled: dict[tuple[LegKey, int, str], tuple[float, str]] = field(default_factory=dict)
    """By leg, episode and rule: when it last made the leg smaller, and by which decision."""
    _closing: dict[LegKey, deque[tuple[float, str]]] = field(default_factory=dict)
    _leashed: deque[tuple[float, str]] = field(default_factory=deque)
    """When an order was decided, and its client id."""
    _reduced: dict[LegKey, deque[tuple[float, Decimal]]] = field(default_factory=dict)

    def means(self, intent: Intent, now: float, *, alone: bool) -> None:
        """`alone`: no second guard is alive, and none was a moment ago."""
        case = self.ground.case
        if case is None:
            return
        if intent.action in LEASHED:
            self._leash(case.policy, intent, now, alone=alone)
        if intent.action not in {Action.REDUCE, Action.CLOSE}:
            return
        key = (str(intent.key.symbol), PositionSide(intent.key.side.value))
        decision = dict(intent.inputs).get("decision", intent.id)
        self._by_id[intent.id] = (intent.action, intent.rule, decision)
        if not alone:
            return
        if intent.action is Action.CLOSE:
            self._breaker(key, decision, now)
            return
        rule = next((each for each in case.policy.rules if each.name == intent.rule), None)
        if rule is not None:
            self._cooldown(rule, key, decision, now)

    def unsent(self, intent: Intent) -> None:
        """What never left or never arrived uses up none of the leash (interfaces.md 2.6)."""
        for place in reversed(range(len(self._leashed))):
            if self._leashed[place][1] == intent.id:
                del self._leashed[place]
                return

    def fill(self, row: LedgerRow, key: LegKey, now: float) -> None:
        """A closing fill of an order of ours."""
        known = self._by_id.get(str(row.details["client_id"]))
        if known is None:
            self.ground.breach("I20", now, f"{row.details['client_id']} fills and nobody told that it was decided")
            return
        action, rule, decision = known
        self._filled[key, self._episode(key), rule] = (now, decision)
        if action is Action.REDUCE:
            self._hourly(key, row, now)

    def _cooldown(self, rule: PolicyRule, key: LegKey, decision: str, now: float) -> None:
        """Counted from the verified outcome, which comes after the fill."""
        last = self._filled.get((key, self._episode(key), rule.name))
        if last is None or last[1] == decision or self._clock_moved(now, rule.cooldown_s):
            return
        if now - last[0] < rule.cooldown_s - 1.0:
            what = f"{rule.name} acts again on {key[0]} {key[1].value} {now - last[0]:.1f} s after its last step"
            self.ground.breach("I24", now, f"{what}, its cooldown is {rule.cooldown_s:g} s")

    def _breaker(self, key: LegKey, decision: str, now: float) -> None:
        recent = self._closing.setdefault(key, deque())
        while recent and recent[0][0] <= now - MINUTE_S:
            recent.popleft()
        if all(each != decision for _, each in recent):
            recent.append((now, decision))
        if len(recent) > CLOSES_A_MINUTE and not self._clock_moved(now, MINUTE_S):
            self.ground.breach("I24", now, f"{len(recent)} closing decisions in a minute on {key[0]} {key[1].value}")

    def _leash(self, policy: Policy, intent: Intent, now: float, *, alone: bool) -> None:
        self._leashed.append((now, intent.id))
        while self._leashed[0][0] <= now - MINUTE_S:
            self._leashed.popleft()
        allowed = policy.limits.orders_per_minute
        if len(self._leashed) > allowed and alone and not self._clock_moved(now, MINUTE_S):
            self.ground.breach("I24", now, f"{len(self._leashed)} orders in a minute, {allowed} allowed")

    def _hourly(self, key: LegKey, row: LedgerRow, now: float) -> None:
        """`reduce_per_hour`: a share of the largest quantity in the hour."""
        case = self.ground.case
        reduced, sizes = self._reduced.setdefault(key, deque()), self.ground.legs[key].sizes
        reduced.append((now, row.decimal("size")))
        while reduced[0][0] <= now - HOUR_S:
            reduced.popleft()
        while len(sizes) > 1 and sizes[1][0] <= now - HOUR_S:
            sizes.popleft()
        total, most = sum((size for _, size in reduced), ZERO), max(size for _, size in sizes)
        contract = self.ground.exchange.query.contract(key[0])
        if case is not None and total > most * case.policy.limits.reduce_per_hour + contract.step:
            self.ground.breach("I24", now, f"{total} of {most} reduced in an hour on {key[0]} {key[1].value}")

    def _episode(self, key: LegKey) -> int:
        position = self.ground.position(key)
        return position.opened_ms if position is not None else 0

    def _clock_moved(self, now: float, within_s: float) -> bool:
        """I24: across restarts windows carry wall time; one that jumped makes them doubtful, and never longer for a close."""
        return any(span.kind in CLOCK_KINDS and span.until_s >= now - within_s - MINUTE_S for span in self.ground.spans)
