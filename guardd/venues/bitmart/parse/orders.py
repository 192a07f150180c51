"""Private answers about orders: resting, waiting for a trigger, finished, filled (reference, section 9)."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from msgspec import Struct

from guardd.errors import PayloadError
from guardd.model.intent import is_ours, stop_direction
from guardd.model.names import AccountName, ClientId, OrderId, PositionKey, PriceType, Symbol
from guardd.model.order import (
    Direction,
    OrderReport,
    PlanForm,
    PlanOrder,
    ProtectionKind,
    RestingKind,
    RestingOrder,
)
from guardd.venues.bitmart.parse.words import (
    ORDER_SIDES,
    ORDER_TYPES,
    PRICE_TYPES,
    PRICE_WAYS,
    PROTECTIONS,
    TRAILING_TYPES,
    WORKING_STATES,
    OrderSide,
    number_word,
)
from guardd.venues.rows import Row, as_list, as_row, as_rows

PAGE_ROWS: Final = 100
"""A list with as many rows may be cut off: ask symbol by symbol (9.3)."""
PLAN_CHILD_PREFIX: Final = "PLAN_"
"""Client id of an order that a plan order gave birth to, followed by the plan order's id (quirk 13)."""
_WHOLE_POSITION: Final = 2
_SIZED: Final = 1


class FillRow(Struct, frozen=True, kw_only=True):
    """One trade of ours; `vol` in contracts."""

    trade_id: str
    order_id: OrderId
    key: PositionKey
    closes: bool
    price: Decimal
    size: Decimal
    realized_pnl: Decimal
    fee: Decimal
    at_ms: int


def may_be_cut_off(data: object) -> bool:
    return len(as_list("list", data)) >= PAGE_ROWS


def resting_orders(account: AccountName, data: object) -> tuple[RestingOrder, ...]:
    """Orders of get-open-orders: to be in the list is what makes one open, whatever its `state` says (quirk 8)."""
    return tuple(_resting(account, row) for row in as_rows("get-open-orders.data", data))


def plan_orders(account: AccountName, data: object) -> tuple[PlanOrder, ...]:
    """Orders of current-plan-order; membership is the test here too (9.4)."""
    return tuple(_plan(account, row) for row in as_rows("current-plan-order.data", data))


def order_report(data: object) -> OrderReport:
    return _report(as_row("order.data", data))


def reports(data: object) -> tuple[OrderReport, ...]:
    """Orders of order-history."""
    return tuple(_report(row) for row in as_rows("order-history.data", data))


def report_of_resting(order: RestingOrder) -> OrderReport:
    return OrderReport(
        order_id=order.order_id,
        client_id=order.client_id,
        size=order.size,
        filled=order.filled,
        average_price=None,
        live=True,
    )


def report_of_plan(order: PlanOrder) -> OrderReport:
    """A plan order that waits: nothing of it is filled. Size 0 stands for the whole position."""
    return OrderReport(
        order_id=order.order_id,
        client_id=order.client_id,
        size=order.size or Decimal(0),
        filled=Decimal(0),
        average_price=None,
        live=True,
    )


def matching_report(
    found: Iterable[OrderReport], *, client_id: ClientId | None, order_id: OrderId | None
) -> OrderReport | None:
    """The order that was asked for; else the one that a plan order with that id gave birth to."""
    child = None if order_id is None else f"{PLAN_CHILD_PREFIX}{order_id}"
    born = None
    for report in found:
        if (order_id is not None and report.order_id == order_id) or (
            client_id is not None and report.client_id == client_id
        ):
            return report
        if child is not None and report.client_id == child:
            born = report
    return born


def fills(account: AccountName, data: object) -> tuple[FillRow, ...]:
    return tuple(_fill(account, row) for row in as_rows("trades.data", data))


def client_id_of(row: Row) -> ClientId | None:
    text = row.optional_text("client_order_id")
    return None if text is None else ClientId(text)


def key_of(account: AccountName, row: Row) -> tuple[PositionKey, bool]:
    """Which position an order is about, and whether it closes it."""
    side: OrderSide = number_word(row, "side", ORDER_SIDES)
    return PositionKey(account, row.symbol(), side.side), side.closes


def kind_of(row: Row, price: Decimal | None) -> RestingKind:
    """What an order is in the book; forced and triggered ones are told apart by whether they have a price."""
    kind = row.text("type").lower()
    if kind not in ORDER_TYPES:
        raise row.wrong("type", f"one of {', '.join(sorted(ORDER_TYPES))}")
    if kind in TRAILING_TYPES:
        return RestingKind.TRAILING
    if kind == "limit":
        return RestingKind.LIMIT
    return RestingKind.MARKET if kind == "market" or price is None else RestingKind.LIMIT


def _resting(account: AccountName, row: Row) -> RestingOrder:
    key, closes = key_of(account, row)
    price = row.price("price")
    kind = kind_of(row, price)
    return RestingOrder(
        order_id=row.order_id("order_id"),
        client_id=client_id_of(row),
        key=key,
        closes=closes,
        kind=kind,
        price=price if kind is RestingKind.LIMIT else None,
        size=row.contracts("size"),
        filled=_filled(row),
        created_ms=row.milliseconds("create_time"),
    )


def _plan(account: AccountName, row: Row) -> PlanOrder:
    key, closes = key_of(account, row)
    trigger = row.above_zero("trigger_price")
    named = PROTECTIONS.get(row.text("type").lower())
    form = _form(row, named)
    direction = _direction(row, key, named)
    return PlanOrder(
        order_id=row.order_id("order_id"),
        client_id=client_id_of(row),
        key=key,
        protection=(named or _protection(key, direction)) if closes else None,
        form=form,
        direction=direction,
        trigger_price=trigger,
        price_type=PRICE_TYPES.get(row.optional_integer("price_type") or 0, PriceType.LAST),
        execution_price=_execution_price(row, trigger),
        size=None if form is PlanForm.WHOLE else row.contracts("size"),
        created_ms=row.milliseconds("create_time"),
    )


def _form(row: Row, named: ProtectionKind | None) -> PlanForm:
    if named is None:
        return PlanForm.PLAN
    category = row.optional_integer("plan_category")
    if category == _SIZED:
        return PlanForm.SIZED
    if category == _WHOLE_POSITION:
        return PlanForm.WHOLE
    # Not said: if it has a size, take it for covering that size only, which can't overrate the protection.
    return PlanForm.SIZED if row.optional_number("size") else PlanForm.WHOLE


def _direction(row: Row, key: PositionKey, named: ProtectionKind | None) -> Direction:
    way = row.optional_integer("price_way")
    if way is not None and way in PRICE_WAYS:
        return PRICE_WAYS[way]
    if named is None:
        raise row.wrong("price_way", "1 or 2")
    return stop_direction(key, named)


def _protection(key: PositionKey, direction: Direction) -> ProtectionKind:
    """What a plain conditional order that closes is to its position: by the way its price has to go."""
    is_stop = direction is stop_direction(key, ProtectionKind.STOP_LOSS)
    return ProtectionKind.STOP_LOSS if is_stop else ProtectionKind.TAKE_PROFIT


def _execution_price(row: Row, trigger: Decimal) -> Decimal | None:
    """None: market. A price equal to the trigger may be the venue's other way of saying market (11.1, form B): believed
    where the row says so, or where the order is ours, for we place no other. Anybody else's counts as a limit, and so does one that
    doesn't say: market is `0` or a word, and a field that is missing promises nothing."""
    name = "executive_price" if "executive_price" in row.fields else "execution_price"
    price = row.price(name)
    category, ours = row.get("category"), is_ours(client_id_of(row))
    if category == "market" or (price == trigger and category is None and ours):
        return None
    return trigger if not ours and row.absent(name) else price


def _report(row: Row) -> OrderReport:
    return OrderReport(
        order_id=row.order_id("order_id"),
        client_id=client_id_of(row),
        size=row.contracts("size"),
        filled=_filled(row),
        average_price=row.price("deal_avg_price"),
        live=number_word(row, "state", WORKING_STATES),
    )


def _filled(row: Row) -> Decimal:
    """Contracts filled; never more than the order's size."""
    filled = row.contracts("deal_size")
    if filled > row.contracts("size"):
        raise PayloadError(where=f"{row.where}.deal_size", found=str(filled), expected="not more than the order's size")
    return filled


def _fill(account: AccountName, row: Row) -> FillRow:
    key, closes = key_of(account, row)
    return FillRow(
        trade_id=row.order_id("trade_id"),
        order_id=row.order_id("order_id"),
        key=key,
        closes=closes,
        price=row.above_zero("price"),
        size=row.contracts("vol"),
        realized_pnl=row.number("realised_profit"),
        fee=row.number("paid_fees"),
        at_ms=row.milliseconds("create_time"),
    )


def symbols_of(orders: Iterable[RestingOrder | PlanOrder]) -> frozenset[Symbol]:
    return frozenset(order.key.symbol for order in orders)
