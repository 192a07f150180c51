"""Orders: placing, changing, cancelling, closing. UTA reference, 9.1 to 9.7.

`side` is the direction of the transaction: a long is closed by `sell` + `posSide=long`, and `buy` + `long` opens more.
"""

from collections.abc import Mapping
from decimal import Decimal

from msgspec.structs import replace

from guardd.simulator.contracts import Contract
from guardd.simulator.dialects.bitget_common.arguments import Fields
from guardd.simulator.dialects.bitget_common.envelope import Json, Row, VenueError
from guardd.simulator.dialects.bitget_common.gateway import Call
from guardd.simulator.dialects.bitget_unified import arguments
from guardd.simulator.dialects.bitget_unified.codes import bad, code_of, refuse
from guardd.simulator.dialects.bitget_unified.desk import Desk
from guardd.simulator.dialects.bitget_unified.words import MARGIN_MODES, client_oid
from guardd.simulator.orders import (
    Order,
    OrderKind,
    OrderRequest,
    PositionMode,
    PositionSide,
    Preset,
    PriceSource,
    Side,
    TimeInForce,
)
from guardd.simulator.records import PositionView
from guardd.simulator.refusals import RefusalReason, Refused
from guardd.simulator.wire import Request

PRICE_BAND = Decimal("0.05")  # buyLimitPriceRatio, sellLimitPriceRatio of every listed contract
_STP_WORDS = ("none", "cancel_taker", "cancel_maker", "cancel_both")
_MONEY_REASONS = (RefusalReason.INSUFFICIENT_BALANCE, RefusalReason.WOULD_LIQUIDATE)


def place_order(desk: Desk, call: Call) -> Json:
    desk.check_writable(call.uid, call.now_ms)
    fields = call.body
    return _placed(desk, call, read_order(desk, call.uid, fields))


def place_batch(desk: Desk, call: Call) -> Json:
    """Up to 20 orders of one category, each judged by itself; neither TP/SL nor reduceOnly (9.5)."""
    desk.check_writable(call.uid, call.now_ms)
    legs = arguments.batch(call.request)
    if len({arguments.category(each) for each in legs}) > 1:
        raise bad("category")
    for each in legs:
        if arguments.reduce_only(each) or any(each.has(name) for name in ("takeProfit", "stopLoss")):
            raise refuse("25200", "reduceOnly, takeProfit and stopLoss are not supported")
    return [_leg(desk, call, each) for each in legs]


def _leg(desk: Desk, call: Call, fields: Fields) -> Row:
    try:
        return _placed(desk, call, read_order(desk, call.uid, fields))
    except VenueError as error:
        return {
            "clientOid": fields.optional_text("clientOid"), "orderId": "", "code": error.code, "msg": error.text,
        }  # fmt: skip


def read_order(desk: Desk, uid: str, fields: Fields) -> OrderRequest:
    """Everything that is wrong with an order by itself, before the account is looked at."""
    contract = desk.contract(arguments.category(fields), arguments.symbol(fields))
    side = arguments.side(fields)
    reduce = _closes(desk, uid, fields, side)
    kind = OrderKind(arguments.word(fields, "orderType", "limit", "market"))
    limited = kind is OrderKind.LIMIT
    price = arguments.positive(fields, "price") if limited else None
    force = arguments.TIMES_IN_FORCE[
        arguments.word(fields, "timeInForce", *arguments.TIMES_IN_FORCE, default="gtc") if limited else "gtc"
    ]
    arguments.word(fields, "stpMode", *_STP_WORDS, default="none")
    mode = MARGIN_MODES[arguments.word(fields, "marginMode", *MARGIN_MODES, default="crossed")]
    size = arguments.positive(fields, "qty")
    take_profit, stop_loss = _presets(desk, contract, fields, side, reduce=reduce)
    check_price(desk, contract, side, price)
    check_size(contract, size, contract.max_limit_size if limited else contract.max_market_size)
    return OrderRequest(
        symbol=contract.symbol,
        side=side,
        size=size,
        reduce=reduce,
        kind=kind,
        price=price,
        time_in_force=force if limited else TimeInForce.GTC,
        margin_mode=mode,
        client_id=arguments.client_id(fields),
        take_profit=take_profit,
        stop_loss=stop_loss,
    )


def _closes(desk: Desk, uid: str, fields: Fields, side: Side) -> bool:
    """Hedge: `posSide` decides together with `side`. One-way: `reduceOnly` does, and there is no `posSide` (9.1)."""
    leg, reduce = arguments.pos_side(fields), arguments.reduce_only(fields)
    if desk.exchange.query.position_mode(uid) is PositionMode.HEDGE:
        if leg is None or reduce:
            raise bad("reduceOnly" if leg else "posSide")
        return side is leg.closing
    if leg is not None:
        raise VenueError("400172", "Illegal position opening type")
    return reduce


def check_price(desk: Desk, contract: Contract, side: Side, price: Decimal | None) -> None:
    """On the tick, and inside the band around the mark."""
    check_tick(contract, price)
    if price is None:
        return
    quote = desk.exchange.query.quote(contract.symbol)
    if quote is None:
        return
    if side is Side.BUY and price > quote.mark * (1 + PRICE_BAND):
        raise refuse("25205")
    if side is Side.SELL and price < quote.mark * (1 - PRICE_BAND):
        raise refuse("25206")


def check_tick(contract: Contract, price: Decimal | None) -> None:
    if price is not None and price % contract.tick:
        raise refuse("25244")


def check_size(contract: Contract, size: Decimal, largest: Decimal) -> None:
    if size % contract.step:
        raise refuse("25610")
    if size < contract.min_size:
        raise refuse("25611")
    if size > largest:
        raise refuse("25207")


def _presets(
    desk: Desk, contract: Contract, fields: Fields, side: Side, *, reduce: bool
) -> tuple[Preset | None, Preset | None]:
    """TP/SL that an opening order brings along."""
    found = (_preset(fields, "takeProfit", "tp"), _preset(fields, "stopLoss", "sl"))
    if any(found) and reduce:
        raise refuse("25200", "a closing order brings no TP/SL")
    leg = PositionSide.LONG if side is Side.BUY else PositionSide.SHORT
    for preset, profit in zip(found, (True, False), strict=True):
        if preset is not None:
            check_trigger(desk, contract, leg, preset.source, preset.trigger_price, profit=profit)
            check_tick(contract, preset.limit_price)
    return found


def _preset(fields: Fields, name: str, prefix: str) -> Preset | None:
    trigger = arguments.optional_positive(fields, name)
    source = arguments.source(fields, f"{prefix}TriggerBy")
    if trigger is None:
        return None
    limited = arguments.word(fields, f"{prefix}OrderType", "limit", "market", default="market") == "limit"
    limit = arguments.positive(fields, f"{prefix}LimitPrice") if limited else None
    return Preset(trigger_price=trigger, source=source, limit_price=limit)


def check_trigger(
    desk: Desk, contract: Contract, leg: PositionSide, source: PriceSource, trigger: Decimal, *, profit: bool
) -> None:
    """On the tick, and beyond the price that it watches: long take-profit above, long stop-loss below."""
    check_tick(contract, trigger)
    quote = desk.exchange.query.quote(contract.symbol)
    if quote is None:
        raise refuse("25013")
    price = quote.mark if source is PriceSource.MARK else quote.last
    above = profit is (leg is PositionSide.LONG)
    if trigger > price if above else trigger < price:
        return
    first = 25589 if source is PriceSource.MARK else 25585
    raise refuse(str(first + (0 if leg is PositionSide.LONG else 2) + (0 if profit else 1)))


def _placed(desk: Desk, call: Call, request: OrderRequest) -> Row:
    """Checked against the account and placed. `orderId` is null where resting reduce-only orders were displaced (9.2)."""
    working = desk.exchange.query.open_orders(call.uid)
    if len(working) >= desk.options.open_orders_max:
        raise refuse("40723")
    if any(request.client_id and each.client_id == request.client_id for each in working):
        raise refuse("25212")
    displaced = False
    if request.reduce:
        request, displaced = _closing(desk, call, request)
    try:
        order = desk.exchange.place(call.uid, request, call.now_ms)
    except Refused as refusal:
        raise _of_placing(refusal, reduce=request.reduce) from refusal
    return {
        "clientOid": client_oid(order.order_id, order.client_id),
        "orderId": None if displaced else order.order_id,
    }


def _closing(desk: Desk, call: Call, request: OrderRequest) -> tuple[OrderRequest, bool]:
    """Hedge: never more than is available. One-way: bounded by the position, and an order that reaches what the resting
    reduce-only orders leave takes their place."""
    query = desk.exchange.query
    held = query.position(call.uid, request.symbol, request.position_side)
    if held is None or not held.size or held.margin_mode is not request.margin_mode:
        raise refuse("25227")
    if held.position_mode is PositionMode.HEDGE:
        if request.size > held.available_size:
            raise refuse("40804")
        return request, False
    bounded = replace(request, size=min(request.size, held.size))
    if not held.frozen_size or bounded.size < held.available_size:
        return bounded, False
    for order in query.open_orders(call.uid, request.symbol):
        if order.reduce and order.position_side is request.position_side:
            desk.exchange.cancel(call.uid, order.order_id, call.now_ms)
    return bounded, True


def _of_placing(refusal: Refused, *, reduce: bool) -> VenueError:
    """Too little money reads as "above the openable maximum" (9.2); a close in the other margin mode finds nothing."""
    if refusal.reason in _MONEY_REASONS:
        return refuse("40762")
    if reduce and refusal.reason is RefusalReason.MARGIN_MODE_CONFLICT:
        return refuse("25227")
    return code_of(refusal)


def modify_order(desk: Desk, call: Call) -> Json:
    """Asynchronous: what fails after the form was right isn't told, unless `autoCancel` ends the order (9.3)."""
    desk.check_writable(call.uid, call.now_ms)
    fields = call.body
    order = working(desk, call.uid, *arguments.identity(fields))
    contract = desk.exchange.query.contract(order.symbol)
    price, size = arguments.optional_positive(fields, "price"), arguments.optional_positive(fields, "qty")
    gives_up = arguments.word(fields, "autoCancel", "yes", "no", default="no") == "yes"
    take_profit, stop_loss = _presets(desk, contract, fields, order.side, reduce=order.reduce)
    if price is None and size is None and take_profit is None and stop_loss is None:
        raise bad("qty or price")
    check_price(desk, contract, order.side, price)
    if size is not None:
        check_size(contract, size, contract.max_limit_size)
    try:
        if price is not None or size is not None:
            desk.exchange.modify_order(call.uid, order.order_id, call.now_ms, price=price, size=size)
        if take_profit is not None or stop_loss is not None:
            desk.exchange.modify_presets(
                call.uid, order.order_id, call.now_ms, take_profit=take_profit, stop_loss=stop_loss
            )
    except Refused:
        if gives_up:
            desk.exchange.cancel(call.uid, order.order_id, call.now_ms)
    return _named(order)


def cancel_order(desk: Desk, call: Call) -> Json:
    desk.check_writable(call.uid, call.now_ms)
    fields = call.body
    arguments.optional_category(fields)
    order = working(desk, call.uid, *arguments.identity(fields))
    return _named(desk.exchange.cancel(call.uid, order.order_id, call.now_ms))


def cancel_batch(desk: Desk, call: Call) -> Json:
    """An array; one that can't be cancelled carries its own code (9.4)."""
    desk.check_writable(call.uid, call.now_ms)
    legs = arguments.batch(call.request)
    named = [(arguments.category(each), arguments.symbol(each), *arguments.identity(each)) for each in legs]
    if len({category for category, *_ in named}) > 1:
        raise bad("category")
    answers: list[Row] = []
    for _, symbol, order_id, client in named:
        try:
            order = working(desk, call.uid, order_id, client)
            if order.symbol != symbol:
                raise refuse("25204")
            answers.append(_named(desk.exchange.cancel(call.uid, order.order_id, call.now_ms)))
        except VenueError as error:
            answers.append({"orderId": order_id, "clientOid": client, "code": error.code, "msg": error.text})
    return answers


def cancel_symbol_order(desk: Desk, call: Call) -> Json:
    """Orders of a symbol or of a whole category; strategy orders stay (9.4: silent)."""
    desk.check_writable(call.uid, call.now_ms)
    fields = call.body
    category, symbol = arguments.category(fields), arguments.optional_symbol(fields)
    if symbol:
        desk.contract(category, symbol)
    resting = desk.exchange.query.open_orders(call.uid, symbol or None)
    ends = [order for order in resting if desk.category(order.symbol) is category]
    return {"list": [_named(desk.exchange.cancel(call.uid, order.order_id, call.now_ms)) for order in ends]}


def close_positions(desk: Desk, call: Call) -> Json:
    """Market closes of what is available; a leg that can't be closed carries its code, the envelope is 00000 (9.6)."""
    desk.check_writable(call.uid, call.now_ms)
    fields = call.body
    category, symbol = arguments.category(fields), arguments.optional_symbol(fields)
    leg = arguments.pos_side(fields)
    if symbol:
        desk.contract(category, symbol)
    wanted = [
        view
        for view in desk.exchange.query.positions(call.uid, symbol or None)
        if desk.category(view.symbol) is category and leg in (None, view.side)
    ]
    if symbol and not wanted:
        return {"list": [_failed(refuse("24056"))]}
    return {"list": [_close(desk, call, view) for view in wanted]}


def _close(desk: Desk, call: Call, view: PositionView) -> Row:
    """All that is available, however small; one order, also above the largest market order's size: then it fails."""
    try:
        return _named(desk.exchange.close_position(call.uid, view.symbol, view.side, call.now_ms))
    except Refused as refusal:
        return _failed(refuse("24056") if refusal.reason is RefusalReason.VOLUME_NOT_ENOUGH else code_of(refusal))


def _failed(error: VenueError) -> Row:
    return {"orderId": "", "clientOid": "", "code": error.code, "msg": error.text}


def countdown_cancel_all(_desk: Desk, _call: Call) -> Json:
    """Access is granted by the venue's business team, and wasn't (9.7)."""
    raise refuse("25620")


def working(desk: Desk, uid: str, order_id: str, client: str) -> Order:
    """A resting order by either id: 25204 for an unknown or finished one."""
    for each in reversed(desk.exchange.query.open_orders(uid)):
        if each.order_id == order_id if order_id else client_oid(each.order_id, each.client_id) == client:
            return each
    raise refuse("25204")


def _named(order: Order) -> Row:
    return {"orderId": order.order_id, "clientOid": client_oid(order.order_id, order.client_id)}


def seeks_risk(request: Request) -> bool:
    """What a venue that is closing refuses first: opening orders, strategy orders, transfers."""
    match request.path.rpartition("/")[2]:
        case "place-order" | "place-batch":
            return any(_opens(each) for each in arguments.peek(request))
        case "place-strategy-order" | "transfer":
            return True
        case _:
            return False


def _opens(body: Mapping[str, object]) -> bool:
    side, leg, reduce = (str(body.get(name, "")).lower() for name in ("side", "posSide", "reduceOnly"))
    if leg:
        return (side, leg) in (("buy", "long"), ("sell", "short"))
    return reduce != "yes"
