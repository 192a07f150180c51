"""Which positions agree with everything that tells of them, remembered from check to check: a desk's thousands are seldom new.

It says no more than `crosscheck.cross_check` would: of a position that agrees by this, that one finds nothing.
"""

from decimal import Decimal
from typing import NamedTuple

from guardd.model.event import Source
from guardd.model.instant import Instant
from guardd.model.instrument import Instrument
from guardd.model.names import PositionKey, Symbol
from guardd.model.position import Position
from guardd.model.state import AccountState, Held
from guardd.risk.crosscheck import (
    MARKS_TOLERANCE,
    PUSH_AGE_S_MAX,
    STREAM_HAS_S,
    Mismatch,
    cross_check,
    notional_mismatches,
    sends_nothing,
)


class _Row(NamedTuple):
    """A row that agreed with its contract, and the marks that agree with the mark of a read."""

    position: Position
    instrument: Instrument | None
    mark: Decimal
    low: Decimal
    high: Decimal


class Agreement:
    """Kept by one lookout."""

    def __init__(self, state: AccountState) -> None:
        self._state = state
        self._rows: dict[PositionKey, _Row] = {}
        self._swept_at = 0

    def check(self, now: Instant) -> tuple[Mismatch, ...]:
        """What `cross_check` finds."""
        state = self._state
        if self._swept_at != state.lives_ended:
            self._swept_at = state.lives_ended
            self._rows = {key: row for key, row in self._rows.items() if key in state.held}
        suspects = [key for key, held in state.held.items() if not self._agrees(key, held, now)]
        return cross_check(state, now=now, among=suspects)

    def _agrees(self, key: PositionKey, held: Held, now: Instant) -> bool:
        row = self._rows.get(key)
        known = row is not None and row.position is held.position
        if not known or row is None or row.instrument is not self._state.instruments.get(key.symbol):
            if sends_nothing(self._state, key.symbol) or any(notional_mismatches(self._state, held)):
                return False
            row = None
        return self._quantities_agree(key, held, now) and self._marks_agree(key, held, row)

    def _quantities_agree(self, key: PositionKey, held: Held, now: Instant) -> bool:
        pushed = self._state.pushed_quantities.get(key)
        if pushed is None:
            return now.seconds_since(held.begun) > STREAM_HAS_S
        if held.missing_since is not None or pushed.quantity != held.position.quantity:
            return False
        return not self._state.capabilities.positions_repeated or now.seconds_since(pushed.at) <= PUSH_AGE_S_MAX

    def _marks_agree(self, key: PositionKey, held: Held, row: _Row | None) -> bool:
        symbol: Symbol = key.symbol
        streamed, read = self._state.marks.get(symbol), self._state.rest_marks.get(symbol)
        if streamed is None or read is None or streamed.source is not Source.STREAM:
            return False
        if row is None or row.mark is not read.mark:
            apart = MARKS_TOLERANCE * read.mark
            instrument = self._state.instruments.get(symbol)
            row = self._rows[key] = _Row(held.position, instrument, read.mark, read.mark - apart, read.mark + apart)
        return row.low <= streamed.mark <= row.high
