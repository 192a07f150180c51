"""Strategy orders on the wire: legs, triggers, second ones, changes, lists. UTA reference, 10."""

import pytest

from guardd.simulator.dialects.bitget_unified.desk import Options, SecondFull
from guardd.simulator.faults import FaultKind
from guardd.simulator.orders import PositionMode
from guardd.simulator.refusals import RefusalReason
from tests.simulator.dialect_bitget_unified.bench import CATEGORY, LONG_OPEN, STOP, Bench, Got

PARTIAL = {**STOP, "tpslMode": "partial", "qty": "0.04", "clientOid": "g-part"}


def _bench(**more: object) -> Bench:
    bench = Bench(**more)
    bench.open_long()
    return bench


def _place(bench: Bench, body: dict = STOP, **changes: object) -> Got:
    merged = {name: value for name, value in {**body, **changes}.items() if value is not None}
    return bench.post("trade/place-strategy-order", merged)


def _past(bench: Bench) -> list:
    return bench.get("trade/history-strategy-orders", category=CATEGORY).data["list"] or []


def test_a_whole_position_stop_closes_all_of_it_at_the_mark() -> None:
    bench = _bench()
    _place(bench)
    bench.open_long(qty="0.05")

    bench.move("BTCUSDT", "80000.1", last="79000")
    assert bench.sizes() == [("long", "0.15")]
    bench.move("BTCUSDT", "80000")

    assert bench.sizes() == []
    assert [(row["status"], row["triggerType"]) for row in _past(bench)] == [("success", "stopLoss")]
    made = bench.get("trade/history-orders", category=CATEGORY).data["list"][0]
    assert (made["delegateType"], made["qty"], made["side"]) == ("position_stop_loss_market", "0.15", "sell")


def test_triggers_watch_the_last_price_unless_mark_is_said() -> None:
    bench = _bench()
    _place(bench, slTriggerBy=None)

    assert bench.stops()[0]["slTriggerBy"] == "market"
    bench.move("BTCUSDT", "79000", last="85000")
    assert bench.sizes() == [("long", "0.1")]
    bench.move("BTCUSDT", "85000", last="80000")
    assert bench.sizes() == []


def test_one_object_holds_both_legs_and_ends_with_either() -> None:
    bench = _bench()
    placed = _place(bench, takeProfit="100000", tpTriggerBy="mark").data

    assert [(placed["orderId"], "100000", "80000")] == [
        (row["orderId"], row["takeProfit"], row["stopLoss"]) for row in bench.stops()
    ]
    bench.move("BTCUSDT", "100000")

    assert [] == bench.sizes() == bench.stops()
    past = _past(bench)[0]
    assert (placed["orderId"], "success", "takeProfit", "80000") == (
        past["orderId"], past["status"], past["triggerType"], past["stopLoss"],
    )  # fmt: skip


def test_a_leg_that_fails_is_told_as_failed_and_leaves_the_position_open() -> None:
    bench = _bench()
    bench.exchange.set_plan_fault(lambda _: RefusalReason.SYSTEM_ERROR)
    _place(bench, takeProfit="100000")

    bench.move("BTCUSDT", "79000")

    assert bench.sizes() == [("long", "0.1")]
    assert [(row["status"], row["triggerType"]) for row in _past(bench)] == [("failed", "stopLoss")]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"stopLoss": None}, "400172"),
        ({"stopLoss": "0"}, "400172"),
        ({"posSide": None}, "400172"),
        ({"posSide": "both"}, "400172"),
        ({"tpslMode": "half"}, "400172"),
        ({"tpslMode": "partial"}, "400172"),
        ({"type": "oco"}, "400172"),
        ({"stopLoss": 80000}, "400172"),
        ({"slOrderType": "limit"}, "400172"),
        ({"slTriggerBy": "index"}, "400172"),
        ({"side": "buy"}, "25200"),
        ({"stopLoss": "80000.05"}, "25244"),
        ({"stopLoss": "90000"}, "25590"),
        ({"stopLoss": "90000", "slTriggerBy": None}, "25586"),
        ({"takeProfit": "89999"}, "25585"),
        ({"takeProfit": "89999", "tpTriggerBy": "mark"}, "25589"),
        ({"stopLoss": "1000"}, "25205"),
        ({"posSide": "short", "stopLoss": "99000"}, "25601"),
        ({"symbol": "ETHUSDT", "stopLoss": "3000"}, "25601"),
        ({"symbol": "NOPEUSDT"}, "25100"),
        ({"category": "COIN-FUTURES", "symbol": "BTCUSD_CM"}, "25102"),
        ({"category": "COIN-FUTURES", "symbol": "BTCUSD"}, "25102"),
        ({"tpslMode": "partial", "qty": "0.2"}, "25595"),
        ({"tpslMode": "partial", "qty": "0.00005"}, "25610"),
        ({"clientOid": "with space"}, "40305"),
    ],
)
def test_what_is_refused_by_its_own_code(changes: dict, code: str) -> None:
    bench = _bench()

    got = _place(bench, **changes)

    assert (400, code) == (got.status, got.code), got.text
    assert bench.stops() == []


@pytest.mark.parametrize(
    ("legs", "code"),
    [
        ({"takeProfit": "91000", "stopLoss": None}, "25587"),
        ({"stopLoss": "89000"}, "25592"),
        ({"takeProfit": "80000", "stopLoss": "99000"}, "00000"),
    ],
)
def test_a_shorts_legs_lie_on_the_other_sides(legs: dict, code: str) -> None:
    bench = Bench()
    bench.open_short()

    assert code == _place(bench, posSide="short", **legs).code


def test_a_position_is_unknown_to_stops_for_a_moment_after_a_fill() -> None:
    bench = _bench()

    codes = [bench.post("trade/place-strategy-order", STOP, after_ms=200).code for _ in range(2)]

    assert codes == ["25601", "00000"]


def test_a_second_whole_position_order_is_refused() -> None:
    bench = _bench()
    _place(bench)

    second = _place(bench, clientOid="g-sl-2", stopLoss="81000")
    profit = _place(bench, clientOid="g-tp-1", stopLoss=None, takeProfit="99000")
    partial = _place(bench, PARTIAL)

    assert [second.code, profit.code, partial.code] == ["25594", "25594", "00000"]
    assert [row["stopLoss"] for row in bench.stops()] == ["80000", "80000"]


def test_or_takes_the_place_of_the_first_where_the_option_says_so() -> None:
    bench = _bench(options=Options(second_full=SecondFull.REPLACE))
    first = _place(bench, takeProfit="99000").data

    second = _place(bench, clientOid="g-sl-2", stopLoss="81000").data

    assert [(second["orderId"], "81000", "")] == [
        (row["orderId"], row["stopLoss"], row["takeProfit"]) for row in bench.stops()
    ]
    assert [(first["orderId"], "cancelled")] == [(row["orderId"], row["status"]) for row in _past(bench)]


def test_a_change_drops_the_legs_that_it_leaves_out() -> None:
    bench = _bench()
    order_id = _place(bench, takeProfit="99000").data["orderId"]

    bench.post("trade/modify-strategy-order", {"orderId": order_id, "qty": "0.1", "stopLoss": "81000"})

    assert [(order_id, "81000", "", "market")] == [
        (row["orderId"], row["stopLoss"], row["takeProfit"], row["slTriggerBy"]) for row in bench.stops()
    ]
    bench.move("BTCUSDT", "99500")
    assert bench.sizes() == [("long", "0.1")]


def test_or_keeps_them_where_the_option_says_so_and_zero_takes_one_away() -> None:
    bench = _bench(options=Options(modify_keeps_legs=True))
    order_id = _place(bench, takeProfit="99000").data["orderId"]
    change = {"clientOid": "g-sl-1", "qty": "0.1"}

    bench.post("trade/modify-strategy-order", {**change, "stopLoss": "81000"})
    kept = bench.stops()[0]
    bench.post("trade/modify-strategy-order", {**change, "takeProfit": "0"})
    left = bench.stops()[0]

    assert (kept["stopLoss"], kept["takeProfit"]) == ("81000", "99000")
    assert (order_id, "81000", "") == (left["orderId"], left["stopLoss"], left["takeProfit"])


def test_a_change_can_add_a_leg_and_turn_one_into_a_limit_order() -> None:
    bench = _bench()
    order_id = _place(bench).data["orderId"]
    body = {
        "orderId": order_id, "qty": "0.1", "stopLoss": "81000", "slOrderType": "limit", "slLimitPrice": "80900",
        "takeProfit": "99000",
    }  # fmt: skip

    bench.post("trade/modify-strategy-order", body)

    row = bench.stops()[0]
    assert (order_id, "g-sl-1", "80900", "99000") == (
        row["orderId"], row["clientOid"], row["slLimitPrice"], row["takeProfit"],
    )  # fmt: skip
    assert len(bench.stops()) == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"stopLoss": "81000"}, "400172"),
        ({"qty": "0.1"}, "400172"),
        ({"qty": "0.1", "stopLoss": "91000"}, "25586"),
        ({"qty": "0.1", "stopLoss": "81000.07"}, "25244"),
    ],
)
def test_a_change_needs_a_quantity_and_a_leg_and_refuses_bad_prices(change: dict, code: str) -> None:
    bench = _bench()
    order_id = _place(bench).data["orderId"]

    assert code == bench.post("trade/modify-strategy-order", {"orderId": order_id, **change}).code
    assert [row["stopLoss"] for row in bench.stops()] == ["80000"]


def test_the_quantity_of_a_partial_order_can_be_changed_that_of_a_whole_one_follows_the_position() -> None:
    bench = _bench()
    whole, part = _place(bench).data["orderId"], _place(bench, PARTIAL).data["orderId"]
    for order_id in (whole, part):
        bench.post("trade/modify-strategy-order", {"orderId": order_id, "qty": "0.07", "stopLoss": "81000"})
    bench.open_long(qty="0.1")

    assert {whole: "0.2", part: "0.07"} == {row["orderId"]: row["qty"] for row in bench.stops()}


def test_rows_dont_tell_whole_from_partial_orders() -> None:
    bench = _bench()
    _place(bench, PARTIAL)

    row = bench.stops()[0]

    assert {"type", "tpslMode", "side", "reduceOnly"}.isdisjoint(row)
    assert (row["qty"], row["posSide"], row["status"]) == ("0.04", "long", "pending")


def test_the_list_is_a_bare_array_of_one_category_without_a_symbol_filter() -> None:
    bench = _bench()
    bench.open_long(symbol="ETHUSDT", qty="1")
    _place(bench)
    _place(bench, symbol="ETHUSDT", stopLoss="3000", clientOid="g-eth")

    named = bench.get("trade/unfilled-strategy-orders", category=CATEGORY, symbol="BTCUSDT").data

    assert [row["symbol"] for row in named] == ["ETHUSDT", "BTCUSDT"]
    assert bench.get("trade/unfilled-strategy-orders", category="USDC-FUTURES").data == []
    assert bench.get("trade/unfilled-strategy-orders").code == "400172"


def test_the_historys_cursor_is_a_number_that_a_float_cannot_hold() -> None:
    bench = _bench()
    order_id = _place(bench).data["orderId"]
    bench.post("trade/cancel-strategy-order", {"clientOid": "g-sl-1"})

    page = bench.get("trade/history-strategy-orders", category=CATEGORY).data

    assert int(order_id) == page["cursor"] > 2**53
    assert page["list"][0]["status"] == "cancelled"
    as_text = _bench(options=Options(cursor_is_number=False))
    _place(as_text)
    as_text.post("trade/cancel-strategy-order", {"clientOid": "g-sl-1"})
    assert isinstance(as_text.get("trade/history-strategy-orders", category=CATEGORY).data["cursor"], str)


def test_a_cancel_answers_null_with_its_time_as_text() -> None:
    bench = _bench()
    order_id = _place(bench).data["orderId"]

    got = bench.post("trade/cancel-strategy-order", {"orderId": order_id})
    again = bench.post("trade/cancel-strategy-order", {"orderId": order_id})

    assert (None, str) == (got.json["data"], type(got.json["requestTime"]))
    assert again.code == "25204"


def test_a_strategys_client_id_stays_taken_for_six_hours() -> None:
    bench = _bench()
    _place(bench)
    assert _place(bench, PARTIAL, clientOid="g-sl-1").code == "25212"
    bench.post("trade/cancel-strategy-order", {"clientOid": "g-sl-1"})

    assert _place(bench).code == "25212"
    bench.pass_time(6 * 3600)
    assert _place(bench).code == "00000"


def test_one_way_mode_takes_either_spelling() -> None:
    bench = _bench(position_mode=PositionMode.ONE_WAY)

    by_side = _place(bench, posSide=None, side="sell", reduceOnly="yes")
    bench.post("trade/cancel-strategy-order", {"orderId": by_side.data["orderId"]})
    by_leg = _place(bench, clientOid="g-sl-2")

    assert by_leg.code == "00000"
    assert _place(bench, posSide=None, side="sell", clientOid="g-sl-3").code == "400172"
    assert _place(bench, posSide=None, clientOid="g-sl-3").code == "400172"


def test_or_refuses_the_positions_side_where_the_option_says_so() -> None:
    bench = _bench(position_mode=PositionMode.ONE_WAY, options=Options(one_way_takes_side=False))

    assert _place(bench).code == "400172"
    assert _place(bench, posSide=None, side="sell", reduceOnly="yes").code == "00000"


def test_a_stop_that_fires_in_one_way_mode_displaces_resting_closes() -> None:
    bench = _bench(position_mode=PositionMode.ONE_WAY)
    close = {"category": CATEGORY, "symbol": "BTCUSDT", "side": "sell", "reduceOnly": "yes", "qty": "0.04"}
    bench.post("trade/place-order", {**close, "orderType": "limit", "price": "95000"})
    _place(bench)

    bench.move("BTCUSDT", "79000")

    assert [] == bench.sizes() == bench.resting()


def test_stops_outlive_their_position() -> None:
    bench = _bench()
    _place(bench)
    bench.open_long(side="sell")

    assert [(row["qty"], row["status"]) for row in bench.stops()] == [("0", "pending")]


TRIGGER = {
    "category": CATEGORY, "symbol": "BTCUSDT", "type": "trigger", "side": "buy", "posSide": "long", "qty": "0.05",
    "triggerPrice": "91000", "triggerBy": "mark", "clientOid": "g-trig",
}  # fmt: skip


def test_a_trigger_order_opens_when_its_price_comes_and_has_no_client_id_of_ours() -> None:
    bench = Bench()
    placed = _place(bench, TRIGGER).data
    row = bench.stops()[0]
    assert "g-trig" != placed["clientOid"] == row["clientOid"]
    assert (
        row["triggerPrice"], row["triggerOrderType"], row["triggerBy"], row["stopLoss"],
    ) == ("91000", "market", "mark", "")  # fmt: skip
    bench.post("trade/modify-strategy-order", {"orderId": placed["orderId"], "qty": "0.06", "triggerPrice": "90500"})

    bench.move("BTCUSDT", "90500")

    assert bench.sizes() == [("long", "0.06")]
    children = bench.get("trade/strategy-sub-orders", orderId=placed["orderId"]).data["list"]
    assert [(row["delegateType"], row["orderStatus"]) for row in children] == [("plan_market", "filled")]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"qty": None}, "400172"),
        ({"posSide": None}, "400172"),
        ({"triggerPrice": None}, "400172"),
        ({"triggerPrice": "91000.01"}, "25244"),
        ({"triggerOrderType": "limit"}, "400172"),
        ({"qty": "0.00001"}, "25610"),
    ],
)
def test_a_trigger_order_is_read_strictly(changes: dict, code: str) -> None:
    assert code == _place(Bench(), TRIGGER, **changes).code


def test_lists_can_be_asked_for_one_type() -> None:
    bench = _bench()
    _place(bench)
    _place(bench, TRIGGER)

    def of(kind: str) -> list[str]:
        rows = bench.get("trade/unfilled-strategy-orders", category=CATEGORY, type=kind).data
        return [row["triggerPrice"] for row in rows]

    assert (of("tpsl"), of("trigger"), of("oco")) == ([""], ["91000"], [])


def test_a_closing_venue_takes_no_new_stops_but_closes() -> None:
    bench = _bench()
    bench.faults.add(FaultKind.CLOSING)

    assert "45107" == _place(bench).code == bench.open_long().code
    assert bench.open_long(side="sell", qty="0.05").code == "00000"
    opening = {**LONG_OPEN, "posSide": "long"}
    assert bench.post("trade/place-batch", [opening]).code == "45107"
    assert bench.post("trade/place-batch", [{**opening, "side": "sell", "qty": "0.05"}]).data[0]["orderId"]
