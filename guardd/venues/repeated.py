"""Rows of a list that comes again and again: one that comes word for word as before isn't parsed again."""

from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

import msgspec

from guardd.venues.rows import Row, as_row, json_value

Parsed = TypeVar("Parsed")
KNOWN_MAX: Final = 20_000


class RepeatedRows(Generic[Parsed]):
    """Of one list that is read. Kept are the rows of the last read alone, each under its own bytes."""

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


class RepeatedFields(Generic[Parsed]):
    """Of one list whose rows carry much that nobody here asks for and that moves with each mark: what is asked for counts."""

    def __init__(self, *names: str) -> None:
        """`names`: every field that the answer hangs on."""
        self._names = names
        self._known: dict[tuple[object, ...], Parsed] = {}

    def parsed(self, row: Row, parse: Callable[[Row], Parsed]) -> Parsed:
        """What `parse` makes of the row. A row in which a field isn't a text, or is empty, is always parsed."""
        texts = tuple([row.fields.get(name) for name in self._names])
        if not all(type(each) is str and each for each in texts):
            return parse(row)
        known = self._known.get(texts)
        if known is None:
            known = parse(row)
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
            self._known[texts] = known
        return known
