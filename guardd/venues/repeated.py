"""Rows of a list that is read again and again: one that comes word for word as in the read before isn't parsed again.

Kept are the rows of the last read alone, each under its own bytes.
"""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import msgspec

from guardd.venues.rows import Row, as_row, json_value

Parsed = TypeVar("Parsed")


class RepeatedRows(Generic[Parsed]):
    """Of one list."""

    def __init__(self) -> None:
        self._known: dict[bytes, Parsed] = {}

    def parsed(
        self, where: str, rows: Sequence[msgspec.Raw], parse: Callable[[Row], tuple[Parsed, bool]]
    ) -> list[Parsed]:
        """Each row as `parse` takes it. Its second answer: whether the same bytes will mean the same again."""
        found: list[Parsed] = []
        lasting: dict[bytes, Parsed] = {}
        for index, raw in enumerate(rows):
            text = bytes(raw)
            known = self._known.get(text)
            if known is None:
                place = f"{where}[{index}]"
                known, lasts = parse(as_row(place, json_value(place, text)))
                if lasts:
                    lasting[text] = known
            else:
                lasting[text] = known
            found.append(known)
        self._known = lasting
        return found
