"""The seam to the network: one HTTP exchange, one socket. Nothing above it knows which library moves the bytes.

What the network does is a value here, never an exception, because the difference between "it certainly never left" and "it may
have arrived" decides whether an order may be sent again (invariant I7).
"""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
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
"""An idle connection isn't used again after this long: had the venue closed it meanwhile, an order's outcome would be unknown."""
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


class AiohttpWire:
    """The real network: one session, connections kept alive, nothing offered that would delay or change the bytes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    async def http(self, request: WireRequest, deadline_s: float) -> WireAnswer:
        """One exchange. Until its body (or its headers, where it has none) is handed to the socket, it is certainly not sent."""
        sending = _Sending(self._clock)
        try:
            async with asyncio.timeout(deadline_s):
                return await self._exchange(request, sending)
        except TimeoutError:
            why = (
                f"no answer within {deadline_s:.3g} s" if sending.handed else f"no connection within {deadline_s:.3g} s"
            )
            return Ambiguous(why=why, timed_out=True) if sending.handed else NotSent(why=why, timed_out=True)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Ambiguous(why=_name(error)) if sending.handed else NotSent(why=_name(error))

    async def connect(self, url: str, headers: Mapping[str, str], deadline_s: float) -> Socket | Unconnected:
        try:
            async with asyncio.timeout(deadline_s):
                socket = await self._open_session().ws_connect(
                    URL(url, encoded=True),
                    headers=headers,
                    compress=0,
                    max_msg_size=FRAME_BYTES_MAX,
                    timeout=aiohttp.ClientWSTimeout(ws_close=_SOCKET_CLOSE_S),
                    decode_text=False,
                )
        except TimeoutError:
            return Unconnected(why=f"no socket within {deadline_s:.3g} s")
        except aiohttp.WSServerHandshakeError as error:
            return Unconnected(why=f"the handshake was answered with HTTP {error.status}", status=error.status)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Unconnected(why=_name(error))
        return _AiohttpSocket(socket)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _open_session(self) -> aiohttp.ClientSession:
        """Made at first use, since it belongs to the running loop."""
        if self._session is None:
            trace = aiohttp.TraceConfig()
            trace.on_request_headers_sent.append(_on_headers_sent)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX, keepalive_timeout=IDLE_CONNECTION_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
                trace_configs=[trace],
                auto_decompress=True,
                max_line_size=2**14,
                max_field_size=2**14,
            )
            # The library sends a GET again by itself when a kept connection was dead: a call that no budget would count (I12).
            self._session._retry_connection = False
        return self._session

    async def _exchange(self, request: WireRequest, sending: "_Sending") -> WireAnswer:
        async with self._open_session().request(
            request.method,
            URL(request.url, encoded=True),
            headers=request.headers,
            data=None if request.body is None else _StampedBody(request.body, sending),
            allow_redirects=False,
            trace_request_ctx=sending if request.body is None else None,
        ) as response:
            body = await _read_whole(response)
            received = self._clock.now()
            if body is None:
                return Ambiguous(why=f"an answer of more than {BODY_BYTES_MAX} bytes")
            headers = {name.lower(): value for name, value in response.headers.items()}
            return WireReply(
                status=response.status, headers=headers, body=body, sent_ns=sending.sent_ns, received=received
            )


class _Sending:
    """Whether, and when, a request's last byte was handed to the socket."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.handed = False
        self.sent_ns = clock.monotonic_ns()

    def stamp(self) -> None:
        self.handed = True
        self.sent_ns = self._clock.monotonic_ns()


class _StampedBody(BytesPayload):
    """The exact bytes of a body. Headers wait in the library's buffer for the first piece of it, so both go in one write."""

    def __init__(self, body: bytes, sending: _Sending) -> None:
        super().__init__(body, content_type="application/json")
        self._sending = sending

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        self._sending.handed = True
        try:
            await super().write_with_length(writer, content_length)
        except aiohttp.ClientConnectionResetError:
            self._sending.handed = False  # raised before the write: the connection was already closing
            raise
        self._sending.stamp()


async def _on_headers_sent(
    session: aiohttp.ClientSession, context: object, params: aiohttp.TraceRequestHeadersSentParams
) -> None:
    """For requests without a body: the headers are written right after this signal, with nothing awaited between."""
    sending = getattr(context, "trace_request_ctx", None)
    if isinstance(sending, _Sending):
        sending.stamp()


async def _read_whole(response: aiohttp.ClientResponse) -> bytes | None:
    """The body; None when it is longer than anything the venue has to say."""
    chunks: list[bytes] = []
    length = 0
    while chunk := await response.content.read(_READ_CHUNK_BYTES):
        chunks.append(chunk)
        length += len(chunk)
        if length > BODY_BYTES_MAX:
            return None
    return b"".join(chunks)


class _AiohttpSocket:
    """A `Socket` over the library's, which answers pings by itself."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse[bool]) -> None:
        self._socket = socket

    async def send_text(self, text: str) -> None:
        with contextlib.suppress(aiohttp.ClientError, OSError):
            await self._socket.send_str(text)

    async def receive(self) -> bytes | str | Closed:
        message = await self._socket.receive()
        if message.type is aiohttp.WSMsgType.TEXT or message.type is aiohttp.WSMsgType.BINARY:
            data: bytes = message.data
            return data
        return Closed(why=_farewell(self._socket))

    async def close(self) -> None:
        await self._socket.close()


def _farewell(socket: aiohttp.ClientWebSocketResponse[bool]) -> str:
    if (error := socket.exception()) is not None:
        return _name(error)
    code = socket.close_code
    return "the connection was lost" if code in {None, 1006} else f"closed with code {code}"


def _name(error: BaseException) -> str:
    """What went wrong, without the library's text, which may quote the URL (I26)."""
    cause = getattr(error, "os_error", error)
    text = getattr(cause, "strerror", None)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
