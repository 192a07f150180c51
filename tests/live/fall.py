"""A fall with a fault in it: two positions, a price that goes down by script, and what the exchange's ledger says of it after.

The story is told by the simulator's ledger and request stamps and by the guard's own log; the verdict never asks the guard.
"""

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from guardd.simulator import truth
from guardd.simulator.faults import Fault, FaultKind
from guardd.simulator.ledger import Ledger, LedgerRow, RowKind
from guardd.simulator.orders import PositionSide
from guardd.simulator.run import SimulatedVenue
from guardd.simulator.stamps import RequestStamp
from tests.live.desk import Desk, RunningGuard, open_desk, until
from tests.live.places import BITMART, Place

OURS: Final = "gd1"
STANDING: Final = frozenset({FaultKind.FREEZE_SOCKET, FaultKind.CLOCK_OFFSET, FaultKind.PARTIAL_FILL})
STARTS: Final = {"BTCUSDT": Decimal(90_000), "SOLUSDT": Decimal(180)}
HELD: Final = {"BTCUSDT": Decimal(200), "SOLUSDT": Decimal(50)}
TICKS: Final = {"BTCUSDT": Decimal("0.1"), "SOLUSDT": Decimal("0.01")}
DEPOSIT: Final = 1_905
"""With it the cross position liquidates near 81,400: the trim falls due at -3.8 %, the stop rests at about -8.6 %."""
LEDGE: Final = Decimal("0.071")
"""Below every reducing rule (-6.5 % is the last) and above every resting stop."""
GROUND: Final = Decimal("0.089")
"""Below every resting stop, above every liquidation."""
FALL_S: Final = 5.0
STEP_S: Final = 0.05
TOLD_WITHIN_S: Final = 1.0
"""I21; the poll that notes a fault's first hit and the machine's load are allowed for by `SLACK_S`."""
SLACK_S: Final = 0.5
PAUSE_NS: Final = 2_000_000_000
IN_FLIGHT_NS: Final = 50_000_000
"""A second request may have been on its way already when the first was refused."""
SWEPT_WITHIN_S: Final = 5.0
"""Confirmed flat takes two reads two seconds apart where no push tells of the close; then the leftovers end (I6)."""

PROTECT: Final = """\
version: 1
limits: {orders_per_minute: 60, stale_after: 3s}
rules:
  - name: resting-protection
    then:
      - stop_loss: {trigger: {liquidation_buffer: 10%}}
  - name: warn
    when: {distance_to_liquidation: {below: 8%}}
    then: [notify: {severity: warning}]
"""
TRIM: Final = """\
  - name: trim
    match: {margin_mode: cross}
    when: {distance_to_liquidation: {below: 6%}}
    cooldown: 5m
    then:
      - reduce: {until: {distance_to_liquidation: 8%}, at_most: 50%}
"""
LAST_RESORT: Final = """\
  - name: last-resort
    when: {profit_from_entry: {below: -6.5%}}
    then: [close: {}]
"""
ALL_RULES: Final = PROTECT + TRIM + LAST_RESORT
NO_TRIM: Final = PROTECT + LAST_RESORT
ONLY_STOPS: Final = PROTECT


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One fault, and what is right. `faults` strike once the share `at` of the fall is behind; `early` ones before the guard
    starts. `seconds` is how long the faults stay from then on (None: to the end)."""

    name: str
    faults: tuple[Fault, ...] = ()
    early: tuple[Fault, ...] = ()
    at: Decimal = Decimal("0.01")
    seconds: float | None = None
    policy: str = ALL_RULES
    depth: Decimal = LEDGE
    """How far the price falls at first."""
    ends: str = "closed"
    """`closed`: by the guard's orders above the stops; `stopped`: by resting stops; `held`: nothing; `safe`: either way out."""
    wait_s: float = 6.0
    """How long the guard has at the ledge before the price falls on through the stops."""
    told: tuple[str, ...] = ()
    """Patterns; a log line matching each must come within a second of the fault's first hit."""
    told_within_s: float = TOLD_WITHIN_S
    unprotected_ms: int | None = 0
    """Most milliseconds without a stop after the first one rested; None: no stop can rest."""
    sends_at_most: int | None = None
    """Requests that may arrive while the fault stands (a block)."""
    protected: bool = True
    """Stops can be placed at the start."""
    pauses: str | None = None
    """The path whose bucket a 429 lets rest for two seconds, while all others go on."""
    tries_closes: bool = False
    """Behind the block a close is tried at once all the same."""
    swept: bool = True
    """False: no read shows that it is flat, so that what rests may not be cancelled (I6)."""
    strikes: bool = True
    """False: it must never strike a guard that behaves."""
    unread: bool = False
    """Reads are held back to the end: an outcome may still be unknown then."""
    quick: bool = True
    """Short enough for CI."""
    everywhere: bool = False
    """Played at each venue in CI, not at the first alone: what hangs on the dialect."""
    not_at: frozenset[SimulatedVenue] = frozenset()
    """Venues that lack what the case is about."""


@dataclass(slots=True, kw_only=True)
class Story:
    """What happened."""

    case: Case
    rows: list[LedgerRow] = field(default_factory=list)
    ledger: Ledger
    stamps: list[RequestStamp]
    log: list[dict[str, Any]]
    metrics: str
    hits: int
    hit_at: float | None
    """Wall seconds of the first hit."""
    block_stamps: list[RequestStamp]
    place: Place
    lots: Mapping[str, Decimal]
    """Of the tests' contracts in one unit of this venue's size, by symbol."""
    held: Mapping[tuple[str, str], Decimal]
    left_over: int
    """Plan orders of ours that rest on nothing."""
    ended_ms: int
    mark_at_end: Mapping[str, Decimal]

    def lines(self, pattern: str) -> list[dict[str, Any]]:
        return [line for line in self.log if re.search(pattern, json.dumps(line))]

    def told_after(self, pattern: str) -> float | None:
        """Seconds from the first hit until a line that matches."""
        assert self.hit_at is not None
        for line in self.lines(pattern):
            after = _wall_s(line) - self.hit_at
            if after >= -SLACK_S:
                return max(after, 0.0)
        return None

    def rule_of(self, client_id: str, order_id: str = "") -> str:
        """In whose name an order of ours was decided; an order sent without a client id is known by the id that it got."""
        for line in self.log:
            verb = str(line["event"]).rsplit("_", 1)[-1]
            by_order = bool(order_id) and verb == "accepted" and line.get("why") == f"order {order_id}"
            if by_order or (client_id and verb == "decided" and line.get("id") == client_id):
                return str(line["rule"])
        return "?"


async def live_through(case: Case, home: Path, place: Place = BITMART) -> Story:
    """Run one case from a fresh exchange to its end."""
    async with open_desk(home, deposit=DEPOSIT, place=place) as desk:
        desk.open("SOLUSDT", "long", int(HELD["SOLUSDT"]), isolated=True)
        desk.open("BTCUSDT", "long", int(HELD["BTCUSDT"]))
        for fault in case.early:
            desk.fault(fault)
        watcher = _Watcher(desk=desk, case=case)
        watching = asyncio.get_running_loop().create_task(watcher.watch())
        async with desk.guard(case.policy) as guard:
            try:
                await _settled(desk, guard, case)
                await _play(desk, case, watcher)
                metrics = await guard.get("/metrics")
            finally:
                watching.cancel()
            held, ended_ms = desk.positions(), desk.server.now_ms()
            left_over = sum(1 for plan in desk.plans() if (plan.symbol, "long") not in held)
        return Story(
            case=case,
            ledger=desk.server.exchange.ledger,
            stamps=list(desk.server.stamps.requests),
            log=guard.events(),
            metrics=metrics,
            hits=watcher.hits,
            hit_at=watcher.hit_at,
            block_stamps=watcher.during,
            place=place,
            lots={symbol: desk.lot(symbol) for symbol in STARTS},
            held=held,
            left_over=left_over,
            ended_ms=ended_ms,
            mark_at_end={symbol: _mark(desk, symbol) for symbol in STARTS},
        )


def _mark(desk: Desk, symbol: str) -> Decimal:
    quote = desk.server.exchange.query.quote(symbol)
    assert quote is not None
    return quote.mark


async def _settled(desk: Desk, guard: RunningGuard, case: Case) -> None:
    """Everything is protected that can be; the venue repeats its positions (I29) in the first two seconds of the fall."""

    def settled() -> bool:
        assert guard.process.returncode is None, f"guardd ended: {guard.lines[-3:]}"
        return (
            len(guard.events("position_protected")) >= len(HELD)
            if case.protected
            else bool(guard.events("account_live"))
        )

    await until(settled, within_s=20, what="everything is protected" if case.protected else "the account is live")
    await asyncio.sleep(0.3)


@dataclass(slots=True, kw_only=True)
class _Watcher:
    """Notes when the fault first struck, and what was asked while it stood."""

    desk: Desk
    case: Case
    hits: int = 0
    hit_at: float | None = None
    struck: bool = False
    standing: bool = False
    during: list[RequestStamp] = field(default_factory=list)
    _seen: int = 0

    async def watch(self) -> None:
        while True:
            self.look()
            await asyncio.sleep(0.005)

    def look(self) -> None:
        hits = sum(hits for _, hits in self.desk.faults.listed())
        if self.hit_at is None and (hits or self._stands()):
            self.hit_at = time.time()
        self.hits = max(self.hits, hits)
        new = [stamp for stamp in self.desk.server.stamps.requests if stamp.sequence > self._seen]
        self._seen = max((stamp.sequence for stamp in new), default=self._seen)
        if self.standing and self.hit_at is not None:
            self.during.extend(new)

    def _stands(self) -> bool:
        """Faults that are conditions, not events, count no hits."""
        return any(fault.kind in STANDING for fault, _ in self.desk.faults.listed())


async def _play(desk: Desk, case: Case, watcher: _Watcher) -> None:
    """Down to the ledge; a while there; then down through the stops, if there is anything left to stop."""
    loop = asyncio.get_running_loop()
    ends_at: float | None = None

    def strike(share: Decimal) -> None:
        nonlocal ends_at
        if share >= case.at and not watcher.standing and not watcher.struck:
            watcher.look()
            for fault in case.faults:
                desk.fault(fault)
            watcher.standing = watcher.struck = True
            ends_at = loop.time() + case.seconds if case.seconds is not None else None
        if ends_at is not None and loop.time() >= ends_at and watcher.standing:
            watcher.look()
            desk.faults.clear()
            watcher.standing = False

    steps = int(FALL_S / STEP_S)
    for step in range(1, steps + 1):
        share = case.depth * step / steps
        _set(desk, share)
        strike(share)
        await asyncio.sleep(STEP_S)
    strike(Decimal(1))
    await _until_flat(desk, case.wait_s, lambda: strike(Decimal(1)))
    if desk.positions() and case.ends in ("stopped", "safe"):
        for step in range(1, 21):
            _set(desk, case.depth + (GROUND - case.depth) * step / 20)
            strike(Decimal(1))
            await asyncio.sleep(STEP_S)
        await _until_flat(desk, 4.0, lambda: strike(Decimal(1)))
    await _until(lambda: not desk.plans(), SWEPT_WITHIN_S, lambda: strike(Decimal(1)))
    watcher.look()


def _set(desk: Desk, share: Decimal) -> None:
    for symbol, start in STARTS.items():
        desk.price(symbol, (start * (1 - share)).quantize(TICKS[symbol]))


async def _until_flat(desk: Desk, wait_s: float, turn: Callable[[], None]) -> None:
    await _until(lambda: not desk.positions(), wait_s, turn)


async def _until(done: Callable[[], bool], wait_s: float, turn: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not done() and loop.time() - began < wait_s:
        turn()
        await asyncio.sleep(0.02)


# The verdict


def wrongs(story: Story) -> list[str]:
    """Everything that must not have been; empty when the guard did right."""
    return [
        *_exposure(story),
        *_sizes(story),
        *_protection(story),
        *_sends(story),
        *_waits(story),
        *_unknowns(story),
        *_telling(story),
        *_ending(story),
    ]


def _exposure(story: Story) -> Iterator[str]:
    for row in truth.exposure_increases(story.ledger, "main", OURS):
        yield f"I2: exposure increased by {row.details['client_id'] or row.details['plan_id']}"
    for row in _rows(story, RowKind.ORDER_ACCEPTED):
        if _ours(row) and not row.details["reduce"]:
            yield f"I1: order {row.details['client_id']} isn't close-only"
    for client_id in truth.repeated_client_ids(story.ledger, "main", OURS):
        yield f"I7: {client_id} was accepted twice"
    if _rows(story, RowKind.LIQUIDATED):
        yield "the account was liquidated"


def _sizes(story: Story) -> Iterator[str]:
    """I1: what our closes still had to fill never summed to more than was held."""
    held: dict[str, Decimal] = {}
    working: dict[tuple[str, str], Decimal] = {}
    trims: dict[str, Decimal] = {}
    for row in story.ledger.rows(uid="main"):
        if row.kind is RowKind.FILL:
            held[row.symbol] = row.decimal("after")
            order = (row.symbol, str(row.details["order_id"]))
            if order in working:
                working[order] -= row.decimal("size")
            name = str(row.details["client_id"])
            if name.startswith(OURS) and story.rule_of(name) == "trim":
                trims[name] = trims.get(name, Decimal(0)) + row.decimal("size") * story.lots[row.symbol]
        elif row.kind is RowKind.ORDER_ACCEPTED and _ours(row):
            working[row.symbol, str(row.details["order_id"])] = row.decimal("size")
            in_flight = sum(rest for (symbol, _), rest in working.items() if symbol == row.symbol)
            if in_flight > held.get(row.symbol, Decimal(0)):
                yield f"I1: closes of {in_flight} {row.symbol} in flight, {held.get(row.symbol)} held"
    if len(trims) > 1 or sum(trims.values()) > HELD["BTCUSDT"] / 2:
        yield f"the trim was executed more than once: {trims}"


def _protection(story: Story) -> Iterator[str]:
    for symbol in STARTS:
        most = truth.most_live_stops(story.ledger, "main", symbol, PositionSide.LONG)
        if most > 2:
            yield f"I5: {most} stops of {symbol} at once"
    allowed = story.case.unprotected_ms
    if allowed is None:
        return
    for symbol, bare_ms in unprotected(story).items():
        if bare_ms > allowed:
            yield f"{symbol} stood {bare_ms} ms without a stop, {allowed} allowed"


def unprotected(story: Story) -> dict[str, int]:
    """Milliseconds without a stop, by symbol, from the first stop that rested on."""
    found: dict[str, int] = {}
    for symbol in STARTS:
        placed = [row.at_ms for row in story.ledger.rows(uid="main", kind=RowKind.PLAN, symbol=symbol)]
        first = min(placed, default=story.ended_ms)
        spans = truth.unprotected_spans(story.ledger, "main", symbol, PositionSide.LONG, until_ms=story.ended_ms)
        found[symbol] = sum(end - max(start, first) for start, end in spans if end > first)
    return found


def _sends(story: Story) -> Iterator[str]:
    """I12: no limit of the venue was passed; a block was respected."""
    own_fault = any(fault.kind == "too-many" for fault in (*story.case.faults, *story.case.early))
    refused = [stamp for stamp in story.stamps if stamp.status == 429]
    if refused and not own_fault:
        yield f"I12: {len(refused)} requests above the venue's limit, the first on {refused[0].path}"
    most = story.case.sends_at_most
    if most is not None and len(story.block_stamps) > most:
        paths = [stamp.path.rsplit("/", 1)[-1] for stamp in story.block_stamps]
        yield f"{len(paths)} requests while the block stood, {most} allowed: {paths}"


def _waits(story: Story) -> Iterator[str]:
    """A 429 pauses its own bucket only; a Cloudflare page doesn't keep a protective close from being tried (interfaces.md 6)."""
    case = story.case
    if case.tries_closes and not any(stamp.path == story.place.word("{close}") for stamp in story.block_stamps):
        yield "no close was tried behind the block"
    refusal = next((stamp for stamp in story.stamps if stamp.status == 429), None)
    if case.pauses is None or refusal is None:
        return
    pauses = story.place.word(case.pauses)
    after = [
        stamp for stamp in story.stamps if refusal.mono_ns + IN_FLIGHT_NS < stamp.mono_ns < refusal.mono_ns + PAUSE_NS
    ]
    if any(stamp.path == pauses for stamp in after):
        yield f"{pauses} was asked again within its pause"
    if not any(stamp.path != pauses for stamp in after):
        yield "the pause held everything back"


def _unknowns(story: Story) -> Iterator[str]:
    """I7: each order that may have arrived was read back before it was sent again, and came to an end."""
    for name, ended in fates(story).items():
        if not ended and not story.case.unread:
            yield f"I7: the outcome of {name} ({story.rule_of(name)}) is still unknown"
    sent: dict[str, RequestStamp] = {}
    for stamp in story.stamps:
        found = re.search(rf'"{story.place.client_id_field}"\s*:\s*"(\w+)"', stamp.body)
        if found is None:
            continue
        earlier = sent.get(found[1])
        if earlier is not None and _maybe_arrived(earlier) and not _read_between(story, earlier, stamp):
            yield f"I7: {found[1]} was sent again without a read in between"
        sent[found[1]] = stamp


def fates(story: Story) -> dict[str, str]:
    """Each intent whose outcome was unknown, and how it ended ('' while it didn't)."""
    found: dict[str, str] = {}
    for line in story.log:
        verb = str(line["event"]).rsplit("_", 1)[-1]
        name = line.get("id")
        if name is None:
            continue
        if verb == "unknown":
            found[name] = ""
        elif name in found and verb in ("verified", "failed", "void", "rejected", "refused"):
            found[name] = verb
    return found


def _maybe_arrived(stamp: RequestStamp) -> bool:
    return stamp.status in (0, 200, 500, 502, 503)


def _read_between(story: Story, earlier: RequestStamp, later: RequestStamp) -> bool:
    return any(
        stamp.method == "GET" and story.place.reads in stamp.path and earlier.sequence < stamp.sequence < later.sequence
        for stamp in story.stamps
    )


def _telling(story: Story) -> Iterator[str]:
    case = story.case
    if (case.faults or case.early) and (story.hit_at is not None) is not case.strikes:
        yield "the fault never struck" if case.strikes else f"the fault struck {story.hits} times"
        return
    for pattern in case.told:
        after = story.told_after(pattern)
        if after is None:
            yield f"I21: nothing was told of /{pattern}/"
        elif after > case.told_within_s + SLACK_S:
            yield f"I21: /{pattern}/ was told after {after:.1f} s"
    for line in story.lines(r"task_failed|account_parked|stumbled"):
        yield f"{line['event']}: {line.get('why', line.get('task', ''))}"


def _ending(story: Story) -> Iterator[str]:
    ends, by = story.case.ends, closers(story)
    if ends == "held":
        if by:
            yield f"something was closed: {by}"
        return
    if story.held:
        yield f"still held: {', '.join(f'{size} {key[0]}' for key, size in story.held.items())}"
    for symbol, hands in by.items():
        if ends == "closed" and "stop" in hands:
            yield f"{symbol}: its stop had to do what the guard should have done"
        if ends == "stopped" and "stop" not in hands:
            yield f"{symbol}: closed by {hands}, expected its stop"
    if story.left_over and not story.held and ends == "closed" and story.case.swept:
        yield f"I6: {story.left_over} orders of ours outlive their positions"


def closers(story: Story) -> dict[str, dict[str, Decimal]]:
    """What took the positions away: symbol → rule (or `stop`) → contracts."""
    found: dict[str, dict[str, Decimal]] = {}
    for row in _rows(story, RowKind.FILL):
        if not row.details["reduce"] and not row.details["plan_id"]:
            continue
        name = (
            "stop"
            if row.details["plan_id"]
            else story.rule_of(str(row.details["client_id"]), str(row.details["order_id"]))
        )
        if "/free/" in name or "fired" in name:
            name = "rest of the stop"
        hands = found.setdefault(row.symbol, {})
        hands[name] = hands.get(name, Decimal(0)) + (row.decimal("size") * story.lots[row.symbol]).normalize()
    return found


def _rows(story: Story, kind: RowKind) -> list[LedgerRow]:
    return story.ledger.rows(uid="main", kind=kind)


def _ours(row: LedgerRow) -> bool:
    """Our orders carry our client id, but for the minimal form of a close; nobody else closes anything here."""
    return str(row.details["client_id"]).startswith(OURS) or (
        bool(row.details["reduce"]) and not row.details["plan_id"]
    )


def _wall_s(line: Mapping[str, Any]) -> float:
    return datetime.fromisoformat(str(line["timestamp"])).timestamp()


# In words


def did(story: Story) -> str:
    """What the guard did, in one line."""
    parts = [_who_closed(story)]
    if fated := fates(story):
        parts.append(
            "unknown, read back: "
            + ", ".join(f"{story.rule_of(n).split('/')[0]} {v or 'not yet'}" for n, v in fated.items())
        )
    if story.case.told and story.hit_at is not None:
        after = [story.told_after(pattern) for pattern in story.case.told]
        parts.append("told after " + ", ".join("never" if each is None else f"{each:.1f} s" for each in after))
    if story.case.early and (waited := _first_stops_s(story)):
        parts.append(
            "stops rested after " + ", ".join(f"{symbol} {seconds:.1f} s" for symbol, seconds in waited.items())
        )
    if story.case.sends_at_most is not None:
        parts.append(f"{len(story.block_stamps)} requests during the block")
    bare = {symbol: ms for symbol, ms in unprotected(story).items() if ms}
    if bare and story.case.unprotected_ms is not None:
        parts.append("without a stop " + ", ".join(f"{symbol} {ms / 1000:.1f} s" for symbol, ms in bare.items()))
    return "; ".join(parts)


def _first_stops_s(story: Story) -> dict[str, float]:
    """Seconds from the first word of a position until a stop of it rested, by symbol."""
    found: dict[str, float] = {}
    seen = {str(line["position"]).split("/")[0]: _wall_s(line) for line in reversed(story.lines('"position_seen"'))}
    for row in reversed(_rows(story, RowKind.PLAN)):
        if row.details["protects"] and row.details["live"] and row.symbol in seen:
            found[row.symbol] = max(row.at_ms / 1000 - seen[row.symbol], 0.0)
    return dict(sorted(found.items()))


def _who_closed(story: Story) -> str:
    by = closers(story)
    if not by:
        return "closed nothing"
    return ", ".join(
        f"{symbol.removesuffix('USDT')} {' + '.join(f'{hand} {size}' for hand, size in hands.items())}{_at(story, symbol)}"
        for symbol, hands in sorted(by.items())
    )


def _at(story: Story, symbol: str) -> str:
    fills = [row for row in _rows(story, RowKind.FILL) if row.symbol == symbol and row.details["reduce"]]
    if not fills:
        return ""
    fell = 1 - fills[-1].decimal("price") / STARTS[symbol]
    return f" (out at -{fell * 100:.1f} %)"


def verdict(found: Iterable[str]) -> str:
    listed = list(found)
    return "right" if not listed else "WRONG: " + "; ".join(listed)
