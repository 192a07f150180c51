"""How much a reduction takes."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardd.model.instrument import Instrument
from guardd.model.names import MarginMode
from guardd.model.position import Position
from guardd.model.reading import is_value
from guardd.policy.language import Metric, ReduceBy, ReduceUntil
from guardd.policy.sizes import NoSize, Sized, SizeResult, reading_after, size_of
from guardd.risk.assess import assess_on
from guardd.risk.ground import ground
from tests.changed import replace
from tests.model.accounts import START, D, account, flat_tier, instrument, key, row
from tests.policy.guarded import cross


def size(
    action: ReduceBy | ReduceUntil, position: Position, listed: Instrument, *, wallet: str = "2000", mark: str = "89000"
) -> SizeResult:
    state = account(position, wallet=wallet, instruments=(listed,))
    on = ground(state, state.held[key()], now=START)
    return size_of(action, on, assess_on(on, mark=D(mark)), listed)


def by(share: str, quantity: str, *, least: str = "1", step: str = "1") -> SizeResult:
    listed = replace(instrument(), min_size=D(least), step=D(step))
    return size(ReduceBy(share=D(share)), row(quantity=quantity), listed)


def until(target: str, *, at_most: str = "0.5", metric: Metric = Metric.DISTANCE_TO_LIQUIDATION) -> ReduceUntil:
    return ReduceUntil(metric=metric, target=D(target), at_most=D(at_most))


def amount(result: SizeResult) -> Decimal:
    assert isinstance(result, Sized), result
    return result.size


@pytest.mark.parametrize(
    ("share", "quantity", "least", "step", "size"),
    [
        ("0.25", "100", "1", "1", "25"),
        ("0.25", "101", "1", "1", "26"),
        ("0.25", "3", "1", "1", "1"),
        ("1", "7", "1", "1", "7"),
        ("0.01", "10", "1", "1", "1"),
        ("0.25", "100", "1", "10", "30"),
        ("0.01", "100", "5", "1", "5"),
        ("0.9", "100", "20", "1", "80"),
        ("0.25", "1", "1", "1", "1"),
    ],
)
def test_a_share_rounds_up_to_a_step_and_leaves_nothing_below_the_venues_least(
    share: str, quantity: str, least: str, step: str, size: str
) -> None:
    assert amount(by(share, quantity, least=least, step=step)) == D(size)


def test_where_neither_the_cut_nor_the_rest_would_be_large_enough_it_is_refused() -> None:
    result = by("0.5", "9", least="6")
    assert isinstance(result, NoSize)
    assert "least order" in result.why


def test_a_cap_below_one_step_leaves_none() -> None:
    result = size(until("0.12"), cross(quantity="1"), instrument())
    assert isinstance(result, NoSize)


def test_until_takes_the_smallest_size_that_reaches_its_aim_in_cross() -> None:
    position, wallet = cross(), "900"
    state = account(position, wallet=wallet)
    on = ground(state, state.held[key()], now=START)
    risk = assess_on(on, mark=D(89000))
    aim = until("0.12", at_most="1")
    result = amount(size(aim, position, instrument(), wallet=wallet))
    after, before = (reading_after(aim.metric, on, risk, result - less) for less in (0, 1))
    assert is_value(after)
    assert is_value(before)
    assert after >= D("0.12") > before


def test_until_out_of_reach_does_at_most_in_cross_and_is_refused_in_isolated() -> None:
    crossed = size(until("0.5", at_most="0.3"), cross(), instrument(), wallet="900")
    assert amount(crossed) == 30
    isolated = size(until("0.5", at_most="0.3"), row(), instrument())
    assert isinstance(isolated, NoSize)
    assert "isolated" in isolated.why


def test_close_all_is_taken_when_at_most_allows_and_else_the_least_is_left() -> None:
    listed = replace(instrument(), min_size=D(40))
    aim = until("0.3", at_most="1")
    everything = size(aim, cross(), listed, wallet="900")
    assert isinstance(everything, Sized)
    assert (everything.size, everything.closes_all) == (D(100), True)
    left = size(until("0.3", at_most="0.7"), cross(), listed, wallet="900")
    assert amount(left) == 60


def test_notional_can_be_aimed_at_in_isolated_too() -> None:
    assert amount(size(until("4450", metric=Metric.NOTIONAL), row(), instrument())) == 50


@given(
    quantity=st.integers(1, 3000),
    wallet_share=st.integers(2, 100),
    target=st.sampled_from(["0.05", "0.12", "0.3", "0.6"]),
    at_most=st.sampled_from(["0.1", "0.5", "1"]),
    metric=st.sampled_from([Metric.DISTANCE_TO_LIQUIDATION, Metric.BUFFER_LEFT, Metric.MARGIN_RATIO]),
    mode=st.sampled_from(list(MarginMode)),
)
def test_I15_I18_a_size_is_on_step_within_its_caps_and_worsens_nothing(
    quantity: int, wallet_share: int, target: str, at_most: str, metric: Metric, mode: MarginMode
) -> None:
    listed = replace(instrument(tiers=flat_tier("0.01")), step=D(2), min_size=D(4))
    position = row(quantity=str(quantity), mode=mode, rate="0.01")
    state = account(position, wallet=str(quantity * wallet_share), instruments=(listed,))
    on = ground(state, state.held[key()], now=START)
    risk = assess_on(on, mark=D(89000))
    result = size_of(until(target, at_most=at_most, metric=metric), on, risk, listed)
    if isinstance(result, NoSize):
        return
    assert result.size % 2 == 0 or result.closes_all
    assert 4 <= result.size <= quantity
    assert result.size <= D(at_most) * quantity or result.closes_all
    assert result.closes_all == (result.size == quantity)
    rest = quantity - result.size
    assert rest == 0 or rest >= 4
    before, after = reading_after(metric, on, risk, D(0)), reading_after(metric, on, risk, result.size)
    if is_value(before) and is_value(after):
        assert after <= before if metric is Metric.MARGIN_RATIO else after >= before
