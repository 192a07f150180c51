"""What is to be looked at next, a piece at a time, so that no review ever stands long before a price frame.

A piece is one instrument with isolated positions, or all cross positions of the account together: they share one margin. A
piece is looked at when its figures changed, at once when something crossed, when an age or a `for` reaches what a rule says, and
in any case once a second while anything is unsettled, because time alone ripens conditions and makes data stale.
"""

from collections.abc import Callable, Hashable
from decimal import Decimal
from typing import Final

from guardd.model.account import Balance
from guardd.model.instant import NS_PER_S, Instant
from guardd.model.names import MarginMode, Symbol
from guardd.model.reading import Reading, is_value
from guardd.model.state import AccountState, Held
from guardd.policy.rest import MARK_AGE_AT_REST_S_MAX
from guardd.risk.ages import READ_AGE_NEAR_S_MAX, ages_of
from guardd.risk.backing import unmoved

LOOK_EVERY_NS: Final = NS_PER_S
LOOK_AT_REST_NS: Final = 4 * NS_PER_S
"""Where nothing is unsettled; what happens is looked at when it does. Should anything ever go unnoticed, a stop that it takes is
back within five seconds still (I10)."""
CROSS: Final = Symbol("")
"""The name of the piece that all cross positions are."""
CARRIED_TO: Final = -4
"""Figures that are carried on with the marks are compared to four digits after their first."""
_WHOLE_COINS: Final = Decimal(1)
"""Marks and PnL of one answer are of slightly different moments: less than a coin of change is no change."""


def _told(held: Held) -> Reading:
    return held.position.liquidation_price


class Agenda:
    """The pieces of one account, and which of them wait."""

    def __init__(self, state: AccountState, counted: Callable[[Held], Reading] = _told) -> None:
        """`counted`: the venue's liquidation price of a position, as far as its movement counts (`policy.watch.Solved`)."""
        self._state = state
        self._counted = counted
        self._figures: dict[Symbol, Hashable] = {}
        self._looked_ns: dict[Symbol, int] = {}
        self._due_ns: dict[Symbol, int] = {}
        """When time alone makes a piece's rules answer otherwise."""
        self._resting: set[Symbol] = set()
        """Pieces about which nothing is unsettled, as long as their figures keep coming."""
        self._waiting: dict[Symbol, bool] = {}
        """Pieces in the order in which they came up; true: its figures changed."""

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @property
    def rests(self) -> bool:
        """Nothing that is held is unsettled."""
        return all(piece in self._resting for piece in self._pieces())

    def changed(self, symbols: frozenset[Symbol]) -> None:
        """Something about these instruments is other than it was."""
        if not symbols:
            return
        cross = self._cross()
        for symbol in sorted(symbols):
            self._waiting[CROSS if symbol in cross else symbol] = True

    def everything(self) -> None:
        """All of it, now: another policy, an operator's word, the gate."""
        for piece in self._pieces():
            self._waiting[piece] = True

    def compare(self) -> bool:
        """After a read: only what the read changed, other than the mark, is looked at anew. True: something did."""
        pieces, changed = self._pieces(), False
        for piece, symbols in pieces.items():
            figures = self._figures_of(piece, symbols)
            if self._figures.get(piece) != figures:
                self._figures[piece] = figures
                self._waiting[piece] = changed = True
        for piece in [piece for piece in self._figures if piece not in pieces]:
            del self._figures[piece]
            self._looked_ns.pop(piece, None)
            self._due_ns.pop(piece, None)
            self._waiting.pop(piece, None)
            self._resting.discard(piece)
            changed = True
        return changed

    def pulse(self, now: Instant) -> None:
        """Bring up what nobody has looked at for a while, and what time has ripened."""
        for piece, symbols in self._pieces().items():
            due_ns, waited_ns = self._due_ns.get(piece), now.mono_ns - self._looked_ns.get(piece, 0)
            ripe = due_ns and now.mono_ns >= due_ns
            if ripe or (waited_ns >= LOOK_EVERY_NS and not self._rests(piece, symbols, waited_ns, now)):
                self._waiting.setdefault(piece, False)

    def look_again(self) -> None:
        """Something that no price is solved from is other than it was: judge anew, and leave the prices as they are."""
        for piece in self._pieces():
            self._waiting.setdefault(piece, False)

    def ripens(self, symbols: frozenset[Symbol], at: Instant | None, *, at_rest: bool = False) -> None:
        """At this moment a rule about these instruments answers otherwise by time alone; None: at none that is known.

        `at_rest`: nothing else about them is unsettled, as long as their figures keep coming.
        """
        cross = self._cross()
        for piece in sorted({CROSS if symbol in cross else symbol for symbol in symbols}):
            (self._resting.add if at_rest else self._resting.discard)(piece)
            if at is None:
                self._due_ns.pop(piece, None)
            else:
                self._due_ns[piece] = at.mono_ns

    def next(self, now: Instant) -> tuple[frozenset[Symbol], bool] | None:
        """The next piece's instruments, and whether its figures changed (its prices must be solved anew); None: nothing waits."""
        pieces = self._pieces() if self._waiting else {}
        while self._waiting:
            piece = next(iter(self._waiting))
            changed = self._waiting.pop(piece)
            if piece in pieces:
                self._looked_ns[piece] = now.mono_ns
                return pieces[piece], changed
        return None

    def _rests(self, piece: Symbol, symbols: frozenset[Symbol], waited_ns: int, now: Instant) -> bool:
        return piece in self._resting and waited_ns < LOOK_AT_REST_NS and not self._ages(symbols, now)

    def _ages(self, symbols: frozenset[Symbol], now: Instant) -> bool:
        """Figures of these stopped coming."""
        for key, held in self._state.held.items():
            if key.symbol in symbols:
                ages, cross = ages_of(self._state, held, now), held.position.margin_mode is MarginMode.CROSS
                read_s = max(ages.position_s or 0.0, (ages.account_s or 0.0) if cross else 0.0)
                if read_s > READ_AGE_NEAR_S_MAX or (ages.mark_s or 0.0) > MARK_AGE_AT_REST_S_MAX:
                    return True
        return False

    def _cross(self) -> frozenset[Symbol]:
        held = self._state.held.items()
        return frozenset(key.symbol for key, each in held if each.position.margin_mode is MarginMode.CROSS)

    def _pieces(self) -> dict[Symbol, frozenset[Symbol]]:
        cross = self._cross()
        pieces = {key.symbol: frozenset({key.symbol}) for key in self._state.held if key.symbol not in cross}
        if cross:
            pieces[CROSS] = cross
        return pieces

    def _figures_of(self, piece: Symbol, symbols: frozenset[Symbol]) -> Hashable:
        positions = tuple(
            _figures(each, self._counted(each))
            for key, each in sorted(self._state.held.items())
            if key.symbol in symbols
        )
        plans = tuple(
            (plan.order_id, plan.trigger_price, plan.size)
            for plan in sorted(self._state.plans.values(), key=lambda plan: plan.order_id)
            if plan.key.symbol in symbols
        )
        return positions, plans, self._wallets() if piece == CROSS else None

    def _wallets(self) -> Hashable:
        """What of the balances doesn't move with the marks."""
        return tuple(self._wallet(balance) for balance in self._state.balances.values())

    def _wallet(self, balance: Balance) -> Hashable:
        """A wallet of one answer is exact; what is carried on from the marks of a moment is as exact as those are."""
        found = unmoved(self._state, balance)
        if found is None:
            return balance.currency, None
        wallet, *beyond = found
        carried = is_value(balance.maintenance) or is_value(balance.margin_ratio)
        grain = max(_WHOLE_COINS, Decimal(1).scaleb(wallet.adjusted() + CARRIED_TO)) if carried else _WHOLE_COINS
        return balance.currency, *(each and each // grain for each in (wallet, *beyond))


def _figures(held: Held, liquidation: Reading) -> Hashable:
    """What a rule's price is solved from. The margin of a cross position isn't: it goes with the marks, and no rule asks for it."""
    position = held.position
    return (
        held.episode.id,
        position.quantity,
        position.entry_price,
        position.margin_mode,
        position.margin if position.margin_mode is MarginMode.ISOLATED else None,
        position.leverage,
        liquidation,
        held.missing_since is not None,
        held.close_seen is not None,
    )
