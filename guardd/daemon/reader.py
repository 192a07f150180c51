"""Reads the venue: on a schedule within the budget, at once when something asks, everything after a reconnect.

REST is the authority, streams are speed. Each kind of read is a poll of its own, so that a slow one never delays another. A
**full read** is finished when every kind was read after it was asked for.
"""

import asyncio
from collections.abc import Awaitable, Callable, Container, Coroutine, Iterator
from enum import StrEnum
from typing import Any, Final

from guardd.clock import Clock
from guardd.errors import CredentialsError, VenueError, VenueUnreachable
from guardd.model.event import (
    BalanceRead,
    ClockRead,
    Event,
    InstrumentsRead,
    LedgerRead,
    PositionModeRead,
    PositionsRead,
    ReadFailed,
    SnapshotFinished,
)
from guardd.model.instant import Instant
from guardd.model.instrument import Instrument
from guardd.model.names import Symbol
from guardd.venues.base import Venue


class ReadKind(StrEnum):
    POSITIONS = "positions"
    BALANCE = "balance"
    ORDERS = "orders"
    POSITION_MODE = "position_mode"
    CLOCK = "clock"
    INSTRUMENTS = "instruments"
    LEDGER = "ledger"


EVERY_S: Final[dict[ReadKind, float]] = {
    ReadKind.POSITIONS: 1.0,
    ReadKind.BALANCE: 2.0,
    ReadKind.ORDERS: 10.0,
    ReadKind.POSITION_MODE: 30.0,
    ReadKind.CLOCK: 120.0,
    ReadKind.INSTRUMENTS: 3600.0,
    ReadKind.LEDGER: 30.0,
}
"""The reference's steady budget (BitMart, 18.2); position mode twice as often as I29 needs it. At rest positions are read as
seldom as the venue asks (`Capabilities.positions_at_rest_s`)."""
FULL: Final = (ReadKind.POSITIONS, ReadKind.BALANCE, ReadKind.ORDERS)
PARTIAL_EVERY_S: Final = 60.0
"""Contracts of which the venue told no margin tiers that make sense."""
AGAIN_AFTER_S: Final = 0.25
"""The shortest pause between two reads of one kind, however often they are asked for."""
AT_ONCE_DEADLINE_S: Final = 0.5
"""Of the one read of the positions before a closing move (interfaces.md 2.3 "Ages")."""
FAILED_PAUSE_S: Final = 1.0
REFUSED_PAUSE_S: Final = 30.0
"""A refused key isn't asked for again at once: the venue counts such calls too."""


class Poll:
    """One kind of read."""

    def __init__(self, kind: ReadKind, read: Callable[[], Awaitable[Event | None]], clock: Clock) -> None:
        self.kind = kind
        self.every_s = EVERY_S[kind]
        self.started: Instant | None = None
        """When the last successful read was asked for."""
        self._read = read
        self._clock = clock
        self._wanted = asyncio.Event()
        self._used = asyncio.Event()
        self._used.set()

    @property
    def used(self) -> bool:
        return self._used.is_set()

    def use(self, used: bool) -> None:
        """Whether anybody needs what this reads; it rests while nobody does."""
        (self._used.set if used else self._used.clear)()

    def want(self) -> None:
        """Read at once (or as soon as the shortest pause allows)."""
        self._wanted.set()

    async def run(
        self,
        done: Callable[["Poll", Event | None], None],
        failed: Callable[["Poll", VenueError | CredentialsError], None],
    ) -> None:
        """Read for ever. Whatever the venue does is an event; nothing here raises for it."""
        while True:
            await self._used.wait()
            self._wanted.clear()
            started = self._clock.now()
            try:
                event = await self._read()
            except (VenueError, CredentialsError) as error:
                failed(self, error)
                await self._clock.sleep(REFUSED_PAUSE_S if isinstance(error, CredentialsError) else FAILED_PAUSE_S)
            else:
                self.started = started
                done(self, event)
                await self._clock.sleep(AGAIN_AFTER_S)
                await self._clock.wait(self._wanted, self.every_s - AGAIN_AFTER_S)


class Reader:
    """All polls of one account."""

    def __init__(
        self,
        *,
        venue: Venue,
        post: Callable[[Event], None],
        clock: Clock,
        ledger_from_ms: Callable[[], int] = lambda: 0,
    ) -> None:
        """`ledger_from_ms`: from when on the ledger is wanted (the venue's time)."""
        self._venue = venue
        self._post = post
        self._clock = clock
        self._symbols: frozenset[Symbol] = frozenset()
        self._detailed: frozenset[Symbol] = frozenset()
        """Those whose contract details were read while they were followed."""
        self._told: set[Symbol] = set()
        """Those that were told with all that there is."""
        self._full_asked: Instant | None = None
        self._marks_wanted: dict[Symbol, None] = {}
        """In the order in which they were asked for: one that is asked for again and again keeps no other waiting."""
        self._mark_wake = asyncio.Event()
        self._ledger_from_ms = ledger_from_ms
        self._at_once = asyncio.Event()
        self._newest: Instant | None = None
        """When the newest list of positions that was told was asked for."""
        reads: dict[ReadKind, Callable[[], Awaitable[Event | None]]] = {
            ReadKind.POSITIONS: self._positions,
            ReadKind.BALANCE: self._balance,
            ReadKind.ORDERS: venue.orders,
            ReadKind.POSITION_MODE: self._position_mode,
            ReadKind.CLOCK: self._clock_offset,
            ReadKind.INSTRUMENTS: self._instruments,
            ReadKind.LEDGER: self._ledger,
        }
        self._polls = {kind: Poll(kind, read, clock) for kind, read in reads.items()}
        for kind in (ReadKind.LEDGER, ReadKind.INSTRUMENTS):
            self._polls[kind].use(False)

    def tasks(self) -> Iterator[tuple[str, Callable[[], Awaitable[None]]]]:
        """Name and body of every task that this reader needs, for the supervisor."""
        for kind, poll in self._polls.items():
            yield f"read-{kind}", lambda poll=poll: poll.run(self._done, self._failed)  # type: ignore[misc]
        yield "read-marks", self._read_marks
        yield "read-at-once", self._read_at_once

    def want(self, *kinds: ReadKind) -> None:
        """Read these at once."""
        for kind in kinds:
            self._polls[kind].want()

    def want_positions_at_once(self) -> None:
        """One read of the positions now, whatever a poll that is under way does: a closing move waits for it."""
        self._at_once.set()

    def follow_ledger(self, used: bool) -> None:
        """Read the ledger from now on, or no more: only a policy with `account_drawdown` needs it."""
        self._polls[ReadKind.LEDGER].use(used)

    @property
    def follows_ledger(self) -> bool:
        return self._polls[ReadKind.LEDGER].used

    def want_full(self) -> None:
        """Ask for a full read; `SnapshotFinished` tells when it is in."""
        self._full_asked = self._clock.now()
        self.want(*FULL)

    @property
    def full_at(self) -> Instant | None:
        """Everything that a full read holds was asked for at this moment or later; None before all of it was read."""
        starts = [self._polls[kind].started for kind in FULL]
        known = [start for start in starts if start is not None]
        return min(known, key=lambda start: start.mono_ns) if len(known) == len(FULL) else None

    def want_mark(self, symbol: Symbol) -> None:
        """Ask for one mark by REST."""
        self._marks_wanted.setdefault(symbol)
        self._mark_wake.set()

    def follow(self, symbols: frozenset[Symbol], *, marked: Container[Symbol] = frozenset()) -> None:
        """These symbols are held: know their instruments, stream their marks; ask for those that aren't `marked` yet.

        A mark by REST costs a call of the positions' own budget: one for each symbol at a start would hold the full read back.
        """
        if symbols == self._symbols:
            return
        self._symbols = symbols
        self._detailed &= symbols
        self._venue.watch(sorted(symbols))
        self._polls[ReadKind.INSTRUMENTS].use(bool(symbols))
        if symbols - self._detailed:
            self._polls[ReadKind.INSTRUMENTS].want()
        for symbol in sorted(symbols):
            if symbol not in marked:
                self.want_mark(symbol)

    def rest(self, positions_every_s: float) -> None:
        """Nothing is near, and the stream tells what changes: positions are read that seldom until `stir`."""
        self._polls[ReadKind.POSITIONS].every_s = positions_every_s

    def stir(self) -> None:
        """Positions are read at their own pace again."""
        self._polls[ReadKind.POSITIONS].every_s = EVERY_S[ReadKind.POSITIONS]

    def _done(self, poll: Poll, event: Event | None) -> None:
        if event is not None:
            self._post(event)
        asked = self._full_asked
        if asked is None:
            return
        starts = [self._polls[kind].started for kind in FULL]
        if all(start is not None and start.mono_ns >= asked.mono_ns for start in starts):
            self._full_asked = None
            self._post(SnapshotFinished(started=asked, at=self._clock.now()))

    def _failed(self, poll: Poll, error: VenueError | CredentialsError) -> None:
        self._tell_failure(poll.kind, error)

    def _tell_failure(self, endpoint: str, error: VenueError | CredentialsError) -> None:
        refused = isinstance(error, CredentialsError)
        self._post(ReadFailed(at=self._clock.now(), endpoint=endpoint, why=str(error), credentials_refused=refused))

    async def _positions(self) -> Event | None:
        """A list that was overtaken by one asked for later says nothing any more."""
        return self._if_newest(await self._venue.positions())

    def _if_newest(self, read: PositionsRead) -> PositionsRead | None:
        if self._newest is not None and read.started.mono_ns < self._newest.mono_ns:
            return None
        self._newest = read.started
        return read

    async def _balance(self) -> Event:
        started = self._clock.now()
        balances = await self._venue.balances()
        return BalanceRead(started=started, at=self._clock.now(), balances=balances)

    async def _ledger(self) -> Event:
        started, since_ms = self._clock.now(), self._ledger_from_ms()
        flows = await self._venue.ledger(since_ms=since_ms)
        return LedgerRead(started=started, at=self._clock.now(), since_ms=since_ms, flows=flows)

    async def _position_mode(self) -> Event:
        mode = await self._venue.position_mode()
        return PositionModeRead(at=self._clock.now(), mode=mode)

    async def _clock_offset(self) -> Event:
        offset_ms = await self._venue.clock_offset_ms()
        return ClockRead(at=self._clock.now(), offset_ms=offset_ms)

    async def _instruments(self) -> Event | None:
        """Of what is new if anything is, else of all. A stop needs no margin tiers, and those of fifty contracts take seconds."""
        if not self._symbols:
            return None
        asked = (self._symbols - self._detailed) or self._symbols
        instruments = await self._venue.instruments(sorted(asked), early=self._early)
        self._told.update(each.symbol for each in instruments)
        self._detailed |= asked & self._symbols
        lacking = any(not each.tiers and not each.unguarded for each in instruments)
        self._polls[ReadKind.INSTRUMENTS].every_s = PARTIAL_EVERY_S if lacking else EVERY_S[ReadKind.INSTRUMENTS]
        return InstrumentsRead(at=self._clock.now(), instruments=instruments, asked=asked)

    def _early(self, found: tuple[Instrument, ...]) -> None:
        fresh = tuple(each for each in found if each.symbol not in self._told)
        if fresh:
            self._post(InstrumentsRead(at=self._clock.now(), instruments=fresh))

    async def _read_at_once(self) -> None:
        """One after the other, each within its deadline; what it is for is decided anew when it is in."""
        while True:
            await self._at_once.wait()
            self._at_once.clear()
            try:
                read = await self._in_time(self._venue.positions(), AT_ONCE_DEADLINE_S)
            except (VenueError, CredentialsError) as error:
                self._tell_failure("positions-at-once", error)
            else:
                if (event := self._if_newest(read)) is not None:
                    self._post(event)
            await self._clock.sleep(AGAIN_AFTER_S)

    async def _in_time(self, read: Coroutine[Any, Any, PositionsRead], seconds: float) -> PositionsRead:
        """The answer, or `VenueUnreachable` when none came in this time."""
        answers: list[PositionsRead | VenueError | CredentialsError] = []
        done = asyncio.Event()

        async def ask() -> None:
            try:
                answers.append(await read)
            except (VenueError, CredentialsError) as error:
                answers.append(error)
            finally:
                done.set()

        async with asyncio.TaskGroup() as group:
            asking = group.create_task(ask())
            await self._clock.wait(done, seconds)
            asking.cancel()
        answer = answers[0] if answers else VenueUnreachable(f"no answer within {seconds:g} s")
        if isinstance(answer, PositionsRead):
            return answer
        raise answer

    async def _read_marks(self) -> None:
        while True:
            await self._mark_wake.wait()
            self._mark_wake.clear()
            while self._marks_wanted:
                symbol = next(iter(self._marks_wanted))
                del self._marks_wanted[symbol]
                try:
                    self._post(await self._venue.mark(symbol))
                except (VenueError, CredentialsError) as error:
                    self._tell_failure("mark", error)
