"""Whatever the venue answers, loses or does late, and wherever the guard is killed: caps hold, nothing goes beside its like."""

import asyncio
import os
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from guardd.execution.levering import lever_steps
from guardd.execution.proposal import Leash
from guardd.execution.windows import topped_up
from guardd.journal.base import Memory
from guardd.model.decision import AddMargin, Lever, TopUp
from guardd.model.intent import AddMargin as AddMarginWrite
from guardd.model.intent import Stage, TransferToFutures
from guardd.model.names import MarginMode, RuleName
from guardd.model.outcome import Reason
from guardd.model.position import episode_id
from tests.changed import replace
from tests.execution.bench import EMPTY_MEMORY, EPISODE, LONG, OPENED_MS, SHORT, Bench, D, balance, position
from tests.execution.fake_venue import Answer
from tests.execution.test_levers import hold, kept, restart

CAP = Leash(top_up_per_day=D(300), orders_per_minute=1_000)
WHICH = ("isolated", "cross")
answers = st.sampled_from([*Answer, Reason.BALANCE, Reason.NOT_SENT])
waits = st.sampled_from([0.0, 0.3, 2.5, 12.0, 40.0])
asks = st.tuples(st.sampled_from(WHICH), st.sampled_from([90, 150]), st.sampled_from(["a", "b", "c"]), answers, waits)
steps = st.one_of(
    st.tuples(st.just("ask"), asks),
    st.tuples(st.just("ask"), asks),
    st.tuples(st.just("wait"), waits),
    st.tuples(st.just("late"), st.none()),
    st.tuples(st.just("blind"), st.booleans()),
    st.tuples(st.just("kill"), st.none()),
)


@settings(max_examples=int(os.environ.get("GUARDD_LEVER_EXAMPLES", "60")), deadline=None)
@given(st.lists(steps, min_size=6, max_size=16))
def test_I07_I16_the_cap_holds_and_no_two_of_a_kind_are_under_way(plan: list[tuple[str, object]]) -> None:
    asyncio.run(_play(plan))


async def _play(plan: list[tuple[str, object]]) -> None:
    bench = Bench()
    bench.venue.balance = balance()
    rows = (position(margin=D(2_000)), position(SHORT, margin_mode=MarginMode.CROSS))
    await hold(bench, *rows)
    for what, about in plan:
        match what, about:
            case "ask", (str(which), int(amount), str(rule), Answer() | Reason() as answer, float(seconds)):
                if not bench.venue.reads_fail:
                    await hold(bench, *bench.venue.rows.values())
                if bench.go(lever_steps(_decision(which, amount, rule), bench.state), leash=CAP):
                    bench.venue.script.append(answer)
                await bench.settle(seconds)
            case "wait", float(seconds):
                await bench.settle(seconds)
            case "late", _:
                bench.venue.late()
            case "blind", bool(blind):
                bench.venue.reads_fail = blind
            case _:
                bench.venue.reads_fail = False
                await restart(bench, _memory(bench), away_s=1)
                bench.executor.resume(bench.state.pending.values())
        _check(bench)
    bench.venue.reads_fail = False
    bench.venue.script.clear()
    bench.executor.resume(bench.state.pending.values())
    await bench.settle(120)
    assert not bench.state.pending, "once the venue can be read, everything comes to an end"
    _check(bench)
    await bench.end()


def _decision(which: str, amount: int, rule: str) -> Lever:
    if which == "cross":
        return TopUp(
            key=SHORT,
            episode=episode_id(SHORT, OPENED_MS),
            rule=RuleName(rule),
            amount=D(amount),
            currency="USDT",
            reason="too near",
        )
    return AddMargin(
        key=LONG, episode=EPISODE, rule=RuleName(rule), amount=D(amount), currency="USDT", reason="too near"
    )


def _check(bench: Bench) -> None:
    moved = sum((record.amount for record in bench.venue.records), Decimal(0))
    assert moved <= CAP.top_up_per_day
    assert moved <= topped_up(bench.state, bench.now)
    for kind in (AddMarginWrite, TransferToFutures):
        under_way = [each for each in bench.state.pending.values() if isinstance(each.intent.write, kind)]
        assert len(under_way) <= 1


def _memory(bench: Bench) -> Memory:
    """What the journal would say of all of them."""
    each = [kept(bench, intent) for intent in bench.journal.intended.values()]
    recent = tuple(one for memory in each for one in memory.recent)
    unfinished = tuple(one for memory in each for one in memory.unfinished)
    return replace(EMPTY_MEMORY, recent=recent, unfinished=unfinished)


def test_the_stages_that_count_as_nothing_moved_are_those_that_prove_it() -> None:
    from guardd.model.moved import NOTHING_MOVED

    assert {Stage.REFUSED, Stage.REJECTED} == NOTHING_MOVED
