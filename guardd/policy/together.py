"""Which cross position goes first when the whole account is in danger (interfaces.md 2.5).

One at a time, ranked by the account's margin ratio after the step, at the present marks and with all of them 10 % lower and
higher. A step after which the account would be worse off now, or in the worse of the two, is refused: it would break a
hedge. The legs of one instrument go together, or the net side first.
"""

from collections.abc import Iterable
from decimal import Decimal
from itertools import pairwise
from typing import Final

from msgspec import Struct

from guardd.model.instant import Instant
from guardd.model.names import MarginMode, Symbol
from guardd.model.reading import is_value
from guardd.model.state import AccountState
from guardd.policy.wishes import Wish, raises_net
from guardd.risk.assess import assess_account
from guardd.risk.backing import last_mark
from guardd.risk.liquidation import Basis

SHIFTS: Final = (Decimal(1), Decimal("0.9"), Decimal("1.1"))


class Badness(Struct, frozen=True, order=True):
    """How bad the account stands: by its margin ratio, and where the balance is gone by what is missing."""

    broke: bool
    amount: Decimal


class _Sums(Struct, frozen=True, kw_only=True):
    shift: Decimal
    balance: Decimal
    burden: Decimal


def choose(wishes: Iterable[Wish], state: AccountState, now: Instant) -> tuple[Wish, ...]:
    """The steps that go together now, of those that the account's danger asks for (one a position); empty: none would help.

    Positions of different balances don't help each other: the balance that stands worst goes first.
    """
    behind: dict[str, list[Wish]] = {}
    for wish in wishes:
        balance = state.balance_behind(wish.key.symbol)
        if balance is not None:
            behind.setdefault(balance.currency, []).append(wish)
    helpful = [found for currency, each in sorted(behind.items()) if (found := _of_one(each, state, currency, now))]
    return max(helpful, key=lambda found: found[0])[1] if helpful else ()


def _of_one(
    wishes: list[Wish], state: AccountState, currency: str, now: Instant
) -> tuple[Badness, tuple[Wish, ...]] | None:
    """How bad one balance stands, and the steps that would help it most; None where none would, or it can't be reckoned."""
    accounts = _accounts(state, currency, now)
    if not accounts:
        return None
    before = _badness((), accounts)
    ranked: list[tuple[Badness, Badness, int]] = []
    groups = [group for group in _groups(wishes) if len(group) > 1 or not raises_net(group[0], state)]
    for index, group in enumerate(groups):
        after = _badness(group, accounts)
        if after[0] <= before[0] and max(after) <= max(before):
            ranked.append((max(after), after[0], index))
    return (max(before), groups[min(ranked)[2]]) if ranked else None


def _groups(wishes: list[Wish]) -> list[tuple[Wish, ...]]:
    """Each step alone; and both legs of an instrument together where both would go whole, the net side first."""
    wishes = sorted(wishes, key=lambda wish: wish.key)
    groups: list[tuple[Wish, ...]] = [(wish,) for wish in wishes]
    for one, other in pairwise(wishes):
        if one.key.symbol == other.key.symbol and one.size is None and other.size is None:
            net_first = sorted((one, other), key=lambda wish: wish.takes, reverse=True)
            groups.append(tuple(net_first))
    return groups


def _badness(steps: tuple[Wish, ...], accounts: tuple[_Sums, ...]) -> tuple[Badness, ...]:
    """How bad it stands at each of `SHIFTS` after these steps were filled at the present marks.

    What is closed has become wallet at the present mark, less the taker fee; only what is left feels the shift.
    """
    found: list[Badness] = []
    for account in accounts:
        balance, burden = account.balance, account.burden
        for step in steps:
            leg, mark = step.view.on.leg, step.view.risk.mark
            if step.lever is not None:
                balance += step.lever.money
                continue
            if leg is None:
                continue
            rest, there = leg.cut_to(step.view.risk.quantity - step.takes), mark * account.shift
            balance += leg.pnl(mark) - rest.pnl(mark) - leg.cost_of_cutting(rest, mark)
            balance += rest.pnl(there) - leg.pnl(there)
            burden += rest.burden(there, Basis.WORSE) - leg.burden(there, Basis.WORSE)
        if balance > 0:
            found.append(Badness(False, burden / balance))
        else:
            found.append(Badness(True, burden - balance))
    return tuple(found)


def _accounts(state: AccountState, currency: str, now: Instant) -> tuple[_Sums, ...]:
    """The cross account at each of `SHIFTS` of all its marks; empty where it can't be reckoned."""
    marks = _marks(state)
    found: list[_Sums] = []
    for shift in SHIFTS:
        shifted = {symbol: mark * shift for symbol, mark in marks.items()}
        account = assess_account(state, marks=shifted, now=now, currency=currency)
        if not is_value(account.margin_balance) or not is_value(account.maintenance):
            return ()
        found.append(_Sums(shift=shift, balance=account.margin_balance, burden=account.maintenance))
    return tuple(found)


def _marks(state: AccountState) -> dict[Symbol, Decimal]:
    """Present marks of the cross instruments: a market that falls takes them all along."""
    found: dict[Symbol, Decimal] = {}
    for key in sorted(state.held):
        held = state.held[key]
        mark = last_mark(state, held)
        if held.position.margin_mode is MarginMode.CROSS and is_value(mark):
            found[key.symbol] = mark
    return found
