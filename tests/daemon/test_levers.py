"""A margin step in a whole guard: what follows it, and when (interfaces.md 2.5)."""

import asyncio

import pytest

from guardd.model.event import Pulse
from guardd.model.facts import RuleFired
from guardd.model.intent import AddMargin as AddMarginWrite
from tests.changed import replace
from tests.daemon.test_guard import GuardBench
from tests.execution.bench import LONG, D, balance, position
from tests.execution.fake_venue import Answer
from tests.policy.guarded import rule

PULSE_S = 0.1
FEED = rule("{distance_to_liquidation: {below: 10%}}", "add_margin: {amount: 50 USDT}, close: {}", name="feed")


async def fallen(answer: Answer, *, liquidation: str = "80") -> GuardBench:
    """A long that stands at 84 with its end at 80, whose margin step is answered like this, and where it ends then.

    Reads go on by themselves.
    """
    bench = GuardBench(FEED)
    bench.venue.balance = balance()
    for name in ("read-positions", "read-balance"):
        bench.tasks.append(asyncio.create_task(dict(bench.guard.reader.tasks())[name]()))
    await bench.begin()
    bench.venue.script.append(answer)
    bench.venue.rows = {LONG: position(mark_price=D(84), notional=D(8400), margin=D(2_000))}
    if liquidation != "80":
        moved = replace(bench.venue.rows[LONG], liquidation_price=D(liquidation), margin=D(2_050))
        bench.venue.watch_change = lambda: bench.venue.rows.update({LONG: moved})
    await bench.settle(1.1)
    bench.frame("84")
    await bench.settle(0.05)
    return bench


async def beat(bench: GuardBench, seconds: float) -> None:
    """Time passes with the guard's own pulse."""
    for _ in range(round(seconds / PULSE_S)):
        bench.frame("84")
        bench.guard.inbox.post(Pulse(at=bench.clock.now()))
        await bench.settle(PULSE_S)


def added(bench: GuardBench) -> int:
    return sum(isinstance(sent.write, AddMarginWrite) for sent in bench.venue.sent)


async def test_a_margin_step_that_helped_leaves_the_position_open() -> None:
    bench = await fallen(Answer.ACCEPT, liquidation="70")
    await beat(bench, 5)
    assert (added(bench), bench.closes()) == (1, [])
    await bench.end()


@pytest.mark.parametrize("answer", [Answer.UNKNOWN_LOST, Answer.ACCEPT_NOT_LISTED])
async def test_two_seconds_after_a_margin_step_that_nothing_shows_the_close_goes(answer: Answer) -> None:
    bench = await fallen(answer)
    assert added(bench) == 1
    await beat(bench, 1.8)
    assert bench.closes() == []
    await beat(bench, 0.4)
    assert bench.closes() == [D(100)]
    assert added(bench) == 1
    await bench.end()


async def test_the_rule_is_counted_once_and_each_of_its_actions_is_told() -> None:
    bench = await fallen(Answer.UNKNOWN_LOST)
    await beat(bench, 2.2)
    assert len([fact for fact in bench.facts if isinstance(fact, RuleFired)]) == 1
    assert bench.told("add 50 USDT of margin")
    assert bench.told("close BTCUSDT long")
    await bench.end()
