"""Orders: reference, 5, 11 and 15.3."""

import json
from pathlib import Path

import pytest

from guardd.simulator.dialects.bitget_common.listing import bitget_terms
from guardd.simulator.orders import PositionMode
from guardd.simulator.terms import FillModel
from tests.changed import replace
from tests.simulator.dialect_bitget.bench import BTC, CLOSE_LONG, LIMIT, OPEN_LONG, USDT, Bench
from tests.simulator.dialect_bitget.test_samples import shape

SAMPLES = Path(__file__).parents[2] / "samples" / "bitget"
ONE_WAY_OPEN = {name: value for name, value in OPEN_LONG.items() if name != "tradeSide"}
ONE_WAY_CLOSE = {**ONE_WAY_OPEN, "side": "sell", "reduceOnly": "YES"}


def _one_way() -> Bench:
    return Bench(position_mode=PositionMode.ONE_WAY)


def _place(bench: Bench, body: dict, **changes: object):
    return bench.post("order/place-order", {**body, **changes})


def test_a_long_is_closed_with_buy_and_close_and_a_short_with_sell_and_close() -> None:
    bench = Bench()
    _place(bench, OPEN_LONG)
    _place(bench, OPEN_LONG, side="sell")
    assert sorted(bench.held()) == [("long", "0.1"), ("short", "0.1")]

    assert _place(bench, CLOSE_LONG).code == "00000"
    assert bench.held() == [("short", "0.1")]
    assert _place(bench, CLOSE_LONG, side="sell").code == "00000"
    assert bench.held() == []


def test_the_opposite_side_of_a_close_finds_no_position() -> None:
    bench = Bench()
    _place(bench, OPEN_LONG)

    got = _place(bench, CLOSE_LONG, side="sell")

    assert (got.status, got.code) == (400, "22002")
    assert bench.held() == [("long", "0.1")]


def test_in_one_way_mode_reduce_only_closes_and_never_opens() -> None:
    bench = _one_way()
    _place(bench, ONE_WAY_OPEN)

    assert _place(bench, ONE_WAY_CLOSE, side="buy").code == "22002"
    assert _place(bench, ONE_WAY_CLOSE).code == "00000"
    assert bench.held() == []
    assert _place(bench, ONE_WAY_CLOSE).code == "22002"


def test_an_order_of_the_other_position_mode_is_refused() -> None:
    without = {name: value for name, value in CLOSE_LONG.items() if name != "tradeSide"}

    assert _place(Bench(), without).code == "45020"
    assert _place(Bench(), CLOSE_LONG, tradeSide="close_long").code == "400172"
    assert _place(_one_way(), OPEN_LONG).code == "40774"


def test_one_way_without_reduce_only_flips_the_position() -> None:
    bench = _one_way()
    _place(bench, ONE_WAY_OPEN)

    _place(bench, ONE_WAY_OPEN, side="sell", size="0.15")

    assert bench.held() == [("short", "0.05")]


def test_a_close_of_more_than_is_free_is_40804_and_not_clipped() -> None:
    bench = Bench()
    _place(bench, OPEN_LONG)
    assert _place(bench, CLOSE_LONG, size="0.1001").code == "40804"

    _place(bench, LIMIT, tradeSide="close", price="99000", size="0.04")

    assert _place(bench, CLOSE_LONG, size="0.07").code == "40804"
    assert _place(bench, CLOSE_LONG, size="0.06").code == "00000"
    row = bench.positions()[0]
    assert (row["total"], row["available"], row["locked"]) == ("0.04", "0", "0.04")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"size": "0.00001"}, "40808"),
        ({"size": "0"}, "45111"),
        ({"size": "221"}, "45113"),
        ({"size": "1201", "orderType": "limit", "price": "80000"}, "45112"),
        ({"size": "0.01", "orderType": "limit", "price": "80000.05"}, "41103"),
        ({"size": "0.0001", "orderType": "limit", "price": "40000"}, "45110"),
        ({"size": "2"}, "40762"),
        ({"size": "0,1"}, "40808"),
        ({"size": True}, "400172"),
        ({"size": ["0.1"]}, "400172"),
        ({"size": 0.00001}, "40808"),
        ({"size": ""}, "40811"),
        ({"side": "long"}, "400172"),
        ({"orderType": "stop"}, "400172"),
        ({"orderType": "limit"}, "40811"),
        ({"orderType": "limit", "price": "80000", "force": "GTT"}, "400172"),
        ({"marginCoin": "USDC"}, "40778"),
        ({"marginCoin": ""}, "40811"),
        ({"marginMode": "cross"}, "400172"),
        ({"productType": "USDC-FUTURES"}, "40034"),
        ({"productType": ""}, "400172"),
        ({"productType": "SUSDT-FUTURES"}, "400172"),
        ({"symbol": "BTCUSDT_UMCBL"}, "40034"),
        ({"symbol": ""}, "40811"),
        ({"clientOid": "a" * 33}, "40305"),
        ({"clientOid": "a" * 51}, "40304"),
        ({"clientOid": "a/b"}, "40305"),
    ],
)
def test_each_refusal_has_the_code_of_the_table_and_http_400(changes: dict, code: str) -> None:
    bench = Bench()

    got = _place(bench, OPEN_LONG, **changes)

    assert (got.status, got.code, got.json["data"]) == (400, code, None), got.text
    assert bench.held() == []


def test_a_price_off_the_tick_within_its_decimals_is_45115() -> None:
    body = {**LIMIT, "symbol": "BTCPERP", "productType": "USDC-FUTURES", "marginCoin": "USDC", "size": "0.01"}

    assert _place(Bench(), body, price="80000.3").code == "45115"
    assert _place(Bench(), body, price="80000.5").code == "00000"


def test_dust_is_refused_by_an_order_and_closed_by_a_flash_close() -> None:
    bench = Bench()
    sol = {**OPEN_LONG, "symbol": "DOGEUSDT", "size": "30"}
    assert _place(bench, sol).code == "00000"
    bench.move("DOGEUSDT", "0.15")

    assert _place(bench, {**sol, "tradeSide": "close"}).code == "45110"
    assert bench.post("order/close-positions", {**USDT, "symbol": "DOGEUSDT"}).data["failureList"] == []
    assert bench.held() == []


def test_an_exemption_of_closes_from_the_minimum_value_can_be_chosen() -> None:
    bench = Bench(terms=replace(bitget_terms(), min_notional_on_closes=False))
    doge = {**OPEN_LONG, "symbol": "DOGEUSDT", "size": "30"}
    _place(bench, doge)
    bench.move("DOGEUSDT", "0.15")

    assert _place(bench, {**doge, "tradeSide": "close"}).code == "00000"


def test_a_margin_mode_comes_with_the_order_only_while_nothing_is_held() -> None:
    bench = Bench()
    assert _place(bench, OPEN_LONG, marginMode="isolated").code == "00000"

    assert _place(bench, OPEN_LONG).code == "45117"
    assert _place(bench, CLOSE_LONG).code == "45117"
    assert _place(bench, CLOSE_LONG, marginMode="isolated").code == "00000"


def test_an_order_that_is_refused_leaves_the_margin_mode_as_it_was() -> None:
    bench = Bench()

    assert _place(bench, OPEN_LONG, marginMode="isolated", size="20").code == "40762"

    assert bench.get("account/account", **BTC).data["marginMode"] == "crossed"


def test_a_client_id_is_taken_while_its_order_is_pending_and_free_afterwards() -> None:
    bench = Bench()
    _place(bench, LIMIT, clientOid="mine")

    assert _place(bench, LIMIT, clientOid="mine").code == "40786"
    bench.post("order/cancel-order", {**BTC, "clientOid": "mine"})
    assert _place(bench, OPEN_LONG, clientOid="mine").code == "00000"
    assert _place(bench, OPEN_LONG, clientOid="mine").code == "00000"
    assert bench.held() == [("long", "0.2")]


def test_a_reduce_only_order_displaces_resting_ones_and_is_answered_without_its_id() -> None:
    bench = _one_way()
    _place(bench, ONE_WAY_OPEN)
    _place(bench, ONE_WAY_CLOSE, orderType="limit", price="99000", size="0.06", clientOid="first")
    _place(bench, ONE_WAY_CLOSE, orderType="limit", price="99000", size="0.03", clientOid="second")

    got = _place(bench, ONE_WAY_CLOSE, orderType="limit", price="98000", size="0.05", clientOid="third").data

    assert got == {"clientOid": "third", "orderId": None}
    assert [row["clientOid"] for row in bench.pending()] == ["third", "second"]
    found = bench.get("order/detail", symbol="BTCUSDT", clientOid="third", **USDT).data
    assert (found["state"], found["reduceOnly"]) == ("live", "YES")


def test_order_ids_are_strings_and_unknown_ones_have_a_code_for_each_call() -> None:
    bench = Bench()
    order_id = _place(bench, LIMIT).data["orderId"]
    assert isinstance(order_id, str)
    assert int(order_id) > 2**53

    assert bench.get("order/detail", symbol="BTCUSDT", orderId="1", **USDT).code == "40109"
    assert bench.post("order/cancel-order", {**BTC, "orderId": "1"}).code == "40768"
    assert bench.post("order/cancel-order", BTC).code == "40913"


def test_a_plan_order_is_unknown_to_the_plain_cancel() -> None:
    bench = Bench()
    bench.open_long()
    plan_id = bench.stop().data["orderId"]

    assert bench.post("order/cancel-order", {**BTC, "orderId": plan_id}).code == "40768"
    assert len(bench.plans()) == 1


def test_the_same_order_is_cancelled_once_a_second() -> None:
    bench = Bench()
    body = {**BTC, "orderId": _place(bench, LIMIT).data["orderId"]}

    codes = [bench.post_now("order/cancel-order", body).code for _ in range(2)]
    bench.now_ms += 1_001

    assert codes == ["00000", "45129"]
    assert bench.post_now("order/cancel-order", body).code == "40768"


def test_cancels_without_a_list_take_the_symbol_or_the_product_type_and_leave_plans_alone() -> None:
    bench = Bench()
    bench.open_long()
    bench.stop()
    _place(bench, LIMIT)
    _place(bench, LIMIT, symbol="ETHUSDT", price="3000")

    bench.post("order/batch-cancel-orders", {**USDT, "symbol": "BTCUSDT"})
    assert [row["symbol"] for row in bench.pending()] == ["ETHUSDT"]
    assert bench.post("order/cancel-all-orders", USDT).code == "00000"
    assert bench.post("order/cancel-all-orders", USDT).code == "22001"
    assert len(bench.plans()) == 1


def test_a_modified_order_is_another_order() -> None:
    bench = Bench()
    order_id = _place(bench, LIMIT).data["orderId"]
    body = {**BTC, "orderId": order_id, "newClientOid": "new"}

    assert bench.post("order/modify-order", {**BTC, "orderId": order_id}).code == "22003"
    assert bench.post("order/modify-order", {**body, "newPrice": "79000"}).code == "40925"
    assert bench.post("order/modify-order", {**body, "newPrice": "80000", "newSize": "0.1"}).code == "40923"
    new = bench.post("order/modify-order", {**body, "newPrice": "79000", "newSize": "0.1"}).data

    assert [(row["orderId"], row["clientOid"], row["price"]) for row in bench.pending()] == [
        (new["orderId"], "new", "79000")
    ]
    assert new["orderId"] != order_id


def test_a_batch_places_each_leg_for_itself() -> None:
    bench = Bench()
    good = {"size": "0.01", "side": "buy", "tradeSide": "open", "orderType": "market", "clientOid": "a"}
    bad = {**good, "size": "0.00001", "clientOid": "b"}
    head = {**BTC, "marginMode": "crossed"}

    got = bench.post("order/batch-place-order", {**head, "orderList": [good, bad]}).data

    assert [each["clientOid"] for each in got["successList"]] == ["a"]
    assert [(each["clientOid"], each["errorCode"]) for each in got["failureList"]] == [("b", "40808")]
    assert bench.post("order/batch-place-order", {**head, "orderList": [good] * 21}).code == "40306"


def test_a_flash_close_closes_all_of_it_resting_closes_or_not() -> None:
    bench = Bench()
    bench.open_long()
    _place(bench, OPEN_LONG, side="sell", size="0.05")
    _place(bench, LIMIT, tradeSide="close", price="99000", size="0.04")

    got = bench.post("order/close-positions", {**USDT, "symbol": "BTCUSDT", "holdSide": "long"}).data

    assert [each["symbol"] for each in got["successList"]] == ["BTCUSDT"]
    assert bench.held() == [("short", "0.05")]
    assert bench.pending() == []


def test_a_flash_close_without_a_symbol_closes_the_product_type_and_no_other() -> None:
    bench = Bench()
    bench.open_long()
    _place(bench, OPEN_LONG, symbol="ETHUSDT", size="1")
    usdc = {"symbol": "BTCPERP", "productType": "USDC-FUTURES", "marginCoin": "USDC", "size": "0.01"}
    _place(bench, OPEN_LONG, **usdc)

    bench.post("order/close-positions", USDT)

    assert bench.held() == []
    assert len(bench.get("position/all-position", productType="USDC-FUTURES").data) == 1
    assert bench.post("order/close-positions", USDT).code == "22002"


def test_a_flash_close_above_the_largest_market_order_fails_in_its_list() -> None:
    bench = Bench(deposit="100000000")
    bench.post("account/set-leverage", {**BTC, "leverage": "2"})
    for _ in range(2):
        assert _place(bench, OPEN_LONG, size="200").code == "00000"
    sample = json.loads((SAMPLES / "close_positions.json").read_text())["data"]["failureList"]

    got = bench.post("order/close-positions", {**USDT, "symbol": "BTCUSDT"}).data

    assert [each["errorCode"] for each in got["failureList"]] == ["45104"]
    assert shape(sample, got["failureList"]) == set()
    assert bench.held() == [("long", "400")]


def test_history_and_fills_are_paged_newest_first() -> None:
    bench = Bench()
    ids = [_place(bench, OPEN_LONG, size="0.01").data["orderId"] for _ in range(3)]

    first = bench.get("order/orders-history", limit="2", **USDT).data
    second = bench.get("order/orders-history", limit="2", idLessThan=first["endId"], **USDT).data

    assert [row["orderId"] for row in first["entrustedList"]] == [ids[2], ids[1]]
    assert [row["orderId"] for row in second["entrustedList"]] == [ids[0]]
    assert bench.get("order/fill-history", startTime="1", endTime=str(bench.now_ms), **USDT).code == "00001"
    assert bench.get("order/fills", symbol="ETHUSDT", **USDT).data == {"fillList": None, "endId": None}


def test_a_partly_filled_market_order_is_pending_and_says_so() -> None:
    bench = Bench(fills=FillModel(slices=4, slice_interval_ms=5_000))
    bench.open_long()

    row = bench.pending()[0]

    assert (row["status"], row["baseVolume"], row["size"]) == ("partially_filled", "0.025", "0.1")


def test_footprints_of_a_liquidation_name_the_system() -> None:
    bench = Bench(deposit="2000")
    _place(bench, OPEN_LONG, marginMode="isolated", size="0.1")

    bench.move("BTCUSDT", "80000")

    row = bench.get("order/orders-history", **USDT).data["entrustedList"][0]
    assert (row["tradeSide"], row["enterPointSource"], row["orderSource"]) == (
        "burst_close_long",
        "SYS",
        "liquidation",
    )
    kinds = {bill["businessType"] for bill in bench.get("account/bill", **USDT).data["bills"]}
    assert "force_close_long" in kinds


def test_fees_are_negative_and_fills_name_the_position_side() -> None:
    bench = Bench()
    bench.open_long()
    _place(bench, CLOSE_LONG)

    rows = bench.get("order/fills", **USDT).data["fillList"]

    assert [(row["side"], row["tradeSide"]) for row in rows] == [("buy", "close"), ("buy", "open")]
    assert all(row["feeDetail"][0]["totalFee"].startswith("-") for row in rows)
