"""The seam to the network: one HTTP exchange, one socket. Nothing above it knows which library moves the bytes.

What the network does is a value here, never an exception, because the difference between "it certainly never left" and "it may
have arrived" decides whether an order may be sent again (invariant I7).
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Final, Protocol, TypeAlias

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import BytesPayload
from yarl import URL

from guardd.clock import Clock
from guardd.model.instant import Instant

BODY_BYTES_MAX: Final = 16 * 2**20
"""The longest answer that is read: the details of all contracts are about half a megabyte."""
FRAME_BYTES_MAX: Final = 4 * 2**20
IDLE_CONNECTION_S: Final = 30.0
"""An idle connection is not used again after this long: one that the venue closed meanwhile would make an order's outcome unknown."""
CONNECTIONS_MAX: Final = 64
_SOCKET_CLOSE_S: Final = 1.0
_READ_CHUNK_BYTES: Final = 2**16


@dataclass(frozen=True, slots=True, kw_only=True)
class WireRequest:
    """One HTTP request, byte for byte. Its parts may hold secrets, so it shows only its method (I26)."""

    method: str
    url: str = field(repr=False)
    """Whole and already encoded: scheme, host, path, query."""
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WireReply:
    """The other side answered: whoever that is. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    sent_ns: int
    """Monotonic ns at which the request's last byte was handed to the socket."""
    received: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSent:
    """It certainly never left: refused, no such host, TLS failure, no connection within the deadline."""

    why: str
    timed_out: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ambiguous:
    """It may have arrived: a timeout, a reset or a broken answer after the first byte was handed to the socket."""

    why: str
    timed_out: bool = False


WireAnswer: TypeAlias = WireReply | NotSent | Ambiguous


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """The socket's last word."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unconnected:
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
    """The network, as a seam: the real one below, a simulated one in memory elsewhere."""

    async def http(self, request: WireRequest, deadline_s: float) -> WireAnswer:
        """One exchange within `deadline_s`, never repeated, no redirect followed."""
        ...

    async def connect(self, url: str, headers: Mapping[str, str], deadline_s: float) -> Socket | Unconnected:
        """Open a WebSocket, without offering compression."""
        ...

    async def close(self) -> None:
        """Close every connection. The wire isn't used again."""
        ...
