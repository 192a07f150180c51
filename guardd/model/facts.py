"""What telemetry and the status page hear. Frozen facts flow out of the core; nothing flows back (style.md, 22)."""

from decimal import Decimal
from enum import StrEnum
from typing import Protocol, TypeAlias

from msgspec import Struct

from guardd.model.account import AccountCondition
from guardd.model.event import BlockKind, StreamName
from guardd.model.instant import Instant
from guardd.model.intent import Action, Intent, Stage
from guardd.model.names import AccountName, OrderId, PositionKey, RuleName, Severity, Symbol, VenueName
from guardd.model.outcome import Outcome
from guardd.model.reading import Absent, Reading


class RequestResult(StrEnum):
    """`result` of guardd_venue_requests_total."""

    OK = "ok"
    REJECTED = "rejected"
    RATE_LIMITED = "rate_limited"
    CLOUDFLARE = "cloudflare"
    TIMEOUT = "timeout"
    ERROR = "error"


class RequestFinished(Struct, frozen=True, kw_only=True):
    account: AccountName
    venue: VenueName
    endpoint: str
    result: RequestResult
    seconds: float
    detail: str = ""


class BlockChanged(Struct, frozen=True, kw_only=True):
    """`until_ms` is wall ms, 0 when free again."""

    account: AccountName
    venue: VenueName
    kind: BlockKind
    until_ms: int


class StreamChanged(Struct, frozen=True, kw_only=True):
    account: AccountName
    venue: VenueName
    stream: StreamName
    up: bool
    why: str


class SnapshotTaken(Struct, frozen=True, kw_only=True):
    account: AccountName
    venue: VenueName
    at: Instant


class ClockOffsetRead(Struct, frozen=True, kw_only=True):
    account: AccountName
    venue: VenueName
    offset_ms: int


class RuleFired(Struct, frozen=True, kw_only=True):
    account: AccountName
    venue: VenueName
    key: PositionKey | None
    rule: RuleName
    text: str


class IntentStaged(Struct, frozen=True, kw_only=True):
    """An intent came to a stage."""

    account: AccountName
    venue: VenueName
    intent: Intent
    stage: Stage
    outcome: Outcome | None
    detail: str
    reaction_s: float | None = None
    """Price frame received until the order's last byte was handed to the socket; only on the first send it caused."""


class Refused(Struct, frozen=True, kw_only=True):
    """A decision that may not be carried out, and why (limits, caps, sizes that don't help)."""

    account: AccountName
    venue: VenueName
    key: PositionKey
    rule: RuleName
    action: Action
    why: str


class Said(Struct, frozen=True, kw_only=True):
    """Something for people. `edge` names what it is about, so that a notifier can drop repetitions."""

    account: AccountName | None
    severity: Severity
    edge: str
    text: str
    at: Instant


class ForcedExitKind(StrEnum):
    LIQUIDATION = "liquidation"
    ADL = "adl"
    EXTERNAL = "external"


class ForcedExit(Struct, frozen=True, kw_only=True):
    account: AccountName
    venue: VenueName
    key: PositionKey
    kind: ForcedExitKind


class Contested(Struct, frozen=True, kw_only=True):
    """A user or a bot works against the guard."""

    account: AccountName
    venue: VenueName
    key: PositionKey
    why: str


class JournalWritten(Struct, frozen=True, kw_only=True):
    seconds: float
    records: int


class LoopLagged(Struct, frozen=True, kw_only=True):
    seconds: float


class RestingView(Struct, frozen=True, kw_only=True):
    trigger_price: Decimal
    order_id: OrderId
    ours: bool


class RuleAhead(Struct, frozen=True, kw_only=True):
    """A rule that a move of the mark makes act, and the first mark at which it does. One that is true acts at any: its mark is
    the one it was solved at."""

    rule: RuleName
    at_mark_price: Decimal
    is_true: bool


class PositionView(Struct, frozen=True, kw_only=True):
    """One position as people see it (interfaces.md section 4)."""

    key: PositionKey
    margin_mode: str
    leverage: Reading
    quantity: Decimal
    entry_price: Decimal
    mark_price: Reading
    liquidation_price: Reading
    own_liquidation_price: Reading
    liquidation_drift: Reading
    distance_to_liquidation: Reading
    notional: Reading
    unrealized_pnl: Reading
    protected: bool
    protection_note: str
    """Empty, or why it is unprotected, unprotectable or unguarded."""
    unprotected_s: float
    """Seconds of this run in which no verified stop covered it."""
    stop_loss: RestingView | None
    take_profit: RestingView | None
    next_rule: RuleName | None
    next_rule_at: Reading
    rules_ahead: tuple[RuleAhead, ...] = ()
    """Every rule that a move of the mark makes act, the next one first."""


class BalanceView(Struct, frozen=True, kw_only=True):
    """What stands behind the positions of one settlement coin, or behind all of them (`pooled`)."""

    currency: str
    equity: Reading
    margin_ratio: Reading
    pooled: bool
    doubt: str
    """Why its figures are unknown or may justify no close; empty when they may."""
    drawdown: Reading = Absent.UNKNOWN
    """Part of the day's high that the equity has fallen by; unknown too where no rule asks for it."""
    drawdown_why: str = ""
    """Why a drawdown that a rule asks for is unknown."""


class AccountView(Struct, frozen=True, kw_only=True):
    """An account as people see it; published by its guard whenever something in it changed, at most a few times a second."""

    account: AccountName
    venue: VenueName
    family: str = ""
    """Which kind of account the venue says this is; empty where it has one kind."""
    mode: str
    condition: AccountCondition
    condition_why: str
    currency: str
    equity: Reading
    """Of the first balance."""
    balances: tuple[BalanceView, ...] = ()
    """Every balance, the first included."""
    margin_ratio: Reading
    """The worst of the cross accounts."""
    protected_notional_ratio: Reading
    venue_closing: bool
    positions: tuple[PositionView, ...]
    unguarded: tuple[tuple[Symbol, str], ...]
    """Instruments held that this guard can't guard, and why."""
    at: Instant


Fact: TypeAlias = (
    RequestFinished
    | BlockChanged
    | StreamChanged
    | SnapshotTaken
    | ClockOffsetRead
    | RuleFired
    | IntentStaged
    | Refused
    | Said
    | ForcedExit
    | Contested
    | JournalWritten
    | LoopLagged
    | AccountView
)


class Listener(Protocol):
    """Hears facts. Must not block, raise or answer."""

    def __call__(self, fact: Fact, /) -> None: ...
