"""C70-C89: taking from a position, and never adding to one, whatever is asked. Milestone "closes"."""

from decimal import Decimal

from guardd.model.intent import CancelKind
from guardd.model.names import PositionKey, PositionMode
from guardd.model.outcome import Accepted, Outcome, Rejected
from guardd.simulator.faults import FaultKind
from guardd.simulator.ledger import RowKind
from tests.venues.contract.bench import Bench, Denial, Trait
from tests.venues.contract.stand import UID, Stand, accepted, needs, stand, until
from tests.venues.contract.test_c01_snapshot import both_margins, both_modes
from tests.venues.contract.test_c50_stops import both_sides, key_of


def opposite(key: PositionKey) -> PositionKey:
    return PositionKey(key.account, key.symbol, key.side.opposite)


def exposure(on: Stand) -> dict[tuple[str, str], Decimal]:
    return {(view.symbol, view.side.value): view.size for view in on.exchange.query.positions(UID)}


def nothing_opened(on: Stand, before: dict[tuple[str, str], Decimal]) -> None:
    after = exposure(on)
    assert all(size <= before.get(leg, Decimal(0)) for leg, size in after.items()), (before, after)
    opening = [order for order in on.exchange.query.open_orders(UID) if not order.reduce]
    assert opening == []


@both_sides
@both_margins
@both_modes
async def test_C70_I30_a_whole_close_leaves_the_position_flat_by_a_close_only_order(
    bench: Bench, hedge: bool, isolated: bool, side: str
) -> None:
    async with stand(bench, hedge=hedge, isolated=isolated) as on:
        key = key_of(on, side)
        on.hold(key, 5)
        accepted(await on.send(on.close(key, 5), "gd1whole"))
        assert exposure(on) == {}
        assert (await on.venue.positions()).positions == ()
        (order,) = [each for each in on.exchange.query.order_history(UID) if each.client_id == "gd1whole"]
        assert (order.reduce, order.position_side.value, order.size) == (True, side, on.size(key, 5))


@both_sides
@both_margins
@both_modes
async def test_C71_a_reduction_takes_what_it_names_and_no_more(
    bench: Bench, hedge: bool, isolated: bool, side: str
) -> None:
    async with stand(bench, hedge=hedge, isolated=isolated) as on:
        key = key_of(on, side)
        on.hold(key, 5)
        accepted(await on.send(on.close(key, 2)))
        assert on.held(key) == 3
        (position,) = (await on.venue.positions()).positions
        assert (position.key, position.quantity) == (key, on.size(key, 3))


@both_sides
async def test_C72_a_close_of_one_leg_leaves_the_other_as_it_is(bench: Bench, side: str) -> None:
    async with stand(bench, hedge=True) as on:
        key = key_of(on, side)
        on.hold(key, 5)
        on.hold(opposite(key), 4)
        accepted(await on.send(on.close(key, 5)))
        assert (on.held(key), on.held(opposite(key))) == (0, 4)


@both_sides
@both_margins
@both_modes
async def test_C73_I02_a_close_larger_than_what_is_held_is_refused_or_cut_and_never_turns_the_position(
    bench: Bench, hedge: bool, isolated: bool, side: str
) -> None:
    async with stand(bench, hedge=hedge, isolated=isolated) as on:
        key = key_of(on, side)
        on.hold(key, 5)
        before = exposure(on)
        outcome = await on.send(on.close(key, 7))
        nothing_opened(on, before)
        refused_or_cut(on, outcome, Denial.LARGER_THAN_HELD, left=on.held(key), of=5)


def refused_or_cut(on: Stand, outcome: Outcome, denial: Denial, *, left: Decimal, of: int) -> None:
    """The venue refuses and everything is there, or takes it and nothing is."""
    if Trait.REFUSES_OVERSIZED_CLOSES in on.bench.traits or isinstance(outcome, Rejected):
        on.denied(outcome, denial)
        assert left == of
    else:
        accepted(outcome)
        assert left == 0


@both_sides
@both_margins
@both_modes
async def test_C74_I02_a_close_of_nothing_is_refused_and_opens_nothing(
    bench: Bench, hedge: bool, isolated: bool, side: str
) -> None:
    async with stand(bench, hedge=hedge, isolated=isolated) as on:
        on.denied(await on.send(on.close(key_of(on, side), 5)), Denial.NOTHING_HELD)
        nothing_opened(on, {})


@both_sides
@both_margins
@both_modes
async def test_C75_I02_a_close_of_the_side_that_is_not_held_is_refused_and_opens_nothing(
    bench: Bench, hedge: bool, isolated: bool, side: str
) -> None:
    async with stand(bench, hedge=hedge, isolated=isolated) as on:
        key = key_of(on, side)
        on.hold(opposite(key), 5)
        before = exposure(on)
        on.denied(await on.send(on.close(key, 5)), Denial.WRONG_SIDE)
        assert exposure(on) == before
        nothing_opened(on, before)


@both_sides
@both_modes
async def test_C76_I30_a_close_in_the_wrong_position_modes_form_opens_nothing(
    bench: Bench, hedge: bool, side: str
) -> None:
    """The mode was switched by another hand a moment ago: what was right then must do no harm now."""
    async with stand(bench, hedge=hedge) as on:
        key = key_of(on, side)
        on.hold(key, 5)
        before = exposure(on)
        believed = PositionMode.ONE_WAY if hedge else PositionMode.HEDGE
        outcome = await on.send(on.close(key, 5), mode=believed)
        nothing_opened(on, before)
        if isinstance(outcome, Accepted):
            assert on.held(key) == 0
        else:
            assert isinstance(outcome, Rejected), outcome
            assert on.held(key) == 5
        assert isinstance(await on.send(on.close(opposite(key), 5), mode=believed), Rejected)
        nothing_opened(on, before)


@both_sides
@both_modes
async def test_C77_a_stop_in_the_wrong_position_modes_form_protects_or_is_refused(
    bench: Bench, hedge: bool, side: str
) -> None:
    async with stand(bench, hedge=hedge) as on:
        key = key_of(on, side)
        on.hold(key, 5)
        believed = PositionMode.ONE_WAY if hedge else PositionMode.HEDGE
        outcome = await on.send(on.stop(key), mode=believed)
        assert isinstance(outcome, Accepted | Rejected), outcome
        assert len(on.live_plans(key)) == isinstance(outcome, Accepted)
        assert on.live_plans(opposite(key)) == []


@both_modes
async def test_C78_resting_closes_that_hold_the_volume_are_named_and_cancelled_by_id_and_the_close_goes(
    bench: Bench, hedge: bool
) -> None:
    async with stand(bench, hedge=hedge) as on:
        key = on.long(on.btc)
        on.hold(key, 5)
        on.rest(key, 4, on.away(on.btc, 5), closes=True)
        outcome = await on.send(on.close(key, 5))
        if isinstance(outcome, Rejected):
            on.denied(outcome, Denial.VOLUME_HELD_BY_ORDERS)
            assert on.held(key) == 5
        for order in await on.resting():
            assert order.closes
            accepted(await on.send(on.cancel(key, order.order_id, CancelKind.RESTING)))
        if left := on.held(key):
            accepted(await on.send(on.close(key, left)))
        assert exposure(on) == {}


async def test_C79_an_order_is_cancelled_by_its_id_and_a_second_time_it_is_gone(bench: Bench) -> None:
    async with stand(bench) as on:
        key = on.long(on.btc)
        kept = on.rest(key, 2, on.away(on.btc, -6), closes=False)
        ended = on.rest(key, 2, on.away(on.btc, -5), closes=False)
        accepted(await on.send(on.cancel(key, ended.order_id, CancelKind.RESTING)))
        assert [order.order_id for order in on.exchange.query.open_orders(UID)] == [kept.order_id]
        on.denied(await on.send(on.cancel(key, ended.order_id, CancelKind.RESTING)), Denial.UNKNOWN_ORDER)


@both_sides
@both_modes
async def test_C80_a_close_at_a_price_is_done_at_once_or_not_at_all_and_never_rests(
    bench: Bench, hedge: bool, side: str
) -> None:
    async with stand(bench, hedge=hedge) as on:
        key = key_of(on, side)
        on.hold(key, 5)
        accepted(await on.send(on.close(key, 2, on.against(key, -2)), "gd1dear"))
        assert on.held(key) == 5
        assert on.exchange.query.open_orders(UID) == ()
        report = await on.found(key, "gd1dear")
        assert (report.filled, report.live) == (0, False)
        accepted(await on.send(on.close(key, 2, on.against(key, 2))))
        assert on.held(key) == 3


async def test_C81_a_close_that_fills_bit_by_bit_is_followed_to_its_end(bench: Bench) -> None:
    async with stand(bench) as on:
        key = on.long(on.btc)
        on.hold(key, 6)
        on.faults.add(FaultKind.PARTIAL_FILL, factor="0.5", delay_ms=400)
        on.server.pulse()
        accepted(await on.send(on.close(key, 6), "gd1bits"))
        report = await on.found(key, "gd1bits")
        assert report.live
        assert 0 < report.filled < on.size(key, 6)
        await until(lambda: on.held(key) == 0)
        report = await on.found(key, "gd1bits")
        assert (report.filled, report.live) == (on.size(key, 6), False)


async def test_C82_I02_a_close_sent_again_after_it_was_done_opens_nothing(bench: Bench) -> None:
    """A finished order's client id is free again at some venues: then only the position's end bounds the repetition."""
    async with stand(bench) as on:
        key = on.long(on.btc)
        on.hold(key, 5)
        accepted(await on.send(on.close(key, 5), "gd1once"))
        again = await on.send(on.close(key, 5), "gd1once")
        assert isinstance(again, Rejected), again
        nothing_opened(on, {})
        assert len(on.exchange.ledger.rows(uid=UID, kind=RowKind.ORDER_ACCEPTED)) == 2


async def test_C83_a_close_is_not_held_back_by_orders_that_open(bench: Bench) -> None:
    async with stand(bench) as on:
        key = on.long(on.btc)
        on.hold(key, 5)
        entry = on.rest(key, 3, on.away(on.btc, -5), closes=False)
        accepted(await on.send(on.close(key, 5)))
        assert on.held(key) == 0
        assert [order.order_id for order in on.exchange.query.open_orders(UID)] == [entry.order_id]


async def test_C84_a_close_goes_while_the_venue_takes_no_new_risk(bench: Bench) -> None:
    async with stand(bench) as on:
        key = on.long(on.btc)
        on.hold(key, 5)
        on.faults.add(FaultKind.CLOSING)
        accepted(await on.send(on.close(key, 5)))
        assert on.held(key) == 0


async def test_C85_a_closed_stop_and_take_profit_leave_the_other_contracts_alone(bench: Bench) -> None:
    async with stand(bench) as on:
        key, other = on.long(on.btc), on.long(on.eth)
        for each in (key, other):
            on.hold(each, 5)
            accepted(await on.send(on.stop(each)))
        accepted(await on.send(on.close(key, 5)))
        assert on.held(other) == 5
        assert len(on.live_plans(other)) == 1


@both_sides
@both_modes
async def test_C86_a_position_that_settles_in_a_second_coin_is_protected_reduced_and_closed_like_any_other(
    bench: Bench, hedge: bool, side: str
) -> None:
    needs(bench, Trait.SECOND_SETTLEMENT_COIN)
    assert bench.second_coin is not None
    async with stand(bench, hedge=hedge) as on:
        first = on.long(on.btc)
        key = on.long(bench.second_coin) if side == "long" else on.short(bench.second_coin)
        for each in (first, key):
            on.hold(each, 5)
        accepted(await on.send(on.stop(key)))
        assert [plan.protects for plan in on.live_plans(key)] == [True]
        assert [plan.key for plan in await on.plans()] == [key]
        accepted(await on.send(on.close(key, 2)))
        assert on.held(key) == 3
        accepted(await on.send(on.close(key, 3)))
        assert (on.held(key), on.held(first)) == (0, 5)
