"""When to try again: pure schedules. The clock is the caller's, and so is chance: `jitter` is a number in [0, 1).

Figures: interfaces.md section 6; BitMart reference, 4.3, 4.4 and 14.5.
"""

from typing import Final

RECONNECT_FIRST_S: Final = 0.5
RECONNECT_CAP_S: Final = 30.0
READ_FIRST_S: Final = 0.1
READ_CAP_S: Final = 2.0
READ_TRIES: Final = 4
"""One request and three further tries, if the deadline lasts."""
RATE_LIMIT_FLOOR_S: Final = 2.0
RATE_LIMIT_CAP_S: Final = 120.0
EDGE_FLOOR_S: Final = 30.0
EDGE_SPREAD_S: Final = 30.0
EDGE_TRIES: Final = 3
"""How often an ordinary request tries again behind a Cloudflare block before only probes are sent."""
EDGE_PROBE_S: Final = 60.0
BAN_PROBE_FIRST_S: Final = 60.0
BAN_PROBE_CAP_S: Final = 900.0

_DOUBLINGS_MAX: Final = 16  # far past every cap; keeps 2**n small


def reconnect_s(failures: int, jitter: float) -> float:
    """Seconds before connection attempt number `failures` + 1 of a stream, with full jitter; `failures` counts from 0."""
    return jitter * _doubled(RECONNECT_FIRST_S, failures, cap_s=RECONNECT_CAP_S)


def read_s(failures: int, jitter: float) -> float:
    """Seconds before a failed read is sent again: half of it fixed, half jitter; `failures` counts from 0."""
    return (0.5 + 0.5 * jitter) * _doubled(READ_FIRST_S, failures, cap_s=READ_CAP_S)


def rate_limit_s(refusals: int, window_s: float, jitter: float) -> float:
    """How long a bucket rests after a 429: max(window, 2 s) the first time, then doubling with up to half as much jitter.

    `refusals` counts the 429s in a row before this one. `window_s` is what the venue's Reset or Retry-After said, 0 for nothing.
    """
    first_s = max(window_s, RATE_LIMIT_FLOOR_S)
    if refusals == 0:
        return first_s
    return (1.0 + 0.5 * jitter) * _doubled(first_s, refusals, cap_s=max(RATE_LIMIT_CAP_S, first_s))


def edge_s(jitter: float) -> float:
    """Seconds before a request, or a protective close, tries a Cloudflare block again: 30 to 60."""
    return EDGE_FLOOR_S + EDGE_SPREAD_S * jitter


def ban_probe_s(probes: int) -> float:
    """Seconds before the next probe of a ban: 60, 120, 240 … 900; `probes` counts those already sent."""
    return _doubled(BAN_PROBE_FIRST_S, probes, cap_s=BAN_PROBE_CAP_S)


def _doubled(first_s: float, times: int, *, cap_s: float) -> float:
    """`first_s` × 2^times, at most `cap_s`."""
    doubled_s: float = first_s * 2 ** min(times, _DOUBLINGS_MAX)
    return min(cap_s, doubled_s)
