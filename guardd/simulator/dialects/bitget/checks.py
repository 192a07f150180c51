"""Steps, smallest and largest sizes, with the venue's code for each breach. Bitget reference, 5 and 15.2."""

from decimal import Decimal

from guardd.simulator.contracts import Contract
from guardd.simulator.dialects.bitget.words import number, places
from guardd.simulator.dialects.bitget_common.envelope import VenueError


def check_size(contract: Contract, size: Decimal, *, limit: bool) -> None:
    """Too many decimals 40808, off the step 22038, below the minimum 45111, above the maximum 45112 and 45113."""
    scale = places(contract.step)
    if places(size) > scale:
        raise VenueError("40808", fill=f"size checkBDScale error value={number(size)} checkScale={scale}")
    if size <= 0 or size < contract.min_size:
        raise VenueError("45111", fill=number(contract.min_size))
    if size % contract.step:
        raise VenueError("22038")
    largest = contract.max_limit_size if limit else contract.max_market_size
    if size > largest:
        raise VenueError("45112" if limit else "45113", fill=number(largest))


def check_price(contract: Contract, price: Decimal) -> None:
    """Too many decimals 41103, off the tick 45115."""
    if places(price) > places(contract.tick):
        raise VenueError("41103")
    if price <= 0 or price % contract.tick:
        raise VenueError("45115", fill=number(contract.tick))
