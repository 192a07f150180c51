"""Frozen values that leave the engine: prices, fills, positions, balances, flows, settings. Money in the quote coin."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from guardd.simulator.orders import MarginMode, OrderKind, PositionMode, PositionSide, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """All prices of one contract at one moment."""

    mark: Decimal
    index: Decimal
    last: Decimal
    bid: Decimal
    ask: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionView:
    """A position at the present prices. Sizes in contracts and never negative; `side` tells the direction.

    After a close `size` is zero and the record of its life stays in the numbers of the last view.
    """

    uid: str
    symbol: str
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
    max_notional: Decimal
    opened_ms: int
    updated_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """A futures wallet: equity = wallet + unrealized; available = wallet − position_margin − frozen, at least zero."""

    uid: str
    wallet: Decimal
    equity: Decimal
    available: Decimal
    free: Decimal  # what new risk or a transfer may use: available less unrealised losses of cross positions
    frozen: Decimal
    position_margin: Decimal
    unrealized: Decimal
    cross_balance: Decimal  # what stands behind the cross positions
    cross_maintenance: Decimal
    spot: Decimal


class FlowKind(StrEnum):
    TRANSFER = "transfer"
    REALIZED_PNL = "realized_pnl"
    FUNDING = "funding"
    COMMISSION = "commission"
    LIQUIDATION = "liquidation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """One change of a futures wallet; `amount` is signed, `symbol` "" for transfers."""

    flow_id: str
    uid: str
    kind: FlowKind
    symbol: str
    amount: Decimal
    at_ms: int


class TransferDirection(StrEnum):
    TO_FUTURES = "to_futures"
    TO_SPOT = "to_spot"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    transfer_id: str
    uid: str
    direction: TransferDirection
    amount: Decimal
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Leverage and margin mode of one contract in one account."""

    margin_mode: MarginMode
    long_leverage: Decimal
    short_leverage: Decimal

    def leverage(self, side: PositionSide) -> Decimal:
        return self.long_leverage if side is PositionSide.LONG else self.short_leverage
