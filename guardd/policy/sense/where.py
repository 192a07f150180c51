"""The way through the file to each part of a rule, so that a finding stands where its cause does."""

from collections.abc import Iterator

from guardd.policy.language import (
    AllOf,
    AnyOf,
    Compare,
    Condition,
    Not,
    Notify,
    Policy,
    PolicyAction,
    PolicyRule,
    StopLoss,
    TakeProfit,
)
from guardd.policy.nodes import Path


def only_tells(policy: Policy) -> bool:
    """No rule of it does anything but telling people: that nothing rests at the venue is then what was meant."""
    return all(isinstance(action, Notify) for rule in policy.rules for action in rule.then)


def rule_path(index: int, *more: str | int) -> Path:
    return ("rules", index, *more)


def leaves(index: int, rule: PolicyRule) -> Iterator[tuple[Compare, Path]]:
    """Every comparison of a rule with its place, in reading order."""
    if rule.when is not None:
        yield from _leaves(rule.when, rule_path(index, "when"))


def when_path(index: int, rule: PolicyRule) -> Path:
    """Its condition: the comparison where it is one, else the whole."""
    places = [path for _, path in leaves(index, rule)]
    return places[0] if len(places) == 1 else rule_path(index, "when")


def actions(index: int, rule: PolicyRule) -> Iterator[tuple[PolicyAction, Path]]:
    """Every action with its place. The tranches of one ladder are several actions at one place of the list."""
    at = -1
    for action in rule.then:
        tranche = action.tranche if isinstance(action, StopLoss | TakeProfit) else 0
        at += tranche == 0
        yield action, rule_path(index, "then", at, *_word(action, tranche))


def _leaves(condition: Condition, path: Path) -> Iterator[tuple[Compare, Path]]:
    match condition:
        case Compare():
            yield condition, (*path, condition.metric.value, condition.sense.value)
        case Not():
            yield from _leaves(condition.part, (*path, "not"))
        case AllOf() | AnyOf():
            word = "all" if isinstance(condition, AllOf) else "any"
            for number, part in enumerate(condition.parts):
                yield from _leaves(part, (*path, word, number))


def _word(action: PolicyAction, tranche: int) -> Path:
    match action:
        case StopLoss():
            return ("stop_loss", tranche)
        case TakeProfit():
            return ("take_profit", tranche)
        case _:
            return ()
