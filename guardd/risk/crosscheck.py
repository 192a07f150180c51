"""The cross-check before any reducing write (I29): units, marks, positions and mode, each against a second witness.

Pure and without memory. The guard runs it at each reconciliation: the first time that an episode shows nothing at all, its
reducing writes are free; later what is merely unchecked (a stream that is down has no mark) doesn't take that back, except
for the position mode, which is read again each 60 s. A mismatch that stays proved parks the account (`lasting`). The
account family and the environment are checked where they are known, when the account's adapter is built.
"""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Final

from msgspec import Struct

from guardd.model.event import Source
from guardd.model.instant import Instant
from guardd.model.names import PositionKey, PositionMode, Symbol
from guardd.model.reading import is_value
from guardd.model.state import AccountState, Held, Pushed
from guardd.risk.ages import POSITION_MODE_AGE_S_MAX

NOTIONAL_TOLERANCE: Final = Decimal("0.005")
MARKS_TOLERANCE: Final = Decimal("0.05")
SAME_MOMENT_S: Final = 1.0
"""Marks further apart in time prove nothing: a falling market moves 5 % in a second or two."""
SETTLING_S: Final = 2.0
"""How long REST and push may disagree about a quantity while a fill makes its way into both."""
PUSH_REPEATS_S: Final = 11.0
"""The venue repeats each position every 10 s (BitMart reference, 14.8), and a second is grace."""
STREAM_HAS_S: Final = 15.0
"""How long the stream has to show a position for the first time. A stream that says nothing at all (a login refused, a socket
that stays silent) is told as lost; it contradicts nothing, and must not hold back every close for as long as it lasts (I10).
Reads, notional and marks still have to agree."""
LAGS_S: Final = 90.0
"""A stream that lags goes on repeating what has ended, and one lagged 40 s on 2025-10-10: for twice that time it proves nothing
of it. To park then is to leave the other positions alone in the crash that closed this one."""
PUSH_AGE_S_MAX: Final = 25.0
"""Two repetitions missed: an older push says nothing about now."""


class Check(StrEnum):
    NOTIONAL = "notional"
    MARKS = "marks"
    POSITIONS = "positions"
    POSITION_MODE = "position_mode"


class Mismatch(Struct, frozen=True, kw_only=True):
    """Something that doesn't agree (`proved`), or that no second witness has confirmed yet. `symbol` None: the account."""

    check: Check
    symbol: Symbol | None
    key: PositionKey | None
    proved: bool
    text: str


PARKS_AFTER_S: Final = {
    Check.NOTIONAL: 2.0,
    Check.POSITIONS: 5.0,
    Check.POSITION_MODE: 2.0,
    Check.MARKS: 60.0,
}
"""How long a mismatch must be proved without a break before it parks the account: one look can catch the two witnesses at
different moments. Marks differ by 5 % whenever the market moves 5 % between two frames, and a feed lagged 40 s on 2025-10-10:
to park then would be to stand aside in the very crash that the guard is for."""
_Name = tuple[Check, Symbol | None, PositionKey | None]
Standing = Mapping[_Name, Instant]


def cross_check(
    state: AccountState, *, now: Instant, among: Iterable[PositionKey] | None = None
) -> tuple[Mismatch, ...]:
    """Everything that speaks against a reducing write; empty when all of it was checked and agrees.

    A contract that isn't guarded is none of it: nothing is sent for it, and its units may be other ones. `among`: all other
    positions are known to agree (`agreement.Agreement`).
    """
    found: list[Mismatch] = []
    asked = sorted(state.held if among is None else among)
    guarded = [key for key in asked if not sends_nothing(state, key.symbol)]
    for key in guarded:
        found.extend(notional_mismatches(state, state.held[key]))
        found.extend(_quantity(state, state.held[key], now))
    for symbol in sorted({key.symbol for key in guarded}):
        found.extend(_marks(state, symbol, now))
    found.extend(_only_pushed(state, now))
    found.extend(_mode(state, now))
    return tuple(found)


def sends_nothing(state: AccountState, symbol: Symbol) -> bool:
    instrument = state.instruments.get(symbol)
    return instrument is not None and bool(instrument.unguarded)


def standing(before: Standing, found: tuple[Mismatch, ...], now: Instant) -> Standing:
    """Since when each proved mismatch has been proved without a break; `before` is what the look before this gave."""
    return {_name(mismatch): before.get(_name(mismatch), now) for mismatch in found if mismatch.proved}


def lasting(found: tuple[Mismatch, ...], since: Standing, now: Instant) -> tuple[Mismatch, ...]:
    """The mismatches that have been proved for so long that the account is parked."""
    return tuple(
        mismatch
        for mismatch in found
        if mismatch.proved and now.seconds_since(since.get(_name(mismatch), now)) >= PARKS_AFTER_S[mismatch.check]
    )


def _name(mismatch: Mismatch) -> _Name:
    return mismatch.check, mismatch.symbol, mismatch.key


def notional_mismatches(state: AccountState, held: Held) -> Iterator[Mismatch]:
    """Catches a wrong unit or multiplier: contracts taken for coins are wrong a thousandfold."""
    position, instrument = held.position, state.instruments.get(held.key.symbol)
    if instrument is None:
        yield _about(held.key, Check.NOTIONAL, False, "its contract's details were not read")
    elif not is_value(position.mark_price) or not is_value(position.notional):
        yield _about(held.key, Check.NOTIONAL, False, "no read has shown mark and notional of this quantity yet")
    else:
        ours = instrument.notional(position.quantity, position.mark_price)
        if abs(ours - position.notional) > NOTIONAL_TOLERANCE * abs(position.notional):
            text = (
                f"{position.quantity} contracts × {instrument.contract_size} × {position.mark_price} = {ours}, "
                f"the venue says {position.notional}"
            )
            yield _about(held.key, Check.NOTIONAL, True, text)


def _quantity(state: AccountState, held: Held, now: Instant) -> Iterator[Mismatch]:
    """REST and push must show the same position."""
    pushed = state.pushed_quantities.get(held.key)
    if not state.capabilities.positions_repeated and pushed is not None:
        yield from _last_change(held, pushed, now)
        return
    if pushed is None or now.seconds_since(pushed.at) > PUSH_AGE_S_MAX:
        if pushed is not None or now.seconds_since(held.begun) <= STREAM_HAS_S:
            yield _about(held.key, Check.POSITIONS, False, "the stream hasn't shown this position lately")
        return
    quantity, at = pushed.quantity, pushed.at
    if held.missing_since is not None:
        # Reads that a block holds back since then contradict nothing that the stream says later.
        settled = at.seconds_since(held.missing_since) > SETTLING_S and _read_since(state, at)
        yield _about(held.key, Check.POSITIONS, settled, f"reads show nothing, the stream {quantity}")
    elif quantity != held.position.quantity and at.mono_ns < held.shown_since.mono_ns:
        # Its last word before a change that reads have shown since: it is down, or a push was lost, and contradicts nothing.
        yield _about(held.key, Check.POSITIONS, False, "the stream hasn't shown its last change")
    elif quantity != held.position.quantity:
        # A push of zero is the first word of a close (a stop that fired): it contradicts only what reads go on to show.
        proved = quantity != 0 or held.read.seconds_since(at) > SETTLING_S
        text = f"pushes and reads say {quantity} and {held.position.quantity}"
        yield _about(held.key, Check.POSITIONS, proved, text)


def _read_since(state: AccountState, pushed: Instant) -> bool:
    """Positions were read at about that moment, or later."""
    return state.positions_at is not None and state.positions_at.seconds_since(pushed) >= -SETTLING_S


def _last_change(held: Held, pushed: Pushed, now: Instant) -> Iterator[Mismatch]:
    """The stream tells changes only (Bitget reference, 13.5): what it told stands, at any age, until the next change.

    A read with a later change in it says that a push was lost, which isn't a contradiction. One that goes on to show something
    else without a change is.
    """
    if pushed.quantity == held.position.quantity and held.missing_since is None:
        return
    if held.missing_since is None and held.position.venue_ms > pushed.venue_ms:
        if now.seconds_since(held.changed) <= STREAM_HAS_S:
            yield _about(held.key, Check.POSITIONS, False, "the stream hasn't shown its last change")
        return
    settled = held.missing_since is None and held.read.seconds_since(pushed.at) > SETTLING_S
    reads = "nothing" if held.missing_since is not None else str(held.position.quantity)
    yield _about(held.key, Check.POSITIONS, settled, f"reads show {reads}, the stream {pushed.quantity}")


def _only_pushed(state: AccountState, now: Instant) -> Iterator[Mismatch]:
    """A position that the stream shows and no read does. A frame that came late isn't repeated, a real position is.

    Where the stream repeats nothing, one frame proves nothing: it may be late (Bitget: pushes are delayed and doubled).
    """
    repeated = state.capabilities.positions_repeated
    for key in sorted(state.pushed_quantities.keys() - state.held.keys()):
        pushed = state.pushed_quantities[key]
        if pushed.quantity == 0 or sends_nothing(state, key.symbol):
            continue
        if now.seconds_since(pushed.at) > PUSH_REPEATS_S:
            continue
        settled = state.positions_at is not None and state.positions_at.seconds_since(pushed.at) > SETTLING_S
        ended = state.ended.get(key)
        lags = ended is not None and now.seconds_since(ended) <= LAGS_S
        text = f"reads show nothing, the stream {pushed.quantity}"
        yield _about(key, Check.POSITIONS, settled and repeated and not lags, text)


def _marks(state: AccountState, symbol: Symbol, now: Instant) -> Iterator[Mismatch]:
    streamed, read = state.marks.get(symbol), state.rest_marks.get(symbol)
    if streamed is None or read is None or streamed.source is not Source.STREAM:
        if read is not None and all(now.seconds_since(held.begun) > STREAM_HAS_S for held in state.holds(symbol)):
            return
        yield Mismatch(check=Check.MARKS, symbol=symbol, key=None, proved=False, text=f"{symbol}: one mark only")
        return
    if abs(streamed.mark - read.mark) > MARKS_TOLERANCE * read.mark:
        together = abs(streamed.at.seconds_since(read.at)) <= SAME_MOMENT_S
        text = f"{symbol}: mark {streamed.mark} on the stream, {read.mark} by REST"
        yield Mismatch(check=Check.MARKS, symbol=symbol, key=None, proved=together, text=text)


def _mode(state: AccountState, now: Instant) -> Iterator[Mismatch]:
    mode, at = state.position_mode, state.position_mode_at
    if mode is None or at is None or now.seconds_since(at) > POSITION_MODE_AGE_S_MAX:
        text = f"the position mode was not read within {POSITION_MODE_AGE_S_MAX:g} s"
        yield Mismatch(check=Check.POSITION_MODE, symbol=None, key=None, proved=False, text=text)
        return
    symbols = {key.symbol for key in state.held}
    if mode is PositionMode.ONE_WAY and len(symbols) < len(state.held):
        for symbol in sorted(symbol for symbol in symbols if not sends_nothing(state, symbol)):
            sure = [held for held in state.holds(symbol) if held.missing_since is None and held.close_seen is None]
            if len(sure) > 1:
                text = f"{symbol}: both sides are held in one-way mode"
                yield Mismatch(check=Check.POSITION_MODE, symbol=symbol, key=None, proved=True, text=text)


def _about(key: PositionKey, check: Check, proved: bool, text: str) -> Mismatch:
    return Mismatch(check=check, symbol=key.symbol, key=key, proved=proved, text=f"{key}: {text}")
