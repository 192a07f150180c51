"""Counted work, which no machine's load changes: `python -m tests.bench.counted [--check | --accept] [--only "bitget crowd"]`.

Without either it only shows what it counted; that is the measure for whoever makes something faster. `--check` compares with
`counted.json` and fails when a figure is more than its margin above, or below what stands there: then what was gained shall be
kept, by `--accept`, which writes the figures. `--full` counts the scenes of thousands as well.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from multiprocessing import get_context

from tests.bench.expected import FILE, accepted, judged, known
from tests.bench.pieces import Figures, Play, chosen, counted

SEED = "0"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.counted", description=__doc__)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="fail where a figure left its margin")
    what.add_argument("--accept", action="store_true", help=f"write the figures to {FILE.name}")
    parser.add_argument("--full", action="store_true", help="scenes of 1,000 and 10,000 positions as well")
    parser.add_argument(
        "--only", action="append", default=[], help="scenes with these words in their name; may be repeated"
    )
    parser.add_argument("--jobs", type=int, default=1, help="scenes at the same time")
    given = parser.parse_args(arguments)
    plays = chosen(given.only, full=given.full)
    if not plays:
        parser.error(f"--only: no scene has the words {given.only}")
    found: Figures = {}
    for figures in _played(plays, given.jobs):
        found |= figures
    if given.accept:
        accepted(found)
        print(f"{FILE.name}: {len(found)} figures accepted")
    if not given.check:
        return 0
    wrong = judged(found, known())
    print("\n".join(wrong) or f"counted work: {len(found)} figures within their margins")
    return 1 if wrong else 0


def _played(plays: list[Play], jobs: int) -> Iterator[Figures]:
    """Each told as soon as it was counted. Each in a fork of this process, so that none finds another's caches."""
    print(f"{'':44}{'own':>14}{'all':>14}{'calls':>12}")
    with get_context("fork").Pool(jobs, maxtasksperchild=1) as pool:
        for play, (figures, seconds) in zip(plays, pool.imap(_timed, plays, chunksize=1), strict=True):
            for name, work in figures.items():
                print(f"{name:44}{work.own:14,.0f}{work.all:14,.0f}{work.calls:12,.0f}")
            print(f"{play.name}: {seconds:.1f} s", file=sys.stderr, flush=True)
            sys.stdout.flush()
            yield figures


def _timed(play: Play) -> tuple[Figures, float]:
    began = time.monotonic()
    return counted(play), time.monotonic() - began


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != SEED:  # the order of sets decides what is compared with what
        os.execve(
            sys.executable,
            [sys.executable, "-m", "tests.bench.counted", *sys.argv[1:]],
            {**os.environ, "PYTHONHASHSEED": SEED},
        )
    sys.exit(main())
