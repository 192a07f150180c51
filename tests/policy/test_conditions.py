"""Three-valued logic: a rule fires only on true."""

from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardd.model.names import MarginMode, PositionKey
from guardd.model.reading import Absent, Reading
from guardd.policy.conditions import Truth, Use, compare, evaluate, metric_of
from guardd.policy.language import AllOf, AnyOf, Compare, Condition, Metric, Not, Sense
from guardd.risk.assess import PositionRisk, assess_position
from tests.changed import replace
from tests.model.accounts import START, D, account, key, row

T, F, U = Truth.TRUE, Truth.FALSE, Truth.UNKNOWN
STATE = account(row(venue_liquidation=D(81000)))
RISK = assess_position(STATE, STATE.held[key()], mark=D(89000), now=START)
LEAF = {
    T: Compare(metric=Metric.LEVERAGE, sense=Sense.ABOVE, threshold=D(5)),
    F: Compare(metric=Metric.LEVERAGE, sense=Sense.BELOW, threshold=D(5)),
    U: Compare(metric=Metric.EFFECTIVE_LEVERAGE, sense=Sense.BELOW, threshold=D(5)),
}
VIEW = replace(RISK, effective_leverage=Absent.UNKNOWN)


def say(condition: Condition | None) -> Truth:
    return evaluate(condition, VIEW, Use.WARN)


def distance(reading: Reading) -> PositionRisk:
    return replace(RISK, distance_to_liquidation=reading)


def test_an_absent_condition_is_true() -> None:
    assert say(None) is T


@pytest.mark.parametrize(("one", "other"), list(product(Truth, Truth)))
def test_all_and_any_follow_kleene(one: Truth, other: Truth) -> None:
    order = [F, U, T]
    both = (LEAF[one], LEAF[other])
    assert say(AllOf(parts=both)) is min(one, other, key=order.index)
    assert say(AnyOf(parts=both)) is max(one, other, key=order.index)


@pytest.mark.parametrize(("inner", "outer"), [(T, F), (F, T), (U, U)])
def test_not_of_unknown_is_unknown(inner: Truth, outer: Truth) -> None:
    assert say(Not(part=LEAF[inner])) is outer


@pytest.mark.parametrize(
    ("reading", "sense", "truth"),
    [
        (D("0.07"), Sense.BELOW, T),
        (D("0.08"), Sense.BELOW, F),
        (D("0.08"), Sense.ABOVE, F),
        (D("0.09"), Sense.ABOVE, T),
        (Absent.NONE, Sense.BELOW, F),
        (Absent.NONE, Sense.ABOVE, T),
        (Absent.UNKNOWN, Sense.BELOW, U),
        (Absent.UNKNOWN, Sense.ABOVE, U),
    ],
)
def test_I19_none_is_never_below_and_always_above_and_unknown_is_neither(
    reading: Reading, sense: Sense, truth: Truth
) -> None:
    leaf = Compare(metric=Metric.DISTANCE_TO_LIQUIDATION, sense=sense, threshold=D("0.08"))
    assert compare(leaf, distance(reading), Use.WARN) is truth


@pytest.mark.parametrize("sense", list(Sense))
def test_the_accounts_ratio_is_false_for_isolated_positions(sense: Sense) -> None:
    assert RISK.margin_mode is MarginMode.ISOLATED
    leaf = Compare(metric=Metric.ACCOUNT_MARGIN_RATIO, sense=sense, threshold=D("0.5"))
    assert compare(leaf, RISK, Use.CLOSE) is F


def test_a_close_uses_the_closing_numbers_and_a_warning_the_nearer_ones() -> None:
    assert metric_of(RISK, Metric.DISTANCE_TO_LIQUIDATION, Use.CLOSE) == RISK.closing_distance_to_liquidation
    assert metric_of(RISK, Metric.DISTANCE_TO_LIQUIDATION, Use.WARN) == RISK.distance_to_liquidation
    assert RISK.distance_to_liquidation != RISK.closing_distance_to_liquidation


@pytest.mark.parametrize("metric", list(Metric))
def test_every_metric_has_a_reading(metric: Metric) -> None:
    for use in Use:
        reading = metric_of(RISK, metric, use)
        assert reading is None or isinstance(reading, Decimal | Absent)


def test_data_age_is_unknown_where_a_source_was_never_seen() -> None:
    assert metric_of(replace(RISK, data_age_s=None), Metric.DATA_AGE, Use.WARN) is Absent.UNKNOWN
    assert metric_of(replace(RISK, data_age_s=2.5), Metric.DATA_AGE, Use.WARN) == D("2.5")


@given(
    st.decimals(min_value=82000, max_value=95000, places=1), st.sampled_from(list(Metric)), st.sampled_from(list(Use))
)
def test_a_comparison_and_its_reverse_are_never_both_true(mark: Decimal, metric: Metric, use: Use) -> None:
    risk = assess_position(STATE, STATE.held[PositionKey(*key())], mark=mark, now=START)
    below, above = (compare(Compare(metric=metric, sense=sense, threshold=D("0.1")), risk, use) for sense in Sense)
    assert not (below is T and above is T)
