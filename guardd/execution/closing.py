"""From a wish to close contracts to the next write: volume freed first, one slice at a time, tries of one decision kept together.

Pure. Every size here is at most what the position holds; `guardd.execution.approve` judges it again.
"""

from decimal import ROUND_CEILING, Decimal
from itertools import takewhile
from typing import Final

from guardd.execution.patience import not_before
from guardd.execution.proposal import (
    INPUT_DECISION,
    INPUT_PLANNED,
    Bounds,
    Note,
    Proposal,
    Steps,
)
from guardd.execution.windows import (
    CLOSING,
    UNSUCCESSFUL,
    confirmed_quantity,
    input_of,
    last_closing,
    reason_of,
)
from guardd.model.decision import Close, Reduce
from guardd.model.instant import Instant
from guardd.model.instrument import Instrument
from guardd.model.intent import Action, CancelKind, CancelOrder, CloseAtMarket, Intent, Stage
from guardd.model.names import EpisodeId, MarginMode, PositionKey, RuleName, Severity
from guardd.model.order import RestingKind, RestingOrder
from guardd.model.outcome import Reason
from guardd.model.reading import is_value
from guardd.model.state import AccountState, Finished, Held
from guardd.venues.limiter import Lane

FREEING_S_MAX: Final = 1.0
"""A close waits this long for the cancels that free its volume; then it takes what is free."""
FREE_AGAIN_S: Final = 5.0
"""A cancel that came to nothing goes again after this, or whatever its failure asks for; until then what is free is closed."""
AGGRESSIVE_RATIO: Final = Decimal("0.01")
"""How far through the mark an immediate-or-cancel close reaches when market orders are refused (BitMart reference, 18.4)."""
SLICES_WITHIN_S: Final = 60.0
"""Slices of one decision that lie further apart than this are no longer what was decided."""


def closing_steps(
    decision: Reduce | Close,
    state: AccountState,
    bounds: Bounds,
    *,
    now: Instant,
    frame_ns: int | None = None,
    operator: bool = False,
) -> Steps:
    """The next write for one de-leveraging decision: cancels of what holds the volume, else the close itself.

    Call it again whenever the decision is still wanted: after each outcome it gives the next slice or the next try.
    """
    held = state.held.get(decision.key)
    if held is None or held.episode.id != decision.episode:
        return Steps()
    quantity = confirmed_quantity(state, decision.key)
    size = quantity if isinstance(decision, Close) else min(decision.size, quantity)
    if size <= 0:
        return Steps()
    holding = _holding_volume(state, decision.key, quantity - size)
    if holding:
        freeing = _free_volume(decision, holding, state, now, operator=operator)
        if freeing is not None:
            return freeing
        taken = sum((order.size - order.filled for order in holding), Decimal(0))
        size = min(size, quantity - taken) if taken < quantity else size
    return Steps(proposals=(_close(decision, size, state, bounds, frame_ns=frame_ns, operator=operator),))


def unfinished_reductions(state: AccountState, now: Instant) -> tuple[Reduce | Close, ...]:
    """Decisions of which slices are left: they go on without being judged anew, from the quantity then held.

    A close of which a part went goes on until it is flat, whatever the price does meanwhile (interfaces.md 2.3).
    """
    found: list[Reduce | Close] = []
    for key in sorted(_lately_closing(state, now)):
        if key not in state.held:
            continue
        last = _last_started(state, state.held[key], now)
        if last is None:
            continue
        intent = last.intent
        planned = Decimal(input_of(intent, INPUT_PLANNED) or 0)
        filled = Decimal(0)
        if last.stage is Stage.VERIFIED:
            filled = last.filled if last.filled is not None else planned
        rest = min(planned - filled, state.held[key].position.quantity)
        instrument = state.instruments.get(key.symbol)
        if instrument is None or rest <= 0 or rest < instrument.min_size:
            continue
        found.append(_rest_of(intent, rest))
    return tuple(found)


def _lately_closing(state: AccountState, now: Instant) -> set[PositionKey]:
    """Of which a closing intent ended within `SLICES_WITHIN_S`: all others have nothing that goes on."""
    lately = takewhile(lambda finished: now.seconds_since(finished.at) <= SLICES_WITHIN_S, reversed(state.finished))
    return {finished.intent.key for finished in lately if finished.intent.action in CLOSING}


def _rest_of(intent: Intent, rest: Decimal) -> Reduce | Close:
    if intent.action is Action.CLOSE:
        return Close(
            key=intent.key, episode=intent.episode, rule=intent.rule, reason=intent.reason, inputs=intent.inputs
        )
    return Reduce(
        key=intent.key,
        episode=intent.episode,
        rule=intent.rule,
        size=rest,
        reason=intent.reason,
        inputs=intent.inputs,
    )


def slice_of(wanted: Decimal, held: Decimal, instrument: Instrument, *, whole: bool) -> Decimal:
    """What one market order takes of `wanted`: on step, within the venue's bounds, no rest that couldn't be closed; 0: nothing.

    A reduction that would leave less than the venue's minimum leaves the minimum (interfaces.md 2.4); a whole close leaves none.
    """
    least = instrument.min_size
    size = instrument.size_down(min(wanted, held))
    if not whole and 0 < held - size < least:
        size = instrument.size_down(held - least)
    most = instrument.size_down(instrument.max_market_size)
    if size > most > 0:
        slices = (size / most).to_integral_value(rounding=ROUND_CEILING)
        # Each of the others must come to the minimum at least; where no such split exists, dust is left at the end.
        first = instrument.size_down(min(most, size - (slices - 1) * least))
        size = first if first >= least else most
    return size if size >= least and size > 0 else Decimal(0)


def exposure_raised(state: AccountState, held: Held, size: Decimal) -> bool:
    """True when closing `size` of a cross hedge leg leaves a larger net exposure than before (I15)."""
    opposite = PositionKey(held.key.account, held.key.symbol, held.key.side.opposite)
    other, quantity = state.held.get(opposite), held.position.quantity
    if MarginMode.ISOLATED in (held.position.margin_mode, other and other.position.margin_mode):
        return False
    against = other.position.quantity if other is not None else _only_pushed(state, opposite)
    return abs(quantity - size - against) > abs(quantity - against)


def _only_pushed(state: AccountState, key: PositionKey) -> Decimal:
    """What a push told of a leg and no read could show yet: while reads are held back it counts all the same."""
    pushed, read = state.pushed_quantities.get(key), state.positions_at
    if pushed is None or (read is not None and pushed.at.mono_ns <= read.mono_ns):
        return Decimal(0)
    return pushed.quantity


def _close(
    decision: Reduce | Close,
    size: Decimal,
    state: AccountState,
    bounds: Bounds,
    *,
    frame_ns: int | None,
    operator: bool,
) -> Proposal:
    inputs = dict(decision.inputs)
    inputs[INPUT_PLANNED] = str(size)
    serves = inputs.get(INPUT_DECISION) or _decision_still_open(state, decision.key, decision.episode, decision.rule)
    if serves is not None:
        inputs[INPUT_DECISION] = serves
    return Proposal(
        key=decision.key,
        episode=decision.episode,
        rule=decision.rule,
        action=Action.CLOSE if isinstance(decision, Close) else Action.REDUCE,
        write=CloseAtMarket(key=decision.key, size=size, limit_price=_limit_price(decision, state, bounds)),
        lane=Lane.EMERGENCY,
        reason=decision.reason,
        inputs=tuple(sorted(inputs.items())),
        frame_ns=frame_ns,
        blind=decision.blind,
        operator=operator,
    )


def _decision_still_open(state: AccountState, key: PositionKey, episode: EpisodeId, rule: RuleName) -> str | None:
    """The decision that the last closing intent served, if it isn't done: this is a further try or slice of it (2.6)."""
    last = last_closing(state, key, episode, rule)
    if last is None:
        return None
    name = _decision_of(last.intent)
    if last.stage in UNSUCCESSFUL:
        return name
    planned = Decimal(input_of(last.intent, INPUT_PLANNED) or 0)
    return name if last.filled is not None and last.filled < planned else None


def _limit_price(decision: Reduce | Close, state: AccountState, bounds: Bounds) -> Decimal | None:
    """Immediate-or-cancel through the mark for the try that follows a refused market order; else market."""
    last = last_closing(state, decision.key, decision.episode, decision.rule)
    if last is None or reason_of(last) is not Reason.INSTRUMENT_PAUSED or not is_value(bounds.mark):
        return None
    if not isinstance(last.intent.write, CloseAtMarket) or last.intent.write.limit_price is not None:
        return None
    return bounds.mark * (1 - AGGRESSIVE_RATIO * decision.key.side.sign)


def _last_started(state: AccountState, held: Held, now: Instant) -> Finished | None:
    """The newest closing intent of the episode, if a part of its decision went: a reduction's slice, or any try of a close.

    Only what ended within `SLICES_WITHIN_S` is looked through: it is asked after each event, and a day lies behind it.
    """
    last: Finished | None = None
    for finished in reversed(state.finished.of(held.key)):
        intent = finished.intent
        if last is None and now.seconds_since(finished.at) > SLICES_WITHIN_S:
            return None
        if intent.episode != held.episode.id or intent.action not in CLOSING:
            continue
        if last is not None and _decision_of(intent) != _decision_of(last.intent):
            return None
        last = last or finished
        if finished.stage is Stage.VERIFIED:
            return last if finished.filled != 0 else None
        if last.intent.action is Action.REDUCE:
            return None
    return None


def _decision_of(intent: Intent) -> str:
    return input_of(intent, INPUT_DECISION) or intent.id


# Freeing volume: invariant I13


def _holding_volume(state: AccountState, key: PositionKey, spare: Decimal) -> tuple[RestingOrder, ...]:
    """The resting closes that must go so that they hold no more than `spare` contracts; largest first."""
    closes = [order for order in state.resting.values() if order.closes and order.key == key]
    closes.sort(key=lambda order: (order.filled - order.size, order.order_id))
    held = sum((order.size - order.filled for order in closes), Decimal(0))
    chosen: list[RestingOrder] = []
    for order in closes:
        if held <= spare:
            break
        chosen.append(order)
        held -= order.size - order.filled
    return tuple(chosen)


def _free_volume(
    decision: Reduce | Close,
    holding: tuple[RestingOrder, ...],
    state: AccountState,
    now: Instant,
    *,
    operator: bool,
) -> Steps | None:
    """The cancels that are still to be sent; None when they were tried and the close should wait no longer."""
    tried = {
        finished.intent.write.order_id: finished
        for finished in state.finished.of(decision.key)
        if isinstance(finished.intent.write, CancelOrder) and finished.intent.action is Action.FREE_VOLUME
    }
    waiting = [
        pending.intent.decided
        for pending in state.in_flight(decision.key)
        if pending.intent.action is Action.FREE_VOLUME
    ]
    if waiting and now.seconds_since(min(waiting)) > FREEING_S_MAX:
        return None
    in_flight = {
        pending.intent.write.order_id
        for pending in state.in_flight(decision.key)
        if isinstance(pending.intent.write, CancelOrder)
    }
    lane = Lane.EMERGENCY if isinstance(decision, Close) or operator else Lane.ORDINARY
    fresh: list[RestingOrder] = []
    proposals: list[Proposal] = []
    for order in holding:
        proposal = _free(decision, order, lane=lane, operator=operator)
        if order.order_id not in in_flight and _is_due(proposal, tried.get(order.order_id), state, now):
            fresh.append(order)
            proposals.append(proposal)
    if not fresh:
        return Steps() if waiting else None
    listed = ", ".join(f"{order.order_id} ({order.size - order.filled})" for order in fresh)
    text = f"{decision.key}: cancels resting closes that hold the volume of {decision.rule}: {listed}"
    note = Note(key=decision.key, severity=Severity.WARNING, edge=f"free-volume/{decision.key}", text=text)
    return Steps(proposals=tuple(proposals), notes=(note,))


def _is_due(proposal: Proposal, last: Finished | None, state: AccountState, now: Instant) -> bool:
    """Not tried yet, or what came of it says that it may go again."""
    if last is None:
        return True
    if last.stage not in UNSUCCESSFUL or now.seconds_since(last.at) < FREE_AGAIN_S:
        return False
    again = not_before(state, proposal.key, proposal.episode, proposal.rule, proposal.write)
    return again is None or now.mono_ns >= again.mono_ns


def _free(decision: Reduce | Close, order: RestingOrder, *, lane: Lane, operator: bool) -> Proposal:
    kind = CancelKind.TRAILING if order.kind is RestingKind.TRAILING else CancelKind.RESTING
    return Proposal(
        key=decision.key,
        episode=decision.episode,
        rule=RuleName(f"{decision.rule}/free/{order.order_id}"),
        action=Action.FREE_VOLUME,
        write=CancelOrder(key=decision.key, order_id=order.order_id, kind=kind),
        lane=lane,
        reason=f"order {order.order_id} holds {order.size - order.filled} contracts that {decision.rule} needs",
        operator=operator,
    )
