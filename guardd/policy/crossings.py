"""At which mark does an answer change? Found by halving over the ticks with the plain evaluator, so exact to the tick.

Between the points where the reckoning itself bends (margin tiers, entries) or breaks (liquidation prices, a balance that is
gone) every metric of a position is a ratio of two straight lines in its own mark, or in its reciprocal, so a comparison
changes at most once there. Each such point is looked at on both of its sides.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import StrEnum
from itertools import pairwise
from typing import Final

from msgspec import Struct

from guardd.model.reading import is_value
from guardd.policy.conditions import Truth, Use, compare, evaluate, metric_of
from guardd.policy.language import Compare, Metric, PolicyRule
from guardd.risk.assess import PositionRisk, assess_on
from guardd.risk.ground import Ground, Number
from guardd.risk.liquidation import ZERO, Leg

MOVED_BY_MARK: Final = frozenset(
    {
        Metric.DISTANCE_TO_LIQUIDATION,
        Metric.BUFFER_LEFT,
        Metric.MARGIN_RATIO,
        Metric.ACCOUNT_MARGIN_RATIO,
        Metric.PROFIT_FROM_ENTRY,
        Metric.RETURN_ON_MARGIN,
        Metric.UNREALIZED_PNL,
        Metric.NOTIONAL,
        Metric.EFFECTIVE_LEVERAGE,
    }
)
"""What a mark price changes by itself; the rest hangs on reads, on an operator or on time."""
UNMOVED_BY_MARK: Final = frozenset(Metric) - MOVED_BY_MARK
BENT: Final = frozenset({Metric.MARGIN_RATIO, Metric.ACCOUNT_MARGIN_RATIO})
"""Metrics that margin tiers bend."""
CHANGES_MAX: Final = 32
"""Changes of single comparisons that the search for one rule's price steps over."""

Leaf = tuple[Compare, Use]
Answers = tuple[Truth, ...]


class Way(StrEnum):
    DOWN = "down"
    UP = "up"

    @property
    def sign(self) -> int:
        return -1 if self is Way.DOWN else 1


class Reach(Struct, frozen=True, kw_only=True):
    """`last`: the furthest mark on tick at which nothing has changed yet; `changed`: the tick after it, None where the search ended
    (at a liquidation price or at the edge of the range) without finding one."""

    last: Decimal
    changed: Decimal | None


def leaves_of(rules: tuple[PolicyRule, ...]) -> tuple[Leaf, ...]:
    """Every comparison that the mark can change, with each use that a rule makes of it; without repetitions."""
    found: dict[Leaf, None] = {}
    for rule in rules:
        for leaf in rule.leaves:
            if leaf.metric in MOVED_BY_MARK:
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
    return _Search(on, leaves, tick, way, mark, limit).change_after(mark, answered)


def fires_at(
    rule: PolicyRule, on: Ground, use: Use, *, mark: Decimal, tick: Decimal, way: Way, limit: Decimal
) -> Decimal | None:
    """The first mark on tick, going this way, at which the rule is true; None where there is none up to `limit`.

    Goes from change to change of its comparisons, so that conditions of every shape are found.
    """
    leaves = tuple((leaf, use) for leaf, warns in leaves_of((rule,)) if warns is Use.WARN)
    if not leaves:
        return None
    search = _Search(on, leaves, tick, way, mark, limit)
    at = mark
    for _ in range(CHANGES_MAX):
        found = search.change_after(at, answers(leaves, search.risk_at(at)))
        if found.changed is None:
            return None
        if evaluate(rule.when, search.risk_at(found.changed), use) is Truth.TRUE:
            return found.changed
        at = found.changed
    return None


def end_of_life(on: Ground, risk: PositionRisk, way: Way) -> Decimal | None:
    """Where the position ends this way: at the venue's number where it gives one, else at the furthest of ours; None: nowhere.

    The other way nothing ends but what can be told: a venue's number that is impossible here would only look possible beyond.
    """
    venue = on.position.liquidation_price
    told = is_value(venue) and beyond(venue, risk.mark, way)
    if way.sign * risk.exposure.sign > 0:
        return venue if told and is_value(venue) and risk.contradiction else None
    if told and is_value(venue):
        return venue
    ahead = [number for number in _numbers(on) if beyond(number, risk.mark, way)]
    return max(ahead, key=lambda number: way.sign * number, default=None)


@dataclass(slots=True)
class _Search:
    """One way from one mark; what was assessed once is remembered."""

    on: Ground
    leaves: tuple[Leaf, ...]
    tick: Decimal
    way: Way
    mark: Decimal
    limit: Decimal
    _risks: dict[Decimal, PositionRisk] = field(default_factory=dict)
    _stations: tuple[int, ...] | None = None

    def risk_at(self, at: Decimal) -> PositionRisk:
        found = self._risks.get(at)
        if found is None:
            found = self._risks[at] = assess_on(self.on, mark=at)
        return found

    def change_after(self, at: Decimal, answered: Answers) -> Reach:
        """The first tick beyond `at` (at it, where that isn't on tick) at which the leaves answer otherwise than `answered`."""
        sign = self.way.sign
        if self._stations is None:
            self._stations = tuple(self._list_stations())
        start = _tick_from(at, self.tick, self.way)
        if not self._stations or sign * (start - self._stations[-1]) > 0:
            return Reach(last=at, changed=None)
        if not self._same(start, answered):
            return Reach(last=at, changed=start * self.tick)
        last = start
        for station in self._stations:
            if sign * (station - last) <= 0:
                continue
            if not self._same(station, answered):
                return self._between(last, station, answered)
            last = station
        return Reach(last=last * self.tick, changed=None)

    def _same(self, index: int, answered: Answers) -> bool:
        return answers(self.leaves, self.risk_at(index * self.tick)) == answered

    def _between(self, low: int, high: int, answered: Answers) -> Reach:
        """The change within one piece: guessed from three points, then halved down to neighbouring ticks.

        A guess only saves steps: whatever it is, the answer is what the evaluator says on both sides of it.
        """
        sign = self.way.sign
        if abs(high - low) > 1:
            for guess in self._guesses(low, high, answered):
                for probe in (guess, guess - sign, guess + sign):
                    if sign * (probe - low) > 0 and sign * (high - probe) > 0:
                        if self._same(probe, answered):
                            low = probe
                        else:
                            high = probe
        while abs(high - low) > 1:
            middle = (low + high) // 2
            if self._same(middle, answered):
                low = middle
            else:
                high = middle
        return Reach(last=low * self.tick, changed=high * self.tick)

    def _guesses(self, low: int, high: int, answered: Answers) -> list[int]:
        """Where the comparison that changes first should do so, if its metric is a ratio of two straight lines there."""
        ends = (low, (low + high) // 2, high)
        seen = [(index * self.tick, self.risk_at(index * self.tick)) for index in ends]
        near, far = sorted((seen[0][0], seen[2][0]))
        roots: list[Decimal] = []
        for (leaf, use), before in zip(self.leaves, answered, strict=True):
            if compare(leaf, seen[2][1], use) is before:
                continue
            points = [(at, metric_of(risk, leaf.metric, use)) for at, risk in seen]
            root = _root(
                [(at, reading) for at, reading in points if reading is not None and is_value(reading)], leaf.threshold
            )
            if root is not None and near <= root <= far:
                roots.append(root)
        return [int(min(roots, key=lambda root: abs(root - seen[0][0])) / self.tick)] if roots else []

    # Where to look

    def _list_stations(self) -> Iterator[int]:
        """Ticks on the way, in their order: on both sides of each point where an answer may turn, and the last one of all."""
        life = end_of_life(self.on, self.risk_at(self.mark), self.way)
        if life is not None and beyond(self.limit, life, self.way):
            stop = _tick_before(life, self.tick, self.way)
        else:
            stop = _tick_within(self.limit, self.tick, self.way)
        sign, last = self.way.sign, _tick_from(self.mark, self.tick, self.way)
        end = stop * self.tick
        points = [point for point in self._points(end) if not beyond(point, end, self.way)]
        for point in sorted(points, key=lambda point: sign * point):
            before = _tick_before(point, self.tick, self.way)
            for index in (before, before + sign):
                if sign * (index - last) > 0 and sign * (stop - index) > 0:
                    yield index
                    last = index
        if sign * (stop - last) >= 0:
            yield stop

    def _points(self, stop: Decimal) -> set[Decimal]:
        """Prices ahead at which the metrics bend or break."""
        found = {number for number in _numbers(self.on) if beyond(number, self.mark, self.way)}
        if any(leaf.metric in BENT for leaf, _ in self.leaves):
            found |= {bend for bend in _bends(self.on) if beyond(bend, self.mark, self.way)}
            found |= _gone(self.on, self.mark, stop, found)
        return found


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


def _numbers(on: Ground) -> list[Decimal]:
    """Every liquidation price there is: there the figures jump to unknown."""
    numbers = (on.position.liquidation_price, on.near_liquidation, on.closing_liquidation)
    return [number for number in numbers if is_value(number) and number > 0]


def _bends(on: Ground) -> set[Decimal]:
    found: set[Decimal] = set()
    for leg in _legs(on):
        found.add(leg.entry)
        found.update(leg.along(tier.cap / leg.worth) for tier in leg.instrument.tiers[:-1])
    return found


def _gone(on: Ground, mark: Decimal, stop: Decimal, bends: set[Decimal]) -> set[Decimal]:
    """Where the balance is gone, and where nothing is asked of it any more: a ratio between them breaks there."""
    legs = _legs(on)
    apart = on.balance_apart
    if not legs or not is_value(apart):
        return set()

    def balance(price: Decimal) -> Decimal:
        return apart + sum((leg.pnl(price) for leg in legs), ZERO)

    if min(balance(mark), balance(stop)) > 0:
        return set()
    places = sorted({legs[0].along(price) for price in (mark, stop, *bends)})
    found = _zeros([(place, balance(legs[0].along(place))) for place in places])
    for number in (on.near, on.closing_ratio):
        if number is not None and number.burden_apart < 0:
            found |= _zeros([(place, _burden(number, legs, legs[0].along(place))) for place in places])
    return {legs[0].along(place) for place in found if place > 0}


def _burden(number: Number, legs: list[Leg], price: Decimal) -> Decimal:
    return number.burden_apart + sum((leg.burden(price, number.basis) for leg in legs), ZERO)


def _zeros(line: list[tuple[Decimal, Decimal]]) -> set[Decimal]:
    """Where a function that is straight between these places changes its sign."""
    found: set[Decimal] = set()
    for (x0, y0), (x1, y1) in pairwise(line):
        if (y0 > 0) is not (y1 > 0) and y0 != y1:
            found.add(x0 - y0 * (x1 - x0) / (y1 - y0))
    return found


def _legs(on: Ground) -> list[Leg]:
    return [leg for leg in (on.leg, *on.partners) if leg is not None and leg.worth > 0]


# Ticks, as whole numbers of them


def beyond(price: Decimal, other: Decimal, way: Way) -> bool:
    """True when `price` lies further this way than `other`."""
    return price < other if way is Way.DOWN else price > other


def _tick_from(price: Decimal, tick: Decimal, way: Way) -> int:
    """The price's own tick where it is on one, else the next on the way."""
    return _index(price, tick, ROUND_FLOOR if way is Way.DOWN else ROUND_CEILING)


def _tick_before(price: Decimal, tick: Decimal, way: Way) -> int:
    """The last tick on the way before this price."""
    return _tick_from(price, tick, way) - way.sign


def _tick_within(price: Decimal, tick: Decimal, way: Way) -> int:
    """The last tick on the way that is not beyond this price."""
    return _index(price, tick, ROUND_CEILING if way is Way.DOWN else ROUND_FLOOR)


def _index(price: Decimal, tick: Decimal, rounding: str) -> int:
    return int((price / tick).to_integral_value(rounding=rounding))
