"""The venue's own maintenance and ratio of a cross account, carried on from the moment they were told.

    asked(now) = asked(then) + Σ (our maintenance and fee at mark − the same at the marks of then)
    asked(then) = maintenance, or ratio × balance where that is more or all there is

The difference between what the venue asks for and our own sum is a constant: orders that rest, debts, contracts that we don't
guard. The careful number takes it only where it makes things worse; what may justify a close is the venue's figure as it is
(interfaces.md 2.2 "Which L"), as long as the venue's figures don't contradict each other or us beyond what can be right.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from msgspec import Struct

from guardd.model.account import Balance
from guardd.model.reading import Reading, is_value
from guardd.model.state import Anchor
from guardd.risk.liquidation import ZERO, Basis, Leg

ANCHOR_AGE_S_MAX: Final = 5.0
"""A silent stream gives way to the marks of reads after three seconds, and those come each second: a mark older than this when
the balance was told may have missed a move that the balance has in it, and what it moved would count twice."""
RATIOS_DIFFER: Final = Decimal("0.2")
"""A ratio of ours that is further from the venue's than this part of ours doesn't reproduce it."""
RATIO_COUNTS_FROM: Final = Decimal("0.05")
"""Where both are below, ratios are printed too coarsely to compare (UTA reference, 1), and nothing is near."""
IMPLAUSIBLE_FROM: Final = 5
"""A ratio so many times what the other figures give is no ratio: a percentage would be a hundred times (UTA reference, 16.3;
Bitget reference, 19.22: no scale is documented)."""


class Anchored(Struct, frozen=True, kw_only=True):
    """What the venue asks for beyond our sums, by two of the bases."""

    beyond_worse: Decimal
    """Never below zero: our careful sum stays where it is more."""
    beyond_mark: Decimal | None
    """What a close may rest on; below zero where the venue asks for less than we reckon (it nets the legs of a hedge).
    None where the venue gave nothing, or nothing to be carried on or believed."""
    speaks: bool
    """The venue gave figures of its own: a model of ours replaces them for no ratio."""
    doubt: str


SILENT: Final = Anchored(beyond_worse=ZERO, beyond_mark=None, speaks=False, doubt="")


def anchored(
    balance: Balance, legs: Iterable[tuple[Leg, Anchor]], wallet: Decimal, *, told: Reading, exact: bool
) -> Anchored:
    """What the venue's figures come to; `wallet`: the margin balance without the PnL of these cross legs.

    `told`: the margin balance as the venue gave it, where it gives that; else it is reckoned at the anchors. `exact`: no figure
    of the wallet rests on the anchors' marks.
    """
    behind, worse, at_mark, oldest_s = wallet, ZERO, ZERO, 0.0
    for leg, anchor in legs:
        behind += leg.pnl(anchor.mark)
        worse += leg.burden(anchor.mark, Basis.WORSE)
        at_mark += leg.burden(anchor.mark, Basis.MARK)
        oldest_s = max(oldest_s, anchor.age_s)
    behind = told if is_value(told) else behind
    asked = _of_pool(balance, behind) if is_value(balance.maintenance) else _of_ratio(balance, behind, at_mark)
    if asked is None:
        return SILENT
    closing, doubt = asked.closing, asked.doubt
    if oldest_s > ANCHOR_AGE_S_MAX and not exact:
        closing, doubt = (
            None,
            f"the marks were {oldest_s:.0f} s old when the balance was told: its ratio can't be carried on",
        )
    return Anchored(
        beyond_worse=max(asked.near - worse, ZERO),
        beyond_mark=closing - at_mark if closing is not None else None,
        speaks=True,
        doubt=doubt,
    )


class _Asked(Struct, frozen=True, kw_only=True):
    """What the venue asked for when the balance was told."""

    near: Decimal
    closing: Decimal | None
    doubt: str = ""


def _of_pool(balance: Balance, behind: Decimal) -> _Asked | None:
    """By its maintenance, and by its ratio where that is more: part of the numerator isn't in the maintenance (UTA, 4)."""
    maintenance, ratio = balance.maintenance, balance.margin_ratio
    if not is_value(maintenance):
        return None
    if behind <= 0:
        confirmed = is_value(ratio) and ratio >= 1
        doubt = "" if confirmed else f"nothing stands behind a maintenance of {maintenance}, and no ratio confirms it"
        return _Asked(near=maintenance, closing=maintenance if confirmed else None, doubt=doubt)
    if not is_value(ratio) or ratio * behind <= maintenance:
        return _Asked(near=maintenance, closing=maintenance)
    if ratio > RATIO_COUNTS_FROM and ratio * behind > IMPLAUSIBLE_FROM * maintenance:
        doubt = f"the venue's margin ratio {ratio} can't be right beside its maintenance {maintenance} of {behind}"
        return _Asked(near=ratio * behind, closing=maintenance, doubt=doubt)
    return _Asked(near=ratio * behind, closing=ratio * behind)


def _of_ratio(balance: Balance, behind: Decimal, ours: Decimal) -> _Asked | None:
    """By its ratio alone, held against ours: whichever is larger counts near the end."""
    ratio = balance.margin_ratio
    if not is_value(ratio) or ratio <= 0 or behind <= 0:
        return None
    own = ours / behind
    asked = ratio * behind
    if max(ratio, own) <= RATIO_COUNTS_FROM or abs(ratio - own) <= RATIOS_DIFFER * own:
        return _Asked(near=asked, closing=asked)
    doubt = f"the venue's margin ratio is {ratio}, the model's {own:.4f}"
    return _Asked(near=asked, closing=asked if ratio <= IMPLAUSIBLE_FROM * own else None, doubt=doubt)
