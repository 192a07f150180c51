"""What all checks of one account stand on: the exchange's ledger as a book of legs and plans, kept as it grows; and the breaches.

Nothing is scanned twice: each ledger row is taken in once, and what is asked at every price is a look-up here.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from guardd.model.intent import CLIENT_ID_PREFIX
from guardd.policy.language import Policy
from guardd.simulator.accounts import Position
from guardd.simulator.engine import Exchange
from guardd.simulator.ledger import LedgerRow, RowKind
from guardd.simulator.orders import PositionSide
from guardd.simulator.run import SimulatedVenue
from guardd.simulator.server import SimulatorServer

OURS: Final = CLIENT_ID_PREFIX
ZERO: Final = Decimal(0)
WHOLE: Final = Decimal("Infinity")
WELL_FOR_S: Final = 12.0
"""So long after the last strike, kill or deed a guard has read everything anew."""
LegKey = tuple[str, PositionSide]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Whose story this is. `acts` False: the account is only observed. `secrets`: texts that no fact and no file may hold."""

    account: str
    venue: SimulatedVenue
    policy: Policy
    acts: bool
    server: SimulatorServer | None = None
    secrets: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """The venue as a policy names it."""
        return "bitmart" if self.venue is SimulatedVenue.BITMART else "bitget"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A fault that stands from one second to another, and the invariants that it excuses meanwhile."""

    kind: str
    from_s: float
    until_s: float
    excuses: frozenset[str] = frozenset()


@dataclass(slots=True)
class Leg:
    """What is held on one side of a contract, and when that last grew or shrank (story seconds)."""

    size: Decimal = ZERO
    grew_at: float = -1e9
    shrank_at: float = -1e9
    opened_at: float = -1e9
    sizes: deque[tuple[float, Decimal]] = field(default_factory=deque)
    """Since when it had which size."""


@dataclass(slots=True, kw_only=True)
class Resting:
    """A plan order that rests, as its last row said."""

    plan_id: str
    symbol: str
    side: PositionSide
    kind: str
    ours: bool
    reduce: bool
    protects: bool
    trigger: Decimal
    size: Decimal
    """Infinity: whatever is held."""
    placed_at: float


@dataclass(slots=True)
class Working:
    """An order of ours that is not finished."""

    order_id: str
    symbol: str
    side: PositionSide
    rest: Decimal


@dataclass(slots=True)
class Ground:
    """One account's book. `take_in` brings it up to date and hands each new row to `hear`."""

    exchange: Exchange
    uid: str
    case: Case | None = None
    breaches: list[str] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    disturbed_until: float = 0.0
    legs: dict[LegKey, Leg] = field(default_factory=dict)
    resting: dict[LegKey, dict[str, Resting]] = field(default_factory=dict)
    working: dict[str, Working] = field(default_factory=dict)
    marks: dict[str, list[tuple[float, Decimal]]] = field(default_factory=dict)
    fired: dict[LegKey, tuple[int, Decimal]] = field(default_factory=dict)
    """By leg: the life (its opening, ms) in which a stop of ours fired or failed last, and its trigger."""
    contracts_changed_at: float = -1e9
    _seen: int = 0
    _owners: dict[str, str] = field(default_factory=dict)
    """Client id by pair: of a pair only one plan carries it."""

    def breach(self, which: str, now: float, text: str) -> None:
        """Note a breach, unless a fault that stands now excuses that invariant."""
        if not any(which in span.excuses and span.from_s <= now <= span.until_s for span in self.spans):
            self.breaches.append(f"{which} at {now:.2f} s: {text}")

    def take_in(self, now: float, hear: Callable[[LedgerRow], None], *, by_guard: bool) -> None:
        """Every row that is new. The book already knows a row when `hear` is told of it."""
        rows = self.exchange.ledger._rows
        while self._seen < len(rows):
            row = rows[self._seen]
            self._seen += 1
            if row.kind is RowKind.CONTRACT:
                self.contracts_changed_at = now
            if row.uid == self.uid:
                if by_guard and row.kind is RowKind.PLAN and row.details["action"] == "placed":
                    self._own(row)
                self._book(row, now)
                hear(row)

    def held(self) -> Iterator[tuple[LegKey, Position]]:
        """What is held now, straight from the exchange."""
        for key, position in self.exchange._world.accounts[self.uid].positions.items():
            if position.size:
                yield key, position

    def held_at(self, at: float) -> set[LegKey]:
        """What was held at a moment that has passed, by the book."""
        return {
            key for key, leg in self.legs.items() if next((size for t, size in reversed(leg.sizes) if t <= at), ZERO)
        }

    def position(self, key: LegKey) -> Position | None:
        return self.exchange._world.accounts[self.uid].positions.get(key)

    def mark(self, symbol: str) -> Decimal:
        quote = self.exchange._world.markets[symbol].quote
        return quote.mark if quote is not None else ZERO

    def opened_ms(self, key: LegKey) -> int:
        position = self.position(key)
        return position.opened_ms if position is not None else 0

    def entry(self, position: Position) -> Decimal:
        contract = self.exchange._world.markets[position.symbol].contract
        return position.cost / (position.size * contract.contract_size)

    def note_marks(self, now: float) -> None:
        """The true marks of what is held, or once was: a guard that hasn't heard of the end goes on by them."""
        for symbol in {key[0]: None for key in self.legs}:
            mark, seen = self.mark(symbol), self.marks.get(symbol)
            if seen is None:
                seen = self.marks[symbol] = []
            if not seen or seen[-1][1] != mark:
                seen.append((now, mark))

    def marks_since(self, symbol: str, since: float) -> list[Decimal]:
        """Every true mark since then, the one that stood then included, newest first."""
        found = []
        for at, mark in reversed(self.marks.get(symbol, [])):
            found.append(mark)
            if at < since:
                break
        return found

    def stops(self, key: LegKey, *, ours: bool = False) -> list[Resting]:
        """Close-only stops with market execution that rest on a leg."""
        return [each for each in self.resting.get(key, {}).values() if each.protects and (each.ours or not ours)]

    def covered(self, key: LegKey) -> Decimal:
        """How much of a leg its stops cover."""
        return sum((each.size for each in self.stops(key)), ZERO)

    def quiet(self, now: float, *, for_s: float = WELL_FOR_S) -> bool:
        """Nothing has struck for so long."""
        return now >= self.disturbed_until + for_s

    def owner_of(self, row: LedgerRow) -> str:
        """The client id of a plan's row, or that of the plan with which its pair began."""
        return str(row.details["client_id"]) or self._owners.get(str(row.details["pair_id"]), "")

    def _book(self, row: LedgerRow, now: float) -> None:
        match row.kind:
            case RowKind.FILL:
                self._fill(row, now)
            case RowKind.PLAN:
                self._plan(row, now)
            case RowKind.ORDER_ACCEPTED if str(row.details["client_id"]).startswith(OURS):
                side = PositionSide.LONG if row.details["side"] == "sell" else PositionSide.SHORT
                order_id = str(row.details["order_id"])
                self.working[order_id] = Working(order_id, row.symbol, side, row.decimal("size"))
            case RowKind.ORDER_CHANGED if row.details["action"] != "modify":
                self.working.pop(str(row.details["order_id"]), None)
            case _:
                pass

    def _fill(self, row: LedgerRow, now: float) -> None:
        after = row.decimal("after")
        if row.details["net"]:
            self._hold(row.symbol, PositionSide.LONG, max(after, ZERO), now)
            self._hold(row.symbol, PositionSide.SHORT, max(-after, ZERO), now)
        else:
            self._hold(row.symbol, PositionSide(str(row.details["position_side"])), abs(after), now)
        order = self.working.get(str(row.details["order_id"]))
        if order is not None:
            order.rest -= row.decimal("size")
            if order.rest <= 0:
                del self.working[order.order_id]

    def _hold(self, symbol: str, side: PositionSide, size: Decimal, now: float) -> None:
        leg = self.legs.setdefault((symbol, side), Leg())
        if size > leg.size:
            leg.grew_at = now
            if not leg.size:
                leg.opened_at = now
        elif size < leg.size:
            leg.shrank_at = now
        leg.size = size
        leg.sizes.append((now, size))

    def _own(self, row: LedgerRow) -> None:
        """A plan that the guard placed in a form that takes no client id is its own all the same (BitMart, submit-plan-order)."""
        if not row.details["client_id"]:
            self._owners.setdefault(str(row.details["pair_id"]), f"{OURS}{row.details['plan_id']}")

    def _plan(self, row: LedgerRow, now: float) -> None:
        details = row.details
        if details["client_id"]:
            self._owners.setdefault(str(details["pair_id"]), str(details["client_id"]))
        plan_id = str(details["plan_id"])
        key = (row.symbol, PositionSide(str(details["position_side"])))
        there = self.resting.setdefault(key, {})
        known = there.pop(plan_id, None)
        if details["action"] in {"triggered", "failed"} and details["protects"] and self.owner_of(row).startswith(OURS):
            self.fired[key] = self.opened_ms(key), row.decimal("trigger_price")
        if not details["live"]:
            return
        there[plan_id] = Resting(
            plan_id=plan_id,
            symbol=row.symbol,
            side=key[1],
            kind=known.kind if known is not None else _kind(row, key[1]),
            ours=self.owner_of(row).startswith(OURS),
            reduce=bool(details["reduce"]),
            protects=bool(details["protects"]),
            trigger=row.decimal("trigger_price"),
            size=WHOLE if details["size"] is None else row.decimal("size"),
            placed_at=now if known is None else known.placed_at,
        )


def _kind(row: LedgerRow, side: PositionSide) -> str:
    """A plan without a kind, the last form in which an order is asked for, is what it is for: in favour it takes profit."""
    kind = str(row.details["plan_kind"])
    in_favour = side.sign * (row.decimal("trigger_price") - row.decimal("mark")) > 0
    return "take_profit" if kind == "conditional" and row.details["reduce"] and in_favour else kind


def told(row: LedgerRow) -> str:
    """A row for people."""
    kept = {name: value for name, value in row.details.items() if value not in (None, "", False)}
    return f"{row.kind.value} {row.symbol} {kept}"
