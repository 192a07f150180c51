"""What the page is looked at with: the simulated exchange, `guardd run`, and a browser that has no screen."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final

from guardd.simulator.faults import FaultKind
from tests.deploy.tools import missing, tool
from tests.live.desk import Desk, RunningGuard, open_desk, until

if TYPE_CHECKING:
    from playwright.async_api import Browser

FLAGS: Final = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--no-first-run", "--disable-quic"),
)
PHONE: Final = (390, 844)
DESKTOP: Final = (1280, 900)
POLICY: Final = """\
version: 1
limits: {orders_per_minute: 60, stale_after: 15s}
rules:
  - name: resting-protection
    then:
      - stop_loss: {trigger: [{liquidation_buffer: 15%}, {from_entry: -8%}]}
      - take_profit: {trigger: {from_entry: 6%}}
  - name: warn
    when: {distance_to_liquidation: {below: 7%}}
    then: [notify: {severity: warning}]
  - name: trim
    when: {profit_from_entry: {below: -4%}}
    cooldown: 5m
    then:
      - reduce: {by: 25%}
  - name: last-resort
    when: {buffer_left: {below: 18%}}
    then: [close: {}]
"""


@dataclass(slots=True, kw_only=True)
class Scene:
    """A guard with positions, and the hand on their prices."""

    desk: Desk
    guard: RunningGuard

    async def fall(self) -> None:
        """Far enough for `trim`, not for the stop; the short gains."""
        for step in range(1, 21):
            self.desk.price("BTCUSDT", (Decimal(90_000) - 205 * step).quantize(Decimal("0.1")))
            self.desk.price("ETHUSDT", (Decimal(3_200) - 4 * step).quantize(Decimal("0.01")))
            await asyncio.sleep(0.05)
        await until(lambda: bool(self.guard.events("reduce_verified")), within_s=20, what="the trim is verified")

    async def block(self) -> None:
        """Cloudflare turns everything away."""
        self.desk.faults.add(FaultKind.CLOUDFLARE_403)
        await self.guard.stands("blocked", within_s=30)


@asynccontextmanager
async def scene(home: Path, *, held: bool = True, mode: str = "enforce", http: int = 0) -> AsyncIterator[Scene]:
    async with open_desk(home, deposit=4_321) as desk:
        if held:
            desk.open("BTCUSDT", "long", 200, isolated=True, leverage=10)
            desk.open("ETHUSDT", "short", 1_500, leverage=10)
        async with desk.guard(POLICY, mode=mode, http=http) as guard:
            await guard.stands("live", within_s=30)
            if held and mode == "enforce":
                await guard.protected(2, within_s=30)
            yield Scene(desk=desk, guard=guard)


@asynccontextmanager
async def browser() -> AsyncIterator["Browser"]:
    program = tool("chromium")
    try:
        from playwright.async_api import async_playwright
    except ImportError:
        missing("the package playwright is not installed")
    async with async_playwright() as play:
        opened = await play.chromium.launch(executable_path=program, args=list(FLAGS))
        try:
            yield opened
        finally:
            await opened.close()
