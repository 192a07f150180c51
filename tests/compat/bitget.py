"""The trader on the simulated Bitget, with a classic account or a unified one."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from guardd.clock import SystemClock
from guardd.simulator.control import AccountSettings
from guardd.simulator.dialects.bitget.desk import Options
from guardd.simulator.dialects.bitget.dialect import BitgetDialect
from guardd.simulator.dialects.bitget_unified.desk import Options as UnifiedOptions
from guardd.simulator.dialects.bitget_unified.dialect import BitgetUnifiedDialect
from guardd.simulator.orders import PositionMode
from guardd.simulator.run import ServeSettings, SimulatedVenue, build
from guardd.simulator.server import SimulatorServer
from tests.compat.trader import BTC, UID, Trader, client_of

SINCE = "4.5.90"  # the release whose departures from the references the tests name
_HALVES = ("spot", "mix", "user", "p2p", "broker", "margin", "common", "tax", "convert", "copy", "earn", "uta")
_TICKER_MS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class BitgetTrader(Trader):
    unified: bool

    @property
    def dialect(self) -> BitgetDialect | BitgetUnifiedDialect:
        assert isinstance(self.server.dialect, BitgetDialect | BitgetUnifiedDialect)
        return self.server.dialect

    @property
    def topics(self) -> Collection[str]:
        """Channel and selector of each: `ticker:BTCUSDT`, `orders:default`; a unified account's have none (`order:`)."""
        return {topic.name for session in self.dialect.streams.sessions for topic in session.held.values()}

    @property
    def hedged(self) -> dict[str, bool]:
        """ccxt takes the position mode from every order's params and asks nobody."""
        return {"hedged": self.mode is PositionMode.HEDGE}

    @property
    def mode(self) -> PositionMode:
        """Of what is settled in USDT: a classic account has one for each product type."""
        return self.truth.position_mode(UID, self.contract(BTC).group)

    async def buys(self, size: str, symbol: str = BTC, **more: object) -> dict[str, Any]:
        """A market buy that opens or adds."""
        return await self._orders("buy", size, symbol, more)

    async def sells_short(self, size: str, symbol: str = BTC, **more: object) -> dict[str, Any]:
        return await self._orders("sell", size, symbol, more)

    async def closes_long(self, size: str, symbol: str = BTC, **more: object) -> dict[str, Any]:
        return await self._orders("sell", size, symbol, {"reduceOnly": True, **more})

    async def closes_short(self, size: str, symbol: str = BTC, **more: object) -> dict[str, Any]:
        return await self._orders("buy", size, symbol, {"reduceOnly": True, **more})

    async def _orders(self, side: str, size: str, symbol: str, more: dict[str, object]) -> dict[str, Any]:
        order: dict[str, Any] = await self.client.create_order(
            symbol, "market", side, Decimal(size), None, {**self.hedged, **more}
        )
        return order


@asynccontextmanager
async def classic(
    *, position_mode: PositionMode = PositionMode.HEDGE, options: Options | None = None, **credentials: str
) -> AsyncIterator[BitgetTrader]:
    """A fresh exchange whose prices stand, and one client of a classic account on it."""
    settings = ServeSettings(
        venue=SimulatedVenue.BITGET,
        accounts=(_account(position_mode),),
        walk=False,
        options=options or Options(ticker_interval_ms=_TICKER_MS),
    )
    async with _trading(settings, credentials) as trader:
        yield trader


@asynccontextmanager
async def unified(
    *, position_mode: PositionMode = PositionMode.HEDGE, options: UnifiedOptions | None = None, **credentials: str
) -> AsyncIterator[BitgetTrader]:
    """The same with a unified account."""
    settings = ServeSettings(
        venue=SimulatedVenue.BITGET_UNIFIED,
        accounts=(_account(position_mode),),
        walk=False,
        options=options or UnifiedOptions(ticker_interval_ms=_TICKER_MS),
    )
    async with _trading(settings, credentials) as trader:
        yield trader


def _account(position_mode: PositionMode) -> AccountSettings:
    return AccountSettings(
        uid=UID,
        deposit=Decimal(10_000),
        spot=Decimal(5_000),
        position_mode=position_mode,
        key="compat-key",
        secret="compat-secret",
        passphrase="compat-passphrase",
    )


@asynccontextmanager
async def _trading(settings: ServeSettings, credentials: dict[str, str]) -> AsyncIterator[BitgetTrader]:
    [account] = settings.accounts
    is_unified = settings.venue is SimulatedVenue.BITGET_UNIFIED
    keys = {"apiKey": account.key, "secret": account.secret, "password": account.passphrase} | credentials
    options = {"uta": is_unified, "defaultType": "swap"}
    # Numbers as text, as they are sent: with Decimal this release loses trigger prices, fees and amounts of the ledger.
    config = {"number": str, "enableRateLimit": False, "options": options, **keys}
    async with (
        build(settings, SystemClock()) as server,
        client_of("bitget", config, _addresses(server)) as client,
    ):
        yield BitgetTrader(client=client, server=server, unified=is_unified)


def _addresses(server: SimulatorServer) -> dict[str, Any]:
    """Every one that it knows, so that nothing can leave the machine; the demo's too."""
    sockets = {
        "public": f"{server.stream_url}/v2/ws/public",
        "private": f"{server.stream_url}/v2/ws/private",
        "utaPublic": f"{server.stream_url}/v3/ws/public",
        "utaPrivate": f"{server.stream_url}/v3/ws/private",
    }
    return dict.fromkeys(_HALVES, server.rest_url) | {"ws": sockets, "demo": sockets}
