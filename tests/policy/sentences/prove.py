"""Proof that the tests of a sentence fail without it: the code is broken in a copy of the tree, and they are run there."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from typing import Final

from tests.policy.sentences.table import TREE, Break, Sentence

PARTS: Final = ("guardd", "tests", "config", "pyproject.toml")
SKIPPED: Final = shutil.ignore_patterns("__pycache__", ".hypothesis", "data")
ONE_RUN_S: Final = 120.0
PASSED, FAILED, INTERRUPTED = 0, 1, 2
"""pytest's exit codes; any other says that the tests could not be run."""
_writes = count(1)


class Verdict(StrEnum):
    PROVED = "proved"
    SURVIVED = "survived"
    """The tests pass although the sentence is broken: they prove nothing."""
    STALE = "stale"
    """The text to break isn't in the code, or stands there more than once."""
    UNSOUND = "unsound"
    """The tests fail, or can't be run, on the code as it is; or can't be run on the broken one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    sentence: str
    verdict: Verdict
    said: str = ""


def prove(
    table: Sequence[Sentence], chosen: Sequence[Break], *, workers: int = 2, tree: Path = TREE
) -> Iterator[Proof]:
    """A proof for each break, in order. The tree itself is left alone."""
    tests = {each.id: each.tests for each in table}
    with _copies(tree, workers) as free, ThreadPoolExecutor(workers) as pool:

        def one(each: Break) -> Proof:
            place = free.get()
            try:
                return _proof(each, tests[each.sentence], place)
            finally:
                free.put(place)

        place = free.get()
        named = sorted({test for each in chosen for test in tests[each.sentence]})
        code, said = _run(named, place, first_failure_only=False)
        free.put(place)
        if code != PASSED:
            yield Proof(sentence="all of them, unbroken", verdict=Verdict.UNSOUND, said=said)
        yield from pool.map(one, chosen)


@contextmanager
def _copies(tree: Path, number: int) -> Iterator["SimpleQueue[Path]"]:
    free: SimpleQueue[Path] = SimpleQueue()
    with tempfile.TemporaryDirectory(prefix="guardd-sentences-") as scratch:
        for index in range(number):
            place = Path(scratch) / str(index)
            for part in PARTS:
                if (tree / part).is_dir():
                    shutil.copytree(tree / part, place / part, ignore=SKIPPED)
                else:
                    place.mkdir(exist_ok=True)
                    shutil.copy2(tree / part, place / part)
            free.put(place)
        yield free


def _proof(broken: Break, tests: Sequence[str], place: Path) -> Proof:
    before: dict[Path, str] = {}
    try:
        for edit in broken.edits:
            file = place / edit.file
            text = file.read_text()
            before.setdefault(file, text)
            if text.count(edit.old) != 1:
                said = f"{edit.file}: {text.count(edit.old)} times: {edit.old!r}"
                return Proof(sentence=broken.sentence, verdict=Verdict.STALE, said=said)
            _write(file, text.replace(edit.old, edit.new))
        code, said = _run(tests, place, first_failure_only=True)
    finally:
        for file, text in before.items():
            _write(file, text)
    if code == PASSED:
        return Proof(sentence=broken.sentence, verdict=Verdict.SURVIVED, said=said)
    verdict = Verdict.PROVED if code == FAILED else Verdict.UNSOUND
    return Proof(sentence=broken.sentence, verdict=verdict, said="" if verdict is Verdict.PROVED else said)


def _write(file: Path, text: str) -> None:
    """With a time of its own, so that no byte code of another text is taken for this one's."""
    file.write_text(text)
    stamp = file.stat().st_mtime + 10 * next(_writes)
    os.utime(file, (stamp, stamp))


def _run(tests: Sequence[str], place: Path, *, first_failure_only: bool) -> tuple[int, str]:
    """pytest's exit code and the end of what it said."""
    stop = ["-x"] if first_failure_only else []
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--no-header",
        "--tb=line",
        "-p",
        "no:cacheprovider",
        *stop,
        *tests,
    ]
    environment = {**os.environ, "PYTHONPATH": str(place)}
    try:
        done = subprocess.run(
            command, cwd=place, env=environment, capture_output=True, text=True, timeout=ONE_RUN_S * len(tests)
        )
    except subprocess.TimeoutExpired:
        return INTERRUPTED, "it took too long"
    return done.returncode, "\n".join(done.stdout.splitlines()[-12:])
