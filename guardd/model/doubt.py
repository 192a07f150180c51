"""Why a position that a read lost may still be there (I6): an order that isn't ours rests on it, its margin is still in use, or
no coin of the pool behind it has moved: a close pays a fee and realises a profit or a loss.

The margin in use was told with a balance, those of the other positions with their own rows, at other marks. They are compared as of
the balance: what another position may have had then is subtracted in full, and where that can't be known the margin says nothing.
"""

from decimal import Decimal

from guardd.model.account import Balance, Wallet
from guardd.model.instant import Instant
from guardd.model.names import MarginMode
from guardd.model.reading import is_value
from guardd.model.state import AccountState, Held


def margin_is_older(state: AccountState, held: Held) -> bool:
    """True when the margin in use was last read before the position went missing: it can't tell anything yet."""
    if state.balances_at is None or held.missing_since is None or not is_value(held.position.margin):
        return False
    return state.balances_at.mono_ns < held.missing_since.mono_ns


def suspicion(state: AccountState, held: Held) -> str:
    """Why a lost position may still be there; empty when nothing says so."""
    if any(not state.owns(plan) for plan in state.plans_of(held.key)):
        return "an order that isn't ours still rests on it"
    margin, balance = held.position.margin, state.balance_behind(held.key.symbol)
    if balance is None or not is_value(margin) or margin_is_older(state, held):
        return ""
    if held.wallets and _amounts(balance.wallets) == _amounts(held.wallets):
        return "no fee of its close was paid"
    others = _others(state, held, balance)
    if others is not None and balance.position_margin - others >= margin / 2:
        return "its margin is still in use"
    return ""


def wallets_until(state: AccountState, held: Held, shown: Instant) -> tuple[Wallet, ...]:
    """The coins of the pool while it was held for sure: by the newest balance from before a read that showed it."""
    balance = state.balance_behind(held.key.symbol)
    if balance is None or not balance.pooled or state.balances_at is None:
        return ()
    return balance.wallets if state.balances_at.mono_ns <= shown.mono_ns else held.wallets


def _amounts(wallets: tuple[Wallet, ...]) -> dict[str, Decimal]:
    """The prices of coins move by themselves."""
    return {each.coin: each.amount for each in wallets}


def _others(state: AccountState, held: Held, balance: Balance) -> Decimal | None:
    """The most that everything else had in use when the balance was told; None where nobody knows."""
    if balance.pooled and _counts_more(state, held):
        return None
    found = Decimal(0)
    for key, other in state.held.items():
        if key == held.key or state.balance_behind(key.symbol) is not balance:
            continue
        if balance.pooled and other.position.margin_mode is not MarginMode.CROSS:
            continue  # it has its margin outside of the pool's (UTA reference, 4)
        most = _at_most(state, other)
        if most is None:
            return None
        found += most
    return found


def _counts_more(state: AccountState, held: Held) -> bool:
    """A pool's margin in use is that of the cross positions, and of the orders that wait to open some (UTA reference, 4)."""
    return held.position.margin_mode is not MarginMode.CROSS or any(
        not order.closes for order in state.resting.values()
    )


def _at_most(state: AccountState, other: Held) -> Decimal | None:
    """A cross position's margin goes with its mark where the venue reckons it by that (Bitget reference, 9.2)."""
    position, anchor = other.position, state.anchors.get(other.key.symbol)
    if not is_value(position.margin) or (state.balances_at and other.changed.mono_ns > state.balances_at.mono_ns):
        return None
    if position.margin_mode is not MarginMode.CROSS or anchor is None or not is_value(position.mark_price):
        return position.margin
    return max(position.margin, position.margin * anchor.mark / position.mark_price)
