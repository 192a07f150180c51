"""How the venue writes orders, plans, positions, fills and balances: field names and JSON types of the samples.

Numbers are strings nearly everywhere; `side`, `state`, `mode` and times are integers (reference 5.3). The WebSocket's
spelling of the same things is in `frames`.
"""

from decimal import Decimal

from guardd.simulator.dialects.bitmart.envelope import Json
from guardd.simulator.orders import (
    MarginMode,
    Order,
    OrderKind,
    OrderStatus,
    Plan,
    PlanKind,
    PositionMode,
    PositionSide,
    Preset,
    PriceSource,
    Side,
    TimeInForce,
)
from guardd.simulator.records import Balance, Flow, FlowKind, PositionView, Trade, Transfer, TransferDirection

Row = dict[str, Json]

STATE_APPROVAL, STATE_CHECK, STATE_FINISHED = 1, 2, 4
ACCOUNT = "futures"
FUNDING_LIMIT = "0.0375"
_LIQUIDATION_PLACES = Decimal("1E-8")

SIDES: dict[int, tuple[Side, bool]] = {
    1: (Side.BUY, False),
    2: (Side.BUY, True),
    3: (Side.SELL, True),
    4: (Side.SELL, False),
}
SIDE_CODES = {sense: code for code, sense in SIDES.items()}
MODES = {1: TimeInForce.GTC, 2: TimeInForce.FOK, 3: TimeInForce.IOC, 4: TimeInForce.MAKER_ONLY}
MODE_CODES = {meaning: code for code, meaning in MODES.items()}
PRICE_TYPES = {1: PriceSource.LAST, 2: PriceSource.MARK}
PRICE_TYPE_CODES = {meaning: code for code, meaning in PRICE_TYPES.items()}
POSITION_MODES = {"hedge_mode": PositionMode.HEDGE, "one_way_mode": PositionMode.ONE_WAY}
POSITION_MODE_WORDS = {meaning: word for word, meaning in POSITION_MODES.items()}
ORDER_TYPES = {
    OrderKind.LIMIT: "limit",
    OrderKind.MARKET: "market",
    OrderKind.LIQUIDATION: "liquidate",
    OrderKind.ADL: "adl",
    OrderKind.SETTLEMENT: "market",
}
PLAN_TYPES = {
    PlanKind.CONDITIONAL: "plan",
    PlanKind.TRAILING: "trailing",
    PlanKind.STOP_LOSS: "stop_loss",
    PlanKind.TAKE_PROFIT: "take_profit",
}
FLOW_TYPES = {
    FlowKind.TRANSFER: (1, "Transfer"),
    FlowKind.REALIZED_PNL: (2, "Realized PNL"),
    FlowKind.FUNDING: (3, "Funding Fee"),
    FlowKind.COMMISSION: (4, "Commission Fee"),
    FlowKind.LIQUIDATION: (5, "Liquidation Clearance"),
}


def number(value: Decimal | None) -> str:
    """A decimal as the venue writes it: no exponent, no trailing zeros, `"0"` for none."""
    if not value:
        return "0"
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def rounded(value: Decimal, step: Decimal) -> str:
    return number(value.quantize(step))


def order_row(order: Order) -> Row:
    """GET /contract/private/order."""
    row = _order_head(order)
    row["account"] = ACCOUNT
    return row


def open_order_row(order: Order) -> Row:
    """One row of get-open-orders: no `account`, but the presets."""
    return {**_order_head(order), **presets(order.take_profit, order.stop_loss)}


def history_row(order: Order) -> Row:
    """One row of order-history."""
    return {
        **order_row(order),
        "trigger_price": "0",
        "execution_price": "0",
        "activation_price_type": 1,
        "activation_price": "0",
        "callback_rate": "0",
        **presets(order.take_profit, order.stop_loss),
    }


def _order_head(order: Order) -> Row:
    return {
        "order_id": order.order_id,
        "client_order_id": client_order_id(order),
        "price": number(order.price),
        "size": number(order.size),
        "symbol": order.symbol,
        "state": STATE_CHECK if order.status is OrderStatus.WORKING else STATE_FINISHED,
        "side": SIDE_CODES[order.side, order.reduce],
        "type": ORDER_TYPES[order.kind],
        "position_mode": POSITION_MODE_WORDS[order.position_mode],
        "leverage": "0" if order.reduce else number(order.leverage),
        "open_type": order.margin_mode.value,
        "deal_avg_price": number(order.average_price),
        "deal_size": number(order.filled),
        "create_time": order.created_ms,
        "update_time": order.updated_ms,
    }


def client_order_id(order: Order) -> str:
    """`PLAN_<id>` on an order that a triggered plan created (quirk 13)."""
    return f"PLAN_{order.plan_id}" if order.plan_id else order.client_id


def presets(take_profit: Preset | None, stop_loss: Preset | None) -> Row:
    return {
        "preset_take_profit_price_type": PRICE_TYPE_CODES[take_profit.source] if take_profit else 0,
        "preset_stop_loss_price_type": PRICE_TYPE_CODES[stop_loss.source] if stop_loss else 0,
        "preset_take_profit_price": number(take_profit.trigger_price) if take_profit else "",
        "preset_stop_loss_price": number(stop_loss.trigger_price) if stop_loss else "",
    }


def trailing_row(plan: Plan) -> Row:
    """A trailing order as get-open-orders?type=trailing lists it (reference 9.3)."""
    return {
        "order_id": plan.plan_id,
        "client_order_id": "",
        "price": "0",
        "size": number(plan.size),
        "symbol": plan.symbol,
        "state": STATE_CHECK,
        "side": SIDE_CODES[plan.side, plan.reduce],
        "type": "trailing",
        "position_mode": POSITION_MODE_WORDS[plan.position_mode],
        "leverage": number(plan.leverage),
        "open_type": plan.margin_mode.value,
        "deal_avg_price": "0",
        "deal_size": "0",
        "activation_price": number(plan.trigger_price),
        "activation_price_type": PRICE_TYPE_CODES[plan.source],
        "callback_rate": number(_percent(plan.callback_rate)),
        **presets(plan.take_profit, plan.stop_loss),
        "create_time": plan.created_ms,
        "update_time": plan.updated_ms,
    }


def _percent(fraction: Decimal | None) -> Decimal | None:
    return None if fraction is None else fraction * 100


def plan_row(plan: Plan, held: Decimal) -> Row:
    """One row of current-plan-order; `held` is what a whole-position order would close now."""
    return {
        "order_id": plan.plan_id,
        "client_order_id": plan.client_id,
        "executive_price": number(plan.limit_price),
        "trigger_price": number(plan.trigger_price),
        "size": number(held if plan.whole_position else plan.size),
        "symbol": plan.symbol,
        "state": STATE_CHECK,
        "side": SIDE_CODES[plan.side, plan.reduce],
        "mode": MODE_CODES[plan.time_in_force],
        "position_mode": POSITION_MODE_WORDS[plan.position_mode],
        "price_way": price_way(plan),
        "price_type": PRICE_TYPE_CODES[plan.source],
        "plan_category": 2 if plan.whole_position else 1,
        "type": PLAN_TYPES[plan.kind],
        "leverage": "0" if plan.reduce else number(plan.leverage),
        "open_type": plan.margin_mode.value,
        "create_time": plan.created_ms,
        "update_time": plan.updated_ms,
    }


def price_way(plan: Plan) -> int:
    """1 fires when the price rises to the trigger, 2 when it falls to it."""
    return 1 if plan.direction.value == "rise" else 2


def position_v2_row(view: PositionView, now_ms: int, flat_amount: str) -> Row:
    """One row of position-v2. `flat_amount` is what `position_amount` says on a flat row: "5" in the document's own."""
    return {
        "symbol": view.symbol,
        "leverage": number(view.leverage),
        "timestamp": now_ms,
        "current_fee": number(view.fees),
        "open_timestamp": view.opened_ms if view.size else 0,
        "current_value": number(view.notional_last),
        "mark_price": number(view.mark_price),
        "position_value": number(view.notional_entry),
        "position_cross": number(view.margin),
        "maintenance_margin": number(view.maintenance_margin),
        "close_vol": number(view.closed_size),
        "close_avg_price": number(view.closed_average_price),
        "open_avg_price": number(view.open_average_price),
        "entry_price": number(view.entry_price),
        "current_amount": number(view.size),
        "position_amount": _position_amount(view) if view.size else flat_amount,
        "realized_value": number(view.realized_pnl),
        "mark_value": number(view.notional_mark),
        "account": ACCOUNT,
        "open_type": view.margin_mode.value,
        "position_side": "both" if view.position_mode is PositionMode.ONE_WAY else view.side.value,
        "unrealized_pnl": number(view.unrealized_pnl),
        "liquidation_price": liquidation_price(view),
        "max_notional_value": number(view.max_notional),
        "initial_margin": number(view.margin),
    }


def _position_amount(view: PositionView) -> str:
    """Signed in one-way mode, positive in hedge mode (reference 8.3)."""
    one_way = view.position_mode is PositionMode.ONE_WAY
    return number(view.size * view.side.sign if one_way else view.size)


def liquidation_price(view: PositionView) -> str:
    """`"0"` when flat, under cross, and when no price liquidates (quirk 4)."""
    if view.liquidation_price is None or view.margin_mode is MarginMode.CROSS or not view.size:
        return "0"
    return rounded(view.liquidation_price, _LIQUIDATION_PLACES)


def position_row(view: PositionView, now_ms: int) -> Row:
    """One row of the older /position."""
    return {
        "symbol": view.symbol,
        "leverage": number(view.leverage),
        "timestamp": now_ms,
        "current_fee": number(view.fees),
        "open_timestamp": view.opened_ms if view.size else 0,
        "current_value": number(view.notional_last),
        "mark_value": number(view.notional_mark),
        "mark_price": number(view.mark_price),
        "position_value": number(view.notional_entry),
        "position_cross": number(view.margin),
        "maintenance_margin": number(view.maintenance_margin),
        "margin_type": view.margin_mode.value.capitalize(),
        "position_mode": POSITION_MODE_WORDS[view.position_mode],
        "close_vol": number(view.closed_size),
        "close_avg_price": number(view.closed_average_price),
        "open_avg_price": number(view.open_average_price),
        "entry_price": number(view.entry_price),
        "current_amount": number(view.size),
        "unrealized_value": number(view.unrealized_pnl),
        "realized_value": number(view.realized_pnl),
        "position_type": position_type(view.side),
        "account": ACCOUNT,
    }


def position_type(side: PositionSide) -> int:
    return 1 if side is PositionSide.LONG else 2


def risk_row(view: PositionView, contract_size: Decimal, now_ms: int) -> Row:
    """One row of position-risk, by its sample: base coin, notional at entry, seconds (reference 8.4)."""
    isolated = view.margin_mode is MarginMode.ISOLATED
    return {
        "symbol": view.symbol,
        "position_amt": number(view.size * contract_size),
        "mark_price": number(view.mark_price),
        "unrealized_profit": number(view.unrealized_pnl),
        "liquidation_price": liquidation_price(view),
        "leverage": number(view.leverage),
        "max_notional_value": number(view.max_notional),
        "margin_type": view.margin_mode.value.capitalize(),
        "isolated_margin": number(view.margin) if isolated else "0",
        "position_side": view.side.value.capitalize(),
        "notional": number(view.notional_entry),
        "update_time": now_ms // 1000,
        "account": ACCOUNT,
    }


def asset_rows(balance: Balance) -> list[Row]:
    """assets-detail: USDT and the two coins that are always listed."""
    usdt: Row = {
        "currency": "USDT",
        "position_deposit": number(balance.position_margin),
        "frozen_balance": number(balance.frozen),
        "available_balance": number(balance.available),
        "equity": number(balance.equity),
        "unrealized": number(balance.unrealized),
    }
    names = ("available_balance", "frozen_balance", "unrealized", "equity", "position_deposit")
    coins: list[Row] = [{"currency": coin, **dict.fromkeys(names, "0")} for coin in ("BTC", "ETH")]
    return [usdt, *coins]


def trade_row(trade: Trade) -> Row:
    """One row of /contract/private/trades."""
    return {
        "order_id": trade.order_id,
        "trade_id": trade.trade_id,
        "symbol": trade.symbol,
        "side": SIDE_CODES[trade.side, trade.reduce],
        "price": number(trade.price),
        "vol": number(trade.size),
        "exec_type": "Maker" if trade.maker else "Taker",
        "profit": trade.realized_pnl > 0,
        "realised_profit": number(trade.realized_pnl),
        "paid_fees": number(trade.fee),
        "account": ACCOUNT,
        "create_time": trade.at_ms,
    }


def flow_row(flow: Flow) -> Row:
    """One row of transaction-history."""
    code, word = FLOW_TYPES[flow.kind]
    return {
        "symbol": flow.symbol,
        "type": word,
        "flow_type": code,
        "amount": f"{flow.amount:.8f}",
        "asset": "USDT",
        "account": ACCOUNT,
        "time": str(flow.at_ms),
        "tran_id": flow.flow_id,
    }


def transfer_row(transfer: Transfer) -> Row:
    """One record of transfer-contract-list."""
    return {
        "transfer_id": transfer.transfer_id,
        "currency": "USDT",
        "amount": number(transfer.amount),
        "type": "spot_to_contract" if transfer.direction is TransferDirection.TO_FUTURES else "contract_to_spot",
        "state": "FINISHED",
        "timestamp": transfer.at_ms,
    }
