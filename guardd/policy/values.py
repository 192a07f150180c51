"""Numbers as a policy writes them: `8%` or `0.08`, `30s`, `5m`, `1h`, `100 USDT`.

A bare number where a unit is needed is an error.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from guardd.policy.language import Unit
from guardd.policy.nodes import Faults, Text, Value, described, shown

EXPECTED: Final[Mapping[Unit, str]] = {
    Unit.RATIO: "a ratio such as 8% or 0.08",
    Unit.MONEY: "an amount with its coin such as 100 USDT",
    Unit.NUMBER: "a number such as 10",
    Unit.DURATION: "a duration such as 30s, 5m or 1h",
    Unit.PRICE: "a price such as 64000",
    Unit.COUNT: "a whole number of 1 or more",
}
PATTERN: Final[Mapping[Unit, str]] = {
    Unit.RATIO: r"^[+-]?(\d+(\.\d+)?\s*%|0?\.\d+|0(\.\d+)?)$",
    Unit.MONEY: r"^[+-]?\d+(\.\d+)?\s*[A-Z][A-Z0-9]*$",
    Unit.NUMBER: r"^[+-]?\d+(\.\d+)?$",
    Unit.DURATION: r"^\d+(\.\d+)?\s*(ms|s|m|h)$",
    Unit.PRICE: r"^\d+(\.\d+)?$",
    Unit.COUNT: r"^[1-9]\d*$",
}
"""As regular expressions, shared with the JSON Schema."""
SETTLEMENT_COIN: Final = "USDT"
DIGITS_MAX: Final = 30
_SECONDS: Final[Mapping[str, Decimal]] = {
    "ms": Decimal("0.001"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
}
_NUMBER: Final = re.compile(r"^[+-]?(\d+(\.\d+)?|\.\d+)")


def read_number(value: Value, unit: Unit, faults: Faults) -> Decimal | None:
    """The number that stands there, in the unit's own measure; None with a fault recorded when it isn't one."""
    if not isinstance(value, Text) or value.null:
        faults.expected(value.place, described(value), EXPECTED[unit])
        return None
    text = value.value.strip()
    if not text.isascii() or re.fullmatch(PATTERN[unit], text) is None or len(text) > DIGITS_MAX:
        faults.expected(value.place, _named(text), EXPECTED[unit])
        return None
    figure = _NUMBER.match(text)
    if figure is None:
        faults.expected(value.place, _named(text), EXPECTED[unit])
        return None
    number, suffix = Decimal(figure.group()), text[figure.end() :].strip()
    match unit:
        case Unit.RATIO:
            return number / 100 if suffix else number
        case Unit.DURATION:
            return number * _SECONDS[suffix]
        case Unit.MONEY if suffix != SETTLEMENT_COIN:
            faults.expected(value.place, shown(text), f"an amount in {SETTLEMENT_COIN}")
            return None
        case _:
            return number


def read_figure(value: Value, unit: Unit, faults: Faults) -> tuple[Decimal, str] | None:
    """A number and, of money, its coin: which one a position settles in is known only when it is judged."""
    if unit is not Unit.MONEY:
        number = read_number(value, unit, faults)
        return None if number is None else (number, "")
    return _amount(value, faults)


def read_money(value: Value, faults: Faults) -> tuple[Decimal, str] | None:
    """An amount above zero that an action moves, and its coin: any, as the position's settlement coin is known only later."""
    found = _amount(value, faults)
    if found is not None and found[0] <= 0:
        faults.expected(value.place, described(value), "an amount above zero")
        return None
    return found


def _amount(value: Value, faults: Faults) -> tuple[Decimal, str] | None:
    text = value.value.strip() if isinstance(value, Text) and not value.null else None
    if text is None or len(text) > DIGITS_MAX or re.fullmatch(PATTERN[Unit.MONEY], text) is None:
        faults.expected(value.place, described(value) if text is None else _named(text), EXPECTED[Unit.MONEY])
        return None
    figure = _NUMBER.match(text)
    if figure is None:
        faults.expected(value.place, _named(text), EXPECTED[Unit.MONEY])
        return None
    return Decimal(figure.group()), text[figure.end() :].strip()


def _named(text: str) -> str:
    bare = re.fullmatch(PATTERN[Unit.NUMBER], text) is not None
    return f"the bare number {shown(text)}" if bare else shown(text)
