"""Seeds that once found something, and what: CI plays them first. They hold for the plots as they are drawn now."""

from dataclasses import dataclass
from typing import Final

from guardd.simulator.run import SimulatedVenue


@dataclass(frozen=True, slots=True, kw_only=True)
class Regression:
    seed: int
    hours: float
    found: str
    venue: SimulatedVenue | None = None
    faults: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None
    """What it takes of all that strikes."""


REGRESSIONS: Final = (
    Regression(
        seed=61,
        hours=0.05,
        venue=SimulatedVenue.BITMART,
        faults=("banned",),
        found="a ban at the start was never probed, so the account was never guarded",
    ),
    Regression(
        seed=79,
        hours=0.05,
        venue=SimulatedVenue.BITMART,
        faults=("too-many",),
        found="a read that failed broke off those beside it: their 429 rested no bucket and was met again a second later",
    ),
    Regression(
        seed=1001,
        hours=0.2,
        only=("s1",),
        found="with the private stream down an account was parked by its own reduction: its last push said more than the reads",
    ),
    Regression(
        seed=1081,
        hours=0.2,
        only=("d1",),
        found="a trail's stop that lagged and that a hand cancelled came back far from where it had rested",
    ),
    Regression(
        seed=228151969,
        hours=0.05,
        only=("s0",),
        found="a unified account's reads broke each other off: their 429s rested no bucket",
    ),
    Regression(
        seed=160774,
        hours=0.05,
        only=("s1", "d2"),
        found="what was opened while reads failed, and had lost by the time of its first read, was held as lost at first sight",
    ),
)
