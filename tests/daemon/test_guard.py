"""The guard between its rooms: what waits for a read goes with it, and software stops see every mark that there is."""

import asyncio
from collections.abc import Coroutine
from decimal import Decimal
from typing import Any

import pytest

from guardd.clock import ManualClock
from guardd.daemon.guard import Guard
from guardd.execution.haste import Haste
from guardd.journal.memory import MemoryJournal
from guardd.model.account import AccountCondition, Balance
from guardd.model.event import (
    BalanceRead,
    ClockRead,
    InstrumentsRead,
    MarkSeen,
    OperatorSpoke,
    OperatorWord,
    PositionModeRead,
    PositionsPushed,
    Pulse,
    SnapshotFinished,
    StreamMoved,
    StreamName,
    VenueLearned,
)
from guardd.model.facts import AccountView, Fact, Said
from guardd.model.intent import CloseAtMarket
from guardd.model.names import PositionKey, PositionMode, Side, Symbol, VenueName
from guardd.model.outcome import Reason
from guardd.model.position import PositionUpdate
from guardd.model.state import AccountState
from tests.changed import replace
from tests.execution.bench import ACCOUNT, BTC, CAN_ALL, INSTRUMENT, LONG, OPENED_MS, D, position
from tests.execution.fake_venue import FakeVenue
from tests.policy.guarded import policy_of, rule

CLOSE = rule("{distance_to_liquidation: {below: 5%}}", "close: {}", name="last-resort")
STOP = "name: rest\nthen: [stop_loss: {trigger: {price: 90}}]"
LADDER = "name: rest\nthen: [stop_loss: [{trigger: {price: 95}, size: 30%}, {trigger: {price: 90}, size: 70%}]]"


class GuardBench:
    """A whole guard on the fake venue. Nothing is read unless a test says so: reads are events that it posts."""

    def __init__(self, *rules: str) -> None:
        self.clock = ManualClock()
        self.venue = FakeVenue(self.clock)
        self.venue.instrument_list = (INSTRUMENT,)
        self.journal = MemoryJournal(now=self.clock.now)
        self.facts: list[Fact] = []
        self.tasks: list[asyncio.Task[None]] = []
        state = AccountState(name=ACCOUNT, venue=VenueName("fake"), capabilities=CAN_ALL)
        self.guard = Guard(
            state=state,
            policy=policy_of(*rules),
            venue=self.venue,
            journal=self.journal,
            clock=self.clock,
            listener=self.facts.append,
            spawn=self.spawn,
            haste=Haste(self.clock),
            on_pulse=lambda now: None,
            tape=lambda account, event: None,
        )

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self.tasks.append(task)
        return task

    async def begin(self, *, learned: bool = True) -> None:
        """Everything is read once, CONFIRM is given, the position is far from its end."""
        self.venue.rows = {LONG: position()}
        now, post = self.clock.now(), self.guard.inbox.post
        self.tasks.append(asyncio.create_task(self.guard.run()))
        if learned:
            post(VenueLearned(at=now, capabilities=self.venue.capabilities, family=self.venue.family))
        post(ClockRead(at=now, offset_ms=0))
        post(InstrumentsRead(at=now, instruments=(INSTRUMENT,)))
        post(PositionModeRead(at=now, mode=PositionMode.HEDGE))
        for stream in StreamName:
            post(StreamMoved(at=now, stream=stream, up=True, why="acknowledged"))
        await self.read()
        post(await self.venue.orders())
        post(BalanceRead(at=now, balances=(_balance(),)))
        self.frame("100")
        await self.settle(0.1)
        post(PositionsPushed(at=now, updates=(pushed(),)))
        post(SnapshotFinished(started=now, at=now))
        await self.settle(0.1)
        self.guard.absorb(OperatorSpoke(at=now, word=OperatorWord.CONFIRM, why="test"))
        self.guard.begin()
        await self.settle(3)
        self.guard.inbox.post(Pulse(at=self.clock.now()))
        await self.settle(0.01)

    async def read(self, mark: str = "100") -> None:
        self.venue.rows = {
            key: position(key, int(row.quantity), mark_price=D(mark), notional=row.quantity * D(mark))
            for key, row in self.venue.rows.items()
        }
        self.guard.inbox.post(await self.venue.positions())

    def frame(self, mark: str) -> None:
        """A frame that confirms itself."""
        self.guard.inbox.post(MarkSeen(BTC, D(mark), self.clock.now(), index=D(mark), last=D(mark)))

    async def bare(self, mark: str) -> None:
        """A frame whose last price doesn't confirm it."""
        self.guard.inbox.post(MarkSeen(BTC, D(mark), self.clock.now(), index=D(100), last=D(100)))
        await self.settle(0.1)

    async def settle(self, seconds: float) -> None:
        await self.clock.advance(seconds)

    def closes(self) -> list[Decimal]:
        return [sent.write.size for sent in self.venue.sent if isinstance(sent.write, CloseAtMarket)]

    def told(self, words: str) -> list[str]:
        return [fact.text for fact in self.facts if isinstance(fact, Said) and words in fact.text]

    async def end(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def test_I09_a_close_that_waited_for_a_read_goes_with_the_read_and_not_at_the_next_turn() -> None:
    bench = GuardBench(CLOSE)
    await bench.begin()
    await bench.read()
    await bench.settle(4)
    bench.frame("84")
    await bench.settle(0.05)
    assert bench.closes() == [], "its position was read four seconds ago"
    await bench.read("84")
    await bench.settle(0.05)
    assert bench.closes() == [D(100)]
    await bench.end()


async def test_a_closing_move_asks_for_one_read_of_its_own_and_goes_with_it() -> None:
    bench = GuardBench(CLOSE)
    bench.tasks.append(asyncio.create_task(dict(bench.guard.reader.tasks())["read-at-once"]()))
    await bench.begin()
    await bench.read()
    await bench.settle(4)
    bench.venue.rows = {LONG: position(mark_price=D(84), notional=D(8400))}
    bench.frame("84")
    await bench.settle(0.05)
    assert bench.closes() == [D(100)]
    await bench.end()


async def test_a_tranche_that_somebody_cancelled_is_back_with_the_read_that_shows_it_did_not_fill() -> None:
    bench = GuardBench(LADDER)
    await bench.begin()
    near = next(plan for plan in bench.venue.plans.values() if plan.trigger_price == 95)
    await bench.settle(1)
    del bench.venue.plans[near.order_id]
    bench.guard.inbox.post(await bench.venue.orders())
    await bench.settle(0.15)
    assert stops(bench) == [D(90)], "it may have filled since the position was read"
    await bench.read()
    await bench.settle(0.05)
    assert stops(bench) == [D(90), D(95)]
    await bench.end()


def stops(bench: GuardBench) -> list[Decimal]:
    return sorted(plan.trigger_price for plan in bench.venue.plans.values())


async def test_funding_that_is_settled_is_read_at_once() -> None:
    bench = GuardBench(CLOSE)
    for name in ("read-positions", "read-balance"):
        bench.tasks.append(asyncio.create_task(dict(bench.guard.reader.tasks())[name]()))
    bench.venue.balance = _balance()
    bench.clock.step_wall(3_600 - 10)
    await bench.begin()
    await bench.settle(10 - 3.25 - 0.5)
    bench.guard.inbox.post(Pulse(at=bench.clock.now()))
    await bench.settle(0.4)
    read = len(bench.venue.log)
    await bench.settle(0.15)
    bench.guard.inbox.post(Pulse(at=bench.clock.now()))
    await bench.settle(0.01)
    assert bench.clock.now().wall_ms % 3_600_000 < 500
    assert {"read positions", "read balances"} <= set(bench.venue.log[read:])
    await bench.end()


@pytest.mark.parametrize("metric", ["position_age", "data_age"])
async def test_what_time_alone_makes_true_is_acted_on_when_it_is_and_not_at_the_next_turn(metric: str) -> None:
    age_s = (ManualClock().now().wall_ms - OPENED_MS) // 1000
    limit_s = age_s + 13 if metric == "position_age" else 10
    bench = GuardBench(rule(f"{{{metric}: {{above: {limit_s}s}}}}", "notify: {severity: warning}", name="old"))
    await bench.begin()
    await bench.read()
    bench.frame("100")
    await bench.settle(0.05)
    before = bench.clock.now()
    told_after: list[float] = []
    for _ in range(90):
        await bench.settle(0.25)
        bench.guard.inbox.post(Pulse(at=bench.clock.now()))
        await bench.settle(0.001)
        if bench.told(metric):
            told_after.append(bench.clock.now().seconds_since(before))
            break
    elapsed_s = bench.clock.now().seconds_since(ManualClock().now())
    due_s = 13 if metric == "position_age" else elapsed_s - told_after[0] + 10 - 0.05
    assert due_s <= elapsed_s <= due_s + 0.35
    await bench.end()


async def test_I09_a_software_stop_sees_the_marks_that_reads_bring_while_the_stream_is_silent() -> None:
    bench = GuardBench(STOP)
    bench.venue.script.extend([Reason.TRIGGER_TOO_FAR] * 20)
    await bench.begin()
    assert bench.closes() == []
    bench.venue.script.clear()
    await bench.settle(4)
    for _ in range(3):
        await bench.read("89")
        await bench.settle(0.5)
    assert bench.closes() == [D(100)]
    await bench.end()


async def test_I28_a_software_stop_acts_on_no_single_frame() -> None:
    bench = GuardBench(STOP)
    bench.venue.script.extend([Reason.TRIGGER_TOO_FAR] * 20)
    await bench.begin()
    for mark in ("100", "89") * 6:
        await bench.bare(mark)
    assert bench.closes() == []
    await bench.read()
    await bench.bare("88.9")
    assert bench.closes() == [D(100)], "the very next frame is past it too"
    await bench.end()


async def test_nothing_is_sent_before_what_the_account_can_do_is_learned_and_then_its_stop_is() -> None:
    bench = GuardBench(STOP)
    await bench.begin(learned=False)
    await bench.settle(5)
    assert bench.venue.sent == []
    bench.guard.inbox.post(VenueLearned(at=bench.clock.now(), capabilities=CAN_ALL, family="classic"))
    await bench.settle(0.5)
    assert len(bench.venue.sent) == 1
    assert bench.guard.view is not None
    assert bench.guard.view.family == "classic"
    await bench.end()


async def test_a_position_that_isnt_guarded_is_shown_told_and_never_touched() -> None:
    bench = GuardBench(STOP, CLOSE)
    coin = PositionKey(ACCOUNT, Symbol("BTCUSD"), Side.LONG)
    why = "Coin-M: no stop of it rests at the venue"
    inverse = replace(INSTRUMENT, symbol=coin.symbol, settle="BTC", unguarded=why)
    await bench.begin()
    sent = len(bench.venue.sent)
    bench.guard.inbox.post(
        InstrumentsRead(at=bench.clock.now(), instruments=(inverse,), asked=frozenset({coin.symbol}))
    )
    # Its units are other ones: what would prove a mismatch of a linear contract proves nothing here (I29).
    bench.venue.rows[coin] = position(coin, notional=D("0.0001"), liquidation_price=D(99))
    bench.guard.inbox.post(await bench.venue.positions())
    for _ in range(6):
        await bench.settle(1)
        bench.guard.inbox.post(MarkSeen(coin.symbol, D("99.5"), bench.clock.now(), index=D("99.5"), last=D("99.5")))
        bench.guard.inbox.post(await bench.venue.positions())
    await bench.settle(0.5)
    view = bench.guard.view
    assert view is not None
    assert view.condition is AccountCondition.LIVE, view.condition_why
    assert view.unguarded == ((coin.symbol, why),)
    shown = {each.key: each for each in view.positions}[coin]
    assert (shown.protected, shown.protection_note) == (False, f"not guarded: {why}")
    assert shown.unprotected_s > 5
    assert any(isinstance(fact, Said) and fact.text == f"{coin}: not guarded: {why}" for fact in bench.facts)
    bench.guard.inbox.post(OperatorSpoke(at=bench.clock.now(), word=OperatorWord.FLATTEN, why="test"))
    await bench.settle(5)
    assert {write.write.key for write in bench.venue.sent[sent:]} == {LONG}
    assert coin in bench.guard.state.held
    await bench.end()


async def test_I21_a_stop_that_goes_with_its_position_is_no_alarm_and_one_that_leaves_it_behind_is() -> None:
    bench = GuardBench(STOP)
    await bench.begin()
    assert bench.guard.view is not None
    assert bench.guard.view.positions[0].protected
    bench.venue.plans = {}
    bench.venue.script.extend([Reason.TRIGGER_TOO_FAR] * 20)
    now = bench.clock.now()
    bench.guard.inbox.post(PositionsPushed(at=now, updates=(replace(pushed(), quantity=D(0), venue_ms=OPENED_MS + 1),)))
    bench.guard.inbox.post(await bench.venue.orders())
    await bench.settle(0.3)
    bench.guard.inbox.post(Pulse(at=bench.clock.now()))
    await bench.settle(0.1)
    assert not bench.told("no longer protected")
    await bench.settle(0.4)
    bench.guard.inbox.post(Pulse(at=bench.clock.now()))
    await bench.settle(0.1)
    assert bench.told("no longer protected"), "no read says that it is flat"
    await bench.end()


def _balance() -> Balance:
    return Balance(
        currency="USDT",
        equity=D(5000),
        available=D(3000),
        frozen=D(0),
        position_margin=D(2000),
        unrealized_pnl=D(0),
    )


def pushed() -> PositionUpdate:
    row = position()
    return PositionUpdate(
        key=LONG,
        quantity=row.quantity,
        entry_price=row.entry_price,
        margin_mode=row.margin_mode,
        liquidation_price=row.liquidation_price,
        frozen_quantity=D(0),
        closed_quantity=D(0),
        opened_ms=OPENED_MS,
        venue_ms=OPENED_MS,
    )


async def test_I21_blindness_that_time_alone_brings_is_told_within_a_second_while_nothing_happens() -> None:
    bench = GuardBench(STOP)
    await bench.begin()
    await bench.read()
    bench.frame("100")
    seen = bench.clock.now()
    for _ in range(80):
        await bench.settle(0.25)
        bench.guard.inbox.post(Pulse(at=bench.clock.now()))
    told = next(fact for fact in bench.facts if isinstance(fact, Said) and "stale" in fact.text)
    assert 15 < told.at.seconds_since(seen) <= 16
    await bench.end()


async def test_I21_a_list_of_stops_that_grew_too_old_ends_the_protection_shown_within_a_second() -> None:
    bench = GuardBench(STOP)
    await bench.begin()
    listed = bench.guard.state.plans_at
    assert listed is not None
    bench.facts.clear()
    for quarter in range(250):
        if quarter % 4 == 0:
            await bench.read()
            bench.frame("100")
        await bench.settle(0.25)
        bench.guard.inbox.post(Pulse(at=bench.clock.now()))
    assert bench.guard.state.plans_at == listed
    shown = [fact for fact in bench.facts if isinstance(fact, AccountView)]
    unprotected = next(view.at for view in shown if not view.positions[0].protected)
    assert 60 < unprotected.seconds_since(listed) <= 61
    await bench.end()


async def test_what_a_rule_asks_for_and_is_not_done_is_journalled_once_for_the_story_of_what_is_done() -> None:
    bench = GuardBench(rule("{distance_to_liquidation: {below: 5%}}", "reduce: {by: 10%}", name="trim"))
    await bench.begin()
    bench.guard.absorb(OperatorSpoke(at=bench.clock.now(), word=OperatorWord.HALT, why="test"))
    for mark in ("84", "83.9", "83.8"):
        await bench.read(mark)
        bench.frame(mark)
        await bench.settle(0.3)
    held = [(each, text) for _, _, each, text, _ in bench.journal.rules if text.startswith("held: ")]
    assert [(each, "not acted on" in text) for each, text in held] == [("trim", True)]
    assert bench.closes() == []
    await bench.end()
