"""Bitget futures, classic (V2) and unified (V3). `README.md` beside this file tells their quirks and sources."""

from guardd.venues.bitget.connection import Access
from guardd.venues.bitget.endpoint import LIMITS
from guardd.venues.bitget.hosts import Hosts, hosts_for
from guardd.venues.bitget.sign import Credentials

__all__ = ["LIMITS", "Access", "Credentials", "Hosts", "hosts_for"]
