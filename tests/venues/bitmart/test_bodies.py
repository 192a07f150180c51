"""The wire form of every write, field by field and type by type."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardd.errors import InvariantBroken
from guardd.model.intent import CancelKind, CancelOrder, CloseAtMarket, PlaceProtection, TransferToFutures
from guardd.model.names import (
    AccountName,
    ClientId,
    MarginMode,
    OrderId,
    PositionKey,
    PositionMode,
    PriceType,
    Side,
    Symbol,
)
from guardd.model.order import PlanForm, ProtectionKind
from guardd.model.outcome import Reason, Rejected
from guardd.venues.bitmart import bodies, endpoints, venue, writes
from tests.venues.bitmart.bench import bench, ok
from tests.venues.bitmart.requests import modify

MAIN = AccountName("main")
CLIENT = ClientId("gd1abc")


def key(side: Side) -> PositionKey:
    return PositionKey(MAIN, Symbol("BTCUSDT"), side)


def protection(
    form: PlanForm, side: Side = Side.LONG, kind: ProtectionKind = ProtectionKind.STOP_LOSS
) -> PlaceProtection:
    return PlaceProtection(
        key=key(side),
        kind=kind,
        form=form,
        trigger_price=Decimal("84000.0"),
        price_type=PriceType.MARK,
        size=Decimal(30) if form is PlanForm.SIZED else None,
        position_size=Decimal(100),
        leverage=Decimal(10),
        margin_mode=MarginMode.ISOLATED,
    )


def exact(made: object) -> str:
    """JSON text, so that 3 and "3" and 3.0 differ."""
    return json.dumps(made, sort_keys=True)


@pytest.mark.parametrize("mode", PositionMode)
@pytest.mark.parametrize(("side", "wire_side"), [(Side.LONG, 3), (Side.SHORT, 2)])
async def test_I30_a_market_close_is_reduce_only_in_each_mode_and_side(
    mode: PositionMode, side: Side, wire_side: int
) -> None:
    on = bench()
    on.network.on("submit-order", ok({"order_id": 1}))
    await on.send(CloseAtMarket(key=key(side), size=Decimal("100")), mode=mode)
    (request,) = on.network.writes
    expected = {"symbol": "BTCUSDT", "side": wire_side, "type": "market", "size": 100, "client_order_id": "gd1abc"}
    assert request.path == "/contract/private/submit-order"
    assert exact(expected) == exact(request.body)


@pytest.mark.parametrize("mode", PositionMode)
@pytest.mark.parametrize(("side", "wire_side"), [(Side.LONG, 3), (Side.SHORT, 2)])
async def test_I30_a_priced_close_is_immediate_or_cancel_in_each_mode_and_side(
    mode: PositionMode, side: Side, wire_side: int
) -> None:
    on = bench()
    on.network.on("submit-order", ok({"order_id": 1}))
    await on.send(CloseAtMarket(key=key(side), size=Decimal(7), limit_price=Decimal("84159.60")), mode=mode)
    (request,) = on.network.writes
    expected = {
        "symbol": "BTCUSDT",
        "side": wire_side,
        "type": "limit",
        "price": "84159.6",
        "size": 7,
        "mode": 3,
        "client_order_id": "gd1abc",
    }
    assert exact(expected) == exact(request.body)


@pytest.mark.parametrize("mode", PositionMode)
@pytest.mark.parametrize(("side", "wire_side"), [(Side.LONG, 3), (Side.SHORT, 2)])
@pytest.mark.parametrize("kind", ProtectionKind)
@pytest.mark.parametrize("form", [PlanForm.WHOLE, PlanForm.SIZED])
async def test_I30_a_protective_order_closes_in_each_mode_side_and_form(
    mode: PositionMode, side: Side, wire_side: int, kind: ProtectionKind, form: PlanForm
) -> None:
    on = bench()
    on.network.on("submit-tp-sl-order", ok({"order_id": "1"}))
    await on.send(protection(form, side, kind), mode=mode)
    expected = {
        "symbol": "BTCUSDT",
        "type": kind.value,
        "side": wire_side,
        "trigger_price": "84000",
        "executive_price": "0",
        "price_type": 2,
        "client_order_id": "gd1abc",
        **({"plan_category": 1, "size": 30} if form is PlanForm.SIZED else {"plan_category": 2}),
    }
    (request,) = on.network.writes
    assert exact(expected) == exact(request.body)


@pytest.mark.parametrize(
    ("side", "kind", "wire_side", "way"),
    [
        (Side.LONG, ProtectionKind.STOP_LOSS, 3, 2),
        (Side.SHORT, ProtectionKind.STOP_LOSS, 2, 1),
        (Side.LONG, ProtectionKind.TAKE_PROFIT, 3, 1),
        (Side.SHORT, ProtectionKind.TAKE_PROFIT, 2, 2),
    ],
)
async def test_I30_a_plan_order_closes_and_waits_for_the_right_direction(
    side: Side, kind: ProtectionKind, wire_side: int, way: int
) -> None:
    on = bench()
    on.network.on("submit-plan-order", ok({"order_id": 1}))
    await on.send(protection(PlanForm.PLAN, side, kind))
    expected = {
        "symbol": "BTCUSDT",
        "side": wire_side,
        "type": "market",
        "leverage": "10",
        "open_type": "isolated",
        "mode": 1,
        "size": 100,
        "trigger_price": "84000",
        "price_way": way,
        "price_type": 2,
    }
    (request,) = on.network.writes
    assert exact(expected) == exact(request.body)


def test_the_second_form_of_a_stop_says_market_in_words() -> None:
    body = bodies.protection_body(protection(PlanForm.WHOLE), CLIENT, spelled_market=True)
    assert (body["category"], body["executive_price"], body["trigger_price"]) == ("market", "84000", "84000")
    assert "size" not in body


@pytest.mark.parametrize(
    ("form", "spelled", "endpoint", "fields"),
    [
        (PlanForm.WHOLE, False, endpoints.MODIFY_TP_SL_ORDER, {"executive_price": "0", "plan_category": 2}),
        (PlanForm.SIZED, False, endpoints.MODIFY_TP_SL_ORDER, {"executive_price": "0", "plan_category": 1}),
        (
            PlanForm.WHOLE,
            True,
            endpoints.MODIFY_TP_SL_ORDER,
            {"executive_price": "2100", "plan_category": 2, "category": "market"},
        ),
        (PlanForm.PLAN, False, endpoints.MODIFY_PLAN_ORDER, {"type": "market"}),
    ],
)
def test_a_moved_trigger_names_the_order_and_never_a_size(
    form: PlanForm, spelled: bool, endpoint: endpoints.Endpoint, fields: dict[str, object]
) -> None:
    where, body = bodies.modify_request(modify(form), spelled_market=spelled)
    common = {"symbol": "ETHUSDT", "order_id": "37758000001", "trigger_price": "2100", "price_type": 2}
    assert endpoint is where
    assert exact({**common, **fields}) == exact(body)


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (CancelKind.RESTING, "/contract/private/cancel-order"),
        (CancelKind.PLAN, "/contract/private/cancel-plan-order"),
        (CancelKind.TRAILING, "/contract/private/cancel-trail-order"),
    ],
)
async def test_I30_a_cancel_names_exactly_one_order(kind: CancelKind, path: str) -> None:
    on = bench()
    on.network.on(path, ok())
    await on.send(CancelOrder(key=key(Side.LONG), order_id=OrderId("42"), kind=kind))
    (request,) = on.network.writes
    assert path == request.path
    assert exact({"symbol": "BTCUSDT", "order_id": "42"}) == exact(request.body)


@pytest.mark.parametrize("kind", CancelKind)
@pytest.mark.parametrize("order_id", ["", " ", "*", "4 2"])
async def test_I30_a_cancel_without_an_id_never_leaves(kind: CancelKind, order_id: str) -> None:
    on = bench()
    with pytest.raises(InvariantBroken, match="I30"):
        await on.send(CancelOrder(key=key(Side.LONG), order_id=OrderId(order_id), kind=kind))
    assert on.network.writes == []


def test_I30_nothing_that_opens_closes_all_or_cancels_all_is_reachable_from_the_daemons_adapter() -> None:
    paths = {each.path for each in endpoints.ALL}
    for forbidden in ("cancel-orders", "cancel-all-after", "close-all-position", "submit-trail-order"):
        assert not any(path.endswith(forbidden) for path in paths)
    for module in (venue, writes, bodies):
        assert not {"BitmartOperator", "OPENING_SIDE", "TRANSFER", "SET_POSITION_MODE"} & set(vars(module))


@pytest.mark.parametrize("size", [Decimal(0), Decimal(-1), Decimal("1.5"), Decimal("NaN"), Decimal("Infinity")])
def test_I18_a_size_that_is_no_whole_number_of_contracts_never_leaves(size: Decimal) -> None:
    with pytest.raises(InvariantBroken, match="I18"):
        bodies.close_body(CloseAtMarket(key=key(Side.LONG), size=size), CLIENT)


@pytest.mark.parametrize("client_id", ["", "a" * 33, "gd1-abc", "gd1_abc", "gdé"])
def test_a_client_id_that_the_venue_would_refuse_never_leaves(client_id: str) -> None:
    with pytest.raises(InvariantBroken):
        bodies.close_body(CloseAtMarket(key=key(Side.LONG), size=Decimal(1)), ClientId(client_id))


@given(st.decimals(min_value="1e-12", max_value="1e12", allow_nan=False, allow_infinity=False))
def test_I18_a_price_is_written_plainly_and_reads_back_as_itself(price: Decimal) -> None:
    text = bodies.decimal_text(price)
    assert Decimal(text) == price.normalize()
    assert "E" not in text.upper()


async def test_a_transfer_into_futures_names_one_coin_and_a_window_after_which_it_is_too_late() -> None:
    on = bench()
    on.network.on("transfer-contract", ok({"currency": "USDT", "amount": "100.5"}))
    await on.send(TransferToFutures(key=key(Side.LONG), currency="USDT", amount=Decimal("100.50")))
    request = on.network.requests[-1]
    assert request.path == "/account/v1/transfer-contract"
    assert request.body == {"currency": "USDT", "amount": "100.5", "type": "spot_to_contract", "recvWindow": 5000}


@pytest.mark.parametrize(("amount", "currency"), [("0.001", "USDT"), ("1", "USDC")])
async def test_a_transfer_that_the_venue_cant_make_is_not_sent(amount: str, currency: str) -> None:
    on = bench()
    outcome = await on.send(TransferToFutures(key=key(Side.LONG), currency=currency, amount=Decimal(amount)))
    assert isinstance(outcome, Rejected)
    assert outcome.reason is Reason.INVALID
    assert not any("transfer" in request.path for request in on.network.requests)
