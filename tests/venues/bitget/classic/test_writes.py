"""What is sent for each write, what of it is tried a second time, and what is never sent (Bitget reference, 11, 12, 15, 18)."""

from decimal import Decimal
from typing import Any

import pytest

from guardd.model.intent import (
    CancelKind,
    CancelOrder,
    CloseAtMarket,
    ModifyProtection,
    PlaceProtection,
    SetLeverage,
    Write,
)
from guardd.model.names import ClientId, MarginMode, OrderId, PositionKey, PositionMode, PriceType, Side, Symbol
from guardd.model.order import PlanForm, ProtectionKind
from guardd.model.outcome import Accepted, Outcome, Reason, Rejected, Unknown
from tests.venues.bitget.classic import samples
from tests.venues.bitget.classic.bench import (
    LONG_BTC,
    LONG_PERP,
    MAIN,
    REFUSED,
    SHORT_BTC,
    TIMED_OUT,
    Bench,
    bench,
    by_product,
    dec,
    entrusted,
    ok,
    plan,
    refusal,
    row,
)

TAKEN = ok({"orderId": "555", "clientOid": "gd1abc"})
ONE_WAY = {"posMode": "one_way_mode"}


def close(key: PositionKey = LONG_BTC, *, size: str = "0.01", price: str | None = None) -> CloseAtMarket:
    return CloseAtMarket(key=key, size=dec(size), limit_price=None if price is None else dec(price))


def stop(
    key: PositionKey = LONG_BTC, *, form: PlanForm = PlanForm.WHOLE, size: Decimal | None = None
) -> PlaceProtection:
    return PlaceProtection(
        key=key,
        kind=ProtectionKind.STOP_LOSS,
        form=form,
        trigger_price=dec(55000),
        price_type=PriceType.MARK,
        size=size,
        position_size=dec("0.01"),
        leverage=None,
        margin_mode=MarginMode.ISOLATED,
    )


async def holding(*rows: dict[str, object], **position: object) -> Bench:
    table = bench()
    await table.hold(*(rows or (row(**position),)))
    return table


def rejected(outcome: Outcome) -> tuple[Reason, str]:
    assert isinstance(outcome, Rejected), outcome
    return outcome.reason, outcome.code


def bodies_of(table: Bench, path: str) -> list[dict[str, Any]]:
    return [request.body for request in table.network.sent(path)]


# Contracts that aren't guarded


def of_every_kind(key: PositionKey) -> tuple[Write, ...]:
    moved = ModifyProtection(
        key=key,
        order_id=OrderId("555"),
        kind=ProtectionKind.STOP_LOSS,
        form=PlanForm.WHOLE,
        trigger_price=dec(56000),
        price_type=PriceType.MARK,
        size=None,
    )
    ends = (CancelOrder(key=key, order_id=OrderId("555"), kind=kind) for kind in (CancelKind.PLAN, CancelKind.RESTING))
    lever = SetLeverage(key=key, margin_mode=MarginMode.ISOLATED, leverage=dec(5))
    return close(key), stop(key), moved, *ends, lever


async def test_nothing_is_sent_for_a_coin_m_position_not_even_the_end_of_an_order() -> None:
    table = bench("USDT-FUTURES", "COIN-FUTURES")
    table.network.on("order/fills", ok({"fillList": None}))
    table.network.on("all-position", by_product(COIN=[row(symbol="BTCUSD", marginCoin="BTC")]))
    await table.venue.positions()
    for write in of_every_kind(PositionKey(MAIN, Symbol("BTCUSD"), Side.LONG)):
        assert rejected(await table.send(write)) == (Reason.UNSUPPORTED, "")
    assert table.network.writes == []


async def test_nothing_is_sent_for_a_dated_contract() -> None:
    (listed,) = samples.data("contracts.json")[:1]
    table = await holding()
    table.network.on("market/contracts", ok([{**listed, "symbol": "BTCUSDT", "symbolType": "delivery"}]))
    await table.venue.instruments([Symbol("BTCUSDT")])
    for write in of_every_kind(LONG_BTC):
        assert rejected(await table.send(write)) == (Reason.UNSUPPORTED, "")
    assert table.network.writes == []


# Closing


@pytest.mark.parametrize(
    ("mode", "key", "words"),
    [
        ("hedge_mode", LONG_BTC, {"side": "buy", "tradeSide": "close"}),
        ("hedge_mode", SHORT_BTC, {"side": "sell", "tradeSide": "close"}),
        ("one_way_mode", LONG_BTC, {"side": "sell", "reduceOnly": "YES"}),
        ("one_way_mode", SHORT_BTC, {"side": "buy", "reduceOnly": "YES"}),
    ],
)
@pytest.mark.parametrize("told", list(PositionMode))
async def test_I30_a_close_goes_by_the_mode_in_the_row_of_its_position_whatever_mode_was_told(
    mode: str, key: PositionKey, words: dict[str, str], told: PositionMode
) -> None:
    table = await holding(row(side=key.side.value, posMode=mode, marginMode="crossed"))
    table.network.on("place-order", TAKEN)
    outcome = await table.send(close(key), mode=told)
    assert isinstance(outcome, Accepted)
    assert outcome.order_id == "555"
    body = bodies_of(table, "place-order")[0]
    assert {**body, **words, "marginMode": "crossed"} == body
    assert len({"tradeSide", "reduceOnly"} & set(body)) == 1


async def test_a_close_of_another_line_names_its_own_product_type_and_coin() -> None:
    table = bench("USDT-FUTURES", "USDC-FUTURES")
    table.network.on("order/fills", ok({"fillList": None}))
    perp = row(symbol="BTCPERP", marginCoin="USDC", posMode="one_way_mode")
    table.network.on("all-position", by_product(USDT=[row()], USDC=[perp]))
    await table.venue.positions()
    table.network.on("place-order", TAKEN)
    await table.send(close(LONG_PERP))
    await table.send(close(LONG_BTC), client_id=ClientId("gd1def"))
    named = [(each["symbol"], each["productType"], each["marginCoin"]) for each in bodies_of(table, "place-order")]
    assert named == [("BTCPERP", "USDC-FUTURES", "USDC"), ("BTCUSDT", "USDT-FUTURES", "USDT")]


async def test_an_acknowledgement_without_an_order_id_is_accepted() -> None:
    table = await holding()
    table.network.on("place-order", ok(samples.data("place_order_reduce_only_without_order_id.json")))
    outcome = await table.send(close())
    assert isinstance(outcome, Accepted)
    assert outcome.order_id is None


@pytest.mark.parametrize("answer", [TIMED_OUT, refusal("40010"), refusal("40725"), refusal("77777"), (200, "")])
async def test_I07_an_answer_that_proves_nothing_leaves_the_outcome_unknown_and_nothing_is_sent_again(
    answer: Any,
) -> None:
    table = await holding()
    table.network.on("place-order", answer)
    assert isinstance(await table.send(close()), Unknown)
    assert len(table.network.writes) == 1


async def test_a_close_in_the_wrong_mode_is_rebuilt_once_from_the_row_as_it_stands() -> None:
    table = await holding()
    table.network.on("place-order", refusal("40774"), TAKEN)
    table.network.on("single-position", ok([row(posMode="one_way_mode", marginMode="crossed")]))
    assert isinstance(await table.send(close()), Accepted)
    first, second = bodies_of(table, "place-order")
    assert (first["tradeSide"], first["marginMode"]) == ("close", "isolated")
    assert (second["side"], second["reduceOnly"], second["marginMode"]) == ("sell", "YES", "crossed")


async def test_a_close_in_the_wrong_mode_is_not_sent_again_when_the_row_says_the_same() -> None:
    table = await holding()
    table.network.on("place-order", refusal("40774"))
    table.network.on("single-position", ok([row()]))
    assert rejected(await table.send(close())) == (Reason.INVALID, "40774")
    assert len(table.network.writes) == 1


async def test_a_position_that_was_never_read_is_closed_by_the_modes_of_its_symbol() -> None:
    table = bench()
    table.network.on("market/contracts", ok(samples.data("contracts.json")))
    table.network.on("mix/account/account", ok(samples.data("account_single.json")))
    table.network.on("place-order", TAKEN)
    await table.send(close())
    body = bodies_of(table, "place-order")[0]
    assert (body["tradeSide"], body["marginMode"]) == ("close", "crossed")


async def test_a_close_whose_modes_cannot_be_read_is_not_sent() -> None:
    table = bench()
    table.network.on("market/contracts", REFUSED)
    assert rejected(await table.send(close()))[0] is Reason.NOT_SENT
    assert table.network.writes == []


# The flash close: the last way, for what an order can't do


FLASHED = ok(samples.data("close_positions_live.json"))


@pytest.mark.parametrize("code", ["45110", "45111", "43027", "22034"])
@pytest.mark.parametrize(("mode", "side"), [("hedge_mode", "long"), ("one_way_mode", None)])
async def test_a_whole_position_below_the_minimum_is_flash_closed(code: str, mode: str, side: str | None) -> None:
    table = await holding(total="0.0001", posMode=mode)
    table.network.on("place-order", refusal(code))
    table.network.on("single-position", ok([row(total="0.0001", posMode=mode)]))
    table.network.on("close-positions", FLASHED)
    outcome = await table.send(close(size="0.0001"))
    assert isinstance(outcome, Accepted)
    assert outcome.order_id == "1120923953904893955"
    body = bodies_of(table, "close-positions")[0]
    assert (body["symbol"], body["productType"], body.get("holdSide")) == ("BTCUSDT", "USDT-FUTURES", side)


async def test_a_part_of_a_position_is_never_flash_closed() -> None:
    table = await holding(total="0.02")
    table.network.on("place-order", refusal("45110"))
    table.network.on("single-position", ok([row(total="0.02")]))
    assert rejected(await table.send(close(size="0.01"))) == (Reason.SIZE_BOUNDS, "45110")
    assert table.network.sent("close-positions") == []


async def test_a_position_that_cannot_be_read_back_is_not_flash_closed() -> None:
    table = await holding()
    table.network.on("place-order", refusal("45110"))
    table.network.on("single-position", REFUSED)
    assert rejected(await table.send(close()))[0] is Reason.SIZE_BOUNDS
    assert table.network.sent("close-positions") == []


async def test_a_refused_market_order_asks_for_a_price_first_and_for_a_flash_close_only_after_that() -> None:
    table = await holding()
    table.network.on("place-order", refusal("22045"))
    table.network.on("single-position", ok([row()]))
    table.network.on("close-positions", FLASHED)
    assert rejected(await table.send(close()))[0] is Reason.INSTRUMENT_PAUSED
    assert table.network.sent("close-positions") == []
    assert isinstance(await table.send(close(price="59400")), Accepted)
    assert len(table.network.sent("close-positions")) == 1
    assert bodies_of(table, "place-order")[1]["force"] == "ioc"


async def test_a_flash_close_that_refuses_its_leg_is_a_refusal() -> None:
    table = await holding()
    table.network.on("place-order", refusal("45110"))
    table.network.on("single-position", ok([row()]))
    leg = {"orderId": "", "clientOid": "", "symbol": "BTCUSDT", "errorMsg": "none", "errorCode": "22002"}
    table.network.on("close-positions", ok({"successList": [], "failureList": [leg]}))
    assert rejected(await table.send(close())) == (Reason.POSITION_GONE, "22002")


async def test_I07_a_flash_close_without_an_answer_is_unknown() -> None:
    table = await holding()
    table.network.on("place-order", refusal("45110"))
    table.network.on("single-position", ok([row()]))
    table.network.on("close-positions", TIMED_OUT)
    assert isinstance(await table.send(close()), Unknown)


# A client id is held against orders that rest alone


async def test_I07_a_client_id_that_may_have_arrived_is_looked_up_before_it_goes_again() -> None:
    table = await holding()
    table.network.on("place-order", TIMED_OUT, TAKEN)
    table.network.on("order/detail", ok({**samples.data("order_detail.json"), "clientOid": "gd1abc"}))
    assert isinstance(await table.send(close()), Unknown)
    assert rejected(await table.send(close()))[0] is Reason.DUPLICATE_CLIENT_ID
    assert len(table.network.writes) == 1


async def test_I07_a_client_id_that_never_arrived_goes_again() -> None:
    table = await holding()
    table.network.on("place-order", TIMED_OUT, TAKEN)
    table.network.on("order/detail", refusal("40109"))
    table.network.on("orders-history", entrusted())
    table.network.on("orders-plan-pending", entrusted())
    table.network.on("orders-plan-history", entrusted())
    assert isinstance(await table.send(close()), Unknown)
    assert isinstance(await table.send(close()), Accepted)


async def test_I07_a_client_id_that_cannot_be_looked_up_is_not_sent_again() -> None:
    table = await holding()
    table.network.on("place-order", TIMED_OUT, TAKEN)
    table.network.on("order/detail", REFUSED)
    assert isinstance(await table.send(close()), Unknown)
    assert rejected(await table.send(close()))[0] is Reason.NOT_SENT
    assert len(table.network.writes) == 1


async def test_a_client_id_that_was_certainly_refused_needs_no_look_up() -> None:
    table = await holding()
    table.network.on("place-order", refusal("40804"), TAKEN)
    assert isinstance(await table.send(close()), Rejected)
    assert isinstance(await table.send(close()), Accepted)
    assert table.network.sent("detail") == []


# Stops


async def test_a_stop_in_hedge_mode_is_placed_on_its_side_of_the_position() -> None:
    table = await holding(row(side="short"))
    table.network.on("place-tpsl-order", TAKEN)
    assert isinstance(await table.send(stop(SHORT_BTC)), Accepted)
    body = bodies_of(table, "place-tpsl-order")[0]
    assert (body["holdSide"], body["planType"], body["triggerType"]) == ("short", "pos_loss", "mark_price")


@pytest.mark.parametrize("code", ["43011", "400172"])
async def test_a_side_in_the_wrong_words_is_tried_once_in_the_others_which_are_then_the_first(code: str) -> None:
    table = await holding(**ONE_WAY)
    table.network.on("place-tpsl-order", refusal(code), TAKEN)
    assert isinstance(await table.send(stop()), Accepted)
    assert isinstance(await table.send(stop(), client_id=ClientId("gd1def")), Accepted)
    assert [each["holdSide"] for each in bodies_of(table, "place-tpsl-order")] == ["buy", "long", "long"]


async def test_a_side_that_is_refused_in_both_words_is_a_refusal() -> None:
    table = await holding(**ONE_WAY)
    table.network.on("place-tpsl-order", refusal("43011"))
    assert rejected(await table.send(stop())) == (Reason.INVALID, "43011")
    assert [each["holdSide"] for each in bodies_of(table, "place-tpsl-order")] == ["buy", "long"]


async def test_in_hedge_mode_there_are_no_other_words_for_a_side() -> None:
    table = await holding()
    table.network.on("place-tpsl-order", refusal("43011"))
    assert isinstance(await table.send(stop()), Rejected)
    assert len(table.network.writes) == 1


@pytest.mark.parametrize("code", ["43023", "40891"])
async def test_a_position_that_is_not_settled_yet_says_nothing_against_the_form_of_its_stop(code: str) -> None:
    """The reason is one of those after which the same form goes again within seconds (12.2)."""
    table = await holding()
    table.network.on("place-tpsl-order", refusal(code))
    assert rejected(await table.send(stop())) == (Reason.SIZE_ABOVE_POSITION, code)
    assert len(table.network.writes) == 1


async def test_I30_a_trigger_order_as_stop_is_refused_here_in_one_way_mode() -> None:
    table = await holding(**ONE_WAY)
    assert rejected(await table.send(stop(form=PlanForm.PLAN)))[0] is Reason.UNSUPPORTED
    assert table.network.writes == []


async def test_a_trigger_order_as_stop_closes_in_hedge_mode() -> None:
    table = await holding()
    table.network.on("place-plan-order", TAKEN)
    assert isinstance(await table.send(stop(form=PlanForm.PLAN)), Accepted)
    body = bodies_of(table, "place-plan-order")[0]
    assert (body["planType"], body["side"], body["tradeSide"]) == ("normal_plan", "buy", "close")


async def test_a_stop_is_moved_by_its_own_call_and_a_trigger_order_by_another() -> None:
    table = await holding()
    table.network.on("modify-tpsl-order", ok({"orderId": "556", "clientOid": ""}))
    table.network.on("modify-plan-order", TAKEN)
    for form in (PlanForm.WHOLE, PlanForm.PLAN):
        write = ModifyProtection(
            key=LONG_BTC,
            order_id=OrderId("555"),
            kind=ProtectionKind.STOP_LOSS,
            form=form,
            trigger_price=dec(56000),
            price_type=PriceType.MARK,
            size=None if form is PlanForm.WHOLE else dec("0.01"),
        )
        assert isinstance(await table.send(write), Accepted)
    assert bodies_of(table, "modify-tpsl-order")[0]["triggerPrice"] == "56000"
    assert bodies_of(table, "modify-plan-order")[0]["newTriggerPrice"] == "56000"


# Ending


def cancel(order_id: str = "555", kind: CancelKind = CancelKind.PLAN) -> CancelOrder:
    return CancelOrder(key=LONG_BTC, order_id=OrderId(order_id), kind=kind)


async def test_a_resting_order_is_ended_by_its_id() -> None:
    table = await holding()
    table.network.on("cancel-order", TAKEN)
    assert isinstance(await table.send(cancel(kind=CancelKind.RESTING)), Accepted)
    body = bodies_of(table, "cancel-order")[0]
    assert body == {"symbol": "BTCUSDT", "productType": "USDT-FUTURES", "marginCoin": "USDT", "orderId": "555"}


@pytest.mark.parametrize("plan_type", ["pos_loss", "loss_plan", "normal_plan", "moving_plan", "track_plan"])
async def test_a_plan_order_is_ended_under_the_type_that_it_was_listed_with(plan_type: str) -> None:
    table = await holding()
    table.network.on("orders-plan-pending", entrusted(plan("555", plan_type)))
    await table.venue.orders(resting=False)
    table.network.on("cancel-plan-order", ok({"successList": [{"orderId": "555"}], "failureList": []}))
    assert isinstance(await table.send(cancel()), Accepted)
    body = bodies_of(table, "cancel-plan-order")[0]
    assert (body["planType"], body["orderIdList"]) == (plan_type, [{"orderId": "555", "clientOid": ""}])


async def test_a_stop_that_was_just_placed_is_ended_under_the_type_that_it_was_placed_with() -> None:
    table = await holding()
    table.network.on("place-tpsl-order", TAKEN)
    table.network.on("cancel-plan-order", ok({"successList": [{"orderId": "555"}], "failureList": []}))
    await table.send(stop(form=PlanForm.SIZED, size=dec("0.005")))
    await table.send(cancel())
    assert bodies_of(table, "cancel-plan-order")[0]["planType"] == "loss_plan"
    assert table.network.sent("orders-plan-pending") == []


async def test_a_plan_order_of_unknown_type_is_looked_for_and_one_that_no_list_shows_is_gone() -> None:
    table = await holding()
    table.network.on("orders-plan-pending", entrusted(plan("555", "profit_plan")))
    table.network.on("cancel-plan-order", ok({"successList": [{"orderId": "555"}], "failureList": []}))
    assert isinstance(await table.send(cancel()), Accepted)
    assert bodies_of(table, "cancel-plan-order")[0]["planType"] == "profit_plan"
    table.network.on("orders-plan-pending", entrusted())
    assert rejected(await table.send(cancel("666")))[0] is Reason.ORDER_GONE


NAMELESS_FAILURE = ok({"successList": [], "failureList": [{"orderId": "555", "errorMsg": "notExistend"}]})


def ended(at_ms: int, status: str = "cancelled") -> dict[str, object]:
    documented = samples.data("orders_plan_history.json")["entrustedList"][0]
    return {**documented, "orderId": "555", "planStatus": status, "executeOrderId": "", "uTime": str(at_ms)}


@pytest.mark.parametrize(
    ("waits", "ended_before_ms", "gone"),
    [(False, 1500, True), (False, 500, False), (False, None, False), (True, 1500, False)],
)
async def test_I07_a_cancel_that_is_refused_without_a_code_is_certain_only_where_the_order_had_ended_before(
    waits: bool, ended_before_ms: int | None, gone: bool
) -> None:
    table = await holding()
    table.network.on("orders-plan-pending", entrusted(plan("555")))
    await table.venue.orders(resting=False)
    table.network.on("orders-plan-pending", entrusted(plan("555")) if waits else entrusted())
    at_ms = None if ended_before_ms is None else table.clock.now().wall_ms - ended_before_ms
    table.network.on("orders-plan-history", entrusted() if at_ms is None else entrusted(ended(at_ms)))
    table.network.on("cancel-plan-order", NAMELESS_FAILURE)
    outcome = await table.send(cancel())
    if gone:
        assert rejected(outcome)[0] is Reason.ORDER_GONE
    else:
        assert isinstance(outcome, Unknown)


async def test_a_plan_order_that_we_ended_is_gone_when_it_is_to_end_again() -> None:
    table = await holding()
    table.network.on("orders-plan-pending", entrusted(plan("555")))
    await table.venue.orders(resting=False)
    table.network.on("cancel-plan-order", ok({"successList": [{"orderId": "555"}]}), NAMELESS_FAILURE)
    table.network.on("orders-plan-history", entrusted())
    assert isinstance(await table.send(cancel()), Accepted)
    table.network.on("orders-plan-pending", entrusted())
    assert rejected(await table.send(cancel()))[0] is Reason.ORDER_GONE


async def test_a_trigger_order_of_ours_stays_the_stop_that_it_was_placed_as_when_the_mark_is_past_it() -> None:
    table = await holding(markPrice="60000")
    table.network.on("place-plan-order", TAKEN)
    await table.send(stop(form=PlanForm.PLAN))
    table.network.on("all-position", by_product(USDT=[row(markPrice="54000")]))
    await table.venue.positions()
    table.network.on("orders-plan-pending", entrusted(plan("555", "normal_plan")))
    read = await table.venue.orders(resting=False)
    assert read.plans is not None
    assert {each.protection for each in read.plans} == {ProtectionKind.STOP_LOSS}


async def test_a_strangers_trigger_order_stays_what_it_was_when_it_was_first_seen() -> None:
    table = await holding(markPrice="60000")
    table.network.on("orders-plan-pending", entrusted(plan("9", "normal_plan")))
    for mark in ("60000", "54000"):
        table.network.on("all-position", by_product(USDT=[row(markPrice=mark)]))
        await table.venue.positions()
        read = await table.venue.orders(resting=False)
        assert read.plans is not None
        assert {each.protection for each in read.plans} == {ProtectionKind.STOP_LOSS}


# Leverage


@pytest.mark.parametrize("code", ["40814", "45054"])
async def test_leverage_that_stands_already_is_what_was_wanted(code: str) -> None:
    table = await holding()
    table.network.on("set-leverage", refusal(code))
    write = SetLeverage(key=LONG_BTC, margin_mode=MarginMode.ISOLATED, leverage=dec(5))
    assert isinstance(await table.send(write), Accepted)
    assert bodies_of(table, "set-leverage")[0]["holdSide"] == "long"


async def test_leverage_that_orders_lock_is_refused() -> None:
    table = await holding()
    table.network.on("set-leverage", refusal("45097"))
    write = SetLeverage(key=LONG_BTC, margin_mode=MarginMode.ISOLATED, leverage=dec(5))
    assert rejected(await table.send(write)) == (Reason.LEVERAGE_CONFLICT, "45097")


# What reads make of a write


async def test_a_list_that_was_empty_is_read_anew_after_each_write() -> None:
    table = await holding()
    table.network.on("orders-plan-pending", entrusted())
    table.network.on("place-plan-order", TAKEN)
    await table.venue.orders(resting=False)
    await table.send(stop(form=PlanForm.PLAN))
    before = len(table.network.requests)
    await table.venue.orders(resting=False)
    asked = {each.query["planType"] for each in table.network.requests[before:]}
    assert asked == {"profit_loss", "normal_plan", "track_plan"}


async def test_I30_nothing_is_ever_sent_without_a_symbol() -> None:
    table = await holding()
    for path in ("place-order", "place-tpsl-order", "cancel-order", "set-leverage"):
        table.network.on(path, TAKEN)
    await table.send(close())
    await table.send(stop(), client_id=ClientId("gd1def"))
    await table.send(cancel(kind=CancelKind.RESTING))
    await table.send(SetLeverage(key=LONG_BTC, margin_mode=MarginMode.ISOLATED, leverage=dec(5)))
    assert all(request.body["symbol"] == Symbol("BTCUSDT") for request in table.network.writes)
