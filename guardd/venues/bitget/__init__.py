"""Bitget futures, classic (V2) and unified (V3). `README.md` beside this file tells their quirks and sources."""

from typing import Final

from guardd.venues.bitget import endpoint
from guardd.venues.bitget.classic import endpoints as classic_endpoints
from guardd.venues.bitget.connection import Access
from guardd.venues.bitget.hosts import Hosts, hosts_for
from guardd.venues.bitget.sign import Credentials
from guardd.venues.bitget.unified import endpoints as unified_endpoints
from guardd.venues.bitget.venue import BitgetVenue

_MARKET: Final = endpoint.market_limit(
    classic_endpoints.CONTRACTS,
    classic_endpoints.TIERS,
    classic_endpoints.TICKER,
    classic_endpoints.TICKERS,
    classic_endpoints.SYMBOL_PRICE,
    unified_endpoints.INSTRUMENTS,
    unified_endpoints.TICKERS,
    unified_endpoints.POSITION_TIER,
)
LIMITS: Final = (*endpoint.LIMITS, _MARKET, *classic_endpoints.LIMITS, *unified_endpoints.LIMITS)
"""Of both families: which one an account is of is known only after the first calls."""

__all__ = ["LIMITS", "Access", "BitgetVenue", "Credentials", "Hosts", "hosts_for"]
