"""One unified account, as the daemon sees it: reads everything, and sends nothing that could open a position (I30)."""

from collections.abc import AsyncGenerator, Collection
from typing import Final

from msgspec.structs import replace

from guardd.errors import CredentialsError, VenueError
from guardd.model.account import Balance
from guardd.model.capabilities import Capabilities
from guardd.model.event import Event, InstrumentsRead, MarkSeen, OrdersRead, PositionsRead, StreamName
from guardd.model.facts import ClockOffsetRead
from guardd.model.flow import Flow
from guardd.model.instrument import Instrument
from guardd.model.intent import MovesMoney, Write
from guardd.model.moved import MoneyRecord
from guardd.model.names import ClientId, OrderId, PositionKey, PositionMode, Symbol, VenueName
from guardd.model.order import OrderReport
from guardd.model.outcome import Outcome
from guardd.venues.base import Ear, Early, nobody
from guardd.venues.bitget.admission import Admission
from guardd.venues.bitget.api import READ_DEADLINE_S
from guardd.venues.bitget.connection import VENUE, Access, Connection
from guardd.venues.bitget.frames import Topic
from guardd.venues.bitget.hosts import UNIFIED_PRIVATE_SOCKET, UNIFIED_PUBLIC_SOCKET
from guardd.venues.bitget.sockets import link
from guardd.venues.bitget.talk import PrivateTalk, PublicTalk
from guardd.venues.bitget.unified.money import records
from guardd.venues.bitget.unified.parse.ticker import ticker
from guardd.venues.bitget.unified.parse.words import Category
from guardd.venues.bitget.unified.reads import Reads
from guardd.venues.bitget.unified.stream import OPTIONAL_TOPICS, PRIVATE_TOPICS, Pushes, ticker_topic
from guardd.venues.bitget.unified.writes import Writes
from guardd.venues.limiter import Lane
from guardd.venues.stream import Mailbox, keep_connected

FAMILY: Final = "unified"
CAPABILITIES: Final = Capabilities(
    whole_position_protection=True,
    sized_protection=True,
    plan_protection=False,  # a trigger order can open a position (10.1)
    modify_protection=True,
    several_whole_stops=False,  # what a second one does isn't known (16.11)
    client_id_on_plan=True,
    add_margin=True,
    set_leverage=True,
    top_up=True,
    cross_liquidation_price=True,
    close_sides_follow_mode=True,  # posSide in hedge mode, reduceOnly in one-way (9.1)
    positions_at_rest_s=2.0,  # "steady polling" (12.1)
    lookup_delay_s=3.0,
)
DRAIN_S: Final = 5.0
FUNDED_IN: Final = "USDT"
_MS_PER_S: Final = 1_000


class UnifiedVenue:
    """Implements `guardd.venues.base.Venue` for an account that is known to be unified."""

    def __init__(self, access: Access, parts: Connection, mailbox: Mailbox) -> None:
        self._access = access
        self._mailbox = mailbox
        self._transport, self._api = parts.transport, parts.api
        self._reads = reads_of(access, parts)
        self._writes = Writes(api=parts.api, reads=self._reads, clock=access.clock)
        self._admission = Admission(tell=access.tell, measure_time=self.clock_offset_ms)
        self._public = link(
            access, stream=StreamName.PUBLIC, path=UNIFIED_PUBLIC_SOCKET, conversation=self._public_talk
        )
        self._private = link(
            access,
            stream=StreamName.PRIVATE,
            path=UNIFIED_PRIVATE_SOCKET,
            conversation=self._private_talk,
            keep_away_s=self._admission.pause_s,
        )

    @property
    def name(self) -> VenueName:
        return VENUE

    @property
    def capabilities(self) -> Capabilities:
        return replace(CAPABILITIES, spot_balance=self._writes.funding_read)

    @property
    def family(self) -> str:
        return FAMILY

    async def open(self) -> None:
        """Whose key it is, how the account trades, which contracts there are. The clock and the connections are the facade's."""
        self._reads.warnings.of_identity(await self._reads.identity())
        await self._reads.read_settings()
        await self._reads.load_contracts()
        self._writes.funding_read = await self._may_read_funding()

    async def close(self) -> None:
        """Stop intake and let what is being sent finish. The wire belongs to whoever built it."""
        await self._transport.drain(DRAIN_S)

    async def prove_key(self, *, deadline_s: float = READ_DEADLINE_S) -> None:
        """account/info needs no permission, only a key (7.3)."""
        await self._reads.identity(deadline_s)

    async def clock_offset_ms(self) -> int:
        offset_ms = await self._api.measure_time()
        self._access.listener(ClockOffsetRead(account=self._access.account, venue=VENUE, offset_ms=offset_ms))
        return offset_ms

    async def instruments(self, symbols: Collection[Symbol], *, early: Early = nobody) -> tuple[Instrument, ...]:
        return await self._reads.instruments(symbols, early=early)

    async def positions(self) -> PositionsRead:
        """A symbol that came to be held in both margin modes is told as unguarded at once, and one that no longer is as guarded."""
        read = await self._reads.positions()
        if changed := self._reads.reguarded():
            self._mailbox.put(InstrumentsRead(at=read.at, instruments=changed))
        return read

    async def balances(self) -> tuple[Balance, ...]:
        return await self._reads.balances()

    async def ledger(self, *, since_ms: int) -> tuple[Flow, ...]:
        return await self._reads.flows(since_ms)

    async def position_mode(self) -> PositionMode:
        """Read with the account's mode and level: a conversion of the account is noticed here (12.1)."""
        return await self._reads.position_mode()

    async def orders(self, *, resting: bool = True, plans: bool = True) -> OrdersRead:
        return await self._reads.orders(resting=resting, plans=plans)

    async def mark(self, symbol: Symbol) -> MarkSeen:
        return await self._reads.mark(symbol)

    async def find_order(
        self, key: PositionKey, *, client_id: ClientId | None, order_id: OrderId | None
    ) -> OrderReport | None:
        """Resting, waiting and finished orders. For a stop that fired: the order that it gave birth to."""
        return await self._reads.find_order(key.symbol, client_id=client_id, order_id=order_id)

    async def money_moved(self, write: MovesMoney, *, since_ms: int) -> tuple[MoneyRecord, ...]:
        """Rows of the ledger (7.8)."""
        category = self._reads.category_of(write.key.symbol) or Category.USDT
        return await records(self._reads, write, category, since_ms=since_ms)

    async def send(
        self, write: Write, *, client_id: ClientId, position_mode: PositionMode, lane: Lane, deadline_s: float
    ) -> Outcome:
        return await self._writes.send(
            write, client_id=client_id, position_mode=position_mode, lane=lane, deadline_s=deadline_s
        )

    def stream(self, ear: Ear | None = None) -> AsyncGenerator[Event, None]:
        beside = (self._tend, self._admission.mend_clock)
        return keep_connected(self._public, self._private, beside=beside, mailbox=self._mailbox, ear=ear)

    def watch(self, symbols: Collection[Symbol]) -> None:
        self._public.watch(symbols)

    def tokens(self) -> dict[str, int]:
        """Calls left to ordinary traffic, by bucket (guardd_rate_limit_tokens)."""
        return self._transport.tokens()

    def last_frame_ns(self) -> dict[StreamName, int]:
        """Monotonic ns of each stream's last frame, 0 before the first (guardd_stream_last_frame_timestamp_seconds)."""
        return {each.stream: each.last_frame_ns for each in (self._public, self._private)}

    def _public_talk(self) -> PublicTalk:
        return PublicTalk(topic_of=self._ticker_topic, price=ticker, tell=self._access.tell)

    def _private_talk(self) -> PrivateTalk:
        return PrivateTalk(
            credentials=self._access.credentials,
            now_s=lambda: self._api.time.timestamp_ms() // _MS_PER_S,
            topics=PRIVATE_TOPICS,
            optional=OPTIONAL_TOPICS,
            read=Pushes(account=self._access.account, reads=self._reads).read,
            admission=self._admission,
        )

    def _ticker_topic(self, symbol: Symbol) -> Topic:
        """A symbol that no list has is asked for where most are; the venue's refusal is told."""
        return ticker_topic(self._reads.category_of(symbol) or Category.USDT, symbol)

    async def _may_read_funding(self) -> bool:
        """Without it a top-up is tried once, and the venue says whether the money is there."""
        try:
            await self._reads.funding_balance(FUNDED_IN)
        except (VenueError, CredentialsError):
            return False
        return True

    async def _tend(self) -> None:
        await self._transport.tend(self._api.probe(), self._public.watched)


def reads_of(access: Access, parts: Connection) -> Reads:
    """The reads of an account, which is read whole: `access.product_types` are a classic account's lines."""
    return Reads(api=parts.api, account=access.account, clock=access.clock, tell=access.tell)
