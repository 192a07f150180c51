"""Processes of a measurement: started on a core of their own, and what they cost by the kernel's books."""

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

_TICK: Final = os.sysconf("SC_CLK_TCK")
_END_WITHIN_S: Final = 20.0
ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cores:
    """Where the exchange runs and where its client; the same one where the machine has no second."""

    exchange: int
    client: int

    @classmethod
    def of_machine(cls) -> "Cores":
        free = sorted(os.sched_getaffinity(0))
        return cls(exchange=free[0], client=free[-1])


async def start_pinned(
    command: Sequence[str],
    core: int,
    *,
    environ: Mapping[str, str] | None = None,
    stdin: int | None = asyncio.subprocess.DEVNULL,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
    home: Path = ROOT,
) -> asyncio.subprocess.Process:
    """`environ` is laid over this process's own, which keeps nothing of guardd's settings."""
    inherited = os.environ.get("PYTHONPATH") if command[0] == sys.executable else None
    path = [str(ROOT), *filter(None, [inherited])]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GUARDD_", "BITGET_", "BENCH"))}
    return await asyncio.create_subprocess_exec(
        *command,
        env={**kept, "PYTHONPATH": os.pathsep.join(path), **(environ or {})},
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        cwd=home,
        limit=1 << 25,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )


async def end(process: asyncio.subprocess.Process) -> None:
    """SIGTERM, and the hard way when that isn't heard."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(_END_WITHIN_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def cpu_s(pid: int) -> float:
    """Time on a core of all its threads, to the nanosecond (schedstat); those that ended count in the coarser /proc/PID/stat."""
    if not Path(f"/proc/{pid}/task").exists():
        raise RuntimeError(f"process {pid} has ended")
    fine = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        fine += int((task / "schedstat").read_text().split()[0])
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    coarse = (int(fields[11]) + int(fields[12])) / _TICK
    return max(fine / 1e9, coarse - 2 / _TICK)


def memory_mib(pid: int) -> float:
    """Resident set, of this process alone."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"process {pid} has no VmRSS: it has ended")


def unread_bytes(pid: int) -> int:
    """What waits in the receive queues of its TCP sockets: frames that a client didn't get to yet."""
    inodes = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(entry)
        except FileNotFoundError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    waiting = 0
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[9] in inodes and fields[3] == "01":
            waiting += int(fields[4].partition(":")[2], 16)
    return waiting
