"""A deliberate bug: exact texts of guardd's code, and what stands there instead. It is only ever made in a copy of the tree."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

TREE: Final = Path(__file__).parents[2]
PARTS: Final = ("guardd", "tests", "config", "pyproject.toml")
SKIPPED: Final = shutil.ignore_patterns("__pycache__", ".hypothesis", "data")
_writes = count(1)


@dataclass(frozen=True, slots=True)
class Edit:
    """`old` stands once in the file; `new` takes its place."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Bug:
    """One mistake. `says` what it is; `tests`: files, or tests, of which one at least must fail with it.

    `faults`, `venue`: where the simulation is to look for it (of the seeds these are drawn); empty: everywhere.
    """

    name: str
    says: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]
    faults: str = ""
    venue: str = ""


def stale(bug: Bug, tree: Path = TREE) -> str:
    """Why a bug isn't about the code as it is; empty when it is."""
    for edit in bug.edits:
        file = tree / edit.file
        times = file.read_text().count(edit.old) if file.is_file() else 0
        if times != 1:
            return f"{bug.name}: found {times} times in {edit.file}, expected once: {edit.old!r}"
        if edit.old == edit.new:
            return f"{bug.name}: changes nothing in {edit.file}"
    return ""


@contextmanager
def copied(tree: Path = TREE) -> Iterator[Path]:
    """A copy of what tests and simulation need."""
    with TemporaryDirectory(prefix="guardd-bugs-") as scratch:
        place = Path(scratch)
        for part in PARTS:
            if (tree / part).is_dir():
                shutil.copytree(tree / part, place / part, ignore=SKIPPED)
            else:
                shutil.copy2(tree / part, place / part)
        yield place


@contextmanager
def broken(place: Path, bug: Bug) -> Iterator[None]:
    """The copy with the bug in it, and then whole again."""
    if why := stale(bug, place):
        raise ValueError(why)
    before = {edit.file: (place / edit.file).read_text() for edit in bug.edits}
    try:
        for edit in bug.edits:
            _write(place / edit.file, (place / edit.file).read_text().replace(edit.old, edit.new))
        yield
    finally:
        for name, text in before.items():
            _write(place / name, text)


def _write(file: Path, text: str) -> None:
    """With a time of its own, so that no byte code of another text is taken for this one's."""
    file.write_text(text)
    stamp = file.stat().st_mtime + 10 * next(_writes)
    os.utime(file, (stamp, stamp))
