"""What the daemon's adapter and the operator's share of one classic account: its memory and its reads, put together."""

from guardd.errors import ConfigurationError
from guardd.venues.bitget.api import Api
from guardd.venues.bitget.classic.known import Known
from guardd.venues.bitget.classic.listings import Listings
from guardd.venues.bitget.classic.parse.words import Product
from guardd.venues.bitget.classic.reads import Reads
from guardd.venues.bitget.connection import Access


class Parts:
    """Raises `ConfigurationError` for product types that aren't Bitget's."""

    def __init__(self, access: Access, api: Api) -> None:
        self.products = _products(access.product_types)
        self.known = Known()
        self.listings = Listings(
            api=api, clock=access.clock, known=self.known, products=self.products, tell=access.tell
        )
        self.reads = Reads(
            api=api,
            account=access.account,
            clock=access.clock,
            known=self.known,
            listings=self.listings,
            products=self.products,
            tell=access.tell,
        )


def _products(names: tuple[str, ...]) -> tuple[Product, ...]:
    known = [each.value for each in Product]
    for name in names:
        if name not in known:
            raise ConfigurationError(f"product_types: found {name!r}, expected some of {', '.join(known)}")
    products = tuple(dict.fromkeys(Product(name) for name in names))
    if not any(product.linear for product in products):
        raise ConfigurationError("product_types: found no linear one, expected USDT-FUTURES or USDC-FUTURES among them")
    return products
