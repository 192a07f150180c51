"""What can be wrong at a start: exit codes, and words that a newcomer understands (interfaces.md 3)."""

import asyncio
import socket
from pathlib import Path

import pytest

from guardd.simulator.faults import FaultKind
from tests.live.desk import KEYS, PROTECT_ONLY, RunningGuard, open_desk, until, write_several


async def test_an_unreachable_venue_ends_with_69_and_says_what_to_look_at(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        config = desk.write(PROTECT_ONLY)
    guard = await RunningGuard.start(config, KEYS)
    assert await guard.ended() == 69
    text = "\n".join(guard.lines)
    assert "Connect call failed" in text
    assert "to mend it: is the network up" in text
    assert "Traceback" not in text


async def test_a_missing_credential_ends_with_77_and_is_named_before_anything_is_asked(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        guard = await RunningGuard.start(
            desk.write(PROTECT_ONLY), {name: value for name, value in KEYS.items() if name != "BITMART_API_MEMO"}
        )
        assert await guard.ended() == 77
        assert "BITMART_API_MEMO missing" in "\n".join(guard.lines)
        assert list(desk.server.stamps.requests) == []


@pytest.mark.parametrize(("name", "code"), [("BITMART_API_SECRET", "30005"), ("BITMART_API_KEY", "30002")])
async def test_a_refused_key_ends_with_77_and_the_venues_reason(tmp_path: Path, name: str, code: str) -> None:
    async with open_desk(tmp_path) as desk:
        desk.open("BTCUSDT", "long", 100)
        async with desk.guard(environ={name: "somebody-elses"}) as guard:
            assert await guard.ended() == 77
            text = "\n".join(guard.lines)
        assert code in text
        assert "to mend it: " in text
        assert "somebody-elses" not in text
        assert desk.writes() == []


async def test_a_port_that_is_taken_is_told_and_the_guard_guards_on_until_it_is_free(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        desk.open("BTCUSDT", "long", 100)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            async with desk.guard(http=port) as guard:
                await guard.until_told(f"can't listen on 127.0.0.1:{port}", severity="critical")
                await until(lambda: len(desk.own_plans()) == 1, within_s=8, what="the stop rests all the same")
                taken.close()
                await until(lambda: guard.url.endswith(f":{port}"), within_s=20, what="the page is up after all")
                await guard.stands("live")


async def test_two_guards_of_which_one_account_is_unreachable_guard_the_other(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        desk.open("BTCUSDT", "long", 100)
        config = desk.write(PROTECT_ONLY)
        config.write_text(
            config.read_text()
            + "  - name: far\n    venue: bitmart\n    rest_url: http://127.0.0.1:9\n    stream_url: ws://127.0.0.1:9\n"
        )
        guard = await RunningGuard.start(config, KEYS)
        await until(lambda: len(desk.own_plans()) == 1, within_s=10, what="the reachable account is protected")
        await guard.until_told("far", "tried again", severity="critical")
        await guard.stands("live")
        status = {each["name"]: each["state"] for each in (await guard.status())["accounts"]}
        assert status == {"main": "live", "far": "starting"}
        assert await guard.stop() == 0


@pytest.mark.parametrize("fault", [FaultKind.CLOUDFLARE_403, FaultKind.MAINTENANCE, FaultKind.ERROR_HTML])
async def test_two_guards_of_which_one_venue_turns_its_account_away_guard_the_other(
    tmp_path: Path, fault: FaultKind
) -> None:
    (tmp_path / "away").mkdir()
    async with open_desk(tmp_path) as desk, open_desk(tmp_path / "away") as away:
        away.faults.add(fault)
        desk.open("BTCUSDT", "long", 100)
        config, environ = write_several(tmp_path, PROTECT_ONLY, {"main": desk, "away": away})
        guard = await RunningGuard.start(config, environ)
        await until(lambda: len(desk.own_plans()) == 1, within_s=15, what="the account that is let in is protected")
        await guard.until_told("away", "tried again", severity="critical")
        assert await guard.stop() == 0


async def test_a_guard_whose_only_venue_blocks_it_waits_for_the_end_of_the_block(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        desk.faults.add(FaultKind.CLOUDFLARE_403)
        async with desk.guard() as guard:
            await guard.until_told("a page of the edge", "tried again", severity="critical")
            asked = len(desk.server.stamps.requests)
            await asyncio.sleep(6)
            assert guard.process.returncode is None
            assert len(desk.server.stamps.requests) == asked


async def test_a_venue_that_comes_back_is_guarded_without_a_restart(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        desk.open("BTCUSDT", "long", 100)
        async with desk.guard() as guard:
            await guard.protected(1)
            desk.faults.add(FaultKind.MAINTENANCE)
            desk.faults.add(FaultKind.CLOSE_SOCKET)
            await until(lambda: len(guard.events("stream_down")) >= 2, within_s=5, what="the streams are lost")
            desk.faults.clear()
            await until(lambda: len(guard.events("stream_up")) >= 4, within_s=20, what="the streams are back")
            desk.open("ETHUSDT", "short", 50)
            await until(lambda: len(desk.own_plans()) == 2, within_s=5, what="a new position is protected")
            await guard.stands("live")
