"""Prices on tick, sizes on step, by exact decimals (I18, I19)."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from guardd.model.instrument import Instrument
from guardd.model.reading import Absent, is_value
from tests.changed import replace
from tests.model.accounts import D, instrument

grids = st.sampled_from([D("0.0001"), D("0.1"), D("0.5"), D("1"), D("5"), D("1E+1")])
values = st.decimals(min_value="0", max_value="1000000", places=6)


def graded(grid: Decimal) -> Instrument:
    return replace(instrument(), tick=grid, step=grid)


@given(grid=grids, value=values)
def test_I18_a_rounded_price_or_size_is_on_its_grid_and_less_than_one_step_away(grid: Decimal, value: Decimal) -> None:
    listed = graded(grid)
    for down, up in (
        (listed.price_down(value), listed.price_up(value)),
        (listed.size_down(value), listed.size_up(value)),
    ):
        assert down <= value <= up
        assert down % grid == up % grid == 0
        assert up - down in (0, grid)


@given(grid=grids, steps=st.integers(0, 10**6))
def test_I18_what_is_on_the_grid_stays_where_it_is(grid: Decimal, steps: int) -> None:
    listed, value = graded(grid), grid * steps
    assert listed.price_down(value) == listed.price_up(value) == value
    assert listed.size_down(value) == listed.size_up(value) == value


def test_I18_prices_with_more_than_twenty_digits_round_exactly() -> None:
    price = D("18584.272343943943943944339")
    assert instrument().price_down(price) == D("18584.2")
    assert instrument().price_up(price) == D("18584.3")


def test_a_notional_is_contracts_times_contract_size_times_price() -> None:
    """A captured row of the reference (5.1): 1 contract of 0.001 BTC at 27407.9 is worth 27.4079."""
    assert instrument().notional(D(1), D("27407.9")) == D("27.4079")


def test_I19_only_a_number_is_a_value() -> None:
    assert is_value(D(0))
    assert not any(is_value(absent) for absent in Absent)
