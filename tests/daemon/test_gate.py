"""When the guard may decide: what is missing is named, and a restart's open questions hold back all but stops."""

from guardd.daemon.gate import condition, waits_for
from guardd.execution.closing import closing_steps
from guardd.model.account import AccountCondition
from guardd.model.decision import Close
from guardd.model.event import (
    BlockKind,
    BlockMoved,
    ClockRead,
    InstrumentsRead,
    SnapshotFinished,
    StreamMoved,
    StreamName,
    VenueLearned,
)
from guardd.model.fold import fold
from guardd.model.intent import Stage
from guardd.model.names import PositionKey, Side, Symbol
from guardd.model.reading import Absent
from guardd.model.state import AccountState, Pending
from tests.changed import replace
from tests.execution.bench import BOUNDS, EPISODE, INSTRUMENT, LONG, Bench, position
from tests.execution.fake_venue import CAN_ALL
from tests.model.intents import RULE


async def everything_read() -> Bench:
    bench = Bench()
    await bench.hold(position())
    fold(bench.state, VenueLearned(at=bench.now, capabilities=CAN_ALL, family=""))
    fold(bench.state, ClockRead(at=bench.now, offset_ms=0))
    for stream in StreamName:
        fold(bench.state, StreamMoved(at=bench.now, stream=stream, up=True, why="acknowledged"))
    fold(bench.state, SnapshotFinished(started=bench.now, at=bench.now))
    return bench


async def test_a_full_read_after_the_streams_came_up_is_waited_for() -> None:
    bench = await everything_read()
    assert waits_for(bench.state, waited_s=1) == ()
    bench.clock.pass_time(1)
    fold(bench.state, StreamMoved(at=bench.now, stream=StreamName.PRIVATE, up=True, why="acknowledged again"))
    assert waits_for(bench.state, waited_s=1) == ("one full read after the streams came up",)
    await bench.end()


async def test_streams_that_never_come_up_leave_nothing_naked_the_guard_begins_by_reads_and_says_so() -> None:
    bench = await everything_read()
    fold(bench.state, StreamMoved(at=bench.now, stream=StreamName.PRIVATE, up=False, why="login refused"))
    assert waits_for(bench.state, waited_s=9) == ("the private stream (login refused)",)
    assert waits_for(bench.state, waited_s=10) == ()
    bench.clock.pass_time(6)
    word, why = condition(bench.state, missing=(), stale="", now=bench.now)
    assert (word, why) == (AccountCondition.STALE, "by reads alone, without the private stream (login refused)")
    await bench.end()


async def test_a_contract_that_cannot_be_guarded_keeps_no_other_position_from_its_guard() -> None:
    bench = await everything_read()
    inverse = PositionKey(LONG.account, Symbol("BTCUSD"), Side.LONG)
    await bench.hold(position(), position(key=inverse))
    assert waits_for(bench.state, waited_s=1) == ("the contract details of BTCUSD",)
    asked = frozenset({LONG.symbol, inverse.symbol})
    fold(bench.state, InstrumentsRead(at=bench.now, instruments=(INSTRUMENT,), asked=asked))
    assert waits_for(bench.state, waited_s=1) == ()
    assert bench.state.unguardable == {inverse.symbol}
    await bench.end()


async def test_nothing_is_decided_before_what_the_account_can_do_is_known() -> None:
    bench = await everything_read()
    bench.state.learned_at = None
    assert waits_for(bench.state, waited_s=60) == ("what the venue can do",)
    unified = replace(CAN_ALL, several_whole_stops=True)
    fold(bench.state, VenueLearned(at=bench.now, capabilities=unified, family="unified"))
    assert waits_for(bench.state, waited_s=1) == ()
    assert (bench.state.capabilities, bench.state.family) == (unified, "unified")
    await bench.end()


async def test_a_contract_that_is_known_and_not_guarded_needs_no_mark_and_holds_up_nothing() -> None:
    bench = await everything_read()
    inverse = PositionKey(LONG.account, Symbol("BTCUSD"), Side.LONG)
    await bench.hold(position(), position(key=inverse, mark_price=Absent.UNKNOWN))
    coin = replace(INSTRUMENT, symbol=inverse.symbol, settle="BTC", unguarded="inverse")
    fold(bench.state, InstrumentsRead(at=bench.now, instruments=(coin,), asked=frozenset({inverse.symbol})))
    assert waits_for(bench.state, waited_s=1) == ()
    await bench.end()


async def test_an_unresolved_intent_of_an_earlier_run_is_told_but_no_reason_to_keep_a_position_from_its_stop() -> None:
    bench = await everything_read()
    _left_by_an_earlier_run(bench, bench.state)
    assert waits_for(bench.state, waited_s=1) == ()
    word, why = condition(bench.state, missing=(), stale="", now=bench.now)
    assert (word, why) == (AccountCondition.STARTING, "waiting for 1 unfinished intents of an earlier run")
    bench.state.pending.clear()
    assert condition(bench.state, missing=(), stale="", now=bench.now)[0] is AccountCondition.LIVE
    await bench.end()


def _left_by_an_earlier_run(bench: Bench, state: AccountState) -> None:
    close = Close(key=LONG, episode=EPISODE, rule=RULE, reason="the end is near")
    [intent] = bench.go(closing_steps(close, state, BOUNDS, now=bench.now))
    state.pending[intent.id] = Pending(intent=intent, stage=Stage.UNKNOWN, since=bench.now, earlier_run=True)


async def test_an_account_that_is_held_back_says_who_holds_it_and_not_the_word_of_a_label() -> None:
    bench = await everything_read()
    told = {}
    for kind in BlockKind:
        fold(bench.state, BlockMoved(at=bench.now, kind=kind, until=bench.now.later_by(30)))
        told[kind] = condition(bench.state, missing=(), stale="", now=bench.now)
        fold(bench.state, BlockMoved(at=bench.now, kind=kind, until=None))
    assert told == {
        BlockKind.EDGE: (AccountCondition.BLOCKED, "held back: Cloudflare blocks this address"),
        BlockKind.BAN: (AccountCondition.BLOCKED, "held back: the venue banned this address"),
        BlockKind.RATE_LIMIT: (AccountCondition.BLOCKED, "held back: the venue's rate limit"),
    }
    await bench.end()
