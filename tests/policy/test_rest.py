"""A position is at rest when nothing about it is unsettled: then another look soon would find what this one found."""

import pytest

from guardd.model.event import OperatorSpoke, OperatorWord
from guardd.model.fold import fold
from tests.model.accounts import row
from tests.policy.guarded import Guarded, guarded, policy_of, rule

STOP = "name: rest\nthen: [stop_loss: {trigger: {from_entry: -8%}}]"
WARN = rule("{profit_from_entry: {below: -5%}}", "notify: {}", name="warn")
CLOSE = rule("{profit_from_entry: {below: -5%}}", "close: {}", name="close")
HELD = row(venue_liquidation=row().entry_price * 9 / 10)


def settled(*rules: str, stale_after: str = "15s") -> Guarded:
    """Looked at once, and what protection stands on remembered."""
    here = guarded(policy_of(*rules, stale_after=stale_after), HELD)
    for footing in here.mark("89000").footings:
        fold(here.state, footing)
    return here


def test_with_its_stop_wanted_and_no_rule_true_it_rests() -> None:
    here = settled(STOP, WARN, CLOSE)
    assert here.mark("89000").at_rest


def test_a_rule_that_told_and_has_nothing_more_to_do_leaves_it_at_rest() -> None:
    here = settled(STOP, WARN)
    assert not here.mark("85000").at_rest, "it is told now"
    assert here.mark("85000").at_rest


@pytest.mark.parametrize("acting", [CLOSE, rule("{profit_from_entry: {below: -5%}}", "cancel_entries: {}")])
def test_a_rule_that_acts_and_is_true_is_looked_at_each_second(acting: str) -> None:
    here = settled(STOP, acting)
    here.mark("85000")
    assert not here.mark("85000").at_rest


def test_a_trailing_stop_and_a_stop_that_cannot_be_placed_never_rest() -> None:
    for text in (
        "name: trail\nthen: [trail_stop: {distance: 2%}]",
        "name: rest\nthen: [stop_loss: {trigger: {price: 95000}}]",
    ):
        here = settled(text)
        assert not here.mark("89000").at_rest


def test_figures_that_are_growing_old_end_the_rest() -> None:
    here = settled(STOP)
    here.now = here.now.later_by(3.5)
    assert not here.mark("89000").at_rest


def test_a_limit_that_marks_reach_while_at_rest_is_watched_each_second() -> None:
    here = settled(STOP, stale_after="4s")
    assert not here.mark("89000").at_rest
    here = settled(STOP, stale_after="5s")
    assert here.mark("89000").at_rest, "marks that stop coming end the rest in time to tell blindness at its second"


def test_a_halted_account_does_not_rest() -> None:
    here = settled(STOP)
    fold(here.state, OperatorSpoke(at=here.now, word=OperatorWord.HALT, why="test"))
    assert not here.mark("89000").at_rest
