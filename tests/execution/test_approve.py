"""What may be sent: modes, limits, sizes, prices, the order of replacement. Each invariant by its id."""

from decimal import Decimal
from typing import Any

import pytest

from guardd.execution.approve import ApprovedIntent, NeedsRead, approve
from guardd.execution.closing import closing_steps
from guardd.execution.patience import CLOSED, SHUT_OUT
from guardd.execution.proposal import INPUT_DECISION, Bounds, Leash, Proposal
from guardd.execution.refusal import Refusal, RefusalKind
from guardd.model.decision import Close, Reduce
from guardd.model.event import (
    BlockKind,
    BlockMoved,
    ForeignGuardSeen,
    IntentMoved,
    OperatorSpoke,
    OperatorWord,
    OrdersRead,
    PositionsPushed,
    PositionsRead,
)
from guardd.model.fold import fold
from guardd.model.instant import NS_PER_S, Instant
from guardd.model.instrument import Instrument
from guardd.model.intent import (
    CLIENT_ID_PREFIX,
    Action,
    CancelKind,
    CancelOrder,
    CloseAtMarket,
    Intent,
    ModifyProtection,
    PlaceProtection,
    SetLeverage,
    Stage,
)
from guardd.model.names import ClientId, MarginMode, OrderId, PriceType, RuleName
from guardd.model.order import PlanForm, ProtectionKind
from guardd.model.outcome import Reason, Rejected
from guardd.model.position import episode_id
from guardd.model.reading import Absent
from guardd.model.state import AccountState, Pushed
from guardd.venues.limiter import Lane
from tests.changed import replace
from tests.execution.bench import (
    BOUNDS,
    EPISODE,
    INSTRUMENT,
    LEASH,
    LONG,
    OPENED_MS,
    SHORT,
    D,
    balance,
    finish,
    fresh_state,
    plan,
    position,
    resting,
)

NOW = Instant(1_000 * NS_PER_S, OPENED_MS + 1_000_000)
CLOSE = Close(key=LONG, episode=EPISODE, rule=RuleName("last-resort"), reason="the end is near")


def account(*rows, plans=(), orders=(), armed: bool = True, instrument: Instrument = INSTRUMENT) -> AccountState:
    state = fresh_state(NOW, armed=armed)
    state.instruments[instrument.symbol] = instrument
    fold(state, PositionsRead(started=NOW, at=NOW, positions=rows or (position(),)))
    fold(state, OrdersRead(started=NOW, at=NOW, resting=tuple(orders), plans=tuple(plans)))
    return state


def stop(trigger: str = "90", *, form: PlanForm = PlanForm.WHOLE, size: int | None = None, **changes: Any) -> Proposal:
    write = PlaceProtection(
        key=LONG,
        kind=changes.pop("kind", ProtectionKind.STOP_LOSS),
        form=form,
        trigger_price=D(trigger),
        price_type=PriceType.MARK,
        size=None if size is None else D(size),
        position_size=D(100),
        leverage=D(5),
        margin_mode=MarginMode.ISOLATED,
    )
    return proposal(write, rule="rest/stop_loss/0", action=Action.STOP_LOSS, **changes)


def proposal(write, *, rule: str, action: Action, **changes: Any) -> Proposal:
    asked = Proposal(
        key=LONG,
        episode=EPISODE,
        rule=RuleName(rule),
        action=action,
        write=write,
        lane=Lane.EMERGENCY,
        reason="test",
    )
    return replace(asked, **changes)


def cancel(order_id: str, action: Action = Action.CANCEL_PROTECTION, **changes: Any) -> Proposal:
    kind = changes.pop("kind", CancelKind.PLAN)
    write = CancelOrder(key=LONG, order_id=OrderId(order_id), kind=kind)
    return proposal(write, rule=f"end/{order_id}", action=action, **changes)


def reduce_by(size: int | str, rule: str = "trim") -> Reduce:
    return Reduce(key=LONG, episode=EPISODE, rule=RuleName(rule), size=D(size), reason="too near")


def judge(asked: Proposal | Close | Reduce, state: AccountState, *, now: Instant = NOW, **changes: Any):
    bounds = changes.pop("bounds", BOUNDS)
    if not isinstance(asked, Proposal):
        [asked] = closing_steps(asked, state, bounds, now=now).proposals
    return approve(asked, state, bounds, **{"leash": LEASH, "now": now, **changes})


def intent_of(verdict) -> Intent:
    assert isinstance(verdict, ApprovedIntent), verdict
    return verdict.intent


def refusal_of(verdict) -> RefusalKind:
    assert isinstance(verdict, Refusal), verdict
    return verdict.kind


def say(state: AccountState, word: OperatorWord) -> AccountState:
    fold(state, OperatorSpoke(at=NOW, word=word, why="test"))
    return state


# The seal


def test_an_approved_intent_cannot_be_made_elsewhere() -> None:
    real = judge(CLOSE, account())
    assert isinstance(real, ApprovedIntent)
    with pytest.raises(TypeError, match="outside"):
        ApprovedIntent(object(), intent=real.intent, lane=real.lane, position_mode=real.position_mode)
    with pytest.raises(TypeError, match="subclasses"):
        type("Forged", (ApprovedIntent,), {})


def test_the_client_id_is_a_pure_function_of_what_it_is_for() -> None:
    first, again = intent_of(judge(CLOSE, account())), intent_of(judge(CLOSE, account()))
    other = intent_of(judge(replace(CLOSE, rule=RuleName("other")), account()))
    assert first.id == again.id != other.id
    assert first.id.startswith(CLIENT_ID_PREFIX)
    assert len(first.id) <= 32


@pytest.mark.parametrize("stage", [Stage.REJECTED, Stage.VERIFIED, Stage.FAILED])
def test_a_finished_step_never_lends_its_id_to_the_next(stage: Stage) -> None:
    state = account()
    first = intent_of(judge(CLOSE, state))
    reason = Reason.NOT_SENT if stage is Stage.REJECTED else None
    finish(state, first, stage, NOW, reason=reason, filled=D(0))
    later = NOW.later_by(2.9)
    assert intent_of(judge(CLOSE, state, now=later)).id != first.id


def test_a_void_step_keeps_its_id_through_rejections_until_the_venue_has_it() -> None:
    state = account()
    first = intent_of(judge(CLOSE, state))
    for stage, reason in ((Stage.VOID, None), (Stage.REJECTED, Reason.NOT_SENT), (Stage.VOID, None)):
        finish(state, first, stage, NOW, reason=reason)
        assert intent_of(judge(CLOSE, state, now=NOW.later_by(1))).id == first.id
    finish(state, first, Stage.VERIFIED, NOW, filled=D(1))
    assert intent_of(judge(CLOSE, state, now=NOW.later_by(1))).id != first.id


# Modes: invariant I22


def test_I22_nothing_is_approved_before_confirm() -> None:
    state = account(armed=False)
    assert {refusal_of(judge(asked, state)) for asked in (CLOSE, stop())} == {RefusalKind.OBSERVING}


def test_I14_another_guard_on_the_account_puts_this_one_in_observe() -> None:
    state = account()
    fold(state, ForeignGuardSeen(at=NOW, ids=(ClientId("gd1other"),)))
    assert refusal_of(judge(CLOSE, state)) is RefusalKind.OBSERVING


def test_I22_while_halted_only_missing_stops_and_close_act() -> None:
    state = say(account(), OperatorWord.HALT)
    assert isinstance(judge(CLOSE, state), ApprovedIntent)
    assert isinstance(judge(stop(), state), ApprovedIntent)
    assert refusal_of(judge(reduce_by(10), state)) is RefusalKind.HALTED
    assert refusal_of(judge(stop("110", kind=ProtectionKind.TAKE_PROFIT), state)) is RefusalKind.HALTED


def test_I22_while_halted_a_stop_that_is_not_missing_is_left_alone() -> None:
    state = say(account(plans=[plan("1")]), OperatorWord.HALT)
    state.own_order_ids.add(OrderId("1"))
    assert refusal_of(judge(stop("92"), state)) is RefusalKind.HALTED


def test_parked_may_restore_a_missing_stop_and_nothing_else() -> None:
    state = say(account(), OperatorWord.PARK)
    assert isinstance(judge(stop(), state), ApprovedIntent)
    assert refusal_of(judge(CLOSE, state)) is RefusalKind.PARKED


def test_an_intent_of_one_episode_never_acts_on_the_next() -> None:
    old = proposal(CloseAtMarket(key=LONG, size=D(1)), rule="r", action=Action.CLOSE, episode=episode_id(LONG, 1))
    assert refusal_of(judge(old, account())) is RefusalKind.EPISODE_OVER


# Closing: invariants I1, I2, I18


def test_I01_a_second_close_of_what_is_in_flight_is_refused() -> None:
    state = account()
    finish(state, intent_of(judge(CLOSE, state)), Stage.UNKNOWN, NOW)
    assert refusal_of(judge(replace(CLOSE, rule=RuleName("other")), state)) is RefusalKind.IN_FLIGHT


def test_I01_a_close_beside_an_unknown_reduce_takes_only_what_that_leaves() -> None:
    state = account()
    finish(state, intent_of(judge(reduce_by(30), state)), Stage.UNKNOWN, NOW)
    assert intent_of(judge(CLOSE, state)).write.size == 70


def test_I02_a_size_above_the_position_is_cut_to_it() -> None:
    asked = proposal(CloseAtMarket(key=LONG, size=D(500)), rule="trim", action=Action.REDUCE)
    assert intent_of(judge(asked, account())).write.size == 100


def test_I02_a_fill_that_the_read_does_not_show_yet_is_not_closed_twice() -> None:
    state = account()
    finish(state, intent_of(judge(reduce_by(40), state)), Stage.VERIFIED, NOW, filled=D(40))
    assert intent_of(judge(CLOSE, state)).write.size == 60


@pytest.mark.parametrize(
    ("held", "asked", "expected"),
    [
        (100, "10.7", "10"),
        (2_500, "2500", "1000"),
        (100, "98", "95"),
        (1_003, "1003", "998"),
    ],
    ids=["on step", "a slice", "the minimum stays", "no dust after a slice"],
)
def test_I18_sizes_are_on_step_within_bounds_and_leave_no_dust(held: int, asked: str, expected: str) -> None:
    instrument = replace(INSTRUMENT, min_size=D(5))
    state = account(position(quantity=held), instrument=instrument)
    whole = D(asked) == held
    decision = CLOSE if whole else reduce_by(asked)
    assert intent_of(judge(decision, state)).write.size == D(expected)


def test_dust_that_no_order_can_close_is_refused_and_told() -> None:
    state = account(position(quantity=3), instrument=replace(INSTRUMENT, min_size=D(5)))
    assert refusal_of(judge(CLOSE, state)) is RefusalKind.TOO_SMALL


def test_a_contract_that_was_never_read_is_not_traded() -> None:
    state = account()
    state.instruments.clear()
    assert refusal_of(judge(CLOSE, state)) is RefusalKind.UNKNOWN_INSTRUMENT


def test_a_closing_move_needs_a_read_no_older_than_three_seconds() -> None:
    later = NOW.later_by(3.1)
    assert isinstance(judge(CLOSE, account(), now=later), NeedsRead)
    assert isinstance(judge(CLOSE, account(), now=NOW.later_by(2.9)), ApprovedIntent)


def test_I09_a_close_whose_rule_acts_while_blind_goes_from_the_last_confirmed_quantity() -> None:
    later = NOW.later_by(60)
    intent = intent_of(judge(replace(CLOSE, blind=True), account(), now=later))
    assert isinstance(intent.write, CloseAtMarket)
    assert intent.write.size == 100


def test_where_a_block_holds_reads_back_the_last_confirmed_quantity_serves() -> None:
    state, later = account(), NOW.later_by(10)
    fold(state, BlockMoved(at=NOW, kind=BlockKind.EDGE, until=NOW.later_by(60)))
    assert isinstance(judge(CLOSE, state, now=later), ApprovedIntent)


def test_a_block_whose_time_has_come_is_being_probed_and_still_holds_reads_back() -> None:
    """Each minute its time passes, and until the probe is answered nothing else has changed."""
    state, probed = account(), NOW.later_by(60.5)
    fold(state, BlockMoved(at=NOW, kind=BlockKind.EDGE, until=NOW.later_by(60)))
    assert isinstance(judge(CLOSE, state, now=probed), ApprovedIntent)
    assert isinstance(judge(CLOSE, state, now=NOW.later_by(63)), NeedsRead), "a word about its end was lost"


def test_without_a_position_mode_nothing_is_sent() -> None:
    state = account()
    state.position_mode = None
    assert isinstance(judge(CLOSE, state), NeedsRead)
    assert isinstance(judge(stop(), state), NeedsRead)


def test_a_stop_does_not_wait_for_a_position_mode_that_changes_nothing_on_the_wire() -> None:
    """One endpoint that fails must not leave every position naked; the first close is cross-checked all the same (I29)."""
    state = account()
    state.position_mode = None
    state.capabilities = replace(state.capabilities, close_sides_follow_mode=False)
    assert isinstance(judge(stop(), state), ApprovedIntent)
    assert isinstance(judge(CLOSE, state), NeedsRead)


def test_nothing_is_sent_for_a_contract_that_isnt_guarded() -> None:
    """Not a stop, not a close, not the operator's, not even a cancel."""
    state = account(instrument=replace(INSTRUMENT, unguarded="Coin-M: its unit isn't documented"))
    for write in (
        stop(),
        proposal(CloseAtMarket(key=LONG, size=D(100)), rule="flatten", action=Action.CLOSE, operator=True),
        cancel("7"),
        cancel("7", Action.CANCEL_ENTRIES, operator=True),
        proposal(
            SetLeverage(key=LONG, margin_mode=MarginMode.ISOLATED, leverage=D(2)), rule="l", action=Action.SET_LEVERAGE
        ),
    ):
        verdict = approve(write, state, BOUNDS, leash=LEASH, now=NOW)
        assert isinstance(verdict, Refusal)
        assert verdict.kind is RefusalKind.UNGUARDED
        assert "its unit isn't documented" in verdict.why


# Exposure: invariants I15, I17


def hedge(long: int, short: int) -> AccountState:
    cross = {"margin_mode": MarginMode.CROSS}
    return account(position(quantity=long, **cross), position(SHORT, quantity=short, **cross))


def test_I15_closing_the_smaller_leg_of_a_cross_hedge_alone_is_refused() -> None:
    small = Close(key=SHORT, episode=episode_id(SHORT, OPENED_MS), rule=RuleName("r"), reason="test")
    state = hedge(100, 60)
    assert refusal_of(judge(small, state)) is RefusalKind.WORSENS
    assert isinstance(judge(small, state, with_opposite=True), ApprovedIntent)


@pytest.mark.parametrize(("pushed_at_s", "refused"), [(1.0, True), (-1.0, False)], ids=["unread yet", "read since"])
def test_I15_a_leg_that_only_a_push_has_shown_counts_until_a_read_says_otherwise(
    pushed_at_s: float, refused: bool
) -> None:
    state = account(position(quantity=60, margin_mode=MarginMode.CROSS))
    state.positions_at = NOW
    state.pushed_quantities[SHORT] = Pushed(quantity=D(100), at=NOW.later_by(pushed_at_s), venue_ms=NOW.wall_ms)
    all_of_it = Close(key=LONG, episode=episode_id(LONG, OPENED_MS), rule=RuleName("r"), reason="test")
    verdict = judge(all_of_it, state)
    assert (refusal_of(verdict) is RefusalKind.WORSENS) if refused else isinstance(verdict, ApprovedIntent)


def test_I15_the_net_side_may_be_reduced() -> None:
    assert isinstance(judge(reduce_by(40), hedge(100, 60)), ApprovedIntent)


def test_I15_isolated_legs_are_judged_each_alone() -> None:
    state = account(position(), position(SHORT, quantity=60))
    small = Close(key=SHORT, episode=episode_id(SHORT, OPENED_MS), rule=RuleName("r"), reason="test")
    assert isinstance(judge(small, state), ApprovedIntent)


@pytest.mark.parametrize(("to", "approved"), [("4", True), ("5", False), ("6", False)])
def test_I17_leverage_is_never_raised(to: str, approved: bool) -> None:
    write = SetLeverage(key=LONG, margin_mode=MarginMode.ISOLATED, leverage=D(to))
    state = account()
    state.balances = {"USDT": balance(available="10000")}
    verdict = judge(proposal(write, rule="lever", action=Action.SET_LEVERAGE), state)
    assert isinstance(verdict, ApprovedIntent) is approved


# The cross-check: invariant I29


def test_I29_the_first_reducing_write_of_an_episode_needs_an_account_without_contradictions() -> None:
    assert refusal_of(judge(CLOSE, account(), doubts=("marks differ by 7 %",))) is RefusalKind.CROSS_CHECK


def test_I29_a_later_one_does_not() -> None:
    state = account()
    finish(state, intent_of(judge(reduce_by(10), state)), Stage.VERIFIED, NOW, filled=D(10))
    assert isinstance(judge(CLOSE, state, doubts=("marks differ",)), ApprovedIntent)


def test_I29_a_stop_is_placed_in_spite_of_doubts() -> None:
    assert isinstance(judge(stop(), account(), doubts=("marks differ",)), ApprovedIntent)


# Stops: invariants I4, I11, I18


@pytest.mark.parametrize("trigger", ["80", "79", "100", "101"])
def test_I04_a_stop_stands_strictly_between_liquidation_and_mark(trigger: str) -> None:
    assert refusal_of(judge(stop(trigger), account())) is RefusalKind.MISPLACED


def test_I04_where_there_is_no_liquidation_price_only_the_mark_binds() -> None:
    free = Bounds(mark=D(100), liquidation_price=Absent.NONE)
    assert isinstance(judge(stop("50"), account(), bounds=free), ApprovedIntent)
    assert refusal_of(judge(stop("100"), account(), bounds=free)) is RefusalKind.MISPLACED


def test_I04_a_take_profit_stands_beyond_the_mark() -> None:
    tp = {"kind": ProtectionKind.TAKE_PROFIT}
    assert isinstance(judge(stop("101", **tp), account()), ApprovedIntent)
    assert refusal_of(judge(stop("99", **tp), account())) is RefusalKind.MISPLACED


def test_I18_a_trigger_off_tick_is_rounded_towards_the_mark() -> None:
    assert intent_of(judge(stop("90.01"), account())).write.trigger_price == D("90.1")
    tp = judge(stop("110.09", kind=ProtectionKind.TAKE_PROFIT), account())
    assert intent_of(tp).write.trigger_price == D("110.0")


def test_I01_a_sized_stop_is_never_larger_than_the_position() -> None:
    assert intent_of(judge(stop(form=PlanForm.SIZED, size=150), account())).write.size == 100


def move(to: str, order_id: str = "1") -> Proposal:
    write = ModifyProtection(
        key=LONG,
        order_id=OrderId(order_id),
        kind=ProtectionKind.STOP_LOSS,
        form=PlanForm.WHOLE,
        trigger_price=D(to),
        price_type=PriceType.MARK,
        size=None,
    )
    return proposal(write, rule="rest/stop_loss/0", action=Action.STOP_LOSS, lane=Lane.ORDINARY)


@pytest.mark.parametrize(
    ("to", "kind"), [("89", RefusalKind.RATCHET), ("90", RefusalKind.RATCHET), ("100", RefusalKind.MISPLACED)]
)
def test_I11_a_stop_is_never_moved_away_from_the_price_nor_through_it(to: str, kind: RefusalKind) -> None:
    state = account(plans=[plan("1", "90")])
    state.own_order_ids.add(OrderId("1"))
    assert refusal_of(judge(move(to), state)) is kind
    assert isinstance(judge(move("91"), state), ApprovedIntent)


def test_I13_a_strangers_order_is_never_changed() -> None:
    assert refusal_of(judge(move("91"), account(plans=[plan("1", "90")]))) is RefusalKind.NOT_OURS


# Cancels: invariants I3, I6, I13, I30


def ours(*plans, **changes: Any) -> AccountState:
    state = account(plans=plans, **changes)
    state.own_order_ids.update(each.order_id for each in plans)
    return state


def test_I30_a_cancel_without_an_id_is_never_sent() -> None:
    assert refusal_of(judge(cancel(""), account())) is RefusalKind.NOT_OURS


def test_I03_a_stop_ends_only_when_what_stands_in_its_place_is_listed() -> None:
    state = ours(plan("old", "90"), plan("new", "92", form=PlanForm.SIZED, size=D(100)))
    assert refusal_of(judge(cancel("old"), state)) is RefusalKind.UNCONFIRMED
    assert refusal_of(judge(cancel("old", instead=OrderId("nowhere")), state)) is RefusalKind.UNCONFIRMED
    assert isinstance(judge(cancel("old", instead=OrderId("new")), state), ApprovedIntent)


@pytest.mark.parametrize(
    "flaw", [{"trigger_price": D(89)}, {"form": PlanForm.SIZED, "size": D(50)}, {"execution_price": D(91)}]
)
def test_I03_what_is_looser_smaller_or_a_limit_does_not_stand_in(flaw: dict[str, Any]) -> None:
    state = ours(plan("old", "90"), replace(plan("new", "92"), **flaw))
    assert refusal_of(judge(cancel("old", instead=OrderId("new")), state)) is RefusalKind.UNCONFIRMED


def test_I03_an_old_plan_list_proves_nothing() -> None:
    state, later = ours(plan("old", "90"), plan("new", "92")), NOW.later_by(11)
    assert refusal_of(judge(cancel("old", instead=OrderId("new")), state, now=later)) is RefusalKind.UNCONFIRMED


def test_I03_a_gap_needs_the_venues_own_refusal() -> None:
    state = ours(plan("old", "90"))
    asked = cancel("old", gap_allowed=True)
    assert refusal_of(judge(asked, state)) is RefusalKind.UNCONFIRMED
    refused = intent_of(judge(stop("92", form=PlanForm.SIZED, size=100), state))
    finish(state, refused, Stage.REJECTED, NOW, reason=Reason.PROTECTION_EXISTS)
    assert isinstance(judge(asked, state), ApprovedIntent)


def test_I06_nothing_is_cancelled_on_a_position_that_a_read_has_just_lost() -> None:
    state = ours(plan("old", "90"), plan("new", "92"))
    fold(state, PositionsRead(started=NOW, at=NOW, positions=()))
    assert refusal_of(judge(cancel("old", instead=OrderId("new")), state)) is RefusalKind.UNCONFIRMED


def test_I06_what_outlived_its_position_may_end_also_while_halted() -> None:
    state = say(ours(plan("old", "90")), OperatorWord.HALT)
    state.held.clear()
    assert isinstance(judge(cancel("old"), state), ApprovedIntent)


def test_I13_only_ours_end_as_protection_only_entries_as_entries_only_closes_as_volume() -> None:
    entry, closing = resting("entry", 5, closes=False), resting("close", 5)
    state = account(plans=[plan("users", "90")], orders=[entry, closing])
    assert refusal_of(judge(cancel("users"), state)) is RefusalKind.NOT_OURS
    by_action = {
        (action, order_id): isinstance(judge(cancel(order_id, action, kind=CancelKind.RESTING), state), ApprovedIntent)
        for action in (Action.CANCEL_ENTRIES, Action.FREE_VOLUME)
        for order_id in ("entry", "close")
    }
    assert by_action == {
        (Action.CANCEL_ENTRIES, "entry"): True,
        (Action.CANCEL_ENTRIES, "close"): False,
        (Action.FREE_VOLUME, "entry"): False,
        (Action.FREE_VOLUME, "close"): True,
    }


# The leash: interfaces.md 2.6


def spend(state: AccountState, count: int, *, at: Instant = NOW) -> None:
    """So many writes of this minute."""
    for number in range(count):
        asked = cancel(f"e{number}", Action.CANCEL_ENTRIES, kind=CancelKind.RESTING)
        state.resting[OrderId(f"e{number}")] = resting(f"e{number}", 1, closes=False)
        finish(state, intent_of(judge(asked, state, now=at, leash=Leash(orders_per_minute=10_000))), Stage.VERIFIED, at)


def test_orders_per_minute_bind_everything_but_missing_stops_and_close() -> None:
    state = account()
    spend(state, 30)
    assert refusal_of(judge(reduce_by(10), state)) is RefusalKind.LIMIT
    assert isinstance(judge(CLOSE, state), ApprovedIntent)
    assert isinstance(judge(stop(), state), ApprovedIntent)


@pytest.mark.parametrize(("to", "approved"), [(200, True), (100, False)], ids=["enlarged", "only moved"])
def test_a_stop_that_is_enlarged_because_the_position_grew_passes_the_limit(to: int, approved: bool) -> None:
    """A modify where the venue has no room for a second order: else half of it stood bare for the rest of the minute."""
    resting_one = replace(plan("1", "90"), size=D(100), form=PlanForm.SIZED)
    state = account(position(quantity=200), plans=(resting_one,))
    state.own_order_ids.add(OrderId("1"))
    spend(state, 30)
    asked = move("91")
    write = replace(asked.write, form=PlanForm.SIZED, size=D(to))
    verdict = judge(replace(asked, write=write), state)
    assert isinstance(verdict, ApprovedIntent) if approved else refusal_of(verdict) is RefusalKind.LIMIT


def test_what_the_limit_does_not_bind_does_not_use_it_up() -> None:
    state = account()
    for number in range(40):
        finish(state, intent_of(judge(replace(stop(), rule=RuleName(f"stop{number}")), state)), Stage.VERIFIED, NOW)
    assert isinstance(judge(reduce_by(10), state), ApprovedIntent)


def test_the_minute_is_a_sliding_window() -> None:
    state = account()
    spend(state, 30)
    later = NOW.later_by(61)
    fold(state, PositionsRead(started=later, at=later, positions=(position(),)))
    assert isinstance(judge(reduce_by(10), state, now=later), ApprovedIntent)


def test_reduce_per_hour_counts_what_was_filled_against_the_largest_quantity_of_the_hour() -> None:
    state, half = account(), Leash(reduce_per_hour=D("0.5"))
    first = intent_of(judge(reduce_by(30), state, leash=half))
    finish(state, first, Stage.VERIFIED, NOW, filled=D(30))
    fold(state, PositionsRead(started=NOW, at=NOW, positions=(position(quantity=70, closed_quantity=D(30)),)))
    assert refusal_of(judge(reduce_by(21), state, leash=half)) is RefusalKind.LIMIT
    assert isinstance(judge(reduce_by(20), state, leash=half), ApprovedIntent)
    assert isinstance(judge(CLOSE, state, leash=half), ApprovedIntent)


def test_the_breaker_stops_the_fourth_closing_decision_of_a_minute() -> None:
    state = account()
    for number in range(3):
        asked = replace(CLOSE, rule=RuleName(f"rule{number}"))
        finish(state, intent_of(judge(asked, state)), Stage.VERIFIED, NOW, filled=D(0))
    fourth = replace(CLOSE, rule=RuleName("fourth"))
    assert refusal_of(judge(fourth, state)) is RefusalKind.BREAKER
    [by_operator] = closing_steps(fourth, state, BOUNDS, now=NOW, operator=True).proposals
    assert isinstance(judge(by_operator, state), ApprovedIntent), "the operator's own word is no runaway"
    later = NOW.later_by(61)
    fold(state, PositionsRead(started=later, at=later, positions=(position(),)))
    assert isinstance(judge(CLOSE, state, now=later), ApprovedIntent)


def test_slices_and_further_tries_of_one_decision_do_not_trip_the_breaker() -> None:
    state, now = account(position(quantity=8_000)), NOW
    decisions = set()
    for number in range(6):
        intent = intent_of(judge(CLOSE, state, now=now))
        decisions.add(dict(intent.inputs)[INPUT_DECISION])
        if number % 2:
            finish(state, intent, Stage.REJECTED, now, reason=Reason.NOT_SENT)
        else:
            finish(state, intent, Stage.VERIFIED, now, filled=intent.write.size)
        now = now.later_by(2.5)
        left = D(8_000) - sum((each.filled or D(0) for each in state.finished), D(0))
        row = position(quantity=int(left), closed_quantity=8_000 - left)
        fold(state, PositionsRead(started=now, at=now, positions=(row,)))
    assert len(decisions) == 1


# Patience: interfaces.md section 6


@pytest.mark.parametrize(
    ("reason", "too_early_s", "due_s"),
    [
        (Reason.EDGE_BLOCKED, 29, 61),
        (Reason.BANNED, 59, 61),
        (Reason.NOT_SENT, 0.2, 0.3),
        (Reason.RATE_LIMITED, 0.2, 0.3),
        (Reason.PERMISSION, 9, 11),
        (Reason.MAINTENANCE, 2.9, 3.1),
        (Reason.INVALID, 2.9, 3.1),
        (Reason.POSITION_LIQUIDATING, 0.9, 1.1),
    ],
)
def test_a_rejected_close_is_tried_again_by_the_venues_reason(reason: Reason, too_early_s: float, due_s: float) -> None:
    state = account()
    if reason in (Reason.EDGE_BLOCKED, Reason.BANNED):
        kind = BlockKind.EDGE if reason is Reason.EDGE_BLOCKED else BlockKind.BAN
        fold(state, BlockMoved(at=NOW, kind=kind, until=NOW.later_by(60)))
    finish(state, intent_of(judge(CLOSE, state)), Stage.REJECTED, NOW, reason=reason)
    early, due = NOW.later_by(too_early_s), NOW.later_by(due_s)
    state.held[LONG].read = due
    refusal = judge(CLOSE, state, now=early)
    assert refusal_of(refusal) is RefusalKind.TOO_EARLY
    assert refusal.retry_at is not None
    assert isinstance(judge(CLOSE, state, now=due), ApprovedIntent)


@pytest.mark.parametrize(("reason", "kind"), [(Reason.EDGE_BLOCKED, BlockKind.EDGE), (Reason.BANNED, BlockKind.BAN)])
def test_I10_a_close_that_a_block_held_goes_as_soon_as_the_block_is_over(reason: Reason, kind: BlockKind) -> None:
    state = account()
    fold(state, BlockMoved(at=NOW, kind=kind, until=NOW.later_by(60)))
    finish(state, intent_of(judge(CLOSE, state)), Stage.REJECTED, NOW, reason=reason)
    now = NOW.later_by(2)
    assert refusal_of(judge(CLOSE, state, now=now)) is RefusalKind.TOO_EARLY
    fold(state, BlockMoved(at=now, kind=kind, until=None))
    assert isinstance(judge(CLOSE, state, now=now), ApprovedIntent)


def test_a_close_that_never_left_waits_only_until_the_limiter_lets_it_through() -> None:
    state = account()
    fold(state, BlockMoved(at=NOW, kind=BlockKind.EDGE, until=NOW.later_by(60)))
    intent = intent_of(judge(CLOSE, state))
    held_back = Rejected(reason=Reason.EDGE_BLOCKED, code="", text="Cloudflare blocks this address", retry_after_s=1.5)
    for stage, outcome in (
        (Stage.DECIDED, None),
        (Stage.JOURNALLED, None),
        (Stage.SENT, None),
        (Stage.REJECTED, held_back),
    ):
        fold(state, IntentMoved(at=NOW, intent=intent, stage=stage, outcome=outcome))
    assert refusal_of(judge(CLOSE, state, now=NOW.later_by(1.4))) is RefusalKind.TOO_EARLY
    assert isinstance(judge(CLOSE, state, now=NOW.later_by(1.6)), ApprovedIntent)


def _turned_away(asked: Proposal, state: AccountState, outcome: Rejected, at: Instant) -> None:
    state.held[LONG].read = at
    intent = intent_of(judge(asked, state, now=at))
    for stage in (Stage.DECIDED, Stage.JOURNALLED, Stage.SENT):
        fold(state, IntentMoved(at=at, intent=intent, stage=stage))
    fold(state, IntentMoved(at=at, intent=intent, stage=Stage.REJECTED, outcome=outcome))


def test_I10_what_never_left_makes_no_later_wait_longer_and_is_told_when_to_come_again() -> None:
    """An account that is being converted: one refusal of the venue's, and for its time guardd keeps everything back itself."""
    state, now = account(), NOW
    kept = Rejected(reason=Reason.PERMISSION, code="", text="not sent: not unified any more", retry_after_s=30.0)
    for _ in range(4):
        _turned_away(stop(), state, kept, now)
        now = now.later_by(30.1)
    heard = Rejected(reason=Reason.PERMISSION, code="25245", text="Account is not unified")
    _turned_away(stop(), state, heard, now)
    assert isinstance(
        judge(stop(), state, now=now.later_by(10.1)), ApprovedIntent
    )  # the first of its kind: ten seconds


@pytest.mark.parametrize(("code", "approved"), [("", True), ("40012", False)], ids=["never left", "refused"])
def test_a_write_that_never_left_is_none_of_those_sent_in_a_minute(code: str, approved: bool) -> None:
    """Else a block that kept back what could wait kept back a reduction for a minute more."""
    state, at = account(), NOW
    profit = replace(stop("120", kind=ProtectionKind.TAKE_PROFIT), action=Action.TAKE_PROFIT)
    for _ in range(30):
        _turned_away(profit, state, Rejected(reason=Reason.NOT_SENT, code=code, text=""), at)
        at = at.later_by(2)
    state.held[LONG].read = at
    assert isinstance(judge(reduce_by(10), state, now=at), ApprovedIntent) is approved


@pytest.mark.parametrize("reason", sorted(set(Reason) - SHUT_OUT))
def test_I10_a_close_goes_again_within_five_seconds_whatever_was_refused_before(reason: Reason) -> None:
    state, now = account(), NOW
    for _ in range(8):
        state.held[LONG].read = now
        finish(state, intent_of(judge(CLOSE, state, now=now)), Stage.REJECTED, now, reason=reason)
        now = now.later_by(4)


@pytest.mark.parametrize("reason", sorted(set(Reason) - SHUT_OUT))
def test_I10_what_frees_the_volume_of_a_close_goes_again_as_soon_as_the_close(reason: Reason) -> None:
    """While somebody's resting close holds all of it, the close itself is refused."""
    state, now = account(orders=[resting("held", 100)]), NOW
    frees = cancel("held", Action.FREE_VOLUME, kind=CancelKind.RESTING)
    for _ in range(8):
        state.held[LONG].read = now
        finish(state, intent_of(judge(frees, state, now=now)), Stage.REJECTED, now, reason=reason)
        now = now.later_by(4)


@pytest.mark.parametrize("reason", sorted(CLOSED))
def test_I10_a_missing_stop_is_tried_each_ten_seconds_for_as_long_as_the_venue_is_shut(reason: Reason) -> None:
    state, now = account(), NOW
    for _ in range(8):
        state.held[LONG].read = now
        finish(state, intent_of(judge(stop(), state, now=now)), Stage.REJECTED, now, reason=reason)
        now = now.later_by(10.1)


@pytest.mark.parametrize("reason", sorted(CLOSED))
def test_I06_what_outlived_its_position_is_ended_within_ten_seconds_of_the_venues_opening(reason: Reason) -> None:
    """After three refusals it waited a minute: a position that was opened meanwhile met a dead one's stop."""
    state, now = ours(plan("old", "90")), NOW
    state.held.clear()
    for _ in range(8):
        finish(state, intent_of(judge(cancel("old"), state, now=now)), Stage.REJECTED, now, reason=reason)
        now = now.later_by(10.1)


@pytest.mark.parametrize("stage", [Stage.FAILED, Stage.REFUSED])
def test_I10_a_close_that_came_to_nothing_or_met_a_journal_that_failed_goes_again_as_soon(stage: Stage) -> None:
    state, now = account(), NOW
    for _ in range(8):
        state.held[LONG].read = now
        finish(state, intent_of(judge(CLOSE, state, now=now)), stage, now)
        now = now.later_by(4)


def test_every_reason_has_a_finite_wait_however_often_it_was_tried() -> None:
    for reason in Reason:
        state, now = account(), NOW
        for _ in range(8):
            state.held[LONG].read = now
            intent = intent_of(judge(CLOSE, state, now=now))
            finish(state, intent, Stage.REJECTED, now, reason=reason)
            now = now.later_by(901)


def test_a_paused_contract_gets_an_immediate_or_cancel_close_at_once() -> None:
    state = account()
    finish(state, intent_of(judge(CLOSE, state)), Stage.REJECTED, NOW, reason=Reason.INSTRUMENT_PAUSED)
    assert intent_of(judge(CLOSE, state)).write.limit_price == D(99)


def test_intents_carry_what_a_later_read_is_compared_with() -> None:
    state = account(position(closed_quantity=D(7)))
    intent = intent_of(judge(CLOSE, state))
    assert (intent.quantity_before, intent.closed_before) == (D(100), D(7))


def test_a_pushed_quantity_counts_before_the_next_read() -> None:
    from guardd.model.position import PositionUpdate

    state = account()
    update = PositionUpdate(
        key=LONG,
        quantity=D(40),
        entry_price=D(100),
        margin_mode=MarginMode.ISOLATED,
        liquidation_price=Absent.UNKNOWN,
        frozen_quantity=D(0),
        closed_quantity=D(60),
        opened_ms=OPENED_MS,
        venue_ms=OPENED_MS + 1,
    )
    fold(state, PositionsPushed(at=NOW, updates=(update,)))
    assert intent_of(judge(CLOSE, state)).write.size == 40


def test_money_stays_decimal() -> None:
    assert isinstance(intent_of(judge(reduce_by("10.7"), account())).write.size, Decimal)
