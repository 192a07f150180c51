"""What goes over the wire for each write: field by field and word by word (Bitget reference, 5, 7, 11, 12).

Every value is a text. Nothing here opens a position: that is in `operator.py`, out of the daemon's reach (I30).
"""

import re
from decimal import Decimal
from types import MappingProxyType
from typing import Final, TypeAlias

from msgspec import Struct

from guardd.errors import InvariantBroken
from guardd.model.intent import AddMargin, CloseAtMarket, ModifyProtection, PlaceProtection, SetLeverage
from guardd.model.names import ClientId, MarginMode, OrderId, PositionMode, Side, Symbol
from guardd.model.order import PlanForm
from guardd.venues.bitget.classic.parse.words import (
    MARGIN_MODE_WORDS,
    PLAN_WORDS,
    TRIGGER_WORDS,
    Product,
)

Body: TypeAlias = dict[str, object]

CLIENT_ID_LETTERS_MAX: Final = 32
SPOT_WALLET: Final = "spot"
_CLIENT_ID: Final = re.compile(r"[0-9A-Za-z_-]{1,32}", re.ASCII)

POSITION_SIDE: Final = MappingProxyType({Side.LONG: "buy", Side.SHORT: "sell"})
"""The direction of a position as a word of trade: what opens it, and in hedge mode also what closes it (11.1)."""
AGAINST: Final = MappingProxyType({Side.LONG: "sell", Side.SHORT: "buy"})


class Line(Struct, frozen=True, kw_only=True):
    """The product type and the margin coin of a symbol: what every request about it names."""

    product: Product
    margin_coin: str


class Setting(Struct, frozen=True, kw_only=True):
    """What an order for one symbol must repeat of how the account is set."""

    line: Line
    mode: PositionMode
    margin_mode: MarginMode


def close_body(write: CloseAtMarket, setting: Setting, client_id: ClientId) -> Body:
    """A close that can't open: in hedge mode `tradeSide=close` with the position's own direction, in one-way mode the opposite
    direction with `reduceOnly` (11.1, 19.1). At a price it is immediate-or-cancel."""
    body: Body = {
        **_about(write.key.symbol, setting.line),
        "marginMode": MARGIN_MODE_WORDS[setting.margin_mode],
        "size": decimal_text(write.size),
        **closing_side(write.key.side, setting.mode),
        "orderType": "market" if write.limit_price is None else "limit",
        "clientOid": checked_client_id(client_id),
    }
    if write.limit_price is not None:
        body |= {"price": decimal_text(write.limit_price), "force": "ioc"}
    return body


def closing_side(side: Side, mode: PositionMode) -> Body:
    if mode is PositionMode.HEDGE:
        return {"side": POSITION_SIDE[side], "tradeSide": "close"}
    return {"side": AGAINST[side], "reduceOnly": "YES"}


def flash_body(symbol: Symbol, side: Side, setting: Setting) -> Body:
    """All of one position at market. Without a symbol it would close every position of the product type: never (I30; 11.7)."""
    if not symbol:
        raise InvariantBroken("I30", "a flash close was to be sent without a symbol")
    body: Body = {"symbol": symbol, "productType": setting.line.product.value}
    if setting.mode is PositionMode.HEDGE:
        body["holdSide"] = side.value
    return body


def protection_body(write: PlaceProtection, setting: Setting, client_id: ClientId, *, trade_words: bool) -> Body:
    """A stop-loss or take-profit at market: `executePrice` is left out, `triggerType` never (12.2, 19.14, 19.16).

    `trade_words`: `holdSide` in the words of trade, as one-way mode wants it, or in those of positions (19.15).
    """
    body: Body = {
        **_about(write.key.symbol, setting.line),
        "planType": PLAN_WORDS[write.form, write.kind],
        "triggerPrice": decimal_text(write.trigger_price),
        "triggerType": TRIGGER_WORDS[write.price_type],
        "holdSide": POSITION_SIDE[write.key.side] if trade_words else write.key.side.value,
        "clientOid": checked_client_id(client_id),
    }
    if write.form is PlanForm.SIZED:
        body["size"] = decimal_text(write.position_size if write.size is None else write.size)
    return body


def plan_body(write: PlaceProtection, setting: Setting, client_id: ClientId) -> Body:
    """A plain conditional close at market, for hedge mode alone: in one-way mode it could open once the position is gone (12.4)."""
    if setting.mode is not PositionMode.HEDGE:
        raise InvariantBroken("I30", "a trigger order was to be sent in one-way mode, where it may open a position")
    return {
        "planType": "normal_plan",
        **_about(write.key.symbol, setting.line),
        "marginMode": MARGIN_MODE_WORDS[setting.margin_mode],
        "size": decimal_text(write.position_size if write.size is None else write.size),
        "triggerPrice": decimal_text(write.trigger_price),
        "triggerType": TRIGGER_WORDS[write.price_type],
        **closing_side(write.key.side, setting.mode),
        "orderType": "market",
        "clientOid": checked_client_id(client_id),
    }


def modify_protection_body(write: ModifyProtection, line: Line) -> Body:
    """Move a trigger; a sized order repeats its size, a whole one says the empty text (12.5)."""
    return {
        "orderId": named_order(write.order_id),
        **_about(write.key.symbol, line),
        "triggerPrice": decimal_text(write.trigger_price),
        "triggerType": TRIGGER_WORDS[write.price_type],
        "size": "" if write.size is None else decimal_text(write.size),
    }


def modify_plan_body(write: ModifyProtection, line: Line) -> Body:
    return {
        "orderId": named_order(write.order_id),
        "planType": "normal_plan",
        "symbol": write.key.symbol,
        "productType": line.product.value,
        "newTriggerPrice": decimal_text(write.trigger_price),
        "newTriggerType": TRIGGER_WORDS[write.price_type],
    }


def cancel_body(symbol: Symbol, order_id: OrderId, line: Line) -> Body:
    return {**_about(symbol, line), "orderId": named_order(order_id)}


def cancel_plan_body(symbol: Symbol, order_id: OrderId, plan_type: str, line: Line) -> Body:
    """Always the id and the type that it rests under: without the list the venue ends every plan order of the type, and without the
    type it looks among the trigger orders alone (12.6, quirk 3)."""
    return {
        "orderIdList": [{"orderId": named_order(order_id), "clientOid": ""}],
        **_about(symbol, line),
        "planType": plan_type,
    }


def leverage_body(write: SetLeverage, setting: Setting) -> Body:
    """The side is named where each side has its own leverage, and only there (7.3)."""
    body: Body = {**_about(write.key.symbol, setting.line), "leverage": decimal_text(write.leverage)}
    if write.margin_mode is MarginMode.ISOLATED and setting.mode is PositionMode.HEDGE:
        body["holdSide"] = write.key.side.value
    return body


def margin_body(write: AddMargin, line: Line) -> Body:
    """A positive amount adds. The side is named in one-way mode too (7.4)."""
    amount = decimal_text(write.amount)
    return {**_about(write.key.symbol, line), "holdSide": write.key.side.value, "amount": amount}


def transfer_body(amount: Decimal, product: Product, client_id: ClientId, *, into_futures: bool) -> Body:
    """The one write that its client id makes safe to repeat (8.1): it is always there."""
    return {
        "fromType": SPOT_WALLET if into_futures else product.wallet,
        "toType": product.wallet if into_futures else SPOT_WALLET,
        "amount": decimal_text(amount),
        "coin": product.settle,
        "clientOid": checked_client_id(client_id),
    }


def _about(symbol: Symbol, line: Line) -> Body:
    if not symbol:
        raise InvariantBroken("I30", "a write was to be sent without a symbol")
    return {"symbol": symbol, "productType": line.product.value, "marginCoin": line.margin_coin}


def decimal_text(number: Decimal) -> str:
    """A positive number without exponent or trailing zeros."""
    if not number.is_finite() or number <= 0:
        raise InvariantBroken("I18", f"{number} was to be sent where a number above zero belongs")
    return f"{number.normalize():f}"


def named_order(order_id: str) -> str:
    if not (order_id.isascii() and order_id.isalnum()):
        raise InvariantBroken("I30", "a request that ends or changes an order was to be sent without the order's id")
    return order_id


def checked_client_id(client_id: str) -> str:
    """1-32 letters, digits, `_` and `-`: what every source takes (11.3, 19.7)."""
    if not _CLIENT_ID.fullmatch(client_id):
        raise InvariantBroken("I7", f"client id of {len(client_id)} letters, expected 1-32 letters and digits")
    return client_id
