"""Stories in a tree that may be broken, until one of them shows it: `python -m tests.mutation.played --seeds 1..10 --seconds 360`.

A line of JSON for each: what it was, and what broke. After the seeds a few crash points of each venue are played.
"""

import argparse
import json
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator

from guardd.simulator.run import SimulatedVenue
from tests.simulation.crash_points import killed, wrongs
from tests.simulation.wish import Wish, played

STORY_S_MAX = 300
"""A story that takes longer than this never ends: that is a mistake too."""
CRASH_POINTS = 8


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", required=True, help="A..B")
    parser.add_argument("--seconds", type=float, required=True, help="of each seed")
    parser.add_argument("--clean", action="store_true", help="play them all, and say which are clean")
    parser.add_argument("--skip", default="", help="names that aren't clean without any bug")
    given = parser.parse_args()
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
    first, _, last = given.seeds.partition("..")
    skipped = set(given.skip.split(","))
    for name, play in _stories(range(int(first), int(last) + 1), given.seconds):
        if name in skipped:
            continue
        found = _breaches(play)
        print(json.dumps({"story": name, "breaches": found[:3]}), flush=True)
        if found and not given.clean:
            return 1
    return 0


def _stories(seeds: range, seconds: float) -> Iterator[tuple[str, Callable[[], list[str]]]]:
    for seed in seeds:
        yield f"seed {seed}", lambda seed=seed: played(Wish(seed=seed, seconds=seconds))[0].breaches  # type: ignore[misc]
    for venue in SimulatedVenue:
        whole = killed(venue, 0)
        yield f"fall {venue}", lambda whole=whole: whole.breaches  # type: ignore[misc]
        for at in range(1, whole.awaits + 1, max(whole.awaits // CRASH_POINTS, 1)):
            yield (
                f"crash point {at} {venue}",
                lambda at=at, venue=venue, whole=whole: wrongs(killed(venue, at), whole),  # type: ignore[misc]
            )


def _breaches(play: Callable[[], list[str]]) -> list[str]:
    """What broke; the end of a story by an error of its own is that too."""
    signal.alarm(STORY_S_MAX)
    try:
        return list(play())
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return [f"ended with {type(error).__name__}: {error} ({where.name})"]
    finally:
        signal.alarm(0)


if __name__ == "__main__":
    sys.exit(main())
