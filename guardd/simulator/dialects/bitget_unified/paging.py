"""Lists with a cursor: the smallest id of a page, passed on until a page is empty. UTA reference, 9.9."""

from collections.abc import Sequence

from guardd.simulator.dialects.bitget_common.arguments import Fields
from guardd.simulator.dialects.bitget_common.envelope import Json, Row
from guardd.simulator.dialects.bitget_unified import arguments
from guardd.simulator.dialects.bitget_unified.desk import Desk


def paged(desk: Desk, query: Fields, found: Sequence[tuple[int, Row]], *, number: bool = False) -> Row:
    """The newest rows below the cursor, newest first. `number`: the cursor is written as a JSON number."""
    limit, cursor = arguments.page(query)
    newest = sorted(found, key=lambda item: item[0], reverse=True)
    shown = [item for item in newest if not cursor or item[0] < cursor][:limit]
    if not shown:
        return {"list": empty(desk), "cursor": None}
    last = shown[-1][0]
    return {"list": [row for _, row in shown], "cursor": last if number else str(last)}


def empty(desk: Desk) -> Json:
    return None if desk.options.empty_list_is_null else []


def listed(desk: Desk, found: Sequence[Row]) -> Row:
    """A list without paging."""
    return {"list": list(found) or empty(desk)}
