"""Resting orders on the models: beyond liquidation, inside the spread, worth less than their fees, missing, and undefendable."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import cache

from guardd.model.names import MarginMode, Side, Symbol
from guardd.model.reading import is_value
from guardd.policy.language import Policy, PolicyRule, StopLoss, TakeProfit, TrailStop
from guardd.policy.nodes import Path
from guardd.policy.sense.cases import leverages, listed, move, percent, where
from guardd.policy.sense.finding import Finding, Kind, Weight, found_at
from guardd.policy.sense.models import CRASH_MOVE, ENTRY, NOTHING, SPREAD, SYMBOLS, Case, Modelled, Subject, model_of
from guardd.policy.sense.resting import alone, asked_price, profit_price, stop_price
from guardd.policy.sense.where import actions, only_tells


def resting_orders(policy: Policy, models: Sequence[Modelled]) -> Iterator[Finding]:
    for index, rule in enumerate(policy.rules):
        on = [each for each in models if rule in each.view.rules]
        for action, path in actions(index, rule):
            match action:
                case StopLoss():
                    yield from _stop(policy, rule, action, path, on)
                case TakeProfit():
                    yield from _profit(policy, rule, action, path, on)
                case TrailStop():
                    yield from _trail(policy, rule, action, path, on)
                case _:
                    pass
    yield from _bare(policy, models)
    yield from _undefendable(policy, models)


def _stop(policy: Policy, rule: PolicyRule, action: StopLoss, path: Path, on: Sequence[Modelled]) -> Iterator[Finding]:
    beyond: list[tuple[Modelled, Decimal]] = []
    close: list[tuple[Modelled, Decimal]] = []
    tight: list[tuple[Modelled, Decimal]] = []
    for each in on:
        asked, liquidation, sign = asked_price(rule, action, each), each.view.risk.liquidation, each.case.side.sign
        placed = stop_price((alone(rule, action),), each)
        if asked is None or placed is None or not is_value(liquidation):
            continue
        if sign * (asked - liquidation) <= 0:
            beyond.append((each, asked))
        elif abs(placed - liquidation) / placed < _cost(each):
            tight.append((each, placed))
        if abs(placed - ENTRY) / ENTRY <= SPREAD:
            close.append((each, placed))
    if beyond:
        first, asked = beyond[0]
        end = first.view.risk.liquidation
        text = (
            f"{_where(beyond, on)} it lies beyond liquidation ({move(asked)}; liquidation at "
            f"{move(end) if is_value(end) else end}, {first.case.words}): it is put 10 % of the way from there to the mark instead"
        )
        mend = "name liquidation_buffer beside it: the trigger nearer to the mark is taken"
        yield found_at(policy, path, Weight.WARNING, Kind.BEYOND, text, mend, rule=rule.name)
    if tight:
        first, placed = tight[0]
        end = first.view.risk.liquidation
        room = abs(placed - end) / placed if is_value(end) else Decimal(0)
        text = (
            f"{_where(tight, on)} it leaves {percent(room)} to liquidation ({first.case.words}): fee and spread of closing "
            f"there take {percent(_cost(first))}"
        )
        mend = "a larger liquidation_buffer"
        yield found_at(policy, path, Weight.WARNING, Kind.LATE, text, mend, rule=rule.name)
    if close:
        first, placed = close[0]
        text = (
            f"{_where(close, on)} it rests {percent(abs(placed - ENTRY) / ENTRY)} from the mark, inside the spread "
            f"({percent(SPREAD)} and more where a book is thin): it goes off by itself"
        )
        mend = "a stop that an ordinary minute doesn't reach, such as {from_entry: -1%}"
        yield found_at(policy, path, Weight.ERROR, Kind.SPREAD, text, mend, rule=rule.name)


def _profit(
    policy: Policy, rule: PolicyRule, action: TakeProfit, path: Path, on: Sequence[Modelled]
) -> Iterator[Finding]:
    near: list[tuple[Modelled, Decimal]] = []
    for each in on:
        placed = profit_price((alone(rule, action),), each)
        if placed is not None and abs(placed - ENTRY) / ENTRY <= _round_trip(each):
            near.append((each, placed))
    if near:
        first, placed = near[0]
        text = (
            f"{_where(near, on)} it takes {percent(abs(placed - ENTRY) / ENTRY)}, less than opening, closing and the spread "
            f"cost ({percent(_round_trip(first))}): it takes a loss"
        )
        mend = "a take-profit that pays for itself, such as {from_entry: 1%}"
        yield found_at(policy, path, Weight.WARNING, Kind.SPREAD, text, mend, rule=rule.name)


def _trail(
    policy: Policy, rule: PolicyRule, action: TrailStop, path: Path, on: Sequence[Modelled]
) -> Iterator[Finding]:
    place = (*path, "trail_stop", "distance")
    if action.distance <= SPREAD:
        text = f"{percent(action.distance)} behind the mark lies inside the spread ({percent(SPREAD)}): it goes off by itself"
        mend = "a distance that an ordinary minute doesn't reach, such as 2%"
        yield found_at(policy, place, Weight.ERROR, Kind.SPREAD, text, mend, rule=rule.name)
    beyond = [each for each in on if is_value(each.view.risk.liquidation) and _distance(each) <= action.distance]
    if beyond:
        first = beyond[0]
        text = (
            f"{where(beyond, on)} its distance of {percent(action.distance)} reaches beyond liquidation "
            f"({percent(_distance(first))} away, {first.case.words}) until the position has gained"
        )
        mend = "a stop_loss with liquidation_buffer beside it: the tighter one counts"
        elsewhere = any(stop_price(_without(each, rule), each) is not None for each in beyond)
        weight = Weight.INFO if elsewhere else Weight.WARNING
        yield found_at(policy, place, weight, Kind.BEYOND, text, mend, rule=rule.name)


def _bare(policy: Policy, models: Sequence[Modelled]) -> Iterator[Finding]:
    """Positions for which no rule asks for a stop, where others have one."""
    bare = [each for each in models if not _has_stop(each)]
    if bare and len(bare) < len(models):
        text = f"no rule asks for a stop {where(bare, models)} ({bare[0].case.words}): nothing rests there while guardd is down"
        mend = "let a rule with stop_loss be about these positions too"
        yield found_at(policy, ("rules",), Weight.WARNING, Kind.NO_STOP, text, mend)


def _undefendable(policy: Policy, models: Sequence[Modelled]) -> Iterator[Finding]:
    """Leverages at which a crash is past liquidation before anybody, venue or guard, can have closed."""
    short = {each.case.leverage: _distance(each) for each in models if _distance(each) < CRASH_MOVE}
    if not short:
        return
    distances = listed(percent(short[leverage]) for leverage in sorted(short))
    text = (
        f"undefendable at {leverages(short)}: in a crash the market moves {percent(CRASH_MOVE)} in a second; your distance is "
        f"{distances}"
    )
    mend = f"less leverage: {leverages([_most_defendable()])} is the most that leaves so much"
    bare = any(stop_price(each.view.rules, each) is None for each in models if each.case.leverage in short)
    weight = Weight.WARNING if bare and not only_tells(policy) else Weight.INFO
    yield found_at(policy, ("rules",), weight, Kind.UNDEFENDABLE, text, mend)


@cache
def _most_defendable() -> Decimal:
    """The highest whole leverage at which an ordinary crash ends before liquidation."""
    leverage = int(1 / CRASH_MOVE)
    while leverage > 1:
        case = Case(
            leverage=Decimal(leverage),
            side=Side.SHORT,
            margin_mode=MarginMode.ISOLATED,
            subject=Subject(),
            symbol=Symbol(SYMBOLS[0]),
        )
        if _distance(model_of(NOTHING, case)) >= CRASH_MOVE:
            break
        leverage -= 1
    return Decimal(leverage)


def _has_stop(on: Modelled) -> bool:
    return any(isinstance(action, StopLoss | TrailStop) for rule in on.view.rules for action in rule.then)


def _without(on: Modelled, rule: PolicyRule) -> tuple[PolicyRule, ...]:
    return tuple(each for each in on.view.rules if each is not rule and each.when is None)


def _distance(on: Modelled) -> Decimal:
    """To liquidation, of a position just opened; one where there is none."""
    distance = on.view.risk.distance_to_liquidation
    return distance if is_value(distance) else Decimal(1)


def _cost(on: Modelled) -> Decimal:
    """Of closing at market, as a share."""
    return on.view.instrument.taker_fee + SPREAD


def _round_trip(on: Modelled) -> Decimal:
    return 2 * on.view.instrument.taker_fee + SPREAD


def _where(some: Sequence[tuple[Modelled, Decimal]], every: Sequence[Modelled]) -> str:
    return where([each for each, _ in some], every)
