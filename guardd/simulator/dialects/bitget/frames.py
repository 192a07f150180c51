"""How the classic account's sockets write the same things. Bitget reference, 13.4 to 13.9."""

from decimal import Decimal

from guardd.simulator.contracts import Contract
from guardd.simulator.dialects.bitget import public
from guardd.simulator.dialects.bitget.desk import Desk
from guardd.simulator.dialects.bitget.rows import (
    achieved,
    asset_mode,
    break_even,
    cross_ratio,
    keep_rate,
    life_fees,
    liquidation_price,
    margin_ratio,
    preset_execution,
    preset_price,
    preset_type,
    trades_of,
    union_figures,
    worth,
)
from guardd.simulator.dialects.bitget.words import (
    FORCE_WORDS,
    MARGIN_MODE_WORDS,
    POSITION_MODE_WORDS,
    STREAM_PLAN_TYPES,
    TRIGGER_TYPE_WORDS,
    cancel_reason,
    client_oid,
    entry_point,
    number,
    order_side,
    order_state,
    order_type,
    plan_trade_side,
    plan_type,
    position_side,
    rounded,
    trade_side,
)
from guardd.simulator.dialects.bitget_common.envelope import Json, Row
from guardd.simulator.happenings import PlanAction
from guardd.simulator.orders import MarginMode, Order, Plan, PlanKind, PositionMode
from guardd.simulator.records import PositionView, Quote, Trade
from guardd.simulator.tape import Print, next_funding_ms

PLAN_STATES: dict[PlanAction, tuple[str, ...]] = {
    PlanAction.PLACED: ("live",),
    PlanAction.MODIFIED: ("live",),
    PlanAction.ACTIVATED: ("live",),
    PlanAction.TRIGGERED: ("executing", "executed"),
    PlanAction.FAILED: ("executing", "fail_execute"),
    PlanAction.CANCELLED: ("cancelled",),
}
_FINE = Decimal("1E-16")
_NINE = Decimal("1E-9")


def ticker(desk: Desk, contract: Contract, quote: Quote, now_ms: int) -> Row:
    """The mark-price feed: there is no channel of its own for it."""
    row = public.ticker_row(desk, contract, quote, now_ms)
    kept = ("lastPr", "bidPr", "askPr", "bidSz", "askSz", "open24h", "high24h", "low24h", "change24h", "fundingRate")
    later = ("markPrice", "indexPrice", "holdingAmount", "baseVolume", "quoteVolume", "openUtc")
    return {
        "instId": contract.symbol,
        **{name: row[name] for name in kept},
        "nextFundingTime": str(next_funding_ms(now_ms)),
        **{name: row[name] for name in later},
        "symbolType": 1,
        "symbol": contract.symbol,
        "deliveryPrice": "0",
        "ts": str(now_ms),
    }


def candles(desk: Desk, symbol: str, step_min: int, most: int, now_ms: int) -> Json:
    """Eight strings each here, seven on REST."""
    found = desk.tape.candles(symbol, marks=False, step_min=step_min, start_s=0, end_s=now_ms // 1000, most=most)
    rows = [public.candle_row(each) for each in found]
    return [[*row, row[-1]] for row in rows]


def public_trade(made: Print) -> Row:
    return {
        "ts": str(made.at_ms),
        "price": number(made.price),
        "size": number(made.size),
        "side": "sell" if made.buyer_is_maker else "buy",
        "tradeId": str(made.trade_id),
    }


def position(desk: Desk, view: PositionView) -> Row:
    """No stops and no open orders in it; `frozen` is what REST calls `locked`, leverage a JSON number."""
    margin, ratio = view.margin, margin_ratio(view)
    isolated = view.margin_mode is MarginMode.ISOLATED
    return {
        "posId": desk.position_id(view),
        "instId": view.symbol,
        "marginCoin": view.coin,
        "marginSize": rounded(margin, _FINE),
        "marginMode": MARGIN_MODE_WORDS[view.margin_mode],
        "holdSide": view.side.value,
        "posMode": POSITION_MODE_WORDS[view.position_mode],
        "total": number(view.size),
        "available": number(view.size - view.frozen_size),
        "frozen": number(view.frozen_size),
        "openPriceAvg": rounded(view.entry_price, _FINE),
        "leverage": int(view.leverage),
        "achievedProfits": number(achieved(view)),
        "unrealizedPL": number(view.unrealized_pnl),
        "unrealizedPLR": rounded(view.unrealized_pnl / margin, _NINE) if margin else "0",
        "liquidationPrice": liquidation_price(view),
        "keepMarginRate": number(keep_rate(desk, view)),
        "isolatedMarginRate": rounded(ratio, _FINE) if isolated else "0",
        "marginRate": rounded(ratio, _FINE),
        "cTime": str(view.opened_ms),
        "breakEvenPrice": rounded(break_even(desk, view), _FINE),
        "totalFee": number(view.funding) if view.funding else "",
        "deductedFee": number(view.fees),
        "cashDividend": "",
        "markPrice": number(view.mark_price),
        "uTime": str(view.updated_ms),
        "assetMode": asset_mode(desk, view.uid, view.symbol),
        "autoMargin": "on" if view.auto_margin else "off",
    }


def closed(desk: Desk, view: PositionView) -> Row:
    """A position that was fully closed; its margin mode in the older word (2)."""
    open_fee, close_fee = life_fees(view)
    return {
        "posId": desk.position_id(view),
        "instId": view.symbol,
        "marginCoin": view.coin,
        "marginMode": "fixed" if view.margin_mode is MarginMode.ISOLATED else "crossed",
        "holdSide": view.side.value,
        "posMode": POSITION_MODE_WORDS[view.position_mode],
        "openPriceAvg": rounded(view.open_average_price, _FINE),
        "closePriceAvg": rounded(view.closed_average_price, _FINE),
        "openSize": number(view.closed_size),
        "closeSize": number(view.closed_size),
        "achievedProfits": number(achieved(view)),
        "settleFee": number(view.funding),
        "openFee": number(-open_fee),
        "closeFee": number(-close_fee),
        "cTime": str(view.opened_ms),
        "uTime": str(view.updated_ms),
    }


def account(desk: Desk, uid: str, coin: str) -> Row:
    """`frozen` and `equity` are what REST calls `locked` and `accountEquity`."""
    balance = desk.balance(uid, coin)
    union = union_figures(desk, uid, coin)
    return {
        "marginCoin": coin,
        "frozen": number(balance.frozen),
        "available": number(balance.available),
        "maxOpenPosAvailable": number(balance.free),
        "maxTransferOut": number(balance.free),
        "equity": number(balance.equity),
        "usdtEquity": worth(desk, balance.equity, coin)[0],
        "crossedRiskRate": rounded(cross_ratio(balance), _FINE),
        "unrealizedPL": number(balance.unrealized),
        "unionTotalMargin": union["unionTotalMargin"],
        "unionAvailable": union["unionAvailable"],
        "unionMm": union["unionMm"],
        "assetMode": "union" if coin == "USDT" and uid in desk.memory.union else "single",
    }


def equity(desk: Desk, uid: str, coin: str) -> Row:
    balance = desk.balance(uid, coin)
    in_usdt, in_bitcoin = worth(desk, balance.equity, coin)
    union = union_figures(desk, uid, coin)
    return {
        "btcEquity": in_bitcoin,
        "usdtEquity": in_usdt,
        "unrealizedPL": number(balance.unrealized),
        "unionTotalMargin": union["unionTotalMargin"],
        "unionAvailable": union["unionAvailable"],
        "unionMm": union["unionMm"],
    }


def order(desk: Desk, each: Order, trade: Trade | None) -> Row:
    """`baseVolume` is this fill's here, the sum is `accBaseVolume`; without a fill its fields are absent (13.7)."""
    coin = desk.exchange.query.contract(each.symbol).coin
    realized = _realized(desk, each, trade)
    price = each.price or each.average_price or _market_price(desk, each)
    row: Row = {
        "accBaseVolume": number(each.filled),
        "cTime": str(each.created_ms),
        "cancelReason": cancel_reason(each),
        "clientOid": client_oid(each, each.order_id),
        "enterPointSource": entry_point(each),
        "feeDetail": [{"feeCoin": coin, "fee": number(-each.fee)}],
        "force": FORCE_WORDS[each.time_in_force],
        "instId": each.symbol,
        "leverage": number(each.leverage),
        "marginCoin": coin,
        "marginMode": MARGIN_MODE_WORDS[each.margin_mode],
        "notionalUsd": number(each.size * price),
        "orderId": each.order_id,
        "orderType": order_type(each),
        "posMode": POSITION_MODE_WORDS[each.position_mode],
        "posSide": position_side(each),
        "presetStopLossExecutePrice": preset_execution(each.stop_loss),
        "presetStopLossPrice": preset_price(each.stop_loss),
        "presetStopLossType": preset_type(each.stop_loss),
        "presetStopSurplusExecutePrice": preset_execution(each.take_profit),
        "presetStopSurplusPrice": preset_price(each.take_profit),
        "presetStopSurplusType": preset_type(each.take_profit),
        "price": number(each.price),
        "reduceOnly": "yes" if each.reduce and each.position_mode is PositionMode.ONE_WAY else "no",
        "side": order_side(each),
        "size": number(each.size),
        "status": order_state(each),
        "stpMode": "none",
        "totalProfits": number(realized),
        "tradeSide": trade_side(each),
        "uTime": str(each.updated_ms),
    }
    return row if trade is None else row | _last_fill(each, trade, coin)


def _realized(desk: Desk, each: Order, trade: Trade | None) -> Decimal:
    """Up to this fill: by the time it is told the exchange may be further."""
    if not each.filled:
        return Decimal(0)
    made = trades_of(desk, each)
    known = (one for one in made if trade is None or int(one.trade_id) <= int(trade.trade_id))
    return sum((one.realized_pnl for one in known), Decimal(0))


def _market_price(desk: Desk, each: Order) -> Decimal:
    quote = desk.exchange.query.quote(each.symbol)
    return quote.last if quote else Decimal(0)


def _last_fill(each: Order, trade: Trade, coin: str) -> Row:
    return {
        "baseVolume": number(trade.size),
        "fillFee": number(-trade.fee),
        "fillFeeCoin": coin,
        "fillNotionalUsd": number(trade.size * trade.price),
        "fillPrice": number(trade.price),
        "fillTime": str(trade.at_ms),
        "pnl": number(trade.realized_pnl),
        "priceAvg": number(each.average_price),
        "tradeId": trade.trade_id,
        "tradeScope": "M" if trade.maker else "T",
    }


def plan(desk: Desk, each: Plan, state: str) -> Row:
    """Sizes and prices carry nine decimals, as in the sample."""
    kind = plan_type(each, moving=each.plan_id in desk.memory.moving_plans)
    row: Row = {
        "instId": each.symbol,
        "orderId": each.plan_id,
        "clientOid": client_oid(each, each.plan_id),
        "triggerPrice": _nine(each.trigger_price),
        "triggerType": TRIGGER_TYPE_WORDS[each.source],
        "triggerTime": str(each.updated_ms),
        "planType": STREAM_PLAN_TYPES[kind],
        "price": _nine(each.limit_price),
        "executePrice": _nine(each.limit_price),
        "size": _nine(each.size),
        "actualSize": _nine(each.size if state == "executed" else None),
        "orderType": "market" if each.limit_price is None else "limit",
        "side": order_side(each),
        "tradeSide": plan_trade_side(each),
        "posSide": position_side(each),
        "marginCoin": desk.exchange.query.contract(each.symbol).coin,
        "status": state,
        "posMode": POSITION_MODE_WORDS[each.position_mode],
        "enterPointSource": "API",
        "stpMode": "none",
        "cTime": str(each.created_ms),
        "uTime": str(each.updated_ms),
    }
    return row | _legs(each)


def _legs(each: Plan) -> Row:
    """A stop tells its trigger as a leg, too; a trigger order what it attaches."""
    match each.kind:
        case PlanKind.STOP_LOSS:
            return _leg("stopLoss", _nine(each.trigger_price), TRIGGER_TYPE_WORDS[each.source])
        case PlanKind.TAKE_PROFIT:
            return _leg("stopSurplus", _nine(each.trigger_price), TRIGGER_TYPE_WORDS[each.source])
        case PlanKind.CONDITIONAL | PlanKind.TRAILING:
            return {
                "stopSurplusTriggerType": preset_type(each.take_profit) or "fill_price",
                "stopLossTriggerType": preset_type(each.stop_loss) or "fill_price",
            }


def _leg(name: str, trigger: str, source: str) -> Row:
    return {f"{name}Price": "", f"{name}TriggerPrice": trigger, f"{name}TriggerType": source}


def _nine(value: Decimal | None) -> str:
    return f"{(value or Decimal(0)).quantize(_NINE):f}"


def fill(desk: Desk, each: Order, trade: Trade) -> Row:
    """`side` is the transaction's direction, in hedge mode too (13.9)."""
    fee: Row = {
        "feeCoin": desk.exchange.query.contract(trade.symbol).coin,
        "deduction": "no",
        "totalDeductionFee": "0",
        "totalFee": number(-trade.fee),
    }
    return {
        "orderId": trade.order_id,
        "clientOid": client_oid(each, each.order_id),
        "tradeId": trade.trade_id,
        "symbol": trade.symbol,
        "side": trade.side.value,
        "orderType": order_type(each),
        "posMode": POSITION_MODE_WORDS[each.position_mode],
        "price": number(trade.price),
        "baseVolume": number(trade.size),
        "quoteVolume": number(trade.size * trade.price),
        "profit": number(trade.realized_pnl),
        "tradeSide": trade_side(each),
        "tradeScope": "maker" if trade.maker else "taker",
        "feeDetail": [fee],
        "cTime": str(trade.at_ms),
        "uTime": str(trade.at_ms),
    }


def adl(each: Order, trade: Trade) -> Row:
    return {
        "symbol": each.symbol,
        "side": trade.side.value,
        "status": "triggered",
        "price": number(trade.price),
        "amount": number(trade.size * trade.price),
        "ts": str(trade.at_ms),
    }
