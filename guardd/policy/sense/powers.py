"""What the actions of a rule can do on the models and at the venues: reductions in vain, levers that a venue or a mode lacks."""

from collections.abc import Iterator, Sequence

from guardd.model.capabilities import Capabilities
from guardd.model.names import MarginMode
from guardd.policy.conditions import Truth, Use, evaluate
from guardd.policy.language import (
    STRENGTHENS,
    AddMarginBy,
    AddMarginUntil,
    CloseAll,
    LowerLeverage,
    Metric,
    Policy,
    PolicyAction,
    PolicyRule,
    ReduceUntil,
    TopUp,
)
from guardd.policy.nodes import nearest
from guardd.policy.sense.cases import where
from guardd.policy.sense.finding import Finding, Kind, Weight, found_at
from guardd.policy.sense.firing import firing
from guardd.policy.sense.models import Bench, Modelled, Subject
from guardd.policy.sense.where import actions, rule_path
from guardd.policy.sizes import NoSize, Sized, size_of
from guardd.risk.assess import assess_on


def powers(policy: Policy, models: Sequence[Modelled], bench: Bench) -> Iterator[Finding]:
    for index, rule in enumerate(policy.rules):
        yield from _whose(policy, index, rule, bench.subjects)
        on = [each for each in models if rule in each.view.rules]
        for number, (action, path) in enumerate(actions(index, rule)):
            followed = any(isinstance(later, (CloseAll, *STRENGTHENS)) for later in rule.then[number + 1 :])
            match action:
                case ReduceUntil():
                    for weight, kind, text, mend in _reductions(rule, action, on, followed=followed):
                        yield found_at(policy, path, weight, kind, text, mend, rule=rule.name)
                case LowerLeverage() | AddMarginBy() | AddMarginUntil() | TopUp():
                    for weight, kind, text, mend in _levers(rule, action, on, bench.subjects):
                        yield found_at(policy, path, weight, kind, text, mend, rule=rule.name)
                case _:
                    pass


Said = tuple[Weight, Kind, str, str]


def _reductions(rule: PolicyRule, action: ReduceUntil, on: Sequence[Modelled], *, followed: bool) -> Iterator[Said]:
    """What `size_of` says at the mark at which the rule comes true."""
    vain: list[tuple[Modelled, str]] = []
    short: list[tuple[Modelled, str]] = []
    for each in on:
        mark = firing(rule, each).first_against
        if mark is None:
            continue
        ground = each.view.on
        sized = size_of(action, ground, assess_on(ground, mark=mark), each.view.instrument)
        match sized:
            case NoSize():
                vain.append((each, sized.why))
            case Sized() if sized.note:
                short.append((each, sized.note))
            case _:
                pass
    if vain:
        first, why = vain[0]
        isolated = first.case.margin_mode is MarginMode.ISOLATED
        text = f"{where([each for each, _ in vain], on)} it can't help: {why.partition(': ')[0]}"
        text += " (closing part of one releases its margin too)" if isolated else ""
        mend = (
            "match margin_mode: cross, or let add_margin or close follow"
            if isolated
            else "a nearer aim, or a larger at_most"
        )
        yield Weight.INFO if followed else Weight.WARNING, Kind.NO_HELP, text, mend
    if short:
        first, why = short[0]
        text = f"{where([each for each, _ in short], on)} one step isn't enough: {why}; it goes on after its cooldown"
        yield Weight.INFO, Kind.NO_HELP, text, "a larger at_most, or an aim that is nearer"


def _levers(
    rule: PolicyRule, action: PolicyAction, on: Sequence[Modelled], subjects: Sequence[Subject]
) -> Iterator[Said]:
    word, mode = _word(action), _only_in(action)
    if mode is not None and rule.match.margin_mode not in (mode, None):
        text = f"{word} is for {mode} positions, and this rule is about others"
        yield Weight.ERROR, Kind.NO_HELP, text, f"match margin_mode: {mode}"
    elif mode is not None and rule.match.margin_mode is None:
        text = f"{word} is for {mode} positions: it does nothing for the others that this rule is about"
        yield Weight.INFO, Kind.NO_HELP, text, f"match margin_mode: {mode}, and a rule of their own for the others"
    if isinstance(action, LowerLeverage):
        asked = [each for each in on if _may_be_true(rule, each)]
        low = [each for each in asked if each.case.leverage <= action.to]
        if low:
            text = f"{where(low, asked)} set_leverage to {action.to:f} does nothing: it never raises"
            yield Weight.INFO, Kind.NO_EFFECT, text, "a lower leverage, or another action after it"
    for subject in subjects:
        if rule.match.account in (None, subject.account) and rule.match.venue in (None, subject.venue):
            yield from _lacking(action, subject)


def _may_be_true(rule: PolicyRule, on: Modelled) -> bool:
    """False where the leverage alone keeps the rule from it."""
    return (
        evaluate(rule.when, on.view.risk, Use.CLOSE, without=frozenset(Metric) - {Metric.LEVERAGE}) is not Truth.FALSE
    )


def _lacking(action: PolicyAction, subject: Subject) -> Iterator[Said]:
    """An error where no kind of account of the venue can, a warning where one of them can't."""
    lacking = [name for name, capabilities in subject.families if not _can(capabilities, action)]
    if lacking:
        whole = len(lacking) == len(subject.families)
        family = "" if whole else f" with a {' or '.join(lacking)} account"
        text = f"{subject.venue}{family} (account {subject.account}) can't do it: {_word(action)} is refused there each time"
        mend = "another action after it, or match the accounts whose venue can"
        yield Weight.ERROR if whole else Weight.WARNING, Kind.LACKS, text, mend


def _word(action: PolicyAction) -> str:
    match action:
        case LowerLeverage():
            return "set_leverage"
        case TopUp():
            return "top_up"
        case _:
            return "add_margin"


def _only_in(action: PolicyAction) -> MarginMode | None:
    match action:
        case AddMarginBy() | AddMarginUntil():
            return MarginMode.ISOLATED
        case TopUp():
            return MarginMode.CROSS
        case _:
            return None


def _can(capabilities: Capabilities, action: PolicyAction) -> bool:
    match action:
        case LowerLeverage():
            return capabilities.set_leverage
        case AddMarginBy() | AddMarginUntil():
            return capabilities.add_margin
        case TopUp():
            return capabilities.top_up
        case _:
            return True


def _whose(policy: Policy, index: int, rule: PolicyRule, subjects: Sequence[Subject]) -> Iterator[Finding]:
    """A rule about an account or venue that isn't configured."""
    named = (
        ("account", rule.match.account, {each.account for each in subjects}),
        ("venue", rule.match.venue, {each.venue for each in subjects}),
    )
    for word, name, known in named:
        if subjects and name is not None and name not in known:
            near = nearest(name, known)
            meant = f" (did you mean {near}?)" if near else ""
            text = f"no configured {word} is called {name}{meant}: the rule is about nothing"
            mend = f"one of {', '.join(sorted(known))}, or no `{word}` at all"
            path = rule_path(index, "match", word)
            yield found_at(policy, path, Weight.ERROR, Kind.NO_MATCH, text, mend, rule=rule.name)
