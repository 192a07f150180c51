import pytest

from guardd.simulator.happenings import OrderChanged, PlanAction, PlanChanged
from guardd.simulator.orders import (
    Direction,
    OrderKind,
    OrderRequest,
    OrderStatus,
    Plan,
    PlanKind,
    PlanRequest,
    PlanStatus,
    PositionMode,
    PositionSide,
    Preset,
    PriceSource,
    Side,
)
from guardd.simulator.refusals import RefusalReason, Refused
from guardd.simulator.terms import FillModel, Oversized, Terms, VenueState
from tests.simulator.engine.stage import BTC, LONG, SHORT, Stage, d, stage


def ended(made: Stage, plan: Plan) -> Plan:
    return made.exchange.query.plan("a", plan_id=plan.plan_id)


def refused(made: Stage, request: PlanRequest) -> RefusalReason:
    with pytest.raises(Refused) as caught:
        made.exchange.place_plan("a", request, made.tick())
    return caught.value.reason


def stop(trigger: str, **more: object) -> PlanRequest:
    fields: dict[str, object] = {
        "symbol": BTC,
        "kind": PlanKind.STOP_LOSS,
        "side": Side.SELL,
        "reduce": True,
        "trigger_price": d(trigger),
    }
    return PlanRequest(**{**fields, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("closes", "kind", "trigger", "quiet", "fires"),
    [
        (LONG, PlanKind.STOP_LOSS, "85000", "85000.1", "85000"),
        (LONG, PlanKind.TAKE_PROFIT, "95000", "94999.9", "95000"),
        (SHORT, PlanKind.STOP_LOSS, "95000", "94999.9", "95000"),
        (SHORT, PlanKind.TAKE_PROFIT, "85000", "85000.1", "85000"),
    ],
)
def test_a_plan_fires_when_its_price_is_reached_and_not_before(
    closes: PositionSide, kind: PlanKind, trigger: str, quiet: str, fires: str
) -> None:
    made = stage()
    made.order(Side.BUY if closes is LONG else Side.SELL, 10)
    plan = made.plan(trigger, kind=kind, closes=closes)
    made.mark(quiet)
    assert made.held(closes) == 10
    made.mark(fires)
    assert made.held(closes) == 0
    done = ended(made, plan)
    assert done.status is PlanStatus.TRIGGERED
    order = made.exchange.query.order("a", order_id=done.order_id)
    assert (order.plan_id, order.kind, order.reduce) == (plan.plan_id, OrderKind.MARKET, True)


@pytest.mark.parametrize(("source", "held"), [(PriceSource.MARK, 10), (PriceSource.LAST, 0)])
def test_a_plan_watches_the_price_it_was_asked_to(source: PriceSource, held: int) -> None:
    made = stage()
    made.buy(10)
    made.plan(85000, source=source)
    made.mark(89000, last="84000")
    assert made.held() == held


def test_a_stop_and_liquidation_on_one_price_go_as_the_terms_say() -> None:
    for liquidation_first, expected in ((False, OrderKind.MARKET), (True, OrderKind.LIQUIDATION)):
        made = stage(terms=Terms(liquidate_before_stops=liquidation_first))
        made.buy(10)
        made.plan(85000)
        made.mark(80000)
        assert made.exchange.query.trades("a")[-1].kind is expected


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (stop("90000"), RefusalReason.TRIGGER_WRONG_SIDE),
        (stop("95000"), RefusalReason.TRIGGER_WRONG_SIDE),
        (stop("85000.05"), RefusalReason.PRICE_PRECISION),
        (stop("85000", size=d(11)), RefusalReason.VOLUME_NOT_ENOUGH),
        (stop("85000", size=d("0.5")), RefusalReason.SIZE_PRECISION),
        (stop("85000", reduce=False), RefusalReason.PARAMETER_INVALID),
        (stop("95000", side=Side.BUY), RefusalReason.POSITION_NOT_EXIST),
        (stop("1000"), RefusalReason.TRIGGER_TOO_FAR),
        (stop("85000", leverage=d(3)), RefusalReason.LEVERAGE_CONFLICT),
        (stop("85000", kind=PlanKind.CONDITIONAL, size=d(1)), RefusalReason.PARAMETER_INVALID),
        (stop("85000", kind=PlanKind.CONDITIONAL, direction=Direction.FALL), RefusalReason.PARAMETER_INVALID),
        (stop("95000", kind=PlanKind.TRAILING, size=d(1)), RefusalReason.PARAMETER_INVALID),
        (stop("95000", kind=PlanKind.TRAILING, size=d(1), callback_rate=d(1)), RefusalReason.PARAMETER_INVALID),
    ],
)
def test_a_wrong_plan_is_refused_with_its_reason(request_: PlanRequest, reason: RefusalReason) -> None:
    made = stage()
    made.buy(10)
    assert refused(made, request_) is reason
    assert made.exchange.query.open_plans("a") == ()


def test_a_second_whole_position_stop_is_refused_and_a_sized_one_is_not() -> None:
    made = stage()
    made.buy(10)
    made.plan(85000)
    assert refused(made, stop("86000")) is RefusalReason.PLAN_EXISTS
    made.plan(86000, size=10)
    made.plan(95000, kind=PlanKind.TAKE_PROFIT)
    assert len(made.exchange.query.open_plans("a")) == 3


def test_the_number_of_plans_is_limited() -> None:
    made = stage(terms=Terms(max_plans_per_symbol=2))
    made.buy(10)
    made.plan(85000, size=1)
    made.plan(85000, size=1)
    assert refused(made, stop("85000", size=d(1))) is RefusalReason.TOO_MANY_PLANS


def test_a_whole_position_stop_follows_the_quantity() -> None:
    made = stage()
    made.buy(10)
    made.plan(85000)
    made.buy(30)
    made.mark(85000)
    assert made.held() == 0


@pytest.mark.parametrize(
    ("oversized", "status", "left"), [(Oversized.CLIP, PlanStatus.TRIGGERED, 0), (Oversized.FAIL, PlanStatus.FAILED, 4)]
)
def test_a_sized_stop_larger_than_the_position_is_clipped_or_fails(
    oversized: Oversized, status: PlanStatus, left: int
) -> None:
    made = stage(terms=Terms(oversized_plan=oversized))
    made.buy(10)
    plan = made.plan(85000, size=10)
    made.sell(6, reduce=True)
    made.mark(85000)
    assert ended(made, plan).status is status
    assert made.held() == left


def test_a_triggered_stop_closes_only_what_no_resting_close_holds() -> None:
    made = stage()
    made.buy(10)
    made.sell(4, "95000", reduce=True)
    made.plan(85000)
    made.mark(85000)
    assert made.held() == 4


def test_a_stop_larger_than_the_market_maximum_still_closes_everything() -> None:
    made = stage(deposit="1000000", leverage=2)
    made.mark("0.2", symbol="DOGEUSDT")
    made.exchange.set_fills(FillModel(level_size=d(100_000)), symbol="DOGEUSDT")
    for _ in range(2):
        made.buy(300_000, symbol="DOGEUSDT")
    request = stop("0.19")
    made.exchange.place_plan(
        "a",
        PlanRequest(
            symbol="DOGEUSDT", kind=request.kind, side=Side.SELL, reduce=True, trigger_price=request.trigger_price
        ),
        made.tick(),
    )
    made.mark("0.19", symbol="DOGEUSDT")
    assert made.held(symbol="DOGEUSDT") == 0


def test_leftovers_of_a_closed_position_stay_listed_and_fail() -> None:
    made = stage()
    made.buy(10)
    plan = made.plan(85000)
    made.sell(10, reduce=True)
    assert [p.plan_id for p in made.exchange.query.open_plans("a")] == [plan.plan_id]
    made.mark(84000)
    assert (ended(made, plan).status, ended(made, plan).failure) == (
        PlanStatus.FAILED,
        RefusalReason.POSITION_NOT_EXIST,
    )


def test_a_venue_may_sweep_the_leftovers() -> None:
    made = stage(terms=Terms(sweep_plans_when_flat=True))
    made.buy(10)
    plan = made.plan(85000)
    made.sell(10, reduce=True)
    assert ended(made, plan).status is PlanStatus.CANCELLED


def test_an_injected_fault_fails_the_plan_and_leaves_the_position() -> None:
    made = stage()
    made.exchange.set_plan_fault(lambda plan: RefusalReason.SYSTEM_ERROR)
    made.buy(10)
    plan = made.plan(85000)
    made.mark(84000)
    assert ended(made, plan).failure is RefusalReason.SYSTEM_ERROR
    assert made.held() == 10
    actions = [event.action for event in made.heard if isinstance(event, PlanChanged)]
    assert actions == [PlanAction.PLACED, PlanAction.FAILED]


def test_a_changed_plan_keeps_its_id_and_its_direction_law() -> None:
    made = stage()
    made.buy(10)
    plan = made.plan(85000)
    moved = made.exchange.modify_plan("a", plan.plan_id, made.tick(), trigger_price=d(86000))
    assert (moved.plan_id, moved.trigger_price) == (plan.plan_id, d(86000))
    with pytest.raises(Refused) as caught:
        made.exchange.modify_plan("a", plan.plan_id, made.tick(), trigger_price=d(91000))
    assert caught.value.reason is RefusalReason.TRIGGER_WRONG_SIDE
    assert ended(made, plan).trigger_price == 86000


def test_a_cancelled_plan_is_finished() -> None:
    made = stage()
    made.buy(10)
    plan = made.plan(85000)
    made.exchange.cancel_plan("a", plan.plan_id, made.tick())
    made.mark(84000)
    assert made.held() == 10
    with pytest.raises(Refused) as caught:
        made.exchange.cancel_plan("a", plan.plan_id, made.tick())
    assert caught.value.reason is RefusalReason.ORDER_FINISHED


def test_a_conditional_plan_opens_when_the_price_comes() -> None:
    made = stage()
    plan = made.exchange.place_plan(
        "a",
        PlanRequest(
            symbol=BTC,
            kind=PlanKind.CONDITIONAL,
            side=Side.BUY,
            reduce=False,
            trigger_price=d(91000),
            direction=Direction.RISE,
            size=d(5),
            limit_price=d(90500),
        ),
        made.tick(),
    )
    made.mark(91000)
    order = made.exchange.query.order("a", order_id=ended(made, plan).order_id)
    assert (order.status, order.price) == (OrderStatus.WORKING, d(90500))
    made.mark(90400)
    assert made.held() == 5


def test_an_opening_plan_fails_where_the_venue_takes_no_new_risk() -> None:
    made = stage()
    request = PlanRequest(
        symbol=BTC,
        kind=PlanKind.CONDITIONAL,
        side=Side.BUY,
        reduce=False,
        trigger_price=d(91000),
        direction=Direction.RISE,
        size=d(5),
    )
    plan = made.exchange.place_plan("a", request, made.tick())
    made.exchange.set_state(VenueState.REDUCE_ONLY, made.tick())
    assert refused(made, request) is RefusalReason.VENUE_CLOSING
    made.mark(91000)
    assert ended(made, plan).failure is RefusalReason.VENUE_CLOSING


def test_plans_sleep_through_maintenance_and_wake_after_it() -> None:
    made = stage()
    made.buy(10)
    made.plan(85000)
    made.exchange.set_state(VenueState.MAINTENANCE, made.tick())
    made.mark(84000)
    assert made.held() == 10
    made.exchange.set_state(VenueState.NORMAL, made.tick())
    made.mark(84000)
    assert made.held() == 0


@pytest.mark.parametrize(
    ("closes", "path", "fired_at"),
    [
        (LONG, ["90500", "91000", "93000", "92100", "92070"], "92070"),
        (SHORT, ["89500", "89000", "87000", "87800", "87870"], "87870"),
    ],
)
def test_a_trailing_plan_follows_the_best_price_after_its_activation(
    closes: PositionSide, path: list[str], fired_at: str
) -> None:
    made = stage()
    made.order(Side.BUY if closes is LONG else Side.SELL, 10)
    made.exchange.place_plan(
        "a",
        PlanRequest(
            symbol=BTC,
            kind=PlanKind.TRAILING,
            side=closes.closing,
            reduce=True,
            trigger_price=d(91000 if closes is LONG else 89000),
            size=d(10),
            callback_rate=d("0.01"),
        ),
        made.tick(),
    )
    for price in path:
        assert made.held(closes) == 10
        made.mark(price)
    assert made.held(closes) == 0
    assert made.exchange.query.trades("a")[-1].price == d(fired_at)


def test_presets_rest_once_the_order_fills_and_grow_with_it() -> None:
    made = stage(fills=FillModel(slices=2, slice_interval_ms=10))
    order = made.exchange.place(
        "a",
        OrderRequest(
            symbol=BTC,
            side=Side.BUY,
            size=d(10),
            stop_loss=Preset(trigger_price=d(85000), source=PriceSource.MARK),
            take_profit=Preset(trigger_price=d(95000)),
        ),
        made.tick(),
    )
    sizes = {plan.kind: plan.size for plan in made.exchange.query.open_plans("a")}
    assert sizes == {PlanKind.STOP_LOSS: 5, PlanKind.TAKE_PROFIT: 5}
    made.exchange.advance(made.now_ms + 10)
    plans = made.exchange.query.open_plans("a")
    assert {plan.kind: plan.size for plan in plans} == {PlanKind.STOP_LOSS: 10, PlanKind.TAKE_PROFIT: 10}
    assert {plan.parent_order_id for plan in plans} == {order.order_id}


def test_presets_of_a_working_order_can_be_changed_and_rest_where_they_were_moved_to() -> None:
    made = stage()
    request = OrderRequest(
        symbol=BTC,
        side=Side.BUY,
        size=d(10),
        kind=OrderKind.LIMIT,
        price=d(89000),
        stop_loss=Preset(trigger_price=d(80000)),
    )
    order = made.exchange.place("a", request, made.tick())
    moved = Preset(trigger_price=d(85000), source=PriceSource.MARK)
    made.exchange.modify_presets("a", order.order_id, made.tick(), stop_loss=moved)
    made.mark(89000)
    plans = made.exchange.query.open_plans("a")
    assert [(plan.kind, plan.trigger_price, plan.source) for plan in plans] == [
        (PlanKind.STOP_LOSS, d(85000), PriceSource.MARK)
    ]


def test_a_triggered_plan_is_linked_to_its_order_in_what_is_told() -> None:
    made = stage(position_mode=PositionMode.ONE_WAY)
    made.buy(10)
    plan = made.plan(85000)
    made.heard.clear()
    made.mark(85000)
    orders = [event.order for event in made.heard if isinstance(event, OrderChanged)]
    told = [event.plan for event in made.heard if isinstance(event, PlanChanged)]
    assert {order.plan_id for order in orders} == {plan.plan_id}
    assert [(seen.status, seen.order_id) for seen in told] == [(PlanStatus.TRIGGERED, orders[0].order_id)]
