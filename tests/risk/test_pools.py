"""Several balances in one account, and a pool whose venue gives its own maintenance: what is reckoned from which figure."""

from decimal import Decimal
from typing import Any

import pytest

from guardd.model.account import Balance
from guardd.model.event import BalancePushed, BalanceRead, InstrumentsRead, MarkSeen, PositionsRead
from guardd.model.fold import fold
from guardd.model.instrument import Instrument
from guardd.model.names import MarginMode, Side, Symbol
from guardd.model.position import Position
from guardd.model.reading import Absent, is_value
from guardd.model.state import AccountState
from guardd.risk.assess import (
    RATIO_MAX,
    AccountRisk,
    PositionRisk,
    assess_account,
    assess_accounts,
    assess_position,
    worst_ratio,
)
from guardd.risk.backing import backing
from tests.changed import replace
from tests.model.accounts import BTC, ETH, START, D, balance, empty, instrument, key, later, row

CROSS = MarginMode.CROSS
PERP, COIN = Symbol("BTCPERP"), Symbol("BTCUSD")
USDC = replace(instrument(PERP), settle="USDC")
WHY = "Coin-M: its unit isn't documented"
INVERSE = replace(instrument(COIN), settle="BTC", unguarded=WHY)


def held_in(*rows: Position, balances: tuple[Balance, ...], listed: tuple[Instrument, ...] = ()) -> AccountState:
    state = empty()
    known = {each.symbol: each for each in listed}
    symbols = dict.fromkeys(each.key.symbol for each in rows)
    fold(state, InstrumentsRead(at=START, instruments=tuple(known.get(s, instrument(s)) for s in symbols)))
    for each in rows:
        assert isinstance(each.mark_price, Decimal)
        fold(state, MarkSeen(each.key.symbol, each.mark_price, START))
    fold(state, PositionsRead(started=START, at=START, positions=rows))
    fold(state, BalanceRead(at=START, balances=balances))
    return state


def pool(equity: str = "1000", maintenance: str = "100", **more: Any) -> Balance:
    return Balance(
        currency="USD",
        equity=D(equity),
        available=D(0),
        frozen=D(0),
        position_margin=D(0),
        unrealized_pnl=Absent.UNKNOWN,
        maintenance=D(maintenance),
        pooled=True,
        **more,
    )


def in_pool(*rows: Position, equity: str = "1000", maintenance: str = "100", **more: Any) -> AccountState:
    return held_in(*rows, balances=(pool(equity, maintenance, **more),), listed=(USDC, INVERSE))


def at(state: AccountState, mark: str, symbol: Symbol = BTC) -> AccountState:
    fold(state, MarkSeen(symbol, D(mark), later(1)))
    return state


def account_of(state: AccountState) -> AccountRisk:
    return assess_account(state, marks={}, now=later(1))


def risk(state: AccountState, side: Side = Side.LONG, symbol: Symbol = BTC) -> PositionRisk:
    held = state.held[key(side, symbol)]
    return assess_position(state, held, mark=state.marks[symbol].mark, now=later(1))


# A balance of each settlement coin


def usdc(*rows: Position, wallet: str = "500") -> Balance:
    return replace(balance(*rows, wallet=wallet), currency="USDC")


def two_coins() -> AccountState:
    tether, dollar = row(mode=CROSS), row(symbol=PERP, mode=CROSS)
    return held_in(tether, dollar, balances=(balance(tether), usdc(dollar)), listed=(USDC,))


def test_positions_of_two_settlement_coins_do_not_feel_each_other() -> None:
    state = two_coins()
    before = risk(state)
    at(state, "80000", PERP)
    assert risk(state) == before
    fold(state, BalanceRead(at=START, balances=(*state.balances.values(),)[:1]))
    assert risk(state).liquidation == before.liquidation
    assert risk(state, symbol=PERP).own_liquidation is Absent.UNKNOWN, "nothing is known to stand behind it"


def test_each_balance_has_a_ratio_of_its_own_and_the_worst_one_is_the_accounts() -> None:
    state = two_coins()
    ratios = {currency: each.account_margin_ratio for currency, each in assess_accounts(state, now=START).items()}
    tether, dollar = ratios["USDT"], ratios["USDC"]
    assert is_value(tether)
    assert is_value(dollar)
    assert tether < dollar
    assert worst_ratio(state, assess_accounts(state, now=START)) == dollar
    assert risk(state, symbol=PERP).account_margin_ratio == dollar


def test_a_coin_behind_which_nothing_stands_open_makes_no_other_unknown() -> None:
    position = row(mode=CROSS)
    state = held_in(position, balances=(balance(position), usdc(wallet="0")))
    risks = assess_accounts(state, now=START)
    assert risks["USDC"].account_margin_ratio is Absent.UNKNOWN
    assert worst_ratio(state, risks) == risks["USDT"].account_margin_ratio


def test_a_contract_that_isnt_guarded_leaves_the_other_coins_figures_alone() -> None:
    position, coin = row(mode=CROSS), row(symbol=COIN, mode=CROSS, quantity="7")
    alone = held_in(position, balances=(balance(position),))
    state = held_in(position, coin, balances=(balance(position), replace(usdc(), currency="BTC")), listed=(INVERSE,))
    assert risk(state).liquidation == risk(alone).liquidation
    risks = assess_accounts(state, now=START)
    assert WHY in risks["BTC"].doubt
    assert worst_ratio(state, risks) == risks["USDT"].account_margin_ratio


# A pool, anchored at the venue's own figures


def test_a_pools_ratio_is_the_venues_when_it_was_told_and_moves_with_each_mark() -> None:
    state = in_pool(row(mode=CROSS))
    told = account_of(state)
    assert (told.equity, told.maintenance, told.account_margin_ratio) == (D(1000), D(100), D("0.1"))
    assert told.closing_account_margin_ratio == D("0.1")
    fallen = account_of(at(state, "86000"))
    assert fallen.equity == D(700), "0.1 BTC fell by 3000"
    assert is_value(fallen.maintenance)
    eased = D("0.1") * 3000 * (D("0.005") + D("0.0006"))
    assert fallen.maintenance == D(100) - D("0.1") * 3000 * D("0.0006"), "maintenance by the worse of entry and mark"
    assert fallen.closing_account_margin_ratio == (D(100) - eased) / D(700)


def test_what_the_venue_asks_for_beyond_our_sum_brings_the_end_nearer() -> None:
    lean, laden = (in_pool(row(mode=CROSS), maintenance=asked) for asked in ("60", "400"))
    near, nearer = risk(lean).own_liquidation, risk(laden).own_liquidation
    assert is_value(near)
    assert is_value(nearer)
    assert near < nearer < D(89000)
    at_end = at(laden, str(nearer))
    assert abs(account_of(at_end).account_margin_ratio - 1) < D("1e-12")  # type: ignore[operator]


def test_a_pool_is_never_reckoned_safer_than_by_our_own_sum_but_closes_by_the_venues() -> None:
    state = in_pool(row(mode=CROSS), maintenance="10")
    told = account_of(state)
    ours = D("0.1") * (90000 * D("0.005") + 89000 * D("0.0006"))
    assert told.maintenance == ours
    assert told.closing_account_margin_ratio == D("0.01")


def test_the_venues_ratio_lifts_a_pools_figures_where_it_is_the_larger() -> None:
    state = in_pool(row(mode=CROSS), margin_ratio=D("0.15"))
    assert account_of(state).account_margin_ratio == D("0.15")
    assert account_of(state).closing_account_margin_ratio == D("0.15")
    assert account_of(in_pool(row(mode=CROSS), margin_ratio=D("0"))).account_margin_ratio == D("0.1")


def test_a_ratio_that_is_a_percentage_warns_but_closes_nothing() -> None:
    told = account_of(in_pool(row(mode=CROSS), margin_ratio=D(10)))
    assert told.account_margin_ratio == D(10)
    assert told.closing_account_margin_ratio == D("0.1"), "its maintenance by its equity"
    assert "can't be right" in told.doubt


def test_a_pool_with_nothing_left_closes_only_where_the_venues_ratio_says_so_too() -> None:
    said = account_of(in_pool(row(mode=CROSS), equity="-5", margin_ratio=D("1.2")))
    assert (said.account_margin_ratio, said.closing_account_margin_ratio) == (RATIO_MAX, RATIO_MAX)
    alone = account_of(in_pool(row(mode=CROSS), equity="0"))
    assert (alone.account_margin_ratio, alone.closing_account_margin_ratio) == (RATIO_MAX, Absent.UNKNOWN)
    assert "no ratio confirms it" in alone.doubt
    assert account_of(in_pool(row(mode=CROSS), equity="0", maintenance="0")).equity is Absent.UNKNOWN


def test_a_pool_stands_behind_every_coin_and_each_mark_moves_it() -> None:
    state = in_pool(row(mode=CROSS), row(symbol=PERP, mode=CROSS))
    before = risk(state).own_liquidation
    after = risk(at(state, "85000", PERP)).own_liquidation
    assert is_value(before)
    assert is_value(after)
    assert after > before
    assert account_of(state).equity == D(600)


def test_a_contract_that_isnt_guarded_is_in_the_pools_figures_and_nowhere_else() -> None:
    state = in_pool(row(mode=CROSS), row(symbol=COIN, mode=CROSS, quantity="7"), maintenance="250")
    told = account_of(state)
    assert (told.equity, told.maintenance) == (D(1000), D(250))
    assert account_of(at(state, "10000", COIN)).equity == D(1000), "what it moves is told by the next read"


def test_isolated_positions_are_no_part_of_a_pool() -> None:
    state = in_pool(row(mode=CROSS), row(symbol=ETH, mode=MarginMode.ISOLATED))
    at(state, "50000", ETH)
    assert account_of(state).equity == D(1000)
    half = assess_account(state, marks={ETH: D(89000)}, quantities={key(symbol=ETH): D(50)}, now=START)
    released = (D("0.1") * 90000 / 10 - 100) / 2 - D("0.05") * 89000 * D("0.0006")
    assert half.margin_balance == D(1000) + released


def test_a_pools_own_liquidation_price_never_justifies_a_close() -> None:
    """Union and unified accounts: the venue's ratio only (interfaces.md 2.2)."""
    found = risk(in_pool(row(mode=CROSS), maintenance="400"))
    assert is_value(found.own_liquidation)
    assert found.closing_liquidation is Absent.UNKNOWN
    assert found.closing_distance_to_liquidation is Absent.UNKNOWN
    by_venue = risk(in_pool(row(mode=CROSS, venue_liquidation=D(80000)), maintenance="400"))
    assert by_venue.closing_liquidation == D(80000)


def test_a_change_since_the_pool_was_told_leaves_its_figures_unknown_until_the_next_read() -> None:
    state = in_pool(row(mode=CROSS))
    grown = replace(row(mode=CROSS, quantity="150"), venue_ms=START.wall_ms + 1)
    fold(state, PositionsRead(started=later(1), at=later(1), positions=(grown,)))
    assert "changed after the balance was read" in account_of(state).doubt
    new = row(symbol=ETH, mode=CROSS)
    state = in_pool(row(mode=CROSS))
    fold(state, InstrumentsRead(at=START, instruments=(instrument(ETH),)))
    fold(state, PositionsRead(started=later(1), at=later(1), positions=(row(mode=CROSS), new)))
    assert account_of(state).account_margin_ratio is Absent.UNKNOWN, "its PnL so far is in no figure that was read"
    fold(state, BalanceRead(at=later(2), balances=(pool(maintenance="300"),)))
    assert account_of(state).account_margin_ratio == D("0.3")


def test_a_push_of_a_pool_moves_its_figures_to_the_marks_of_that_moment() -> None:
    state = at(in_pool(row(mode=CROSS)), "88000")
    fold(state, BalancePushed(at=later(1), balance=pool("900", "99.5")))
    told = account_of(state)
    assert (told.equity, told.maintenance) == (D(900), D("99.5"))
    fold(state, BalancePushed(at=later(1), balance=replace(pool("1", "1"), maintenance=Absent.UNKNOWN)))
    assert account_of(state).equity == D(900), "an equity without the maintenance of its moment is half a figure"


def test_marks_too_old_when_the_balance_was_told_carry_nothing_on_that_would_close() -> None:
    state = in_pool(row(mode=CROSS))
    fold(state, BalanceRead(at=later(20), balances=(pool(),)))
    told = account_of(state)
    assert told.account_margin_ratio == D("0.1")
    assert told.closing_account_margin_ratio is Absent.UNKNOWN
    assert "20 s old" in told.doubt


def gaining(told: str, *more: Position) -> AccountState:
    """The pool was told at a mark of 88000, of which our own frame came only later."""
    state = in_pool(row(mode=CROSS), *more)
    fold(state, BalanceRead(at=later(1), balances=(replace(pool("900"), unrealized_pnl=D(told)),)))
    return at(state, "88000")


def test_a_mark_of_ours_that_came_late_counts_no_loss_twice() -> None:
    """0.1 BTC from 90000 to 88000: the venue's own PnL of the answer says what is in its equity already."""
    told = account_of(gaining("-200"))
    assert told.equity == D(900)
    assert told.doubt == ""


def test_an_unrealised_pnl_that_cannot_be_that_of_our_legs_is_not_reckoned_with() -> None:
    for impossible in ("0", "500", "-600"):
        assert account_of(gaining(impossible)).equity == D(800), "from the mark that we had"
    beside = row(symbol=ETH, mode=MarginMode.ISOLATED)
    assert account_of(gaining("-200", beside)).equity == D(800), "an isolated position may be in it"


def test_a_pool_told_with_its_pnl_needs_no_fresh_mark_to_close_by() -> None:
    state = in_pool(row(mode=CROSS))
    fold(state, BalanceRead(at=later(20), balances=(replace(pool(), unrealized_pnl=D(-100)),)))
    assert account_of(state).closing_account_margin_ratio == D("0.1")


def test_other_coins_behind_an_equity_are_an_upper_bound_unless_the_venue_gives_the_maintenance() -> None:
    position = row(mode=CROSS)
    bound = held_in(position, balances=(replace(balance(position), foreign_collateral=True),))
    assert account_of(bound).account_margin_ratio is Absent.UNKNOWN
    known = held_in(position, balances=(replace(pool(), foreign_collateral=True, currency="USDT", pooled=False),))
    assert account_of(known).account_margin_ratio == D("0.1")


def test_cutting_a_position_of_a_pool_at_once_is_what_sum_and_position_agree_on() -> None:
    state = in_pool(row(mode=CROSS), row(symbol=PERP, mode=CROSS))
    cut = {key(): D(40)}
    whole = backing(state, state.balances["USD"], marks={BTC: D(88000)}, quantities=cut)
    assert whole.near is not None
    gone = D("0.06") * (90000 * D("0.005") + 88000 * D("0.0006"))
    uncut = backing(state, state.balances["USD"], marks={BTC: D(88000)}, quantities={})
    assert uncut.near is not None
    assert uncut.near.amount - whole.near.amount == gone


# A ratio without a maintenance: the classic account of one coin


def with_ratio(ratio: str, wallet: str = "500") -> AccountState:
    position = row(mode=CROSS)
    return held_in(position, balances=(replace(balance(position, wallet=wallet), margin_ratio=D(ratio)),))


OURS = D("0.1") * 89000 * D("0.0056") / D(400)
"""Equity 500 − 100; maintenance and closing fee at mark."""


def test_a_ratio_that_ours_reproduces_is_what_a_close_rests_on() -> None:
    near = (OURS * D("1.1")).quantize(D("0.0001"))
    told = account_of(with_ratio(str(near)))
    assert told.closing_account_margin_ratio == near
    assert told.doubt == ""
    assert risk(with_ratio(str(near))).closing_liquidation != Absent.UNKNOWN


@pytest.mark.parametrize("factor", ["0.7", "1.3"])
def test_a_ratio_further_from_ours_than_a_fifth_says_that_the_model_reproduces_nothing(factor: str) -> None:
    ratio = (OURS * D(factor)).quantize(D("0.0001"))
    state = with_ratio(str(ratio))
    told = account_of(state)
    careful = (D("0.1") * 90000 * D("0.005") + D("0.1") * 89000 * D("0.0006")) / D(400)
    assert told.account_margin_ratio == max(ratio, careful)
    assert told.closing_account_margin_ratio == ratio, "the venue's own figure"
    assert risk(state).closing_liquidation is Absent.UNKNOWN, "not by our liquidation price"
    assert "the model's" in told.doubt


def test_a_ratio_many_times_ours_closes_nothing() -> None:
    told = account_of(with_ratio(str((OURS * 100).quantize(D("0.01")))))
    assert told.closing_account_margin_ratio is Absent.UNKNOWN
    assert told.doubt


def test_a_ratio_goes_on_with_the_marks() -> None:
    state = at(with_ratio(str(OURS)), "88000")
    carried = account_of(state).closing_account_margin_ratio
    assert is_value(carried)
    assert abs(carried - D("0.1") * 88000 * D("0.0056") / D(300)) < D("1e-9")


def test_no_ratio_of_an_account_without_cross_positions_changes_nothing() -> None:
    state = with_ratio("0")
    assert account_of(state) == account_of(held_in(row(mode=CROSS), balances=(balance(row(mode=CROSS), wallet="500"),)))


# The venue's liquidation price: none, and far


def test_no_liquidation_price_is_none_and_never_below_anything() -> None:
    state = held_in(
        row(mode=CROSS, venue_liquidation=Absent.NONE),
        balances=(replace(balance(row(mode=CROSS)), available=D(1)),),
    )
    found = risk(state)
    assert found.closing_liquidation is Absent.NONE
    assert found.closing_distance_to_liquidation is Absent.NONE
    assert found.closing_buffer_left is Absent.NONE


def test_a_huge_liquidation_price_of_a_short_is_far_and_a_number() -> None:
    far = D("17288450.45")
    position = row(Side.SHORT, mode=CROSS, quantity="10", entry="92000", mark="92171", venue_liquidation=far)
    found = risk(held_in(position, balances=(balance(position, wallet="171000"),)), Side.SHORT)
    assert found.venue_liquidation == far
    assert found.far
    assert found.contradiction == ""
    assert is_value(found.closing_distance_to_liquidation)
    assert found.closing_distance_to_liquidation > 186
    assert is_value(found.buffer_left)
    assert D("0.99") < found.buffer_left < 1
    assert is_value(found.stop_bound)
    assert found.stop_bound <= far
