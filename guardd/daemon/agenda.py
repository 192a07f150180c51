"""What is to be looked at next, a piece at a time, so that no review ever stands long before a price frame.

A piece is one instrument with isolated positions, or all cross positions of the account together: they share one margin. A
piece is looked at when its figures changed, at once when something crossed, when an age or a `for` reaches what a rule says, and
in any case once a second while anything is unsettled, because time alone ripens conditions and makes data stale.

What is asked at each pulse and each read doesn't grow with the pieces: they are found anew only where something differs.
"""

from collections.abc import Callable, Hashable, Iterable
from decimal import Decimal
from typing import Final

from guardd.daemon.ripening import Ages, Dues
from guardd.model.account import Balance
from guardd.model.instant import NS_PER_MS, NS_PER_S, Instant
from guardd.model.names import MarginMode, PositionKey, Side, Symbol
from guardd.model.reading import Reading, is_value
from guardd.model.state import AccountState, Held
from guardd.risk.backing import unmoved

LOOK_EVERY_NS: Final = NS_PER_S
LOOK_AT_REST_NS: Final = 4 * NS_PER_S
"""Where nothing is unsettled; what happens is looked at when it does. Should anything ever go unnoticed, a stop that it takes is
back within five seconds still (I10)."""
AT_CROSS_REST_NS: Final = NS_PER_S // 10
"""For each of its instruments the cross piece, which is looked at as a whole, waits so long if that is more."""
AT_REST_A_PULSE: Final = 2
"""Of many pieces that rest so many are looked at with each pulse, the one that waited longest first: beyond thirty the turn of
each comes later than that."""
AGAIN_NS: Final = 40 * NS_PER_MS
"""Between two looks at one piece: what follows from an order comes as a dozen events in a row. Crossings don't wait for it."""
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
        self._isolated: dict[Symbol, None] = {}
        """The pieces of one instrument each, and"""
        self._cross: frozenset[Symbol] = frozenset()
        """the instruments of the other."""
        self._figures: dict[Symbol, Hashable] = {}
        """Of each instrument; of the balances under `CROSS`."""
        self._looked_ns: dict[Symbol, int] = {}
        """When each piece was looked at, the longest ago first."""
        self._dues = Dues()
        self._ages = Ages(state)
        self._resting: set[Symbol] = set()
        """Pieces about which nothing is unsettled, as long as their figures keep coming."""
        self._restless: set[Symbol] = set()
        """All others."""
        self._waiting: dict[Symbol, bool] = {}
        """Pieces in the order in which they came up; true: its figures changed."""

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @property
    def rests(self) -> bool:
        """Nothing that is held is unsettled."""
        return not self._restless

    @property
    def unsettled(self) -> frozenset[Symbol]:
        """The instruments of the pieces that don't rest."""
        apart = self._restless - {CROSS}
        return frozenset(apart | self._cross) if CROSS in self._restless else frozenset(apart)

    def changed(self, symbols: frozenset[Symbol]) -> None:
        """Something about these instruments is other than it was."""
        for symbol in sorted(symbols):
            self._waiting[self._piece_of(symbol)] = True
            if symbol in self._figures:
                self._figures[symbol] = self._figures_of(symbol)  # a read that shows the same is no other change

    def everything(self) -> None:
        """All of it, now: another policy, an operator's word, the gate."""
        for piece in self._pieces():
            self._waiting[piece] = True

    def compare(self, differs: Iterable[Symbol] | None = None) -> bool:
        """After a read: only what the read changed, other than the mark, is looked at anew. True: something did.

        `differs`: the instruments about which it can be (`Folded.differs`); None: any.
        """
        known = self._isolated.keys() | self._cross
        asked = known | {key.symbol for key in self._state.held} if differs is None else set(differs)
        changed = self._sort_in(asked) if asked else False
        for symbol in sorted(asked & (self._isolated.keys() | self._cross)):
            figures = self._figures_of(symbol)
            if self._figures.get(symbol) != figures:
                self._figures[symbol] = figures
                self._waiting[self._piece_of(symbol)] = changed = True
        if self._cross and self._figures.get(CROSS) != (wallets := self._wallets()):
            self._figures[CROSS] = wallets
            self._waiting[CROSS] = changed = True
        return changed

    def pulse(self, now: Instant) -> None:
        """Bring up what nobody has looked at for a while, and what time has ripened."""
        for piece in self._dues.ripe(now):
            self._waiting.setdefault(piece, False)
        aged = {self._piece_of(symbol) for symbol in self._ages.beyond_rest(self._cross, now)}
        for piece in sorted(aged | self._restless):
            if self._waited_ns(piece, now) >= LOOK_EVERY_NS:
                self._waiting.setdefault(piece, False)
        for piece in self._longest_at_rest(now):
            self._waiting.setdefault(piece, False)

    def look_again(self) -> None:
        """Something that no price is solved from is other than it was: judge anew, and leave the prices as they are."""
        for piece in self._pieces():
            self._waiting.setdefault(piece, False)

    def ripens(self, symbols: frozenset[Symbol], at: Instant | None, *, at_rest: bool = False) -> None:
        """At this moment a rule about these instruments answers otherwise by time alone; None: at none that is known.

        `at_rest`: nothing else about them is unsettled, as long as their figures keep coming.
        """
        for piece in sorted({self._piece_of(symbol) for symbol in symbols}):
            if not self._is_held(piece):
                continue
            if at_rest and piece not in self._resting:
                self._ages.look_again()
            (self._resting.add if at_rest else self._resting.discard)(piece)
            (self._restless.discard if at_rest else self._restless.add)(piece)
            self._dues.set(piece, at)

    def next(self, now: Instant) -> tuple[frozenset[Symbol], bool] | None:
        """The next piece's instruments, and whether its figures changed (its prices must be solved anew); None: nothing waits."""
        for piece in [*self._waiting]:
            if self._is_held(piece) and self._waited_ns(piece, now) < AGAIN_NS:
                continue
            changed = self._waiting.pop(piece)
            if self._is_held(piece):
                self._looked_ns.pop(piece, None)
                self._looked_ns[piece] = now.mono_ns
                return self._cross if piece == CROSS else frozenset({piece}), changed
        return None

    def again_ns(self, now: Instant) -> int | None:
        """How long until the next piece may be looked at; zero or less: now. None: nothing waits."""
        soonest: int | None = None
        for piece in self._waiting:
            left_ns = AGAIN_NS - self._waited_ns(piece, now)
            if left_ns <= 0:
                return 0
            soonest = left_ns if soonest is None else min(soonest, left_ns)
        return soonest

    def _waited_ns(self, piece: Symbol, now: Instant) -> int:
        return now.mono_ns - self._looked_ns.get(piece, 0)

    def _longest_at_rest(self, now: Instant) -> list[Symbol]:
        found: list[Symbol] = []
        for piece, looked_ns in self._looked_ns.items():
            if len(found) == AT_REST_A_PULSE or now.mono_ns - looked_ns < LOOK_AT_REST_NS:
                break
            large = piece == CROSS and now.mono_ns - looked_ns < len(self._cross) * AT_CROSS_REST_NS
            if piece in self._resting and not large:
                found.append(piece)
        return found

    # The pieces

    def _pieces(self) -> list[Symbol]:
        return [*self._isolated, CROSS] if self._cross else list(self._isolated)

    def _is_held(self, piece: Symbol) -> bool:
        return bool(self._cross) if piece == CROSS else piece in self._isolated

    def _piece_of(self, symbol: Symbol) -> Symbol:
        return CROSS if symbol in self._cross else symbol

    def _sort_in(self, symbols: set[Symbol]) -> bool:
        """Find out which piece these instruments are of now. True: one is gone."""
        cross = set(self._cross)
        gone = False
        for symbol in sorted(symbols):
            modes = {held.position.margin_mode for held in self._state.holds(symbol)}
            if MarginMode.CROSS in modes:
                cross.add(symbol)
            else:
                cross.discard(symbol)
            if modes == {MarginMode.ISOLATED}:
                self._isolated.setdefault(symbol)
                self._begin(symbol)
            elif symbol in self._isolated:
                del self._isolated[symbol]
                self._end(symbol)
            if not modes:
                gone |= self._figures.pop(symbol, None) is not None
        if cross != self._cross:
            self._cross = frozenset(cross)
        if cross:
            self._begin(CROSS)
        elif self._figures.pop(CROSS, None) is not None:
            self._end(CROSS)
        return gone

    def _begin(self, piece: Symbol) -> None:
        if piece not in self._resting:
            self._restless.add(piece)

    def _end(self, piece: Symbol) -> None:
        for kept in (self._looked_ns, self._waiting):
            kept.pop(piece, None)
        self._dues.set(piece, None)
        self._resting.discard(piece)
        self._restless.discard(piece)

    def _figures_of(self, symbol: Symbol) -> Hashable:
        sides = (PositionKey(self._state.name, symbol, side) for side in Side)
        plans = [plan for key in sides for plan in self._state.plans_on(key)]
        return (
            tuple(_figures(held, self._counted(held)) for held in self._state.holds(symbol)),
            tuple((plan.order_id, plan.trigger_price, plan.size) for plan in plans),
        )

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
