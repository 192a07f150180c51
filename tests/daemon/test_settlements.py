"""Funding is settled at the venue's times, and what it changed is read at once."""

import pytest

from guardd.daemon.settlements import Settlements
from guardd.model.event import ClockRead, InstrumentsRead, PositionsRead
from guardd.model.fold import fold
from guardd.model.instant import Instant
from guardd.model.state import AccountState
from tests.changed import replace
from tests.model.accounts import BTC, START, account, later, row

HOUR_MS = 3_600_000
MIDNIGHT_MS = 20_000 * 24 * HOUR_MS


def holding(every_h: int | None, at_ms: int | None = None, offset_ms: int = 0) -> AccountState:
    state = account(row())
    every_s = None if every_h is None else every_h * 3_600
    listed = replace(state.instruments[BTC], funding_every_s=every_s, funding_at_ms=at_ms)
    fold(state, InstrumentsRead(at=START, instruments=(listed,)))
    fold(state, ClockRead(at=START, offset_ms=offset_ms))
    return state


def asked(settlements: Settlements, *wall_ms: int) -> list[bool]:
    return [settlements.passed(Instant(START.mono_ns, MIDNIGHT_MS + each)) for each in wall_ms]


@pytest.mark.parametrize(
    ("every_h", "at_ms", "offset_ms", "settled_ms"),
    [
        (8, None, 0, 8 * HOUR_MS),
        (4, None, 0, 4 * HOUR_MS),
        (None, None, 0, HOUR_MS),
        (8, MIDNIGHT_MS + 3 * HOUR_MS, 0, 3 * HOUR_MS),
        (8, None, 1_500, 8 * HOUR_MS - 1_500),
    ],
)
def test_each_settlement_is_noticed_once_when_it_comes_by_the_venues_clock(
    every_h: int | None, at_ms: int | None, offset_ms: int, settled_ms: int
) -> None:
    settlements = Settlements(holding(every_h, at_ms, offset_ms))
    moments = (settled_ms - 300, settled_ms - 50, settled_ms + 200, settled_ms + 450)
    assert asked(settlements, *moments) == [False, False, True, False]


def test_what_isnt_held_settles_for_nobody() -> None:
    state = holding(8)
    for at_s in (1, 20):
        fold(state, PositionsRead(started=later(at_s), at=later(at_s), positions=()))
    assert not state.held
    assert asked(Settlements(state), 8 * HOUR_MS - 100, 8 * HOUR_MS + 100) == [False, False]


def test_a_wall_clock_that_steps_back_settles_nothing_twice() -> None:
    settlements = Settlements(holding(8))
    times = (8 * HOUR_MS - 100, 8 * HOUR_MS + 100, 8 * HOUR_MS + 50, 8 * HOUR_MS + 200)
    assert asked(settlements, *times) == [False, True, False, False]
