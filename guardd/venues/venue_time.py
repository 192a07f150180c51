"""What time it is at the venue. A signature whose timestamp is too far off is refused (BitMart: 60 s, Bitget: 30 s), and
we keep ours within a second.

Measured at one answer that tells it, carried on by the monotonic clock: an administrator's step of the wall clock moves nothing
here, and delays no close (I24).
"""

from typing import Final

from msgspec import Struct

from guardd.clock import Clock
from guardd.model.instant import NS_PER_MS, NS_PER_S

ERROR_S_MAX: Final = 5.0
"""No write is signed while our estimate may be further off than this: a sixth of what the strictest venue puts up with."""
_DRIFT: Final = 200e-6
"""Seconds that a bad quartz may gain on the venue's clock in a second."""


class _Sample(Struct, frozen=True):
    server_ms: int
    at_ns: int
    """Monotonic ns at which the venue's clock read `server_ms`: the middle of the round trip."""
    half_round_trip_s: float


class VenueTime:
    """The venue's clock, estimated."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sample: _Sample | None = None

    def learn(self, *, server_ms: int, sent_ns: int, received_ns: int) -> None:
        """Take in one measurement, unless what is known by now is better."""
        sample = _Sample(server_ms, (sent_ns + received_ns) // 2, (received_ns - sent_ns) / 2 / NS_PER_S)
        known = self._sample
        if known is None or sample.half_round_trip_s <= self.error_s() or not self._agrees(sample, known):
            self._sample = sample

    def timestamp_ms(self) -> int:
        """The venue's time now. Only to be asked once it was learned; before that it is our own."""
        now = self._clock.now()
        if self._sample is None:
            return now.wall_ms
        return self._sample.server_ms + (now.mono_ns - self._sample.at_ns) // NS_PER_MS

    def offset_ms(self) -> int:
        """The venue's time minus our wall clock."""
        return self.timestamp_ms() - self._clock.now().wall_ms

    def error_s(self) -> float:
        """How far off the estimate may be; infinite before the first measurement."""
        if self._sample is None:
            return float("inf")
        age_s = (self._clock.monotonic_ns() - self._sample.at_ns) / NS_PER_S
        return self._sample.half_round_trip_s + age_s * _DRIFT

    def trusted(self) -> bool:
        """True while a write may be signed with it."""
        return self.error_s() <= ERROR_S_MAX

    def _agrees(self, sample: _Sample, known: _Sample) -> bool:
        """False when both can't be right: the venue stepped its clock, or this machine slept. The newer one is right then."""
        expected_ms = known.server_ms + (sample.at_ns - known.at_ns) / NS_PER_MS
        return abs(sample.server_ms - expected_ms) / 1000 <= sample.half_round_trip_s + self.error_s()
