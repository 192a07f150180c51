"""A position as it would be with more behind it: what a margin addition, a top-up or a lower leverage would change."""

from decimal import Decimal

from msgspec.structs import replace

from guardd.model.instrument import Instrument
from guardd.model.position import Position
from guardd.model.reading import Absent, Reading, is_value
from guardd.risk.ground import Ground, solve


def with_more_behind(on: Ground, amount: Decimal) -> Ground:
    """As if `amount` more stood behind the position (isolated: its margin; cross: the account's balance).

    The venue's own liquidation price is moved by as much as ours moves: the venue gives it for the present margin only.
    """
    if not is_value(on.balance_apart):
        return on
    balance = on.balance_apart + amount
    legs = [on.leg, *on.partners] if on.leg is not None else []
    near, closing = solve(legs, balance, on.near), solve(legs, balance, on.closing)
    moved = _moved(on.position.liquidation_price, on.near_liquidation, near)
    return replace(
        on,
        position=replace(on.position, liquidation_price=moved),
        balance_apart=balance,
        near_liquidation=near,
        closing_liquidation=closing,
    )


def margin_for_leverage(on: Ground, leverage: Decimal) -> Reading:
    """The initial margin that `leverage` asks for beyond that of the present one."""
    return Absent.UNKNOWN if on.leg is None else initial_margin_beyond(on.position, on.leg.instrument, leverage)


def initial_margin_beyond(position: Position, instrument: Instrument, leverage: Decimal) -> Reading:
    """The same of a position: its notional at entry by the one leverage and by the other, as venues reckon it."""
    now = position.leverage
    if not is_value(now) or now <= 0:
        return Absent.UNKNOWN
    cost = instrument.notional(position.quantity, position.entry_price)
    return cost / leverage - cost / now


def _moved(venue: Reading, before: Reading, after: Reading) -> Reading:
    if not is_value(venue) or venue <= 0:
        return venue
    if not is_value(before) or not is_value(after):
        return after if after is Absent.NONE else Absent.UNKNOWN
    moved = venue + after - before
    return moved if moved > 0 else Absent.NONE
