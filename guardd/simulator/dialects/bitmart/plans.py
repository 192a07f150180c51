"""Plan orders, take-profit and stop-loss, trailing orders: reference section 11."""

from decimal import Decimal

from guardd.simulator.dialects.bitmart import rows
from guardd.simulator.dialects.bitmart.arguments import Body
from guardd.simulator.dialects.bitmart.desk import Call, Desk
from guardd.simulator.dialects.bitmart.envelope import Success, VenueError
from guardd.simulator.dialects.bitmart.orders import cancelled, margin_mode, position_missing, positive, read_presets
from guardd.simulator.orders import Direction, OrderKind, Plan, PlanKind, PlanRequest
from guardd.simulator.refusals import Refused

_DIRECTIONS = {1: Direction.RISE, 2: Direction.FALL}
_TPSL = {"take_profit": PlanKind.TAKE_PROFIT, "stop_loss": PlanKind.STOP_LOSS}
_CLOSING_SIDES = (2, 3)
_SIZED, _WHOLE = 1, 2  # plan_category
_CALLBACK_MIN, _CALLBACK_MAX = Decimal("0.1"), Decimal(5)  # percent (reference 11.7)
_PERCENT = Decimal(100)


def submit_tp_sl_order(desk: Desk, call: Call) -> Success:
    body = call.body
    symbol = desk.contract(body.text("symbol")).symbol
    kind = _TPSL[body.choice("type", *_TPSL)]
    side, reduce = rows.SIDES[body.code("side", *_CLOSING_SIDES)]
    category = body.code("plan_category", _SIZED, _WHOLE, default=_WHOLE)
    size = body.optional_integer("size")
    if category == _WHOLE and size is not None:
        raise VenueError(40011, "Invalid parameter: size")  # quirk 17
    trigger = positive(body, "trigger_price")
    request = PlanRequest(
        symbol=symbol,
        kind=kind,
        side=side,
        reduce=reduce,
        trigger_price=trigger,
        source=rows.PRICE_TYPES[body.code("price_type", *rows.PRICE_TYPES)],
        size=None if size is None else Decimal(size),
        limit_price=_tpsl_limit(body, category),
        client_id=body.client_id(),
    )
    try:
        plan = desk.exchange.place_plan(call.uid, request, call.now_ms)
    except Refused as refusal:
        if position_missing(refusal):
            raise VenueError(40012, "Position does not exist") from refusal  # a text, no code of its own (quirk 18)
        raise
    return Success(data={"order_id": plan.plan_id, "client_order_id": plan.client_id})


def _tpsl_limit(body: Body, category: int) -> Decimal | None:
    """The execution price, None for market.

    Form A: `executive_price` "0" and no `category`. Form B: `category` market, `executive_price` absent or whatever
    (reference 11.1). Without `category` a position TP/SL executes at market, a sized one at its `executive_price`.
    """
    word = body.choice("category", "", "limit", "market")
    price = body.optional_decimal("executive_price")
    if price is None and word != "market":
        raise body.refuse("executive_price")
    if price is not None and price < 0:
        raise body.refuse("executive_price")
    if word == "market" or not price or (category == _WHOLE and not word):
        return None
    return price


def modify_tp_sl_order(desk: Desk, call: Call) -> Success:
    body = call.body
    plan = _named(desk, call, body)
    if plan.kind not in _TPSL.values():
        raise VenueError(40037)
    category = body.code("plan_category", _SIZED, _WHOLE, default=_WHOLE if plan.whole_position else _SIZED)
    if category == _SIZED and not body.optional_text("executive_price"):
        raise body.refuse("executive_price")
    body.choice("category", "", "limit", "market")
    price = body.optional_decimal("executive_price")
    changed = desk.exchange.modify_plan(
        call.uid,
        plan.plan_id,
        call.now_ms,
        trigger_price=positive(body, "trigger_price"),
        source=rows.PRICE_TYPES[body.code("price_type", *rows.PRICE_TYPES)],
        limit_price=price if price and plan.limit_price is not None else None,
    )
    return Success(data={"order_id": changed.plan_id})


def submit_plan_order(desk: Desk, call: Call) -> Success:
    plan = desk.exchange.place_plan(call.uid, _plan_request(desk, call.body), call.now_ms)
    return Success(data={"order_id": int(plan.plan_id)})


def _plan_request(desk: Desk, body: Body) -> PlanRequest:
    symbol = desk.contract(body.text("symbol")).symbol
    side, reduce = rows.SIDES[body.code("side", *rows.SIDES)]
    word = body.choice("type", "limit", "market", *_TPSL, default="limit")
    body.code("plan_category", _SIZED, _WHOLE, default=_SIZED)
    executive = body.optional_decimal("executive_price")
    if word == "limit" and not executive:
        raise body.refuse("executive_price")
    open_type = margin_mode(body)
    if open_type is None:
        raise body.refuse("open_type")
    take_profit, stop_loss = read_presets(body)
    return PlanRequest(
        symbol=symbol,
        kind=_TPSL.get(word, PlanKind.CONDITIONAL),
        side=side,
        reduce=reduce,
        trigger_price=positive(body, "trigger_price"),
        source=rows.PRICE_TYPES[body.code("price_type", *rows.PRICE_TYPES)],
        direction=_DIRECTIONS[body.code("price_way", *_DIRECTIONS)],
        size=Decimal(body.integer("size")),
        limit_price=None if word == "market" or not executive else executive,
        time_in_force=rows.MODES[body.code("mode", *rows.MODES, default=1)],
        leverage=body.decimal("leverage"),
        margin_mode=open_type,
        take_profit=take_profit,
        stop_loss=stop_loss,
    )


def modify_plan_order(desk: Desk, call: Call) -> Success:
    """By order_id only: client ids were removed from this call (reference 11.6)."""
    body = call.body
    symbol = desk.contract(body.text("symbol")).symbol
    plan = _plan(desk, call.uid, symbol, body.text("order_id"), "")
    word = body.choice("type", "limit", "market")
    executive = body.optional_decimal("executive_price")
    if word == "limit" and not executive:
        raise body.refuse("executive_price")
    changed = desk.exchange.modify_plan(
        call.uid,
        plan.plan_id,
        call.now_ms,
        trigger_price=positive(body, "trigger_price"),
        source=rows.PRICE_TYPES[body.code("price_type", *rows.PRICE_TYPES)],
        limit_price=executive if word == "limit" else None,
    )
    return Success(data={"order_id": changed.plan_id})


def modify_preset_plan_order(desk: Desk, call: Call) -> Success:
    """Changes the TP/SL that an unfilled order brings along; what is left out stays."""
    body = call.body
    symbol = desk.contract(body.text("symbol")).symbol
    take_profit, stop_loss = read_presets(body)
    if take_profit is None and stop_loss is None:
        raise body.refuse("preset prices")
    order = desk.exchange.query.order(call.uid, order_id=body.text("order_id"))
    if order.symbol != symbol or order.kind is not OrderKind.LIMIT:
        raise VenueError(40037)
    changed = desk.exchange.modify_presets(
        call.uid, order.order_id, call.now_ms, take_profit=take_profit, stop_loss=stop_loss
    )
    return Success(data={"order_id": changed.order_id})


def cancel_plan_order(desk: Desk, call: Call) -> Success:
    """TP/SL too. Without any id every plan order of the symbol goes, stops included (reference 11.5)."""
    body = call.body
    symbol = desk.contract(body.text("symbol")).symbol
    order_id, client_id = body.optional_text("order_id"), body.optional_text("client_order_id")
    if order_id or client_id:
        plan = _plan(desk, call.uid, symbol, order_id, client_id)
        desk.exchange.cancel_plan(call.uid, plan.plan_id, call.now_ms)
    else:
        for plan in desk.exchange.query.open_plans(call.uid, symbol):
            if plan.kind is not PlanKind.TRAILING:
                desk.exchange.cancel_plan(call.uid, plan.plan_id, call.now_ms)
    return cancelled(desk, call)


def submit_trail_order(desk: Desk, call: Call) -> Success:
    body = call.body
    symbol = desk.contract(body.text("symbol")).symbol
    side, reduce = rows.SIDES[body.code("side", *rows.SIDES)]
    callback = positive(body, "callback_rate")
    if not _CALLBACK_MIN <= callback <= _CALLBACK_MAX:
        raise body.refuse("callback_rate")
    open_type = margin_mode(body)
    if open_type is None:
        raise body.refuse("open_type")
    request = PlanRequest(
        symbol=symbol,
        kind=PlanKind.TRAILING,
        side=side,
        reduce=reduce,
        trigger_price=positive(body, "activation_price"),
        source=rows.PRICE_TYPES[body.code("activation_price_type", *rows.PRICE_TYPES)],
        size=Decimal(body.integer("size")),
        leverage=body.decimal("leverage"),
        margin_mode=open_type,
        callback_rate=callback / _PERCENT,
    )
    plan = desk.exchange.place_plan(call.uid, request, call.now_ms)
    return Success(data={"order_id": int(plan.plan_id)})


def cancel_trail_order(desk: Desk, call: Call) -> Success:
    body = call.body
    symbol = desk.contract(body.text("symbol")).symbol
    order_id = body.optional_text("order_id")
    live = [
        plan
        for plan in desk.exchange.query.open_plans(call.uid, symbol)
        if plan.kind is PlanKind.TRAILING and order_id in ("", plan.plan_id)
    ]
    if order_id and not live:
        raise VenueError(40037)
    for plan in live:
        desk.exchange.cancel_plan(call.uid, plan.plan_id, call.now_ms)
    return cancelled(desk, call)


def _named(desk: Desk, call: Call, body: Body) -> Plan:
    symbol = desk.contract(body.text("symbol")).symbol
    order_id, client_id = body.optional_text("order_id"), body.optional_text("client_order_id")
    if not order_id and not client_id:
        raise body.refuse("order_id")
    return _plan(desk, call.uid, symbol, order_id, client_id)


def _plan(desk: Desk, uid: str, symbol: str, order_id: str, client_id: str) -> Plan:
    """One plan of this symbol; 40037 for an unknown id, 40035 for an unknown client id."""
    try:
        plan = desk.exchange.query.plan(uid, plan_id=order_id, client_id=client_id)
    except Refused as refusal:
        raise VenueError(40037 if order_id else 40035) from refusal
    if plan.symbol != symbol:
        raise VenueError(40037 if order_id else 40035)
    return plan
