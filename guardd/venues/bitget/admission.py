"""What the venue says to our logins and messages over all connections of an account, and how long to keep away for it.

A login that is refused for what it is (key, passphrase, signature) is refused the next time too: it is told at once and tried again
minutes apart, since addresses that keep knocking may be blocked (Bitget reference, 13.1 and 13.3).
"""

import asyncio
from collections.abc import Callable, Coroutine
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Protocol

from msgspec import Struct

from guardd.errors import VenueError
from guardd.model.names import Severity

LOGIN_PAUSE_FIRST_S: Final = 30.0
LOGIN_PAUSE_CAP_S: Final = 300.0
SLOW_DOWN_PAUSE_S: Final = 30.0
_DOUBLINGS_MAX: Final = 8


class SocketAction(StrEnum):
    """What the guard does on an error frame."""

    ALERT = "alert"
    """The login is wrong for good: a human must act."""
    CLOCK = "clock"
    """Measure the venue's time, then log in again."""
    RELOGIN = "relogin"
    SLOW = "slow"
    """Too many messages: come back later."""
    FIX = "fix"
    """A request of ours that can't be right."""


class SocketRefusal(Struct, frozen=True):
    meaning: str
    action: SocketAction


SOCKET_REFUSALS: Final = MappingProxyType(
    {
        "30001": SocketRefusal("channel or instrument does not exist", SocketAction.FIX),
        "30002": SocketRefusal("illegal request", SocketAction.FIX),
        "30003": SocketRefusal("invalid op", SocketAction.FIX),
        "30004": SocketRefusal("not logged in", SocketAction.RELOGIN),
        "30005": SocketRefusal("login failed", SocketAction.ALERT),
        "30006": SocketRefusal("too many requests", SocketAction.SLOW),
        "30007": SocketRefusal("request over limit, connection closed", SocketAction.SLOW),
        "30011": SocketRefusal("invalid key", SocketAction.ALERT),
        "30012": SocketRefusal("invalid passphrase", SocketAction.ALERT),
        "30013": SocketRefusal("invalid timestamp", SocketAction.CLOCK),
        "30014": SocketRefusal("timestamp expired", SocketAction.CLOCK),
        "30015": SocketRefusal("invalid signature", SocketAction.ALERT),
        "30016": SocketRefusal("parameter error", SocketAction.FIX),
    }
)
"""13.3; V3 uses the same (UTA reference, 14)."""


def socket_action(code: str) -> SocketAction | None:
    """None for a code that nobody published."""
    known = SOCKET_REFUSALS.get(code)
    return None if known is None else known.action


class Tell(Protocol):
    def __call__(self, edge: str, text: str, severity: Severity = Severity.WARNING) -> None: ...


class Admission:
    """One account's standing at the private socket. `measure_time` is asked for when a login is refused for its time."""

    def __init__(self, *, tell: Tell, measure_time: Callable[[], Coroutine[object, object, object]]) -> None:
        self.tell = tell
        self._measure_time = measure_time
        self._clock_doubted = asyncio.Event()
        self._logins_refused = 0
        self._slow_down = False

    def granted(self) -> None:
        self._logins_refused = 0
        self._slow_down = False

    def refused(self, code: str, text: str) -> None:
        """An error frame that ended a connection."""
        known = SOCKET_REFUSALS.get(code)
        words = f"{code} {text or (known.meaning if known else 'unpublished code')}"
        match socket_action(code):
            case SocketAction.ALERT:
                self._logins_refused += 1
                self.tell(
                    "login-refused",
                    f"Bitget refuses the private stream's login: {words}; it is tried again in {self.pause_s():.0f} s, "
                    "positions and orders are read meanwhile",
                    Severity.CRITICAL,
                )
            case SocketAction.CLOCK:
                self.tell("login-clock", f"Bitget refuses the time of the private stream's login: {words}")
                self._clock_doubted.set()
            case SocketAction.SLOW:
                self._slow_down = True
                self.tell("stream-slow", f"Bitget wants fewer messages on its streams: {words}")
            case SocketAction.RELOGIN | SocketAction.FIX | None:
                self.tell("stream-refused", f"Bitget refuses a frame of the private stream: {words}")

    def pause_s(self) -> float:
        """How long to keep away before the next connection, beyond the ordinary backoff."""
        if self._logins_refused:
            doublings = min(self._logins_refused - 1, _DOUBLINGS_MAX)
            return min(LOGIN_PAUSE_CAP_S, LOGIN_PAUSE_FIRST_S * float(2**doublings))
        return SLOW_DOWN_PAUSE_S if self._slow_down else 0.0

    async def mend_clock(self) -> None:
        """For ever: measure the venue's time whenever a login was refused for its own. A companion of the streams."""
        while True:
            await self._clock_doubted.wait()
            self._clock_doubted.clear()
            try:
                await self._measure_time()
            except VenueError as error:
                self.tell("clock", f"Bitget's time can't be read: {error}")
