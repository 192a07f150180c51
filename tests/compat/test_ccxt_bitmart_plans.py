"""Stops, take-profits, plan and trailing orders through ccxt. Departures from the reference as in `test_ccxt_bitmart`."""

from decimal import Decimal

import pytest

from guardd.simulator import truth
from guardd.simulator.ledger import RowKind
from guardd.simulator.orders import PlanStatus, PositionSide
from tests.compat.bitmart import LEVERAGE, trading
from tests.compat.trader import BTC, UID, require_ccxt

ccxt = require_ccxt("bitmart")


async def test_a_stop_on_the_whole_position_rests_follows_and_closes_it_when_the_mark_falls() -> None:
    async with trading() as trader:
        await trader.buys(100)
        stop = {"stopLossPrice": 88_000, "price_type": 2, "clientOrderId": "stop1"}
        # With a size ccxt leaves `plan_category` to its default, which it believes to be 1; it has been 2 since
        # 2024-10-10, and a whole-position order carries no size (reference 11.1, 19.1, quirk 17).
        with pytest.raises(ccxt.BadRequest, match="40011"):
            await trader.client.create_order(BTC, "market", "sell", 100, None, stop)
        placed = await trader.client.create_order(BTC, "market", "sell", None, None, stop)

        only_stops = {"trigger": True, "plan_type": "profit_loss"}
        [listed] = await trader.client.fetch_open_orders(BTC, params=only_stops)
        assert (listed["id"], listed["clientOrderId"], listed["type"]) == (placed["id"], "stop1", "stop_loss")
        assert (listed["amount"], Decimal(listed["info"]["trigger_price"])) == (100, 88_000)
        await trader.buys(20)
        assert (await trader.client.fetch_open_orders(BTC, params=only_stops))[0]["amount"] == 120
        assert truth.most_live_stops(trader.ledger, UID, "BTCUSDT", PositionSide.LONG) == 1
        trader.move(BTC, "87990")

        fill = trader.rows(RowKind.FILL)[-1]
        assert (fill.details["plan_id"], fill.decimal("size"), fill.decimal("after")) == (placed["id"], 120, 0)
        assert trader.truth.plan(UID, plan_id=placed["id"]).status is PlanStatus.TRIGGERED
        newest = max(await trader.client.fetch_my_trades(BTC), key=lambda trade: int(trade["id"]))
        assert (newest["order"], newest["amount"]) == (fill.details["order_id"], 120)
        by_order = await trader.client.fetch_order(str(fill.details["order_id"]), BTC)
        assert by_order["clientOrderId"] == f"PLAN_{placed['id']}"
        assert await trader.client.fetch_open_orders(BTC, params=only_stops) == []


async def test_a_take_profit_and_a_stop_of_given_sizes_close_a_short_bit_by_bit() -> None:
    async with trading() as trader:
        await trader.sells_short(100)
        sized = {"price_type": 2, "plan_category": 1}

        await trader.client.create_order(BTC, "market", "buy", 40, None, {"takeProfitPrice": 89_000, **sized})
        await trader.client.create_order(BTC, "market", "buy", 60, None, {"stopLossPrice": 92_000, **sized})
        trader.move(BTC, "88990")
        trader.move(BTC, "92010")

        fills = [(row.decimal("size"), row.decimal("after")) for row in trader.rows(RowKind.FILL)]
        assert fills == [(100, -100), (40, -60), (60, 0)]


async def test_a_stop_is_moved_without_a_moment_bare_and_cancelled() -> None:
    async with trading() as trader:
        await trader.buys(100)
        stop = {"stopLossPrice": 80_000, "price_type": 2}
        placed = await trader.client.create_order(BTC, "market", "sell", None, None, stop)
        opened_ms = trader.rows(RowKind.FILL)[0].at_ms
        placed_ms = trader.rows(RowKind.PLAN)[0].at_ms

        nearer = {"stopLossPrice": 85_000, "price_type": 2}
        await trader.client.edit_order(placed["id"], BTC, "market", "sell", None, None, nearer)

        [plan] = trader.truth.open_plans(UID)
        assert (plan.plan_id, plan.trigger_price) == (placed["id"], 85_000)
        bare_ms = truth.unprotected_ms(
            trader.ledger, UID, "BTCUSDT", PositionSide.LONG, until_ms=trader.server.now_ms()
        )
        assert bare_ms == placed_ms - opened_ms
        await trader.client.cancel_order(placed["id"], BTC, {"trigger": True})
        assert trader.truth.open_plans(UID) == ()


async def test_a_stop_needs_a_position() -> None:
    async with trading() as trader:
        with pytest.raises(ccxt.ExchangeError, match="Position does not exist"):
            await trader.client.create_order(
                BTC, "market", "sell", None, None, {"stopLossPrice": 80_000, "price_type": 2}
            )


async def test_a_closing_plan_order_fires_on_a_fall_once_it_is_told_the_way() -> None:
    async with trading() as trader:
        await trader.buys(100)
        trigger = {"triggerPrice": 88_000, "reduceOnly": True, "leverage": LEVERAGE, "price_type": 2}

        # For a closing order ccxt chooses the way of a take-profit: up for a sale. A long's stop is 2, down
        # (reference 11.4, 19.1).
        upwards = await trader.client.create_order(BTC, "market", "sell", 100, None, trigger)
        [listed] = await trader.client.fetch_open_orders(BTC, params={"trigger": True, "plan_type": "plan"})
        assert (listed["id"], listed["info"]["price_way"]) == (upwards["id"], "1")
        await trader.client.cancel_order(upwards["id"], BTC, {"trigger": True})
        downwards = await trader.client.create_order(BTC, "market", "sell", 100, None, {**trigger, "price_way": 2})
        trader.move(BTC, "88010")
        assert trader.held() is not None
        trader.move(BTC, "87990")

        assert trader.held() is None
        assert trader.rows(RowKind.FILL)[-1].details["plan_id"] == downwards["id"]


async def test_a_plan_order_opens_with_the_leverage_that_it_carries() -> None:
    async with trading() as trader:
        # Without a leverage ccxt sends "1"; the venue wants the one that is set (reference 11.4).
        with pytest.raises(ccxt.ExchangeError, match="40012"):
            await trader.client.create_order(BTC, "market", "buy", 10, None, {"triggerPrice": 90_500})
        await trader.client.create_order(
            BTC, "market", "buy", 10, None, {"triggerPrice": 91_000, "leverage": LEVERAGE, "price_type": 2}
        )
        trader.move(BTC, "91010")

        view = trader.held()
        assert view is not None
        assert view.size == 10
        assert [plan.status for plan in trader.truth.plan_history(UID)] == [PlanStatus.TRIGGERED]


async def test_a_trailing_order_is_listed_follows_the_peak_and_closes() -> None:
    async with trading() as trader:
        await trader.buys(100)
        trail = {"trailingPercent": "1", "trailingTriggerPrice": 91_000, "reduceOnly": True, "leverage": LEVERAGE}
        trail["activation_price_type"] = 2

        placed = await trader.client.create_order(BTC, "trailing", "sell", 100, None, trail)
        [listed] = await trader.client.fetch_open_orders(BTC, params={"trailing": True})
        assert (listed["id"], listed["triggerPrice"], listed["amount"]) == (placed["id"], 91_000, 100)
        for mark in ("91000", "94000", "93100"):
            trader.move(BTC, mark)
        assert trader.held() is not None
        trader.move(BTC, "93000")

        assert trader.held() is None
        assert trader.rows(RowKind.FILL)[-1].details["plan_id"] == placed["id"]


async def test_a_trailing_order_is_cancelled_by_its_own_call() -> None:
    async with trading() as trader:
        await trader.buys(100)
        trail = {"trailingPercent": "1", "trailingTriggerPrice": 91_000, "reduceOnly": True, "leverage": LEVERAGE}
        placed = await trader.client.create_order(BTC, "trailing", "sell", 100, None, trail)

        await trader.client.cancel_order(placed["id"], BTC, {"trailing": True})

        assert trader.truth.open_plans(UID) == ()


async def test_an_order_brings_its_stop_along_which_can_be_moved_before_the_fill() -> None:
    async with trading() as trader:
        preset = {"leverage": LEVERAGE, "preset_stop_loss_price": "80000", "preset_stop_loss_price_type": 2}
        placed = await trader.client.create_order(BTC, "limit", "buy", 50, 89_000, preset)
        moved = {"stopLoss": {"triggerPrice": 85_000}, "price_type": 2}
        await trader.client.edit_order(placed["id"], BTC, "limit", "buy", None, None, moved)

        trader.move(BTC, "88900")

        [stop] = await trader.client.fetch_open_orders(BTC, params={"trigger": True, "plan_type": "profit_loss"})
        assert (stop["type"], Decimal(stop["info"]["trigger_price"])) == ("stop_loss", 85_000)
        assert truth.unprotected_ms(
            trader.ledger, UID, "BTCUSDT", PositionSide.LONG, until_ms=trader.server.now_ms()
        ) == 0  # fmt: skip
