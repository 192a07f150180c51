"""What happened: the only thing that changes state. Every event carries the moment it arrived.

Silence is an event too: streams that go up and down, the guard's own pulse, a clock that was read.
"""

from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import ClassVar, Final, TypeAlias

from msgspec import Struct

from guardd.model.account import Balance
from guardd.model.capabilities import Capabilities
from guardd.model.flow import Flow
from guardd.model.footing import Footing
from guardd.model.instant import Instant
from guardd.model.instrument import Instrument
from guardd.model.intent import Intent, Stage
from guardd.model.names import ClientId, EpisodeId, OrderId, PositionKey, PositionMode, Symbol
from guardd.model.order import OrderUpdate, PlanOrder, RestingOrder
from guardd.model.outcome import Outcome
from guardd.model.position import Position, PositionUpdate

PRICE_ABOVE: Final = Decimal("1e-30")
PRICE_BELOW: Final = Decimal("1e30")
"""What lies outside is no price of anything."""


class Source(StrEnum):
    STREAM = "stream"
    REST = "rest"


class StreamName(StrEnum):
    PUBLIC = "public"
    PRIVATE = "private"


class MarkSeen:
    """A price frame or a mark read by REST. Prices that the venue left out are None; the mark itself never is.

    Those beside the mark are kept as the venue wrote them until they are asked for, which only a crossing does (I28); what is no
    price above zero then is None, too. Frozen by agreement only and written out by hand: thousands are made each second.
    """

    __slots__ = ("_ask", "_bid", "_index", "_last", "at", "mark", "source", "symbol", "venue_ms")
    __hash__ = None  # type: ignore[assignment]
    _fields: ClassVar = ("symbol", "mark", "at", "index", "last", "bid", "ask", "source", "venue_ms")

    def __init__(
        self,
        symbol: Symbol,
        mark: Decimal,
        at: Instant,
        index: Decimal | str | None = None,
        last: Decimal | str | None = None,
        bid: Decimal | str | None = None,
        ask: Decimal | str | None = None,
        source: Source = Source.STREAM,
        venue_ms: int | None = None,
    ) -> None:
        """`venue_ms`: when the venue sent it, by the venue's clock; None where frames carry no time."""
        self.symbol = symbol
        self.mark = mark
        self.at = at
        self._index = index
        self._last = last
        self._bid = bid
        self._ask = ask
        self.source = source
        self.venue_ms = venue_ms

    @property
    def index(self) -> Decimal | None:
        self._index = price = _price(self._index)
        return price

    @property
    def last(self) -> Decimal | None:
        self._last = price = _price(self._last)
        return price

    @property
    def bid(self) -> Decimal | None:
        self._bid = price = _price(self._bid)
        return price

    @property
    def ask(self) -> Decimal | None:
        self._ask = price = _price(self._ask)
        return price

    def with_mark(self, mark: Decimal) -> "MarkSeen":
        """The same frame, had its mark been this."""
        return MarkSeen(
            self.symbol, mark, self.at, self._index, self._last, self._bid, self._ask, self.source, self.venue_ms
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MarkSeen):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self._fields)

    def __repr__(self) -> str:
        return f"MarkSeen({', '.join(f'{name}={getattr(self, name)!r}' for name in self._fields)})"


def _price(told: Decimal | str | None) -> Decimal | None:
    """What was told as a number; None where it isn't a price."""
    if not isinstance(told, str):
        return told
    try:
        price = Decimal(told)
        return price if PRICE_ABOVE < price < PRICE_BELOW else None
    except InvalidOperation:  # no number, or NaN, which compares with nothing
        return None


class PositionsRead(Struct, frozen=True, kw_only=True):
    """An authoritative list of every open position of the account. `started` is when the request was sent."""

    started: Instant
    at: Instant
    positions: tuple[Position, ...]


class PositionsPushed(Struct, frozen=True, kw_only=True):
    """Rows of a stream's position frame. Absence of a position means nothing (BitMart reference, 14.8)."""

    at: Instant
    updates: tuple[PositionUpdate, ...]


class BalanceRead(Struct, frozen=True, kw_only=True):
    """Every balance of the account: one of each settlement coin, or the one pool behind all of them."""

    at: Instant
    balances: tuple[Balance, ...]
    started: Instant | None = None
    """When it was asked for."""


class LedgerRead(Struct, frozen=True, kw_only=True):
    """Every row of the venue's ledger from `since_ms` (the venue's time) until it was asked for."""

    started: Instant
    at: Instant
    since_ms: int
    flows: tuple[Flow, ...]


class BalancePushed(Struct, frozen=True, kw_only=True):
    """One of them."""

    at: Instant
    balance: Balance


class OrdersRead(Struct, frozen=True, kw_only=True):
    """Every resting order and every plan order of the account; `plans` or `resting` None: that list was not read."""

    started: Instant
    at: Instant
    resting: tuple[RestingOrder, ...] | None
    plans: tuple[PlanOrder, ...] | None


class OrderPushed(Struct, frozen=True, kw_only=True):
    at: Instant
    update: OrderUpdate


class PositionModeRead(Struct, frozen=True, kw_only=True):
    at: Instant
    mode: PositionMode


class InstrumentsRead(Struct, frozen=True, kw_only=True):
    """`asked`: the symbols that were asked about. One of them that isn't among the answers is a contract nobody here can guard."""

    at: Instant
    instruments: tuple[Instrument, ...]
    asked: frozenset[Symbol] = frozenset()


class SnapshotFinished(Struct, frozen=True, kw_only=True):
    """A full read is in: positions, balance, orders and plan orders were all read after `started`."""

    started: Instant
    at: Instant


class StreamMoved(Struct, frozen=True, kw_only=True):
    """A stream came up (connected, logged in, every subscription acknowledged) or went down."""

    at: Instant
    stream: StreamName
    up: bool
    why: str


class VenueLearned(Struct, frozen=True, kw_only=True):
    """The adapter is open: what this account can do there, and which family of accounts it is of (empty: the venue has one)."""

    at: Instant
    capabilities: Capabilities
    family: str


class ClockRead(Struct, frozen=True, kw_only=True):
    """The venue's clock minus ours."""

    at: Instant
    offset_ms: int


class IntentMoved(Struct, frozen=True, kw_only=True):
    """An intent came to a stage. `outcome` is the venue's answer where there is one; `detail` is for people."""

    at: Instant
    intent: Intent
    stage: Stage
    outcome: Outcome | None = None
    order_id: OrderId | None = None
    filled: Decimal | None = None
    detail: str = ""
    average_price: Decimal | None = None
    """Of what was filled, where reading back told it."""


class FootingFound(Struct, frozen=True, kw_only=True):
    """What a position's protection stands on was found anew by the policy; it is remembered with the episode."""

    at: Instant
    key: PositionKey
    episode: EpisodeId
    footing: Footing


class BlockKind(StrEnum):
    RATE_LIMIT = "rate_limit"
    EDGE = "edge"
    BAN = "ban"


class BlockMoved(Struct, frozen=True, kw_only=True):
    """The venue (or Cloudflare before it) holds us back until `until`; None: free again."""

    at: Instant
    kind: BlockKind
    until: Instant | None


class VenueClosingSeen(Struct, frozen=True, kw_only=True):
    """The venue refuses new risk, or announced its end."""

    at: Instant
    why: str


class ReadFailed(Struct, frozen=True, kw_only=True):
    """A read gave no usable answer; what it should have told stays as old as it is."""

    at: Instant
    endpoint: str
    why: str
    credentials_refused: bool = False


class OperatorWord(StrEnum):
    HALT = "halt"
    RESUME = "resume"
    FLATTEN = "flatten"
    CONFIRM = "confirm"
    PARK = "park"


class OperatorSpoke(Struct, frozen=True, kw_only=True):
    at: Instant
    word: OperatorWord
    why: str


class ForeignGuardSeen(Struct, frozen=True, kw_only=True):
    """Orders with our prefix that the journal doesn't know: another guardd is alive on this account (I14)."""

    at: Instant
    ids: tuple[ClientId, ...]
    later: bool = False
    """It has begun after this one, and it is that one that looks on."""


class Pulse(Struct, frozen=True, kw_only=True):
    """Time went on. Ages, `for` and cooldowns are judged on it."""

    at: Instant


Event: TypeAlias = (
    MarkSeen
    | PositionsRead
    | PositionsPushed
    | BalanceRead
    | BalancePushed
    | LedgerRead
    | OrdersRead
    | OrderPushed
    | PositionModeRead
    | InstrumentsRead
    | SnapshotFinished
    | StreamMoved
    | VenueLearned
    | ClockRead
    | IntentMoved
    | FootingFound
    | BlockMoved
    | VenueClosingSeen
    | ReadFailed
    | OperatorSpoke
    | ForeignGuardSeen
    | Pulse
)
