"""Reading single fields of a venue's JSON: strict, Decimal only, and absence in all of its spellings.

A malformed field is a `PayloadError` that names the place; an absent one is `Absent.UNKNOWN` where the model allows it, never
a number that looks safe.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Final, NamedTuple

import msgspec

from guardd.errors import PayloadError
from guardd.model.names import OrderId, Symbol
from guardd.model.reading import Absent, Reading

SECONDS_BELOW: Final = 10**11
"""A timestamp below this is in seconds."""
_MS_PER_S: Final = 1_000
_YEAR_2100_MS: Final = 4_102_444_800_000

_NUMBER: Final = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,60})?(?:[eE][+-]?[0-9]{1,2})?", re.ASCII)
_ABSENT_TEXTS: Final = frozenset({"", "-"})
_EXPONENT_MAX: Final = 30  # beyond it no price, size or sum of money lies, and arithmetic on it would overflow
_SHOWN_LETTERS: Final = 60
_ID_LETTERS_MAX: Final = 100
"""The longest that a venue writes has 32; thousands of digits would be no number to compare by."""

_JSON: Final = msgspec.json.Decoder(float_hook=Decimal)


def json_value(where: str, text: bytes | str) -> object:
    """Decode JSON with fractions as Decimal. Raises `PayloadError`."""
    try:
        value: object = _JSON.decode(text)
    except (
        msgspec.DecodeError,
        ValueError,
        RecursionError,
        ArithmeticError,
    ) as error:  # 1e999999999999999999999 is the last
        raise PayloadError(where=where, found=f"no JSON ({type(error).__name__})", expected="a JSON text") from None
    return value


class Row(NamedTuple):
    """A JSON object and the place where it stands, for the text of errors."""

    where: str
    fields: dict[str, object]

    def get(self, name: str) -> object:
        return self.fields.get(name)

    def wrong(self, name: str, expected: str) -> PayloadError:
        """The error for a field that isn't what it should be."""
        found = shown(self.fields[name]) if name in self.fields else "nothing"
        return PayloadError(where=f"{self.where}.{name}", found=found, expected=expected)

    def absent(self, name: str) -> bool:
        """True for any spelling of absence."""
        value = self.fields.get(name)
        return value is None or (isinstance(value, str) and value in _ABSENT_TEXTS)

    def text(self, name: str) -> str:
        """A text with something in it."""
        value = self.fields.get(name)
        if not isinstance(value, str) or not value:
            raise self.wrong(name, "a text")
        return value

    def optional_text(self, name: str) -> str | None:
        """A text, or None for any spelling of absence."""
        value = self.fields.get(name)
        if value is None or (isinstance(value, str) and value in _ABSENT_TEXTS):
            return None
        if not isinstance(value, str):
            raise self.wrong(name, "a text or nothing")
        return value

    def integer(self, name: str) -> int:
        """An integer, also where the venue wrote it as text."""
        value = self.fields.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value, re.ASCII):
            return int(value)
        raise self.wrong(name, "an integer")

    def optional_integer(self, name: str) -> int | None:
        value = self.fields.get(name)
        if value is None or (isinstance(value, str) and value in _ABSENT_TEXTS):
            return None
        return self.integer(name)

    def number(self, name: str) -> Decimal:
        """A finite decimal number, from text or from a JSON number."""
        number = self.optional_number(name)
        if number is None:
            raise self.wrong(name, "a number")
        return number

    def optional_number(self, name: str) -> Decimal | None:
        """A number, or None for any spelling of absence."""
        value = self.fields.get(name)
        if value is None or (isinstance(value, str) and value in _ABSENT_TEXTS):
            return None
        number = _decimal(value)
        if number is None:
            raise self.wrong(name, "a decimal number")
        return number

    def above_zero(self, name: str) -> Decimal:
        number = self.number(name)
        if number <= 0:
            raise self.wrong(name, "a number above zero")
        return number

    def zero_or_more(self, name: str) -> Decimal:
        number = self.number(name)
        if number < 0:
            raise self.wrong(name, "a number not below zero")
        return number

    def contracts(self, name: str) -> Decimal:
        """A whole number of contracts, zero or more, where the venue counts its sizes so."""
        number = self.zero_or_more(name)
        if number != number.to_integral_value():
            raise self.wrong(name, "a whole number of contracts")
        return number

    def reading(self, name: str) -> Reading:
        """A number of any sign, unknown where it is absent."""
        number = self.optional_number(name)
        return Absent.UNKNOWN if number is None else number

    def reading_above_zero(self, name: str) -> Reading:
        """A figure that can't be zero or less: such a value means "not given", so it is unknown."""
        number = self.optional_number(name)
        return number if number is not None and number > 0 else Absent.UNKNOWN

    def reading_zero_or_more(self, name: str) -> Reading:
        """A figure that can't be below zero, such as a ratio that is read as calm when it is small: unknown there."""
        number = self.optional_number(name)
        return number if number is not None and number >= 0 else Absent.UNKNOWN

    def price(self, name: str) -> Decimal | None:
        """A price above zero, None where the venue says that there is none (`0`, `""`, `-`, `market…`)."""
        value = self.fields.get(name)
        if isinstance(value, str) and value.lower().startswith("market"):
            return None
        number = self.optional_number(name)
        if number is not None and number < 0:
            raise self.wrong(name, "a price")
        return number or None

    def milliseconds(self, name: str) -> int:
        """A moment in wall ms, whichever of the two units the venue used."""
        value = self.integer(name)
        ms = value if value >= SECONDS_BELOW else value * _MS_PER_S
        if not 0 <= ms < _YEAR_2100_MS:
            raise self.wrong(name, "a moment as unix seconds or milliseconds")
        return ms

    def optional_milliseconds(self, name: str) -> int | None:
        """The same, None for absent or zero."""
        if self.optional_integer(name) in (None, 0):
            return None
        return self.milliseconds(name)

    def order_id(self, name: str) -> OrderId:
        """An id as text, whether the venue wrote an integer or a text; never through a float."""
        order_id = self.optional_order_id(name)
        if order_id is None:
            raise self.wrong(name, "an order id")
        return order_id

    def optional_order_id(self, name: str) -> OrderId | None:
        value = self.fields.get(name)
        if value is None or (isinstance(value, str) and value in {"", "-", "0"}):
            return None
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**_ID_LETTERS_MAX:
            return OrderId(str(value))
        if isinstance(value, str) and value.isascii() and value.isalnum() and len(value) <= _ID_LETTERS_MAX:
            return OrderId(value)
        raise self.wrong(name, "an order id")

    def symbol(self) -> Symbol:
        return Symbol(self.text("symbol"))

    def row(self, name: str) -> "Row":
        return as_row(f"{self.where}.{name}", self.fields.get(name))

    def rows(self, name: str) -> Iterator["Row"]:
        return as_rows(f"{self.where}.{name}", self.fields.get(name))


def as_row(where: str, value: object) -> Row:
    if not isinstance(value, dict):
        raise PayloadError(where=where, found=shown(value), expected="an object")
    return Row(where, value)


def as_list(where: str, value: object) -> list[object]:
    if not isinstance(value, list):
        raise PayloadError(where=where, found=shown(value), expected="an array")
    return value


def as_rows(where: str, value: object) -> Iterator[Row]:
    for index, each in enumerate(as_list(where, value)):
        yield as_row(f"{where}[{index}]", each)


def tiers_unread(whose: str, error: PayloadError) -> str:
    """What people are told where a venue's table of margin tiers makes no sense."""
    return f"{whose}: its margin tiers can't be read, so its liquidation price is the venue's alone: {error}"


def shown(value: object) -> str:
    """A short picture of what was found, for an error."""
    if isinstance(value, dict | list):
        return f"an {'object' if isinstance(value, dict) else 'array'} of {len(value)}"
    if isinstance(value, int) and abs(value) >= 10**_SHOWN_LETTERS:
        return "an enormous integer"
    text = repr(value)
    return text if len(text) <= _SHOWN_LETTERS else f"{text[:_SHOWN_LETTERS]}… ({type(value).__name__})"


def _decimal(value: object) -> Decimal | None:
    if isinstance(value, str):  # most often by far
        if not _NUMBER.fullmatch(value):
            return None
    elif isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    number = Decimal(value)
    if not number.is_finite() or (number != 0 and abs(number.adjusted()) > _EXPONENT_MAX):
        return None
    return number
