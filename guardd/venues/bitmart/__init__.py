"""BitMart Futures V2 (USDT-margined perpetuals): the venue's dialect. `README.md` beside this file tells its quirks and sources."""

from guardd.venues.bitmart.connection import Access
from guardd.venues.bitmart.endpoints import LIMITS
from guardd.venues.bitmart.hosts import Hosts, hosts_for
from guardd.venues.bitmart.sign import Credentials
from guardd.venues.bitmart.venue import BitmartVenue

__all__ = ["LIMITS", "Access", "BitmartVenue", "Credentials", "Hosts", "hosts_for"]
