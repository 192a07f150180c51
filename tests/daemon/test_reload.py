"""Another policy while the guard runs: whole or not at all, told in words, on a signal or when the file changed (I23)."""

import asyncio
import os
from contextlib import suppress
from pathlib import Path

import pytest

from guardd.clock import ManualClock
from guardd.daemon.reload import Ears, Outcome, PolicyReload, fingerprint
from guardd.daemon.wiring import policy_from
from guardd.model.names import Severity
from guardd.model.state import AccountState
from guardd.policy.language import Policy
from tests.model.accounts import D, account, row

STOP = "version: 1\nrules:\n  - name: stop\n    then: [stop_loss: {trigger: {from_entry: -8%}}]\n"
TRIM = STOP + "  - name: trim\n    when: {distance_to_liquidation: {below: 6%}}\n    then: [reduce: {by: 25%}]\n"
BAD = TRIM.replace("6%", "6")


class Desk:
    """A reload with everybody who is told of it."""

    def __init__(self, place: Path, *states: AccountState, pinned: bool = False) -> None:
        self.path = place / "policy.yaml"
        if not self.path.exists():
            self.path.write_text(TRIM)
        seen = fingerprint(self.path)
        self.policy = policy_from(self.path)
        self.adopted: list[Policy] = []
        self.told: list[tuple[Severity, str]] = []
        self.outcomes: list[Outcome] = []
        self.edges: list[str] = []
        self.manager: list[bool] = []
        self.reload = PolicyReload(
            path=self.path,
            current=lambda: self.policy,
            adopt=self._adopt,
            states=lambda: states,
            clock=ManualClock(),
            ears=Ears(said=self._said, count=self.outcomes.append, reloading=self.manager.append),
            seen=seen,
            pinned=pinned,
        )

    def _adopt(self, policy: Policy) -> None:
        self.policy = policy
        self.adopted.append(policy)

    def _said(self, severity: Severity, edge: str, text: str) -> None:
        self.edges.append(edge)
        self.told.append((severity, text))

    async def write(self, text: str) -> None:
        self.path.write_text(text)
        await self.reload.reload()

    async def looks(self, times: int = 2) -> bool:
        """Look so often; was a reload asked for?"""
        for _ in range(times):
            await self.reload.look()
        asking = asyncio.get_running_loop().create_task(self.reload.run())
        for _ in range(20):
            await asyncio.sleep(0.005)
            if self.manager[-1:] == [False]:
                break
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking
        asked = bool(self.manager)
        self.manager.clear()
        return asked


async def test_I23_a_bad_file_changes_nothing_and_is_told_as_critical_with_its_place(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    before = desk.policy
    await desk.write(BAD)
    assert (desk.policy, desk.adopted, desk.outcomes) == (before, [], [Outcome.REFUSED])
    [(severity, text)] = desk.told
    assert severity is Severity.CRITICAL
    assert text.startswith("policy not reloaded, the old one stays: ")
    assert "policy.yaml:6:45: found the bare number `6`, expected a ratio such as 8% or 0.08" in text


async def test_I23_a_file_that_is_gone_changes_nothing(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.path.unlink()
    await desk.reload.reload()
    assert desk.outcomes == [Outcome.REFUSED]
    assert "can't be read" in desk.told[0][1]


async def test_the_difference_is_told_with_the_price_on_what_is_held(tmp_path: Path) -> None:
    desk = Desk(tmp_path, account(row(venue_liquidation=D(81000))))
    await desk.write(TRIM.replace("below: 6%", "below: 7%"))
    [(severity, text)] = desk.told
    assert severity is Severity.WARNING
    said = "trim: distance_to_liquidation below 6 % → 7 %, now fires at 87 096.7 on BTCUSDT long"
    assert text == f"policy reloaded: now {desk.policy.digest[:12]}: {said}"


async def test_I23_a_loosened_policy_is_announced_as_a_warning_of_its_own(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.write(TRIM.replace("-8%", "-9%").replace("below: 6%", "below: 7%"))
    assert desk.told[1] == (
        Severity.WARNING,
        (
            "the policy is looser than the one before: stop: stop_loss from_entry -8 % → stop_loss from_entry -9 %; "
            "the resting stops of running positions stay where they are"
        ),
    )


async def test_what_means_the_same_is_unchanged_and_nobody_is_woken(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.write("# a comment\n" + TRIM.replace("6%", "0.06"))
    assert (desk.adopted, desk.outcomes) == ([], [Outcome.UNCHANGED])
    assert desk.told[0][0] is Severity.INFO


async def test_every_reload_is_an_occasion_of_its_own(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for text in (BAD, BAD, STOP, TRIM, STOP):
        await desk.write(text)
    assert len(set(desk.edges)) == len(desk.edges)


async def test_I23_asked_while_a_reload_is_under_way_the_file_is_read_once_more_after_it(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    running = asyncio.get_running_loop().create_task(desk.reload.run())
    desk.path.write_text(BAD)
    desk.reload.ask()
    await asyncio.sleep(0)
    desk.path.write_text(STOP)
    desk.reload.ask()
    desk.reload.ask()
    for _ in range(200):
        await asyncio.sleep(0.005)
        if desk.manager == [True, False, True, False]:
            break
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert desk.policy.digest == policy_from(desk.path).digest
    assert desk.outcomes[-1] in (Outcome.ADOPTED, Outcome.UNCHANGED)
    assert len(desk.outcomes) == 2


async def test_a_changed_file_is_read_once_it_was_the_same_on_two_looks(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    assert not await desk.looks(3)
    desk.path.write_text(TRIM[:40])
    assert not await desk.looks(1)
    desk.path.write_text(STOP)
    assert not await desk.looks(1)
    assert await desk.looks(1)
    assert desk.policy.digest == policy_from(desk.path).digest
    assert not await desk.looks(3)


async def test_a_file_renamed_over_the_old_one_is_seen(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    (tmp_path / "new").write_text(STOP)
    os.replace(tmp_path / "new", desk.path)
    assert await desk.looks()
    assert desk.outcomes == [Outcome.ADOPTED]


async def test_a_kubernetes_mount_that_swaps_its_symbolic_link_is_seen(tmp_path: Path) -> None:
    for name, text in (("..v1", TRIM), ("..v2", STOP)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "policy.yaml").write_text(text)
    (tmp_path / "..data").symlink_to("..v1")
    (tmp_path / "policy.yaml").symlink_to("..data/policy.yaml")
    desk = Desk(tmp_path)
    assert not await desk.looks()
    (tmp_path / "..tmp").symlink_to("..v2")
    os.replace(tmp_path / "..tmp", tmp_path / "..data")
    assert await desk.looks()
    assert desk.policy.rules[0].name == "stop"
    assert len(desk.policy.rules) == 1


async def test_a_file_that_disappears_is_told_and_one_that_returns_is_read_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.path.unlink()
    assert await desk.looks()
    assert desk.outcomes == [Outcome.REFUSED]
    assert not await desk.looks(3)
    desk.path.write_text(STOP)
    assert await desk.looks()
    assert desk.outcomes == [Outcome.REFUSED, Outcome.ADOPTED]


async def test_what_a_signal_brought_to_notice_the_watch_does_not_read_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for write in (lambda: desk.path.write_text(BAD), lambda: desk.path.write_bytes(b"\xff\xfe"), desk.path.unlink):
        write()
        await desk.reload.reload()
        assert not await desk.looks(3)
    assert desk.outcomes == [Outcome.REFUSED] * 3


async def test_where_CONFIRM_named_one_policy_a_changed_file_is_told_and_not_adopted(tmp_path: Path) -> None:
    desk = Desk(tmp_path, pinned=True)
    desk.path.write_text(STOP)
    assert not await desk.looks(4)
    [(severity, text)] = desk.told
    assert (severity, desk.adopted) == (Severity.WARNING, [])
    assert "not adopted, because CONFIRM named policy" in text


@pytest.mark.parametrize("text", [BAD, STOP])
async def test_the_service_manager_hears_that_a_reload_begins_and_ends_whatever_comes_of_it(
    tmp_path: Path, text: str
) -> None:
    desk = Desk(tmp_path)
    desk.path.write_text(text)
    desk.reload.ask()
    running = asyncio.get_running_loop().create_task(desk.reload.run())
    for _ in range(200):
        await asyncio.sleep(0.005)
        if len(desk.manager) == 2:
            break
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert desk.manager == [True, False]
