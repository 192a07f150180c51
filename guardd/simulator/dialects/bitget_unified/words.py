"""V3's vocabulary for what the exchange holds, and how it writes numbers. UTA reference, 1, 5, 9.8."""

from decimal import Decimal

from guardd.simulator.orders import (
    ForcedExit,
    MarginMode,
    Order,
    OrderKind,
    OrderStatus,
    Plan,
    PlanKind,
    PlanStatus,
    PositionMode,
    PriceSource,
    TimeInForce,
)

MARGIN_MODES = {"crossed": MarginMode.CROSS, "isolated": MarginMode.ISOLATED}
MARGIN_WORDS = {mode: word for word, mode in MARGIN_MODES.items()}
HOLD_MODES = {"hedge_mode": PositionMode.HEDGE, "one_way_mode": PositionMode.ONE_WAY}
HOLD_WORDS = {mode: word for word, mode in HOLD_MODES.items()}
SOURCE_WORDS = {PriceSource.LAST: "market", PriceSource.MARK: "mark"}
FORCE_WORDS = {
    TimeInForce.GTC: "gtc",
    TimeInForce.IOC: "ioc",
    TimeInForce.FOK: "fok",
    TimeInForce.MAKER_ONLY: "post_only",
}
STRATEGY_STATUS = {
    PlanStatus.LIVE: "pending",
    PlanStatus.TRIGGERED: "success",
    PlanStatus.FAILED: "failed",
    PlanStatus.CANCELLED: "cancelled",
}
_ORDER_TYPES = {
    OrderKind.LIMIT: "limit",
    OrderKind.MARKET: "market",
    OrderKind.LIQUIDATION: "limit",  # as the documented row of a liquidation has it
    OrderKind.ADL: "limit",
    OrderKind.SETTLEMENT: "market",
}
# (execType, delegateType) of what the exchange does by itself (4)
_FORCED = {
    ForcedExit.OFFSET: ("offset", "reduce_offset_delegate"),
    ForcedExit.REDUCTION: ("reduce", "market_risk"),
    ForcedExit.TAKEOVER: ("liquidation", "liquidation"),
    ForcedExit.ADL: ("reduce", "reduce_offset_delegate"),
    ForcedExit.SETTLEMENT: ("delivery", "off_close"),
}
_PLAN_DELEGATES = {
    PlanKind.STOP_LOSS: "stop_loss",
    PlanKind.TAKE_PROFIT: "stop_profit",
    PlanKind.CONDITIONAL: "plan",
    PlanKind.TRAILING: "move_stop",
}


def number(value: Decimal | None) -> str:
    """No exponent, no trailing zeros, `"0"` for none."""
    if not value:
        return "0"
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def rounded(value: Decimal, step: Decimal, rounding: str | None = None) -> str:
    return number(value.quantize(step, rounding))


def order_type(order: Order) -> str:
    return _ORDER_TYPES[order.kind]


def exec_type(order: Order) -> str:
    return _FORCED[order.forced][0] if order.forced else "normal"


def delegate_type(order: Order, plan: Plan | None) -> str:
    """Where the order comes from; a whole-position TP/SL says so in its name."""
    if order.forced is not None:
        return _FORCED[order.forced][1]
    if plan is None:
        return "normal"
    kind = _PLAN_DELEGATES[plan.kind]
    whole = "position_" if plan.whole_position else ""
    return f"{whole}{kind}_{'market' if plan.limit_price is None else 'limit'}"


def order_status(order: Order, *, fresh: str) -> str:
    """`fresh` is the word for an order without a fill: `live` by REST, `new` on the socket."""
    match order.status:
        case OrderStatus.WORKING:
            return "partially_filled" if order.filled else fresh
        case OrderStatus.FILLED:
            return "filled"
        case OrderStatus.CANCELLED:
            return "cancelled"


def cancel_reason(order: Order) -> str:
    return "normal_cancel" if order.status is OrderStatus.CANCELLED else ""


def trade_side(*, reduce: bool) -> str:
    return "close" if reduce else "open"


def reduce_only(order: Order) -> bool:
    """In hedge mode a close isn't reduce-only: `NO` also there (9.8)."""
    return order.reduce and order.position_mode is PositionMode.ONE_WAY


def client_oid(order_id: str, client_id: str) -> str:
    """Every order has one: an order without gets the venue's own, a number beside its id (recorded)."""
    return client_id or str(int(order_id) + 1)
