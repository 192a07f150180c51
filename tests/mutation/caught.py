"""What catches a bug: how many stories the simulation needs, or which test fails."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.mutation.patch import Bug, broken

TESTS_S_MAX: Final = 300.0
STORIES_S_MAX: Final = 3600.0
ITS_END: Final = "its own end"
FAILED: Final = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Catch:
    """`by` is empty where nothing caught it. `stories`: how many were played, the one that showed it included."""

    bug: str
    by: str
    stories: int = 0
    found: str = ""
    """What it showed: the first breach."""
    took_s: float = 0.0


def by_tests(bug: Bug, place: Path) -> Catch:
    """The first test of the bug's own that fails with it, in a copy of the tree."""
    began = time.monotonic()
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n0", "--tb=no", "-p", "no:cacheprovider", *bug.tests]
    with broken(place, bug):
        ran = subprocess.run(
            command,
            cwd=place,
            env=_environment(place),
            capture_output=True,
            text=True,
            timeout=TESTS_S_MAX,
            check=False,
        )
    took_s = time.monotonic() - began
    if ran.returncode == 0:
        return Catch(bug=bug.name, by="", took_s=took_s)
    failed = FAILED.search(ran.stdout)
    if ran.returncode != 1 or failed is None:
        raise ValueError(f"{bug.name}: its tests can't be run:\n{ran.stdout[-2000:]}{ran.stderr[-2000:]}")
    return Catch(bug=bug.name, by=failed.group(1), took_s=took_s)


def by_simulation(bug: Bug, place: Path, *, seeds: str, seconds: float) -> Catch:
    """The first story that breaks with the bug and holds without it."""
    began = time.monotonic()
    look = ["--seeds", seeds, "--seconds", str(seconds)]
    look += ["--fault", bug.faults] if bug.faults else []
    look += ["--venue", bug.venue] if bug.venue else []
    played: list[str] = []
    while True:
        with broken(place, bug):
            lines = _played(place, [*look, "--skip", ",".join(played)])
        played += [str(line["story"]) for line in lines]
        last = lines[-1] if lines else None
        if last is None or not last["breaches"]:
            return Catch(bug=bug.name, by="", stories=len(played), took_s=time.monotonic() - began)
        story, found = str(last["story"]), str(last["breaches"][0])
        if story == ITS_END or not any(line["breaches"] for line in _played(place, [*look, "--just", story])):
            took_s = time.monotonic() - began
            return Catch(bug=bug.name, by=story, stories=len(played), found=found, took_s=took_s)


def _played(place: Path, arguments: Sequence[str]) -> list[dict[str, list[str]]]:
    command = [sys.executable, "-m", "tests.mutation.played", *arguments]
    ran = subprocess.run(
        command, cwd=place, env=_environment(place), capture_output=True, text=True, timeout=STORIES_S_MAX, check=False
    )
    lines = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    if ran.returncode not in (0, 1) or (ran.returncode == 1 and not (lines and lines[-1]["breaches"])):
        lines.append({"story": ITS_END, "breaches": [f"exit {ran.returncode}: {ran.stderr[-300:].strip()}"]})
    return lines


def _environment(place: Path) -> dict[str, str]:
    """CI: hypothesis draws the same examples each time."""
    return {**os.environ, "PYTHONPATH": str(place), "CI": "true"}
