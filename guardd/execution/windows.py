"""What the finished and unfinished intents tell: windows of the leash, tries of one decision, the next step's number. Pure.

Intervals are monotonic; intents of an earlier run were placed on this run's clock by `guardd.execution.awaken` (I24).
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

from guardd.execution.proposal import INPUT_DECISION
from guardd.model.instant import Instant
from guardd.model.intent import LEVERS, Action, CloseAtMarket, Intent, PlaceProtection, Stage
from guardd.model.moved import moved_today
from guardd.model.names import EpisodeId, PositionKey, RuleName
from guardd.model.outcome import Reason, Rejected
from guardd.model.state import AccountState, Finished

MINUTE_S: Final = 60.0
HOUR_S: Final = 3600.0
CLOSING: Final = frozenset({Action.REDUCE, Action.CLOSE})
FILL_SHOWN_AFTER_S: Final = 2.0
"""A position read this long after a fill of ours shows it; venues that count no closed quantity are believed then."""
LEVER_HOLDS_S: Final = 2.0
"""A margin or leverage step that isn't verified by then counts as failed, and its rule goes on (interfaces.md 2.5)."""
UNSUCCESSFUL: Final = frozenset({Stage.REJECTED, Stage.FAILED, Stage.VOID, Stage.REFUSED})


def input_of(intent: Intent, name: str) -> str | None:
    """The text of one input of an intent."""
    return next((text for each, text in intent.inputs if each == name), None)


def reason_of(finished: Finished) -> Reason | None:
    """Why the venue turned it away; None when it didn't."""
    if finished.stage is Stage.REJECTED and isinstance(finished.outcome, Rejected):
        return finished.outcome.reason
    return None


def never_left(finished: Finished) -> bool:
    """Turned away on this machine: by the limiter, by what is known of the account. No code of the venue's stands behind it."""
    return finished.stage is Stage.REJECTED and isinstance(finished.outcome, Rejected) and not finished.outcome.code


def next_step(state: AccountState, key: PositionKey, episode: EpisodeId, rule: RuleName) -> int:
    """The number of the next intent of `rule` in this episode.

    One that was void goes again under its own number, and so under its own client id, until the venue is known to have it: should
    the lost request arrive after all, the venue takes only one of the two. A rejection in between changes nothing about that.
    """
    progress = state.progress.get((episode, rule))
    step = progress.steps if progress is not None else 0
    past = [each for each in state.finished.of(key) if (each.intent.episode, each.intent.rule) == (episode, rule)]
    void = {each.intent.step for each in past if each.stage is Stage.VOID}
    if past and past[-1].stage in (Stage.REJECTED, Stage.VOID, Stage.REFUSED) and past[-1].intent.step in void:
        return past[-1].intent.step
    for finished in past:
        if finished.stage not in (Stage.VOID, Stage.REFUSED):
            step = max(step, finished.intent.step + 1)
    for pending in state.pending.values():
        if pending.intent.episode == episode and pending.intent.rule == rule:
            step = max(step, pending.intent.step + 1)
    return step


def tries(state: AccountState, key: PositionKey, episode: EpisodeId, rule: RuleName) -> tuple[Finished, ...]:
    """The unsuccessful intents of one rule since its last success in this episode, oldest first."""
    found: list[Finished] = []
    for finished in reversed(state.finished.of(key)):
        intent = finished.intent
        if intent.episode != episode or intent.rule != rule:
            continue
        if finished.stage not in UNSUCCESSFUL:
            break
        found.append(finished)
    return tuple(reversed(found))


def last_closing(state: AccountState, key: PositionKey, episode: EpisodeId, rule: RuleName) -> Finished | None:
    """The newest finished closing intent of a rule."""
    for finished in reversed(state.finished.of(key)):
        intent = finished.intent
        if intent.action in CLOSING and (intent.episode, intent.rule) == (episode, rule):
            return finished
    return None


def orders_sent(state: AccountState, now: Instant, within_s: float = MINUTE_S) -> int:
    """How many writes of this account were decided within the window and weren't proved to have never left or arrived.

    What the limit doesn't bind doesn't use it up either: a start that places thirty stops must not keep a reduction waiting.
    """
    intents = [p.intent for p in state.pending.values() if now.seconds_since(p.intent.decided) <= within_s]
    intents += [
        each.intent
        for each in _recent(state.finished, now, within_s)
        if each.stage not in (Stage.VOID, Stage.REFUSED) and not never_left(each)
    ]
    return sum(1 for intent in intents if not _is_exempt(intent))


def _is_exempt(intent: Intent) -> bool:
    """A close, what frees its volume, or a stop that was placed (interfaces.md 2.6)."""
    placed_stop = intent.action is Action.STOP_LOSS and isinstance(intent.write, PlaceProtection)
    return placed_stop or intent.action in (Action.CLOSE, Action.FREE_VOLUME)


def reduced(state: AccountState, key: PositionKey, now: Instant, within_s: float = HOUR_S) -> Decimal:
    """Contracts that reducing steps closed within the window; what is in flight or unclear counts whole."""
    total = Decimal(0)
    for pending in state.in_flight(key):
        if pending.intent.action is Action.REDUCE and isinstance(pending.intent.write, CloseAtMarket):
            total += pending.intent.write.size
    for finished in _recent(state.finished.of(key), now, within_s):
        write = finished.intent.write
        if finished.intent.action is not Action.REDUCE:
            continue
        if isinstance(write, CloseAtMarket) and finished.stage in (Stage.VERIFIED, Stage.FAILED):
            whole = write.size if finished.stage is Stage.VERIFIED else Decimal(0)
            total += finished.filled if finished.filled is not None else whole
    return total


def largest_quantity(state: AccountState, key: PositionKey, now: Instant, within_s: float = HOUR_S) -> Decimal:
    """The largest quantity of the position that this window saw."""
    held = state.held.get(key)
    largest = Decimal(0)
    if held is not None:
        largest = held.position.quantity
        if now.wall_ms - held.episode.first_seen_ms <= within_s * 1000:
            largest = max(largest, held.episode.largest_quantity)
        largest = max([largest, *(had for until, had in held.had if now.seconds_since(until) <= within_s)])
    for finished in _recent(state.finished.of(key), now, within_s):
        largest = max(largest, finished.intent.quantity_before)
    for pending in state.in_flight(key):
        largest = max(largest, pending.intent.quantity_before)
    return largest


def topped_up(state: AccountState, now: Instant) -> Decimal:
    """Transfers and margin additions of the last 24 hours; what is in flight, unclear or seemed lost counts whole."""
    return moved_today(state, now)


def lever_holds(intent: Intent, action: Action, now: Instant) -> bool:
    """True while an unfinished intent of a rule keeps the rule's next `action` back.

    Orders do until they are settled. A margin or leverage step keeps nothing but its own like that long: what it does is not
    undone by a reduction, and a close doesn't wait for it at all.
    """
    if intent.action not in LEVERS or intent.action is action:
        return True
    return action is not Action.CLOSE and now.seconds_since(intent.decided) < LEVER_HOLDS_S


def close_decisions(state: AccountState, key: PositionKey, now: Instant) -> frozenset[str]:
    """The `close` decisions of a position in the last minute; slices and further tries share their decision's name."""
    intents = [pending.intent for pending in state.in_flight(key)]
    intents += [finished.intent for finished in _recent(state.finished.of(key), now, MINUTE_S)]
    return frozenset(
        input_of(intent, INPUT_DECISION) or intent.id for intent in intents if intent.action is Action.CLOSE
    )


def closing_in_flight(state: AccountState, key: PositionKey) -> Decimal:
    """Contracts that unfinished closes of a position may still take; an unknown one counts whole (I1, I7)."""
    return sum(
        (p.intent.write.size for p in state.in_flight(key) if isinstance(p.intent.write, CloseAtMarket)), Decimal(0)
    )


def confirmed_quantity(state: AccountState, key: PositionKey) -> Decimal:
    """The position's quantity, less fills of ours that its row doesn't show yet (a read may be older than a fill)."""
    held = state.held[key]
    quantity, closed = held.position.quantity, held.position.closed_quantity
    for finished in reversed(state.finished.of(key)):
        intent = finished.intent
        if intent.episode != held.episode.id or not isinstance(intent.write, CloseAtMarket):
            continue
        if finished.filled is None:
            continue
        if held.read.seconds_since(finished.at) > FILL_SHOWN_AFTER_S:
            break
        unseen = intent.closed_before + finished.filled - closed
        return max(quantity - max(unseen, Decimal(0)), Decimal(0))
    return quantity


def _recent(ended: Sequence[Finished], now: Instant, within_s: float) -> Iterator[Finished]:
    for finished in reversed(ended):
        if now.seconds_since(finished.at) > within_s:
            return
        yield finished
