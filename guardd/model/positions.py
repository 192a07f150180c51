"""Position reads and pushes folded into what is held: flat is believed only when it is confirmed (I6)."""

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from guardd.model import doubt, lives
from guardd.model.event import MarkSeen, PositionsPushed, PositionsRead, Source
from guardd.model.instant import Instant
from guardd.model.names import MarginMode, PositionKey, PositionMode, Symbol
from guardd.model.position import Position, PositionUpdate, episode_id
from guardd.model.reading import Absent, is_value
from guardd.model.state import AccountState, Folded, Held, News, NewsKind, Pushed

MARK_SILENT_S: Final = 3.0
"""A stream that was silent this long when the positions were asked for gives way to their marks (BitMart reference, 18.7)."""


def positions_read(state: AccountState, event: PositionsRead) -> Folded:
    """An authoritative list of all positions."""
    news: list[News] = []
    differs: set[Symbol] = set()
    seen: set[PositionKey] = set()
    pooled = any(balance.pooled for balance in state.balances.values())
    for row in event.positions:
        key = row.key
        seen.add(key)
        _rest_mark(state, row, event)
        held = state.held.get(key)
        if held is None:
            news.append(lives.begin(state, row, event.at))
            differs.add(key.symbol)
            continue
        if row is held.position and _is_settled(held) and not pooled:
            held.read = event.at  # the venue repeats itself word for word
            continue
        before = _standing(held)
        news.extend(_row(state, held, row, event))
        if before != _standing(state.held[key]):
            differs.add(key.symbol)
    if len(seen) < len(state.held):  # every key that was seen is held by now
        news.extend(_unseen(state, seen, event, differs))
    state.positions_at = event.at
    return Folded(everything=True, differs=frozenset(differs), news=tuple(news))


def _unseen(state: AccountState, seen: set[PositionKey], event: PositionsRead, differs: set[Symbol]) -> Iterator[News]:
    for key in sorted(state.held.keys() - seen):
        differs.add(key.symbol)
        if state.position_mode is PositionMode.ONE_WAY and key._replace(side=key.side.opposite) in seen:
            yield lives.end(state, state.held[key], "its sign changed", event.at)
        else:
            yield from lives.missing(state, state.held[key], event)


def _is_settled(held: Held) -> bool:
    """Nothing but its age is changed by a read that shows it as it is."""
    gone = held.missing_since is not None or held.close_seen is not None
    return not gone and not held.wallets and held.shown == held.position.quantity


def _standing(held: Held) -> tuple[object, ...]:
    """All that is assessed of a position but what goes with its mark. A cross margin does, and no rule asks for it."""
    position = held.position
    return (
        held.episode,
        position.quantity,
        position.entry_price,
        position.margin_mode,
        position.margin if position.margin_mode is MarginMode.ISOLATED else None,
        position.leverage,
        position.liquidation_price,
        held.missing_since,
        held.close_seen,
    )


def _rest_mark(state: AccountState, row: Position, event: PositionsRead) -> None:
    """A mark that the read brings; it is the mark where the stream is silent."""
    if not is_value(row.mark_price):
        return
    symbol = row.key.symbol
    rest_mark = MarkSeen(symbol, row.mark_price, event.at, source=Source.REST)
    state.rest_marks[symbol] = rest_mark
    seen = state.marks.get(symbol)
    silent_s = MARK_SILENT_S if seen is not None and seen.source is Source.STREAM else 0.0
    if seen is None or event.started.seconds_since(seen.at) > silent_s:
        state.marks[symbol] = rest_mark


def _row(state: AccountState, held: Held, row: Position, event: PositionsRead) -> list[News]:
    if row.venue_ms < held.position.venue_ms:
        return [News(kind=NewsKind.READ_WANTED, key=row.key, text="a read older than what is known")]
    if row.opened_ms is not None and episode_id(row.key, row.opened_ms) != held.episode.id:
        return lives.follow(state, held, row, event.at)
    news: list[News] = []
    if row.quantity != held.position.quantity:
        held.changed = event.at
        lives.note_quantity(held, row.quantity, event.at)
    if row.quantity != held.shown:
        held.shown, held.shown_since = row.quantity, event.at
    held.position, held.read = row, event.at
    held.missing_since, held.missing_reads, held.close_seen = None, 0, None
    held.wallets = doubt.wallets_until(state, held, event.started)
    if row.quantity > held.episode.largest_quantity:
        news.append(lives.grow(held, state))
    return news


def positions_pushed(state: AccountState, event: PositionsPushed) -> Folded:
    news: list[News] = []
    symbols: set[Symbol] = set()
    for update in event.updates:
        held = state.held.get(update.key)
        known = state.pushed_quantities.get(update.key)
        pushed = _pushed(update, known, event.at)
        if held is None:
            state.pushed_quantities[update.key] = pushed
            if update.quantity > 0:
                news.append(
                    News(kind=NewsKind.READ_WANTED, key=update.key, text="a position that no read has shown yet")
                )
            continue
        older = update.venue_ms < held.position.venue_ms
        if (
            not older or update.quantity == held.position.quantity
        ):  # a repetition of what stands is a witness still (I29)
            state.pushed_quantities[update.key] = pushed
        if older:
            continue
        if update.quantity == 0:
            if held.close_seen is None:
                held.close_seen = event.at
                symbols.add(update.key.symbol)
            news.append(News(kind=NewsKind.READ_WANTED, key=update.key, text="a push says it is gone"))
            continue
        if _opened_later(held, update, known):
            news.extend(lives.follow_push(state, held, _with(held.position, update), event.at))
            state.pushed_quantities[update.key] = pushed
            symbols.add(update.key.symbol)
            continue
        if held.missing_since is not None or held.close_seen is not None:
            symbols.add(update.key.symbol)
        held.missing_since, held.missing_reads, held.close_seen = None, 0, None
        if update.quantity != held.position.quantity:
            news.extend(_changed_by_push(state, held, update, event.at))
            symbols.add(update.key.symbol)
    return Folded(symbols=frozenset(symbols), news=tuple(news))


def _pushed(update: PositionUpdate, known: Pushed | None, at: Instant) -> Pushed:
    opened_ms = update.opened_ms if update.opened_ms is not None or known is None else known.opened_ms
    return Pushed(quantity=update.quantity, at=at, venue_ms=update.venue_ms, opened_ms=opened_ms)


def _opened_later(held: Held, update: PositionUpdate, known: Pushed | None) -> bool:
    """Closed and opened again, by pushes alone: what its stop closed must not keep a new life without one while reads fail.

    Only what pushes say is compared with what they said, or with the row of a life whose end a push told.
    """
    before = known.opened_ms if known is not None else None
    if before is None and held.close_seen is not None:
        before = held.position.opened_ms
    return before is not None and update.opened_ms is not None and update.opened_ms > before


def _with(position: Position, update: PositionUpdate) -> Position:
    """A push makes the venue's figures of what was before unknown until a read brings them (L and quantity of one snapshot)."""
    return replace(
        position,
        quantity=update.quantity,
        entry_price=update.entry_price,
        closed_quantity=update.closed_quantity,
        liquidation_price=update.liquidation_price,
        margin=Absent.UNKNOWN,
        maintenance_margin=Absent.UNKNOWN,
        notional=Absent.UNKNOWN,
        unrealized_pnl=Absent.UNKNOWN,
        opened_ms=position.opened_ms if update.opened_ms is None else update.opened_ms,
        venue_ms=update.venue_ms,
    )


def _changed_by_push(state: AccountState, held: Held, update: PositionUpdate, at: Instant) -> list[News]:
    lives.note_quantity(held, update.quantity, at)
    before = held.position
    held.position = replace(_with(before, update), opened_ms=before.opened_ms)
    held.changed = at
    news = [News(kind=NewsKind.READ_WANTED, key=update.key, text="the quantity changed")]
    if update.quantity > held.episode.largest_quantity:
        news.append(lives.grow(held, state))
    return news
