"""One Bitget account, as the daemon sees it, whatever its family: that is found out when it is opened (UTA reference, 2)."""

from collections.abc import AsyncGenerator, Collection
from typing import Final, assert_never

from msgspec import structs

from guardd.errors import CredentialsError, VenueBusy, VenueError, VenueUnreachable
from guardd.model.account import Balance
from guardd.model.capabilities import Capabilities
from guardd.model.event import BlockMoved, Event, MarkSeen, OrdersRead, PositionsRead, StreamName
from guardd.model.facts import ClockOffsetRead
from guardd.model.flow import Flow
from guardd.model.instrument import Instrument
from guardd.model.intent import MovesMoney, Write
from guardd.model.moved import MoneyRecord
from guardd.model.names import ClientId, OrderId, PositionKey, PositionMode, Symbol, VenueName
from guardd.model.order import OrderReport
from guardd.model.outcome import Outcome, Reason, Rejected
from guardd.venues.base import Ear, Early, Venue, nobody
from guardd.venues.bitget.api import READ_DEADLINE_S, FamilyDenied, Notice
from guardd.venues.bitget.classic.venue import ClassicVenue
from guardd.venues.bitget.classic.venue import capabilities as classic_capabilities
from guardd.venues.bitget.connection import VENUE, Access, connection
from guardd.venues.bitget.family import Family, FamilyWatch, detect
from guardd.venues.bitget.unified.venue import CAPABILITIES as UNIFIED_CAPABILITIES
from guardd.venues.bitget.unified.venue import UnifiedVenue
from guardd.venues.limiter import Lane
from guardd.venues.stream import Mailbox

DRAIN_S: Final = 5.0
_NOT_OPEN: Final = "bitget: this account isn't open: its family isn't known yet"


def common_capabilities(one: Capabilities, other: Capabilities) -> Capabilities:
    """What both can do; what has to be kept for either (`close_sides_follow_mode`), and the longer delay."""
    both = {
        each.name: getattr(one, each.name) and getattr(other, each.name)
        for each in structs.fields(Capabilities)
        if each.type is bool
    }
    follow = one.close_sides_follow_mode or other.close_sides_follow_mode
    delay_s = max(one.lookup_delay_s, other.lookup_delay_s)
    return Capabilities(**{**both, "close_sides_follow_mode": follow, "lookup_delay_s": delay_s})


COMMON: Final = common_capabilities(classic_capabilities(hedge=False), UNIFIED_CAPABILITIES)


class BitgetVenue:
    """Implements `guardd.venues.base.Venue`.

    Before `open` reads raise `VenueUnreachable` and nothing is sent; afterwards everything is done by the family's own adapter, as
    long as the venue doesn't say that the account is of another family.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self._mailbox = Mailbox()
        self._parts = connection(access, self._noticed)
        self._watch = FamilyWatch(find=self._find, tell=access.tell, clock=access.clock)
        self._inner: Venue | None = None
        self._watched: frozenset[Symbol] = frozenset()

    @property
    def name(self) -> VenueName:
        return VENUE

    @property
    def capabilities(self) -> Capabilities:
        return COMMON if self._inner is None else self._inner.capabilities

    @property
    def family(self) -> str:
        return "" if self._inner is None else self._inner.family

    async def open(self) -> None:
        """Learn the clock offset and the family, open that family's adapter, warm the order connection.

        Raises `VenueUnreachable` for whatever a later try may mend, `CredentialsError` for a key that the venue refuses.
        """
        await self._parts.transport.probe_if_due(self._parts.api.probe())
        try:
            await self.clock_offset_ms()
            inner = self._adapter(await self._watch.learn())
            await inner.open()
        except (VenueUnreachable, VenueBusy, CredentialsError):
            raise
        except VenueError as error:
            raise VenueUnreachable(f"bitget: the account can't be opened: {error}") from error
        self._inner = inner
        inner.watch(self._watched)
        await self._parts.transport.warm(self._parts.api.probe())

    async def close(self) -> None:
        """Stop intake and let what is being sent finish. The wire belongs to whoever built it."""
        if self._inner is not None:
            await self._inner.close()
        else:
            await self._parts.transport.drain(DRAIN_S)

    async def prove_key(self, *, deadline_s: float = READ_DEADLINE_S) -> None:
        await (await self._certain()).prove_key(deadline_s=deadline_s)

    async def clock_offset_ms(self) -> int:
        offset_ms = await self._parts.api.measure_time()
        self._access.listener(ClockOffsetRead(account=self._access.account, venue=VENUE, offset_ms=offset_ms))
        return offset_ms

    async def instruments(self, symbols: Collection[Symbol], *, early: Early = nobody) -> tuple[Instrument, ...]:
        return await (await self._certain()).instruments(symbols, early=early)

    async def positions(self) -> PositionsRead:
        return await (await self._certain()).positions()

    async def balances(self) -> tuple[Balance, ...]:
        return await (await self._certain()).balances()

    async def ledger(self, *, since_ms: int) -> tuple[Flow, ...]:
        return await (await self._certain()).ledger(since_ms=since_ms)

    async def position_mode(self) -> PositionMode:
        return await (await self._certain()).position_mode()

    async def orders(self, *, resting: bool = True, plans: bool = True) -> OrdersRead:
        return await (await self._certain()).orders(resting=resting, plans=plans)

    async def mark(self, symbol: Symbol) -> MarkSeen:
        """Prices are public and of no family."""
        return await self._opened().mark(symbol)

    async def find_order(
        self, key: PositionKey, *, client_id: ClientId | None, order_id: OrderId | None
    ) -> OrderReport | None:
        return await (await self._certain()).find_order(key, client_id=client_id, order_id=order_id)

    async def money_moved(self, write: MovesMoney, *, since_ms: int) -> tuple[MoneyRecord, ...]:
        return await (await self._certain()).money_moved(write, since_ms=since_ms)

    async def send(
        self, write: Write, *, client_id: ClientId, position_mode: PositionMode, lane: Lane, deadline_s: float
    ) -> Outcome:
        if self._inner is None:
            return Rejected(reason=Reason.NOT_SENT, code="", text=_NOT_OPEN)
        if (refusal := self._watch.refusal()) is not None:
            return refusal
        return await self._inner.send(
            write, client_id=client_id, position_mode=position_mode, lane=lane, deadline_s=deadline_s
        )

    def stream(self, ear: Ear | None = None) -> AsyncGenerator[Event, None]:
        return self._opened().stream(ear)

    def watch(self, symbols: Collection[Symbol]) -> None:
        self._watched = frozenset(symbols)
        if self._inner is not None:
            self._inner.watch(self._watched)

    def tokens(self) -> dict[str, int]:
        """Calls left to ordinary traffic, by bucket (guardd_rate_limit_tokens)."""
        return self._parts.transport.tokens()

    def last_frame_ns(self) -> dict[StreamName, int]:
        """Monotonic ns of each stream's last frame, 0 before the first (guardd_stream_last_frame_timestamp_seconds)."""
        return dict.fromkeys(StreamName, 0) if self._inner is None else dict(self._inner.last_frame_ns())

    def _adapter(self, family: Family) -> Venue:
        match family:
            case Family.CLASSIC:
                return ClassicVenue(self._access, self._parts, self._mailbox)
            case Family.UNIFIED:
                return UnifiedVenue(self._access, self._parts, self._mailbox)
            case _:
                assert_never(family)

    def _opened(self) -> Venue:
        if self._inner is None:
            raise VenueUnreachable(_NOT_OPEN)
        return self._inner

    async def _certain(self) -> Venue:
        """The adapter, where the account is still what it was opened as."""
        inner = self._opened()
        await self._watch.certain()
        return inner

    async def _find(self) -> Family:
        return await detect(self._parts.api, product_type=self._access.product_types[0])

    def _noticed(self, notice: Notice) -> None:
        match notice:
            case FamilyDenied():
                self._watch.denied(notice)
            case BlockMoved():
                self._mailbox.put(notice)
            case _:
                assert_never(notice)
