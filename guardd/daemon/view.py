"""An account as people see it: figures of the last assessment, protection as the venue listed it, the rule that comes next."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from guardd.model.account import AccountCondition, Balance
from guardd.model.facts import AccountView, BalanceView, PositionView, RestingView, RuleAhead
from guardd.model.instant import Instant
from guardd.model.names import PositionKey, RuleName, Symbol
from guardd.model.order import PlanOrder, ProtectionKind
from guardd.model.reading import Absent, Reading, is_value
from guardd.model.state import AccountState, Held
from guardd.risk.assess import AccountRisk, PositionRisk, worst_ratio
from guardd.risk.cover import Cover, protected_notional_ratio
from guardd.risk.drawdown import drawdown_of

SHOWN_RATIO: Final = Decimal("0.000001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the last review found out about one position."""

    risk: PositionRisk
    cover: Cover
    next_rule: RuleName | None
    next_rule_at: Reading
    rules_ahead: tuple[RuleAhead, ...] = ()


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
        margin_ratio=_ratio(worst_ratio(state, accounts)),
        protected_notional_ratio=protected_notional_ratio(
            (each.risk.notional, each.cover.protected) for each in seen.values()
        ),
        venue_closing=state.closing is not None,
        positions=tuple(
            _position(state, held, seen.get(key), unprotected_s.get(key, 0.0))
            for key, held in sorted(state.held.items())
        ),
        unguarded=unguarded,
        at=now,
    )


def _balance(state: AccountState, balance: Balance, risk: AccountRisk, now: Instant) -> BalanceView:
    fallen = drawdown_of(state, balance.currency, now)
    backs = any(state.balance_behind(key.symbol) in (balance, None) for key in state.held)
    return BalanceView(
        currency=balance.currency,
        equity=balance.equity,
        margin_ratio=_ratio(risk.account_margin_ratio),
        pooled=balance.pooled,
        doubt=risk.doubt if backs else "",  # of what stands behind no position nobody asks
        drawdown=_ratio(fallen.ratio),
        drawdown_why=fallen.why if state.ledger_at is not None else "",
    )


def _position(state: AccountState, held: Held, seen: Seen | None, unprotected_s: float) -> PositionView:
    position, risk = held.position, seen.risk if seen is not None else None
    unknown: Reading = Absent.UNKNOWN
    return PositionView(
        key=held.key,
        margin_mode=position.margin_mode,
        leverage=position.leverage,
        quantity=position.quantity,
        entry_price=position.entry_price,
        mark_price=risk.mark if risk is not None else position.mark_price,
        liquidation_price=_price(state, held, risk.liquidation if risk is not None else position.liquidation_price),
        own_liquidation_price=_price(state, held, risk.own_liquidation if risk is not None else unknown),
        liquidation_drift=_ratio(risk.drift) if risk is not None else unknown,
        distance_to_liquidation=_ratio(risk.distance_to_liquidation) if risk is not None else unknown,
        notional=risk.notional if risk is not None else position.notional,
        unrealized_pnl=risk.unrealized_pnl if risk is not None else position.unrealized_pnl,
        protected=seen.cover.protected if seen is not None else False,
        protection_note=seen.cover.note if seen is not None else _why_not_seen(state, held),
        unprotected_s=unprotected_s,
        stop_loss=_nearest(state, held, ProtectionKind.STOP_LOSS),
        take_profit=_nearest(state, held, ProtectionKind.TAKE_PROFIT),
        next_rule=seen.next_rule if seen is not None else None,
        next_rule_at=seen.next_rule_at if seen is not None else unknown,
        rules_ahead=seen.rules_ahead if seen is not None else (),
    )


def _why_not_seen(state: AccountState, held: Held) -> str:
    why = state.why_unguarded(held.key.symbol)
    return f"not guarded: {why}" if why else "not assessed yet"


def _price(state: AccountState, held: Held, price: Reading) -> Reading:
    """On tick, towards the mark: what is shown is never further away than what is reckoned with."""
    instrument = state.instruments.get(held.key.symbol)
    if instrument is None or not is_value(price):
        return price
    return instrument.price_up(price) if held.key.side.sign > 0 else instrument.price_down(price)


def _ratio(ratio: Reading) -> Reading:
    return ratio.quantize(SHOWN_RATIO) if is_value(ratio) else ratio


def _nearest(state: AccountState, held: Held, kind: ProtectionKind) -> RestingView | None:
    """The resting order of this kind that fires first."""
    plans = [plan for plan in state.plans_of(held.key) if plan.protection is kind]
    if not plans:
        return None
    fires_first_at_highest = (held.key.side.sign > 0) == (kind is ProtectionKind.STOP_LOSS)

    def order(plan: PlanOrder) -> Decimal:
        return -plan.trigger_price if fires_first_at_highest else plan.trigger_price

    plan = min(plans, key=lambda each: (order(each), each.order_id))
    return RestingView(trigger_price=plan.trigger_price, order_id=plan.order_id, ours=state.owns(plan))
