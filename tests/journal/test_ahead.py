"""The log ahead: what is promised is there after any end, and nothing else is."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardd.errors import JournalError
from guardd.journal.ahead import BYTES, AheadLog

texts = st.lists(st.binary(min_size=1, max_size=900), min_size=1, max_size=4)


def opened(file: Path) -> AheadLog:
    log = AheadLog.open(file, sync=True)
    assert log is not None
    return log


@settings(max_examples=60, deadline=None)
@given(rounds=st.lists(texts, min_size=1, max_size=5), clears=st.lists(st.booleans(), min_size=5, max_size=5))
def test_a_start_finds_what_was_promised_since_the_last_clear(
    tmp_path_factory: pytest.TempPathFactory, rounds: list[list[bytes]], clears: list[bool]
) -> None:
    file = tmp_path_factory.mktemp("ahead") / "log"
    log, expected = opened(file), []
    for batch, clear in zip(rounds, clears, strict=False):
        assert log.append(batch)
        expected += batch
        if clear:
            log.clear()
            expected = []
    log.close()
    again = opened(file)
    assert again.read() == expected
    again.close()


@settings(max_examples=80, deadline=None)
@given(kept=texts, torn=texts, cut=st.floats(0, 1), restarted=st.booleans())
def test_a_torn_write_ends_what_is_found_and_costs_nothing_before_it(
    tmp_path_factory: pytest.TempPathFactory, kept: list[bytes], torn: list[bytes], cut: float, restarted: bool
) -> None:
    file = tmp_path_factory.mktemp("ahead") / "log"
    log = opened(file)
    log.append([b"of an earlier round"] * 40)
    log.clear()
    if restarted:
        log.close()
        log = opened(file)
        assert log.read() == []
    log.append(kept)
    before = file.read_bytes()
    log.append(torn)
    after = file.read_bytes()
    log.close()
    at = int(len(after) * cut)
    file.write_bytes(after[:at] + before[at:])
    again = opened(file)
    found = again.read()
    assert found == [*kept, *torn][: len(found)]
    assert len(found) >= len(kept)
    again.close()


def test_what_has_no_room_is_not_taken_and_nothing_is_lost(tmp_path: Path) -> None:
    log = opened(tmp_path / "log")
    assert log.append([b"x" * 1000])
    assert not log.append([b"y" * BYTES])
    log.close()
    again = opened(tmp_path / "log")
    assert again.read() == [b"x" * 1000]
    again.close()


def test_the_file_is_its_owners_alone_and_keeps_its_size(tmp_path: Path) -> None:
    log = opened(tmp_path / "log")
    log.append([b"x"])
    assert os.stat(tmp_path / "log").st_mode & 0o077 == 0
    assert os.stat(tmp_path / "log").st_size == BYTES
    log.close()


def test_one_that_is_there_and_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    with pytest.raises(JournalError, match="it may hold what the last run was sending"):
        AheadLog.open(tmp_path / "log", sync=True)


@pytest.mark.parametrize("written", range(4, 16))
def test_a_head_that_was_torn_after_its_round_is_no_record_of_nothing(tmp_path: Path, written: int) -> None:
    """The zeros behind it would be the length and the sum of an empty text, which nobody can read as an intent."""
    file = tmp_path / "log"
    log = opened(file)
    log.append([b"promised"])
    before = file.read_bytes()
    log.append([b"torn"])
    log.close()
    at = len(b"promised") + 16 + written
    file.write_bytes(file.read_bytes()[:at] + before[at:])
    again = opened(file)
    assert again.read() == [b"promised"]
    again.close()
