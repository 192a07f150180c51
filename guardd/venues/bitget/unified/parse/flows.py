"""Rows of financial-records as flows: what came from outside, what was won, lost or paid (UTA reference, 4 and 7.8).

Their types are an open set: those that aren't known explain nothing.
"""

from collections.abc import Iterable
from types import MappingProxyType
from typing import Final

from guardd.model.flow import Flow, FlowKind
from guardd.venues.bitget.unified.parse.account import LedgerRow

MARGIN_MOVES: Final = frozenset({"INCREASE_MARGIN", "REDUCE_MARGIN"})
"""Between the account and an isolated position: no equity moves."""
_BEGINNINGS: Final = MappingProxyType(
    {
        "TRANSFER_": FlowKind.TRANSFER,
        "DEPOSIT": FlowKind.DEPOSIT,
        "WITHDRAW": FlowKind.WITHDRAWAL,
        "CONTRACT_MAIN_SETTLE_FEE": FlowKind.FUNDING,
        "INTEREST_": FlowKind.FEE,
        "LIQ_FEE": FlowKind.FEE,
        **dict.fromkeys(
            ("OPEN_", "CLOSE_", "BUY", "SELL", "ORDER_DEALT_", "DELIVERY", "BURST_", "FORCE_", "OFFSET_REDUCE_"),
            FlowKind.PNL,
        ),
        **dict.fromkeys(("RISK_LIQ_", "LIQ_TRANSFER_", "FIXED_BURST_", "FIXED_ADL_", "ADL_"), FlowKind.PNL),
    }
)
"""Footprints of the exchange (4) and what trading leaves; `LIQ_TRANSFER` gives one coin for another's debt."""
_VOUCHERS: Final = ("VOUCHER", "COUPON", "BONUS", "GRANT", "AIRDROP")


def flows(rows: Iterable[LedgerRow]) -> tuple[Flow, ...]:
    """A trade's row has its profit in `amount` and its commission in `fee`, as the wallet felt them."""
    return tuple(_flow(row) for row in rows if row.kind.upper() not in MARGIN_MOVES)


def _flow(row: LedgerRow) -> Flow:
    kind = _kind(row.kind.upper())
    return Flow(
        id=f"{row.coin}/{row.id}",
        at_ms=row.at_ms,
        currency=row.coin,
        amount=row.amount + row.fee,
        kind=FlowKind.FEE if kind is FlowKind.PNL and not row.amount else kind,
    )


def _kind(word: str) -> FlowKind:
    if any(stem in word for stem in _VOUCHERS):
        return FlowKind.VOUCHER
    return next((kind for start, kind in _BEGINNINGS.items() if word.startswith(start)), FlowKind.OTHER)
