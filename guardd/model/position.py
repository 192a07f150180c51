"""A position as the venue tells it, and its life as guardd counts it."""

from decimal import Decimal

from msgspec import Struct

from guardd.model.footing import NO_FOOTING, Footing
from guardd.model.names import EpisodeId, MarginMode, PositionKey
from guardd.model.reading import Reading


class Position(Struct, frozen=True, kw_only=True):
    """One row of an authoritative read. `quantity` is in contracts and above zero; money is in the settlement coin.

    `margin` is the position's own margin (isolated), `liquidation_price` and `maintenance_margin` are the venue's figures,
    `mark_price` and `notional` (at mark) belong to the same snapshot as the liquidation price.
    """

    key: PositionKey
    quantity: Decimal
    entry_price: Decimal
    margin_mode: MarginMode
    leverage: Reading
    margin: Reading
    maintenance_margin: Reading
    liquidation_price: Reading
    mark_price: Reading
    notional: Reading
    unrealized_pnl: Reading
    opened_ms: int | None
    """When the venue says it was opened (wall, ms); None where it doesn't."""
    closed_quantity: Decimal
    """Contracts of this life that were closed already; grows with each closing fill."""
    venue_ms: int
    """The venue's time of this row (wall, ms)."""
    auto_margin: bool = False
    """The venue itself adds margin to it from the free balance: nobody else may draw on that then (Bitget reference, 7.7)."""


class PositionUpdate(Struct, frozen=True, kw_only=True):
    """One row of a stream's position push: fewer fields than a read, and `quantity` may be zero."""

    key: PositionKey
    quantity: Decimal
    entry_price: Decimal
    margin_mode: MarginMode
    liquidation_price: Reading
    frozen_quantity: Decimal
    """Contracts held by resting closing orders."""
    closed_quantity: Decimal
    opened_ms: int | None
    venue_ms: int


class Episode(Struct, frozen=True, kw_only=True):
    """One life of a position: from a quantity other than zero to confirmed flat or a change of sign."""

    id: EpisodeId
    key: PositionKey
    first_seen_ms: int
    """Wall ms at which guardd first saw it; survives a restart through the journal."""
    largest_quantity: Decimal
    largest_notional: Decimal
    had_verified_stop: bool = False
    footing: Footing = NO_FOOTING


def episode_id(key: PositionKey, opened_ms: int) -> EpisodeId:
    """The id of the life of `key` that began at `opened_ms` (the venue's open time, else first sight; wall ms)."""
    return EpisodeId(f"{key.symbol}-{key.side}-{opened_ms}")
