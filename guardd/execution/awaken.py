"""What a restart wakes up with: unfinished intents as unknown, windows on this run's clock, words that survive (I8, I24).

Called once on a fresh state, before any event is folded; from then on only the fold changes it. Then
`executor.resume(state.pending.values())` finds out what became of each, before anything new is decided.
"""

from typing import Final

from msgspec.structs import replace

from guardd.errors import InvariantBroken
from guardd.journal.base import Memory, Remembered
from guardd.model.highwater import Book
from guardd.model.instant import NS_PER_MS, Instant
from guardd.model.intent import FINISHED, Action, CloseAtMarket, ModifyProtection, PlaceProtection, Stage
from guardd.model.outcome import Accepted
from guardd.model.state import AccountState, Finished, Past, Pending, RuleProgress

CLOCK_DOUBTED_FROM_MS: Final = 60_000
"""A local clock this far from the venue's can't say how long the guard was away."""
LONG_AGO_MS: Final = 3_600_000
ORDERS: Final = (CloseAtMarket, PlaceProtection, ModifyProtection)
"""Writes whose id is an order of ours."""


def awaken(state: AccountState, memory: Memory, *, now: Instant, clock_offset_ms: int | None) -> None:
    """Put what the journal remembers into a fresh `state`. `clock_offset_ms`: venue minus local, None when it isn't known."""
    if state.pending or state.finished:
        raise InvariantBroken("I8", "awaken met a state that already has intents; it is for a fresh one")
    doubted = clock_offset_ms is None or abs(clock_offset_ms) >= CLOCK_DOUBTED_FROM_MS
    for remembered in sorted(memory.recent, key=lambda each: (each.at_ms, each.intent.id)):
        _finished(state, remembered, now, doubted=doubted)
    state.finished = Past(sorted(state.finished, key=lambda finished: finished.at.mono_ns))
    for remembered in memory.unfinished:
        _unfinished(state, remembered, now, doubted=doubted)
    for mark in memory.rule_marks:
        progress = state.progress.setdefault((mark.episode, mark.rule), RuleProgress())
        progress.steps = max(progress.steps, mark.steps)
        if progress.verified is None and mark.verified_ms is not None:
            progress.verified = _on_this_clock(mark.verified_ms, now, doubted=doubted)
    state.remembered = {episode.id: episode for episode in memory.episodes}
    state.own_order_ids.update(memory.order_ids)
    state.known_client_ids.update(memory.client_ids)
    state.books.update({water.currency: Book(water=water, why="no account read yet") for water in memory.high_waters})
    state.halted = memory.halted
    state.parked = memory.parked


def _finished(state: AccountState, remembered: Remembered, now: Instant, *, doubted: bool) -> None:
    if remembered.stage not in FINISHED:
        return
    at = _on_this_clock(remembered.at_ms, now, doubted=doubted, exempt=_is_exempt(remembered))
    intent = replace(remembered.intent, decided=min(_decided(remembered, now, doubted=doubted), at), frame_ns=None)
    state.finished.append(
        Finished(
            intent=intent,
            stage=remembered.stage,
            at=at,
            filled=remembered.filled,
            outcome=remembered.outcome,
            order_id=remembered.order_id,
        )
    )
    if remembered.stage is not Stage.REFUSED:
        state.known_client_ids.add(intent.id)
    if remembered.order_id is not None and isinstance(intent.write, ORDERS):
        state.own_order_ids.add(remembered.order_id)
    if remembered.stage in (Stage.VOID, Stage.REFUSED):
        return
    progress = state.progress.setdefault((intent.episode, intent.rule), RuleProgress())
    progress.steps = max(progress.steps, intent.step + 1)
    if remembered.stage is Stage.VERIFIED:
        progress.verified = at


def _unfinished(state: AccountState, remembered: Remembered, now: Instant, *, doubted: bool) -> None:
    decided = _decided(remembered, now, doubted=doubted)
    intent = replace(remembered.intent, decided=decided, frame_ns=None)
    accepted = remembered.outcome.order_id if isinstance(remembered.outcome, Accepted) else None
    order_id = remembered.order_id or accepted
    state.pending[intent.id] = Pending(
        intent=intent,
        stage=Stage.UNKNOWN,
        since=now,
        order_id=order_id,
        outcome=remembered.outcome,
        earlier_run=True,
    )
    state.known_client_ids.add(intent.id)
    if order_id is not None and isinstance(intent.write, ORDERS):
        state.own_order_ids.add(order_id)


def _decided(remembered: Remembered, now: Instant, *, doubted: bool) -> Instant:
    wall_ms = remembered.intent.decided.wall_ms
    return _on_this_clock(wall_ms, now, doubted=doubted, exempt=_is_exempt(remembered))


def _is_exempt(remembered: Remembered) -> bool:
    """No cap holds these back, so a doubted clock may not either."""
    return remembered.intent.action in (Action.CLOSE, Action.STOP_LOSS)


def _on_this_clock(wall_ms: int, now: Instant, *, doubted: bool, exempt: bool = False) -> Instant:
    """A moment of an earlier run. A backward step or a doubtful gap is no time for caps, long ago for the rest (I24)."""
    elapsed_ms = now.wall_ms - wall_ms
    if doubted or elapsed_ms < 0:
        elapsed_ms = LONG_AGO_MS if exempt else 0
    return Instant(now.mono_ns - elapsed_ms * NS_PER_MS, wall_ms)
