"""Another policy in the middle of an episode: nothing is done twice for it, nothing that protects is forgotten (I23)."""

from guardd.model.decision import Reduce
from guardd.model.intent import Stage
from guardd.policy.language import Policy
from tests.model.accounts import D
from tests.policy.guarded import SENT, VERIFIED, Guarded, acts, cross, guarded, only, policy_of, protect, rule

STOP = "name: stop\nthen: [stop_loss: {trigger: {from_entry: -5%}}]"
TRIM = rule("{profit_from_entry: {below: -2%}}", "reduce: {by: 25%}", name="trim")
WAITS = rule("{profit_from_entry: {below: -2%}}", "reduce: {by: 25%}", name="trim", more="for: 2s")
BOTH = policy_of(STOP, TRIM)
TIGHTER = policy_of(STOP.replace("-5%", "-4%"), TRIM.replace("-2%", "-1%"))
WITHOUT = policy_of(STOP)


def adopt(here: Guarded, policy: Policy) -> None:
    """What the guard does with another policy."""
    here.memory.keep(each.name for each in policy.rules)
    here.policy = policy


def test_I23_a_step_on_its_way_is_not_sent_again_for_another_policy() -> None:
    here = guarded(BOTH, cross())
    here.send(only(here.mark("88000"), Reduce), *SENT)
    for policy in (TIGHTER, WITHOUT, BOTH):
        adopt(here, policy)
        assert acts(here.mark("87990")) == []


def test_I23_a_cooldown_goes_on_through_reloads_also_where_the_rule_was_gone_for_a_while() -> None:
    here = guarded(BOTH, cross())
    here.send(only(here.mark("88000"), Reduce), *VERIFIED)
    for policy in (TIGHTER, WITHOUT, BOTH) * 3:
        adopt(here, policy)
        here.wait(1)
        assert acts(here.mark("87990")) == []
    here.wait(30)
    assert len(acts(here.mark("87980"))) == 1


def test_a_frame_that_waited_while_a_step_was_verified_repeats_nothing() -> None:
    here = guarded(BOTH, cross())
    intent = here.send(only(here.mark("88000"), Reduce), *SENT)
    waited = here.now
    here.wait(0.2, read=False)
    here.move(intent, Stage.ACCEPTED)
    here.move(intent, Stage.VERIFIED)
    here.read()
    here.now = waited
    assert acts(here.mark("87990")) == []


def test_I23_a_rule_that_was_gone_waits_its_whole_time_again() -> None:
    here = guarded(policy_of(STOP, WAITS), cross())
    here.mark("88000")
    here.wait(1)
    adopt(here, WITHOUT)
    here.look()
    here.wait(5)
    adopt(here, policy_of(STOP, WAITS))
    assert acts(here.look()) == []
    here.wait(1)
    assert acts(here.look()) == []
    here.wait(1.1)
    assert len(acts(here.mark("88000"))) == 1


def test_I23_a_rule_that_stays_waits_on_through_reloads_that_change_it() -> None:
    here = guarded(policy_of(STOP, WAITS), cross())
    here.mark("88000")
    for loosely in (False, True) * 5:
        here.wait(0.25)
        adopt(here, policy_of(STOP, WAITS.replace("-2%", "-1.9%") if loosely else WAITS))
        here.look()
    assert len(acts(here.mark("88000"))) == 1


def test_I23_a_loosened_stop_stays_and_a_tightened_one_moves_whatever_the_order_of_policies() -> None:
    here = guarded(WITHOUT, cross())
    wanted: list[str] = []
    for policy in (WITHOUT, policy_of(STOP.replace("-5%", "-7%")), TIGHTER, WITHOUT, policy_of(TRIM)):
        adopt(here, policy)
        wanted += [str(order.trigger_price) for order in protect(here.look()).wanted]
    assert [D(price) for price in wanted] == [D("85500"), D("85500"), D("86400"), D("86400"), D("86400")]


def test_I23_a_stop_that_another_policy_cuts_into_a_looser_ladder_stays_where_it_rests() -> None:
    ladder = "name: stop\nthen: [stop_loss: [{trigger: {from_entry: -6%}, size: 50%}, {trigger: {from_entry: -7%}, size: 50%}]]"
    here = guarded(WITHOUT, cross())
    before = {order.trigger_price for order in protect(here.look()).wanted}
    adopt(here, policy_of(ladder))
    assert {order.trigger_price for order in protect(here.look()).wanted} == before == {D("85500")}


def test_I23_a_trailing_stop_that_another_policy_widens_stays_where_it_rests() -> None:
    here = guarded(policy_of("name: t\nthen: [trail_stop: {distance: 2%}]"), cross())
    here.mark("91000")
    before = [order.trigger_price for order in protect(here.mark("91000")).wanted]
    for policy in (policy_of("name: t\nthen: [trail_stop: {distance: 5%}]"), WITHOUT):
        adopt(here, policy)
        assert [order.trigger_price for order in protect(here.look()).wanted] == before
