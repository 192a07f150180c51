"""Orders on the wire: direction, steps, refusals, displacement, closing, look-ups. UTA reference, 9."""

from decimal import Decimal

import pytest

from guardd.simulator.contracts import ContractStatus
from guardd.simulator.dialects.bitget_unified.desk import Options
from guardd.simulator.orders import PositionMode, PositionSide
from guardd.simulator.terms import FillModel
from tests.simulator.dialect_bitget_unified.bench import CATEGORY, LONG_OPEN, Bench

ONE_WAY = PositionMode.ONE_WAY
LIMIT = {**LONG_OPEN, "posSide": "long", "orderType": "limit", "price": "88000"}
REDUCE = {"category": CATEGORY, "symbol": "BTCUSDT", "side": "sell", "orderType": "market", "reduceOnly": "yes"}


def _place(bench: Bench, body: dict, **changes: object):
    merged = {name: value for name, value in {**body, **changes}.items() if value is not None}
    return bench.post("trade/place-order", merged)


@pytest.mark.parametrize(
    ("side", "leg", "after"),
    [
        ("buy", "long", [("long", "0.15"), ("short", "0.1")]),
        ("sell", "long", [("long", "0.05"), ("short", "0.1")]),
        ("sell", "short", [("long", "0.1"), ("short", "0.15")]),
        ("buy", "short", [("long", "0.1"), ("short", "0.05")]),
    ],
)
def test_side_is_the_direction_of_the_transaction_in_hedge_mode(side: str, leg: str, after: list) -> None:
    bench = Bench()
    bench.open_long()
    bench.open_short()

    _place(bench, LONG_OPEN, side=side, posSide=leg, qty="0.05")

    assert after == bench.sizes()


def test_one_way_orders_net_and_reduce_only_ones_never_open() -> None:
    bench = Bench(position_mode=ONE_WAY)
    bench.open_long()

    _place(bench, REDUCE, qty="0.5")
    refused = _place(bench, REDUCE, qty="0.1")
    bench.open_short()

    assert refused.code == "25227"
    assert bench.sizes() == [("short", "0.1")]


@pytest.mark.parametrize(
    ("mode", "changes"),
    [
        (PositionMode.HEDGE, {"posSide": None}),
        (PositionMode.HEDGE, {"posSide": "both"}),
        (PositionMode.HEDGE, {"posSide": "long", "reduceOnly": "yes"}),
        (ONE_WAY, {"posSide": "long"}),
        (ONE_WAY, {"reduceOnly": "maybe"}),
        (ONE_WAY, {"qty": 0.1}),
        (ONE_WAY, {"qty": None}),
        (ONE_WAY, {"qty": "0"}),
        (ONE_WAY, {"qty": "-1"}),
        (ONE_WAY, {"side": None}),
        (ONE_WAY, {"orderType": "stop"}),
        (ONE_WAY, {"orderType": "limit"}),
        (ONE_WAY, {"orderType": "limit", "price": "90000", "timeInForce": "rpi"}),
        (ONE_WAY, {"marginMode": "cross"}),
        (ONE_WAY, {"stpMode": "always"}),
        (ONE_WAY, {"category": None}),
        (ONE_WAY, {"category": "SPOT"}),
        (ONE_WAY, {"symbol": None}),
    ],
)
def test_a_missing_or_wrong_parameter_is_400172(mode: PositionMode, changes: dict) -> None:
    bench = Bench(position_mode=mode)

    got = _place(bench, LONG_OPEN, **changes)

    assert (got.status, got.code) == (400, "400172"), got.text
    assert bench.sizes() == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"qty": "0.10001"}, "25610"),
        ({"qty": "0.00001"}, "25610"),
        ({"qty": "221"}, "25207"),
        ({"qty": "0.1", "orderType": "limit", "price": "88000.05"}, "25244"),
        ({"orderType": "limit", "price": "94501"}, "25205"),
        ({"symbol": "NOPEUSDT"}, "25100"),
        ({"symbol": "BTCPERP"}, "25100"),
        ({"category": "COIN-FUTURES", "symbol": "BTCUSD_CM"}, "25102"),
        ({"clientOid": "a b"}, "40305"),
        ({"clientOid": "a" * 33}, "40304"),
        ({"qty": "50"}, "40762"),
        ({"symbol": "DOGEUSDT", "qty": "24"}, "25611"),
        ({"takeProfit": "89000"}, "25585"),
        ({"stopLoss": "91000"}, "25586"),
        ({"stopLoss": "80000.05"}, "25244"),
    ],
)
def test_what_is_refused_by_its_own_code(changes: dict, code: str) -> None:
    got = _place(Bench(), LONG_OPEN, posSide="long", **changes)

    assert (400, code) == (got.status, got.code), got.text


def test_words_are_read_in_any_case() -> None:
    bench = Bench(position_mode=ONE_WAY)

    _place(bench, LONG_OPEN, category="usdt-futures", symbol="btcusdt", side="BUY")
    _place(bench, REDUCE, reduceOnly="YES", qty="0.04")

    assert bench.sizes() == [("long", "0.06")]


def test_a_limit_sell_below_the_band_is_25206_and_a_contract_that_is_offline_25101() -> None:
    bench = Bench()

    assert _place(bench, LIMIT, side="sell", posSide="short", price="85000").code == "25206"
    bench.exchange.set_status("BTCUSDT", ContractStatus.DELISTED, bench.now_ms)
    assert bench.open_long().code == "25101"


def test_a_close_without_a_position_is_25227_and_one_above_it_40804() -> None:
    bench = Bench()

    assert bench.open_long(side="sell").code == "25227"
    bench.open_long()
    assert bench.open_long(side="sell", qty="0.2").code == "40804"


def test_a_close_in_the_other_margin_mode_finds_no_position_and_an_opening_order_is_refused() -> None:
    bench = Bench()
    bench.open_long(marginMode="isolated")

    assert bench.open_long(side="sell").code == "25227"
    assert bench.open_long().code == "45117"
    assert bench.open_long(side="sell", marginMode="isolated").code == "00000"


def test_the_margin_mode_comes_with_the_order_and_is_crossed_when_it_says_nothing() -> None:
    bench = Bench()

    bench.open_long(marginMode="isolated")
    bench.open_long(symbol="ETHUSDT", qty="1")

    assert {row["symbol"]: row["marginMode"] for row in bench.positions()} == {
        "BTCUSDT": "isolated",
        "ETHUSDT": "crossed",
    }


def test_a_client_id_is_taken_while_its_order_is_pending_only() -> None:
    bench = Bench()
    _place(bench, LIMIT, clientOid="g-1")

    assert bench.open_long(clientOid="g-1").code == "25212"
    bench.post("trade/cancel-order", {"clientOid": "g-1"})
    assert bench.open_long(clientOid="g-1").code == "00000"
    found = bench.get("trade/order-info", clientOid="g-1").data
    assert found["orderStatus"] == "filled"


def test_a_reduce_only_order_that_reaches_what_resting_ones_leave_takes_their_place() -> None:
    bench = Bench(position_mode=ONE_WAY)
    bench.open_long()
    resting = _place(bench, REDUCE, orderType="limit", price="95000", qty="0.04", clientOid="r-1").data

    smaller = _place(bench, REDUCE, orderType="limit", price="94000", qty="0.05", clientOid="r-2").data
    reaching = _place(bench, REDUCE, qty="0.01", clientOid="r-3").data

    assert resting["orderId"]
    assert smaller["orderId"]
    assert reaching == {"clientOid": "r-3", "orderId": None}
    assert bench.resting() == []
    assert bench.get("trade/order-info", clientOid="r-3").data["orderStatus"] == "filled"
    assert bench.sizes() == [("long", "0.09")]


def test_what_resting_closes_hold_is_frozen_in_hedge_mode() -> None:
    bench = Bench()
    bench.open_long()
    _place(bench, LIMIT, side="sell", price="95000", qty="0.04")

    row = bench.positions()[0]

    assert (row["total"], row["available"], row["frozen"]) == ("0.1", "0.06", "0.04")
    assert bench.open_long(side="sell", qty="0.07").code == "40804"
    assert bench.open_long(side="sell", qty="0.06").code == "00000"


def test_orders_of_a_batch_are_judged_each_by_itself() -> None:
    bench = Bench()
    legs = [
        {**LONG_OPEN, "posSide": "long", "qty": "0.1"},
        {**LONG_OPEN, "symbol": "ETHUSDT", "posSide": "long", "qty": "0.005"},
        {**LONG_OPEN, "side": "sell", "posSide": "long", "qty": "0.04"},
    ]

    answers = bench.post("trade/place-batch", legs).data

    assert [each.get("code") for each in answers] == [None, "25610", None]
    assert bench.sizes() == [("long", "0.06")]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ([], "400172"),
        ({"orderList": []}, "400172"),
        ([{**LONG_OPEN, "posSide": "long"}] * 21, "40306"),
        ([{**LONG_OPEN, "reduceOnly": "yes"}], "25200"),
        ([{**LONG_OPEN, "stopLoss": "80000"}], "25200"),
        ([LONG_OPEN, {**LONG_OPEN, "category": "USDC-FUTURES"}], "400172"),
    ],
)
def test_a_batch_that_breaks_the_rules_is_refused_as_a_whole(body: object, code: str) -> None:
    assert code == Bench().post("trade/place-batch", body).code


def test_cancels_by_either_id_and_25204_for_what_is_gone() -> None:
    bench = Bench()
    first = _place(bench, LIMIT, clientOid="g-1").data
    _place(bench, LIMIT, clientOid="g-2")

    cancelled = bench.post("trade/cancel-order", {"orderId": first["orderId"], "clientOid": "ignored"}).data
    again = bench.post("trade/cancel-order", {"orderId": first["orderId"]})
    by_client = bench.post("trade/cancel-order", {"clientOid": "g-2", "category": CATEGORY}).data

    assert (first, "g-2") == (cancelled, by_client["clientOid"])
    assert again.code == "25204"
    assert bench.post("trade/cancel-order", {}).code == "40913"


def test_a_batch_of_cancels_succeeds_in_part() -> None:
    bench = Bench()
    order_id = _place(bench, LIMIT).data["orderId"]
    named = {"category": CATEGORY, "symbol": "BTCUSDT"}

    answers = bench.post("trade/cancel-batch", [{**named, "orderId": order_id}, {**named, "orderId": "77"}]).data

    assert [each.get("code") for each in answers] == [None, "25204"]


def test_a_symbols_cancel_leaves_other_symbols_and_stops_alone() -> None:
    bench = Bench()
    bench.open_long(stopLoss="80000")
    _place(bench, LIMIT)
    _place(bench, LIMIT, symbol="ETHUSDT", qty="1", price="3100")

    assert len(bench.post("trade/cancel-symbol-order", {"category": CATEGORY, "symbol": "BTCUSDT"}).data["list"]) == 1
    assert [row["symbol"] for row in bench.resting()] == ["ETHUSDT"]
    assert len(bench.stops()) == 1
    assert len(bench.post("trade/cancel-symbol-order", {"category": CATEGORY}).data["list"]) == 1
    assert bench.post("trade/cancel-symbol-order", {"category": "USDC-FUTURES"}).data == {"list": []}


def test_close_positions_closes_a_symbol_a_side_or_a_whole_category() -> None:
    bench = Bench()
    for opens in (bench.open_long, bench.open_short):
        opens()
        opens(symbol="ETHUSDT", qty="1")

    bench.post("trade/close-positions", {"category": CATEGORY, "symbol": "BTCUSDT", "posSide": "long"})
    assert len(bench.sizes()) == 3
    bench.post("trade/close-positions", {"category": CATEGORY, "symbol": "BTCUSDT"})
    assert len(bench.sizes()) == 2
    bench.post("trade/close-positions", {"category": CATEGORY})
    assert bench.sizes() == []


def test_a_leg_that_cannot_be_closed_fails_inside_of_a_success() -> None:
    bench = Bench()
    bench.open_long()
    _place(bench, LIMIT, side="sell", price="95000", qty="0.1")

    got = bench.post("trade/close-positions", {"category": CATEGORY})

    assert got.code == "00000"
    assert [(leg["code"], leg["msg"]) for leg in got.data["list"]] == [("24056", "notExisted")]


def test_the_dead_mans_switch_isnt_granted() -> None:
    assert Bench().post("trade/countdown-cancel-all", {"countdown": "0"}).code == "25620"


def test_a_failing_change_isnt_told_and_autocancel_ends_the_order() -> None:
    bench = Bench()
    order_id = _place(bench, LIMIT).data["orderId"]

    changed = bench.post("trade/modify-order", {"orderId": order_id, "price": "87000", "qty": "0.2"})
    too_dear = bench.post("trade/modify-order", {"orderId": order_id, "qty": "90"})
    row = bench.resting()[0]
    ended = bench.post("trade/modify-order", {"orderId": order_id, "qty": "90", "autoCancel": "yes"})

    assert [changed.code, too_dear.code, ended.code] == ["00000"] * 3
    assert (row["price"], row["qty"]) == ("87000", "0.2")
    assert bench.resting() == []


def test_open_orders_are_capped_over_all_categories() -> None:
    bench = Bench(options=Options(open_orders_max=2))
    _place(bench, LIMIT)
    _place(bench, LIMIT, symbol="ETHUSDT", qty="1", price="3100")

    assert _place(bench, LIMIT).code == "40723"


def test_a_row_tells_how_far_an_order_has_come() -> None:
    bench = Bench(fills=FillModel(slices=2, slice_interval_ms=60_000))
    partly = bench.open_long().data["orderId"]
    resting = _place(bench, LIMIT).data["orderId"]

    rows = {row["orderId"]: row for row in bench.resting()}

    assert (rows[partly]["orderStatus"], rows[partly]["cumExecQty"]) == ("partially_filled", "0.05")
    assert (
        rows[resting]["orderStatus"],
        rows[resting]["cumExecQty"],
        rows[resting]["feeDetail"],
    ) == ("live", "0", [{"feeCoin": "", "fee": ""}])


def test_an_order_without_a_client_id_is_found_by_the_venues_own() -> None:
    bench = Bench()
    placed = bench.open_long().data

    assert placed["orderId"] == bench.get("trade/order-info", clientOid=placed["clientOid"]).data["orderId"]


def test_lists_are_paged_by_cursor_until_they_are_empty() -> None:
    bench = Bench()
    ids = [bench.open_long(qty="0.001").data["orderId"] for _ in range(5)]
    seen: list[str] = []
    query: dict[str, str] = {"category": CATEGORY, "limit": "2"}
    while rows := (page := bench.get("trade/history-orders", **query).data)["list"]:
        seen += [row["orderId"] for row in rows]
        query["cursor"] = page["cursor"]

    assert ids[::-1] == seen
    assert page == {"list": None, "cursor": None}


def test_fills_name_their_side_as_the_transaction_and_fees_are_positive() -> None:
    bench = Bench()
    bench.open_long()
    closed = bench.open_long(side="sell").data["orderId"]

    row = bench.get("trade/fills", category=CATEGORY, orderId=closed).data["list"][0]

    assert (row["side"], row["tradeSide"], row["tradeScope"]) == ("sell", "close", "taker")
    assert Decimal(row["feeDetail"][0]["fee"]) > 0
    assert bench.get("trade/fills", category="USDC-FUTURES").data["list"] is None


def test_presets_become_one_strategy_order_with_both_legs() -> None:
    bench = Bench()
    bench.open_long(takeProfit="99000", stopLoss="85000", slTriggerBy="mark", tpOrderType="limit", tpLimitPrice="98900")

    row = bench.stops()[0]

    assert len(bench.stops()) == 1
    assert (
        row["takeProfit"], row["tpOrderType"], row["tpLimitPrice"], row["tpTriggerBy"],
    ) == ("99000", "limit", "98900", "market")  # fmt: skip
    assert (
        row["stopLoss"], row["slOrderType"], row["slLimitPrice"], row["slTriggerBy"],
    ) == ("85000", "market", "", "mark")  # fmt: skip


def test_orders_of_the_exchange_itself_are_marked() -> None:
    bench = Bench()
    bench.open_long()
    bench.exchange.auto_deleverage("main", "BTCUSDT", PositionSide.LONG, Decimal("0.01"), bench.now_ms)

    newest = bench.get("trade/history-orders", category=CATEGORY).data["list"][0]

    assert (
        newest["execType"], newest["delegateType"], newest["tradeSide"],
    ) == ("reduce", "reduce_offset_delegate", "close")  # fmt: skip
