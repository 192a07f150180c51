"""Starts every task there is, names it, restarts it within a budget, and tells when it can't.

A bare `TaskGroup` cancels siblings when one fails, an in-flight submit among them. Here each child runs under `supervise`, which
is one of the two places that catch `Exception` (style.md 14).
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

import structlog
from msgspec import Struct

from guardd.clock import Clock
from guardd.errors import ConfigurationError, CredentialsError
from guardd.model.instant import NS_PER_S
from guardd.venues import retry

log = structlog.get_logger(__name__)


class Budget(Struct, frozen=True, kw_only=True):
    """How often a task may fail: more than `restarts` within `window_s` and it is given up, which its owner is told of."""

    restarts: int
    window_s: float


EXPENDABLE: Final = Budget(restarts=1_000_000, window_s=1.0)
"""Restarted for ever: nothing depends on it."""
ESSENTIAL: Final = Budget(restarts=10, window_s=60.0)


class Supervisor:
    """Owns the task group of the daemon. Nothing else creates tasks."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()

    def start(
        self,
        name: str,
        factory: Callable[[], Awaitable[None]],
        *,
        budget: Budget = ESSENTIAL,
        given_up: Callable[[str], None] | None = None,
    ) -> asyncio.Task[None]:
        """Run `factory()` under supervision; it is called again after each failure, with a growing pause."""
        return self._spawn(name, self._supervise(name, factory, budget, given_up))

    def once(
        self, name: str, coroutine: Coroutine[Any, Any, None], *, failed: Callable[[str], None]
    ) -> asyncio.Task[None]:
        """Run one piece of work to its end; a failure is told, never raised into a sibling, never repeated."""
        task = self._spawn(name, _tell_failure(name, coroutine, failed))
        task.add_done_callback(lambda _: coroutine.close())  # one that was told to stop before it began
        return task

    async def unless(self, stopping: asyncio.Event, name: str, coroutine: Coroutine[Any, Any, None]) -> bool:
        """Do this to its end, and raise what it raises; false when `stopping` came first: then it was cut off where it stood."""
        work, stop = self._spawn(name, coroutine), self._spawn(f"{name}/unless", _set(stopping))
        try:
            await asyncio.wait((work, stop), return_when=asyncio.FIRST_COMPLETED)
            done = work.done()
        finally:
            work.cancel()
            stop.cancel()
            await asyncio.wait((work, stop))
        if done:
            await work
        return done

    async def stop(self, *, deadline_s: float) -> None:
        """Cancel everything that still runs and wait for it, at most `deadline_s`."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=deadline_s)

    def _spawn(self, name: str, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _supervise(
        self, name: str, factory: Callable[[], Awaitable[None]], budget: Budget, given_up: Callable[[str], None] | None
    ) -> None:
        failures: deque[int] = deque()
        while True:
            try:
                await factory()
            except (ConfigurationError, CredentialsError) as error:
                _heed_cancellation()
                _give_up(name, f"{type(error).__name__}: {error}", given_up)
                return
            except Exception as error:
                _heed_cancellation()
                log.exception("task_failed", task=name)
                why = f"{type(error).__name__}: {error}"
            else:
                return
            now_ns = self._clock.monotonic_ns()
            failures.append(now_ns)
            while failures and now_ns - failures[0] > budget.window_s * NS_PER_S:
                failures.popleft()
            if len(failures) > budget.restarts:
                _give_up(name, why, given_up)
                return
            await self._clock.sleep(retry.reconnect_s(len(failures) - 1, jitter=1.0))


def _heed_cancellation() -> None:
    """A task group whose task is cancelled while it ends for an error of its own raises that error and forgets the cancellation
    (Python 3.11 and 3.12): a task that failed as it was told to stop would be started again, and nobody would tell it again."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def _set(event: asyncio.Event) -> None:
    await event.wait()


def _give_up(name: str, why: str, given_up: Callable[[str], None] | None) -> None:
    log.critical("task_given_up", task=name, why=why)
    if given_up is not None:
        given_up(why)


async def _tell_failure(name: str, coroutine: Coroutine[Any, Any, None], failed: Callable[[str], None]) -> None:
    try:
        await coroutine
    except Exception as error:
        log.exception("task_failed", task=name)
        failed(f"{type(error).__name__}: {error}")
