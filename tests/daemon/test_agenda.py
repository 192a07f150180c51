"""What is looked at anew after a read: what changed other than the marks, of each balance by its own measure."""

from dataclasses import replace

from guardd.daemon.agenda import Agenda
from guardd.model.account import Balance
from guardd.model.event import BalanceRead, MarkSeen
from guardd.model.fold import fold
from guardd.model.names import MarginMode
from guardd.model.state import AccountState
from tests.model.accounts import BTC, START, D, account, balance, later, row
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
