"""Where a trigger means: its price, on tick, strictly between liquidation and the mark for a stop (interfaces.md 2.4, I4)."""

from decimal import Decimal
from typing import Final, assert_never

from msgspec import Struct

from guardd.model.instrument import Instrument
from guardd.model.names import RuleName
from guardd.model.order import PlanOrder, ProtectionKind
from guardd.model.reading import is_value
from guardd.model.state import AccountState, Held
from guardd.policy.language import Trigger, TriggerKind
from guardd.policy.memory import EpisodeMemory
from guardd.risk.assess import PositionRisk

CLEAR_OF_LIQUIDATION: Final = Decimal("0.1")
"""A stop that would lie at or beyond liquidation is put this share of the way from there to the mark."""


class At(Struct, frozen=True):
    """Everything that a trigger price is reckoned from."""

    state: AccountState
    held: Held
    risk: PositionRisk
    instrument: Instrument
    memory: EpisodeMemory
    reached: Decimal | None = None
    """How far in the position's favour the mark has come, confirmed by a second witness; None while it isn't."""

    @property
    def sign(self) -> int:
        return self.held.key.side.sign

    def own(self, kind: ProtectionKind) -> list[PlanOrder]:
        """Our resting orders of a kind, those that fire first first."""
        plans = [plan for plan in self.state.plans_of(self.held.key) if plan.protection is kind]
        nearest = -self.sign if kind is ProtectionKind.STOP_LOSS else self.sign
        return sorted((plan for plan in plans if self.state.owns(plan)), key=lambda plan: nearest * plan.trigger_price)

    def through(self, price: Decimal) -> bool:
        """True when a stop at this price is at or through the mark."""
        return self.sign * (self.risk.mark - price) <= 0

    def tighter(self, price: Decimal, other: Decimal) -> Decimal:
        return max(price, other) if self.sign > 0 else min(price, other)


def price_of(rule: RuleName, trigger: Trigger, kind: ProtectionKind, at: At, *, place: int = 0) -> Decimal | None:
    """The price that a trigger means, not yet on tick; None where it can't be computed. `place`: in its ladder."""
    entry, risk = at.held.position.entry_price, at.risk
    match trigger.kind:
        case TriggerKind.PRICE:
            price = trigger.value
        case TriggerKind.FROM_ENTRY:
            price = entry * (1 + at.sign * trigger.value)
        case TriggerKind.FROM_MARK:
            return _from_mark(rule, trigger, kind, at, place)
        case TriggerKind.LIQUIDATION_BUFFER:
            bound = risk.stop_bound
            if not is_value(bound):
                return None
            price = bound + trigger.value * (entry - bound)
        case _:
            assert_never(trigger.kind)
    return price if price > 0 else None


def between(price: Decimal, at: At) -> Decimal | None:
    """The price on tick strictly between liquidation and mark, rounded towards the mark; None where no tick lies there."""
    bound, mark = at.risk.stop_bound, at.risk.mark
    if is_value(bound) and at.sign * (price - bound) <= 0:
        price = bound + CLEAR_OF_LIQUIDATION * (mark - bound)
    down, up = at.instrument.price_down(price), at.instrument.price_up(price)
    for rounded in (up, down) if at.sign > 0 else (down, up):
        clear = not is_value(bound) or at.sign * (rounded - bound) > 0
        if rounded > 0 and clear and not at.through(rounded):
            return rounded
    return None


def clear(price: Decimal, at: At) -> Decimal:
    """A kept stop that liquidation has overtaken protects nothing: it follows, towards the price (I4)."""
    bound = at.risk.stop_bound
    if not is_value(bound) or at.sign * (price - bound) > 0:
        return price
    moved = between(price, at)
    return price if moved is None else moved


def _from_mark(rule: RuleName, trigger: Trigger, kind: ProtectionKind, at: At, place: int) -> Decimal:
    """Fixed at first placing: the mark of then is journalled. Where it was lost, what rests tells where that was."""
    fixed = at.memory.fixed
    if (rule, kind) not in fixed:
        own = at.own(kind)
        if own:
            return own[min(place, len(own) - 1)].trigger_price
        fixed[rule, kind] = at.risk.mark
    return fixed[rule, kind] * (1 + at.sign * trigger.value)
