"""How the life of a position begins, grows and ends: one that a read lost is flat only when that is confirmed (I6)."""

from decimal import Decimal
from typing import Final

from msgspec.structs import replace

from guardd.model import doubt
from guardd.model.event import PositionsRead
from guardd.model.instant import Instant
from guardd.model.position import Episode, Position, episode_id
from guardd.model.reading import is_value
from guardd.model.state import REMEMBERED_S, AccountState, Held, Lost, News, NewsKind

FLAT_CONFIRMED_AFTER_S: Final = 2.0
"""Two reads at least this far apart confirm that a position is gone (interfaces.md 2.1)."""
SUSPECT_CONFIRMED_AFTER_S: Final = 10.0
SUSPECT_READS: Final = 3
"""A read that lost a position whose margin is still in use, or that still has a stranger's order on it, needs this many reads
over `SUSPECT_CONFIRMED_AFTER_S`: a leftover order may rest for ever, so it can't forbid belief for ever (I6)."""
LOST_S: Final = 600.0
"""A position that only reads without it ended is the same one if it comes back within this."""


def begin(state: AccountState, row: Position, at: Instant) -> News:
    opened_ms = row.opened_ms if row.opened_ms is not None else at.wall_ms
    episode = Episode(
        id=episode_id(row.key, opened_ms),
        key=row.key,
        first_seen_ms=at.wall_ms,
        largest_quantity=row.quantity,
        largest_notional=_notional(state, row),
    )
    if (known := state.remembered.pop(episode.id, None)) is not None:
        episode = replace(
            known,
            largest_quantity=max(known.largest_quantity, episode.largest_quantity),
            largest_notional=max(known.largest_notional, episode.largest_notional),
        )
    lost = state.lost.pop(episode.id, None) if row.opened_ms is not None else None
    held = (
        Held(position=row, episode=episode, read=at, changed=at, begun=at, shown=row.quantity, shown_since=at)
        if lost is None
        else _found_again(state, lost, row, at)
    )
    state.held[row.key] = held
    return News(kind=NewsKind.EPISODE_BEGAN, key=row.key, episode=held.episode)


def follow(state: AccountState, before: Held, row: Position, at: Instant) -> list[News]:
    """Closed and opened again between two reads. A push that the new life had by then is its own: a stream that tells changes only
    says it once."""
    pushed = state.pushed_quantities.get(row.key)
    ended = end(state, before, "closed and opened again between two reads", at)
    if pushed is not None and pushed.quantity == row.quantity and pushed.venue_ms >= (row.opened_ms or at.wall_ms):
        state.pushed_quantities[row.key] = pushed
    return [ended, begin(state, row, at)]


def follow_push(state: AccountState, before: Held, row: Position, at: Instant) -> list[News]:
    """A push shows what was opened after the life that is held: it begins now, and its figures are as old as the last read was."""
    ended = end(state, before, "the venue's push shows a position that was opened later", at)
    began = begin(state, row, at)
    held = state.held[row.key]
    held.read, held.shown, held.shown_since = before.read, before.shown, before.shown_since
    return [ended, began, News(kind=NewsKind.READ_WANTED, key=row.key, text="closed and opened again")]


def _found_again(state: AccountState, lost: Lost, row: Position, at: Instant) -> Held:
    """The same life goes on as if no read had lost it: its protection is due, and its rules know it."""
    held = lost.held
    if row.quantity != held.position.quantity:
        held.changed = at
        note_quantity(held, row.quantity, at)
    held.position, held.read = row, at
    held.shown, held.shown_since = row.quantity, at
    held.missing_since, held.missing_reads = None, 0
    if lost.pushed is not None:
        state.pushed_quantities.setdefault(row.key, lost.pushed)
    return held


def grow(held: Held, state: AccountState) -> News:
    position = held.position
    held.episode = replace(
        held.episode,
        largest_quantity=position.quantity,
        largest_notional=max(held.episode.largest_notional, _notional(state, position)),
    )
    return News(kind=NewsKind.EPISODE_CHANGED, key=position.key, episode=held.episode)


def end(state: AccountState, held: Held, text: str, at: Instant, *, by_reads_alone: bool = False) -> News:
    state.held.pop(held.key, None)
    state.lives_ended += 1
    state.ended[held.key] = held.read
    state.realized[held.key.symbol] = held.close_seen or at
    fired = [order_id for order_id, key in state.fired.items() if key == held.key and order_id in state.own_order_ids]
    state.fired = {order_id: key for order_id, key in state.fired.items() if key != held.key}
    pushed = state.pushed_quantities.pop(held.key, None)
    if by_reads_alone:
        state.lost[held.episode.id] = Lost(held=held, pushed=pushed, at=held.read)
    _forget(state, held)
    order_id = fired[-1] if fired else None
    return News(kind=NewsKind.EPISODE_ENDED, key=held.key, episode=held.episode, order_id=order_id, text=text)


def _forget(state: AccountState, ended: Held) -> None:
    """What rules did in lives that are over, and in lost ones that did not come back."""
    for episode in [each for each, lost in state.lost.items() if ended.read.seconds_since(lost.at) > LOST_S]:
        del state.lost[episode]
    kept = {held.episode.id for held in state.held.values()} | state.lost.keys() | state.remembered.keys()
    for key in [key for key in state.progress if key[0] not in kept]:
        del state.progress[key]


def missing(state: AccountState, held: Held, event: PositionsRead) -> list[News]:
    """A read did not show a position: believed when a push said so too, or when later reads agree (I6)."""
    if held.close_seen is not None and event.started.mono_ns >= held.close_seen.mono_ns:
        return [end(state, held, "the venue's push and a read agree that it is gone", event.at)]
    if held.missing_since is None:
        held.missing_since, held.missing_reads = event.started, 1
        return [News(kind=NewsKind.READ_WANTED, key=held.key, text="missing from a read")]
    held.missing_reads += 1
    waited_s = event.started.seconds_since(held.missing_since)
    suspicion = doubt.suspicion(state, held)
    if suspicion and not (waited_s >= SUSPECT_CONFIRMED_AFTER_S and held.missing_reads >= SUSPECT_READS):
        return [News(kind=NewsKind.POSITION_SUSPECT, key=held.key, text=suspicion)]
    unsure = waited_s < SUSPECT_CONFIRMED_AFTER_S and doubt.margin_is_older(state, held)
    if waited_s < FLAT_CONFIRMED_AFTER_S or unsure:
        return [News(kind=NewsKind.READ_WANTED, key=held.key, text="missing from a read")]
    return [end(state, held, f"{held.missing_reads} reads agree that it is gone", event.at, by_reads_alone=True)]


def note_quantity(held: Held, quantity: Decimal, at: Instant) -> None:
    """A quantity that ended later and was no smaller says all that an earlier one does."""
    ended = held.position.quantity
    kept = [(until, had) for until, had in held.had if had > ended and at.seconds_since(until) <= REMEMBERED_S]
    held.had = [(until, had) for until, had in (*kept, (at, ended)) if had > quantity]


def _notional(state: AccountState, row: Position) -> Decimal:
    if is_value(row.notional):
        return row.notional
    instrument = state.instruments.get(row.key.symbol)
    return instrument.notional(row.quantity, row.entry_price) if instrument else Decimal(0)
