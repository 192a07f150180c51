"""A trailing stop: behind the best confirmed mark of the episode, towards safety only, over a restart too (interfaces.md 2.4)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardd.model.event import MarkSeen, OrdersRead
from guardd.model.fold import fold
from guardd.model.names import PriceType, Side
from guardd.policy.memory import Memory
from guardd.policy.trail import next_best
from tests.model.accounts import BTC, D, row, stop
from tests.policy.guarded import Guarded, guarded, policy_of, protect
from tests.policy.test_ladders import rest, restarted

LONG = row(venue_liquidation=D(70000))
SHORT = row(Side.SHORT, venue_liquidation=D(110000), mark="91000")
TRAIL = "name: t\nthen: [trail_stop: {distance: 2%}]"


def trigger(here: Guarded) -> str:
    (order,) = protect(here.look()).wanted
    return str(order.trigger_price)


def test_a_trailing_stop_rests_behind_the_mark_by_its_distance() -> None:
    here = guarded(policy_of(TRAIL), LONG)
    (order,) = protect(here.mark("90000")).wanted
    assert (order.trigger_price, order.size, order.price_type, order.slot) == (
        D(88200),
        None,
        PriceType.MARK,
        "t/stop_loss/0",
    )
    by_last = guarded(policy_of(TRAIL.replace("2%", "2%, price_type: last")), LONG)
    assert protect(by_last.mark("90000")).wanted[0].price_type is PriceType.LAST


@pytest.mark.parametrize(
    ("position", "marks", "behind"),
    [
        (LONG, ["90000", "95000", "92000", "93500"], "93100.0"),
        (SHORT, ["91000", "88000", "89500", "88500"], "89760.0"),
    ],
)
def test_I11_it_follows_the_best_mark_and_never_goes_back(position, marks: list[str], behind: str) -> None:
    here = guarded(policy_of(TRAIL), position)
    for mark in marks:
        here.mark(mark)
    assert trigger(here) == behind


def test_the_best_survives_a_restart_that_the_journal_told_of() -> None:
    here = guarded(policy_of(TRAIL), LONG)
    here.mark("90000")
    here.mark("95000")
    restarted(here).mark("93500")
    assert here.memory.of(here.state.held[LONG.key].episode.id).best == {"t": D(95000)}
    assert trigger(here) == "93100.0"


def test_the_journal_is_written_with_steps_of_a_thousandth_and_not_with_every_tick() -> None:
    here = guarded(policy_of(TRAIL), LONG)
    written = 0
    for tick in range(90000, 90900, 10):
        for footing in here.mark(str(tick)).footings:
            fold(here.state, footing)
            written += 1
    assert 9 <= written <= 11
    assert D(88200) * D("1.009") <= protect(here.look()).wanted[0].trigger_price


def test_I28_one_bad_mark_moves_no_stop() -> None:
    here = guarded(policy_of(TRAIL), LONG)
    here.mark("90000")
    here.bare("99000")
    assert trigger(here) == "88200.0"
    here.bare("90010")
    assert trigger(here) == "88200.0"


def test_I28_the_next_frame_confirms_as_far_as_both_came() -> None:
    here = guarded(policy_of(TRAIL), LONG)
    here.mark("90000")
    here.bare("99000")
    here.bare("96000")
    assert trigger(here) == "94080.0"


def test_I28_a_mark_far_from_its_index_is_believed_as_far_as_the_frame_before_came() -> None:
    here = guarded(policy_of(TRAIL), LONG)
    here.mark("90000")
    here.mark("99000", index="91000")
    assert trigger(here) == "88200.0"


def test_without_any_confirmed_mark_no_trailing_stop_is_reckoned() -> None:
    here = guarded(policy_of(TRAIL), LONG)
    assert protect(here.look()).impossible == ("t: no mark was confirmed yet that its stop could trail",)


def test_while_the_mark_is_too_old_the_best_stays() -> None:
    here = guarded(policy_of(TRAIL), LONG)
    here.mark("90000")
    old = here.state.marks[BTC]
    here.wait(60, read=False)
    fold(here.state, MarkSeen(BTC, D(99000), old.at, last=D(99000), index=D(99000)))
    assert trigger(here) == "88200.0"


def test_the_best_is_followed_while_the_rules_condition_is_not_true() -> None:
    here = guarded(
        policy_of("name: t\nwhen: {profit_from_entry: {below: 1%}}\nthen: [trail_stop: {distance: 5%}]"), LONG
    )
    here.mark("90000")
    for mark in ("93000", "90100"):
        here.mark(mark)
    assert trigger(here) == "88350.0"


def test_a_trail_that_is_passed_before_it_was_ever_placed_begins_behind_the_present_mark() -> None:
    here = guarded(
        policy_of("name: t\nwhen: {profit_from_entry: {below: 1%}}\nthen: [trail_stop: {distance: 2%}]"), LONG
    )
    here.mark("95000")
    here.mark("90100")
    here.mark("90100")
    assert trigger(here) == "88298.0"


def test_a_trail_that_was_placed_and_passed_is_the_venues_turn_and_nothing_looser_is_put_in_its_place() -> None:
    here = guarded(policy_of(TRAIL), LONG)
    here.mark("90000")
    plan = stop("88200")
    here.state.own_order_ids.add(plan.order_id)
    fold(here.state, OrdersRead(started=here.now, at=here.now, resting=(), plans=(plan,)))
    decided = here.mark("88000")
    assert [order.trigger_price for order in protect(decided).wanted] == [D(88200)]
    fold(here.state, OrdersRead(started=here.now, at=here.now, resting=(), plans=()))
    decided = here.mark("87990")
    assert protect(decided).wanted == ()
    assert protect(decided).impossible == ("t: the mark 87990 has passed its trailing stop at 88200.00",)


def test_of_a_trailing_stop_and_another_the_tighter_wins() -> None:
    fixed = "name: f\nthen: [stop_loss: {trigger: {price: 89000}}]"
    here = guarded(policy_of(TRAIL, fixed), LONG)
    here.mark("90000")
    assert rest(here) == [("f/0", D(89000), None)]
    here.mark("93000")
    assert rest(here) == [("t/0", D(91140), None)]


def test_beside_a_ladder_it_takes_what_the_ladder_has_left_by_then() -> None:
    ladder = "name: s\nthen: [stop_loss: [{trigger: {price: 89000}, size: 30%}, {trigger: {price: 85000}, size: 70%}]]"
    here = guarded(policy_of(TRAIL, ladder), LONG)
    here.mark("90000")
    assert rest(here) == [("s/0", D(89000), D(30)), ("t/0", D(88200), D(70))]


def test_a_rule_may_have_a_stop_and_a_trail_and_they_are_two_slots() -> None:
    both = "name: b\nthen: [{stop_loss: {trigger: {price: 89000}, size: 50%}}, {trail_stop: {distance: 2%}}]"
    here = guarded(policy_of(both), LONG)
    here.mark("90000")
    assert rest(here) == [("b/0", D(89000), D(50)), ("b/1", D(88200), D(50))]


def test_the_next_look_is_due_from_the_next_thousandth_on() -> None:
    here = guarded(policy_of(TRAIL), LONG)
    here.mark("90000")
    memory = here.memory.of(here.state.held[LONG.key].episode.id)
    assert list(next_best(memory, 1)) == [D("90090.000")]


@given(
    marks=st.lists(st.integers(88000, 99000), min_size=1, max_size=30),
    restarts=st.sets(st.integers(0, 30), max_size=3),
    side=st.sampled_from(list(Side)),
)
def test_I11_whatever_the_marks_do_the_trail_stays_within_a_thousandth_of_the_best_confirmed(
    marks: list[int], restarts: set[int], side: Side
) -> None:
    position = row(side, leverage="2", mark="90000")
    here = guarded(policy_of("name: t\nthen: [trail_stop: {distance: 15%}]"), position)
    best = before = None
    for number, mark in enumerate(marks):
        price = D(mark) if side is Side.LONG else D(180000 - mark)
        decided = here.mark(str(price))
        for footing in decided.footings:
            fold(here.state, footing)
        if number in restarts:
            here.memory = Memory()
        best = price if best is None else (max(best, price) if side is Side.LONG else min(best, price))
        (order,) = protect(decided).wanted
        exact = best * (1 - side.sign * D("0.15"))
        assert abs(order.trigger_price - exact) <= exact * D("0.001") + 1
        assert before is None or side.sign * (order.trigger_price - before) >= 0
        before = order.trigger_price
