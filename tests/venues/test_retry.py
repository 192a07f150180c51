"""The schedules keep to interfaces.md section 6 whatever the jitter."""

from hypothesis import given
from hypothesis import strategies as st

from guardd.venues import retry

jitters = st.floats(0.0, 1.0, exclude_max=True)
counts = st.integers(0, 10_000)


@given(counts, jitters)
def test_a_reconnect_never_waits_longer_than_its_doubled_step_or_thirty_seconds(failures: int, jitter: float) -> None:
    assert 0.0 <= retry.reconnect_s(failures, jitter) <= min(30.0, 0.5 * 2 ** min(failures, 10))


def test_reconnects_double_from_half_a_second_to_thirty_seconds() -> None:
    assert [retry.reconnect_s(n, 0.999999) for n in range(8)] == [
        0.999999 * step for step in (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0)
    ]


@given(jitters)
def test_the_edge_is_tried_again_after_thirty_to_sixty_seconds(jitter: float) -> None:
    assert 30.0 <= retry.edge_s(jitter) <= 60.0


def test_probes_of_a_ban_double_from_one_minute_to_fifteen() -> None:
    assert [retry.ban_probe_s(n) for n in range(7)] == [60.0, 120.0, 240.0, 480.0, 900.0, 900.0, 900.0]


@given(st.floats(0.0, 900.0), jitters)
def test_the_first_429_rests_for_the_window_and_at_least_two_seconds(window_s: float, jitter: float) -> None:
    assert retry.rate_limit_s(0, window_s, jitter) == max(window_s, 2.0)


@given(counts, st.floats(0.0, 900.0), jitters)
def test_a_further_429_never_rests_shorter_than_the_one_before(refusals: int, window_s: float, jitter: float) -> None:
    longest_before_jitter_s = retry.rate_limit_s(refusals, window_s, 0.0)
    assert retry.rate_limit_s(refusals + 1, window_s, jitter) >= longest_before_jitter_s


@given(counts, jitters)
def test_a_read_comes_again_within_two_seconds_and_never_at_once(failures: int, jitter: float) -> None:
    assert 0.05 <= retry.read_s(failures, jitter) <= 2.0
