"""A socket's life: login, acknowledgements, pings, silence, loss and return."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from random import Random

from aiohttp import web

from guardd.clock import ManualClock, SystemClock
from guardd.errors import PayloadError
from guardd.model.event import Event, MarkSeen, StreamMoved, StreamName
from guardd.model.facts import Fact, StreamChanged
from guardd.model.instant import Instant
from guardd.model.names import AccountName, Symbol, VenueName
from guardd.venues.network import NetworkWire
from guardd.venues.stream import ATTEMPTS_MAX, EVENTS_WAITING_MAX, Link, LinkTerms, Mailbox, keep_connected
from guardd.venues.wire import Closed, Unconnected, Wire
from tests.venues.wires import FakeSocket, FakeWire

BTC, ETH = Symbol("BTCUSDT"), Symbol("ETHUSDT")
TERMS = LinkTerms(stream=StreamName.PUBLIC, url="ws://venue.test/api", ping_frame="ping")


class Talk:
    """A small dialect: `login`, `+SYM`, `-SYM`; acknowledged by `ok WORD`, refused by `no WORD`; `SYM PRICE` is a mark."""

    def __init__(self, *, login: bool = False) -> None:
        self._login = login
        self._carried: frozenset[Symbol] = frozenset()
        self.admitted = not login
        self.waiting: set[str] = set()
        self.failed: str | None = None

    def opening(self, now: Instant) -> Sequence[str]:
        return [f"login {now.wall_ms}"] if self._login else []

    def wanted(self, symbols: frozenset[Symbol]) -> Sequence[str]:
        more, fewer = sorted(symbols - self._carried), sorted(self._carried - symbols)
        self._carried = symbols
        self.waiting |= {f"+{symbol}" for symbol in more}
        return [*(f"+{symbol}" for symbol in more), *(f"-{symbol}" for symbol in fewer)]

    def on_frame(self, frame: str | bytes, at: Instant) -> Sequence[Event]:
        first, _, second = (frame if isinstance(frame, str) else frame.decode()).partition(" ")
        match first:
            case "ok" if second == "login":
                self.admitted = True
            case "ok":
                self.waiting.discard(second)
            case "no":
                self.failed = f"{second} was refused"
            case "pong":
                pass
            case "garbage":
                raise PayloadError(where="frame", found="garbage", expected="a mark")
            case "bug":
                raise ZeroDivisionError
            case _:
                return [MarkSeen(Symbol(first), Decimal(second), at)]
        return []


class Stage:
    """A link over a fake wire, with everything it says collected."""

    def __init__(
        self, clock: ManualClock, *, login: bool = False, terms: LinkTerms = TERMS, wire: FakeWire | None = None
    ) -> None:
        self.clock = clock
        self.wire = wire or FakeWire(clock)
        self.facts: list[Fact] = []
        self.events: list[Event] = []
        self.link = link_over(self.wire, clock, self.facts, login=login, terms=terms)

    @property
    def socket(self) -> FakeSocket:
        return self.wire.opened[-1]

    @property
    def edges(self) -> list[tuple[bool, str]]:
        return [(event.up, event.why) for event in self.events if isinstance(event, StreamMoved)]

    @property
    def marks(self) -> list[tuple[str, str]]:
        return [(event.symbol, str(event.mark)) for event in self.events if isinstance(event, MarkSeen)]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async def collect() -> None:
            async with contextlib.aclosing(keep_connected(self.link)) as events:
                async for event in events:
                    self.events.append(event)

        async with asyncio.TaskGroup() as group:
            task = group.create_task(collect())
            await self.clock.advance(0.0)
            yield
            task.cancel()


def link_over(
    wire: Wire, clock: ManualClock | SystemClock, facts: list[Fact], *, login: bool = False, terms: LinkTerms = TERMS
) -> Link:
    return Link(
        terms=terms,
        conversation=lambda: Talk(login=login),
        wire=wire,
        clock=clock,
        random=Random(5),
        account=AccountName("main"),
        venue=VenueName("bitmart"),
        listener=facts.append,
    )


async def test_a_stream_is_up_only_when_it_is_logged_in_and_every_subscription_is_acknowledged() -> None:
    clock = ManualClock()
    stage = Stage(clock, login=True)
    stage.link.watch([BTC, ETH])
    async with stage.running():
        assert stage.socket.sent == [f"login {clock.now().wall_ms}"]
        stage.socket.push("ok login")
        await clock.advance(0.0)
        assert stage.socket.sent[1:] == ["+BTCUSDT", "+ETHUSDT"]
        stage.socket.push("ok +BTCUSDT")
        await clock.advance(0.0)
        assert not stage.link.up
        assert stage.edges == []
        stage.socket.push("ok +ETHUSDT")
        await clock.advance(0.0)
        assert stage.link.up
        assert stage.edges == [(True, "every subscription is acknowledged")]
    assert stage.socket.closed


async def test_without_a_login_it_subscribes_at_once_and_with_nothing_to_ask_it_is_up() -> None:
    stage = Stage(ManualClock())
    async with stage.running():
        assert stage.edges == [(True, "every subscription is acknowledged")]


async def test_events_come_in_order_also_before_the_stream_is_up() -> None:
    clock = ManualClock()
    stage = Stage(clock)
    stage.link.watch([BTC])
    async with stage.running():
        stage.socket.push("BTCUSDT 1", b"BTCUSDT 2", "ok +BTCUSDT", "BTCUSDT 3")
        await clock.advance(0.0)
    assert stage.marks == [("BTCUSDT", "1"), ("BTCUSDT", "2"), ("BTCUSDT", "3")]
    assert isinstance(stage.events[2], StreamMoved)
    assert stage.link.frames == 4


async def test_a_missing_acknowledgement_ends_the_connection_after_ten_seconds() -> None:
    clock = ManualClock()
    stage = Stage(clock)
    stage.link.watch([BTC])
    async with stage.running():
        first = stage.socket
        for _ in range(9):
            first.push("pong")
            await clock.advance(1.0)
        assert not first.closed
        await clock.advance(2.0)
        assert first.closed
    assert stage.edges == [(False, "+BTCUSDT: not acknowledged within 10 s")]


async def test_a_login_that_is_never_answered_or_refused_ends_the_connection() -> None:
    clock = ManualClock()
    stage = Stage(clock, login=True)
    async with stage.running():
        await clock.advance(11.0)
    assert stage.edges == [(False, "the login: not acknowledged within 10 s")]
    refused = Stage(clock, login=True)
    async with refused.running():
        refused.socket.push("no login")
        await clock.advance(0.0)
    assert refused.edges == [(False, "login was refused")]


async def test_pings_go_out_every_ten_seconds() -> None:
    clock = ManualClock()
    stage = Stage(clock)
    async with stage.running():
        for _ in range(35):
            stage.socket.push("pong")
            await clock.advance(1.0)
        assert stage.socket.sent == ["ping"] * 3


async def test_silence_for_thirty_seconds_ends_the_connection_and_any_frame_is_life() -> None:
    clock = ManualClock()
    stage = Stage(clock)
    async with stage.running():
        first = stage.socket
        await clock.advance(29.0)
        first.push("pong")
        await clock.advance(29.0)
        assert not first.closed
        await clock.advance(2.0)
        assert first.closed
        await clock.advance(31.0)
        assert stage.wire.connects >= 2
    assert stage.edges[:2] == [(True, "every subscription is acknowledged"), (False, "no frame for 30 s")]


async def test_a_lost_connection_comes_back_with_its_subscriptions() -> None:
    clock = ManualClock()
    stage = Stage(clock)
    stage.link.watch([BTC])
    async with stage.running():
        stage.socket.push("ok +BTCUSDT", Closed(why="closed with code 1001"))
        await clock.advance(0.6)
        assert len(stage.wire.opened) == 2
        assert stage.socket.sent == ["+BTCUSDT"]
        stage.socket.push("ok +BTCUSDT")
        await clock.advance(0.0)
    assert [up for up, _ in stage.edges] == [True, False, True]
    assert stage.edges[1] == (False, "closed with code 1001")
    assert [fact.up for fact in stage.facts if isinstance(fact, StreamChanged)] == [True, False, True]


async def test_a_frame_that_cannot_be_read_ends_the_connection_and_says_why() -> None:
    clock = ManualClock()
    stage = Stage(clock)
    async with stage.running():
        stage.socket.push("garbage")
        await clock.advance(0.0)
        assert stage.edges[-1] == (False, "PayloadError: frame: found garbage, expected a mark")


async def test_a_bug_in_a_dialect_does_not_end_the_stream() -> None:
    clock = ManualClock()
    stage = Stage(clock)
    async with stage.running():
        stage.socket.push("bug")
        await clock.advance(1.0)
        assert stage.edges[1] == (False, "ZeroDivisionError")
        assert stage.link.up


async def test_going_down_is_told_once_however_often_the_venue_cannot_be_reached() -> None:
    clock = ManualClock()
    wire = FakeWire(clock)
    wire.sockets = [Unconnected(why="refused") for _ in range(10)]
    stage = Stage(clock, wire=wire)
    async with stage.running():
        await clock.advance(600.0)
    assert wire.connects >= 11
    assert stage.edges[:2] == [(False, "refused"), (True, "every subscription is acknowledged")]


async def test_attempts_back_off_and_never_pass_thirty_a_minute() -> None:
    clock = ManualClock()
    wire = FakeWire(clock)
    wire.sockets = [Unconnected(why="refused") for _ in range(10_000)]
    stage = Stage(clock, wire=wire)
    async with stage.running():
        await clock.advance(60.0)
        assert wire.connects <= 15
        await clock.advance(3600.0)
        assert 3600 / 30 <= wire.connects <= 3600 / 10


async def test_a_connection_that_dies_young_does_not_reset_the_backoff() -> None:
    clock = ManualClock()
    stage = Stage(clock)
    async with stage.running():
        for _ in range(600):
            stage.socket.push(Closed(why="lost"))
            await clock.advance(0.5)
    assert stage.wire.connects < 40


class Zero(Random):
    """Chance at its worst: no jitter, so no wait at all."""

    def random(self) -> float:
        return 0.0


async def test_without_any_wait_between_them_attempts_are_still_paced() -> None:
    clock = ManualClock()
    wire = FakeWire(clock)
    wire.sockets = [Unconnected(why="refused") for _ in range(1000)]
    link = Link(
        terms=TERMS,
        conversation=Talk,
        wire=wire,
        clock=clock,
        random=Zero(),
        account=AccountName("main"),
        venue=VenueName("bitmart"),
        listener=lambda fact: None,
    )
    async with asyncio.TaskGroup() as group:
        task = group.create_task(link.run(Mailbox()))
        await clock.advance(59.0, turns=2000)
        assert wire.connects == ATTEMPTS_MAX
        await clock.advance(2.0, turns=2000)
        assert wire.connects == 2 * ATTEMPTS_MAX
        task.cancel()


async def test_a_change_of_symbols_is_sent_at_once_and_must_be_acknowledged() -> None:
    clock = ManualClock()
    stage = Stage(clock)
    stage.link.watch([BTC])
    async with stage.running():
        first = stage.socket
        first.push("ok +BTCUSDT")
        await clock.advance(1.0)
        stage.link.watch([ETH])
        stage.link.watch([ETH])
        await clock.advance(0.0)
        assert first.sent == ["+BTCUSDT", "+ETHUSDT", "-BTCUSDT"]
        assert stage.link.up
        await clock.advance(12.0)
        assert first.closed
    assert stage.edges[1] == (False, "+ETHUSDT: not acknowledged within 10 s")


async def test_a_slow_reader_stops_the_link_and_not_the_other_way_round() -> None:
    clock = ManualClock()
    wire = FakeWire(clock)
    link = link_over(wire, clock, [])
    mailbox = Mailbox()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(link.run(mailbox))
        await clock.advance(0.0)
        wire.opened[-1].push(*(f"BTCUSDT {number}" for number in range(3 * EVENTS_WAITING_MAX)))
        await clock.advance(0.0, turns=3000)
        assert link.frames < EVENTS_WAITING_MAX + 100
        taken = len(await mailbox.take())
        await clock.advance(0.0, turns=3000)
        taken += len(await mailbox.take())
        assert taken > EVENTS_WAITING_MAX + 100
        task.cancel()


async def test_several_links_share_one_iterator_and_companions_live_beside_them() -> None:
    clock = ManualClock()
    wires = [FakeWire(clock), FakeWire(clock)]
    links = [link_over(wire, clock, []) for wire in wires]
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            beats += 1
            await clock.sleep(1.0)

    stream = keep_connected(*links, beside=[beat])
    assert isinstance(await anext(stream), StreamMoved)
    assert isinstance(await anext(stream), StreamMoved)
    wires[1].opened[0].push("ETHUSDT 2")
    mark = await anext(stream)
    assert isinstance(mark, MarkSeen)
    assert mark.symbol == ETH
    await clock.advance(2.5)
    await stream.aclose()
    assert beats == 3
    assert all(wire.opened[0].closed for wire in wires)


async def test_cancelling_the_reader_closes_the_socket() -> None:
    clock = ManualClock()
    stage = Stage(clock)
    async with stage.running():
        assert not stage.socket.closed
    assert stage.socket.closed


async def test_over_a_real_socket_a_burst_is_read_whole_and_a_cut_is_survived() -> None:
    connections = 0
    frames = 5000

    async def venue(request: web.Request) -> web.StreamResponse:
        nonlocal connections
        connections += 1
        there = web.WebSocketResponse()
        await there.prepare(request)
        assert (await there.receive_str()) == "+BTCUSDT"
        await there.send_str("ok +BTCUSDT")
        for number in range(frames):
            await there.send_str(f"BTCUSDT {number}")
        if connections == 1:
            await there.close(code=1001)
        else:
            await there.receive()
        return there

    app = web.Application()
    app.router.add_get("/", venue)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    clock = SystemClock()
    wire = NetworkWire(clock)
    terms = LinkTerms(stream=StreamName.PUBLIC, url=f"ws://127.0.0.1:{runner.addresses[0][1]}/")
    link = link_over(wire, clock, [], terms=terms)
    link.watch([BTC])
    seen: list[str] = []
    async with asyncio.timeout(20), contextlib.aclosing(keep_connected(link)) as events:
        async for event in events:
            match event:
                case MarkSeen(mark=mark):
                    seen.append(str(mark))
                case StreamMoved(up=up):
                    seen.append("up" if up else "down")
                case _:
                    raise AssertionError(event)
            if len(seen) == 2 * frames + 3:
                break
    burst = [str(number) for number in range(frames)]
    assert json.dumps(seen) == json.dumps(["up", *burst, "down", "up", *burst])
    await wire.close()
    await runner.cleanup()


class LastWords(FakeSocket):
    """Is lost in the turn of the loop in which `told` is told to stop."""

    told: "asyncio.Task[None] | None" = None

    async def receive(self) -> bytes | str | Closed:
        assert self.told is not None
        asyncio.get_running_loop().call_soon(self.told.cancel)
        return Closed(why="gone")


async def test_a_link_that_is_lost_while_it_is_told_to_stop_stops() -> None:
    clock = ManualClock()
    stage = Stage(clock)
    socket = LastWords()
    stage.wire.sockets.append(socket)
    task = asyncio.create_task(stage.link.run(Mailbox()))
    socket.told = task
    await clock.advance(120.0)
    assert task.cancelled()
    assert (stage.wire.connects, socket.closed) == (1, True)
