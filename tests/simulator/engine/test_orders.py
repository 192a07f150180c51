from decimal import Decimal

import pytest

from guardd.simulator.contracts import ContractStatus
from guardd.simulator.happenings import BalanceChanged, OrderAction, OrderChanged, PositionChanged
from guardd.simulator.ledger import RowKind
from guardd.simulator.orders import (
    CancelCause,
    MarginMode,
    OrderKind,
    OrderRequest,
    OrderStatus,
    PositionMode,
    Side,
    TimeInForce,
)
from guardd.simulator.refusals import RefusalReason, Refused
from guardd.simulator.terms import FillModel, Terms, VenueState
from tests.simulator.engine.stage import BTC, LONG, SHORT, Stage, d, stage


def refusal(made: Stage, request: OrderRequest) -> RefusalReason:
    with pytest.raises(Refused) as caught:
        made.exchange.place("a", request, made.tick())
    return caught.value.reason


def market(size: str | int, side: Side = Side.BUY, *, reduce: bool = False, **more: object) -> OrderRequest:
    return OrderRequest(symbol=BTC, side=side, size=d(size), reduce=reduce, **more)  # type: ignore[arg-type]


def limit(size: str | int, price: str, side: Side = Side.BUY, *, reduce: bool = False) -> OrderRequest:
    return OrderRequest(symbol=BTC, side=side, size=d(size), reduce=reduce, kind=OrderKind.LIMIT, price=d(price))


# What is refused


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (market(0), RefusalReason.SIZE_PRECISION),
        (market("1.5"), RefusalReason.SIZE_PRECISION),
        (market(200_001), RefusalReason.SIZE_RANGE),
        (limit(500_001, "90000"), RefusalReason.SIZE_RANGE),
        (limit(1, "90000.05"), RefusalReason.PRICE_PRECISION),
        (limit(1, "-1"), RefusalReason.PRICE_PRECISION),
        (market(1, price=d(90000)), RefusalReason.PARAMETER_INVALID),
        (market(1, kind=OrderKind.LIMIT), RefusalReason.PARAMETER_INVALID),
        (market(1, kind=OrderKind.LIQUIDATION), RefusalReason.PARAMETER_INVALID),
        (market(1, leverage=d(20)), RefusalReason.LEVERAGE_CONFLICT),
        (market(1, margin_mode=MarginMode.CROSS), RefusalReason.MARGIN_MODE_CONFLICT),
        (market(20_000), RefusalReason.INSUFFICIENT_BALANCE),
        (market(1, Side.SELL, reduce=True), RefusalReason.POSITION_NOT_EXIST),
        (OrderRequest(symbol="NOUSDT", side=Side.BUY, size=d(1)), RefusalReason.CONTRACT_NOT_FOUND),
        (OrderRequest(symbol="SOLUSDT", side=Side.BUY, size=d(1)), RefusalReason.NO_MARKET),
    ],
)
def test_a_wrong_order_is_refused_with_its_reason(request_: OrderRequest, reason: RefusalReason) -> None:
    made = stage()
    assert refusal(made, request_) is reason
    assert made.exchange.query.order_history("a") == ()
    assert [row.details["reason"] for row in made.exchange.ledger.rows(kind=RowKind.REFUSED)] == [reason.value]


def test_a_notional_above_the_tier_of_the_leverage_is_refused() -> None:
    made = stage(deposit="1000000", leverage=100)
    made.buy(5555)
    assert refusal(made, market(1)) is RefusalReason.POSITION_LIMIT


def test_an_order_that_would_be_liquidated_at_once_is_refused() -> None:
    made = stage(leverage=100)
    made.mark(80000, last="90000")
    assert refusal(made, market(1)) is RefusalReason.WOULD_LIQUIDATE


def test_a_client_id_is_unique_among_existing_orders_and_plans() -> None:
    made = stage()
    made.buy(1)
    made.buy(1, "80000", client_id="mine")
    assert refusal(made, market(1, client_id="mine")) is RefusalReason.DUPLICATE_CLIENT_ID
    made.plan(85000, client_id="stop")
    assert refusal(made, market(1, client_id="stop")) is RefusalReason.DUPLICATE_CLIENT_ID


@pytest.mark.parametrize(("forever", "accepted"), [(False, True), (True, False)])
def test_a_finished_order_frees_its_client_id_unless_the_terms_keep_it(*, forever: bool, accepted: bool) -> None:
    made = stage(terms=Terms(client_ids_forever=forever))
    made.buy(1, client_id="mine")
    if accepted:
        assert made.buy(1, client_id="mine").status is OrderStatus.FILLED
    else:
        assert refusal(made, market(1, client_id="mine")) is RefusalReason.DUPLICATE_CLIENT_ID


def test_an_oversized_close_is_refused_and_not_clipped() -> None:
    made = stage()
    made.buy(10)
    assert refusal(made, market(11, Side.SELL, reduce=True)) is RefusalReason.VOLUME_NOT_ENOUGH
    assert made.held() == 10


def test_a_resting_close_holds_its_volume() -> None:
    made = stage()
    made.buy(10)
    resting = made.sell(4, "95000", reduce=True)
    position = made.position()
    assert position is not None
    assert position.frozen_size == 4
    assert refusal(made, market(7, Side.SELL, reduce=True)) is RefusalReason.VOLUME_NOT_ENOUGH
    made.exchange.cancel("a", resting.order_id, made.tick())
    assert made.sell(10, reduce=True).status is OrderStatus.FILLED


def test_a_close_after_the_end_says_that_the_position_is_closed() -> None:
    made = stage()
    made.buy(1)
    made.sell(1, reduce=True)
    assert refusal(made, market(1, Side.SELL, reduce=True)) is RefusalReason.POSITION_CLOSED


@pytest.mark.parametrize(
    ("state", "opening", "closing"),
    [
        (VenueState.REDUCE_ONLY, RefusalReason.VENUE_CLOSING, None),
        (VenueState.CLOSES_ONLY, RefusalReason.VENUE_CLOSING, None),
        (VenueState.MAINTENANCE, RefusalReason.VENUE_MAINTENANCE, RefusalReason.VENUE_MAINTENANCE),
    ],
)
def test_a_closing_venue_takes_closes_only(
    state: VenueState, opening: RefusalReason, closing: RefusalReason | None
) -> None:
    made = stage()
    made.buy(2)
    made.exchange.set_state(state, made.tick())
    assert refusal(made, market(1)) is opening
    if closing is None:
        assert made.sell(1, reduce=True).status is OrderStatus.FILLED
    else:
        assert refusal(made, market(1, Side.SELL, reduce=True)) is closing


def test_a_paused_contract_matches_nothing_and_still_liquidates() -> None:
    made = stage()
    made.buy(10)
    made.buy(1, "85000")
    made.exchange.set_status(BTC, ContractStatus.PAUSED, made.tick())
    assert refusal(made, market(1, Side.SELL, reduce=True)) is RefusalReason.CONTRACT_PAUSED
    made.mark(84000)
    assert made.held() == 10
    made.mark(81000)
    assert made.held() == 0


def test_a_delisted_contract_loses_its_orders_and_settles_at_mark() -> None:
    made = stage()
    made.buy(10)
    made.buy(1, "85000")
    made.plan(85000)
    made.exchange.set_status(BTC, ContractStatus.DELISTED, made.tick(), settle=True)
    assert made.exchange.query.open_orders("a") == ()
    assert made.exchange.query.open_plans("a") == ()
    assert made.held() == 0
    assert made.exchange.query.trades("a")[-1].kind is OrderKind.SETTLEMENT
    assert refusal(made, market(1)) is RefusalReason.CONTRACT_OFFLINE


# Kinds and times in force


def test_a_market_order_fills_at_once_at_the_far_side() -> None:
    made = stage()
    made.exchange.move(BTC, mark=d(90000), bid=d("89999.9"), ask=d("90000.3"), now_ms=made.tick())
    assert made.buy(10).average_price == d("90000.3")
    assert made.sell(10, reduce=True).average_price == d("89999.9")


def test_a_resting_limit_fills_as_maker_at_its_own_price() -> None:
    made = stage()
    order = made.buy(10, "89000")
    assert order.status is OrderStatus.WORKING
    made.mark(88000)
    trade = made.exchange.query.trades("a")[0]
    assert (trade.price, trade.maker, trade.fee) == (d(89000), True, d("0.178"))


def test_a_crossing_limit_takes_at_the_better_price() -> None:
    made = stage()
    order = made.buy(10, "91000")
    assert (order.status, order.average_price) == (OrderStatus.FILLED, d(90000))
    assert made.exchange.query.trades("a")[0].maker is False


@pytest.mark.parametrize(
    ("force", "price", "filled"),
    [
        (TimeInForce.IOC, "90000.1", 20),
        (TimeInForce.IOC, "89999", 0),
        (TimeInForce.FOK, "90000.1", 0),
        (TimeInForce.FOK, "90000.2", 30),
        (TimeInForce.MAKER_ONLY, "90000", 0),
    ],
)
def test_time_in_force_decides_what_becomes_of_the_rest(force: TimeInForce, price: str, filled: int) -> None:
    made = stage(fills=FillModel(level_size=d(10)))
    order = made.buy(30, price, force=force)
    assert order.filled == filled
    assert (order.cancel_cause is CancelCause.TIME_IN_FORCE) == (filled < 30)
    assert made.exchange.query.open_orders("a") == ()


def test_a_maker_only_order_away_from_the_market_rests() -> None:
    made = stage()
    assert made.buy(1, "89999.9", force=TimeInForce.MAKER_ONLY).status is OrderStatus.WORKING


# The book


def test_a_large_market_order_pays_worse_prices_level_by_level() -> None:
    made = stage(fills=FillModel(level_size=d(10), level_gap_ticks=5))
    order = made.buy(25)
    prices = [(trade.price, trade.size) for trade in made.exchange.query.trades("a")]
    assert prices == [(d(90000), d(10)), (d("90000.5"), d(10)), (d(90001), d(5))]
    assert order.average_price == (d(90000) * 10 + d("90000.5") * 10 + d(90001) * 5) / 25


def test_a_sliced_market_order_fills_over_time_and_at_the_prices_of_then() -> None:
    made = stage(fills=FillModel(slices=3, slice_interval_ms=100))
    order = made.buy(10)
    assert (order.filled, order.status) == (4, OrderStatus.WORKING)
    made.mark(90100, after_ms=100)
    made.exchange.advance(made.now_ms + 100)
    done = made.exchange.query.order("a", order_id=order.order_id)
    assert (done.filled, done.status) == (10, OrderStatus.FILLED)
    assert done.average_price == (d(90000) * 4 + d(90100) * 6) / 10


def test_a_crossed_limit_may_fill_in_parts() -> None:
    made = stage(fills=FillModel(resting_share=d("0.5")))
    order = made.buy(10, "89000")
    fills = []
    for price in (88999, 88998, 88997, 88996):
        made.mark(price)
        fills.append(made.exchange.query.order("a", order_id=order.order_id).filled)
    assert fills == [5, 7, 8, 9]


# Positions and modes


def test_hedge_mode_holds_both_legs_apart() -> None:
    made = stage()
    made.buy(10)
    made.sell(4)
    assert (made.held(LONG), made.held(SHORT)) == (10, 4)
    made.buy(4, reduce=True)
    assert (made.held(LONG), made.held(SHORT)) == (10, 0)


def test_one_way_mode_nets_and_flips() -> None:
    made = stage(position_mode=PositionMode.ONE_WAY)
    made.buy(10)
    made.mark(91000)
    made.sell(15)
    assert (made.held(LONG), made.held(SHORT)) == (0, 5)
    assert made.exchange.query.trades("a")[-1].realized_pnl == 10
    short = made.position(SHORT)
    assert short is not None
    assert short.entry_price == 91000


def test_one_way_opposite_orders_need_margin_only_for_what_they_open() -> None:
    made = stage(deposit="1000", position_mode=PositionMode.ONE_WAY, leverage=10)
    made.buy(100)
    assert made.sell(100, "95000").status is OrderStatus.WORKING
    assert made.exchange.query.balance("a").frozen == 0
    assert refusal(made, limit(100, "95000", Side.SELL)) is RefusalReason.INSUFFICIENT_BALANCE


def test_resting_closes_end_when_the_position_no_longer_carries_them() -> None:
    made = stage(position_mode=PositionMode.ONE_WAY)
    made.buy(10)
    resting = made.sell(8, "95000", reduce=True)
    made.sell(5)
    assert made.exchange.query.order("a", order_id=resting.order_id).cancel_cause is CancelCause.REDUCE_ONLY


def test_closing_part_of_an_isolated_position_releases_its_margin_in_proportion() -> None:
    made = stage()
    made.buy(100)
    made.sell(25, reduce=True)
    position = made.position()
    assert position is not None
    assert (position.size, position.margin, position.closed_size) == (75, d(675), 25)
    assert position.closed_average_price == 90000


def test_averages_tell_the_holding_and_the_whole_life_apart() -> None:
    made = stage()
    made.buy(10)
    made.mark(91000)
    made.sell(5, reduce=True)
    made.mark(92000)
    made.buy(5)
    position = made.position()
    assert position is not None
    assert position.entry_price == 91000
    assert position.open_average_price.quantize(Decimal("0.01")) == d("90666.67")


# Cancelling and changing


def test_cancelling_says_whether_the_order_is_finished_or_was_never_there() -> None:
    made = stage()
    done = made.buy(1)
    with pytest.raises(Refused) as finished:
        made.exchange.cancel("a", done.order_id, made.tick())
    with pytest.raises(Refused) as unknown:
        made.exchange.cancel("a", "1", made.tick())
    assert finished.value.reason is RefusalReason.ORDER_FINISHED
    assert unknown.value.reason is RefusalReason.ORDER_NOT_EXIST


def test_a_limit_order_keeps_its_id_when_changed() -> None:
    made = stage()
    order = made.buy(10, "80000")
    changed = made.exchange.modify_order("a", order.order_id, made.tick(), price=d(85000), size=d(20))
    assert (changed.order_id, changed.price, changed.size) == (order.order_id, d(85000), d(20))
    with pytest.raises(Refused) as caught:
        made.exchange.modify_order("a", order.order_id, made.tick(), size=d(400_000))
    assert caught.value.reason is RefusalReason.POSITION_LIMIT
    assert made.exchange.query.order("a", order_id=order.order_id) == changed
    assert made.exchange.modify_order("a", order.order_id, made.tick(), price=d(91000)).status is OrderStatus.FILLED


def test_cancel_all_takes_one_symbol_and_leaves_plans() -> None:
    made = stage()
    made.mark(3000, symbol="ETHUSDT")
    made.buy(1)
    made.plan(85000)
    made.buy(1, "80000")
    made.buy(1, "2000", symbol="ETHUSDT")
    assert made.exchange.cancel_all("a", BTC, made.tick()) == 1
    assert [order.symbol for order in made.exchange.query.open_orders("a")] == ["ETHUSDT"]
    assert len(made.exchange.query.open_plans("a")) == 1


def test_a_dead_mans_switch_cancels_orders_and_never_positions() -> None:
    made = stage()
    made.buy(1)
    made.buy(1, "80000")
    made.exchange.arm_cancel_all("a", BTC, made.now_ms + 5_000, made.now_ms)
    made.exchange.advance(made.now_ms + 4_999)
    assert len(made.exchange.query.open_orders("a")) == 1
    made.exchange.advance(made.now_ms + 5_000)
    assert made.exchange.query.open_orders("a") == ()
    assert made.held() == 1


# What is told


def test_listeners_hear_an_order_in_the_order_in_which_it_happened() -> None:
    made = stage()
    made.heard.clear()
    made.buy(1)
    assert [type(event) for event in made.heard] == [OrderChanged, OrderChanged, PositionChanged, BalanceChanged]
    actions = [event.action for event in made.heard if isinstance(event, OrderChanged)]
    assert actions == [OrderAction.SUBMIT, OrderAction.FILL]
    sequences = [event.sequence for event in made.heard]
    assert sequences == sorted(set(sequences))


def test_a_listener_may_act_and_is_told_of_it_afterwards() -> None:
    made = stage()

    def close_at_once(event: object) -> None:
        if isinstance(event, PositionChanged) and event.position.size == 10:
            made.sell(10, reduce=True)

    made.exchange.subscribe(close_at_once)
    made.heard.clear()
    made.buy(10)
    assert made.held() == 0
    kinds = [type(event) for event in made.heard]
    assert kinds == [OrderChanged, OrderChanged, PositionChanged, BalanceChanged] * 2


def test_the_last_view_of_a_closed_position_tells_its_life() -> None:
    made = stage()
    made.buy(10)
    made.mark(91000)
    made.sell(10, reduce=True)
    last = [event.position for event in made.heard if isinstance(event, PositionChanged)][-1]
    assert (last.size, last.closed_size, last.liquidation_price) == (0, 10, None)
    assert last.realized_pnl == 10 - d("0.54") - d("0.546")


def test_the_same_seed_gives_the_same_ids() -> None:
    assert stage().buy(1) == stage().buy(1)


def test_a_cancel_that_loses_its_race_finds_the_order_filled_at_its_own_price() -> None:
    made = stage()
    order = made.exchange.place("a", limit(3, "89000"), made.tick())
    made.exchange.set_cancel_race(lambda resting: resting.side is Side.BUY)
    with pytest.raises(Refused) as caught:
        made.exchange.cancel("a", order.order_id, made.tick())
    assert caught.value.reason is RefusalReason.ORDER_FINISHED
    held = made.exchange.query.position("a", BTC, LONG)
    assert held is not None
    assert (held.size, held.entry_price) == (d(3), d(89000))
