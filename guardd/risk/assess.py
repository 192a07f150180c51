"""One position and one account, assessed at a mark: how near is the end, by which number (interfaces.md 2.2).

Two numbers for one danger. Stops, warnings and pictures use the nearer of the venue's liquidation price and our own
(`liquidation` and what follows from it). A reduce or a close needs a number that may justify it (`closing_*`): the
venue's, or ours where the venue gives none and the model reproduces the venue's figures of that snapshot within 1 %.

The search for trigger prices and sizes asks the same question many times: `ground` sums up once what doesn't depend on the
position's own mark and quantity, `assess_on` does the rest. Plain assessments go the same way.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, NamedTuple, assert_never

from msgspec import Struct

from guardd.model.instant import Instant
from guardd.model.names import MarginMode, PositionKey, Side, Symbol
from guardd.model.reading import Absent, Reading, is_value
from guardd.model.state import AccountState, Held
from guardd.risk.backing import Burden, backing
from guardd.risk.ground import Ground, Number, ground, solve
from guardd.risk.liquidation import ZERO, Leg, exposure_of

RATIO_MAX: Final = Decimal(1000)
"""What a ratio to a margin balance that is all but gone is shown as: far past liquidation, and still a number."""


FAR: Final = Decimal(1)
"""Further from the mark than the mark is from zero: only a short's can be (Bitget reference, 10)."""


class PositionRisk(Struct, frozen=True, kw_only=True):
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
    """(maintenance + closing fee) ÷ margin balance of the position, in cross of the account; 1 at `own_liquidation`.

    Monotone in the mark wherever it is near anything; of a long with an effective leverage below about 3 it may also grow a
    little while the price rises into a dearer tier.
    """
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
    account_drawdown: Reading = Absent.UNKNOWN
    """Of the balance behind the position, as of the last account read: no mark changes it between two of them."""
    settle: str = ""
    """The coin that its money is in; empty where its instrument isn't known."""

    @property
    def far(self) -> bool:
        """The mark would have to double to get there: a number that says "none", whose drift says nothing about a model."""
        return is_value(self.distance_to_liquidation) and self.distance_to_liquidation > FAR

    @property
    def stop_bound(self) -> Reading:
        """The liquidation price that a stop of this leg must stay clear of (I4); none where price hurts on the other side."""
        return self.liquidation if self.exposure is self.key.side else Absent.NONE


class AccountRisk(Struct, frozen=True, kw_only=True):
    """One cross account at given marks: what stands behind the positions of one settlement coin, or behind all of them."""

    currency: str
    """What the money is in; empty before a balance was read."""
    equity: Reading
    margin_balance: Reading
    """Of the cross positions: equity less isolated margins and their unrealised PnL."""
    maintenance: Reading
    """Maintenance margin and closing fees of the cross positions; no less than the venue asks for."""
    account_margin_ratio: Reading
    """Zero without cross positions; 1 is liquidation."""
    closing_account_margin_ratio: Reading
    """The same by the venue's own figures where it gives them; else where the model reproduces the venue's, else unknown."""
    notional: Reading
    doubt: str
    """Why the account's figures are unknown or may justify no close, for people; empty when they may."""
    at: Instant


def assess_position(state: AccountState, held: Held, *, mark: Decimal, now: Instant) -> PositionRisk:
    """Assess a position at `mark` with its quantity; other instruments stay at their last marks."""
    return assess_on(ground(state, held, now=now), mark=mark)


def assess_on(on: Ground, *, mark: Decimal, quantity: Decimal | None = None) -> PositionRisk:
    """Assess at `mark`; `quantity` below the held one: what would be left after closing the difference at `mark`."""
    position = on.position
    cut = _cut(on, mark=mark, quantity=quantity)
    exposure = cut.exposure
    venue, contradiction = _venue_number(on, cut, mark)
    own = _on_side(cut.near_liquidation, exposure, mark)
    near = Absent.UNKNOWN if contradiction and own is Absent.NONE else _nearer(venue, own, exposure)
    closing = _closing(on, cut, venue=venue, contradiction=contradiction, mark=mark)
    balance = _balance(cut, mark)
    ratio = _margin_ratio(cut, on.near, balance, mark)
    closing_ratio = _margin_ratio(cut, on.closing_ratio, balance, mark)
    cross = position.margin_mode is MarginMode.CROSS
    leg, entry = cut.leg, position.entry_price
    notional: Reading = leg.notional(mark) if leg is not None else Absent.UNKNOWN
    pnl: Reading = leg.pnl(mark) if leg is not None else Absent.UNKNOWN
    return PositionRisk(
        key=position.key,
        margin_mode=position.margin_mode,
        quantity=cut.quantity,
        mark=mark,
        mark_at=on.mark_at,
        entry=entry,
        exposure=exposure,
        venue_liquidation=venue,
        own_liquidation=own,
        liquidation=near,
        drift=_drift(on.near_liquidation, position.liquidation_price),
        contradiction=contradiction,
        distance_to_liquidation=_distance(near, exposure, mark),
        buffer_left=_buffer(near, exposure, mark, entry),
        margin_ratio=ratio,
        account_margin_ratio=ratio if cross else None,
        closing_liquidation=closing,
        closing_distance_to_liquidation=_distance(closing, exposure, mark),
        closing_buffer_left=_buffer(closing, exposure, mark, entry),
        closing_margin_ratio=closing_ratio,
        closing_account_margin_ratio=closing_ratio if cross else None,
        profit_from_entry=position.key.side.sign * (mark - entry) / entry if entry > 0 else Absent.UNKNOWN,
        unrealized_pnl=pnl,
        notional=notional,
        return_on_margin=_return_on_margin(leg, pnl, position.leverage),
        leverage=position.leverage,
        effective_leverage=_share(notional, balance),
        data_age_s=on.data_age_s,
        position_age_s=on.position_age_s,
        account_drawdown=on.account_drawdown,
        settle=on.settle,
    )


def assess_account(
    state: AccountState,
    *,
    marks: Mapping[Symbol, Decimal],
    now: Instant,
    quantities: Mapping[PositionKey, Decimal] | None = None,
    currency: str | None = None,
) -> AccountRisk:
    """Assess what one balance stands behind (None: the first); an instrument missing in `marks` stays at its last mark.

    `quantities`: positions as if cut to these quantities at those marks.
    """
    first = next(iter(state.balances), "")
    balance = state.balances.get(first if currency is None else currency)
    sums = backing(state, balance, marks=marks, quantities=quantities or {})
    return AccountRisk(
        currency=balance.currency if balance is not None else "",
        equity=sums.equity,
        margin_balance=sums.balance,
        maintenance=_amount(sums.near),
        account_margin_ratio=_share(_amount(sums.near), sums.balance),
        closing_account_margin_ratio=_share(_amount(sums.closing_ratio), sums.balance),
        notional=sums.notional,
        doubt=sums.doubt,
        at=now,
    )


def assess_accounts(
    state: AccountState, *, now: Instant, marks: Mapping[Symbol, Decimal] | None = None
) -> dict[str, AccountRisk]:
    """Each balance of the account by its currency, in the venue's order; empty before one was read."""
    return {each: assess_account(state, marks=marks or {}, now=now, currency=each) for each in state.balances}


def worst_ratio(state: AccountState, risks: Mapping[str, AccountRisk]) -> Reading:
    """The highest margin ratio of those behind which guarded positions stand; unknown where one of them is."""
    guarded = [key.symbol for key in state.held if not state.why_unguarded(key.symbol)]
    behind = {balance.currency for symbol in guarded if (balance := state.balance_behind(symbol)) is not None}
    ratios = [risk.account_margin_ratio for currency, risk in risks.items() if currency in behind or len(risks) == 1]
    known = [ratio for ratio in ratios if is_value(ratio)]
    if len(known) < len(ratios) or not risks:
        return Absent.UNKNOWN
    return max(known, default=ZERO)


class _Cut(NamedTuple):
    """The ground as it would be with the position cut to `quantity`; untouched when nothing is cut."""

    leg: Leg | None
    legs: tuple[Leg, ...]
    quantity: Decimal
    balance_apart: Reading
    near_liquidation: Reading
    closing_liquidation: Reading
    exposure: Side
    """A leg alone hurts on its own side, even when nothing of it is left."""
    is_cut: bool


def _cut(on: Ground, *, mark: Decimal, quantity: Decimal | None) -> _Cut:
    held = on.position.quantity
    if quantity is None or quantity == held:
        return _Cut(
            leg=on.leg,
            legs=on.legs,
            quantity=held,
            balance_apart=on.balance_apart,
            near_liquidation=on.near_liquidation,
            closing_liquidation=on.closing_liquidation,
            exposure=on.exposure,
            is_cut=False,
        )
    if not 0 <= quantity < held:
        raise ValueError(
            f"{on.position.key}: asked about {quantity} contracts, expected a reduction of the {held} held"
        )
    rest = on.leg.cut_to(quantity) if on.leg is not None else None
    balance = _balance_after(on, rest, mark)
    legs = (rest, *on.partners) if rest is not None else ()
    return _Cut(
        leg=rest,
        legs=legs,
        quantity=quantity,
        balance_apart=balance,
        near_liquidation=solve(legs, balance, on.near),
        closing_liquidation=solve(legs, balance, on.closing),
        exposure=exposure_of(legs) if on.partners else on.position.key.side,
        is_cut=True,
    )


def _balance_after(on: Ground, rest: Leg | None, mark: Decimal) -> Reading:
    """What stands behind the legs once the difference is closed at `mark`.

    Isolated: its margin is released in proportion. Cross: its PnL becomes wallet, less the taker fee.
    """
    balance, leg = on.balance_apart, on.leg
    if not is_value(balance) or leg is None or rest is None:
        return Absent.UNKNOWN
    match on.position.margin_mode:
        case MarginMode.ISOLATED:
            return balance * (1 - leg.share_cut(rest))
        case MarginMode.CROSS:
            return balance + leg.pnl(mark) - rest.pnl(mark) - leg.cost_of_cutting(rest, mark)
        case _:
            assert_never(on.position.margin_mode)


def _venue_number(on: Ground, cut: _Cut, mark: Decimal) -> tuple[Reading, str]:
    """The venue's liquidation price, and why it can't be right (then it is unknown; interfaces.md 2.2).

    For a hypothetical quantity it is moved by as much as our own moves: the venue gives it for the held quantity only.
    """
    venue = on.position.liquidation_price
    if cut.is_cut and not cut.quantity and not on.partners:
        return Absent.NONE, ""
    if not is_value(venue) or venue == 0:
        return Absent.NONE if venue is Absent.NONE else Absent.UNKNOWN, ""
    if venue < 0:
        return (Absent.NONE, "") if cut.exposure is Side.LONG else (Absent.UNKNOWN, f"a short can't end at {venue}")
    if _on_side(venue, cut.exposure, mark) is Absent.UNKNOWN:
        return Absent.UNKNOWN, f"liquidation price {venue} of a {cut.exposure} exposure, with the mark at {mark}"
    if not cut.is_cut:
        return venue, ""
    before, after = on.near_liquidation, cut.near_liquidation
    if not is_value(before) or not is_value(after):
        return after if after is Absent.NONE else Absent.UNKNOWN, ""
    return _on_side(venue + (after - before), cut.exposure, mark), ""


def _closing(on: Ground, cut: _Cut, *, venue: Reading, contradiction: str, mark: Decimal) -> Reading:
    """The number that may justify a close: the venue's, else ours where it reproduces the venue's figures."""
    if is_value(venue) or contradiction:
        return venue
    if is_value(on.position.liquidation_price) and on.position.liquidation_price > 0:
        return venue
    return _on_side(cut.closing_liquidation, cut.exposure, mark) if on.closing is not None else venue


def _on_side(liquidation: Reading, exposure: Side, mark: Decimal) -> Reading:
    """The reading, or unknown where it stands on the wrong side of the mark: never zero distance."""
    if is_value(liquidation) and exposure.sign * (mark - liquidation) <= 0:
        return Absent.UNKNOWN
    return liquidation


def _nearer(venue: Reading, own: Reading, exposure: Side) -> Reading:
    """The one nearer to the mark; where only one is a number, that. Either saying that there is none suffices otherwise."""
    if is_value(venue) and is_value(own):
        return max(venue, own) if exposure is Side.LONG else min(venue, own)
    if is_value(venue):
        return venue
    if is_value(own):
        return own
    return Absent.NONE if Absent.NONE in (venue, own) else Absent.UNKNOWN


def _drift(own: Reading, venue: Reading) -> Reading:
    if not is_value(own) or not is_value(venue) or venue <= 0:
        return Absent.UNKNOWN
    return (own - venue) / venue


def _distance(liquidation: Reading, exposure: Side, mark: Decimal) -> Reading:
    return exposure.sign * (mark - liquidation) / mark if is_value(liquidation) else liquidation


def _buffer(liquidation: Reading, exposure: Side, mark: Decimal, entry: Decimal) -> Reading:
    """Share of the way from entry to liquidation that is left; unknown where the entry lies beyond (a hedge leg's may)."""
    if not is_value(liquidation):
        return liquidation
    way = exposure.sign * (entry - liquidation)
    return exposure.sign * (mark - liquidation) / way if way > 0 else Absent.UNKNOWN


def _balance(cut: _Cut, mark: Decimal) -> Reading:
    """The margin balance behind the legs at this mark."""
    if not is_value(cut.balance_apart) or cut.leg is None:
        return Absent.UNKNOWN
    return cut.balance_apart + sum([leg.pnl(mark) for leg in cut.legs], ZERO)


def _margin_ratio(cut: _Cut, number: Number | None, balance: Reading, mark: Decimal) -> Reading:
    if number is None or not is_value(balance):
        return Absent.UNKNOWN
    burden = number.burden_apart + sum([leg.burden(mark, number.basis) for leg in cut.legs], ZERO)
    return _share(burden, balance)


def _amount(burden: Burden | None) -> Reading:
    return burden.amount if burden is not None else Absent.UNKNOWN


def _share(part: Reading, balance: Reading) -> Reading:
    """part ÷ balance; `RATIO_MAX` where the balance is gone, zero where nothing is asked of it."""
    if not is_value(part) or not is_value(balance):
        return Absent.UNKNOWN
    if part <= 0:
        return ZERO
    return min(part / balance, RATIO_MAX) if balance > 0 else RATIO_MAX


def _return_on_margin(leg: Leg | None, pnl: Reading, leverage: Reading) -> Reading:
    """Unrealised PnL ÷ initial margin (notional at entry ÷ leverage)."""
    if leg is None or not is_value(pnl) or not is_value(leverage) or leg.quantity <= 0 or leverage <= 0:
        return Absent.UNKNOWN
    return pnl * leverage / leg.entry_notional
