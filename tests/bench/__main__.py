"""Measure: `python -m tests.bench [--quick] [--pairs 7] [--only idle,ticks] [--ccxt-python PATH] [--out DIR]`.

Every scenario runs its clients in turn, the exchange on one core and the client on another. The table goes to the standard
output and with the plot to `--out`, where each scenario's part is kept as soon as it is measured: the same command again measures
only what isn't there yet of this commit, and its table has all of them.

Absolute figures drift with the machine; the ratios of one run are what counts.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from tests.bench import crowd, disk, reactions, rest, size, ticks
from tests.bench.machine import described
from tests.bench.measure import Terms
from tests.bench.parts import commit, keep, kept
from tests.bench.process import Cores
from tests.bench.report import markdown, svg
from tests.bench.section import Section

SCENARIOS: Final[dict[str, Callable[[Terms], Awaitable[Section]]]] = {
    "idle": reactions.idle,
    "busy": reactions.busy,
    "ticks": ticks.cost,
    "size": size.per_tick,
    "sync": disk.sync,
    "slow-disk": disk.slow_disk,
    "together": crowd.together,
    "scrape": crowd.scrape,
    "standing": rest.standing,
    "start": rest.start,
}


async def measure(terms: Terms, names: list[str], out: Path | None) -> list[Section]:
    """What is asked for, and of the same commit and terms whatever else lies in `out`."""
    sections: list[Section] = []
    of = {"commit": commit(), "pairs": terms.pairs, "quick": terms.quick, "ccxt": terms.ccxt_python is not None}
    for name in SCENARIOS:
        section = kept(out / "parts", name, of=of) if out is not None else None
        if section is None and name in names:
            began = time.monotonic()
            section = await SCENARIOS[name](terms)
            sys.stderr.write(f"{name}: {time.monotonic() - began:.0f} s\n")
            if out is not None:
                keep(out / "parts", name, section, of=of)
        if section is not None:
            sections.append(section)
    return sections


def main(arguments: list[str] | None = None) -> str:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="everything tiny: does it run?")
    parser.add_argument("--pairs", type=int, default=None, help="runs of each client; 7, or 1 with --quick")
    parser.add_argument("--only", default=",".join(SCENARIOS), help=f"of {', '.join(SCENARIOS)}")
    parser.add_argument(
        "--ccxt-python", default=None, help="a Python that has ccxt and aiohttp (the extra compat-current)"
    )
    parser.add_argument("--out", type=Path, default=None, help="directory for bench.md, bench.svg and the parts")
    given = parser.parse_args(arguments)
    if find_spec("uvloop") is None:
        parser.error("the floor runs on uvloop: found none, expected the extra `fast`")
    names = [name for name in given.only.split(",") if name]
    if unknown := [name for name in names if name not in SCENARIOS]:
        parser.error(f"--only: found {', '.join(unknown)}, expected of {', '.join(SCENARIOS)}")
    terms = Terms(
        cores=Cores.of_machine(),
        pairs=given.pairs or (1 if given.quick else 7),
        quick=given.quick,
        ccxt_python=given.ccxt_python,
    )
    machine = described()
    sections = asyncio.run(measure(terms, names, given.out))
    cores = f"exchange on core {terms.cores.exchange}, client on core {terms.cores.client}"
    notes = [f"{terms.pairs} runs of each client, interleaved; {cores}. Commit {commit() or 'unknown'}."]
    text = markdown(sections, machine=machine, notes=notes)
    if given.out is not None:
        given.out.mkdir(parents=True, exist_ok=True)
        (given.out / "bench.md").write_text(text, encoding="utf-8")
        (given.out / "bench.svg").write_text(svg([bar for each in sections for bar in each.bars]), encoding="utf-8")
    return text


if __name__ == "__main__":
    print(main())
