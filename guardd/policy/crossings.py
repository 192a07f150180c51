"""At which mark does an answer change? Found by halving over the ticks with the plain evaluator, so exact to the tick.

Between the points where the reckoning itself bends (margin tiers, entries) every metric of a position is a ratio of two
straight lines in its own mark, so a comparison changes at most once there. At a liquidation price the figures jump to
unknown: the search ends before it, and whoever gets there looks again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import StrEnum
from typing import Final

from guardd.model.reading import is_value
from guardd.policy.conditions import Truth, Use, compare, evaluate, metric_of
from guardd.policy.language import Compare, Metric, PolicyRule, compares
from guardd.risk.assess import PositionRisk, assess_on
from guardd.risk.ground import Ground

UNMOVED_BY_MARK: Final = frozenset(
    {Metric.LEVERAGE, Metric.ACCOUNT_DRAWDOWN, Metric.POSITION_AGE, Metric.DATA_AGE}
)
"""Of these the drawdown changes with account reads alone, and the ages with time (interfaces.md 2.2)."""
CHANGES_MAX: Final = 32
"""Changes of single comparisons that the search for one rule's price steps over."""

Leaf = tuple[Compare, Use]
Answers = tuple[Truth, ...]


class Way(StrEnum):
    DOWN = "down"
    UP = "up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """`last`: the furthest mark on tick at which nothing has changed yet; `changed`: the tick after it, None where the search ended
    (at a liquidation price or at the edge of the range) without finding one."""

    last: Decimal
    changed: Decimal | None


def leaves_of(rules: tuple[PolicyRule, ...]) -> tuple[Leaf, ...]:
    """Every comparison that the mark can change, with each use that a rule makes of it; without repetitions."""
    found: dict[Leaf, None] = {}
    for rule in rules:
        if rule.when is None:
            continue
        for leaf in compares(rule.when):
            if leaf.metric not in UNMOVED_BY_MARK:
                found[leaf, Use.WARN] = None
                if rule.delevers:
                    found[leaf, Use.CLOSE] = None
    return tuple(found)


def answers(leaves: tuple[Leaf, ...], risk: PositionRisk) -> Answers:
    return tuple(compare(leaf, risk, use) for leaf, use in leaves)


def reach(
    on: Ground, leaves: tuple[Leaf, ...], answered: Answers, *, mark: Decimal, tick: Decimal, way: Way, limit: Decimal
) -> Reach:
    """How far the mark can go before one of the `leaves` answers otherwise than `answered`, and no further than `limit`."""
    search = _Search(on, leaves, answered, tick)
    start = _on_tick(mark, tick, way)
    if _beyond(start, limit, way) or not search.same(start):
        return Reach(last=mark, changed=start)
    last = start
    for edge in _edges(on, mark, tick, way, limit):
        if not search.same(edge):
            return search.between(last, edge)
        last = edge
    return Reach(last=last, changed=None)


@dataclass(slots=True)
class _Search:
    on: Ground
    leaves: tuple[Leaf, ...]
    answered: Answers
    tick: Decimal

    def same(self, at: Decimal) -> bool:
        return answers(self.leaves, assess_on(self.on, mark=at)) == self.answered

    def between(self, good: Decimal, bad: Decimal) -> Reach:
        """The change within one piece: guessed from three points, then halved down to neighbouring ticks.

        A guess only saves steps: whatever it is, the answer is what the evaluator says on both sides of it.
        """
        low, high = int(good / self.tick), int(bad / self.tick)
        towards = 1 if high > low else -1
        for guess in self._guesses(good, bad):
            for probe in (guess - towards, guess, guess + towards):
                if (probe - low) * towards > 0 and (high - probe) * towards > 0:
                    if self.same(probe * self.tick):
                        low = probe
                    else:
                        high = probe
        while abs(high - low) > 1:
            middle = (low + high) // 2
            if self.same(middle * self.tick):
                low = middle
            else:
                high = middle
        return Reach(last=low * self.tick, changed=high * self.tick)

    def _guesses(self, good: Decimal, bad: Decimal) -> list[int]:
        """Where the comparison that changes first should do so, if its metric is a ratio of two straight lines there."""
        middle = (good + bad) / 2
        seen = [(at, assess_on(self.on, mark=at)) for at in (good, middle, bad)]
        roots: list[Decimal] = []
        for (leaf, use), before in zip(self.leaves, self.answered, strict=True):
            if compare(leaf, seen[2][1], use) is before:
                continue
            points = [(at, metric_of(risk, leaf.metric, use)) for at, risk in seen]
            root = _root(
                [(at, reading) for at, reading in points if reading is not None and is_value(reading)], leaf.threshold
            )
            if root is not None and min(good, bad) <= root <= max(good, bad):
                roots.append(root)
        return [int(min(roots, key=lambda root: abs(root - good)) / self.tick)] if roots else []


def _root(points: list[tuple[Decimal, Decimal]], target: Decimal) -> Decimal | None:
    """Where the ratio of two straight lines through three points takes the value `target` (the cross-ratio is invariant)."""
    if len(points) != 3:
        return None
    (x0, y0), (x1, y1), (x2, y2) = points
    divisor = (target - y2) * (y1 - y0) * (x1 - x2)
    if divisor == 0:
        return None
    ratio = (target - y0) * (y1 - y2) * (x1 - x0) / divisor
    return None if ratio == 1 else (x0 - ratio * x2) / (1 - ratio)


def fires_at(
    rule: PolicyRule, on: Ground, use: Use, *, mark: Decimal, tick: Decimal, way: Way, limit: Decimal
) -> Decimal | None:
    """The first mark on tick, going this way, at which the rule is true; None where there is none up to `limit`.

    Goes from change to change of its comparisons, so that conditions of every shape are found.
    """
    leaves = tuple((leaf, use) for leaf, _ in leaves_of((rule,)))
    at = mark
    for _ in range(CHANGES_MAX):
        answered = answers(tuple(dict.fromkeys(leaves)), assess_on(on, mark=at))
        found = reach(on, tuple(dict.fromkeys(leaves)), answered, mark=at, tick=tick, way=way, limit=limit)
        if found.changed is None or _beyond(found.changed, limit, way):
            return None
        if evaluate(rule.when, assess_on(on, mark=found.changed), use) is Truth.TRUE:
            return found.changed
        at = found.changed
    return None


def end_of_life(on: Ground, mark: Decimal, way: Way) -> Decimal | None:
    """The nearest liquidation price on this way, by whichever number: there the figures jump."""
    numbers = (on.position.liquidation_price, on.near_liquidation, on.closing_liquidation)
    ahead = [number for number in numbers if is_value(number) and number > 0 and _beyond(number, mark, way)]
    if not ahead:
        return None
    return max(ahead) if way is Way.DOWN else min(ahead)


def _edges(on: Ground, mark: Decimal, tick: Decimal, way: Way, limit: Decimal) -> Iterator[Decimal]:
    """Ticks at which to look on the way: around each bend of the reckoning, and the last one before the end."""
    end = end_of_life(on, mark, way)
    inward = ROUND_CEILING if way is Way.DOWN else ROUND_FLOOR
    stop = _grid(limit, tick, inward)
    if end is not None and not _beyond(end, limit, way):
        stop = _grid(end, tick, inward)
        if stop == end:
            stop += tick if way is Way.DOWN else -tick
    bends = sorted(_bends(on), reverse=way is Way.DOWN)
    previous = mark
    for bend in bends:
        at = _grid(bend, tick, inward)
        if _beyond(at, previous, way) and _beyond(stop, at, way):
            yield at
            previous = at
    if _beyond(stop, previous, way):
        yield stop


def _bends(on: Ground) -> set[Decimal]:
    found = {on.position.entry_price}
    legs = [leg for leg in (on.leg, *on.partners) if leg is not None and leg.worth > 0]
    for leg in legs:
        found.add(leg.entry)
        found.update(leg.along(tier.cap / leg.worth) for tier in leg.instrument.tiers[:-1])
    return found


def _beyond(price: Decimal, other: Decimal, way: Way) -> bool:
    """True when `price` lies further this way than `other`."""
    return price < other if way is Way.DOWN else price > other


def _on_tick(mark: Decimal, tick: Decimal, way: Way) -> Decimal:
    """The mark itself where it is on tick, else the next tick on the way."""
    return _grid(mark, tick, ROUND_FLOOR if way is Way.DOWN else ROUND_CEILING)


def _grid(price: Decimal, tick: Decimal, rounding: str) -> Decimal:
    return (price / tick).to_integral_value(rounding=rounding) * tick
