"""A seeded sample of mechanical mutants of risk, policy and approve: `python -m tests.mutation.mutants --sample 600 --seed 1`.

One warm process has everything imported and every test collected. It first learns which lines each test reaches; then each mutant
is a fork of it in which one function's code (or one constant) is another, and the tests that reach the changed lines are run
there, the quick ones first, until one fails or the budget is spent. What changes nothing at all is listed in `equivalent.yaml`,
with the reason. (mutmut 3.8 was tried first: it copes with the layout, but neither with a budget for each mutant nor with
decorated functions and constants, and its modules of 60,000 lines take longer to load than the tests to run.)
"""

import argparse
import ast
import gc
import hashlib
import importlib
import json
import os
import resource
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from inspect import unwrap
from pathlib import Path
from random import Random
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any, Final, TypeAlias

import pytest
from _pytest.runner import runtestprotocol
from hypothesis import Phase, settings
from ruamel.yaml import YAML

from tests.mutation.changes import Change, changes

TREE: Final = Path(__file__).parents[2]
EQUIVALENT: Final = Path(__file__).with_name("equivalent.yaml")
ROOMS: Final = {
    "risk": ("guardd/risk/**/*.py",),
    "policy": ("guardd/policy/**/*.py",),
    "approve": ("guardd/execution/approve.py", "guardd/execution/judge_levers.py"),
}
SHARES: Final = {"risk": 0.3, "policy": 0.5, "approve": 0.2}
"""Of the sample. The rooms have very different numbers of mutants: each must be judged by enough of them."""
AIM: Final = 0.85
SELECTED: Final = (
    "tests/risk",
    "tests/policy",
    "tests/execution",
    "tests/daemon/test_drawdown.py",
    "tests/daemon/test_lookout.py",
    "tests/cli/test_explain.py",
)
DESELECTED: Final = (
    "tests/policy/sentences/test_table.py",
    "tests/policy/cases/test_ready.py::test_every_case_passes_with_its_probes_and_no_mutant_survives",
    "tests/policy/test_load.py::test_no_text_makes_the_reader_fail_otherwise_than_with_a_configuration_error",
    "tests/policy/test_load.py::test_what_is_no_policy_at_all_is_refused_with_a_place",
    "tests/policy/test_watch.py::test_a_tick_costs_less_than_a_few_microseconds",
)
"""Tests of the text of the code, of time, of whatever bytes; and the tool's own mutation of policies."""
_DECIDES: Final = "decide wishes witness together sizes stops ladders placing memory confirm levers conditions view"
LAWS: Final = {
    "tests/policy/test_watch.py::test_no_crossing_is_ever_missed": "watch crossings ground",
    "tests/policy/test_watch.py::test_a_bound_is_the_last_tick_at_which_nothing_changes": "watch crossings",
    "tests/policy/test_watch.py::test_the_price_shown_is_the_first_at_which_the_rule_acts": "triggers walk crossings",
    "tests/policy/test_triggers.py::test_a_rule_fires_on_one_side_of_its_price_and_nowhere_before_it": "triggers walk crossings",
    "tests/policy/test_laws.py": _DECIDES,
    "tests/policy/test_trail.py::test_I11_whatever_the_marks_do_the_trail": "trail stops",
    "tests/policy/cases/test_ready.py::test_every_case_passes_with_its_probes[": "cases load whatif",
    "tests/execution/test_protection_laws.py": "approve",
}
"""Laws over thousands of drawn cases pass every budget: they are run, at the end, for the modules that they are about."""
LAW_S: Final = 30.0
BUDGET_S: Final = 10.0
"""Of CPU for one mutant's tests, as they take while it is learned what they reach: three or four times as long as else."""
ENDLESS: Final = 4
"""A mutant whose tests take so many times as long, and five seconds more, never ends: it was noticed."""
SURVIVED, KILLED, IMPOSSIBLE = 0, 1, 2
Reached: TypeAlias = tuple[float, dict[str, list[int]]]
"""CPU seconds of a test, and the lines of each file that it reaches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Equivalent:
    """A change that changes nothing that anybody could see, and why."""

    function: str
    change: str
    why: str


def equivalents(path: Path = EQUIVALENT) -> tuple[Equivalent, ...]:
    found = YAML(typ="safe").load(path.read_text()) or []
    return tuple(Equivalent(function=each["in"], change=each["change"], why=each["why"]) for each in found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int, default=600, help="how many mutants")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="those whose name has this in it, instead of a sample")
    parser.add_argument("--reach", type=Path, help="a file that keeps which lines each test reaches, for the next run")
    parser.add_argument("--into", type=Path, help="one JSON line for each; what is there is not run again")
    parser.add_argument("--again", action="store_true", help="but for those that survived")
    given = parser.parse_args()
    trees: dict[str, ast.Module] = {}
    chosen = _chosen(given.sample, given.seed, given.only, trees)
    known = _known(given.into)
    done = {name for name, code in known.items() if not (given.again and code == SURVIVED)}
    settings.register_profile(
        "mutants", derandomize=True, database=None, deadline=None, phases=(Phase.explicit, Phase.generate)
    )
    settings.load_profile("mutants")
    run = _Run([each for each in chosen if each.name not in done], trees, given.into, given.reach)
    options = [
        "-q",
        "--no-header",
        "-n0",
        "-p",
        "no:cacheprovider",
        "--tb=no",
        "-W",
        "ignore::pytest.PytestAssertRewriteWarning",
        *(f"--deselect={each}" for each in DESELECTED),
    ]
    os.chdir(TREE)
    code = pytest.main([*options, *SELECTED], plugins=[run])
    if code not in (0, 1) or run.unsound:
        print(f"pytest ended with {code}; on the code as it is these fail: {run.unsound}")
        return 2
    return _told(chosen, {**known, **run.ended}, equivalents())


def _chosen(sample: int, seed: int, only: str, trees: dict[str, ast.Module]) -> list[Change]:
    """Of each room its share, drawn by the seed: the same of the same code. `trees` gets the module of each file."""
    found: list[Change] = []
    for room, patterns in ROOMS.items():
        files = sorted({file for pattern in patterns for file in TREE.glob(pattern)})
        these: list[Change] = []
        for file in files:
            trees[str(file.relative_to(TREE))], found_there = changes(file, TREE)
            these += found_there
        if only:
            found += [each for each in these if only in each.name]
            continue
        Random(f"{seed}/{room}").shuffle(these)
        found += these[: round(sample * SHARES[room])]
    return found


class _Run:
    """A plugin of pytest: instead of running the tests once it runs them for each mutant."""

    def __init__(
        self, chosen: Sequence[Change], trees: dict[str, ast.Module], into: Path | None, kept: Path | None
    ) -> None:
        self.chosen, self.trees, self.into, self.kept = chosen, trees, into, kept
        self.ended: dict[str, int] = {}
        self.unsound: list[str] = []
        self._told = os.fdopen(os.dup(2), "w")

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        reach = _Reach(_kept(self.kept))
        unknown = [each for each in session.items if each.nodeid not in reach.known and not _law_of(each.nodeid)]
        for number, item in enumerate(unknown):
            following = unknown[number + 1] if number + 1 < len(unknown) else None
            with reach.of(item):
                reports = runtestprotocol(item, log=False, nextitem=following)
            if any(report.failed for report in reports):
                self.unsound.append(item.nodeid)
        if self.kept is not None and not self.unsound:
            self.kept.write_text(json.dumps({"of": _digest(), "tests": reach.known}))
        reach.choose_from(session.items)
        gc.freeze()  # forks copy less
        self._say(f"{len(session.items)} tests; {reach.took_s:.0f} CPU s to see what they reach")
        if self.unsound:
            return True
        for number, change in enumerate(self.chosen, start=1):
            code, tests = _tried(change, self.trees[change.file], reach)
            self.ended[change.name] = code
            word = ("SURVIVED", "killed", "impossible")[code]
            self._say(f"{number}/{len(self.chosen)} {word} ({tests} tests) {change.name}")
            if self.into is not None:
                with self.into.open("a") as file:
                    file.write(json.dumps({"name": change.name, "code": code, "tests": tests}) + "\n")
        return True

    def _say(self, text: str) -> None:
        print(text, file=self._told, flush=True)


class _Reach:
    """Which lines of which files each test reaches, and how long it takes."""

    def __init__(self, known: dict[str, Reached]) -> None:
        self.known = known
        self.took_s = 0.0
        self._files = {str(TREE / file): file for file in _files()}
        self._lines: dict[str, set[int]] = {}
        self._name = ""
        self._began = 0.0
        self._items: dict[str, pytest.Item] = {}
        self._by_line: dict[tuple[str, int], list[str]] = defaultdict(list)

    def of(self, item: pytest.Item) -> "_Reach":
        self._name = item.nodeid
        return self

    def __enter__(self) -> None:
        self._lines = defaultdict(set)
        self._began = time.process_time()
        sys.settrace(self._call)

    def __exit__(self, *error: object) -> None:
        sys.settrace(None)
        took_s = time.process_time() - self._began
        self.took_s += took_s
        self.known[self._name] = took_s, {file: sorted(lines) for file, lines in sorted(self._lines.items())}

    def choose_from(self, items: Sequence[pytest.Item]) -> None:
        self._items = {item.nodeid: item for item in items}
        for name in self._items:
            for file, lines in self.known.get(name, (0.0, {}))[1].items():
                for line in lines:
                    self._by_line[file, line].append(name)

    def tests_of(self, change: Change) -> list[pytest.Item]:
        """Those that reach one of its lines: its module's own first, then its room's, the quick ones first; within the budget."""
        lines = [(change.file, line) for line in change.lines] if change.function else self._uses(change)
        found = {name for line in lines for name in self._by_line.get(line, ())}
        chosen: list[pytest.Item] = []
        left_s = BUDGET_S
        room, module = change.file.split("/")[1], f"/test_{Path(change.file).stem}.py::"

        def order(name: str) -> tuple[int, float, str]:
            near = 0 if module in name else 1 if name.startswith(f"tests/{room}/") else 2
            return near, self.known[name][0], name

        for name in sorted(found, key=order):
            if chosen and self.known[name][0] > left_s:
                continue
            left_s -= self.known[name][0]
            chosen.append(self._items[name])
        stems = {Path(change.file).stem, Path(change.file).parent.name}
        return chosen + [item for name, item in self._items.items() if stems & _law_of(name)]

    def seconds(self, items: Sequence[pytest.Item]) -> float:
        return sum(self.known.get(item.nodeid, (LAW_S,))[0] for item in items)

    def _uses(self, change: Change) -> list[tuple[str, int]]:
        """The lines in which a constant is named."""
        return [
            (file, node.lineno)
            for file in _files()
            for node in ast.walk(ast.parse((TREE / file).read_text()))
            if isinstance(node, ast.Name) and node.id == change.constant and isinstance(node.ctx, ast.Load)
        ]

    def _call(self, frame: FrameType, event: str, argument: object) -> Any:
        return self._line if frame.f_code.co_filename in self._files else None

    def _line(self, frame: FrameType, event: str, argument: object) -> Any:
        self._lines[self._files[frame.f_code.co_filename]].add(frame.f_lineno)
        return self._line


def _law_of(test: str) -> set[str]:
    """The modules that a law is about; none: it is an ordinary test."""
    return {name for law, names in LAWS.items() if test.startswith(law) for name in names.split()}


def _files() -> list[str]:
    return sorted(
        {str(file.relative_to(TREE)) for patterns in ROOMS.values() for each in patterns for file in TREE.glob(each)}
    )


def _digest() -> str:
    return hashlib.sha256("".join((TREE / file).read_text() for file in _files()).encode()).hexdigest()


def _kept(path: Path | None) -> dict[str, Reached]:
    """What an earlier run saw of the same code; tests that were changed since are for whoever changed them to take out."""
    kept = json.loads(path.read_text()) if path is not None and path.exists() else {}
    return {name: (each[0], each[1]) for name, each in kept["tests"].items()} if kept.get("of") == _digest() else {}


def _tried(change: Change, module: ast.Module, reach: _Reach) -> tuple[int, int]:
    """How the tests end with the change, and how many there are."""
    items = reach.tests_of(change)
    if not items:
        return SURVIVED, 0
    pid = os.fork()
    if pid == 0:
        os._exit(_child(change, module, items, reach.seconds(items)))
    _, status = os.waitpid(pid, 0)
    return (os.WEXITSTATUS(status) if os.WIFEXITED(status) else KILLED), len(items)


def _child(change: Change, module: ast.Module, items: Sequence[pytest.Item], seconds: float) -> int:
    most_s = round(seconds * ENDLESS) + 5
    spent_s = round(time.process_time()) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (spent_s + most_s, spent_s + most_s + 5))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(20 * most_s)
    try:
        _make(change, module)
    except (ValueError, SyntaxError, ArithmeticError, TypeError):
        return IMPOSSIBLE
    for item in items:
        if any(report.failed for report in runtestprotocol(item, log=False, nextitem=None)):
            return KILLED
    return SURVIVED


def _make(change: Change, module: ast.Module) -> None:
    """Put the change into the modules that are loaded: everybody who has the function or the constant has the changed one."""
    change.make()
    loaded = importlib.import_module(change.file.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
    if change.constant:
        _reset(change.constant, module, loaded)
        return
    function = _function(loaded, change.function)
    code = compile(ast.fix_missing_locations(module), str(TREE / change.file), "exec")
    function.__code__ = next(
        each
        for each in _codes(code)
        if each.co_qualname == function.__code__.co_qualname and each.co_firstlineno == function.__code__.co_firstlineno
    )


def _function(loaded: ModuleType, path: str) -> FunctionType:
    *classes, name = path.split(".")
    holder: Any = loaded
    for each in classes:
        holder = getattr(holder, each)
    found = vars(holder)[name]
    if isinstance(found, property):
        found = found.fget
    found = unwrap(getattr(found, "__func__", getattr(found, "func", found)))
    assert isinstance(found, FunctionType)
    return found


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _codes(each)


def _reset(name: str, module: ast.Module, loaded: ModuleType) -> None:
    old = vars(loaded)[name]
    value = next(
        node.value
        for node in module.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == name
    )
    assert value is not None
    new = eval(compile(ast.Expression(value), loaded.__name__, "eval"), vars(loaded))
    for each in [each for name_, each in sys.modules.items() if name_.startswith("guardd.")]:
        if vars(each).get(name) is old:
            setattr(each, name, new)


def _known(path: Path | None) -> dict[str, int]:
    if path is None or not path.exists():
        return {}
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return {row["name"]: row["code"] for row in rows}


def _told(chosen: Sequence[Change], ended: dict[str, int], known: Sequence[Equivalent]) -> int:
    same = {(each.function, each.change) for each in known}
    counts: dict[str, Counter[str]] = {room: Counter() for room in ROOMS}
    for each in chosen:
        room = "risk" if each.file.startswith("guardd/risk") else "policy" if "policy" in each.file else "approve"
        code = ended.get(each.name)
        if code == KILLED:
            counts[room]["killed"] += 1
        elif code == SURVIVED and (f"{each.file}::{each.function or each.constant}", each.what) in same:
            counts[room]["equivalent"] += 1
        elif code == SURVIVED:
            counts[room]["survived"] += 1
            print(f"survived: {each.name}")
        else:
            counts[room]["impossible"] += 1
    print("| room | mutants | killed | equivalent | survived | killed of those that change anything |")
    print("|---|---|---|---|---|---|")
    good = True
    for room, count in (*counts.items(), ("all", sum(counts.values(), Counter()))):
        judged = count["killed"] + count["survived"]
        share = count["killed"] / judged if judged else 1.0
        good = good and share >= AIM
        total = judged + count["equivalent"]
        print(f"| {room} | {total} | {count['killed']} | {count['equivalent']} | {count['survived']} | {share:.1%} |")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
