"""Each REST fault alone: what the client sees in this venue's shapes, and what truly happened."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from guardd.simulator.faults import FaultKind
from guardd.simulator.orders import MarginMode, PositionMode
from guardd.simulator.terms import VenueState
from tests.simulator.dialect_bitget.bench import BTC, CLOSE_LONG, LIMIT, OPEN_LONG, STOP, USDT, Bench, Got
from tests.simulator.dialect_bitget.test_samples import PLAN, TRANSFER, shape

SAMPLES = Path(__file__).parents[2] / "samples" / "bitget"
PLACE = "/api/v2/mix/order/place-order"
ONE_WAY = {name: value for name, value in OPEN_LONG.items() if name != "tradeSide"}


def _held(bench: Bench) -> str:
    return str(sum(view.size for view in bench.exchange.query.positions("main")))


def _raw_order(bench: Bench):
    text = json.dumps(OPEN_LONG)
    return bench.raw("POST", PLACE, headers=bench.headers("POST", PLACE, body=text), body=text.encode())


@pytest.mark.parametrize(("kind", "held"), [(FaultKind.TIMEOUT_BEFORE, "0"), (FaultKind.TIMEOUT_AFTER, "0.1")])
def test_a_time_out_hides_whether_the_order_was_executed(kind: FaultKind, held: str) -> None:
    bench = Bench()
    bench.faults.add(kind, target=PLACE)

    assert _raw_order(bench).response is None
    assert held == _held(bench)


@pytest.mark.parametrize(
    ("kind", "status", "words"),
    [
        (FaultKind.CLOUDFLARE_403, 403, "cf-"),
        (FaultKind.CLOUDFLARE_1010, 403, "error code: 1010"),
        (FaultKind.CLOUDFLARE_503, 503, "Cloudflare"),
        (FaultKind.ERROR_HTML, 502, "Bad Gateway"),
    ],
)
def test_an_edge_page_is_no_json_and_nothing_was_executed(kind: FaultKind, status: int, words: str) -> None:
    bench = Bench()
    bench.faults.add(kind)

    got = bench.open_long()

    assert status == got.status
    assert words in got.text
    assert "cf-ray" in got.headers
    assert "x-mbx-used-remain-limit" not in got.headers
    assert _held(bench) == "0"


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        (FaultKind.TOO_MANY, 429, "429"),
        (FaultKind.BANNED, 429, "429"),
        (FaultKind.UNAVAILABLE, 500, "40725"),
        (FaultKind.MAINTENANCE, 400, "40200"),
    ],
)
def test_a_gateway_fault_answers_with_the_venues_json(kind: FaultKind, status: int, code: str) -> None:
    bench = Bench()
    bench.faults.add(kind)

    got = bench.open_long()

    assert (status, code, "0") == (got.status, got.code, _held(bench))
    assert got.json["data"] is None


@pytest.mark.parametrize(("number", "code"), [(40010, "40010"), (1, "00001"), (429, "429"), (400172, "400172")])
def test_a_chosen_refusal_hits_the_chosen_call_only(number: int, code: str) -> None:
    bench = Bench()
    bench.open_long()
    bench.faults.add(FaultKind.REFUSE, target="*tpsl*", code=number)

    assert bench.stop().code == code
    assert bench.place(**CLOSE_LONG).code == "00000"


def test_a_refusal_can_be_aimed_at_a_symbol_of_a_body() -> None:
    bench = Bench()
    bench.faults.add(FaultKind.REFUSE, target=PLACE, symbol="ETH*", code=40725)

    assert bench.open_long().code == "00000"
    assert bench.place(symbol="ETHUSDT", size="1").code == "40725"


def test_a_closing_venue_refuses_opens_plans_and_transfers_and_takes_closes() -> None:
    bench = Bench()
    bench.open_long()
    order_id = bench.post("order/place-order", LIMIT).data["orderId"]
    bench.faults.add(FaultKind.CLOSING)

    opens = [bench.open_long(), bench.post("order/place-plan-order", PLAN), bench.stop()]
    opens.append(bench.post("/api/v2/spot/wallet/transfer", TRANSFER))

    assert {got.code for got in opens} == {"45107"}
    assert bench.post("order/cancel-order", {**BTC, "orderId": order_id}).code == "00000"
    assert bench.place(**CLOSE_LONG).code == "00000"


def test_default_library_agents_get_a_page_and_a_named_one_none() -> None:
    bench = Bench()
    bench.faults.add(FaultKind.AGENT_CHECK)

    def status(agent: str) -> int:
        return bench.send("GET", "/api/v2/public/time", headers={"User-Agent": agent}).status

    assert [status(agent) for agent in ("Python/3.11 aiohttp/3.14", "", "guardd/0.1 (+ops)")] == [403, 403, 200]


def test_a_stale_read_answers_an_earlier_state_until_it_ends() -> None:
    bench = Bench()
    bench.open_long()
    before = bench.positions()
    bench.faults.add(FaultKind.STALE_READ, target="*all-position")

    bench.open_long()

    assert before == bench.positions()
    bench.faults.clear()
    assert bench.held() == [("long", "0.2")]


def test_an_empty_read_loses_what_exists_in_the_shape_of_each_call() -> None:
    bench = Bench()
    bench.open_long()
    bench.stop()
    bench.faults.add(FaultKind.EMPTY_READ)

    assert bench.positions() == []
    assert bench.get("order/orders-plan-pending", planType="profit_loss", **USDT).data == {"entrustedList": None}
    assert bench.get("account/account", **BTC).data["accountEquity"] != "0"
    assert _held(bench) == "0.1"


def test_a_slow_answer_carries_its_delay() -> None:
    bench = Bench()
    bench.faults.add(FaultKind.SLOW, delay_ms=250)

    assert bench.raw("GET", "/api/v2/public/time").delay_ms == 250


def test_a_venue_under_maintenance_refuses_writes_and_answers_reads() -> None:
    bench = Bench()
    bench.exchange.set_state(VenueState.MAINTENANCE, bench.now_ms)

    assert bench.open_long().code == "40200"
    assert bench.positions() == []


def _short_with_a_stop_below(bench: Bench) -> Got:
    bench.place(side="sell")
    return bench.stop(holdSide="short")


def _twice(bench: Bench) -> Got:
    bench.post("order/place-order", {**LIMIT, "clientOid": "a"})
    return bench.post("order/place-order", {**LIMIT, "clientOid": "a"})


def _long_with_a_stop_above(bench: Bench) -> Got:
    bench.open_long()
    return bench.stop(triggerPrice="91000")


def _second_stop(bench: Bench) -> Got:
    bench.open_long()
    bench.stop()
    return bench.stop()


def _cancel_twice(bench: Bench) -> Got:
    body = {**BTC, "orderId": bench.post("order/place-order", LIMIT).data["orderId"]}
    bench.post_now("order/cancel-order", body)
    return bench.post_now("order/cancel-order", body)


def _too_large_a_close(bench: Bench) -> Got:
    bench.open_long()
    return bench.place(**{**CLOSE_LONG, "size": "0.2"})


def _without_hold_side(bench: Bench) -> Got:
    bench.post("account/set-margin-mode", {**BTC, "marginMode": "isolated"})
    return bench.post("account/set-leverage", {**BTC, "leverage": "5"})


ERRORS: dict[str, Callable[[Bench], Got]] = {
    "error_00001_time_range.json": lambda bench: bench.get(
        "account/bill", startTime="1", endTime=str(bench.now_ms), **USDT
    ),
    "error_22001_no_order_to_cancel.json": lambda bench: bench.post("order/cancel-all-orders", USDT),
    "error_22002_no_position.json": lambda bench: bench.place(**CLOSE_LONG),
    "error_40034_unknown_symbol.json": lambda bench: bench.place(symbol="BTCUSDT_UMCBL"),
    "error_400172_illegal_opening_type.json": lambda bench: bench.place(tradeSide="open_long"),
    "error_400172_parameter_verification.json": lambda bench: bench.get("market/ticker", symbol="BTCUSDT"),
    "error_40762_exceeds_balance.json": lambda bench: bench.place(size="100"),
    "error_40768_order_not_exist.json": lambda bench: bench.post("order/cancel-order", {**BTC, "orderId": "1"}),
    "error_40786_duplicate_client_oid.json": _twice,
    "error_40804_close_exceeds_position.json": _too_large_a_close,
    "error_40808_hold_side_null.json": _without_hold_side,
    "error_40808_size_scale.json": lambda bench: bench.place(size="2293.57799"),
    "error_40811_null_parameter.json": lambda bench: bench.place(marginCoin=None),
    "error_40814_no_leverage_change.json": lambda bench: bench.post("account/set-leverage", {**BTC, "leverage": "10"}),
    "error_40912_batch_cancel_limit.json": lambda bench: bench.post(
        "order/batch-cancel-orders", {**BTC, "orderIdList": [{"orderId": "1"}] * 51}
    ),
    "error_40917_long_stop_above_mark.json": _long_with_a_stop_above,
    "error_41103_price_scale.json": lambda bench: bench.place(orderType="limit", price="80000.01"),
    "error_43011_execute_price.json": lambda bench: bench.stop(executePrice="0"),
    "error_43011_hold_side.json": lambda bench: bench.stop(holdSide="buy"),
    "error_43012_insufficient_balance.json": lambda bench: bench.post(
        "/api/v2/spot/wallet/transfer", {**TRANSFER, "amount": "99999"}
    ),
    "error_43020_tpsl_not_exist.json": lambda bench: bench.post(
        "order/modify-tpsl-order", {**BTC, "orderId": "1", "triggerPrice": "80000"}
    ),
    "error_43023_position_not_settled.json": lambda bench: bench.post("order/place-tpsl-order", STOP),
    "error_43025_plan_order_not_exist.json": lambda bench: bench.post(
        "order/modify-plan-order", {**USDT, "orderId": "1", "newTriggerPrice": "80000"}
    ),
    "error_43031_stop_loss_exists.json": _second_stop,
    "error_45110_min_amount.json": lambda bench: bench.place(size="0.0001", orderType="limit", price="40000"),
    "error_45122_short_stop_below_mark.json": _short_with_a_stop_below,
    "error_45129_cancel_too_frequent.json": _cancel_twice,
}  # fmt: skip
FILLED_IN = {"error_45122_short_stop_below_mark.json", "error_40808_size_scale.json", "error_00001_time_range.json"}


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_a_documented_refusal_comes_with_http_400_its_code_its_keys_and_its_words(name: str) -> None:
    sample = json.loads((SAMPLES / name).read_text())

    got = ERRORS[name](Bench())

    assert (400, sample["code"]) == (got.status, got.code), got.text
    assert shape(sample, got.json) == set()
    if name not in FILLED_IN:
        assert sample["msg"] == got.json["msg"]


PROVOKED_ELSEWHERE = {"error_40774_unilateral.json"}
BY_FAULT = sorted({path.name for path in SAMPLES.glob("error_*.json")} - set(ERRORS) - PROVOKED_ELSEWHERE)


@pytest.mark.parametrize("name", BY_FAULT)
def test_a_documented_refusal_that_only_a_fault_brings_has_its_code_and_its_keys(name: str) -> None:
    sample = json.loads((SAMPLES / name).read_text())
    bench = Bench()
    bench.faults.add(FaultKind.REFUSE, code=int(sample["code"]))

    got = bench.open_long()

    assert str(sample["code"]) == got.code
    assert shape(sample, got.json) == set()


def test_the_one_way_mismatch_has_the_observed_code_and_words() -> None:
    sample = json.loads((SAMPLES / "error_40774_unilateral.json").read_text())
    bench = Bench(position_mode=PositionMode.ONE_WAY, margin_mode=MarginMode.CROSS)

    got = bench.open_long()

    assert (sample["code"], sample["msg"]) == (got.code, got.json["msg"])
    assert bench.post("order/place-order", ONE_WAY).code == "00000"
