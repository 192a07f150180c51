"""What was closed of a position in its life, counted from the rows: V3 prints no such figure."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from guardd.model.names import MarginMode
from guardd.model.position import PositionUpdate
from guardd.model.reading import Absent
from guardd.venues.bitget.unified.closings import Closings
from tests.changed import replace
from tests.venues.bitget.unified.bench import LONG, opened, row

dec = Decimal


def update(quantity: str | Decimal, at_ms: int, *, opened_ms: int = 1) -> PositionUpdate:
    return PositionUpdate(
        key=LONG,
        quantity=dec(quantity),
        entry_price=dec(1),
        margin_mode=MarginMode.CROSS,
        liquidation_price=Absent.UNKNOWN,
        frozen_quantity=dec(0),
        closed_quantity=dec(0),
        opened_ms=opened_ms,
        venue_ms=at_ms,
    )


def closed(closings: Closings, each: PositionUpdate) -> Decimal:
    (found,) = closings.pushed([each])
    assert replace(found, closed_quantity=dec(0)) == each
    return found.closed_quantity


def test_what_a_row_shows_less_was_closed() -> None:
    closings = Closings()
    shown = [
        closed(closings, update(size, at)) for at, size in enumerate(["0.1", "0.075", "0.075", "0.2", "0.05", "0"])
    ]
    assert shown == [0, dec("0.025"), dec("0.025"), dec("0.025"), dec("0.175"), dec("0.225")]


def test_a_row_that_is_older_counts_for_nothing() -> None:
    closings = Closings()
    closed(closings, update("0.1", 5))
    assert closed(closings, update("0.06", 9)) == dec("0.04")
    assert closed(closings, update("0.1", 7)) == dec("0.04")
    assert closed(closings, update("0.06", 10)) == dec("0.04")


def test_two_sockets_that_tell_the_same_millisecond_count_it_once() -> None:
    """A socket and its heir each tell 0.1, then 0.06, of one millisecond, and neither waits for the other."""
    closings = Closings()
    closed(closings, update("0.2", 4))
    heard = [closed(closings, update(size, 5)) for size in ("0.1", "0.06", "0.1", "0.06")]
    assert heard == [dec("0.1"), dec("0.14"), dec("0.14"), dec("0.14")]
    assert closed(closings, update("0.05", 6)) == dec("0.15")


def test_a_new_life_begins_at_nothing() -> None:
    closings = Closings()
    closed(closings, update("0.1", 1))
    assert closed(closings, update("0", 2)) == dec("0.1")
    assert closed(closings, update("0.3", 3, opened_ms=3)) == 0
    assert closed(closings, update("0.1", 2)) == 0  # a late row of the life before


async def test_reads_and_pushes_count_together() -> None:
    on = await opened(held=(row(size="0.1", createdTime="1700000000000", updatedTime="1700000000001"),))
    on.venue._reads.closings.pushed([update("0.07", 1_700_000_000_002, opened_ms=1_700_000_000_000)])
    late = row(size="0.05", createdTime="1700000000000", updatedTime="1700000000003")
    on.network.on("current-position", lambda query: _one(query, late))
    (position,) = (await on.venue.positions()).positions
    assert position.closed_quantity == dec("0.05")


def _one(query: dict[str, str], found: dict[str, object]) -> dict[str, object]:
    rows = [found] if query["category"] == "USDT-FUTURES" else None
    return {"code": "00000", "msg": "", "requestTime": 1, "data": {"list": rows}}


@given(st.lists(st.decimals(min_value=0, max_value=1000, places=4), min_size=1, max_size=20))
def test_the_count_never_falls_and_accounts_for_every_row(sizes: list[Decimal]) -> None:
    closings, before = Closings(), dec(0)
    positive = [size + dec("0.0001") for size in sizes]
    for at, size in enumerate(positive):
        now = closed(closings, update(size, at))
        assert now >= before
        before = now
    assert before >= positive[0] - positive[-1]
