"""The trader goes on trading while guarded: own stops, additions, partial closes, flips, reopenings (I6, I13)."""

import asyncio
from decimal import Decimal
from pathlib import Path

from guardd.simulator.orders import PositionMode, PositionSide, Side
from guardd.simulator.truth import exposure_increases
from tests.live.desk import Desk, open_desk, until

LEGS = (("BTCUSDT", "long", False), ("ETHUSDT", "short", True), ("SOLUSDT", "short", False))
TOKEN = "a-token-for-the-desk"


def covered(desk: Desk) -> bool:
    """Every leg has a live stop of the guard's that covers all of it, and nothing of the guard's rests elsewhere."""
    held = desk.positions()
    plans = {(plan.symbol, str(plan.position_side)): plan for plan in desk.own_plans()}
    return plans.keys() == held.keys() and all(
        plan.protects and (plan.size is None or plan.size >= held[key]) for key, plan in plans.items()
    )


def kept_the_law(desk: Desk) -> None:
    """No exposure was raised in the guard's name, and no order of the trader's was ended by it."""
    assert exposure_increases(desk.server.exchange.ledger, "main", "gd1") == []


async def test_I13_a_users_tight_stop_counts_a_looser_one_stays_beside_ours_and_what_is_cancelled_by_hand_is_restored(
    tmp_path: Path,
) -> None:
    async with open_desk(tmp_path) as desk:
        desk.open("BTCUSDT", "long", 100)
        desk.open("ETHUSDT", "short", 100, isolated=True)
        tight = desk.stop("BTCUSDT", Side.SELL, "88000")
        loose = desk.stop("ETHUSDT", Side.BUY, "3450")
        async with desk.guard(environ={"GUARDD_HTTP__TOKEN": TOKEN}) as guard:
            await guard.protected(2)
            await until(lambda: len(desk.own_plans()) == 1, within_s=5, what="one stop of ours is needed")
            first = desk.own_plans()[0]
            assert first.symbol == "ETHUSDT"
            status = {each["symbol"]: each for each in (await guard.status())["accounts"][0]["positions"]}
            assert status["BTCUSDT"]["stop_loss"]["ours"] is False
            assert status["ETHUSDT"]["stop_loss"]["ours"] is True
            desk.cancel_plan(tight.plan_id)
            desk.cancel_plan(first.plan_id)
            await until(lambda: covered(desk), within_s=11, what="ours take the place of the stops that are gone")
            await until(
                lambda: [line["event"] for line in guard.events()].count("stop_loss_verified") == 3,
                within_s=5,
                what="they are verified",
            )
            assert desk.own_plans("ETHUSDT")[0].trigger_price == first.trigger_price
            await guard.post("/halt", TOKEN)
            await guard.stands("halted")
            for plan in desk.own_plans():
                desk.cancel_plan(plan.plan_id)
            desk.open("SOLUSDT", "long", 10)  # an event: the orders are read at once
            await guard.until_told("ETHUSDT", "cancelled by hand while halted, and stays cancelled", within_s=15)
            await asyncio.sleep(1)
            assert [plan.symbol for plan in desk.own_plans()] == ["SOLUSDT"]
            await guard.post("/resume", TOKEN)
            await until(lambda: covered(desk), within_s=5, what="resumed, the stops are restored")
        assert [plan.plan_id for plan in desk.plans() if plan not in desk.own_plans()] == [loose.plan_id]
        assert not [row for row in desk.ledger("plan") if row["plan_id"] == loose.plan_id and row["action"] != "placed"]


async def test_positions_opened_enlarged_cut_closed_and_reopened_by_the_trader_stay_covered(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk, desk.guard() as guard:
        await guard.lives()
        for symbol, side, isolated in LEGS:
            desk.open(symbol, side, 100, isolated=isolated)
        took = await until(lambda: covered(desk), within_s=8, what="new positions are covered")
        assert took < 5
        for symbol, side, _ in LEGS:
            desk.trade(symbol, Side.BUY if side == "long" else Side.SELL, 50)
        await until(lambda: covered(desk), within_s=5, what="enlarged positions are covered")
        for symbol, side, _ in LEGS:
            desk.trade(symbol, Side.SELL if side == "long" else Side.BUY, 120, reduce=True)
        await until(lambda: covered(desk), within_s=5, what="cut positions are covered")
        assert set(desk.positions().values()) == {Decimal(30)}
        episodes = {line["about"] for line in guard.told("contracts under guard")}
        for symbol, side, _ in LEGS:
            desk.trade(symbol, Side.SELL if side == "long" else Side.BUY, 30, reduce=True)
        await until(lambda: not desk.own_plans(), within_s=22, what="flat: nothing of ours is left (I6)")
        for symbol, side, isolated in LEGS:
            desk.open(symbol, side, 10, isolated=isolated)
        await until(lambda: covered(desk), within_s=8, what="reopened positions are covered")
        await until(
            lambda: len({line["about"] for line in guard.told("contracts under guard")} - episodes) == 3,
            within_s=5,
            what="reopened positions are new episodes",
        )
        kept_the_law(desk)


async def test_I06_positions_closed_and_reopened_at_once_end_with_one_stop_each_of_their_own(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        desk.open("BTCUSDT", "long", 100)
        desk.open("ETHUSDT", "long", 100, isolated=True)
        async with desk.guard() as guard:
            await guard.protected(2)
            old = {plan.symbol: plan.trigger_price for plan in desk.own_plans()}
            for symbol, isolated, price in (("BTCUSDT", False, "93000"), ("ETHUSDT", True, "3307")):
                desk.trade(symbol, Side.SELL, 100, reduce=True)
                desk.price(symbol, price)
                desk.open(symbol, "long", 40, isolated=isolated)
            await until(
                lambda: (
                    covered(desk)
                    and len(desk.own_plans()) == 2
                    and all(plan.trigger_price > old[plan.symbol] for plan in desk.own_plans())
                ),
                within_s=22,
                what="one stop rests on each, where its new entry wants it",
            )
            await asyncio.sleep(1)
        assert (covered(desk), len(desk.own_plans())) == (True, 2)
        kept_the_law(desk)


async def test_in_one_way_mode_a_position_is_covered_turned_round_and_covered_again(tmp_path: Path) -> None:
    async with open_desk(tmp_path, position_mode=PositionMode.ONE_WAY) as desk:
        desk.open("BTCUSDT", "long", 100)
        async with desk.guard() as guard:
            await guard.protected(1)
            assert covered(desk)
            desk.trade("BTCUSDT", Side.SELL, 160)
            await until(
                lambda: any(plan.position_side is PositionSide.SHORT for plan in desk.own_plans()),
                within_s=5,
                what="the short has its stop",
            )
            await until(lambda: covered(desk), within_s=22, what="the long's stop is gone (I6)")
            assert desk.positions() == {("BTCUSDT", "short"): Decimal(60)}
            desk.trade("BTCUSDT", Side.BUY, 200)
            await until(lambda: covered(desk), within_s=22, what="turned round once more, covered")
        assert desk.positions() == {("BTCUSDT", "long"): Decimal(140)}
        kept_the_law(desk)


async def test_in_hedge_mode_a_leg_replaced_by_its_opposite_is_covered_and_its_stop_swept(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        desk.open("BTCUSDT", "long", 100)
        async with desk.guard() as guard:
            await guard.protected(1)
            desk.trade("BTCUSDT", Side.SELL, 50)
            await until(lambda: covered(desk), within_s=5, what="both legs are covered")
            desk.trade("BTCUSDT", Side.SELL, 100, reduce=True)
            await until(lambda: covered(desk), within_s=22, what="the long's stop is swept, the short's stays (I6)")
        assert desk.positions() == {("BTCUSDT", "short"): Decimal(50)}
        kept_the_law(desk)


async def test_I13_a_users_resting_orders_survive_every_end_of_a_position(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        desk.open("BTCUSDT", "long", 100)
        entry = desk.trade("BTCUSDT", Side.BUY, 10, price=80_000)
        target = desk.trade("BTCUSDT", Side.SELL, 40, reduce=True, price=95_000)
        plan = desk.stop("BTCUSDT", Side.SELL, "60000")
        async with desk.guard() as guard:
            await guard.protected(1)
            desk.trade("BTCUSDT", Side.SELL, 60, reduce=True)
            await asyncio.sleep(2)
            assert {order.order_id for order in desk.server.exchange.query.open_orders("main")} == {entry, target}
            desk.price("BTCUSDT", "95100")
            await until(lambda: not desk.positions(), within_s=3, what="the user's target filled")
            await until(lambda: not desk.own_plans(), within_s=32, what="our stop is swept (I6)")
            await asyncio.sleep(1)
        assert [order.order_id for order in desk.server.exchange.query.open_orders("main")] == [entry]
        assert [each.plan_id for each in desk.plans()] == [plan.plan_id]
