"""Coin-M as it is seen from outside: listed contracts and planted positions that nothing here can trade.

Orders there are in the quote coin, the new line takes no strategy orders (UTA reference, 0 fact 10, 16.7, 16.8): a client
must show such a position and leave it alone. Every write to one of these symbols is refused.
"""

from decimal import Decimal

from msgspec import Struct

from guardd.simulator.orders import MarginMode, PositionSide


class CoinContract(Struct, frozen=True, kw_only=True):
    """One inverse perpetual; `twin` is the linear contract whose prices it shows."""

    symbol: str
    base: str
    twin: str
    tick: Decimal
    max_leverage: Decimal


class CoinPosition(Struct, frozen=True, kw_only=True):
    """A planted position: its figures stand still. `size` as the venue prints it (base coin), money in the base coin."""

    symbol: str
    side: PositionSide
    size: Decimal
    entry: Decimal
    leverage: Decimal = Decimal(10)
    margin_mode: MarginMode = MarginMode.CROSS
    margin: Decimal = Decimal("0.01")
    unrealized: Decimal = Decimal(0)
    liquidation: Decimal | None = None
    opened_ms: int = 0


def _contract(symbol: str, base: str, tick: str) -> CoinContract:
    return CoinContract(symbol=symbol, base=base, twin=f"{base}USDT", tick=Decimal(tick), max_leverage=Decimal(125))


COIN_CONTRACTS: dict[str, CoinContract] = {
    each.symbol: each
    for each in (
        _contract("BTCUSD_CM", "BTC", "0.1"),
        _contract("ETHUSD_CM", "ETH", "0.01"),
        _contract("BTCUSD", "BTC", "0.1"),
    )
}
