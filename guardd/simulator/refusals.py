"""Why the exchange said no. A dialect maps each reason to its venue's code; the detail is for people."""

from enum import StrEnum


class RefusalReason(StrEnum):
    # the venue and the contract
    VENUE_CLOSING = "venue_closing"  # new risk is refused, closes go on
    VENUE_MAINTENANCE = "venue_maintenance"
    CONTRACT_NOT_FOUND = "contract_not_found"
    CONTRACT_OFFLINE = "contract_offline"
    CONTRACT_PAUSED = "contract_paused"
    NO_MARKET = "no_market"  # no price yet
    # the request
    PARAMETER_INVALID = "parameter_invalid"
    PRICE_PRECISION = "price_precision"
    SIZE_PRECISION = "size_precision"
    SIZE_RANGE = "size_range"
    NOTIONAL_TOO_SMALL = "notional_too_small"
    DUPLICATE_CLIENT_ID = "duplicate_client_id"
    # leverage and modes
    LEVERAGE_TOO_LARGE = "leverage_too_large"
    LEVERAGE_TOO_SMALL = "leverage_too_small"
    LEVERAGE_CONFLICT = "leverage_conflict"
    MARGIN_MODE_CONFLICT = "margin_mode_conflict"
    POSITION_LIMIT = "position_limit"  # notional above the tier of this leverage
    POSITIONS_EXIST = "positions_exist"
    ORDERS_EXIST = "orders_exist"
    NOT_ISOLATED = "not_isolated"
    # money
    INSUFFICIENT_BALANCE = "insufficient_balance"
    INSUFFICIENT_SPOT_BALANCE = "insufficient_spot_balance"
    AMOUNT_INVALID = "amount_invalid"
    WOULD_LIQUIDATE = "would_liquidate"
    TRANSFER_SUSPENDED = "transfer_suspended"
    # positions
    POSITION_NOT_EXIST = "position_not_exist"
    POSITION_CLOSED = "position_closed"  # it existed, and is flat now
    POSITION_LIQUIDATING = "position_liquidating"
    VOLUME_NOT_ENOUGH = "volume_not_enough"
    POSITION_NOT_READY = "position_not_ready"  # just opened, and not yet known to TP/SL orders
    # orders and plans
    ORDER_NOT_EXIST = "order_not_exist"
    ORDER_FINISHED = "order_finished"
    TOO_MANY_ORDERS = "too_many_orders"
    TOO_MANY_PLANS = "too_many_plans"
    PLAN_EXISTS = "plan_exists"  # a second whole-position plan of one kind
    TRIGGER_TOO_FAR = "trigger_too_far"
    TRIGGER_WRONG_SIDE = "trigger_wrong_side"
    SYSTEM_ERROR = "system_error"  # only ever injected


class Refused(Exception):
    """The exchange refuses a request; nothing has changed."""

    def __init__(self, reason: RefusalReason, detail: str) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail
