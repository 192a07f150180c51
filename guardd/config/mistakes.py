"""Says what is wrong with the settings and where it stands, and never shows a value that might be a secret (I26)."""

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from msgspec import Struct
from pydantic import BaseModel, ValidationError
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from guardd.config.settings import (
    NOT_IN_A_FILE,
    PREFIX,
    AccountSettings,
    HeartbeatSettings,
    HttpSettings,
    LogSettings,
    NotifySettings,
    Settings,
)


class Source(Struct, frozen=True, kw_only=True):
    name: str
    values: Mapping[str, object]
    file: Path | None = None


_MAY_BE_SHOWN: Final = frozenset(
    {
        "mode",
        "environment",
        "venue",
        "port",
        "host",
        "level",
        "format",
        "journal",
        "min_severity",
        "rate_limit_share",
        "product_type",
    }
)
_Location: TypeAlias = tuple[int | str, ...]


def told(error: ValidationError, sources: Sequence[Source]) -> str:
    """All mistakes, one a line. `errors()` carries rejected values: one is shown only where it can't be a secret."""
    lines = []
    mistakes = error.errors(include_url=False)
    for mistake in mistakes:
        if mistake["type"] == "too_short" and len(mistakes) > 1 and mistake["input"]:
            continue  # an entry that is itself refused isn't counted; what is wrong with it is told
        location = _settled(mistake["loc"])
        source = next((each for each in sources if holds(each.values, location)), None)
        where = place(source, location) if source is not None else _nearest_place(sources, location)
        problem = _problem(mistake["type"], mistake["msg"], location, mistake["input"])
        lines.append(f"{where}: {_dotted(location) or 'settings'}: {problem}")
    return "\n".join(dict.fromkeys(lines))


def _problem(kind: str, message: str, location: _Location, found: object) -> str:
    name = str(location[-1]) if location else ""
    match kind:
        case "extra_forbidden":
            return f"no such setting{meant(name, _siblings(location))}"
        case "missing":
            return "missing"
        case _:
            text = message.removeprefix("Value error, ")
            shown = name in _MAY_BE_SHOWN and isinstance(found, str | int | float) and len(str(found)) <= 40
            return f"found {found!r}: {text}" if shown else text


def _settled(location: _Location) -> _Location:
    """Without the steps that pydantic adds for its own types (`constrained-str`, `function-after[…]`)."""
    return tuple(step for step in location if isinstance(step, int) or re.fullmatch(r"[A-Za-z0-9_. -]+", step))


_BELOW: Final[dict[str, type[BaseModel]]] = {
    "http": HttpSettings,
    "log": LogSettings,
    "notify": NotifySettings,
    "heartbeat": HeartbeatSettings,
    "accounts": AccountSettings,
}


def _siblings(location: _Location) -> set[str]:
    """What could have stood there instead."""
    above = _names_of(location[:-1])
    model: type[BaseModel] = _BELOW[above[-1]] if above and above[-1] in _BELOW else Settings
    return {name for name in model.model_fields if (*above, name) not in NOT_IN_A_FILE}


def _names_of(location: _Location) -> tuple[str, ...]:
    return tuple(step for step in location if isinstance(step, str))


def meant(name: str, known: set[str]) -> str:
    """What the writer of a mistyped name probably had in mind."""
    typed = name.upper() if name.upper().startswith(PREFIX) else name
    if near := difflib.get_close_matches(typed, sorted(known), n=1):
        return f"; did you mean {near[0]}?"
    return f"; known are {', '.join(sorted(known))}"


def holds(values: object, location: _Location) -> bool:
    """Whether there is something at that path, whatever it is."""
    for step in location:
        values = _below(values, step)
    return bool(location) and values is not _ABSENT


_ABSENT: Final = object()


def _below(values: object, step: int | str) -> object:
    match values, step:
        case Mapping(), str():
            return values.get(step, _ABSENT)
        case list() | tuple(), int():
            return values[step] if step < len(values) else _ABSENT
        case _:
            return _ABSENT


def place(source: Source, location: _Location) -> str:
    """`guardd.yaml:12:5` for a file, `GUARDD_HTTP__PORT in the environment` for a variable."""
    if source.file is not None:
        line, column = _line_and_column(source.values, location)
        return f"{source.file}:{line}:{column}"
    if source.name.startswith("on "):
        return source.name
    names = [step.upper() for step in _names_of(location)]
    variable = PREFIX + (names[0] if names and names[0] in ("ACCOUNTS", "NOTIFY") else "__".join(names))
    return f"{variable} {source.name}"


def _nearest_place(sources: Sequence[Source], location: _Location) -> str:
    """Where a thing that is missing should have stood: its parent, else the file itself."""
    for cut in range(len(location) - 1, 0, -1):
        for source in sources:
            if holds(source.values, location[:cut]):
                return place(source, location[:cut])
    return next((str(source.file) for source in sources if source.file is not None), "settings")


def _line_and_column(values: object, location: _Location) -> tuple[int, int]:
    line, column = 0, 0
    for step in location:
        if isinstance(values, CommentedMap) and step in values:
            line, column = values.lc.key(step)
            values = values[step]
        elif isinstance(values, CommentedSeq) and isinstance(step, int) and step < len(values):
            line, column = values.lc.item(step)
            values = values[step]
        else:
            break
    return line + 1, column + 1


def _dotted(location: _Location) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return text.removeprefix(".")
