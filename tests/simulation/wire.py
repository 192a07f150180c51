"""The guard's network in the simulation: the adapters' real bytes, to a room and back, as late as the weather says.

What was sent arrives, whether its sender still waits or was killed meanwhile; what comes back finds nobody then.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Protocol
from urllib.parse import urlsplit

from guardd.clock import Clock
from guardd.model.facts import Fact
from guardd.model.instant import MS_PER_S
from guardd.simulator.stamps import RequestStamp
from guardd.simulator.wire import Close, Response
from guardd.venues.wire import Ambiguous, Closed, NotSent, Socket, Unconnected, WireAnswer, WireReply, WireRequest
from tests.simulation.loop import VirtualLoop
from tests.simulation.room import Room, RoomSocket


@dataclass(slots=True, kw_only=True)
class Weather:
    """Between a guard and one venue. Delays are drawn between least and `tail`, mostly near the least."""

    least_ms: float = 8.0
    tail_ms: float = 40.0
    push_tail_ms: float = 40.0
    lost_before: float = 0.0
    """Share of requests that never arrive."""
    lost_after: float = 0.0
    """Share of answers that never come back."""
    down: bool = False
    """Nothing connects, and what is connected breaks."""
    lost: int = 0

    def delay_s(self, chance: Random, tail_ms: float) -> float:
        drawn = chance.random()
        return (self.least_ms + (tail_ms - self.least_ms) * drawn**4) / MS_PER_S


class Watch(Protocol):
    """Who looks over a process's shoulder. `life` is the data directory that it runs on."""

    def heard(self, fact: Fact, life: Path) -> None: ...

    def leaving(self, request: WireRequest, life: Path) -> None:
        """It is about to be sent."""
        ...

    def asked(self, room: Room, stamp: RequestStamp, life: Path) -> None:
        """It has been judged and carried out."""
        ...

    def unheard(self, request: WireRequest, life: Path) -> None:
        """Whoever sent it has given up waiting: nobody there knows what became of it."""
        ...


class MemoryWire:
    """One process's network. `cut` ends it as a kill does: nothing more leaves, nothing more comes in."""

    def __init__(
        self,
        loop: VirtualLoop,
        clock: Clock,
        rooms: Mapping[str, Room],
        weather: Mapping[str, Weather],
        chance: Random,
        *,
        watch: Watch,
        life: Path,
    ) -> None:
        self._loop, self._clock, self._rooms, self._weather, self._chance = loop, clock, rooms, weather, chance
        self._watch, self._life = watch, life
        self._alive = True
        self._sockets: dict[MemorySocket, None] = {}

    async def http(self, request: WireRequest, deadline_s: float) -> WireAnswer:
        host = urlsplit(request.url).netloc
        room, weather = self._rooms[host], self._weather[host]
        if weather.down:
            await asyncio.sleep(weather.least_ms / MS_PER_S)
            return NotSent(why="ClientConnectorError: connection refused")
        coming: asyncio.Future[WireAnswer] = self._loop.create_future()
        sent_ns = self._clock.monotonic_ns()
        if self._alive:
            self._watch.leaving(request, self._life)
            self._send(room, weather, request, coming, sent_ns)
        timer = self._loop.call_later(deadline_s, _give_up, coming, deadline_s)
        try:
            answer = await coming
            if isinstance(answer, Ambiguous) and self._alive:
                self._watch.unheard(request, self._life)
            return answer
        finally:
            timer.cancel()

    async def connect(self, url: str, headers: Mapping[str, str], deadline_s: float) -> Socket | Unconnected:
        host = urlsplit(url).netloc
        room, weather = self._rooms[host], self._weather[host]
        await asyncio.sleep(3 * weather.delay_s(self._chance, weather.tail_ms))
        if weather.down or not self._alive:
            return Unconnected(why="ClientConnectorError: connection refused")
        socket = MemorySocket(self._loop, room, weather, self._chance)
        if not socket.open(url):
            return Unconnected(why="the handshake was answered with HTTP 404", status=404)
        self._sockets[socket] = None
        return socket

    async def close(self) -> None:
        self.cut()

    def cut(self) -> None:
        """Killed: the venue sees every connection end."""
        self._alive = False
        for socket in list(self._sockets):
            socket.break_off()
        self._sockets.clear()

    def _send(
        self, room: Room, weather: Weather, request: WireRequest, coming: "asyncio.Future[WireAnswer]", sent_ns: int
    ) -> None:
        up, down = weather.delay_s(self._chance, weather.tail_ms), weather.delay_s(self._chance, weather.tail_ms)
        lost_before = self._chance.random() < weather.lost_before
        lost_after = self._chance.random() < weather.lost_after

        def arrive() -> None:
            if lost_before or weather.down:
                weather.lost += 1
                return
            reply = room.answer(request)
            self._watch.asked(room, room.server.stamps.requests[-1], self._life)
            if lost_after or reply.response is None:
                weather.lost += lost_after
                return
            self._loop.call_later(reply.delay_ms / MS_PER_S + down, come_back, reply.response)

        def come_back(response: Response) -> None:
            if not coming.done() and self._alive:
                coming.set_result(
                    WireReply(
                        status=response.status,
                        headers={name.lower(): value for name, value in response.headers.items()},
                        body=response.body,
                        sent_ns=sent_ns,
                        received=self._clock.now(),
                    )
                )

        self._loop.call_later(up, arrive)


def _give_up(coming: "asyncio.Future[WireAnswer]", deadline_s: float) -> None:
    if not coming.done():
        coming.set_result(Ambiguous(why=f"no answer within {deadline_s:.3g} s", timed_out=True))


class MemorySocket:
    """A WebSocket; frames keep their order in both directions."""

    def __init__(self, loop: VirtualLoop, room: Room, weather: Weather, chance: Random) -> None:
        self._loop, self._room, self._weather, self._chance = loop, room, weather, chance
        self._socket: RoomSocket | None = None
        self._arrived: deque[str | Closed] = deque()
        self._news = asyncio.Event()
        self._up_at = self._down_at = 0.0
        self._broken = False

    def open(self, url: str) -> bool:
        self._socket = self._room.open(url, self._deliver)
        return self._socket is not None

    async def send_text(self, text: str) -> None:
        socket = self._socket
        if self._broken or socket is None:
            return
        self._up_at = max(self._up_at, self._loop.time() + self._weather.delay_s(self._chance, self._weather.tail_ms))
        self._loop.call_at(self._up_at, self._room.heard, socket, text)

    async def receive(self) -> bytes | str | Closed:
        while not self._arrived:
            self._news.clear()
            await self._news.wait()
        item = self._arrived[0]
        if not isinstance(item, Closed):
            self._arrived.popleft()
        return item

    async def close(self) -> None:
        self.break_off()

    def break_off(self) -> None:
        if self._socket is not None and not self._broken:
            self._room.hang_up(self._socket)
        self._end("closed")

    def _deliver(self, item: str | Close) -> None:
        delay_s = self._weather.delay_s(self._chance, self._weather.push_tail_ms)
        self._down_at = max(self._down_at, self._loop.time() + delay_s)
        self._loop.call_at(self._down_at, self._arrive, item)

    def _arrive(self, item: str | Close) -> None:
        if self._broken:
            return
        if isinstance(item, Close):
            self._end("the connection was lost" if item.code == 1006 else f"closed with code {item.code}")
            return
        self._arrived.append(item)
        self._news.set()

    def _end(self, why: str) -> None:
        if not self._broken:
            self._broken = True
            self._arrived.append(Closed(why=why))
            self._news.set()
