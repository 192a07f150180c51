"""Fuzz for a while: `python -m tests.fuzz --seconds 60 [--target NAME] [--seed N]`.

Random payloads in turns for so long; then, beyond it, every lost field of every sample (not with `--quick`).
Prints a line for each target (executions, of which gave a value, faults) and each kind of fault once, with a payload that repeats
it; exits 1 when there was one.
"""

import argparse
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random

from tests.fuzz.target import Target, emptied
from tests.fuzz.targets import ALL, BY_NAME

TURN_S = 0.25
SOURCE_BYTES_MAX = 120
SHOWN_BYTES = 600


@dataclass
class Tally:
    target: Target
    ran: int = 0
    gave: int = 0
    faults: dict[str, bytes] = field(default_factory=dict)

    def run(self, payload: bytes, strike: Callable[[], bool]) -> None:
        self.ran += 1
        try:
            self.gave += strike()
        except Exception as error:  # whatever it is, it is what this looks for
            kind = re.sub(r"\d+", "N", f"{type(error).__name__}: {str(error)[:60]}")
            if kind not in self.faults:
                self.faults[kind] = payload
                print(f"FAULT {self.target.name}: {kind}\n      payload {payload[:SHOWN_BYTES]!r}", flush=True)

    @property
    def line(self) -> str:
        return f"{self.target.name:<45} {self.ran:>9,} executions {self.gave:>9,} values {len(self.faults):>3} faults"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--target", choices=sorted(BY_NAME), action="append")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="leave out the lost fields, some 90,000 executions")
    given = parser.parse_args(arguments)
    targets = [BY_NAME[name] for name in given.target] if given.target else list(ALL)
    tallies = [Tally(each) for each in targets]
    ends, random = time.monotonic() + given.seconds, Random(given.seed)
    while time.monotonic() < ends:
        for tally in tallies:
            turn_ends = time.monotonic() + TURN_S
            while time.monotonic() < turn_ends:
                payload = tally.target.payload(random.randbytes(random.randrange(2, SOURCE_BYTES_MAX)))
                tally.run(payload, partial(tally.target.strike, payload))
            if time.monotonic() >= ends:
                break
    if not given.quick:
        for tally in tallies:
            if tally.target.venue:
                lose_every_field(tally)
    for tally in tallies:
        print(tally.line)
    faults = sum(len(each.faults) for each in tallies)
    print(f"seed {given.seed}: {sum(each.ran for each in tallies):,} executions, {faults} faults")
    return 1 if faults else 0


def lose_every_field(tally: Tally) -> None:
    for each in emptied(tally.target):
        tally.run(each.payload, partial(tally.target.obeys, each))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
