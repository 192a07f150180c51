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
from functools import partial

from guardd.simulator.run import SimulatedVenue
from tests.simulation.crash_points import killed, wrongs
from tests.simulation.story import Told
from tests.simulation.wish import Wish, played

STORY_S_MAX = 300
"""A story that takes longer than this never ends: that is a mistake too."""
CRASH_POINTS = 8


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", required=True, help="A..B")
    parser.add_argument("--seconds", type=float, required=True, help="of each seed")
    parser.add_argument(
        "--fault", default="", help="these kinds of faults alone, as `python -m tests.simulation` has it"
    )
    parser.add_argument("--venue", type=SimulatedVenue, choices=tuple(SimulatedVenue))
    parser.add_argument("--skip", default="", help="names of stories that are not played")
    parser.add_argument("--just", default="", help="the name of the one that is played")
    given = parser.parse_args()
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
    first, _, last = given.seeds.partition("..")
    seeds = range(int(first), int(last) + 1)
    faults = tuple(name for name in given.fault.split(",") if name)
    skipped = set(given.skip.split(","))
    for name, play in _stories(seeds, given.seconds, faults, given.venue):
        if name in skipped or (given.just and name != given.just):
            continue
        found = _breaches(play)
        print(json.dumps({"story": name, "breaches": found[:3]}), flush=True)
        if found:
            return 1
    return 0


def _stories(
    seeds: range, seconds: float, faults: tuple[str, ...], venue: SimulatedVenue | None
) -> Iterator[tuple[str, Callable[[], list[str]]]]:
    for seed in seeds:
        wish = Wish(seed=seed, seconds=seconds, faults=faults, venue=venue)
        yield f"seed {seed}", lambda wish=wish: played(wish)[0].breaches  # type: ignore[misc]
    whole: dict[SimulatedVenue, Told] = {}
    for where in (venue,) if venue else tuple(SimulatedVenue):
        yield f"fall {where}", lambda where=where: _whole(whole, where).breaches  # type: ignore[misc]
        for share in range(CRASH_POINTS):
            yield f"crash point {share} of {CRASH_POINTS} {where}", partial(_crashed, whole, where, share)


def _whole(known: dict[SimulatedVenue, Told], venue: SimulatedVenue) -> Told:
    if venue not in known:
        known[venue] = killed("fall", venue, 0)
    return known[venue]


def _crashed(known: dict[SimulatedVenue, Told], venue: SimulatedVenue, share: int) -> list[str]:
    whole = _whole(known, venue)
    at = 1 + share * max(whole.awaits - 1, 0) // CRASH_POINTS
    return wrongs(killed("fall", venue, at), whole)


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
