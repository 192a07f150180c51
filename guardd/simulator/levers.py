"""What a client may change beside orders: leverage, margin mode, position mode, isolated margin, transfers."""

from decimal import Decimal

from msgspec.structs import replace

from guardd.simulator import admission, cross, margin, telling
from guardd.simulator.accounts import ZERO, Account, Position, money
from guardd.simulator.ledger import RowKind
from guardd.simulator.orders import MarginMode, PositionMode, PositionSide
from guardd.simulator.records import FlowKind, Settings, Transfer, TransferDirection
from guardd.simulator.refusals import RefusalReason, Refused
from guardd.simulator.terms import LeverageChange, VenueState
from guardd.simulator.world import World


def set_settings(
    world: World,
    account: Account,
    symbol: str,
    leverage: Decimal | None,
    margin_mode: MarginMode | None,
    side: PositionSide | None,
) -> Settings:
    """Leverage of one leg or both, and the margin mode, of one contract. Raises `Refused`."""
    admission.check_writable(world)
    contract = world.market(symbol).contract
    old = account.settings_of(symbol)
    new = _merge(old, leverage, margin_mode, side)
    for wanted in (new.long_leverage, new.short_leverage):
        admission.check_leverage(contract, wanted)
    if new == old:
        return old
    positions = account.positions_of(symbol)
    resting = account.orders_of(symbol) or account.plans_of(symbol)
    if world.terms.leverage_needs_no_orders and resting:
        raise Refused(RefusalReason.ORDERS_EXIST, f"the leverage of {symbol} can't change with orders open")
    if new.margin_mode is not old.margin_mode and (positions or account.orders_of(symbol)):
        raise Refused(RefusalReason.MARGIN_MODE_CONFLICT, f"{symbol} has positions or orders")
    changed = [position for position in positions if new.leverage(position.side) != old.leverage(position.side)]
    for position in changed:
        _check_change(world, position, old.leverage(position.side), new.leverage(position.side))
    _apply(world, account, symbol, new, changed)
    world.note(
        RowKind.SETTING,
        account.uid,
        symbol,
        margin_mode=new.margin_mode.value,
        long_leverage=new.long_leverage,
        short_leverage=new.short_leverage,
    )
    return new


def set_position_mode(world: World, account: Account, mode: PositionMode, group: str | None) -> None:
    """Of one product line, or (None) of the whole account; refused while it has any position, order or plan."""
    admission.check_writable(world)
    modes = set(account.group_modes.values()) | {account.position_mode} if group is None else {account.mode_of(group)}
    if modes == {mode}:
        return

    def concerned(symbol: str) -> bool:
        return group is None or world.markets[symbol].contract.group == group

    if any(concerned(position.symbol) for position in account.positions.values()):
        raise Refused(RefusalReason.POSITIONS_EXIST, "the position mode can't change with positions open")
    resting = [order.symbol for order in account.orders.values()] + [plan.symbol for plan in account.plans.values()]
    if any(concerned(symbol) for symbol in resting):
        raise Refused(RefusalReason.ORDERS_EXIST, "the position mode can't change with orders open")
    if group is None:
        account.position_mode = mode
        account.group_modes.clear()
    else:
        account.group_modes[group] = mode
    world.note(RowKind.SETTING, account.uid, "", position_mode=mode.value, group=group)


def add_margin(world: World, account: Account, position: Position, amount: Decimal) -> None:
    """Move margin into (or, negative, out of) an isolated position; never below its initial margin."""
    admission.check_writable(world)
    amount = money(amount)
    if position.margin_mode is not MarginMode.ISOLATED:
        raise Refused(RefusalReason.NOT_ISOLATED, f"{position.symbol} is held in cross")
    if amount == 0:
        raise Refused(RefusalReason.AMOUNT_INVALID, "an amount of zero")
    if amount > margin.free(world, account, position.coin):
        raise Refused(RefusalReason.INSUFFICIENT_BALANCE, f"{amount} is more than the free balance")
    left = position.margin + amount + min(position.unrealized, ZERO)
    if amount < 0 and (left <= position.burden or left < margin.initial_margin(world, account, position)):
        raise Refused(RefusalReason.WOULD_LIQUIDATE, f"taking {-amount} out leaves too little margin")
    position.margin += amount
    world.note(RowKind.SETTING, account.uid, position.symbol, added_margin=amount, position_side=position.side.value)
    telling.tell_position(world, account, position)


def set_auto_margin(world: World, account: Account, position: Position, *, on: bool) -> None:
    """Let the exchange itself add margin to an isolated position before it liquidates it, or no longer."""
    admission.check_writable(world)
    if position.margin_mode is not MarginMode.ISOLATED:
        raise Refused(RefusalReason.NOT_ISOLATED, f"{position.symbol} is held in cross")
    position.auto_margin = on
    side = position.side.value
    world.note(RowKind.SETTING, account.uid, position.symbol, auto_margin=on, position_side=side)
    telling.tell_position(world, account, position)


def top_up(world: World, account: Account, position: Position) -> bool:
    """Bring a failing position back to its initial margin from what is free; False when that is not enough."""
    need = money(margin.initial_margin(world, account, position) - position.margin - position.unrealized)
    if not position.auto_margin or not 0 < need <= margin.free(world, account, position.coin):
        return False
    if position.margin + need + position.unrealized <= position.burden:
        return False
    position.margin += need
    side = position.side.value
    world.note(RowKind.SETTING, account.uid, position.symbol, added_margin=need, position_side=side, automatic=True)
    telling.tell_position(world, account, position)
    return True


def transfer(world: World, account: Account, direction: TransferDirection, amount: Decimal, coin: str) -> Transfer:
    """Between the spot and the futures wallet of one coin; out of futures only what is free."""
    admission.check_writable(world)
    amount = money(amount)
    if amount <= 0:
        raise Refused(RefusalReason.AMOUNT_INVALID, f"an amount of {amount}")
    match direction:
        case TransferDirection.TO_FUTURES:
            if world.state is VenueState.CLOSES_ONLY:
                raise Refused(RefusalReason.TRANSFER_SUSPENDED, "the futures wallet takes no deposits")
            spot = account.spot(coin)
            if amount > spot:
                raise Refused(RefusalReason.INSUFFICIENT_SPOT_BALANCE, f"{amount} against {spot} {coin} in spot")
            signed = amount
        case TransferDirection.TO_SPOT:
            if amount > margin.free(world, account, coin):
                raise Refused(RefusalReason.INSUFFICIENT_BALANCE, f"{amount} is more than the free balance")
            signed = -amount
    account.spots[coin] = account.spot(coin) - signed
    world.book(account, FlowKind.TRANSFER, "", signed, coin)
    done = Transfer(
        transfer_id=world.new_id(),
        uid=account.uid,
        coin=coin,
        direction=direction,
        amount=amount,
        at_ms=world.now_ms,
    )
    account.transfers.append(done)
    return done


def _merge(
    old: Settings, leverage: Decimal | None, margin_mode: MarginMode | None, side: PositionSide | None
) -> Settings:
    new = replace(old, margin_mode=margin_mode or old.margin_mode)
    if leverage is None:
        return new
    if side is not PositionSide.SHORT:
        new = replace(new, long_leverage=leverage)
    if side is not PositionSide.LONG:
        new = replace(new, short_leverage=leverage)
    return new


def _check_change(world: World, position: Position, old: Decimal, new: Decimal) -> None:
    """With an open position the venue's terms decide, and the tier of the new leverage must hold the position."""
    rule = world.terms.leverage_change
    if rule is LeverageChange.REFUSE or (rule is LeverageChange.LOWER_ONLY and new > old):
        raise Refused(RefusalReason.LEVERAGE_CONFLICT, f"leverage {old} to {new} with a position open")
    contract = world.markets[position.symbol].contract
    if position.cost > contract.max_notional(new):
        raise Refused(RefusalReason.POSITION_LIMIT, f"a notional of {position.cost} is too large for leverage {new}")


def _apply(world: World, account: Account, symbol: str, new: Settings, changed: list[Position]) -> None:
    """Post or release margin for the new leverage; undone and refused where the money does not suffice."""
    old = account.settings.get(symbol)
    needs = {
        position.side: money(position.cost / new.leverage(position.side))
        - money(position.cost / account.leverage(symbol, position.side))
        for position in changed
    }
    if not world.terms.raising_releases_margin:
        needs = {side: max(amount, ZERO) for side, amount in needs.items()}
    need = sum((amount for amount in needs.values() if amount > 0), ZERO)
    coin = world.coin_of(symbol)
    if need > margin.buying_power(world, account, coin):
        raise Refused(RefusalReason.INSUFFICIENT_BALANCE, f"the lower leverage needs {need:.4f} more margin")
    for position in changed:
        isolated = position.margin_mode is MarginMode.ISOLATED
        if isolated and position.margin + needs[position.side] + position.unrealized <= position.burden:
            raise Refused(RefusalReason.WOULD_LIQUIDATE, "the higher leverage would liquidate the position")
    account.settings[symbol] = new
    if any(order for order in account.orders_of(symbol) if not order.reduce) and not _affordable(world, account, coin):
        # Working entries follow the setting; a lower leverage must be paid for them as well.
        if old is None:
            del account.settings[symbol]
        else:
            account.settings[symbol] = old
        raise Refused(RefusalReason.INSUFFICIENT_BALANCE, "the working orders need more margin at this leverage")
    for position in changed:
        if position.margin_mode is MarginMode.ISOLATED:
            position.margin += needs[position.side]
        telling.tell_position(world, account, position)
    for order in account.orders_of(symbol):
        account.orders[order.order_id] = replace(
            order, leverage=new.leverage(order.position_side), margin_mode=new.margin_mode
        )


def _affordable(world: World, account: Account, coin: str) -> bool:
    if cross.pooled(account):
        pool = margin.pool(world, account)
        return pool.effective >= pool.initial_margin
    held = (position for position in account.positions.values() if position.coin == coin)
    locked = sum((margin.locked_margin(world, account, position) for position in held), ZERO)
    return account.wallet(coin) - locked - margin.frozen_margin(world, account, coin) >= 0
