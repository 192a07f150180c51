"""The seam to the network: one HTTP exchange, one socket. Nothing above it knows who moves the bytes (`network.py` does).

What the network does is a value here, never an exception, because the difference between "it certainly never left" and "it may
have arrived" decides whether an order may be sent again (invariant I7).
"""

from collections.abc import Mapping
from typing import Final, Protocol, TypeAlias, runtime_checkable

from msgspec import Struct

from guardd.model.instant import Instant

BODY_BYTES_MAX: Final = 16 * 2**20
"""The longest answer that is read: the details of all contracts are about half a megabyte."""
FRAME_BYTES_MAX: Final = 4 * 2**20


def shown(value: Struct, *names: str) -> list[tuple[str, object]]:
    """These fields and no others, for whoever prints a value whose parts may hold secrets (I26)."""
    return [(name, getattr(value, name)) for name in names]


def shown_text(value: Struct) -> str:
    """As the text of any struct, by what its `__rich_repr__` lets out."""
    return f"{type(value).__name__}({', '.join(f'{name}={each!r}' for name, each in value.__rich_repr__())})"


class WireRequest(Struct, frozen=True, kw_only=True):
    """One HTTP request, byte for byte. Its parts may hold secrets, so it shows only its method (I26)."""

    method: str
    url: str
    """Whole and already encoded: scheme, host, path, query."""
    headers: Mapping[str, str]
    body: bytes | None = None

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return shown(self, "method")

    def __repr__(self) -> str:
        return shown_text(self)


class WireReply(Struct, frozen=True, kw_only=True):
    """The other side answered: whoever that is. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    sent_ns: int
    """Monotonic ns at which the request's last byte was handed to the socket."""
    received: Instant


class NotSent(Struct, frozen=True, kw_only=True):
    """It certainly never left: refused, no such host, TLS failure, no connection within the deadline."""

    why: str
    timed_out: bool = False


class Ambiguous(Struct, frozen=True, kw_only=True):
    """It may have arrived: a timeout, a reset or a broken answer after the first byte was handed to the socket."""

    why: str
    timed_out: bool = False


WireAnswer: TypeAlias = WireReply | NotSent | Ambiguous


class Closed(Struct, frozen=True, kw_only=True):
    """The socket's last word."""

    why: str


class Unconnected(Struct, frozen=True, kw_only=True):
    """No socket: `status` is the HTTP answer to the handshake, None if there was none."""

    why: str
    status: int | None = None


class Socket(Protocol):
    """A WebSocket. Pings of the other side are answered below this seam."""

    async def send_text(self, text: str) -> None:
        """Send one text frame. Never raises for what the network did: a lost connection shows in `receive`."""
        ...

    async def receive(self) -> bytes | str | Closed:
        """The next data frame (text frames may come as UTF-8 bytes), or Closed, then for ever."""
        ...

    async def close(self) -> None:
        """Say goodbye, for about a second at most; then drop it."""
        ...


class Wire(Protocol):
    """The network, as a seam: the real one in `network.py`, a simulated one in memory elsewhere."""

    async def http(self, request: WireRequest, deadline_s: float) -> WireAnswer:
        """One exchange within `deadline_s`, never repeated, no redirect followed."""
        ...

    async def connect(self, url: str, headers: Mapping[str, str], deadline_s: float) -> Socket | Unconnected:
        """Open a WebSocket, without offering compression."""
        ...

    async def close(self) -> None:
        """Close every connection. The wire isn't used again."""
        ...


@runtime_checkable
class KeepsSpares(Protocol):
    """A wire whose connections take time to open, and can be opened before there is anything to send."""

    async def open_spare(self, url: str, *, owner: object, wanted: int, deadline_s: float) -> None:
        """Open one more connection to that host, unless it has as many as its owners want together, or trouble just now.

        `wanted` replaces what `owner` wanted before.
        """
        ...

    def want_none(self, url: str, *, owner: object) -> None:
        """`owner` wants no connections there any more."""
        ...


def named(error: BaseException) -> str:
    """What went wrong, without a library's text, which may quote the URL (I26)."""
    cause = getattr(error, "os_error", error)
    text = getattr(cause, "strerror", None)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
