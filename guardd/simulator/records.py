"""Frozen values that leave the engine: prices, fills, positions, balances, flows, settings. Money in the quote coin."""

from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from guardd.simulator.orders import MarginMode, OrderKind, PositionMode, PositionSide, Side


class AccountKind(StrEnum):
    CLASSIC = "classic"  # a wallet of each margin coin stands behind the cross positions of that coin alone
    UNIFIED = "unified"  # every coin, at its collateral value, stands behind all cross positions


class Quote(Struct, frozen=True, kw_only=True):
    """All prices of one contract at one moment."""

    mark: Decimal
    index: Decimal
    last: Decimal
    bid: Decimal
    ask: Decimal


class Trade(Struct, frozen=True, kw_only=True):
    """One fill. `fee` is positive when paid; `realized_pnl` is before fees, zero for an opening fill."""

    trade_id: str
    order_id: str
    client_id: str
    uid: str
    symbol: str
    side: Side
    reduce: bool
    kind: OrderKind
    price: Decimal
    size: Decimal
    fee: Decimal
    realized_pnl: Decimal
    maker: bool
    at_ms: int


class PositionView(Struct, frozen=True, kw_only=True):
    """A position at the present prices. Sizes in contracts and never negative; `side` tells the direction.

    Money in `coin`. `burden` is the maintenance margin with the closing fee, where the terms count it: `risk_ratio`, that
    burden ÷ what stands behind it (cross: the account's), reaches 1 exactly at liquidation.
    After a close `size` is zero and the record of its life stays in the numbers of the last view.
    """

    uid: str
    symbol: str
    coin: str
    side: PositionSide
    position_mode: PositionMode
    margin_mode: MarginMode
    leverage: Decimal
    size: Decimal
    frozen_size: Decimal  # held by resting closing orders
    entry_price: Decimal
    open_average_price: Decimal
    closed_size: Decimal
    closed_average_price: Decimal
    mark_price: Decimal
    notional_entry: Decimal
    notional_mark: Decimal
    notional_last: Decimal
    initial_margin: Decimal  # notional at entry ÷ leverage
    margin: Decimal  # isolated: assigned to it; cross: its initial margin
    maintenance_margin: Decimal
    unrealized_pnl: Decimal
    realized_pnl: Decimal  # of this life, fees and funding included
    fees: Decimal  # paid in this life, positive
    funding: Decimal  # received in this life, negative when paid
    liquidation_price: Decimal | None  # None: no positive price liquidates it
    margin_ratio: Decimal | None  # maintenance ÷ balance, isolated: its own, cross: the account's; None: balance ≤ 0
    burden: Decimal
    risk_ratio: Decimal | None  # None: nothing is left behind it
    auto_margin: bool  # isolated: the exchange itself adds margin before it liquidates
    max_notional: Decimal
    opened_ms: int
    updated_ms: int

    @property
    def available_size(self) -> Decimal:
        """Contracts that no resting closing order holds."""
        return self.size - self.frozen_size


class Balance(Struct, frozen=True, kw_only=True):
    """One coin's futures wallet: equity = wallet + unrealized; available = wallet − position_margin − frozen, at least 0.

    In a unified account `available` and `free` are bounded by the pool, and the cross figures are this coin's share of it.
    """

    uid: str
    coin: str
    wallet: Decimal
    equity: Decimal
    available: Decimal
    free: Decimal  # what new risk or a transfer may use: available less unrealised losses of cross positions
    frozen: Decimal
    position_margin: Decimal
    unrealized: Decimal
    cross_balance: Decimal  # what stands behind the cross positions
    cross_maintenance: Decimal
    cross_burden: Decimal  # maintenance with the closing fee, where the terms count it
    cross_unrealized: Decimal
    isolated_margin: Decimal  # the part of position_margin that is assigned to isolated positions
    spot: Decimal

    @property
    def cross_ratio(self) -> Decimal | None:
        """1 is liquidation in a classic account; None when nothing stands behind the cross positions."""
        if not self.cross_burden:
            return Decimal(0)
        return self.cross_burden / self.cross_balance if self.cross_balance > 0 else None


class Pool(Struct, frozen=True, kw_only=True):
    """A unified account's sums in USD. Isolated positions and their margin are in `equity` alone.

    `effective` is the collateral value of every coin with its cross profit; `maintenance` counts cross positions and
    resting opening orders, closing fees included: the account is liquidated once it reaches `effective`.
    """

    uid: str
    equity: Decimal
    effective: Decimal
    maintenance: Decimal
    initial_margin: Decimal  # cross positions with their closing fee, and what opening orders hold
    free: Decimal  # what new risk may use
    unrealized: Decimal
    notional: Decimal  # of all positions, at mark

    @property
    def ratio(self) -> Decimal | None:
        """1 is liquidation; None when nothing effective is left."""
        if not self.maintenance:
            return Decimal(0)
        return self.maintenance / self.effective if self.effective > 0 else None


class FlowKind(StrEnum):
    TRANSFER = "transfer"
    REALIZED_PNL = "realized_pnl"
    FUNDING = "funding"
    COMMISSION = "commission"
    LIQUIDATION = "liquidation"
    CONVERSION = "conversion"  # one coin paid another's debt in a pool


class Flow(Struct, frozen=True, kw_only=True):
    """One change of a futures wallet; `amount` is signed, `symbol` "" for transfers."""

    flow_id: str
    uid: str
    coin: str
    kind: FlowKind
    symbol: str
    amount: Decimal
    at_ms: int


class TransferDirection(StrEnum):
    TO_FUTURES = "to_futures"
    TO_SPOT = "to_spot"


class Transfer(Struct, frozen=True, kw_only=True):
    transfer_id: str
    uid: str
    coin: str
    direction: TransferDirection
    amount: Decimal
    at_ms: int


class Settings(Struct, frozen=True, kw_only=True):
    """Leverage and margin mode of one contract in one account."""

    margin_mode: MarginMode
    long_leverage: Decimal
    short_leverage: Decimal

    def leverage(self, side: PositionSide) -> Decimal:
        return self.long_leverage if side is PositionSide.LONG else self.short_leverage
