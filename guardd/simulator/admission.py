"""May this order be accepted? Every check raises `Refused` and changes nothing."""

from decimal import Decimal

from guardd.simulator import cross, margin
from guardd.simulator.accounts import ZERO, Account
from guardd.simulator.contracts import Contract, ContractStatus
from guardd.simulator.orders import MarginMode, OrderKind, OrderRequest, PlanRequest, PositionMode, PositionSide, Preset
from guardd.simulator.refusals import RefusalReason, Refused
from guardd.simulator.settlement import best_price
from guardd.simulator.terms import VenueState
from guardd.simulator.world import Market, World


def check_order(world: World, account: Account, request: OrderRequest, *, bounded: bool = True) -> None:
    """All checks of an order, cheapest first; without `bounded` the contract's smallest and largest don't count."""
    market = open_market(world, request.symbol, reduce=request.reduce)
    quote = market.prices()
    _check_form(market.contract, request, bounded=bounded)
    check_client_id(world, account, request.client_id)
    if len(account.orders_of(request.symbol)) >= world.terms.max_orders_per_symbol:
        raise Refused(RefusalReason.TOO_MANY_ORDERS, f"{request.symbol} has {world.terms.max_orders_per_symbol} orders")
    check_settings(account, request)
    price = request.price or best_price(request.side, quote.bid, quote.ask)
    if bounded and (world.terms.min_notional_on_closes or not request.reduce):
        check_notional(market.contract, request.size, price)
    if request.reduce:
        check_volume(account, request.symbol, request.position_side, request.size)
        return
    _check_opening(world, account, market, request, price)


def check_writable(world: World) -> None:
    if world.state is VenueState.MAINTENANCE:
        raise Refused(RefusalReason.VENUE_MAINTENANCE, "the venue is under maintenance")


def open_market(world: World, symbol: str, *, reduce: bool) -> Market:
    """The market, if orders of this intent are taken now."""
    check_writable(world)
    market = world.market(symbol)
    match market.status:
        case ContractStatus.PAUSED:
            raise Refused(RefusalReason.CONTRACT_PAUSED, f"trading of {symbol} is paused")
        case ContractStatus.DELISTED:
            raise Refused(RefusalReason.CONTRACT_OFFLINE, f"{symbol} is offline")
        case ContractStatus.TRADING:
            pass
    if not reduce and world.state is not VenueState.NORMAL:
        raise Refused(RefusalReason.VENUE_CLOSING, "the venue takes closing orders only")
    return market


def check_size(contract: Contract, size: Decimal, largest: Decimal) -> None:
    if size <= 0 or size % contract.step:
        raise Refused(RefusalReason.SIZE_PRECISION, f"size {size} is not a positive multiple of {contract.step}")
    if not contract.min_size <= size <= largest:
        raise Refused(RefusalReason.SIZE_RANGE, f"size {size} is outside {contract.min_size} to {largest}")


def check_notional(contract: Contract, size: Decimal, price: Decimal) -> None:
    value = size * contract.contract_size * price
    if value < contract.min_notional:
        raise Refused(RefusalReason.NOTIONAL_TOO_SMALL, f"a value of {value} is below {contract.min_notional}")


def check_price(contract: Contract, price: Decimal) -> None:
    if price <= 0 or price % contract.tick:
        raise Refused(RefusalReason.PRICE_PRECISION, f"price {price} is not a positive multiple of {contract.tick}")


def check_client_id(world: World, account: Account, client_id: str) -> None:
    """Unique account-wide among existing orders and plans; for longer, where the terms say so."""
    if not client_id:
        return
    existing = {item.client_id for items in (account.orders, account.plans) for item in items.values()}
    since_ms = world.now_ms - world.terms.plan_client_ids_kept_ms
    existing.update(plan.client_id for plan in account.finished_plans.values() if plan.created_ms > since_ms)
    taken = client_id in account.client_ids if world.terms.client_ids_forever else client_id in existing
    if taken:
        raise Refused(RefusalReason.DUPLICATE_CLIENT_ID, f"client id {client_id} is in use")


def check_settings(account: Account, request: OrderRequest | PlanRequest) -> None:
    """Leverage and margin mode, where given, must be those of the contract in this account."""
    settings = account.settings_of(request.symbol)
    if request.margin_mode is not None and request.margin_mode is not settings.margin_mode:
        raise Refused(
            RefusalReason.MARGIN_MODE_CONFLICT, f"{request.margin_mode.value} against {settings.margin_mode.value}"
        )
    leverage = settings.leverage(request.position_side)
    if request.leverage is not None and request.leverage != leverage:
        raise Refused(RefusalReason.LEVERAGE_CONFLICT, f"leverage {request.leverage} against {leverage}")


def check_leverage(contract: Contract, leverage: Decimal) -> None:
    if leverage < 1:
        raise Refused(RefusalReason.LEVERAGE_TOO_SMALL, f"leverage {leverage} is below 1")
    if leverage > contract.max_leverage:
        raise Refused(RefusalReason.LEVERAGE_TOO_LARGE, f"leverage {leverage} is above {contract.max_leverage}")


def check_volume(account: Account, symbol: str, side: PositionSide, size: Decimal) -> None:
    """A close may not exceed what is held and not frozen by resting closes: it is refused, never clipped."""
    held = account.held(symbol, side)
    if not held:
        reason = (
            RefusalReason.POSITION_CLOSED if (symbol, side) in account.ever_held else RefusalReason.POSITION_NOT_EXIST
        )
        raise Refused(reason, f"no {side.value} position in {symbol}")
    frozen = account.frozen_size(symbol, side)
    if size > held - frozen:
        raise Refused(RefusalReason.VOLUME_NOT_ENOUGH, f"close of {size} against {held} held, {frozen} of it frozen")


def _check_form(contract: Contract, request: OrderRequest, *, bounded: bool) -> None:
    match request.kind:
        case OrderKind.LIMIT:
            if request.price is None:
                raise Refused(RefusalReason.PARAMETER_INVALID, "a limit order needs a price")
            check_price(contract, request.price)
            largest = contract.max_limit_size
        case OrderKind.MARKET:
            if request.price is not None:
                raise Refused(RefusalReason.PARAMETER_INVALID, "a market order takes no price")
            largest = contract.max_market_size
        case OrderKind.LIQUIDATION | OrderKind.ADL | OrderKind.SETTLEMENT:
            raise Refused(RefusalReason.PARAMETER_INVALID, f"{request.kind.value} orders are the exchange's own")
    if bounded:
        check_size(contract, request.size, largest)
    for preset in (request.take_profit, request.stop_loss):
        if preset is not None:
            check_preset(contract, preset)


def check_preset(contract: Contract, preset: Preset) -> None:
    for price in (preset.trigger_price, preset.limit_price):
        if price is not None:
            check_price(contract, price)


def _check_opening(world: World, account: Account, market: Market, request: OrderRequest, price: Decimal) -> None:
    """Tier limit, money, and that the new position would not be liquidated at once."""
    contract = market.contract
    side = request.position_side
    opening = request.size - _closing_part(world, account, request)
    if opening <= 0:
        return
    leverage = account.leverage(request.symbol, side)
    check_leverage(contract, leverage)
    working = [o for o in account.orders_of(request.symbol) if not o.reduce and o.position_side is side]
    total = account.held(request.symbol, side) + sum((o.remaining for o in working), ZERO) + opening
    limit = contract.max_notional(leverage)
    if total * contract.contract_size * price > limit:
        raise Refused(RefusalReason.POSITION_LIMIT, f"notional would pass {limit}, the limit at leverage {leverage}")
    notional = opening * contract.contract_size * price
    fee = notional * contract.taker_fee
    isolated = account.settings_of(request.symbol).margin_mode is MarginMode.ISOLATED
    free = (margin.free if isolated else margin.buying_power)(world, account, contract.coin)
    if notional / leverage + fee > free:
        raise Refused(RefusalReason.INSUFFICIENT_BALANCE, f"needs {notional / leverage + fee:.4f}, {free:.4f} is free")
    if _due_at_once(world, account, market, side, opening, notional):
        raise Refused(RefusalReason.WOULD_LIQUIDATE, "the position would be liquidated at once")


def _due_at_once(
    world: World, account: Account, market: Market, side: PositionSide, opening: Decimal, notional: Decimal
) -> bool:
    """Would the leg, enlarged by `opening` contracts worth `notional`, be due for liquidation at the present mark?"""
    contract, mark = market.contract, market.prices().mark
    profit = side.sign * (opening * contract.contract_size * mark - notional)
    if account.settings_of(contract.symbol).margin_mode is MarginMode.CROSS:
        return _pool_due_at_once(world, account, market, side, opening, profit - notional * contract.taker_fee)
    held = account.positions.get((contract.symbol, side))
    value = (opening + (held.size if held else ZERO)) * contract.contract_size * mark
    burden = contract.maintenance(value)
    if world.terms.closing_fee_counted:
        burden += value * contract.taker_fee
    behind = notional / account.leverage(contract.symbol, side) + profit
    behind += held.margin + held.unrealized if held else ZERO
    return behind <= burden


def _pool_due_at_once(
    world: World, account: Account, market: Market, side: PositionSide, opening: Decimal, gain: Decimal
) -> bool:
    """In cross: all that is at stake together, with this contract's load enlarged."""
    contract, mark, symbol = market.contract, market.prices().mark, market.contract.symbol
    price = cross.worth(world, account, contract.coin)
    now = cross.loads(world, account, symbol)
    then = cross.loads(world, account, symbol, {side: opening})
    before, after = (
        sum((cross.needs(contract, world.terms, load, mark)[1] for load in loads), ZERO) for loads in (now, then)
    )
    risk = cross.risk(world, account, contract.coin)
    return risk.behind + gain * price <= risk.burden + (after - before) * price


def _closing_part(world: World, account: Account, request: OrderRequest) -> Decimal:
    """One-way mode: the part of an order without reduce-only that first closes the opposite net position."""
    if world.mode_of(account, request.symbol) is PositionMode.HEDGE:
        return ZERO
    held = account.held(request.symbol, request.position_side.opposite)
    ahead = (o.remaining for o in account.orders_of(request.symbol) if not o.reduce and o.side is request.side)
    return min(request.size, max(held - sum(ahead, ZERO), ZERO))
