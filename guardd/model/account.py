"""What an account holds, apart from its positions."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from guardd.model.reading import Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """One settlement coin of an account. `equity` includes unrealised PnL; a push may not carry it (unknown)."""

    currency: str
    equity: Reading
    available: Decimal
    frozen: Decimal
    position_margin: Decimal
    unrealized_pnl: Reading
    foreign_collateral: bool = False
    """Other coins back this equity too: it is an upper bound only (BitMart reference, 8.1)."""


class AccountCondition(StrEnum):
    """`state` of interfaces.md section 4."""

    STARTING = "starting"
    LIVE = "live"
    STALE = "stale"
    BLOCKED = "blocked"
    PARKED = "parked"
    HALTED = "halted"
