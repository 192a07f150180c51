"""Tranches at the venue, one case each: what the laws of `test_ladder_laws` hold in the mass."""

import pytest

from guardd.execution.fired import finish_fired
from guardd.execution.proposal import Bounds, FiredStop
from guardd.execution.reconcile import reconcile
from guardd.model.decision import Reduce
from guardd.model.intent import CancelOrder, ModifyProtection, PlaceProtection
from guardd.model.names import OrderId, RuleName
from guardd.model.order import PlanForm, ProtectionKind
from guardd.model.outcome import Reason
from tests.changed import replace
from tests.execution.bench import BOUNDS, EPISODE, LONG, Bench, D, plan, position, protect, wanted
from tests.execution.fake_venue import CAN_ALL

TP = ProtectionKind.TAKE_PROFIT
NEAR, FAR = wanted("94", size=50, tranche=0), wanted("90", size=50, tranche=1)


@pytest.fixture
async def bench():
    bench = Bench()
    await bench.hold(position())
    yield bench
    await bench.end()


def rests(bench: Bench) -> list[tuple[str, str]]:
    plans = sorted(bench.venue.plans.values(), key=lambda plan: -plan.trigger_price)
    return [(str(plan.trigger_price), str(plan.size)) for plan in plans]


def near(bench: Bench):
    return next(plan for plan in bench.venue.plans.values() if plan.trigger_price == 94)


async def cut(bench: Bench, by: int) -> None:
    row = bench.venue.rows[LONG]
    bench.venue.rows[LONG] = replace(
        row, quantity=row.quantity - by, closed_quantity=row.closed_quantity + by, venue_ms=bench.now.wall_ms
    )
    await bench.read()


async def test_a_tranche_never_rests_as_an_order_for_the_whole_position(bench: Bench) -> None:
    await bench.protect(NEAR, FAR)
    assert {sent.write.form for sent in bench.venue.sent if isinstance(sent.write, PlaceProtection)} == {PlanForm.SIZED}
    assert rests(bench) == [("94", "50"), ("90", "50")]


async def test_a_tranche_is_re_sized_at_once_whatever_the_pace_of_moves(bench: Bench) -> None:
    await bench.protect(NEAR, FAR)
    await cut(bench, 30)
    steps = reconcile(protect(NEAR, FAR), bench.state, BOUNDS, now=bench.now)
    assert [(proposal.write.size, proposal.write.trigger_price) for proposal in steps.proposals] == [(D(20), D(90))]


async def test_I03_a_tranche_is_replaced_before_the_old_one_ends(bench: Bench) -> None:
    await bench.protect(NEAR, FAR)
    sent = len(bench.venue.sent)
    await cut(bench, 30)
    await bench.protect(NEAR, FAR)
    assert [type(each.write) for each in bench.venue.sent[sent:]] == [PlaceProtection, CancelOrder]
    assert rests(bench) == [("94", "50"), ("90", "20")]


async def test_where_tranches_share_what_is_held_the_venue_changes_the_size_itself() -> None:
    bench = Bench(capabilities=replace(CAN_ALL, modify_size=True))
    await bench.hold(position())
    await bench.protect(NEAR, FAR)
    sent = len(bench.venue.sent)
    await cut(bench, 30)
    await bench.protect(NEAR, FAR)
    assert [type(each.write) for each in bench.venue.sent[sent:]] == [ModifyProtection]
    assert rests(bench) == [("94", "50"), ("90", "20")]
    await bench.end()


async def test_a_quantity_that_shrank_after_the_list_was_read_re_sizes_nothing_before_the_list_tells_why(
    bench: Bench,
) -> None:
    """The near tranche fired: the far one's share is still its half, although half of the position is all there is."""
    await bench.protect(NEAR, FAR)
    bench.venue.fire(near(bench).order_id)
    bench.clock.pass_time(0.1)
    bench.post(await bench.venue.positions())
    steps = reconcile(protect(NEAR, wanted("90", size=20, tranche=1)), bench.state, BOUNDS, now=bench.now)
    assert (steps.proposals, steps.lists_first) == ((), True)
    bench.clock.pass_time(4)
    shorter = wanted("94", size=30, tranche=0)
    assert reconcile(protect(shorter), bench.state, BOUNDS, now=bench.now).proposals, "nobody waits for a list for ever"


async def test_a_tranche_that_is_gone_is_put_back_only_once_a_later_read_shows_that_it_did_not_fill(
    bench: Bench,
) -> None:
    await bench.protect(NEAR, FAR)
    del bench.venue.plans[near(bench).order_id]
    bench.clock.pass_time(1)
    bench.post(await bench.venue.orders())
    steps = reconcile(protect(NEAR, FAR), bench.state, BOUNDS, now=bench.now)
    assert (steps.proposals, steps.position_first) == ((), True)
    bench.clock.pass_time(1)
    bench.post(await bench.venue.positions())
    steps = reconcile(protect(NEAR, FAR), bench.state, BOUNDS, now=bench.now)
    assert [proposal.reason for proposal in steps.proposals] == ["its stop was cancelled by somebody else"]


async def test_a_take_profit_that_was_triggered_and_closed_nothing_is_placed_again_and_contested_by_nobody(
    bench: Bench,
) -> None:
    first = wanted("110", kind=TP, size=50)
    await bench.protect(first)
    [order] = bench.venue.plans.values()
    bench.state.fired[order.order_id] = LONG
    bench.venue.plans.clear()
    await bench.read()
    bench.clock.pass_time(1)
    bench.post(await bench.venue.positions())
    steps = reconcile(protect(first), bench.state, BOUNDS, now=bench.now)
    assert [each.reason for each in steps.proposals] == ["its take-profit was triggered and closed nothing"]
    assert (steps.notes, steps.contested, steps.fired) == ((), "", ())


async def test_a_take_profit_that_is_gone_is_not_put_back_before_a_read_shows_that_it_did_not_close_everything(
    bench: Bench,
) -> None:
    whole = wanted("110", kind=TP)
    await bench.protect(whole)
    bench.venue.plans.clear()
    bench.clock.pass_time(1)
    bench.post(await bench.venue.orders())
    steps = reconcile(protect(whole), bench.state, BOUNDS, now=bench.now)
    assert (steps.proposals, steps.notes, steps.position_first) == ((), (), True)


@pytest.mark.parametrize("position_first", [True, False])
async def test_what_a_fired_tranche_left_is_reckoned_alike_whichever_push_comes_first(
    bench: Bench, position_first: bool
) -> None:
    await bench.protect(NEAR, FAR)
    order = near(bench)
    before = bench.venue.rows[LONG].quantity
    bench.venue.fire(order.order_id, fill_ratio=D("0.6"))
    told = bench.venue.rows[LONG].quantity if position_first else before
    fired = FiredStop(
        key=LONG, episode=EPISODE, rule=RuleName(f"fired/{order.order_id}"), order_id=order.order_id,
        size=order.size, quantity_before=told, at=bench.now,
    )  # fmt: skip
    await bench.settle(2)
    await bench.read()
    rest = finish_fired(fired, bench.state, now=bench.now)
    assert isinstance(rest, Reduce)
    assert (rest.size, bench.venue.rows[LONG].quantity) == (20, 70)


async def test_a_fired_tranche_that_closed_its_share_leaves_nothing_to_finish(bench: Bench) -> None:
    await bench.protect(NEAR, FAR)
    order = near(bench)
    bench.venue.fire(order.order_id)
    fired = FiredStop(
        key=LONG, episode=EPISODE, rule=RuleName(f"fired/{order.order_id}"), order_id=order.order_id,
        size=order.size, quantity_before=D(50), at=bench.now,
    )  # fmt: skip
    await bench.settle(2)
    await bench.read()
    assert finish_fired(fired, bench.state, now=bench.now) is None


async def test_a_tranche_that_vanished_past_its_trigger_is_finished_for_its_share_and_not_for_the_position(
    bench: Bench,
) -> None:
    await bench.protect(NEAR, FAR)
    bench.venue.plans = {key: each for key, each in bench.venue.plans.items() if each.trigger_price != 94}
    bench.venue.rows[LONG] = replace(bench.venue.rows[LONG], mark_price=D(93))
    through = Bounds(mark=D(93), liquidation_price=D(80))
    await bench.read()
    [fired] = reconcile(protect(FAR), bench.state, through, now=bench.now).fired
    await bench.settle(2)
    await bench.read()
    rest = finish_fired(fired, bench.state, now=bench.now)
    assert isinstance(rest, Reduce)
    assert (rest.size, rest.rule) == (50, "rest/stop_loss/0/finish")


async def test_I13_a_users_stop_for_a_part_stands_for_the_tranche_that_it_is_as_tight_as(bench: Bench) -> None:
    users = plan("users", "95", size=D(50), form=PlanForm.SIZED)
    bench.venue.plans[OrderId("users")] = users
    await bench.read()
    await bench.protect(NEAR, FAR)
    assert rests(bench) == [("95", "50"), ("90", "50")]


async def test_a_tranche_that_no_form_would_take_is_watched_for_its_share(bench: Bench) -> None:
    bench.venue.script.extend([Reason.TRIGGER_TOO_FAR])
    steps = await bench.protect(NEAR, FAR, rounds=2, seconds=2)
    [software] = steps.software_stops
    assert (software.slot, software.size, software.trigger_price) == ("rest/stop_loss/0", D(50), D(94))
    assert rests(bench) == [("90", "50")]


async def test_why_a_stop_is_placed_is_said_so_that_it_reads_beside_stop_verified(bench: Bench) -> None:
    steps = reconcile(protect(NEAR), bench.state, BOUNDS, now=bench.now)
    [reason] = [proposal.reason for proposal in steps.proposals]
    assert reason == f"no stop rested; asked for at {NEAR.trigger_price:f}"
