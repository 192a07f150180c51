"""The simulation itself: the same seed is the same story, and a few seeds hold in CI. Long runs: `python -m tests.simulation`."""

import subprocess
import sys

import pytest

from tests.simulation.plot import drawn
from tests.simulation.story import tell

SHORT_S = 120.0


@pytest.mark.parametrize("seed", range(1, 7))
def test_every_invariant_holds(seed: int) -> None:
    assert tell(drawn(seed, SHORT_S)).breaches == []


def test_the_same_seed_is_the_same_story_whatever_the_hash_seed() -> None:
    script = (
        "import hashlib; from tests.simulation.plot import drawn; from tests.simulation.story import tell; "
        "t = tell(drawn(4, 100.0), tape=True); print(len(t.tape), hashlib.sha256('\\n'.join(t.tape).encode()).hexdigest())"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", script], env={"PYTHONHASHSEED": seed, "PATH": ""}, capture_output=True, check=True
        ).stdout.splitlines()[-1]
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1]
