"""Messages by Apprise: Telegram, Slack, Discord, e-mail and a hundred more, each by an address of its own scheme.

Apprise runs in a process beside the daemon (`apprise_process`), one for each receiver: a send that hangs is ended with its process,
so that a receiver never has two at once, and no tick waits for a library that blocks.
"""

import asyncio
import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Final

from guardd.telemetry.errand import ANSWERS, Errand

DEADLINE_S: Final = 30.0
"""For one message, the loading of Apprise with the first included (0.6 s on a quiet machine, several on a busy one)."""
_HANDED_ON: Final = (
    *("PATH", "HOME", "LANG", "LC_ALL", "TZ", "PYTHONPATH", "VIRTUAL_ENV", "TMPDIR"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
)
"""Of the environment: the keys of the accounts are none of its business."""
LIMIT_BYTES: Final = 65_536


def installed() -> bool:
    """Whether Apprise is there; asks without loading it."""
    return find_spec("apprise") is not None


class Courier:
    """The way to one receiver. Not for several senders at once."""

    def __init__(self, *, deadline_s: float = DEADLINE_S, environment: Mapping[str, str] = os.environ) -> None:
        self._deadline_s = deadline_s
        self._environment = {name: environment[name] for name in _HANDED_ON if name in environment}
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the process ahead of need: starting one holds the loop up for some milliseconds. Raises `OSError`."""
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "guardd.telemetry.apprise_process"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env=self._environment,
                start_new_session=True,  # a Ctrl-C at the terminal is the daemon's
                limit=LIMIT_BYTES,
            )

    async def carry(self, errand: Errand) -> str:
        """One of `ANSWERS`, or what became of the process. Where it didn't answer in time, it is ended."""
        answered = False
        try:
            async with asyncio.timeout(self._deadline_s):
                answer = await self._ask(errand)
            answered = answer in ANSWERS
            return answer if answered else "the Apprise process ended"
        except (TimeoutError, OSError) as error:
            return type(error).__name__
        finally:
            if not answered:
                await self.close()

    async def close(self) -> None:
        """End the process, whatever it does."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            process.kill()
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()

    async def _ask(self, errand: Errand) -> str:
        await self.start()
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            return ""
        process.stdin.write(errand.line().encode())
        await process.stdin.drain()
        return (await process.stdout.readline()).decode().rstrip("\n")
