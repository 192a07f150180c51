"""The ledger's rows as flows: what came from outside, what was won, lost or paid (reference, 6 and 8.7)."""

from collections import Counter
from collections.abc import Iterable
from types import MappingProxyType
from typing import Final

from guardd.model.flow import Flow, FlowKind
from guardd.venues.bitmart.parse.account import LedgerRow

KINDS: Final = MappingProxyType(
    {
        "transfer": FlowKind.TRANSFER,
        "realized pnl": FlowKind.PNL,
        "funding fee": FlowKind.FUNDING,
        "commission fee": FlowKind.FEE,
        "liquidation clearance": FlowKind.PNL,
    }
)
"""The documented types. `flow_type` says the same in numbers, and is missing in the document's own sample."""
_STEMS: Final = MappingProxyType(
    {
        "deposit": FlowKind.DEPOSIT,
        "withdraw": FlowKind.WITHDRAWAL,
        "voucher": FlowKind.VOUCHER,
        "bonus": FlowKind.VOUCHER,
        "coupon": FlowKind.VOUCHER,
        "airdrop": FlowKind.VOUCHER,
    }
)
"""Parts of words that no document lists, and that could mean only one thing."""


def flows(rows: Iterable[LedgerRow]) -> tuple[Flow, ...]:
    """Ids repeat (quirk 10): the whole row is the key, and rows that are equal altogether are counted."""
    seen: Counter[str] = Counter()
    found: list[Flow] = []
    for row in rows:
        key = f"{row.id}/{row.kind}/{row.symbol or ''}/{row.at_ms}/{row.amount}"
        seen[key] += 1
        flow_id = key if seen[key] == 1 else f"{key}/{seen[key]}"
        kind = _kind(row.kind)
        found.append(Flow(id=flow_id, at_ms=row.at_ms, currency=row.currency, amount=row.amount, kind=kind))
    return tuple(found)


def _kind(word: str) -> FlowKind:
    word = word.lower()
    known = KINDS.get(word)
    return known or next((kind for stem, kind in _STEMS.items() if stem in word), FlowKind.OTHER)
