"""When each rule fires on the models: never, at once, behind a stop or another rule, or too late to matter."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal

from msgspec.structs import replace

from guardd.model.names import RuleName
from guardd.policy.language import AllOf, CloseAll, Condition, Notify, Policy, PolicyRule, compares
from guardd.policy.reasons import condition_text, threshold_text
from guardd.policy.sense.cases import listed, move, percent, where
from guardd.policy.sense.finding import Finding, Kind, Weight, found_at
from guardd.policy.sense.firing import Firing, firing, use_of
from guardd.policy.sense.models import CRASH_MOVE, ENTRY, ORDINARY_MOVE, Case, Modelled
from guardd.policy.sense.resting import profit_price, stop_price
from guardd.policy.sense.where import when_path
from guardd.policy.sense.wording import all_parts, impossible


def on_the_models(policy: Policy, models: Sequence[Modelled]) -> Iterator[Finding]:
    """Each kind of finding once a rule, with the positions on which it is so."""
    firings = {
        rule.name: [firing(rule, on) for on in models if rule in on.view.rules]
        for rule in policy.rules
        if rule.when is not None
    }
    stops = {on.case: stop_price(_ensured(on), on) for on in models}
    profits = {on.case: profit_price(_ensured(on), on) for on in models}
    for index, rule in enumerate(policy.rules):
        found = firings.get(rule.name)
        if not found:
            continue
        if not any(each.possible for each in found):
            yield from _never(policy, index, rule, found[0].on)
            continue
        yield from _at_once(policy, index, rule, found)
        live = [each for each in found if not each.at_once]
        behind = list(_behind_stop(live, stops))
        yield from _shadowed_by_stop(policy, index, rule, behind, live)
        yield from _shadowed_by_profit(policy, index, rule, live, profits)
        hidden = {each.on.case for each, _ in behind}
        rest = [each for each in live if each.on.case not in hidden]
        yield from _shadowed_by_rule(policy, index, rule, rest, firings)
        yield from _late(policy, index, rule, [each for each in rest if stops[each.on.case] is None], found)


def _ensured(on: Modelled) -> tuple[PolicyRule, ...]:
    """Rules whose orders rest from the first moment on."""
    return tuple(rule for rule in on.view.rules if rule.when is None)


def _never(policy: Policy, index: int, rule: PolicyRule, on: Modelled) -> Iterator[Finding]:
    if rule.when is None or any(impossible(rule, leaf) for leaf in all_parts(rule.when)):
        return  # the words alone say why
    text = "it can never fire: at no mark, up or down, is its condition true, on no position that it is about"
    if isinstance(rule.when, AllOf):
        parts = [_alone(rule, part, on) for part in rule.when.parts]
        text += f". {listed(parts)} ({on.case.words}): never together"
    mend = "`any` instead of `all`, if one of them shall be enough; or other thresholds"
    yield found_at(policy, when_path(index, rule), Weight.ERROR, Kind.NEVER, text, mend, rule=rule.name)


def _alone(rule: PolicyRule, part: Condition, on: Modelled) -> str:
    """Where one part of an `all` comes true by itself."""
    one = replace(rule, when=part)
    words = " or ".join(f"{leaf.metric} {leaf.sense} {threshold_text(leaf)}" for leaf in compares(part))
    found = firing(one, on)
    if found.at_once:
        return f"{words} is so from the start"
    marks = [move(mark) for mark in (found.against, found.favour) if mark is not None]
    return f"{words} comes true at {' and '.join(marks)}" if marks else f"{words} comes true nowhere"


def _at_once(policy: Policy, index: int, rule: PolicyRule, found: Sequence[Firing]) -> Iterator[Finding]:
    now = [each for each in found if each.at_once]
    if not now:
        return
    meant = all(each.by_cap for each in now)
    every = len(now) == len(found)
    first = now[0]
    why = condition_text(rule, first.on.view.risk, use_of(rule))
    text = f"it fires at once {_where(now, found)}: of a position just opened {why}"
    if meant:
        weight, mend = Weight.INFO, "that is right for a rule that bounds how much may be held at all"
    elif all(isinstance(action, Notify) for action in rule.then):
        weight = Weight.WARNING
        mend = "a threshold that a new position isn't past; buffer_left means the same at every leverage"
    else:
        weight = Weight.ERROR if every else Weight.WARNING
        mend = "a threshold that a new position isn't past; buffer_left means the same at every leverage"
    yield found_at(policy, when_path(index, rule), weight, Kind.AT_ONCE, text, mend, rule=rule.name)


def _behind_stop(found: Sequence[Firing], stops: Mapping[Case, Decimal | None]) -> Iterator[tuple[Firing, Decimal]]:
    """Those whose price the resting stop comes before."""
    for each in found:
        stop, sign = stops[each.on.case], each.on.view.risk.exposure.sign
        if stop is not None and each.against is not None and sign * (each.against - stop) <= 0:
            yield each, stop


def _shadowed_by_stop(
    policy: Policy, index: int, rule: PolicyRule, behind: Sequence[tuple[Firing, Decimal]], found: Sequence[Firing]
) -> Iterator[Finding]:
    if not behind:
        return
    first, stop = behind[0]
    against = first.against or ENTRY
    at = f"{_where([each for each, _ in behind], found)} the resting stop comes first"
    example = f"(at {move(stop)}; this at {move(against)}, {first.on.case.words})"
    if _closes(rule):
        text = f"{at} {example}: this is the second line, for a stop that failed"
        weight, mend = Weight.INFO, "nothing, if that is what it is for"
    else:
        text = f"{at} {example}: it never gets its turn there"
        weight, mend = Weight.WARNING, "a threshold nearer to the entry, or a stop further away"
    yield found_at(policy, when_path(index, rule), weight, Kind.SHADOWED, text, mend, rule=rule.name)


def _shadowed_by_profit(
    policy: Policy, index: int, rule: PolicyRule, found: Sequence[Firing], profits: Mapping[Case, Decimal | None]
) -> Iterator[Finding]:
    """A rule for gains beyond the take-profit that ends the position."""
    behind = [
        (each, profit)
        for each in found
        if each.favour is not None and each.against is None
        for profit in [profits[each.on.case]]
        if profit is not None and each.on.view.risk.exposure.sign * (each.favour - profit) >= 0
    ]
    if behind:
        first, profit = behind[0]
        text = (
            f"{_where([each for each, _ in behind], found)} the take-profit comes first (at {move(profit)}; this at "
            f"{move(first.favour or ENTRY)}, {first.on.case.words}): it never gets its turn there"
        )
        mend = "a threshold before the take-profit, or a take-profit further away"
        yield found_at(policy, when_path(index, rule), Weight.WARNING, Kind.SHADOWED, text, mend, rule=rule.name)


def _shadowed_by_rule(
    policy: Policy,
    index: int,
    rule: PolicyRule,
    found: Sequence[Firing],
    firings: Mapping[RuleName, list[Firing]],
) -> Iterator[Finding]:
    """Another rule has closed the position before this one is true, on the way down and on the way up."""
    for number, other in enumerate(policy.rules):
        if other is rule or not _closes(other) or other.hold_s > rule.hold_s:
            continue
        theirs = {each.on.case: each for each in firings.get(other.name, ()) if not each.at_once}
        both = [(each, theirs[each.on.case]) for each in found if each.on.case in theirs]
        for way in (_against, _favour):
            behind = [each for each, their in both if _comes_first(their, each, way, tie=number < index)]
            if behind:
                first = behind[0]
                text = (
                    f"{_where(behind, found)} rule {other.name} has closed the position before (at "
                    f"{move(way(theirs[first.on.case]) or ENTRY)}; this at {move(way(first) or ENTRY)}, "
                    f"{first.on.case.words}): it never gets its turn there"
                )
                mend = f"a threshold nearer to the entry than that of {other.name}"
                yield found_at(
                    policy, when_path(index, rule), Weight.WARNING, Kind.SHADOWED, text, mend, rule=rule.name
                )
                return


def _comes_first(theirs: Firing, ours: Firing, way: Callable[[Firing], Decimal | None], *, tie: bool) -> bool:
    """At one mark the stronger goes, of two that close the first in the file; whoever only tells isn't held back there."""
    their_mark, mark = way(theirs), way(ours)
    if their_mark is None or mark is None:
        return False
    if their_mark == mark:
        return ours.rule.delevers and (tie or not _closes(ours.rule))
    return abs(their_mark - ENTRY) < abs(mark - ENTRY)


def _late(
    policy: Policy, index: int, rule: PolicyRule, bare: Sequence[Firing], found: Sequence[Firing]
) -> Iterator[Finding]:
    """The reaction of the guard itself, with less room to liquidation than the time it takes, where no stop rests."""
    late: list[tuple[Firing, Decimal]] = []
    for each in bare:
        liquidation, mark = each.on.view.risk.liquidation, each.against
        if rule.delevers and mark is not None and isinstance(liquidation, Decimal):
            room = abs(mark - liquidation) / mark
            if room < ORDINARY_MOVE:
                late.append((each, room))
    if late:
        first, room = min(late, key=lambda one: one[1])
        text = (
            f"{_where([each for each, _ in late], found)} it fires too late: {percent(room)} before liquidation "
            f"({first.on.case.words}), and no stop rests there. In the second that feed, decision and order may take "
            f"a market in motion goes {percent(ORDINARY_MOVE)}, in a crash {percent(CRASH_MOVE)}"
        )
        mend = "a resting stop (stop_loss), or a threshold further from liquidation"
        yield found_at(policy, when_path(index, rule), Weight.WARNING, Kind.LATE, text, mend, rule=rule.name)


def _closes(rule: PolicyRule) -> bool:
    return any(isinstance(action, CloseAll) for action in rule.then)


def _against(each: Firing) -> Decimal | None:
    return each.against


def _favour(each: Firing) -> Decimal | None:
    return each.favour


def _where(some: Sequence[Firing], every: Sequence[Firing]) -> str:
    return where([each.on for each in some], [each.on for each in every])
