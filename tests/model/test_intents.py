"""The life of an intent runs along its table; ids are pure functions of what they are for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardd.errors import InvariantBroken
from guardd.model.event import OrderPushed, OrdersRead, Pulse
from guardd.model.fold import fold
from guardd.model.intent import (
    FINISHED,
    NEXT,
    Action,
    PlaceProtection,
    Stage,
    client_id,
    is_ours,
    stop_direction,
)
from guardd.model.names import (
    AccountName,
    ClientId,
    EpisodeId,
    MarginMode,
    OrderId,
    PriceType,
    RuleName,
    Side,
)
from guardd.model.order import (
    Direction,
    OrderAction,
    OrderUpdate,
    PlanForm,
    PlanOrder,
    ProtectionKind,
    RestingKind,
    RestingOrder,
)
from guardd.model.state import AccountState, NewsKind
from tests.changed import replace
from tests.model.accounts import START, D, account, key, later, row, stop
from tests.model.intents import RULE, accepted, cancel_intent, close_intent, intent_of, moved_to

SENT = (Stage.DECIDED, Stage.JOURNALLED, Stage.SENT)
words = st.text(min_size=1, max_size=20)


# The table


def test_I07_unknown_is_left_only_by_evidence_and_never_straight_to_a_second_send() -> None:
    assert NEXT[Stage.UNKNOWN] == {Stage.ACCEPTED, Stage.VERIFIED, Stage.REJECTED, Stage.FAILED, Stage.VOID}
    assert Stage.UNKNOWN not in FINISHED


def test_I20_nothing_is_sent_that_was_not_journalled() -> None:
    leading_to_sent = {stage for stage, following in NEXT.items() if Stage.SENT in following}
    assert leading_to_sent == {Stage.JOURNALLED}


def test_every_stage_has_a_line_in_the_table_and_only_void_goes_on_after_its_end() -> None:
    assert set(NEXT) == set(Stage)
    assert {stage for stage in FINISHED if NEXT[stage]} == {Stage.VOID}


@pytest.mark.parametrize(
    ("come", "step"),
    [
        ((Stage.DECIDED,), Stage.SENT),
        (SENT, Stage.VERIFIED),
        (SENT, Stage.VOID),
        ((*SENT, Stage.UNKNOWN), Stage.SENT),
        ((*SENT, Stage.ACCEPTED), Stage.REJECTED),
    ],
)
def test_I20_a_step_that_the_table_forbids_breaks_an_invariant(come: tuple[Stage, ...], step: Stage) -> None:
    state = account(row())
    intent = close_intent(state)
    for stage in come:
        moved_to(state, intent, stage)
    with pytest.raises(InvariantBroken, match="I20"):
        moved_to(state, intent, step)


@pytest.mark.parametrize("end", [Stage.REJECTED, Stage.VERIFIED, Stage.FAILED])
def test_I07_an_intent_that_ended_is_not_revived_under_its_id(end: Stage) -> None:
    state = account(row())
    intent = close_intent(state)
    come = (*SENT, Stage.REJECTED) if end is Stage.REJECTED else (*SENT, Stage.ACCEPTED, end)
    for stage in come:
        moved_to(state, intent, stage)
    with pytest.raises(InvariantBroken, match=f"ended as {end}"):
        moved_to(state, intent, Stage.DECIDED)


@pytest.mark.parametrize(
    ("come", "again"),
    [((*SENT, Stage.UNKNOWN, Stage.VOID), Stage.JOURNALLED), ((Stage.DECIDED, Stage.REFUSED), Stage.DECIDED)],
)
def test_an_intent_that_never_arrived_or_was_never_sent_may_come_again_under_its_id(
    come: tuple[Stage, ...], again: Stage
) -> None:
    state = account(row())
    intent = close_intent(state)
    for stage in (*come, again):
        moved_to(state, intent, stage)
    assert state.pending[intent.id].stage is again
    assert state.progress[intent.episode, RULE].steps == 0


def test_an_intent_is_in_flight_from_its_decision_to_its_end() -> None:
    state = account(row())
    intent = close_intent(state)
    for stage in (*SENT, Stage.ACCEPTED):
        moved_to(state, intent, stage)
        assert [pending.intent for pending in state.in_flight(key())] == [intent]
    moved_to(state, intent, Stage.VERIFIED, filled=D(100))
    assert state.in_flight(key()) == ()
    assert state.finished[-1].filled == 100
    assert state.progress[intent.episode, RULE].steps == 1
    assert state.progress[intent.episode, RULE].verified == START


def test_a_rejection_counts_as_a_step_but_starts_no_cooldown() -> None:
    state = account(row())
    intent = close_intent(state)
    for stage in (*SENT, Stage.REJECTED):
        moved_to(state, intent, stage)
    progress = state.progress[intent.episode, RULE]
    assert (progress.steps, progress.verified) == (1, None)


# Orders and intents


def test_a_verified_stop_is_remembered_in_the_episode_and_its_order_is_ours() -> None:
    state = account(row())
    write = PlaceProtection(
        key=key(),
        kind=ProtectionKind.STOP_LOSS,
        form=PlanForm.PLAN,
        trigger_price=D(85000),
        price_type=PriceType.MARK,
        size=D(100),
        position_size=D(100),
        leverage=D(10),
        margin_mode=MarginMode.ISOLATED,
    )
    intent = intent_of(state, write, Action.STOP_LOSS)
    for stage in SENT:
        moved_to(state, intent, stage)
    moved_to(state, intent, Stage.ACCEPTED, outcome=accepted("55"))
    assert not state.held[key()].episode.had_verified_stop
    moved_to(state, intent, Stage.VERIFIED)
    assert state.held[key()].episode.had_verified_stop
    assert state.owns(stop("85000", order_id="55"))
    assert not state.owns(stop("85000", order_id="56"))


@pytest.mark.parametrize("listed_before", [False, True], ids=["asked for before this run", "listed before the turn"])
def test_I06_a_stop_of_ours_closes_the_side_that_it_was_asked_for_whatever_is_held_now(listed_before: bool) -> None:
    """In one-way mode a venue may not say it (Bitget reference, 12.2): what a long left is no stop of the short that follows."""
    state = account(row())
    write = PlaceProtection(
        key=key(),
        kind=ProtectionKind.STOP_LOSS,
        form=PlanForm.WHOLE,
        trigger_price=D(85000),
        price_type=PriceType.MARK,
        size=None,
        position_size=D(100),
        leverage=D(10),
        margin_mode=MarginMode.ISOLATED,
    )
    intent = intent_of(state, write, Action.STOP_LOSS)
    for stage in (*SENT, Stage.ACCEPTED, Stage.VERIFIED):
        moved_to(state, intent, stage, outcome=accepted("55") if stage is Stage.ACCEPTED else None)
    asked = stop("85000", order_id="55")
    if listed_before:
        listed(state, asked)
        state.finished.clear()
    read_as = replace(asked, key=key(Side.SHORT), direction=Direction.RISES)
    listed(state, read_as)
    assert state.plans[OrderId("55")] == asked
    news = fold(state, OrderPushed(at=START, update=replace(update(plan_order_id=OrderId("55")), key=read_as.key))).news
    assert news[0].key == key()
    assert state.fired == {OrderId("55"): key()}
    theirs = replace(read_as, order_id=OrderId("56"))
    listed(state, theirs)
    assert state.plans[OrderId("56")] == theirs


def test_I13_an_order_is_not_ours_for_having_been_cancelled_by_us() -> None:
    state = account(row())
    foreign = stop("85000", order_id="9")
    listed(state, foreign)
    intent = cancel_intent(state, "9")
    for stage in SENT:
        moved_to(state, intent, stage)
    moved_to(state, intent, Stage.ACCEPTED, outcome=accepted("9"))
    assert not state.owns(foreign)
    moved_to(state, intent, Stage.VERIFIED)
    assert state.plans == {}


def test_a_list_that_was_asked_for_before_a_newer_one_is_not_believed() -> None:
    state = account(row())
    fold(state, OrdersRead(started=later(2), at=later(3), resting=(), plans=(stop("85000"),)))
    late = OrdersRead(started=later(1), at=later(4), resting=(resting(),), plans=())
    assert fold(state, late).news == ()
    assert list(state.plans) == [OrderId("1")]
    assert state.resting == {}
    assert state.plans_at == later(3)


def test_a_list_that_was_not_read_leaves_what_is_known() -> None:
    state = account(row())
    listed(state, stop("85000"))
    fold(state, OrdersRead(started=later(1), at=later(1), resting=(resting(),), plans=None))
    assert list(state.plans) == [OrderId("1")]
    assert list(state.resting) == [OrderId("8")]


def test_a_fill_born_from_a_plan_order_tells_that_it_fired() -> None:
    state = account(row())
    plan = stop("85000", order_id="3")
    listed(state, plan)
    news = fold(state, OrderPushed(at=START, update=update(plan_order_id=OrderId("3")))).news
    assert [each.kind for each in news] == [NewsKind.STOP_FIRED, NewsKind.READ_WANTED]
    assert news[0].plan == plan
    assert state.plans == {}


@pytest.mark.parametrize("action", [OrderAction.LIQUIDATION, OrderAction.ADL])
def test_a_forced_exit_is_told(action: OrderAction) -> None:
    state = account(row())
    news = fold(state, OrderPushed(at=START, update=update(action=action))).news
    assert news[0].kind is NewsKind.FORCED_EXIT
    assert news[0].action is action


def test_an_order_that_ended_is_taken_off_the_list_and_a_working_one_keeps_its_fill() -> None:
    state = account(row())
    fold(state, OrdersRead(started=START, at=START, resting=(resting(),), plans=()))
    fold(state, OrderPushed(at=START, update=update(live=True, filled="3")))
    assert state.resting[OrderId("8")].filled == 3
    fold(state, OrderPushed(at=START, update=update(live=False, filled="10")))
    assert state.resting == {}


# Ids


@given(words, words, words, st.integers(0, 10**6))
def test_a_client_id_is_the_same_each_time_and_fits_the_venue(
    account_: str, episode: str, rule: str, step: int
) -> None:
    made = [client_id(AccountName(account_), EpisodeId(episode), RuleName(rule), step) for _ in range(2)]
    assert made[0] == made[1]
    assert 1 <= len(made[0]) <= 32
    assert made[0].isascii()
    assert made[0].isalnum()
    assert made[0] == made[0].lower()
    assert is_ours(made[0])


def test_a_client_id_differs_with_each_of_its_parts() -> None:
    base = ("main", "BTCUSDT-long-1", "trim", 0)
    others = [("hedge", *base[1:]), ("main", "BTCUSDT-long-2", "trim", 0), (*base[:2], "warn", 0), (*base[:3], 1)]
    ids = {client_id(AccountName(a), EpisodeId(e), RuleName(r), s) for a, e, r, s in [base, *others]}
    assert len(ids) == 5


def test_an_id_without_our_prefix_is_not_ours() -> None:
    assert not is_ours(None)
    assert not is_ours(ClientId("PLAN_1"))


@pytest.mark.parametrize(
    ("side", "kind", "direction"),
    [
        (Side.LONG, ProtectionKind.STOP_LOSS, Direction.FALLS),
        (Side.SHORT, ProtectionKind.STOP_LOSS, Direction.RISES),
        (Side.LONG, ProtectionKind.TAKE_PROFIT, Direction.RISES),
        (Side.SHORT, ProtectionKind.TAKE_PROFIT, Direction.FALLS),
    ],
)
def test_I30_protection_fires_the_way_that_its_side_and_kind_ask(
    side: Side, kind: ProtectionKind, direction: Direction
) -> None:
    assert stop_direction(key(side), kind) is direction


def listed(state: AccountState, plan: PlanOrder) -> None:
    fold(state, OrdersRead(started=START, at=START, resting=None, plans=(plan,)))


def resting() -> RestingOrder:
    return RestingOrder(
        order_id=OrderId("8"),
        client_id=None,
        key=key(),
        closes=True,
        kind=RestingKind.LIMIT,
        price=D(95000),
        size=D(10),
        filled=D(0),
        created_ms=0,
    )


def update(
    *,
    action: OrderAction = OrderAction.FILLED,
    plan_order_id: OrderId | None = None,
    live: bool = False,
    filled: str = "10",
) -> OrderUpdate:
    return OrderUpdate(
        order_id=OrderId("8"),
        client_id=None,
        plan_order_id=plan_order_id,
        key=key(),
        closes=True,
        action=action,
        live=live,
        kind=RestingKind.LIMIT,
        price=D(95000),
        size=D(10),
        filled=D(filled),
        average_price=D(95000),
        venue_ms=START.wall_ms,
    )


def test_of_a_life_that_lasts_the_newest_protection_of_each_slot_and_every_close_count_beyond_the_day() -> None:
    """By them a stop that vanishes is known to have fired, and a tranche that filled from one that somebody cancelled."""
    state = account(row())
    placing = PlaceProtection(
        key=key(), kind=ProtectionKind.STOP_LOSS, form=PlanForm.WHOLE, trigger_price=D(85000), price_type=PriceType.MARK,
        size=None, position_size=D(100), leverage=D(10), margin_mode=MarginMode.ISOLATED,
    )  # fmt: skip
    verified = [
        *(intent_of(state, placing, Action.STOP_LOSS, step=step) for step in (0, 1)),
        *(close_intent(state, step=step) for step in (2, 3)),
    ]
    for intent in verified:
        for stage in (*SENT, Stage.ACCEPTED, Stage.VERIFIED):
            moved_to(state, intent, stage)
    fold(state, Pulse(at=later(25 * 3600)))
    assert [each.intent.step for each in state.finished] == [1, 2, 3]
    state.held.clear()
    fold(state, Pulse(at=later(25 * 3600)))
    assert state.finished == []
