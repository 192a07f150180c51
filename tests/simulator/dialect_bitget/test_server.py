"""The classic dialect behind the real server: bytes over HTTP, frames over a socket, one run of everything together."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import aiohttp
import pytest
from yarl import URL

from guardd.clock import SystemClock
from guardd.simulator.dialects.bitget.desk import Options
from guardd.simulator.dialects.bitget_common.auth import ApiKey
from guardd.simulator.dialects.bitget_common.sockets import SocketRules
from guardd.simulator.dialects.bitmart.desk import Options as BitmartOptions
from guardd.simulator.faults import FaultKind
from guardd.simulator.run import DEFAULT_ACCOUNTS, ServeSettings, SimulatedVenue, build, serve
from tests.simulator.dialect_bitget.bench import OPEN_LONG, argument, full

MAIN = DEFAULT_ACCOUNTS[0]
KEY = ApiKey(key=MAIN.key, secret=MAIN.secret, passphrase=MAIN.passphrase, uid="main")
FAST = ServeSettings(venue=SimulatedVenue.BITGET, options=Options(ticker_interval_ms=0))


class Client:
    def __init__(self, server, http: aiohttp.ClientSession) -> None:
        self.server, self.http = server, http

    async def call(self, method: str, path: str, *, query: str = "", body: object = None) -> tuple[int, dict]:
        text = "" if body is None else json.dumps(body)
        timestamp = str(time.time_ns() // 1_000_000)
        signed = f"{full(path)}?{query}" if query else full(path)
        headers = {
            "ACCESS-KEY": KEY.key,
            "ACCESS-SIGN": KEY.sign(timestamp, method, signed, text),
            "ACCESS-TIMESTAMP": timestamp,
            "ACCESS-PASSPHRASE": KEY.passphrase,
            "Content-Type": "application/json",
        }
        url = URL(self.server.rest_url + signed, encoded=True)  # as it is signed, character for character
        async with self.http.request(method, url, data=text.encode() or None, headers=headers) as answer:
            return answer.status, json.loads(await answer.text())

    @asynccontextmanager
    async def socket(self, path: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        async with self.http.ws_connect(f"{self.server.stream_url}{path}") as socket:
            yield socket


@asynccontextmanager
async def running(settings: ServeSettings = FAST) -> AsyncIterator[Client]:
    async with build(settings, SystemClock()) as server, aiohttp.ClientSession() as http:
        yield Client(server, http)


async def _next(socket: aiohttp.ClientWebSocketResponse, channel: str) -> dict:
    while True:
        frame = json.loads((await socket.receive(timeout=3)).data)
        if "action" in frame and frame["arg"]["channel"] == channel:
            return frame


async def _login(socket: aiohttp.ClientWebSocketResponse, *channels: str) -> None:
    timestamp = str(time.time_ns() // 1_000_000_000)
    sign = KEY.sign(timestamp, "GET", "/user/verify")
    wanted = {"apiKey": KEY.key, "passphrase": KEY.passphrase, "timestamp": timestamp, "sign": sign}
    await socket.send_json({"op": "login", "args": [wanted]})
    assert json.loads((await socket.receive(timeout=3)).data)["code"] == 0
    await socket.send_json({"op": "subscribe", "args": [argument(each) for each in channels]})
    for _ in channels:
        assert json.loads((await socket.receive(timeout=3)).data)["event"] == "subscribe"


async def test_an_order_over_http_is_told_over_the_socket_and_stands_in_the_ledger() -> None:
    async with running() as client, client.socket("/v2/ws/private") as socket:
        await _login(socket, "positions")
        assert (await _next(socket, "positions"))["data"] == []

        status, answer = await client.call("POST", "order/place-order", body=OPEN_LONG)
        frame = await _next(socket, "positions")
        query = "marginCoin=USDT&productType=USDT-FUTURES"
        _, held = await client.call("GET", "position/all-position", query=query)

        assert (status, answer["code"]) == (200, "00000")
        assert "0.1" == frame["data"][0]["total"] == held["data"][0]["total"]
        assert client.server.exchange.ledger.summary("main").fills == 1


async def test_the_signature_covers_the_query_as_it_went_over_the_wire() -> None:
    async with running() as client:
        query = "productType=USDT-FUTURES&marginCoin=USDT&idLessThan=1%2C2"

        status, _ = await client.call("GET", "position/all-position", query=query)

        assert status == 200


async def test_a_price_move_reaches_a_subscriber_and_is_stamped_before_it_left() -> None:
    async with running() as client, client.socket("/v2/ws/public") as socket:
        await socket.send_json({"op": "subscribe", "args": [argument("ticker", selector="BTCUSDT")]})
        await _next(socket, "ticker")

        client.server.set_price("BTCUSDT", Decimal(91_000))
        frame = await _next(socket, "ticker")

        assert frame["data"][0]["markPrice"] == "91000"
        assert (client.server.stamps.tickers[-1].symbol, client.server.stamps.tickers[-1].mark) == ("BTCUSDT", "91000")


async def test_text_pings_are_answered_over_the_wire_and_silence_ends_the_socket() -> None:
    rules = SocketRules(ping_within_ms=300)
    settings = ServeSettings(venue=SimulatedVenue.BITGET, options=Options(sockets=rules))
    async with running(settings) as client, client.socket("/v2/ws/public") as socket:
        await socket.send_str("ping")
        assert (await socket.receive(timeout=3)).data == "pong"

        assert (await socket.receive(timeout=3)).type is aiohttp.WSMsgType.CLOSE


async def test_a_refused_login_is_answered_and_then_closed() -> None:
    async with running() as client, client.socket("/v2/ws/private") as socket:
        await socket.send_json({"op": "login", "args": [{"apiKey": "nobody"}]})

        assert json.loads((await socket.receive(timeout=3)).data)["code"] == 30011
        assert (await socket.receive(timeout=3)).type is aiohttp.WSMsgType.CLOSE


async def test_a_clock_that_is_off_shows_in_the_time_and_refuses_timestamps() -> None:
    async with running() as client:
        client.server.faults.add(FaultKind.CLOCK_OFFSET, offset_ms=90_000)

        _, body = await client.call("GET", "/api/v2/public/time")
        _, refused = await client.call("POST", "order/place-order", body=OPEN_LONG)

        assert 85_000 < int(body["data"]["serverTime"]) - time.time_ns() // 1_000_000 < 95_000
        assert refused["code"] == "40008"


async def test_serving_announces_its_keys_in_this_venues_words() -> None:
    said: list[str] = []
    complete = asyncio.Event()

    def announce(line: str) -> None:
        said.append(line)
        if len(said) == 1 + len(DEFAULT_ACCOUNTS):
            complete.set()

    settings = ServeSettings(venue=SimulatedVenue.BITGET)
    task = asyncio.ensure_future(serve(settings, SystemClock(), announce))
    await asyncio.wait_for(complete.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert said[0].startswith("simulated bitget listens on ")
    assert f"passphrase {MAIN.passphrase}" in said[1]


def test_options_of_another_venue_are_refused() -> None:
    settings = ServeSettings(venue=SimulatedVenue.BITGET, options=BitmartOptions())

    with pytest.raises(TypeError, match="options of bitget"):
        build(settings, SystemClock())
