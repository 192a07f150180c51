"""A trader who uses ccxt, and the simulated BitMart it trades on: client and server on one loop, over real sockets.

ccxt is imported here and nowhere else, by name at run time: the tests that use it call `require_ccxt` first.
"""

import asyncio
import importlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass
from decimal import Decimal
from types import ModuleType
from typing import Any

import pytest

from guardd.clock import SystemClock
from guardd.simulator.contracts import Contract
from guardd.simulator.control import AccountSettings
from guardd.simulator.dialects.bitmart.desk import Options
from guardd.simulator.dialects.bitmart.dialect import BitmartDialect
from guardd.simulator.engine import Exchange
from guardd.simulator.ledger import Ledger, LedgerRow, RowKind
from guardd.simulator.orders import PositionMode, PositionSide
from guardd.simulator.queries import Queries
from guardd.simulator.records import PositionView
from guardd.simulator.run import DEFAULT_ACCOUNTS, ServeSettings, build
from guardd.simulator.server import SimulatorServer

BTC, ETH, SOL = "BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT"
UID = "main"
LEVERAGE = 10  # as every account begins; an opening order must say what is set (reference 10.1)
IN_FUTURES = {"type": "swap"}  # its fetchBalance asks for the spot wallet unless told
_PATIENCE_S = 5.0
_LOOK_EVERY_S = 0.01
_READ_ONLY = DEFAULT_ACCOUNTS[2]


def require_ccxt() -> ModuleType:
    """ccxt's streaming flavour, or a skip: it is in the extra `compat`, which has an environment of its own."""
    reason = "ccxt isn't installed here: pip install -e '.[test,compat]' into an environment of its own"
    return pytest.importorskip("ccxt.pro", reason=reason)  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trader:
    """One ccxt client of the account `main`, and the truth about that account."""

    client: Any  # ccxt has no types of its own worth the name
    server: SimulatorServer

    @property
    def exchange(self) -> Exchange:
        return self.server.exchange

    @property
    def ledger(self) -> Ledger:
        return self.server.exchange.ledger

    @property
    def truth(self) -> Queries:
        return self.server.exchange.query

    @property
    def dialect(self) -> BitmartDialect:
        assert isinstance(self.server.dialect, BitmartDialect)
        return self.server.dialect

    def contract(self, symbol: str) -> Contract:
        return self.truth.contract(self.client.market(symbol)["id"])

    def rows(self, kind: RowKind) -> list[LedgerRow]:
        return self.ledger.rows(uid=UID, kind=kind)

    def held(self, symbol: str = BTC, side: PositionSide = PositionSide.LONG) -> PositionView | None:
        return self.truth.position(UID, self.client.market(symbol)["id"], side)

    def move(self, symbol: str, mark: str) -> None:
        self.server.set_price(self.client.market(symbol)["id"], Decimal(mark))

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

    async def sees(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so."""
        for _ in range(int(_PATIENCE_S / _LOOK_EVERY_S)):
            if condition():
                return
            await asyncio.sleep(_LOOK_EVERY_S)
        raise TimeoutError(f"not so within {_PATIENCE_S} s")

    def _holds(self, topic: str) -> bool:
        return any(topic in session.held for session in self.dialect.streams.sessions)

    async def hears(self, topic: str, watching: Any, act: Callable[[], Any]) -> Any:
        """What a watch call returns when `act` follows on its subscription."""
        watch = asyncio.ensure_future(watching)
        try:
            await self.sees(lambda: watch.done() or self._holds(topic))
            done = act()
            if asyncio.iscoroutine(done):
                await done
            async with asyncio.timeout(_PATIENCE_S):
                return await watch
        finally:
            watch.cancel()


@asynccontextmanager
async def trading(
    *,
    position_mode: PositionMode = PositionMode.HEDGE,
    options: Options | None = None,
    paces_itself: bool = False,
    **credentials: str,
) -> AsyncIterator[Trader]:
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
    async with build(settings, SystemClock()) as server:
        keys = {"apiKey": account.key, "secret": account.secret, "uid": account.passphrase} | credentials
        client = importlib.import_module("ccxt.pro").bitmart(
            {"number": Decimal, "enableRateLimit": paces_itself, **keys}
        )
        _point_at(client, server)
        await client.load_markets()
        try:
            yield Trader(client=client, server=server)
        finally:
            # Plain close() leaves the HTTP session open in this release.
            await client.close(True)


def _point_at(client: Any, server: SimulatorServer) -> None:
    """Every address that it knows: the spot hosts too, so that nothing can leave the machine."""
    sockets = {
        "public": f"{server.stream_url}/api?protocol=1.1",
        "private": f"{server.stream_url}/user?protocol=1.1",
    }
    client.urls = deepcopy(client.urls)
    client.urls["api"] = {
        "spot": server.rest_url,
        "swap": server.rest_url,
        "ws": {"spot": sockets, "swap": sockets},
    }
