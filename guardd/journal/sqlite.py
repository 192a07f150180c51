"""The journal that lasts: SQLite behind a worker, never on the loop that reads ticks.

An intent is durable in two steps: first in the log ahead, whose sync an order waits for, then in the journal's own file. One sync
serves every intent asked for in one turn of the loop, and every one that arrived while the sync before was running: a batch is
handed to the worker at the end of the turn, and the next one when it comes back. Notes ride along with the second step.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from filelock import FileLock, Timeout
from msgspec import Struct

from guardd.errors import JournalError
from guardd.journal.ahead import FILE_NAME as AHEAD
from guardd.journal.ahead import AheadLog
from guardd.journal.base import Memory
from guardd.journal.canonical import compact, of_compact
from guardd.journal.entry import Entry, EpisodeNoted, FillNoted, HighWaterNoted, Meant, Moved, RuleNoted, WordNoted
from guardd.journal.store import Store, open_store, understood
from guardd.journal.worker import ThreadWorker, Worker
from guardd.model.event import IntentMoved
from guardd.model.facts import JournalWritten, Listener, Said
from guardd.model.fill import Fill
from guardd.model.highwater import HighWater
from guardd.model.instant import NS_PER_S, Instant
from guardd.model.intent import Intent
from guardd.model.names import AccountName, EpisodeId, PositionKey, RuleName, Severity
from guardd.model.position import Episode

FILE_NAME: Final = "journal.sqlite"
LOCK_NAME: Final = "guardd.lock"
NOTES_MAX: Final = 20_000
"""Notes kept in memory while the disk takes none: an hour of a busy guard. The oldest goes first, and is counted."""
EDGE: Final = "journal"


@dataclass(slots=True, eq=False, kw_only=True)
class _Asked:
    """An entry on its way, and who waits for it. Without an entry it only waits for all before it."""

    entry: Entry | None
    waiter: asyncio.Future[None] | None
    first: bool = False
    """It goes into the log ahead first; everything else that is waited for goes into the file at once."""
    ahead: bool = False
    entered: bool = False


class _Written(Struct, frozen=True, kw_only=True):
    refusals: tuple[JournalError | None, ...]
    seconds: float


class SqliteJournal:
    """The `Journal` of a data directory, and its only writer (I14)."""

    def __init__(
        self,
        *,
        store: Store,
        ahead: AheadLog | None,
        lock: FileLock | None,
        worker: Worker,
        first_worker: Worker,
        now: Callable[[], Instant],
        listen: Listener,
    ) -> None:
        self._store = store
        self._ahead = ahead
        self._lock = lock
        self._worker = worker
        self._first_worker = first_worker
        self._known = store.ids()
        """An intent that is meant again under its id is judged by the file."""
        self._now = now
        self._listen = listen
        self._queue: list[_Asked] = []
        self._scheduled = False
        self._writing = False
        self._going_ahead = False
        self._ahead_usable = ahead is not None
        self._ahead_used = False
        self._only_ahead = 0
        """Intents that are durable in the log ahead and not in the file yet."""
        self._failing: str | None = None
        self._dropped = 0
        self._closed = False

    @classmethod
    def open(
        cls,
        data_dir: Path,
        *,
        now: Callable[[], Instant],
        listen: Listener,
        worker: Worker | None = None,
        sync: bool = True,
    ) -> Self:
        """Take the data directory (made if missing) and open its journal. Blocks; call it before the loop is busy.

        `sync` False is for measurements alone: `intend` then returns before the intent is on the disk.

        Raises `JournalError` when another process holds the directory, or the file can't be read or made durable.
        """
        lock = _take(data_dir)
        try:
            store = open_store(data_dir / FILE_NAME, sync=sync)
            ahead = AheadLog.open(data_dir / AHEAD, sync=sync)
            if ahead is not None:
                _take_over(ahead, store, data_dir / AHEAD)
        except JournalError:
            lock.release()
            raise
        first_worker = worker or ThreadWorker("journal-ahead")
        worker = worker or ThreadWorker()
        return cls(
            store=store, ahead=ahead, lock=lock, worker=worker, first_worker=first_worker, now=now, listen=listen
        )

    @property
    def failing(self) -> str | None:
        """Why nothing can be made durable at present; None when all is well."""
        return self._failing

    def intend(self, intent: Intent) -> asyncio.Future[None]:
        """Done once the intent is on disk (I20). Holds a `JournalError` when it isn't: then nothing may be sent."""
        return self._ask(Meant(intent=intent))

    def note(self, moved: IntentMoved) -> None:
        self._note(Moved(moved=moved))

    def note_episode(self, episode: Episode, *, ended: bool, at: Instant) -> None:
        self._note(EpisodeNoted(episode=episode, ended=ended, at=at))

    def note_word(self, account: AccountName, word: str, why: str, at: Instant) -> None:
        self._note(WordNoted(account=account, word=word, why=why, at=at))

    def note_rule(self, key: PositionKey, episode: EpisodeId, rule: RuleName, text: str, at: Instant) -> None:
        self._note(RuleNoted(key=key, episode=episode, rule=rule, text=text, at=at))

    def note_high_water(self, account: AccountName, water: HighWater, at: Instant) -> None:
        self._note(HighWaterNoted(account=account, water=water, at=at))

    def note_fill(self, fill: Fill, at: Instant) -> None:
        self._note(FillNoted(fill=fill, at=at))

    async def flush(self) -> None:
        """Everything noted so far is durable when this returns. Raises `JournalError` when it can't be made so."""
        await self._ask(None)

    async def recall(self, account: AccountName) -> Memory:
        await self.flush()
        now_ms = self._now().wall_ms
        return await asyncio.wrap_future(self._worker.submit(lambda: self._store.recall(account, now_ms)))

    async def prune(self, *, older_than_s: float) -> int:
        """Cut off records older than that (never the last 24 hours, nor what a restart needs); the number cut."""
        await self.flush()
        now = self._now()
        before_ms = now.wall_ms - int(older_than_s * 1000)
        total = 0
        while cut := await asyncio.wrap_future(self._worker.submit(lambda: self._store.prune(before_ms, now))):
            total += cut  # piece by piece: an intent may go between two
        return total

    async def close(self) -> None:
        """Everything noted so far is durable when this returns; the data directory is free for another process.

        Raises `JournalError` when the last notes could not be made durable; the directory is free even then.
        """
        if self._closed:
            return
        try:
            await self.flush()
            while self._queue or self._writing:  # noted while the flush came back
                await self.flush()
        finally:
            self._closed = True
            try:
                await asyncio.wrap_future(self._worker.submit(self._store.close))
                if self._ahead is not None:
                    await asyncio.wrap_future(self._first_worker.submit(self._ahead.close))
            finally:  # a full disk may refuse that too; the next process must not be refused for it
                self._first_worker.stop()
                self._worker.stop()
                if self._lock is not None:
                    self._lock.release()

    def _note(self, entry: Entry) -> None:
        self._put(_Asked(entry=entry, waiter=None))

    def _ask(self, entry: Entry | None) -> asyncio.Future[None]:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            self._put(_Asked(entry=entry, waiter=waiter))
        except JournalError as error:
            waiter.set_exception(error)
        return waiter

    def _put(self, asked: _Asked) -> None:
        if self._closed:
            raise JournalError("the journal is closed; nothing can be noted any more")
        if isinstance(asked.entry, Meant):
            intent_id = asked.entry.intent.id
            asked.first = self._ahead_usable and self._failing is None and intent_id not in self._known
            self._known.add(intent_id)
        self._queue.append(asked)
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._hand_over)

    def _hand_over(self) -> None:
        """At the end of a turn, and when a worker comes back: orders go first, and the file's own write waits until they left."""
        self._scheduled = False
        if not self._going_ahead:
            first = [asked for asked in self._queue if asked.first and not asked.ahead]
            if first:
                self._go_ahead(first)
        waited_for = any(asked.waiter is not None and not asked.first for asked in self._queue)
        if self._queue and not self._writing and (waited_for or not self._going_ahead):
            self._write()

    def _go_ahead(self, batch: list[_Asked]) -> None:
        self._going_ahead = True
        loop = asyncio.get_running_loop()
        intents = [asked.entry.intent for asked in batch if isinstance(asked.entry, Meant)]
        written = self._first_worker.submit(lambda: self._append_ahead(intents))
        written.add_done_callback(lambda done: loop.call_soon_threadsafe(self._went_ahead, batch, done))

    def _append_ahead(self, intents: Sequence[Intent]) -> float | None:
        """Seconds that it took; None when there was no room."""
        began = self._now().mono_ns
        texts = [compact(intent) for intent in intents]
        if self._ahead is None or not self._ahead.append(texts):
            return None
        return (self._now().mono_ns - began) / NS_PER_S

    def _went_ahead(self, batch: list[_Asked], done: "Future[float | None]") -> None:
        """Where it failed, the file's own write says what is the matter."""
        self._going_ahead = False
        error = done.exception()
        seconds = None if error is not None else done.result()
        if isinstance(error, OSError) and self._ahead_usable:
            self._ahead_usable = False
            self._say(Severity.WARNING, f"{AHEAD}: {error}; each order waits for {FILE_NAME} itself")
        for asked in batch:
            asked.first = asked.ahead = seconds is not None
            if asked.ahead and not asked.entered:
                self._only_ahead += 1
                _answer(asked.waiter, None)
                asked.waiter = None
        if seconds is not None:
            self._ahead_used = True
            self._listen(JournalWritten(seconds=seconds, records=len(batch)))
        self._clear_ahead()
        if self._queue and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._hand_over)  # after those who were waiting

    def _clear_ahead(self) -> None:
        if self._ahead is not None and self._ahead_used and not self._only_ahead and not self._going_ahead:
            self._ahead_used = False
            self._first_worker.submit(self._ahead.clear)

    def _write(self) -> None:
        self._writing = True
        batch, self._queue = self._queue, []
        loop = asyncio.get_running_loop()
        entries = [asked.entry for asked in batch if asked.entry is not None]
        written = self._worker.submit(lambda: self._append(entries))
        written.add_done_callback(lambda done: loop.call_soon_threadsafe(self._came_back, batch, done))

    def _append(self, entries: Sequence[Entry]) -> _Written:
        began = self._now().mono_ns
        refusals = self._store.append(entries) if entries else ()
        return _Written(refusals=refusals, seconds=(self._now().mono_ns - began) / NS_PER_S)

    def _came_back(self, batch: list[_Asked], done: "Future[_Written]") -> None:
        self._writing = False
        error = done.exception()
        if error is None:
            self._settle(batch, done.result())
        else:
            self._keep(batch, error)
        if any(asked.waiter is not None or error is None for asked in self._queue):
            self._hand_over()
        elif error is None:
            self._clear_ahead()
            self._worker.submit(self._store.checkpoint_if_due)

    def _settle(self, batch: list[_Asked], written: _Written) -> None:
        refusals = iter(written.refusals)
        for asked in batch:
            refusal = next(refusals) if asked.entry is not None else None
            asked.entered = True
            self._only_ahead -= asked.ahead
            _answer(asked.waiter, refusal)
        if written.refusals:
            self._listen(JournalWritten(seconds=written.seconds, records=len(written.refusals)))
            self._recovered()

    def _keep(self, batch: list[_Asked], error: BaseException) -> None:
        """Who waits is told no; what nobody waits for is tried again with the next batch, before it."""
        for asked in batch:
            _answer(asked.waiter, error)
        kept = [asked for asked in batch if asked.entry is not None and asked.waiter is None]
        for asked in batch:
            asked.entered = (
                asked.waiter is not None
            )  # who was told no stays out, though the log ahead may take it still
        if isinstance(error, JournalError):
            self._queue = kept + self._queue
        else:  # a value that has no form: it would spoil every batch after this one too
            self._dropped += len(kept)
            self._only_ahead -= sum(asked.ahead for asked in kept)
        self._drop_beyond_limit()
        if self._failing is None:
            self._say(Severity.CRITICAL, f"the journal can't be written, so no order is sent: {error}")
        self._failing = str(error)

    def _drop_beyond_limit(self) -> None:
        notes = [asked for asked in self._queue if asked.waiter is None and not asked.ahead]
        for asked in notes[: max(len(notes) - NOTES_MAX, 0)]:
            self._queue.remove(asked)
            self._dropped += 1

    def _recovered(self) -> None:
        if self._failing is not None:
            lost = f"; {self._dropped} notes are lost" if self._dropped else ""
            self._failing, self._dropped = None, 0
            self._say(Severity.WARNING, f"the journal can be written again{lost}")

    def _say(self, severity: Severity, text: str) -> None:
        self._listen(Said(account=None, severity=severity, edge=EDGE, text=text, at=self._now()))


def _answer(waiter: asyncio.Future[None] | None, error: BaseException | None) -> None:
    if waiter is None or waiter.done():
        return
    if error is None:
        waiter.set_result(None)
    else:
        waiter.set_exception(error)


def _take_over(ahead: AheadLog, store: Store, file: Path) -> None:
    """What the last run was sending when it ended, into the journal's own file. Raises `JournalError`."""
    left, known = ahead.read(), store.ids()
    with understood(file):
        intents = [of_compact(text) for text in left]
    missing = [Meant(intent=intent) for intent in intents if intent.id not in known]
    if missing:
        store.append(missing)
    ahead.clear()


def _take(data_dir: Path) -> FileLock:
    """Hold the data directory, or say who does."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = FileLock(data_dir / LOCK_NAME, blocking=False, thread_local=False)
        lock.acquire()
    except Timeout:
        raise JournalError(
            f"{data_dir}: another guardd holds {LOCK_NAME}; one process at a time guards with a data directory (I14). "
            "Stop it, or give this one another data_dir"
        ) from None
    except OSError as error:
        raise JournalError(f"{data_dir}: {error}; expected a directory that guardd may write to") from None
    return lock
