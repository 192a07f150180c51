"""A simulated unified account on loopback and a real adapter in front of it: every byte goes over a socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random

from guardd.clock import SystemClock
from guardd.model.facts import Fact, Said
from guardd.model.names import AccountName, PositionKey, Side, Symbol
from guardd.simulator.dialects.bitget_common.auth import ApiKey
from guardd.simulator.dialects.bitget_common.listing import bitget_contracts, bitget_prices
from guardd.simulator.dialects.bitget_unified.desk import Options
from guardd.simulator.dialects.bitget_unified.dialect import BitgetUnifiedDialect, unified_terms
from guardd.simulator.engine import Exchange
from guardd.simulator.faults import Faults
from guardd.simulator.orders import MarginMode, OrderRequest, PositionMode
from guardd.simulator.orders import Side as OrderSide
from guardd.simulator.records import AccountKind
from guardd.simulator.server import SimulatorServer
from guardd.venues.bitget.connection import Access, connection
from guardd.venues.bitget.endpoint import LIMITS as COMMON_LIMITS
from guardd.venues.bitget.hosts import hosts_for
from guardd.venues.bitget.sign import Credentials
from guardd.venues.bitget.unified import LIMITS, UnifiedVenue
from guardd.venues.bitget.unified.operator import UnifiedOperator
from guardd.venues.limiter import LimiterRegistry
from guardd.venues.network import NetworkWire
from guardd.venues.stream import Mailbox

ACCOUNT = AccountName("main")
BTC = Symbol("BTCUSDT")
PERP = Symbol("BTCPERP")
LONG_BTC = PositionKey(ACCOUNT, BTC, Side.LONG)
SHORT_BTC = PositionKey(ACCOUNT, BTC, Side.SHORT)
LONG_PERP = PositionKey(ACCOUNT, PERP, Side.LONG)
KEY = ApiKey(
    key="key-main", secret="secret-main", passphrase="passphrase-main", uid="main", demo=True, ips=("127.0.0.1",)
)


@dataclass
class Stand:
    exchange: Exchange
    dialect: BitgetUnifiedDialect
    faults: Faults
    server: SimulatorServer
    venue: UnifiedVenue
    operator: UnifiedOperator
    facts: list[Fact] = field(default_factory=list)

    def hold(self, key: PositionKey, size: str, *, margin: MarginMode = MarginMode.CROSS) -> None:
        side = OrderSide.BUY if key.side is Side.LONG else OrderSide.SELL
        order = OrderRequest(symbol=key.symbol, side=side, size=Decimal(size), margin_mode=margin)
        self.exchange.place("main", order, self.server.now_ms())

    def held(self, key: PositionKey) -> Decimal:
        for position in self.exchange.query.positions("main"):
            if position.symbol == key.symbol and position.side.value == key.side.value:
                return position.size
        return Decimal(0)

    def said(self, edge: str) -> list[Fact]:
        return [fact for fact in self.facts if isinstance(fact, Said) and fact.edge.startswith(edge)]


@asynccontextmanager
async def stand(
    *, position_mode: PositionMode = PositionMode.HEDGE, options: Options | None = None, opened: bool = True
) -> AsyncIterator[Stand]:
    clock = SystemClock()
    faults = Faults(seed=7)
    now_ms = clock.now().wall_ms
    exchange = Exchange(bitget_contracts(), seed=1, now_ms=now_ms, terms=unified_terms())
    exchange.add_account(
        "main",
        kind=AccountKind.UNIFIED,
        deposit=Decimal(10_000),
        deposits={"USDC": Decimal(1_000)},
        spot=Decimal(500),
        position_mode=position_mode,
    )
    for symbol, price in bitget_prices().items():
        exchange.move(symbol, mark=price, now_ms=now_ms)
    dialect = BitgetUnifiedDialect(exchange, keys=[KEY], faults=faults, options=options)
    wire = NetworkWire(clock)
    facts: list[Fact] = []
    async with SimulatorServer(exchange, dialect, faults, clock=clock) as server:
        hosts = hosts_for("demo", rest_url=server.rest_url, stream_url=server.stream_url)
        random = Random(3)
        limiter = LimiterRegistry(clock, random).limiter(
            host=hosts.rest, credential=KEY.key, limits=(*COMMON_LIMITS, *LIMITS), share=0.7
        )
        access = Access(
            account=ACCOUNT,
            hosts=hosts,
            credentials=Credentials(key=KEY.key, secret=KEY.secret, passphrase=KEY.passphrase),
            demo=True,
            product_types=("USDT-FUTURES", "USDC-FUTURES", "COIN-FUTURES"),
            channel_code=None,
            clock=clock,
            limiter=limiter,
            wire=wire,
            random=random,
            listener=facts.append,
        )
        parts = connection(access, lambda notice: None)
        venue = UnifiedVenue(access, parts, Mailbox())
        try:
            await parts.api.measure_time()
            if opened:
                await venue.open()
            yield Stand(exchange, dialect, faults, server, venue, UnifiedOperator(access, parts), facts)
        finally:
            await venue.close()
            await wire.close()
            await asyncio.sleep(0)
