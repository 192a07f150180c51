"""A desk to test on: the simulated exchange in this process, `guardd run` in another, and the ledger as the only truth."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp

from guardd.clock import SystemClock
from guardd.simulator.control import AccountSettings
from guardd.simulator.dialects.bitmart.desk import Options
from guardd.simulator.faults import Faults
from guardd.simulator.orders import OrderRequest, Side
from guardd.simulator.run import ServeSettings, build
from guardd.simulator.server import SimulatorServer

KEYS = {"BITMART_API_KEY": "desk-key", "BITMART_API_SECRET": "desk-secret", "BITMART_API_MEMO": "desk-memo"}
PROTECT_ONLY = """\
version: 1
rules:
  - name: resting-protection
    then:
      - stop_loss: {trigger: [{liquidation_buffer: 25%}, {from_entry: -8%}]}
"""


@dataclass(slots=True)
class Desk:
    """One account named `main` on the simulator; `guard` starts daemons for it in `home`."""

    server: SimulatorServer
    faults: Faults
    home: Path
    guards: list["RunningGuard"] = field(default_factory=list)

    def open(self, symbol: str, side: str, size: int, *, isolated: bool = False, leverage: int = 10) -> None:
        """The trader opens a position."""
        from guardd.simulator.accounts import MarginMode

        exchange, now_ms = self.server.exchange, self.server.now_ms()
        exchange.set_leverage(
            "main", symbol, now_ms,
            leverage=Decimal(leverage), margin_mode=MarginMode.ISOLATED if isolated else MarginMode.CROSS,
        )  # fmt: skip
        order = OrderRequest(symbol=symbol, side=Side.BUY if side == "long" else Side.SELL, size=Decimal(size))
        exchange.place("main", order, now_ms)

    def price(self, symbol: str, mark: str | Decimal) -> None:
        self.server.set_price(symbol, Decimal(mark))

    def ledger(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Rows of the exchange's own ledger for `main`, oldest first."""
        rows = [row.as_json() for row in self.server.exchange.ledger.rows(uid="main")]
        return [row for row in rows if kind is None or row["kind"] == kind]

    def positions(self) -> dict[tuple[str, str], Decimal]:
        """What is truly held: (symbol, side) to contracts."""
        return {
            (position.symbol, str(position.side)): position.size
            for position in self.server.exchange.query.positions("main")
            if position.size
        }

    def plans(self) -> list[Any]:
        """What truly rests, plan orders."""
        return list(self.server.exchange.query.open_plans("main"))

    def write(self, policy: str, *, mode: str = "enforce", http: int = 0, extra: str = "") -> Path:
        """Settings and policy of one run."""
        (self.home / "policy.yaml").write_text(policy)
        config = self.home / "guardd.yaml"
        config.write_text(
            f"mode: {mode}\npolicy: policy.yaml\ndata_dir: ./data\nhttp: {{host: 127.0.0.1, port: {http}}}\n"
            f"log: {{level: info, format: json}}\n{extra}"
            f"accounts:\n  - name: main\n    venue: bitmart\n    rest_url: {self.server.rest_url}\n"
            f"    stream_url: {self.server.stream_url}\n"
        )
        return config

    @asynccontextmanager
    async def guard(
        self, policy: str = PROTECT_ONLY, *, mode: str = "enforce", environ: Mapping[str, str] | None = None
    ) -> AsyncIterator["RunningGuard"]:
        """`guardd run` in a process of its own, ended by SIGTERM at the end unless it ended before."""
        config = self.write(policy, mode=mode)
        guard = await RunningGuard.start(config, {**KEYS, **(environ or {})})
        self.guards.append(guard)
        try:
            yield guard
        finally:
            await guard.stop()


@dataclass(slots=True)
class RunningGuard:
    """A daemon, its log as it is written, and its HTTP address once it told it."""

    process: asyncio.subprocess.Process
    lines: list[str] = field(default_factory=list)
    _reader: "asyncio.Task[None] | None" = None

    @classmethod
    async def start(cls, config: Path, environ: Mapping[str, str]) -> "RunningGuard":
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "guardd", "run", "-c", str(config), "--confirm", "CONFIRM",
            env={**{k: v for k, v in os.environ.items() if not k.startswith(("GUARDD_", "BITMART_"))}, **environ},
            stderr=asyncio.subprocess.PIPE, cwd=config.parent,
        )  # fmt: skip
        guard = cls(process=process)
        guard._reader = asyncio.get_running_loop().create_task(guard._read())
        return guard

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.lines.append(line.decode().rstrip())

    @property
    def url(self) -> str:
        """Where its status page is."""
        return next(line.split("status page: ")[1].rstrip("/") for line in self.lines if "status page: " in line)

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """Its log, as records."""
        records = [json.loads(line) for line in self.lines if line.startswith("{")]
        return [record for record in records if name is None or record.get("event") == name]

    async def get(self, path: str) -> str:
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as answer:
            return await answer.text()

    async def status(self) -> dict[str, Any]:
        return json.loads(await self.get("/status"))

    def kill(self) -> None:
        """kill -9: nothing is said, nothing is finished."""
        self.process.send_signal(signal.SIGKILL)

    async def stop(self) -> int:
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        code = await asyncio.wait_for(self.process.wait(), 20)
        if self._reader is not None:
            await self._reader
        return code


async def until(condition: Callable[[], bool], *, within_s: float, what: str) -> float:
    """Wait until something is true of the exchange; seconds that it took. Fails with `what` when it never is."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not condition():
        if loop.time() - began > within_s:
            raise AssertionError(f"not within {within_s} s: {what}")
        await asyncio.sleep(0.01)
    return loop.time() - began


@asynccontextmanager
async def open_desk(
    home: Path, *, deposit: int = 10_000, ticker_ms: int = 200, seed: int = 1, **more: Any
) -> AsyncIterator[Desk]:
    """The exchange with one hedge-mode account, prices standing still until told."""
    faults = Faults(seed=seed)
    account = AccountSettings(
        uid="main", deposit=Decimal(deposit), spot=Decimal(1_000),
        key=KEYS["BITMART_API_KEY"], secret=KEYS["BITMART_API_SECRET"], passphrase=KEYS["BITMART_API_MEMO"],
    )  # fmt: skip
    options = Options(
        ticker_interval_ms=ticker_ms, position_heartbeat_ms=2_000
    )  # so that a test needn't wait 10 s (14.8)
    settings = ServeSettings(accounts=(account,), seed=seed, walk=False, options=options, **more)
    server = build(settings, SystemClock(), faults)
    async with server:
        yield Desk(server=server, faults=faults, home=home)
