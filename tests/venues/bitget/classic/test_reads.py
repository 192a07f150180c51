"""What the adapter asks, and what it makes of the answers (Bitget reference, 7-12 and 18)."""

import pytest

from guardd.errors import PayloadError, VenueError, VenueRefused
from guardd.model.facts import Said
from guardd.model.names import ClientId, OrderId, PositionMode, Severity, Symbol
from tests.venues.bitget.classic import samples
from tests.venues.bitget.classic.bench import (
    BTC,
    LONG_BTC,
    REFUSED,
    Bench,
    Request,
    bench,
    by_product,
    dec,
    entrusted,
    ok,
    plan,
    refusal,
    row,
)

NO_FILLS = ok({"fillList": None, "endId": None})


def everything() -> Bench:
    """An account with all three product types, flat."""
    table = bench("USDT-FUTURES", "USDC-FUTURES", "COIN-FUTURES")
    table.network.on("all-position", by_product())
    table.network.on("order/fills", NO_FILLS)
    table.network.on("orders-pending", entrusted())
    table.network.on("orders-plan-pending", entrusted())
    return table


# Positions


async def test_positions_of_every_product_type_are_asked_for_and_put_together() -> None:
    table = everything()
    coin = row(symbol="BTCUSD", marginCoin="BTC")
    perp = row(symbol="BTCPERP", marginCoin="USDC")
    table.network.on("all-position", by_product(USDT=[row()], USDC=[perp], COIN=[coin]))
    read = await table.venue.positions()
    assert [each.key.symbol for each in read.positions] == ["BTCUSDT", "BTCPERP", "BTCUSD"]
    asked = [request.query["productType"] for request in table.network.sent("all-position")]
    assert sorted(asked) == ["COIN-FUTURES", "USDC-FUTURES", "USDT-FUTURES"]


async def test_one_product_type_that_cannot_be_read_fails_the_read() -> None:
    table = everything()
    table.network.on("all-position", by_product(USDT=[row()], USDC=refusal("40014")))
    with pytest.raises(VenueRefused, match="40014"):
        await table.venue.positions()


@pytest.mark.parametrize(("other", "rests_s"), [("USDC-FUTURES", 1.0), ("COIN-FUTURES", 10.0)])
async def test_a_line_that_is_flat_or_not_guarded_rests_a_while_and_one_that_holds_something_never(
    other: str, rests_s: float
) -> None:
    table = bench("USDT-FUTURES", other)
    table.network.on("order/fills", NO_FILLS)
    table.network.on("all-position", by_product(USDT=[row()]))

    async def asked() -> set[str]:
        before = len(table.network.requests)
        await table.venue.positions()
        sent = table.network.requests[before:]
        return {each.query["productType"] for each in sent if each.path.endswith("all-position")}

    assert await asked() == {"USDT-FUTURES", other}
    table.clock.pass_time(rests_s - 0.1)
    assert await asked() == {"USDT-FUTURES"}
    table.clock.pass_time(0.2)
    assert await asked() == {"USDT-FUTURES", other}


async def test_I06_a_list_that_lost_a_position_which_the_single_read_shows_says_nothing() -> None:
    table = bench()
    await table.hold(row(), row(symbol="ETHUSDT"))
    table.network.on("all-position", by_product(USDT=[row()]))
    table.network.on("single-position", ok([row(symbol="ETHUSDT")]))
    table.network.on("market/contracts", ok(samples.data("contracts.json")))
    with pytest.raises(PayloadError, match="ETHUSDT"):
        await table.venue.positions()
    table.network.on("single-position", ok([]))
    assert [each.key.symbol for each in (await table.venue.positions()).positions] == [BTC]


async def test_I06_a_single_read_that_fails_is_no_doubt_about_the_list() -> None:
    table = bench()
    await table.hold(row())
    table.network.on("all-position", by_product())
    table.network.on("single-position", REFUSED)
    assert (await table.venue.positions()).positions == ()


async def test_I06_a_line_that_held_something_is_asked_each_time_until_it_was_empty_for_a_while() -> None:
    table = bench()
    await table.hold(row())
    table.network.on("all-position", by_product())
    table.network.on("single-position", ok([]))
    for number in range(1, 5):
        await table.venue.positions()
        assert len(table.network.sent("all-position")) == number + 1
    table.clock.pass_time(16)
    await table.venue.positions()
    before = len(table.network.sent("all-position"))
    await table.venue.positions()
    assert len(table.network.sent("all-position")) == before


async def test_what_was_closed_of_a_position_is_counted_from_row_to_row() -> None:
    table = bench()
    await table.hold(row(total="0.010", uTime="1700000001000"))
    for total, at_ms, closed in (
        ("0.006", "1700000002000", "0.004"),
        ("0.008", "1700000003000", "0.004"),
        ("0.010", "1700000002500", "0.004"),
        ("0.001", "1700000004000", "0.011"),
    ):
        table.network.on("all-position", by_product(USDT=[row(total=total, uTime=at_ms)]))
        read = await table.venue.positions()
        assert read.positions[0].closed_quantity == dec(closed)


async def test_a_new_life_of_a_position_begins_its_count_anew() -> None:
    table = bench()
    await table.hold(row(total="0.010"))
    table.network.on("all-position", by_product(USDT=[row(total="0.004", uTime="1700000002000")]))
    await table.venue.positions()
    table.network.on(
        "all-position", by_product(USDT=[row(total="0.003", cTime="1700000005000", uTime="1700000005000")])
    )
    read = await table.venue.positions()
    assert read.positions[0].closed_quantity == 0


async def test_what_was_closed_before_this_process_is_read_from_the_fills_of_that_life() -> None:
    def fill(number: str, size: str, at_ms: str, trade_side: str, side: str = "buy") -> dict[str, object]:
        documented = samples.data("fills.json")["fillList"][0]
        return {
            **documented,
            "symbol": "BTCUSDT",
            "tradeId": number,
            "baseVolume": size,
            "cTime": at_ms,
            "tradeSide": trade_side,
            "side": side,
        }

    table = bench()
    table.network.on("all-position", by_product(USDT=[row(cTime="1700000000000", uTime="1700000009000")]))
    fills = [
        fill("6", "0.500", "1700000010000", "close"),  # after the row
        fill("5", "0.002", "1700000008000", "close"),
        fill("4", "0.004", "1700000007000", "close", side="sell"),  # of the short
        fill("3", "0.003", "1700000006000", "reduce_close_long"),
        fill("2", "0.010", "1700000001000", "open"),
        fill("1", "0.700", "1699999999000", "close"),  # of an earlier life
    ]
    table.network.on("order/fills", ok({"fillList": fills, "endId": "1"}))
    read = await table.venue.positions()
    assert read.positions[0].closed_quantity == dec("0.005")


async def test_fills_are_asked_for_from_the_opening_but_within_the_span_that_is_taken() -> None:
    now_ms = bench().clock.now().wall_ms
    for opened_ms, asked_ms in ((now_ms - 60_000, now_ms - 60_000), (1_600_000_000_000, now_ms - 89 * 86_400_000)):
        table = bench()
        await table.hold(row(cTime=str(opened_ms), uTime=str(now_ms)))
        assert table.network.sent("fills")[0].query["startTime"] == str(asked_ms)


async def test_fills_that_cannot_be_read_keep_no_position_from_being_seen() -> None:
    table = bench()
    table.network.on("all-position", by_product(USDT=[row()]))
    table.network.on("order/fills", refusal("40014"))
    read = await table.venue.positions()
    assert read.positions[0].closed_quantity == 0
    assert table.said("fills")


async def test_auto_margin_is_told_because_it_draws_on_the_same_money() -> None:
    table = bench()
    await table.hold(row(autoMargin="on"))
    said = table.said("auto-margin")
    assert len(said) == 1
    assert isinstance(said[0], Said)
    assert said[0].severity is Severity.INFO


@pytest.mark.parametrize(("word", "on"), [("on", True), ("off", False)])
async def test_a_position_says_whether_the_venue_adds_margin_to_it(word: str, on: bool) -> None:
    table = bench()
    await table.hold(row(autoMargin=word))
    assert [each.auto_margin for each in (await table.venue.positions()).positions] == [on]


# Balances and modes


async def test_there_is_one_balance_for_each_margin_coin_the_dollars_first() -> None:
    table = everything()

    def wallet(coin: str) -> dict[str, object]:
        return {**samples.data("account_list_single_mode.json")[0], "marginCoin": coin, "accountEquity": "100"}

    table.network.on(
        "mix/account/accounts",
        by_product(USDT=[wallet("USDT")], USDC=[wallet("USDC")], COIN=[wallet("BTC"), wallet("USDT")]),
    )
    assert [each.currency for each in await table.venue.balances()] == ["USDT", "USDC", "BTC"]


async def test_a_risk_rate_that_differs_from_that_of_the_cross_rows_is_told() -> None:
    table = bench()
    await table.hold(row(marginMode="crossed", marginRatio="0.6"))
    wallet = {**samples.data("account_list_single_mode.json")[0], "crossedRiskRate": "0.2"}
    table.network.on("mix/account/accounts", ok([wallet]))
    balance = (await table.venue.balances())[0]
    assert balance.margin_ratio == dec("0.2")
    assert table.said("risk-rate")


async def test_a_risk_rate_that_is_not_given_is_taken_from_the_cross_rows() -> None:
    table = bench()
    await table.hold(row(marginMode="crossed", marginRatio="0.6"), row(side="short", marginRatio="0.9"))
    wallet = {**samples.data("account_list_single_mode.json")[0], "crossedRiskRate": ""}
    table.network.on("mix/account/accounts", ok([wallet]))
    assert (await table.venue.balances())[0].margin_ratio == dec("0.6")


def settings_by(**modes: str) -> object:
    def answer(asked: Request) -> dict[str, object]:
        product = asked.query["productType"].partition("-")[0]
        return ok({**samples.data("account_single.json"), "posMode": modes[product]})

    return answer


async def test_the_position_mode_is_that_of_the_lines_that_hold_something() -> None:
    table = everything()
    one_way = row(symbol="BTCPERP", marginCoin="USDC", posMode="one_way_mode")
    table.network.on("all-position", by_product(USDC=[one_way]))
    await table.venue.positions()
    assert await table.venue.position_mode() is PositionMode.ONE_WAY
    assert not table.network.sent("account")


async def test_the_position_mode_of_a_flat_account_is_read_of_every_line() -> None:
    table = everything()
    table.network.on("mix/account/account", settings_by(USDT="one_way_mode", USDC="one_way_mode"))
    await table.venue.positions()
    assert await table.venue.position_mode() is PositionMode.ONE_WAY
    asked = {request.query["symbol"]: request.query["marginCoin"] for request in table.network.sent("account")}
    assert asked == {"BTCUSDT": "USDT", "BTCPERP": "USDC"}


async def test_lines_in_different_modes_are_told_and_taken_for_hedge() -> None:
    table = everything()
    one_way = row(symbol="BTCPERP", marginCoin="USDC", posMode="one_way_mode")
    table.network.on("all-position", by_product(USDT=[row()], USDC=[one_way]))
    await table.venue.positions()
    assert await table.venue.position_mode() is PositionMode.HEDGE
    assert table.said("position-modes")


@pytest.mark.parametrize(
    ("modes", "plan_protection"),
    [
        ({"USDT": "hedge_mode", "USDC": "hedge_mode"}, True),
        ({"USDT": "hedge_mode", "USDC": "one_way_mode"}, False),
        ({"USDT": "one_way_mode", "USDC": "one_way_mode"}, False),
    ],
)
async def test_a_trigger_order_is_a_form_of_stop_only_where_every_line_is_in_hedge_mode(
    modes: dict[str, str], plan_protection: bool
) -> None:
    table = everything()
    table.network.on("mix/account/account", settings_by(**modes))
    assert not table.venue.capabilities.plan_protection
    await table.venue.open()
    assert table.venue.capabilities.plan_protection is plan_protection


async def test_modes_that_cannot_be_read_keep_nobody_from_starting() -> None:
    table = bench()
    table.network.on("mix/account/account", refusal("40014"))
    await table.venue.open()
    assert not table.venue.capabilities.plan_protection
    assert table.said("position-modes")


# Orders


async def test_plan_orders_are_read_from_all_three_of_their_lists() -> None:
    table = bench()
    await table.hold(row())

    def by_list(asked: Request) -> dict[str, object]:
        found = {
            "profit_loss": plan("11", "pos_loss"),
            "normal_plan": plan("12", "normal_plan"),
            "track_plan": plan("13", "track_plan"),
        }
        return entrusted(found[asked.query["planType"]])

    table.network.on("orders-pending", entrusted())
    table.network.on("orders-plan-pending", by_list)
    read = await table.venue.orders()
    assert read.plans is not None
    assert [each.order_id for each in read.plans] == ["11", "12", "13"]
    assert read.resting == ()


async def test_a_list_is_read_to_its_end_by_the_smallest_id_of_each_page() -> None:
    table = bench()
    await table.hold(row())

    def page(asked: Request) -> dict[str, object]:
        if asked.query["planType"] != "profit_loss":
            return entrusted()
        below = int(asked.query.get("idLessThan", "1150"))
        return entrusted(*(plan(str(each), "loss_plan") for each in range(below - 1, max(below - 101, 999), -1)))

    table.network.on("orders-plan-pending", page)
    read = await table.venue.orders(resting=False)
    assert read.plans is not None
    assert {each.order_id for each in read.plans} == {str(each) for each in range(1000, 1150)}
    assert [each.query["idLessThan"] for each in table.network.requests if "idLessThan" in each.query] == ["1050"]


async def test_a_list_without_an_end_is_not_taken_for_a_whole_one() -> None:
    table = bench()
    await table.hold(row())

    def page(asked: Request) -> dict[str, object]:
        below = int(asked.query.get("idLessThan", "1000000"))
        return entrusted(*(plan(str(each)) for each in range(below - 1, below - 101, -1)))

    table.network.on("orders-plan-pending", page)
    with pytest.raises(PayloadError, match="end of the list"):
        await table.venue.orders(resting=False)


async def test_the_protections_of_a_held_line_are_asked_for_each_time_and_empty_lists_rest_a_second() -> None:
    table = bench()
    await table.hold(row())
    table.network.on("orders-plan-pending", entrusted())

    async def asked() -> list[str]:
        before = len(table.network.requests)
        await table.venue.orders(resting=False)
        return sorted(each.query["planType"] for each in table.network.requests[before:])

    assert await asked() == ["normal_plan", "profit_loss", "track_plan"]
    assert await asked() == ["profit_loss"]
    table.clock.pass_time(1.1)
    assert await asked() == ["normal_plan", "profit_loss", "track_plan"]


async def test_nothing_is_asked_about_orders_of_a_line_that_nothing_is_sent_for() -> None:
    table = everything()
    await table.venue.orders()
    asked = {request.query["productType"] for request in table.network.requests}
    assert asked == {"USDT-FUTURES", "USDC-FUTURES"}


# Looking an order up


UNKNOWN = refusal("40109", "no such order")


def nowhere_else(table: Bench) -> None:
    table.network.on("order/detail", UNKNOWN)
    table.network.on("orders-history", entrusted())
    table.network.on("orders-plan-pending", entrusted())
    table.network.on("orders-plan-history", entrusted())


async def found(table: Bench, *, client_id: str | None = None, order_id: str | None = None) -> object:
    await table.hold(row())
    return await table.venue.find_order(
        LONG_BTC,
        client_id=None if client_id is None else ClientId(client_id),
        order_id=None if order_id is None else OrderId(order_id),
    )


async def test_an_order_is_found_by_its_client_id_alone() -> None:
    """A reduce-only order may be acknowledged without an order id (fact 6)."""
    table = bench()
    table.network.on("order/detail", ok({**samples.data("order_detail_live.json"), "clientOid": "gd1abc"}))
    report = await found(table, client_id="gd1abc")
    assert getattr(report, "order_id", None) == "1111465253393825792"
    asked = table.network.sent("detail")[0].query
    assert (asked.get("clientOid"), asked.get("orderId")) == ("gd1abc", None)


@pytest.mark.parametrize("code", ["40109", "40768", "43001", "45057"])
async def test_an_order_that_no_list_knows_is_none(code: str) -> None:
    table = bench()
    nowhere_else(table)
    table.network.on("order/detail", refusal(code))
    assert await found(table, client_id="gd1abc") is None


async def test_another_refusal_of_a_look_up_is_no_proof_of_absence() -> None:
    table = bench()
    nowhere_else(table)
    table.network.on("order/detail", refusal("40014"))
    with pytest.raises(VenueRefused):
        await found(table, client_id="gd1abc")


async def test_a_list_that_cannot_be_read_is_no_proof_of_absence() -> None:
    table = bench()
    nowhere_else(table)
    table.network.on("orders-plan-history", REFUSED)
    with pytest.raises(VenueError):
        await found(table, client_id="gd1abc")


async def test_a_finished_order_is_found_in_the_history() -> None:
    table = bench()
    nowhere_else(table)
    table.network.on("orders-history", ok(samples.data("orders_history.json")))
    report = await found(table, order_id="123")
    assert (dec("12.1"), False) == (getattr(report, "filled", None), getattr(report, "live", None))


async def test_a_plan_order_that_waits_is_found_and_works() -> None:
    table = bench()
    nowhere_else(table)
    table.network.on("orders-plan-pending", entrusted(plan("77", clientOid="gd1abc")))
    report = await found(table, client_id="gd1abc")
    assert (
        getattr(report, "order_id", None),
        getattr(report, "live", None),
        getattr(report, "filled", None),
    ) == ("77", True, 0)


async def test_of_a_plan_order_that_fired_the_order_is_found_that_it_made() -> None:
    table = bench()
    nowhere_else(table)
    ended = {
        **samples.data("orders_plan_history.json")["entrustedList"][0],
        "orderId": "77",
        "executeOrderId": "123456",
    }
    table.network.on("orders-plan-history", ok({"entrustedList": [ended], "endId": None}))
    table.network.on("order/detail", UNKNOWN, ok(samples.data("order_detail.json")))
    report = await found(table, order_id="77")
    assert ("123456", dec(2)) == (getattr(report, "order_id", None), getattr(report, "filled", None))


@pytest.mark.parametrize("status", ["fail_execute", "cancelled"])
async def test_a_plan_order_that_came_to_nothing_is_finished_and_filled_nothing(status: str) -> None:
    table = bench()
    nowhere_else(table)
    documented = samples.data("orders_plan_history.json")["entrustedList"][0]
    ended = {
        **documented,
        "orderId": "77",
        "planStatus": status,
        "executeOrderId": "",
        "baseVolume": "",
        "priceAvg": "",
    }
    table.network.on("orders-plan-history", ok({"entrustedList": [ended], "endId": None}))
    report = await found(table, order_id="77")
    assert (getattr(report, "live", None), getattr(report, "filled", None)) == (False, 0)


# Instruments and marks


def listing(table: Bench) -> None:
    documented = samples.data("contracts.json")[0]

    def contracts(asked: Request) -> object:
        product = asked.query["productType"]
        if asked.query.get("symbol", "BTCUSDT") == "BTCUSDT" and product == "USDT-FUTURES":
            return ok([documented])
        if asked.query.get("symbol", "BTCUSD") == "BTCUSD" and product == "COIN-FUTURES":
            return ok([{**documented, "symbol": "BTCUSD", "quoteCoin": "USD", "supportMarginCoins": ["BTC"]}])
        return refusal("40034") if "symbol" in asked.query else ok([])

    table.network.on("market/contracts", contracts)  # type: ignore[arg-type]
    table.network.on("query-position-lever", ok(samples.data("position_tiers.json")))
    table.network.on("trade-rate", ok({"makerFeeRate": "0.0002", "takerFeeRate": "0.0005"}))


async def test_an_instrument_has_its_steps_its_tiers_and_the_fee_of_the_account() -> None:
    table = everything()
    listing(table)
    found = (await table.venue.instruments([BTC]))[0]
    assert (dec("0.1"), dec("0.0001"), dec(1)) == (found.tick, found.step, found.contract_size)
    assert (2, dec("0.0005"), "", "USDT") == (len(found.tiers), found.taker_fee, found.unguarded, found.settle)


async def test_a_coin_margined_contract_is_given_with_its_reason_and_an_unknown_one_is_told() -> None:
    table = everything()
    listing(table)
    found = await table.venue.instruments([Symbol("BTCUSD"), Symbol("NEWUSDT")])
    assert [(each.symbol, each.settle) for each in found] == [("BTCUSD", "BTC")]
    assert "19.41" in found[0].unguarded
    assert table.said("unguardable-NEWUSDT")


async def test_a_fee_that_cannot_be_read_is_the_listed_one_until_then() -> None:
    table = everything()
    listing(table)
    table.network.on("trade-rate", refusal("40014"))
    assert (await table.venue.instruments([BTC]))[0].taker_fee == dec("0.0006")


async def test_a_mark_comes_from_the_ticker_else_from_the_symbol_price_and_never_from_the_last_price() -> None:
    table = bench()
    ticker = {**samples.data("ticker.json")[0], "symbol": "BTCUSDT", "markPrice": "60000", "lastPr": "61000"}
    table.network.on("market/ticker", ok([ticker]))
    seen = await table.venue.mark(BTC)
    assert (dec(60000), dec(61000)) == (seen.mark, seen.last)
    table.network.on("market/ticker", ok([{**ticker, "markPrice": ""}]))
    table.network.on("symbol-price", ok(samples.data("symbol_price.json")))
    assert (await table.venue.mark(BTC)).mark == dec(25555)
    table.network.on("symbol-price", refusal("40034"))
    with pytest.raises(VenueRefused):
        await table.venue.mark(BTC)


# The key


@pytest.mark.parametrize(
    ("authorities", "edge"),
    [(["readonly"], "key-reads-only"), (["trade", "withdraw"], "key-withdraws")],
)
async def test_a_key_that_may_too_much_or_too_little_is_told(authorities: list[str], edge: str) -> None:
    table = bench()
    info = {**samples.data("spot_account_info.json"), "authorities": authorities}
    table.network.on("account/info", ok(info))
    await table.venue.prove_key()
    assert table.said(edge)
    assert table.network.writes == []


async def test_a_key_as_a_guard_wants_it_is_proved_without_a_word() -> None:
    table = bench()
    table.network.on("account/info", ok(samples.data("spot_account_info.json")))
    await table.venue.prove_key()
    assert table.said("key") == []
