"""The venues' sample payloads as bytes (their sources are in `_index.json` beside them)."""

from pathlib import Path

_FOLDER = Path(__file__).parents[1] / "samples"


def of(folder: str, *names: str) -> tuple[bytes, ...]:
    return tuple((_FOLDER / folder / f"{name}.json").read_bytes() for name in names)


def named(folder: str, pattern: str) -> tuple[bytes, ...]:
    return tuple(path.read_bytes() for path in sorted((_FOLDER / folder).glob(pattern)))
