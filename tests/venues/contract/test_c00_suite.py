"""C00: the suite itself. Every case has one number, every number a milestone, every venue of the simulator a place."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from guardd.simulator.run import SimulatedVenue
from tests.venues.contract.bench import Bench, Denial, Line
from tests.venues.contract.registry import VENUES

HERE = Path(__file__).parent
README = HERE.parents[2] / "guardd" / "venues" / "README.md"
CASE = re.compile(r"test_C(\d+)_([a-zA-Z0-9_]+)")


def numbers() -> list[int]:
    found: list[int] = []
    for file in sorted(HERE.glob("test_*.py")):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                match = CASE.fullmatch(node.name)
                assert match, f"{file.name}: {node.name} has no number"
                assert len(match[2].split("_")) >= 4, f"{file.name}: {node.name} is no sentence"
                found.append(int(match[1]))
    return found


def milestones() -> list[int]:
    """The cases that the guide names, each once."""
    rows = [line for line in README.read_text().splitlines() if re.match(r"\| \d+ \|", line)]
    named: list[int] = []
    for row in rows:
        for first, last in re.findall(r"C(\d+)(?:–C(\d+))?", row.split("|")[-2]):
            named += range(int(first), int(last or first) + 1)
    return named


def test_C00_every_case_has_a_number_of_its_own() -> None:
    assert [number for number, count in Counter(numbers()).items() if count > 1 and number] == []


def test_C00_the_guide_names_the_milestone_of_every_case_once() -> None:
    assert sorted(milestones()) == sorted(set(numbers()))


def test_C00_every_venue_that_the_simulator_speaks_must_pass() -> None:
    assert set(VENUES) == {venue.value for venue in SimulatedVenue}


def test_C00_a_bench_leaves_nothing_unsaid(bench: Bench) -> None:
    assert set(bench.paths) == set(Line)
    assert set(bench.denials) == set(Denial)
    named = {bench.btc, bench.eth, bench.second_coin, bench.unguarded} - {None}
    assert named == set(bench.hundredth)


@pytest.mark.parametrize("file", sorted(path.name for path in HERE.glob("test_c[1-9]*.py")))
def test_C00_no_case_holds_a_venues_word(file: str) -> None:
    text = (HERE / file).read_text().lower()
    words = {word for venue in VENUES for word in venue.split("-")}
    assert sorted(word for word in words if word in text) == []
