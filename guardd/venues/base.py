"""The seam between guardd and a venue. A dialect implements these protocols; nobody else knows its words.

Reads return events' values or raise `guardd.errors.VenueError`; writes return an `Outcome` and never raise for anything the
network or the venue did. Every call has a deadline of its own (transport). A closed adapter is never used again.
"""

from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from decimal import Decimal
from enum import Enum, auto
from typing import Protocol, TypeAlias

from guardd.model.account import Balance
from guardd.model.capabilities import Capabilities
from guardd.model.event import Event, MarkSeen, OrdersRead, PositionsRead, StreamName
from guardd.model.flow import Flow
from guardd.model.instrument import Instrument
from guardd.model.intent import MovesMoney, Write
from guardd.model.moved import MoneyRecord
from guardd.model.names import ClientId, MarginMode, OrderId, PositionKey, PositionMode, Symbol, VenueName
from guardd.model.order import OrderReport
from guardd.model.outcome import Outcome
from guardd.venues.limiter import Lane


class Heard(Enum):
    """What an ear made of an event."""

    NOT_TAKEN = auto()
    TAKEN = auto()
    GIVE_WAY = auto()
    """Taken, and an order is on its way: whoever carries it goes before the next frame."""


Ear: TypeAlias = Callable[[Event], Heard]
Early: TypeAlias = Callable[[tuple[Instrument, ...]], None]
"""Given contracts of which not everything is known yet."""


def nobody(_: tuple[Instrument, ...], /) -> None:
    """Waits until all is known."""


class Venue(Protocol):
    """One account at one venue, as the daemon sees it: it can read everything and only ever close."""

    @property
    def name(self) -> VenueName: ...

    @property
    def capabilities(self) -> Capabilities:
        """What every account of the venue can do; after `open` what this one can."""
        ...

    @property
    def family(self) -> str:
        """Which kind of account this is, where the venue has several and `open` found out; else empty."""
        ...

    async def open(self) -> None:
        """Learn the clock offset and the account's family; warm the order connection. Raises `VenueUnreachable`."""
        ...

    async def close(self) -> None:
        """Stop intake, let what is being sent finish, close the sockets."""
        ...

    async def prove_key(self, *, deadline_s: float = 5.0) -> None:
        """One signed request that changes nothing. Raises `CredentialsError` when the venue refuses key or signature.

        Raises `VenueBusy` at once when the budget of that call has no room within the deadline.
        """
        ...

    async def clock_offset_ms(self) -> int:
        """Venue time minus local wall time, measured now; the adapter signs with it from here on."""
        ...

    async def instruments(self, symbols: Collection[Symbol], *, early: Early = nobody) -> tuple[Instrument, ...]:
        """Contract details, fees and margin tiers of these symbols.

        Tiers may take a call for each symbol: `early` is given all of them without tiers, and with the listed fees, as soon as the
        contracts are known.

        One that the adapter knows and can't guard (inverse) is given with its reason (`Instrument.unguarded`), or left out.
        """
        ...

    async def positions(self) -> PositionsRead:
        """Every open position, from the authority."""
        ...

    async def balances(self) -> tuple[Balance, ...]:
        """What stands behind the positions: one of each settlement coin, the first configured first, or one pool."""
        ...

    async def ledger(self, *, since_ms: int) -> tuple[Flow, ...]:
        """Every row of the venue's ledger from that moment (its time) on. Raises `PayloadError` for a list that has no end."""
        ...

    async def position_mode(self) -> PositionMode: ...

    async def orders(self, *, resting: bool = True, plans: bool = True) -> OrdersRead:
        """Resting and plan orders of the whole account; a list that may be cut off is completed symbol by symbol."""
        ...

    async def mark(self, symbol: Symbol) -> MarkSeen:
        """The mark price by REST, deadline 500 ms (I28)."""
        ...

    async def find_order(
        self, key: PositionKey, *, client_id: ClientId | None, order_id: OrderId | None
    ) -> OrderReport | None:
        """Look one order up, finished ones included; None when the venue says that it doesn't know it."""
        ...

    async def money_moved(self, write: MovesMoney, *, since_ms: int) -> tuple[MoneyRecord, ...]:
        """What the venue's own records show of moves like this one since then (its own wall time): evidence for an unknown one."""
        ...

    async def send(
        self, write: Write, *, client_id: ClientId, position_mode: PositionMode, lane: Lane, deadline_s: float
    ) -> Outcome:
        """Carry out one write that opens nothing. Waits for a token in `lane` at most until the deadline."""
        ...

    def stream(self, ear: Ear | None = None) -> AsyncGenerator[Event, None]:
        """Marks, positions, orders and balance as they are pushed, and `StreamMoved` at each edge. Reconnects for ever.

        `ear` is offered each event where it arrives, before anything is queued; what it takes doesn't come out here.
        """
        ...

    def watch(self, symbols: Collection[Symbol]) -> None:
        """Which symbols' marks the public stream carries; takes effect at once and on each reconnect."""
        ...

    def tokens(self) -> Mapping[str, int]:
        """Calls left to ordinary traffic, by bucket."""
        ...

    def last_frame_ns(self) -> Mapping[StreamName, int]:
        """Monotonic ns of each stream's last frame, 0 before the first."""
        ...


class OperatorVenue(Protocol):
    """What an operator's single steps may do and the daemon can't: `guardd account …` builds one, `wiring` never does."""

    async def open_position(
        self, key: PositionKey, *, size: Decimal, price: Decimal | None, leverage: Decimal, isolated: bool
    ) -> Outcome:
        """Open or enlarge; refused by the command line outside demo environments and the simulator."""
        ...

    async def close_position(self, key: PositionKey, *, size: Decimal, price: Decimal | None) -> Outcome: ...

    async def set_position_mode(self, mode: PositionMode) -> Outcome:
        """Only after a check that no position and no order is open."""
        ...

    async def set_leverage(self, symbol: Symbol, *, leverage: Decimal, isolated: bool) -> Outcome: ...

    async def live_leverage(self, symbol: Symbol, deadline_s: float) -> tuple[Decimal, MarginMode] | None:
        """Leverage and margin mode as they stand at the venue, a position or not; None where it doesn't say."""
        ...

    async def close(self) -> None:
        """Let what is being sent finish. The wire belongs to whoever built it."""
        ...

    async def transfer(self, *, amount: Decimal, into_futures: bool) -> Outcome: ...
