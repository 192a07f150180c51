"""A symbol that is held on one side in both margin modes: two positions of the venue's, where everybody else has one.

It can be: the margin mode comes with each order, and rows are told apart by symbol, margin mode and side (UTA reference, 3 and 11).
Both are shown as one, which isn't guarded: a stop names no margin mode, so nobody knows which of the two it would close (10.1).
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

from msgspec.structs import replace

from guardd.errors import PayloadError
from guardd.model.names import MarginMode, PositionKey, Side
from guardd.model.position import Position, PositionUpdate
from guardd.model.reading import Absent, Reading, is_value
from guardd.venues.bitget.unified.parse.account import HeldRow

UNGUARDED_BOTH_MODES: Final = (
    "it is held on one side in cross and in isolated margin: a stop doesn't say which of the two it closes"
)


def one_row_a_position(rows: Iterable[HeldRow]) -> tuple[HeldRow, ...]:
    """Sorted by key. Raises `PayloadError` for two rows of one symbol, side and margin mode."""
    found: dict[PositionKey, dict[MarginMode, HeldRow]] = {}
    for row in rows:
        parts = found.setdefault(row.position.key, {})
        if row.position.margin_mode in parts:
            text = f"a second row of {row.position.key} in {row.position.margin_mode} margin"
            raise PayloadError(where="current-position.data", found=text, expected="one row a position and margin mode")
        parts[row.position.margin_mode] = row
    return tuple(_joined(found[key]) for key in sorted(found))


class Parts:
    """What is held of each position in each margin mode, by the last read and the pushes since: a push tells of one of them."""

    def __init__(self) -> None:
        self._parts: dict[PositionKey, dict[MarginMode, PositionUpdate]] = {}

    def learn(self, rows: Iterable[HeldRow]) -> None:
        """The rows of a read of every position, before they are joined."""
        self._parts = {}
        for row in rows:
            position = row.position
            self._parts.setdefault(position.key, {})[position.margin_mode] = PositionUpdate(
                key=position.key,
                quantity=position.quantity,
                entry_price=position.entry_price,
                margin_mode=position.margin_mode,
                liquidation_price=position.liquidation_price,
                frozen_quantity=position.quantity - row.available,
                closed_quantity=Decimal(0),
                opened_ms=position.opened_ms,
                venue_ms=position.venue_ms,
            )

    def pushed(self, update: PositionUpdate) -> PositionUpdate:
        """The same update, where the position is held in one margin mode; else what both make together."""
        parts = self._parts.setdefault(update.key, {})
        known = parts.get(update.margin_mode)
        if known is None or update.venue_ms >= known.venue_ms:
            parts[update.margin_mode] = update
        others = [each for mode, each in parts.items() if mode is not update.margin_mode and each.quantity]
        if not others:
            return update
        (other,), now = others, parts[update.margin_mode]
        venue_ms = max(other.venue_ms, now.venue_ms)
        if not now.quantity:
            return replace(other, venue_ms=venue_ms)
        return replace(
            other,
            quantity=other.quantity + now.quantity,
            entry_price=_mean_entry(other, now),
            margin_mode=MarginMode.CROSS,
            liquidation_price=_nearer(update.key.side, other.liquidation_price, now.liquidation_price),
            frozen_quantity=other.frozen_quantity + now.frozen_quantity,
            opened_ms=_earlier(other.opened_ms, now.opened_ms),
            venue_ms=venue_ms,
        )


def _joined(parts: Mapping[MarginMode, HeldRow]) -> HeldRow:
    """Counted as cross, for a part of it draws on the pool. It lives as long as either does."""
    if len(parts) == 1:
        return next(iter(parts.values()))
    cross, isolated = parts[MarginMode.CROSS], parts[MarginMode.ISOLATED]
    one, other = cross.position, isolated.position
    joined = replace(
        one,
        quantity=one.quantity + other.quantity,
        entry_price=_mean_entry(one, other),
        leverage=one.leverage if one.leverage == other.leverage else Absent.UNKNOWN,
        margin=_sum(one.margin, other.margin),
        maintenance_margin=_sum(one.maintenance_margin, other.maintenance_margin),
        liquidation_price=_nearer(one.key.side, one.liquidation_price, other.liquidation_price),
        notional=_sum(one.notional, other.notional),
        unrealized_pnl=_sum(one.unrealized_pnl, other.unrealized_pnl),
        opened_ms=_earlier(one.opened_ms, other.opened_ms),
        venue_ms=max(one.venue_ms, other.venue_ms),
    )
    return replace(cross, position=joined, available=cross.available + isolated.available, both_modes=True)


def _mean_entry(one: Position | PositionUpdate, other: Position | PositionUpdate) -> Decimal:
    total = one.quantity + other.quantity
    return (one.entry_price * one.quantity + other.entry_price * other.quantity) / total


def _sum(one: Reading, other: Reading) -> Reading:
    return one + other if is_value(one) and is_value(other) else Absent.UNKNOWN


def _nearer(side: Side, one: Reading, other: Reading) -> Reading:
    """The liquidation price that comes first; unknown where either is."""
    if Absent.UNKNOWN in (one, other):
        return Absent.UNKNOWN
    prices = [each for each in (one, other) if is_value(each)]
    if not prices:
        return Absent.NONE
    return max(prices) if side is Side.LONG else min(prices)


def _earlier(one: int | None, other: int | None) -> int | None:
    return one if other is None else other if one is None else min(one, other)
