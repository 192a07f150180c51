"""What the words alone give away: comparisons that can't come true, contradictions, waits, leashes, actions in vain."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from guardd.model.names import MarginMode
from guardd.policy.language import (
    DELEVERS,
    UNIT_OF,
    AddMarginBy,
    AddMarginUntil,
    AllOf,
    CloseAll,
    Compare,
    Condition,
    LowerLeverage,
    Metric,
    Policy,
    PolicyRule,
    ReduceBy,
    ReduceUntil,
    Sense,
    StopLoss,
    TakeProfit,
    TopUp,
    TrailStop,
    Unit,
    WhenBlind,
    wants_higher,
)
from guardd.policy.nodes import Path
from guardd.policy.reasons import in_unit, threshold_text
from guardd.policy.sense.cases import percent
from guardd.policy.sense.finding import Finding, Kind, Weight, found_at
from guardd.policy.sense.models import CRASH_IN_TEN
from guardd.policy.sense.where import actions, leaves, only_tells, rule_path

LIQUIDATED_AT: Final = Decimal(1)
SIGNED: Final = frozenset({Metric.PROFIT_FROM_ENTRY, Metric.RETURN_ON_MARGIN, Metric.UNREALIZED_PNL})
HOLD_S_MAX: Final = 10.0
"""A reducing rule that waits longer has the worst of a crash behind it."""
COOLDOWN_S_MAX: Final = 600.0
"""A rule that reduces in steps and rests longer between them leaves the position alone while it falls on."""
STALE_S_MAX: Final = 60.0
STALE_S_MIN: Final = 2.0
"""Venues send the mark each second or so in quiet hours."""


def by_the_words(policy: Policy) -> Iterator[Finding]:
    """Everything that needs no position to be seen."""
    yield from _protection(policy)
    yield from _limits(policy)
    for index, rule in enumerate(policy.rules):
        yield from _rule(policy, index, rule)


def impossible(rule: PolicyRule, leaf: Compare) -> str:
    """Why a comparison can't come true; empty when it can."""
    threshold = threshold_text(leaf)
    if leaf.metric not in SIGNED and leaf.sense is Sense.BELOW and leaf.threshold <= 0:
        return f"{leaf.metric} is never below {threshold}"
    ratio = leaf.metric in (Metric.MARGIN_RATIO, Metric.ACCOUNT_MARGIN_RATIO)
    if ratio and leaf.sense is Sense.ABOVE and leaf.threshold >= LIQUIDATED_AT:
        return f"at {leaf.metric} 100 % the venue liquidates: above {threshold} is too late"
    if leaf.metric is Metric.ACCOUNT_MARGIN_RATIO and rule.match.margin_mode is MarginMode.ISOLATED:
        return "account_margin_ratio is false for isolated positions, and this rule is about no others"
    if leaf.metric is Metric.PROFIT_FROM_ENTRY and leaf.sense is Sense.BELOW and leaf.threshold <= -1:
        return f"a price never falls by {percent(-leaf.threshold)}"
    return ""


def _protection(policy: Policy) -> Iterator[Finding]:
    if not any(isinstance(action, StopLoss | TrailStop) for rule in policy.rules for action in rule.then):
        text = "no rule asks for a stop_loss: nothing rests at the venue while guardd is down"
        add = "add a rule without `when`: then: [stop_loss: {trigger: {liquidation_buffer: 25%}}]"
        weight, mend = (Weight.INFO, "nothing, if it shall only tell") if only_tells(policy) else (Weight.WARNING, add)
        yield found_at(policy, ("rules",), weight, Kind.NO_STOP, text, mend)


def _limits(policy: Policy) -> Iterator[Finding]:
    stale_s = policy.limits.stale_after_s
    if not STALE_S_MIN <= stale_s <= STALE_S_MAX:
        text = (
            f"stale_after {stale_s:g} s: the guard would be blind in every quiet second"
            if stale_s < STALE_S_MIN
            else f"stale_after {stale_s:g} s: a price as old as that is believed, and in ten seconds a market fell "
            f"{percent(CRASH_IN_TEN)}"
        )
        mend = "between 3s and 15s suits the streams of every venue here"
        yield found_at(policy, ("limits", "stale_after"), Weight.WARNING, Kind.WAITS, text, mend)
    if policy.limits.orders_per_minute < len(policy.rules) and policy.limits.orders_per_minute < 4:
        text = f"orders_per_minute {policy.limits.orders_per_minute}: two reductions in one minute use it up"
        mend = "30, the default, binds no policy that works and stops one that runs away"
        path: Path = ("limits", "orders_per_minute")
        yield found_at(policy, path, Weight.WARNING, Kind.LEASH, text, mend)


def _rule(policy: Policy, index: int, rule: PolicyRule) -> Iterator[Finding]:
    yield from _impossible(policy, index, rule)
    yield from _contradictions(policy, index, rule)
    yield from _blindness(policy, index, rule)
    yield from _waits(policy, index, rule)
    yield from _order(policy, index, rule)
    yield from _leash(policy, index, rule)
    for action, path in actions(index, rule):
        if isinstance(action, ReduceUntil | AddMarginUntil):
            yield from _aim(policy, rule, action, path)
        if isinstance(action, LowerLeverage):
            yield from _still_above(policy, rule, action, path)
    yield from _ladder(policy, index, rule)


def _leash(policy: Policy, index: int, rule: PolicyRule) -> Iterator[Finding]:
    """Steps that the limits refuse whenever they are tried."""
    limits = policy.limits
    for action, path in actions(index, rule):
        match action:
            case ReduceBy() if action.share > limits.reduce_per_hour:
                asked, most, name = percent(action.share), percent(limits.reduce_per_hour), "reduce_per_hour"
            case TopUp() | AddMarginBy() if action.amount > limits.top_up_per_day:
                asked, name = in_unit(action.amount, Unit.MONEY, action.coin), "top_up_per_day"
                most = in_unit(limits.top_up_per_day, Unit.MONEY)
            case _:
                continue
        text = f"a step of {asked} is more than limits.{name} allows in all ({most}): it is refused each time"
        mend = f"raise limits.{name}, or take smaller steps"
        yield found_at(policy, path, Weight.ERROR, Kind.LEASH, text, mend, rule=rule.name)


def _ladder(policy: Policy, index: int, rule: PolicyRule) -> Iterator[Finding]:
    """Tranches of stops that leave a rest without one."""
    stops = [(action, path) for action, path in actions(index, rule) if isinstance(action, StopLoss)]
    covered = sum((action.size for action, _ in stops), Decimal(0))
    elsewhere = any(
        isinstance(action, TrailStop) or (isinstance(action, StopLoss) and other is not rule)
        for other in policy.rules
        for action in other.then
    )
    if stops and covered < 1 and not elsewhere:
        text = f"its stops cover {percent(covered)} of the position: the rest has none"
        mend = "let the sizes add up to 100 %, or add a last tranche far out"
        yield found_at(policy, stops[0][1], Weight.WARNING, Kind.NO_STOP, text, mend, rule=rule.name)


def _impossible(policy: Policy, index: int, rule: PolicyRule) -> Iterator[Finding]:
    """A comparison that can't come true: with it the rule never fires, unless it is one of several or turned round."""
    needed = set(all_parts(rule.when))
    for leaf, path in leaves(index, rule):
        why = impossible(rule, leaf)
        mend = "change the comparison, or take it out"
        if why and leaf in needed:
            yield found_at(policy, path, Weight.ERROR, Kind.NEVER, why, mend, rule=rule.name)
        elif why:
            text = f"{why}: this part of the condition decides nothing"
            yield found_at(policy, path, Weight.WARNING, Kind.NO_EFFECT, text, mend, rule=rule.name)


def _contradictions(policy: Policy, index: int, rule: PolicyRule) -> Iterator[Finding]:
    """Parts of one `all` that exclude each other."""
    parts = list(all_parts(rule.when))
    places = dict(leaves(index, rule))
    for low in parts:
        for high in parts:
            opposed = (low.metric, low.sense, high.sense) == (high.metric, Sense.ABOVE, Sense.BELOW)
            if opposed and low.threshold >= high.threshold:
                text = f"{low.metric} can't be above {threshold_text(low)} and below {threshold_text(high)} at once"
                mend = "`any` instead of `all`, or the two thresholds the other way round"
                path = places[high]
                yield found_at(policy, path, Weight.ERROR, Kind.CONTRADICTION, text, mend, rule=rule.name)


def all_parts(condition: Condition | None) -> Iterator[Compare]:
    """The comparisons that must hold together."""
    match condition:
        case AllOf():
            for part in condition.parts:
                yield from all_parts(part)
        case Compare():
            yield condition
        case _:
            pass


def _blindness(policy: Policy, index: int, rule: PolicyRule) -> Iterator[Finding]:
    if not rule.delevers or rule.when_blind is WhenBlind.ACT:
        return
    for leaf, path in leaves(index, rule):
        age_s = float(leaf.threshold)
        old = age_s >= policy.limits.stale_after_s
        if leaf.metric is Metric.DATA_AGE and leaf.sense is Sense.ABOVE and old:
            text = (
                f"data older than {age_s:g} s is blindness (stale_after "
                f"{policy.limits.stale_after_s:g} s), and while blind this rule holds: it never acts"
            )
            mend = "add when_blind: act to the rule, if it shall act on the last values"
            yield found_at(policy, path, Weight.ERROR, Kind.NEVER, text, mend, rule=rule.name)


def _waits(policy: Policy, index: int, rule: PolicyRule) -> Iterator[Finding]:
    if rule.delevers and rule.hold_s > HOLD_S_MAX:
        text = f"for {rule.hold_s:g} s: in ten seconds a market fell {percent(CRASH_IN_TEN)}, and one contrary look starts it anew"
        mend = "2s keeps a single bad second out; a longer wait belongs to a rule that only notifies"
        path = rule_path(index, "for")
        yield found_at(policy, path, Weight.WARNING, Kind.WAITS, text, mend, rule=rule.name)
    levers = [action for action in rule.then if isinstance(action, ReduceBy | ReduceUntil)]
    if levers and rule.cooldown_s > COOLDOWN_S_MAX:
        text = f"cooldown {rule.cooldown_s:g} s: after one step it watches the fall go on for that long"
        mend = "30s, the default, is time enough for the venue to show what a step did"
        path = rule_path(index, "cooldown")
        yield found_at(policy, path, Weight.WARNING, Kind.WAITS, text, mend, rule=rule.name)
    said = rule_path(index, "cooldown") in policy.places
    if said and not levers and rule.delevers and any(isinstance(action, CloseAll) for action in rule.then):
        text = "a close has no cooldown: it goes on until the position is flat"
        path = rule_path(index, "cooldown")
        yield found_at(policy, path, Weight.INFO, Kind.NO_EFFECT, text, "take the cooldown out", rule=rule.name)
    if said and not rule.delevers and all(isinstance(action, StopLoss | TakeProfit) for action in rule.then):
        text = "resting orders have no cooldown: they are ensured all the time"
        path = rule_path(index, "cooldown")
        yield found_at(policy, path, Weight.INFO, Kind.NO_EFFECT, text, "take the cooldown out", rule=rule.name)


def _order(policy: Policy, index: int, rule: PolicyRule) -> Iterator[Finding]:
    closed = False
    for action, path in actions(index, rule):
        if closed and isinstance(action, DELEVERS):
            text = "what comes after `close` never gets its turn: close goes on until the position is flat"
            mend = "put it before `close`, or take it out"
            yield found_at(policy, path, Weight.WARNING, Kind.UNREACHED, text, mend, rule=rule.name)
        closed = closed or isinstance(action, CloseAll)


def _aim(policy: Policy, rule: PolicyRule, action: ReduceUntil | AddMarginUntil, path: Path) -> Iterator[Finding]:
    """An aim that the rule's own condition still holds at."""
    higher = wants_higher(action.metric, action.target)
    unit = UNIT_OF[action.metric]
    place = (*path, "reduce" if isinstance(action, ReduceUntil) else "add_margin", "until", action.metric.value)
    for leaf in all_parts(rule.when):
        short = action.target <= leaf.threshold if higher else action.target >= leaf.threshold
        if leaf.metric is action.metric and (leaf.sense is Sense.BELOW) is higher and short:
            text = (
                f"its aim {in_unit(action.target, unit, action.coin)} doesn't lie beyond its threshold "
                f"{threshold_text(leaf)}: it would act again at once"
            )
            beyond = "above" if higher else "below"
            mend = f"an aim clearly {beyond} {threshold_text(leaf)}, so that one step is enough for a while"
            yield found_at(policy, place, Weight.WARNING, Kind.AIM, text, mend, rule=rule.name)


def _still_above(policy: Policy, rule: PolicyRule, action: LowerLeverage, path: Path) -> Iterator[Finding]:
    """A leverage at which the rule's own condition still holds."""
    for leaf in all_parts(rule.when):
        if leaf.metric is Metric.LEVERAGE and leaf.sense is Sense.ABOVE and action.to > leaf.threshold:
            text = f"a leverage of {action.to:f} is still above {leaf.threshold:f}: the rule would stay true"
            mend = f"to: {leaf.threshold:f} or less"
            place = (*path, "set_leverage", "to")
            yield found_at(policy, place, Weight.WARNING, Kind.AIM, text, mend, rule=rule.name)
