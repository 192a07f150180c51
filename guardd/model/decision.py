"""What the policy wants done about a position, before anybody has checked that it may be done.

Protection is a wish about a state (these orders shall rest); de-leveraging is a wish about a step. `execution` turns both
into intents.
"""

from decimal import Decimal
from enum import StrEnum
from typing import Final, TypeAlias

from msgspec import Struct

from guardd.model.names import EpisodeId, PositionKey, PriceType, RuleName, Severity
from guardd.model.order import ProtectionKind

_FINISH: Final = "/finish"


class IfPassed(StrEnum):
    """What to do when a stop's trigger is already through the mark (interfaces.md 2.4)."""

    NEXT = "next"
    CLOSE = "close"
    ALERT = "alert"


class OnUnprotected(StrEnum):
    """What to do when a position stays without a stop for 60 s."""

    CLOSE = "close"
    ALERT = "alert"


class WantedOrder(Struct, frozen=True, kw_only=True):
    """One protective order that shall rest. `trigger_price` is on tick, rounded towards the mark.

    `size` None: the whole position. `tranche` numbers the orders of one rule and kind.
    """

    kind: ProtectionKind
    rule: RuleName
    tranche: int
    trigger_price: Decimal
    price_type: PriceType
    size: Decimal | None
    on_unprotected: OnUnprotected

    @property
    def slot(self) -> RuleName:
        return slot_name(self.rule, self.kind, self.tranche)


def slot_name(rule: RuleName, kind: ProtectionKind, tranche: int) -> RuleName:
    """What counts the steps of one protective order: so that no other action of the rule shares its cooldown or its client ids."""
    return RuleName(f"{rule}/{kind}/{tranche}")


def finish_name(slot: RuleName) -> RuleName:
    """Under which name the guard itself closes what one tranche should have closed."""
    return RuleName(f"{slot}{_FINISH}")


def finished_slot(name: RuleName) -> RuleName | None:
    """The slot of a name that `finish_name` made; None for any other."""
    return RuleName(name.removesuffix(_FINISH)) if name.endswith(_FINISH) else None


class Protect(Struct, frozen=True, kw_only=True):
    """The protection that shall rest on one position: all of it, each time. An empty tuple asks for none."""

    key: PositionKey
    episode: EpisodeId
    wanted: tuple[WantedOrder, ...]
    impossible: tuple[str, ...] = ()
    """Why a rule's stop can't be placed (its trigger passed, no number to compute it from): told as unprotected."""


class Reduce(Struct, frozen=True, kw_only=True):
    """Close `size` contracts of the position at market; `size` is on step and not above the quantity."""

    key: PositionKey
    episode: EpisodeId
    rule: RuleName
    size: Decimal
    reason: str
    inputs: tuple[tuple[str, str], ...] = ()
    blind: bool = False
    """Decided on the last values, as its rule says it may be (`when_blind: act`): no read is waited for."""


class Close(Struct, frozen=True, kw_only=True):
    """Close the whole position at market, and go on until it is flat."""

    key: PositionKey
    episode: EpisodeId
    rule: RuleName
    reason: str
    inputs: tuple[tuple[str, str], ...] = ()
    blind: bool = False
    """As for `Reduce`."""


class LowerLeverage(Struct, frozen=True, kw_only=True):
    """Set the position's leverage to `leverage`, which is below the present one."""

    key: PositionKey
    episode: EpisodeId
    rule: RuleName
    leverage: Decimal
    reason: str
    inputs: tuple[tuple[str, str], ...] = ()


class AddMargin(Struct, frozen=True, kw_only=True):
    """Put `amount` of `currency` from the free balance behind an isolated position."""

    key: PositionKey
    episode: EpisodeId
    rule: RuleName
    amount: Decimal
    currency: str
    reason: str
    inputs: tuple[tuple[str, str], ...] = ()


class TopUp(Struct, frozen=True, kw_only=True):
    """Move `amount` of `currency` from the spot wallet to what stands behind the cross positions."""

    key: PositionKey
    episode: EpisodeId
    rule: RuleName
    amount: Decimal
    currency: str
    reason: str
    inputs: tuple[tuple[str, str], ...] = ()


class CancelEntries(Struct, frozen=True, kw_only=True):
    """Cancel the resting orders that would enlarge this position."""

    key: PositionKey
    episode: EpisodeId
    rule: RuleName
    reason: str
    whole_account: bool = False
    """All cross instruments of the account, not only this position's (an account-wide condition asked)."""


class Tell(Struct, frozen=True, kw_only=True):
    """Say something to people."""

    key: PositionKey | None
    rule: RuleName
    severity: Severity
    text: str
    not_done: bool = False
    """It says why something that a rule asks for isn't done: part of the story of what is done instead."""


Lever: TypeAlias = LowerLeverage | AddMargin | TopUp
"""A step that puts more behind a position instead of making it smaller."""
Decision: TypeAlias = Protect | Reduce | Close | Lever | CancelEntries | Tell
