"""The service manager's protocol, on a real datagram socket."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from guardd.daemon.systemd import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.settimeout(2)
        address = str(tmp_path / "notify") if request.param == "path" else f"@guardd-test-{os.getpid()}"
        listener.bind(address.replace("@", "\0", 1))
        yield listener, address


def test_fields_arrive_as_lines(manager: tuple[socket.socket, str]) -> None:
    listener, address = manager

    Notifier({"NOTIFY_SOCKET": address}).send(READY="1", STATUS="guarding 2 positions")

    assert listener.recv(4096) == b"READY=1\nSTATUS=guarding 2 positions"


def test_without_a_manager_nothing_is_sent_and_nothing_fails() -> None:
    Notifier({}).send(READY="1")
    Notifier({"NOTIFY_SOCKET": "/nonexistent/notify"}).send(READY="1")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"WATCHDOG_USEC": "10000000"}, 5.0),
        ({"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": str(os.getpid())}, 5.0),
        ({"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "1"}, None),
        ({}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_served_at_half_its_limit_and_only_for_this_process(
    environment: dict[str, str], expected: float | None
) -> None:
    assert Notifier(environment).watchdog_s == expected
