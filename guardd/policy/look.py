"""One look at the positions: what each one's rules say, which steps they wish for, and what of that may be done.

Pure but for what it is handed to remember in: `Memory` (how long conditions hold) and `Confirmation` (who has seen the mark).
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from msgspec import Struct

from guardd.model.decision import (
    AddMargin,
    CancelEntries,
    Close,
    Decision,
    LowerLeverage,
    Protect,
    Reduce,
    Tell,
    TopUp,
    finish_name,
)
from guardd.model.event import FootingFound
from guardd.model.instant import Instant
from guardd.model.intent import LEVERS, Action
from guardd.model.names import MarginMode, PositionKey, RuleName, Severity, Symbol
from guardd.model.state import AccountState, Pending
from guardd.policy.blindness import judged_by
from guardd.policy.conditions import Truth, Use
from guardd.policy.confirm import Confirmation, Verdict
from guardd.policy.entering import wants_cancel
from guardd.policy.language import CancelEntering, Metric, Notify, Policy, PolicyRule, WhenBlind, compares
from guardd.policy.levers import VERIFIED_WITHIN_S, Lever
from guardd.policy.memory import Memory, RuleMemory, observe, ripe
from guardd.policy.reasons import condition_text, inputs_of, plain, sentence
from guardd.policy.stops import wanted_protection
from guardd.policy.together import choose
from guardd.policy.view import View
from guardd.policy.wishes import Wish, Wishes, busy, raises_net, wishes_of
from guardd.policy.witness import doubts
from guardd.risk.drawdown import drawdown_behind

GUARD: Final = RuleName("guardd")
"""In whose name the guard tells what no rule of the policy is about."""


class Fired(Struct, frozen=True, kw_only=True):
    """A rule began to act on a position: once for each stretch of being true."""

    key: PositionKey
    rule: RuleName
    text: str


class Look:
    """One look at the positions: what it brings up, in the order in which it does."""

    def __init__(
        self, policy: Policy, state: AccountState, memory: Memory, confirmation: Confirmation, now: Instant
    ) -> None:
        self.policy, self.state, self.memory, self.confirmation, self.now = policy, state, memory, confirmation, now
        self.decisions: list[Decision] = []
        self.told: list[Tell] = []
        self.fired: list[Fired] = []
        self.footings: list[FootingFound] = []
        self.ask_rest: set[Symbol] = set()
        self.in_doubt: set[Symbol] = set()
        self.accounts_told: set[RuleName] = set()
        self.wishes = Wishes(found=[], held_back=[], refused=[], read_first=set())

    # What each position's rules say

    def judge(self, view: View) -> None:
        """Take in what the conditions are now; protection, warnings and wishes come of it."""
        active: list[PolicyRule] = []
        cancels: list[CancelEntries] = []
        for rule in view.rules:
            remembered = self.memory.rule(view.held.episode.id, rule.name, Use.WARN)
            truth = view.truth(rule, Use.WARN)
            observe(remembered, truth, self.now)
            if not ripe(remembered, rule, truth, self.now):
                continue
            active.append(rule)
            if view.truth_on_fresh_data(rule, Use.WARN) is not Truth.TRUE:
                continue  # blind: the last values serve stops, `reduce: by` and `close` only (interfaces.md 2.3 "Ages")
            if not remembered.notified:
                remembered.notified = True
                self._notify(view, rule)
            if any(isinstance(action, CancelEntering) for action in rule.then):
                cancels.extend(self._cancel(view, rule, remembered))
        self._protect(view, tuple(active))
        self.decisions.extend(cancels)
        self.wish(view)
        self._tell_blindness(view)

    def wish(self, view: View) -> None:
        """Take in which steps its rules wish for."""
        wishes_of(view, self.state, self.memory, self.now, self.wishes, self.policy.limits)

    def _notify(self, view: View, rule: PolicyRule) -> None:
        for action in rule.then:
            if isinstance(action, Notify):
                text = sentence(view, rule, Use.WARN, "watch")
                self.told.append(Tell(key=view.held.key, rule=rule.name, severity=action.severity, text=text))
                self._fire(view, rule, text)

    def _cancel(self, view: View, rule: PolicyRule, remembered: RuleMemory) -> list[CancelEntries]:
        for_account = view.cross and rule.account_wide and not view.own_reason(rule, Use.WARN)
        if self.state.halted or self.state.parked or (for_account and rule.name in self.accounts_told):
            return []
        if not wants_cancel(self.state, view, rule, remembered, self.now, whole_account=for_account):
            return []
        if for_account:
            self.accounts_told.add(rule.name)
        reason = sentence(view, rule, Use.WARN, "cancel the entries of")
        episode = view.held.episode.id
        return [
            CancelEntries(key=view.held.key, episode=episode, rule=rule.name, reason=reason, whole_account=for_account)
        ]

    def _protect(self, view: View, active: tuple[PolicyRule, ...]) -> None:
        episode = self.memory.of(view.held.episode.id)
        found = wanted_protection(
            active,
            self.state,
            view.held,
            view.risk,
            view.instrument,
            episode,
            blind=bool(view.stale),
            reached=self._reached(view),
            about=view.rules,
        )
        self.decisions.append(found.protect)
        footing = episode.footing(view.held.episode.footing)
        if footing != view.held.episode.footing:
            self.footings.append(
                FootingFound(at=self.now, key=view.held.key, episode=view.held.episode.id, footing=footing)
            )
        lacking, notes = "; ".join(found.protect.impossible), "; ".join(found.notes)
        self._once(view, "no stop", Severity.CRITICAL, f"no stop can be placed: {lacking}", bool(lacking))
        self._once(view, "partly", Severity.WARNING, f"partly unprotected: {found.partly}", bool(found.partly))
        self._once(view, "no take-profit", Severity.INFO, f"no take-profit: {notes}", bool(notes))
        if found.passed is not None and not view.stale:
            rule = next(rule for rule in active if rule.name == found.passed.rule)
            passed = found.passed
            wish = Wish(
                view=view,
                rule=rule,
                size=passed.size,
                for_account=False,
                stop_trigger=passed.trigger_price,
                finishes=None if passed.size is None else finish_name(passed.slot),
            )
            self.wishes.found.append(wish)

    def _reached(self, view: View) -> Decimal | None:
        """How far in its favour a position's mark has come, confirmed (I28); None while the mark is too old or alone."""
        key = view.held.key
        present = self.state.marks.get(key.symbol)
        if present is None or (view.stale and not view.reads_stale):
            return None
        return self.confirmation.reached(present, self.state.rest_marks.get(key.symbol), key.side.sign)

    def _tell_blindness(self, view: View) -> None:
        """A position whose rules can't be judged is told as soon as that is blindness (I21, interfaces.md 2.2)."""
        limit_s = self.policy.limits.stale_after_s
        mark_lost = bool(view.stale) and not view.reads_stale
        why = "; ".join(view.stale)
        self._once(view, "blind", Severity.CRITICAL, f"blind: {why}. Rules that reduce or close are held", mark_lost)
        wrong = view.risk.contradiction
        if wrong:
            self.wishes.read_first.add(view.held.key)
        self._once(
            view, "contradiction", Severity.WARNING, f"the venue gives an impossible figure: {wrong}", bool(wrong)
        )
        for rule in view.rules:
            use = judged_by(rule)
            since = self.memory.rule(view.held.episode.id, rule.name, use).unknown_since
            lasting = since is not None and self.now.seconds_since(since) >= limit_s and not mark_lost
            text = f"rule {rule.name} can't be judged: {why or self._why_unknown(view, rule, use)}" if lasting else ""
            severity = Severity.CRITICAL if rule.delevers else Severity.WARNING
            self._once(view, f"unknown {rule.name}", severity, text, lasting, rule.name)

    def _why_unknown(self, view: View, rule: PolicyRule, use: Use) -> str:
        """The comparisons as they stand, and of a drawdown what it lacks."""
        text = condition_text(rule, view.risk, use)
        asks = rule.when is not None and any(leaf.metric is Metric.ACCOUNT_DRAWDOWN for leaf in compares(rule.when))
        why = drawdown_behind(self.state, view.held.key.symbol, self.now).why if asks else ""
        return f"{text} ({why})" if why else text

    def is_calm(self) -> bool:
        """Nothing came up but protection that can be had."""
        stirred = self.told or self.fired or self.footings or self.ask_rest or self.in_doubt
        wished = self.wishes.found or self.wishes.held_back or self.wishes.refused or self.wishes.read_first
        return not (stirred or wished) and all(
            isinstance(decision, Protect) and not decision.impossible for decision in self.decisions
        )

    # What may be done of what they wish

    def conclude(self, seen: tuple[View, ...]) -> None:
        """Settle what goes, and which doubts are over; tell what waits."""
        self.choose()
        for symbol in {view.held.key.symbol for view in seen} - self.in_doubt:
            self.confirmation.settle(symbol)
        self._tell_waiting(seen)

    def choose(self) -> None:
        """What goes: of what is permitted and believed the strongest for each position, and one step for the account."""
        permitted = [wish for wish in self.wishes.found if self._permitted(wish)]
        own = _strongest(wish for wish in permitted if not wish.for_account and self._believed(wish))
        rest = _strongest(wish for wish in permitted if wish.for_account and wish.key not in own)
        chosen = self._one_top_up([wish for wish in own.values() if self._keeps_hedge(wish, own)])
        if rest and not any(wish.view.cross for wish in chosen) and not self._account_busy():
            chosen += self._one_top_up([wish for wish in self._for_account(rest) if self._believed(wish)])
        for wish in sorted(chosen, key=_net_side_first):
            self._act(wish)

    def _permitted(self, wish: Wish) -> bool:
        """In flight, from this run or an earlier: the venue's word comes first."""
        if self._withheld_by(wish) or self.state.unresolved:
            return False
        return not busy(wish, self.state, self.now)

    def _withheld_by(self, wish: Wish) -> str:
        """Halted: only `close` acts; parked: nothing."""
        if self.state.parked is not None:
            return "parked"
        return "halted" if self.state.halted and wish.size is not None else ""

    def _believed(self, wish: Wish) -> bool:
        doubtful = doubts(wish, self.state, self.confirmation, self.now)
        for symbol, verdict in doubtful:
            self.in_doubt.add(symbol)
            if verdict is Verdict.ASK_REST:
                self.ask_rest.add(symbol)
            if verdict is Verdict.UNCONFIRMED:
                mark = plain(wish.view.risk.mark)
                text = f"nothing confirms the mark of {symbol} for a second (rule {wish.rule.name}, mark {mark}): not acted on"
                self._tell(wish, Severity.CRITICAL, text)
        return not doubtful

    def _keeps_hedge(self, wish: Wish, own: dict[PositionKey, Wish]) -> bool:
        """Closing the smaller leg of a cross hedge alone would raise the net exposure (I15); with the other leg it may go."""
        if wish.size is not None or not raises_net(wish, self.state):
            return True
        key = wish.key
        twin = own.get(PositionKey(key.account, key.symbol, key.side.opposite))
        good = twin is not None and twin.size is None
        what = f"hedge {wish.rule.name}"
        text = f"rule {wish.rule.name} would close this leg of a hedge alone and raise the net exposure: refused (I15)"
        self._once(wish.view, what, Severity.CRITICAL, text, not good, wish.rule.name)
        return good

    def _account_busy(self) -> bool:
        """True while any step on a cross position is in flight: the account is judged anew from what the venue then says."""
        return any(
            (pending.intent.action in (Action.REDUCE, Action.CLOSE) or self._lever_due(pending))
            and (held := self.state.held.get(pending.intent.key)) is not None
            and held.position.margin_mode is MarginMode.CROSS
            for pending in self.state.pending.values()
        )

    def _lever_due(self, pending: Pending) -> bool:
        """A margin step whose two seconds aren't over."""
        waited_s = self.now.seconds_since(pending.intent.decided)
        return pending.intent.action in LEVERS and waited_s < VERIFIED_WITHIN_S

    def _one_top_up(self, wishes: list[Wish]) -> list[Wish]:
        """What a transfer brings is for all cross positions: one at a time, and none beside one whose end isn't known (I16)."""
        found: list[Wish] = []
        under_way = any(pending.intent.action is Action.TOP_UP for pending in self.state.pending.values())
        for wish in wishes:
            tops_up = wish.lever is not None and wish.lever.action is Action.TOP_UP
            if not (tops_up and under_way):
                found.append(wish)
            under_way = under_way or tops_up
        return found

    def _for_account(self, wishes: dict[PositionKey, Wish]) -> list[Wish]:
        steps = choose(wishes.values(), self.state, self.now)
        for wish in wishes.values():
            text = (
                f"rule {wish.rule.name}: a step would leave the account worse off now or after a move of 10 %: refused"
            )
            self._once(wish.view, f"worse {wish.rule.name}", Severity.CRITICAL, text, not steps, wish.rule.name)
        return list(steps)

    def _act(self, wish: Wish) -> None:
        view, rule = wish.view, wish.rule
        remembered = self.memory.rule(view.held.episode.id, rule.name, Use.CLOSE)
        remembered.acted = remembered.acted or self.now
        key, episode, inputs = view.held.key, view.held.episode.id, inputs_of(view)
        blind = bool(view.stale) and rule.when_blind is WhenBlind.ACT
        if wish.size is None:
            reason = _close_reason(wish)
            self.decisions.append(
                Close(key=key, episode=episode, rule=rule.name, reason=reason, inputs=inputs, blind=blind)
            )
        elif wish.lever is not None:
            reason = sentence(view, rule, Use.CLOSE, wish.lever.what)
            if wish.lever.action is Action.TOP_UP:
                self._share_top_up(rule)
            self.decisions.append(_lever(wish, wish.lever, reason, inputs))
        else:
            what = f"reduce by {plain(wish.size)} of {plain(view.risk.quantity)} contracts"
            if wish.stop_trigger is not None:
                what += f", its tranche at {plain(wish.stop_trigger)} was passed"
            reason = sentence(view, rule, Use.CLOSE, what) + (f" ({wish.note})" if wish.note else "")
            name = wish.finishes or rule.name
            self.decisions.append(
                Reduce(key=key, episode=episode, rule=name, size=wish.size, reason=reason, inputs=inputs, blind=blind)
            )
        if not remembered.fired or remembered.told_action != remembered.next_action:
            remembered.fired, remembered.told_action = True, remembered.next_action
            self._tell(wish, Severity.CRITICAL if wish.size is None else Severity.WARNING, reason)
            self._fire(view, rule, reason)

    def _share_top_up(self, rule: PolicyRule) -> None:
        """What it brings is for all: every position of the rule that asked for it goes on from what becomes of this one."""
        for wish in self.wishes.found:
            if wish.rule is rule and wish.lever is not None and wish.lever.action is Action.TOP_UP:
                other = self.memory.rule(wish.view.held.episode.id, rule.name, Use.CLOSE)
                other.acted = other.acted or self.now

    # Telling

    def _fire(self, view: View, rule: PolicyRule, text: str) -> None:
        """Counted once for each stretch of being true, whether it warns, acts or both."""
        warning = self.memory.rule(view.held.episode.id, rule.name, Use.WARN)
        if not warning.fired:
            warning.fired = True
            self.fired.append(Fired(key=view.held.key, rule=rule.name, text=text))

    def _tell_waiting(self, seen: tuple[View, ...]) -> None:
        waiting = {(view.held.key, rule.name) for view, rule in self.wishes.held_back}
        refused: dict[tuple[PositionKey, RuleName], str] = {}
        for view, rule, why in self.wishes.refused:
            earlier = refused.get((view.held.key, rule.name))
            refused[view.held.key, rule.name] = why if earlier is None else f"{earlier}; {why}"
        withheld = {(wish.key, wish.rule.name): word for wish in self.wishes.found if (word := self._withheld_by(wish))}
        for view in seen:
            for rule in view.rules:
                if not rule.delevers:
                    continue
                at = (view.held.key, rule.name)
                text = _held_back_text(view, rule) if at in waiting else ""
                self._once(view, f"held {rule.name}", Severity.WARNING, text, at in waiting, rule.name)
                no = f"rule {rule.name} can't act: {refused[at]}" if at in refused else ""
                self._once(view, f"refused {rule.name}", Severity.WARNING, no, at in refused, rule.name)
                why = (
                    f"rule {rule.name} is true and not acted on: the account is {withheld[at]}"
                    if at in withheld
                    else ""
                )
                self._once(view, f"withheld {rule.name}", Severity.CRITICAL, why, at in withheld, rule.name)

    def _once(
        self, view: View, what: str, severity: Severity, text: str, now_true: bool, rule: RuleName = GUARD
    ) -> None:
        if self.memory.once(view.held.episode.id, what, now_true):
            told = f"{view.held.key}: {text}"
            self.told.append(Tell(key=view.held.key, rule=rule, severity=severity, text=told, not_done=rule != GUARD))

    def _tell(self, wish: Wish, severity: Severity, text: str) -> None:
        self.told.append(Tell(key=wish.key, rule=wish.rule.name, severity=severity, text=text))


def _strongest(wishes: Iterable[Wish]) -> dict[PositionKey, Wish]:
    """Of each position the strongest step; of equals the first in the policy."""
    found: dict[PositionKey, Wish] = {}
    for wish in wishes:
        known = found.get(wish.key)
        if known is None or wish.strength > known.strength:
            found[wish.key] = wish
    return found


def _net_side_first(wish: Wish) -> tuple[str, bool, PositionKey]:
    """Legs of one instrument in the order in which the net exposure never grows: the side it is on goes first."""
    return wish.key.symbol, wish.view.risk.exposure is not wish.key.side, wish.key


def _lever(wish: Wish, lever: Lever, reason: str, inputs: tuple[tuple[str, str], ...]) -> Decision:
    key, episode, rule = wish.key, wish.view.held.episode.id, wish.rule.name
    match lever.action:
        case Action.SET_LEVERAGE:
            return LowerLeverage(
                key=key, episode=episode, rule=rule, leverage=lever.amount, reason=reason, inputs=inputs
            )
        case Action.ADD_MARGIN:
            return AddMargin(
                key=key,
                episode=episode,
                rule=rule,
                amount=lever.amount,
                currency=lever.coin,
                reason=reason,
                inputs=inputs,
            )
        case _:
            return TopUp(
                key=key,
                episode=episode,
                rule=rule,
                amount=lever.amount,
                currency=lever.coin,
                reason=reason,
                inputs=inputs,
            )


def _close_reason(wish: Wish) -> str:
    if wish.stop_trigger is None:
        return sentence(wish.view, wish.rule, Use.CLOSE, "close")
    risk = wish.view.risk
    where = f"{risk.key.symbol} {risk.key.side} at mark {plain(risk.mark)}"
    return f"close {where}: rule {wish.rule.name}, its stop at {plain(wish.stop_trigger)} was passed"


def _held_back_text(view: View, rule: PolicyRule) -> str:
    why = condition_text(rule, view.risk, Use.CLOSE)
    return (
        f"rule {rule.name} is true at first sight of this position ({why}): "
        "held until it has been false or the distance fell by a further quarter"
    )
