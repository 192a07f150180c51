"""The status as server-sent events: the newest picture for each reader, and a slow one costs nobody anything."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientResponse, ClientSession, web
from aiohttp.test_utils import TestClient, TestServer

from guardd.clock import ManualClock
from guardd.http.app import SHUTDOWN_S, Operator, Sources, make_app, serve
from guardd.http.board import Board
from guardd.http.feed import EVERY_S, READERS_MAX, REPEATED_S, Feed
from guardd.model.names import Severity
from tests.changed import replace
from tests.telemetry.making import MAIN, position, said, view


class Stage:
    """An application, its clock, and readers."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.board = Board(
            accounts=(MAIN,),
            mode="enforce",
            version="0.1.0",
            policy_digest=lambda: "abc",
            now_ms=lambda: self.clock.now().wall_ms,
        )

    def app(self) -> web.Application:
        async def pieces() -> AsyncIterator[bytes]:
            yield b""

        def metrics(_: str) -> tuple[AsyncIterator[bytes], str]:
            return pieces(), "text/plain"

        sources = Sources(board=self.board, metrics=metrics, silent=lambda: None, wait=self.clock.wait)
        operator = Operator(halt=lambda _: None, resume=lambda _: None, flatten=lambda _: None)
        return make_app(sources=sources, operator=operator)


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
async def client(stage: Stage) -> AsyncIterator[TestClient]:
    async with TestClient(TestServer(stage.app())) as made:
        yield made


async def heard(answer: ClientResponse) -> dict[str, str]:
    """The fields of the next event."""
    async with asyncio.timeout(5):
        text = (await answer.content.readuntil(b"\n\n")).decode().strip()
    return dict(line.split(": ", 1) for line in text.splitlines())


async def picture(answer: ClientResponse) -> dict[str, Any]:
    fields = await heard(answer)
    assert fields["event"] == "status"
    return json.loads(fields["data"])


async def is_silent(answer: ClientResponse) -> bool:
    try:
        async with asyncio.timeout(0.1):
            await answer.content.readuntil(b"\n\n")
    except TimeoutError:
        return True
    return False


async def test_a_reader_gets_the_status_at_once_and_again_when_it_changed(client: TestClient, stage: Stage) -> None:
    async with client.get("/events") as answer:
        assert answer.content_type == "text/event-stream"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert await heard(answer) == {"retry": "2000"}
        assert (await picture(answer))["accounts"][0]["state"] == "starting"
        await stage.clock.advance(EVERY_S)
        assert await is_silent(answer)
        stage.board(view(position()))
        await stage.clock.advance(EVERY_S)
        assert (await picture(answer))["accounts"][0]["positions"][0]["symbol"] == "BTCUSDT"


async def test_a_picture_is_what_status_answers(client: TestClient, stage: Stage) -> None:
    stage.board(view(position()))
    stage.board(said(Severity.WARNING))
    async with client.get("/events") as answer:
        await heard(answer)
        assert await picture(answer) == await (await client.get("/status")).json()


async def test_of_many_changes_between_two_pictures_only_the_last_is_sent(client: TestClient, stage: Stage) -> None:
    async with client.get("/events") as answer:
        await heard(answer)
        await picture(answer)
        for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT"):
            stage.board(view(position(symbol)))
        await stage.clock.advance(EVERY_S)
        assert [each["symbol"] for each in (await picture(answer))["accounts"][0]["positions"]] == ["SOLUSDT"]
        assert await is_silent(answer)


async def test_silence_means_that_nobody_is_there(client: TestClient, stage: Stage) -> None:
    """A picture comes every few seconds though nothing changed, with the time of now."""
    async with client.get("/events") as answer:
        await heard(answer)
        first = await picture(answer)
        for _ in range(int(REPEATED_S / EVERY_S)):
            await stage.clock.advance(EVERY_S)
        assert (await picture(answer))["at_ms"] == first["at_ms"] + REPEATED_S * 1_000


async def test_readers_are_limited_and_make_room_when_they_leave(client: TestClient, stage: Stage) -> None:
    answers = [await client.get("/events") for _ in range(READERS_MAX)]
    refused = await client.get("/events")
    assert (refused.status, "too many readers" in (await refused.json())["error"]) == (503, True)
    assert (await client.get("/status")).status == 200
    for answer in answers:
        answer.close()
    async with asyncio.timeout(5):
        while (again := await client.get("/events")).status == 503:
            stage.board(view())
            await stage.clock.advance(EVERY_S)
            await asyncio.sleep(0.01)
    again.close()


async def test_who_comes_just_after_a_change_sees_it(client: TestClient, stage: Stage) -> None:
    """A picture is shared, but never one that is no longer true."""
    async with client.get("/events") as first, asyncio.timeout(5):
        await heard(first)
        await picture(first)
        stage.board(view(position()))
        async with client.get("/events") as second:
            await heard(second)
            assert (await picture(second))["accounts"][0]["state"] == "live"


async def test_an_open_page_does_not_hold_up_the_end(stage: Stage) -> None:
    told: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as group, ClientSession() as session:
        task = group.create_task(serve(stage.app(), host="127.0.0.1", port=0, listening=told.set_result))
        async with session.get(f"{await told}/events") as answer:
            await heard(answer)
            await picture(answer)
            task.cancel()
            async with asyncio.timeout(SHUTDOWN_S / 2):
                assert await answer.content.read() == b""
                await asyncio.wait([task])


async def test_a_reader_that_takes_nothing_is_hung_up_on_and_holds_nobody_up(stage: Stage) -> None:
    feed = Feed(board=stage.board, picture=stage.board.status, wait=stage.clock.wait, write_s=0.2)
    app = web.Application()
    app.router.add_get("/events", feed.run)
    app.on_shutdown.append(lambda _: _set(feed.closing))
    stage.board(view(*(position(f"COIN{number}USDT") for number in range(60)), condition_why="x" * 400_000))
    async with TestClient(TestServer(app)) as client:
        stuck = socket.socket()
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        stuck.connect(("127.0.0.1", client.port or 0))
        stuck.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        async with client.get("/events") as answer:
            await heard(answer)
            await picture(answer)
            assert feed.readers == 2
            taken = 0
            async with asyncio.timeout(20):
                while feed.readers == 2:
                    stage.board(replace(stage.board.views[MAIN]))
                    await stage.clock.advance(EVERY_S)
                    await picture(answer)
                    taken += 1
            assert taken > 1
        stuck.close()


async def _set(event: asyncio.Event) -> None:
    event.set()


def test_many_positions_are_shown_less_often(stage: Stage) -> None:
    feed = Feed(board=stage.board, picture=stage.board.status, wait=stage.clock.wait)
    assert feed.period_s == EVERY_S
    stage.board(view(*(position(f"COIN{number}USDT") for number in range(300))))
    assert feed.period_s == 5.0
