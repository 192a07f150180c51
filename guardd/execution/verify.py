"""Reading back what the venue accepted, within two seconds: a stop counts when it is listed, a close when it filled.

Every read is posted as an event before the finding is, so that cooldowns and the next decision start from what the venue
says now. A read that fails is no evidence; it never ends an intent.
"""

import asyncio
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final, assert_never

from msgspec import Struct
from msgspec.structs import replace

from guardd.clock import Clock
from guardd.errors import VenueError
from guardd.execution.evidence import (
    closed_since,
    differs_from,
    listed_plan,
    margin_grew,
    placed_plan,
    record_of,
    row_of,
    still_listed,
    taken_by_later_closes,
)
from guardd.model.event import BalanceRead, Event, OrdersRead, PositionsRead, ReadFailed
from guardd.model.intent import (
    AddMargin,
    CancelKind,
    CancelOrder,
    CloseAtMarket,
    Intent,
    ModifyProtection,
    MovesMoney,
    PlaceProtection,
    SetLeverage,
    Stage,
    TransferToFutures,
    Write,
)
from guardd.model.moved import MoneyRecord
from guardd.model.names import ClientId, OrderId
from guardd.model.order import OrderReport, OrderUpdate
from guardd.model.outcome import Accepted
from guardd.model.state import AccountState, Finished, Pending
from guardd.venues.base import Venue

READ_DEADLINE_S: Final = 3.0
"""A backstop: the transport gives each of its calls a deadline of its own, below this."""
LOOKS_S: Final = (0.05, 0.15, 0.3, 0.5, 1.0)
"""Pauses before the looks at an accepted write: five in two seconds (BitMart reference, 18.3 and 18.4)."""


CLOCKS_APART_MS: Final = 1_000
"""The venue's stamp of a move may be so much older than our decision, measured on its own clock."""


class Finding(Struct, frozen=True, kw_only=True):
    """What reading showed, and the stage that follows from it. UNKNOWN: it showed nothing certain."""

    stage: Stage
    detail: str
    filled: Decimal | None = None
    average_price: Decimal | None = None
    order_id: OrderId | None = None
    final: bool = False
    """Looking again can't change it."""
    gone: bool = False
    """The order that the write was about is no longer there."""


class LookedUp(Struct, frozen=True):
    """A look-up that was answered; `report` None: the venue doesn't know the order."""

    report: OrderReport | None


class Reader:
    """Authoritative reads for one account's executor: each posts what it read, and gives None where it got no usable answer."""

    def __init__(
        self,
        *,
        venue: Venue,
        clock: Clock,
        state: AccountState,
        post: Callable[[Event], None],
        pushed: Mapping[ClientId, OrderUpdate],
    ) -> None:
        self._venue = venue
        self._post = post
        self._state = state
        self._pushed = pushed
        self.clock = clock

    async def positions(self) -> PositionsRead | None:
        try:
            async with asyncio.timeout(READ_DEADLINE_S):
                read = await self._venue.positions()
        except (VenueError, TimeoutError) as error:
            self._failed("positions", error)
            return None
        self._post(read)
        return read

    async def orders(self, *, resting: bool, plans: bool) -> OrdersRead | None:
        try:
            async with asyncio.timeout(READ_DEADLINE_S):
                read = await self._venue.orders(resting=resting, plans=plans)
        except (VenueError, TimeoutError) as error:
            self._failed("orders", error)
            return None
        self._post(read)
        return read

    async def balances(self) -> BalanceRead | None:
        started = self.clock.now()
        try:
            async with asyncio.timeout(READ_DEADLINE_S):
                balances = await self._venue.balances()
        except (VenueError, TimeoutError) as error:
            self._failed("balance", error)
            return None
        read = BalanceRead(started=started, at=self.clock.now(), balances=balances)
        self._post(read)
        return read

    async def money_moved(self, intent: Intent, write: MovesMoney) -> tuple[MoneyRecord, ...] | None:
        since_ms = intent.decided.wall_ms + self.offset_ms - CLOCKS_APART_MS
        try:
            async with asyncio.timeout(READ_DEADLINE_S):
                return await self._venue.money_moved(write, since_ms=since_ms)
        except (VenueError, TimeoutError) as error:
            self._failed("money_moved", error)
            return None

    async def order(self, intent: Intent, order_id: OrderId | None) -> LookedUp | None:
        """Look the intent's order up; what the private stream told of it serves first, when that was its end."""
        pushed = self._pushed.get(intent.id)
        if pushed is not None and not pushed.live:
            return LookedUp(_report_of(pushed))
        try:
            async with asyncio.timeout(READ_DEADLINE_S):
                return LookedUp(await self._venue.find_order(intent.key, client_id=intent.id, order_id=order_id))
        except (VenueError, TimeoutError) as error:
            self._failed("find_order", error)
            return None

    @property
    def offset_ms(self) -> int:
        """The venue's clock minus ours: its stamps are held against our moments."""
        return self._state.clock_offset_ms or 0

    def taken(self, intent: Intent) -> frozenset[OrderId]:
        """Plan orders that can't be this intent's: ours by another intent, or seen before it was decided."""
        seen = self._state.own_order_ids
        plans_at = self._state.plans_at
        if plans_at is not None and plans_at.mono_ns <= intent.decided.mono_ns:
            seen = seen | set(self._state.plans)
        return frozenset(seen)

    def records_taken(self, intent: Intent) -> frozenset[OrderId]:
        """Records of moves that are another intent's."""
        others: list[Pending | Finished] = [*self._state.finished, *self._state.pending.values()]
        return frozenset(
            each.order_id
            for each in others
            if each.order_id is not None
            and each.intent.id != intent.id
            and isinstance(each.intent.write, AddMargin | TransferToFutures)
        )

    def was_accepted(self, intent: Intent) -> bool:
        """True when the venue said once that it took it."""
        pending = self._state.pending.get(intent.id)
        return pending is not None and isinstance(pending.outcome, Accepted)

    def taken_by_later_closes(self, intent: Intent) -> Decimal:
        """What our closes that were decided after this one filled, as far as it is known."""
        return taken_by_later_closes(intent, self._state, self._pushed)

    def _failed(self, endpoint: str, error: Exception) -> None:
        self._post(ReadFailed(at=self.clock.now(), endpoint=endpoint, why=str(error) or type(error).__name__))


async def verify(intent: Intent, order_id: OrderId | None, reader: Reader) -> Finding:
    """Read an accepted write back: VERIFIED, FAILED, or UNKNOWN when two seconds showed nothing certain."""
    finding = Finding(stage=Stage.UNKNOWN, detail="accepted, but it could not be read back")
    for number, pause_s in enumerate(LOOKS_S, start=1):
        await reader.clock.sleep(pause_s)
        finding = await look(intent, order_id, reader, thorough=number == len(LOOKS_S))
        if finding.stage is Stage.VERIFIED or finding.final:
            return finding
    if finding.stage is Stage.FAILED and isinstance(intent.write, PlaceProtection):
        return await _not_listed(intent, order_id, reader, finding)
    if finding.stage is Stage.FAILED and isinstance(intent.write, CloseAtMarket | AddMargin | TransferToFutures):
        # A finished order or a move may take longer than this to show: only `resolve` waits long enough to say no.
        return replace(finding, stage=Stage.UNKNOWN)
    return finding


async def look(intent: Intent, order_id: OrderId | None, reader: Reader, *, thorough: bool = True) -> Finding:
    """One look at one intent. FAILED here: the answer was certain, and it says no; not `final`: a later look may say yes.

    `thorough` reads the positions too when an order isn't known yet; their budget is the tightest (BitMart reference, 4.1).
    """
    write = intent.write
    match write:
        case CloseAtMarket():
            return await _look_at_close(intent, write, order_id, reader, thorough=thorough)
        case PlaceProtection():
            return await _look_at_placed(intent, write, order_id, reader)
        case ModifyProtection():
            return await _look_at_modified(write, reader)
        case CancelOrder():
            return await _look_at_cancelled(write, reader)
        case SetLeverage():
            return await _look_at_leverage(intent, write, reader)
        case AddMargin():
            return await _look_at_margin(intent, write, reader, thorough=thorough)
        case TransferToFutures():
            return await _look_at_transfer(intent, write, reader, thorough=thorough)
        case _:
            assert_never(write)


async def reread(write: Write, reader: Reader) -> None:
    """Read anew what a rejection says we were wrong about."""
    await reader.positions()
    if isinstance(write, SetLeverage | AddMargin | TransferToFutures):
        await reader.balances()
    else:
        plans_only = isinstance(write, PlaceProtection | ModifyProtection)
        await reader.orders(resting=not plans_only, plans=True)


async def _look_at_close(
    intent: Intent, write: CloseAtMarket, order_id: OrderId | None, reader: Reader, *, thorough: bool
) -> Finding:
    looked = await reader.order(intent, order_id)
    report = looked.report if looked is not None else None
    if report is not None and report.live:
        return Finding(stage=Stage.UNKNOWN, detail="still working", order_id=report.order_id)
    if report is None and not thorough:
        return Finding(stage=Stage.UNKNOWN, detail="not known yet", order_id=order_id)
    read = await reader.positions()
    if report is not None:
        if report.filled > 0:
            return _filled(report, write)
        detail = "ended without a fill"
        return Finding(stage=Stage.FAILED, detail=detail, filled=Decimal(0), order_id=report.order_id, final=True)
    if read is None:
        return Finding(stage=Stage.UNKNOWN, detail="neither the order nor the position could be read")
    closed = closed_since(intent, write, read, by_later_ones=reader.taken_by_later_closes(intent))
    if closed > 0:
        return Finding(stage=Stage.VERIFIED, detail="the position shows the fill", filled=closed, order_id=order_id)
    if looked is None:
        return Finding(stage=Stage.UNKNOWN, detail="the order could not be looked up")
    return Finding(stage=Stage.FAILED, detail="the venue doesn't know the order and the position is unchanged")


def _filled(report: OrderReport, write: CloseAtMarket) -> Finding:
    price = f" at {report.average_price}" if report.average_price is not None else ""
    return Finding(
        stage=Stage.VERIFIED,
        detail=f"filled {report.filled} of {write.size}{price}",
        filled=report.filled,
        average_price=report.average_price,
        order_id=report.order_id,
    )


async def _look_at_placed(intent: Intent, write: PlaceProtection, order_id: OrderId | None, reader: Reader) -> Finding:
    taken = reader.taken(intent)
    read = await reader.orders(resting=False, plans=True)
    if read is None or read.plans is None:
        return Finding(stage=Stage.UNKNOWN, detail="the plan list could not be read", order_id=order_id)
    plan = placed_plan(intent, write, read, order_id, taken, offset_ms=reader.offset_ms)
    if plan is None:
        return Finding(stage=Stage.FAILED, detail="not in the plan list", order_id=order_id)
    if flaw := differs_from(plan, write):
        return Finding(stage=Stage.FAILED, detail=flaw, order_id=plan.order_id, final=True)
    return Finding(stage=Stage.VERIFIED, detail="listed", order_id=plan.order_id)


async def _not_listed(intent: Intent, order_id: OrderId | None, reader: Reader, finding: Finding) -> Finding:
    """Accepted but not listed for two seconds: it may have fired already, or the list may be late."""
    looked = await reader.order(intent, order_id)
    if looked is None:
        return Finding(
            stage=Stage.UNKNOWN, detail="accepted, not listed, and it could not be looked up", order_id=order_id
        )
    if looked.report is None:
        return finding
    if looked.report.live:
        return Finding(stage=Stage.UNKNOWN, detail="accepted and working, but not listed yet", order_id=order_id)
    if looked.report.filled > 0:
        await reader.positions()
        return Finding(stage=Stage.VERIFIED, detail="it fired already", filled=looked.report.filled, order_id=order_id)
    return finding


async def _look_at_modified(write: ModifyProtection, reader: Reader) -> Finding:
    read = await reader.orders(resting=False, plans=True)
    if read is None or read.plans is None:
        return Finding(stage=Stage.UNKNOWN, detail="the plan list could not be read", order_id=write.order_id)
    plan = listed_plan(write.order_id, read)
    if plan is None:
        detail = "the order is gone from the plan list"
        return Finding(stage=Stage.FAILED, detail=detail, order_id=write.order_id, gone=True)
    if flaw := differs_from(plan, write):
        return Finding(stage=Stage.FAILED, detail=flaw, order_id=write.order_id)
    return Finding(stage=Stage.VERIFIED, detail="listed with its new trigger", order_id=write.order_id)


async def _look_at_cancelled(write: CancelOrder, reader: Reader) -> Finding:
    plans = write.kind is CancelKind.PLAN
    read = await reader.orders(resting=not plans, plans=plans)
    listed = still_listed(write, read) if read is not None else None
    if listed is None:
        return Finding(stage=Stage.UNKNOWN, detail="the order list could not be read", order_id=write.order_id)
    if listed:
        return Finding(stage=Stage.FAILED, detail="the order still rests", order_id=write.order_id)
    return Finding(stage=Stage.VERIFIED, detail="gone from the list", order_id=write.order_id)


async def _look_at_leverage(intent: Intent, write: SetLeverage, reader: Reader) -> Finding:
    read = await reader.positions()
    if read is None:
        return Finding(stage=Stage.UNKNOWN, detail="the positions could not be read")
    row = row_of(intent, read)
    if row is None:
        return Finding(stage=Stage.FAILED, detail="the position is gone")
    if row.leverage != write.leverage:
        return Finding(stage=Stage.FAILED, detail=f"leverage is {row.leverage}, not {write.leverage}")
    await reader.balances()
    return Finding(stage=Stage.VERIFIED, detail=f"leverage is {row.leverage}")


async def _look_at_margin(intent: Intent, write: AddMargin, reader: Reader, *, thorough: bool) -> Finding:
    """The position's own margin tells it, else the venue's record of it: no such call carries an id."""
    read = await reader.positions()
    if read is None:
        return Finding(stage=Stage.UNKNOWN, detail="the positions could not be read")
    row = row_of(intent, read)
    if row is not None and margin_grew(write, intent, row):
        await reader.balances()
        return Finding(stage=Stage.VERIFIED, detail=f"the position's margin is {row.margin}")
    if not thorough:
        return Finding(stage=Stage.UNKNOWN, detail="the position's margin doesn't show it yet")
    return await _recorded(intent, write, reader)


async def _look_at_transfer(intent: Intent, write: TransferToFutures, reader: Reader, *, thorough: bool) -> Finding:
    """By the venue's records. A key that may not read them has the venue's own word, where it said that it took it."""
    finding = await _recorded(intent, write, reader)
    unreadable = finding.stage is Stage.UNKNOWN and finding.order_id is None
    if unreadable and thorough and reader.was_accepted(intent) and await reader.balances() is not None:
        return Finding(stage=Stage.VERIFIED, detail="the venue took it, and its records can't be read")
    return finding


async def _recorded(intent: Intent, write: MovesMoney, reader: Reader) -> Finding:
    """By the venue's records. What it was for is judged anew, so the balance with it in is read before it counts as done."""
    records = await reader.money_moved(intent, write)
    if records is None:
        return Finding(stage=Stage.UNKNOWN, detail="the venue's records of it could not be read")
    record = record_of(intent, write, records, reader.records_taken(intent))
    if record is None:
        return Finding(stage=Stage.FAILED, detail="the venue has no record of it")
    if not record.done:
        return Finding(stage=Stage.UNKNOWN, detail="the venue is still at it", order_id=record.id)
    if await reader.balances() is None:
        return Finding(stage=Stage.UNKNOWN, detail="done, and the balance could not be read", order_id=record.id)
    return Finding(stage=Stage.VERIFIED, detail=f"recorded as {record.id}", order_id=record.id)


def _report_of(update: OrderUpdate) -> OrderReport:
    return OrderReport(
        order_id=update.order_id,
        client_id=update.client_id,
        size=update.size,
        filled=update.filled,
        average_price=update.average_price,
        live=update.live,
    )
