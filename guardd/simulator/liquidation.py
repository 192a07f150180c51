"""Forced exits: liquidation of isolated positions and of the cross account, auto-deleveraging, settlement at mark."""

from collections.abc import Callable, Sequence
from decimal import ROUND_DOWN, Decimal

from guardd.simulator import margin, matching, settlement, telling
from guardd.simulator.accounts import ZERO, Account, Position
from guardd.simulator.happenings import OrderAction
from guardd.simulator.orders import (
    CancelCause,
    MarginMode,
    Order,
    OrderKind,
    OrderStatus,
    PositionMode,
    TimeInForce,
)
from guardd.simulator.records import FlowKind
from guardd.simulator.world import World


def check(world: World, account: Account, symbol: str | None = None) -> None:
    """Liquidate what is due: isolated positions (of one symbol, or all), and the cross positions together.

    Due means margin balance ≤ maintenance margin plus, where the terms count it, the closing fee.
    """
    for position in list(account.positions.values()):
        isolated = position.margin_mode is MarginMode.ISOLATED
        if isolated and symbol in (None, position.symbol) and _isolated_due(position):
            _liquidate_isolated(world, account, position)
    if _cross_due(account):
        _liquidate_cross(world, account)


def cover_debt(world: World, account: Account) -> None:
    """A flat account owes nothing: what a close cost beyond the wallet is paid by the insurance fund."""
    if not account.positions and account.wallet < 0:
        world.insurance += account.wallet
        world.book(account, FlowKind.LIQUIDATION, "", -account.wallet)


def deleverage(world: World, account: Account, position: Position, size: Decimal, price: Decimal) -> Order:
    """Auto-deleveraging: the exchange closes `size` at `price`, without fee, to fill another's bankruptcy."""
    booking = settlement.Booking(fee_rate=ZERO, action=OrderAction.ADL_PASSIVE_FILL)
    order = _force(world, account, position, OrderKind.ADL, size, price, booking)
    matching.trim_closes(world, account, position.symbol, CancelCause.ADL)
    return order


def settle_at_mark(world: World, account: Account, position: Position) -> Order:
    """The end of a contract: closed at the mark price, without fee."""
    mark = world.markets[position.symbol].prices().mark
    return _force(
        world, account, position, OrderKind.SETTLEMENT, position.size, mark, settlement.Booking(fee_rate=ZERO)
    )


def _isolated_due(position: Position) -> bool:
    return position.margin + position.unrealized <= position.burden


def _cross_due(account: Account) -> bool:
    cross = margin.cross_positions(account)
    return bool(cross) and margin.cross_balance(account) <= sum((position.burden for position in cross), ZERO)


def _liquidate_isolated(world: World, account: Account, position: Position) -> None:
    _cancel_orders(world, account, [position])
    if world.terms.partial_liquidation and _step_down(world, account, position, lambda: _isolated_due(position)):
        return
    before, wallet = position.margin, account.wallet
    _take_over(world, account, position)
    left = before + (account.wallet - wallet)
    _clear(world, account, position.symbol, left)
    loss = before if world.terms.forfeit else before - max(left, ZERO)
    telling.tell_liquidated(world, account, MarginMode.ISOLATED, (position.symbol,), loss, partial=False)


def _liquidate_cross(world: World, account: Account) -> None:
    positions = sorted(margin.cross_positions(account), key=lambda p: (-p.burden, p.symbol, p.side.value))
    _cancel_orders(world, account, positions)
    if world.terms.partial_liquidation:
        for position in positions:
            if _step_down(world, account, position, lambda: _cross_due(account)):
                return
    before = account.wallet - margin.isolated_margin(account)
    for position in positions:
        _take_over(world, account, position)
    left = account.wallet - margin.isolated_margin(account)
    _clear(world, account, "", left)
    loss = before if world.terms.forfeit else before - max(left, ZERO)
    symbols = tuple(dict.fromkeys(position.symbol for position in positions))
    telling.tell_liquidated(world, account, MarginMode.CROSS, symbols, loss, partial=False)


def _cancel_orders(world: World, account: Account, positions: Sequence[Position]) -> None:
    """Before the position is taken over its orders end: those of the leg, in one-way or cross all of the symbol."""
    for position in positions:
        all_of_symbol = position.margin_mode is MarginMode.CROSS or account.position_mode is PositionMode.ONE_WAY
        orders = [
            order
            for order in account.orders_of(position.symbol)
            if all_of_symbol or order.position_side is position.side
        ]
        matching.cancel_many(world, account, orders, CancelCause.LIQUIDATION)


def _step_down(world: World, account: Account, position: Position, due: Callable[[], bool]) -> bool:
    """Close down to the cap of the next lower tier until no longer due; False when only a full liquidation is left."""
    market = world.markets[position.symbol]
    contract, mark = market.contract, market.prices().mark
    while due():
        tier = contract.tier(margin.base_size(contract, position) * mark)
        unit = contract.contract_size * mark * contract.step
        keep = (tier.floor / unit).to_integral_value(ROUND_DOWN) * contract.step
        if tier.number == 1 or not 0 < keep < position.size:
            return False
        booking = settlement.Booking(
            fee_rate=world.terms.liquidation_fee,
            profit_flow=FlowKind.LIQUIDATION,
            action=OrderAction.PARTIAL_LIQUIDATION,
            keep_margin=True,
        )
        wallet = account.wallet
        _force(world, account, position, OrderKind.LIQUIDATION, position.size - keep, mark, booking)
        telling.tell_liquidated(
            world, account, position.margin_mode, (position.symbol,), wallet - account.wallet, partial=True
        )
    return True


def _take_over(world: World, account: Account, position: Position) -> None:
    """Close all of a position at mark; the profit is booked as liquidation."""
    mark = world.markets[position.symbol].prices().mark
    booking = settlement.Booking(
        fee_rate=ZERO if world.terms.forfeit else world.terms.liquidation_fee,
        profit_flow=FlowKind.LIQUIDATION,
        action=OrderAction.BANKRUPTCY,
    )
    _force(world, account, position, OrderKind.LIQUIDATION, position.size, mark, booking)


def _clear(world: World, account: Account, symbol: str, left: Decimal) -> None:
    """What is left of the margin goes to the insurance fund when forfeited; what is missing comes from it."""
    if left < 0 or world.terms.forfeit:
        world.insurance += left
        world.book(account, FlowKind.LIQUIDATION, symbol, -left)


def _force(
    world: World,
    account: Account,
    position: Position,
    kind: OrderKind,
    size: Decimal,
    price: Decimal,
    booking: settlement.Booking,
) -> Order:
    order = Order(
        order_id=world.new_id(),
        client_id="",
        uid=account.uid,
        symbol=position.symbol,
        side=position.side.closing,
        reduce=True,
        kind=kind,
        time_in_force=TimeInForce.IOC,
        price=price,
        size=size,
        filled=ZERO,
        average_price=None,
        fee=ZERO,
        status=OrderStatus.WORKING,
        cancel_cause=None,
        leverage=account.leverage(position.symbol, position.side),
        margin_mode=position.margin_mode,
        position_mode=account.position_mode,
        plan_id="",
        take_profit=None,
        stop_loss=None,
        created_ms=world.now_ms,
        updated_ms=world.now_ms,
    )
    return settlement.fill(world, account, order, size, price, booking)
