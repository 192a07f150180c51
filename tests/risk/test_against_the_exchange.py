"""Our liquidation price beside that of the simulated exchange, which does its own sums: neither can be wrong alone."""

from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardd.model.account import Balance
from guardd.model.event import BalanceRead
from guardd.model.fold import fold
from guardd.model.names import MarginMode as OurMode
from guardd.model.names import Side
from guardd.model.reading import Absent, is_value
from guardd.risk.assess import assess_account
from guardd.risk.liquidation import Basis, Leg, exposure_of, liquidation_price
from guardd.simulator import boundary as exchange
from guardd.simulator import cross
from guardd.simulator.accounts import Account, Position
from guardd.simulator.coins import Coin
from guardd.simulator.contracts import Contract, Tier
from guardd.simulator.ledger import Ledger
from guardd.simulator.margin import refresh
from guardd.simulator.orders import MarginMode, PositionMode, PositionSide
from guardd.simulator.records import AccountKind, Quote, Settings
from guardd.simulator.terms import FillModel, MaintenanceBasis, Terms
from guardd.simulator.world import Market, World
from tests.model.accounts import BTC, SAMPLE_TIERS, START, D, account, instrument, row

LISTED = instrument(tiers=SAMPLE_TIERS)
CONTRACT = Contract(
    symbol="BTCUSDT",
    base="BTC",
    quote="USDT",
    contract_size=LISTED.contract_size,
    tick=LISTED.tick,
    step=LISTED.step,
    min_size=LISTED.min_size,
    max_limit_size=LISTED.max_limit_size,
    max_market_size=LISTED.max_market_size,
    max_leverage=LISTED.max_leverage,
    taker_fee=LISTED.taker_fee,
    maker_fee=D("0.0002"),
    tiers=tuple(
        Tier(number=number, floor=t.floor, cap=t.cap, rate=t.rate, deduction=t.deduction, max_leverage=t.max_leverage)
        for number, t in enumerate(SAMPLE_TIERS, start=1)
    ),
)

sizes = st.integers(1, 30_000).map(Decimal)
entries = st.integers(20_000, 120_000).map(Decimal)


def their_price(basis: MaintenanceBasis, mode: MarginMode, wallet: Decimal, *legs: Leg) -> Decimal | None:
    world, uid = exchange_of(*legs, kind=AccountKind.CLASSIC, wallet=wallet, basis=basis, mode=mode)
    return exchange.liquidation_price(world, uid, next(iter(uid.positions.values())))


def exchange_of(
    *legs: Leg,
    kind: AccountKind,
    wallet: Decimal,
    basis: MaintenanceBasis,
    mode: MarginMode = MarginMode.CROSS,
) -> tuple[World, Account]:
    """The exchange with one account that holds these legs, the mark at the first one's entry."""
    positions = {
        ("BTCUSDT", PositionSide(leg.side.value)): Position(
            symbol="BTCUSDT",
            coin="USDT",
            side=PositionSide(leg.side.value),
            margin_mode=mode,
            opened_ms=0,
            updated_ms=0,
            size=leg.quantity,
            cost=leg.notional(leg.entry),
            margin=wallet if mode is MarginMode.ISOLATED else D(0),
        )
        for leg in legs
    }
    defaults = Settings(margin_mode=mode, long_leverage=D(10), short_leverage=D(10))
    uid = Account(
        uid="1",
        kind=kind,
        position_mode=PositionMode.HEDGE,
        defaults=defaults,
        wallets={"USDT": wallet},
        positions=positions,
    )
    world = World(now_ms=0, terms=Terms(maintenance_basis=basis), random=Random(0), ledger=Ledger())
    if kind is AccountKind.UNIFIED:
        world.coins["USDT"] = Coin(name="USDT", price=D(1))
    world.markets["BTCUSDT"] = Market(contract=CONTRACT, fills=FillModel(), quote=quote_at(legs[0].entry))
    for position in positions.values():
        refresh(world, position)
    return world, uid


def quote_at(price: Decimal) -> Quote:
    return Quote(mark=price, index=price, last=price, bid=price, ask=price)


def pool_of(world: World, uid: Account) -> Balance:
    """The figures that a unified account's venue gives, at the present marks."""
    found = cross.risk(world, uid, "USDT")
    return Balance(
        currency="USD",
        equity=found.behind,
        available=D(0),
        frozen=D(0),
        position_margin=D(0),
        unrealized_pnl=Absent.UNKNOWN,
        maintenance=found.maintenance,
        margin_ratio=found.burden / found.behind if found.behind > 0 else Absent.UNKNOWN,
        pooled=True,
    )


def leg(side: Side, quantity: Decimal, entry: Decimal) -> Leg:
    return Leg(instrument=LISTED, side=side, quantity=quantity, entry=entry)


@pytest.mark.parametrize("basis", [Basis.MARK, Basis.ENTRY])
@given(side=st.sampled_from(list(Side)), size=sizes, entry=entries, leverage=st.integers(2, 60))
def test_an_isolated_liquidation_price_is_the_exchanges(
    basis: Basis, side: Side, size: Decimal, entry: Decimal, leverage: int
) -> None:
    one = leg(side, size, entry)
    margin = one.notional(entry) / leverage
    theirs = their_price(MaintenanceBasis(basis.value), MarginMode.ISOLATED, margin, one)
    ours = liquidation_price([one], margin, basis=basis)
    assert (ours if is_value(ours) else None) == (pytest.approx(theirs) if theirs is not None else None)


@pytest.mark.parametrize("basis", [Basis.MARK, Basis.ENTRY])
@given(long=sizes, short=sizes, entry=entries, other=entries, wallet=st.integers(1, 3_000_000).map(Decimal))
def test_a_cross_liquidation_price_of_both_legs_is_the_exchanges(
    basis: Basis, long: Decimal, short: Decimal, entry: Decimal, other: Decimal, wallet: Decimal
) -> None:
    legs = [leg(Side.LONG, long, entry), leg(Side.SHORT, short, other)]
    ours = liquidation_price(legs, wallet, basis=basis)
    if not is_value(ours) or ours == 0:
        return
    theirs = their_price(MaintenanceBasis(basis.value), MarginMode.CROSS, wallet, *legs)
    assert theirs is not None, f"ours {ours}, exposure {exposure_of(legs)}"
    assert ours == pytest.approx(theirs)


@given(
    side=st.sampled_from(list(Side)),
    quantity=sizes,
    collateral=st.integers(3_000_000, 30_000_000).map(Decimal),
    moved=st.integers(900, 1_100).map(lambda permille: Decimal(permille) / 1000),
)
def test_a_pools_ratio_goes_on_with_the_marks_as_the_exchanges_does(
    side: Side, quantity: Decimal, collateral: Decimal, moved: Decimal
) -> None:
    """Told at one mark, reckoned at another: what the venue's own next answer would have been."""
    entry = D(90_000)
    row_held = row(side, quantity=str(quantity), entry="90000", mark="90000", mode=OurMode.CROSS)
    world, theirs = exchange_of(
        leg(side, quantity, entry), kind=AccountKind.UNIFIED, wallet=collateral, basis=MaintenanceBasis.MARK
    )
    state = account(row_held, instruments=(LISTED,))
    fold(state, BalanceRead(at=START, balances=(pool_of(world, theirs),)))
    risk = assess_account(state, marks={BTC: entry * moved}, now=START)
    world.markets["BTCUSDT"].quote = quote_at(entry * moved)
    for position in theirs.positions.values():
        refresh(world, position)
    then = cross.risk(world, theirs, "USDT")
    assert risk.margin_balance == then.behind
    if then.behind > 0:
        assert float(risk.closing_account_margin_ratio) == pytest.approx(float(then.burden / then.behind))
        assert risk.account_margin_ratio >= risk.closing_account_margin_ratio - D("1e-12")
