"""What stands behind the cross positions, and what they need: the sums over one balance of the account.

Each settlement coin has a balance of its own, or one pool stands behind them all; positions of different balances don't feel
each other.

    balance = wallet − isolated margins + Σ unrealised PnL of cross positions          (BitMart reference, 15)
    wallet  = equity − unrealised PnL, both of one balance read

So a mark that moved since that read changes the balance by what it changes in PnL, exactly. A fill since then doesn't: it
turns PnL into wallet. Until the balance is read again the sums are unknown.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final

from guardd.model.account import Balance
from guardd.model.names import MarginMode, PositionKey, Symbol
from guardd.model.reading import Absent, Reading, is_value
from guardd.model.state import AccountState, Held
from guardd.risk.liquidation import ZERO, Basis, Leg
from guardd.risk.reproduction import adds_up, preferred, reproduced_bases

_BOTH: Final = frozenset({Basis.MARK, Basis.ENTRY})


@dataclass(slots=True)
class Share:
    """What one instrument's cross positions add to the sums."""

    balance: Decimal = ZERO
    burdens: dict[Basis, Decimal] = field(default_factory=lambda: dict.fromkeys(Basis, ZERO))


@dataclass(frozen=True, slots=True, kw_only=True)
class Backing:
    """Sums of one cross account."""

    equity: Reading
    """Of the whole balance, isolated positions included."""
    balance: Reading
    burden: Reading
    """Maintenance margin and closing fees, by the careful basis."""
    closing_basis: Basis | None
    """The basis by which the model reproduces every cross position and the balance; None when it doesn't."""
    closing_burden: Reading
    notional: Reading
    """Of all its positions."""
    doubt: str
    """Why these figures are unknown, or may justify no close; empty when they may."""
    shares: Mapping[Symbol, Share]

    def without(self, symbol: Symbol) -> "Backing":
        """The balance and the burdens without PnL and burden of this instrument's cross positions."""
        share = self.shares.get(symbol)
        if share is None:
            return self
        basis = self.closing_basis
        return replace(
            self,
            balance=_less(self.balance, share.balance),
            burden=_less(self.burden, share.burdens[Basis.WORSE]),
            closing_burden=_less(self.closing_burden, share.burdens[basis]) if basis is not None else Absent.UNKNOWN,
        )


@dataclass(slots=True)
class _Sums:
    equity: Decimal
    balance: Decimal
    shares: dict[Symbol, Share]
    notional: Decimal = ZERO
    bases: frozenset[Basis] = _BOTH


def backing(
    state: AccountState,
    balance: Balance | None,
    *,
    marks: Mapping[Symbol, Decimal],
    quantities: Mapping[PositionKey, Decimal],
) -> Backing:
    """Sum up one balance at these marks (else the last ones), as if positions had been cut to `quantities` there."""
    members = members_of(state, balance)
    wallet, doubt = wallet_of(state, balance, members)
    if balance is None or not is_value(wallet):
        return _unknown(doubt)
    sums = _Sums(wallet, wallet, {})
    for held in members:
        key = held.key
        missing = _add(sums, state, balance, held, marks.get(key.symbol), quantities.get(key))
        if missing:
            return _unknown(missing)
    basis, doubt = _closing_basis(balance, sums.bases)
    burdens = {each: sum((share.burdens[each] for share in sums.shares.values()), ZERO) for each in Basis}
    return Backing(
        equity=sums.equity,
        balance=sums.balance,
        burden=burdens[Basis.WORSE],
        closing_basis=basis,
        closing_burden=burdens[basis] if basis is not None else Absent.UNKNOWN,
        notional=sums.notional,
        doubt=doubt,
        shares=sums.shares,
    )


def members_of(state: AccountState, balance: Balance | None) -> tuple[Held, ...]:
    """The positions that this balance stands behind, sorted by key; one whose contract isn't known may be anybody's."""
    return tuple(
        state.held[key]
        for key in sorted(state.held)
        if balance is None or key.symbol not in state.instruments or state.balance_behind(key.symbol) is balance
    )


def wallet_of(state: AccountState, balance: Balance | None, members: tuple[Held, ...]) -> tuple[Reading, str]:
    """Equity without unrealised PnL; or unknown, and why."""
    if balance is None or state.balances_at is None:
        return Absent.UNKNOWN, "the balance was never read"
    if balance.foreign_collateral:
        return Absent.UNKNOWN, "other coins back this equity: it is an upper bound only"
    if not is_value(balance.equity) or balance.equity <= 0:
        return Absent.UNKNOWN, "the venue gave no possible equity"
    for held in members:
        if held.missing_since is not None or held.close_seen is not None:
            return Absent.UNKNOWN, f"{held.key} may be gone: its PnL would count twice"
        if held.changed.mono_ns > state.balances_at.mono_ns and held.changed != held.begun:
            return Absent.UNKNOWN, f"{held.key} changed after the balance was read"
    unrealized = balance.unrealized_pnl
    if is_value(unrealized):
        return balance.equity - unrealized, ""
    return _wallet_by_rows(members, balance.equity)


def leg_of(state: AccountState, held: Held) -> Leg | None:
    """The position as a leg of the model; None where the instrument or its tiers aren't known."""
    instrument = state.instruments.get(held.key.symbol)
    if instrument is None or not instrument.tiers or held.position.entry_price <= 0:
        return None
    position = held.position
    return Leg(instrument=instrument, side=held.key.side, quantity=position.quantity, entry=position.entry_price)


def last_mark(state: AccountState, held: Held) -> Reading:
    """The last mark seen of its instrument, else that of its own row."""
    seen = state.marks.get(held.key.symbol)
    return seen.mark if seen is not None else held.position.mark_price


def _wallet_by_rows(members: tuple[Held, ...], equity: Decimal) -> tuple[Reading, str]:
    wallet = equity
    for held in members:
        unrealized = held.position.unrealized_pnl
        if not is_value(unrealized):
            return Absent.UNKNOWN, f"{held.key}: its unrealised PnL isn't known"
        wallet -= unrealized
    return wallet, ""


def _add(
    sums: _Sums, state: AccountState, balance: Balance, held: Held, mark: Decimal | None, quantity: Decimal | None
) -> str:
    """Add one position; returns what is missing for that, in words."""
    position = held.position
    cross = position.margin_mode is MarginMode.CROSS
    leg = leg_of(state, held)
    at: Reading = mark if mark is not None else last_mark(state, held)
    if leg is None:
        return f"{held.key}: its instrument or margin tiers aren't known"
    if not is_value(at):
        return f"{held.key}: no mark was seen"
    rest = leg if quantity is None else leg.cut_to(quantity)
    pnl, cost = leg.pnl(at), leg.cost_of_cutting(rest, at)
    sums.equity += pnl - cost
    sums.notional += rest.base * at
    if not cross:
        if not is_value(position.margin):
            return f"{held.key}: its margin isn't known"
        released = leg.share_cut(rest)
        sums.balance += (position.margin + pnl) * released - position.margin - cost
        return ""
    sums.bases &= reproduced_bases(position, leg, balance)
    sums.balance += pnl - cost
    share = sums.shares.setdefault(held.key.symbol, Share())
    share.balance += pnl - cost
    for basis in Basis:
        share.burdens[basis] += rest.burden(at, basis)
    return ""


def _less(total: Reading, part: Decimal) -> Reading:
    return total - part if is_value(total) else total


def _closing_basis(balance: Balance, bases: frozenset[Basis]) -> tuple[Basis | None, str]:
    if not adds_up(balance):
        return None, "the parts of the balance don't make its equity"
    basis = preferred(bases)
    return basis, "" if basis is not None else "the model doesn't reproduce the venue's figures of every cross position"


def _unknown(doubt: str) -> Backing:
    unknown = Absent.UNKNOWN
    return Backing(
        equity=unknown,
        balance=unknown,
        burden=unknown,
        closing_basis=None,
        closing_burden=unknown,
        notional=unknown,
        doubt=doubt,
        shares={},
    )
