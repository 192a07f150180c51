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
from guardd.simulator.faults import Fault, Faults
from guardd.simulator.orders import OrderKind, OrderRequest, Plan, PlanKind, PlanRequest, PositionMode, Side
from guardd.simulator.run import ServeSettings, build
from guardd.simulator.server import SimulatorServer
from guardd.simulator.stamps import RequestStamp
from tests.live.places import BITMART, Place, lot

OURS = "gd1"
KEYS = BITMART.environ()
PROTECT_ONLY = """\
version: 1
rules:
  - name: resting-protection
    then:
      - stop_loss: {trigger: [{liquidation_buffer: 25%}, {from_entry: -8%}]}
"""


@dataclass(slots=True)
class Desk:
    """One account named `main` on the simulator; `guard` starts daemons for it in `home`. Sizes are in BitMart's contracts."""

    server: SimulatorServer
    faults: Faults
    home: Path
    place: Place = BITMART
    guards: list["RunningGuard"] = field(default_factory=list)

    def lot(self, symbol: str) -> Decimal:
        """How many of the tests' contracts are one unit of this venue's size."""
        return lot(self.server.exchange.query.contract(symbol))

    def fault(self, fault: Fault) -> None:
        """Switch a fault on, its target in this venue's words."""
        self.faults.set(self.place.fault(fault))

    def open(self, symbol: str, side: str, size: int, *, isolated: bool = False, leverage: int = 10) -> None:
        """The trader opens a position."""
        from guardd.simulator.accounts import MarginMode

        exchange, now_ms = self.server.exchange, self.server.now_ms()
        exchange.set_leverage(
            "main", symbol, now_ms,
            leverage=Decimal(leverage), margin_mode=MarginMode.ISOLATED if isolated else MarginMode.CROSS,
        )  # fmt: skip
        units = Decimal(size) / self.lot(symbol)
        order = OrderRequest(symbol=symbol, side=Side.BUY if side == "long" else Side.SELL, size=units)
        exchange.place("main", order, now_ms)

    def trade(self, symbol: str, side: Side, size: int, *, reduce: bool = False, price: int | None = None) -> str:
        """An order of the trader's own hand, at market or resting at `price`; its id."""
        kind = OrderKind.MARKET if price is None else OrderKind.LIMIT
        limit = None if price is None else Decimal(price)
        units = Decimal(size) / self.lot(symbol)
        order = OrderRequest(symbol=symbol, side=side, size=units, reduce=reduce, kind=kind, price=limit)
        return self.server.exchange.place("main", order, self.server.now_ms()).order_id

    def stop(self, symbol: str, side: Side, trigger: str) -> Plan:
        """The trader's own stop on a whole position; `side` is that of the closing order."""
        plan = PlanRequest(
            symbol=symbol, kind=PlanKind.STOP_LOSS, side=side, reduce=True, trigger_price=Decimal(trigger)
        )
        return self.server.exchange.place_plan("main", plan, self.server.now_ms())

    def cancel_plan(self, plan_id: str) -> None:
        """The trader cancels a plan order by hand, whoever made it."""
        self.server.exchange.cancel_plan("main", plan_id, self.server.now_ms())

    def price(self, symbol: str, mark: str | Decimal) -> None:
        self.server.set_price(symbol, Decimal(mark))

    async def fall(self, symbol: str, start: int, end: int, *, steps: int = 20) -> None:
        """A straight way from one price to another, a step each 50 ms."""
        for step in range(1, steps + 1):
            self.price(symbol, (Decimal(start) + (Decimal(end) - start) * step / steps).quantize(Decimal("0.1")))
            await asyncio.sleep(0.05)

    def writes(self) -> list[RequestStamp]:
        """Requests that change something, as they arrived; listing transfers is a read in a POST's clothes."""
        return [
            stamp
            for stamp in self.server.stamps.requests
            if stamp.method == "POST" and not stamp.path.endswith("-list")
        ]

    def ledger(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Rows of the exchange's own ledger for `main`, oldest first."""
        rows = [row.as_json() for row in self.server.exchange.ledger.rows(uid="main")]
        return [row for row in rows if kind is None or row["kind"] == kind]

    def positions(self) -> dict[tuple[str, str], Decimal]:
        """What is truly held: (symbol, side) to contracts."""
        return {
            (position.symbol, str(position.side)): position.size * self.lot(position.symbol)
            for position in self.server.exchange.query.positions("main")
            if position.size
        }

    def plans(self, symbol: str | None = None) -> list[Plan]:
        """What truly rests, plan orders."""
        return list(self.server.exchange.query.open_plans("main", symbol))

    def own_plans(self, symbol: str | None = None) -> list[Plan]:
        """What truly rests of the guard's making."""
        return [plan for plan in self.plans(symbol) if plan.client_id.startswith(OURS)]

    def write(
        self, policy: str, *, mode: str = "enforce", http: int = 0, extra: str = "", home: Path | None = None
    ) -> Path:
        """Settings and policy of one run; in a directory of its own where `home` is given."""
        home = home or self.home
        (home / "policy.yaml").write_text(policy)
        config = home / "guardd.yaml"
        config.write_text(
            f"mode: {mode}\npolicy: policy.yaml\ndata_dir: ./data\nhttp: {{host: 127.0.0.1, port: {http}}}\n"
            f"log: {{level: info, format: json}}\n{extra}"
            f"accounts:\n  - name: main\n    venue: {self.place.settings_name}\n    rest_url: {self.server.rest_url}\n"
            f"    stream_url: {self.server.stream_url}\n"
        )
        return config

    @asynccontextmanager
    async def guard(
        self,
        policy: str = PROTECT_ONLY,
        *,
        mode: str = "enforce",
        environ: Mapping[str, str] | None = None,
        confirm: str | None = "CONFIRM",
        http: int = 0,
        extra: str = "",
        home: Path | None = None,
        terminal: int | None = None,
    ) -> AsyncIterator["RunningGuard"]:
        """`guardd run` in a process of its own, ended by SIGTERM at the end unless it ended before."""
        config = self.write(policy, mode=mode, http=http, extra=extra, home=home)
        guard = await RunningGuard.start(
            config, {**self.place.environ(), **(environ or {})}, confirm=confirm, terminal=terminal
        )
        self.guards.append(guard)
        try:
            yield guard
        finally:
            await guard.stop()


def write_several(home: Path, policy: str, desks: Mapping[str, Desk]) -> tuple[Path, dict[str, str]]:
    """Settings of one daemon that guards an account at each desk, named as here; and its credentials."""
    (home / "policy.yaml").write_text(policy)
    lines = ["mode: enforce", "policy: policy.yaml", "data_dir: ./data", "http: {host: 127.0.0.1, port: 0}"]
    lines += ["log: {level: info, format: json}", "accounts:"]
    environ: dict[str, str] = {}
    for number, (name, desk) in enumerate(desks.items()):
        lines += [f"  - name: {name}", f"    venue: {desk.place.settings_name}", f"    credentials: DESK{number}"]
        lines += [f"    rest_url: {desk.server.rest_url}", f"    stream_url: {desk.server.stream_url}"]
        for variable, value in desk.place.environ().items():
            environ[f"DESK{number}_{variable.split('_', 1)[1]}"] = value
    config = home / "guardd.yaml"
    config.write_text("\n".join(lines) + "\n")
    return config, environ


@dataclass(slots=True)
class RunningGuard:
    """A daemon, its log as it is written, and its HTTP address once it told it."""

    process: asyncio.subprocess.Process
    lines: list[str] = field(default_factory=list)
    _reader: "asyncio.Task[None] | None" = None

    @classmethod
    async def start(
        cls,
        config: Path,
        environ: Mapping[str, str],
        *,
        confirm: str | None = "CONFIRM",
        terminal: int | None = None,
    ) -> "RunningGuard":
        """At a terminal (its end for the daemon) the log is read there, not here."""
        word = [] if confirm is None else ["--confirm", confirm]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "guardd", "run", "-c", str(config), *word,
            env={**{k: v for k, v in os.environ.items() if not k.startswith(("GUARDD_", "BITMART_", "BITGET_"))}, **environ},
            stdin=terminal if terminal is not None else asyncio.subprocess.DEVNULL,
            stderr=terminal if terminal is not None else asyncio.subprocess.PIPE, cwd=config.parent,
        )  # fmt: skip
        guard = cls(process=process)
        guard._reader = asyncio.get_running_loop().create_task(guard._read())
        return guard

    async def _read(self) -> None:
        if self.process.stderr is None:
            return
        async for line in self.process.stderr:
            self.lines.append(line.decode().rstrip())

    @property
    def url(self) -> str:
        """Where its status page is; empty until it told."""
        return next((line.split("status page: ")[1].rstrip("/") for line in self.lines if "status page: " in line), "")

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """Its log, as records."""
        records = [json.loads(line) for line in self.lines if line.startswith("{")]
        return [record for record in records if name is None or record.get("event") == name]

    def told(self, *words: str, severity: str | None = None) -> list[dict[str, Any]]:
        """What it told people, by words that the sentence holds."""
        return [
            record
            for record in self.events("told")
            if all(word in record["why"] for word in words) and severity in (None, record["level"])
        ]

    async def until_told(self, *words: str, severity: str | None = None, within_s: float = 10) -> None:
        await until(lambda: bool(self.told(*words, severity=severity)), within_s=within_s, what=f"told: {words}")

    async def protected(self, positions: int, *, within_s: float = 10) -> None:
        """Wait until so many positions were told as protected."""
        await until(
            lambda: len(self.events("position_protected")) >= positions,
            within_s=within_s,
            what=f"{positions} positions are told as protected",
        )

    async def post(self, path: str, token: str | None, **body: str) -> tuple[int, dict[str, Any]]:
        """An operator's word over HTTP: status and answer."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.url + path, json=body, headers=headers) as answer,
        ):
            return answer.status, await answer.json()

    async def get(self, path: str) -> str:
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as answer:
            return await answer.text()

    async def status(self) -> dict[str, Any]:
        return json.loads(await self.get("/status"))

    async def lives(self, *, within_s: float = 10) -> None:
        """Wait until the account is live."""
        await until(lambda: bool(self.events("account_live")), within_s=within_s, what="the account is live")

    async def stands(self, state: str, *, within_s: float = 10) -> None:
        """Wait until /status gives the account this state."""
        await until(lambda: bool(self.url), within_s=within_s, what="the status page is up")
        for _ in range(int(within_s * 10)):
            if (found := (await self.status())["accounts"][0]["state"]) == state:
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"not within {within_s} s: the account is {state}; it is {found}")

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self, *, within_s: float = 30) -> int:
        """Wait for its own end; the exit code."""
        code = await asyncio.wait_for(self.process.wait(), within_s)
        if self._reader is not None:
            await self._reader
        return code

    def kill(self) -> None:
        """kill -9: nothing is said, nothing is finished."""
        self.process.send_signal(signal.SIGKILL)

    async def stop(self) -> int:
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        return await self.ended()


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
    home: Path,
    *,
    deposit: int = 10_000,
    ticker_ms: int = 200,
    seed: int = 1,
    position_mode: PositionMode = PositionMode.HEDGE,
    keys: Mapping[str, str] | None = None,
    place: Place = BITMART,
    **more: Any,
) -> AsyncIterator[Desk]:
    """The exchange with one account, in hedge mode unless told otherwise, prices standing still until told."""
    faults = Faults(seed=seed)
    key, secret, phrase = ((keys or place.environ())[name] for name in place.keys)
    account = AccountSettings(
        uid="main", deposit=Decimal(deposit), spot=Decimal(1_000), position_mode=position_mode,
        key=key, secret=secret, passphrase=phrase,
    )  # fmt: skip
    options = place.options(ticker_ms=ticker_ms)
    more.setdefault("contracts", place.contracts())
    settings = ServeSettings(venue=place.venue, accounts=(account,), seed=seed, walk=False, options=options, **more)
    server = build(settings, SystemClock(), faults)
    async with server:
        yield Desk(server=server, faults=faults, home=home, place=place)
