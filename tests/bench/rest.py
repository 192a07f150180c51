"""The cost of standing still, and how long until every position is protected."""

import time
from datetime import datetime
from typing import Any, Final

from tests.bench import needed
from tests.bench.cast import Cast
from tests.bench.clients import Client, Preparation, running
from tests.bench.figures import quantile
from tests.bench.measure import Terms, play
from tests.bench.script import Script
from tests.bench.section import Goal, Section, told
from tests.bench.venue import exchange_of

SIZES: Final = ((10, 1.0, 80.0, None, None), (1_000, 5.0, 90.0, None, None), (10_000, 15.0, 140.0, 10.0, 120.0))
"""Positions; CPU of a core in percent and MiB of the goal, then of the stretch."""


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
    """From the process's begin over its first request to the last position told as protected, less what limits and venue take."""
    cast = Cast(positions=5 if terms.quick else 50)
    limits_s = needed.seconds("place-tpsl-order", cast.positions)
    section = Section(
        title=f"Start with {cast.positions} positions",
        head=("to the first request s", "from there to all protected s", "limits s", "venue's answers s", "beyond s"),
    )
    beyond: list[float] = []
    for _ in range(terms.pairs):
        async with exchange_of(cast, terms.cores) as venue:
            began_ns, began_s = time.monotonic_ns(), time.time()
            async with running(Client.GUARD, cast, venue, terms.cores, preparation=Preparation.STARTED) as process:
                first_ns = (await venue.ask("timeline"))[0][0]
                answers_s = float(await venue.ask("busy"))
                told_s = [_at_s(each) - began_s for each in process.events("position_protected")]
        first_s = (first_ns - began_ns) / 1e9
        all_s = max(told_s) if len(told_s) >= cast.positions else float("nan")
        beyond.append(all_s - first_s - limits_s - answers_s)
        section.rows.append(
            (told(first_s, 2), told(all_s - first_s, 2), told(limits_s, 2), told(answers_s, 2), told(beyond[-1], 2))
        )
    text = (
        f"start to every one of {cast.positions} positions protected, from the first request, beyond limits and answers"
    )
    section.goals.append(Goal(text=text, value=quantile(beyond, 0.5), limit=0.5, unit="s"))
    section.notes.append(
        "Limits: whole windows of the stops, by guardd's own table. Before the first "
        "request stands the interpreter with its imports; the answers are all that the venue gave until three seconds after."
    )
    return section


def _at_s(event: dict[str, Any]) -> float:
    return datetime.fromisoformat(event["timestamp"]).timestamp()
