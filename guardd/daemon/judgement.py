"""What is decided of one account, and when: at once where a price crosses something, and in a look at each piece that is due.

A price frame is judged where it arrives: two comparisons, unless it crosses something. Then the step that this calls for goes, and
everything else that follows from it is for the review. The comparisons are aimed anew by each look.
"""

from collections.abc import Callable, Iterable
from decimal import Decimal

from guardd.daemon.agenda import AGAIN_NS, Agenda
from guardd.daemon.gate import waits_for
from guardd.daemon.hands import NO_BOUNDS, Hands
from guardd.daemon.inbox import Inbox
from guardd.daemon.lookout import Lookout
from guardd.daemon.own_stops import OwnStops
from guardd.daemon.reader import Reader, ReadKind
from guardd.daemon.showing import Showing
from guardd.daemon.telling import Teller
from guardd.execution.executor import Executor
from guardd.execution.proposal import Bounds, Leash
from guardd.model.decision import Protect
from guardd.model.event import Event, MarkSeen, OperatorSpoke, OperatorWord, Source
from guardd.model.facts import AccountView
from guardd.model.fold import fold
from guardd.model.instant import NS_PER_S, Instant
from guardd.model.names import PositionKey, Symbol
from guardd.model.reading import Reading
from guardd.model.state import AccountState, Folded, Held
from guardd.policy.confirm import Confirmation
from guardd.policy.decide import Decided, decide, react
from guardd.policy.language import Metric, Policy
from guardd.policy.memory import Memory
from guardd.policy.trail import next_best
from guardd.policy.view import View
from guardd.policy.watch import Watch, watch


class Judgement:
    """Of one guard: it is told what was folded, and has the hands do what is decided."""

    def __init__(
        self,
        *,
        state: AccountState,
        policy: Policy,
        executor: Executor,
        reader: Reader,
        teller: Teller,
        inbox: Inbox,
        absorb: Callable[[Event], None],
    ) -> None:
        self.lookout = Lookout(state)
        self.hands = Hands(
            state=state,
            executor=executor,
            reader=reader,
            teller=teller,
            bounds=self._bounds,
            doubts=self.lookout.doubts,
        )
        self.ready = False
        """Everything that a first decision needs has been read."""
        self.waits_s: float | None = None
        """So long at most until the next review, though nothing else happens."""
        self._state = state
        self._policy = policy
        self._reader = reader
        self._teller = teller
        self._inbox = inbox
        self._absorb = absorb
        self._memory = Memory()
        self._confirmation = Confirmation()
        self._own_stops = OwnStops(state=state, hands=self.hands, reader=reader, teller=teller)
        self._showing = Showing(state=state, hands=self.hands, lookout=self.lookout, teller=teller)
        self._agenda = Agenda(state, counted=self._counted)
        self._watch: Watch | None = None
        self._reacted: set[Symbol] = set()
        """Instruments that crossed since their comparisons were aimed."""
        self._began: Instant | None = None
        self._missing: tuple[str, ...] = ("the first read",)
        self._deciding = False
        self._follow_up = False
        self._followed_ns = 0
        self._flattening = False
        self._adopt_leash()

    @property
    def view(self) -> AccountView | None:
        """What people see of the account."""
        return self._showing.view

    @property
    def rests(self) -> bool:
        """Nothing is unsettled, and nothing is missing."""
        return self.ready and self._agenda.rests

    def begin(self) -> None:
        """Decide from now on: the gate is open (observe mode, or CONFIRM was given)."""
        if self._state.armed:
            self._memory.show(self._state)
        self._deciding = True
        self._look_at_everything()

    def adopt(self, policy: Policy) -> None:
        """Another policy, whole, from the next decision on; what rests and what is remembered stays (I23)."""
        self._policy = policy
        self._memory.keep(rule.name for rule in policy.rules)
        self._adopt_leash()
        self._look_at_everything()

    # What happened

    def folded(self, event: Event, folded: Folded, *, routine: bool) -> None:
        """What is to be looked at anew. `routine`: an event that comes by the clock."""
        changed = True
        if folded.everything and not isinstance(event, OperatorSpoke):
            changed = self._agenda.compare(folded.differs)
        elif folded.everything:
            self._agenda.everything()
        else:
            self._agenda.changed(folded.symbols)
            changed = bool(folded.symbols)
        if changed or folded.news or not routine:
            self._showing.restless = True
        self._follow_up = True

    def pulse(self, now: Instant) -> None:
        """Time went by."""
        self._showing.pulse()
        self._agenda.pulse(now)

    def spoken(self, word: OperatorWord) -> None:
        """A flatten goes on from look to look until everything is closed, or somebody says to resume."""
        self._flattening = word is OperatorWord.FLATTEN or (self._flattening and word is not OperatorWord.RESUME)

    def after_read(self) -> None:
        """What waited for a read is decided now, not at the next turn; without a stream its marks reach software stops too (I9)."""
        self._agenda.changed(frozenset(self.hands.waits_for_read))
        self.hands.waits_for_read.clear()
        for symbol in sorted({key.symbol for key in self.hands.software_stops}):
            seen = self._state.marks.get(symbol)
            if self._deciding and seen is not None and seen.source is Source.REST:
                self._own_stops.keep(seen)

    def money_was_read(self) -> None:
        """The drawdown moves with account reads and the ledger, and with nothing that prices are solved from."""
        if self._reader.follows_ledger:
            self._agenda.look_again()

    def _look_at_everything(self) -> None:
        self._watch = None
        self._agenda.everything()
        self._inbox.nudge()

    # A price

    def price(self, frame: MarkSeen) -> None:
        """The path of every tick: fold, remember as a witness, compare."""
        fold(self._state, frame)
        self._confirmation.seen(frame)
        aim = self._watch
        if aim is None or not self._deciding:
            return
        if aim.crossed(frame.symbol, frame.mark) or self._confirmation.waiting(frame.symbol):
            self._react(frame, aim.affected(frame.symbol))
        if self.hands.software_stops:
            self._own_stops.keep(frame)

    def _react(self, frame: MarkSeen, symbols: frozenset[Symbol]) -> None:
        """A step that the crossing calls for goes now; all else that follows from it is for the review, once the order left.

        Where another frame comes before the review, it brings the comparisons with it: a fall would be reacted to at each tick.
        """
        decided = react(self._policy, self._state, self._memory, self._confirmation, now=frame.at, symbols=symbols)
        self.lookout.assessed(decided.risks)
        self.hands.act(decided.decisions, now=frame.at, frame_ns=frame.at.mono_ns)
        self._tell(decided, frame.at)
        if self._reacted.isdisjoint(symbols):
            self._reacted |= symbols
        else:
            self._aim(frame.at, symbols, decided.views)
        self._showing.restless = True
        self._agenda.changed(frozenset({frame.symbol}))
        self._inbox.nudge()

    # A look

    def review(self, now: Instant) -> None:
        """Look at one piece anew: decide, act, aim the price comparisons, show. What is left comes after the next events."""
        if not self.ready:
            self._began = self._began or now
            self._missing = waits_for(self._state, waited_s=now.seconds_since(self._began))
            self.ready = not self._missing
        if self._deciding and self.ready:
            piece = self._agenda.next(now)
            if piece is not None:
                symbols, changed = piece
                decided = self._decide(now, symbols=symbols)
                if changed or self._watch is None:
                    self._aim(now, symbols, decided.views)
            elif not self._state.held and (self._memory.episodes or self._confirmation):
                self._memory.forget_ended(self._state)
                self._confirmation.forget(frozenset())
            if self._follow_up and now.mono_ns - self._followed_ns >= AGAIN_NS:
                self._follow_up, self._followed_ns = False, now.mono_ns
                self.hands.follow_up(now=now)
            if self._flattening:
                self._flattening = self.hands.flatten(now=now)
            again_ns = self._agenda.again_ns(now)
            if again_ns is None and self._follow_up:
                again_ns = AGAIN_NS
            self.waits_s = None if again_ns is None else again_ns / NS_PER_S
            if again_ns == 0:
                self._inbox.nudge()
        solved = self._watch.solved if self._watch is not None else {}
        missing = self._missing or (() if self._deciding else ("the operator's word",))
        self._showing.show(
            self._policy,
            self._memory,
            solved,
            ready=self.ready,
            missing=missing,
            unsettled=self._agenda.unsettled,
            now=now,
        )
        if self._showing.unfinished:
            self._inbox.nudge()

    def _aim(self, now: Instant, symbols: frozenset[Symbol], seen: tuple[View, ...]) -> None:
        """Solve every rule for the marks at which it changes its mind; the next ticks are compared with those."""
        self._reacted -= symbols
        also: dict[Symbol, list[Decimal]] = {}
        asked = None if self._watch is None else symbols
        for held in self._state.held.values() if asked is None else self._state.holds_any(asked):
            prices = also.setdefault(held.key.symbol, [])
            prices.extend(stop.trigger_price for stop in self.hands.software_stops.get(held.key, ()))
            prices.extend(next_best(self._memory.of(held.episode.id), held.key.side.sign))
        self._watch = watch(
            self._policy, self._state, now=now, also=also, previous=self._watch, symbols=symbols, seen=seen
        )

    def _counted(self, held: Held) -> Reading:
        """A venue's number that moved by less than the prices were solved for is as it was."""
        told, solved = held.position.liquidation_price, self._watch and self._watch.solved.get(held.key)
        return solved.counted(told) if solved else told

    def _decide(self, now: Instant, *, symbols: Iterable[Symbol]) -> Decided:
        decided = decide(self._policy, self._state, self._memory, self._confirmation, now=now, symbols=symbols)
        self.lookout.assessed(decided.risks)
        looked_at = frozenset(risk.key.symbol for risk in decided.risks)
        self.lookout.wants(decision for decision in decided.decisions if isinstance(decision, Protect))
        self.hands.act(decided.decisions, now=now)
        at_rest = decided.at_rest and self.hands.settled(looked_at)
        turns_in_s = decided.ripens_in_s if at_rest else decided.turns_in_s
        turns_at = now.later_by(turns_in_s) if turns_in_s is not None else None
        self._agenda.ripens(looked_at, turns_at, at_rest=at_rest)
        for footing in decided.footings:
            self._absorb(footing)
        self._tell(decided, now)
        return decided

    def _tell(self, decided: Decided, now: Instant) -> None:
        """After the acting: nobody's ears stand before an order (architecture, the reaction path)."""
        self._showing.restless |= bool(decided.told or decided.fired)
        for symbol in sorted(decided.ask_rest):
            self._reader.want_mark(symbol)
        if decided.read_first:
            wrong = {risk.key for risk in decided.risks if risk.contradiction}
            waiting = {key.symbol for key in decided.read_first - wrong}
            self.hands.waits_for_read |= waiting
            if waiting:
                self._reader.want_positions_at_once()
            self._reader.want(ReadKind.POSITIONS, ReadKind.BALANCE)
        self._teller.decided(decided, now)

    def _bounds(self, key: PositionKey) -> Bounds:
        risk = self.lookout.risks.get(key)
        return NO_BOUNDS if risk is None else Bounds(mark=risk.mark, liquidation_price=risk.stop_bound)

    def _adopt_leash(self) -> None:
        self._reader.follow_ledger(Metric.ACCOUNT_DRAWDOWN in self._policy.compared)
        limits = self._policy.limits
        self.hands.leash = Leash(
            orders_per_minute=limits.orders_per_minute,
            reduce_per_hour=limits.reduce_per_hour,
            top_up_per_day=limits.top_up_per_day,
        )
