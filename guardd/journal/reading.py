"""The journal as people ask it: what was decided, why, and whether the chain holds. Reads beside a running daemon."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, cast

from msgspec import Struct

from guardd.errors import JournalError
from guardd.journal.canonical import decoded
from guardd.journal.entry import Record, RecordKind
from guardd.journal.sqlite import FILE_NAME
from guardd.journal.statements import migrations, statements
from guardd.journal.store import GENESIS, link, told_as_journal_error
from guardd.model.intent import CancelOrder, Intent, ModifyProtection
from guardd.model.names import AccountName

HIGHEST: Final = "\U0010ffff"


class Story(Struct, frozen=True, kw_only=True):
    """Everything the journal says of one intent, or of one episode where `intent` is None. Oldest first."""

    subject: str
    intent: Intent | None
    records: tuple[Record, ...]
    rules: tuple[Record, ...]
    """What the rules of that episode did up to the intent: what fired, what was held back or refused."""
    fills: tuple[Record, ...] = ()
    """Closing orders that came of it: its own order's, or that of the stop it placed. Of an episode: all of them."""
    armed_by: Record | None = None
    """The last CONFIRM before the intent: it names the policy."""


class ChainVerdict(Struct, frozen=True, kw_only=True):
    """Whether an account's chain holds. `problem` says which record breaks it and how; None: it holds."""

    account: AccountName
    records: int
    pruned_before: int
    """Sequence number of the first record that is left, less one; 0 when nothing was ever cut off."""
    problem: str | None


class JournalReader:
    """A read-only look at a data directory's journal. Every method may raise `JournalError`."""

    def __init__(self, connection: sqlite3.Connection, file: Path) -> None:
        self._db = connection
        self._file = file

    @classmethod
    def open(cls, data_dir: Path) -> Self:
        """Raises `JournalError` when there is no journal, or another form of it than this guardd knows."""
        file = data_dir / FILE_NAME
        if not file.is_file():
            raise JournalError(f"{file}: no journal there; expected the data_dir of a guardd that has run")
        with told_as_journal_error(file):
            connection = sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)
            connection.row_factory = sqlite3.Row
            found = int(connection.execute("PRAGMA user_version").fetchone()[0])
        newest = migrations()[-1][0]
        if found != newest:
            connection.close()
            raise JournalError(
                f"{file}: its form is {found}, this guardd reads {newest}; `guardd run` brings it up to date"
            )
        return cls(connection, file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._db.close()

    def list(
        self, *, account: str | None = None, kind: RecordKind | None = None, since_ms: int = 0, limit: int = 50
    ) -> tuple[Record, ...]:
        """The latest `limit` records, oldest first."""
        wanted: dict[str, object] = {
            "account": account,
            "kind": kind.value if kind else None,
            "since_ms": since_ms,
            "limit": limit,
        }
        return tuple(reversed([_record(row) for row in self._rows("latest", wanted)]))

    def why(self, subject: str) -> Story | None:
        """The story of an intent (by its id, or by a beginning of it that only one has) or of an episode."""
        records = self._about(subject)
        if not records:
            likely = [
                str(row["subject"]) for row in self._rows("starting_with", {"low": subject, "high": subject + HIGHEST})
            ]
            if len(likely) != 1:
                return None
            subject = likely[0]
            records = self._about(subject)
        intent = next((_intent(record) for record in records if "intent" in record.body), None)
        if intent is None:
            fills = tuple(record for record in records if record.kind is RecordKind.FILL)
            return Story(subject=subject, intent=None, records=records, rules=(), fills=fills)
        rows = self._rows("rule_before", {"subject": intent.episode, "id": records[-1].id})
        return Story(
            subject=subject,
            intent=intent,
            records=records,
            rules=tuple(reversed([_record(row) for row in rows])),
            fills=self._fills_of(intent, records),
            armed_by=next(
                (_record(row) for row in self._rows("armed_before", {"account": intent.account, "id": records[0].id})),
                None,
            ),
        )

    def _fills_of(self, intent: Intent, records: tuple[Record, ...]) -> tuple[Record, ...]:
        """A stop that was placed fires as another order, which names it; a close is told by its own id."""
        orders = {str(record.body["order_id"]) for record in records if record.body.get("order_id")}
        if isinstance(intent.write, ModifyProtection):
            orders.add(intent.write.order_id)
        if isinstance(intent.write, CancelOrder):
            return ()
        told = [_record(row) for row in self._rows("fills", {"subject": intent.episode})]
        return tuple(each for each in told if _is_of(each, intent, orders))

    def verify(self) -> tuple[ChainVerdict, ...]:
        """Follow every account's chain from its beginning and compare what was remembered of it."""
        accounts = [AccountName(str(row["account"])) for row in self._rows("accounts")]
        return tuple(self._verify(account) for account in accounts)

    def _verify(self, account: AccountName) -> ChainVerdict:
        anchor = next(self._rows("anchor", {"account": account}, topic="append"), None)
        cut, previous = (int(str(anchor["seq"])), str(anchor["hash"])) if anchor is not None else (0, GENESIS)
        seq, count, problem = cut, 0, None
        cut_told: tuple[int, str] | None = None
        remembered: dict[str, _Told] = {}
        for row in self._rows("chain", {"account": account}):
            seq, count = seq + 1, count + 1
            problem = _break(row, account, seq, previous)
            if problem is not None:
                break
            previous = str(row["hash"])
            body = cast(Mapping[str, object], json.loads(str(row["text"]))["body"])
            if row["kind"] == RecordKind.PRUNED:
                cut_told = (int(str(body["seq"])), str(body["hash"]))
            _follow(remembered, str(row["kind"]), str(row["subject"]), body)
        if problem is None and anchor is not None and cut_told != (cut, str(anchor["hash"])):
            problem = f"the chain begins behind record {cut}, but no record tells that it was pruned there"
        if problem is None:
            problem = self._memory_differs(account, remembered)
        return ChainVerdict(account=account, records=count, pruned_before=cut, problem=problem)

    def _memory_differs(self, account: AccountName, told: Mapping[str, "_Told"]) -> str | None:
        for row in self._rows("remembered", {"account": account}):
            said = told.get(str(row["id"]))
            if said is None:
                continue
            if said.stage != row["stage"]:
                return f"intent {row['id']}: the chain ends at {said.stage}, but {row['stage']} is remembered"
            if said.intent is not None and said.intent != json.loads(str(row["text"])):
                return f"intent {row['id']}: what is remembered differs from its record"
        return None

    def _about(self, subject: str) -> tuple[Record, ...]:
        return tuple(_record(row) for row in self._rows("about", {"subject": subject}))

    def _rows(
        self, name: str, parameters: Mapping[str, object] | None = None, *, topic: str = "read"
    ) -> Iterator[sqlite3.Row]:
        with told_as_journal_error(self._file):
            yield from self._db.execute(statements(topic)[name], parameters or {})


@dataclass(slots=True, kw_only=True)
class _Told:
    """What the chain says last of one intent."""

    stage: str
    intent: object | None


def _follow(told: dict[str, _Told], kind: str, subject: str, body: Mapping[str, object]) -> None:
    if kind == RecordKind.INTENT:
        told[subject] = _Told(stage="journalled", intent=body["intent"])
    elif kind == RecordKind.STAGE:
        before = told.get(subject)
        intent = body.get("intent") or (before.intent if before is not None else None)
        told[subject] = _Told(stage=str(body["stage"]), intent=intent)


def _break(row: sqlite3.Row, account: AccountName, seq: int, previous: str) -> str | None:
    """How this record breaks the chain; None when it doesn't."""
    if row["seq"] != seq:
        return f"record {seq} is missing; {row['seq']} follows"
    if row["hash"] != link(previous, str(row["text"])):
        return f"record {seq} was changed, or the one before it: its hash isn't that of its text"
    said = json.loads(str(row["text"]))
    columns = {"account": account, **{name: row[name] for name in ("seq", "at_ms", "kind", "subject")}}
    if differs := [name for name, value in columns.items() if said.get(name) != value]:
        return f"record {seq}: the column {differs[0]} differs from the record's text"
    return None


def _record(row: sqlite3.Row) -> Record:
    said = json.loads(str(row["text"]))
    return Record(
        id=int(row["id"]),
        account=AccountName(said["account"]),
        seq=said["seq"],
        at_ms=said["at_ms"],
        kind=RecordKind(said["kind"]),
        subject=said["subject"],
        body=said["body"],
        hash=str(row["hash"]),
    )


def _is_of(fill: Record, intent: Intent, orders: set[str]) -> bool:
    told = cast(Mapping[str, object], fill.body["fill"])
    return told["client_id"] == intent.id or str(told["order_id"]) in orders or str(told["plan_order_id"]) in orders


def _intent(record: Record) -> Intent:
    return decoded(Intent, record.body["intent"])
