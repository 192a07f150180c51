"""One call at Bitget, and the calls and limits that both families share (Bitget reference, 4 and 6.1).

The limits of a family's own calls stand beside them, in `classic/endpoints.py` and `unified/endpoints.py`.
"""

from typing import Final

from msgspec import Struct

from guardd.venues.limiter import EVERY_ENDPOINT, Limit, Scope

_PLACEMENTS: Final = frozenset(
    {"place-order", "close-positions", "place-tpsl-order", "place-pos-tpsl", "place-strategy-order"}
)
"""The last words of the paths that place an order or a stop (3: the broker's code goes with these alone)."""


class Endpoint(Struct, frozen=True):
    """One call. `name` is its name in limits, metrics and errors; `path` begins at the host."""

    name: str
    method: str
    path: str
    signed: bool

    @property
    def places(self) -> bool:
        """True for the calls that carry the broker's attribution."""
        return self.path.rpartition("/")[2] in _PLACEMENTS


TIME: Final = Endpoint("time", "GET", "/api/v2/public/time", signed=False)
"""Serves both families (UTA reference, 1)."""

OVERALL_CALLS: Final = 6_000
OVERALL_WINDOW_S: Final = 60.0
"""Over all calls of one address. Who goes over it is turned away for 5 minutes (4, 19.39), which is why what every account of this
process does counts here together. Should others on the address trip it, each endpoint's bucket rests by itself, doubling to two
minutes: a handful of calls a minute find the end of it, and closes and stops needn't wait for reads that were refused."""

MARKET_CALLS: Final = 20
"""In a second, over all public market calls of one address together (4)."""

LIMITS: Final = (
    Limit(endpoint=TIME.name, calls=20, window_s=1.0, scope=Scope.IP),
    Limit(endpoint=EVERY_ENDPOINT, calls=OVERALL_CALLS, window_s=OVERALL_WINDOW_S, scope=Scope.IP),
)


def market_limit(*endpoints: Endpoint) -> Limit:
    """What public market calls share, besides the row that each has of its own."""
    names = tuple(each.name for each in endpoints)
    return Limit(endpoint="market", calls=MARKET_CALLS, window_s=1.0, scope=Scope.IP, members=names)
