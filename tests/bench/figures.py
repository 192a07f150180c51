"""Figures of a run and how runs are compared: within a pair, and then by the median of the pairs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One client under one script. `reactions_us`: crossing frame handed to the socket → the order's last byte readable at the
    exchange; `missed` crossings had no order. CPU and memory are the client's alone."""

    reactions_us: tuple[float, ...]
    missed: int
    ticks: int
    seconds: float
    cpu_s: float
    memory_mib: float
    backlog_bytes: int
    unread_bytes: int = 0
    """What waited in the client's own sockets at the tape's end: frames that it had not got to."""
    frame_bytes: int = 1

    @property
    def p50(self) -> float:
        return median(self.reactions_us) if self.reactions_us else float("nan")

    @property
    def cpu_per_tick_us(self) -> float:
        return self.cpu_s / self.ticks * 1e6 if self.ticks else float("nan")

    @property
    def behind_ms(self) -> float:
        """How much of the tape was still on its way at its end, on either side of the sockets."""
        waiting = (self.backlog_bytes + self.unread_bytes) / self.frame_bytes
        return waiting / (self.ticks / self.seconds) * 1e3 if self.ticks else float("nan")

    @property
    def cpu_share(self) -> float:
        return self.cpu_s / self.seconds


def reactions_us(crossings: Iterable[dict[str, Any]]) -> tuple[float, ...]:
    return tuple((each["arrived_ns"] - each["sent_ns"]) / 1e3 for each in crossings if each["arrived_ns"])


def quantile(values: Sequence[float], share: float) -> float:
    """Between the two nearest of them."""
    if not values:
        return float("nan")
    ascending = sorted(values)
    place = share * (len(ascending) - 1)
    below = int(place)
    above = min(below + 1, len(ascending) - 1)
    return ascending[below] + (ascending[above] - ascending[below]) * (place - below)


def ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """The median of the pairs' ratios."""
    pairs = [one / other for one, other in zip(over, under, strict=True) if other]
    return median(pairs) if pairs else float("nan")
