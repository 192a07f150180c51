"""What a position's risk rests on, apart from its own mark and quantity: summed up once for many questions.

A trigger price and a reduction's size are found by asking the same question at many marks and quantities; the sums over
the rest of the account don't change between them.
"""

from collections.abc import Sequence
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import force_setattr

from guardd.model.instant import MS_PER_S, Instant
from guardd.model.names import MarginMode, Side, Symbol
from guardd.model.position import Position
from guardd.model.reading import Absent, Reading, is_value
from guardd.model.state import AccountState, Held
from guardd.risk.ages import Ages, ages_of
from guardd.risk.backing import Backing, Burden, backing, leg_of
from guardd.risk.drawdown import drawdown_behind
from guardd.risk.liquidation import ZERO, Basis, Leg, exposure_of, liquidation_price
from guardd.risk.reproduction import preferred, reproduced_bases


class Number(Struct, frozen=True, kw_only=True):
    """One way to reckon: by `basis`, with what the rest of the account burdens the balance with."""

    basis: Basis
    burden_apart: Decimal


class Ground(Struct, frozen=True, kw_only=True):
    """Made by `ground` from one state, asked by `guardd.risk.assess.assess_on`; a changed state needs a new one."""

    position: Position
    leg: Leg | None
    """None where the instrument or its tiers aren't known: nothing of ours can be reckoned."""
    partners: tuple[Leg, ...]
    """The other cross leg of the same instrument (hedge mode)."""
    balance_apart: Reading
    """What stands behind the legs apart from their own PnL: an isolated margin, or the cross balance without them."""
    near: Number | None
    """The careful way: for stops, warnings and pictures."""
    closing: Number | None
    """The way that reproduces the venue's figures: may justify a close. None when none does."""
    closing_ratio: Number | None
    """The way that may justify a close by the margin ratio: of the venue's own figures where it gives them, else `closing`."""
    near_liquidation: Reading
    closing_liquidation: Reading
    """Ours at the held quantity, by either way; wherever the mark is."""
    mark_at: Instant | None
    data_age_s: float | None
    position_age_s: float
    account_drawdown: Reading = Absent.UNKNOWN
    settle: str = ""
    """What its money is in; empty where the instrument isn't known."""
    legs: tuple[Leg, ...] = ()
    """Its leg and the partners; empty where the leg isn't known."""
    exposure: Side = Side.LONG
    """The side on which price hurts: its own; of hedge legs in cross that of the net exposure."""

    def __post_init__(self) -> None:
        legs = (self.leg, *self.partners) if self.leg is not None else ()
        force_setattr(self, "legs", legs)
        force_setattr(self, "exposure", exposure_of(legs) if self.partners else self.position.key.side)


def ground(
    state: AccountState, held: Held, *, now: Instant, whole: Backing | None = None, ages: Ages | None = None
) -> Ground:
    """Sum up what doesn't change with this position's own mark and quantity.

    `whole` is `whole_account` of the same state for this position, made once where many positions are asked about; `ages` are
    its `ages_of` at this moment, where somebody has them.
    """
    leg = leg_of(state, held)
    partners: tuple[Leg, ...] = ()
    balance: Reading = Absent.UNKNOWN
    near: Number | None = None
    closing: Number | None = None
    by_ratio: Number | None = None
    if leg is not None:
        match held.position.margin_mode:
            case MarginMode.ISOLATED:
                balance, near, closing = _isolated(held, leg)
                by_ratio = closing
            case MarginMode.CROSS:
                rest = (whole or whole_account(state, held.key.symbol)).without(held.key.symbol)
                balance, near, closing, by_ratio = (
                    rest.balance,
                    *map(_number, (rest.near, rest.closing, rest.closing_ratio)),
                )
                partners = _partners(state, held)
    seen = state.marks.get(held.key.symbol)
    legs = (leg, *partners) if leg is not None else ()
    return Ground(
        position=held.position,
        leg=leg,
        partners=partners,
        balance_apart=balance,
        near=near,
        closing=closing,
        closing_ratio=by_ratio,
        near_liquidation=solve(legs, balance, near),
        closing_liquidation=solve(legs, balance, closing),
        mark_at=seen.at if seen is not None else None,
        data_age_s=(ages or ages_of(state, held, now)).oldest_s(held.position.margin_mode),
        position_age_s=_position_age_s(state, held, now),
        account_drawdown=drawdown_behind(state, held.key.symbol, now).ratio,
        settle=state.settle_of(held.key.symbol) or "",
    )


def whole_account(state: AccountState, symbol: Symbol) -> Backing:
    """The sums over the balance that stands behind this instrument, at the last marks."""
    return backing(state, state.balance_behind(symbol), marks={}, quantities={})


def solve(legs: Sequence[Leg], balance_apart: Reading, number: Number | None) -> Reading:
    """Our liquidation price of these legs by one way of reckoning."""
    if number is None or not is_value(balance_apart):
        return Absent.UNKNOWN
    return liquidation_price(legs, balance_apart - number.burden_apart, basis=number.basis)


def _isolated(held: Held, leg: Leg) -> tuple[Reading, Number | None, Number | None]:
    margin = held.position.margin
    if not is_value(margin) or margin <= 0:
        return Absent.UNKNOWN, None, None
    near = Number(basis=Basis.WORSE, burden_apart=ZERO)
    basis = preferred(reproduced_bases(held.position, leg, None))
    return margin, near, Number(basis=basis, burden_apart=ZERO) if basis is not None else None


def _number(burden: Burden | None) -> Number | None:
    return Number(basis=burden.basis, burden_apart=burden.amount) if burden is not None else None


def _partners(state: AccountState, held: Held) -> tuple[Leg, ...]:
    other = state.held.get(held.key._replace(side=held.key.side.opposite))
    leg = leg_of(state, other) if other is not None and other.position.margin_mode is MarginMode.CROSS else None
    return (leg,) if leg is not None else ()


def _position_age_s(state: AccountState, held: Held, now: Instant) -> float:
    """Seconds since the venue says that it was opened, else since first sight; by the venue's clock where its offset is known."""
    opened_ms = held.position.opened_ms
    if opened_ms is None:
        return max(now.wall_ms - held.episode.first_seen_ms, 0) / MS_PER_S
    return max(now.wall_ms + (state.clock_offset_ms or 0) - opened_ms, 0) / MS_PER_S
