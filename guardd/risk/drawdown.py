"""How far a balance's equity has fallen from the day's high (interfaces.md 2.2, `account_drawdown`).

    drawdown = 1 − equity ÷ high        both of account reads that the ledger and the marks explain; never below zero

Between two account reads it stays what it is: no mark moves it.
"""

from decimal import Decimal
from typing import Final

from msgspec import Struct

from guardd.model.equity import venue_ms
from guardd.model.highwater import DAY_MS
from guardd.model.instant import Instant
from guardd.model.names import Symbol
from guardd.model.reading import Absent, Reading
from guardd.model.state import AccountState
from guardd.risk.ages import READ_AGE_S_MAX

LEDGER_AGE_S_MAX: Final = 120.0
"""Four readings of the ledger: without it nobody knows whether money came or went."""
ZERO: Final = Decimal(0)


class Drawdown(Struct, frozen=True, kw_only=True):
    """`why` says why `ratio` isn't known; empty when it is."""

    ratio: Reading
    high: Reading
    why: str


def drawdown_behind(state: AccountState, symbol: Symbol, now: Instant) -> Drawdown:
    """Of the balance that stands behind an instrument's positions."""
    balance = state.balance_behind(symbol)
    return _unknown("no balance was read") if balance is None else drawdown_of(state, balance.currency, now)


def drawdown_of(state: AccountState, currency: str, now: Instant) -> Drawdown:
    """Of one balance. Unknown is never safe, and never a reason to close."""
    if state.ledger_at is None or now.seconds_since(state.ledger_at) > LEDGER_AGE_S_MAX:
        return _unknown("the venue's ledger wasn't read")
    if state.balances_at is None or now.seconds_since(state.balances_at) > READ_AGE_S_MAX:
        return _unknown("the last account read is too old")
    book = state.books.get(currency)
    if book is None or book.water is None or book.why:
        return _unknown(book.why if book is not None and book.why else "no account read yet")
    high, equity = book.water.high, book.equity
    if high is None or equity is None or not book.counted or high <= 0:
        return _unknown("no account read counted yet")
    if book.water.day != venue_ms(state, now) // DAY_MS:
        return _unknown("the day has begun, and no account read is of it yet")
    return Drawdown(ratio=max(1 - equity / high, ZERO), high=high, why="")


def _unknown(why: str) -> Drawdown:
    return Drawdown(ratio=Absent.UNKNOWN, high=Absent.UNKNOWN, why=why)
