"""A client that nobody here wrote trades on the simulator: ccxt's current Bitget class with a classic account, over REST.

Where ccxt departs from the venue's reference (its sections are cited as "Bitget reference, n"), the test shows the
departure, says which section proves it, and goes on through ccxt's own `params`.
"""

from decimal import Decimal

import pytest

from guardd.simulator import truth
from guardd.simulator.contracts import ContractStatus
from guardd.simulator.ledger import RowKind
from guardd.simulator.orders import MarginMode, OrderStatus, PlanStatus, PositionMode, PositionSide, PriceSource
from tests.compat.bitget import SINCE, classic
from tests.compat.trader import BTC, ETH, UID, require_ccxt

ccxt = require_ccxt("bitget", at_least=SINCE)

ONE_WAY = PositionMode.ONE_WAY
BOTH_MODES = pytest.mark.parametrize("mode", list(PositionMode))
TPSL = {"trigger": True, "planType": "profit_loss"}  # it lists trigger orders unless told (Bitget reference, 12.1)
STOP_OF_POSITION = {"trigger": True, "planType": "pos_loss"}


# The market


async def test_every_contract_is_read_with_its_tick_step_limits_and_status() -> None:
    async with classic() as trader:
        trader.exchange.set_status("DOGEUSDT", ContractStatus.DELISTED, trader.server.now_ms())

        markets = await trader.client.load_markets(True)

        by_id = {market["id"]: market for market in markets.values()}
        assert by_id.keys() == {contract.symbol for contract in trader.truth.contracts()} | {"BTCUSD"}
        for contract in trader.truth.contracts():
            market = by_id[contract.symbol]
            assert (market["swap"], market["linear"], market["settle"]) == (True, True, contract.settle)
            assert Decimal(market["contractSize"]) == 1  # sizes are in the base coin
            assert Decimal(market["precision"]["price"]) == contract.tick
            assert Decimal(market["precision"]["amount"]) == contract.step
            assert Decimal(market["limits"]["amount"]["min"]) == contract.min_size
            assert Decimal(market["limits"]["leverage"]["max"]) == contract.max_leverage
            assert market["active"] is (contract.symbol != "DOGEUSDT")
        assert by_id["BTCUSD"]["inverse"]


async def test_the_tiers_are_the_contracts() -> None:
    async with classic() as trader:
        read = await trader.client.fetch_market_leverage_tiers(BTC)

        tiers = trader.contract(BTC).tiers
        assert [Decimal(row["maintenanceMarginRate"]) for row in read] == [tier.rate for tier in tiers]
        assert [Decimal(row["maxNotional"]) for row in read] == [tier.cap for tier in tiers]
        assert [Decimal(row["maxLeverage"]) for row in read] == [tier.max_leverage for tier in tiers]


async def test_time_tickers_book_and_candles_carry_the_quote() -> None:
    async with classic() as trader:
        trader.move(BTC, "90123.4")
        quote = trader.truth.quote("BTCUSDT")
        assert quote is not None

        ticker = await trader.client.fetch_ticker(BTC)
        tickers = await trader.client.fetch_tickers()
        book = await trader.client.fetch_order_book(BTC)
        marks = await trader.client.fetch_ohlcv(BTC, params={"price": "mark"})
        [print_] = await trader.client.fetch_trades(BTC)

        assert abs(await trader.client.fetch_time() - trader.server.now_ms()) < 1_000
        read = [Decimal(ticker[name]) for name in ("last", "markPrice", "indexPrice", "bid", "ask")]
        assert read == [quote.last, quote.mark, quote.index, quote.bid, quote.ask]
        assert len(tickers) == 5  # of one product type: USDT-M
        assert [Decimal(str(book[side][0][0])) for side in ("bids", "asks")] == [quote.bid, quote.ask]
        assert Decimal(marks[-1][4]) == quote.mark
        assert (Decimal(print_["price"]), print_["side"]) == (quote.last, "buy")


async def test_funding_and_open_interest_are_read() -> None:
    async with classic() as trader:
        await trader.buys("0.1")

        coming = await trader.client.fetch_funding_rate(BTC)
        past = await trader.client.fetch_funding_rate_history(BTC, limit=3)
        interest = await trader.client.fetch_open_interest(BTC)

        assert Decimal(coming["fundingRate"]) == trader.dialect.desk.tape.expected_rate("BTCUSDT")
        assert coming["fundingTimestamp"] > trader.server.now_ms()
        assert len(past) == 3
        assert Decimal(interest["openInterestAmount"]) == Decimal("0.1")


# The account


async def test_the_balance_is_the_wallets() -> None:
    async with classic() as trader:
        await trader.buys("0.1")
        await trader.client.create_order(BTC, "limit", "buy", "0.01", "80000", trader.hedged)

        read = await trader.client.fetch_balance()

        balance = trader.truth.balance(UID)
        assert Decimal(read["USDT"]["total"]) == balance.equity
        [row] = [row for row in read["info"] if row["marginCoin"] == "USDT"]
        # What ccxt calls free is what may be transferred out (Bitget reference, 7.1).
        assert read["USDT"]["free"] == row["maxTransferOut"]
        assert Decimal(row["accountEquity"]) == balance.equity


async def test_leverage_and_margin_mode_are_set_and_read_back() -> None:
    async with classic() as trader:
        await trader.client.set_leverage(20, BTC)
        with pytest.raises(ccxt.ExchangeError, match="45045"):
            await trader.client.set_leverage(126, BTC)
        await trader.client.set_margin_mode("isolated", BTC)

        settings = trader.truth.settings(UID, "BTCUSDT")
        assert (settings.margin_mode, settings.long_leverage) == (MarginMode.ISOLATED, 20)
        read = await trader.client.fetch_leverage(BTC)
        assert (read["marginMode"], int(read["longLeverage"]), int(read["shortLeverage"])) == ("isolated", 20, 20)
        assert (await trader.client.fetch_margin_mode(BTC))["marginMode"] == "isolated"


async def test_a_long_and_a_short_of_one_symbol_are_two_positions_in_hedge_mode() -> None:
    async with classic() as trader:
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
            assert Decimal(each["notional"]) == view.size * 91_000


async def test_a_position_of_one_way_mode_turns_through_zero() -> None:
    async with classic(position_mode=ONE_WAY) as trader:
        await trader.buys("0.1")
        await trader.sells_short("0.14")

        position = await trader.client.fetch_position(BTC)

        view = trader.held(BTC, PositionSide.SHORT)
        assert view is not None
        assert (position["side"], position["hedged"]) == ("short", False)
        assert Decimal(position["contracts"]) == view.size == Decimal("0.04")


async def test_the_position_mode_changes_while_nothing_is_held_and_is_refused_after() -> None:
    async with classic() as trader:
        await trader.client.set_position_mode(False, BTC)
        assert trader.mode is ONE_WAY

        await trader.buys("0.01")

        with pytest.raises(ccxt.ExchangeError, match="40920"):
            await trader.client.set_position_mode(True, BTC)


async def test_isolated_margin_is_added_and_taken_away() -> None:
    async with classic() as trader:
        await trader.client.set_margin_mode("isolated", BTC)
        await trader.buys("0.1", marginMode="isolated")
        before = trader.held()

        await trader.client.add_margin(BTC, 50, {"holdSide": "long"})
        more = trader.held()
        await trader.client.reduce_margin(BTC, -20, {"holdSide": "long"})
        less = trader.held()

        assert before is not None and more is not None and less is not None  # noqa: PT018
        assert (more.margin - before.margin, less.margin - before.margin) == (50, 30)


async def test_money_moves_between_the_wallets_and_shows_in_the_ledger() -> None:
    async with classic() as trader:
        await trader.client.transfer("USDT", "10", "spot", "swap")

        assert trader.truth.balance(UID).available == 10_010
        newest = (await trader.client.fetch_ledger("USDT"))[-1]
        assert (newest["type"], newest["direction"], Decimal(newest["amount"])) == ("transfer", "in", 10)
        assert Decimal(newest["after"]) == 10_010


# Orders


@BOTH_MODES
async def test_a_market_order_fills_and_every_reading_of_it_agrees_with_the_ledger(mode: PositionMode) -> None:
    async with classic(position_mode=mode) as trader:
        placed = await trader.buys("0.1", clientOrderId="first1")

        [fill] = trader.rows(RowKind.FILL)
        assert (fill.details["order_id"], fill.details["client_id"]) == (placed["id"], "first1")
        order = await trader.client.fetch_order(placed["id"], BTC)
        assert (order["status"], order["side"], order["clientOrderId"]) == ("closed", "buy", "first1")
        assert (Decimal(order["filled"]), Decimal(order["average"])) == (fill.decimal("size"), fill.decimal("price"))
        [trade] = await trader.client.fetch_my_trades(BTC)
        assert (trade["id"], trade["order"], trade["takerOrMaker"]) == (fill.details["trade_id"], placed["id"], "taker")
        assert (Decimal(trade["price"]), Decimal(trade["amount"])) == (fill.decimal("price"), fill.decimal("size"))
        assert (Decimal(trade["fee"]["cost"]), trade["fee"]["currency"]) == (fill.decimal("fee"), "USDT")
        [finished] = await trader.client.fetch_closed_orders(BTC)
        assert finished["id"] == placed["id"]


async def test_a_limit_order_rests_and_fills_as_maker_when_the_price_comes() -> None:
    async with classic() as trader:
        placed = await trader.client.create_order(BTC, "limit", "buy", "0.05", "89000", trader.hedged)

        [resting] = await trader.client.fetch_open_orders(BTC)
        assert (resting["id"], resting["price"], resting["remaining"]) == (placed["id"], "89000", "0.05")
        assert await trader.client.fetch_open_orders(ETH) == []
        trader.move(BTC, "88900")

        [trade] = await trader.client.fetch_my_trades(BTC)
        assert (trade["takerOrMaker"], trade["price"]) == ("maker", "89000")
        assert await trader.client.fetch_open_orders(BTC) == []


async def test_a_limit_order_is_replaced_under_a_new_client_id() -> None:
    async with classic() as trader:
        placed = await trader.client.create_order(BTC, "limit", "buy", "0.05", "85000", trader.hedged)

        # Of itself ccxt takes a UUID, 36 characters; the guide's rule allows 32 (Bitget reference, 11.3).
        with pytest.raises(ccxt.BadRequest, match="40305"):
            await trader.client.edit_order(placed["id"], BTC, "limit", "buy", "0.06", "84000")
        await trader.client.edit_order(
            placed["id"], BTC, "limit", "buy", "0.06", "84000", {"newClientOrderId": "second2"}
        )

        [resting] = trader.truth.open_orders(UID)
        assert (resting.client_id, resting.size, resting.price) == ("second2", Decimal("0.06"), 84_000)


async def test_orders_are_cancelled_by_id_by_client_id_and_all_together() -> None:
    async with classic() as trader:
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


async def test_an_order_is_refused_while_another_holds_its_client_id() -> None:
    async with classic() as trader:
        again = {**trader.hedged, "clientOrderId": "once"}
        await trader.client.create_order(BTC, "limit", "buy", "0.01", "85000", again)

        with pytest.raises(ccxt.ExchangeError, match="40786"):
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
    async with classic() as trader:
        placed = await trader.client.create_order(BTC, "limit", "buy", "0.01", price, {**trader.hedged, **more})

        order = trader.truth.order(UID, order_id=placed["id"])
        assert (order.status is OrderStatus.WORKING) is rests
        assert order.filled == 0


# Closing


@BOTH_MODES
async def test_reduce_only_closes_a_part_then_the_rest_and_never_more_than_is_held(mode: PositionMode) -> None:
    async with classic(position_mode=mode) as trader:
        await trader.buys("0.1")

        await trader.closes_long("0.04")
        part = trader.held()
        assert part is not None and part.size == Decimal("0.06")  # noqa: PT018
        await trader.closes_long("0.06")

        assert trader.held() is None
        with pytest.raises(ccxt.ExchangeError, match=r"22002|40804"):
            await trader.closes_long("0.01")
        assert await trader.client.fetch_positions() == []
        [life] = await trader.client.fetch_positions_history([BTC])
        assert (life["side"], Decimal(life["contracts"])) == ("long", Decimal("0.1"))


@BOTH_MODES
async def test_a_short_is_closed_by_buying(mode: PositionMode) -> None:
    async with classic(position_mode=mode) as trader:
        await trader.sells_short("0.1")

        await trader.closes_short("0.1")

        assert trader.held(BTC, PositionSide.SHORT) is None
        assert [row.decimal("after") for row in trader.rows(RowKind.FILL)] == [Decimal("-0.1"), 0]


async def test_the_flash_close_takes_one_leg_and_leaves_the_other() -> None:
    async with classic() as trader:
        await trader.buys("0.1")
        await trader.sells_short("0.04")

        closed = await trader.client.close_position(BTC, "long")

        assert trader.held() is None
        assert trader.held(BTC, PositionSide.SHORT) is not None
        assert trader.rows(RowKind.FILL)[-1].details["order_id"] == closed["id"]


# Stops


@BOTH_MODES
async def test_a_stop_on_the_whole_position_rests_is_moved_in_place_and_is_cancelled(mode: PositionMode) -> None:
    async with classic(position_mode=mode) as trader:
        await trader.buys("0.1")
        stop = {**trader.hedged, "stopLossPrice": "88000", "clientOrderId": "stop1"}
        placed = await trader.client.create_order(BTC, "market", "sell", "0.1", None, stop)

        [listed] = await trader.client.fetch_open_orders(BTC, params=TPSL)
        assert (listed["id"], listed["clientOrderId"], listed["status"]) == (placed["id"], "stop1", "open")
        assert (listed["triggerPrice"], listed["info"]["planType"]) == ("88000", "pos_loss")
        [resting] = trader.truth.open_plans(UID)
        assert (resting.size, resting.source) == (None, PriceSource.MARK)  # it asks for the mark unless told
        await trader.client.edit_order(placed["id"], BTC, "market", "sell", "0.1", None, {"stopLossPrice": "87000"})

        [moved] = trader.truth.open_plans(UID)
        assert (moved.plan_id, moved.trigger_price) == (placed["id"], 87_000)
        # Without `planType` only trigger orders are looked at, and nothing says that it wasn't one (Bitget reference, 12.6).
        await trader.client.cancel_order(placed["id"], BTC, {"trigger": True})
        assert trader.truth.open_plans(UID) == (moved,)
        await trader.client.cancel_order(placed["id"], BTC, STOP_OF_POSITION)

        assert trader.truth.open_plans(UID) == ()
        [gone] = await trader.client.fetch_canceled_and_closed_orders(BTC, params=TPSL)
        assert (gone["id"], gone["status"]) == (placed["id"], "canceled")


async def test_the_side_of_a_listed_stop_is_the_positions() -> None:
    async with classic() as trader:
        await trader.buys("0.1")
        await trader.client.create_order(
            BTC, "market", "sell", "0.1", None, {**trader.hedged, "stopLossPrice": "88000"}
        )

        [listed] = await trader.client.fetch_open_orders(BTC, params=TPSL)

        # In hedge mode the row names the position's direction (Bitget reference, 12.7), which ccxt passes on as the order's.
        assert (listed["side"], listed["info"]["tradeSide"]) == ("buy", "close")


@BOTH_MODES
async def test_a_stop_follows_the_position_and_closes_it_when_the_mark_falls(mode: PositionMode) -> None:
    async with classic(position_mode=mode) as trader:
        await trader.buys("0.1")
        stop = {**trader.hedged, "stopLossPrice": "88000"}
        placed = await trader.client.create_order(BTC, "market", "sell", "0.1", None, stop)
        await trader.buys("0.02")

        trader.move(BTC, "87990")

        fill = trader.rows(RowKind.FILL)[-1]
        assert (fill.details["plan_id"], fill.decimal("size")) == (placed["id"], Decimal("0.12"))
        assert trader.held() is None
        assert trader.truth.plan(UID, plan_id=placed["id"]).status is PlanStatus.TRIGGERED
        assert await trader.client.fetch_open_orders(BTC, params=TPSL) == []
        [fired] = await trader.client.fetch_canceled_and_closed_orders(BTC, params=TPSL)
        assert fired["info"]["executeOrderId"] == fill.details["order_id"]


@BOTH_MODES
async def test_a_take_profit_and_a_stop_of_given_sizes_close_a_short_bit_by_bit(mode: PositionMode) -> None:
    async with classic(position_mode=mode) as trader:
        await trader.sells_short("0.1")
        # ccxt makes every TP/SL one of the whole position; a sized one takes the venue's own word (Bitget reference, 12.2).
        profit = {**trader.hedged, "takeProfitPrice": "89000", "planType": "profit_plan"}
        loss = {**trader.hedged, "stopLossPrice": "92000", "planType": "loss_plan"}

        await trader.client.create_order(BTC, "market", "buy", "0.04", None, profit)
        await trader.client.create_order(BTC, "market", "buy", "0.06", None, loss)
        trader.move(BTC, "88990")
        trader.move(BTC, "92010")

        after = [row.decimal("after") for row in trader.rows(RowKind.FILL)]
        assert after == [Decimal("-0.1"), Decimal("-0.06"), 0]


async def test_a_sized_stop_is_moved_with_its_size_and_cancelled() -> None:
    async with classic() as trader:
        await trader.buys("0.1")
        sized = {**trader.hedged, "stopLossPrice": "88000", "planType": "loss_plan"}
        placed = await trader.client.create_order(BTC, "market", "sell", "0.04", None, sized)

        await trader.client.edit_order(placed["id"], BTC, "market", "sell", "0.06", None, {"stopLossPrice": "87000"})

        [plan] = trader.truth.open_plans(UID)
        assert (plan.size, plan.trigger_price) == (Decimal("0.06"), 87_000)
        await trader.client.cancel_order(placed["id"], BTC, {"trigger": True, "planType": "loss_plan"})
        assert trader.truth.open_plans(UID) == ()


async def test_a_stop_that_comes_with_the_entry_protects_the_position() -> None:
    async with classic() as trader:
        await trader.buys("0.1", stopLoss={"triggerPrice": "85000"})

        [plan] = trader.truth.open_plans(UID)
        assert (plan.symbol, plan.trigger_price, plan.reduce) == ("BTCUSDT", 85_000, True)


async def test_a_stop_on_the_wrong_side_or_without_a_position_is_refused() -> None:
    async with classic() as trader:
        stop = {**trader.hedged, "stopLossPrice": "88000"}
        with pytest.raises(ccxt.ExchangeError, match="43023"):
            await trader.client.create_order(BTC, "market", "sell", "0.1", None, stop)
        await trader.buys("0.1")

        with pytest.raises(ccxt.ExchangeError, match="40917"):
            await trader.client.create_order(BTC, "market", "sell", "0.1", None, {**stop, "stopLossPrice": "90500"})

        assert trader.truth.open_plans(UID) == ()


async def test_a_trigger_order_opens_when_the_price_is_reached() -> None:
    async with classic() as trader:
        trigger = {**trader.hedged, "triggerPrice": "91000"}
        placed = await trader.client.create_order(BTC, "market", "buy", "0.01", None, trigger)

        [listed] = await trader.client.fetch_open_orders(BTC, params={"trigger": True})
        assert (listed["id"], listed["triggerPrice"]) == (placed["id"], "91000")
        trader.move(BTC, "91010")

        [fill] = trader.rows(RowKind.FILL)
        assert (fill.details["plan_id"], fill.decimal("after")) == (placed["id"], Decimal("0.01"))


# Refusals


@pytest.mark.parametrize(
    ("credentials", "code"),
    [({"secret": "wrong"}, "40009"), ({"password": "wrong"}, "40012"), ({"apiKey": "unknown"}, "40006|40012")],
)
async def test_wrong_credentials_are_refused(credentials: dict[str, str], code: str) -> None:
    async with classic(**credentials) as trader:
        with pytest.raises(ccxt.AuthenticationError, match=code):
            await trader.client.fetch_positions()


async def test_ccxt_finds_the_account_classic_by_asking() -> None:
    async with classic() as trader:
        trader.client.options["uta"] = None

        await trader.client.fetch_positions()

        # It takes any failure of the unified account's settings for this answer; the code is what proves it (10).
        assert trader.client.options["uta"] is False
