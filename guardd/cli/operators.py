"""Which venue's operator takes an account's single steps. The daemon's wiring knows none of them (I30)."""

from typing import assert_never

from guardd.config import AccountSettings, Secrets, Settings, Venue
from guardd.daemon.wiring import World, bitget_access, bitmart_access
from guardd.model.facts import Listener
from guardd.venues.base import OperatorVenue
from guardd.venues.bitget.operator import BitgetOperator
from guardd.venues.bitmart.operator import BitmartOperator


def operator_of(
    account: AccountSettings, settings: Settings, secrets: Secrets, world: World, listener: Listener
) -> OperatorVenue:
    """Raises `CredentialsError` or `ConfigurationError` before anything is asked of the venue."""
    match account.venue:
        case Venue.BITMART:
            return BitmartOperator(bitmart_access(account, settings, secrets, world, listener))
        case Venue.BITGET:
            return BitgetOperator(bitget_access(account, settings, secrets, world, listener))
        case _:
            assert_never(account.venue)
