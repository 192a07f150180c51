"""What a venue's limits alone ask for, by guardd's own table of them: the part of a wait that nobody can make shorter."""

from guardd.venues import bitget
from guardd.venues.limiter import EMERGENCY_SHARE, EVERY_ENDPOINT, Limit


def seconds(endpoint: str, calls: int, share: float = EMERGENCY_SHARE) -> float:
    """Until the last of so many calls may leave, all asked for at once: whole windows, the first one's worth at once.

    Raises `LookupError` for an endpoint that the table hasn't.
    """
    rows = [limit for limit in bitget.LIMITS if _counts(limit, endpoint)]
    if not any(limit.endpoint != EVERY_ENDPOINT for limit in rows):
        raise LookupError(f"{endpoint}: no limit in the venue's table")
    return max(_wait_s(limit, calls, share) for limit in rows)


def _counts(limit: Limit, endpoint: str) -> bool:
    return limit.endpoint == EVERY_ENDPOINT or endpoint == limit.endpoint or endpoint in limit.members


def _wait_s(limit: Limit, calls: int, share: float) -> float:
    allowed = max(int(limit.calls * share), 1)
    return (calls - 1) // allowed * limit.window_s
