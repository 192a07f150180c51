"""Carries out the close-only writes of the daemon, each with the second form that the reference gives it (10, 11, 16).

A second form is tried once, within the same deadline, and only after an answer that proves that the first did nothing.
"""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Final, assert_never

from msgspec import Struct

from guardd.clock import Clock
from guardd.errors import VenueError
from guardd.model.instant import NS_PER_S
from guardd.model.intent import (
    AddMargin,
    CancelOrder,
    CloseAtMarket,
    ModifyProtection,
    PlaceProtection,
    SetLeverage,
    TransferToFutures,
    Write,
)
from guardd.model.names import ClientId, MarginMode
from guardd.model.order import PlanForm
from guardd.model.outcome import Accepted, Outcome, Reason, Rejected
from guardd.venues.bitmart import bodies, endpoints
from guardd.venues.bitmart.api import Api
from guardd.venues.bitmart.bodies import Body
from guardd.venues.bitmart.endpoints import Endpoint
from guardd.venues.bitmart.parse.market import SETTLE
from guardd.venues.bitmart.reads import Reads
from guardd.venues.limiter import Lane

_OTHER_FORM_CODES: Final = frozenset({"40011", "40012", "40043"})
_MINIMAL_FORM_CODES: Final = frozenset({"40011", "40012"})
_FORM_REASONS: Final = frozenset({Reason.INVALID, Reason.LEVERAGE_CONFLICT, Reason.PRECISION})
"""What a refusal for the form of a request comes down to; a catch-all code that says "balance" is none."""
_SAME_LEVERAGE_CODES: Final = frozenset({"40012", "40040"})


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

    async def send(self, write: Write, *, client_id: ClientId, lane: Lane, deadline_s: float) -> Outcome:
        ends_ns = self._clock.monotonic_ns() + int(deadline_s * NS_PER_S)
        match write:
            case CloseAtMarket():
                return await self._close(write, client_id, _Errand(lane, str(write.key), ends_ns, closes=True))
            case PlaceProtection(form=PlanForm.PLAN):
                return await self._place_plan(write, _Errand(lane, f"{write.key} {write.kind}", ends_ns))
            case PlaceProtection():
                return await self._place(write, client_id, _Errand(lane, f"{write.key} {write.kind}", ends_ns))
            case ModifyProtection():
                return await self._modify(write, _Errand(lane, f"{write.key} {write.kind}", ends_ns))
            case CancelOrder():
                endpoint, body = bodies.cancel_request(write)
                return await self._post(endpoint, body, _Errand(lane, f"{write.key} cancel", ends_ns))
            case SetLeverage():
                return await self._set_leverage(write, _Errand(lane, f"{write.key} leverage", ends_ns))
            case AddMargin():
                return _not_sent(Reason.UNSUPPORTED, "no call adds margin to a position (12.2)")
            case TransferToFutures():
                return await self._transfer(write, _Errand(lane, "transfer", ends_ns))
            case _:
                assert_never(write)

    async def _close(self, write: CloseAtMarket, client_id: ClientId, errand: _Errand) -> Outcome:
        """In full, then once in the minimal form, which has no client id: it is known by the order id in its answer, and if that
        is lost, by the position (18.4)."""
        outcome = await self._post(endpoints.SUBMIT_ORDER, bodies.close_body(write, client_id), errand)
        if not self._form_refused(outcome, _MINIMAL_FORM_CODES, errand):
            return outcome
        return await self._post(endpoints.SUBMIT_ORDER, bodies.minimal_close_body(write), errand)

    async def _place(self, write: PlaceProtection, client_id: ClientId, errand: _Errand) -> Outcome:
        """Form A, then once as form B (11.1)."""

        async def placed(spelled_market: bool) -> Outcome:
            body = bodies.protection_body(write, client_id, spelled_market=spelled_market)
            return await self._post(endpoints.SUBMIT_TP_SL_ORDER, body, errand)

        return await self._in_two_forms(placed, errand)

    async def _modify(self, write: ModifyProtection, errand: _Errand) -> Outcome:
        async def modified(spelled_market: bool) -> Outcome:
            endpoint, body = bodies.modify_request(write, spelled_market=spelled_market)
            return await self._post(endpoint, body, errand)

        if write.form is PlanForm.PLAN:
            return await modified(spelled_market=False)
        return await self._in_two_forms(modified, errand)

    async def _in_two_forms(self, sent: Callable[[bool], Awaitable[Outcome]], errand: _Errand) -> Outcome:
        outcome = await sent(False)
        return await sent(True) if self._form_refused(outcome, _OTHER_FORM_CODES, errand) else outcome

    async def _place_plan(self, write: PlaceProtection, errand: _Errand) -> Outcome:
        """With the leverage and margin mode that stand at the venue; a refusal for them is answered by reading them, once."""
        if write.leverage is not None:
            outcome = await self._post_plan(write, (write.leverage, write.margin_mode), errand)
            if not isinstance(outcome, Rejected) or outcome.reason is not Reason.LEVERAGE_CONFLICT:
                return outcome
        try:
            live = await self._reads.live_leverage(write.key.symbol, self._left_s(errand))
        except VenueError as error:
            why = f"not sent: the live leverage can't be read: {error}"
            return Rejected(reason=Reason.NOT_SENT, code="", text=why)
        if live is None or live == (write.leverage, write.margin_mode):
            return Rejected(
                reason=Reason.LEVERAGE_CONFLICT, code="", text="the venue names no leverage that it would take"
            )
        return await self._post_plan(write, live, errand)

    async def _post_plan(self, write: PlaceProtection, live: tuple[Decimal, MarginMode], errand: _Errand) -> Outcome:
        body = bodies.plan_body(write, leverage=live[0], margin_mode=live[1])
        return await self._post(endpoints.SUBMIT_PLAN_ORDER, body, errand)

    async def _set_leverage(self, write: SetLeverage, errand: _Errand) -> Outcome:
        """The same value as configured may be refused: it is success if the venue then shows it (12.1)."""
        outcome = await self._post(endpoints.SUBMIT_LEVERAGE, bodies.leverage_body(write), errand)
        if not isinstance(outcome, Rejected) or outcome.code not in _SAME_LEVERAGE_CODES:
            return outcome
        try:
            live = await self._reads.live_leverage(write.key.symbol, self._left_s(errand))
        except VenueError:
            return outcome
        if live == (write.leverage, write.margin_mode):
            return Accepted(order_id=None, sent_ns=self._clock.monotonic_ns())
        return outcome

    async def _transfer(self, write: TransferToFutures, errand: _Errand) -> Outcome:
        """It has no id of its own: sent once, and known by the list of transfers (12.4, 18.5)."""
        if write.currency != SETTLE or not bodies.TRANSFER_MIN <= write.amount <= bodies.TRANSFER_MAX:
            why = f"{write.amount} {write.currency}, expected {bodies.TRANSFER_MIN} to {bodies.TRANSFER_MAX} {SETTLE}"
            return _not_sent(Reason.INVALID, why)
        return await self._post(endpoints.TRANSFER, bodies.transfer_body(write.amount, into_futures=True), errand)

    async def _post(self, endpoint: Endpoint, body: Body, errand: _Errand) -> Outcome:
        return await self._api.write(
            endpoint,
            body,
            deadline_s=self._left_s(errand),
            lane=errand.lane,
            subject=errand.subject,
            closes=errand.closes,
        )

    def _form_refused(self, outcome: Outcome, codes: frozenset[str], errand: _Errand) -> bool:
        return (
            isinstance(outcome, Rejected)
            and outcome.code in codes
            and outcome.reason in _FORM_REASONS
            and self._left_s(errand) > 0
        )

    def _left_s(self, errand: _Errand) -> float:
        return max(0.0, (errand.ends_ns - self._clock.monotonic_ns()) / NS_PER_S)


def _not_sent(reason: Reason, why: str) -> Rejected:
    return Rejected(reason=reason, code="", text=f"not sent: {why}")
