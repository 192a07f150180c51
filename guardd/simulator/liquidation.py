"""Forced exits: liquidation of isolated positions and of the cross account, auto-deleveraging, settlement at mark."""

from collections.abc import Callable, Sequence
from decimal import ROUND_DOWN, Decimal

from guardd.simulator import cross, levers, margin, matching, settlement, telling
from guardd.simulator.accounts import ZERO, Account, Position
from guardd.simulator.coins import POOL_COIN
from guardd.simulator.happenings import OrderAction
from guardd.simulator.orders import (
    CancelCause,
    ForcedExit,
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
    """Liquidate what is due: isolated positions (of one symbol, or all), and cross positions with all they share.

    Due means margin balance ≤ maintenance margin plus, where the terms count it, the closing fee.
    """
    for position in list(account.positions.values()):
        isolated = position.margin_mode is MarginMode.ISOLATED
        if isolated and symbol in (None, position.symbol) and _isolated_due(position):
            _liquidate_isolated(world, account, position)
    for coin in _shared(account):
        if cross.risk(world, account, coin).due:
            _liquidate_cross(world, account, coin)


def cover_debt(world: World, account: Account) -> None:
    """A flat account owes nothing: what a close cost beyond the wallet is paid by the insurance fund.

    A unified account may owe one coin as long as its others are worth more.
    """
    for coin in cross.coins(account):
        held = any(cross.pooled(account) or position.coin == coin for position in account.positions.values())
        if held or account.wallet(coin) >= 0:
            continue
        if cross.pooled(account):
            if margin.equity(world, account) < 0:
                _repay(world, account)
            return
        world.insure(coin, account.wallet(coin))
        world.book(account, FlowKind.LIQUIDATION, "", -account.wallet(coin), coin)


def deleverage(world: World, account: Account, position: Position, size: Decimal, price: Decimal) -> Order:
    """Auto-deleveraging: the exchange closes `size` at `price`, without fee, to fill another's bankruptcy."""
    booking = settlement.Booking(fee_rate=ZERO, action=OrderAction.ADL_PASSIVE_FILL)
    order = _force(world, account, position, OrderKind.ADL, size, price, booking, ForcedExit.ADL)
    matching.trim_closes(world, account, position.symbol, CancelCause.ADL)
    return order


def settle_at_mark(world: World, account: Account, position: Position) -> Order:
    """The end of a contract: closed at the mark price, without fee."""
    mark = world.markets[position.symbol].prices().mark
    booking = settlement.Booking(fee_rate=ZERO)
    return _force(world, account, position, OrderKind.SETTLEMENT, position.size, mark, booking, ForcedExit.SETTLEMENT)


def _isolated_due(position: Position) -> bool:
    return position.margin + position.unrealized <= position.burden


def _shared(account: Account) -> list[str]:
    """One coin for every set of cross positions that stand and fall together."""
    if cross.pooled(account):
        return [POOL_COIN]
    return list(dict.fromkeys(position.coin for position in cross.positions(account, None)))


def _liquidate_isolated(world: World, account: Account, position: Position) -> None:
    if levers.top_up(world, account, position):
        return
    _cancel_orders(world, account, [position])
    steps = world.terms.partial_liquidation and world.terms.partial_isolated
    if steps and _step_down(world, account, position, lambda: _isolated_due(position)):
        return
    coin = position.coin
    before, wallet = position.margin, account.wallet(coin)
    _take_over(world, account, position)
    left = before + (account.wallet(coin) - wallet)
    _clear(world, account, position.symbol, left, coin)
    loss = before if world.terms.forfeit else before - max(left, ZERO)
    telling.tell_liquidated(world, account, MarginMode.ISOLATED, (position.symbol,), loss, coin, partial=False)


def _liquidate_cross(world: World, account: Account, coin: str) -> None:
    """Orders end, hedges are set off, positions step down through their tiers, the rest is taken over.

    Each stage only while the account is still due (Bitget reference, 10; UTA reference, 4). `coin` USD: the pool.
    """

    def due() -> bool:
        return cross.risk(world, account, coin).due

    reach = cross.reach(account, coin)
    held = cross.positions(account, reach)
    if cross.pooled(account) or world.terms.liquidation_cancels_all:
        matching.cancel_many(world, account, list(account.orders.values()), CancelCause.LIQUIDATION)
    else:
        _cancel_orders(world, account, held)
    if not due():
        return
    if world.terms.net_hedges_first and _set_off(world, account, held, due):
        return
    ordered = sorted(
        cross.positions(account, reach),
        key=lambda p: (-p.burden * cross.worth(world, account, p.coin), p.symbol, p.side.value),
    )
    if world.terms.partial_liquidation:
        for position in ordered:
            if _step_down(world, account, position, due):
                return
    _take_over_all(world, account, ordered, coin)


def _take_over_all(world: World, account: Account, positions: Sequence[Position], coin: str) -> None:
    """The whole cross account of a coin, or the pool, ends."""
    coins = cross.coins(account) if cross.pooled(account) else [coin]

    def value() -> Decimal:
        return sum((_unassigned(account, each) * cross.worth(world, account, each) for each in coins), ZERO)

    before = value()
    for position in positions:
        _take_over(world, account, position)
    left = value()
    if cross.pooled(account) and not world.terms.forfeit:
        _repay(world, account)
    else:
        for each in coins:
            _clear(world, account, "", _unassigned(account, each), each)
    loss = before if world.terms.forfeit else before - max(left, ZERO)
    symbols = tuple(dict.fromkeys(position.symbol for position in positions))
    telling.tell_liquidated(world, account, MarginMode.CROSS, symbols, loss, coin, partial=False)


def _unassigned(account: Account, coin: str) -> Decimal:
    """The wallet without what is assigned to isolated positions."""
    return account.wallet(coin) - cross.isolated_margin(account, coin)


def _repay(world: World, account: Account) -> None:
    """What a pool owes in one coin is paid by its others, at their prices; the insurance fund pays what is missing."""
    for owed in cross.coins(account):
        for paying in cross.coins(account):
            debt, means = -_unassigned(account, owed), _unassigned(account, paying)
            price, other = world.usd_price(owed), world.usd_price(paying)
            if debt <= 0 or means <= 0 or not price or not other:
                continue
            whole = means * other <= debt * price
            world.book(account, FlowKind.CONVERSION, "", means * other / price if whole else debt, owed)
            world.book(account, FlowKind.CONVERSION, "", -means if whole else -debt * price / other, paying)
        missing = -_unassigned(account, owed)
        if missing > 0:
            world.insure(owed, -missing)
            world.book(account, FlowKind.LIQUIDATION, "", missing, owed)


def _set_off(world: World, account: Account, held: Sequence[Position], due: Callable[[], bool]) -> bool:
    """Close the smaller leg of each hedged contract against the larger one, at mark; True once no longer due."""
    for symbol in dict.fromkeys(position.symbol for position in held):
        legs = [leg for leg in account.positions_of(symbol) if leg.margin_mode is MarginMode.CROSS]
        if len(legs) < 2:
            continue
        size = min(leg.size for leg in legs)
        mark = world.markets[symbol].prices().mark
        coin = legs[0].coin
        wallet = account.wallet(coin)
        booking = settlement.Booking(
            fee_rate=ZERO, profit_flow=FlowKind.LIQUIDATION, action=OrderAction.PARTIAL_LIQUIDATION
        )
        for leg in legs:
            _force(world, account, leg, OrderKind.LIQUIDATION, size, mark, booking, ForcedExit.OFFSET)
        loss = wallet - account.wallet(coin)
        telling.tell_liquidated(world, account, MarginMode.CROSS, (symbol,), loss, coin, partial=True)
        if not due():
            return True
    return False


def _cancel_orders(world: World, account: Account, positions: Sequence[Position]) -> None:
    """Before the position is taken over its orders end: those of the leg, in one-way or cross all of the symbol."""
    for position in positions:
        net = world.mode_of(account, position.symbol) is PositionMode.ONE_WAY
        all_of_symbol = position.margin_mode is MarginMode.CROSS or net
        orders = [
            order
            for order in account.orders_of(position.symbol)
            if all_of_symbol or order.position_side is position.side
        ]
        matching.cancel_many(world, account, orders, CancelCause.LIQUIDATION)


def _step_down(world: World, account: Account, position: Position, due: Callable[[], bool]) -> bool:
    """Close down to the cap of a lower tier until no longer due; False when only a full liquidation is left."""
    market = world.markets[position.symbol]
    contract, mark = market.contract, market.prices().mark
    while due():
        tier = contract.tier(margin.base_size(contract, position) * mark)
        lower = contract.tiers[max(tier.number - world.terms.partial_tiers, 1) - 1]
        unit = contract.contract_size * mark * contract.step
        keep = (lower.cap / unit).to_integral_value(ROUND_DOWN) * contract.step
        if tier.number == 1 or not 0 < keep < position.size:
            return False
        booking = settlement.Booking(
            fee_rate=world.terms.liquidation_fee,
            profit_flow=FlowKind.LIQUIDATION,
            action=OrderAction.PARTIAL_LIQUIDATION,
            keep_margin=True,
        )
        coin = position.coin
        wallet = account.wallet(coin)
        size = position.size - keep
        _force(world, account, position, OrderKind.LIQUIDATION, size, mark, booking, ForcedExit.REDUCTION)
        loss = wallet - account.wallet(coin)
        telling.tell_liquidated(world, account, position.margin_mode, (position.symbol,), loss, coin, partial=True)
    return True


def _take_over(world: World, account: Account, position: Position) -> None:
    """Close all of a position at mark; the profit is booked as liquidation."""
    mark = world.markets[position.symbol].prices().mark
    booking = settlement.Booking(
        fee_rate=ZERO if world.terms.forfeit else world.terms.liquidation_fee,
        profit_flow=FlowKind.LIQUIDATION,
        action=OrderAction.BANKRUPTCY,
    )
    _force(world, account, position, OrderKind.LIQUIDATION, position.size, mark, booking, ForcedExit.TAKEOVER)


def _clear(world: World, account: Account, symbol: str, left: Decimal, coin: str) -> None:
    """What is left of the margin goes to the insurance fund when forfeited; what is missing comes from it."""
    if left < 0 or world.terms.forfeit:
        world.insure(coin, left)
        world.book(account, FlowKind.LIQUIDATION, symbol, -left, coin)


def _force(
    world: World,
    account: Account,
    position: Position,
    kind: OrderKind,
    size: Decimal,
    price: Decimal,
    booking: settlement.Booking,
    forced: ForcedExit,
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
        position_mode=world.mode_of(account, position.symbol),
        plan_id="",
        forced=forced,
        take_profit=None,
        stop_loss=None,
        created_ms=world.now_ms,
        updated_ms=world.now_ms,
    )
    return settlement.fill(world, account, order, size, price, booking)
