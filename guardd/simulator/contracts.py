"""What can be traded: contracts, their margin tiers, and ready sets of both.

Quantities are counted in contracts; `contract_size` converts them to the base coin. A venue that counts in coins is a
contract of size 1 with a fractional step. All prices and money are in the quote coin.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from enum import StrEnum
from random import Random

from msgspec import Struct
from msgspec.structs import replace

TAKER_FEE = Decimal("0.0006")
MAKER_FEE = Decimal("0.0002")


class ContractStatus(StrEnum):
    TRADING = "trading"
    PAUSED = "paused"
    DELISTED = "delisted"


class Tier(Struct, frozen=True, kw_only=True):
    """One margin tier. Maintenance margin of a notional n in it is n × rate − deduction; n in (floor, cap]."""

    number: int
    floor: Decimal
    cap: Decimal
    rate: Decimal
    deduction: Decimal
    max_leverage: Decimal


class Contract(Struct, frozen=True, kw_only=True):
    """One linear perpetual. Sizes in contracts, prices and notionals in the quote coin, fees as fractions.

    `settle` is the margin coin ("": the quote coin); `group` names the product line, where the position mode is set for
    each line apart; `min_notional` is the smallest value of an order.
    """

    symbol: str
    base: str
    quote: str
    contract_size: Decimal
    tick: Decimal
    step: Decimal
    min_size: Decimal
    max_limit_size: Decimal
    max_market_size: Decimal
    max_leverage: Decimal
    taker_fee: Decimal
    maker_fee: Decimal
    tiers: tuple[Tier, ...]
    settle: str = ""
    group: str = ""
    min_notional: Decimal = Decimal(0)

    @property
    def coin(self) -> str:
        """The coin in which margin, profit and fees are kept."""
        return self.settle or self.quote

    def tier(self, notional: Decimal) -> Tier:
        """The tier that holds this notional; above the last cap the last one."""
        for tier in self.tiers:
            if notional <= tier.cap:
                return tier
        return self.tiers[-1]

    def maintenance(self, notional: Decimal) -> Decimal:
        """Maintenance margin of this notional, in the quote coin."""
        tier = self.tier(notional)
        return notional * tier.rate - tier.deduction

    def max_notional(self, leverage: Decimal) -> Decimal:
        """The largest notional that may be held at this leverage."""
        caps = [tier.cap for tier in self.tiers if tier.max_leverage >= leverage]
        return caps[-1] if caps else Decimal(0)


def build_tiers(rows: Iterable[tuple[str, str, int]]) -> tuple[Tier, ...]:
    """Tiers from (cap, rate, max_leverage), with deductions that make maintenance margin continuous.

    deduction[n] = deduction[n-1] + floor[n] × (rate[n] − rate[n-1]), the law that published brackets obey.
    """
    tiers: list[Tier] = []
    floor, deduction, last_rate = Decimal(0), Decimal(0), Decimal(0)
    for number, (cap, rate_text, max_leverage) in enumerate(rows, start=1):
        rate = Decimal(rate_text)
        if number > 1:
            deduction += floor * (rate - last_rate)
        tiers.append(
            Tier(
                number=number,
                floor=floor,
                cap=Decimal(cap),
                rate=rate,
                deduction=deduction,
                max_leverage=Decimal(max_leverage),
            )
        )
        floor, last_rate = Decimal(cap), rate
    return tuple(tiers)


_MAJOR = build_tiers(
    [
        ("500000", "0.005", 100),
        ("2000000", "0.01", 50),
        ("5000000", "0.025", 20),
        ("20000000", "0.05", 10),
        ("50000000", "0.1", 5),
        ("200000000", "0.25", 2),
        ("500000000", "0.5", 1),
    ]
)
_ALT = build_tiers(
    [
        ("10000", "0.01", 50),
        ("100000", "0.02", 25),
        ("200000", "0.025", 20),
        ("400000", "0.03125", 16),
        ("700000", "0.05", 10),
        ("1100000", "0.0625", 8),
        ("1600000", "0.1", 5),
        ("5000000", "0.25", 2),
        ("10000000", "0.5", 1),
    ]
)


def linear(
    base: str, contract_size: str, tick: str, max_limit: int, max_market: int, tiers: Sequence[Tier]
) -> Contract:
    """A USDT-margined perpetual with whole contracts and the regular fees."""
    return Contract(
        symbol=f"{base}USDT",
        base=base,
        quote="USDT",
        contract_size=Decimal(contract_size),
        tick=Decimal(tick),
        step=Decimal(1),
        min_size=Decimal(1),
        max_limit_size=Decimal(max_limit),
        max_market_size=Decimal(max_market),
        max_leverage=tiers[0].max_leverage,
        taker_fee=TAKER_FEE,
        maker_fee=MAKER_FEE,
        tiers=tuple(tiers),
    )


def default_contracts() -> tuple[Contract, ...]:
    """Five contracts that between them show every shape: tiny and huge multipliers, coarse and fine ticks."""
    return (
        linear("BTC", "0.001", "0.1", 500_000, 200_000, _MAJOR),
        linear("ETH", "0.001", "0.01", 5_000_000, 2_000_000, _MAJOR),
        linear("SOL", "0.1", "0.01", 500_000, 100_000, _ALT),
        linear("DOGE", "10", "0.00001", 2_000_000, 400_000, _ALT),
        linear("ASTEROIDETH", "10000", "0.00000001", 1_000_000, 100_000, _ALT),
    )


def default_prices() -> dict[str, Decimal]:
    """A plausible starting price of each default contract."""
    return {
        "BTCUSDT": Decimal("90000"),
        "ETHUSDT": Decimal("3200"),
        "SOLUSDT": Decimal("180"),
        "DOGEUSDT": Decimal("0.2"),
        "ASTEROIDETHUSDT": Decimal("0.00042"),
    }


def synthetic_contracts(count: int, *, seed: int) -> tuple[Contract, ...]:
    """`count` made-up contracts (SYN000USDT …) for load: alt tiers, multipliers from 0.001 to 1000."""
    rng = Random(seed)  # noqa: S311 - a reproducible choice, not a secret
    sizes = ("0.001", "0.01", "0.1", "1", "10", "100", "1000")
    template = linear("SYN", "1", "0.001", 1_000_000, 100_000, _ALT)
    return tuple(
        replace(
            template,
            symbol=f"SYN{number:03d}USDT",
            base=f"SYN{number:03d}",
            contract_size=Decimal(rng.choice(sizes)),
        )
        for number in range(count)
    )
