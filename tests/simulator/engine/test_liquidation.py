import pytest

from guardd.simulator.happenings import Liquidated, OrderAction, OrderChanged
from guardd.simulator.orders import CancelCause, MarginMode, OrderKind, PositionMode
from guardd.simulator.records import FlowKind
from guardd.simulator.terms import Terms
from tests.simulator.engine.stage import BTC, LONG, SHORT, Stage, d, stage


def liquidations(made: Stage) -> list[Liquidated]:
    return [event for event in made.heard if isinstance(event, Liquidated)]


@pytest.mark.parametrize("gap_to", ["81400", "70000"])
def test_a_forfeited_isolated_position_loses_exactly_its_margin(gap_to: str) -> None:
    made = stage()
    made.buy(100)
    wallet = made.exchange.query.balance("a").wallet
    made.mark(gap_to)
    assert made.exchange.query.balance("a").wallet == wallet - 900
    assert liquidations(made)[0].loss == 900
    assert made.exchange.insurance["USDT"] == 900 - (90000 - d(gap_to)) / 10


def test_without_forfeit_the_account_keeps_what_the_closing_leaves() -> None:
    made = stage(terms=Terms(forfeit=False, liquidation_fee=d("0.001")))
    made.buy(100)
    wallet = made.exchange.query.balance("a").wallet
    made.mark(81400)
    # 0.1 BTC from 90000 to 81400: −860, fee 8.14, so 31.86 of the 900 are left
    assert made.exchange.query.balance("a").wallet == wallet - d("868.14")
    assert liquidations(made)[0].loss == d("868.14")
    assert made.exchange.insurance["USDT"] == 0


def test_a_gap_beyond_bankruptcy_is_paid_by_the_insurance_fund() -> None:
    made = stage(terms=Terms(forfeit=False))
    made.buy(100)
    wallet = made.exchange.query.balance("a").wallet
    made.mark(70000)
    assert made.exchange.query.balance("a").wallet == wallet - 900
    assert made.exchange.insurance["USDT"] < 0


def test_liquidation_of_one_leg_leaves_the_other_isolated_leg_alone() -> None:
    made = stage()
    made.buy(100)
    made.sell(50)
    made.mark(81000)
    assert (made.held(LONG), made.held(SHORT)) == (0, 50)


def test_a_liquidated_leg_loses_its_orders_and_is_told_so() -> None:
    made = stage()
    made.buy(100)
    close = made.sell(50, "95000", reduce=True)
    made.buy(1, "70000")
    other_leg = made.sell(1, "99000")
    made.heard.clear()
    made.mark(81000)
    actions = [event.action for event in made.heard if isinstance(event, OrderChanged)]
    assert actions == [OrderAction.LIQUIDATION_CANCEL, OrderAction.LIQUIDATION_CANCEL, OrderAction.BANKRUPTCY]
    ended = made.exchange.query.order("a", order_id=close.order_id)
    assert ended.cancel_cause is CancelCause.LIQUIDATION
    assert [order.order_id for order in made.exchange.query.open_orders("a")] == [other_leg.order_id]
    assert made.exchange.query.order_history("a")[-1].kind is OrderKind.LIQUIDATION


def test_a_cross_account_is_liquidated_whole_and_isolated_margin_survives() -> None:
    made = stage(deposit="1200", margin_mode=MarginMode.CROSS, leverage=20)
    made.mark(3000, symbol="ETHUSDT")
    made.exchange.set_leverage("a", "ETHUSDT", made.tick(), margin_mode=MarginMode.ISOLATED)
    made.buy(1000, symbol="ETHUSDT")
    made.buy(100)
    isolated = made.position(symbol="ETHUSDT")
    assert isolated is not None
    made.mark(79500)
    assert made.held() == 0
    assert made.held(symbol="ETHUSDT") == 1000
    assert made.exchange.query.balance("a").equity == isolated.margin
    assert liquidations(made)[0].symbols == (BTC,)


def test_a_profit_elsewhere_keeps_a_cross_position_alive() -> None:
    made = stage(deposit="1200", margin_mode=MarginMode.CROSS, leverage=20)
    made.mark(3000, symbol="ETHUSDT")
    made.buy(1000, symbol="ETHUSDT")
    made.buy(100)
    made.mark(3500, symbol="ETHUSDT")
    made.mark(79500)
    assert made.held() == 100


def test_an_other_symbols_fall_liquidates_a_cross_position_as_well() -> None:
    made = stage(deposit="1000", margin_mode=MarginMode.CROSS, leverage=50)
    made.mark(3000, symbol="ETHUSDT")
    made.buy(1000, symbol="ETHUSDT")
    made.buy(100)
    made.mark(2000, symbol="ETHUSDT")
    assert made.exchange.query.positions("a") == ()
    assert made.exchange.query.balance("a").wallet == 0
    assert set(liquidations(made)[0].symbols) == {BTC, "ETHUSDT"}


def test_a_large_position_steps_down_through_its_tiers_when_the_venue_does_so() -> None:
    made = stage(deposit="2000000", leverage=20, terms=Terms(partial_liquidation=True))
    made.buy(30_000)
    whole = made.position()
    assert whole is not None
    assert whole.liquidation_price is not None
    made.mark(str(whole.liquidation_price - 1))
    steps = liquidations(made)
    assert steps
    assert all(step.partial for step in steps)
    position = made.position()
    assert position is not None
    assert 0 < position.size < 30_000
    assert position.margin + position.unrealized_pnl > position.maintenance_margin
    assert OrderAction.PARTIAL_LIQUIDATION in {e.action for e in made.heard if isinstance(e, OrderChanged)}
    made.mark("80000")
    assert made.held() == 0


def test_a_close_that_costs_more_than_the_wallet_leaves_no_debt() -> None:
    made = stage(deposit="910", terms=Terms())
    made.buy(100)
    made.mark(89000, last="70000")
    made.sell(100, reduce=True)
    assert made.exchange.query.balance("a").wallet == 0
    assert made.exchange.insurance["USDT"] < 0
    assert made.exchange.ledger.flow_total("a", FlowKind.LIQUIDATION) > 0


def test_auto_deleveraging_closes_at_its_price_and_ends_closes_that_no_longer_fit() -> None:
    made = stage()
    made.buy(100)
    close = made.sell(80, "95000", reduce=True)
    made.heard.clear()
    made.exchange.auto_deleverage("a", BTC, LONG, d(40), made.tick(), price=d(91000))
    assert made.held() == 60
    actions = [event.action for event in made.heard if isinstance(event, OrderChanged)]
    assert actions == [OrderAction.ADL_PASSIVE_FILL, OrderAction.ADL_CANCEL]
    assert made.exchange.query.order("a", order_id=close.order_id).cancel_cause is CancelCause.ADL
    assert made.exchange.query.trades("a")[-1].realized_pnl == 40


def test_a_one_way_short_is_liquidated_above() -> None:
    made = stage(position_mode=PositionMode.ONE_WAY)
    made.sell(100)
    made.mark(98400)
    assert made.held(SHORT) == 100
    made.mark(98449)
    assert made.held(SHORT) == 0
