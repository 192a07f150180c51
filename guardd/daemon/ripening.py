"""What time alone brings up, found without going through everything at each pulse: dues, and figures that stopped coming."""

from collections.abc import Iterator

from guardd.model.instant import NS_PER_S, Instant
from guardd.model.names import MarginMode, Symbol
from guardd.model.state import AccountState, Held
from guardd.policy.rest import MARK_AGE_AT_REST_S_MAX
from guardd.risk.ages import READ_AGE_NEAR_S_MAX, AgeLimits

_MARK_NS = int(MARK_AGE_AT_REST_S_MAX * NS_PER_S)
_READ_NS = int(READ_AGE_NEAR_S_MAX * NS_PER_S)
NEVER_NS = 1 << 62


class Dues:
    """When each piece's rules answer otherwise by time alone."""

    def __init__(self) -> None:
        self._due_ns: dict[Symbol, int] = {}
        self._first_ns = NEVER_NS
        """None is due before this."""

    def set(self, piece: Symbol, at: Instant | None) -> None:
        if at is None:
            self._due_ns.pop(piece, None)
            return
        self._due_ns[piece] = at.mono_ns
        self._first_ns = min(self._first_ns, at.mono_ns)

    def ripe(self, now: Instant) -> list[Symbol]:
        """Those whose moment has come; they stay so until they are set anew."""
        if now.mono_ns < self._first_ns:
            return []
        self._first_ns = min(self._due_ns.values(), default=NEVER_NS)
        return [piece for piece, due_ns in self._due_ns.items() if now.mono_ns >= due_ns]


class Ages:
    """Whose figures stopped coming. Nothing grows old sooner than what is oldest now, so until then nobody looks."""

    def __init__(self, state: AccountState) -> None:
        self._state = state
        self._none_before_ns = 0

    def look_again(self) -> None:
        """Something is judged by this that wasn't before."""
        self._none_before_ns = 0

    def beyond_rest(self, cross: frozenset[Symbol], now: Instant) -> list[Symbol]:
        """The instruments whose figures are older than those of a piece at rest may be."""
        if now.mono_ns <= self._none_before_ns:
            return []
        aged: list[Symbol] = []
        self._none_before_ns = NEVER_NS
        for symbol, old_from_ns in self._old_from_ns(cross):
            self._none_before_ns = min(self._none_before_ns, old_from_ns)
            if now.mono_ns > old_from_ns:
                aged.append(symbol)
        return aged

    def _old_from_ns(self, cross: frozenset[Symbol]) -> Iterator[tuple[Symbol, int]]:
        """Until when each position's figures are young enough."""
        marks, balances_at = self._state.marks, self._state.balances_at
        account_ns = balances_at.mono_ns + _READ_NS if balances_at is not None else NEVER_NS
        for key, held in self._state.held.items():
            symbol = key.symbol
            old_ns = held.read.mono_ns + _READ_NS
            seen = marks.get(symbol)
            if seen is not None:
                old_ns = min(old_ns, seen.at.mono_ns + _MARK_NS)
            yield symbol, min(old_ns, account_ns) if symbol in cross else old_ns


class Aged:
    """Which positions have figures older than a limit allows, over the whole account, by the same thrift."""

    def __init__(self, state: AccountState) -> None:
        self._state = state
        self._none_before_ns = 0
        self._basis: tuple[object, ...] = ()

    def beyond(self, allowed: AgeLimits, now: Instant) -> list[Held]:
        """Sorted by key; a mark that was never seen is too old."""
        state = self._state
        basis = (allowed, len(state.held), state.lives_ended, len(state.instruments))
        if basis == self._basis and now.mono_ns <= self._none_before_ns:
            return []
        self._basis, self._none_before_ns = basis, NEVER_NS
        mark_ns, read_ns = int(allowed.mark_s * NS_PER_S), int(allowed.position_s * NS_PER_S)
        account_ns = state.balances_at.mono_ns + read_ns if state.balances_at is not None else 0
        found: list[Held] = []
        for key, held in state.held.items():
            seen = state.marks.get(key.symbol)
            old_ns = min(held.read.mono_ns + read_ns, seen.at.mono_ns + mark_ns if seen is not None else 0)
            if held.position.margin_mode is MarginMode.CROSS:
                old_ns = min(old_ns, account_ns)
            self._none_before_ns = min(self._none_before_ns, old_ns)
            if now.mono_ns > old_ns:
                found.append(held)
        return sorted(found, key=lambda held: held.key)
