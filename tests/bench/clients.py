"""The clients of a measurement, each started against one exchange process and ready when it comes back."""

import asyncio
import json
import sys
import tempfile
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from tests.bench.cast import Cast
from tests.bench.guard import POLICY, WATCHING, WITHOUT_SYNC, start_guard
from tests.bench.process import Cores, end, start_pinned
from tests.bench.venue import ExchangeProcess

_SETTLED_S = 3.0
"""After the last stop rests: what follows it (reads, journal) is over."""


class Client(StrEnum):
    FLOOR = "floor"
    GUARD = "guardd"
    GUARD_WITHOUT_SYNC = "guardd, no sync"
    CCXT = "ccxt pro"
    CCXT_POLLING = "ccxt polling"


class Preparation(StrEnum):
    """How a guard begins, and from when on it is measured. STARTED: from the last resting stop. SETTLED: once it has read
    everything, margin tiers too, which a venue gives by the handful. WATCHING: so too, without resting stops and without limits of
    requests, for casts of thousands."""

    STARTED = "started"
    SETTLED = "settled"
    WATCHING = "watching"


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    pid: int
    home: Path

    @property
    def log(self) -> list[str]:
        return (self.home / "log").read_text(errors="replace").splitlines()

    def events(self, name: str) -> list[dict[str, Any]]:
        records = (json.loads(line) for line in self.log if line.startswith("{"))
        return [record for record in records if record.get("event") == name]

    @property
    def url(self) -> str:
        """Where guardd's status page is."""
        for line in self.log:
            if "status page: " in line:
                return line.split("status page: ")[1].rstrip("/")
        raise RuntimeError("guardd named no status page")


@asynccontextmanager
async def running(
    client: Client,
    cast: Cast,
    venue: ExchangeProcess,
    cores: Cores,
    *,
    ccxt_python: str | None = None,
    preparation: Preparation = Preparation.SETTLED,
    environ: Mapping[str, str] | None = None,
) -> AsyncIterator[Running]:
    """Listening to every symbol; guardd with each position's stop at rest as well."""
    await venue.ask("background", rate=max(10, cast.positions / 2))
    with tempfile.TemporaryDirectory(prefix="guardd-bench-") as place:
        home = Path(place)
        if client in (Client.GUARD, Client.GUARD_WITHOUT_SYNC):
            process = await _start_guard(client, cast, venue, cores, home, preparation, environ or {})
        else:
            process = await _start_other(client, cast, venue, cores, home, ccxt_python)
        found = Running(pid=process.pid, home=home)
        try:
            await _ready(client, cast, venue, preparation)
            if process.returncode is not None:
                raise RuntimeError(f"{client} ended with code {process.returncode}")
            yield found
        except RuntimeError as error:
            error.add_note("\n".join(found.log[-20:]))
            raise
        finally:
            await end(process)


async def _ready(client: Client, cast: Cast, venue: ExchangeProcess, preparation: Preparation) -> None:
    guarded = client in (Client.GUARD, Client.GUARD_WITHOUT_SYNC)
    if client is not Client.CCXT_POLLING:
        await venue.until("listening", cast.positions, within_s=60 + cast.positions / 10)
    if guarded and preparation is not Preparation.WATCHING:
        await venue.until("stops", cast.positions, within_s=60 + cast.positions)
    if guarded and preparation is not Preparation.STARTED:
        await venue.until("tiers", cast.positions, within_s=60 + cast.positions)
    await asyncio.sleep(_SETTLED_S if guarded else _SETTLED_S / 6)


async def _start_guard(
    client: Client,
    cast: Cast,
    venue: ExchangeProcess,
    cores: Cores,
    home: Path,
    preparation: Preparation,
    environ: Mapping[str, str],
) -> Process:
    unsynced = WITHOUT_SYNC if client is Client.GUARD_WITHOUT_SYNC else {}
    watching = preparation is Preparation.WATCHING
    return await start_guard(
        home,
        cast,
        venue,
        cores.client,
        policy=WATCHING if watching else POLICY,
        environ={**unsynced, **environ},
        program="tests.bench.unlimited" if watching else "guardd",
    )


async def _start_other(
    client: Client, cast: Cast, venue: ExchangeProcess, cores: Cores, home: Path, ccxt_python: str | None
) -> Process:
    command = [sys.executable, "-m", "tests.bench.floor", venue.rest_url, cast.as_text()]
    if client is not Client.FLOOR:
        if ccxt_python is None:
            raise RuntimeError(f"{client}: no Python with ccxt was named (--ccxt-python)")
        way = "watch" if client is Client.CCXT else "poll"
        command = [ccxt_python, "-m", "tests.bench.ccxt_client", way, venue.rest_url, cast.as_text()]
    with (home / "log").open("wb") as log:
        return await start_pinned(command, cores.client, stderr=log)
