"""The real client against real servers on loopback: what is certain of a request that went wrong."""

import asyncio
import contextlib
import socket
from collections.abc import Callable

import pytest
from aiohttp import WSMsgType, web

from guardd.clock import SystemClock
from guardd.venues.wire import (
    BODY_BYTES_MAX,
    Ambiguous,
    Closed,
    NotSent,
    Unconnected,
    WireReply,
    WireRequest,
)
from tests.venues.loopback import network, serving, talking


def post(url: str, body: bytes = b'{"size": 1}') -> WireRequest:
    return WireRequest(method="POST", url=url, headers={"Content-Type": "application/json", "X-K": "v"}, body=body)


def get(url: str) -> WireRequest:
    return WireRequest(method="GET", url=url, headers={})


async def test_the_body_and_the_query_arrive_byte_for_byte() -> None:
    seen: list[tuple[str, bytes, str, str]] = []

    async def echo(request: web.Request) -> web.Response:
        seen.append((request.raw_path, await request.read(), request.headers["X-K"], request.headers["Content-Type"]))
        return web.Response(text="{}", headers={"X-Thing": "1"})

    body = '{"memo" : "é",  "size":1}'.encode()
    async with serving(echo) as host, network() as wire:
        answer = await wire.http(post(f"http://{host}/orders?a=%2Fb&c=d+e%20f", body), 5.0)
    assert seen == [("/orders?a=%2Fb&c=d+e%20f", body, "v", "application/json")]
    assert isinstance(answer, WireReply)
    assert (answer.status, answer.body, answer.headers["x-thing"]) == (200, b"{}", "1")


@pytest.mark.parametrize("make", [get, post])
async def test_the_moment_of_sending_lies_between_the_call_and_the_servers_answer(
    make: Callable[[str], WireRequest],
) -> None:
    clock = SystemClock()
    arrived: list[int] = []

    async def slow(request: web.Request) -> web.Response:
        await request.read()
        arrived.append(clock.monotonic_ns())
        await asyncio.sleep(0.05)
        return web.Response(text="{}")

    async with serving(slow) as host, network() as wire:
        await wire.http(make(f"http://{host}/"), 5.0)
        began_ns = clock.monotonic_ns()
        answer = await wire.http(make(f"http://{host}/"), 5.0)
    assert isinstance(answer, WireReply)
    assert began_ns < answer.sent_ns < arrived[1] < answer.received.mono_ns - 40_000_000


async def test_a_refused_connection_is_certainly_not_sent() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with network() as wire:
        answer = await wire.http(post(f"http://127.0.0.1:{port}/"), 2.0)
    assert isinstance(answer, NotSent)
    assert not answer.timed_out


async def test_a_failed_tls_handshake_is_certainly_not_sent() -> None:
    async def plain(request: web.Request) -> web.Response:
        return web.Response()

    async with serving(plain) as host, network() as wire:
        assert isinstance(await wire.http(post(f"https://{host}/"), 2.0), NotSent)


async def test_a_connection_that_is_never_made_is_certainly_not_sent() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with talking(silent) as host, network() as wire:
        answer = await wire.http(post(f"https://{host}/"), 0.2)
    assert answer == NotSent(why="no connection within 0.2 s", timed_out=True)


async def test_a_url_that_makes_no_sense_is_certainly_not_sent() -> None:
    async with network() as wire:
        assert isinstance(await wire.http(post("nonsense"), 1.0), NotSent)


@pytest.mark.parametrize("make", [get, post])
async def test_a_server_that_does_not_answer_in_time_leaves_the_outcome_unknown(
    make: Callable[[str], WireRequest],
) -> None:
    async def hang(request: web.Request) -> web.Response:
        await asyncio.sleep(5.0)
        return web.Response()

    async with serving(hang) as host, network() as wire:
        answer = await wire.http(make(f"http://{host}/"), 0.2)
    assert isinstance(answer, Ambiguous)
    assert answer.timed_out


@pytest.mark.parametrize("make", [get, post])
@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"SMTP ready\r\n\r\n",
    ],
)
async def test_a_broken_answer_leaves_the_outcome_unknown_and_nothing_is_sent_twice(
    make: Callable[[str], WireRequest], answer: bytes
) -> None:
    requests = 0

    async def breaks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        await reader.readuntil(b"\r\n\r\n")
        requests += 1
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with talking(breaks) as host, network() as wire:
        result = await wire.http(make(f"http://{host}/"), 2.0)
    assert isinstance(result, Ambiguous)
    assert requests == 1


@pytest.mark.parametrize("make", [get, post])
async def test_a_kept_connection_that_dies_at_the_next_request_is_ambiguous_and_not_repeated(
    make: Callable[[str], WireRequest],
) -> None:
    requests = 0

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        requests += 1
        await reader.readuntil(b"\r\n\r\n")
        requests += 1
        writer.close()

    async with talking(once) as host, network() as wire:
        assert isinstance(await wire.http(get(f"http://{host}/"), 2.0), WireReply)
        assert isinstance(await wire.http(make(f"http://{host}/"), 2.0), Ambiguous)
    assert requests == 2


async def test_a_kept_connection_that_is_known_to_be_closed_is_not_used() -> None:
    async def one_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()
        writer.close()

    async with talking(one_answer) as host, network() as wire:
        for _ in range(3):
            assert isinstance(await wire.http(post(f"http://{host}/"), 2.0), WireReply)
            await asyncio.sleep(0.02)


async def test_no_redirect_is_followed_with_our_headers() -> None:
    paths: list[str] = []

    async def away(request: web.Request) -> web.Response:
        paths.append(request.path)
        return web.Response(status=302, headers={"Location": "/elsewhere"})

    async with serving(away) as host, network() as wire:
        answer = await wire.http(get(f"http://{host}/here"), 2.0)
    assert isinstance(answer, WireReply)
    assert answer.status == 302
    assert paths == ["/here"]


async def test_cookies_are_not_kept() -> None:
    cookies: list[str | None] = []

    async def bakes(request: web.Request) -> web.Response:
        cookies.append(request.headers.get("Cookie"))
        return web.Response(text="{}", headers={"Set-Cookie": "a=b"})

    async with serving(bakes) as host, network() as wire:
        await wire.http(get(f"http://{host}/"), 2.0)
        await wire.http(get(f"http://{host}/"), 2.0)
    assert cookies == [None, None]


async def test_an_endless_answer_is_cut_off() -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            for _ in range(BODY_BYTES_MAX // 2**20 + 4):
                await response.write(b" " * 2**20)
        return response

    async with serving(endless) as host, network() as wire:
        assert isinstance(await wire.http(get(f"http://{host}/"), 20.0), Ambiguous)


async def test_I26_what_went_wrong_is_told_without_the_url() -> None:
    async with network() as wire:
        answer = await wire.http(get("http://127.0.0.1:1/path?key=canary"), 2.0)
        unreached = await wire.connect("ws://127.0.0.1:1/path?key=canary", {}, 2.0)
    assert "canary" not in repr(answer)
    assert "canary" not in repr(unreached)


async def test_a_socket_carries_text_both_ways_without_compression_and_says_goodbye() -> None:
    offered: list[str | None] = []

    async def echo(request: web.Request) -> web.StreamResponse:
        offered.append(request.headers.get("Sec-WebSocket-Extensions"))
        there = web.WebSocketResponse()
        await there.prepare(request)
        await there.ping()
        async for message in there:
            if message.type is WSMsgType.TEXT:
                await there.send_str(message.data)
                if message.data == "bye":
                    await there.close(code=1001)
        return there

    async with serving(echo) as host, network() as wire:
        here = await wire.connect(f"ws://{host}/api?protocol=1.1", {"X-K": "v"}, 2.0)
        assert not isinstance(here, Unconnected)
        await here.send_text('{"é":1}')
        assert await here.receive() == '{"é":1}'.encode()
        await here.send_text("bye")
        assert await here.receive() == b"bye"
        assert await here.receive() == Closed(why="closed with code 1001")
        assert isinstance(await here.receive(), Closed)
        await here.send_text("into the void")
        await here.close()
    assert offered == [None]


async def test_a_socket_that_is_cut_is_closed_and_sending_on_it_raises_nothing() -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        there = web.WebSocketResponse()
        await there.prepare(request)
        assert request.transport is not None
        request.transport.abort()
        return there

    async with serving(cut) as host, network() as wire:
        here = await wire.connect(f"ws://{host}/", {}, 2.0)
        assert not isinstance(here, Unconnected)
        assert isinstance(await here.receive(), Closed)
        await here.send_text("anybody?")
        await here.close()


async def test_a_refused_handshake_tells_its_status() -> None:
    async def forbid(request: web.Request) -> web.Response:
        return web.Response(status=403, text="error code: 1010")

    async with serving(forbid) as host, network() as wire:
        answer = await wire.connect(f"ws://{host}/", {}, 2.0)
    assert answer == Unconnected(why="the handshake was answered with HTTP 403", status=403)


async def test_a_handshake_that_is_never_answered_ends_at_its_deadline() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with talking(silent) as host, network() as wire:
        assert await wire.connect(f"ws://{host}/", {}, 0.2) == Unconnected(why="no socket within 0.2 s")
