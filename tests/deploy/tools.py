"""The real tools. One that is missing fails `python -m tests.deploy`, which CI runs, and skips its test in a run of all tests."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NoReturn

import pytest

TREE: Final = Path(__file__).resolve().parents[2]
DEPLOY: Final = TREE / "deploy"
WAIT_S: Final = 300.0


def tool(name: str) -> str:
    """The path of a program: beside this Python (an extra installed it), or on the PATH."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        missing(f"the program {name} is not installed")
    return found


def missing(why: str) -> NoReturn:
    """What a check needs isn't there."""
    if os.environ.get("DEPLOY_TOOLS"):
        pytest.fail(f"{why}; the checks of deploy need it", pytrace=False)
    pytest.skip(why)


def root() -> None:
    """This check needs root, as namespaces and mounts do."""
    if os.geteuid() != 0:
        missing("needs root: it mounts, and starts a service manager of its own")


def ran(
    *command: str | Path,
    cwd: Path = TREE,
    environ: Mapping[str, str] | None = None,
    given: str | None = None,
    seconds: float = WAIT_S,
) -> subprocess.CompletedProcess[str]:
    """What a program said, whatever its exit code."""
    words: Sequence[str] = [str(word) for word in command]
    return subprocess.run(
        words,
        cwd=cwd,
        env={**os.environ, **(environ or {})},
        input=given,
        stdin=subprocess.DEVNULL if given is None else None,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def good(
    *command: str | Path, cwd: Path = TREE, environ: Mapping[str, str] | None = None, seconds: float = WAIT_S
) -> str:
    """The output of a program that must succeed."""
    done = ran(*command, cwd=cwd, environ=environ, seconds=seconds)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
    return done.stdout
