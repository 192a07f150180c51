"""Prometheus, Alertmanager and whoever is told, on loopback: the files of deploy/ with nothing but addresses changed."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
from aiohttp import web

from tests.deploy.prometheus.rules import RULES, read_yaml
from tests.deploy.tools import DEPLOY, tool

STARTS_WITHIN_S: Final = 20.0
POLL_S: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One alert of one message, when and where it came in."""

    at: float
    receiver: str
    status: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


@dataclass(slots=True, kw_only=True)
class Stack:
    prometheus: str
    told: list[Told] = field(default_factory=list)

    def first(self, alert: str, *, after: float, status: str = "firing", **labels: str) -> Told | None:
        """The first message of this alert that came after that moment."""
        wanted = {"alertname": alert, **labels}
        return next(
            (
                each
                for each in self.told
                if each.at >= after and each.status == status and wanted.items() <= dict(each.labels).items()
            ),
            None,
        )

    async def hears(
        self, alert: str, *, after: float, within_s: float, status: str = "firing", **labels: str
    ) -> tuple[float, Told]:
        """Seconds from `after` until somebody was told of it."""
        while (found := self.first(alert, after=after, status=status, **labels)) is None:
            if time.monotonic() - after > within_s:
                known = sorted(
                    {(each.labels["alertname"], each.status, each.labels.get("account", "")) for each in self.told}
                )
                raise AssertionError(f"not within {within_s} s: {alert} {labels} {status}; told: {known}")
            await asyncio.sleep(POLL_S)
        return found.at - after, found

    async def asked(self, path: str, **query: str) -> Any:
        """The `data` of one answer of Prometheus."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.prometheus}/api/v1/{path}", params=query) as got,
        ):
            answer = await got.json()
        assert answer["status"] == "success", answer
        return answer["data"]

    async def targets(self) -> list[str]:
        """The health of each target."""
        return [target["health"] for target in (await self.asked("targets"))["activeTargets"]]


@asynccontextmanager
async def stack(home: Path, targets: Sequence[str]) -> AsyncIterator[Stack]:
    """Everything up, and every target scraped once."""
    async with AsyncExitStack() as closing:
        running = Stack(prometheus=f"http://127.0.0.1:{free_port()}")
        hook = await closing.enter_async_context(_receivers(running))
        alertmanager = f"127.0.0.1:{free_port()}"
        await closing.enter_async_context(_alertmanager(home, alertmanager, hook))
        await closing.enter_async_context(_prometheus(home, running.prometheus, targets, alertmanager))
        await _answers(f"http://{alertmanager}/-/ready")
        await _answers(f"{running.prometheus}/-/ready")
        began = time.monotonic()
        while await running.targets() != ["up"] * len(targets):
            assert time.monotonic() - began < STARTS_WITHIN_S, await running.targets()
            await asyncio.sleep(POLL_S)
        yield running


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@asynccontextmanager
async def _receivers(running: Stack) -> AsyncIterator[str]:
    """Every receiver of the example, at the paths /pager, /chat and /deadman."""

    async def take(request: web.Request) -> web.Response:
        now = time.monotonic()
        for alert in (await request.json())["alerts"]:
            running.told.append(
                Told(
                    at=now,
                    receiver=request.match_info["receiver"],
                    status=alert["status"],
                    labels=alert["labels"],
                    annotations=alert["annotations"],
                )
            )
        return web.Response()

    app = web.Application()
    app.router.add_post("/{receiver}", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _alertmanager(home: Path, listen: str, hook: str) -> AsyncIterator[None]:
    config = read_yaml(DEPLOY / "alertmanager" / "alertmanager.yaml")
    for receiver in config["receivers"]:
        for each in receiver.get("webhook_configs", []):
            each["url"] = f"{hook}/{receiver['name']}"
    file = _written(home / "alertmanager.yaml", config)
    async with _process(
        home / "alertmanager.log",
        tool("prometheus-alertmanager"),
        f"--config.file={file}",
        f"--storage.path={home / 'alertmanager'}",
        f"--web.listen-address={listen}",
        "--cluster.listen-address=",
    ):
        yield


@asynccontextmanager
async def _prometheus(home: Path, url: str, targets: Sequence[str], alertmanager: str) -> AsyncIterator[None]:
    config = read_yaml(DEPLOY / "prometheus" / "prometheus.yaml")
    config["rule_files"] = [str(RULES)]
    config["scrape_configs"][0]["static_configs"] = [{"targets": list(targets)}]
    config["alerting"]["alertmanagers"][0]["static_configs"] = [{"targets": [alertmanager]}]
    file = _written(home / "prometheus.yaml", config)
    async with _process(
        home / "prometheus.log",
        tool("prometheus"),
        f"--config.file={file}",
        f"--storage.tsdb.path={home / 'prometheus'}",
        f"--web.listen-address={url.removeprefix('http://')}",
    ):
        yield


def _written(file: Path, config: object) -> Path:
    file.write_text(json.dumps(config))  # which is YAML too
    return file


@asynccontextmanager
async def _process(log: Path, *command: str) -> AsyncIterator[None]:
    with log.open("w") as out:
        process = await asyncio.create_subprocess_exec(*command, stdout=out, stderr=out, cwd=log.parent)
        try:
            yield
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


async def _answers(url: str) -> None:
    began = time.monotonic()
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(url) as got:
                    if got.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            assert time.monotonic() - began < STARTS_WITHIN_S, f"{url} doesn't answer"
            await asyncio.sleep(POLL_S)


def points(data: Any) -> list[float]:
    """Every value of an answer that is a number."""
    found = [float(value) for series in data["result"] for _, value in series.get("values", [series.get("value")])]
    return [value for value in found if value == value]


def as_text(told: Sequence[Told]) -> str:
    return json.dumps([{"to": each.receiver, **each.labels, **each.annotations} for each in told], indent=1)
