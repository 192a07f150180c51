"""The floor: a bare aiohttp client on uvloop with msgspec that sends one signed order on a crossing frame, and nothing else.

`python -m tests.bench.floor http://HOST:PORT CAST`, until it is ended.
"""

import asyncio
import base64
import hmac
import sys
import time
from typing import Final

import aiohttp
import msgspec

from tests.bench.cast import SHARE, THRESHOLD, Cast, Key, key_of, size_of_position

_SYMBOLS_PER_FRAME: Final = 40
_PATH: Final = "/api/v2/mix/order/place-order"
_SIZE: Final = str(size_of_position() * SHARE)


class _Ticker(msgspec.Struct, gc=False):
    symbol: str = msgspec.field(name="instId")
    mark: str = msgspec.field(name="markPrice")


class _Frame(msgspec.Struct, gc=False):
    data: list[_Ticker] = []


_DECODER: Final = msgspec.json.Decoder(_Frame)


class Floor:
    """Every symbol is acted on once."""

    def __init__(self, session: aiohttp.ClientSession, cast: Cast) -> None:
        self._session = session
        self._keys = {symbol: key_of(cast.owner(symbol)) for symbol in cast.symbols}
        self._acted: set[str] = set()
        self._sending: set[asyncio.Task[None]] = set()

    async def watch(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            for ticker in _DECODER.decode(message.data).data:
                if float(ticker.mark) < THRESHOLD and ticker.symbol not in self._acted:
                    self._acted.add(ticker.symbol)
                    sending = asyncio.get_running_loop().create_task(self._send(ticker.symbol))
                    self._sending.add(sending)
                    sending.add_done_callback(self._sending.discard)

    async def _send(self, symbol: str) -> None:
        body = msgspec.json.encode(
            {
                "symbol": symbol,
                "productType": "USDT-FUTURES",
                "marginMode": "isolated",
                "marginCoin": "USDT",
                "size": _SIZE,
                "side": "buy",
                "tradeSide": "close",
                "orderType": "market",
            }
        ).decode()
        headers = signed(self._keys[symbol], body)
        async with self._session.post(_PATH, data=body, headers=headers) as answer:
            await answer.read()


def signed(key: Key, body: str) -> dict[str, str]:
    stamp = str(time.time_ns() // 1_000_000)
    proof = hmac.digest(key.secret.encode(), f"{stamp}POST{_PATH}{body}".encode(), "sha256")
    return {
        "ACCESS-KEY": key.key,
        "ACCESS-SIGN": base64.b64encode(proof).decode(),
        "ACCESS-TIMESTAMP": stamp,
        "ACCESS-PASSPHRASE": key.passphrase,
        "Content-Type": "application/json",
    }


async def main(url: str, cast: Cast) -> None:
    async with (
        aiohttp.ClientSession(url) as session,
        session.ws_connect("/v2/ws/public") as socket,
    ):
        symbols = cast.symbols
        for start in range(0, len(symbols), _SYMBOLS_PER_FRAME):
            topics = [
                {"instType": "USDT-FUTURES", "channel": "ticker", "instId": symbol}
                for symbol in symbols[start : start + _SYMBOLS_PER_FRAME]
            ]
            await socket.send_str(msgspec.json.encode({"op": "subscribe", "args": topics}).decode())
            await asyncio.sleep(0.15)
        await Floor(session, cast).watch(socket)


def _loop() -> asyncio.AbstractEventLoop:
    """uvloop's; a test may see that it works without, and `python -m tests.bench` measures none without."""
    try:
        import uvloop
    except ModuleNotFoundError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=_loop) as runner:
        runner.run(main(sys.argv[1], Cast.of_text(sys.argv[2])))
