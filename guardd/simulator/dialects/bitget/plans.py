"""Take-profit, stop-loss, trigger and trailing orders. Bitget reference, 12."""

from collections.abc import Callable
from decimal import Decimal

from guardd.simulator.contracts import Contract
from guardd.simulator.dialects.bitget import rows
from guardd.simulator.dialects.bitget.checks import check_price, check_size
from guardd.simulator.dialects.bitget.desk import Desk
from guardd.simulator.dialects.bitget.lists import page
from guardd.simulator.dialects.bitget.orders import CLIENT_ID, is_missing, read_sense
from guardd.simulator.dialects.bitget.words import MARGIN_MODES, TRIGGER_TYPES, client_oid, plan_type
from guardd.simulator.dialects.bitget_common.arguments import Fields, client_id
from guardd.simulator.dialects.bitget_common.envelope import Json, Row, VenueError
from guardd.simulator.dialects.bitget_common.gateway import Call
from guardd.simulator.orders import (
    Direction,
    Order,
    OrderStatus,
    Plan,
    PlanKind,
    PlanRequest,
    PlanStatus,
    PositionMode,
    PositionSide,
    Preset,
    PriceSource,
)
from guardd.simulator.refusals import RefusalReason, Refused

POSITION_TYPES = {
    "profit_plan": PlanKind.TAKE_PROFIT,
    "loss_plan": PlanKind.STOP_LOSS,
    "moving_plan": PlanKind.TRAILING,
    "pos_profit": PlanKind.TAKE_PROFIT,
    "pos_loss": PlanKind.STOP_LOSS,
}
_TRIGGER_TYPES = ("normal_plan", "track_plan")
_CANCELLABLE = ("normal_plan", *POSITION_TYPES)  # track_plan isn't listed there (12.1)
_LISTED = ("normal_plan", "track_plan", "profit_loss")
_WHOLE = ("pos_profit", "pos_loss")
_PERCENT = Decimal(100)
_CALLBACK_MIN, _CALLBACK_MAX = Decimal("0.01"), Decimal(10)
_WRONG_SIDE = {
    (PlanKind.STOP_LOSS, PositionSide.LONG): "40917",
    (PlanKind.STOP_LOSS, PositionSide.SHORT): "45122",
    (PlanKind.TAKE_PROFIT, PositionSide.LONG): "40915",
    (PlanKind.TAKE_PROFIT, PositionSide.SHORT): "45061",
}
_EXISTS = {PlanKind.TAKE_PROFIT: "43030", PlanKind.STOP_LOSS: "43031"}
_DOCUMENTED_STATES = ("executed", "fail_execute", "cancelled")
_SUB_STATES = {OrderStatus.FILLED: "success", OrderStatus.CANCELLED: "cancelled", OrderStatus.WORKING: "in_progress"}


def place_tpsl_order(desk: Desk, call: Call) -> Json:
    body = call.body
    contract = desk.contract(body)
    desk.check_coin(body, contract)
    kind = body.word("planType", *POSITION_TYPES)
    side = hold_side(body, desk.position_mode(call.uid, desk.product(body)))
    request = PlanRequest(
        symbol=contract.symbol,
        kind=POSITION_TYPES[kind],
        side=side.closing,
        reduce=True,
        trigger_price=_price(contract, body, "triggerPrice"),
        source=TRIGGER_TYPES[body.word("triggerType", *TRIGGER_TYPES, default="fill_price")],
        size=_tpsl_size(contract, body, kind, "size"),
        limit_price=None if kind == "moving_plan" else _execution(contract, body, "executePrice"),
        client_id=client_id(body.optional_text("clientOid"), CLIENT_ID) or desk.new_id(),
        callback_rate=_rate(body, "rangeRate") if kind == "moving_plan" else None,
    )
    plan = place_protection(desk, call, request)
    if kind == "moving_plan":
        desk.memory.moving_plans.add(plan.plan_id)
    return {"orderId": plan.plan_id, "clientOid": plan.client_id}


def hold_side(body: Fields, mode: PositionMode) -> PositionSide:
    """`long` and `short` in hedge mode, `buy` and `sell` in one-way mode; the other words are 43011 (12.2)."""
    words = {
        PositionMode.HEDGE: {"long": PositionSide.LONG, "short": PositionSide.SHORT},
        PositionMode.ONE_WAY: {"buy": PositionSide.LONG, "sell": PositionSide.SHORT},
    }[mode]
    named = body.text("holdSide").lower()
    if named not in words:
        raise VenueError("43011", fill="holdSide error")
    return words[named]


def _price(contract: Contract, body: Fields, name: str) -> Decimal:
    price = body.decimal(name)
    check_price(contract, price)
    return price


def _execution(contract: Contract, body: Fields, name: str) -> Decimal | None:
    """Omitted: at market. `"0"` is documented and was refused (19.14)."""
    price = body.optional_decimal(name)
    if price is None:
        return None
    if price <= 0:
        raise VenueError("43011", fill=f"{name} <= 0")
    check_price(contract, price)
    return price


def _tpsl_size(contract: Contract, body: Fields, kind: str, name: str) -> Decimal | None:
    """The sized ones need it; for the whole position it means nothing: general clients send one all the same."""
    if kind in _WHOLE:
        return None
    size = body.decimal(name)
    check_size(contract, size, limit=True)
    return size


def _rate(body: Fields, name: str) -> Decimal:
    """A percentage."""
    rate = body.decimal(name)
    if rate < _CALLBACK_MIN:
        raise VenueError("43032")
    if rate > _CALLBACK_MAX:
        raise VenueError("43011", fill=f"{name} error")
    return rate / _PERCENT


def place_protection(desk: Desk, call: Call, request: PlanRequest) -> Plan:
    """Rest a TP or SL of a position that the venue has settled; else 43023 (12.2)."""
    try:
        return desk.exchange.place_plan(call.uid, request, call.now_ms)
    except Refused as refusal:
        raise _plan_error(refusal, request.kind, request.position_side) from refusal


def _plan_error(refusal: Refused, kind: PlanKind, side: PositionSide) -> VenueError:
    """A code of its own for each side and kind where there is one."""
    unsettled = (RefusalReason.VOLUME_NOT_ENOUGH, RefusalReason.POSITION_NOT_READY)
    if is_missing(refusal) or refusal.reason in unsettled:
        return VenueError("43023")
    if refusal.reason is RefusalReason.TRIGGER_WRONG_SIDE:
        return VenueError(_WRONG_SIDE[kind, side])
    if refusal.reason is RefusalReason.PLAN_EXISTS:
        return VenueError(_EXISTS[kind])
    if refusal.reason is RefusalReason.TOO_MANY_PLANS:
        return VenueError("40890")
    raise refusal


def place_pos_tpsl(desk: Desk, call: Call) -> Json:
    """Both legs or none; the answer's elements are the legs that were asked for, profit first (12.3)."""
    body = call.body
    contract = desk.contract(body)
    desk.check_coin(body, contract)
    side = hold_side(body, desk.position_mode(call.uid, desk.product(body)))
    legs = [each for each in ("stopSurplus", "stopLoss") if body.has(f"{each}TriggerPrice")]
    if not legs:
        raise VenueError("40913", fill="stopSurplusTriggerPrice or stopLossTriggerPrice")
    names = {each: client_id(body.optional_text(f"{each}ClientOid"), CLIENT_ID) for each in legs}
    placed: list[Plan] = []
    for leg in legs:
        sized = body.has(f"{leg}Size")
        request = PlanRequest(
            symbol=contract.symbol,
            kind=PlanKind.TAKE_PROFIT if leg == "stopSurplus" else PlanKind.STOP_LOSS,
            side=side.closing,
            reduce=True,
            trigger_price=_price(contract, body, f"{leg}TriggerPrice"),
            source=TRIGGER_TYPES[body.word(f"{leg}TriggerType", *TRIGGER_TYPES, default="fill_price")],
            size=_tpsl_size(contract, body, "loss_plan", f"{leg}Size") if sized else None,
            limit_price=_execution(contract, body, f"{leg}ExecutePrice"),
            client_id=names[leg] or desk.new_id(),
        )
        try:
            placed.append(place_protection(desk, call, request))
        except VenueError:
            for plan in placed:
                desk.exchange.cancel_plan(call.uid, plan.plan_id, call.now_ms)
            raise
    known: Row = {f"{each}ClientOid": plan.client_id for each, plan in zip(legs, placed, strict=True)}
    blank: Row = {"stopSurplusClientOid": "", "stopLossClientOid": ""}
    return [{"orderId": plan.plan_id, **blank, **known} for plan in placed]


def place_plan_order(desk: Desk, call: Call) -> Json:
    """An order that waits for a price; it may open, and in one-way mode it can't be reduce-only (22042)."""
    body = call.body
    contract = desk.contract(body)
    desk.check_coin(body, contract)
    mode = desk.position_mode(call.uid, desk.product(body))
    tracks = body.word("planType", *_TRIGGER_TYPES) == "track_plan"
    sense = read_sense(body, mode)
    if mode is PositionMode.ONE_WAY and sense.reduce:
        raise VenueError("22042")
    market = body.word("orderType", "limit", "market") == "market"
    if tracks and not market:
        raise VenueError("400172")
    size, trigger = body.decimal("size"), _price(contract, body, "triggerPrice")
    check_size(contract, size, limit=not market)
    source = TRIGGER_TYPES[body.word("triggerType", *TRIGGER_TYPES)]
    wanted = MARGIN_MODES[body.word("marginMode", *MARGIN_MODES)]
    request = PlanRequest(
        symbol=contract.symbol,
        kind=PlanKind.TRAILING if tracks else PlanKind.CONDITIONAL,
        side=sense.side,
        reduce=sense.reduce,
        trigger_price=trigger,
        source=source,
        direction=None if tracks else _direction(desk, contract, trigger, source),
        size=size,
        limit_price=None if market else _price(contract, body, "price"),
        margin_mode=wanted,
        client_id=client_id(body.optional_text("clientOid"), CLIENT_ID) or desk.new_id(),
        callback_rate=_rate(body, "callbackRatio") if tracks else None,
        take_profit=None if tracks else _attached(contract, body, "stopSurplus"),
        stop_loss=None if tracks else _attached(contract, body, "stopLoss"),
    )
    plan = desk.exchange.place_plan(call.uid, request, call.now_ms)
    return {"orderId": plan.plan_id, "clientOid": plan.client_id}


def _direction(desk: Desk, contract: Contract, trigger: Decimal, source: PriceSource) -> Direction:
    """It fires when the price comes to the trigger from where it is now."""
    quote = desk.exchange.query.quote(contract.symbol)
    if quote is None:
        raise VenueError("41113", fill=contract.symbol)
    price = quote.mark if source is PriceSource.MARK else quote.last
    return Direction.RISE if trigger > price else Direction.FALL


def _attached(contract: Contract, body: Fields, name: str) -> Preset | None:
    price = body.optional_decimal(f"{name}TriggerPrice")
    if not price:
        return None
    check_price(contract, price)
    source = body.word(f"{name}TriggerType", *TRIGGER_TYPES, default="fill_price")
    return Preset(trigger_price=price, source=TRIGGER_TYPES[source])


def modify_tpsl_order(desk: Desk, call: Call) -> Json:
    """The id stays, unless a limit execution turns into a market one (19.30: store the returned one)."""
    body = call.body
    contract = desk.contract(body)
    desk.check_coin(body, contract)
    plan = _named(desk, call, body, "43020", lambda each: _word(desk, each) in POSITION_TYPES)
    if plan.symbol != contract.symbol:
        raise VenueError("43020")
    size = _tpsl_size(contract, body, _word(desk, plan), "size")
    price = body.optional_decimal("executePrice")
    source = TRIGGER_TYPES[body.word("triggerType", *TRIGGER_TYPES)] if body.has("triggerType") else None
    trigger = _price(contract, body, "triggerPrice")
    if price:
        check_price(contract, price)
    try:
        if plan.limit_price is not None and not price:
            changed = _to_market(desk, call, plan, trigger, source or plan.source, size)
        else:
            changed = desk.exchange.modify_plan(
                call.uid,
                plan.plan_id,
                call.now_ms,
                trigger_price=trigger,
                source=source,
                limit_price=price or None,
                size=size,
            )
    except Refused as refusal:
        raise _plan_error(refusal, plan.kind, plan.position_side) from refusal
    return {"orderId": changed.plan_id, "clientOid": client_oid(changed, changed.plan_id)}


def _to_market(desk: Desk, call: Call, plan: Plan, trigger: Decimal, source: PriceSource, size: Decimal | None) -> Plan:
    """Only a successor can lose its limit price."""
    desk.exchange.cancel_plan(call.uid, plan.plan_id, call.now_ms)
    request = PlanRequest(
        symbol=plan.symbol,
        kind=plan.kind,
        side=plan.side,
        reduce=True,
        trigger_price=trigger,
        source=source,
        size=size,
        client_id=plan.client_id,
    )
    return desk.exchange.place_plan(call.uid, request, call.now_ms)


def modify_plan_order(desk: Desk, call: Call) -> Json:
    """What is left out stays (12.5). A trigger type comes with its price."""
    body = call.body
    desk.product(body)
    plan = _named(desk, call, body, "43025", lambda each: _word(desk, each) in _TRIGGER_TYPES)
    contract = desk.exchange.query.contract(plan.symbol)
    trigger = body.optional_decimal("newTriggerPrice")
    if body.has("newTriggerType") and trigger is None:
        raise VenueError("40811", fill="newTriggerPrice")
    size, price = body.optional_decimal("newSize"), body.optional_decimal("newPrice")
    for each in (trigger, price):
        if each is not None:
            check_price(contract, each)
    if size is not None:
        check_size(contract, size, limit=plan.limit_price is not None)
    source = TRIGGER_TYPES[body.word("newTriggerType", *TRIGGER_TYPES)] if body.has("newTriggerType") else None
    changed = desk.exchange.modify_plan(
        call.uid, plan.plan_id, call.now_ms, trigger_price=trigger, source=source, limit_price=price, size=size
    )
    return {"orderId": changed.plan_id, "clientOid": client_oid(changed, changed.plan_id)}


def _named(desk: Desk, call: Call, body: Fields, code: str, fits: Callable[[Plan], bool]) -> Plan:
    """A live plan by `orderId` or `clientOid`; `code` for one that isn't there, or of another sort."""
    order_id, name = body.optional_text("orderId"), body.optional_text("clientOid")
    if not order_id and not name:
        raise VenueError("40913", fill="orderId or clientOid")
    try:
        plan = desk.exchange.query.plan(call.uid, plan_id=order_id, client_id="" if order_id else name)
    except Refused as refusal:
        raise VenueError(code) from refusal
    if plan.status is not PlanStatus.LIVE or not fits(plan):
        raise VenueError(code)
    return plan


def _word(desk: Desk, plan: Plan) -> str:
    return plan_type(plan, moving=plan.plan_id in desk.memory.moving_plans)


def cancel_plan_order(desk: Desk, call: Call) -> Json:
    """Works on one planType, normal_plan by default: an order of another type is left alone, and nobody says so (quirk 3).

    The form without ids does nothing for moving_plan in hedge mode (12.6). An id that isn't there fails without a code beside
    others, and is a refusal by itself.
    """
    body = call.body
    product, listed = desk.product(body), body.objects("orderIdList")
    kind = body.word("planType", *_CANCELLABLE, default="normal_plan")
    symbol = desk.optional_symbol(body)
    if listed and symbol is None:
        raise VenueError("40811", fill="symbol")
    live = [each for each in desk.exchange.query.open_plans(call.uid, symbol) if desk.of_product(each.symbol, product)]
    done: list[Json] = []
    failed: list[Json] = []
    if not listed:
        deaf = kind == "moving_plan" and desk.position_mode(call.uid, product) is PositionMode.HEDGE
        meant = [] if deaf else [plan for plan in live if _word(desk, plan) == kind]
        done = [_cancelled(desk, call, plan) for plan in meant]
    for each in listed:
        order_id, name = each.optional_text("orderId"), each.optional_text("clientOid")
        found = next((p for p in live if order_id == p.plan_id or (not order_id and name == p.client_id)), None)
        if found is None:
            failed.append({"orderId": order_id, "clientOid": name, "errorMsg": "notExistend"})
        elif _word(desk, found) == kind:
            done.append(_cancelled(desk, call, found))
    if failed and len(failed) == len(listed) and desk.options.refuses_unknown_plans:
        raise VenueError("43020" if kind in POSITION_TYPES else "43025")
    return {"successList": done, "failureList": failed}


def _cancelled(desk: Desk, call: Call, plan: Plan) -> Row:
    desk.exchange.cancel_plan(call.uid, plan.plan_id, call.now_ms)
    return {"orderId": plan.plan_id, "clientOid": client_oid(plan, plan.plan_id)}


def orders_plan_pending(desk: Desk, call: Call) -> Json:
    """One namespace a call; TP/SL come without a cursor, empty lists as null (quirks 2 and 9)."""
    query = call.query
    family = query.word("planType", *_LISTED)
    plans = desk.exchange.query.open_plans(call.uid, desk.optional_symbol(query))
    wanted = [rows.plan_row(desk, each) for each in _of(desk, query, family, plans)]
    ends = family != "profit_loss"
    return page(query, wanted, "entrustedList", call.now_ms, null_when_empty=True, ends=ends)


def orders_plan_history(desk: Desk, call: Call) -> Json:
    query = call.query
    family = query.word("planType", *_LISTED)
    state = query.word("planStatus", "", *_DOCUMENTED_STATES)
    plans = desk.exchange.query.plan_history(call.uid, desk.optional_symbol(query))
    found = sorted(_of(desk, query, family, plans), key=lambda plan: int(plan.plan_id))
    past = [rows.past_plan_row(desk, each) for each in found]
    wanted = [row for row in past if state in ("", row["planStatus"])]
    return page(query, wanted, "entrustedList", call.now_ms, null_when_empty=True)


def _of(desk: Desk, query: Fields, family: str, plans: tuple[Plan, ...]) -> list[Plan]:
    product = desk.product(query)
    order_id, name = query.optional_text("orderId"), query.optional_text("clientOid")
    types = tuple(POSITION_TYPES) if family == "profit_loss" else (family,)
    return [
        plan
        for plan in plans
        if desk.of_product(plan.symbol, product)
        and _word(desk, plan) in types
        and order_id in ("", plan.plan_id)
        and (order_id or name in ("", client_oid(plan, plan.plan_id)))
    ]


def plan_sub_order(desk: Desk, call: Call) -> Json:
    """The orders that a trigger made."""
    query = call.query
    desk.product(query)
    query.word("planType", *_TRIGGER_TYPES)
    try:
        plan = desk.exchange.query.plan(call.uid, plan_id=query.text("planOrderId"))
    except Refused as refusal:
        raise VenueError("43025") from refusal
    if not plan.order_id:
        return []
    return [_sub_row(desk.exchange.query.order(call.uid, order_id=plan.order_id))]


def _sub_row(order: Order) -> Row:
    price = order.price or order.average_price
    return {
        "orderId": order.order_id,
        "price": f"{price:f}" if price else "",
        "type": "limit" if order.price is not None else "market",
        "status": _SUB_STATES[order.status],
    }
