"""TP/SL, trigger and trailing orders: reference, 12."""

from decimal import Decimal

import pytest

from guardd.simulator.dialects.bitget.desk import Options
from guardd.simulator.dialects.bitget_common.listing import bitget_terms
from guardd.simulator.orders import PositionMode
from guardd.simulator.refusals import RefusalReason
from tests.changed import replace
from tests.simulator.dialect_bitget.bench import BTC, OPEN_LONG, STOP, USDT, Bench
from tests.simulator.dialect_bitget.test_samples import PLAN

ONE_WAY_OPEN = {name: value for name, value in OPEN_LONG.items() if name != "tradeSide"}


def _held(**more: object) -> Bench:
    bench = Bench(**more)
    bench.open_long()
    return bench


def _short() -> Bench:
    bench = Bench()
    bench.place(side="sell")
    return bench


def test_a_stop_is_listed_shown_on_the_position_and_fires_at_the_mark() -> None:
    bench = _held()
    plan_id = bench.stop(clientOid="g-1").data["orderId"]

    row = bench.plans()[0]
    held = bench.positions()[0]
    assert (row["planType"], row["size"], row["planStatus"], row["clientOid"]) == ("pos_loss", "0", "live", "g-1")
    assert (held["stopLoss"], held["stopLossId"], held["takeProfitId"]) == ("80000", plan_id, "")

    bench.move("BTCUSDT", "79999")

    assert bench.held() == []
    past = bench.get("order/orders-plan-history", planType="profit_loss", **USDT).data["entrustedList"][0]
    order = bench.get("order/detail", symbol="BTCUSDT", orderId=past["executeOrderId"], **USDT).data
    assert (past["planStatus"], order["orderSource"], order["state"]) == ("executed", "pos_loss_market", "filled")


def test_the_default_trigger_is_the_last_price_and_not_the_mark() -> None:
    bench = _held()
    bench.post("order/place-tpsl-order", {name: value for name, value in STOP.items() if name != "triggerType"})

    bench.exchange.move("BTCUSDT", mark=Decimal("79000"), last=Decimal("81000"), now_ms=bench.now_ms)

    assert bench.plans()[0]["triggerType"] == "fill_price"
    assert bench.held() == [("long", "0.1")]


@pytest.mark.parametrize(
    ("mode", "word", "code"),
    [
        (PositionMode.HEDGE, "long", "00000"),
        (PositionMode.HEDGE, "buy", "43011"),
        (PositionMode.ONE_WAY, "buy", "00000"),
        (PositionMode.ONE_WAY, "long", "43011"),
        (PositionMode.ONE_WAY, "sell", "45122"),  # validated as a short, before any position is looked for (12.2)
    ],
)
def test_the_hold_sides_words_are_those_of_the_position_mode(mode: PositionMode, word: str, code: str) -> None:
    bench = Bench(position_mode=mode)
    bench.post("order/place-order", OPEN_LONG if mode is PositionMode.HEDGE else ONE_WAY_OPEN)

    got = bench.stop(holdSide=word)

    assert got.code == code
    if code == "43011":
        assert got.json["msg"].endswith("holdSide error")


@pytest.mark.parametrize(
    ("short", "kind", "trigger", "code"),
    [
        (False, "pos_loss", "90001", "40917"),
        (True, "pos_loss", "89999", "45122"),
        (False, "pos_profit", "89999", "40915"),
        (True, "pos_profit", "90001", "45061"),
    ],
)
def test_a_trigger_on_the_wrong_side_of_the_mark_has_a_code_for_each_case(
    short: bool, kind: str, trigger: str, code: str
) -> None:
    bench = _short() if short else _held()

    got = bench.stop(planType=kind, triggerPrice=trigger, holdSide="short" if short else "long")

    assert (got.status, got.code) == (400, code)


def test_a_second_whole_position_stop_or_profit_is_refused() -> None:
    bench = _held()
    bench.stop()
    bench.stop(planType="pos_profit", triggerPrice="95000")

    assert bench.stop(triggerPrice="81000").code == "43031"
    assert bench.stop(planType="pos_profit", triggerPrice="96000").code == "43030"


def test_for_a_while_after_a_fill_the_position_is_not_settled() -> None:
    bench = _held(terms=replace(bitget_terms(), plans_blind_ms=3_000))

    codes = [bench.stop().code for _ in range(4)]

    assert codes == ["43023", "43023", "00000", "43031"]
    assert bench.positions()


def test_a_stop_without_a_position_is_43023() -> None:
    assert Bench().stop().code == "43023"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"executePrice": "0"}, "43011"),
        ({"planType": "loss_plan"}, "40811"),
        ({"planType": "normal_plan"}, "400172"),
        ({"triggerPrice": "80000.05"}, "41103"),
        ({"triggerPrice": ""}, "40811"),
        ({"triggerType": "index_price"}, "400172"),
        ({"holdSide": ""}, "40811"),
        ({"planType": "loss_plan", "size": "0.00001"}, "40808"),
        ({"planType": "loss_plan", "size": "0.2"}, "43023"),
        ({"planType": "moving_plan", "size": "0.1", "rangeRate": "0.001"}, "43032"),
        ({"clientOid": "a b/c"}, "40305"),
    ],
)
def test_a_stop_that_the_venue_refuses(changes: dict, code: str) -> None:
    bench = _held()

    assert bench.stop(**changes).code == code
    assert bench.plans() == []


def test_sized_stops_share_the_position_between_them() -> None:
    bench = _held()
    assert bench.stop(planType="loss_plan", size="0.06").code == "00000"
    assert bench.stop(planType="loss_plan", size="0.06", triggerPrice="79000").code == "43023"
    assert bench.stop(planType="loss_plan", size="0.04", triggerPrice="79000").code == "00000"

    bench.move("BTCUSDT", "79500")

    assert bench.held() == [("long", "0.04")]


def test_a_stop_is_moved_by_its_id_and_an_unknown_one_is_43020() -> None:
    bench = _held()
    plan_id = bench.stop().data["orderId"]
    body = {**BTC, "orderId": plan_id, "triggerPrice": "82000", "triggerType": "mark_price", "size": ""}

    moved = bench.post("order/modify-tpsl-order", body)

    assert moved.data["orderId"] == plan_id
    assert bench.plans()[0]["triggerPrice"] == "82000"
    assert bench.post("order/modify-tpsl-order", {**body, "triggerPrice": "91000"}).code == "40917"
    assert bench.post("order/modify-tpsl-order", {**body, "orderId": "1"}).code == "43020"
    assert bench.post("order/modify-tpsl-order", {**body, "size": "0.05"}).code == "00000"
    assert bench.plans()[0]["size"] == "0"
    bench.post("order/cancel-plan-order", {**BTC, "planType": "pos_loss", "orderIdList": [{"orderId": plan_id}]})
    assert bench.post("order/modify-tpsl-order", body).code == "43020"


def test_a_stop_with_a_limit_execution_becomes_a_market_one_by_leaving_the_price_out() -> None:
    bench = _held()
    plan_id = bench.stop(executePrice="79900").data["orderId"]
    assert bench.plans()[0]["orderType"] == "limit"

    bench.post("order/modify-tpsl-order", {**BTC, "orderId": plan_id, "triggerPrice": "80000", "size": ""})

    assert [(row["orderType"], row["executePrice"]) for row in bench.plans()] == [("market", "0")]


def test_a_cancel_without_the_plan_type_does_nothing_for_a_stop_and_reports_success() -> None:
    bench = _held()
    plan_id = bench.stop().data["orderId"]
    ids = {**BTC, "orderIdList": [{"orderId": plan_id}]}

    got = bench.post("order/cancel-plan-order", ids)

    assert got.data == {"successList": [], "failureList": []}
    assert len(bench.plans()) == 1
    assert bench.post("order/cancel-plan-order", {**ids, "planType": "pos_loss"}).data["successList"]
    assert bench.plans() == []


def test_an_unknown_plan_fails_without_a_code_beside_others_and_is_refused_by_itself() -> None:
    bench = _held()
    unknown = {**BTC, "planType": "pos_loss", "orderIdList": [{"orderId": "7"}]}
    both = {**unknown, "orderIdList": [{"orderId": "7"}, {"orderId": bench.stop().data["orderId"]}]}

    assert bench.post("order/cancel-plan-order", both).data["failureList"] == [
        {"orderId": "7", "clientOid": "", "errorMsg": "notExistend"}
    ]
    assert bench.post("order/cancel-plan-order", unknown).code == "43020"
    assert bench.post("order/cancel-plan-order", {**unknown, "planType": "normal_plan"}).code == "43025"
    lenient = Bench(options=Options(refuses_unknown_plans=False))
    assert lenient.post("order/cancel-plan-order", unknown).data["failureList"]


def test_the_form_without_ids_cancels_a_type_but_not_moving_plans_in_hedge_mode() -> None:
    bench = _held()
    bench.stop()
    bench.stop(planType="moving_plan", size="0.1", rangeRate="1", triggerPrice="91000")

    for kind in ("pos_loss", "moving_plan"):
        bench.post("order/cancel-plan-order", {**USDT, "symbol": "BTCUSDT", "planType": kind})

    assert [row["planType"] for row in bench.plans()] == ["moving_plan"]


def test_the_three_namespaces_of_plans_are_listed_apart_and_never_as_orders() -> None:
    bench = _held()
    bench.stop()
    bench.post("order/place-plan-order", PLAN)
    track = {**PLAN, "planType": "track_plan", "orderType": "market", "callbackRatio": "1", "price": ""}
    assert bench.post("order/place-plan-order", track).code == "00000"

    listed = {family: [row["planType"] for row in bench.plans(family)] for family in _FAMILIES}

    assert listed == {"profit_loss": ["pos_loss"], "normal_plan": ["normal_plan"], "track_plan": ["track_plan"]}
    assert bench.pending() == []
    assert bench.get("order/orders-plan-pending", planType="pos_loss", **USDT).code == "400172"
    assert bench.get("order/orders-plan-pending", **USDT).code == "40811"


_FAMILIES = ("profit_loss", "normal_plan", "track_plan")


def test_an_empty_list_of_stops_is_null_and_has_no_cursor() -> None:
    got = Bench().get("order/orders-plan-pending", planType="profit_loss", **USDT).data

    assert got == {"entrustedList": None}


def test_both_legs_are_placed_or_none() -> None:
    bench = _held()
    body = {**BTC, "holdSide": "long", "stopSurplusTriggerPrice": "95000", "stopLossTriggerPrice": "91000"}

    assert bench.post("order/place-pos-tpsl", body).code == "40917"
    assert bench.plans() == []
    assert len(bench.post("order/place-pos-tpsl", {**body, "stopLossTriggerPrice": "80000"}).data) == 2
    assert sorted(row["planType"] for row in bench.plans()) == ["pos_loss", "pos_profit"]
    assert bench.post("order/place-pos-tpsl", {**BTC, "holdSide": "long"}).code == "40913"


def test_in_one_way_mode_a_trigger_order_cannot_be_reduce_only() -> None:
    bench = Bench(position_mode=PositionMode.ONE_WAY)
    body = {name: value for name, value in PLAN.items() if name != "tradeSide"}

    assert bench.post("order/place-plan-order", {**body, "reduceOnly": "yes"}).code == "22042"
    assert bench.post("order/place-plan-order", body).code == "00000"


def test_a_trigger_order_opens_when_the_price_comes_to_it_from_either_side() -> None:
    bench = Bench()
    market = {**PLAN, "orderType": "market", "price": ""}
    bench.post("order/place-plan-order", market)
    bench.post("order/place-plan-order", {**market, "triggerPrice": "91000"})

    bench.move("BTCUSDT", "91000")
    assert bench.held() == [("long", "0.01")]
    bench.move("BTCUSDT", "86000")
    assert bench.held() == [("long", "0.02")]


def test_a_stop_that_fails_to_execute_is_told_in_the_history() -> None:
    bench = _held()
    bench.stop()
    bench.exchange.set_plan_fault(lambda plan: RefusalReason.SYSTEM_ERROR)

    bench.move("BTCUSDT", "79000")

    past = bench.get("order/orders-plan-history", planType="profit_loss", planStatus="fail_execute", **USDT).data
    assert [row["planStatus"] for row in past["entrustedList"]] == ["fail_execute"]
    assert bench.held() == [("long", "0.1")]


def test_a_leftover_stop_stays_listed_when_its_position_is_closed_otherwise() -> None:
    bench = _held()
    bench.stop()

    bench.post("order/close-positions", {**USDT, "symbol": "BTCUSDT"})

    assert [row["planType"] for row in bench.plans()] == ["pos_loss"]
