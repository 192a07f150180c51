"""A real daemon told by the real Apprise: messages, a heartbeat, the journal's story of what it did, and no secret in any of it."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from guardd.model.intent import Action
from tests.live.desk import open_desk, until
from tests.live.test_watchfulness import CANARIES, TRIM_THEN_STOP
from tests.telemetry.test_courier import wants_apprise

CHAT_CANARY, BEAT_CANARY, USER_CANARY = "canarychatcanarychat6", "canarybeatcanarybeat7", "canaryusercanaryuser8"
VOICE = """\
notify:
  - {url: env:CHAT_URL, min_severity: info}
  - {url: env:SILENT_URL, min_severity: warning}
heartbeat: {url: env:BEAT_URL, every: 10s}
"""


@dataclass
class Ears:
    """Everybody who is told: a chat behind Apprise and a dead man's switch."""

    port: int = 0
    chat: list[dict[str, Any]] = field(default_factory=list)
    beats: int = 0

    @property
    def environ(self) -> dict[str, str]:
        place = f"127.0.0.1:{self.port}"
        return {
            "CHAT_URL": f"json://{place}/{CHAT_CANARY}",
            "SILENT_URL": f"json://{USER_CANARY}:{USER_CANARY}@127.0.0.1:1/{CHAT_CANARY}",
            "BEAT_URL": f"http://{place}/{BEAT_CANARY}?key={USER_CANARY}",
        }


@asynccontextmanager
async def listening() -> AsyncIterator[Ears]:
    ears = Ears()

    async def hear(request: web.Request) -> web.Response:
        if request.method == "GET":
            ears.beats += request.path == f"/{BEAT_CANARY}"
        else:
            ears.chat.append(await request.json())
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/{token}", hear)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        ears.port = runner.addresses[0][1]
        yield ears
    finally:
        await runner.cleanup()


async def guardd(home: Path, environ: dict[str, str], *words: str) -> str:
    """One command beside the daemon: everything it printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "guardd", *words, "-c", str(home / "guardd.yaml")),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"PATH": "/usr/bin:/bin", "COLUMNS": "400", **environ},
        cwd=home,
    )
    return (await process.communicate())[0].decode()


async def test_I26_what_a_daemon_did_is_told_journalled_and_reckoned_and_no_secret_is_in_any_of_it(
    tmp_path: Path,
) -> None:
    wants_apprise()
    async with listening() as ears, open_desk(tmp_path, keys=CANARIES) as desk:
        environ = {**CANARIES, **ears.environ}
        desk.open("BTCUSDT", "long", 100)
        entry = desk.server.exchange.query.positions("main")[0].entry_price
        contract_size = desk.server.exchange.query.contract("BTCUSDT").contract_size
        debug = {**environ, "GUARDD_LOG__LEVEL": "debug"}
        async with desk.guard(TRIM_THEN_STOP, environ=debug, extra=VOICE) as guard:
            await guard.protected(1)
            await desk.fall("BTCUSDT", 90_000, 86_000)
            await until(lambda: desk.positions() == {("BTCUSDT", "long"): Decimal(75)}, within_s=8, what="trimmed")
            await desk.fall("BTCUSDT", 86_000, 85_000)
            await until(lambda: not desk.positions(), within_s=8, what="the stop took the rest")
            await until(lambda: bool(guard.told("flat")), within_s=20, what="the guard knows that it is flat")
            await until(lambda: ears.beats > 0, within_s=25, what="the dead man's switch was fed")
            await until(
                lambda: any("flat" in each["message"] for each in ears.chat), within_s=20, what="told by Apprise"
            )
            failing = 'guardd_notifications_total{outcome="failed"}'
            for _ in range(60):
                metrics = await guard.get("/metrics")
                if f"{failing} 0.0" not in metrics:
                    break
                await asyncio.sleep(0.5)
            pages = [await guard.get(page) for page in ("/", "/status", "/readyz", "/livez", "/nowhere")]
            pages.append(await first_event(guard.url + "/events"))
        listed = json.loads(await guardd(tmp_path, environ, "journal", "list", "--json", "--limit", "1000"))
        told = [await guardd(tmp_path, environ, "journal", "list"), await guardd(tmp_path, environ, "check")]
        stories = {
            intent["action"]: await guardd(tmp_path, environ, "journal", "why", str(intent["id"]), "--json")
            for record in listed
            if record["kind"] == "intent" and (intent := record["body"]["intent"])["action"] in ("reduce", "stop_loss")
        }
        told += [
            await guardd(tmp_path, environ, "journal", "why", json.loads(each)["subject"]) for each in stories.values()
        ]
        files = b"".join(file.read_bytes() for file in (tmp_path / "data").rglob("*") if file.is_file())
    assert 'guardd_heartbeats_total{outcome="withheld"} 1.0' in metrics  # the first is due before anything was read
    assert 'guardd_heartbeats_total{outcome="sent"} 0.0' not in metrics
    assert f"{failing} 0.0" not in metrics
    assert "the Apprise" not in "\n".join(guard.lines)
    reckoned(stories, entry, desk.ledger("fill"), contract_size)
    shown = "\n".join([*guard.lines, *pages, *told, *stories.values(), metrics, json.dumps([ears.chat, listed])])
    canaries = [*CANARIES.values(), CHAT_CANARY, BEAT_CANARY, USER_CANARY]
    assert [each for each in canaries if each in shown or each.encode() in files] == []


def reckoned(stories: dict[str, str], entry: Decimal, fills: list[dict[str, Any]], contract_size: Decimal) -> None:
    """The journal's profits are what the exchange's own trades make of the entry."""
    for action in (Action.REDUCE.value, Action.STOP_LOSS.value):
        story = json.loads(stories[action])
        (fill,) = story["fills"]
        trades = [row for row in fills if str(row["order_id"]) == fill["order_id"]]
        won = sum((Decimal(str(row["price"])) - entry) * Decimal(str(row["size"])) * contract_size for row in trades)
        assert trades, fill
        assert Decimal(fill["entry_price"]) == entry
        assert abs(Decimal(story["realized_pnl"]) - won) < Decimal("0.01"), (story["realized_pnl"], won)
        assert won < 0


async def first_event(url: str) -> str:
    """The first bytes of the live feed."""
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return (await answer.content.readany()).decode()
