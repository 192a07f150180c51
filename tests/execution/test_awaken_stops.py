"""After a restart a missing stop goes at once; everything else waits for the venue's word on what the last run left in flight."""

from guardd.execution.awaken import awaken
from guardd.execution.closing import closing_steps
from guardd.execution.reconcile import reconcile
from guardd.execution.refusal import Refusal, RefusalKind
from guardd.journal.base import Remembered
from guardd.model.decision import Close, Reduce
from guardd.model.intent import PlaceProtection, Stage
from guardd.model.names import RuleName
from tests.changed import replace
from tests.execution.bench import BOUNDS, EMPTY_MEMORY, EPISODE, LONG, Bench, D, fresh_state, position, protect, wanted
from tests.execution.fake_venue import Answer

TRIM = Reduce(key=LONG, episode=EPISODE, rule=RuleName("trim"), size=D(30), reason="too near")
CLOSE = Close(key=LONG, episode=EPISODE, rule=RuleName("last-resort"), reason="the end is near")


async def killed_in_a_trim() -> Bench:
    """A guard that was killed when its trim was on its way (and never arrived), and the next one on the same venue."""
    bench = Bench()
    await bench.hold(position())
    bench.venue.script.append(Answer.UNKNOWN_LOST)
    [intent] = bench.go(closing_steps(TRIM, bench.state, BOUNDS, now=bench.now))
    await bench.end()
    bench.venue.script.clear()
    left = Remembered(
        intent=intent, stage=Stage.SENT, outcome=None, order_id=None, filled=None, at_ms=bench.now.wall_ms
    )
    bench.state = fresh_state(bench.now)
    awaken(bench.state, replace(EMPTY_MEMORY, unfinished=(left,)), now=bench.now, clock_offset_ms=0)
    bench.executor = bench.new_executor()
    await bench.read()
    return bench


async def test_I08_a_missing_stop_does_not_wait_for_what_the_last_run_left_unknown() -> None:
    bench = await killed_in_a_trim()
    assert bench.state.unresolved == 1
    [stop] = bench.go(reconcile(protect(wanted()), bench.state, BOUNDS, now=bench.now))
    assert isinstance(stop.write, PlaceProtection)
    await bench.settle(1)
    assert [plan.client_id for plan in bench.venue.plans.values()] == [stop.id]
    await bench.end()


async def test_I07_nothing_is_reduced_or_closed_before_the_last_run_is_resolved() -> None:
    bench = await killed_in_a_trim()
    for decision in (replace(TRIM, rule=RuleName("another")), CLOSE):
        [proposal] = closing_steps(decision, bench.state, BOUNDS, now=bench.now).proposals
        verdict = bench.judge(proposal)
        assert isinstance(verdict, Refusal)
        assert verdict.kind is RefusalKind.IN_FLIGHT
    bench.executor.resume(bench.state.pending.values())
    await bench.settle(10)
    await bench.read()
    assert bench.state.unresolved == 0
    [again] = bench.go(closing_steps(TRIM, bench.state, BOUNDS, now=bench.now))
    await bench.settle(10)
    assert again.id in bench.state.known_client_ids
    assert bench.venue.rows[LONG].quantity == 70
    await bench.end()
