"""What CI plays: each seed that once found something, a fixed range, and a range that is new with each commit."""

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.simulation.regressions import REGRESSIONS
from tests.simulation.wish import Wish

CI_S: Final = 60.0
"""Nothing new is begun later than that: with what is being played then, less than two minutes on two cores."""
HOURS: Final = 0.05
FIXED: Final = range(1, 17)
FRESH_FROM: Final = 1_000_000
FRESH: Final = 200


def share_of_ci() -> list[Wish]:
    """As many of them as there is time for, in this order."""
    first, why = fresh_seed()
    print(f"fixed seeds {FIXED[0]}..{FIXED[-1]}, fresh ones from {first} on ({why}), {HOURS} h each")
    found = [
        Wish(seed=each.seed, seconds=each.hours * 3600, venue=each.venue, faults=each.faults, only=each.only)
        for each in REGRESSIONS
    ]
    found.extend(Wish(seed=seed, seconds=HOURS * 3600) for seed in FIXED)
    found.extend(Wish(seed=seed, seconds=HOURS * 3600) for seed in range(first, first + FRESH))
    return found


def fresh_seed() -> tuple[int, str]:
    """By the commit, so that the same one plays the same (`COMMIT`, in a copy without its history); else by the day."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    commit = os.environ.get("COMMIT", "")
    if not commit:
        commit = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    if commit:
        return FRESH_FROM + int(commit[:7], 16), f"commit {commit[:7]}"
    day = datetime.now(UTC).date()
    return FRESH_FROM + day.toordinal() * FRESH, f"day {day}"
