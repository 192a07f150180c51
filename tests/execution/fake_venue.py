"""A venue in a few lines: holds positions and orders, answers as it is told to, and may lie by lagging, hiding or failing."""

from collections import deque
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import assert_never

from guardd.clock import Clock
from guardd.errors import VenueUnreachable
from guardd.model.account import Balance
from guardd.model.capabilities import Capabilities
from guardd.model.event import Event, MarkSeen, OrdersRead, PositionsRead
from guardd.model.flow import Flow
from guardd.model.instant import Instant
from guardd.model.instrument import Instrument
from guardd.model.intent import (
    AddMargin,
    CancelOrder,
    CloseAtMarket,
    ModifyProtection,
    MovesMoney,
    PlaceProtection,
    SetLeverage,
    TransferToFutures,
    Write,
    stop_direction,
)
from guardd.model.moved import MoneyRecord
from guardd.model.names import ClientId, OrderId, PositionKey, PositionMode, Symbol, VenueName
from guardd.model.order import OrderReport, PlanForm, PlanOrder, RestingOrder
from guardd.model.outcome import Accepted, Outcome, Reason, Rejected, Unknown
from guardd.model.position import Position
from guardd.model.reading import is_value
from guardd.venues.base import Ear, Early, nobody
from guardd.venues.limiter import Lane
from tests.changed import replace

CAN_ALL = Capabilities(
    whole_position_protection=True,
    sized_protection=True,
    plan_protection=True,
    modify_protection=True,
    several_whole_stops=False,
    client_id_on_plan=False,
    add_margin=True,
    set_leverage=True,
    top_up=True,
    cross_liquidation_price=True,
    positions_repeated=True,
    lookup_delay_s=1.0,
)


class Answer(StrEnum):
    """What the venue does with the next write."""

    ACCEPT = "accept"
    UNKNOWN_DONE = "unknown, but done"
    UNKNOWN_LOST = "unknown, and lost"
    UNKNOWN_LATE = "unknown, and done when `late()` is called"
    ACCEPT_NOT_LISTED = "accepted, and nothing comes of it"


@dataclass(frozen=True)
class Sent:
    write: Write
    client_id: ClientId
    lane: Lane


class FakeVenue:
    """One account. `script` answers the next writes (a `Reason` rejects); then everything is accepted."""

    name = VenueName("fake")
    family = ""

    def __init__(self, clock: Clock, *, capabilities: Capabilities = CAN_ALL) -> None:
        self.clock = clock
        self.capabilities = capabilities
        self.rows: dict[PositionKey, Position] = {}
        self.plans: dict[OrderId, PlanOrder] = {}
        self.resting: dict[OrderId, RestingOrder] = {}
        self.reports: dict[ClientId, OrderReport] = {}
        self.script: deque[Answer | Reason] = deque()
        self.sent: list[Sent] = []
        self.log: list[str] = []
        self.reads_fail = False
        self.pause_s = 0.0
        self.fill_ratio = Decimal(1)
        self.instrument_list: tuple[Instrument, ...] = ()
        self.watch_change: Callable[[], None] = lambda: None
        self.balance: Balance | None = None
        self.flows: list[Flow] = []
        self.ledger_asked: list[int] = []
        self.ledger_down = False
        self.records: list[MoneyRecord] = []
        """Transfers and margin additions; as if the venue were still at them while not `records_done`."""
        self.records_done = True
        self.records_fail = False
        self._late: list[tuple[Write, ClientId]] = []
        self._number = 0

    async def send(
        self, write: Write, *, client_id: ClientId, position_mode: PositionMode, lane: Lane, deadline_s: float
    ) -> Outcome:
        self.sent.append(Sent(write, client_id, lane))
        self.log.append(f"send {type(write).__name__}")
        answer = self.script.popleft() if self.script else Answer.ACCEPT
        if self.pause_s:
            await self.clock.sleep(self.pause_s)
        match answer:
            case Answer.ACCEPT:
                return self._do(write, client_id)
            case Answer.UNKNOWN_DONE:
                self._do(write, client_id)
                return Unknown(why="no answer")
            case Answer.UNKNOWN_LOST:
                return Unknown(why="no answer")
            case Answer.UNKNOWN_LATE:
                self._late.append((write, client_id))
                return Unknown(why="no answer")
            case Answer.ACCEPT_NOT_LISTED:
                return self._accepted(self._next_id())
            case reason:
                return Rejected(reason=reason, code="1", text="as told")

    def late_without_client_id(self) -> int:
        """How many of the writes that may still arrive place a plain plan order, which carries no client id."""
        return sum(isinstance(write, PlaceProtection) and write.form is PlanForm.PLAN for write, _ in self._late)

    def late(self) -> None:
        """What was thought lost arrives after all."""
        for write, client_id in self._late:
            self._do(write, client_id)
        self._late.clear()

    def fire(self, order_id: OrderId, *, fill_ratio: Decimal = Decimal(1)) -> None:
        """A plan order triggers and closes its share of the position."""
        plan = self.plans.pop(order_id)
        row = self.rows[plan.key]
        self._close(plan.key, min(plan.size or row.quantity, row.quantity) * fill_ratio)

    async def positions(self) -> PositionsRead:
        started = await self._read("positions")
        return PositionsRead(started=started, at=self.clock.now(), positions=tuple(self.rows.values()))

    async def orders(self, *, resting: bool = True, plans: bool = True) -> OrdersRead:
        started = await self._read("orders")
        return OrdersRead(
            started=started,
            at=self.clock.now(),
            resting=tuple(self.resting.values()) if resting else None,
            plans=tuple(self.plans.values()) if plans else None,
        )

    async def find_order(
        self, key: PositionKey, *, client_id: ClientId | None, order_id: OrderId | None
    ) -> OrderReport | None:
        await self._read("find_order")
        return self.reports.get(client_id) if client_id is not None else None

    async def instruments(self, symbols: Collection[Symbol], *, early: Early = nobody) -> tuple[Instrument, ...]:
        await self._read("instruments")
        return tuple(each for each in self.instrument_list if each.symbol in symbols)

    async def open(self) -> None: ...
    async def close(self) -> None: ...
    async def clock_offset_ms(self) -> int:
        return 0

    async def ledger(self, *, since_ms: int) -> tuple[Flow, ...]:
        self.ledger_asked.append(since_ms)
        if self.ledger_down:
            raise VenueUnreachable("the ledger can't be read")
        return tuple(flow for flow in self.flows if flow.at_ms >= since_ms)

    async def balances(self) -> tuple[Balance, ...]:
        await self._read("balances")
        if self.balance is None:
            raise VenueUnreachable("the fake keeps no balance")
        return (self.balance,)

    async def money_moved(self, write: MovesMoney, *, since_ms: int) -> tuple[MoneyRecord, ...]:
        await self._read("money_moved")
        if self.records_fail:
            raise VenueUnreachable("money_moved: the key may not read it")
        return tuple(replace(each, done=self.records_done) for each in self.records if each.at_ms >= since_ms)

    async def position_mode(self) -> PositionMode:
        return PositionMode.HEDGE

    async def mark(self, symbol: Symbol) -> MarkSeen:
        raise VenueUnreachable("the fake keeps no marks")

    async def stream(self, ear: Ear | None = None) -> AsyncIterator[Event]:
        return
        yield

    def watch(self, symbols: Collection[Symbol]) -> None: ...

    async def _read(self, what: str) -> Instant:
        self.log.append(f"read {what}")
        started = self.clock.now()
        if self.pause_s:
            await self.clock.sleep(self.pause_s)
        if self.reads_fail:
            raise VenueUnreachable(f"{what}: the fake is told to fail")
        return started

    def _do(self, write: Write, client_id: ClientId) -> Outcome:
        outcome = self._change(write, client_id)
        self.watch_change()
        return outcome

    def _change(self, write: Write, client_id: ClientId) -> Outcome:
        match write:
            case CloseAtMarket():
                return self._do_close(write, client_id)
            case PlaceProtection():
                return self._do_place(write, client_id)
            case ModifyProtection():
                if write.order_id not in self.plans:
                    return Rejected(reason=Reason.ORDER_GONE, code="2", text="no such order")
                changed = replace(self.plans[write.order_id], trigger_price=write.trigger_price)
                if self.capabilities.modify_size and changed.size is not None and write.size is not None:
                    changed = replace(changed, size=write.size)
                self.plans[write.order_id] = changed
                return self._accepted(write.order_id)
            case CancelOrder():
                if self.plans.pop(write.order_id, None) is None and self.resting.pop(write.order_id, None) is None:
                    return Rejected(reason=Reason.ORDER_GONE, code="2", text="no such order")
                return self._accepted(write.order_id)
            case SetLeverage():
                self.rows[write.key] = replace(self.rows[write.key], leverage=write.leverage)
                return self._accepted(None)
            case AddMargin():
                row = self.rows[write.key]
                if is_value(row.margin):
                    self.rows[write.key] = replace(row, margin=row.margin + write.amount)
                return self._recorded(write)
            case TransferToFutures():
                if self.balance is not None:
                    self.balance = replace(self.balance, available=self.balance.available + write.amount)
                return self._recorded(write)
            case _:
                assert_never(write)

    def _recorded(self, write: MovesMoney) -> Outcome:
        record = MoneyRecord(id=self._next_id(), amount=write.amount, at_ms=self.clock.now().wall_ms)
        self.records.append(record)
        return self._accepted(None)

    def _do_close(self, write: CloseAtMarket, client_id: ClientId) -> Outcome:
        row = self.rows.get(write.key)
        if client_id in self.reports:
            return Rejected(reason=Reason.DUPLICATE_CLIENT_ID, code="3", text="known")
        if row is None:
            return Rejected(reason=Reason.POSITION_GONE, code="4", text="no position")
        held = sum((o.size for o in self.resting.values() if o.closes and o.key == write.key), Decimal(0))
        if write.size > row.quantity - held:
            return Rejected(reason=Reason.SIZE_ABOVE_POSITION, code="5", text="not enough")
        order_id, filled = self._next_id(), write.size * self.fill_ratio
        self._close(write.key, filled)
        self.reports[client_id] = OrderReport(
            order_id=order_id, client_id=client_id, size=write.size, filled=filled, average_price=None, live=False
        )
        return self._accepted(order_id)

    def _do_place(self, write: PlaceProtection, client_id: ClientId) -> Outcome:
        if write.key not in self.rows:
            return Rejected(reason=Reason.POSITION_GONE, code="4", text="no position")
        if any(plan.client_id == client_id for plan in self.plans.values()):
            return Rejected(reason=Reason.DUPLICATE_CLIENT_ID, code="3", text="known")
        rests = [p for p in self.plans.values() if p.key == write.key and p.protection is write.kind]
        if write.form is PlanForm.WHOLE and any(p.form is PlanForm.WHOLE for p in rests):
            return Rejected(reason=Reason.PROTECTION_EXISTS, code="6", text="one is there")
        order_id = self._next_id()
        self.plans[order_id] = PlanOrder(
            order_id=order_id,
            client_id=None if write.form is PlanForm.PLAN else client_id,
            key=write.key,
            protection=write.kind,
            form=write.form,
            direction=stop_direction(write.key, write.kind),
            trigger_price=write.trigger_price,
            price_type=write.price_type,
            execution_price=None,
            size=None if write.form is PlanForm.WHOLE else (write.size or write.position_size),
            created_ms=self.clock.now().wall_ms,
        )
        return self._accepted(order_id)

    def _close(self, key: PositionKey, size: Decimal) -> None:
        row = self.rows[key]
        left = row.quantity - size
        if left <= 0:
            del self.rows[key]
            return
        now_ms = self.clock.now().wall_ms
        self.rows[key] = replace(row, quantity=left, closed_quantity=row.closed_quantity + size, venue_ms=now_ms)

    def _accepted(self, order_id: OrderId | None) -> Accepted:
        return Accepted(order_id=order_id, sent_ns=self.clock.monotonic_ns())

    def _next_id(self) -> OrderId:
        self._number += 1
        return OrderId(str(self._number))
