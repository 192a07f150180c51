"""What rules remember within an episode: how long a condition holds, what was told, which step comes next.

Cooldowns aren't remembered here: they are counted from the verified outcome, which is state (`AccountState.progress`).
Everything here belongs to an episode and ends with it. What protection stands on (`EpisodeMemory.footing`) survives a restart
with the episode; the rest isn't needed to be safe then: a forgotten warning is told again.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, TypeAlias, assert_never

from msgspec.structs import replace

from guardd.model.footing import BestMark, FilledTranche, FixedMark, Footing, LatchedStop
from guardd.model.instant import Instant
from guardd.model.names import EpisodeId, RuleName
from guardd.model.order import ProtectionKind
from guardd.model.reading import Reading, is_value
from guardd.model.state import AccountState
from guardd.policy.conditions import Truth, Use
from guardd.policy.language import PolicyRule

LadderId: TypeAlias = tuple[RuleName, int, tuple[Decimal, ...]]
"""A rule, the number of the ladder's first tranche within it, and its shares: another shape is another ladder."""
MOVED_FROM: Final = Decimal("0.001")
"""A stop is moved from 0.1 % on (interfaces.md 2.4)."""
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
    told_action: int | None = None
    """Which of its actions that was: the next one is told by itself."""
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
    awake: bool = False
    """What the journal remembered of the episode was taken in."""
    fixed: dict[tuple[RuleName, ProtectionKind], Decimal] = field(default_factory=dict)
    """The mark that `from_mark` hangs on: fixed when the order was first wanted."""
    best: dict[RuleName, Decimal] = field(default_factory=dict)
    """The best confirmed mark, for each rule that trails."""
    latched: dict[LadderId, dict[int, LatchedStop]] = field(default_factory=dict)
    """Each ladder of stops that was wanted, each tranche at its tightest: nothing automatic moves one away from the price (I11)."""
    filled: dict[RuleName, FilledTranche] = field(default_factory=dict)
    """Tranches that are done for the episode, by slot."""
    told: set[str] = field(default_factory=set)
    """What was told once and is told again only after it was different."""

    def wake(self, footing: Footing) -> None:
        """Take in, once, what an earlier run left in the journal."""
        if self.awake:
            return
        self.awake = True
        self.fixed = {(each.rule, each.kind): each.mark for each in footing.fixed}
        self.best = {each.rule: each.mark for each in footing.best}
        self.filled = {each.slot: each for each in footing.filled}
        for stop in footing.latched:
            self.latched.setdefault(ladder_id(stop), {})[stop.place] = stop

    def footing(self, before: Footing) -> Footing:
        """What has to be remembered across a restart. A stop that drifts by less than stops are moved for stays as it was told."""
        told = {(ladder_id(stop), stop.place): stop for stop in before.latched}
        latched = [stop for places in self.latched.values() for stop in places.values()]
        return Footing(
            fixed=tuple(
                FixedMark(rule=rule, kind=kind, mark=mark) for (rule, kind), mark in sorted(self.fixed.items())
            ),
            best=tuple(BestMark(rule=rule, mark=mark) for rule, mark in sorted(self.best.items())),
            latched=tuple(_as_told(stop, told.get((ladder_id(stop), stop.place))) for stop in latched),
            filled=tuple(self.filled[slot] for slot in sorted(self.filled)),
        )


def ladder_id(stop: LatchedStop) -> LadderId:
    return stop.rule, stop.tranche - stop.place, stop.ladder


def _as_told(stop: LatchedStop, told: LatchedStop | None) -> LatchedStop:
    if told is None or abs(stop.trigger_price - told.trigger_price) >= MOVED_FROM * told.trigger_price:
        return stop
    return replace(stop, trigger_price=told.trigger_price)


@dataclass(slots=True)
class Memory:
    """All rules of one account. One for the account's life; a new policy forgets nothing of what protects (I23)."""

    episodes: dict[EpisodeId, EpisodeMemory] = field(default_factory=dict)
    _swept_at: int = field(default=0, repr=False, compare=False)
    """How many lives had ended when this was last gone through."""

    def of(self, episode: EpisodeId) -> EpisodeMemory:
        known = self.episodes.get(episode)
        if known is None:
            known = self.episodes[episode] = EpisodeMemory()
        return known

    def rule(self, episode: EpisodeId, rule: RuleName, use: Use) -> RuleMemory:
        """Kept apart for each use: by the number that may close a rule can be true later than by the one that warns."""
        rules = self.of(episode).rules
        known = rules.get((rule, use))
        if known is None:
            known = rules[rule, use] = RuleMemory()
        return known

    def show(self, state: AccountState) -> None:
        """People saw these positions and gave CONFIRM: no rule is held for having been true at their first sight."""
        for held in state.held.values():
            memory = self.of(held.episode.id)
            memory.shown = True
            for rule in memory.rules.values():
                rule.held_at = None

    def keep(self, rules: Iterable[RuleName]) -> None:
        """Another policy: a rule that isn't in it is observed no more, so that what it waited for begins anew if it returns."""
        kept = frozenset(rules)
        for episode in self.episodes.values():
            for (name, _), rule in episode.rules.items():
                if name not in kept:
                    rule.true_since, rule.unknown_since = None, None
                    rule.notified, rule.fired = False, False
                    rule.next_action, rule.acted, rule.cancelled = 0, None, None

    def forget_ended(self, state: AccountState) -> bool:
        """Drop what belongs to episodes that are over; a lost one may come back. Asked at each look, and true where one is."""
        if state.lives_ended == self._swept_at:
            return False
        self._swept_at = state.lives_ended
        alive = {held.episode.id for held in state.held.values()} | set(state.lost)
        for episode in [episode for episode in self.episodes if episode not in alive]:
            del self.episodes[episode]
        return True

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
            memory.seen, memory.notified, memory.fired, memory.told_action = True, False, False, None
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
    """True within the cooldown of this rule's last verified step. A rejection or an unknown outcome starts none.

    A frame that waited in the inbox is older than what was verified meanwhile: that is a cooldown that just began. Steps of an
    earlier run are told in this run's monotonic time (`awaken`).
    """
    progress = state.progress.get((episode, rule.name))
    if progress is None or progress.verified is None:
        return False
    return now.seconds_since(progress.verified) < rule.cooldown_s


def verified_since(state: AccountState, episode: EpisodeId, rule: RuleName, since: Instant) -> bool:
    """True when a step of this rule was verified after `since`."""
    progress = state.progress.get((episode, rule))
    return progress is not None and progress.verified is not None and progress.verified.mono_ns >= since.mono_ns
