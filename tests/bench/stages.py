"""Where a reaction's time goes: `python -m tests.bench.stages [--together] [--without-sync] [--ticks 100]`.

guardd runs with a stopwatch at each of its stages (`traced`). For each stage: how long after the crossing frame was handed to the
socket it was first entered, and how long it took; medians over the crossings. The stopwatches cost a microsecond each.
"""

import argparse
import asyncio
import json
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.cast import Cast
from tests.bench.guard import WITHOUT_SYNC, start_guard
from tests.bench.process import Cores, end
from tests.bench.script import Script
from tests.bench.venue import exchange_of

_SETTLED_S = 3.0


async def trace(
    cast: Cast, script: Script, *, synced: bool, answer_ms: int
) -> tuple[list[dict[str, Any]], list[tuple[str, int, int, int]]]:
    """The crossings, and every stage that was entered: name, begin and end."""
    cores = Cores.of_machine()
    async with exchange_of(cast, cores) as venue:
        with tempfile.TemporaryDirectory(prefix="guardd-bench-") as place:
            home = Path(place)
            await venue.ask("background", rate=max(10, cast.positions))
            process = await start_guard(
                home,
                cast,
                venue,
                cores.client,
                program=f"tests.bench.traced {home / 'out'}",
                environ={} if synced else WITHOUT_SYNC,
            )
            try:
                await venue.until("listening", cast.positions, within_s=60)
                await venue.until("stops", cast.positions, within_s=60 + cast.positions)
                await asyncio.sleep(_SETTLED_S)
                await venue.ask("delay", ms=answer_ms)
                played = await venue.play(script)
            finally:
                await end(process)
            stages = [
                (str(name), int(began), int(ended), int(cpu))
                for name, began, ended, cpu in json.loads((home / "out").read_text())
            ]
    return played["crossings"], sorted(stages, key=lambda stage: stage[1])


def table(crossings: Sequence[dict[str, Any]], stages: Sequence[tuple[str, int, int, int]]) -> list[str]:
    entered: dict[str, list[float]] = defaultdict(list)
    lasted: dict[str, list[float]] = defaultdict(list)
    spent: dict[str, list[float]] = defaultdict(list)
    for crossing in crossings:
        sent_ns, arrived_ns = crossing["sent_ns"], crossing["arrived_ns"]
        seen: set[str] = set()
        for name, began, ended, cpu in stages:
            if sent_ns <= began <= arrived_ns and name not in seen:
                seen.add(name)
                entered[name].append((began - sent_ns) / 1e3)
                lasted[name].append((ended - began) / 1e3)
                if cpu:
                    spent[name].append(cpu / 1e3)
        if arrived_ns:
            entered["the order is readable"].append((arrived_ns - sent_ns) / 1e3)
    lines = ["| at µs | lasts µs | CPU µs | times | stage |", "|---|---|---|---|---|"]
    for name, found in sorted(entered.items(), key=lambda item: median(item[1])):
        length = f"{median(lasted[name]):,.0f}" if name in lasted else ""
        cpu = f"{median(spent[name]):,.0f}" if name in spent else ""
        lines.append(f"| {median(found):,.0f} | {length} | {cpu} | {len(found)} | {name} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.stages", description=__doc__)
    parser.add_argument("--together", action="store_true", help="20 positions in one tick, answers after 100 ms")
    parser.add_argument("--without-sync", action="store_true")
    parser.add_argument("--ticks", type=float, default=100, help="a second")
    given = parser.parse_args()
    count = 20 if given.together else 40
    script = Script(ticks_per_s=given.ticks, seconds=3, crossings=count, crossings_per_s=5, together=given.together)
    cast = Cast(positions=count, accounts=4)
    traced = trace(cast, script, synced=not given.without_sync, answer_ms=100 if given.together else 0)
    print("\n".join(table(*asyncio.run(traced))))


if __name__ == "__main__":
    main()
