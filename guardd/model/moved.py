"""Money that the guard itself moved: transfers into futures and margin additions together (interfaces.md 2.6, I16).

What is in flight or unclear counts whole, and so does what never seemed to arrive: a request without an id may still be carried
out, and a cap must hold then too.
"""

from decimal import Decimal
from typing import Final

from msgspec import Struct

from guardd.model.instant import Instant
from guardd.model.intent import AddMargin, Intent, Stage, TransferToFutures
from guardd.model.names import ClientId, EpisodeId, OrderId, RuleName
from guardd.model.state import AccountState


class MoneyRecord(Struct, frozen=True, kw_only=True):
    """One margin addition or transfer into futures as the venue's own records have it; failed ones are left out."""

    id: OrderId
    amount: Decimal
    at_ms: int
    """The venue's time (wall, ms)."""
    done: bool = True
    """False: the venue is still at it."""
    client_id: ClientId | None = None


DAY_S: Final = 24 * 3600.0
NOTHING_MOVED: Final = frozenset({Stage.REFUSED, Stage.REJECTED})


def moved_today(state: AccountState, now: Instant) -> Decimal:
    """What went in the last 24 hours, of all settlement coins together, one to one."""
    return _total([intent for intent in _movers(state, now) if intent.account == state.name])


def moved_by_rule(state: AccountState, episode: EpisodeId, rule: RuleName, now: Instant) -> Decimal:
    """What one rule put behind one position in this episode, within the last 24 hours."""
    return _total([intent for intent in _movers(state, now) if (intent.episode, intent.rule) == (episode, rule)])


def _movers(state: AccountState, now: Instant) -> list[Intent]:
    found = [pending.intent for pending in state.pending.values()]
    found += [
        finished.intent
        for finished in state.finished
        if finished.stage not in NOTHING_MOVED and now.seconds_since(finished.at) <= DAY_S
    ]
    return found


def _total(intents: list[Intent]) -> Decimal:
    moved = [intent.write.amount for intent in intents if isinstance(intent.write, AddMargin | TransferToFutures)]
    return sum(moved, Decimal(0))
