"""An operator's single steps: their wire forms, and the checks before them."""

import json
from decimal import Decimal

import pytest

from guardd.model.names import AccountName, PositionKey, PositionMode, Side, Symbol
from guardd.model.outcome import Accepted, Reason, Rejected, Unknown
from guardd.venues.base import OperatorVenue
from tests.venues.bitmart import samples
from tests.venues.bitmart.bench import TIMED_OUT, Bench, bench, ok, refusal

LONG_BTC = PositionKey(AccountName("main"), Symbol("BTCUSDT"), Side.LONG)
SHORT_ETH = PositionKey(AccountName("main"), Symbol("ETHUSDT"), Side.SHORT)
POSITION = samples.plain("constructed_position_v2_hedge_long_short.json")["data"]
PLANS = samples.plain("current_plan_order.json")["data"]
ORDERS = samples.plain("get_open_orders_capture.json")["data"]


def bench_for(path: str, *answers: object) -> Bench:
    on = bench()
    on.network.on(path, *answers)  # type: ignore[arg-type]
    return on


def same_but_for_the_id(on: Bench, sample: str) -> None:
    (request,) = on.network.writes
    expected, body = samples.plain(sample), request.body
    assert body.pop("client_order_id", "op").startswith("op")
    expected.pop("client_order_id", None)
    assert json.dumps(body, sort_keys=True) == json.dumps(expected, sort_keys=True)


def test_it_is_an_operators_venue() -> None:
    operator: OperatorVenue = bench().operator
    assert operator is not None


async def test_an_opening_market_order_has_the_documented_form() -> None:
    on = bench_for("submit-order", ok({"order_id": 1}))
    await on.operator.open_position(LONG_BTC, size=Decimal(1), price=None, leverage=Decimal(10), isolated=False)
    same_but_for_the_id(on, "req_submit_order_open_market.json")


async def test_an_opening_limit_order_has_the_documented_form() -> None:
    on = bench_for("submit-order", ok({"order_id": 1}))
    price = Decimal(2000)
    await on.operator.open_position(SHORT_ETH, size=Decimal(10), price=price, leverage=Decimal(1), isolated=True)
    same_but_for_the_id(on, "req_submit_order_open_limit.json")


async def test_a_closing_market_order_has_the_documented_form() -> None:
    on = bench_for("submit-order", ok({"order_id": 1}))
    await on.operator.close_position(LONG_BTC, size=Decimal(100), price=None)
    same_but_for_the_id(on, "req_submit_order_close_market.json")


async def test_a_closing_limit_order_has_the_documented_form_but_is_immediate_or_cancel() -> None:
    on = bench_for("submit-order", ok({"order_id": 1}))
    await on.operator.close_position(LONG_BTC, size=Decimal(100), price=Decimal("70000"))
    (request,) = on.network.writes
    body = {name: value for name, value in request.body.items() if name != "client_order_id"}
    assert body == {**samples.plain("req_submit_order_close_limit.json"), "mode": 3}


async def test_leverage_has_the_documented_form() -> None:
    on = bench_for("submit-leverage", ok({}))
    await on.operator.set_leverage(Symbol("ETHUSDT"), leverage=Decimal(5), isolated=True)
    same_but_for_the_id(on, "req_submit_leverage.json")


async def test_a_transfer_has_the_documented_form() -> None:
    on = bench_for("transfer-contract", ok({"currency": "USDT", "amount": "10"}))
    assert isinstance(await on.operator.transfer(amount=Decimal("10.00"), into_futures=True), Accepted)
    same_but_for_the_id(on, "req_transfer_contract.json")


@pytest.mark.parametrize("amount", ["0", "0.009", "-1", "10000000001"])
async def test_a_transfer_out_of_the_venues_bounds_is_not_sent(amount: str) -> None:
    on = bench()
    assert isinstance(await on.operator.transfer(amount=Decimal(amount), into_futures=True), Rejected)
    assert not on.network.writes


async def test_a_transfer_that_is_too_precise_is_rounded_down_once() -> None:
    on = bench_for("transfer-contract", refusal(40005), ok({}))
    assert isinstance(await on.operator.transfer(amount=Decimal("1.239"), into_futures=False), Accepted)
    assert [request.body["amount"] for request in on.network.writes] == ["1.239", "1.23"]


def transfer_row(on: Bench, amount: str, state: str) -> object:
    stamp = on.clock.now().wall_ms + 5
    row = {"transfer_id": "1", "currency": "USDT", "amount": amount, "type": "spot_to_contract"}
    return ok({"records": [{**row, "state": state, "timestamp": stamp}]})


@pytest.mark.parametrize(
    ("amount", "state", "expected"),
    [
        ("10", "FINISHED", Accepted),
        ("10.00", "PROCESSING", Accepted),
        ("11", "FINISHED", Unknown),
        ("10", "FAILED", Unknown),
    ],
)
async def test_I07_a_transfer_of_unknown_outcome_is_looked_up_and_never_sent_again(
    amount: str, state: str, expected: type
) -> None:
    on = bench()
    on.network.on("transfer-contract-list", transfer_row(on, amount, state))  # type: ignore[arg-type]
    on.network.on("transfer-contract", TIMED_OUT)
    assert isinstance(await on.operator.transfer(amount=Decimal(10), into_futures=True), expected)
    assert len(on.network.sent("transfer-contract")) == 1
    (listed,) = on.network.sent("transfer-contract-list")
    documented = samples.plain("req_transfer_contract_list.json")
    assert {name: type(value) for name, value in listed.body.items()}.items() <= {
        name: type(value) for name, value in documented.items()
    }.items()
    assert "X-BM-SIGN" in listed.headers


@pytest.mark.parametrize(
    ("positions", "orders", "plans", "in_words"),
    [(POSITION, [], [], "2 position"), ([], ORDERS, [], "1 order"), ([], [], PLANS, "1 plan order")],
)
async def test_a_mode_is_not_switched_with_anything_open(
    positions: object, orders: object, plans: object, in_words: str
) -> None:
    on = bench_for("position-v2", ok(positions))
    on.network.on("get-open-orders", ok(orders))
    on.network.on("current-plan-order", ok(plans))
    outcome = await on.operator.set_position_mode(PositionMode.ONE_WAY)
    assert isinstance(outcome, Rejected)
    assert in_words in outcome.text
    assert not on.network.writes


async def test_a_mode_is_switched_on_an_empty_account_only_after_looking() -> None:
    on = bench_for("position-v2", ok([]))
    on.network.on("get-open-orders", ok([]))
    on.network.on("current-plan-order", ok([]))
    on.network.on("set-position-mode", ok({}))
    assert isinstance(await on.operator.set_position_mode(PositionMode.ONE_WAY), Accepted)
    same_but_for_the_id(on, "req_set_position_mode.json")
    read = {request.path.rpartition("/")[2] for request in on.network.requests if request.method == "GET"}
    assert read >= {"position-v2", "get-open-orders", "current-plan-order"}


async def test_a_mode_is_not_switched_when_the_account_can_not_be_read() -> None:
    on = bench_for("position-v2", refusal(30016, status=200))
    outcome = await on.operator.set_position_mode(PositionMode.HEDGE)
    assert isinstance(outcome, Rejected)
    assert outcome.reason is Reason.NOT_SENT
    assert not on.network.writes


async def test_an_operators_orders_never_share_a_client_id() -> None:
    on = bench_for("submit-order", ok({"order_id": 1}))
    for _ in range(5):
        await on.operator.close_position(LONG_BTC, size=Decimal(1), price=None)
    ids = [request.body["client_order_id"] for request in on.network.writes]
    assert len(set(ids)) == 5
    assert all(each.isalnum() and len(each) <= 32 and not each.startswith("gd1") for each in ids)
