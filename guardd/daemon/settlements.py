"""When funding is settled: what the venue books then is read at once, not when its turn comes."""

from collections.abc import Collection

from guardd.model.equity import venue_ms
from guardd.model.instant import Instant
from guardd.model.instrument import Instrument
from guardd.model.state import AccountState


class Settlements:
    """Of the instruments that one account holds."""

    def __init__(self, state: AccountState) -> None:
        self._state = state
        self._looked_ms: int | None = None
        self._basis: tuple[object, ...] = ()
        self._kinds: dict[tuple[int | None, int | None], Instrument] = {}

    def passed(self, now: Instant) -> bool:
        """True once for each settlement of a held instrument that came since this was last asked (by the venue's clock)."""
        now_ms, before_ms = venue_ms(self._state, now), self._looked_ms
        self._looked_ms = now_ms
        if before_ms is None or now_ms <= before_ms:
            return False
        return any(instrument.settles_within(before_ms, now_ms) for instrument in self._one_of_each_kind())

    def _one_of_each_kind(self) -> Collection[Instrument]:
        """Of all that are settled at the same moments one: thousands of contracts have a few schedules."""
        state = self._state
        basis = (len(state.held), state.lives_ended, len(state.instruments), state.instruments_at)
        if basis != self._basis:
            held = (state.instruments.get(key.symbol) for key in state.held)
            self._kinds = {(each.funding_every_s, each.funding_at_ms): each for each in held if each is not None}
            self._basis = basis
        return self._kinds.values()
