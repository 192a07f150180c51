"""What we mean to do: a write, why, and how far it has come.

The law of an intent's life, written as a table (`NEXT`): it is durable before it is sent (I20); once sent it is accepted,
rejected or unknown; unknown is only left by evidence (I7); accepted is only left by reading back.
"""

import base64
import hashlib
from decimal import Decimal
from enum import StrEnum
from typing import Final, TypeAlias

from msgspec import Struct

from guardd.model.instant import Instant
from guardd.model.names import (
    AccountName,
    ClientId,
    EpisodeId,
    MarginMode,
    OrderId,
    PositionKey,
    PriceType,
    RuleName,
)
from guardd.model.order import Direction, PlanForm, ProtectionKind

CLIENT_ID_PREFIX: Final = "gd1"
_CLIENT_ID_HASH_LETTERS: Final = 26  # 130 bits of SHA-256 in base32; 29 characters with the prefix, the venue takes 32


class CloseAtMarket(Struct, frozen=True, kw_only=True):
    """A market, reduce-only order for `size` contracts of a position. A large close goes out as several, one slice each."""

    key: PositionKey
    size: Decimal
    limit_price: Decimal | None = None
    """None: market. A price: immediate-or-cancel at that price, for when the venue refuses market orders."""


class PlaceProtection(Struct, frozen=True, kw_only=True):
    """A resting close-only plan order. `size` None: the whole position (form WHOLE only)."""

    key: PositionKey
    kind: ProtectionKind
    form: PlanForm
    trigger_price: Decimal
    price_type: PriceType
    size: Decimal | None
    position_size: Decimal
    """Contracts held when it was decided; a dialect whose plain plan order needs a size takes this."""
    leverage: Decimal | None
    margin_mode: MarginMode


class ModifyProtection(Struct, frozen=True, kw_only=True):
    """Moves a resting plan order of ours to another trigger without ending it."""

    key: PositionKey
    order_id: OrderId
    kind: ProtectionKind
    form: PlanForm
    trigger_price: Decimal
    price_type: PriceType
    size: Decimal | None


INPUT_RESTORES: Final = "restores"
"""Input of a protective intent that puts back what somebody took away or loosened by hand."""


class CancelKind(StrEnum):
    RESTING = "resting"
    PLAN = "plan"
    TRAILING = "trailing"


class CancelOrder(Struct, frozen=True, kw_only=True):
    """Ends one order, always by its id (I30)."""

    key: PositionKey
    order_id: OrderId
    kind: CancelKind


class SetLeverage(Struct, frozen=True, kw_only=True):
    """Changes the leverage of an instrument; the daemon only lowers it (I17)."""

    key: PositionKey
    margin_mode: MarginMode
    leverage: Decimal


class AddMargin(Struct, frozen=True, kw_only=True):
    """Puts `amount` of the free balance behind an isolated position. No venue has an id for it: it is known by its effect."""

    key: PositionKey
    amount: Decimal
    currency: str
    margin_before: Decimal
    """The position's margin at the decision: what a later read is compared with."""


class TransferToFutures(Struct, frozen=True, kw_only=True):
    """Moves `amount` from the spot wallet to what stands behind the cross positions; `key` is the position that asked for it."""

    key: PositionKey
    currency: str
    amount: Decimal


MovesMoney: TypeAlias = AddMargin | TransferToFutures
Write: TypeAlias = (
    CloseAtMarket | PlaceProtection | ModifyProtection | CancelOrder | SetLeverage | AddMargin | TransferToFutures
)


class Action(StrEnum):
    """The word for an intent in the policy, the metrics and the journal."""

    STOP_LOSS = "stop_loss"
    TAKE_PROFIT = "take_profit"
    REDUCE = "reduce"
    CLOSE = "close"
    CANCEL_ENTRIES = "cancel_entries"
    CANCEL_PROTECTION = "cancel_protection"
    """A stop or take-profit of ours that is replaced, or left over after the position."""
    FREE_VOLUME = "free_volume"
    """Resting closes that hold the volume a close or reduce needs."""
    SET_LEVERAGE = "set_leverage"
    ADD_MARGIN = "add_margin"
    TOP_UP = "top_up"


LEVERS: Final = frozenset({Action.SET_LEVERAGE, Action.ADD_MARGIN, Action.TOP_UP})
"""What puts more behind a position: neither orders nor closes."""


class Stage(StrEnum):
    DECIDED = "decided"
    REFUSED = "refused"
    JOURNALLED = "journalled"
    SENT = "sent"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    VERIFIED = "verified"
    FAILED = "failed"
    """Accepted, but reading back showed that it doesn't stand (a stop that is not listed, an order cancelled unfilled). Also money
    whose outcome was unknown and that left no trace: it never goes again under its id."""
    VOID = "void"
    """Was unknown; two authoritative reads showed that it never arrived. May be sent again under the same client id."""


NEXT: Final[dict[Stage, frozenset[Stage]]] = {
    Stage.DECIDED: frozenset({Stage.REFUSED, Stage.JOURNALLED}),
    Stage.JOURNALLED: frozenset({Stage.SENT, Stage.REJECTED, Stage.UNKNOWN}),
    Stage.SENT: frozenset({Stage.ACCEPTED, Stage.REJECTED, Stage.UNKNOWN}),
    Stage.UNKNOWN: frozenset({Stage.ACCEPTED, Stage.VERIFIED, Stage.REJECTED, Stage.FAILED, Stage.VOID}),
    Stage.ACCEPTED: frozenset({Stage.VERIFIED, Stage.FAILED, Stage.UNKNOWN}),
    Stage.VOID: frozenset({Stage.JOURNALLED}),
    Stage.REFUSED: frozenset(),
    Stage.REJECTED: frozenset(),
    Stage.VERIFIED: frozenset(),
    Stage.FAILED: frozenset(),
}
FINISHED: Final = frozenset({Stage.REFUSED, Stage.REJECTED, Stage.VERIFIED, Stage.FAILED, Stage.VOID})


class Intent(Struct, frozen=True, kw_only=True):
    """One thing the guard means to do to one position, with the inputs it was decided on.

    `id` is the client order id. `step` counts this rule's intents within the episode, so that a retry after a crash is the
    same order and a further step is another. `quantity_before` and `closed_before` are the position's figures at the
    decision: what a later read is compared with when the outcome is unknown (BitMart reference, 18.4).
    """

    id: ClientId
    account: AccountName
    key: PositionKey
    episode: EpisodeId
    rule: RuleName
    step: int
    action: Action
    write: Write
    decided: Instant
    frame_ns: int | None
    """Monotonic ns at which the price frame that led here was received; None when no price did."""
    quantity_before: Decimal
    closed_before: Decimal
    reason: str
    """One sentence for people."""
    inputs: tuple[tuple[str, str], ...] = ()
    """Every figure the decision used, with its age: name and text, sorted by name."""


def client_id(account: AccountName, episode: EpisodeId, rule: RuleName, step: int) -> ClientId:
    """The client order id of one step: a pure function of what it is for, 29 lower-case letters and digits."""
    text = "\x1f".join((account, episode, rule, str(step)))
    letters = base64.b32encode(hashlib.sha256(text.encode()).digest()).decode().lower()
    return ClientId(CLIENT_ID_PREFIX + letters[:_CLIENT_ID_HASH_LETTERS])


def is_ours(client: ClientId | None) -> bool:
    """True for an order that carries our prefix. An order of ours without a client id is known by its journalled order id."""
    return client is not None and client.startswith(CLIENT_ID_PREFIX)


def stop_direction(key: PositionKey, kind: ProtectionKind) -> Direction:
    """Which way the price goes when this protection fires: a long's stop and a short's take-profit fire on a fall."""
    falls = (key.side.sign > 0) == (kind is ProtectionKind.STOP_LOSS)
    return Direction.FALLS if falls else Direction.RISES
