"""When funding is settled: what the venue books then is read at once, not when its turn comes."""

from guardd.model.equity import venue_ms
from guardd.model.instant import Instant
from guardd.model.state import AccountState


class Settlements:
    """Of the instruments that one account holds."""

    def __init__(self, state: AccountState) -> None:
        self._state = state
        self._looked_ms: int | None = None

    def passed(self, now: Instant) -> bool:
        """True once for each settlement of a held instrument that came since this was last asked (by the venue's clock)."""
        now_ms, before_ms = venue_ms(self._state, now), self._looked_ms
        self._looked_ms = now_ms
        if before_ms is None or now_ms <= before_ms:
            return False
        for key in self._state.held:
            instrument = self._state.instruments.get(key.symbol)
            if instrument is not None and instrument.settles_within(before_ms, now_ms):
                return True
        return False
