"""A seeded sample of mechanical mutants of risk, policy and approve: `python -m tests.mutation.mutants --sample 600`.

The mutants are mutmut's (`pip install mutmut`, 3.8 or later): operators, comparisons, constants, boolean words, arguments, cases of
a match; each is run, in a fork of a warm interpreter, by the tests that reach its function, the quick ones first. What only changes
words for people (a reason, a note) is left out of the sample, and what changes nothing at all is listed in `equivalent.yaml` with
the reason. The tree itself is left alone: everything happens in a copy, which `--place` keeps, and a second run goes on from there.
"""

import argparse
import ast
import difflib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from ruamel.yaml import YAML

TREE: Final = Path(__file__).parents[2]
EQUIVALENT: Final = Path(__file__).with_name("equivalent.yaml")
PARTS: Final = ("guardd", "tests", "config", "pyproject.toml")
ROOMS: Final = {"risk": "guardd/risk/", "policy": "guardd/policy/", "approve": "guardd/execution/"}
SHARES: Final = {"risk": 0.3, "policy": 0.5, "approve": 0.2}
"""Of the sample. The rooms have very different numbers of mutants: each must be judged by enough of them."""
AIM: Final = 0.85
SELECTED: Final = ("tests/risk", "tests/policy", "tests/execution", "tests/cli/test_explain.py")
DESELECTED: Final = (
    "tests/policy/sentences/test_table.py",
    "tests/policy/cases/test_ready.py",
    "tests/policy/test_load.py::test_no_text_makes_the_reader_fail_otherwise_than_with_a_configuration_error",
    "tests/policy/test_watch.py::test_no_crossing_is_ever_missed",
)
"""Tests of the text of the code, which isn't the code's own in such a copy; and the slowest, which see little that others don't."""
FIRST: Final = "guardd.execution.approve.x_approve__mutmut_1"
"""Run alone at first: making the mutants and timing the tests comes with it."""
KILLED: Final = frozenset({1, 3, 24, 36, 152, 255, -24})
"""Exit codes of mutmut's: a test failed, pytest itself did, or the time was up."""
WORDS: Final = frozenset({"why", "text", "reason", "note", "detail", "hint"})
"""Arguments and names that hold words for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """`removed` and `added`: the lines that differ, without their indentation."""

    name: str
    room: str
    function: str
    removed: tuple[str, ...]
    added: tuple[str, ...]
    code: int | None
    """How its run ended; None: it wasn't run."""

    @property
    def killed(self) -> bool:
        return self.code in KILLED

    @property
    def change(self) -> str:
        return " ⏎ ".join([*(f"- {line}" for line in self.removed), *(f"+ {line}" for line in self.added)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Equivalent:
    """A change that changes nothing that anybody could see, and why."""

    function: str
    added: str
    why: str


def equivalents(path: Path = EQUIVALENT) -> tuple[Equivalent, ...]:
    found = YAML(typ="safe").load(path.read_text()) or []
    return tuple(Equivalent(function=each["in"], added=each["new"], why=each["why"]) for each in found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int, default=600, help="how many mutants")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--place", type=Path, help="a directory for the copy, kept and taken up again")
    parser.add_argument(
        "--again", action="store_true", help="run those anew that survived in the kept copy, with the tests of now"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="guardd-mutants-") as scratch:
        place = Path(given.place or scratch).resolve()
        _copied(place, anew=given.again)
        if not (place / "mutants" / "mutmut-stats.json").is_file():
            _mutmut(place, [FIRST], jobs=given.jobs)
        chosen = sampled(list(mutants(place)), given.sample, given.seed)
        left = [each for each in chosen if each.code is None or (given.again and not each.killed)]
        if left:
            _mutmut(place, [each.name for each in left], jobs=given.jobs)
        names = {each.name for each in chosen}
        return _told([each for each in mutants(place) if each.name in names], equivalents())


def sampled(found: Sequence[Mutant], size: int, seed: int) -> list[Mutant]:
    """Of each room its share, drawn by the seed. The same mutants are drawn from the same code."""
    chosen: list[Mutant] = []
    for room, share in SHARES.items():
        these = sorted((each for each in found if each.room == room), key=lambda each: each.name)
        Random(f"{seed}/{room}").shuffle(these)
        chosen += these[: round(size * share)]
    return chosen


def mutants(place: Path) -> Iterator[Mutant]:
    """Every mutant that was made in the copy, but those of words for people."""
    for room, folder in ROOMS.items():
        for meta in sorted((place / "mutants" / folder).rglob("*.py.meta")):
            codes: dict[str, int | None] = json.loads(meta.read_text())["exit_code_by_key"]
            if codes:
                yield from _of_file(meta.with_suffix(""), room, codes)


def _of_file(file: Path, room: str, codes: dict[str, int | None]) -> Iterator[Mutant]:
    text = file.read_text()
    functions = {node.name: node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)}
    lines = text.splitlines()
    for name, code in codes.items():
        module, _, mangled = name.rpartition(".")
        whole = mangled.rpartition("__mutmut_")[0]
        before, after = functions[f"{whole}__mutmut_orig"], functions[mangled]
        if _meaning(before, lines) == _meaning(after, lines):
            continue
        removed, added = _difference(before, after, lines)
        function = f"{module}.{whole.removeprefix('x').strip('_').replace('ǁ', '.').strip('.')}"
        yield Mutant(name=name, room=room, function=function, removed=removed, added=added, code=code)


def _source(node: ast.FunctionDef, lines: list[str]) -> list[str]:
    body = lines[node.body[0].lineno - 1 : node.end_lineno]
    return textwrap.dedent("\n".join(body)).splitlines()


def _difference(
    before: ast.FunctionDef, after: ast.FunctionDef, lines: list[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    changed = list(difflib.ndiff(_source(before, lines), _source(after, lines)))
    return (
        tuple(line[2:].strip() for line in changed if line.startswith("- ")),
        tuple(line[2:].strip() for line in changed if line.startswith("+ ")),
    )


def _meaning(function: ast.FunctionDef, lines: list[str]) -> str:
    """What it does, but for what it says to people."""
    body = ast.parse(textwrap.dedent("\n".join(_source(function, lines))))
    return ast.dump(_Wordless().visit(body))


class _Wordless(ast.NodeTransformer):
    """Texts with a space in them, and whatever is given as words, are all the same to it."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.expr:
        return ast.Constant("words")

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        return ast.Constant("words") if isinstance(node.value, str) and " " in node.value else node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        node.keywords = [each for each in node.keywords if each.arg not in WORDS]
        self.generic_visit(node)
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.stmt:
        if all(isinstance(target, ast.Name) and target.id in WORDS for target in node.targets):
            node.value = ast.Constant("words")
        self.generic_visit(node)
        return node


def _copied(place: Path, *, anew: bool) -> None:
    place.mkdir(parents=True, exist_ok=True)
    skipped = shutil.ignore_patterns("__pycache__", ".hypothesis", "data")
    for part in PARTS:
        if (place / part).exists() and not (anew and part == "tests"):
            continue
        if (TREE / part).is_dir():
            shutil.copytree(TREE / part, place / part, ignore=skipped, dirs_exist_ok=True)
        else:
            (place / part).write_text((TREE / part).read_text() + _settings())


def _settings() -> str:
    options = ["-n0", "-p", "no:cacheprovider", *(f"--deselect={each}" for each in DESELECTED)]
    settings = {
        "source_paths": ["guardd"],
        "only_mutate": [
            "guardd/risk/*.py",
            "guardd/policy/*.py",
            "guardd/execution/approve.py",
            "guardd/execution/judge_levers.py",
        ],
        "also_copy": ["config"],
        "pytest_add_cli_args": options,
        "pytest_add_cli_args_test_selection": [each for each in SELECTED if (TREE / each).exists()],
        "timeout_multiplier": 1.5,
        "timeout_constant": 2.0,
    }
    return "\n[tool.mutmut]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())


def _mutmut(place: Path, names: Iterable[str], *, jobs: int) -> None:
    """CI: hypothesis then draws the same examples each time, and keeps none."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"CI": "true"}
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", str(jobs), *names]
    with (place / "mutmut.log").open("a") as log:
        code = subprocess.run(command, cwd=place, env=environment, stdout=log, stderr=log, check=False).returncode
    if code != 0:
        said = (place / "mutmut.log").read_text().replace("\r", "\n").splitlines()[-30:]
        raise SystemExit("mutmut ended with " + str(code) + ":\n" + "\n".join(said))


def _told(found: Sequence[Mutant], known: Sequence[Equivalent]) -> int:
    same = {(each.function, each.added) for each in known}
    counts: dict[str, Counter[str]] = {room: Counter() for room in ROOMS}
    for each in found:
        if each.killed:
            counts[each.room]["killed"] += 1
        elif (each.function, " ⏎ ".join(each.added)) in same:
            counts[each.room]["equivalent"] += 1
        else:
            counts[each.room]["survived"] += 1
            print(f"{each.name} ({each.code}): {each.change}")
    print("| room | mutants | killed | equivalent | survived | killed of those that change anything |")
    print("|---|---|---|---|---|---|")
    good = True
    for room, count in (*counts.items(), ("all", sum(counts.values(), Counter()))):
        judged = count["killed"] + count["survived"]
        share = count["killed"] / judged if judged else 0.0
        good = good and share >= AIM
        print(
            f"| {room} | {count.total()} | {count['killed']} | {count['equivalent']} | {count['survived']} | {share:.1%} |"
        )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
