"""Private answers about plain orders: resting, finished, filled (Bitget reference, 11)."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final, NamedTuple

from msgspec import Struct

from guardd.model.names import AccountName, OrderId, PositionKey, PositionMode, Side
from guardd.model.order import OrderReport, RestingKind, RestingOrder
from guardd.venues.bitget.classic.parse.words import (
    HOLD_SIDES,
    ORDER_LIVES,
    POSITION_MODES,
    client_id_of,
    plain,
    rows_of,
    symbol_of,
    word,
    yes,
)
from guardd.venues.rows import Row, as_row

PAGE_ROWS: Final = 100
"""The longest page of a list; a full one is followed by the next (11.9)."""
_SIDES: Final = {"buy": Side.LONG, "sell": Side.SHORT}
_WITH_FILLS: Final = frozenset({"filled", "partially_filled"})
_SYSTEM_CLOSES: Final = ("burst", "reduce", "delivery", "offset", "dte_sys_adl")


class Aim(NamedTuple):
    """Which position an order is about, and whether it closes it."""

    side: Side
    closes: bool


class FillRow(Struct, frozen=True, kw_only=True):
    """One trade of ours, in base coin. In one-way mode it doesn't say whether it closed: a sale may have opened a short."""

    trade_id: str
    order_id: OrderId
    key: PositionKey
    closes: bool
    one_way: bool
    price: Decimal
    size: Decimal
    realized_pnl: Decimal
    at_ms: int

    def reduced(self, key: PositionKey) -> bool:
        """True when it took something from this position."""
        if self.key.symbol != key.symbol:
            return False
        if self.closes:
            return self.key.side is key.side
        return self.one_way and self.key.side is not key.side


class Page(NamedTuple):
    """How many rows a page had, and the id that the next one is asked below: the smallest of them (12.7)."""

    rows: int
    below: str | None

    @property
    def full(self) -> bool:
        return self.rows >= PAGE_ROWS and self.below is not None


def resting_orders(account: AccountName, data: object) -> tuple[RestingOrder, ...]:
    """Orders of orders-pending: to be in the list is what makes one rest."""
    return tuple(_resting(account, row) for row in rows_of("orders-pending.data", data, "entrustedList"))


def order_report(data: object) -> OrderReport:
    return _report(as_row("order.detail.data", data), "state")


def reports(data: object) -> tuple[OrderReport, ...]:
    """Orders of orders-history, where the state is called `status` (11.9)."""
    return tuple(_report(row, "status") for row in rows_of("orders-history.data", data, "entrustedList"))


def fills(account: AccountName, data: object) -> tuple[FillRow, ...]:
    return tuple(_fill(account, row) for row in rows_of("fills.data", data, "fillList"))


def page_of(data: object, name: str, id_name: str) -> Page:
    """`endId` may be missing (quirk 9): the smallest id of the page says where the next one begins."""
    ids = [row.order_id(id_name) for row in rows_of("page.data", data, name)]
    return Page(len(ids), min(ids, key=_by_number) if ids else None)


def matching(found: Iterable[OrderReport], *, client_id: str | None, order_id: str | None) -> OrderReport | None:
    """The newest of an id, as the lists come newest first: a finished order frees its client id for another (11.3)."""
    for report in found:
        if order_id is not None and report.order_id == order_id:
            return report
        if order_id is None and client_id is not None and report.client_id == client_id:
            return report
    return None


def aim_of(row: Row) -> Aim:
    """In hedge mode `side` is the direction of the position; in one-way mode that of the transaction (11.1)."""
    bought = word(row, "side", _SIDES)
    trade_side = plain(row, "tradeSide")
    if is_one_way(row):
        closes = yes(row, "reduceOnly") or trade_side.startswith(_SYSTEM_CLOSES)
        return Aim(bought.opposite if closes else bought, closes)
    stated = plain(row, "posSide")
    return Aim(HOLD_SIDES.get(stated, bought), "close" in trade_side)


def is_one_way(row: Row) -> bool:
    """By the row's own mode; where it names none, `posSide` is `net` in one-way mode (5)."""
    stated = plain(row, "posMode")
    return (
        POSITION_MODES[stated] is PositionMode.ONE_WAY if stated in POSITION_MODES else plain(row, "posSide") == "net"
    )


def filled_of(row: Row, name: str, state: str) -> Decimal:
    """What was filled in all: `baseVolume` by REST, where the socket's is the last fill alone, and `accBaseVolume` there (13.7). A
    volume that isn't given is none only where neither the state nor an average price says otherwise: an order whose fill is unknown
    must not count as one that came to nothing (I7)."""
    filled = row.optional_number(name)
    if filled is None:
        if plain(row, state) in _WITH_FILLS or row.price("priceAvg") is not None:
            raise row.wrong(name, "what was filled, as the state or the average price says that something was")
        return Decimal(0)
    if not 0 <= filled <= row.zero_or_more("size"):
        raise row.wrong(name, "not below zero and not more than the order's size")
    return filled


def kind_of(row: Row) -> RestingKind:
    return RestingKind.MARKET if plain(row, "orderType") == "market" else RestingKind.LIMIT


def _resting(account: AccountName, row: Row) -> RestingOrder:
    aim, kind = aim_of(row), kind_of(row)
    return RestingOrder(
        order_id=row.order_id("orderId"),
        client_id=client_id_of(row),
        key=PositionKey(account, symbol_of(row), aim.side),
        closes=aim.closes,
        kind=kind,
        price=row.price("price") if kind is RestingKind.LIMIT else None,
        size=row.zero_or_more("size"),
        filled=filled_of(row, "baseVolume", "status"),
        created_ms=row.milliseconds("cTime"),
    )


def _report(row: Row, state: str) -> OrderReport:
    return OrderReport(
        order_id=row.order_id("orderId"),
        client_id=client_id_of(row),
        size=row.zero_or_more("size"),
        filled=filled_of(row, "baseVolume", state),
        average_price=row.price("priceAvg"),
        live=word(row, state, ORDER_LIVES),
    )


def _fill(account: AccountName, row: Row) -> FillRow:
    """`side` of a fill in hedge mode is the position's by REST (19.37)."""
    aim = aim_of(row)
    return FillRow(
        trade_id=row.text("tradeId"),
        order_id=row.order_id("orderId"),
        key=PositionKey(account, symbol_of(row), aim.side),
        closes=aim.closes,
        one_way=is_one_way(row),
        price=row.above_zero("price"),
        size=row.zero_or_more("baseVolume"),
        realized_pnl=row.number("profit"),
        at_ms=row.milliseconds("cTime"),
    )


def _by_number(order_id: str) -> tuple[int, str]:
    """Ids are rising numbers written as text."""
    return (int(order_id), "") if order_id.isdigit() else (0, order_id)
