"""Facts about orders that rest: which covers what, which is as tight as another, which stands in for one that ends. Pure."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from guardd.execution.proposal import Bounds
from guardd.execution.windows import reason_of
from guardd.model.instant import Instant
from guardd.model.intent import ModifyProtection, PlaceProtection, Stage, Write
from guardd.model.names import EpisodeId, PositionKey, RuleName, Side
from guardd.model.order import PlanOrder, ProtectionKind, RestingOrder
from guardd.model.outcome import Reason
from guardd.model.reading import is_value
from guardd.model.state import AccountState, Finished, Held

MOVE_RATIO_MIN: Final = Decimal("0.001")
"""A stop moves from 0.1 % on (interfaces.md 2.4)."""
REFUSALS_HOLD_S: Final = 60.0
"""How long a venue's refusal of a form of protection is taken for its standing answer; then the ladder is tried anew."""
LATE_MS_MAX: Final = 120_000
"""How long a venue may keep a request that got no answer before it carries it out, and how far its stamps may lie apart."""


def is_missing_stop(write: Write, state: AccountState) -> bool:
    """True for a stop-loss on a position that our live stops don't cover: it passes every limit (interfaces.md 2.6).

    One that is larger than the position doesn't cover it: the venue may refuse it when it fires (BitMart reference, 40020).
    """
    return (
        isinstance(write, PlaceProtection) and write.kind is ProtectionKind.STOP_LOSS and _lacks_stop(write.key, state)
    )


def is_missing_part(write: Write, state: AccountState) -> bool:
    """True for a stop of ours that is enlarged because the position grew beyond its stops: it passes the limits too."""
    if not isinstance(write, ModifyProtection) or write.kind is not ProtectionKind.STOP_LOSS or write.size is None:
        return False
    plan = state.plans.get(write.order_id)
    return plan is not None and plan.size is not None and write.size > plan.size and _lacks_stop(write.key, state)


def _lacks_stop(key: PositionKey, state: AccountState) -> bool:
    held = state.held.get(key)
    if held is None:
        return False
    quantity = held.position.quantity
    mine = [
        plan for plan in own_plans(state, key, ProtectionKind.STOP_LOSS) if plan.size is None or plan.size <= quantity
    ]
    return covered(mine, quantity) < quantity


def own_plans(state: AccountState, key: PositionKey, kind: ProtectionKind) -> tuple[PlanOrder, ...]:
    """Resting protection of one kind that this guard made, oldest first."""
    return tuple(plan for plan in state.plans_of(key) if plan.protection is kind and made_by_us(state, plan))


def strangers(state: AccountState, key: PositionKey, kind: ProtectionKind) -> tuple[PlanOrder, ...]:
    """Resting protection of one kind that this guard didn't make."""
    return tuple(plan for plan in state.plans_of(key) if plan.protection is kind and not made_by_us(state, plan))


def made_by_us(state: AccountState, order: PlanOrder | RestingOrder) -> bool:
    """True for an order of ours; also for one without a client id that arrived after everybody had given it up.

    Such a plain plan order is known by what it is: an intent that was void or never listed asked for exactly this, just then.
    """
    if state.owns(order):
        return True
    if isinstance(order, RestingOrder) or order.client_id:
        return False
    offset_ms = state.clock_offset_ms or 0
    return any(_is_late(order, finished, offset_ms) for finished in state.finished)


def _is_late(order: PlanOrder, finished: Finished, offset_ms: int) -> bool:
    write = finished.intent.write
    if finished.stage not in (Stage.VOID, Stage.FAILED) or not isinstance(write, PlaceProtection):
        return False
    age_ms = order.created_ms - finished.intent.decided.wall_ms - offset_ms
    return (
        (order.key, order.protection, order.trigger_price) == (write.key, write.kind, write.trigger_price)
        and order.size == (write.size if write.size is not None else write.position_size)
        and -LATE_MS_MAX <= age_ms <= LATE_MS_MAX
    )


def covered(plans: Iterable[PlanOrder], quantity: Decimal) -> Decimal:
    """Contracts that these orders close together."""
    total = sum((quantity if plan.size is None else plan.size for plan in plans), Decimal(0))
    return min(total, quantity)


def as_tight(trigger: Decimal, other: Decimal, side: Side) -> bool:
    """True when a stop at `trigger` fires no later than one at `other`."""
    return (trigger - other) * side.sign >= 0


def near_enough(trigger: Decimal, wanted: Decimal, side: Side) -> bool:
    """Looser than wanted by less than a stop is moved for (interfaces.md 2.4)."""
    return 0 <= (wanted - trigger) * side.sign < MOVE_RATIO_MIN * trigger


def adequate(plan: PlanOrder, wanted_trigger: Decimal, bounds: Bounds) -> bool:
    """A stop that does what the policy's would: market, between L and the mark, at least as tight (interfaces.md 2.4)."""
    if plan.protection is not ProtectionKind.STOP_LOSS or plan.execution_price is not None:
        return False
    return is_between(plan.trigger_price, bounds, plan.key.side) and as_tight(
        plan.trigger_price, wanted_trigger, plan.key.side
    )


def is_between(trigger: Decimal, bounds: Bounds, side: Side) -> bool:
    """Between L and the mark, where a stop may stand (I4)."""
    if not is_value(bounds.mark) or (bounds.mark - trigger) * side.sign <= 0:
        return False
    limit = bounds.liquidation_price
    return not is_value(limit) or (trigger - limit) * side.sign > 0


def lists_are_older(state: AccountState, held: Held) -> bool:
    """The quantity changed after the plan orders were asked for: one of those listed may have fired since."""
    return state.plans_started is None or state.plans_started.mono_ns < held.changed.mono_ns


def stands_in_for(
    instead: PlanOrder, ending: PlanOrder, quantity: Decimal, others: Iterable[PlanOrder], placed_for: Decimal
) -> bool:
    """True when ending one stop leaves its position no worse: `instead` is as tight, and covers as much or the rest is covered.

    `others`: every live stop of ours but the one that ends. `placed_for`: the quantity that `instead` was placed to cover; a
    position that grew since is covered anew by the next order, since two generations leave no room for a third (I5).
    """
    if instead.order_id == ending.order_id or instead.key != ending.key or instead.protection is not ending.protection:
        return False
    if instead.execution_price is not None or not as_tight(
        instead.trigger_price, ending.trigger_price, ending.key.side
    ):
        return False
    needed = min(quantity, placed_for, quantity if ending.size is None else ending.size)
    return covered([instead], quantity) >= needed or covered(others, quantity) >= quantity


def stands_as_asked(
    ending: PlanOrder, others: Iterable[PlanOrder], asked: Iterable[tuple[Decimal, Decimal]], quantity: Decimal
) -> bool:
    """True when without this stop the others close by every price from its own on as much as the policy's ladder asks by then.

    `asked`: trigger prices, and the contracts that shall be closed by each. One beyond the last of them needs all that is asked.
    """
    side, live = ending.key.side, [plan for plan in others if plan.execution_price is None]
    ladder = sorted(asked, key=lambda rung: -side.sign * rung[0])
    later = [rung for rung in ladder if as_tight(ending.trigger_price, rung[0], side)] or ladder[-1:]
    return bool(later) and all(
        covered([plan for plan in live if as_tight(plan.trigger_price, price, side)], quantity)
        >= min(contracts, quantity)
        for price, contracts in later
    )


def makes_room(state: AccountState, instead: PlanOrder, ending: PlanOrder) -> bool:
    """True where two generations of one tranche rest and neither is what is wanted now: the looser may end before the third is
    placed, as tight a one stands (I5)."""
    if instead.order_id == ending.order_id or instead.size is None or ending.size is None:
        return False
    if not as_tight(instead.trigger_price, ending.trigger_price, ending.key.side):
        return False
    return bool(_slots(state, instead) & _slots(state, ending))


def _slots(state: AccountState, plan: PlanOrder) -> set[tuple[EpisodeId, RuleName]]:
    """What an order of ours was placed for: a slot of a life."""
    return {
        (finished.intent.episode, finished.intent.rule)
        for finished in state.finished
        if isinstance(finished.intent.write, PlaceProtection)
        and (finished.order_id == plan.order_id or finished.intent.id == plan.client_id)
    }


def placed_for(state: AccountState, plan: PlanOrder, quantity: Decimal) -> Decimal:
    """How much was held when an order of ours was decided, as far as it is remembered; else `quantity`."""
    for finished in reversed(state.finished):
        write = finished.intent.write
        if isinstance(write, PlaceProtection) and (
            finished.order_id == plan.order_id or finished.intent.id == plan.client_id
        ):
            return write.position_size
    return quantity


def venue_allows_one(state: AccountState, key: PositionKey, kind: ProtectionKind, now: Instant) -> bool:
    """True when the venue has just refused a second protective order of this kind because one exists."""
    for finished in reversed(state.finished.of(key)):
        if now.seconds_since(finished.at) > REFUSALS_HOLD_S:
            return False
        write = finished.intent.write
        if isinstance(write, PlaceProtection) and write.kind is kind:
            if finished.stage is Stage.VERIFIED:
                return False
            if reason_of(finished) is Reason.PROTECTION_EXISTS:
                return True
    return False
