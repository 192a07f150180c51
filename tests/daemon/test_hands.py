"""The hands: a stop that the guard keeps itself acts when the mark is past it, and one that rests is looked after then."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from guardd.daemon.hands import Hands
from guardd.daemon.reader import ReadKind
from guardd.daemon.telling import Teller
from guardd.execution.proposal import Bounds
from guardd.model.decision import OnUnprotected, Reduce, finish_name
from guardd.model.facts import Fact, Said
from guardd.model.intent import CloseAtMarket
from guardd.model.names import EpisodeId
from guardd.model.outcome import Reason
from guardd.model.position import episode_id
from tests.changed import replace
from tests.execution.bench import EPISODE, LONG, OPENED_MS, Bench, D, plan, position, protect, wanted


@dataclass
class Wants:
    """A reader that only remembers what was wanted."""

    kinds: list[ReadKind] = field(default_factory=list)

    def want(self, *kinds: ReadKind) -> None:
        self.kinds.extend(kinds)


class Scene:
    """Hands over a bench; `mark` is what the last assessment saw."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.mark = D(100)
        self.reader = Wants()
        self.facts: list[Fact] = []
        reader: Any = self.reader
        self.hands = Hands(
            state=bench.state,
            executor=bench.executor,
            reader=reader,
            teller=Teller(state=bench.state, journal=bench.journal, listener=self.facts.append),
            bounds=lambda key: Bounds(mark=self.mark, liquidation_price=D(80)),
            doubts=lambda key: (),
        )

    def sees(self, mark: str, *stops: str) -> None:
        """A look at this mark, at which the policy names these stops."""
        self.mark = D(mark)
        self.hands.act((protect(*(wanted(stop) for stop in stops)),), now=self.bench.now)


@pytest.fixture
async def scene():
    bench = Bench()
    await bench.hold(position())
    yield Scene(bench)
    await bench.end()


async def test_a_software_stop_stays_when_the_mark_is_past_it_and_the_policy_names_it_no_more(scene: Scene) -> None:
    scene.bench.venue.script.extend([Reason.TRIGGER_TOO_FAR] * 3)
    scene.sees("100", "90")
    await scene.bench.settle(0.5)
    scene.sees("95", "90")
    assert [stop.trigger_price for stop in scene.hands.software_stops[LONG]] == [D(90)]
    scene.sees("89")
    assert scene.hands.software_stop_reached(LONG, D(89)) is not None


async def test_a_software_stop_that_nobody_asks_for_ends_while_the_mark_is_before_it(scene: Scene) -> None:
    scene.bench.venue.script.extend([Reason.TRIGGER_TOO_FAR] * 3)
    scene.sees("100", "90")
    await scene.bench.settle(0.5)
    scene.sees("95", "90")
    scene.sees("95")
    assert LONG not in scene.hands.software_stops


async def test_a_resting_stop_that_the_mark_is_past_is_read_at_once_and_then_twice_a_second(scene: Scene) -> None:
    scene.sees("100", "90")
    await scene.bench.settle(2)
    await scene.bench.read()
    await scene.bench.settle(1)
    scene.sees("91", "90")
    assert scene.reader.kinds == []
    scene.sees("89.9")
    assert scene.reader.kinds == [ReadKind.POSITIONS, ReadKind.ORDERS]
    await scene.bench.read()
    scene.sees("89.9")
    assert len(scene.reader.kinds) == 2


async def test_the_minute_without_a_stop_is_counted_for_each_life_by_itself(scene: Scene) -> None:
    """A position that is opened again isn't closed for what the one before it was without (interfaces 2.1)."""
    scene.bench.venue.script.extend([Reason.TRIGGER_TOO_FAR] * 40)
    must = replace(wanted("90"), on_unprotected=OnUnprotected.CLOSE)

    async def look(episode: EpisodeId) -> None:
        scene.hands.act((protect(must, episode=episode),), now=scene.bench.now)
        scene.hands.follow_up(now=scene.bench.now)
        await scene.bench.settle(5)
        await scene.bench.read()

    for _ in range(11):
        await look(EPISODE)
    opened_ms = OPENED_MS + 60_000
    await scene.bench.hold(position(opened_ms=opened_ms))
    for _ in range(11):
        await look(episode_id(LONG, opened_ms))
    assert not _closes(scene)
    for _ in range(4):
        await look(episode_id(LONG, opened_ms))
    assert _closes(scene)


def _closes(scene: Scene) -> list[CloseAtMarket]:
    return [sent.write for sent in scene.bench.venue.sent if isinstance(sent.write, CloseAtMarket)]


# Tranches


async def test_a_position_that_stays_without_a_stop_is_told_each_five_minutes_and_not_at_each_mark(
    scene: Scene,
) -> None:
    for second in range(400):
        why = f"the mark {second} has passed its trigger"
        scene.hands._note_unprotected(LONG, EPISODE, why, scene.bench.now.later_by(second))
    told = [fact.text for fact in scene.facts if isinstance(fact, Said) and "over a minute" in fact.text]
    assert [text.split("mark ")[1].split(" ")[0] for text in told] == ["60", "360"]


async def test_of_two_tranches_that_the_guard_keeps_itself_the_one_that_is_passed_stays_beside_the_other(
    scene: Scene,
) -> None:
    near, far = wanted("94", size=50, tranche=0), wanted("90", size=50, tranche=1)
    scene.bench.venue.script.extend([Reason.TRIGGER_TOO_FAR] * 4)
    scene.hands.act((protect(near, far),), now=scene.bench.now)
    await scene.bench.settle(0.5)
    scene.hands.act((protect(near, far),), now=scene.bench.now)
    scene.mark = D(93)
    scene.hands.act((protect(far),), now=scene.bench.now)
    kept = {stop.slot: stop.size for stop in scene.hands.software_stops[LONG]}
    assert kept == {"rest/stop_loss/0": D(50), "rest/stop_loss/1": D(50)}


async def test_a_tranche_that_the_guard_closed_itself_is_done_and_not_closed_again(scene: Scene) -> None:
    near = wanted("94", size=50, tranche=0)
    scene.bench.venue.script.extend([Reason.TRIGGER_TOO_FAR] * 3)
    scene.hands.act((protect(near),), now=scene.bench.now)
    await scene.bench.settle(0.5)
    scene.hands.act((protect(near),), now=scene.bench.now)
    scene.mark = D(93)
    [stop] = scene.hands.software_stops[LONG]
    scene.bench.venue.script.clear()
    name = finish_name(stop.slot)
    close = Reduce(key=LONG, episode=EPISODE, rule=name, size=D(50), reason="its price was reached")
    scene.hands.act((close,), now=scene.bench.now)
    await scene.bench.settle(5)
    await scene.bench.read()
    assert scene.bench.state.held[LONG].position.quantity == 50
    scene.hands.act((protect(),), now=scene.bench.now)
    assert LONG not in scene.hands.software_stops


@pytest.mark.parametrize(("created_ms", "finished"), [(OPENED_MS - 1, False), (OPENED_MS, True)])
async def test_a_stop_that_somebody_left_from_another_life_says_nothing_about_this_one(
    scene: Scene, created_ms: int, finished: bool
) -> None:
    """A short was flipped to this long: in one-way mode its stop names no side, and fires as the price rises."""
    scene.hands.fired(LONG, replace(plan("77", "110"), created_ms=created_ms), scene.bench.now)
    assert bool(scene.hands._fired) is finished
