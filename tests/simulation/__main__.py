"""`python -m tests.simulation --seeds 1..100 --hours 0.1`: play seeds, say what broke, and how to see it again."""

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import structlog

from guardd.simulator.run import SimulatedVenue
from tests.simulation.draw import drawn
from tests.simulation.story import Told, tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    seed: int
    seconds: float
    venue: SimulatedVenue | None
    tape: bool = False


def played(wish: Wish) -> tuple[Told, float]:
    """One seed, with the CPU seconds that it took."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    began = time.process_time()
    told = tell(drawn(wish.seed, wish.seconds, venue=wish.venue), tape=wish.tape)
    return told, time.process_time() - began


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", required=True, help="A..B, both included, or one seed")
    parser.add_argument("--hours", type=float, default=0.1, help="of each seed")
    parser.add_argument("--venue", type=SimulatedVenue, choices=tuple(SimulatedVenue))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--tape", action="store_true", help="print everything that happened")
    given = parser.parse_args()
    first, _, last = given.seeds.partition("..")
    seeds = range(int(first), int(last or first) + 1)
    wishes = [Wish(seed=seed, seconds=given.hours * 3600, venue=given.venue, tape=given.tape) for seed in seeds]
    failed: list[int] = []
    cpu = seconds = 0.0
    struck: Counter[str] = Counter()
    sums: Counter[str] = Counter()
    with ProcessPoolExecutor(given.jobs) as pool:
        for told, took in pool.map(played, wishes):
            cpu, seconds = cpu + took, seconds + told.seconds
            struck.update(told.strikes)
            sums.update(closes=told.closes, liquidations=told.liquidations, kills=told.kills, breached=told.open_breach)
            for line in told.tape:
                print(line)
            if told.breaches:
                failed.append(told.seed)
                print(f"seed {told.seed} ({told.venue}): {len(told.breaches)} breaches")
                for line in told.breaches[:6]:
                    print(f"    {line}")
                venue = f" --venue {given.venue}" if given.venue else ""
                print(
                    f"    again: python -m tests.simulation --seeds {told.seed} --hours {given.hours}{venue}",
                    flush=True,
                )
    print(f"{len(wishes)} seeds, {seconds / 3600:.2f} simulated hours, {seconds / cpu:.0f} simulated s per CPU s")
    print(f"{dict(sums)}; struck {dict(sorted(struck.items()))}")
    print(f"failed: {failed or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
