from decimal import Decimal
from itertools import pairwise

import pytest

from guardd.simulator.contracts import (
    Contract,
    build_tiers,
    default_contracts,
    default_prices,
    synthetic_contracts,
)

PUBLISHED = [
    ("10000", "0.01", 50),
    ("100000", "0.02", 25),
    ("200000", "0.025", 20),
    ("400000", "0.03125", 16),
    ("700000", "0.05", 10),
    ("1100000", "0.0625", 8),
    ("1600000", "0.1", 5),
]


def test_deductions_are_those_of_the_published_bracket() -> None:
    # leverage_bracket.json, FUNUSDT
    expected = [Decimal(cum) for cum in ("0", "100", "600", "1850", "9350", "18100", "59350")]
    assert expected == [tier.deduction for tier in build_tiers(PUBLISHED)]


@pytest.mark.parametrize("contract", default_contracts(), ids=lambda c: c.symbol)
def test_maintenance_is_continuous_where_tiers_meet(contract: Contract) -> None:
    for lower, upper in pairwise(contract.tiers):
        edge = lower.cap
        assert edge * lower.rate - lower.deduction == edge * upper.rate - upper.deduction
        assert upper.floor == edge


def test_a_notional_at_the_cap_belongs_to_the_lower_tier() -> None:
    btc = default_contracts()[0]
    assert btc.tier(Decimal(500000)).number == 1
    assert btc.tier(Decimal("500000.01")).number == 2
    assert btc.tier(Decimal(10) ** 12).number == len(btc.tiers)


def test_higher_leverage_allows_a_smaller_notional() -> None:
    btc = default_contracts()[0]
    assert btc.max_notional(Decimal(100)) == Decimal(500000)
    assert btc.max_notional(Decimal(20)) == Decimal(5000000)
    assert btc.max_notional(Decimal(101)) == 0


def test_every_default_contract_has_a_price_on_its_tick() -> None:
    prices = default_prices()
    for contract in default_contracts():
        assert prices[contract.symbol] % contract.tick == 0


def test_synthetic_contracts_repeat_with_their_seed() -> None:
    assert synthetic_contracts(30, seed=3) == synthetic_contracts(30, seed=3)
    assert synthetic_contracts(30, seed=3) != synthetic_contracts(30, seed=4)
    assert len({contract.symbol for contract in synthetic_contracts(100, seed=1)}) == 100
