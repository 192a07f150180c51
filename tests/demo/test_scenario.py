"""The market that the demo plays: deterministic, calibrated, and deadly for an account that nobody guards."""

import itertools
from decimal import Decimal

import pytest

from guardd.demo import scenario
from guardd.simulator.ledger import RowKind
from guardd.simulator.orders import MarginMode, PositionMode, PositionSide
from tests.demo.course import BEGAN_MS, opened, played

LENGTHS = (scenario.SECONDS_MIN, scenario.SECONDS, scenario.SECONDS_MAX)


@pytest.mark.parametrize("seconds", LENGTHS[:2])
@pytest.mark.parametrize("seed", range(8))
def test_an_unguarded_account_is_liquidated_isolated_and_cross_whatever_the_seed(seed: int, seconds: int) -> None:
    play = scenario.play(seed=seed, seconds=seconds)
    exchange = played(play, seed=seed)
    for uid in (scenario.GUARDED, scenario.TWIN):
        rows = exchange.ledger.rows(uid=uid, kind=RowKind.LIQUIDATED)
        assert [row.details["symbols"] for row in rows] == ["SOLUSDT", "BTCUSDT,ETHUSDT"]
        assert all(row.at_ms - BEGAN_MS > play.crash_ms for row in rows)
        assert rows[-1].at_ms - BEGAN_MS < play.end_ms - 1_000
        assert exchange.query.balance(uid).equity == 0


def test_the_longest_play_ends_as_the_shortest_does() -> None:
    exchange = played(scenario.play(seed=5, seconds=scenario.SECONDS_MAX))
    assert exchange.ledger.summary(scenario.TWIN).liquidations == 2


@pytest.mark.parametrize("seconds", LENGTHS)
def test_the_same_seed_and_length_give_the_same_prices(seconds: int) -> None:
    assert scenario.play(seed=7, seconds=seconds) == scenario.play(seed=7, seconds=seconds)
    assert scenario.play(seed=7, seconds=seconds).marks != scenario.play(seed=8, seconds=seconds).marks


@pytest.mark.parametrize("seconds", LENGTHS)
def test_offsets_rise_from_zero_to_the_end_in_every_contract(seconds: int) -> None:
    play = scenario.play(seed=1, seconds=seconds)
    for points in play.marks.values():
        offsets = [at for at, _ in points]
        assert offsets == sorted(set(offsets))
        assert (offsets[0], offsets[-1]) == (0, play.end_ms)


@pytest.mark.parametrize("seed", range(8))
def test_an_alt_falls_in_the_crash_as_was_measured(seed: int) -> None:
    play = scenario.play(seed=seed, seconds=scenario.SECONDS)
    marks = dict(play.marks["SOLUSDT"])
    before = marks[play.crash_ms]
    assert Decimal("0.07") <= 1 - marks[play.crash_ms + 1_000] / before <= Decimal("0.1")
    assert Decimal("0.19") <= 1 - marks[play.crash_ms + 10_000] / before <= Decimal("0.23")


def test_no_price_jumps_where_one_act_becomes_the_next() -> None:
    play = scenario.play(seed=3, seconds=scenario.SECONDS)
    for points in play.marks.values():
        for (_, before), (at, after) in itertools.pairwise(points):
            if at <= play.crash_ms:
                assert abs(after / before - 1) < Decimal("0.005")


def test_both_accounts_begin_equal_in_hedge_mode_with_a_long_and_a_short_isolated_and_cross() -> None:
    exchange = opened()
    one, other = (exchange.query.positions(uid) for uid in (scenario.GUARDED, scenario.TWIN))
    assert [(p.symbol, p.side, p.size, p.entry_price, p.liquidation_price) for p in one] == [
        (p.symbol, p.side, p.size, p.entry_price, p.liquidation_price) for p in other
    ]
    assert {p.side for p in one} == {PositionSide.LONG, PositionSide.SHORT}
    assert {p.margin_mode for p in one} == {MarginMode.CROSS, MarginMode.ISOLATED}
    assert exchange.query.position_mode(scenario.GUARDED) is PositionMode.HEDGE


@pytest.mark.parametrize("seconds", [scenario.SECONDS_MIN - 1, scenario.SECONDS_MAX + 1])
def test_a_length_that_the_crash_does_not_fit_is_refused(seconds: int) -> None:
    with pytest.raises(ValueError, match="expected 15 to 600"):
        scenario.play(seed=1, seconds=seconds)


def test_the_acts_follow_each_other() -> None:
    play = scenario.play(seed=1, seconds=scenario.SECONDS)
    moments = (-1, 0, play.slide_ms, play.crash_ms, play.end_ms + 1)
    assert [play.act(at) for at in moments] == ["opening", "calm", "slide", "crash", "over"]
