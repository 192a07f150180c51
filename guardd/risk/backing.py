"""What stands behind the cross positions, and what they need: the sums over one balance of the account.

Each settlement coin has a balance of its own, or one pool stands behind them all; positions of different balances don't feel
each other.

    balance = wallet − isolated margins + Σ unrealised PnL of cross positions          (BitMart reference, 15)
    wallet  = equity − unrealised PnL, both of one balance read

So a mark that moved since that read changes the balance by what it changes in PnL, exactly. A fill since then doesn't: it
turns PnL into wallet. Until the balance is read again the sums are unknown: also when what was filled is no longer there.

Where the venue gives its own maintenance or ratio, `guardd.risk.anchor` ties these sums to them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from guardd.model.account import Balance
from guardd.model.names import MarginMode, PositionKey, Symbol
from guardd.model.reading import Absent, Reading, is_value
from guardd.model.state import AccountState, Anchor, Held
from guardd.risk.anchor import SILENT, Anchored, anchored
from guardd.risk.liquidation import ZERO, Basis, Leg
from guardd.risk.reproduction import adds_up, preferred, reproduced_bases

GAINS_PART: Final = Decimal("0.05")
"""Of the notional: so far may a mark of ours be behind the venue's in the fastest market (I29: marks within 5 %)."""
_BOTH: Final = frozenset({Basis.MARK, Basis.ENTRY})


@dataclass(slots=True)
class Share:
    """What one instrument's cross positions add to the sums."""

    balance: Decimal = ZERO
    burdens: dict[Basis, Decimal] = field(default_factory=lambda: dict.fromkeys(Basis, ZERO))


class Burden(Struct, frozen=True, kw_only=True):
    """Maintenance margin and closing fees by one basis; what the venue asks for beyond our sum included."""

    basis: Basis
    amount: Decimal


class Backing(Struct, frozen=True, kw_only=True):
    """Sums of one cross account."""

    equity: Reading
    """Of the whole balance, isolated positions included."""
    balance: Reading
    near: Burden | None
    """By the careful basis, and never less than the venue asks for; None where it can't be reckoned."""
    closing: Burden | None
    """By the basis with which the model reproduces every cross position and the balance; None when it doesn't."""
    closing_ratio: Burden | None
    """What may justify a close by the margin ratio: the venue's own figures where it gives them, else `closing`."""
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
        return replace(
            self,
            balance=self.balance - share.balance if is_value(self.balance) else self.balance,
            near=_less(self.near, share),
            closing=_less(self.closing, share),
            closing_ratio=_less(self.closing_ratio, share),
        )


class _Member(NamedTuple):
    """A position that the balance stands behind. `leg` None: it can't be reckoned."""

    held: Held
    leg: Leg | None

    @property
    def crossed(self) -> Leg | None:
        """Its leg where it is a cross position that can be reckoned."""
        return self.leg if self.held.position.margin_mode is MarginMode.CROSS else None


class _Wallet(NamedTuple):
    """`amount`: equity without unrealised PnL; or unknown, and why."""

    amount: Reading
    doubt: str = ""
    by_venue: bool = False
    """Of a pool: the PnL is the venue's own, of the same answer, which no mark of ours is late for."""


@dataclass(slots=True)
class _Sums:
    equity: Decimal
    balance: Decimal
    shares: dict[Symbol, Share]
    notional: Decimal = ZERO

    def burden(self, basis: Basis) -> Decimal:
        return sum((share.burdens[basis] for share in self.shares.values()), ZERO)


def backing(
    state: AccountState,
    balance: Balance | None,
    *,
    marks: Mapping[Symbol, Decimal],
    quantities: Mapping[PositionKey, Decimal],
) -> Backing:
    """Sum up one balance at these marks (else the last ones), as if positions had been cut to `quantities` there."""
    members = _members(state, balance)
    wallet = _wallet(state, balance, members)
    if balance is None or not is_value(wallet.amount):
        return _unknown(wallet.doubt)
    sums = _Sums(wallet.amount, wallet.amount, {})
    for member in members:
        key = member.held.key
        missing = _add(sums, state, balance, member, marks.get(key.symbol), quantities.get(key))
        if missing:
            return _unknown(missing)
    tied = _tied(state, balance, members, wallet, wallet.amount)
    basis, doubt = _closing_basis(balance, tied, members)
    closing = Burden(basis=basis, amount=sums.burden(basis)) if basis is not None else None
    venues = tied.beyond_mark
    asked = Burden(basis=Basis.MARK, amount=sums.burden(Basis.MARK) + venues) if venues is not None else None
    return Backing(
        equity=sums.equity,
        balance=sums.balance,
        near=Burden(basis=Basis.WORSE, amount=sums.burden(Basis.WORSE) + tied.beyond_worse),
        closing=closing,
        closing_ratio=asked if tied.speaks else closing,
        notional=sums.notional,
        doubt=doubt,
        shares=sums.shares,
    )


def unmoved(state: AccountState, balance: Balance) -> tuple[Decimal, Decimal, Decimal | None] | None:
    """What of a balance doesn't move with the marks: wallet, and what the venue asks for beyond our sums; None: unknown."""
    members = _members(state, balance)
    wallet = _wallet(state, balance, members)
    if not is_value(wallet.amount):
        return None
    tied = _tied(state, balance, members, wallet, wallet.amount)
    return wallet.amount, tied.beyond_worse, tied.beyond_mark


def leg_of(state: AccountState, held: Held) -> Leg | None:
    """The position as a leg of the model; None where the instrument or its tiers aren't known, or it isn't guarded.

    Nor is one of an inverse contract on a pool: it gains in its base coin, the pool counts in another.
    """
    instrument = state.instruments.get(held.key.symbol)
    if instrument is None or instrument.unguarded or not instrument.tiers or held.position.entry_price <= 0:
        return None
    if instrument.inverse and (balance := state.balance_for(instrument.settle)) is not None and balance.pooled:
        return None
    position = held.position
    return Leg(instrument=instrument, side=held.key.side, quantity=position.quantity, entry=position.entry_price)


def last_mark(state: AccountState, held: Held) -> Reading:
    """The last mark seen of its instrument, else that of its own row."""
    seen = state.marks.get(held.key.symbol)
    return seen.mark if seen is not None else held.position.mark_price


def _is_bankrupt(balance: Balance) -> bool:
    """Nothing is left against what the venue asks for: possible, where the venue's own figures say both (UTA reference, 4)."""
    return is_value(balance.maintenance) and balance.maintenance > 0


def _members(state: AccountState, balance: Balance | None) -> tuple[_Member, ...]:
    """The positions that this balance stands behind, sorted by key; one whose contract isn't known may be anybody's."""
    return tuple(
        _Member(held, leg_of(state, held))
        for held in state.in_order()
        if balance is None
        or held.key.symbol not in state.instruments
        or state.balance_behind(held.key.symbol) is balance
    )


def _wallet(state: AccountState, balance: Balance | None, members: tuple[_Member, ...]) -> _Wallet:
    if balance is None or state.balances_at is None:
        return _Wallet(Absent.UNKNOWN, "the balance was never read")
    pool = is_value(balance.maintenance)
    if balance.foreign_collateral and not pool:
        return _Wallet(Absent.UNKNOWN, "other coins back this equity: it is an upper bound only")
    if not is_value(balance.equity) or (balance.equity <= 0 and not _is_bankrupt(balance)):
        return _Wallet(Absent.UNKNOWN, "the venue gave no possible equity")
    for held, _ in members:
        if state.why_unguarded(held.key.symbol):
            continue
        if held.missing_since is not None or held.close_seen is not None:
            return _Wallet(Absent.UNKNOWN, f"{held.key} may be gone: its PnL would count twice")
        if held.changed.mono_ns > state.balances_at.mono_ns and (pool or held.changed != held.begun):
            return _Wallet(Absent.UNKNOWN, f"{held.key} changed after the balance was read")
    for symbol in state.realized:
        if symbol not in state.instruments or state.balance_behind(symbol) is balance:
            return _Wallet(Absent.UNKNOWN, f"a position on {symbol} ended after the balance was read")
    if pool:
        return _wallet_of_pool(state, balance, members, balance.equity)
    unrealized = balance.unrealized_pnl
    if is_value(unrealized):
        return _Wallet(balance.equity - unrealized)
    return _wallet_by_rows(members, balance.equity)


def _wallet_of_pool(state: AccountState, balance: Balance, members: tuple[_Member, ...], equity: Decimal) -> _Wallet:
    """The pool's equity less what our legs had gained when it was told; what else moves it is told by the next read."""
    gain, notional, reckoned = ZERO, ZERO, 0
    for member in members:
        leg, anchor = member.crossed, state.anchors.get(member.held.key.symbol)
        if leg is None:
            continue
        if anchor is None:
            return _Wallet(Absent.UNKNOWN, f"{member.held.key}: no mark was seen before the balance was read")
        reckoned += 1
        gain += leg.pnl(anchor.mark)
        notional += leg.notional(anchor.mark)
    told = balance.unrealized_pnl
    if reckoned == len(members) and is_value(told) and _is_gain(told, gain, notional):
        return _Wallet(equity - told, by_venue=True)
    return _Wallet(equity - gain)


def _is_gain(told: Decimal, gain: Decimal, notional: Decimal) -> bool:
    """Whether the venue's unrealised PnL can be that of our legs, which gained `gain` at the marks that we had then.

    It isn't where other positions are in it, and where it is further from our own than marks part in a crash.
    """
    return (told != 0 or gain == 0) and abs(told - gain) <= GAINS_PART * notional


def _wallet_by_rows(members: tuple[_Member, ...], equity: Decimal) -> _Wallet:
    wallet = equity
    for held, _ in members:
        unrealized = held.position.unrealized_pnl
        if not is_value(unrealized):
            return _Wallet(Absent.UNKNOWN, f"{held.key}: its unrealised PnL isn't known")
        wallet -= unrealized
    return _Wallet(wallet)


def _add(
    sums: _Sums, state: AccountState, balance: Balance, member: _Member, mark: Decimal | None, quantity: Decimal | None
) -> str:
    """Add one position; returns what is missing for that, in words."""
    held, leg = member
    position = held.position
    pool = is_value(balance.maintenance)
    if why := state.why_unguarded(held.key.symbol):
        # The venue's own figures of a pool hold it already; beside a wallet of ours its PnL can't be reckoned.
        return "" if pool else f"{held.key} isn't guarded ({why}) and shares this balance"
    at: Reading = mark if mark is not None else last_mark(state, held)
    if leg is None:
        return f"{held.key}: its instrument or margin tiers aren't known"
    if not is_value(at):
        return f"{held.key}: no mark was seen"
    rest = leg if quantity is None else leg.cut_to(quantity)
    pnl, cost = leg.pnl(at), leg.cost_of_cutting(rest, at)
    sums.notional += rest.notional(at)
    if position.margin_mode is not MarginMode.CROSS:
        if not is_value(position.margin):
            return f"{held.key}: its margin isn't known"
        sums.balance += (position.margin + pnl) * leg.share_cut(rest) - cost
        if not pool:
            sums.equity += pnl - cost
            sums.balance -= position.margin
        return ""
    sums.equity += pnl - cost
    sums.balance += pnl - cost
    share = sums.shares.setdefault(held.key.symbol, Share())
    share.balance += pnl - cost
    for basis, burden in rest.burdens(at).items():
        share.burdens[basis] += burden
    return ""


def _tied(
    state: AccountState, balance: Balance, members: tuple[_Member, ...], wallet: _Wallet, apart: Decimal
) -> Anchored:
    """What the venue's own figures ask for beyond our sums; where it gives none there is nothing to sum up."""
    if not is_value(balance.maintenance) and not is_value(balance.margin_ratio):
        return SILENT
    pool, alone = is_value(balance.maintenance), True
    legs: list[tuple[Leg, Anchor]] = []
    for held, leg in members:
        position, anchor = held.position, state.anchors.get(held.key.symbol)
        if position.margin_mode is not MarginMode.CROSS:
            alone = False
            apart -= position.margin if not pool and is_value(position.margin) else ZERO
        elif leg is not None:
            if anchor is None or (state.balances_at and held.changed.mono_ns > state.balances_at.mono_ns):
                return SILENT  # the venue's figures were told before it was there
            legs.append((leg, anchor))
    exact = wallet.by_venue if pool else alone
    return anchored(balance, legs, apart, told=balance.equity if pool or alone else Absent.UNKNOWN, exact=exact)


def _less(burden: Burden | None, share: Share) -> Burden | None:
    return burden and Burden(basis=burden.basis, amount=burden.amount - share.burdens[burden.basis])


def _closing_basis(balance: Balance, tied: Anchored, members: tuple[_Member, ...]) -> tuple[Basis | None, str]:
    if balance.pooled or is_value(balance.maintenance) or tied.doubt:
        return None, tied.doubt
    if not adds_up(balance):
        return None, "" if tied.speaks else "the parts of the balance don't make its equity"
    basis = preferred(_reproduced(balance, members))
    if basis is not None or tied.speaks:
        return basis, ""
    return None, "the model doesn't reproduce the venue's figures of every cross position"


def _reproduced(balance: Balance, members: tuple[_Member, ...]) -> frozenset[Basis]:
    """The bases by which the model agrees with the venue's figures of every cross position."""
    bases = _BOTH
    for member in members:
        leg = member.crossed
        if leg is not None:
            bases &= reproduced_bases(member.held.position, leg, balance)
    return bases


def _unknown(doubt: str) -> Backing:
    unknown = Absent.UNKNOWN
    return Backing(
        equity=unknown,
        balance=unknown,
        near=None,
        closing=None,
        closing_ratio=None,
        notional=unknown,
        doubt=doubt,
        shares={},
    )
