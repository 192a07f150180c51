"""Both families behind the one adapter, over real sockets: each is opened as what it is, and one that is switched isn't fought."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random

import pytest

from guardd.clock import SystemClock
from guardd.errors import CredentialsError, VenueBusy, VenueRefused
from guardd.model.facts import Fact, RequestFinished, RequestResult, Said
from guardd.model.intent import CloseAtMarket
from guardd.model.names import AccountName, ClientId, PositionKey, PositionMode, Severity, Side, Symbol
from guardd.model.outcome import Accepted, Outcome, Reason, Rejected
from guardd.simulator.dialects.bitget.dialect import BitgetDialect
from guardd.simulator.dialects.bitget_common.auth import ApiKey
from guardd.simulator.dialects.bitget_common.listing import bitget_contracts, bitget_prices
from guardd.simulator.dialects.bitget_unified.dialect import BitgetUnifiedDialect
from guardd.simulator.engine import Exchange
from guardd.simulator.faults import FaultKind, Faults
from guardd.simulator.orders import OrderRequest
from guardd.simulator.orders import PositionMode as ExchangeMode
from guardd.simulator.orders import Side as OrderSide
from guardd.simulator.records import AccountKind
from guardd.simulator.server import SimulatorServer
from guardd.venues.bitget import LIMITS, Access, BitgetVenue, Credentials, hosts_for
from guardd.venues.bitget.operator import BitgetOperator
from guardd.venues.limiter import Lane, LimiterRegistry
from guardd.venues.network import NetworkWire

KEY = ApiKey(key="key-main", secret="secret-main", passphrase="passphrase-main", uid="main", demo=True)
BTC = Symbol("BTCUSDT")
LONG = PositionKey(AccountName("main"), BTC, Side.LONG)
CLOSE = CloseAtMarket(key=LONG, size=Decimal("0.1"))
FAMILIES = ["classic", "unified"]


@dataclass
class Stand:
    exchange: Exchange
    faults: Faults
    venue: BitgetVenue
    operator: BitgetOperator
    facts: list[Fact] = field(default_factory=list)

    async def close_some(self) -> Outcome:
        return await self.venue.send(
            CLOSE, client_id=ClientId("gd1abc"), position_mode=PositionMode.HEDGE, lane=Lane.EMERGENCY, deadline_s=3.0
        )

    @property
    def calls(self) -> list[str]:
        return [fact.endpoint for fact in self.facts if isinstance(fact, RequestFinished)]

    @property
    def critical(self) -> list[str]:
        return [fact.edge for fact in self.facts if isinstance(fact, Said) and fact.severity is Severity.CRITICAL]


@asynccontextmanager
async def stand(family: str, *, secret: str = KEY.secret) -> AsyncIterator[Stand]:
    """An account with a long of 0.5 BTC; the adapter isn't opened yet."""
    clock, faults, random = SystemClock(), Faults(seed=7), Random(3)
    now_ms = clock.now().wall_ms
    exchange = Exchange(bitget_contracts(), seed=1, now_ms=now_ms)
    kind = AccountKind.UNIFIED if family == "unified" else AccountKind.CLASSIC
    exchange.add_account("main", kind=kind, deposit=Decimal(50_000), position_mode=ExchangeMode.HEDGE)
    for symbol, price in bitget_prices().items():
        exchange.move(symbol, mark=price, now_ms=now_ms)
    exchange.place("main", OrderRequest(symbol=BTC, side=OrderSide.BUY, size=Decimal("0.5")), now_ms)
    made = BitgetUnifiedDialect if family == "unified" else BitgetDialect
    dialect = made(exchange, keys=[KEY], faults=faults)
    wire, facts = NetworkWire(clock), list[Fact]()
    async with SimulatorServer(exchange, dialect, faults, clock=clock) as server:
        hosts = hosts_for("demo", rest_url=server.rest_url, stream_url=server.stream_url)
        access = Access(
            account=AccountName("main"),
            hosts=hosts,
            credentials=Credentials(key=KEY.key, secret=secret, passphrase=KEY.passphrase),
            demo=True,
            product_types=("USDT-FUTURES",),
            channel_code=None,
            clock=clock,
            limiter=LimiterRegistry(clock, random).limiter(host=hosts.rest, credential="k", limits=LIMITS, share=0.7),
            wire=wire,
            random=random,
            listener=facts.append,
        )
        venue = BitgetVenue(access)
        try:
            yield Stand(exchange, faults, venue, BitgetOperator(access), facts)
        finally:
            await venue.close()
            await wire.close()
            await asyncio.sleep(0)


@pytest.mark.parametrize("family", FAMILIES)
async def test_an_account_is_opened_as_what_it_is_and_closes_by_its_own_words(family: str) -> None:
    async with stand(family) as on:
        await on.venue.open()
        assert on.venue.family == family
        assert on.critical == []
        await on.venue.instruments([BTC])
        (position,) = (await on.venue.positions()).positions
        assert (position.key, position.quantity) == (LONG, Decimal("0.5"))
        assert isinstance(await on.close_some(), Accepted)
        (left,) = on.exchange.query.positions("main")
        assert left.size == Decimal("0.4")


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_start_leaves_no_failing_request_in_the_log(family: str) -> None:
    async with stand(family) as on:
        await on.venue.open()
        await on.venue.instruments([BTC])
        await on.venue.positions()
        await on.venue.balances()
        await on.venue.orders()
        await on.venue.position_mode()
        finished = [fact for fact in on.facts if isinstance(fact, RequestFinished)]
        assert [(fact.endpoint, fact.detail) for fact in finished if fact.result is not RequestResult.OK] == []


@pytest.mark.parametrize("family", FAMILIES)
async def test_an_account_that_its_owner_switches_is_told_once_and_its_calls_end(family: str) -> None:
    async with stand(family) as on:
        await on.venue.open()
        await on.venue.instruments([BTC])
        await on.venue.positions()
        on.faults.add(FaultKind.OTHER_FAMILY)
        with pytest.raises(VenueRefused):
            await on.venue.positions()
        made = len(on.calls)
        for _ in range(50):
            with pytest.raises(VenueRefused, match="restart guardd"):
                await on.venue.positions()
        outcome = await on.close_some()
        assert isinstance(outcome, Rejected)
        assert outcome.reason is Reason.PERMISSION
        assert len(on.calls) == made
        assert on.critical == ["family"]
        (held,) = on.exchange.query.positions("main")
        assert held.size == Decimal("0.5")


async def test_an_account_in_conversion_is_not_opened_and_sends_nothing_when_it_begins_under_way() -> None:
    async with stand("unified") as on:
        on.faults.add(FaultKind.CONVERTING)
        with pytest.raises(VenueBusy, match="switching"):
            await on.venue.open()
        on.faults.clear()
        await on.venue.open()
        await on.venue.instruments([BTC])
        on.faults.add(FaultKind.CONVERTING)
        await on.venue.position_mode()
        assert isinstance(await on.close_some(), Rejected)
        assert "v3-place-order" not in on.calls
        assert len(on.critical) == 1


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_wrong_secret_is_named_as_such(family: str) -> None:
    async with stand(family, secret="another") as on:
        with pytest.raises(CredentialsError):
            await on.venue.open()


@pytest.mark.parametrize("family", FAMILIES)
async def test_an_operator_takes_his_steps_in_the_accounts_own_words(family: str) -> None:
    async with stand(family) as on:
        assert isinstance(await on.operator.close_position(LONG, size=Decimal("0.5"), price=None), Accepted)
        assert list(on.exchange.query.positions("main")) == []
        assert await on.operator.live_leverage(BTC, 3.0) is not None
        await on.operator.close()


async def test_an_operator_whose_account_cannot_be_told_sends_nothing() -> None:
    async with stand("unified") as on:
        on.faults.add(FaultKind.CLOUDFLARE_403)
        outcome = await on.operator.close_position(LONG, size=Decimal("0.5"), price=None)
        assert isinstance(outcome, Rejected)
        assert outcome.reason is Reason.NOT_SENT
        (held,) = on.exchange.query.positions("main")
        assert held.size == Decimal("0.5")
        await on.operator.close()
