"""The mark at which a position would be liquidated, all other marks held.

What stands behind a position less what it must carry is a straight line in its mark between the prices where a margin
tier or a haircut changes. Every piece is solved exactly; tiers without deductions make the line jump where they meet.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import chain

from guardd.simulator import cross
from guardd.simulator.accounts import ZERO, Account, Position
from guardd.simulator.coins import Coin
from guardd.simulator.contracts import Contract
from guardd.simulator.cross import Load
from guardd.simulator.orders import MarginMode, PositionSide
from guardd.simulator.terms import MaintenanceBasis, Terms
from guardd.simulator.world import World

Line = tuple[Decimal, Decimal]  # (constant, slope)
Shape = Callable[[Decimal], Line]  # the line that holds around a price


def liquidation_price(
    world: World, account: Account, position: Position, risk: cross.Risk | None = None
) -> Decimal | None:
    """The mark that liquidates this position; None when no positive price does it.

    `risk`: where the cross account stands that it belongs to, where that has just been summed up.
    """
    if position.margin_mode is MarginMode.ISOLATED:
        return _isolated(world, position)
    return _cross(world, account, position, risk or cross.risk(world, account, position.coin))


def _isolated(world: World, position: Position) -> Decimal | None:
    market = world.markets[position.symbol]
    contract, terms = market.contract, world.terms
    load = Load(quantity=position.size * contract.contract_size, cost=position.cost)
    profit = _profit(contract, [position])

    def surplus(inside: Decimal) -> Line:
        return _sum((position.margin, ZERO), profit, _needs(contract, terms, [load], inside, Decimal(-1)))

    return _solve(surplus, _tier_edges(contract, terms, [load]), position.side, market.prices().mark)


def _cross(world: World, account: Account, position: Position, total: cross.Risk) -> Decimal | None:
    symbol = position.symbol
    market = world.markets[symbol]
    contract, terms = market.contract, world.terms
    legs = [leg for leg in account.positions_of(symbol) if leg.margin_mode is MarginMode.CROSS]
    loads = cross.loads(world, account, symbol)
    own = sum((cross.needs(contract, terms, load, market.prices().mark)[1] for load in loads), ZERO)
    price = cross.worth(world, account, contract.coin)
    others = total.burden - own * price
    behind, edges = _behind(world, account, contract, legs)

    def surplus(inside: Decimal) -> Line:
        return _sum((-others, ZERO), behind(inside), _needs(contract, terms, loads, inside, -price))

    net = sum((leg.side.sign * leg.size for leg in legs), ZERO)
    exposure = PositionSide.LONG if net > 0 else PositionSide.SHORT
    return _solve(surplus, [*edges, *_tier_edges(contract, terms, loads)], exposure, market.prices().mark)


def _behind(
    world: World, account: Account, contract: Contract, legs: Sequence[Position]
) -> tuple[Shape, list[Decimal]]:
    """What stands behind the cross positions as a function of this contract's mark, and where its line breaks."""
    profit = _profit(contract, legs)
    fixed = cross.balance(account, contract.coin) - sum((leg.unrealized for leg in legs), ZERO)
    if not cross.pooled(account):
        line = _sum((fixed, ZERO), profit)
        return lambda _: line, []
    values: list[tuple[Coin, Line]] = []
    for name in cross.coins(account):
        coin = world.coins.get(name) or Coin(name=name, price=ZERO)
        equity = _sum((fixed, ZERO), profit) if name == contract.coin else (cross.balance(account, name), ZERO)
        values.append((coin, _valued(world, coin, equity, contract.symbol)))

    def effective(inside: Decimal) -> Line:
        return _sum(*(_collateral(coin, value, inside) for coin, value in values))

    return effective, [edge for coin, value in values for edge in _haircut_edges(coin, value)]


def _valued(world: World, coin: Coin, equity: Line, symbol: str) -> Line:
    """An amount of a coin in USD; the coin's price may be the mark in question."""
    if coin.price is None and coin.follows == symbol:
        return ZERO, equity[0]
    price = world.usd_price(coin.name)
    return equity[0] * price, equity[1] * price


def _collateral(coin: Coin, value: Line, inside: Decimal) -> Line:
    constant, ratio = coin.bracket(value[0] + value[1] * inside)
    return constant + ratio * value[0], ratio * value[1]


def _haircut_edges(coin: Coin, value: Line) -> list[Decimal]:
    if not value[1]:
        return []
    return [(haircut.from_usd - value[0]) / value[1] for haircut in coin.haircuts]


def _profit(contract: Contract, legs: Sequence[Position]) -> Line:
    constant = sum((-leg.side.sign * leg.cost for leg in legs), ZERO)
    return constant, sum((leg.side.sign * leg.size * contract.contract_size for leg in legs), ZERO)


def _needs(contract: Contract, terms: Terms, loads: Iterable[Load], inside: Decimal, factor: Decimal) -> Line:
    """Burden of the loads times `factor`, with the tiers that hold around a price."""
    constant, slope = ZERO, ZERO
    for load in loads:
        if terms.maintenance_basis is MaintenanceBasis.MARK:
            tier = contract.tier(load.quantity * inside)
            constant -= tier.deduction
            slope += load.quantity * tier.rate
        else:
            constant += contract.maintenance(load.cost)
        if terms.closing_fee_counted:
            slope += load.quantity * contract.taker_fee
    return constant * factor, slope * factor


def _tier_edges(contract: Contract, terms: Terms, loads: Iterable[Load]) -> list[Decimal]:
    if terms.maintenance_basis is not MaintenanceBasis.MARK:
        return []
    return [tier.cap / load.quantity for load in loads for tier in contract.tiers[:-1]]


def _sum(*lines: Line) -> Line:
    return sum((line[0] for line in lines), ZERO), sum((line[1] for line in lines), ZERO)


def _solve(surplus: Shape, edges: Iterable[Decimal], exposure: PositionSide, mark: Decimal) -> Decimal | None:
    """Where the surplus ends in the losing direction: the nearest such price beyond the mark, else the last one.

    The pieces are looked through from the mark outwards: most often the first one has it.
    """
    bounds = [ZERO, *sorted({edge for edge in edges if edge > 0})]
    pieces = len(bounds)
    lines: dict[int, Line] = {}

    def line(piece: int) -> Line:
        if piece not in lines:
            low = bounds[piece]
            lines[piece] = surplus((low + bounds[piece + 1]) / 2 if piece + 1 < pieces else low * 2 + 1)
        return lines[piece]

    def ends(piece: int) -> Iterator[Decimal]:
        """In one piece, upwards: where the surplus falls through zero at a jump, and where its line crosses it."""
        low = bounds[piece]
        if exposure is PositionSide.SHORT and piece and _at(line(piece - 1), low) > 0 >= _at(line(piece), low):
            yield low
        constant, slope = line(piece)
        if slope * exposure.sign > 0:
            price = -constant / slope
            if price > 0 and price >= low and (piece + 1 == pieces or price <= bounds[piece + 1]):
                yield price

    if exposure is PositionSide.LONG:  # it jumps only upwards here: one end at most in a piece
        here = max(bisect_right(bounds, mark) - 1, 0)
        beyond = (price for piece in range(here, -1, -1) for price in ends(piece) if price <= mark)
        behind = (price for piece in range(pieces - 1, here - 1, -1) for price in ends(piece))
    else:
        here = max(bisect_left(bounds, mark) - 1, 0)
        beyond = (price for piece in range(here, pieces) for price in ends(piece) if price >= mark)
        behind = (price for piece in range(here + 1) for price in ends(piece))
    return next(chain(beyond, behind), None)


def _at(line: Line, price: Decimal) -> Decimal:
    return line[0] + line[1] * price
