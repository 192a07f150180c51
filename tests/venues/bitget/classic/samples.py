"""The venue's sample payloads (their sources are in `_index.json` beside them); `v3_*` belong to the unified family."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[3] / "samples" / "bitget"
INDEX: dict[str, dict[str, Any]] = json.loads((FOLDER / "_index.json").read_text())["files"]
NAMES = sorted(
    path.name for path in FOLDER.glob("*.json") if path.name != "_index.json" and not path.name.startswith("v3_")
)


def text(name: str) -> str:
    return (FOLDER / name).read_text()


def plain(name: str) -> Any:
    return json.loads(text(name))


def data(name: str) -> Any:
    return plain(name)["data"]
