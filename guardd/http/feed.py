"""The status as server-sent events: whole pictures, the newest only, so a slow reader misses some and holds nothing up.

Each reader waits for its own socket and for nothing else. What is kept for it is one picture; who doesn't take that within
`WRITE_S` is hung up on, and a reader beyond the `READERS_MAX`th is turned away.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from guardd.http.board import Board, Json

READERS_MAX: Final = 16
EVERY_S: Final = 1.0
POSITIONS_A_SECOND: Final = 60
"""Encoding a picture takes the loop's time, so many positions are shown less often: never more than a few ms of each second."""
REPEATED_S: Final = 5.0
"""A picture comes after this long though nothing changed: silence means that nobody is there."""
SHARED_MS: Final = 500
RECONNECT_MS: Final = 2_000
WRITE_S: Final = 10.0

Wait = Callable[[asyncio.Event, float], Awaitable[bool]]
"""Until the event is set, at most so many seconds; true when it was (`Clock.wait`)."""


@dataclass(slots=True, kw_only=True)
class Feed:
    """One for an application. `picture` gives the body of /status."""

    board: Board
    picture: Callable[[], dict[str, Json]]
    wait: Wait
    write_s: float = WRITE_S
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    readers: int = 0
    _encoded: bytes = b""
    _encoded_for: int = -1
    _encoded_ms: int = 0

    @property
    def is_full(self) -> bool:
        return self.readers >= READERS_MAX

    async def run(self, request: web.Request) -> web.StreamResponse:
        """Until the reader leaves, is too slow, or the application closes."""
        headers = {"Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}
        response = web.StreamResponse(headers=headers)
        self.readers += 1
        try:
            await response.prepare(request)
            await self._write(response, f"retry: {RECONNECT_MS}\n\n".encode())
            await self._pictures(response)
        except (ConnectionError, TimeoutError):
            if request.transport is not None:
                request.transport.abort()
        finally:
            self.readers -= 1
        return response

    async def _pictures(self, response: web.StreamResponse) -> None:
        sent, quiet_s = -1, 0.0
        while not self.closing.is_set():
            period_s = self.period_s
            if self.board.changes != sent or quiet_s >= REPEATED_S:
                sent, quiet_s = self.board.changes, 0.0
                await self._write(response, self._latest())
            quiet_s += period_s
            await self.wait(self.closing, period_s)

    @property
    def period_s(self) -> float:
        """Between two pictures."""
        held = sum(len(view.positions) for view in self.board.views.values())
        return max(EVERY_S, held / POSITIONS_A_SECOND)

    def _latest(self) -> bytes:
        """The present picture, encoded once for all who are sent it at about the same time."""
        now_ms = self.board.now_ms()
        if self._encoded_for != self.board.changes or abs(now_ms - self._encoded_ms) >= SHARED_MS:
            self._encoded_for, self._encoded_ms = self.board.changes, now_ms
            body = json.dumps(self.picture(), separators=(",", ":"))
            self._encoded = f"event: status\nid: {self._encoded_for}\ndata: {body}\n\n".encode()
        return self._encoded

    async def _write(self, response: web.StreamResponse, data: bytes) -> None:
        async with asyncio.timeout(self.write_s):
            await response.write(data)
