"""A unified account: every coin at its collateral value stands behind all cross positions (UTA reference, 3 and 4)."""

from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardd.simulator.coins import Coin, haircuts
from guardd.simulator.happenings import BalanceChanged, Liquidated, OrderAction, OrderChanged
from guardd.simulator.orders import CancelCause, ForcedExit, MarginMode, OrderRequest, PositionSide, Side
from guardd.simulator.records import AccountKind, FlowKind, Pool, TransferDirection
from guardd.simulator.refusals import RefusalReason, Refused
from guardd.simulator.terms import Terms
from tests.simulator.engine.stage import BTC, ETH, LONG, PERP, SHORT, Stage, d, stage

UNIFIED = Terms(larger_side_counts=True, orders_need_maintenance=True, cross_margin_at_mark=True)
FEE = Decimal("0.0006")


def unified(*, usdt: str = "0", usdc: str = "0", btc: str = "0", terms: Terms = UNIFIED, leverage: int = 50) -> Stage:
    deposits = {"USDC": d(usdc), "BTC": d(btc)}
    made = stage(
        deposit=usdt,
        deposits=deposits,
        kind=AccountKind.UNIFIED,
        margin_mode=MarginMode.CROSS,
        leverage=leverage,
        terms=terms,
    )
    made.mark(90000, symbol=PERP)
    made.mark(3000, symbol=ETH)
    return made


def pool(made: Stage) -> Pool:
    return made.exchange.query.pool("a")


def ended(made: Stage) -> list[Liquidated]:
    return [event for event in made.heard if isinstance(event, Liquidated)]


def test_every_coin_counts_after_its_haircut() -> None:
    made = unified(usdt="1000", usdc="500", btc="0.1")
    assert pool(made).equity == 1000 + 500 + 9000
    assert pool(made).effective == 1000 + 500 + d("0.95") * 9000
    made.exchange.set_coin(
        Coin(name="BTC", follows=BTC, haircuts=haircuts([("0", "0.9"), ("5000", "0.5")])), made.tick()
    )
    assert pool(made).effective == 1500 + 4500 + 2000


def test_a_coin_nobody_accepts_is_worth_something_and_counts_nothing() -> None:
    made = unified(usdt="1000")
    made.exchange.set_coin(Coin(name="BGB", price=d(5), haircuts=haircuts([("0", "0")])), made.tick())
    made.exchange.grant("a", d(100), made.tick(), "BGB")
    assert (pool(made).equity, pool(made).effective) == (1500, 1000)


def test_any_coin_backs_a_position_of_another() -> None:
    made = unified(btc="0.1")
    made.buy(100, symbol=PERP)
    balances = {each.coin: each.wallet for each in made.exchange.query.balances("a")}
    assert balances["USDC"] == -FEE * 9000  # the fee is owed: a debt counts in full
    assert pool(made).effective == d("0.95") * 9000 - FEE * 9000


def test_new_risk_is_bounded_by_what_the_pool_leaves_free() -> None:
    made = unified(btc="0.1", leverage=10)
    made.buy(700, symbol=PERP)
    with pytest.raises(Refused) as caught:
        made.buy(300, symbol=PERP)
    assert caught.value.reason is RefusalReason.INSUFFICIENT_BALANCE


def test_maintenance_is_the_tiers_rate_and_the_closing_fee_of_every_contract_in_dollars() -> None:
    made = unified(usdt="5000")
    made.exchange.set_coin(Coin(name="USDC", price=d("0.98")), made.tick())
    made.buy(100)
    made.buy(100, symbol=PERP)
    assert pool(made).maintenance == 9000 * (d("0.005") + FEE) * (1 + d("0.98"))
    assert pool(made).initial_margin == 9000 * (d("0.02") + FEE) * (1 + d("0.98"))
    assert pool(made).notional == 9000 * (1 + d("0.98"))


def test_the_larger_side_of_a_hedge_alone_needs_maintenance() -> None:
    made = unified(usdt="5000")
    made.buy(100)
    made.sell(60)
    assert pool(made).maintenance == 9000 * (d("0.005") + FEE)
    made.sell(60)
    assert pool(made).maintenance == 10800 * (d("0.005") + FEE)


def test_resting_opening_orders_need_maintenance_and_closing_ones_none() -> None:
    made = unified(usdt="5000")
    made.buy(100)
    before = pool(made).maintenance
    made.sell(50, "95000", reduce=True)
    assert pool(made).maintenance == before
    order = made.buy(50, "80000")
    assert pool(made).maintenance == before * d("1.5")
    made.exchange.cancel("a", order.order_id, made.tick())
    assert pool(made).maintenance == before


def test_orders_end_first_and_may_be_enough() -> None:
    made = unified(usdt="1000")
    made.buy(100)
    order = made.buy(300, "60000")
    position = made.position()
    assert position is not None
    assert position.liquidation_price is not None
    made.mark(str(position.liquidation_price - d("0.001")))
    assert made.held() == 100
    gone = made.exchange.query.order("a", order_id=order.order_id)
    assert gone.cancel_cause is CancelCause.LIQUIDATION
    assert not ended(made)


def test_a_loss_in_one_coin_ends_positions_of_all() -> None:
    made = unified(usdt="1000")
    made.buy(10)
    made.buy(100, symbol=PERP)
    made.mark(80000, symbol=PERP)
    assert made.exchange.query.positions("a") == ()
    assert (ended(made)[0].symbols, ended(made)[0].coin) == ((PERP, BTC), "USD")
    assert {each.wallet for each in made.exchange.query.balances("a")} == {0}


def test_falling_collateral_ends_a_position_whose_own_price_stands() -> None:
    made = unified(btc="0.02")
    made.buy(3000, symbol=ETH)  # 9000 of ETH on 1710 of collateral
    made.mark(10000)
    assert made.held(symbol=ETH) == 3000
    made.mark(2500)
    assert made.held(symbol=ETH) == 0


def test_a_coin_set_to_be_worth_less_ends_it_as_well() -> None:
    made = unified(usdc="1000")
    made.buy(100)
    made.exchange.set_coin(Coin(name="USDC", price=d("0.05")), made.tick())
    assert made.held() == 0


def test_isolated_positions_stand_apart() -> None:
    made = unified(usdt="3000")
    made.exchange.set_leverage("a", ETH, made.tick(), margin_mode=MarginMode.ISOLATED)
    made.buy(1000, symbol=ETH)
    isolated = made.position(symbol=ETH)
    assert isolated is not None
    assert pool(made).effective == 3000 - isolated.margin - isolated.fees
    assert pool(made).maintenance == 0
    made.buy(100)
    made.mark(60000)
    assert (made.held(), made.held(symbol=ETH)) == (0, 1000)
    assert made.exchange.query.balance("a").wallet == isolated.margin
    made.mark(2900, symbol=ETH)
    assert made.held(symbol=ETH) == 0


def test_isolated_margin_is_never_borrowed() -> None:
    made = unified(btc="0.1")
    made.exchange.set_leverage("a", ETH, made.tick(), margin_mode=MarginMode.ISOLATED)
    with pytest.raises(Refused) as caught:
        made.buy(100, symbol=ETH)
    assert caught.value.reason is RefusalReason.INSUFFICIENT_BALANCE


def test_a_coin_that_turns_into_a_debt_on_the_way_counts_in_full_from_there_on() -> None:
    """1,000 USDC count 800; from 80,054 down the loss is owed, and 500 USDT stand behind it."""
    made = unified(usdt="500", usdc="1000")
    made.exchange.set_coin(Coin(name="USDC", price=d(1), haircuts=haircuts([("0", "0.8")])), made.tick())
    made.buy(100, symbol=PERP)
    position = made.position(symbol=PERP)
    assert position is not None
    assert position.liquidation_price is not None
    # 1500 − fee − (90000 − P)/10 = P/10 · 0.0056
    expected = (9000 + FEE * 9000 - 1500) * 10 / (1 - d("0.0056"))
    assert abs(position.liquidation_price - expected) < d("1e-9")


def test_hedges_are_set_off_before_anything_is_taken_over() -> None:
    terms = Terms(orders_need_maintenance=True, net_hedges_first=True)
    made = unified(usdt="1000", terms=terms)
    made.buy(200)
    made.sell(150)
    position = made.position()
    assert position is not None
    assert position.liquidation_price is not None
    made.mark(str(position.liquidation_price - 1))
    assert (made.held(LONG), made.held(SHORT)) == (50, 0)
    assert [event.partial for event in ended(made)] == [True]
    forced = [order.forced for order in made.exchange.query.order_history("a") if order.forced]
    assert forced == [ForcedExit.OFFSET, ForcedExit.OFFSET]


def test_a_large_position_steps_down_two_tiers_at_a_time() -> None:
    terms = Terms(partial_liquidation=True, partial_tiers=2, partial_isolated=False)
    made = unified(usdt="900000", terms=terms, leverage=20)
    made.buy(50_000)  # 4.5 million: tier 3 of 500,000 · 2,000,000 · 5,000,000
    position = made.position()
    assert position is not None
    assert position.liquidation_price is not None
    made.mark(str(position.liquidation_price - 1))
    assert 0 < made.held() * made_mark(made) / 1000 <= 500_000
    actions = [event.action for event in made.heard if isinstance(event, OrderChanged)]
    assert actions.count(OrderAction.PARTIAL_LIQUIDATION) == 1
    assert made.exchange.query.order_history("a")[-1].forced is ForcedExit.REDUCTION


def made_mark(made: Stage) -> Decimal:
    quote = made.exchange.query.quote(BTC)
    assert quote is not None
    return quote.mark


def test_what_a_takeover_leaves_owed_is_paid_by_the_other_coins() -> None:
    made = unified(usdt="1000", usdc="50", terms=Terms(forfeit=False, liquidation_fee=d("0.001")))
    made.buy(100, symbol=PERP)
    made.mark(80000, symbol=PERP)
    assert made.held(symbol=PERP) == 0
    owed = 50 - FEE * 9000 - 1000 - 8
    balances = {each.coin: each.wallet for each in made.exchange.query.balances("a")}
    assert (balances["USDC"], balances["USDT"]) == (0, 1000 + owed)
    assert made.exchange.ledger.flow_total("a", FlowKind.CONVERSION, "USDC") == -owed
    assert made.exchange.ledger.flow_total("a", FlowKind.CONVERSION, "USDT") == owed
    assert dict(made.exchange.insurance) == {}


@pytest.mark.parametrize(("btc", "whole"), [("0.02", False), ("0.011", True)])
def test_a_coin_pays_anothers_debt_at_its_price(btc: str, whole: bool) -> None:
    made = unified(usdc="100", btc=btc, terms=Terms(forfeit=False, liquidation_fee=d(0)))
    made.buy(100, symbol=PERP)
    made.exchange.set_coin(Coin(name="BTC", price=d(45000)), made.tick())
    made.mark(80000 if whole else 81000, symbol=PERP)
    assert made.held(symbol=PERP) == (0 if whole else 100)
    made.mark(80000 if whole else 80500, symbol=PERP)
    owed = FEE * 9000 + (1000 if whole else 950) - 100
    balances = {each.coin: each.wallet for each in made.exchange.query.balances("a")}
    assert balances["USDC"] == 0
    assert balances["BTC"] == max(d(btc) - (owed / 45000).quantize(d("1E-12")), d(0))
    missing = max(owed - d(btc) * 45000, d(0))
    assert made.exchange.insurance["USDC"] == -missing


def test_what_no_coin_can_pay_the_insurance_fund_pays() -> None:
    made = unified(usdt="1000", terms=Terms(forfeit=False))
    made.buy(100, symbol=PERP)
    made.mark(60000, symbol=PERP)
    assert {each.wallet for each in made.exchange.query.balances("a")} == {0}
    assert made.exchange.insurance["USDC"] < 0


def test_a_debt_may_stay_as_long_as_the_rest_is_worth_more() -> None:
    made = unified(usdt="1000")
    made.buy(100, symbol=PERP)
    made.mark(85000, symbol=PERP)
    made.sell(100, symbol=PERP, reduce=True)
    balance = made.exchange.query.balance("a", "USDC")
    assert balance.wallet == -500 - FEE * 17500
    assert pool(made).effective == 1000 + balance.wallet


def test_only_what_is_free_in_the_pool_and_owned_in_the_coin_can_be_taken_out() -> None:
    made = unified(usdt="1000", usdc="300")
    made.buy(300, symbol=PERP)  # 27,000 at 50: 540 and the closing fee
    free = pool(made).free
    assert made.exchange.query.balance("a", "USDT").free == free < 1000
    with pytest.raises(Refused):
        made.exchange.transfer("a", TransferDirection.TO_SPOT, free + 1, made.tick())
    with pytest.raises(Refused):
        made.exchange.transfer("a", TransferDirection.TO_SPOT, d(300), made.tick(), "USDC")
    made.exchange.transfer("a", TransferDirection.TO_SPOT, free, made.tick())
    assert pool(made).free == 0


def test_the_pool_is_told_with_each_of_its_coins() -> None:
    made = unified(usdt="1000", usdc="1000")
    made.buy(10, symbol=PERP)
    told = made.heard[-1]
    assert isinstance(told, BalanceChanged)
    assert told.balance.coin == "USDC"
    assert told.pool == pool(made)


def test_a_position_that_would_be_due_at_once_is_refused() -> None:
    made = unified(usdt="60", leverage=100)
    made.mark(90000, last="90900")
    with pytest.raises(Refused) as caught:
        made.buy(50)
    assert caught.value.reason is RefusalReason.WOULD_LIQUIDATE
    assert made.exchange.query.positions("a") == ()


@settings(deadline=None)
@given(
    usdt=st.integers(0, 20_000),
    usdc=st.integers(0, 20_000),
    btc=st.integers(0, 500),
    sizes=st.tuples(*[st.integers(0, 200)] * 5),
    resting=st.integers(0, 100),
    symbol=st.sampled_from([BTC, PERP, ETH]),
    rates=st.sampled_from([("0.95", "0.9"), ("1", "1"), ("0.8", "0.1")]),
)
def test_a_pool_is_liquidated_exactly_at_the_price_of_its_positions(
    usdt: int, usdc: int, btc: int, sizes: tuple[int, ...], resting: int, symbol: str, rates: tuple[str, str]
) -> None:
    made = unified(usdt=str(usdt), usdc=str(usdc), btc=str(Decimal(btc) / 1000))
    brackets = haircuts([("0", rates[0]), ("8000", rates[1])])
    made.exchange.set_coin(Coin(name="BTC", follows=BTC, haircuts=brackets), made.tick())
    made.exchange.set_coin(Coin(name="USDC", price=d("0.97"), haircuts=brackets), made.tick())
    scales = ((made.buy, BTC, 1), (made.sell, BTC, 1), (made.buy, PERP, 1), (made.sell, PERP, 1), (made.buy, ETH, 30))
    for (place, name, scale), size in zip(scales, sizes, strict=True):
        with suppress(Refused):
            place(size * scale, symbol=name)
    with suppress(Refused):
        made.buy(resting, "10")
    orders = len(made.exchange.query.open_orders("a"))
    legs = made.exchange.query.positions("a", symbol)
    if not legs or legs[0].liquidation_price is None or len({leg.size for leg in legs}) < len(legs):
        return
    price = legs[0].liquidation_price
    net = sum(leg.side.sign * leg.size for leg in legs)
    exposure = PositionSide.LONG if net > 0 else PositionSide.SHORT
    step = price * Decimal("1e-9") * exposure.sign
    made.mark(str(price + step), symbol=symbol)
    assert pool(made).maintenance < pool(made).effective
    assert len(made.exchange.query.open_orders("a")) == orders
    assert made.exchange.query.positions("a", symbol) != ()
    made.mark(str(price - step), symbol=symbol)
    assert made.exchange.query.open_orders("a") == ()
    assert orders or made.exchange.query.positions("a") == ()


def test_an_account_that_is_converted_keeps_what_it_holds_and_is_pooled_from_then_on() -> None:
    made = stage()
    made.exchange.place("a", OrderRequest(symbol=BTC, side=Side.BUY, size=d(10)), made.tick())
    before = made.exchange.query.position("a", BTC, LONG)
    made.exchange.set_account_kind("a", AccountKind.UNIFIED, made.tick())
    after = made.exchange.query.position("a", BTC, LONG)
    assert before is not None
    assert after is not None
    assert (after.size, after.entry_price) == (before.size, before.entry_price)
    assert made.exchange.query.pool("a").effective > 0


def test_what_positions_share_is_summed_up_anew_after_each_price() -> None:
    made = unified(usdt="5000")
    made.buy(100)
    made.buy(100, symbol=PERP)
    before = made.exchange.query.positions("a")
    assert len({view.risk_ratio for view in before}) == 1
    made.mark(89000, symbol=PERP)
    after = made.exchange.query.positions("a")
    assert len({view.risk_ratio for view in after}) == 1
    for earlier, later in zip(before, after, strict=True):
        assert earlier.risk_ratio is not None
        assert later.risk_ratio is not None
        assert later.risk_ratio > earlier.risk_ratio
        moved = earlier.liquidation_price != later.liquidation_price
        assert moved is (later.symbol == BTC)  # its own mark moves no boundary, the other's does
