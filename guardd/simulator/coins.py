"""Coins that money is kept in: what one is worth in USD, and how much of that stands behind a pooled account's risk."""

from collections.abc import Iterable
from decimal import Decimal
from itertools import pairwise

from msgspec import Struct

DEFAULT_COIN = "USDT"
POOL_COIN = "USD"  # the unit of a pool's sums

ZERO = Decimal(0)


class Haircut(Struct, frozen=True, kw_only=True):
    """From this value in USD on, this share of what is above it counts as collateral."""

    from_usd: Decimal
    ratio: Decimal


class Coin(Struct, frozen=True, kw_only=True):
    """One coin. It is worth `price` USD, or, where that is None, the mark of the contract `follows`.

    The first haircut begins at zero and ratios never rise: the more of one coin, the less of it counts (UTA reference,
    6.4). A contract that settles in a coin must not be the one whose mark the coin follows.
    """

    name: str
    price: Decimal | None = None
    follows: str = ""
    haircuts: tuple[Haircut, ...] = (Haircut(from_usd=ZERO, ratio=Decimal(1)),)

    def __post_init__(self) -> None:
        floors = [each.from_usd for each in self.haircuts]
        if floors[:1] != [ZERO] or any(later <= earlier for earlier, later in pairwise(floors)):
            raise ValueError(f"{self.name}: haircuts from {floors}, expected rising values that begin at 0")
        ratios = [each.ratio for each in self.haircuts]
        if any(later > earlier for earlier, later in pairwise(ratios)) or not 0 <= ratios[-1] <= ratios[0] <= 1:
            raise ValueError(f"{self.name}: ratios {ratios}, expected falling values from 0 to 1")

    def collateral(self, usd: Decimal) -> Decimal:
        """What a value counts; a debt counts in full."""
        constant, ratio = self.bracket(usd)
        return constant + ratio * usd

    def bracket(self, usd: Decimal) -> tuple[Decimal, Decimal]:
        """(constant, ratio) of the straight line that `collateral` is around this value."""
        if usd <= 0:
            return ZERO, Decimal(1)
        constant, last = ZERO, ZERO
        for each in self.haircuts:
            if usd <= each.from_usd:
                break
            constant += (last - each.ratio) * each.from_usd
            last = each.ratio
        return constant, last


def default_coins() -> tuple[Coin, ...]:
    """Stablecoins at par, and two coins that count less than they are worth."""
    return (
        Coin(name="USDT", price=Decimal(1)),
        Coin(name="USDC", price=Decimal(1)),
        Coin(name="BTC", follows="BTCUSDT", haircuts=haircuts([("0", "0.95"), ("2000000", "0.9"), ("5000000", "0.8")])),
        Coin(name="ETH", follows="ETHUSDT", haircuts=haircuts([("0", "0.95"), ("1000000", "0.9"), ("3000000", "0.8")])),
    )


def haircuts(rows: Iterable[tuple[str, str]]) -> tuple[Haircut, ...]:
    """Haircuts from (value in USD, ratio)."""
    return tuple(Haircut(from_usd=Decimal(floor), ratio=Decimal(ratio)) for floor, ratio in rows)
