"""A journal that forgets with the process: for tests, for `observe` dry runs, and for comparing the lasting one with.

It keeps the same contract as `SqliteJournal`, durability aside; both pass the same tests.
"""

import asyncio
from collections.abc import Callable

from guardd.errors import JournalError
from guardd.journal.base import Memory, Remembered
from guardd.journal.entry import MEANT_AGAIN, after_word, already_journalled, makes_order, order_id_of
from guardd.journal.recollection import memory_of
from guardd.model.event import IntentMoved
from guardd.model.fill import Fill
from guardd.model.highwater import HighWater
from guardd.model.instant import Instant
from guardd.model.intent import Intent, Stage
from guardd.model.names import AccountName, ClientId, EpisodeId, OrderId, PositionKey, RuleName
from guardd.model.position import Episode


class MemoryJournal:
    """Everything noted, in plain lists that a test may read: `intended`, `moves`, `episodes`, `words`, `rules`, `waters`.

    Set `failure` to make every further `intend` raise `JournalError` with that text, as a full disk would.
    """

    def __init__(self, *, now: Callable[[], Instant] | None = None) -> None:
        self.intended: list[Intent] = []
        self.moves: list[IntentMoved] = []
        self.episodes: list[tuple[Episode, bool, Instant]] = []
        self.words: list[tuple[AccountName, str, str, Instant]] = []
        self.rules: list[tuple[PositionKey, EpisodeId, RuleName, str, Instant]] = []
        self.waters: list[tuple[AccountName, HighWater, Instant]] = []
        self.fills: list[tuple[Fill, Instant]] = []
        self.failure: str | None = None
        self.closed = False
        self._now = now
        self._known: dict[ClientId, Remembered] = {}
        self._order_ids: dict[AccountName, set[OrderId]] = {}

    def intend(self, intent: Intent) -> asyncio.Future[None]:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            self._intend(intent)
        except JournalError as error:
            done.set_exception(error)
        else:
            done.set_result(None)
        return done

    def _intend(self, intent: Intent) -> None:
        self._open()
        if self.failure is not None:
            raise JournalError(self.failure)
        known = self._known.get(intent.id)
        if known is not None and known.stage not in MEANT_AGAIN:
            raise JournalError(already_journalled(intent.id, known.stage))
        self.intended.append(intent)
        self._known[intent.id] = Remembered(
            intent=intent,
            stage=Stage.JOURNALLED,
            outcome=None,
            order_id=None,
            filled=None,
            at_ms=intent.decided.wall_ms,
        )

    def note(self, moved: IntentMoved) -> None:
        self._open()
        self.moves.append(moved)
        known = self._known.get(moved.intent.id)
        if known is None and moved.stage is not Stage.REFUSED:
            return
        order_id = order_id_of(moved)
        self._known[moved.intent.id] = Remembered(
            intent=known.intent if known is not None else moved.intent,
            stage=moved.stage,
            outcome=moved.outcome or (known.outcome if known is not None else None),
            order_id=order_id or (known.order_id if known is not None else None),
            filled=moved.filled if moved.filled is not None else (known.filled if known is not None else None),
            at_ms=moved.at.wall_ms,
        )
        if order_id is not None and makes_order(moved.intent):
            self._order_ids.setdefault(moved.intent.account, set()).add(order_id)

    def note_episode(self, episode: Episode, *, ended: bool, at: Instant) -> None:
        self._open()
        self.episodes.append((episode, ended, at))

    def note_word(self, account: AccountName, word: str, why: str, at: Instant) -> None:
        self._open()
        self.words.append((account, word, why, at))

    def note_rule(self, key: PositionKey, episode: EpisodeId, rule: RuleName, text: str, at: Instant) -> None:
        self._open()
        self.rules.append((key, episode, rule, text, at))

    def note_high_water(self, account: AccountName, water: HighWater, at: Instant) -> None:
        self._open()
        self.waters.append((account, water, at))

    def note_fill(self, fill: Fill, at: Instant) -> None:
        self._open()
        self.fills.append((fill, at))

    async def recall(self, account: AccountName) -> Memory:
        self._open()
        now_ms = self._now().wall_ms if self._now is not None else self._latest_ms()
        halted, parked = self._standing(account)
        mine = [each for each in self._known.values() if each.intent.account == account]
        return memory_of(
            mine,
            episodes=self._open_episodes(account),
            order_ids=self._order_ids.get(account, set()),
            client_ids=(each.intent.id for each in mine if each.stage is not Stage.REFUSED),
            halted=halted,
            parked=parked,
            now_ms=now_ms,
            high_waters={water.currency: water for whose, water, _ in self.waters if whose == account}.values(),
        )

    async def close(self) -> None:
        self.closed = True

    def reopen(self) -> None:
        """As after a restart of the process on the same data."""
        self.closed = False

    def _open(self) -> None:
        if self.closed:
            raise JournalError("the journal is closed; nothing can be noted any more")

    def _latest_ms(self) -> int:
        return max((each.at_ms for each in self._known.values()), default=0)

    def _open_episodes(self, account: AccountName) -> tuple[Episode, ...]:
        last = {episode.id: (episode, ended) for episode, ended, _ in self.episodes if episode.key.account == account}
        return tuple(episode for episode, ended in last.values() if not ended)

    def _standing(self, account: AccountName) -> tuple[bool, str | None]:
        halted, parked = False, None
        for whose, word, why, _ in self.words:
            if whose == account:
                halted, parked = after_word(word, why, halted=halted, parked=parked)
        return halted, parked
