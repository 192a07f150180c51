from collections.abc import Iterable
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardd.simulator.prices import (
    CrashClass,
    FeedEffectKind,
    Instrument,
    PriceTick,
    crash,
    crash_feed_effects,
    diverged,
    flat,
    merged,
    random_walk,
    scripted,
    shifted,
    with_bad_marks,
)

SOL = Instrument(symbol="SOLUSDT", tick=Decimal("0.01"))
BTC = Instrument(symbol="BTCUSDT", tick=Decimal("0.1"))


def mark_at(path: Iterable[PriceTick], offset_ms: int) -> Decimal:
    return next(tick.quote.mark for tick in path if tick.offset_ms == offset_ms)


def test_a_script_is_linear_between_its_points_and_hits_each() -> None:
    points = [(0, Decimal(100)), (150, Decimal(130)), (400, Decimal(80))]
    path = [(tick.offset_ms, tick.quote.mark) for tick in scripted(SOL, points)]
    assert path == [
        (0, Decimal(100)),
        (100, Decimal(120)),
        (150, Decimal(130)),
        (250, Decimal(110)),
        (350, Decimal(90)),
        (400, Decimal(80)),
    ]


@pytest.mark.parametrize("points", [[], [(0, Decimal(1)), (0, Decimal(2))], [(5, Decimal(1)), (1, Decimal(2))]])
def test_a_script_without_rising_offsets_is_refused(points: list[tuple[int, Decimal]]) -> None:
    with pytest.raises(ValueError, match="rising offsets"):
        list(scripted(SOL, points))


def test_a_flat_path_stays_where_it_is() -> None:
    path = list(flat(SOL, Decimal(180), duration_ms=1_000))
    assert {tick.quote.mark for tick in path} == {Decimal(180)}
    assert [tick.offset_ms for tick in path] == list(range(0, 1_001, 100))


@given(seed=st.integers(0, 10_000))
def test_a_walk_repeats_with_its_seed_and_stays_a_market(seed: int) -> None:
    def walk() -> list[PriceTick]:
        volatility = Decimal("0.05")
        return list(random_walk(SOL, Decimal(180), seed=seed, volatility_per_s=volatility, duration_ms=2_000))

    path = walk()
    assert path == walk()
    for tick in path:
        quote = tick.quote
        assert 0 < quote.bid < quote.ask
        assert quote.bid <= quote.mark <= quote.ask
        assert quote.mark % SOL.tick == 0


def test_a_walk_has_about_the_volatility_it_was_given() -> None:
    path = random_walk(
        SOL, Decimal(10_000), seed=1, volatility_per_s=Decimal("0.01"), duration_ms=400_000, step_ms=1_000
    )
    marks = [tick.quote.mark for tick in path]
    returns = [later / earlier - 1 for earlier, later in pairwise(marks)]
    deviation = (sum(value * value for value in returns) / len(returns)).sqrt()
    assert Decimal("0.0085") < deviation < Decimal("0.0115")


@given(seed=st.integers(0, 10_000))
def test_the_crash_falls_as_measured_on_2025_10_10(seed: int) -> None:
    path = list(crash(SOL, Decimal(180), crash_class=CrashClass.ALT, seed=seed, begins_ms=5_000, duration_ms=120_000))
    before = mark_at(path, 5_000)
    fall = {ms: 1 - mark_at(path, 5_000 + ms) / before for ms in (1_000, 10_000, 60_000)}
    assert Decimal("0.07") <= fall[1_000] <= Decimal("0.10")
    assert Decimal("0.20") <= fall[10_000] <= Decimal("0.225")
    low = min(tick.quote.mark for tick in path)
    assert path[-1].quote.mark > low
    assert fall[60_000] < 1 - low / before


def test_a_major_falls_about_a_third_of_an_alt() -> None:
    path = list(crash(BTC, Decimal(90_000), crash_class=CrashClass.MAJOR, seed=4, begins_ms=5_000, duration_ms=30_000))
    fall = 1 - mark_at(path, 15_000) / mark_at(path, 5_000)
    assert Decimal("0.06") < fall < Decimal("0.09")


def test_the_feeds_of_the_crash_stall_for_seven_seconds_and_lag_up_to_forty() -> None:
    effects = crash_feed_effects(5_000)
    stalls = [effect for effect in effects if effect.kind is FeedEffectKind.STALL]
    assert [stall.end_ms - stall.start_ms for stall in stalls] == [7_000]
    lags = [effect for effect in effects if effect.kind is FeedEffectKind.LAG]
    assert {lag.delay_ms for lag in lags} == {5_000, 15_000, 40_000}
    assert sum(lag.share for lag in lags) < 1


def test_paths_are_merged_by_time() -> None:
    one = flat(SOL, Decimal(180), duration_ms=300)
    two = shifted(flat(BTC, Decimal(90_000), duration_ms=300), 50)
    offsets = [tick.offset_ms for tick in merged(one, two)]
    assert offsets == sorted(offsets)
    assert len(offsets) == 8


def test_a_bad_mark_is_one_tick_and_the_mark_alone() -> None:
    path = list(with_bad_marks(flat(SOL, Decimal(180), duration_ms=500), {250: Decimal("0.5")}))
    wrong = [tick for tick in path if tick.quote.mark != 180]
    assert [(tick.offset_ms, tick.quote.mark, tick.quote.last) for tick in wrong] == [(300, Decimal(90), Decimal(180))]


def test_last_and_index_can_stand_apart_from_the_mark_for_a_while() -> None:
    path = list(
        diverged(
            flat(SOL, Decimal(100), duration_ms=300),
            from_ms=100,
            to_ms=300,
            tick=SOL.tick,
            last=Decimal("-0.05"),
            index=Decimal("0.01"),
        )
    )
    assert [(tick.quote.mark, tick.quote.last, tick.quote.index) for tick in path] == [
        (100, 100, 100),
        (100, 95, 101),
        (100, 95, 101),
        (100, 100, 100),
    ]
    assert path[1].quote.bid < 95 < path[1].quote.ask
