"""This venue's words for what the exchange knows: modes, sides, kinds, states; and how it writes numbers.

Bitget reference, 5 and 11.10. In hedge mode `side` names the position's direction, for closes too (11.1).
"""

from decimal import Decimal

from guardd.simulator.orders import (
    CancelCause,
    ForcedExit,
    MarginMode,
    Order,
    OrderKind,
    OrderStatus,
    Plan,
    PlanKind,
    PositionMode,
    PositionSide,
    PriceSource,
    Side,
    TimeInForce,
)

MARGIN_MODES = {"isolated": MarginMode.ISOLATED, "crossed": MarginMode.CROSS}
MARGIN_MODE_WORDS = {meaning: word for word, meaning in MARGIN_MODES.items()}
POSITION_MODES = {"one_way_mode": PositionMode.ONE_WAY, "hedge_mode": PositionMode.HEDGE}
POSITION_MODE_WORDS = {meaning: word for word, meaning in POSITION_MODES.items()}
FORCES = {
    "gtc": TimeInForce.GTC,
    "ioc": TimeInForce.IOC,
    "fok": TimeInForce.FOK,
    "post_only": TimeInForce.MAKER_ONLY,
}
FORCE_WORDS = {meaning: word for word, meaning in FORCES.items()}
TRIGGER_TYPES = {"fill_price": PriceSource.LAST, "mark_price": PriceSource.MARK}
TRIGGER_TYPE_WORDS = {meaning: word for word, meaning in TRIGGER_TYPES.items()}
SIDES_OF_POSITIONS = {PositionSide.LONG: Side.BUY, PositionSide.SHORT: Side.SELL}
STREAM_PLAN_TYPES = {
    "normal_plan": "pl",
    "track_plan": "track",
    "profit_plan": "tp",
    "loss_plan": "sl",
    "moving_plan": "mtpsl",
    "pos_profit": "ptp",
    "pos_loss": "psl",
}
_SYSTEM_HEDGE: dict[ForcedExit | None, str] = {
    ForcedExit.REDUCTION: "reduce_close",
    ForcedExit.TAKEOVER: "burst_close",
    ForcedExit.OFFSET: "offset_close",
    ForcedExit.ADL: "dte_sys_adl_close",
    ForcedExit.SETTLEMENT: "delivery_close",
}
_SYSTEM_ONE_WAY: dict[ForcedExit | None, str] = {
    ForcedExit.REDUCTION: "reduce_",
    ForcedExit.TAKEOVER: "burst_",
    ForcedExit.SETTLEMENT: "delivery_",
}
_SYSTEM_SOURCES = {
    ForcedExit.REDUCTION: "market_risk",
    ForcedExit.TAKEOVER: "liquidation",
    ForcedExit.OFFSET: "reduce_offset",
    ForcedExit.ADL: "market_risk",
    ForcedExit.SETTLEMENT: "off_close",
}
_SOURCES = {
    "normal_plan": "plan",
    "track_plan": "tracking",
    "profit_plan": "profit",
    "loss_plan": "loss",
    "moving_plan": "move",
    "pos_profit": "pos_profit",
    "pos_loss": "pos_loss",
}
_CANCEL_REASONS = {
    CancelCause.USER: "normal_cancel",
    CancelCause.REDUCE_ONLY: "reduce_only_cancel",
    CancelCause.DISPLACED: "reduce_only_cancel",
    CancelCause.LIQUIDATION: "market_risk_cancel",
    CancelCause.ADL: "market_risk_cancel",
}


def number(value: Decimal | None) -> str:
    """A decimal as the venue writes it: no exponent, no trailing zeros, `"0"` for none."""
    if not value:
        return "0"
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def rounded(value: Decimal, step: Decimal) -> str:
    return number(value.quantize(step))


def places(step: Decimal) -> int:
    """Decimals of a step: 0.0001 has four."""
    exponent = step.normalize().as_tuple().exponent
    return max(-exponent, 0) if isinstance(exponent, int) else 0


def order_type(order: Order) -> str:
    return "limit" if order.kind is OrderKind.LIMIT else "market"


def order_side(order: Order | Plan) -> str:
    """The position's direction in hedge mode, the transaction's in one-way mode."""
    one_way = order.position_mode is PositionMode.ONE_WAY
    return (order.side if one_way else SIDES_OF_POSITIONS[order.position_side]).value


def position_side(order: Order | Plan) -> str:
    return "net" if order.position_mode is PositionMode.ONE_WAY else order.position_side.value


def trade_side(order: Order) -> str:
    """`open`, `close`, or the footprint of what the exchange did by itself (11.10)."""
    one_way = order.position_mode is PositionMode.ONE_WAY
    if order.forced is ForcedExit.ADL and one_way:
        return f"dte_sys_adl_{order.side.value}_in_single_side_mode"
    if one_way:
        return f"{_SYSTEM_ONE_WAY.get(order.forced, '')}{order.side.value}_single"
    if order.forced in _SYSTEM_HEDGE:
        return f"{_SYSTEM_HEDGE[order.forced]}_{order.position_side.value}"
    return "close" if order.reduce else "open"


def plan_trade_side(plan: Plan) -> str:
    if plan.position_mode is PositionMode.ONE_WAY:
        return f"{plan.side.value}_single"
    return "close" if plan.reduce else "open"


def plan_type(plan: Plan, *, moving: bool) -> str:
    match plan.kind:
        case PlanKind.STOP_LOSS:
            return "pos_loss" if plan.whole_position else "loss_plan"
        case PlanKind.TAKE_PROFIT:
            return "pos_profit" if plan.whole_position else "profit_plan"
        case PlanKind.TRAILING:
            return "moving_plan" if moving else "track_plan"
        case PlanKind.CONDITIONAL:
            return "normal_plan"


def order_source(order: Order, plan_type_of_origin: str) -> str:
    if order.forced is not None:
        return _SYSTEM_SOURCES[order.forced]
    if plan_type_of_origin:
        return f"{_SOURCES[plan_type_of_origin]}_{order_type(order)}"
    return "market" if order.kind is OrderKind.MARKET else "normal"


def entry_point(order: Order) -> str:
    return "API" if order.forced is None else "SYS"


def client_oid(order: Order | Plan, own_id: str) -> str:
    """The venue makes one up where the client gave none."""
    return order.client_id or str(int(own_id) + 1)


def order_state(order: Order) -> str:
    match order.status:
        case OrderStatus.WORKING:
            return "partially_filled" if order.filled else "live"
        case OrderStatus.FILLED:
            return "filled"
        case OrderStatus.CANCELLED:
            return "canceled"


def cancel_reason(order: Order) -> str:
    if order.cancel_cause is None:
        return ""
    return _CANCEL_REASONS.get(order.cancel_cause, "normal_cancel")
