"""What is certain of an answer, and what is done about it; classification through a well-known client and through our own wire, the
rest on a fake one."""

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from unittest.mock import Mock

import aiohttp
import pytest
from aioresponses import aioresponses

from guardd.clock import ManualClock
from guardd.model.event import BlockKind, BlockMoved
from guardd.model.facts import BlockChanged, Fact, RequestFinished, RequestResult
from guardd.model.names import AccountName, VenueName
from guardd.venues.limiter import Lane, Limit, LimiterRegistry, Scope
from guardd.venues.transport import (
    Ambiguous,
    Answer,
    Banned,
    Call,
    Dialect,
    EdgePage,
    HeldBack,
    Judgement,
    NotSent,
    RateLimited,
    Reply,
    Transport,
    Usage,
    classify,
)
from guardd.venues.wire import Wire, WireAnswer, WireReply, WireRequest
from tests.changed import replace
from tests.venues.loopback import network, talking
from tests.venues.wires import FakeWire, reply

ORDERS = "https://venue.test/orders"
SAMPLES = Path(__file__).parents[1] / "samples" / "bitmart"
OK = '{"code":1000,"message":"Ok","trace":"t","data":{}}'
READ = Call(endpoint="positions", method="GET", path="/positions", deadline_s=5.0)
WRITE = Call(endpoint="orders", method="POST", path="/orders", deadline_s=5.0, body='{"size":1}')
PROBE = Call(endpoint="time", method="GET", path="/time", deadline_s=2.0)


def judge(status: int, code: str) -> Judgement:
    match code:
        case "1000":
            return Judgement.OK
        case "30013":
            return Judgement.RATE_LIMITED
        case "30017":
            return Judgement.BANNED
        case _:
            return Judgement.REJECTED


def usage(headers: Mapping[str, str]) -> Usage | None:
    used = headers.get("x-used")
    return None if used is None else Usage(used=int(used), limit=24, window_s=2.0)


DIALECT = Dialect(judge=judge, usage=usage)
LIMITS = [
    Limit(endpoint=endpoint, calls=24, window_s=2.0, scope=Scope.KEY) for endpoint in ("positions", "orders", "time")
]


class House:
    """A transport with its ears."""

    def __init__(self, clock: ManualClock, wire: Wire, *, registry: LimiterRegistry | None = None) -> None:
        self.clock = clock
        self.facts: list[Fact] = []
        self.blocks: list[BlockMoved] = []
        registry = registry or LimiterRegistry(clock, Random(3))
        self.transport = Transport(
            wire=wire,
            base_url="https://venue.test/",
            limiter=registry.limiter(host="venue", credential="key", limits=LIMITS, share=0.7),
            clock=clock,
            random=Random(4),
            dialect=DIALECT,
            account=AccountName("main"),
            venue=VenueName("bitmart"),
            listener=self.facts.append,
            on_block=self.blocks.append,
            headers={"User-Agent": "guardd-test"},
        )

    @property
    def results(self) -> list[RequestResult]:
        return [fact.result for fact in self.facts if isinstance(fact, RequestFinished)]


class ResponseOfAioresponses(aiohttp.ClientResponse):
    """aioresponses 0.7.9 doesn't know the `stream_writer` that aiohttp 3.14 asks for."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        kwargs.setdefault("stream_writer", Mock(output_size=0))
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]


async def by_library(status: int, body: str, headers: Mapping[str, str]) -> WireReply:
    """The answer as aiohttp's client hands it out."""
    clock = ManualClock()
    with aioresponses() as venue:
        venue.post(ORDERS, status=status, body=body, headers=dict(headers), response_class=ResponseOfAioresponses)
        async with aiohttp.ClientSession() as session, session.post(ORDERS, allow_redirects=False) as response:
            named = {name.lower(): value for name, value in response.headers.items()}
            now = clock.now()
            return WireReply(
                status=response.status, headers=named, body=await response.read(), sent_ns=now.mono_ns, received=now
            )


async def by_our_wire(status: int, body: str, headers: Mapping[str, str]) -> WireAnswer:
    """The same answer, from a server on loopback through the wire that carries orders."""

    async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n{}")
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"HTTP/1.1 {status} Said\r\n{lines}Content-Length: {len(body)}\r\n\r\n{body}".encode())

    async with talking(answers) as host, network() as wire:
        request = WireRequest(method="POST", url=f"http://{host}/orders", headers={}, body=b"{}")
        return await wire.http(request, 2.0)


async def classified(status: int, body: str, headers: Mapping[str, str]) -> Answer:
    """What an answer means. It means the same whether a well-known client has read it or our own wire."""
    theirs, ours = await by_library(status, body, headers), await by_our_wire(status, body, headers)
    assert isinstance(ours, WireReply)
    assert (ours.status, ours.body) == (theirs.status, theirs.body)
    for name, value in headers.items():
        assert ours.headers[name] == theirs.headers[name] == value
    found = classify(ours, DIALECT)
    assert (
        classify(replace(theirs, headers=ours.headers, sent_ns=ours.sent_ns, received=ours.received), DIALECT) == found
    )
    return found


@pytest.mark.parametrize(
    ("sample", "status"),
    [("error_cloudflare_403_1010", 403), ("error_cloudflare_403_html", 403), ("error_cloudflare_503_html", 503)],
)
async def test_a_cloudflare_page_is_never_taken_for_the_api(sample: str, status: int) -> None:
    page = json.loads((SAMPLES / f"{sample}.json").read_text())
    answer = await classified(page["http_status"], page["body"], page["headers"])
    assert isinstance(answer, EdgePage)
    assert answer.status == status
    assert answer.not_executed == (status == 403)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500, 502, 503, 504, 200])
async def test_the_apis_own_json_is_a_reply_whatever_its_http_status(status: int) -> None:
    answer = await classified(status, '{"code":30010,"msg":"forbidden"}', {})
    assert isinstance(answer, Reply)
    assert (answer.status, answer.code) == (status, "30010")


@pytest.mark.parametrize("status", [200, 301, 400, 404, 500, 502, 504, 520, 521, 522, 524, 530])
@pytest.mark.parametrize("body", ["<html>bad gateway</html>", "", "{", "[]", '{"data":{}}', '{"code":1000,"data":'])
async def test_a_body_that_is_not_the_apis_leaves_the_outcome_unknown(status: int, body: str) -> None:
    assert isinstance(await classified(status, body, {}), Ambiguous)


async def test_cloudflares_own_json_error_is_a_page() -> None:
    body = '{"type":"https://example.test/1010","title":"Access denied","status":403,"error_code":1010}'
    assert isinstance(await classified(403, body, {"server": "cloudflare"}), EdgePage)


@pytest.mark.parametrize(
    ("status", "body"),
    [(429, '{"code":30013}'), (200, '{"code":30013}'), (429, "error code: 1015"), (429, '{"code":9}')],
)
async def test_a_429_is_known_by_its_status_and_by_its_code(status: int, body: str) -> None:
    assert isinstance(await classified(status, body, {}), RateLimited)


@pytest.mark.parametrize(("status", "body"), [(418, '{"code":30017}'), (200, '{"code":30017}'), (418, "teapot")])
async def test_a_ban_is_known_by_its_status_and_by_its_code(status: int, body: str) -> None:
    assert isinstance(await classified(status, body, {}), Banned)


@pytest.mark.parametrize(
    ("text", "seconds"), [("30", 30.0), ("", 0.0), ("soon", 0.0), ("-5", 0.0), ("99999", 900.0), ("²", 0.0)]
)
async def test_a_retry_after_is_read_and_bounded(text: str, seconds: float) -> None:
    wired = reply(ManualClock(), 429, '{"code":30013}', retry_after=text)
    assert classify(wired, DIALECT) == RateLimited(
        retry_after_s=seconds, reply=Reply(
            status=429, code="30013", body=wired.body, headers=wired.headers, sent_ns=wired.sent_ns, received=wired.received
        )
    )  # fmt: skip


async def test_a_request_carries_the_query_the_headers_and_a_signature_made_after_the_token() -> None:
    clock = ManualClock()
    wire = FakeWire(clock, reply(clock, 200, OK))
    house = House(clock, wire)
    call = Call(
        endpoint="positions",
        method="GET",
        path="/p",
        deadline_s=5.0,
        query=(("symbol", "BTC USDT"), ("type", "a&b")),
        headers={"X-KEY": "k"},
        sign=lambda: {"X-TIME": str(clock.now().wall_ms)},
    )
    clock.pass_time(1.0)
    answer = await house.transport.read(call)
    assert isinstance(answer, Reply)
    sent = wire.requests[0]
    assert sent.url == "https://venue.test/p?symbol=BTC+USDT&type=a%26b"
    assert sent.headers == {"User-Agent": "guardd-test", "X-KEY": "k", "X-TIME": str(clock.now().wall_ms)}


async def test_another_host_of_the_venue_can_be_asked() -> None:
    clock = ManualClock()
    wire = FakeWire(clock, reply(clock, 200, OK))
    call = Call(endpoint="time", method="GET", path="/time", deadline_s=1.0, base_url="https://spot.test")
    await House(clock, wire).transport.read(call)
    assert wire.requests[0].url == "https://spot.test/time"


async def test_a_read_comes_again_until_it_is_answered() -> None:
    clock = ManualClock()
    wire = FakeWire(
        clock, NotSent(why="refused"), Ambiguous(why="reset"), reply(clock, 502, '{"code":1}'), reply(clock, 200, OK)
    )
    house = House(clock, wire)
    async with asyncio.TaskGroup() as group:
        read = group.create_task(house.transport.read(READ))
        await clock.advance(3.0)
        answer = read.result()
    assert isinstance(answer, Reply)
    assert answer.code == "1000"
    assert house.results == [
        RequestResult.ERROR,
        RequestResult.ERROR,
        RequestResult.REJECTED,
        RequestResult.OK,
    ]


async def test_a_read_gives_up_after_four_tries_and_never_after_its_deadline() -> None:
    clock = ManualClock()
    wire = FakeWire(clock, Ambiguous(why="no answer", timed_out=True), takes_s=0.3)
    house = House(clock, wire)
    async with asyncio.TaskGroup() as group:
        long = group.create_task(house.transport.read(READ))
        await clock.advance(5.0)
        assert isinstance(long.result(), Ambiguous)
        assert len(wire.requests) == 4
        wire.requests.clear()
        began = clock.monotonic_ns()
        short = group.create_task(house.transport.read(Call(endpoint="time", method="GET", path="/", deadline_s=0.5)))
        await clock.advance(1.5)
        assert isinstance(short.result(), Ambiguous)
    assert len(wire.requests) <= 2
    assert began
    assert set(house.results) == {RequestResult.TIMEOUT}


@pytest.mark.parametrize("first", [Ambiguous(why="reset"), Ambiguous(why="no answer", timed_out=True)])
async def test_I07_a_write_of_unknown_outcome_is_never_sent_again(first: Ambiguous) -> None:
    clock = ManualClock()
    wire = FakeWire(clock, first, reply(clock, 200, OK))
    answer = await House(clock, wire).transport.write(WRITE)
    assert answer == first
    assert len(wire.requests) == 1


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (502, "<html>", Ambiguous),
        (503, "<html>", EdgePage),
        (403, "<html>", EdgePage),
        (429, '{"code":30013}', RateLimited),
        (418, '{"code":30017}', Banned),
        (500, '{"code":40012}', Reply),
    ],
)
async def test_I07_a_write_that_was_answered_in_any_way_is_never_sent_again(
    status: int, body: str, kind: type[Answer]
) -> None:
    clock = ManualClock()
    wire = FakeWire(clock, reply(clock, status, body), reply(clock, 200, OK))
    assert isinstance(await House(clock, wire).transport.write(WRITE), kind)
    assert len(wire.requests) == 1


async def test_a_write_that_certainly_never_left_is_sent_again_within_its_deadline() -> None:
    clock = ManualClock()
    wire = FakeWire(clock, NotSent(why="refused"), NotSent(why="refused"), reply(clock, 200, OK))
    house = House(clock, wire)
    async with asyncio.TaskGroup() as group:
        write = group.create_task(house.transport.write(WRITE))
        await clock.advance(2.0)
        assert isinstance(write.result(), Reply)
    assert len(wire.requests) == 3
    assert all(request.body == b'{"size":1}' for request in wire.requests)


async def test_I07_a_write_that_gets_no_token_in_time_for_an_answer_never_leaves() -> None:
    clock = ManualClock()
    wire = FakeWire(clock, reply(clock, 429, OK), reply(clock, 200, OK))
    house = House(clock, wire)
    assert isinstance(await house.transport.write(WRITE), RateLimited)
    held = await house.transport.write(replace(WRITE, deadline_s=2.1))
    assert isinstance(held, HeldBack)
    assert (held.kind, len(wire.requests)) == (BlockKind.RATE_LIMIT, 1)


async def test_a_write_that_cannot_leave_gives_up_at_its_deadline() -> None:
    clock = ManualClock()
    wire = FakeWire(clock, NotSent(why="refused"))
    began_ns = clock.monotonic_ns()
    async with asyncio.TaskGroup() as group:
        write = group.create_task(House(clock, wire).transport.write(WRITE))
        while not write.done():
            await clock.advance(0.1)
    assert isinstance(write.result(), NotSent)
    assert (clock.monotonic_ns() - began_ns) / 1e9 <= 5.1


async def test_a_page_holds_reads_back_and_is_told_and_a_close_still_goes() -> None:
    clock = ManualClock()
    wire = FakeWire(clock, reply(clock, 503, "<html>Cloudflare</html>"))
    house = House(clock, wire)
    assert isinstance(await house.transport.read(READ), EdgePage)
    held = await house.transport.read(READ)
    assert isinstance(held, HeldBack)
    assert held.kind is BlockKind.EDGE
    close = Call(
        endpoint="orders",
        method="POST",
        path="/orders",
        deadline_s=1.0,
        body="{}",
        lane=Lane.EMERGENCY,
        subject="main/BTCUSDT/long",
        closes=True,
    )
    assert isinstance(await house.transport.write(close), EdgePage)
    assert isinstance(await house.transport.write(close), HeldBack)
    assert [moved.kind for moved in house.blocks][:1] == [BlockKind.EDGE]
    assert any(isinstance(fact, BlockChanged) and fact.until_ms > clock.now().wall_ms for fact in house.facts)
    assert house.results == [RequestResult.CLOUDFLARE, RequestResult.CLOUDFLARE]


async def test_a_page_of_another_host_blocks_nothing_and_its_answer_frees_nothing() -> None:
    clock = ManualClock()
    elsewhere = Call(endpoint="time", method="GET", path="/time", deadline_s=1.0, base_url="https://spot.test")
    house = House(clock, FakeWire(clock, reply(clock, 403, "error code: 1010"), reply(clock, 200, OK)))
    assert isinstance(await house.transport.read(elsewhere), EdgePage)
    assert isinstance(await house.transport.read(READ), Reply)
    blocked = House(clock, FakeWire(clock, reply(clock, 403, "error code: 1010"), reply(clock, 200, OK)))
    assert isinstance(await blocked.transport.read(READ), EdgePage)
    clock.pass_time(60.0)
    assert isinstance(await blocked.transport.read(elsewhere), Reply)
    assert isinstance(await blocked.transport.read(READ), HeldBack)


async def test_I12_a_crowd_of_calls_keeps_within_the_venues_window_and_a_close_is_not_stuck_behind_it() -> None:
    clock = ManualClock()
    arrivals_s: list[float] = []

    def arrived() -> WireReply:
        arrivals_s.append(clock.monotonic_ns() / 1e9)
        return reply(clock, 200, OK)

    house = House(clock, FakeWire(clock, arrived, takes_s=0.15))
    crowd = [replace(WRITE, deadline_s=60.0) for _ in range(100)]
    close = replace(WRITE, lane=Lane.EMERGENCY, subject="main/BTCUSDT/long", closes=True)
    async with asyncio.TaskGroup() as group:
        writes = [group.create_task(house.transport.write(call)) for call in crowd]
        await clock.advance(0.05)
        closing = group.create_task(house.transport.write(close))
        await clock.advance(0.2)
        assert isinstance(closing.result(), Reply)
        await clock.advance(40.0)
    assert all(isinstance(write.result(), Reply) for write in writes)
    assert max(sum(start <= other <= start + 2.0 for other in arrivals_s) for start in arrivals_s) <= 22


async def test_tending_probes_a_block_and_reopens_the_venue() -> None:
    clock = ManualClock()
    wire = FakeWire(clock, reply(clock, 418, '{"code":30017}'))
    house = House(clock, wire)
    assert isinstance(await house.transport.read(READ), Banned)
    async with asyncio.TaskGroup() as group:
        tending = group.create_task(house.transport.tend(PROBE))
        await clock.advance(59.0)
        assert len(wire.requests) == 1
        await clock.advance(2.0)
        assert len(wire.requests) == 2
        await clock.advance(118.0)
        assert len(wire.requests) == 2
        wire._answers = [lambda: reply(clock, 200, OK)]
        await clock.advance(2.0)
        assert isinstance(await house.transport.read(READ), Reply)
        tending.cancel()
    assert [moved.until is None for moved in house.blocks if moved.kind is BlockKind.BAN] == [False, False, True]


async def test_whoever_starts_during_a_ban_sends_its_probe_when_it_is_due_and_no_sooner() -> None:
    clock = ManualClock()
    wire = FakeWire(clock, reply(clock, 418, '{"code":30017}'))
    house = House(clock, wire)
    assert isinstance(await house.transport.read(READ), Banned)
    assert not await house.transport.probe_if_due(PROBE)
    await clock.advance(61.0)
    wire._answers = [lambda: reply(clock, 200, OK)]
    assert await house.transport.probe_if_due(PROBE)
    assert len(wire.requests) == 2
    assert isinstance(await house.transport.read(READ), Reply)
    assert not await house.transport.probe_if_due(PROBE)


async def test_tending_warms_two_connections_at_most_each_ten_seconds() -> None:
    clock = ManualClock()
    wire = FakeWire(clock, lambda: reply(clock, 200, OK))
    house = House(clock, wire)
    async with asyncio.TaskGroup() as group:
        tending = group.create_task(house.transport.tend(PROBE))
        await clock.advance(9.9)
        assert len(wire.requests) == 2
        await clock.advance(50.0)
        tending.cancel()
    assert len(wire.requests) <= 12


class SparingWire(FakeWire):
    """Remembers which spare connections were asked for, and who has taken its wish back."""

    def __init__(self, clock: ManualClock, *answers: WireAnswer | Callable[[], WireAnswer]) -> None:
        super().__init__(clock, *answers)
        self.wanted: list[int] = []
        self.owners: set[object] = set()

    async def open_spare(self, url: str, *, owner: object, wanted: int, deadline_s: float) -> None:
        self.wanted.append(wanted)
        self.owners.add(owner)

    def want_none(self, url: str, *, owner: object) -> None:
        self.owners.discard(owner)


async def test_tending_opens_a_connection_for_each_position_and_two_more_one_each_half_second() -> None:
    clock = ManualClock()
    wire = SparingWire(clock, lambda: reply(clock, 200, OK))
    house = House(clock, wire)
    positions = 0
    async with asyncio.TaskGroup() as group:
        tending = group.create_task(house.transport.tend(PROBE, lambda: positions))
        await clock.advance(1.1)
        assert wire.wanted == [2, 2]
        positions = 3
        await clock.advance(1.0)
        assert wire.wanted == [2, 2, 5, 5]
        positions = 1000
        await clock.advance(0.5)
        assert wire.wanted[-1] == 10
        assert len(wire.owners) == 1
        tending.cancel()
    assert not wire.owners


@pytest.mark.parametrize(("status", "body"), [(418, '{"code":30017}'), (503, "<html>Cloudflare</html>")])
async def test_no_connection_is_opened_while_a_block_stands(status: int, body: str) -> None:
    clock = ManualClock()
    wire = SparingWire(clock, lambda: reply(clock, status, body))
    house = House(clock, wire)
    await house.transport.read(READ)
    async with asyncio.TaskGroup() as group:
        tending = group.create_task(house.transport.tend(PROBE))
        await clock.advance(20.0)
        assert not wire.wanted
        wire._answers = [lambda: reply(clock, 200, OK)]
        await clock.advance(120.0)
        assert wire.wanted
        tending.cancel()


async def test_what_others_use_by_the_headers_lowers_our_tokens() -> None:
    clock = ManualClock()
    house = House(clock, FakeWire(clock, reply(clock, 200, OK, x_used="13")))
    await house.transport.read(READ)
    assert house.transport.tokens()["positions/key"] == 3


async def test_draining_refuses_new_calls_and_waits_for_those_in_flight() -> None:
    clock = ManualClock()
    wire = FakeWire(clock, reply(clock, 200, OK), takes_s=1.0)
    house = House(clock, wire)
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(house.transport.write(WRITE))
        await clock.advance(0.1)
        drained = group.create_task(house.transport.drain(5.0))
        await clock.advance(0.1)
        assert isinstance(await house.transport.write(WRITE), HeldBack)
        assert not drained.done()
        await clock.advance(1.0)
        assert drained.result()
        assert isinstance(sending.result(), Reply)


async def test_draining_does_not_wait_for_ever() -> None:
    clock = ManualClock()
    house = House(clock, FakeWire(clock, reply(clock, 200, OK), takes_s=100.0))
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(house.transport.write(WRITE))
        await clock.advance(0.1)
        drained = group.create_task(house.transport.drain(2.0))
        await clock.advance(2.1)
        assert drained.result() is False
        sending.cancel()


async def test_a_cancelled_call_gives_its_permit_back() -> None:
    clock = ManualClock()
    house = House(clock, FakeWire(clock, reply(clock, 200, OK), takes_s=100.0))
    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(house.transport.write(WRITE)) for _ in range(16)]
        await clock.advance(0.1)
        for call in calls:
            call.cancel()
    assert house.transport.tokens()["orders/key"] == 0
    clock.pass_time(2.01)
    assert house.transport.tokens()["orders/key"] == 16


async def test_I26_nothing_that_was_sent_shows_in_a_fact_an_answer_or_a_call() -> None:
    clock = ManualClock()
    call = Call(
        endpoint="orders",
        method="POST",
        path="/orders",
        deadline_s=1.0,
        query=(("q", "canary-query"),),
        body='{"memo":"canary-body"}',
        headers={"X-KEY": "canary-key"},
        sign=lambda: {"X-SIGN": "canary-sign"},
    )
    for wired in (NotSent(why="refused"), Ambiguous(why="reset"), reply(clock, 200, '{"code":1000}')):
        wire = FakeWire(clock, wired)
        house = House(clock, wire)
        async with asyncio.TaskGroup() as group:
            write = group.create_task(house.transport.write(call))
            await clock.advance(1.5)
        assert wire.requests[0].headers["X-SIGN"] == "canary-sign"
        assert "canary" not in repr((house.facts, write.result(), call, wire.requests))
