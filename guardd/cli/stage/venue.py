"""The simulator's exchange as the guard's venue, without a wire between them: reads and writes are calls, pushes a queue.

What a case says of faults happens here: reads that give nothing, writes that are rejected or never answered, silent streams.
"""

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping
from decimal import Decimal
from typing import Final, assert_never

from guardd.cli.stage import rows
from guardd.cli.stage.requests import closing, protecting
from guardd.clock import Clock
from guardd.errors import VenueBusy, VenueUnreachable
from guardd.model.account import Balance
from guardd.model.capabilities import Capabilities
from guardd.model.event import (
    BlockKind,
    BlockMoved,
    Event,
    MarkSeen,
    OrderPushed,
    OrdersRead,
    PositionsPushed,
    PositionsRead,
    Source,
    StreamMoved,
    StreamName,
)
from guardd.model.flow import Flow
from guardd.model.instrument import Instrument
from guardd.model.intent import (
    AddMargin,
    CancelKind,
    CancelOrder,
    CloseAtMarket,
    ModifyProtection,
    MovesMoney,
    PlaceProtection,
    SetLeverage,
    TransferToFutures,
    Write,
)
from guardd.model.moved import MoneyRecord
from guardd.model.names import AccountName, ClientId, OrderId, PositionKey, PositionMode, Symbol, VenueName
from guardd.model.order import OrderReport
from guardd.model.outcome import Accepted, Outcome, Reason, Rejected, Unknown
from guardd.policy.cases.language import Trouble
from guardd.simulator import orders as asked
from guardd.simulator.engine import Exchange
from guardd.simulator.happenings import Happening, OrderChanged, PositionChanged
from guardd.simulator.records import TransferDirection
from guardd.simulator.refusals import RefusalReason, Refused
from guardd.venues.base import Ear, Early, nobody
from guardd.venues.limiter import Lane

CAN_ALL: Final = Capabilities(
    whole_position_protection=True,
    sized_protection=True,
    plan_protection=True,
    modify_protection=True,
    several_whole_stops=False,
    client_id_on_plan=True,
    add_margin=True,
    set_leverage=True,
    top_up=True,
    cross_liquidation_price=True,
    positions_repeated=False,
    lookup_delay_s=1.0,
)
"""A venue at which every action of a policy can be carried out."""
BLOCK_S: Final = 30.0
_REASONS: Final[Mapping[RefusalReason, Reason]] = {
    RefusalReason.VENUE_CLOSING: Reason.VENUE_CLOSING,
    RefusalReason.SIZE_PRECISION: Reason.PRECISION,
    RefusalReason.PRICE_PRECISION: Reason.PRECISION,
    RefusalReason.SIZE_RANGE: Reason.SIZE_BOUNDS,
    RefusalReason.DUPLICATE_CLIENT_ID: Reason.DUPLICATE_CLIENT_ID,
    RefusalReason.LEVERAGE_CONFLICT: Reason.LEVERAGE_CONFLICT,
    RefusalReason.INSUFFICIENT_BALANCE: Reason.BALANCE,
    RefusalReason.INSUFFICIENT_SPOT_BALANCE: Reason.BALANCE,
    RefusalReason.WOULD_LIQUIDATE: Reason.WOULD_LIQUIDATE,
    RefusalReason.POSITION_NOT_EXIST: Reason.POSITION_GONE,
    RefusalReason.POSITION_CLOSED: Reason.POSITION_GONE,
    RefusalReason.VOLUME_NOT_ENOUGH: Reason.SIZE_ABOVE_POSITION,
    RefusalReason.ORDER_NOT_EXIST: Reason.ORDER_GONE,
    RefusalReason.ORDER_FINISHED: Reason.ORDER_GONE,
    RefusalReason.TOO_MANY_PLANS: Reason.TOO_MANY_PLAN_ORDERS,
    RefusalReason.PLAN_EXISTS: Reason.PROTECTION_EXISTS,
    RefusalReason.TRIGGER_TOO_FAR: Reason.TRIGGER_TOO_FAR,
    RefusalReason.TRIGGER_WRONG_SIDE: Reason.TRIGGER_PASSED,
}


class StageVenue:
    """Implements `guardd.venues.base.Venue` for one account of the exchange."""

    def __init__(
        self, exchange: Exchange, clock: Clock, *, name: VenueName, account: AccountName, capabilities: Capabilities
    ) -> None:
        self._exchange = exchange
        self._clock = clock
        self._name = name
        self._account = account
        self._capabilities = capabilities
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._troubles: frozenset[Trouble] = frozenset()
        self._moved: list[MoneyRecord] = []
        self.unseen: frozenset[Symbol] = frozenset()
        """Instruments whose mark nobody is told in this step: the stream sends no frame."""
        self.unknown: frozenset[Symbol] = frozenset()
        """Those whose mark reads don't tell either."""
        exchange.subscribe(self._happened)

    @property
    def name(self) -> VenueName:
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    @property
    def family(self) -> str:
        return ""

    @property
    def now_ms(self) -> int:
        return self._clock.now().wall_ms

    def suffer(self, troubles: frozenset[Trouble]) -> None:
        """From now on these faults are on, and no others; streams and blocks tell their edges."""
        before, self._troubles = self._troubles, troubles
        now = self._clock.now()
        if (Trouble.SILENT_STREAMS in before) != (Trouble.SILENT_STREAMS in troubles):
            up = Trouble.SILENT_STREAMS not in troubles
            for stream in StreamName:
                self._events.put_nowait(StreamMoved(at=now, stream=stream, up=up, why="as the case says"))
        if Trouble.BLOCKED in troubles:
            self._events.put_nowait(BlockMoved(at=now, kind=BlockKind.EDGE, until=now.later_by(BLOCK_S)))
        elif Trouble.BLOCKED in before:
            self._events.put_nowait(BlockMoved(at=now, kind=BlockKind.EDGE, until=None))

    # A life

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def prove_key(self, *, deadline_s: float = 5.0) -> None: ...

    async def clock_offset_ms(self) -> int:
        return 0

    def watch(self, symbols: Collection[Symbol]) -> None: ...

    def tokens(self) -> Mapping[str, int]:
        return {}

    def last_frame_ns(self) -> Mapping[StreamName, int]:
        return {}

    # Reads

    async def instruments(self, symbols: Collection[Symbol], *, early: Early = nobody) -> tuple[Instrument, ...]:
        self._read(None)
        listed = self._exchange.query.contracts()
        return tuple(rows.instrument(contract) for contract in listed if contract.symbol in symbols)

    async def positions(self) -> PositionsRead:
        self._read(Trouble.UNREADABLE_POSITIONS)
        now, held = self._clock.now(), self._exchange.query.positions(self._account)
        found = tuple(rows.position(view, unknown=view.symbol in self.unknown) for view in held)
        return PositionsRead(started=now, at=now, positions=found)

    async def balances(self) -> tuple[Balance, ...]:
        self._read(Trouble.UNREADABLE_BALANCE)
        return (rows.balance(self._exchange.query.balance(self._account)),)

    async def ledger(self, *, since_ms: int) -> tuple[Flow, ...]:
        self._read(Trouble.UNREADABLE_BALANCE)
        return tuple(rows.flow(flow) for flow in self._exchange.query.flows(self._account) if flow.at_ms >= since_ms)

    async def position_mode(self) -> PositionMode:
        self._read(None)
        return PositionMode(self._exchange.query.position_mode(self._account).value)

    async def orders(self, *, resting: bool = True, plans: bool = True) -> OrdersRead:
        self._read(Trouble.UNREADABLE_ORDERS)
        now, query = self._clock.now(), self._exchange.query
        return OrdersRead(
            started=now,
            at=now,
            resting=tuple(rows.resting(order) for order in query.open_orders(self._account)) if resting else None,
            plans=tuple(rows.plan(plan) for plan in query.open_plans(self._account)) if plans else None,
        )

    async def mark(self, symbol: Symbol) -> MarkSeen:
        self._read(None)
        quote = self._exchange.query.quote(symbol)
        if quote is None or symbol in self.unknown:
            raise VenueUnreachable(f"mark of {symbol}: the case says that it is stale")
        return MarkSeen(symbol, quote.mark, self._clock.now(), source=Source.REST)

    async def find_order(
        self, key: PositionKey, *, client_id: ClientId | None, order_id: OrderId | None
    ) -> OrderReport | None:
        self._read(Trouble.UNREADABLE_ORDERS)
        query = self._exchange.query
        names = {"client_id": client_id or ""} if client_id is not None else {"order_id": order_id or ""}
        try:
            order = query.order(self._account, **names)
        except Refused:
            return None
        return rows.report(order)

    async def money_moved(self, write: MovesMoney, *, since_ms: int) -> tuple[MoneyRecord, ...]:
        self._read(None)
        return tuple(each for each in self._moved if each.at_ms >= since_ms)

    def _read(self, kind: Trouble | None) -> None:
        """Raises what a read meets in this step."""
        if Trouble.BLOCKED in self._troubles:
            raise VenueBusy("blocked before the API, as the case says")
        if kind is not None and kind in self._troubles:
            raise VenueUnreachable(f"{kind}, as the case says")

    # Writes

    async def send(
        self, write: Write, *, client_id: ClientId, position_mode: PositionMode, lane: Lane, deadline_s: float
    ) -> Outcome:
        troubles = self._troubles
        if Trouble.BLOCKED in troubles:
            return Rejected(reason=Reason.EDGE_BLOCKED, code="403", text="blocked before the API, as the case says")
        if Trouble.REJECTED in troubles:
            return Rejected(reason=Reason.OTHER, code="case", text="rejected, as the case says")
        if Trouble.LOST in troubles:
            return Unknown(why="no answer, as the case says")
        outcome = self._write(write, client_id)
        return Unknown(why="no answer, as the case says") if Trouble.UNANSWERED in troubles else outcome

    def _write(self, write: Write, client_id: ClientId) -> Outcome:
        try:
            order_id = self._carry_out(write, client_id)
        except Refused as refusal:
            reason = _REASONS.get(refusal.reason, Reason.INVALID)
            return Rejected(reason=reason, code=refusal.reason.value, text=refusal.detail)
        return Accepted(order_id=None if order_id is None else OrderId(order_id), sent_ns=self._clock.monotonic_ns())

    def _carry_out(self, write: Write, client_id: ClientId) -> str | None:
        exchange, account, now_ms, symbol = self._exchange, self._account, self.now_ms, write.key.symbol
        match write:
            case CloseAtMarket():
                return exchange.place(account, closing(write, client_id), now_ms).order_id
            case PlaceProtection():
                return exchange.place_plan(account, protecting(write, client_id), now_ms).plan_id
            case ModifyProtection():
                exchange.modify_plan(
                    account,
                    write.order_id,
                    now_ms,
                    trigger_price=write.trigger_price,
                    source=asked.PriceSource(write.price_type.value),
                    size=write.size,
                )
                return write.order_id
            case CancelOrder() if write.kind is CancelKind.RESTING:
                return exchange.cancel(account, write.order_id, now_ms).order_id
            case CancelOrder():
                return exchange.cancel_plan(account, write.order_id, now_ms).plan_id
            case SetLeverage():
                exchange.set_leverage(account, symbol, now_ms, leverage=write.leverage)
                return None
            case AddMargin():
                side = asked.PositionSide(write.key.side.value)
                exchange.add_margin(account, symbol, side, write.amount, now_ms)
                return self._record(client_id, write.amount)
            case TransferToFutures():
                exchange.transfer(account, TransferDirection.TO_FUTURES, write.amount, now_ms, write.currency)
                return self._record(client_id, write.amount)
            case _:
                assert_never(write)

    def _record(self, client_id: ClientId, amount: Decimal) -> str:
        """Money that was moved, as the venue's own records have it."""
        order_id = OrderId(f"moved-{len(self._moved) + 1}")
        self._moved.append(MoneyRecord(id=order_id, amount=amount, at_ms=self.now_ms, client_id=client_id))
        return order_id

    # Pushes

    async def stream(self, ear: Ear | None = None) -> AsyncGenerator[Event, None]:
        """All of it comes out here: who looks at a stage is in no hurry."""
        for stream in StreamName:
            yield StreamMoved(at=self._clock.now(), stream=stream, up=True, why="acknowledged")
        now_ms = self.now_ms
        held = self._exchange.query.positions(self._account)
        yield PositionsPushed(at=self._clock.now(), updates=tuple(rows.pushed(view, now_ms) for view in held))
        while True:
            yield await self._events.get()

    def frame(self, symbol: Symbol, said: Decimal | None = None) -> None:
        """One frame of the public stream, with the prices as they are; or with a mark that is `said` and isn't one."""
        quote = self._exchange.query.quote(symbol)
        if quote is not None and symbol not in self.unseen and Trouble.SILENT_STREAMS not in self._troubles:
            mark = quote.mark if said is None else said
            frame = MarkSeen(symbol, mark, self._clock.now(), index=quote.index, last=quote.last)
            self._events.put_nowait(frame)

    def _happened(self, happening: Happening) -> None:
        if Trouble.SILENT_STREAMS in self._troubles:
            return
        now = self._clock.now()
        match happening:
            case PositionChanged():
                update = rows.pushed(happening.position, happening.at_ms)
                self._events.put_nowait(PositionsPushed(at=now, updates=(update,)))
            case OrderChanged():
                self._events.put_nowait(OrderPushed(at=now, update=rows.update(happening)))
            case _:
                pass
