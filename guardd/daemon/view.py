"""An account as people see it: figures of the last assessment, protection as the venue listed it, the rule that comes next."""

from collections.abc import Mapping

from guardd.daemon.shown import Seen, position_view, shown_ratio
from guardd.model.account import AccountCondition, Balance
from guardd.model.facts import AccountView, BalanceView, PositionView
from guardd.model.instant import Instant
from guardd.model.names import PositionKey, Symbol
from guardd.model.reading import Absent
from guardd.model.state import AccountState, Held
from guardd.risk.assess import AccountRisk, worst_ratio
from guardd.risk.cover import protected_notional_ratio
from guardd.risk.drawdown import drawdown_of


def account_view(
    state: AccountState,
    *,
    mode: str,
    condition: tuple[AccountCondition, str],
    accounts: Mapping[str, AccountRisk],
    seen: Mapping[PositionKey, Seen],
    unprotected_s: Mapping[PositionKey, float],
    unguarded: tuple[tuple[Symbol, str], ...],
    now: Instant,
) -> AccountView:
    """Everything that /status, the metrics and the status page show of one account."""
    word, why = condition
    balance = next(iter(state.balances.values()), None)
    return AccountView(
        account=state.name,
        venue=state.venue,
        family=state.family,
        mode=mode,
        condition=word,
        condition_why=why,
        currency=balance.currency if balance is not None else "",
        equity=balance.equity if balance is not None else Absent.UNKNOWN,
        balances=tuple(_balance(state, each, accounts[each.currency], now) for each in state.balances.values()),
        margin_ratio=shown_ratio(worst_ratio(state, accounts)),
        protected_notional_ratio=protected_notional_ratio(
            (each.risk.notional, each.cover.protected) for each in seen.values()
        ),
        venue_closing=state.closing is not None,
        positions=tuple(_position(state, held, seen, unprotected_s) for held in state.in_order()),
        unguarded=unguarded,
        at=now,
    )


def _balance(state: AccountState, balance: Balance, risk: AccountRisk, now: Instant) -> BalanceView:
    fallen = drawdown_of(state, balance.currency, now)
    backs = any(state.balance_behind(key.symbol) in (balance, None) for key in state.held)
    return BalanceView(
        currency=balance.currency,
        equity=balance.equity,
        margin_ratio=shown_ratio(risk.account_margin_ratio),
        pooled=balance.pooled,
        doubt=risk.doubt if backs else "",  # of what stands behind no position nobody asks
        drawdown=shown_ratio(fallen.ratio),
        drawdown_why=fallen.why if state.ledger_at is not None else "",
    )


def _position(
    state: AccountState, held: Held, seen: Mapping[PositionKey, Seen], unprotected_s: Mapping[PositionKey, float]
) -> PositionView:
    found = seen.get(held.key)
    if found is not None and found.view is not None:
        return found.view
    return position_view(state, held, found, unprotected_s.get(held.key, 0.0))
