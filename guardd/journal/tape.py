"""The tape: every event as it came, in a ring of files, to look at afterwards. Memory for people; no decision hangs on it.

Recording is an append to a list; turning events into text and writing them happens on a worker. Marks are conflated: of each
symbol only the latest in a flush is kept, with the number that came. Events hold no secret.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from guardd.errors import JournalError
from guardd.journal.canonical import Json, encoded, text_of
from guardd.journal.worker import ThreadWorker, Worker
from guardd.model.event import Event, MarkSeen
from guardd.model.names import AccountName, Symbol

DIRECTORY: Final = "tape"
LIMIT_BYTES: Final = 1 << 30
SEGMENTS: Final = 64
"""The ring is cut into so many files; the oldest goes whole."""
FLUSH_S: Final = 1.0
WAITING_MAX: Final = 20_000
"""Events that wait for a disk that is slow; beyond it they are counted and dropped."""


@dataclass(slots=True)
class _Marks:
    latest: MarkSeen
    count: int


class Tape:
    """The tape of one data directory. Call it with each event; `run` writes while the supervisor runs it."""

    def __init__(self, data_dir: Path, *, worker: Worker | None = None, limit_bytes: int = LIMIT_BYTES) -> None:
        self._ring = _Ring(data_dir / DIRECTORY, limit_bytes)
        self._worker = worker or ThreadWorker("tape")
        self._waiting: list[tuple[AccountName, Event]] = []
        self._marks: dict[tuple[AccountName, Symbol], _Marks] = {}
        self._dropped = 0

    def __call__(self, account: AccountName, event: Event, /) -> None:
        if isinstance(event, MarkSeen):
            seen = self._marks.get((account, event.symbol))
            if seen is None:
                self._marks[account, event.symbol] = _Marks(event, 1)
            else:
                seen.latest = event
                seen.count += 1
        elif len(self._waiting) < WAITING_MAX:
            self._waiting.append((account, event))
        else:
            self._dropped += 1

    async def run(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Write once a second, for ever. Raises `JournalError` when the disk takes nothing; what waited is dropped then."""
        while True:
            await sleep(FLUSH_S)
            await self.flush()

    async def flush(self) -> None:
        """Everything recorded so far is handed to the operating system when this returns. It isn't synced."""
        if not (self._waiting or self._marks or self._dropped):
            return
        waiting, self._waiting = self._waiting, []
        marks, self._marks = self._marks, {}
        dropped, self._dropped = self._dropped, 0
        await asyncio.wrap_future(self._worker.submit(lambda: self._ring.write(_lines(waiting, marks, dropped))))

    async def close(self) -> None:
        await self.flush()
        self._worker.stop()


def segments(data_dir: Path) -> tuple[Path, ...]:
    """The files of the ring, oldest first; each line is one JSON object."""
    return tuple(sorted((data_dir / DIRECTORY).glob("*.jsonl")))


def _lines(
    waiting: Sequence[tuple[AccountName, Event]], marks: dict[tuple[AccountName, Symbol], _Marks], dropped: int
) -> Iterator[str]:
    if dropped:
        yield text_of({"event": "dropped", "count": dropped})
    timed = [(event.at.mono_ns, _line(account, event, {})) for account, event in waiting]
    timed += [
        (seen.latest.at.mono_ns, _line(key[0], seen.latest, {"count": seen.count})) for key, seen in marks.items()
    ]
    timed.sort(key=lambda each: each[0])
    for _, line in timed:
        yield line


def _line(account: AccountName, event: Event, more: dict[str, Json]) -> str:
    return text_of({"account": account, "event": type(event).__name__, "data": encoded(event), **more})


class _Ring:
    """Numbered files that together stay below a limit. Blocks."""

    def __init__(self, directory: Path, limit_bytes: int) -> None:
        self._directory = directory
        self._limit_bytes = limit_bytes
        self._segment_bytes = max(limit_bytes // SEGMENTS, 1)

    def write(self, lines: Iterator[str]) -> None:
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            files = sorted(self._directory.glob("*.jsonl"))
            current = files[-1] if files else self._directory / _name(1)
            if current.exists() and current.stat().st_size >= self._segment_bytes:
                current = self._directory / _name(int(current.stem) + 1)
            with current.open("a", encoding="ascii") as out:
                out.writelines(f"{line}\n" for line in lines)
            self._drop_oldest()
        except OSError as error:
            raise JournalError(f"{self._directory}: {error}; the tape has a gap") from error

    def _drop_oldest(self) -> None:
        files = sorted(self._directory.glob("*.jsonl"))
        size = sum(file.stat().st_size for file in files)
        for file in files[:-1]:
            if size <= self._limit_bytes:
                return
            size -= file.stat().st_size
            file.unlink()


def _name(number: int) -> str:
    return f"{number:09d}.jsonl"
