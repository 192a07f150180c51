"""What the rules want done to de-lever one position: of each rule its next step, with the size.

A step is judged anew each time, on fresh data. Several de-leveraging actions of one rule go in the order of the file: the next
one follows once the one before was verified and the condition still holds, or at once where it can't help. A margin or leverage
step that failed, or wasn't verified in two seconds, is followed by the next one as well (interfaces.md 2.5).
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from guardd.model.instant import Instant
from guardd.model.intent import LEVERS, Action
from guardd.model.names import PositionKey, RuleName, Side
from guardd.model.reading import Reading, is_value
from guardd.model.state import AccountState
from guardd.policy.conditions import Truth, Use
from guardd.policy.language import (
    DELEVERS,
    STRENGTHENS,
    CloseAll,
    Limits,
    PolicyAction,
    PolicyRule,
    ReduceBy,
    ReduceUntil,
)
from guardd.policy.levers import (
    VERIFIED_WITHIN_S,
    Lever,
    Progress,
    Strengthening,
    action_of,
    cools,
    lever_of,
    progress_of,
    tried_before,
    unsettled,
)
from guardd.policy.memory import Memory, RuleMemory, cooling, held_at_first_sight, observe, ripe, verified_since
from guardd.policy.sizes import NoSize, Sized, size_of
from guardd.policy.view import View
from guardd.risk.ages import READ_AGE_NEAR_S_MAX

REDUCE_IN_FLIGHT_S: Final = 1.0
"""How long a close waits for the verdict on a reduction in flight; then it goes for what that leaves."""
ZERO: Final = Decimal(0)


class Wish(Struct, frozen=True, kw_only=True):
    """One rule's next step on one position. `size` None: all of it; zero for a step that puts more behind it (`lever`)."""

    view: View
    rule: PolicyRule
    size: Decimal | None
    for_account: bool
    """Only the account's ratio makes the rule true: such steps go one at a time (interfaces.md 2.5)."""
    note: str = ""
    stop_trigger: Decimal | None = None
    """For a stop that was passed and says `if_passed: close`: the price it is about, instead of the rule's condition."""
    finishes: RuleName | None = None
    """The name under which it goes, where that isn't the rule's: what a passed tranche should have closed."""
    lever: Lever | None = None

    @property
    def key(self) -> PositionKey:
        return self.view.held.key

    @property
    def takes(self) -> Decimal:
        return self.view.risk.quantity if self.size is None else self.size

    @property
    def strength(self) -> tuple[bool, bool, Decimal]:
        """A close is stronger than any reduction and that than more margin; of a kind the larger one is."""
        if self.lever is not None:
            return False, False, self.lever.money
        return self.size is None, True, self.takes


@dataclass(slots=True)
class Wishes:
    """What one look at the positions brought up."""

    found: list[Wish]
    held_back: list[tuple[View, PolicyRule]]
    """True at first sight: told, and waiting."""
    refused: list[tuple[View, PolicyRule, str]]
    read_first: set[PositionKey]
    """A rule would act, but on reads that are too old."""


def wishes_of(view: View, state: AccountState, memory: Memory, now: Instant, into: Wishes, limits: Limits) -> None:
    """Collect what the rules about this position want done. Remembers how long each condition has held."""
    for rule in view.rules:
        if not rule.delevers:
            continue
        remembered = memory.rule(view.held.episode.id, rule.name, Use.CLOSE)
        truth = view.truth(rule, Use.CLOSE)
        observe(remembered, truth, now)
        shown = memory.of(view.held.episode.id).shown
        if truth is Truth.TRUE and not remembered.seen:
            shown = shown or came_unseen(rule, view)
        waiting = held_at_first_sight(remembered, truth, deciding_distance(view), shown=shown)
        if truth is Truth.UNKNOWN and view.reads_stale:
            if view.truth_on_last_values(rule, Use.CLOSE) is Truth.TRUE:
                into.read_first.add(view.held.key)
        elif waiting:
            into.held_back.append((view, rule))
        elif ripe(remembered, rule, truth, now):
            _next_step(view, rule, remembered, state, now, into, limits)


def busy(wish: Wish, state: AccountState, now: Instant) -> bool:
    """True when a step on this position is in flight: the word of the venue on it comes first.

    A close waits for no margin; a reduction waits for it two seconds; and margin waits for everything (I16).
    """
    for pending in state.in_flight(wish.key):
        action, waited_s = pending.intent.action, now.seconds_since(pending.intent.decided)
        if action is Action.CLOSE:
            return True
        if action is Action.REDUCE and (wish.size is not None or waited_s < REDUCE_IN_FLIGHT_S):
            return True
        if action in LEVERS and wish.size is not None:
            same = wish.lever is not None and wish.lever.action is action
            if same or waited_s < VERIFIED_WITHIN_S:
                return True
    return False


def _next_step(
    view: View,
    rule: PolicyRule,
    remembered: RuleMemory,
    state: AccountState,
    now: Instant,
    into: Wishes,
    limits: Limits,
) -> None:
    episode = view.held.episode.id
    levers = [action for action in rule.then if isinstance(action, DELEVERS)]
    if _waits(levers[min(remembered.next_action, len(levers) - 1)], view, rule, remembered, state, now):
        return
    if remembered.next_action >= len(levers):
        remembered.next_action = len(levers) - 1 if isinstance(levers[-1], CloseAll) else 0
    for index in range(remembered.next_action, len(levers)):
        action = levers[index]
        if isinstance(action, CloseAll):
            into.found.append(_wish(view, rule, None, ""))
            remembered.next_action = index
            return
        if index == 0 and (cooling(state, episode, rule, now) or cools(action, state, rule, now)):
            return
        if isinstance(action, ReduceBy | ReduceUntil):
            found: Sized | Lever | NoSize = _size(action, view, state)
        else:
            found = _lever(action, view, rule, remembered, state, now, limits)
        match found:
            case Sized():
                into.found.append(_wish(view, rule, found.size, found.note))
            case Lever():
                into.found.append(replace(_wish(view, rule, ZERO, ""), lever=found))
            case NoSize():
                into.refused.append((view, rule, found.why))
                continue
        if remembered.next_action != index:
            remembered.next_action, remembered.acted = index, None
        return


def _waits(
    action: PolicyAction, view: View, rule: PolicyRule, remembered: RuleMemory, state: AccountState, now: Instant
) -> bool:
    """Take in what became of the last step, and go on to the next action where that is settled; true while it isn't."""
    episode, acted = view.held.episode.id, remembered.acted
    if acted is None:
        return False
    if isinstance(action, STRENGTHENS):
        match progress_of(action, state, rule.name, episode, acted, now):
            case Progress.WAITS:
                return True
            case Progress.OPEN:
                return False
            case Progress.DONE | Progress.FAILED:
                pass
    elif not verified_since(state, episode, rule.name, acted):
        return False
    remembered.next_action, remembered.acted = remembered.next_action + 1, None
    return False


def _lever(
    action: Strengthening,
    view: View,
    rule: PolicyRule,
    remembered: RuleMemory,
    state: AccountState,
    now: Instant,
    limits: Limits,
) -> Lever | NoSize:
    """The step, unless it had its one try in this breach already."""
    since = remembered.true_since or now
    if unsettled(action, view, state, now):
        return NoSize(why=f"an earlier {action_of(action)} isn't settled yet")
    if tried_before(action, state, rule.name, view.held.episode.id, since, acted=remembered.acted):
        return NoSize(why=f"{action_of(action)} was tried once in this breach")
    return lever_of(action, view, rule, state, limits, now)


def deciding_distance(view: View) -> Reading:
    """The distance to liquidation by the number that may close, else by the nearer one."""
    closing = view.risk.closing_distance_to_liquidation
    return closing if is_value(closing) else view.risk.distance_to_liquidation


def came_unseen(rule: PolicyRule, view: View) -> bool:
    """True when the rule was false at the position's opening, which came too long ago for this look to be its first sight.

    While reads fail, or its contract isn't known yet, a position falls unseen: what came of it since is what the rule is for
    (interfaces.md 2.3: held "until it has been false"). Where the mark was at the opening the entry price says.
    """
    risk = view.risk
    if risk.position_age_s <= READ_AGE_NEAR_S_MAX or risk.entry <= 0:
        return False
    return view.truth_at(rule, Use.CLOSE, risk.entry) is Truth.FALSE


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
