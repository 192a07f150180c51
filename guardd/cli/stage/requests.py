"""The model's writes as the exchange's requests."""

from guardd.model.intent import CloseAtMarket, PlaceProtection, stop_direction
from guardd.model.names import ClientId, Side
from guardd.model.order import Direction, PlanForm, ProtectionKind
from guardd.simulator.orders import (
    Direction as Way,
)
from guardd.simulator.orders import (
    OrderKind,
    OrderRequest,
    PlanKind,
    PlanRequest,
    PriceSource,
    TimeInForce,
)
from guardd.simulator.orders import (
    Side as Hand,
)


def closing(write: CloseAtMarket, client_id: ClientId) -> OrderRequest:
    limited = write.limit_price is not None
    return OrderRequest(
        symbol=write.key.symbol,
        side=hand(write.key.side, closes=True),
        size=write.size,
        reduce=True,
        kind=OrderKind.LIMIT if limited else OrderKind.MARKET,
        price=write.limit_price,
        time_in_force=TimeInForce.IOC if limited else TimeInForce.GTC,
        client_id=client_id,
    )


def protecting(write: PlaceProtection, client_id: ClientId) -> PlanRequest:
    plain = write.form is PlanForm.PLAN
    bound = PlanKind.STOP_LOSS if write.kind is ProtectionKind.STOP_LOSS else PlanKind.TAKE_PROFIT
    falls = stop_direction(write.key, write.kind) is Direction.FALLS
    return PlanRequest(
        symbol=write.key.symbol,
        kind=PlanKind.CONDITIONAL if plain else bound,
        side=hand(write.key.side, closes=True),
        reduce=True,
        trigger_price=write.trigger_price,
        source=PriceSource(write.price_type.value),
        direction=(Way.FALL if falls else Way.RISE) if plain else None,
        size=None if write.form is PlanForm.WHOLE else write.size or write.position_size,
        client_id=client_id,
    )


def hand(side: Side, *, closes: bool) -> Hand:
    """Buy or sell: what opens a long buys, what closes it sells."""
    return Hand.BUY if (side is Side.LONG) != closes else Hand.SELL
