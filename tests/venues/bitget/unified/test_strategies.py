"""Stops and take-profits as legs of strategy orders: each is placed, moved and ended by itself (UTA reference, 10)."""

from decimal import Decimal

import pytest

from guardd.model.intent import CancelKind, CancelOrder, ModifyProtection
from guardd.model.names import OrderId, PositionMode, PriceType, Side
from guardd.model.order import Direction, PlanForm, PlanOrder, ProtectionKind
from guardd.model.outcome import Accepted, Reason, Rejected, Unknown
from tests.changed import replace
from tests.venues.bitget.unified.bench import (
    LONG,
    SHORT,
    TIMED_OUT,
    Bench,
    listed,
    ok,
    opened,
    refusal,
    row,
    strategy_row,
    taken,
)
from tests.venues.bitget.unified.test_bodies import protection

STOP, TAKE = ProtectionKind.STOP_LOSS, ProtectionKind.TAKE_PROFIT
PLACE, MODIFY, CANCEL = "place-strategy-order", "modify-strategy-order", "cancel-strategy-order"


async def holding(*rows: dict[str, object], mode: str = "hedge_mode") -> Bench:
    """A long of 0.1 with these objects resting; every change is taken under the id of the object."""
    on = await opened(mode=mode, held=(row(mode=mode),))
    on.network.on("unfilled-strategy-orders", listed(*rows))
    on.network.on(PLACE, taken("901"))
    on.network.on(MODIFY, taken("77"))
    on.network.on(CANCEL, ok())
    return on


def move(order_id: str, trigger: int, kind: ProtectionKind = STOP) -> ModifyProtection:
    return ModifyProtection(
        key=LONG,
        order_id=OrderId(order_id),
        kind=kind,
        form=PlanForm.WHOLE,
        trigger_price=Decimal(trigger),
        price_type=PriceType.MARK,
        size=None,
    )


def end(order_id: str) -> CancelOrder:
    return CancelOrder(key=LONG, order_id=OrderId(order_id), kind=CancelKind.PLAN)


async def plans(on: Bench) -> tuple[PlanOrder, ...]:
    read = await on.venue.orders(resting=False)
    assert read.resting is None
    assert read.plans is not None
    return read.plans


# What a list says


async def test_an_object_with_two_legs_is_two_plan_orders() -> None:
    on = await holding(strategy_row("77", "owner1", sl="80000", tp="99000", qty="0.1"))
    stop, take = await plans(on)
    assert stop == PlanOrder(
        order_id=OrderId("77:sl"),
        client_id=stop.client_id,
        key=LONG,
        protection=STOP,
        form=PlanForm.SIZED,
        direction=Direction.FALLS,
        trigger_price=Decimal(80000),
        price_type=PriceType.MARK,
        execution_price=None,
        size=Decimal("0.1"),
        created_ms=1753057411736,
    )
    assert (take.order_id, take.protection, take.direction) == ("77:tp", TAKE, Direction.RISES)
    assert {stop.client_id, take.client_id} == {"owner1"}


async def test_our_client_id_tells_the_whole_position_from_a_size_of_it() -> None:
    """A list prints a size for both (10.4)."""
    on = await holding(
        strategy_row("77", "gd1abc-sw", sl="80000"), strategy_row("78", "gd1def-tp", tp="99000", qty="0.04")
    )
    stop, take = await plans(on)
    assert (stop.client_id, stop.form, stop.size) == ("gd1abc", PlanForm.WHOLE, None)
    assert (take.client_id, take.form, take.size) == ("gd1def", PlanForm.SIZED, Decimal("0.04"))


async def test_I13_a_take_profit_that_an_owner_put_into_our_object_isnt_ours() -> None:
    on = await holding(strategy_row("77", "gd1abc-sw", sl="80000", tp="99000"))
    stop, take = await plans(on)
    assert (stop.client_id, take.client_id) == ("gd1abc", None)
    assert take.created_ms > stop.created_ms  # the object's last change: it can't be proved older


async def test_a_foreign_object_without_a_size_covers_the_whole_position() -> None:
    on = await holding(strategy_row("77", sl="80000", qty=""))
    (stop,) = await plans(on)
    assert (stop.form, stop.size) == (PlanForm.WHOLE, None)


@pytest.mark.parametrize("status", ["failed", "cancelled", "canceled", "success"])
async def test_an_object_that_is_over_protects_nothing_though_it_is_listed(status: str) -> None:
    on = await holding(strategy_row("77", sl="80000", status=status))
    assert await plans(on) == ()


async def test_in_one_way_mode_a_row_without_a_side_belongs_to_the_side_held() -> None:
    on = await holding(strategy_row("77", "gd1abc-sw", sl="80000", posSide=""), mode="one_way_mode")
    (stop,) = await plans(on)
    assert stop.key == LONG


async def test_a_row_that_names_no_side_where_none_is_held_counts_as_nothing_and_is_told() -> None:
    on = await opened(mode="one_way_mode")
    on.network.on("unfilled-strategy-orders", listed(strategy_row("77", sl="80000", posSide="")))
    assert await plans(on) == ()
    assert await plans(on) == ()
    assert len(on.said("sideless-77")) == 1


async def test_a_trigger_order_is_an_entry_only_where_its_row_says_that_it_opens() -> None:
    fields = {"triggerPrice": "70000", "triggerBy": "mark", "triggerOrderType": "market", "triggerOrderPrice": ""}
    opening = strategy_row("81", **fields, side="buy")
    closing = strategy_row("82", **fields, side="sell")
    mute = strategy_row("83", **fields)

    on = await opened(held=(row(),))
    on.network.on(
        "unfilled-strategy-orders",
        lambda query: ok([opening, closing, mute] if query == {"category": "USDT-FUTURES", "type": "trigger"} else []),
    )
    (entry,) = await plans(on)
    assert (entry.order_id, entry.protection, entry.closes) == ("81", None, False)


# Placing


async def test_a_stop_for_a_size_is_placed_without_a_look() -> None:
    on = await holding()
    outcome = await on.send(protection(PlanForm.SIZED))
    assert isinstance(outcome, Accepted)
    assert outcome.order_id == "901:sl"
    assert [request.path for request in on.network.requests][-1].endswith(PLACE)
    assert on.network.sent("unfilled-strategy-orders") == []


@pytest.mark.parametrize("owners", [{"tp": "99000"}, {"sl": "70000"}, {"sl": "70000", "tp": "99000"}])
async def test_I13_beside_the_owners_object_for_the_whole_position_ours_is_for_the_size_held(
    owners: dict[str, str],
) -> None:
    """What a second one for the whole does isn't known, and the owner's is the owner's."""
    on = await holding(strategy_row("77", "owner1", **owners))
    outcome = await on.send(protection(PlanForm.WHOLE))
    assert isinstance(outcome, Accepted)
    assert outcome.order_id == "901:sl"
    (request,) = on.network.writes
    assert request.path.endswith(PLACE)
    assert (request.body["tpslMode"], request.body["qty"]) == ("partial", "0.1")
    assert request.body["clientOid"] == "gd1abc-sp"


async def test_our_take_profit_joins_our_stop() -> None:
    on = await holding(strategy_row("77", "gd1stop-sw", sl="80000"))
    outcome = await on.send(protection(PlanForm.WHOLE, kind=TAKE))
    assert isinstance(outcome, Accepted)
    assert outcome.order_id == "77:tp"
    (request,) = on.network.writes
    assert (request.body["stopLoss"], request.body["takeProfit"]) == ("80000", "84000")


@pytest.mark.parametrize(
    "resting",
    [
        strategy_row("77", tp="99000", qty="0.04"),
        strategy_row("77", tp="99000", posSide="short"),
        strategy_row("77", tp="99000", symbol="ETHUSDT"),
        strategy_row("77", "gd1take-tp", tp="99000"),
        strategy_row("77", tp="99000", status="cancelled"),
    ],
    ids=["a size of it", "the other side", "another symbol", "our own for a size", "over"],
)
async def test_an_object_of_something_else_is_left_alone(resting: dict[str, object]) -> None:
    on = await holding(resting)
    outcome = await on.send(protection(PlanForm.WHOLE))
    assert isinstance(outcome, Accepted)
    assert outcome.order_id == "901:sl"
    (request,) = on.network.writes
    assert request.path.endswith(PLACE)
    assert request.body["tpslMode"] == "full"


async def test_a_second_stop_of_ours_for_the_whole_position_isnt_sent() -> None:
    on = await holding(strategy_row("77", "gd1other-sw", sl="70000"))
    outcome = await on.send(protection(PlanForm.WHOLE))
    assert isinstance(outcome, Rejected)
    assert outcome.reason is Reason.PROTECTION_EXISTS
    assert on.network.writes == []


async def test_I7_a_stop_that_arrived_already_is_adopted_and_not_sent_again() -> None:
    """The same intent, sent once more after its first answer was lost."""
    on = await holding(strategy_row("77", "gd1abc-sw", sl="84000"))
    outcome = await on.send(protection(PlanForm.WHOLE))
    assert isinstance(outcome, Accepted)
    assert (outcome.order_id, on.network.writes) == ("77:sl", [])


async def test_I7_a_leg_of_ours_that_arrived_in_our_object_is_adopted() -> None:
    on = await holding(strategy_row("77", "gd1stop-sw", sl="80000", tp="84000"))
    outcome = await on.send(protection(PlanForm.WHOLE, kind=TAKE))
    assert isinstance(outcome, Accepted)
    assert (outcome.order_id, on.network.writes) == ("77:tp", [])


async def test_where_the_list_cant_be_read_a_stop_for_the_size_held_replaces_nobodys() -> None:
    on = await holding()
    on.network.on("unfilled-strategy-orders", TIMED_OUT)
    outcome = await on.send(protection(PlanForm.WHOLE))
    assert isinstance(outcome, Accepted)
    (request,) = on.network.writes
    assert (request.body["tpslMode"], request.body["qty"]) == ("partial", "0.1")
    assert request.body["clientOid"] == "gd1abc-sp"


async def test_where_the_list_cant_be_read_a_take_profit_waits_for_it() -> None:
    on = await holding()
    on.network.on("unfilled-strategy-orders", TIMED_OUT)
    outcome = await on.send(protection(PlanForm.WHOLE, kind=ProtectionKind.TAKE_PROFIT))
    assert isinstance(outcome, Rejected)
    assert on.network.writes == []


@pytest.mark.parametrize("code", ["25200", "400172", "40808"])
async def test_in_one_way_mode_a_stop_refused_for_a_parameter_is_tried_without_its_side(code: str) -> None:
    on = await holding(mode="one_way_mode")
    on.network.on(PLACE, refusal(code), taken("901"))
    outcome = await on.send(protection(PlanForm.SIZED), mode=PositionMode.ONE_WAY)
    assert isinstance(outcome, Accepted)
    first, second = (request.body for request in on.network.writes)
    assert first["posSide"] == "long"
    assert "posSide" not in second
    assert (second["side"], second["reduceOnly"], second["clientOid"]) == ("sell", "yes", first["clientOid"])


async def test_in_hedge_mode_a_stop_refused_for_a_parameter_is_tried_with_its_size() -> None:
    on = await holding()
    on.network.on(PLACE, refusal("25200"), taken("901"))
    outcome = await on.send(protection(PlanForm.WHOLE))
    assert isinstance(outcome, Accepted)
    first, second = (request.body for request in on.network.writes)
    assert second == {**first, "qty": "0.1"}


async def test_a_stop_refused_for_another_reason_is_tried_once() -> None:
    on = await holding()
    on.network.on(PLACE, refusal("25601"))
    outcome = await on.send(protection(PlanForm.WHOLE))
    assert isinstance(outcome, Rejected)
    assert outcome.reason is Reason.POSITION_GONE
    assert len(on.network.writes) == 1


async def test_I7_a_stop_whose_answer_is_lost_is_tried_in_no_second_form() -> None:
    on = await holding()
    on.network.on(PLACE, TIMED_OUT)
    assert isinstance(await on.send(protection(PlanForm.WHOLE)), Unknown)
    assert len(on.network.writes) == 1


async def test_a_trigger_order_is_no_form_of_protection_here() -> None:
    on = await holding()
    outcome = await on.send(replace(protection(PlanForm.WHOLE), form=PlanForm.PLAN))
    assert isinstance(outcome, Rejected)
    assert (outcome.reason, on.network.writes) == (Reason.UNSUPPORTED, [])


# Moving and ending


async def test_a_moved_leg_keeps_its_id() -> None:
    on = await holding(strategy_row("77", "gd1abc-sw", sl="80000"))
    outcome = await on.send(move("77:sl", 81000))
    assert isinstance(outcome, Accepted)
    assert outcome.order_id == "77:sl"
    (request,) = on.network.writes
    assert (request.body["stopLoss"], request.body["slTriggerBy"]) == ("81000", "mark")
    assert "takeProfit" not in request.body


@pytest.mark.parametrize(
    "rows",
    [(), (strategy_row("77", tp="99000"),), (strategy_row("78", sl="80000"),)],
    ids=["none", "other leg", "other"],
)
async def test_a_leg_that_is_gone_is_neither_moved_nor_ended(rows: tuple[dict[str, object], ...]) -> None:
    on = await holding(*rows)
    for write in (move("77:sl", 81000), end("77:sl")):
        outcome = await on.send(write)
        assert isinstance(outcome, Rejected)
        assert outcome.reason is Reason.ORDER_GONE
    assert on.network.writes == []


async def test_without_a_list_nothing_is_moved() -> None:
    on = await holding()
    on.network.on("unfilled-strategy-orders", TIMED_OUT)
    outcome = await on.send(move("77:sl", 81000))
    assert isinstance(outcome, Rejected)
    assert (outcome.reason, on.network.writes) == (Reason.NOT_SENT, [])


async def test_the_last_leg_ends_with_its_object() -> None:
    on = await holding(strategy_row("77", "gd1abc-sw", sl="80000"))
    assert isinstance(await on.send(end("77:sl")), Accepted)
    (request,) = on.network.writes
    assert (request.path, request.body) == (f"/api/v3/trade/{CANCEL}", {"orderId": "77"})


async def test_one_leg_ends_and_the_other_is_said_again() -> None:
    on = await holding(strategy_row("77", "gd1abc-sw", sl="80000", tp="99000"))
    assert isinstance(await on.send(end("77:tp")), Accepted)
    (request,) = on.network.writes
    assert request.path.endswith(MODIFY)
    assert request.body == {
        "orderId": "77",
        "qty": "0.1",
        "stopLoss": "80000",
        "slTriggerBy": "mark",
        "slOrderType": "market",
        "takeProfit": "0",
    }


async def test_a_leg_that_cant_be_ended_by_a_zero_is_left_out() -> None:
    on = await holding(strategy_row("77", "gd1abc-sw", sl="80000", tp="99000"))
    on.network.on(MODIFY, refusal("25200"), taken("77"))
    assert isinstance(await on.send(end("77:tp")), Accepted)
    assert ["takeProfit" in request.body for request in on.network.writes] == [True, False]


async def test_a_leg_that_still_rests_after_a_zero_was_taken_is_left_out_the_next_time() -> None:
    on = await holding(strategy_row("77", "gd1abc-sw", sl="80000", tp="99000"))
    await on.send(end("77:tp"))
    await on.send(end("77:tp"))
    assert ["takeProfit" in request.body for request in on.network.writes] == [True, False]


async def test_after_the_position_our_own_object_ends_whole_and_an_owners_is_left() -> None:
    for client, calls in (("gd1abc-sw", [MODIFY, CANCEL]), ("owner1", [MODIFY])):
        on = await holding(strategy_row("77", client, sl="80000", tp="99000"))
        on.network.on(MODIFY, refusal("25601"))
        await on.send(end("77:sl"))
        assert [request.path.rpartition("/")[2] for request in on.network.writes] == calls


async def test_a_leg_that_the_venue_drops_as_the_other_is_moved_is_told() -> None:
    on = await holding(strategy_row("77", "owner1", sl="80000", tp="99000"))
    await on.send(move("77:sl", 81000))
    on.network.on("unfilled-strategy-orders", listed(strategy_row("77", "owner1", sl="81000")))
    await plans(on)
    assert len(on.said("lost-leg-77")) == 1


# Looking up


async def test_a_leg_that_waits_is_found_by_either_id() -> None:
    on = await holding(strategy_row("77", "gd1abc-sw", sl="80000"))
    on.network.on("order-info", refusal("25204"))
    on.network.on("unfilled-orders", ok({"list": None}))
    on.network.on("history-orders", ok({"list": None}))
    by_id = await on.venue.find_order(LONG, client_id=None, order_id=OrderId("77:sl"))
    by_ours = await on.venue.find_order(LONG, client_id=(await plans(on))[0].client_id, order_id=None)
    assert by_id is not None
    assert by_id == by_ours
    assert (by_id.order_id, by_id.client_id, by_id.filled, by_id.live) == ("77:sl", "gd1abc", 0, True)


async def past(on: Bench, **changes: object) -> None:
    on.network.on(
        "history-strategy-orders", ok({"list": [strategy_row("77", "gd1abc-sw", sl="80000", **changes)], "cursor": 9})
    )


async def test_a_stop_that_fired_is_the_order_that_it_gave_birth_to() -> None:
    on = await holding()
    await past(on, status="success", triggerType="stopLoss")
    on.network.on("strategy-sub-orders", ok({"list": [{"orderId": "555"}], "cursor": ""}))
    filled = {"orderStatus": "filled", "orderId": "555", "qty": "0.1", "cumExecQty": "0.1", "avgPrice": "79990"}
    on.network.on("order-info", ok({**order(), **filled}))
    report = await on.venue.find_order(LONG, client_id=None, order_id=OrderId("77:sl"))
    assert report is not None
    assert (report.order_id, report.filled, report.average_price) == ("555", Decimal("0.1"), Decimal(79990))


async def test_without_its_child_a_stop_that_fired_filled_its_size() -> None:
    on = await holding()
    await past(on, status="success", triggerType="stopLoss")
    on.network.on("strategy-sub-orders", refusal("40404"))
    report = await on.venue.find_order(LONG, client_id=None, order_id=OrderId("77:sl"))
    assert report is not None
    assert (report.order_id, report.filled, report.live) == ("77:sl", Decimal("0.1"), False)


@pytest.mark.parametrize("status", ["failed", "cancelled"])
async def test_a_stop_that_failed_or_was_cancelled_filled_nothing(status: str) -> None:
    on = await holding()
    await past(on, status=status)
    on.network.on("strategy-sub-orders", ok({"list": []}))
    report = await on.venue.find_order(LONG, client_id=None, order_id=OrderId("77:sl"))
    assert report is not None
    assert (report.filled, report.live) == (0, False)


async def test_the_other_leg_of_an_object_that_fired_filled_nothing() -> None:
    on = await holding()
    await past(on, status="success", triggerType="stopLoss", takeProfit="99000")
    report = await on.venue.find_order(LONG, client_id=None, order_id=OrderId("77:tp"))
    assert report is not None
    assert (report.filled, report.live) == (0, False)


async def test_an_order_that_no_list_has_is_unknown() -> None:
    on = await holding()
    on.network.on("history-strategy-orders", ok({"list": None}))
    assert await on.venue.find_order(LONG, client_id=None, order_id=OrderId("77:sl")) is None
    on.network.on("order-info", refusal("25204"))
    on.network.on("unfilled-orders", ok({"list": None}))
    on.network.on("history-orders", ok({"list": None}))
    assert await on.venue.find_order(SHORT, client_id=None, order_id=OrderId("77")) is None


def order() -> dict[str, object]:
    return {
        "orderId": "555",
        "clientOid": "",
        "category": "USDT-FUTURES",
        "symbol": "BTCUSDT",
        "orderType": "market",
        "side": "sell",
        "price": "",
        "posSide": Side.LONG.value,
        "holdMode": "hedge_mode",
        "reduceOnly": "NO",
        "createdTime": "1753057411736",
        "updatedTime": "1753057411736",
    }
