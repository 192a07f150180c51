"""One client under one script: its reactions, its CPU, its memory."""

import time

from tests.bench.cast import Cast
from tests.bench.clients import Client, Running, running
from tests.bench.figures import Outcome, reaction_of
from tests.bench.process import Cores, cpu_s, memory_mib
from tests.bench.script import Script
from tests.bench.venue import ExchangeProcess, exchange_of


async def measure(
    client: Client, cast: Cast, script: Script, cores: Cores, *, ccxt_python: str | None = None
) -> Outcome:
    """In a world of its own: exchange and client are started for it."""
    async with (
        exchange_of(cast, cores) as venue,
        running(client, cast, venue, cores, ccxt_python=ccxt_python) as process,
    ):
        return await play(venue, process, script)


async def play(venue: ExchangeProcess, process: Running, script: Script) -> Outcome:
    cpu_before, began = cpu_s(process.pid), time.monotonic()
    played = await venue.play(script)
    passed_s, used_s = time.monotonic() - began, cpu_s(process.pid) - cpu_before
    ticks = int(played["ticks"])
    return Outcome(
        reaction=reaction_of(played["crossings"]),
        ticks=ticks,
        ticks_per_s=ticks / played["seconds"],
        cpu_per_tick_us=used_s / ticks * 1e6 if ticks else float("nan"),
        cpu_share=used_s / passed_s,
        memory_mib=memory_mib(process.pid),
        backlog_bytes=int(played["unsent_bytes_max"]),
    )
