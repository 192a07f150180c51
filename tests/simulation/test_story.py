"""The simulation itself: the same seed is the same story, and a few seeds hold in CI. Long runs: `python -m tests.simulation`."""

import subprocess
import sys

import pytest

from guardd.simulator.run import SimulatedVenue
from tests.simulation.crash_points import STORIES, killed, wrongs
from tests.simulation.draw import drawn
from tests.simulation.story import tell

# A kill leaves what was not begun yet where it stood.
pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")

SHORT_S = 120.0


@pytest.mark.parametrize("seed", range(1, 7))
def test_every_invariant_holds(seed: int) -> None:
    assert tell(drawn(seed, SHORT_S)).breaches == []


def test_the_same_seed_is_the_same_story_whatever_the_hash_seed() -> None:
    script = (
        "import hashlib; from tests.simulation.draw import drawn; from tests.simulation.story import tell; "
        "t = tell(drawn(4, 100.0), tape=True); print(len(t.tape), hashlib.sha256('\\n'.join(t.tape).encode()).hexdigest())"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", script], env={"PYTHONHASHSEED": seed, "PATH": ""}, capture_output=True, check=True
        ).stdout.splitlines()[-1]
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1]


@pytest.mark.parametrize("story", list(STORIES))
@pytest.mark.parametrize("venue", list(SimulatedVenue))
def test_I08_killed_at_an_await_of_its_hands_the_same_stands_in_the_end(venue: SimulatedVenue, story: str) -> None:
    """Three of them here; all: `python -m tests.simulation.crash_points`."""
    whole = killed(story, venue, 0)
    assert whole.awaits >= 30
    assert whole.breaches == []
    assert [
        line for at in range(1, whole.awaits + 1, whole.awaits // 3) for line in wrongs(killed(story, venue, at), whole)
    ] == []
