"""In which form an order is asked for (whole position, a size of it, a plain plan order), and which the venue has just refused.

Pure. A form that was refused rests for a minute and the next one is tried; where all were refused and nothing rests, each ten
seconds the one whose refusal is the oldest.
"""

from collections.abc import Sequence
from typing import Final

from guardd.execution.protect import Slot
from guardd.execution.resting import REFUSALS_HOLD_S, strangers
from guardd.execution.windows import reason_of
from guardd.model.capabilities import Capabilities
from guardd.model.instant import Instant
from guardd.model.intent import ModifyProtection, PlaceProtection, Stage
from guardd.model.names import PositionKey
from guardd.model.order import PlanForm
from guardd.model.outcome import Reason
from guardd.model.state import AccountState, Finished

TRANSIENT: Final = frozenset(
    {
        Reason.NOT_SENT,
        Reason.RATE_LIMITED,
        Reason.EDGE_BLOCKED,
        Reason.BANNED,
        Reason.CLOCK,
        Reason.CREDENTIALS,
        Reason.PERMISSION,
        Reason.MAINTENANCE,
        Reason.VENUE_CLOSING,
        Reason.INSTRUMENT_PAUSED,
        Reason.POSITION_GONE,
        Reason.POSITION_LIQUIDATING,
        Reason.SIZE_ABOVE_POSITION,
        Reason.TRIGGER_PASSED,
        Reason.ORDER_GONE,
        Reason.DUPLICATE_CLIENT_ID,
    }
)
"""Rejections that say nothing about the form of the order: the same form is tried again."""
EXHAUSTED_AGAIN_S: Final = 10.0
HOPELESS: Final = frozenset({Reason.TRIGGER_TOO_FAR, Reason.TOO_MANY_PLAN_ORDERS})
"""Rejections that every form would meet (BitMart reference, 40028 and 40031): the guard watches the price itself."""


def next_form(slot: Slot, key: PositionKey, state: AccountState, *, now: Instant) -> tuple[PlanForm | None, str]:
    """The first form that the venue has and hasn't just refused; and in words what it refused."""
    refused = _refused_forms(slot, key, state, now=now)
    why = "; ".join(f"{form}: {text}" for form, text in sorted(refused.items()))
    forms = _forms(slot, key, state)
    for form in forms:
        if form not in refused:
            return form, why
    return _again(slot, forms, now=now) if not slot.resting else None, why or "the venue has no form for it"


def _again(slot: Slot, forms: Sequence[PlanForm], *, now: Instant) -> PlanForm | None:
    """Every form was refused and nothing rests: each ten seconds the one whose refusal is the oldest is tried again."""
    refused_at: dict[PlanForm, Instant] = {}
    for finished in slot.history:
        write = finished.intent.write
        if isinstance(write, PlaceProtection) and write.form in forms:
            refused_at[write.form] = finished.at
    last = slot.history[-1] if slot.history else None
    if last is None or reason_of(last) in HOPELESS or now.seconds_since(last.at) < EXHAUSTED_AGAIN_S:
        return None
    return min(refused_at, key=lambda form: refused_at[form].mono_ns, default=None)


def _forms(slot: Slot, key: PositionKey, state: AccountState) -> list[PlanForm]:
    can: Capabilities = state.capabilities
    forms: list[PlanForm] = []
    # Where the venue changes no size, a sized one has room beside the one that it replaces.
    ours = any(plan.size is None or not can.modify_size for plan in slot.resting)
    one_is_whole = ours or any(plan.size is None for plan in strangers(state, key, slot.kind))
    if slot.size is None and can.whole_position_protection and (can.several_whole_stops or not one_is_whole):
        forms.append(PlanForm.WHOLE)
    if can.sized_protection:
        forms.append(PlanForm.SIZED)
    if can.plan_protection:
        forms.append(PlanForm.PLAN)
    return forms


def _refused_forms(slot: Slot, key: PositionKey, state: AccountState, *, now: Instant) -> dict[PlanForm, str]:
    """Forms that the venue refused, or took and never listed, since the slot's last success and within a minute."""
    none_rests = not any(plan.protection is slot.kind for plan in state.plans_of(key))
    refused: dict[PlanForm, str] = {}
    for finished in reversed(slot.history):
        if now.seconds_since(finished.at) > REFUSALS_HOLD_S or finished.stage is Stage.VERIFIED:
            break
        write, reason = finished.intent.write, reason_of(finished)
        if not isinstance(write, PlaceProtection) or (reason is Reason.PROTECTION_EXISTS and none_rests):
            continue
        if finished.stage is Stage.FAILED:
            refused.setdefault(write.form, "accepted, but not listed")
        elif reason in HOPELESS:
            return {form: str(reason) for form in PlanForm}
        elif reason is not None and reason not in TRANSIENT:
            refused.setdefault(write.form, str(reason))
    return refused


def can_modify(slot: Slot, state: AccountState, *, now: Instant) -> bool:
    if not state.capabilities.modify_protection:
        return False
    for finished in reversed(slot.history):
        if now.seconds_since(finished.at) > REFUSALS_HOLD_S or finished.stage is Stage.VERIFIED:
            return True
        if isinstance(finished.intent.write, ModifyProtection) and _was_refused(finished):
            return False
    return True


def can_resize(slot: Slot, state: AccountState, *, now: Instant) -> bool:
    """Where sized ones share what is held a second one beside the first finds no room: the venue changes the size itself."""
    return state.capabilities.modify_size and can_modify(slot, state, now=now)


def _was_refused(finished: Finished) -> bool:
    reason = reason_of(finished)
    return finished.stage is Stage.FAILED or (reason is not None and reason not in TRANSIENT)


def unsuccessful(slot: Slot) -> bool:
    """The slot's last try came to nothing."""
    return bool(slot.history) and slot.history[-1].stage in (Stage.REJECTED, Stage.FAILED, Stage.VOID)
