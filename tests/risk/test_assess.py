"""A position and an account at a mark, real or supposed."""

from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from guardd.model.event import BalanceRead, MarkSeen, PositionsPushed, PositionsRead
from guardd.model.fold import fold
from guardd.model.names import MarginMode, Side
from guardd.model.position import Position, PositionUpdate
from guardd.model.reading import Absent, Reading, is_value
from guardd.model.state import AccountState, Held
from guardd.risk.assess import RATIO_MAX, PositionRisk, assess_account, assess_on, assess_position
from guardd.risk.ground import ground
from tests.changed import replace
from tests.model.accounts import (
    BTC,
    ETH,
    OPENED_MS,
    SAMPLE_TIERS,
    START,
    D,
    account,
    balance,
    instrument,
    key,
    later,
    row,
)

CROSS = MarginMode.CROSS
TICK = D("0.1")


def assess(state: AccountState, mark: str, side: Side = Side.LONG) -> PositionRisk:
    return assess_position(state, state.held[key(side)], mark=D(mark), now=START)


def assess_at(state: AccountState, held: Held, *, mark: Decimal, quantity: Decimal | None) -> PositionRisk:
    """As if the position had been cut to `quantity` at that mark."""
    return assess_on(ground(state, held, now=START), mark=mark, quantity=quantity)


def value(reading: Reading | None) -> Decimal:
    assert isinstance(reading, Decimal), f"expected a number, got {reading}"
    return reading


# Which number


def test_the_nearer_of_the_venues_and_our_own_counts_for_stops_and_the_venues_for_closing() -> None:
    far = assess(account(row(venue_liquidation=D(81000))), "89000")
    assert far.liquidation == far.own_liquidation
    assert far.closing_liquidation == D(81000)
    near = assess(account(row(venue_liquidation=D(82000))), "89000")
    assert near.liquidation == near.closing_liquidation == D(82000)


def test_the_distance_to_the_closing_number_is_measured_from_the_closing_number() -> None:
    risk = assess(account(row(venue_liquidation=D(80100))), "89000")
    assert risk.closing_distance_to_liquidation == D(8900) / D(89000)
    assert risk.closing_buffer_left == D(8900) / D(9900)
    assert value(risk.distance_to_liquidation) < D("0.1")


def test_ours_may_close_where_the_venue_gives_none_and_the_model_reproduces_its_figures() -> None:
    risk = assess(account(row()), "89000")
    assert value(risk.closing_liquidation) <= value(risk.own_liquidation)
    assert value(risk.closing_margin_ratio) <= value(risk.margin_ratio)


@pytest.mark.parametrize(
    "wrong",
    [
        {"maintenance_margin": D(60)},
        {"notional": D(8000)},
        {"unrealized_pnl": D(-90)},
        {"maintenance_margin": Absent.UNKNOWN},
        {"notional": Absent.UNKNOWN},
    ],
    ids=str,
)
def test_ours_never_closes_where_the_venues_figures_are_not_reproduced(wrong: dict[str, Reading]) -> None:
    risk = assess(account(replace(row(), **wrong)), "89000")  # type: ignore[arg-type]
    assert is_value(risk.liquidation)
    assert risk.closing_liquidation is Absent.UNKNOWN
    assert risk.closing_distance_to_liquidation is Absent.UNKNOWN
    assert risk.closing_margin_ratio is Absent.UNKNOWN


def test_a_venue_that_reckons_maintenance_at_entry_is_reproduced_too() -> None:
    """The captured live row of the reference (section 15) had 0.005 × notional at entry."""
    risk = assess(account(replace(row(mark="80500", margin=D(1500)), maintenance_margin=D(45))), "80500")
    assert risk.closing_liquidation == risk.own_liquidation


@pytest.mark.parametrize(("side", "venue", "mark"), [(Side.LONG, 91000, "89000"), (Side.SHORT, 85000, "89000")])
def test_a_liquidation_price_on_the_wrong_side_is_unknown_told_and_never_closes(
    side: Side, venue: int, mark: str
) -> None:
    risk = assess(account(row(side, venue_liquidation=D(venue))), mark, side)
    assert risk.venue_liquidation is Absent.UNKNOWN
    assert str(venue) in risk.contradiction
    assert risk.closing_liquidation is Absent.UNKNOWN
    assert risk.liquidation == risk.own_liquidation


def test_a_mark_beyond_both_numbers_is_unknown_and_not_zero_distance() -> None:
    risk = assess(account(row(venue_liquidation=D(81400))), "80000")
    assert risk.liquidation is Absent.UNKNOWN
    assert risk.distance_to_liquidation is Absent.UNKNOWN
    assert value(risk.margin_ratio) > 1


def test_a_venues_zero_is_no_price() -> None:
    risk = assess(account(row(venue_liquidation=D(0))), "89000")
    assert risk.venue_liquidation is Absent.UNKNOWN
    assert risk.contradiction == ""
    assert risk.liquidation == risk.own_liquidation


def test_a_long_that_no_price_can_liquidate_says_none_also_for_closing() -> None:
    risk = assess(account(row(leverage="1", margin=D(9100))), "89000")
    assert risk.liquidation is risk.distance_to_liquidation is risk.buffer_left is Absent.NONE
    assert risk.closing_liquidation is Absent.NONE


def test_a_venues_price_below_zero_for_a_long_is_none_and_for_a_short_impossible() -> None:
    long = assess(account(row(venue_liquidation=D(-5), leverage="1", margin=D(9100))), "89000")
    assert long.venue_liquidation is long.liquidation is Absent.NONE
    short = assess(account(row(Side.SHORT, venue_liquidation=D(-5))), "89000", Side.SHORT)
    assert short.venue_liquidation is short.closing_liquidation is Absent.UNKNOWN
    assert short.contradiction


def test_drift_is_the_share_by_which_ours_differs_from_the_venues() -> None:
    risk = assess(account(row(venue_liquidation=D(80000))), "89000")
    assert risk.drift == (value(risk.own_liquidation) - 80000) / 80000
    assert assess(account(row()), "89000").drift is Absent.UNKNOWN


def test_without_tiers_the_venues_number_still_counts_and_nothing_of_ours_does() -> None:
    state = account(row(venue_liquidation=D(82000)), instruments=(instrument(tiers=()),))
    risk = assess(state, "89000")
    assert risk.liquidation == risk.closing_liquidation == D(82000)
    assert risk.own_liquidation is risk.margin_ratio is risk.closing_margin_ratio is Absent.UNKNOWN


def test_a_push_with_a_new_quantity_takes_our_number_away_until_a_read() -> None:
    state = account(row())
    update = PositionUpdate(
        key=key(),
        quantity=D(150),
        entry_price=D(90000),
        margin_mode=MarginMode.ISOLATED,
        liquidation_price=D(81700),
        frozen_quantity=D(0),
        closed_quantity=D(0),
        opened_ms=OPENED_MS,
        venue_ms=START.wall_ms + 1,
    )
    fold(state, PositionsPushed(at=later(1), updates=(update,)))
    risk = assess(state, "89000")
    assert risk.own_liquidation is risk.margin_ratio is Absent.UNKNOWN
    assert risk.liquidation == D(81700)
    assert risk.quantity == D(150)


def test_a_supposed_cut_does_not_make_an_impossible_number_possible() -> None:
    state = account(row(mode=CROSS, venue_liquidation=D(70000)))
    cut = assess_at(state, state.held[key()], mark=D(69900), quantity=D(50))
    assert cut.venue_liquidation is cut.closing_liquidation is Absent.UNKNOWN
    assert cut.contradiction


# The other metrics


def test_figures_of_a_position_are_in_its_favour_and_in_the_settlement_coin() -> None:
    risk = assess(account(row(Side.SHORT, mark="89000")), "88000", Side.SHORT)
    assert risk.profit_from_entry == D(2000) / D(90000)
    assert risk.unrealized_pnl == D(200)
    assert risk.notional == D(8800)
    assert risk.return_on_margin == D(200) / D(900)
    assert risk.leverage == D(10)
    assert risk.effective_leverage == D(8800) / D(1100)
    assert risk.stop_bound == risk.liquidation


def test_account_margin_ratio_of_an_isolated_position_is_neither_a_number_nor_unknown() -> None:
    risk = assess(account(row()), "89000")
    assert risk.account_margin_ratio is None
    assert risk.closing_account_margin_ratio is None


def test_ages_and_the_life_of_a_position_are_counted_from_its_sources() -> None:
    state = account(row())
    state.clock_offset_ms = 500
    risk = assess_position(state, state.held[key()], mark=D(89000), now=later(7))
    assert risk.data_age_s == pytest.approx(7)
    assert risk.position_age_s == pytest.approx((later(7).wall_ms + 500 - OPENED_MS) / 1000)
    assert risk.mark_at == START


# Cross


def test_cross_distance_holds_the_other_marks_fixed_and_counts_their_burden() -> None:
    one, other = row(mode=CROSS), row(symbol=ETH, quantity="1000", entry="3000", mark="2900", mode=CROSS)
    risk = assess(account(one, other), "89000")
    own = value(risk.own_liquidation)
    after = assess_account(account(one, other), marks={BTC: own}, now=START)
    assert value(after.account_margin_ratio) == pytest.approx(D(1))
    fallen = account(one, other)
    fold(fallen, MarkSeen(ETH, D(2500), START))
    assert value(assess(fallen, "89000").own_liquidation) > own


def test_the_margin_ratio_of_a_cross_position_is_the_accounts() -> None:
    state = account(row(mode=CROSS), row(Side.SHORT, mode=CROSS, quantity="30"))
    risk, whole = assess(state, "88000"), assess_account(state, marks={BTC: D(88000)}, now=START)
    assert risk.margin_ratio == risk.account_margin_ratio == pytest.approx(whole.account_margin_ratio)
    assert risk.closing_account_margin_ratio == pytest.approx(whole.closing_account_margin_ratio)


def test_isolated_margins_and_their_pnl_do_not_stand_behind_the_cross_account() -> None:
    cross, apart = row(mode=CROSS), row(symbol=ETH, quantity="1000", entry="3000", mark="2900")
    state = account(cross, apart, wallet="2000")
    risk = assess_account(state, marks={}, now=START)
    assert risk.equity == D(2000) - 100 - 100
    assert risk.margin_balance == D(2000) - 300 - 100
    assert risk.maintenance == D(9000) * D("0.005") + D(8900) * D("0.0006")


def test_equity_follows_the_marks_between_two_balance_reads() -> None:
    risk = assess_account(account(row(mode=CROSS)), marks={BTC: D(80000)}, now=START)
    assert risk.equity == risk.margin_balance == D(1000)


def test_legs_of_one_symbol_in_cross_are_judged_by_their_net_side() -> None:
    state = account(row(mode=CROSS), row(Side.SHORT, mode=CROSS, quantity="30"))
    short = assess(state, "89000", Side.SHORT)
    assert short.exposure is Side.LONG
    assert value(short.liquidation) < D(89000)
    assert short.stop_bound is Absent.NONE
    assert short.liquidation == assess(state, "89000").liquidation


@pytest.mark.parametrize(
    "spoilt", [{"equity": D(0)}, {"equity": Absent.UNKNOWN}, {"foreign_collateral": True}], ids=str
)
def test_an_impossible_or_foreign_equity_is_unknown_and_closes_nothing(spoilt: dict[str, object]) -> None:
    position = row(mode=CROSS)
    state = account(position)
    fold(state, BalanceRead(at=START, balances=(replace(balance(position), **spoilt),)))  # type: ignore[arg-type]
    risk = assess(state, "89000")
    assert risk.account_margin_ratio is risk.closing_account_margin_ratio is Absent.UNKNOWN
    assert risk.liquidation is risk.closing_liquidation is Absent.UNKNOWN
    assert assess_account(state, marks={}, now=START).doubt


def test_a_balance_whose_parts_do_not_make_its_equity_warns_but_closes_nothing() -> None:
    position = row(mode=CROSS)
    state = account(position)
    fold(state, BalanceRead(at=START, balances=(replace(balance(position), available=D(400)),)))
    risk = assess(state, "89000")
    assert is_value(risk.account_margin_ratio)
    assert risk.closing_account_margin_ratio is risk.closing_liquidation is Absent.UNKNOWN


def test_a_fill_after_the_balance_was_read_makes_the_account_unknown_until_it_is_read_again() -> None:
    position = row(mode=CROSS)
    state = account(position)
    half = row(mode=CROSS, quantity="50", venue_ms=later(2).wall_ms)
    fold(state, PositionsRead(started=later(2), at=later(2), positions=(half,)))
    assert assess(state, "89000").account_margin_ratio is Absent.UNKNOWN
    fold(state, BalanceRead(at=later(3), balances=(balance(half, wallet="1950"),)))
    assert is_value(assess(state, "89000").account_margin_ratio)


def test_a_position_that_may_be_gone_makes_the_account_unknown_not_poorer() -> None:
    gone, stays = row(symbol=ETH, quantity="1000", entry="3000", mark="2900", mode=CROSS), row(mode=CROSS)
    state = account(gone, stays)
    again = replace(stays, venue_ms=later(1).wall_ms)
    fold(state, PositionsRead(started=later(1), at=later(1), positions=(again,)))
    assert assess(state, "89000").account_margin_ratio is Absent.UNKNOWN


def test_what_a_position_that_ended_made_or_lost_is_in_no_balance_read_before_and_no_stop_is_reckoned_without_it() -> (
    None
):
    """Its loss was unrealised when the balance was read: taken off with its PnL, the wallet looked as if it had never been lost."""
    gone, stays = row(symbol=ETH, quantity="1000", entry="3000", mark="2900", mode=CROSS), row(mode=CROSS)
    state = account(gone, stays)
    update = PositionUpdate(
        key=gone.key,
        quantity=D(0),
        entry_price=gone.entry_price,
        margin_mode=CROSS,
        liquidation_price=Absent.UNKNOWN,
        frozen_quantity=D(0),
        closed_quantity=gone.quantity,
        opened_ms=OPENED_MS,
        venue_ms=later(2).wall_ms,
    )
    fold(state, PositionsPushed(at=later(2), updates=(update,)))
    again = replace(stays, venue_ms=later(3).wall_ms)
    fold(state, PositionsRead(started=later(3), at=later(3), positions=(again,)))
    assert gone.key not in state.held
    risk = assess(state, "89000")
    assert risk.liquidation is risk.account_margin_ratio is Absent.UNKNOWN
    assert "ended after the balance was read" in assess_account(state, marks={}, now=START).doubt
    fold(state, BalanceRead(started=later(1), at=later(4), balances=(balance(stays, wallet="1900"),)))
    assert assess(state, "89000").liquidation is Absent.UNKNOWN, "it was asked for while the position was there"
    fold(state, BalanceRead(started=later(5), at=later(6), balances=(balance(stays, wallet="1900"),)))
    assert is_value(assess(state, "89000").liquidation)


def test_an_account_without_cross_positions_asks_nothing_of_its_balance() -> None:
    assert assess_account(account(row()), marks={}, now=START).account_margin_ratio == 0


def test_a_balance_that_is_gone_is_a_number_far_past_liquidation() -> None:
    assert assess(account(row(mode=CROSS)), "60000").account_margin_ratio == RATIO_MAX


# Supposed marks and quantities


def test_a_supposed_assessment_at_the_present_is_the_plain_one() -> None:
    for mode in MarginMode:
        state = account(row(mode=mode, venue_liquidation=D(81000)))
        held = state.held[key()]
        plain = assess_position(state, held, mark=D(89000), now=START)
        assert assess_at(state, held, mark=D(89000), quantity=D(100)) == plain
        assert assess_on(ground(state, held, now=START), mark=D(89000)) == plain


def test_a_supposed_enlargement_is_refused() -> None:
    state = account(row())
    with pytest.raises(ValueError, match="expected a reduction"):
        assess_at(state, state.held[key()], mark=D(89000), quantity=D(101))


def test_the_venues_number_moves_with_ours_when_a_cut_is_supposed() -> None:
    state = account(row(mode=CROSS, venue_liquidation=D(72000)))
    held = state.held[key()]
    before, after = (assess_at(state, held, mark=D(89000), quantity=q) for q in (None, D(60)))
    moved = value(after.own_liquidation) - value(before.own_liquidation)
    assert moved < 0
    assert after.venue_liquidation == after.closing_liquidation == D(72000) + moved


def test_a_supposed_cut_in_one_account_agrees_with_the_account_after_it() -> None:
    state = account(row(mode=CROSS), row(symbol=ETH, quantity="1000", entry="3000", mark="2900", mode=CROSS))
    cut = assess_at(state, state.held[key()], mark=D(88000), quantity=D(40))
    whole = assess_account(state, marks={BTC: D(88000)}, quantities={key(): D(40)}, now=START)
    assert cut.account_margin_ratio == pytest.approx(whole.account_margin_ratio)
    assert whole.equity == D(2000) - 200 - 100 - D(60) * D("0.001") * D(88000) * D("0.0006")


def test_closing_an_isolated_position_gives_its_balance_to_the_cross_account() -> None:
    state = account(row(mode=CROSS), row(symbol=ETH, quantity="1000", entry="3000", mark="2900"))
    gone = {key(symbol=ETH): D(0)}
    before, after = (assess_account(state, marks={}, quantities=q, now=START) for q in (None, gone))
    assert value(after.margin_balance) - value(before.margin_balance) == D(300) - 100 - D(2900) * D("0.0006")


def test_supposing_all_of_it_closed_leaves_nothing_to_liquidate() -> None:
    for mode in MarginMode:
        state = account(row(mode=mode, venue_liquidation=D(81000)))
        risk = assess_at(state, state.held[key()], mark=D(89000), quantity=D(0))
        assert risk.liquidation is risk.closing_liquidation is Absent.NONE
        assert risk.margin_ratio == 0


# Laws

marks = st.integers(min_value=60_000, max_value=120_000).map(Decimal)
sides = st.sampled_from(list(Side))
modes = st.sampled_from(list(MarginMode))
quantities = st.integers(min_value=2, max_value=20_000)


def at_mark(position: Position, wallet: Decimal) -> AccountState:
    return account(position, wallet=str(wallet), instruments=(instrument(tiers=SAMPLE_TIERS),))


@given(side=sides, mode=modes, quantity=quantities, leverage=st.integers(2, 50), one=marks, other=marks)
def test_distance_and_buffer_shrink_and_the_ratio_grows_as_the_mark_falls_against_the_position(
    side: Side, mode: MarginMode, quantity: int, leverage: int, one: Decimal, other: Decimal
) -> None:
    position = row(side, mode=mode, quantity=str(quantity), mark="90000", leverage=str(leverage))
    state = at_mark(position, D(quantity) * 90 / leverage * 2)
    safer, worse = (max(one, other), min(one, other)) if side is Side.LONG else (min(one, other), max(one, other))
    on = ground(state, state.held[key(side)], now=START)
    good, bad = assess_on(on, mark=safer), assess_on(on, mark=worse)
    # A long with little leverage may enter a dearer tier as it rises, and there its ratio grows with its gains.
    if side is Side.SHORT or value(good.effective_leverage) > 4:
        assert value(bad.margin_ratio) >= value(good.margin_ratio)
    if is_value(good.liquidation) and is_value(bad.liquidation):
        assert value(bad.distance_to_liquidation) <= value(good.distance_to_liquidation)
    if is_value(good.buffer_left) and is_value(bad.buffer_left):
        assert bad.buffer_left <= good.buffer_left


@given(side=sides, mode=modes, quantity=quantities, leverage=st.integers(2, 50))
def test_the_margin_ratio_reaches_one_at_our_liquidation_price_within_a_tick(
    side: Side, mode: MarginMode, quantity: int, leverage: int
) -> None:
    position = row(side, mode=mode, quantity=str(quantity), mark="90000", leverage=str(leverage))
    state = at_mark(position, D(quantity) * 90 / leverage * 2)
    on = ground(state, state.held[key(side)], now=START)
    own = assess_on(on, mark=D(90000)).own_liquidation
    assume(is_value(own))
    inside = assess_on(on, mark=value(own) + side.sign * TICK)
    beyond = assess_on(on, mark=value(own) - side.sign * TICK)
    assert value(inside.margin_ratio) < 1 < value(beyond.margin_ratio)


@given(
    side=sides,
    quantity=quantities,
    wallet=st.integers(2, 50),
    left=st.integers(0, 100),
    mark=marks,
    venue=st.booleans(),
)
def test_reducing_a_cross_position_never_brings_its_liquidation_nearer(
    side: Side, quantity: int, wallet: int, left: int, mark: Decimal, venue: bool
) -> None:
    position = row(
        side,
        mode=CROSS,
        quantity=str(quantity),
        mark="90000",
        venue_liquidation=D(90000) - side.sign * 20000 if venue else Absent.UNKNOWN,
    )
    state = at_mark(position, D(quantity) * 90 / wallet)
    on = ground(state, state.held[key(side)], now=START)
    before = assess_on(on, mark=mark)
    assume(is_value(before.own_liquidation) and not before.contradiction)
    after = assess_on(on, mark=mark, quantity=D(quantity * left // 100))
    for was, now in ((before.own_liquidation, after.own_liquidation), (before.liquidation, after.liquidation)):
        assert now is Absent.NONE or side.sign * (value(was) - value(now)) >= -D("1e-15")
    assert value(after.margin_ratio) <= value(before.margin_ratio) + D("1e-15")
