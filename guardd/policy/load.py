"""From a policy's text to a `Policy`, or to one error that names everything that is wrong with it.

A policy is refused whole (interfaces.md 2.1): nothing of it is used while a part of it isn't understood.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final, TypeVar

from guardd.model.names import MarginMode, RuleName, Side
from guardd.policy.grammar import read_items, read_table, read_text, read_word
from guardd.policy.language import (
    STRENGTHENS,
    Condition,
    Limits,
    Match,
    Metric,
    Policy,
    PolicyAction,
    PolicyRule,
    ReduceUntil,
    Unit,
    WhenBlind,
    compares,
)
from guardd.policy.load_then import read_actions
from guardd.policy.load_when import read_condition
from guardd.policy.nodes import Entry, Faults, Items, Place, Table, Text, Value, described, places_of, read_nodes, shown
from guardd.policy.values import read_number

VERSION: Final = "1"
TOP_KEYS: Final = ("version", "limits", "rules")
LIMIT_UNITS: Final[Mapping[str, Unit]] = {
    "orders_per_minute": Unit.COUNT,
    "reduce_per_hour": Unit.RATIO,
    "top_up_per_day": Unit.MONEY,
    "stale_after": Unit.DURATION,
}
RULE_KEYS: Final = ("name", "match", "when", "for", "cooldown", "when_blind", "then")
MATCH_KEYS: Final = ("account", "venue", "symbol", "side", "margin_mode")
RULE_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,63}"
DEFAULT_COOLDOWN_S: Final = 30.0
RULES_MAX: Final = 500
Chosen = TypeVar("Chosen")
_NO_TABLE: Final = Table(place=Place(1, 1), entries={})


def load_policy(text: str, *, source: str) -> Policy:
    """The policy in `text`; `source` is its file's name for people.

    Raises `ConfigurationError` with one line `source:line:column: found …, expected …` for each fault of the file.
    """
    faults = Faults(source)
    root = read_nodes(text, faults)
    policy = None if root is None else _policy(root, source, faults)
    if policy is None or not faults.empty:
        raise faults.error()
    return policy


def _policy(root: Value, source: str, faults: Faults) -> Policy | None:
    table = read_table(root, "a policy with version, limits and rules", TOP_KEYS, faults)
    if table is None:
        return None
    version = table.entries.get("version")
    if version is None:
        faults.expected(table.place, "no `version`", "version: 1")
    elif not isinstance(version.value, Text) or version.value.value != VERSION:
        faults.expected(version.value.place, described(version.value), "version 1")
    limits = _limits(table.entries.get("limits"), faults)
    rules = _rules(table, faults)
    return Policy(version=int(VERSION), limits=limits, rules=rules, source=source, places=places_of(root))


def _limits(entry: Entry | None, faults: Faults) -> Limits:
    default = Limits()
    table = None if entry is None else read_table(entry.value, "the limits as a mapping", tuple(LIMIT_UNITS), faults)
    if table is None:
        return default
    read: dict[str, Decimal] = {}
    for name, unit in LIMIT_UNITS.items():
        each = table.entries.get(name)
        number = None if each is None else read_number(each.value, unit, faults)
        if each is not None and number is not None and (number < 0 or (name == "stale_after" and number == 0)):
            faults.expected(each.value.place, str(number), "a limit above zero")
        elif number is not None:
            read[name] = number
    return Limits(
        orders_per_minute=int(read.get("orders_per_minute", default.orders_per_minute)),
        reduce_per_hour=read.get("reduce_per_hour", default.reduce_per_hour),
        top_up_per_day=read.get("top_up_per_day", default.top_up_per_day),
        stale_after_s=float(read.get("stale_after", default.stale_after_s)),
    )


def _rules(table: Table, faults: Faults) -> tuple[PolicyRule, ...]:
    entry = table.entries.get("rules")
    if entry is None:
        faults.expected(table.place, "no `rules`", "a list of rules")
        return ()
    items = read_items(entry.value, "a list of rules", faults) or ()
    if len(items) > RULES_MAX:
        faults.expected(entry.place, f"{len(items)} rules", f"at most {RULES_MAX}")
        return ()
    rules: list[PolicyRule] = []
    first: dict[str, Place] = {}
    for item in items:
        rule = _rule(item, first, faults)
        if rule is not None:
            rules.append(rule)
    return tuple(rules)


def _rule(value: Value, first: dict[str, Place], faults: Faults) -> PolicyRule | None:
    table = read_table(value, "a rule with name, match, when and then", RULE_KEYS, faults)
    if table is None:
        return None
    name = _name(table, first, faults)
    match = _match(table.entries.get("match"), faults)
    when_entry = table.entries.get("when")
    when = None if when_entry is None else read_condition(when_entry.value, faults)
    blind_entry = table.entries.get("when_blind")
    blind = None if blind_entry is None else read_word(blind_entry.value, WhenBlind, "when_blind", faults)
    rule = PolicyRule(
        name=RuleName(name),
        match=match,
        when=when,
        hold_s=_seconds(table.entries.get("for"), 0.0, faults),
        cooldown_s=_seconds(table.entries.get("cooldown"), DEFAULT_COOLDOWN_S, faults),
        when_blind=blind or WhenBlind.HOLD,
        then=_then(table, faults),
        line=table.place.line,
    )
    if rule.delevers and when_entry is None:
        does = "reduces or closes" if rule.reduces else "lowers leverage or moves money"
        faults.add(table.place, f"rule {shown(name)} {does} without `when`: it would do so at once and for ever")
    if blind is WhenBlind.ACT and blind_entry is not None:
        _check_blind(rule, when, blind_entry.place, faults)
    return rule


def _name(table: Table, first: dict[str, Place], faults: Faults) -> str:
    entry = table.entries.get("name")
    if entry is None:
        faults.expected(table.place, "a rule without `name`", "name: some-name")
        return ""
    name = read_text(entry.value, "a name", faults)
    if name is None:
        return ""
    if re.fullmatch(RULE_NAME, name) is None:
        faults.expected(
            entry.value.place, shown(name), "up to 64 letters, digits, spaces, dots, dashes and underscores"
        )
    elif name in first:
        faults.add(
            entry.value.place, f"found the rule name {shown(name)} a second time, it stands in line {first[name].line}"
        )
    first.setdefault(name, entry.value.place)
    return name


def _match(entry: Entry | None, faults: Faults) -> Match:
    table = _NO_TABLE if entry is None else read_table(entry.value, "what the rule is about", MATCH_KEYS, faults)
    if table is None:
        return Match()
    found = table.entries
    account, venue = (
        read_text(found[key].value, f"the name of the {key}", faults) if key in found else None
        for key in ("account", "venue")
    )
    return Match(
        account=account,
        venue=venue,
        symbols=_symbols(found["symbol"], faults) if "symbol" in found else ("*",),
        side=_or_any(found.get("side"), {str(side): side for side in Side}, "side", faults),
        margin_mode=_or_any(found.get("margin_mode"), {str(mode): mode for mode in MarginMode}, "margin_mode", faults),
    )


def _or_any(entry: Entry | None, known: Mapping[str, Chosen], kind: str, faults: Faults) -> Chosen | None:
    """One of the words, or None for `any` and where nothing stands."""
    text = None if entry is None else read_text(entry.value, f"one of {', '.join(known)}, any", faults)
    if entry is not None and text is not None and text not in known and text != "any":
        faults.unknown(entry.value.place, text, kind, (*known, "any"))
    return None if text is None else known.get(text)


def _symbols(entry: Entry, faults: Faults) -> tuple[str, ...]:
    values = entry.value.items if isinstance(entry.value, Items) else (entry.value,)
    if not values:
        faults.expected(entry.value.place, "an empty list", 'a symbol, a pattern such as "BTC*", or a list of them')
    read = [read_text(value, 'a symbol or a pattern such as "BTC*"', faults) for value in values]
    return tuple(symbol for symbol in read if symbol is not None)


def _then(table: Table, faults: Faults) -> tuple[PolicyAction, ...]:
    entry = table.entries.get("then")
    if entry is None:
        faults.expected(table.place, "a rule without `then`", "a list of actions such as then: [close: {}]")
        return ()
    items = read_items(entry.value, "a list of actions such as [close: {}]", faults) or ()
    return tuple(action for item in items for action in read_actions(item, faults))


def _seconds(entry: Entry | None, default_s: float, faults: Faults) -> float:
    number = None if entry is None else read_number(entry.value, Unit.DURATION, faults)
    if number is None:
        return default_s
    return float(number)


def _check_blind(rule: PolicyRule, when: Condition | None, place: Place, faults: Faults) -> None:
    if when is None or all(compare.metric is not Metric.DATA_AGE for compare in compares(when)):
        faults.expected(place, "`when_blind: act` alone", "a `data_age` condition beside it in `when`")
    if any(isinstance(action, ReduceUntil) for action in rule.then):
        faults.expected(
            place, "`when_blind: act` with `reduce: {until: …}`", "`reduce: {by: …}` or `close`: sizes need fresh data"
        )
    if any(isinstance(action, STRENGTHENS) for action in rule.then):
        expected = "`reduce: {by: …}` or `close`: what leverage and margin do is reckoned from fresh data"
        faults.expected(place, "`when_blind: act` with a leverage or margin action", expected)
