"""Policies that are a little wrong: each number of the file shifted down and up, each rule and each action left out.

A file of cases that lets one of them pass doesn't hold that number, rule or action to anything.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Final

from msgspec import Struct, structs

from guardd.errors import ConfigurationError
from guardd.model.names import RuleName
from guardd.policy.explain import action_text
from guardd.policy.language import DELEVERS, CloseAll, Policy, PolicyRule
from guardd.policy.load import load_policy
from guardd.policy.nodes import Entry, Faults, Items, Place, Table, Text, Value, read_nodes

SHIFTS: Final = (Decimal("0.9"), Decimal("1.1"))
"""Ratios, prices, money and other numbers: a tenth less, a tenth more."""
SPANS: Final = (Decimal("0.5"), Decimal(2))
"""Durations: half, double. Less than the guard's own pulse would change nothing."""
ZERO_SHIFTS: Final = (Decimal("-0.01"), Decimal("0.01"))
"""A ratio of nothing (`below: 0%`) is shifted by a percent."""
LONGER_S: Final = 5.0
"""What a rule without `for` is given."""
RULE_PARTS: Final = ("when", "for", "cooldown", "then")
NOT_SHIFTED: Final = frozenset({"orders_per_minute"})
"""Thirty orders a minute hold back a guard that went mad; no case of a sound policy gets there."""
_QUANTITY: Final = re.compile(r"(?P<number>[+-]?(?:\d+(?:\.\d+)?|\.\d+))(?P<unit>\s*(?:%|ms|s|m|h|[A-Z][A-Z0-9]*)?)")
_BEFORE: Final = re.compile(r"(&\S+\s+)?[\"']?")
"""An anchor and an opening quote."""
_DURATION_UNITS: Final = frozenset({"ms", "s", "m", "h"})


class Mutant(Struct, frozen=True, kw_only=True):
    """A policy with one thing changed: where, and what in words. `rule` None: a limit."""

    place: Place
    rule: RuleName | None
    what: str
    policy: Policy


def mutants(text: str, policy: Policy) -> tuple[Mutant, ...]:
    """Every mutant of `policy`, which was read from `text`; a change that makes no policy is left out."""
    root = read_nodes(text, Faults(policy.source))
    if not isinstance(root, Table):
        return ()
    found = [*_shifted(root, text, policy), *_without(policy, root)]
    return tuple(sorted(found, key=lambda mutant: (mutant.place, mutant.what)))


# Numbers


def _shifted(root: Table, text: str, policy: Policy) -> Iterator[Mutant]:
    lines, seen = text.splitlines(keepends=True), set[Place]()
    for name, scalar in _scalars(root):
        if scalar.place in seen:
            continue
        seen.add(scalar.place)
        for shifted in _shifts(scalar.value):
            changed = _replaced(lines, scalar, shifted)
            mutated = None if changed is None else _read(changed, policy.source)
            if mutated is not None and mutated.digest != policy.digest:
                what = f"{name}: {scalar.value} → {shifted}"
                rule = next((rule.name for rule in policy.rules if rule.name == name.partition(".")[0]), None)
                yield Mutant(place=scalar.place, rule=rule, what=what, policy=mutated)


def _scalars(root: Table) -> Iterator[tuple[str, Text]]:
    """Every text that may be a number with a meaning, with the way to it in words."""
    limits = root.entries.get("limits")
    if limits is not None:
        yield from _below(limits.value, "limits")
    rules = root.entries.get("rules")
    for value in rules.value.items if rules is not None and isinstance(rules.value, Items) else ():
        if not isinstance(value, Table):
            continue
        name = value.entries.get("name")
        named = name.value.value if name is not None and isinstance(name.value, Text) else ""
        for part in RULE_PARTS:
            if part in value.entries:
                yield from _below(value.entries[part].value, f"{named}.{part}")


def _below(value: Value, way: str) -> Iterator[tuple[str, Text]]:
    match value:
        case Text():
            yield way, value
        case Items():
            for item in value.items:
                yield from _below(item, way)
        case Table():
            for key, entry in value.entries.items():
                if key not in NOT_SHIFTED:
                    yield from _below(entry.value, f"{way}.{key}")


def _shifts(written: str) -> tuple[str, ...]:
    found = _QUANTITY.fullmatch(written.strip())
    if found is None:
        return ()
    number, unit = Decimal(found["number"]), found["unit"]
    if number == 0:
        return tuple(f"{_plain(shift * 100)}%" for shift in ZERO_SHIFTS) if unit.strip() == "%" else ()
    factors = SPANS if unit.strip() in _DURATION_UNITS else SHIFTS
    return tuple(f"{_plain(number * factor)}{unit}" for factor in factors)


def _replaced(lines: list[str], scalar: Text, shifted: str) -> str | None:
    """The file with this text in place of that; None where it isn't written as one plain or quoted word there."""
    line, column = scalar.place.line - 1, scalar.place.column - 1
    before = _BEFORE.match(lines[line], column)
    column = column if before is None else before.end()
    if not lines[line].startswith(scalar.value, column):
        return None
    changed = lines[line][:column] + shifted + lines[line][column + len(scalar.value) :]
    return "".join([*lines[:line], changed, *lines[line + 1 :]])


def _read(text: str, source: str) -> Policy | None:
    try:
        return load_policy(text, source=source)
    except ConfigurationError:
        return None


def _plain(number: Decimal) -> str:
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


# What is left out


def _without(policy: Policy, root: Table) -> Iterator[Mutant]:
    places = _rule_places(root)
    for index, rule in enumerate(policy.rules):
        place = places.get(rule.name, Place(max(rule.line, 1), 1))
        rest = (*policy.rules[:index], *policy.rules[index + 1 :])
        yield Mutant(place=place, rule=rule.name, what=f"{rule.name}: left out", policy=replace(policy, rules=rest))
        yield from _without_actions(policy, index, rule, place)
        yield from _unwritten(policy, index, rule, place)


def _unwritten(policy: Policy, index: int, rule: PolicyRule, place: Place) -> Iterator[Mutant]:
    """The defaults that a rule goes by without saying so: no `for`, and half a minute between two steps."""
    written = {path[2] for path in policy.places if path[:2] == ("rules", index) and len(path) > 2}
    if "for" not in written and rule.when is not None:
        yield _instead(policy, index, structs.replace(rule, hold_s=LONGER_S), place, f"for: 0s → {LONGER_S:g}s")
    steps = any(isinstance(action, DELEVERS) and not isinstance(action, CloseAll) for action in rule.then)
    if "cooldown" not in written and steps:
        for cooldown_s in (rule.cooldown_s / 2, rule.cooldown_s * 2):
            what = f"cooldown: {rule.cooldown_s:g}s → {cooldown_s:g}s"
            yield _instead(policy, index, structs.replace(rule, cooldown_s=cooldown_s), place, what)


def _instead(policy: Policy, index: int, rule: PolicyRule, place: Place, what: str) -> Mutant:
    rules = (*policy.rules[:index], rule, *policy.rules[index + 1 :])
    named = f"{rule.name}: {what}"
    return Mutant(place=place, rule=rule.name, what=named, policy=replace(policy, rules=rules))


def _without_actions(policy: Policy, index: int, rule: PolicyRule, place: Place) -> Iterator[Mutant]:
    if len(rule.then) < 2:
        return
    for number, action in enumerate(rule.then):
        changed = structs.replace(rule, then=(*rule.then[:number], *rule.then[number + 1 :]))
        yield _instead(policy, index, changed, place, f"without its action {number + 1} ({action_text(action)})")


def _rule_places(root: Table) -> dict[str, Place]:
    entry: Entry | None = root.entries.get("rules")
    found: dict[str, Place] = {}
    for value in entry.value.items if entry is not None and isinstance(entry.value, Items) else ():
        name = value.entries.get("name") if isinstance(value, Table) else None
        if name is not None and isinstance(name.value, Text):
            found[name.value.value] = value.place
    return found
