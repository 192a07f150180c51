"""The simulator's values as JSON and back, for the control routes. Decimals travel as strings."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import TypeVar

from msgspec import Struct

Word = TypeVar("Word", bound=StrEnum)


class Malformed(ValueError):
    """A control request that says something else than it should; the text names the field and what was expected."""


def as_json(value: object) -> object:
    """Structs and dataclasses become objects, decimals and enums strings; anything else must be JSON already."""
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Struct):
        return {name: as_json(getattr(value, name)) for name in value.__struct_fields__}
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: as_json(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): as_json(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_json(each) for each in value]
    return value


class Fields:
    """The JSON object of a control request. Every reader raises Malformed on a wrong or missing value."""

    def __init__(self, parsed: object) -> None:
        if not isinstance(parsed, dict):
            raise Malformed("the body must be a JSON object")
        self._fields: dict[str, object] = parsed

    def has(self, name: str) -> bool:
        return self._fields.get(name) is not None

    def text(self, name: str, default: str | None = None) -> str:
        value = self._fields.get(name, default)
        if not isinstance(value, str):
            raise Malformed(f"{name}: found {value!r}, expected text")
        return value

    def integer(self, name: str, default: int | None = None) -> int:
        value = self._fields.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool):
            raise Malformed(f"{name}: found {value!r}, expected an integer")
        return value

    def optional_integer(self, name: str) -> int | None:
        return self.integer(name) if self.has(name) else None

    def share(self, name: str, default: float) -> float:
        """A number from 0 to 1."""
        value = self._fields.get(name, default)
        if not isinstance(value, int | float) or not 0 <= value <= 1:
            raise Malformed(f"{name}: found {value!r}, expected a number from 0 to 1")
        return float(value)

    def flag(self, name: str, *, default: bool = False) -> bool:
        value = self._fields.get(name, default)
        if not isinstance(value, bool):
            raise Malformed(f"{name}: found {value!r}, expected true or false")
        return value

    def decimal(self, name: str) -> Decimal:
        """A decimal string, or an integer."""
        return _decimal(name, self._fields.get(name))

    def optional_decimal(self, name: str) -> Decimal | None:
        return self.decimal(name) if self.has(name) else None

    def amounts(self, name: str) -> dict[str, Decimal]:
        """{coin: amount}; missing is empty."""
        value = self._fields.get(name) or {}
        if not isinstance(value, dict):
            raise Malformed(f"{name}: found {value!r}, expected an object of amounts by coin")
        return {str(coin): _decimal(f"{name}.{coin}", each) for coin, each in value.items()}

    def word(self, name: str, kind: type[Word], default: Word | None = None) -> Word:
        value = self._fields.get(name, default)
        try:
            return kind(value)  # type: ignore[arg-type]
        except ValueError as error:
            expected = ", ".join(each.value for each in kind)
            raise Malformed(f"{name}: found {value!r}, expected one of {expected}") from error

    def optional_word(self, name: str, kind: type[Word]) -> Word | None:
        return self.word(name, kind) if self.has(name) else None

    def objects(self, name: str) -> list["Fields"]:
        value = self._fields.get(name, [])
        if not isinstance(value, list):
            raise Malformed(f"{name}: found {value!r}, expected a list of objects")
        return [Fields(each) for each in value]

    def points(self, name: str) -> list[tuple[int, Decimal]]:
        """[[offset in ms, price], …]"""
        value = self._fields.get(name)
        if not isinstance(value, list) or not value:
            raise Malformed(f"{name}: found {value!r}, expected [[offset_ms, price], …]")
        points: list[tuple[int, Decimal]] = []
        for each in value:
            if not isinstance(each, list) or len(each) != 2 or not isinstance(each[0], int):
                raise Malformed(f"{name}: found {each!r}, expected [offset_ms, price]")
            points.append((each[0], _decimal(name, each[1])))
        return points


def _decimal(name: str, value: object) -> Decimal:
    if isinstance(value, str | int) and not isinstance(value, bool):
        try:
            number = Decimal(value)
        except InvalidOperation:
            number = Decimal("NaN")
        if number.is_finite():
            return number
    raise Malformed(f"{name}: found {value!r}, expected a decimal in a string")
