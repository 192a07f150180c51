"""Our liquidation price beside that of the simulated exchange, which does its own sums: neither can be wrong alone."""

from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardd.model.names import Side
from guardd.model.reading import is_value
from guardd.risk.liquidation import Basis, Leg, exposure_of, liquidation_price
from guardd.simulator import margin as exchange
from guardd.simulator.accounts import Account, Position
from guardd.simulator.contracts import Contract, Tier
from guardd.simulator.ledger import Ledger
from guardd.simulator.orders import MarginMode, PositionMode, PositionSide
from guardd.simulator.records import Settings
from guardd.simulator.terms import FillModel, MaintenanceBasis, Terms
from guardd.simulator.world import Market, World
from tests.model.accounts import SAMPLE_TIERS, D, instrument

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
    positions = {
        ("BTCUSDT", PositionSide(leg.side.value)): Position(
            symbol="BTCUSDT",
            side=PositionSide(leg.side.value),
            margin_mode=mode,
            opened_ms=0,
            updated_ms=0,
            size=leg.quantity,
            cost=leg.base * leg.entry,
            margin=wallet if mode is MarginMode.ISOLATED else D(0),
        )
        for leg in legs
    }
    defaults = Settings(margin_mode=mode, long_leverage=D(10), short_leverage=D(10))
    account = Account(uid="1", position_mode=PositionMode.HEDGE, defaults=defaults, wallet=wallet, positions=positions)
    world = World(now_ms=0, terms=Terms(maintenance_basis=basis), random=Random(0), ledger=Ledger())
    world.markets["BTCUSDT"] = Market(contract=CONTRACT, fills=FillModel())
    return exchange.liquidation_price(world, account, next(iter(positions.values())))


def leg(side: Side, quantity: Decimal, entry: Decimal) -> Leg:
    return Leg(instrument=LISTED, side=side, quantity=quantity, entry=entry)


@pytest.mark.parametrize("basis", [Basis.MARK, Basis.ENTRY])
@given(side=st.sampled_from(list(Side)), size=sizes, entry=entries, leverage=st.integers(2, 60))
def test_an_isolated_liquidation_price_is_the_exchanges(
    basis: Basis, side: Side, size: Decimal, entry: Decimal, leverage: int
) -> None:
    one = leg(side, size, entry)
    margin = one.base * entry / leverage
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
