"""The only place where guardd reads a clock or sleeps.

Everything that needs time is handed a `Clock`, so that the same code runs on the machine's clock, on a test's and on a
simulation's. Intervals are measured on the monotonic reading; the wall reading is for people, for the venue's
signatures and for windows that survive a restart (invariant I24).
"""

import asyncio
import heapq
import time
from typing import Final, Protocol

from guardd.model.instant import MS_PER_S, NS_PER_MS, NS_PER_S, Instant

__all__ = ["Clock", "Instant", "ManualClock", "SystemClock"]

_made: Final = tuple.__new__
"""A named tuple past its own constructor: two thirds of what a moment costs, and each frame takes one."""


class Clock(Protocol):
    """Time and sleep, as a seam."""

    def now(self) -> Instant:
        """Both readings, taken together."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds on a clock that never steps; only differences mean anything."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait at least `seconds`; zero or less gives other tasks one turn."""
        ...

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        """Wait until `event` is set, at most `seconds`; True when it was."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> Instant:
        return _made(Instant, (time.monotonic_ns(), time.time_ns() // NS_PER_MS))

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(seconds, 0.0))

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        try:
            async with asyncio.timeout(max(seconds, 0.0)):
                await event.wait()
        except TimeoutError:
            return event.is_set()
        return True


class ManualClock:
    """A clock that moves only when told: for tests that are about time.

    `advance` wakes sleepers in the order of their deadlines and lets each run before the next is woken.
    """

    def __init__(self, *, mono_ns: int = NS_PER_S, wall_ms: int = 1_767_225_600_000) -> None:
        self._mono_ns = mono_ns
        self._wall_ms_at_zero = wall_ms - mono_ns // NS_PER_MS
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._sequence = 0

    def now(self) -> Instant:
        return Instant(self._mono_ns, self._wall_ms_at_zero + self._mono_ns // NS_PER_MS)

    def monotonic_ns(self) -> int:
        return self._mono_ns

    def step_wall(self, seconds: float) -> None:
        """Move the wall clock alone, as an administrator or a bad time server would."""
        self._wall_ms_at_zero += int(seconds * MS_PER_S)

    def pass_time(self, seconds: float) -> None:
        """Move both clocks without waking anybody: for synchronous code."""
        self._mono_ns += int(seconds * NS_PER_S)

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sequence += 1
        heapq.heappush(self._sleepers, (self._mono_ns + int(seconds * NS_PER_S), self._sequence, future))
        await future

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        if not event.is_set() and seconds > 0:
            async with asyncio.TaskGroup() as group:
                waiters = {group.create_task(event.wait()), group.create_task(self.sleep(seconds))}
                await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
                for waiter in waiters:
                    waiter.cancel()
        return event.is_set()

    async def advance(self, seconds: float, *, turns: int = 20) -> None:
        """Move both clocks by `seconds`; each sleeper that falls due is woken and given `turns` turns of the loop."""
        end_ns = self._mono_ns + int(seconds * NS_PER_S)
        await _turns(turns)
        while self._sleepers and self._sleepers[0][0] <= end_ns:
            due_ns, _, future = heapq.heappop(self._sleepers)
            self._mono_ns = max(self._mono_ns, due_ns)
            if not future.done():
                future.set_result(None)
            await _turns(turns)
        self._mono_ns = end_ns
        await _turns(turns)


async def _turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)
