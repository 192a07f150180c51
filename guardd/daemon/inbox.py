"""The guard's inbox: bounded, marks conflated, outcomes never dropped.

Everything but a streamed mark keeps its place in the queue. Of the marks of one symbol only the latest waits; when it is
replaced, the earlier one is gone, because a newer price is all that a guard needs. A mark that may confirm a crossing is the next
frame in any case (I28 asks for *the very next frame*, and conflation only makes that frame newer).
"""

import asyncio
from collections import deque
from typing import Final

from guardd.clock import Clock
from guardd.errors import InvariantBroken
from guardd.model.event import Event, MarkSeen, Source
from guardd.model.names import Symbol

CAPACITY: Final = 10_000
"""Events other than marks. The guard handles tens of thousands a second: a full queue means that it is stuck, not busy."""


class Inbox:
    """Many writers, one reader, one loop."""

    def __init__(self, *, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._queue: deque[Event] = deque()
        self._marks: dict[Symbol, MarkSeen] = {}
        self._wake = asyncio.Event()
        self.conflated = 0
        """Marks replaced by a newer one before they were read."""

    def __len__(self) -> int:
        return len(self._queue) + len(self._marks)

    def post(self, event: Event) -> None:
        """Take one event; never waits. Raises `InvariantBroken` when the reader has been stuck for `capacity` events."""
        if type(event) is MarkSeen and event.source is Source.STREAM:
            if event.symbol in self._marks:
                self.conflated += 1
            self._marks[event.symbol] = event
        else:
            if len(self._queue) >= self._capacity:
                raise InvariantBroken("inbox", f"{self._capacity} events wait and nobody reads them")
            self._queue.append(event)
        self._wake.set()

    def nudge(self) -> None:
        """Wake the reader though nothing is posted: something was folded already and wants a look."""
        self._wake.set()

    def settle(self) -> None:
        """A look follows at once: what nudged until now needs no other. What waits to be read does."""
        if not self._queue and not self._marks:
            self._wake.clear()

    async def arrival(self, clock: Clock, within_s: float | None = None) -> None:
        """Wait until something was posted, or a nudge; at most `within_s`."""
        if within_s is None:
            await self._wake.wait()
        else:
            await clock.wait(self._wake, within_s)
        self._wake.clear()

    def take(self) -> Event | None:
        """The next event if one waits: outcomes and reads before marks, so that a price is judged on what is known by then."""
        if self._queue:
            return self._queue.popleft()
        if self._marks:
            return self._marks.pop(next(iter(self._marks)))
        return None
