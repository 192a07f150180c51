"""Margin tiers of both families: each part of a value pays the rate of its own tier."""

from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardd.errors import PayloadError
from guardd.model.instrument import Instrument, MarginTier
from guardd.model.names import Side, Symbol
from guardd.model.reading import is_value
from guardd.risk.liquidation import Basis, Leg, liquidation_price
from guardd.risk.tiers import maintenance_of
from guardd.venues.bitget.classic.parse import market as classic
from guardd.venues.bitget.unified.parse import market as unified

Tiers = Callable[[tuple[str, ...], tuple[str, ...]], tuple[MarginTier, ...]]
dec = Decimal
BORDERS = ("0", "200000", "1000000", "5000000")
RATES = ("0.004", "0.005", "0.02")


def by_classic(borders: tuple[str, ...], rates: tuple[str, ...]) -> tuple[MarginTier, ...]:
    rows = zip(pairwise(borders), rates, strict=True)
    return classic.margin_tiers(
        [{"startUnit": low, "endUnit": high, "leverage": "20", "keepMarginRate": rate} for (low, high), rate in rows]
    )


def by_unified(borders: tuple[str, ...], rates: tuple[str, ...]) -> tuple[MarginTier, ...]:
    rows = zip(pairwise(borders), rates, strict=True)
    return unified.tiers(
        [{"minTierValue": low, "maxTierValue": high, "leverage": "20", "mmr": rate} for (low, high), rate in rows]
    )


both_families = pytest.mark.parametrize("tiers_of", [by_classic, by_unified], ids=["classic", "unified"])


def listed(tiers: tuple[MarginTier, ...]) -> Instrument:
    return Instrument(
        symbol=Symbol("BTCUSDT"), base="BTC", settle="USDT", contract_size=dec(1), tick=dec("0.1"), step=dec("0.001"),
        min_size=dec("0.001"), max_limit_size=dec(1000), max_market_size=dec(1000), max_leverage=dec(125),
        taker_fee=dec("0.0006"), tiers=tiers,
    )  # fmt: skip


@both_families
def test_the_venues_published_example_comes_out(tiers_of: Tiers) -> None:
    """3 BTC at 110,000: 200,000 at 0.4 % and 130,000 at 0.5 %, each with 0.06 % of fee: 920 + 728 (help centre, 12560603841952)."""
    leg = Leg(instrument=listed(tiers_of(BORDERS, RATES)), side=Side.LONG, quantity=dec(3), entry=dec(110000))
    assert leg.burden(dec(110000), Basis.MARK) == 1648


@both_families
@given(
    widths=st.lists(st.integers(1, 10_000_000), min_size=1, max_size=8),
    steps=st.lists(st.integers(0, 100), min_size=8, max_size=8),
    share=st.decimals(min_value=0, max_value=1, places=3),
)
def test_maintenance_is_the_sum_of_the_parts_and_continuous_at_every_border(
    tiers_of: Tiers, widths: list[int], steps: list[int], share: Decimal
) -> None:
    borders, rates = [0], [dec("0.004")]
    for width, step in zip(widths, steps, strict=False):
        borders.append(borders[-1] + width)
        rates.append(rates[-1] + dec(step) / 1000)
    tiers = tiers_of(tuple(map(str, borders)), tuple(map(str, rates[:-1])))
    instrument = listed(tiers)
    for lower, upper in pairwise(tiers):
        assert lower.cap * lower.rate - lower.deduction == maintenance_of(instrument, upper.floor)
    for value in (*borders, borders[-1] * share):
        parts = (max(min(dec(value), tier.cap) - tier.floor, dec(0)) * tier.rate for tier in tiers)
        assert maintenance_of(instrument, dec(value)) == sum(parts)


@both_families
@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("border", BORDERS[1:3])
@pytest.mark.parametrize("margin", ["0.02", "0.05", "0.2"])
def test_a_position_beside_a_border_ends_at_the_first_price_that_it_cannot_bear(
    tiers_of: Tiers, side: Side, border: str, margin: str
) -> None:
    """Searched step by step away from the entry, across the border in either direction."""
    entry, step = dec(100000), dec(10)
    for share in ("0.9", "0.99", "1.01", "1.1", "1.3"):
        leg = Leg(
            instrument=listed(tiers_of(BORDERS, RATES)),
            side=side,
            quantity=dec(border) * dec(share) / entry,
            entry=entry,
        )
        behind = leg.notional(entry) * dec(margin)
        price = entry
        while price > 0 and behind + leg.pnl(price) > leg.burden(price, Basis.MARK):
            price -= side.sign * step
        found = liquidation_price([leg], behind, basis=Basis.MARK)
        assert is_value(found)
        assert 0 <= side.sign * (found - price) <= step


@both_families
@pytest.mark.parametrize(
    ("borders", "rates"),
    [
        (("0",), ()),
        (("10", "20"), ("0.01",)),
        (("0", "20", "20"), ("0.01", "0.02")),
        (("0", "20", "40"), ("0.02", "0.01")),
        (("0", "20"), ("1",)),
    ],
)
def test_a_table_that_breaks_the_law_is_no_table(
    tiers_of: Tiers, borders: tuple[str, ...], rates: tuple[str, ...]
) -> None:
    with pytest.raises(PayloadError, match=r"tiers|rising"):
        tiers_of(borders, rates)
