"""One look at an account: every read that the daemon makes at its start, folded as the daemon folds them. Sends no write."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from guardd.cli.mends import LACKS_PERMISSION
from guardd.clock import Clock
from guardd.config import AccountSettings, Secrets, Settings, account_name, venue_name
from guardd.config import Venue as SpokenVenue
from guardd.daemon.wiring import World, real_world, venue_of
from guardd.errors import VenueRefused
from guardd.model.event import BalanceRead, ClockRead, InstrumentsRead, PositionModeRead, SnapshotFinished, VenueLearned
from guardd.model.facts import Fact, Said
from guardd.model.fold import fold
from guardd.model.names import Symbol
from guardd.model.state import AccountState
from guardd.risk.crosscheck import Check, Mismatch, cross_check
from guardd.venues import bitget, bitmart
from guardd.venues.base import Venue

STREAMS_WITHIN_S: Final = 6.0
"""How long a look waits for both streams and for a streamed mark of each position."""


@dataclass(slots=True, kw_only=True)
class Window:
    """An account's adapter, and what was seen through it so far."""

    venue: Venue
    state: AccountState
    clock: Clock
    said: list[Said]
    """What the adapter told people: an announced delisting, an equity that isn't the sum of its parts."""
    may_trade: bool | None = None
    """Whether a signed call was let through; None: not asked."""

    async def measure_clock(self) -> None:
        """Raises `VenueUnreachable`."""
        await self.venue.open()
        capabilities, family = self.venue.capabilities, self.venue.family
        fold(self.state, VenueLearned(capabilities=capabilities, family=family, at=self.clock.now()))
        offset_ms = await self.venue.clock_offset_ms()
        fold(self.state, ClockRead(offset_ms=offset_ms, at=self.clock.now()))

    async def prove_key(self) -> None:
        """One signed call that changes nothing. Raises `CredentialsError` where key or signature is refused."""
        try:
            await self.venue.prove_key()
        except VenueRefused as refused:
            if refused.code not in LACKS_PERMISSION:
                raise
            self.may_trade = False
        else:
            self.may_trade = True

    async def read(self, *also: Symbol) -> None:
        """Positions, contracts, balance, mode, orders, marks: one full read. Raises `VenueError`, `CredentialsError`."""
        clock, venue = self.clock, self.venue
        started = clock.now()
        positions = await venue.positions()
        fold(self.state, positions)
        held = {position.key.symbol for position in positions.positions}
        symbols = sorted({*held, *also})
        venue.watch(symbols)
        if symbols:
            fold(self.state, InstrumentsRead(instruments=await venue.instruments(symbols), at=clock.now()))
        fold(self.state, BalanceRead(balances=await venue.balances(), at=clock.now()))
        fold(self.state, PositionModeRead(mode=await venue.position_mode(), at=clock.now()))
        fold(self.state, await venue.orders())
        for symbol in sorted(held - set(self.state.marks)):
            fold(self.state, await venue.mark(symbol))
        fold(self.state, SnapshotFinished(started=started, at=clock.now()))

    async def read_anew(self) -> None:
        """The same, and nothing of earlier reads is believed: a single look can't confirm that a position is gone (I6)."""
        old = self.state
        self.state = AccountState(
            name=old.name,
            venue=old.venue,
            capabilities=old.capabilities,
            family=old.family,
            learned_at=old.learned_at,
        )
        await self.read()

    async def listen(self) -> None:
        """Take what the streams bring until they are up and show every mark, or the time for it is over."""
        try:
            async with asyncio.timeout(STREAMS_WITHIN_S), aclosing(self.venue.stream()) as events:
                async for event in events:
                    fold(self.state, event)
                    if all(stream.up for stream in self.state.streams.values()) and not self._waits_for_marks():
                        return
        except TimeoutError:
            return

    def _waits_for_marks(self) -> bool:
        """Pushes of positions aren't waited for: the venue repeats them every ten seconds only."""
        return any(mismatch.check is Check.MARKS for mismatch in self.mismatches())

    def mismatches(self) -> tuple[Mismatch, ...]:
        """What the account's figures say against each other, or what no second witness has confirmed yet (I29)."""
        return cross_check(self.state, now=self.clock.now())


@asynccontextmanager
async def world_of(clock: Clock) -> AsyncIterator[World]:
    """The machine's network, for as long as a command needs it."""
    world = real_world(clock)
    try:
        yield world
    finally:
        await world.wire.close()


@asynccontextmanager
async def window_on(
    account: AccountSettings, settings: Settings, secrets: Secrets, world: World
) -> AsyncIterator[Window]:
    """Raises `CredentialsError` or `ConfigurationError` before anything is asked of the venue."""
    said: list[Said] = []

    def listen(fact: Fact, /) -> None:
        if isinstance(fact, Said):
            said.append(fact)

    venue = venue_of(account, settings, secrets, world, listen)
    state = AccountState(name=account_name(account), venue=venue_name(account), capabilities=venue.capabilities)
    try:
        yield Window(venue=venue, state=state, clock=world.clock, said=said)
    finally:
        await venue.close()


def address_of(account: AccountSettings) -> str:
    """Where its venue answers."""
    hosts_for = bitmart.hosts_for if account.venue is SpokenVenue.BITMART else bitget.hosts_for
    return hosts_for(account.environment, rest_url=account.rest_url, stream_url=account.stream_url).rest
