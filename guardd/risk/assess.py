"""One position and one account, assessed at a mark: how near is the end, by which number (interfaces.md 2.2).

Two numbers for one danger. Stops, warnings and pictures use the nearer of the venue's liquidation price and our own
(`liquidation` and what follows from it). A reduce or a close needs a number that may justify it (`closing_*`): the
venue's, or ours where the venue gives none and the model reproduces the venue's figures of that snapshot within 1 %.

The search for trigger prices and sizes asks the same question many times: `ground` sums up once what doesn't depend on the
position's own mark and quantity, `assess_on` does the rest. Plain assessments go the same way.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from guardd.model.instant import Instant
from guardd.model.names import MarginMode, PositionKey, Side, Symbol
from guardd.model.reading import Reading
from guardd.model.state import AccountState, Held
from guardd.risk.ground import Ground, ground


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionRisk:
    """A position at a mark. Ratios are shares of one, money is in the settlement coin."""

    key: PositionKey
    margin_mode: MarginMode
    quantity: Decimal
    mark: Decimal
    mark_at: Instant | None
    entry: Decimal
    exposure: Side
    """The side on which price hurts: its own; for hedge legs in cross that of the net exposure."""

    venue_liquidation: Reading
    """Unknown when the venue's number stands on the wrong side of the mark."""
    own_liquidation: Reading
    """Unknown when ours stands on the wrong side of the mark."""
    liquidation: Reading
    """The nearer of the two."""
    drift: Reading
    """(own − venue) ÷ venue, wherever the mark is."""
    contradiction: str
    """Why the venue's number can't be right, for people; empty when nothing is wrong with it."""
    distance_to_liquidation: Reading
    buffer_left: Reading
    margin_ratio: Reading
    """(maintenance + closing fee) ÷ margin balance of the position, in cross of the account; 1 at `own_liquidation`."""
    account_margin_ratio: Reading | None
    """The same of the cross account. None for isolated positions: the condition is false, neither none nor unknown."""

    closing_liquidation: Reading
    closing_distance_to_liquidation: Reading
    closing_buffer_left: Reading
    closing_margin_ratio: Reading
    closing_account_margin_ratio: Reading | None

    profit_from_entry: Reading
    unrealized_pnl: Reading
    notional: Reading
    return_on_margin: Reading
    leverage: Reading
    effective_leverage: Reading
    data_age_s: float | None
    position_age_s: float

    @property
    def stop_bound(self) -> Reading:
        """The liquidation price that a stop of this leg must stay clear of (I4); none where price hurts on the other side."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRisk:
    """The account at given marks; money in the settlement coin."""

    equity: Reading
    margin_balance: Reading
    """Of the cross positions: equity less isolated margins and their unrealised PnL."""
    maintenance: Reading
    """Maintenance margin and closing fees of the cross positions."""
    account_margin_ratio: Reading
    """Zero without cross positions; 1 is liquidation."""
    closing_account_margin_ratio: Reading
    """The same where the model reproduces the venue's figures, else unknown."""
    notional: Reading
    doubt: str
    """Why the account's figures are unknown or may justify no close, for people; empty when they may."""


def assess_position(state: AccountState, held: Held, *, mark: Decimal, now: Instant) -> PositionRisk:
    """Assess a position at `mark` with its quantity; other instruments stay at their last marks."""
    return assess_on(ground(state, held, now=now), mark=mark)


def assess_at(
    state: AccountState, held: Held, *, mark: Decimal, now: Instant, quantity: Decimal | None = None
) -> PositionRisk:
    """The same at a hypothetical mark, and as if the position had been cut to `quantity` at that mark."""
    return assess_on(ground(state, held, now=now), mark=mark, quantity=quantity)


def assess_on(on: Ground, *, mark: Decimal, quantity: Decimal | None = None) -> PositionRisk:
    """Assess at `mark`; `quantity` below the held one: what would be left after closing the difference at `mark`."""
    ...


def assess_account(
    state: AccountState,
    *,
    marks: Mapping[Symbol, Decimal],
    now: Instant,
    quantities: Mapping[PositionKey, Decimal] | None = None,
) -> AccountRisk:
    """Assess the account; an instrument missing in `marks` stays at its last mark.

    `quantities`: positions as if cut to these quantities at those marks.
    """
    ...
