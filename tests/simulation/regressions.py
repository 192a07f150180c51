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
)
