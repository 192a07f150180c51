"""The cross-check before any reducing write (I29): units, marks, positions and mode, each against a second witness.

Pure and without memory: the guard runs it at each reconciliation, keeps when it last passed, and parks the account on a
mismatch that was proved twice running (`proved_again`): one look can catch the two witnesses at different moments.
The account family and the environment are checked where they are known, when the account's adapter is built.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from guardd.model.instant import Instant
from guardd.model.names import PositionKey, PositionMode, Symbol
from guardd.model.state import AccountState, Held


class Check(StrEnum):
    NOTIONAL = "notional"
    MARKS = "marks"
    POSITIONS = "positions"
    POSITION_MODE = "position_mode"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """Something that doesn't agree (`proved`), or that no second witness has confirmed yet. `symbol` None: the account."""

    check: Check
    symbol: Symbol | None
    key: PositionKey | None
    proved: bool
    text: str


def cross_check(state: AccountState, *, now: Instant) -> tuple[Mismatch, ...]:
    """Everything that speaks against a reducing write; empty when all of it was checked and agrees."""
    ...


def proved_again(before: tuple[Mismatch, ...], after: tuple[Mismatch, ...]) -> tuple[Mismatch, ...]:
    """The mismatches of `after` that are proved there and were proved in `before`: what parks the account."""
    ...
