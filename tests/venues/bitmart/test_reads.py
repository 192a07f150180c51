"""What is asked, in what order, and what is concluded when an answer is missing or cut off."""

from decimal import Decimal
from typing import Any

import pytest

from guardd.errors import PayloadError, VenueBusy, VenueError, VenueRefused
from guardd.model.event import Source
from guardd.model.names import AccountName, ClientId, OrderId, PositionKey, Side, Symbol
from guardd.venues.bitmart.endpoints import GET_POSITION_MODE
from guardd.venues.bitmart.reads import MARK_DEADLINE_S, REGULAR_TAKER_FEE
from tests.venues.bitmart import samples
from tests.venues.bitmart.bench import TIMED_OUT, Bench, bench, ok, refusal

BTC, ETH = Symbol("BTCUSDT"), Symbol("ETHUSDT")
LONG = PositionKey(AccountName("main"), BTC, Side.LONG)
ROW = samples.plain("constructed_position_v2_one_way_short_cross.json")["data"][0]
V1 = samples.plain("position.json")["data"][0]
CONTRACT = samples.plain("contract_details_trading.json")["data"]["symbols"][0]
RULE = {"brackets": samples.plain("leverage_bracket.json")["data"]["rules"][0]["brackets"]}


def resting(number: int, symbol: str = BTC, **changes: object) -> dict[str, Any]:
    row = samples.plain("get_open_orders_capture.json")["data"][0]
    return {**row, "order_id": str(number), "symbol": symbol, **changes}


def plan(number: int, symbol: str = BTC, **changes: object) -> dict[str, Any]:
    return {**samples.plain("current_plan_order.json")["data"][0], "order_id": str(number), "symbol": symbol, **changes}


def with_lists(on: Bench, book: object = (), plans: object = ()) -> Bench:
    on.network.on("get-open-orders", ok(list(book)))  # type: ignore[call-overload]
    on.network.on("current-plan-order", ok(list(plans)))  # type: ignore[call-overload]
    return on


# positions


async def test_positions_are_read_unfiltered_in_one_call() -> None:
    on = bench()
    on.network.on("position-v2", ok([ROW]))
    read = await on.venue.positions()
    assert [position.key.side for position in read.positions] == [Side.SHORT]
    (request,) = on.network.requests
    assert request.query == {}


async def test_a_side_that_position_v2_leaves_open_is_taken_from_position_and_told() -> None:
    on = bench()
    on.network.on("position-v2", ok([{**ROW, "position_amount": "0"}]))
    on.network.on("/position", ok([{**V1, "symbol": ETH, "position_type": 1}]))
    read = await on.venue.positions()
    assert [position.key.side for position in read.positions] == [Side.LONG]
    assert on.said("direction-ETHUSDT")


async def test_a_side_that_nobody_states_is_a_payload_error() -> None:
    on = bench()
    on.network.on("position-v2", ok([{**ROW, "position_amount": "0"}]))
    on.network.on("/position", ok([]))
    with pytest.raises(PayloadError, match="side"):
        await on.venue.positions()


async def test_a_side_that_the_stream_contradicts_is_settled_by_position() -> None:
    on = bench()
    on.network.on("position-v2", ok([ROW]))
    on.network.on("/position", ok([{**V1, "symbol": ETH, "position_type": 1}]))
    agreeing = await on.parts.reads.positions({ETH: Side.SHORT})
    assert [position.key.side for position in agreeing.positions] == [Side.SHORT]
    assert not on.network.sent("/position")
    contradicted = await on.parts.reads.positions({ETH: Side.LONG})
    assert [position.key.side for position in contradicted.positions] == [Side.LONG]


# orders


async def test_resting_trailing_and_plan_orders_are_read_and_each_is_told_once() -> None:
    on = with_lists(bench(), [resting(1)], [plan(2)])
    read = await on.venue.orders()
    assert [order.order_id for order in read.resting or ()] == ["1"]
    assert [order.order_id for order in read.plans or ()] == ["2"]
    assert {request.query.get("type") for request in on.network.sent("get-open-orders")} == {None, "trailing"}


async def test_a_list_that_was_not_asked_for_is_not_empty_but_unread() -> None:
    on = with_lists(bench())
    read = await on.venue.orders(plans=False)
    assert (read.resting, read.plans) == ((), None)
    read = await on.venue.orders(resting=False)
    assert (read.resting, read.plans) == (None, ())


async def test_a_list_of_a_hundred_rows_is_completed_symbol_by_symbol() -> None:
    on = bench()
    full = [plan(n) for n in range(1, 101)]
    empty = ok([])
    on.network.on("get-open-orders", empty)
    on.network.on("current-plan-order", ok(full), ok([plan(1)]), ok([plan(500)]), ok([plan(900, ETH)]), empty)
    on.venue.watch([ETH])
    read = await on.venue.orders(resting=False)
    assert {"500", "900"} < {order.order_id for order in read.plans or ()}
    assert len(read.plans or ()) == 102
    asked = [request.query.get("symbol") for request in on.network.sent("current-plan-order")]
    assert asked[0] is None
    assert set(asked[1:]) == {BTC, ETH}


async def test_a_symbols_list_that_is_cut_off_is_no_list_of_everything() -> None:
    on = bench()
    on.network.on("current-plan-order", ok([plan(n) for n in range(1, 101)]))
    with pytest.raises(PayloadError, match="cut off"):
        await on.venue.orders(resting=False)


async def test_a_failure_of_one_list_is_raised_as_itself() -> None:
    on = with_lists(bench(), [resting(1)])
    on.network.on("current-plan-order", refusal(30016, status=200))
    with pytest.raises(VenueRefused):
        await on.venue.orders()


# one order


async def test_an_order_is_found_by_its_id() -> None:
    on = bench()
    on.network.on("/order", samples.plain("order.json"))
    found = await on.venue.find_order(LONG, client_id=None, order_id=OrderId("220906179895578"))
    assert found is not None
    assert found.live


async def test_an_order_is_found_by_its_client_id_in_the_open_lists_or_else_in_the_history() -> None:
    on = with_lists(bench(), [resting(1, client_order_id="gd1abc")])
    found = await on.venue.find_order(LONG, client_id=ClientId("gd1abc"), order_id=None)
    assert found is not None
    assert not on.network.sent("order-history")
    on = with_lists(bench(), [], [plan(5, client_order_id="gd1abc")])
    found = await on.venue.find_order(LONG, client_id=ClientId("gd1abc"), order_id=None)
    assert found is not None
    assert (found.order_id, found.live, found.filled) == ("5", True, 0)
    on = with_lists(bench())
    history = samples.plain("order_history.json")
    history["data"][0]["client_order_id"] = "gd1abc"
    on.network.on("order-history", history)
    found = await on.venue.find_order(LONG, client_id=ClientId("gd1abc"), order_id=None)
    assert found is not None
    assert (found.live, found.filled) == (False, 1)
    assert on.network.sent("order-history")[0].query == {"symbol": BTC, "client_order_id": "gd1abc"}


async def test_a_plan_order_that_fired_is_found_as_the_order_that_it_gave_birth_to() -> None:
    on = with_lists(bench())
    on.network.on("/order", refusal(40035))
    on.network.on("order-history", samples.plain("order_history.json"))
    found = await on.venue.find_order(LONG, client_id=None, order_id=OrderId("3000097492004577"))
    assert found is not None
    assert (found.order_id, found.filled) == ("3000101684062644", 1)


@pytest.mark.parametrize("code", [40035, 40037])
async def test_an_order_that_the_venue_does_not_know_is_none(code: int) -> None:
    on = with_lists(bench())
    on.network.on("/order", refusal(code))
    on.network.on("order-history", refusal(code))
    assert await on.venue.find_order(LONG, client_id=ClientId("gd1abc"), order_id=OrderId("7")) is None


async def test_I07_a_look_up_that_fails_is_an_error_and_never_none() -> None:
    on = with_lists(bench())
    on.network.on("order-history", refusal(30016, status=200))
    with pytest.raises(VenueError):
        await on.venue.find_order(LONG, client_id=ClientId("gd1abc"), order_id=None)


# marks


async def test_a_mark_comes_from_position_v2_flat_or_not() -> None:
    on = bench()
    on.network.on("position-v2", samples.plain("position_v2_one_way_flat.json"))
    seen = await on.venue.mark(BTC)
    assert (seen.mark, seen.source, seen.last) == (Decimal(98952), Source.REST, None)


@pytest.mark.parametrize("first", [TIMED_OUT, refusal(40012), ok([]), ok([{"symbol": BTC, "mark_price": "0"}])])
async def test_a_mark_falls_back_to_position_risk_and_then_to_the_mark_price_bars(first: Any) -> None:
    on = bench()
    on.network.on("position-v2", first)
    on.network.on("position-risk", samples.plain("position_risk.json"))
    assert (await on.venue.mark(BTC)).mark == Decimal("67957.7")
    on = bench()
    on.network.on("position-v2", refusal(40012))
    on.network.on("position-risk", ok([]))
    on.network.on("markprice-kline", samples.plain("markprice_kline.json"))
    assert (await on.venue.mark(BTC)).mark == Decimal("67120.5")
    (bars,) = on.network.sent("markprice-kline")
    assert int(bars.query["end_time"]) < 10**11  # seconds here (quirk 11)


async def test_I28_a_mark_is_there_within_its_deadline_or_an_error() -> None:
    on = bench()
    for path in ("position-v2", "position-risk", "markprice-kline"):
        on.network.on(path, TIMED_OUT)
    began = on.clock.now()
    with pytest.raises(VenueError):
        await on.venue.mark(BTC)
    assert on.clock.now().seconds_since(began) <= MARK_DEADLINE_S + 0.05


# instruments


def with_contracts(on: Bench, *rows: dict[str, Any]) -> Bench:
    on.network.on("details", ok({"symbols": list(rows)}))
    on.network.on("leverage-bracket", ok({"rules": [{"symbol": row["symbol"], **RULE} for row in rows]}))
    on.network.on("trade-fee-rate", ok({"symbol": BTC, "taker_fee_rate": "0.0004", "maker_fee_rate": "0.0002"}))
    return on


async def test_an_instrument_is_a_contract_with_its_tiers_and_our_fee() -> None:
    on = with_contracts(bench(), CONTRACT)
    (found,) = await on.venue.instruments([BTC])
    assert (found.contract_size, found.tick, found.max_market_size) == (Decimal("0.001"), Decimal("0.1"), 50000)
    assert (len(found.tiers), found.taker_fee, found.tradable) == (10, Decimal("0.0004"), True)


async def test_an_inverse_or_unknown_symbol_is_left_out_and_told() -> None:
    on = with_contracts(bench(), {**CONTRACT, "symbol": "BTCUSD", "quote_currency": "USD"})
    assert await on.venue.instruments([Symbol("BTCUSD")]) == ()
    assert on.said("unguardable-BTCUSD")
    on = bench()
    on.network.on("details", refusal(40012, "SYMBOL_NOT_EXIST"))
    assert await on.venue.instruments([Symbol("NOPEUSDT")]) == ()
    assert on.said("unguardable-NOPEUSDT")


async def test_fees_beyond_the_small_budget_are_the_regular_tiers_until_they_are_read() -> None:
    rows = [{**CONTRACT, "symbol": symbol} for symbol in (BTC, ETH)]
    on = with_contracts(bench(), *rows)
    fees = {each.symbol: each.taker_fee for each in await on.venue.instruments([BTC, ETH])}
    assert fees == {BTC: Decimal("0.0004"), ETH: REGULAR_TAKER_FEE}
    on.clock.pass_time(3)
    fees = {each.symbol: each.taker_fee for each in await on.venue.instruments([BTC, ETH])}
    assert fees == {BTC: Decimal("0.0004"), ETH: Decimal("0.0004")}


async def test_many_symbols_are_read_as_one_list() -> None:
    symbols = [Symbol(f"S{n}USDT") for n in range(9)]
    on = with_contracts(bench(), *({**CONTRACT, "symbol": symbol} for symbol in symbols))
    assert len(await on.venue.instruments(symbols)) == 9
    assert len(on.network.sent("details")) == 1
    assert len(on.network.sent("leverage-bracket")) == 1


async def test_an_announced_delisting_is_told() -> None:
    soon_s = bench().clock.now().wall_ms // 1000 + 86_400
    on = with_contracts(bench(), {**CONTRACT, "delist_time": soon_s})
    await on.venue.instruments([BTC])
    assert on.said("delisting-BTCUSDT")


# the account


async def test_equity_that_is_not_the_sum_of_its_parts_is_told_and_fails_nothing() -> None:
    on = bench()
    on.network.on("assets-detail", samples.plain("assets_detail.json"))
    assert (await on.venue.balances())[0].equity == 100
    assert on.said("equity-gap")


async def test_announced_maintenance_is_told_at_the_start_and_is_no_reason_not_to_start() -> None:
    on = bench()
    notice = samples.plain("system_service.json")
    notice["data"]["service"][0]["status"] = "1"
    on.network.on("/system/service", notice)
    await on.venue.open()
    assert on.said("maintenance")
    on = bench()
    on.network.on("/system/service", refusal(30000, status=404))
    await on.venue.open()


async def test_filters_of_trades_count_in_seconds_and_of_the_ledger_in_milliseconds() -> None:
    on = bench()
    on.network.on("trades", samples.plain("trades.json"))
    on.network.on("transaction-history", samples.plain("transaction_history.json"))
    since_ms = on.clock.now().wall_ms - 1000
    await on.parts.reads.fills(BTC, since_ms=since_ms)
    await on.parts.reads.ledger(since_ms=since_ms)
    (trades,) = on.network.sent("trades")
    (ledger,) = on.network.sent("transaction-history")
    assert int(trades.query["start_time"]) == since_ms // 1000 < int(trades.query["end_time"])
    assert int(ledger.query["start_time"]) == since_ms


async def test_I12_a_read_beyond_the_budget_is_refused_here_and_never_sent() -> None:
    on = bench()
    on.network.on("get-position-mode", ok({"position_mode": "hedge_mode"}))
    await on.venue.position_mode()
    with pytest.raises(VenueBusy):
        await on.parts.api.read(GET_POSITION_MODE, deadline_s=0.5)
    assert len(on.network.requests) == 1
