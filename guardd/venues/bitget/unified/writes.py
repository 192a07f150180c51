"""Carries out the close-only writes of the daemon on a unified account (UTA reference, 9, 10 and 12).

A second form is tried within the same deadline, and only after an answer that proves that the first did nothing. A strategy order
may hold two legs: what is there is read before anything is placed beside it, changed or ended, and each leg that shall stay is said
again. So the changes of one position's strategy orders go one after another: of two at once the later would undo the earlier.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from decimal import Decimal
from typing import Any, Final, TypeVar, assert_never

from msgspec import Struct
from msgspec.structs import replace

from guardd.clock import Clock
from guardd.errors import VenueError
from guardd.model.instant import NS_PER_S
from guardd.model.intent import (
    AddMargin,
    CancelKind,
    CancelOrder,
    CloseAtMarket,
    ModifyProtection,
    PlaceProtection,
    SetLeverage,
    TransferToFutures,
    Write,
)
from guardd.model.names import ClientId, MarginMode, OrderId, PositionKey, PositionMode
from guardd.model.order import PlanForm, ProtectionKind
from guardd.model.outcome import Accepted, Outcome, Reason, Rejected
from guardd.venues.bitget.api import Api
from guardd.venues.bitget.endpoint import Endpoint
from guardd.venues.bitget.errors import GuardAction, action_for
from guardd.venues.bitget.unified import bodies, endpoints
from guardd.venues.bitget.unified.bodies import Body
from guardd.venues.bitget.unified.parse.account import HeldRow
from guardd.venues.bitget.unified.parse.strategy import Leg, Strategy, leg_id, object_of, tagged
from guardd.venues.bitget.unified.parse.words import Category
from guardd.venues.bitget.unified.reads import Reads
from guardd.venues.limiter import Lane

LOOK_FIRST_S: Final = 1.0
"""How long a look at what rests may take before a write that hangs on it."""
_REMOVALS_MAX: Final = 1_000
_PARAMETER_CODES: Final = frozenset({"25200", "400172", "40808", "40017", "40034", "40811"})
"""A request that isn't understood: another form of it may be (10.1, 14)."""
_CLOSE_ANEW: Final = frozenset({Reason.INVALID, Reason.PRECISION, Reason.SIZE_BOUNDS, Reason.UNSUPPORTED, Reason.OTHER})
"""Refusals for the form of a close, after which another way of closing is worth a try."""
_WOULD_OPEN: Final = frozenset({"25230", "40762", "40715", "40921", "45120"})
"""No such refusals: taken as it was sent, the order would open, which is a mistake in direction or mode (14)."""

_Read = TypeVar("_Read")


class _Errand(Struct, frozen=True):
    """How one write goes out: its lane, what it is for (blocks count tries by it), and until when."""

    lane: Lane
    subject: str
    ends_ns: int
    closes: bool = False


class Writes:
    """The writes of one account. Nothing here opens a position, closes without a symbol or cancels without an id (I30)."""

    def __init__(self, *, api: Api, reads: Reads, clock: Clock) -> None:
        self._api = api
        self._reads = reads
        self._clock = clock
        self._removals: dict[OrderId, int] = {}
        self._turns: dict[PositionKey, asyncio.Lock] = {}
        self.funding_read = False
        """The key may read the funding side: what isn't there is never asked for."""

    async def send(
        self, write: Write, *, client_id: ClientId, position_mode: PositionMode, lane: Lane, deadline_s: float
    ) -> Outcome:
        barred = self._barred(write.key)
        if isinstance(barred, Rejected):
            return barred
        ends_ns = self._clock.monotonic_ns() + int(deadline_s * NS_PER_S)
        match write:
            case CloseAtMarket():
                errand = _Errand(lane, str(write.key), ends_ns, closes=True)
                return await self._close(write, client_id, barred, errand)
            case PlaceProtection():
                errand = _Errand(lane, f"{write.key} {write.kind}", ends_ns)
                row = self._reads.rows.get(write.key)
                mode = position_mode if row is None else row.position_mode
                return await self._in_turn(
                    write.key, errand, lambda: self._place(write, client_id, mode, barred, errand)
                )
            case ModifyProtection():
                errand = _Errand(lane, f"{write.key} {write.kind}", ends_ns)
                return await self._in_turn(write.key, errand, lambda: self._modify(write, barred, errand))
            case CancelOrder(kind=CancelKind.RESTING):
                return await self._cancel(write, barred, _Errand(lane, f"{write.key} cancel", ends_ns))
            case CancelOrder():
                errand = _Errand(lane, f"{write.key} cancel", ends_ns)
                return await self._in_turn(write.key, errand, lambda: self._cancel(write, barred, errand))
            case SetLeverage():
                return await self._set_leverage(write, barred, _Errand(lane, f"{write.key} leverage", ends_ns))
            case AddMargin():
                return await self._add_margin(write, barred, _Errand(lane, f"{write.key} margin", ends_ns))
            case TransferToFutures():
                return await self._transfer(write, client_id, _Errand(lane, "transfer", ends_ns))
            case _:
                assert_never(write)

    def _barred(self, key: PositionKey) -> Category | Rejected:
        """The category to send in, or why nothing is sent."""
        settings = self._reads.settings
        if settings is not None and not settings.mode.writable:
            return _not_sent(Reason.MAINTENANCE, f"the account is {settings.mode}")
        category = self._reads.category_of(key.symbol)
        if category is None:
            return _not_sent(Reason.NOT_SENT, f"{key.symbol} is in no list of contracts that was read")
        unguarded = self._reads.why_unguarded(key.symbol)
        if unguarded or category is Category.COIN:
            return _not_sent(Reason.UNSUPPORTED, unguarded or "Coin-M isn't guarded in a unified account")
        return category

    async def _in_turn(
        self, key: PositionKey, errand: _Errand, change: Callable[[], Coroutine[Any, Any, Outcome]]
    ) -> Outcome:
        """A stop and a take-profit that were decided together come as stop first: the other joins its object then."""
        turn = self._turns.setdefault(key, asyncio.Lock())
        try:
            async with asyncio.timeout(self._left_s(errand)):
                await turn.acquire()
        except TimeoutError:
            return _not_sent(Reason.NOT_SENT, "another change of this position's stops was under way all the time")
        try:
            return await change()
        finally:
            turn.release()

    # Closes

    async def _close(self, write: CloseAtMarket, client_id: ClientId, category: Category, errand: _Errand) -> Outcome:
        """At market or immediate-or-cancel, by the modes of the position's own row. Where an order for all that is held is refused
        for its form (dust below the least value, say), the venue's own close of this one position is what is left (12.3)."""
        row = await self._held(write.key, category, errand)
        if isinstance(row, Rejected):
            return row
        body = bodies.close_body(write, client_id, row.position_mode, category, row.position.margin_mode)
        outcome = await self._post(endpoints.PLACE_ORDER, body, errand)
        if not isinstance(outcome, Rejected) or not _for_its_form(outcome) or write.limit_price is not None:
            return outcome
        now = await _looked(self._reads.row_of(write.key, category, self._look_s(errand)))
        if not isinstance(now, HeldRow) or now.position.quantity > write.size or self._left_s(errand) <= 0:
            return outcome
        self._reads.warnings.of_close_refused(write.key.symbol, f"{outcome.code} {outcome.text}")
        body = bodies.close_position_body(write.key, now.position_mode, category)
        return await self._post(endpoints.CLOSE_POSITIONS, body, errand)

    async def _held(self, key: PositionKey, category: Category, errand: _Errand) -> HeldRow | Rejected:
        """The position's row: by the last read of all, which is recent, else read now."""
        known = self._reads.rows.get(key)
        found = known or await _looked(self._reads.row_of(key, category, self._look_s(errand)))
        return found or _not_sent(Reason.POSITION_GONE, "the venue shows no such position")

    # Stops and take-profits

    async def _place(
        self, write: PlaceProtection, client_id: ClientId, mode: PositionMode, category: Category, errand: _Errand
    ) -> Outcome:
        """One for a size stands by itself. One for the whole position shares an object with our other leg, if there is one: what a
        second object would do isn't known (10.1, 16.11)."""
        match write.form:
            case PlanForm.PLAN:
                return _not_sent(Reason.UNSUPPORTED, "trigger orders can open positions here: they are no protection")
            case PlanForm.SIZED:
                return await self._place_object(write, client_id, mode, category, errand)
            case PlanForm.WHOLE:
                return await self._place_whole(write, client_id, mode, category, errand)

    async def _place_whole(
        self, write: PlaceProtection, client_id: ClientId, mode: PositionMode, category: Category, errand: _Errand
    ) -> Outcome:
        listed = await _looked(self._reads.strategies(category, self._look_s(errand)))
        if isinstance(listed, Rejected) and write.kind is ProtectionKind.TAKE_PROFIT:
            return listed  # nothing hurries: it goes onto the stop's object once the list can be read
        sized = replace(write, form=PlanForm.SIZED, size=write.position_size)
        if isinstance(listed, Rejected):
            # Nobody can tell whether an owner's take-profit rests: an order for the size held replaces none.
            return await self._place_object(sized, client_id, mode, category, errand)
        sides = self._reads.sides()
        found = next(
            (
                each
                for each in listed
                if each.rests
                and each.symbol == write.key.symbol
                and (each.side or sides.get(each.symbol)) is write.key.side
                and each.whole_for(write.position_size)
            ),
            None,
        )
        if found is None:
            return await self._place_object(write, client_id, mode, category, errand)
        if found.tag is None:
            # The owner's, which isn't ours to change (I13); nor could a leg of ours leave it once the position is gone (25601).
            return await self._place_object(sized, client_id, mode, category, errand)
        return await self._add_leg(write, client_id, found, errand)

    async def _add_leg(self, write: PlaceProtection, client_id: ClientId, found: Strategy, errand: _Errand) -> Outcome:
        """Put our leg beside the one of ours that rests, which is said again as it is."""
        wanted = bodies.wanted_leg(write.kind, write.trigger_price, write.price_type)
        there, tag = found.leg(write.kind), found.tag
        mine = leg_id(found.order_id, write.kind)
        if there is not None:
            arrived = tag is not None and (
                tag.client_id == client_id or (tag.kind is not write.kind and there == wanted)
            )
            if arrived:
                return Accepted(order_id=mine, sent_ns=self._clock.monotonic_ns())
            return _not_sent(Reason.PROTECTION_EXISTS, f"{mine} rests on the whole position already")
        legs = (*found.legs, wanted)
        return _named(await self._change(found, legs, write.position_size, errand), mine)

    async def _place_object(
        self, write: PlaceProtection, client_id: ClientId, mode: PositionMode, category: Category, errand: _Errand
    ) -> Outcome:
        named = tagged(client_id, write.kind, whole=write.form is PlanForm.WHOLE)
        forms = bodies.protection_bodies(write, named, mode, category)
        outcome = await self._in_forms(endpoints.PLACE_STRATEGY_ORDER, forms, errand)
        if isinstance(outcome, Accepted) and outcome.order_id is not None:
            return _named(outcome, leg_id(outcome.order_id, write.kind))
        return outcome

    async def _modify(self, write: ModifyProtection, category: Category, errand: _Errand) -> Outcome:
        """Move one leg; the other is said again as it is (10.2)."""
        found = await self._object(write.order_id, category, errand)
        if isinstance(found, Rejected):
            return found
        wanted = bodies.wanted_leg(write.kind, write.trigger_price, write.price_type)
        legs = (*(leg for leg in found.legs if leg.kind is not write.kind), wanted)
        row = self._reads.rows.get(write.key)
        size = row.position.quantity if row is not None else write.size
        return _named(await self._change(found, legs, size, errand), write.order_id)

    async def _change(
        self, found: Strategy, legs: tuple[Leg, ...], position_size: Decimal | None, errand: _Errand
    ) -> Outcome:
        body = bodies.modify_body(found, legs, position_size=position_size)
        outcome = await self._post(endpoints.MODIFY_STRATEGY_ORDER, body, errand)
        if isinstance(outcome, Accepted):
            self._reads.expected[found.order_id] = legs
        return outcome

    async def _cancel(self, write: CancelOrder, category: Category, errand: _Errand) -> Outcome:
        """A resting order, a whole object, or one leg of an object that keeps its other. An object of ours that outlived its
        position goes as a whole: nothing can be changed on it any more."""
        object_id, kind = object_of(write.order_id)
        if write.kind is CancelKind.RESTING:
            return await self._post(endpoints.CANCEL_ORDER, bodies.cancel_body(write.order_id), errand)
        whole = bodies.cancel_body(object_id)
        if kind is None:
            return await self._post(endpoints.CANCEL_STRATEGY_ORDER, whole, errand)
        found = await self._object(write.order_id, category, errand)
        if isinstance(found, Rejected):
            return found
        flat = found.tag is not None and await self._is_flat(write.key, category, errand)
        if flat or all(leg.kind is kind for leg in found.legs):
            return await self._post(endpoints.CANCEL_STRATEGY_ORDER, whole, errand)
        outcome = await self._remove_leg(write, found, errand)
        gone = isinstance(outcome, Rejected) and outcome.reason is Reason.POSITION_GONE
        if gone and found.tag is not None:
            return await self._post(endpoints.CANCEL_STRATEGY_ORDER, whole, errand)
        return outcome

    async def _is_flat(self, key: PositionKey, category: Category, errand: _Errand) -> bool:
        """The last read of all positions shows none, and a read of this one now agrees."""
        if key in self._reads.rows:
            return False
        return await _looked(self._reads.row_of(key, category, self._look_s(errand))) is None

    async def _remove_leg(self, write: CancelOrder, found: Strategy, errand: _Errand) -> Outcome:
        """How a leg is taken off an object isn't documented: by a trigger of 0 as in presets (9.3), or by leaving it out. One that
        is still listed after the first was accepted is tried by the second the next time."""
        _, kind = object_of(write.order_id)
        if kind is None:
            return _not_sent(Reason.INVALID, f"{write.order_id} names no leg")
        row = self._reads.rows.get(write.key)
        forms = list(
            bodies.removal_bodies(found, kind, position_size=row.position.quantity if row is not None else None)
        )
        tried = self._removals.get(write.order_id, 0)
        if len(self._removals) >= _REMOVALS_MAX:
            self._removals.clear()
        self._removals[write.order_id] = tried + 1
        outcome = await self._in_forms(endpoints.MODIFY_STRATEGY_ORDER, forms[tried % len(forms) :], errand)
        if isinstance(outcome, Accepted):
            self._reads.expected[found.order_id] = tuple(leg for leg in found.legs if leg.kind is not kind)
        return _named(outcome, write.order_id)

    async def _object(self, order_id: OrderId, category: Category, errand: _Errand) -> Strategy | Rejected:
        """The object that holds a leg, as it rests now."""
        object_id, kind = object_of(order_id)
        listed = await _looked(self._reads.strategies(category, self._look_s(errand)))
        if isinstance(listed, Rejected):
            return listed
        for each in listed:
            if each.order_id == object_id and each.rests and (kind is None or each.leg(kind) is not None):
                return each
        return _not_sent(Reason.ORDER_GONE, f"{order_id} isn't listed")

    # Leverage

    async def _set_leverage(self, write: SetLeverage, category: Category, errand: _Errand) -> Outcome:
        """The answer carries no values; the same value as set is success, whatever the code (7.4, 12.5)."""
        outcome = await self._post(endpoints.SET_LEVERAGE, bodies.leverage_body(write, category), errand)
        if isinstance(outcome, Rejected) and outcome.code and action_for(outcome.code) is GuardAction.OK:
            return Accepted(order_id=None, sent_ns=self._clock.monotonic_ns())
        return outcome

    # Money

    async def _add_margin(self, write: AddMargin, category: Category, errand: _Errand) -> Outcome:
        """It has no id of its own: sent once, and known by the position's margin and the ledger (7.6)."""
        row = await self._held(write.key, category, errand)
        if isinstance(row, Rejected):
            return row
        if row.position.margin_mode is not MarginMode.ISOLATED:
            return _not_sent(Reason.UNSUPPORTED, f"{write.key.symbol} is in cross mode, and a transfer adds to it")
        return await self._post(endpoints.SET_MARGIN, bodies.margin_body(write, category), errand)

    async def _transfer(self, write: TransferToFutures, client_id: ClientId, errand: _Errand) -> Outcome:
        """Whether its client id makes it idempotent isn't known (16.31): sent once, and known by the ledger. More than the funding
        side holds isn't asked for: the venue would have to lend it."""
        if self.funding_read:
            found = await _looked(self._reads.funding_balance(write.currency, self._look_s(errand)))
            if isinstance(found, Rejected):
                return found
            if found < write.amount:
                why = f"{found} {write.currency} lie on the funding side, {write.amount} are asked for"
                return _not_sent(Reason.BALANCE, why)
        body = bodies.transfer_body(write.amount, write.currency, client_id, into_futures=True)
        return await self._post(endpoints.TRANSFER, body, errand)

    # The way out

    async def _in_forms(self, endpoint: Endpoint, forms: Iterable[Body], errand: _Errand) -> Outcome:
        """The first form, and each further one after a refusal for a parameter."""
        outcome: Outcome = _not_sent(Reason.INVALID, "there is no form of it")
        for body in forms:
            outcome = await self._post(endpoint, body, errand)
            refused = isinstance(outcome, Rejected) and outcome.code in _PARAMETER_CODES
            if not refused or self._left_s(errand) <= 0:
                return outcome
        return outcome

    async def _post(self, endpoint: Endpoint, body: Body, errand: _Errand) -> Outcome:
        return await self._api.write(
            endpoint,
            body,
            deadline_s=self._left_s(errand),
            lane=errand.lane,
            subject=errand.subject,
            closes=errand.closes,
        )

    def _look_s(self, errand: _Errand) -> float:
        """Half of what is left at most: the write itself must have its time."""
        return min(LOOK_FIRST_S, self._left_s(errand) / 2)

    def _left_s(self, errand: _Errand) -> float:
        return max(0.0, (errand.ends_ns - self._clock.monotonic_ns()) / NS_PER_S)


async def _looked(read: Coroutine[Any, Any, _Read]) -> _Read | Rejected:
    """What a read gives before a write; a read that fails keeps the write from being sent."""
    try:
        return await read
    except VenueError as error:
        return _not_sent(Reason.NOT_SENT, f"what rests can't be read: {error}")


def _for_its_form(refusal: Rejected) -> bool:
    return refusal.reason in _CLOSE_ANEW and refusal.code not in _WOULD_OPEN


def _not_sent(reason: Reason, why: str) -> Rejected:
    return Rejected(reason=reason, code="", text=f"not sent: {why}")


def _named(outcome: Outcome, order_id: OrderId) -> Outcome:
    """The venue's answer under the id that the leg has here."""
    return replace(outcome, order_id=order_id) if isinstance(outcome, Accepted) else outcome
