"""Every documented or captured answer against the simulator's answer to the same call: same keys, same JSON types.

`DEVIATIONS` lists where one sample contradicts another source, path by path and with the reason; anything else fails.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from guardd.simulator.orders import MarginMode, PositionMode
from tests.simulator.dialect.bench import LONG_OPEN, Bench, Got

SAMPLES = Path(__file__).parents[2] / "samples" / "bitmart"
INDEX = json.loads((SAMPLES / "_index.json").read_text())["files"]
ORIGINS = ("official-docs", "official-skill", "captured")
LEFT_OUT = {
    "sub_account_transfer.json": "sub-account transfers are no part of the simulator",
    "sub_account_transfer_list.json": "sub-account transfers are no part of the simulator",
    "sub_account_wallet.json": "sub-account transfers are no part of the simulator",
}
SL = {
    "symbol": "BTCUSDT", "side": 3, "type": "stop_loss", "trigger_price": "80000", "executive_price": "0",
    "price_type": 2, "plan_category": 2, "client_order_id": "SL1",
}  # fmt: skip
LIMIT = {**LONG_OPEN, "type": "limit", "price": "80000", "client_order_id": "L1"}
PLAN = {
    "symbol": "BTCUSDT", "side": 1, "type": "limit", "leverage": "10", "open_type": "cross", "size": 10,
    "trigger_price": "95000", "executive_price": "95000", "price_type": 1, "price_way": 1,
}  # fmt: skip
TRAIL = {
    "symbol": "BTCUSDT", "side": 3, "leverage": "10", "open_type": "cross", "size": 10, "activation_price": "95000",
    "callback_rate": "1", "activation_price_type": 1,
}  # fmt: skip


def _limit(bench: Bench) -> int:
    return bench.post("submit-order", LIMIT).data["order_id"]


def _stop(bench: Bench) -> str:
    bench.open_long()
    return bench.post("submit-tp-sl-order", SL).data["order_id"]


def _window(bench: Bench) -> dict[str, str]:
    now_s = bench.now_ms // 1000
    return {"start_time": str(now_s - 600), "end_time": str(now_s + 600)}


def _order(bench: Bench) -> Got:
    return bench.get("order", symbol="BTCUSDT", order_id=str(_limit(bench)))


def _open_orders(bench: Bench) -> Got:
    _limit(bench)
    return bench.get("get-open-orders")


def _plan_list(bench: Bench) -> Got:
    _stop(bench)
    return bench.get("current-plan-order")


def _triggered_history(bench: Bench) -> Got:
    _stop(bench)
    bench.move("BTCUSDT", "79000")
    return bench.get("order-history", symbol="BTCUSDT")


def _liquidated_history(bench: Bench) -> Got:
    bench.post("submit-leverage", {"symbol": "BTCUSDT", "leverage": "10", "open_type": "isolated"})
    bench.open_long(open_type="isolated")
    bench.move("BTCUSDT", "70000")
    return bench.get("order-history", symbol="BTCUSDT")


def _after_open(path: str, **query: str) -> Callable[[Bench], Got]:
    def call(bench: Bench) -> Got:
        bench.open_long()
        return bench.get(path, **query)

    return call


def _funding(bench: Bench) -> Got:
    bench.open_long()
    bench.dialect.settle_funding(bench.now_ms)
    return bench.get("transaction-history", flow_type="3")


def _public(path: str, **query: str) -> Callable[[Bench], Got]:
    def call(bench: Bench) -> Got:
        bench.move("BTCUSDT", "90001")
        bench.move("BTCUSDT", "90002")
        window = _window(bench) if path.endswith("kline") else {}
        return bench.get(f"/contract/public/{path}", **query, **window)

    return call


def _cancel_trail(bench: Bench) -> Got:
    bench.open_long()
    order_id = bench.post("submit-trail-order", TRAIL).data["order_id"]
    return bench.post("cancel-trail-order", {"symbol": "BTCUSDT", "order_id": str(order_id)})


def _submit_trail(bench: Bench) -> Got:
    bench.open_long()
    return bench.post("submit-trail-order", TRAIL)


def _cancel_without_data(bench: Bench) -> Got:
    order_id = _limit(bench)
    from guardd.simulator.faults import FaultKind

    bench.faults.add(FaultKind.CANCEL_WITHOUT_DATA)
    return bench.post("cancel-order", {"symbol": "BTCUSDT", "order_id": str(order_id)})


def _submit_stop(**changes: object) -> Callable[[Bench], Got]:
    def call(bench: Bench) -> Got:
        bench.open_long()
        return bench.post("submit-tp-sl-order", {name: each for name, each in {**SL, **changes}.items() if each != ""})

    return call


def _modify_plan(bench: Bench) -> Got:
    order_id = bench.post("submit-plan-order", PLAN).data["order_id"]
    body = {
        "symbol": "BTCUSDT", "order_id": str(order_id), "trigger_price": "96000", "executive_price": "96000",
        "price_type": 1, "type": "limit",
    }  # fmt: skip
    return bench.post("modify-plan-order", body)


def _modify_stop(bench: Bench) -> Got:
    body = {
        "symbol": "BTCUSDT", "order_id": _stop(bench), "client_order_id": "", "trigger_price": "81000",
        "executive_price": "81000", "price_type": 2, "plan_category": 2, "category": "limit",
    }  # fmt: skip
    return bench.post("modify-tp-sl-order", body)


def _modify_presets(bench: Bench) -> Got:
    body = {"symbol": "BTCUSDT", "order_id": str(_limit(bench)), "preset_stop_loss_price": "70000"}
    return bench.post("modify-preset-plan-order", body)


def _transfer(bench: Bench) -> Got:
    body = {"currency": "USDT", "amount": "10", "type": "spot_to_contract", "recvWindow": 5000}
    return bench.post("/account/v1/transfer-contract", body)


def _transfers(bench: Bench) -> Got:
    _transfer(bench)
    return bench.post("/account/v1/transfer-contract-list", {"page": 1, "limit": 10, "currency": "USDT"})


def _hedge_flat(bench: Bench) -> Got:
    return bench.get("position-v2", symbol="BTCUSDT")


CALLS: dict[str, Callable[[Bench], Got]] = {
    "assets_detail.json": lambda bench: bench.get("assets-detail"),
    "cancel_all_after.json": lambda bench: bench.post("cancel-all-after", {"timeout": 10, "symbol": "BTCUSDT"}),
    "cancel_order.json": lambda bench: bench.post(
        "cancel-order", {"symbol": "BTCUSDT", "order_id": str(_limit(bench))}
    ),
    "cancel_order_capture_no_data.json": _cancel_without_data,
    "cancel_orders.json": lambda bench: bench.post("cancel-orders", {"symbol": "ETHUSDT"}),
    "cancel_plan_order.json": lambda bench: bench.post(
        "cancel-plan-order", {"symbol": "BTCUSDT", "order_id": _stop(bench)}
    ),
    "cancel_trail_order.json": _cancel_trail,
    "contract_details.json": _public("details", symbol="BTCUSDT"),
    "contract_details_trading.json": _public("details", symbol="BTCUSDT"),
    "current_plan_order.json": _plan_list,
    "current_plan_order_capture.json": _plan_list,
    "demo_claim.json": lambda bench: bench.post("claim", {}),
    "depth.json": _public("depth", symbol="BTCUSDT"),
    "funding_rate.json": _public("funding-rate", symbol="BTCUSDT"),
    "funding_rate_history.json": _public("funding-rate-history", symbol="BTCUSDT", limit="10"),
    "get_open_orders.json": _open_orders,
    "get_open_orders_capture.json": _open_orders,
    "get_position_mode.json": lambda bench: bench.get("get-position-mode"),
    "kline.json": _public("kline", symbol="BTCUSDT", step="5"),
    "leverage_bracket.json": _public("leverage-bracket", symbol="DOGEUSDT"),
    "market_trade.json": _public("market-trade", symbol="BTCUSDT", limit="100"),
    "markprice_kline.json": _public("markprice-kline", symbol="BTCUSDT", step="1"),
    "modify_limit_order.json": lambda bench: bench.post(
        "modify-limit-order", {"symbol": "BTCUSDT", "order_id": _limit(bench), "price": "79000"}
    ),
    "modify_plan_order.json": _modify_plan,
    "modify_preset_plan_order.json": _modify_presets,
    "modify_tp_sl_order.json": _modify_stop,
    "open_interest.json": _public("open-interest", symbol="BTCUSDT"),
    "order.json": _order,
    "order_capture_2023.json": _order,
    "order_history.json": _triggered_history,
    "order_history_liquidation_capture.json": _liquidated_history,
    "position.json": _after_open("position", symbol="BTCUSDT"),
    "position_capture_2023.json": _after_open("position", symbol="BTCUSDT"),
    "position_risk.json": _after_open("position-risk", symbol="BTCUSDT"),
    "position_v2_hedge_flat.json": _hedge_flat,
    "position_v2_one_way_flat.json": _hedge_flat,
    "position_v2_open_cross.json": _after_open("position-v2"),
    "set_position_mode.json": lambda bench: bench.post("set-position-mode", {"position_mode": "one_way_mode"}),
    "submit_leverage.json": lambda bench: bench.post(
        "submit-leverage", {"symbol": "ETHUSDT", "leverage": "5", "open_type": "isolated"}
    ),
    "submit_order_limit.json": lambda bench: bench.post("submit-order", LIMIT),
    "submit_order_market.json": lambda bench: bench.open_long(),
    "submit_plan_order.json": lambda bench: bench.post("submit-plan-order", PLAN),
    "submit_plan_order_capture.json": lambda bench: bench.post("submit-plan-order", PLAN),
    "submit_tp_sl_order.json": _submit_stop(),
    "submit_tp_sl_order_no_client_id.json": _submit_stop(client_order_id=""),
    "submit_trail_order.json": _submit_trail,
    "system_service.json": lambda bench: bench.get("/system/service"),
    "system_time.json": lambda bench: bench.get("/system/time"),
    "trade_fee_rate.json": lambda bench: bench.get("trade-fee-rate", symbol="BTCUSDT"),
    "trades.json": _after_open("trades"),
    "transaction_history.json": _after_open("transaction-history"),
    "transaction_history_capture.json": _funding,
    "transfer_contract.json": _transfer,
    "transfer_contract_list.json": _transfers,
}
NEWER = "a key that the newer documentation has and this older capture lacks"
OLDER = "a key of an older capture that the newer documentation no longer has"
DEVIATIONS: dict[str, dict[str, str]] = {
    "contract_details.json": {"data.symbols[].funding_time": "live rows carry it; the document's table omits it"},
    "current_plan_order_capture.json": {"data[].client_order_id": NEWER, "data[].position_mode": NEWER},
    "get_open_orders_capture.json": {
        "data[].position_mode": NEWER,
        "data[].preset_take_profit_price": NEWER,
        "data[].preset_take_profit_price_type": NEWER,
        "data[].preset_stop_loss_price": NEWER,
        "data[].preset_stop_loss_price_type": NEWER,
        "data[].activation_price": OLDER,
        "data[].activation_price_type": OLDER,
        "data[].callback_rate": OLDER,
    },
    "order_capture_2023.json": {"data.position_mode": NEWER, "data.account": NEWER},
    "order_history_liquidation_capture.json": {
        f"data[].{name}": NEWER
        for name in (
            "position_mode", "account", "trigger_price", "execution_price", "activation_price",
            "activation_price_type", "callback_rate", "preset_take_profit_price", "preset_take_profit_price_type",
            "preset_stop_loss_price", "preset_stop_loss_price_type",
        )
    },
    "position_capture_2023.json": {
        f"data[].{name}": NEWER for name in ("mark_value", "margin_type", "position_mode", "account")
    },
    "position_v2_open_cross.json": {
        "trace": "the sample was recorded without it",
        "data[].position_cross": "in the documentation's samples, missing in this one of the skill repository",
    },
    "submit_plan_order_capture.json": {"data.order_id": "printed by a client that may have turned numbers into text"},
    "transaction_history.json": {"data[].flow_type": "in the field table and in the captured row"},
    "transaction_history_capture.json": {"data[].account": "in the field table and in the documented rows"},
}  # fmt: skip


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


def _wanted(kind: str) -> list[str]:
    return [
        name
        for name, about in INDEX.items()
        if about["kind"] == kind and about["origin"] in ORIGINS and name not in LEFT_OUT
    ]


def test_every_documented_or_captured_answer_has_its_call_here() -> None:
    assert set(_wanted("rest_response")) == set(CALLS)


@pytest.mark.parametrize("name", _wanted("rest_response"))
def test_an_answer_has_the_keys_and_types_of_its_sample(name: str) -> None:
    from guardd.simulator.dialects.bitmart.desk import Options

    one_way = name == "position_v2_one_way_flat.json"
    bench = Bench(
        position_mode=PositionMode.ONE_WAY if one_way else PositionMode.HEDGE,
        margin_mode=MarginMode.CROSS,
        options=Options(service_notice=True),
    )
    sample = json.loads((SAMPLES / name).read_text())

    got = CALLS[name](bench)

    assert INDEX[name]["http_status"] == got.status, got.text
    assert set(DEVIATIONS.get(name, {})) == _shape(sample, got.json), got.text
    assert sample["message"] in (got.json["message"], got.json["message"].upper())


def test_the_comparison_sees_a_missing_key_and_a_changed_type() -> None:
    sample = {"data": [{"id": "1", "side": 1}]}

    assert {"data[].side", "data[].id"} == _shape(sample, {"data": [{"id": 1}]})
    assert {"data[]"} == _shape(sample, {"data": []})


def test_flat_rows_of_the_samples_are_reproduced_to_the_oddity() -> None:
    one_way = Bench(position_mode=PositionMode.ONE_WAY).get("position-v2", symbol="BTCUSDT").data
    hedge = Bench().get("position-v2", symbol="BTCUSDT").data

    assert [(row["position_side"], row["current_amount"], row["position_amount"]) for row in one_way] == [
        ("both", "0", "5")
    ]
    assert [row["position_side"] for row in hedge] == ["long", "short"]


ERRORS: dict[str, Callable[[Bench], Got]] = {
    "error_30000_not_found.json": lambda bench: bench.get("/contract/public/nothing"),
    "error_30030.json": lambda bench: bench.get("/contract/v1/tickers"),
    "error_40012_balance.json": lambda bench: bench.open_long(size=20_000),
    "error_40012_invalid_order.json": lambda bench: bench.open_long(leverage="9"),
    "error_40012_symbol_not_exist.json": lambda bench: bench.get("/contract/public/details", symbol="NOPEUSDT"),
    "error_40034.json": lambda bench: bench.get("/contract/public/depth", symbol="NOPEUSDT"),
    "error_40035.json": lambda bench: bench.post("cancel-order", {"symbol": "BTCUSDT", "client_order_id": "no"}),
    "error_40038.json": lambda bench: bench.get(
        "/contract/public/markprice-kline", symbol="BTCUSDT", step="2", start_time="1", end_time="2"
    ),
}


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_a_captured_refusal_comes_with_its_code_status_keys_and_words(name: str) -> None:
    sample = json.loads((SAMPLES / name).read_text())

    got = ERRORS[name](Bench())

    assert (INDEX[name]["http_status"], sample["code"]) == (got.status, got.code), got.text
    assert _shape(sample, got.json) == set()
    word = "msg" if "msg" in sample else "message"
    assert sample[word].lower() == got.json[word].lower()
