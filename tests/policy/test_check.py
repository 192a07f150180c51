"""Sense, judged on model positions: what is found, what isn't, and that the models are what they say."""

from decimal import Decimal

import pytest

from guardd.model.names import MarginMode, Side
from guardd.model.reading import is_value
from guardd.policy.check import Bench, Finding, Kind, Subject, Weight, bench_of, findings
from guardd.policy.conditions import Truth, Use, evaluate
from guardd.policy.language import Policy
from guardd.policy.sense.firing import firing
from guardd.policy.sense.models import ENTRY, Modelled, modelled
from guardd.policy.sense.resting import stop_price
from guardd.risk.assess import assess_on
from guardd.venues.bitget.classic.venue import capabilities as classic
from guardd.venues.bitget.unified.venue import CAPABILITIES as UNIFIED
from tests.changed import replace
from tests.model.accounts import D, account, row
from tests.policy.guarded import policy_of, rule

STOP = "name: stop\nthen: [stop_loss: {trigger: {liquidation_buffer: 25%}}]"
WARN = rule("{buffer_left: {below: 70%}}", "notify: {}", name="warn")
TRIM = rule("{buffer_left: {below: 60%}}", "reduce: {by: 25%}", name="trim")
LAST = rule("{buffer_left: {below: 40%}}", "close: {}", name="last")


def grave(policy: Policy, bench: Bench | None = None) -> list[Finding]:
    return [each for each in findings(policy, bench) if each.weight is not Weight.INFO]


def kinds(policy: Policy, bench: Bench | None = None) -> set[Kind]:
    return {each.kind for each in grave(policy, bench)}


def at(leverage: int) -> Bench:
    return Bench(leverages=(D(leverage),))


# The models


def test_a_model_stands_on_what_its_leverage_says_in_both_margin_modes() -> None:
    models = modelled(policy_of(STOP), Bench())
    assert len(models) == 3 * 2 * 2
    for each in models:
        risk = each.view.risk
        assert is_value(risk.effective_leverage)
        assert round(risk.effective_leverage, 6) == each.case.leverage == risk.leverage
        assert risk.closing_liquidation == risk.liquidation == risk.venue_liquidation
        assert not each.view.stale


def test_a_rule_fires_where_the_daemons_evaluator_says_and_not_a_tick_before() -> None:
    policy = policy_of(STOP, TRIM)
    for each in modelled(policy, Bench()):
        found = firing(policy.rules[1], each)
        assert found.against is not None
        tick = each.view.instrument.tick * each.case.side.sign
        truths = [
            evaluate(policy.rules[1].when, assess_on(each.view.on, mark=mark), Use.CLOSE)
            for mark in (found.against, found.against + tick)
        ]
        assert truths == [Truth.TRUE, Truth.FALSE]


def test_a_resting_stop_lies_where_the_daemon_would_place_it() -> None:
    model = next(each for each in modelled(policy_of(STOP), at(20)) if each.case.side is Side.LONG)
    end = model.view.risk.liquidation
    assert is_value(end)
    assert stop_price(model.view.rules, model) == model.view.instrument.price_up(end + D("0.25") * (ENTRY - end))


@pytest.mark.parametrize("match", ["{symbol: 'ETH*'}", "{symbol: WEIRDUSDT}", "{venue: bitget}", "{account: hedge}"])
def test_a_rule_about_something_of_its_own_is_judged_on_a_model_of_that(match: str) -> None:
    wrong = rule("{buffer_left: {below: 110%}}", "close: {}", name="own", more=f"match: {match}")
    assert Kind.AT_ONCE in kinds(policy_of(STOP, wrong))


# What is found


def test_a_sound_policy_has_nothing_grave_at_any_of_the_usual_leverages() -> None:
    assert grave(policy_of(STOP, WARN, TRIM, LAST)) == []


def test_a_policy_without_any_stop_is_found() -> None:
    assert kinds(policy_of(LAST), at(5)) == {Kind.NO_STOP}


def test_a_threshold_that_means_another_thing_at_another_leverage_is_found_only_there() -> None:
    policy = policy_of(STOP, rule("{distance_to_liquidation: {below: 12%}}", "notify: {}"))
    assert kinds(policy, at(5)) == set()
    [found] = grave(policy, at(20))
    assert (found.kind, found.weight) == (Kind.AT_ONCE, Weight.WARNING)
    assert found.text.startswith("it fires at once at 20×: of a position just opened distance_to_liquidation 4.54 %")


def test_what_hangs_on_size_age_or_leverage_alone_is_no_mistake() -> None:
    rules = [
        rule("{notional: {above: 100000 USDT}}", "reduce: {by: 25%}", name="size"),
        rule("{unrealized_pnl: {below: -500 USDT}}", "close: {}", name="loss"),
        rule("{leverage: {above: 100}}", "notify: {}", name="lever"),
        rule("{position_age: {above: 12h}}", "close: {}", name="old"),
        rule("{account_drawdown: {above: 10%}}", "close: {}", name="day"),
    ]
    assert grave(policy_of(STOP, *rules)) == []


def test_a_rule_that_bounds_the_leverage_held_is_told_as_that_and_no_more() -> None:
    cap = rule("{effective_leverage: {above: 10}}", "reduce: {by: 25%}", name="cap", more="match: {margin_mode: cross}")
    found = [each for each in findings(policy_of(STOP, cap), at(20)) if each.kind is Kind.AT_ONCE]
    assert [each.weight for each in found] == [Weight.INFO]


def test_a_second_line_behind_the_stop_is_told_and_no_warning() -> None:
    late = rule("{buffer_left: {below: 10%}}", "close: {}", name="second")
    found = [each for each in findings(policy_of(STOP, late)) if each.kind is Kind.SHADOWED]
    assert [each.weight for each in found] == [Weight.INFO]
    assert kinds(policy_of(STOP, late)) == set()


def test_two_rules_that_close_at_one_mark_the_second_never_gets_its_turn() -> None:
    twin = LAST.replace("name: last", "name: twin")
    [found] = grave(policy_of(STOP, LAST, twin))
    assert (found.rule, found.kind) == ("twin", Kind.SHADOWED)


def test_a_rule_that_waits_longer_shadows_none_that_is_quicker() -> None:
    slow = rule("{buffer_left: {below: 65%}}", "close: {}", name="slow", more="for: 5s")
    assert grave(policy_of(STOP, slow, TRIM)) == []


def test_part_of_an_isolated_position_helps_where_a_lever_follows_it() -> None:
    until = "reduce: {until: {buffer_left: 80%}}"
    alone = rule("{buffer_left: {below: 60%}}", until, more="match: {margin_mode: isolated}")
    followed = rule("{buffer_left: {below: 60%}}", f"{until}, close: {{}}", more="match: {margin_mode: isolated}")
    assert kinds(policy_of(STOP, alone)) == {Kind.NO_HELP}
    assert kinds(policy_of(STOP, followed)) == set()


def test_a_lever_of_the_other_margin_mode_can_not_help() -> None:
    margin = rule("{buffer_left: {below: 60%}}", "add_margin: {amount: 50 USDT}", more="match: {margin_mode: cross}")
    top_up = rule("{buffer_left: {below: 60%}}", "top_up: {amount: 50 USDT}", more="match: {margin_mode: isolated}")
    assert kinds(policy_of(STOP, margin)) == kinds(policy_of(STOP, top_up)) == {Kind.NO_HELP}


def test_a_venue_of_two_families_is_an_error_only_where_neither_can() -> None:
    def bench(*can: bool) -> Bench:
        families = (("classic", classic(hedge=True)), ("unified", UNIFIED))
        known = tuple((name, replace(each, set_leverage=one)) for (name, each), one in zip(families, can, strict=True))
        return Bench(leverages=(D(5),), subjects=(Subject(venue="bitget", families=known),))

    lever = policy_of(STOP, rule("{buffer_left: {below: 60%}}", "set_leverage: {to: 3}"))
    lacking = [
        [each.weight for each in findings(lever, bench(*can)) if each.kind is Kind.LACKS]
        for can in ((True, True), (True, False), (False, False))
    ]
    assert lacking == [[], [Weight.WARNING], [Weight.ERROR]]


def test_a_ladder_that_leaves_a_rest_without_a_stop_is_found() -> None:
    half = "name: half\nthen: [stop_loss: [{trigger: {from_entry: -1%}, size: 50%}]]"
    whole = "name: whole\nthen: [stop_loss: [{trigger: {from_entry: -1%}, size: 50%}, {trigger: {from_entry: -1.2%}, size: 50%}]]"
    assert Kind.NO_STOP in kinds(policy_of(half))
    assert Kind.NO_STOP not in kinds(policy_of(whole))


def test_a_trailing_stop_inside_the_spread_or_beyond_liquidation_is_found() -> None:
    def trail(distance: str) -> Policy:
        return policy_of(f"name: trail\nthen: [trail_stop: {{distance: {distance}}}]")

    assert Kind.SPREAD in kinds(trail("0.03%"), at(5))
    assert Kind.BEYOND in kinds(trail("3%"), at(50))
    assert kinds(trail("3%"), at(5)) == set()


def test_a_leverage_that_leaves_the_rule_true_is_found() -> None:
    def lever(to: int) -> Policy:
        return policy_of(STOP, rule("{leverage: {above: 10}}", f"set_leverage: {{to: {to}}}"))

    assert kinds(lever(12)) == {Kind.AIM}
    assert kinds(lever(10)) == set()


def test_a_leverage_that_would_have_to_be_raised_is_told_where_the_rule_may_be_true() -> None:
    def told(when: str) -> list[str]:
        policy = policy_of(STOP, rule(when, "set_leverage: {to: 20}"))
        return [each.text for each in findings(policy) if each.kind is Kind.NO_EFFECT]

    assert told("{leverage: {above: 20}}") == []
    assert told("{buffer_left: {below: 50%}}") == ["at 5× and 20× set_leverage to 20 does nothing: it never raises"]


def test_no_more_is_allowed_to_be_moved_in_a_step_than_in_a_day() -> None:
    much = rule("{buffer_left: {below: 60%}}", "top_up: {amount: 900 USDT}", more="match: {margin_mode: cross}")
    assert Kind.LEASH in kinds(policy_of(STOP, much))


# Where it is told


def test_a_finding_stands_at_the_comparison_or_action_that_is_its_cause() -> None:
    policy = policy_of(STOP, LAST, rule("{buffer_left: {below: 30%}}", "notify: {}, reduce: {by: 10%}"))
    [found] = grave(policy)
    text = "  - name: r\n    when: {buffer_left: {below: 30%}}"
    assert (found.line, found.column) == (10, text.splitlines()[1].index("30%") + 1)


def test_what_is_held_says_which_leverages_are_asked_about() -> None:
    state = account(row(leverage="10"), row(Side.SHORT, leverage="25", mode=MarginMode.CROSS))
    bench = bench_of([state])
    assert bench.leverages == (Decimal(10), Decimal(25))
    assert [(each.account, each.venue) for each in bench.subjects] == [("main", "bitmart")]
    assert bench_of([account()]).leverages == Bench().leverages


def test_every_model_is_held_by_the_first_account_that_is_configured() -> None:
    found: tuple[Modelled, ...] = modelled(
        policy_of(STOP), Bench(subjects=(Subject(account="a"), Subject(account="b")))
    )
    assert {each.case.subject.account for each in found} == {"a"}
