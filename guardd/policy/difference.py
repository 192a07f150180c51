"""What another policy changes, in words, and whether it protects less than the one before (I23).

A change loosens where the guard would act later, less, on fewer positions or not at all. Where the words don't tell, model
positions do; where neither does, it counts as loosening.
"""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import zip_longest
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from guardd.model.decision import IfPassed, OnUnprotected
from guardd.model.names import PriceType, RuleName, Severity
from guardd.policy.explain import action_text, acts_at
from guardd.policy.language import (
    TRIGGER_UNIT,
    AddMarginBy,
    AddMarginUntil,
    AllOf,
    AnyOf,
    CancelEntering,
    Compare,
    Condition,
    LowerLeverage,
    Match,
    Not,
    Notify,
    Policy,
    PolicyAction,
    PolicyRule,
    ReduceBy,
    ReduceUntil,
    Sense,
    StopLoss,
    TakeProfit,
    TopUp,
    TrailStop,
    Trigger,
    TriggerKind,
    Unit,
    WhenBlind,
    compares,
    wants_higher,
)
from guardd.policy.reasons import in_unit, plain, threshold_text
from guardd.policy.sense.firing import FREE, Firing, firing
from guardd.policy.sense.models import ENTRY, NOTHING, Bench, modelled
from guardd.policy.view import View

POSITIONS_TOLD_MAX: Final = 3
"""Positions for which a changed rule's price is told."""


class Change(Struct, frozen=True, kw_only=True):
    """`rule` None: the limits, or the order of the rules."""

    rule: RuleName | None
    text: str
    loosens: bool

    @property
    def sentence(self) -> str:
        return self.text if self.rule is None else f"{self.rule}: {self.text}"


def difference(old: Policy, new: Policy) -> tuple[Change, ...]:
    """Every change of meaning, in the order of the new policy; what is gone comes last."""
    before, after = ({rule.name: rule for rule in policy.rules} for policy in (old, new))
    renamed = _renamed(before, after)
    found: list[Change] = list(_limits(old, new))
    for name, rule in after.items():
        if name in before:
            found.extend(_rule(before[name], rule))
        elif name in renamed:
            found.append(
                Change(rule=name, text=f"{renamed[name]} is now called so: its cooldowns begin anew", loosens=False)
            )
        else:
            found.append(Change(rule=name, text=f"added: {rule_text(rule)}", loosens=False))
    gone = [rule for name, rule in before.items() if name not in after and name not in renamed.values()]
    found.extend(Change(rule=rule.name, text=f"removed: {rule_text(rule)}", loosens=protects(rule)) for rule in gone)
    kept = [name for name in before if name in after]
    if kept != [name for name in after if name in before]:
        found.append(Change(rule=None, text="the rules stand in another order", loosens=False))
    return tuple(found)


def fires_now(name: RuleName, views: Iterable[View]) -> str:
    """Where a rule fires on what is held: `now fires at 88 920.1 on BTCUSDT long`; empty where it has no price."""
    ahead: list[str] = []
    already: list[str] = []
    for view in views:
        rule = next((each for each in view.rules if each.name == name), None)
        mark = None if rule is None else acts_at(rule, view)
        where = f"on {view.held.key.symbol} {view.held.key.side}"
        if mark == view.risk.mark:
            already.append(where)
        elif mark is not None:
            ahead.append(f"at {grouped(mark)} {where}")
    parts = [f"now fires {_first(ahead)}"] if ahead else []
    parts += [f"is true already {_first(already)}"] if already else []
    return ", ".join(parts)


def _first(found: list[str]) -> str:
    more = f" and {len(found) - POSITIONS_TOLD_MAX} more" if len(found) > POSITIONS_TOLD_MAX else ""
    return ", ".join(found[:POSITIONS_TOLD_MAX]) + more


def protects(rule: PolicyRule) -> bool:
    """Anything but a take-profit: without it the account is watched or defended less."""
    return any(not isinstance(action, TakeProfit) for action in rule.then)


def rule_text(rule: PolicyRule) -> str:
    """A rule in one line."""
    when = "" if rule.when is None else f"when {condition_words(rule.when)}, "
    return when + ", ".join(map(_action_words, rule.then))


def condition_words(condition: Condition) -> str:
    match condition:
        case Compare():
            return f"{condition.metric} {condition.sense} {threshold_text(condition)}"
        case Not():
            return f"not ({condition_words(condition.part)})"
        case AllOf():
            return " and ".join(map(_part_words, condition.parts))
        case AnyOf():
            return " or ".join(map(_part_words, condition.parts))


def grouped(price: Decimal) -> str:
    """`88 920.1`."""
    whole, dot, places = plain(price).partition(".")
    return f"{int(whole):,}".replace(",", " ") + dot + places


# Rules


def _renamed(before: dict[RuleName, PolicyRule], after: dict[RuleName, PolicyRule]) -> dict[RuleName, RuleName]:
    """New names of rules that are otherwise the same: new to old."""
    gone = [name for name in before if name not in after]
    found: dict[RuleName, RuleName] = {}
    for name, rule in after.items():
        same = [
            old for old in gone if replace(before[old], name=name, line=rule.line) == rule and old not in found.values()
        ]
        if name not in before and same:
            found[name] = same[0]
    return found


def _rule(old: PolicyRule, new: PolicyRule) -> Iterator[Change]:
    name, acts = new.name, old.delevers or any(isinstance(action, CancelEntering) for action in old.then)
    yield from _condition(old, new)
    if old.hold_s != new.hold_s:
        text = f"for {old.hold_s:g} s → {new.hold_s:g} s"
        yield Change(rule=name, text=text, loosens=acts and new.hold_s > old.hold_s)
    if old.cooldown_s != new.cooldown_s:
        text = f"cooldown {old.cooldown_s:g} s → {new.cooldown_s:g} s"
        yield Change(rule=name, text=text, loosens=acts and new.cooldown_s > old.cooldown_s)
    if old.when_blind is not new.when_blind:
        text = f"when_blind {old.when_blind} → {new.when_blind}"
        yield Change(rule=name, text=text, loosens=new.when_blind is WhenBlind.HOLD)
    if old.match != new.match:
        text = f"about {_match_words(old.match)} → {_match_words(new.match)}"
        yield Change(rule=name, text=text, loosens=protects(old) and not _wider(old.match, new.match))
    yield from _actions(old, new)


def _condition(old: PolicyRule, new: PolicyRule) -> Iterator[Change]:
    if old.when == new.when:
        return
    moved = list(_moved(old.when, new.when, turned=False))
    if moved and None not in moved:
        for change in moved:
            if change is not None:
                before, after, later = change
                text = f"{condition_words(before)} → {threshold_text(after)}"
                yield Change(rule=new.name, text=text, loosens=later and protects(old))
        return
    was, now = ("always" if when is None else condition_words(when) for when in (old.when, new.when))
    yield Change(rule=new.name, text=f"when {was} → {now}", loosens=protects(old) and _comes_later(old, new))


def _comes_later(old: PolicyRule, new: PolicyRule) -> bool:
    """A condition of another shape, tried on model positions: is it true later on one of them, or can't that be told?"""
    if new.when is None:
        return False
    if old.when is None or any(leaf.metric in FREE for rule in (old, new) for leaf in compares(rule.when or new.when)):
        return True
    return any(_later(firing(old, on), firing(new, on)) for on in modelled(NOTHING, Bench()))


def _later(before: Firing, after: Firing) -> bool:
    if before.at_once:
        return not after.at_once
    ways = ((before.against, after.against), (before.favour, after.favour))
    return not after.at_once and any(
        was is not None and (now is None or abs(now - ENTRY) > abs(was - ENTRY)) for was, now in ways
    )


def _moved(
    old: Condition | None, new: Condition | None, *, turned: bool
) -> Iterator[tuple[Compare, Compare, bool] | None]:
    """Thresholds that moved in conditions of one shape, each with whether it comes true later now; None for another shape."""
    match old, new:
        case Compare(), Compare():
            if (old.metric, old.sense, old.coin) != (new.metric, new.sense, new.coin):
                yield None  # nothing says what one coin is worth in another
            elif old.threshold != new.threshold:
                lower = new.threshold < old.threshold
                yield old, new, (lower is (old.sense is Sense.BELOW)) is not turned
        case Not(), Not():
            yield from _moved(old.part, new.part, turned=not turned)
        case (AllOf(parts=before), AllOf(parts=after)) | (AnyOf(parts=before), AnyOf(parts=after)):
            if len(before) != len(after):
                yield None
                return
            for one, other in zip(before, after, strict=True):
                yield from _moved(one, other, turned=turned)
        case _:
            if old != new:
                yield None


def _part_words(part: Condition) -> str:
    words = condition_words(part)
    return f"({words})" if isinstance(part, AllOf | AnyOf) else words


def _match_words(match: Match) -> str:
    symbols = "" if match.symbols == ("*",) else ", ".join(match.symbols)
    parts = [str(each) for each in (match.account, match.venue, symbols, match.margin_mode, match.side) if each]
    return " ".join(parts) or "everything"


def _wider(old: Match, new: Match) -> bool:
    """Everything that the old one was about the new one is about too, as far as the words tell."""
    same = all(
        after in (None, before)
        for before, after in (
            (old.account, new.account),
            (old.venue, new.venue),
            (old.side, new.side),
            (old.margin_mode, new.margin_mode),
        )
    )
    return same and ("*" in new.symbols or set(old.symbols) <= set(new.symbols))


# Actions


def _actions(old: PolicyRule, new: PolicyRule) -> Iterator[Change]:
    """Each sort of action compared in its order: the first stop with the first stop, and so on."""
    sorts = dict.fromkeys(type(action) for action in (*new.then, *old.then))
    for sort in sorts:
        before = [action for action in old.then if type(action) is sort]
        after = [action for action in new.then if type(action) is sort]
        for one, other in zip_longest(before, after):
            if one == other:
                continue
            if one is None:
                yield Change(rule=new.name, text=f"also {_action_words(other)}", loosens=False)
            elif other is None:
                text, loosens = f"no longer {_action_words(one)}", not isinstance(one, TakeProfit)
                yield Change(rule=new.name, text=text, loosens=loosens)
            else:
                text = f"{_action_words(one)} → {_action_words(other)}"
                yield Change(rule=new.name, text=text, loosens=_looser(one, other))
    if sorted(map(repr, old.then)) == sorted(map(repr, new.then)) and old.then != new.then:
        yield Change(rule=new.name, text="its actions go in another order", loosens=False)


def _looser(old: PolicyAction, new: PolicyAction) -> bool:
    """Two actions of one sort that differ: does the new one do less?"""
    match old, new:
        case StopLoss(), StopLoss():
            return _looser_stop(old, new)
        case TrailStop(), TrailStop():
            return new.distance > old.distance or _to_last(old.price_type, new.price_type)
        case ReduceBy(), ReduceBy():
            return new.share < old.share
        case ReduceUntil(), ReduceUntil():
            return new.at_most < old.at_most or _nearer_aim(old, new)
        case LowerLeverage(), LowerLeverage():
            return new.to > old.to
        case AddMarginBy(), AddMarginBy():
            return new.amount < old.amount or _less_at_most(old.at_most, new.at_most)
        case AddMarginUntil(), AddMarginUntil():
            return new.at_most < old.at_most or _nearer_aim(old, new)
        case TopUp(), TopUp():
            return new.amount < old.amount
        case Notify(), Notify():
            return tuple(Severity).index(new.severity) < tuple(Severity).index(old.severity)
        case _:
            return False


def _looser_stop(old: StopLoss, new: StopLoss) -> bool:
    if new.size < old.size or _to_last(old.price_type, new.price_type):
        return True
    if old.on_unprotected is OnUnprotected.CLOSE and new.on_unprotected is not OnUnprotected.CLOSE:
        return True
    if old.if_passed is IfPassed.CLOSE and new.if_passed is not IfPassed.CLOSE:
        return True
    return not all(any(_as_tight(trigger, than) for trigger in new.triggers) for than in old.triggers)


def _as_tight(trigger: Trigger, than: Trigger) -> bool:
    """The nearest of several counts, so that each of the old ones needs one as near. A price may be either, by the side."""
    if trigger.kind is not than.kind:
        return False
    return trigger.value == than.value if trigger.kind is TriggerKind.PRICE else trigger.value >= than.value


def _to_last(old: PriceType, new: PriceType) -> bool:
    return old is PriceType.MARK and new is PriceType.LAST


def _nearer_aim(old: ReduceUntil | AddMarginUntil, new: ReduceUntil | AddMarginUntil) -> bool:
    if old.metric is not new.metric:
        return True
    return new.target < old.target if wants_higher(old.metric, old.target) else new.target > old.target


def _less_at_most(old: Decimal | None, new: Decimal | None) -> bool:
    return new is not None and (old is None or new < old)


def _action_words(action: PolicyAction) -> str:
    """As `action_text`, with where an order rests."""
    match action:
        case StopLoss() | TakeProfit():
            triggers = " or ".join(
                f"{trigger.kind} {in_unit(trigger.value, TRIGGER_UNIT[trigger.kind])}" for trigger in action.triggers
            )
            size = "" if action.size == 1 else f" for {in_unit(action.size, Unit.RATIO)}"
            kind = "stop_loss" if isinstance(action, StopLoss) else "take_profit"
            last = f", {action.price_type} price" if _unusual(action) else ""
            return f"{kind} {triggers}{size}{last}"
        case _:
            return action_text(action)


def _unusual(action: StopLoss | TakeProfit) -> bool:
    return action.price_type is not (PriceType.MARK if isinstance(action, StopLoss) else PriceType.LAST)


# Limits


def _limits(old: Policy, new: Policy) -> Iterator[Change]:
    was, now = old.limits, new.limits
    pairs: Sequence[tuple[str, Decimal, Decimal, Unit, bool]] = (
        ("orders_per_minute", Decimal(was.orders_per_minute), Decimal(now.orders_per_minute), Unit.NUMBER, True),
        ("reduce_per_hour", was.reduce_per_hour, now.reduce_per_hour, Unit.RATIO, True),
        ("top_up_per_day", was.top_up_per_day, now.top_up_per_day, Unit.MONEY, True),
        ("stale_after", Decimal(str(was.stale_after_s)), Decimal(str(now.stale_after_s)), Unit.DURATION, False),
    )
    for name, before, after, unit, less_is_looser in pairs:
        if before != after:
            text = f"limits.{name} {in_unit(before, unit)} → {in_unit(after, unit)}"
            yield Change(rule=None, text=text, loosens=(after < before) is less_is_looser)
