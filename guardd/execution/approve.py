"""The last word before an intent: may this write be sent, now, with these figures? Pure.

`approve` is the only place that makes an `ApprovedIntent`, and `Executor.start` takes nothing else (style.md, 10). It trusts no
proposal: mode, episode, sizes, prices, caps and order of replacement are all judged here, on the state as it is.
"""

from decimal import Decimal
from typing import Final, TypeAlias, assert_never

from msgspec import Struct
from msgspec.structs import replace

from guardd.execution.closing import exposure_raised, slice_of
from guardd.execution.judge_levers import judge_lever
from guardd.execution.patience import not_before
from guardd.execution.proposal import INPUT_DECISION, Bounds, Leash, Proposal
from guardd.execution.refusal import No, Refusal, RefusalKind
from guardd.execution.resting import (
    is_missing_part,
    is_missing_stop,
    lists_are_older,
    made_by_us,
    makes_room,
    own_plans,
    placed_for,
    stands_as_asked,
    stands_in_for,
    venue_allows_one,
)
from guardd.execution.windows import (
    CLOSING,
    close_decisions,
    closing_in_flight,
    confirmed_quantity,
    largest_quantity,
    lever_holds,
    next_step,
    orders_sent,
    reduced,
)
from guardd.model.instant import Instant
from guardd.model.instrument import Instrument
from guardd.model.intent import (
    Action,
    AddMargin,
    CancelOrder,
    CloseAtMarket,
    Intent,
    ModifyProtection,
    PlaceProtection,
    SetLeverage,
    Stage,
    TransferToFutures,
    Write,
    client_id,
)
from guardd.model.names import MarginMode, PositionKey, PositionMode
from guardd.model.order import ProtectionKind
from guardd.model.reading import is_value
from guardd.model.state import AccountState, Held
from guardd.venues.limiter import Lane

POSITION_AGE_S_MAX: Final = 3.0
"""A closing move needs a position read no older than this (interfaces.md 2.3)."""
PLANS_AGE_S_MAX: Final = 10.0
"""A stop is ended only when a plan list this young shows what stands in its place (I3)."""
CLOSE_DECISIONS_PER_MINUTE: Final = 3

_SEAL: Final = object()


class NeedsRead(Struct, frozen=True, kw_only=True):
    """The positions must be read before this can be judged: read once (deadline 500 ms) and decide anew."""

    key: PositionKey
    why: str


class ApprovedIntent:
    """An intent that passed every check. Made by `approve` alone: the seal is this module's own."""

    __slots__ = ("_intent", "_lane", "_position_mode")

    def __init__(self, seal: object, *, intent: Intent, lane: Lane, position_mode: PositionMode) -> None:
        if seal is not _SEAL:
            raise TypeError("ApprovedIntent: made outside guardd.execution.approve; an unchecked intent can't be sent")
        self._intent = intent
        self._lane = lane
        self._position_mode = position_mode

    def __init_subclass__(cls) -> None:
        raise TypeError("ApprovedIntent: has no subclasses; an unchecked intent can't be sent")

    @property
    def intent(self) -> Intent:
        return self._intent

    @property
    def lane(self) -> Lane:
        return self._lane

    @property
    def position_mode(self) -> PositionMode:
        return self._position_mode


Verdict: TypeAlias = ApprovedIntent | Refusal | NeedsRead


def approve(
    proposal: Proposal,
    state: AccountState,
    bounds: Bounds,
    *,
    leash: Leash,
    now: Instant,
    doubts: tuple[str, ...] = (),
    with_opposite: bool = False,
) -> Verdict:
    """Judge one proposal on the state as it is.

    `doubts` is what speaks against a reducing write by the account's last cross-check (`guardd.risk.crosscheck`; that none was
    made yet is a doubt too). They matter before the first reducing write of an episode (I29).
    `with_opposite`: the other leg of this instrument is being closed in the same step, so that the net exposure that stands
    in between is meant (interfaces.md 2.5).
    """
    verdict = _judge(proposal, state, bounds, leash=leash, now=now, doubts=doubts, with_opposite=with_opposite)
    match verdict:
        case No():
            return Refusal(
                key=proposal.key,
                rule=proposal.rule,
                action=proposal.action,
                kind=verdict.kind,
                why=verdict.why,
                retry_at=verdict.retry_at,
            )
        case NeedsRead():
            return verdict
        case _:
            mode = _mode_for(verdict, state)
            if mode is None:
                return NeedsRead(key=proposal.key, why="the position mode was never read (I29)")
            intent = _intent(proposal, verdict, state, now)
            return ApprovedIntent(_SEAL, intent=intent, lane=proposal.lane, position_mode=mode)


def _mode_for(write: Write, state: AccountState) -> PositionMode | None:
    """The mode to send in. Where it changes nothing on the wire, a position isn't kept from its stop because it can't be read."""
    if state.position_mode is None and isinstance(write, PlaceProtection):
        return None if state.capabilities.close_sides_follow_mode else PositionMode.HEDGE
    return state.position_mode


def _judge(
    proposal: Proposal,
    state: AccountState,
    bounds: Bounds,
    *,
    leash: Leash,
    now: Instant,
    doubts: tuple[str, ...],
    with_opposite: bool,
) -> Write | No | NeedsRead:
    if no := _forbidden_by_mode(proposal, state) or _forbidden_by_history(proposal, state, now):
        return no
    instrument = state.instruments.get(proposal.key.symbol)
    if instrument is not None and instrument.unguarded:
        return No(kind=RefusalKind.UNGUARDED, why=f"{proposal.key.symbol} isn't guarded: {instrument.unguarded}")
    write = proposal.write
    if isinstance(write, CancelOrder):
        return _limits(proposal, state, leash, now) or _judge_cancel(proposal, write, state, now)
    held = state.held.get(proposal.key)
    if held is None or held.episode.id != proposal.episode:
        return No(kind=RefusalKind.EPISODE_OVER, why=f"the position of {proposal.episode} is no longer held")
    if instrument is None:
        return No(kind=RefusalKind.UNKNOWN_INSTRUMENT, why=f"{proposal.key.symbol}: its contract was never read")
    if no := _limits(proposal, state, leash, now):
        return no
    match write:
        case CloseAtMarket():
            if doubts and not _reduced_before(state, held):
                return No(kind=RefusalKind.CROSS_CHECK, why="I29: " + "; ".join(doubts))
            known = proposal.blind or proposal.operator or state.reads_held_back(now)
            if now.seconds_since(held.read) > POSITION_AGE_S_MAX and not known:
                return NeedsRead(key=proposal.key, why="the position's last read is too old for a closing move")
            return _judge_close(proposal, write, held, instrument, state, leash, now, with_opposite=with_opposite)
        case PlaceProtection():
            return _judge_place(write, held, instrument, bounds)
        case ModifyProtection():
            return _judge_modify(write, held, instrument, state, bounds)
        case SetLeverage() | AddMargin() | TransferToFutures():
            if doubts and not _reduced_before(state, held):
                return No(kind=RefusalKind.CROSS_CHECK, why="I29: " + "; ".join(doubts))
            if now.seconds_since(held.read) > POSITION_AGE_S_MAX or not _margin_known(write, held):
                return NeedsRead(key=proposal.key, why="the position's last read is too old for a margin step")
            return judge_lever(write, held, instrument, state, leash, now)
        case _:
            assert_never(write)


def _margin_known(write: Write, held: Held) -> bool:
    """What came of an addition is seen by the margin before it; a push with a new quantity leaves that unknown until a read."""
    return (
        not isinstance(write, AddMargin)
        or held.position.margin_mode is MarginMode.CROSS
        or is_value(held.position.margin)
    )


def _intent(proposal: Proposal, write: Write, state: AccountState, now: Instant) -> Intent:
    step = next_step(state, proposal.key, proposal.episode, proposal.rule)
    identity = client_id(proposal.key.account, proposal.episode, proposal.rule, step)
    held = state.held.get(proposal.key)
    inputs = dict(proposal.inputs)
    if proposal.action in CLOSING:
        inputs.setdefault(INPUT_DECISION, identity)
    return Intent(
        id=identity,
        account=proposal.key.account,
        key=proposal.key,
        episode=proposal.episode,
        rule=proposal.rule,
        step=step,
        action=proposal.action,
        write=write,
        decided=now,
        frame_ns=proposal.frame_ns,
        quantity_before=confirmed_quantity(state, proposal.key) if held is not None else Decimal(0),
        closed_before=held.position.closed_quantity if held is not None else Decimal(0),
        reason=proposal.reason,
        inputs=tuple(sorted(inputs.items())),
    )


# May anything be sent at all?


def _forbidden_by_mode(proposal: Proposal, state: AccountState) -> No | None:
    """I22: nothing before CONFIRM; while halted missing stops and `close` (and what the operator's own flatten needs)."""
    if not state.armed:
        return No(kind=RefusalKind.OBSERVING, why="observing: no signed write is sent")
    if state.foreign_guard:
        return No(kind=RefusalKind.OBSERVING, why="observing: another guardd is alive on this account (I14)")
    missing_stop = is_missing_stop(proposal.write, state)
    if state.parked is not None and not missing_stop:
        return No(kind=RefusalKind.PARKED, why=f"parked: {state.parked}")
    if state.halted and not missing_stop and not _passes_halt(proposal, state):
        return No(kind=RefusalKind.HALTED, why="halted: only missing stops and close act")
    return None


def _passes_halt(proposal: Proposal, state: AccountState) -> bool:
    match proposal.action:
        case Action.CLOSE:
            return True
        case Action.FREE_VOLUME:
            return proposal.lane is Lane.EMERGENCY
        case Action.CANCEL_ENTRIES:
            return proposal.operator
        case Action.CANCEL_PROTECTION:
            # What a close left behind belongs to that close: our stop must not wait for the user's next position (I6).
            return proposal.key not in state.held
        case _:
            return False


def _forbidden_by_history(proposal: Proposal, state: AccountState, now: Instant) -> No | None:
    if state.unresolved and not is_missing_stop(proposal.write, state):
        return No(kind=RefusalKind.IN_FLIGHT, why=f"{state.unresolved} intents of an earlier run are not resolved yet")
    for pending in state.in_flight(proposal.key):
        intent = pending.intent
        same_rule = intent.episode == proposal.episode and intent.rule == proposal.rule
        if same_rule and lever_holds(intent, proposal.action, now):
            return No(kind=RefusalKind.IN_FLIGHT, why=f"intent {intent.id} of this rule is {pending.stage}")
    held_back = not_before(state, proposal.key, proposal.episode, proposal.rule, proposal.write)
    if held_back is not None and now.mono_ns < held_back.mono_ns:
        wait_s = held_back.seconds_since(now)
        return No(kind=RefusalKind.TOO_EARLY, why=f"the next try is in {wait_s:.1f} s", retry_at=held_back)
    return None


def _reduced_before(state: AccountState, held: Held) -> bool:
    """A closing write of this episode left already: its first one was cross-checked."""
    seen = [pending.intent for pending in state.in_flight(held.key)]
    seen += [each.intent for each in state.finished.of(held.key) if each.stage not in (Stage.REFUSED, Stage.VOID)]
    return any(intent.episode == held.episode.id and intent.action in CLOSING for intent in seen)


# The leash (interfaces.md 2.6)


def _limits(proposal: Proposal, state: AccountState, leash: Leash, now: Instant) -> No | None:
    if proposal.operator or is_missing_stop(proposal.write, state) or is_missing_part(proposal.write, state):
        return None
    if proposal.action is Action.CLOSE:
        return _breaker(proposal, state, now)
    if proposal.action is Action.FREE_VOLUME and proposal.lane is Lane.EMERGENCY:
        return None
    sent = orders_sent(state, now)
    if sent >= leash.orders_per_minute:
        why = f"orders_per_minute: {sent} were sent in the last minute, {leash.orders_per_minute} are allowed"
        return No(kind=RefusalKind.LIMIT, why=why)
    return None


def _breaker(proposal: Proposal, state: AccountState, now: Instant) -> No | None:
    decisions = close_decisions(state, proposal.key, now)
    serves = dict(proposal.inputs).get(INPUT_DECISION)
    if serves in decisions or len(decisions) < CLOSE_DECISIONS_PER_MINUTE:
        return None
    why = f"runaway breaker: {len(decisions)} closing decisions on this position in the last minute"
    return No(kind=RefusalKind.BREAKER, why=why)


def _reduce_limit(write: CloseAtMarket, state: AccountState, leash: Leash, now: Instant) -> No | None:
    done = reduced(state, write.key, now)
    allowed = leash.reduce_per_hour * largest_quantity(state, write.key, now)
    if done + write.size <= allowed:
        return None
    why = f"reduce_per_hour: {done} contracts were closed in the last hour, {write.size} more would pass {allowed}"
    return No(kind=RefusalKind.LIMIT, why=why)


# Closing: invariants I1, I2, I15, I18


def _judge_close(
    proposal: Proposal,
    write: CloseAtMarket,
    held: Held,
    instrument: Instrument,
    state: AccountState,
    leash: Leash,
    now: Instant,
    *,
    with_opposite: bool,
) -> CloseAtMarket | No:
    in_flight = [p.intent for p in state.in_flight(write.key) if isinstance(p.intent.write, CloseAtMarket)]
    if any(proposal.action is Action.REDUCE or intent.action is Action.CLOSE for intent in in_flight):
        return No(kind=RefusalKind.IN_FLIGHT, why="another close of this position is in flight")
    quantity = confirmed_quantity(state, write.key)
    free = quantity - closing_in_flight(state, write.key)
    whole = proposal.action is Action.CLOSE
    size = slice_of(min(write.size, free), free, instrument, whole=whole)
    if size <= 0:
        why = f"{quantity} held, {quantity - free} in flight: nothing left that the venue takes (at least {instrument.min_size})"
        return No(kind=RefusalKind.TOO_SMALL, why=why)
    sized = replace(write, size=size)
    if write.limit_price is not None:
        price = write.limit_price
        rounded = instrument.price_down(price) if write.key.side.sign > 0 else instrument.price_up(price)
        sized = replace(sized, limit_price=rounded)
    if not whole and (no := _reduce_limit(sized, state, leash, now)):
        return no
    if not with_opposite and exposure_raised(state, held, size):
        why = "I15: it would raise the net exposure of this instrument's legs"
        return No(kind=RefusalKind.WORSENS, why=why)
    return sized


# Protection: invariants I4, I11, I13, I18


def _judge_place(write: PlaceProtection, held: Held, instrument: Instrument, bounds: Bounds) -> PlaceProtection | No:
    trigger = _towards_mark(write.trigger_price, write.key, write.kind, instrument)
    if no := _misplaced(trigger, write.key, write.kind, bounds):
        return no
    quantity = held.position.quantity
    size = None if write.size is None else min(instrument.size_down(write.size), quantity)
    if size is not None and size < instrument.min_size:
        return No(kind=RefusalKind.TOO_SMALL, why=f"size {write.size} is below the venue's {instrument.min_size}")
    return replace(write, trigger_price=trigger, size=size, position_size=quantity)


def _judge_modify(
    write: ModifyProtection, held: Held, instrument: Instrument, state: AccountState, bounds: Bounds
) -> ModifyProtection | No:
    plan = state.plans.get(write.order_id)
    if plan is None or plan.key != write.key:
        return No(kind=RefusalKind.UNCONFIRMED, why=f"order {write.order_id} is not in the plan list")
    if not made_by_us(state, plan):
        return No(kind=RefusalKind.NOT_OURS, why=f"I13: order {write.order_id} is not ours")
    trigger = _towards_mark(write.trigger_price, write.key, write.kind, instrument)
    if no := _misplaced(trigger, write.key, write.kind, bounds):
        return no
    size = None if write.size is None else min(instrument.size_down(write.size), held.position.quantity)
    if size is not None and size < instrument.min_size:
        return No(kind=RefusalKind.TOO_SMALL, why=f"size {write.size} is below the venue's {instrument.min_size}")
    tighter = (trigger - plan.trigger_price) * write.key.side.sign
    if write.kind is ProtectionKind.STOP_LOSS and (tighter < 0 or (tighter == 0 and size == plan.size)):
        why = f"I11: from {plan.trigger_price} to {trigger} leads away from the price"
        return No(kind=RefusalKind.RATCHET, why=why)
    return replace(write, trigger_price=trigger, size=size)


def _towards_mark(price: Decimal, key: PositionKey, kind: ProtectionKind, instrument: Instrument) -> Decimal:
    """On tick, rounded towards the mark: a long's stop up, its take-profit down, a short's the other way (I18)."""
    below = (key.side.sign > 0) == (kind is ProtectionKind.STOP_LOSS)
    return instrument.price_up(price) if below else instrument.price_down(price)


def _misplaced(trigger: Decimal, key: PositionKey, kind: ProtectionKind, bounds: Bounds) -> No | None:
    if not is_value(bounds.mark):
        return No(kind=RefusalKind.MISPLACED, why="I4: no mark price to place it by")
    sign = key.side.sign if kind is ProtectionKind.STOP_LOSS else -key.side.sign
    if (bounds.mark - trigger) * sign <= 0 or trigger <= 0:
        return No(kind=RefusalKind.MISPLACED, why=f"I4: trigger {trigger} is not on its side of the mark {bounds.mark}")
    limit = bounds.liquidation_price
    if kind is ProtectionKind.STOP_LOSS and is_value(limit) and (trigger - limit) * sign <= 0:
        return No(kind=RefusalKind.MISPLACED, why=f"I4: trigger {trigger} is not before the liquidation price {limit}")
    return None


# Cancels: invariants I3, I6, I13, I30


def _judge_cancel(proposal: Proposal, write: CancelOrder, state: AccountState, now: Instant) -> CancelOrder | No:
    if not write.order_id:
        return No(kind=RefusalKind.NOT_OURS, why="I30: a cancel without an id would cancel everything")
    held = state.held.get(write.key)
    if held is not None and held.missing_since is not None:
        return No(
            kind=RefusalKind.UNCONFIRMED, why="I6: a read lost this position; nothing is cancelled until another agrees"
        )
    order = state.plans.get(write.order_id) or state.resting.get(write.order_id)
    if order is None:
        return No(kind=RefusalKind.UNCONFIRMED, why=f"order {write.order_id} is not in the lists")
    match proposal.action:
        case Action.CANCEL_ENTRIES if not order.closes:
            return write
        case Action.FREE_VOLUME if order.closes and order.key == write.key and write.order_id in state.resting:
            return write
        case Action.CANCEL_PROTECTION if not made_by_us(state, order):
            return No(kind=RefusalKind.NOT_OURS, why=f"I13: order {write.order_id} is not ours")
        case Action.CANCEL_PROTECTION:
            return _judge_ending(proposal, write, state, now)
        case _:
            why = f"I13: {proposal.action} may not cancel order {write.order_id}"
            return No(kind=RefusalKind.NOT_OURS, why=why)


def _judge_ending(proposal: Proposal, write: CancelOrder, state: AccountState, now: Instant) -> CancelOrder | No:
    """I3: a stop of ours ends when the position is gone, or when a fresh list shows what stands in its place."""
    if write.key not in state.held:
        return write
    plan = state.plans.get(write.order_id)
    if plan is None or plan.protection is not ProtectionKind.STOP_LOSS:
        return write
    if state.plans_at is None or now.seconds_since(state.plans_at) > PLANS_AGE_S_MAX:
        return No(kind=RefusalKind.UNCONFIRMED, why="I3: the plan list is too old to end a stop on")
    if lists_are_older(state, state.held[write.key]):
        return No(kind=RefusalKind.UNCONFIRMED, why="I3: the quantity changed since the plan orders were asked for")
    ending = {write.order_id} | {
        pending.intent.write.order_id
        for pending in state.in_flight(write.key)
        if isinstance(pending.intent.write, CancelOrder)
    }
    instead = state.plans.get(proposal.instead) if proposal.instead is not None else None
    if instead is not None and instead.order_id in ending:
        instead = None
    quantity = state.held[write.key].position.quantity
    others = [each for each in own_plans(state, write.key, plan.protection) if each.order_id not in ending]
    if instead is not None and stands_in_for(instead, plan, quantity, others, placed_for(state, instead, quantity)):
        return write
    if stands_as_asked(plan, others, proposal.asked, quantity):
        return write
    if proposal.makes_room and instead is not None and makes_room(state, instead, plan):
        return write
    if proposal.gap_allowed and venue_allows_one(state, write.key, plan.protection, now):
        return write
    return No(kind=RefusalKind.UNCONFIRMED, why=f"I3: nothing confirmed stands in for stop {write.order_id}")
