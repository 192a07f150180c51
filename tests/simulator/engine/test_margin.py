"""The worked figures of the venue's reference, section 15, and the same boundary reached by moving the mark."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardd.simulator.happenings import Liquidated
from guardd.simulator.orders import MarginMode, PositionSide
from guardd.simulator.terms import MaintenanceBasis, Terms
from tests.changed import replace
from tests.simulator.engine.stage import BTC, LONG, SHORT, Stage, d, stage

CENT = Decimal("0.01")
WITHOUT_FEE = Terms(closing_fee_counted=False)


def opened(side: PositionSide, terms: Terms | None = None, size: str = "100", **more: object) -> Stage:
    made = stage(terms=terms, **more)  # type: ignore[arg-type]
    if side is LONG:
        made.buy(size)
    else:
        made.sell(size)
    return made


def price_of(made: Stage, side: PositionSide) -> Decimal:
    position = made.position(side)
    assert position is not None
    assert position.liquidation_price is not None
    return position.liquidation_price


@pytest.mark.parametrize(
    ("side", "terms", "expected"),
    [
        (LONG, WITHOUT_FEE, "81407.04"),
        (SHORT, WITHOUT_FEE, "98507.46"),
        (LONG, Terms(), "81456.15"),
        (SHORT, Terms(), "98448.69"),
    ],
)
def test_liquidation_prices_are_the_worked_figures_of_section_15(
    side: PositionSide, terms: Terms, expected: str
) -> None:
    assert price_of(opened(side, terms), side).quantize(CENT) == d(expected)


def test_position_figures_are_those_of_the_formula() -> None:
    position = opened(LONG, WITHOUT_FEE).position()
    assert position is not None
    assert position.initial_margin == position.margin == 900
    assert position.maintenance_margin == 45
    assert position.notional_entry == 9000
    assert position.margin_ratio == Decimal("0.05")
    assert position.entry_price == 90000


@pytest.mark.parametrize("side", [LONG, SHORT])
@pytest.mark.parametrize("terms", [WITHOUT_FEE, Terms(), Terms(maintenance_basis=MaintenanceBasis.ENTRY)])
@pytest.mark.parametrize("size", ["100", "40000"])
def test_an_isolated_position_is_liquidated_exactly_at_its_price(side: PositionSide, terms: Terms, size: str) -> None:
    made = opened(side, terms, size, deposit="1000000")
    price = price_of(made, side)
    inside = Decimal("0.0001") * side.sign
    made.mark(str(price + inside))
    assert made.held(side) == d(size)
    made.mark(str(price - inside))
    assert made.held(side) == 0
    assert [type(event) for event in made.heard].count(Liquidated) == 1


def test_balance_equal_to_the_maintenance_margin_is_already_liquidation() -> None:
    # 0.1 BTC from 90000 at mark 82000: PnL −800, maintenance 41, so a margin of exactly 841 is the boundary.
    made = opened(LONG, WITHOUT_FEE, leverage=100)
    made.exchange.add_margin("a", BTC, LONG, d(751), made.tick())
    made.mark("82000.1")
    assert made.held() == 100
    made.mark(82000)
    assert made.held() == 0


def test_a_cross_balance_equal_to_the_maintenance_margin_is_already_liquidation() -> None:
    # The opening fee of 5.4 leaves 841, which is −PnL 800 and maintenance 41 at mark 82000.
    made = opened(LONG, WITHOUT_FEE, leverage=50, margin_mode=MarginMode.CROSS, deposit="846.4")
    made.mark("82000.1")
    assert made.held() == 100
    made.mark(82000)
    assert made.held() == 0


def test_the_tier_at_the_resulting_price_counts() -> None:
    # 6 BTC short at 82000: 492000 is tier 1 at entry, and above 83333 it is tier 2.
    made = stage(deposit="200000", terms=WITHOUT_FEE)
    made.mark(82000)
    made.sell(6000)
    price = price_of(made, SHORT)
    # tier 2: rate 0.01, deduction 2500: (492000 + 49200 + 2500) ÷ (6·1.01)
    assert price.quantize(CENT) == (d(543700) / d("6.06")).quantize(CENT)


def test_leverage_one_long_has_no_liquidation_price() -> None:
    made = opened(LONG, WITHOUT_FEE, leverage=1)
    position = made.position()
    assert position is not None
    assert position.liquidation_price is None


@settings(deadline=None)
@given(
    wallet=st.integers(2_000, 50_000),
    long_size=st.integers(1, 200),
    short_size=st.integers(0, 200),
    eth_size=st.integers(0, 2_000),
)
def test_a_cross_account_is_liquidated_exactly_at_its_price(
    wallet: int, long_size: int, short_size: int, eth_size: int
) -> None:
    made = stage(deposit=str(wallet), margin_mode=MarginMode.CROSS, leverage=50)
    made.mark(3000, symbol="ETHUSDT")
    made.buy(long_size)
    if short_size:
        made.sell(short_size)
    if eth_size:
        made.buy(eth_size, symbol="ETHUSDT")
    position = made.position()
    assert position is not None
    price = position.liquidation_price
    if price is None or long_size == short_size:
        return
    sign = 1 if long_size > short_size else -1
    made.mark(str(price + sign * Decimal("0.01")))
    assert made.held() == long_size
    made.mark(str(max(price - sign * Decimal("0.01"), Decimal("0.001"))))
    assert made.held() == 0
    assert made.held(symbol="ETHUSDT") == 0


def test_cross_legs_of_one_symbol_share_one_price() -> None:
    made = stage(deposit="3000", margin_mode=MarginMode.CROSS, leverage=50)
    made.buy(300)
    made.sell(100)
    assert price_of(made, LONG) == price_of(made, SHORT) < 90000


def test_new_tiers_move_the_liquidation_price_at_once() -> None:
    made = opened(LONG, WITHOUT_FEE)
    before = price_of(made, LONG)
    btc = made.exchange.query.contract(BTC)
    stricter = tuple(replace(tier, rate=tier.rate * 2, deduction=tier.deduction * 2) for tier in btc.tiers)
    made.exchange.set_tiers(BTC, stricter, made.tick())
    assert price_of(made, LONG) > before


def test_equity_is_available_plus_frozen_plus_margin_plus_unrealized() -> None:
    made = opened(LONG)
    made.buy(50, "89000")
    made.mark(89500)
    balance = made.exchange.query.balance("a")
    assert balance.frozen > 0
    assert balance.equity == balance.available + balance.frozen + balance.position_margin + balance.unrealized
