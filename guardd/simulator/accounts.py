"""What the exchange holds for one client. Mutable, and seen from outside only through frozen views."""

from dataclasses import dataclass, field
from decimal import Decimal

from guardd.simulator.orders import MarginMode, Order, Plan, PositionMode, PositionSide
from guardd.simulator.records import AccountKind, Flow, Settings, Trade, Transfer

ZERO = Decimal(0)
MONEY = Decimal("1E-12")  # money is kept to this many places, so that sums are exact and conservation can be asserted

PositionKey = tuple[str, PositionSide]


def money(amount: Decimal) -> Decimal:
    """The amount in the exchange's own precision."""
    return amount.quantize(MONEY)


@dataclass(slots=True, kw_only=True)
class Position:
    """One leg. `cost` is Σ size × contract_size × price of what is held; keeping it, not an average, keeps sums exact.

    All money in `coin`, the contract's margin coin.
    `margin` is what is assigned to it when isolated, else zero. `unrealized`, `maintenance` and `burden` (maintenance
    plus the closing fee, where the terms count it) are cached at the last mark.
    """

    symbol: str
    coin: str
    side: PositionSide
    margin_mode: MarginMode
    opened_ms: int
    updated_ms: int
    size: Decimal = ZERO
    cost: Decimal = ZERO
    margin: Decimal = ZERO
    realized: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO
    opened_size: Decimal = ZERO
    opened_cost: Decimal = ZERO
    closed_size: Decimal = ZERO
    closed_value: Decimal = ZERO
    unrealized: Decimal = ZERO
    maintenance: Decimal = ZERO
    burden: Decimal = ZERO
    auto_margin: bool = False
    grown_ms: int = 0  # when it was last opened or enlarged


@dataclass(slots=True, kw_only=True)
class Slicing:
    """The rest of a market order that fills in parts."""

    part: Decimal
    next_ms: int


@dataclass(slots=True, kw_only=True)
class Account:
    """One client: wallets by coin, settings, positions, orders and plans (live and past), fills and flows.

    `position_mode` holds for every product line that has none of its own in `group_modes`.
    """

    uid: str
    kind: AccountKind
    position_mode: PositionMode
    defaults: Settings
    wallets: dict[str, Decimal] = field(default_factory=dict)
    spots: dict[str, Decimal] = field(default_factory=dict)
    group_modes: dict[str, PositionMode] = field(default_factory=dict)
    settings: dict[str, Settings] = field(default_factory=dict)
    positions: dict[PositionKey, Position] = field(default_factory=dict)
    ever_held: set[PositionKey] = field(default_factory=set)
    orders: dict[str, Order] = field(default_factory=dict)  # working
    finished_orders: dict[str, Order] = field(default_factory=dict)
    plans: dict[str, Plan] = field(default_factory=dict)  # live
    finished_plans: dict[str, Plan] = field(default_factory=dict)
    slicing: dict[str, Slicing] = field(default_factory=dict)
    timers: dict[str, int] = field(default_factory=dict)  # symbol → when all its orders are cancelled
    trades: list[Trade] = field(default_factory=list)
    flows: list[Flow] = field(default_factory=list)
    transfers: list[Transfer] = field(default_factory=list)
    client_ids: set[str] = field(default_factory=set)  # ever used

    def wallet(self, coin: str) -> Decimal:
        return self.wallets.get(coin, ZERO)

    def spot(self, coin: str) -> Decimal:
        return self.spots.get(coin, ZERO)

    def mode_of(self, group: str) -> PositionMode:
        """The position mode of a product line."""
        return self.group_modes.get(group, self.position_mode)

    def settings_of(self, symbol: str) -> Settings:
        return self.settings.get(symbol, self.defaults)

    def leverage(self, symbol: str, side: PositionSide) -> Decimal:
        return self.settings_of(symbol).leverage(side)

    def orders_of(self, symbol: str) -> list[Order]:
        return [order for order in self.orders.values() if order.symbol == symbol]

    def plans_of(self, symbol: str) -> list[Plan]:
        return [plan for plan in self.plans.values() if plan.symbol == symbol]

    def positions_of(self, symbol: str) -> list[Position]:
        sides = (PositionSide.LONG, PositionSide.SHORT)
        return [self.positions[symbol, side] for side in sides if (symbol, side) in self.positions]

    def held(self, symbol: str, side: PositionSide) -> Decimal:
        """Contracts held on this leg."""
        position = self.positions.get((symbol, side))
        return position.size if position else ZERO

    def frozen_size(self, symbol: str, side: PositionSide) -> Decimal:
        """Contracts of this leg that resting closing orders hold."""
        resting = (o for o in self.orders.values() if o.symbol == symbol and o.reduce and o.position_side is side)
        return sum((order.remaining for order in resting), ZERO)
