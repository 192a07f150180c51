"""Everything guardd believes about one account. Written by `guardd.model.fold` and by nothing else."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Final, Protocol, TypeVar

from msgspec import Struct

from guardd.model.account import Balance, Wallet
from guardd.model.capabilities import Capabilities
from guardd.model.event import BlockKind, MarkSeen, StreamName
from guardd.model.flow import Flow
from guardd.model.highwater import Book, HighWater
from guardd.model.instant import Instant
from guardd.model.instrument import Instrument
from guardd.model.intent import (
    AddMargin,
    CloseAtMarket,
    Intent,
    ModifyProtection,
    PlaceProtection,
    Stage,
    TransferToFutures,
)
from guardd.model.names import (
    AccountName,
    ClientId,
    EpisodeId,
    OrderId,
    PositionKey,
    PositionMode,
    RuleName,
    Side,
    Symbol,
    VenueName,
)
from guardd.model.order import OrderAction, PlanOrder, RestingOrder
from guardd.model.outcome import Outcome
from guardd.model.position import Episode, Position

REMEMBERED_S: Final = 24 * 3600.0
PROBED_WITHIN_S: Final = 2.0
"""So long after a block's time its probe has been answered: by then it moved on, or it is gone."""


@dataclass(slots=True, kw_only=True)
class Held:
    """A position that is believed to exist.

    `position` is the last authoritative row with later pushes laid over it; `read` is when an authoritative read last showed
    it. `missing_reads` counts consecutive reads that did not (I6).
    """

    position: Position
    episode: Episode
    read: Instant
    changed: Instant
    """When the quantity last changed, by any source."""
    begun: Instant
    """When this run first saw it."""
    missing_since: Instant | None = None
    missing_reads: int = 0
    had: list[tuple[Instant, Decimal]] = field(default_factory=list)
    """Larger quantities than now that it had, each with the moment it ended: the limits ask for the hour's largest."""
    close_seen: Instant | None = None
    """A push said that it is gone; one read that agrees confirms it."""
    shown: Decimal
    """The quantity by the last read,"""
    shown_since: Instant
    """and since when reads show it, whatever pushes said meanwhile."""
    wallets: tuple[Wallet, ...] = ()
    """The coins of the pool behind it, by a balance from before a read that showed it."""
    key: PositionKey = field(init=False)
    """That of its position, for as long as it is held."""

    def __post_init__(self) -> None:
        self.key = self.position.key


@dataclass(slots=True, kw_only=True)
class Pending:
    """An intent that isn't finished: from the moment it was decided, so that the next tick can't decide it twice."""

    intent: Intent
    stage: Stage
    since: Instant
    order_id: OrderId | None = None
    outcome: Outcome | None = None
    earlier_run: bool = False
    """It was in flight when an earlier run ended: until it is resolved nothing but missing stops is sent (interfaces.md 3)."""


@dataclass(slots=True, kw_only=True)
class RuleProgress:
    """How far a rule has come within an episode."""

    steps: int = 0
    """Intents of this rule that ended otherwise than void: the number of the next one."""
    verified: Instant | None = None
    """When its last step was verified: where the cooldown begins."""


class Finished(Struct, frozen=True, kw_only=True):
    """An intent that ended, kept for the windows of the limits (interfaces.md 2.6)."""

    intent: Intent
    stage: Stage
    at: Instant
    filled: Decimal | None
    outcome: Outcome | None = None
    """The venue's answer: why it was rejected decides what may be tried next (the ladder of stops, the retry schedule)."""
    order_id: OrderId | None = None


class Past(list[Finished]):
    """What ended, oldest first; grown at its end only. `of` is what each decision asks: a busy day holds thousands."""

    def __init__(self, ended: Iterable[Finished] = ()) -> None:
        super().__init__(ended)
        self._of: dict[PositionKey, list[Finished]] | None = None

    def append(self, ended: Finished, /) -> None:
        super().append(ended)
        if self._of is not None:
            self._of.setdefault(ended.intent.key, []).append(ended)

    def of(self, key: PositionKey) -> Sequence[Finished]:
        """Those of one position, oldest first."""
        if self._of is None:
            self._of = {}
            for ended in self:
                self._of.setdefault(ended.intent.key, []).append(ended)
        return self._of.get(key, ())


class Ended(Protocol):
    """A `Finished`, or the journal's memory of one."""

    @property
    def intent(self) -> Intent: ...
    @property
    def stage(self) -> Stage: ...


AnEnded = TypeVar("AnEnded", bound=Ended)


def lasting(oldest_first: Iterable[AnEnded], lives: frozenset[EpisodeId]) -> list[AnEnded]:
    """What of a position that is still held counts beyond the day: the last protection of each slot, and what was closed.

    By these a stop that vanishes is known to have fired, and a filled tranche from one that somebody cancelled.
    """
    kept: list[AnEnded] = []
    seen: set[tuple[EpisodeId, RuleName, type]] = set()
    for ended in reversed(list(oldest_first)):
        intent = ended.intent
        place = (intent.episode, intent.rule, type(intent.write))
        if intent.episode not in lives or ended.stage is not Stage.VERIFIED:
            continue
        if isinstance(intent.write, CloseAtMarket):
            kept.append(ended)
        elif isinstance(intent.write, PlaceProtection | ModifyProtection) and place not in seen:
            seen.add(place)
            kept.append(ended)
    return kept[::-1]


@dataclass(slots=True, kw_only=True)
class StreamState:
    up: bool = False
    since: Instant | None = None
    why: str = "not connected yet"


class Pushed(Struct, frozen=True, kw_only=True):
    """What the stream last showed of a position."""

    quantity: Decimal
    at: Instant
    venue_ms: int
    """The venue's time of it (wall, ms)."""
    opened_ms: int | None = None
    """When the position was opened, as far as a push of it ever said."""


class Lost(Struct, frozen=True, kw_only=True):
    """A position that nothing but reads without it ended: if one shows it again, it was never gone."""

    held: Held
    pushed: Pushed | None
    at: Instant


@dataclass(slots=True)
class Anchor:
    """An instrument's last mark when the balance behind it was told. Frozen by agreement only: each read makes one for each."""

    mark: Decimal
    age_s: float
    """How old the mark was then."""


@dataclass(slots=True, kw_only=True)
class AccountState:
    """One account, as far as events have told."""

    name: AccountName
    venue: VenueName
    capabilities: Capabilities
    """Those of the venue's every account until `learned_at`, then this account's own."""
    family: str = ""
    """Which kind of account the venue says this is; empty where it has one kind."""
    learned_at: Instant | None = None
    instruments: dict[Symbol, Instrument] = field(default_factory=dict)
    instruments_at: Instant | None = None
    unguardable: set[Symbol] = field(default_factory=set)
    """Symbols whose contract was asked for and isn't one that can be guarded (inverse, dated, gone from the venue)."""
    marks: dict[Symbol, MarkSeen] = field(default_factory=dict)
    rest_marks: dict[Symbol, MarkSeen] = field(default_factory=dict)
    """The last mark that came by REST, beside the stream's: for the cross-check (I29)."""
    held: dict[PositionKey, Held] = field(default_factory=dict)
    pushed_quantities: dict[PositionKey, Pushed] = field(default_factory=dict)
    balances: dict[str, Balance] = field(default_factory=dict)
    """By currency, in the order in which the venue's adapter gives them; a unified account has one, which is pooled."""
    balances_at: Instant | None = None
    anchors: dict[Symbol, Anchor] = field(default_factory=dict)
    """The marks that the balances belong to: what moved since then is reckoned from these."""
    books: dict[str, Book] = field(default_factory=dict)
    """The day's high of each balance, by currency; filled from the journal, then by account reads once the ledger is read."""
    flows: tuple[Flow, ...] = ()
    """The venue's ledger from `ledger_since_ms` (the venue's time) on."""
    ledger_since_ms: int = 0
    ledger_at: Instant | None = None
    position_mode: PositionMode | None = None
    position_mode_at: Instant | None = None
    resting: dict[OrderId, RestingOrder] = field(default_factory=dict)
    resting_at: Instant | None = None
    resting_started: Instant | None = None
    """When the newest list of them was asked for: an older one that comes late is not believed."""
    plans: Mapping[OrderId, PlanOrder] = field(default_factory=dict)
    """Replaced as a whole, never changed: each position's own are found by key."""
    plans_at: Instant | None = None
    plans_started: Instant | None = None
    fired: dict[OrderId, PositionKey] = field(default_factory=dict)
    """Plan orders that a push showed to have been triggered, until their position's episode ends."""
    positions_at: Instant | None = None
    snapshot_started: Instant | None = None
    """When the last finished full read began."""
    streams: dict[StreamName, StreamState] = field(default_factory=lambda: {name: StreamState() for name in StreamName})
    pending: dict[ClientId, Pending] = field(default_factory=dict)
    remembered: dict[EpisodeId, Episode] = field(default_factory=dict)
    """Lives that an earlier run saw and that may go on: one that a read shows again is the same life (I8)."""
    ended: dict[PositionKey, Instant] = field(default_factory=dict)
    """When a read last showed what has ended since."""
    realized: dict[Symbol, Instant] = field(default_factory=dict)
    """Instruments on which a life has ended since the balances were asked for, and when: what it made is in none of them."""
    lost: dict[EpisodeId, Lost] = field(default_factory=dict)
    """Those of the last minutes, for what the rules remember of them to be there if they come back."""
    finished: Past = field(default_factory=Past)
    """The last 24 hours, oldest first."""
    progress: dict[tuple[EpisodeId, RuleName], RuleProgress] = field(default_factory=dict)
    own_order_ids: set[OrderId] = field(default_factory=set)
    """Plan orders of ours that carry no client id."""
    known_client_ids: set[ClientId] = field(default_factory=set)
    """Every client id of ours that the journal knows; one with our prefix outside it is another guard's (I14)."""
    blocks: dict[BlockKind, Instant] = field(default_factory=dict)
    clock_offset_ms: int | None = None
    halted: bool = False
    parked: str | None = None
    armed: bool = False
    """CONFIRM was given (enforce mode); false in observe."""
    foreign_ids: frozenset[ClientId] = frozenset()
    """Orders with our prefix that the journal doesn't know: another guardd is alive here (I14). `resume` adopts them."""
    rival_ids: frozenset[ClientId] = frozenset()
    """The same of one that has begun later, and looks on itself. They are its own, until `resume` adopts them too."""
    closing: str | None = None
    """Why the venue counts as closing."""
    lives_ended: int = 0
    """How many lives have ended: who keeps something for each looks for what is over only when this is another number."""
    _plans_by_key: "tuple[Mapping[OrderId, PlanOrder], dict[PositionKey, tuple[PlanOrder, ...]]]" = field(
        default=({}, {}), init=False, repr=False, compare=False
    )

    _in_order: tuple[int, tuple[PositionKey, ...]] = field(default=(0, ()), init=False, repr=False, compare=False)

    @property
    def foreign_guard(self) -> bool:
        return bool(self.foreign_ids)

    def reads_held_back(self, now: Instant) -> bool:
        """True while a rate limit, Cloudflare or a ban keeps us from reading."""
        return bool(self.blocks_standing(now))

    def blocks_standing(self, now: Instant) -> tuple[BlockKind, ...]:
        """What holds us back; at its time a block is probed, not over yet."""
        standing = [kind for kind, until in self.blocks.items() if now.seconds_since(until) < PROBED_WITHIN_S]
        return tuple(sorted(standing))

    @property
    def unresolved(self) -> int:
        """How many intents of an earlier run are not resolved yet.

        Money that may still be on its way holds back nothing but its like: a close must not wait ten seconds for it.
        """
        return sum(
            pending.earlier_run and not isinstance(pending.intent.write, AddMargin | TransferToFutures)
            for pending in self.pending.values()
        )

    def holds(self, symbol: Symbol) -> tuple[Held, ...]:
        """The positions on one instrument, long first."""
        found = (self.held.get(PositionKey(self.name, symbol, side)) for side in Side)
        return tuple(held for held in found if held is not None)

    def in_order(self) -> Iterator[Held]:
        """Every position, sorted by key: the keys are sorted when there are others than before."""
        ended, keys = self._in_order
        if ended != self.lives_ended or len(keys) != len(self.held) or not keys:
            keys = tuple(sorted(self.held))
            self._in_order = self.lives_ended, keys
        return (self.held[key] for key in keys)

    def holds_any(self, symbols: Iterable[Symbol]) -> list[Held]:
        """The positions on any of these instruments, sorted by key."""
        return [held for symbol in sorted(set(symbols)) for held in self.holds(symbol)]

    def balance_for(self, settle: str) -> Balance | None:
        """What stands behind positions that settle in this coin: its own balance, or the pool."""
        own = self.balances.get(settle)
        return own if own is not None else next((each for each in self.balances.values() if each.pooled), None)

    def balance_behind(self, symbol: Symbol) -> Balance | None:
        """What stands behind this instrument's positions; where its details aren't known, the only balance there is."""
        settle = self.settle_of(symbol)
        if settle is not None:
            return self.balance_for(settle)
        return next(iter(self.balances.values())) if len(self.balances) == 1 else None

    def settle_of(self, symbol: Symbol) -> str | None:
        """The coin that an instrument settles in; None where its details aren't known."""
        instrument = self.instruments.get(symbol)
        return instrument.settle if instrument is not None else None

    def why_unguarded(self, symbol: Symbol) -> str:
        """Why nothing is decided on and nothing sent for this instrument; empty: it is guarded."""
        if symbol in self.unguardable:
            return "its contract can't be guarded"
        instrument = self.instruments.get(symbol)
        return instrument.unguarded if instrument is not None else ""

    def in_flight(self, key: PositionKey) -> tuple[Pending, ...]:
        """Unfinished intents of one position, oldest first."""
        found = [pending for pending in self.pending.values() if pending.intent.key == key]
        return tuple(sorted(found, key=lambda pending: (pending.intent.decided.mono_ns, pending.intent.id)))

    def plans_of(self, key: PositionKey) -> tuple[PlanOrder, ...]:
        """Closing plan orders that rest on one position, oldest first."""
        return tuple(plan for plan in self.plans_on(key) if plan.closes)

    def plans_on(self, key: PositionKey) -> tuple[PlanOrder, ...]:
        """All plan orders that rest on one position, oldest first."""
        plans, by_key = self._plans_by_key
        if plans is not self.plans:
            by_key = _by_key(self.plans)
            self._plans_by_key = self.plans, by_key
        return by_key.get(key, ())

    def owns(self, order: PlanOrder | RestingOrder) -> bool:
        """True for an order that this guard made."""
        return (order.client_id is not None and order.client_id in self.known_client_ids) or (
            order.order_id in self.own_order_ids
        )


def _by_key(plans: Mapping[OrderId, PlanOrder]) -> dict[PositionKey, tuple[PlanOrder, ...]]:
    found: dict[PositionKey, list[PlanOrder]] = {}
    for plan in plans.values():
        found.setdefault(plan.key, []).append(plan)
    return {key: tuple(sorted(each, key=lambda plan: (plan.created_ms, plan.order_id))) for key, each in found.items()}


class NewsKind(StrEnum):
    READ_WANTED = "read_wanted"
    """Something changed that only an authoritative read settles."""
    EPISODE_BEGAN = "episode_began"
    EPISODE_CHANGED = "episode_changed"
    EPISODE_ENDED = "episode_ended"
    POSITION_SUSPECT = "position_suspect"
    STOP_FIRED = "stop_fired"
    FORCED_EXIT = "forced_exit"
    STREAM_UP = "stream_up"
    STREAM_DOWN = "stream_down"
    PLANS_CHANGED = "plans_changed"
    LEDGER_WANTED = "ledger_wanted"
    """A wallet moved, and only the venue's ledger can say why."""
    HIGH_WATER = "high_water"
    """A balance's high, or what it is measured from, is other than the journal has it."""


class News(Struct, frozen=True, kw_only=True):
    """An edge that the fold noticed: what the guard tells, journals or reads again for."""

    kind: NewsKind
    key: PositionKey | None = None
    episode: Episode | None = None
    order_id: OrderId | None = None
    """Of an episode that ended: the plan order of ours that was triggered in it, if a push told of one."""
    action: OrderAction | None = None
    plan: PlanOrder | None = None
    """The plan order that fired."""
    water: HighWater | None = None
    text: str = ""


class Folded(Struct, frozen=True, kw_only=True):
    """What an event changed: the instruments to assess anew (`everything`: all of the account), and the edges."""

    symbols: frozenset[Symbol] = frozenset()
    everything: bool = False
    differs: frozenset[Symbol] | None = None
    """Of a read: the instruments that it shows otherwise than they were, marks and what goes with them apart; None: any may be."""
    news: tuple[News, ...] = ()
