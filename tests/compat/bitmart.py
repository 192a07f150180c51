"""The trader on the simulated BitMart."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from guardd.clock import SystemClock
from guardd.simulator.control import AccountSettings
from guardd.simulator.dialects.bitmart.desk import Options
from guardd.simulator.dialects.bitmart.dialect import BitmartDialect
from guardd.simulator.orders import PositionMode
from guardd.simulator.run import DEFAULT_ACCOUNTS, ServeSettings, build
from guardd.simulator.server import SimulatorServer
from tests.compat.trader import BTC, UID, Trader, client_of

LEVERAGE = 10  # as every account begins; an opening order must say what is set (reference 10.1)
IN_FUTURES = {"type": "swap"}  # its fetchBalance asks for the spot wallet unless told
_READ_ONLY = DEFAULT_ACCOUNTS[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class BitmartTrader(Trader):
    @property
    def dialect(self) -> BitmartDialect:
        assert isinstance(self.server.dialect, BitmartDialect)
        return self.server.dialect

    @property
    def topics(self) -> Collection[str]:
        return {topic for session in self.dialect.streams.sessions for topic in session.held}

    async def buys(self, size: int, symbol: str = BTC, **more: object) -> dict[str, Any]:
        """A market buy that opens or adds."""
        return await self._opens("buy", size, symbol, more)

    async def sells_short(self, size: int, symbol: str = BTC, **more: object) -> dict[str, Any]:
        return await self._opens("sell", size, symbol, more)

    async def _opens(self, side: str, size: int, symbol: str, more: dict[str, object]) -> dict[str, Any]:
        order: dict[str, Any] = await self.client.create_order(
            symbol, "market", side, size, None, {"leverage": LEVERAGE, **more}
        )
        return order


@asynccontextmanager
async def trading(
    *,
    position_mode: PositionMode = PositionMode.HEDGE,
    options: Options | None = None,
    paces_itself: bool = False,
    **credentials: str,
) -> AsyncIterator[BitmartTrader]:
    """A fresh exchange whose prices stand, and one client of it. Numbers come as decimals.

    `paces_itself`: with ccxt's own rate limiter, its default, which no handful of calls needs.
    """
    account = AccountSettings(
        uid=UID,
        deposit=Decimal(10_000),
        spot=Decimal(5_000),
        position_mode=position_mode,
        key="compat-key",
        secret="compat-secret",
        passphrase="compat-memo",
    )
    settings = ServeSettings(
        accounts=(account, _READ_ONLY), walk=False, options=options or Options(ticker_interval_ms=100)
    )
    keys = {"apiKey": account.key, "secret": account.secret, "uid": account.passphrase} | credentials
    config = {"number": Decimal, "enableRateLimit": paces_itself, **keys}
    async with (
        build(settings, SystemClock()) as server,
        client_of("bitmart", config, _addresses(server)) as client,
    ):
        yield BitmartTrader(client=client, server=server)


def _addresses(server: SimulatorServer) -> dict[str, Any]:
    """Every one that it knows: the spot hosts too, so that nothing can leave the machine."""
    sockets = {
        "public": f"{server.stream_url}/api?protocol=1.1",
        "private": f"{server.stream_url}/user?protocol=1.1",
    }
    return {"spot": server.rest_url, "swap": server.rest_url, "ws": {"spot": sockets, "swap": sockets}}
