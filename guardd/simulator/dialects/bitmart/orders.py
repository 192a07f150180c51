"""Orders: placing, changing, cancelling, looking up. Reference sections 9 and 10."""

from collections.abc import Iterable
from decimal import Decimal

from guardd.simulator.dialects.bitmart import rows
from guardd.simulator.dialects.bitmart.arguments import Body, Query
from guardd.simulator.dialects.bitmart.desk import Call, Desk
from guardd.simulator.dialects.bitmart.envelope import Json, Success, VenueError
from guardd.simulator.dialects.bitmart.rows import number
from guardd.simulator.faults import FaultKind
from guardd.simulator.orders import MarginMode, Order, OrderKind, OrderRequest, PlanKind, Preset, TimeInForce
from guardd.simulator.refusals import RefusalReason, Refused

NOT_ENOUGH = "You contract account available balance not enough."
MARKET_PRICE_WORDS = "market price"
TIMEOUT_MIN_S = 5
_DAY_S = 86_400
_HISTORY_DEFAULT_S, _HISTORY_SPAN_MAX_S, _HISTORY_ROWS_MAX = 7 * _DAY_S, 90 * _DAY_S, 200
_OPEN_DEFAULT, _OPEN_MAX = 100, 100
_ACCOUNTS = ("futures", "copy_trading")


def submit_order(desk: Desk, call: Call) -> Success:
    request = _order_request(desk, call.body)
    try:
        order = desk.exchange.place(call.uid, request, call.now_ms)
    except Refused as refusal:
        if refusal.reason is RefusalReason.INSUFFICIENT_BALANCE:
            raise VenueError(40012, NOT_ENOUGH) from refusal  # captured: not 40027 on this call
        raise
    price = MARKET_PRICE_WORDS if order.kind is OrderKind.MARKET else number(order.price)
    return Success(data={"order_id": int(order.order_id), "price": price})


def _order_request(desk: Desk, body: Body) -> OrderRequest:
    symbol = desk.contract(body.text("symbol")).symbol
    side, reduce = rows.SIDES[body.code("side", *rows.SIDES)]
    kind = OrderKind(body.choice("type", "limit", "market", default="limit"))
    mode = rows.MODES[body.code("mode", *rows.MODES, default=1)]
    body.code("stp_mode", 1, 2, 3, default=1)
    price = None
    if kind is OrderKind.MARKET:
        if body.has("price"):
            raise body.refuse("price")  # even null (reference 10.1)
        if mode is TimeInForce.MAKER_ONLY:
            raise body.refuse("mode")
    else:
        price = positive(body, "price")
    leverage, mode_of_margin = body.optional_decimal("leverage"), margin_mode(body)
    if not reduce and (leverage is None or mode_of_margin is None):
        raise body.refuse("leverage and open_type belong to an opening order")
    take_profit, stop_loss = read_presets(body)
    if reduce and (take_profit or stop_loss):
        raise body.refuse("preset prices are for opening orders")
    return OrderRequest(
        symbol=symbol,
        side=side,
        size=Decimal(body.integer("size")),
        reduce=reduce,
        kind=kind,
        price=price,
        time_in_force=mode,
        leverage=leverage,
        margin_mode=mode_of_margin,
        client_id=body.client_id(),
        take_profit=take_profit,
        stop_loss=stop_loss,
    )


def positive(body: Body, name: str) -> Decimal:
    price = body.decimal(name)
    if price <= 0:
        raise body.refuse(name)
    return price


def margin_mode(body: Body) -> MarginMode | None:
    word = body.optional_text("open_type")
    if word not in ("", "cross", "isolated"):
        raise VenueError(40045)
    return MarginMode(word) if word else None


def read_presets(body: Body) -> tuple[Preset | None, Preset | None]:
    """Take-profit and stop-loss that an opening order brings along."""
    return _preset(body, "take_profit"), _preset(body, "stop_loss")


def _preset(body: Body, kind: str) -> Preset | None:
    source = rows.PRICE_TYPES[body.code(f"preset_{kind}_price_type", *rows.PRICE_TYPES, default=1)]
    price = body.optional_decimal(f"preset_{kind}_price")
    if price is None:
        return None
    if price <= 0:
        raise body.refuse(f"preset_{kind}_price")
    return Preset(trigger_price=price, source=source)


def modify_limit_order(desk: Desk, call: Call) -> Success:
    """The one write that wants an integer order_id (quirk 23)."""
    body = call.body
    symbol = desk.contract(body.text("symbol")).symbol
    named = body.optional_integer("order_id")
    client_id = body.client_id()
    if named is None and not client_id:
        raise body.refuse("order_id")
    price = positive(body, "price") if body.has("price") else None
    size = body.optional_integer("size")
    if price is None and size is None:
        raise body.refuse("price")
    order = _find(desk, call.uid, symbol, str(named) if named is not None else "", client_id)
    changed = desk.exchange.modify_order(
        call.uid, order.order_id, call.now_ms, price=price, size=None if size is None else Decimal(size)
    )
    return Success(data={"order_id": int(changed.order_id), "client_order_id": changed.client_id})


def cancel_order(desk: Desk, call: Call) -> Success:
    """With neither id every order of the symbol is cancelled (quirk 16)."""
    body = call.body
    symbol = desk.contract(body.text("symbol")).symbol
    order_id, client_id = body.optional_text("order_id"), body.optional_text("client_order_id")
    if not order_id and not client_id:
        desk.exchange.cancel_all(call.uid, symbol, call.now_ms)
    else:
        order = _find(desk, call.uid, symbol, order_id, client_id)
        desk.exchange.cancel(call.uid, order.order_id, call.now_ms)
    return cancelled(desk, call)


def cancel_orders(desk: Desk, call: Call) -> Success:
    symbol = desk.contract(call.body.text("symbol")).symbol
    desk.exchange.cancel_all(call.uid, symbol, call.now_ms)
    return cancelled(desk, call)


def cancelled(desk: Desk, call: Call) -> Success:
    """`{}`, or no `data` at all (quirk 20)."""
    fault = desk.faults.strikes(FaultKind.CANCEL_WITHOUT_DATA, call.now_ms, target=call.request.path, account=call.uid)
    return Success(data={}, bare=fault is not None)


def cancel_all_after(desk: Desk, call: Call) -> Success:
    body = call.body
    symbol = desk.contract(body.text("symbol")).symbol
    timeout_s = body.integer("timeout")
    if timeout_s != 0 and timeout_s < TIMEOUT_MIN_S:
        raise body.refuse("timeout")
    due_ms = call.now_ms + timeout_s * 1000 if timeout_s else None
    desk.exchange.arm_cancel_all(call.uid, symbol, due_ms, call.now_ms)
    set_s = call.now_ms // 1000
    return Success(data={"result": True, "set_time": set_s, "cancel_time": set_s + timeout_s if timeout_s else 0})


def _find(desk: Desk, uid: str, symbol: str, order_id: str, client_id: str) -> Order:
    """One order of this symbol; 40037 for an unknown id, 40035 for an unknown client id."""
    try:
        order = desk.exchange.query.order(uid, order_id=order_id, client_id=client_id)
    except Refused as refusal:
        raise VenueError(40037 if order_id else 40035) from refusal
    if order.symbol != symbol:
        raise VenueError(40037 if order_id else 40035)
    return order


def order(desk: Desk, call: Call) -> Success:
    query = call.query
    symbol = desk.contract(query.required("symbol")).symbol
    found = _find(desk, call.uid, symbol, query.required("order_id"), "")
    return Success(data=rows.order_row(found))


def get_open_orders(desk: Desk, call: Call) -> Success:
    """Plan and TP/SL orders are not here; trailing ones are, with type=trailing (reference 9.3)."""
    query = call.query
    symbol = _optional_symbol(desk, query)
    kind = query.choice("type", "", "limit", "market", "trailing", default="")
    state = query.choice("order_state", "all", "partially_filled", default="all")
    limit = query.integer("limit", default=_OPEN_DEFAULT, low=1, high=_OPEN_MAX)
    if kind == "trailing":
        plans = desk.exchange.query.open_plans(call.uid, symbol)
        trailing = [rows.trailing_row(plan) for plan in plans if plan.kind is PlanKind.TRAILING]
        return Success(data=trailing[::-1][:limit])
    working = [
        rows.open_order_row(each)
        for each in desk.exchange.query.open_orders(call.uid, symbol)
        if kind in ("", rows.ORDER_TYPES[each.kind]) and (state == "all" or each.filled)
    ]
    return Success(data=working[::-1][:limit])


def _optional_symbol(desk: Desk, query: Query) -> str | None:
    symbol = query.text("symbol")
    return desk.contract(symbol).symbol if symbol else None


def current_plan_order(desk: Desk, call: Call) -> Success:
    query = call.query
    symbol = _optional_symbol(desk, query)
    execution = query.choice("type", "", "limit", "market", default="")
    wanted = query.choice("plan_type", "", "plan", "profit_loss", default="")
    limit = query.integer("limit", default=_OPEN_DEFAULT, low=1, high=_OPEN_MAX)
    data: list[Json] = []
    for plan in desk.exchange.query.open_plans(call.uid, symbol):
        if plan.kind is PlanKind.TRAILING:
            continue
        family = "plan" if plan.kind is PlanKind.CONDITIONAL else "profit_loss"
        executes = "market" if plan.limit_price is None else "limit"
        if wanted in ("", family) and execution in ("", executes):
            view = desk.exchange.query.position(call.uid, plan.symbol, plan.position_side)
            data.append(rows.plan_row(plan, view.size if view else Decimal(0)))
    return Success(data=data[::-1][:limit])


def order_history(desk: Desk, call: Call) -> Success:
    """Finished orders, newest first; times in seconds. The documented way to look up a client id (reference 9.2)."""
    query = call.query
    symbol = desk.contract(query.required("symbol")).symbol
    start_ms, end_ms = _window_ms(query, call.now_ms)
    order_id, client_id = query.text("order_id"), query.text("client_order_id")
    if query.choice("account", *_ACCOUNTS, default="futures") == "copy_trading":
        return Success(data=[])
    found = (
        each
        for each in reversed(desk.exchange.query.order_history(call.uid, symbol))
        if start_ms <= each.created_ms <= end_ms
        and order_id in ("", each.order_id)
        and client_id in ("", rows.client_order_id(each))
    )
    return Success(data=_first(map(rows.history_row, found)))


def trades(desk: Desk, call: Call) -> Success:
    query = call.query
    symbol = _optional_symbol(desk, query)
    start_ms, end_ms = _window_ms(query, call.now_ms)
    named = query.integer("order_id", default=0)
    client_id = query.text("client_order_id")
    if query.choice("account", *_ACCOUNTS, default="futures") == "copy_trading":
        return Success(data=[])
    found = (
        each
        for each in reversed(desk.exchange.query.trades(call.uid, symbol))
        if start_ms <= each.at_ms <= end_ms
        and (not named or each.order_id == str(named))
        and client_id in ("", each.client_id)
    )
    return Success(data=_first(map(rows.trade_row, found)))


def _window_ms(query: Query, now_ms: int) -> tuple[int, int]:
    """Seconds in, milliseconds out; the end second counts whole. At most 90 days, 7 by default."""
    end_s = query.integer("end_time", default=now_ms // 1000)
    start_s = query.integer("start_time", default=end_s - _HISTORY_DEFAULT_S)
    given = query.text("start_time") and query.text("end_time")
    if end_s < start_s or (given and end_s == start_s) or end_s - start_s > _HISTORY_SPAN_MAX_S:
        raise VenueError(40039)
    return start_s * 1000, end_s * 1000 + 999


def _first(found: Iterable[rows.Row]) -> list[rows.Row]:
    return [row for row, _ in zip(found, range(_HISTORY_ROWS_MAX), strict=False)]


def position_missing(refusal: Refused) -> bool:
    return refusal.reason in (RefusalReason.POSITION_NOT_EXIST, RefusalReason.POSITION_CLOSED)
