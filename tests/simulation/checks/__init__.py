"""The invariants of design/invariants.md, by what the exchange knows. The guard's own opinion is asked only where an invariant is
about what it tells.

`look` is called after everything that can change the exchange and at each price, `asked` after each request of the guard,
`close_of_story` once at the end, when nothing has struck for a while. Each breach is a line: the invariant, the second, what was
found. Safety is asked after every event; liveness only when nothing has struck for `WELL_FOR_S`.

| id  | checker | what it sees |
|-----|---------|--------------|
| I1  | `Orders._order`, `_rests`, `_generations` | accepted orders and plans of ours reduce; sums against what is held |
| I2  | `Orders._fill` | every fill of ours or of a plan of ours: never larger, never turned |
| I3  | `Orders.settle` | a stop that the guard ended alone: the next, or a close, within one deadline |
| I4  | `Orders._stop` | trigger, mark and liquidation price at the moment of acceptance |
| I5  | `Orders._generations`, `Standing.close_of_story` | generations at every placing; at the end number, cover and price |
| I6  | `Orders.settle`, `Standing._leftovers` | stops cancelled while the position is really held; what outlives a position |
| I7  | `Orders._once`, `Requests._again`, `means` | client ids accepted twice; what goes, or is meant, again without a read |
| I8  | `crash_points` | what stands at the end with a kill at each await, against none |
| I9  | `Oracle.judge_close` | a close is called for by a state no older than `stale_after` |
| I10 | `Standing._breach_of`, `_bare`, `unexplained_s` | a breach undisturbed for 6 s and still held; a position bare for 5 s |
| I11 | `Orders._ratchet` | each placed or moved stop against the tightest of its episode, or its tranche's where a hand took that |
| I12 | `Requests._budget`, `_blocked` | arrivals by one life: 95 % of each published rate; rest after a 429; behind blocks |
| I13 | `Orders._changed`, `_plan` | cancels and changes by requests of the guard of what isn't its own |
| I14 | `Telling._second_instance`; with I1, I2 | what the later of two guards decides |
| I15 | `Orders._steps_down` | distance to liquidation before and after each closing fill; net exposure of a hedge |
| I16 | `Orders._money_moved` | transfers and margin by requests of the guard, summed over a day |
| I17 | `Orders._setting` | leverage set by requests of the guard |
| I18 | `Orders._on_grid`, `_refused`, `_stop` | prices and sizes accepted, refusals for shape; rounding towards the mark |
| I20 | `Requests._durable`, `Telling.verify` | the SQLite file as a write leaves; chain, ids, decisions anew from their inputs |
| I21 | `Telling._protection`, `blind` | bare positions shown as protected; a venue gone and nobody told |
| I23 | `Orders._ratchet`, `Standing._protection` | stories that adopt another policy: no stop moves away, what is nearer is there |
| I22 | `Requests.leaving`, `Telling._staged` | writes of an observed account; what is decided while halted or parked |
| I24 | `Steps` | cooldowns, the hour's reductions, the breaker and the leash across restarts, unless a clock jumped |
| I25 | `Checks.stopped` | the stops before and after a stop of the guard |
| I26 | `Telling._hush`, `_no_secret_in` | facts and the bytes of the data directory |
| I27, I30 | `Requests.asked` | paths that the daemon must never ask; every order reduces (I1) |
| I28 | `Oracle.judge_close` | a close on marks that never were, unless two bad frames agreed |
| I29 | `Requests.closing`, `Telling._parks` | positions read in this life 75 s before each reducing decision; parked for nothing |

Elsewhere: I19 (mypy, tests/house, tests/fuzz); of I23 the invalid file (tests/daemon/test_reload); of I21 the second
in which a breach is told, the metrics and the notifier's queue (tests/telemetry, tests/daemon); of I17 the predicted liquidation
price (tests/execution); of I5 the price of a take-profit (tests/policy).
"""

from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Final

from guardd.model.facts import Fact
from guardd.model.intent import Action, CancelOrder, Intent, PlaceProtection
from guardd.simulator.engine import Exchange
from guardd.simulator.ledger import LedgerRow, RowKind
from guardd.simulator.orders import PositionSide
from guardd.simulator.stamps import RequestStamp
from guardd.simulator.truth import unprotected_spans
from guardd.venues.wire import WireRequest
from tests.simulation.checks.ground import OURS, WELL_FOR_S, Case, Ground, Span
from tests.simulation.checks.orders import Orders
from tests.simulation.checks.requests import Requests
from tests.simulation.checks.standing import Standing
from tests.simulation.checks.steps import Steps
from tests.simulation.checks.telling import Telling
from tests.simulation.checks.wanted import profits_of, stops_of
from tests.simulation.oracle import Oracle, Verdict

__all__ = ["OURS", "WELL_FOR_S", "Case", "Checks", "Span", "Verdict"]

GAP_LASTS_S: Final = 2.0


@dataclass(slots=True)
class Checks:
    """Of one account's story. Seconds are the loop's, from its beginning."""

    exchange: Exchange
    uid: str
    last_percent: Decimal
    """`last-resort` closes a position whose loss from entry passed this."""
    began_ms: int
    _case: Case | None = None
    gapped_at: float = -1e9
    liquidations: int = 0
    ground: Ground = field(init=False)
    steps: Steps = field(init=False)
    orders: Orders = field(init=False)
    requests: Requests = field(init=False)
    standing: Standing = field(init=False)
    telling: Telling = field(init=False)
    oracle: Oracle = field(init=False)

    def __post_init__(self) -> None:
        self.ground = Ground(self.exchange, self.uid)
        self.steps = Steps(self.ground)
        self.orders = Orders(self.ground, self.steps.fill)
        self.requests = Requests(self.ground)
        self.standing = Standing(self.ground, self.last_percent)
        self.telling = Telling(self.ground, self._meant, self.steps.unsent, self._kept)
        self.oracle = Oracle(self.ground)
        self.orders.kindest_end, self.orders.unread_since = self.oracle.kindest_end, self.oracle.unread_since
        self.case = self._case

    @property
    def case(self) -> Case | None:
        return self._case

    @case.setter
    def case(self, case: Case | None) -> None:
        self._case = self.ground.case = case
        self.oracle.policy = None if case is None else case.policy
        self.orders.tranches = 1 if case is None else stops_of(case.policy, case.account)
        self.orders.profits = 1 if case is None else profits_of(case.policy, case.account)

    # What is found

    @property
    def breaches(self) -> list[str]:
        return self.ground.breaches

    @property
    def spans(self) -> list[Span]:
        """Faults that stand, and what each excuses; whoever strikes adds to it."""
        return self.ground.spans

    @property
    def closes(self) -> int:
        return self.orders.closes

    @property
    def open_breach(self) -> bool:
        return self.standing.open_breach

    @property
    def decisions(self) -> int:
        return self.telling.decisions

    @property
    def avoidable(self) -> int:
        """Liquidations that a guard with perfect information would have prevented."""
        return sum(each.avoidable for each in self.oracle.liquidations)

    @property
    def disturbed_until(self) -> float:
        """Until then a strike stands, the guard is down, or the trader has just acted."""
        return self.ground.disturbed_until

    def disturb(self, until: float) -> None:
        self.ground.disturbed_until = max(self.ground.disturbed_until, until)

    @property
    def parked(self) -> bool:
        """The guard that is alive has parked the account."""
        return self.telling.parked

    def spoken(self, now: float) -> None:
        """An operator told the guard to halt or to go on."""
        self.telling.spoken_at = now

    def gap(self, now: float) -> None:
        """A price jumped so far in one tick that no stop and no order could come between."""
        self.gapped_at = now

    # What happens

    def look(self, now: float, *, guarded: bool) -> None:
        """`guarded`: a guard is up, armed, and has been for a while. What is new came of the market, the venue or the trader."""
        self._take_in(now, by_guard=False)
        self.ground.note_marks(now)
        self.orders.aside = aside = self.telling.steps_aside
        guarded = guarded and not aside
        well = guarded and self.ground.quiet(now) and self._acts
        self.standing.look(now, well=well, parked=self.parked)
        self.telling.look(now, guarded=guarded and self._acts)
        self.oracle.look(now)

    def asked(self, stamp: RequestStamp, now: float, life: str = "") -> None:
        """A request of the guard was judged just now: what is new came of it."""
        self.orders.alone = alone = self.telling.alone(now) or not self.telling.lives
        self._take_in(now, by_guard=stamp.method != "GET")
        self.requests.asked(stamp, now, life, alone=alone)

    def leaving(self, request: WireRequest, data: Path, now: float) -> None:
        """A guard hands a request to the wire."""
        self.requests.leaving(request, data, now)

    def heard(self, fact: Fact, now: float, life: str = "") -> None:
        """A guard tells something."""
        self.telling.heard(fact, now, life)

    def begun(self, life: str, now: float) -> None:
        """A guard starts."""
        self._take_in(now, by_guard=False)
        self.telling.begun(life, now)
        self.requests.begun(life)

    def process_ended(self, data: Path, now: float, life: str = "") -> None:
        """A guard was killed or has stopped; `data` is what the disk kept, which the next one will find."""
        self.telling.ended(life or str(data), now)
        self.telling.verify(data, now)

    def gone(self, kind: str, from_s: float, until_s: float, now: float) -> None:
        """The venue could not be reached at all in that time."""
        case = self._case
        if case is not None:
            self.telling.blind(kind, from_s, until_s, case.policy.limits.stale_after_s, now)

    def stopped(self, now: float) -> None:
        """I25: a guard was told to stop and has stopped; its stops rest as they did at the last look."""
        before = self._ours_resting()
        self._take_in(now, by_guard=True)
        for gone in sorted(before - self._ours_resting()):
            self.ground.breach("I25", now, f"{gone} went with the guard")

    def close_of_story(self, now: float) -> None:
        """Everything has come right (I5, I6, I10)."""
        self._take_in(now, by_guard=False)
        if self.telling.steps_aside:
            return
        if self._acts:
            self.standing.close_of_story(now, tranches=self.orders.tranches, parked=self.parked)
        elif self.requests.writes:
            self.ground.breach("I22", now, f"{self.requests.writes} writes of an account that is only observed")

    def unprotected_ms(self, until_ms: int) -> int:
        """Of all positions together, whatever the reason."""
        total = 0
        for symbol in {row.symbol for row in self.exchange.ledger._rows if row.symbol and row.uid == self.uid}:
            for side in PositionSide:
                spans = unprotected_spans(self.exchange.ledger, self.uid, symbol, side, until_ms=until_ms)
                total += sum(end - start for start, end in spans)
        return total

    # How it is passed on

    @property
    def _acts(self) -> bool:
        return self._case is None or self._case.acts

    def _take_in(self, now: float, *, by_guard: bool) -> None:
        def hear(row: LedgerRow) -> None:
            self.orders.row(row, now, by_guard=by_guard)
            self.oracle.row(row, now)
            if row.kind is RowKind.LIQUIDATED:
                self._liquidated(row, now)

        self.ground.take_in(now, hear, by_guard=by_guard)
        self.orders.settle(now)

    def _liquidated(self, row: LedgerRow, now: float) -> None:
        self.liquidations += 1
        verdict = self.oracle.liquidated(
            row,
            now,
            due_s=self.standing.due_s(set(str(row.details["symbols"]).split(",")), now),
            well=self.ground.quiet(now) and self._acts and not self.parked and not self.telling.steps_aside,
            gapped=now - self.gapped_at <= GAP_LASTS_S,
        )
        if verdict.avoidable:
            self.ground.breach("oracle", now, f"an avoidable liquidation ({verdict.why}): {verdict.text}")

    def _meant(self, intent: Intent, now: float, life: str) -> None:
        self.steps.means(intent, now, alone=self.telling.alone(now))
        self.requests.means(intent, now, life)
        if intent.action is Action.FREE_VOLUME and isinstance(intent.write, CancelOrder):
            self.orders.freed.add(intent.write.order_id)
        if isinstance(intent.write, PlaceProtection):
            self.orders.slots[intent.id] = intent.episode, intent.rule
        if intent.action not in {Action.REDUCE, Action.CLOSE}:
            return
        self.orders.closing_at[str(intent.key.symbol), PositionSide(intent.key.side.value)] = now
        self.requests.closing(now, life)
        self.oracle.judge_close(intent, now, up_since=self.telling.lives[life].began)

    def _kept(self, intent: Intent) -> None:
        """A read that must come first failed, say: no order, unless the venue saw one all the same."""
        if not self.requests.arrived(intent.id):
            self.steps.unsent(intent)

    def _ours_resting(self) -> set[str]:
        return {
            f"{each.plan_id} on {symbol}"
            for (symbol, _), there in self.ground.resting.items()
            for each in there.values()
            if each.ours
        }
