"""What the edges of the fold mean to people: sentences, facts and journal notes. It listens; it decides nothing."""

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from guardd.journal.base import Journal
from guardd.model.facts import Contested, Fact, ForcedExit, ForcedExitKind, RuleFired, Said
from guardd.model.instant import Instant
from guardd.model.intent import Action, CloseAtMarket, Intent, ModifyProtection, PlaceProtection, Stage, Write
from guardd.model.names import PositionKey, RuleName, Severity
from guardd.model.order import OrderAction, ProtectionKind
from guardd.model.state import AccountState, News, NewsKind
from guardd.policy.decide import Decided
from guardd.policy.look import GUARD

CONTESTED_CLOSES: Final = 3
CONTESTED_WITHIN_S: Final = 3_600.0
"""A position opened again after a `close`, three times in an hour: somebody works against the guard (interfaces.md 2.5)."""


class Teller:
    """One account's voice."""

    def __init__(self, *, state: AccountState, journal: Journal, listener: Callable[[Fact], None]) -> None:
        self._state = state
        self._journal = journal
        self._listener = listener
        self._said: dict[str, str] = {}
        self._forced: set[PositionKey] = set()

    def fact(self, fact: Fact) -> None:
        self._listener(fact)

    def say(self, severity: Severity, edge: str, text: str, now: Instant) -> bool:
        """Tell people, once for each new text about one thing (`edge`); true when it was news."""
        if self._said.get(edge) == text:
            return False
        self._said[edge] = text
        self._listener(Said(account=self._state.name, severity=severity, edge=edge, text=text, at=now))
        return True

    def settled(self, edge: str) -> None:
        """What was told about `edge` is over: the same words are news when they come again."""
        self._said.pop(edge, None)

    def rule(self, key: PositionKey, rule: RuleName, text: str, now: Instant) -> None:
        """Record that a rule fired, was held or was refused."""
        held = self._state.held.get(key)
        if held is not None:
            self._journal.note_rule(key, held.episode.id, rule, text, now)

    def decided(self, decided: Decided, now: Instant) -> None:
        """Which rules fired and what was held back."""
        for tell in decided.told:
            edge = f"rule/{tell.rule}/{tell.key}" if tell.rule != GUARD else f"guard/{tell.key}/{tell.text[:40]}"
            self.settled(edge)  # the decision itself tells on edges: the same words again are another occasion
            self.say(tell.severity, edge, tell.text, now)
            if tell.not_done and tell.key is not None:
                self.rule(tell.key, tell.rule, f"held: {tell.text}", now)
        for fired in decided.fired:
            self.rule(fired.key, fired.rule, fired.text, now)
            self._listener(
                RuleFired(
                    account=self._state.name,
                    venue=self._state.venue,
                    key=fired.key,
                    rule=fired.rule,
                    text=fired.text,
                )
            )

    def news(self, news: News, now: Instant) -> None:
        """Tell, count and journal one edge."""
        match news.kind:
            case NewsKind.EPISODE_BEGAN | NewsKind.EPISODE_CHANGED:
                self._episode(news, now, ended=False)
            case NewsKind.EPISODE_ENDED:
                self._episode(news, now, ended=True)
            case NewsKind.HIGH_WATER if news.water is not None:
                self._journal.note_high_water(self._state.name, news.water, now)
            case NewsKind.FORCED_EXIT if news.key is not None:
                self._forced_exit(news, news.key, now)
            case NewsKind.STOP_FIRED:
                self.say(
                    Severity.WARNING,
                    f"fired/{news.order_id}",
                    f"{news.key}: resting order {news.order_id} was triggered",
                    now,
                )
            case NewsKind.POSITION_SUSPECT:
                text = f"{news.key}: a read lost this position, but {news.text}; nothing is cancelled until later reads agree"
                self.say(Severity.WARNING, f"suspect/{news.key}", text, now)
            case NewsKind.STREAM_DOWN:
                self.say(
                    Severity.WARNING,
                    "stream",
                    f"{self._state.name}: {news.text}; marks and positions are read by REST",
                    now,
                )
            case NewsKind.STREAM_UP:
                self.say(Severity.INFO, "stream", f"{self._state.name}: {news.text}", now)
            case _:
                pass

    def _episode(self, news: News, now: Instant, *, ended: bool) -> None:
        episode = news.episode
        if episode is None:
            return
        self._journal.note_episode(episode, ended=ended, at=now)
        if not ended:
            if news.kind is NewsKind.EPISODE_BEGAN:
                why = self._state.why_unguarded(episode.key.symbol)
                text = f"{episode.key}: {episode.largest_quantity} contracts {f'not guarded: {why}' if why else 'under guard'}"
                self.say(Severity.INFO, f"episode/{episode.id}", text, now)
                self._contested(episode.key, now)
            return
        # An edge of its own: it is no repetition of how the episode began.
        self.say(Severity.INFO, f"ended/{episode.id}", f"{episode.key}: flat, {news.text}", now)
        if episode.key in self._forced:
            self._forced.discard(episode.key)
        elif not self._closed_by_us(news):
            self._exit(episode.key, ForcedExitKind.EXTERNAL)
            self.say(Severity.WARNING, f"external/{episode.id}", f"{episode.key}: closed by somebody else", now)

    def _closed_by_us(self, news: News) -> bool:
        """A close of the guard's that took all there was, or a stop of its own that fired, ended this episode.

        That one rested says nothing: a user who closes by hand leaves it unfired.
        """
        episode = news.episode
        if episode is None or news.order_id is not None:
            return True
        ended = [each for each in self._state.finished if each.intent.episode == episode.id]
        in_flight = [each.intent for each in self._state.pending.values() if each.intent.episode == episode.id]
        closes = [(each.intent, each.filled) for each in ended if each.stage is Stage.VERIFIED]
        if any(_took_all(intent, filled) for intent, filled in [*closes, *((intent, None) for intent in in_flight)]):
            return True
        mark = self._state.marks.get(episode.key.symbol)
        placed = [intent.write for intent, _ in closes]
        return mark is not None and any(_is_through(write, mark.mark) for write in placed)

    def _forced_exit(self, news: News, key: PositionKey, now: Instant) -> None:
        kind = ForcedExitKind.LIQUIDATION if news.action is OrderAction.LIQUIDATION else ForcedExitKind.ADL
        self._forced.add(key)
        text = f"{key}: the venue reduced it by {kind} (order {news.order_id})"
        if self.say(
            Severity.CRITICAL, f"forced/{key}/{news.order_id}", text, now
        ):  # an order is pushed with each of its fills
            self._exit(key, kind)

    def _exit(self, key: PositionKey, kind: ForcedExitKind) -> None:
        self._listener(ForcedExit(account=self._state.name, venue=self._state.venue, key=key, kind=kind))

    def _contested(self, key: PositionKey, now: Instant) -> None:
        closed = {
            finished.intent.episode
            for finished in self._state.finished
            if finished.intent.key == key
            and finished.intent.action is Action.CLOSE
            and finished.stage is Stage.VERIFIED
            and now.seconds_since(finished.at) <= CONTESTED_WITHIN_S
        }
        if len(closed) >= CONTESTED_CLOSES:
            self.contested(key, f"opened again after {len(closed)} closes within an hour", now)

    def contested(self, key: PositionKey, why: str, now: Instant) -> None:
        """Somebody works against the guard: told and counted once, and again when it begins anew (`settled`)."""
        if self.say(Severity.CRITICAL, f"contested/{key}", f"{key}: contested: {why}", now):
            self._listener(Contested(account=self._state.name, venue=self._state.venue, key=key, why=why))


def _took_all(intent: Intent, filled: Decimal | None) -> bool:
    if not isinstance(intent.write, CloseAtMarket):
        return False
    return (intent.write.size if filled is None else filled) >= intent.quantity_before


def _is_through(write: Write, mark: Decimal) -> bool:
    """The mark stands where this stop or take-profit fires: it did, though no push said so."""
    if not isinstance(write, PlaceProtection | ModifyProtection):
        return False
    beyond = write.key.side.sign * (mark - write.trigger_price)
    return beyond <= 0 if write.kind is ProtectionKind.STOP_LOSS else beyond >= 0
