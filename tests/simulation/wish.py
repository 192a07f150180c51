"""A story to be played, and the command that plays it again."""

import time
from dataclasses import dataclass

import structlog

from guardd.simulator.run import SimulatedVenue
from tests.simulation.draw import drawn
from tests.simulation.plot import Plot
from tests.simulation.story import Told, tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A story to be played."""

    seed: int
    seconds: float
    venue: SimulatedVenue | None = None
    faults: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None
    tape: bool = False

    @property
    def plot(self) -> Plot:
        whole = drawn(self.seed, self.seconds, venue=self.venue, faults=self.faults)
        return whole if self.only is None else whole.only(self.only)

    @property
    def again(self) -> str:
        words = [f"python -m tests.simulation --seeds {self.seed} --hours {self.seconds / 3600:g}"]
        words += [f"--venue {self.venue}"] if self.venue else []
        words += [f"--fault {','.join(self.faults)}"] if self.faults else []
        words += [f"--only {','.join(self.only) or 'nothing'}"] if self.only is not None else []
        return " ".join(words)


def played(wish: Wish) -> tuple[Told, float]:
    """One seed, with the CPU seconds that it took."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    began = time.process_time()
    told = tell(wish.plot, tape=wish.tape)
    return told, time.process_time() - began
