"""ccxt's WebSocket side on the simulated Bitget's, classic and unified: what is told, refusals, a socket that ends."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from decimal import Decimal

import pytest

from guardd.simulator.faults import Fault, FaultKind
from guardd.simulator.ledger import RowKind
from guardd.simulator.orders import PositionMode, PositionSide
from tests.compat.bitget import SINCE, BitgetTrader, classic, unified
from tests.compat.trader import BTC, ETH, UID, require_ccxt

ccxt = require_ccxt("bitget", at_least=SINCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A family of accounts: how to trade on it, and what its topics are called."""

    trading: Callable[..., AbstractAsyncContextManager[BitgetTrader]]
    trades: str
    candles: str
    orders: str
    fills: str
    positions: str
    account: str
    liquidation: str  # of a position's row


CLASSIC = Side(
    trading=classic,
    trades="trade:BTCUSDT",
    candles="candle1m:BTCUSDT",
    orders="orders:default",
    fills="fill:default",
    positions="positions:default",
    account="account:default",
    liquidation="liquidationPrice",
)
UNIFIED = Side(
    trading=unified,
    trades="publicTrade:BTCUSDT",
    candles="kline@1m:BTCUSDT",
    orders="order:",
    fills="fill:",
    positions="position:",
    account="account:",
    liquidation="liqPrice",
)
BOTH = pytest.mark.parametrize("side", [CLASSIC, UNIFIED], ids=["classic", "unified"])
TICKER, BOOK = "ticker:BTCUSDT", "books5:BTCUSDT"


# Public topics


@BOTH
async def test_the_ticker_brings_the_last_and_the_best_prices_and_the_mark(side: Side) -> None:
    async with side.trading() as trader:
        await trader.hears(TICKER, trader.client.watch_ticker(BTC), lambda: None)

        trader.move(BTC, "90123.4")
        await trader.sees(lambda: Decimal(trader.client.tickers[BTC]["last"]) == Decimal("90123.4"))

        ticker, quote = trader.client.tickers[BTC], trader.truth.quote("BTCUSDT")
        assert quote is not None
        assert [Decimal(ticker[name]) for name in ("last", "bid", "ask")] == [quote.last, quote.bid, quote.ask]
        assert Decimal(ticker["info"]["markPrice"]) == quote.mark
        assert abs(ticker["timestamp"] - trader.server.now_ms()) < 1_000


@BOTH
async def test_the_tickers_of_several_contracts_name_each(side: Side) -> None:
    async with side.trading() as trader:
        await trader.hears(TICKER, trader.client.watch_tickers([BTC, ETH]), lambda: None)

        await trader.sees(lambda: {BTC, ETH} <= trader.client.tickers.keys())

        quote = trader.truth.quote("ETHUSDT")
        assert quote is not None
        assert Decimal(trader.client.tickers[ETH]["last"]) == quote.last


@BOTH
async def test_the_book_is_shown_whole(side: Side) -> None:
    async with side.trading() as trader:
        await trader.hears(BOOK, trader.client.watch_order_book(BTC, 5), lambda: None)

        book = await trader.hears(BOOK, trader.client.watch_order_book(BTC, 5), lambda: None)

        quote = trader.truth.quote("BTCUSDT")
        assert quote is not None
        assert [Decimal(str(book[each][0][0])) for each in ("bids", "asks")] == [quote.bid, quote.ask]
        assert len(book["bids"]) == len(book["asks"]) == 5


@BOTH
async def test_public_prints_and_candles_are_told(side: Side) -> None:
    async with side.trading() as trader:
        await trader.hears(side.trades, trader.client.watch_trades(BTC), lambda: None)  # what was before: nothing

        [trade] = await trader.hears(side.trades, trader.client.watch_trades(BTC), lambda: trader.move(BTC, "89900"))
        candles = await trader.hears(side.candles, trader.client.watch_ohlcv(BTC), lambda: None)

        [print_] = trader.dialect.desk.tape.prints("BTCUSDT", 1)
        assert (Decimal(trade["price"]), Decimal(trade["amount"])) == (print_.price, print_.size)
        assert trade["side"] == "sell"
        assert Decimal(candles[-1][4]) == 89_900


# Private topics


@BOTH
async def test_orders_are_told_from_submission_to_cancel(side: Side) -> None:
    async with side.trading() as trader:
        limit = {**trader.hedged, "clientOrderId": "told1"}
        [opened] = await trader.hears(
            side.orders,
            trader.client.watch_orders(BTC),
            lambda: trader.client.create_order(BTC, "limit", "buy", "0.05", "85000", limit),
        )
        at_first = dict(opened)  # the client changes what it handed out
        [ended] = await trader.hears(
            side.orders, trader.client.watch_orders(BTC), lambda: trader.client.cancel_order(opened["id"], BTC)
        )

        [order] = trader.truth.order_history(UID)
        assert opened["id"] == ended["id"] == order.order_id
        assert [at_first[name] for name in ("status", "side", "amount")] == ["open", "buy", "0.05"]
        assert at_first["info"]["price"] == "85000"
        assert (ended["status"], ended["clientOrderId"]) == ("canceled", "told1")


@BOTH
async def test_a_fill_is_told_as_an_order_and_as_a_trade(side: Side) -> None:
    async with side.trading() as trader:
        [trade] = await trader.hears(side.fills, trader.client.watch_my_trades(BTC), lambda: trader.buys("0.1"))
        [order] = await trader.hears(side.orders, trader.client.watch_orders(BTC), lambda: trader.closes_long("0.04"))

        opened, closed = trader.rows(RowKind.FILL)
        assert (trade["id"], trade["order"]) == (opened.details["trade_id"], opened.details["order_id"])
        assert (Decimal(trade["price"]), Decimal(trade["amount"])) == (opened.decimal("price"), opened.decimal("size"))
        assert trade["side"] == "buy"
        assert (order["id"], order["status"]) == (closed.details["order_id"], "closed")
        assert (Decimal(order["filled"]), Decimal(order["average"])) == (Decimal("0.04"), closed.decimal("price"))
        assert Decimal(order["fee"]["cost"]) == closed.decimal("fee")


@BOTH
async def test_a_position_is_told_when_it_opens(side: Side) -> None:
    async with side.trading() as trader:
        before = await trader.hears(side.positions, trader.client.watch_positions(), lambda: None)
        assert before == []  # everything is shown first, and that is nothing

        [told] = await trader.hears(side.positions, trader.client.watch_positions(), lambda: trader.sells_short("0.1"))

        view = trader.held(BTC, PositionSide.SHORT)
        assert view is not None
        assert view.liquidation_price is not None
        assert (told["side"], told["hedged"], told["marginMode"]) == ("short", True, "cross")
        assert (Decimal(told["contracts"]), Decimal(told["entryPrice"])) == (view.size, view.entry_price)
        assert Decimal(told["info"][side.liquidation]) == pytest.approx(view.liquidation_price, rel=Decimal("1e-6"))


async def test_a_closed_position_of_a_classic_account_is_missing_from_the_list() -> None:
    async with classic(position_mode=PositionMode.ONE_WAY) as trader:
        await trader.sells_short("0.1")
        await trader.hears(CLASSIC.positions, trader.client.watch_positions(), lambda: None)

        told = await trader.hears(
            CLASSIC.positions, trader.client.watch_positions(), lambda: trader.closes_short("0.1")
        )

        assert told == []


async def test_a_closed_position_of_a_unified_account_is_told_with_nothing_held() -> None:
    async with unified(position_mode=PositionMode.ONE_WAY) as trader:
        await trader.sells_short("0.1")
        await trader.hears(UNIFIED.positions, trader.client.watch_positions(), lambda: None)

        [told] = await trader.hears(
            UNIFIED.positions, trader.client.watch_positions(), lambda: trader.closes_short("0.1")
        )

        assert (told["side"], Decimal(told["contracts"])) == ("short", 0)
        assert told["info"]["positionStatus"] == "ended"


@BOTH
async def test_the_balance_is_told_at_first_and_on_change(side: Side) -> None:
    async with side.trading() as trader:
        before = await trader.hears(side.account, trader.client.watch_balance(), lambda: None)
        assert Decimal(before["USDT"]["free"]) == 10_000

        told = await trader.hears(side.account, trader.client.watch_balance(), lambda: trader.buys("0.1"))

        view, equity = trader.held(), trader.truth.balance(UID).equity
        assert view is not None
        # Of a classic account ccxt's total is the equity, of a unified one the coin's balance.
        assert Decimal(told["USDT"]["total"]) == (equity if side is CLASSIC else equity - view.unrealized_pnl)


async def test_a_stop_is_told_when_it_rests_and_when_it_is_gone() -> None:
    async with classic() as trader:
        await trader.buys("0.1")
        stop = {**trader.hedged, "stopLossPrice": "88000", "clientOrderId": "stop1"}

        [resting] = await trader.hears(
            "orders-algo:default",
            trader.client.watch_orders(BTC, params={"trigger": True}),
            lambda: trader.client.create_order(BTC, "market", "sell", "0.1", None, stop),
        )
        seen = (resting["id"], resting["status"], Decimal(resting["triggerPrice"]), resting["info"]["planType"])
        trader.move(BTC, "87990")
        await trader.sees(lambda: trader.client.triggerOrders[-1]["status"] != "open")

        [plan] = trader.truth.plan_history(UID)
        assert seen == (plan.plan_id, "open", 88_000, "psl")
        assert trader.client.triggerOrders[-1]["info"]["status"] in ("executing", "executed")


# Refusals and ends


@BOTH
@pytest.mark.parametrize("credentials", [{"secret": "wrong"}, {"apiKey": "unknown"}], ids=["secret", "key"])
async def test_a_login_with_wrong_credentials_is_refused(side: Side, credentials: dict[str, str]) -> None:
    async with side.trading(**credentials) as trader:
        with pytest.raises(ccxt.AuthenticationError):
            await trader.client.watch_orders(BTC)


@BOTH
async def test_a_socket_that_the_venue_ends_is_opened_anew_by_the_next_watch(side: Side) -> None:
    async with side.trading() as trader:
        await trader.hears(side.orders, trader.client.watch_orders(BTC), lambda: trader.buys("0.01"))
        [first] = [each for each in trader.dialect.streams.sessions if each.uid == UID]
        now_ms = trader.server.now_ms()
        trader.server.faults.set(Fault(name="end", kind=FaultKind.CLOSE_SOCKET, times=1, from_ms=now_ms))

        with pytest.raises(ccxt.NetworkError):
            await trader.client.watch_orders(ETH)
        await trader.sees(lambda: first not in trader.dialect.streams.sessions)
        [order] = await trader.hears(side.orders, trader.client.watch_orders(ETH), lambda: trader.buys("1", ETH))

        assert order["symbol"] == ETH
