"""ccxt's WebSocket side on the simulator's: public topics, private topics, refusals, a socket that ends."""

from decimal import Decimal

import pytest

from guardd.simulator.dialects.bitmart.desk import Options
from guardd.simulator.faults import Fault, FaultKind
from guardd.simulator.ledger import RowKind
from guardd.simulator.orders import PositionMode, PositionSide
from tests.compat.bitmart import IN_FUTURES, LEVERAGE, BitmartTrader, trading
from tests.compat.trader import BTC, ETH, UID, require_ccxt

ccxt = require_ccxt("bitmart")

TICKER, BOOK, TRADES = "futures/ticker:BTCUSDT", "futures/depth50:BTCUSDT", "futures/trade:BTCUSDT"
ORDERS, POSITIONS, ASSET = "futures/order", "futures/position", "futures/asset:USDT"
AS_CAPTURED = Options(ticker_interval_ms=100, candles_in_items=True)


# Public topics


async def test_the_ticker_brings_the_mark_and_the_best_prices() -> None:
    async with trading() as trader:
        await trader.hears(TICKER, trader.client.watch_ticker(BTC), lambda: None)

        ticker = await trader.hears(TICKER, trader.client.watch_ticker(BTC), lambda: trader.move(BTC, "90123.4"))

        quote = trader.truth.quote("BTCUSDT")
        assert quote is not None
        assert (ticker["markPrice"], ticker["indexPrice"], ticker["last"]) == (quote.mark, quote.index, quote.last)
        assert (ticker["bid"], ticker["ask"]) == (quote.bid, quote.ask)
        assert ticker["timestamp"] is None  # there is none (quirk 27)


async def test_the_ticker_of_all_contracts_names_each() -> None:
    async with trading() as trader:
        # For the best prices ccxt takes the ticker of all contracts.
        best = await trader.hears("futures/ticker", trader.client.watch_bids_asks([ETH]), lambda: None)

        quote = trader.truth.quote("ETHUSDT")
        assert quote is not None
        assert (best[ETH]["bid"], best[ETH]["ask"]) == (quote.bid, quote.ask)


async def test_the_book_is_put_together_from_one_side_a_frame() -> None:
    async with trading() as trader:
        book = await trader.hears(BOOK, trader.client.watch_order_book(BTC), lambda: None)

        quote = trader.truth.quote("BTCUSDT")
        assert quote is not None
        best = [Decimal(str(book[side][0][0])) for side in ("bids", "asks")]
        assert best == [quote.bid, quote.ask]
        assert len(book["bids"]) == len(book["asks"]) == 50


async def test_public_prints_carry_price_and_taker_side() -> None:
    async with trading() as trader:
        [trade] = await trader.hears(TRADES, trader.client.watch_trades(BTC), lambda: trader.move(BTC, "89900"))

        [print_] = trader.dialect.desk.tape.prints("BTCUSDT", 1)
        assert (trade["price"], trade["amount"], trade["side"]) == (print_.price, print_.size, "sell")
        assert trade["id"] == str(print_.trade_id)
        assert abs(trade["timestamp"] - print_.at_ms) < 1


async def test_the_funding_rate_is_told_at_once() -> None:
    async with trading() as trader:
        rate = await trader.hears("futures/fundingRate:BTCUSDT", trader.client.watch_funding_rate(BTC), lambda: None)

        tape = trader.dialect.desk.tape
        assert rate["fundingRate"] == tape.settled_rate("BTCUSDT")
        assert rate["nextFundingRate"] == tape.expected_rate("BTCUSDT")


async def test_candles_are_read_in_the_captured_form() -> None:
    async with trading(options=AS_CAPTURED) as trader:
        # Documented is a flat object, captured a list `items`; ccxt reads the captured form only (reference 19.1).
        candles = await trader.hears("futures/klineBin1m:BTCUSDT", trader.client.watch_ohlcv(BTC), lambda: None)

        newest = trader.dialect.desk.tape.newest("BTCUSDT", marks=False)
        assert newest is not None
        assert candles[-1][:5] == [newest.at_ms, newest.open, newest.high, newest.low, newest.close]


# Private topics


async def test_orders_are_told_from_submission_to_cancel() -> None:
    async with trading() as trader:
        limit = {"leverage": LEVERAGE, "clientOrderId": "told1"}
        [opened] = await trader.hears(
            ORDERS,
            trader.client.watch_orders(BTC),
            lambda: trader.client.create_order(BTC, "limit", "buy", 50, 85_000, limit),
        )
        at_first = dict(opened)  # the client changes what it handed out
        [ended] = await trader.hears(
            ORDERS, trader.client.watch_orders(BTC), lambda: trader.client.cancel_order(opened["id"], BTC)
        )

        [order] = trader.truth.order_history(UID)
        assert opened["id"] == ended["id"] == order.order_id
        assert [at_first[name] for name in ("status", "side", "price", "amount")] == ["open", "buy", 85_000, 50]
        assert (ended["status"], ended["clientOrderId"]) == ("canceled", "told1")


async def test_a_fill_is_told_with_its_last_trade() -> None:
    async with trading() as trader:
        await trader.hears(ORDERS, trader.client.watch_orders(BTC), lambda: trader.buys(1))
        await trader.sees(lambda: _told_fills(trader) == 1)

        await trader.buys(100)
        await trader.sees(lambda: _told_fills(trader) == 2)

        fill = trader.rows(RowKind.FILL)[-1]
        told = next(each for each in trader.client.orders if each["id"] == fill.details["order_id"])
        assert (told["filled"], told["average"]) == (fill.decimal("size"), fill.decimal("price"))
        last = told["info"]["order"]["last_trade"]
        assert (str(last["lastTradeID"]), Decimal(last["fillPrice"])) == (
            fill.details["trade_id"],
            fill.decimal("price"),
        )
        assert -Decimal(last["fee"]) == fill.decimal("fee")  # negative is paid (reference 14.9)


async def test_the_order_of_a_fired_stop_names_its_plan() -> None:
    async with trading() as trader:
        await trader.buys(100)
        stop = {"stopLossPrice": 88_000, "price_type": 2}
        placed = await trader.client.create_order(BTC, "market", "sell", None, None, stop)

        await trader.hears(ORDERS, trader.client.watch_orders(BTC), lambda: trader.move(BTC, "87990"))
        await trader.sees(lambda: _told_fills(trader) == 1)

        told = [each["info"]["order"] for each in trader.client.orders]
        assert placed["id"] in {each["plan_order_id"] for each in told}
        assert trader.held() is None


async def test_a_position_is_told_with_its_side_margin_mode_and_liquidation_price() -> None:
    async with trading() as trader:
        await trader.client.set_leverage(LEVERAGE, BTC, {"marginMode": "isolated"})
        await trader.buys(100, marginMode="isolated")

        [told] = await trader.hears(
            POSITIONS,
            trader.client.watch_positions([BTC]),
            lambda: trader.sells_short(40, marginMode="isolated"),
        )

        view = trader.held(BTC, PositionSide.SHORT)
        assert view is not None
        assert view.liquidation_price is not None
        assert (told["side"], told["contracts"], told["marginMode"]) == ("short", 40, "isolated")
        assert told["entryPrice"] == view.entry_price
        assert told["liquidationPrice"] == view.liquidation_price.quantize(Decimal("1E-8"))
        # Its "mark" is the average price of what is held: the topic carries no mark (reference 14.8).
        assert told["markPrice"] == view.entry_price != view.mark_price


async def test_a_closed_position_is_told_with_nothing_held() -> None:
    async with trading(position_mode=PositionMode.ONE_WAY) as trader:
        await trader.sells_short(40)
        close = {"reduceOnly": True}

        [told] = await trader.hears(
            POSITIONS,
            trader.client.watch_positions(),
            lambda: trader.client.create_order(BTC, "market", "buy", 40, None, close),
        )

        assert (told["side"], told["contracts"]) == ("short", 0)
        assert Decimal(told["info"]["close_volume"]) == 40


async def test_the_balance_is_told_on_change() -> None:
    async with trading() as trader:
        before = await trader.hears(ASSET, trader.client.watch_balance(IN_FUTURES), lambda: None)
        assert before["USDT"]["free"] == 10_000

        told = await trader.hears(ASSET, trader.client.watch_balance(IN_FUTURES), lambda: trader.buys(100))

        balance = trader.truth.balance(UID)
        assert (told["USDT"]["free"], told["USDT"]["used"]) == (balance.available, balance.frozen)
        assert Decimal(told["info"]["data"]["position_deposit"]) == balance.position_margin


# Refusals and ends


@pytest.mark.parametrize("credentials", [{"secret": "wrong"}, {"apiKey": "unknown"}])
async def test_a_login_with_wrong_credentials_is_refused(credentials: dict[str, str]) -> None:
    async with trading(**credentials) as trader:
        with pytest.raises(ccxt.AuthenticationError, match="access failed"):
            await trader.client.watch_orders(BTC)


async def test_a_socket_that_the_venue_ends_is_opened_anew_by_the_next_watch() -> None:
    async with trading() as trader:
        await trader.hears(ORDERS, trader.client.watch_orders(BTC), lambda: trader.buys(1))
        [first] = [each for each in trader.dialect.streams.sessions if each.uid == UID]
        now_ms = trader.server.now_ms()
        trader.server.faults.set(Fault(name="end", kind=FaultKind.CLOSE_SOCKET, times=1, from_ms=now_ms))

        with pytest.raises(ccxt.NetworkError):
            await trader.client.watch_orders(ETH)
        await trader.sees(lambda: first not in trader.dialect.streams.sessions)
        [order] = await trader.hears(ORDERS, trader.client.watch_orders(ETH), lambda: trader.buys(10, ETH))

        assert order["symbol"] == ETH


def _told_fills(trader: BitmartTrader) -> int:
    return sum(each["info"]["action"] == 1 for each in trader.client.orders or ())
