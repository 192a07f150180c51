"""Reading a policy: what it means, and every fault of a file at once, with file, line and column."""

from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardd.errors import ConfigurationError
from guardd.model.decision import IfPassed, OnUnprotected
from guardd.model.names import MarginMode, PriceType, Severity, Side
from guardd.policy.language import (
    AllOf,
    AnyOf,
    CancelEntering,
    CloseAll,
    Compare,
    Limits,
    Match,
    Metric,
    Not,
    Notify,
    Policy,
    ReduceBy,
    ReduceUntil,
    Sense,
    StopLoss,
    TakeProfit,
    TrailStop,
    Trigger,
    TriggerKind,
    WhenBlind,
)
from guardd.policy.load import load_policy
from tests.model.accounts import D

CONFIG = Path(__file__).parents[2] / "config"
MULTIPLYING = "a: &a [x, x]\n" + "".join(
    f"{now}: &{now} [{', '.join([f'*{was}'] * 10)}]\n" for was, now in pairwise("abcdef")
)
HEAD = "version: 1\nrules:\n  - name: r\n"


def load(text: str) -> Policy:
    return load_policy(text, source="policy.yaml")


def faults(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(text)
    return str(caught.value).splitlines()


def with_rule(body: str) -> str:
    return HEAD + "\n".join(f"    {line}" for line in body.splitlines()) + "\n"


def fault(body: str) -> str:
    found = faults(with_rule(body))
    assert len(found) == 1, found
    return found[0]


# What it means


def test_the_policy_of_the_contract_reads_as_written() -> None:
    policy = load((CONFIG / "policy.yaml").read_text())
    assert policy.limits == Limits(
        orders_per_minute=30, reduce_per_hour=D(1), top_up_per_day=D(500), stale_after_s=15.0
    )
    protection, warn, trim, last = policy.rules
    assert protection.then == (
        StopLoss(
            triggers=(
                Trigger(kind=TriggerKind.LIQUIDATION_BUFFER, value=D("0.25")),
                Trigger(kind=TriggerKind.FROM_ENTRY, value=D("-0.08")),
            ),
            price_type=PriceType.MARK,
            if_passed=IfPassed.NEXT,
            on_unprotected=OnUnprotected.ALERT,
        ),
        TakeProfit(triggers=(Trigger(kind=TriggerKind.FROM_ENTRY, value=D("0.06")),), price_type=PriceType.LAST),
    )
    assert warn.when == Compare(metric=Metric.DISTANCE_TO_LIQUIDATION, sense=Sense.BELOW, threshold=D("0.15"))
    assert warn.then == (Notify(severity=Severity.WARNING),)
    assert trim.match == Match(margin_mode=MarginMode.CROSS)
    assert (trim.hold_s, trim.cooldown_s) == (2.0, 30.0)
    assert trim.then == (
        CancelEntering(),
        ReduceUntil(metric=Metric.DISTANCE_TO_LIQUIDATION, target=D("0.12"), at_most=D("0.5")),
    )
    assert last.when == AnyOf(
        parts=(
            Compare(metric=Metric.BUFFER_LEFT, sense=Sense.BELOW, threshold=D("0.15")),
            Compare(metric=Metric.ACCOUNT_MARGIN_RATIO, sense=Sense.ABOVE, threshold=D("0.85")),
        )
    )
    assert last.then == (CloseAll(),)
    assert last.account_wide
    assert not trim.account_wide


def test_the_demos_policy_reads_and_reduces_before_its_stop() -> None:
    policy = load((CONFIG / "demo-policy.yaml").read_text())
    assert [rule.name for rule in policy.rules] == ["resting-protection", "warn", "trim", "last-resort"]


def test_defaults_are_those_of_the_contract() -> None:
    rule = load(
        with_rule("when: {not: {all: [{leverage: {above: 5}}]}}\nthen: [{reduce: {by: 25%}}, {notify: }]")
    ).rules[0]
    assert rule.when == Not(part=AllOf(parts=(Compare(metric=Metric.LEVERAGE, sense=Sense.ABOVE, threshold=D(5)),)))
    assert (rule.hold_s, rule.cooldown_s, rule.when_blind) == (0.0, 30.0, WhenBlind.HOLD)
    assert rule.match == Match()
    assert rule.then == (ReduceBy(share=D("0.25")), Notify(severity=Severity.WARNING))


def test_match_takes_a_glob_or_a_list_and_any() -> None:
    body = 'match: {account: main, venue: bitmart, symbol: ["BTC*", ETHUSDT], side: short, margin_mode: any}\nthen: [notify: {}]'
    assert load(with_rule(body)).rules[0].match == Match(
        account="main", venue="bitmart", symbols=("BTC*", "ETHUSDT"), side=Side.SHORT, margin_mode=None
    )


@pytest.mark.parametrize(
    ("written", "ratio"),
    [
        ("8%", "0.08"),
        ("0.08", "0.08"),
        ('"8 %"', "0.08"),
        ("7.5%", "0.075"),
        (".5", "0.5"),
        ("0", "0"),
        ("150%", "1.5"),
    ],
)
def test_a_ratio_is_written_with_percent_or_below_one(written: str, ratio: str) -> None:
    rule = load(with_rule(f"when: {{margin_ratio: {{above: {written}}}}}\nthen: [notify: {{}}]")).rules[0]
    assert isinstance(rule.when, Compare)
    assert rule.when.threshold == D(ratio)


@pytest.mark.parametrize(
    ("written", "seconds"), [("30s", 30), ("5m", 300), ("1h", 3600), ("1.5s", 1.5), ("250ms", 0.25), ("0s", 0)]
)
def test_a_duration_has_a_unit(written: str, seconds: float) -> None:
    assert load(with_rule(f"for: {written}\nthen: [notify: {{}}]")).rules[0].hold_s == seconds


def test_an_anchor_may_be_used_again() -> None:
    body = "when: &near {distance_to_liquidation: {below: 8%}}\nthen: [notify: {}]\n"
    text = with_rule(body) + "  - name: b\n    when: *near\n    then: [notify: {}]\n"
    assert load(text).rules[0].when == load(text).rules[1].when


# What is wrong with it


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            "when: {distance_to_liquidation: {below: 8}}\nthen: [close: {}]",
            "policy.yaml:4:45: found the bare number `8`, expected a ratio such as 8% or 0.08",
        ),
        (
            "for: 2\nthen: [notify: {}]",
            "policy.yaml:4:10: found the bare number `2`, expected a duration such as 30s, 5m or 1h",
        ),
        (
            "when: {unrealized_pnl: {below: -50}}\nthen: [close: {}]",
            "policy.yaml:4:36: found the bare number `-50`, expected an amount with its coin such as 100 USDT",
        ),
        (
            "when: {unrealized_pnl: {below: -50 usdt}}\nthen: [close: {}]",
            "policy.yaml:4:36: found `-50 usdt`, expected an amount with its coin such as 100 USDT",
        ),
        (
            "when: {data_age: {above: nan}}\nthen: [notify: {}]",
            "policy.yaml:4:30: found `nan`, expected a duration such as 30s, 5m or 1h",
        ),
        (
            "then: [close: {}]",
            "policy.yaml:3:5: rule `r` reduces or closes without `when`: it would do so at once and for ever",
        ),
        (
            "then: [{reduce: {by: 25%, until: {distance_to_liquidation: 12%}}}]\nwhen: {leverage: {above: 5}}",
            "policy.yaml:4:13: found both `by` and `until`, expected exactly one of them",
        ),
        (
            "then: [{reduce: {by: 0%}}]\nwhen: {leverage: {above: 5}}",
            "policy.yaml:4:26: found 0, expected a share above 0% and up to 100%",
        ),
        (
            "then: [{reduce: {until: {leverage: 3}}}]\nwhen: {leverage: {above: 5}}",
            (
                "policy.yaml:4:30: found `leverage`, expected what a smaller position can change: account_margin_ratio, "
                "buffer_left, distance_to_liquidation, effective_leverage, margin_ratio, notional, unrealized_pnl"
            ),
        ),
        (
            "when_blind: act\nwhen: {distance_to_liquidation: {below: 5%}}\nthen: [close: {}]",
            "policy.yaml:4:5: found `when_blind: act` alone, expected a `data_age` condition beside it in `when`",
        ),
        (
            "then: [{stop_loss: {}}]",
            "policy.yaml:4:13: found `stop_loss` without `trigger`, expected a trigger such as {from_entry: -3%}",
        ),
        (
            "then: [{stop_loss: {trigger: {liquidation_buffer: 120%}}}]",
            (
                "policy.yaml:4:55: found `liquidation_buffer: 1.2`, expected a share between 0% and 100% of the way from "
                "liquidation to entry"
            ),
        ),
        (
            "then: [{take_profit: {trigger: {from_entry: -3%}}}]",
            "policy.yaml:4:49: found `from_entry: -0.03`, expected a share above 0%: a take-profit lies in the position's favour",
        ),
        (
            "when: {a: {below: 1%}, b: {above: 2%}}\nthen: [notify: {}]",
            (
                "policy.yaml:4:11: found 2 keys (`a, b`), expected exactly one: a condition such as "
                "{distance_to_liquidation: {below: 8%}} or {any: [...]}"
            ),
        ),
        ("then: []", "policy.yaml:4:11: found an empty list, expected a list of actions such as [close: {}]"),
        (
            "when: {any: []}\nthen: [notify: {}]",
            "policy.yaml:4:17: found an empty list, expected a list of conditions under `any`",
        ),
    ],
)
def test_a_fault_says_where_what_was_found_and_what_was_expected(body: str, expected: str) -> None:
    assert fault(body) == expected


@pytest.mark.parametrize(
    ("body", "wrong", "meant"),
    [
        (
            "when: {distance_to_liqidation: {below: 8%}}\nthen: [notify: {}]",
            "metric `distance_to_liqidation`",
            "distance_to_liquidation",
        ),
        ("when: {margin_ratio: {abov: 8%}}\nthen: [notify: {}]", "comparison `abov`", "above"),
        ("then: [{notfy: {}}]", "action `notfy`", "notify"),
        ("then: [notify: {severity: criticl}]", "severity `criticl`", "critical"),
        ("cooldwn: 3s\nthen: [notify: {}]", "key `cooldwn`", "cooldown"),
        ("match: {side: shrt}\nthen: [notify: {}]", "side `shrt`", "short"),
        ("then: [{stop_loss: {trigger: {from_entri: -3%}}}]", "trigger `from_entri`", "from_entry"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest_that_exists(body: str, wrong: str, meant: str) -> None:
    found = fault(body)
    assert f"the unknown {wrong}" in found
    assert found.endswith(f"(did you mean {meant}?)")


def test_a_list_of_stops_is_a_ladder_of_tranches_in_the_order_of_the_file() -> None:
    body = """
then:
  - take_profit: [{trigger: {from_entry: 2%}, size: 25%}, {trigger: {from_entry: 4%}, size: 75%, price_type: mark}]
  - stop_loss: {trigger: {from_entry: -3%}, size: 50%}
"""
    first, second, stop = load(with_rule(body)).rules[0].then
    assert isinstance(first, TakeProfit)
    assert isinstance(second, TakeProfit)
    assert isinstance(stop, StopLoss)
    assert [(each.size, each.tranche) for each in (first, second)] == [(Decimal("0.25"), 0), (Decimal("0.75"), 1)]
    assert second.price_type is PriceType.MARK
    assert (stop.size, stop.tranche) == (Decimal("0.5"), 0)


def test_a_trailing_stop_is_read_with_its_distance() -> None:
    (trail,) = load(with_rule("then: [{trail_stop: {distance: 2%, price_type: last}}]")).rules[0].then
    assert trail == TrailStop(distance=Decimal("0.02"), price_type=PriceType.LAST)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("then: [{trail_stop: {}}]", "4:13: found `trail_stop` without `distance`, expected a share of the best mark"),
        ("then: [{trail_stop: {distance: 100%}}]", "4:36: found 1, expected a share between 0% and 100%"),
        ("then: [{stop_loss: []}]", "4:24: found 0 tranches under `stop_loss`, expected from 1 to 20"),
        (
            "then: [{stop_loss: [{trigger: {from_entry: -3%}, size: 60%}, {trigger: {from_entry: -5%}, size: 50%}]}]",
            "4:24: found tranches of 110% together, expected at most 100% of the position",
        ),
        ("then: [{take_profit: {trigger: {from_entry: 3%}, size: 0%}}]", "4:60: found 0, expected a share above 0%"),
        ("then: [{stop_loss: [{size: 50%}]}]", "4:25: found `stop_loss` without `trigger`"),
    ],
)
def test_a_ladder_or_trail_that_makes_no_sense_is_refused_with_its_place(body: str, expected: str) -> None:
    assert fault(body).startswith(f"policy.yaml:{expected}")


def test_all_faults_of_a_file_are_told_at_once_in_its_order() -> None:
    text = "version: 2\nlimits: {stale_after: 15, orders_per_minute: 0}\nrules:\n"
    text += "  - when: {leverage: {above: x}}\n    then: [jump: {}]\n"
    assert [line.split(": ")[0] for line in faults(text)] == [
        "policy.yaml:1:10",
        "policy.yaml:2:23",
        "policy.yaml:2:46",
        "policy.yaml:4:5",
        "policy.yaml:4:30",
        "policy.yaml:5:12",
    ]


def test_a_key_or_a_rule_that_stands_twice_is_refused() -> None:
    assert "`then` a second time, it stands in line 4" in fault("then: [notify: {}]\nthen: [notify: {}]")
    text = with_rule("then: [notify: {}]") + "  - name: r\n    then: [notify: {}]\n"
    assert faults(text) == ["policy.yaml:5:11: found the rule name `r` a second time, it stands in line 3"]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "an empty file"),
        ("rules: [", "not YAML"),
        ("version: 1\nrules:\n  - {name: r, match: {symbol: *}}", 'stands in quotes: "*"'),
        ("- 1", "found a list"),
        ("version: 1\nrules: &a [*a]", "an alias that holds itself"),
        ("version: 1\n---\nversion: 1", "not YAML"),
        (
            MULTIPLYING,
            "not a policy",
        ),
        ("[" * 5000, "nested too deeply"),
        ("version: 1\nrules: " + "{not: " * 3000 + "1" + "}" * 3000, "nested too deeply"),
    ],
    ids=range(9),
)
def test_what_is_no_policy_at_all_is_refused_with_a_place(text: str, what: str) -> None:
    found = faults(text)
    assert any(what in line for line in found), found
    assert all(line.startswith("policy.yaml:") for line in found)


@given(st.text(max_size=200))
def test_no_text_makes_the_reader_fail_otherwise_than_with_a_configuration_error(text: str) -> None:
    assert all(line.startswith("policy.yaml:") for line in faults(text))


def test_errors_repeat_no_long_text_of_the_file() -> None:
    assert len(fault(f"then: [notify: {{severity: {'x' * 5000}}}]")) < 300


# The digest


def test_the_digest_is_of_the_meaning_not_of_the_writing() -> None:
    one = load(with_rule("when: {margin_ratio: {above: 8%}}\nthen: [close: {}]"))
    when = "when: {margin_ratio: {above: 0.080}}"
    same = load(
        f"# a comment\n{HEAD}    then: [close: {{}}]\n    cooldown: 0.5m\n    {when}\n".replace(" r\n", " 'r'\n")
    )
    other = load(with_rule("when: {margin_ratio: {above: 8.1%}}\nthen: [close: {}]"))
    assert one.digest == same.digest
    assert one.digest != other.digest
    assert len(one.digest) == 64


def test_every_number_is_exact() -> None:
    rule = load(with_rule("when: {margin_ratio: {above: 0.1}}\nthen: [close: {}]")).rules[0]
    assert isinstance(rule.when, Compare)
    assert rule.when.threshold == Decimal("0.1")
