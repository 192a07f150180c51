"""Wanted protection as slots: each protective order that shall rest, with the orders of ours that rest for it already. Pure.

A slot is one wanted order: a rule, a kind, a tranche. Its name counts the steps and makes the client ids, so that a stop
placed for it is recognised after any restart. At most two generations of orders rest for one slot (I5): the one that
stands and the one that takes its place.
"""

from collections.abc import Collection
from decimal import Decimal
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from guardd.execution.proposal import Proposal
from guardd.execution.resting import as_tight, own_plans
from guardd.execution.windows import input_of, next_step
from guardd.model.decision import OnUnprotected, Protect, WantedOrder
from guardd.model.instant import Instant
from guardd.model.intent import (
    INPUT_RESTORES,
    Action,
    CancelKind,
    CancelOrder,
    Intent,
    ModifyProtection,
    PlaceProtection,
    Stage,
    client_id,
)
from guardd.model.names import OrderId, PositionKey, RuleName
from guardd.model.order import PlanForm, PlanOrder, ProtectionKind
from guardd.model.reading import is_value
from guardd.model.state import AccountState, Finished, Held
from guardd.risk.tranches import order_of
from guardd.venues.limiter import Lane

STEPS_RECOGNISED: Final = 64
"""How many of a slot's past client ids are computed to recognise an order that the last 24 hours don't explain."""
CONTEST_WINDOW_S: Final = 600.0


class Slot(Struct, frozen=True, kw_only=True):
    """One wanted order of a position, its share clipped to what is held, and our orders that rest for it, oldest first."""

    name: RuleName
    wanted: WantedOrder
    size: Decimal | None
    """None: the whole position."""
    resting: tuple[PlanOrder, ...]
    history: tuple[Finished, ...]
    """Finished intents of this slot in this episode, oldest first."""

    by_then: Decimal | None = None
    """Contracts that this kind of order shall have closed once this slot's has fired; None: all of them."""

    @property
    def kind(self) -> ProtectionKind:
        return self.wanted.kind

    @property
    def word(self) -> str:
        """What people call it."""
        return "stop" if self.kind is ProtectionKind.STOP_LOSS else "take-profit"


def slots_of(
    protect: Protect, state: AccountState, held: Held, *, filled: Collection[RuleName] = ()
) -> tuple[tuple[Slot, ...], tuple[PlanOrder, ...]]:
    """The slots of a position, stops first, those that fire first first; sizes of one kind never sum to more than is held (I1).

    `filled`: tranches that are done for the episode. Second what rests for tranches of this life that nobody wants any more.
    """
    found: list[Slot] = []
    left_over: list[PlanOrder] = []
    for kind in (ProtectionKind.STOP_LOSS, ProtectionKind.TAKE_PROFIT):
        nearest = -protect.key.side.sign if kind is ProtectionKind.STOP_LOSS else protect.key.side.sign
        wanted = sorted(
            (
                order
                for order in protect.wanted
                if order.kind is kind and (order.size is None or order.slot not in filled)
            ),
            key=lambda order: (nearest * order.trigger_price, order.slot),
        )
        shares = _shares(wanted, held, state)
        resting, others = _assigned([order for order, _ in shares], state, held, kind, filled)
        left_over.extend(others)
        by_then: Decimal | None = Decimal(0)
        for order, size in shares:
            by_then = None if size is None or by_then is None else by_then + size
            found.append(
                Slot(
                    name=order.slot,
                    wanted=order,
                    size=size,
                    resting=resting.get(order.slot, ()),
                    history=_history(state, held, order.slot),
                    by_then=by_then,
                )
            )
    return tuple(found), tuple(left_over)


def unnamed_stops(protect: Protect, state: AccountState, held: Held) -> tuple[Slot, ...]:
    """Slots of stops that this guard verified in this episode and that `protect` doesn't name.

    A policy stops naming a stop once the mark is past it: that is when it is to fire, and when a failure of it must be seen.
    """
    named = {order.slot for order in protect.wanted}
    found: list[Slot] = []
    for name in sorted(
        {each.intent.rule for each in state.finished.of(held.key) if _verified_stop(each, held)} - named
    ):
        history = _history(state, held, name)
        last = next(each for each in reversed(history) if _verified_stop(each, held))
        write = last.intent.write
        if not isinstance(write, PlaceProtection | ModifyProtection):
            continue
        rule, _, tranche = name.rsplit("/", 2)
        wanted = WantedOrder(
            kind=ProtectionKind.STOP_LOSS,
            rule=RuleName(rule),
            tranche=int(tranche),
            trigger_price=write.trigger_price,
            price_type=write.price_type,
            size=write.size,
            on_unprotected=OnUnprotected.ALERT,
        )
        plans = own_plans(state, held.key, ProtectionKind.STOP_LOSS)
        resting = tuple(plan for plan in plans if _made_for(plan, [name], state, held)[0] == name)
        found.append(Slot(name=name, wanted=wanted, size=write.size, resting=resting, history=history))
    return tuple(found)


def _verified_stop(finished: Finished, held: Held) -> bool:
    intent = finished.intent
    return intent.episode == held.episode.id and intent.action is Action.STOP_LOSS and finished.stage is Stage.VERIFIED


def unwanted(protect: Protect, state: AccountState, kind: ProtectionKind) -> tuple[PlanOrder, ...]:
    """Our orders of a kind of which the policy wants none."""
    if any(order.kind is kind for order in protect.wanted):
        return ()
    return own_plans(state, protect.key, kind)


def last_trigger(slot: Slot, state: AccountState) -> Decimal | None:
    """The trigger that this guard last verified for the slot's order, by whichever rule's name it was moved there since."""
    last = next((each for each in reversed(slot.history) if _verified_trigger(each) is not None), None)
    if last is None:
        return None
    trigger, order_id = _verified_trigger(last), order_of(last)
    ended = state.finished.of(last.intent.key)
    after = next(number for number, each in enumerate(ended, 1) if each is last)
    for each in ended[after:]:
        moved = each.intent.write
        if isinstance(moved, ModifyProtection) and each.stage is Stage.VERIFIED and moved.order_id == order_id:
            trigger, order_id = moved.trigger_price, order_of(each)
    return trigger


def _verified_trigger(finished: Finished) -> Decimal | None:
    """Where an intent put a protective order, once that was read back; None for any other."""
    write = finished.intent.write
    if finished.stage is not Stage.VERIFIED or not isinstance(write, PlaceProtection | ModifyProtection):
        return None
    return write.trigger_price


def restorations(slot: Slot, now: Instant) -> int:
    """How often in ten minutes the slot was put back after somebody took it away or loosened it."""
    return sum(
        1
        for finished in slot.history
        if finished.stage is Stage.VERIFIED
        and now.seconds_since(finished.at) <= CONTEST_WINDOW_S
        and input_of(finished.intent, INPUT_RESTORES) is not None
    )


def lost(slot: Slot, state: AccountState) -> Finished | None:
    """The verified order of an empty slot that is gone although this guard didn't end it; None when there was none."""
    if slot.resting:
        return None
    for finished in reversed(slot.history):
        if finished.stage is Stage.VERIFIED and isinstance(finished.intent.write, PlaceProtection):
            return None if _ended_by_us(finished, state) else finished
    return None


def place(
    slot: Slot, held: Held, form: PlanForm, *, trigger: Decimal, missing: bool, reason: str, restores: str = ""
) -> Proposal:
    """Place the slot's order in one form."""
    position = held.position
    size = slot.size if slot.size is not None else position.quantity
    write = PlaceProtection(
        key=held.key,
        kind=slot.kind,
        form=form,
        trigger_price=trigger,
        price_type=slot.wanted.price_type,
        size=None if form is PlanForm.WHOLE else size,
        position_size=position.quantity,
        leverage=position.leverage if is_value(position.leverage) else None,
        margin_mode=position.margin_mode,
    )
    urgent = missing and slot.kind is ProtectionKind.STOP_LOSS
    return _proposal(
        slot, held, write, lane=Lane.EMERGENCY if urgent else Lane.ORDINARY, reason=reason, restores=restores
    )


def modify(
    slot: Slot,
    held: Held,
    plan: PlanOrder,
    *,
    trigger: Decimal,
    reason: str,
    restores: str = "",
    size: Decimal | None = None,
) -> Proposal:
    """Move a resting order of the slot. `size`: to another size too."""
    write = ModifyProtection(
        key=held.key,
        order_id=plan.order_id,
        kind=slot.kind,
        form=plan.form,
        trigger_price=trigger,
        price_type=slot.wanted.price_type,
        size=plan.size if size is None else size,
    )
    urgent = size is not None and slot.kind is ProtectionKind.STOP_LOSS
    lane = Lane.EMERGENCY if urgent else Lane.ORDINARY
    return _proposal(slot, held, write, lane=lane, reason=reason, restores=restores)


def end(
    held: Held,
    plan: PlanOrder,
    *,
    instead: OrderId | None,
    reason: str,
    gap_allowed: bool = False,
    asked: tuple[tuple[Decimal, Decimal], ...] = (),
    makes_room: bool = False,
) -> Proposal:
    """End one order of ours on a held position."""
    return Proposal(
        key=held.key,
        episode=held.episode.id,
        rule=RuleName(f"end/{plan.order_id}"),
        action=Action.CANCEL_PROTECTION,
        write=CancelOrder(key=held.key, order_id=plan.order_id, kind=CancelKind.PLAN),
        lane=Lane.EMERGENCY if gap_allowed else Lane.ORDINARY,
        reason=reason,
        instead=instead,
        gap_allowed=gap_allowed,
        asked=asked,
        makes_room=makes_room,
    )


def _proposal(
    slot: Slot,
    held: Held,
    write: PlaceProtection | ModifyProtection,
    *,
    lane: Lane,
    reason: str,
    restores: str,
) -> Proposal:
    stop = slot.kind is ProtectionKind.STOP_LOSS
    return Proposal(
        key=held.key,
        episode=held.episode.id,
        rule=slot.name,
        action=Action.STOP_LOSS if stop else Action.TAKE_PROFIT,
        write=write,
        lane=lane,
        reason=reason,
        inputs=((INPUT_RESTORES, restores),) if restores else (),
    )


def _shares(wanted: list[WantedOrder], held: Held, state: AccountState) -> list[tuple[WantedOrder, Decimal | None]]:
    """What each order is to cover: one whole-position order alone stays whole; beside others, what they leave."""
    whole = [order for order in wanted if order.size is None]
    kept = [order for order in wanted if order.size is not None or order is whole[0]]
    if len(kept) == 1 and kept[0].size is None:
        return [(kept[0], None)]
    instrument = state.instruments.get(held.key.symbol)
    left = held.position.quantity
    shares: list[tuple[WantedOrder, Decimal | None]] = []
    for order in kept:
        size = left if order.size is None else min(order.size, left)
        if instrument is not None:
            size = instrument.size_down(size)
        if size <= 0 or (instrument is not None and size < instrument.min_size):
            continue
        shares.append((order, size))
        left -= size
    return shares


def _history(state: AccountState, held: Held, name: RuleName) -> tuple[Finished, ...]:
    return tuple(
        finished
        for finished in state.finished.of(held.key)
        if finished.intent.rule == name and finished.intent.episode == held.episode.id
    )


def _assigned(
    wanted: list[WantedOrder],
    state: AccountState,
    held: Held,
    kind: ProtectionKind,
    filled: Collection[RuleName],
) -> tuple[dict[RuleName, tuple[PlanOrder, ...]], list[PlanOrder]]:
    """Our resting orders by slot: those made for it; then strays (a renamed rule's, an earlier life's) to the nearest empty one.

    Second those of this life for which no slot is empty, or whose tranche is done.
    """
    names = [order.slot for order in wanted]
    found: dict[RuleName, list[PlanOrder]] = {name: [] for name in names}
    strays: list[tuple[PlanOrder, RuleName | None]] = []
    left_over: list[PlanOrder] = []
    for plan in own_plans(state, held.key, kind):
        name, other = _made_for(plan, names, state, held)
        if name is not None:
            found[name].append(plan)
        else:
            strays.append((plan, other))
    for plan, other in strays if wanted else ():
        if other is not None and (other in filled or all(found.values())):
            left_over.append(plan)
            continue
        nearest = min(
            wanted,
            key=lambda order: (
                bool(found[order.slot]),
                order.size != plan.size,
                abs(order.trigger_price - plan.trigger_price),
                order.slot,
            ),
        )
        found[nearest.slot].append(plan)
    return {name: tuple(plans) for name, plans in found.items()}, left_over


def _made_for(
    plan: PlanOrder, names: list[RuleName], state: AccountState, held: Held
) -> tuple[RuleName | None, RuleName | None]:
    """Which of these slots an order was made for; else which other slot of this life."""
    intents = [finished.intent for finished in state.finished if _made(finished.intent, finished.order_id, plan)]
    intents += [p.intent for p in state.pending.values() if _made(p.intent, p.order_id, plan)]
    for intent in intents:
        if intent.rule in names and intent.episode == held.episode.id:
            return intent.rule, None
    of_this_life = next((intent.rule for intent in intents if intent.episode == held.episode.id), None)
    if plan.client_id is None or intents:
        return None, of_this_life
    for name in names:
        steps = next_step(state, held.key, held.episode.id, name)
        for step in range(max(steps - STEPS_RECOGNISED, 0), steps + 1):
            if client_id(held.key.account, held.episode.id, name, step) == plan.client_id:
                return name, None
    return None, None


def _made(intent: Intent, order_id: OrderId | None, plan: PlanOrder) -> bool:
    if not isinstance(intent.write, PlaceProtection | ModifyProtection):
        return False
    return intent.id == plan.client_id or order_id == plan.order_id


def _ended_by_us(placed: Finished, state: AccountState) -> bool:
    """A cancel of ours was verified for the order (its id is the one that its own life was finished with)."""
    return any(
        isinstance(finished.intent.write, CancelOrder)
        and finished.stage is Stage.VERIFIED
        and finished.intent.write.order_id == placed.order_id
        for finished in state.finished
    )


def tightest(plans: tuple[PlanOrder, ...], key: PositionKey) -> PlanOrder:
    """The resting order that fires first; of equals the newest."""
    best = plans[0]
    for plan in plans[1:]:
        if as_tight(plan.trigger_price, best.trigger_price, key.side):
            best = plan
    return best


def with_trigger(slot: Slot, trigger: Decimal) -> Slot:
    """The slot with another wanted trigger (the ratchet keeps the tighter one)."""
    if trigger is slot.wanted.trigger_price:
        return slot
    return replace(slot, wanted=replace(slot.wanted, trigger_price=trigger))
