"""Words to a guardd that runs, and to one that doesn't."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

import pytest

from guardd.cli.exits import Exit
from guardd.clock import SystemClock
from guardd.journal.reading import JournalReader
from guardd.journal.sqlite import SqliteJournal
from guardd.model.names import AccountName
from guardd.simulator.orders import MarginMode, OrderKind, Side
from tests.cli.stage import KEYS, Desktop, Venue, flat

TOKEN = "the-token-of-this-test"
YES = ("--confirm", "CONFIRM")
LIVE_WITHIN_S = 40


@contextmanager
def daemon_of(desktop: Desktop, *, mode: str = "enforce") -> Iterator[subprocess.Popen[bytes]]:
    """A real one, as a process of its own; the settings are rewritten to its HTTP port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        desktop.http_port = free.getsockname()[1]
    file = desktop.write(mode=mode)
    desktop.environment = {**KEYS, "GUARDD_HTTP__TOKEN": TOKEN}
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("GUARDD_", "SIM_"))}
    with (desktop.place / "run.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "guardd", "run", "-c", str(file), *YES],
            env={**environment, **desktop.environment},
            stdout=log,
            stderr=log,
        )
        try:
            wait_until_live(desktop, process)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def wait_until_live(desktop: Desktop, process: subprocess.Popen[bytes]) -> None:
    ends = time.monotonic() + LIVE_WITHIN_S
    while time.monotonic() < ends and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{desktop.http_port}/status", timeout=5) as answer:
                if json.load(answer)["accounts"][0]["state"] == "live":
                    return
        except OSError:
            pass
        time.sleep(0.1)
    pytest.fail((desktop.place / "run.log").read_text())


def standing(desktop: Desktop) -> list[str]:
    """The words in the journal, oldest first."""
    with JournalReader.open(desktop.place / "data") as reader:
        return [str(record.body["word"]) for record in reader.list() if record.kind.value == "word"]


def test_a_running_daemon_is_shown_halted_resumed_and_flattened(desktop: Desktop, venue: Venue) -> None:
    venue.trade("BTCUSDT", Side.BUY, 100)
    with daemon_of(desktop):
        shown = desktop.run("status")
        assert shown.exit_code == Exit.DONE
        assert "account main: live, mode enforce" in shown.stdout
        assert "BTCUSDT long cross 10x 100" in flat(shown.stdout)

        halted = desktop.run("halt")
        assert "main: halted, by the daemon at" in halted.stdout
        time.sleep(1)
        document = json.loads(desktop.run("status", "--json").stdout)
        assert document["halted"] is True
        assert document["not_ready"] == ["main: halted, halted by the operator"]
        assert "main: resumed, by the daemon at" in desktop.run("resume", "--account", "main").stdout

        wrong = desktop.run("halt", environment={**KEYS, "GUARDD_HTTP__TOKEN": "another"})
        none = desktop.run("halt", environment=KEYS)
        assert (wrong.exit_code, none.exit_code) == (Exit.CREDENTIALS, Exit.CREDENTIALS)
        assert "expected the one that it was started with" in wrong.stderr
        assert "GUARDD_HTTP__TOKEN missing" in none.stderr

        refused = desktop.run("flatten")
        assert refused.exit_code == Exit.CONFIGURATION
        assert venue.held() == {("BTCUSDT", "long"): Decimal(100)}

        flattened = desktop.run("flatten", *YES)
        assert flattened.exit_code == Exit.DONE, flattened.output
        assert "main: flat and halted" in flattened.stdout
        assert venue.held() == {}
        listed = desktop.run("journal", "list", "--kind", "word")
        assert listed.exit_code == Exit.DONE
        assert "flatten" in listed.stdout
        assert desktop.run("journal", "verify").exit_code == Exit.DONE


def test_a_daemon_that_only_observes_is_not_asked_to_flatten(desktop: Desktop, venue: Venue) -> None:
    venue.trade("BTCUSDT", Side.BUY, 100)
    with daemon_of(desktop, mode="observe"):
        result = desktop.run("flatten", *YES)
    assert result.exit_code == Exit.FAILED
    assert "observes main and sends nothing: stop it, then say flatten again" in result.stderr
    assert venue.writes() == []


def test_a_word_to_nobody_waits_in_the_journal_for_the_next_start(alone: Desktop) -> None:
    halted = alone.run("halt")
    assert halted.exit_code == Exit.DONE
    assert "no daemon runs; noted in the journal" in halted.stdout
    assert json.loads(alone.run("resume", "--json").stdout) == {
        "word": "resume",
        "accounts": ["main"],
        "way": "journal",
    }
    assert standing(alone) == ["halt", "resume"]


def test_a_status_nobody_gives_ends_with_69(alone: Desktop) -> None:
    for command in (("status",), ("status", "--url", "http://127.0.0.1:1")):
        result = alone.run(*command, give_file=len(command) == 1)
        assert result.exit_code == Exit.UNREACHABLE
        assert "no guardd answers at http://127.0.0.1:1" in result.stderr
        assert "guardd run" in result.stderr
        assert result.stdout == ""


def test_what_answers_but_is_no_guardd_is_told_apart(desktop: Desktop) -> None:
    result = desktop.run("status", "--url", f"http://127.0.0.1:{desktop.port}", give_file=False)
    assert result.exit_code == Exit.FAILED
    assert "from something else, expected a guardd's answer" in result.stderr


def test_flatten_without_a_daemon_closes_cancels_sweeps_and_halts(desktop: Desktop, venue: Venue) -> None:
    venue.trade("BTCUSDT", Side.BUY, 100)
    venue.ask(
        lambda server: server.exchange.set_leverage("main", "ETHUSDT", server.now_ms(), margin_mode=MarginMode.ISOLATED)
    )
    venue.trade("ETHUSDT", Side.SELL, 50)
    venue.trade("ETHUSDT", Side.SELL, 30, kind=OrderKind.LIMIT, price=Decimal(9000))
    result = desktop.run("flatten", *YES)
    assert result.exit_code == Exit.DONE, result.output
    assert "ETHUSDT short isolated 10x 50" in flat(result.stdout)
    assert "main: flat and halted" in result.stdout
    assert venue.held() == {}
    assert venue.orders() == []
    assert venue.plans() == []
    assert standing(desktop)[-1] == "flatten"


def test_flatten_without_a_daemon_and_without_the_word_sends_nothing(desktop: Desktop, venue: Venue) -> None:
    venue.trade("BTCUSDT", Side.BUY, 100)
    result = desktop.run("flatten")
    assert result.exit_code == Exit.CONFIGURATION
    assert "nothing was sent" in result.stderr
    assert venue.writes() == []
    assert venue.held() == {("BTCUSDT", "long"): Decimal(100)}


def test_flatten_tells_of_entries_that_would_open_again(desktop: Desktop, venue: Venue) -> None:
    venue.trade("SOLUSDT", Side.BUY, 30, kind=OrderKind.LIMIT, price=Decimal(50))
    result = desktop.run("flatten", *YES)
    left = venue.orders()
    assert (result.exit_code == Exit.DONE) is (left == [])
    assert left == [] or "still there: opening order" in result.stderr


def test_a_parked_account_is_not_flattened_before_somebody_resumed_it(desktop: Desktop, venue: Venue) -> None:
    venue.trade("BTCUSDT", Side.BUY, 100)
    asyncio.run(noted(desktop, "park", "I29: for this test"))
    result = desktop.run("flatten", *YES)
    assert result.exit_code == Exit.FAILED
    assert "main is parked (I29: for this test)" in result.stderr
    assert venue.writes() == []
    assert desktop.run("resume").exit_code == Exit.DONE
    assert desktop.run("flatten", *YES).exit_code == Exit.DONE
    assert venue.held() == {}


async def noted(desktop: Desktop, word: str, why: str) -> None:
    clock = SystemClock()
    journal = SqliteJournal.open(desktop.place / "data", now=clock.now, listen=lambda fact: None)
    journal.note_word(AccountName("main"), word, why, clock.now())
    await journal.close()
