"""How much of each position was closed in its life, counted by us: V3 prints no such figure (UTA reference, 8.1).

What a row shows less than the row before it was closed in between. An enlargement in the same moment hides a part of that, so the
count is never too high: whoever compares it with a fill of his own takes the fill for not yet shown, and waits. A read, a socket
and its heir tell of the same moments in an order of their own: of the rows of one millisecond the smallest counts, and none twice.
"""

from collections.abc import Iterable
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from guardd.model.names import PositionKey
from guardd.model.position import Position, PositionUpdate


class _Life(Struct, frozen=True):
    opened_ms: int | None
    quantity: Decimal
    closed: Decimal
    venue_ms: int


class Closings:
    """Fed with every row that is read or pushed, in order of arrival; a row older than the last one counts for nothing."""

    def __init__(self) -> None:
        self._lives: dict[PositionKey, _Life] = {}

    def read(self, positions: Iterable[Position]) -> tuple[Position, ...]:
        """The rows of a read of every position, each with what was closed of it. Whatever isn't among them may be dropped once a
        new life of it is seen."""
        return tuple(
            replace(each, closed_quantity=self._seen(each.key, each.opened_ms, each.quantity, each.venue_ms))
            for each in positions
        )

    def pushed(self, updates: Iterable[PositionUpdate]) -> tuple[PositionUpdate, ...]:
        return tuple(
            replace(each, closed_quantity=self._seen(each.key, each.opened_ms, each.quantity, each.venue_ms))
            for each in updates
        )

    def _seen(self, key: PositionKey, opened_ms: int | None, quantity: Decimal, venue_ms: int) -> Decimal:
        known = self._lives.get(key)
        if known is not None and venue_ms < known.venue_ms:
            return known.closed if opened_ms == known.opened_ms else Decimal(0)
        closed, smallest = Decimal(0), quantity
        if known is not None and opened_ms == known.opened_ms and known.quantity > 0:
            closed = known.closed + max(known.quantity - quantity, Decimal(0))
            smallest = min(quantity, known.quantity) if venue_ms == known.venue_ms else quantity
        self._lives[key] = _Life(opened_ms, smallest, closed, venue_ms)
        return closed
