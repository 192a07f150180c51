"""Who lets the guard act: observe mode, the word at the start, halt, resume and flatten (I22)."""

import asyncio
import os
import pty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from signal import SIGHUP, SIGTERM

import pytest

from guardd.policy.load import load_policy
from guardd.simulator.orders import Side
from tests.live.desk import PROTECT_ONLY, Desk, open_desk, until

CLOSE_LATE = """\
version: 1
limits: {orders_per_minute: 60}
rules:
  - name: resting-protection
    then:
      - stop_loss: {trigger: {liquidation_buffer: 10%}}
  - name: trim
    when: {profit_from_entry: {below: -3%}}
    cooldown: 5m
    then:
      - reduce: {by: 25%}
  - name: last-resort
    when: {profit_from_entry: {below: -6%}}
    then: [close: {}]
"""
TOKEN = "a-token-for-the-desk"
WITH_TOKEN = {"GUARDD_HTTP__TOKEN": TOKEN}
SHORT_OF_THE_STOP = 84_000


@contextmanager
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of one: what a person reads and types at, and what the daemon is given."""
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    try:
        yield ours, theirs
    finally:
        os.close(ours)
        os.close(theirs)


async def read_until(ours: int, words: str, *, within_s: float = 10) -> str:
    """What was shown at the terminal up to these words."""
    shown = b""
    for _ in range(int(within_s * 50)):
        with suppress(BlockingIOError):
            shown += os.read(ours, 65_536)
        if words in shown.decode(errors="replace"):
            return shown.decode(errors="replace")
        await asyncio.sleep(0.02)
    raise AssertionError(f"not shown within {within_s} s: {words}; shown: {shown.decode(errors='replace')}")


def sizes(desk: Desk) -> list[Decimal]:
    """Contracts of every closing order that the guard got through."""
    return [Decimal(row["size"]) for row in desk.ledger("order_accepted") if str(row["client_id"]).startswith("gd1")]


async def test_I22_observe_mode_decides_and_tells_in_a_fall_and_sends_nothing(tmp_path: Path) -> None:
    async with open_desk(tmp_path, deposit=1_000) as desk:
        desk.open("BTCUSDT", "long", 100, isolated=True)
        async with desk.guard(CLOSE_LATE, mode="observe", confirm=None, environ=WITH_TOKEN) as guard:
            await guard.lives()
            assert (await guard.post("/flatten", TOKEN, account="main", confirm="CONFIRM"))[0] == 409
            await desk.fall("BTCUSDT", 90_000, SHORT_OF_THE_STOP)
            await until(
                lambda: {line["rule"] for line in guard.events("rule_fired")} >= {"trim", "last-resort"},
                within_s=5,
                what="both rules are told",
            )
            await guard.until_told("close by last-resort is not sent: observing")
            status = await guard.status()
        assert desk.writes() == []
        assert desk.positions() == {("BTCUSDT", "long"): Decimal(100)}
        assert status["mode"] == "observe"
        assert status["accounts"][0]["mode"] == "observe"
        refused = {line["rule"] for line in guard.events() if line["event"].endswith("_refused")}
        assert refused == {"resting-protection/stop_loss/0", "trim", "last-resort"}


async def test_I22_a_word_for_another_policy_starts_in_observe_and_is_told_as_critical(tmp_path: Path) -> None:
    async with open_desk(tmp_path, deposit=1_000) as desk:
        desk.open("BTCUSDT", "long", 100, isolated=True)
        async with desk.guard(CLOSE_LATE, confirm=f"CONFIRM:{'0' * 64}") as guard:
            await guard.lives()
            await guard.until_told("the confirmation names policy 000000000000", severity="critical")
            await desk.fall("BTCUSDT", 90_000, SHORT_OF_THE_STOP)
            await guard.until_told("close by last-resort is not sent: observing")
            shown = (await guard.status())["accounts"][0]["mode"]
        assert desk.writes() == []
        assert shown == "observe"


async def test_the_word_with_the_digest_of_this_policy_arms_the_guard(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        desk.open("BTCUSDT", "long", 100)
        digest = load_policy(PROTECT_ONLY, source="policy.yaml").digest
        async with desk.guard(confirm=f"CONFIRM:{digest}") as guard:
            await guard.protected(1)
        assert len(desk.own_plans()) == 1


async def test_I22_enforce_without_a_word_or_a_terminal_ends_with_78_and_nothing_is_sent(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        desk.open("BTCUSDT", "long", 100)
        async with desk.guard(confirm=None) as guard:
            assert await guard.ended() == 78
        assert any("neither a terminal to ask at nor --confirm" in line for line in guard.lines)
        assert list(desk.server.stamps.requests) == []


async def test_I22_asked_at_a_terminal_nothing_is_sent_in_a_fall_before_the_word_and_the_guard_acts_after_it(
    tmp_path: Path,
) -> None:
    async with open_desk(tmp_path, deposit=1_000) as desk:
        desk.open("BTCUSDT", "long", 100, isolated=True)
        with terminal() as (ours, theirs):
            async with desk.guard(CLOSE_LATE, confirm=None, terminal=theirs) as guard:
                shown = await read_until(ours, "Type CONFIRM")
                assert "BTCUSDT long" in shown
                assert "trim" in shown
                await desk.fall("BTCUSDT", 90_000, 86_000)
                assert desk.writes() == []
                os.write(ours, b"CONFIRM\n")
                await until(lambda: sizes(desk) == [Decimal(25)], within_s=5, what="the trim that was shown goes")
                await until(lambda: len(desk.own_plans()) == 1, within_s=5, what="the stop rests")
                assert await guard.stop() == 0


@pytest.mark.parametrize("end", ["another word", "SIGTERM"])
async def test_I22_at_a_terminal_another_word_and_SIGTERM_end_the_daemon_with_nothing_sent(
    tmp_path: Path, end: str
) -> None:
    async with open_desk(tmp_path) as desk:
        desk.open("BTCUSDT", "long", 100)
        with terminal() as (ours, theirs):
            async with desk.guard(confirm=None, terminal=theirs) as guard:
                await read_until(ours, "Type CONFIRM")
                if end == "SIGTERM":
                    guard.send(SIGTERM)
                else:
                    (tmp_path / "policy.yaml").write_text(PROTECT_ONLY.replace("-8%", "-7%"))
                    guard.send(SIGHUP)
                    await read_until(ours, "policy reloaded: now")
                    os.write(ours, b"CONFIRM\n")
                    again = await read_until(ours, "Type CONFIRM")
                    assert "the policy was reloaded while you read: look again" in again
                    os.write(ours, b"confirm\n")
                    await read_until(ours, "not confirmed: nothing was sent")
                assert await guard.ended(within_s=6) == 0
        assert desk.writes() == []


async def test_a_halt_over_http_needs_the_token_and_survives_a_restart_until_resumed(tmp_path: Path) -> None:
    async with open_desk(tmp_path, deposit=1_000) as desk:
        desk.open("BTCUSDT", "long", 100, isolated=True)
        async with desk.guard(CLOSE_LATE, environ=WITH_TOKEN) as guard:
            await guard.protected(1)
            assert (await guard.post("/halt", None))[0] == 401
            assert (await guard.post("/halt", "another"))[0] == 401
            assert (await guard.status())["halted"] is False
            assert (await guard.post("/halt", TOKEN, account="main"))[0] == 202
            await guard.stands("halted")
        async with desk.guard(CLOSE_LATE, environ=WITH_TOKEN) as guard:
            await guard.stands("halted")
            assert (await guard.status())["halted"] is True
            await desk.fall("BTCUSDT", 90_000, 86_500)
            await guard.until_told("rule trim is true and not acted on: the account is halted", severity="critical")
            assert sizes(desk) == []
            assert (await guard.post("/resume", TOKEN))[0] == 202
            await until(lambda: sizes(desk) == [Decimal(25)], within_s=5, what="resumed, it trims")
            assert (await guard.post("/halt", TOKEN))[0] == 202
            await guard.stands("halted")
            await desk.fall("BTCUSDT", 86_500, SHORT_OF_THE_STOP)
            await until(lambda: not desk.positions(), within_s=5, what="halted, `close` still acts")


async def test_I22_while_halted_a_missing_stop_is_placed_and_nobody_may_speak_without_a_token(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        async with desk.guard(environ=WITH_TOKEN) as guard:
            await guard.lives()
            assert (await guard.post("/halt", TOKEN))[0] == 202
            await guard.stands("halted")
            desk.open("BTCUSDT", "long", 100)
            await until(lambda: len(desk.own_plans()) == 1, within_s=5, what="the new position's stop rests")
        async with desk.guard() as guard:
            await guard.stands("halted")
            assert (await guard.post("/resume", TOKEN))[0] == 403


async def test_flatten_cancels_entries_closes_everything_and_leaves_the_account_halted(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        desk.open("BTCUSDT", "long", 100)
        desk.open("ETHUSDT", "short", 50, isolated=True)
        entry = desk.trade("BTCUSDT", Side.BUY, 10, price=80_000)
        async with desk.guard(environ=WITH_TOKEN) as guard:
            await guard.protected(2)
            assert (await guard.post("/flatten", TOKEN, account="main"))[0] == 400
            assert (await guard.post("/flatten", TOKEN, account="main", confirm="CONFIRM"))[0] == 202
            await until(lambda: not desk.positions(), within_s=8, what="everything is closed")
            await until(lambda: not desk.plans(), within_s=22, what="the stops are swept (I6)")
            await guard.stands("halted")
            desk.open("ETHUSDT", "long", 50)
            await until(lambda: len(desk.own_plans("ETHUSDT")) == 1, within_s=5, what="a new position gets its stop")
            assert desk.positions() == {("ETHUSDT", "long"): Decimal(50)}
        assert entry not in {order.order_id for order in desk.server.exchange.query.open_orders("main")}
        async with desk.guard(environ=WITH_TOKEN) as guard:
            await guard.stands("halted")
            await asyncio.sleep(1)
        assert desk.positions() == {("ETHUSDT", "long"): Decimal(50)}
