"""What an order that closed something came to: how much, at which price, and what that realised."""

from decimal import Decimal

from msgspec import Struct

from guardd.model.instrument import Instrument
from guardd.model.names import ClientId, EpisodeId, OrderId, PositionKey, Side


class Fill(Struct, frozen=True, kw_only=True):
    """One closing order's end. `client_id`: its own, where it has one; `plan_order_id`: the plan order that gave birth to it.

    `realized_pnl` is (price − entry) × size in the position's favour, in `currency`, before fees and funding; None where the entry
    or the contract isn't known.
    """

    key: PositionKey
    episode: EpisodeId
    order_id: OrderId
    client_id: ClientId | None
    plan_order_id: OrderId | None
    how: str
    """`filled`, or the forced end that the venue told: `liquidation`, `adl`."""
    size: Decimal
    price: Decimal
    entry_price: Decimal | None
    realized_pnl: Decimal | None
    currency: str | None


def realized_pnl(instrument: Instrument, side: Side, *, size: Decimal, entry: Decimal, price: Decimal) -> Decimal:
    """What closing `size` contracts at `price` wins or loses against `entry`, in the settlement coin; fees apart."""
    lean = -side.sign if instrument.inverse else side.sign
    return lean * (instrument.notional(size, price) - instrument.notional(size, entry))
