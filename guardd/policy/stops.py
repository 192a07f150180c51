"""The protection that shall rest on a position (interfaces.md 2.4 "Stops"): where it triggers, and what to do when it can't.

A stop lies strictly between liquidation and mark (I4), on tick, rounded towards the mark. Of several the tightest wins, and
within an episode nothing moves it away from the price again (I11): what already rests, or was wanted, is the least there is.
"""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, assert_never

from guardd.model.decision import IfPassed, OnUnprotected, Protect, WantedOrder
from guardd.model.instrument import Instrument
from guardd.model.names import PriceType, RuleName
from guardd.model.order import PlanOrder, ProtectionKind
from guardd.model.reading import is_value
from guardd.model.state import AccountState, Held
from guardd.policy.language import PolicyRule, StopLoss, TakeProfit, Trigger, TriggerKind
from guardd.policy.memory import EpisodeMemory
from guardd.risk.assess import PositionRisk

CLEAR_OF_LIQUIDATION: Final = Decimal("0.1")
"""A stop that would lie at or beyond liquidation is put this share of the way from there to the mark."""
LATCHED: Final = RuleName("latched-stop")
"""The name under which a stop goes on that no rule of the present policy asks for (I23)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PassedStop:
    """A stop whose trigger the mark has passed, of a rule that says `if_passed: close`: close, once the mark is confirmed."""

    rule: RuleName
    trigger_price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """What shall rest, and what must be done or told because something can't."""

    protect: Protect
    passed: PassedStop | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _At:
    """Everything that a trigger price is reckoned from."""

    state: AccountState
    held: Held
    risk: PositionRisk
    instrument: Instrument
    memory: EpisodeMemory

    @property
    def sign(self) -> int:
        return self.held.key.side.sign

    def own(self, kind: ProtectionKind) -> list[PlanOrder]:
        return [
            plan for plan in self.state.plans_of(self.held.key) if plan.protection is kind and self.state.owns(plan)
        ]


def wanted_protection(
    rules: tuple[PolicyRule, ...],
    state: AccountState,
    held: Held,
    risk: PositionRisk,
    instrument: Instrument,
    memory: EpisodeMemory,
    *,
    blind: bool,
) -> Protection:
    """The protection that `rules` (those that are about this position and true) ask for. Remembers what it wanted.

    `blind`: the figures are too old; what was wanted stays as it is, and only a stop that was never placed is reckoned.
    """
    at = _At(state, held, risk, instrument, memory)
    stop, passed, impossible = _stop(rules, at, blind=blind)
    profit, notes = _profit(rules, at)
    wanted = tuple(order for order in (stop, profit) if order is not None)
    protect = Protect(key=held.key, episode=held.episode.id, wanted=wanted, impossible=impossible)
    return Protection(protect=protect, passed=passed, notes=notes)


# Stops


def _stop(
    rules: tuple[PolicyRule, ...], at: _At, *, blind: bool
) -> tuple[WantedOrder | None, PassedStop | None, tuple[str, ...]]:
    kept = _kept(at)
    found: list[WantedOrder] = []
    impossible: list[str] = []
    passed: PassedStop | None = None
    for rule in rules:
        for action in rule.then:
            if not isinstance(action, StopLoss) or (blind and kept is not None):
                continue
            order, through, why = _rule_stop(rule, action, at)
            if order is not None:
                found.append(order)
            if through is not None and (passed is None or at.sign * (through.trigger_price - passed.trigger_price) > 0):
                passed = through
            if why:
                impossible.append(f"{rule.name}: {why}")
    tightest = max(found, key=lambda order: at.sign * order.trigger_price, default=None)
    if kept is not None and (tightest is None or at.sign * (kept.trigger_price - tightest.trigger_price) >= 0):
        tightest = _clear(_with_choices_of(kept, tightest), at)
    _remember(at, tightest)
    return tightest, passed, () if tightest is not None else tuple(impossible)


def _kept(at: _At) -> WantedOrder | None:
    """The tightest of what rests as ours and what was wanted and isn't passed: no automatic change goes behind it."""
    floors = [(plan.trigger_price, plan.price_type, LATCHED) for plan in at.own(ProtectionKind.STOP_LOSS)]
    latch = at.memory.tightest_stop
    if latch is not None and not _through(latch[0], at):
        floors.append(latch)
    if not floors:
        return None
    price, price_type, rule = max(floors, key=lambda floor: (at.sign * floor[0], floor[2] != LATCHED))
    return _order(ProtectionKind.STOP_LOSS, rule, price, price_type, OnUnprotected.ALERT)


def _with_choices_of(kept: WantedOrder, asked: WantedOrder | None) -> WantedOrder:
    """The kept place with the choices of the rule that asks for a stop now; its name too, unless we know whose it was."""
    if asked is None:
        return kept
    rule = asked.rule if kept.rule == LATCHED else kept.rule
    return _order(kept.kind, rule, kept.trigger_price, kept.price_type, asked.on_unprotected)


def _clear(kept: WantedOrder, at: _At) -> WantedOrder:
    """A kept stop that liquidation has overtaken protects nothing: it follows, towards the price (I4)."""
    bound = at.risk.stop_bound
    if not is_value(bound) or at.sign * (kept.trigger_price - bound) > 0:
        return kept
    moved = _between(kept.trigger_price, at)
    return kept if moved is None else replace(kept, trigger_price=moved)


def _rule_stop(rule: PolicyRule, action: StopLoss, at: _At) -> tuple[WantedOrder | None, PassedStop | None, str]:
    """One rule's stop: the order, the trigger that was passed where it says close, and why there is none."""
    prices = [price for trigger in action.triggers if (price := _price(rule, trigger, ProtectionKind.STOP_LOSS, at))]
    prices.sort(key=lambda price: at.sign * price, reverse=True)
    if not prices:
        return None, None, "none of its triggers can be computed"
    through = [price for price in prices if _through(price, at)]
    open_prices = [price for price in prices if not _through(price, at)]
    passed: PassedStop | None = None
    if through:
        match action.if_passed:
            case IfPassed.CLOSE if at.held.episode.had_verified_stop:
                passed = PassedStop(rule=rule.name, trigger_price=through[0])
            case IfPassed.ALERT:
                return None, None, f"the mark {at.risk.mark} has passed its trigger {through[0]}"
            case IfPassed.CLOSE | IfPassed.NEXT:
                pass
            case _:
                assert_never(action.if_passed)
    if not open_prices:
        return None, passed, f"the mark {at.risk.mark} has passed its trigger {through[-1]}"
    placed = _between(open_prices[0], at)
    if placed is None:
        return None, passed, f"no tick lies between liquidation {at.risk.stop_bound} and the mark {at.risk.mark}"
    return _order(ProtectionKind.STOP_LOSS, rule.name, placed, action.price_type, action.on_unprotected), passed, ""


def _between(price: Decimal, at: _At) -> Decimal | None:
    """The price on tick strictly between liquidation and mark (I4); None where no tick lies there."""
    bound, mark = at.risk.stop_bound, at.risk.mark
    if is_value(bound) and at.sign * (price - bound) <= 0:
        price = bound + CLEAR_OF_LIQUIDATION * (mark - bound)
    down, up = at.instrument.price_down(price), at.instrument.price_up(price)
    for rounded in (up, down) if at.sign > 0 else (down, up):
        clear = not is_value(bound) or at.sign * (rounded - bound) > 0
        if rounded > 0 and clear and not _through(rounded, at):
            return rounded
    return None


def _remember(at: _At, order: WantedOrder | None) -> None:
    if order is None:
        return
    latch = at.memory.tightest_stop
    if latch is None or at.sign * (order.trigger_price - latch[0]) >= 0:
        at.memory.tightest_stop = (order.trigger_price, order.price_type, order.rule)


def _through(price: Decimal, at: _At) -> bool:
    """True when a stop at this price is at or through the mark."""
    return at.sign * (at.risk.mark - price) <= 0


# Take-profits


def _profit(rules: tuple[PolicyRule, ...], at: _At) -> tuple[WantedOrder | None, tuple[str, ...]]:
    """The nearest take-profit; it follows the entry. One that the mark has passed isn't placed, and stays where it rests."""
    found: list[WantedOrder] = []
    notes: list[str] = []
    for rule in rules:
        for action in rule.then:
            if isinstance(action, TakeProfit):
                order, note = _rule_profit(rule, action, at)
                found.extend([order] if order is not None else [])
                notes.extend([f"{rule.name}: {note}"] if note else [])
    return min(found, key=lambda order: at.sign * order.trigger_price, default=None), tuple(notes)


def _rule_profit(rule: PolicyRule, action: TakeProfit, at: _At) -> tuple[WantedOrder | None, str]:
    kind = ProtectionKind.TAKE_PROFIT
    prices = [price for trigger in action.triggers if (price := _price(rule, trigger, kind, at))]
    rounded = [at.instrument.price_down(price) if at.sign > 0 else at.instrument.price_up(price) for price in prices]
    rounded = sorted((price for price in rounded if price > 0), key=lambda price: at.sign * price)
    resting = {plan.trigger_price for plan in at.own(kind)}
    for price in rounded:
        if at.sign * (price - at.risk.mark) > 0 or price in resting:
            return _order(kind, rule.name, price, action.price_type, OnUnprotected.ALERT), ""
    if not rounded:
        return None, "its take-profit can't be computed"
    return None, f"the mark {at.risk.mark} has passed its take-profit {rounded[-1]}"


# Trigger prices


def _price(rule: PolicyRule, trigger: Trigger, kind: ProtectionKind, at: _At) -> Decimal | None:
    """The price that a trigger means, not yet on tick; None where it can't be computed."""
    entry, risk = at.held.position.entry_price, at.risk
    match trigger.kind:
        case TriggerKind.PRICE:
            price = trigger.value
        case TriggerKind.FROM_ENTRY:
            price = entry * (1 + at.sign * trigger.value)
        case TriggerKind.FROM_MARK:
            return _from_mark(rule, trigger, kind, at)
        case TriggerKind.LIQUIDATION_BUFFER:
            bound = risk.stop_bound
            if not is_value(bound):
                return None
            price = bound + trigger.value * (entry - bound)
        case _:
            assert_never(trigger.kind)
    return price if price > 0 else None


def _from_mark(rule: PolicyRule, trigger: Trigger, kind: ProtectionKind, at: _At) -> Decimal | None:
    """Fixed at first placing: after a restart what rests tells where that was."""
    anchors = at.memory.anchors
    if (rule.name, kind) not in anchors:
        own = at.own(kind)
        if own:
            return max((plan.trigger_price for plan in own), key=lambda price: at.sign * price)
        anchors[rule.name, kind] = at.risk.mark
    return anchors[rule.name, kind] * (1 + at.sign * trigger.value)


def _order(
    kind: ProtectionKind, rule: RuleName, price: Decimal, price_type: PriceType, on_unprotected: OnUnprotected
) -> WantedOrder:
    return WantedOrder(
        kind=kind,
        rule=rule,
        tranche=0,
        trigger_price=price,
        price_type=price_type,
        size=None,
        on_unprotected=on_unprotected,
    )
