"""What goes over the wire for each write of the daemon, field by field (UTA reference, 9 and 10). Every number is a text.

`side` is the direction of the transaction in both modes: a long is closed by `sell`, in hedge mode with `posSide=long`. That is the
opposite of V2's hedge closes, and nothing of V2 is shared here (9.1). Nothing here opens a position: that is in `operator.py`.
"""

from collections.abc import Iterator
from decimal import Decimal
from re import ASCII
from re import compile as pattern
from typing import Final, TypeAlias

from guardd.errors import InvariantBroken
from guardd.model.intent import AddMargin, CloseAtMarket, PlaceProtection, SetLeverage
from guardd.model.names import ClientId, MarginMode, OrderId, PositionKey, PositionMode, PriceType
from guardd.model.order import PlanForm, ProtectionKind
from guardd.venues.bitget.unified.parse.strategy import Leg, Strategy
from guardd.venues.bitget.unified.parse.words import CLOSING_SIDE, Category

Body: TypeAlias = dict[str, object]

IMMEDIATE_OR_CANCEL: Final = "ioc"
MARGIN_WORDS: Final = {MarginMode.CROSS: "crossed", MarginMode.ISOLATED: "isolated"}
_TRIGGER_WORDS: Final = {PriceType.MARK: "mark", PriceType.LAST: "market"}
_PRICE_FIELDS: Final = {ProtectionKind.STOP_LOSS: "stopLoss", ProtectionKind.TAKE_PROFIT: "takeProfit"}
_PREFIXES: Final = {ProtectionKind.STOP_LOSS: "sl", ProtectionKind.TAKE_PROFIT: "tp"}
_REMOVED: Final = "0"
"""The venue's way of ending a preset (9.3); for a leg of a strategy order nothing is said."""
_CLIENT_ID: Final = pattern(r"[0-9A-Za-z_-]{1,32}", ASCII)
"""What every source of the rule allows (9.10)."""
_ORDER_ID: Final = pattern(r"[0-9A-Za-z]{1,64}", ASCII)


def close_body(
    write: CloseAtMarket, client_id: ClientId, mode: PositionMode, category: Category, margin_mode: MarginMode
) -> Body:
    """`marginMode` is the row's, always: the default is crossed, whatever the position is (9.2)."""
    body: Body = {
        "category": category.value,
        "symbol": write.key.symbol,
        "qty": decimal_text(write.size),
        **closing_words(write.key, mode),
        "orderType": "market",
        "marginMode": MARGIN_WORDS[margin_mode],
        "clientOid": checked_client_id(client_id),
    }
    if write.limit_price is None:
        return body
    price = decimal_text(write.limit_price)
    return {**body, "orderType": "limit", "price": price, "timeInForce": IMMEDIATE_OR_CANCEL}


def closing_words(key: PositionKey, mode: PositionMode) -> dict[str, str]:
    """What makes an order close (9.1). `reduceOnly` isn't for hedge mode, nor `posSide` for one-way (16.33)."""
    side = CLOSING_SIDE[key.side]
    match mode:
        case PositionMode.HEDGE:
            return {"side": side, "posSide": key.side.value}
        case PositionMode.ONE_WAY:
            return {"side": side, "reduceOnly": "yes"}


def close_position_body(key: PositionKey, mode: PositionMode, category: Category) -> Body:
    """Closes one position at market. Without a symbol it would close the whole category (9.6): never (I30)."""
    if not key.symbol:
        raise InvariantBroken("I30", "a position was to be closed without its symbol")
    body: Body = {"category": category.value, "symbol": key.symbol}
    return {**body, "posSide": key.side.value} if mode is PositionMode.HEDGE else body


def protection_bodies(
    write: PlaceProtection, client_id: ClientId, mode: PositionMode, category: Category
) -> Iterator[Body]:
    """A stop-loss or take-profit at market, and the other forms of it that are worth a try after a refusal for a parameter: in
    one-way mode without `posSide` (16.9), for the whole position with its size (16.10)."""
    whole = write.form is PlanForm.WHOLE
    closing = {"side": CLOSING_SIDE[write.key.side], "reduceOnly": "yes"} if mode is PositionMode.ONE_WAY else {}
    size = decimal_text(write.position_size if write.size is None else write.size)
    body: Body = {
        "category": category.value,
        "symbol": write.key.symbol,
        "type": "tpsl",
        "tpslMode": "full" if whole else "partial",
        **({} if whole else {"qty": size}),
        **closing,
        "posSide": write.key.side.value,
        **leg_words(wanted_leg(write.kind, write.trigger_price, write.price_type)),
        "clientOid": checked_client_id(client_id),
    }
    yield body
    if closing:
        yield {name: value for name, value in body.items() if name != "posSide"}
    if whole:
        yield {**body, "qty": size}


def modify_body(found: Strategy, legs: tuple[Leg, ...], *, position_size: Decimal | None) -> Body:
    """Every leg that the object shall have is said: what becomes of an omitted one isn't known (10.2, 16.12). The size is the
    listed one, or what is left of the position."""
    known = [size for size in (found.size, position_size) if size is not None]
    size = min(known, default=None)
    body: Body = {"orderId": named_order(found.order_id)}
    if size is not None:
        body["qty"] = decimal_text(size)
    for leg in legs:
        body |= leg_words(leg)
    return body


def removal_bodies(found: Strategy, kind: ProtectionKind, *, position_size: Decimal | None) -> Iterator[Body]:
    """End one leg and keep the other: by a trigger of 0, then by leaving it out."""
    kept = modify_body(found, tuple(leg for leg in found.legs if leg.kind is not kind), position_size=position_size)
    yield {**kept, _PRICE_FIELDS[kind]: _REMOVED}
    yield kept


def wanted_leg(kind: ProtectionKind, trigger_price: Decimal, price_type: PriceType) -> Leg:
    """A leg of ours: at market."""
    return Leg(kind=kind, trigger_price=trigger_price, price_type=price_type, limit_price=None)


def leg_words(leg: Leg) -> dict[str, str]:
    """What triggers it is always said: the default is the last price (0.5)."""
    prefix = _PREFIXES[leg.kind]
    words = {
        _PRICE_FIELDS[leg.kind]: decimal_text(leg.trigger_price),
        f"{prefix}TriggerBy": _TRIGGER_WORDS[leg.price_type],
        f"{prefix}OrderType": "market" if leg.limit_price is None else "limit",
    }
    return words if leg.limit_price is None else {**words, f"{prefix}LimitPrice": decimal_text(leg.limit_price)}


def cancel_body(order_id: OrderId) -> Body:
    """One order by its id (I30)."""
    return {"orderId": named_order(order_id)}


def leverage_body(write: SetLeverage, category: Category) -> Body:
    """`marginMode` is the live one: another would be a switch. Isolated leverage is of one side (7.4)."""
    return {
        "category": category.value,
        "symbol": write.key.symbol,
        "leverage": decimal_text(write.leverage),
        "marginMode": MARGIN_WORDS[write.margin_mode],
        **({"posSide": write.key.side.value} if write.margin_mode is MarginMode.ISOLATED else {}),
    }


def margin_body(write: AddMargin, category: Category) -> Body:
    """The row's side is named in one-way mode too (7.6)."""
    return {
        "category": category.value,
        "symbol": write.key.symbol,
        "posSide": write.key.side.value,
        "operation": "add",
        "amount": decimal_text(write.amount),
    }


def transfer_body(amount: Decimal, coin: str, client_id: ClientId, *, into_futures: bool) -> Body:
    """Between the funding side and the unified account, never on credit (7.7)."""
    return {
        "fromType": "spot" if into_futures else "uta",
        "toType": "uta" if into_futures else "spot",
        "amount": decimal_text(amount),
        "coin": coin,
        "allowBorrow": "no",
        "clientOid": checked_client_id(client_id),
    }


def decimal_text(number: Decimal) -> str:
    """A positive number without exponent or trailing zeros."""
    if not number.is_finite() or number <= 0:
        raise InvariantBroken("I18", f"{number} was to be sent where a number above zero belongs")
    return f"{number.normalize():f}"


def named_order(order_id: str) -> str:
    if not _ORDER_ID.fullmatch(order_id):
        raise InvariantBroken("I30", "a request that ends or changes an order was to be sent without the order's id")
    return order_id


def checked_client_id(client_id: str) -> str:
    if not _CLIENT_ID.fullmatch(client_id):
        raise InvariantBroken("I7", f"client id of {len(client_id)} letters, expected 1-32 of 0-9, A-Z, a-z, _ and -")
    return client_id
