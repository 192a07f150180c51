"""What an account holds, apart from its positions."""

from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from guardd.model.reading import Absent, Reading


class Wallet(Struct, frozen=True, kw_only=True):
    """So much of one coin, unrealised PnL apart, and what one of it is worth in the balance's currency."""

    coin: str
    amount: Decimal
    price: Decimal


class Balance(Struct, frozen=True, kw_only=True):
    """What stands behind the positions that settle in `currency`; `pooled`: behind all of them.

    `equity` includes unrealised PnL; a push may not carry it (unknown).
    """

    currency: str
    equity: Reading
    available: Decimal
    frozen: Decimal
    position_margin: Decimal
    unrealized_pnl: Reading
    foreign_collateral: bool = False
    """Other coins back this equity too: it is an upper bound only (BitMart reference, 8.1)."""
    maintenance: Reading = Absent.UNKNOWN
    """The venue's own maintenance margin of the cross positions, an amount in `currency`. Where it is given, `equity` is what
    the venue holds against it: collateral after haircuts, without isolated margins (UTA reference, 4; Bitget reference, 5)."""
    margin_ratio: Reading = Absent.UNKNOWN
    """The venue's own ratio of the cross positions; 1 is liquidation."""
    pooled: bool = False
    """One pool stands behind every settlement coin: a unified account, reckoned in `currency`."""
    wallets: tuple[Wallet, ...] = ()
    """The coins of a pool. Empty: `equity` less `unrealized_pnl` is the one wallet, in `currency`."""


class AccountCondition(StrEnum):
    """`state` of interfaces.md section 4."""

    STARTING = "starting"
    LIVE = "live"
    STALE = "stale"
    BLOCKED = "blocked"
    PARKED = "parked"
    HALTED = "halted"
