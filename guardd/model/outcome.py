"""What became of a write: accepted, rejected or unknown. There is no fourth, and unknown is not failure (invariant I7)."""

from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct

from guardd.model.names import OrderId


class Reason(StrEnum):
    """Why a write certainly did not happen, in the words of a guard. A dialect's error table maps its codes to these."""

    NOT_SENT = "not_sent"
    """It never left: connection refused, a deadline that passed while waiting for a token."""
    RATE_LIMITED = "rate_limited"
    EDGE_BLOCKED = "edge_blocked"
    BANNED = "banned"
    CLOCK = "clock"
    CREDENTIALS = "credentials"
    PERMISSION = "permission"
    MAINTENANCE = "maintenance"
    VENUE_CLOSING = "venue_closing"
    INSTRUMENT_PAUSED = "instrument_paused"
    INVALID = "invalid"
    """A request of ours that can't be right: never repeated unchanged."""
    PRECISION = "precision"
    SIZE_BOUNDS = "size_bounds"
    SIZE_ABOVE_POSITION = "size_above_position"
    """More than the position holds, or than resting closes leave free."""
    POSITION_GONE = "position_gone"
    POSITION_LIQUIDATING = "position_liquidating"
    WOULD_LIQUIDATE = "would_liquidate"
    BALANCE = "balance"
    LEVERAGE_CONFLICT = "leverage_conflict"
    TRIGGER_TOO_FAR = "trigger_too_far"
    TRIGGER_PASSED = "trigger_passed"
    TOO_MANY_PLAN_ORDERS = "too_many_plan_orders"
    PROTECTION_EXISTS = "protection_exists"
    ORDER_GONE = "order_gone"
    DUPLICATE_CLIENT_ID = "duplicate_client_id"
    """The earlier send arrived: look it up and adopt it."""
    UNSUPPORTED = "unsupported"
    OTHER = "other"


class Accepted(Struct, frozen=True, kw_only=True):
    """The venue took it. Not the same as done: it is verified by reading back."""

    order_id: OrderId | None
    sent_ns: int
    """Monotonic ns at which the request's last byte was handed to the socket."""


class Rejected(Struct, frozen=True, kw_only=True):
    """It certainly did not happen. `code` and `text` are the venue's own, for people and the journal."""

    reason: Reason
    code: str
    text: str
    retry_after_s: float | None = None


class Unknown(Struct, frozen=True, kw_only=True):
    """It may or may not have happened: nothing is repeated before an authoritative read."""

    why: str


Outcome: TypeAlias = Accepted | Rejected | Unknown
