"""Two witnesses for everything that a reducing write rests on (I29)."""

import pytest

from guardd.model.event import InstrumentsRead, MarkSeen, PositionModeRead, PositionsPushed, PositionsRead, Source
from guardd.model.fold import fold
from guardd.model.instant import Instant
from guardd.model.names import MarginMode, PositionKey, PositionMode, Side
from guardd.model.position import Position, PositionUpdate
from guardd.model.reading import Absent
from guardd.model.state import AccountState
from guardd.risk.crosscheck import LAGS_S, Check, Mismatch, cross_check, lasting, standing
from tests.changed import replace
from tests.model.accounts import BTC, OPENED_MS, START, D, account, instrument, key, later, row


def push(state: AccountState, at: Instant, quantity: str = "100", of: PositionKey | None = None, **more: int) -> None:
    update = PositionUpdate(
        key=of or key(),
        quantity=D(quantity),
        entry_price=D(90000),
        margin_mode=MarginMode.ISOLATED,
        liquidation_price=Absent.UNKNOWN,
        frozen_quantity=D(0),
        closed_quantity=D(0),
        opened_ms=OPENED_MS,
        venue_ms=more.get("venue_ms", at.wall_ms),
    )
    fold(state, PositionsPushed(at=at, updates=(update,)))


def checked(*rows: Position, mode: PositionMode = PositionMode.HEDGE) -> AccountState:
    """An account in which every witness has spoken and agrees."""
    state = account(*(rows or (row(),)))
    fold(state, PositionModeRead(at=START, mode=mode))
    for held in list(state.held.values()):
        push(state, START, str(held.position.quantity), held.key, venue_ms=held.position.venue_ms)
    return state


def only(found: tuple[Mismatch, ...]) -> Mismatch:
    assert len(found) == 1, found
    return found[0]


def test_I29_an_account_whose_witnesses_agree_passes() -> None:
    assert cross_check(checked(), now=later(1)) == ()


def test_I29_contracts_taken_for_coins_are_proved_wrong() -> None:
    found = only(cross_check(checked(replace(row(), notional=D(8_900_000))), now=START))
    assert found.check is Check.NOTIONAL
    assert found.proved


@pytest.mark.parametrize(("notional", "wrong"), [("8944", False), ("8946", True), ("8850", True)])
def test_I29_notional_must_agree_within_half_a_percent(notional: str, wrong: bool) -> None:
    assert bool(cross_check(checked(replace(row(), notional=D(notional))), now=START)) is wrong


def test_I29_a_notional_that_no_read_has_shown_is_not_checked_yet() -> None:
    found = only(cross_check(checked(replace(row(), notional=Absent.UNKNOWN)), now=START))
    assert found.check is Check.NOTIONAL
    assert not found.proved


def test_I29_marks_that_differ_by_more_than_five_percent_at_one_moment_are_proved_wrong() -> None:
    state = checked()
    fold(state, MarkSeen(BTC, D(94000), later(0.5)))
    found = only(cross_check(state, now=later(1)))
    assert found.check is Check.MARKS
    assert found.proved


def test_I29_marks_of_two_moments_in_a_falling_market_prove_nothing() -> None:
    state = checked()
    fold(state, MarkSeen(BTC, D(80000), later(2)))
    assert not only(cross_check(state, now=later(2))).proved


def test_I29_one_mark_alone_is_not_checked_yet() -> None:
    state = checked()
    fold(state, MarkSeen(BTC, D(89000), START, source=Source.REST))
    assert not only(cross_check(state, now=START)).proved


def test_I29_a_stream_that_never_showed_the_position_leaves_it_unchecked() -> None:
    state = account(row())
    fold(state, PositionModeRead(at=START, mode=PositionMode.HEDGE))
    found = only(cross_check(state, now=START))
    assert found.check is Check.POSITIONS
    assert not found.proved


def test_I29_quantities_that_differ_the_same_way_twice_park_and_a_traded_position_does_not() -> None:
    def look(at: Instant, pushed: str, read: str) -> tuple[Mismatch, ...]:
        push(state, at, pushed)
        fold(state, MarkSeen(BTC, D(89000), at))
        again = row(quantity=read, venue_ms=at.later_by(1).wall_ms)
        fold(state, PositionsRead(started=at.later_by(1), at=at.later_by(1), positions=(again,)))
        return cross_check(state, now=at.later_by(1))

    state = checked()
    first = look(later(1), "100", "60")
    assert only(first).check is Check.POSITIONS
    since = standing({}, first, later(1))
    second = look(later(2), "80", "60")
    since = standing(since, second, later(2))
    assert lasting(second, since, later(2)) == ()
    third = look(later(4), "80", "60")
    since = standing(since, third, later(4))
    fourth = look(later(9), "80", "60")
    assert lasting(fourth, standing(since, fourth, later(9)), later(9)) == fourth


def test_I29_a_stream_that_fell_silent_before_a_reduction_parks_nobody() -> None:
    """Its last push still shows what was held before; the guard that just reduced must not be parked for that."""
    state = checked()
    since = {}
    for second in range(1, 30):
        again = row(quantity="60", venue_ms=later(second).wall_ms)
        fold(state, PositionsRead(started=later(second), at=later(second), positions=(again,)))
        found = tuple(each for each in cross_check(state, now=later(second)) if each.check is Check.POSITIONS)
        since = standing(since, found, later(second))
        assert not only(found).proved
        assert lasting(found, since, later(second)) == ()


def test_I29_a_repetition_older_than_the_read_is_a_witness_when_it_agrees() -> None:
    state = checked()
    push(state, later(20), venue_ms=START.wall_ms - 5_000)
    assert not [found for found in cross_check(state, now=later(30)) if found.check is Check.POSITIONS]


def test_I29_a_position_that_only_the_stream_shows_is_proved_by_a_later_read() -> None:
    state = checked()
    push(state, later(1), "7", key(Side.SHORT))
    assert not only(cross_check(state, now=later(2))).proved
    again = replace(row(), venue_ms=later(4).wall_ms)
    fold(state, MarkSeen(BTC, D(89000), later(4)))
    fold(state, PositionsRead(started=later(4), at=later(4), positions=(again,)))
    assert only(cross_check(state, now=later(4))).proved


def test_I29_a_frame_that_came_late_after_a_close_is_forgotten() -> None:
    state = checked()
    push(state, later(1), "7", key(Side.SHORT))
    assert cross_check(state, now=later(13)) == ()


def test_I29_a_stream_that_lags_and_repeats_what_has_ended_proves_nothing_until_it_goes_on_for_too_long() -> None:
    state = checked()
    push(state, later(2), "0")
    fold(state, PositionsRead(started=later(3), at=later(3), positions=()))
    assert not state.held
    for second in (10, 40, 80, LAGS_S + 5):
        push(state, later(second), venue_ms=START.wall_ms)
        fold(state, PositionsRead(started=later(second + 3), at=later(second + 3), positions=()))
        found = tuple(each for each in cross_check(state, now=later(second + 3)) if each.check is Check.POSITIONS)
        assert only(found).proved is (second > LAGS_S)


def test_I29_a_close_that_reads_saw_first_proves_nothing() -> None:
    state = checked()
    fold(state, PositionsRead(started=later(5), at=later(5), positions=()))
    assert not any(found.proved for found in cross_check(state, now=later(5)))


def test_I29_reads_that_go_on_to_show_nothing_contradict_the_stream_and_one_before_a_block_does_not() -> None:
    state = checked()
    fold(state, PositionsRead(started=later(5), at=later(5), positions=()))
    fold(state, PositionsRead(started=later(6), at=later(6), positions=()))
    push(state, later(7.5), venue_ms=START.wall_ms - 5_000)
    assert only(cross_check(state, now=later(8))).proved
    push(state, later(15), venue_ms=START.wall_ms - 5_000)
    assert not only(cross_check(state, now=later(20))).proved


def test_I29_the_position_mode_is_read_in_this_run_and_again_each_minute() -> None:
    state = account(row())
    push(state, START, venue_ms=START.wall_ms)
    assert only(cross_check(state, now=START)).check is Check.POSITION_MODE
    fold(state, PositionModeRead(at=START, mode=PositionMode.HEDGE))
    assert cross_check(state, now=START) == ()
    old = [found for found in cross_check(state, now=later(61)) if found.check is Check.POSITION_MODE]
    assert not old[0].proved


def test_I29_both_sides_held_in_one_way_mode_are_proved_wrong() -> None:
    state = checked(row(), row(Side.SHORT), mode=PositionMode.ONE_WAY)
    found = only(cross_check(state, now=START))
    assert found.check is Check.POSITION_MODE
    assert found.proved


def test_I29_only_what_stays_proved_parks() -> None:
    wrong = cross_check(checked(replace(row(), notional=D(8_900_000))), now=START)
    unsure = cross_check(checked(replace(row(), notional=Absent.UNKNOWN)), now=START)
    since = standing({}, wrong, START)
    assert lasting(wrong, since, later(1)) == ()
    assert lasting(wrong, since, later(2)) == wrong
    assert standing(since, unsure, later(2)) == {}
    assert lasting(unsure, standing({}, unsure, START), later(100)) == ()


def test_I29_marks_that_part_in_a_crash_do_not_park_the_guard_that_is_needed_in_it() -> None:
    state = checked()
    since = {}
    for second in range(40):
        fold(state, MarkSeen(BTC, D(80_000), later(second)))
        state.rest_marks[BTC] = MarkSeen(BTC, D(89_000), later(second))
        found = cross_check(state, now=later(second))
        since = standing(since, found, later(second))
        assert lasting(found, since, later(second)) == ()


def test_I29_a_push_of_zero_is_the_first_word_of_a_close_and_contradicts_only_later_reads() -> None:
    state = checked()
    push(state, later(1), "0")
    assert not positions_of(cross_check(state, now=later(1))).proved
    fold(state, PositionsRead(started=later(4), at=later(4), positions=(replace(row(), venue_ms=later(4).wall_ms),)))
    assert positions_of(cross_check(state, now=later(4))).proved


def positions_of(found: tuple[Mismatch, ...]) -> Mismatch:
    return only(tuple(each for each in found if each.check is Check.POSITIONS))


def test_I29_a_stream_that_never_says_anything_holds_no_close_back_for_ever() -> None:
    state = checked()
    state.pushed_quantities.clear()
    assert positions_of(cross_check(state, now=later(14))).text.startswith("main/BTCUSDT/long: the stream hasn't")
    assert not [each for each in cross_check(state, now=later(16)) if each.check is Check.POSITIONS]


# A stream that tells changes only


def changes_only(*rows: Position) -> AccountState:
    state = checked(*rows)
    state.capabilities = replace(state.capabilities, positions_repeated=False)
    return state


def read_at(state: AccountState, at: Instant, *, quantity: str = "100", changed: Instant = START) -> None:
    """`changed`: when the venue says that this row last changed."""
    again = row(quantity=quantity, venue_ms=changed.wall_ms)
    fold(state, MarkSeen(BTC, D(89000), at))
    fold(state, PositionModeRead(at=at, mode=PositionMode.HEDGE))
    fold(state, PositionsRead(started=at, at=at, positions=(again,)))


def test_I29_a_position_that_a_stream_of_changes_showed_once_is_witnessed_as_long_as_nothing_changes() -> None:
    state = changes_only()
    read_at(state, later(3_600))
    assert cross_check(state, now=later(3_600)) == ()


def test_I29_a_change_whose_push_was_lost_holds_nothing_back_for_long_and_parks_nobody() -> None:
    state = changes_only()
    for second in range(10, 40):
        read_at(state, later(second), quantity="50", changed=later(10))
        found = cross_check(state, now=later(second))
        assert not any(each.proved for each in found)
        assert bool(found) is (second <= 25)


def test_I29_reads_that_show_something_else_without_a_change_contradict_a_stream_of_changes() -> None:
    state = changes_only()
    push(state, later(1), "80", venue_ms=later(1).wall_ms)
    read_at(state, later(2), quantity="100", changed=later(1))
    assert not positions_of(cross_check(state, now=later(2))).proved
    read_at(state, later(4), quantity="100", changed=later(1))
    assert positions_of(cross_check(state, now=later(4))).proved


def test_I29_a_late_frame_of_a_stream_of_changes_parks_nobody() -> None:
    state = changes_only()
    push(state, later(1), "7", key(Side.SHORT))
    for second in range(2, 20):
        read_at(state, later(second))
        assert not any(each.proved for each in cross_check(state, now=later(second)))


def test_a_contract_that_isnt_guarded_proves_and_doubts_nothing() -> None:
    """Its units may be other ones, and its line of products another position mode."""
    state = checked(replace(row(), notional=D("0.0001")), row(Side.SHORT), mode=PositionMode.ONE_WAY)
    assert any(each.proved for each in cross_check(state, now=START))
    fold(state, InstrumentsRead(at=START, instruments=(replace(instrument(), unguarded="inverse"),)))
    assert cross_check(state, now=START) == ()
