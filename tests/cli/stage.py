"""The real commands, in this process, before a simulated exchange on loopback that runs in a thread of its own."""

import asyncio
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from typer.testing import CliRunner, Result

from guardd.cli.app import assembled
from guardd.clock import SystemClock
from guardd.simulator.orders import OrderRequest, Side
from guardd.simulator.run import ServeSettings, build
from guardd.simulator.server import SimulatorServer

T = TypeVar("T")
KEYS = {"SIM_API_KEY": "sim-main-key", "SIM_API_SECRET": "sim-main-secret", "SIM_API_MEMO": "sim-main-memo"}
READ_ONLY = {
    "SIM_API_KEY": "sim-readonly-key",
    "SIM_API_SECRET": "sim-readonly-secret",
    "SIM_API_MEMO": "sim-readonly-memo",
}
POLICY = """\
version: 1
rules:
  - name: resting-protection
    then:
      - stop_loss: {trigger: {from_entry: -8%}}
  - name: last-resort
    when: {distance_to_liquidation: {below: 3%}}
    then: [close: {}]
"""


class Venue:
    """A simulated exchange whose prices stand still until told, and what happened there."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.server: SimulatorServer
        self._up = threading.Event()
        self._end: asyncio.Event
        self._thread = threading.Thread(target=self._run, name="simulator", daemon=True)

    def __enter__(self) -> "Venue":
        self._thread.start()
        assert self._up.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)

    def ask(self, work: Callable[[SimulatorServer], T]) -> T:
        """Do something at the exchange, on its own thread."""

        async def body() -> T:
            return work(self.server)

        return asyncio.run_coroutine_threadsafe(body(), self.loop).result(10)

    def trade(self, symbol: str, side: Side, size: int, **more: Any) -> None:
        request = OrderRequest(symbol=symbol, side=side, size=Decimal(size), **more)
        self.ask(lambda server: server.exchange.place("main", request, server.now_ms()))

    def held(self) -> dict[tuple[str, str], Decimal]:
        found = self.ask(lambda server: server.exchange.query.positions("main"))
        return {(each.symbol, each.side.value): each.size for each in found if each.size}

    def plans(self) -> list[Any]:
        return self.ask(lambda server: list(server.exchange.query.open_plans("main")))

    def orders(self) -> list[Any]:
        return self.ask(lambda server: list(server.exchange.query.open_orders("main")))

    def writes(self) -> list[str]:
        """Paths of the POSTs that reached the exchange; listing transfers is a read in a POST's clothes."""
        stamps = self.ask(lambda server: list(server.stamps.requests))
        return [each.path for each in stamps if each.method == "POST" and not each.path.endswith("-list")]

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._serve())
        self.loop.close()

    async def _serve(self) -> None:
        self._end = asyncio.Event()
        settings = ServeSettings(walk=False, ticker_interval_ms=100)
        async with build(settings, SystemClock()) as self.server:
            self._up.set()
            await self._end.wait()


@dataclass
class Desktop:
    """A directory with settings and policy, and an environment that holds nothing of the tester's own."""

    place: Path
    port: int = 9
    """The venue's: nobody listens at 9."""
    environment: dict[str, str] = field(default_factory=dict)
    http_port: int = 1
    """The daemon's: nobody listens at 1."""

    def write(self, *, policy: str = POLICY, mode: str = "enforce", more: str = "", account: str = "") -> Path:
        (self.place / "policy.yaml").write_text(policy, encoding="utf-8")
        file = self.place / "guardd.yaml"
        file.write_text(
            f"mode: {mode}\npolicy: policy.yaml\ndata_dir: ./data\n"
            f"http: {{host: 127.0.0.1, port: {self.http_port}}}\n{more}"
            "accounts:\n  - name: main\n    venue: bitmart\n    credentials: SIM\n"
            f"    rest_url: http://127.0.0.1:{self.port}\n    stream_url: ws://127.0.0.1:{self.port}\n{account}",
            encoding="utf-8",
        )
        return file

    def run(self, *command: str, environment: Mapping[str, str] | None = None, give_file: bool = True) -> Result:
        """One command as a shell would run it, with `-c` and this directory's settings."""
        given = self.environment if environment is None else dict(environment)
        file = ["-c", str(self.place / "guardd.yaml")] if give_file else []
        ours = {name: None for name in os.environ if name.startswith(("GUARDD_", "BITMART_", "SIM_"))}
        return CliRunner().invoke(
            assembled(), [*command, *file], env={**ours, "COLUMNS": "1000", **given}, prog_name="guardd"
        )


def flat(text: str) -> str:
    """Without the padding of tables."""
    return " ".join(text.split())


@contextmanager
def inside(place: Path) -> Iterator[None]:
    """With `place` as the working directory."""
    before = Path.cwd()
    os.chdir(place)
    try:
        yield
    finally:
        os.chdir(before)
