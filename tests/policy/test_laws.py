"""Laws of the decision over random policies, accounts and markets."""

from collections import Counter
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from guardd.model.decision import Close, Protect, Reduce
from guardd.model.event import MarkSeen
from guardd.model.fold import fold
from guardd.model.names import MarginMode
from guardd.model.order import ProtectionKind
from guardd.model.state import AccountState
from guardd.policy.conditions import Truth, Use
from guardd.policy.confirm import Confirmation
from guardd.policy.decide import Decided, decide
from guardd.policy.language import Policy
from guardd.policy.load import load_policy
from guardd.policy.memory import Memory
from guardd.policy.view import views
from tests.model.accounts import D, later
from tests.policy.guarded import policy_of, rule
from tests.policy.test_watch import accounts, conditions

ACTIONS = st.sampled_from(
    [
        "close: {}",
        "notify: {}",
        "reduce: {by: 25%}",
        "reduce: {until: {distance_to_liquidation: 12%}, at_most: 50%}",
        "reduce: {until: {account_margin_ratio: 40%}, at_most: 100%}, close: {}",
        "cancel_entries: {}, reduce: {until: {margin_ratio: 30%}}",
        "stop_loss: {trigger: [{liquidation_buffer: 25%}, {from_entry: -8%}]}, take_profit: {trigger: {from_entry: 6%}}",
        "stop_loss: {trigger: {from_mark: -2%}, if_passed: close}",
    ]
)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    rules = [
        f"  - {{name: r{index}, when: {draw(conditions())}, then: [{draw(ACTIONS)}], for: {draw(st.sampled_from(['0s', '1s']))}}}"
        for index in range(draw(st.integers(1, 5)))
    ]
    return load_policy("version: 1\nrules:\n" + "\n".join(rules), source="policy.yaml")


def check(decided: Decided, state: AccountState) -> None:
    risks = {risk.key: risk for risk in decided.risks}
    closing = Counter(decision.key for decision in decided.decisions if isinstance(decision, Reduce | Close))
    assert not closing or max(closing.values()) == 1
    for decision in decided.decisions:
        match decision:
            case Reduce():
                held = state.held[decision.key].position
                assert 0 < decision.size <= held.quantity
                assert decision.size % state.instruments[decision.key.symbol].step == 0
                assert "rule" in decision.reason
            case Close():
                assert list(decision.inputs) == sorted(decision.inputs)
            case Protect():
                check_stops(decision, risks[decision.key].mark, risks[decision.key].stop_bound)
            case _:
                pass


def check_stops(protect: Protect, mark: Decimal, bound: object) -> None:
    sign = protect.key.side.sign
    stops = [order for order in protect.wanted if order.kind is ProtectionKind.STOP_LOSS]
    assert len(stops) <= 1
    for order in stops:
        assert order.trigger_price > 0
        assert sign * (mark - order.trigger_price) > 0
        if isinstance(bound, Decimal) and abs(mark - bound) > 1:
            assert sign * (order.trigger_price - bound) > 0


@settings(deadline=None, max_examples=80)
@given(
    policies(), accounts(), st.lists(st.tuples(st.integers(0, 2), st.integers(-3000, 3000)), max_size=6), st.booleans()
)
def test_I04_I15_I28_whatever_the_policy_and_the_market_a_look_keeps_the_law(
    policy: Policy, state: AccountState, moves: list[tuple[int, int]], shown: bool
) -> None:
    memory, confirmation = Memory(), Confirmation()
    if shown:
        memory.show(state)
    symbols = sorted({held.symbol for held in state.held})
    for step, (index, change) in enumerate(moves):
        now = later(step * 0.4)
        if symbols:
            symbol = symbols[index % len(symbols)]
            mark = state.marks[symbol].mark + change
            frame = MarkSeen(symbol, mark, now, index=mark, last=mark)
            confirmation.seen(frame)
            fold(state, frame)
        first = decide(policy, state, memory, confirmation, now=now)
        check(first, state)
        again = decide(policy, state, memory, confirmation, now=now)
        assert again.decisions == first.decisions
        assert again.fired == ()


@settings(deadline=None, max_examples=60)
@given(conditions(), accounts(), st.sampled_from([D("0.8"), D("0.9"), D("1.15")]))
def test_I28_a_jump_that_nothing_confirms_closes_nothing(condition: str, state: AccountState, times: Decimal) -> None:
    """What the jump of one instrument's mark alone makes true of its isolated positions is not acted on."""
    policy = policy_of(rule(condition, "close: {}"))
    memory, confirmation = Memory(), Confirmation()
    memory.show(state)
    for frame in list(state.marks.values()):
        confirmation.seen(frame)
    for key, held in sorted(state.held.items()):
        if held.position.margin_mode is not MarginMode.ISOLATED:
            continue
        seen = next(view for view in views(policy, state, later(0)) if view.held.key == key)
        if seen.truth(policy.rules[0], Use.CLOSE) is Truth.TRUE:
            continue
        bad = MarkSeen(key.symbol, seen.risk.mark * times, later(1))
        confirmation.seen(bad)
        fold(state, bad)
        decided = decide(policy, state, memory, confirmation, now=later(1))
        assert key not in {each.key for each in decided.decisions if isinstance(each, Close)}
        return
