"""Proof that the tests of a sentence fail without it: the code is broken in a copy of the tree, and they are run there.

Each run is a child of this process, which has everything loaded that isn't guardd's: that is most of what a run takes.
"""

import importlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import Final

import pytest

from tests.policy.sentences.table import TREE, Break, Sentence

PARTS: Final = ("guardd", "tests", "config", "pyproject.toml")
SKIPPED: Final = shutil.ignore_patterns("__pycache__", ".hypothesis", "data")
LOADED: Final = ("hypothesis.strategies", "hypothesis.extra", "pytest_asyncio", "ruamel.yaml", "aiohttp", "pydantic")
"""What many tests import: children have it from here."""
ONE_RUN_S: Final = 120
PASSED, FAILED, INTERRUPTED = 0, 1, 2
"""pytest's exit codes; any other than the first two says that the tests could not be run."""
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
    """A proof for each break, as they come. The tree itself is left alone."""
    tests = {each.id: each.tests for each in table}
    for name in LOADED:
        importlib.import_module(name)
    with _copies(tree, workers) as free:
        named = sorted({test for each in chosen for test in tests[each.sentence]})
        whole = Break(sentence="all of them, unbroken", edits=())
        code, said = _Run.begin(whole, named, free[0], first_failure_only=False).end()
        if code != PASSED:
            yield Proof(sentence=whole.sentence, verdict=Verdict.UNSOUND, said=said)
        running: dict[int, _Run] = {}
        for each in chosen:
            if why := stale(each, tree):
                yield Proof(sentence=each.sentence, verdict=Verdict.STALE, said=why)
                continue
            if not free:
                yield _ended(running, free)
            run = _Run.begin(each, tests[each.sentence], free.pop(), first_failure_only=True)
            running[run.pid] = run
        while running:
            yield _ended(running, free)


def stale(broken: Break, tree: Path = TREE) -> str:
    """Why a break isn't about the code as it is; empty when it is."""
    for edit in broken.edits:
        file = tree / edit.file
        times = file.read_text().count(edit.old) if file.is_file() else 0
        if times != 1:
            return f"{edit.file}: {times} times: {edit.old!r}"
    return ""


@contextmanager
def _copies(tree: Path, number: int) -> Iterator[list[Path]]:
    with tempfile.TemporaryDirectory(prefix="guardd-sentences-") as scratch:
        places = [Path(scratch) / str(index) for index in range(number)]
        for place in places:
            for part in PARTS:
                if (tree / part).is_dir():
                    shutil.copytree(tree / part, place / part, ignore=SKIPPED)
                else:
                    shutil.copy2(tree / part, place / part)
        yield places


def _ended(running: "dict[int, _Run]", free: list[Path]) -> Proof:
    """Wait for whichever run ends next."""
    pid, status = os.wait()
    run = running.pop(pid)
    code, said = run.end(status)
    free.append(run.place)
    match code:
        case 0:
            verdict = Verdict.SURVIVED
        case 1:
            verdict, said = Verdict.PROVED, ""
        case _:
            verdict = Verdict.UNSOUND
    return Proof(sentence=run.broken.sentence, verdict=verdict, said=said)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """Tests on a broken copy, in a process of its own."""

    broken: Break
    place: Path
    before: dict[Path, str]
    pid: int

    @classmethod
    def begin(cls, broken: Break, tests: Sequence[str], place: Path, *, first_failure_only: bool) -> "_Run":
        before: dict[Path, str] = {}
        for edit in broken.edits:
            file = place / edit.file
            text = file.read_text()
            before.setdefault(file, text)
            _write(file, text.replace(edit.old, edit.new))
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            os._exit(_child(tests, place, first_failure_only=first_failure_only))
        return cls(broken=broken, place=place, before=before, pid=pid)

    def end(self, status: int | None = None) -> tuple[int, str]:
        """pytest's exit code and the end of what it said; the copy is whole again."""
        if status is None:
            _, status = os.waitpid(self.pid, 0)
        for file, text in self.before.items():
            _write(file, text)
        said = "\n".join((self.place / "said").read_text().splitlines()[-12:])
        return (os.WEXITSTATUS(status), said) if os.WIFEXITED(status) else (INTERRUPTED, f"it took too long\n{said}")


def _child(tests: Sequence[str], place: Path, *, first_failure_only: bool) -> int:
    signal.alarm(ONE_RUN_S * len(tests))
    said = os.open(place / "said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(said, 1)
    os.dup2(said, 2)
    os.chdir(place)
    _forget(("tests", "guardd"))
    sys.path[:] = [str(place), *(each for each in sys.path if Path(each or ".").resolve() != TREE)]
    if not str(importlib.import_module("guardd").__file__).startswith(str(place)):
        return INTERRUPTED
    # What is loaded here already can't be rewritten for its asserts; it isn't guardd's.
    options = ["-q", "--no-header", "--tb=line", "-p", "no:cacheprovider"]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning", *(["-x"] if first_failure_only else [])]
    code = int(pytest.main([*options, *tests]))
    sys.stdout.flush()
    return code


def _forget(packages: Iterable[str]) -> None:
    heads = tuple(f"{name}." for name in packages)
    for name in [name for name in sys.modules if name in packages or name.startswith(heads)]:
        del sys.modules[name]


def _write(file: Path, text: str) -> None:
    """With a time of its own, so that no byte code of another text is taken for this one's."""
    file.write_text(text)
    stamp = file.stat().st_mtime + 10 * next(_writes)
    os.utime(file, (stamp, stamp))
