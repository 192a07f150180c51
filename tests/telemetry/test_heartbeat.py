"""The dead man's switch is fed only while the daemon lives and sees."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestServer

from guardd.clock import ManualClock
from guardd.model.facts import SnapshotTaken
from guardd.model.names import AccountName, VenueName
from guardd.telemetry.heartbeat import SEEN_WITHIN_S, Heartbeat, Seen
from tests.telemetry.test_notify import until

HEDGE, MAIN = AccountName("hedge"), AccountName("main")
TOKEN = "canary-beat-77"


class Switch:
    """The other side: answers as it is told, 200 by default."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: list[int] = []

    async def hear(self, request: web.Request) -> web.Response:
        self.asked.append(f"{request.method} {request.path}")
        status = self.answers.pop(0) if self.answers else 200
        headers = {"Location": "/elsewhere"} if status == 302 else {}
        return web.Response(status=status, headers=headers)


@asynccontextmanager
async def beating(
    switch: Switch, clock: ManualClock, counts: Counter[str], why_not: Callable[[], str | None] = lambda: None
) -> AsyncIterator[None]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", switch.hear)
    async with TestServer(app) as server, asyncio.TaskGroup() as group:
        heartbeat = Heartbeat(
            url=str(server.make_url(f"/{TOKEN}")),
            every_s=60,
            why_not=why_not,
            count=lambda outcome: counts.update([outcome]),
            sleep=clock.sleep,
        )
        task = group.create_task(heartbeat.run())
        yield
        task.cancel()


async def test_it_beats_at_once_and_then_every_so_often() -> None:
    switch, clock, counts = Switch(), ManualClock(), Counter[str]()
    async with beating(switch, clock, counts):
        for number in (1, 2, 3):
            await until(lambda number=number: counts["sent"] == number)  # type: ignore[misc]
            await clock.advance(50)
            assert counts["sent"] == number
            await clock.advance(11)
    assert switch.asked[:3] == [f"GET /{TOKEN}"] * 3


async def test_it_is_withheld_while_there_is_a_reason_and_goes_on_after_it() -> None:
    switch, clock, counts = Switch(), ManualClock(), Counter[str]()
    reasons = ["main: not read in full for 61 s", None]
    async with beating(switch, clock, counts, lambda: reasons.pop(0) if reasons else None):
        await until(lambda: counts["withheld"] == 1)
        assert switch.asked == []
        await clock.advance(60.1)
        await until(lambda: counts["sent"] == 1)


@pytest.mark.parametrize("status", [302, 404, 500])
async def test_an_answer_that_is_no_success_is_counted_as_failed_and_no_redirect_is_followed(status: int) -> None:
    switch, clock, counts = Switch(), ManualClock(), Counter[str]()
    switch.answers = [status]
    with structlog.testing.capture_logs() as lines:
        async with beating(switch, clock, counts):
            await until(lambda: counts["failed"] == 1)
    assert (len(switch.asked), lines[0]["why"]) == (1, f"it answered {status}")


async def test_I26_nobody_at_the_address_is_told_without_the_address() -> None:
    counts, clock = Counter[str](), ManualClock()
    with structlog.testing.capture_logs() as lines:
        async with asyncio.TaskGroup() as group:
            heartbeat = Heartbeat(
                url=f"http://127.0.0.1:1/{TOKEN}",
                every_s=60,
                why_not=lambda: None,
                count=lambda outcome: counts.update([outcome]),
                sleep=clock.sleep,
            )
            task = group.create_task(heartbeat.run())
            await until(lambda: counts["failed"] == 1)
            task.cancel()
    assert TOKEN not in str(lines) + repr(heartbeat)


def test_every_account_must_have_been_read_in_full_lately() -> None:
    clock, seen = ManualClock(), Seen()

    def read(account: AccountName) -> None:
        seen(SnapshotTaken(account=account, venue=VenueName("bitmart"), at=clock.now()))

    assert seen.unseen([MAIN, HEDGE], clock.now()) == "hedge: not read yet"
    read(HEDGE)
    assert seen.unseen([MAIN, HEDGE], clock.now()) == "main: not read yet"
    read(MAIN)
    assert seen.unseen([MAIN, HEDGE], clock.now()) is None
    clock.pass_time(SEEN_WITHIN_S)
    assert seen.unseen([MAIN, HEDGE], clock.now()) is None
    read(MAIN)
    clock.pass_time(1)
    assert seen.unseen([MAIN, HEDGE], clock.now()) == "hedge: not read in full for 61 s"
    assert seen.unseen([MAIN], clock.now()) is None
