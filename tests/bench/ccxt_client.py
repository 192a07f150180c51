"""ccxt as a user would write it, run by a Python that has it: `python -m tests.bench.ccxt_client watch|poll URL CAST`.

watch: ccxt pro's tickers, and an order when one is low. poll: the tickers by REST each second. Its throttle as it comes;
`BENCH_UNTHROTTLED=1` switches it off. Every symbol is acted on once.
"""

import asyncio
import os
import sys
from copy import deepcopy
from typing import Any, Final

import ccxt.pro

from tests.bench.cast import SHARE, THRESHOLD, Cast, key_of, size_of_position

_HALVES: Final = ("spot", "mix", "user", "p2p", "broker", "margin", "common", "tax", "convert", "copy", "earn", "uta")
_POLL_S: Final = 1.0
_SYMBOLS_PER_CALL: Final = 40
_PARAMS: Final = {"hedged": True, "reduceOnly": True, "marginMode": "isolated"}
_SIZE: Final = float(size_of_position() * SHARE)


async def watch(client: Any, symbols: list[str]) -> None:
    acted: set[str] = set()
    while True:
        tickers = await client.watch_tickers(symbols)
        await _act(client, tickers, acted)


async def poll(client: Any, symbols: list[str]) -> None:
    acted: set[str] = set()
    while True:
        tickers = await client.fetch_tickers(symbols)
        await _act(client, tickers, acted)
        await asyncio.sleep(_POLL_S)


async def _act(client: Any, tickers: dict[str, Any], acted: set[str]) -> None:
    for symbol, ticker in tickers.items():
        price = ticker.get("markPrice") or ticker["last"]
        if price < THRESHOLD and symbol not in acted:
            acted.add(symbol)
            await client.create_order(symbol, "market", "sell", _SIZE, None, _PARAMS)


def _client(url: str, cast: Cast) -> Any:
    key = key_of(cast.account_names[0])
    client = ccxt.pro.bitget(
        {
            "apiKey": key.key,
            "secret": key.secret,
            "password": key.passphrase,
            "enableRateLimit": not os.environ.get("BENCH_UNTHROTTLED"),
            "options": {"defaultType": "swap", "uta": False},
        }
    )
    sockets = {
        "public": f"{url.replace('http', 'ws')}/v2/ws/public",
        "private": f"{url.replace('http', 'ws')}/v2/ws/private",
    }
    client.urls = deepcopy(client.urls)
    client.urls["api"] = dict.fromkeys(_HALVES, url) | {"ws": sockets, "demo": sockets}
    return client


async def main(way: str, url: str, cast: Cast) -> None:
    client = _client(url, cast)
    try:
        await client.load_markets()
        wanted = set(cast.symbols)
        symbols = [market["symbol"] for market in client.markets.values() if market["id"] in wanted]
        if way == "poll":
            await poll(client, symbols)
        else:
            for start in range(0, len(symbols), _SYMBOLS_PER_CALL):  # a frame to the venue is limited
                await client.watch_tickers(symbols[start : start + _SYMBOLS_PER_CALL])
            await watch(client, symbols)
    finally:
        await client.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Cast.of_text(sys.argv[3])))
