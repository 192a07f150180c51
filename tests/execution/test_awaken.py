"""Waking up after a crash: unfinished intents are unknown, windows go on, a doubted clock frees no cap and delays no close."""

import asyncio
from typing import Any

import pytest

from guardd.errors import InvariantBroken
from guardd.execution.approve import ApprovedIntent
from guardd.execution.awaken import awaken
from guardd.execution.closing import closing_steps
from guardd.execution.proposal import Leash
from guardd.execution.reconcile import reconcile
from guardd.journal.base import Memory, Remembered, RuleMark
from guardd.model.decision import Close, Reduce
from guardd.model.intent import FINISHED, Intent, Stage
from guardd.model.names import OrderId, RuleName
from guardd.model.outcome import Reason, Rejected
from guardd.model.state import NewsKind
from tests.changed import replace
from tests.execution.bench import BOUNDS, EMPTY_MEMORY, EPISODE, LONG, Bench, D, fresh_state, position, protect, wanted
from tests.execution.fake_venue import Answer

CLOSE = Close(key=LONG, episode=EPISODE, rule=RuleName("last-resort"), reason="the end is near")
TRIM = Reduce(key=LONG, episode=EPISODE, rule=RuleName("trim"), size=D(30), reason="too near")


async def held() -> Bench:
    bench = Bench()
    await bench.hold(position())
    return bench


def remembered(bench: Bench, intent: Intent, stage: Stage, **changes: Any) -> Remembered:
    kept = Remembered(intent=intent, stage=stage, outcome=None, order_id=None, filled=None, at_ms=bench.now.wall_ms)
    return replace(kept, **changes)


async def restart(bench: Bench, memory: Memory, *, away_s: float = 0.0, offset_ms: int | None = 0) -> None:
    """Kill the guard and start another on the same venue and journal."""
    await bench.end()
    bench.clock.pass_time(away_s)
    bench.state = fresh_state(bench.now)
    awaken(bench.state, memory, now=bench.now, clock_offset_ms=offset_ms)
    bench.executor = bench.new_executor()
    await bench.read()


def memory_of(bench: Bench, intent: Intent) -> Memory:
    """What the journal would say of one intent."""
    notes = [note for note in bench.journal.notes if note.intent.id == intent.id]
    if intent.id not in bench.journal.intended:
        return EMPTY_MEMORY
    stage = notes[-1].stage if notes else Stage.JOURNALLED
    orders = [note.order_id for note in notes if note.order_id is not None]
    kept = remembered(
        bench, intent, stage, order_id=orders[-1] if orders else None, filled=notes[-1].filled if notes else None
    )
    if stage in FINISHED:
        return replace(EMPTY_MEMORY, recent=(kept,))
    return replace(EMPTY_MEMORY, unfinished=(kept,))


@pytest.mark.parametrize("answer", [Answer.ACCEPT, Answer.UNKNOWN_DONE, Answer.UNKNOWN_LOST])
@pytest.mark.parametrize("turns", range(0, 40, 3))
async def test_I08_killed_anywhere_one_decision_is_executed_once(turns: int, answer: Answer) -> None:
    bench = await held()
    bench.venue.pause_s = 0.01
    bench.venue.script.append(answer)
    [intent] = bench.go(closing_steps(TRIM, bench.state, BOUNDS, now=bench.now))
    for _ in range(turns):
        await bench.clock.advance(0.01, turns=1)
    await bench.end()
    bench.venue.script.clear()
    bench.venue.pause_s = 0.0
    await restart(bench, memory_of(bench, intent), away_s=1)
    bench.executor.resume(bench.state.pending.values())
    await bench.settle(10)
    await bench.read()
    if not any(finished.stage is Stage.VERIFIED for finished in bench.state.finished):
        bench.go(closing_steps(TRIM, bench.state, BOUNDS, now=bench.now))
        await bench.settle(10)
    assert bench.venue.rows[LONG].quantity == 70
    await bench.end()


@pytest.mark.parametrize("turns", range(0, 30, 3))
async def test_I08_killed_while_placing_a_stop_ends_in_the_same_one_stop(turns: int) -> None:
    bench = await held()
    bench.venue.pause_s = 0.01
    [intent] = bench.go(reconcile(protect(wanted()), bench.state, BOUNDS, now=bench.now))
    for _ in range(turns):
        await bench.clock.advance(0.01, turns=1)
    await bench.end()
    bench.venue.pause_s = 0.0
    await restart(bench, memory_of(bench, intent), away_s=1)
    bench.executor.resume(bench.state.pending.values())
    await bench.settle(10)
    await bench.read()
    await bench.protect(wanted())
    [stop] = bench.venue.plans.values()
    assert stop.client_id == intent.id
    await bench.end()


async def test_I08_nothing_new_is_decided_on_what_is_still_unknown() -> None:
    bench = await held()
    [intent] = bench.go(closing_steps(CLOSE, bench.state, BOUNDS, now=bench.now))
    await restart(bench, replace(EMPTY_MEMORY, unfinished=(remembered(bench, intent, Stage.SENT),)))
    assert bench.state.pending[intent.id].stage is Stage.UNKNOWN
    assert bench.go(closing_steps(CLOSE, bench.state, BOUNDS, now=bench.now)) == []
    await bench.end()


async def test_what_the_journal_knows_is_ours_after_a_restart() -> None:
    bench = await held()
    [intent] = bench.go(closing_steps(TRIM, bench.state, BOUNDS, now=bench.now))
    done = remembered(bench, intent, Stage.VERIFIED, order_id=OrderId("7"), filled=D(30))
    mark = RuleMark(episode=EPISODE, rule=RuleName("older"), steps=4, verified_ms=bench.now.wall_ms)
    memory = replace(
        EMPTY_MEMORY,
        recent=(done,),
        rule_marks=(mark,),
        order_ids=frozenset({OrderId("plain")}),
        halted=True,
        parked="an invariant broke",
    )
    await restart(bench, memory, away_s=5)
    state = bench.state
    assert state.own_order_ids == {"7", "plain"}
    assert intent.id in state.known_client_ids
    assert (state.halted, state.parked) == (True, "an invariant broke")
    assert state.progress[EPISODE, RuleName("trim")].steps == 1
    assert state.progress[EPISODE, RuleName("older")].steps == 4
    verified = state.progress[EPISODE, RuleName("trim")].verified
    assert verified is not None
    assert bench.now.seconds_since(verified) == 5


async def test_I08_an_episode_that_goes_on_after_a_restart_still_had_its_stop_and_its_largest_quantity() -> None:
    bench = await held()
    first = bench.state.held[LONG].episode
    await bench.protect(wanted())
    await bench.settle(3)
    changed = [news.episode for news in bench.news if news.kind is NewsKind.EPISODE_CHANGED]
    assert [each is not None and each.had_verified_stop for each in changed] == [True], (
        "told once, so that it is journalled"
    )
    noted = replace(first, had_verified_stop=True, largest_quantity=D(300))
    await restart(bench, replace(EMPTY_MEMORY, episodes=(noted,)), away_s=60)
    episode = bench.state.held[LONG].episode
    assert episode == noted
    await bench.end()


async def reduced_half(away_s: float, *, offset_ms: int | None = 0, step_s: float = 0.0) -> ApprovedIntent | object:
    """A guard that may reduce by half in the hour did so, died, and is asked for more."""
    bench = await held()
    half = replace(TRIM, size=D(50))
    [intent] = bench.go(closing_steps(half, bench.state, BOUNDS, now=bench.now))
    done = remembered(bench, intent, Stage.VERIFIED, filled=D(50))
    bench.venue.rows[LONG] = position(quantity=50, closed_quantity=D(50))
    bench.clock.step_wall(step_s)
    await restart(bench, replace(EMPTY_MEMORY, recent=(done,)), away_s=away_s, offset_ms=offset_ms)
    [proposal] = closing_steps(
        replace(TRIM, rule=RuleName("other"), size=D(20)), bench.state, BOUNDS, now=bench.now
    ).proposals
    return bench.judge(proposal, leash=Leash(reduce_per_hour=D("0.5")))


async def test_I24_windows_survive_a_restart() -> None:
    assert not isinstance(await reduced_half(60), ApprovedIntent)
    assert isinstance(await reduced_half(3_700), ApprovedIntent)


@pytest.mark.parametrize(
    "doubt", [{"step_s": -10_000.0}, {"offset_ms": 90_000}, {"offset_ms": None}], ids=["backward", "far off", "unknown"]
)
async def test_I24_a_backward_step_or_a_doubted_gap_is_no_time_for_caps(doubt: dict[str, Any]) -> None:
    assert not isinstance(await reduced_half(3_700, **doubt), ApprovedIntent)


async def test_I24_a_doubted_clock_delays_no_close() -> None:
    bench = await held()
    [intent] = bench.go(closing_steps(CLOSE, bench.state, BOUNDS, now=bench.now))
    refused = Rejected(reason=Reason.EDGE_BLOCKED, code="403", text="blocked")
    kept = remembered(bench, intent, Stage.REJECTED, outcome=refused)
    bench.clock.step_wall(-10_000)
    await restart(bench, replace(EMPTY_MEMORY, recent=(kept,)))
    [proposal] = closing_steps(CLOSE, bench.state, BOUNDS, now=bench.now).proposals
    assert isinstance(bench.judge(proposal), ApprovedIntent)


async def test_awaken_is_for_a_fresh_state_only() -> None:
    bench = await held()
    bench.go(closing_steps(CLOSE, bench.state, BOUNDS, now=bench.now))
    with pytest.raises(InvariantBroken, match="fresh"):
        awaken(bench.state, EMPTY_MEMORY, now=bench.now, clock_offset_ms=0)
    await bench.end()
    await asyncio.sleep(0)
