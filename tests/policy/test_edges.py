"""Edges of the language that a small mistake would move: aims, limits of zero, entries of others, frames with half a spread."""

import pytest

from guardd.model.decision import CancelEntries
from guardd.model.event import OrdersRead
from guardd.model.fold import fold
from guardd.model.names import MarginMode, Side
from guardd.model.reading import is_value
from guardd.policy.blindness import unjudged
from guardd.policy.confirm import Verdict
from guardd.policy.difference import difference
from guardd.policy.explain import action_text
from guardd.policy.language import Metric, wants_higher
from guardd.policy.memory import Memory
from guardd.policy.sizes import is_there, leverage_until
from guardd.policy.whatif import world
from guardd.risk.assess import assess_on
from guardd.risk.ground import ground
from tests.changed import replace
from tests.model.accounts import ETH, START, D, account, key, row
from tests.policy.guarded import cross, every, guarded, policy_of, rule
from tests.policy.test_confirm import frame, verdicts
from tests.policy.test_decide import CANCEL, NEAR, entry_order
from tests.policy.test_load import fault, faults, load, with_rule
from tests.policy.test_triggers import found


def test_an_aim_is_reached_at_its_figure_and_not_before() -> None:
    assert is_there(D("0.08"), Metric.DISTANCE_TO_LIQUIDATION, D("0.08"))
    assert not is_there(D("0.0799"), Metric.DISTANCE_TO_LIQUIDATION, D("0.08"))
    assert is_there(D("0.5"), Metric.MARGIN_RATIO, D("0.5"))


@pytest.mark.parametrize(("target", "higher"), [("-1", True), ("0", False), ("0.5", False), ("2", False)])
def test_a_loss_is_better_the_higher_it_stands_and_a_gain_is_taken_from_above(target: str, higher: bool) -> None:
    assert wants_higher(Metric.UNREALIZED_PNL, D(target)) is higher


def test_no_leverage_below_one_is_looked_for_and_one_that_does_not_do_is_not_given() -> None:
    state = account(row(Side.SHORT, leverage="10"))
    on = ground(state, state.held[key(Side.SHORT)], now=START)
    risk = assess_on(on, mark=D(89000))
    assert leverage_until(Metric.DISTANCE_TO_LIQUIDATION, D("0.8"), on, risk) == 1
    assert leverage_until(Metric.DISTANCE_TO_LIQUIDATION, D("1.5"), on, risk) is None


@pytest.mark.parametrize("aim", ["0%", "-5%"])
def test_an_aim_that_is_not_above_zero_is_refused(aim: str) -> None:
    body = f"when: {{distance_to_liquidation: {{below: 5%}}}}\nthen: [reduce: {{until: {{distance_to_liquidation: {aim}}}}}]"
    assert "expected an aim above zero" in fault(body)


def test_a_limit_of_zero_is_a_limit_but_for_the_age_of_data() -> None:
    rest = "rules:\n" + with_rule("then: [stop_loss: {trigger: {price: 90}}]").partition("rules:\n")[2]
    assert load("version: 1\nlimits: {reduce_per_hour: 0%}\n" + rest).limits.reduce_per_hour == 0
    assert any("a limit above zero" in line for line in faults("version: 1\nlimits: {stale_after: 0s}\n" + rest))


def test_a_rule_about_no_symbol_at_all_is_refused() -> None:
    assert "an empty list" in fault("match: {symbol: []}\nthen: [stop_loss: {trigger: {price: 90}}]")


def test_entries_of_another_instrument_are_none_of_a_rule_about_one_position() -> None:
    here = guarded(policy_of(CANCEL), row(venue_liquidation=D(81000)), cross(symbol=ETH))
    other = replace(entry_order(), key=key(symbol=ETH))
    fold(here.state, OrdersRead(started=here.now, at=here.now, resting=(other,), plans=()))
    assert [each for each in every(here.mark(NEAR), CancelEntries) if each.key == key()] == []


def test_what_stands_where_something_else_belongs_is_told() -> None:
    body = "when: {distance_to_liquidation: [8%]}\nthen: [close: {}]"
    assert "found a list" in fault(body)


def test_while_halted_a_rule_that_closes_besides_warning_still_has_its_price() -> None:
    policy = policy_of(rule("{profit_from_entry: {below: -1%}}", "notify: {severity: warning}, close: {}"))
    here = guarded(policy, row())
    here.mark("89000")
    here.state.halted = True
    whys = [each.why for each in found(policy, here.state, here.memory, here.now)]
    assert whys
    assert "the account is halted" not in whys


def test_I28_half_a_spread_confirms_nothing() -> None:
    assert verdicts(frame("85000", index="85000", ask="84000")) == [Verdict.ASK_REST]
    assert verdicts(frame("85000", index="85000", bid="84000")) == [Verdict.ASK_REST]


def test_a_rule_that_nobody_has_looked_at_yet_is_not_blind_and_one_that_lasts_unknown_is() -> None:
    here = guarded(policy_of(rule("{account_margin_ratio: {above: 80%}}", "close: {}")), cross())
    assert unjudged(here.policy, here.state, Memory(), here.now) == ()
    here.look()
    here.state.balances.clear()
    here.look()
    here.now = here.now.later_by(16)
    assert unjudged(here.policy, here.state, here.memory, here.now)


def test_each_protective_action_has_words() -> None:
    policy = policy_of("name: rest\nthen: [stop_loss: {trigger: {price: 90}}, take_profit: {trigger: {price: 120}}]")
    assert action_text(policy.rules[0].then[0]) == "rest a stop"


CAPPED = "name: m\nwhen: {buffer_left: {below: 50%}}\nthen: [add_margin: {amount: 50 USDT, at_most: 200 USDT}]"
PASSED = "name: stop\nthen: [stop_loss: {trigger: {from_entry: -8%}, if_passed: close}]"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (CAPPED, CAPPED.replace(", at_most: 200 USDT", "")),
        (PASSED, PASSED.replace("-8%", "-7%")),
    ],
    ids=["an addition without its cap", "a nearer stop that still closes where it was passed"],
)
def test_I23_what_protects_no_less_is_no_loosening(old: str, new: str) -> None:
    assert [change.loosens for change in difference(policy_of(old), policy_of(new))] == [False]


def test_what_comes_from_the_spot_wallet_is_behind_the_account() -> None:
    here = world(account(row(mode=MarginMode.CROSS)), now=START)
    before = here.equity(key())
    here.top_up("USDT", D(100))
    assert is_value(before)
    assert here.equity(key()) == before + 100
