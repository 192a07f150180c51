"""Price paths as pure generators: the same arguments give the same prices on any machine.

A path yields `PriceTick`s with rising offsets from its start; the caller adds its own beginning and moves the exchange.
Paths of several symbols are merged by offset; overlays (a bad mark, last and index apart from the mark) wrap a path.
Randomness is integer arithmetic on a seeded generator, because libm differs between machines.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from itertools import pairwise
from random import Random

from msgspec import Struct
from msgspec.structs import replace

from guardd.simulator.records import Quote

STEP_MS = 100
HALF_SPREAD = Decimal("0.0001")
MS_PER_S = 1_000


class PriceTick(Struct, frozen=True, kw_only=True):
    offset_ms: int
    symbol: str
    quote: Quote


class Instrument(Struct, frozen=True, kw_only=True):
    """What a path must know of a contract: its name, its tick and the half spread as a fraction of the price."""

    symbol: str
    tick: Decimal
    half_spread: Decimal = HALF_SPREAD


class CrashClass(StrEnum):
    ALT = "alt"
    MAJOR = "major"


class FeedEffectKind(StrEnum):
    STALL = "stall"  # nothing is sent; what was due is dropped
    LAG = "lag"  # sent, but late


class FeedEffect(Struct, frozen=True, kw_only=True):
    """What the public feed suffers from `start_ms` to `end_ms`: `share` of the frames, `delay_ms` late when lagging."""

    kind: FeedEffectKind
    start_ms: int
    end_ms: int
    delay_ms: int = 0
    share: Decimal = Decimal(1)


def flat(instrument: Instrument, price: Decimal, *, duration_ms: int, step_ms: int = STEP_MS) -> Iterator[PriceTick]:
    """One price, repeated."""
    return scripted(instrument, [(0, price), (duration_ms, price)], step_ms=step_ms)


def scripted(
    instrument: Instrument, points: Sequence[tuple[int, Decimal]], *, step_ms: int = STEP_MS
) -> Iterator[PriceTick]:
    """Linear between (offset_ms, mark) points, which must have rising offsets; the points themselves are ticks too."""
    _check_points(points)
    offset, end = points[0][0], points[-1][0]
    corners = [at for at, _ in points[1:]]
    while offset <= end:
        yield _tick(instrument, offset, interpolate(points, offset))
        following = offset + step_ms
        while corners and corners[0] <= offset:
            corners.pop(0)
        offset = min([following, *corners[:1]])


def random_walk(
    instrument: Instrument,
    start: Decimal,
    *,
    seed: int,
    volatility_per_s: Decimal,
    duration_ms: int,
    step_ms: int = STEP_MS,
) -> Iterator[PriceTick]:
    """A multiplicative walk whose returns have the standard deviation `volatility_per_s` (fraction) each second."""
    rng = Random(f"{seed}:{instrument.symbol}")  # noqa: S311 - reproducible, not a secret
    per_step = volatility_per_s * (Decimal(step_ms) / MS_PER_S).sqrt()
    price = start
    for offset in range(0, duration_ms + 1, step_ms):
        yield _tick(instrument, offset, price)
        price *= max(1 + per_step * _normal(rng), Decimal("0.01"))


def crash(
    instrument: Instrument,
    start: Decimal,
    *,
    crash_class: CrashClass,
    seed: int,
    begins_ms: int,
    duration_ms: int,
    step_ms: int = STEP_MS,
) -> Iterator[PriceTick]:
    """The cascade of 2025-10-10: alts fall 7–10 % within one second and 20 % within ten, majors a third of that.

    Before `begins_ms` the price drifts down by half a percent; after the low it recovers by about half of the fall.
    """
    rng = Random(f"{seed}:{instrument.symbol}")  # noqa: S311 - reproducible, not a secret
    points = [(at, start * factor) for at, factor in _crash_shape(crash_class, rng, begins_ms)]
    noise = Decimal("0.0002")
    for offset in range(0, duration_ms + 1, step_ms):
        price = interpolate(points, offset) * (1 + noise * max(min(_normal(rng), Decimal(2)), Decimal(-2)))
        yield _tick(instrument, offset, price)


def crash_feed_effects(begins_ms: int) -> tuple[FeedEffect, ...]:
    """How the feeds suffered in that cascade: silent for seven seconds, then late by 5 s mostly and 40 s in the tail."""
    stalled_until = begins_ms + 7_300
    return (
        FeedEffect(kind=FeedEffectKind.STALL, start_ms=begins_ms + 300, end_ms=stalled_until),
        FeedEffect(
            kind=FeedEffectKind.LAG,
            start_ms=stalled_until,
            end_ms=begins_ms + 60_000,
            delay_ms=5_000,
            share=Decimal("0.2"),
        ),
        FeedEffect(
            kind=FeedEffectKind.LAG,
            start_ms=stalled_until,
            end_ms=begins_ms + 60_000,
            delay_ms=15_000,
            share=Decimal("0.05"),
        ),
        FeedEffect(
            kind=FeedEffectKind.LAG,
            start_ms=stalled_until,
            end_ms=begins_ms + 60_000,
            delay_ms=40_000,
            share=Decimal("0.01"),
        ),
    )


def merged(*paths: Iterable[PriceTick]) -> Iterator[PriceTick]:
    """Several paths as one, by offset, then in the order in which they were given."""
    return heapq.merge(*paths, key=lambda tick: tick.offset_ms)


def shifted(path: Iterable[PriceTick], by_ms: int) -> Iterator[PriceTick]:
    """The same path, later."""
    return (replace(tick, offset_ms=tick.offset_ms + by_ms) for tick in path)


def with_bad_marks(path: Iterable[PriceTick], factors: Mapping[int, Decimal]) -> Iterator[PriceTick]:
    """At the first tick at or after each offset the mark alone is multiplied: one wrong print, everything else right."""
    waiting = sorted(factors)
    for tick in path:
        if waiting and tick.offset_ms >= waiting[0]:
            factor = factors[waiting.pop(0)]
            tick = replace(tick, quote=replace(tick.quote, mark=tick.quote.mark * factor))
        yield tick


def diverged(
    path: Iterable[PriceTick],
    *,
    from_ms: int,
    to_ms: int,
    tick: Decimal,
    last: Decimal = Decimal(0),
    index: Decimal = Decimal(0),
) -> Iterator[PriceTick]:
    """Between the offsets, last (with bid and ask) and index stand apart from the mark by these fractions."""
    for seen in path:
        if not from_ms <= seen.offset_ms < to_ms:
            yield seen
            continue
        quote = seen.quote
        apart = replace(
            quote,
            last=on_tick(quote.last * (1 + last), tick),
            bid=on_tick(quote.bid * (1 + last), tick),
            ask=on_tick(quote.ask * (1 + last), tick),
            index=on_tick(quote.index * (1 + index), tick),
        )
        yield replace(seen, quote=apart)


def interpolate(points: Sequence[tuple[int, Decimal]], offset_ms: int) -> Decimal:
    """The value at an offset: linear between the points, constant outside them."""
    if offset_ms <= points[0][0]:
        return points[0][1]
    for (left_at, left), (right_at, right) in pairwise(points):
        if offset_ms <= right_at:
            return left + (right - left) * (offset_ms - left_at) / (right_at - left_at)
    return points[-1][1]


def on_tick(price: Decimal, tick: Decimal) -> Decimal:
    """The nearest multiple of the tick, at least one."""
    return max((price / tick).to_integral_value(ROUND_HALF_EVEN), Decimal(1)) * tick


def _check_points(points: Sequence[tuple[int, Decimal]]) -> None:
    offsets = [at for at, _ in points]
    if not points or any(later <= earlier for earlier, later in pairwise(offsets)):
        raise ValueError(f"a scripted path needs points with rising offsets, got {offsets}")


def _crash_shape(crash_class: CrashClass, rng: Random, begins_ms: int) -> list[tuple[int, Decimal]]:
    """(offset, factor of the starting price) corners."""
    first_second = Decimal(rng.randrange(75, 96)) / 1000  # 7.5 to 9.5 %, so that noise stays within 7 to 10
    ten_seconds = Decimal(rng.randrange(202, 220)) / 1000
    low = ten_seconds + Decimal(rng.randrange(20, 60)) / 1000
    scale = Decimal(1) if crash_class is CrashClass.ALT else Decimal("0.35")
    before = Decimal("0.995")
    falls = [
        (1_000, first_second),
        (10_000, ten_seconds),
        (25_000, low),
        (60_000, low * Decimal("0.7")),
        (180_000, low / 2),
    ]
    return [
        (0, Decimal(1)),
        (max(begins_ms, 1), before),
        *((begins_ms + at, before * (1 - fall * scale)) for at, fall in falls),
    ]


def _normal(rng: Random) -> Decimal:
    """About normal, mean 0 and deviation 1: the sum of twelve uniform integers."""
    return Decimal(sum(rng.randrange(1_000_001) for _ in range(12)) - 6_000_000) / 1_000_000


def _tick(instrument: Instrument, offset_ms: int, price: Decimal) -> PriceTick:
    mark = on_tick(price, instrument.tick)
    half = max(on_tick(price * instrument.half_spread, instrument.tick), instrument.tick)
    bid = max(mark - half, instrument.tick)
    quote = Quote(mark=mark, index=mark, last=mark, bid=bid, ask=bid + 2 * half)
    return PriceTick(offset_ms=offset_ms, symbol=instrument.symbol, quote=quote)
