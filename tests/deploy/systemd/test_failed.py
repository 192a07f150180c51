"""The script behind guardd-failed@.service, run as the unit runs it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.deploy.tools import DEPLOY

SCRIPT = DEPLOY / "systemd/failed.py"
CANARY = "token-canary"


class Desk:
    """A receiver of messages on a free port; `refuses` so many first."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.refuses = 0
        desk = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                desk.refuses -= 1
                if desk.refuses < 0:
                    desk.bodies.append(json.loads(body))
                self.send_response(204 if desk.refuses < 0 else 503)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
                return

        self.server = HTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/{CANARY}"


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    thread = Thread(target=made.server.serve_forever, args=(0.05,))
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.fixture
def credentials(tmp_path: Path, desk: Desk) -> Path:
    place = tmp_path / "credentials"
    place.mkdir()
    (place / "ALERT_WEBHOOK_URL").write_text(desk.url + "\n")
    return place


def told(named: str, credentials: Path, run: Path, **monitor: str) -> subprocess.CompletedProcess[str]:
    run.mkdir(exist_ok=True)
    environ = {"CREDENTIALS_DIRECTORY": str(credentials), "RUNTIME_DIRECTORY": str(run), **monitor}
    return subprocess.run(
        [sys.executable, "-I", SCRIPT, named],
        env={"PATH": os.defpath, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_hang_is_told_in_words(desk: Desk, credentials: Path, tmp_path: Path) -> None:
    done = told("guardd.service:watchdog:killed:KILL", credentials, tmp_path / "run")
    assert done.returncode == 0
    assert [body["edge"] for body in desk.bodies] == ["unit/guardd.service"]
    assert "hung and was killed" in desk.bodies[0]["text"]


@pytest.mark.parametrize(
    ("end", "words"),
    [
        ("exit-code:exited:77", "exit code 77: a credential is missing or refused"),
        ("exit-code:exited:78", "exit code 78: settings or policy are invalid"),
        ("exit-code:exited:3", "exit code 3;"),
        ("signal:killed:SEGV", "ended by signal SEGV"),
        ("oom-kill:killed:KILL", "ended by signal KILL"),
        ("resources::", "failed (resources)"),
    ],
)
def test_each_end_has_its_words(end: str, words: str, desk: Desk, credentials: Path, tmp_path: Path) -> None:
    told(f"guardd@two.service:{end}", credentials, tmp_path / "run")
    assert words in desk.bodies[0]["text"]
    assert "guardd@two.service" in desk.bodies[0]["text"]


def test_the_words_of_on_failure_are_understood_too(desk: Desk, credentials: Path, tmp_path: Path) -> None:
    monitor = {
        "MONITOR_SERVICE_RESULT": "exit-code",
        "MONITOR_EXIT_CODE": "exited",
        "MONITOR_EXIT_STATUS": "69",
    }
    told("guardd.service", credentials, tmp_path / "run", **monitor)
    assert "exit code 69: no venue can be reached" in desk.bodies[0]["text"]


def test_an_end_that_repeats_every_two_seconds_is_told_once(desk: Desk, credentials: Path, tmp_path: Path) -> None:
    for _ in range(3):
        told("guardd.service:exit-code:exited:78", credentials, tmp_path / "run")
    told("guardd.service:watchdog:killed:KILL", credentials, tmp_path / "run")
    assert len(desk.bodies) == 2


def test_a_receiver_that_refuses_is_tried_again(desk: Desk, credentials: Path, tmp_path: Path) -> None:
    desk.refuses = 1
    done = told("guardd.service:watchdog:killed:KILL", credentials, tmp_path / "run")
    assert done.returncode == 0
    assert len(desk.bodies) == 1


def test_without_an_address_the_log_is_told(tmp_path: Path) -> None:
    done = told("guardd.service:watchdog:killed:KILL", tmp_path, tmp_path / "run")
    assert done.returncode == 0
    assert "hung and was killed" in done.stderr


def test_an_address_that_is_none_of_http_is_refused_at_once_and_in_words(credentials: Path, tmp_path: Path) -> None:
    (credentials / "ALERT_WEBHOOK_URL").write_text(f"tgram://{CANARY}/1")
    done = told("guardd.service:watchdog:killed:KILL", credentials, tmp_path / "run")
    assert done.returncode == 1
    assert "holds no http(s) address" in done.stderr
    assert CANARY not in done.stderr


def test_I26_the_address_is_never_shown(desk: Desk, credentials: Path, tmp_path: Path) -> None:
    desk.refuses = 1
    done = told("guardd.service:exit-code:exited:1", credentials, tmp_path / "run")
    assert "HTTPError" in done.stderr
    assert CANARY not in done.stdout + done.stderr
