"""Token buckets: how guardd stays welcome at a venue (interfaces.md section 6, invariant I12)."""

from enum import StrEnum


class Lane(StrEnum):
    """Who is asking for a token."""

    ORDINARY = "ordinary"
    """Reads, ordinary stop moves, take-profits: `rate_limit_share` of each budget."""
    EMERGENCY = "emergency"
    """Protective closes and missing stops: up to 95 % of it."""
    PROBE = "probe"
    """The one cheap request that asks whether a block is over."""
