"""What a close does about resting closes of the same leg that hold what it wants."""

from msgspec.structs import replace

from guardd.simulator.accounts import Account
from guardd.simulator.orders import Order, OrderKind, OrderRequest, PositionMode, PositionSide
from guardd.simulator.terms import RestingCloses
from guardd.simulator.world import World


def rule(world: World, account: Account, symbol: str, kind: OrderKind) -> RestingCloses:
    """In hedge mode only market orders make room; a limit order must fit."""
    if world.mode_of(account, symbol) is PositionMode.ONE_WAY:
        return world.terms.one_way_closes
    return world.terms.hedge_closes if kind is OrderKind.MARKET else RestingCloses.REFUSE


def arrange(world: World, account: Account, request: OrderRequest) -> tuple[OrderRequest, tuple[Order, ...]]:
    """The request as it can be accepted, and the resting closes that must go first, oldest first.

    One that is larger than the position is left as it is: admission refuses it.
    """
    if not request.reduce or request.symbol not in world.markets:
        return request, ()
    symbol, side = request.symbol, request.position_side
    held, frozen = account.held(symbol, side), account.frozen_size(symbol, side)
    lacking = request.size - (held - frozen)
    if lacking <= 0 or request.size > held:
        return request, ()
    match rule(world, account, symbol, request.kind):
        case RestingCloses.REFUSE:
            return request, ()
        case RestingCloses.REMAINDER:
            return (replace(request, size=held - frozen) if frozen < held else request), ()
        case RestingCloses.DISPLACE:
            gone: list[Order] = []
            for order in resting(account, symbol, side):
                if lacking <= 0:
                    break
                gone.append(order)
                lacking -= order.remaining
            return request, tuple(gone)


def resting(account: Account, symbol: str, side: PositionSide) -> list[Order]:
    """Working closes of a leg, oldest first."""
    return [order for order in account.orders_of(symbol) if order.reduce and order.position_side is side]
