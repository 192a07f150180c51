"""What a file of cases can say, as types. How it is read: `load`. Durations are Decimal seconds, money is in USDT."""

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Final

from msgspec import Struct

from guardd.model.names import MarginMode, PositionMode, Severity, Side
from guardd.policy.cases.notation import Gap, Sample


class Bracket(Struct, frozen=True, kw_only=True):
    """A margin tier up to this notional: maintenance margin as a share of it, and the leverage it allows."""

    up_to: Decimal
    maintenance: Decimal
    max_leverage: Decimal


class Listing(Struct, frozen=True, kw_only=True):
    """An instrument of the case's exchange. Sizes in contracts of `contract_size` base coin, prices in the quote coin."""

    symbol: str
    tick: Decimal
    step: Decimal
    contract_size: Decimal
    min_size: Decimal
    max_market_size: Decimal
    taker_fee: Decimal
    tiers: tuple[Bracket, ...]


class VenueKind(StrEnum):
    """At which venue the account is: what that can do, and what `match: {venue: …}` sees (`bitget` for both of its kinds)."""

    SIMULATED = "simulated"
    BITMART = "bitmart"
    BITGET = "bitget"
    BITGET_UNIFIED = "bitget-unified"


class Owner(Struct, frozen=True, kw_only=True):
    """The account. `equity`: at the first prices; `leverage` and `margin_mode` hold where a position says none."""

    name: str = "main"
    venue: VenueKind = VenueKind.SIMULATED
    equity: Decimal = Decimal(0)
    spot: Decimal = Decimal(0)
    margin_mode: MarginMode = MarginMode.ISOLATED
    position_mode: PositionMode = PositionMode.HEDGE
    leverage: Decimal = Decimal(10)


class Holding(Struct, frozen=True, kw_only=True):
    """A position that is held from the start, or opened (at `entry`) so many seconds after it."""

    symbol: str
    side: Side
    quantity: Decimal
    entry: Decimal
    margin_mode: MarginMode
    leverage: Decimal
    margin: Decimal | None = None
    """Isolated: what is assigned to it; None: what its leverage asks for."""
    opens_s: Decimal = Decimal(0)


class Entering(Struct, frozen=True, kw_only=True):
    """A limit order that would enlarge a position; it rests from the start, or is placed so many seconds after it."""

    symbol: str
    side: Side
    price: Decimal
    quantity: Decimal
    placed_s: Decimal = Decimal(0)


class TrackKind(StrEnum):
    """What a series tells."""

    MARK = "mark"
    INDEX = "index"
    LAST = "last"
    FRAME = "frame"
    """What the stream says instead of the mark: a bad price."""
    EQUITY = "equity"
    WALLET = "wallet"
    FUNDING = "funding"
    """A settlement in this step at this rate: a long pays that share of its notional, a short receives it."""
    FAULT = "fault"


class Trouble(StrEnum):
    """A fault of the venue, or the operator's halt, that a series of 0 and 1 switches."""

    UNREADABLE_POSITIONS = "unreadable_positions"
    UNREADABLE_BALANCE = "unreadable_balance"
    UNREADABLE_ORDERS = "unreadable_orders"
    SILENT_STREAMS = "silent_streams"
    """Both streams are down; reads go on."""
    BLOCKED = "blocked"
    """A block before the API: no read and no write gets through."""
    REJECTED = "rejected"
    """Every write is rejected."""
    UNANSWERED = "unanswered"
    """Writes are carried out, and no answer comes."""
    LOST = "lost"
    """Writes are not carried out, and no answer comes."""
    HALTED = "halted"
    """The operator said `halt`; 0 is `resume`."""


class Track(Struct, frozen=True, kw_only=True):
    """One series. `of` is a symbol, a coin, or the name of a fault."""

    kind: TrackKind
    of: str
    samples: tuple[Sample, ...]
    line: int = 0

    def at(self, step: int) -> Sample:
        """The sample of a step; after the last the last goes on."""
        return self.samples[min(step, len(self.samples) - 1)]

    def number_at(self, step: int) -> Decimal | None:
        """The newest number by this step: while nothing is seen, the market stands."""
        numbers = (each for each in reversed(self.samples[: step + 1]) if not isinstance(each, Gap))
        return next(numbers, None)

    def stale_at(self, step: int) -> bool:
        """`stale` lasts until the next number, through steps in which nothing is seen."""
        words = (each for each in reversed(self.samples[: step + 1]) if each is not Gap.MISSING)
        return next(words, None) is Gap.STALE


class Expected(Struct, frozen=True, kw_only=True):
    """A decision that must be made within the step that begins at `at_s`. What is None may be anything."""

    at_s: Decimal
    line: int
    rule: str
    action: str
    symbol: str | None = None
    side: Side | None = None
    figures: Mapping[str, Decimal] = {}
    """By name, of `FIGURES`."""
    severity: Severity | None = None


class Telling(Struct, frozen=True, kw_only=True):
    """Something that people must be told within that step: the words must be in it. Other things may be told besides."""

    at_s: Decimal
    line: int
    words: str
    severity: Severity | None = None


FIGURES: Final = ("size", "price", "leverage", "amount")
"""What a decision can say in numbers: contracts, a trigger price, a leverage, money."""


class Case(Struct, frozen=True, kw_only=True):
    """One course of things, and what must follow from it."""

    name: str
    line: int
    interval_s: Decimal
    start_s: Decimal
    """Seconds after 00:00 UTC at which it begins."""
    lasts_s: Decimal
    owner: Owner
    listings: tuple[Listing, ...]
    holdings: tuple[Holding, ...]
    entering: tuple[Entering, ...]
    tracks: tuple[Track, ...]
    decisions: tuple[Expected, ...]
    told: tuple[Telling, ...]

    @property
    def steps(self) -> int:
        """How many steps follow the one at 0 s."""
        return int(self.lasts_s / self.interval_s)

    def step_at(self, seconds: Decimal) -> int:
        """The step that this moment belongs to."""
        return int(seconds / self.interval_s)

    def track(self, kind: TrackKind, of: str) -> Track | None:
        """The series of that name."""
        return next((each for each in self.tracks if each.kind is kind and each.of == of), None)

    def listing(self, symbol: str) -> Listing:
        """The instrument of that symbol; the case has been read, so it is there."""
        return next(each for each in self.listings if each.symbol == symbol)


class CaseFile(Struct, frozen=True, kw_only=True):
    """A file of cases that was read and found whole. `policy` as the file names it, relative to itself."""

    policy: str | None
    cases: tuple[Case, ...]
    source: str = ""
