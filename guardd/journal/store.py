"""The journal's file: SQLite with a hash chain for each account. Everything here blocks and runs on the worker's thread.

`record` is the chain and the truth about the past; the other tables are what a restart needs, written in the same transaction.
A transaction is durable when it returns: WAL with synchronous=FULL syncs each commit.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Final, TypeAlias, assert_never

from guardd.errors import GuarddError, JournalError
from guardd.journal.base import Memory, Remembered
from guardd.journal.canonical import decoded, decoded_outcome, encoded, text_of
from guardd.journal.entry import (
    MEANT_AGAIN,
    Entry,
    EpisodeNoted,
    FillNoted,
    HighWaterNoted,
    Line,
    Meant,
    Moved,
    PruneNoted,
    RuleNoted,
    WordNoted,
    after_word,
    already_journalled,
    line_of,
    makes_order,
    order_id_of,
)
from guardd.journal.recollection import REMEMBERED_MS, memory_of
from guardd.journal.statements import migrations, statements
from guardd.model.highwater import HighWater
from guardd.model.instant import Instant
from guardd.model.intent import FINISHED, Intent, Stage
from guardd.model.names import AccountName, ClientId, OrderId
from guardd.model.outcome import Outcome
from guardd.model.position import Episode

GENESIS: Final = "0" * 64
"""Stands where the hash before the first record would be."""
BUSY_S: Final = 5.0
"""How long a writer waits for another connection's lock (a reader's checkpoint) before it gives up."""
RECORDS_PER_CHECKPOINT: Final = 1_000
RECORDS_PER_CUT: Final = 2_000
_FINISHED: Final = json.dumps(sorted(FINISHED))
Row: TypeAlias = Mapping[str, object]


class Store:
    """One connection that may write. `open_store` makes it; nobody else writes to the same file."""

    def __init__(self, connection: sqlite3.Connection, file: Path) -> None:
        self._db = connection
        self._file = file
        self._heads: dict[AccountName, tuple[int, str]] = {}
        self._since_checkpoint = 0

    def append(self, entries: Sequence[Entry]) -> tuple[JournalError | None, ...]:
        """Write all entries in one transaction; durable when this returns.

        The result has an error for each entry that was refused by itself (an intent that stands already); such a one leaves no
        trace and costs the others nothing. Raises `JournalError` when nothing could be made durable.
        """
        heads = dict(self._heads)
        with self._transaction():
            refusals = tuple(self._write(entry, heads) for entry in entries)
        self._heads = heads
        self._since_checkpoint += len(entries)
        return refusals

    def checkpoint_if_due(self) -> None:
        """Move the write-ahead log into the file, between commits rather than inside one that an order waits for."""
        if self._since_checkpoint >= RECORDS_PER_CHECKPOINT:
            self._since_checkpoint = 0
            with told_as_journal_error(self._file):
                self._db.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def recall(self, account: AccountName, now_ms: int) -> Memory:
        """What is known of one account. Raises `JournalError` for a record that can't be understood."""
        with told_as_journal_error(self._file):
            intents = self._all(
                "recall", "intents", account=account, since_ms=now_ms - REMEMBERED_MS, finished=_FINISHED
            )
            client_ids = self._all("recall", "client_ids", account=account)
            episodes = self._all("recall", "episodes", account=account)
            orders = self._all("recall", "own_orders", account=account)
            waters = self._all("recall", "high_waters", account=account)
            halted, parked = self._standing(account)
        with understood(self._file):
            return memory_of(
                [_remembered(row) for row in intents],
                episodes=[decoded(Episode, json.loads(str(row["text"]))) for row in episodes],
                order_ids=[OrderId(str(row["order_id"])) for row in orders],
                client_ids=[ClientId(str(row["id"])) for row in client_ids],
                halted=halted,
                parked=parked,
                now_ms=now_ms,
                high_waters=[decoded(HighWater, json.loads(str(row["text"]))) for row in waters],
            )

    def ids(self) -> set[ClientId]:
        """Every intent that stands in the file."""
        with told_as_journal_error(self._file):
            return {ClientId(str(row["id"])) for row in self._all("recall", "ids")}

    def prune(self, before_ms: int, now: Instant) -> int:
        """Cut off some records older than `before_ms`; the number cut, 0 when none is left to cut.

        What a restart needs stays, and so do the last 24 hours. At most `RECORDS_PER_CUT` of an account go at once.
        """
        before_ms = min(before_ms, now.wall_ms - REMEMBERED_MS)
        heads = dict(self._heads)
        with self._transaction():
            accounts = [AccountName(str(row["account"])) for row in self._all("read", "accounts")]
            cut = sum(self._prune_account(account, before_ms, now, heads) for account in accounts)
        self._heads = heads
        return cut

    def close(self) -> None:
        with told_as_journal_error(self._file):
            self._db.close()

    def _prune_account(
        self, account: AccountName, before_ms: int, now: Instant, heads: dict[AccountName, tuple[int, str]]
    ) -> int:
        cut = self._one("prune", "cut", account=account, before_ms=before_ms, limit=RECORDS_PER_CUT)
        self._run("prune", "intents", account=account, before_ms=before_ms, finished=_FINISHED)
        self._run("prune", "own_orders", account=account, before_ms=before_ms)
        self._run("prune", "episodes", account=account, before_ms=before_ms)
        if cut is None:
            return 0
        seq, hash_ = _whole(cut["seq"]), str(cut["hash"])
        self._write(PruneNoted(account=account, seq=seq, hash=hash_, at=now), heads)
        self._run("prune", "move_anchor", account=account, seq=seq, hash=hash_)
        return self._run("prune", "records", account=account, seq=seq)

    def _write(self, entry: Entry, heads: dict[AccountName, tuple[int, str]]) -> JournalError | None:
        if isinstance(entry, Meant) and (refusal := self._stands_already(entry.intent)) is not None:
            return refusal
        line = line_of(entry)
        seq, previous = heads.get(line.account) or self._head(line.account)
        seq += 1
        text = text_of(
            {
                "account": line.account,
                "seq": seq,
                "at_ms": line.at_ms,
                "kind": line.kind.value,
                "subject": line.subject,
                "body": dict(line.body),
            }
        )
        hash_ = link(previous, text)
        self._run(
            "append",
            "record",
            account=line.account,
            seq=seq,
            at_ms=line.at_ms,
            kind=line.kind.value,
            subject=line.subject,
            text=text,
            hash=hash_,
        )
        heads[line.account] = (seq, hash_)
        self._remember(entry, line)
        return None

    def _stands_already(self, intent: Intent) -> JournalError | None:
        row = self._one("append", "stage_of", id=intent.id)
        stage = Stage(str(row["stage"])) if row is not None else Stage.VOID
        return None if stage in MEANT_AGAIN else JournalError(already_journalled(intent.id, stage))

    def _head(self, account: AccountName) -> tuple[int, str]:
        row = self._one("append", "head", account=account) or self._one("append", "anchor", account=account)
        return (_whole(row["seq"]), str(row["hash"])) if row is not None else (0, GENESIS)

    def _remember(self, entry: Entry, line: Line) -> None:
        match entry:
            case Meant(intent=intent):
                self._keep_intent(intent, Stage.JOURNALLED, line)
            case Moved():
                self._remember_move(entry, line)
            case EpisodeNoted(episode=episode, ended=ended, at=at):
                self._run(
                    "append",
                    "episode",
                    account=episode.key.account,
                    id=episode.id,
                    ended=int(ended),
                    at_ms=at.wall_ms,
                    text=text_of(encoded(episode)),
                )
            case WordNoted(account=account, word=word, why=why):
                before, parked_before = self._standing(account)
                halted, parked = after_word(word, why, halted=before, parked=parked_before)
                self._run("append", "standing", account=account, halted=int(halted), parked=parked)
            case HighWaterNoted(account=account, water=water):
                text = text_of(encoded(water))
                self._run("append", "high_water", account=account, currency=water.currency, text=text)
            case RuleNoted() | FillNoted() | PruneNoted():
                pass
            case _:
                assert_never(entry)

    def _remember_move(self, entry: Moved, line: Line) -> None:
        moved, intent = entry.moved, entry.moved.intent
        if moved.stage is Stage.REFUSED:
            self._keep_intent(intent, Stage.REFUSED, line)
            return
        order_id = order_id_of(moved)
        self._run(
            "append",
            "move",
            id=intent.id,
            stage=moved.stage.value,
            outcome=text_of(encoded(moved.outcome)) if moved.outcome is not None else None,
            order_id=order_id,
            filled=encoded(moved.filled),
            at_ms=moved.at.wall_ms,
        )
        if order_id is not None and makes_order(intent):
            self._run(
                "append",
                "own_order",
                account=intent.account,
                order_id=order_id,
                episode=intent.episode,
                at_ms=moved.at.wall_ms,
            )

    def _keep_intent(self, intent: Intent, stage: Stage, line: Line) -> None:
        self._run(
            "append",
            "intent",
            id=intent.id,
            account=intent.account,
            episode=intent.episode,
            rule=intent.rule,
            step=intent.step,
            stage=stage.value,
            at_ms=line.at_ms,
            text=text_of(line.body["intent"]),
        )

    def _standing(self, account: AccountName) -> tuple[bool, str | None]:
        row = self._one("append", "standing_of", account=account)
        if row is None:
            return False, None
        return bool(row["halted"]), str(row["parked"]) if row["parked"] is not None else None

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with told_as_journal_error(self._file):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:  # something failed before the commit was through
                    self._db.execute("ROLLBACK")

    def _run(self, topic: str, name: str, **parameters: object) -> int:
        return self._db.execute(statements(topic)[name], parameters).rowcount

    def _one(self, topic: str, name: str, **parameters: object) -> Row | None:
        found: sqlite3.Row | None = self._db.execute(statements(topic)[name], parameters).fetchone()
        return dict(found) if found is not None else None

    def _all(self, topic: str, name: str, **parameters: object) -> list[Row]:
        return [dict(row) for row in self._db.execute(statements(topic)[name], parameters)]


def open_store(file: Path, *, sync: bool = True) -> Store:
    """Open or create the journal's file and bring its form up to date. Raises `JournalError`.

    Without `sync` a commit returns before it is on the disk: only to measure what the sync costs.
    """
    with told_as_journal_error(file), ExitStack() as undo:
        connection = sqlite3.connect(file, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        undo.callback(connection.close)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={'FULL' if sync else 'OFF'}")
        connection.execute("PRAGMA wal_autocheckpoint=0")
        _migrate(connection, file)
        undo.pop_all()
    return Store(connection, file)


def link(previous: str, text: str) -> str:
    """The hash of a record: of the hash before it and its own text."""
    return hashlib.sha256(f"{previous}\n{text}".encode()).hexdigest()


@contextmanager
def told_as_journal_error(file: Path) -> Iterator[None]:
    """What SQLite and the disk say, in our words, with the file and what it means."""
    try:
        yield
    except GuarddError:
        raise
    except (sqlite3.Error, OSError) as error:
        raise JournalError(f"{file}: {error}; nothing is sent that the journal doesn't hold") from error


@contextmanager
def understood(file: Path) -> Iterator[None]:
    """What is wrong in a row that was read: no JSON, an unknown stage, no number."""
    try:
        yield
    except (ValueError, ArithmeticError, RecursionError) as error:
        what = f"a record can't be understood ({type(error).__name__}: {str(error)[:100]})"
        raise JournalError(f"{file}: {what}; nothing is sent that the journal doesn't hold") from error


def _migrate(connection: sqlite3.Connection, file: Path) -> None:
    at = int(connection.execute("PRAGMA user_version").fetchone()[0])
    newest = migrations()[-1][0]
    if at > newest:
        raise JournalError(f"{file}: written by a newer guardd (form {at}, this one knows {newest}); use that one")
    for number, text in migrations():
        if number > at:
            connection.executescript(f"BEGIN IMMEDIATE;\n{text}\nPRAGMA user_version = {number};\nCOMMIT;")


def _remembered(row: Row) -> Remembered:
    intent = decoded(Intent, json.loads(str(row["text"])))
    outcome: Outcome | None = decoded_outcome(json.loads(str(row["outcome"]))) if row["outcome"] is not None else None
    return Remembered(
        intent=intent,
        stage=Stage(str(row["stage"])),
        outcome=outcome,
        order_id=OrderId(str(row["order_id"])) if row["order_id"] is not None else None,
        filled=_finite(row["filled"]) if row["filled"] is not None else None,
        at_ms=_whole(row["at_ms"]),
    )


def _finite(value: object) -> Decimal:
    number = Decimal(str(value))
    if not number.is_finite():
        raise JournalError(f"journal: found {value!r}, expected a number")
    return number


def _whole(value: object) -> int:
    if not isinstance(value, int):
        raise JournalError(f"journal: found {value!r}, expected a whole number")
    return value
