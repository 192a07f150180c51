"""Margin tiers: how much of a position's notional must stay behind it (BitMart reference, 7.12 and 15).

Within a tier maintenance = notional × rate − deduction. The deductions make the whole a continuous, convex function of
the notional: a position that grows past a cap pays the higher rate on the part above it only.
"""

from decimal import Decimal
from typing import Final

from guardd.model.instrument import Instrument, MarginTier
from guardd.model.reading import Absent, Reading

_ZERO: Final = Decimal(0)


def tier_of(instrument: Instrument, notional: Decimal) -> MarginTier:
    """The tier that holds this notional; above the last cap the last one. Raises `ValueError` without a table."""
    for tier in instrument.tiers:
        if notional < tier.cap:
            return tier
    if not instrument.tiers:
        raise ValueError(f"{instrument.symbol}: no margin tiers are known, expected the venue's table")
    return instrument.tiers[-1]


def maintenance_of(instrument: Instrument, notional: Decimal) -> Decimal:
    """Maintenance margin of a notional in the settlement coin. Raises `ValueError` without a table."""
    tier = tier_of(instrument, notional)
    return max(notional * tier.rate - tier.deduction, _ZERO)


def maintenance_margin(instrument: Instrument, size: Decimal, price: Decimal) -> Reading:
    """Maintenance margin of `size` contracts at `price`, in the settlement coin; unknown without a table."""
    if not instrument.tiers:
        return Absent.UNKNOWN
    return maintenance_of(instrument, instrument.notional(size, price))
