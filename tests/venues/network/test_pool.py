"""Which connection a request takes, and how many are held ready."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator

import pytest

from guardd.clock import ManualClock
from guardd.venues.network import NetworkWire
from guardd.venues.pool import CONNECTIONS_MAX, IDLE_CONNECTION_S, TROUBLE_REST_S
from guardd.venues.wire import KeepsSpares, NotSent, WireReply, WireRequest
from tests.venues.loopback import talking

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter
WANTED_AT_ONCE = 20


class Numbered:
    """A server whose answers say on which of its connections they came; `holds` keeps them back until it is set."""

    def __init__(self) -> None:
        self.connections = 0
        self.open = 0
        self.holds = asyncio.Event()
        self.holds.set()
        self.asked = 0
        self._news = asyncio.Event()

    async def was_asked(self, times: int) -> None:
        while self.asked < times:
            self._news.clear()
            await self._news.wait()

    async def __call__(self, reader: Reader, writer: Writer) -> None:
        self.connections += 1
        self.open += 1
        number = b"%02d" % self.connections
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                self.asked += 1
                self._news.set()
                await self.holds.wait()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + number)
        finally:
            self.open -= 1


@contextlib.asynccontextmanager
async def pooled() -> AsyncIterator[tuple[Numbered, NetworkWire, ManualClock, str]]:
    server, clock = Numbered(), ManualClock()
    wire = NetworkWire(clock)
    async with talking(server) as host:
        try:
            yield server, wire, clock, f"http://{host}"
        finally:
            server.holds.set()
            await wire.close()


async def asked(wire: NetworkWire, url: str, method: str = "GET") -> int:
    answer = await wire.http(WireRequest(method=method, url=f"{url}/", headers={}), 5.0)
    assert isinstance(answer, WireReply)
    return int(answer.body)


async def spares(wire: NetworkWire, url: str, count: int, *, owner: object = "main", times: int | None = None) -> None:
    for _ in range(count if times is None else times):
        await wire.open_spare(f"{url}/", owner=owner, wanted=count, deadline_s=2.0)


async def test_reads_go_round_all_connections_and_a_write_takes_the_one_used_last() -> None:
    async with pooled() as (_, wire, _, url):
        await spares(wire, url, 4)
        assert [await asked(wire, url) for _ in range(6)] == [1, 2, 3, 4, 1, 2]
        assert [await asked(wire, url, "POST") for _ in range(3)] == [2, 2, 2]
        assert await asked(wire, url) == 3


async def test_a_burst_finds_as_many_open_connections_as_were_wanted() -> None:
    async with pooled() as (server, wire, _, url):
        await spares(wire, url, WANTED_AT_ONCE)
        server.holds.clear()
        burst = asyncio.gather(*[asked(wire, url, "POST") for _ in range(WANTED_AT_ONCE)])
        await server.was_asked(WANTED_AT_ONCE)
        assert server.connections == WANTED_AT_ONCE
        server.holds.set()
        assert sorted(await burst) == list(range(1, WANTED_AT_ONCE + 1))


async def test_each_call_opens_one_spare_at_most_and_none_beyond_what_its_owners_want_together() -> None:
    async with pooled() as (server, wire, _, url):
        assert isinstance(wire, KeepsSpares)
        await spares(wire, url, 3, times=1)
        assert server.connections == 1
        await spares(wire, url, 3, times=9)
        await spares(wire, url, 2, owner="hedge", times=9)
        assert server.connections == 5
        wire.want_none(url, owner="hedge")
        await spares(wire, url, 4, times=9)
        assert server.connections == 5


async def test_a_connection_that_rested_too_long_is_closed_and_another_opened_in_its_place() -> None:
    async with pooled() as (server, wire, clock, url):
        await spares(wire, url, 2)
        clock.pass_time(IDLE_CONNECTION_S - 1.0)
        assert await asked(wire, url) == 1
        clock.pass_time(2.0)
        assert await asked(wire, url, "POST") == 1
        for _ in range(2):
            await spares(wire, url, 2, times=1)
            await asyncio.sleep(0.02)
        assert (server.connections, server.open) == (3, 2)
        clock.pass_time(IDLE_CONNECTION_S + 1.0)
        assert await asked(wire, url, "POST") == 4


async def test_a_connection_whose_end_only_the_kernel_knows_is_not_used_after_a_rest() -> None:
    """The loop was busy since: it has not read the end that lies in the socket."""
    ours = asyncio.Event()

    async def one_answer(reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n01")
        await ours.wait()
        ours.clear()

    clock = ManualClock()
    wire = NetworkWire(clock)
    async with talking(one_answer) as host:
        origin = wire._pool.origin(f"http://{host}")
        await asked(wire, f"http://{host}")
        (connection,) = origin.idle
        assert connection._transport is not None
        with socket.socket(fileno=_duplicate(connection._transport.get_extra_info("socket"))) as same:
            same.shutdown(socket.SHUT_RD)  # what a FIN from the other side looks like to poll
            assert wire._pool.take(origin, newest=True) is connection
            origin.idle.append(connection)
            clock.pass_time(5.0)
            assert wire._pool.take(origin, newest=True) is None
            assert origin.idle == [connection]
        ours.set()
        await wire.close()


def _duplicate(found: object) -> int:
    fileno = getattr(found, "fileno", None)
    assert callable(fileno)
    return os.dup(fileno())


async def test_after_trouble_no_spare_is_opened_for_a_while() -> None:
    async with pooled() as (server, wire, clock, url):
        server.holds.clear()
        assert not isinstance(
            await wire.http(WireRequest(method="GET", url=f"{url}/", headers={}), 0.05), WireReply | NotSent
        )
        await spares(wire, url, 3)
        assert server.connections == 1
        clock.pass_time(TROUBLE_REST_S + 0.1)
        await spares(wire, url, 3)
        assert server.connections == 4


async def test_a_spare_that_cannot_be_opened_raises_nothing_and_is_not_tried_again_at_once() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    clock = ManualClock()
    wire = NetworkWire(clock)
    await spares(wire, url, 2)
    assert wire._pool.origin(url).trouble_ns > clock.monotonic_ns()
    assert wire._pool.origin(url).count == 0
    await wire.close()


async def test_whoever_finds_all_connections_taken_waits_and_what_changes_something_goes_first() -> None:
    async with pooled() as (server, wire, _, url):
        server.holds.clear()
        order: list[str] = []

        async def told(name: str, method: str) -> None:
            await asked(wire, url, method)
            order.append(name)

        crowd = asyncio.gather(*[asked(wire, url) for _ in range(CONNECTIONS_MAX)])
        await server.was_asked(CONNECTIONS_MAX)
        reads = [asyncio.ensure_future(told("read", "GET")) for _ in range(CONNECTIONS_MAX)]
        await asyncio.sleep(0.01)
        write = asyncio.ensure_future(told("write", "POST"))
        await asyncio.sleep(0.01)
        assert server.asked == CONNECTIONS_MAX
        late = await wire.http(WireRequest(method="GET", url=f"{url}/", headers={}), 0.02)
        assert late == NotSent(why="no connection within 0.02 s", timed_out=True)
        server.holds.set()
        await asyncio.gather(crowd, write, *reads)
        assert server.connections == CONNECTIONS_MAX
        assert "write" in order[:CONNECTIONS_MAX]


async def test_a_full_pool_makes_room_for_another_host_from_what_nobody_uses() -> None:
    async with pooled() as (_, _, _, elsewhere), pooled() as (server, wire, _, url):
        server.holds.clear()
        crowd = asyncio.gather(*[asked(wire, url) for _ in range(CONNECTIONS_MAX)])
        await server.was_asked(CONNECTIONS_MAX)
        server.holds.set()
        await crowd
        assert await asked(wire, elsewhere) == 1
        await asyncio.sleep(0.02)
        assert server.open == CONNECTIONS_MAX - 1


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_no_small_packet_waits_for_the_one_before(method: str) -> None:
    """Nagle's algorithm would hold a second small write back for a round trip."""
    async with pooled() as (_, wire, _, url):
        await asked(wire, url, method)
        (connection,) = wire._pool.origin(url).idle
        assert connection._transport is not None
        with socket.socket(fileno=_duplicate(connection._transport.get_extra_info("socket"))) as same:
            assert same.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
