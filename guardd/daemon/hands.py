"""From decisions to intents: propose, approve, start. What can't be sent is told, or waits for what it needs.

Everything that judges is in `execution` and pure; this is where one account's guard holds the strings together.
"""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Final, assert_never

from guardd.daemon.reader import Reader, ReadKind
from guardd.daemon.telling import Teller
from guardd.execution.approve import ApprovedIntent, NeedsRead, approve
from guardd.execution.closing import closing_steps, unfinished_reductions
from guardd.execution.entries import cancel_entries, cancel_every_entry, entries_left
from guardd.execution.executor import Executor
from guardd.execution.fired import finish_fired
from guardd.execution.levering import lever_steps
from guardd.execution.proposal import Bounds, FiredStop, Leash, Note, Proposal, SoftwareStop, Steps
from guardd.execution.reconcile import reconcile
from guardd.execution.refusal import QUIET, Refusal, RefusalKind
from guardd.execution.sweep import sweep
from guardd.model.decision import (
    AddMargin,
    CancelEntries,
    Close,
    Decision,
    LowerLeverage,
    OnUnprotected,
    Protect,
    Reduce,
    Tell,
    TopUp,
)
from guardd.model.facts import Refused
from guardd.model.instant import Instant
from guardd.model.names import EpisodeId, PositionKey, RuleName, Severity, Symbol
from guardd.model.order import PlanOrder, ProtectionKind
from guardd.model.reading import Absent, is_value
from guardd.model.state import AccountState, Held
from guardd.risk.tranches import filled_tranches

UNPROTECTED_CRITICAL_S: Final = 60.0
UNPROTECTED_AGAIN_S: Final = 300.0
"""A position whose stop no form at the venue would take: critical after this, closed where the policy says so (2.4)."""
OVERDUE_READ_EVERY_S: Final = 0.5
NO_BOUNDS: Final = Bounds(mark=Absent.UNKNOWN, liquidation_price=Absent.UNKNOWN)


class Hands:
    """What one account's guard acts with. It remembers what the guard must watch itself: stops that no venue form would take."""

    def __init__(
        self,
        *,
        state: AccountState,
        executor: Executor,
        reader: Reader,
        teller: Teller,
        bounds: Callable[[PositionKey], Bounds],
        doubts: Callable[[PositionKey], tuple[str, ...]],
    ) -> None:
        self._state = state
        self._executor = executor
        self._reader = reader
        self._teller = teller
        self._bounds = bounds
        self._doubts = doubts
        self._fired: dict[tuple[PositionKey, str], FiredStop] = {}
        self._unprotected: dict[PositionKey, tuple[EpisodeId, Instant, str]] = {}
        self._told_bare: dict[PositionKey, tuple[Instant, Instant]] = {}
        """Since when, and when it was told last."""
        self.software_stops: dict[PositionKey, tuple[SoftwareStop, ...]] = {}
        self.waits_for_read: set[Symbol] = set()
        """Something on these would go but for a position that was read too long ago."""
        self._unsettled: set[PositionKey] = set()
        """What rests on these isn't yet, or may not stay, as it is wanted."""
        self.leash = Leash()

    def act(self, decisions: Iterable[Decision], *, now: Instant, frame_ns: int | None = None) -> None:
        """Carry out what was decided, in order."""
        wanted = tuple(decisions)
        closed = {decision.key for decision in wanted if isinstance(decision, Close)}
        for decision in wanted:
            self._carry_out(decision, closed, now=now, frame_ns=frame_ns)

    def follow_up(self, *, now: Instant) -> None:
        """Finish what is half done and sweep what is left over."""
        left = self._follow_ups(now)
        if left:
            self.act(left, now=now)
        self._propose(sweep(self._state), now=now)

    def fired(self, key: PositionKey, plan: PlanOrder, now: Instant) -> None:
        """A resting stop of a position was triggered: what it leaves is finished by order."""
        held = self._state.held.get(key)
        if held is None or plan.protection is not ProtectionKind.STOP_LOSS or self._is_of_another_life(plan, held):
            return
        self._fired[(key, plan.order_id)] = FiredStop(
            key=key,
            episode=held.episode.id,
            rule=RuleName(f"fired/{plan.order_id}"),
            order_id=plan.order_id,
            size=plan.size,
            quantity_before=held.position.quantity,
            at=now,
        )

    def _is_of_another_life(self, plan: PlanOrder, held: Held) -> bool:
        """Somebody's, and older than the position. In one-way mode a venue may not say which side a stop closes (Bitget reference,
        12.2): what a long left resting says nothing about the short that came after it."""
        opened_ms = held.position.opened_ms
        return not self._state.owns(plan) and opened_ms is not None and plan.created_ms < opened_ms

    def flatten(self, *, now: Instant) -> bool:
        """The operator's word, said with CONFIRM: cancel what could open anything, close everything. True: more is to be done."""
        rule, reason = RuleName("operator-flatten"), "the operator said flatten"
        self._propose(cancel_every_entry(self._state, rule=rule), now=now)
        for key, held in sorted(self._state.held.items()):
            close = Close(key=key, episode=held.episode.id, rule=rule, reason=reason)
            steps = closing_steps(close, self._state, self._bounds(key), now=now, operator=True)
            self._propose(steps, now=now, with_opposite=True)
        left = [key for key in self._state.held if not self._state.why_unguarded(key.symbol)]
        return bool(left) or entries_left(self._state)

    def unprotected(self, key: PositionKey) -> str:
        """Why no adequate stop rests on a position although the policy wants one; empty when one does."""
        told = self._unprotected.get(key)
        return told[2] if told is not None else ""

    def settled(self, symbols: frozenset[Symbol]) -> bool:
        """Nothing that the hands began, or may not do yet, waits for the next look at these."""
        busy = {key.symbol for key in self._unsettled} | {stop.key.symbol for stop in self._fired.values()}
        return not (symbols & (busy | self.waits_for_read))

    def software_stop_reached(self, key: PositionKey, price: Decimal) -> SoftwareStop | None:
        """The stop that the guard itself must keep, if `price` is at or through it."""
        for stop in self.software_stops.get(key, ()):
            if _is_past(price, stop.trigger_price, key):
                return stop
        return None

    def _carry_out(self, decision: Decision, closed: set[PositionKey], *, now: Instant, frame_ns: int | None) -> None:
        match decision:
            case Protect():
                self._protect(decision, now)
            case Reduce() | Close():
                bounds = self._bounds(decision.key)
                steps = closing_steps(decision, self._state, bounds, now=now, frame_ns=frame_ns)
                opposite = PositionKey(decision.key.account, decision.key.symbol, decision.key.side.opposite)
                self._propose(steps, now=now, with_opposite=opposite in closed)
            case LowerLeverage() | AddMargin() | TopUp():
                self._propose(lever_steps(decision, self._state, frame_ns=frame_ns), now=now)
            case CancelEntries():
                self._propose(cancel_entries(decision, self._state), now=now)
            case Tell():
                edge = f"rule/{decision.rule}/{decision.key}"
                self._teller.say(decision.severity, edge, decision.text, now)
            case _:
                assert_never(decision)

    def _protect(self, decision: Protect, now: Instant) -> None:
        steps = reconcile(decision, self._state, self._bounds(decision.key), now=now)
        self._keep(decision.key, (*steps.software_stops, *self._reached(decision, steps)))
        overdue = self._overdue(decision.key, now)
        if overdue:
            self._reader.want(ReadKind.POSITIONS, ReadKind.ORDERS)
        if steps.lists_first:
            self._reader.want(ReadKind.ORDERS)
        if steps.position_first:
            self.waits_for_read.add(decision.key.symbol)
            self._reader.want(ReadKind.POSITIONS)
        for stop in steps.fired:
            self._fired.setdefault((stop.key, stop.order_id), stop)
        if steps.contested:
            self._teller.contested(decision.key, steps.contested, now)
        else:
            self._teller.settled(f"contested/{decision.key}")
        waits = overdue or steps.waits or steps.lists_first or steps.position_first
        acts = steps.proposals or steps.fired or steps.contested or steps.unprotected
        (self._unsettled.add if waits or acts else self._unsettled.discard)(decision.key)
        self._note_unprotected(decision.key, decision.episode, steps.unprotected or "; ".join(decision.impossible), now)
        self._propose(steps, now=now)

    def _keep(self, key: PositionKey, stops: tuple[SoftwareStop, ...]) -> None:
        """Only positions that have one are here: each tick asks whether there are any."""
        if stops:
            self.software_stops[key] = stops
        else:
            self.software_stops.pop(key, None)

    def _reached(self, decision: Protect, steps: Steps) -> tuple[SoftwareStop, ...]:
        """Software stops that the mark is past: the policy names them no more (nothing can be placed), and now they must act.

        One for a tranche acts once in the episode.
        """
        mark, held = self._bounds(decision.key).mark, self._state.held.get(decision.key)
        if held is None or not is_value(mark):
            return ()
        known = {tranche.slot: tranche for tranche in held.episode.footing.filled}
        over = set(filled_tranches(self._state, held, known)) | {stop.slot for stop in steps.software_stops}
        return tuple(
            stop
            for stop in self.software_stops.get(decision.key, ())
            if stop.episode == decision.episode
            and stop.slot not in over
            and _is_past(mark, stop.trigger_price, decision.key)
        )

    def _overdue(self, key: PositionKey, now: Instant) -> bool:
        """The mark is past a resting stop of ours: whether it fired, failed or was late is read at once, then twice a second."""
        mark, at = self._bounds(key).mark, self._state.plans_at
        if not is_value(mark) or (at is not None and now.seconds_since(at) < OVERDUE_READ_EVERY_S):
            return False
        return any(
            plan.protection is ProtectionKind.STOP_LOSS
            and self._state.owns(plan)
            and _is_past(mark, plan.trigger_price, key)
            for plan in self._state.plans_of(key)
        )

    def _note_unprotected(self, key: PositionKey, episode: EpisodeId, why: str, now: Instant) -> None:
        """Counted for each life by itself: what one was without is never held against the next (interfaces.md 2.1)."""
        edge = f"unprotected/{key}"
        if not why:
            if self._unprotected.pop(key, None) is not None:
                self._teller.say(Severity.INFO, edge, f"{key}: protected", now)
            return
        whose, since, _ = self._unprotected.get(key, (episode, now, why))
        since = since if whose == episode else now
        self._unprotected[key] = (episode, since, why)
        told = self._told_bare.get(key)
        again = told is None or told[0] != since or now.seconds_since(told[1]) >= UNPROTECTED_AGAIN_S
        if again and now.seconds_since(since) >= UNPROTECTED_CRITICAL_S:
            self._told_bare[key] = (
                since,
                now,
            )  # the reason has the mark in it: by its words it would be news each second
            self._teller.say(Severity.CRITICAL, edge, f"{key}: without a stop for over a minute: {why}", now)

    def _follow_ups(self, now: Instant) -> list[Decision]:
        """Slices that are left, rests of stops that fired, positions that may not stay unprotected."""
        found: list[Decision] = list(unfinished_reductions(self._state, now))
        for mark, stop in sorted(self._fired.items()) if self._fired else ():
            held = self._state.held.get(stop.key)
            if held is None or held.episode.id != stop.episode:
                del self._fired[mark]
            elif (rest := finish_fired(stop, self._state, now=now)) is not None:
                found.append(rest)
        for key in {
            *self.software_stops,
            *self._unprotected,
            *self._told_bare,
            *self._unsettled,
        } - self._state.held.keys():
            self.software_stops.pop(key, None)
            self._unprotected.pop(key, None)
            self._told_bare.pop(key, None)
            self._unsettled.discard(key)
        for key, stops in sorted(self.software_stops.items()):
            whose, since, _ = self._unprotected.get(key, (EpisodeId(""), now, ""))
            must = [stop for stop in stops if stop.on_unprotected is OnUnprotected.CLOSE and stop.episode == whose]
            if must and now.seconds_since(since) >= UNPROTECTED_CRITICAL_S:
                reason = f"unprotected for over a minute and the policy says close: {must[0].why}"
                found.append(Close(key=key, episode=must[0].episode, rule=must[0].rule, reason=reason))
        return found

    def _propose(self, steps: Steps, *, now: Instant, with_opposite: bool = False) -> None:
        for note in steps.notes:
            self._tell(note, now)
        for proposal in steps.proposals:
            self._submit(proposal, now=now, with_opposite=with_opposite)

    def _submit(self, proposal: Proposal, *, now: Instant, with_opposite: bool) -> None:
        verdict = approve(
            proposal,
            self._state,
            self._bounds(proposal.key),
            leash=self.leash,
            now=now,
            doubts=self._doubts(proposal.key),
            with_opposite=with_opposite,
        )
        match verdict:
            case ApprovedIntent():
                self._teller.settled(f"refused/{proposal.key}/{proposal.rule}")
                self._executor.start(verdict)
            case NeedsRead():
                self.waits_for_read.add(proposal.key.symbol)
                self._reader.want_positions_at_once()
                self._reader.want(ReadKind.POSITION_MODE)
            case Refusal():
                self._refused(verdict, now)
            case _:
                assert_never(verdict)

    def _refused(self, refusal: Refusal, now: Instant) -> None:
        if refusal.kind in QUIET:
            return
        severity = Severity.INFO if refusal.kind is RefusalKind.OBSERVING else Severity.WARNING
        edge = f"refused/{refusal.key}/{refusal.rule}"
        text = f"{refusal.key}: {refusal.action} by {refusal.rule} is not sent: {refusal.why}"
        if self._teller.say(severity, edge, text, now):
            self._teller.fact(
                Refused(
                    account=self._state.name,
                    venue=self._state.venue,
                    key=refusal.key,
                    rule=refusal.rule,
                    action=refusal.action,
                    why=refusal.why,
                )
            )
            self._teller.rule(refusal.key, refusal.rule, f"refused: {refusal.why}", now)

    def _tell(self, note: Note, now: Instant) -> None:
        self._teller.say(note.severity, f"{note.edge}/{note.key}", note.text, now)


def _is_past(price: Decimal, trigger: Decimal, key: PositionKey) -> bool:
    """At or through a stop's trigger."""
    return (price - trigger) * key.side.sign <= 0
