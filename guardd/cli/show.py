"""How results look: tables and JSON on stdout, without colour where nobody looks at them (NO_COLOR, a pipe)."""

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, TypeAlias

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from guardd.model.instant import MS_PER_S
from guardd.model.reading import Reading, is_value

Json: TypeAlias = bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"] | None
WIDTH_OF_A_FILE: Final = 160
"""Columns where there is no terminal: wide enough that a line of a table stays one line for grep."""
NOTHING: Final = "–"
PLACES_MAX: Final = 8


def page() -> Console:
    """Where results go: stdout."""
    wide = None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDTH_OF_A_FILE
    return Console(width=wide, highlight=False)


def print_json(value: Json) -> None:
    """One document, for programs. Money and prices are decimal strings in it."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> None:
    """A table; cells are plain text, never markup."""
    table = Table(
        title=escape(title),
        title_justify="left",
        title_style="bold",
        header_style="bold",
        pad_edge=False,
        box=SIMPLE_HEAD,
    )
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    page().print(table)


def print_line(text: str | Text, style: str = "") -> None:
    page().print(text if isinstance(text, Text) else Text(text, style=style), soft_wrap=True)


def decimal_of(value: Decimal) -> str:
    """Never in scientific notation, without zeros that say nothing, at most eight places."""
    places = value.as_tuple().exponent
    text = format(value, ".8f" if isinstance(places, int) and places < -PLACES_MAX else "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def figure(reading: Reading) -> str:
    """A reading for people: its number, `none` or `unknown`."""
    return decimal_of(reading) if is_value(reading) else str(reading)


def share(reading: Reading) -> str:
    """A ratio as a percentage with two decimals."""
    return f"{reading * 100:.2f}%" if is_value(reading) else str(reading)


def money(reading: Reading) -> str:
    """An amount of the settlement coin, to the cent."""
    return f"{reading:.2f}" if is_value(reading) else str(reading)


def json_reading(reading: Reading) -> str | None:
    """As in /status: a decimal string; what isn't known is null."""
    return format(reading, "f") if is_value(reading) else None


def local_time(wall_ms: int) -> str:
    """Times shown to people are local, with offset (interfaces.md section 1)."""
    return datetime.fromtimestamp(wall_ms / MS_PER_S, tz=UTC).astimezone().isoformat(sep=" ", timespec="milliseconds")


def utc_time(wall_ms: int) -> str:
    """Times in JSON are UTC."""
    return datetime.fromtimestamp(wall_ms / MS_PER_S, tz=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
