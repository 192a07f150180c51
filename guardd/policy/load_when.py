"""Reading `when`: comparisons of metrics with values, joined by `all`, `any` and `not`."""

from typing import Final

from guardd.policy.grammar import read_items, read_single
from guardd.policy.language import UNIT_OF, AllOf, AnyOf, Compare, Condition, Metric, Not, Sense
from guardd.policy.nodes import Entry, Faults, Value
from guardd.policy.values import read_figure

LOGIC: Final = ("all", "any", "not")
DEPTH_MAX: Final = 20
"""Conditions within conditions."""
_CONDITION: Final = "a condition such as {distance_to_liquidation: {below: 8%}} or {any: [...]}"


def read_condition(value: Value, faults: Faults, depth: int = 0) -> Condition | None:
    """The condition that stands there; None with a fault recorded when it isn't one."""
    if depth > DEPTH_MAX:
        faults.add(value.place, f"conditions within conditions, more than {DEPTH_MAX} deep")
        return None
    single = read_single(value, _CONDITION, faults)
    if single is None:
        return None
    word, entry = single
    if word in ("all", "any"):
        parts = read_items(entry.value, f"a list of conditions under `{word}`", faults)
        read = [read_condition(part, faults, depth + 1) for part in parts or ()]
        known = tuple(part for part in read if part is not None)
        if not known or len(known) < len(read):
            return None
        return AllOf(parts=known) if word == "all" else AnyOf(parts=known)
    if word == "not":
        part = read_condition(entry.value, faults, depth + 1)
        return None if part is None else Not(part=part)
    return _comparison(word, entry, faults)


def read_metric(word: str, entry: Entry, faults: Faults) -> Metric | None:
    if word not in tuple(Metric):
        faults.unknown(entry.place, word, "metric", (*Metric, *LOGIC))
        return None
    return Metric(word)


def _comparison(word: str, entry: Entry, faults: Faults) -> Condition | None:
    metric = read_metric(word, entry, faults)
    if metric is None:
        return None
    single = read_single(entry.value, f"{{below: V}} or {{above: V}} under `{word}`", faults)
    if single is None:
        return None
    sense, threshold = single
    if sense not in tuple(Sense):
        faults.unknown(threshold.place, sense, "comparison", Sense)
        return None
    figure = read_figure(threshold.value, UNIT_OF[metric], faults)
    if figure is None:
        return None
    return Compare(metric=metric, sense=Sense(sense), threshold=figure[0], coin=figure[1])
