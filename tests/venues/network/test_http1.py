"""One exchange with servers that misbehave: what is certain afterwards, and that nothing of it reaches the next exchange."""

import asyncio
import contextlib
import gzip
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from guardd.clock import SystemClock
from guardd.venues.network import NetworkWire
from guardd.venues.wire import BODY_BYTES_MAX, Ambiguous, NotSent, WireAnswer, WireReply, WireRequest
from tests.venues.loopback import network, talking

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
PEM = Path(__file__).parent / "loopback.pem"
"""A certificate for `localhost` that nobody trusts, with its key."""

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter


def post(host: str, body: bytes = b'{"size":1}', **headers: str) -> WireRequest:
    return WireRequest(method="POST", url=f"http://{host}/orders", headers=headers, body=body)


def get(host: str) -> WireRequest:
    return WireRequest(method="GET", url=f"http://{host}/positions", headers={}, body=None)


async def head_of(reader: Reader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


class Server:
    """Answers each request with the next of `answers` and counts; a connection ends after one that says so."""

    def __init__(self, *answers: bytes, then_close: bool = False) -> None:
        self.answers, self.then_close = list(answers), then_close
        self.requests: list[bytes] = []
        self.connections = 0

    async def __call__(self, reader: Reader, writer: Writer) -> None:
        self.connections += 1
        while True:
            head = await head_of(reader)
            length = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
            body = await reader.readexactly(int(length[0].split(b":")[1])) if length else b""
            self.requests.append(head + body)
            writer.write(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])
            await writer.drain()
            if self.then_close:
                return


async def exchanged(server: Server, *, times: int = 1, deadline_s: float = 2.0) -> list[WireAnswer]:
    async with talking(server) as host, network() as wire:
        return [await wire.http(post(host), deadline_s) for _ in range(times)]


# What leaves


async def test_a_request_leaves_whole_with_its_length_and_the_headers_that_make_it_one() -> None:
    server = Server(OK)
    async with talking(server) as host, network() as wire:
        await wire.http(post(host, b'{"a":1}', **{"X-KEY": "k", "Content-Type": "text/plain"}), 2.0)
        await wire.http(get(host), 2.0)
        await wire.http(WireRequest(method="POST", url=f"http://{host}/x?q=1", headers={}), 2.0)
    written, read, empty = (request.decode().split("\r\n") for request in server.requests)
    assert written == [
        "POST /orders HTTP/1.1",
        f"Host: {host}",
        "X-KEY: k",
        "Content-Type: text/plain",
        "Accept: */*",
        "Accept-Encoding: gzip",
        "Content-Length: 7",
        "",
        '{"a":1}',
    ]
    assert read == [
        "GET /positions HTTP/1.1",
        f"Host: {host}",
        "Accept: */*",
        "Accept-Encoding: gzip",
        "",
        "",
    ]
    assert (empty[0], empty[-3]) == ("POST /x?q=1 HTTP/1.1", "Content-Length: 0")
    assert server.connections == 1


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (post("127.0.0.1:1", X="a\r\nX-Evil: 1"), "line break"),
        (post("127.0.0.1:1", X="a\nb"), "line break"),
        (post("127.0.0.1:1", X="a\x00b"), "line break"),
        (post("127.0.0.1:1", **{"X\r\nY": "a"}), "name"),
        (post("127.0.0.1:1", **{"": "a"}), "name"),
        (post("127.0.0.1:1", **{"X Y": "a"}), "name"),
        (post("127.0.0.1:1", **{"Content-Length": "1"}), "wire's own"),
        (post("127.0.0.1:1", **{"transfer-ENCODING": "chunked"}), "wire's own"),
        (post("127.0.0.1:1", Host="elsewhere"), "wire's own"),
        (post("127.0.0.1:1", **{"X-A": "1", "x-a": "2"}), "only once"),
        (post("127.0.0.1:1", X="\udcff"), "UnicodeEncodeError"),
        (WireRequest(method="GET", url="http://127.0.0.1:1/a b", headers={}), "request line"),
        (WireRequest(method="GET", url="http://127.0.0.1:1/a\r\nX: y", headers={}), "request line"),
        (WireRequest(method="GET", url="http://127.0.0.1:1/ä", headers={}), "request line"),
        (WireRequest(method="GET", url="http://127.0.0.1:1/a#b", headers={}), "request line"),
        (WireRequest(method="GET", url="http://me:pw@127.0.0.1:1/", headers={}), "address"),
        (WireRequest(method="GET", url="http://127.0.0.1:1?a=1", headers={}), "address"),
        (WireRequest(method="GET", url="http://127.0.0.1:99999/", headers={}), "ort"),
        (WireRequest(method="GET", url="ftp://127.0.0.1:1/", headers={}), "address"),
        (WireRequest(method="GET", url="http:///x", headers={}), "address"),
        (WireRequest(method="GET", url="http://127.0.0.1:1\r\n/x", headers={}), "address"),
        (WireRequest(method="GET", url="http://127.0.0.1\t:1/x", headers={}), "address"),
        (WireRequest(method="GET\r\n", url="http://127.0.0.1:1/", headers={}), "method"),
    ],
)
async def test_what_could_be_read_as_another_request_never_leaves(request_: WireRequest, reason: str) -> None:
    async with network() as wire:
        answer = await wire.http(request_, 1.0)
    assert isinstance(answer, NotSent)
    assert reason in answer.why


async def test_a_request_without_time_left_never_leaves() -> None:
    server = Server(OK)
    async with talking(server) as host, network() as wire:
        await wire.http(get(host), 1.0)
        assert await wire.http(post(host), 0.0) == NotSent(why="no connection within 0 s", timed_out=True)
    assert len(server.requests) == 1


# What comes back


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1;x=y\r\n}\r\n0\r\n\r\n", b"{}"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-Late: 1\r\n\r\n", b"{}"),
        (b"HTTP/1.1 100 Continue\r\nX-A: b\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n" + OK, b"{}"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n", b""),
        (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n{}", b"{}"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b"
            % (len(gzip.compress(b"{}", mtime=0)), gzip.compress(b"{}", mtime=0)),
            b"{}",
        ),
        (b"HTTP/1.1 403 No\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\n\x01\x02", b"\x01\x02"),
        (b"HTTP/1.1 200 OK\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\n{}", b"{}"),
    ],
)
async def test_an_answer_in_any_of_http_s_forms_is_read_and_its_connection_kept(answer: bytes, body: bytes) -> None:
    server = Server(answer, OK)
    first, second = await exchanged(server, times=2)
    assert isinstance(first, WireReply)
    assert isinstance(second, WireReply)
    assert (first.body, second.body) == (body, b"{}")
    assert "x-a" not in first.headers
    assert server.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        OK + b'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"code":1}',
        OK + b"HTTP/1.1 200 OK\r\nContent-Le",
        OK + b"garbage",
    ],
)
async def test_after_an_answer_that_is_the_last_or_brings_more_than_was_asked_its_connection_is_not_used(
    answer: bytes,
) -> None:
    server = Server(answer)
    answers = await exchanged(server, times=2)
    assert [each.body for each in answers if isinstance(each, WireReply)] == [b"{}", b"{}"]
    assert server.connections == 2


@pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK\r\n\r\n{}", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: x\r\n\r\n{}"])
async def test_an_answer_without_a_length_ends_with_its_connection(answer: bytes) -> None:
    (found,) = await exchanged(Server(answer, then_close=True))
    assert isinstance(found, WireReply)
    assert found.body == b"{}"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 999999 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 400_000,
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 12\r\n\r\n" + gzip.compress(b"{}", mtime=0)[:12],
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (BODY_BYTES_MAX + 1) + b" " * (BODY_BYTES_MAX + 1),
        b"\x00",
    ],
)
async def test_an_answer_that_can_be_read_in_two_ways_or_has_no_end_leaves_the_outcome_unknown_at_once(
    answer: bytes,
) -> None:
    (found,) = await exchanged(Server(answer), deadline_s=20.0)
    assert isinstance(found, Ambiguous)
    assert not found.timed_out


async def test_a_small_answer_that_unpacks_into_a_huge_one_is_not_unpacked() -> None:
    packed = gzip.compress(b" " * (BODY_BYTES_MAX + 1))
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(packed), packed)
    (found,) = await exchanged(Server(answer))
    assert found == Ambiguous(why=f"an answer of more than {BODY_BYTES_MAX} bytes")


async def test_an_answer_that_dribbles_in_is_whole_in_the_end_and_its_time_is_the_last_bytes() -> None:
    clock = SystemClock()
    ended: list[int] = []

    async def dribbles(reader: Reader, writer: Writer) -> None:
        await head_of(reader)
        for byte in OK:
            ended.append(clock.monotonic_ns())
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.001)

    async with talking(dribbles) as host, network() as wire:
        answer = await wire.http(post(host), 5.0)
    assert isinstance(answer, WireReply)
    assert answer.received.mono_ns >= ended[-1]


async def test_an_answer_that_dribbles_beyond_the_deadline_is_a_timeout_and_its_rest_reaches_nobody() -> None:
    async def dribbles(reader: Reader, writer: Writer) -> None:
        await head_of(reader)
        for byte in OK:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.02)

    async with talking(dribbles) as host, network() as wire:
        assert await wire.http(post(host), 0.15) == Ambiguous(why="no answer within 0.15 s", timed_out=True)


async def test_an_answer_that_came_before_the_whole_request_was_taken_counts_and_ends_the_connection() -> None:
    async def hasty(reader: Reader, writer: Writer) -> None:
        await head_of(reader)
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()
        await asyncio.sleep(0.2)

    async with talking(hasty) as host, network() as wire:
        answer = await wire.http(post(host, b" " * 2**24), 2.0)
        assert isinstance(answer, WireReply)
        assert answer.status == 413
        assert wire._pool.take(wire._pool.origin(f"http://{host}"), newest=True) is None


# What is lost


def _reset(writer: Writer) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@pytest.mark.parametrize("before", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"])
async def test_a_reset_after_the_request_was_handed_over_leaves_the_outcome_unknown(before: bytes) -> None:
    async def resets(reader: Reader, writer: Writer) -> None:
        await head_of(reader)
        writer.write(before)
        await asyncio.sleep(0.02)
        _reset(writer)

    async with talking(resets) as host, network() as wire:
        assert isinstance(await wire.http(post(host), 2.0), Ambiguous)


async def test_a_connection_reset_while_it_rested_is_not_used() -> None:
    connections = 0

    async def resets(reader: Reader, writer: Writer) -> None:
        nonlocal connections
        connections += 1
        await head_of(reader)
        writer.write(OK)
        await writer.drain()
        await asyncio.sleep(0.02)
        _reset(writer)

    async with talking(resets) as host, network() as wire:
        for _ in range(3):
            assert isinstance(await wire.http(get(host), 2.0), WireReply)
            await asyncio.sleep(0.05)
    assert connections == 3


async def test_what_a_server_says_on_a_resting_connection_is_never_an_order_s_answer() -> None:
    late = b'HTTP/1.1 408 Request Timeout\r\nContent-Length: 10\r\n\r\n{"code":1}'
    connections = 0

    async def mutters(reader: Reader, writer: Writer) -> None:
        nonlocal connections
        connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                await head_of(reader)
                writer.write(OK)
                await writer.drain()
                await asyncio.sleep(0.02)
                writer.write(late)

    async with talking(mutters) as host, network() as wire:
        for _ in range(2):
            answer = await wire.http(get(host), 2.0)
            assert isinstance(answer, WireReply)
            assert answer.status == 200
            await asyncio.sleep(0.05)
    assert connections == 2


async def test_a_cancelled_request_takes_its_connection_with_it() -> None:
    """Its answer would be read as the next request's."""
    arrived = asyncio.Event()
    connections = 0

    async def slow(reader: Reader, writer: Writer) -> None:
        nonlocal connections
        connections += 1
        await head_of(reader)
        arrived.set()
        if connections == 1:
            await reader.read()
            return
        writer.write(OK)

    async with talking(slow) as host, network() as wire:
        first = asyncio.ensure_future(wire.http(get(host), 5.0))
        await arrived.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert isinstance(await wire.http(get(host), 2.0), WireReply)
    assert connections == 2


async def test_a_wire_that_is_closed_leaves_what_is_on_its_way_unknown() -> None:
    async def silent(reader: Reader, writer: Writer) -> None:
        await reader.read()

    async with talking(silent) as host, network() as wire:
        sending = asyncio.ensure_future(wire.http(post(host), 5.0))
        await asyncio.sleep(0.05)
        await wire.close()
        assert isinstance(await sending, Ambiguous)


async def test_a_host_that_nobody_knows_is_certainly_not_sent() -> None:
    async with network() as wire:
        answer = await wire.http(post("nobody.invalid:80"), 5.0)
    assert isinstance(answer, NotSent)


# TLS


@contextlib.asynccontextmanager
async def secured(talk: Callable[[Reader, Writer], Awaitable[None]]) -> AsyncIterator[int]:
    async def conversation(reader: Reader, writer: Writer) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            await talk(reader, writer)
        writer.transport.abort()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    server = await asyncio.start_server(conversation, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.sleep(0.05)


async def test_over_tls_the_certificate_must_be_trusted_and_the_hosts_own() -> None:
    server = Server(OK)
    trusting = NetworkWire(SystemClock(), tls=ssl.create_default_context(cafile=PEM))
    doubting = NetworkWire(SystemClock())
    async with secured(server) as port:
        request = {name: WireRequest(method="GET", url=f"https://{name}:{port}/", headers={}) for name in NAMES}
        for _ in range(2):
            assert isinstance(await trusting.http(request["localhost"], 5.0), WireReply)
        for answer in (await trusting.http(request["127.0.0.1"], 5.0), await doubting.http(request["localhost"], 5.0)):
            assert isinstance(answer, NotSent)
            assert "certificate verify failed" in answer.why
        await trusting.close()
        await doubting.close()
    assert (server.connections, len(server.requests)) == (1, 2)


NAMES = ("localhost", "127.0.0.1")


@pytest.mark.parametrize("then", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"])
async def test_a_tls_connection_that_ends_before_the_answer_leaves_the_outcome_unknown(then: bytes) -> None:
    wire = NetworkWire(SystemClock(), tls=ssl.create_default_context(cafile=PEM))

    async def ends(reader: Reader, writer: Writer) -> None:
        await head_of(reader)
        writer.write(then)
        await writer.drain()

    async with secured(ends) as port:
        request = WireRequest(method="POST", url=f"https://localhost:{port}/", headers={}, body=b"{}")
        assert isinstance(await wire.http(request, 5.0), Ambiguous)
        await wire.close()
