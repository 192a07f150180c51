"""Closes against resting closes, whole closes, and the smallest order value (Bitget reference, 11.2 and 11.7)."""

from decimal import Decimal

import pytest

from guardd.simulator.happenings import OrderChanged
from guardd.simulator.orders import CancelCause, OrderStatus, PlanStatus, PositionMode, PositionSide
from guardd.simulator.refusals import RefusalReason, Refused
from guardd.simulator.terms import RestingCloses, Terms
from tests.changed import replace
from tests.simulator.engine.stage import BTC, LONG, SHORT, Stage, d, stage

DISPLACE = Terms(one_way_closes=RestingCloses.DISPLACE, hedge_closes=RestingCloses.DISPLACE)
REMAINDER = Terms(one_way_closes=RestingCloses.REMAINDER, hedge_closes=RestingCloses.REMAINDER)


def held_ten(terms: Terms, mode: PositionMode = PositionMode.ONE_WAY) -> Stage:
    made = stage(terms=terms, position_mode=mode)
    made.buy(10)
    return made


def with_minimum(made: Stage, value: str) -> Stage:
    contract = made.exchange.query.contract(BTC)
    made.exchange.set_contract(replace(contract, min_notional=d(value)), made.tick())
    return made


def reason_of(made: Stage, size: str | int, price: str | None = None) -> RefusalReason:
    with pytest.raises(Refused) as caught:
        made.sell(size, price, reduce=True)
    return caught.value.reason


@pytest.mark.parametrize("price", [None, "96000"])
def test_a_reduce_only_order_takes_the_place_of_the_oldest_resting_ones(price: str | None) -> None:
    made = held_ten(DISPLACE)
    resting = [made.sell(size, "95000", reduce=True) for size in (3, 4, 2)]
    order = made.sell(6, price, reduce=True)
    assert order.displaced == (resting[0].order_id, resting[1].order_id)
    query = made.exchange.query
    assert [query.order("a", order_id=each.order_id).cancel_cause for each in resting] == [
        CancelCause.DISPLACED,
        CancelCause.DISPLACED,
        None,
    ]
    assert made.held() == (10 if price else 4)


def test_what_fits_displaces_nothing() -> None:
    made = held_ten(DISPLACE)
    made.sell(3, "95000", reduce=True)
    assert made.sell(7, reduce=True).displaced == ()
    assert len(made.exchange.query.open_orders("a")) == 1


@pytest.mark.parametrize("terms", [DISPLACE, REMAINDER])
def test_a_close_larger_than_the_position_is_refused_and_nothing_is_displaced(terms: Terms) -> None:
    made = held_ten(terms)
    resting = made.sell(4, "95000", reduce=True)
    made.heard.clear()
    assert reason_of(made, 11) is RefusalReason.VOLUME_NOT_ENOUGH
    assert made.exchange.query.open_orders("a") == (resting,)
    assert made.heard == []


def test_a_refused_close_brings_its_resting_ones_back_in_their_order() -> None:
    made = held_ten(DISPLACE)
    resting = [made.sell(5, "95000", reduce=True), made.sell(5, "96000", reduce=True)]
    assert reason_of(made, 10, "90000.01") is RefusalReason.PRICE_PRECISION
    assert made.exchange.query.open_orders("a") == tuple(resting)


def test_displaced_orders_are_told_before_the_new_one() -> None:
    made = held_ten(DISPLACE)
    old = made.sell(10, "95000", reduce=True)
    made.heard.clear()
    new = made.sell(10, reduce=True)
    orders = [event.order for event in made.heard if isinstance(event, OrderChanged)]
    assert [(order.order_id, order.status) for order in orders] == [
        (old.order_id, OrderStatus.CANCELLED),
        (new.order_id, OrderStatus.WORKING),
        (new.order_id, OrderStatus.FILLED),
    ]


def test_a_hedged_market_close_may_close_what_is_free() -> None:
    made = held_ten(REMAINDER, PositionMode.HEDGE)
    made.sell(6, "95000", reduce=True)
    order = made.sell(10, reduce=True)
    assert (order.size, order.filled, made.held()) == (4, 4, 6)
    assert reason_of(made, 6) is RefusalReason.VOLUME_NOT_ENOUGH


@pytest.mark.parametrize("terms", [REMAINDER, DISPLACE])
def test_in_hedge_mode_a_limit_close_must_fit(terms: Terms) -> None:
    made = held_ten(terms, PositionMode.HEDGE)
    made.sell(6, "95000", reduce=True)
    assert reason_of(made, 5, "95000") is RefusalReason.VOLUME_NOT_ENOUGH


def test_a_hedged_market_close_displaces_only_closes_of_its_own_leg() -> None:
    made = held_ten(DISPLACE, PositionMode.HEDGE)
    made.sell(10)
    other = made.buy(10, "85000", reduce=True)
    made.sell(10, "95000", reduce=True)
    made.sell(10, reduce=True)
    assert (made.held(LONG), made.held(SHORT)) == (0, 10)
    assert made.exchange.query.open_orders("a") == (other,)


def test_a_triggered_stop_makes_room_as_an_order_does() -> None:
    made = held_ten(DISPLACE)
    made.sell(10, "95000", reduce=True)
    plan = made.plan(85000)
    made.mark(85000)
    assert made.held() == 0
    assert made.exchange.query.plan("a", plan_id=plan.plan_id).status is PlanStatus.TRIGGERED


@pytest.mark.parametrize(
    ("terms", "left", "resting"), [(Terms(), 6, 1), (REMAINDER, 6, 1), (DISPLACE, 0, 0)], ids=["plain", "rest", "all"]
)
def test_a_whole_close_takes_what_the_terms_leave_to_it(terms: Terms, left: int, resting: int) -> None:
    made = held_ten(terms, PositionMode.HEDGE)
    made.sell(6, "95000", reduce=True)
    made.exchange.close_position("a", BTC, LONG, made.tick())
    assert made.held() == left
    assert len(made.exchange.query.open_orders("a")) == resting


def test_a_whole_close_of_nothing_is_refused() -> None:
    made = held_ten(Terms())
    with pytest.raises(Refused) as caught:
        made.exchange.close_position("a", BTC, PositionSide.SHORT, made.tick())
    assert caught.value.reason is RefusalReason.POSITION_NOT_EXIST
    made.sell(10, "95000", reduce=True)
    with pytest.raises(Refused) as caught:
        made.exchange.close_position("a", BTC, LONG, made.tick())
    assert caught.value.reason is RefusalReason.VOLUME_NOT_ENOUGH


def test_a_whole_close_above_the_market_maximum_is_refused() -> None:
    made = held_ten(Terms())
    contract = made.exchange.query.contract(BTC)
    made.exchange.set_contract(replace(contract, max_market_size=d(9)), made.tick())
    with pytest.raises(Refused) as caught:
        made.exchange.close_position("a", BTC, LONG, made.tick())
    assert caught.value.reason is RefusalReason.SIZE_RANGE


def test_an_order_below_the_smallest_value_is_refused() -> None:
    made = with_minimum(stage(), "180")
    with pytest.raises(Refused) as caught:
        made.buy(1)
    assert caught.value.reason is RefusalReason.NOTIONAL_TOO_SMALL
    made.buy(2)
    with pytest.raises(Refused) as caught:
        made.buy(2, "89999")
    assert caught.value.reason is RefusalReason.NOTIONAL_TOO_SMALL


def test_dust_is_closed_whole_or_where_the_terms_let_closes_be_small() -> None:
    made = with_minimum(held_ten(Terms()), "180")
    assert reason_of(made, 1) is RefusalReason.NOTIONAL_TOO_SMALL
    made.sell(9, reduce=True)
    made.exchange.close_position("a", BTC, LONG, made.tick())
    assert made.held() == 0
    lenient = with_minimum(held_ten(Terms(min_notional_on_closes=False)), "180")
    lenient.sell(1, reduce=True)
    assert lenient.held() == 9


def test_a_stop_closes_what_is_below_the_smallest_value() -> None:
    made = held_ten(Terms())
    made.plan(85000)
    made.sell(9, reduce=True)
    with_minimum(made, "180")
    made.mark(85000)
    assert made.held() == 0


@pytest.mark.parametrize("step", ["0.001", "0.1"])
def test_sizes_may_be_counted_in_the_base_coin(step: str) -> None:
    made = stage()
    contract = made.exchange.query.contract("SOLUSDT")
    in_coins = replace(
        contract, symbol="SOLX", contract_size=Decimal(1), step=d(step), min_size=d(step), tick=d("0.005")
    )
    made.exchange.set_contract(in_coins, made.tick())
    made.mark("180.005", symbol="SOLX")
    made.buy("1.3", symbol="SOLX")
    made.sell(step, "190.015", reduce=True, symbol="SOLX")
    view = made.position(symbol="SOLX")
    assert view is not None
    assert (view.size, view.available_size, view.frozen_size) == (d("1.3"), d("1.3") - d(step), d(step))
    assert view.notional_entry == d("234.0065")
    with pytest.raises(Refused) as caught:
        made.sell(step, "190.012", reduce=True, symbol="SOLX")
    assert caught.value.reason is RefusalReason.PRICE_PRECISION
