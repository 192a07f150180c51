"""The tape feed: frames encoded beforehand are what the venue would have sent, and reach whoever asked for them, alone."""

import asyncio
import json
from decimal import Decimal
from typing import Any

import aiohttp

from guardd.clock import SystemClock
from guardd.simulator.dialects.bitget.desk import Options
from guardd.simulator.dialects.bitget.dialect import BitgetDialect
from guardd.simulator.feed import Feed
from guardd.simulator.records import Quote
from guardd.simulator.run import ServeSettings, SimulatedVenue, build

BTC, ETH = "BTCUSDT", "ETHUSDT"
QUOTE = Quote(
    mark=Decimal("90010.5"),
    index=Decimal("90011"),
    last=Decimal("90012"),
    bid=Decimal("90011.9"),
    ask=Decimal("90012.1"),
)


def _topic(symbol: str) -> dict[str, str]:
    return {"instType": "USDT-FUTURES", "channel": "ticker", "instId": symbol}


async def _subscribed(session: aiohttp.ClientSession, *symbols: str) -> aiohttp.ClientWebSocketResponse:
    """A socket that has read the acknowledgement and the first ticker of each."""
    socket = await session.ws_connect("/v2/ws/public")
    await socket.send_json({"op": "subscribe", "args": [_topic(symbol) for symbol in symbols]})
    for _ in range(2 * len(symbols)):
        await socket.receive_json(timeout=5)
    return socket


async def test_a_tape_reaches_those_who_asked_in_the_words_of_the_venue() -> None:
    clock = SystemClock()
    settings = ServeSettings(venue=SimulatedVenue.BITGET, walk=False, options=Options(ticker_interval_ms=10**15))
    async with build(settings, clock) as server, aiohttp.ClientSession(server.rest_url) as session:
        assert isinstance(server.dialect, BitgetDialect)
        stamps = iter((1_795_000_000_000, 1_795_000_000_000, 1_795_000_000_001, 1_795_000_000_002))
        feed = Feed(server, server.dialect, now_ms=lambda: next(stamps))
        frames = [feed.frame(BTC, QUOTE), feed.frame(ETH, QUOTE)]
        assert feed.listen() == 0
        both, one = await _subscribed(session, BTC, ETH), await _subscribed(session, ETH)
        assert feed.listen() == 2
        assert feed.send(frames) == 3
        assert feed.send(frames[:1]) == 1
        heard = [await both.receive_json(timeout=5) for _ in range(3)]
        assert [frame["arg"] for frame in heard] == [_topic(BTC), _topic(ETH), _topic(BTC)]
        assert (await one.receive_json(timeout=5))["arg"] == _topic(ETH)
        assert heard[0] == _as_the_venue_says(server.dialect, 1_795_000_000_001)
        assert heard[2] == _as_the_venue_says(server.dialect, 1_795_000_000_002)
        await both.close()
        await one.close()


def _as_the_venue_says(dialect: BitgetDialect, now_ms: int) -> Any:
    return json.loads(dialect.streams.ticker_text(BTC, QUOTE, now_ms))


async def test_what_a_slow_reader_does_not_take_is_counted() -> None:
    settings = ServeSettings(venue=SimulatedVenue.BITGET, walk=False, options=Options(ticker_interval_ms=10**15))
    async with build(settings, SystemClock()) as server, aiohttp.ClientSession(server.rest_url) as session:
        assert isinstance(server.dialect, BitgetDialect)
        feed = Feed(server, server.dialect, now_ms=server.now_ms)
        frame = feed.frame(BTC, QUOTE)
        socket = await _subscribed(session, BTC)
        feed.listen()
        assert feed.unsent_bytes() == 0
        for _ in range(40):
            feed.send([frame] * 1_000)
        assert feed.unsent_bytes() > 0
        for _ in range(40_000):
            await socket.receive(timeout=5)
        await asyncio.sleep(0)
        assert feed.unsent_bytes() == 0
        await socket.close()
