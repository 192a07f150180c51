"""One BitMart futures account, as the daemon sees it: reads everything, and sends nothing that could open a position (I30)."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection
from typing import Final

from guardd.errors import VenueBusy, VenueError, VenueUnreachable
from guardd.model.account import Balance
from guardd.model.capabilities import Capabilities
from guardd.model.event import Event, MarkSeen, OrdersRead, PositionsPushed, PositionsRead, StreamName
from guardd.model.facts import ClockOffsetRead
from guardd.model.flow import Flow
from guardd.model.instant import NS_PER_S
from guardd.model.instrument import Instrument
from guardd.model.intent import MovesMoney, Write
from guardd.model.moved import MoneyRecord
from guardd.model.names import ClientId, OrderId, PositionKey, PositionMode, Severity, Side, Symbol, VenueName
from guardd.model.order import OrderReport
from guardd.model.outcome import Outcome
from guardd.venues.base import Ear, Early, nobody
from guardd.venues.bitmart.api import READ_DEADLINE_S, common_headers
from guardd.venues.bitmart.connection import VENUE, Access, connection
from guardd.venues.bitmart.hosts import PRIVATE_SOCKET, PUBLIC_SOCKET
from guardd.venues.bitmart.parse.account import ALIVE_TRANSFERS, FINISHED_TRANSFER
from guardd.venues.bitmart.stream import (
    ACKNOWLEDGE_WITHIN_S,
    PING_EVERY_S,
    PING_FRAME,
    SILENCE_S,
    PrivateTalk,
    PublicTalk,
)
from guardd.venues.bitmart.writes import Writes
from guardd.venues.limiter import Lane
from guardd.venues.stream import Conversation, Link, LinkTerms, Mailbox, keep_connected

CAPABILITIES: Final = Capabilities(
    whole_position_protection=True,
    sized_protection=True,
    plan_protection=True,
    modify_protection=True,
    several_whole_stops=False,  # a second one of a kind may be refused (11.1)
    client_id_on_plan=False,
    add_margin=False,  # no call exists (12.2)
    set_leverage=True,
    top_up=True,
    cross_liquidation_price=False,
    positions_repeated=True,  # each 10 s (14.8)
    close_sides_follow_mode=False,  # 2 and 3 close in both modes (10.1)
    lookup_delay_s=3.0,
)
DRAIN_S: Final = 5.0
PROVED_BY_TRANSFERS_OF_MS: Final = 60_000
PUSHED_SIDE_FRESH_S: Final = 30.0
"""A side that the stream told longer ago than three of its pushes says nothing any more (14.8: one every 10 s)."""


class BitmartVenue:
    """Implements `guardd.venues.base.Venue`."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._clock = access.clock
        self._mailbox = Mailbox()
        parts = connection(access, self._mailbox.put)
        self._transport, self._api, self._reads = parts.transport, parts.api, parts.reads
        self._writes = Writes(api=parts.api, reads=parts.reads, clock=access.clock)
        self._watched: frozenset[Symbol] = frozenset()
        self._pushed: dict[Symbol, tuple[Side, int]] = {}
        self._clock_doubted = asyncio.Event()
        self._public = self._link(StreamName.PUBLIC, PUBLIC_SOCKET, lambda: PublicTalk(tell=access.tell))
        self._private = self._link(StreamName.PRIVATE, PRIVATE_SOCKET, self._private_talk)

    @property
    def name(self) -> VenueName:
        return VENUE

    @property
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    @property
    def family(self) -> str:
        """It has one kind of account."""
        return ""

    async def open(self) -> None:
        """Learn the clock offset and warm the order connection; tell of announced maintenance."""
        await self._transport.probe_if_due(self._api.probe())
        try:
            await self.clock_offset_ms()
        except (VenueUnreachable, VenueBusy):
            raise
        except VenueError as error:
            raise VenueUnreachable(f"bitmart: its time can't be read: {error}") from error
        await self._transport.warm(self._api.probe())
        await self._tell_notices()

    async def close(self) -> None:
        """Stop intake and let what is being sent finish. The wire belongs to whoever built it."""
        await self._transport.drain(DRAIN_S)

    async def prove_key(self, *, deadline_s: float = READ_DEADLINE_S) -> None:
        """The list of transfers is the one signed call that only reads (12.5)."""
        since_ms = self._clock.now().wall_ms - PROVED_BY_TRANSFERS_OF_MS
        await self._reads.transfers(since_ms=since_ms, deadline_s=deadline_s)

    async def clock_offset_ms(self) -> int:
        offset_ms = await self._api.measure_time()
        self._access.listener(ClockOffsetRead(account=self._access.account, venue=VENUE, offset_ms=offset_ms))
        return offset_ms

    async def instruments(self, symbols: Collection[Symbol], *, early: Early = nobody) -> tuple[Instrument, ...]:
        return await self._reads.instruments(symbols, early=early)

    async def positions(self) -> PositionsRead:
        now_ns = self._clock.monotonic_ns()
        fresh_ns = int(PUSHED_SIDE_FRESH_S * NS_PER_S)
        fresh = {symbol: side for symbol, (side, at_ns) in self._pushed.items() if now_ns - at_ns <= fresh_ns}
        return await self._reads.positions(fresh)

    async def balances(self) -> tuple[Balance, ...]:
        return (await self._reads.balance(),)

    async def ledger(self, *, since_ms: int) -> tuple[Flow, ...]:
        return await self._reads.flows(since_ms=since_ms)

    async def position_mode(self) -> PositionMode:
        return await self._reads.position_mode()

    async def orders(self, *, resting: bool = True, plans: bool = True) -> OrdersRead:
        return await self._reads.orders(self._watched | self._reads.held, resting=resting, plans=plans)

    async def mark(self, symbol: Symbol) -> MarkSeen:
        return await self._reads.mark(symbol)

    async def find_order(
        self, key: PositionKey, *, client_id: ClientId | None, order_id: OrderId | None
    ) -> OrderReport | None:
        """Resting, waiting and finished orders. For a plan order that fired: the order that it gave birth to."""
        return await self._reads.find_order(key.symbol, client_id=client_id, order_id=order_id)

    async def money_moved(self, write: MovesMoney, *, since_ms: int) -> tuple[MoneyRecord, ...]:
        """The list of transfers into futures (12.5)."""
        rows = await self._reads.transfers(since_ms=since_ms)
        return tuple(
            MoneyRecord(id=OrderId(row.id), amount=row.amount, at_ms=row.at_ms, done=row.state == FINISHED_TRANSFER)
            for row in rows
            if row.into_futures
            and row.currency == write.currency
            and row.state in ALIVE_TRANSFERS
            and row.at_ms >= since_ms
        )

    async def send(
        self, write: Write, *, client_id: ClientId, position_mode: PositionMode, lane: Lane, deadline_s: float
    ) -> Outcome:
        """The sides that close are the same in both position modes here (10.1), so `position_mode` changes nothing."""
        return await self._writes.send(write, client_id=client_id, lane=lane, deadline_s=deadline_s)

    def stream(self, ear: Ear | None = None) -> AsyncGenerator[Event, None]:
        beside = (self._tend, self._mend_clock)
        return keep_connected(self._public, self._private, beside=beside, mailbox=self._mailbox, ear=ear)

    def watch(self, symbols: Collection[Symbol]) -> None:
        self._watched = frozenset(symbols)
        self._public.watch(self._watched)

    def tokens(self) -> dict[str, int]:
        """Calls left to ordinary traffic, by bucket (guardd_rate_limit_tokens)."""
        return self._transport.tokens()

    def last_frame_ns(self) -> dict[StreamName, int]:
        """Monotonic ns of each stream's last frame, 0 before the first (guardd_stream_last_frame_timestamp_seconds)."""
        return {link.stream: link.last_frame_ns for link in (self._public, self._private)}

    def _link(self, stream: StreamName, path: str, conversation: Callable[[], Conversation]) -> Link:
        terms = LinkTerms(
            stream=stream,
            url=f"{self._access.hosts.stream}{path}",
            headers=common_headers(self._access.broker_id),
            ping_frame=PING_FRAME,
            ping_every_s=PING_EVERY_S,
            silence_s=SILENCE_S,
            acknowledge_within_s=ACKNOWLEDGE_WITHIN_S,
        )
        return Link(
            terms=terms,
            conversation=conversation,
            wire=self._access.wire,
            clock=self._clock,
            random=self._access.random,
            account=self._access.account,
            venue=VENUE,
            listener=self._access.listener,
        )

    def _private_talk(self) -> PrivateTalk:
        return PrivateTalk(
            account=self._access.account,
            credentials=self._access.credentials,
            timestamp_ms=self._api.time.timestamp_ms,
            pushed=self._note_sides,
            login_refused=self._login_refused,
        )

    def _note_sides(self, push: PositionsPushed) -> None:
        for update in push.updates:
            if update.quantity:
                self._pushed[update.key.symbol] = (update.key.side, push.at.mono_ns)

    def _login_refused(self, why: str) -> None:
        """Key, memo or clock (14.2): the clock is measured before the next try, a human is told."""
        self._access.tell("login-refused", f"BitMart refuses the private stream's login: {why}", Severity.CRITICAL)
        self._clock_doubted.set()

    async def _tend(self) -> None:
        await self._transport.tend(self._api.probe(), self._public.watched)

    async def _mend_clock(self) -> None:
        """For ever: measure the venue's time whenever a login was refused."""
        while True:
            await self._clock_doubted.wait()
            self._clock_doubted.clear()
            try:
                await self.clock_offset_ms()
            except VenueError as error:
                self._access.tell("clock", f"BitMart's time can't be read: {error}")

    async def _tell_notices(self) -> None:
        """Announced maintenance is worth knowing, and no reason not to start."""
        try:
            notices = await self._reads.service_notices()
        except VenueError:
            return
        for notice in notices:
            if notice.concerns_futures:
                self._access.tell(f"maintenance-{notice.start_ms}", f"BitMart announces: {notice.title}")
