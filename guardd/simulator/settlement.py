"""What a fill does to positions and money: it closes first, then opens what is left (a one-way flip does both)."""

from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from guardd.simulator import boundary, margin, telling
from guardd.simulator.accounts import ZERO, Account, Position, money
from guardd.simulator.happenings import OrderAction
from guardd.simulator.ledger import RowKind
from guardd.simulator.orders import MarginMode, Order, OrderStatus, PositionMode, PositionSide, Side
from guardd.simulator.records import FlowKind, Trade
from guardd.simulator.world import World


class Booking(Struct, frozen=True, kw_only=True):
    """How one fill is booked: the fee rate, and where its profit goes."""

    fee_rate: Decimal
    maker: bool = False
    profit_flow: FlowKind = FlowKind.REALIZED_PNL
    action: OrderAction = OrderAction.FILL
    keep_margin: bool = False  # a partial liquidation leaves the margin, less the loss, in the position


def fill(world: World, account: Account, order: Order, size: Decimal, price: Decimal, booking: Booking) -> Order:
    """Book one fill of a working order; returns the order after it."""
    contract = world.markets[order.symbol].contract
    before = signed_size(account, order)
    fee = money(size * contract.contract_size * price * booking.fee_rate)
    closing_side = _closing_side(account, order)
    closing = min(size, account.held(order.symbol, closing_side)) if closing_side else ZERO
    touched: list[Position] = []
    realized = ZERO
    then: dict[str, Decimal | None] = {"mark": world.markets[order.symbol].prices().mark}
    if closing_side and closing:
        leg = account.positions[order.symbol, closing_side]
        then["entry_price"] = margin.entry_price(contract, leg)
        then["liquidation_price"] = boundary.liquidation_price(world, account, leg)
        closing_fee = fee * closing / size
        realized = _close(world, account, leg, closing, price, closing_fee, booking)
        touched.append(leg)
    if size > closing:
        touched.append(_open(world, account, order, size - closing, price, fee * (size - closing) / size))
    world.book(account, FlowKind.COMMISSION, order.symbol, -fee, contract.coin)
    trade = _trade(world, account, order, size, price, fee, realized, maker=booking.maker)
    order = _advance(world, account, order, size, price, fee)
    world.note(
        RowKind.FILL,
        account.uid,
        order.symbol,
        action=booking.action.value,
        order_id=order.order_id,
        client_id=order.client_id,
        plan_id=order.plan_id,
        trade_id=trade.trade_id,
        order_kind=order.kind.value,
        side=order.side.value,
        reduce=order.reduce,
        position_side=touched[-1].side.value,
        price=price,
        size=size,
        fee=fee,
        coin=contract.coin,
        realized_pnl=realized,
        maker=booking.maker,
        net=order.position_mode is PositionMode.ONE_WAY,
        before=before,
        after=signed_size(account, order),
        **then,
    )
    telling.tell_order(world, account, booking.action, order, trade)
    for position in touched:
        telling.tell_position(world, account, position)
    if not order.reduce and (order.take_profit or order.stop_loss):
        world.grown[order.order_id] = account.uid
    return order


def signed_size(account: Account, order: Order) -> Decimal:
    """The position this order works on, short negative: the leg in hedge mode, the net position in one-way mode."""
    long, short = (account.held(order.symbol, side) for side in (PositionSide.LONG, PositionSide.SHORT))
    if order.position_mode is PositionMode.ONE_WAY:
        return long - short
    return long if order.position_side is PositionSide.LONG else -short


def _closing_side(account: Account, order: Order) -> PositionSide | None:
    if order.reduce:
        return order.position_side
    return order.position_side.opposite if order.position_mode is PositionMode.ONE_WAY else None


def _open(world: World, account: Account, order: Order, size: Decimal, price: Decimal, fee: Decimal) -> Position:
    contract = world.markets[order.symbol].contract
    key = (order.symbol, order.position_side)
    mode = account.settings_of(order.symbol).margin_mode
    position = account.positions.get(key)
    if position is None:
        position = Position(
            symbol=order.symbol,
            coin=contract.coin,
            side=order.position_side,
            margin_mode=mode,
            opened_ms=world.now_ms,
            updated_ms=world.now_ms,
        )
        account.positions[key] = position
        account.ever_held.add(key)
    value = money(size * contract.contract_size * price)
    position.size += size
    position.cost += value
    position.opened_size += size
    position.opened_cost += value
    position.fees += fee
    position.grown_ms = world.now_ms
    if mode is MarginMode.ISOLATED:
        position.margin += money(value / account.leverage(*key))
    margin.refresh(world, position)
    return position


def _close(
    world: World, account: Account, position: Position, size: Decimal, price: Decimal, fee: Decimal, booking: Booking
) -> Decimal:
    """Take `size` out of a position and book the profit; returns it. Isolated margin is released in proportion."""
    contract = world.markets[position.symbol].contract
    value = money(size * contract.contract_size * price)
    last = size == position.size
    cost = position.cost if last else money(position.cost * size / position.size)
    released = position.margin if last else money(position.margin * size / position.size)
    profit = position.side.sign * (value - cost)
    position.size -= size
    position.cost -= cost
    if booking.keep_margin and not last:
        position.margin += min(profit - fee, ZERO) if position.margin_mode is MarginMode.ISOLATED else ZERO
    else:
        position.margin -= released
    position.realized += profit
    position.fees += fee
    position.closed_size += size
    position.closed_value += value
    world.book(account, booking.profit_flow, position.symbol, profit, position.coin)
    if last:
        del account.positions[position.symbol, position.side]
    margin.refresh(world, position)
    return profit


def _trade(
    world: World,
    account: Account,
    order: Order,
    size: Decimal,
    price: Decimal,
    fee: Decimal,
    realized: Decimal,
    *,
    maker: bool,
) -> Trade:
    trade = Trade(
        trade_id=world.new_id(),
        order_id=order.order_id,
        client_id=order.client_id,
        uid=account.uid,
        symbol=order.symbol,
        side=order.side,
        reduce=order.reduce,
        kind=order.kind,
        price=price,
        size=size,
        fee=fee,
        realized_pnl=realized,
        maker=maker,
        at_ms=world.now_ms,
    )
    account.trades.append(trade)
    return trade


def _advance(world: World, account: Account, order: Order, size: Decimal, price: Decimal, fee: Decimal) -> Order:
    """The order after a fill, moved among the finished when nothing is left."""
    filled = order.filled + size
    paid = (order.average_price or ZERO) * order.filled + price * size
    done = filled == order.size
    order = replace(
        order,
        filled=filled,
        average_price=paid / filled,
        fee=order.fee + fee,
        status=OrderStatus.FILLED if done else OrderStatus.WORKING,
        leverage=account.leverage(order.symbol, order.position_side),
        updated_ms=world.now_ms,
    )
    if done:
        account.orders.pop(order.order_id, None)
        account.slicing.pop(order.order_id, None)
        account.finished_orders[order.order_id] = order
    else:
        account.orders[order.order_id] = order
    return order


def best_price(side: Side, bid: Decimal, ask: Decimal) -> Decimal:
    """What a taker of this side meets first."""
    return ask if side is Side.BUY else bid
