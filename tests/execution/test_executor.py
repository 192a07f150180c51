"""One intent's life against a venue that accepts, rejects, stays silent and lies."""

import asyncio

import pytest

from guardd.execution.approve import ApprovedIntent
from guardd.execution.closing import closing_steps
from guardd.execution.reconcile import reconcile
from guardd.model.decision import Close, Reduce
from guardd.model.event import ClockRead, OrderPushed, OrdersRead, PositionsRead
from guardd.model.fold import fold
from guardd.model.intent import CancelOrder, Stage
from guardd.model.names import OrderId, RuleName, Severity
from guardd.model.order import OrderAction, OrderUpdate, PlanForm, ProtectionKind, RestingKind
from guardd.model.outcome import Reason
from guardd.venues.limiter import Lane
from tests.changed import replace
from tests.execution.bench import (
    BOUNDS,
    EPISODE,
    LONG,
    Bench,
    D,
    plan,
    position,
    protect,
    resting,
    wanted,
)
from tests.execution.fake_venue import CAN_ALL, Answer

CLOSE = Close(key=LONG, episode=EPISODE, rule=RuleName("last-resort"), reason="the end is near")
ACCEPTED_PATH = [Stage.DECIDED, Stage.JOURNALLED, Stage.SENT, Stage.ACCEPTED, Stage.VERIFIED]


def reduce_by(size: int) -> Reduce:
    return Reduce(key=LONG, episode=EPISODE, rule=RuleName("trim"), size=D(size), reason="too near")


@pytest.fixture
async def bench():
    bench = Bench()
    await bench.hold(position())
    yield bench
    await bench.end()


def close(bench: Bench, decision=CLOSE, **changes):
    [intent] = bench.go(closing_steps(decision, bench.state, BOUNDS, now=bench.now, **changes))
    return intent


async def test_an_accepted_close_is_verified_by_its_fill_and_the_position_read_comes_first(bench: Bench) -> None:
    intent = close(bench)
    await bench.settle(3)
    assert bench.stages(intent) == ACCEPTED_PATH
    assert bench.state.finished[-1].filled == D(100)
    reads = [index for index, event in enumerate(bench.events) if isinstance(event, PositionsRead)]
    assert reads[-1] == len(bench.events) - 2, "the read is posted before VERIFIED"


async def test_I20_an_intent_is_durable_before_it_is_sent(bench: Bench) -> None:
    intent = close(bench)
    await bench.settle(3)
    order = [line for line in bench.venue.log if line.startswith(("durable", "send"))]
    assert order == [f"durable {intent.id}", "send CloseAtMarket"]


async def test_I20_nothing_is_sent_that_the_journal_does_not_hold(bench: Bench) -> None:
    bench.journal.fails = True
    intent = close(bench)
    await bench.settle(3)
    assert bench.stages(intent) == [Stage.DECIDED, Stage.REFUSED]
    assert bench.venue.sent == []
    assert [said.severity for said in bench.said()] == [Severity.CRITICAL]


async def test_the_next_tick_cannot_decide_the_same_again(bench: Bench) -> None:
    close(bench)
    assert bench.go(closing_steps(CLOSE, bench.state, BOUNDS, now=bench.now)) == []
    await bench.settle(3)
    assert len(bench.venue.sent) == 1


async def test_one_approval_is_carried_out_once(bench: Bench) -> None:
    [proposal] = closing_steps(CLOSE, bench.state, BOUNDS, now=bench.now).proposals
    approved = bench.judge(proposal)
    assert isinstance(approved, ApprovedIntent)
    assert [bench.executor.start(approved), bench.executor.start(approved)] == [True, False]


async def test_a_rejected_close_is_settled_with_the_venues_reason(bench: Bench) -> None:
    bench.venue.script.append(Reason.EDGE_BLOCKED)
    intent = close(bench)
    await bench.settle(1)
    assert bench.stages(intent) == [Stage.DECIDED, Stage.JOURNALLED, Stage.SENT, Stage.REJECTED]
    assert bench.state.finished[-1].outcome.reason is Reason.EDGE_BLOCKED


@pytest.mark.parametrize("reason", [Reason.POSITION_GONE, Reason.SIZE_ABOVE_POSITION, Reason.PROTECTION_EXISTS])
async def test_a_rejection_that_says_our_picture_is_wrong_reads_before_it_is_settled(
    bench: Bench, reason: Reason
) -> None:
    bench.venue.script.append(reason)
    close(bench)
    await bench.settle(1)
    kinds = [type(event).__name__ for event in bench.events][-3:]
    assert kinds == ["PositionsRead", "OrdersRead", "IntentMoved"]


async def test_a_precision_rejection_reads_the_contract_anew(bench: Bench) -> None:
    bench.venue.script.append(Reason.PRECISION)
    close(bench)
    await bench.settle(1)
    assert "read instruments" in bench.venue.log


# Unknown: invariant I7


async def test_I07_an_unknown_close_that_was_done_is_found_and_never_sent_again(bench: Bench) -> None:
    bench.venue.script.append(Answer.UNKNOWN_DONE)
    intent = close(bench, reduce_by(30))
    await bench.settle(10)
    assert bench.stages(intent) == [Stage.DECIDED, Stage.JOURNALLED, Stage.SENT, Stage.UNKNOWN, Stage.VERIFIED]
    assert bench.state.finished[-1].filled == D(30)
    assert len(bench.venue.sent) == 1


async def test_I07_a_close_that_went_over_a_lost_reduction_is_not_taken_for_its_fill(bench: Bench) -> None:
    bench.venue.script.append(Answer.UNKNOWN_LOST)
    lost = close(bench, reduce_by(30))
    await bench.settle(0.5)
    later = close(bench)
    assert later.write.size == D(70), "what the reduction may still take is left to it (I1)"
    await bench.settle(5)
    assert bench.stages(later)[-1] is Stage.VERIFIED
    assert bench.stages(lost)[-1] is Stage.VOID
    await bench.read()
    assert bench.state.held[LONG].position.quantity == D(30)


async def test_I07_a_reduction_that_arrived_is_found_although_a_close_went_over_it(bench: Bench) -> None:
    bench.venue.script.append(Answer.UNKNOWN_DONE)
    done = close(bench, reduce_by(30))
    await bench.settle(0.2)
    later = close(bench)
    await bench.settle(5)
    assert [bench.stages(each)[-1] for each in (done, later)] == [Stage.VERIFIED, Stage.VERIFIED]
    assert len(bench.venue.sent) == 2


async def test_I07_a_lost_close_is_void_only_after_three_seconds_and_goes_again_under_the_same_id(bench: Bench) -> None:
    bench.venue.script.append(Answer.UNKNOWN_LOST)
    first = close(bench)
    await bench.settle(2.5)
    assert bench.stages(first)[-1] is Stage.UNKNOWN
    assert bench.go(closing_steps(CLOSE, bench.state, BOUNDS, now=bench.now)) == [], (
        "no second request before it is certain"
    )
    await bench.settle(2)
    assert bench.stages(first)[-1] is Stage.VOID
    await bench.read()
    second = close(bench)
    assert second.id == first.id
    await bench.settle(3)
    assert bench.stages(second)[-1] is Stage.VERIFIED


async def test_I07_while_nothing_can_be_read_an_intent_stays_unknown_and_people_are_told_once(bench: Bench) -> None:
    bench.venue.script.append(Answer.UNKNOWN_DONE)
    intent = close(bench)
    bench.venue.reads_fail = True
    await bench.settle(60)
    assert bench.stages(intent)[-1] is Stage.UNKNOWN
    assert [said.severity for said in bench.said()] == [Severity.CRITICAL]
    bench.venue.reads_fail = False
    await bench.settle(20)
    assert bench.stages(intent)[-1] is Stage.VERIFIED


async def test_I10_after_an_outage_a_lost_close_goes_again_within_five_seconds(bench: Bench) -> None:
    """The close was lost and nothing could be read for a minute; proving that it never arrived takes three seconds (I7)."""
    bench.venue.script.append(Answer.UNKNOWN_LOST)
    bench.venue.reads_fail = True
    close(bench)
    await bench.settle(61.3)
    bench.venue.reads_fail = False
    await bench.settle(4.5)
    await bench.read()
    close(bench)
    await bench.settle(0.4)
    assert LONG not in bench.venue.rows


async def test_I07_a_read_that_failed_is_no_evidence_of_absence(bench: Bench) -> None:
    bench.venue.script.append(Answer.UNKNOWN_LOST)
    bench.venue.reads_fail = True
    intent = close(bench)
    await bench.settle(2)
    bench.venue.reads_fail = False
    await bench.settle(2)
    assert bench.stages(intent)[-1] is Stage.UNKNOWN, "one good look after two failed ones proves nothing"
    await bench.settle(6)
    assert bench.stages(intent)[-1] is Stage.VOID


async def test_I07_a_fill_that_no_list_shows_is_seen_in_the_position(bench: Bench) -> None:
    bench.venue.script.append(Answer.UNKNOWN_DONE)
    intent = close(bench, reduce_by(30))
    await asyncio.sleep(0)
    await bench.settle(0)
    await bench.settle(10)
    assert bench.stages(intent)[-1] is Stage.VERIFIED
    assert bench.state.finished[-1].filled == D(30)


async def test_I07_a_duplicate_client_id_adopts_the_earlier_order(bench: Bench) -> None:
    bench.venue.script.extend([Answer.UNKNOWN_LATE, Answer.ACCEPT])
    first = close(bench)
    await bench.settle(5)
    assert bench.stages(first)[-1] is Stage.VOID
    bench.venue.late()
    bench.venue.rows = {LONG: position(quantity=100)}  # the read is behind the fill
    second = close(bench)
    await bench.settle(10)
    assert bench.stages(second)[-1] is Stage.VERIFIED
    assert bench.venue.rows[LONG].quantity == 100, "the second send filled nothing"


async def test_I07_a_lost_stop_is_void_and_a_late_one_is_adopted(bench: Bench) -> None:
    bench.venue.script.append(Answer.UNKNOWN_LATE)
    [intent] = bench.go(reconcile(protect(wanted()), bench.state, BOUNDS, now=bench.now))
    await bench.settle(1)
    bench.venue.late()
    await bench.settle(5)
    assert bench.stages(intent)[-1] is Stage.VERIFIED
    assert len(bench.venue.plans) == 1


async def test_I07_an_unknown_plan_order_without_client_id_is_recognised_by_what_it_is() -> None:
    bench = Bench()
    bench.venue.capabilities = replace(
        bench.venue.capabilities, whole_position_protection=False, sized_protection=False
    )
    bench.state.capabilities = bench.venue.capabilities
    await bench.hold(position())
    bench.venue.plans[OrderId("users")] = plan("users", "90", form=PlanForm.PLAN, size=D(100))
    bench.venue.plans[OrderId("users")] = replace(bench.venue.plans[OrderId("users")], trigger_price=D("85"))
    await bench.read()
    bench.venue.script.append(Answer.UNKNOWN_DONE)
    [intent] = bench.go(reconcile(protect(wanted()), bench.state, BOUNDS, now=bench.now))
    await bench.settle(6)
    assert bench.stages(intent)[-1] is Stage.VERIFIED
    assert bench.state.own_order_ids == {OrderId("1")}
    await bench.end()


@pytest.mark.parametrize("offset_s", [-45, 45])
async def test_I07_the_venues_stamps_are_read_by_its_own_clock(offset_s: int) -> None:
    """A local clock that is off must not make a stop that arrived look lost: it would be placed a second time."""
    bench = Bench(capabilities=replace(CAN_ALL, whole_position_protection=False, sized_protection=False))
    fold(bench.state, ClockRead(at=bench.now, offset_ms=offset_s * 1000))
    await bench.hold(position())
    bench.venue.script.append(Answer.UNKNOWN_DONE)
    [intent] = bench.go(reconcile(protect(wanted()), bench.state, BOUNDS, now=bench.now))
    await bench.settle(0)
    [placed] = bench.venue.plans.values()
    created_ms = placed.created_ms + offset_s * 1000
    bench.venue.plans[placed.order_id] = replace(placed, created_ms=created_ms)
    await bench.settle(6)
    assert bench.stages(intent)[-1] is Stage.VERIFIED
    await bench.end()


async def test_I07_an_unknown_cancel_is_void_when_the_order_still_rests(bench: Bench) -> None:
    bench.venue.resting[OrderId("tp")] = resting("tp", 100)
    await bench.read()
    bench.venue.script.append(Answer.UNKNOWN_LOST)
    [intent] = bench.go(closing_steps(CLOSE, bench.state, BOUNDS, now=bench.now))
    assert isinstance(intent.write, CancelOrder)
    await bench.settle(6)
    assert bench.stages(intent)[-1] is Stage.VOID


# Reading back


async def test_a_stop_that_is_accepted_and_not_listed_has_failed(bench: Bench) -> None:
    bench.venue.script.append(Answer.ACCEPT_NOT_LISTED)
    [intent] = bench.go(reconcile(protect(wanted()), bench.state, BOUNDS, now=bench.now))
    await bench.settle(3)
    assert bench.stages(intent)[-1] is Stage.FAILED


async def test_a_stop_that_is_listed_late_is_waited_for_two_seconds(bench: Bench) -> None:
    [intent] = bench.go(reconcile(protect(wanted()), bench.state, BOUNDS, now=bench.now))
    await bench.settle(0)
    listed = dict(bench.venue.plans)
    bench.venue.plans.clear()
    await bench.settle(0.6)
    bench.venue.plans.update(listed)
    await bench.settle(2)
    assert bench.stages(intent)[-1] is Stage.VERIFIED


async def test_a_close_that_fills_nothing_has_failed_and_starts_no_cooldown(bench: Bench) -> None:
    bench.venue.fill_ratio = D(0)
    intent = close(bench, reduce_by(30))
    await bench.settle(3)
    assert bench.stages(intent)[-1] is Stage.FAILED
    assert bench.state.progress[EPISODE, RuleName("trim")].verified is None


async def test_a_cancel_of_an_order_that_is_gone_is_done(bench: Bench) -> None:
    bench.venue.resting[OrderId("tp")] = resting("tp", 100)
    await bench.read()
    bench.venue.resting.clear()
    [intent] = bench.go(closing_steps(CLOSE, bench.state, BOUNDS, now=bench.now))
    await bench.settle(3)
    assert bench.stages(intent)[-1] is Stage.VERIFIED


async def test_a_push_of_the_private_stream_settles_a_close_while_reads_are_held_back(bench: Bench) -> None:
    intent = close(bench)
    bench.venue.reads_fail = True
    await bench.settle(0)
    update = OrderUpdate(
        order_id=OrderId("1"),
        client_id=intent.id,
        plan_order_id=None,
        key=LONG,
        closes=True,
        action=OrderAction.FILLED,
        live=False,
        kind=RestingKind.MARKET,
        price=None,
        size=D(100),
        filled=D(100),
        average_price=D(99),
        venue_ms=0,
    )
    bench.executor.heard(update)
    bench.post(OrderPushed(at=bench.now, update=update))
    await bench.settle(1)
    assert bench.stages(intent)[-1] is Stage.VERIFIED


# Reaction, lanes, stopping


async def test_the_reaction_is_told_once_for_each_frame(bench: Bench) -> None:
    frame_ns = bench.clock.monotonic_ns()
    bench.venue.pause_s = 0.02
    close(bench, reduce_by(30), frame_ns=frame_ns)
    await bench.settle(3)
    bench.venue.pause_s = 0.0
    await bench.read()
    close(bench, frame_ns=frame_ns)
    await bench.settle(3)
    reactions = [told.reaction_s for told in bench.told() if told.reaction_s is not None]
    assert reactions == [pytest.approx(0.02)]


async def test_closes_and_missing_stops_take_the_emergency_lane(bench: Bench) -> None:
    tp = wanted("110", kind=ProtectionKind.TAKE_PROFIT)
    bench.go(reconcile(protect(wanted(), tp), bench.state, BOUNDS, now=bench.now))
    close(bench)
    await bench.settle(3)
    assert [sent.lane for sent in bench.venue.sent] == [Lane.EMERGENCY, Lane.ORDINARY, Lane.EMERGENCY]


async def test_stopping_takes_nothing_new_and_waits_for_what_is_being_sent(bench: Bench) -> None:
    bench.venue.pause_s = 0.5
    intent = close(bench)
    bench.executor.stop_intake()
    drain = asyncio.create_task(bench.executor.drain(deadline_s=5))
    await bench.settle(5)
    assert await drain == frozenset()
    assert bench.stages(intent)[-1] is Stage.VERIFIED


async def test_draining_says_what_is_still_being_sent_at_the_deadline(bench: Bench) -> None:
    bench.venue.pause_s = 30
    intent = close(bench)
    bench.executor.stop_intake()
    drain = asyncio.create_task(bench.executor.drain(deadline_s=1))
    await bench.settle(1.1)
    assert await drain == {intent.id}


async def test_nothing_starts_after_intake_has_stopped(bench: Bench) -> None:
    bench.executor.stop_intake()
    assert bench.go(closing_steps(CLOSE, bench.state, BOUNDS, now=bench.now)) == []
    assert bench.state.pending == {}


# Cancellation at each await


@pytest.mark.parametrize("turns", range(40))
async def test_cancelled_at_any_await_an_intent_stays_in_flight_and_is_picked_up(turns: int) -> None:
    """A task that dies anywhere leaves an intent that a resumed executor brings to a certain end: one execution (I7, I8)."""
    bench = Bench()
    await bench.hold(position())
    bench.venue.pause_s = 0.01
    intent = close(bench, reduce_by(30))
    for _ in range(turns):
        await bench.clock.advance(0.01, turns=1)
        if bench.tasks[0].done():
            break
    bench.tasks[0].cancel()
    await asyncio.gather(*bench.tasks, return_exceptions=True)
    await bench.settle(0)
    assert bench.executor.idle
    left = list(bench.state.pending.values())
    assert bench.executor.resume(left) == len(left)
    await bench.settle(30)
    assert bench.state.pending == {}
    filled = D(100) - bench.venue.rows[LONG].quantity
    assert filled in (D(0), D(30))
    end = bench.stages(intent)[-1]
    assert end is (Stage.VERIFIED if filled else end)
    assert end in (Stage.VERIFIED, Stage.VOID, Stage.REFUSED)
    await bench.end()


async def test_an_intent_in_good_hands_is_not_picked_up_twice(bench: Bench) -> None:
    bench.venue.pause_s = 1
    close(bench)
    assert bench.executor.resume(bench.state.pending.values()) == 0


async def test_reads_are_posted_even_when_they_only_served_a_verification(bench: Bench) -> None:
    bench.go(reconcile(protect(wanted()), bench.state, BOUNDS, now=bench.now))
    await bench.settle(3)
    assert [type(event) for event in bench.events if isinstance(event, OrdersRead)]
    assert [each.order_id for each in bench.state.plans.values()] == ["1"]
