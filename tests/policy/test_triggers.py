"""The trigger solver: each answer it can give, and its law over random accounts (the long run: `tests.policy.trigger_law`)."""

from decimal import Decimal

import pytest

from guardd.model.instant import Instant
from guardd.model.intent import Stage
from guardd.model.names import EpisodeId, MarginMode, RuleName, Side
from guardd.model.order import ProtectionKind
from guardd.model.reading import Absent
from guardd.model.state import AccountState, RuleProgress
from guardd.policy.conditions import Use
from guardd.policy.crossings import Way
from guardd.policy.explain import next_rule, view_of
from guardd.policy.language import Policy
from guardd.policy.memory import Memory
from guardd.policy.triggers import RuleTrigger, When, triggers
from tests.changed import replace
from tests.model.accounts import START, D, account, instrument, key, later, row
from tests.policy.guarded import VERIFIED, acts, cross, guarded, policy_of, rule
from tests.policy.trigger_law import Tally, check_case, run

LONG = row(venue_liquidation=D(81000))
TRIM = rule("{distance_to_liquidation: {below: 5%}}", "reduce: {by: 25%}", name="trim")
STOP = "name: stop\nthen: [stop_loss: {trigger: {from_entry: -8%}}, take_profit: {trigger: {from_entry: 6%}}]"


def found(
    policy: Policy, state: AccountState, memory: Memory | None = None, now: Instant = START, side: Side = Side.LONG
) -> tuple[RuleTrigger, ...]:
    view = view_of(policy, state, key(side), now)
    assert view is not None
    return triggers(view, memory, state=state, now=now)


def only(policy: Policy, state: AccountState, memory: Memory | None = None, now: Instant = START) -> RuleTrigger:
    (each,) = [each for each in found(policy, state, memory, now) if each.order is None]
    return each


# The law


def test_a_rule_fires_on_one_side_of_its_price_and_nowhere_before_it() -> None:
    tally = run(seed=1, positions=200)
    assert tally.found[When.AT] > 50
    assert {"linear", "inverse"} == {kind.split()[0] for kind in tally.kinds}


@pytest.mark.parametrize(("seed", "case"), [(1, 35225)])
def test_an_account_that_once_broke_the_law_keeps_it(seed: int, case: int) -> None:
    """An even inverse hedge whose ratio stands at its threshold: the 28th digit of a division was past it at some marks."""
    check_case(seed, case, Tally())


# Each answer


def test_a_price_is_given_with_the_thresholds_that_make_it() -> None:
    each = only(policy_of(TRIM), account(LONG))
    assert (each.when, each.at, each.way, each.use) == (When.AT, D("85263.1"), Way.DOWN, Use.CLOSE)
    assert each.why == "distance_to_liquidation below 5 %"


def test_a_rule_that_is_true_is_due_now() -> None:
    each = only(policy_of(rule("{profit_from_entry: {below: -1%}}", "close: {}")), account(LONG))
    assert (each.when, each.at) == (When.NOW, D(89000))
    assert "is below -1 %" in each.why


def test_a_rule_that_fires_on_both_ways_has_two_prices_the_harmful_one_first() -> None:
    when = "{any: [{profit_from_entry: {below: -5%}}, {profit_from_entry: {above: 5%}}]}"
    pair = [(each.way, each.at) for each in found(policy_of(rule(when, "close: {}")), account(LONG))]
    assert pair == [(Way.DOWN, D("85499.9")), (Way.UP, D("94500.1"))]


def test_what_warns_by_the_nearer_number_and_acts_by_the_venues_has_a_price_for_each() -> None:
    """Our careful number lies at 81498.9, the venue's at 81000: the warning comes first."""
    both = rule("{distance_to_liquidation: {below: 5%}}", "notify: {}, close: {}")
    warning, closing = found(policy_of(both), account(LONG))
    assert (warning.use, closing.use) == (Use.WARN, Use.CLOSE)
    assert (warning.at, closing.at) == (D("85788.3"), D("85263.1"))
    one = found(policy_of(rule("{profit_from_entry: {below: -5%}}", "notify: {}, close: {}")), account(LONG))
    assert [len(each.actions) for each in one] == [2]


def test_a_price_between_our_number_and_the_venues_is_found() -> None:
    """Nearer than 0.5 % to the venue's 81000 lies beyond our own 81498.9: the position still lives there."""
    each = only(policy_of(rule("{distance_to_liquidation: {below: 0.5%}}", "close: {}")), account(LONG))
    assert each.at == D("81407.0")


def test_a_price_beyond_liquidation_is_never_reached() -> None:
    each = only(policy_of(rule("{profit_from_entry: {below: -20%}}", "close: {}")), account(LONG))
    assert (each.when, each.at) == (When.NEVER, None)
    assert each.why == "not before the liquidation at 81000"


@pytest.mark.parametrize(
    ("when", "why"),
    [
        ("{leverage: {above: 20}}", "no mark moves it: leverage 10 is not above 20"),
        ("{account_margin_ratio: {above: 80%}}", "account_margin_ratio is false for an isolated position"),
        (
            "{all: [{leverage: {above: 20}}, {profit_from_entry: {below: -5%}}]}",
            "not before the liquidation at 81000 as long as leverage 10 is not above 20",
        ),
    ],
)
def test_never_says_why(when: str, why: str) -> None:
    each = only(policy_of(rule(when, "close: {}")), account(LONG))
    assert (each.when, each.why) == (When.NEVER, why)


def test_what_can_not_be_told_is_unknown_and_says_which_figure_is_missing() -> None:
    state = account(row(), instruments=(instrument(tiers=()),))
    each = only(policy_of(TRIM), state)
    assert each.when is When.UNKNOWN
    assert each.why == "distance_to_liquidation can't be told"


def test_our_own_number_that_may_justify_no_close_is_said_to_be_why() -> None:
    odd = replace(row(), maintenance_margin=D(1))
    each = only(policy_of(TRIM), account(odd))
    assert each.when is When.UNKNOWN
    assert "justifies no close" in each.why


def test_a_contradiction_of_the_venue_is_said_to_be_why() -> None:
    each = only(policy_of(TRIM), account(row(venue_liquidation=D(95000))))
    assert each.when is When.UNKNOWN
    assert "95000" in each.why


def test_old_figures_are_unknown_not_now() -> None:
    state = account(LONG)
    each = only(policy_of(rule("{profit_from_entry: {below: -1%}}", "close: {}")), state, now=later(100))
    assert each.when is When.UNKNOWN
    assert "too old" in each.why


# Held


def test_first_sight_holds_a_reduction_until_the_distance_fell_by_a_quarter() -> None:
    """89000 is 8.99 % from 81000; three quarters of that are 6.74 %, at 86855.4…"""
    policy = policy_of(rule("{profit_from_entry: {below: -1%}}", "close: {}"))
    there = guarded(policy, LONG, shown=False)
    each = only(policy, there.state, Memory())
    assert (each.when, each.at, each.way) == (When.HELD, D("86855.4"), Way.DOWN)
    assert "first sight" in each.why
    there.look()
    assert not acts(there.mark("86855.5"))
    assert acts(there.mark("86855.4"))


def test_what_came_while_nobody_could_look_is_not_held() -> None:
    there = guarded(policy_of(rule("{profit_from_entry: {below: -1%}}", "close: {}")), LONG, shown=False, open_for_s=10)
    assert only(there.policy, there.state, Memory(), there.now).when is When.NOW
    assert acts(there.mark("89000"))


def test_what_was_shown_at_confirm_is_not_held() -> None:
    there = guarded(policy_of(rule("{profit_from_entry: {below: -1%}}", "close: {}")), LONG)
    assert only(there.policy, there.state, there.memory, there.now).when is When.NOW


def test_for_holds_a_rule_until_its_time_is_over() -> None:
    there = guarded(policy_of(rule("{profit_from_entry: {below: -1%}}", "close: {}", more="for: 2s")), LONG)
    there.look()
    there.wait(0.5)
    each = only(there.policy, there.state, there.memory, there.now)
    assert (each.when, each.why) == (When.HELD, "must hold for 2 s, has for 0.5 s")
    there.wait(1.6)
    assert only(there.policy, there.state, there.memory, there.now).when is When.NOW


def test_a_cooldown_holds_a_reduction_and_no_close() -> None:
    there = guarded(policy_of(rule("{profit_from_entry: {below: -1%}}", "reduce: {by: 25%}")), LONG)
    (step,) = acts(there.mark("89000"))
    there.send(step, *VERIFIED)
    each = only(there.policy, there.state, there.memory, there.now)
    assert (each.when, each.why) == (When.HELD, "within its cooldown of 30 s")
    closing = policy_of(rule("{profit_from_entry: {below: -1%}}", "close: {}"))
    there.state.progress[there.state.held[key()].episode.id, RuleName("r")] = RuleProgress(steps=1, verified=there.now)
    assert only(closing, there.state, there.memory, there.now).when is When.NOW


def test_a_step_on_its_way_and_a_halted_or_parked_account_hold_a_rule() -> None:
    there = guarded(policy_of(rule("{profit_from_entry: {below: -1%}}", "reduce: {by: 25%}")), LONG)
    (step,) = acts(there.mark("89000"))
    there.send(step, Stage.DECIDED, Stage.JOURNALLED, Stage.SENT)
    assert only(there.policy, there.state, there.memory, there.now).why == "a step on this position is on its way"
    there.state.halted = True
    assert only(there.policy, there.state, there.memory, there.now).why == "the account is halted"
    there.state.parked = "I29"
    assert only(there.policy, there.state, there.memory, there.now).why == "the account is parked"


def test_what_was_told_is_told_again_only_after_it_was_false() -> None:
    there = guarded(policy_of(rule("{profit_from_entry: {below: -1%}}", "notify: {}")), LONG)
    assert only(there.policy, there.state, there.memory, there.now).when is When.NOW
    there.look()
    each = only(there.policy, there.state, there.memory, there.now)
    assert (each.when, each.why) == (When.HELD, "told already; told again once it has been false")


def test_solving_remembers_nothing() -> None:
    memory = Memory()
    found(policy_of(STOP, TRIM), account(LONG), memory)
    assert memory.episodes == {}
    memory.of(EpisodeId("other"))
    assert memory.episodes.keys() == {"other"}


# Stops and take-profits


def test_stops_and_take_profits_stand_where_they_rest() -> None:
    stop, profit = found(policy_of(STOP), account(LONG))[-2:]
    assert (stop.when, stop.at, stop.way) == (When.AT, D(82800), Way.DOWN)
    assert (profit.when, profit.at, profit.way) == (When.AT, D(95400), Way.UP)
    assert stop.order is not None
    assert stop.order.kind is ProtectionKind.STOP_LOSS


def test_a_stop_that_can_not_be_placed_says_why() -> None:
    alert = "name: s\nthen: [stop_loss: {trigger: {from_entry: -1%}, if_passed: alert}]"
    (each,) = [each for each in found(policy_of(alert), account(LONG)) if each.when is When.NEVER]
    assert (each.rule, each.why) == ("s", "the mark 89000 has passed its trigger 89100.00")


# Inverse contracts


def inverse(side: Side = Side.LONG) -> AccountState:
    """90,000 USD in contracts of 100 at 90,000: one BTC, with a tenth behind it. Liquidation of the long at 82,227.27."""
    listed = replace(instrument(fee="0"), settle="BTC", contract_size=D(100), inverse=True)
    entry = D(90000)
    position = replace(
        row(side, quantity="900", mark="90000", margin=D("0.1")),
        maintenance_margin=D("0.005"),
        notional=D(90000) / entry,
        unrealized_pnl=D(0),
    )
    return account(position, instruments=(listed,))


def test_an_inverse_position_is_solved_in_its_base_coin() -> None:
    """(P − 82227.27…) ÷ P = 5 % at 86555.02…, and a tenth of the margin is lost at 90000 ÷ 1.01 = 89108.91…"""
    assert only(policy_of(TRIM), inverse()).at == D("86555.0")
    loss = policy_of(rule("{unrealized_pnl: {below: -0.01 BTC}}", "close: {}"))
    assert only(loss, inverse()).at == D("89108.9")


def test_money_of_another_coin_is_said_to_be_why_nothing_can_be_told() -> None:
    each = only(policy_of(rule("{unrealized_pnl: {below: -10 USDT}}", "close: {}")), inverse())
    assert each.when is When.UNKNOWN
    assert each.why.endswith("the rule speaks of USDT, and this position settles in BTC")


def test_the_next_rule_of_status_is_the_solvers() -> None:
    policy = policy_of(TRIM, rule("{buffer_left: {below: 15%}}", "close: {}", name="last"))
    state = account(LONG)
    view = view_of(policy, state, key(), START)
    assert view is not None
    shown = next_rule(view)
    assert shown is not None
    first = max(triggers(view), key=lambda each: each.at or Decimal(0))
    assert (shown.rule, shown.at_mark_price) == (first.rule, first.at)


def test_hedge_legs_and_cross_positions_are_solved_with_the_account_behind_them() -> None:
    policy = policy_of(rule("{account_margin_ratio: {above: 60%}}", "close: {}"))
    state = account(cross(), cross(Side.SHORT, quantity="40"))
    long, short = (found(policy, state, side=side)[0] for side in Side)
    assert long.at == short.at
    assert long.way is Way.DOWN
    isolated = found(policy, account(row(mode=MarginMode.ISOLATED)))
    assert [each.when for each in isolated] == [When.NEVER]


def test_a_venue_that_says_there_is_no_liquidation_price_leaves_nothing_to_fire_on() -> None:
    state = account(cross(), wallet="100000")
    assert view_of(policy_of(TRIM), state, key(), START) is not None
    state.held[key()].position = replace(state.held[key()].position, liquidation_price=Absent.NONE)
    each = only(policy_of(TRIM), state)
    assert each.when is When.NEVER
    assert each.why == "not at any mark"
