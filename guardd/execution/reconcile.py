"""Wanted protection against what rests: the next write for one position, so that it is never naked by construction. Pure.

For each slot, in this order:
- something of it is in flight: wait (I7); what stands, stands;
- an order of ours fits: it stays, and every other one of the slot ends, now that what stands in its place is listed (I3);
- only the trigger differs: it is moved where the venue can (I11), else replaced: the new one first, listed, then the old one;
- the size differs: replaced at once, whatever the pace of moves, or changed in its place where nothing whole can take over;
- nothing of ours rests: a user's adequate stop will do; else it is placed, down the ladder whole → sized → plan → software.
"""

from decimal import Decimal
from typing import Final

from msgspec.structs import replace

from guardd.execution.closing import exposure_raised
from guardd.execution.forms import can_modify, can_resize, next_form, unsuccessful
from guardd.execution.proposal import Bounds, FiredStop, Note, Proposal, SoftwareStop, Steps
from guardd.execution.protect import (
    Slot,
    end,
    last_trigger,
    lost,
    modify,
    place,
    restorations,
    slots_of,
    tightest,
    unnamed_stops,
    unwanted,
)
from guardd.execution.resting import (
    adequate,
    as_tight,
    covered,
    is_between,
    lists_are_older,
    makes_room,
    near_enough,
    placed_for,
    stands_in_for,
    strangers,
    venue_allows_one,
)
from guardd.execution.scene import (
    Scene,
    cancelled_at,
    fired_unseen,
    fits,
    is_being_closed,
    is_past,
    is_worth_a_move,
    may_have_filled,
    moved_lately,
    position_is_older,
    ratcheted,
    size_fits,
    taken_over,
)
from guardd.model.decision import Protect, finish_name
from guardd.model.instant import Instant
from guardd.model.intent import CancelOrder, PlaceProtection, Stage
from guardd.model.names import OrderId, PriceType, Severity
from guardd.model.order import PlanForm, PlanOrder, ProtectionKind
from guardd.model.outcome import Reason
from guardd.model.state import AccountState, Finished, Pending
from guardd.risk.tranches import closed_for, filled_tranches

PLANS_AGE_S_MAX: Final = 60.0
"""An older plan list shows no protection (interfaces.md 2.3)."""
CONTESTED_FROM: Final = 2
"""Restored this often in ten minutes already: the next time somebody works against the guard."""


def reconcile(protect: Protect, state: AccountState, bounds: Bounds, *, now: Instant) -> Steps:
    """The next writes that bring what rests on one position nearer to what is wanted. Empty once it is so.

    Call it after every change of the position, its orders, the policy's wish, and each outcome; it is idempotent.
    """
    held = state.held.get(protect.key)
    if held is None or held.episode.id != protect.episode or state.plans_at is None:
        return Steps(unprotected="" if state.plans_at is not None else "the plan orders were never read")
    if held.close_seen is not None:
        return Steps()  # a push says that it is gone; the read that was asked for tells before anything is placed on it
    known = {tranche.slot: tranche for tranche in held.episode.footing.filled}
    filled = filled_tranches(state, held, known)
    slots, left_over = slots_of(protect, state, held, filled=filled)
    stops = tuple(slot for slot in slots if slot.kind is ProtectionKind.STOP_LOSS)
    scene = Scene(held=held, state=state, bounds=bounds, now=now, filled=filled, stops=stops)
    unnamed = unnamed_stops(protect, state, held)
    scene = replace(scene, cancelled_at=tuple(found for slot in unnamed for found in cancelled_at(slot, scene)))
    parts = [_slot(slot, scene) for slot in slots]
    parts.extend(_passed(slot, scene) for slot in unnamed)
    parts.append(_not_wanted(protect, left_over, scene))
    steps = _joined(parts, protect, scene)
    if any(isinstance(each.write, CancelOrder) for each in steps.proposals) and lists_are_older(state, held):
        # What is listed may have fired since: nothing ends on it (I3), and `approve` would let nothing end.
        standing = tuple(each for each in steps.proposals if not isinstance(each.write, CancelOrder))
        steps = replace(steps, proposals=standing, lists_first=True)
    return replace(steps, proposals=()) if is_being_closed(scene) else steps


def _slot(slot: Slot, scene: Scene) -> Steps:
    slot = ratcheted(slot, scene)
    pending = next((p for p in scene.state.in_flight(scene.held.key) if p.intent.rule == slot.name), None)
    if pending is not None:
        return _in_flight(slot, pending, scene)
    fitting = tuple(plan for plan in slot.resting if fits(plan, slot, scene))
    if fitting:
        return _keep(slot, fitting, scene)
    if not slot.resting:
        return _nothing_rests(slot, scene)
    if len(slot.resting) > 1:
        return _two_generations(slot, scene)
    best = slot.resting[0]
    if not size_fits(best, slot, scene.held):
        if may_have_filled(best, slot, scene):
            return Steps(lists_first=True)
        return _replace(slot, best, scene, why=f"it covers {best.size} of {slot.size or scene.held.position.quantity}")
    return _move(slot, best, scene)


# What to do about it


def _in_flight(slot: Slot, pending: Pending, scene: Scene) -> Steps:
    if slot.resting or slot.kind is not ProtectionKind.STOP_LOSS:
        return Steps()
    why = f"its stop is {pending.stage}"
    if pending.stage is Stage.UNKNOWN or unsuccessful(slot):
        return Steps(unprotected=why, software_stops=(_software(slot, scene, why),))
    return Steps(unprotected=why)


def _keep(slot: Slot, fitting: tuple[PlanOrder, ...], scene: Scene) -> Steps:
    """The tightest that fits stays, of equals one that follows the whole position; the others of the slot end."""
    best = tightest(fitting, scene.held.key)
    kept = next((p for p in fitting if p.size is None and p.trigger_price == best.trigger_price), best)
    others = [plan for plan in slot.resting if plan.order_id != kept.order_id]
    return Steps(proposals=tuple(_end(plan, kept, scene) for plan in others))


def _two_generations(slot: Slot, scene: Scene) -> Steps:
    """Two rest and neither fits: one is moved into its place, or one ends, before a third could be placed (I5)."""
    quantity = scene.held.position.quantity
    for ending in slot.resting:
        others = [plan for plan in slot.resting if plan.order_id != ending.order_id]
        for kept in others:
            if slot.kind is ProtectionKind.TAKE_PROFIT or stands_in_for(kept, ending, quantity, others, quantity):
                return Steps(proposals=(_end(ending, kept, scene),))
    sized = next((plan for plan in slot.resting if size_fits(plan, slot, scene.held)), None)
    if sized is not None and can_modify(slot, scene.state, now=scene.now):
        return _move(slot, sized, scene)
    best = tightest(slot.resting, scene.held.key)
    for ending in slot.resting:
        others = [plan for plan in slot.resting if plan.order_id != ending.order_id]
        if stands_in_for(best, ending, quantity, others, placed_for(scene.state, best, quantity)):
            return Steps(proposals=(_end(ending, best, scene),))
    for ending in slot.resting:
        if makes_room(scene.state, best, ending):
            reason = f"{best.order_id} stands, and a third could not be placed"
            room = end(scene.held, ending, instead=best.order_id, reason=reason, makes_room=True)
            return Steps(proposals=(room,))
    text = f"{scene.held.key}: two stops rest, and neither can end before the other: left as they are"
    return Steps(notes=(_note(scene, Severity.WARNING, f"two-stops/{slot.name}", text),))


def _nothing_rests(slot: Slot, scene: Scene) -> Steps:
    if slot.kind is ProtectionKind.STOP_LOSS and (note := _users_stop(slot, scene)) is not None:
        return Steps(notes=note)
    gone = None if slot.name in scene.filled else lost(slot, scene.state)
    if gone is None:
        return _place_missing(slot, scene, reason=f"no {slot.word} rested; asked for at {slot.wanted.trigger_price:f}")
    fired = gone.order_id in scene.state.fired
    if slot.kind is ProtectionKind.STOP_LOSS and (fired or fired_unseen(slot, scene)):
        told = Steps(unprotected="its stop fired", fired=(_fired(slot, gone, scene),))
        hedged = exposure_raised(scene.state, scene.held, scene.held.position.quantity)
        if not hedged or not is_between(slot.wanted.trigger_price, scene.bounds, scene.held.key.side):
            return told  # what it left is closed by order
        missing = _place_missing(slot, scene, reason="its stop fired, and what it left may not be closed alone (I15)")
        return replace(missing, fired=told.fired)
    if is_past(slot, scene) and position_is_older(scene):
        return Steps(
            unprotected="its stop is gone and the mark is past it: whether it fired is read first", position_first=True
        )
    can_wait = slot.kind is ProtectionKind.TAKE_PROFIT or slot.wanted.size is not None
    if can_wait and position_is_older(scene):
        return Steps(position_first=True)
    if fired:
        return _place_missing(slot, scene, reason=f"its {slot.word} was triggered and closed nothing")
    if scene.state.halted:
        stays = "its stop was cancelled by hand while halted, and stays cancelled"
        return Steps(unprotected=stays if slot.kind is ProtectionKind.STOP_LOSS else "")
    steps = _place_missing(slot, scene, reason=f"its {slot.word} was cancelled by somebody else", restores="cancelled")
    return _contest(steps, slot, scene, f"its {slot.word} was cancelled by hand")


def _passed(slot: Slot, scene: Scene) -> Steps:
    """A stop that the policy names no more because the mark is past it: gone from the list, it fired, and its rest is finished."""
    gone = lost(slot, scene.state)
    if gone is None or slot.name in scene.filled or taken_over(gone, scene):
        return Steps()
    if gone.order_id not in scene.state.fired and not fired_unseen(slot, scene):
        return Steps()
    return Steps(unprotected="its stop fired", fired=(_fired(slot, gone, scene),))


def _place_missing(slot: Slot, scene: Scene, *, reason: str, restores: str = "") -> Steps:
    stop = slot.kind is ProtectionKind.STOP_LOSS
    trigger = slot.wanted.trigger_price
    form, why_not = next_form(slot, scene.held.key, scene.state, now=scene.now)
    if form is None:
        why = _exhausted(why_not, scene)
        return Steps(unprotected=why, software_stops=(_software(slot, scene, why),)) if stop else Steps(waits=True)
    proposal = place(slot, scene.held, form, trigger=trigger, missing=True, reason=reason, restores=restores)
    if not stop:
        return Steps(proposals=(proposal,))
    why = f"no stop rests: {why_not}" if why_not else "no stop rests yet"
    software = (_software(slot, scene, why),) if unsuccessful(slot) else ()
    return Steps(proposals=(proposal,), unprotected=why, software_stops=software)


def _move(slot: Slot, plan: PlanOrder, scene: Scene) -> Steps:
    """Only the trigger (or what triggers it) differs."""
    wanted = slot.wanted.trigger_price
    told = last_trigger(slot, scene.state)
    stop = slot.kind is ProtectionKind.STOP_LOSS
    loosened = stop and told is not None and not as_tight(plan.trigger_price, told, plan.key.side)
    if not loosened and not is_worth_a_move(slot, plan):
        return Steps()  # time alone doesn't make it one: another figure does, and brings the next look
    if not loosened and moved_lately(slot, scene):
        return Steps(waits=True)
    restores = "loosened" if loosened else ""
    reason = f"from {plan.trigger_price} to {wanted}" + (", loosened by somebody else" if loosened else "")
    if can_modify(slot, scene.state, now=scene.now):
        steps = Steps(proposals=(modify(slot, scene.held, plan, trigger=wanted, reason=reason, restores=restores),))
    else:
        steps = _replace(slot, plan, scene, why=reason, restores=restores)
    return _contest(steps, slot, scene, f"its {slot.word} was loosened by hand") if loosened else steps


def _replace(slot: Slot, plan: PlanOrder, scene: Scene, *, why: str, restores: str = "") -> Steps:
    """The new one first; the old one ends once this one is listed (`_keep`). Only the size of one is changed in its place."""
    form, why_not = next_form(slot, scene.held.key, scene.state, now=scene.now)
    trigger, missing = slot.wanted.trigger_price, not size_fits(plan, slot, scene.held)
    sized = missing and plan.size is not None and form is not PlanForm.WHOLE
    if sized and can_resize(slot, scene.state, now=scene.now):
        size = slot.size or scene.held.position.quantity
        return Steps(proposals=(modify(slot, scene.held, plan, trigger=trigger, reason=why, size=size),))
    if form is not None:
        reason = f"replaces {plan.order_id}: {why}"
        return Steps(
            proposals=(
                place(slot, scene.held, form, trigger=trigger, missing=missing, reason=reason, restores=restores),
            )
        )
    if venue_allows_one(scene.state, scene.held.key, slot.kind, scene.now):
        reason = f"the venue allows one: it ends, and its replacement follows at once ({why})"
        return Steps(proposals=(end(scene.held, plan, instead=None, reason=reason, gap_allowed=True),))
    if slot.kind is not ProtectionKind.STOP_LOSS:
        return Steps()
    note = f"stop {plan.order_id} stands although {why}: {why_not}"
    return Steps(notes=(_note(scene, Severity.WARNING, f"stop-stands/{slot.name}", note),))


def _not_wanted(protect: Protect, left_over: tuple[PlanOrder, ...], scene: Scene) -> Steps:
    """A take-profit that nobody wants any more ends; a stop stays for the episode (I3, I23), unless its tranche is done, or the
    ladder that is wanted now stands without it."""
    plans = unwanted(protect, scene.state, ProtectionKind.TAKE_PROFIT)
    in_flight = {pending.intent.rule for pending in scene.state.in_flight(scene.held.key)}
    proposals = [end(scene.held, plan, instead=None, reason="the policy asks for no take-profit") for plan in plans]
    asked, reason = _asked(scene), "what the policy asks for stands without it"
    proposals += [end(scene.held, plan, instead=None, reason=reason, asked=asked) for plan in left_over]
    return Steps(proposals=tuple(each for each in proposals if each.rule not in in_flight))


# What somebody else did


def _users_stop(slot: Slot, scene: Scene) -> tuple[Note, ...] | None:
    """Notes when a user's own orders do what the slot wants; None when they don't."""
    key, quantity = scene.held.key, scene.held.position.quantity
    needed = quantity if slot.by_then is None else min(slot.by_then, quantity)
    theirs = [
        plan
        for plan in strangers(scene.state, key, ProtectionKind.STOP_LOSS)
        if adequate(plan, slot.wanted.trigger_price, scene.bounds)
    ]
    if covered(theirs, quantity) < needed:
        return None
    if any(plan.price_type is PriceType.LAST for plan in theirs):
        text = f"{key}: protected by an order that isn't ours and is triggered by the last price, not by mark"
        return (_note(scene, Severity.WARNING, f"stop-by-last/{key}", text),)
    return ()


def _fired(slot: Slot, gone: Finished, scene: Scene) -> FiredStop:
    """Of a tranche only what its order should have closed: the position before it fired is reckoned from what was closed since."""
    write = gone.intent.write
    size = write.size if isinstance(write, PlaceProtection) else None
    before = gone.intent.quantity_before
    tranche = size is not None and size < before
    if tranche:
        closed = closed_for(slot.name, gone, scene.state, scene.held, scene.filled)
        before = scene.held.position.quantity + max(closed, Decimal(0))
    order_id = gone.order_id
    return FiredStop(
        key=scene.held.key,
        episode=scene.held.episode.id,
        rule=finish_name(slot.name) if tranche else slot.wanted.rule,
        order_id=order_id if order_id is not None else OrderId(gone.intent.id),
        size=size,
        quantity_before=before,
        at=scene.state.plans_at or scene.now,
    )


def _contest(steps: Steps, slot: Slot, scene: Scene, what: str) -> Steps:
    if restorations(slot, scene.now) < CONTESTED_FROM:
        note = _note(scene, Severity.WARNING, f"restored/{slot.name}", f"{scene.held.key}: {what}; it is restored")
        return replace(steps, notes=(*steps.notes, note))
    text = f"{scene.held.key}: {what} for the third time in ten minutes; it is restored again"
    note = _note(scene, Severity.CRITICAL, f"contested/{slot.name}", text)
    return replace(steps, contested=text, notes=(*steps.notes, note))


# Words


def _end(plan: PlanOrder, kept: PlanOrder, scene: Scene) -> Proposal:
    reason = f"{kept.order_id} stands in its place"
    return end(scene.held, plan, instead=kept.order_id, reason=reason, asked=_asked(scene))


def _asked(scene: Scene) -> tuple[tuple[Decimal, Decimal], ...]:
    """The ladder of stops as it shall rest: by which price how much is closed; a stop that lags by less than a move counts."""
    quantity = scene.held.position.quantity
    asked: list[tuple[Decimal, Decimal]] = []
    for slot in scene.stops:
        price, side = slot.wanted.trigger_price, scene.held.key.side
        near = [plan.trigger_price for plan in slot.resting if near_enough(plan.trigger_price, price, side)]
        price = (min(near) if side.sign > 0 else max(near)) if near else price
        asked.append((price, quantity if slot.by_then is None else slot.by_then))
    return tuple(asked)


def _exhausted(why_not: str, scene: Scene) -> str:
    theirs = strangers(scene.state, scene.held.key, ProtectionKind.STOP_LOSS)
    if theirs and Reason.PROTECTION_EXISTS in why_not:
        return f"venue allows one, and {theirs[0].order_id} is looser than the policy asks"
    return f"no form of stop is taken: {why_not}"


def _software(slot: Slot, scene: Scene, why: str) -> SoftwareStop:
    return SoftwareStop(
        key=scene.held.key,
        episode=scene.held.episode.id,
        rule=slot.wanted.rule,
        slot=slot.name,
        trigger_price=slot.wanted.trigger_price,
        size=slot.size,
        on_unprotected=slot.wanted.on_unprotected,
        why=why,
    )


def _note(scene: Scene, severity: Severity, edge: str, text: str) -> Note:
    return Note(key=scene.held.key, severity=severity, edge=edge, text=text)


def _joined(parts: list[Steps], protect: Protect, scene: Scene) -> Steps:
    reasons = [part.unprotected for part in parts if part.unprotected]
    reasons += [text for text in protect.impossible if not reasons]
    if scene.state.plans_at is not None and scene.now.seconds_since(scene.state.plans_at) > PLANS_AGE_S_MAX:
        reasons.append("the list of plan orders is too old to tell")
    return Steps(
        proposals=tuple(proposal for part in parts for proposal in part.proposals),
        software_stops=tuple(stop for part in parts for stop in part.software_stops),
        notes=tuple(note for part in parts for note in part.notes),
        fired=tuple(stop for part in parts for stop in part.fired),
        unprotected="; ".join(reasons),
        contested="; ".join(part.contested for part in parts if part.contested),
        lists_first=any(part.lists_first for part in parts),
        position_first=any(part.position_first for part in parts),
        waits=any(part.waits for part in parts),
    )
