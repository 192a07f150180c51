"""Sections kept as files, so that a whole table can be gathered part by part: each says what tree and machine it is of."""

import json
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.bench.process import ROOT
from tests.bench.section import Bar, Goal, Section


def commit() -> str:
    """The tree's commit, with a mark where files of it were changed; empty where it is no repository."""
    command = ("git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12")
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def keep(place: Path, name: str, section: Section, *, of: dict[str, Any]) -> None:
    place.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"of": of, "section": asdict(section)}, indent=1)
    (place / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def kept(place: Path, name: str, *, of: dict[str, Any]) -> Section | None:
    """What an earlier run brought on the same terms; None where there is none."""
    file = place / f"{name}.json"
    if not file.exists():
        return None
    found = json.loads(file.read_text(encoding="utf-8"))
    return _section(found["section"]) if found["of"] == of else None


def _section(found: dict[str, Any]) -> Section:
    return Section(
        title=found["title"],
        head=tuple(found["head"]),
        rows=[tuple(row) for row in found["rows"]],
        goals=[Goal(**goal) for goal in found["goals"]],
        bars=[Bar(**bar) for bar in found["bars"]],
        notes=list(found["notes"]),
    )
