"""The daemon's one listener: it hands each fact to several, and never while an order is on its way.

Counting, logging and showing a fact takes longer than sending an order. So what is heard in the turn in which something is decided
waits until the order has left; nobody hears it later than `WAITS_S`.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from guardd.model.facts import Fact, Listener

WAITS_S: Final = 0.25
AT_ONCE: Final = 8
"""Facts handed on in one turn of the loop, so that a price frame doesn't wait for all of them."""


class Fanout:
    """Hands each fact on, in the order given. Those behind it obey the same law: they don't block, raise or answer."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = list(listeners)

    def add(self, listener: Listener) -> None:
        """Hand it every fact from now on."""
        self._listeners.append(listener)

    def __call__(self, fact: Fact, /) -> None:
        for listener in self._listeners:
            listener(fact)


class Afterwards:
    """Keeps facts until `calm` lets them go, in order; `run` is the task that hands them on."""

    def __init__(
        self, listener: Listener, *, calm: Callable[[float], Awaitable[None]], sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        """`calm` waits until no order is on its way, at most so many seconds."""
        self._listener = listener
        self._calm = calm
        self._sleep = sleep
        self._waiting: deque[Fact] = deque()
        self._arrived = asyncio.Event()

    def __call__(self, fact: Fact, /) -> None:
        self._waiting.append(fact)
        self._arrived.set()

    async def run(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                await self._calm(WAITS_S)
                self._hand_on(AT_ONCE)
                await self._sleep(0)

    def flush(self) -> None:
        """Hand everything on now."""
        self._hand_on(len(self._waiting))

    def _hand_on(self, most: int) -> None:
        for _ in range(min(most, len(self._waiting))):
            self._listener(self._waiting.popleft())
