"""A clock that runs faster than the machine's, for cases that are about half a minute of silence."""

import asyncio

from guardd.clock import SystemClock
from guardd.model.instant import NS_PER_MS, Instant


class HastyClock:
    """`speed` seconds of the adapter and the venue pass in one of the machine's; both must be given this one clock."""

    def __init__(self, speed: int = 1) -> None:
        self._speed = speed
        self._real = SystemClock()
        self._began = self._real.now()

    def now(self) -> Instant:
        passed_ns = self._passed_ns()
        return Instant(self._began.mono_ns + passed_ns, self._began.wall_ms + passed_ns // NS_PER_MS)

    def monotonic_ns(self) -> int:
        return self._began.mono_ns + self._passed_ns()

    async def sleep(self, seconds: float) -> None:
        await self._real.sleep(seconds / self._speed)

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        return await self._real.wait(event, seconds / self._speed)

    def _passed_ns(self) -> int:
        return (self._real.monotonic_ns() - self._began.mono_ns) * self._speed
