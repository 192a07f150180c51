"""Plays one case: a whole guarded account on a virtual clock, against the exchange, with the prices and faults of the case.

What runs is what the daemon runs for one account: `GuardedAccount` with its guard, reads, executor and pulse. What doesn't: an
adapter with its wire and rate limits, a journal on disk, notifications.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Final, assert_never

import structlog

from guardd.cli.stage.exchange import COIN, exchange_of, hold, move, populate, refused, rest
from guardd.cli.stage.hearing import Hearing
from guardd.cli.stage.venue import CAN_ALL, StageVenue
from guardd.clock import ManualClock
from guardd.daemon.account import GuardedAccount
from guardd.daemon.guard import Guard
from guardd.daemon.supervisor import Supervisor
from guardd.errors import ConfigurationError
from guardd.execution.haste import Haste
from guardd.journal.memory import MemoryJournal
from guardd.model.capabilities import Capabilities
from guardd.model.event import OperatorWord
from guardd.model.instant import MS_PER_S, Instant
from guardd.model.names import AccountName, PositionMode, Symbol, VenueName
from guardd.model.state import AccountState
from guardd.policy.cases.judge import Recording
from guardd.policy.cases.language import Case, Owner, TrackKind, Trouble, VenueKind
from guardd.policy.cases.notation import Gap
from guardd.policy.language import Policy
from guardd.simulator.refusals import Refused
from guardd.venues.bitget.classic.venue import capabilities as bitget_classic
from guardd.venues.bitget.unified.venue import CAPABILITIES as BITGET_UNIFIED
from guardd.venues.bitmart.venue import CAPABILITIES as BITMART

MIDNIGHT_MS: Final = 1_767_225_600_000
"""2026-01-01 00:00 UTC: the day on which every case is played."""
READY_WITHIN_S: Final = 5.0
READY_LOOK_S: Final = 0.05
BEGINS_AFTER_S: Final = 0.5
"""From the account's start to second 0 of the case."""
TURNS: Final = 10
"""Of the loop whenever somebody wakes: from a frame through pump, guard and executor to the exchange it takes six."""
BEFORE_S: Final = 10
"""The exchange has been there so long before the case begins."""
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
            await stage.pass_step()
            if enough is not None and enough(stage.recording, (step + 1) * case.interval_s):
                break
    finally:
        await stage.close()
    return stage.recording


class _Stage:
    def __init__(self, case: Case, policy: Policy) -> None:
        self.case = case
        self.clock = ManualClock(wall_ms=MIDNIGHT_MS + int(case.start_s * MS_PER_S) - BEFORE_S * MS_PER_S)
        self._hearing = Hearing(policy, self.clock)
        self._policy = policy
        self._halted = False
        self._name = AccountName(case.owner.name)
        self._exchange = exchange_of(case, self.clock.now().wall_ms)
        self._exchange.subscribe(self._hearing.happened)
        populate(self._exchange, case, self.clock.now().wall_ms)
        self.clock.pass_time(BEFORE_S - 1)
        self._supervisor = Supervisor(self.clock)
        self._venue = StageVenue(
            self._exchange,
            self.clock,
            name=VenueName(case.owner.venue.partition("-")[0]),
            account=self._name,
            capabilities=capabilities_of(case.owner),
        )
        self.guard = self._guard()
        self._account = GuardedAccount(
            guard=self.guard,
            venue=self._venue,
            journal=self._journal,
            clock=self.clock,
            supervisor=self._supervisor,
            listener=self._hearing.fact,
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
            listener=self._hearing.fact,
            spawn=lambda name, work: self._supervisor.once(name, work, failed=self._hearing.stumbled),
            haste=Haste(self.clock),
            on_pulse=lambda now: None,
            tape=lambda account, event: None,
        )

    @property
    def recording(self) -> Recording:
        return self._hearing.recording

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
        await self.clock.advance(max(BEGINS_AFTER_S - waited_s, READY_LOOK_S))
        self._hearing.began = self.clock.now()
        self._account.begin(armed=True, why="a case is played")

    async def pass_step(self) -> None:
        """Let the time of one step go by, and everything happen that happens in it."""
        await self.clock.advance(float(self.case.interval_s), turns=TURNS)

    async def close(self) -> None:
        self.guard.executor.stop_intake()
        await self._supervisor.stop(deadline_s=5.0)

    def step(self, number: int) -> None:
        """The faults, openings, prices and money of one step, in this order; then the frames that tell of them."""
        now_ms = self.clock.now().wall_ms
        troubles = self._troubles(number)
        self._venue.suffer(troubles)
        if (Trouble.HALTED in troubles) is not self._halted:
            self._halted = not self._halted
            self._account.speak(OperatorWord.HALT if self._halted else OperatorWord.RESUME, "as the case says")
        for holding in self.case.holdings:
            if number > 0 and self.case.step_at(holding.opens_s) == number:
                self._try(lambda holding=holding: hold(self._exchange, self.case, holding, number, now_ms))  # type: ignore[misc]
        for entry in self.case.entering:
            if number > 0 and self.case.step_at(entry.placed_s) == number:
                self._try(lambda entry=entry: rest(self._exchange, self.case.owner, entry, now_ms))  # type: ignore[misc]
        marks = [track for track in self.case.tracks if track.kind is TrackKind.MARK]
        self._venue.unseen = frozenset(Symbol(track.of) for track in marks if isinstance(track.at(number), Gap))
        self._venue.unknown = frozenset(Symbol(track.of) for track in marks if track.stale_at(number))
        for track in marks:
            move(self._exchange, self.case, track.of, number, now_ms)
        for track in self.case.tracks:
            rate = track.samples[number] if number < len(track.samples) else Gap.MISSING
            if track.kind is TrackKind.FUNDING and not isinstance(rate, Gap):
                self._exchange.settle_funding(track.of, rate, now_ms)
        self._bring_money(number, now_ms)
        for track in marks:
            frames = self.case.track(TrackKind.FRAME, track.of)
            said = frames.at(number) if frames is not None and number < len(frames.samples) else Gap.MISSING
            self._venue.frame(Symbol(track.of), None if isinstance(said, Gap) else said)

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
            raise refused(self.case, refusal) from None

    def _place(self) -> str:
        return f"case {self.case.name!r} (line {self.case.line})"

    def _why_not_ready(self) -> str:
        view = self.guard.view
        return view.condition_why if view is not None else "it shows nothing"


def capabilities_of(owner: Owner) -> Capabilities:
    """What the account's venue can do; a simulated one can carry out everything that a policy may ask for."""
    match owner.venue:
        case VenueKind.SIMULATED:
            return CAN_ALL
        case VenueKind.BITMART:
            return BITMART
        case VenueKind.BITGET:
            return bitget_classic(hedge=owner.position_mode is PositionMode.HEDGE)
        case VenueKind.BITGET_UNIFIED:
            return BITGET_UNIFIED
        case _:
            assert_never(owner.venue)
