"""What a reload changes, in words: thresholds, waits, orders, rules that come and go; and what of it loosens (I23)."""

import pytest

from guardd.model.names import RuleName
from guardd.policy.difference import difference, fires_now
from guardd.policy.language import Policy
from guardd.policy.load import load_policy
from guardd.policy.view import views
from tests.model.accounts import START, D, account, row
from tests.policy.guarded import policy_of

TRIM = "name: trim\nwhen: {distance_to_liquidation: {below: 8%}}\nthen: [reduce: {by: 25%}]"
STOP = "name: stop\nthen: [stop_loss: {trigger: [{liquidation_buffer: 25%}, {from_entry: -8%}]}]"
LAST = "name: last\nwhen: {any: [{buffer_left: {below: 15%}}, {not: {margin_ratio: {below: 80%}}}]}\nthen: [close: {}]"
WARN = "name: warn\nwhen: {buffer_left: {below: 50%}}\nthen: [notify: {severity: critical}]"
LOSS = "name: loss\nwhen: {unrealized_pnl: {below: -50 USDC}}\nthen: [close: {}]"
MARGIN = "name: m\nwhen: {buffer_left: {below: 50%}}\nthen: [add_margin: {amount: 50 USDT, at_most: 200 USDT}]"
LOWER = "name: l\nwhen: {buffer_left: {below: 50%}}\nthen: [set_leverage: {to: 5}]"
UNTIL = (
    "name: u\nwhen: {buffer_left: {below: 50%}}\nthen: [reduce: {until: {distance_to_liquidation: 12%}, at_most: 50%}]"
)
TRAIL = "name: t\nthen: [trail_stop: {distance: 2%}]"


def told(old: Policy, new: Policy) -> list[tuple[str, bool]]:
    return [(change.sentence, change.loosens) for change in difference(old, new)]


@pytest.mark.parametrize(
    ("rule", "change", "text", "loosens"),
    [
        (TRIM, ("8%", "10%"), "trim: distance_to_liquidation below 8 % → 10 %", False),
        (TRIM, ("8%", "6%"), "trim: distance_to_liquidation below 8 % → 6 %", True),
        (LAST, ("below: 80%", "below: 90%"), "last: margin_ratio below 80 % → 90 %", True),
        (LAST, ("below: 80%", "below: 70%"), "last: margin_ratio below 80 % → 70 %", False),
        (TRIM, ("25%", "20%"), "trim: reduce by 25 % → reduce by 20 %", True),
        (TRIM, ("25%", "50%"), "trim: reduce by 25 % → reduce by 50 %", False),
        (TRIM, ("\nthen", "\nfor: 3s\nthen"), "trim: for 0 s → 3 s", True),
        (TRIM, ("\nthen", "\ncooldown: 10s\nthen"), "trim: cooldown 30 s → 10 s", False),
        (TRIM, ("\nthen", "\ncooldown: 60s\nthen"), "trim: cooldown 30 s → 60 s", True),
        (TRIM, ("\nwhen", "\nmatch: {side: long}\nwhen"), "trim: about everything → long", True),
        (
            TRIM,
            ("{distance_to_liquidation: {below: 8%}}", "{leverage: {above: 3}}"),
            "trim: when distance_to_liquidation below 8 % → leverage above 3",
            True,
        ),
        (TRIM, ("reduce: {by: 25%}", "close: {}"), "trim: also close", False),
        (
            STOP,
            ("-8%", "-9.5%"),
            ("stop: stop_loss liquidation_buffer 25 % or from_entry -8 % → "
            "stop_loss liquidation_buffer 25 % or from_entry -9.5 %"),
            True,
        ),
        (
            STOP,
            ("-8%", "-7%"),
            ("stop: stop_loss liquidation_buffer 25 % or from_entry -8 % → "
            "stop_loss liquidation_buffer 25 % or from_entry -7 %"),
            False,
        ),
        (WARN, ("critical", "info"), "warn: tell (critical) → tell (info)", True),
        (MARGIN, ("200", "100"), "m: add 50 USDT of margin, at most 200 USDT → add 50 USDT of margin, at most 100 USDT", True),
        (LOSS, ("-50", "-80"), "loss: unrealized_pnl below -50 USDC → -80 USDC", True),
        (LOSS, ("USDC", "USDT"), "loss: when unrealized_pnl below -50 USDC → unrealized_pnl below -50 USDT", True),
        (LOWER, ("to: 5", "to: 8"), "l: lower the leverage to 5 → lower the leverage to 8", True),
        (TRAIL, ("2%", "1%"), "t: trail a stop 2 % behind the best mark → trail a stop 1 % behind the best mark", False),
        (TRAIL, ("2%", "3%"), "t: trail a stop 2 % behind the best mark → trail a stop 3 % behind the best mark", True),
    ],
)  # fmt: skip
def test_a_change_of_a_rule_is_told_in_words_and_whether_it_loosens(
    rule: str, change: tuple[str, str], text: str, loosens: bool
) -> None:
    assert (text, loosens) in told(policy_of(rule), policy_of(rule.replace(*change)))


def test_what_only_another_way_to_write_it_is_no_change() -> None:
    old = policy_of(TRIM, STOP)
    assert difference(old, policy_of(TRIM.replace("8%", "0.08"), STOP)) == ()


def test_rules_that_come_go_and_are_renamed_are_told() -> None:
    new = policy_of(LAST.replace("last", "end"), WARN)
    assert told(policy_of(STOP, LAST), new) == [
        ("end: last is now called so: its cooldowns begin anew", False),
        ("warn: added: when buffer_left below 50 %, tell (critical)", False),
        ("stop: removed: stop_loss liquidation_buffer 25 % or from_entry -8 %", True),
    ]


def test_an_aim_that_is_nearer_loosens() -> None:
    old = policy_of(UNTIL)
    assert [loosens for _, loosens in told(old, policy_of(UNTIL.replace("12%", "10%")))] == [True]
    assert [loosens for _, loosens in told(old, policy_of(UNTIL.replace("12%", "14%")))] == [False]


def test_another_order_of_the_rules_is_told() -> None:
    assert told(policy_of(STOP, LAST), policy_of(LAST, STOP)) == [("the rules stand in another order", False)]


@pytest.mark.parametrize(
    ("when", "loosens"),
    [
        ("{any: [{distance_to_liquidation: {below: 8%}}, {buffer_left: {below: 20%}}]}", False),
        ("{all: [{distance_to_liquidation: {below: 8%}}, {buffer_left: {below: 20%}}]}", True),
        ("{buffer_left: {below: 1%}}", True),
        ("{buffer_left: {below: 200%}}", False),
        ("{all: [{distance_to_liquidation: {below: 8%}}, {position_age: {above: 1h}}]}", True),
    ],
)
def test_a_condition_of_another_shape_is_tried_on_model_positions(when: str, loosens: bool) -> None:
    old = "{distance_to_liquidation: {below: 8%}}"
    [(text, looser)] = told(policy_of(TRIM), policy_of(TRIM.replace(old, when)))
    assert text.startswith("trim: when distance_to_liquidation below 8 % → ")
    assert looser is loosens


def test_limits_that_bind_more_or_believe_longer_loosen() -> None:
    head = (
        "version: 1\nlimits: {orders_per_minute: 30, stale_after: 15s}\nrules:\n  - name: w\n    then: [notify: {}]\n"
    )
    old = load_policy(head, source="p")
    new = load_policy(head.replace("30", "10").replace("15s", "10s"), source="p")
    assert told(old, new) == [("limits.orders_per_minute 30 → 10", True), ("limits.stale_after 15 s → 10 s", False)]


def test_a_changed_rule_says_at_which_mark_it_fires_now() -> None:
    policy = policy_of(TRIM.replace("8%", "6%"))
    long = row(venue_liquidation=D(81000))
    seen = views(policy, account(long), START)
    assert fires_now(RuleName("trim"), seen) == "now fires at 86 170.2 on BTCUSDT long"
    assert fires_now(RuleName("trim"), views(policy_of(TRIM.replace("8%", "20%")), account(long), START)) == (
        "is true already on BTCUSDT long"
    )
    assert fires_now(RuleName("gone"), seen) == ""
