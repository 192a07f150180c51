"""Which tranches of a position's ladders are done: what rested for them is gone because it filled.

Told by figures that survive a restart: what the venue counts as closed of this life (`closed_quantity`), less what our own
closes took, less what other tranches took. So a tranche that somebody cancelled is known from one that filled.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from guardd.model.decision import finish_name, finished_slot
from guardd.model.footing import FilledTranche
from guardd.model.intent import (
    INPUT_RESTORES,
    Action,
    CancelOrder,
    CloseAtMarket,
    ModifyProtection,
    PlaceProtection,
    Stage,
)
from guardd.model.names import OrderId, RuleName
from guardd.model.state import AccountState, Finished, Held

ZERO: Final = Decimal(0)
REPLACED_WITHIN_S: Final = 30.0
"""So long after its replacement was decided an order that fired meanwhile is still looked for."""


def filled_tranches(
    state: AccountState, held: Held, known: Mapping[RuleName, FilledTranche]
) -> dict[RuleName, FilledTranche]:
    """The tranches that are done, by slot: those known and those that the state shows now."""
    if not any(
        _is_of_a_tranche(finished, held) for finished in state.finished.of(held.key)
    ):  # the path of every decision
        return dict(known)
    done = {**known, **_finished_by_us(state, held, known)}
    for placed in sorted(_placed(state, held), key=lambda placed: _fires_first(placed, state)):
        slot, size, order_id = placed.intent.rule, share_of(placed), order_of(placed)
        if slot in done or size is None or order_id in state.plans or _ended_by_us(order_id, state):
            continue
        closed = closed_for(slot, placed, state, held, done)
        fired = order_id in state.fired and closed > 0
        if fired or closed >= size:
            now_closed = held.position.closed_quantity
            done[slot] = FilledTranche(slot=slot, size=min(closed, size), closed=now_closed)
    return done


def _is_of_a_tranche(finished: Finished, held: Held) -> bool:
    intent = finished.intent
    if intent.episode != held.episode.id:
        return False
    return share_of(finished) is not None or finished_slot(intent.rule) is not None


def _finished_by_us(
    state: AccountState, held: Held, known: Mapping[RuleName, FilledTranche]
) -> dict[RuleName, FilledTranche]:
    """Tranches without an order that rests, whose share the guard closed itself: one that was passed before it could be placed,
    or that no form at the venue would take."""
    found: dict[RuleName, FilledTranche] = {}
    placed = _last_placed(state, held)
    for finished in state.finished.of(held.key):
        slot = finished_slot(finished.intent.rule)
        if slot is None or slot in known or finished.intent.episode != held.episode.id or not finished.filled:
            continue
        last = placed.get(slot)
        if last is not None and (not _ended_by_us(order_of(last), state) or last.at.mono_ns > finished.at.mono_ns):
            continue
        size = finished.filled + (found[slot].size if slot in found else ZERO)
        closed = max(held.position.closed_quantity, finished.intent.closed_before + finished.filled)
        found[slot] = FilledTranche(slot=slot, size=size, closed=closed)
    return found


def _placed(state: AccountState, held: Held) -> list[Finished]:
    """The newest verified order of each slot of this life, as it was placed or last changed; and the one before it where it may
    have fired while it was replaced."""
    last: dict[RuleName, Finished] = {}
    found: list[Finished] = []
    for finished in state.finished.of(held.key):
        intent = finished.intent
        if intent.episode != held.episode.id or finished.stage is not Stage.VERIFIED or order_of(finished) is None:
            continue
        before = last.get(intent.rule)
        replaced = isinstance(intent.write, PlaceProtection) and all(
            name != INPUT_RESTORES for name, _ in intent.inputs
        )
        if before is not None and replaced and held.read.seconds_since(intent.decided) <= REPLACED_WITHIN_S:
            found.append(before)
        last[intent.rule] = finished
    return [*found, *last.values()]


def order_of(finished: Finished) -> OrderId | None:
    """The protective order that an intent placed or changed; None for any other intent."""
    write = finished.intent.write
    if isinstance(write, ModifyProtection):
        return finished.order_id or write.order_id
    return finished.order_id if isinstance(write, PlaceProtection) else None


def share_of(finished: Finished) -> Decimal | None:
    """How much of the position an order was for when it was placed or last changed; None: all of it, in whatever form it rests."""
    write = finished.intent.write
    if not isinstance(write, PlaceProtection | ModifyProtection) or write.size is None:
        return None
    held = write.position_size if isinstance(write, PlaceProtection) else finished.intent.quantity_before
    return write.size if write.size < held else None


def _last_placed(state: AccountState, held: Held) -> dict[RuleName, Finished]:
    return {finished.intent.rule: finished for finished in _placed(state, held)}


def _fires_first(placed: Finished, state: AccountState) -> tuple[bool, bool, Decimal]:
    """Those that a push showed to have fired first; then stops from the tightest on, then take-profits from the nearest on."""
    write = placed.intent.write
    if not isinstance(write, PlaceProtection | ModifyProtection):
        return True, True, ZERO
    stop = placed.intent.action is Action.STOP_LOSS
    nearest = -write.key.side.sign if stop else write.key.side.sign
    return order_of(placed) not in state.fired, not stop, nearest * write.trigger_price


def _ended_by_us(order_id: OrderId | None, state: AccountState) -> bool:
    return any(
        isinstance(finished.intent.write, CancelOrder)
        and finished.stage is Stage.VERIFIED
        and finished.intent.write.order_id == order_id
        for finished in state.finished
    )


def closed_for(
    slot: RuleName, placed: Finished, state: AccountState, held: Held, done: Mapping[RuleName, FilledTranche]
) -> Decimal:
    """Contracts closed since this order was decided that nobody else accounts for: neither another close of ours nor a tranche."""
    since = placed.intent.closed_before
    closed = held.position.closed_quantity - since
    finishing = (finish_name(slot), RuleName(f"fired/{order_of(placed)}"))
    for finished in state.finished.of(held.key):
        intent = finished.intent
        if intent.episode != held.episode.id or not isinstance(intent.write, CloseAtMarket):
            continue
        if finished.filled is not None and intent.rule not in finishing:
            closed -= _beyond(since, intent.closed_before + finished.filled, finished.filled)
    for other in done.values():
        closed -= _beyond(since, other.closed, other.size)
    return closed


def _beyond(since: Decimal, until: Decimal, size: Decimal) -> Decimal:
    """How much of what was closed just before `until` came after `since`; both as the venue counts the closed quantity."""
    return min(max(until - since, ZERO), size)
