"""The exchange's own sums: maintenance, balances, liquidation prices. Independent of the guard's, to catch it wrong.

Formulas: BitMart reference section 15. q = contracts × contract_size, E entry, P price, s = ±1 for long and short:

    maintenance  MM(P) = q·P·rate − deduction      (tier by notional q·P)
    isolated     margin + s·q·(P − E) ≤ MM(P) + fee·q·P      cross: Σ over all its legs, against the cross balance

Both sides are linear in P between the prices at which a leg changes its tier, so every piece is solved exactly.
"""

from collections.abc import Sequence
from decimal import Decimal

from guardd.simulator.accounts import ZERO, Account, Position
from guardd.simulator.contracts import Contract
from guardd.simulator.orders import MarginMode, Order, PositionMode, PositionSide, Side
from guardd.simulator.records import Balance, PositionView
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


def initial_margin(account: Account, position: Position) -> Decimal:
    """Notional at entry ÷ leverage."""
    return position.cost / account.leverage(position.symbol, position.side)


def locked_margin(account: Account, position: Position) -> Decimal:
    """What the position takes out of the wallet: its assigned margin, or in cross its initial margin."""
    return position.margin if position.margin_mode is MarginMode.ISOLATED else initial_margin(account, position)


def cross_positions(account: Account) -> list[Position]:
    return [position for position in account.positions.values() if position.margin_mode is MarginMode.CROSS]


def isolated_margin(account: Account) -> Decimal:
    return sum((position.margin for position in account.positions.values()), ZERO)


def cross_balance(account: Account) -> Decimal:
    """What stands behind the cross positions: the wallet without isolated margins, plus their unrealised PnL."""
    unrealized = sum((position.unrealized for position in cross_positions(account)), ZERO)
    return account.wallet - isolated_margin(account) + unrealized


def frozen_margin(world: World, account: Account) -> Decimal:
    """Margin and fee that working opening orders hold, at their price or, for market orders, at the best one."""
    covered = {
        (symbol, side): position.size
        for (symbol, side), position in account.positions.items()
        if account.position_mode is PositionMode.ONE_WAY
    }
    total = ZERO
    for order in account.orders.values():
        if order.reduce:
            continue
        # One-way: what only closes the net position needs no margin.
        against = (order.symbol, order.position_side.opposite)
        closing = min(order.remaining, covered.get(against, ZERO))
        if closing:
            covered[against] -= closing
        total += order_margin(world, account, order, order.remaining - closing)
    return total


def order_margin(world: World, account: Account, order: Order, size: Decimal) -> Decimal:
    """Margin and taker fee for opening `size` contracts of this order."""
    market = world.markets[order.symbol]
    quote = market.prices()
    best = quote.ask if order.side is Side.BUY else quote.bid
    notional = size * market.contract.contract_size * (order.price or best)
    return notional / account.leverage(order.symbol, order.position_side) + notional * market.contract.taker_fee


def balance(world: World, account: Account) -> Balance:
    """The account's wallet at the present marks."""
    frozen = frozen_margin(world, account)
    locked = sum((locked_margin(account, position) for position in account.positions.values()), ZERO)
    unrealized = sum((position.unrealized for position in account.positions.values()), ZERO)
    cross = cross_positions(account)
    cross_unrealized = sum((position.unrealized for position in cross), ZERO)
    left = account.wallet - locked - frozen
    return Balance(
        uid=account.uid,
        wallet=account.wallet,
        equity=account.wallet + unrealized,
        available=max(left, ZERO),
        free=max(left + min(cross_unrealized, ZERO), ZERO),
        frozen=frozen,
        position_margin=locked,
        unrealized=unrealized,
        cross_balance=cross_balance(account),
        cross_maintenance=sum((position.maintenance for position in cross), ZERO),
        spot=account.spot,
    )


def equity(account: Account) -> Decimal:
    return account.wallet + sum((position.unrealized for position in account.positions.values()), ZERO)


def liquidation_price(world: World, account: Account, position: Position) -> Decimal | None:
    """The mark at which this position would be liquidated, other marks held; None when no positive price does it."""
    contract = world.markets[position.symbol].contract
    if position.margin_mode is MarginMode.ISOLATED:
        return _boundary(contract, world.terms, [position], position.margin, position.side)
    legs = [leg for leg in account.positions_of(position.symbol) if leg.margin_mode is MarginMode.CROSS]
    others = [other for other in cross_positions(account) if other.symbol != position.symbol]
    cash = account.wallet - isolated_margin(account)
    cash += sum((other.unrealized - other.burden for other in others), ZERO)
    net = sum((leg.side.sign * leg.size for leg in legs), ZERO)
    return _boundary(contract, world.terms, legs, cash, PositionSide.LONG if net > 0 else PositionSide.SHORT)


def _boundary(
    contract: Contract, terms: Terms, legs: Sequence[Position], cash: Decimal, exposure: PositionSide
) -> Decimal | None:
    """Where cash + Σ PnL(P) − Σ burden(P) passes zero, falling away in the losing direction of `exposure`.

    The sum is concave in P (maintenance is convex), so a long exposure has at most one such price, and so has a short.
    """
    by_mark = terms.maintenance_basis is MaintenanceBasis.MARK
    fee = contract.taker_fee if terms.closing_fee_counted else ZERO
    edges = {tier.cap / base_size(contract, leg) for leg in legs for tier in contract.tiers[:-1]} if by_mark else set()
    bounds = [ZERO, *sorted(edges)]
    found: list[Decimal] = []
    for low, high in zip(bounds, [*bounds[1:], None], strict=True):
        inside = low * 2 + 1 if high is None else (low + high) / 2
        constant, slope = cash, ZERO
        for leg in legs:
            quantity = base_size(contract, leg)
            constant -= leg.side.sign * leg.cost
            slope += leg.side.sign * quantity - fee * quantity
            if by_mark:
                tier = contract.tier(quantity * inside)
                constant += tier.deduction
                slope -= quantity * tier.rate
            else:
                constant -= contract.maintenance(leg.cost)
        if slope * exposure.sign <= 0:
            continue
        price = -constant / slope
        if price > 0 and price >= low and (high is None or price <= high):
            found.append(price)
    if not found:
        return None
    return max(found) if exposure is PositionSide.LONG else min(found)


def margin_ratio(account: Account, position: Position) -> Decimal | None:
    """Maintenance ÷ margin balance, of the position or in cross of the account; None when the balance is gone."""
    if position.margin_mode is MarginMode.ISOLATED:
        behind, maintenance = position.margin + position.unrealized, position.maintenance
    else:
        behind = cross_balance(account)
        maintenance = sum((other.maintenance for other in cross_positions(account)), ZERO)
    return maintenance / behind if behind > 0 else None


def view(world: World, account: Account, position: Position) -> PositionView:
    """The position as it may be shown, at the present prices."""
    market = world.markets[position.symbol]
    contract, quote = market.contract, market.prices()
    quantity = base_size(contract, position)
    settings = account.settings_of(position.symbol)
    opened = position.opened_size * contract.contract_size
    closed = position.closed_size * contract.contract_size
    held = bool(position.size)
    return PositionView(
        uid=account.uid,
        symbol=position.symbol,
        side=position.side,
        position_mode=account.position_mode,
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
        initial_margin=initial_margin(account, position),
        margin=locked_margin(account, position),
        maintenance_margin=position.maintenance,
        unrealized_pnl=position.unrealized,
        realized_pnl=position.realized - position.fees + position.funding,
        fees=position.fees,
        funding=position.funding,
        liquidation_price=liquidation_price(world, account, position) if held else None,
        margin_ratio=margin_ratio(account, position) if held else None,
        max_notional=contract.max_notional(settings.leverage(position.side)),
        opened_ms=position.opened_ms,
        updated_ms=position.updated_ms,
    )
