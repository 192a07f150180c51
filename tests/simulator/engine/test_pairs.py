"""Linked plans, whole-position plans, and what a fresh or shared position lets plans do (Bitget reference, 12)."""

import pytest

from guardd.simulator.happenings import PlanAction, PlanChanged
from guardd.simulator.orders import (
    Direction,
    OrderRequest,
    Plan,
    PlanKind,
    PlanRequest,
    PlanStatus,
    PositionSide,
    Preset,
    PriceSource,
    Side,
)
from guardd.simulator.refusals import RefusalReason, Refused
from guardd.simulator.terms import FillModel, Terms
from guardd.simulator.truth import exposure_increases
from tests.simulator.engine.stage import BTC, ETH, Stage, d, stage

TP, SL = PlanKind.TAKE_PROFIT, PlanKind.STOP_LOSS


def pair(made: Stage, *, size: int | None = None) -> tuple[Plan, Plan]:
    stop = made.plan(85000, size=size, client_id="mine")
    return stop, made.plan(95000, kind=TP, size=size, pair_id=stop.pair_id)


def status_of(made: Stage, *plans: Plan) -> list[PlanStatus]:
    return [made.exchange.query.plan("a", plan_id=plan.plan_id).status for plan in plans]


@pytest.mark.parametrize(
    ("price", "expected"),
    [(85000, [PlanStatus.TRIGGERED, PlanStatus.CANCELLED]), (95000, [PlanStatus.CANCELLED, PlanStatus.TRIGGERED])],
)
def test_once_one_of_a_pair_fires_the_other_ends(price: int, expected: list[PlanStatus]) -> None:
    made = stage()
    made.buy(10)
    plans = pair(made, size=4)
    made.mark(price)
    assert status_of(made, *plans) == expected
    assert made.held() == 6
    assert made.exchange.query.open_plans("a") == ()


def test_a_pair_ends_with_the_one_that_fails_at_its_trigger() -> None:
    made = stage()
    made.exchange.set_plan_fault(lambda plan: RefusalReason.SYSTEM_ERROR)
    made.buy(10)
    plans = pair(made)
    made.mark(85000)
    assert status_of(made, *plans) == [PlanStatus.FAILED, PlanStatus.CANCELLED]


def test_both_ends_of_a_pair_are_told_in_one_operation() -> None:
    made = stage()
    made.buy(10)
    pair(made)
    made.heard.clear()
    made.mark(85000)
    told = [(event.action, event.plan.kind) for event in made.heard if isinstance(event, PlanChanged)]
    assert told == [(PlanAction.TRIGGERED, SL), (PlanAction.CANCELLED, TP)]


def test_a_pair_is_read_by_its_first_plans_id_and_outlives_it() -> None:
    made = stage()
    made.buy(10)
    stop, profit = pair(made)
    assert stop.pair_id == stop.plan_id
    assert [plan.plan_id for plan in made.exchange.query.pair("a", stop.plan_id)] == [stop.plan_id, profit.plan_id]
    made.exchange.cancel_plan("a", stop.plan_id, made.tick())
    again = made.plan(86000, pair_id=stop.pair_id)
    made.mark(86000)
    assert status_of(made, profit, again) == [PlanStatus.CANCELLED, PlanStatus.TRIGGERED]
    assert made.exchange.query.pair("a", "1") == ()


def test_unlinked_plans_leave_each_other_alone() -> None:
    made = stage()
    made.buy(10)
    stop, profit = made.plan(85000, size=4), made.plan(95000, kind=TP, size=4)
    made.mark(85000)
    assert status_of(made, stop, profit) == [PlanStatus.TRIGGERED, PlanStatus.LIVE]


def test_a_pair_is_of_one_leg_and_not_joined_after_it_fired() -> None:
    made = stage()
    made.mark(3000, symbol=ETH)
    made.buy(10)
    made.buy(10, symbol=ETH)
    stop = made.plan(85000, size=4)
    for wrong in (
        lambda: made.plan(2500, symbol=ETH, pair_id=stop.pair_id),
        lambda: made.plan(95000, kind=TP, pair_id="12345"),
    ):
        with pytest.raises(Refused) as caught:
            wrong()
        assert caught.value.reason is RefusalReason.PARAMETER_INVALID
    made.mark(85000)
    with pytest.raises(Refused) as caught:
        made.plan(95000, kind=TP, pair_id=stop.pair_id)
    assert caught.value.reason is RefusalReason.ORDER_FINISHED


def test_a_linked_plan_without_a_client_id_goes_by_its_pairs() -> None:
    """A verdict on exposure must see every fill that a client id stands behind."""
    made = stage()
    made.buy(10)
    request = PlanRequest(
        symbol=BTC,
        kind=PlanKind.CONDITIONAL,
        side=Side.BUY,
        reduce=False,
        trigger_price=d(94000),
        direction=Direction.RISE,
        pair_id=pair(made)[0].pair_id,
        size=d(1),
    )
    made.exchange.place_plan("a", request, made.tick())
    made.mark(94000)
    assert [row.decimal("after") for row in exposure_increases(made.exchange.ledger, "a", "mine")] == [11]


def test_a_second_whole_position_plan_may_take_the_place_of_the_first_and_its_pair() -> None:
    made = stage(terms=Terms(position_plan_replaces=True))
    made.buy(10)
    first = pair(made)
    second = made.plan(86000)
    assert status_of(made, *first, second) == [PlanStatus.CANCELLED, PlanStatus.CANCELLED, PlanStatus.LIVE]
    sized = made.plan(84000, size=3)
    assert status_of(made, second, sized) == [PlanStatus.LIVE, PlanStatus.LIVE]


def test_a_fresh_position_is_unknown_to_plans_for_a_while() -> None:
    made = stage(terms=Terms(plans_blind_ms=500))
    made.buy(10)
    with pytest.raises(Refused) as caught:
        made.plan(85000)
    assert caught.value.reason is RefusalReason.POSITION_NOT_READY
    assert made.exchange.query.position("a", BTC, PositionSide.LONG) is not None
    made.now_ms += 500
    made.plan(85000)
    made.buy(10)
    with pytest.raises(Refused):
        made.plan(86000, size=1)
    made.sell(5, reduce=True)
    made.now_ms += 500
    made.plan(86000, size=1)


def test_sized_plans_of_one_kind_may_share_the_position() -> None:
    made = stage(terms=Terms(sized_plans_share=True))
    made.buy(10)
    first = made.plan(85000, size=6)
    with pytest.raises(Refused) as caught:
        made.plan(84000, size=5)
    assert caught.value.reason is RefusalReason.VOLUME_NOT_ENOUGH
    made.plan(84000, size=4)
    made.plan(95000, kind=TP, size=10)
    made.plan(83000)
    with pytest.raises(Refused):
        made.exchange.modify_plan("a", first.plan_id, made.tick(), size=d(7))
    made.exchange.modify_plan("a", first.plan_id, made.tick(), size=d(5))
    made.plan(84000, size=1)


def test_sized_plans_do_not_grow_with_the_position() -> None:
    made = stage()
    made.buy(10)
    made.plan(85000, size=10)
    made.buy(10)
    made.mark(85000)
    assert made.held() == 10


@pytest.mark.parametrize("linked", [True, False])
def test_presets_of_one_order_may_be_a_pair(linked: bool) -> None:
    made = stage(terms=Terms(linked_presets=linked), fills=FillModel(slices=2, slice_interval_ms=10))
    request = OrderRequest(
        symbol=BTC,
        side=Side.BUY,
        size=d(10),
        stop_loss=Preset(trigger_price=d(85000), source=PriceSource.MARK, limit_price=d(84000)),
        take_profit=Preset(trigger_price=d(95000)),
    )
    made.exchange.place("a", request, made.tick())
    made.exchange.advance(made.now_ms + 10)
    plans = made.exchange.query.open_plans("a")
    assert [(plan.kind, plan.size, plan.limit_price) for plan in plans] == [(SL, 10, 84000), (TP, 10, None)]
    made.mark(95000)
    assert [plan.kind for plan in made.exchange.query.open_plans("a")] == ([] if linked else [SL])


def test_a_finished_plan_may_hold_its_client_id_for_hours() -> None:
    made = stage(terms=Terms(plan_client_ids_kept_ms=6 * 3_600_000))
    made.buy(10)
    plan = made.plan(85000, client_id="once")
    made.exchange.cancel_plan("a", plan.plan_id, made.tick())
    with pytest.raises(Refused) as caught:
        made.plan(85000, client_id="once")
    assert caught.value.reason is RefusalReason.DUPLICATE_CLIENT_ID
    made.now_ms += 6 * 3_600_000
    made.plan(85000, client_id="once")


def test_by_default_a_client_id_is_free_once_its_order_or_plan_is_over() -> None:
    made = stage()
    made.buy(10, client_id="again")
    made.buy(10, client_id="again")
    plan = made.plan(85000, client_id="stop")
    made.exchange.cancel_plan("a", plan.plan_id, made.tick())
    made.plan(85000, client_id="stop")
