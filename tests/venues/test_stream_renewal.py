"""A venue that cuts its connections after a time, counts our messages, or wants us away for a while."""

import dataclasses

import pytest

from guardd.clock import ManualClock
from guardd.model.event import StreamMoved
from guardd.venues.stream import HEIR_PAUSE_S
from guardd.venues.wire import Closed, Unconnected
from tests.venues.test_stream import BTC, ETH, TERMS, Stage
from tests.venues.wires import FakeSocket

RENEWING = dataclasses.replace(TERMS, renew_after_s=5.0, ping_frame=None, silence_s=1e6)
RENEWED = "renewed before the venue would have cut it, without a gap"


async def up(stage: Stage, clock: ManualClock) -> FakeSocket:
    """The first connection, serving."""
    stage.link.watch([BTC])
    socket = stage.socket
    await clock.advance(0.0)
    socket.push("ok login", "ok +BTCUSDT")
    await clock.advance(0.0)
    assert stage.link.up
    return socket


async def test_the_heir_takes_over_only_when_it_is_subscribed_and_the_stream_never_goes_down() -> None:
    clock = ManualClock()
    stage = Stage(clock, login=True, terms=RENEWING)
    async with stage.running():
        first = await up(stage, clock)
        await clock.advance(5.0)
        heir = stage.socket
        assert heir is not first
        heir.push("ok login")
        await clock.advance(0.0)
        assert heir.sent[1:] == ["+BTCUSDT"]
        first.push("BTCUSDT 1")
        heir.push("BTCUSDT 1")
        await clock.advance(0.0)
        assert not first.closed
        assert stage.marks == [("BTCUSDT", "1")]
        heir.push("ok +BTCUSDT")
        await clock.advance(0.0)
        assert first.closed
        heir.push("BTCUSDT 2")
        await clock.advance(0.0)
    assert stage.marks == [("BTCUSDT", "1"), ("BTCUSDT", "2")]
    assert stage.edges == [(True, "every subscription is acknowledged"), (True, RENEWED)]
    assert heir.closed


async def test_an_heir_has_an_heir_of_its_own() -> None:
    clock = ManualClock()
    stage = Stage(clock, terms=RENEWING)
    async with stage.running():
        for _ in range(3):
            await clock.advance(5.0)
        assert [socket.closed for socket in stage.wire.opened] == [True, True, True, False]
    assert [up for up, _ in stage.edges] == [True] * 4


@pytest.mark.parametrize("ending", ["garbage", "bug", "no login", Closed(why="closed with code 1006"), None])
async def test_an_heir_that_fails_costs_the_serving_connection_nothing_and_is_made_again_later(
    ending: str | Closed | None,
) -> None:
    clock = ManualClock()
    stage = Stage(clock, login=True, terms=RENEWING)
    async with stage.running():
        first = await up(stage, clock)
        await clock.advance(5.0)
        heir = stage.socket
        if ending is not None:
            heir.push(ending)
        await clock.advance(12.0)
        assert heir.closed
        assert not first.closed
        assert stage.link.up
        assert len(stage.wire.opened) == 2
        await clock.advance(HEIR_PAUSE_S)
        assert len(stage.wire.opened) == 3
    assert [up for up, _ in stage.edges] == [True]


async def test_an_heir_that_finds_no_connection_is_tried_again() -> None:
    clock = ManualClock()
    stage = Stage(clock, terms=RENEWING)
    async with stage.running():
        stage.wire.sockets.append(Unconnected(why="refused"))
        await clock.advance(5.0)
        assert len(stage.wire.opened) == 1
        await clock.advance(HEIR_PAUSE_S)
        assert len(stage.wire.opened) == 2
    assert [up for up, _ in stage.edges] == [True, True]


async def test_what_is_watched_while_the_heir_settles_is_carried_by_both() -> None:
    clock = ManualClock()
    stage = Stage(clock, login=True, terms=RENEWING)
    async with stage.running():
        first = await up(stage, clock)
        await clock.advance(5.0)
        heir = stage.socket
        heir.push("ok login")
        await clock.advance(0.0)
        stage.link.watch([BTC, ETH])
        await clock.advance(0.0)
        assert first.sent[-1] == "+ETHUSDT"
        heir.push("ok +BTCUSDT")
        await clock.advance(0.0)
        assert first.closed
        assert heir.sent[1:] == ["+BTCUSDT", "+ETHUSDT"]


async def test_a_connection_that_dies_while_its_heir_is_made_comes_back_the_ordinary_way() -> None:
    clock = ManualClock()
    stage = Stage(clock, login=True, terms=RENEWING)
    async with stage.running():
        first = await up(stage, clock)
        await clock.advance(5.0)
        heir = stage.socket
        first.push(Closed(why="closed with code 1001"))
        await clock.advance(0.6)
        assert heir.closed
        assert len(stage.wire.opened) == 3
    assert stage.edges[1:] == [(False, "closed with code 1001")]


async def test_the_end_of_everything_closes_the_heir_too() -> None:
    clock = ManualClock()
    stage = Stage(clock, login=True, terms=RENEWING)
    async with stage.running():
        await up(stage, clock)
        await clock.advance(5.0)
        assert not stage.socket.closed
    assert [socket.closed for socket in stage.wire.opened] == [True, True]


async def test_no_second_holds_more_frames_than_the_venue_takes() -> None:
    clock = ManualClock()
    stage = Stage(clock, terms=dataclasses.replace(TERMS, messages_per_s_max=2))
    async with stage.running():
        stage.link.watch([BTC, ETH])
        await clock.advance(0.0)
        assert stage.socket.sent == ["+BTCUSDT", "+ETHUSDT"]
        stage.link.watch([])
        await clock.advance(0.9)
        assert len(stage.socket.sent) == 2
        await clock.advance(0.2)
        assert stage.socket.sent[2:] == ["-BTCUSDT", "-ETHUSDT"]


async def test_the_dialect_may_ask_for_a_longer_absence_than_the_backoff() -> None:
    clock = ManualClock()
    stage = Stage(clock, terms=dataclasses.replace(TERMS, keep_away_s=lambda: 100.0))
    async with stage.running():
        stage.socket.push(Closed(why="closed with code 1000"))
        await clock.advance(99.0)
        assert len(stage.wire.opened) == 1
        await clock.advance(2.0)
        assert len(stage.wire.opened) == 2
    assert [each.up for each in stage.events if isinstance(each, StreamMoved)] == [True, False, True]
