"""Messages by Apprise: its own process, one errand at a time, ended when it hangs; it knows no key and shows no address."""

import asyncio
import io
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from guardd.clock import ManualClock
from guardd.model.names import Severity
from guardd.telemetry import apprise_process
from guardd.telemetry.courier import Courier, installed
from guardd.telemetry.errand import NO_APPRISE, NOT_TAKEN, SENT, UNKNOWN_ADDRESS, Errand
from guardd.telemetry.notify import Notifier, Receiver, by_apprise, errand_of
from tests.telemetry.making import said
from tests.telemetry.test_notify import TOKEN, Hook, running, serving, until


def wants_apprise() -> None:
    if not installed():
        if os.environ.get("CI"):
            pytest.fail("apprise is not installed")
        pytest.skip("apprise is not installed")


def errand(url: str, **changed: Any) -> Errand:
    values = {"url": url, "title": "guardd [CRITICAL] main", "text": "no stop rests\nline two", "severity": "critical"}
    return Errand(**{**values, **changed})


def apprise_url(url: str) -> str:
    """Apprise's own scheme for a JSON POST."""
    return url.replace("http://", "json://")


def shim(place: Path, body: str) -> dict[str, str]:
    """An Apprise of ours, found before any other: the environment of a courier that uses it."""
    (place / "apprise.py").write_text(body, encoding="utf-8")
    return {**os.environ, "PYTHONPATH": os.pathsep.join((str(place), os.environ.get("PYTHONPATH", "")))}


HANGS = """\
import time
class AppriseAsset:
    def __init__(self, **_): pass
class Apprise:
    def __init__(self, **_): pass
    def add(self, _): pass
    @staticmethod
    def instantiate(url, **_): return url
    def notify(self, title, **_): time.sleep(60 if "hang" in title else 0); return "refuse" not in title
"""


def test_http_addresses_get_our_own_json_and_every_other_scheme_is_apprises() -> None:
    ours = ("http://h/x", "https://h/x", "HTTPS://h/x", "no address at all")
    theirs = ("tgram://123:abc/1", "discord://1/2", "slack://a/b/c", "mailtos://u:p@h", "json://h", "jsons://h")
    assert [by_apprise(url) for url in (*ours, *theirs)] == [False] * len(ours) + [True] * len(theirs)


async def test_a_message_goes_out_by_the_real_apprise() -> None:
    wants_apprise()
    hook, counts = Hook(), Counter[str]()
    async with serving(hook) as url:
        made = Notifier(
            receivers=[Receiver(name="env:CHAT", url=apprise_url(url))],
            count=lambda outcome: counts.update([outcome]),
            now=ManualClock().now,
            sleep=ManualClock().sleep,
        )
        async with running(made):
            made(said(Severity.CRITICAL, "unprotected/BTC", "no stop rests"))
            await until(lambda: counts["sent"] == 1, 30)
    (got,) = hook.got
    assert got["title"] == "guardd [CRITICAL] main"
    assert got["message"] == "no stop rests\n2026-01-01T00:00:00Z"
    assert got["type"] == "failure"


async def test_what_the_real_apprise_cannot_deliver_or_does_not_know_is_told_apart() -> None:
    wants_apprise()
    courier = Courier()
    try:
        assert await courier.carry(errand("json://127.0.0.1:1/x")) == NOT_TAKEN
        assert await courier.carry(errand("carrierpigeon://x")) == UNKNOWN_ADDRESS
        assert await courier.carry(errand("json://127.0.0.1:1/x", look_only=True)) == SENT
    finally:
        await courier.close()


async def test_a_send_that_hangs_is_ended_with_its_process_and_the_next_one_goes(tmp_path: Path) -> None:
    courier = Courier(deadline_s=2.0, environment=shim(tmp_path, HANGS))
    try:
        await courier.start()
        first = courier._process
        assert await courier.carry(errand("x://", title="hang")) == "TimeoutError"
        assert first is not None
        assert first.returncode is not None
        courier._deadline_s = 20.0
        assert await courier.carry(errand("x://", title="go")) == SENT
        assert await courier.carry(errand("x://", title="refuse")) == NOT_TAKEN
    finally:
        await courier.close()


async def test_a_process_that_dies_is_told_and_started_again(tmp_path: Path) -> None:
    courier = Courier(environment=shim(tmp_path, "import os\nos._exit(3)\n"))
    try:
        assert await courier.carry(errand("x://")) == "the Apprise process ended"
        shim(tmp_path, HANGS)
        assert await courier.carry(errand("x://")) == SENT
    finally:
        await courier.close()


async def test_a_daemon_that_stops_while_one_hangs_leaves_no_process(tmp_path: Path) -> None:
    courier = Courier(environment=shim(tmp_path, HANGS))
    async with asyncio.TaskGroup() as group:
        await courier.start()
        process = courier._process
        task = group.create_task(courier.carry(errand("x://", title="hang")))
        await asyncio.sleep(0.1)
        task.cancel()
    assert process is not None
    assert process.returncode is not None


async def test_I26_the_process_gets_no_key_of_an_account() -> None:
    environment = {"PATH": "/bin", "BITMART_API_SECRET": "canary", "GUARDD_HTTP__TOKEN": "canary", "TELEGRAM_URL": "x"}
    assert Courier(environment=environment)._environment == {"PATH": "/bin"}


def test_I26_nothing_that_a_library_writes_is_seen_and_no_address_is_shown(tmp_path: Path) -> None:
    chatty = HANGS.replace("class Apprise:", "import logging, sys, warnings\nclass Apprise:").replace(
        "return url",
        "print(url); print(url, file=sys.stderr); logging.getLogger('x').critical(url); warnings.warn(url); return url",
    )
    done = subprocess.run(
        [sys.executable, "-m", "guardd.telemetry.apprise_process"],
        input=errand(f"x://{TOKEN}").line(),
        env=shim(tmp_path, chatty),
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert (done.stdout, done.stderr) == (f"{SENT}\n", "")
    assert TOKEN not in repr(errand(f"x://{TOKEN}"))


def test_errands_are_carried_in_their_order_a_line_each() -> None:
    told = [errand("x://1"), errand("x://2", text="a\nb\u2028c")]
    asked, answers = io.StringIO("".join(each.line() for each in told)), io.StringIO()
    carried: list[Errand] = []

    def carry(each: Errand) -> str:
        carried.append(each)
        return SENT

    apprise_process.serve(asked, answers, carry)
    assert carried == told
    assert answers.getvalue() == f"{SENT}\n{SENT}\n"


def test_without_apprise_the_answer_says_so(tmp_path: Path) -> None:
    environment = shim(tmp_path, "raise ImportError('none')\n")
    done = subprocess.run(
        [sys.executable, "-m", "guardd.telemetry.apprise_process"],
        input=errand("x://").line(),
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stdout.strip() == NO_APPRISE


def test_a_heading_names_severity_and_account() -> None:
    made = errand_of(said(Severity.WARNING, text="it fell"), "x://")
    assert (made.title, made.severity) == ("guardd [WARNING] main", "warning")


def test_the_daemon_starts_without_loading_apprise() -> None:
    code = "import sys, guardd.daemon.service; print([name for name in ('apprise', 'requests') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


async def test_a_receiver_never_has_two_sends_at_once() -> None:
    wants_apprise()
    most, open_now = 0, 0

    async def slow(request: web.Request) -> web.Response:
        nonlocal most, open_now
        await request.read()
        open_now += 1
        most = max(most, open_now)
        await asyncio.sleep(0.05)
        open_now -= 1
        return web.Response()

    app, counts = web.Application(), Counter[str]()
    app.router.add_post("/{path:.*}", slow)
    server = TestServer(app)
    await server.start_server()
    made = Notifier(
        receivers=[Receiver(name="env:CHAT", url=apprise_url(str(server.make_url("/x"))), min_severity=Severity.INFO)],
        count=lambda outcome: counts.update([outcome]),
        now=ManualClock().now,
        sleep=ManualClock().sleep,
    )
    async with running(made):
        for number in range(5):
            made(said(Severity.WARNING, f"edge {number}"))
        await until(lambda: counts["sent"] == 5, 30)
    await server.close()
    assert most == 1
