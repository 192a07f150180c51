from decimal import Decimal

import pytest

from guardd.simulator.orders import MarginMode, OrderRequest, OrderStatus, PositionMode, Side
from guardd.simulator.records import FlowKind, TransferDirection
from guardd.simulator.refusals import RefusalReason, Refused
from guardd.simulator.terms import LeverageChange, Terms, VenueState
from tests.simulator.engine.stage import BTC, LONG, SHORT, Stage, d, stage


def set_leverage(made: Stage, leverage: int | None = None, mode: MarginMode | None = None) -> None:
    wanted = None if leverage is None else Decimal(leverage)
    made.exchange.set_leverage("a", BTC, made.tick(), leverage=wanted, margin_mode=mode)


def reason_of(made: Stage, leverage: int | None = None, mode: MarginMode | None = None) -> RefusalReason:
    with pytest.raises(Refused) as caught:
        set_leverage(made, leverage, mode)
    return caught.value.reason


def test_lowering_leverage_posts_margin_and_moves_liquidation_away() -> None:
    made = stage()
    made.buy(100)
    before = made.position()
    set_leverage(made, 5)
    after = made.position()
    assert before is not None
    assert after is not None
    assert (after.margin, after.leverage) == (1800, 5)
    assert before.liquidation_price is not None
    assert after.liquidation_price is not None
    assert after.liquidation_price < before.liquidation_price


def test_lowering_leverage_without_the_money_is_refused_and_changes_nothing() -> None:
    made = stage(deposit="1000")
    made.buy(100)
    assert reason_of(made, 5) is RefusalReason.INSUFFICIENT_BALANCE
    position = made.position()
    assert position is not None
    assert (position.margin, position.leverage) == (900, 10)


@pytest.mark.parametrize(
    ("rule", "leverage", "refused"),
    [
        (LeverageChange.REFUSE, 5, True),
        (LeverageChange.LOWER_ONLY, 5, False),
        (LeverageChange.LOWER_ONLY, 20, True),
        (LeverageChange.ANY, 20, False),
    ],
)
def test_what_may_be_done_with_a_position_open_is_a_term_of_the_venue(
    rule: LeverageChange, leverage: int, *, refused: bool
) -> None:
    made = stage(terms=Terms(leverage_change=rule))
    made.buy(100)
    if refused:
        assert reason_of(made, leverage) is RefusalReason.LEVERAGE_CONFLICT
    else:
        set_leverage(made, leverage)
        position = made.position()
        assert position is not None
        assert position.margin == d(9000) / leverage


def test_raising_leverage_into_liquidation_is_refused() -> None:
    made = stage(terms=Terms(leverage_change=LeverageChange.ANY))
    made.buy(100)
    made.mark(85000)
    assert reason_of(made, 50) is RefusalReason.WOULD_LIQUIDATE


@pytest.mark.parametrize(
    ("leverage", "reason"), [(101, RefusalReason.LEVERAGE_TOO_LARGE), (0, RefusalReason.LEVERAGE_TOO_SMALL)]
)
def test_leverage_has_bounds(leverage: int, reason: RefusalReason) -> None:
    assert reason_of(stage(), leverage) is reason


def test_the_margin_mode_changes_only_when_flat_and_without_orders() -> None:
    made = stage()
    order = made.buy(1, "80000")
    assert reason_of(made, mode=MarginMode.CROSS) is RefusalReason.MARGIN_MODE_CONFLICT
    made.exchange.cancel("a", order.order_id, made.tick())
    set_leverage(made, mode=MarginMode.CROSS)
    made.buy(1)
    assert reason_of(made, mode=MarginMode.ISOLATED) is RefusalReason.MARGIN_MODE_CONFLICT


def test_working_entries_follow_a_lower_leverage_or_hold_it_back() -> None:
    made = stage(deposit="1000")
    order = made.buy(50, "80000")
    set_leverage(made, 5)
    assert made.exchange.query.order("a", order_id=order.order_id).leverage == 5
    assert reason_of(made, 1) is RefusalReason.INSUFFICIENT_BALANCE
    assert made.exchange.query.settings("a", BTC).leverage(LONG) == 5


def test_the_position_mode_changes_only_without_positions_orders_and_plans() -> None:
    made = stage()
    made.buy(1)
    with pytest.raises(Refused) as with_position:
        made.exchange.set_position_mode("a", PositionMode.ONE_WAY, made.tick())
    made.sell(1, reduce=True)
    order = made.buy(1, "80000")
    with pytest.raises(Refused) as with_order:
        made.exchange.set_position_mode("a", PositionMode.ONE_WAY, made.tick())
    made.exchange.cancel("a", order.order_id, made.tick())
    made.exchange.set_position_mode("a", PositionMode.ONE_WAY, made.tick())
    assert with_position.value.reason is RefusalReason.POSITIONS_EXIST
    assert with_order.value.reason is RefusalReason.ORDERS_EXIST
    assert made.exchange.query.position_mode("a") is PositionMode.ONE_WAY


def test_added_margin_moves_the_liquidation_price_and_can_be_taken_back_to_the_initial() -> None:
    made = stage()
    made.buy(100)
    first = made.position()
    made.exchange.add_margin("a", BTC, LONG, d(100), made.tick())
    second = made.position()
    assert first is not None
    assert second is not None
    assert first.liquidation_price is not None
    assert second.liquidation_price is not None
    assert second.margin == 1000
    assert second.liquidation_price < first.liquidation_price
    with pytest.raises(Refused) as caught:
        made.exchange.add_margin("a", BTC, LONG, d(-101), made.tick())
    assert caught.value.reason is RefusalReason.WOULD_LIQUIDATE
    made.exchange.add_margin("a", BTC, LONG, d(-100), made.tick())
    third = made.position()
    assert third is not None
    assert third.liquidation_price == first.liquidation_price


@pytest.mark.parametrize(
    ("mode", "amount", "reason"),
    [
        (MarginMode.CROSS, 1, RefusalReason.NOT_ISOLATED),
        (MarginMode.ISOLATED, 0, RefusalReason.AMOUNT_INVALID),
        (MarginMode.ISOLATED, 10**7, RefusalReason.INSUFFICIENT_BALANCE),
    ],
)
def test_margin_is_added_to_isolated_positions_from_free_money(
    mode: MarginMode, amount: int, reason: RefusalReason
) -> None:
    made = stage(margin_mode=mode)
    made.buy(100)
    with pytest.raises(Refused) as caught:
        made.exchange.add_margin("a", BTC, LONG, d(amount), made.tick())
    assert caught.value.reason is reason


def test_transfers_move_money_between_the_wallets() -> None:
    made = stage(deposit="1000", spot="500")
    made.exchange.transfer("a", TransferDirection.TO_FUTURES, d(200), made.tick())
    made.exchange.transfer("a", TransferDirection.TO_SPOT, d(50), made.tick())
    balance = made.exchange.query.balance("a")
    assert (balance.wallet, balance.spot) == (1150, 350)
    assert [transfer.amount for transfer in made.exchange.query.transfers("a")] == [200, 50]


@pytest.mark.parametrize(
    ("direction", "amount", "state", "reason"),
    [
        (TransferDirection.TO_FUTURES, 501, VenueState.NORMAL, RefusalReason.INSUFFICIENT_SPOT_BALANCE),
        (TransferDirection.TO_SPOT, 101, VenueState.NORMAL, RefusalReason.INSUFFICIENT_BALANCE),
        (TransferDirection.TO_FUTURES, 0, VenueState.NORMAL, RefusalReason.AMOUNT_INVALID),
        (TransferDirection.TO_FUTURES, 1, VenueState.CLOSES_ONLY, RefusalReason.TRANSFER_SUSPENDED),
    ],
)
def test_a_transfer_takes_only_what_is_free(
    direction: TransferDirection, amount: int, state: VenueState, reason: RefusalReason
) -> None:
    made = stage(deposit="1000", spot="500")
    made.buy(100)
    made.exchange.set_state(state, made.tick())
    with pytest.raises(Refused) as caught:
        made.exchange.transfer("a", direction, d(amount), made.tick())
    assert caught.value.reason is reason


def test_a_grant_is_a_deposit() -> None:
    made = stage(deposit="1000")
    made.exchange.grant("a", d(500), made.tick())
    assert made.exchange.query.balance("a").wallet == 1500
    assert made.exchange.ledger.summary("a").deposits == 1500


def test_unrealised_losses_of_cross_positions_are_not_free() -> None:
    made = stage(deposit="10000", margin_mode=MarginMode.CROSS)
    made.buy(100)
    made.mark(80000)
    balance = made.exchange.query.balance("a")
    assert balance.free == balance.available - 1000


@pytest.mark.parametrize("mode", [MarginMode.ISOLATED, MarginMode.CROSS])
def test_funding_goes_from_longs_to_shorts(mode: MarginMode) -> None:
    made = stage(margin_mode=mode)
    made.buy(100)
    made.sell(40)
    made.exchange.settle_funding(BTC, d("0.001"), made.tick())
    flows = [flow.amount for flow in made.exchange.query.flows("a") if flow.kind is FlowKind.FUNDING]
    assert flows == [d(-9), d("3.6")]
    long = made.position(LONG)
    short = made.position(SHORT)
    assert long is not None
    assert short is not None
    assert (long.funding, short.funding) == (-9, d("3.6"))
    if mode is MarginMode.ISOLATED:
        assert (long.margin, short.margin) == (891, d("363.6"))


def test_funding_can_liquidate() -> None:
    made = stage()
    made.buy(100)
    made.mark(81460)
    made.exchange.settle_funding(BTC, d("0.03"), made.tick())
    assert made.held() == 0


def test_an_opening_order_brings_its_leverage_where_the_venue_allows_it() -> None:
    made = stage(terms=Terms(order_sets_leverage=True))
    request = OrderRequest(symbol=BTC, side=Side.BUY, size=d(1), leverage=d(20), margin_mode=MarginMode.CROSS)
    too_high = OrderRequest(symbol=BTC, side=Side.BUY, size=d(1), leverage=d(500))
    with pytest.raises(Refused):
        made.exchange.place("a", too_high, made.tick())
    assert made.exchange.query.settings("a", BTC).leverage(LONG) == 10
    assert made.exchange.place("a", request, made.tick()).status is OrderStatus.FILLED
    settings = made.exchange.query.settings("a", BTC)
    assert (settings.leverage(LONG), settings.margin_mode) == (20, MarginMode.CROSS)


def test_the_exchange_adds_margin_itself_where_it_was_asked_to() -> None:
    made = stage(deposit="2000")
    made.buy(100)
    made.exchange.set_auto_margin("a", BTC, LONG, made.tick(), on=True)
    before = made.position()
    assert before is not None
    assert before.auto_margin
    made.mark(81456)
    after = made.position()
    assert after is not None
    assert after.size == 100
    assert after.margin + after.unrealized_pnl == after.initial_margin
    made.mark(72000)
    assert made.held() == 0  # what is free now can't bring it back


def test_auto_margin_is_for_isolated_positions_and_can_be_switched_off() -> None:
    made = stage(deposit="2000")
    made.buy(100)
    made.exchange.set_auto_margin("a", BTC, LONG, made.tick(), on=True)
    made.exchange.set_auto_margin("a", BTC, LONG, made.tick(), on=False)
    made.mark(81400)
    assert made.held() == 0
    cross = stage(margin_mode=MarginMode.CROSS)
    cross.buy(100)
    with pytest.raises(Refused) as caught:
        cross.exchange.set_auto_margin("a", BTC, LONG, cross.tick(), on=True)
    assert caught.value.reason is RefusalReason.NOT_ISOLATED


def test_a_venue_may_keep_the_margin_when_leverage_is_raised() -> None:
    made = stage(terms=Terms(leverage_change=LeverageChange.ANY, raising_releases_margin=False))
    made.buy(100)
    made.exchange.set_leverage("a", BTC, made.tick(), leverage=d(20))
    position = made.position()
    assert position is not None
    assert (position.margin, position.initial_margin) == (900, 450)


@pytest.mark.parametrize("plan", [False, True])
def test_a_venue_may_refuse_a_change_of_leverage_with_orders(plan: bool) -> None:
    made = stage(terms=Terms(leverage_needs_no_orders=True))
    made.buy(100)
    if plan:
        made.plan(85000)
    else:
        made.buy(1, "80000")
    with pytest.raises(Refused) as caught:
        made.exchange.set_leverage("a", BTC, made.tick(), leverage=d(5))
    assert caught.value.reason is RefusalReason.ORDERS_EXIST
