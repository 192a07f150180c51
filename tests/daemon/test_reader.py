"""The reads: each kind has its pace, and what is known already costs no call."""

import asyncio
from typing import Any

from guardd.clock import ManualClock
from guardd.daemon.reader import Reader
from guardd.model.event import MarkSeen, Source
from guardd.model.names import Symbol
from tests.execution.bench import D

BTC, ETH, SOL = Symbol("BTCUSDT"), Symbol("ETHUSDT"), Symbol("SOLUSDT")


class AskedForMarks:
    """A venue that is only asked for marks here."""

    def __init__(self, clock: ManualClock) -> None:
        self.asked: list[Symbol] = []
        self.watched: list[Symbol] = []
        self._clock = clock

    positions = balances = orders = position_mode = clock_offset_ms = instruments = None

    def watch(self, symbols: list[Symbol]) -> None:
        self.watched = symbols

    async def mark(self, symbol: Symbol) -> MarkSeen:
        self.asked.append(symbol)
        return MarkSeen(symbol, D(100), self._clock.now(), source=Source.REST)


async def test_only_symbols_without_a_mark_are_asked_for_one() -> None:
    """Each costs a call of the positions' own budget, which at a start is needed for the full read."""
    clock = ManualClock()
    asked = AskedForMarks(clock)
    venue: Any = asked
    reader = Reader(venue=venue, post=lambda event: None, clock=clock)
    reader.follow(frozenset({BTC, ETH, SOL}), marked={BTC: object(), SOL: object()})
    marks = asyncio.create_task(dict(reader.tasks())["read-marks"]())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    marks.cancel()
    assert asked.asked == [ETH]
    assert asked.watched == [BTC, ETH, SOL]


async def test_I10_a_mark_that_is_asked_for_again_and_again_keeps_no_other_waiting() -> None:
    clock = ManualClock()
    asked = AskedForMarks(clock)
    venue: Any = asked

    def post(event: object) -> None:
        if len(asked.asked) < 5:
            reader.want_mark(BTC)

    reader = Reader(venue=venue, post=post, clock=clock)
    reader.want_mark(BTC)
    reader.want_mark(ETH)
    marks = asyncio.create_task(dict(reader.tasks())["read-marks"]())
    for _ in range(10):
        await asyncio.sleep(0)
    marks.cancel()
    assert asked.asked[:3] == [BTC, ETH, BTC]
