"""The way down and up on a copy of the account: what happens where, in which order, and what it comes to."""

from decimal import Decimal

import pytest

from guardd.model.event import BalanceRead
from guardd.model.fold import fold
from guardd.model.names import MarginMode, Side
from guardd.model.reading import Absent, is_value
from guardd.model.state import AccountState
from guardd.policy.conditions import Use
from guardd.policy.crossings import Way
from guardd.policy.explain import view_of
from guardd.policy.language import Policy
from guardd.policy.triggers import triggers
from guardd.policy.walk import Kind, Step, Walk, effect, walk
from guardd.policy.whatif import world
from guardd.risk.assess import assess_position
from tests.changed import replace
from tests.model.accounts import BTC, ETH, START, D, account, instrument, key, row, stop
from tests.policy.guarded import cross, policy_of, rule

LONG = row(venue_liquidation=D(81000))
STOP = "name: stop\nthen: [stop_loss: {trigger: {from_entry: -8%}}, take_profit: {trigger: {from_entry: 6%}}]"
WARN = rule("{profit_from_entry: {below: -2%}}", "notify: {}", name="warn")
TRIM = rule("{profit_from_entry: {below: -3%}}", "reduce: {by: 25%}", name="trim")
LAST = rule("{profit_from_entry: {below: -5%}}", "close: {}", name="last")


def way(policy: Policy, state: AccountState, towards: Way = Way.DOWN) -> Walk:
    return walk(policy, state, BTC, towards, START)


def plot(walked: Walk) -> list[tuple[Decimal, Kind, str]]:
    return [(step.mark, step.kind, step.text) for step in walked.steps]


def test_the_way_down_lists_everything_in_the_order_in_which_it_comes() -> None:
    walked = way(policy_of(STOP, WARN, LAST), account(LONG))
    assert plot(walked) == [
        (D(89000), Kind.REST, "a stop rests at 82800.0"),
        (D(89000), Kind.REST, "a take-profit rests at 95400.0"),
        (D("88199.9"), Kind.TELL, "tell (warning)"),
        (D("85499.9"), Kind.CUT, "close all 100"),
    ]
    assert walked.why == "the position is closed"


def test_a_rule_that_goes_on_being_true_acts_again_until_nothing_more_may_go() -> None:
    """A slow way: each cooldown passes at the price. 25 %, and of what is left 25 % again."""
    walked = way(policy_of(TRIM), account(replace(LONG, quantity=D(8), notional=D(712), unrealized_pnl=D(-8))))
    assert [step.cut.size for step in walked.steps if step.cut is not None] == [2, 2, 1, 1, 1, 1]
    assert {step.mark for step in walked.steps} == {D("87299.9")}


def test_the_stop_fires_where_it_rests_and_takes_the_rest() -> None:
    walked = way(policy_of(STOP), account(LONG))
    last = walked.steps[-1]
    assert (last.mark, last.kind, last.text) == (D(82800), Kind.FILL, "the stop fires: all 100")
    assert last.cut is not None
    assert last.cut.realised == D("0.1") * (82800 - 90000)
    assert last.cut.fee == D("0.1") * 82800 * D("0.0006")


def test_the_way_up_ends_at_the_take_profit() -> None:
    walked = way(policy_of(STOP, LAST), account(LONG), Way.UP)
    assert (walked.end, walked.why) == (D(95400), "the position is closed")
    assert walked.steps[-1].text == "the take-profit fills: all 100"


def test_a_policy_that_does_nothing_ends_in_liquidation_with_the_margin_gone() -> None:
    """Wallet 2000, margin 900: what is left is 1100."""
    walked = way(policy_of(WARN), account(LONG))
    assert walked.why == "liquidated"
    last = walked.steps[-1]
    assert (last.mark, last.kind, last.text) == (D(81000), Kind.END, "the venue liquidates 100 contracts")
    assert last.equity == D(1100)


def test_nothing_more_happens_on_a_way_without_triggers() -> None:
    walked = way(policy_of(LAST), account(LONG), Way.UP)
    assert (walked.steps, walked.why, walked.end) == ((), "nothing more happens this way", D(89000))


def test_a_reduction_until_a_distance_moves_the_liquidation_away_and_comes_again_when_the_mark_gets_there() -> None:
    trim = "{distance_to_liquidation: {below: 8%}}"
    policy = policy_of(
        rule(trim, "reduce: {until: {distance_to_liquidation: 12%}, at_most: 50%}", name="trim"),
    )
    walked = way(policy, account(cross(quantity="200"), wallet="3000"))
    first, second = [step for step in walked.steps if step.cut is not None][:2]
    assert second.mark < first.mark
    for step in (first, second):  # by the careful number, which is a little nearer than the one that the rule goes by
        assert is_value(step.distance)
        assert D("0.118") < step.distance < D("0.121")
    assert second.left < first.left < 200


def test_ladders_fill_a_tranche_each() -> None:
    ladder = """name: out
then:
  - stop_loss: [{trigger: {from_entry: -4%}, size: 50%}, {trigger: {from_entry: -6%}, size: 50%}]"""
    walked = way(policy_of(ladder), account(LONG))
    fills = [(step.mark, step.left) for step in walked.steps if step.kind is Kind.FILL]
    assert fills == [(D(86400), D(50)), (D(84600), D(0))]


def test_both_legs_of_a_hedge_are_walked_with_their_common_mark() -> None:
    policy = policy_of(rule("{account_margin_ratio: {above: 60%}}", "close: {}", name="last"))
    walked = way(policy, account(cross(), cross(Side.SHORT, quantity="40"), wallet="1000"))
    cuts = [step for step in walked.steps if step.kind is Kind.CUT]
    assert [step.key.side for step in cuts] == [Side.LONG, Side.SHORT]
    assert len({step.mark for step in cuts}) == 1


def test_another_cross_position_acts_on_this_ones_way() -> None:
    policy = policy_of(
        rule("{distance_to_liquidation: {below: 5%}}", "close: {}", more="match: {symbol: ETHUSDT}", name="eth")
    )
    walked = way(policy, account(cross(), cross(symbol=ETH), wallet="2500"))
    assert any(step.key == key(symbol=ETH) and step.kind is Kind.CUT for step in walked.steps)


def test_margin_is_added_and_the_liquidation_moves_away() -> None:
    more = rule(
        "{distance_to_liquidation: {below: 5%}}",
        "add_margin: {amount: 100 USDT, at_most: 200 USDT}",
        more="match: {margin_mode: isolated}",
        name="more",
    )
    state = account(LONG)
    state.capabilities = replace(state.capabilities, add_margin=True)
    walked = way(policy_of(more), state)
    added = [step for step in walked.steps if step.kind is Kind.STRENGTHEN]
    assert added
    assert added[0].text == "add 100 USDT of margin"
    assert is_value(added[0].liquidation)
    assert added[0].liquidation < 81000


# What one rule does


def alone(policy: Policy, state: AccountState, name: str, use: Use = Use.CLOSE) -> tuple[Step, ...]:
    view = view_of(policy, state, key(), START)
    assert view is not None
    found = next(each for each in triggers(view, state=state, now=START) if each.rule == name and each.use is use)
    return effect(policy, state, found, key(), START)


def test_a_rule_by_itself_takes_what_it_would_take_were_no_other_before_it() -> None:
    """Whole although the trim would have been there first."""
    (step,) = alone(policy_of(TRIM, LAST), account(LONG), "last")
    assert (step.mark, step.text, step.left) == (D("85499.9"), "close all 100", D(0))
    assert step.cut is not None
    assert step.cut.realised - step.cut.fee == D("0.1") * (D("85499.9") - 90000) - D("0.1") * D("85499.9") * D("0.0006")


def test_a_rule_with_for_acts_after_its_time() -> None:
    slow = rule("{profit_from_entry: {below: -5%}}", "close: {}", name="slow", more="for: 10s")
    (step,) = alone(policy_of(slow), account(LONG), "slow")
    assert step.text == "close all 100"


def test_nothing_is_remembered_or_moved_in_the_account_itself() -> None:
    state = account(LONG)
    before = (state.marks[BTC], state.held[key()].position, dict(state.balances), dict(state.progress))
    way(policy_of(STOP, TRIM, LAST), state)
    assert (state.marks[BTC], state.held[key()].position, dict(state.balances), dict(state.progress)) == before


# The copy


def test_what_agreed_with_the_venue_goes_on_to_agree() -> None:
    """Where the model reproduced the venue's figures it does after a move and a cut, and no sooner where it didn't."""
    for position in (row(), replace(row(), maintenance_margin=D(1))):
        state = account(position)
        known = is_value(assess_position(state, state.held[key()], mark=D(89000), now=START).closing_liquidation)
        made = world(state, START)
        made.move(BTC, D(87000))
        made.close(key(), D(30))
        after = assess_position(made.state, made.state.held[key()], mark=D(87000), now=made.now)
        assert is_value(after.closing_liquidation) is known


def test_equity_changes_by_what_the_mark_moves_and_by_the_fee_of_a_cut() -> None:
    made = world(account(LONG, cross(symbol=ETH)), START)
    before = made.equity(key())
    made.move(BTC, D(88000))
    moved = made.equity(key())
    cut = made.close(key(), D(100))
    assert is_value(before) and is_value(moved) and cut is not None  # noqa: PT018
    assert moved - before == D("0.1") * -1000
    assert made.equity(key()) == moved - cut.fee
    assert key() not in made.state.held


def test_the_venues_numbers_move_as_ours_do() -> None:
    told = cross()
    state = account(replace(told, liquidation_price=D(70000)), wallet="2000")
    made = world(state, START)
    before = made.state.held[key()].position.liquidation_price
    own = assess_position(state, state.held[key()], mark=D(89000), now=START).own_liquidation
    made.close(key(), D(50))
    after = assess_position(made.state, made.state.held[key()], mark=D(89000), now=made.now)
    assert before == D(70000)
    assert is_value(own) and is_value(after.own_liquidation)  # noqa: PT018
    assert after.venue_liquidation == D(70000) + after.own_liquidation - own


@pytest.mark.parametrize("pooled", [False, True])
def test_the_venues_own_ratio_is_carried_on(pooled: bool) -> None:
    state = account(cross(), wallet="320")
    (known,) = state.balances.values()
    told = replace(known, margin_ratio=D("0.3"))
    if pooled:
        told = replace(told, currency="USD", pooled=True, maintenance=D(60), foreign_collateral=True)
    fold(state, BalanceRead(at=START, balances=(told,)))
    made = world(state, START)
    made.move(BTC, D(88000))
    (after,) = made.state.balances.values()
    there = assess_position(made.state, made.state.held[key()], mark=D(88000), now=made.now)
    carried = replace(state, marks=made.state.marks)
    expected = assess_position(carried, carried.held[key()], mark=D(88000), now=START).closing_account_margin_ratio
    assert is_value(after.margin_ratio) and after.margin_ratio > D("0.3")  # noqa: PT018
    reached = there.closing_account_margin_ratio
    assert expected is not None and is_value(expected)  # noqa: PT018
    assert reached is not None and is_value(reached)  # noqa: PT018
    assert abs(reached - expected) < D("0.001")


def test_a_strangers_stop_rests_on_and_what_can_not_be_reckoned_stays() -> None:
    state = account(LONG)
    plan = stop("84000")
    state.plans = {plan.order_id: plan}
    made = world(state, START)
    assert made.state.plans == state.plans
    unknown = account(row(), instruments=(instrument(tiers=()),))
    made = world(unknown, START)
    assert made.close(key(), D(1)) is None
    assert made.state.held[key()].position.margin_mode is MarginMode.ISOLATED
    assert made.state.held[key()].position.liquidation_price is Absent.UNKNOWN
