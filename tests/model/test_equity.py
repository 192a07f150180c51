"""Which account reads can be held against the marks and the ledger (interfaces.md 2.2, account_drawdown)."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardd.model.account import Balance, Wallet
from guardd.model.equity import ledger_from_ms
from guardd.model.event import BalanceRead, ClockRead, LedgerRead, MarkSeen, PositionsRead
from guardd.model.flow import Flow, FlowKind
from guardd.model.fold import fold
from guardd.model.highwater import DAY_MS, LATE_MS, Book
from guardd.model.reading import Absent
from guardd.model.state import AccountState, NewsKind
from tests.changed import replace
from tests.model.accounts import BTC, START, D, account, balance, later, row

LONG = row(mark="90000")


def told(profit: Decimal | int, wallet: int = 2000, **more: object) -> Balance:
    read = replace(balance(LONG), equity=wallet + D(profit), unrealized_pnl=D(profit))
    return replace(read, **more)  # type: ignore[arg-type]


def see(state: AccountState, read: Balance, at_s: float, *flows: Flow) -> Book:
    now = later(at_s)
    fold(state, LedgerRead(started=now, at=now, since_ms=0, flows=flows))
    fold(state, BalanceRead(started=now, at=now, balances=(read,)))
    return state.books[read.currency]


def known(*, profit: int = 0) -> AccountState:
    state = account(LONG)
    for at_s in (1, 2):
        see(state, told(profit), at_s)
    assert state.books["USDT"].why == ""
    return state


@given(start=st.integers(80_000, 100_000), end=st.integers(80_000, 100_000), part=st.floats(0, 1))
def test_whatever_the_marks_did_between_two_reads_explains_what_the_second_shows(
    start: int, end: int, part: float
) -> None:
    """0.1 bitcoin is held: a profit at any price between the marks before and after the read."""
    state = account(LONG)
    for at_s, mark in ((1, start), (2, start), (3, end)):
        fold(state, MarkSeen(BTC, D(mark), later(at_s)))
        price = start + (end - start) * D(str(part)) if at_s == 3 else D(start)
        book = see(state, told((price - 90_000) / 10), at_s)
    assert book.counted, book.why


@pytest.mark.parametrize(("profit", "counts"), [(0, True), (89, True), (-89, True), (91, False), (-91, False)])
def test_a_profit_that_no_mark_around_the_read_makes_is_not_believed(profit: int, counts: bool) -> None:
    """One percent of the 9 000 held is what marks may miss."""
    book = see(known(), told(profit), 3)
    assert book.counted is counts
    assert bool(book.why) is not counts


def test_a_position_that_is_going_may_be_in_the_profit_or_not() -> None:
    state = known()
    fold(state, MarkSeen(BTC, D(80_000), later(2.5)))
    fallen = replace(row(mark="80000"), venue_ms=later(2.5).wall_ms)
    fold(state, PositionsRead(started=later(2.5), at=later(2.5), positions=(fallen,)))
    assert see(state, told(-1000), 3).counted
    assert not see(state, told(0), 4).counted, "it is still there"
    fold(state, PositionsRead(started=later(4.5), at=later(4.5), positions=()))
    loss = Flow(id="1", at_ms=later(4).wall_ms, currency="USDT", amount=D(-1000), kind=FlowKind.PNL)
    assert see(state, told(0, 1000), 5, loss).counted


@pytest.mark.parametrize(
    ("read", "why"),
    [
        (told(0, foreign_collateral=True), "other coins back this equity"),
        (told(0, equity=Absent.UNKNOWN), "no wallet apart from its unrealised profit"),
        (told(0, unrealized_pnl=Absent.UNKNOWN), "no wallet apart from its unrealised profit"),
        (told(0, pooled=True), "no wallet apart from its unrealised profit"),
    ],
)
def test_a_balance_without_a_wallet_of_its_own_has_no_drawdown(read: Balance, why: str) -> None:
    book = see(account(LONG), read, 1)
    assert why in book.why


def test_the_wallets_of_a_pool_count_at_their_prices() -> None:
    state = account(LONG)
    wallets = (Wallet(coin="BTC", amount=D("0.01"), price=D(90_000)), Wallet(coin="USDT", amount=D(1_000), price=D(1)))
    pool = replace(told(0), currency="USD", pooled=True, wallets=wallets)
    for at_s in (1, 2):
        see(state, pool, at_s)
    fallen = replace(pool, wallets=(replace(wallets[0], price=D(71_000)), wallets[1]))
    book = see(state, fallen, 3)
    assert book.equity == 1_710
    into = Flow(id="1", at_ms=later(3.5).wall_ms, currency="BTC", amount=D("0.09"), kind=FlowKind.DEPOSIT)
    richer = replace(fallen, wallets=(replace(fallen.wallets[0], amount=D("0.1")), wallets[1]))
    book = see(state, richer, 4, into)
    assert book.water is not None
    assert book.water.high is not None
    assert book.equity is not None
    assert book.equity / book.water.high == pytest.approx(D(1_710) / D(1_900))


def test_nothing_is_kept_before_the_ledger_was_read_once() -> None:
    state = account(LONG)
    fold(state, BalanceRead(at=later(1), balances=(told(0),)))
    assert state.books == {}


def test_a_wallet_that_moved_asks_for_the_ledger_and_a_high_for_the_journal() -> None:
    state = account(LONG)
    fold(state, LedgerRead(started=START, at=START, since_ms=0, flows=()))
    kinds = [
        {news.kind for news in fold(state, BalanceRead(at=later(at_s), balances=(told(0, wallet),))).news}
        for at_s, wallet in ((1, 2000), (2, 2000), (3, 2000), (4, 1900))
    ]
    first = {NewsKind.LEDGER_WANTED, NewsKind.HIGH_WATER}
    assert kinds == [first, {NewsKind.HIGH_WATER}, set(), {NewsKind.LEDGER_WANTED}]


def test_the_ledger_is_asked_for_from_the_first_unsettled_row_by_the_venues_clock() -> None:
    state = account(LONG)
    fold(state, ClockRead(at=START, offset_ms=4_000))
    now = later(5)
    assert ledger_from_ms(state, now) == now.wall_ms + 4_000 - LATE_MS
    see(state, told(0), 5)
    water = state.books["USDT"].water
    assert water is not None
    assert ledger_from_ms(state, now) == water.settled_ms == now.wall_ms + 4_000 - 2_000
    tomorrow = later(DAY_MS / 1000)
    assert ledger_from_ms(state, tomorrow) == tomorrow.wall_ms + 4_000 - LATE_MS, "yesterday's is no beginning"
