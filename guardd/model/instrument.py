"""A contract as the venue lists it: units, steps, bounds and margin tiers.

Linear contracts settle in their quote coin; inverse (coin-margined) ones are worth a fixed amount of it and settle in their base.
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final

from msgspec import Struct

from guardd.model.instant import MS_PER_S
from guardd.model.names import Symbol

HOUR_S: Final = 3_600


class MarginTier(Struct, frozen=True, kw_only=True):
    """One row of the maintenance margin table: for `floor` <= notional < `cap`, maintenance = notional * rate - deduction."""

    floor: Decimal
    cap: Decimal
    rate: Decimal
    deduction: Decimal
    max_leverage: Decimal


class Instrument(Struct, frozen=True, kw_only=True):
    """Sizes are in contracts, prices in the quote coin. `contract_size` is base coin per contract, quote coin of an inverse one.

    Money, that of the tiers included, is in the settlement coin.
    """

    symbol: Symbol
    base: str
    settle: str
    contract_size: Decimal
    tick: Decimal
    step: Decimal
    min_size: Decimal
    max_limit_size: Decimal
    max_market_size: Decimal
    max_leverage: Decimal
    taker_fee: Decimal
    tiers: tuple[MarginTier, ...] = ()
    tradable: bool = True
    unguarded: str = ""
    """Why guardd sends nothing for it; empty: it is guarded. Its units may be unlike those of linear contracts."""
    inverse: bool = False
    """Coin-margined: `contract_size` is worth a fixed amount of the quote coin."""

    funding_every_s: int | None = None
    """None: the venue doesn't say."""
    funding_at_ms: int | None = None
    """One settlement (the venue's time); None: they are counted from 00:00 UTC."""

    def settles_within(self, after_ms: int, until_ms: int) -> bool:
        """Whether funding is settled after the one moment and no later than the other (the venue's time).

        Where the venue doesn't say how often, at every full hour: none settles more often (Bitget reference, 6.6).
        """
        every_ms, at_ms = (self.funding_every_s or HOUR_S) * MS_PER_S, self.funding_at_ms or 0
        return (until_ms - at_ms) // every_ms > (after_ms - at_ms) // every_ms

    def notional(self, size: Decimal, price: Decimal) -> Decimal:
        """Value of `size` contracts at `price`, in the settlement coin."""
        worth = size * self.contract_size
        return worth / price if self.inverse else worth * price

    def price_down(self, price: Decimal) -> Decimal:
        """The nearest price on tick that is not above `price`."""
        return _on_grid(price, self.tick, ROUND_FLOOR)

    def price_up(self, price: Decimal) -> Decimal:
        """The nearest price on tick that is not below `price`."""
        return _on_grid(price, self.tick, ROUND_CEILING)

    def size_down(self, size: Decimal) -> Decimal:
        """The largest size on step that is not above `size`."""
        return _on_grid(size, self.step, ROUND_FLOOR)

    def size_up(self, size: Decimal) -> Decimal:
        """The smallest size on step that is not below `size`."""
        return _on_grid(size, self.step, ROUND_CEILING)


def _on_grid(value: Decimal, grid: Decimal, rounding: str) -> Decimal:
    return (value / grid).to_integral_value(rounding=rounding) * grid
