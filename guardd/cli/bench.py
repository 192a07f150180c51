"""What a policy is judged on before any venue was asked: the accounts of the settings, with what their venues can."""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Final, assert_never

import typer

from guardd.config import Settings, Venue
from guardd.model.capabilities import Capabilities
from guardd.policy.check import LEVERAGES, Bench, Subject
from guardd.venues.bitget.classic.venue import capabilities as bitget_classic
from guardd.venues.bitget.unified.venue import CAPABILITIES as BITGET_UNIFIED
from guardd.venues.bitmart.venue import CAPABILITIES as BITMART

LEVERAGE_MAX: Final = 500


def bench(settings: Settings | None, leverages: Sequence[Decimal] = LEVERAGES) -> Bench:
    """Judged for the accounts of these settings; None: for whichever a rule is about."""
    subjects = (
        Subject(account=account.name, venue=account.venue.value, families=_families(account.venue))
        for account in (() if settings is None else settings.accounts)
    )
    return Bench(leverages=tuple(leverages), subjects=tuple(subjects))


def leverages_in(text: str | None) -> tuple[Decimal, ...]:
    """`5,20,50` as it stands on the command line. A mistake is one of usage (exit 2)."""
    if text is None:
        return LEVERAGES
    try:
        found = [Decimal(word.strip().rstrip("xX×")) for word in text.split(",")]
    except InvalidOperation:
        found = []
    if not found or not all(each.is_finite() and 1 <= each <= LEVERAGE_MAX for each in found):
        raise typer.BadParameter(f"found {text!r}, expected leverages such as 5,20,50", param_hint="--leverage")
    return tuple(sorted(set(found)))


def _families(venue: Venue) -> tuple[tuple[str, Capabilities], ...]:
    """By the kinds of account that the venue has: which one an account is of is known only once it was asked."""
    match venue:
        case Venue.BITMART:
            return (("", BITMART),)
        case Venue.BITGET:
            return (("classic", bitget_classic(hedge=True)), ("unified", BITGET_UNIFIED))
        case _:
            assert_never(venue)
