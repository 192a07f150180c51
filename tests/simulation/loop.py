"""An event loop whose time is a number: nobody waits, and the same things happen in the same order each time.

When no task can run, time jumps to the next timer. Nothing here reads the machine's clock.
"""

import asyncio
import gc
import selectors
import warnings
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Final, TypeVar

from guardd.model.instant import MS_PER_S, NS_PER_MS, NS_PER_S, Instant

T = TypeVar("T")
BEGINS_S: Final = 1_000.0
WALL_MS_AT_ZERO: Final = 1_767_225_600_000 - int(BEGINS_S * MS_PER_S)
"""2026-01-01 00:00 UTC when the loop begins."""


class Stalled(Exception):
    """Nothing can ever happen again: no task can run and no timer is set."""


class _Skipping(selectors.SelectSelector):
    """Waits for nobody: the time that the loop would have waited is handed to it instead."""

    def __init__(self, skip: Callable[[float], None]) -> None:
        super().__init__()
        self._skip = skip

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Stalled("no task can run and no timer is set")
        if timeout > 0:
            self._skip(timeout)
        return []


class _Watched(Coroutine[Any, Any, Any]):
    """A coroutine that tells each time it stops at an await."""

    def __init__(self, inner: Coroutine[Any, Any, Any], stopped: Callable[[], None]) -> None:
        self._inner, self._stopped = inner, stopped

    def send(self, value: Any) -> Any:
        waits_for = self._inner.send(value)
        self._stopped()
        return waits_for

    def throw(self, *error: Any) -> Any:
        waits_for = self._inner.throw(*error)
        self._stopped()
        return waits_for

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._inner.__await__()


class VirtualLoop(asyncio.SelectorEventLoop):
    """`now_s` moves by timers alone. `turns` counts the loop's rounds: a measure of work that no machine changes.

    `on_await` is told the name of each task of the guard's hands that stops at an await: that is where it can be killed.
    """

    def __init__(self) -> None:
        self.now_s = BEGINS_S
        self.turns = 0
        self.on_await: Callable[[str], None] | None = None
        super().__init__(_Skipping(self._skip))

    def create_task(self, coro: Any, *, name: str | None = None, context: Any = None) -> Any:
        told = self.on_await
        if told is not None and name is not None and ("/intent " in name or "/resolve " in name):
            coro = _Watched(coro, lambda: told(name))
        return super().create_task(coro, name=name, context=context)

    def time(self) -> float:
        return self.now_s

    def _skip(self, seconds: float) -> None:
        self.now_s += seconds

    def _run_once(self) -> None:
        self.turns += 1
        super()._run_once()  # type: ignore[misc]

    def _write_to_self(self) -> None:
        """There is no other thread to be woken by."""


class VirtualClock:
    """A machine's clock in the simulation. Its wall clock may be off, drift and jump; its monotonic one only runs."""

    def __init__(self, loop: VirtualLoop, *, offset_ms: int = 0) -> None:
        self._loop = loop
        self.offset_ms = offset_ms
        self.drift_ppm = 0
        self._drifts_from_ms = int(BEGINS_S * MS_PER_S)

    def now(self) -> Instant:
        return Instant(self.monotonic_ns(), self._wall_ms())

    def monotonic_ns(self) -> int:
        return round(self._loop.now_s * 1e6) * 1_000

    def step(self, seconds: float) -> None:
        """Somebody sets the wall clock."""
        self.offset_ms += round(seconds * MS_PER_S)

    def drift(self, ppm: int) -> None:
        """From now on it runs so much too fast; what it has gained stays."""
        self.offset_ms += self._gained_ms()
        self._drifts_from_ms, self.drift_ppm = self.monotonic_ns() // NS_PER_MS, ppm

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(seconds, 0.0))

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        try:
            async with asyncio.timeout(max(seconds, 0.0)):
                await event.wait()
        except TimeoutError:
            return event.is_set()
        return True

    def _wall_ms(self) -> int:
        return WALL_MS_AT_ZERO + self.monotonic_ns() // NS_PER_MS + self._gained_ms() + self.offset_ms

    def _gained_ms(self) -> int:
        return (self.monotonic_ns() // NS_PER_MS - self._drifts_from_ms) * self.drift_ppm // 1_000_000


def play(story: Callable[[VirtualLoop], Coroutine[Any, Any, T]]) -> T:
    """Run a story to its end in a loop of its own. What still runs then is dropped where it stands."""
    loop = VirtualLoop()
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(story(loop))
    finally:
        _drop(loop)
        asyncio.set_event_loop(None)


def _drop(loop: VirtualLoop) -> None:
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left, timeout=60))
    loop.close()
    with warnings.catch_warnings():  # what a kill left half done is collected here, and not in whatever test comes next
        warnings.simplefilter("ignore")
        gc.collect()


def seconds_of(ns: int) -> float:
    return ns / NS_PER_S
