"""A venue's server on loopback with its adapter before it, the owner's own hand on the account, and the laws that every case obeys.

    async with stand(bench) as on:
        on.hold(on.long(on.btc), 5)                  # hundredths of a coin, by the owner
        outcome = await on.send(on.close(key, 5))    # by the adapter
        assert on.held(key) == 0                     # the exchange's own word

When a case ends its ledger is read: whatever was asked of the adapter, nothing but the owner's own orders may have opened
anything (I1, I2), no client id was executed twice (I7), and no secret was told to anybody (I26).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Final, TypeVar

import pytest

from guardd.model.event import Event, StreamMoved, StreamName
from guardd.model.facts import Fact, Said
from guardd.model.intent import CancelKind, CancelOrder, CloseAtMarket, PlaceProtection, SetLeverage, Write
from guardd.model.names import (
    AccountName,
    ClientId,
    MarginMode,
    OrderId,
    PositionKey,
    PositionMode,
    PriceType,
    Severity,
    Side,
    Symbol,
)
from guardd.model.order import OrderReport, PlanForm, PlanOrder, ProtectionKind, RestingOrder
from guardd.model.outcome import Accepted, Outcome, Rejected, Unknown
from guardd.simulator import truth
from guardd.simulator.engine import Exchange
from guardd.simulator.faults import Fault, FaultKind, Faults
from guardd.simulator.ledger import RowKind
from guardd.simulator.orders import MarginMode as HeldMargin
from guardd.simulator.orders import (
    Order,
    OrderKind,
    OrderRequest,
    Plan,
    PlanKind,
    PlanRequest,
    PositionSide,
    PriceSource,
)
from guardd.simulator.orders import PositionMode as HeldMode
from guardd.simulator.orders import Side as OrderSide
from guardd.simulator.records import PositionView
from guardd.simulator.server import SimulatorServer
from guardd.venues.base import OperatorVenue, Venue
from guardd.venues.limiter import Lane
from guardd.venues.network import NetworkWire
from tests.venues.contract.bench import Account, Bench, Denial, Keys, Line, Trait, Wiring
from tests.venues.contract.hasty import HastyClock
from tests.venues.contract.tap import Tap

ACCOUNT: Final = AccountName("main")
UID: Final = "main"
OURS: Final = "gd1"
MAIN: Final = Keys(key="key-main", secret="secret-of-the-main-key", passphrase="words-of-main")
READ_ONLY: Final = Keys(key="key-eyes", secret="secret-of-the-read-only-key", passphrase="words-of-eyes")
SHARE: Final = 0.7
DEADLINE_S: Final = 2.0
SHORT_DEADLINE_S: Final = 0.3
"""For answers that never come: nobody waits longer than needed."""

_Found = TypeVar("_Found")


def open_account(exchange: Exchange, account: Account) -> None:
    """An account with one futures wallet; a venue with several has an opener of its own."""
    exchange.add_account(
        account.uid,
        deposit=account.deposit,
        spot=account.spot,
        position_mode=HeldMode.HEDGE if account.hedge else HeldMode.ONE_WAY,
        margin_mode=HeldMargin.ISOLATED if account.isolated else HeldMargin.CROSS,
        leverage=account.leverage,
    )


@dataclass(slots=True, kw_only=True)
class Stand:
    bench: Bench
    clock: HastyClock
    exchange: Exchange
    faults: Faults
    server: SimulatorServer
    venue: Venue
    operator: OperatorVenue
    tap: Tap
    mode: PositionMode
    margin: MarginMode
    facts: list[Fact] = field(default_factory=list)
    heard: list[Event] = field(default_factory=list)
    owned: set[str] = field(default_factory=set)
    """Ids of the orders and plans that the owner (or the operator, at his word) placed."""
    _sends: int = 0

    # Who is who

    @property
    def btc(self) -> Symbol:
        return self.bench.btc

    @property
    def eth(self) -> Symbol:
        return self.bench.eth

    def long(self, symbol: Symbol) -> PositionKey:
        return PositionKey(ACCOUNT, symbol, Side.LONG)

    def short(self, symbol: Symbol) -> PositionKey:
        return PositionKey(ACCOUNT, symbol, Side.SHORT)

    def size(self, key: PositionKey, hundredths: int | Decimal) -> Decimal:
        return self.bench.size(key.symbol, hundredths)

    # The exchange's own word

    def view(self, key: PositionKey) -> PositionView | None:
        return self.exchange.query.position(UID, key.symbol, PositionSide(key.side.value))

    def held(self, key: PositionKey) -> Decimal:
        """In hundredths of a coin."""
        view = self.view(key)
        return Decimal(0) if view is None else view.size / self.bench.hundredth[key.symbol]

    def mark(self, symbol: Symbol) -> Decimal:
        quote = self.exchange.query.quote(symbol)
        assert quote is not None
        return quote.mark

    def away(self, symbol: Symbol, percent: str | int) -> Decimal:
        """The price so far from the mark, on tick."""
        tick = self.exchange.query.contract(symbol).tick
        wanted = self.mark(symbol) * (1 + Decimal(percent) / 100)
        return (wanted / tick).to_integral_value() * tick

    def against(self, key: PositionKey, percent: int) -> Decimal:
        """The price so far on the losing side of a position, on tick; below zero: on its winning side."""
        return self.away(key.symbol, -percent * key.side.sign)

    def live_plans(self, key: PositionKey | None = None) -> list[Plan]:
        plans = self.exchange.query.open_plans(UID)
        return [each for each in plans if key is None or _is_of(each, key)]

    def fills(self) -> int:
        return len(self.exchange.ledger.rows(uid=UID, kind=RowKind.FILL))

    def naked_ms(self, key: PositionKey) -> int:
        """For how long the position stood without a stop over all of it, since it was opened."""
        return truth.unprotected_ms(
            self.exchange.ledger, UID, key.symbol, PositionSide(key.side.value), until_ms=self.server.now_ms()
        )

    # The owner's hand

    def hold(self, key: PositionKey, hundredths: int | Decimal) -> Order:
        return self._owner(key, self.size(key, hundredths), closes=False)

    def lessen(self, key: PositionKey, hundredths: int | Decimal) -> Order:
        return self._owner(key, self.size(key, hundredths), closes=True)

    def rest(self, key: PositionKey, hundredths: int, price: Decimal, *, closes: bool) -> Order:
        return self._owner(key, self.size(key, hundredths), closes=closes, price=price)

    def protect(
        self,
        key: PositionKey,
        kind: PlanKind,
        trigger: Decimal,
        hundredths: int | None = None,
        source: PriceSource = PriceSource.MARK,
    ) -> Plan:
        request = PlanRequest(
            symbol=key.symbol,
            kind=kind,
            side=PositionSide(key.side.value).closing,
            reduce=True,
            trigger_price=trigger,
            source=source,
            size=None if hundredths is None else self.size(key, hundredths),
        )
        plan = self.exchange.place_plan(UID, request, self.server.now_ms())
        self.owned.add(plan.plan_id)
        return plan

    def set_price(self, symbol: Symbol, price: Decimal) -> None:
        self.server.set_price(symbol, price)

    def fault(self, kind: FaultKind, line: Line, **settings: object) -> None:
        """Let it strike at the venue's paths of that line. `times` counts for each path."""
        for number, path in enumerate(self.bench.paths[line]):
            fault = Fault(name=f"{kind}-{line}-{number}", kind=kind, target=path, **settings)  # type: ignore[arg-type]
            self.faults.set(fault)

    def hide_orders(self) -> None:
        """No look-up shows an order, as if it were too new."""
        for number, (path, kind, code) in enumerate(self.bench.shows_late):
            self.faults.set(Fault(name=f"late-{number}", kind=kind, target=path, code=code))

    # The adapter's

    async def send(
        self,
        write: Write,
        client_id: str = "",
        *,
        mode: PositionMode | None = None,
        lane: Lane = Lane.EMERGENCY,
        deadline_s: float = DEADLINE_S,
    ) -> Outcome:
        """With a fresh client id unless one is given, and the account's own position mode unless another is believed."""
        self._sends += 1
        return await self.venue.send(
            write,
            client_id=ClientId(client_id or f"{OURS}case{self._sends}"),
            position_mode=mode or self.mode,
            lane=lane,
            deadline_s=deadline_s,
        )

    async def plans(self) -> tuple[PlanOrder, ...]:
        read = await self.venue.orders(resting=False)
        assert read.plans is not None
        return read.plans

    async def resting(self) -> tuple[RestingOrder, ...]:
        read = await self.venue.orders(plans=False)
        assert read.resting is not None
        return read.resting

    async def find(self, key: PositionKey, client_id: str = "", order_id: str | None = None) -> OrderReport | None:
        return await self.venue.find_order(
            key,
            client_id=ClientId(client_id) if client_id else None,
            order_id=None if order_id is None else OrderId(order_id),
        )

    async def found(self, key: PositionKey, client_id: str = "", order_id: str | None = None) -> OrderReport:
        """The order, which may take the venue's look-up delay to show."""

        async def look() -> OrderReport | None:
            return await self.find(key, client_id, order_id)

        return await eventually(look, within_s=self.venue.capabilities.lookup_delay_s + 2.0)

    def close(self, key: PositionKey, hundredths: int | Decimal, limit_price: Decimal | None = None) -> CloseAtMarket:
        return CloseAtMarket(key=key, size=self.size(key, hundredths), limit_price=limit_price)

    def stop(
        self,
        key: PositionKey,
        trigger: Decimal | None = None,
        *,
        form: PlanForm = PlanForm.WHOLE,
        hundredths: int | None = None,
        kind: ProtectionKind = ProtectionKind.STOP_LOSS,
        price_type: PriceType = PriceType.MARK,
    ) -> PlaceProtection:
        """A stop 5 % against the position unless told otherwise; `hundredths` for the sized form."""
        view = self.view(key)
        return PlaceProtection(
            key=key,
            kind=kind,
            form=form,
            trigger_price=self.against(key, 5) if trigger is None else trigger,
            price_type=price_type,
            size=None if hundredths is None else self.size(key, hundredths),
            position_size=self.size(key, 1) if view is None else view.size,
            leverage=Decimal(10) if view is None else view.leverage,
            margin_mode=self.margin,
        )

    def cancel(self, key: PositionKey, order_id: str, kind: CancelKind = CancelKind.PLAN) -> CancelOrder:
        return CancelOrder(key=key, order_id=OrderId(order_id), kind=kind)

    def leverage(self, key: PositionKey, to: int) -> SetLeverage:
        return SetLeverage(key=key, margin_mode=self.margin, leverage=Decimal(to))

    def denied(self, outcome: Outcome, denial: Denial) -> Rejected:
        """The venue said no, for a reason that the bench knows."""
        assert isinstance(outcome, Rejected), outcome
        assert outcome.reason in self.bench.denials[denial], outcome
        return outcome

    # What was heard

    def moves(self, stream: StreamName) -> list[bool]:
        return [event.up for event in self.heard if isinstance(event, StreamMoved) and event.stream is stream]

    def up(self) -> set[StreamName]:
        return {stream for stream in StreamName if self.moves(stream)[-1:] == [True]}

    def of(self, kind: type[_Found]) -> list[_Found]:
        return [event for event in self.heard if isinstance(event, kind)]

    def said(self, least: Severity = Severity.INFO) -> list[Said]:
        ranks = list(Severity)
        return [
            fact for fact in self.facts if isinstance(fact, Said) and ranks.index(fact.severity) >= ranks.index(least)
        ]

    @asynccontextmanager
    async def listening(self, symbols: Sequence[Symbol] = (), *, settled: bool = True) -> AsyncIterator[list[Event]]:
        """The adapter's stream runs while the block does; its events come to `heard`."""

        async def listen() -> None:
            async with aclosing(self.venue.stream()) as events:
                async for event in events:
                    self.heard.append(event)

        self.venue.watch(symbols)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(listen())
            try:
                if settled:
                    await until(lambda: self.up() == set(StreamName), within_s=8)
                yield self.heard
            finally:
                task.cancel()

    # What held to the end

    def check_laws(self) -> None:
        """The laws of the suite, by the exchange's ledger and by what was told."""
        self._nothing_but_the_owner_opened()
        self._no_client_id_twice()
        told = f"{self.facts!r} {self.heard!r} {self.venue!r} {self.operator!r}"
        for secret in (MAIN.secret, MAIN.passphrase, READ_ONLY.secret, READ_ONLY.passphrase):
            assert secret not in told, "I26: a secret was told"

    def _nothing_but_the_owner_opened(self) -> None:
        for row in self.exchange.ledger.rows(uid=UID, kind=RowKind.FILL):
            before, after = row.decimal("before"), row.decimal("after")
            if abs(after) > abs(before) or before * after < 0:
                assert row.details["order_id"] in self.owned, f"I2: an order that isn't the owner's opened: {row}"
        for row in self.exchange.ledger.rows(uid=UID, kind=RowKind.ORDER_ACCEPTED):
            ours = row.details["order_id"] not in self.owned
            assert row.details["reduce"] or not ours, f"I1: an order that isn't close-only went to the venue: {row}"
        for row in self.exchange.ledger.rows(uid=UID, kind=RowKind.PLAN):
            ours = row.details["plan_id"] not in self.owned
            assert row.details["reduce"] or not ours, f"I1: a plan that isn't close-only went to the venue: {row}"

    def _no_client_id_twice(self) -> None:
        assert truth.repeated_client_ids(self.exchange.ledger, UID, OURS) == (), "I7: one client id, two orders"

    def _owner(self, key: PositionKey, size: Decimal, *, closes: bool, price: Decimal | None = None) -> Order:
        opening = OrderSide.BUY if key.side is Side.LONG else OrderSide.SELL
        request = OrderRequest(
            symbol=key.symbol,
            side=PositionSide(key.side.value).closing if closes else opening,
            reduce=closes,
            size=size,
            kind=OrderKind.MARKET if price is None else OrderKind.LIMIT,
            price=price,
        )
        order = self.exchange.place(UID, request, self.server.now_ms())
        self.owned.add(order.order_id)
        return order


@asynccontextmanager
async def stand(
    bench: Bench,
    *,
    hedge: bool = True,
    isolated: bool = True,
    keys: Keys = MAIN,
    deposit: int = 10_000,
    opened: bool = True,
    speed: int = 1,
    reachable: bool = True,
) -> AsyncIterator[Stand]:
    clock = HastyClock(speed)
    now_ms = clock.now().wall_ms
    faults = Faults(seed=7)
    exchange = Exchange(bench.contracts(), seed=1, now_ms=now_ms, terms=bench.terms())
    account = Account(
        uid=UID, deposit=Decimal(deposit), spot=Decimal(500), hedge=hedge, isolated=isolated, leverage=Decimal(10)
    )
    bench.open_account(exchange, account)
    for symbol, price in bench.prices().items():
        exchange.move(symbol, mark=price, now_ms=now_ms)
    dialect = bench.dialect(exchange, faults)
    dialect.add_key(UID, MAIN.key, MAIN.secret, MAIN.passphrase, may_trade=True)
    dialect.add_key(UID, READ_ONLY.key, READ_ONLY.secret, READ_ONLY.passphrase, may_trade=False)
    tap = Tap(NetworkWire(clock))
    facts: list[Fact] = []
    async with SimulatorServer(exchange, dialect, faults, clock=clock, pulse_s=0.02 * speed) as server:
        wiring = Wiring(
            account=ACCOUNT,
            rest_url=server.rest_url if reachable else "http://127.0.0.1:9",
            stream_url=server.stream_url,
            keys=keys,
            share=SHARE,
            clock=clock,
            wire=tap,
            random=Random(3),
            listener=facts.append,
        )
        adapter = bench.adapter(wiring)
        on = Stand(
            bench=bench,
            clock=clock,
            exchange=exchange,
            faults=faults,
            server=server,
            venue=adapter.venue,
            operator=adapter.operator,
            tap=tap,
            mode=PositionMode.HEDGE if hedge else PositionMode.ONE_WAY,
            margin=MarginMode.ISOLATED if isolated else MarginMode.CROSS,
            facts=facts,
        )
        try:
            if opened:
                await on.venue.open()
            yield on
            on.check_laws()
        finally:
            await on.venue.close()
            await tap.close()
            await asyncio.sleep(0)


async def until(met: Callable[[], bool], within_s: float = 5.0) -> None:
    """Wait for what happens on the other side of a socket."""
    async with asyncio.timeout(within_s):
        while not met():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def eventually(look: Callable[[], Awaitable[_Found | None]], within_s: float = 5.0) -> _Found:
    """Ask until there is an answer."""
    async with asyncio.timeout(within_s):
        while True:
            if (found := await look()) is not None:
                return found
            await asyncio.sleep(0.1)


def accepted(outcome: Outcome) -> Accepted:
    assert isinstance(outcome, Accepted), outcome
    return outcome


def unknown(outcome: Outcome) -> Unknown:
    assert isinstance(outcome, Unknown), outcome
    return outcome


def order_id_of(outcome: Outcome) -> OrderId:
    order_id = accepted(outcome).order_id
    assert order_id is not None
    return order_id


def needs(bench: Bench, trait: Trait) -> None:
    if trait not in bench.traits:
        pytest.skip(f"{bench.name} has no {trait}")


def able(on: Stand, capability: str) -> None:
    """Skip what the adapter itself says that the venue can't."""
    if not getattr(on.venue.capabilities, capability):
        pytest.skip(f"{on.bench.name}: {capability} is declared as not there")


def _is_of(plan: Plan, key: PositionKey) -> bool:
    return plan.symbol == key.symbol and plan.position_side.value == key.side.value
