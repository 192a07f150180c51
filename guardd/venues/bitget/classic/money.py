"""What a guard moves behind its positions, as the venue's own records have it, and what lies in the spot wallet (7.10, 8)."""

from decimal import Decimal
from typing import Final, assert_never

from guardd.errors import PayloadError
from guardd.model.intent import AddMargin, MovesMoney, TransferToFutures
from guardd.model.moved import MoneyRecord
from guardd.model.names import ClientId, OrderId, Symbol
from guardd.venues.bitget.api import Api
from guardd.venues.bitget.classic import endpoints
from guardd.venues.bitget.classic.bodies import SPOT_WALLET, Line
from guardd.venues.bitget.classic.parse import account as account_answers
from guardd.venues.bitget.classic.parse.words import Product, coin_of, list_of, plain, rows_of

_ADDED: Final = "append_margin"
_ROWS: Final = ("limit", "100")


async def spot_balance(api: Api, coin: str, deadline_s: float) -> Decimal:
    """What of a coin can be taken out of the spot wallet."""
    data = await api.read(endpoints.SPOT_ASSETS, (("coin", coin),), deadline_s=deadline_s)
    rows = [row for row in list_of("spot.assets.data", data) if coin_of(row, "coin") == coin]
    return rows[0].number("available") if rows else Decimal(0)


async def records(api: Api, write: MovesMoney, line: Line, *, since_ms: int, now_ms: int) -> tuple[MoneyRecord, ...]:
    """What the venue recorded of such moves since then."""
    match write:
        case AddMargin():
            window = (("startTime", str(since_ms)), ("endTime", str(now_ms)))
            query = (("productType", line.product.value), ("businessType", _ADDED), *window, _ROWS)
            return _added(write.key.symbol, await api.read(endpoints.BILL, query))
        case TransferToFutures():
            asked = (("coin", write.currency), ("fromType", SPOT_WALLET), ("startTime", str(since_ms)), _ROWS)
            return _transferred(line.product, await api.read(endpoints.TRANSFER_RECORDS, asked))
        case _:
            assert_never(write)


def wallet_of(coin: str) -> Product:
    """The product type whose wallet holds this coin. Raises `PayloadError` for one that none does."""
    found = next((product for product in Product if product.linear and product.settle == coin), None)
    if found is None:
        raise PayloadError(where="transfer", found=coin, expected="a coin that linear futures settle in")
    return found


def _added(symbol: Symbol, data: object) -> tuple[MoneyRecord, ...]:
    """Bills of added margin: the wallet felt them with a minus."""
    rows = [row for row in rows_of("bill.data", data, "bills") if plain(row, "businessType") == _ADDED]
    return tuple(
        MoneyRecord(id=OrderId(row.text("billId")), amount=abs(row.number("amount")), at_ms=row.milliseconds("cTime"))
        for row in rows
        if row.optional_text("symbol") == symbol
    )


def _transferred(product: Product, data: object) -> tuple[MoneyRecord, ...]:
    return tuple(
        MoneyRecord(
            id=OrderId(row.id),
            amount=row.amount,
            at_ms=row.at_ms,
            done=row.done,
            client_id=None if row.client_id is None else ClientId(row.client_id),
        )
        for row in account_answers.transfers(data)
        if row.to_wallet == product.wallet
    )
