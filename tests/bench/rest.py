"""The cost of standing still, and how long until every position is protected."""

import asyncio
import time
from datetime import datetime
from typing import Any, Final

from tests.bench.cast import Cast
from tests.bench.clients import Client, Preparation, running
from tests.bench.figures import quantile
from tests.bench.measure import Terms, play
from tests.bench.script import Script
from tests.bench.section import Goal, Section, told
from tests.bench.venue import exchange_of

SIZES: Final = ((10, 1.0, 80.0, None, None), (1_000, 5.0, 90.0, None, None), (10_000, 15.0, 140.0, 10.0, 120.0))
"""Positions; CPU of a core in percent and MiB of the goal, then of the stretch."""
TIERS_A_S, STOPS_A_S = 7, 9
"""What guardd may ask of Bitget in a second: 70 % of ten reads, 95 % of ten stops."""


async def standing(terms: Terms) -> Section:
    section = Section(
        title="Standing still, one tick a second per position", head=("positions", "margin", "CPU of a core %", "MiB")
    )
    for positions, cpu, memory, best_cpu, best_memory in SIZES[:1] if terms.quick else SIZES:
        for cross in (False,) if terms.quick else (False, True):
            cast = Cast(positions=positions, cross=cross)
            async with (
                exchange_of(cast, terms.cores, unlimited=True) as venue,
                running(Client.GUARD, cast, venue, terms.cores, preparation=Preparation.WATCHING) as process,
            ):
                outcome = await play(venue, process, Script(ticks_per_s=positions, seconds=1 if terms.quick else 20))
            share = outcome.cpu_share * 100
            margin = "cross" if cross else "isolated"
            section.rows.append((f"{positions:,}", margin, told(share), told(outcome.memory_mib)))
            text = f"{positions:,} positions, {margin}"
            section.goals.append(
                Goal(text=f"{text}: CPU of a core", value=share, limit=cpu, stretch=best_cpu, unit="%")
            )
            section.goals.append(
                Goal(text=f"{text}: memory", value=outcome.memory_mib, limit=memory, stretch=best_memory, unit="MiB")
            )
    return section


async def start(terms: Terms) -> Section:
    """From the process's begin to the last position told as protected, less the seconds that the venue's limits alone ask for."""
    cast = Cast(positions=5 if terms.quick else 50)
    needed_s = max(cast.positions / TIERS_A_S, cast.positions / STOPS_A_S) - 1
    section = Section(
        title=f"Start with {cast.positions} positions",
        head=("first request s", "first stop s", "all protected s", "limits alone s"),
    )
    beyond: list[float] = []
    for _ in range(terms.pairs):
        async with exchange_of(cast, terms.cores) as venue:
            began_ns, began_s = time.monotonic_ns(), time.time()
            async with running(Client.GUARD, cast, venue, terms.cores) as process:
                timeline = [(each[0], str(each[1])) for each in await venue.ask("timeline")]
                told_s = [_at_s(each) - began_s for each in process.events("position_protected")]
        first_s = (timeline[0][0] - began_ns) / 1e9
        stop_s = next((at_ns - began_ns) / 1e9 for at_ns, path in timeline if "tpsl" in path)
        all_s = max(told_s) if len(told_s) >= cast.positions else float("nan")
        beyond.append(all_s - max(needed_s, 0))
        section.rows.append((told(first_s, 2), told(stop_s, 2), told(all_s, 2), told(max(needed_s, 0), 2)))
        await asyncio.sleep(0)
    text = f"start to every one of {cast.positions} positions protected, beyond the limits"
    section.goals.append(Goal(text=text, value=quantile(beyond, 0.5), limit=0.5, unit="s"))
    section.notes.append(
        f"Limits alone: {TIERS_A_S} tier reads and {STOPS_A_S} stops a second, side by side, a first second's worth free. "
        "The interpreter's own start is in the figure."
    )
    return section


def _at_s(event: dict[str, Any]) -> float:
    return datetime.fromisoformat(event["timestamp"]).timestamp()
