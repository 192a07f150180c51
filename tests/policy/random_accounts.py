"""Random accounts and rules for the solver's law: linear and inverse contracts, tiers, fees and rebates, isolated and cross, hedge
legs, several coins, venues that tell little or much, and marks from fractions of a cent to a hundred thousand."""

from collections.abc import Sequence
from decimal import Context, Decimal
from random import Random

from guardd.model.account import Balance
from guardd.model.event import BalanceRead, InstrumentsRead, MarkSeen, PositionsRead
from guardd.model.fold import fold
from guardd.model.instrument import Instrument, MarginTier
from guardd.model.names import MarginMode, PositionKey, RuleName, Side, Symbol
from guardd.model.position import Position
from guardd.model.reading import Absent, Reading, is_value
from guardd.model.state import AccountState
from guardd.policy.conditions import Use, metric_of
from guardd.policy.language import (
    AllOf,
    AnyOf,
    CancelEntering,
    CloseAll,
    Compare,
    Condition,
    Match,
    Metric,
    Not,
    Notify,
    PolicyAction,
    PolicyRule,
    ReduceBy,
    Sense,
    WhenBlind,
)
from guardd.risk.assess import assess_on
from guardd.risk.ground import Ground
from guardd.risk.liquidation import Basis, Leg, liquidation_price
from tests.changed import replace
from tests.model.accounts import MAIN, OPENED_MS, START, empty

ZERO = Decimal(0)
COINS = (("USDT",), ("USDT",), ("USDT", "USDC"), ("BTC",), ("BTC",), ("USDT", "BTC"))
INVERSE = "BTC"
LEVERAGES = (1, 2, 3, 5, 10, 20, 50, 100)
THENS: tuple[tuple[PolicyAction, ...], ...] = (
    (CloseAll(),),
    (Notify(),),
    (Notify(), ReduceBy(share=Decimal("0.25"))),
    (CancelEntering(), CloseAll()),
)


def random_account(rng: Random) -> AccountState:
    """An account as after its first read, with a stream's mark for each instrument held."""
    coins = rng.choice(COINS)
    symbols = [Symbol(f"{name}USD") for name in ("AAA", "BBB", "CCC")[: rng.choice((1, 1, 2, 3))]]
    instruments: list[Instrument] = []
    rows: list[Position] = []
    for symbol in symbols:
        instrument, mark = _instrument(rng, symbol, rng.choice(coins))
        legs = _legs(rng, instrument, mark)
        instrument = legs[0].instrument
        instruments.append(instrument)
        mode = rng.choice(tuple(MarginMode))
        for leg in legs:
            own_mode = rng.choice(tuple(MarginMode)) if rng.random() < 0.1 else mode
            rows.append(_row(rng, leg, mark, own_mode))
    state = empty()
    fold(state, InstrumentsRead(at=START, instruments=tuple(instruments)))
    for row in rows:
        assert isinstance(row.mark_price, Decimal)
        fold(state, MarkSeen(row.key.symbol, row.mark_price, START))
    fold(state, PositionsRead(started=START, at=START, positions=tuple(rows)))
    fold(state, BalanceRead(at=START, balances=_balances(rng, coins, instruments, rows)))
    return state


def _instrument(rng: Random, symbol: Symbol, settle: str) -> tuple[Instrument, Decimal]:
    """With its mark; tiers follow when the position is known."""
    inverse = settle == INVERSE
    price = Decimal(str(round(10 ** rng.uniform(-2, 5), 4))) + Decimal("0.01")
    relative = Decimal(str(rng.choice((0.00001, 0.0001, 0.0001, 0.001, 0.005))))
    tick = _rounded(price * relative, 1)
    mark = (price / tick).to_integral_value() * tick
    if rng.random() < 0.2:
        mark += tick * Decimal(str(rng.choice((0.25, 0.5, 0.9))))
    size = Decimal(rng.choice((1, 10, 100))) if inverse else Decimal(1).scaleb(-rng.randint(0, 4))
    made = Instrument(
        symbol=symbol,
        base=INVERSE if inverse else str(symbol),
        settle=settle,
        contract_size=size,
        tick=tick,
        step=Decimal(1),
        min_size=Decimal(1),
        max_limit_size=Decimal(10**12),
        max_market_size=Decimal(10**12),
        max_leverage=Decimal(125),
        taker_fee=Decimal(str(rng.choice((0, 0.0002, 0.0006, 0.001, -0.0001)))),
        inverse=inverse,
    )
    return made, mark


def _legs(rng: Random, instrument: Instrument, mark: Decimal) -> list[Leg]:
    """One leg or a hedge, and the instrument with margin tiers that lie around their notional."""
    sides = rng.choice(((Side.LONG,), (Side.SHORT,), (Side.LONG, Side.SHORT)))
    target = Decimal(str(round(10 ** rng.uniform(2, 6), 2)))
    quantities: list[Decimal] = []
    for _ in sides:
        share = Decimal(str(round(rng.uniform(0.2, 1), 3)))
        worth = target * share if instrument.inverse else target * share / mark
        quantities.append(max((worth / instrument.contract_size).to_integral_value(), Decimal(1)))
    if len(sides) == 2 and rng.random() < 0.1:
        quantities[1] = quantities[0]
    biggest = instrument.notional(max(quantities), mark)
    tiered = replace(instrument, tiers=_tiers(rng, biggest))
    entries = [_rounded(mark * Decimal(str(round(1 + rng.uniform(-0.1, 0.1), 5))), 6) for _ in sides]
    return [
        Leg(instrument=tiered, side=side, quantity=quantity, entry=entry)
        for side, quantity, entry in zip(sides, quantities, entries, strict=True)
    ]


def _tiers(rng: Random, notional: Decimal) -> tuple[MarginTier, ...]:
    """Continuous and convex, as every venue's are."""
    count = rng.choice((1, 2, 3, 6))
    factors = sorted(round(10 ** rng.uniform(-0.8, 0.8), 3) for _ in range(count - 1))
    caps = [_rounded(notional * Decimal(str(factor)), 3) for factor in dict.fromkeys(factors)]
    caps = [*dict.fromkeys(caps), notional * 1000]
    rate = Decimal(str(rng.choice((0.002, 0.004, 0.01))))
    floor, deduction = ZERO, ZERO
    found: list[MarginTier] = []
    for cap in caps:
        found.append(MarginTier(floor=floor, cap=cap, rate=rate, deduction=deduction, max_leverage=Decimal(100)))
        steeper = rate * Decimal(str(rng.choice((1.25, 1.5, 2))))
        floor, deduction, rate = cap, deduction + cap * (steeper - rate), steeper
    return tuple(found)


def _row(rng: Random, leg: Leg, mark: Decimal, mode: MarginMode) -> Position:
    leverage = Decimal(rng.choice(LEVERAGES))
    margin = leg.notional(leg.entry) / leverage * Decimal(str(round(rng.uniform(1, 1.5), 3)))
    if rng.random() < 0.7:  # most are alive, as positions are
        margin = max(margin, (leg.burden(mark, Basis.WORSE) - leg.pnl(mark)) * Decimal("1.2"))
    told = rng.random()
    maintenance = leg.maintenance(mark, Basis.ENTRY if told < 0.3 else Basis.MARK)
    return Position(
        key=PositionKey(MAIN, leg.instrument.symbol, leg.side),
        quantity=leg.quantity,
        entry_price=leg.entry,
        margin_mode=mode,
        leverage=leverage,
        margin=margin if mode is MarginMode.ISOLATED else Absent.UNKNOWN,
        maintenance_margin=maintenance * 2 if told > 0.85 else maintenance,
        liquidation_price=_venue_liquidation(rng, leg, margin, mark, mode),
        mark_price=mark,
        notional=leg.notional(mark),
        unrealized_pnl=leg.pnl(mark),
        opened_ms=OPENED_MS,
        closed_quantity=ZERO,
        venue_ms=START.wall_ms,
    )


def _venue_liquidation(rng: Random, leg: Leg, margin: Decimal, mark: Decimal, mode: MarginMode) -> Reading:
    draw = rng.random()
    if draw < 0.35:
        return Absent.UNKNOWN
    if draw < 0.4:
        return Absent.NONE
    if draw < 0.43:
        return _rounded(mark * (1 + leg.side.sign * Decimal("0.05")), 6)  # impossible: on the wrong side
    own = liquidation_price([leg], margin, basis=rng.choice((Basis.MARK, Basis.ENTRY, Basis.WORSE)))
    if mode is MarginMode.CROSS or not is_value(own):
        own = mark * (1 - leg.side.sign * Decimal(str(round(rng.uniform(0.01, 0.6), 4))))
    return _rounded(own * Decimal(str(round(1 + rng.uniform(-0.02, 0.02), 5))), 6)


def _balances(
    rng: Random, coins: Sequence[str], instruments: Sequence[Instrument], rows: Sequence[Position]
) -> tuple[Balance, ...]:
    settles = {instrument.symbol: instrument.settle for instrument in instruments}
    found = [_balance(rng, coin, [row for row in rows if settles[row.key.symbol] == coin]) for coin in coins]
    if len(coins) == 1 and rng.random() < 0.15:
        pool = replace(found[0], currency="USD", pooled=True, foreign_collateral=True)
        equity = pool.equity if is_value(pool.equity) else ZERO
        share = Decimal(str(round(rng.uniform(0.01, 0.9), 4)))
        return (replace(pool, maintenance=abs(equity) * share, unrealized_pnl=pool.unrealized_pnl),)
    if rng.random() < 0.25:
        found = [replace(each, margin_ratio=Decimal(str(round(rng.uniform(0.01, 0.95), 4)))) for each in found]
    return tuple(found)


def _balance(rng: Random, coin: str, rows: Sequence[Position]) -> Balance:
    """Parts that make its equity; what backs the cross positions is a few times what they need."""
    cross = [row for row in rows if row.margin_mode is MarginMode.CROSS]
    isolated = sum((row.margin for row in rows if is_value(row.margin)), ZERO)
    needed = sum((row.maintenance_margin for row in cross if is_value(row.maintenance_margin)), ZERO)
    initial = sum(
        (row.notional / row.leverage for row in cross if is_value(row.notional) and is_value(row.leverage)), ZERO
    )
    lost = sum((row.unrealized_pnl for row in cross if is_value(row.unrealized_pnl)), ZERO)
    unrealized = sum((row.unrealized_pnl for row in rows if is_value(row.unrealized_pnl)), ZERO)
    times = Decimal(str(round(rng.uniform(1.05, 4), 3)))
    behind = max((needed + initial) * times, needed * times - lost, Decimal("0.001"))
    if rng.random() < 0.05:
        behind /= 10
    wallet = behind + isolated
    return Balance(
        currency=coin,
        equity=wallet + unrealized,
        available=wallet - isolated - initial,
        frozen=ZERO,
        position_margin=isolated + initial,
        unrealized_pnl=unrealized if rng.random() < 0.9 else Absent.UNKNOWN,
    )


# Rules

METRICS = [metric for metric in Metric if metric is not Metric.ACCOUNT_DRAWDOWN]


def random_rules(rng: Random, grounds: Sequence[Ground]) -> tuple[PolicyRule, ...]:
    """Rules whose thresholds these positions may reach before they end."""
    return tuple(
        PolicyRule(
            name=RuleName(f"r{index}"),
            match=Match(),
            when=_condition(rng, grounds, 0),
            hold_s=0.0,
            cooldown_s=30.0,
            when_blind=WhenBlind.HOLD,
            then=rng.choice(THENS),
        )
        for index in range(rng.choice((1, 1, 2, 3)))
    )


def _condition(rng: Random, grounds: Sequence[Ground], depth: int) -> Condition:
    if depth < 2 and rng.random() < 0.3:
        word = rng.choice(("all", "any", "not"))
        if word == "not":
            return Not(part=_condition(rng, grounds, depth + 1))
        parts = tuple(_condition(rng, grounds, depth + 1) for _ in range(rng.randint(1, 3)))
        return AllOf(parts=parts) if word == "all" else AnyOf(parts=parts)
    metric = rng.choice(METRICS)
    threshold = Decimal(str(rng.choice((0.02, 0.05, 0.08, 0.15, 0.5, 0.85, 3, 10))))
    sense = rng.choice(tuple(Sense))
    if grounds and rng.random() < 0.9:
        on, use = rng.choice(grounds), rng.choice(tuple(Use))
        mark = on.position.mark_price
        assert is_value(mark)
        away = Decimal(str(round(rng.uniform(0.85, 1.15), 4)))
        now, there = (metric_of(assess_on(on, mark=each), metric, use) for each in (mark, mark * away))
        if now is not None and there is not None and is_value(now) and is_value(there):
            threshold = _rounded(there, rng.choice((2, 3, 6)))
            if rng.random() < 0.8:  # most are false at the present mark
                sense = Sense.BELOW if now > threshold else Sense.ABOVE
    return Compare(metric=metric, sense=sense, threshold=threshold)


def _rounded(value: Decimal, digits: int) -> Decimal:
    return Context(prec=digits).plus(value)
