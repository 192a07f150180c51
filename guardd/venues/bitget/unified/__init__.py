"""A unified account of Bitget (API V3): the dialect of one family of accounts. Which one an account is of, the venue says."""

from guardd.venues.bitget.unified.endpoints import LIMITS
from guardd.venues.bitget.unified.venue import CAPABILITIES, FAMILY, UnifiedVenue

__all__ = ["CAPABILITIES", "FAMILY", "LIMITS", "UnifiedVenue"]
