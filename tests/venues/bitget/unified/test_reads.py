"""What is asked of a unified account, and what is made of the answers (UTA reference, 4-9 and 12)."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from guardd.errors import CredentialsError, PayloadError, VenueRefused
from guardd.model.event import Source
from guardd.model.names import ClientId, MarginMode, OrderId, PositionMode, Side, Symbol
from guardd.model.order import RestingKind
from guardd.model.reading import Absent
from guardd.venues.bitget.unified.parse.account import margin_ratio, pool, pushed_pool
from guardd.venues.bitget.unified.parse.market import tiers
from guardd.venues.rows import Row
from tests.changed import replace
from tests.venues.bitget.unified import samples
from tests.venues.bitget.unified.bench import (
    ALL_CATEGORIES,
    BTC,
    LONG,
    SHORT,
    TIMED_OUT,
    Bench,
    Body,
    bench,
    info,
    listed,
    ok,
    opened,
    refusal,
    row,
    settings,
)

dec = Decimal


def assets(**changes: object) -> dict[str, object]:
    return {**samples.data("account_assets_at_risk.json"), **changes}


def order(order_id: str, **changes: object) -> dict[str, object]:
    (plain,) = samples.data("unfilled_orders.json")["list"]
    return {**plain, "orderId": order_id, **changes}


# Opening


async def test_opening_reads_whose_key_it_is_how_it_trades_and_which_contracts_there_are() -> None:
    on = bench()
    await on.venue.open()
    asked = [(request.path, request.query.get("category")) for request in on.network.requests]
    assert asked[0] == ("/api/v3/account/info", None)
    assert sorted(asked[1:]) == [
        ("/api/v3/account/funding-assets", None),
        ("/api/v3/account/settings", None),
        ("/api/v3/market/instruments", "COIN-FUTURES"),
        ("/api/v3/market/instruments", "USDC-FUTURES"),
        ("/api/v3/market/instruments", "USDT-FUTURES"),
    ]
    assert on.edges == []


async def test_an_account_is_read_whole_whatever_lines_are_configured() -> None:
    """`product_type` is of classic accounts: here one pool stands behind every category."""
    on = bench(categories=("USDT-FUTURES",))
    await on.venue.open()
    on.network.requests.clear()
    await on.venue.positions()
    assert {request.query["category"] for request in on.network.requests} == set(ALL_CATEGORIES)


async def test_a_basic_account_has_no_coin_m_to_read() -> None:
    on = await opened(level="basic")
    on.network.on("unfilled-orders", ok({"list": None}))
    await on.venue.positions()
    await on.venue.orders(plans=False)
    assert {request.query["category"] for request in on.network.requests} == {"USDT-FUTURES", "USDC-FUTURES"}


@pytest.mark.parametrize(
    ("changes", "edge"),
    [
        ({"permissions": ["uta_mgt"]}, "key-permissions"),
        ({"permType": "read-only"}, "key-permissions"),
        ({"permissions": ["uta_mgt", "uta_trade", "withdraw"]}, "key-withdraws"),
        ({"permissions": ["uta_mgt", "uta_trade", "copy_futures_order"]}, "key-copies"),
        ({"ips": ""}, "key-unbound"),
    ],
)
async def test_what_a_key_may_do_too_much_or_too_little_is_told(changes: dict[str, object], edge: str) -> None:
    on = bench()
    on.network.on("account/info", ok(info(**changes)))
    await on.venue.open()
    assert on.edges == [edge]


@pytest.mark.parametrize("level", ["delta", "isolated"])
async def test_a_level_that_the_venue_doesnt_describe_is_told_once(level: str) -> None:
    on = bench()
    on.network.on("account/settings", ok(settings(accountLevel=level)))
    await on.venue.open()
    await on.venue.position_mode()
    assert len(on.said(f"level-{level}")) == 1


async def test_the_key_is_proved_by_a_call_that_needs_no_permission() -> None:
    on = bench()
    await on.venue.prove_key()
    (request,) = on.network.requests
    assert request.path == "/api/v3/account/info"
    on.network.on("account/info", refusal("40037"))
    with pytest.raises(CredentialsError):
        await on.venue.prove_key()


async def test_the_position_mode_is_the_whole_accounts() -> None:
    on = bench()
    for word, mode in (("hedge_mode", PositionMode.HEDGE), ("one_way_mode", PositionMode.ONE_WAY)):
        on.network.on("account/settings", ok(settings(holdMode=word)))
        assert mode is await on.venue.position_mode()


# The pool


async def test_the_balance_is_one_pool_in_usd_with_the_venues_own_maintenance_and_ratio() -> None:
    on = bench()
    on.network.on("account/assets", ok(assets()))
    (balance,) = await on.venue.balances()
    assert (balance.currency, balance.pooled, balance.foreign_collateral) == ("USD", True, False)
    assert (balance.equity, balance.maintenance, balance.margin_ratio) == (dec(1000), dec(850), dec("0.85"))
    assert balance.position_margin == dec(900)
    assert balance.available + balance.position_margin + balance.frozen + dec("-150.25") == dec(1000)


def test_what_stands_against_the_maintenance_is_the_effective_equity_not_the_net_value_of_all_coins() -> None:
    found = pool(assets(accountEquity="5000", effEquity="1000", mmr="850", mgnRatio="0")).balance
    assert (found.equity, found.margin_ratio) == (dec(1000), dec("0.85"))


@pytest.mark.parametrize("name", ["account_assets_at_risk.json", "ws_account.json"])
def test_the_wallets_and_the_unrealised_profit_make_the_net_value_of_all_coins(name: str) -> None:
    """What the drawdown is reckoned from; the effective equity is another figure."""
    if name.startswith("ws"):
        (plain,) = samples.plain(name)["data"]
        found, net_value = pushed_pool(Row("account", plain)).balance, dec(plain["totalEquity"])
    else:
        plain = samples.data(name)
        found, net_value = pool(plain).balance, dec(plain["accountEquity"])
    assert isinstance(found.unrealized_pnl, Decimal)
    total = sum((each.amount * each.price for each in found.wallets), found.unrealized_pnl)
    assert abs(total - net_value) <= net_value / 1000
    assert found.equity != net_value


@pytest.mark.parametrize(
    ("equity", "maintenance", "printed", "ratio"),
    [
        ("1000", "650", "0", "0.65"),  # printed coarsely (0.4)
        ("1000", "650", "0.7", "0.7"),
        ("1000", "0", "0", "0"),
        ("0", "5", "0", "0"),
        ("-3", "5", "0.4", "0.4"),
        ("-3", "5", "2.5", "2.5"),
        ("0", "0", "0", "0"),
    ],
)
def test_the_margin_ratio_is_the_larger_of_the_printed_and_our_own(
    equity: str, maintenance: str, printed: str, ratio: str
) -> None:
    found = pool(assets(effEquity=equity, mmr=maintenance, mgnRatio=printed))
    assert found.balance.margin_ratio == dec(ratio)


def test_a_ratio_without_its_amounts_is_the_printed_one_and_without_that_unknown() -> None:
    assert margin_ratio(Absent.UNKNOWN, dec(1), dec("0.3")) == dec("0.3")
    assert margin_ratio(dec(1), Absent.UNKNOWN, Absent.UNKNOWN) is Absent.UNKNOWN
    found = pool(assets(effEquity="", mmr="", mgnRatio="")).balance
    assert (found.equity, found.maintenance, found.margin_ratio) == (Absent.UNKNOWN,) * 3


async def test_a_printed_ratio_that_its_amounts_contradict_is_told_and_not_used() -> None:
    on = bench()
    on.network.on("account/assets", ok(assets(mgnRatio="6.5", mmr="65")))
    (balance,) = await on.venue.balances()
    assert balance.margin_ratio == dec("0.065")
    assert len(on.said("odd-ratio")) == 1


async def test_debts_are_told_while_they_last() -> None:
    owed = {"coin": "BTC", "equity": "-0.5", "usdValue": "-30000", "balance": "0", "available": "0", "debt": "0"}
    borrowed = {"coin": "USDT", "equity": "3", "usdValue": "3", "balance": "3", "available": "3", "debt": "7"}
    on = bench()
    for rows, times in (([owed, borrowed], 1), ([owed, borrowed], 1), ([], 1), ([owed], 2)):
        on.network.on("account/assets", ok(assets(assets=rows)))
        await on.venue.balances()
        assert len(on.said("debts")) == times
    assert "0.5 BTC, 7 USDT" in str(on.said("debts")[0])


# Positions


async def test_the_positions_of_every_category_are_one_read() -> None:
    usdc = row(category="USDC-FUTURES", symbol="BTCPERP", marginCoin="USDC")
    on = await opened(held=(row("short", "0.2"), row(), usdc))
    read = await on.venue.positions()
    assert [(p.key.symbol, p.key.side, p.quantity) for p in read.positions] == [
        ("BTCPERP", Side.LONG, dec("0.1")),
        ("BTCUSDT", Side.LONG, dec("0.1")),
        ("BTCUSDT", Side.SHORT, dec("0.2")),
    ]


async def test_one_category_that_cant_be_read_is_no_list_of_positions() -> None:
    on = await opened(held=(row(),))

    def answer(query: dict[str, str]) -> Body:
        return refusal("25000") if query["category"] == "USDC-FUTURES" else ok({"list": None})

    on.network.on("current-position", answer)
    with pytest.raises(VenueRefused):
        await on.venue.positions()


async def test_a_coin_m_position_is_read_without_amounts_whose_unit_isnt_known() -> None:
    on = await opened(held=(row(category="COIN-FUTURES", symbol="BTCUSD_CM", marginCoin="BTC"),))
    (position,) = (await on.venue.positions()).positions
    assert (position.notional, position.maintenance_margin) == (Absent.UNKNOWN, Absent.UNKNOWN)


async def test_I29_a_size_of_quite_another_unit_shows_in_the_notional() -> None:
    """The venue prints no value: in cross mode its margin and leverage say what it should be about."""
    on = await opened(held=(row(),))
    (position,) = (await on.venue.positions()).positions
    assert position.notional == dec("0.1") * 90500
    on = await opened(held=(row(total="100", available="100", positionBalance="479.65"),))
    (position,) = (await on.venue.positions()).positions
    assert position.notional == dec("479.65") * 20


@pytest.mark.parametrize(
    ("text", "price"),
    [("0", Absent.NONE), ("-1", Absent.NONE), ("", Absent.UNKNOWN), ("17288450.45", dec("17288450.45"))],
)
async def test_a_liquidation_price_of_nothing_is_none_and_a_missing_one_unknown(text: str, price: object) -> None:
    on = await opened(held=(row("short", liquidationPrice=text),))
    (position,) = (await on.venue.positions()).positions
    assert position.liquidation_price == price


# Contracts


async def test_a_contract_comes_with_its_tiers_and_coin_m_with_its_reason() -> None:
    on = await opened()
    on.network.on("position-tier", ok(samples.data("position_tier.json")))
    linear, coin = await on.venue.instruments([BTC, Symbol("BTCUSD_CM")])
    assert (linear.unguarded, linear.contract_size, len(linear.tiers)) == ("", dec(1), 1)
    assert "no server-side stop" in coin.unguarded
    assert [request.query["symbol"] for request in on.network.sent("position-tier")] == ["BTCUSDT"]


async def test_tiers_that_were_read_a_moment_ago_are_not_asked_for_again_and_later_they_are() -> None:
    on = await opened()
    on.network.on("position-tier", ok(samples.data("position_tier.json")))
    first = await on.venue.instruments([BTC])
    assert await on.venue.instruments([BTC]) == first
    assert len(on.network.sent("position-tier")) == 1
    on.clock.pass_time(601)
    await on.venue.instruments([BTC])
    assert len(on.network.sent("position-tier")) == 2


async def test_an_unknown_symbol_is_looked_for_in_all_lists_left_out_and_told() -> None:
    on = await opened()
    on.network.on("position-tier", ok(samples.data("position_tier.json")))
    (found,) = await on.venue.instruments([BTC, Symbol("NEWUSDT")])
    assert found.symbol == "BTCUSDT"
    assert len(on.said("unguardable-NEWUSDT")) == 1
    assert len(on.network.sent("market/instruments")) == 3


@pytest.mark.parametrize(
    ("status", "tradable", "edge"),
    [
        ("online", True, None),
        ("limit_open", True, None),
        ("limit_close", False, "barred-BTCUSDT"),
        ("restrictedAPI", False, "barred-BTCUSDT"),
        ("offline", False, "offline-BTCUSDT"),
    ],
)
async def test_a_contract_that_takes_no_close_isnt_tradable_and_told(
    status: str, tradable: bool, edge: str | None
) -> None:
    on = await opened()
    (plain,) = samples.data("instruments_usdt_futures.json")
    on.network.on("market/instruments", ok([{**plain, "status": status}]))
    on.network.on("position-tier", ok(samples.data("position_tier.json")))
    (found,) = await on.venue.instruments([BTC])
    assert found.tradable is tradable
    assert on.edges == ([] if edge is None else [edge])


def test_tiers_with_a_gap_are_no_tiers() -> None:
    rows = [
        {"tier": "1", "minTierValue": "0", "maxTierValue": "100", "leverage": "50", "mmr": "0.01"},
        {"tier": "2", "minTierValue": "200", "maxTierValue": "300", "leverage": "25", "mmr": "0.02"},
    ]
    with pytest.raises(PayloadError, match="without a gap"):
        tiers(rows)
    with pytest.raises(PayloadError, match="from a value of 0"):
        tiers([])
    rows[1]["minTierValue"] = "100"
    assert [(tier.floor, tier.cap, tier.rate) for tier in tiers(rows)] == [
        (dec(0), dec(100), dec("0.01")),
        (dec(100), dec(300), dec("0.02")),
    ]


# Marks


async def test_I28_a_mark_comes_from_the_ticker_else_from_the_positions_row() -> None:
    on = await opened(held=(row(),))
    on.network.on("market/tickers", ok(samples.data("tickers_usdt_futures.json")))
    seen = await on.venue.mark(BTC)
    assert (seen.mark, seen.source, seen.bid, seen.ask) == (
        dec("90216.4"),
        Source.REST,
        dec("90216.3"),
        dec("90216.4"),
    )
    on.network.on("market/tickers", TIMED_OUT)
    seen = await on.venue.mark(BTC)
    assert (seen.mark, seen.last) == (dec(90500), None)


async def test_I28_a_last_price_is_never_a_mark() -> None:
    on = await opened()
    (plain,) = samples.data("tickers_usdt_futures.json")
    on.network.on("market/tickers", ok([{**plain, "markPrice": ""}]))
    with pytest.raises(PayloadError):
        await on.venue.mark(BTC)


# Orders


def paged(*pages: list[dict[str, object]], cursors: tuple[object, ...]) -> Callable[[dict[str, str]], Body]:
    """Pages of USDT-FUTURES, each asked for with the cursor that the one before named."""
    chain = dict(zip([None, *(str(cursor) for cursor in cursors)], zip(pages, cursors, strict=True), strict=False))

    def answer(query: dict[str, str]) -> Body:
        if query["category"] != "USDT-FUTURES":
            return ok({"list": None, "cursor": ""})
        rows, cursor = chain[query.get("cursor")]
        return ok({"list": rows, "cursor": cursor})

    return answer


async def test_a_list_is_followed_by_its_cursor_also_where_that_is_a_number_beyond_a_float() -> None:
    first = [order(str(1000 + number)) for number in range(100)]
    second = [order(str(2000 + number)) for number in range(100)]
    on = await opened()
    beyond = 1330960754317619203
    on.network.on("unfilled-orders", paged(first, second, [order("9")], cursors=(beyond, "1100", "9")))
    read = await on.venue.orders(plans=False)
    assert read.resting is not None
    assert read.plans is None
    assert len({resting.order_id for resting in read.resting}) == 201
    asked = [request.query.get("cursor") for request in on.network.sent("unfilled-orders")]
    assert "1330960754317619203" in asked


async def test_a_list_without_an_end_is_no_list_of_everything() -> None:
    rows = [order(str(1000 + number)) for number in range(100)]
    on = await opened()
    count = iter(range(10_000))
    on.network.on("unfilled-orders", lambda query: ok({"list": rows, "cursor": str(next(count))}))
    with pytest.raises(PayloadError, match="end of the list"):
        await on.venue.orders(plans=False)


@pytest.mark.parametrize(
    ("fields", "key", "closes"),
    [
        ({"side": "buy", "posSide": "long"}, LONG, False),
        ({"side": "sell", "posSide": "long"}, LONG, True),
        ({"side": "sell", "posSide": "short"}, SHORT, False),
        ({"side": "buy", "posSide": "short"}, SHORT, True),
        ({"side": "buy", "posSide": "short", "reduceOnly": "NO"}, SHORT, True),
        ({"side": "buy", "holdMode": "one_way_mode", "posSide": None}, LONG, False),
        ({"side": "sell", "holdMode": "one_way_mode", "posSide": ""}, SHORT, False),
        ({"side": "sell", "holdMode": "one_way_mode", "posSide": "long", "reduceOnly": "YES"}, LONG, True),
        ({"side": "buy", "holdMode": "one_way_mode", "posSide": "", "reduceOnly": "yes"}, SHORT, True),
    ],
)
async def test_an_orders_side_is_the_transactions_in_both_modes(
    fields: dict[str, object], key: object, closes: bool
) -> None:
    on = await opened()
    on.network.on(
        "unfilled-orders",
        lambda query: ok({"list": [order("5", **fields)] if query["category"] == "USDT-FUTURES" else None}),
    )
    (resting,) = (await on.venue.orders(plans=False)).resting or ()
    assert (resting.key, resting.closes, resting.kind) == (key, closes, RestingKind.LIMIT)


async def test_orders_of_spot_and_margin_are_nobodys_here() -> None:
    on = await opened()
    on.network.on("unfilled-orders", ok({"list": [order("5", category="Spot")]}))
    assert (await on.venue.orders(plans=False)).resting == ()


async def test_entries_are_asked_for_seldom_and_stops_each_time() -> None:
    on = await opened()
    on.network.on("unfilled-strategy-orders", listed())
    for _ in range(3):
        await on.venue.orders(resting=False)
    kinds = [request.query["type"] for request in on.network.sent("unfilled-strategy-orders")]
    assert (kinds.count("tpsl"), kinds.count("trigger")) == (6, 2)
    on.clock.pass_time(6)
    await on.venue.orders(resting=False)
    kinds = [request.query["type"] for request in on.network.sent("unfilled-strategy-orders")]
    assert kinds.count("trigger") == 4


# Looking up (12.5)


async def found_by(on: Bench, client: str) -> object:
    report = await on.venue.find_order(LONG, client_id=ClientId(client), order_id=None)
    return None if report is None else (report.order_id, report.filled, report.live)


async def test_an_order_is_looked_up_by_our_id_then_in_both_lists() -> None:
    on = await opened()
    on.network.on("order-info", ok(samples.data("order_info_live.json")))
    assert await found_by(on, "1320244799633510400") == ("1320244799629316096", 0, True)
    on.network.on("order-info", refusal("25204"))
    on.network.on("unfilled-orders", ok({"list": [order("5", clientOid="gd1a")]}))
    past = samples.data("history_orders_close_long_hedge.json")["list"][0]
    on.network.on("history-orders", ok({"list": [{**past, "clientOid": "gd1b"}], "cursor": 7}))
    assert await found_by(on, "gd1a") == ("5", 0, True)
    assert await found_by(on, "gd1b") == ("1322441400976261120", dec("0.0001"), False)
    on.network.on("unfilled-strategy-orders", listed())
    on.network.on("history-strategy-orders", ok({"list": None}))
    assert await found_by(on, "gd1c") is None


async def test_an_order_that_cant_be_looked_up_isnt_unknown() -> None:
    on = await opened()
    on.network.on("order-info", refusal("25001"))
    with pytest.raises(VenueRefused):
        await on.venue.find_order(LONG, client_id=ClientId("gd1a"), order_id=None)


async def test_the_trades_of_an_order_are_read() -> None:
    on = await opened()
    on.network.on("trade/fills", ok(samples.data("fills.json")))
    (fill,) = await on.venue._reads.fills(on.venue._reads.linear[0], OrderId("1322441400976261120"))
    assert (fill.size, fill.buys) == (dec("0.0001"), False)


async def test_a_row_that_is_no_row_is_said() -> None:
    on = await opened()
    for broken in ({"total": "x"}, {"total": "1", "avgPrice": "0"}, {"posSide": "both"}, {"updatedTime": ""}):
        on.network.on("current-position", ok({"list": [row(**broken)]}))
        with pytest.raises(PayloadError):
            await on.venue.positions()


async def test_an_isolated_position_keeps_its_margin_and_mode() -> None:
    on = await opened(held=(row("short", margin="isolated", positionBalance="450"),))
    (position,) = (await on.venue.positions()).positions
    assert (position.margin_mode, position.margin) == (MarginMode.ISOLATED, dec(450))
    assert replace(position, margin=dec(1)) != position
