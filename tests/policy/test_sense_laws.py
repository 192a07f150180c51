"""What sense says holds by brute force: what can never fire is true at no mark, what fires at once is true at the entry."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from guardd.model.names import RuleName
from guardd.model.reading import is_value
from guardd.policy.check import Bench, Kind, findings
from guardd.policy.conditions import Truth, Use, evaluate
from guardd.policy.language import (
    AllOf,
    AnyOf,
    Compare,
    Condition,
    Limits,
    Metric,
    Not,
    Policy,
    Sense,
)
from guardd.policy.sense.firing import FREE
from guardd.policy.sense.models import ENTRY, Modelled, modelled
from guardd.risk.assess import assess_on
from tests.changed import replace
from tests.policy.guarded import policy_of, rule

BENCH = Bench(leverages=(Decimal(20),))
MOVED = sorted(set(Metric) - FREE)
SHAPE = policy_of(rule("{buffer_left: {below: 50%}}", "close: {}")).rules[0]

thresholds = st.integers(-40, 240).map(lambda hundredths: Decimal(hundredths) / 100)
leaves = st.builds(
    lambda metric, sense, threshold: Compare(metric=metric, sense=sense, threshold=threshold),
    st.sampled_from(MOVED),
    st.sampled_from(Sense),
    thresholds,
)
conditions: st.SearchStrategy[Condition] = st.recursive(
    leaves,
    lambda parts: st.one_of(
        st.lists(parts, min_size=1, max_size=3).map(lambda found: AllOf(parts=tuple(found))),
        st.lists(parts, min_size=1, max_size=3).map(lambda found: AnyOf(parts=tuple(found))),
        parts.map(lambda part: Not(part=part)),
    ),
    max_leaves=4,
)


def alive(on: Modelled) -> list[Decimal]:
    """Marks at which the position has not been liquidated."""
    end, sign = on.view.risk.liquidation, on.case.side.sign
    marks = [ENTRY * percent / 100 for percent in (*range(92, 109, 2), 96, 99, 101, 60, 150)]
    return [mark for mark in marks if is_value(end) and sign * (mark - end) > 0]


@settings(max_examples=25, deadline=None)
@given(when=conditions)
def test_never_and_at_once_hold_by_brute_force(when: Condition) -> None:
    policy = Policy(version=1, limits=Limits(), rules=(replace(SHAPE, when=when),))
    told = {each.kind for each in findings(policy, BENCH)}
    models = modelled(policy, BENCH)
    truths = {evaluate(when, assess_on(on.view.on, mark=mark), Use.CLOSE) for on in models for mark in alive(on)}
    if told & {Kind.NEVER, Kind.CONTRADICTION}:
        assert Truth.TRUE not in truths
    at_entry = {evaluate(when, on.view.risk, Use.CLOSE) for on in models}
    assert (Kind.AT_ONCE in told) is (Truth.TRUE in at_entry)


@settings(max_examples=10, deadline=None)
@given(several=st.lists(conditions, min_size=2, max_size=4))
def test_any_policy_can_be_checked_and_its_findings_are_in_the_order_of_the_file(several: list[Condition]) -> None:
    rules = tuple(replace(SHAPE, when=when, name=RuleName(f"r{number}")) for number, when in enumerate(several))
    found = findings(Policy(version=1, limits=Limits(), rules=rules), BENCH)
    assert [each.line for each in found] == sorted(each.line for each in found)
    assert all(each.text and each.mend for each in found)
