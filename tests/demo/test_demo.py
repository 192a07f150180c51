"""The real command: simulator and daemon as processes, over HTTP and WebSocket, from start to an orderly end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from guardd.demo import scenario

pytestmark = pytest.mark.timeout(180)
SHORTEST = ("--seconds", str(scenario.SECONDS_MIN), "--seed", "3")
ENDS_S = 150


def start(tmp_path: Path, *options: str) -> "subprocess.Popen[str]":
    """`guardd demo` in a directory of its own; its temporary files land in `tmp_path`."""
    environ = {**os.environ, "TMPDIR": str(tmp_path), "GUARDD_MODE": "observe"}  # the user's own mode must not matter
    environ.pop("COLUMNS", None)
    return subprocess.Popen(
        [sys.executable, "-m", "guardd", "demo", *options],
        cwd=tmp_path,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_for_daemon(demo: "subprocess.Popen[str]") -> list[int]:
    """The process ids of exchange and daemon, in this order."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if len(found := children(demo.pid)) == 2:
            return found
        time.sleep(0.1)
    raise AssertionError(f"no two children after a minute: {children(demo.pid)}")


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def test_the_guarded_account_is_saved_and_its_twin_liquidated(tmp_path: Path) -> None:
    demo = start(tmp_path, *SHORTEST)
    out, err = demo.communicate(timeout=ENDS_S)
    assert demo.returncode == 0, out + err
    assert "guards `main` in enforce" in out
    assert "Status page while it runs: http://127.0.0.1:" in out
    assert "\x1b" not in out
    assert out.count("LIQUIDATED") == 2
    assert " main   LIQUIDATED" not in out
    assert "What the guard did (from the exchange's ledger)" in out
    assert "its twin was liquidated" in out.splitlines()[-2]
    assert err == ""
    assert list(tmp_path.iterdir()) == []


def test_the_same_seed_with_the_guard_in_observe_ends_in_liquidation_too(tmp_path: Path) -> None:
    demo = start(tmp_path, *SHORTEST, "--observe")
    out, err = demo.communicate(timeout=ENDS_S)
    assert demo.returncode == 1, out + err
    assert out.count(" main   LIQUIDATED") == out.count(" twin   LIQUIDATED") == 2
    assert "nothing: it ran in observe and sends no write there" in out
    assert "the account it watched was liquidated like its twin" in out


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds the children in /proc")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_both_processes_end_and_nothing_is_left_when_the_demo_is_told_to_stop(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    demo = start(tmp_path, *SHORTEST)
    started = wait_for_daemon(demo)
    demo.send_signal(number)
    _, err = demo.communicate(timeout=60)
    assert demo.returncode == code, err
    assert all(gone(pid) for pid in started)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds the children in /proc")
def test_a_daemon_that_dies_ends_the_demo_with_the_reason(tmp_path: Path) -> None:
    demo = start(tmp_path, *SHORTEST)
    exchange, daemon = wait_for_daemon(demo)
    os.kill(daemon, signal.SIGKILL)
    _, err = demo.communicate(timeout=60)
    assert demo.returncode == 1
    assert "the daemon was killed by SIGKILL; the last it said:" in err
    assert gone(exchange)
    assert list(tmp_path.iterdir()) == []
