"""A simulated exchange on loopback and a real adapter in front of it: every byte goes over a socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random

from guardd.clock import SystemClock
from guardd.model.facts import Fact
from guardd.model.names import AccountName, PositionKey, Side, Symbol
from guardd.simulator.contracts import default_contracts, default_prices
from guardd.simulator.dialects.bitmart.auth import ApiKey
from guardd.simulator.dialects.bitmart.dialect import BitmartDialect
from guardd.simulator.engine import Exchange
from guardd.simulator.faults import Faults
from guardd.simulator.orders import MarginMode, OrderRequest, PositionMode
from guardd.simulator.orders import Side as OrderSide
from guardd.simulator.server import SimulatorServer
from guardd.simulator.terms import Terms
from guardd.venues.bitmart import LIMITS, Access, BitmartVenue, Credentials, hosts_for
from guardd.venues.limiter import LimiterRegistry
from guardd.venues.network import NetworkWire

ACCOUNT = AccountName("main")
BTC = Symbol("BTCUSDT")
ETH = Symbol("ETHUSDT")
LONG_BTC = PositionKey(ACCOUNT, BTC, Side.LONG)
SHORT_ETH = PositionKey(ACCOUNT, ETH, Side.SHORT)
KEY = ApiKey(key="key-main", secret="secret-main", memo="memo#main", uid="main")
CREDENTIALS = Credentials(key=KEY.key, secret=KEY.secret, memo=KEY.memo)


@dataclass
class Stand:
    exchange: Exchange
    faults: Faults
    server: SimulatorServer
    access: Access
    venue: BitmartVenue
    facts: list[Fact] = field(default_factory=list)

    def hold(self, key: PositionKey, size: int) -> None:
        side = OrderSide.BUY if key.side is Side.LONG else OrderSide.SELL
        order = OrderRequest(symbol=key.symbol, side=side, size=Decimal(size))
        self.exchange.place("main", order, self.server.now_ms())

    def held(self, key: PositionKey) -> Decimal:
        for position in self.exchange.query.positions("main"):
            if position.symbol == key.symbol and position.side.value == key.side.value:
                return position.size
        return Decimal(0)

    def said(self, edge: str) -> list[Fact]:
        return [fact for fact in self.facts if getattr(fact, "edge", "").startswith(edge)]


@asynccontextmanager
async def stand(
    *,
    position_mode: PositionMode = PositionMode.HEDGE,
    margin_mode: MarginMode = MarginMode.ISOLATED,
    credentials: Credentials = CREDENTIALS,
    terms: Terms | None = None,
    broker_id: str | None = None,
    opened: bool = True,
) -> AsyncIterator[Stand]:
    clock = SystemClock()
    faults = Faults(seed=7)
    exchange = Exchange(default_contracts(), seed=1, now_ms=clock.now().wall_ms, terms=terms)
    exchange.add_account(
        "main", deposit=Decimal(10_000), spot=Decimal(500), position_mode=position_mode, margin_mode=margin_mode
    )
    for symbol, price in default_prices().items():
        exchange.move(symbol, mark=price, now_ms=clock.now().wall_ms)
    dialect = BitmartDialect(exchange, keys=[KEY], faults=faults)
    wire = NetworkWire(clock)
    facts: list[Fact] = []
    async with SimulatorServer(exchange, dialect, faults, clock=clock) as server:
        hosts = hosts_for("demo", rest_url=server.rest_url, stream_url=server.stream_url)
        random = Random(3)
        limiter = LimiterRegistry(clock, random).limiter(
            host=hosts.rest, credential=credentials.key, limits=LIMITS, share=0.7
        )
        access = Access(
            account=ACCOUNT,
            hosts=hosts,
            credentials=credentials,
            broker_id=broker_id,
            clock=clock,
            limiter=limiter,
            wire=wire,
            random=random,
            listener=facts.append,
        )
        venue = BitmartVenue(access)
        try:
            if opened:
                await venue.open()
            yield Stand(exchange, faults, server, access, venue, facts)
        finally:
            await venue.close()
            await wire.close()
            await asyncio.sleep(0)
