"""From start to stop: reloads of the policy (I23), signals (I25), and what the service manager hears."""

import asyncio
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from signal import SIGHUP, SIGTERM

from guardd.policy.load import load_policy
from guardd.simulator.faults import FaultKind
from tests.live.desk import PROTECT_ONLY, open_desk, until

TRIM = """\
  - name: trim
    when: {profit_from_entry: {below: -3%}}
    cooldown: 5m
    then:
      - reduce: {by: 25%}
"""
LAST_RESORT = """\
  - name: last-resort
    when: {profit_from_entry: {below: -3%}}
    then: [close: {}]
"""
LOOSER = PROTECT_ONLY.replace("-8%", "-9.5%").replace("25%", "1%")
TIGHTER = PROTECT_ONLY.replace("-8%", "-4%")


def digest(policy: str) -> str:
    return load_policy(policy, source="policy.yaml").digest


async def test_I23_a_good_policy_is_adopted_on_SIGHUP_or_a_change_and_a_bad_one_leaves_the_old_one_acting(
    tmp_path: Path,
) -> None:
    async with open_desk(tmp_path) as desk:
        desk.open("BTCUSDT", "long", 100)
        async with desk.guard(extra="policy_watch: true\n") as guard:
            await guard.protected(1)
            assert (await guard.status())["policy_digest"] == digest(PROTECT_ONLY)
            (tmp_path / "policy.yaml").write_text(PROTECT_ONLY + TRIM)
            guard.send(SIGHUP)
            await guard.until_told(f"policy reloaded: now {digest(PROTECT_ONLY + TRIM)[:12]}")
            (tmp_path / "policy.yaml").write_text(PROTECT_ONLY + TRIM.replace("-3%", "-3"))
            guard.send(SIGHUP)
            await guard.until_told("policy not reloaded, the old one stays", "policy.yaml:7", severity="critical")
            (tmp_path / "policy.yaml").unlink()
            guard.send(SIGHUP)
            await guard.until_told("policy not reloaded", "can't be read", severity="critical")
            assert (await guard.status())["policy_digest"] == digest(PROTECT_ONLY + TRIM)
            (tmp_path / "policy.yaml").write_text(
                PROTECT_ONLY + TRIM.replace("-3%", "-2.9%")
            )  # and no signal: it is watched
            await guard.until_told("trim: profit_from_entry below -3 % → -2.9 %, now fires at 87 39", "on BTCUSDT long")
            assert (await guard.status())["policy_digest"] == digest(PROTECT_ONLY + TRIM.replace("-3%", "-2.9%"))
            await desk.fall("BTCUSDT", 90_000, 86_500)
            await until(
                lambda: desk.positions() == {("BTCUSDT", "long"): Decimal(75)}, within_s=5, what="the adopted rule acts"
            )
            assert await guard.stop() == 0


async def test_I23_a_loosened_policy_moves_no_resting_stop_and_a_tightened_one_does(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        desk.open("BTCUSDT", "long", 100)
        desk.open("ETHUSDT", "short", 100, isolated=True)
        async with desk.guard() as guard:
            await guard.protected(2)
            before = {plan.symbol: plan.trigger_price for plan in desk.own_plans()}
            writes = len(desk.writes())
            (tmp_path / "policy.yaml").write_text(LOOSER)
            guard.send(SIGHUP)
            await guard.until_told(f"policy reloaded: now {digest(LOOSER)[:12]}")
            await guard.until_told("the policy is looser than the one before", severity="warning")
            await asyncio.sleep(6)  # longer than the pause between two moves of a stop
            assert {plan.symbol: plan.trigger_price for plan in desk.own_plans()} == before
            assert len(desk.writes()) == writes
            (tmp_path / "policy.yaml").write_text(TIGHTER)
            guard.send(SIGHUP)
            await until(
                lambda: (
                    {plan.symbol: plan.trigger_price for plan in desk.own_plans()}
                    == {"BTCUSDT": Decimal("86400.1"), "ETHUSDT": Decimal("3327.98")}
                ),
                within_s=8,
                what="both stops are where the tightened policy wants them",
            )
            await asyncio.sleep(1)
            assert guard.told("no longer protected") == []
        assert len(desk.own_plans()) == 2


async def test_I25_SIGTERM_while_a_close_is_being_sent_waits_for_its_outcome_and_leaves_the_stops(
    tmp_path: Path,
) -> None:
    async with open_desk(tmp_path) as desk:
        desk.open("BTCUSDT", "long", 100, isolated=True)
        desk.open("ETHUSDT", "short", 100, isolated=True)
        desk.faults.add(FaultKind.SLOW, target="/contract/private/submit-order", delay_ms=1_000)
        async with desk.guard(PROTECT_ONLY + LAST_RESORT) as guard:
            await guard.protected(2)
            desk.price("BTCUSDT", "87000")
            await until(lambda: len(desk.writes()) == 3, within_s=5, what="the close is on its way")
            guard.send(SIGTERM)
            assert await guard.ended() == 0
            verbs = [line["event"] for line in guard.events() if str(line["event"]).startswith("close_")]
        assert "close_accepted" in verbs
        assert desk.positions() == {("ETHUSDT", "short"): Decimal(100)}
        assert len(desk.own_plans("ETHUSDT")) == 1
        async with desk.guard(PROTECT_ONLY + LAST_RESORT) as guard:
            await guard.lives()
            await until(lambda: not desk.own_plans("BTCUSDT"), within_s=22, what="the leftover stop is swept (I6)")
        assert len(desk.own_plans("ETHUSDT")) == 1
        assert len(desk.ledger("order_accepted")) == 3, "two of the trader's, one close"


async def test_SIGTERM_while_the_venue_keeps_the_start_waiting_ends_it_at_once(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        desk.open("BTCUSDT", "long", 100)
        desk.faults.add(FaultKind.TIMEOUT_BEFORE)
        async with desk.guard() as guard:
            await until(lambda: bool(guard.url and desk.server.stamps.requests), within_s=10, what="it asks the venue")
            guard.send(SIGTERM)
            assert await guard.ended(within_s=3) == 0
        assert desk.writes() == []


async def test_SIGTERM_before_the_account_is_ready_ends_it_at_once(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        desk.open("BTCUSDT", "long", 100)
        desk.faults.add(FaultKind.REFUSE_LOGIN)
        async with desk.guard() as guard:
            await until(lambda: bool(guard.events("account_starting")), within_s=10, what="it has begun")
            guard.send(SIGTERM)
            assert await guard.ended(within_s=4) == 0
        assert desk.writes() == []


@contextmanager
def service_manager(place: Path) -> Iterator[tuple[socket.socket, dict[str, str]]]:
    """What systemd would give: a socket to tell it on, and how often it wants a sign of life."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as listener:
        listener.bind(str(place / "notify"))
        yield listener, {"NOTIFY_SOCKET": str(place / "notify"), "WATCHDOG_USEC": "1000000"}


def heard(listener: socket.socket, so_far: list[str]) -> list[str]:
    """Everything that was told, oldest first."""
    while True:
        try:
            so_far.append(listener.recv(4096).decode())
        except BlockingIOError:
            return so_far


async def test_the_service_manager_hears_ready_pulses_reloads_and_the_stop(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        desk.open("BTCUSDT", "long", 100)
        with service_manager(tmp_path) as (listener, environ):
            told: list[str] = []
            async with desk.guard(environ=environ) as guard:
                while not any("READY=1" in each for each in heard(listener, told)):
                    assert not guard.events("account_live"), "live before READY=1"
                    await asyncio.sleep(0.02)
                await guard.protected(1)
                assert all(line["event"] != "ready" for line in guard.events("account_starting"))
                del told[:]
                await asyncio.sleep(2.2)
                assert [each for each in heard(listener, told) if each == "WATCHDOG=1"], told
                assert 2 <= len(told) <= 12, told
                guard.send(SIGHUP)
                await guard.until_told("policy reloaded")
                await asyncio.sleep(0.1)
                reload = [each for each in heard(listener, told) if each != "WATCHDOG=1"]
                assert re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", reload[0])
                assert reload[1:] == ["READY=1"]
                guard.send(SIGTERM)
                assert await guard.ended() == 0
                assert any(each.startswith("STOPPING=1") for each in heard(listener, told))
        assert len(desk.own_plans()) == 1
