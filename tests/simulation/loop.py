"""An event loop whose time is a number: nobody waits, and the same things happen in the same order each time.

When no task can run, time jumps to the next timer. Nothing here reads the machine's clock.
"""

import asyncio
import gc
import warnings
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, copy_context
from heapq import heapify, heappop, heappush
from math import ceil
from typing import Any, Final, TypeVar, TypeVarTuple

from guardd.model.instant import MS_PER_S, NS_PER_S, Instant

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
US_PER_S: Final = 1_000_000
US_PER_MS: Final = 1_000
NS_PER_US: Final = 1_000
BEGINS_S: Final = 1_000.0
BEGINS_MS: Final = int(BEGINS_S * MS_PER_S)
WALL_MS_AT_ZERO: Final = 1_767_225_600_000 - BEGINS_MS
"""2026-01-01 00:00 UTC when the loop begins."""
_FORGONE_LEAST: Final = 200
"""Fewer cancelled timers than these are left where they are until their time comes."""


class Stalled(Exception):
    """Nothing can ever happen again: no task can run and no timer is set."""


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


class _Turn(asyncio.TimerHandle):
    """A callback that waits for its turn. What a handle of asyncio keeps for debugging is left out."""

    __slots__ = ()
    _loop: "VirtualLoop"
    _source_traceback = _repr = None

    def __init__(  # it is made 100 times a simulated second: the parents' only store what debugging asks for
        self, callback: Callable[..., object], args: tuple[Any, ...], loop: "VirtualLoop", context: Context | None
    ) -> None:
        self._callback, self._args, self._loop = callback, args, loop
        self._context = copy_context() if context is None else context
        self._cancelled = self._scheduled = False

    def cancel(self) -> None:
        if not self._cancelled:
            self._cancelled = True
            self._callback = self._args = None  # type: ignore[assignment]
            if self._scheduled:
                self._loop.forgo()


class VirtualLoop(asyncio.BaseEventLoop):
    """Time is whole microseconds and moves by timers alone; those of one instant run in the order in which they were set.

    `turns` counts the loop's rounds: a measure of work that no machine changes. `on_await` is told the name of each task of
    the guard's hands that stops at an await: that is where it can be killed.
    """

    _ready: "deque[asyncio.Handle]"

    def __init__(self) -> None:
        super().__init__()
        self.now_us = round(BEGINS_S * US_PER_S)
        self.turns = 0
        self.on_await: Callable[[str], None] | None = None
        self._now_s = BEGINS_S
        self._timers: list[tuple[int, int, _Turn]] = []
        self._set = self._forgone = 0

    def create_task(self, coro: Any, *, name: Any = None, context: Any = None) -> Any:
        told = self.on_await
        if told is not None and name is not None and ("/intent " in name or "/resolve " in name):
            coro = _Watched(coro, lambda: told(name))
        return super().create_task(coro, name=name, context=context)

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self)

    def time(self) -> float:
        return self._now_s

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        handle = _Turn(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self._call_at(self._now_s + delay, callback, args, context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self._call_at(when, callback, args, context)

    def _call_at(
        self, when: float, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None
    ) -> asyncio.TimerHandle:
        """Never early, but for the nanosecond by which a float misses its microsecond."""
        handle = _Turn(callback, args, self, context)
        handle._when, handle._scheduled = when, True  # type: ignore[attr-defined]
        self._set += 1
        heappush(self._timers, (ceil(when * US_PER_S - 1e-3), self._set, handle))
        return handle

    def forgo(self) -> None:
        """A timer was cancelled; when most of them are, they go."""
        self._forgone += 1
        if self._forgone > _FORGONE_LEAST and self._forgone * 2 > len(self._timers):
            self._timers[:] = [timer for timer in self._timers if not timer[2]._cancelled]
            heapify(self._timers)
            self._forgone = 0

    def _run_once(self) -> None:
        """All rounds until it is told to stop, which is looked for after each: `run_forever` would do no more between them."""
        self._round()
        while not self._stopping:  # type: ignore[attr-defined]
            self._round()

    def _round(self) -> None:
        self.turns += 1
        ready, timers = self._ready, self._timers
        while timers and timers[0][2]._cancelled:
            heappop(timers)
            self._forgone -= 1
        if not ready and not self._stopping:  # type: ignore[attr-defined]
            if not timers:
                raise Stalled("no task can run and no timer is set")
            if timers[0][0] > self.now_us:
                self.now_us = timers[0][0]
                self._now_s = self.now_us / US_PER_S
        while timers and timers[0][0] <= self.now_us:
            handle = heappop(timers)[2]
            handle._scheduled = False
            if handle._cancelled:
                self._forgone -= 1
            else:
                ready.append(handle)
        for _ in range(len(ready)):
            turn = ready.popleft()
            if turn._cancelled:
                continue
            try:
                turn._context.run(turn._callback, *turn._args)  # type: ignore[attr-defined]
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:  # as asyncio's own handles do
                self.call_exception_handler({"message": f"Exception in callback {turn!r}", "exception": error})

    def _write_to_self(self) -> None:
        """There is no other thread to be woken by."""


class VirtualClock:
    """A machine's clock in the simulation. Its wall clock may be off, drift and jump; its monotonic one only runs."""

    def __init__(self, loop: VirtualLoop, *, offset_ms: int = 0) -> None:
        self._loop = loop
        self.offset_ms = offset_ms
        self.drift_ppm = 0
        self._told = Instant(0, 0), 0, 0
        self._drifts_from_ms = BEGINS_MS

    def now(self) -> Instant:
        now_us = self._loop.now_us
        instant, at_us, offset_ms = self._told
        if at_us != now_us or offset_ms != self.offset_ms:
            instant = Instant(now_us * NS_PER_US, self._wall_ms(now_us // US_PER_MS))
            self._told = instant, now_us, self.offset_ms
        return instant

    def monotonic_ns(self) -> int:
        return self._loop.now_us * NS_PER_US

    def step(self, seconds: float) -> None:
        """Somebody sets the wall clock."""
        self.offset_ms += round(seconds * MS_PER_S)

    def drift(self, ppm: int) -> None:
        """From now on it runs so much too fast; what it has gained stays."""
        ran_ms = self._loop.now_us // US_PER_MS
        self.offset_ms += self._gained_ms(ran_ms)
        self._drifts_from_ms, self.drift_ppm = ran_ms, ppm

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            return await asyncio.sleep(0)
        over: asyncio.Future[None] = self._loop.create_future()
        timer = self._loop.call_later(seconds, _end, over)
        try:
            await over
        except BaseException:
            timer.cancel()
            raise

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        """As `asyncio.timeout` around `event.wait` would do it, in as many turns, without making either."""
        if event.is_set():
            return True
        over: asyncio.Future[Any] = self._loop.create_future()
        waiters = event._waiters
        waiters.append(over)
        timer = self._loop.call_later(max(seconds, 0.0), _end, over)
        try:
            return await over is True or event.is_set()
        finally:
            timer.cancel()
            waiters.remove(over)

    def _wall_ms(self, ran_ms: int) -> int:
        gained = self._gained_ms(ran_ms) if self.drift_ppm else 0
        return WALL_MS_AT_ZERO + ran_ms + gained + self.offset_ms

    def _gained_ms(self, ran_ms: int) -> int:
        return (ran_ms - self._drifts_from_ms) * self.drift_ppm // 1_000_000


def _end(sleep: "asyncio.Future[None]") -> None:
    if not sleep.done():
        sleep.set_result(None)


def play(story: Callable[[VirtualLoop], Coroutine[Any, Any, T]]) -> T:
    """Run a story to its end in a loop of its own. What still runs then is dropped where it stands."""
    gc.freeze()  # all that is here by now outlives the story: its collections needn't look through it
    thresholds = gc.get_threshold()
    gc.set_threshold(50_000, 20, 50)
    loop = VirtualLoop()
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(story(loop))
    finally:
        gc.set_threshold(*thresholds)
        _drop(loop)
        asyncio.set_event_loop(None)
        gc.unfreeze()  # a story's own remains aren't kept for ever


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
