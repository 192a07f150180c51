"""No limit of requests, for casts of thousands: `python -m tests.bench.unlimited run …` is `guardd run` without them, and `lift`
is the venue's side of it. Nothing of a reaction is measured this way: only how much it costs to hold so many positions.
"""

from typing import Final

from guardd.simulator.dialects.bitget import endpoints
from guardd.simulator.dialects.bitget_common import gateway
from guardd.venues import bitget
from tests.changed import replace

_TIMES: Final = 10_000


def lift() -> None:
    """The simulator of this process turns nobody away."""
    for key, endpoint in endpoints.ENDPOINTS.items():
        rate = replace(endpoint.rate, count=endpoint.rate.count * _TIMES)
        endpoints.ENDPOINTS[key] = replace(endpoint, rate=rate)
    for name in ("OVERALL", "MARKET"):
        rate = getattr(gateway, name)
        setattr(gateway, name, replace(rate, count=rate.count * _TIMES))


if __name__ == "__main__":
    bitget.LIMITS = tuple(replace(limit, calls=limit.calls * _TIMES) for limit in bitget.LIMITS)  # type: ignore[misc]
    from guardd.cli import main

    main()
