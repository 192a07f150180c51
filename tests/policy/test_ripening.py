"""When time alone changes an answer: found to the moment, so that the guard looks then (interfaces.md 2.3)."""

import pytest

from guardd.model.names import RuleName
from guardd.model.state import RuleProgress
from guardd.policy.memory import Memory
from guardd.policy.ripening import turns_in_s
from guardd.policy.view import views
from tests.model.accounts import row
from tests.policy.guarded import Guarded, guarded, policy_of, rule

LONG = row(mark="90000")
FAR = "89900"


def turns(here: Guarded, stale_after_s: float = 60) -> float | None:
    seen = views(here.policy, here.state, here.now)
    return turns_in_s(seen, here.state, here.memory, here.now, stale_after_s=stale_after_s)


def watched(*conditions: str, more: str = "") -> Guarded:
    rules = (rule(each, "notify: {}", name=f"r{index}", more=more) for index, each in enumerate(conditions))
    here = guarded(policy_of(*rules), LONG)
    here.mark(FAR)
    return here


@pytest.mark.parametrize("sense", ["above", "below"])
def test_an_age_turns_when_it_reaches_what_it_is_compared_with(sense: str) -> None:
    here = watched(f"{{position_age: {{{sense}: 90000000h}}}}")
    [view] = views(here.policy, here.state, here.now)
    left_s = 90_000_000 * 3_600 - view.risk.position_age_s
    assert turns(here) == pytest.approx(min(left_s, 3.0), abs=0.1)
    here = watched("{data_age: {above: 2s}}")
    here.wait(0.5, read=False)
    assert turns(here) == pytest.approx(1.5, abs=0.01)


def test_a_for_that_runs_turns_when_it_is_over() -> None:
    here = watched("{distance_to_liquidation: {above: 1%}}", more="for: 2s")
    here.wait(0.7)
    assert turns(here) == pytest.approx(1.3, abs=0.01)


def test_figures_that_grow_too_old_turn_every_rule() -> None:
    here = watched("{distance_to_liquidation: {below: 1%}}")
    assert turns(here, stale_after_s=1.0) == pytest.approx(1.0, abs=0.01)
    assert turns(here) == pytest.approx(3.0, abs=0.01)
    here.wait(5, read=False)
    assert turns(here) == pytest.approx(10.0, abs=0.01)


def test_what_is_past_turns_no_more() -> None:
    here = watched("{data_age: {above: 2s}}")
    here.wait(100, read=False)
    assert turns(here) is None


def test_of_no_position_nothing_turns() -> None:
    here = watched("{data_age: {above: 2s}}")
    assert turns_in_s((), here.state, Memory(), here.now, stale_after_s=1) is None


def test_a_cooldown_turns_when_it_ends_and_only_that_of_a_rule_that_reduces() -> None:
    cooled = rule("{distance_to_liquidation: {above: 1%}}", "reduce: {by: 10%}", name="trim", more="cooldown: 20s")
    here = guarded(policy_of(cooled), LONG)
    here.mark(FAR)
    episode = next(iter(here.state.held.values())).episode.id
    here.state.progress[episode, RuleName("trim")] = RuleProgress(steps=1, verified=here.now)
    here.wait(18.8)
    assert turns(here) == pytest.approx(1.2, abs=0.01)
    here.wait(5)
    assert turns(here) == pytest.approx(3.0, abs=0.5), "it is over: only the figures' age is left"
