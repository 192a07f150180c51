"""What may stand, and for how long: I5, I6, I10. Asked at each price, by look-ups alone."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from guardd.simulator.accounts import Position
from tests.simulation.checks.ground import ZERO, Ground, LegKey, Resting
from tests.simulation.checks.wanted import all_passed, loosest, share_passed

ACTS_WITHIN_S: Final = 6.0
"""I10: the venue takes orders for 5 s, and a round trip."""
SETTLES_S: Final = 10.0
PROTECTS_WITHIN_S: Final = 5.0
CLEARS_WITHIN_S: Final = 30.0
"""I6: two reconciliations after a flat that was confirmed by two reads."""
NEVER: Final = 1e9


@dataclass(slots=True)
class Standing:
    ground: Ground
    last_percent: Decimal
    """`last-resort` closes a position whose loss from entry passed this."""
    open_breach: bool = False
    unexplained_s: float = 0.0
    """Seconds in which a position had no stop and no fault explains it."""
    _due_since: dict[LegKey, float] = field(default_factory=dict)
    _bare_since: dict[LegKey, float] = field(default_factory=dict)
    _left_since: dict[LegKey, float] = field(default_factory=dict)
    _looked_at: float = 0.0

    def look(self, now: float, *, well: bool, parked: bool = False) -> None:
        """`parked`: until an operator's word only a missing stop is placed (interfaces.md 4)."""
        held = dict(self.ground.held())
        for key, position in held.items():
            self._breach_of(key, position, held, now, well=well and not parked)
            self._bare(key, position, now, well=well)
        for known in (self._due_since, self._bare_since):
            for key in [each for each in known if each not in held]:
                del known[key]
        self._leftovers(held, now, well=well and not parked)
        self._looked_at = now

    def due_s(self, symbols: set[str], now: float) -> float:
        """For how long, undisturbed, `last-resort` has called for a close of one of these."""
        return max((now - since for key, since in self._due_since.items() if key[0] in symbols), default=0.0)

    def _breach_of(
        self, key: LegKey, position: Position, held: dict[LegKey, Position], now: float, *, well: bool
    ) -> None:
        entry = self.ground.entry(position)
        gain = key[1].sign * (self.ground.mark(key[0]) - entry) / entry * 100
        if gain >= self.last_percent or self._hedged(key, held):
            self._due_since.pop(key, None)
            return
        self.open_breach = True
        since = self._due_since.setdefault(key, now)
        if not well:
            self._due_since[key] = now
        elif now - since > ACTS_WITHIN_S:
            what = f"{key[0]} {key[1].value} at {gain:.2f} % for {now - since:.1f} s and still held"
            self.ground.breach("I10", now, what)
            self._due_since[key] = now + NEVER

    def _bare(self, key: LegKey, position: Position, now: float, *, well: bool) -> None:
        covered = self.ground.covered(key)
        enough = covered >= position.size or covered >= position.size - self._passed(key, position)
        if enough or (not covered and self._none_can_rest(key)):
            self._bare_since.pop(key, None)
            return
        since = self._bare_since.setdefault(key, now)
        if not well:
            self._bare_since[key] = now
            return
        if now - since > PROTECTS_WITHIN_S or since > now:
            self.unexplained_s += now - self._looked_at
        if now - since > PROTECTS_WITHIN_S:
            what = "without any stop" if not covered else f"with {covered} of {position.size} covered"
            self.ground.breach("I10", now, f"{key[0]} {key[1].value} {what} for {now - since:.1f} s")
            self._bare_since[key] = now + NEVER

    def _passed(self, key: LegKey, position: Position) -> Decimal:
        """What of it was for tranches that the mark is through before they could rest."""
        case, view = self.ground.case, self.ground.exchange.query.position(self.ground.uid, *key)
        if case is None or view is None:
            return ZERO
        step = self.ground.exchange.query.contract(key[0]).step
        share = share_passed(case.policy, case.account, case.place, view)
        return share and share * position.size + step

    def _none_can_rest(self, key: LegKey) -> bool:
        case, view = self.ground.case, self.ground.exchange.query.position(self.ground.uid, *key)
        opened_ms, trigger = self.ground.fired.get(key, (-1, ZERO))
        fired = trigger if opened_ms == self.ground.opened_ms(key) else None
        return (
            case is not None
            and view is not None
            and all_passed(case.policy, case.account, case.place, view, fired=fired)
        )

    def _leftovers(self, held: dict[LegKey, Position], now: float, *, well: bool) -> None:
        """I6: what is ours goes soon after the position."""
        for key, there in self.ground.resting.items():
            if key in held or not any(each.ours for each in there.values()):
                self._left_since.pop(key, None)
                continue
            since = self._left_since.setdefault(key, now)
            if not well:
                self._left_since[key] = now
            elif now - since > CLEARS_WITHIN_S:
                left = [each.plan_id for each in there.values() if each.ours]
                self.ground.breach("I6", now, f"{left} outlive {key[0]} {key[1].value} by {now - since:.1f} s")
                self._left_since[key] = now + NEVER

    def _hedged(self, key: LegKey, held: dict[LegKey, Position]) -> bool:
        """The other leg is held too: closing this one alone may raise the net exposure (I15)."""
        return (key[0], key[1].opposite) in held

    def close_of_story(self, now: float, *, tranches: int, parked: bool = False) -> None:
        """Everything has come right (I5, I6)."""
        held = dict(self.ground.held())
        for key, position in held.items():
            if now - self.ground.legs[key].shrank_at < SETTLES_S:
                continue  # what its stop has just left is being closed
            self._protection(key, position, now, tranches=tranches, parked=parked)
        if parked:
            return
        for key in [each for each in self.ground.resting if each not in held]:
            for each in self._mine(key):
                self.ground.breach("I6", now, f"{each.plan_id} outlives its position on {key[0]} {key[1].value}")
        for order in self.ground.working.values():
            self.ground.breach("I6", now, f"order {order.order_id} of ours still works on {order.symbol}")

    def _protection(self, key: LegKey, position: Position, now: float, *, tranches: int, parked: bool) -> None:
        """Exactly what the policy asks for; an adequate order of the trader's counts."""
        where = f"{key[0]} {key[1].value}"
        mine, stops = self.ground.stops(key, ours=True), self.ground.stops(key)
        if len(mine) > tranches:
            self.ground.breach("I5", now, f"{len(mine)} stops of ours rest on {where}")
        least = position.size - self._passed(key, position)
        if sum((each.size for each in stops), ZERO) < least and (stops or not self._none_can_rest(key)):
            self.ground.breach("I5", now, f"{len(stops)} stops on {where} don't cover all of it")
        if parked:
            return
        profits = [each for each in self._mine(key) if each.kind == "take_profit"]
        if sum((min(each.size, position.size) for each in profits), ZERO) > position.size:
            self.ground.breach("I5", now, f"{len(profits)} take-profits of ours rest on {where}")
        case, view = self.ground.case, self.ground.exchange.query.position(self.ground.uid, *key)
        bound = None if case is None or view is None else loosest(case.policy, case.account, case.place, view)
        sign = key[1].sign
        if bound is not None and stops and tranches == 1 and all(sign * (each.trigger - bound) < 0 for each in stops):
            at = [str(each.trigger) for each in stops]
            self.ground.breach("I5", now, f"the stop on {where} rests at {at}, {bound:.6g} or nearer is asked for")

    def _mine(self, key: LegKey) -> list[Resting]:
        return [each for each in self.ground.resting.get(key, {}).values() if each.ours]
