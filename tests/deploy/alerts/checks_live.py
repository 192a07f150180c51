"""From the fault to whoever is woken: the simulated exchange, `guardd run`, Prometheus, Alertmanager, a webhook.

Five faults at five accounts at the same time, with the waits and intervals of deploy/; then every expression of the dashboards.
"""

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from guardd.simulator.faults import Fault, FaultKind
from guardd.simulator.orders import Side
from tests.deploy.alerts.stack import Stack, as_text, points, stack
from tests.deploy.grafana.files import dashboards
from tests.deploy.grafana.test_grafana import expressions
from tests.deploy.tools import tool
from tests.live.desk import Desk, RunningGuard, open_desk, write_several
from tests.live.places import BITGET, BITMART, UNIFIED

POLICY: Final = """\
version: 1
rules:
  - name: resting-protection
    then:
      - stop_loss: {trigger: [{liquidation_buffer: 10%}, {from_entry: -8%}]}
  - name: trim
    match: {symbol: ETHUSDT}
    when: {profit_from_entry: {below: -2%}}
    cooldown: 5m
    then:
      - reduce: {by: 25%}
  - name: day
    when: {account_drawdown: {above: 90%}}
    then: [notify: {severity: warning}]
"""
PLACES: Final = {"near": BITMART, "bare": BITMART, "blind": BITGET, "edge": UNIFIED}
DOWN: Final = "down"
CALM_S: Final = 20.0
RESENT_S: Final = 100.0
"""An alert that fires before Prometheus knows Alertmanager is sent again a minute later."""
SLACK_S: Final = 40
"""A scrape, an evaluation, Alertmanager, and the load of the machine; on an idle one it is 7."""
WITHIN_S: Final = {
    "GuarddNearLiquidation": 15 + SLACK_S,
    "GuarddPositionUnprotected": 30 + SLACK_S,
    "GuarddAccountBlind": 15 + 30 + SLACK_S,  # `stale_after`, then the alert's own wait
    "GuarddCloudflareBlocked": 15 + SLACK_S,
    "GuarddDown": 15 + SLACK_S,
}
SEEN_AT: Final = {
    "GuarddNearLiquidation": "near",
    "GuarddPositionUnprotected": "bare",
    "GuarddAccountBlind": "blind",
    "GuarddCloudflareBlocked": "edge",
}
EXPECTED: Final = frozenset({*WITHIN_S, "GuarddWatchdog"})
BESIDE: Final = frozenset({"GuarddAccountBlind", "GuarddStreamSilent", "GuarddSnapshotOld", "GuarddRateLimited"})
"""What the same faults cause as well: an account that Cloudflare turns away is blocked, too."""


@dataclass(slots=True, kw_only=True)
class Scene:
    desks: dict[str, Desk]
    guard: RunningGuard
    other: RunningGuard
    stack: Stack

    async def strike(self) -> float:
        """All five faults, as near to each other as can be; the moment."""
        at = time.monotonic()
        self.other.kill()
        self.desks["edge"].faults.add(FaultKind.CLOUDFLARE_403)
        self.desks["blind"].faults.add(FaultKind.FREEZE_SOCKET)
        self.desks["blind"].faults.add(FaultKind.TIMEOUT_BEFORE)
        self.desks["near"].price("BTCUSDT", near_price(self.desks["near"]))
        bare = self.desks["bare"]
        for path in ("tp-sl", "plan"):
            bare.fault(
                Fault(name=path, kind=FaultKind.REFUSE, code=40011, target=f"/contract/private/submit-{path}-order")
            )
        for plan in bare.own_plans():
            bare.cancel_plan(plan.plan_id)
        bare.trade("SOLUSDT", Side.BUY, 1)  # an event: the orders are read at once
        return at

    def mend(self) -> float:
        self.desks["near"].price("BTCUSDT", 90_000)
        self.desks["bare"].faults.clear()
        return time.monotonic()


def near_price(desk: Desk) -> int:
    """Where a fifth of the first distance is left."""
    position = next(each for each in desk.server.exchange.query.positions("main") if each.symbol == "BTCUSDT")
    liquidation = position.liquidation_price
    assert liquidation is not None
    return int(liquidation + (90_000 - liquidation) / 5)


@asynccontextmanager
async def scene(home: Path) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as closing:
        desks: dict[str, Desk] = {}
        for name, place in {**PLACES, DOWN: BITMART}.items():
            (home / name).mkdir()
            desk = await closing.enter_async_context(open_desk(home / name, place=place))
            desk.open("BTCUSDT", "long", 100, isolated=True, leverage=10)
            desks[name] = desk
        desks["near"].open("ETHUSDT", "long", 100)
        (home / "several").mkdir()
        config, environ = write_several(home / "several", POLICY, {name: desks[name] for name in PLACES})
        guard = await RunningGuard.start(config, environ)
        closing.push_async_callback(guard.stop)
        other = await closing.enter_async_context(desks[DOWN].guard(POLICY))
        for each, positions in ((guard, len(PLACES) + 1), (other, 1)):
            try:
                await each.protected(positions, within_s=60)
            except AssertionError as error:
                error.add_note("\n".join(each.lines[-60:]))
                raise
        targets = [each.url.removeprefix("http://") for each in (guard, other)]
        running = await closing.enter_async_context(stack(home, targets))
        yield Scene(desks=desks, guard=guard, other=other, stack=running)


async def dashboards_show_something(running: Stack, began: float) -> list[str]:
    """Expressions that returned no number at any time since then."""
    empty = []
    for uid in dashboards():
        for expr in expressions(uid):
            asked = expr.replace("$__rate_interval", "30s").replace("$account", ".*")
            span = {"start": str(began), "end": str(time.time()), "step": "5"}
            if not points(await running.asked("query_range", query=asked, **span)):
                empty.append(f"{uid}: {asked}")
    return empty


@pytest.mark.timeout(500)
async def test_whoever_is_woken_hears_of_each_fault_within_its_time(tmp_path: Path) -> None:
    for name in ("prometheus", "prometheus-alertmanager", "promtool"):
        tool(name)
    began = time.time()
    async with scene(tmp_path) as played:
        running, up = played.stack, time.monotonic()
        await played.desks["near"].fall("ETHUSDT", 3_200, 3_110)
        await running.hears("GuarddWatchdog", after=up, within_s=RESENT_S)
        await asyncio.sleep(CALM_S)
        assert {each.labels["alertname"] for each in running.told} == {"GuarddWatchdog"}, as_text(running.told)
        assert {each.receiver for each in running.told} == {"deadman"}
        struck = await played.strike()
        took = {}
        for alert, within_s in WITHIN_S.items():
            account = {"account": SEEN_AT[alert]} if alert in SEEN_AT else {"job": "guardd"}
            took[alert], told = await running.hears(alert, after=struck, within_s=within_s, **account)
            assert told.receiver == "pager"
        print("\n".join(f"{alert}: {seconds:.1f} s" for alert, seconds in took.items()))
        wrong = [each for each in running.told if each.labels["alertname"] not in EXPECTED | BESIDE]
        assert not wrong, as_text(wrong)
        words = as_text(running.told)
        assert "<no value>" not in words
        assert "error expanding" not in words
        assert await dashboards_show_something(running, began) == []
        mended = played.mend()
        for alert in ("GuarddNearLiquidation", "GuarddPositionUnprotected"):
            await running.hears(alert, after=mended, within_s=60, status="resolved", account=SEEN_AT[alert])
        metrics = await played.guard.get("/metrics")
    checked = await asyncio.to_thread(
        subprocess.run, [tool("promtool"), "check", "metrics"], input=metrics.encode(), capture_output=True, timeout=30
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")
