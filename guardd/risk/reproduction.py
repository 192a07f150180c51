"""Does our model reproduce the venue's own figures of one snapshot? Only then may our number justify a close.

Notional, maintenance margin and equity within 1 % (interfaces.md 2.2 "Which L"). Each comparison stays within one answer of
the venue: figures of two moments differ in a fast market without anything being wrong.
"""

from decimal import Decimal
from typing import Final

from guardd.model.account import Balance
from guardd.model.names import MarginMode
from guardd.model.position import Position
from guardd.model.reading import Reading, is_value
from guardd.risk.liquidation import Basis, Leg

TOLERANCE: Final = Decimal("0.01")
NO_BASIS: Final[frozenset[Basis]] = frozenset()


def reproduced_bases(position: Position, leg: Leg, balance: Balance | None) -> frozenset[Basis]:
    """The bases of maintenance by which the model agrees with the venue's row; empty when it doesn't.

    `leg` holds the quantity of that row. `balance` stands behind a cross position.
    """
    mark = position.mark_price
    if not is_value(mark) or not _agree(leg.notional(mark), position.notional):
        return NO_BASIS
    if not _equity_agrees(position, leg.pnl(mark), balance):
        return NO_BASIS
    bases = (Basis.MARK, Basis.ENTRY)
    return frozenset(basis for basis in bases if _agree(leg.maintenance(mark, basis), position.maintenance_margin))


def preferred(bases: frozenset[Basis]) -> Basis | None:
    """The basis to reckon with: at mark where that agrees (where both do, they hardly differ)."""
    if Basis.MARK in bases:
        return Basis.MARK
    return Basis.ENTRY if Basis.ENTRY in bases else None


def adds_up(balance: Balance) -> bool:
    """True when the balance's parts make its equity: free + held by orders + in positions + unrealised (reference, 8.1)."""
    if not is_value(balance.unrealized_pnl):
        return False
    return _agree(balance.available + balance.frozen + balance.position_margin + balance.unrealized_pnl, balance.equity)


def _equity_agrees(position: Position, pnl: Decimal, balance: Balance | None) -> bool:
    """True when our PnL, put for the venue's, changes the equity behind the position by 1 % at most."""
    if not is_value(position.unrealized_pnl):
        return False
    match position.margin_mode:
        case MarginMode.ISOLATED:
            margin = position.margin
            equity = margin + position.unrealized_pnl if is_value(margin) else margin
        case MarginMode.CROSS:
            if balance is None:
                return False
            equity = balance.equity
    return is_value(equity) and abs(pnl - position.unrealized_pnl) <= TOLERANCE * abs(equity)


def _agree(ours: Decimal, theirs: Reading) -> bool:
    return is_value(theirs) and abs(ours - theirs) <= TOLERANCE * abs(theirs)
