"""Strict reading of what a client sent: JSON types of bodies, integers of queries, decimals on the wire.

Reference 5.3: in requests `size`, `side`, `mode` and their like are JSON integers, prices and leverage are strings. A
string `size` has been answered with 40011, a number where a string belongs is taken the same way here.
"""

import json
import re
from collections.abc import Mapping
from decimal import Decimal

from guardd.simulator.dialects.bitmart.envelope import VenueError
from guardd.simulator.wire import Request

INVALID = 40011
ACCOUNT_INVALID = 60000  # the account family's word for the same (16.4)
_DECIMAL = re.compile(r"-?\d{1,24}(\.\d{1,30})?")
_CLIENT_ID = re.compile(r"[A-Za-z0-9]+")
_CLIENT_ID_MAX = 32


class Body:
    """The JSON object of a POST. Every reader raises VenueError(`code`) on a wrong type."""

    def __init__(self, fields: Mapping[str, object], code: int = INVALID) -> None:
        self._fields = fields
        self._code = code

    @classmethod
    def of(cls, request: Request, code: int = INVALID) -> "Body":
        """Parse; anything but a JSON object answers 30018."""
        try:
            parsed = json.loads(request.body or b"null", parse_float=_refuse_float)
        except (ValueError, RecursionError) as error:
            raise VenueError(30018) from error
        if not isinstance(parsed, dict):
            raise VenueError(30018)
        return cls(parsed, code)

    def has(self, name: str) -> bool:
        """Whether the key is there at all, even with null."""
        return name in self._fields

    def refuse(self, detail: str) -> VenueError:
        return VenueError(self._code, f"Invalid parameter: {detail}" if self._code == INVALID else None)

    def text(self, name: str) -> str:
        value = self.optional_text(name)
        if not value:
            raise self.refuse(name)
        return value

    def optional_text(self, name: str) -> str:
        """`""` when absent."""
        value = self._fields.get(name, "")
        if not isinstance(value, str):
            raise self.refuse(name)
        return value

    def choice(self, name: str, *choices: str, default: str = "") -> str:
        value = self.optional_text(name) or default
        if value not in choices:
            raise self.refuse(name)
        return value

    def integer(self, name: str) -> int:
        value = self.optional_integer(name)
        if value is None:
            raise self.refuse(name)
        return value

    def optional_integer(self, name: str) -> int | None:
        if name not in self._fields:
            return None
        value = self._fields[name]
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.refuse(name)
        return value

    def code(self, name: str, *choices: int, default: int | None = None) -> int:
        """An integer out of a closed list."""
        value = self.optional_integer(name)
        if value is None:
            value = default
        if value is None or value not in choices:
            raise self.refuse(name)
        return value

    def decimal(self, name: str) -> Decimal:
        value = self.optional_decimal(name)
        if value is None:
            raise self.refuse(name)
        return value

    def optional_decimal(self, name: str) -> Decimal | None:
        """A decimal in a string; absent or `""` is None."""
        text = self.optional_text(name)
        if not text:
            return None
        if not _DECIMAL.fullmatch(text):
            raise self.refuse(name)
        return Decimal(text)

    def client_id(self) -> str:
        """1–32 letters and digits, `""` when none: 40048 and 40049 otherwise."""
        value = self.optional_text("client_order_id")
        if value and not _CLIENT_ID.fullmatch(value):
            raise VenueError(40048)
        if len(value) > _CLIENT_ID_MAX:
            raise VenueError(40049)
        return value


class Query:
    """The parameters of a GET: all text, but integers must read as integers."""

    def __init__(self, parameters: Mapping[str, str]) -> None:
        self._parameters = parameters

    def text(self, name: str) -> str:
        return self._parameters.get(name, "")

    def required(self, name: str, code: int = INVALID) -> str:
        value = self.text(name)
        if not value:
            raise VenueError(code)
        return value

    def choice(self, name: str, *choices: str, default: str) -> str:
        value = self.text(name) or default
        if value not in choices:
            raise VenueError(INVALID, f"Invalid parameter: {name}")
        return value

    def integer(self, name: str, *, default: int, low: int = 0, high: int | None = None) -> int:
        """Out of range is refused below `low` and cut at `high`."""
        text = self.text(name)
        if not text:
            return default
        if not (text.isascii() and text.isdigit()) or int(text) < low:
            raise VenueError(INVALID, f"Invalid parameter: {name}")
        return int(text) if high is None else min(int(text), high)


def _refuse_float(text: str) -> object:
    """No field of this API is a JSON fraction: keep it as something that is neither text nor integer."""
    return (text,)
