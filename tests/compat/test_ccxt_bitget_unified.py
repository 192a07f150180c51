"""A client that nobody here wrote trades on the simulator: ccxt's current Bitget class with a unified account, over REST.

Where ccxt departs from the venue's reference (its sections are cited as "UTA reference, n"), the test shows the
departure, says which section proves it, and goes on through ccxt's own `params`.
"""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from guardd.simulator import truth
from guardd.simulator.contracts import ContractStatus
from guardd.simulator.ledger import RowKind
from guardd.simulator.orders import MarginMode, OrderStatus, PlanStatus, PositionMode, PositionSide, PriceSource
from tests.compat.bitget import SINCE, BitgetTrader, unified
from tests.compat.trader import BTC, ETH, UID, require_ccxt

ccxt = require_ccxt("bitget", at_least=SINCE)

ONE_WAY = PositionMode.ONE_WAY
BOTH_MODES = pytest.mark.parametrize("mode", list(PositionMode))
STOPS = {"trigger": True}
PARTIAL = {"tpslMode": "partial"}  # ccxt leaves it to the venue's default, the whole position (UTA reference, 10.1)
_BLIND_S = 2.0


# The market


async def test_every_contract_is_read_with_its_tick_step_limits_and_status() -> None:
    async with unified() as trader:
        trader.exchange.set_status("DOGEUSDT", ContractStatus.DELISTED, trader.server.now_ms())

        markets = await trader.client.load_markets(True)

        by_id = {market["id"]: market for market in markets.values()}
        for contract in trader.truth.contracts():
            market = by_id[contract.symbol]
            assert (market["swap"], market["linear"], market["settle"]) == (True, True, contract.settle)
            # It reads the places of a price for its tick, which is `priceMultiplier`; BTCPERP goes by 0.5 (UTA reference, 5).
            assert Decimal(market["info"]["priceMultiplier"]) == contract.tick
            assert Decimal(market["precision"]["price"]) <= contract.tick
            assert Decimal(market["precision"]["amount"]) == contract.step
            assert Decimal(market["limits"]["amount"]["min"]) == contract.min_size
            assert Decimal(market["limits"]["leverage"]["max"]) == contract.max_leverage
            assert market["active"] is (contract.symbol != "DOGEUSDT")


async def test_the_tiers_are_the_contracts() -> None:
    async with unified() as trader:
        read = await trader.client.fetch_market_leverage_tiers(BTC)

        tiers = trader.contract(BTC).tiers
        assert [Decimal(row["maintenanceMarginRate"]) for row in read] == [tier.rate for tier in tiers]
        assert [Decimal(row["maxNotional"]) for row in read] == [tier.cap for tier in tiers]
        assert [Decimal(row["maxLeverage"]) for row in read] == [tier.max_leverage for tier in tiers]


async def test_time_tickers_book_candles_funding_and_interest_carry_the_quote() -> None:
    async with unified() as trader:
        await trader.buys("0.1")
        trader.move(BTC, "90123.4")
        quote = trader.truth.quote("BTCUSDT")
        assert quote is not None

        ticker = await trader.client.fetch_ticker(BTC)
        tickers = await trader.client.fetch_tickers()
        book = await trader.client.fetch_order_book(BTC)
        marks = await trader.client.fetch_ohlcv(BTC, params={"price": "mark"})
        coming = await trader.client.fetch_funding_rate(BTC)
        interest = await trader.client.fetch_open_interest(BTC)

        assert abs(await trader.client.fetch_time() - trader.server.now_ms()) < 1_000
        read = [Decimal(ticker[name]) for name in ("last", "markPrice", "indexPrice", "bid", "ask")]
        assert read == [quote.last, quote.mark, quote.index, quote.bid, quote.ask]
        assert len(tickers) == 5  # of one category: USDT-M
        assert [Decimal(str(book[side][0][0])) for side in ("bids", "asks")] == [quote.bid, quote.ask]
        assert Decimal(marks[-1][4]) == quote.mark
        assert Decimal(coming["fundingRate"]) == trader.dialect.desk.tape.expected_rate("BTCUSDT")
        assert Decimal(interest["openInterestAmount"]) == Decimal("0.1")


# The account


async def test_the_balance_shows_the_coins_and_the_accounts_risk() -> None:
    async with unified() as trader:
        await trader.buys("0.1")

        read = await trader.client.fetch_balance()

        balance = trader.truth.balance(UID)
        [coin] = read["info"]["data"]["assets"]
        assert Decimal(read["USDT"]["total"]) == Decimal(coin["equity"]) == balance.equity
        risk = read["info"]["data"]
        assert Decimal(risk["accountEquity"]) == balance.equity
        assert Decimal(risk["mmr"]) > 0
        assert Decimal(risk["effEquity"]) > Decimal(risk["mmr"])


async def test_leverage_is_set_and_shows_on_the_position() -> None:
    async with unified() as trader:
        await trader.client.set_leverage(20, BTC)
        await trader.buys("0.1")

        position = await trader.client.fetch_position(BTC)

        assert trader.truth.settings(UID, "BTCUSDT").long_leverage == 20
        assert (Decimal(position["leverage"]), position["marginMode"]) == (20, "cross")
        with pytest.raises(ccxt.ExchangeError, match="45044"):
            await trader.client.set_leverage(126, BTC)


async def test_the_margin_mode_comes_with_leverage_and_order() -> None:
    async with unified() as trader:
        await trader.client.set_leverage(20, BTC, {"marginMode": "isolated", "posSide": "long"})

        await trader.buys("0.1", marginMode="isolated")

        view = trader.held()
        assert view is not None
        assert (view.margin_mode, view.leverage) == (MarginMode.ISOLATED, 20)
        assert (await trader.client.fetch_position(BTC))["marginMode"] == "isolated"


async def test_calls_that_ccxt_has_for_the_classic_account_only_are_refused_as_such() -> None:
    async with unified() as trader:
        # It sends them to V2 whatever the account is; there, a unified one is told so (UTA reference, 2), and neither
        # has a call of its own: leverages stand in `account/settings`, the mode comes with the order (3, 7.2).
        for asked in (
            trader.client.fetch_leverage(BTC),
            trader.client.fetch_margin_mode(BTC),
            trader.client.set_margin_mode("isolated", BTC),
        ):
            with pytest.raises(ccxt.PermissionDenied, match="40085"):
                await asked


async def test_a_long_and_a_short_of_one_symbol_are_two_positions_in_hedge_mode() -> None:
    async with unified() as trader:
        await trader.buys("0.1")
        await trader.sells_short("0.04")
        trader.move(BTC, "91000")

        positions = await trader.client.fetch_positions()

        assert {each["side"] for each in positions} == {"long", "short"}
        for each in positions:
            view = trader.held(BTC, PositionSide(each["side"]))
            assert view is not None
            assert each["hedged"]
            assert (Decimal(each["contracts"]), Decimal(each["entryPrice"])) == (view.size, view.entry_price)
            assert (Decimal(each["markPrice"]), Decimal(each["leverage"])) == (91_000, view.leverage)
            assert Decimal(each["unrealizedPnl"]) == view.unrealized_pnl
            assert Decimal(each["maintenanceMarginPercentage"]) == Decimal("0.004")


async def test_a_position_of_one_way_mode_turns_through_zero() -> None:
    async with unified(position_mode=ONE_WAY) as trader:
        await trader.buys("0.1")
        await trader.sells_short("0.14")

        position = await trader.client.fetch_position(BTC)

        view = trader.held(BTC, PositionSide.SHORT)
        assert view is not None
        assert (position["side"], position["hedged"]) == ("short", False)
        assert Decimal(position["contracts"]) == view.size == Decimal("0.04")


async def test_the_position_mode_changes_while_nothing_is_held_and_is_refused_after() -> None:
    async with unified() as trader:
        await trader.client.set_position_mode(False)
        assert trader.mode is ONE_WAY

        await trader.buys("0.01")

        with pytest.raises(ccxt.ExchangeError, match="40920"):
            await trader.client.set_position_mode(True)


async def test_money_moves_into_the_account_and_every_trade_shows_in_the_ledger() -> None:
    async with unified() as trader:
        await trader.client.transfer("USDT", "10", "spot", "uta")
        await trader.buys("0.1")

        assert trader.truth.balance(UID).equity > 10_000
        [fill] = trader.rows(RowKind.FILL)
        rows = await trader.client.fetch_ledger("USDT")
        assert [Decimal(row["fee"]["cost"]) for row in rows if row["type"] == "trade"] == [fill.decimal("fee")]


# Orders


@BOTH_MODES
async def test_a_market_order_fills_and_every_reading_of_it_agrees_with_the_ledger(mode: PositionMode) -> None:
    async with unified(position_mode=mode) as trader:
        placed = await trader.buys("0.1", clientOrderId="first1")

        [fill] = trader.rows(RowKind.FILL)
        assert (fill.details["order_id"], fill.details["client_id"]) == (placed["id"], "first1")
        order = await trader.client.fetch_order(placed["id"], BTC)
        assert (order["status"], order["side"], order["clientOrderId"]) == ("closed", "buy", "first1")
        assert Decimal(order["filled"]) == fill.decimal("size")
        # It looks for V2's `priceAvg`; here it is `avgPrice` (UTA reference, 9.8).
        assert order["average"] is None
        assert Decimal(order["info"]["avgPrice"]) == fill.decimal("price")
        [trade] = await trader.client.fetch_my_trades(BTC)
        assert (trade["id"], trade["order"], trade["takerOrMaker"]) == (fill.details["trade_id"], placed["id"], "taker")
        assert (Decimal(trade["price"]), Decimal(trade["amount"])) == (fill.decimal("price"), fill.decimal("size"))
        # A paid fee is positive here; it is turned round as V2's must be (UTA reference, 16.25).
        assert Decimal(trade["fee"]["cost"]) == Decimal(order["fee"]["cost"]) == -fill.decimal("fee") < 0
        [finished] = await trader.client.fetch_closed_orders(BTC)
        assert finished["id"] == placed["id"]


async def test_a_limit_order_rests_is_changed_in_place_and_fills_as_maker() -> None:
    async with unified() as trader:
        placed = await trader.client.create_order(BTC, "limit", "buy", "0.05", "88000", trader.hedged)

        [resting] = await trader.client.fetch_open_orders(BTC)
        assert (resting["id"], resting["price"], resting["remaining"]) == (placed["id"], "88000", "0.05")
        assert await trader.client.fetch_open_orders(ETH) == []
        await trader.client.edit_order(placed["id"], BTC, "limit", "buy", "0.06", "89000")
        [changed] = trader.truth.open_orders(UID)
        assert (changed.order_id, changed.size, changed.price) == (placed["id"], Decimal("0.06"), 89_000)
        trader.move(BTC, "88900")

        [trade] = await trader.client.fetch_my_trades(BTC)
        assert (trade["takerOrMaker"], trade["price"], trade["amount"]) == ("maker", "89000", "0.06")


async def test_orders_are_cancelled_by_id_by_client_id_and_all_together() -> None:
    async with unified() as trader:
        wanted = [
            await trader.client.create_order(
                BTC, "limit", "buy", "0.01", price, {**trader.hedged, "clientOrderId": f"c{price}"}
            )
            for price in ("85000", "84000", "83000", "82000")
        ]

        await trader.client.cancel_order(wanted[0]["id"], BTC)
        await trader.client.cancel_order("", BTC, {"clientOrderId": "c84000"})
        assert {order.client_id for order in trader.truth.open_orders(UID)} == {"c83000", "c82000"}
        await trader.client.cancel_all_orders(BTC)

        assert trader.truth.open_orders(UID) == ()
        assert {trader.truth.order(UID, order_id=each["id"]).status for each in wanted} == {OrderStatus.CANCELLED}
        assert {order["status"] for order in await trader.client.fetch_canceled_orders(BTC)} == {"canceled"}
        with pytest.raises(ccxt.ExchangeError, match="25204"):
            await trader.client.cancel_order("123", BTC)


async def test_an_order_is_refused_while_another_holds_its_client_id() -> None:
    async with unified() as trader:
        again = {**trader.hedged, "clientOrderId": "once"}
        await trader.client.create_order(BTC, "limit", "buy", "0.01", "85000", again)

        with pytest.raises(ccxt.ExchangeError, match="25212"):
            await trader.client.create_order(BTC, "limit", "buy", "0.01", "85000", again)

        assert truth.repeated_client_ids(trader.ledger, UID, "once") == ()


@pytest.mark.parametrize(
    ("more", "price", "rests"),
    [
        ({"timeInForce": "IOC"}, "89000", False),
        ({"timeInForce": "FOK"}, "89000", False),
        ({"postOnly": True}, "89000", True),
        ({"postOnly": True}, "91000", False),
        ({"timeInForce": "GTC"}, "89000", True),
    ],
)
async def test_the_time_in_force_is_kept(more: dict[str, object], price: str, *, rests: bool) -> None:
    async with unified() as trader:
        placed = await trader.client.create_order(BTC, "limit", "buy", "0.01", price, {**trader.hedged, **more})

        order = trader.truth.order(UID, order_id=placed["id"])
        assert (order.status is OrderStatus.WORKING) is rests
        assert order.filled == 0


# Closing


@BOTH_MODES
async def test_reduce_only_closes_a_part_then_the_rest_and_never_more_than_is_held(mode: PositionMode) -> None:
    async with unified(position_mode=mode) as trader:
        await trader.buys("0.1")

        await trader.closes_long("0.04")
        part = trader.held()
        assert part is not None and part.size == Decimal("0.06")  # noqa: PT018
        await trader.closes_long("0.06")

        assert trader.held() is None
        with pytest.raises(ccxt.ExchangeError, match="25227"):
            await trader.closes_long("0.01")
        assert await trader.client.fetch_positions() == []
        [life] = await trader.client.fetch_positions_history([BTC])
        assert (life["side"], Decimal(life["contracts"])) == ("long", Decimal("0.1"))


@BOTH_MODES
async def test_a_short_is_closed_by_buying(mode: PositionMode) -> None:
    async with unified(position_mode=mode) as trader:
        await trader.sells_short("0.1")

        await trader.closes_short("0.1")

        assert trader.held(BTC, PositionSide.SHORT) is None
        assert [row.decimal("after") for row in trader.rows(RowKind.FILL)] == [Decimal("-0.1"), 0]


async def test_the_flash_close_takes_one_leg_and_leaves_the_other() -> None:
    async with unified() as trader:
        await trader.buys("0.1")
        await trader.sells_short("0.04")

        closed = await trader.client.close_position(BTC, "long")

        assert trader.held() is None
        assert trader.held(BTC, PositionSide.SHORT) is not None
        assert trader.rows(RowKind.FILL)[-1].details["order_id"] == closed["id"]


# Stops


@BOTH_MODES
async def test_a_stop_on_the_whole_position_rests_is_moved_in_place_and_is_cancelled(mode: PositionMode) -> None:
    async with unified(position_mode=mode) as trader:
        await trader.buys("0.1")
        placed = await _protect(trader, "sell", "0.1", stopLossPrice="88000", clientOrderId="stop1")

        [listed] = await trader.client.fetch_open_orders(BTC, params=STOPS)
        assert (listed["id"], listed["clientOrderId"], listed["stopLossPrice"]) == (placed["id"], "stop1", "88000")
        assert listed["status"] == "pending"  # a word of strategy orders that it doesn't know (UTA reference, 10.4)
        [resting] = trader.truth.open_plans(UID)
        assert (resting.size, resting.source) == (None, PriceSource.MARK)  # it asks for the mark unless told
        await trader.client.edit_order(placed["id"], BTC, "market", "sell", "0.1", None, {"stopLossPrice": "87000"})

        [moved] = trader.truth.open_plans(UID)
        assert (moved.plan_id, moved.trigger_price, moved.size) == (placed["id"], 87_000, None)
        cancelled = await trader.client.cancel_order(placed["id"], BTC, STOPS)

        assert cancelled["id"] is None  # the answer is the code alone (UTA reference, 10.3)
        assert trader.truth.open_plans(UID) == ()
        [gone] = await trader.client.fetch_canceled_and_closed_orders(BTC, params=STOPS)
        assert (gone["id"], gone["status"]) == (placed["id"], "canceled")


async def test_a_stop_right_after_the_fill_finds_no_position_yet() -> None:
    async with unified() as trader:
        await trader.buys("0.1")
        stop = {**trader.hedged, "reduceOnly": True, "stopLossPrice": "88000"}

        # The race of both families (Bitget reference, 12.2; UTA reference, 10.1): repeated until it is known.
        with pytest.raises(ccxt.ExchangeError, match="25601"):
            await trader.client.create_order(BTC, "market", "sell", "0.1", None, stop)
        await _protect(trader, "sell", "0.1", stopLossPrice="88000")

        assert len(trader.truth.open_plans(UID)) == 1


@BOTH_MODES
async def test_a_stop_needs_the_word_that_it_reduces(mode: PositionMode) -> None:
    async with unified(position_mode=mode) as trader:
        await trader.buys("0.1")
        await _protect(trader, "sell", "0.1", stopLossPrice="88000")
        bare = {**trader.hedged, "stopLossPrice": "87000"}

        # Without it ccxt names the side that `sell` would open, or none; it is the position's (UTA reference, 10.1).
        with pytest.raises(ccxt.ExchangeError, match=r"25200|400172"):
            await trader.client.create_order(BTC, "market", "sell", "0.1", None, bare)


@BOTH_MODES
async def test_a_stop_follows_the_position_and_closes_it_when_the_mark_falls(mode: PositionMode) -> None:
    async with unified(position_mode=mode) as trader:
        await trader.buys("0.1")
        placed = await _protect(trader, "sell", "0.1", stopLossPrice="88000")
        await trader.buys("0.02")

        trader.move(BTC, "87990")

        fill = trader.rows(RowKind.FILL)[-1]
        assert (fill.details["plan_id"], fill.decimal("size")) == (placed["id"], Decimal("0.12"))
        assert trader.held() is None
        assert trader.truth.plan(UID, plan_id=placed["id"]).status is PlanStatus.TRIGGERED
        assert await trader.client.fetch_open_orders(BTC, params=STOPS) == []


@BOTH_MODES
async def test_a_take_profit_and_a_stop_of_given_sizes_close_a_short_bit_by_bit(mode: PositionMode) -> None:
    async with unified(position_mode=mode) as trader:
        await trader.sells_short("0.1")

        await _protect(trader, "buy", "0.04", takeProfitPrice="89000", **PARTIAL)
        await _protect(trader, "buy", "0.06", stopLossPrice="92000", **PARTIAL)
        trader.move(BTC, "88990")
        trader.move(BTC, "92010")

        after = [row.decimal("after") for row in trader.rows(RowKind.FILL)]
        assert after == [Decimal("-0.1"), Decimal("-0.06"), 0]


async def test_a_sized_stop_is_moved_with_its_size_and_cancelled() -> None:
    async with unified() as trader:
        await trader.buys("0.1")
        placed = await _protect(trader, "sell", "0.04", stopLossPrice="88000", **PARTIAL)

        await trader.client.edit_order(placed["id"], BTC, "market", "sell", "0.06", None, {"stopLossPrice": "87000"})

        [plan] = trader.truth.open_plans(UID)
        assert (plan.size, plan.trigger_price) == (Decimal("0.06"), 87_000)
        await trader.client.cancel_order(placed["id"], BTC, STOPS)
        assert trader.truth.open_plans(UID) == ()


async def test_a_stop_that_comes_with_the_entry_protects_the_position() -> None:
    async with unified() as trader:
        await trader.buys("0.1", stopLoss={"triggerPrice": "85000"})

        [plan] = trader.truth.open_plans(UID)
        # It doesn't name the price that triggers, so it is the last one (UTA reference, 9.2).
        assert (plan.trigger_price, plan.reduce, plan.source) == (85_000, True, PriceSource.LAST)


async def test_a_trigger_order_is_an_order_at_once() -> None:
    async with unified() as trader:
        # ccxt adds `triggerPrice` to an ordinary order, which knows none (UTA reference, 9.2): it opens right away.
        await trader.client.create_order(BTC, "market", "buy", "0.01", None, {**trader.hedged, "triggerPrice": "95000"})

        [fill] = trader.rows(RowKind.FILL)
        assert (fill.details["plan_id"], fill.decimal("after")) == ("", Decimal("0.01"))


async def test_a_trigger_order_of_the_venues_own_waits_for_its_price() -> None:
    async with unified() as trader:
        words = {"category": "USDT-FUTURES", "symbol": "BTCUSDT", "type": "trigger", "side": "buy", "posSide": "long"}
        trigger = {"triggerBy": "mark", "triggerPrice": "91000", "triggerOrderType": "market", "qty": "0.01"}
        placed = await trader.client.privateUtaPostV3TradePlaceStrategyOrder({**words, **trigger})

        trader.move(BTC, "91010")

        [fill] = trader.rows(RowKind.FILL)
        assert fill.details["plan_id"] == placed["data"]["orderId"]


# Refusals


@pytest.mark.parametrize(
    ("credentials", "code"),
    [({"secret": "wrong"}, "40009"), ({"password": "wrong"}, "40012"), ({"apiKey": "unknown"}, r"40006|40012")],
)
async def test_wrong_credentials_are_refused(credentials: dict[str, str], code: str) -> None:
    async with unified(**credentials) as trader:
        with pytest.raises(ccxt.AuthenticationError, match=code):
            await trader.client.fetch_positions()


async def test_ccxt_finds_the_account_unified_by_asking() -> None:
    async with unified() as trader:
        trader.client.options["uta"] = None

        await trader.client.fetch_positions()

        assert trader.client.options["uta"] is True


async def _protect(trader: BitgetTrader, side: str, size: str, **more: str) -> dict[str, Any]:
    """A TP/SL by a market order of `side`, repeated while the venue doesn't see the position yet."""
    words = {**trader.hedged, "reduceOnly": True, **more}
    async with asyncio.timeout(_BLIND_S):
        while True:
            try:
                placed: dict[str, Any] = await trader.client.create_order(BTC, "market", side, size, None, words)
            except ccxt.ExchangeError as error:
                if "25601" not in str(error):
                    raise
                await asyncio.sleep(0.05)
            else:
                return placed
