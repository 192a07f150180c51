"""Figures of a run and how runs are compared: within a pair, and then by the median of the pairs."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """Crossing frame handed to the socket → the order's last byte readable at the exchange, microseconds."""

    count: int
    missed: int
    p50: float
    p99: float
    p999: float
    most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One client under one script. `lag_s`: how long the tape took beyond its length; CPU is the client's alone."""

    reaction: Reaction | None
    ticks: int
    ticks_per_s: float
    cpu_per_tick_us: float
    cpu_share: float
    memory_mib: float
    backlog_bytes: int


def reaction_of(crossings: Sequence[dict[str, Any]]) -> Reaction | None:
    if not crossings:
        return None
    found = sorted((each["arrived_ns"] - each["sent_ns"]) / 1e3 for each in crossings if each["arrived_ns"])
    missed = len(crossings) - len(found)
    if not found:
        nan = float("nan")
        return Reaction(count=0, missed=missed, p50=nan, p99=nan, p999=nan, most=nan)
    return Reaction(
        count=len(found),
        missed=missed,
        p50=median(found),
        p99=quantile(found, 0.99),
        p999=quantile(found, 0.999),
        most=found[-1],
    )


def quantile(ascending: Sequence[float], share: float) -> float:
    """Between the two nearest; the largest alone where there are too few."""
    place = share * (len(ascending) - 1)
    below = int(place)
    above = min(below + 1, len(ascending) - 1)
    return ascending[below] + (ascending[above] - ascending[below]) * (place - below)


def ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """The median of the pairs' ratios."""
    pairs = [one / other for one, other in zip(over, under, strict=True) if other]
    return median(pairs) if pairs else float("nan")
