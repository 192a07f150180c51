"""The exchange as the measuring process sees it: a child on its own core, asked by a line, answered by a line."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.bench.cast import Cast
from tests.bench.process import Cores, end, start_pinned
from tests.bench.script import Script

_POLL_S = 0.1


@dataclass(slots=True)
class ExchangeProcess:
    process: asyncio.subprocess.Process
    cast: Cast
    port: int

    @property
    def rest_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def stream_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    async def ask(self, do: str, **more: object) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": do, **more}).encode() + b"\n")
        line = await self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the exchange ended with code {await self.process.wait()} when told to {do}")
        return json.loads(line)

    async def play(self, script: Script) -> dict[str, Any]:
        played: dict[str, Any] = await self.ask("play", script=script.as_json())
        return played

    async def until(self, question: str, least: int, *, within_s: float) -> None:
        """Wait until a count is at least so much."""
        deadline = asyncio.get_running_loop().time() + within_s
        while (found := await self.ask(question)) < least:
            if asyncio.get_running_loop().time() > deadline:
                raise RuntimeError(f"not within {within_s} s: {question} {least}; found {found}")
            await asyncio.sleep(_POLL_S)


@asynccontextmanager
async def exchange_of(cast: Cast, cores: Cores, *, unlimited: bool = False) -> AsyncIterator[ExchangeProcess]:
    process = await start_pinned(
        [sys.executable, "-m", "tests.bench.exchange", cast.as_text(), *(["unlimited"] if unlimited else [])],
        cores.exchange,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        told = await process.stdout.readline()
        if not told:
            raise RuntimeError(f"the exchange ended with code {await process.wait()} before it listened")
        yield ExchangeProcess(process, cast, json.loads(told)["port"])
    finally:
        await end(process)
