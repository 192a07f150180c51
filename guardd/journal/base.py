"""The seam of the journal: what execution and the daemon need to remember across a crash."""

from collections.abc import Awaitable
from decimal import Decimal
from typing import Protocol

from msgspec import Struct

from guardd.model.event import IntentMoved
from guardd.model.fill import Fill
from guardd.model.highwater import HighWater
from guardd.model.instant import Instant
from guardd.model.intent import Intent, Stage
from guardd.model.names import AccountName, ClientId, EpisodeId, OrderId, PositionKey, RuleName
from guardd.model.outcome import Outcome
from guardd.model.position import Episode


class Remembered(Struct, frozen=True, kw_only=True):
    """One intent as the journal last knew it."""

    intent: Intent
    stage: Stage
    outcome: Outcome | None
    order_id: OrderId | None
    filled: Decimal | None
    at_ms: int


class RuleMark(Struct, frozen=True, kw_only=True):
    """When a rule's last step of an episode was verified (wall ms): its cooldown survives a restart."""

    episode: EpisodeId
    rule: RuleName
    steps: int
    verified_ms: int | None


class Memory(Struct, frozen=True, kw_only=True):
    """What a restart wakes up with, per account."""

    unfinished: tuple[Remembered, ...]
    recent: tuple[Remembered, ...]
    """Finished intents of the last 24 hours: for the limits' windows."""
    episodes: tuple[Episode, ...]
    rule_marks: tuple[RuleMark, ...]
    order_ids: frozenset[OrderId]
    """Orders of ours that rest without a client id."""
    halted: bool
    parked: str | None
    client_ids: frozenset[ClientId] = frozenset()
    """Every client id that the journal knows and that may still rest; one with our prefix outside it is another guard's (I14)."""
    high_waters: tuple[HighWater, ...] = ()
    """The last of each balance."""


class Journal(Protocol):
    """Append-only, durable, chained by hash for each account. Raises `JournalError`."""

    def intend(self, intent: Intent) -> Awaitable[None]:
        """Asked for when this returns, on disk once it was awaited (I20). One sync serves all that were asked for in the same turn
        of the loop."""
        ...

    def note(self, moved: IntentMoved) -> None:
        """Record a later stage; durable soon, never waited for."""
        ...

    def note_episode(self, episode: Episode, *, ended: bool, at: Instant) -> None: ...

    def note_word(self, account: AccountName, word: str, why: str, at: Instant) -> None:
        """Halt, resume, park, confirm, policy loaded: what must survive a restart."""
        ...

    def note_rule(self, key: PositionKey, episode: EpisodeId, rule: RuleName, text: str, at: Instant) -> None:
        """A rule fired, was held or was refused: for `journal why`."""
        ...

    def note_high_water(self, account: AccountName, water: HighWater, at: Instant) -> None:
        """A balance's high of the day and what it is measured from: a restart on that day goes on from there."""
        ...

    def note_fill(self, fill: Fill, at: Instant) -> None:
        """What a closing order realised, ours or not: for `journal why`."""
        ...

    async def recall(self, account: AccountName) -> Memory: ...

    async def close(self) -> None:
        """Everything noted so far is durable when this returns."""
        ...
