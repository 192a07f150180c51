"""C140-C144: the venue's ledger, read to its end, explains every step of what the account has. Milestone "signed reads"."""

from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from guardd.model.equity import ledger_from_ms
from guardd.model.event import BalanceRead, ClockRead, InstrumentsRead, LedgerRead
from guardd.model.flow import FlowKind
from guardd.model.fold import fold
from guardd.model.names import VenueName
from guardd.model.reading import is_value
from guardd.model.state import AccountState
from guardd.risk.drawdown import drawdown_of
from guardd.simulator.records import TransferDirection
from tests.venues.contract.bench import Bench
from tests.venues.contract.stand import ACCOUNT, UID, Stand, stand


@dataclass
class Eyes:
    """What the daemon would know, by the adapter's own reads."""

    on: Stand
    state: AccountState = field(init=False)

    def __post_init__(self) -> None:
        venue = self.on.venue
        self.state = AccountState(name=ACCOUNT, venue=VenueName("x"), capabilities=venue.capabilities)

    async def open(self) -> None:
        venue, now = self.on.venue, self.on.clock.now
        fold(self.state, ClockRead(at=now(), offset_ms=await venue.clock_offset_ms()))
        fold(self.state, InstrumentsRead(at=now(), instruments=await venue.instruments((self.on.btc,))))
        await self.look()
        await self.look()

    async def look(self) -> None:
        """Positions, then the balances, then the ledger: as the guard's reader does when a step isn't explained."""
        venue, clock = self.on.venue, self.on.clock
        fold(self.state, await venue.positions())
        started = clock.now()
        fold(self.state, BalanceRead(started=started, at=clock.now(), balances=await venue.balances()))
        started, since_ms = clock.now(), ledger_from_ms(self.state, clock.now())
        flows = await venue.ledger(since_ms=since_ms)
        fold(self.state, LedgerRead(started=started, at=clock.now(), since_ms=since_ms, flows=flows))
        fold(self.state, BalanceRead(started=started, at=clock.now(), balances=await venue.balances()))

    @property
    def drawdown(self) -> Decimal:
        balance = self.state.balance_behind(self.on.btc)
        assert balance is not None
        found = drawdown_of(self.state, balance.currency, self.on.clock.now())
        assert is_value(found.ratio), found.why
        return found.ratio

    async def kinds(self) -> set[FlowKind]:
        since_ms = self.on.clock.now().wall_ms - 3_600_000
        return {flow.kind for flow in await self.on.venue.ledger(since_ms=since_ms)}


def wealth(on: Stand, eyes: Eyes) -> Decimal:
    query, balance = on.exchange.query, eyes.state.balance_behind(on.btc)
    return query.pool(UID).equity if balance is not None and balance.pooled else query.balance(UID).equity


async def passed(on: Stand, ms: int = 20) -> None:
    """The venue's clock went on: a ledger is read until now, as far as we know that clock."""
    until_ms = on.server.now_ms() + ms
    while on.server.now_ms() <= until_ms:
        await on.clock.sleep(0.01)


def lose(on: Stand, percent: int = 4) -> None:
    """A long of 0.5 falls, and a part of it is closed at a loss."""
    on.set_price(on.btc, on.away(on.btc, -percent))
    on.lessen(on.long(on.btc), 20)


async def test_C140_what_trading_and_funding_took_raises_the_drawdown(bench: Bench) -> None:
    async with stand(bench, isolated=False) as on:
        on.hold(on.long(on.btc), 50)
        eyes = Eyes(on)
        await eyes.open()
        assert eyes.drawdown == 0
        start = wealth(on, eyes)
        lose(on)
        on.exchange.settle_funding(on.btc, Decimal("0.001"), on.server.now_ms())
        await eyes.look()
        assert eyes.drawdown == pytest.approx(1 - wealth(on, eyes) / start, abs=Decimal("0.001"))
        assert {FlowKind.PNL, FlowKind.FEE, FlowKind.FUNDING} <= await eyes.kinds()


@pytest.mark.parametrize(
    ("direction", "amount"), [(TransferDirection.TO_FUTURES, 400), (TransferDirection.TO_SPOT, 900)]
)
async def test_C141_a_transfer_leaves_the_drawdown_as_it_was(
    bench: Bench, direction: TransferDirection, amount: int
) -> None:
    async with stand(bench, isolated=False) as on:
        on.hold(on.long(on.btc), 50)
        eyes = Eyes(on)
        await eyes.open()
        lose(on)
        await eyes.look()
        before = eyes.drawdown
        assert before > 0
        on.exchange.transfer(UID, direction, Decimal(amount), on.server.now_ms())
        await eyes.look()
        assert eyes.drawdown == pytest.approx(before, abs=Decimal("0.001"))
        assert FlowKind.TRANSFER in await eyes.kinds()


async def test_C142_margin_that_moves_into_an_isolated_position_is_no_flow(bench: Bench) -> None:
    async with stand(bench, isolated=True) as on:
        key = on.long(on.btc)
        on.hold(key, 20)
        eyes = Eyes(on)
        await eyes.open()
        if on.venue.capabilities.add_margin:
            assert on.operator is not None
            view = on.view(key)
            assert view is not None
            on.exchange.add_margin(UID, on.btc, view.side, Decimal(50), on.server.now_ms())
        await eyes.look()
        assert eyes.drawdown < Decimal("0.001")


async def test_C143_a_long_ledger_is_read_to_its_end(bench: Bench) -> None:
    async with stand(bench, isolated=False) as on:
        since_ms = on.server.now_ms()
        for _ in range(130):
            on.exchange.transfer(UID, TransferDirection.TO_FUTURES, Decimal(1), on.server.now_ms())
            on.exchange.transfer(UID, TransferDirection.TO_SPOT, Decimal(1), on.server.now_ms())
        await passed(on)
        flows = await on.venue.ledger(since_ms=since_ms)
        assert len(flows) == 260
        assert len({flow.id for flow in flows}) == 260
        assert sum(flow.amount for flow in flows) == 0


async def test_C144_the_ledger_begins_where_it_was_asked_for(bench: Bench) -> None:
    async with stand(bench, isolated=False) as on:
        on.exchange.transfer(UID, TransferDirection.TO_FUTURES, Decimal(7), on.server.now_ms())
        later_ms = on.server.now_ms() + 5
        await passed(on)
        on.exchange.transfer(UID, TransferDirection.TO_FUTURES, Decimal(8), on.server.now_ms())
        await passed(on)
        assert [flow.amount for flow in await on.venue.ledger(since_ms=later_ms)] == [8]
