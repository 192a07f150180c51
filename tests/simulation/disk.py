"""The journal's worker in the simulation: a commit takes its drawn time, and a crash leaves of it what a disk would.

The files are real SQLite. At a kill, what waits for its commit is lost, is there whole and nobody was told, or is torn: the tail
of the write-ahead log is cut off in the middle of it.
"""

import asyncio
import shutil
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from guardd.errors import GuarddError, JournalError
from guardd.journal.ahead import FILE_NAME as AHEAD
from guardd.journal.sqlite import FILE_NAME
from tests.simulation.loop import VirtualLoop

T = TypeVar("T")
COMMIT_LEAST_S, COMMIT_TAIL_S = 0.0008, 0.03


class Tail(StrEnum):
    """What a crash leaves of the commit that it interrupts."""

    NOTHING_PENDING = "nothing-pending"
    LOST = "lost"
    KEPT = "kept"
    TORN = "torn"


@dataclass(slots=True, eq=False)
class _Job:
    work: Callable[[], Any]
    done: "Future[Any]"


class DiskWorker:
    """Does one piece of work after another, each at its time."""

    def __init__(self, loop: VirtualLoop, chance: Random) -> None:
        self._loop, self._chance = loop, chance
        self._jobs: deque[_Job] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._alive = True
        self.full = False
        self.tail_s = COMMIT_TAIL_S

    def submit(self, work: Callable[[], T], /) -> "Future[T]":
        job = _Job(work, Future())
        self._jobs.append(job)
        if self._timer is None and self._alive:
            self._next()
        return job.done

    def stop(self) -> None:
        while self._jobs:
            self._run()

    def crash(self) -> _Job | None:
        """The machine is gone; what it was about to make durable."""
        self._alive = False
        if self._timer is not None:
            self._timer.cancel()
        return self._jobs[0] if self._jobs else None

    def calm(self) -> None:
        """As fast again as a disk is."""
        self.tail_s = COMMIT_TAIL_S

    def _next(self) -> None:
        seconds = COMMIT_LEAST_S + (self.tail_s - COMMIT_LEAST_S) * self._chance.random() ** 6
        self._timer = self._loop.call_later(seconds, self._due)

    def _due(self) -> None:
        self._timer = None
        self._run()
        if self._jobs and self._timer is None:
            self._next()

    def _run(self) -> None:
        job = self._jobs.popleft()
        if self.full:
            job.done.set_exception(JournalError("database or disk is full"))
            return
        try:
            result = job.work()
        except (GuarddError, OSError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
            job.done.set_exception(error)
        else:
            job.done.set_result(result)


def crash(worker: DiskWorker, chance: Random, old: Path, new: Path) -> Tail:
    """Leave in `new` what the next process will find of the data directory `old`."""
    pending = worker.crash()
    log, ahead = old / f"{FILE_NAME}-wal", old / AHEAD
    before = log.stat().st_size if log.exists() else 0
    ahead_before = ahead.read_bytes() if ahead.exists() else b""
    tail = Tail.NOTHING_PENDING if pending is None else chance.choice((Tail.LOST, Tail.KEPT, Tail.TORN))
    if pending is not None and tail is not Tail.LOST:
        try:
            pending.work()
        except GuarddError:
            tail = Tail.LOST
    shutil.copytree(old, new, ignore=shutil.ignore_patterns("*.lock", "*-shm"))
    after = log.stat().st_size if log.exists() else 0
    if tail is Tail.TORN:
        _tear(new / AHEAD, ahead_before, chance)
    if tail is Tail.TORN and after > before:
        with (new / log.name).open("r+b") as file:
            file.truncate(chance.randrange(before, after))
    return tail


def _tear(file: Path, before: bytes, chance: Random) -> None:
    """Of what was written last, the disk holds the beginning."""
    after = file.read_bytes() if file.exists() else b""
    changed = [at for at in range(min(len(before), len(after))) if before[at] != after[at]]
    if changed:
        at = chance.randint(changed[0], changed[-1])
        file.write_bytes(after[:at] + before[at:])
