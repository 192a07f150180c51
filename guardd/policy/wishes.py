"""What the rules want closed of one position: of each rule its next step, with the size.

A step is judged anew each time, on fresh data. Several de-leveraging actions of one rule go in the order of the file: the next
one follows once the one before was verified and the condition still holds, or at once where no size would help.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from guardd.model.instant import Instant
from guardd.model.intent import Action
from guardd.model.names import PositionKey, Side
from guardd.model.reading import Reading, is_value
from guardd.model.state import AccountState
from guardd.policy.conditions import Truth, Use
from guardd.policy.language import DELEVERS, CloseAll, PolicyRule, ReduceBy, ReduceUntil
from guardd.policy.memory import Memory, RuleMemory, cooling, held_at_first_sight, observe, ripe, verified_since
from guardd.policy.sizes import NoSize, Sized, size_of
from guardd.policy.view import View

REDUCE_IN_FLIGHT_S: Final = 1.0
"""How long a close waits for the verdict on a reduction in flight; then it goes for what that leaves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One rule's next step on one position. `size` None: all of it."""

    view: View
    rule: PolicyRule
    size: Decimal | None
    for_account: bool
    """Only the account's ratio makes the rule true: such steps go one at a time (interfaces.md 2.5)."""
    note: str = ""
    stop_trigger: Decimal | None = None
    """For a stop that was passed and says `if_passed: close`: the price it is about, instead of the rule's condition."""

    @property
    def key(self) -> PositionKey:
        return self.view.held.key

    @property
    def takes(self) -> Decimal:
        return self.view.risk.quantity if self.size is None else self.size

    @property
    def strength(self) -> tuple[bool, Decimal]:
        """A close is stronger than any reduction, a larger reduction than a smaller one."""
        return self.size is None, self.takes


@dataclass(slots=True)
class Wishes:
    """What one look at the positions brought up."""

    found: list[Wish]
    held_back: list[tuple[View, PolicyRule]]
    """True at first sight: told, and waiting."""
    refused: list[tuple[View, PolicyRule, str]]
    read_first: set[PositionKey]
    """A rule would act, but on reads that are too old."""


def wishes_of(view: View, state: AccountState, memory: Memory, now: Instant, into: Wishes) -> None:
    """Collect what the rules about this position want closed. Remembers how long each condition has held."""
    for rule in view.rules:
        if not rule.delevers:
            continue
        remembered = memory.rule(view.held.episode.id, rule.name, Use.CLOSE)
        truth = view.truth(rule, Use.CLOSE)
        observe(remembered, truth, now)
        shown = memory.of(view.held.episode.id).shown
        waiting = held_at_first_sight(remembered, truth, deciding_distance(view), shown=shown)
        if truth is Truth.UNKNOWN and view.reads_stale:
            if view.truth_on_last_values(rule, Use.CLOSE) is Truth.TRUE:
                into.read_first.add(view.held.key)
        elif waiting:
            into.held_back.append((view, rule))
        elif ripe(remembered, rule, truth, now):
            _next_step(view, rule, remembered, state, now, into)


def busy(view: View, state: AccountState, now: Instant, *, close: bool) -> bool:
    """True when a step on this position is in flight: the word of the venue on it comes first."""
    for pending in state.in_flight(view.held.key):
        if pending.intent.action is Action.CLOSE:
            return True
        if pending.intent.action is Action.REDUCE:
            waited_s = now.seconds_since(pending.intent.decided)
            if not close or waited_s < REDUCE_IN_FLIGHT_S:
                return True
    return False


def _next_step(
    view: View, rule: PolicyRule, remembered: RuleMemory, state: AccountState, now: Instant, into: Wishes
) -> None:
    episode = view.held.episode.id
    levers = [action for action in rule.then if isinstance(action, DELEVERS)]
    if remembered.acted is not None and verified_since(state, episode, rule.name, remembered.acted):
        remembered.next_action, remembered.acted = remembered.next_action + 1, None
    if remembered.next_action >= len(levers):
        remembered.next_action = len(levers) - 1 if isinstance(levers[-1], CloseAll) else 0
    for index in range(remembered.next_action, len(levers)):
        action = levers[index]
        if isinstance(action, CloseAll):
            into.found.append(_wish(view, rule, None, ""))
            remembered.next_action = index
            return
        if index == 0 and cooling(state, episode, rule, now):
            return
        sized = _size(action, view, state)
        if isinstance(sized, Sized):
            into.found.append(_wish(view, rule, sized.size, sized.note))
            remembered.next_action = index
            return
        into.refused.append((view, rule, sized.why))


def deciding_distance(view: View) -> Reading:
    """The distance to liquidation by the number that may close, else by the nearer one."""
    closing = view.risk.closing_distance_to_liquidation
    return closing if is_value(closing) else view.risk.distance_to_liquidation


def _wish(view: View, rule: PolicyRule, size: Decimal | None, note: str) -> Wish:
    for_account = view.cross and rule.account_wide and not view.own_reason(rule, Use.CLOSE)
    return Wish(view=view, rule=rule, size=size, for_account=for_account, note=note)


def _size(action: ReduceBy | ReduceUntil, view: View, state: AccountState) -> Sized | NoSize:
    sized = size_of(action, view.on, view.risk, view.instrument)
    room = room_for_net(view, state)
    if isinstance(sized, NoSize) or room is None or sized.size <= room:
        return sized
    size = view.instrument.size_down(room)
    if size < view.instrument.min_size or size <= 0:
        return NoSize(why="closing this leg of a hedge would raise the net exposure (I15)")
    return Sized(size=size, closes_all=False, note="more would raise the net exposure of the hedge")


def room_for_net(view: View, state: AccountState) -> Decimal | None:
    """Contracts of this leg that can go before the net exposure of its cross hedge grows (I15); None without a hedge."""
    other = partner(view, state)
    if other is None:
        return None
    return max(2 * (view.risk.quantity - other), Decimal(0))


def raises_net(wish: Wish, state: AccountState) -> bool:
    """True when the step, taken alone, would leave a larger net exposure of its cross hedge (I15)."""
    room = room_for_net(wish.view, state)
    return room is not None and wish.takes > room


def partner(view: View, state: AccountState) -> Decimal | None:
    """Contracts of the other cross leg on the same instrument."""
    key = view.held.key
    opposite: Side = key.side.opposite
    other = state.held.get(PositionKey(key.account, key.symbol, opposite))
    if other is None or not view.cross or other.position.margin_mode is not view.held.position.margin_mode:
        return None
    return other.position.quantity
