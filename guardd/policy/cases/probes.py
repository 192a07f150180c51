"""Boundary probes, made by themselves: where a case crosses a rule's threshold, what happens one tick to either side of it.

While a case is played, each position is looked at before the prices of each step are told. A rule that is false at the prices
before and true at the price that comes crosses there; between the two the tick is searched at which its answer changes. The
case is then replayed up to that step, once with the price held on the last tick at which the rule is false (it must not fire)
and once on the first at which it is true (it must).

The search asks the plain evaluator. What the replay shows is that the whole guard says the same: its crossings, `for`,
confirmation, sizes and limits.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from guardd.model.instant import Instant
from guardd.model.intent import Action
from guardd.model.names import Side
from guardd.model.state import AccountState
from guardd.policy.cases.judge import Made, Recording
from guardd.policy.cases.language import Case, Track, TrackKind
from guardd.policy.cases.notation import Gap
from guardd.policy.conditions import Truth, Use, compare, evaluate
from guardd.policy.language import Compare, Policy, PolicyRule, compares
from guardd.policy.view import View, views
from guardd.risk.assess import assess_on

NOTICES: Final = frozenset({"notify", str(Action.STOP_LOSS), str(Action.TAKE_PROFIT), str(Action.CANCEL_ENTRIES)})
"""What a rule does by the nearer liquidation price; everything else needs the number that may close (interfaces.md 2.2)."""
STEPS_AFTER: Final = 2
"""How long a price is held beyond the rule's own `for`."""
_PRICES: Final = (TrackKind.MARK, TrackKind.INDEX, TrackKind.LAST)


class Crossing(Struct, frozen=True, kw_only=True):
    """A rule came true with the price of this step. `short` is the last tick at which it is false, `past` the next one."""

    step: int
    rule: PolicyRule
    symbol: str
    side: Side
    use: Use
    leaf: Compare
    short: Decimal
    past: Decimal


class Probe(Struct, frozen=True, kw_only=True):
    """A replay with the price held at `price` from the crossing on. `case` expects nothing; `holds` says what must be."""

    case: Case
    origin: str
    crossing: Crossing
    price: Decimal
    must_fire: bool

    @property
    def name(self) -> str:
        there = "must fire" if self.must_fire else "must not fire"
        return f"{self.crossing.rule.name} held at {self.price:f} {there} ({self.origin})"

    def holds(self, recording: Recording) -> bool:
        """True when the rule did as it must."""
        return self.must_fire == self.fired(recording) and not recording.broken

    def fired(self, recording: Recording) -> bool:
        """The rule has acted since the crossing: nothing that follows changes what the probe says."""
        return any(self._concerns(made) for made in recording.made)

    def _concerns(self, made: Made) -> bool:
        at = self.crossing
        return (
            (made.rule, made.symbol, made.side) == (at.rule.name, at.symbol, at.side)
            and made.at_s >= at.step * self.case.interval_s
            and (made.action in NOTICES) == (at.use is Use.WARN)
        )


@dataclass(slots=True)
class Crossings:
    """Watches one playing of a case; `look` is called before the prices of each step are told."""

    case: Case
    policy: Policy
    found: list[Crossing] = field(default_factory=list)

    def look(self, step: int, state: AccountState, now: Instant) -> None:
        """Note every rule that the prices of this step bring over its threshold."""
        if step == 0:
            return
        for view in views(self.policy, state, now):
            mark = self._mark(view, step)
            if mark is None or mark == view.risk.mark:
                continue
            for rule in view.rules:
                for use in _uses(rule):
                    self.found.extend(_crossing(view, rule, use, mark, step))

    def _mark(self, view: View, step: int) -> Decimal | None:
        track = self.case.track(TrackKind.MARK, view.held.key.symbol)
        if track is None or step >= len(track.samples):
            return None
        sample = track.samples[step]
        return None if isinstance(sample, Gap) else sample


def probes_of(case: Case, crossings: Iterable[Crossing], recording: Recording) -> tuple[Probe, ...]:
    """Two probes for each threshold of a rule that acted on being crossed; of several crossings of one the first."""
    found: list[Probe] = []
    seen: set[tuple[str, str, Side, Use, Compare]] = set()
    for crossing in crossings:
        name = (crossing.rule.name, crossing.symbol, crossing.side, crossing.use, crossing.leaf)
        if name in seen:
            continue
        must = _probe(case, crossing, crossing.past, must_fire=True)
        if must.holds(recording):
            seen.add(name)
            found += [_probe(case, crossing, crossing.short, must_fire=False), must]
    return tuple(found)


def _crossing(view: View, rule: PolicyRule, use: Use, mark: Decimal, step: int) -> list[Crossing]:
    def true_at(price: Decimal) -> bool:
        return evaluate(rule.when, assess_on(view.on, mark=price), use) is Truth.TRUE

    before, tick = view.risk.mark, view.instrument.tick
    if rule.when is None or true_at(before) or not true_at(mark):
        return []
    low, high = int(before / tick), int(mark / tick)
    while abs(high - low) > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if true_at(middle * tick) else (middle, high)
    short, past = low * tick, high * tick
    if true_at(short) or not true_at(past):
        return []
    key = view.held.key
    return [
        Crossing(step=step, rule=rule, symbol=key.symbol, side=key.side, use=use, leaf=leaf, short=short, past=past)
        for leaf in _changed(view, rule, use, short, past)
    ]


def _changed(view: View, rule: PolicyRule, use: Use, short: Decimal, past: Decimal) -> list[Compare]:
    """The comparison that makes the difference between the two ticks."""
    if rule.when is None:
        return []
    here, there = assess_on(view.on, mark=short), assess_on(view.on, mark=past)
    return [leaf for leaf in compares(rule.when) if compare(leaf, here, use) is not compare(leaf, there, use)][:1]


def _uses(rule: PolicyRule) -> tuple[Use, ...]:
    return (Use.WARN, Use.CLOSE) if rule.delevers else (Use.WARN,)


def _probe(case: Case, crossing: Crossing, price: Decimal, *, must_fire: bool) -> Probe:
    hold_s = Decimal(str(crossing.rule.hold_s))
    held = tuple(_held(track, crossing, price) for track in case.tracks)
    shortened = replace(
        case,
        name=f"{case.name} [{crossing.rule.name} at {price:f}]",
        tracks=held,
        lasts_s=crossing.step * case.interval_s + hold_s + STEPS_AFTER * case.interval_s,
        decisions=(),
        told=(),
    )
    return Probe(case=shortened, origin=case.name, crossing=crossing, price=price, must_fire=must_fire)


def _held(track: Track, crossing: Crossing, price: Decimal) -> Track:
    """The series up to the crossing; then its price stands, and everything else stands as it was before. Faults go on."""
    if track.kind is TrackKind.FAULT:
        return track
    before = track.samples[: crossing.step]
    if track.kind in _PRICES and track.of == crossing.symbol:
        return replace(track, samples=(*before, price))
    return replace(track, samples=before)
