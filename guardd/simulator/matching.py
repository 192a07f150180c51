"""Orders meeting the book. Accounts trade against the outside market, never with each other."""

from collections.abc import Iterable
from decimal import ROUND_DOWN, ROUND_UP, Decimal

from msgspec.structs import replace

from guardd.simulator import admission, closing, settlement, telling
from guardd.simulator.accounts import ZERO, Account, Slicing
from guardd.simulator.contracts import Contract
from guardd.simulator.happenings import OrderAction
from guardd.simulator.orders import (
    CancelCause,
    Order,
    OrderKind,
    OrderRequest,
    OrderStatus,
    PositionSide,
    Preset,
    Side,
    TimeInForce,
)
from guardd.simulator.records import Settings
from guardd.simulator.refusals import RefusalReason, Refused
from guardd.simulator.terms import FillModel, RestingCloses
from guardd.simulator.world import Market, World

MAX_LEVELS = 50  # book levels one order walks; the last takes what is left, so a tiny level_size can't flood the tape


def submit(world: World, account: Account, request: OrderRequest, *, plan_id: str = "", bounded: bool = True) -> Order:
    """Check, accept and work an order; returns it as it stands afterwards. Raises `Refused`.

    What a plan triggers is the exchange's own execution: the client's size bounds don't hold it back.
    """
    configured = account.settings.get(request.symbol)
    request, displaced = closing.arrange(world, account, request)
    gone = {order.order_id for order in displaced}
    existing = account.orders
    account.orders = {order_id: order for order_id, order in existing.items() if order_id not in gone}
    try:
        if world.terms.order_sets_leverage:
            _bring_settings(world, account, request)
        admission.check_order(world, account, request, bounded=bounded and not plan_id)
    except Refused:
        if configured is None:
            account.settings.pop(request.symbol, None)
        else:
            account.settings[request.symbol] = configured
        raise
    finally:
        account.orders = existing
    cancel_many(world, account, displaced, CancelCause.DISPLACED)
    settings = account.settings_of(request.symbol)
    order = Order(
        order_id=world.new_id(),
        client_id=request.client_id,
        uid=account.uid,
        symbol=request.symbol,
        side=request.side,
        reduce=request.reduce,
        kind=request.kind,
        time_in_force=request.time_in_force,
        price=request.price,
        size=request.size,
        filled=ZERO,
        average_price=None,
        fee=ZERO,
        status=OrderStatus.WORKING,
        cancel_cause=None,
        leverage=settings.leverage(request.position_side),
        margin_mode=settings.margin_mode,
        position_mode=world.mode_of(account, request.symbol),
        plan_id=plan_id,
        take_profit=request.take_profit,
        stop_loss=request.stop_loss,
        created_ms=world.now_ms,
        updated_ms=world.now_ms,
        displaced=tuple(order.order_id for order in displaced),
    )
    account.orders[order.order_id] = order
    if order.client_id:
        account.client_ids.add(order.client_id)
    telling.tell_order(world, account, OrderAction.SUBMIT, order)
    return _work_new(world, account, world.markets[order.symbol], order)


def close_all(world: World, account: Account, symbol: str, side: PositionSide) -> Order:
    """Close a whole leg at market, however small it is; what resting closes hold is theirs, unless they must make room."""
    contract = admission.open_market(world, symbol, reduce=True).contract
    held = account.held(symbol, side)
    displaces = closing.rule(world, account, symbol, OrderKind.MARKET) is RestingCloses.DISPLACE
    size = held if displaces else held - account.frozen_size(symbol, side)
    if size > contract.max_market_size:
        raise Refused(RefusalReason.SIZE_RANGE, f"{size} is above {contract.max_market_size}")
    if held and not size:
        raise Refused(RefusalReason.VOLUME_NOT_ENOUGH, f"resting closes hold all of {held}")
    request = OrderRequest(symbol=symbol, side=side.closing, size=size, reduce=True)
    return submit(world, account, request, bounded=False)


def cancel(world: World, account: Account, order: Order, cause: CancelCause) -> Order:
    """End a working order."""
    order = replace(order, status=OrderStatus.CANCELLED, cancel_cause=cause, updated_ms=world.now_ms)
    account.orders.pop(order.order_id, None)
    account.slicing.pop(order.order_id, None)
    account.finished_orders[order.order_id] = order
    action = {
        CancelCause.LIQUIDATION: OrderAction.LIQUIDATION_CANCEL,
        CancelCause.ADL: OrderAction.ADL_CANCEL,
    }.get(cause, OrderAction.CANCEL)
    telling.tell_order(world, account, action, order)
    return order


def cancel_many(world: World, account: Account, orders: Iterable[Order], cause: CancelCause) -> None:
    for order in list(orders):
        cancel(world, account, order, cause)


def modify(world: World, account: Account, order: Order, price: Decimal | None, size: Decimal | None) -> Order:
    """Change price or size (the whole size, filled part included) of a resting limit order; same id. All or nothing."""
    market = admission.open_market(world, order.symbol, reduce=order.reduce)
    if order.kind is not OrderKind.LIMIT:
        raise Refused(RefusalReason.PARAMETER_INVALID, "only limit orders can be modified")
    new_size = order.size if size is None else size
    new_price = order.price if price is None else price
    if new_size <= order.filled:
        raise Refused(RefusalReason.SIZE_RANGE, f"size {new_size} is not above the filled {order.filled}")
    # The order's own hold on margin and volume must not count against its successor.
    del account.orders[order.order_id]
    try:
        request = OrderRequest(
            symbol=order.symbol,
            side=order.side,
            reduce=order.reduce,
            kind=OrderKind.LIMIT,
            price=new_price,
            size=new_size - order.filled,
            time_in_force=order.time_in_force,
        )
        admission.check_order(world, account, request)
    finally:
        account.orders[order.order_id] = order
    order = replace(order, price=new_price, size=new_size, updated_ms=world.now_ms)
    account.orders[order.order_id] = order
    telling.tell_order(world, account, OrderAction.MODIFY, order)
    return _work_new(world, account, market, order)


def modify_presets(
    world: World, account: Account, order: Order, take_profit: Preset | None, stop_loss: Preset | None
) -> Order:
    """Change the TP/SL that a working opening order will bring along; what is None stays."""
    market = admission.open_market(world, order.symbol, reduce=order.reduce)
    if order.reduce:
        raise Refused(RefusalReason.PARAMETER_INVALID, "a closing order brings no take-profit or stop-loss")
    for preset in (take_profit, stop_loss):
        if preset is not None:
            admission.check_preset(market.contract, preset)
    order = replace(
        order,
        take_profit=take_profit or order.take_profit,
        stop_loss=stop_loss or order.stop_loss,
        updated_ms=world.now_ms,
    )
    account.orders[order.order_id] = order
    if order.filled:
        world.grown[order.order_id] = account.uid
    telling.tell_order(world, account, OrderAction.MODIFY, order)
    return order


def work_resting(world: World, account: Account, market: Market) -> None:
    """Fill resting limit orders that the present prices cross, at their own price, as maker."""
    quote = market.prices()
    for order in account.orders_of(market.contract.symbol):
        if order.kind is not OrderKind.LIMIT or order.price is None or order.order_id not in account.orders:
            continue
        crossed = quote.ask <= order.price if order.side is Side.BUY else quote.bid >= order.price
        if not crossed:
            continue
        part = _to_step(order.remaining * market.fills.resting_share, market.contract, ROUND_DOWN)
        size = min(max(part, market.contract.step), order.remaining)
        _execute(world, account, order, [(order.price, size)], market.contract.maker_fee, maker=True)


def fill_whole(world: World, account: Account, order: Order, price: Decimal) -> None:
    """Fill what is left of a resting order at its price, as maker."""
    market = world.markets[order.symbol]
    _execute(world, account, order, [(price, order.remaining)], market.contract.maker_fee, maker=True)


def work_slices(world: World, account: Account, market: Market) -> None:
    """Fill the parts of market orders that have fallen due."""
    for order in account.orders_of(market.contract.symbol):
        while (slicing := account.slicing.get(order.order_id)) and slicing.next_ms <= world.now_ms:
            slicing.next_ms += market.fills.slice_interval_ms
            order = _take(world, account, market, order, min(slicing.part, order.remaining))


def trim_closes(world: World, account: Account, symbol: str, cause: CancelCause = CancelCause.REDUCE_ONLY) -> None:
    """Cancel resting closes, newest first, that the position can no longer fill."""
    for side in PositionSide:
        held = account.held(symbol, side)
        resting = [o for o in account.orders_of(symbol) if o.reduce and o.position_side is side]
        while resting and sum((order.remaining for order in resting), ZERO) > held:
            cancel(world, account, resting.pop(), cause)


def book_levels(model: FillModel, contract: Contract, side: Side, best: Decimal) -> list[tuple[Decimal, Decimal]]:
    """(price, size) levels that a taker of this side meets, best first; empty size limit means one endless level."""
    if model.level_size is None:
        return []
    step = contract.tick * model.level_gap_ticks * (1 if side is Side.BUY else -1)
    prices = (best + step * level for level in range(MAX_LEVELS))
    return [(max(price, contract.tick), model.level_size) for price in prices]


def _bring_settings(world: World, account: Account, request: OrderRequest) -> None:
    """Let an opening order on a flat contract bring its leverage and margin mode (a venue option)."""
    busy = account.positions_of(request.symbol) or account.orders_of(request.symbol)
    if request.reduce or busy or request.symbol not in world.markets:
        return
    old = account.settings_of(request.symbol)
    if request.leverage is not None:
        admission.check_leverage(world.markets[request.symbol].contract, request.leverage)
    account.settings[request.symbol] = Settings(
        margin_mode=request.margin_mode or old.margin_mode,
        long_leverage=request.leverage or old.long_leverage,
        short_leverage=request.leverage or old.short_leverage,
    )


def _work_new(world: World, account: Account, market: Market, order: Order) -> Order:
    """First contact with the book, by kind and time in force."""
    if order.kind is OrderKind.MARKET:
        part = _to_step(order.size / market.fills.slices, market.contract, ROUND_UP)
        if part < order.size:
            due = world.now_ms + market.fills.slice_interval_ms
            account.slicing[order.order_id] = Slicing(part=part, next_ms=due)
        return _take(world, account, market, order, min(part, order.size))
    takes = _levels_for(market, order, order.remaining)
    takeable = sum((size for _, size in takes), ZERO)
    match order.time_in_force:
        case TimeInForce.MAKER_ONLY if takeable:
            return cancel(world, account, order, CancelCause.TIME_IN_FORCE)
        case TimeInForce.FOK if takeable < order.remaining:
            return cancel(world, account, order, CancelCause.TIME_IN_FORCE)
        case _:
            pass
    order = _execute(world, account, order, takes, market.contract.taker_fee, maker=False)
    if order.time_in_force is TimeInForce.IOC and order.status is OrderStatus.WORKING:
        return cancel(world, account, order, CancelCause.TIME_IN_FORCE)
    return order


def _take(world: World, account: Account, market: Market, order: Order, size: Decimal) -> Order:
    """One market execution of `size`."""
    takes = _levels_for(market, order, size)
    return _execute(world, account, order, takes, market.contract.taker_fee, maker=False)


def _levels_for(market: Market, order: Order, size: Decimal) -> list[tuple[Decimal, Decimal]]:
    """(price, size) pieces that `size` of this order takes from the book; a market order takes it all."""
    quote = market.prices()
    best = settlement.best_price(order.side, quote.bid, quote.ask)
    levels = book_levels(market.fills, market.contract, order.side, best) or [(best, size)]
    pieces: list[tuple[Decimal, Decimal]] = []
    for number, (price, depth) in enumerate(levels, start=1):
        if order.price is not None and (price > order.price if order.side is Side.BUY else price < order.price):
            break
        endless = order.price is None and number == len(levels)
        piece = size if endless else min(size, depth)
        pieces.append((price, piece))
        size -= piece
        if not size:
            break
    return pieces


def _execute(
    world: World,
    account: Account,
    order: Order,
    pieces: Iterable[tuple[Decimal, Decimal]],
    fee_rate: Decimal,
    *,
    maker: bool,
) -> Order:
    """Fill the pieces; a reduce-only order is cut to what is still held, and cancelled when that is nothing."""
    booking = settlement.Booking(fee_rate=fee_rate, maker=maker)
    for price, piece in pieces:
        size = min(piece, account.held(order.symbol, order.position_side)) if order.reduce else piece
        if not size:
            return cancel(world, account, order, CancelCause.REDUCE_ONLY)
        order = settlement.fill(world, account, order, size, price, booking)
        trim_closes(world, account, order.symbol)
        order = account.orders.get(order.order_id) or account.finished_orders[order.order_id]
        if order.status is not OrderStatus.WORKING:
            break
    return order


def _to_step(size: Decimal, contract: Contract, rounding: str) -> Decimal:
    return (size / contract.step).to_integral_value(rounding) * contract.step
