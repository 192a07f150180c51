"""One simulated venue without sockets: bytes in, bytes out, at the moment they are handed over."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from guardd.clock import Clock
from guardd.simulator.run import ServeSettings, build
from guardd.simulator.server import SimulatorServer
from guardd.simulator.wire import Close, Push, Reply, Request, StreamSession
from guardd.venues.wire import WireRequest

ADDRESS: Final = "192.0.2.7"
"""Where the guard calls from (RFC 5737)."""


@dataclass(slots=True, eq=False)
class RoomSocket:
    """One end of a socket; `deliver` is the other's."""

    session: StreamSession
    deliver: Callable[[str | Close], None]
    ended: bool = False


class Room:
    """An exchange behind its dialect. `host` stands for it in URLs."""

    def __init__(self, host: str, settings: ServeSettings, clock: Clock) -> None:
        self.host = host
        self.server: SimulatorServer = build(settings, clock)
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
        reply = self.server.dialect.answer(asked)
        self.server.stamps.note_request(
            self._clock.monotonic_ns(),
            asked.method,
            asked.path,
            self.server.dialect.account_of(asked),
            body.decode(errors="replace"),
            reply.response.status if reply.response else 0,
        )
        return reply

    def open(self, url: str, deliver: Callable[[str | Close], None]) -> RoomSocket | None:
        """A socket on one of the stream's paths; None where there is none."""
        path = urlsplit(url).path
        if path not in self.server.dialect.stream_paths:
            return None

        def push(item: Push) -> None:
            deliver(item.text)

        socket = RoomSocket(self.server.dialect.open(path, self.server.now_ms(), push), deliver)
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
            self.server.dialect.drop(socket.session)

    def cut(self) -> None:
        """Every connection breaks."""
        for socket in list(self._sockets):
            socket.deliver(Close(code=1006, reason=""))
            self.hang_up(socket)

    def pulse(self) -> None:
        """Time passed."""
        self.server.pulse()
        for socket in list(self._sockets):
            self._end_if_told(socket)

    def _end_if_told(self, socket: RoomSocket) -> None:
        if socket.session.close is not None:
            socket.deliver(socket.session.close)
            self.hang_up(socket)


@lru_cache(maxsize=1_000)
def _read(url: str) -> tuple[str, str, Mapping[str, str]]:
    """Path and query: the same few addresses are asked all the time."""
    split = urlsplit(url)
    return split.path, split.query, MappingProxyType(dict(parse_qsl(split.query, keep_blank_values=True)))
