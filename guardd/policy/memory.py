"""What rules remember within an episode: how long a condition holds, what was told, which step comes next.

Cooldowns aren't remembered here: they are counted from the verified outcome, which is state (`AccountState.progress`).
Everything here belongs to an episode and ends with it. Nothing of it is needed to be safe after a restart: a forgotten
warning is told again, and what rests at the venue is read from there.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, assert_never

from guardd.model.instant import MS_PER_S, Instant
from guardd.model.names import EpisodeId, PriceType, RuleName
from guardd.model.order import ProtectionKind
from guardd.model.reading import Reading, is_value
from guardd.model.state import AccountState
from guardd.policy.conditions import Truth, Use
from guardd.policy.language import PolicyRule

FIRST_SIGHT_RELEASE: Final = Decimal("0.75")
"""A rule held at first sight acts once the distance fell by a further quarter (interfaces.md 2.3)."""


@dataclass(slots=True)
class RuleMemory:
    """One rule within one episode."""

    true_since: Instant | None = None
    seen: bool = False
    """The condition was true or false once: the position's first sight by this rule is over."""
    held_at: Reading | None = None
    """The distance at first sight, while the rule is held for having been true there."""
    notified: bool = False
    fired: bool = False
    """Its acting was told for this stretch of being true."""
    next_action: int = 0
    """Which of the rule's de-leveraging actions comes next."""
    acted: Instant | None = None
    """When its last de-leveraging decision was made."""
    cancelled: Instant | None = None
    """When it last wanted entries cancelled."""
    unknown_since: Instant | None = None


@dataclass(slots=True)
class EpisodeMemory:
    rules: dict[tuple[RuleName, Use], RuleMemory] = field(default_factory=dict)
    shown: bool = False
    """People saw it at CONFIRM: its rules act at once."""
    anchors: dict[tuple[RuleName, ProtectionKind], Decimal] = field(default_factory=dict)
    """The mark that `from_mark` hangs on: fixed when the order was first wanted."""
    tightest_stop: tuple[Decimal, PriceType, RuleName] | None = None
    """The tightest stop that was wanted: nothing automatic moves it away from the price (I11)."""
    told: set[str] = field(default_factory=set)
    """What was told once and is told again only after it was different."""


@dataclass(slots=True)
class Memory:
    """All rules of one account. One for the account's life; a new policy forgets nothing of it (I23)."""

    episodes: dict[EpisodeId, EpisodeMemory] = field(default_factory=dict)

    def of(self, episode: EpisodeId) -> EpisodeMemory:
        return self.episodes.setdefault(episode, EpisodeMemory())

    def rule(self, episode: EpisodeId, rule: RuleName, use: Use) -> RuleMemory:
        """Kept apart for each use: by the number that may close a rule can be true later than by the one that warns."""
        return self.of(episode).rules.setdefault((rule, use), RuleMemory())

    def show(self, state: AccountState) -> None:
        """People saw these positions and gave CONFIRM: no rule is held for having been true at their first sight."""
        for held in state.held.values():
            memory = self.of(held.episode.id)
            memory.shown = True
            for rule in memory.rules.values():
                rule.held_at = None

    def forget_ended(self, state: AccountState) -> None:
        """Drop what belongs to episodes that are over."""
        alive = {held.episode.id for held in state.held.values()}
        for episode in [episode for episode in self.episodes if episode not in alive]:
            del self.episodes[episode]

    def once(self, episode: EpisodeId, what: str, now_true: bool) -> bool:
        """True when `what` has become so since it was last asked about: the moment to tell it."""
        told = self.of(episode).told
        if not now_true:
            told.discard(what)
            return False
        if what in told:
            return False
        told.add(what)
        return True


def observe(memory: RuleMemory, truth: Truth, now: Instant) -> None:
    """Take in what the condition is now: a contrary observation starts `for` anew, an unknown one neither ends nor completes it."""
    if truth is not Truth.UNKNOWN:
        memory.unknown_since = None
    match truth:
        case Truth.TRUE:
            memory.true_since = memory.true_since or now
        case Truth.FALSE:
            memory.true_since, memory.held_at = None, None
            memory.seen, memory.notified, memory.fired = True, False, False
            memory.next_action, memory.acted, memory.cancelled = 0, None, None
        case Truth.UNKNOWN:
            memory.unknown_since = memory.unknown_since or now
        case _:
            assert_never(truth)


def ripe(memory: RuleMemory, rule: PolicyRule, truth: Truth, now: Instant) -> bool:
    """True when the condition holds now, on fresh data, and has for as long as `for` asks."""
    return truth is Truth.TRUE and memory.true_since is not None and now.seconds_since(memory.true_since) >= rule.hold_s


def held_at_first_sight(memory: RuleMemory, truth: Truth, distance: Reading, *, shown: bool) -> bool:
    """True while a reducing rule must wait because it was true when the position was first seen (interfaces.md 2.3)."""
    if truth is not Truth.TRUE:
        return memory.held_at is not None
    if not memory.seen:
        memory.seen = True
        memory.held_at = None if shown else distance
    at = memory.held_at
    if at is not None and is_value(at) and is_value(distance) and distance <= at * FIRST_SIGHT_RELEASE:
        memory.held_at = None
    return memory.held_at is not None


def cooling(state: AccountState, episode: EpisodeId, rule: PolicyRule, now: Instant) -> bool:
    """True within the cooldown of this rule's last verified step. A rejection or an unknown outcome starts none."""
    progress = state.progress.get((episode, rule.name))
    if progress is None or progress.verified is None:
        return False
    return 0 <= _elapsed_s(progress.verified, now) < rule.cooldown_s


def verified_since(state: AccountState, episode: EpisodeId, rule: RuleName, since: Instant) -> bool:
    """True when a step of this rule was verified after `since`."""
    progress = state.progress.get((episode, rule))
    return progress is not None and progress.verified is not None and progress.verified.mono_ns >= since.mono_ns


def _elapsed_s(earlier: Instant, now: Instant) -> float:
    """Seconds since; by the wall where the monotonic reading is another run's (I24), below zero where neither makes sense."""
    mono_s = now.seconds_since(earlier)
    return mono_s if mono_s >= 0 else (now.wall_ms - earlier.wall_ms) / MS_PER_S
