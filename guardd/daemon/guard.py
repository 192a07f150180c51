"""The heart: an event is folded into the state, the state is assessed, the policy decides, the decision is carried out.

A price frame is judged where it arrives (`judgement`). One task reads the inbox for the rest, which marks the account for a review,
once the inbox is empty and no order is on its way. What the hands do comes back as events, folded before anything is decided anew.
"""

from collections.abc import Callable
from typing import Final

from guardd.clock import Clock
from guardd.daemon.fills import Fills
from guardd.daemon.inbox import Inbox
from guardd.daemon.judgement import Judgement
from guardd.daemon.reader import Reader, ReadKind
from guardd.daemon.rivals import RivalWatch
from guardd.daemon.settlements import Settlements
from guardd.daemon.telling import Teller
from guardd.errors import InvariantBroken
from guardd.execution.executor import Executor, Spawn
from guardd.execution.haste import Haste
from guardd.journal.base import Journal
from guardd.model.equity import ledger_from_ms
from guardd.model.event import (
    BalanceRead,
    ClockRead,
    Event,
    ForeignGuardSeen,
    LedgerRead,
    MarkSeen,
    OperatorSpoke,
    OperatorWord,
    OrderPushed,
    OrdersRead,
    PositionModeRead,
    PositionsPushed,
    PositionsRead,
    Pulse,
    ReadFailed,
    SnapshotFinished,
    StreamName,
)
from guardd.model.facts import AccountView, Listener, SnapshotTaken
from guardd.model.fold import fold
from guardd.model.instant import Instant
from guardd.model.names import AccountName, Severity
from guardd.model.state import AccountState, News, NewsKind
from guardd.policy.language import Policy
from guardd.venues.base import Heard, Venue

LISTS_WITHOUT_STREAM_S: Final = 3.0
"""Orders are read this often while the private stream is down (BitMart reference, 18.7)."""
ROUTINE: Final = frozenset(
    {Pulse, PositionsRead, BalanceRead, OrdersRead, LedgerRead, PositionModeRead, ClockRead, SnapshotFinished}
)
"""Events that come by the clock: they are worth a look of their own only when something in them changed."""
REVIEW_WAITS_S: Final = 0.05
"""How long a review waits for orders that are on their way, of any account: journal and send take a millisecond or two."""
FRAMES_IN_A_ROW: Final = 16
"""While orders are on their way so many price frames that begin none are judged between two turns of the loop; each takes 30 µs."""


class Guard:
    """Guards one account."""

    def __init__(
        self,
        *,
        state: AccountState,
        policy: Policy,
        venue: Venue,
        journal: Journal,
        clock: Clock,
        listener: Listener,
        spawn: Spawn,
        haste: Haste,
        on_pulse: Callable[[Instant], None],
        tape: Callable[[AccountName, Event], None],
    ) -> None:
        self.state = state
        self.inbox = Inbox()
        self.teller = Teller(state=state, journal=journal, listener=listener)
        self.reader = Reader(
            venue=venue, post=self._read, clock=clock, ledger_from_ms=lambda: ledger_from_ms(state, clock.now())
        )
        self.executor = Executor(
            account=state.name,
            venue=venue,
            journal=journal,
            clock=clock,
            state=state,
            post=self.absorb,
            spawn=spawn,
            listener=listener,
            haste=haste,
        )
        self._haste = haste
        self._frames = 0
        self._fills = Fills(state=state, journal=journal)
        self._journal = journal
        self._clock = clock
        self._on_pulse = on_pulse
        self._tape = tape
        self._settlements = Settlements(state)
        self._rivals = RivalWatch()
        self._judgement = Judgement(
            state=state,
            policy=policy,
            executor=self.executor,
            reader=self.reader,
            teller=self.teller,
            inbox=self.inbox,
            absorb=self.absorb,
        )

    @property
    def view(self) -> AccountView | None:
        """What people see of the account."""
        return self._judgement.view

    @property
    def ready(self) -> bool:
        """Everything that a first decision needs has been read."""
        return self._judgement.ready

    def begin(self) -> None:
        """Decide from now on: the gate is open (observe mode, or CONFIRM was given)."""
        self._judgement.begin()

    def adopt(self, policy: Policy) -> None:
        """Another policy, whole, from the next decision on; what rests and what is remembered stays (I23)."""
        self._judgement.adopt(policy)

    def _read(self, event: Event) -> None:
        self._tape(self.state.name, event)
        self.inbox.post(event)

    def absorb(self, event: Event) -> None:
        """Fold an event now; what follows from it is decided when the inbox is read next."""
        folded = fold(self.state, event)
        self._fills.heard(event)
        self._judgement.folded(event, folded, routine=type(event) in ROUTINE)
        if isinstance(event, OrderPushed):
            self.executor.heard(event.update)
        for news in folded.news:
            self._news(news, event.at)
        if any(news.kind in (NewsKind.EPISODE_BEGAN, NewsKind.EPISODE_ENDED) for news in folded.news):
            self.reader.follow(frozenset(key.symbol for key in self.state.held), marked=self.state.marks)
        self.inbox.nudge()

    def hear(self, event: Event) -> Heard:
        """What the stream brings: a price frame is judged here and now, after whatever waits; everything else waits its turn."""
        self._tape(self.state.name, event)
        if type(event) is not MarkSeen:
            self.inbox.post(event)
            return Heard.TAKEN
        begun = self._haste.begun
        try:
            if self.inbox:
                self._take_in()
            self._judgement.price(event)
        except InvariantBroken as broken:
            self.park(str(broken))
        self._frames += 1
        gives_way = self._haste.begun != begun or (self._frames % FRAMES_IN_A_ROW == 0 and self._haste.presses)
        return Heard.GIVE_WAY if gives_way else Heard.TAKEN

    async def run(self) -> None:
        """Read the inbox for ever. A broken invariant parks the account; it never guesses and never ends the guard."""
        while True:
            await self.inbox.arrival(self._clock, self._judgement.waits_s)
            try:
                self._take_in()
                if self._haste.presses:
                    await self._haste.wait(REVIEW_WAITS_S)
                    self._take_in()
                async with self._haste.looks:
                    self._take_in()
                    self.inbox.settle()
                    self._judgement.review(self._clock.now())
                    await self._clock.sleep(0)
            except InvariantBroken as broken:
                self.park(str(broken))
                await self._clock.sleep(0)

    def _take_in(self) -> None:
        while (event := self.inbox.take()) is not None:
            self._handle(event)

    # One event

    def _handle(self, event: Event) -> None:
        match event:
            case MarkSeen():
                self._judgement.price(event)
                return
            case OperatorSpoke():
                self._journal.note_word(self.state.name, event.word, event.why, event.at)
                self._judgement.spoken(event.word)
            case Pulse():
                self._pulse(event.at)
        self.absorb(event)
        match event:
            case PositionsRead():
                self._cross_check(event.at)
                self._balance_follows()
                self._judgement.after_read()
            case BalanceRead():
                self._cross_check(event.at)
                self._judgement.after_read()
                self._judgement.money_was_read()
            case LedgerRead():
                self._judgement.money_was_read()
            case PositionsPushed():
                self._cross_check(event.at)
            case PositionModeRead():
                self._judgement.after_read()
            case OrdersRead():
                self._look_for_another_guard(event)
                self._tell_full_read()
            case ReadFailed():
                severity = Severity.CRITICAL if event.credentials_refused else Severity.WARNING
                self.teller.say(
                    severity, f"read/{event.endpoint}", f"{self.state.name}: {event.endpoint}: {event.why}", event.at
                )
            case SnapshotFinished():
                self._tell_full_read()

    def _tell_full_read(self) -> None:
        """At the pace of the slowest kind, the orders: each kind is read for itself, and the oldest of them counts."""
        at = self.reader.full_at
        if at is not None:
            self.teller.fact(SnapshotTaken(account=self.state.name, venue=self.state.venue, at=at))

    def _pulse(self, now: Instant) -> None:
        self._on_pulse(now)
        self._judgement.pulse(now)
        if self._settlements.passed(now):
            self.reader.want(ReadKind.POSITIONS, ReadKind.BALANCE, ReadKind.LEDGER)
        self.executor.resume(self.state.pending.values())
        plans_at, private = self.state.plans_at, self.state.streams[StreamName.PRIVATE]
        if private.up and self._judgement.rests:
            self.reader.rest(self.state.capabilities.positions_at_rest_s)
        else:
            self.reader.stir()
        if not private.up and plans_at is not None and now.seconds_since(plans_at) > LISTS_WITHOUT_STREAM_S:
            self.reader.want(ReadKind.ORDERS)

    def _news(self, news: News, now: Instant) -> None:
        self.teller.news(news, now)
        match news.kind:
            case NewsKind.READ_WANTED | NewsKind.POSITION_SUSPECT | NewsKind.FORCED_EXIT:
                self.reader.want(ReadKind.POSITIONS)
            case NewsKind.STREAM_UP:
                self.reader.want_full()
            case NewsKind.LEDGER_WANTED:
                self.reader.want(ReadKind.LEDGER)
            case NewsKind.EPISODE_BEGAN | NewsKind.EPISODE_ENDED:
                self.reader.want(ReadKind.BALANCE, ReadKind.ORDERS)
            case NewsKind.STOP_FIRED:
                self.reader.want(ReadKind.POSITIONS, ReadKind.ORDERS)
                if news.key is not None and news.plan is not None:
                    self._judgement.hands.fired(news.key, news.plan, now)
            case _:
                pass

    def _cross_check(self, now: Instant) -> None:
        """I29: figures that contradict each other twice park the account; ones not checked yet hold back the first reduction."""
        wrong = self._judgement.lookout.cross_check(now)
        if wrong:
            self.park("I29: " + "; ".join(wrong))

    def _balance_follows(self) -> None:
        """A balance that is older than a change of quantity, or an end, says nothing about the account any more."""
        at = self.state.balances_at
        changed = at is not None and any(held.changed.mono_ns > at.mono_ns for held in self.state.held.values())
        if changed or self.state.realized:
            self.reader.want(ReadKind.BALANCE)

    def _look_for_another_guard(self, event: OrdersRead) -> None:
        """I14: an order with our prefix that the journal doesn't know was made by somebody else's guardd."""
        rivals = self._rivals.look(event, self.state)
        if rivals is not None:
            self.absorb(ForeignGuardSeen(at=event.at, ids=rivals.ids, later=rivals.later))
            found = f"{self.state.name}: {len(rivals.ids)} orders of another guardd rest here"
            text = f"{found}; this one only observes (resume adopts them)"
            if rivals.later:
                text = f"{found}, younger than ours: it must only observe, and this one goes on. End one of the two"
            self.teller.say(Severity.CRITICAL, "foreign-guard", text, event.at)

    def park(self, why: str) -> None:
        """Something that must hold did not: read on, restore a missing stop, nothing else, until `resume`."""
        now = self._clock.now()
        if self.state.parked is None:
            self._journal.note_word(self.state.name, OperatorWord.PARK, why, now)
            self.teller.say(Severity.CRITICAL, "parked", f"{self.state.name}: parked: {why}", now)
            self.absorb(OperatorSpoke(at=now, word=OperatorWord.PARK, why=why))

    def stumbled(self, name: str, why: str) -> None:
        """A task of the hands died: what it carried is picked up as unknown at the next pulse (I7)."""
        now = self._clock.now()
        self.teller.say(Severity.CRITICAL, f"stumbled/{name}", f"{self.state.name}: {name} failed: {why}", now)
