"""Flatten means flat, and stays so: what rests could open again."""

from decimal import Decimal
from pathlib import Path

import aiohttp

from guardd.simulator.orders import OrderKind, OrderRequest, Side
from tests.live.desk import open_desk, until

TOKEN = "flatten-token"


async def test_flatten_also_ends_entries_on_instruments_that_hold_no_position(tmp_path: Path) -> None:

    async with open_desk(tmp_path) as desk:
        desk.open("BTCUSDT", "long", 100)
        entry = OrderRequest(
            symbol="ETHUSDT", side=Side.BUY, size=Decimal(100), kind=OrderKind.LIMIT, price=Decimal(3000)
        )
        desk.server.exchange.place("main", entry, desk.server.now_ms())
        async with desk.guard(environ={"GUARDD_HTTP__TOKEN": TOKEN}) as guard:
            await until(lambda: bool(guard.events("position_protected")), within_s=10, what="protected")
            async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session:
                body = {"account": "main", "confirm": "CONFIRM"}
                async with session.post(guard.url + "/flatten", json=body) as answer:
                    assert answer.status == 202
            await until(lambda: not desk.positions(), within_s=15, what="flat")
            await until(lambda: not desk.server.exchange.query.open_orders("main"), within_s=5, what="no entry rests")
            await until(lambda: not desk.plans(), within_s=10, what="no orphan rests")
