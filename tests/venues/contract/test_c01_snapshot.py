"""C01-C19: what an adapter reads is what the exchange holds. Milestones "public reads" and "signed reads"."""

from decimal import Decimal

import pytest

from guardd.errors import CredentialsError, VenueError
from guardd.model.event import Source
from guardd.model.instrument import Instrument
from guardd.model.intent import CancelKind, ModifyProtection
from guardd.model.names import MarginMode, OrderId, PositionMode, PriceType
from guardd.model.order import Direction, PlanForm, ProtectionKind
from guardd.model.position import Position
from guardd.model.reading import Reading, is_value
from guardd.simulator.contracts import ContractStatus
from guardd.simulator.faults import FaultKind
from guardd.simulator.orders import Direction as EngineDirection
from guardd.simulator.orders import PlanKind, PlanRequest, PriceSource
from guardd.simulator.orders import Side as OrderSide
from guardd.simulator.records import PositionView
from guardd.venues.base import Venue
from tests.changed import replace
from tests.venues.contract.bench import Bench, Keys, Trait
from tests.venues.contract.stand import MAIN, UID, Stand, needs, stand

both_modes = pytest.mark.parametrize("hedge", [True, False], ids=["hedge", "one_way"])
both_margins = pytest.mark.parametrize("isolated", [True, False], ids=["isolated", "cross"])
CENT = Decimal("0.01")


def near(reading: Reading, expected: Decimal, within: Decimal = CENT) -> bool:
    return is_value(reading) and abs(reading - expected) <= within


def agrees(position: Position, view: PositionView) -> None:
    """Field by field, the exchange's view of the same moment."""
    assert position.quantity == view.size
    assert near(position.entry_price, view.entry_price, view.entry_price / 10_000)
    assert position.margin_mode.value == view.margin_mode.value
    assert position.leverage == view.leverage
    assert position.mark_price == view.mark_price
    assert near(position.notional, view.notional_mark, view.notional_mark / 1_000)
    assert near(position.unrealized_pnl, view.unrealized_pnl)
    assert position.opened_ms is None or abs(position.opened_ms - view.opened_ms) <= 1_000


async def test_C01_an_adapter_is_a_venue_and_says_which_and_what_it_can(bench: Bench) -> None:
    async with stand(bench) as on:
        venue: Venue = on.venue
        assert (venue.name, venue.family) == (bench.venue, bench.family)
        can = venue.capabilities
        assert can.lookup_delay_s > 0, "absence is never believed at once (I7)"
        assert can.whole_position_protection or can.sized_protection or can.plan_protection


@both_margins
@both_modes
async def test_C02_every_open_position_is_read_as_the_exchange_holds_it(
    bench: Bench, hedge: bool, isolated: bool
) -> None:
    async with stand(bench, hedge=hedge, isolated=isolated) as on:
        keys = [on.long(on.btc), on.short(on.eth), *([on.short(on.btc)] if hedge else [])]
        for number, key in enumerate(keys, start=5):
            on.hold(key, number)
        on.set_price(on.btc, on.away(on.btc, 1))
        read = await on.venue.positions()
        assert read.started.mono_ns <= read.at.mono_ns
        held = {position.key: position for position in read.positions}
        assert set(held) == set(keys)
        for key in keys:
            view = on.view(key)
            assert view is not None
            agrees(held[key], view)


async def test_C03_an_isolated_position_brings_its_margin_and_its_liquidation_price(bench: Bench) -> None:
    async with stand(bench, isolated=True) as on:
        for key in (on.long(on.btc), on.short(on.eth)):
            on.hold(key, 5)
        for position in (await on.venue.positions()).positions:
            view = on.view(position.key)
            assert view is not None
            assert near(position.margin, view.margin, view.margin / 100)
            assert view.liquidation_price is not None
            assert near(position.liquidation_price, view.liquidation_price, view.liquidation_price / 500)


async def test_C04_a_cross_position_has_a_liquidation_price_or_none_and_never_a_number_that_means_nothing(
    bench: Bench,
) -> None:
    async with stand(bench, isolated=False) as on:
        key = on.long(on.btc)
        on.hold(key, 5)
        (position,) = (await on.venue.positions()).positions
        assert position.margin_mode is MarginMode.CROSS
        price = position.liquidation_price
        assert not is_value(price) or 0 < price < on.mark(on.btc)
        view = on.view(key)
        assert view is not None
        if on.venue.capabilities.cross_liquidation_price and view.liquidation_price is not None:
            assert near(price, view.liquidation_price, view.liquidation_price / 50)


async def test_C05_a_partly_closed_position_is_read_with_what_is_left(bench: Bench) -> None:
    async with stand(bench) as on:
        key = on.long(on.btc)
        on.hold(key, 10)
        on.lessen(key, 4)
        (position,) = (await on.venue.positions()).positions
        assert position.quantity == on.size(key, 6)


async def test_C06_a_flat_account_reads_as_empty_and_not_as_an_error(bench: Bench) -> None:
    async with stand(bench) as on:
        assert (await on.venue.positions()).positions == ()
        read = await on.venue.orders()
        assert (read.resting, read.plans) == ((), ())


@both_margins
async def test_C07_what_stands_behind_the_positions_is_read_with_unrealised_profit_in_it(
    bench: Bench, isolated: bool
) -> None:
    async with stand(bench, isolated=isolated) as on:
        on.hold(on.long(on.btc), 5)
        on.set_price(on.btc, on.away(on.btc, 2))
        pooled = Trait.POOLED_BALANCE in bench.traits
        wallet, pool = on.exchange.query.balance(UID), on.exchange.query.pool(UID) if pooled else None
        equity, unrealized = (wallet.equity, wallet.unrealized) if pool is None else (pool.effective, pool.unrealized)
        balances = await on.venue.balances()
        first = balances[0]
        assert len({each.currency for each in balances}) == len(balances)
        assert first.pooled is pooled
        assert first.currency == ("USD" if first.pooled else bench.settle)
        assert near(first.equity, equity, equity / 1_000)
        assert near(first.unrealized_pnl, unrealized, Decimal("0.1"))
        assert 0 < first.available <= equity


async def test_C08_contracts_that_settle_in_a_second_coin_are_read_with_their_own_balance(bench: Bench) -> None:
    needs(bench, Trait.SECOND_SETTLEMENT_COIN)
    assert bench.second_coin is not None
    async with stand(bench) as on:
        keys = {on.long(on.btc), on.short(bench.second_coin)}
        for key in keys:
            on.hold(key, 5)
        assert {position.key for position in (await on.venue.positions()).positions} == keys
        (other,) = await on.venue.instruments([bench.second_coin])
        assert other.settle == bench.second_settle
        currencies = {each.currency for each in await on.venue.balances()}
        pooled = Trait.POOLED_BALANCE in bench.traits
        assert currencies == ({"USD"} if pooled else {bench.settle, bench.second_settle})


@both_modes
async def test_C09_the_position_mode_is_read(bench: Bench, hedge: bool) -> None:
    async with stand(bench, hedge=hedge) as on:
        assert await on.venue.position_mode() is (PositionMode.HEDGE if hedge else PositionMode.ONE_WAY)


@both_modes
async def test_C10_resting_orders_are_read_with_the_position_that_they_open_or_close(bench: Bench, hedge: bool) -> None:
    async with stand(bench, hedge=hedge) as on:
        key, entry = on.long(on.btc), on.short(on.eth)
        on.hold(key, 5)
        close = on.rest(key, 2, on.away(on.btc, 5), closes=True)
        opening = on.rest(entry, 3, on.away(on.eth, 5), closes=False)
        read = {order.order_id: order for order in await on.resting()}
        assert set(read) == {close.order_id, opening.order_id}
        for order, expected, closes in ((read[close.order_id], key, True), (read[opening.order_id], entry, False)):
            assert (order.key, order.closes, order.filled) == (expected, closes, 0)
        assert (read[close.order_id].size, read[close.order_id].price) == (on.size(key, 2), on.away(on.btc, 5))


@both_modes
@pytest.mark.parametrize("hundredths", [None, 3], ids=["whole", "sized"])
async def test_C11_the_owners_stops_and_take_profits_are_read_as_what_they_are_to_the_position(
    bench: Bench, hedge: bool, hundredths: int | None
) -> None:
    async with stand(bench, hedge=hedge) as on:
        key = on.short(on.btc)
        on.hold(key, 5)
        stop = on.protect(key, PlanKind.STOP_LOSS, on.against(key, 5), hundredths)
        profit = on.protect(key, PlanKind.TAKE_PROFIT, on.against(key, -5), hundredths, PriceSource.LAST)
        read = {plan.protection: plan for plan in await on.plans()}
        assert set(read) == set(ProtectionKind)
        form = PlanForm.WHOLE if hundredths is None else PlanForm.SIZED
        size = None if hundredths is None else on.size(key, hundredths)
        for kind, plan, direction in (
            (ProtectionKind.STOP_LOSS, stop, Direction.RISES),
            (ProtectionKind.TAKE_PROFIT, profit, Direction.FALLS),
        ):
            found = read[kind]
            assert (found.key, found.closes) == (key, True)
            if Trait.FORM_IS_NOT_LISTED not in bench.traits:
                assert (found.form, found.size) == (form, size)
            else:
                assert found.size in (None, size or on.size(key, 5))
            assert (found.trigger_price, found.direction) == (plan.trigger_price, direction)
            assert found.price_type is (PriceType.MARK if plan.source is PriceSource.MARK else PriceType.LAST)
            assert found.execution_price is None


async def test_C12_a_conditional_entry_is_never_taken_for_protection(bench: Bench) -> None:
    async with stand(bench) as on:
        on.hold(on.long(on.btc), 5)
        request = PlanRequest(
            symbol=on.btc,
            kind=PlanKind.CONDITIONAL,
            side=OrderSide.BUY,
            reduce=False,
            trigger_price=on.away(on.btc, -5),
            direction=EngineDirection.FALL,
            size=on.size(on.long(on.btc), 1),
        )
        on.owned.add(on.exchange.place_plan(UID, request, on.server.now_ms()).plan_id)
        for plan in await on.plans():
            assert (plan.protection, plan.closes, plan.key) == (None, False, on.long(on.btc))


async def test_C13_a_list_that_was_not_asked_for_is_absent_and_not_empty(bench: Bench) -> None:
    async with stand(bench) as on:
        assert (await on.venue.orders(resting=False)).resting is None
        assert (await on.venue.orders(plans=False)).plans is None


async def test_C14_the_mark_is_read_and_the_last_price_is_never_taken_for_it(bench: Bench) -> None:
    async with stand(bench) as on:
        mark = on.away(on.btc, "0.5")
        last = on.away(on.btc, -2)
        on.exchange.move(on.btc, mark=mark, last=last, now_ms=on.server.now_ms())
        seen = await on.venue.mark(on.btc)
        assert (seen.symbol, seen.mark, seen.source) == (on.btc, mark, Source.REST)
        with pytest.raises(VenueError):
            await on.venue.mark(bench.unknown)


async def test_C15_contracts_bring_their_units_bounds_fee_and_every_margin_tier(bench: Bench) -> None:
    async with stand(bench) as on:
        symbols = [on.btc, on.eth]
        early: list[Instrument] = []
        whole = await on.venue.instruments(symbols, early=early.extend)
        assert early == [
            replace(each, tiers=()) for each in whole
        ]  # a stop takes no tiers, which cost a call each (I10)
        for found in whole:
            listed = on.exchange.query.contract(found.symbol)
            assert (found.base, found.settle, found.contract_size) == (listed.base, listed.quote, listed.contract_size)
            assert (found.tick, found.step, found.min_size) == (listed.tick, listed.step, listed.min_size)
            assert found.max_market_size == listed.max_market_size
            assert found.max_limit_size == listed.max_limit_size
            assert (found.max_leverage, found.taker_fee) == (listed.max_leverage, listed.taker_fee)
            assert found.tradable
            assert found.unguarded == ""
            assert len(found.tiers) == len(listed.tiers)
            for tier, expected in zip(found.tiers, listed.tiers, strict=True):
                assert (tier.floor, tier.rate, tier.deduction) == (expected.floor, expected.rate, expected.deduction)
                assert tier.max_leverage == expected.max_leverage


async def test_C119_margin_tiers_that_make_no_sense_keep_no_contract_from_its_stop(bench: Bench) -> None:
    async with stand(bench) as on:
        tiers = on.exchange.query.contract(on.btc).tiers
        odd = tuple(replace(each, rate=each.rate + 1) for each in tiers)
        on.exchange.set_tiers(on.btc, odd, on.server.now_ms())
        found = {each.symbol: each for each in await on.venue.instruments([on.btc, on.eth])}
        assert (found[on.btc].tiers, found[on.btc].unguarded) == ((), "")
        assert found[on.eth].tiers
        on.exchange.set_tiers(on.btc, tiers, on.server.now_ms())
        (found_again,) = await on.venue.instruments([on.btc])
        assert found_again.tiers


async def test_C16_what_the_venue_does_not_list_is_left_out_and_a_delisted_contract_is_not_tradable(
    bench: Bench,
) -> None:
    async with stand(bench) as on:
        on.exchange.set_status(on.eth, ContractStatus.DELISTED, on.server.now_ms())
        found = {each.symbol: each for each in await on.venue.instruments([bench.unknown, on.btc, on.eth])}
        assert set(found) == {on.btc, on.eth}
        assert (found[on.btc].tradable, found[on.eth].tradable) == (True, False)


async def test_C17_a_contract_that_can_not_be_guarded_is_shown_with_its_reason_and_nothing_is_sent_for_it(
    bench: Bench,
) -> None:
    needs(bench, Trait.UNGUARDED_CONTRACT)
    assert bench.unguarded is not None
    assert bench.hold_unguarded is not None
    async with stand(bench) as on:
        bench.hold_unguarded(on.server.dialect)
        on.hold(on.long(on.btc), 5)
        held = {position.key: position.quantity for position in (await on.venue.positions()).positions}
        assert set(held) == {on.long(on.btc), on.long(bench.unguarded)}
        assert all(quantity > 0 for quantity in held.values())
        (found,) = await on.venue.instruments([bench.unguarded])
        assert found.unguarded
        key = on.long(bench.unguarded)
        before = len(on.tap.requests)
        moved = ModifyProtection(
            key=key,
            order_id=OrderId("1"),
            kind=ProtectionKind.STOP_LOSS,
            form=PlanForm.WHOLE,
            trigger_price=Decimal(1),
            price_type=PriceType.MARK,
            size=None,
        )
        ended = [on.cancel(key, "1", kind) for kind in (CancelKind.PLAN, CancelKind.RESTING)]
        for write in (on.close(key, 1), on.stop(key, Decimal(1)), moved, *ended, on.leverage(key, 2)):
            outcome = await on.send(write)
            assert type(outcome).__name__ == "Rejected", outcome
        assert not [method for method, _ in on.tap.requests[before:] if method == "POST"]


@pytest.mark.parametrize("ahead_ms", [0, 90_000, -90_000])
async def test_C18_the_venues_clock_is_measured_and_its_stamps_are_taken_by_it(bench: Bench, ahead_ms: int) -> None:
    async with stand(bench, opened=False) as on:
        on.faults.add(FaultKind.CLOCK_OFFSET, offset_ms=ahead_ms)
        await on.venue.open()
        assert abs(await on.venue.clock_offset_ms() - ahead_ms) < 500
        on.hold(on.long(on.btc), 5)
        (position,) = (await on.venue.positions()).positions
        assert abs(position.venue_ms - on.exchange.now_ms) < 5_000


@pytest.mark.parametrize(
    "keys",
    [
        Keys(key="nobody", secret=MAIN.secret, passphrase=MAIN.passphrase),
        Keys(key=MAIN.key, secret="mistaken-secret", passphrase=MAIN.passphrase),
        Keys(key=MAIN.key, secret=MAIN.secret, passphrase="mistaken-words"),
    ],
    ids=["key", "secret", "passphrase"],
)
async def test_C19_a_key_is_proved_by_a_call_that_changes_nothing_and_a_wrong_one_is_named_as_such(
    bench: Bench, keys: Keys
) -> None:
    async with stand(bench) as on:
        rows = len(on.exchange.ledger.rows())
        await on.venue.prove_key()
        assert len(on.exchange.ledger.rows()) == rows
    async with stand(bench, keys=keys, opened=False, speed=4) as on:
        with pytest.raises(CredentialsError) as refused:
            await at_the_door(on)
        assert keys.secret not in str(refused.value)


async def at_the_door(on: Stand) -> None:
    """Some venues refuse a key when the family of its account is asked for, some at the first signed call."""
    await on.venue.open()
    await on.venue.prove_key()
