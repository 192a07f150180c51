"""The adapter against a simulated unified account over real sockets: what it sends must be what a strict venue takes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from decimal import Decimal

import pytest

from guardd.model.event import BalancePushed, Event, MarkSeen, OrderPushed, PositionsPushed, StreamMoved, StreamName
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
from guardd.model.order import PlanForm, PlanOrder, ProtectionKind
from guardd.model.outcome import Accepted, Outcome, Reason, Rejected, Unknown
from guardd.model.reading import is_value
from guardd.simulator.dialects.bitget_unified.coin import CoinPosition
from guardd.simulator.dialects.bitget_unified.desk import AccountMode, Options, SecondFull
from guardd.simulator.faults import FaultKind
from guardd.simulator.orders import MarginMode as SimulatedMargin
from guardd.simulator.orders import PositionMode as SimulatedMode
from guardd.simulator.orders import PositionSide
from guardd.venues.base import OperatorVenue, Venue
from guardd.venues.limiter import Lane
from tests.changed import replace
from tests.venues.bitget.unified.exchange import ACCOUNT, BTC, LONG_BTC, LONG_PERP, PERP, SHORT_BTC, Stand, stand

dec = Decimal
MODES = {SimulatedMode.HEDGE: PositionMode.HEDGE, SimulatedMode.ONE_WAY: PositionMode.ONE_WAY}
BLIND_S = 0.35
"""So long after a fill the venue doesn't know the position for a stop (10.1)."""
STOP = PlaceProtection(
    key=LONG_BTC,
    kind=ProtectionKind.STOP_LOSS,
    form=PlanForm.WHOLE,
    trigger_price=dec(85000),
    price_type=PriceType.MARK,
    size=None,
    position_size=dec("0.1"),
    leverage=dec(10),
    margin_mode=MarginMode.CROSS,
)
TAKE = replace(STOP, kind=ProtectionKind.TAKE_PROFIT, trigger_price=dec(95000))


async def send(
    on: Stand,
    write: Write,
    client_id: str = "gd1abc",
    *,
    mode: SimulatedMode = SimulatedMode.HEDGE,
    deadline_s: float = 2.0,
) -> Outcome:
    return await on.venue.send(
        write, client_id=ClientId(client_id), position_mode=MODES[mode], lane=Lane.EMERGENCY, deadline_s=deadline_s
    )


async def plans(on: Stand) -> dict[str, PlanOrder]:
    read = await on.venue.orders(resting=False)
    assert read.plans is not None
    return {plan.order_id: plan for plan in read.plans}


async def placed(
    on: Stand, write: Write, client_id: str = "gd1abc", *, mode: SimulatedMode = SimulatedMode.HEDGE
) -> OrderId:
    outcome = await send(on, write, client_id, mode=mode)
    assert isinstance(outcome, Accepted), outcome
    assert outcome.order_id is not None
    return outcome.order_id


async def hold(on: Stand, key: PositionKey = LONG_BTC, size: str = "0.1") -> None:
    """A position that the venue knows for stops, and the adapter from its last read."""
    on.hold(key, size)
    await asyncio.sleep(BLIND_S)
    await on.venue.positions()


async def until(met: Callable[[], bool], within_s: float = 5.0) -> None:
    async with asyncio.timeout(within_s):
        while not met():  # noqa: ASYNC110 - what is waited for happens on the other side of a socket
            await asyncio.sleep(0.02)


@asynccontextmanager
async def listening(on: Stand) -> AsyncIterator[list[Event]]:
    """The events of the stream while the block runs; both sockets are up from its start."""
    heard: list[Event] = []

    async def listen() -> None:
        async with aclosing(on.venue.stream()) as events:
            async for event in events:
                heard.append(event)  # noqa: PERF401 - it is looked at while it grows

    async with asyncio.TaskGroup() as group:
        task = group.create_task(listen())
        try:
            await until(lambda: {e.stream for e in heard if isinstance(e, StreamMoved) and e.up} == set(StreamName))
            yield heard
        finally:
            task.cancel()


async def test_the_adapter_is_a_venue_and_the_operator_an_operators() -> None:
    async with stand(opened=False) as on:
        venue: Venue = on.venue
        operator: OperatorVenue = on.operator
        assert (venue.name, venue.family, venue.capabilities.plan_protection) == ("bitget", "unified", False)
        assert operator is on.operator


@pytest.mark.parametrize("margin", SimulatedMargin)
async def test_the_account_reads_as_the_exchange_holds_it(margin: SimulatedMargin) -> None:
    async with stand() as on:
        on.hold(LONG_BTC, "0.1", margin=margin)
        on.hold(LONG_PERP, "0.02")
        held = {position.key: position for position in (await on.venue.positions()).positions}
        assert {key: position.quantity for key, position in held.items()} == {
            LONG_BTC: dec("0.1"),
            LONG_PERP: dec("0.02"),
        }
        assert held[LONG_BTC].margin_mode.value == margin.value
        assert (held[LONG_BTC].mark_price, held[LONG_BTC].notional) == (90000, 9000)
        (balance,) = await on.venue.balances()
        assert (balance.currency, balance.pooled) == ("USD", True)
        assert is_value(balance.equity)
        assert is_value(balance.maintenance)
        assert is_value(balance.margin_ratio)
        assert dec(9_000) < balance.equity < dec(11_000)
        assert balance.margin_ratio >= balance.maintenance / balance.equity > 0
        assert await on.venue.position_mode() is PositionMode.HEDGE
        perp, linear = await on.venue.instruments([BTC, PERP])
        assert (linear.settle, perp.settle, linear.contract_size) == ("USDT", "USDC", 1)
        assert linear.tiers
        assert (await on.venue.mark(BTC)).mark == 90000
        orders = await on.venue.orders()
        assert (orders.resting, orders.plans) == ((), ())
        assert on.said("") == []


async def test_a_coin_m_position_is_shown_with_the_reason_why_it_isnt_guarded() -> None:
    async with stand() as on:
        symbol = Symbol("BTCUSD_CM")
        on.dialect.hold_coin_position(
            "main", CoinPosition(symbol=symbol, side=PositionSide.LONG, size=dec(100), entry=dec(90000))
        )
        (position,) = (await on.venue.positions()).positions
        (instrument,) = await on.venue.instruments([symbol])
        assert position.key == PositionKey(ACCOUNT, symbol, Side.LONG)
        assert "no server-side stop" in instrument.unguarded
        outcome = await send(on, CloseAtMarket(key=position.key, size=dec(1)))
        assert isinstance(outcome, Rejected)
        assert outcome.reason is Reason.UNSUPPORTED


@pytest.mark.parametrize("mode", SimulatedMode)
@pytest.mark.parametrize("key", [LONG_BTC, SHORT_BTC])
@pytest.mark.parametrize("margin", SimulatedMargin)
async def test_I30_a_close_only_ever_takes_from_the_position(
    mode: SimulatedMode, key: PositionKey, margin: SimulatedMargin
) -> None:
    async with stand(position_mode=mode) as on:
        on.hold(key, "0.1", margin=margin)
        assert [position.key for position in (await on.venue.positions()).positions] == [key]
        assert isinstance(await send(on, CloseAtMarket(key=key, size=dec("0.04")), mode=mode), Accepted)
        assert on.held(key) == dec("0.06")
        worse = dec(90000) * (dec("0.99") if key.side is Side.LONG else dec("1.01"))
        rest = CloseAtMarket(key=key, size=dec("0.06"), limit_price=worse)
        assert isinstance(await send(on, rest, "gd1rest", mode=mode), Accepted)
        assert on.exchange.query.positions("main") == ()
        late = await send(on, CloseAtMarket(key=key, size=dec("0.01")), "gd1late", mode=mode)
        assert isinstance(late, Rejected)
        assert late.reason in {Reason.POSITION_GONE, Reason.SIZE_ABOVE_POSITION, Reason.INVALID}
        assert on.exchange.query.positions("main") == ()


@pytest.mark.parametrize("mode", SimulatedMode)
@pytest.mark.parametrize("form", [PlanForm.WHOLE, PlanForm.SIZED])
@pytest.mark.parametrize("write", [STOP, TAKE])
async def test_protection_in_each_form_rests_as_it_was_meant(
    mode: SimulatedMode, form: PlanForm, write: PlaceProtection
) -> None:
    async with stand(position_mode=mode) as on:
        await hold(on)
        size = dec("0.03") if form is PlanForm.SIZED else None
        order_id = await placed(on, replace(write, form=form, size=size), mode=mode)
        (plan,) = (await plans(on)).values()
        assert (plan.order_id, plan.client_id, plan.key, plan.protection, plan.form) == (
            order_id,
            "gd1abc",
            LONG_BTC,
            write.kind,
            form,
        )
        assert (plan.trigger_price, plan.price_type, plan.execution_price, plan.size) == (
            write.trigger_price,
            PriceType.MARK,
            None,
            size,
        )


async def test_a_venue_that_takes_no_side_in_one_way_mode_takes_the_second_form() -> None:
    mode = SimulatedMode.ONE_WAY
    async with stand(position_mode=mode, options=Options(one_way_takes_side=False)) as on:
        await hold(on)
        order_id = await placed(on, STOP, mode=mode)
        assert (await plans(on))[order_id].key == LONG_BTC


@pytest.mark.parametrize("second", SecondFull)
async def test_I3_I13_stop_and_take_profit_share_an_object_and_end_apart(second: SecondFull) -> None:
    """Whatever the venue does with a second object: there is none."""
    async with stand(options=Options(second_full=second)) as on:
        await hold(on)
        stop = await placed(on, STOP, "gd1stop")
        take = await placed(on, TAKE, "gd1take")
        found = await plans(on)
        assert {each.protection for each in found.values()} == set(ProtectionKind)
        assert sorted(found) == sorted([stop, take])
        end = CancelOrder(key=LONG_BTC, order_id=take, kind=CancelKind.PLAN)
        assert isinstance(await send(on, end, "gd1end"), Accepted)
        (left,) = (await plans(on)).values()
        assert (left.order_id, left.trigger_price, left.size) == (stop, 85000, None)
        again = await send(on, end, "gd1end")
        assert isinstance(again, Rejected)
        assert again.reason is Reason.ORDER_GONE
        last = CancelOrder(key=LONG_BTC, order_id=stop, kind=CancelKind.PLAN)
        assert isinstance(await send(on, last, "gd1last"), Accepted)
        assert await plans(on) == {}
        assert on.said("lost-leg") == []


async def test_a_stop_and_a_take_profit_sent_at_once_share_an_object_stop_first() -> None:
    async with stand() as on:
        await hold(on)
        stop, take = await asyncio.gather(placed(on, STOP, "gd1stop"), placed(on, TAKE, "gd1take"))
        assert sorted(await plans(on)) == sorted([stop, take])
        assert stop.partition(":")[0] == take.partition(":")[0]


async def test_two_changes_of_one_object_at_once_don_t_undo_each_other() -> None:
    async with stand() as on:
        await hold(on)
        stop, take = await placed(on, STOP, "gd1stop"), await placed(on, TAKE, "gd1take")

        def moved(order_id: OrderId, to: int) -> ModifyProtection:
            kind = ProtectionKind.STOP_LOSS if order_id == stop else ProtectionKind.TAKE_PROFIT
            return ModifyProtection(
                key=LONG_BTC,
                order_id=order_id,
                kind=kind,
                form=PlanForm.WHOLE,
                trigger_price=dec(to),
                price_type=PriceType.MARK,
                size=None,
            )

        await asyncio.gather(send(on, moved(stop, 86000), "gd1a"), send(on, moved(take, 96000), "gd1b"))
        assert {each.trigger_price for each in (await plans(on)).values()} == {dec(86000), dec(96000)}


@pytest.mark.parametrize("keeps", [True, False])
async def test_a_leg_is_moved_and_ended_while_the_other_stays_whatever_an_omitted_leg_means(keeps: bool) -> None:
    async with stand(options=Options(modify_keeps_legs=keeps)) as on:
        await hold(on)
        stop, take = await placed(on, STOP, "gd1stop"), await placed(on, TAKE, "gd1take")
        move = ModifyProtection(
            key=LONG_BTC,
            order_id=stop,
            kind=ProtectionKind.STOP_LOSS,
            form=PlanForm.WHOLE,
            trigger_price=dec(86000),
            price_type=PriceType.MARK,
            size=None,
        )
        assert isinstance(await send(on, move, "gd1move"), Accepted)
        found = await plans(on)
        assert (found[stop].trigger_price, found[take].trigger_price) == (86000, 95000)
        end = CancelOrder(key=LONG_BTC, order_id=stop, kind=CancelKind.PLAN)
        assert isinstance(await send(on, end, "gd1end"), Accepted)
        assert list(await plans(on)) == [take]


async def test_a_stop_right_after_a_fill_is_refused_and_taken_a_moment_later() -> None:
    async with stand() as on:
        on.hold(LONG_BTC, "0.1")
        await on.venue.positions()
        early = await send(on, STOP)
        assert isinstance(early, Rejected)
        assert early.reason is Reason.POSITION_GONE  # transient for a stop: it is tried again
        await asyncio.sleep(BLIND_S)
        assert await placed(on, STOP)


async def test_I07_a_close_whose_answer_is_lost_is_unknown_and_found_by_its_client_id() -> None:
    async with stand() as on:
        await hold(on)
        on.faults.add(FaultKind.TIMEOUT_AFTER, times=1, target="*place-order")
        outcome = await send(on, CloseAtMarket(key=LONG_BTC, size=dec("0.04")), deadline_s=0.4)
        assert isinstance(outcome, Unknown)
        found = await on.venue.find_order(LONG_BTC, client_id=ClientId("gd1abc"), order_id=None)
        assert found is not None
        assert (found.filled, found.live) == (dec("0.04"), False)


async def test_I07_a_close_that_never_arrived_is_unknown_and_not_found() -> None:
    async with stand() as on:
        await hold(on)
        on.faults.add(FaultKind.TIMEOUT_BEFORE, times=1, target="*place-order")
        outcome = await send(on, CloseAtMarket(key=LONG_BTC, size=dec("0.04")), deadline_s=0.4)
        assert isinstance(outcome, Unknown)
        assert await on.venue.find_order(LONG_BTC, client_id=ClientId("gd1abc"), order_id=None) is None
        assert on.held(LONG_BTC) == dec("0.1")


async def test_I07_a_stop_whose_answer_is_lost_is_found_and_not_placed_twice() -> None:
    async with stand() as on:
        await hold(on)
        on.faults.add(FaultKind.TIMEOUT_AFTER, times=1, target="*place-strategy-order")
        assert isinstance(await send(on, STOP, deadline_s=0.4), Unknown)
        found = await on.venue.find_order(LONG_BTC, client_id=ClientId("gd1abc"), order_id=None)
        assert found is not None
        assert found.live
        assert await placed(on, STOP) == found.order_id
        assert list(await plans(on)) == [found.order_id]


async def test_both_streams_carry_marks_positions_orders_and_the_pool() -> None:
    async with stand() as on:
        await hold(on)
        on.venue.watch([BTC])
        async with listening(on) as heard:
            on.server.set_price(BTC, dec(89000))
            await until(lambda: any(isinstance(e, MarkSeen) and e.mark == 89000 for e in heard))
            assert isinstance(await send(on, CloseAtMarket(key=LONG_BTC, size=dec("0.01"))), Accepted)
            wanted = {OrderPushed, PositionsPushed, BalancePushed}
            await until(lambda: {type(event) for event in heard} >= wanted)
            updates = [e.update for e in heard if isinstance(e, OrderPushed) and e.update.filled]
            assert [(u.client_id, u.key, u.filled, u.closes) for u in updates] == [
                ("gd1abc", LONG_BTC, dec("0.01"), True)
            ]
            pool = [e.balance for e in heard if isinstance(e, BalancePushed)][-1]
            assert pool.pooled
            assert is_value(pool.maintenance)


@pytest.mark.parametrize("form", [PlanForm.WHOLE, PlanForm.SIZED])
async def test_a_stop_that_fires_tells_which_plan_order_it_was(form: PlanForm) -> None:
    async with stand() as on:
        await hold(on)
        async with listening(on) as heard:
            size = dec("0.1") if form is PlanForm.SIZED else None
            stop = await placed(on, replace(STOP, form=form, size=size))
            on.server.set_price(BTC, dec(84000))
            fired = lambda: [  # noqa: E731
                e.update for e in heard if isinstance(e, OrderPushed) and e.update.plan_order_id == stop
            ]
            await until(lambda: bool(fired()))
            assert fired()[-1].closes
            assert on.held(LONG_BTC) == 0
            found = await on.venue.find_order(LONG_BTC, client_id=None, order_id=stop)
            assert found is not None
            assert (found.filled, found.live) == (dec("0.1"), False)
            by_ours = await on.venue.find_order(LONG_BTC, client_id=ClientId("gd1abc"), order_id=None)
            assert by_ours is not None
            assert by_ours.filled == dec("0.1")


async def test_a_triggered_stop_that_fails_reaches_the_guard_as_one_that_left_everything() -> None:
    async with stand() as on:
        await hold(on)
        async with listening(on) as heard:
            stop = await placed(on, STOP)
            on.faults.add(FaultKind.PLAN_FAILS)
            on.server.set_price(BTC, dec(84000))
            await until(lambda: any(isinstance(e, OrderPushed) and e.update.plan_order_id == stop for e in heard))
            assert on.held(LONG_BTC) == dec("0.1")
            assert len(on.said("strategy-failed")) == 1
            assert await plans(on) == {}
            found = await on.venue.find_order(LONG_BTC, client_id=None, order_id=stop)
            assert found is not None
            assert (found.filled, found.live) == (0, False)


async def test_leverage_is_lowered_and_the_same_leverage_again_is_no_failure() -> None:
    async with stand() as on:
        await hold(on)
        write = SetLeverage(key=LONG_BTC, margin_mode=MarginMode.CROSS, leverage=dec(5))
        assert isinstance(await send(on, write), Accepted)
        (position,) = (await on.venue.positions()).positions
        assert position.leverage == 5
        assert isinstance(await send(on, write), Accepted)


async def test_an_account_that_is_being_converted_gets_nothing_sent() -> None:
    async with stand() as on:
        await hold(on)
        on.dialect.set_account_mode("main", AccountMode.UPGRADING)
        await on.venue.position_mode()
        outcome = await send(on, CloseAtMarket(key=LONG_BTC, size=dec("0.1")))
        assert isinstance(outcome, Rejected)
        assert outcome.reason is Reason.MAINTENANCE
        assert len(on.said("converting")) == 1


@pytest.mark.parametrize("isolated", [True, False])
async def test_an_operator_opens_closes_switches_and_transfers(isolated: bool) -> None:
    async with stand(position_mode=SimulatedMode.ONE_WAY) as on:
        operator = on.operator
        assert isinstance(await operator.set_position_mode(PositionMode.HEDGE), Accepted)
        assert await on.venue.position_mode() is PositionMode.HEDGE
        opened = await operator.open_position(
            LONG_BTC, size=dec("0.05"), price=None, leverage=dec(10), isolated=isolated
        )
        assert isinstance(opened, Accepted)
        assert on.held(LONG_BTC) == dec("0.05")
        margin = MarginMode.ISOLATED if isolated else MarginMode.CROSS
        assert await operator.live_leverage(BTC, 5.0) == (10, margin)
        if isolated:
            assert isinstance(await operator.add_margin(LONG_BTC, amount=dec(50)), Accepted)
        refused = await operator.set_position_mode(PositionMode.ONE_WAY)
        assert isinstance(refused, Rejected)
        assert isinstance(await operator.close_position(LONG_BTC, size=dec("0.05"), price=None), Accepted)
        assert on.held(LONG_BTC) == 0
        (before,) = await on.venue.balances()
        assert isinstance(await operator.transfer(amount=dec("100.5"), into_futures=True), Accepted)
        (after,) = await on.venue.balances()
        assert is_value(before.equity)
        assert is_value(after.equity)
        assert abs(after.equity - before.equity - dec("100.5")) < 1
        await operator.close()
