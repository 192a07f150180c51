"""Orders on the wire: scenarios, strict types, refusals, look-ups. Reference sections 9, 10 and 16."""

import pytest

from guardd.simulator.faults import FaultKind
from guardd.simulator.orders import MarginMode, PositionMode
from guardd.simulator.terms import FillModel, VenueState
from tests.simulator.dialect.bench import LONG_OPEN, Bench

CLOSE = {"symbol": "BTCUSDT", "side": 3, "type": "market", "size": 40}
LIMIT = {**LONG_OPEN, "type": "limit", "price": "80000"}


def _amounts(bench: Bench) -> list[tuple[str, str]]:
    return [(row["position_side"], row["current_amount"]) for row in bench.get("position-v2").data]


def test_the_four_scenarios_of_the_guide() -> None:
    bench = Bench()

    opened = bench.open_long().data
    rested = bench.post("submit-order", LIMIT).data
    closed = bench.post("submit-order", CLOSE).data
    close_limit = {"symbol": "BTCUSDT", "side": 3, "type": "limit", "price": "95000", "size": 10, "mode": 1}
    taken = bench.post("submit-order", close_limit).data

    assert "market price" == opened["price"] == closed["price"]
    assert (rested["price"], taken["price"]) == ("80000", "95000")
    assert _amounts(bench) == [("long", "60")]
    assert {rested["order_id"], taken["order_id"]} == {
        int(row["order_id"]) for row in bench.get("get-open-orders").data
    }


def test_order_ids_are_integers_too_large_for_a_float() -> None:
    order_id = Bench().open_long().data["order_id"]

    assert order_id > 2**53
    assert isinstance(order_id, int)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("size", "100"),
        ("size", 1.5),
        ("size", True),
        ("side", "1"),
        ("side", "buy"),
        ("side", 5),
        ("price", "90000"),
        ("price", None),
        ("mode", "1"),
        ("mode", 9),
        ("mode", 4),
        ("leverage", 10),
        ("open_type", 1),
        ("type", "stop"),
        ("client_order_id", 77),
        ("symbol", ""),
        ("stp_mode", 4),
        ("preset_stop_loss_price", 80000),
    ],
)
def test_a_wrong_json_type_or_a_price_on_a_market_order_is_40011(field: str, value: object) -> None:
    bench = Bench()

    got = bench.open_long(**{field: value})

    assert (got.status, got.code) == (400, 40011), got.text
    assert _amounts(bench) == []


@pytest.mark.parametrize("field", ["symbol", "side", "size", "leverage", "open_type"])
def test_a_missing_field_is_40011(field: str) -> None:
    body = {name: value for name, value in LONG_OPEN.items() if name != field}

    assert Bench().post("submit-order", body).code == 40011


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"symbol": "NOPEUSDT"}, 400, 40034),
        ({"leverage": "9"}, 400, 40012),
        ({"open_type": "isolated"}, 400, 40012),
        ({"open_type": "spot"}, 400, 40045),
        ({"size": 0}, 400, 40043),
        ({"size": 200_001}, 400, 40044),
        ({"client_order_id": "a-b"}, 403, 40048),
        ({"client_order_id": "a" * 33}, 403, 40049),
        ({"type": "limit", "price": "90000.05"}, 400, 40043),
        ({"side": 3, "leverage": "10"}, 400, 40021),
    ],
)
def test_each_refusal_has_the_code_and_status_of_the_table(changes: dict, status: int, code: int) -> None:
    got = Bench().open_long(**changes)

    assert (status, code) == (got.status, got.code), got.text


def test_a_close_of_more_than_is_held_is_refused_and_not_clipped() -> None:
    bench = Bench()
    bench.open_long()

    assert bench.post("submit-order", {**CLOSE, "size": 101}).code == 40020
    assert _amounts(bench) == [("long", "100")]


def test_a_close_of_a_closed_position_says_so() -> None:
    bench = Bench()
    bench.open_long()
    bench.post("submit-order", {**CLOSE, "size": 100})

    assert bench.post("submit-order", CLOSE).code == 40018


def test_a_resting_close_holds_the_volume_that_a_market_close_wants() -> None:
    bench = Bench()
    bench.open_long()
    bench.post("submit-order", {"symbol": "BTCUSDT", "side": 3, "type": "limit", "price": "95000", "size": 80})

    assert bench.post("submit-order", CLOSE).code == 40020


def test_sides_two_and_three_reduce_in_one_way_mode_too() -> None:
    bench = Bench(position_mode=PositionMode.ONE_WAY)
    bench.open_long(side=4)
    row = bench.get("position-v2").data[0]

    assert (row["position_side"], row["current_amount"], row["position_amount"]) == ("both", "100", "-100")
    assert bench.post("submit-order", {**CLOSE, "side": 2}).code == 1000
    assert _amounts(bench) == [("both", "60")]


def test_a_client_id_of_an_existing_order_is_40050_and_free_again_when_it_finished() -> None:
    bench = Bench()
    bench.post("submit-order", {**LIMIT, "client_order_id": "Abc1"})

    again = bench.post("submit-order", {**LIMIT, "client_order_id": "Abc1"})

    assert (again.status, again.code) == (403, 40050)
    assert bench.post("submit-order", {**LIMIT, "client_order_id": "abc1"}).code == 1000
    bench.post("cancel-order", {"symbol": "BTCUSDT", "client_order_id": "Abc1"})
    assert bench.post("submit-order", {**LIMIT, "client_order_id": "Abc1"}).code == 1000


def test_cancel_without_any_id_cancels_the_whole_symbol() -> None:
    bench = Bench()
    bench.post("submit-order", LIMIT)
    bench.post("submit-order", LIMIT)
    bench.post("submit-order", {**LIMIT, "symbol": "ETHUSDT", "price": "3000"})

    bench.post("cancel-order", {"symbol": "BTCUSDT"})

    assert [row["symbol"] for row in bench.get("get-open-orders").data] == ["ETHUSDT"]


def test_cancelling_again_says_finished_and_an_unknown_id_says_unknown() -> None:
    bench = Bench()
    order_id = str(bench.post("submit-order", LIMIT).data["order_id"])
    body = {"symbol": "BTCUSDT", "order_id": order_id}

    assert bench.post("cancel-order", body).code == 1000
    assert bench.post("cancel-order", body).code == 40036
    assert bench.post("cancel-order", {**body, "order_id": "123"}).code == 40037
    assert bench.post("cancel-order", {**body, "order_id": int(order_id)}).code == 40011


def test_modify_wants_an_integer_id_and_keeps_what_is_left_out() -> None:
    bench = Bench()
    order_id = bench.post("submit-order", LIMIT).data["order_id"]

    assert bench.post("modify-limit-order", {"symbol": "BTCUSDT", "order_id": str(order_id), "size": 7}).code == 40011
    assert bench.post("modify-limit-order", {"symbol": "BTCUSDT", "order_id": order_id, "size": 7}).code == 1000
    row = bench.get("get-open-orders").data[0]
    assert (row["price"], row["size"]) == ("80000", "7")


def test_order_history_takes_seconds_and_finds_a_client_id() -> None:
    bench = Bench()
    bench.open_long(client_order_id="mine")
    now_s = bench.now_ms // 1000

    found = bench.get("order-history", symbol="BTCUSDT", client_order_id="mine").data

    assert [row["client_order_id"] for row in found] == ["mine"]
    assert (found[0]["state"], found[0]["size"], found[0]["deal_size"]) == (4, "100", "100")
    window = {"start_time": str(now_s + 100), "end_time": str(now_s + 200)}
    assert bench.get("order-history", symbol="BTCUSDT", **window).data == []
    assert bench.get("order-history").code == 40011
    too_long = {"start_time": str(now_s - 91 * 86_400), "end_time": str(now_s)}
    assert bench.get("order-history", symbol="BTCUSDT", **too_long).code == 40039


def test_a_partly_filled_order_is_listed_and_counted() -> None:
    bench = Bench()
    bench.exchange.set_fills(FillModel(slices=4, slice_interval_ms=3_000))
    bench.open_long()

    half = bench.get("get-open-orders", order_state="partially_filled").data
    for _ in range(4):
        bench.pass_time(3)

    assert [row["deal_size"] for row in half] == ["25"] or int(half[0]["deal_size"]) in range(25, 100)
    assert bench.get("get-open-orders").data == []


def test_the_timed_cancel_takes_seconds_and_fires() -> None:
    bench = Bench()
    bench.post("submit-order", LIMIT)

    got = bench.post("cancel-all-after", {"symbol": "BTCUSDT", "timeout": 5}).data

    assert (got["result"], got["cancel_time"] - got["set_time"]) == (True, 5)
    assert bench.post("cancel-all-after", {"symbol": "BTCUSDT", "timeout": 4}).code == 40011
    bench.pass_time(6)
    assert bench.get("get-open-orders").data == []


def test_a_closing_venue_refuses_new_risk_and_still_takes_closes_reads_and_cancels() -> None:
    bench = Bench()
    bench.open_long()
    order_id = str(bench.post("submit-order", LIMIT).data["order_id"])
    bench.exchange.set_state(VenueState.REDUCE_ONLY, bench.now_ms)

    assert bench.open_long().code == 40015
    assert bench.post("submit-order", CLOSE).code == 1000
    assert bench.post("cancel-order", {"symbol": "BTCUSDT", "order_id": order_id}).code == 1000


def test_the_closing_fault_refuses_opens_with_the_chosen_code() -> None:
    bench = Bench()
    bench.open_long()
    bench.faults.add(FaultKind.CLOSING, code=40014)

    assert bench.open_long().code == 40014
    assert bench.post("submit-order", CLOSE).code == 1000


def test_maintenance_answers_http_200_with_30016() -> None:
    bench = Bench()
    bench.exchange.set_state(VenueState.MAINTENANCE, bench.now_ms)

    got = bench.open_long()

    assert (got.status, got.code) == (200, 30016)


def test_presets_rest_as_protection_once_the_order_filled() -> None:
    bench = Bench(margin_mode=MarginMode.ISOLATED)
    bench.open_long(open_type="isolated", preset_stop_loss_price="85000", preset_stop_loss_price_type=2)

    plans = bench.get("current-plan-order", plan_type="profit_loss").data

    assert [(row["type"], row["trigger_price"], row["side"], row["price_type"]) for row in plans] == [
        ("stop_loss", "85000", 3, 2)
    ]
    assert bench.post("submit-order", {**CLOSE, "preset_stop_loss_price": "80000"}).code == 40011


def test_trades_and_fees_are_told_per_fill() -> None:
    bench = Bench()
    order_id = bench.open_long().data["order_id"]

    row = bench.get("trades", symbol="BTCUSDT", order_id=str(order_id)).data[0]

    assert (row["vol"], row["price"], row["paid_fees"], row["exec_type"]) == ("100", "90000.1", "5.400006", "Taker")
