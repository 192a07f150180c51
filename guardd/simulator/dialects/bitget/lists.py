"""Paged lists: newest first, `idLessThan` goes on from the last page's `endId`. Bitget reference, 11.9."""

from collections.abc import Sequence

from guardd.simulator.dialects.bitget_common.arguments import Fields
from guardd.simulator.dialects.bitget_common.envelope import Json, Row, VenueError

DAY_MS = 86_400_000
ROWS_MAX = 100
QUARTER_DAYS = 90


def page(
    query: Fields,
    oldest_first: Sequence[Row],
    name: str,
    now_ms: int,
    *,
    span_days: int = QUARTER_DAYS,
    id_name: str = "orderId",
    time_name: str = "cTime",
    least: int = 1,
    null_when_empty: bool = False,
    ends: bool = True,
) -> Row:
    """One page of rows, with its cursor; a window longer than `span_days` is 00001.

    An empty list is null where that was seen (quirk 9); `ends` False leaves the cursor out, as observed of TP/SL.
    """
    end_ms = query.integer("endTime", default=now_ms)
    start_ms = query.integer("startTime", default=max(end_ms - span_days * DAY_MS, 0))
    if end_ms < start_ms or end_ms - start_ms > span_days * DAY_MS:
        raise VenueError("00001", fill=str(span_days))
    limit = query.integer("limit", default=ROWS_MAX, low=least, high=ROWS_MAX)
    below = query.integer("idLessThan", default=0)
    found: list[Json] = []
    last = None
    for row in reversed(oldest_first):
        row_id, row_ms = str(row[id_name]), int(str(row[time_name]))
        if len(found) == limit:
            break
        if start_ms <= row_ms <= end_ms and (not below or int(row_id) < below):
            found.append(row)
            last = row_id
    data: Row = {name: found or (None if null_when_empty else [])}
    return {**data, "endId": last} if ends else data
