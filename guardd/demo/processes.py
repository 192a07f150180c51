"""The demo's two processes: started in a session of their own, ended by SIGTERM and a wait, asked why they died."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from guardd.errors import GuarddError

TERMINATE_S: Final = 15.0
"""The daemon stops in two phases, each with deadlines of its own; one that needs longer hangs and is killed."""
KILL_S: Final = 5.0
LOG_LINES: Final = 12
LOG_TAIL_BYTES: Final = 64_000
FOREIGN: Final = ("GUARDD_", "BITMART_", "BITGET_", "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_")
"""Variables of the user's own guardd and of a service manager: the demo shows its own settings and touches no account."""


class DemoFailed(GuarddError):
    """A process of the demo couldn't be started, or died."""


@dataclass(slots=True, kw_only=True)
class Child:
    """One process; what it writes to standard error (and, where it isn't read, to standard output) is in `log`."""

    name: str
    log: Path
    process: asyncio.subprocess.Process

    @classmethod
    async def start(
        cls, name: str, arguments: Sequence[str], *, home: Path, environ: Mapping[str, str], read_stdout: bool = False
    ) -> Self:
        """Run this Python with `arguments`, in `home`. Its standard input stays open until it is stopped."""
        log = home / f"{name}.log"
        with log.open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *arguments,
                cwd=home,
                env=dict(environ),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE if read_stdout else errors,
                stderr=errors,
                start_new_session=True,  # Ctrl-C reaches the demo alone, which then ends them in order
            )
        return cls(name=name, log=log, process=process)

    async def first_line(self, seconds: float) -> str:
        """The first line that it prints. Raises `DemoFailed` when it dies or says nothing in time."""
        if self.process.stdout is None:
            raise ValueError(f"{self.name}: its standard output isn't read")
        try:
            async with asyncio.timeout(seconds):
                line = await self.process.stdout.readline()
        except TimeoutError:
            raise self.failure(f"said nothing within {seconds:.0f} s") from None
        if not line:
            await self.process.wait()
            self.check()
        return line.decode().strip()

    def check(self) -> None:
        """Raises `DemoFailed` with its last log lines when it has ended."""
        code = self.process.returncode
        if code is not None:
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            raise self.failure(how)

    def failure(self, how: str) -> DemoFailed:
        lines = tail(self.log)
        said = "\n".join(f"  {line}" for line in lines) if lines else "  (nothing)"
        return DemoFailed(f"the {self.name} {how}; the last it said:\n{said}")

    async def stop(self) -> None:
        """SIGTERM, wait; SIGKILL only for one that doesn't end. Returns when it is gone."""
        if self.process.returncode is None:
            self.process.terminate()
            try:
                async with asyncio.timeout(TERMINATE_S):
                    await self.process.wait()
            except TimeoutError:
                self.process.kill()
                async with asyncio.timeout(KILL_S):
                    await self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()


def tail(log: Path) -> list[str]:
    """The last lines of a log."""
    with log.open("rb") as file:
        file.seek(max(log.stat().st_size - LOG_TAIL_BYTES, 0))
        text = file.read().decode(errors="replace")
    return [line.rstrip() for line in text.splitlines() if line.strip()][-LOG_LINES:]


def clean_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The user's environment without what belongs to another guardd, and with this guardd's code to be found from anywhere."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(FOREIGN)}
    code = str(Path(__file__).resolve().parents[2])
    kept["PYTHONPATH"] = os.pathsep.join(part for part in (code, kept.get("PYTHONPATH", "")) if part)
    return {**kept, **extra}


def free_port() -> int:
    """A loopback port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
