"""The edges of what may be sent: exactly as much as is free, another life's intents, orders of the wrong kind, prices off tick."""

import pytest

from guardd.execution.approve import ApprovedIntent, Verdict
from guardd.execution.levering import lever_steps
from guardd.execution.proposal import Proposal
from guardd.execution.refusal import RefusalKind
from guardd.model.decision import AddMargin
from guardd.model.event import BalanceRead
from guardd.model.fold import fold
from guardd.model.intent import Action, CancelKind, CloseAtMarket, Stage
from guardd.model.names import OrderId, PositionKey, RuleName
from guardd.model.position import episode_id
from tests.changed import replace
from tests.execution.bench import EPISODE, LONG, SHORT, D, balance, finish, plan, position, resting
from tests.execution.test_approve import (
    CLOSE,
    NOW,
    account,
    cancel,
    intent_of,
    judge,
    proposal,
    reduce_by,
    refusal_of,
    spend,
    stop,
)

EARLIER = episode_id(LONG, 1)
ADD = AddMargin(key=LONG, episode=EPISODE, rule=RuleName("feed"), amount=D(50), currency="USDT", reason="too near")


def _margin(amount: str, available: str | None) -> Verdict:
    state = account(position(margin=D(2_000)))
    if available is not None:
        fold(state, BalanceRead(started=NOW, at=NOW, balances=(balance(available=available),)))
    [asked] = lever_steps(replace(ADD, amount=D(amount)), state).proposals
    verdict: Verdict = judge(asked, state)
    return verdict


def test_I16_all_that_is_free_may_be_moved_and_nothing_where_nobody_knows_what_is() -> None:
    assert isinstance(_margin("50", "50"), ApprovedIntent)
    assert refusal_of(_margin("50", None)) is RefusalKind.BALANCE


def test_an_amount_of_nothing_is_not_moved_and_a_part_of_one_is() -> None:
    assert refusal_of(_margin("0", "50")) is RefusalKind.TOO_SMALL
    assert isinstance(_margin("0.5", "50"), ApprovedIntent)


@pytest.mark.parametrize(("key", "price"), [(LONG, "99.9"), (SHORT, "100.0")], ids=["long", "short"])
def test_I18_a_limit_of_a_close_is_rounded_to_the_side_that_fills(key: PositionKey, price: str) -> None:
    state = account(position(key))
    write = CloseAtMarket(key=key, size=D(10), limit_price=D("99.97"))
    life = state.held[key].episode.id
    asked = proposal(write, rule="last-resort", action=Action.CLOSE, key=key, episode=life)
    approved = intent_of(judge(asked, state)).write
    assert isinstance(approved, CloseAtMarket)
    assert approved.limit_price == D(price)


def test_I13_a_conditional_order_of_somebody_else_holds_no_volume_and_stays() -> None:
    state = account(plans=[plan("users", "90")])
    asked = cancel("users", Action.FREE_VOLUME)
    assert refusal_of(judge(asked, state)) is RefusalKind.NOT_OURS


def test_I01_a_second_reduction_beside_one_that_is_under_way_is_refused() -> None:
    state = account()
    finish(state, intent_of(judge(reduce_by(30), state)), Stage.UNKNOWN, NOW)
    assert refusal_of(judge(reduce_by(10, "another"), state)) is RefusalKind.IN_FLIGHT


def test_I29_neither_a_stop_nor_an_earlier_lifes_close_counts_as_a_checked_reduction() -> None:
    state = account()
    finish(state, intent_of(judge(stop(), state)), Stage.VERIFIED, NOW)
    assert refusal_of(judge(CLOSE, state, doubts=("marks differ",))) is RefusalKind.CROSS_CHECK
    state = account()
    earlier = replace(intent_of(judge(reduce_by(10), state)), episode=EARLIER)
    finish(state, earlier, Stage.VERIFIED, NOW, filled=D(0))
    assert refusal_of(judge(CLOSE, state, doubts=("marks differ",))) is RefusalKind.CROSS_CHECK


def test_an_intent_of_an_earlier_life_holds_no_stop_of_this_one_back() -> None:
    state = account()
    finish(state, replace(intent_of(judge(stop(), state)), episode=EARLIER), Stage.UNKNOWN, NOW)
    assert isinstance(judge(stop(), state), ApprovedIntent)
    assert refusal_of(_again(stop())) is RefusalKind.IN_FLIGHT


def _again(asked: Proposal) -> Verdict:
    state = account()
    finish(state, intent_of(judge(asked, state)), Stage.UNKNOWN, NOW)
    verdict: Verdict = judge(asked, state)
    return verdict


def test_what_is_swept_after_its_position_ended_is_compared_with_nothing_held() -> None:
    state = account(plans=[plan("left", "90")])
    state.own_order_ids.add(OrderId("left"))
    state.held.clear()
    intent = intent_of(judge(cancel("left"), state))
    assert (intent.quantity_before, intent.closed_before) == (0, 0)


def test_orders_per_minute_bind_cancels_too() -> None:
    state = account(orders=[resting("entry", 5, closes=False)])
    spend(state, 30)
    asked = cancel("entry", Action.CANCEL_ENTRIES, kind=CancelKind.RESTING)
    assert refusal_of(judge(asked, state)) is RefusalKind.LIMIT
