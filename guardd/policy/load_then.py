"""Reading `then`: the actions of a rule and their arguments."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

from msgspec.structs import replace

from guardd.model.decision import IfPassed, OnUnprotected
from guardd.model.names import PriceType, Severity
from guardd.policy.grammar import Word, read_arguments, read_single, read_word
from guardd.policy.language import (
    MARGIN_MOVES,
    SIZE_MOVES,
    TRIGGER_UNIT,
    UNIT_OF,
    AddMarginBy,
    AddMarginUntil,
    CancelEntering,
    CloseAll,
    LowerLeverage,
    Metric,
    Notify,
    PolicyAction,
    ReduceBy,
    ReduceUntil,
    StopLoss,
    TakeProfit,
    TopUp,
    TrailStop,
    Trigger,
    TriggerKind,
    Unit,
)
from guardd.policy.load_when import read_metric
from guardd.policy.nodes import Entry, Faults, Items, Place, Table, Value, shown
from guardd.policy.values import read_figure, read_money, read_number

ARGUMENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "stop_loss": ("trigger", "price_type", "size", "if_passed", "on_unprotected"),
    "take_profit": ("trigger", "price_type", "size"),
    "trail_stop": ("distance", "price_type"),
    "reduce": ("by", "until", "at_most"),
    "close": (),
    "set_leverage": ("to",),
    "add_margin": ("until", "amount", "at_most"),
    "top_up": ("amount",),
    "cancel_entries": (),
    "notify": ("severity",),
}
LADDERS: Final = ("stop_loss", "take_profit")
"""Actions that may be a list: a tranche of the position each."""
TRANCHES_MAX: Final = 20
"""Venues let only so many plan orders rest."""
_WHOLE: Final = Decimal(1)


def read_actions(value: Value, faults: Faults) -> tuple[PolicyAction, ...]:
    """The action that stands there, or the tranches of its ladder; none with a fault recorded when it isn't one."""
    single = read_single(value, "an action such as close: {} or reduce: {by: 25%}", faults)
    if single is None:
        return ()
    word, entry = single
    if word not in ARGUMENTS:
        faults.unknown(entry.place, word, "action", ARGUMENTS)
        return ()
    if isinstance(entry.value, Items) and word in LADDERS:
        return _ladder(word, entry.value, faults)
    arguments = read_arguments(entry.value, f"the arguments of `{word}`", ARGUMENTS[word], faults)
    action = None if arguments is None else _READERS[word](arguments, entry.place, faults)
    return () if action is None else (action,)


def _ladder(word: str, tranches: Items, faults: Faults) -> tuple[StopLoss | TakeProfit, ...]:
    """A list of objects, a tranche each: no more than the whole position together."""
    if not 1 <= len(tranches.items) <= TRANCHES_MAX:
        faults.expected(
            tranches.place, f"{len(tranches.items)} tranches under `{word}`", f"from 1 to {TRANCHES_MAX} of them"
        )
        return ()
    read: list[StopLoss | TakeProfit] = []
    for number, item in enumerate(tranches.items):
        arguments = read_arguments(item, f"the arguments of one tranche of `{word}`", ARGUMENTS[word], faults)
        action = None if arguments is None else _READERS[word](arguments, item.place, faults)
        if isinstance(action, StopLoss | TakeProfit):
            read.append(replace(action, tranche=number))
    together = sum((action.size for action in read), Decimal(0))
    if together > _WHOLE:
        faults.expected(tranches.place, f"tranches of {together:%} together", "at most 100% of the position")
    return tuple(read)


def _stop_loss(arguments: Table, place: Place, faults: Faults) -> PolicyAction | None:
    triggers = _triggers(arguments, place, "stop_loss", faults)
    size = _tranche_size(arguments, faults)
    price_type = _word(arguments, "price_type", PriceType, PriceType.MARK, faults)
    if_passed = _word(arguments, "if_passed", IfPassed, IfPassed.NEXT, faults)
    on_unprotected = _word(arguments, "on_unprotected", OnUnprotected, OnUnprotected.ALERT, faults)
    if not triggers or size is None:
        return None
    return StopLoss(
        triggers=triggers, price_type=price_type, size=size, if_passed=if_passed, on_unprotected=on_unprotected
    )


def _take_profit(arguments: Table, place: Place, faults: Faults) -> PolicyAction | None:
    triggers = _triggers(arguments, place, "take_profit", faults)
    size = _tranche_size(arguments, faults)
    price_type = _word(arguments, "price_type", PriceType, PriceType.LAST, faults)
    return TakeProfit(triggers=triggers, price_type=price_type, size=size) if triggers and size else None


def _trail_stop(arguments: Table, place: Place, faults: Faults) -> PolicyAction | None:
    entry = arguments.entries.get("distance")
    if entry is None:
        faults.expected(place, "`trail_stop` without `distance`", "a share of the best mark such as distance: 2%")
        return None
    distance = read_number(entry.value, Unit.RATIO, faults)
    if distance is not None and not 0 < distance < 1:
        faults.expected(entry.value.place, str(distance), "a share between 0% and 100% of the best mark")
        return None
    price_type = _word(arguments, "price_type", PriceType, PriceType.MARK, faults)
    return None if distance is None else TrailStop(distance=distance, price_type=price_type)


def _reduce(arguments: Table, place: Place, faults: Faults) -> PolicyAction | None:
    by, until, at_most = (arguments.entries.get(name) for name in ("by", "until", "at_most"))
    if (by is None) == (until is None):
        faults.expected(place, "both `by` and `until`" if by else "neither `by` nor `until`", "exactly one of them")
        return None
    if by is not None:
        if at_most is not None:
            faults.expected(at_most.place, "`at_most` beside `by`", "it beside `until` only: `by` is its own cap")
        share = _share(by, faults)
        return None if share is None else ReduceBy(share=share)
    most = Decimal("0.5") if at_most is None else _share(at_most, faults)
    aim = None if until is None else _aim(until, SIZE_MOVES, "what a smaller position can change", faults)
    if aim is None or most is None:
        return None
    return ReduceUntil(metric=aim[0], target=aim[1], at_most=most, coin=aim[2])


def _aim(until: Entry, moves: frozenset[Metric], what: str, faults: Faults) -> tuple[Metric, Decimal, str] | None:
    """The metric, its aim and, of money, the coin.

    Aims are above zero, but for a loss: `unrealized_pnl: -50 USDT` is what may be left of one.
    """
    single = read_single(until.value, "a metric and its aim such as {distance_to_liquidation: 12%}", faults)
    if single is None:
        return None
    word, entry = single
    metric = read_metric(word, entry, faults)
    if metric is None:
        return None
    if metric not in moves:
        faults.expected(entry.place, shown(word), f"{what}: {', '.join(sorted(moves))}")
        return None
    figure = read_figure(entry.value, UNIT_OF[metric], faults)
    if figure is None:
        return None
    target, coin = figure
    if target == 0 or (target < 0 and metric is not Metric.UNREALIZED_PNL):
        faults.expected(entry.value.place, str(target), "an aim above zero")
        return None
    return metric, target, coin


def _set_leverage(arguments: Table, place: Place, faults: Faults) -> PolicyAction | None:
    entry = arguments.entries.get("to")
    if entry is None:
        faults.expected(place, "`set_leverage` without `to`", "a leverage such as to: 5")
        return None
    to = read_number(entry.value, Unit.NUMBER, faults)
    if to is not None and to < 1:
        faults.expected(entry.value.place, str(to), "a leverage of 1 or more")
        return None
    return None if to is None else LowerLeverage(to=to)


def _add_margin(arguments: Table, place: Place, faults: Faults) -> PolicyAction | None:
    amount, until, at_most = (arguments.entries.get(name) for name in ("amount", "until", "at_most"))
    if (amount is None) == (until is None):
        found = "both `amount` and `until`" if amount else "neither `amount` nor `until`"
        faults.expected(place, found, "exactly one of them")
        return None
    most = None if at_most is None else read_money(at_most.value, faults)
    if at_most is not None and most is None:
        return None
    if amount is not None:
        each = read_money(amount.value, faults)
        if each is None or (most is not None and _other_coin(each, most, amount, faults)):
            return None
        return AddMarginBy(amount=each[0], at_most=None if most is None else most[0], coin=each[1])
    aim = None if until is None else _aim(until, MARGIN_MOVES, "what more margin can change", faults)
    if most is None:
        faults.expected(place, "`add_margin` with `until` and without `at_most`", "a cap such as at_most: 200 USDT")
    return (
        None
        if aim is None or most is None
        else AddMarginUntil(metric=aim[0], target=aim[1], at_most=most[0], coin=most[1])
    )


def _other_coin(each: tuple[Decimal, str], most: tuple[Decimal, str], entry: Entry, faults: Faults) -> bool:
    if each[1] == most[1]:
        return False
    faults.expected(entry.value.place, f"{each[1]} in `amount` and {most[1]} in `at_most`", "one coin in both")
    return True


def _top_up(arguments: Table, place: Place, faults: Faults) -> PolicyAction | None:
    entry = arguments.entries.get("amount")
    if entry is None:
        faults.expected(place, "`top_up` without `amount`", "an amount such as amount: 100 USDT")
        return None
    money = read_money(entry.value, faults)
    return None if money is None else TopUp(amount=money[0], coin=money[1])


def _close(arguments: Table, place: Place, faults: Faults) -> PolicyAction:
    return CloseAll()


def _cancel_entries(arguments: Table, place: Place, faults: Faults) -> PolicyAction:
    return CancelEntering()


def _notify(arguments: Table, place: Place, faults: Faults) -> PolicyAction:
    return Notify(severity=_word(arguments, "severity", Severity, Severity.WARNING, faults))


_READERS: Final[Mapping[str, Callable[[Table, Place, Faults], PolicyAction | None]]] = {
    "stop_loss": _stop_loss,
    "take_profit": _take_profit,
    "trail_stop": _trail_stop,
    "reduce": _reduce,
    "close": _close,
    "set_leverage": _set_leverage,
    "add_margin": _add_margin,
    "top_up": _top_up,
    "cancel_entries": _cancel_entries,
    "notify": _notify,
}


def _word(arguments: Table, name: str, words: type[Word], default: Word, faults: Faults) -> Word:
    entry = arguments.entries.get(name)
    found = None if entry is None else read_word(entry.value, words, name, faults)
    return default if found is None else found


def _triggers(arguments: Table, place: Place, action: str, faults: Faults) -> tuple[Trigger, ...]:
    entry = arguments.entries.get("trigger")
    if entry is None:
        faults.expected(place, f"`{action}` without `trigger`", "a trigger such as {from_entry: -3%}")
        return ()
    values = entry.value.items if isinstance(entry.value, Items) else (entry.value,)
    if not values:
        faults.expected(entry.value.place, "an empty list", "at least one trigger")
    read = [_trigger(value, action, faults) for value in values]
    return tuple(trigger for trigger in read if trigger is not None)


def _trigger(value: Value, action: str, faults: Faults) -> Trigger | None:
    single = read_single(value, "a trigger such as {from_entry: -3%}", faults)
    if single is None:
        return None
    word, entry = single
    if word not in tuple(TriggerKind):
        faults.unknown(entry.place, word, "trigger", TriggerKind)
        return None
    kind = TriggerKind(word)
    number = read_number(entry.value, TRIGGER_UNIT[kind], faults)
    if number is None:
        return None
    wrong = _wrong_trigger(kind, number, action)
    if wrong:
        faults.expected(entry.value.place, f"`{word}: {number}`", wrong)
        return None
    return Trigger(kind=kind, value=number)


def _wrong_trigger(kind: TriggerKind, number: Decimal, action: str) -> str:
    """What was expected instead, for a trigger that could never rest as asked; empty when it could."""
    stop = action == "stop_loss"
    match kind:
        case TriggerKind.PRICE if number <= 0:
            return "a price above zero"
        case TriggerKind.LIQUIDATION_BUFFER if not stop:
            return "it under stop_loss only: a take-profit doesn't lie between liquidation and entry"
        case TriggerKind.LIQUIDATION_BUFFER if not 0 < number < 1:
            return "a share between 0% and 100% of the way from liquidation to entry"
        case TriggerKind.FROM_MARK if stop and not -1 < number < 0:
            return "a share between -100% and 0%: a stop lies against the position"
        case TriggerKind.FROM_ENTRY if stop and number <= -1:
            return "a share above -100%"
        case TriggerKind.FROM_ENTRY | TriggerKind.FROM_MARK if not stop and number <= 0:
            return "a share above 0%: a take-profit lies in the position's favour"
        case _:
            return ""


def _tranche_size(arguments: Table, faults: Faults) -> Decimal | None:
    entry = arguments.entries.get("size")
    return _WHOLE if entry is None else _share(entry, faults)


def _share(entry: Entry, faults: Faults) -> Decimal | None:
    share = read_number(entry.value, Unit.RATIO, faults)
    if share is not None and not 0 < share <= 1:
        faults.expected(entry.value.place, str(share), "a share above 0% and up to 100%")
        return None
    return share
