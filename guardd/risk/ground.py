"""What a position's risk rests on, apart from its own mark and quantity: summed up once for many questions."""

from dataclasses import dataclass

from guardd.model.instant import Instant
from guardd.model.state import AccountState, Held


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Opaque to callers: made by `ground`, asked by `guardd.risk.assess.assess_on`."""

    held: Held


def ground(state: AccountState, held: Held, *, now: Instant) -> Ground:
    """Sum up what doesn't change with this position's mark and quantity."""
    return Ground(held=held)
