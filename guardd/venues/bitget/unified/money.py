"""What a guard moves behind its positions, as the ledger has it (UTA reference, 7.6 to 7.8). No row carries a client id."""

from typing import Final, assert_never

from guardd.model.intent import AddMargin, MovesMoney, TransferToFutures
from guardd.model.moved import MoneyRecord
from guardd.model.names import OrderId
from guardd.venues.bitget.unified.parse.account import LedgerRow
from guardd.venues.bitget.unified.parse.words import Category
from guardd.venues.bitget.unified.reads import Reads

MARGIN_RECORD: Final = "INCREASE_MARGIN"
TRANSFERRED_IN: Final = "TRANSFER_IN"
TRANSFERRED_OUT: Final = "TRANSFER_OUT"
OTHER_RECORDS: Final = "OTHER"


async def records(reads: Reads, write: MovesMoney, category: Category, *, since_ms: int) -> tuple[MoneyRecord, ...]:
    """What the venue recorded of such moves since then."""
    match write:
        case AddMargin():
            rows = await reads.ledger(category.value, MARGIN_RECORD, since_ms)
            mine = [row for row in rows if row.kind == MARGIN_RECORD and row.symbol == write.key.symbol]
        case TransferToFutures():
            rows = await reads.ledger(OTHER_RECORDS, TRANSFERRED_IN, since_ms)
            mine = [row for row in rows if row.kind == TRANSFERRED_IN]
        case _:
            assert_never(write)
    return tuple(_record(row) for row in mine if row.coin == write.currency and row.at_ms >= since_ms)


def _record(row: LedgerRow) -> MoneyRecord:
    return MoneyRecord(id=OrderId(row.id), amount=abs(row.amount), at_ms=row.at_ms)
