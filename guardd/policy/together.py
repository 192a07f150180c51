"""Which cross position goes first when the whole account is in danger (interfaces.md 2.5).

One at a time, ranked by the account's margin ratio after the step, at the present marks and with all of them 10 % lower and
higher. A step after which the account would be worse off now, or in the worse of the two, is refused: it would break a
hedge. The legs of one instrument go together, or the net side first.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import pairwise
from typing import Final

from guardd.model.instant import Instant
from guardd.model.names import MarginMode, PositionKey, Symbol
from guardd.model.reading import is_value
from guardd.model.state import AccountState
from guardd.policy.wishes import Wish, raises_net
from guardd.risk.assess import assess_account
from guardd.risk.backing import last_mark

SHIFTS: Final = (Decimal(1), Decimal("0.9"), Decimal("1.1"))


@dataclass(frozen=True, slots=True, order=True)
class Badness:
    """How bad the account stands: by its margin ratio, and where the balance is gone by what is missing."""

    broke: bool
    amount: Decimal


def choose(wishes: Iterable[Wish], state: AccountState, now: Instant) -> tuple[Wish, ...]:
    """The steps that go together now, of those that the account's danger asks for (one a position); empty: none would help."""
    groups = [group for group in _groups(list(wishes)) if len(group) > 1 or not raises_net(group[0], state)]
    before = _badness(state, {}, now)
    if before is None:
        return ()
    ranked: list[tuple[Badness, Badness, int]] = []
    for index, group in enumerate(groups):
        after = _badness(state, {wish.key: wish for wish in group}, now)
        if after is not None and after[0] <= before[0] and max(after) <= max(before):
            ranked.append((max(after), after[0], index))
    return groups[min(ranked)[2]] if ranked else ()


def _groups(wishes: list[Wish]) -> list[tuple[Wish, ...]]:
    """Each step alone; and both legs of an instrument together where both would go whole, the net side first."""
    wishes = sorted(wishes, key=lambda wish: wish.key)
    groups: list[tuple[Wish, ...]] = [(wish,) for wish in wishes]
    for one, other in pairwise(wishes):
        if one.key.symbol == other.key.symbol and one.size is None and other.size is None:
            net_first = sorted((one, other), key=lambda wish: wish.takes, reverse=True)
            groups.append(tuple(net_first))
    return groups


def _badness(state: AccountState, steps: Mapping[PositionKey, Wish], now: Instant) -> tuple[Badness, ...] | None:
    """How bad it stands after these steps at each of `SHIFTS`; None where the account can't be reckoned."""
    marks = _marks(state)
    after = _after(state, steps, marks)
    found: list[Badness] = []
    for shift in SHIFTS:
        account = assess_account(after, marks={symbol: mark * shift for symbol, mark in marks.items()}, now=now)
        if not is_value(account.margin_balance) or not is_value(account.maintenance):
            return None
        if account.margin_balance <= 0:
            found.append(Badness(True, account.maintenance - account.margin_balance))
        else:
            found.append(Badness(False, account.maintenance / account.margin_balance))
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


def _after(state: AccountState, steps: Mapping[PositionKey, Wish], marks: Mapping[Symbol, Decimal]) -> AccountState:
    """The account as if the steps had been filled at the present marks: PnL has become wallet, less the taker fee.

    The rows keep the unrealised PnL of their read: the wallet is reckoned from the balance of that read.
    """
    if not steps or state.balance is None or not is_value(state.balance.equity):
        return state
    held, realised = dict(state.held), Decimal(0)
    rows_gone = Decimal(0)
    for key, step in steps.items():
        old = held[key]
        rest = old.position.quantity - step.takes
        base = step.takes * step.view.instrument.contract_size
        mark = marks[key.symbol]
        realised += base * (key.side.sign * (mark - old.position.entry_price) - step.view.instrument.taker_fee * mark)
        if rest > 0:
            held[key] = replace(old, position=replace(old.position, quantity=rest))
            continue
        del held[key]
        if is_value(old.position.unrealized_pnl):
            rows_gone += old.position.unrealized_pnl
    if is_value(state.balance.unrealized_pnl):
        rows_gone = Decimal(0)
    balance = replace(state.balance, equity=state.balance.equity + realised - rows_gone)
    return replace(state, held=held, balance=balance)
