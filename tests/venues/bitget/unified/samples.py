"""The venue's sample payloads of API V3 (their sources are in `_index.json` beside them); a few stand among V2's."""

import json
from pathlib import Path
from typing import Any

_SAMPLES = Path(__file__).parents[3] / "samples"
_FOLDERS = (_SAMPLES / "bitget-uta", _SAMPLES / "bitget")


def names() -> list[str]:
    """Every file that this dialect must understand."""
    own = [path.name for path in _FOLDERS[0].glob("*.json") if path.name != "_index.json"]
    return sorted(own + [path.name for path in _FOLDERS[1].glob("v3_*.json")])


def text(name: str) -> str:
    return next(folder / name for folder in _FOLDERS if (folder / name).exists()).read_text()


def plain(name: str) -> Any:
    return json.loads(text(name))


def data(name: str) -> Any:
    return plain(name)["data"]
