"""Clients in turn under the same scripts, each pair of runs in a world of its own: its reactions, its CPU, its memory."""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tests.bench.cast import Cast
from tests.bench.clients import Client, Running, running
from tests.bench.figures import Outcome, reactions_us
from tests.bench.process import Cores, cpu_s, memory_mib, unread_bytes
from tests.bench.script import Script
from tests.bench.venue import ExchangeProcess, exchange_of

_LOOK_EVERY_S: Final = 0.1
_LAST_LOOKS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How a session measures. `quick` makes everything small: to see that it runs, not to learn anything."""

    cores: Cores
    pairs: int
    quick: bool
    ccxt_python: str | None


@dataclass(slots=True)
class Series:
    """What the pairs brought, by part and client, a run each."""

    outcomes: dict[str, dict[Client, list[Outcome]]] = field(default_factory=dict)

    def add(self, part: str, client: Client, outcome: Outcome) -> None:
        self.outcomes.setdefault(part, {}).setdefault(client, []).append(outcome)

    def of(self, part: str, client: Client) -> list[Outcome]:
        return self.outcomes.get(part, {}).get(client, [])


async def interleaved(
    terms: Terms, cast: Cast, parts: Sequence[tuple[str, Script]], clients: Iterable[Client]
) -> Series:
    """Every client once, then every client again. The parts follow each other in one life of a client."""
    series, asked = Series(), tuple(clients)
    for _ in range(terms.pairs):
        for client in asked:
            for part, outcome in await one_life(terms, cast, parts, client):
                series.add(part, client, outcome)
    return series


async def one_life(
    terms: Terms,
    cast: Cast,
    parts: Sequence[tuple[str, Script]],
    client: Client,
    *,
    environ: Mapping[str, str] | None = None,
) -> list[tuple[str, Outcome]]:
    """One client from start to end, playing each part."""
    async with (
        exchange_of(cast, terms.cores) as venue,
        running(client, cast, venue, terms.cores, ccxt_python=terms.ccxt_python, environ=environ) as process,
    ):
        return [(part, await play(venue, process, script)) for part, script in parts]


async def play(venue: ExchangeProcess, process: Running, script: Script) -> Outcome:
    cpu_before, began = cpu_s(process.pid), time.monotonic()
    unread: list[int] = []
    watching = asyncio.create_task(_watch_sockets(process.pid, unread))
    played = await venue.play(script)
    watching.cancel()
    seconds, used_s = time.monotonic() - began, cpu_s(process.pid) - cpu_before
    return outcome_of(played, seconds, used_s, memory_mib(process.pid), unread)


async def _watch_sockets(pid: int, unread: list[int]) -> None:
    while True:
        await asyncio.sleep(_LOOK_EVERY_S)
        unread.append(unread_bytes(pid))


def outcome_of(
    played: dict[str, Any], seconds: float, used_s: float, memory: float, unread: Sequence[int] = ()
) -> Outcome:
    """A burst that was just written is no backlog: of the looks in the tape's last second the least counts."""
    found = reactions_us(played["crossings"])
    return Outcome(
        reactions_us=found,
        missed=len(played["crossings"]) - len(found),
        ticks=int(played["ticks"]),
        seconds=seconds,
        cpu_s=used_s,
        memory_mib=memory,
        backlog_bytes=int(played["unsent_bytes_max"]),
        unread_bytes=min(unread[-_LAST_LOOKS:], default=0),
        frame_bytes=int(played["frame_bytes"]),
    )
