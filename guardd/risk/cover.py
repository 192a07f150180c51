"""Protection cover: which resting orders are adequate stops of a position (interfaces.md 2.4 "Adequate")."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from msgspec import Struct

from guardd.model.decision import WantedOrder
from guardd.model.instant import Instant
from guardd.model.intent import Action, Stage
from guardd.model.names import PriceType, Side
from guardd.model.order import PlanOrder, ProtectionKind
from guardd.model.reading import Absent, Reading, is_value
from guardd.model.state import AccountState, Held
from guardd.risk.ages import ages_of, plans_are_fresh
from guardd.risk.assess import PositionRisk

MOVE_PACE_S: Final = 6.0
"""A stop of ours moves at most once in 5 s (interfaces.md 2.4), and a second is spent on the way: so long it may lag behind what
is wanted, as one that trails a rising mark does."""
MOVED_FROM: Final = Decimal("0.001")
"""A stop is moved from 0.1 % on (interfaces.md 2.4); what is looser by less is as good as wanted."""


class Cover(Struct, frozen=True, kw_only=True):
    """What rests below a long, or above a short. Sizes in contracts."""

    protected: bool
    """Adequate stops cover all of the position and the list that shows them is fresh."""
    wanted_met: bool
    """Each wanted stop is met by orders at least as tight, of at least its size; true when none is wanted."""
    adequate: tuple[PlanOrder, ...]
    """The adequate orders, tightest first, ours and strangers'."""
    covered: Decimal
    """Contracts that they close, never above the quantity."""
    unprotectable: bool
    """Less than the venue's smallest order, and nothing covers it."""
    note: str
    """For people: why it isn't protected, or a warning about how it is; empty when all is well."""


def cover(
    state: AccountState, held: Held, risk: PositionRisk, *, wanted: Sequence[WantedOrder] = (), now: Instant
) -> Cover:
    """Judge the plan orders that rest on a position against its risk at the present mark.

    `wanted`: the stops that the policy asks for (other kinds are passed over); an order looser than the loosest isn't adequate.
    """
    stops = [order for order in wanted if order.kind is ProtectionKind.STOP_LOSS]
    loosest = _loosest(stops, risk.key.side)
    paced = _was_just_moved(state, held, now)
    judged = [
        (plan, stop_flaw(plan, risk, wanted_trigger=None if paced and state.owns(plan) else loosest))
        for plan in state.plans_of(held.key)
    ]
    adequate = sorted(
        (plan for plan, flaw in judged if not flaw),
        key=lambda plan: (-risk.key.side.sign * plan.trigger_price, plan.created_ms, plan.order_id),
    )
    fresh = plans_are_fresh(ages_of(state, held, now))
    quantity = held.position.quantity
    covered = covered_by(adequate, quantity)
    protected = fresh and covered >= quantity
    instrument = state.instruments.get(held.key.symbol)
    dust = instrument is not None and quantity < instrument.min_size
    return Cover(
        protected=protected,
        wanted_met=fresh and all(_met(order, stops, adequate, quantity, risk.key.side) for order in stops),
        adequate=tuple(adequate),
        covered=covered,
        unprotectable=dust and not protected,
        note=_note(fresh=fresh, protected=protected, dust=dust, covered=covered, judged=judged, quantity=quantity),
    )


def stop_flaw(plan: PlanOrder, risk: PositionRisk, *, wanted_trigger: Decimal | None = None) -> str:
    """Why a resting plan order is no adequate stop of the position, in words; empty when it is one. Its size isn't judged."""
    sign = risk.key.side.sign
    if plan.key != risk.key or plan.protection is not ProtectionKind.STOP_LOSS:
        return "not a stop of this position"
    if plan.execution_price is not None:
        return f"executes as a limit order at {plan.execution_price}: it may be left behind"
    if sign * (risk.mark - plan.trigger_price) <= 0:
        return f"its trigger {plan.trigger_price} isn't before the mark {risk.mark}"
    bound = risk.stop_bound
    if is_value(bound) and sign * (plan.trigger_price - bound) <= 0:
        return f"its trigger {plan.trigger_price} lies at or beyond the liquidation price {bound}"
    if wanted_trigger is not None and not as_tight(plan.trigger_price, wanted_trigger, risk.key.side):
        return f"its trigger {plan.trigger_price} is looser than the wanted {wanted_trigger}"
    return ""


def as_tight(trigger: Decimal, wanted: Decimal, side: Side) -> bool:
    """At least as tight as wanted, give or take what a stop isn't moved for: what is wanted drifts with every other mark."""
    return side.sign * (trigger - wanted) >= -MOVED_FROM * wanted


def covered_by(plans: Iterable[PlanOrder], quantity: Decimal) -> Decimal:
    """Contracts that these orders close together: a whole-position order all of them, sized ones their sum."""
    total = sum((quantity if plan.size is None else plan.size for plan in plans), Decimal(0))
    return min(total, quantity)


def protected_notional_ratio(positions: Iterable[tuple[Reading, bool]]) -> Reading:
    """Share of the notional that is protected, from (notional, protected) of each position; none without positions."""
    total = protected = Decimal(0)
    for notional, is_protected in positions:
        if not is_value(notional):
            return Absent.UNKNOWN
        total += notional
        protected += notional if is_protected else 0
    return protected / total if total else Absent.NONE


def _was_just_moved(state: AccountState, held: Held, now: Instant) -> bool:
    for finished in reversed(state.finished.of(held.key)):
        if now.seconds_since(finished.at) > MOVE_PACE_S:
            return False
        intent = finished.intent
        if intent.action is Action.STOP_LOSS and intent.episode == held.episode.id and finished.stage is Stage.VERIFIED:
            return True
    return False


def _loosest(stops: Sequence[WantedOrder], side: Side) -> Decimal | None:
    triggers = [order.trigger_price for order in stops]
    if not triggers:
        return None
    return min(triggers) if side is Side.LONG else max(triggers)


def _met(
    order: WantedOrder, stops: Sequence[WantedOrder], adequate: Sequence[PlanOrder], quantity: Decimal, side: Side
) -> bool:
    """True when orders at least as tight close at least what is wanted to be closed by then, tranches of a ladder included."""

    wanted = order.trigger_price
    by_then = sum(
        (quantity if stop.size is None else stop.size for stop in stops if as_tight(stop.trigger_price, wanted, side)),
        Decimal(0),
    )
    tight = [plan for plan in adequate if as_tight(plan.trigger_price, wanted, side)]
    return covered_by(tight, quantity) >= min(by_then, quantity)


def _note(
    *,
    fresh: bool,
    protected: bool,
    dust: bool,
    covered: Decimal,
    judged: Sequence[tuple[PlanOrder, str]],
    quantity: Decimal,
) -> str:
    if protected:
        by_last = [plan.order_id for plan, flaw in judged if not flaw and plan.price_type is PriceType.LAST]
        return f"triggered by the last price, not by mark: {', '.join(by_last)}" if by_last else ""
    if not fresh:
        return "the list of plan orders is too old to tell"
    if dust:
        return f"unprotectable: {quantity} contracts are below the venue's smallest order"
    if covered > 0:
        return f"stops cover {covered} of {quantity} contracts"
    flaws = [f"order {plan.order_id}: {flaw}" for plan, flaw in judged if plan.protection is ProtectionKind.STOP_LOSS]
    return "; ".join(flaws) if flaws else "no stop rests on it"
