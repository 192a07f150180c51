"""What stands behind cross positions, and what it must carry: of one coin, or of a unified account's whole pool.

Every sum has one unit: the coin itself in a classic account, USD in a unified one. `worth` converts from a coin to it.
"""

from collections.abc import Iterator
from decimal import Decimal

from msgspec import Struct

from guardd.simulator.accounts import ZERO, Account, Position
from guardd.simulator.contracts import Contract
from guardd.simulator.orders import MarginMode, Order, PositionMode, PositionSide
from guardd.simulator.records import AccountKind
from guardd.simulator.terms import MaintenanceBasis, Terms
from guardd.simulator.world import World


class Load(Struct, frozen=True, kw_only=True):
    """A quantity in the base coin that needs maintenance margin, and what it cost."""

    quantity: Decimal
    cost: Decimal


class Risk(Struct, frozen=True, kw_only=True):
    """The cross account of one coin, or the pool. It is liquidated once `behind` is no more than `burden`."""

    behind: Decimal
    maintenance: Decimal
    burden: Decimal  # maintenance plus the closing fee, where the terms count it

    @property
    def due(self) -> bool:
        return self.burden > 0 and self.behind <= self.burden


def pooled(account: Account) -> bool:
    return account.kind is AccountKind.UNIFIED


def reach(account: Account, coin: str) -> str | None:
    """The coin that stands alone behind its cross positions; None: the pool of all."""
    return None if pooled(account) else coin


def worth(world: World, account: Account, coin: str) -> Decimal:
    return world.usd_price(coin) if pooled(account) else Decimal(1)


def positions(account: Account, coin: str | None) -> list[Position]:
    """Cross positions that settle in this coin; None: all."""
    return [
        position
        for position in account.positions.values()
        if position.margin_mode is MarginMode.CROSS and coin in (None, position.coin)
    ]


def isolated_margin(account: Account, coin: str) -> Decimal:
    return sum((position.margin for position in account.positions.values() if position.coin == coin), ZERO)


def balance(account: Account, coin: str) -> Decimal:
    """This coin's wallet without isolated margins, plus the unrealised PnL of its cross positions."""
    unrealized = sum((position.unrealized for position in positions(account, coin)), ZERO)
    return account.wallet(coin) - isolated_margin(account, coin) + unrealized


def coins(account: Account) -> list[str]:
    """Every coin that the account holds, owes or has at risk."""
    return list(dict.fromkeys([*account.wallets, *(position.coin for position in account.positions.values())]))


def effective_equity(world: World, account: Account) -> Decimal:
    """The collateral value of a pool, in USD: what it holds after haircuts, what it owes in full."""
    total = ZERO
    for coin in coins(account):
        usd = balance(account, coin) * world.usd_price(coin)
        total += world.coins[coin].collateral(usd) if coin in world.coins else min(usd, ZERO)
    return total


def risk(world: World, account: Account, coin: str) -> Risk:
    """Where the cross positions that settle in `coin` stand, with all that is at stake together with them."""
    maintenance, burden = ZERO, ZERO
    for symbol in symbols(world, account, reach(account, coin)):
        one, other = _demand(world, account, symbol)
        price = worth(world, account, world.coin_of(symbol))
        maintenance += one * price
        burden += other * price
    behind = effective_equity(world, account) if pooled(account) else balance(account, coin)
    return Risk(behind=behind, maintenance=maintenance, burden=burden)


def symbols(world: World, account: Account, coin: str | None) -> list[str]:
    """Contracts that need maintenance margin: those held in cross and, where the terms say so, those ordered."""
    held = [position.symbol for position in positions(account, coin)]
    if not world.terms.orders_need_maintenance:
        return list(dict.fromkeys(held))
    ordered = [order.symbol for order in account.orders.values() if _counts(account, order)]
    return list(dict.fromkeys([*held, *(s for s in ordered if coin in (None, world.coin_of(s)))]))


def loads(
    world: World, account: Account, symbol: str, more: dict[PositionSide, Decimal] | None = None
) -> tuple[Load, ...]:
    """What of this contract needs maintenance margin in cross: each side, or the larger one alone.

    `more` adds contracts to a side: what an order would open.
    """
    contract = world.markets[symbol].contract
    mark = world.markets[symbol].prices().mark
    extra = dict(more or {})
    if world.terms.orders_need_maintenance:
        for order, size in opening_orders(world, account):
            if order.symbol == symbol and _counts(account, order):
                extra[order.position_side] = extra.get(order.position_side, ZERO) + size
    sides: list[Load] = []
    for side in PositionSide:
        held = account.positions.get((symbol, side))
        crossed = held if held is not None and held.margin_mode is MarginMode.CROSS else None
        added = extra.get(side, ZERO) * contract.contract_size
        quantity = (crossed.size * contract.contract_size if crossed else ZERO) + added
        if quantity:
            sides.append(Load(quantity=quantity, cost=(crossed.cost if crossed else ZERO) + added * mark))
    if world.terms.larger_side_counts and len(sides) > 1:
        return (max(sides, key=lambda load: load.quantity),)
    return tuple(sides)


def needs(contract: Contract, terms: Terms, load: Load, mark: Decimal) -> tuple[Decimal, Decimal]:
    """(maintenance, burden) of a load at this mark."""
    notional = load.quantity * mark
    at_entry = terms.maintenance_basis is MaintenanceBasis.ENTRY
    maintenance = contract.maintenance(load.cost if at_entry else notional)
    return maintenance, maintenance + (contract.taker_fee * notional if terms.closing_fee_counted else ZERO)


def opening_orders(world: World, account: Account) -> Iterator[tuple[Order, Decimal]]:
    """Working orders that would open, with the part that would: in one-way mode the rest only closes."""
    if not account.orders:
        return
    covered = {
        (symbol, side): position.size
        for (symbol, side), position in account.positions.items()
        if world.mode_of(account, symbol) is PositionMode.ONE_WAY
    }
    for order in account.orders.values():
        if order.reduce:
            continue
        against = (order.symbol, order.position_side.opposite)
        closing = min(order.remaining, covered.get(against, ZERO))
        if closing:
            covered[against] -= closing
        yield order, order.remaining - closing


def _demand(world: World, account: Account, symbol: str) -> tuple[Decimal, Decimal]:
    """(maintenance, burden) of one contract, in its coin."""
    legs = [leg for leg in account.positions_of(symbol) if leg.margin_mode is MarginMode.CROSS]
    ordered = world.terms.orders_need_maintenance and bool(account.orders)
    plain = not ordered and (len(legs) < 2 or not world.terms.larger_side_counts)
    if plain:  # the legs know their own figures
        return sum((leg.maintenance for leg in legs), ZERO), sum((leg.burden for leg in legs), ZERO)
    market = world.markets[symbol]
    mark = market.prices().mark
    figures = [needs(market.contract, world.terms, load, mark) for load in loads(world, account, symbol)]
    return sum((one for one, _ in figures), ZERO), sum((other for _, other in figures), ZERO)


def _counts(account: Account, order: Order) -> bool:
    return not order.reduce and account.settings_of(order.symbol).margin_mode is MarginMode.CROSS
