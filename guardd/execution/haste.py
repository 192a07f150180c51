"""Orders on their way to the socket, of all accounts in this process: everything else that there is to reckon waits a moment.

One loop serves all. What an account looks at, shows or logs between a decision and its order is time in which the order of this
account, or of another one, doesn't leave.
"""

import asyncio
from typing import Final

from guardd.clock import Clock
from guardd.model.instant import NS_PER_MS
from guardd.model.names import ClientId

PRESSES_NS: Final = 250 * NS_PER_MS
"""So long an order holds others' work up: one that waits longer waits for a disk or a token, not for the loop."""


class Haste:
    """Which orders are decided and not yet with the socket."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began_ns: dict[ClientId, int] = {}
        self._over = asyncio.Event()
        self.begun = 0
        """Orders that ever were on their way."""
        self.looks = asyncio.Lock()
        """Held by the account that looks, for a turn of the loop: between two looks the prices of all accounts are heard."""

    def begin(self, intent_id: ClientId) -> None:
        self.begun += 1
        self._began_ns[intent_id] = self._clock.monotonic_ns()
        self._over.clear()

    def end(self, intent_id: ClientId) -> None:
        """It has left, or it never will. Said twice, the second says nothing."""
        if self._began_ns.pop(intent_id, None) is not None and not self._began_ns:
            self._over.set()

    @property
    def presses(self) -> bool:
        """Some order was decided a moment ago and hasn't left."""
        if not self._began_ns:
            return False
        since_ns = self._clock.monotonic_ns() - PRESSES_NS
        return any(began_ns > since_ns for began_ns in self._began_ns.values())

    async def wait(self, seconds: float) -> None:
        """Until every order has left, at most so long."""
        if self.presses:
            await self._clock.wait(self._over, seconds)
