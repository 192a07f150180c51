"""Private answers about orders: resting, finished, filled (UTA reference, 9)."""

from decimal import Decimal

from msgspec import Struct

from guardd.errors import PayloadError
from guardd.model.names import AccountName, OrderId, PositionKey, PositionMode, Side
from guardd.model.order import OrderReport, RestingKind, RestingOrder
from guardd.venues.bitget.unified.parse.fields import Page, client_id_of, page_of, some, words
from guardd.venues.bitget.unified.parse.words import (
    HOLD_MODES,
    ORDER_LIVES,
    ORDER_TYPES,
    POSITION_SIDES,
    Category,
    category,
    forced_action,
    word,
)
from guardd.venues.rows import Row, as_row

_BUYS = {"buy": True, "sell": False}


class FillRow(Struct, frozen=True, kw_only=True):
    """One trade of ours. `fee` is what was paid, whatever its sign in the answer (5)."""

    exec_id: str
    order_id: OrderId
    symbol: str
    buys: bool
    price: Decimal
    size: Decimal
    realized_pnl: Decimal
    fee: Decimal
    at_ms: int


def resting_page(account: AccountName, data: object) -> tuple[tuple[RestingOrder, ...], Page]:
    """The futures orders of one page of unfilled-orders, and the page; to be in the list is what makes one open."""
    page = page_of("unfilled-orders.data", data)
    return tuple(_resting(account, row) for row in page.rows if category(row) is not None), page


def order_report(data: object) -> OrderReport:
    """The answer of order-info."""
    return _report(as_row("order-info.data", data))


def report_page(data: object) -> tuple[tuple[OrderReport, ...], Page]:
    """One page of history-orders."""
    page = page_of("history-orders.data", data)
    return tuple(_report(row) for row in page.rows if category(row) is not None), page


def report_of_resting(order: RestingOrder) -> OrderReport:
    return OrderReport(
        order_id=order.order_id,
        client_id=order.client_id,
        size=order.size,
        filled=order.filled,
        average_price=None,
        live=True,
    )


def fill_page(data: object) -> tuple[tuple[FillRow, ...], Page]:
    """One page of fills."""
    page = page_of("fills.data", data)
    return tuple(_fill(row) for row in page.rows if category(row) is not None), page


def child_ids(data: object) -> tuple[OrderId, ...]:
    """The orders that a strategy order gave birth to. The fields of strategy-sub-orders aren't documented (10.4): a row without an
    id of its own is passed over."""
    rows = page_of("strategy-sub-orders.data", data).rows
    return tuple(order_id for row in rows if (order_id := row.optional_order_id("orderId")) is not None)


def key_of(account: AccountName, row: Row, *, side_name: str = "posSide") -> tuple[PositionKey, bool]:
    """Which position an order is about, and whether it closes it. `side` is the direction of the transaction in both modes (9.1).

    `reduceOnly` says nothing in hedge mode: it is `NO` on closes too (9.8).
    """
    buys = word(row, "side", _BUYS)
    if _is_hedged(row, side_name):
        side = word(row, side_name, POSITION_SIDES)
        return PositionKey(account, row.symbol(), side), buys is (side is Side.SHORT)
    closes = (
        words(row, "reduceOnly").lower() == "yes"
        or words(row, "tradeSide").lower().startswith("close")
        or forced_action(row) is not None
    )
    return PositionKey(account, row.symbol(), Side.LONG if buys is not closes else Side.SHORT), closes


def price_of(row: Row, kind: RestingKind) -> Decimal | None:
    return some(row, "price") if kind is RestingKind.LIMIT else None


def filled_of(row: Row) -> Decimal:
    """What was filled; of linear contracts never more than the order's size. Coin-M may print the two in two units (16.7)."""
    filled = row.zero_or_more("cumExecQty")
    if category(row) is not Category.COIN and filled > row.zero_or_more("qty"):
        raise PayloadError(
            where=f"{row.where}.cumExecQty", found=str(filled), expected="not more than the order's size"
        )
    return filled


def _is_hedged(row: Row, side_name: str) -> bool:
    if words(row, "holdMode"):
        return word(row, "holdMode", HOLD_MODES) is PositionMode.HEDGE
    return bool(words(row, side_name))


def _resting(account: AccountName, row: Row) -> RestingOrder:
    key, closes = key_of(account, row)
    kind = word(row, "orderType", ORDER_TYPES)
    return RestingOrder(
        order_id=row.order_id("orderId"),
        client_id=client_id_of(row),
        key=key,
        closes=closes,
        kind=kind,
        price=price_of(row, kind),
        size=row.zero_or_more("qty"),
        filled=filled_of(row),
        created_ms=row.milliseconds("createdTime"),
    )


def _report(row: Row) -> OrderReport:
    return OrderReport(
        order_id=row.order_id("orderId"),
        client_id=client_id_of(row),
        size=row.zero_or_more("qty"),
        filled=filled_of(row),
        average_price=some(row, "avgPrice"),
        live=word(row, "orderStatus", ORDER_LIVES),
    )


def _fill(row: Row) -> FillRow:
    fees = row.get("feeDetail")
    return FillRow(
        exec_id=row.text("execId"),
        order_id=row.order_id("orderId"),
        symbol=row.symbol(),
        buys=word(row, "side", _BUYS),
        price=row.above_zero("execPrice"),
        size=row.above_zero("execQty"),
        realized_pnl=row.optional_number("execPnl") or Decimal(0),
        fee=sum((_fee(row, each) for each in fees), Decimal(0)) if isinstance(fees, list) else Decimal(0),
        at_ms=row.milliseconds("createdTime"),
    )


def _fee(row: Row, each: object) -> Decimal:
    """One entry of feeDetail; it may hold empty texts only (9.8)."""
    return abs(as_row(f"{row.where}.feeDetail", each).optional_number("fee") or Decimal(0))
