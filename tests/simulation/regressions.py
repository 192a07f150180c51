"""Seeds that once found something, and what: they are played in CI. `only` is what it took."""

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


REGRESSIONS: Final[tuple[Regression, ...]] = ()
