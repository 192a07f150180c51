"""Plan orders, TP/SL, trailing orders on the wire: reference section 11."""

import pytest

from tests.simulator.dialect.bench import Bench

FORM_A = {
    "symbol": "BTCUSDT", "side": 3, "type": "stop_loss", "trigger_price": "80000", "executive_price": "0",
    "price_type": 2, "plan_category": 2,
}  # fmt: skip
PLAN = {
    "symbol": "BTCUSDT", "side": 3, "type": "market", "leverage": "10", "open_type": "cross", "mode": 1, "size": 100,
    "trigger_price": "83000", "price_way": 2, "price_type": 2,
}  # fmt: skip


def _held() -> Bench:
    bench = Bench()
    bench.open_long()
    return bench


def _listed(bench: Bench, **query: str) -> list[tuple[str, str, str]]:
    rows = bench.get("current-plan-order", **query).data
    return [(row["type"], row["trigger_price"], row["size"]) for row in rows]


def test_both_accepted_forms_of_a_market_stop() -> None:
    bench = _held()
    form_b = {**FORM_A, "plan_category": 1, "size": 50, "category": "market", "executive_price": "79000"}
    form_b["trigger_price"] = "79000"

    first, second = bench.post("submit-tp-sl-order", FORM_A).data, bench.post("submit-tp-sl-order", form_b).data

    assert all(isinstance(each["order_id"], str) and each["client_order_id"] == "" for each in (first, second))
    assert _listed(bench, plan_type="profit_loss") == [("stop_loss", "79000", "50"), ("stop_loss", "80000", "100")]
    assert {"0"} == {row["executive_price"] for row in bench.get("current-plan-order").data}


def test_the_whole_position_form_must_not_carry_a_size() -> None:
    assert _held().post("submit-tp-sl-order", {**FORM_A, "size": 100}).code == 40011


def test_a_stop_before_its_position_fails_with_a_text_and_no_code_of_its_own() -> None:
    got = Bench().post("submit-tp-sl-order", FORM_A)

    assert (got.code, got.json["message"]) == (40012, "Position does not exist")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("trigger_price", 80000),
        ("price_type", "2"),
        ("price_type", 3),
        ("plan_category", "2"),
        ("plan_category", 3),
        ("side", 1),
        ("type", "market"),
        ("executive_price", 0),
        ("category", "stop"),
        ("trigger_price", "-1"),
    ],
)
def test_a_wrong_type_in_a_stop_is_40011(field: str, value: object) -> None:
    assert _held().post("submit-tp-sl-order", {**FORM_A, field: value}).code == 40011


def test_a_stop_on_the_wrong_side_of_the_price_is_refused() -> None:
    assert _held().post("submit-tp-sl-order", {**FORM_A, "trigger_price": "95000"}).code == 40012


def test_a_trigger_off_the_tick_is_40043() -> None:
    assert _held().post("submit-tp-sl-order", {**FORM_A, "trigger_price": "80000.05"}).code == 40043


def test_a_second_whole_position_stop_is_refused_as_existing() -> None:
    bench = _held()
    bench.post("submit-tp-sl-order", FORM_A)

    got = bench.post("submit-tp-sl-order", FORM_A)

    assert (got.code, "exist" in got.json["message"]) == (40012, True)


def test_a_stop_is_moved_in_place_and_keeps_its_id() -> None:
    bench = _held()
    order_id = bench.post("submit-tp-sl-order", FORM_A).data["order_id"]
    body = {"symbol": "BTCUSDT", "order_id": order_id, "trigger_price": "82000", "price_type": 2, "plan_category": 2}

    assert {"order_id": order_id} == bench.post("modify-tp-sl-order", body).data
    assert _listed(bench) == [("stop_loss", "82000", "100")]


def test_a_triggered_stop_becomes_an_order_that_names_its_plan() -> None:
    bench = _held()
    order_id = bench.post("submit-tp-sl-order", FORM_A).data["order_id"]

    bench.move("BTCUSDT", "79999")

    history = bench.get("order-history", symbol="BTCUSDT").data
    assert bench.get("position-v2").data == []
    assert f"PLAN_{order_id}" == history[0]["client_order_id"]


def test_plan_and_tpsl_lists_are_told_apart_and_one_cancel_serves_both() -> None:
    bench = _held()
    plan_id = bench.post("submit-plan-order", PLAN).data["order_id"]
    stop_id = bench.post("submit-tp-sl-order", {**FORM_A, "client_order_id": "s1"}).data["order_id"]

    assert isinstance(plan_id, int)
    assert _listed(bench, plan_type="plan") == [("plan", "83000", "100")]
    assert _listed(bench, plan_type="profit_loss") == [("stop_loss", "80000", "100")]
    bench.post("cancel-plan-order", {"symbol": "BTCUSDT", "order_id": str(plan_id)})
    bench.post("cancel-plan-order", {"symbol": "BTCUSDT", "client_order_id": "s1"})
    assert _listed(bench) == []
    assert bench.post("cancel-plan-order", {"symbol": "BTCUSDT", "order_id": stop_id}).code == 40036


def test_cancel_plan_without_an_id_takes_the_stops_too() -> None:
    bench = _held()
    bench.post("submit-plan-order", PLAN)
    bench.post("submit-tp-sl-order", FORM_A)

    bench.post("cancel-plan-order", {"symbol": "BTCUSDT"})

    assert _listed(bench) == []


def test_a_plan_needs_the_live_leverage_and_takes_no_words_for_numbers() -> None:
    bench = _held()

    assert bench.post("submit-plan-order", {**PLAN, "leverage": "20"}).code == 40012
    assert bench.post("submit-plan-order", {**PLAN, "leverage": 10}).code == 40011
    assert bench.post("submit-plan-order", {**PLAN, "price_way": 3}).code == 40011
    assert bench.post("submit-plan-order", {**PLAN, "type": "limit"}).code == 40011


def test_modify_plan_changes_the_trigger_by_order_id_only() -> None:
    bench = _held()
    plan_id = str(bench.post("submit-plan-order", PLAN).data["order_id"])
    body = {"symbol": "BTCUSDT", "trigger_price": "84000", "price_type": 2, "type": "market"}

    assert bench.post("modify-plan-order", {**body, "client_order_id": "x"}).code == 40011
    assert bench.post("modify-plan-order", {**body, "order_id": plan_id}).code == 1000
    assert _listed(bench) == [("plan", "84000", "100")]


def test_a_trailing_order_is_listed_with_the_open_orders() -> None:
    bench = _held()
    body = {
        "symbol": "BTCUSDT", "side": 3, "leverage": "10", "open_type": "cross", "size": 100,
        "activation_price": "91000", "callback_rate": "1", "activation_price_type": 2,
    }  # fmt: skip
    order_id = bench.post("submit-trail-order", body).data["order_id"]

    row = bench.get("get-open-orders", type="trailing").data[0]

    assert (str(order_id), "91000", "1", 2) == (
        row["order_id"],
        row["activation_price"],
        row["callback_rate"],
        row["activation_price_type"],
    )
    assert _listed(bench) == []
    assert bench.post("submit-trail-order", {**body, "callback_rate": "6"}).code == 40011
    assert bench.post("cancel-trail-order", {"symbol": "BTCUSDT", "order_id": str(order_id)}).code == 1000


def test_presets_of_an_unfilled_order_can_be_changed() -> None:
    bench = Bench()
    order = {
        "symbol": "BTCUSDT", "side": 1, "type": "limit", "price": "89000", "size": 10, "leverage": "10",
        "open_type": "cross", "preset_stop_loss_price": "80000",
    }  # fmt: skip
    order_id = str(bench.post("submit-order", order).data["order_id"])

    bench.post(
        "modify-preset-plan-order",
        {
            "symbol": "BTCUSDT",
            "order_id": order_id,
            "preset_stop_loss_price": "81000",
            "preset_stop_loss_price_type": 2,
        },
    )

    row = bench.get("get-open-orders").data[0]
    assert (row["preset_stop_loss_price"], row["preset_stop_loss_price_type"]) == ("81000", 2)
    bench.move("BTCUSDT", "88000")
    assert _listed(bench) == [("stop_loss", "81000", "10")]
