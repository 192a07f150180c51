"""Hand-written networks: one whose answers are written down beforehand, and sockets that a test feeds by hand."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from guardd.clock import Clock
from guardd.venues.wire import Closed, Socket, Unconnected, WireAnswer, WireReply, WireRequest


@dataclass
class FakeSocket:
    """Remembers what was said; hands out what the test put in."""

    sent: list[str] = field(default_factory=list)
    closed: bool = False
    inbox: asyncio.Queue[str | bytes | Closed] = field(default_factory=asyncio.Queue)

    def push(self, *frames: str | bytes | Closed) -> None:
        for frame in frames:
            self.inbox.put_nowait(frame)

    async def send_text(self, text: str) -> None:
        self.sent.append(text)

    async def receive(self) -> bytes | str | Closed:
        return await self.inbox.get()

    async def close(self) -> None:
        self.closed = True


class FakeWire:
    """Answers requests from a script (the last entry for ever) after `takes_s`; opens sockets from another."""

    def __init__(self, clock: Clock, *answers: WireAnswer | Callable[[], WireAnswer], takes_s: float = 0.0) -> None:
        self._clock = clock
        self._answers = list(answers)
        self._takes_s = takes_s
        self.requests: list[WireRequest] = []
        self.deadlines_s: list[float] = []
        self.sockets: list[FakeSocket | Unconnected] = []
        self.opened: list[FakeSocket] = []
        self.connects = 0

    async def http(self, request: WireRequest, deadline_s: float) -> WireAnswer:
        self.requests.append(request)
        self.deadlines_s.append(deadline_s)
        if self._takes_s:
            await self._clock.sleep(self._takes_s)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return answer if not callable(answer) else answer()

    async def connect(self, url: str, headers: Mapping[str, str], deadline_s: float) -> Socket | Unconnected:
        self.connects += 1
        socket = self.sockets.pop(0) if self.sockets else FakeSocket()
        if isinstance(socket, FakeSocket):
            self.opened.append(socket)
        return socket

    async def close(self) -> None:
        return None


def reply(clock: Clock, status: int, body: str, **headers: str) -> WireReply:
    """An answer from the other side; header names with underscores stand for dashes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    now = clock.now()
    return WireReply(status=status, headers=named, body=body.encode(), sent_ns=now.mono_ns, received=now)
