"""A guard in miniature for tests: state, fold, executor and the fake venue on a manual clock."""

import asyncio
from collections.abc import Coroutine
from decimal import Decimal
from typing import Any

from guardd.clock import ManualClock
from guardd.errors import JournalError
from guardd.execution.approve import ApprovedIntent, NeedsRead, approve
from guardd.execution.executor import Executor
from guardd.execution.haste import Haste
from guardd.execution.proposal import Bounds, Leash, Proposal, Steps
from guardd.execution.reconcile import reconcile
from guardd.execution.refusal import Refusal
from guardd.journal.base import Memory
from guardd.model.account import Balance
from guardd.model.capabilities import Capabilities
from guardd.model.decision import OnUnprotected, Protect, WantedOrder
from guardd.model.event import (
    Event,
    InstrumentsRead,
    IntentMoved,
    OperatorSpoke,
    OperatorWord,
    PositionModeRead,
)
from guardd.model.facts import Fact, IntentStaged, Said
from guardd.model.fill import Fill
from guardd.model.fold import fold
from guardd.model.highwater import HighWater
from guardd.model.instant import Instant
from guardd.model.instrument import Instrument
from guardd.model.intent import Intent, Stage, stop_direction
from guardd.model.names import (
    AccountName,
    EpisodeId,
    MarginMode,
    OrderId,
    PositionKey,
    PositionMode,
    PriceType,
    RuleName,
    Side,
    Symbol,
    VenueName,
)
from guardd.model.order import PlanForm, PlanOrder, ProtectionKind, RestingKind, RestingOrder
from guardd.model.outcome import Outcome, Reason, Rejected
from guardd.model.position import Episode, Position, episode_id
from guardd.model.reading import Absent
from guardd.model.state import AccountState, News
from tests.changed import replace
from tests.execution.fake_venue import CAN_ALL, FakeVenue

ACCOUNT = AccountName("main")
BTC = Symbol("BTCUSDT")
LONG = PositionKey(ACCOUNT, BTC, Side.LONG)
SHORT = PositionKey(ACCOUNT, BTC, Side.SHORT)
OPENED_MS = 1_767_225_000_000
EPISODE = episode_id(LONG, OPENED_MS)
LEASH = Leash()
D = Decimal
BOUNDS = Bounds(mark=D(100), liquidation_price=D(80))
INSTRUMENT = Instrument(
    symbol=BTC,
    base="BTC",
    settle="USDT",
    contract_size=D(1),
    tick=D("0.1"),
    step=D(1),
    min_size=D(1),
    max_limit_size=D(100_000),
    max_market_size=D(1_000),
    max_leverage=D(100),
    taker_fee=D("0.0006"),
)


def position(key: PositionKey = LONG, quantity: int = 100, **changes: Any) -> Position:
    row = Position(
        key=key,
        quantity=D(quantity),
        entry_price=D(100),
        margin_mode=MarginMode.ISOLATED,
        leverage=D(5),
        margin=Absent.UNKNOWN,
        maintenance_margin=Absent.UNKNOWN,
        liquidation_price=D(80),
        mark_price=D(100),
        notional=D(100 * quantity),
        unrealized_pnl=D(0),
        opened_ms=OPENED_MS,
        closed_quantity=D(0),
        venue_ms=OPENED_MS,
    )
    return replace(row, **changes)


def balance(available: str = "10000", **changes: Any) -> Balance:
    told = Balance(
        currency="USDT",
        equity=D(20_000),
        available=D(available),
        frozen=D(0),
        position_margin=D(2_000),
        unrealized_pnl=D(0),
    )
    return replace(told, **changes)


def wanted(
    trigger: str = "90",
    *,
    kind: ProtectionKind = ProtectionKind.STOP_LOSS,
    size: int | None = None,
    tranche: int = 0,
    rule: str = "rest",
) -> WantedOrder:
    return WantedOrder(
        kind=kind,
        rule=RuleName(rule),
        tranche=tranche,
        trigger_price=D(trigger),
        price_type=PriceType.MARK,
        size=None if size is None else D(size),
        on_unprotected=OnUnprotected.ALERT,
    )


def protect(*orders: WantedOrder, key: PositionKey = LONG, episode: EpisodeId = EPISODE) -> Protect:
    return Protect(key=key, episode=episode, wanted=orders)


def plan(order_id: str, trigger: str = "90", **changes: Any) -> PlanOrder:
    order = PlanOrder(
        order_id=OrderId(order_id),
        client_id=None,
        key=LONG,
        protection=ProtectionKind.STOP_LOSS,
        form=PlanForm.WHOLE,
        direction=stop_direction(LONG, ProtectionKind.STOP_LOSS),
        trigger_price=D(trigger),
        price_type=PriceType.MARK,
        execution_price=None,
        size=None,
        created_ms=OPENED_MS,
    )
    return replace(order, **changes)


def resting(order_id: str, size: int, *, closes: bool = True, key: PositionKey = LONG, **changes: Any) -> RestingOrder:
    order = RestingOrder(
        order_id=OrderId(order_id),
        client_id=None,
        key=key,
        closes=closes,
        kind=RestingKind.LIMIT,
        price=D(120),
        size=D(size),
        filled=D(0),
        created_ms=OPENED_MS,
    )
    return replace(order, **changes)


class FakeJournal:
    """Keeps what it is told in memory; `fails` makes it refuse to be durable."""

    def __init__(self, log: list[str]) -> None:
        self.log = log
        self.fails = False
        self.intended: dict[str, Intent] = {}
        self.notes: list[IntentMoved] = []
        self.gate: asyncio.Event | None = None

    def intend(self, intent: Intent) -> asyncio.Future[None]:
        return asyncio.ensure_future(self._intend(intent))

    async def _intend(self, intent: Intent) -> None:
        if self.gate is not None:
            await self.gate.wait()
        if self.fails:
            raise JournalError("the disk is full")
        self.log.append(f"durable {intent.id}")
        self.intended[intent.id] = intent

    def note(self, moved: IntentMoved) -> None:
        self.notes.append(moved)

    def note_episode(self, episode: Episode, *, ended: bool, at: Instant) -> None: ...
    def note_word(self, account: AccountName, word: str, why: str, at: Instant) -> None: ...
    def note_rule(self, key: PositionKey, episode: EpisodeId, rule: RuleName, text: str, at: Instant) -> None: ...
    def note_high_water(self, account: AccountName, water: HighWater, at: Instant) -> None: ...
    def note_fill(self, fill: Fill, at: Instant) -> None: ...

    async def recall(self, account: AccountName) -> Memory:
        return EMPTY_MEMORY

    async def close(self) -> None: ...


EMPTY_MEMORY = Memory(
    unfinished=(),
    recent=(),
    episodes=(),
    rule_marks=(),
    order_ids=frozenset(),
    halted=False,
    parked=None,
)


class Bench:
    """`await bench.read()` after changing the venue's rows; `go` starts proposals; `settle` lets time pass."""

    def __init__(self, *, capabilities: Capabilities = CAN_ALL, armed: bool = True) -> None:
        self.clock = ManualClock()
        self.venue = FakeVenue(self.clock, capabilities=capabilities)
        self.venue.instrument_list = (INSTRUMENT,)
        self.state = fresh_state(self.now, capabilities=capabilities, armed=armed)
        self.events: list[Event] = []
        self.news: list[News] = []
        self.facts: list[Fact] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.journal = FakeJournal(self.venue.log)
        self.executor = self.new_executor()

    def new_executor(self) -> Executor:
        return Executor(
            account=ACCOUNT,
            venue=self.venue,
            journal=self.journal,
            clock=self.clock,
            state=self.state,
            post=self.post,
            spawn=self.spawn,
            listener=self.facts.append,
            haste=Haste(self.clock),
        )

    @property
    def now(self) -> Instant:
        return self.clock.now()

    def post(self, event: Event) -> None:
        self.events.append(event)
        self.news.extend(fold(self.state, event).news)

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self.tasks.append(task)
        return task

    async def hold(self, *rows: Position) -> None:
        self.venue.rows = {row.key: row for row in rows}
        await self.read()

    async def read(self) -> None:
        self.post(await self.venue.positions())
        self.post(await self.venue.orders())

    def judge(self, proposal: Proposal, **changes: Any) -> ApprovedIntent | Refusal | NeedsRead:
        asked: dict[str, Any] = {"leash": LEASH, "now": self.now, **changes}
        return approve(proposal, self.state, asked.pop("bounds", BOUNDS), **asked)

    def go(self, steps: Steps, **changes: Any) -> list[Intent]:
        """Start every proposal that is approved."""
        started = []
        for proposal in steps.proposals:
            verdict = self.judge(proposal, **changes)
            if isinstance(verdict, ApprovedIntent) and self.executor.start(verdict):
                started.append(verdict.intent)
        return started

    async def settle(self, seconds: float = 10.0) -> None:
        await self.clock.advance(seconds)

    async def protect(
        self, *orders: WantedOrder, rounds: int = 12, seconds: float = 2.5, bounds: Bounds = BOUNDS
    ) -> Steps:
        """Reconcile until nothing more is proposed, as the guard would; the last steps."""
        steps = Steps()
        for _ in range(rounds):
            held = self.state.held.get(LONG)
            if held is None:
                return steps
            steps = reconcile(protect(*orders, episode=held.episode.id), self.state, bounds, now=self.now)
            self.go(steps, bounds=bounds)
            await self.settle(seconds)
            await self.read()
            if not steps.proposals and not self.state.pending:
                return steps
        return steps

    def stages(self, intent: Intent) -> list[Stage]:
        return [event.stage for event in self.events if isinstance(event, IntentMoved) and event.intent.id == intent.id]

    def told(self) -> list[IntentStaged]:
        return [fact for fact in self.facts if isinstance(fact, IntentStaged)]

    def said(self) -> list[Said]:
        return [fact for fact in self.facts if isinstance(fact, Said)]

    async def end(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


def fresh_state(now: Instant, *, capabilities: Capabilities = CAN_ALL, armed: bool = True) -> AccountState:
    state = AccountState(name=ACCOUNT, venue=VenueName("fake"), capabilities=capabilities)
    fold(state, InstrumentsRead(at=now, instruments=(INSTRUMENT,)))
    fold(state, PositionModeRead(at=now, mode=PositionMode.HEDGE))
    if armed:
        fold(state, OperatorSpoke(at=now, word=OperatorWord.CONFIRM, why="test"))
    return state


def finish(
    state: AccountState,
    intent: Intent,
    stage: Stage,
    at: Instant,
    *,
    reason: Reason | None = None,
    filled: Decimal | None = None,
    order_id: OrderId | None = None,
) -> None:
    """Take an intent through the fold to its end, without a venue."""
    outcome: Outcome | None = Rejected(reason=reason, code="1", text="as told") if reason is not None else None
    path = {
        Stage.VERIFIED: (Stage.JOURNALLED, Stage.SENT, Stage.ACCEPTED, Stage.VERIFIED),
        Stage.FAILED: (Stage.JOURNALLED, Stage.SENT, Stage.ACCEPTED, Stage.FAILED),
        Stage.REFUSED: (Stage.REFUSED,),
        Stage.REJECTED: (Stage.JOURNALLED, Stage.SENT, Stage.REJECTED),
        Stage.VOID: (Stage.JOURNALLED, Stage.SENT, Stage.UNKNOWN, Stage.VOID),
        Stage.UNKNOWN: (Stage.JOURNALLED, Stage.SENT, Stage.UNKNOWN),
        Stage.ACCEPTED: (Stage.JOURNALLED, Stage.SENT, Stage.ACCEPTED),
    }[stage]
    for each in (Stage.DECIDED, *path):
        last = each is stage
        fold(
            state,
            IntentMoved(
                at=at,
                intent=intent,
                stage=each,
                outcome=outcome if last else None,
                filled=filled if last else None,
                order_id=order_id if last else None,
            ),
        )
