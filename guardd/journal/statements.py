"""The journal's SQL: named statements and numbered migrations, kept in files of their own."""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final

_NAME: Final = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@cache
def statements(topic: str) -> Mapping[str, str]:
    """The statements of `sql/<topic>.sql`, by name."""
    text = (files("guardd.journal") / "sql" / f"{topic}.sql").read_text(encoding="utf-8")
    parts = _NAME.split(text)
    return {name: body.strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)}


@cache
def migrations() -> tuple[tuple[int, str], ...]:
    """Number and text of each migration, in order."""
    folder = files("guardd.journal") / "migrations"
    found = [
        (int(entry.name[:4]), entry.read_text(encoding="utf-8"))
        for entry in folder.iterdir()
        if entry.name.endswith(".sql")
    ]
    return tuple(sorted(found))
