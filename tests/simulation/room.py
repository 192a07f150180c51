"""One simulated venue without sockets: bytes in, bytes out, at the moment they are handed over."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from guardd.clock import Clock
from guardd.simulator.dialects.bitget.dialect import BitgetDialect
from guardd.simulator.dialects.bitget_common.auth import Family
from guardd.simulator.dialects.bitget_unified.dialect import BitgetUnifiedDialect
from guardd.simulator.records import AccountKind
from guardd.simulator.run import ServeSettings, build
from guardd.simulator.server import SimulatorServer
from guardd.simulator.wire import Close, Dialect, Push, Reply, Request, StreamSession
from guardd.venues.wire import WireRequest

V3: Final = ("/api/v3/", "/v3/")
ADDRESS: Final = "192.0.2.7"
"""Where the guard calls from (RFC 5737)."""


@dataclass(slots=True, eq=False)
class RoomSocket:
    """One end of a socket; `deliver` is the other's."""

    session: StreamSession
    dialect: Dialect
    deliver: Callable[[str | Close], None]
    ended: bool = False


class Room:
    """An exchange behind its dialect. `host` stands for it in URLs.

    `upgrades`: Bitget, whose classic accounts may become unified ones; both families speak there from the start.
    """

    def __init__(self, host: str, settings: ServeSettings, clock: Clock, *, upgrades: bool = False) -> None:
        self.host = host
        self.server: SimulatorServer = build(settings, clock)
        self._unified = self._other_family(settings) if upgrades else None
        self._clock = clock
        self._sockets: list[RoomSocket] = []

    @property
    def rest_url(self) -> str:
        return f"http://{self.host}"

    @property
    def stream_url(self) -> str:
        return f"ws://{self.host}"

    def answer(self, wired: WireRequest) -> Reply:
        """Judge and execute one request that has arrived."""
        path, raw_query, query = _read(wired.url)
        body = wired.body or b""
        headers = {name.lower(): value for name, value in wired.headers.items()}
        if body and "content-type" not in headers:
            headers["content-type"] = "application/json"
        asked = Request(
            method=wired.method,
            path=path,
            query=query,
            raw_query=raw_query,
            headers=headers,
            body=body,
            peer_ip=ADDRESS,
            now_ms=self.server.now_ms(),
        )
        dialect = self._dialect_of(path)
        reply = dialect.answer(asked)
        self.server.stamps.note_request(
            self._clock.monotonic_ns(),
            asked.method,
            asked.path,
            dialect.account_of(asked),
            body.decode(errors="replace"),
            reply.response.status if reply.response else 0,
            reply.response.body if reply.response else b"",
        )
        return reply

    def open(self, url: str, deliver: Callable[[str | Close], None]) -> RoomSocket | None:
        """A socket on one of the stream's paths; None where there is none."""
        path = urlsplit(url).path
        dialect = self._dialect_of(path)
        if path not in dialect.stream_paths:
            return None

        def push(item: Push) -> None:
            deliver(item.text)

        socket = RoomSocket(dialect.open(path, self.server.now_ms(), push), dialect, deliver)
        self._sockets.append(socket)
        return socket

    def heard(self, socket: RoomSocket, text: str) -> None:
        """The client's frame has arrived."""
        if socket.ended:
            return
        for answer in socket.session.on_frame(text, self.server.now_ms()):
            socket.deliver(answer)
        self._end_if_told(socket)

    def hang_up(self, socket: RoomSocket) -> None:
        """The client is gone."""
        if not socket.ended:
            socket.ended = True
            self._sockets.remove(socket)
            socket.dialect.drop(socket.session)

    def cut(self) -> None:
        """Every connection breaks."""
        for socket in list(self._sockets):
            socket.deliver(Close(code=1006, reason=""))
            self.hang_up(socket)

    def pulse(self) -> None:
        """Time passed."""
        self.server.pulse()
        if self._unified is not None:
            self._unified.streams.tick(self.server.now_ms())
        for socket in list(self._sockets):
            self._end_if_told(socket)

    def upgrade(self, uid: str) -> None:
        """The owner makes his classic account a unified one: it answers to the other family's calls from now on."""
        classic, unified = self.server.dialect, self._unified
        assert isinstance(classic, BitgetDialect)
        assert unified is not None
        classic.keyring.move(uid, Family.UNIFIED)
        unified.set_family(uid, Family.UNIFIED)
        self.server.exchange.set_account_kind(uid, AccountKind.UNIFIED, self.server.now_ms())

    def _other_family(self, settings: ServeSettings) -> BitgetUnifiedDialect:
        dialect = BitgetUnifiedDialect(self.server.exchange, faults=self.server.faults)
        for owner in settings.accounts:
            dialect.add_key(owner.uid, owner.key, owner.secret, owner.passphrase, may_trade=owner.may_trade)
            dialect.set_family(owner.uid, Family.CLASSIC)
        return dialect

    def _dialect_of(self, path: str) -> Dialect:
        return self._unified if self._unified is not None and path.startswith(V3) else self.server.dialect

    def _end_if_told(self, socket: RoomSocket) -> None:
        if socket.session.close is not None:
            socket.deliver(socket.session.close)
            self.hang_up(socket)


@lru_cache(maxsize=1_000)
def _read(url: str) -> tuple[str, str, Mapping[str, str]]:
    """Path and query: the same few addresses are asked all the time."""
    split = urlsplit(url)
    return split.path, split.query, MappingProxyType(dict(parse_qsl(split.query, keep_blank_values=True)))
