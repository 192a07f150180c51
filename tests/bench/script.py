"""What a tape plays: how many ticks a second and in what shape, and which positions cross their triggers when."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """`crossings` positions cross one after the other, `crossings_per_s` apart; `train` of them, then a pause until `train_every_s`
    after the train before began (0: no pause). A venue takes ten orders a second of an account, and guardd keeps to it.

    `together`: all in one write instead. `burst_ms`: ticks leave in bursts so long apart; 0: one by one.
    """

    ticks_per_s: float
    seconds: float
    burst_ms: float = 0
    first: int = 0
    crossings: int = 0
    crossings_per_s: float = 5
    train: int = 0
    train_every_s: float = 0
    together: bool = False
    hold_s: float = 1.0

    def offsets_s(self) -> list[float]:
        """When each crossing is due, from the script's begin."""
        if self.together:
            return [0.5] * self.crossings
        if not self.train:
            return [0.5 + number / self.crossings_per_s for number in range(self.crossings)]
        return [
            0.5 + (number // self.train) * self.train_every_s + (number % self.train) / self.crossings_per_s
            for number in range(self.crossings)
        ]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)
