"""Our own liquidation price: where what stands behind a position no longer covers what must (BitMart reference, 15).

    isolated   margin + s·q·(P − E)                    = MM(P) + f·q·P        s = ±1 for long and short
    cross      balance without this symbol + Σ s·q·(P − E) = Σ MM + f·Σ q·P   other marks held fixed, hedge legs together,
                                                                              their maintenance not netted

Inverse contracts (coin-margined; a quantity is worth V of the quote coin, money is in the base coin):

    isolated   margin + s·V·(1/E − 1/P)               = MM(V/P) + f·V/P

which is the sum of a linear contract of the other side in 1/P. So everything is reckoned along `Leg.along(price)`, the price
of linear contracts and its reciprocal of inverse ones, in which every sum is a straight line.

The taker fee `f` of closing is always counted: that price is the nearer one. Whether the venue takes the notional of MM at
mark or at entry isn't stated; `Basis.WORSE` takes the larger for each leg, which gives the nearer price.

Maintenance is convex and piecewise linear, so balance − burden is concave and piecewise linear: the prices at which the
position lives are one interval, and its ends are found exactly, piece by piece.
"""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple, assert_never

from msgspec import Struct
from msgspec.structs import force_setattr

from guardd.model.instrument import Instrument
from guardd.model.names import Side
from guardd.model.reading import Absent, Reading
from guardd.risk.tiers import maintenance_of

ZERO: Final = Decimal(0)


class Basis(StrEnum):
    """The price at which the notional of the maintenance margin is taken."""

    MARK = "mark"
    ENTRY = "entry"
    WORSE = "worse"
    """Whichever asks for more: the careful reading, and the nearer liquidation price."""


class Leg(Struct, frozen=True, kw_only=True):
    """A quantity (contracts, may be zero) of one instrument on one side. The instrument has a table of margin tiers."""

    instrument: Instrument
    side: Side
    quantity: Decimal
    entry: Decimal
    worth: Decimal = ZERO
    """What the quantity stands for: base coin of linear contracts, quote coin of inverse ones."""
    lean: int = 1
    """The sign with which it gains `along` the price: of a long +1, of an inverse long −1."""
    fee_rate: Decimal = ZERO
    """Taker fee of closing; a rebate isn't counted on."""
    entry_notional: Decimal = ZERO
    """Value at entry, settlement coin."""

    def __post_init__(self) -> None:
        """What many questions are answered from, reckoned once: a search asks a leg at hundreds of prices."""
        instrument, sign = self.instrument, self.side.sign
        know = force_setattr
        know(self, "worth", self.quantity * instrument.contract_size)
        know(self, "lean", -sign if instrument.inverse else sign)
        know(self, "fee_rate", max(instrument.taker_fee, ZERO))
        know(self, "entry_notional", self.notional(self.entry))

    def along(self, price: Decimal) -> Decimal:
        """Where a price lies on the line in which notional and PnL are straight; its own inverse."""
        return 1 / price if self.instrument.inverse else price

    def notional(self, price: Decimal) -> Decimal:
        """Value at `price`, settlement coin."""
        return self.worth / price if self.instrument.inverse else self.worth * price

    def pnl(self, price: Decimal) -> Decimal:
        """Unrealised PnL at `price`, settlement coin."""
        return self.lean * (self.notional(price) - self.entry_notional)

    def maintenance(self, price: Decimal, basis: Basis) -> Decimal:
        """Maintenance margin at `price`, without the closing fee."""
        match basis:
            case Basis.MARK:
                return maintenance_of(self.instrument, self.notional(price))
            case Basis.ENTRY:
                return maintenance_of(self.instrument, self.entry_notional)
            case Basis.WORSE:
                return maintenance_of(self.instrument, max(self.notional(price), self.entry_notional))
            case _:
                assert_never(basis)

    def burden(self, price: Decimal, basis: Basis) -> Decimal:
        """Maintenance margin and closing fee at `price`: what the margin balance must not fall below."""
        return self.maintenance(price, basis) + self.fee_rate * self.notional(price)

    def burdens(self, price: Decimal) -> dict[Basis, Decimal]:
        """`burden` by each basis."""
        notional = self.notional(price)
        fee, at_mark, at_entry = (
            self.fee_rate * notional,
            maintenance_of(self.instrument, notional),
            maintenance_of(self.instrument, self.entry_notional),
        )
        worse = at_mark if notional >= self.entry_notional else at_entry
        return {Basis.MARK: at_mark + fee, Basis.ENTRY: at_entry + fee, Basis.WORSE: worse + fee}

    def cut_to(self, quantity: Decimal) -> "Leg":
        """What is left of it at `quantity` contracts."""
        return Leg(instrument=self.instrument, side=self.side, quantity=quantity, entry=self.entry)

    def share_cut(self, rest: "Leg") -> Decimal:
        """The share of this leg that is gone when `rest` is left."""
        return (self.quantity - rest.quantity) / self.quantity if self.quantity else ZERO

    def cost_of_cutting(self, rest: "Leg", price: Decimal) -> Decimal:
        """Taker fee of closing down to `rest` at `price`."""
        return self.fee_rate * (self.notional(price) - rest.notional(price))


def exposure_of(legs: Iterable[Leg]) -> Side:
    """The side on which price hurts: of the net quantity. Legs that cancel out are hurt where maintenance grows.

    That is a rise of linear contracts, and a fall of inverse ones.
    """
    net, evenly = ZERO, Side.SHORT
    for leg in legs:
        net += leg.side.sign * leg.worth
        evenly = Side.LONG if leg.instrument.inverse else Side.SHORT
    return Side.LONG if net > 0 else Side.SHORT if net < 0 else evenly


def liquidation_price(legs: Sequence[Leg], balance: Decimal, *, basis: Basis = Basis.WORSE) -> Reading:
    """The price at which `balance` + PnL of `legs` falls to their burden, on the side of their net exposure.

    `balance` is what stands behind the legs apart from their own PnL: the margin of an isolated position; in cross the
    margin balance without this symbol, less the burden of the other positions. All legs are of one instrument.

    None when no price on that side does it; unknown when no price at all would leave it alive.
    """
    held = [leg for leg in legs if leg.quantity > 0]
    if not held:
        return Absent.NONE
    straight = held[0].along
    falls = (exposure_of(held) is Side.LONG) is not held[0].instrument.inverse
    pieces = _pieces(held, balance, basis)
    alive = (part for piece in (pieces if falls else reversed(list(pieces))) if (part := _alive(piece)) is not None)
    nearest = next(alive, None)
    if nearest is None:
        return Absent.UNKNOWN
    end = nearest.low if falls else nearest.high
    return straight(end) if end is not None and end > 0 else Absent.NONE


class _Piece(NamedTuple):
    """A stretch `along` the price in which what is left above the burden is constant + slope × place."""

    low: Decimal
    high: Decimal | None
    """None: without end."""
    constant: Decimal
    slope: Decimal


class _Line(NamedTuple):
    """From `start` on a leg's maintenance is fixed + rate × place."""

    start: Decimal
    fixed: Decimal
    rate: Decimal


def _pieces(legs: Sequence[Leg], balance: Decimal, basis: Basis) -> Iterator[_Piece]:
    """The stretches in which no leg changes its tier, nor the notional that counts, from the lowest."""
    constant, slope = balance, ZERO
    for leg in legs:
        worth, lean = leg.worth, leg.lean
        constant -= lean * worth * leg.along(leg.entry)
        slope += (lean - leg.fee_rate) * worth
    lines = [_maintenance_lines(leg, basis) for leg in legs]
    starts = (
        sorted({line.start for each in lines for line in each}) if len(lines) > 1 else [each.start for each in lines[0]]
    )
    at = [0] * len(lines)
    for index, start in enumerate(starts):
        fixed, rate = constant, slope
        for leg_index, each in enumerate(lines):
            while at[leg_index] + 1 < len(each) and each[at[leg_index] + 1].start <= start:
                at[leg_index] += 1
            fixed -= each[at[leg_index]].fixed
            rate -= each[at[leg_index]].rate
        yield _Piece(start, starts[index + 1] if index + 1 < len(starts) else None, fixed, rate)


def _maintenance_lines(leg: Leg, basis: Basis) -> list[_Line]:
    """A leg's maintenance along the price, from zero on; its starts rise."""
    if basis is Basis.ENTRY:
        return [_Line(ZERO, maintenance_of(leg.instrument, leg.entry_notional), ZERO)]
    worth, found, start = leg.worth, list[_Line](), ZERO
    for tier in leg.instrument.tiers:
        found.append(_Line(start, -tier.deduction, tier.rate * worth))
        start = tier.cap / worth
    if basis is Basis.MARK:
        return found
    entry = leg.along(leg.entry)
    first = max(index for index, line in enumerate(found) if line.start <= entry)
    below = _Line(ZERO, maintenance_of(leg.instrument, leg.entry_notional), ZERO)
    return [below, found[first]._replace(start=entry), *found[first + 1 :]]


def _alive(piece: _Piece) -> _Piece | None:
    """The part of the piece in which something is left; None when there is none."""
    low, high, constant, slope = piece
    if slope == 0:
        return piece if constant > 0 else None
    root = -constant / slope
    if slope > 0:
        low = max(low, root)
    else:
        high = root if high is None else min(high, root)
    return piece._replace(low=low, high=high) if high is None or low < high else None
