"""Counted work repeats itself, a planted slowdown is found, and so is a gain that nobody wrote down."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from guardd.journal.tape import Tape
from guardd.journal.worker import InlineWorker
from guardd.model.event import Event, MarkSeen
from guardd.model.names import AccountName
from guardd.simulator.run import SimulatedVenue
from tests.bench import expected, pieces
from tests.bench.cast import Cast
from tests.bench.counter import Counter, Work
from tests.bench.guard import WATCHING
from tests.bench.pieces import Figures, Play, counted
from tests.bench.stand import Scene
from tests.changed import replace

TICK = "few: tick"
FEW = Play(
    name="few", scene=Scene(venue=SimulatedVenue.BITGET, cast=Cast(positions=6), policy=WATCHING), ticks_only=True
)
MANY = replace(FEW, name="many", scene=replace(FEW.scene, cast=Cast(positions=60)))


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """A stand sets up the log of its process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


class Walking(Tape):
    """The planted slowdown: a look at every symbol ever seen, on every tick."""

    def __init__(self, data: Path) -> None:
        super().__init__(data, worker=InlineWorker())
        self.seen: dict[str, int] = {}

    def __call__(self, account: AccountName, event: Event, /) -> None:
        super().__call__(account, event)
        if isinstance(event, MarkSeen):
            self.seen[event.symbol] = self.seen.get(event.symbol, 0) + 1
            sum(1 for each in json.loads(json.dumps(self.seen)) if each.isupper())


def as_expected(figures: Figures) -> expected.Expected:
    return expected.Expected(figures=figures, exact=True, libraries=True, of="this")


def test_two_runs_count_the_same() -> None:
    assert counted(FEW) == counted(FEW)


def test_a_tick_that_walks_over_all_positions_fails_the_check() -> None:
    as_it_is, slowed = counted(FEW), counted(FEW, tape=Walking)
    wrong = expected.judged(slowed, as_expected(as_it_is))
    assert any(line.startswith(f"{TICK}, all: found") and line.endswith("more work") for line in wrong)
    assert expected.judged(as_it_is, as_expected(as_it_is)) == []


def test_a_tick_costs_the_same_with_ten_times_the_positions_and_a_walk_shows() -> None:
    few, many = counted(FEW)[TICK], counted(MANY)["many: tick"]
    assert many.all <= few.all * 1.2
    assert counted(MANY, tape=Walking)["many: tick"].all > few.all * 1.2


@pytest.mark.parametrize(
    ("now", "exact", "says"),
    [
        (1_040, True, ""),
        (1_100, True, "10 % more work"),
        (900, True, "keep it so by"),
        (1_100, False, ""),
        (1_500, False, "50 % more work"),
        (500, False, ""),
    ],
)
def test_a_figure_may_leave_its_margin_in_neither_direction(now: float, exact: bool, says: str) -> None:
    was = expected.Expected(figures={"x": work(1_000)}, exact=exact, libraries=True, of="3.11")
    wrong = expected.judged({"x": work(now)}, was)
    assert len(wrong) == (3 if says else 0)
    assert all(says in line for line in wrong)


def test_a_figure_that_nobody_accepted_is_asked_for() -> None:
    assert "no figure" in expected.judged({"new": work(1)}, as_expected({}))[0]


def test_what_is_accepted_is_expected_next_time(tmp_path: Path) -> None:
    file = tmp_path / "counted.json"
    with pytest.raises(RuntimeError, match="no figures"):
        expected.known(file)
    expected.accepted({"a": work(1_000), "b": work(10)}, file)
    expected.accepted({"a": work(500)}, file)
    found = expected.known(file)
    assert found.exact
    assert found.libraries
    assert found.figures == {"a": work(500), "b": work(10)}


def test_every_play_of_the_check_has_its_figures() -> None:
    names = {name.partition(":")[0] for name in expected.known().figures}
    assert {play.name for play in pieces.chosen([], full=False)} <= names


def test_what_is_paused_is_not_counted() -> None:
    counter = Counter()
    with counter.on():
        json.dumps({"a": 1})
    once = counter.so_far
    with counter.on():
        json.dumps({"a": 1})
        with counter.paused():
            json.dumps({"a": 1})
    assert once.all > 0
    assert counter.so_far.all < once.all * 3


def work(figure: float) -> Work:
    return Work(own=figure, all=figure, calls=figure)
