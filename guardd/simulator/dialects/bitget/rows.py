"""How REST writes positions, orders, plans, fills and balances: names and JSON types of the samples.

Bitget reference, 7 to 12. Numbers are strings; the WebSocket's spelling of the same things is in `frames`.
"""

from decimal import Decimal

from guardd.simulator.dialects.bitget.desk import Desk
from guardd.simulator.dialects.bitget.products import COIN_MARGIN, COIN_SYMBOL, CoinPosition, Product, product_of
from guardd.simulator.dialects.bitget.words import (
    FORCE_WORDS,
    MARGIN_MODE_WORDS,
    POSITION_MODE_WORDS,
    TRIGGER_TYPE_WORDS,
    cancel_reason,
    client_oid,
    entry_point,
    number,
    order_side,
    order_source,
    order_state,
    order_type,
    plan_trade_side,
    plan_type,
    position_side,
    rounded,
    trade_side,
)
from guardd.simulator.dialects.bitget_common.envelope import Json, Row
from guardd.simulator.orders import (
    Order,
    Plan,
    PlanKind,
    PlanStatus,
    PositionMode,
    Preset,
)
from guardd.simulator.records import Balance, PositionView, Trade

_FINE = Decimal("1E-16")
_TWELVE = Decimal("1E-12")
_PLAN_STATES = {
    PlanStatus.LIVE: "live",
    PlanStatus.TRIGGERED: "executed",
    PlanStatus.FAILED: "fail_execute",
    PlanStatus.CANCELLED: "cancelled",
}


def views(desk: Desk, uid: str, product: Product, symbol: str | None = None) -> list[PositionView]:
    """Open positions of a product type, newest first (9.2)."""
    held = desk.exchange.query.positions(uid, symbol)
    return sorted((each for each in held if desk.of_product(each.symbol, product)), key=lambda each: -each.opened_ms)


def margin_ratio(view: PositionView) -> Decimal:
    """Burden ÷ what stands behind it; 1 is liquidation. Isolated: of the position, cross: of the account (10)."""
    return Decimal(1) if view.risk_ratio is None else view.risk_ratio


def cross_ratio(balance: Balance) -> Decimal:
    """The cross account's ratio, zero without cross positions."""
    return Decimal(1) if balance.cross_ratio is None else balance.cross_ratio


def achieved(view: PositionView) -> Decimal:
    """Realised without funding and fees."""
    return view.realized_pnl + view.fees - view.funding


def break_even(desk: Desk, view: PositionView) -> Decimal:
    """Where closing all of it would leave nothing lost, fees and funding counted."""
    fee = desk.exchange.query.contract(view.symbol).taker_fee
    owed = view.fees - view.funding - achieved(view)
    return (view.notional_entry + view.side.sign * owed) / (view.size * (1 - view.side.sign * fee))


def keep_rate(desk: Desk, view: PositionView) -> Decimal:
    return desk.exchange.query.contract(view.symbol).tier(view.notional_mark).rate


def liquidation_price(view: PositionView) -> str:
    """At most zero: no liquidation price now (0)."""
    return rounded(view.liquidation_price, _TWELVE) if view.liquidation_price is not None else "0"


def position_row(desk: Desk, view: PositionView, unset: Json) -> Row:
    """One row of single-position and all-position; `unset` stands for a stop that isn't there: `""` or null (2)."""
    opening = (
        order.remaining
        for order in desk.exchange.query.open_orders(view.uid, view.symbol)
        if not order.reduce and order.position_side is view.side
    )
    row: Row = {
        "marginCoin": view.coin,
        "symbol": view.symbol,
        "holdSide": view.side.value,
        "openDelegateSize": number(sum(opening, Decimal(0))),
        "marginSize": rounded(view.margin, _FINE),
        "available": number(view.size - view.frozen_size),
        "locked": number(view.frozen_size),
        "total": number(view.size),
        "leverage": number(view.leverage),
        "achievedProfits": number(achieved(view)),
        "openPriceAvg": rounded(view.entry_price, _FINE),
        "marginMode": MARGIN_MODE_WORDS[view.margin_mode],
        "posMode": POSITION_MODE_WORDS[view.position_mode],
        "unrealizedPL": number(view.unrealized_pnl),
        "liquidationPrice": liquidation_price(view),
        "keepMarginRate": number(keep_rate(desk, view)),
        "markPrice": number(view.mark_price),
        "marginRatio": rounded(margin_ratio(view), _FINE),
        "breakEvenPrice": rounded(break_even(desk, view), _FINE),
        "totalFee": number(view.funding) if view.funding else "",
        "deductedFee": number(view.fees),
        "cashDividend": "",
        "grant": "",
        "assetMode": asset_mode(desk, view.uid, view.symbol),
        "autoMargin": "on" if view.auto_margin else "off",
    }
    for kind, name in ((PlanKind.TAKE_PROFIT, "takeProfit"), (PlanKind.STOP_LOSS, "stopLoss")):
        plan = whole_position_plan(desk, view, kind)
        row[name] = number(plan.trigger_price) if plan else unset
        row[f"{name}Id"] = plan.plan_id if plan else unset
    return {**row, "cTime": str(view.opened_ms), "uTime": str(view.updated_ms)}


def whole_position_plan(desk: Desk, view: PositionView, kind: PlanKind) -> Plan | None:
    plans = desk.exchange.query.open_plans(view.uid, view.symbol)
    named = (p for p in plans if p.kind is kind and p.whole_position and p.position_side is view.side)
    return next(named, None)


def asset_mode(desk: Desk, uid: str, symbol: str) -> str:
    """Multi-asset margin is USDT-M's only (5.1)."""
    usdt = product_of(desk.exchange.query.contract(symbol)) is Product.USDT
    return "union" if usdt and uid in desk.memory.union else "single"


def coin_position_row(position: CoinPosition, index: int, now_ms: int) -> Row:
    """A planted Coin-M position: in the venue's shape, and standing still."""
    return {
        "marginCoin": COIN_MARGIN,
        "symbol": COIN_SYMBOL,
        "holdSide": position.side,
        "openDelegateSize": "0",
        "marginSize": position.margin_size,
        "available": position.total,
        "locked": "0",
        "total": position.total,
        "leverage": position.leverage,
        "achievedProfits": "0",
        "openPriceAvg": position.open_price,
        "marginMode": position.margin_mode,
        "posMode": "hedge_mode",
        "unrealizedPL": "0",
        "liquidationPrice": position.liquidation_price,
        "keepMarginRate": "0.004",
        "markPrice": position.mark_price,
        "marginRatio": "0.05",
        "breakEvenPrice": position.open_price,
        "totalFee": "",
        "deductedFee": "0",
        "cashDividend": "",
        "grant": "",
        "assetMode": "single",
        "autoMargin": "off",
        "takeProfit": "",
        "takeProfitId": "",
        "stopLoss": "",
        "stopLossId": "",
        "cTime": str(now_ms - 1 - index),
        "uTime": str(now_ms),
    }


def closed_position_row(desk: Desk, view: PositionView) -> Row:
    """One life of a position that is over; times in lower case here (19.35)."""
    open_fee, close_fee = life_fees(view)
    pnl = achieved(view)
    return {
        "positionId": desk.position_id(view),
        "symbol": view.symbol,
        "marginCoin": view.coin,
        "holdSide": view.side.value,
        "posMode": POSITION_MODE_WORDS[view.position_mode],
        "openAvgPrice": rounded(view.open_average_price, _FINE),
        "closeAvgPrice": rounded(view.closed_average_price, _FINE),
        "marginMode": MARGIN_MODE_WORDS[view.margin_mode],
        "openTotalPos": number(view.closed_size),
        "closeTotalPos": number(view.closed_size),
        "pnl": number(pnl),
        "netProfit": number(pnl + view.funding - view.fees),
        "totalFunding": number(view.funding),
        "openFee": number(-open_fee),
        "closeFee": number(-close_fee),
        "cashDividend": "",
        "ctime": str(view.opened_ms),
        "utime": str(view.updated_ms),
    }


def life_fees(view: PositionView) -> tuple[Decimal, Decimal]:
    """Fees of a closed life, shared between its two ends by their value."""
    ends = view.open_average_price + view.closed_average_price
    opening = (view.fees * view.open_average_price / ends).quantize(_TWELVE) if ends else Decimal(0)
    return opening, view.fees - opening


def order_row(desk: Desk, order: Order) -> Row:
    """What detail, pending and history have in common; the state's name is theirs (11.8)."""
    realized = sum((trade.realized_pnl for trade in trades_of(desk, order)), Decimal(0))
    average = order.average_price
    one_way_reduce = order.reduce and order.position_mode is PositionMode.ONE_WAY
    return {
        "symbol": order.symbol,
        "size": number(order.size),
        "orderId": order.order_id,
        "clientOid": client_oid(order, order.order_id),
        "baseVolume": number(order.filled),
        "fee": number(-order.fee),
        "price": number(order.price) if order.price is not None else "",
        "priceAvg": number(average) if average else "",
        "side": order_side(order),
        "force": FORCE_WORDS[order.time_in_force],
        "totalProfits": number(realized),
        "posSide": position_side(order),
        "marginCoin": desk.exchange.query.contract(order.symbol).coin,
        "presetStopSurplusPrice": preset_price(order.take_profit),
        "presetStopLossPrice": preset_price(order.stop_loss),
        "quoteVolume": number(order.filled * (average or Decimal(0))),
        "orderType": order_type(order),
        "leverage": number(order.leverage),
        "marginMode": MARGIN_MODE_WORDS[order.margin_mode],
        "reduceOnly": "YES" if one_way_reduce else "NO",
        "enterPointSource": entry_point(order),
        "tradeSide": trade_side(order),
        "posMode": POSITION_MODE_WORDS[order.position_mode],
        "orderSource": order_source(order, origin_type(desk, order)),
        "cTime": str(order.created_ms),
        "uTime": str(order.updated_ms),
    }


def preset_price(preset: Preset | None) -> str:
    return number(preset.trigger_price) if preset else ""


def preset_execution(preset: Preset | None) -> str:
    """ "" executes at market."""
    return number(preset.limit_price) if preset and preset.limit_price is not None else ""


def preset_type(preset: Preset | None) -> str:
    return TRIGGER_TYPE_WORDS[preset.source] if preset else ""


def trades_of(desk: Desk, order: Order) -> list[Trade]:
    return [each for each in desk.exchange.query.trades(order.uid, order.symbol) if each.order_id == order.order_id]


def origin_type(desk: Desk, order: Order) -> str:
    """The planType of the plan order that made this one, "" when none did."""
    if not order.plan_id:
        return ""
    plan = desk.exchange.query.plan(order.uid, plan_id=order.plan_id)
    return plan_type(plan, moving=plan.plan_id in desk.memory.moving_plans)


def detail_row(desk: Desk, order: Order) -> Row:
    return {
        **order_row(desk, order),
        "state": order_state(order),
        "presetStopSurplusType": preset_type(order.take_profit),
        "presetStopSurplusExecutePrice": preset_execution(order.take_profit),
        "presetStopLossType": preset_type(order.stop_loss),
        "presetStopLossExecutePrice": preset_execution(order.stop_loss),
        "newTradeSide": None,
        "cancelReason": cancel_reason(order),
    }


def pending_row(desk: Desk, order: Order) -> Row:
    return {
        **order_row(desk, order),
        "status": order_state(order),
        "presetStopSurplusTriggerType": preset_type(order.take_profit),
        "presetStopLossTriggerType": preset_type(order.stop_loss),
    }


def history_row(desk: Desk, order: Order) -> Row:
    return {**order_row(desk, order), "status": order_state(order), "liqPrice": "", "posAvg": ""}


def fill_row(desk: Desk, trade: Trade) -> Row:
    """`side` is the position's direction here in hedge mode, the transaction's on the socket (19.37)."""
    order = desk.exchange.query.order(trade.uid, order_id=trade.order_id)
    fee: Row = {
        "deduction": "no",
        "feeCoin": desk.exchange.query.contract(trade.symbol).coin,
        "totalDeductionFee": "0",
        "totalFee": number(-trade.fee),
    }
    return {
        "tradeId": trade.trade_id,
        "symbol": trade.symbol,
        "orderId": trade.order_id,
        "price": number(trade.price),
        "baseVolume": number(trade.size),
        "feeDetail": [fee],
        "side": order_side(order),
        "quoteVolume": number(trade.size * trade.price),
        "profit": number(trade.realized_pnl),
        "enterPointSource": entry_point(order),
        "tradeSide": trade_side(order),
        "posMode": POSITION_MODE_WORDS[order.position_mode],
        "tradeScope": "maker" if trade.maker else "taker",
        "cTime": str(trade.at_ms),
    }


def plan_row(desk: Desk, plan: Plan) -> Row:
    """One row of the pending and past plan lists; legs of TP/SL rows as observed, unset ones null (12.7)."""
    kind = plan_type(plan, moving=plan.plan_id in desk.memory.moving_plans)
    bound = kind not in ("normal_plan", "track_plan")
    return {
        "planType": kind,
        "symbol": plan.symbol,
        "size": number(plan.size),
        "orderId": plan.plan_id,
        "clientOid": client_oid(plan, plan.plan_id),
        "price": number(plan.limit_price) if plan.limit_price is not None or bound else "",
        "executePrice": number(plan.limit_price),
        "callbackRatio": number(plan.callback_rate * 100) if plan.callback_rate is not None else "",
        "triggerPrice": number(plan.trigger_price),
        "triggerType": TRIGGER_TYPE_WORDS[plan.source],
        "planStatus": _PLAN_STATES[plan.status],
        "side": order_side(plan),
        "posSide": position_side(plan),
        "marginCoin": desk.exchange.query.contract(plan.symbol).coin,
        "marginMode": "" if bound else MARGIN_MODE_WORDS[plan.margin_mode],
        "enterPointSource": "API",
        "tradeSide": plan_trade_side(plan),
        "posMode": POSITION_MODE_WORDS[plan.position_mode],
        "orderType": "market" if plan.limit_price is None else "limit",
        "orderSource": "normal",
        **_legs(plan, bound=bound),
        "cTime": str(plan.created_ms),
        "uTime": str(plan.updated_ms),
    }


def _legs(plan: Plan, *, bound: bool) -> Row:
    """TP/SL rows repeat their own trigger as a leg; trigger orders show what they attach."""
    row: Row = {}
    for kind, name, preset in (
        (PlanKind.TAKE_PROFIT, "stopSurplus", plan.take_profit),
        (PlanKind.STOP_LOSS, "stopLoss", plan.stop_loss),
    ):
        own = bound and plan.kind is kind
        unset: Json = None if bound else ""
        row[f"{name}TriggerPrice"] = number(plan.trigger_price) if own else preset_price(preset) or unset
        row[f"{name}ExecutePrice"] = unset
        row[f"{name}TriggerType"] = TRIGGER_TYPE_WORDS[plan.source] if own else preset_type(preset) or unset
    return row


def past_plan_row(desk: Desk, plan: Plan) -> Row:
    """With the order that its trigger made."""
    order = desk.exchange.query.order(plan.uid, order_id=plan.order_id) if plan.order_id else None
    return {
        **plan_row(desk, plan),
        "executeOrderId": plan.order_id,
        "baseVolume": number(order.filled if order else None),
        "priceAvg": number(order.average_price) if order and order.average_price else "",
    }


def account_figures(desk: Desk, uid: str, coin: str) -> Row:
    """What account and accounts share (7.1)."""
    balance = desk.balance(uid, coin)
    isolated = balance.unrealized - balance.cross_unrealized
    in_usdt, in_bitcoin = worth(desk, balance.equity, coin)
    return {
        "marginCoin": coin,
        "locked": number(balance.frozen),
        "available": number(balance.available),
        "crossedMaxAvailable": number(balance.free),
        "isolatedMaxAvailable": number(balance.free),
        "maxTransferOut": number(balance.free),
        "accountEquity": number(balance.equity),
        "usdtEquity": in_usdt,
        "btcEquity": in_bitcoin,
        "crossedRiskRate": rounded(cross_ratio(balance), _FINE),
        "unrealizedPL": number(balance.unrealized),
        "coupon": "0",
        "grant": "0",
        "isolatedMargin": rounded(balance.isolated_margin, _FINE),
        "crossedMargin": rounded(balance.position_margin - balance.isolated_margin, _FINE),
        "crossedUnrealizedPL": number(balance.cross_unrealized),
        "isolatedUnrealizedPL": number(isolated),
        "assetMode": "union" if coin == "USDT" and uid in desk.memory.union else "single",
    }


def worth(desk: Desk, amount: Decimal, coin: str) -> tuple[str, str]:
    """An amount of a coin in USDT, taken for a dollar, and in BTC."""
    dollars = amount * desk.exchange.query.usd_price(coin)
    bitcoin = desk.exchange.query.usd_price("BTC")
    return rounded(dollars, _TWELVE), rounded(dollars / bitcoin, _TWELVE) if bitcoin else "0"


def union_figures(desk: Desk, uid: str, coin: str) -> Row:
    """The pool's figures in multi-asset mode; empty in single mode. One coin stands in this pool."""
    if coin != "USDT" or uid not in desk.memory.union:
        return {"unionTotalMargin": "", "unionAvailable": "", "unionMm": "", "assetList": []}
    balance = desk.balance(uid, coin)
    asset: Row = {"coin": coin, "balance": number(balance.wallet), "available": number(balance.free)}
    return {
        "unionTotalMargin": number(balance.equity),
        "unionAvailable": number(balance.free),
        "unionMm": number(balance.cross_maintenance),
        "assetList": [asset],
    }
