"""The real network: HTTP on connections of our own, WebSockets by aiohttp.

No redirect is followed, no cookie kept, no proxy of the environment used: what a request says is what leaves, to the host that
it names.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Mapping
from typing import Final

import aiohttp
from yarl import URL

from guardd.clock import Clock
from guardd.model.instant import NS_PER_S
from guardd.venues.http1 import Http1Connection, request_bytes
from guardd.venues.pool import Origin, Pool
from guardd.venues.wire import (
    FRAME_BYTES_MAX,
    Ambiguous,
    Closed,
    NotSent,
    Socket,
    Unconnected,
    WireAnswer,
    WireRequest,
    named,
)

_SOCKET_CLOSE_S: Final = 1.0


class NetworkWire:
    """Implements `guardd.venues.wire.Wire` and `KeepsSpares`. `tls` is for those that trust someone else than the system does."""

    def __init__(self, clock: Clock, *, tls: ssl.SSLContext | None = None) -> None:
        self._clock = clock
        self._tls = tls
        self._pool = Pool(clock, tls)
        self._session: aiohttp.ClientSession | None = None

    async def http(self, request: WireRequest, deadline_s: float) -> WireAnswer:
        """One exchange. Until the request is handed to the socket, whole and in one piece, it is certainly not sent."""
        try:
            address, target = _parted(request.url)
            origin = self._pool.origin(address)
            data = request_bytes(request, origin.named, target)
        except ValueError as error:
            return NotSent(why=_reason(error))
        ends_ns = self._clock.monotonic_ns() + int(deadline_s * NS_PER_S)
        changes = request.method != "GET"
        connection = self._pool.take(origin, newest=changes) if deadline_s > 0 else None
        waiter = None if connection is None else connection.send(data)
        left_s = deadline_s
        if connection is None or waiter is None:
            found = await self._connection(origin, deadline_s, ends_ns, urgent=changes)
            if isinstance(found, NotSent):
                return found
            connection, left_s = found, self._left_s(ends_ns)
            if not left_s:  # it would leave just to have an outcome that nobody knows
                self._pool.give_back(found)
                return NotSent(why=f"no connection within {deadline_s:.3g} s", timed_out=True)
            waiter = connection.send(data)
        if waiter is None:
            self._pool.trouble(origin)
            return NotSent(why="the connection was closed as soon as it was open")
        answer = await _answer(connection, waiter, left_s, deadline_s)
        if isinstance(answer, Ambiguous):
            self._pool.trouble(origin)
        return answer

    async def open_spare(self, url: str, *, owner: object, wanted: int, deadline_s: float) -> None:
        origin = self._pool.origin(_parted(url)[0])
        try:
            async with asyncio.timeout(deadline_s):
                await self._pool.spare(origin, owner=owner, wanted=wanted)
        except OSError:  # a timeout is one
            self._pool.trouble(origin)

    def want_none(self, url: str, *, owner: object) -> None:
        self._pool.origin(_parted(url)[0]).wanted.pop(owner, None)

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
            return Unconnected(why=named(error))
        return _AiohttpSocket(socket)

    async def close(self) -> None:
        await self._pool.close()
        if self._session is not None:
            await self._session.close()

    async def _connection(
        self, origin: Origin, deadline_s: float, ends_ns: int, *, urgent: bool
    ) -> Http1Connection | NotSent:
        """A connection before the deadline. Whatever goes wrong on the way to one, nothing was sent."""
        late = NotSent(why=f"no connection within {deadline_s:.3g} s", timed_out=True)
        try:
            async with asyncio.timeout(self._left_s(ends_ns)):
                connection = await self._pool.acquire(origin, urgent=urgent)
        except TimeoutError:
            self._pool.trouble(origin)
            return late
        except (OSError, ValueError) as error:  # no such host, refused, a certificate that isn't the host's
            self._pool.trouble(origin)
            return NotSent(why=named(error))
        return connection

    def _left_s(self, ends_ns: int) -> float:
        return max(0.0, (ends_ns - self._clock.monotonic_ns()) / NS_PER_S)

    def _open_session(self) -> aiohttp.ClientSession:
        """For sockets. Made at first use, since it belongs to the running loop."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ssl=True if self._tls is None else self._tls),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            )
        return self._session


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
        return named(error)
    code = socket.close_code
    return "the connection was lost" if code in {None, 1006} else f"closed with code {code}"


async def _answer(
    connection: Http1Connection, waiter: asyncio.Future[WireAnswer], left_s: float, deadline_s: float
) -> WireAnswer:
    """What comes of a request that was handed to the socket."""
    try:
        async with asyncio.timeout(left_s):
            return await waiter
    except TimeoutError:
        if waiter.done() and not waiter.cancelled():
            return waiter.result()  # it came in the deadline's own turn of the loop
        return Ambiguous(why=f"no answer within {deadline_s:.3g} s", timed_out=True)
    finally:
        connection.abandon(waiter)


def _parted(url: str) -> tuple[str, str]:
    """`https://host:port` and what the request line asks of it."""
    scheme = url.find("://")
    if scheme < 0:
        raise ValueError("an address that isn't http(s)://host[:port]/path")
    ends = scheme + 3
    slash = url.find("/", ends)
    if slash < 0:
        return url, "/"
    return url[:slash], url[slash:]


def _reason(error: ValueError) -> str:
    """Ours quote nothing of the request; Python's own might (I26)."""
    return str(error) if type(error) is ValueError else type(error).__name__
