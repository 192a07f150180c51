"""Margin tiers of both families: the venue lists bounds and rates, and no deduction (Bitget reference, 6.3; UTA reference, 6.3).

Since 2025-11-10 each part of a classic position's value pays the rate of its own tier (help centre, article 12560603841952, which
calls the deduction that follows "pre-calculated offset"; Bitget reference, 10):

    maintenance(n) = n × rate − deduction,    deduction = deduction below + floor × (rate − rate below)

so that maintenance is continuous where tiers meet. The UTA reference (4) words it as the rate of the tier on the whole value, which
would jump there. The jump is the venue's to tell: a pool's own maintenance is what our sums are tied to (`guardd.risk.anchor`), and
within a tier both readings have one slope. In a table with jumps a long may be dead above a bound and alive
below it, which the risk core's law forbids; so both families are read this way, and where a row asks for more, ours closes nothing.
"""

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

from guardd.errors import PayloadError
from guardd.model.instrument import MarginTier


class Bracket(NamedTuple):
    """One row of a tier list."""

    floor: Decimal
    cap: Decimal
    rate: Decimal
    max_leverage: Decimal


def table_of(where: str, brackets: Sequence[Bracket]) -> tuple[MarginTier, ...]:
    """From the smallest value up. Raises `PayloadError` for a table with a gap, a falling rate, or one that is no fraction."""
    ordered = sorted(brackets)
    if not ordered or ordered[0].floor != 0:
        raise PayloadError(where=where, found=_shown(ordered), expected="tiers from a value of 0 up")
    for lower, upper in pairwise(ordered):
        if lower.cap != upper.floor or lower.rate > upper.rate:
            found = f"{_shown([lower])} before {_shown([upper])}"
            raise PayloadError(where=where, found=found, expected="tiers without a gap, with rates that never fall")
    tiers: list[MarginTier] = []
    deduction, rate_below = Decimal(0), ordered[0].rate
    for floor, cap, rate, max_leverage in ordered:
        if floor >= cap or rate >= 1:
            raise PayloadError(where=where, found=_shown(ordered), expected="rising bounds and rates below 1")
        deduction, rate_below = deduction + floor * (rate - rate_below), rate
        tiers.append(MarginTier(floor=floor, cap=cap, rate=rate, deduction=deduction, max_leverage=max_leverage))
    return tuple(tiers)


def _shown(brackets: Sequence[Bracket]) -> str:
    return ", ".join(f"{each.floor}..{each.cap} at {each.rate}" for each in brackets) or "no tier"
