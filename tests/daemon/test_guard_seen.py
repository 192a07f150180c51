"""What the guard does about what it sees of others and of its own feeds: another guardd's orders, a stream that comes back."""

import asyncio

from guardd.model.event import OperatorSpoke, OperatorWord, Pulse, StreamMoved, StreamName
from guardd.model.facts import SnapshotTaken
from guardd.model.intent import CLIENT_ID_PREFIX
from guardd.model.names import ClientId
from guardd.model.order import PlanForm
from tests.changed import replace
from tests.daemon.test_guard import CLOSE, STOP, GuardBench
from tests.execution.bench import D, plan

FULL = ("read-positions", "read-balance", "read-orders")


async def test_everything_is_read_anew_when_a_stream_comes_back() -> None:
    bench = GuardBench(STOP)
    await bench.begin()
    bench.venue.balance = bench.guard.state.balances["USDT"]
    tasks = dict(bench.guard.reader.tasks())
    bench.tasks.extend(asyncio.create_task(tasks[name]()) for name in FULL)
    await bench.settle(1.5)
    bench.guard.inbox.post(StreamMoved(at=bench.clock.now(), stream=StreamName.PRIVATE, up=False, why="closed"))
    await bench.settle(0.5)
    bench.venue.log.clear()
    back = bench.clock.now()
    bench.guard.inbox.post(StreamMoved(at=back, stream=StreamName.PRIVATE, up=True, why="acknowledged"))
    await bench.settle(0.3)
    assert {"read positions", "read balances", "read orders"} <= set(bench.venue.log)
    asked = [fact.at for fact in bench.facts if isinstance(fact, SnapshotTaken)]
    assert asked[-1].mono_ns >= back.mono_ns
    await bench.end()


async def test_positions_are_read_at_the_venues_pace_at_rest_and_each_second_while_the_stream_is_down() -> None:
    bench = GuardBench(STOP)
    await bench.begin()
    state = bench.guard.state
    state.capabilities = replace(state.capabilities, positions_at_rest_s=2.0)
    tasks = dict(bench.guard.reader.tasks())
    bench.tasks.append(asyncio.create_task(tasks["read-positions"]()))
    read: dict[bool, int] = {}
    for up in (True, False):
        bench.guard.inbox.post(StreamMoved(at=bench.clock.now(), stream=StreamName.PRIVATE, up=up, why="planted"))
        await beat(bench, 3.0)
        bench.venue.log.clear()
        await beat(bench, 12.0)
        read[up] = bench.venue.log.count("read positions")
    assert (read[True], read[False]) == (6, 12)
    await bench.end()


async def beat(bench: GuardBench, seconds: float) -> None:
    """The heart beats, prices come, and nothing else happens."""
    for _ in range(int(seconds * 4)):
        bench.frame("100")
        bench.guard.inbox.post(Pulse(at=bench.clock.now()))
        await bench.settle(0.25)


async def test_I14_an_order_of_another_guardd_stops_every_write_until_it_is_adopted() -> None:
    bench = GuardBench(STOP, CLOSE)
    await bench.begin()
    rests_theirs(bench, "77", older=True)
    sent = len(bench.venue.sent)
    bench.guard.inbox.post(await bench.venue.orders())
    await bench.settle(0.2)
    assert bench.told("1 orders of another guardd rest here; this one only observes")
    await bench.read("84")
    bench.frame("84")
    await bench.settle(0.5)
    assert len(bench.venue.sent) == sent
    bench.guard.inbox.post(OperatorSpoke(at=bench.clock.now(), word=OperatorWord.RESUME, why="it is switched off"))
    await bench.read("84")
    bench.frame("83.9")
    await bench.settle(0.5)
    assert bench.closes() == [D(100)]
    await bench.end()


async def test_I14_of_two_that_began_at_once_the_one_with_the_oldest_order_goes_on_for_as_long_as_the_other_steps_back() -> (
    None
):
    bench = GuardBench(STOP, CLOSE)
    await bench.begin()
    rests_theirs(bench, "77", older=False)
    bench.guard.inbox.post(await bench.venue.orders())
    await bench.settle(0.2)
    assert bench.told("younger than ours: it must only observe, and this one goes on")
    assert not bench.guard.state.foreign_guard
    await bench.settle(25)
    bench.guard.inbox.post(await bench.venue.orders())
    await bench.settle(0.2)
    assert not bench.guard.state.foreign_guard, "nothing of theirs is new"
    rests_theirs(bench, "78", older=False)
    bench.guard.inbox.post(await bench.venue.orders())
    await bench.settle(0.2)
    assert bench.guard.state.foreign_guard, "it doesn't step back"
    await bench.end()


def rests_theirs(bench: GuardBench, order_id: str, *, older: bool) -> None:
    """An order of another guardd, by a time of the venue's before or after that of every order of ours."""
    client = ClientId(f"{CLIENT_ID_PREFIX}{order_id * 13}")
    theirs = plan(order_id, "88", client_id=client, form=PlanForm.SIZED, size=D(100))
    times = [each.created_ms for each in bench.venue.plans.values()]
    bench.venue.plans[order_id] = replace(theirs, created_ms=min(times) - 1 if older else max(times) + 1)
