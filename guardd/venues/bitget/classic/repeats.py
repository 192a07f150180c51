"""Lists that were empty a moment ago, and lines that nothing is sent for, aren't asked for with every question.

An account with one position would else spend nine calls on each look at its plan orders, and the budgets of these calls are what
reading back a stop lives on (Bitget reference, 4). Whatever stirs a product type, a push or a write of ours, makes all of it due.
"""

from typing import Final

from msgspec import Struct

from guardd.clock import Clock
from guardd.model.instant import NS_PER_S
from guardd.venues.bitget.classic.parse.words import Product

QUIET_S: Final = 1.0
"""How long an empty answer about a quiet product type serves."""
SETTLED_S: Final = 15.0
"""A list that held something so short a time ago is asked for each time: whether it is empty now is judged by answers, and not by
one answer many times (I6)."""
UNGUARDED_S: Final = 10.0
"""How long any answer about a product type serves for which nothing is sent."""


class _Answer(Struct, frozen=True):
    data: object
    at_ns: int


class Repeats:
    """Answers by product type and name of the list."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._answers: dict[tuple[Product, str], _Answer] = {}
        self._stirs: dict[Product, int] = {}
        self._full_ns: dict[tuple[Product, str], int] = {}

    def stir(self, product: Product) -> None:
        """Something happened there: every list is due, and answers on their way don't count as new."""
        self._stirs[product] = self.stirs(product) + 1
        for key in [key for key in self._answers if key[0] is product]:
            del self._answers[key]

    def stirs(self, product: Product) -> int:
        return self._stirs.get(product, 0)

    def keep(self, product: Product, name: str, data: object, *, empty: bool, asked_ns: int, stirs: int) -> None:
        """Remember an answer to what was asked at `asked_ns`, when so many stirs had been seen, if it may serve again."""
        if not empty:
            self._full_ns[product, name] = asked_ns
        full_ns = self._full_ns.get((product, name))
        settled = empty and (full_ns is None or asked_ns - full_ns > SETTLED_S * NS_PER_S)
        if stirs == self.stirs(product) and (settled or not product.linear):
            self._answers[product, name] = _Answer(data, asked_ns)

    def answer(self, product: Product, name: str) -> object | None:
        """What may still serve; None: ask."""
        found = self._answers.get((product, name))
        lasts_s = QUIET_S if product.linear else UNGUARDED_S
        if found is None or self._clock.monotonic_ns() - found.at_ns > lasts_s * NS_PER_S:
            return None
        return found.data
