"""The unified account as a server: over real sockets, and steered from another process."""

import json

import aiohttp

from guardd.clock import SystemClock
from guardd.simulator.dialects.bitget_unified.dialect import BitgetUnifiedDialect
from guardd.simulator.records import AccountKind
from guardd.simulator.run import ServeSettings, SimulatedVenue, build

SETTINGS = ServeSettings(venue=SimulatedVenue.BITGET_UNIFIED, walk=False, ticker_interval_ms=0)


async def test_a_served_account_is_unified_and_its_ticker_flows() -> None:
    async with build(SETTINGS, SystemClock()) as server, aiohttp.ClientSession() as client:
        assert isinstance(server.dialect, BitgetUnifiedDialect)
        assert {server.exchange.query.account_kind(uid) for uid in ("main", "twin")} == {AccountKind.UNIFIED}
        async with client.ws_connect(f"{server.stream_url}/v3/ws/public") as socket:
            arg = {"instType": "usdt-futures", "topic": "ticker", "symbol": "BTCUSDT"}
            await socket.send_str(json.dumps({"op": "subscribe", "args": [arg]}))
            acknowledged, first = [json.loads((await socket.receive(timeout=5)).data) for _ in range(2)]
            assert acknowledged["event"] == "subscribe"
            assert first["data"][0]["markPrice"] == "90000"


async def test_another_process_can_convert_an_account_and_switch_it() -> None:
    async with build(SETTINGS, SystemClock()) as server, aiohttp.ClientSession() as client:
        headers = {"ACCESS-KEY": "sim-main-key"}
        for body, code in (({"kind": "other-family", "account": "main"}, "40084"), (None, "40002")):
            if body is None:
                await client.delete(f"{server.rest_url}/_simulator/faults")
            else:
                await client.post(f"{server.rest_url}/_simulator/faults", json=body)
            async with client.get(f"{server.rest_url}/api/v3/account/info", headers=headers) as answer:
                assert (await answer.json())["code"] == code
