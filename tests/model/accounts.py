"""Builders of accounts for the tests of model and risk: BTCUSDT in contracts of 0.001 BTC, as the venue lists it."""

from decimal import Decimal
from typing import Final

from guardd.clock import ManualClock
from guardd.model.account import Balance
from guardd.model.capabilities import Capabilities
from guardd.model.event import BalanceRead, InstrumentsRead, MarkSeen, PositionsRead
from guardd.model.fold import fold
from guardd.model.instant import Instant
from guardd.model.instrument import Instrument, MarginTier
from guardd.model.names import AccountName, MarginMode, OrderId, PositionKey, PriceType, Side, Symbol, VenueName
from guardd.model.order import Direction, PlanForm, PlanOrder, ProtectionKind
from guardd.model.position import Position
from guardd.model.reading import Absent, Reading
from guardd.model.state import AccountState

D = Decimal
BTC: Final = Symbol("BTCUSDT")
ETH: Final = Symbol("ETHUSDT")
MAIN: Final = AccountName("main")
OPENED_MS: Final = 1_767_000_000_000
START: Final = ManualClock().now()

CAPABILITIES: Final = Capabilities(
    whole_position_protection=True,
    sized_protection=True,
    plan_protection=True,
    modify_protection=True,
    several_whole_stops=False,
    client_id_on_plan=False,
    add_margin=False,
    set_leverage=True,
    top_up=True,
    cross_liquidation_price=False,
    positions_repeated=True,
    lookup_delay_s=0.2,
)

# Rows of the sample leverage_bracket.json (FUNUSDT).
SAMPLE_TIERS: Final = tuple(
    MarginTier(floor=D(floor), cap=D(cap), rate=D(rate), deduction=D(cum), max_leverage=D(leverage))
    for floor, cap, rate, cum, leverage in (
        ("0", "10000", "0.01", "0", "50"),
        ("10000", "100000", "0.02", "100", "25"),
        ("100000", "200000", "0.025", "600", "20"),
        ("200000", "400000", "0.03125", "1850", "16"),
        ("400000", "700000", "0.05", "9350", "10"),
        ("700000", "1100000", "0.0625", "18100", "8"),
        ("1100000", "1600000", "0.1", "59350", "5"),
        ("1600000", "2200000", "0.125", "99350", "4"),
        ("2200000", "2900000", "0.25", "374350", "2"),
        ("2900000", "3700000", "0.5", "1099350", "1"),
    )
)


def flat_tier(rate: str) -> tuple[MarginTier, ...]:
    return (MarginTier(floor=D(0), cap=D("1e9"), rate=D(rate), deduction=D(0), max_leverage=D(100)),)


def instrument(symbol: Symbol = BTC, *, tiers: tuple[MarginTier, ...] | None = None, fee: str = "0.0006") -> Instrument:
    return Instrument(
        symbol=symbol,
        base=symbol.removesuffix("USDT"),
        settle="USDT",
        contract_size=D("0.001"),
        tick=D("0.1"),
        step=D(1),
        min_size=D(1),
        max_limit_size=D(1_000_000),
        max_market_size=D(100_000),
        max_leverage=D(100),
        taker_fee=D(fee),
        tiers=flat_tier("0.005") if tiers is None else tiers,
    )


def key(side: Side = Side.LONG, symbol: Symbol = BTC) -> PositionKey:
    return PositionKey(MAIN, symbol, side)


def row(
    side: Side = Side.LONG,
    *,
    symbol: Symbol = BTC,
    quantity: str = "100",
    entry: str = "90000",
    mark: str = "89000",
    mode: MarginMode = MarginMode.ISOLATED,
    leverage: str = "10",
    margin: Reading | None = None,
    venue_liquidation: Reading = Absent.UNKNOWN,
    rate: str = "0.005",
    opened_ms: int | None = OPENED_MS,
    venue_ms: int = START.wall_ms,
) -> Position:
    """A row whose figures agree with one flat tier of `rate` on the notional at mark."""
    base = D(quantity) * D("0.001")
    return Position(
        key=key(side, symbol),
        quantity=D(quantity),
        entry_price=D(entry),
        margin_mode=mode,
        leverage=D(leverage),
        margin=base * D(entry) / D(leverage) if margin is None else margin,
        maintenance_margin=base * D(mark) * D(rate),
        liquidation_price=venue_liquidation,
        mark_price=D(mark),
        notional=base * D(mark),
        unrealized_pnl=side.sign * base * (D(mark) - D(entry)),
        opened_ms=opened_ms,
        closed_quantity=D(0),
        venue_ms=venue_ms,
    )


def balance(*rows: Position, wallet: str = "2000") -> Balance:
    """A balance that adds up, read at the marks of these rows."""
    unrealized = sum((r.unrealized_pnl for r in rows if isinstance(r.unrealized_pnl, Decimal)), D(0))
    margins = sum((r.margin for r in rows if isinstance(r.margin, Decimal)), D(0))
    return Balance(
        currency="USDT",
        equity=D(wallet) + unrealized,
        available=D(wallet) - margins,
        frozen=D(0),
        position_margin=margins,
        unrealized_pnl=unrealized,
    )


def empty() -> AccountState:
    return AccountState(name=MAIN, venue=VenueName("bitmart"), capabilities=CAPABILITIES)


def account(*rows: Position, wallet: str = "2000", instruments: tuple[Instrument, ...] | None = None) -> AccountState:
    """An account that was read once at `START`, with a stream's mark for each instrument held."""
    state = empty()
    symbols = dict.fromkeys(r.key.symbol for r in rows)
    listed = tuple(instrument(symbol) for symbol in symbols) if instruments is None else instruments
    fold(state, InstrumentsRead(at=START, instruments=listed))
    for r in rows:
        assert isinstance(r.mark_price, Decimal)
        fold(state, MarkSeen(r.key.symbol, r.mark_price, START))
    fold(state, PositionsRead(started=START, at=START, positions=rows))
    fold(state, BalanceRead(at=START, balances=(balance(*rows, wallet=wallet),)))
    return state


def stop(
    trigger: str,
    side: Side = Side.LONG,
    *,
    order_id: str = "1",
    size: str | None = None,
    price_type: PriceType = PriceType.MARK,
    execution_price: str | None = None,
    kind: ProtectionKind | None = ProtectionKind.STOP_LOSS,
) -> PlanOrder:
    return PlanOrder(
        order_id=OrderId(order_id),
        client_id=None,
        key=key(side),
        protection=kind,
        form=PlanForm.WHOLE if size is None else PlanForm.SIZED,
        direction=Direction.FALLS if side is Side.LONG else Direction.RISES,
        trigger_price=D(trigger),
        price_type=price_type,
        execution_price=None if execution_price is None else D(execution_price),
        size=None if size is None else D(size),
        created_ms=OPENED_MS,
    )


def later(seconds: float) -> Instant:
    return START.later_by(seconds)
