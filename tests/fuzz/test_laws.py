"""The two laws over every target: quick and the same each time. `python -m tests.fuzz` goes on from here."""

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.target import Target, emptied
from tests.fuzz.targets import ALL

PAYLOAD_BYTES_MAX = 60
EMPTIED_MAX = 100
"""Of each target, spread over its samples by a fixed draw; the command tries them all."""


@pytest.mark.parametrize("target", ALL, ids=lambda each: each.name)
def test_any_bytes_give_a_sound_value_or_an_error_of_its_own(target: Target) -> None:
    @settings(max_examples=25, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.binary(max_size=PAYLOAD_BYTES_MAX))
    def holds(source: bytes) -> None:
        target.strike(target.payload(source))

    holds()


@pytest.mark.parametrize("target", [each for each in ALL if each.venue], ids=lambda each: each.name)
def test_an_answer_that_lost_a_field_says_nothing_safer(target: Target) -> None:
    every = list(emptied(target))
    chosen = every if len(every) <= EMPTIED_MAX else Random(0).sample(every, EMPTIED_MAX)
    for each in chosen:
        try:
            target.obeys(each)
        except Exception as error:
            error.add_note(f"{target.name}: {each.what}; the payload: {each.payload[:400]!r}")
            raise


@pytest.mark.parametrize("target", ALL, ids=lambda each: each.name)
def test_a_target_reads_some_sample_of_its_own(target: Target) -> None:
    """Else the laws would hold for want of a value."""
    assert any(map(target.strike, target.samples))
