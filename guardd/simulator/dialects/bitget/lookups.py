"""Orders and fills, pending and past. Bitget reference, 11.8 and 11.9."""

from collections.abc import Iterable

from guardd.simulator.dialects.bitget import rows
from guardd.simulator.dialects.bitget.desk import Desk
from guardd.simulator.dialects.bitget.lists import page
from guardd.simulator.dialects.bitget.orders import find
from guardd.simulator.dialects.bitget.words import client_oid, order_source, order_state
from guardd.simulator.dialects.bitget_common.arguments import Fields
from guardd.simulator.dialects.bitget_common.envelope import Json, Row
from guardd.simulator.dialects.bitget_common.gateway import Call
from guardd.simulator.orders import Order

_WEEK_DAYS = 7


def detail(desk: Desk, call: Call) -> Json:
    return rows.detail_row(desk, find(desk, call, call.query, "40109"))


def orders_pending(desk: Desk, call: Call) -> Json:
    """Plan orders aren't here; an empty list is null (quirk 9)."""
    query = call.query
    state = query.word("status", "", "live", "partially_filled")
    wanted = [
        rows.pending_row(desk, order)
        for order in _of(desk, query, desk.exchange.query.open_orders(call.uid, desk.optional_symbol(query)))
        if state in ("", order_state(order))
    ]
    return page(query, wanted, "entrustedList", call.now_ms, null_when_empty=True)


def orders_history(desk: Desk, call: Call) -> Json:
    query = call.query
    source = query.optional_text("orderSource")
    past = desk.exchange.query.order_history(call.uid, desk.optional_symbol(query))
    wanted = [
        rows.history_row(desk, order)
        for order in sorted(_of(desk, query, past), key=lambda order: int(order.order_id))
        if source in ("", order_source(order, rows.origin_type(desk, order)))
    ]
    return page(query, wanted, "entrustedList", call.now_ms, null_when_empty=True)


def _of(desk: Desk, query: Fields, orders: Iterable[Order]) -> list[Order]:
    """Those of the product type that the ids, if any, name."""
    product = desk.product(query)
    order_id, name = query.optional_text("orderId"), query.optional_text("clientOid")
    return [
        order
        for order in orders
        if desk.of_product(order.symbol, product)
        and order_id in ("", order.order_id)
        and (order_id or name in ("", client_oid(order, order.order_id)))
    ]


def fills(desk: Desk, call: Call) -> Json:
    return page(call.query, _fill_rows(desk, call), "fillList", call.now_ms, id_name="tradeId", null_when_empty=True)


def fill_history(desk: Desk, call: Call) -> Json:
    """The same, with the margin coin, a week at most."""
    wanted: list[Row] = []
    for row in _fill_rows(desk, call):
        coin = desk.exchange.query.contract(str(row["symbol"])).coin
        wanted.append({**row, "marginCoin": coin})
    return page(
        call.query, wanted, "fillList", call.now_ms, span_days=_WEEK_DAYS, id_name="tradeId", null_when_empty=True
    )


def _fill_rows(desk: Desk, call: Call) -> list[Row]:
    query = call.query
    product, order_id = desk.product(query), query.optional_text("orderId")
    return [
        rows.fill_row(desk, trade)
        for trade in desk.exchange.query.trades(call.uid, desk.optional_symbol(query))
        if desk.of_product(trade.symbol, product) and order_id in ("", trade.order_id)
    ]
