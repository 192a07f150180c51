"""Many at once: 20 positions over 4 accounts in one tick, and a scrape of 10,000 positions beside a reaction."""

import asyncio
import time
import urllib.request
from typing import Final

from tests.bench import needed
from tests.bench.cast import Cast
from tests.bench.clients import Client, Preparation, running
from tests.bench.figures import quantile
from tests.bench.measure import Terms, play
from tests.bench.script import Script
from tests.bench.section import Goal, Section, told
from tests.bench.venue import exchange_of

ANSWER_MS: Final = 100


async def together(terms: Terms) -> Section:
    """Five orders an account are within the venue's second: nothing but one answer may be waited for."""
    cast = Cast(positions=20, accounts=4)
    script = Script(ticks_per_s=20, seconds=3, crossings=cast.positions, together=True)
    lasts: list[float] = []
    section = Section(
        title=f"20 positions over 4 accounts cross in one tick, orders are answered after {ANSWER_MS} ms",
        head=("orders", "first ms", "median ms", "last ms"),
    )
    for _ in range(terms.pairs):
        async with (
            exchange_of(cast, terms.cores) as venue,
            running(Client.GUARD, cast, venue, terms.cores) as process,
        ):
            await venue.ask("delay", ms=ANSWER_MS)
            outcome = await play(venue, process, script)
        found = [each / 1_000 for each in outcome.reactions_us]
        lasts.append(max(found) if not outcome.missed else float("nan"))
        section.rows.append((str(len(found)), told(min(found)), told(quantile(found, 0.5)), told(max(found))))
    limits_ms = needed.seconds("place-order", cast.positions // cast.accounts) * 1_000
    value = quantile(lasts, 0.5) / (limits_ms + ANSWER_MS)
    text = "20 positions over 4 accounts in one tick: last order ÷ what limits and one round trip need"
    section.goals.append(Goal(text=text, value=value, limit=1.2))
    section.notes.append(f"The limits alone ask for {limits_ms:.0f} ms, one round trip for {ANSWER_MS} ms.")
    return section


async def scrape(terms: Terms) -> Section:
    """The reaction while /metrics is asked for without a pause, and without."""
    cast = Cast(positions=20 if terms.quick else 10_000)
    crossings = 5 if terms.quick else 20
    section = Section(
        title=f"Scraped with {cast.positions:,} positions",
        head=("", "reaction p50 ms", "p99 ms", "scrapes", "scrape ms"),
    )
    added: list[float] = []
    for _ in range(max(1, terms.pairs // 3)):
        async with (
            exchange_of(cast, terms.cores, unlimited=True) as venue,
            running(Client.GUARD, cast, venue, terms.cores, preparation=Preparation.WATCHING) as process,
        ):
            p50: list[float] = []
            for number, scraped in enumerate((False, True)):
                script = Script(
                    ticks_per_s=20, seconds=1, first=number * crossings, crossings=crossings, crossings_per_s=5
                )
                scraping = asyncio.create_task(_scrape_on(f"{process.url}/metrics")) if scraped else None
                outcome = await play(venue, process, script)
                times = await _stopped(scraping)
                p50.append(outcome.p50 / 1_000)
                section.rows.append(
                    (
                        "scraped" if scraped else "left alone",
                        told(outcome.p50 / 1_000, 2),
                        told(quantile(outcome.reactions_us, 0.99) / 1_000, 2),
                        str(len(times)),
                        told(quantile(times, 0.5) * 1_000),
                    )
                )
            added.append(p50[1] - p50[0])
    text = f"a scrape with {cast.positions:,} positions adds to a reaction"
    section.goals.append(Goal(text=text, value=quantile(added, 0.5), limit=5, stretch=2, unit="ms"))
    return section


async def _scrape_on(url: str) -> list[float]:
    times: list[float] = []
    try:
        while True:
            began = time.monotonic()
            await asyncio.to_thread(_get, url)
            times.append(time.monotonic() - began)
    except asyncio.CancelledError:
        return times


def _get(url: str) -> None:
    with urllib.request.urlopen(url, timeout=30) as answer:
        answer.read()


async def _stopped(task: "asyncio.Task[list[float]] | None") -> list[float]:
    if task is None:
        return []
    task.cancel()
    return await task
