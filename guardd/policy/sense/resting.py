"""Where the policy's resting orders would lie on a model position, by the daemon's own placing of them."""

from decimal import Decimal

from msgspec.structs import replace

from guardd.model.order import ProtectionKind
from guardd.model.reading import Absent
from guardd.policy.language import PolicyRule, StopLoss, TakeProfit, TriggerKind
from guardd.policy.memory import EpisodeMemory
from guardd.policy.sense.models import Modelled
from guardd.policy.stops import wanted_protection

WHOLE = Decimal(1)


def stop_price(rules: tuple[PolicyRule, ...], on: Modelled) -> Decimal | None:
    """Where the resting stops of these rules have closed all of the position; None where they never do."""
    return _price(rules, on, ProtectionKind.STOP_LOSS)


def profit_price(rules: tuple[PolicyRule, ...], on: Modelled) -> Decimal | None:
    """The same of their take-profits."""
    return _price(rules, on, ProtectionKind.TAKE_PROFIT)


def alone(rule: PolicyRule, action: StopLoss | TakeProfit) -> PolicyRule:
    """The rule as if it asked for this order of the whole position only."""
    return replace(rule, then=(replace(action, size=WHOLE, tranche=0),))


def asked_price(rule: PolicyRule, action: StopLoss, on: Modelled) -> Decimal | None:
    """Where a stop would lie if nothing kept it clear of liquidation: as it was written."""
    prices = [
        price
        for trigger in action.triggers
        if trigger.kind is not TriggerKind.PRICE
        for price in [_unbounded(alone(rule, replace(action, triggers=(trigger,))), on, trigger.kind)]
        if price is not None
    ]
    sign = on.case.side.sign
    return max(prices, key=lambda price: sign * price, default=None)


def _unbounded(rule: PolicyRule, on: Modelled, kind: TriggerKind) -> Decimal | None:
    view = on.view
    if kind is not TriggerKind.LIQUIDATION_BUFFER:
        view = replace(view, risk=replace(view.risk, liquidation=Absent.NONE))
    return stop_price((rule,), replace(on, view=view))


def _price(rules: tuple[PolicyRule, ...], on: Modelled, kind: ProtectionKind) -> Decimal | None:
    """Marks in the order in which they are reached; the one at which the sizes wanted make up the whole."""
    view = on.view
    risk, memory = view.risk, EpisodeMemory()
    found = wanted_protection(rules, on.state, view.held, risk, view.instrument, memory, blind=False, reached=risk.mark)
    sign = on.case.side.sign if kind is ProtectionKind.STOP_LOSS else -on.case.side.sign
    left = view.risk.quantity
    for order in sorted(found.protect.wanted, key=lambda order: -sign * order.trigger_price):
        if order.kind is kind:
            left -= left if order.size is None else order.size
            if left <= 0:
                return order.trigger_price
    return None
