"""What looks wrong in a policy that is right by its grammar: told by `check`, never a reason to refuse it."""

from dataclasses import dataclass
from decimal import Decimal

from guardd.model.names import MarginMode
from guardd.policy.language import (
    SAFER_WHEN_HIGHER,
    AllOf,
    CloseAll,
    Compare,
    Metric,
    Policy,
    PolicyRule,
    ReduceUntil,
    Sense,
    StopLoss,
    compares,
)

LIQUIDATED_AT = Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`line` of the policy's file, 0 for the whole of it; `text` says what is wrong and how to mend it."""

    line: int
    text: str


def findings(policy: Policy) -> tuple[Finding, ...]:
    """Everything that looks wrong, in the order of the file."""
    found: list[Finding] = []
    if not any(isinstance(action, StopLoss) for rule in policy.rules for action in rule.then):
        found.append(
            Finding(line=0, text="no rule asks for a stop_loss: nothing rests at the venue while guardd is down")
        )
    for rule in policy.rules:
        found.extend(Finding(line=rule.line, text=f"rule {rule.name}: {text}") for text in _wrong(rule))
    return tuple(sorted(found, key=lambda finding: finding.line))


def _wrong(rule: PolicyRule) -> list[str]:
    found = [text for leaf in _leaves(rule) if (text := _never(rule, leaf))]
    found += _contradictions(rule)
    for action in rule.then:
        if isinstance(action, ReduceUntil):
            found += _until(rule, action)
    levers = [action for action in rule.then if isinstance(action, CloseAll)]
    if levers and rule.then.index(levers[0]) < len(rule.then) - 1 and rule.delevers:
        after = rule.then[rule.then.index(levers[0]) + 1 :]
        if any(isinstance(action, ReduceUntil | CloseAll) for action in after):
            found.append("what comes after `close` never gets its turn: close goes on until the position is flat")
    return found


def _leaves(rule: PolicyRule) -> list[Compare]:
    return [] if rule.when is None else list(compares(rule.when))


def _never(rule: PolicyRule, leaf: Compare) -> str:
    """Why a comparison can't come true; empty when it can."""
    at_least_zero = leaf.metric not in (Metric.PROFIT_FROM_ENTRY, Metric.RETURN_ON_MARGIN, Metric.UNREALIZED_PNL)
    if at_least_zero and leaf.sense is Sense.BELOW and leaf.threshold <= 0:
        return f"{leaf.metric} is never below {leaf.threshold}: this can't come true"
    ratio = leaf.metric in (Metric.MARGIN_RATIO, Metric.ACCOUNT_MARGIN_RATIO)
    if ratio and leaf.sense is Sense.ABOVE and leaf.threshold >= LIQUIDATED_AT:
        return f"at {leaf.metric} 100% the venue liquidates: above {leaf.threshold} is too late"
    if leaf.metric is Metric.ACCOUNT_MARGIN_RATIO and rule.match.margin_mode is MarginMode.ISOLATED:
        return "account_margin_ratio is false for isolated positions, and this rule is about no others"
    return ""


def _contradictions(rule: PolicyRule) -> list[str]:
    """Parts of one `all` that exclude each other."""
    if not isinstance(rule.when, AllOf):
        return []
    parts = [part for part in rule.when.parts if isinstance(part, Compare)]
    return [
        f"{low.metric} can't be above {low.threshold} and below {high.threshold} at once"
        for low in parts
        for high in parts
        if (low.metric, low.sense, high.sense) == (high.metric, Sense.ABOVE, Sense.BELOW)
        and low.threshold >= high.threshold
    ]


def _until(rule: PolicyRule, action: ReduceUntil) -> list[str]:
    found: list[str] = []
    isolated_helps = action.metric in (Metric.NOTIONAL,)
    if rule.match.margin_mode is not MarginMode.CROSS and not isolated_helps:
        found.append(
            f"reduce until {action.metric} hardly works for isolated positions (closing part of one releases its margin too): "
            "match margin_mode: cross, or let a close follow"
        )
    for leaf in _leaves(rule):
        if leaf.metric is not action.metric:
            continue
        higher = action.metric in SAFER_WHEN_HIGHER
        if (higher and action.target <= leaf.threshold) or (not higher and action.target >= leaf.threshold):
            found.append(
                f"its aim {action.target} doesn't lie beyond its threshold {leaf.threshold}: it would act again at once"
            )
    return found
