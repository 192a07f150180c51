"""The fold: one event in, the state changed, the edges out. Nothing else changes state.

Order matters only within a venue's own time: a row that is older than what is held (by the venue's clock) is not believed,
whichever way it came. Flat is believed only when it is confirmed (I6).
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final, assert_never

from msgspec.structs import replace

from guardd.errors import InvariantBroken
from guardd.model.equity import balances_read, ledger_read
from guardd.model.event import (
    BalancePushed,
    BalanceRead,
    BlockMoved,
    ClockRead,
    Event,
    FootingFound,
    ForeignGuardSeen,
    InstrumentsRead,
    IntentMoved,
    LedgerRead,
    MarkSeen,
    OperatorSpoke,
    OperatorWord,
    OrderPushed,
    OrdersRead,
    PositionModeRead,
    PositionsPushed,
    PositionsRead,
    Pulse,
    ReadFailed,
    SnapshotFinished,
    Source,
    StreamMoved,
    VenueClosingSeen,
    VenueLearned,
)
from guardd.model.instant import Instant
from guardd.model.intent import (
    FINISHED,
    NEXT,
    Action,
    CancelOrder,
    CloseAtMarket,
    Intent,
    ModifyProtection,
    PlaceProtection,
    Stage,
    stop_direction,
)
from guardd.model.names import OrderId, PositionKey, PositionMode, Symbol
from guardd.model.order import OrderAction, PlanOrder
from guardd.model.outcome import Accepted
from guardd.model.positions import positions_pushed, positions_read
from guardd.model.reading import is_value
from guardd.model.state import (
    REMEMBERED_S,
    AccountState,
    Anchor,
    Finished,
    Folded,
    News,
    NewsKind,
    Past,
    Pending,
    RuleProgress,
    lasting,
)

_NOTHING: Final = Folded()
_EVERYTHING: Final = Folded(everything=True)
_MONEY: Final = Folded(everything=True, differs=frozenset())


def fold(state: AccountState, event: Event) -> Folded:
    """Apply one event to `state`. Raises `InvariantBroken` on a step that the intent table forbids."""
    match event:
        case MarkSeen():
            return _mark(state, event)
        case PositionsRead():
            return positions_read(state, event)
        case PositionsPushed():
            return positions_pushed(state, event)
        case OrderPushed():
            return _order_pushed(state, event)
        case OrdersRead():
            return _orders_read(state, event)
        case IntentMoved():
            return _intent(state, event)
        case FootingFound():
            return _footing(state, event)
        case BalanceRead():
            return _balance_read(state, event)
        case LedgerRead():
            return Folded(news=ledger_read(state, event))
        case BalancePushed():
            return _balance_pushed(state, event)
        case StreamMoved():
            return _stream(state, event)
        case OperatorSpoke():
            return _operator(state, event)
        case _:
            return _plain(state, event)


def _plain(
    state: AccountState,
    event: PositionModeRead
    | InstrumentsRead
    | SnapshotFinished
    | VenueLearned
    | ClockRead
    | BlockMoved
    | VenueClosingSeen
    | ReadFailed
    | ForeignGuardSeen
    | Pulse,
) -> Folded:
    match event:
        case PositionModeRead():
            state.position_mode, state.position_mode_at = event.mode, event.at
        case InstrumentsRead():
            state.instruments.update({instrument.symbol: instrument for instrument in event.instruments})
            state.instruments_at = event.at
            state.unguardable = (state.unguardable | event.asked) - set(state.instruments)
            return Folded(symbols=frozenset(instrument.symbol for instrument in event.instruments))
        case SnapshotFinished():
            state.snapshot_started = event.started
        case VenueLearned():
            state.capabilities, state.family, state.learned_at = event.capabilities, event.family, event.at
            return _EVERYTHING
        case ClockRead():
            state.clock_offset_ms = event.offset_ms
        case BlockMoved():
            if event.until is None:
                state.blocks.pop(event.kind, None)
            else:
                state.blocks[event.kind] = event.until
        case VenueClosingSeen():
            state.closing = event.why
        case ForeignGuardSeen():
            if event.later:
                state.rival_ids |= frozenset(event.ids)
            else:
                state.foreign_ids |= frozenset(event.ids)
        case ReadFailed():
            pass
        case Pulse():
            _forget(state, event.at)
        case _:
            assert_never(event)
    return _NOTHING


def _mark(state: AccountState, event: MarkSeen) -> Folded:
    state.marks[event.symbol] = event
    if event.source is Source.REST:
        state.rest_marks[event.symbol] = event
    return _NOTHING


# Orders


def _orders_read(state: AccountState, event: OrdersRead) -> Folded:
    if event.resting is not None and not _overtaken(event, state.resting_started):
        state.resting_started = event.started
        state.resting = {order.order_id: order for order in event.resting}
        state.resting_at = event.at
    differs: frozenset[Symbol] = frozenset()
    if event.plans is not None and not _overtaken(event, state.plans_started):
        state.plans_started = event.started
        plans = {plan.order_id: _as_asked(state, plan) for plan in event.plans}
        differs = _differing(plans, state.plans)
        if differs:
            state.plans = plans
        state.plans_at = event.at
    news = (News(kind=NewsKind.PLANS_CHANGED),) if differs else ()
    return Folded(everything=True, differs=differs, news=news)


def _as_asked(state: AccountState, plan: PlanOrder) -> PlanOrder:
    """Of ours we know which side it closes. In one-way mode a venue may not say, and what a long left would count as the stop of
    the short that came after it (Bitget reference, 12.2)."""
    if plan.protection is None or state.position_mode is PositionMode.HEDGE or not state.owns(plan):
        return plan
    known = state.plans.get(plan.order_id)
    key = known.key if known is not None else _asked_for(state, plan)
    return plan if key == plan.key else replace(plan, key=key, direction=stop_direction(key, plan.protection))


def _asked_for(state: AccountState, plan: PlanOrder) -> PositionKey:
    other = plan.key._replace(side=plan.key.side.opposite)
    mine = {
        finished.intent.key
        for finished in state.finished.of(other)
        if finished.intent.id == plan.client_id or finished.order_id == plan.order_id
    }
    waiting = state.pending.get(plan.client_id) if plan.client_id is not None else None
    return other if mine or (waiting is not None and waiting.intent.key == other) else plan.key


def _differing(new: Mapping[OrderId, PlanOrder], old: Mapping[OrderId, PlanOrder]) -> frozenset[Symbol]:
    """The instruments whose plan orders aren't the same."""
    if new == old:
        return frozenset()
    changed = {plan.key.symbol for order_id, plan in new.items() if old.get(order_id) != plan}
    return frozenset(changed | {plan.key.symbol for order_id, plan in old.items() if new.get(order_id) != plan})


def _without(plans: Mapping[OrderId, PlanOrder], order_id: OrderId) -> Mapping[OrderId, PlanOrder]:
    return {each: plan for each, plan in plans.items() if each != order_id} if order_id in plans else plans


def _overtaken(event: OrdersRead, newest: Instant | None) -> bool:
    """True for a list that was asked for before one that is in already: it may lack an order placed between the two."""
    return newest is not None and event.started.mono_ns < newest.mono_ns


def _order_pushed(state: AccountState, event: OrderPushed) -> Folded:
    update = event.update
    news: list[News] = []
    if not update.live:
        state.resting.pop(update.order_id, None)
    elif (known := state.resting.get(update.order_id)) is not None:
        state.resting[update.order_id] = replace(known, filled=update.filled, price=update.price, size=update.size)
    if update.plan_order_id is not None:
        plan = state.plans.get(update.plan_order_id)
        key = plan.key if plan is not None and state.owns(plan) else update.key
        state.fired[update.plan_order_id] = key
        if plan is not None:
            news.append(_fired(state, plan, key))
    own = state.pending.get(update.client_id) if update.client_id is not None else None
    if own is not None:
        _note_full_close(state, own.intent, update.filled, event.at)
    if update.action in (OrderAction.LIQUIDATION, OrderAction.ADL):
        news.append(News(kind=NewsKind.FORCED_EXIT, key=update.key, order_id=update.order_id, action=update.action))
    if update.action is not OrderAction.SUBMITTED:
        news.append(News(kind=NewsKind.READ_WANTED, key=update.key, text=f"an order was {update.action}"))
    return Folded(symbols=frozenset({update.key.symbol}), news=tuple(news))


def _fired(state: AccountState, plan: PlanOrder, key: PositionKey) -> News:
    state.plans = _without(state.plans, plan.order_id)
    if state.owns(plan):
        state.own_order_ids.add(plan.order_id)
    return News(kind=NewsKind.STOP_FIRED, key=key, order_id=plan.order_id, plan=plan)


# Intents


def _intent(state: AccountState, event: IntentMoved) -> Folded:
    intent = event.intent
    pending = state.pending.get(intent.id)
    if pending is None:
        _refuse_revival(state, event)
        pending = Pending(intent=intent, stage=event.stage, since=event.at)
        if event.stage not in FINISHED:
            state.pending[intent.id] = pending
    elif event.stage is not pending.stage:
        if event.stage not in NEXT[pending.stage]:
            raise InvariantBroken("I20", f"intent {intent.id} can't go from {pending.stage} to {event.stage}")
        pending.stage, pending.since = event.stage, event.at
    pending.outcome = event.outcome or pending.outcome
    order_id = event.order_id or (event.outcome.order_id if isinstance(event.outcome, Accepted) else None)
    if order_id is not None:
        pending.order_id = order_id
        if isinstance(intent.write, CloseAtMarket | PlaceProtection | ModifyProtection):
            state.own_order_ids.add(order_id)
    if event.stage is not Stage.REFUSED:
        state.known_client_ids.add(intent.id)
    news = _finish(state, event, pending) if event.stage in FINISHED else ()
    return Folded(symbols=frozenset({intent.key.symbol}), news=news)


def _refuse_revival(state: AccountState, event: IntentMoved) -> None:
    """Only an intent that was never sent, or never arrived, may come back under its id.

    One that was void stays open to that through later rejections: its first request may still arrive, and only the same id
    lets the venue take one of the two (I7).
    """
    past = [finished.stage for finished in state.finished.of(event.intent.key) if finished.intent.id == event.intent.id]
    if not past or past[-1] in (Stage.VOID, Stage.REFUSED) or (past[-1] is Stage.REJECTED and Stage.VOID in past):
        return
    detail = f"intent {event.intent.id} ended as {past[-1]} and can't go to {event.stage}"
    raise InvariantBroken("I20", detail)


def _note_full_close(state: AccountState, intent: Intent, filled: Decimal | None, at: Instant) -> None:
    """Our own fill of all that was held counts as seeing the close: one read that agrees confirms flat (interfaces.md 2.1)."""
    held = state.held.get(intent.key)
    if held is None or held.episode.id != intent.episode or not isinstance(intent.write, CloseAtMarket):
        return
    if filled is not None and filled >= intent.quantity_before > 0:
        held.close_seen = held.close_seen or at


def _finish(state: AccountState, event: IntentMoved, pending: Pending) -> tuple[News, ...]:
    intent = event.intent
    state.pending.pop(intent.id, None)
    state.finished.append(
        Finished(
            intent=intent,
            stage=event.stage,
            at=event.at,
            filled=event.filled,
            outcome=pending.outcome,
            order_id=pending.order_id,
        )
    )
    progress = state.progress.setdefault((intent.episode, intent.rule), RuleProgress())
    if event.stage not in (Stage.VOID, Stage.REFUSED):
        progress.steps = max(progress.steps, intent.step + 1)
    if event.stage is Stage.VERIFIED:
        progress.verified = event.at
        _note_full_close(state, intent, event.filled, event.at)
        if isinstance(intent.write, CancelOrder):
            state.plans = _without(state.plans, intent.write.order_id)
            state.resting.pop(intent.write.order_id, None)
        return _stop_verified(state, intent)
    return ()


def _stop_verified(state: AccountState, intent: Intent) -> tuple[News, ...]:
    """An episode's first verified stop is worth remembering across a restart: `if_passed: close` hangs on it (2.4)."""
    held = state.held.get(intent.key)
    if intent.action is not Action.STOP_LOSS or held is None or held.episode.id != intent.episode:
        return ()
    if held.episode.had_verified_stop:
        return ()
    held.episode = replace(held.episode, had_verified_stop=True)
    return (News(kind=NewsKind.EPISODE_CHANGED, key=held.key, episode=held.episode),)


def _footing(state: AccountState, event: FootingFound) -> Folded:
    held = state.held.get(event.key)
    if held is None or held.episode.id != event.episode or held.episode.footing == event.footing:
        return _NOTHING
    held.episode = replace(held.episode, footing=event.footing)
    return Folded(news=(News(kind=NewsKind.EPISODE_CHANGED, key=held.key, episode=held.episode),))


# The rest


def _balance_read(state: AccountState, event: BalanceRead) -> Folded:
    news = balances_read(state, event)
    state.balances, state.balances_at = {each.currency: each for each in event.balances}, event.at
    state.anchors = _anchors(state, {key.symbol for key in state.held}, event.at)
    asked = event.started or event.at
    state.realized = {symbol: at for symbol, at in state.realized.items() if at.mono_ns > asked.mono_ns}
    return Folded(everything=True, differs=frozenset(), news=news)


def _balance_pushed(state: AccountState, event: BalancePushed) -> Folded:
    """A push may have no equity (BitMart reference, 14.10): the last read's stays, at its own age.

    Figures that are reckoned with each other are of one moment: they are taken where all that the read had are there. It says
    nothing of a coin that no read has shown.
    """
    pushed, known = event.balance, state.balances.get(event.balance.currency)
    if known is None:
        return _NOTHING
    pairs = (
        (pushed.equity, known.equity),
        (pushed.unrealized_pnl, known.unrealized_pnl),
        (pushed.maintenance, known.maintenance),
        (pushed.margin_ratio, known.margin_ratio),
    )
    whole = is_value(pushed.equity) and all(is_value(new) or not is_value(old) for new, old in pairs)
    figures = pushed if whole else known
    state.balances[known.currency] = replace(
        known,
        available=pushed.available,
        frozen=pushed.frozen,
        position_margin=pushed.position_margin,
        equity=figures.equity,
        unrealized_pnl=figures.unrealized_pnl,
        maintenance=figures.maintenance,
        margin_ratio=figures.margin_ratio,
    )
    if whole:
        now_behind = state.balances[known.currency]
        symbols = {key.symbol for key in state.held if state.balance_behind(key.symbol) is now_behind}
        state.anchors.update(_anchors(state, symbols, event.at))
    return _MONEY


def _anchors(state: AccountState, symbols: Iterable[Symbol], at: Instant) -> dict[Symbol, Anchor]:
    """The last marks of these instruments; one that was never seen has none."""
    return {
        symbol: Anchor(seen.mark, max(at.seconds_since(seen.at), 0.0))
        for symbol in symbols
        if (seen := state.marks.get(symbol)) is not None
    }


def _stream(state: AccountState, event: StreamMoved) -> Folded:
    stream = state.streams[event.stream]
    stream.up, stream.since, stream.why = event.up, event.at, event.why
    kind = NewsKind.STREAM_UP if event.up else NewsKind.STREAM_DOWN
    return Folded(news=(News(kind=kind, text=f"{event.stream} stream: {event.why}"),))


def _operator(state: AccountState, event: OperatorSpoke) -> Folded:
    match event.word:
        case OperatorWord.HALT | OperatorWord.FLATTEN:
            state.halted = True
        case OperatorWord.RESUME:
            state.halted, state.parked = False, None
            state.known_client_ids |= state.foreign_ids | state.rival_ids
            state.foreign_ids = state.rival_ids = frozenset()
        case OperatorWord.CONFIRM:
            state.armed = True
        case OperatorWord.PARK:
            state.parked = event.why
        case _:
            assert_never(event.word)
    return _EVERYTHING


def _forget(state: AccountState, now: Instant) -> None:
    if not state.finished or now.seconds_since(state.finished[0].at) <= REMEMBERED_S:
        return
    lives = frozenset(held.episode.id for held in state.held.values())
    old = [each for each in state.finished if now.seconds_since(each.at) > REMEMBERED_S]
    state.finished = Past([*lasting(old, lives), *state.finished[len(old) :]])
