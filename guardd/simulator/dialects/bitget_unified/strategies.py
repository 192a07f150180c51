"""Strategy orders: placing, changing, cancelling and listing them. UTA reference, 10.

What is silent there is a choice in `Options`: whether a second whole-position order is refused, whether a change drops the
legs that it leaves out, whether one-way mode takes `posSide`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

from msgspec import Struct

from guardd.simulator.contracts import Contract
from guardd.simulator.dialects.bitget_common.arguments import Fields
from guardd.simulator.dialects.bitget_common.envelope import Json
from guardd.simulator.dialects.bitget_common.gateway import Call
from guardd.simulator.dialects.bitget_unified import arguments, rows
from guardd.simulator.dialects.bitget_unified.codes import bad, code_of, refuse
from guardd.simulator.dialects.bitget_unified.desk import Desk, SecondFull
from guardd.simulator.dialects.bitget_unified.orders import check_size, check_trigger
from guardd.simulator.dialects.bitget_unified.paging import paged
from guardd.simulator.dialects.bitget_unified.strategy import Strategy, past_row, strategy_row
from guardd.simulator.orders import (
    Direction,
    Plan,
    PlanKind,
    PlanRequest,
    PlanStatus,
    PositionMode,
    PositionSide,
    PriceSource,
    Side,
)
from guardd.simulator.refusals import RefusalReason, Refused

_TYPES = ("tpsl", "trigger")
_LEGS = ((PlanKind.STOP_LOSS, "stopLoss", "sl"), (PlanKind.TAKE_PROFIT, "takeProfit", "tp"))


class _Leg(Struct, frozen=True, kw_only=True):
    kind: PlanKind
    trigger: Decimal
    source: PriceSource
    limit: Decimal | None


def place_strategy_order(desk: Desk, call: Call) -> Json:
    desk.check_writable(call.uid, call.now_ms)
    fields = call.body
    category, symbol = arguments.category(fields), arguments.symbol(fields)
    contract = desk.contract(category, symbol)
    kind = arguments.word(fields, "type", *_TYPES, default="tpsl")
    client = arguments.client_id(fields) if kind == "tpsl" else ""  # honoured only there (9.10)
    if kind == "trigger":
        return _place_trigger(desk, call, contract, fields)
    whole = arguments.word(fields, "tpslMode", "full", "partial", default="full") == "full"
    leg = _protected_side(desk, call.uid, fields)
    legs = _read_legs(fields)
    if not legs:
        raise bad("takeProfit or stopLoss")
    size = None if whole else arguments.positive(fields, "qty")
    _check_legs(desk, contract, leg, legs, size)
    _check_position(desk, call, symbol, leg, size)
    if whole:
        _make_room(desk, call, symbol, leg)
    strategy = _place_legs(desk, call, symbol, leg, legs, size, client)
    return {"clientOid": strategy.client_oid, "orderId": strategy.order_id}


def _protected_side(desk: Desk, uid: str, fields: Fields) -> PositionSide:
    """The position that a TP/SL is for: by `posSide`, in one-way mode also by the closing `side` with `reduceOnly`."""
    leg, side = arguments.pos_side(fields), arguments.optional_side(fields)
    reduce = arguments.reduce_only(fields)
    if leg is not None:
        one_way = desk.exchange.query.position_mode(uid) is PositionMode.ONE_WAY
        if one_way and not desk.options.one_way_takes_side:
            raise bad("posSide")
        if side is not None and side is not leg.closing:
            raise refuse("25200", "side")
        return leg
    if desk.exchange.query.position_mode(uid) is PositionMode.HEDGE:
        raise bad("posSide")
    if side is None or not reduce:
        raise bad("side")
    return PositionSide.LONG if side is Side.SELL else PositionSide.SHORT


def _read_legs(fields: Fields) -> list[_Leg]:
    """Every leg that has a price; `"0"` and `""` are none."""
    found: list[_Leg] = []
    for kind, name, prefix in _LEGS:
        trigger = arguments.optional_positive(fields, name)
        source = arguments.source(fields, f"{prefix}TriggerBy")
        limited = arguments.word(fields, f"{prefix}OrderType", "limit", "market", default="market") == "limit"
        if trigger is not None:
            limit = arguments.positive(fields, f"{prefix}LimitPrice") if limited else None
            found.append(_Leg(kind=kind, trigger=trigger, source=source, limit=limit))
    return found


def _check_legs(desk: Desk, contract: Contract, leg: PositionSide, legs: list[_Leg], size: Decimal | None) -> None:
    for each in legs:
        check_trigger(desk, contract, leg, each.source, each.trigger, profit=each.kind is PlanKind.TAKE_PROFIT)
        if each.limit is not None and each.limit % contract.tick:
            raise refuse("25244")
    if size is not None:
        check_size(contract, size, contract.max_limit_size)


def _check_position(desk: Desk, call: Call, symbol: str, leg: PositionSide, size: Decimal | None) -> None:
    """25601 without a position, 25595 above its size."""
    view = desk.exchange.query.position(call.uid, symbol, leg)
    if view is None or not view.size:
        raise refuse("25601")
    if size is not None and size > view.size:
        raise refuse("25595")


def _make_room(desk: Desk, call: Call, symbol: str, leg: PositionSide) -> None:
    """A second whole-position order of one side is refused, or takes the first one's place (16.11)."""
    for each in desk.strategies.pending(call.uid, symbol):
        if not each.whole or each.pos_side is not leg:
            continue
        if desk.options.second_full is SecondFull.REFUSE:
            raise refuse("25594")
        with _composing(desk, call, each.order_id):
            _cancel_legs(desk, call, each)


def _place_legs(
    desk: Desk, call: Call, symbol: str, leg: PositionSide, legs: list[_Leg], size: Decimal | None, client: str
) -> Strategy:
    """All legs, or none: a second one that is refused takes the first one with it."""
    placed: list[Plan] = []
    with _composing(desk, call):
        try:
            for each in legs:
                pair_id = placed[0].pair_id if placed else ""
                placed.append(_place_leg(desk, call, symbol, leg, each, size, "" if placed else client, pair_id))
        except Refused as refusal:
            for plan in placed:
                desk.strategies.drop(plan)
                desk.exchange.cancel_plan(call.uid, plan.plan_id, call.now_ms)
            raise _of_placing(refusal) from refusal
        desk.news.append((call.uid, placed[0].pair_id))
    return Strategy(order_id=placed[0].pair_id, client_id=client, plans=tuple(placed))


def _place_leg(
    desk: Desk,
    call: Call,
    symbol: str,
    leg: PositionSide,
    each: _Leg,
    size: Decimal | None,
    client: str,
    pair_id: str,
) -> Plan:
    request = PlanRequest(
        symbol=symbol,
        kind=each.kind,
        side=leg.closing,
        reduce=True,
        trigger_price=each.trigger,
        source=each.source,
        size=size,
        limit_price=each.limit,
        client_id=client,
        pair_id=pair_id,
    )
    return desk.exchange.place_plan(call.uid, request, call.now_ms)


def _of_placing(refusal: Refused) -> Exception:
    """25601 also for a moment after a fill: the position isn't known to TP/SL orders yet (10.1)."""
    missing = (RefusalReason.POSITION_NOT_EXIST, RefusalReason.POSITION_CLOSED, RefusalReason.POSITION_NOT_READY)
    return refuse("25601") if refusal.reason in missing else code_of(refusal)


def _place_trigger(desk: Desk, call: Call, contract: Contract, fields: Fields) -> Json:
    """An order that waits for its price; it can open a position. Which way it waits follows from the price now."""
    side, leg = arguments.side(fields), arguments.pos_side(fields)
    if desk.exchange.query.position_mode(call.uid) is PositionMode.HEDGE:
        if leg is None:
            raise bad("posSide")
        reduce = side is leg.closing
    else:
        reduce = arguments.reduce_only(fields)
    trigger, source = arguments.positive(fields, "triggerPrice"), arguments.source(fields, "triggerBy")
    limited = arguments.word(fields, "triggerOrderType", "limit", "market", default="market") == "limit"
    limit = arguments.positive(fields, "triggerOrderPrice") if limited else None
    size = arguments.positive(fields, "qty")
    if trigger % contract.tick or (limit is not None and limit % contract.tick):
        raise refuse("25244")
    check_size(contract, size, contract.max_limit_size)
    quote = desk.exchange.query.quote(contract.symbol)
    if quote is None:
        raise refuse("25013")
    price = quote.mark if source is PriceSource.MARK else quote.last
    request = PlanRequest(
        symbol=contract.symbol,
        kind=PlanKind.CONDITIONAL,
        side=side,
        reduce=reduce,
        trigger_price=trigger,
        source=source,
        direction=Direction.RISE if trigger > price else Direction.FALL,
        size=size,
        limit_price=limit,
    )
    with _composing(desk, call):
        plan = desk.exchange.place_plan(call.uid, request, call.now_ms)
        desk.news.append((call.uid, plan.pair_id))
    strategy = Strategy(order_id=plan.pair_id, client_id="", plans=(plan,))
    return {"clientOid": strategy.client_oid, "orderId": strategy.order_id}


def modify_strategy_order(desk: Desk, call: Call) -> Json:
    """Legs that the change leaves out are gone, or stay where the option says so (10.2)."""
    desk.check_writable(call.uid, call.now_ms)
    fields = call.body
    strategy = _pending(desk, call.uid, *arguments.identity(fields))
    contract = desk.exchange.query.contract(strategy.symbol)
    given = arguments.optional_positive(fields, "qty")
    if given is None and desk.options.modify_needs_quantity:
        raise bad("qty")
    size = None if strategy.whole else given
    if strategy.kind == "trigger":
        _modify_trigger(desk, call, strategy, contract, fields, size)
        return {"clientOid": strategy.client_oid, "orderId": strategy.order_id}
    legs = _read_legs(fields)
    kept = {kind for kind, name, _ in _LEGS if desk.options.modify_keeps_legs and not fields.has(name)}
    if not legs and not any(plan.kind in kept for plan in strategy.plans):
        raise bad("takeProfit or stopLoss")
    _check_legs(desk, contract, strategy.pos_side, legs, size)
    if size is not None:
        _check_position(desk, call, strategy.symbol, strategy.pos_side, size)
    with _composing(desk, call, strategy.order_id):
        _change_legs(desk, call, strategy, legs, kept, size)
    return {"clientOid": strategy.client_oid, "orderId": strategy.order_id}


def _change_legs(
    desk: Desk, call: Call, strategy: Strategy, legs: list[_Leg], kept: set[PlanKind], size: Decimal | None
) -> None:
    """Resting legs move in place; one that changes between market and limit is placed anew."""
    wanted = {each.kind: each for each in legs}
    for plan in strategy.plans:
        each = wanted.pop(plan.kind, None)
        if each is not None and (each.limit is None) is (plan.limit_price is None):
            desk.exchange.modify_plan(
                call.uid,
                plan.plan_id,
                call.now_ms,
                trigger_price=each.trigger,
                source=each.source,
                limit_price=each.limit,
                size=size,
            )
            continue
        if each is None and plan.kind in kept:
            continue
        desk.strategies.drop(plan)
        desk.exchange.cancel_plan(call.uid, plan.plan_id, call.now_ms)
        if each is not None:
            wanted[plan.kind] = each
    for each in wanted.values():
        new_size = strategy.size if size is None else size
        _place_leg(desk, call, strategy.symbol, strategy.pos_side, each, new_size, "", strategy.order_id)


def _modify_trigger(
    desk: Desk, call: Call, strategy: Strategy, contract: Contract, fields: Fields, size: Decimal | None
) -> None:
    trigger = arguments.optional_positive(fields, "triggerPrice")
    limit = arguments.optional_positive(fields, "triggerOrderPrice")
    if any(price is not None and price % contract.tick for price in (trigger, limit)):
        raise refuse("25244")
    if size is not None:
        check_size(contract, size, contract.max_limit_size)
    with _composing(desk, call, strategy.order_id):
        desk.exchange.modify_plan(
            call.uid, strategy.first.plan_id, call.now_ms, trigger_price=trigger, limit_price=limit, size=size
        )


def cancel_strategy_order(desk: Desk, call: Call) -> Json:
    """`data` is null; success is the code alone (10.3)."""
    desk.check_writable(call.uid, call.now_ms)
    strategy = _pending(desk, call.uid, *arguments.identity(call.body))
    with _composing(desk, call, strategy.order_id):
        _cancel_legs(desk, call, strategy)
    return None


def _cancel_legs(desk: Desk, call: Call, strategy: Strategy) -> None:
    for plan in strategy.plans:
        if plan.status is PlanStatus.LIVE:
            desk.exchange.cancel_plan(call.uid, plan.plan_id, call.now_ms)


def _pending(desk: Desk, uid: str, order_id: str, client: str) -> Strategy:
    found = desk.strategies.find(uid, order_id, client)
    if found is None or found.status is not PlanStatus.LIVE:
        raise refuse("25204")
    return found


@contextmanager
def _composing(desk: Desk, call: Call, order_id: str = "") -> Iterator[None]:
    """What happens to single legs in here isn't told; the strategy is, once, when it is done."""
    desk.composing = True
    try:
        yield
    finally:
        desk.composing = False
    if order_id:
        desk.news.append((call.uid, order_id))


def unfilled_strategy_orders(desk: Desk, call: Call) -> Json:
    """A bare array of a whole category: no paging, no symbol filter (10.4)."""
    category = arguments.category(call.query)
    kind = arguments.word(call.query, "type", "", *_TYPES, "oco", "trailing_stop", "iceberg", "twap")
    return [
        strategy_row(each, category.value, held(desk, call.uid, each))
        for each in reversed(desk.strategies.pending(call.uid))
        if desk.category(each.symbol) is category and kind in ("", each.kind)
    ]


def history_strategy_orders(desk: Desk, call: Call) -> Json:
    """Newest first; the cursor is a number above 2^53, or text (16.40)."""
    query = call.query
    category = arguments.category(query)
    kind = arguments.word(query, "type", "", *_TYPES, "oco", "trailing_stop", "iceberg", "twap")
    start_ms, end_ms = arguments.window(query, call.now_ms)
    found = [
        (int(each.order_id), past_row(each, category.value, held(desk, call.uid, each)))
        for each in desk.strategies.everything(call.uid)
        if each.status is not PlanStatus.LIVE
        and desk.category(each.symbol) is category
        and kind in ("", each.kind)
        and start_ms <= each.created_ms <= end_ms
    ]
    return paged(desk, query, found, number=desk.options.cursor_is_number)


def held(desk: Desk, uid: str, strategy: Strategy) -> Decimal:
    view = desk.exchange.query.position(uid, strategy.symbol, strategy.pos_side)
    return view.size if view else Decimal(0)


def strategy_sub_orders(desk: Desk, call: Call) -> Json:
    """The orders that a strategy's triggers made; their fields aren't documented, an order's own stand here."""
    strategy = desk.strategies.find(call.uid, arguments.text(call.query, "orderId"), "")
    if strategy is None:
        raise refuse("25204")
    query = desk.exchange.query
    contract = query.contract(strategy.symbol)
    plans = {plan.order_id: plan for plan in strategy.plans if plan.order_id}
    made = [query.order(call.uid, order_id=order_id) for order_id in plans]
    found = [(int(each.order_id), rows.order_row(each, contract, plans[each.order_id])) for each in made]
    return paged(desk, call.query, found)
