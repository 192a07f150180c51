"""The clients of a measurement, each started against one exchange process and ready when it comes back."""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tests.bench.cast import Cast
from tests.bench.guard import WITHOUT_SYNC, start_guard
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    pid: int
    home: Path


@asynccontextmanager
async def running(
    client: Client, cast: Cast, venue: ExchangeProcess, cores: Cores, *, ccxt_python: str | None = None
) -> AsyncIterator[Running]:
    """Listening to every symbol; guardd with each position's stop at rest as well."""
    await venue.ask("background", rate=max(10, cast.positions))
    with tempfile.TemporaryDirectory(prefix="guardd-bench-") as place:
        home = Path(place)
        process = await _start(client, cast, venue, cores, home, ccxt_python)
        try:
            if client is not Client.CCXT_POLLING:
                await venue.until("listening", cast.positions, within_s=60)
            if client in (Client.GUARD, Client.GUARD_WITHOUT_SYNC):
                await venue.until("stops", cast.positions, within_s=60 + cast.positions)
                await asyncio.sleep(_SETTLED_S)
            else:
                await asyncio.sleep(_SETTLED_S / 3)
            yield Running(pid=process.pid, home=home)
        finally:
            await end(process)


async def _start(
    client: Client, cast: Cast, venue: ExchangeProcess, cores: Cores, home: Path, ccxt_python: str | None
) -> asyncio.subprocess.Process:
    match client:
        case Client.GUARD | Client.GUARD_WITHOUT_SYNC:
            environ: Mapping[str, str] = WITHOUT_SYNC if client is Client.GUARD_WITHOUT_SYNC else {}
            _, process = await start_guard(home, cast, venue, cores.client, environ=environ)
            return process
        case Client.FLOOR:
            command = [sys.executable, "-m", "tests.bench.floor", venue.rest_url, cast.as_text()]
        case Client.CCXT | Client.CCXT_POLLING:
            if ccxt_python is None:
                raise RuntimeError(f"{client}: no Python with ccxt was named (--ccxt-python)")
            way = "watch" if client is Client.CCXT else "poll"
            command = [ccxt_python, "-m", "tests.bench.ccxt_client", way, venue.rest_url, cast.as_text()]
    with (home / "log").open("wb") as log:
        return await start_pinned(command, cores.client, stderr=log)
