"""A moment, read from both clocks at once. Who reads them: `guardd.clock`."""

from typing import NamedTuple

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
MS_PER_S = 1_000


class Instant(NamedTuple):
    """Monotonic nanoseconds (only differences mean anything) and wall milliseconds since the epoch, UTC."""

    mono_ns: int
    wall_ms: int

    def seconds_since(self, earlier: "Instant") -> float:
        """Seconds on the monotonic clock; negative when `earlier` is later."""
        return (self.mono_ns - earlier.mono_ns) / NS_PER_S

    def later_by(self, seconds: float) -> "Instant":
        """The moment `seconds` after this one on both clocks."""
        return Instant(self.mono_ns + int(seconds * NS_PER_S), self.wall_ms + int(seconds * MS_PER_S))
