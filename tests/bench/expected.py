"""What the counted figures shall be: `counted.json`, by minor version of Python, whose instructions differ.

On a version that nobody has accepted figures for, those of the nearest are taken with a wide margin, and only for what is above.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from tests.bench.counter import Work

FILE: Final = Path(__file__).with_name("counted.json")
MARGIN: Final = 0.05
BY_THE_CLOCK: Final = {"second with ticks": 0.3, "second at rest": 0.3, "after a reaction": 0.2}
"""In a window of some seconds there is a read more or less, by how long the start took: a wider margin for those."""
ELSEWHERE: Final = 0.35
"""On another version of Python, or where libraries whose instructions are counted have another version."""
LEAST: Final = {"own": 60.0, "all": 60.0, "calls": 6.0}
"""A difference below that is none: a margin of a small figure is next to nothing."""
LIBRARIES: Final = ("msgspec", "prometheus-client", "structlog")
HERE: Final = f"{sys.version_info[0]}.{sys.version_info[1]}"
ACCEPT: Final = "python -m tests.bench.counted --accept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """Figures by name; `exact`: they were counted on this version of Python. `libraries`: these are as they were then."""

    figures: Mapping[str, Work]
    exact: bool
    libraries: bool
    of: str


def known(file: Path = FILE) -> Expected:
    """Raises `RuntimeError` where no figures at all were accepted."""
    stored = _stored(file)
    if not stored:
        raise RuntimeError(f"{file}: no figures; expected some by `{ACCEPT}`")
    of = min(stored, key=lambda name: (abs(_minor(name) - _minor(HERE)), name))
    entry = stored[of]
    return Expected(
        figures={name: Work(**figure) for name, figure in entry["figures"].items()},
        exact=of == HERE,
        libraries=entry["libraries"] == _libraries(),
        of=of,
    )


def accepted(found: Mapping[str, Work], file: Path = FILE) -> None:
    """Put the figures in the place of those of this version of Python; what was not counted stays as it was."""
    stored = _stored(file)
    before = stored.get(HERE, {}).get("figures", {})
    rounded = {
        name: {what: round(value, 1) for what, value in asdict(work).items()} for name, work in sorted(found.items())
    }
    stored[HERE] = {"libraries": _libraries(), "figures": dict(sorted({**before, **rounded}.items()))}
    lines = json.dumps(dict(sorted(stored.items())), indent=1)
    file.write_text(lines + "\n", encoding="utf-8")


def judged(found: Mapping[str, Work], expected: Expected) -> list[str]:
    """What is wrong, a line each; nothing where all is within its margin."""
    wrong: list[str] = []
    for name, work in found.items():
        was = expected.figures.get(name)
        if was is None:
            wrong.append(f"{name}: no figure to compare with; {ACCEPT}")
            continue
        for what in ("own", "all", "calls"):
            line = _judged_one(f"{name}, {what}", getattr(work, what), getattr(was, what), what, expected)
            wrong.extend(line)
    return wrong


def _judged_one(name: str, now: float, was: float, what: str, expected: Expected) -> list[str]:
    sure = expected.exact and (expected.libraries or what == "own")
    usual = BY_THE_CLOCK.get(name.partition(": ")[2].partition(",")[0], MARGIN)
    margin = max(abs(was) * (usual if sure else ELSEWHERE), LEAST[what])
    if now > was + margin:
        return [
            f"{name}: found {now:,.0f}, expected {was:,.0f} (of Python {expected.of}): {_share(now, was)} more work"
        ]
    if sure and now < was - margin:
        return [f"{name}: found {now:,.0f}, expected {was:,.0f}: {_share(was, now)} less; keep it so by {ACCEPT}"]
    return []


def _share(more: float, less: float) -> str:
    return f"{(more / less - 1) * 100:.0f} %" if less > 0 else "much"


def _stored(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return found


def _minor(name: str) -> int:
    return int(name.partition(".")[2])


def _libraries() -> dict[str, str]:
    return {name: _version(name) for name in LIBRARIES}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
