"""How V3 spells absence, lists and pages (UTA reference, 1 and 10.4), on top of `guardd.venues.rows`."""

from decimal import Decimal
from typing import Final, NamedTuple

from guardd.model.names import ClientId
from guardd.model.reading import Absent, Reading
from guardd.venues.rows import Row, as_row, as_rows

_UNSET_TIMES: Final = frozenset({None, 0, -1})


class Page(NamedTuple):
    """One page of a list: its rows, and what the next page is asked for with (None: it names none)."""

    rows: tuple[Row, ...]
    cursor: str | None


def rows_of(where: str, value: object) -> tuple[Row, ...]:
    """The rows of a list; null and missing are empty lists (1)."""
    return () if value is None else tuple(as_rows(where, value))


def page_of(where: str, data: object) -> Page:
    """`data.list` and `data.cursor`; the cursor is a text or a JSON number above 2^53 (10.4)."""
    if data is None:
        return Page((), None)
    row = as_row(where, data)
    cursor = row.get("cursor")
    if isinstance(cursor, int) and not isinstance(cursor, bool):
        cursor = str(cursor)
    if cursor is not None and not isinstance(cursor, str):
        raise row.wrong("cursor", "a text, a whole number or nothing")
    return Page(rows_of(f"{where}.list", row.get("list")), cursor or None)


def words(row: Row, name: str) -> str:
    """A text, empty for any spelling of absence."""
    return row.optional_text(name) or ""


def some(row: Row, name: str) -> Decimal | None:
    """A figure of which `""`, `"0"`, `"-1"` and null mean that it isn't set (1)."""
    number = row.optional_number(name)
    return number if number is not None and number > 0 else None


def liquidation_price(row: Row, name: str) -> Reading:
    """Zero or less: the venue says that there is none (8.1); empty: it doesn't say."""
    number = row.optional_number(name)
    if number is None:
        return Absent.UNKNOWN
    return number if number > 0 else Absent.NONE


def moment(row: Row, name: str) -> int | None:
    """A moment in wall ms, None where it isn't set."""
    return None if row.optional_integer(name) in _UNSET_TIMES else row.milliseconds(name)


def client_id_of(row: Row) -> ClientId | None:
    """Other software's ids may hold signs that ours never do (9.10): any text is one."""
    text = words(row, "clientOid")
    return ClientId(text) if text else None
