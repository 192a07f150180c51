"""Our own liquidation price: the reference's worked numbers, and the laws that any such price obeys."""

from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from guardd.model.instrument import MarginTier
from guardd.model.names import Side
from guardd.model.reading import Absent, is_value
from guardd.risk.liquidation import ZERO, Basis, Leg, exposure_of, liquidation_price
from guardd.risk.tiers import maintenance_margin, maintenance_of, tier_of
from tests.changed import replace
from tests.model.accounts import SAMPLE_TIERS, D, flat_tier, instrument

CENT = D("0.01")
sides = st.sampled_from(list(Side))
prices = st.decimals(min_value="100", max_value="200000", places=1)
contracts = st.integers(min_value=1, max_value=40_000).map(Decimal)
leverages = st.integers(min_value=2, max_value=50)


def leg(side: Side, *, quantity: str = "100", entry: str = "90000", rate: str = "0.005", fee: str = "0") -> Leg:
    listed = instrument(tiers=flat_tier(rate), fee=fee)
    return Leg(instrument=listed, side=side, quantity=D(quantity), entry=D(entry))


def tiered(side: Side, quantity: Decimal, entry: Decimal) -> Leg:
    return Leg(instrument=instrument(tiers=SAMPLE_TIERS), side=side, quantity=quantity, entry=entry)


def alive(legs: list[Leg], balance: Decimal, price: Decimal, basis: Basis = Basis.WORSE) -> Decimal:
    """What is left above the burden at this price; the sum written the plain way."""
    return balance + sum((leg.pnl(price) - leg.burden(price, basis) for leg in legs), ZERO)


@pytest.mark.parametrize(
    ("side", "fee", "expected"),
    [
        (Side.LONG, "0", "81407.04"),
        (Side.SHORT, "0", "98507.46"),
        (Side.LONG, "0.0006", "81456.15"),
        (Side.SHORT, "0.0006", "98448.69"),
    ],
)
def test_the_worked_numbers_of_the_reference_come_out(side: Side, fee: str, expected: str) -> None:
    """BitMart reference, section 15: q = 0.1 BTC, E = 90000, IM = 900, mmr 0.005, maintenance at mark."""
    found = liquidation_price([leg(side, fee=fee)], D(900), basis=Basis.MARK)
    assert is_value(found)
    assert found.quantize(CENT) == D(expected)


@pytest.mark.parametrize(
    ("side", "quantity", "entry", "margin", "expected"),
    [(Side.LONG, "250", "86000", "1075", "82028.11"), (Side.SHORT, "40", "87100", "174.2", "91090.64")],
)
def test_the_rows_of_the_hedge_sample_come_out(
    side: Side, quantity: str, entry: str, margin: str, expected: str
) -> None:
    """constructed_position_v2_hedge_long_short.json, made with rate 0.004 and no fee."""
    found = liquidation_price([leg(side, quantity=quantity, entry=entry, rate="0.004")], D(margin), basis=Basis.MARK)
    assert is_value(found)
    assert found.quantize(CENT) == D(expected)


def test_the_careful_basis_takes_the_nearer_of_maintenance_at_mark_and_at_entry() -> None:
    for side in Side:
        legs = [leg(side)]
        found = [liquidation_price(legs, D(900), basis=basis) for basis in (Basis.MARK, Basis.ENTRY)]
        at_mark, at_entry = (price for price in found if is_value(price))
        nearer = max(at_mark, at_entry) if side is Side.LONG else min(at_mark, at_entry)
        assert liquidation_price(legs, D(900)) == nearer


def test_a_long_with_as_much_margin_as_it_is_worth_has_no_liquidation_price() -> None:
    assert liquidation_price([leg(Side.LONG)], D(9050)) is Absent.NONE


def test_a_position_that_no_price_leaves_alive_is_unknown_not_safe() -> None:
    assert liquidation_price([leg(Side.LONG), leg(Side.SHORT)], D(-1)) is Absent.UNKNOWN


def test_hedge_legs_hurt_on_the_side_of_their_net_exposure_and_pay_maintenance_each() -> None:
    legs = [leg(Side.LONG, quantity="100"), leg(Side.SHORT, quantity="40")]
    found = liquidation_price(legs, D(500), basis=Basis.MARK)
    assert exposure_of(legs) is Side.LONG
    assert is_value(found)
    netted = liquidation_price([leg(Side.LONG, quantity="60")], D(500), basis=Basis.MARK)
    assert is_value(netted)
    assert found > netted
    assert abs(alive(legs, D(500), found, Basis.MARK)) < CENT


def test_no_quantity_has_no_liquidation_price() -> None:
    assert liquidation_price([leg(Side.LONG, quantity="0")], D(0)) is Absent.NONE


@given(side=sides, quantity=contracts, entry=prices, leverage=leverages, basis=st.sampled_from(list(Basis)))
def test_balance_equals_burden_at_the_liquidation_price_across_tiers(
    side: Side, quantity: Decimal, entry: Decimal, leverage: int, basis: Basis
) -> None:
    legs = [tiered(side, quantity, entry)]
    margin = legs[0].notional(entry) / leverage
    assume(alive(legs, margin, entry, basis) > 0)
    found = liquidation_price(legs, margin, basis=basis)
    assert is_value(found)
    assert abs(alive(legs, margin, found, basis)) <= legs[0].worth * D("1e-9")
    assert side.sign * (entry - found) > 0


@given(
    long=contracts,
    short=contracts,
    entry=prices,
    other=prices,
    cash=st.decimals(min_value="1", max_value="1e6", places=2),
)
def test_between_the_mark_and_the_liquidation_price_of_hedge_legs_nothing_else_kills(
    long: Decimal, short: Decimal, entry: Decimal, other: Decimal, cash: Decimal
) -> None:
    legs = [tiered(Side.LONG, long, entry), tiered(Side.SHORT, short, other)]
    found = liquidation_price(legs, cash)
    assume(is_value(found))
    assert is_value(found)
    assert abs(alive(legs, cash, found)) <= (long + short) * D("1e-6")
    beyond = found * (1 - exposure_of(legs).sign * D("0.01"))
    assert alive(legs, cash, beyond) < 0


@given(side=sides, quantity=st.integers(2, 40_000), entry=prices, leverage=leverages, share=st.integers(1, 99))
def test_closing_part_of_an_isolated_position_hardly_moves_its_liquidation_price(
    side: Side, quantity: int, entry: Decimal, leverage: int, share: int
) -> None:
    """Its margin is released in proportion: in one tier nothing changes at all (architecture, 8)."""
    listed = instrument(tiers=flat_tier("0.005"))
    whole = Leg(instrument=listed, side=side, quantity=D(quantity), entry=entry)
    rest = whole.cut_to(D(quantity) * share / 100)
    margin = whole.notional(entry) / leverage
    before = liquidation_price([whole], margin)
    after = liquidation_price([rest], margin * share / 100)
    if is_value(before) and is_value(after):
        assert abs(before - after) <= D("0.1")
    else:
        assert before == after


@given(
    notional=st.decimals(min_value="0", max_value="5000000", places=2),
    more=st.decimals(min_value="0", max_value="1000", places=2),
)
def test_maintenance_never_jumps_and_never_falls_as_the_notional_grows(notional: Decimal, more: Decimal) -> None:
    listed = instrument(tiers=SAMPLE_TIERS)
    growth = maintenance_of(listed, notional + more) - maintenance_of(listed, notional)
    assert 0 <= growth <= more * D("0.5")


@pytest.mark.parametrize("below", SAMPLE_TIERS[:-1], ids=lambda tier: str(tier.cap))
def test_two_tiers_agree_at_their_common_bound(below: object) -> None:
    index = SAMPLE_TIERS.index(below)  # type: ignore[arg-type]
    low, high = SAMPLE_TIERS[index], SAMPLE_TIERS[index + 1]
    assert low.cap * low.rate - low.deduction == low.cap * high.rate - high.deduction
    assert tier_of(instrument(tiers=SAMPLE_TIERS), low.cap) is high


def test_a_notional_above_the_last_cap_pays_the_last_rate() -> None:
    assert maintenance_of(instrument(tiers=SAMPLE_TIERS), D(4_000_000)) == D(4_000_000) / 2 - D(1_099_350)


def test_maintenance_without_a_table_is_unknown_not_zero() -> None:
    assert maintenance_margin(instrument(tiers=()), D(1), D(90000)) is Absent.UNKNOWN
    with pytest.raises(ValueError, match="BTCUSDT"):
        tier_of(instrument(tiers=()), D(1))


def test_maintenance_counts_contracts_by_their_size() -> None:
    assert maintenance_margin(instrument(), D(100), D(90000)) == D(45)


# Inverse contracts: money in the base coin


def inverse_leg(side: Side, *, quantity: str = "900", entry: str = "90000", tiers: bool = False, fee: str = "0") -> Leg:
    """Contracts of 100 USD; the tiers' money is in BTC."""
    steps = (("0", "5", "0.005", "0"), ("5", "20", "0.01", "0.025"), ("20", "500", "0.05", "0.825"))
    rows = tuple(
        MarginTier(floor=D(floor), cap=D(cap), rate=D(rate), deduction=D(cum), max_leverage=D(100))
        for floor, cap, rate, cum in (steps if tiers else steps[:1])
    )
    listed = replace(instrument(tiers=rows, fee=fee), contract_size=D(100), settle="BTC", inverse=True)
    return Leg(instrument=listed, side=side, quantity=D(quantity), entry=D(entry))


def test_an_inverse_contract_gains_by_the_difference_of_the_reciprocals() -> None:
    """90,000 USD bought at 90,000 are one BTC; at 100,000 they are 0.9: a tenth of a BTC was won, in BTC."""
    held = inverse_leg(Side.LONG)
    assert held.notional(D(90000)) == 1
    assert held.notional(D(100000)) == D("0.9")
    assert held.pnl(D(100000)).quantize(D("1e-12")) == D("0.1")
    assert inverse_leg(Side.SHORT).pnl(D(100000)) == -held.pnl(D(100000))
    assert held.burden(D(100000), Basis.MARK) == D("0.0045")


@pytest.mark.parametrize(("side", "expected"), [(Side.LONG, "82227.27"), (Side.SHORT, "99500.00")])
def test_an_inverse_position_is_liquidated_where_its_margin_is_down_to_its_maintenance(
    side: Side, expected: str
) -> None:
    """0.1 + s·90000·(1/90000 − 1/P) = 0.005·90000/P: 90000·1.005/1.1 = 82227.27, and 90000·0.995/0.9 = 99500."""
    found = liquidation_price([inverse_leg(side)], D("0.1"), basis=Basis.MARK)
    assert is_value(found)
    assert found.quantize(CENT) == D(expected)


def test_an_inverse_short_with_as_much_margin_as_it_is_worth_has_no_liquidation_price_and_a_long_always_has() -> None:
    assert liquidation_price([inverse_leg(Side.SHORT)], D("1.1")) is Absent.NONE
    assert is_value(liquidation_price([inverse_leg(Side.LONG)], D("1.1")))


@given(
    side=sides,
    other=st.integers(0, 40_000),
    quantity=contracts,
    entry=prices,
    leverage=leverages,
    basis=st.sampled_from(list(Basis)),
)
def test_an_inverse_balance_equals_its_burden_at_the_liquidation_price_across_tiers_and_hedge_legs(
    side: Side, other: int, quantity: Decimal, entry: Decimal, leverage: int, basis: Basis
) -> None:
    legs = [inverse_leg(side, quantity=str(quantity), entry=str(entry), tiers=True, fee="0.0006")]
    legs += [inverse_leg(side.opposite, quantity=str(other), entry=str(entry), tiers=True)] if other else []
    margin = legs[0].notional(entry) / leverage
    assume(alive(legs, margin, entry, basis) > 0)
    found = liquidation_price(legs, margin, basis=basis)
    if not is_value(found):
        return
    assert abs(alive(legs, margin, found, basis)) <= legs[0].notional(found) * D("1e-15")
    towards = exposure_of(legs).sign
    assert towards * (entry - found) > 0
    assert (
        alive(legs, margin, found * (1 - towards * D("1e-9")), basis)
        < 0
        < alive(legs, margin, (found + entry) / 2, basis)
    )


def test_an_even_inverse_hedge_is_hurt_by_a_fall_which_raises_its_maintenance() -> None:
    assert exposure_of([inverse_leg(Side.LONG), inverse_leg(Side.SHORT)]) is Side.LONG
    assert exposure_of([leg(Side.LONG), leg(Side.SHORT)]) is Side.SHORT


@given(side=sides, quantity=contracts, entry=prices, price=prices, inverse=st.booleans())
def test_all_burdens_at_once_are_what_each_basis_asks_for(
    side: Side, quantity: Decimal, entry: Decimal, price: Decimal, inverse: bool
) -> None:
    listed = replace(instrument(tiers=SAMPLE_TIERS, fee="0.0006"), inverse=inverse)
    held = Leg(instrument=listed, side=side, quantity=quantity, entry=entry)
    assert held.burdens(price) == {basis: held.burden(price, basis) for basis in Basis}


@given(side=sides, quantity=contracts, less=contracts, entry=prices, price=prices)
def test_what_a_leg_knows_of_itself_is_of_the_quantity_that_it_has(
    side: Side, quantity: Decimal, less: Decimal, entry: Decimal, price: Decimal
) -> None:
    listed = instrument(tiers=SAMPLE_TIERS)
    whole = Leg(instrument=listed, side=side, quantity=quantity, entry=entry)
    for held, size in ((whole, quantity), (whole.cut_to(less), less), (replace(whole, quantity=less), less)):
        assert held.worth == size * listed.contract_size
        assert held.entry_notional == listed.notional(size, entry)
        assert held.pnl(price) == side.sign * (listed.notional(size, price) - listed.notional(size, entry))
