"""The JSON Schema of a file of cases, for editors: from the same tables that `load` reads by."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from guardd.model.names import MarginMode, PositionMode, Severity, Side
from guardd.policy.cases.language import TrackKind, Trouble, VenueKind
from guardd.policy.cases.load import (
    ACTIONS,
    CASE_KEYS,
    DECISION_KEYS,
    ENTERING_KEYS,
    EXPECTED_KEYS,
    FIGURE_UNITS,
    FILE_KEYS,
    HOLDING_KEYS,
    LISTING_KEYS,
    OWNER_KEYS,
    TELLING_KEYS,
    TIER_KEYS,
    VERSION,
)
from guardd.policy.cases.notation import PATTERN as SAMPLES
from guardd.policy.language import Unit
from guardd.policy.schema import DIALECT, Json
from guardd.policy.values import EXPECTED, PATTERN

_SYMBOL: Final[Json] = {"type": "string", "minLength": 1}


def cases_schema() -> dict[str, Json]:
    """The schema of a file of cases. What it accepts `load_cases` may still refuse: it sees more than shapes."""
    whole: dict[str, Json] = {
        "version": {"const": int(VERSION)},
        "policy": _text("the policy's file, relative to this one"),
        "interval": _number(Unit.DURATION, "the length of a step; default 1s"),
        "start": _number(Unit.DURATION, "after 00:00 UTC; default 12h"),
        "instruments": {"type": "object", "minProperties": 1, "additionalProperties": _listing()},
        "account": {"$ref": "#/$defs/account"},
        "cases": _list({"$ref": "#/$defs/case"}),
    }
    return {
        "$schema": DIALECT,
        "title": "guardd policy cases",
        **_mapping(whole, FILE_KEYS, required=["version", "instruments", "cases"]),
        "$defs": {"account": _account(), "case": _case(), "series": _series(), "expected": _expected()},
    }


def _listing() -> Json:
    tier = {
        "up_to": _number(Unit.MONEY, "the notional up to which it holds"),
        "maintenance": _number(Unit.RATIO, "maintenance margin as a share of the notional"),
        "max_leverage": _number(Unit.NUMBER),
    }
    listing = {
        "tick": _number(Unit.PRICE, "the smallest step of the price"),
        "step": _number(Unit.NUMBER, "the smallest step of a size, in contracts; default 1"),
        "contract_size": _number(Unit.NUMBER, "base coin in a contract; default 1"),
        "min_size": _number(Unit.NUMBER, "the smallest order; default one step"),
        "max_market_size": _number(Unit.NUMBER, "the largest market order; default: no bound"),
        "taker_fee": _number(Unit.RATIO, "default 0.06%"),
        "tiers": _list(_mapping(tier, TIER_KEYS, required=list(TIER_KEYS))),
    }
    return _mapping(listing, LISTING_KEYS, required=["tick", "tiers"])


def _account() -> Json:
    account = {
        "name": _text("default: main"),
        "venue": _words(VenueKind),
        "equity": _number(Unit.MONEY, "what it is worth at the first prices"),
        "spot": _number(Unit.MONEY, "in the spot wallet; default nothing"),
        "margin_mode": _words(MarginMode),
        "position_mode": _words(PositionMode),
        "leverage": _number(Unit.NUMBER, "where a position says none; default 10"),
    }
    return _mapping(account, OWNER_KEYS)


def _case() -> Json:
    held = {
        "symbol": _SYMBOL,
        "side": _words(Side),
        "quantity": _number(Unit.NUMBER, "contracts"),
        "entry": _number(Unit.PRICE),
        "margin_mode": _words(MarginMode),
        "leverage": _number(Unit.NUMBER),
        "margin": _number(Unit.MONEY, "isolated: what is assigned to it"),
        "opens": _number(Unit.DURATION, "default: it is held from the start"),
    }
    entry = {
        "symbol": _SYMBOL,
        "side": _words(Side),
        "price": _number(Unit.PRICE),
        "quantity": _number(Unit.NUMBER, "contracts"),
        "placed": _number(Unit.DURATION, "default: it rests from the start"),
    }
    at = {"at": _number(Unit.DURATION, "the step in which it must come"), "expect": _list({"$ref": "#/$defs/expected"})}
    case: dict[str, Json] = {
        "name": _text("what it shows"),
        "interval": _number(Unit.DURATION),
        "start": _number(Unit.DURATION),
        "lasts": _number(Unit.DURATION, "default: to the end of its series and decisions"),
        "account": {"$ref": "#/$defs/account"},
        "positions": _list(_mapping(held, HOLDING_KEYS, required=["symbol", "side", "quantity", "entry"])),
        "orders": _list(_mapping(entry, ENTERING_KEYS, required=["symbol", "side", "price", "quantity"])),
        "series": _list({"$ref": "#/$defs/series"}),
        "decisions": _list(_mapping(at, DECISION_KEYS, required=list(DECISION_KEYS))),
    }
    return _mapping(case, CASE_KEYS, required=["name"])


def _series() -> Json:
    names: dict[str, Json] = {
        str(kind): _words(Trouble) if kind is TrackKind.FAULT else dict(_text("a symbol or a coin"))
        for kind in TrackKind
    }
    number: Json = {"type": "number"}
    values: Json = {
        "anyOf": [{"type": "string", "pattern": SAMPLES}, number],
        "description": "90000 90100-50x20 _x5 stale",
    }
    shape = _mapping({**names, "values": values}, (*TrackKind, "values"), required=["values"])
    return {**shape, "minProperties": 2, "maxProperties": 2}


def _expected() -> Json:
    figures: dict[str, Json] = {name: _number(unit) for name, unit in FIGURE_UNITS.items()}
    decision: dict[str, Json] = {
        "rule": _text("the rule's name"),
        "action": {"enum": list(ACTIONS)},
        "symbol": _SYMBOL,
        "side": _words(Side),
        "severity": _words(Severity),
        **figures,
    }
    telling = {"told": _text("words that people must be told"), "severity": _words(Severity)}
    return {
        "anyOf": [
            _mapping(decision, EXPECTED_KEYS, required=["action"]),
            _mapping(telling, TELLING_KEYS, required=["told"]),
        ]
    }


def _number(unit: Unit, description: str = "") -> Json:
    """As text with its unit, or bare where the unit needs none."""
    text: Json = {"type": "string", "pattern": PATTERN[unit]}
    said = description or EXPECTED[unit]
    if unit in (Unit.MONEY, Unit.DURATION):
        return {"type": "string", "pattern": PATTERN[unit], "description": said}
    bare: Json = (
        {"type": "number", "exclusiveMinimum": -1, "exclusiveMaximum": 1} if unit is Unit.RATIO else {"type": "number"}
    )
    return {"anyOf": [text, bare], "description": said}


def _text(description: str) -> dict[str, Json]:
    return {"type": "string", "minLength": 1, "description": description}


def _words(words: type[StrEnum]) -> Json:
    return {"enum": [str(word) for word in words]}


def _list(item: Json) -> Json:
    return {"type": "array", "minItems": 1, "items": item}


def _mapping(
    properties: Mapping[str, Json], keys: tuple[str, ...], *, required: list[str] | None = None
) -> dict[str, Json]:
    """A mapping with exactly the keys that `load` reads."""
    if set(keys) != set(properties):
        raise ValueError(f"the schema describes {sorted(properties)}, the loader reads {sorted(keys)}")
    shape: dict[str, Json] = {"type": "object", "additionalProperties": False, "properties": dict(properties)}
    if required:
        shape["required"] = list(required)
    return shape
