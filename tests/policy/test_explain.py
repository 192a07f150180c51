"""The policy in words: what comes next, what it would do now."""

from guardd.model.names import Side
from guardd.policy.explain import NextRule, describe, next_rule, view_of
from guardd.policy.language import Policy
from tests.model.accounts import START, D, account, key, row
from tests.policy.guarded import cross, policy_of, rule

LONG = row(venue_liquidation=D(81000))
WARN = rule("{distance_to_liquidation: {below: 15%}}", "notify: {}", name="warn")
TRIM = rule("{profit_from_entry: {below: -5%}}", "reduce: {by: 25%}", name="trim")
LAST = rule("{buffer_left: {below: 15%}}", "close: {}", name="last")
STOP = "name: stop\nthen: [stop_loss: {trigger: {from_entry: -8%}}]"


def following(policy: Policy, side: Side = Side.LONG, mark: str = "89000") -> NextRule | None:
    position = LONG if side is Side.LONG else row(Side.SHORT, venue_liquidation=D(99000), mark=mark)
    view = view_of(policy, account(position), key(side), START)
    assert view is not None
    return next_rule(view)


def test_the_next_rule_is_the_one_whose_mark_comes_first() -> None:
    assert following(policy_of(LAST, TRIM)) == NextRule(rule="trim", at_mark_price=D("85499.9"))  # type: ignore[arg-type]
    assert following(policy_of(LAST)) == NextRule(rule="last", at_mark_price=D("82349.9"))  # type: ignore[arg-type]


def test_a_rule_that_is_true_already_is_next_at_the_present_mark() -> None:
    assert following(policy_of(LAST, WARN)) == NextRule(rule="warn", at_mark_price=D(89000))  # type: ignore[arg-type]


def test_for_a_short_the_next_rule_lies_above() -> None:
    found = following(policy_of(TRIM), Side.SHORT)
    assert found is not None
    assert found.at_mark_price == D("94500.1")


def test_a_rule_that_only_gains_reach_is_next_in_the_positions_favour_and_after_any_danger() -> None:
    gain = rule("{profit_from_entry: {above: 2%}}", "close: {}", name="gain")
    assert following(policy_of(gain)) == NextRule(rule="gain", at_mark_price=D("91800.1"))  # type: ignore[arg-type]
    found = following(policy_of(gain, LAST))
    assert found is not None
    assert found.rule == "last"


def test_without_a_rule_that_hangs_on_the_mark_there_is_none() -> None:
    assert following(policy_of(STOP, rule("{leverage: {above: 50}}", "close: {}"))) is None


def test_a_position_that_is_not_held_has_no_view() -> None:
    assert view_of(policy_of(STOP), account(LONG), key(Side.SHORT), START) is None


def test_what_the_policy_would_do_now_is_told_in_words() -> None:
    assert describe(policy_of(STOP, WARN, TRIM, LAST), account(LONG), START) == (
        "BTCUSDT long 10x isolated, 100 contracts: mark 89000, liquidation at 81498.8993396, distance 8.43 %",
        "  a stop shall rest at 82800 (mark price, rule stop)",
        "  rule warn is true now (distance_to_liquidation 8.43 % is below 15 %): tell (warning)",
        "  rule trim at mark 85499.9: reduce by 25 %",
        "  rule last at mark 82349.9: close",
    )


def test_nothing_held_is_said_so() -> None:
    assert describe(policy_of(STOP), account(), START) == ("no open position",)


def test_an_unprotected_position_is_said_so() -> None:
    assert "  no rule asks for a stop" in describe(policy_of(LAST), account(LONG), START)


def test_describing_remembers_nothing() -> None:
    policy = policy_of("name: s\nthen: [stop_loss: {trigger: {from_mark: -2%}}]")
    state = account(cross())
    assert describe(policy, state, START) == describe(policy, state, START)
