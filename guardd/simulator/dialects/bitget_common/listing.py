"""What is traded at this venue: contracts of both margin coins, counted in the base coin, and starting prices.

Sizes are in the base coin (Bitget reference, 0): a contract's size is 1, its steps are fractions. Steps, limits and tiers are
those of the samples where they print them, otherwise plausible.
"""

from collections.abc import Sequence
from decimal import Decimal

from guardd.simulator.contracts import MAKER_FEE, TAKER_FEE, Contract, Tier, build_tiers
from guardd.simulator.terms import LeverageChange, RestingCloses, Terms

_BTC = build_tiers(
    [
        ("50000", "0.004", 125),
        ("200000", "0.005", 100),
        ("1000000", "0.01", 50),
        ("5000000", "0.025", 20),
        ("20000000", "0.05", 10),
        ("100000000", "0.1", 5),
        ("300000000", "0.25", 2),
        ("600000000", "0.5", 1),
    ]
)
_ETH = build_tiers(
    [
        ("100000", "0.005", 100),
        ("500000", "0.01", 50),
        ("2000000", "0.025", 20),
        ("10000000", "0.05", 10),
        ("50000000", "0.1", 5),
        ("200000000", "0.5", 1),
    ]
)
_ALT = build_tiers(
    [
        ("10000", "0.01", 50),
        ("100000", "0.02", 25),
        ("400000", "0.03125", 16),
        ("1100000", "0.0625", 8),
        ("1600000", "0.1", 5),
        ("5000000", "0.25", 2),
        ("10000000", "0.5", 1),
    ]
)


def bitget_contracts() -> tuple[Contract, ...]:
    """USDT-M and USDC-M perpetuals; the latter's symbols end in PERP."""
    return (
        _perpetual("BTCUSDT", "BTC", "USDT", tick="0.1", step="0.0001", limit="1200", market="220", tiers=_BTC),
        _perpetual("ETHUSDT", "ETH", "USDT", tick="0.01", step="0.01", limit="9000", market="2200", tiers=_ETH),
        _perpetual("SOLUSDT", "SOL", "USDT", tick="0.001", step="0.1", limit="80000", market="20000", tiers=_ALT),
        _perpetual("DOGEUSDT", "DOGE", "USDT", tick="0.00001", step="1", limit="9000000", market="4000000", tiers=_ALT),
        _perpetual("PEPEUSDT", "PEPE", "USDT", tick="0.00000001", step="1", limit="5000000000", market="900000000", tiers=_ALT),
        _perpetual("BTCPERP", "BTC", "USDC", tick="0.5", step="0.0001", limit="400", market="80", tiers=_BTC),
        _perpetual("ETHPERP", "ETH", "USDC", tick="0.01", step="0.01", limit="4000", market="900", tiers=_ETH),
    )  # fmt: skip


def bitget_prices() -> dict[str, Decimal]:
    """A plausible starting price of each contract."""
    return {
        "BTCUSDT": Decimal("90000"),
        "ETHUSDT": Decimal("3200"),
        "SOLUSDT": Decimal("180"),
        "DOGEUSDT": Decimal("0.2"),
        "PEPEUSDT": Decimal("0.00001234"),
        "BTCPERP": Decimal("90000"),
        "ETHPERP": Decimal("3200"),
    }


def bitget_terms() -> Terms:
    """Of a classic account: what the reference tells of margin and of the exchange's own doings at 100 % (10).

    In cross the larger side of a hedge counts, hedges are set off first, then positions step down two tiers at a time;
    leverage may change with a position open (7.3), one-way closes displace resting ones (11.2), sized TP/SL share the
    position (12.2).
    """
    return Terms(
        larger_side_counts=True,
        cross_margin_at_mark=True,
        net_hedges_first=True,
        partial_liquidation=True,
        partial_isolated=False,
        partial_tiers=2,
        liquidation_cancels_all=True,
        leverage_change=LeverageChange.ANY,
        raising_releases_margin=False,
        one_way_closes=RestingCloses.DISPLACE,
        sized_plans_share=True,
    )


def _perpetual(
    symbol: str, base: str, coin: str, *, tick: str, step: str, limit: str, market: str, tiers: Sequence[Tier]
) -> Contract:
    return Contract(
        symbol=symbol,
        base=base,
        quote=coin,
        settle=coin,
        group=f"{coin}-FUTURES",
        min_notional=Decimal(5),
        contract_size=Decimal(1),
        tick=Decimal(tick),
        step=Decimal(step),
        min_size=Decimal(step),
        max_limit_size=Decimal(limit),
        max_market_size=Decimal(market),
        max_leverage=tiers[0].max_leverage,
        taker_fee=TAKER_FEE,
        maker_fee=MAKER_FEE,
        tiers=tuple(tiers),
    )
