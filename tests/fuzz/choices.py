"""A stream of decisions out of bytes: hypothesis, a seeded generator and a coverage-guided fuzzer all feed the same mutations."""

from collections.abc import Sequence
from typing import TypeVar

_Item = TypeVar("_Item")


class Choices:
    """Numbers below a bound, two bytes each; zeros once the bytes are used up, so that short inputs are plain ones."""

    def __init__(self, source: bytes) -> None:
        self._source = source
        self._at = 0

    def below(self, bound: int) -> int:
        taken = self._source[self._at : self._at + 2]
        self._at += 2
        return int.from_bytes(taken, "big") % bound

    def of(self, items: Sequence[_Item]) -> _Item:
        return items[self.below(len(items))]

    def rest(self) -> bytes:
        taken = self._source[self._at :]
        self._at = len(self._source)
        return taken

    @property
    def spent(self) -> bool:
        return self._at >= len(self._source)
