"""Every answer and every push has the keys and JSON types of its sample; where two samples differ the reason is here."""

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from guardd.simulator.dialects.bitget.desk import Options
from guardd.simulator.orders import MarginMode, PositionMode, PositionSide
from guardd.simulator.refusals import RefusalReason
from tests.simulator.dialect_bitget.bench import BTC, CLOSE_LONG, LIMIT, OPEN_LONG, STOP, USDT, Bench, Got

SAMPLES = Path(__file__).parents[2] / "samples" / "bitget"
INDEX: dict[str, dict[str, str]] = json.loads((SAMPLES / "_index.json").read_text())["files"]
PLAN = {
    **BTC, "planType": "normal_plan", "marginMode": "crossed", "size": "0.01", "price": "85000", "triggerPrice": "86000",
    "triggerType": "mark_price", "side": "buy", "tradeSide": "open", "orderType": "limit",
}  # fmt: skip
TRANSFER = {"fromType": "spot", "toType": "usdt_futures", "amount": "100", "coin": "USDT", "clientOid": "t-1"}


def _read(path: str, **query: str) -> Callable[[Bench], Got]:
    return lambda bench: bench.get(path, **query)


def _held(path: str, **query: str) -> Callable[[Bench], Got]:
    def call(bench: Bench) -> Got:
        bench.open_long()
        return bench.get(path, **query)

    return call


def _stopped(path: str, **query: str) -> Callable[[Bench], Got]:
    def call(bench: Bench) -> Got:
        bench.open_long()
        bench.stop()
        bench.move("BTCUSDT", "79000")
        return bench.get(path, **query)

    return call


def _limit(bench: Bench, **changes: object) -> str:
    return bench.post("order/place-order", {**LIMIT, **changes}).data["orderId"]


def _stop_id(bench: Bench) -> str:
    bench.open_long()
    return bench.stop().data["orderId"]


def _cancel_one_that_exists_and_one_that_does_not(bench: Bench) -> Got:
    ids = [{"orderId": _limit(bench)}, {"orderId": "232", "clientOid": "321342"}]
    return bench.post("order/batch-cancel-orders", {**BTC, "orderIdList": ids})


def _cancel_plans(bench: Bench) -> Got:
    ids = [{"orderId": _stop_id(bench)}, {"orderId": "3"}]
    return bench.post("order/cancel-plan-order", {**BTC, "planType": "pos_loss", "orderIdList": ids})


def _cancel_all(bench: Bench) -> Got:
    _limit(bench)
    return bench.post("order/cancel-all-orders", USDT)


def _batch(bench: Bench) -> Got:
    order = {"size": "0.01", "side": "buy", "tradeSide": "open", "orderType": "market"}
    return bench.post("order/batch-place-order", {**BTC, "marginMode": "crossed", "orderList": [order, order]})


def _flash(bench: Bench) -> Got:
    bench.open_long()
    return bench.post("order/close-positions", {**USDT, "symbol": "BTCUSDT", "holdSide": "long"})


def _modified(bench: Bench) -> Got:
    body = {**BTC, "orderId": _limit(bench), "newClientOid": "new-1", "newSize": "0.2", "newPrice": "79000"}
    return bench.post("order/modify-order", body)


def _plan_id(bench: Bench) -> str:
    return bench.post("order/place-plan-order", PLAN).data["orderId"]


def _plan_listed(bench: Bench) -> Got:
    _plan_id(bench)
    return bench.get("order/orders-plan-pending", planType="normal_plan", **USDT)


def _profit_listed(bench: Bench) -> Got:
    bench.open_long()
    bench.stop(planType="pos_profit", triggerPrice="95000", executePrice="95000")
    return bench.get("order/orders-plan-pending", planType="profit_loss", **USDT)


def _triggered(path: str) -> Callable[[Bench], Got]:
    def call(bench: Bench) -> Got:
        plan_id = _plan_id(bench)
        bench.move("BTCUSDT", "86000")
        query = {"planOrderId": plan_id} if path.endswith("sub-order") else {}
        return bench.get(path, planType="normal_plan", **USDT, **query)

    return call


def _both(bench: Bench) -> Got:
    bench.open_long()
    body = {**BTC, "holdSide": "long", "stopSurplusTriggerPrice": "95000", "stopLossTriggerPrice": "80000"}
    return bench.post("order/place-pos-tpsl", body)


def _modified_stop(bench: Bench) -> Got:
    body = {**BTC, "orderId": _stop_id(bench), "triggerPrice": "81000", "size": ""}
    return bench.post("order/modify-tpsl-order", body)


def _isolated(path: str, **query: str) -> Callable[[Bench], Got]:
    def call(bench: Bench) -> Got:
        bench.open_long(marginMode="isolated")
        return bench.get(path, **query)

    return call


def _margin(bench: Bench) -> Got:
    bench.open_long(marginMode="isolated")
    return bench.post("account/set-margin", {**BTC, "holdSide": "long", "amount": "50"})


def _auto_margin(bench: Bench) -> Got:
    bench.open_long(marginMode="isolated")
    return bench.post("account/set-auto-margin", {**BTC, "holdSide": "long", "autoMargin": "on"})


def _funded(bench: Bench) -> Got:
    bench.open_long()
    bench.dialect.settle_funding(bench.now_ms)
    return bench.get("account/bill", **USDT)


def _closed(bench: Bench) -> Got:
    bench.open_long()
    bench.place(**CLOSE_LONG)
    return bench.get("position/history-position", **USDT)


def _transferred(bench: Bench) -> Got:
    bench.post("/api/v2/spot/wallet/transfer", TRANSFER)
    return bench.get("/api/v2/spot/account/transferRecords", coin="USDT")


def _union(bench: Bench) -> Got:
    bench.post("account/set-asset-mode", {**USDT, "assetMode": "union"})
    return bench.get("account/accounts", **USDT)


def _displacing(bench: Bench) -> Got:
    one_way = {name: value for name, value in LIMIT.items() if name != "tradeSide"}
    bench.post("order/place-order", {**one_way, "orderType": "market", "price": ""})
    close = {**one_way, "side": "sell", "reduceOnly": "YES"}
    bench.post("order/place-order", {**close, "price": "95000"})
    return bench.post("order/place-order", {**close, "orderType": "market", "clientOid": "g-1"})


CALLS: dict[str, Callable[[Bench], Got]] = {
    "account_bill.json": _funded,
    "account_list_single_mode.json": _read("account/accounts", **USDT),
    "account_list_union.json": _union,
    "account_single.json": _read("account/account", **BTC),
    "account_single_numeric_leverage.json": _read("account/account", **BTC),
    "adl_rank.json": _held("position/adlRank", **USDT),
    "all_position.json": _held("position/all-position", **USDT),
    "all_position_cross_2023_live.json": _held("position/all-position", marginCoin="USDT", **USDT),
    "all_position_empty.json": _read("position/all-position", **USDT),
    "batch_cancel_orders.json": _cancel_one_that_exists_and_one_that_does_not,
    "batch_place_order.json": _batch,
    "cancel_all_orders.json": _cancel_all,
    "cancel_order.json": lambda bench: bench.post("order/cancel-order", {**BTC, "orderId": _limit(bench)}),
    "cancel_plan_order.json": _cancel_plans,
    "candles.json": _read("market/candles", symbol="BTCUSDT", granularity="1m", **USDT),
    "close_positions.json": _flash,
    "close_positions_live.json": _flash,
    "contracts.json": _read("market/contracts", symbol="BTCUSDT", **USDT),
    "contracts_2023_example.json": _read("market/contracts", **USDT),
    "current_fund_rate.json": _read("market/current-fund-rate", symbol="BTCUSDT", **USDT),
    "fill_history.json": _held("order/fill-history", **USDT),
    "fills.json": _held("order/fills", **USDT),
    "funding_time.json": _read("market/funding-time", symbol="BTCUSDT", **USDT),
    "history_mark_candles.json": _read("market/candles", symbol="BTCUSDT", granularity="1m", kLineType="MARK", **USDT),
    "history_position.json": _closed,
    "liq_price.json": _read("account/liq-price", posSide="long", orderType="market", openAmount="0.1", **BTC),
    "modify_order.json": _modified,
    "modify_plan_order.json": lambda bench: bench.post(
        "order/modify-plan-order", {**USDT, "orderId": _plan_id(bench), "newTriggerPrice": "85500"}
    ),
    "modify_tpsl_order.json": _modified_stop,
    "open_interest.json": _read("market/open-interest", symbol="BTCUSDT", **USDT),
    "order_detail.json": lambda bench: bench.get("order/detail", symbol="BTCUSDT", orderId=_limit(bench), **USDT),
    "order_detail_live.json": lambda bench: bench.get("order/detail", symbol="BTCUSDT", orderId=_limit(bench), **USDT),
    "orders_history.json": _held("order/orders-history", **USDT),
    "orders_pending.json": lambda bench: (_limit(bench), bench.get("order/orders-pending", **USDT))[1],
    "orders_pending_empty.json": _read("order/orders-pending", **USDT),
    "orders_plan_history.json": _triggered("order/orders-plan-history"),
    "orders_plan_pending_documented.json": _plan_listed,
    "orders_plan_pending_normal.json": _plan_listed,
    "orders_plan_pending_profit_loss.json": _profit_listed,
    "place_order.json": lambda bench: bench.open_long(),
    "place_order_reduce_only_without_order_id.json": _displacing,
    "place_plan_order.json": lambda bench: bench.post("order/place-plan-order", PLAN),
    "place_pos_tpsl.json": _both,
    "place_tpsl_order.json": lambda bench: (bench.open_long(), bench.stop())[1],
    "plan_sub_order.json": _triggered("order/plan-sub-order"),
    "position_tiers.json": _read("market/query-position-lever", symbol="BTCUSDT", **USDT),
    "server_time.json": _read("/api/v2/public/time"),
    "set_asset_mode.json": lambda bench: bench.post("account/set-asset-mode", {**USDT, "assetMode": "single"}),
    "set_auto_margin.json": _auto_margin,
    "set_leverage.json": lambda bench: bench.post("account/set-leverage", {**BTC, "leverage": "20"}),
    "set_margin.json": _margin,
    "set_margin_mode.json": lambda bench: bench.post("account/set-margin-mode", {**BTC, "marginMode": "isolated"}),
    "set_position_mode.json": lambda bench: bench.post(
        "account/set-position-mode", {**USDT, "posMode": "one_way_mode"}
    ),
    "single_position.json": _held("position/single-position", **BTC),
    "single_position_isolated.json": _isolated("position/single-position", **BTC),
    "spot_account_info.json": _read("/api/v2/spot/account/info"),
    "symbol_price.json": _read("market/symbol-price", symbol="BTCUSDT", **USDT),
    "ticker.json": _read("market/ticker", symbol="BTCUSDT", **USDT),
    "tickers.json": _read("market/tickers", **USDT),
    "transfer.json": lambda bench: bench.post("/api/v2/spot/wallet/transfer", TRANSFER),
    "transfer_records.json": _transferred,
}  # fmt: skip
NEWER = "in the newer field table, this sample is older"
TABLE = "in the field table, not in this sample"
NONE_FAILS = "no leg fails here; test_orders holds a failing leg against the sample"
UNSET = "not set: null in one recording, empty in another"
DEVIATIONS: dict[str, dict[str, str]] = {
    "account_list_single_mode.json": {
        **{
            f"data[].{name}": NEWER
            for name in (
                "grant", "isolatedMargin", "crossedMargin", "assetMode", "unionTotalMargin", "unionAvailable", "unionMm",
                "assetList",
            )
        },
        "data[].crossedUnrealizedPL": UNSET,
        "data[].isolatedUnrealizedPL": UNSET,
    },
    "account_list_union.json": {
        "data[].grant": TABLE,
        "data[].unionTotalMagin": "the newer spelling is unionTotalMargin (19.35)",
        "data[].unionTotalMargin": "the newer spelling (19.35)",
    },
    "account_single.json": {
        **{f"data.{name}": TABLE for name in ("grant", "isolatedMargin", "crossedMargin")},
        **{
            f"data.{name}": "a JSON number in the recorded answer (quirk 7)"
            for name in ("crossedMarginLeverage", "isolatedLongLever", "isolatedShortLever")
        },
    },
    "account_single_numeric_leverage.json": {
        f"data.{name}": NEWER for name in ("grant", "isolatedMargin", "crossedMargin", "assetMode")
    },
    "all_position.json": {"data[].cashDividend": "since 2026-07"},
    "all_position_cross_2023_live.json": {
        f"data[].{name}": NEWER
        for name in (
            "breakEvenPrice", "totalFee", "deductedFee", "cashDividend", "grant", "assetMode", "autoMargin", "takeProfit",
            "stopLoss", "takeProfitId", "stopLossId", "uTime",
        )
    },
    "cancel_all_orders.json": {"data.failureList[]": NONE_FAILS},
    "close_positions.json": {"data.failureList[]": NONE_FAILS},
    "close_positions_live.json": {
        "data.result": "unreliable, and not in the table (quirk 10)",
        "data.successList[].symbol": "documented, missing in this recording",
    },
    "contracts_2023_example.json": {
        f"data[].{name}": NEWER
        for name in ("maxMarketOrderQty", "maxOrderQty", "isRwa", "openTime", "deliveryPeriod")
    },
    "history_position.json": {"data.list[].cashDividend": "since 2026-07"},
    "order_detail.json": {"data.newTradeSide": TABLE},
    "order_detail_live.json": {
        f"data.{name}": NEWER
        for name in (
            "presetStopSurplusType", "presetStopSurplusExecutePrice", "presetStopLossType", "presetStopLossExecutePrice",
            "newTradeSide", "cancelReason",
        )
    },
    "orders_pending.json": {
        f"data.entrustedList[].{name}": TABLE
        for name in ("presetStopSurplusTriggerType", "presetStopLossTriggerType")
    },
    "orders_plan_history.json": {
        **{
            f"data.entrustedList[].{name}": TABLE
            for name in ("executePrice", "orderSource", "stopSurplusExecutePrice", "stopLossExecutePrice")
        },
        **{
            f"data.entrustedList[].{name}": "an older name of the attached legs' prices"
            for name in ("presetStopSurplusPrice", "presetStopLossPrice")
        },
    },
    "orders_plan_pending_documented.json": {
        **{
            f"data.entrustedList[].{name}": NEWER
            for name in ("executePrice", "stopSurplusExecutePrice", "stopLossExecutePrice")
        },
        **{
            f"data.entrustedList[].{name}": "an older name of the attached legs' prices"
            for name in ("presetStopSurplusPrice", "presetStopLossPrice")
        },
    },
    "orders_plan_pending_normal.json": {
        f"data.entrustedList[].{name}": TABLE for name in ("executePrice", "orderSource")
    },
    "orders_plan_pending_profit_loss.json": {"data.entrustedList[].orderSource": TABLE},
    "single_position.json": {"data[].cashDividend": "since 2026-07"},
    "single_position_isolated.json": {
        f"data[].{name}": NEWER
        for name in ("cashDividend", "grant", "takeProfit", "stopLoss", "takeProfitId", "stopLossId")
    },
}  # fmt: skip


def shape(sample: object, actual: object, where: str = "") -> set[str]:
    """Paths at which keys or JSON types differ."""
    if type(sample) is not type(actual):
        return {where}
    if isinstance(sample, dict) and isinstance(actual, dict):
        found = {_join(where, name) for name in sample.keys() ^ actual.keys()}
        for name in sample.keys() & actual.keys():
            found |= shape(sample[name], actual[name], _join(where, name))
        return found
    if isinstance(sample, list) and isinstance(actual, list):
        if sample and not actual:
            return {f"{where}[]"}
        return {path for row in sample[:1] for each in actual for path in shape(row, each, f"{where}[]")}
    return set()


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


ANSWERS = [name for name, about in INDEX.items() if about["kind"].startswith(("GET /api/v2", "POST /api/v2"))]


def test_every_sample_of_an_answer_has_its_call_here() -> None:
    assert set(ANSWERS) == set(CALLS)


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_has_the_keys_and_types_of_its_sample(name: str) -> None:
    one_way = name == "place_order_reduce_only_without_order_id.json"
    bench = Bench(position_mode=PositionMode.ONE_WAY if one_way else PositionMode.HEDGE)
    bench.pass_time(60)
    sample = json.loads((SAMPLES / name).read_text())

    got = CALLS[name](bench)

    assert got.status == 200, got.text
    assert set(DEVIATIONS.get(name, {})) == shape(sample, got.json), got.text


def test_the_comparison_sees_a_missing_key_and_a_changed_type() -> None:
    sample = {"data": [{"id": "1", "side": 1}]}

    assert {"data[].side", "data[].id"} == shape(sample, {"data": [{"id": 1}]})
    assert {"data[]"} == shape(sample, {"data": []})


PUSHES = {
    "ws_account.json": "account",
    "ws_adl_noti.json": "adl-noti",
    "ws_equity.json": "equity",
    "ws_fill.json": "fill",
    "ws_orders_algo.json": "orders-algo",
    "ws_orders_algo_pos_loss_fail_execute.json": "orders-algo",
    "ws_orders_filled.json": "orders",
    "ws_orders_filled_one_way_live.json": "orders",
    "ws_orders_live.json": "orders",
    "ws_positions.json": "positions",
    "ws_positions_empty.json": "positions",
    "ws_positions_history.json": "positions-history",
    "ws_positions_live_2023.json": "positions",
}
PUSH_DEVIATIONS: dict[str, dict[str, str]] = {
    "ws_orders_filled.json": {
        f"data[].{name}": TABLE
        for name in (
            "cancelReason", "presetStopLossExecutePrice", "presetStopLossType", "presetStopSurplusExecutePrice",
            "presetStopSurplusType",
        )
    },
    "ws_orders_filled_one_way_live.json": {
        f"data[].{name}": TABLE for name in ("presetStopLossPrice", "presetStopSurplusPrice")
    },
    "ws_positions.json": {f"data[].{name}": TABLE for name in ("isolatedMarginRate", "cashDividend")},
    "ws_positions_live_2023.json": {
        f"data[].{name}": NEWER
        for name in (
            "isolatedMarginRate", "cashDividend", "breakEvenPrice", "totalFee", "deductedFee", "markPrice", "assetMode",
        )
    },
}  # fmt: skip


@pytest.mark.parametrize("name", PUSHES)
def test_a_push_has_the_keys_and_types_of_its_sample(name: str) -> None:
    sample = json.loads((SAMPLES / name).read_text())

    frames = _pushed(name)

    close = [frame for frame in frames if shape(sample, frame) == set(PUSH_DEVIATIONS.get(name, {}))]
    assert close, [shape(sample, frame) for frame in frames]
    assert all(frame["action"] == sample["action"] for frame in close)


def _pushed(name: str) -> list:
    """A position's whole life, and what its channel told of it."""
    channel, one_way = PUSHES[name], "one_way" in name
    bench = Bench(position_mode=PositionMode.ONE_WAY if one_way else PositionMode.HEDGE)
    socket = bench.socket()
    socket.login()
    socket.subscribe(channel)
    order = {key: value for key, value in OPEN_LONG.items() if not (one_way and key == "tradeSide")}
    bench.post("order/place-order", {**order, "orderType": "limit", "price": "80000", "size": "0.01"})
    bench.post("order/place-order", {**order, "clientOid": "mine"})
    bench.pass_time(0.2)
    if name == "ws_orders_algo.json":
        bench.post(
            "order/place-plan-order", {**PLAN, "stopSurplusTriggerPrice": "95000", "stopLossTriggerPrice": "80000"}
        )
        return socket.take(channel)[-1:]
    if channel == "orders-algo":
        bench.post("order/place-tpsl-order", STOP)
        bench.exchange.set_plan_fault(lambda plan: RefusalReason.SYSTEM_ERROR)
        bench.move("BTCUSDT", "79900")
        return socket.take(channel)[-1:]
    bench.exchange.auto_deleverage("main", "BTCUSDT", PositionSide.LONG, Decimal("0.1"), bench.now_ms)
    return socket.take(channel)


def test_public_pushes_have_the_keys_and_types_of_their_samples() -> None:
    bench = Bench(options=Options(ticker_interval_ms=100), margin_mode=MarginMode.CROSS)
    socket = bench.socket("/v2/ws/public")
    socket.subscribe("ticker", "candle1m", selector="BTCUSDT")
    bench.pass_time(0.2)

    for name, channel in (("ws_ticker.json", "ticker"), ("ws_candle.json", "candle1m")):
        sample = json.loads((SAMPLES / name).read_text())
        frame = next(json.loads(push.text) for push in socket.pushed if f'"{channel}"' in push.text)
        assert shape(sample, frame) == set(), name


AS_LIVE = "as in live answers, whose code is a number and which name the connection (19.5)"
ANSWER_DEVIATIONS: dict[str, dict[str, str]] = {
    "ws_login_ok_documented.json": dict.fromkeys(("code", "msg", "connId"), AS_LIVE),
    "ws_login_error_documented.json": {"code": AS_LIVE},
}


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("ws_login_ok_live.json", None),
        ("ws_login_ok_documented.json", None),
        ("ws_login_error_documented.json", {"sign": "wrong"}),
        ("ws_error_invalid_sign.json", {"sign": "wrong"}),
        ("ws_error_need_login.json", None),
        ("ws_subscribe_ack_account.json", None),
        ("ws_subscribe_ack_ticker.json", None),
        ("ws_error_channel_not_exist.json", None),
    ],
)
def test_answers_on_the_socket_have_the_keys_and_types_of_their_samples(name: str, change: dict | None) -> None:
    sample = json.loads((SAMPLES / name).read_text())
    socket = Bench().socket("/v2/ws/public") if "ticker" in name else Bench().socket()

    answer = socket.login(**(change or {}))[0] if name.startswith("ws_login") or change else None
    if answer is None:
        if name == "ws_subscribe_ack_account.json":
            socket.login()
        channel = "candleundefined" if "exist" in name else "ticker" if "ticker" in name else "account"
        answer = socket.subscribe(channel, selector="BTCUSDT" if "ticker" in name else "default")[0]

    assert shape(sample, answer) - {"arg"} == set(ANSWER_DEVIATIONS.get(name, {}))
    if "error_documented" not in name:
        assert str(sample.get("code", 0)) == str(answer.get("code", 0))
