"""The service manager's notification protocol (sd_notify(3)): a datagram of `KEY=value` lines to `NOTIFY_SOCKET`."""

import os
import socket
from collections.abc import Mapping


class Notifier:
    """Silent where no service manager listens."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog_s = _watchdog_s(environment)
        """Seconds within which the manager wants a sign of life; None when it doesn't watch this process."""

    def send(self, **fields: str) -> None:
        """Send e.g. `send(READY="1", STATUS="…")`. A manager that doesn't take it is not an error of ours."""
        if not self._address:
            return
        payload = "\n".join(f"{name}={value}" for name, value in fields.items()).encode()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as datagram:
            try:
                datagram.sendto(payload, self._address)
            except OSError:
                return


def _watchdog_s(environment: Mapping[str, str]) -> float | None:
    """Half the manager's limit, as sd_watchdog_enabled(3) recommends; None when the watch is on another process."""
    microseconds = environment.get("WATCHDOG_USEC", "")
    pid = environment.get("WATCHDOG_PID", "")
    if not microseconds.isdigit() or (pid and pid != str(os.getpid())):
        return None
    return int(microseconds) / 2_000_000
