"""The JSON Schema of a policy, for editors: generated from the same tables that `load` reads by."""

from collections.abc import Mapping
from typing import Final, TypeAlias

from guardd.model.decision import IfPassed, OnUnprotected
from guardd.model.names import MarginMode, PriceType, Severity, Side
from guardd.policy.language import (
    MARGIN_MOVES,
    SIZE_MOVES,
    TRIGGER_UNIT,
    UNIT_OF,
    Metric,
    Sense,
    TriggerKind,
    Unit,
    WhenBlind,
)
from guardd.policy.load import LIMIT_UNITS, MATCH_KEYS, RULE_KEYS, RULE_NAME, TOP_KEYS, VERSION
from guardd.policy.load_then import ARGUMENTS, LADDERS, TRANCHES_MAX
from guardd.policy.values import EXPECTED, PATTERN

Json: TypeAlias = "str | int | bool | list[Json] | dict[str, Json] | None"
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def policy_schema() -> dict[str, Json]:
    """The schema of `config/policy.yaml`. What it accepts `load_policy` may still refuse: it sees more than shapes."""
    return {
        "$schema": DIALECT,
        "title": "guardd policy",
        **_mapping(
            {
                "version": {"const": int(VERSION)},
                "limits": _mapping({name: _number(unit) for name, unit in LIMIT_UNITS.items()}),
                "rules": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/rule"}},
            },
            TOP_KEYS,
            required=["version", "rules"],
        ),
        "$defs": {"rule": _rule(), "condition": _condition(), "action": _action(), "trigger": _trigger()},
    }


def _rule() -> dict[str, Json]:
    return _mapping(
        {
            "name": {"type": "string", "pattern": f"^{RULE_NAME}$"},
            "match": _match(),
            "when": {"$ref": "#/$defs/condition", "description": "absent: always"},
            "for": _number(Unit.DURATION),
            "cooldown": _number(Unit.DURATION),
            "when_blind": _words(WhenBlind),
            "then": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/action"}},
        },
        RULE_KEYS,
        required=["name", "then"],
    )


def _match() -> dict[str, Json]:
    text: dict[str, Json] = {"type": "string", "minLength": 1}
    return _mapping(
        {
            "account": text,
            "venue": text,
            "symbol": _or_list(text),
            "side": {"enum": [*(str(side) for side in Side), "any"]},
            "margin_mode": {"enum": [*(str(mode) for mode in MarginMode), "any"]},
        },
        MATCH_KEYS,
    )


def _condition() -> dict[str, Json]:
    many: dict[str, Json] = {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/condition"}}
    metrics: dict[str, Json] = {
        str(metric): _one_key({str(sense): _number(UNIT_OF[metric]) for sense in Sense}) for metric in Metric
    }
    return _one_key({"all": many, "any": many, "not": {"$ref": "#/$defs/condition"}, **metrics})


def _action() -> dict[str, Json]:
    trigger = _or_list({"$ref": "#/$defs/trigger"})
    arguments: Mapping[str, dict[str, Json]] = {
        "trigger": trigger,
        "price_type": _words(PriceType),
        "size": _number(Unit.RATIO),
        "distance": _number(Unit.RATIO),
        "if_passed": _words(IfPassed),
        "on_unprotected": _words(OnUnprotected),
        "by": _number(Unit.RATIO),
        "until": _one_key({str(metric): _number(UNIT_OF[metric]) for metric in Metric if metric in SIZE_MOVES}),
        "at_most": _number(Unit.RATIO),
        "severity": _words(Severity),
        "to": _number(Unit.NUMBER),
        "amount": _number(Unit.MONEY),
    }
    margin_aims: dict[str, Json] = {
        str(metric): _number(UNIT_OF[metric]) for metric in Metric if metric in MARGIN_MOVES
    }
    of_margin = {"at_most": _number(Unit.MONEY), "until": _one_key(margin_aims)}
    needed = {
        "stop_loss": ["trigger"],
        "take_profit": ["trigger"],
        "trail_stop": ["distance"],
        "set_leverage": ["to"],
        "top_up": ["amount"],
        "reduce": [],
        "add_margin": [],
    }
    actions: dict[str, Json] = {}
    for action, names in ARGUMENTS.items():
        known = {**arguments, **of_margin} if action == "add_margin" else arguments
        shape = _mapping({name: known[name] for name in names}, names, required=needed.get(action, []))
        shape["type"] = "object" if action in needed else ["object", "null"]
        actions[action] = _ladder(shape) if action in LADDERS else shape
    return _one_key(actions)


def _ladder(tranche: dict[str, Json]) -> dict[str, Json]:
    return {"anyOf": [tranche, {"type": "array", "minItems": 1, "maxItems": TRANCHES_MAX, "items": tranche}]}


def _trigger() -> dict[str, Json]:
    return _one_key({str(kind): _number(TRIGGER_UNIT[kind]) for kind in TriggerKind})


def _number(unit: Unit) -> dict[str, Json]:
    """A number with its unit: text that fits the loader's own pattern, and bare where the unit needs no suffix."""
    text: Json = {"type": "string", "pattern": PATTERN[unit]}
    match unit:
        case Unit.RATIO:
            bare: Json = {"type": "number", "exclusiveMinimum": -1, "exclusiveMaximum": 1}
        case Unit.COUNT:
            bare = {"type": "integer", "minimum": 1}
        case Unit.NUMBER | Unit.PRICE:
            bare = {"type": "number"}
        case Unit.MONEY | Unit.DURATION:
            return {"type": "string", "pattern": PATTERN[unit], "description": EXPECTED[unit]}
    return {"anyOf": [text, bare], "description": EXPECTED[unit]}


def _words(
    words: type[WhenBlind] | type[PriceType] | type[IfPassed] | type[OnUnprotected] | type[Severity],
) -> dict[str, Json]:
    return {"enum": [str(word) for word in words]}


def _or_list(item: dict[str, Json]) -> dict[str, Json]:
    return {"anyOf": [item, {"type": "array", "minItems": 1, "items": item}]}


def _one_key(properties: dict[str, Json]) -> dict[str, Json]:
    return {**_mapping(properties, tuple(properties)), "minProperties": 1, "maxProperties": 1}


def _mapping(
    properties: Mapping[str, Json], keys: tuple[str, ...] | None = None, *, required: list[str] | None = None
) -> dict[str, Json]:
    """A mapping with exactly these keys: those that the loader knows."""
    if keys is not None and set(keys) != set(properties):
        raise ValueError(f"the schema describes {sorted(properties)}, the loader reads {sorted(keys)}")
    shape: dict[str, Json] = {"type": "object", "additionalProperties": False, "properties": dict(properties)}
    if required:
        shape["required"] = list(required)
    return shape
