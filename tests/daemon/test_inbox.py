"""The inbox: marks are conflated, nothing else is ever lost."""

import asyncio
from decimal import Decimal

import pytest

from guardd.clock import ManualClock, SystemClock
from guardd.daemon.inbox import Inbox
from guardd.errors import InvariantBroken
from guardd.model.event import MarkSeen, Pulse
from guardd.model.names import Symbol

NOW = ManualClock().now()


def mark(symbol: str, price: str) -> MarkSeen:
    return MarkSeen(Symbol(symbol), Decimal(price), NOW)


def test_of_several_waiting_marks_of_one_symbol_only_the_latest_is_read() -> None:
    inbox = Inbox()
    for event in (mark("BTCUSDT", "3"), mark("ETHUSDT", "9"), mark("BTCUSDT", "2")):
        inbox.post(event)

    assert inbox.take() == mark("BTCUSDT", "2")
    assert inbox.take() == mark("ETHUSDT", "9")
    assert inbox.take() is None
    assert inbox.conflated == 1


def test_outcomes_and_reads_are_taken_in_order_and_before_marks() -> None:
    inbox = Inbox()
    first, second = Pulse(at=NOW), Pulse(at=NOW.later_by(1))
    inbox.post(mark("BTCUSDT", "3"))
    inbox.post(first)
    inbox.post(second)

    assert [inbox.take() for _ in range(3)] == [first, second, mark("BTCUSDT", "3")]


def test_a_full_inbox_is_a_broken_invariant_and_not_a_lost_outcome() -> None:
    inbox = Inbox(capacity=1)
    inbox.post(Pulse(at=NOW))

    with pytest.raises(InvariantBroken, match="nobody reads"):
        inbox.post(Pulse(at=NOW))
    inbox.post(mark("BTCUSDT", "1"))
    assert len(inbox) == 2


async def test_a_waiting_reader_wakes_on_the_first_event() -> None:
    inbox = Inbox()
    async with asyncio.TaskGroup() as group:
        group.create_task(inbox.arrival(SystemClock()))
        await asyncio.sleep(0)
        inbox.post(mark("BTCUSDT", "1"))

    assert inbox.take() == mark("BTCUSDT", "1")


async def test_a_nudge_wakes_the_reader_without_an_event() -> None:
    inbox = Inbox()
    inbox.nudge()
    await inbox.arrival(SystemClock())

    assert inbox.take() is None


async def test_a_look_that_follows_settles_the_nudges_before_it_and_nothing_that_waits_to_be_read() -> None:
    inbox = Inbox()
    inbox.nudge()
    inbox.settle()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(inbox.arrival(SystemClock()), timeout=0.01)

    for event in (Pulse(at=NOW), mark("BTCUSDT", "1")):
        inbox.post(event)
        inbox.settle()
        await asyncio.wait_for(inbox.arrival(SystemClock()), timeout=1)
        assert inbox.take() == event


async def test_a_wait_for_an_arrival_ends_by_itself_where_it_is_told_to() -> None:
    inbox = Inbox()
    await asyncio.wait_for(inbox.arrival(SystemClock(), 0.001), timeout=1)
    assert inbox.take() is None
