"""Reloading during a fall, good and bad files in turn; the long form is `python -m tests.live.reloads --times 1000`."""

from pathlib import Path

from tests.live.reloads import play, wrong


async def test_I23_no_action_is_missed_and_none_doubled_while_the_policy_is_reloaded_again_and_again(
    tmp_path: Path,
) -> None:
    played = await play(tmp_path, times=40, rungs=1, seconds=2)
    assert wrong(played) == []
    assert len(played.reached) == 4
