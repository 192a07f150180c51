"""The rows that a restart remembers from: put into a real file, and recalled."""

import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from guardd.errors import JournalError
from guardd.journal.canonical import encoded, text_of
from guardd.journal.entry import EpisodeNoted, Meant
from guardd.journal.store import Store, open_store
from guardd.model.outcome import Reason, Rejected
from tests.fuzz.target import Target
from tests.journal import making

_INTENT: Final = text_of(encoded(making.intent())).encode()
_EPISODE: Final = text_of(encoded(making.episode())).encode()
_OUTCOME: Final = text_of(encoded(Rejected(reason=Reason.BALANCE, code="40027", text="x"))).encode()


class _OneFile:
    """A journal with one intent and one episode, of which one column is overwritten each time."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        file = Path(self._folder.name) / "journal.sqlite"
        self._store: Store = open_store(file)
        self._store.append(
            [Meant(intent=making.intent()), EpisodeNoted(episode=making.episode(), ended=False, at=making.at())]
        )
        self._other = sqlite3.connect(file, isolation_level=None)
        self._other.execute("PRAGMA synchronous=OFF")

    def recalled(self, table: str, column: str) -> Callable[[bytes], object]:
        update = f"UPDATE {table} SET {column} = CAST(? AS TEXT)"
        before = self._other.execute(f"SELECT {column} FROM {table}").fetchone()[0]

        def read(text: bytes) -> object:
            self._other.execute(update, (text,))
            try:
                return self._store.recall(making.MAIN, making.START_MS)
            finally:
                self._other.execute(f"UPDATE {table} SET {column} = ?", (before,))

        return read


_FILE: Final = _OneFile()

TARGETS: Final = (
    Target("journal.intent", _FILE.recalled("intent", "text"), (_INTENT,), (JournalError,)),
    Target("journal.outcome", _FILE.recalled("intent", "outcome"), (_OUTCOME,), (JournalError,)),
    Target("journal.stage", _FILE.recalled("intent", "stage"), (b"intended", b"sent"), (JournalError,), json=False),
    Target("journal.filled", _FILE.recalled("intent", "filled"), (b"1.50", b"0E-3"), (JournalError,), json=False),
    Target("journal.episode", _FILE.recalled("episode", "text"), (_EPISODE,), (JournalError,)),
)
