"""What is looked at anew after a read: what changed other than the marks, of each balance by its own measure."""

from guardd.daemon.agenda import Agenda
from guardd.model.account import Balance
from guardd.model.event import BalanceRead, MarkSeen
from guardd.model.fold import fold
from guardd.model.names import MarginMode
from guardd.model.state import AccountState
from tests.changed import replace
from tests.model.accounts import BTC, START, D, account, balance, key, later, row
from tests.risk.test_pools import in_pool, pool

LONG = row(mode=MarginMode.CROSS)


def looked_at(state: AccountState) -> Agenda:
    """Everything was looked at once."""
    agenda = Agenda(state)
    agenda.compare()
    while agenda.next(START) is not None:
        pass
    return agenda


def changed_by(agenda: Agenda, state: AccountState, *balances: Balance, mark: str = "89000") -> bool:
    fold(state, MarkSeen(BTC, D(mark), later(1)))
    fold(state, BalanceRead(at=later(1), balances=balances))
    agenda.compare()
    return bool(agenda)


def test_an_equity_that_moved_with_the_mark_alone_is_no_change_and_a_deposit_is() -> None:
    state = account(LONG)
    agenda = looked_at(state)
    known = balance(LONG)
    fallen = replace(known, equity=D(1800), unrealized_pnl=D(-200))
    assert not changed_by(agenda, state, fallen, mark="88000")
    assert changed_by(agenda, state, replace(fallen, equity=D(1900)))


def test_a_pool_that_moved_with_the_mark_alone_is_no_change_and_a_debt_is() -> None:
    state = in_pool(LONG, maintenance="100")
    agenda = looked_at(state)
    assert not changed_by(agenda, state, pool("900", "99.94"), mark="88000"), "a tenth of a bitcoin fell by a thousand"
    assert changed_by(agenda, state, pool("900", "150"), mark="88000")


def pulses_until_look(agenda: Agenda, *, reads: bool) -> float:
    """Seconds after START at which a pulse brings the piece up; what is read comes each second where it does."""
    for quarter in range(1, 40):
        now = later(quarter / 4)
        if reads:
            for held in agenda._state.held.values():
                held.read = now
            agenda._state.balances_at = now
            fold(agenda._state, MarkSeen(BTC, D("89000"), now))
        agenda.pulse(now)
        if agenda:
            return quarter / 4
    return 10.0


def test_a_piece_is_looked_at_each_second_and_at_rest_less_often() -> None:
    agenda = looked_at(account(LONG))
    agenda.ripens(frozenset({BTC}), None)
    assert pulses_until_look(agenda, reads=True) == 1.0
    agenda = looked_at(account(LONG))
    agenda.ripens(frozenset({BTC}), None, at_rest=True)
    assert pulses_until_look(agenda, reads=True) == 4.0


def test_what_ripens_is_looked_at_then_at_rest_too() -> None:
    agenda = looked_at(account(LONG))
    agenda.ripens(frozenset({BTC}), later(1.7), at_rest=True)
    assert pulses_until_look(agenda, reads=True) == 1.75


def test_rest_ends_when_figures_stop_coming() -> None:
    state = account(LONG)
    for held in state.held.values():
        held.read = later(-1)
    agenda = looked_at(state)
    agenda.ripens(frozenset({BTC}), None, at_rest=True)
    assert pulses_until_look(agenda, reads=False) == 2.25, "a read is more than three seconds old"


def test_what_moves_with_the_marks_of_a_cross_account_alone_is_no_change() -> None:
    state = account(LONG)
    held = state.held[key()]
    counted = D(81000)
    agenda = Agenda(state, counted=lambda _: counted)
    agenda.compare()
    while agenda.next(START) is not None:
        pass
    held.position = replace(held.position, margin=D(1001), liquidation_price=D(81007))
    assert not agenda.compare(), "no rule asks for a cross margin, and the number is within what was solved for"
    counted = D(81008)
    assert agenda.compare()


def test_an_isolated_margin_is_always_a_change() -> None:
    state = account(row())
    agenda = looked_at(state)
    held = state.held[key()]
    held.position = replace(held.position, margin=D(1001))
    assert agenda.compare()


def test_a_number_of_the_venue_that_nobody_solved_for_counts_as_it_is() -> None:
    state = account(LONG)
    agenda = looked_at(state)
    held = state.held[key()]
    held.position = replace(held.position, liquidation_price=D("81000.1"))
    assert agenda.compare()


def test_a_piece_that_was_just_looked_at_waits_until_what_follows_has_come() -> None:
    agenda = looked_at(account(row()))
    agenda.changed(frozenset({BTC}))
    assert agenda.next(later(0.03)) is None
    assert agenda.again_ns(later(0.03)) == 10_000_000
    assert agenda.again_ns(later(0.04)) == 0
    assert agenda.next(later(0.04)) == (frozenset({BTC}), True)
    assert agenda.again_ns(later(0.04)) is None
