"""Where a position ends, beside the worked figures of `test_margin`: Bitget's, and tiers without deductions."""

from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardd.simulator.contracts import Contract
from guardd.simulator.orders import MarginMode, PositionSide, Side
from guardd.simulator.records import PositionView
from guardd.simulator.refusals import Refused
from guardd.simulator.terms import Terms
from tests.changed import replace
from tests.simulator.engine.stage import BTC, LONG, SHORT, Stage, contracts, d, stage


def btc(**changes: object) -> Contract:
    linear = next(contract for contract in contracts() if contract.symbol == BTC)
    return replace(linear, **changes)  # type: ignore[arg-type]


def listed(contract: Contract, **more: object) -> Stage:
    made = stage(**more)  # type: ignore[arg-type]
    made.exchange.set_contract(replace(contract, symbol="X"), made.tick())
    return made


def view(made: Stage, side: PositionSide = LONG) -> PositionView:
    position = made.position(side, "X")
    assert position is not None
    return position


def test_the_venues_documented_position_gives_its_printed_figures() -> None:
    """Bitget reference, 10: 0.01 at 25000 with a margin of 9.6695…, rate 0.004, fee 0.0006, mark 25100."""
    rate = replace(btc().tiers[0], rate=d("0.004"))
    made = listed(btc(contract_size=d(1), step=d("0.01"), min_size=d("0.01"), tiers=(rate,)), leverage=50)
    made.mark(25000, symbol="X")
    made.buy("0.01", symbol="X")
    made.exchange.add_margin("a", "X", LONG, d("4.6695050093373343"), made.tick())
    made.mark(25100, symbol="X")
    position = view(made)
    price, ratio = position.liquidation_price, position.risk_ratio
    assert price is not None
    assert ratio is not None
    # the exchange keeps money to 12 places, the printed margin has 16
    assert abs(price - d("24144.1124161806977798")) < d("1e-9")
    assert abs(ratio - d("0.1082149545822005")) < d("1e-13")


@pytest.mark.parametrize("mode", list(MarginMode))
def test_a_cross_and_an_isolated_ratio_count_the_closing_fee_where_the_terms_do(mode: MarginMode) -> None:
    made = stage(deposit="1000", margin_mode=mode)
    made.buy(100)
    position = made.position()
    assert position is not None
    behind = position.margin if mode is MarginMode.ISOLATED else 1000 - position.fees
    assert position.burden == 9000 * d("0.0056")
    assert position.risk_ratio == position.burden / behind
    assert position.margin_ratio == 45 / behind


def test_a_short_ends_where_the_next_tier_begins_to_cost_more_than_is_left() -> None:
    """Without deductions maintenance jumps at a tier's edge: here from 0.5 % to 10 % of 500,000."""
    low, high = btc().tiers[0], replace(btc().tiers[1], rate=d("0.1"), deduction=d(0))
    made = listed(btc(tiers=(low, high)), leverage=10)
    made.mark(90000, symbol="X")
    made.sell(5500, symbol="X")  # 495,000 on a margin of 49,500
    price = view(made, SHORT).liquidation_price
    assert price is not None
    assert price * d("5.5") == 500_000
    made.mark(str(price - 1), symbol="X")
    assert made.held(SHORT, "X") == 5500
    made.mark(str(price + d("0.01")), symbol="X")
    assert made.held(SHORT, "X") == 0


def test_a_long_above_an_edge_ends_at_the_first_price_below_its_mark() -> None:
    low, high = btc().tiers[0], replace(btc().tiers[1], rate=d("0.08"), deduction=d(0))
    made = listed(btc(tiers=(low, high)), leverage=10)
    made.mark(90000, symbol="X")
    made.buy(6000, symbol="X")  # 540,000 on 54,000; tier 2 down to 83,333
    price = view(made).liquidation_price
    assert price is not None
    assert 83_333 < price < 90_000
    made.mark(str(price + d("0.01")), symbol="X")
    assert made.held(symbol="X") == 6000
    made.mark(str(price - d("0.01")), symbol="X")
    assert made.held(symbol="X") == 0


@settings(deadline=None)
@given(
    wallet=st.integers(500, 400_000),
    longs=st.integers(0, 8_000),
    shorts=st.integers(0, 8_000),
    flat=st.booleans(),
    larger=st.booleans(),
)
def test_a_cross_account_ends_exactly_at_its_price_whatever_the_tiers_and_terms(
    wallet: int, longs: int, shorts: int, flat: bool, larger: bool
) -> None:
    tiers = tuple(replace(tier, deduction=Decimal(0)) for tier in btc().tiers) if flat else btc().tiers
    terms = Terms(larger_side_counts=larger, cross_margin_at_mark=True)
    made = listed(btc(tiers=tiers), deposit=str(wallet), margin_mode=MarginMode.CROSS, leverage=50, terms=terms)
    made.mark(90000, symbol="X")
    for side, size in ((Side.BUY, longs), (Side.SELL, shorts)):
        if size and size * 90 / 50 * 1.1 < wallet:
            with suppress(Refused):
                made.order(side, size, symbol="X")
    legs = made.exchange.query.positions("a", "X")
    if not legs or legs[0].liquidation_price is None or len({leg.size for leg in legs}) < len(legs):
        return
    price = legs[0].liquidation_price
    net = sum(leg.side.sign * leg.size for leg in legs)
    step = price * Decimal("1e-9") * (1 if net > 0 else -1)
    made.mark(str(price + step), symbol="X")
    assert made.exchange.query.positions("a", "X") != ()
    made.mark(str(price - step), symbol="X")
    assert made.exchange.query.positions("a", "X") == ()
