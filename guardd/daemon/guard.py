"""The heart: an event is folded into the state, the state is assessed, the policy decides, the decision is carried out.

A price frame is judged where it arrives: two comparisons, unless it crosses something. One task reads the inbox for the rest, which
marks the account for a review, once the inbox is empty and no order is on its way. What the hands do comes back as events, folded
before anything is decided anew.
"""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Final

from guardd.clock import Clock
from guardd.daemon.agenda import AGAIN_NS, Agenda
from guardd.daemon.fills import Fills
from guardd.daemon.gate import waits_for
from guardd.daemon.hands import NO_BOUNDS, Hands
from guardd.daemon.inbox import Inbox
from guardd.daemon.lookout import Lookout
from guardd.daemon.own_stops import OwnStops
from guardd.daemon.reader import Reader, ReadKind
from guardd.daemon.rivals import RivalWatch
from guardd.daemon.settlements import Settlements
from guardd.daemon.showing import Showing
from guardd.daemon.telling import Teller
from guardd.errors import InvariantBroken
from guardd.execution.executor import Executor, Spawn
from guardd.execution.haste import Haste
from guardd.execution.proposal import Bounds, Leash
from guardd.journal.base import Journal
from guardd.model.decision import Protect
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
    Source,
    StreamName,
)
from guardd.model.facts import AccountView, Listener, SnapshotTaken
from guardd.model.fold import fold
from guardd.model.instant import NS_PER_S, Instant
from guardd.model.names import AccountName, PositionKey, Severity, Symbol
from guardd.model.reading import Reading
from guardd.model.state import AccountState, Held, News, NewsKind
from guardd.policy.confirm import Confirmation
from guardd.policy.decide import Decided, decide, react
from guardd.policy.language import Metric, Policy
from guardd.policy.memory import Memory
from guardd.policy.trail import next_best
from guardd.policy.view import View
from guardd.policy.watch import Watch, watch
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
        self.memory = Memory()
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
        self._policy = policy
        self._journal = journal
        self._clock = clock
        self._on_pulse = on_pulse
        self._tape = tape
        self._confirmation = Confirmation()
        self._lookout = Lookout(state)
        self._hands = Hands(
            state=state,
            executor=self.executor,
            reader=self.reader,
            teller=self.teller,
            bounds=self._bounds,
            doubts=self._lookout.doubts,
        )
        self._own_stops = OwnStops(state=state, hands=self._hands, reader=self.reader, teller=self.teller)
        self._showing = Showing(state=state, hands=self._hands, lookout=self._lookout, teller=self.teller)
        self._watch: Watch | None = None
        self._reacted: set[Symbol] = set()
        """Instruments that crossed since their comparisons were aimed."""
        self._ready = False
        self._began: Instant | None = None
        self._missing: tuple[str, ...] = ("the first read",)
        self._deciding = False
        self._agenda = Agenda(state, counted=self._counted)
        self._settlements = Settlements(state)
        self._rivals = RivalWatch()
        self._follow_up = False
        self._followed_ns = 0
        self._waits_s: float | None = None
        """So long at most until the next review, though nothing else happens."""
        self._flattening = False
        self._adopt_leash()

    @property
    def policy(self) -> Policy:
        return self._policy

    @property
    def view(self) -> AccountView | None:
        """What people see of the account."""
        return self._showing.view

    @property
    def ready(self) -> bool:
        """Everything that a first decision needs has been read."""
        return self._ready

    def begin(self) -> None:
        """Decide from now on: the gate is open (observe mode, or CONFIRM was given)."""
        if self.state.armed:
            self.memory.show(self.state)
        self._deciding = True
        self._look_at_everything()

    def adopt(self, policy: Policy) -> None:
        """Another policy, whole, from the next decision on; what rests and what is remembered stays (I23)."""
        self._policy = policy
        self.memory.keep(rule.name for rule in policy.rules)
        self._adopt_leash()
        self._look_at_everything()

    def _read(self, event: Event) -> None:
        self._tape(self.state.name, event)
        self.inbox.post(event)

    def absorb(self, event: Event) -> None:
        """Fold an event now; what follows from it is decided when the inbox is read next."""
        folded = fold(self.state, event)
        self._fills.heard(event)
        changed = True
        if folded.everything and not isinstance(event, OperatorSpoke):
            changed = self._agenda.compare(folded.differs)
        elif folded.everything:
            self._agenda.everything()
        else:
            self._agenda.changed(folded.symbols)
            changed = bool(folded.symbols)
        if changed or folded.news or type(event) not in ROUTINE:
            self._showing.restless = True
        if isinstance(event, OrderPushed):
            self.executor.heard(event.update)
        self._follow_up = True
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
            self._price(event)
        except InvariantBroken as broken:
            self.park(str(broken))
        self._frames += 1
        gives_way = self._haste.begun != begun or (self._frames % FRAMES_IN_A_ROW == 0 and self._haste.presses)
        return Heard.GIVE_WAY if gives_way else Heard.TAKEN

    async def run(self) -> None:
        """Read the inbox for ever. A broken invariant parks the account; it never guesses and never ends the guard."""
        while True:
            await self.inbox.arrival(self._clock, self._waits_s)
            try:
                self._take_in()
                if self._haste.presses:
                    await self._haste.wait(REVIEW_WAITS_S)
                    self._take_in()
                async with self._haste.looks:
                    self._take_in()
                    self.inbox.settle()
                    self._review(self._clock.now())
                    await self._clock.sleep(0)
            except InvariantBroken as broken:
                self.park(str(broken))
                await self._clock.sleep(0)

    def _take_in(self) -> None:
        while (event := self.inbox.take()) is not None:
            self._handle(event)

    def _look_at_everything(self) -> None:
        self._watch = None
        self._agenda.everything()
        self.inbox.nudge()

    # One event

    def _handle(self, event: Event) -> None:
        match event:
            case MarkSeen():
                self._price(event)
                return
            case OperatorSpoke():
                self._journal.note_word(self.state.name, event.word, event.why, event.at)
                self._flattening = event.word is OperatorWord.FLATTEN or (
                    self._flattening and event.word is not OperatorWord.RESUME
                )
            case Pulse():
                self._pulse(event.at)
        self.absorb(event)
        match event:
            case PositionsRead():
                self._cross_check(event.at)
                self._balance_follows()
                self._after_read()
            case BalanceRead():
                self._cross_check(event.at)
                self._after_read()
                self._money_was_read()
            case LedgerRead():
                self._money_was_read()
            case PositionsPushed():
                self._cross_check(event.at)
            case PositionModeRead():
                self._after_read()
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

    def _price(self, frame: MarkSeen) -> None:
        """The path of every tick: fold, remember as a witness, compare."""
        fold(self.state, frame)
        self._confirmation.seen(frame)
        aim = self._watch
        if aim is None or not self._deciding:
            return
        if aim.crossed(frame.symbol, frame.mark) or self._confirmation.waiting(frame.symbol):
            self._react(frame, aim.affected(frame.symbol))
        if self._hands.software_stops:
            self._own_stops.keep(frame)

    def _react(self, frame: MarkSeen, symbols: frozenset[Symbol]) -> None:
        """A step that the crossing calls for goes now; all else that follows from it is for the review, once the order left.

        Where another frame comes before the review, it brings the comparisons with it: a fall would be reacted to at each tick.
        """
        decided = react(self._policy, self.state, self.memory, self._confirmation, now=frame.at, symbols=symbols)
        self._lookout.assessed(decided.risks)
        self._hands.act(decided.decisions, now=frame.at, frame_ns=frame.at.mono_ns)
        self._tell(decided, frame.at)
        if self._reacted.isdisjoint(symbols):
            self._reacted |= symbols
        else:
            self._aim(frame.at, symbols, decided.views)
        self._showing.restless = True
        self._agenda.changed(frozenset({frame.symbol}))
        self.inbox.nudge()

    def _after_read(self) -> None:
        """What waited for a read is decided now, not at the next turn; without a stream its marks reach software stops too (I9)."""
        self._agenda.changed(frozenset(self._hands.waits_for_read))
        self._hands.waits_for_read.clear()
        for symbol in sorted({key.symbol for key in self._hands.software_stops}):
            seen = self.state.marks.get(symbol)
            if self._deciding and seen is not None and seen.source is Source.REST:
                self._own_stops.keep(seen)

    def _money_was_read(self) -> None:
        """The drawdown moves with account reads and the ledger, and with nothing that prices are solved from."""
        if self.reader.follows_ledger:
            self._agenda.look_again()

    def _pulse(self, now: Instant) -> None:
        self._on_pulse(now)
        self._showing.pulse()
        self._agenda.pulse(now)
        if self._settlements.passed(now):
            self.reader.want(ReadKind.POSITIONS, ReadKind.BALANCE, ReadKind.LEDGER)
        self.executor.resume(self.state.pending.values())
        plans_at, private = self.state.plans_at, self.state.streams[StreamName.PRIVATE]
        if private.up and self._ready and self._agenda.rests:
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
                    self._hands.fired(news.key, news.plan, now)
            case _:
                pass

    def _cross_check(self, now: Instant) -> None:
        """I29: figures that contradict each other twice park the account; ones not checked yet hold back the first reduction."""
        wrong = self._lookout.cross_check(now)
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

    # Deciding

    def _review(self, now: Instant) -> None:
        """Look at one piece anew: decide, act, aim the price comparisons, show. What is left comes after the next events."""
        if not self._ready:
            self._began = self._began or now
            self._missing = waits_for(self.state, waited_s=now.seconds_since(self._began))
            self._ready = not self._missing
        if self._deciding and self._ready:
            piece = self._agenda.next(now)
            if piece is not None:
                symbols, changed = piece
                decided = self._decide(now, symbols=symbols)
                if changed or self._watch is None:
                    self._aim(now, symbols, decided.views)
            elif not self.state.held and (self.memory.episodes or self._confirmation):
                self.memory.forget_ended(self.state)
                self._confirmation.forget(frozenset())
            if self._follow_up and now.mono_ns - self._followed_ns >= AGAIN_NS:
                self._follow_up, self._followed_ns = False, now.mono_ns
                self._hands.follow_up(now=now)
            if self._flattening:
                self._flattening = self._hands.flatten(now=now)
            again_ns = self._agenda.again_ns(now)
            if again_ns is None and self._follow_up:
                again_ns = AGAIN_NS
            self._waits_s = None if again_ns is None else again_ns / NS_PER_S
            if again_ns == 0:
                self.inbox.nudge()
        solved = self._watch.solved if self._watch is not None else {}
        missing = self._missing or (() if self._deciding else ("the operator's word",))
        self._showing.show(
            self._policy,
            self.memory,
            solved,
            ready=self._ready,
            missing=missing,
            unsettled=self._agenda.unsettled,
            now=now,
        )
        if self._showing.unfinished:
            self.inbox.nudge()

    def _aim(self, now: Instant, symbols: frozenset[Symbol], seen: tuple[View, ...]) -> None:
        """Solve every rule for the marks at which it changes its mind; the next ticks are compared with those."""
        self._reacted -= symbols
        also: dict[Symbol, list[Decimal]] = {}
        asked = None if self._watch is None else symbols
        for held in self.state.held.values() if asked is None else self.state.holds_any(asked):
            prices = also.setdefault(held.key.symbol, [])
            prices.extend(stop.trigger_price for stop in self._hands.software_stops.get(held.key, ()))
            prices.extend(next_best(self.memory.of(held.episode.id), held.key.side.sign))
        self._watch = watch(
            self._policy, self.state, now=now, also=also, previous=self._watch, symbols=symbols, seen=seen
        )

    def _counted(self, held: Held) -> Reading:
        """A venue's number that moved by less than the prices were solved for is as it was."""
        told, solved = held.position.liquidation_price, self._watch and self._watch.solved.get(held.key)
        return solved.counted(told) if solved else told

    def _decide(self, now: Instant, *, symbols: Iterable[Symbol]) -> Decided:
        decided = decide(self._policy, self.state, self.memory, self._confirmation, now=now, symbols=symbols)
        self._lookout.assessed(decided.risks)
        looked_at = frozenset(risk.key.symbol for risk in decided.risks)
        self._lookout.wants(decision for decision in decided.decisions if isinstance(decision, Protect))
        self._hands.act(decided.decisions, now=now)
        at_rest = decided.at_rest and self._hands.settled(looked_at)
        turns_in_s = decided.ripens_in_s if at_rest else decided.turns_in_s
        turns_at = now.later_by(turns_in_s) if turns_in_s is not None else None
        self._agenda.ripens(looked_at, turns_at, at_rest=at_rest)
        for footing in decided.footings:
            self.absorb(footing)
        self._tell(decided, now)
        return decided

    def _tell(self, decided: Decided, now: Instant) -> None:
        """After the acting: nobody's ears stand before an order (architecture, the reaction path)."""
        self._showing.restless |= bool(decided.told or decided.fired)
        for symbol in sorted(decided.ask_rest):
            self.reader.want_mark(symbol)
        if decided.read_first:
            wrong = {risk.key for risk in decided.risks if risk.contradiction}
            waiting = {key.symbol for key in decided.read_first - wrong}
            self._hands.waits_for_read |= waiting
            if waiting:
                self.reader.want_positions_at_once()
            self.reader.want(ReadKind.POSITIONS, ReadKind.BALANCE)
        self.teller.decided(decided, now)

    def _bounds(self, key: PositionKey) -> Bounds:
        risk = self._lookout.risks.get(key)
        return NO_BOUNDS if risk is None else Bounds(mark=risk.mark, liquidation_price=risk.stop_bound)

    def _adopt_leash(self) -> None:
        self.reader.follow_ledger(Metric.ACCOUNT_DRAWDOWN in self._policy.compared)
        limits = self._policy.limits
        self._hands.leash = Leash(
            orders_per_minute=limits.orders_per_minute,
            reduce_per_hour=limits.reduce_per_hour,
            top_up_per_day=limits.top_up_per_day,
        )
