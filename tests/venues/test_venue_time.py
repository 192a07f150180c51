"""The venue's clock, estimated from one answer and carried by the monotonic clock."""

from guardd.clock import ManualClock
from guardd.venues.venue_time import ERROR_S_MAX, VenueTime

MS = 1_000_000


def measured(clock: ManualClock, *, ahead_ms: int, round_trip_ms: int = 100) -> VenueTime:
    known = VenueTime(clock)
    tell(known, clock, ahead_ms=ahead_ms, round_trip_ms=round_trip_ms)
    return known


def tell(known: VenueTime, clock: ManualClock, *, ahead_ms: int, round_trip_ms: int) -> None:
    """An answer that has just arrived; the venue read its clock half a round trip ago."""
    now = clock.now()
    server_ms = now.wall_ms - round_trip_ms // 2 + ahead_ms
    known.learn(server_ms=server_ms, sent_ns=now.mono_ns - round_trip_ms * MS, received_ns=now.mono_ns)


def test_nothing_is_trusted_before_the_first_measurement() -> None:
    known = VenueTime(ManualClock())
    assert not known.trusted()
    assert known.error_s() == float("inf")


def test_the_offset_counts_from_the_middle_of_the_round_trip() -> None:
    assert measured(ManualClock(), ahead_ms=1_500, round_trip_ms=400).offset_ms() == 1_500


def test_time_goes_on_between_measurements() -> None:
    clock = ManualClock()
    known = measured(clock, ahead_ms=-700)
    before_ms = known.timestamp_ms()
    clock.pass_time(12.5)
    assert known.timestamp_ms() - before_ms == 12_500


def test_I24_a_step_of_the_wall_clock_changes_the_offset_and_not_the_timestamp() -> None:
    clock = ManualClock()
    known = measured(clock, ahead_ms=0)
    before_ms = known.timestamp_ms()
    clock.step_wall(3_600)
    assert known.timestamp_ms() == before_ms
    assert known.offset_ms() == -3_600_000


def test_a_slow_answer_does_not_spoil_what_a_quick_one_told() -> None:
    clock = ManualClock()
    known = measured(clock, ahead_ms=100, round_trip_ms=20)
    tell(known, clock, ahead_ms=900, round_trip_ms=2_000)
    assert known.offset_ms() == 100


def test_a_slow_answer_counts_when_both_can_not_be_right() -> None:
    clock = ManualClock()
    known = measured(clock, ahead_ms=100, round_trip_ms=20)
    tell(known, clock, ahead_ms=60_000, round_trip_ms=2_000)
    assert known.offset_ms() == 60_000


def test_a_quicker_answer_is_believed_at_once() -> None:
    clock = ManualClock()
    known = measured(clock, ahead_ms=100, round_trip_ms=800)
    tell(known, clock, ahead_ms=250, round_trip_ms=20)
    assert known.offset_ms() == 250


def test_trust_runs_out_when_nobody_measures() -> None:
    clock = ManualClock()
    known = measured(clock, ahead_ms=0)
    clock.pass_time(24_000)
    assert known.trusted()
    clock.pass_time(2_000)
    assert known.error_s() > ERROR_S_MAX
    assert not known.trusted()
