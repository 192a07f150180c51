"""The policy language's contract, sentence by sentence: which tests fail without it, and what proves that.

`sentences.yaml` says each row and clause of interfaces.md, section 2, in a few words and names its tests. `breaks.yaml` holds for
a sentence what to break in the code: with that in place its tests must fail (`python -m tests.policy.sentences --prove`).
"""

import ast
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ruamel.yaml import YAML

HERE: Final = Path(__file__).parent
TREE: Final = HERE.parents[2]
SENTENCES: Final = HERE / "sentences.yaml"
BREAKS: Final = HERE / "breaks.yaml"
SECTIONS: Final = ("2", "2.1", "2.2", "2.3", "2.4", "2.5", "2.6")
ID: Final = re.compile(r"(2(?:\.[1-6])?)/[a-z0-9-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """One row or clause. `tests` are pytest's node ids without parameters."""

    id: str
    says: str
    tests: tuple[str, ...]

    @property
    def section(self) -> str:
        return self.id.split("/")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A text of one file and what stands there once the code is broken."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """What undoes a sentence: every edit is made at once."""

    sentence: str
    edits: tuple[Edit, ...]


def sentences(path: Path = SENTENCES) -> tuple[Sentence, ...]:
    """The table, in the order of interfaces.md."""
    found = YAML(typ="safe").load(path.read_text())
    return tuple(
        Sentence(id=f"{section}/{name}", says=row["says"], tests=tuple(row["tests"]))
        for section, rows in found.items()
        for name, row in rows.items()
    )


def breaks(path: Path = BREAKS) -> tuple[Break, ...]:
    found = YAML(typ="safe").load(path.read_text())
    return tuple(
        Break(
            sentence=sentence,
            edits=tuple(Edit(file=each["in"], old=each["old"], new=each["new"]) for each in edits),
        )
        for sentence, edits in found.items()
    )


def missing(tests: Iterable[str], tree: Path = TREE) -> tuple[str, ...]:
    """The node ids that no test in the tree answers to, found in the files' syntax: nothing is imported or run."""
    known: dict[str, frozenset[str]] = {}
    lost: list[str] = []
    for test in tests:
        file, _, name = test.partition("::")
        if file not in known:
            known[file] = _tests_of(tree / file)
        if name not in known[file]:
            lost.append(test)
    return tuple(lost)


def as_markdown(table: Iterable[Sentence], proved: Mapping[str, bool]) -> str:
    """The table for people; ✓ where a break proves it."""
    lines = ["| sentence | says | tests that fail without it | proved |", "|---|---|---|---|"]
    for each in table:
        tests = "<br>".join(f"`{test.removeprefix('tests/')}`" for test in each.tests)
        lines.append(f"| {each.id} | {each.says} | {tests} | {'✓' if proved.get(each.id) else ''} |")
    return "\n".join(lines) + "\n"


def _tests_of(file: Path) -> frozenset[str]:
    if not file.is_file():
        return frozenset()
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    found: set[str] = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, functions):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{each.name}" for each in node.body if isinstance(each, functions)}
    return frozenset(name for name in found if name.split("::")[-1].startswith("test_"))
