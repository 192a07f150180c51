"""Plays a script on the feed: ticks at their rate, crossings at their time, each stamped as it is handed to the socket."""

import asyncio
import random
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from guardd.simulator.feed import Feed, Frame
from guardd.simulator.server import SimulatorServer
from tests.bench.cast import CROSSED, JITTER, START, Cast, quote_at, symbol_of
from tests.bench.script import Script
from tests.bench.stamped import Arrival

_SLEEP_FROM_S: Final = 0.003
"""The loop's timers are good for about a millisecond; what is nearer is waited for by turning."""
_CATCH_UP_MAX: Final = 400
"""Frames in one write after the exchange was busy with a request: 20 ms of the fastest tape."""
_ANSWER_WITHIN_S: Final = 3.0
_LOOK_EVERY_S: Final = 0.005
_JITTER_TICKS: Final = 7


@dataclass(slots=True)
class Crossing:
    symbol: str
    sent_ns: int
    arrived_ns: int = 0


@dataclass(slots=True)
class Played:
    """What happened. `unsent_bytes_max` is the most that the sockets' buffers had to keep for a client that lags."""

    ticks: int = 0
    seconds: float = 0
    unsent_bytes_max: int = 0
    frame_bytes: int = 1
    crossings: list[Crossing] = field(default_factory=list)


class Player:
    """One tape over the positions of a cast. Between scripts it goes on at `background` ticks a second."""

    def __init__(self, server: SimulatorServer, feed: Feed, cast: Cast) -> None:
        self.background = 0.0
        self._server = server
        self._feed = feed
        self._cast = cast
        self._calm = [self._frames(symbol, low=False) for symbol in cast.symbols]
        self._low: dict[str, list[Frame]] = {}
        self._next = 0
        self._expected: dict[str, Crossing] = {}
        self._down: deque[tuple[float, int]] = deque()
        self._random = random.Random(7)
        self._playing = False

    def heard(self, arrival: Arrival) -> None:
        """The first order on a symbol after its crossing is the answer to it."""
        crossing = self._expected.pop(arrival.symbol, None)
        if crossing is not None:
            crossing.arrived_ns = arrival.mono_ns

    async def keep_playing(self) -> None:
        """The background: nobody may take the feed for dead between two scripts."""
        owed, before = 0.0, time.monotonic()
        while True:
            await asyncio.sleep(0.05)
            now = time.monotonic()
            owed, before = owed + (now - before) * self.background, now
            count, owed = int(owed), owed % 1
            if not self._playing and self._feed.listen():
                self._raise_due(now)
                self._feed.send(self._ticks(min(count, _CATCH_UP_MAX)))

    async def play(self, script: Script) -> Played:
        self._playing = True
        self._feed.listen()
        try:
            return await self._play(script)
        finally:
            self._playing = False

    async def _play(self, script: Script) -> Played:
        played = Played(frame_bytes=len(self._calm[0][0].at(b"0" * 13)))
        numbers = iter(range(script.first, script.first + script.crossings))
        due = deque(zip(script.offsets_s(), numbers, strict=True))
        began = time.monotonic()
        ends = max(script.seconds, due[-1][0] + 0.2 if due else 0)
        while (passed := time.monotonic() - began) < ends:
            self._raise_due(began + passed)
            crossing: list[int] = []
            while due and due[0][0] <= passed:
                crossing.append(due.popleft()[1])
            owed = self._owed(script, played, passed)
            if owed or crossing:
                played.ticks += self._turn(owed, crossing, script, played)
                played.unsent_bytes_max = max(played.unsent_bytes_max, self._feed.unsent_bytes())
            next_s = min(self._next_tick_s(script, played), due[0][0] if due else ends, ends)
            wait_s = began + next_s - time.monotonic()
            await asyncio.sleep(wait_s - _SLEEP_FROM_S / 2 if wait_s > _SLEEP_FROM_S else 0)
        played.seconds = time.monotonic() - began
        await self._answered()
        return played

    async def _answered(self) -> None:
        """Until the last order has come, or it is too late for one."""
        for _ in range(int(_ANSWER_WITHIN_S / _LOOK_EVERY_S)):
            if not self._expected:
                return
            await asyncio.sleep(_LOOK_EVERY_S)
        self._expected.clear()

    def _owed(self, script: Script, played: Played, passed: float) -> int:
        if script.burst_ms:
            passed -= passed % (script.burst_ms / 1000)
        return min(int(passed * script.ticks_per_s) - played.ticks, _CATCH_UP_MAX)

    def _next_tick_s(self, script: Script, played: Played) -> float:
        if not script.ticks_per_s:
            return float("inf")
        at = (played.ticks + 1) / script.ticks_per_s
        if script.burst_ms:
            slot = script.burst_ms / 1000
            at += slot - at % slot
        return at

    def _turn(self, owed: int, crossing: list[int], script: Script, played: Played) -> int:
        """One write. The exchange's own price moves before it, so that whatever is read then agrees with the frame."""
        stamped: list[Crossing] = []
        symbols = [symbol_of(number) for number in crossing]
        for symbol in symbols:
            self._server.set_price(symbol, CROSSED)
            stamped.append(Crossing(symbol, 0))
            self._low[symbol] = self._frames(symbol, low=True)
        batch = self._ticks(owed)
        place = self._random.randint(0, len(batch))
        batch[place:place] = [self._low[symbol][0] for symbol in symbols]
        now = time.monotonic()
        for number, each in zip(crossing, stamped, strict=True):
            self._down.append((now + script.hold_s, number))
            self._expected[each.symbol] = each
        sent_ns = time.monotonic_ns()
        self._feed.send(batch)
        for each in stamped:
            each.sent_ns = sent_ns
        played.crossings.extend(stamped)
        return owed

    def _ticks(self, count: int) -> list[Frame]:
        """Round robin; a symbol that is down says so."""
        batch: list[Frame] = []
        for _ in range(count):
            number, wave = self._next % self._cast.positions, (self._next // self._cast.positions) % JITTER
            variants = self._low.get(symbol_of(number)) if self._low else None
            batch.append((variants or self._calm[number])[wave])
            self._next += 1
        return batch

    def _raise_due(self, now: float) -> None:
        while self._down and self._down[0][0] <= now:
            symbol = symbol_of(self._down.popleft()[1])
            self._low.pop(symbol, None)
            self._server.set_price(symbol, START)

    def _frames(self, symbol: str, *, low: bool) -> list[Frame]:
        tick = self._server.exchange.query.contract(symbol).tick
        level = CROSSED if low else START
        return [self._feed.frame(symbol, quote_at(level, tick, wave * _JITTER_TICKS)) for wave in range(JITTER)]
