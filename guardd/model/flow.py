"""What moved an account's money, as the venue's ledger has it: one row, one flow."""

from decimal import Decimal
from enum import StrEnum
from typing import Final

from msgspec import Struct


class FlowKind(StrEnum):
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    TRANSFER = "transfer"
    VOUCHER = "voucher"
    FEE = "fee"
    FUNDING = "funding"
    PNL = "pnl"
    """Realised by a trade or a forced close; also one coin given for another."""
    OTHER = "other"
    """A kind that this adapter doesn't know: it explains nothing."""


FROM_OUTSIDE: Final = frozenset({FlowKind.DEPOSIT, FlowKind.WITHDRAWAL, FlowKind.TRANSFER, FlowKind.VOUCHER})
"""Money that came or went without being won or lost."""


class Flow(Struct, frozen=True, kw_only=True):
    """`amount` is signed as the wallet felt it, fee included, in `currency`; `at_ms` is the venue's time (wall).

    `id` is unique among the account's flows; where the venue repeats its ids the adapter makes one of the whole row.
    """

    id: str
    at_ms: int
    currency: str
    amount: Decimal
    kind: FlowKind
