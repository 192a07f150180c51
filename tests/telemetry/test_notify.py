"""Messages to people: queued at once, told once an edge, delivered off every path that acts."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestServer

from guardd.clock import ManualClock
from guardd.model.names import Severity
from guardd.telemetry.notify import QUEUE_MAX, REPEAT_S, TRIES, Notifier, Receiver, message
from tests.changed import replace
from tests.telemetry.making import said, view

TOKEN = "canary-91c2-token"


class Hook:
    """A webhook on loopback that answers as it is told, 200 by default."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.answers: list[int] = []
        self.held: asyncio.Event | None = None

    async def hear(self, request: web.Request) -> web.Response:
        assert request.path == f"/{TOKEN}"
        self.got.append(await request.json())
        if self.held is not None:
            await self.held.wait()
        return web.Response(status=self.answers.pop(0) if self.answers else 200)


@asynccontextmanager
async def serving(hook: Hook) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/{path:.*}", hook.hear)
    server = TestServer(app)
    await server.start_server()
    try:
        yield str(server.make_url(f"/{TOKEN}"))
    finally:
        await server.close()


async def until(true: Callable[[], bool], within_s: float = 5) -> None:
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.005)


def notifier(
    *urls: str, counts: Counter[str] | None = None, sleeps: list[float] | None = None, least: Severity = Severity.INFO
) -> Notifier:
    async def sleep(seconds: float) -> None:
        if sleeps is not None:
            sleeps.append(seconds)

    receivers = [Receiver(name=f"env:HOOK{number}", url=url, min_severity=least) for number, url in enumerate(urls)]
    counter: Counter[str] = counts if counts is not None else Counter()
    return Notifier(
        receivers=receivers, count=lambda outcome: counter.update([outcome]), now=ManualClock().now, sleep=sleep
    )


@asynccontextmanager
async def running(made: Notifier) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(made.run())
        yield
        task.cancel()


async def test_a_message_arrives_as_json_with_a_text_that_stands_alone() -> None:
    hook, counts = Hook(), Counter[str]()
    async with serving(hook) as url:
        made = notifier(url, counts=counts)
        async with running(made):
            made(said(Severity.CRITICAL, "unprotected/BTC", "no stop rests"))
            await until(lambda: counts["sent"] == 1)
    assert hook.got == [
        {
            "source": "guardd",
            "severity": "critical",
            "account": "main",
            "edge": "unprotected/BTC",
            "at": "2026-01-01T00:00:00Z",
            "text": "[CRITICAL] main: no stop rests",
        }
    ]


async def test_I21_a_message_is_queued_when_it_is_said_though_nobody_delivers() -> None:
    made = notifier("http://127.0.0.1:1/never")
    made(said(Severity.CRITICAL))
    assert made.waiting == 1


async def test_an_edge_is_told_once_until_its_severity_changes_or_time_has_passed() -> None:
    made = notifier("http://x")
    told = []
    for severity, seconds in (
        (Severity.WARNING, 0),
        (Severity.WARNING, 10),
        (Severity.CRITICAL, 20),
        (Severity.CRITICAL, 30),
        (Severity.INFO, 40),
        (Severity.CRITICAL, 50),
        (Severity.CRITICAL, 50 + REPEAT_S - 1),
        (Severity.CRITICAL, 50 + REPEAT_S),
    ):
        before = made.waiting
        made(said(severity, "edge", f"text {seconds}", seconds))
        told.append(made.waiting - before)
    assert told == [1, 0, 1, 0, 1, 1, 0, 1]


async def test_edges_of_different_things_are_all_told() -> None:
    made = notifier("http://x")
    for edge in ("a", "b", "c"):
        made(said(Severity.WARNING, edge))
    assert made.waiting == 3


async def test_what_is_less_severe_than_asked_for_is_not_sent() -> None:
    made = notifier("http://x", least=Severity.CRITICAL)
    made(said(Severity.WARNING, "a"))
    made(said(Severity.CRITICAL, "b"))
    made(view())
    assert made.waiting == 1


async def test_a_full_queue_loses_the_least_severe_and_counts_it() -> None:
    counts = Counter[str]()
    made = notifier("http://x", counts=counts)
    made(said(Severity.CRITICAL, "first"))
    for number in range(QUEUE_MAX + 9):
        made(said(Severity.INFO, f"chatter {number}"))
    made(said(Severity.CRITICAL, "last"))
    assert made.waiting == QUEUE_MAX
    assert counts["dropped"] == 11
    severities = [each.severity for each in made._outboxes[0]._waiting]
    assert severities.count(Severity.CRITICAL) == 2


async def test_a_receiver_that_stumbles_is_tried_again_with_pauses() -> None:
    hook, counts, sleeps = Hook(), Counter[str](), list[float]()
    hook.answers = [500, 429, 200]
    async with serving(hook) as url:
        made = notifier(url, counts=counts, sleeps=sleeps)
        async with running(made):
            made(said(Severity.WARNING))
            await until(lambda: counts["sent"] == 1)
    assert (len(hook.got), sleeps) == (3, [1.0, 5.0])


@pytest.mark.parametrize(("answers", "tries"), [([500, 502, 503], TRIES), ([404], 1), ([302], TRIES)])
async def test_a_message_that_cannot_be_delivered_is_counted_and_the_next_one_goes(
    answers: list[int], tries: int
) -> None:
    hook, counts = Hook(), Counter[str]()
    hook.answers = list(answers) if len(answers) == tries else answers * tries
    async with serving(hook) as url:
        made = notifier(url, counts=counts)
        async with running(made):
            made(said(Severity.WARNING, "a"))
            await until(lambda: counts["failed"] == 1)
            made(said(Severity.WARNING, "b"))
            await until(lambda: counts["sent"] == 1)
    assert len(hook.got) == tries + 1


async def test_a_receiver_that_hangs_holds_up_no_other() -> None:
    slow, quick, counts = Hook(), Hook(), Counter[str]()
    slow.held = asyncio.Event()
    async with serving(slow) as slow_url, serving(quick) as quick_url:
        made = notifier(slow_url, quick_url, counts=counts)
        async with running(made):
            for edge in ("a", "b"):
                made(said(Severity.WARNING, edge))
            await until(lambda: len(quick.got) == 2)
            assert len(slow.got) == 1
            slow.held.set()
            await until(lambda: counts["sent"] == 4)


async def test_what_was_being_delivered_when_the_worker_ended_is_delivered_by_the_next() -> None:
    hook, counts = Hook(), Counter[str]()
    hook.held = asyncio.Event()
    async with serving(hook) as url:
        made = notifier(url, counts=counts)
        async with running(made):
            made(said(Severity.WARNING))
            await until(lambda: len(hook.got) == 1)
        hook.held.set()
        async with running(made):
            await until(lambda: counts["sent"] == 1)
    assert made.waiting == 0


async def test_I26_neither_the_log_nor_the_text_of_a_receiver_shows_its_address(
    capsys: pytest.CaptureFixture[str],
) -> None:
    counts = Counter[str]()
    made = notifier(f"http://127.0.0.1:1/{TOKEN}", f"not an address {TOKEN}", counts=counts)
    async with running(made):
        with structlog.testing.capture_logs() as lines:
            made(said(Severity.CRITICAL))
            await until(lambda: counts["failed"] == 2)
    assert {line["receiver"] for line in lines} == {"env:HOOK0", "env:HOOK1"}
    assert TOKEN not in str(lines)
    assert TOKEN not in repr(Receiver(name="x", url=TOKEN))
    written = capsys.readouterr()
    assert TOKEN not in written.out + written.err


async def test_without_receivers_nothing_is_kept_and_the_worker_ends() -> None:
    made = notifier()
    made(said(Severity.CRITICAL))
    await made.run()
    assert made.waiting == 0


def test_a_message_without_an_account_names_none() -> None:
    assert message(replace(said(Severity.INFO), account=None))["text"] == "[INFO]: text"


async def test_a_summary_goes_to_whoever_wants_one_whatever_severity_they_asked_for() -> None:
    wanting = Receiver(name="env:A", url="http://a", min_severity=Severity.CRITICAL)
    receivers = [wanting, replace(wanting, name="env:B", daily_summary=False)]
    made = Notifier(receivers=receivers, count=lambda _: None, now=ManualClock().now, sleep=ManualClock().sleep)
    made.summarise(said(Severity.INFO, "summary/today"))
    assert [len(outbox) for outbox in made._outboxes] == [1, 0]
