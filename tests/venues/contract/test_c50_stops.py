"""C50-C69: resting protection, from its placing to its trigger. Milestone "stops"."""

import asyncio
from decimal import Decimal

import pytest

from guardd.model.event import OrderPushed
from guardd.model.intent import ModifyProtection
from guardd.model.names import PositionKey, PriceType
from guardd.model.order import PlanForm, ProtectionKind
from guardd.model.outcome import Accepted, Outcome, Reason, Rejected
from guardd.simulator.faults import FaultKind
from guardd.simulator.orders import Plan, PlanKind, PlanStatus, PriceSource
from tests.changed import replace
from tests.venues.contract.bench import Bench, Denial, Trait
from tests.venues.contract.stand import UID, Stand, able, accepted, needs, order_id_of, stand, until
from tests.venues.contract.test_c01_snapshot import both_margins, both_modes

CAPABILITY = {
    PlanForm.WHOLE: "whole_position_protection",
    PlanForm.SIZED: "sized_protection",
    PlanForm.PLAN: "plan_protection",
}
every_form = pytest.mark.parametrize("form", PlanForm)
both_sides = pytest.mark.parametrize("side", ["long", "short"])


def key_of(on: Stand, side: str) -> PositionKey:
    return on.long(on.btc) if side == "long" else on.short(on.btc)


def hundredths_of(form: PlanForm) -> int | None:
    return 3 if form is PlanForm.SIZED else None


def stops_of(on: Stand, key: PositionKey) -> list[Plan]:
    return [plan for plan in on.live_plans(key) if plan.protects]


def moved(on: Stand, key: PositionKey, order_id: str, trigger: Decimal, form: PlanForm) -> ModifyProtection:
    hundredths = hundredths_of(form)
    return ModifyProtection(
        key=key,
        order_id=order_id,  # type: ignore[arg-type]
        kind=ProtectionKind.STOP_LOSS,
        form=form,
        trigger_price=trigger,
        price_type=PriceType.MARK,
        size=None if hundredths is None else on.size(key, hundredths),
    )


@every_form
@both_sides
@both_margins
@both_modes
async def test_C50_a_stop_in_each_form_rests_as_it_was_meant(
    bench: Bench, hedge: bool, isolated: bool, side: str, form: PlanForm
) -> None:
    async with stand(bench, hedge=hedge, isolated=isolated) as on:
        able(on, CAPABILITY[form])
        key = key_of(on, side)
        on.hold(key, 5)
        await on.venue.positions()
        trigger = on.against(key, 4)
        accepted(await on.send(on.stop(key, trigger, form=form, hundredths=hundredths_of(form)), "gd1rest"))
        (plan,) = on.live_plans(key)
        assert plan.protects
        assert (plan.reduce, plan.trigger_price, plan.source) == (True, trigger, PriceSource.MARK)
        if form is not PlanForm.PLAN:
            assert plan.kind is PlanKind.STOP_LOSS
        expected = {PlanForm.WHOLE: None, PlanForm.SIZED: on.size(key, 3), PlanForm.PLAN: on.size(key, 5)}[form]
        assert plan.size == expected
        (read,) = await on.plans()
        assert (read.key, read.protection, read.form, read.size) == (key, ProtectionKind.STOP_LOSS, form, expected)
        assert (read.trigger_price, read.price_type, read.execution_price) == (trigger, PriceType.MARK, None)
        named = form is not PlanForm.PLAN or on.venue.capabilities.client_id_on_plan
        assert read.client_id == ("gd1rest" if named else None)


@pytest.mark.parametrize("form", [PlanForm.WHOLE, PlanForm.SIZED])
@both_sides
@both_modes
async def test_C51_a_take_profit_rests_as_it_was_meant(bench: Bench, hedge: bool, side: str, form: PlanForm) -> None:
    async with stand(bench, hedge=hedge) as on:
        able(on, CAPABILITY[form])
        key = key_of(on, side)
        on.hold(key, 5)
        write = on.stop(
            key,
            on.against(key, -4),
            form=form,
            hundredths=hundredths_of(form),
            kind=ProtectionKind.TAKE_PROFIT,
            price_type=PriceType.LAST,
        )
        accepted(await on.send(write, "gd1gain"))
        (plan,) = on.live_plans(key)
        assert (plan.kind, plan.source, plan.reduce) == (PlanKind.TAKE_PROFIT, PriceSource.LAST, True)
        (read,) = await on.plans()
        assert (read.protection, read.form, read.price_type) == (ProtectionKind.TAKE_PROFIT, form, PriceType.LAST)
        assert read.client_id == "gd1gain"


@every_form
@both_modes
async def test_C52_I03_a_moved_stop_never_leaves_its_position_naked_and_stays_one(
    bench: Bench, hedge: bool, form: PlanForm
) -> None:
    async with stand(bench, hedge=hedge) as on:
        able(on, CAPABILITY[form])
        able(on, "modify_protection")
        key = on.long(on.btc)
        on.hold(key, 5)
        await on.send(on.stop(key, form=form, hundredths=hundredths_of(form)), "gd1first")
        (placed,) = await on.plans()
        rows = len(on.exchange.ledger.rows())
        better = on.against(key, 2)
        accepted(await on.send(moved(on, key, placed.order_id, better, form), "gd1move"))
        lived = [row.details["live"] for row in on.exchange.ledger.rows(uid=UID)[rows:] if "live" in row.details]
        assert lived
        assert lived[0], "the old stop ended before the new one stood"
        (read,) = await on.plans()
        assert (read.trigger_price, read.form, read.key) == (better, form, key)
        assert [plan.trigger_price for plan in stops_of(on, key)] == [better]


@every_form
async def test_C53_a_stop_is_cancelled_by_its_id_and_a_second_time_it_is_gone(bench: Bench, form: PlanForm) -> None:
    async with stand(bench) as on:
        able(on, CAPABILITY[form])
        key, other = on.long(on.btc), on.short(on.eth)
        on.hold(key, 5)
        on.hold(other, 5)
        on.protect(other, PlanKind.STOP_LOSS, on.against(other, 5))
        await on.send(on.stop(key, form=form, hundredths=hundredths_of(form)))
        (placed,) = [plan for plan in await on.plans() if plan.key == key]
        accepted(await on.send(on.cancel(key, placed.order_id)))
        assert on.live_plans(key) == []
        assert len(on.live_plans(other)) == 1
        on.denied(await on.send(on.cancel(key, placed.order_id)), Denial.UNKNOWN_ORDER)


@every_form
@both_sides
@both_modes
async def test_C54_a_stop_that_fires_closes_and_its_child_order_is_found_by_the_stops_id(
    bench: Bench, hedge: bool, side: str, form: PlanForm
) -> None:
    async with stand(bench, hedge=hedge) as on, on.listening([on.btc]):
        able(on, CAPABILITY[form])
        key = key_of(on, side)
        on.hold(key, 5)
        await on.send(on.stop(key, form=form, hundredths=hundredths_of(form)))
        (placed,) = await on.plans()
        on.set_price(on.btc, on.against(key, 6))
        closed = 3 if form is PlanForm.SIZED else 5
        assert on.held(key) == 5 - closed
        report = await on.found(key, order_id=placed.order_id)
        assert (report.filled, report.live) == (on.size(key, closed), False)
        await until(lambda: any(push.update.plan_order_id == placed.order_id for push in on.of(OrderPushed)))
        children = [push.update for push in on.of(OrderPushed) if push.update.plan_order_id == placed.order_id]
        assert {(update.key, update.closes) for update in children} == {(key, True)}
        await until(lambda: any(push.update.filled == on.size(key, closed) for push in on.of(OrderPushed)))
        assert await on.plans() == ()


@pytest.mark.parametrize("form", [PlanForm.WHOLE, PlanForm.SIZED])
async def test_C55_a_stop_that_failed_at_its_trigger_reaches_the_guard_and_is_not_taken_for_a_close(
    bench: Bench, form: PlanForm
) -> None:
    async with stand(bench) as on, on.listening([on.btc]):
        able(on, CAPABILITY[form])
        key = on.long(on.btc)
        on.hold(key, 5)
        await on.send(on.stop(key, form=form, hundredths=hundredths_of(form)))
        (placed,) = await on.plans()
        (plan,) = on.live_plans(key)
        on.faults.add(FaultKind.PLAN_FAILS)
        on.set_price(on.btc, on.against(key, 6))
        assert on.held(key) == 5
        assert on.exchange.query.plan(UID, plan_id=plan.plan_id).status is PlanStatus.FAILED
        await until(lambda: any(_failed(push, placed.order_id) for push in on.of(OrderPushed)))
        assert await on.plans() == ()
        report = await on.find(key, order_id=placed.order_id)
        assert report is None or (report.filled, report.live) == (0, False)
        (position,) = (await on.venue.positions()).positions
        assert position.quantity == on.size(key, 5)


def _failed(push: OrderPushed, order_id: str) -> bool:
    update = push.update
    return order_id in (update.order_id, update.plan_order_id) and not update.live and update.filled == 0


@both_modes
async def test_C56_I13_the_owners_take_profit_outlives_the_placing_moving_and_ending_of_our_stop(
    bench: Bench, hedge: bool
) -> None:
    async with stand(bench, hedge=hedge) as on:
        able(on, "whole_position_protection")
        key = on.long(on.btc)
        on.hold(key, 5)
        theirs = on.protect(key, PlanKind.TAKE_PROFIT, on.against(key, -5), source=PriceSource.LAST)

        def untouched() -> bool:
            profits = [plan for plan in on.live_plans(key) if plan.kind is PlanKind.TAKE_PROFIT]
            kept = [(each.trigger_price, each.source, each.size) for each in profits]
            return kept == [(theirs.trigger_price, theirs.source, None)]

        accepted(await on.send(on.stop(key)))
        assert untouched()
        (stop,) = [plan for plan in await on.plans() if plan.protection is ProtectionKind.STOP_LOSS]
        if on.venue.capabilities.modify_protection:
            accepted(await on.send(moved(on, key, stop.order_id, on.against(key, 3), PlanForm.WHOLE)))
            assert untouched()
            assert [plan.trigger_price for plan in stops_of(on, key)] == [on.against(key, 3)]
        (stop,) = [plan for plan in await on.plans() if plan.protection is ProtectionKind.STOP_LOSS]
        accepted(await on.send(on.cancel(key, stop.order_id)))
        assert untouched()
        assert stops_of(on, key) == []


async def test_C57_I13_the_owners_own_stop_is_not_changed_by_ours_beside_it(bench: Bench) -> None:
    async with stand(bench) as on:
        able(on, "sized_protection")
        key = on.long(on.btc)
        on.hold(key, 5)
        theirs = on.protect(key, PlanKind.STOP_LOSS, on.against(key, 7), 2)
        accepted(await on.send(on.stop(key, on.against(key, 4), form=PlanForm.SIZED, hundredths=2)))
        triggers = {plan.plan_id: plan.trigger_price for plan in stops_of(on, key)}
        assert len(triggers) == 2
        assert triggers[theirs.plan_id] == on.against(key, 7)


async def test_C58_a_second_whole_position_stop_is_taken_or_known_as_existing_and_never_replaces_the_first(
    bench: Bench,
) -> None:
    async with stand(bench) as on:
        able(on, "whole_position_protection")
        key = on.long(on.btc)
        on.hold(key, 5)
        accepted(await on.send(on.stop(key, on.against(key, 5))))
        second = await on.send(on.stop(key, on.against(key, 3)))
        triggers = sorted(plan.trigger_price for plan in stops_of(on, key))
        if on.venue.capabilities.several_whole_stops:
            accepted(second)
            assert triggers == [on.against(key, 5), on.against(key, 3)]
        else:
            on.denied(second, Denial.STOP_TWICE)
            assert triggers == [on.against(key, 5)]


async def test_C59_a_stop_right_after_the_fill_stands_as_soon_as_the_venue_takes_one(bench: Bench) -> None:
    """Some venues show a position before they let a stop rest on it: that refusal is passing, and never the end of it."""
    needs(bench, Trait.LATE_POSITION)
    assert bench.late_position is not None
    async with stand(bench) as on:
        bench.late_position(on.exchange)
        key = on.long(on.btc)
        on.hold(key, 5)
        outcomes: list[Outcome] = []
        async with asyncio.timeout(8):
            while not isinstance(outcome := await on.send(on.stop(key), "gd1race"), Accepted):
                assert isinstance(outcome, Rejected), outcome
                assert outcome.reason not in {Reason.INVALID, Reason.UNSUPPORTED, Reason.OTHER}, outcome
                outcomes.append(outcome)
                await asyncio.sleep(0.1)
        assert len(stops_of(on, key)) == 1


async def test_C60_a_stop_whose_price_has_passed_is_refused_as_that(bench: Bench) -> None:
    async with stand(bench) as on:
        key = on.long(on.btc)
        on.hold(key, 5)
        on.denied(await on.send(on.stop(key, on.against(key, -1))), Denial.STOP_PASSED)
        assert on.live_plans() == []


@pytest.mark.parametrize("form", [PlanForm.WHOLE, PlanForm.SIZED])
@both_modes
async def test_C61_a_stop_without_a_position_is_refused_and_nothing_rests(
    bench: Bench, hedge: bool, form: PlanForm
) -> None:
    async with stand(bench, hedge=hedge) as on:
        able(on, CAPABILITY[form])
        key = on.long(on.btc)
        write = on.stop(key, form=form, hundredths=hundredths_of(form))
        on.denied(await on.send(write), Denial.STOP_WITHOUT_POSITION)
        assert on.live_plans() == []


async def test_C62_a_sized_stop_larger_than_the_position_is_refused(bench: Bench) -> None:
    async with stand(bench) as on:
        able(on, "sized_protection")
        key = on.long(on.btc)
        on.hold(key, 5)
        write = on.stop(key, form=PlanForm.SIZED, hundredths=6)
        on.denied(await on.send(write), Denial.STOP_LARGER_THAN_HELD)
        assert on.live_plans() == []


@both_modes
async def test_C63_a_whole_position_stop_covers_what_was_added_after_it(bench: Bench, hedge: bool) -> None:
    async with stand(bench, hedge=hedge) as on:
        able(on, "whole_position_protection")
        key = on.short(on.btc)
        on.hold(key, 5)
        accepted(await on.send(on.stop(key)))
        on.hold(key, 3)
        on.set_price(on.btc, on.against(key, 6))
        assert on.held(key) == 0


@both_sides
@both_modes
async def test_C64_I02_a_sized_stop_that_fires_on_a_smaller_or_turned_position_opens_nothing(
    bench: Bench, hedge: bool, side: str
) -> None:
    async with stand(bench, hedge=hedge) as on:
        able(on, "sized_protection")
        key = key_of(on, side)
        turned = PositionKey(key.account, key.symbol, key.side.opposite)
        on.hold(key, 5)
        accepted(await on.send(on.stop(key, form=PlanForm.SIZED, hundredths=5)))
        on.lessen(key, 5)
        on.hold(turned, 1)
        on.set_price(on.btc, on.against(key, 6))
        assert on.held(key) == 0
        assert on.held(turned) == 1


@every_form
async def test_C65_after_our_close_the_stop_that_is_left_can_be_cancelled_by_its_id(
    bench: Bench, form: PlanForm
) -> None:
    async with stand(bench) as on:
        able(on, CAPABILITY[form])
        key = on.long(on.btc)
        on.hold(key, 5)
        await on.send(on.stop(key, form=form, hundredths=hundredths_of(form)))
        accepted(await on.send(on.close(key, 5)))
        for plan in await on.plans():
            accepted(await on.send(on.cancel(key, plan.order_id)))
        assert on.live_plans() == []


@both_sides
@both_modes
async def test_C68_the_tranches_of_a_ladder_rest_side_by_side_and_the_one_that_fires_leaves_the_others(
    bench: Bench, hedge: bool, side: str
) -> None:
    async with stand(bench, hedge=hedge) as on:
        able(on, "sized_protection")
        key = key_of(on, side)
        on.hold(key, 6)
        rungs = [("gd1near", 3, 2), ("gd1far", 6, 4), ("gd1gain", -3, 1), ("gd1more", -6, 5)]
        for name, percent, hundredths in rungs:
            stop = percent > 0
            write = on.stop(
                key,
                on.against(key, percent),
                form=PlanForm.SIZED,
                hundredths=hundredths,
                kind=ProtectionKind.STOP_LOSS if stop else ProtectionKind.TAKE_PROFIT,
                price_type=PriceType.MARK if stop else PriceType.LAST,
            )
            accepted(await on.send(write, name))
        listed = {plan.client_id: (plan.trigger_price, plan.size) for plan in await on.plans()}
        expected = {name: (on.against(key, percent), on.size(key, size)) for name, percent, size in rungs}
        assert listed == expected
        on.set_price(on.btc, on.against(key, -4))
        assert on.held(key) == 5
        assert {plan.client_id for plan in await on.plans()} == {"gd1near", "gd1far", "gd1more"}
        on.set_price(on.btc, on.against(key, 8))
        assert on.held(key) == 3
        assert {plan.client_id for plan in await on.plans()} == {"gd1far", "gd1more"}


@both_sides
async def test_C69_I03_a_tranche_is_given_another_size_in_its_place_or_beside_the_old_one_until_that_ends(
    bench: Bench, side: str
) -> None:
    async with stand(bench) as on:
        able(on, "sized_protection")
        key = key_of(on, side)
        on.hold(key, 6)
        for name, percent, hundredths in (("gd1first", 3, 3), ("gd1second", 6, 3)):
            write = on.stop(key, on.against(key, percent), form=PlanForm.SIZED, hundredths=hundredths)
            accepted(await on.send(write, name))
        on.lessen(key, 2)
        (old,) = [plan for plan in await on.plans() if plan.client_id == "gd1second"]
        if on.venue.capabilities.modify_size:
            write = moved(on, key, old.order_id, on.against(key, 6), PlanForm.SIZED)
            accepted(await on.send(replace(write, size=on.size(key, 1)), "gd1smaller"))
        else:
            beside = on.stop(key, on.against(key, 6), form=PlanForm.SIZED, hundredths=1)
            accepted(await on.send(beside, "gd1smaller"))
            assert len(stops_of(on, key)) == 3
            accepted(await on.send(on.cancel(key, old.order_id)))
        left = {(plan.trigger_price, plan.size) for plan in await on.plans()}
        assert left == {(on.against(key, 3), on.size(key, 3)), (on.against(key, 6), on.size(key, 1))}


@pytest.mark.parametrize("places", [0, 1])
async def test_C66_a_trigger_on_the_finest_tick_rests_to_the_last_digit(bench: Bench, places: int) -> None:
    async with stand(bench) as on:
        for symbol in (on.btc, on.eth):
            key = on.long(symbol)
            on.hold(key, 5)
            tick = on.exchange.query.contract(symbol).tick
            trigger = on.against(key, 5) + tick * (1 + places)
            accepted(await on.send(on.stop(key, trigger)))
            assert [plan.trigger_price for plan in on.live_plans(key)] == [trigger]
            assert trigger in {plan.trigger_price for plan in await on.plans()}


async def test_C67_the_acceptance_of_a_stop_names_it_or_its_client_id_does(bench: Bench) -> None:
    async with stand(bench) as on:
        key = on.long(on.btc)
        on.hold(key, 5)
        order_id = order_id_of(await on.send(on.stop(key), "gd1named"))
        (plan,) = await on.plans()
        assert plan.order_id == order_id
        report = await on.found(key, "gd1named")
        assert (report.order_id, report.filled, report.live) == (order_id, 0, True)
