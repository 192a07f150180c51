"""The lasting journal: durable before it returns, one sync for many, one writer, honest when the disk isn't."""

import asyncio
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import pytest

from guardd.clock import SystemClock
from guardd.errors import JournalError
from guardd.journal.ahead import BYTES
from guardd.journal.ahead import FILE_NAME as AHEAD
from guardd.journal.reading import JournalReader
from guardd.journal.sqlite import FILE_NAME, SqliteJournal
from guardd.journal.store import open_store
from guardd.journal.worker import InlineWorker, ThreadWorker
from guardd.model.facts import Fact, JournalWritten, Said
from guardd.model.intent import Intent, Stage
from guardd.model.names import Severity
from tests.journal.making import MAIN, at, episode, intent, moved

REPOSITORY = Path(__file__).resolve().parents[2]


class HeldWorker:
    """Does its work only when told: for looking at what happens meanwhile."""

    def __init__(self) -> None:
        self.held: list[tuple[Callable[[], object], Future]] = []

    def submit(self, work: Callable[[], object], /) -> Future:
        self.held.append((work, Future()))
        return self.held[-1][1]

    def stop(self) -> None:
        pass

    def do_all(self) -> None:
        while self.held:
            work, future = self.held.pop(0)
            try:
                future.set_result(work())
            except JournalError as error:
                future.set_exception(error)


async def durable(journal: SqliteJournal, meant: Intent) -> None:
    await journal.intend(meant)


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def opened(folder: Path, facts: list[Fact] | None = None, worker: object = None) -> SqliteJournal:
    listen = facts.append if facts is not None else lambda _: None
    return SqliteJournal.open(folder, now=SystemClock().now, listen=listen, worker=worker)


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SqliteJournal]:
    made = opened(tmp_path)
    yield made
    await made.close()


def writes(facts: list[Fact]) -> list[int]:
    return [fact.records for fact in facts if isinstance(fact, JournalWritten)]


async def test_I20_an_intent_is_in_the_file_when_intend_returns(tmp_path: Path, journal: SqliteJournal) -> None:
    await journal.intend(intent())
    shutil.copytree(tmp_path, tmp_path / "crashed", ignore=shutil.ignore_patterns("*.lock"))
    after = opened(tmp_path / "crashed")
    assert [known.stage for known in (await after.recall(MAIN)).unfinished] == [Stage.JOURNALLED]
    await after.close()
    await journal.flush()
    with sqlite3.connect(tmp_path / FILE_NAME) as other:
        assert other.execute("SELECT stage FROM intent").fetchall() == [("journalled",)]
    other.close()


async def test_I20_each_commit_is_synced(tmp_path: Path, journal: SqliteJournal) -> None:
    pragmas = {
        name: journal._store._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")
    }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2}


async def test_I20_intents_of_one_turn_share_one_sync(tmp_path: Path) -> None:
    facts: list[Fact] = []
    journal = opened(tmp_path, facts)
    await asyncio.gather(*(journal.intend(intent(step)) for step in range(40)))
    assert writes(facts) == [40]
    await journal.close()


async def test_I20_intents_that_come_while_a_sync_runs_share_the_next_one(tmp_path: Path) -> None:
    facts: list[Fact] = []
    worker = HeldWorker()
    journal = opened(tmp_path, facts, worker)
    async with asyncio.TaskGroup() as group:
        group.create_task(durable(journal, intent(0)))
        await turns()
        assert len(worker.held) == 1
        later = [group.create_task(durable(journal, intent(step))) for step in (1, 2, 3)]
        await turns()
        assert len(worker.held) == 1
        worker.do_all()
        await turns()
        assert not any(task.done() for task in later)
        worker.do_all()
    assert writes(facts) == [1, 3]


async def test_I20_intend_returns_only_after_the_worker_is_done(tmp_path: Path) -> None:
    worker = HeldWorker()
    journal = opened(tmp_path, worker=worker)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(durable(journal, intent()))
        await turns(50)
        assert not task.done()
        worker.do_all()


async def test_the_loop_turns_while_the_journal_writes(tmp_path: Path) -> None:
    gate, entered = threading.Event(), threading.Event()

    class SlowWorker:
        """A disk that takes its time."""

        def __init__(self) -> None:
            self._inner = ThreadWorker()

        def submit(self, work: Callable[[], object], /) -> Future:
            def slowly() -> object:
                entered.set()
                gate.wait(5)
                return work()

            return self._inner.submit(slowly)

        def stop(self) -> None:
            self._inner.stop()

    journal = opened(tmp_path, worker=SlowWorker())
    async with asyncio.TaskGroup() as group:
        task = group.create_task(durable(journal, intent()))
        await asyncio.to_thread(entered.wait, 5)
        await turns(100)
        assert not task.done()
        gate.set()
    await journal.close()


async def test_a_waiter_that_was_cancelled_harms_nobody_and_its_intent_is_unfinished(tmp_path: Path) -> None:
    worker = HeldWorker()
    journal = opened(tmp_path, worker=worker)
    impatient = asyncio.ensure_future(journal.intend(intent(0)))
    patient = asyncio.ensure_future(journal.intend(intent(1)))
    await turns()
    impatient.cancel()
    await turns()
    worker.do_all()
    await patient
    recalled = asyncio.ensure_future(journal.recall(MAIN))
    while not recalled.done():
        worker.do_all()
        await asyncio.sleep(0)
    assert sorted(known.intent.step for known in recalled.result().unfinished) == [0, 1]
    assert impatient.cancelled()


async def test_one_refused_intent_costs_the_others_of_its_batch_nothing(tmp_path: Path, journal: SqliteJournal) -> None:
    await journal.intend(intent(0))
    results = await asyncio.gather(
        journal.intend(intent(1)), journal.intend(intent(0)), journal.intend(intent(2)), return_exceptions=True
    )
    assert [type(result) for result in results] == [type(None), JournalError, type(None)]
    memory = await journal.recall(MAIN)
    assert sorted(known.intent.step for known in memory.unfinished) == [0, 1, 2]


async def test_I14_a_data_directory_has_one_writer(tmp_path: Path, journal: SqliteJournal) -> None:
    with pytest.raises(JournalError, match=r"another guardd holds guardd\.lock"):
        opened(tmp_path)


async def test_I14_another_process_is_refused_too(tmp_path: Path, journal: SqliteJournal) -> None:
    done = await asyncio.to_thread(run, OPENER, tmp_path)
    assert "another guardd holds guardd.lock" in done.stderr
    assert done.returncode != 0


def run(program: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, timeout=30)


OPENER = """
import sys
from pathlib import Path
from guardd.clock import SystemClock
from guardd.journal.sqlite import SqliteJournal
SqliteJournal.open(Path(sys.argv[1]), now=SystemClock().now, listen=print)
"""


async def test_the_directory_is_free_after_close_and_after_a_failed_open(tmp_path: Path) -> None:
    await opened(tmp_path).close()
    (tmp_path / FILE_NAME).write_bytes(b"this is no database, whatever its name says" * 50)
    for _ in range(2):
        with pytest.raises(JournalError, match=r"journal\.sqlite: file is not a database"):
            opened(tmp_path)


async def test_the_directory_is_free_after_a_close_that_the_disk_refuses(tmp_path: Path) -> None:
    worker = HeldWorker()
    journal = opened(tmp_path, worker=worker)
    closing = asyncio.create_task(journal.close())
    for _ in range(2):  # the last notes, then the file itself
        await turns()
        worker.held.pop()[1].set_exception(JournalError("database or disk is full"))
    with pytest.raises(JournalError, match="disk is full"):
        await closing
    journal._store.close()
    await opened(tmp_path).close()


def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="expected a directory that guardd may write to"):
        opened(tmp_path / "file" / "data")


async def test_a_journal_of_a_newer_guardd_is_left_alone(tmp_path: Path) -> None:
    await opened(tmp_path).close()
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(JournalError, match="written by a newer guardd"):
        opened(tmp_path)
    with pytest.raises(JournalError, match="its form is 99"):
        JournalReader.open(tmp_path)


CRASHER = textwrap.dedent(
    """
    import asyncio, os, signal, sys
    from pathlib import Path
    from guardd.clock import SystemClock
    from guardd.journal.sqlite import SqliteJournal
    from tests.journal.making import intent

    async def main():
        journal = SqliteJournal.open(Path(sys.argv[1]), now=SystemClock().now, listen=lambda fact: None)
        for step in range(int(sys.argv[2])):
            await journal.intend(intent(step))
            print(step, flush=True)
        waiting = [asyncio.ensure_future(journal.intend(intent(1000 + step))) for step in range(5)]
        await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGKILL)

    asyncio.run(main())
    """
)


async def test_I08_what_was_promised_before_a_kill_is_there_after_it(tmp_path: Path) -> None:
    done = await asyncio.to_thread(run, CRASHER, tmp_path, "7")
    assert done.returncode == -signal.SIGKILL
    assert done.stdout.split() == [str(step) for step in range(7)]
    journal = opened(tmp_path)
    memory = await journal.recall(MAIN)
    await journal.close()
    assert {known.intent.step for known in memory.unfinished} >= set(range(7))
    with JournalReader.open(tmp_path) as reader:
        assert [verdict.problem for verdict in reader.verify()] == [None]


# A disk that takes nothing


@contextmanager
def full_disk(folder: Path) -> Iterator[None]:
    """No file may grow beyond what the journal has now: writes fail as on a full disk."""
    sizes = [file.stat().st_size for file in folder.iterdir() if file.name != AHEAD]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (max(sizes), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_I20_on_a_full_disk_an_intent_is_refused_and_people_are_told_once(tmp_path: Path) -> None:
    facts: list[Fact] = []
    journal = opened(tmp_path, facts)
    await journal.intend(intent(0))
    facts.clear()
    with full_disk(tmp_path):
        await journal.intend(intent(3))  # the log ahead has its room, and nobody knew yet
        with pytest.raises(JournalError):
            await journal.flush()
        for step in (1, 2):
            with pytest.raises(JournalError, match=r"journal\.sqlite: .*nothing is sent that the journal doesn't hold"):
                await journal.intend(intent(step))
        assert journal.failing is not None
    told = [fact for fact in facts if isinstance(fact, Said)]
    assert [(said.severity, said.edge) for said in told] == [(Severity.CRITICAL, "journal")]
    await journal.intend(intent(2))
    told = [fact for fact in facts if isinstance(fact, Said)]
    assert [said.severity for said in told] == [Severity.CRITICAL, Severity.WARNING]
    assert journal.failing is None
    assert {known.intent.step for known in (await journal.recall(MAIN)).unfinished} == {0, 2, 3}
    await journal.close()
    with JournalReader.open(tmp_path) as reader:
        assert [verdict.problem for verdict in reader.verify()] == [None]


async def test_I20_an_intent_that_only_the_log_ahead_holds_survives_a_crash_and_is_entered_once(tmp_path: Path) -> None:
    worker, disk = HeldWorker(), InlineWorker()
    journal = opened(tmp_path, worker=worker)
    journal._first_worker = disk
    for step in range(3):
        await journal.intend(intent(step))
    await turns()
    assert worker.held, "the file's own write hasn't begun"
    for life in range(2):
        shutil.copytree(tmp_path, tmp_path / f"{life}", ignore=shutil.ignore_patterns("*.lock", "0", "1"))
        after = opened(tmp_path / f"{life}")
        assert sorted(known.intent.step for known in (await after.recall(MAIN)).unfinished) == [0, 1, 2]
        await after.close()
        with JournalReader.open(tmp_path / f"{life}") as reader:
            assert [record.kind for record in reader.list()] == ["intent"] * 3
        worker.do_all()  # the second crash comes when the file has them, too
        await turns()


async def test_I20_without_room_in_the_log_ahead_an_intent_waits_for_the_file(tmp_path: Path) -> None:
    facts: list[Fact] = []
    journal = opened(tmp_path, facts)
    journal._ahead._at = BYTES
    await journal.intend(intent(0))
    with sqlite3.connect(tmp_path / FILE_NAME) as other:
        assert other.execute("SELECT stage FROM intent").fetchall() == [("journalled",)]
    other.close()
    assert writes(facts) == [1]
    await journal.close()


async def test_I20_a_log_ahead_that_cannot_be_written_is_told_and_intents_wait_for_the_file(tmp_path: Path) -> None:
    facts: list[Fact] = []
    journal = opened(tmp_path, facts)
    os.close(journal._ahead._descriptor)
    journal._ahead._descriptor = os.open("/dev/full", os.O_RDWR)
    await journal.intend(intent(0))
    await journal.intend(intent(1))
    assert [(fact.severity, fact.text.split(":")[0]) for fact in facts if isinstance(fact, Said)] == [
        (Severity.WARNING, AHEAD)
    ]
    assert len((await journal.recall(MAIN)).unfinished) == 2
    await journal.close()


async def test_notes_that_a_full_disk_refused_are_written_when_it_takes_them_again(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    await journal.intend(intent(0))
    with full_disk(tmp_path):
        journal.note(moved(intent(0), Stage.SENT, 1))
        journal.note_episode(episode(), ended=False, at=at(1))
        with pytest.raises(JournalError):
            await journal.flush()
        journal.note(moved(intent(0), Stage.ACCEPTED, 2, order_id="5"))
        await asyncio.sleep(0.05)
    await journal.flush()
    memory = await journal.recall(MAIN)
    assert [known.stage for known in memory.unfinished] == [Stage.ACCEPTED]
    assert memory.episodes == (episode(),)
    with JournalReader.open(tmp_path) as reader:
        kinds = [record.body.get("stage", record.kind) for record in reader.list()]
    assert kinds == ["intent", "sent", "episode", "accepted"]
    await journal.close()


async def test_closing_on_a_full_disk_says_so_and_frees_the_directory(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    await journal.intend(intent(0))
    with full_disk(tmp_path):
        journal.note(moved(intent(0), Stage.SENT, 1))
        with pytest.raises(JournalError):
            await journal.close()
    await opened(tmp_path).close()


@pytest.mark.parametrize("worker", [ThreadWorker, InlineWorker])
async def test_a_value_that_has_no_form_fails_its_own_batch_and_not_the_journal(
    tmp_path: Path, worker: Callable[[], object]
) -> None:
    facts: list[Fact] = []
    journal = opened(tmp_path, facts, worker())
    journal.note_word(MAIN, "halt", object(), at())
    with pytest.raises(TypeError, match="not JSON serializable"):
        await journal.flush()
    await journal.intend(intent(0))
    assert [fact.severity for fact in facts if isinstance(fact, Said)] == [Severity.CRITICAL, Severity.WARNING]
    await journal.close()


async def test_the_write_ahead_log_is_folded_in_between_commits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = opened(tmp_path, worker=InlineWorker())
    journal._store._since_checkpoint = 999
    before = (tmp_path / FILE_NAME).stat().st_size
    await journal.intend(intent(0))
    await turns()
    assert (tmp_path / FILE_NAME).stat().st_size > before
    await journal.close()


async def test_facts_tell_how_long_a_write_took(tmp_path: Path) -> None:
    facts: list[Fact] = []
    journal = opened(tmp_path, facts)
    await journal.intend(intent(0))
    (written,) = [fact for fact in facts if isinstance(fact, JournalWritten)]
    assert 0 < written.seconds < 5
    await journal.close()


def test_the_directory_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    journal = opened(tmp_path / "deep" / "data")
    assert (tmp_path / "deep" / "data").stat().st_mode & 0o077 == 0
    asyncio.run(journal.close())
    assert os.listdir(tmp_path / "deep") == ["data"]


@pytest.mark.parametrize(("sync", "level"), [(True, 2), (False, 0)])
def test_I20_every_commit_is_synced_unless_a_measurement_leaves_it_out(tmp_path: Path, sync: bool, level: int) -> None:
    store = open_store(tmp_path / FILE_NAME, sync=sync)
    try:
        assert store._db.execute("PRAGMA synchronous").fetchone()[0] == level
    finally:
        store.close()
