"""Placing, changing and cancelling orders, flash closes. Bitget reference, 11.

In hedge mode `side` is the position's direction, for closes too: a long is closed with buy and close (11.1).
"""

import re
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from guardd.simulator.contracts import Contract
from guardd.simulator.dialects.bitget.checks import check_price, check_size
from guardd.simulator.dialects.bitget.desk import Desk, code_of
from guardd.simulator.dialects.bitget.products import Product
from guardd.simulator.dialects.bitget.words import FORCES, MARGIN_MODES, client_oid
from guardd.simulator.dialects.bitget_common.arguments import Fields, client_id
from guardd.simulator.dialects.bitget_common.envelope import Json, Row, VenueError
from guardd.simulator.dialects.bitget_common.gateway import Call
from guardd.simulator.orders import (
    MarginMode,
    Order,
    OrderKind,
    OrderRequest,
    PositionMode,
    PositionSide,
    Preset,
    Side,
    TimeInForce,
)
from guardd.simulator.records import PositionView
from guardd.simulator.refusals import RefusalReason, Refused

CLIENT_ID = re.compile(r"[0-9A-Za-z_:#\-+\s]{1,32}")  # 11.3, the guide's
BATCH_MAX, CANCEL_MAX = 20, 50  # 40306 and 40912
_AGAIN_AFTER_MS = 1_000  # 45129
_STP_MODES = ("none", "cancel_taker", "cancel_maker", "cancel_both")


class Sense(Struct, frozen=True, kw_only=True):
    """What `side`, `tradeSide` and `reduceOnly` mean in the present position mode."""

    side: Side
    reduce: bool


def place_order(desk: Desk, call: Call) -> Json:
    return _place(desk, call, call.body, call.body)


def batch_place_order(desk: Desk, call: Call) -> Json:
    """One symbol a call; legs fail each for itself (11.4)."""
    body = call.body
    orders = body.objects("orderList")
    if not orders:
        raise VenueError("40811", fill="orderList")
    if len(orders) > BATCH_MAX:
        raise VenueError("40306")
    desk.check_coin(body, desk.contract(body))
    done: list[Json] = []
    failed: list[Json] = []
    for each in orders:
        try:
            done.append(_place(desk, call, body, each))
        except VenueError as error:
            failed.append(failure("", each.optional_text("clientOid"), error))
        except Refused as refusal:
            failed.append(failure("", each.optional_text("clientOid"), code_of(refusal)))
    return {"successList": done, "failureList": failed, "result": True}  # unreliable, as it is there (quirk 10)


def _place(desk: Desk, call: Call, head: Fields, body: Fields) -> Row:
    """`head` names contract and margin mode, `body` the order: the same but in a batch."""
    contract = desk.contract(head)
    desk.check_coin(head, contract)
    request = _request(desk, call, contract, desk.product(head), body)
    before = _bring_margin_mode(desk, call, contract, head)
    try:
        order = desk.exchange.place(call.uid, request, call.now_ms)
    except Refused:
        desk.exchange.set_leverage(call.uid, contract.symbol, call.now_ms, margin_mode=before)
        raise
    # One-way: a reduce-only order that took the place of resting ones is answered without its id (11.2).
    return {"clientOid": order.client_id, "orderId": None if order.displaced else order.order_id}


def _request(desk: Desk, call: Call, contract: Contract, product: Product, body: Fields) -> OrderRequest:
    sense = read_sense(body, desk.position_mode(call.uid, product))
    kind = OrderKind(body.word("orderType", "limit", "market"))
    body.word("stpMode", *_STP_MODES, default="none")
    size = body.decimal("size")
    limit = kind is OrderKind.LIMIT
    price = body.decimal("price") if limit else None
    check_size(contract, size, limit=limit)
    if price is not None:
        check_price(contract, price)
    force = FORCES[body.word("force", *FORCES, default="gtc")] if limit else TimeInForce.GTC
    profit, loss = _preset(contract, body, "presetStopSurplus"), _preset(contract, body, "presetStopLoss")
    return OrderRequest(
        symbol=contract.symbol,
        side=sense.side,
        size=size,
        reduce=sense.reduce,
        kind=kind,
        price=price,
        time_in_force=force,
        client_id=client_id(body.optional_text("clientOid"), CLIENT_ID) or desk.new_id(),
        take_profit=None if sense.reduce else profit,
        stop_loss=None if sense.reduce else loss,
    )


def read_sense(body: Fields, mode: PositionMode) -> Sense:
    """A request of the other position mode is refused: 40774 in one-way mode, 400172 and 45020 in hedge mode (11.1)."""
    side = Side(body.word("side", "buy", "sell"))
    if mode is PositionMode.ONE_WAY:
        if body.has("tradeSide"):
            raise VenueError("40774")
        return Sense(side=side, reduce=body.word("reduceOnly", "YES", "NO", default="NO") == "YES")
    if not body.has("tradeSide"):
        raise VenueError("45020")
    word = body.optional_text("tradeSide").lower()
    if word not in ("open", "close"):
        raise VenueError("400172", "Illegal position opening type")
    if word == "open":
        return Sense(side=side, reduce=False)
    held = PositionSide.LONG if side is Side.BUY else PositionSide.SHORT
    return Sense(side=held.closing, reduce=True)


def _preset(contract: Contract, body: Fields, name: str) -> Preset | None:
    """Presets have no trigger type of their own: samples show fill_price (11.2). No execution price: at market."""
    price = body.optional_decimal(f"{name}Price")
    if not price:
        return None
    check_price(contract, price)
    execution = body.optional_decimal(f"{name}ExecutePrice")
    if execution:
        check_price(contract, execution)
    return Preset(trigger_price=price, limit_price=execution or None)


def _bring_margin_mode(desk: Desk, call: Call, contract: Contract, head: Fields) -> MarginMode:
    """An order's mode is the contract's, or becomes it while nothing stands in the way (11.2); returns what it was."""
    mode = MARGIN_MODES[head.word("marginMode", *MARGIN_MODES)]
    before = desk.exchange.query.settings(call.uid, contract.symbol).margin_mode
    if before is not mode:
        desk.exchange.set_leverage(call.uid, contract.symbol, call.now_ms, margin_mode=mode)
    return before


def failure(order_id: str, name: str, error: VenueError) -> Row:
    return {"orderId": order_id, "clientOid": name, "errorMsg": error.text, "errorCode": error.code}


def find(desk: Desk, call: Call, body: Fields, code: str = "40768") -> Order:
    """By `orderId` or `clientOid`, the first wins; plan ids are unknown here (11.6)."""
    contract = desk.contract(body)
    order_id, name = body.optional_text("orderId"), body.optional_text("clientOid")
    if not order_id and not name:
        raise VenueError("40913", fill="orderId or clientOid")
    try:
        order = desk.exchange.query.order(call.uid, order_id=order_id, client_id="" if order_id else name)
    except Refused as refusal:
        raise VenueError(code) from refusal
    if order.symbol != contract.symbol:
        raise VenueError(code)
    return order


def modify_order(desk: Desk, call: Call) -> Json:
    """A new size or price makes a new order of the old one (11.5); presets change in place, `"0"` deletes one."""
    body = call.body
    order = find(desk, call, body)
    if not body.has("newClientOid"):
        raise VenueError("22003")
    name = client_id(body.text("newClientOid"), CLIENT_ID)
    size, price = body.optional_decimal("newSize"), body.optional_decimal("newPrice")
    if (size is None) is not (price is None):
        raise VenueError("40925")
    contract = desk.contract(body)
    changes_presets = body.has("newPresetStopSurplusPrice") or body.has("newPresetStopLossPrice")
    profit, loss = order.take_profit, order.stop_loss
    if changes_presets:  # passing only one of the two cancels the other
        profit, loss = _preset(contract, body, "newPresetStopSurplus"), _preset(contract, body, "newPresetStopLoss")
    if size is None or price is None:
        if not changes_presets:
            raise VenueError("40923")
        desk.exchange.modify_presets(call.uid, order.order_id, call.now_ms, take_profit=profit, stop_loss=loss)
        return {"orderId": order.order_id, "clientOid": client_oid(order, order.order_id)}
    if (size, price) == (order.size, order.price) and not changes_presets:
        raise VenueError("40923")
    check_size(contract, size, limit=True)
    check_price(contract, price)
    desk.exchange.cancel(call.uid, order.order_id, call.now_ms)
    successor = desk.exchange.place(call.uid, _successor(order, name, size, price, profit, loss), call.now_ms)
    return {"orderId": successor.order_id, "clientOid": name}


def _successor(
    order: Order, name: str, size: Decimal, price: Decimal, profit: Preset | None, loss: Preset | None
) -> OrderRequest:
    request = OrderRequest(
        symbol=order.symbol,
        side=order.side,
        size=size,
        reduce=order.reduce,
        kind=OrderKind.LIMIT,
        price=price,
        time_in_force=order.time_in_force,
        client_id=name,
    )
    return request if order.reduce else replace(request, take_profit=profit, stop_loss=loss)


def cancel_order(desk: Desk, call: Call) -> Json:
    body = call.body
    order = find(desk, call, body)
    desk.check_coin(body, desk.contract(body), required=False)
    _cancel(desk, call, order)
    return {"orderId": order.order_id, "clientOid": client_oid(order, order.order_id)}


def _cancel(desk: Desk, call: Call, order: Order) -> None:
    """The same order once a second (45129)."""
    asked_ms = desk.memory.cancelled_ms.get(order.order_id)
    desk.memory.cancelled_ms[order.order_id] = call.now_ms
    if asked_ms is not None and call.now_ms - asked_ms < _AGAIN_AFTER_MS:
        raise VenueError("45129")
    desk.exchange.cancel(call.uid, order.order_id, call.now_ms)


def batch_cancel_orders(desk: Desk, call: Call) -> Json:
    """Without a list everything of the symbol, or of the product type (11.6)."""
    body = call.body
    product, listed = desk.product(body), body.objects("orderIdList")
    if len(listed) > CANCEL_MAX:
        raise VenueError("40912")
    symbol = desk.optional_symbol(body)
    if listed:
        if symbol is None:
            raise VenueError("40811", fill="symbol")
        return _cancel_named(desk, call, symbol, listed)
    return _cancel_every(desk, call, product, symbol)


def cancel_all_orders(desk: Desk, call: Call) -> Json:
    """Plan orders stay (19.28)."""
    body = call.body
    product = desk.product(body)
    if body.has("requestTime") or body.has("receiveWindow"):
        raise VenueError("40078", "The receive window has passed")
    return _cancel_every(desk, call, product, None)


def _cancel_named(desk: Desk, call: Call, symbol: str, listed: list[Fields]) -> Row:
    done: list[Json] = []
    failed: list[Json] = []
    for each in listed:
        order_id, name = each.optional_text("orderId"), each.optional_text("clientOid")
        try:
            order = desk.exchange.query.order(call.uid, order_id=order_id, client_id="" if order_id else name)
            if order.symbol != symbol:
                raise VenueError("43001", "notExistend")
            _cancel(desk, call, order)
            done.append({"orderId": order.order_id, "clientOid": client_oid(order, order.order_id)})
        except Refused:
            failed.append(failure(order_id, name, VenueError("43001", "notExistend")))
        except VenueError as error:
            failed.append(failure(order_id, name, error))
    return {"successList": done, "failureList": failed}


def _cancel_every(desk: Desk, call: Call, product: Product, symbol: str | None) -> Row:
    orders = [
        each for each in desk.exchange.query.open_orders(call.uid, symbol) if desk.of_product(each.symbol, product)
    ]
    if not orders:
        raise VenueError("22001")
    done: list[Json] = []
    for order in orders:
        desk.exchange.cancel(call.uid, order.order_id, call.now_ms)
        done.append({"orderId": order.order_id, "clientOid": client_oid(order, order.order_id)})
    return {"successList": done, "failureList": []}


def close_positions(desk: Desk, call: Call) -> Json:
    """At market, all of it, resting closes cancelled first; without a symbol everything of the product type (11.7)."""
    body = call.body
    product = desk.product(body)
    symbol = desk.optional_symbol(body)
    word = body.word("holdSide", "", "long", "short")
    if word and desk.position_mode(call.uid, product) is PositionMode.ONE_WAY:
        raise VenueError("43011", fill="holdSide error")
    held = [
        view
        for view in desk.exchange.query.positions(call.uid, symbol)
        if desk.of_product(view.symbol, product) and word in ("", view.side.value)
    ]
    if not held:
        raise VenueError("22002")
    done: list[Json] = []
    failed: list[Json] = []
    for view in held:
        try:
            order = _flash_close(desk, call, view)
            name = client_oid(order, order.order_id)
            done.append({"orderId": order.order_id, "clientOid": name, "symbol": view.symbol})
        except VenueError as error:
            failed.append({**failure("", "", error), "symbol": view.symbol})
        except Refused as refusal:
            failed.append({**failure("", "", code_of(refusal)), "symbol": view.symbol})
    return {"successList": done, "failureList": failed}


def _flash_close(desk: Desk, call: Call, view: PositionView) -> Order:
    contract = desk.exchange.query.contract(view.symbol)
    if view.size > contract.max_market_size:
        raise VenueError("45104", fill=f"{contract.max_market_size:f}")
    for order in desk.exchange.query.open_orders(call.uid, view.symbol):
        if order.reduce and order.position_side is view.side:
            desk.exchange.cancel(call.uid, order.order_id, call.now_ms)
    return desk.exchange.close_position(call.uid, view.symbol, view.side, call.now_ms)


def is_missing(refusal: Refused) -> bool:
    return refusal.reason in (RefusalReason.POSITION_NOT_EXIST, RefusalReason.POSITION_CLOSED)
