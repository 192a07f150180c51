"""Garbage is looked for at quiet moments, and found."""

import asyncio
import gc
import weakref

from guardd.clock import ManualClock
from guardd.daemon.garbage import EVERY_S, look_when_calm


class Ring:
    def __init__(self) -> None:
        self.itself = self


async def test_rings_are_freed_when_no_order_is_on_its_way_and_the_interpreter_looks_by_itself_again_after() -> None:
    clock, calm = ManualClock(), asyncio.Event()

    async def until_calm(_: float) -> None:
        await calm.wait()

    task = asyncio.create_task(look_when_calm(calm=until_calm, sleep=clock.sleep))
    await clock.advance(0.01)
    assert not gc.isenabled()
    ring = weakref.ref(Ring())
    await clock.advance(EVERY_S)
    assert ring() is not None, "an order is on its way"
    calm.set()
    await clock.advance(EVERY_S)
    assert ring() is None
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0
