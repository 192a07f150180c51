"""The adapter against the simulated exchange over real sockets: what it sends must be what a strict venue takes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from decimal import Decimal

import pytest

from guardd.errors import CredentialsError, VenueError
from guardd.model.event import (
    BalancePushed,
    Event,
    MarkSeen,
    OrderPushed,
    PositionsPushed,
    StreamMoved,
    StreamName,
    VenueClosingSeen,
)
from guardd.model.facts import ClockOffsetRead
from guardd.model.intent import (
    CancelKind,
    CancelOrder,
    CloseAtMarket,
    ModifyProtection,
    PlaceProtection,
    SetLeverage,
    Write,
)
from guardd.model.names import ClientId, MarginMode, PositionKey, PositionMode, PriceType, Side, Symbol
from guardd.model.order import OrderAction, PlanForm, PlanOrder, ProtectionKind
from guardd.model.outcome import Accepted, Outcome, Reason, Rejected, Unknown
from guardd.simulator.faults import FaultKind
from guardd.simulator.orders import MarginMode as SimulatedMargin
from guardd.simulator.orders import PositionMode as SimulatedMode
from guardd.venues.base import Venue
from guardd.venues.bitmart import Credentials
from guardd.venues.bitmart.operator import BitmartOperator
from guardd.venues.limiter import Lane
from tests.venues.bitmart.exchange import BTC, ETH, KEY, LONG_BTC, SHORT_ETH, Stand, stand

SHORT_BTC = PositionKey(LONG_BTC.account, BTC, Side.SHORT)
PROTECTION = PlaceProtection(
    key=LONG_BTC,
    kind=ProtectionKind.STOP_LOSS,
    form=PlanForm.WHOLE,
    trigger_price=Decimal("85000"),
    price_type=PriceType.MARK,
    size=None,
    position_size=Decimal(100),
    leverage=Decimal(10),
    margin_mode=MarginMode.ISOLATED,
)


async def send(on: Stand, write: Write, client_id: str = "gd1abc", *, deadline_s: float = 2.0) -> Outcome:
    return await on.venue.send(
        write,
        client_id=ClientId(client_id),
        position_mode=PositionMode.HEDGE,
        lane=Lane.EMERGENCY,
        deadline_s=deadline_s,
    )


async def plans(on: Stand) -> tuple[PlanOrder, ...]:
    read = await on.venue.orders(resting=False)
    assert read.plans is not None
    return read.plans


async def until(met: Callable[[], bool], within_s: float = 5.0) -> None:
    async with asyncio.timeout(within_s):
        while not met():  # noqa: ASYNC110 - what is waited for happens on the other side of a socket
            await asyncio.sleep(0.02)


@asynccontextmanager
async def listening(on: Stand) -> AsyncIterator[list[Event]]:
    """The events of the stream while the block runs."""
    heard: list[Event] = []

    async def listen() -> None:
        async with aclosing(on.venue.stream()) as events:  # type: ignore[type-var]
            async for event in events:
                heard.append(event)  # noqa: PERF401 - it is looked at while it grows

    async with asyncio.TaskGroup() as group:
        task = group.create_task(listen())
        try:
            yield heard
        finally:
            task.cancel()


def up(heard: list[Event]) -> set[StreamName]:
    streams: set[StreamName] = set()
    for event in heard:
        if isinstance(event, StreamMoved):
            streams = streams | {event.stream} if event.up else streams - {event.stream}
    return streams


async def test_the_adapter_is_a_venue() -> None:
    async with stand(opened=False) as on:
        venue: Venue = on.venue
        assert venue.name == "bitmart"
        assert not venue.capabilities.add_margin


@pytest.mark.parametrize("margin", SimulatedMargin)
async def test_the_account_reads_as_the_exchange_holds_it(margin: SimulatedMargin) -> None:
    async with stand(margin_mode=margin) as on:
        on.hold(LONG_BTC, 100)
        on.hold(SHORT_ETH, 500)
        read = await on.venue.positions()
        held = {position.key: position for position in read.positions}
        assert {key: position.quantity for key, position in held.items()} == {LONG_BTC: 100, SHORT_ETH: 500}
        assert held[LONG_BTC].margin_mode.value == margin.value
        assert held[LONG_BTC].mark_price == 90000
        assert held[LONG_BTC].notional == 9000
        (balance,) = await on.venue.balances()
        assert balance.currency == "USDT"
        assert Decimal(9_900) < balance.equity < Decimal(10_000)  # type: ignore[operator]
        assert await on.venue.position_mode() is PositionMode.HEDGE
        contract, other = await on.venue.instruments([BTC, ETH])
        assert (contract.symbol, contract.contract_size, other.symbol) == (BTC, Decimal("0.001"), ETH)
        assert contract.tiers
        assert (await on.venue.mark(BTC)).mark == 90000
        assert await on.venue.orders() is not None
        assert not on.said("equity-gap")


@pytest.mark.parametrize("mode", SimulatedMode)
@pytest.mark.parametrize("key", [LONG_BTC, SHORT_BTC])
async def test_I30_a_close_only_ever_takes_from_the_position(mode: SimulatedMode, key: PositionKey) -> None:
    async with stand(position_mode=mode) as on:
        on.hold(key, 100)
        assert [position.key for position in (await on.venue.positions()).positions] == [key]
        assert isinstance(await send(on, CloseAtMarket(key=key, size=Decimal(40))), Accepted)
        assert on.held(key) == 60
        refused = await send(on, CloseAtMarket(key=key, size=Decimal(61)), "gd1more")
        assert isinstance(refused, Rejected)
        assert refused.reason is Reason.SIZE_ABOVE_POSITION
        mark = Decimal(90000)
        worse = mark * (Decimal("0.99") if key.side is Side.LONG else Decimal("1.01"))
        write = CloseAtMarket(key=key, size=Decimal(60), limit_price=worse)
        assert isinstance(await send(on, write, "gd1rest"), Accepted)
        assert (await on.venue.positions()).positions == ()
        gone = await send(on, CloseAtMarket(key=key, size=Decimal(1)), "gd1late")
        assert isinstance(gone, Rejected)
        assert gone.reason in {Reason.POSITION_GONE, Reason.SIZE_ABOVE_POSITION}


@pytest.mark.parametrize("form", PlanForm)
@pytest.mark.parametrize("kind", ProtectionKind)
async def test_protection_in_each_form_rests_as_it_was_meant(form: PlanForm, kind: ProtectionKind) -> None:
    async with stand() as on:
        on.hold(LONG_BTC, 100)
        size = Decimal(30) if form is PlanForm.SIZED else None
        trigger = Decimal("85000.5") if kind is ProtectionKind.STOP_LOSS else Decimal("95000.5")
        write = PlaceProtection(
            key=LONG_BTC,
            kind=kind,
            form=form,
            trigger_price=trigger,
            price_type=PriceType.MARK,
            size=size,
            position_size=Decimal(100),
            leverage=Decimal(10),
            margin_mode=MarginMode.ISOLATED,
        )
        accepted = await send(on, write)
        assert isinstance(accepted, Accepted)
        (plan,) = await plans(on)
        assert (plan.order_id, plan.key, plan.protection, plan.form) == (accepted.order_id, LONG_BTC, kind, form)
        assert (plan.trigger_price, plan.price_type, plan.execution_price) == (trigger, PriceType.MARK, None)
        expected = {PlanForm.WHOLE: None, PlanForm.SIZED: Decimal(30), PlanForm.PLAN: Decimal(100)}[form]
        assert plan.size == expected
        assert plan.client_id == (None if form is PlanForm.PLAN else "gd1abc")


@pytest.mark.parametrize("form", PlanForm)
async def test_a_stop_is_moved_without_ending_and_cancelled_by_its_id(form: PlanForm) -> None:
    async with stand() as on:
        on.hold(LONG_BTC, 100)
        size = Decimal(100) if form is PlanForm.SIZED else None
        placed = await send(
            on,
            PlaceProtection(
                key=LONG_BTC,
                kind=ProtectionKind.STOP_LOSS,
                form=form,
                trigger_price=Decimal(85000),
                price_type=PriceType.MARK,
                size=size,
                position_size=Decimal(100),
                leverage=Decimal(10),
                margin_mode=MarginMode.ISOLATED,
            ),
        )
        assert isinstance(placed, Accepted)
        assert placed.order_id is not None
        moved = ModifyProtection(
            key=LONG_BTC,
            order_id=placed.order_id,
            kind=ProtectionKind.STOP_LOSS,
            form=form,
            trigger_price=Decimal(86000),
            price_type=PriceType.MARK,
            size=size,
        )
        assert isinstance(await send(on, moved, "gd1move"), Accepted)
        (plan,) = await plans(on)
        assert (plan.order_id, plan.trigger_price) == (placed.order_id, 86000)
        cancel = CancelOrder(key=LONG_BTC, order_id=placed.order_id, kind=CancelKind.PLAN)
        assert isinstance(await send(on, cancel, "gd1end"), Accepted)
        assert await plans(on) == ()
        again = await send(on, cancel, "gd1end")
        assert isinstance(again, Rejected)
        assert again.reason is Reason.ORDER_GONE


async def test_a_plan_order_with_a_wrong_leverage_is_placed_with_the_live_one() -> None:
    async with stand() as on:
        on.hold(SHORT_ETH, 500)
        write = PlaceProtection(
            key=SHORT_ETH,
            kind=ProtectionKind.STOP_LOSS,
            form=PlanForm.PLAN,
            trigger_price=Decimal(3400),
            price_type=PriceType.MARK,
            size=None,
            position_size=Decimal(500),
            leverage=Decimal(7),
            margin_mode=MarginMode.CROSS,
        )
        assert isinstance(await send(on, write), Accepted)
        (plan,) = await plans(on)
        assert plan.protection is ProtectionKind.STOP_LOSS


async def test_I07_a_close_whose_answer_is_lost_is_unknown_and_found_by_its_client_id() -> None:
    async with stand() as on:
        on.hold(LONG_BTC, 100)
        on.faults.add(FaultKind.TIMEOUT_AFTER, times=1, target="*submit-order")
        outcome = await send(on, CloseAtMarket(key=LONG_BTC, size=Decimal(40)), deadline_s=0.4)
        assert isinstance(outcome, Unknown)
        found = await on.venue.find_order(LONG_BTC, client_id=ClientId("gd1abc"), order_id=None)
        assert found is not None
        assert (found.filled, found.live) == (40, False)
        assert on.held(LONG_BTC) == 60
        (position,) = (await on.venue.positions()).positions
        assert (position.quantity, position.closed_quantity) == (60, 40)


async def test_I07_a_close_that_never_arrived_is_unknown_and_not_found() -> None:
    async with stand() as on:
        on.hold(LONG_BTC, 100)
        on.faults.add(FaultKind.TIMEOUT_BEFORE, times=1, target="*submit-order")
        outcome = await send(on, CloseAtMarket(key=LONG_BTC, size=Decimal(40)), deadline_s=0.4)
        assert isinstance(outcome, Unknown)
        assert await on.venue.find_order(LONG_BTC, client_id=ClientId("gd1abc"), order_id=None) is None
        assert on.held(LONG_BTC) == 100


async def test_a_stop_sent_twice_under_one_client_id_is_known_as_a_duplicate() -> None:
    async with stand() as on:
        on.hold(LONG_BTC, 100)
        write = PlaceProtection(
            key=LONG_BTC,
            kind=ProtectionKind.STOP_LOSS,
            form=PlanForm.SIZED,
            trigger_price=Decimal(85000),
            price_type=PriceType.MARK,
            size=Decimal(50),
            position_size=Decimal(100),
            leverage=None,
            margin_mode=MarginMode.ISOLATED,
        )
        assert isinstance(await send(on, write), Accepted)
        twice = await send(on, write)
        assert isinstance(twice, Rejected)
        assert twice.reason is Reason.DUPLICATE_CLIENT_ID


@pytest.mark.parametrize("offset_ms", [300_000, -300_000])
async def test_a_venue_whose_clock_runs_elsewhere_is_followed(offset_ms: int) -> None:
    async with stand() as on:
        on.hold(LONG_BTC, 100)
        on.faults.add(FaultKind.CLOCK_OFFSET, offset_ms=offset_ms)
        assert isinstance(await send(on, CloseAtMarket(key=LONG_BTC, size=Decimal(1))), Accepted)
        assert abs(await on.venue.clock_offset_ms() - offset_ms) < 1_000


@pytest.mark.parametrize("kind", [FaultKind.CLOUDFLARE_403, FaultKind.CLOUDFLARE_1010])
async def test_a_page_of_the_edge_is_certain_not_to_have_executed(kind: FaultKind) -> None:
    async with stand() as on:
        on.hold(LONG_BTC, 100)
        on.faults.add(kind, times=1, target="*submit-order")
        outcome = await send(on, CloseAtMarket(key=LONG_BTC, size=Decimal(1)))
        assert isinstance(outcome, Rejected)
        assert outcome.reason is Reason.EDGE_BLOCKED
        assert on.held(LONG_BTC) == 100


async def test_a_wrong_secret_is_rejected_and_a_wrong_key_is_a_credentials_error() -> None:
    async with stand(credentials=Credentials(key=KEY.key, secret="wrong", memo=KEY.memo)) as on:
        on.hold(LONG_BTC, 100)
        outcome = await send(on, CloseAtMarket(key=LONG_BTC, size=Decimal(1)))
        assert isinstance(outcome, Rejected)
        assert outcome.reason is Reason.CREDENTIALS
    async with stand(credentials=Credentials(key="wrong", secret="wrong", memo="wrong")) as on:
        with pytest.raises(CredentialsError):
            await on.venue.balances()


async def test_both_streams_come_up_and_carry_marks_positions_orders_and_balance() -> None:
    async with stand() as on:
        on.hold(LONG_BTC, 100)
        on.venue.watch([BTC])
        async with listening(on) as heard:
            await until(lambda: up(heard) == set(StreamName))
            on.server.set_price(BTC, Decimal(89000))
            await until(lambda: any(isinstance(e, MarkSeen) and e.mark == 89000 for e in heard))
            assert isinstance(await send(on, CloseAtMarket(key=LONG_BTC, size=Decimal(10))), Accepted)
            await until(lambda: _kinds(heard) >= {OrderPushed, PositionsPushed, BalancePushed})
            filled = [e.update for e in heard if isinstance(e, OrderPushed) and e.update.action is OrderAction.FILLED]
            assert [(update.client_id, update.key, update.filled) for update in filled] == [("gd1abc", LONG_BTC, 10)]


async def test_a_stop_that_fires_tells_which_plan_order_it_was() -> None:
    async with stand() as on:
        on.hold(LONG_BTC, 100)
        on.venue.watch([BTC])
        async with listening(on) as heard:
            await until(lambda: up(heard) == set(StreamName))
            stop = await send(on, PROTECTION)
            assert isinstance(stop, Accepted)
            on.server.set_price(BTC, Decimal(84000))
            await until(lambda: any(isinstance(e, OrderPushed) and e.update.filled == 100 for e in heard))
            update = next(e.update for e in heard if isinstance(e, OrderPushed) and e.update.filled == 100)
            assert update.plan_order_id == stop.order_id
            assert update.closes
            found = await on.venue.find_order(LONG_BTC, client_id=None, order_id=stop.order_id)
            assert found is not None
            assert found.filled == 100


async def test_a_lost_private_socket_comes_back_and_says_so() -> None:
    async with stand() as on, listening(on) as heard:
        await until(lambda: up(heard) == set(StreamName))
        on.faults.add(FaultKind.CLOSE_SOCKET, times=1, target="/user*")
        on.hold(LONG_BTC, 1)
        moved = lambda: [e for e in heard if isinstance(e, StreamMoved) and e.stream is StreamName.PRIVATE]  # noqa: E731
        await until(lambda: [e.up for e in moved()] == [True, False, True], within_s=10)


async def test_a_symbol_that_joins_later_gets_its_marks_at_once() -> None:
    async with stand() as on, listening(on) as heard:
        await until(lambda: up(heard) == set(StreamName))
        on.venue.watch([ETH])
        await until(lambda: any(isinstance(e, MarkSeen) and e.symbol == ETH for e in heard))
        on.venue.watch([Symbol("NOPEUSDT"), ETH])
        await until(lambda: bool(on.said("refused-futures/ticker:NOPEUSDT")))


async def test_a_refused_login_is_told_to_people_and_the_public_stream_goes_on() -> None:
    async with stand(credentials=Credentials(key=KEY.key, secret="wrong", memo=KEY.memo)) as on:
        on.venue.watch([BTC])
        async with listening(on) as heard:
            await until(lambda: bool(on.said("login-refused")) and up(heard) == {StreamName.PUBLIC})


async def test_a_refused_login_lets_the_clock_be_measured_before_the_next_try() -> None:
    async with stand() as on:
        on.faults.add(FaultKind.REFUSE_LOGIN, times=1)
        async with listening(on) as heard:
            await until(lambda: up(heard) == set(StreamName), within_s=10)
            measured = [fact for fact in on.facts if isinstance(fact, ClockOffsetRead)]
            assert len(measured) == 2  # at the start, and for the login


async def test_a_second_whole_position_stop_is_known_as_existing() -> None:
    async with stand() as on:
        on.hold(LONG_BTC, 100)
        assert isinstance(await send(on, PROTECTION), Accepted)
        second = await send(on, PROTECTION, "gd1second")
        assert isinstance(second, Rejected)
        assert second.reason is Reason.PROTECTION_EXISTS


async def test_a_closing_venue_is_noticed_on_the_stream() -> None:
    async with stand() as on:
        on.hold(LONG_BTC, 100)
        async with listening(on) as heard:
            on.faults.add(FaultKind.MAINTENANCE, target="*submit-order")
            await send(on, CloseAtMarket(key=LONG_BTC, size=Decimal(1)))
            await until(lambda: VenueClosingSeen in _kinds(heard), within_s=1)


async def test_leverage_is_lowered_and_the_same_leverage_again_is_no_failure() -> None:
    async with stand() as on:
        on.hold(SHORT_ETH, 500)
        write = SetLeverage(key=SHORT_ETH, margin_mode=MarginMode.ISOLATED, leverage=Decimal(5))
        assert isinstance(await send(on, write), Accepted)
        (position,) = (await on.venue.positions()).positions
        assert position.leverage == 5
        assert isinstance(await send(on, write), Accepted)


async def test_an_operator_opens_closes_switches_and_transfers() -> None:
    async with stand(position_mode=SimulatedMode.ONE_WAY) as on:
        operator = BitmartOperator(on.access)
        assert isinstance(await operator.set_position_mode(PositionMode.HEDGE), Accepted)
        assert await on.venue.position_mode() is PositionMode.HEDGE
        opened = await operator.open_position(
            LONG_BTC, size=Decimal(5), price=None, leverage=Decimal(10), isolated=True
        )
        assert isinstance(opened, Accepted)
        assert on.held(LONG_BTC) == 5
        refused = await operator.set_position_mode(PositionMode.ONE_WAY)
        assert isinstance(refused, Rejected)
        assert isinstance(await operator.close_position(LONG_BTC, size=Decimal(5), price=None), Accepted)
        assert on.held(LONG_BTC) == 0
        before = (await on.venue.balances())[0].available
        assert isinstance(await operator.transfer(amount=Decimal("100.5"), into_futures=True), Accepted)
        assert (await on.venue.balances())[0].available == before + Decimal("100.5")
        await operator.close()


async def test_after_close_nothing_more_is_sent() -> None:
    async with stand() as on:
        on.hold(LONG_BTC, 100)
        await on.venue.close()
        outcome = await send(on, CloseAtMarket(key=LONG_BTC, size=Decimal(1)))
        assert isinstance(outcome, Rejected)
        assert on.held(LONG_BTC) == 100
        with pytest.raises(VenueError):
            await on.venue.positions()


def _edges(heard: list[Event], stream: StreamName) -> list[bool]:
    return [event.up for event in heard if isinstance(event, StreamMoved) and event.stream is stream]


def _kinds(heard: list[Event]) -> set[type]:
    return {type(event) for event in heard}
