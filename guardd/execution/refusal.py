"""Why something may not be carried out: the words of `guardd.execution.approve`."""

from enum import StrEnum
from typing import Final

from msgspec import Struct

from guardd.model.instant import Instant
from guardd.model.intent import Action
from guardd.model.names import PositionKey, RuleName


class RefusalKind(StrEnum):
    OBSERVING = "observing"
    HALTED = "halted"
    PARKED = "parked"
    EPISODE_OVER = "episode_over"
    IN_FLIGHT = "in_flight"
    """Something that it must not run beside is unfinished: it will be judged anew when that has come back."""
    TOO_EARLY = "too_early"
    """The retry schedule holds it back until `retry_at`."""
    LIMIT = "limit"
    BREAKER = "breaker"
    TOO_SMALL = "too_small"
    """No size that the venue would take; a position that is all dust is `unprotectable`."""
    MISPLACED = "misplaced"
    """A trigger that isn't between the liquidation price and the mark, or no mark to know it by (I4)."""
    RATCHET = "ratchet"
    UNCONFIRMED = "unconfirmed"
    """It would end an order before what stands in its place is confirmed, or on a position that a read has just lost (I3, I6)."""
    NOT_OURS = "not_ours"
    WORSENS = "worsens"
    UNKNOWN_INSTRUMENT = "unknown_instrument"
    UNGUARDED = "unguarded"
    """Its contract is one that guardd sends nothing for."""
    BALANCE = "balance"
    """More than is free, or it isn't known what is (I16)."""
    UNABLE = "unable"
    """The venue can't, or not for this position: no such call, another margin mode, its own auto-margin, another coin."""
    CROSS_CHECK = "cross_check"
    """The account was not cross-checked, or its figures contradict each other, before its first reducing write (I29)."""


QUIET: Final = frozenset({RefusalKind.IN_FLIGHT, RefusalKind.TOO_EARLY, RefusalKind.UNCONFIRMED})
"""Refusals that pass by themselves: nothing to tell anybody."""


class Refusal(Struct, frozen=True, kw_only=True):
    """It may not be carried out, and why."""

    key: PositionKey
    rule: RuleName
    action: Action
    kind: RefusalKind
    why: str
    retry_at: Instant | None = None


class No(Struct, frozen=True, kw_only=True):
    """A check that failed."""

    kind: RefusalKind
    why: str
    retry_at: Instant | None = None
