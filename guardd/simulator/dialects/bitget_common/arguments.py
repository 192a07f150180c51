"""Strict reading of what a client sent. Values are strings on this venue, in bodies too (Bitget reference, 2 and 11).

Every reader raises VenueError: 40811 for what is missing, 40808 for a decimal that isn't one or has too many places,
400172 for a word outside of its list or a value of another JSON type.
"""

import json
import re
from collections.abc import Mapping
from decimal import Decimal

from guardd.simulator.dialects.bitget_common.envelope import VenueError
from guardd.simulator.wire import Request

_DECIMAL = re.compile(r"-?\d{1,24}(\.\d{1,30})?")


class Fields:
    """The JSON object of a POST, or the parameters of a GET; one of a list's objects.

    `numbers`: a JSON number is taken for its text, as general clients send some and trade with it.
    """

    def __init__(self, fields: Mapping[str, object], *, numbers: bool = False) -> None:
        self._fields = fields
        self._numbers = numbers

    @classmethod
    def of_body(cls, request: Request, *, numbers: bool = False) -> "Fields":
        """An empty body is an empty object (3: an empty POST is signed as such)."""
        parsed = parse_body(request)
        if not isinstance(parsed, dict):
            raise VenueError("400172")
        return cls(parsed, numbers=numbers)

    @classmethod
    def of_query(cls, request: Request) -> "Fields":
        return cls(request.query)

    def has(self, name: str) -> bool:
        """Given, and neither null nor empty."""
        return self._fields.get(name) not in (None, "")

    def text(self, name: str) -> str:
        value = self.optional_text(name)
        if not value:
            raise VenueError("40811", fill=name)
        return value

    def optional_text(self, name: str) -> str:
        """`""` when absent or null."""
        value = self._fields.get(name)
        if value is None:
            return ""
        if self._numbers and isinstance(value, Decimal | int) and not isinstance(value, bool):
            return f"{value:f}" if isinstance(value, Decimal) else str(value)
        if not isinstance(value, str):
            raise VenueError("400172", f"Parameter verification failed {name}")
        return value

    def word(self, name: str, *choices: str, default: str = "", code: str = "400172") -> str:
        """A word of a closed list, in whatever case it came (2)."""
        value = self.optional_text(name) or default
        if not value and "" not in choices:
            raise VenueError("40811", fill=name)
        found = next((choice for choice in choices if choice.lower() == value.lower()), None)
        if found is None:
            raise VenueError(code, f"Parameter verification failed {name}" if code == "400172" else None, fill=name)
        return found

    def decimal(self, name: str) -> Decimal:
        value = self.optional_decimal(name)
        if value is None:
            raise VenueError("40811", fill=name)
        return value

    def optional_decimal(self, name: str) -> Decimal | None:
        """A decimal in a string; absent or `""` is None."""
        text = self.optional_text(name)
        if not text:
            return None
        if not _DECIMAL.fullmatch(text):
            raise VenueError("40808", fill=f"{name} error value={text}")
        return Decimal(text)

    def integer(self, name: str, *, default: int, low: int = 0, high: int | None = None) -> int:
        """A whole number in a string; refused below `low`, cut at `high`."""
        text = self.optional_text(name)
        if not text:
            return default
        if not (text.isascii() and text.isdigit()) or int(text) < low:
            raise VenueError("400172", f"Parameter verification failed {name}")
        return int(text) if high is None else min(int(text), high)

    def objects(self, name: str) -> "list[Fields]":
        """A list of objects; empty when absent."""
        value = self._fields.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise VenueError("400172", f"Parameter verification failed {name}")
        return [Fields(each, numbers=self._numbers) for each in value]


def parse_body(request: Request) -> object:
    """The body as JSON; 400172 when it is none."""
    if not request.body:
        return {}
    try:
        parsed: object = json.loads(request.body, parse_float=Decimal)
        if b"\\u" in request.body:
            json.dumps(parsed, ensure_ascii=False, default=str).encode()  # half a surrogate pair is no text
    except (ValueError, RecursionError, ArithmeticError) as error:
        raise VenueError("400172") from error
    return parsed


def client_id(text: str, pattern: "re.Pattern[str]") -> str:
    """A client's id in the venue's alphabet: 40304 and 40305 otherwise (11.3)."""
    if text and not pattern.fullmatch(text):
        raise VenueError("40304" if len(text) > 50 else "40305")
    return text
