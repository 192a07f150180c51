"""The exchange's own sums: maintenance, wallets, pools. Independent of the guard's, to catch it wrong.

Formulas: BitMart reference section 15, Bitget reference section 10. q = contracts × contract_size, E entry, P price,
s = ±1 for long and short:

    maintenance  MM(P) = q·P·rate − deduction      (tier by notional q·P)
    isolated     margin + s·q·(P − E) ≤ MM(P) + fee·q·P      cross: Σ over all its legs, against the cross balance

Where a position ends is solved in `boundary`, what cross positions share in `cross`.
"""

from decimal import Decimal

from guardd.simulator import cross
from guardd.simulator.accounts import ZERO, Account, Position
from guardd.simulator.boundary import liquidation_price
from guardd.simulator.contracts import Contract
from guardd.simulator.orders import MarginMode, Order, Side
from guardd.simulator.records import Balance, Pool, PositionView
from guardd.simulator.terms import MaintenanceBasis, Terms
from guardd.simulator.world import World


def base_size(contract: Contract, position: Position) -> Decimal:
    """Quantity in the base coin."""
    return position.size * contract.contract_size


def entry_price(contract: Contract, position: Position) -> Decimal:
    """Average price of what is held; zero when flat."""
    quantity = base_size(contract, position)
    return position.cost / quantity if quantity else ZERO


def unrealized_at(contract: Contract, position: Position, price: Decimal) -> Decimal:
    return position.side.sign * (base_size(contract, position) * price - position.cost)


def maintenance_at(contract: Contract, terms: Terms, position: Position, price: Decimal) -> Decimal:
    """Maintenance margin at this mark, without the closing fee."""
    if not position.size:
        return ZERO
    at_entry = terms.maintenance_basis is MaintenanceBasis.ENTRY
    return contract.maintenance(position.cost if at_entry else base_size(contract, position) * price)


def refresh(world: World, position: Position) -> None:
    """Bring the cached figures to the present mark."""
    market = world.markets[position.symbol]
    mark = market.prices().mark
    contract = market.contract
    position.unrealized = unrealized_at(contract, position, mark)
    position.maintenance = maintenance_at(contract, world.terms, position, mark)
    fee = contract.taker_fee if world.terms.closing_fee_counted else ZERO
    position.burden = position.maintenance + fee * base_size(contract, position) * mark


def initial_margin(world: World, account: Account, position: Position) -> Decimal:
    """Notional ÷ leverage: at entry, or in cross at the mark where the terms say so."""
    leverage = account.leverage(position.symbol, position.side)
    if position.margin_mode is MarginMode.CROSS and world.terms.cross_margin_at_mark:
        return notional(world, position) / leverage
    return position.cost / leverage


def notional(world: World, position: Position) -> Decimal:
    """What is held, at the mark."""
    market = world.markets[position.symbol]
    return base_size(market.contract, position) * market.prices().mark


def locked_margin(world: World, account: Account, position: Position) -> Decimal:
    """What the position takes out of the wallet: its assigned margin, or in cross its initial margin."""
    isolated = position.margin_mode is MarginMode.ISOLATED
    return position.margin if isolated else initial_margin(world, account, position)


def frozen_margin(world: World, account: Account, coin: str) -> Decimal:
    """Margin and fee that working opening orders hold, at their price or, for market orders, at the best one."""
    orders = cross.opening_orders(world, account)
    held = (order_margin(world, account, order, size) for order, size in orders if world.coin_of(order.symbol) == coin)
    return sum(held, ZERO)


def order_margin(world: World, account: Account, order: Order, size: Decimal) -> Decimal:
    """Margin and taker fee for opening `size` contracts of this order."""
    market = world.markets[order.symbol]
    quote = market.prices()
    best = quote.ask if order.side is Side.BUY else quote.bid
    value = size * market.contract.contract_size * (order.price or best)
    return value / account.leverage(order.symbol, order.position_side) + value * market.contract.taker_fee


def balance(world: World, account: Account, coin: str, shared: Pool | None = None) -> Balance:
    """One coin of the account at the present marks; `shared`: its pool, where that has just been summed up."""
    held = [position for position in account.positions.values() if position.coin == coin]
    crossed = cross.positions(account, coin)
    wallet, frozen = account.wallet(coin), frozen_margin(world, account, coin)
    locked = sum((locked_margin(world, account, position) for position in held), ZERO)
    unrealized = sum((position.unrealized for position in held), ZERO)
    left = wallet - locked - frozen
    usable = free(world, account, coin, shared)
    return Balance(
        uid=account.uid,
        coin=coin,
        wallet=wallet,
        equity=wallet + unrealized,
        available=usable if cross.pooled(account) else max(left, ZERO),
        free=usable,
        frozen=frozen,
        position_margin=locked,
        unrealized=unrealized,
        cross_balance=cross.balance(account, coin),
        cross_maintenance=sum((position.maintenance for position in crossed), ZERO),
        cross_burden=sum((position.burden for position in crossed), ZERO),
        cross_unrealized=sum((position.unrealized for position in crossed), ZERO),
        isolated_margin=cross.isolated_margin(account, coin),
        spot=account.spot(coin),
    )


def free(world: World, account: Account, coin: str, shared: Pool | None = None) -> Decimal:
    """What of this coin may leave the wallet, or be assigned to an isolated position; never borrowed."""
    unrealized = sum((position.unrealized for position in cross.positions(account, coin)), ZERO)
    if cross.pooled(account):
        own = account.wallet(coin) - cross.isolated_margin(account, coin) + min(unrealized, ZERO)
        return max(min(own, pool_room(world, account, coin, shared)), ZERO)
    held = [position for position in account.positions.values() if position.coin == coin]
    locked = sum((locked_margin(world, account, position) for position in held), ZERO)
    left = account.wallet(coin) - locked - frozen_margin(world, account, coin)
    return max(left + min(unrealized, ZERO), ZERO)


def buying_power(world: World, account: Account, coin: str) -> Decimal:
    """What new cross positions that settle in this coin may use; a pool backs them with any coin."""
    return pool_room(world, account, coin) if cross.pooled(account) else free(world, account, coin)


def pool_room(world: World, account: Account, coin: str, shared: Pool | None = None) -> Decimal:
    """What the pool leaves free, counted in this coin without its haircut."""
    price = world.usd_price(coin)
    return max((shared or pool(world, account)).free, ZERO) / price if price else ZERO


def pool(world: World, account: Account) -> Pool:
    """A unified account's sums in USD."""
    prices = {coin: world.usd_price(coin) for coin in cross.coins(account)}
    standing = cross.risk(world, account, "")
    initial = ZERO
    for position in cross.positions(account, None):
        contract = world.markets[position.symbol].contract
        fee = contract.taker_fee * notional(world, position)
        initial += (initial_margin(world, account, position) + fee) * prices[position.coin]
    initial += sum((frozen_margin(world, account, coin) * price for coin, price in prices.items()), ZERO)
    held = list(account.positions.values())
    unrealized = sum((position.unrealized * prices[position.coin] for position in held), ZERO)
    return Pool(
        uid=account.uid,
        equity=sum((account.wallet(coin) * price for coin, price in prices.items()), ZERO) + unrealized,
        effective=standing.behind,
        maintenance=standing.burden,
        initial_margin=initial,
        free=max(standing.behind - initial, ZERO),
        unrealized=unrealized,
        notional=sum((notional(world, position) * prices[position.coin] for position in held), ZERO),
    )


def equity(world: World, account: Account) -> Decimal:
    """Every coin with its unrealised PnL, in USD."""
    total = ZERO
    for coin in cross.coins(account):
        held = (position.unrealized for position in account.positions.values() if position.coin == coin)
        total += (account.wallet(coin) + sum(held, ZERO)) * world.usd_price(coin)
    return total


def risk(world: World, account: Account, position: Position) -> cross.Risk:
    """What stands behind the position and what it must carry: its own when isolated, those of all cross positions else."""
    if position.margin_mode is MarginMode.ISOLATED:
        own = position.margin + position.unrealized
        return cross.Risk(behind=own, maintenance=position.maintenance, burden=position.burden)
    return cross.risk(world, account, position.coin)


def view(world: World, account: Account, position: Position, standing: cross.Risk | None = None) -> PositionView:
    """The position as it may be shown, at the present prices; `standing`: its `risk`, where that has just been summed up."""
    market = world.markets[position.symbol]
    contract, quote = market.contract, market.prices()
    quantity = base_size(contract, position)
    settings = account.settings_of(position.symbol)
    opened = position.opened_size * contract.contract_size
    closed = position.closed_size * contract.contract_size
    held = bool(position.size)
    standing = standing or risk(world, account, position)
    solvent = held and standing.behind > 0
    return PositionView(
        uid=account.uid,
        symbol=position.symbol,
        coin=position.coin,
        side=position.side,
        position_mode=world.mode_of(account, position.symbol),
        margin_mode=position.margin_mode,
        leverage=settings.leverage(position.side),
        size=position.size,
        frozen_size=account.frozen_size(position.symbol, position.side),
        entry_price=entry_price(contract, position),
        open_average_price=position.opened_cost / opened if opened else ZERO,
        closed_size=position.closed_size,
        closed_average_price=position.closed_value / closed if closed else ZERO,
        mark_price=quote.mark,
        notional_entry=position.cost,
        notional_mark=quantity * quote.mark,
        notional_last=quantity * quote.last,
        initial_margin=initial_margin(world, account, position),
        margin=locked_margin(world, account, position),
        maintenance_margin=position.maintenance,
        unrealized_pnl=position.unrealized,
        realized_pnl=position.realized - position.fees + position.funding,
        fees=position.fees,
        funding=position.funding,
        liquidation_price=liquidation_price(world, account, position, standing) if held else None,
        margin_ratio=standing.maintenance / standing.behind if solvent else None,
        burden=position.burden,
        risk_ratio=standing.burden / standing.behind if solvent else None,
        auto_margin=position.auto_margin,
        max_notional=contract.max_notional(settings.leverage(position.side)),
        opened_ms=position.opened_ms,
        updated_ms=position.updated_ms,
    )
