"""What goes over the wire for each write: field by field and type by type (reference, 5.3, 10, 11, 12).

Sizes, sides, modes and price types are JSON integers; prices and leverage are texts; `order_id` is a text everywhere but in
`modify-limit-order`. Nothing here opens a position: that is in `operator.py`, out of the daemon's reach (I30).
"""

from decimal import Decimal
from typing import Final, TypeAlias

import msgspec

from guardd.errors import InvariantBroken
from guardd.model.intent import (
    CancelKind,
    CancelOrder,
    CloseAtMarket,
    ModifyProtection,
    PlaceProtection,
    SetLeverage,
    stop_direction,
)
from guardd.model.names import ClientId, MarginMode, PriceType
from guardd.model.order import Direction, PlanForm
from guardd.venues.bitmart import endpoints
from guardd.venues.bitmart.endpoints import Endpoint
from guardd.venues.bitmart.parse.market import SETTLE
from guardd.venues.bitmart.parse.words import CLOSING_SIDE

Body: TypeAlias = dict[str, str | int]

IMMEDIATE_OR_CANCEL: Final = 3
RECEIVE_WINDOW_MS: Final = 5_000
TRANSFER_MIN: Final = Decimal("0.01")
TRANSFER_MAX: Final = Decimal(10_000_000_000)
_GOOD_TILL_CANCELLED: Final = 1
_WHOLE_POSITION: Final = 2
_SIZED: Final = 1
_MARKET_PRICE: Final = "0"
CLIENT_ID_LETTERS_MAX: Final = 32
_PRICE_TYPES: Final = {PriceType.LAST: 1, PriceType.MARK: 2}
_PRICE_WAYS: Final = {Direction.RISES: 1, Direction.FALLS: 2}


def wire_text(body: Body) -> str:
    """The one text of a body: this is what is signed, and this is what is sent (3.2)."""
    return msgspec.json.encode(body).decode()


def close_body(write: CloseAtMarket, client_id: ClientId) -> Body:
    """Sides 2 and 3 are reduce-only in both position modes (10.1). No leverage, no open_type; no price when at market."""
    return {**minimal_close_body(write), "client_order_id": checked_client_id(client_id)}


def minimal_close_body(write: CloseAtMarket) -> Body:
    """The least a close needs: what is tried once after 40011 or 40012 (16.2)."""
    body: Body = {"symbol": write.key.symbol, "side": CLOSING_SIDE[write.key.side]}
    if write.limit_price is None:
        return {**body, "type": "market", "size": contracts(write.size)}
    return {
        **body,
        "type": "limit",
        "price": decimal_text(write.limit_price),
        "size": contracts(write.size),
        "mode": IMMEDIATE_OR_CANCEL,
    }


def protection_body(write: PlaceProtection, client_id: ClientId, *, spelled_market: bool) -> Body:
    """A stop-loss or take-profit at market. Form A says market by an `executive_price` of 0; form B (`spelled_market`) by
    `category` and the trigger as price (11.1). Whole-position ones must not carry a size (quirk 17); `plan_category` always."""
    sized = write.form is PlanForm.SIZED
    body: Body = {
        "symbol": write.key.symbol,
        "type": write.kind.value,
        "side": CLOSING_SIDE[write.key.side],
        "trigger_price": decimal_text(write.trigger_price),
        "executive_price": decimal_text(write.trigger_price) if spelled_market else _MARKET_PRICE,
        "price_type": _PRICE_TYPES[write.price_type],
        "plan_category": _SIZED if sized else _WHOLE_POSITION,
        "client_order_id": checked_client_id(client_id),
    }
    if sized:
        body["size"] = contracts(write.position_size if write.size is None else write.size)
    if spelled_market:
        body["category"] = "market"
    return body


def plan_body(write: PlaceProtection, *, leverage: Decimal, margin_mode: MarginMode) -> Body:
    """A plain conditional close at market: the last form of stop. Leverage and margin mode are the live ones, or it is
    refused; it takes no client id (11.4)."""
    return {
        "symbol": write.key.symbol,
        "side": CLOSING_SIDE[write.key.side],
        "type": "market",
        "leverage": decimal_text(leverage),
        "open_type": margin_mode.value,
        "mode": _GOOD_TILL_CANCELLED,
        "size": contracts(write.position_size if write.size is None else write.size),
        "trigger_price": decimal_text(write.trigger_price),
        "price_way": _PRICE_WAYS[stop_direction(write.key, write.kind)],
        "price_type": _PRICE_TYPES[write.price_type],
    }


def modify_request(write: ModifyProtection, *, spelled_market: bool) -> tuple[Endpoint, Body]:
    """Move a trigger. Neither call can change a size (11.2, 11.6)."""
    trigger = decimal_text(write.trigger_price)
    body: Body = {
        "symbol": write.key.symbol,
        "order_id": named_order(write.order_id),
        "trigger_price": trigger,
        "price_type": _PRICE_TYPES[write.price_type],
    }
    if write.form is PlanForm.PLAN:
        return endpoints.MODIFY_PLAN_ORDER, {**body, "type": "market"}
    body["executive_price"] = trigger if spelled_market else _MARKET_PRICE
    body["plan_category"] = _SIZED if write.form is PlanForm.SIZED else _WHOLE_POSITION
    if spelled_market:
        body["category"] = "market"
    return endpoints.MODIFY_TP_SL_ORDER, body


def cancel_request(write: CancelOrder) -> tuple[Endpoint, Body]:
    """Ends one order by its id. Without an id the venue would end every order of the symbol (10.3, 11.5): never (I30)."""
    body: Body = {"symbol": write.key.symbol, "order_id": named_order(write.order_id)}
    match write.kind:
        case CancelKind.RESTING:
            return endpoints.CANCEL_ORDER, body
        case CancelKind.PLAN:
            return endpoints.CANCEL_PLAN_ORDER, body
        case CancelKind.TRAILING:
            return endpoints.CANCEL_TRAIL_ORDER, body


def leverage_body(write: SetLeverage) -> Body:
    """Always with the leverage: what the call does without it isn't known (12.1). A different `open_type` would be a switch
    of the margin mode, so it is the live one."""
    return {
        "symbol": write.key.symbol,
        "leverage": decimal_text(write.leverage),
        "open_type": write.margin_mode.value,
    }


def transfer_body(amount: Decimal, *, into_futures: bool) -> Body:
    """Between spot and futures wallet, in the one coin there is (12.4). One that comes later than its window isn't carried out."""
    return {
        "currency": SETTLE,
        "amount": decimal_text(amount),
        "type": "spot_to_contract" if into_futures else "contract_to_spot",
        "recvWindow": RECEIVE_WINDOW_MS,
    }


def decimal_text(number: Decimal) -> str:
    """A positive number without exponent or trailing zeros."""
    if not number.is_finite() or number <= 0:
        raise InvariantBroken("I18", f"{number} was to be sent where a number above zero belongs")
    return f"{number.normalize():f}"


def contracts(size: Decimal) -> int:
    """A size as a JSON integer: a text here is answered with 40011 (5.3)."""
    if not size.is_finite() or size <= 0 or size != size.to_integral_value():
        raise InvariantBroken("I18", f"{size} contracts were to be sent, a whole number above zero belongs there")
    return int(size)


def named_order(order_id: str) -> str:
    if not (order_id.isascii() and order_id.isalnum()):
        raise InvariantBroken("I30", "a request that ends or changes an order was to be sent without the order's id")
    return order_id


def checked_client_id(client_id: str) -> str:
    """1-32 letters and digits (10.1); the venue answers 40048 or 40049 else."""
    if not (client_id.isascii() and client_id.isalnum() and len(client_id) <= CLIENT_ID_LETTERS_MAX):
        raise InvariantBroken("I7", f"client id of {len(client_id)} letters, expected 1-32 letters and digits")
    return client_id
