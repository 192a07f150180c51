"""The simulation's own clock: what it does in one step, asyncio does in two."""

import asyncio

import pytest

from tests.simulation.loop import VirtualClock, VirtualLoop, play


async def by_asyncio(event: asyncio.Event, seconds: float) -> bool:
    """What `SystemClock.wait` does."""
    try:
        async with asyncio.timeout(max(seconds, 0.0)):
            await event.wait()
    except TimeoutError:
        return event.is_set()
    return True


@pytest.mark.parametrize("set_after_s", [None, 0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("seconds", [0.0, 1.0])
def test_a_wait_gives_what_asyncios_gives_and_at_the_same_moment(set_after_s: float | None, seconds: float) -> None:
    async def ended(loop: VirtualLoop, *, plain: bool) -> tuple[bool, float]:
        event, clock = asyncio.Event(), VirtualClock(loop)
        if set_after_s is not None:
            loop.call_later(set_after_s, event.set)
        given = await (by_asyncio(event, seconds) if plain else clock.wait(event, seconds))
        return given, loop.time()

    assert play(lambda loop: ended(loop, plain=False)) == play(lambda loop: ended(loop, plain=True))


def test_a_wait_that_is_cancelled_leaves_nothing_behind() -> None:
    async def story(loop: VirtualLoop) -> int:
        event, clock = asyncio.Event(), VirtualClock(loop)
        waiting = loop.create_task(clock.wait(event, 10.0))
        await asyncio.sleep(1.0)
        waiting.cancel()
        await asyncio.wait([waiting])
        return len(event._waiters)

    assert play(story) == 0
