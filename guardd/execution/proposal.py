"""What stands between a decision and an intent: a proposed write, the figures it is judged on, and the leash.

A `Proposal` names one write for one position. Only `guardd.execution.approve` turns it into an intent.
"""

from decimal import Decimal
from typing import Final

from msgspec import Struct

from guardd.model.decision import OnUnprotected
from guardd.model.instant import Instant
from guardd.model.intent import Action, Write
from guardd.model.names import EpisodeId, OrderId, PositionKey, RuleName, Severity
from guardd.model.reading import Reading
from guardd.venues.limiter import Lane

INPUT_DECISION: Final = "decision"
"""Input of a closing intent: which decision it serves. Slices and further tries of one decision share it (2.6)."""
INPUT_PLANNED: Final = "planned"
"""Input of a reducing intent: contracts that its decision still wanted closed, this slice included."""


class Leash(Struct, frozen=True, kw_only=True):
    """`limits` of the policy (interfaces.md 2.6). `reduce_per_hour` is a share of the largest quantity in the hour."""

    orders_per_minute: int = 30
    reduce_per_hour: Decimal = Decimal(1)
    top_up_per_day: Decimal = Decimal(500)
    """Transfers and margin additions together, in the settlement coin."""


class Bounds(Struct, frozen=True, kw_only=True):
    """Between what a stop may stand: the mark, and `PositionRisk.stop_bound` (I4)."""

    mark: Reading
    liquidation_price: Reading


class Proposal(Struct, frozen=True, kw_only=True):
    """One write that something asks for, before anybody has checked that it may be sent.

    `rule` is the name that counts steps and makes client ids: a policy's rule for reduce and close; a rule with kind and tranche
    for protection; a name with the order's id for cancels. So no two writes of an episode share an id.
    """

    key: PositionKey
    episode: EpisodeId
    rule: RuleName
    action: Action
    write: Write
    lane: Lane
    reason: str
    inputs: tuple[tuple[str, str], ...] = ()
    frame_ns: int | None = None
    instead: OrderId | None = None
    """For ending a stop: the resting order that stands in its place (I3)."""
    gap_allowed: bool = False
    """For ending a stop where the venue forbids two at once: its replacement follows within one request deadline (I3)."""
    asked: tuple[tuple[Decimal, Decimal], ...] = ()
    """For ending a stop of a ladder: its prices, and the contracts that the policy asks to be closed by each."""
    makes_room: bool = False
    """For ending one of two generations of a tranche of which neither is what is wanted now (I5)."""
    blind: bool = False
    """From the last confirmed quantity: a rule that acts while blind (interfaces.md 2.3)."""
    operator: bool = False
    """The operator's own word (flatten), given with CONFIRM: no limit and no halt holds it back."""


class SoftwareStop(Struct, frozen=True, kw_only=True):
    """A stop that no form at the venue would take: the guard closes when the mark reaches `trigger_price`. Unprotected."""

    key: PositionKey
    episode: EpisodeId
    rule: RuleName
    slot: RuleName
    """Which stop of the policy it is: one for a tranche is done for the episode once the guard closed its share."""
    trigger_price: Decimal
    size: Decimal | None
    on_unprotected: OnUnprotected
    why: str


class Note(Struct, frozen=True, kw_only=True):
    """Something for people; `edge` names what it is about, so that repetitions can be dropped."""

    key: PositionKey
    severity: Severity
    edge: str
    text: str


class Steps(Struct, frozen=True, kw_only=True):
    """What to do next, and what to say. Empty proposals: nothing to do, or something is in flight that must come back first."""

    proposals: tuple[Proposal, ...] = ()
    software_stops: tuple[SoftwareStop, ...] = ()
    notes: tuple[Note, ...] = ()
    fired: tuple["FiredStop", ...] = ()
    """Stops of ours that are gone while the mark is through their trigger: what `finish_fired` watches."""
    unprotected: str = ""
    """Why the position has no adequate resting stop although the policy wants one; empty when it has."""
    contested: str = ""
    """Somebody works against the guard (interfaces.md 2.4)."""
    lists_first: bool = False
    """What is to be done hangs on a list of plan orders that is younger than the position."""
    position_first: bool = False
    """The same, on a read of the position that is younger than the list."""
    waits: bool = False
    """Something is to be done that may not be done yet: time alone brings it."""


NOTHING: Final = Steps()


class FiredStop(Struct, frozen=True, kw_only=True):
    """A stop that was triggered: what it should close must go, or the guard finishes it (interfaces.md 2.4)."""

    key: PositionKey
    episode: EpisodeId
    rule: RuleName
    order_id: OrderId
    size: Decimal | None
    quantity_before: Decimal
    at: Instant
