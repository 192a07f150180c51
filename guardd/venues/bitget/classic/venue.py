"""One classic Bitget account, as the daemon sees it: reads everything, and sends nothing that could open a position (I30)."""

from collections.abc import AsyncGenerator, Collection
from typing import Final

from guardd.errors import CredentialsError, VenueError
from guardd.model.account import Balance
from guardd.model.capabilities import Capabilities
from guardd.model.event import Event, MarkSeen, OrdersRead, PositionsRead, StreamName
from guardd.model.facts import ClockOffsetRead
from guardd.model.flow import Flow
from guardd.model.instrument import Instrument
from guardd.model.intent import MovesMoney, Write
from guardd.model.moved import MoneyRecord
from guardd.model.names import ClientId, OrderId, PositionKey, PositionMode, Severity, Symbol, VenueName
from guardd.model.order import OrderReport
from guardd.model.outcome import Outcome
from guardd.venues.base import Ear, Early, nobody
from guardd.venues.bitget.admission import Admission
from guardd.venues.bitget.api import READ_DEADLINE_S
from guardd.venues.bitget.classic.money import records, spot_balance
from guardd.venues.bitget.classic.parse.ticker import ticker
from guardd.venues.bitget.classic.parts import Parts
from guardd.venues.bitget.classic.stream import PushReader, private_topics, topics_by_symbol
from guardd.venues.bitget.classic.writes import Writes
from guardd.venues.bitget.connection import VENUE, Access, Connection
from guardd.venues.bitget.hosts import CLASSIC_PRIVATE_SOCKET, CLASSIC_PUBLIC_SOCKET
from guardd.venues.bitget.sockets import link
from guardd.venues.bitget.talk import PrivateTalk, PublicTalk
from guardd.venues.limiter import Lane
from guardd.venues.stream import Mailbox, keep_connected

FAMILY: Final = "classic"
DRAIN_S: Final = 5.0
MODES_DEADLINE_S: Final = 3.0
LOOKUP_DELAY_S: Final = 2.0
"""A new order may take so long to show in a look-up (11.3)."""


def capabilities(*, hedge: bool, spot: bool = False) -> Capabilities:
    """What an account in this position mode can do: a trigger order closes for sure in hedge mode alone (12.4).

    `spot`: its key may read the spot wallet.
    """
    return Capabilities(
        whole_position_protection=True,
        sized_protection=True,
        plan_protection=hedge,
        modify_protection=True,
        modify_size=True,  # sized ones of a kind may not come to more than is held (12.2): none finds room beside the old one
        several_whole_stops=False,  # one pos_loss and one pos_profit a position side (12.2)
        client_id_on_plan=True,
        add_margin=True,
        set_leverage=True,
        top_up=True,
        cross_liquidation_price=True,
        close_sides_follow_mode=False,  # they do, but each order goes by the mode in its own position's row
        spot_balance=spot,
        positions_at_rest_s=2.0,  # "steady polling" (18)
        lookup_delay_s=LOOKUP_DELAY_S,
    )


class ClassicVenue:
    """Implements `guardd.venues.base.Venue`."""

    def __init__(self, access: Access, connection: Connection, mailbox: Mailbox) -> None:
        self._access = access
        self._clock = access.clock
        self._mailbox = mailbox
        self._transport, self._api = connection.transport, connection.api
        parts = Parts(access, connection.api)
        self._reads, self._listings = parts.reads, parts.listings
        self._writes = Writes(api=connection.api, reads=parts.reads, clock=access.clock)
        self._products = parts.products
        self._capabilities = capabilities(hedge=False)
        self._watched: frozenset[Symbol] = frozenset()
        self._admission = Admission(tell=access.tell, measure_time=self.clock_offset_ms)
        self._public = link(
            access, stream=StreamName.PUBLIC, path=CLASSIC_PUBLIC_SOCKET, conversation=self._public_talk
        )
        self._private = link(
            access,
            stream=StreamName.PRIVATE,
            path=CLASSIC_PRIVATE_SOCKET,
            conversation=self._private_talk,
            keep_away_s=self._admission.pause_s,
        )

    @property
    def name(self) -> VenueName:
        return VENUE

    @property
    def family(self) -> str:
        return FAMILY

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    async def open(self) -> None:
        """Learn what the position modes leave to stops. The clock and the connections are the facade's."""
        await self._learn_capabilities()

    async def close(self) -> None:
        """Let what is being sent finish. The wire belongs to whoever built it."""
        await self._transport.drain(DRAIN_S)

    async def prove_key(self, *, deadline_s: float = READ_DEADLINE_S) -> None:
        """The account's information names the key's rights (3): one that is too mighty, or may not trade, is told."""
        rights = await self._reads.rights(deadline_s)
        if rights.may_withdraw:
            text = "this key may withdraw: a guard must not be able to; make one with read and trade rights alone"
            self._access.tell("key-withdraws", text, Severity.CRITICAL)
        if not rights.may_trade:
            named = ", ".join(sorted(rights.authorities)) or "none"
            text = f"this key names no right to trade ({named}): the guard may be able to read only"
            self._access.tell("key-reads-only", text, Severity.WARNING)
        if not rights.ips:
            self._access.tell(
                "key-unbound", "this key is bound to no address: bind it to this machine's", Severity.INFO
            )

    async def clock_offset_ms(self) -> int:
        offset_ms = await self._api.measure_time()
        self._access.listener(ClockOffsetRead(account=self._access.account, venue=VENUE, offset_ms=offset_ms))
        return offset_ms

    async def instruments(self, symbols: Collection[Symbol], *, early: Early = nobody) -> tuple[Instrument, ...]:
        return await self._listings.instruments(symbols, early=early)

    async def positions(self) -> PositionsRead:
        return await self._reads.positions()

    async def balances(self) -> tuple[Balance, ...]:
        return await self._reads.balances()

    async def ledger(self, *, since_ms: int) -> tuple[Flow, ...]:
        return await self._reads.flows(since_ms)

    async def position_mode(self) -> PositionMode:
        return await self._reads.position_mode()

    async def orders(self, *, resting: bool = True, plans: bool = True) -> OrdersRead:
        return await self._reads.orders(resting=resting, plans=plans)

    async def mark(self, symbol: Symbol) -> MarkSeen:
        return await self._listings.mark(symbol)

    async def find_order(
        self, key: PositionKey, *, client_id: ClientId | None, order_id: OrderId | None
    ) -> OrderReport | None:
        """Resting, waiting and finished orders. For a plan order that fired: the order that it made."""
        return await self._reads.find_order(key.symbol, client_id=client_id, order_id=order_id)

    async def money_moved(self, write: MovesMoney, *, since_ms: int) -> tuple[MoneyRecord, ...]:
        """Bills of added margin, or the records of transfers out of spot (7.10, 8.2)."""
        line = await self._reads.line(write.key.symbol, READ_DEADLINE_S)
        return await records(self._api, write, line, since_ms=since_ms, now_ms=self._api.time.timestamp_ms())

    async def send(
        self, write: Write, *, client_id: ClientId, position_mode: PositionMode, lane: Lane, deadline_s: float
    ) -> Outcome:
        """The position's own row says in which mode an order for it must be written (7.1, 9.2): product types may differ, so the
        account's one `position_mode` is not asked."""
        return await self._writes.send(write, client_id=client_id, lane=lane, deadline_s=deadline_s)

    def stream(self, ear: Ear | None = None) -> AsyncGenerator[Event, None]:
        beside = (self._tend, self._admission.mend_clock)
        return keep_connected(self._public, self._private, beside=beside, mailbox=self._mailbox, ear=ear)

    def watch(self, symbols: Collection[Symbol]) -> None:
        self._watched = frozenset(symbols)
        self._public.watch(self._watched)

    def tokens(self) -> dict[str, int]:
        """Calls left to ordinary traffic, by bucket (guardd_rate_limit_tokens)."""
        return self._transport.tokens()

    def last_frame_ns(self) -> dict[StreamName, int]:
        """Monotonic ns of each stream's last frame, 0 before the first (guardd_stream_last_frame_timestamp_seconds)."""
        return {each.stream: each.last_frame_ns for each in (self._public, self._private)}

    def _public_talk(self) -> PublicTalk:
        return PublicTalk(
            topic_of=topics_by_symbol(self._listings.likely_product), price=ticker, tell=self._access.tell
        )

    def _private_talk(self) -> PrivateTalk:
        reader = PushReader(
            account=self._access.account,
            known=self._reads.known,
            repeats=self._reads.repeats,
            tell=self._access.tell,
        )
        return PrivateTalk(
            credentials=self._access.credentials,
            now_s=lambda: self._api.time.timestamp_ms() // 1000,
            topics=private_topics([product for product in self._products if product.linear]),
            optional=private_topics([product for product in self._products if not product.linear]),
            read=reader,
            admission=self._admission,
        )

    async def _learn_capabilities(self) -> None:
        """Modes that can't be read leave the careful answer: no trigger orders as stops."""
        try:
            hedge = await self._reads.all_hedge(MODES_DEADLINE_S)
        except VenueError as error:
            hedge = False
            self._access.tell(
                "position-modes", f"the position modes can't be read, no trigger order serves as stop: {error}"
            )
        self._writes.spot_read = await self._may_read_spot()
        self._capabilities = capabilities(hedge=hedge, spot=self._writes.spot_read)

    async def _may_read_spot(self) -> bool:
        """A right of its own (3): without it a top-up is tried once, and the venue says whether the money is there."""
        try:
            for product in self._products:
                if product.linear:
                    await spot_balance(self._api, product.settle, MODES_DEADLINE_S)
        except (VenueError, CredentialsError):
            return False
        return True

    async def _tend(self) -> None:
        await self._transport.tend(self._api.probe(), self._public.watched)
