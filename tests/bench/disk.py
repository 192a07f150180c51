"""What the journal's sync costs beside one append and fsync of the same disk, and what a slow disk does to everything else.

A slow disk is made by a few lines of C that are loaded before the C library (LD_PRELOAD): each fsync and fdatasync sleeps first.
"""

import asyncio
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.bench.cast import Cast
from tests.bench.clients import Client
from tests.bench.figures import quantile, ratio
from tests.bench.measure import Terms, one_life
from tests.bench.script import Script
from tests.bench.section import Goal, Section, told
from tests.bench.ticks import BEHIND_MS

RECORD_BYTES: Final = 200
INJECTED_MS: Final = 10
_APPENDS: Final = 200
_SLOW: Final = f"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
static int later(const char *name, int fd) {{
    struct timespec wait = {{0, {INJECTED_MS}000000L}};
    nanosleep(&wait, 0);
    return ((int (*)(int))dlsym(RTLD_NEXT, name))(fd);
}}
int fsync(int fd) {{ return later("fsync", fd); }}
int fdatasync(int fd) {{ return later("fdatasync", fd); }}
"""


async def sync(terms: Terms) -> Section:
    """The difference of the two guards' medians, pair by pair, over the append of that disk measured in the same minutes."""
    count = 5 if terms.quick else 40
    script = Script(ticks_per_s=100, seconds=1, crossings=count, crossings_per_s=5)
    cast = Cast(positions=count, accounts=4)
    added: list[float] = []
    appends: list[float] = []
    for _ in range(terms.pairs):
        p50: dict[Client, float] = {}
        for client in (Client.GUARD, Client.GUARD_WITHOUT_SYNC):
            [(_, outcome)] = await one_life(terms, cast, [("", script)], client)
            p50[client] = outcome.p50
        added.append(p50[Client.GUARD] - p50[Client.GUARD_WITHOUT_SYNC])
        appends.append(quantile(await asyncio.to_thread(append_and_sync_us), 0.5))
    section = Section(title="The journal's sync, 5 crossings/s", head=("figure", "p50 µs"))
    section.rows.append(("the sync adds to a reaction", told(quantile(added, 0.5), 0)))
    section.rows.append((f"one append of {RECORD_BYTES} bytes and fsync", told(quantile(appends, 0.5), 0)))
    section.goals.append(
        Goal(
            text="what the journal's sync adds ÷ one append + fsync",
            value=ratio(added, appends),
            limit=1.5,
            stretch=1.3,
        )
    )
    return section


async def slow_disk(terms: Terms) -> Section:
    """One symbol's sync must not hold up another's order, nor the ticks."""
    title = f"A disk whose sync takes {INJECTED_MS} ms more"
    head = ("disk", "reaction p50 µs", "p99 µs", "CPU µs/tick", "behind ms")
    section = Section(title=title, head=head)
    with tempfile.TemporaryDirectory(prefix="guardd-bench-") as place:
        library = await _compiled(Path(place))
        if library is None:
            section.notes.append("Not measured: no C compiler (cc) here.")
            return section
        count = 5 if terms.quick else 40
        script = Script(
            ticks_per_s=100 if terms.quick else 5_000, seconds=1, burst_ms=1, crossings=count, crossings_per_s=10
        )
        cast = Cast(positions=count, accounts=4)
        found: dict[str, list[float]] = {"as it is": [], "slow": []}
        cpu: dict[str, list[float]] = {"as it is": [], "slow": []}
        behind: list[float] = []
        for _ in range(terms.pairs):
            for disk, client in (("as it is", Client.GUARD), ("slow", Client.GUARD)):
                environ = {"LD_PRELOAD": str(library)} if disk == "slow" else {}
                [(_, outcome)] = await one_life(terms, cast, [("", script)], client, environ=environ)
                cpu[disk].append(outcome.cpu_per_tick_us)
                if disk == "slow":
                    behind.append(outcome.behind_ms)
                found[disk].append(outcome.p50 - (INJECTED_MS * 1_000 if disk == "slow" else 0))
                section.rows.append(
                    (
                        disk,
                        told(outcome.p50, 0),
                        told(quantile(outcome.reactions_us, 0.99), 0),
                        told(outcome.cpu_per_tick_us),
                        told(outcome.behind_ms),
                    )
                )
    bites = quantile(found["slow"], 0.5) > 0  # a reaction that isn't even the injected time longer never met it
    text = f"reaction p50 with {INJECTED_MS} ms injected, less those, ÷ without"
    value = ratio(found["slow"], found["as it is"]) if bites else float("nan")
    section.goals.append(Goal(text=text, value=value, limit=1.5))
    text = f"CPU per tick with {INJECTED_MS} ms injected ÷ without"
    section.goals.append(Goal(text=text, value=ratio(cpu["slow"], cpu["as it is"]), limit=1.5))
    text = f"ticks behind at the end with {INJECTED_MS} ms injected"
    section.goals.append(Goal(text=text, value=quantile(behind, 0.5), limit=BEHIND_MS, unit="ms"))
    return section


def append_and_sync_us() -> list[float]:
    """On the disk where the guards' journals are; with a pause, as a guard would."""
    found: list[float] = []
    with tempfile.NamedTemporaryFile(prefix="guardd-bench-") as file:
        descriptor = os.open(file.name, os.O_WRONLY | os.O_APPEND)
        try:
            for _ in range(_APPENDS):
                began = time.monotonic_ns()
                os.write(descriptor, b"x" * RECORD_BYTES)
                os.fsync(descriptor)
                found.append((time.monotonic_ns() - began) / 1e3)
                time.sleep(0.005)
        finally:
            os.close(descriptor)
    return found


async def _compiled(place: Path) -> Path | None:
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    source, library = place / "slow.c", place / "slow.so"
    source.write_text(_SLOW, encoding="utf-8")
    command = (compiler, "-shared", "-fPIC", "-o", str(library), str(source), "-ldl")
    process = await asyncio.create_subprocess_exec(*command)
    if await process.wait():
        raise RuntimeError("the slow disk could not be compiled")
    return library
