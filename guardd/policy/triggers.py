"""The trigger solver: at which mark does each rule fire, and if at none, why (issue: thresholds turned into prices).

Of each rule that is about a position, and each way of the mark: the first mark on tick at which its condition is true, by the
plain evaluator, exact to the tick. A rule whose warnings go by the nearer liquidation price and whose reductions need the
venue's has a price for each where the two differ. Stops and take-profits are listed at the price at which they rest.
"""

from collections.abc import Iterable, Iterator
from copy import deepcopy
from decimal import Decimal
from enum import StrEnum
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from guardd.model.decision import WantedOrder
from guardd.model.instant import Instant
from guardd.model.intent import LEVERS, Action
from guardd.model.names import RuleName
from guardd.model.order import ProtectionKind
from guardd.model.reading import is_value
from guardd.model.state import AccountState
from guardd.policy.conditions import Truth, Use, compare
from guardd.policy.crossings import MOVED_BY_MARK, Way, end_of_life, fires_at
from guardd.policy.language import (
    DELEVERS,
    AllOf,
    CloseAll,
    Compare,
    Metric,
    Not,
    Notify,
    Policy,
    PolicyAction,
    PolicyRule,
    Sense,
    compares,
)
from guardd.policy.memory import FIRST_SIGHT_RELEASE, EpisodeMemory, Memory, RuleMemory, cooling
from guardd.policy.reasons import condition_text, leaf_text, plain, threshold_text
from guardd.policy.stops import wanted_protection
from guardd.policy.view import View, views
from guardd.policy.wishes import came_unseen, deciding_distance

FARTHEST_SHARE: Final = Decimal("0.05")
FARTHEST_TIMES: Final = Decimal(10)
"""How far from the mark, as shares of it, a price is looked for."""


class When(StrEnum):
    AT = "at"
    NOW = "now"
    """The condition is true at the present mark and nothing holds the rule back."""
    HELD = "held"
    """True and held back: first sight, `for`, cooldown, a step on its way, a halted account. `at`: a mark that ends the holding."""
    NEVER = "never"
    """No mark makes it true while the position lives."""
    UNKNOWN = "unknown"
    """Figures are missing, and no mark makes up for them."""


class RuleTrigger(Struct, frozen=True, kw_only=True):
    """One rule's actions and the mark at which they are due. `at`: on tick; the present mark where `when` is NOW."""

    rule: RuleName
    actions: tuple[PolicyAction, ...]
    use: Use
    """Whose liquidation price settles it: actions that reduce need the venue's (interfaces.md 2.2 "Which L")."""
    when: When
    at: Decimal | None
    way: Way | None
    """Which way from the present mark; None at it, or nowhere."""
    why: str
    order: WantedOrder | None = None
    """The order that rests there, for a stop or a take-profit."""

    @property
    def what(self) -> str:
        """What is due, in a word or two of the language."""
        return (
            self.order.kind.value if self.order is not None else ", ".join(type(each).__name__ for each in self.actions)
        )


def triggers(
    view: View, memory: Memory | None = None, *, state: AccountState | None = None, now: Instant | None = None
) -> tuple[RuleTrigger, ...]:
    """Every trigger of one position, in the order of the policy; stops and take-profits behind the conditions.

    With `memory` (and `state` and `now`, for cooldowns and what is on its way) a rule that is true may be found held; without,
    positions count as shown at CONFIRM. `state` also tells which stops and take-profits shall rest. Remembers nothing.
    """
    found = [each for rule in view.rules for each in _of_rule(rule, view, _Held(memory, state, now))]
    return (*found, *(_resting(view, memory, state) if state is not None else ()))


def all_triggers(
    policy: Policy, state: AccountState, now: Instant, memory: Memory | None = None
) -> dict[str, tuple[RuleTrigger, ...]]:
    """The triggers of every position that can be assessed, by its key in words."""
    return {str(view.held.key): triggers(view, memory, state=state, now=now) for view in views(policy, state, now)}


def uses_of(rule: PolicyRule) -> tuple[Use, ...]:
    """By whose numbers its actions are judged: what reduces or strengthens by the venue's, the rest by the nearer."""
    warns = any(not isinstance(action, DELEVERS) for action in rule.then)
    return (*((Use.WARN,) if warns else ()), *((Use.CLOSE,) if rule.delevers else ()))


def price_of(rule: PolicyRule, view: View, use: Use, way: Way) -> Decimal | None:
    """The first mark on tick, going this way from the present one, at which the rule is true; None: not while it lives."""
    mark = view.risk.mark
    limit = mark * (FARTHEST_SHARE if way is Way.DOWN else FARTHEST_TIMES)
    return fires_at(rule, view.on, use, mark=mark, tick=view.instrument.tick, way=way, limit=limit)


def against(view: View) -> Way:
    """The way of the mark that hurts the position."""
    return Way.DOWN if view.risk.exposure.sign > 0 else Way.UP


# Rules with a condition


def _of_rule(rule: PolicyRule, view: View, held: "_Held") -> list[RuleTrigger]:
    by_use = [_by_use(rule, view, use, held) for use in uses_of(rule)]
    if len(by_use) == 2 and _places(by_use[0]) == _places(by_use[1]):
        return [replace(each, actions=rule.then) for each in by_use[1]]
    return [each for found in by_use for each in found]


def _places(found: list[RuleTrigger]) -> list[tuple[When, Decimal | None]]:
    return [(each.when, each.at) for each in found]


def _by_use(rule: PolicyRule, view: View, use: Use, held: "_Held") -> list[RuleTrigger]:
    actions = tuple(action for action in rule.then if isinstance(action, DELEVERS) is (use is Use.CLOSE))

    def made(when: When, why: str, at: Decimal | None = None, way: Way | None = None) -> RuleTrigger:
        return RuleTrigger(rule=rule.name, actions=actions, use=use, when=when, at=at, way=way, why=why)

    truth = view.truth_on_last_values(rule, use)
    if truth is Truth.TRUE:
        if view.truth(rule, use) is not Truth.TRUE:
            return [made(When.UNKNOWN, f"true by the last values, which are too old: {'; '.join(view.stale)}")]
        why, at = held.back(rule, view, use)
        if why:
            return [made(When.HELD, why, at, _way(at, view))]
        return [made(When.NOW, condition_text(rule, view.risk, use), view.risk.mark)]
    first = against(view)
    ways = (first, Way.UP if first is Way.DOWN else Way.DOWN)
    there = [(way, at) for way in ways if (at := price_of(rule, view, use, way)) is not None]
    if there:
        return [made(When.AT, _conditions(rule), at, way) for way, at in there]
    if truth is Truth.UNKNOWN:
        return [made(When.UNKNOWN, _missing(rule, view, use))]
    return [made(When.NEVER, _why_never(rule, view, use))]


def _way(at: Decimal | None, view: View) -> Way | None:
    if at is None or at == view.risk.mark:
        return None
    return Way.DOWN if at < view.risk.mark else Way.UP


def _conditions(rule: PolicyRule) -> str:
    """The thresholds as they stand in the file."""
    leaves = () if rule.when is None else compares(rule.when)
    return ", ".join(dict.fromkeys(f"{leaf.metric} {leaf.sense} {threshold_text(leaf)}" for leaf in leaves))


def _missing(rule: PolicyRule, view: View, use: Use) -> str:
    leaves = () if rule.when is None else compares(rule.when)
    unknown = [leaf for leaf in leaves if compare(leaf, view.risk, use) is Truth.UNKNOWN]
    names = ", ".join(dict.fromkeys(str(leaf.metric) for leaf in unknown))
    why = view.risk.contradiction
    foreign = next((leaf.coin for leaf in unknown if leaf.coin not in ("", view.risk.settle)), "")
    if foreign:
        why = f"the rule speaks of {foreign}, and this position settles in {view.risk.settle}"
    elif not why and any(compare(leaf, view.risk, Use.WARN) is not Truth.UNKNOWN for leaf in unknown):
        why = "our number alone justifies no close, the venue gives none and the model doesn't reproduce its figures"
    return f"{names} can't be told{': ' + why if why else ''}"


def _why_never(rule: PolicyRule, view: View, use: Use) -> str:
    leaves = () if rule.when is None else tuple(compares(rule.when))
    apart = [leaf for leaf in leaves if leaf.metric is Metric.ACCOUNT_MARGIN_RATIO and not view.cross]
    moved = [leaf for leaf in leaves if leaf.metric in MOVED_BY_MARK and leaf not in apart]
    if not moved:
        if apart:
            return "account_margin_ratio is false for an isolated position"
        return f"no mark moves it: {condition_text(rule, view.risk, use)}"
    end = end_of_life(view.on, view.risk, against(view))
    where = f"before the liquidation at {plain(end)}" if end is not None else "at any mark"
    still = [
        leaf for leaf in leaves if leaf.metric not in MOVED_BY_MARK and compare(leaf, view.risk, use) is not Truth.TRUE
    ]
    as_long = f" as long as {', '.join(leaf_text(leaf, view.risk, use) for leaf in still)}" if still else ""
    return f"not {where}{as_long}"


# What holds a rule back that is true


class _Held(Struct, frozen=True):
    memory: Memory | None
    state: AccountState | None
    now: Instant | None

    def back(self, rule: PolicyRule, view: View, use: Use) -> tuple[str, Decimal | None]:
        """Why the rule waits although it is true, and the mark that would end that; an empty text where nothing holds it."""
        remembered = self._remembered(rule, view, use)
        delevers = use is Use.CLOSE
        if self.memory is not None and delevers:
            why, at = self._first_sight(rule, view, remembered)
            if why:
                return why, at
        if self.state is not None and delevers and (why := self._stopped(rule, view)):
            return why, None
        if self.now is None or self.memory is None:
            return "", None
        warns = [action for action in rule.then if not isinstance(action, DELEVERS)]
        told = remembered is not None and remembered.notified and all(isinstance(each, Notify) for each in warns)
        if not delevers and told:
            return "told already; told again once it has been false", None
        since = remembered.true_since if remembered is not None else None
        held_s = self.now.seconds_since(since) if since is not None else 0.0
        if held_s < rule.hold_s:
            return f"must hold for {rule.hold_s:g} s, has for {held_s:.1f} s", None
        if delevers and self.state is not None and self._cooling(self.state, self.now, rule, view, remembered):
            return f"within its cooldown of {rule.cooldown_s:g} s", None
        return "", None

    def _remembered(self, rule: PolicyRule, view: View, use: Use) -> RuleMemory | None:
        episode = self.memory.episodes.get(view.held.episode.id) if self.memory is not None else None
        return episode.rules.get((rule.name, use)) if episode is not None else None

    def _first_sight(self, rule: PolicyRule, view: View, remembered: RuleMemory | None) -> tuple[str, Decimal | None]:
        """True when the position was first seen: until it was false, or the distance fell by a further quarter."""
        episode = self.memory.episodes.get(view.held.episode.id) if self.memory is not None else None
        if remembered is not None and remembered.seen:
            at = remembered.held_at
        else:
            shown = (episode is not None and episode.shown) or came_unseen(rule, view)
            at = None if shown else deciding_distance(view)
        if at is None:
            return "", None
        why = "true at first sight of the position: until it has been false or the distance fell by a further quarter"
        if not is_value(at) or rule.when is None:
            return why, None
        farther = Compare(metric=Metric.DISTANCE_TO_LIQUIDATION, sense=Sense.ABOVE, threshold=at * FIRST_SIGHT_RELEASE)
        released = replace(rule, when=AllOf(parts=(rule.when, Not(part=farther))))
        if view.truth_on_last_values(released, Use.CLOSE) is Truth.TRUE:
            return "", None
        return why, price_of(released, view, Use.CLOSE, against(view))

    @staticmethod
    def _cooling(
        state: AccountState, now: Instant, rule: PolicyRule, view: View, remembered: RuleMemory | None
    ) -> bool:
        """`close` knows no cooldown."""
        lever = _next_lever(rule, remembered)
        return not isinstance(lever, CloseAll) and cooling(state, view.held.episode.id, rule, now)

    def _stopped(self, rule: PolicyRule, view: View) -> str:
        state = self.state
        if state is None:
            return ""
        if state.parked is not None:
            return "the account is parked"
        if state.halted and not any(isinstance(action, CloseAll) for action in rule.then):
            return "the account is halted"
        steps = {Action.REDUCE, Action.CLOSE, *LEVERS}
        busy = any(pending.intent.action in steps for pending in state.in_flight(view.held.key))
        return "a step on this position is on its way" if busy else ""


def _next_lever(rule: PolicyRule, remembered: RuleMemory | None) -> PolicyAction:
    levers = [action for action in rule.then if isinstance(action, DELEVERS)]
    index = remembered.next_action if remembered is not None else 0
    return levers[min(index, len(levers) - 1)]


# Stops and take-profits


def _resting(view: View, memory: Memory | None, state: AccountState) -> Iterator[RuleTrigger]:
    """What shall rest, by the rules that are true now; reckoned on a copy of what the episode remembers."""
    known = memory.episodes.get(view.held.episode.id) if memory is not None else None
    true = tuple(rule for rule in view.rules if view.truth_on_last_values(rule, Use.WARN) is Truth.TRUE)
    episode = deepcopy(known) if known is not None else EpisodeMemory()
    found = wanted_protection(
        true,
        state,
        view.held,
        view.risk,
        view.instrument,
        episode,
        blind=bool(known is not None and view.stale),
        reached=view.risk.mark if known is None else None,
        about=view.rules,
    )
    for order in found.protect.wanted:
        yield _of_order(order, view)
    partly = (found.partly,) if found.partly else ()
    nowhere = (*found.protect.impossible, *partly, *found.notes)
    for text in nowhere:
        name, _, why = text.partition(": ")
        yield RuleTrigger(
            rule=RuleName(name), actions=(), use=Use.WARN, when=When.NEVER, at=None, way=None, why=why or text
        )


def _of_order(order: WantedOrder, view: View) -> RuleTrigger:
    stop = order.kind is ProtectionKind.STOP_LOSS
    return RuleTrigger(
        rule=order.rule,
        actions=(),
        use=Use.WARN,
        when=When.AT,
        at=order.trigger_price,
        way=_way(order.trigger_price, view),
        why=f"{'a stop' if stop else 'a take-profit'} rests there, triggered by the {order.price_type} price",
        order=order,
    )


def sorted_by_price(found: Iterable[RuleTrigger]) -> tuple[RuleTrigger, ...]:
    """Those with a price, highest first."""
    priced = [each for each in found if each.at is not None]
    return tuple(sorted(priced, key=lambda each: -(each.at or Decimal(0))))
