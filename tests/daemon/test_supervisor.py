"""The supervisor: a failure stays with the task that failed."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from guardd.clock import ManualClock
from guardd.daemon.supervisor import Budget, Supervisor
from guardd.errors import CredentialsError


async def test_a_failed_task_is_started_again_and_its_sibling_goes_on() -> None:
    clock = ManualClock()
    supervisor = Supervisor(clock)
    starts = 0
    sibling_done = asyncio.Event()

    async def fails_twice() -> None:
        nonlocal starts
        starts += 1
        if starts < 3:
            raise ValueError("broken frame")

    async def sibling() -> None:
        await clock.sleep(30)
        sibling_done.set()

    supervisor.start("flaky", fails_twice)
    supervisor.start("sibling", sibling)
    await clock.advance(60)

    assert starts == 3
    assert sibling_done.is_set()


async def test_a_task_beyond_its_budget_is_given_up_and_its_owner_told() -> None:
    clock = ManualClock()
    supervisor = Supervisor(clock)
    told: list[str] = []
    starts = 0

    async def always_fails() -> None:
        nonlocal starts
        starts += 1
        raise ValueError("still broken")

    supervisor.start("hopeless", always_fails, budget=Budget(restarts=2, window_s=3600), given_up=told.append)
    await clock.advance(600)

    assert starts == 3
    assert told == ["ValueError: still broken"]


async def test_refused_credentials_are_not_tried_again() -> None:
    clock = ManualClock()
    supervisor = Supervisor(clock)
    told: list[str] = []

    async def refused() -> None:
        raise CredentialsError("BITMART_API_KEY is refused by the venue")

    supervisor.start("reads", refused, given_up=told.append)
    await clock.advance(60)

    assert told == ["CredentialsError: BITMART_API_KEY is refused by the venue"]


async def test_one_piece_of_work_that_fails_is_told_and_not_repeated() -> None:
    supervisor = Supervisor(ManualClock())
    told: list[str] = []

    async def work() -> None:
        raise RuntimeError("no journal")

    await supervisor.once("send", work(), failed=told.append)

    assert told == ["RuntimeError: no journal"]


async def test_stopping_cancels_what_still_runs_and_waits_for_it() -> None:
    clock = ManualClock()
    supervisor = Supervisor(clock)
    ended: list[str] = []

    async def endless() -> None:
        try:
            await clock.sleep(10_000)
        finally:
            ended.append("closed")

    supervisor.start("endless", endless)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await supervisor.stop(deadline_s=1)

    assert ended == ["closed"]


async def _ends_by_a_group(error: Exception, told_to_stop: asyncio.Event) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.Event().wait())
        told_to_stop.set()
        raise error


async def _ends_plainly(error: Exception, told_to_stop: asyncio.Event) -> None:
    told_to_stop.set()
    try:
        await asyncio.Event().wait()
    finally:
        raise error


@pytest.mark.parametrize("ends", [_ends_by_a_group, _ends_plainly])
@pytest.mark.parametrize("error", [ValueError("broken frame"), CredentialsError("refused")])
async def test_a_task_that_fails_in_the_turn_in_which_it_is_told_to_stop_stops(
    ends: Callable[[Exception, asyncio.Event], Awaitable[None]], error: Exception
) -> None:
    """A task group that is ending for an error of its own raises that error and forgets the cancellation (Python 3.11, 3.12)."""
    clock, told_to_stop = ManualClock(), asyncio.Event()
    supervisor = Supervisor(clock)
    starts, told = 0, []

    async def work() -> None:
        nonlocal starts
        starts += 1
        if starts == 1:
            await ends(error, told_to_stop)
        await clock.sleep(10_000)

    task = supervisor.start("flaky", work, given_up=told.append)
    await told_to_stop.wait()
    await supervisor.stop(deadline_s=1)
    await clock.advance(120)

    assert (starts, told, task.cancelled()) == (1, [], True)


async def test_work_is_cut_off_by_the_end_and_what_it_raises_before_is_raised() -> None:
    supervisor, stopping = Supervisor(ManualClock()), asyncio.Event()
    ended: list[str] = []

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("waits")

    async def fails() -> None:
        raise CredentialsError("BITMART_API_KEY missing")

    async def does() -> None:
        ended.append("does")

    assert await supervisor.unless(stopping, "start", does()) is True
    with pytest.raises(CredentialsError):
        await supervisor.unless(stopping, "start", fails())
    asyncio.get_running_loop().call_later(0.01, stopping.set)
    assert await supervisor.unless(stopping, "start", waits()) is False
    assert ended == ["does", "waits"]
