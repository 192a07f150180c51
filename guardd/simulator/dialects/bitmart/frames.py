"""How the venue writes the same things on its WebSocket: reference 14.6 to 14.10."""

from datetime import UTC, datetime
from decimal import Decimal
from json import JSONEncoder

from guardd.simulator.dialects.bitmart.envelope import Json
from guardd.simulator.dialects.bitmart.rows import (
    FUNDING_LIMIT,
    ORDER_TYPES,
    POSITION_MODE_WORDS,
    SIDE_CODES,
    STATE_APPROVAL,
    STATE_CHECK,
    STATE_FINISHED,
    Row,
    client_order_id,
    liquidation_price,
    number,
    position_type,
    rounded,
)
from guardd.simulator.happenings import OrderAction, PlanAction
from guardd.simulator.orders import MarginMode, Order, OrderKind, OrderStatus, Plan, PlanKind, PriceSource
from guardd.simulator.records import Balance, PositionView, Quote, Trade
from guardd.simulator.tape import Candle, Print, Tape, next_funding_ms

ACTIONS = {
    OrderAction.FILL: 1,
    OrderAction.SUBMIT: 2,
    OrderAction.MODIFY: 2,
    OrderAction.CANCEL: 3,
    OrderAction.LIQUIDATION_CANCEL: 4,
    OrderAction.ADL_CANCEL: 5,
    OrderAction.PARTIAL_LIQUIDATION: 6,
    OrderAction.BANKRUPTCY: 7,
    OrderAction.ADL_PASSIVE_FILL: 8,
    OrderAction.ADL_ACTIVE_FILL: 9,
}
# A trigger has no action of its own: the order that it creates names the plan in `plan_order_id`.
PLAN_ACTIONS = {PlanAction.PLACED: 2, PlanAction.MODIFIED: 2, PlanAction.CANCELLED: 3, PlanAction.FAILED: 3}
_PLAN_TYPES = {
    PlanKind.CONDITIONAL: "plan_order",
    PlanKind.TRAILING: "trailing_order",
    PlanKind.STOP_LOSS: "stop_loss",
    PlanKind.TAKE_PROFIT: "take_profit",
}
_SOURCES = {PriceSource.LAST: "last_price", PriceSource.MARK: "fair_price"}
_UNSET = "-"
_BOUND = Decimal("0.02")  # a market order's `price` is a bound near the market, not the fill (14.9)
_BOUND_PLACES = Decimal("1E-8")
_RATIO = Decimal("1E-10")
_JSON = JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_SUBMIT_SKEW_MS = 6  # captured: update_time before create_time


def text(group: str, data: Json) -> str:
    return _JSON.encode({"group": group, "data": data})


def ticker(symbol: str, quote: Quote, tape: Tape, ask_vol: Decimal, bid_vol: Decimal) -> Row:
    """No time in it (quirk 27)."""
    return {
        "symbol": symbol,
        "last_price": number(quote.last),
        "volume_24": number(tape.volume(symbol)),
        "range": rounded(tape.change(symbol), _RATIO),
        "mark_price": number(quote.mark),
        "index_price": number(quote.index),
        "ask_price": number(quote.ask),
        "ask_vol": number(ask_vol),
        "bid_price": number(quote.bid),
        "bid_vol": number(bid_vol),
    }


def position(view: PositionView) -> Row:
    return {
        "symbol": view.symbol,
        "hold_volume": number(view.size),
        "position_type": position_type(view.side),
        "open_type": 1 if view.margin_mode is MarginMode.ISOLATED else 2,
        "frozen_volume": number(view.frozen_size),
        "close_volume": number(view.closed_size),
        "hold_avg_price": number(view.entry_price),
        "close_avg_price": number(view.closed_average_price),
        "open_avg_price": number(view.open_average_price),
        "liquidate_price": liquidation_price(view),
        "create_time": view.opened_ms,
        "update_time": view.updated_ms,
        "position_mode": POSITION_MODE_WORDS[view.position_mode],
    }


def asset(balance: Balance) -> Row:
    return {
        "currency": "USDT",
        "available_balance": number(balance.available),
        "position_deposit": number(balance.position_margin),
        "frozen_balance": number(balance.frozen),
    }


def order(action: OrderAction, each: Order, trade: Trade | None, quote: Quote | None) -> Row:
    """One entry of futures/order for an order."""
    state = STATE_FINISHED
    if each.status is OrderStatus.WORKING:
        state = STATE_APPROVAL if action is OrderAction.SUBMIT else STATE_CHECK
    body: Row = {
        "order_id": each.order_id,
        "client_order_id": client_order_id(each),
        "price": number(each.price) if each.price is not None else _market_bound(each, quote),
        "size": number(each.size),
        "symbol": each.symbol,
        "state": state,
        "side": SIDE_CODES[each.side, each.reduce],
        "type": ORDER_TYPES[each.kind],
        "leverage": number(each.leverage),
        "open_type": each.margin_mode.value,
        "deal_avg_price": number(each.average_price),
        "deal_size": number(each.filled),
        "create_time": each.created_ms,
        "update_time": each.updated_ms - (_SUBMIT_SKEW_MS if action is OrderAction.SUBMIT else 0),
        "plan_order_id": each.plan_id,
        "last_trade": _last_trade(trade),
        **_unset(),
        "position_mode": POSITION_MODE_WORDS[each.position_mode],
    }
    return {"action": ACTIONS[action], "order": body}


def _market_bound(each: Order, quote: Quote | None) -> str:
    if each.kind is not OrderKind.MARKET or quote is None:
        return number(each.average_price)
    buys = each.side.value == "buy"
    return rounded(quote.ask * (1 + _BOUND) if buys else quote.bid * (1 - _BOUND), _BOUND_PLACES)


def _last_trade(trade: Trade | None) -> Json:
    if trade is None:
        return None
    return {
        "lastTradeID": int(trade.trade_id),
        "fillQty": number(trade.size),
        "fillPrice": number(trade.price),
        "fee": number(-trade.fee),
        "feeCcy": "USDT",
    }


def _unset() -> Row:
    names = (
        "trigger_price",
        "trigger_price_type",
        "execution_price",
        "activation_price_type",
        "activation_price",
        "callback_rate",
    )
    return dict.fromkeys(names, _UNSET)


def plan(action: PlanAction, each: Plan, held: Decimal) -> Row:
    """One entry of futures/order for a plan order."""
    trailing = each.kind is PlanKind.TRAILING
    marks: Row = _unset()
    if trailing:
        marks["activation_price"] = number(each.trigger_price)
        marks["activation_price_type"] = _SOURCES[each.source]
        marks["callback_rate"] = number((each.callback_rate or Decimal(0)) * 100)
    else:
        marks["trigger_price"] = number(each.trigger_price)
        marks["trigger_price_type"] = _SOURCES[each.source]
        marks["execution_price"] = number(each.limit_price)
    body: Row = {
        "order_id": each.plan_id,
        "client_order_id": each.client_id,
        "price": number(each.limit_price),
        "size": number(held if each.size is None else each.size),
        "symbol": each.symbol,
        "state": STATE_CHECK if action in (PlanAction.PLACED, PlanAction.MODIFIED) else STATE_FINISHED,
        "side": SIDE_CODES[each.side, each.reduce],
        "type": _PLAN_TYPES[each.kind],
        "leverage": number(each.leverage),
        "open_type": each.margin_mode.value,
        "deal_avg_price": "0",
        "deal_size": "0",
        "create_time": each.created_ms,
        "update_time": each.updated_ms,
        "plan_order_id": "",
        "last_trade": None,
        **marks,
        "position_mode": POSITION_MODE_WORDS[each.position_mode],
    }
    return {"action": PLAN_ACTIONS[action], "order": body}


def levels(book: list[tuple[Decimal, Decimal]]) -> list[Row]:
    return [{"price": number(price), "vol": number(size)} for price, size in book]


def best(symbol: str, quote: Quote, bid_vol: Decimal, ask_vol: Decimal, now_ms: int) -> Row:
    return {
        "symbol": symbol,
        "best_bid_price": number(quote.bid),
        "best_bid_vol": number(bid_vol),
        "best_ask_price": number(quote.ask),
        "best_ask_vol": number(ask_vol),
        "ms_t": now_ms,
    }


def candle(symbol: str, each: Candle, start_s: int, *, in_items: bool) -> Row:
    """Flat as documented, or in a list as captured (19.1)."""
    figures: Row = {
        "o": number(each.open),
        "h": number(each.high),
        "l": number(each.low),
        "c": number(each.close),
        "v": number(each.volume),
        "ts": start_s,
    }
    return {"symbol": symbol, "items": [figures]} if in_items else {"symbol": symbol, **figures}


def funding(symbol: str, tape: Tape, now_ms: int) -> Row:
    """`fundingTime` behaves like the reply's time (14.6)."""
    return {
        "symbol": symbol,
        "fundingRate": number(tape.settled_rate(symbol)),
        "fundingTime": now_ms - now_ms % 1000,
        "nextFundingRate": number(tape.expected_rate(symbol)),
        "nextFundingTime": next_funding_ms(now_ms),
        "funding_upper_limit": FUNDING_LIMIT,
        "funding_lower_limit": f"-{FUNDING_LIMIT}",
        "ts": now_ms,
    }


def public_trade(symbol: str, each: Print) -> list[Row]:
    moment = datetime.fromtimestamp(each.at_ms / 1000, UTC)
    return [
        {
            "trade_id": each.trade_id,
            "symbol": symbol,
            "deal_price": number(each.price),
            "deal_vol": number(each.size),
            "m": each.buyer_is_maker,
            "created_at": f"{moment:%Y-%m-%dT%H:%M:%S}.{each.at_ms % 1000:03d}000000Z",
        }
    ]
