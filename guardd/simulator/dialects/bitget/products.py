"""Product types and their margin coins, and the one Coin-M contract that is listed but not traded here."""

from enum import StrEnum

from msgspec import Struct

from guardd.simulator.contracts import Contract


class Product(StrEnum):
    USDT = "USDT-FUTURES"
    USDC = "USDC-FUTURES"
    COIN = "COIN-FUTURES"


COINS = {Product.USDT: "USDT", Product.USDC: "USDC"}
_PRODUCTS = {coin: product for product, coin in COINS.items()}
COIN_SYMBOL = "BTCUSD"
COIN_MARGIN = "BTC"
COIN_TWIN = "BTCUSDT"  # whose prices the Coin-M contract shows


class CoinPosition(Struct, frozen=True, kw_only=True):
    """A position in the Coin-M contract as a test plants it: it stands still, whatever prices do. Figures in BTC."""

    side: str = "long"
    total: str = "0.5"
    margin_size: str = "0.05"
    leverage: str = "10"
    open_price: str = "90000"
    mark_price: str = "90000"
    liquidation_price: str = "60000"
    margin_mode: str = "isolated"


def product_of(contract: Contract) -> Product:
    """Contracts are listed by their margin coin."""
    return _PRODUCTS[contract.coin]
