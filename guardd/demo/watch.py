"""What the demo looks at: the exchange's truth over its control routes, the guard's view over /status, its log file.

Only the exchange's ledger decides how it ended; the guard's own words are shown while it runs.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

import aiohttp
import msgspec

from guardd.demo import scenario
from guardd.demo.scenario import Play
from guardd.simulator.ledger import Cell, Ledger, LedgerRow, RowKind
from guardd.simulator.orders import MarginMode, PlanKind, PositionSide, Side
from guardd.simulator.server import CONTROL_PREFIX

ANSWER_S: Final = 5.0
"""Deadline of each look: both processes are on this machine."""


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    mark: Decimal


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """A position as the exchange holds it; sizes in contracts of the story."""

    symbol: str
    side: PositionSide
    margin_mode: MarginMode
    size: Decimal
    mark_price: Decimal
    liquidation_price: Decimal | None

    @property
    def distance(self) -> Decimal | None:
        """How far the mark is from liquidation, as a share of the mark."""
        if self.liquidation_price is None:
            return None
        return (self.mark_price - self.liquidation_price) * self.side.sign / self.mark_price


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    symbol: str
    kind: PlanKind
    side: Side
    trigger_price: Decimal


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    equity: Decimal


class Account(msgspec.Struct, frozen=True, kw_only=True):
    balance: Balance
    positions: tuple[Position, ...]
    plans: tuple[Plan, ...]

    def position(self, symbol: str, side: PositionSide) -> Position | None:
        return next((each for each in self.positions if (each.symbol, each.side) == (symbol, side)), None)

    def stop(self, symbol: str, side: PositionSide) -> Decimal | None:
        """The trigger of the resting stop that fires first."""
        found = [
            plan.trigger_price
            for plan in self.plans
            if plan.kind is PlanKind.STOP_LOSS and plan.symbol == symbol and plan.side is side.closing
        ]
        return max(found, key=lambda trigger: trigger * side.sign) if found else None


class Venue(msgspec.Struct, frozen=True, kw_only=True):
    """The exchange's own state, with its own time."""

    now_ms: int
    quotes: dict[str, Quote]
    accounts: dict[str, Account]


class NextRule(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    at_mark_price: Decimal | None


class Guarded(msgspec.Struct, frozen=True, kw_only=True):
    """A position as the guard shows it on /status."""

    symbol: str
    side: str
    protected: bool
    next_rule: NextRule | None


class GuardedAccount(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    state: str
    state_reason: str
    positions: tuple[Guarded, ...]


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The guard's /status, as far as it is shown."""

    mode: str
    accounts: tuple[GuardedAccount, ...]

    def waits_for(self, legs: int, *, observe: bool) -> str:
        """Why the play can't begin yet; empty when each account is live and, unless only observed, each position protected."""
        for account in self.accounts:
            if account.state != "live":
                return f"{account.name} is {account.state}: {account.state_reason}"
            if len(account.positions) < legs:
                return f"{account.name} shows {len(account.positions)} of {legs} positions"
            bare = [f"{each.symbol} {each.side}" for each in account.positions if not each.protected]
            if bare and not observe:
                return f"{account.name} has no verified stop yet for {', '.join(bare)}"
        return "" if self.accounts else "no account is shown"

    def next_rule(self, symbol: str, side: PositionSide) -> NextRule | None:
        for account in self.accounts:
            for each in account.positions:
                if (each.symbol, each.side) == (symbol, side.value):
                    return each.next_rule
        return None


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the guard's log, as far as it is shown."""

    event: str
    timestamp: datetime
    level: str = "info"
    rule: str = ""
    position: str = ""
    why: str = ""

    @property
    def at_ms(self) -> int:
        """Wall time; the exchange's own is that of the same machine."""
        return int(self.timestamp.timestamp() * 1_000)


@dataclass(slots=True, kw_only=True)
class Exchange:
    """The exchange seen through its control routes; `ledger` is a copy that grows with each `look`.

    `lots`: contracts of the story in one unit of size of this exchange, by symbol.
    """

    rest_url: str
    session: aiohttp.ClientSession
    lots: dict[str, Decimal]
    ledger: Ledger = field(default_factory=Ledger)
    _seen: int = 0

    async def begin(self, play: Play) -> int:
        """Let the market take its course; returns when it began, in the exchange's time. The feed suffers as it did then."""
        paths = [
            {
                "symbol": symbol,
                "kind": "scripted",
                "points": [[offset_ms, str(mark)] for offset_ms, mark in points],
                "step_ms": scenario.STEP_MS,
                "feed": number == 0,
                "begins_ms": play.crash_ms,
            }
            for number, (symbol, points) in enumerate(play.marks.items())
        ]
        async with self.session.post(self._route("prices"), json={"paths": paths}) as answer:
            answer.raise_for_status()
            return msgspec.json.decode(await answer.read(), type=dict[str, int])["started_ms"]

    async def look(self) -> tuple[Venue, list[LedgerRow]]:
        """The present state, and what happened since the last look."""
        venue = self._in_lots(msgspec.json.decode(await self._get("state"), type=Venue))
        found = await self._get(f"ledger?after={self._seen}")
        rows = [_row(cells, self.lots) for cells in msgspec.json.decode(found, type=list[dict[str, Cell]])]
        for row in rows:
            self.ledger.append(
                sequence=row.sequence,
                at_ms=row.at_ms,
                kind=row.kind,
                uid=row.uid,
                symbol=row.symbol,
                details=row.details,
            )
            self._seen = row.sequence
        return venue, rows

    async def read_equity(self, uids: tuple[str, ...]) -> None:
        """Take the ledger's equity series in: once, at the end."""
        for uid in uids:
            samples = msgspec.json.decode(await self._get(f"equity?uid={uid}"), type=list[_EquityRead])
            for sample in samples:
                self.ledger.sample_equity(uid, sample.at_ms, sample.equity, edge=True)

    def _in_lots(self, venue: Venue) -> Venue:
        accounts = {
            uid: msgspec.structs.replace(
                account,
                positions=tuple(
                    msgspec.structs.replace(each, size=each.size * self.lots[each.symbol]) for each in account.positions
                ),
            )
            for uid, account in venue.accounts.items()
        }
        return msgspec.structs.replace(venue, accounts=accounts)

    async def _get(self, name: str) -> bytes:
        async with self.session.get(self._route(name)) as answer:
            answer.raise_for_status()
            return await answer.read()

    def _route(self, name: str) -> str:
        return f"{self.rest_url}{CONTROL_PREFIX}{name}"


class _EquityRead(msgspec.Struct, frozen=True, kw_only=True):
    at_ms: int
    equity: Decimal


_HEAD: Final = frozenset({"sequence", "at_ms", "kind", "uid", "symbol"})
_SIZES: Final = frozenset({"size", "after"})


def _row(cells: dict[str, Cell], lots: dict[str, Decimal]) -> LedgerRow:
    symbol = str(cells["symbol"])
    for name in _SIZES & cells.keys() if symbol in lots else ():
        if cells[name] is not None:
            cells[name] = str(Decimal(str(cells[name])) * lots[symbol])
    return LedgerRow(
        sequence=int(cells["sequence"] or 0),
        at_ms=int(cells["at_ms"] or 0),
        kind=RowKind(str(cells["kind"])),
        uid=str(cells["uid"]),
        symbol=str(cells["symbol"]),
        details={name: cell for name, cell in cells.items() if name not in _HEAD},
    )


async def read_status(session: aiohttp.ClientSession, address: str) -> Status | None:
    """The guard's /status; None while nothing answers there."""
    try:
        async with session.get(f"{address}/status") as answer:
            answer.raise_for_status()
            return msgspec.json.decode(await answer.read(), type=Status)
    except (aiohttp.ClientError, TimeoutError):
        return None


@dataclass(slots=True, kw_only=True)
class Log:
    """The guard's log, read as it grows."""

    file: Path
    _offset: int = 0

    def fresh(self) -> Iterator[LogLine]:
        """Whole lines written since the last call; what isn't JSON is left out here (and stays in the file)."""
        with self.file.open("rb") as lines:
            lines.seek(self._offset)
            while (line := lines.readline()).endswith(b"\n"):
                self._offset = lines.tell()
                try:
                    yield msgspec.json.decode(line, type=LogLine)
                except msgspec.MsgspecError:
                    continue
