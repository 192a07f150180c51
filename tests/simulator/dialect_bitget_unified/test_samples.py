"""Every documented or recorded answer against the simulator's answer to the same call: same keys, same JSON types.

`DEVIATIONS` lists where one sample contradicts another source, path by path and with the reason; anything else fails.
"""

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from guardd.simulator.orders import PositionMode, PositionSide
from tests.simulator.dialect_bitget_unified.bench import CATEGORY, LONG_OPEN, STOP, Bench, Got, Socket

SAMPLES = Path(__file__).parents[2] / "samples"
UNIFIED, MIXED = SAMPLES / "bitget-uta", SAMPLES / "bitget"
INDEX = json.loads((UNIFIED / "_index.json").read_text())["files"]
LIMIT = {**LONG_OPEN, "orderType": "limit", "price": "86000", "posSide": "long", "clientOid": "g-l-1"}

NEWER = "the newer documentation has it, this recording doesn't yet"
OPTIONAL = "since 2026-07, said of futures rows"
EXTRA_2026 = "a 2026 addition (7.1)"
NULLS = "recorded rows have null where the document prints empty text (9.8)"
PRESETS = (
    "tpTriggerBy",
    "slTriggerBy",
    "takeProfit",
    "stopLoss",
    "tpOrderType",
    "slOrderType",
    "tpLimitPrice",
    "slLimitPrice",
)


def _sample(name: str) -> dict:
    folder = MIXED if name.startswith("v3_") else UNIFIED
    return json.loads((folder / name).read_text())


def _shape(sample: object, actual: object, where: str = "") -> set[str]:
    """Paths at which keys or JSON types differ."""
    if type(sample) is not type(actual):
        return {where}
    if isinstance(sample, dict) and isinstance(actual, dict):
        found = {_join(where, name) for name in sample.keys() ^ actual.keys()}
        for name in sample.keys() & actual.keys():
            found |= _shape(sample[name], actual[name], _join(where, name))
        return found
    if isinstance(sample, list) and isinstance(actual, list):
        if sample and not actual:
            return {f"{where}[]"}
        return {path for row in sample[:1] for each in actual for path in _shape(row, each, f"{where}[]")}
    return set()


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _each(prefix: str, reason: str, *names: str) -> dict[str, str]:
    return {f"{prefix}.{name}": reason for name in names}


def _public(path: str, **query: str) -> Callable[[Bench], Got]:
    return lambda bench: bench.get(f"market/{path}", **query)


def _held(path: str, **query: str) -> Callable[[Bench], Got]:
    def call(bench: Bench) -> Got:
        bench.open_long()
        return bench.get(path, **query)

    return call


def _closed(path: str, **query: str) -> Callable[[Bench], Got]:
    def call(bench: Bench) -> Got:
        bench.open_long()
        bench.open_long(side="sell")
        return bench.get(path, **query)

    return call


def _limit(bench: Bench) -> dict[str, str]:
    return bench.post("trade/place-order", LIMIT).data


def _order_info(bench: Bench) -> Got:
    return bench.get("trade/order-info", orderId=_limit(bench)["orderId"])


def _unfilled(bench: Bench) -> Got:
    _limit(bench)
    return bench.get("trade/unfilled-orders", category=CATEGORY)


def _liquidated(bench: Bench) -> Got:
    bench.open_long(qty="1")
    bench.move("BTCUSDT", "79000")
    return bench.get("trade/history-orders", category=CATEGORY)


def _stop(bench: Bench) -> str:
    bench.open_long()
    return bench.post("trade/place-strategy-order", STOP).data["orderId"]


def _stops(bench: Bench) -> Got:
    _stop(bench)
    return bench.get("trade/unfilled-strategy-orders", category=CATEGORY)


def _past_stops(bench: Bench) -> Got:
    _stop(bench)
    bench.move("BTCUSDT", "79000")
    return bench.get("trade/history-strategy-orders", category=CATEGORY)


def _place_stop(bench: Bench) -> Got:
    bench.open_long()
    return bench.post("trade/place-strategy-order", STOP)


def _modify_stop(bench: Bench) -> Got:
    body = {"orderId": _stop(bench), "qty": "0.1", "stopLoss": "81000", "slTriggerBy": "mark"}
    return bench.post("trade/modify-strategy-order", body)


def _batch(bench: Bench) -> Got:
    legs = [{**LONG_OPEN, "posSide": "long", "clientOid": name} for name in ("g-a-1", "g-a-2")]
    legs[1]["qty"] = "100"
    return bench.post("trade/place-batch", legs)


def _cancel_batch(bench: Bench) -> Got:
    body = [{"orderId": _limit(bench)["orderId"], "category": CATEGORY, "symbol": "BTCUSDT"}]
    return bench.post("trade/cancel-batch", body)


def _cancel_symbol(bench: Bench) -> Got:
    _limit(bench)
    return bench.post("trade/cancel-symbol-order", {"category": CATEGORY, "symbol": "BTCUSDT"})


def _close_all(bench: Bench) -> Got:
    bench.open_long()
    return bench.post("trade/close-positions", {"category": CATEGORY})


def _close_nothing(bench: Bench) -> Got:
    return bench.post("trade/close-positions", {"category": CATEGORY, "symbol": "BTCUSDT"})


def _displacing(bench: Bench) -> Got:
    bench.open_long()
    close = {"category": CATEGORY, "symbol": "BTCUSDT", "side": "sell", "reduceOnly": "yes", "qty": "0.1"}
    bench.post("trade/place-order", {**close, "orderType": "limit", "price": "95000"})
    return bench.post("trade/place-order", {**close, "orderType": "market", "clientOid": "g-btcusdt-l-000002"})


def _isolated_short(bench: Bench) -> Got:
    bench.open_short(marginMode="isolated")
    close = {"category": CATEGORY, "symbol": "BTCUSDT", "side": "buy", "reduceOnly": "yes", "qty": "0.04"}
    bench.post("trade/place-order", {**close, "orderType": "limit", "price": "85000", "marginMode": "isolated"})
    return bench.get("position/current-position", category=CATEGORY, symbol="BTCUSDT")


def _set_leverage(bench: Bench) -> Got:
    return bench.post("account/set-leverage", {"category": CATEGORY, "symbol": "BTCUSDT", "leverage": "20"})


def _set_margin(bench: Bench) -> Got:
    bench.open_long(marginMode="isolated")
    body = {"category": CATEGORY, "symbol": "BTCUSDT", "posSide": "long", "operation": "add", "amount": "50"}
    return bench.post("account/set-margin", body)


def _transfer(bench: Bench) -> Got:
    body = {"fromType": "spot", "toType": "uta", "amount": "10", "coin": "USDT", "allowBorrow": "no"}
    return bench.post("account/transfer", body)


def _records(bench: Bench) -> Got:
    bench.open_long()
    return bench.get("account/financial-records", category=CATEGORY)


def _max_open(bench: Bench) -> Got:
    body = {"category": CATEGORY, "symbol": "BTCUSDT", "orderType": "market", "side": "buy", "size": "1"}
    return bench.post("account/max-open-available", body)


def _cancel_stop(bench: Bench) -> Got:
    return bench.post("trade/cancel-strategy-order", {"orderId": _stop(bench)})


def _switching(bench: Bench) -> Got:
    from guardd.simulator.dialects.bitget_unified.desk import AccountMode

    bench.dialect.set_account_mode("main", AccountMode.SWITCHING)
    return bench.get("account/settings")


CALLS: dict[str, Callable[[Bench], Got]] = {
    "instruments_usdt_futures.json": _public("instruments", category=CATEGORY),
    "instruments_usdc_futures_observed.json": _public("instruments", category="USDC-FUTURES"),
    "tickers_usdt_futures.json": _public("tickers", category=CATEGORY, symbol="BTCUSDT"),
    "position_tier.json": _public("position-tier", category=CATEGORY, symbol="BTCUSDT"),
    "discount_rate.json": _public("discount-rate"),
    "current_fund_rate.json": _public("current-fund-rate", category=CATEGORY, symbol="BTCUSDT"),
    "account_info.json": lambda bench: bench.get("account/info"),
    "account_settings.json": lambda bench: bench.get("account/settings"),
    "account_settings_switching.json": _switching,
    "account_assets_flat.json": lambda bench: bench.get("account/assets"),
    "account_assets_at_risk.json": _held("account/assets"),
    "current_position_no_liquidation.json": _held("position/current-position", category=CATEGORY),
    "current_position_observed.json": _held("position/current-position", category=CATEGORY, symbol="BTCUSDT"),
    "current_position_one_way_isolated_short.json": _isolated_short,
    "current_position_empty_list.json": lambda bench: bench.get("position/current-position", category=CATEGORY),
    "history_position.json": _closed("position/history-position", category=CATEGORY),
    "adl_rank.json": _held("position/adlRank"),
    "max_open_available.json": _max_open,
    "place_order.json": lambda bench: bench.post("trade/place-order", LIMIT),
    "place_order_null_order_id.json": _displacing,
    "place_batch.json": _batch,
    "cancel_batch.json": _cancel_batch,
    "cancel_symbol_order.json": _cancel_symbol,
    "close_positions_success.json": _close_all,
    "set_leverage.json": _set_leverage,
    "set_margin.json": _set_margin,
    "order_info_live.json": _order_info,
    "history_orders_close_long_hedge.json": _closed("trade/history-orders", category=CATEGORY),
    "history_orders_liquidation.json": _liquidated,
    "unfilled_orders.json": _unfilled,
    "fills.json": _closed("trade/fills", category=CATEGORY),
    "place_strategy_order.json": _place_stop,
    "unfilled_strategy_orders_observed.json": _stops,
    "unfilled_strategy_orders_documented.json": _stops,
    "history_strategy_orders.json": _past_stops,
    "cancel_strategy_order.json": _cancel_stop,
    "modify_strategy_order.json": _modify_stop,
    "transfer.json": _transfer,
    "max_transferable.json": lambda bench: bench.get("account/max-transferable", coin="USDT"),
    "funding_assets.json": lambda bench: bench.get("account/funding-assets"),
    "switch_status.json": lambda bench: bench.get("account/switch-status"),
    "financial_records.json": _records,
    "v3_account_assets.json": lambda bench: bench.get("account/assets"),
    "v3_close_positions_partial_failure.json": _close_nothing,
    "v3_current_position.json": _held("position/current-position", category=CATEGORY),
    "v3_current_position_empty.json": lambda bench: bench.get("position/current-position", category=CATEGORY),
    "v3_place_strategy_order.json": _place_stop,
    "v3_unfilled_strategy_orders.json": _stops,
}
NOT_AN_ANSWER_HERE = {
    "countdown_cancel_all.json": "access to it is granted by the venue, and wasn't: refused with 25620",
    "auth_test_vectors.json": "vectors, in test_auth",
}
_ROW_OF_STOP = ("triggerBy", "triggerPrice", "triggerOrderType", "triggerOrderPrice", "status")
DEVIATIONS: dict[str, dict[str, str]] = {
    "instruments_usdc_futures_observed.json": {
        **_each("data[]", NEWER, "isRwa", "isReality", "symbolType", "maxMarketOrderQty"),
        "data[].quotePrecision": "null in this older row, empty text in the document",
    },
    "account_assets_flat.json": _each("data", EXTRA_2026, "positionValue", "leverage", "bonus"),
    "v3_account_assets.json": _each("data", EXTRA_2026, "positionValue", "leverage", "bonus"),
    "current_position_no_liquidation.json": {"data.list[].cashDividend": OPTIONAL},
    "current_position_observed.json": {"data.list[].cashDividend": OPTIONAL},
    "v3_current_position.json": {"data.list[].cashDividend": OPTIONAL},
    "place_batch.json": _each("data[]", "of a leg that failed, not of the first one", "code", "msg"),
    "order_info_live.json": _each("data", NEWER, "tradeSide", "marginMode", "delegateType"),
    "history_orders_close_long_hedge.json": _each("data.list[]", NEWER, "tradeSide", "marginMode", "delegateType"),
    "history_orders_liquidation.json": {
        "data.list[].tradeSide": NEWER,
        **_each("data.list[]", NULLS, *PRESETS),
    },
    "unfilled_orders.json": _each("data.list[]", NEWER, "tradeSide", "marginMode", "delegateType"),
    "fills.json": _each("data.list[]", NEWER, "clientOid", "execLinkId", "tradeSide", "isRPI"),
    "unfilled_strategy_orders_observed.json": _each("data[]", NEWER, *_ROW_OF_STOP),
    "history_strategy_orders.json": _each("data.list[]", NEWER, *_ROW_OF_STOP, "triggerType"),
}
ONE_WAY = ("current_position_one_way_isolated_short.json", "place_order_null_order_id.json", "account_settings.json")


def test_every_answer_among_the_samples_has_its_call_here() -> None:
    documented = {
        name
        for name, about in INDEX.items()
        if about["kind"].startswith(("GET ", "POST ")) and not about["kind"].endswith(" body")
    }
    earlier = {path.name for path in MIXED.glob("v3_*.json")} - {"v3_ws_position.json"}

    assert documented | earlier == set(CALLS) | set(NOT_AN_ANSWER_HERE) - {"auth_test_vectors.json"}


@pytest.mark.parametrize("name", CALLS)
def test_an_answer_has_the_keys_and_types_of_its_sample(name: str) -> None:
    bench = Bench(position_mode=PositionMode.ONE_WAY if name in ONE_WAY else PositionMode.HEDGE)
    sample = _sample(name)

    got = CALLS[name](bench)

    assert got.status == 200, got.text
    assert set(DEVIATIONS.get(name, {})) == _shape(sample, got.json), got.text
    assert sample["msg"] == got.json["msg"]


def test_the_comparison_sees_a_missing_key_and_a_changed_type() -> None:
    sample = {"data": [{"id": "1", "side": 1}]}

    assert {"data[].side", "data[].id"} == _shape(sample, {"data": [{"id": 1}]})
    assert {"data[]"} == _shape(sample, {"data": []})


def test_of_a_batch_only_a_leg_that_failed_carries_a_code() -> None:
    sample = _sample("place_batch.json")["data"]

    passed, failed = _batch(Bench()).data

    assert set() == _shape(sample[0], passed)
    assert set() == _shape(sample[1], failed)


def test_a_liquidation_is_marked_as_in_its_sample() -> None:
    row = _liquidated(Bench()).data["list"][0]

    assert (row["execType"], row["reduceOnly"], row["orderStatus"]) == ("liquidation", "NO", "filled")


def test_the_relations_that_were_checked_on_recorded_rows_hold_here() -> None:
    bench = Bench()
    bench.post("account/set-leverage", {"category": CATEGORY, "symbol": "BTCUSDT", "leverage": "20"})
    bench.open_long()
    bench.move("BTCUSDT", "90500")

    row = {name: Decimal(value) for name, value in bench.positions()[0].items() if _is_number(value)}

    assert row["positionBalance"] == row["total"] * row["markPrice"] * (Decimal("0.05") + Decimal("0.0006"))
    assert abs(row["profitRate"] - row["unrealisedPnl"] / row["positionBalance"]) < Decimal("1E-15")
    assert row["openFeeTotal"] < 0
    spent = row["openFeeTotal"] - row["breakEvenPrice"] * row["total"] * Decimal("0.0006")
    assert abs(row["total"] * (row["breakEvenPrice"] - row["avgPrice"]) + spent) < Decimal("0.02")


def _is_number(text: object) -> bool:
    try:
        return isinstance(text, str) and Decimal(text).is_finite()
    except ArithmeticError:
        return False


# The sockets


def _private(bench: Bench, topic: str) -> Socket:
    return bench.socket().private(topic)


def _ws(topic: str, act: Callable[[Bench], object], *, last: bool = True) -> Callable[[Bench], dict]:
    def run(bench: Bench) -> dict:
        socket = _private(bench, topic)
        act(bench)
        frames = socket.take(topic)
        return frames[-1 if last else 0]

    return run


def _public_ticker(bench: Bench) -> dict:
    socket = bench.socket("/v3/ws/public")
    socket.subscribe({"instType": "usdt-futures", "topic": "ticker", "symbol": "BTCUSDT"})
    return socket.take("ticker")[0]


def _ended(bench: Bench) -> object:
    bench.open_long()
    return bench.open_long(side="sell")


def _deleveraged(bench: Bench) -> object:
    bench.open_long()
    return bench.exchange.auto_deleverage("main", "BTCUSDT", PositionSide.LONG, Decimal("0.01"), bench.now_ms)


PUSHES: dict[str, Callable[[Bench], dict]] = {
    "ws_ticker_futures.json": _public_ticker,
    "ws_account.json": _ws("account", lambda bench: None, last=False),
    "ws_position_ended.json": _ws("position", _ended),
    "v3_ws_position.json": _ws("position", _ended),
    "ws_position_open_update.json": _ws("position", Bench.open_long),
    "ws_order_filled.json": _ws("order", Bench.open_long),
    "ws_fill.json": _ws("fill", Bench.open_long),
    "ws_fast_fill.json": _ws("fast-fill", Bench.open_long),
    "ws_strategy_order.json": _ws("strategy-order", _stop),
    "ws_adl_notification.json": _ws("adl-notification", _deleveraged),
}
PUSHED_OTHERWISE = {
    "ws_fast_fill.json": {"arg.symbol": "the selector `default` is echoed; section 11 names it, the sample doesn't"},
}


@pytest.mark.parametrize("name", PUSHES)
def test_a_push_has_the_keys_and_types_of_its_sample(name: str) -> None:
    frame = PUSHES[name](Bench())

    assert set(PUSHED_OTHERWISE.get(name, {})) == _shape(_sample(name), frame)


def test_an_acknowledgement_and_a_refusal_look_like_their_samples() -> None:
    socket = Bench().socket()
    socket.login()

    acknowledged, refused = socket.subscribe(
        {"instType": "UTA", "topic": "position"}, {"instType": "UTA", "topic": "positions"}
    )

    assert set() == _shape(_sample("ws_subscribe_ack.json"), acknowledged)
    assert refused["code"] == 30001
    assert {"arg"} >= _shape(_sample("ws_error.json"), refused)


ERRORS: dict[str, Callable[[Bench], Got]] = {
    "error_25204.json": lambda bench: bench.get("trade/order-info", orderId="1"),
    "error_25212.json": lambda bench: [bench.post("trade/place-order", LIMIT) for _ in range(2)][1],
    "error_25227.json": lambda bench: bench.open_long(side="sell"),
    "error_25245.json": lambda bench: _converting(bench).open_long(),
    "error_40762.json": lambda bench: bench.open_long(qty="100"),
    "error_400172_v3.json": lambda bench: bench.open_long(side="up"),
}


def _converting(bench: Bench) -> Bench:
    _switching(bench)
    return bench


@pytest.mark.parametrize("name", ERRORS)
def test_a_refusal_has_the_envelope_and_the_code_of_its_sample(name: str) -> None:
    sample = _sample(name)

    got = ERRORS[name](Bench())

    assert (400, sample["code"]) == (got.status, got.code), got.text
    assert set() == _shape(sample, got.json)
    assert got.json["msg"].startswith(sample["msg"])


@pytest.mark.parametrize("code", ["25203", "40010", "40725", "45001"])
def test_a_refusal_by_fault_has_the_envelope_of_its_sample(code: str) -> None:
    from guardd.simulator.faults import FaultKind

    bench = Bench()
    bench.faults.add(FaultKind.REFUSE, code=int(code))

    got = bench.open_long()

    assert code == got.code
    assert set() == _shape(_sample(f"error_{code}.json"), got.json)


REQUESTS = {
    "request_close_long_hedge.json": (PositionMode.HEDGE, PositionSide.LONG),
    "request_close_short_hedge.json": (PositionMode.HEDGE, PositionSide.SHORT),
    "request_close_long_one_way.json": (PositionMode.ONE_WAY, PositionSide.LONG),
    "request_close_short_one_way.json": (PositionMode.ONE_WAY, PositionSide.SHORT),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_the_references_closing_bodies_close(name: str) -> None:
    mode, side = REQUESTS[name]
    bench = Bench(position_mode=mode)
    (bench.open_long if side is PositionSide.LONG else bench.open_short)()

    answer = bench.post("trade/place-order", _sample(name))

    assert answer.code == "00000", answer.text
    assert [(side.value, "0.09")] == bench.sizes()


@pytest.mark.parametrize("mode", PositionMode)
@pytest.mark.parametrize("name", ["request_stop_full_long.json", "request_stop_partial_one_way_long.json"])
def test_the_references_stops_rest(name: str, mode: PositionMode) -> None:
    bench = Bench(position_mode=mode)
    bench.open_long()
    body = _sample(name)

    placed = bench.post("trade/place-strategy-order", body).data

    row = bench.stops()[0]
    assert (placed["orderId"], body["clientOid"]) == (row["orderId"], placed["clientOid"])
    assert (body["stopLoss"], "mark", "pending") == (row["stopLoss"], row["slTriggerBy"], row["status"])
    assert body.get("qty", "0.1") == row["qty"]
