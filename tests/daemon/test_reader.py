"""The reads: each kind has its pace, and what is known already costs no call."""

import asyncio
from typing import Any

from guardd.clock import ManualClock
from guardd.daemon.reader import Reader, ReadKind
from guardd.model.event import (
    Event,
    InstrumentsRead,
    LedgerRead,
    MarkSeen,
    OrdersRead,
    PositionsRead,
    ReadFailed,
    Source,
)
from guardd.model.flow import Flow
from guardd.model.instrument import Instrument
from guardd.model.names import Symbol
from guardd.venues.base import Early
from tests.execution.bench import D
from tests.model.accounts import instrument

BTC, ETH, SOL = Symbol("BTCUSDT"), Symbol("ETHUSDT"), Symbol("SOLUSDT")


class AskedForMarks:
    """A venue that is only asked for marks here."""

    def __init__(self, clock: ManualClock) -> None:
        self.asked: list[Symbol] = []
        self.watched: list[Symbol] = []
        self._clock = clock

    positions = balances = orders = position_mode = clock_offset_ms = instruments = None

    def watch(self, symbols: list[Symbol]) -> None:
        self.watched = symbols

    async def mark(self, symbol: Symbol) -> MarkSeen:
        self.asked.append(symbol)
        return MarkSeen(symbol, D(100), self._clock.now(), source=Source.REST)


async def test_only_symbols_without_a_mark_are_asked_for_one() -> None:
    """Each costs a call of the positions' own budget, which at a start is needed for the full read."""
    clock = ManualClock()
    asked = AskedForMarks(clock)
    venue: Any = asked
    reader = Reader(venue=venue, post=lambda event: None, clock=clock)
    reader.follow(frozenset({BTC, ETH, SOL}), marked={BTC: object(), SOL: object()})
    marks = asyncio.create_task(dict(reader.tasks())["read-marks"]())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    marks.cancel()
    assert asked.asked == [ETH]
    assert asked.watched == [BTC, ETH, SOL]


async def test_I10_a_mark_that_is_asked_for_again_and_again_keeps_no_other_waiting() -> None:
    clock = ManualClock()
    asked = AskedForMarks(clock)
    venue: Any = asked

    def post(event: object) -> None:
        if len(asked.asked) < 5:
            reader.want_mark(BTC)

    reader = Reader(venue=venue, post=post, clock=clock)
    reader.want_mark(BTC)
    reader.want_mark(ETH)
    marks = asyncio.create_task(dict(reader.tasks())["read-marks"]())
    for _ in range(10):
        await asyncio.sleep(0)
    marks.cancel()
    assert asked.asked[:3] == [BTC, ETH, BTC]


class SlowPositions:
    """A venue whose answers to a read of the positions come when a test lets them."""

    positions_read: list[asyncio.Future[PositionsRead]]

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.positions_read = []
        self.asked_since: list[int] = []

    balances = orders = position_mode = clock_offset_ms = instruments = None

    async def positions(self) -> PositionsRead:
        answer: asyncio.Future[PositionsRead] = asyncio.get_running_loop().create_future()
        self.positions_read.append(answer)
        return await answer

    async def ledger(self, *, since_ms: int) -> tuple[Flow, ...]:
        self.asked_since.append(since_ms)
        return ()


def slow() -> tuple[ManualClock, SlowPositions, Reader, list[Event]]:
    clock = ManualClock()
    asked, events = SlowPositions(clock), list[Event]()
    venue: Any = asked
    return clock, asked, Reader(venue=venue, post=events.append, clock=clock, ledger_from_ms=lambda: 77), events


async def running(reader: Reader, *names: str) -> list[asyncio.Task[None]]:
    bodies = dict(reader.tasks())
    return [asyncio.ensure_future(bodies[name]()) for name in names]


async def test_a_read_before_a_close_waits_for_no_poll_and_at_most_half_a_second() -> None:
    clock, venue, reader, events = slow()
    tasks = await running(reader, "read-positions", "read-at-once")
    await clock.advance(0.1)
    assert len(venue.positions_read) == 1, "the poll's own, which hangs"
    reader.want_positions_at_once()
    await clock.advance(0.1)
    assert len(venue.positions_read) == 2
    await clock.advance(0.45)
    [failed] = events
    assert isinstance(failed, ReadFailed)
    assert "no answer within 0.5 s" in failed.why
    reader.want_positions_at_once()
    await clock.advance(0.3)
    started = clock.now()
    venue.positions_read[2].set_result(PositionsRead(started=started, at=started, positions=()))
    await clock.advance(0.01)
    assert isinstance(events[-1], PositionsRead)
    for task in tasks:
        task.cancel()


async def test_a_list_of_positions_that_was_overtaken_by_a_later_one_is_not_told() -> None:
    clock, venue, reader, events = slow()
    tasks = await running(reader, "read-positions", "read-at-once")
    await clock.advance(0.1)
    before = clock.now()
    reader.want_positions_at_once()
    await clock.advance(0.1)
    at_once, poll = venue.positions_read[1], venue.positions_read[0]
    newer = PositionsRead(started=clock.now(), at=clock.now(), positions=())
    at_once.set_result(newer)
    await clock.advance(0.01)
    poll.set_result(PositionsRead(started=before, at=clock.now(), positions=()))
    await clock.advance(0.01)
    assert events == [newer]
    for task in tasks:
        task.cancel()


async def test_positions_are_read_as_seldom_as_the_venue_asks_while_nothing_is_near_and_each_second_otherwise() -> None:
    clock = ManualClock()
    venue: Any = Answering(clock)
    read: list[float] = []
    reader = Reader(venue=venue, post=lambda event: read.append(clock.now().mono_ns / 1e9), clock=clock)
    [task] = await running(reader, "read-positions")
    await clock.advance(3.0)
    each_second = len(read)
    reader.rest(2.0)
    await clock.advance(8.0)
    at_rest = len(read) - each_second
    reader.stir()
    await clock.advance(6.0)
    task.cancel()
    assert (each_second, at_rest, len(read) - each_second - at_rest) == (4, 4, 6)


class Listing:
    """A venue that tells contract details: the contracts after 0.1 s, their margin tiers a second after that."""

    positions = balances = orders = position_mode = clock_offset_ms = None

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock

    def watch(self, symbols: list[Symbol]) -> None: ...

    async def instruments(self, symbols: list[Symbol], *, early: Early) -> tuple[Instrument, ...]:
        await self._clock.sleep(0.1)
        early(tuple(instrument(symbol, tiers=()) for symbol in symbols))
        await self._clock.sleep(1.0)
        return tuple(instrument(symbol) for symbol in symbols)


def listing() -> tuple[ManualClock, Reader, list[InstrumentsRead]]:
    clock = ManualClock()
    venue: Any = Listing(clock)
    events: list[Any] = []
    return clock, Reader(venue=venue, post=events.append, clock=clock), events


def told(events: list[InstrumentsRead]) -> list[tuple[list[Symbol], bool]]:
    found = [
        ([each.symbol for each in event.instruments], all(each.tiers for each in event.instruments)) for event in events
    ]
    events.clear()
    return found


async def test_I10_contract_details_are_told_before_their_tiers_as_soon_as_anything_is_held() -> None:
    clock, reader, events = listing()
    [task] = await running(reader, "read-instruments")
    await clock.advance(0.1)
    reader.follow(frozenset({BTC, ETH}))
    await clock.advance(0.15)
    assert told(events) == [([BTC, ETH], False)]
    await clock.advance(1.0)
    assert told(events) == [([BTC, ETH], True)]
    task.cancel()


async def test_what_is_opened_beside_others_is_asked_for_alone_and_nothing_that_is_known_is_told_with_less() -> None:
    clock, reader, events = listing()
    [task] = await running(reader, "read-instruments")
    reader.follow(frozenset({BTC, ETH}))
    await clock.advance(2.0)
    told(events)
    reader.follow(frozenset({BTC, ETH, SOL}))
    await clock.advance(2.0)
    assert told(events) == [([SOL], False), ([SOL], True)]
    reader.follow(frozenset({BTC}))
    await clock.advance(2.0)
    assert told(events) == []
    reader.follow(frozenset({BTC, ETH}))
    await clock.advance(2.0)
    assert told(events) == [([ETH], True)]
    await clock.advance(3610.0)
    assert told(events) == [([BTC, ETH], True)]
    task.cancel()


async def test_the_ledger_rests_while_nobody_asks_for_it_and_then_has_its_pace() -> None:
    clock, venue, reader, events = slow()
    tasks = await running(reader, "read-ledger")
    reader.want(ReadKind.LEDGER)
    await clock.advance(60)
    assert venue.asked_since == []
    reader.follow_ledger(True)
    await clock.advance(61)
    assert venue.asked_since == [77, 77, 77]
    assert all(isinstance(event, LedgerRead) and event.since_ms == 77 for event in events)
    reader.follow_ledger(False)
    await clock.advance(60)
    assert len(venue.asked_since) <= 4
    for task in tasks:
        task.cancel()


class Answering:
    """A venue that answers at once, but to one kind of read that may hang."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.balances_hang = False

    position_mode = clock_offset_ms = instruments = None

    async def positions(self) -> PositionsRead:
        return PositionsRead(started=self.clock.now(), at=self.clock.now(), positions=())

    async def orders(self) -> OrdersRead:
        return OrdersRead(started=self.clock.now(), at=self.clock.now(), resting=(), plans=())

    async def balances(self) -> tuple[()]:
        if self.balances_hang:
            await asyncio.Event().wait()
        return ()


async def test_the_age_of_a_full_read_is_that_of_its_oldest_kind_and_grows_when_one_stays_away() -> None:
    """Each kind is read for itself: the metric had stood at the one full read of the start."""
    clock = ManualClock()
    venue: Any = Answering(clock)
    reader = Reader(venue=venue, post=lambda event: None, clock=clock)
    assert reader.full_at is None
    tasks = await running(reader, "read-positions", "read-balance", "read-orders")
    await clock.advance(0.1)
    assert reader.full_at is not None
    await clock.advance(60)
    assert clock.now().seconds_since(reader.full_at) <= 10.5
    venue.balances_hang = True
    await clock.advance(60)
    assert clock.now().seconds_since(reader.full_at) >= 57
    for task in tasks:
        task.cancel()
