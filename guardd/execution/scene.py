"""What one position's protection is judged on, and the judgements: what fits, what may have happened meanwhile, what others did."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from msgspec import Struct

from guardd.execution.proposal import Bounds
from guardd.execution.protect import Slot, last_trigger, lost, with_trigger
from guardd.execution.resting import MOVE_RATIO_MIN, adequate, as_tight, is_between, near_enough
from guardd.model.footing import FilledTranche
from guardd.model.instant import Instant
from guardd.model.intent import Action, PlaceProtection, Stage
from guardd.model.names import PriceType, RuleName
from guardd.model.order import PlanOrder, ProtectionKind
from guardd.model.reading import is_value
from guardd.model.state import AccountState, Finished, Held

MOVE_PACE_S: Final = 5.0
CLOSE_ALONE_S: Final = 3.0
"""How long a close in flight is taken for the end of the position."""
FIGURES_AGREE_S: Final = 3.0
"""Position and plan list are read one after the other: a tranche that may have filled between is left as it is for so long."""
READ_AFTER_S: Final = 0.1
"""A position that was answered so long after a list was asked for after it."""


class Scene(Struct, frozen=True, kw_only=True):
    """What every slot of one position is judged on."""

    held: Held
    state: AccountState
    bounds: Bounds
    now: Instant
    filled: Mapping[RuleName, FilledTranche]
    """Tranches that are done for the episode."""
    stops: tuple[Slot, ...] = ()
    cancelled_at: tuple[Decimal, ...] = ()
    """Triggers of stops for the whole position that the policy names no more and that somebody else ended."""


def is_being_closed(scene: Scene) -> bool:
    """A close was just sent. One that nobody hears of again must not keep the position from its stop."""
    return any(
        pending.intent.action is Action.CLOSE and scene.now.seconds_since(pending.intent.decided) <= CLOSE_ALONE_S
        for pending in scene.state.in_flight(scene.held.key)
    )


def may_have_filled(plan: PlanOrder, slot: Slot, scene: Scene) -> bool:
    """The position shrank after the list was read: a tranche that filled leaves the others their size; the list tells."""
    if slot.wanted.size is None or plan.size is None or slot.size is None or plan.size <= slot.size:
        return False
    started, changed = scene.state.plans_started, scene.held.changed
    waited_s = scene.now.seconds_since(changed)
    return started is not None and changed.mono_ns > started.mono_ns and waited_s < FIGURES_AGREE_S


def position_is_older(scene: Scene) -> bool:
    """The position was read before the list that an order is missing from: whether it filled, the next read tells."""
    listed = scene.state.plans_at
    if listed is None or scene.held.read.seconds_since(listed) >= READ_AFTER_S:
        return False
    return scene.now.seconds_since(listed) < FIGURES_AGREE_S


def ratcheted(slot: Slot, scene: Scene) -> Slot:
    """A stop of ours that rests tighter than wanted sets what is wanted: no change leads away from the price (I11)."""
    if slot.kind is not ProtectionKind.STOP_LOSS:
        return slot
    trigger = slot.wanted.trigger_price
    for plan in slot.resting:
        if adequate(plan, trigger, scene.bounds):
            trigger = plan.trigger_price
    if not slot.resting:
        side, before = scene.held.key.side, last_trigger(slot, scene.state)
        drifted = before is not None and near_enough(
            trigger, before, side
        )  # what is remembered follows in steps of 0.1 %
        rested = (*(scene.cancelled_at if slot.size is None else ()), *((before,) if drifted else ()))
        tighter = [each for each in rested if each is not None and is_between(each, scene.bounds, side)]
        trigger = max((trigger, *tighter), key=lambda each: each * side.sign)
    return with_trigger(slot, trigger)


def cancelled_at(slot: Slot, scene: Scene) -> tuple[Decimal, ...]:
    """A trail that the mark overtook while its stop lagged is named no more; its stop, cancelled by hand, comes back as it was."""
    gone, trigger = lost(slot, scene.state), last_trigger(slot, scene.state)
    if gone is None or trigger is None or slot.size is not None or slot.name in scene.filled:
        return ()
    return () if gone.order_id in scene.state.fired or taken_over(gone, scene) else (trigger,)


def taken_over(gone: Finished, scene: Scene) -> bool:
    """Another stop for the whole position was verified after it: what became of it then is settled."""
    ended = scene.state.finished.of(scene.held.key)
    after = next(number for number, each in enumerate(ended, 1) if each is gone)
    return any(
        each.stage is Stage.VERIFIED
        and each.intent.episode == scene.held.episode.id
        and isinstance(write := each.intent.write, PlaceProtection)
        and write.kind is ProtectionKind.STOP_LOSS
        and write.size is None
        for each in ended[after:]
    )


def fits(plan: PlanOrder, slot: Slot, scene: Scene) -> bool:
    if plan.execution_price is not None or not size_fits(plan, slot, scene.held):
        return False
    if plan.price_type is not slot.wanted.price_type and plan.price_type is not PriceType.MARK:
        return False
    if slot.kind is ProtectionKind.STOP_LOSS:
        return as_tight(plan.trigger_price, slot.wanted.trigger_price, plan.key.side)
    return plan.trigger_price == slot.wanted.trigger_price


def size_fits(plan: PlanOrder, slot: Slot, held: Held) -> bool:
    if slot.size is None:
        return plan.size is None or plan.size == held.position.quantity
    return plan.size == slot.size or (plan.size is None and slot.size == held.position.quantity)


def is_worth_a_move(slot: Slot, plan: PlanOrder) -> bool:
    """Moves of a stop are at least 0.1 % (interfaces.md 2.4)."""
    moved = abs(slot.wanted.trigger_price - plan.trigger_price)
    return slot.kind is ProtectionKind.TAKE_PROFIT or moved >= MOVE_RATIO_MIN * plan.trigger_price


def moved_lately(slot: Slot, scene: Scene) -> bool:
    """Moves are 5 s apart (interfaces.md 2.4); one that was refused is no move."""
    last = next((each.at for each in reversed(slot.history) if each.stage is Stage.VERIFIED), None)
    return last is not None and scene.now.seconds_since(last) < MOVE_PACE_S


def fired_unseen(slot: Slot, scene: Scene) -> bool:
    """The mark is through the trigger of a stop that is no longer listed: it fired, though no push said so.

    The last mark by REST must say so too: a stop that somebody cancels during one bad tick didn't fire (I28).
    """
    trigger, read = last_trigger(slot, scene.state), scene.state.rest_marks.get(scene.held.key.symbol)
    if trigger is None or not is_past(slot, scene):
        return False
    return read is None or as_tight(trigger, read.mark, scene.held.key.side)


def is_past(slot: Slot, scene: Scene) -> bool:
    """The mark of the moment is through the trigger of the stop that rested last."""
    trigger, mark = last_trigger(slot, scene.state), scene.bounds.mark
    if trigger is None or not is_value(mark) or slot.kind is not ProtectionKind.STOP_LOSS:
        return False
    return as_tight(trigger, mark, scene.held.key.side)
