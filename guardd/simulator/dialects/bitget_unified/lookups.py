"""Looking orders, fills and strategy orders' children up. UTA reference, 9.8 and 9.9."""

from collections.abc import Iterable

from guardd.simulator.dialects.bitget_common.arguments import Fields
from guardd.simulator.dialects.bitget_common.envelope import Json, Row
from guardd.simulator.dialects.bitget_common.gateway import Call
from guardd.simulator.dialects.bitget_unified import arguments, rows
from guardd.simulator.dialects.bitget_unified.codes import refuse
from guardd.simulator.dialects.bitget_unified.desk import Category, Desk
from guardd.simulator.dialects.bitget_unified.paging import paged
from guardd.simulator.dialects.bitget_unified.words import client_oid
from guardd.simulator.orders import Order, Plan
from guardd.simulator.refusals import Refused


def order_info(desk: Desk, call: Call) -> Json:
    """By either id; of a client id that was used again the newest. 25204 for an unknown one."""
    order_id, client = arguments.identity(call.query)
    query = desk.exchange.query
    everything = [*query.order_history(call.uid), *query.open_orders(call.uid)]
    named = [each for each in everything if _is(each, order_id, client)]
    if not named:
        raise refuse("25204")
    found = max(named, key=lambda each: int(each.order_id))
    return rows.order_row(found, query.contract(found.symbol), maker_of(desk, found))


def _is(order: Order, order_id: str, client: str) -> bool:
    return order.order_id == order_id if order_id else client_oid(order.order_id, order.client_id) == client


def maker_of(desk: Desk, order: Order) -> Plan | None:
    """The plan whose trigger made this order."""
    if not order.plan_id:
        return None
    try:
        return desk.exchange.query.plan(order.uid, plan_id=order.plan_id)
    except Refused:
        return None


def unfilled_orders(desk: Desk, call: Call) -> Json:
    """Every filter is optional, the category too."""
    query = call.query
    category = arguments.optional_category(query)
    resting = desk.exchange.query.open_orders(call.uid, arguments.optional_symbol(query) or None)
    found = [
        (int(each.order_id), rows.open_order_row(each, desk.exchange.query.contract(each.symbol), maker_of(desk, each)))
        for each in _within(resting, query, call.now_ms)
        if category in (None, desk.category(each.symbol))
    ]
    return paged(desk, query, found)


def history_orders(desk: Desk, call: Call) -> Json:
    query = call.query
    category = arguments.category(query, only=tuple(Category))
    past = desk.exchange.query.order_history(call.uid, arguments.optional_symbol(query) or None)
    found = [
        (int(each.order_id), rows.order_row(each, desk.exchange.query.contract(each.symbol), maker_of(desk, each)))
        for each in _within(past, query, call.now_ms)
        if desk.category(each.symbol) is category
    ]
    return paged(desk, query, found)


def _within(orders: Iterable[Order], query: Fields, now_ms: int) -> list[Order]:
    start_ms, end_ms = arguments.window(query, now_ms)
    return [each for each in orders if start_ms <= each.created_ms <= end_ms]


def fills(desk: Desk, call: Call) -> Json:
    query = call.query
    category, order_id = arguments.optional_category(query), query.optional_text("orderId")
    start_ms, end_ms = arguments.window(query, call.now_ms)
    found: list[tuple[int, Row]] = [
        (int(each.trade_id), rows.fill_row(each, desk.exchange.query.contract(each.symbol)))
        for each in desk.exchange.query.trades(call.uid, arguments.optional_symbol(query) or None)
        if start_ms <= each.at_ms <= end_ms
        and order_id in ("", each.order_id)
        and category in (None, desk.category(each.symbol))
    ]
    return paged(desk, query, found)
