"""Which connection a request takes, and which are held ready.

A read takes the connection that rested longest, so that the ordinary reads keep all of them in use; what changes something takes
the one that was used last, which the other side is least likely to be closing just now.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from ipaddress import ip_address
from typing import Final, TypeAlias
from urllib.parse import urlsplit

import aiohappyeyeballs

from guardd.clock import Clock
from guardd.model.instant import NS_PER_S
from guardd.venues.http1 import Http1Connection

IDLE_CONNECTION_S: Final = 30.0
"""An idle connection isn't used again after this long: had the venue closed it meanwhile, an order's outcome would be unknown."""
CONNECTIONS_MAX: Final = 64
"""To all hosts together. Whoever finds them all taken waits, within its deadline."""
SPARES_MAX: Final = 32
"""To one host, whatever its accounts want: half of all, so that there is room for what isn't foreseen."""
TROUBLE_REST_S: Final = 10.0
"""No spare is opened for this long after a connection failed or an answer didn't come: a venue in trouble has enough to do."""
_ORIGIN: Final = re.compile(r"https?://[0-9A-Za-z.:\[\]_-]+")
_ADDRESSES_KEPT_S: Final = 10.0
_NEXT_ADDRESS_S: Final = 0.25
"""RFC 8305: how long one address is tried alone before the next one joins."""

SocketAddress: TypeAlias = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
Address: TypeAlias = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, SocketAddress]


@dataclass(slots=True, kw_only=True, eq=False)
class Origin:
    """Scheme, host and port, with the connections there."""

    host: str
    port: int
    secure: bool
    named: str
    """As the `Host` header has it."""
    idle: list[Http1Connection] = field(default_factory=list)
    """The one used last at the end."""
    count: int = 0
    """Open or being opened."""
    wanted: dict[object, int] = field(default_factory=dict)
    trouble_ns: int = 0
    """No spare before it."""
    addresses: Sequence[Address] = ()
    addresses_until_ns: int = 0


class Pool:
    """All connections of one process. `tls` is for those that trust someone else than the system does."""

    def __init__(self, clock: Clock, tls: ssl.SSLContext | None = None) -> None:
        self._clock = clock
        self._tls = tls
        self._origins: dict[str, Origin] = {}
        self._open: dict[Http1Connection, Origin] = {}
        self._opening = 0
        self._waiting: dict[asyncio.Future[None], bool] = {}
        """Who waits for room, and whether it changes something and so goes first."""

    def origin(self, text: str) -> Origin:
        """`https://host:port`, without a path. Raises `ValueError`, quoting nothing, for what isn't one."""
        found = self._origins.get(text)
        if found is None:
            found = self._origins[text] = _origin(text)
        return found

    def take(self, origin: Origin, *, newest: bool) -> Http1Connection | None:
        """An idle connection, no longer in the pool; None when there is none that may be used."""
        idle, now_ns = origin.idle, self._clock.monotonic_ns()
        doubtful: list[Http1Connection] = []
        taken = None
        while idle and taken is None:
            connection = idle.pop() if newest else idle.pop(0)
            if not connection.usable(now_ns, IDLE_CONNECTION_S):
                connection.drop()
            elif connection.stirs(now_ns):
                doubtful.append(connection)  # the loop's next look at it settles what it has to say
            else:
                taken = connection
        idle[:0] = doubtful
        return taken

    async def acquire(self, origin: Origin, *, urgent: bool) -> Http1Connection:
        """A connection, idle or new, within the caller's time limit. Raises `OSError` when none can be made."""
        while True:
            connection = self.take(origin, newest=urgent)
            if connection is not None:
                return connection
            if len(self._open) + self._opening < CONNECTIONS_MAX or self._evict():
                return await self._connect(origin)
            await self._change(urgent)

    async def spare(self, origin: Origin, *, owner: object, wanted: int) -> None:
        """One more idle connection, if the host has fewer than its owners want."""
        origin.wanted[owner] = wanted
        now_ns = self._clock.monotonic_ns()
        self._sweep(origin, now_ns)
        enough = origin.count >= min(sum(origin.wanted.values()), SPARES_MAX)
        if enough or now_ns < origin.trouble_ns or len(self._open) + self._opening >= CONNECTIONS_MAX:
            return
        self.give_back(await self._connect(origin))

    def give_back(self, connection: Http1Connection) -> None:
        """It may be used again."""
        origin = self._open.get(connection)
        if origin is not None:
            origin.idle.append(connection)
            self._wake()

    def trouble(self, origin: Origin) -> None:
        """A request went wrong there."""
        origin.trouble_ns = self._clock.monotonic_ns() + int(TROUBLE_REST_S * NS_PER_S)

    async def close(self) -> None:
        for connection in list(self._open):
            connection.drop()
        while self._open:
            await self._change(urgent=False)

    async def _connect(self, origin: Origin) -> Http1Connection:
        connection = Http1Connection(self._clock, freed=self.give_back, lost=self._lost)
        origin.count += 1
        self._opening += 1
        try:
            await self._open_to(origin, connection)
            if not connection.closed:
                self._open[connection] = origin
        finally:
            self._opening -= 1
            if connection not in self._open:
                origin.count -= 1
                origin.addresses = ()
                self._wake()
        return connection

    async def _open_to(self, origin: Origin, connection: Http1Connection) -> None:
        """TCP, and TLS with the host's own name. The loops set TCP_NODELAY on each socket."""
        loop = asyncio.get_running_loop()
        found = await aiohappyeyeballs.start_connection(
            await self._addresses(origin), loop=loop, happy_eyeballs_delay=_NEXT_ADDRESS_S, interleave=1
        )
        secure = (self._tls or default_tls()) if origin.secure else None
        await loop.create_connection(
            lambda: connection, sock=found, ssl=secure, server_hostname=origin.host if origin.secure else None
        )

    async def _addresses(self, origin: Origin) -> Sequence[Address]:
        """Looked up anew each 10 s at most; an address needs no looking up."""
        now_ns = self._clock.monotonic_ns()
        if not origin.addresses or now_ns >= origin.addresses_until_ns:
            loop = asyncio.get_running_loop()
            origin.addresses = _numeric(origin.host, origin.port) or await loop.getaddrinfo(
                origin.host, origin.port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
            )
            origin.addresses_until_ns = now_ns + int(_ADDRESSES_KEPT_S * NS_PER_S)
        return origin.addresses

    def _lost(self, connection: Http1Connection) -> None:
        origin = self._open.pop(connection, None)
        if origin is not None:
            origin.count -= 1
            if connection in origin.idle:
                origin.idle.remove(connection)
            self._wake()

    def _sweep(self, origin: Origin, now_ns: int) -> None:
        """Close what rested too long."""
        for connection in [each for each in origin.idle if not each.usable(now_ns, IDLE_CONNECTION_S)]:
            origin.idle.remove(connection)
            connection.drop()

    def _evict(self) -> bool:
        """Make room by closing a connection that nobody uses; its host may be another."""
        for origin in self._origins.values():
            if origin.idle:
                origin.idle.pop(0).drop()
                return True
        return False

    async def _change(self, urgent: bool) -> None:
        """Wait until a connection was freed or lost."""
        change: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[change] = urgent
        try:
            await change
        finally:
            del self._waiting[change]

    def _wake(self) -> None:
        for change in sorted(self._waiting, key=lambda each: not self._waiting[each]):
            if not change.done():
                change.set_result(None)


@cache
def default_tls() -> ssl.SSLContext:
    """The system's trust and Python's own minimum; made at the first use of TLS, since it reads a large file."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def _origin(text: str) -> Origin:
    if _ORIGIN.fullmatch(text) is None:
        raise ValueError("an address that isn't http(s)://host[:port]/path")
    parts = urlsplit(text)
    host, port = parts.hostname, parts.port
    if not host:
        raise ValueError("an address without a host")
    secure = parts.scheme == "https"
    return Origin(host=host, port=port or (443 if secure else 80), secure=secure, named=parts.netloc)


def _numeric(host: str, port: int) -> list[Address]:
    """The address that the host is written as, if it is."""
    try:
        address = ip_address(host)
    except ValueError:
        return []
    if address.version == 4:
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port))]
    return [(socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port, 0, 0))]
