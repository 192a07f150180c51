"""C38-C49: what a write comes to, and how an outcome that nobody knows is found out (I7). Milestones "look-ups" and "closes"."""

import asyncio

import pytest

from guardd.errors import VenueError, VenueUnreachable
from guardd.model.order import PlanForm
from guardd.model.outcome import Accepted, Reason, Rejected
from guardd.simulator.faults import FaultKind
from tests.venues.contract.bench import Bench, Denial, Line, Trait
from tests.venues.contract.stand import (
    SHORT_DEADLINE_S,
    UID,
    accepted,
    needs,
    stand,
    unknown,
)
from tests.venues.contract.test_c01_snapshot import both_modes


@both_modes
async def test_C38_an_order_of_the_owner_is_found_by_its_id_working_done_or_cancelled(
    bench: Bench, hedge: bool
) -> None:
    async with stand(bench, hedge=hedge) as on:
        key = on.long(on.btc)
        done = on.hold(key, 5)
        working = on.rest(key, 2, on.away(on.btc, 5), closes=True)
        ended = on.rest(key, 1, on.away(on.btc, 6), closes=True)
        on.exchange.cancel(UID, ended.order_id, on.server.now_ms())
        for order, filled, live in ((done, 5, False), (working, 0, True), (ended, 0, False)):
            report = await on.found(key, order_id=order.order_id)
            assert (report.order_id, report.size) == (order.order_id, order.size)
            assert (report.filled, report.live) == (on.size(key, filled), live)


async def test_C39_what_the_venue_never_heard_of_is_absent_and_no_error(bench: Bench) -> None:
    async with stand(bench) as on:
        key = on.long(on.btc)
        on.hold(key, 5)
        assert await on.find(key, "gd1nobody") is None
        assert await on.find(key, order_id="123456789012345678") is None


@both_modes
async def test_C40_an_accepted_close_is_found_by_its_client_id_and_by_its_order_id(bench: Bench, hedge: bool) -> None:
    async with stand(bench, hedge=hedge) as on:
        key = on.long(on.btc)
        on.hold(key, 5)
        outcome = accepted(await on.send(on.close(key, 2), "gd1found"))
        assert outcome.sent_ns > 0
        assert on.held(key) == 3
        report = await on.found(key, "gd1found")
        assert (report.client_id, report.size, report.filled, report.live) == (
            "gd1found",
            on.size(key, 2),
            on.size(key, 2),
            False,
        )
        assert report.average_price is not None
        assert (await on.found(key, order_id=report.order_id)).order_id == report.order_id
        assert outcome.order_id in (None, report.order_id)


async def test_C41_I07_a_close_that_never_arrived_is_unknown_is_sent_once_and_is_not_found(bench: Bench) -> None:
    async with stand(bench) as on:
        key = on.long(on.btc)
        on.hold(key, 5)
        on.fault(FaultKind.TIMEOUT_BEFORE, Line.CLOSE)
        unknown(await on.send(on.close(key, 2), "gd1lost", deadline_s=SHORT_DEADLINE_S))
        assert on.tap.sent_to(bench.paths[Line.CLOSE]) == 1
        assert await on.find(key, "gd1lost") is None
        assert on.held(key) == 5


async def test_C42_I07_a_close_whose_answer_is_lost_is_unknown_is_sent_once_and_is_found(bench: Bench) -> None:
    async with stand(bench) as on:
        key = on.long(on.btc)
        on.hold(key, 5)
        on.fault(FaultKind.TIMEOUT_AFTER, Line.CLOSE)
        unknown(await on.send(on.close(key, 2), "gd1late", deadline_s=SHORT_DEADLINE_S))
        assert on.tap.sent_to(bench.paths[Line.CLOSE]) == 1
        assert on.held(key) == 3
        report = await on.found(key, "gd1late")
        assert (report.filled, report.live) == (on.size(key, 2), False)


@pytest.mark.parametrize("kind", [FaultKind.TIMEOUT_BEFORE, FaultKind.TIMEOUT_AFTER])
async def test_C43_I07_a_stop_of_unknown_outcome_is_sent_once_and_the_plan_list_tells(
    bench: Bench, kind: FaultKind
) -> None:
    async with stand(bench) as on:
        key = on.long(on.btc)
        on.hold(key, 5)
        on.fault(kind, Line.STOP)
        unknown(await on.send(on.stop(key), "gd1stop", deadline_s=SHORT_DEADLINE_S))
        assert on.tap.sent_to(bench.paths[Line.STOP]) == 1
        arrived = kind is FaultKind.TIMEOUT_AFTER
        assert len(on.live_plans(key)) == arrived
        assert [plan.client_id for plan in await on.plans()] == ["gd1stop"] * arrived
        report = await on.find(key, "gd1stop")
        assert (report is not None) is arrived
        assert report is None or report.live


async def test_C44_an_order_that_shows_late_is_absent_first_and_found_then(bench: Bench) -> None:
    """The venue's lists lag: absence means nothing before `lookup_delay_s`, and it never becomes an error of the order."""
    async with stand(bench) as on:
        key = on.long(on.btc)
        on.hold(key, 5)
        on.fault(FaultKind.TIMEOUT_AFTER, Line.CLOSE, times=1)
        on.hide_orders()
        unknown(await on.send(on.close(key, 2), "gd1slow", deadline_s=SHORT_DEADLINE_S))
        assert await on.find(key, "gd1slow") is None
        on.faults.clear()
        assert (await on.found(key, "gd1slow")).filled == on.size(key, 2)


async def test_C45_an_outcome_is_there_by_its_deadline_however_slow_the_venue(bench: Bench) -> None:
    async with stand(bench) as on:
        key = on.long(on.btc)
        on.hold(key, 5)
        on.fault(FaultKind.SLOW, Line.CLOSE, delay_ms=3_000)
        began_ns = on.clock.monotonic_ns()
        unknown(await on.send(on.close(key, 2), deadline_s=SHORT_DEADLINE_S))
        assert (on.clock.monotonic_ns() - began_ns) / 1e9 < SHORT_DEADLINE_S + 1.0


async def test_C46_what_nobody_listens_to_was_certainly_not_sent(bench: Bench) -> None:
    async with stand(bench, reachable=False, opened=False) as on:
        with pytest.raises(VenueUnreachable):
            await on.venue.open()
        with pytest.raises(VenueError):
            await on.venue.positions()
        outcome = await on.send(on.close(on.long(on.btc), 2), deadline_s=SHORT_DEADLINE_S)
        assert isinstance(outcome, Rejected), outcome


async def test_C47_I07_a_stop_repeated_under_its_client_id_never_becomes_two(bench: Bench) -> None:
    async with stand(bench) as on:
        if not on.venue.capabilities.sized_protection:
            pytest.skip(f"{bench.name}: sized_protection is declared as not there")
        key = on.long(on.btc)
        on.hold(key, 5)
        write = on.stop(key, form=PlanForm.SIZED, hundredths=2)
        accepted(await on.send(write, "gd1again"))
        on.denied(await on.send(write, "gd1again"), Denial.STOP_REPEATED)
        assert len(on.live_plans(key)) == 1


@both_modes
async def test_C48_a_close_that_is_acknowledged_without_an_id_is_accepted_and_found_by_its_client_id(
    bench: Bench, hedge: bool
) -> None:
    needs(bench, Trait.ACKNOWLEDGES_WITHOUT_ID)
    async with stand(bench, hedge=hedge) as on:
        if hedge:
            pytest.skip(f"{bench.name} acknowledges with an id in hedge mode")
        key = on.long(on.btc)
        on.hold(key, 5)
        on.rest(key, 4, on.away(on.btc, 5), closes=True)
        outcome = accepted(await on.send(on.close(key, 5), "gd1noid"))
        report = await on.found(key, "gd1noid")
        assert outcome.order_id in (None, report.order_id)
        assert on.held(key) == 0


async def test_C49_two_closes_at_once_never_take_more_than_there_is(bench: Bench) -> None:
    async with stand(bench) as on:
        key = on.long(on.btc)
        on.hold(key, 5)
        outcomes = await asyncio.gather(*(on.send(on.close(key, 4), f"gd1both{n}") for n in range(2)))
        assert any(isinstance(outcome, Accepted) for outcome in outcomes)
        for outcome in outcomes:
            assert not isinstance(outcome, Rejected) or outcome.reason is not Reason.NOT_SENT
        assert on.held(key) in (0, 1)
