"""`python -m tests.simulation --seeds 1..100 --hours 0.1`: play seeds, say what broke, and how to see it again.

`--fault NAME[,NAME]` draws these kinds alone, and each of them in every story. `--into FILE` keeps one JSON line for each seed and
goes on where a run before it stopped. `--only s0,k1` plays a story with these of its items alone. `--ci` is the share of CI.
"""

import argparse
import json
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from guardd.simulator.run import SimulatedVenue
from tests.changed import replace
from tests.simulation.ci import CI_S, FRESH_FROM, share_of_ci
from tests.simulation.menu import NAMES
from tests.simulation.shrink import shrunk
from tests.simulation.story import Told
from tests.simulation.wish import Wish, played

SHOWN: Final = 6
SHRINKS: Final = 3
"""So many failing seeds of a run are shrunk; each takes up to forty stories."""
PROGRESS_S: Final = 10.0
SUMS: Final = (
    "closes",
    "liquidations",
    "avoidable",
    "decisions",
    "kills",
    "awaits",
    "requests",
    "facts",
    "unexplained_s",
)


def smallest(wish: Wish, told: Told) -> Wish:
    """The same story with no more in it than it takes for the same invariant to break."""
    broken = _invariant(told.breaches[0])

    def fails(items: Iterable[str]) -> bool:
        again, _ = played(replace(wish, only=tuple(items), tape=False))
        return any(_invariant(line) == broken for line in again.breaches)

    return replace(wish, only=shrunk(wish.plot.items, fails))


def broken_off(wish: Wish, error: BaseException) -> Told:
    """What is told of a story that couldn't be played to its end."""
    text = "".join(traceback.format_exception(error))
    return Told(seed=wish.seed, venue=wish.plot.venue, breaches=[f"story broken off: {text}"], seconds=wish.seconds)


def _invariant(breach: str) -> str:
    return breach.split("] ", 1)[-1].split(" ", 1)[0]


@dataclass(slots=True)
class Tally:
    """What a run has seen."""

    wishes: int
    stories: int = 0
    seconds: float = 0.0
    cpu_s: float = 0.0
    began: float = field(default_factory=time.monotonic)
    told_at: float = field(default_factory=time.monotonic)
    breached: int = 0
    failed: list[int] = field(default_factory=list)
    sums: Counter[str] = field(default_factory=Counter)
    drawn: Counter[str] = field(default_factory=Counter)
    struck: Counter[str] = field(default_factory=Counter)

    def add(self, row: dict[str, Any]) -> None:
        self.stories += 1
        self.seconds += row["seconds"]
        self.cpu_s += row["cpu_s"]
        self.breached += row["open_breach"]
        self.sums.update({name: row[name] for name in SUMS})
        self.drawn.update(row["drawn"])
        self.struck.update(row["strikes"])
        if row["breaches"]:
            self.failed.append(row["seed"])

    def progress(self) -> None:
        now = time.monotonic()
        if now - self.told_at < PROGRESS_S:
            return
        self.told_at = now
        left_s = (now - self.began) / self.stories * (self.wishes - self.stories)
        print(
            f"  {self.stories}/{self.wishes} stories, {self.seconds / 3600:.1f} h, {len(self.failed)} failed, {left_s:.0f} s to go",
            file=sys.stderr,
            flush=True,
        )

    def report(self) -> None:
        hours, cpu_s = self.seconds / 3600, max(self.cpu_s, 1e-9)
        print(
            f"{self.stories} stories, {hours:.2f} simulated hours in {time.monotonic() - self.began:.0f} s; "
            f"{self.seconds / cpu_s:.0f} simulated s ({hours / cpu_s:.4f} h) per CPU second"
        )
        sums = {name: round(value, 1) for name, value in self.sums.items()}
        print(
            f"stories with an open breach: {self.breached} ({100 * self.breached / max(self.stories, 1):.0f} %); {sums}"
        )
        print("fault: drawn, struck")
        for name in NAMES:
            print(f"  {name}: {self.drawn[name]}, {self.struck[name]}")
        print(f"failed: {sorted(self.failed) or 'none'}", flush=True)


def run(
    wishes: list[Wish], *, jobs: int, into: Path | None = None, shrink: bool = True, stop_s: float | None = None
) -> Tally:
    """Play them, but for what `into` has already. `stop_s`: nothing new is begun later than that."""
    tally, shrinks = Tally(len(wishes)), SHRINKS if shrink else 0
    known = _known(into)
    for wish in wishes:
        if wish.again in known:
            tally.add(known[wish.again])
    waiting = [wish for wish in wishes if wish.again not in known]
    for wish, told, cpu_s in _all(waiting, jobs, tally.began, stop_s):
        row = {"again": wish.again, **asdict(replace(told, tape=[])), "cpu_s": round(cpu_s, 3)}
        tally.add(row)
        if into is not None:
            with into.open("a") as file:
                file.write(json.dumps(row) + "\n")
        for line in told.tape:
            print(line)
        if told.breaches:
            _show(wish, told, shrink=shrinks > 0)
            shrinks -= 1
        tally.progress()
    return tally


def _known(into: Path | None) -> dict[str, dict[str, Any]]:
    if into is None or not into.exists():
        return {}
    rows = [json.loads(line) for line in into.read_text().splitlines() if line.endswith("}")]
    return {row["again"]: row for row in rows}


def _all(wishes: list[Wish], jobs: int, began: float, stop_s: float | None) -> Iterator[tuple[Wish, Told, float]]:
    """In their order; few are handed out beforehand, so that a run can end in time."""
    with ProcessPoolExecutor(jobs) as pool:
        ahead: list[tuple[Wish, Future[tuple[Told, float]]]] = []
        rest = iter(wishes)
        while True:
            while len(ahead) < 2 * jobs and (stop_s is None or time.monotonic() - began < stop_s):
                wish = next(rest, None)
                if wish is None:
                    break
                ahead.append((wish, pool.submit(played, wish)))
            if not ahead:
                return
            wish, coming = ahead.pop(0)
            error = coming.exception()
            told, cpu_s = coming.result() if error is None else (broken_off(wish, error), 0.0)
            yield wish, told, cpu_s


def _show(wish: Wish, told: Told, *, shrink: bool) -> None:
    print(f"seed {told.seed} ({told.venue}): {len(told.breaches)} breaches")
    for line in told.breaches[:SHOWN]:
        print(f"    {line}")
    print(f"    again: {wish.again}", flush=True)
    if shrink and wish.only is None and wish.plot.items:
        small = smallest(wish, told)
        for item in small.only or ():
            print(f"      {item}: {wish.plot.named(item)}")
        print(f"    shrunk: {small.again}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", help="A..B, both included, or one seed")
    parser.add_argument("--hours", type=float, default=0.1, help="of each seed")
    parser.add_argument("--venue", type=SimulatedVenue, choices=tuple(SimulatedVenue))
    parser.add_argument("--fault", default="", help="these kinds alone, each at least once; 'none' for none at all")
    parser.add_argument("--only", help="items of the story, such as s0,d2,k1,t0,a; 'nothing' for none")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--into", type=Path, help="results, one JSON line for each seed")
    parser.add_argument("--no-shrink", action="store_true")
    parser.add_argument("--tape", action="store_true", help="print everything that happened")
    parser.add_argument("--ci", action="store_true", help="the regressions, a fixed range and a fresh one")
    given = parser.parse_args()
    if given.ci:
        tally = run(share_of_ci(), jobs=given.jobs, shrink=False, stop_s=CI_S)
        tally.report()
        found = sorted(seed for seed in tally.failed if seed >= FRESH_FROM)
        if found:  # what nobody has played before is news: it asks for a look, and holds no other change up
            print(f"found by fresh seeds: {found}")
        return 1 if len(found) < len(tally.failed) else 0
    if not given.seeds:
        parser.error("--seeds A..B")
    faults = tuple(name for name in given.fault.split(",") if name)
    if unknown := [name for name in faults if name not in (*NAMES, "none")]:
        parser.error(f"--fault: found {unknown}, expected some of {', '.join(NAMES)}")
    first, _, last = given.seeds.partition("..")
    only = None if given.only is None else tuple(item for item in given.only.split(",") if item != "nothing")
    wishes = [
        Wish(seed=seed, seconds=given.hours * 3600, venue=given.venue, faults=faults, only=only, tape=given.tape)
        for seed in range(int(first), int(last or first) + 1)
    ]
    tally = run(wishes, jobs=given.jobs, into=given.into, shrink=not given.no_shrink)
    tally.report()
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
