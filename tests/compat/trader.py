"""A trader who uses ccxt, and the simulated venue it trades on: client and server on one loop, over real sockets.

ccxt is imported here and nowhere else, by name at run time: the tests that use it call `require_ccxt` first.
"""

import asyncio
import importlib
import socket
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass
from decimal import Decimal
from types import ModuleType
from typing import Any

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from guardd.simulator.contracts import Contract
from guardd.simulator.engine import Exchange
from guardd.simulator.ledger import Ledger, LedgerRow, RowKind
from guardd.simulator.orders import PositionSide
from guardd.simulator.queries import Queries
from guardd.simulator.records import PositionView
from guardd.simulator.server import SimulatorServer

BTC, ETH, SOL = "BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT"
UID = "main"
_PATIENCE_S = 5.0
_LOOK_EVERY_S = 0.01


def require_ccxt(venue: str, *, at_least: str = "") -> ModuleType:
    """ccxt's streaming flavour, or a skip: no release of it has every venue, so each has an environment of its own."""
    reason = "ccxt isn't installed here: an extra `compat…` goes into an environment of its own"
    ccxt: ModuleType = pytest.importorskip("ccxt.pro", reason=reason)
    installed: str = importlib.import_module("ccxt").__version__
    if not hasattr(ccxt, venue) or _release(installed) < _release(at_least):
        pytest.skip(f"ccxt {installed} isn't the one for {venue} {at_least}".rstrip(), allow_module_level=True)
    return ccxt


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")) if version else ()


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
    def topics(self) -> Collection[str]:
        """Everything that somebody has subscribed to."""
        raise TypeError(f"{type(self).__name__} doesn't say what is subscribed")

    def contract(self, symbol: str) -> Contract:
        return self.truth.contract(self.client.market(symbol)["id"])

    def rows(self, kind: RowKind) -> list[LedgerRow]:
        return self.ledger.rows(uid=UID, kind=kind)

    def held(self, symbol: str = BTC, side: PositionSide = PositionSide.LONG) -> PositionView | None:
        return self.truth.position(UID, self.client.market(symbol)["id"], side)

    def move(self, symbol: str, mark: str) -> None:
        self.server.set_price(self.client.market(symbol)["id"], Decimal(mark))

    async def sees(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so."""
        for _ in range(int(_PATIENCE_S / _LOOK_EVERY_S)):
            if condition():
                return
            await asyncio.sleep(_LOOK_EVERY_S)
        raise TimeoutError(f"not so within {_PATIENCE_S} s")

    async def hears(self, topic: str, watching: Any, act: Callable[[], Any]) -> Any:
        """What a watch call returns when `act` follows on its subscription."""
        watch = asyncio.ensure_future(watching)
        try:
            await self.sees(lambda: watch.done() or topic in self.topics)
            done = act()
            if asyncio.iscoroutine(done):
                await done
            async with asyncio.timeout(_PATIENCE_S):
                return await watch
        finally:
            watch.cancel()


class NoNames(AbstractResolver):
    """Addresses of this machine need no look-up, so a look-up is a client on its way to somewhere else."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        raise OSError(f"{host}:{port} isn't this machine")

    async def close(self) -> None:
        """There is nothing to close."""


@asynccontextmanager
async def client_of(venue: str, config: dict[str, Any], api: dict[str, Any]) -> AsyncIterator[Any]:
    """A client of that venue with its markets loaded, whose every address is in `api`."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=NoNames())) as session:
        make = getattr(importlib.import_module("ccxt.pro"), venue)
        client = make({"session": session, **config})
        client.urls = deepcopy(client.urls)
        client.urls["api"] = api
        try:
            await client.load_markets()
            yield client
        finally:
            await client.close()
