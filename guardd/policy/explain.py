"""The policy in people's words: which rule comes next and at which mark, and what it would do now."""

from decimal import Decimal

from msgspec import Struct

from guardd.model.instant import Instant
from guardd.model.names import PositionKey, RuleName
from guardd.model.order import ProtectionKind
from guardd.model.reading import is_value
from guardd.model.state import AccountState
from guardd.policy.conditions import Truth, Use
from guardd.policy.crossings import Way
from guardd.policy.language import (
    UNIT_OF,
    AddMarginBy,
    AddMarginUntil,
    CancelEntering,
    CloseAll,
    LowerLeverage,
    Notify,
    Policy,
    PolicyAction,
    PolicyRule,
    ReduceBy,
    ReduceUntil,
    StopLoss,
    TakeProfit,
    TopUp,
    TrailStop,
    Unit,
)
from guardd.policy.memory import EpisodeMemory
from guardd.policy.reasons import condition_text, in_unit, plain
from guardd.policy.stops import wanted_protection
from guardd.policy.triggers import against, price_of
from guardd.policy.view import View, views


class NextRule(Struct, frozen=True, kw_only=True):
    """`at_mark_price` is the present mark for a rule that is true already."""

    rule: RuleName
    at_mark_price: Decimal


def next_rule(view: View) -> NextRule | None:
    """The rule that this instrument's mark makes act next, and the first mark on tick at which it does."""
    return next(iter(rules_ahead(view)), None)


def rules_ahead(view: View) -> tuple[NextRule, ...]:
    """Every rule that this instrument's mark makes act, and the first mark on tick at which it does; the next one first.

    A move against the position comes before one in its favour. Rules without a condition, and those that hang on something
    else than this mark, aren't next. Of several at one mark the one that reduces comes first, then the order of the policy.
    """
    found: list[tuple[bool, Decimal, bool, int, NextRule]] = []
    for index, rule in enumerate(view.rules):
        mark = acts_at(rule, view)
        if mark is not None:
            there = NextRule(rule=rule.name, at_mark_price=mark)
            way = mark - view.risk.mark
            found.append((way * view.risk.exposure.sign > 0, abs(way), not rule.delevers, index, there))
    return tuple(each[4] for each in sorted(found, key=lambda each: each[:4]))


def acts_at(rule: PolicyRule, view: View) -> Decimal | None:
    """The first mark against the position at which the rule is true, else the first in its favour; the present one where it is."""
    if rule.when is None:
        return None
    use = Use.CLOSE if rule.delevers else Use.WARN
    if view.truth_on_last_values(rule, use) is Truth.TRUE:
        return view.risk.mark
    first = against(view)
    ways = (first, Way.UP if first is Way.DOWN else Way.DOWN)
    return next((at for way in ways if (at := price_of(rule, view, use, way)) is not None), None)


def view_of(policy: Policy, state: AccountState, key: PositionKey, now: Instant) -> View | None:
    """One position as the rules see it; None where it isn't held or has no mark yet."""
    return next((view for view in views(policy, state, now, (key.symbol,)) if view.held.key == key), None)


def describe(policy: Policy, state: AccountState, now: Instant) -> tuple[str, ...]:
    """What the policy would do now, a line each: for `check` and before CONFIRM. Remembers nothing."""
    lines: list[str] = []
    for view in views(policy, state, now):
        lines.append(_position_line(view))
        lines.extend(f"  {line}" for line in (*_protection_lines(view, state), *_rule_lines(view)))
    return tuple(lines) or ("no open position",)


def _position_line(view: View) -> str:
    risk = view.risk
    leverage = f"{plain(risk.leverage)}x " if is_value(risk.leverage) else ""
    where = (
        f"liquidation at {plain(risk.liquidation)}" if is_value(risk.liquidation) else f"liquidation {risk.liquidation}"
    )
    distance = in_unit(risk.distance_to_liquidation, Unit.RATIO)
    return (
        f"{risk.key.symbol} {risk.key.side} {leverage}{risk.margin_mode}, {plain(risk.quantity)} contracts: "
        f"mark {plain(risk.mark)}, {where}, distance {distance}"
    )


def _protection_lines(view: View, state: AccountState) -> list[str]:
    true = tuple(rule for rule in view.rules if view.truth_on_last_values(rule, Use.WARN) is Truth.TRUE)
    risk = view.risk
    found = wanted_protection(
        true, state, view.held, risk, view.instrument, EpisodeMemory(), blind=False, reached=risk.mark
    )
    words = {ProtectionKind.STOP_LOSS: "a stop", ProtectionKind.TAKE_PROFIT: "a take-profit"}
    lines = [
        f"{words[order.kind]}{_of(order.size)} shall rest at {plain(order.trigger_price)} "
        f"({order.price_type} price, rule {order.rule})"
        for order in found.protect.wanted
    ]
    lines += [f"partly unprotected: {found.partly}"] if found.partly else []
    lines += [f"no stop can be placed: {why}" for why in found.protect.impossible]
    return lines or ["no rule asks for a stop"]


def _of(size: Decimal | None) -> str:
    return "" if size is None else f" for {plain(size)} contracts"


def _rule_lines(view: View) -> list[str]:
    lines: list[str] = []
    for rule in view.rules:
        if rule.when is None:
            continue
        use = Use.CLOSE if rule.delevers else Use.WARN
        what = ", ".join(action_text(action) for action in rule.then)
        truth, mark = view.truth_on_last_values(rule, use), acts_at(rule, view)
        if truth is Truth.TRUE:
            lines.append(f"rule {rule.name} is true now ({condition_text(rule, view.risk, use)}): {what}")
        elif mark is not None:
            lines.append(f"rule {rule.name} at mark {plain(mark)}: {what}")
        elif truth is Truth.UNKNOWN:
            lines.append(f"rule {rule.name} can't be judged now ({condition_text(rule, view.risk, use)})")
    return lines


def action_text(action: PolicyAction) -> str:
    """One action in words."""
    match action:
        case StopLoss():
            return f"rest a stop{_share_text(action.size)}"
        case TakeProfit():
            return f"rest a take-profit{_share_text(action.size)}"
        case TrailStop():
            return f"trail a stop {in_unit(action.distance, Unit.RATIO)} behind the best mark"
        case ReduceBy():
            return f"reduce by {in_unit(action.share, Unit.RATIO)}"
        case ReduceUntil():
            aim = in_unit(action.target, UNIT_OF[action.metric], action.coin)
            return f"reduce until {action.metric} is {aim}, at most {in_unit(action.at_most, Unit.RATIO)}"
        case CloseAll():
            return "close"
        case LowerLeverage():
            return f"lower the leverage to {plain(action.to)}"
        case AddMarginBy():
            most = "" if action.at_most is None else f", at most {plain(action.at_most)} {action.coin}"
            return f"add {plain(action.amount)} {action.coin} of margin{most}"
        case AddMarginUntil():
            aim = in_unit(action.target, UNIT_OF[action.metric], action.coin)
            return f"add margin until {action.metric} is {aim}, at most {plain(action.at_most)} {action.coin}"
        case TopUp():
            return f"move {plain(action.amount)} {action.coin} from spot to futures"
        case CancelEntering():
            return "cancel entries"
        case Notify():
            return f"tell ({action.severity})"


def _share_text(size: Decimal) -> str:
    return "" if size == 1 else f" for {in_unit(size, Unit.RATIO)}"
