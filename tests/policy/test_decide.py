"""The decision: which rule acts when, on what, how often, and what stops it."""

from decimal import Decimal

import pytest

from guardd.model.decision import CancelEntries, Close, Protect, Reduce
from guardd.model.event import BlockKind, BlockMoved, MarkSeen, OrdersRead
from guardd.model.fold import fold
from guardd.model.intent import Stage
from guardd.model.names import OrderId, Severity, Side
from guardd.model.order import RestingKind, RestingOrder
from guardd.model.reading import Absent
from guardd.policy.decide import decide
from tests.changed import replace
from tests.model.accounts import BTC, ETH, D, key, row
from tests.policy.guarded import SENT, VERIFIED, acts, cross, every, guarded, only, policy_of, protect, rule

FAR, NEAR = "89000", "83000"
"""With a 10x long of entry 90000 the venue's price is 81000 here: 9 % and 2.4 % away."""
CLOSE = rule("{distance_to_liquidation: {below: 5%}}", "close: {}")
TRIM = rule("{distance_to_liquidation: {below: 5%}}", "reduce: {by: 25%}", more="cooldown: 30s")


LONG = row(venue_liquidation=D(81000))


# When a rule acts


def test_a_rule_whose_condition_is_false_decides_nothing_but_protection() -> None:
    decided = guarded(policy_of(CLOSE), LONG).mark(FAR)
    assert acts(decided) == []
    assert protect(decided).wanted == ()


def test_a_close_says_why_and_on_what_figures() -> None:
    close = only(guarded(policy_of(CLOSE), LONG).mark(NEAR), Close)
    assert close.key == key()
    assert close.rule == "r"
    assert close.reason == ("close BTCUSDT long at mark 83000: rule r, distance_to_liquidation 2.41 % is below 5 %")
    inputs = dict(close.inputs)
    assert inputs["liquidation_closing"] == "81000"
    assert inputs["mark"] == "83000"
    assert inputs["age_s_mark"] == "0.000"
    assert list(inputs) == sorted(inputs)


def test_looking_twice_at_the_same_state_decides_the_same() -> None:
    here = guarded(policy_of(CLOSE), LONG)
    assert here.mark(NEAR).decisions == here.look().decisions


def test_it_is_told_once_for_each_stretch_of_being_true() -> None:
    here = guarded(policy_of(CLOSE), LONG)
    first = here.mark(NEAR)
    assert [(tell.severity, tell.rule) for tell in first.told] == [(Severity.CRITICAL, "r")]
    assert [fired.rule for fired in first.fired] == ["r"]
    assert here.look().told == here.look().fired == ()
    here.mark(FAR)
    assert len(here.mark(NEAR).fired) == 1


def test_for_is_completed_by_time_and_reset_by_a_contrary_observation() -> None:
    here = guarded(policy_of(rule("{distance_to_liquidation: {below: 5%}}", "close: {}", more="for: 2s")), LONG)
    assert acts(here.mark(NEAR)) == []
    here.wait(1.5)
    assert acts(here.look()) == []
    assert acts(here.mark(FAR)) == []
    assert acts(here.mark(NEAR)) == []
    here.wait(1.5)
    assert acts(here.look()) == []
    here.wait(0.6)
    assert len(acts(here.look())) == 1


def test_I09_stale_data_never_completes_for() -> None:
    here = guarded(policy_of(rule("{distance_to_liquidation: {below: 5%}}", "close: {}", more="for: 2s")), LONG)
    here.mark(NEAR)
    here.wait(20, read=False)
    assert acts(here.look()) == []


def test_notify_acts_on_the_edge() -> None:
    here = guarded(policy_of(rule("{distance_to_liquidation: {below: 5%}}", "notify: {severity: info}")), LONG)
    assert here.mark(FAR).told == ()
    told = here.mark(NEAR).told
    assert [(tell.severity, tell.key) for tell in told] == [(Severity.INFO, key())]
    assert here.mark("82900").told == ()
    here.mark(FAR)
    assert len(here.mark(NEAR).told) == 1


def test_a_rule_that_warns_and_acts_counts_as_fired_once() -> None:
    here = guarded(policy_of(rule("{distance_to_liquidation: {below: 5%}}", "notify: {}, close: {}")), LONG)
    decided = here.mark("82000")
    assert len(decided.fired) == 1
    assert len(acts(decided)) == 1


def test_figures_of_any_size_are_told_without_failing() -> None:
    here = guarded(policy_of(rule("{effective_leverage: {above: 3}}", "close: {}, notify: {}")), LONG)
    here.read(replace(LONG, margin=D("1e-40"), entry_price=D("89000." + "1" * 24)))
    assert here.mark("83000." + "3" * 25).told


def test_which_number_a_warning_uses_and_which_a_close() -> None:
    """Ours is nearer than the venue's: it warns; closing waits for the venue's (interfaces.md 2.2)."""
    rules = (rule("{distance_to_liquidation: {below: 2%}}", "close: {}"),)
    warn = rule("{distance_to_liquidation: {below: 2%}}", "notify: {}", name="warn")
    here = guarded(policy_of(*rules, warn), replace(LONG, liquidation_price=D(80000)))
    decided = here.mark("82500")
    assert [tell.rule for tell in decided.told] == ["warn"]
    assert acts(decided) == []


# First sight


def test_a_reducing_rule_true_at_first_sight_is_told_and_held() -> None:
    here = guarded(policy_of(CLOSE), LONG, shown=False)
    decided = here.mark(NEAR)
    assert acts(decided) == []
    assert ["first sight" in tell.text for tell in decided.told] == [True]
    assert here.look().told == ()


def test_it_is_held_until_the_distance_fell_by_a_further_quarter() -> None:
    here = guarded(policy_of(CLOSE), LONG, shown=False)
    here.mark("84000")  # 3.57 %: three quarters of it are 2.68 %
    assert acts(here.mark("83300")) == []
    assert len(acts(here.mark("83200"))) == 1


def test_it_is_held_until_it_has_been_false() -> None:
    here = guarded(policy_of(CLOSE), LONG, shown=False)
    here.mark(NEAR)
    here.mark(FAR)
    assert len(acts(here.mark(NEAR))) == 1


@pytest.mark.parametrize(("open_for_s", "acted"), [(2.9, 0), (3.1, 1), (600.0, 1)])
def test_I10_what_a_position_lost_before_anybody_could_look_calls_for_its_close(open_for_s: float, acted: int) -> None:
    """Its reads failed for that long: at its entry the rule was false, and no stop could be placed since."""
    here = guarded(policy_of(CLOSE), LONG, shown=False, open_for_s=open_for_s)
    assert len(acts(here.mark(NEAR))) == acted


def test_a_rule_that_was_true_at_the_opening_is_held_however_late_it_is_seen() -> None:
    near_from_the_start = rule("{distance_to_liquidation: {below: 15%}}", "close: {}")
    here = guarded(policy_of(near_from_the_start), LONG, shown=False, open_for_s=10)
    decided = here.mark("89000")
    assert acts(decided) == []
    assert ["first sight" in tell.text for tell in decided.told] == [True]


def test_positions_shown_at_confirm_act_at_once() -> None:
    here = guarded(policy_of(CLOSE), LONG, shown=False)
    here.mark(NEAR)
    here.memory.show(here.state)
    assert len(acts(here.look())) == 1


# Cooldown, steps, what is in flight


def test_an_intent_in_flight_blocks_a_second_decision() -> None:
    here = guarded(policy_of(TRIM), LONG)
    reduce = only(here.mark(NEAR), Reduce)
    here.send(reduce, *SENT)
    assert acts(here.look()) == []


def test_the_cooldown_counts_from_the_verified_outcome() -> None:
    here = guarded(policy_of(TRIM), LONG)
    here.send(only(here.mark(NEAR), Reduce), *VERIFIED)
    here.wait(29)
    assert acts(here.look()) == []
    here.wait(1.1)
    assert len(acts(here.look())) == 1


@pytest.mark.parametrize("end", [Stage.REJECTED, Stage.UNKNOWN])
def test_a_rejection_starts_no_cooldown_and_an_unknown_outcome_blocks(end: Stage) -> None:
    here = guarded(policy_of(TRIM), LONG)
    here.send(only(here.mark(NEAR), Reduce), *SENT, end)
    assert len(acts(here.look())) == (1 if end is Stage.REJECTED else 0)


def test_one_rules_cooldown_never_holds_back_another() -> None:
    here = guarded(policy_of(TRIM, rule("{distance_to_liquidation: {below: 5%}}", "reduce: {by: 10%}", name="b")), LONG)
    first = only(here.mark(NEAR), Reduce)
    assert first.rule == "r"
    here.send(first, *VERIFIED)
    assert only(here.look(), Reduce).rule == "b"


def test_close_has_no_cooldown_and_goes_on_until_flat() -> None:
    here = guarded(policy_of(CLOSE), LONG)
    here.send(only(here.mark(NEAR), Close), *VERIFIED)
    assert len(acts(here.look())) == 1


def test_the_next_action_of_a_rule_follows_once_the_first_was_verified() -> None:
    both = rule("{distance_to_liquidation: {below: 5%}}", "reduce: {by: 25%}, close: {}")
    here = guarded(policy_of(both), LONG)
    here.send(only(here.mark(NEAR), Reduce), *VERIFIED)
    here.wait(1)
    assert len(every(here.look(), Close)) == 1


def test_the_next_action_is_skipped_when_the_condition_no_longer_holds() -> None:
    both = rule("{distance_to_liquidation: {below: 5%}}", "reduce: {by: 25%}, close: {}")
    here = guarded(policy_of(both), LONG)
    here.send(only(here.mark(NEAR), Reduce), *VERIFIED)
    assert acts(here.mark(FAR)) == []


def test_an_isolated_position_that_no_size_helps_is_refused_and_the_next_action_follows() -> None:
    both = rule(
        "{distance_to_liquidation: {below: 5%}}",
        "reduce: {until: {distance_to_liquidation: 12%}, at_most: 50%}, close: {}",
    )
    here = guarded(policy_of(both), LONG)
    decided = here.mark(NEAR)
    assert len(every(decided, Close)) == 1
    assert any("isolated" in tell.text for tell in decided.told)
    assert not any("isolated" in tell.text for tell in here.look().told)


def test_a_close_waits_a_second_for_a_reduction_in_flight() -> None:
    here = guarded(policy_of(TRIM, rule("{distance_to_liquidation: {below: 3%}}", "close: {}", name="c")), LONG)
    here.send(only(here.mark("85000"), Reduce), *SENT)
    assert acts(here.mark(NEAR)) == []
    here.wait(1)
    assert only(here.look(), Close).rule == "c"


# Several rules


def test_only_the_strongest_of_the_rules_goes() -> None:
    rules = [
        rule("{distance_to_liquidation: {below: 5%}}", f"reduce: {{by: {share}%}}", name=f"r{share}")
        for share in (10, 40, 25)
    ]
    assert only(guarded(policy_of(*rules), LONG).mark(NEAR), Reduce).size == 40
    rules.append(rule("{distance_to_liquidation: {below: 5%}}", "close: {}", name="c"))
    assert only(guarded(policy_of(*rules), LONG).mark(NEAR), Close).rule == "c"


@pytest.mark.parametrize(
    ("match", "is_about"),
    [
        ("{side: short}", False),
        ("{side: long}", True),
        ("{margin_mode: cross}", False),
        ("{margin_mode: isolated}", True),
        ('{symbol: ["ETH*", SOLUSDT]}', False),
        ('{symbol: ["ETH*", "BTC*"]}', True),
        ("{account: hedge}", False),
        ("{account: main, venue: bitmart, side: any}", True),
        ("{venue: bitget}", False),
        ('{symbol: "BTC*", side: short}', False),
    ],
)
def test_a_rule_is_only_about_what_it_matches(match: str, is_about: bool) -> None:
    policy = policy_of(rule("{distance_to_liquidation: {below: 5%}}", "close: {}", more=f"match: {match}"))
    assert bool(acts(guarded(policy, LONG).mark(NEAR))) is is_about


# Blindness


def test_I09_nothing_is_reduced_on_a_mark_that_is_too_old_and_that_is_told_once() -> None:
    here = guarded(policy_of(CLOSE), LONG)
    here.frame(NEAR, last=NEAR, index=NEAR)
    here.now = here.now.later_by(15.1)
    decided = here.look()
    assert acts(decided) == []
    assert decided.read_first == frozenset()
    assert [tell.severity for tell in decided.told] == [Severity.CRITICAL]
    assert decided.told[0].text.startswith(
        "main/BTCUSDT/long: blind: mark: 15.1 s old, at most 15 s allowed; position:"
    )
    assert here.look().told == ()


def test_I09_a_position_read_that_is_too_old_is_read_again_before_anything_is_decided() -> None:
    here = guarded(policy_of(CLOSE), LONG)
    here.now = here.now.later_by(4)
    decided = here.mark(NEAR)
    assert acts(decided) == []
    assert decided.read_first == {key()}
    here.read()
    assert len(acts(here.look())) == 1


def test_where_a_block_holds_reads_back_the_last_confirmed_quantity_serves() -> None:
    here = guarded(policy_of(CLOSE), LONG)
    here.now = here.now.later_by(4)
    fold(here.state, BlockMoved(at=here.now, kind=BlockKind.EDGE, until=here.now.later_by(30)))
    assert len(acts(here.mark(NEAR))) == 1


def test_when_blind_act_uses_the_last_values() -> None:
    blind = rule(
        "{all: [{distance_to_liquidation: {below: 5%}}, {data_age: {above: 20s}}]}", "close: {}", more="when_blind: act"
    )
    here = guarded(policy_of(blind), LONG)
    here.frame(NEAR, last=NEAR, index=NEAR)
    assert acts(here.look()) == []
    here.wait(21, read=False)
    [close] = acts(here.look())
    assert close.blind, "or execution would wait for the read that doesn't come"


def test_I19_an_unknown_figure_never_acts_and_is_told_when_it_lasts() -> None:
    here = guarded(policy_of(CLOSE), replace(LONG, maintenance_margin=Absent.UNKNOWN, liquidation_price=Absent.UNKNOWN))
    assert acts(here.mark(NEAR)) == []
    here.wait(15.1)
    decided = here.look()
    assert acts(decided) == []
    assert any("can't be judged" in tell.text for tell in decided.told)


def test_an_impossible_liquidation_price_is_told_and_read_again_and_never_closes() -> None:
    here = guarded(policy_of(CLOSE), replace(LONG, liquidation_price=D(91000)))
    decided = here.mark(NEAR)
    assert acts(decided) == []
    assert decided.read_first == {key()}
    assert any("impossible" in tell.text for tell in decided.told)


# Halted, parked


def test_halted_only_stops_and_close_act() -> None:
    stop = "name: stop\nthen: [stop_loss: {trigger: {from_entry: -9%}}]"
    here = guarded(policy_of(stop, TRIM, rule("{distance_to_liquidation: {below: 3%}}", "close: {}", name="c")), LONG)
    here.state.halted = True
    halfway = here.mark("84500")
    assert [type(decision) for decision in halfway.decisions] == [Protect]
    assert len(protect(halfway).wanted) == 1
    withheld = [tell.text for tell in halfway.told if "the account is halted" in tell.text]
    assert len(withheld) == 1
    assert [tell.text for tell in here.mark("84499").told] == []
    assert only(here.mark(NEAR), Close).rule == "c"


def test_parked_restores_stops_and_nothing_else() -> None:
    here = guarded(policy_of(CLOSE), LONG)
    here.state.parked = "I2: somebody turned the position round"
    decided = here.mark(NEAR)
    assert [type(decision) for decision in decided.decisions] == [Protect]
    assert any("is true and not acted on: the account is parked" in tell.text for tell in decided.told)


# Entries


def entry_order(*, created: float = -10, side: Side = Side.LONG) -> RestingOrder:
    here = guarded(policy_of(CLOSE), LONG)
    return RestingOrder(
        order_id=OrderId(f"e{created}"),
        client_id=None,
        key=key(side),
        closes=False,
        kind=RestingKind.LIMIT,
        price=D(80000),
        size=D(5),
        filled=D(0),
        created_ms=here.now.later_by(created).wall_ms,
    )


CANCEL = rule("{distance_to_liquidation: {below: 5%}}", "cancel_entries: {}, reduce: {by: 25%}")


def test_entries_are_cancelled_before_the_reduction() -> None:
    here = guarded(policy_of(CANCEL), LONG)
    fold(here.state, OrdersRead(started=here.now, at=here.now, resting=(entry_order(),), plans=()))
    decided = here.mark(NEAR)
    assert [type(decision) for decision in decided.decisions] == [Protect, CancelEntries, Reduce]


def test_without_entries_there_is_nothing_to_cancel() -> None:
    here = guarded(policy_of(CANCEL), LONG)
    fold(here.state, OrdersRead(started=here.now, at=here.now, resting=(entry_order(side=Side.SHORT),), plans=()))
    assert every(here.mark(NEAR), CancelEntries) == []


def test_entries_placed_later_wait_for_the_cooldown() -> None:
    here = guarded(policy_of(CANCEL), LONG)
    fold(here.state, OrdersRead(started=here.now, at=here.now, resting=(entry_order(),), plans=()))
    here.mark(NEAR)
    fold(here.state, OrdersRead(started=here.now, at=here.now, resting=(entry_order(created=5),), plans=()))
    here.wait(10)
    assert every(here.look(), CancelEntries) == []
    here.wait(20)
    assert len(every(here.look(), CancelEntries)) == 1


# Marks that nobody confirms: I28


def test_I28_one_bad_mark_never_closes_and_one_rest_mark_is_asked_for() -> None:
    here = guarded(policy_of(CLOSE), LONG)
    here.mark(FAR)
    decided = here.mark(NEAR, last=FAR, index=FAR)
    assert acts(decided) == []
    assert decided.ask_rest == {BTC}
    assert here.confirmation.waiting(BTC)
    assert acts(here.mark(FAR)) == []
    assert not here.confirmation.waiting(BTC)


def test_I28_the_very_next_frame_confirms() -> None:
    here = guarded(policy_of(CLOSE), LONG)
    here.mark(FAR)
    assert acts(here.bare(NEAR)) == []
    assert len(acts(here.bare("82990"))) == 1


def test_I28_one_bad_mark_of_another_cross_instrument_never_closes_this_one() -> None:
    danger = rule("{account_margin_ratio: {above: 60%}}", "close: {}")
    rows = (cross(), cross(symbol=ETH))
    here = guarded(policy_of(danger), *rows, wallet="1400")
    here.mark(FAR)
    here.mark(FAR, ETH)
    assert acts(here.mark("78500", ETH, last=FAR, index=FAR)) == []
    assert acts(here.bare("78500", ETH)) != []


def test_I28_unconfirmed_for_a_second_is_critical_and_tried_on() -> None:
    here = guarded(policy_of(CLOSE), LONG)
    here.mark(FAR)
    here.bare(NEAR)
    here.now = here.now.later_by(1)
    decided = here.look()
    assert acts(decided) == []
    assert [tell.severity for tell in decided.told] == [Severity.CRITICAL]
    here.now = here.now.later_by(0.5)
    assert here.look().ask_rest == {BTC}


# The whole account


ACCOUNT = rule("{account_margin_ratio: {above: 60%}}", "close: {}")


def test_an_account_wide_condition_takes_cross_positions_one_at_a_time() -> None:
    here = guarded(policy_of(ACCOUNT), cross(quantity="100"), cross(symbol=ETH, quantity="50"), wallet="1530")
    here.mark("80500")
    here.frame("80500", ETH, last="80500", index="80500")
    decided = here.look()
    assert only(decided, Close).key == key()
    here.send(only(decided, Close), *SENT)
    assert acts(here.look()) == []


def test_an_account_rule_cancels_entries_of_instruments_that_are_not_held_too() -> None:
    when = "{account_margin_ratio: {above: 60%}}"
    here = guarded(policy_of(rule(when, "cancel_entries: {}, close: {}")), cross(quantity="100"), wallet="1020")
    entry = replace(entry_order(), key=key(symbol=ETH))
    fold(here.state, OrdersRead(started=here.now, at=here.now, resting=(entry,), plans=()))
    [cancel] = every(here.mark("80500"), CancelEntries)
    assert cancel.whole_account


def test_legs_of_one_instrument_go_together_net_side_first() -> None:
    rows = (cross(quantity="100"), cross(Side.SHORT, quantity="60"))
    here = guarded(policy_of(ACCOUNT), *rows, wallet="470")
    closes = every(here.mark("80500"), Close)
    assert [close.key.side for close in closes] == [Side.LONG, Side.SHORT]


def test_I15_a_step_that_would_break_a_hedge_is_refused_and_told() -> None:
    """Long and short of two instruments that move together: without either the account is at the other's mercy."""
    rows = (cross(quantity="100", mark="90000"), cross(Side.SHORT, symbol=ETH, quantity="100", mark="90000"))
    here = guarded(policy_of(ACCOUNT), *rows, wallet="150")
    here.frame("90000", ETH, last="90000", index="90000")
    decided = here.mark("90000")
    assert acts(decided) == []
    assert any("worse off" in tell.text for tell in decided.told)


def test_I15_the_smaller_leg_of_a_cross_hedge_is_never_closed_alone() -> None:
    short = rule("{profit_from_entry: {below: -1%}}", "close: {}", more="match: {side: short}")
    here = guarded(policy_of(short), cross(quantity="100"), cross(Side.SHORT, quantity="60"), wallet="9000")
    decided = here.mark("91500")
    assert acts(decided) == []
    assert any("I15" in tell.text for tell in decided.told)


def test_I15_a_reduction_of_the_net_side_stops_before_the_net_exposure_grows() -> None:
    half = rule("{profit_from_entry: {below: -1%}}", "reduce: {by: 60%}", more="match: {side: long}")
    here = guarded(policy_of(half), cross(quantity="100"), cross(Side.SHORT, quantity="80"), wallet="9000")
    assert only(here.mark("88000"), Reduce).size == Decimal(40)


def test_a_look_at_some_instruments_leaves_the_others_alone() -> None:
    here = guarded(policy_of(CLOSE), LONG, row(symbol=ETH, venue_liquidation=D(81000)))
    fold(here.state, MarkSeen(ETH, D(NEAR), here.now))
    decided = decide(here.policy, here.state, here.memory, here.confirmation, now=here.now, symbols=[BTC])
    assert [risk.key.symbol for risk in decided.risks] == [BTC]
