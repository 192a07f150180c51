"""Carries out approved intents: durable, sent, answered, read back. Every step is posted as an event (I7, I20).

One task for each intent, started by the supervisor. An unknown outcome is never treated as failure: the intent stays in flight
until evidence settles it. Stopping is two-phase: `stop_intake`, then `drain`, which waits for what is being sent.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from decimal import Decimal
from typing import Any, Final, TypeAlias, assert_never

from guardd.clock import Clock
from guardd.errors import JournalError, VenueError
from guardd.execution.approve import ApprovedIntent
from guardd.execution.haste import Haste
from guardd.execution.resolve import resolve
from guardd.execution.verify import READ_DEADLINE_S, Finding, Reader, reread, verify
from guardd.journal.base import Journal
from guardd.model.event import Event, InstrumentsRead, IntentMoved
from guardd.model.facts import IntentStaged, Listener, Said
from guardd.model.instant import NS_PER_S
from guardd.model.intent import (
    LEVERS,
    AddMargin,
    CancelOrder,
    CloseAtMarket,
    Intent,
    PlaceProtection,
    Stage,
    TransferToFutures,
)
from guardd.model.names import AccountName, ClientId, OrderId, PositionMode, Severity
from guardd.model.order import OrderUpdate
from guardd.model.outcome import Accepted, Outcome, Reason, Rejected, Unknown
from guardd.model.state import AccountState, Pending
from guardd.venues.base import Venue
from guardd.venues.limiter import Lane

Spawn: TypeAlias = Callable[[str, Coroutine[Any, Any, None]], asyncio.Task[None]]
"""Starts a named task under supervision; a failure of it is told, never raised into a sibling."""

SEND_DEADLINE_S: Final = {Lane.EMERGENCY: 2.0, Lane.ORDINARY: 5.0, Lane.PROBE: 2.0}
"""Waiting for a token included."""
LEVER_DEADLINE_S: Final = 2.0
"""By then a margin or leverage step counts as failed (interfaces.md 2.5): what became of it is looked up the sooner."""
SEND_BACKSTOP_S: Final = 2.0
"""The transport keeps the deadline; this much later the executor stops waiting for it and calls the outcome unknown."""
JOURNAL_DEADLINE_S: Final = 5.0
RESOLVE_PAUSE_S: Final = 1.0
RESOLVE_PAUSE_S_MAX: Final = 8.0
"""For what can wait. A close or a stop is asked about each second: once the venue is back it must go within 5 s (I10)."""
UNRESOLVED_TOLD_AFTER_S: Final = 10.0
DRAIN_POLL_S: Final = 0.02
REREAD_FIRST: Final = frozenset(
    {
        Reason.POSITION_GONE,
        Reason.SIZE_ABOVE_POSITION,
        Reason.ORDER_GONE,
        Reason.PROTECTION_EXISTS,
        Reason.TOO_MANY_PLAN_ORDERS,
        Reason.LEVERAGE_CONFLICT,
        Reason.POSITION_LIQUIDATING,
        Reason.WOULD_LIQUIDATE,
    }
)
"""Rejections that say our picture of the position is wrong: it is read anew before anybody decides again."""


class Executor:
    """The hands of one account's guard.

    `post` folds an event into `state` before it returns (deciding on it may come later); that is what keeps the next
    decision from meaning the same thing twice. `state` is only read here.
    """

    def __init__(
        self,
        *,
        account: AccountName,
        venue: Venue,
        journal: Journal,
        clock: Clock,
        state: AccountState,
        post: Callable[[Event], None],
        spawn: Spawn,
        listener: Listener,
        haste: Haste,
    ) -> None:
        self._account = account
        self._venue = venue
        self._journal = journal
        self._clock = clock
        self._post = post
        self._spawn = spawn
        self._listener = listener
        self._haste = haste
        self._pushed: dict[ClientId, OrderUpdate] = {}
        self._reader = Reader(venue=venue, clock=clock, state=state, post=post, pushed=self._pushed)
        self._running: dict[ClientId, asyncio.Task[None]] = {}
        self._sending: set[ClientId] = set()
        self._leaving: set[ClientId] = set()
        """Durable, and not yet known to be with the socket."""
        self._open = True
        self._reacted_to: int | None = None

    def start(self, approved: ApprovedIntent) -> bool:
        """Begin to carry it out; false when intake has stopped or it runs already. DECIDED is folded when this returns."""
        intent = approved.intent
        if not self._open or self._carries(intent.id):
            return False
        self._sending.add(intent.id)
        self._haste.begin(intent.id)
        durable = self._journal.intend(intent)
        self._move(intent, Stage.DECIDED)
        self._running[intent.id] = self._spawn(f"intent {intent.id}", self._carry_out(approved, durable))
        return True

    def resume(self, unfinished: Iterable[Pending]) -> int:
        """Find out what became of intents that nobody carries: an earlier run's, or a dead task's. Returns how many."""
        count = 0
        for pending in sorted(unfinished, key=lambda each: (each.intent.decided.mono_ns, each.intent.id)):
            intent = pending.intent
            if self._carries(intent.id) or not self._open:
                continue
            count += 1
            self._running[intent.id] = self._spawn(f"resolve {intent.id}", self._pick_up(pending))
        return count

    def heard(self, update: OrderUpdate) -> None:
        """The private stream told of an order: evidence for the one that carries its client id."""
        if update.client_id is not None and self._carries(update.client_id):
            self._pushed[update.client_id] = update

    @property
    def idle(self) -> bool:
        """Nothing runs: every intent started or resumed came to an end."""
        return not any(self._carries(each) for each in self._running)

    @property
    def sending(self) -> bool:
        """An intent is between its decision and its answer."""
        return bool(self._sending) and any(self._carries(each) for each in self._sending)

    def stop_intake(self) -> None:
        """Start nothing any more; what runs goes on."""
        self._open = False

    async def drain(self, *, deadline_s: float) -> frozenset[ClientId]:
        """Wait until nothing is being sent, and while time is left until everything is read back; what is still being sent."""
        end_ns = self._clock.monotonic_ns() + int(deadline_s * NS_PER_S)
        while not self.idle and self._clock.monotonic_ns() < end_ns:
            await self._clock.sleep(DRAIN_POLL_S)
        return frozenset(each for each in self._sending if self._carries(each))

    def _carries(self, intent_id: ClientId) -> bool:
        """A task that was cancelled before its first step never ran its own clean-up: only its being done tells."""
        task = self._running.get(intent_id)
        return task is not None and not task.done()

    # One intent's life

    async def _carry_out(self, approved: ApprovedIntent, durable: Awaitable[None]) -> None:
        intent = approved.intent
        try:
            if not await self._make_durable(intent, durable):
                return
            outcome = await self._send(intent, approved.lane, approved.position_mode)
            self._sending.discard(intent.id)
            await self._settle(intent, outcome)
        finally:
            self._forget(intent)

    async def _make_durable(self, intent: Intent, durable: Awaitable[None]) -> bool:
        """I20: on disk before its request leaves; without a journal nothing is sent."""
        try:
            async with asyncio.timeout(JOURNAL_DEADLINE_S):
                await durable
        except (JournalError, TimeoutError) as error:
            why = f"the journal didn't make it durable: {error or type(error).__name__}"
            self._move(intent, Stage.REFUSED, detail=why)
            self._say(Severity.CRITICAL, "journal", f"{intent.key}: {intent.action} was not sent: {why}")
            return False
        self._leaving.add(intent.id)
        self._move(intent, Stage.JOURNALLED)
        return True

    async def _send(self, intent: Intent, lane: Lane, position_mode: PositionMode) -> Outcome:
        deadline_s = LEVER_DEADLINE_S if intent.action in LEVERS else SEND_DEADLINE_S[lane]
        # By the loop's next turn the request is with the socket, or it waits for something that isn't the loop: what is noted and
        # told of it doesn't stand before it.
        asyncio.get_running_loop().call_soon(self._left, intent)
        try:
            async with asyncio.timeout(deadline_s + SEND_BACKSTOP_S):
                return await self._venue.send(
                    intent.write, client_id=intent.id, position_mode=position_mode, lane=lane, deadline_s=deadline_s
                )
        except TimeoutError:
            return Unknown(why=f"no answer {SEND_BACKSTOP_S} s after the deadline of {deadline_s} s")
        finally:
            self._left(intent)

    def _left(self, intent: Intent) -> None:
        """Its request is on its way, or may be. Said twice, the second says nothing."""
        if intent.id in self._leaving:
            self._haste.end(intent.id)
            self._move(intent, Stage.SENT)
            self._leaving.discard(intent.id)

    async def _settle(self, intent: Intent, outcome: Outcome) -> None:
        match outcome:
            case Accepted():
                self._move(intent, Stage.ACCEPTED, outcome=outcome, order_id=outcome.order_id)
                await self._read_back(intent, outcome.order_id)
            case Rejected():
                await self._rejected(intent, outcome)
            case Unknown():
                self._move(intent, Stage.UNKNOWN, outcome=outcome, detail=outcome.why)
                await self._resolve(intent, None)
            case _:
                assert_never(outcome)

    async def _read_back(self, intent: Intent, order_id: OrderId | None) -> None:
        finding = await verify(intent, order_id, self._reader)
        if finding.stage is Stage.UNKNOWN:
            self._move(intent, Stage.UNKNOWN, order_id=finding.order_id, detail=finding.detail)
            await self._resolve(intent, finding.order_id or order_id)
        else:
            self._end(intent, finding)

    async def _rejected(self, intent: Intent, outcome: Rejected) -> None:
        """It certainly did not happen; what the venue says we were wrong about is read before anybody decides again."""
        detail = f"{outcome.reason} ({outcome.code}: {outcome.text})"
        if outcome.reason is Reason.DUPLICATE_CLIENT_ID:
            # The earlier send arrived (BitMart reference, 40050): it is looked up and adopted, never sent under a new id.
            self._move(intent, Stage.UNKNOWN, outcome=outcome, detail=detail)
            await self._resolve(intent, None)
            return
        if outcome.reason is Reason.ORDER_GONE and isinstance(intent.write, CancelOrder):
            self._move(intent, Stage.ACCEPTED, outcome=outcome, order_id=intent.write.order_id, detail=detail)
            await self._read_back(intent, intent.write.order_id)
            return
        poor = intent.action in LEVERS and outcome.reason is Reason.BALANCE
        if outcome.reason in REREAD_FIRST or poor:
            await reread(intent.write, self._reader)
        elif outcome.reason in (Reason.PRECISION, Reason.SIZE_BOUNDS):
            await self._reread_instrument(intent)
        self._move(intent, Stage.REJECTED, outcome=outcome, detail=detail)

    async def _reread_instrument(self, intent: Intent) -> None:
        try:
            async with asyncio.timeout(READ_DEADLINE_S):
                instruments = await self._venue.instruments([intent.key.symbol])
        except (VenueError, TimeoutError):
            return
        self._post(InstrumentsRead(at=self._clock.now(), instruments=instruments))

    async def _resolve(self, intent: Intent, order_id: OrderId | None) -> None:
        """Ask until it is certain (I7). The pause grows; an intent that stays unknown is told once, as critical."""
        began_ns = self._clock.monotonic_ns()
        pause_s, told = RESOLVE_PAUSE_S, False
        while True:
            delay_s = self._venue.capabilities.lookup_delay_s
            finding = await resolve(intent, order_id, self._reader, lookup_delay_s=delay_s)
            if finding.stage is not Stage.UNKNOWN:
                self._end_unknown(intent, finding)
                return
            order_id = finding.order_id or order_id
            waited_s = (self._clock.monotonic_ns() - began_ns) / NS_PER_S
            if waited_s >= UNRESOLVED_TOLD_AFTER_S and not told:
                told = True
                text = f"{intent.key}: the outcome of {intent.action} {intent.id} is unknown for {waited_s:.0f} s: {finding.detail}"
                self._say(Severity.CRITICAL, f"unresolved/{intent.id}", text)
            await self._clock.sleep(pause_s)
            if not isinstance(intent.write, CloseAtMarket | PlaceProtection):
                pause_s = min(pause_s * 2, RESOLVE_PAUSE_S_MAX)

    async def _pick_up(self, pending: Pending) -> None:
        """An intent whose task is gone: whatever was said of it last, it is unknown until it was looked at (I8)."""
        intent = pending.intent
        try:
            match pending.stage:
                case Stage.DECIDED:
                    # Its task ended before it was durable: nothing left (I20).
                    self._move(intent, Stage.REFUSED, detail="it ended before it was journalled")
                    return
                case Stage.UNKNOWN:
                    pass
                case _:
                    self._move(intent, Stage.UNKNOWN, detail=f"picked up as {pending.stage}")
            await self._resolve(intent, pending.order_id)
        finally:
            self._forget(intent)

    # How it ends

    def _end(self, intent: Intent, finding: Finding) -> None:
        self._move(
            intent,
            finding.stage,
            filled=_filled(intent, finding),
            order_id=finding.order_id,
            detail=finding.detail,
            average_price=finding.average_price,
        )

    def _end_unknown(self, intent: Intent, finding: Finding) -> None:
        """An order that failed did arrive, and came to nothing; of money that left no trace nobody can say so."""
        if finding.stage is Stage.FAILED and not isinstance(intent.write, AddMargin | TransferToFutures):
            self._move(intent, Stage.ACCEPTED, order_id=finding.order_id, detail=finding.detail)
        self._end(intent, finding)

    def _forget(self, intent: Intent) -> None:
        self._haste.end(intent.id)
        self._sending.discard(intent.id)
        self._running.pop(intent.id, None)
        self._pushed.pop(intent.id, None)

    # Telling

    def _move(
        self,
        intent: Intent,
        stage: Stage,
        *,
        outcome: Outcome | None = None,
        order_id: OrderId | None = None,
        filled: Decimal | None = None,
        detail: str = "",
        average_price: Decimal | None = None,
    ) -> None:
        moved = IntentMoved(
            at=self._clock.now(),
            intent=intent,
            stage=stage,
            outcome=outcome,
            order_id=order_id,
            filled=filled,
            detail=detail,
            average_price=average_price,
        )
        if stage is not Stage.DECIDED:
            self._journal.note(moved)
        self._post(moved)
        self._listener(
            IntentStaged(
                account=self._account,
                venue=self._venue.name,
                intent=intent,
                stage=stage,
                outcome=outcome,
                detail=detail,
                reaction_s=self._reaction_s(intent, outcome),
            )
        )

    def _reaction_s(self, intent: Intent, outcome: Outcome | None) -> float | None:
        """Price frame received until the last byte was handed to the socket; once for each frame."""
        if intent.frame_ns is None or not isinstance(outcome, Accepted) or intent.frame_ns == self._reacted_to:
            return None
        self._reacted_to = intent.frame_ns
        return (outcome.sent_ns - intent.frame_ns) / NS_PER_S

    def _say(self, severity: Severity, edge: str, text: str) -> None:
        at = self._clock.now()
        self._listener(Said(account=self._account, severity=severity, edge=edge, text=text, at=at))


def _filled(intent: Intent, finding: Finding) -> Decimal | None:
    return finding.filled if isinstance(intent.write, CloseAtMarket) else None
