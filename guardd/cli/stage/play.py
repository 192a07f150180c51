"""Plays one case: a whole guarded account on a virtual clock, against the exchange, with the prices and faults of the case.

What runs is what the daemon runs for one account: `GuardedAccount` with its guard, reads, executor and pulse. What doesn't: an
adapter with its wire and rate limits, a journal on disk, notifications.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Final

import structlog

from guardd.cli.stage.requests import hand
from guardd.cli.stage.venue import CAN_ALL, StageVenue
from guardd.clock import ManualClock
from guardd.daemon.account import GuardedAccount
from guardd.daemon.guard import Guard
from guardd.daemon.supervisor import Supervisor
from guardd.errors import ConfigurationError
from guardd.execution.proposal import INPUT_DECISION
from guardd.execution.windows import input_of
from guardd.journal.memory import MemoryJournal
from guardd.model.capabilities import Capabilities
from guardd.model.facts import Fact, IntentStaged, RuleFired, Said
from guardd.model.instant import MS_PER_S, NS_PER_S, Instant
from guardd.model.intent import (
    Action,
    AddMargin,
    CloseAtMarket,
    Intent,
    ModifyProtection,
    PlaceProtection,
    SetLeverage,
    Stage,
)
from guardd.model.intent import TransferToFutures as ToFutures
from guardd.model.names import (
    AccountName,
    MarginMode,
    PositionKey,
    PositionMode,
    RuleName,
    Severity,
    Symbol,
    VenueName,
)
from guardd.model.state import AccountState
from guardd.policy.cases.judge import Heard, Made, Recording
from guardd.policy.cases.language import Case, Entering, Holding, Listing, Owner, TrackKind, Trouble
from guardd.policy.cases.load import LIQUIDATED, NOTIFY
from guardd.policy.cases.notation import Gap
from guardd.policy.language import Notify, Policy
from guardd.simulator import orders as asked
from guardd.simulator.contracts import Contract, build_tiers
from guardd.simulator.engine import Exchange
from guardd.simulator.happenings import Happening, Liquidated, PlanAction, PlanChanged
from guardd.simulator.refusals import Refused

COIN: Final = "USDT"
MIDNIGHT_MS: Final = 1_767_225_600_000
"""2026-01-01 00:00 UTC: the day on which every case is played."""
READY_WITHIN_S: Final = 5.0
READY_LOOK_S: Final = 0.05
BEFORE_S: Final = 10
"""The exchange has been there so long before the case begins."""
PLENTY: Final = Decimal(10) ** 12
"""What the account holds while its positions are opened; then it is brought to its equity."""
HOUSEKEEPING: Final = frozenset({Action.CANCEL_PROTECTION})
SETTLE_TURNS: Final = 40
Look = Callable[[int, AccountState, Instant], None]
"""Called before the prices of a step (by its number) are told."""
TASK_FAILED: Final = "task_failed"
"""What the supervisor logs of a task that failed and is started again."""
Enough = Callable[[Recording, Decimal], bool]
"""Asked after each step: is it settled already how the case ends? The recording so far, and the seconds played."""


async def play(case: Case, policy: Policy, *, look: Look | None = None, enough: Enough | None = None) -> Recording:
    """Play a case from its first step to its last. Raises `ConfigurationError` where the exchange can't hold what it says."""
    with _logs_kept() as logged:
        recording = await _play(_Stage(case, policy), look, enough)
    failed = [each for each in logged if each["event"] == TASK_FAILED]
    recording.broken.extend(f"{each['task']}: {str(each['exception']).splitlines()[-1]}" for each in failed)
    return recording


@contextmanager
def _logs_kept() -> Iterator[list[structlog.typing.EventDict]]:
    """What is logged meanwhile is kept instead of printed: a task that failed is a fact about the case."""
    kept = structlog.testing.LogCapture()
    processors = structlog.get_config()["processors"]
    before = processors.copy()
    processors[:] = [structlog.processors.format_exc_info, kept]
    try:
        yield kept.entries
    finally:
        processors[:] = before


async def _play(stage: "_Stage", look: Look | None, enough: Enough | None) -> Recording:
    case = stage.case
    try:
        await stage.open()
        for step in range(case.steps + 1):
            if look is not None:
                look(step, stage.guard.state, stage.clock.now())
            stage.step(step)
            await stage.clock.advance(float(case.interval_s))
            if enough is not None and enough(stage.recording, (step + 1) * case.interval_s):
                break
    finally:
        await stage.close()
    return stage.recording


class _Stage:
    def __init__(self, case: Case, policy: Policy) -> None:
        self.case = case
        self.recording = Recording()
        self.clock = ManualClock(wall_ms=MIDNIGHT_MS + int(case.start_s * MS_PER_S) - BEFORE_S * MS_PER_S)
        self._began: Instant | None = None
        self._policy = policy
        self._decisions: set[str] = set()
        self._tried: dict[tuple[PositionKey, RuleName], Decimal] = {}
        """Protection that was wanted and doesn't stand yet, and its trigger price."""
        self._name = AccountName(case.owner.name)
        self._exchange = _exchange(case, self.clock.now().wall_ms)
        self._exchange.subscribe(self._happened)
        _populate(self._exchange, case, self.clock.now().wall_ms)
        self.clock.pass_time(BEFORE_S - 1)
        self._supervisor = Supervisor(self.clock)
        self._venue = StageVenue(
            self._exchange,
            self.clock,
            name=VenueName(case.owner.venue),
            account=self._name,
            capabilities=capabilities_of(case.owner.venue),
        )
        self.guard = self._guard()
        self._account = GuardedAccount(
            guard=self.guard,
            venue=self._venue,
            journal=self._journal,
            clock=self.clock,
            supervisor=self._supervisor,
            listener=self._heard,
            tape=lambda account, event: None,
            acts=True,
        )

    def _guard(self) -> Guard:
        state = AccountState(name=self._name, venue=self._venue.name, capabilities=self._venue.capabilities)
        self._journal = MemoryJournal(now=self.clock.now)
        return Guard(
            state=state,
            policy=self._policy,
            venue=self._venue,
            journal=self._journal,
            clock=self.clock,
            listener=self._heard,
            spawn=lambda name, work: self._supervisor.once(name, work, failed=self._stumbled),
            on_pulse=lambda now: None,
            tape=lambda account, event: None,
        )

    async def open(self) -> None:
        """Start the account, let it read everything, and give CONFIRM: second 0 of the case begins."""
        await self._account.start()
        for symbol in self._symbols():
            self._venue.frame(symbol)
        waited_s = 0.0
        while not self.guard.ready and waited_s < READY_WITHIN_S:
            await self.clock.advance(READY_LOOK_S)
            waited_s += READY_LOOK_S
        if not self.guard.ready:
            raise ConfigurationError(f"{self._place()}: the guard never became ready: {self._why_not_ready()}")
        await self.clock.advance(1 - waited_s if waited_s < 1 else READY_LOOK_S)
        self._began = self.clock.now()
        self._account.begin(armed=True, why="a case is played")

    async def close(self) -> None:
        self.guard.executor.stop_intake()
        await self._supervisor.stop(deadline_s=5.0)

    def step(self, number: int) -> None:
        """The faults, openings, prices and money of one step, in this order; then the frames that tell of them."""
        now_ms = self.clock.now().wall_ms
        self._venue.suffer(self._troubles(number))
        for holding in self.case.holdings:
            if number > 0 and self.case.step_at(holding.opens_s) == number:
                self._try(lambda holding=holding: _hold(self._exchange, self.case, holding, number, now_ms))  # type: ignore[misc]
        for entry in self.case.entering:
            if number > 0 and self.case.step_at(entry.placed_s) == number:
                self._try(lambda entry=entry: _rest(self._exchange, self.case.owner, entry, now_ms))  # type: ignore[misc]
        marks = [track for track in self.case.tracks if track.kind is TrackKind.MARK]
        self._venue.unseen = frozenset(Symbol(track.of) for track in marks if isinstance(track.at(number), Gap))
        self._venue.unknown = frozenset(Symbol(track.of) for track in marks if track.stale_at(number))
        for track in marks:
            _move(self._exchange, self.case, track.of, number, now_ms)
        self._bring_money(number, now_ms)
        for track in marks:
            self._venue.frame(Symbol(track.of))

    def _bring_money(self, number: int, now_ms: int) -> None:
        for kind in (TrackKind.EQUITY, TrackKind.WALLET):
            track = self.case.track(kind, COIN)
            if track is None or number >= len(track.samples):
                continue
            wanted = track.samples[number]
            if isinstance(wanted, Gap):
                continue
            balance = self._exchange.query.balance(self._name)
            has = balance.equity if kind is TrackKind.EQUITY else balance.wallet
            self._exchange.grant(self._name, wanted - has, now_ms)

    def _troubles(self, number: int) -> frozenset[Trouble]:
        return frozenset(
            Trouble(track.of) for track in self.case.tracks if track.kind is TrackKind.FAULT and track.at(number) == 1
        )

    def _symbols(self) -> tuple[Symbol, ...]:
        return tuple(Symbol(track.of) for track in self.case.tracks if track.kind is TrackKind.MARK)

    def _try(self, doing: Callable[[], None]) -> None:
        try:
            doing()
        except Refused as refusal:
            raise ConfigurationError(f"{self._place()}: the exchange refuses what the case says: {refusal}") from None

    def _place(self) -> str:
        return f"case {self.case.name!r} (line {self.case.line})"

    def _why_not_ready(self) -> str:
        view = self.guard.view
        return view.condition_why if view is not None else "it shows nothing"

    # What it says and does

    def _now_s(self) -> Decimal:
        if self._began is None:
            return Decimal(-1)
        return Decimal(self.clock.monotonic_ns() - self._began.mono_ns) / NS_PER_S

    def _stumbled(self, why: str) -> None:
        self.recording.heard.append(Heard(at_s=self._now_s(), severity=Severity.CRITICAL, text=f"a task failed: {why}"))

    def _heard(self, fact: Fact) -> None:
        match fact:
            case IntentStaged(stage=Stage.DECIDED):
                self._intent(fact.intent)
            case IntentStaged(stage=Stage.VERIFIED):
                self._tried.pop((fact.intent.key, fact.intent.rule), None)
            case RuleFired():
                self._fired(fact)
            case Said():
                self.recording.heard.append(Heard(at_s=self._now_s(), severity=fact.severity, text=fact.text))
            case _:
                pass

    def _intent(self, intent: Intent) -> None:
        """Slices, further tries and the cancels of one decision are one decision."""
        rule, _, _ = intent.rule.partition("/")
        if intent.action in HOUSEKEEPING or rule == "sweep":
            return
        at_s = self._now_s()
        name = input_of(intent, INPUT_DECISION) if intent.action in (Action.CLOSE, Action.REDUCE) else None
        if intent.action is Action.CANCEL_ENTRIES:
            name = f"{intent.key}/{rule}/{intent.action}/{at_s}"
        if isinstance(intent.write, PlaceProtection | ModifyProtection):
            slot = (intent.key, intent.rule)
            if self._tried.get(slot) == intent.write.trigger_price:
                return
            self._tried[slot] = intent.write.trigger_price
        if name is not None and name in self._decisions:
            return
        self._decisions.add(name or intent.id)
        self.recording.made.append(
            Made(
                at_s=at_s,
                rule=rule,
                action=str(intent.action),
                symbol=intent.key.symbol,
                side=intent.key.side,
                figures=_figures(intent),
                text=intent.reason,
            )
        )

    def _fired(self, fact: RuleFired) -> None:
        """What a rule tells. Counted on its edge, as the daemon counts it."""
        rule = next((rule for rule in self._policy.rules if rule.name == fact.rule), None)
        for action in rule.then if rule is not None else ():
            if isinstance(action, Notify):
                self.recording.made.append(
                    Made(
                        at_s=self._now_s(),
                        rule=fact.rule,
                        action=NOTIFY,
                        symbol=fact.key.symbol if fact.key is not None else "",
                        side=fact.key.side if fact.key is not None else None,
                        severity=action.severity,
                        text=fact.text,
                    )
                )

    def _happened(self, happening: Happening) -> None:
        if self._began is None:
            return
        match happening:
            case Liquidated():
                for symbol in happening.symbols:
                    lost = f"the exchange liquidated {symbol}, {happening.loss} {happening.coin} lost"
                    self.recording.made.append(
                        Made(at_s=self._now_s(), rule="", action=LIQUIDATED, symbol=symbol, side=None, text=lost)
                    )
            case PlanChanged(action=PlanAction.TRIGGERED | PlanAction.FAILED):
                plan = happening.plan
                what = f"{plan.kind.value} of {plan.symbol} {plan.position_side.value} at {plan.trigger_price}"
                text = f"the exchange: {what} {plan.status.value}"
                self.recording.market.append((self._now_s(), text))
            case _:
                pass


def capabilities_of(venue: str) -> Capabilities:
    """What the venue of that name can do; where it isn't one of ours, everything."""
    return CAN_ALL


def _figures(intent: Intent) -> dict[str, Decimal]:
    match intent.write:
        case CloseAtMarket():
            return {"size": intent.write.size}
        case PlaceProtection() | ModifyProtection():
            sized = {} if intent.write.size is None else {"size": intent.write.size}
            return {**sized, "price": intent.write.trigger_price}
        case SetLeverage():
            return {"leverage": intent.write.leverage}
        case AddMargin() | ToFutures():
            return {"amount": intent.write.amount}
        case _:
            return {}


# The exchange


def _exchange(case: Case, now_ms: int) -> Exchange:
    exchange = Exchange([_contract(listing) for listing in case.listings], seed=1, now_ms=now_ms)
    owner: Owner = case.owner
    exchange.add_account(
        owner.name,
        deposit=PLENTY,
        spot=owner.spot,
        position_mode=asked.PositionMode(owner.position_mode.value),
        leverage=owner.leverage,
        margin_mode=asked.MarginMode(owner.margin_mode.value),
    )
    return exchange


def _contract(listing: Listing) -> Contract:
    base = listing.symbol.removesuffix(COIN)
    tiers = build_tiers([(str(tier.up_to), str(tier.maintenance), int(tier.max_leverage)) for tier in listing.tiers])
    return Contract(
        symbol=listing.symbol,
        base=base,
        quote=COIN,
        contract_size=listing.contract_size,
        tick=listing.tick,
        step=listing.step,
        min_size=listing.min_size,
        max_limit_size=listing.max_market_size,
        max_market_size=listing.max_market_size,
        max_leverage=tiers[0].max_leverage,
        taker_fee=listing.taker_fee,
        maker_fee=listing.taker_fee,
        tiers=tiers,
    )


def _populate(exchange: Exchange, case: Case, now_ms: int) -> None:
    """Open what is held from the start, rest the entries, and bring the account to its equity."""
    try:
        for holding in case.holdings:
            if case.step_at(holding.opens_s) == 0:
                _hold(exchange, case, holding, 0, now_ms)
        for track in case.tracks:
            if track.kind is TrackKind.MARK:
                _move(exchange, case, track.of, 0, now_ms)
        for entry in case.entering:
            if case.step_at(entry.placed_s) == 0:
                _rest(exchange, case.owner, entry, now_ms)
        exchange.grant(case.owner.name, case.owner.equity - exchange.query.balance(case.owner.name).equity, now_ms)
    except Refused as refusal:
        place = f"case {case.name!r} (line {case.line})"
        raise ConfigurationError(f"{place}: the exchange refuses what the case says: {refusal}") from None


def _hold(exchange: Exchange, case: Case, holding: Holding, number: int, now_ms: int) -> None:
    """Open a position at its entry: the market stands there for the moment of its fill."""
    owner, side = case.owner.name, asked.PositionSide(holding.side.value)
    _move(exchange, case, holding.symbol, number, now_ms, at=holding.entry)
    exchange.set_leverage(
        owner,
        holding.symbol,
        now_ms,
        leverage=holding.leverage,
        margin_mode=asked.MarginMode(holding.margin_mode.value),
        side=side
        if holding.margin_mode is MarginMode.ISOLATED and case.owner.position_mode is PositionMode.HEDGE
        else None,
    )
    buys = hand(holding.side, closes=False)
    exchange.place(owner, asked.OrderRequest(symbol=holding.symbol, side=buys, size=holding.quantity), now_ms)
    view = exchange.query.position(owner, holding.symbol, side)
    if holding.margin is not None and view is not None and holding.margin != view.margin:
        exchange.add_margin(owner, holding.symbol, side, holding.margin - view.margin, now_ms)


def _rest(exchange: Exchange, owner: Owner, entry: Entering, now_ms: int) -> None:
    order = asked.OrderRequest(
        symbol=entry.symbol,
        side=hand(entry.side, closes=False),
        size=entry.quantity,
        kind=asked.OrderKind.LIMIT,
        price=entry.price,
    )
    exchange.place(owner.name, order, now_ms)


def _move(exchange: Exchange, case: Case, symbol: str, number: int, now_ms: int, *, at: Decimal | None = None) -> None:
    """The prices of a step; orders fill at the last price, which is the mark where the case says no other."""
    marks = case.track(TrackKind.MARK, symbol)
    mark = at if marks is None else marks.number_at(number)
    if mark is None:
        return
    indexes, lasts = case.track(TrackKind.INDEX, symbol), case.track(TrackKind.LAST, symbol)
    index = mark if indexes is None else indexes.number_at(number)
    last = at or (mark if lasts is None else lasts.number_at(number)) or mark
    exchange.move(symbol, mark=mark, index=index, last=last, bid=last, ask=last, now_ms=now_ms)
