"""Orders and plan orders: what a client asks for, and what the exchange holds.

One spelling serves both position modes: `side` and `reduce`. In hedge mode buy+reduce closes the short leg and sell
opens it; in one-way mode the same flag is reduce-only on the net position.
"""

from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from guardd.simulator.refusals import RefusalReason


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"


class PositionSide(StrEnum):
    LONG = "long"
    SHORT = "short"

    @property
    def sign(self) -> int:
        return 1 if self is PositionSide.LONG else -1

    @property
    def opposite(self) -> "PositionSide":
        return PositionSide.SHORT if self is PositionSide.LONG else PositionSide.LONG

    @property
    def closing(self) -> Side:
        """The side of an order that closes this position."""
        return Side.SELL if self is PositionSide.LONG else Side.BUY


class PositionMode(StrEnum):
    HEDGE = "hedge"
    ONE_WAY = "one_way"


class MarginMode(StrEnum):
    ISOLATED = "isolated"
    CROSS = "cross"


class OrderKind(StrEnum):
    LIMIT = "limit"
    MARKET = "market"
    LIQUIDATION = "liquidation"
    ADL = "adl"
    SETTLEMENT = "settlement"


class ForcedExit(StrEnum):
    """By what doing of the exchange's own an order came to be."""

    OFFSET = "offset"  # the legs of a hedge set off against each other
    REDUCTION = "reduction"  # a partial liquidation
    TAKEOVER = "takeover"  # a full one
    ADL = "adl"
    SETTLEMENT = "settlement"


class TimeInForce(StrEnum):
    GTC = "gtc"
    FOK = "fok"
    IOC = "ioc"
    MAKER_ONLY = "maker_only"


class OrderStatus(StrEnum):
    WORKING = "working"
    FILLED = "filled"
    CANCELLED = "cancelled"


class CancelCause(StrEnum):
    USER = "user"
    TIME_IN_FORCE = "time_in_force"  # what an IOC or FOK left over, or a maker-only order that would have taken
    REDUCE_ONLY = "reduce_only"  # the position it would have closed is gone
    DISPLACED = "displaced"  # a newer close needed what it held
    LIQUIDATION = "liquidation"
    ADL = "adl"
    TIMED = "timed"  # the client's own dead man's switch
    CONTRACT = "contract"  # the contract went offline


class PriceSource(StrEnum):
    MARK = "mark"
    LAST = "last"


class Direction(StrEnum):
    RISE = "rise"
    FALL = "fall"


class PlanKind(StrEnum):
    STOP_LOSS = "stop_loss"
    TAKE_PROFIT = "take_profit"
    CONDITIONAL = "conditional"
    TRAILING = "trailing"


class PlanStatus(StrEnum):
    LIVE = "live"
    TRIGGERED = "triggered"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Preset(Struct, frozen=True, kw_only=True):
    """A take-profit or stop-loss that an opening order brings along. `limit_price` None = executes at market."""

    trigger_price: Decimal
    source: PriceSource = PriceSource.LAST
    limit_price: Decimal | None = None


class OrderRequest(Struct, frozen=True, kw_only=True):
    """What a client asks for. `price` only with limit; `leverage` and `margin_mode` None = as configured."""

    symbol: str
    side: Side
    size: Decimal
    reduce: bool = False
    kind: OrderKind = OrderKind.MARKET
    price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    leverage: Decimal | None = None
    margin_mode: MarginMode | None = None
    client_id: str = ""
    take_profit: Preset | None = None
    stop_loss: Preset | None = None

    @property
    def position_side(self) -> PositionSide:
        return position_side(self.side, reduce=self.reduce)


class Order(Struct, frozen=True, kw_only=True):
    """One order as it stands; a change is a new value. `price` None for market, `average_price` None while unfilled."""

    order_id: str
    client_id: str
    uid: str
    symbol: str
    side: Side
    reduce: bool
    kind: OrderKind
    time_in_force: TimeInForce
    price: Decimal | None
    size: Decimal
    filled: Decimal
    average_price: Decimal | None
    fee: Decimal  # paid so far, positive
    status: OrderStatus
    cancel_cause: CancelCause | None
    leverage: Decimal
    margin_mode: MarginMode
    position_mode: PositionMode
    plan_id: str  # the plan order that created it, "" when none
    take_profit: Preset | None
    stop_loss: Preset | None
    created_ms: int
    updated_ms: int
    forced: ForcedExit | None = None
    displaced: tuple[str, ...] = ()  # ids of the resting closes that it took the place of

    @property
    def remaining(self) -> Decimal:
        return self.size - self.filled

    @property
    def position_side(self) -> PositionSide:
        """The leg it opens or closes; in one-way mode, for an order without `reduce`, the side it would open."""
        return position_side(self.side, reduce=self.reduce)


class PlanRequest(Struct, frozen=True, kw_only=True):
    """A conditional order. `size` None = whole position (TP/SL only); `limit_price` None = executes at market.

    Trailing: `callback_rate` as a fraction (0.01 = 1 %), `trigger_price` is the activation price.
    `direction` is derived for TP/SL and trailing; a conditional order must say it.
    `pair_id` names the pair of a plan placed before: once one of a pair triggers or fails, the others end.
    """

    symbol: str
    kind: PlanKind
    side: Side
    reduce: bool
    trigger_price: Decimal
    source: PriceSource = PriceSource.MARK
    direction: Direction | None = None
    size: Decimal | None = None
    limit_price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    leverage: Decimal | None = None
    margin_mode: MarginMode | None = None
    client_id: str = ""
    callback_rate: Decimal | None = None
    take_profit: Preset | None = None
    stop_loss: Preset | None = None
    pair_id: str = ""

    @property
    def position_side(self) -> PositionSide:
        return position_side(self.side, reduce=self.reduce)


class Plan(Struct, frozen=True, kw_only=True):
    """One plan order as it stands. `order_id` is the order its trigger made, "" before; `extreme` is for trailing.

    `pair_id` is its own id, or that of the plan with which a pair began; it outlives that plan.
    """

    plan_id: str
    pair_id: str
    client_id: str
    uid: str
    symbol: str
    kind: PlanKind
    side: Side
    reduce: bool
    trigger_price: Decimal
    source: PriceSource
    direction: Direction
    size: Decimal | None
    limit_price: Decimal | None
    time_in_force: TimeInForce
    leverage: Decimal
    margin_mode: MarginMode
    position_mode: PositionMode
    callback_rate: Decimal | None
    extreme: Decimal | None  # best price since activation; None = not activated
    take_profit: Preset | None
    stop_loss: Preset | None
    parent_order_id: str  # the opening order whose preset this is
    status: PlanStatus
    order_id: str
    failure: RefusalReason | None
    created_ms: int
    updated_ms: int

    @property
    def position_side(self) -> PositionSide:
        return position_side(self.side, reduce=self.reduce)

    @property
    def whole_position(self) -> bool:
        return self.size is None

    @property
    def protects(self) -> bool:
        """A close-only stop with market execution: what covers a position against an adverse move."""
        if not self.reduce or self.limit_price is not None:
            return False
        adverse = Direction.FALL if self.position_side is PositionSide.LONG else Direction.RISE
        return self.kind is PlanKind.STOP_LOSS or (self.kind is PlanKind.CONDITIONAL and self.direction is adverse)


def position_side(side: Side, *, reduce: bool) -> PositionSide:
    """The leg that an order of this side opens, or closes when it reduces."""
    opens = PositionSide.LONG if side is Side.BUY else PositionSide.SHORT
    return opens.opposite if reduce else opens
