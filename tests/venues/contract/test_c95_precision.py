"""C95-C99: grids and bounds (I18). Milestone "closes"."""

from decimal import Decimal

import pytest

from guardd.errors import InvariantBroken
from guardd.model.intent import Write
from guardd.model.order import PlanForm
from guardd.model.outcome import Reason, Rejected
from guardd.simulator.orders import OrderKind, OrderRequest
from guardd.simulator.orders import Side as OrderSide
from tests.changed import replace
from tests.venues.contract.bench import Bench, Denial
from tests.venues.contract.stand import UID, Stand, accepted, stand


async def never_sent_as_something_else(on: Stand, write: Write) -> None:
    """What isn't on the grid is a fault of ours: it is refused here or there, and never rounded on the way."""
    orders, plans = on.fills(), on.live_plans()
    try:
        outcome = await on.send(write)
    except InvariantBroken as broken:
        outcome = Rejected(reason=Reason.PRECISION, code=broken.invariant, text=broken.detail)
    on.denied(outcome, Denial.OFF_GRID)
    assert (on.fills(), on.live_plans()) == (orders, plans)


async def test_C95_I18_a_size_off_the_step_is_never_sent_as_another(bench: Bench) -> None:
    async with stand(bench) as on:
        key = on.long(on.btc)
        on.hold(key, 5)
        step = on.exchange.query.contract(on.btc).step
        await never_sent_as_something_else(on, replace(on.close(key, 3), size=on.size(key, 3) + step / 2))
        if on.venue.capabilities.sized_protection:
            stop = on.stop(key, form=PlanForm.SIZED, hundredths=3)
            await never_sent_as_something_else(on, replace(stop, size=on.size(key, 3) + step / 2))


async def test_C96_I18_a_trigger_off_the_tick_is_never_sent_as_another(bench: Bench) -> None:
    async with stand(bench) as on:
        key = on.long(on.btc)
        on.hold(key, 5)
        tick = on.exchange.query.contract(on.btc).tick
        await never_sent_as_something_else(on, on.stop(key, on.against(key, 5) + tick / 2))


async def test_C97_the_smallest_size_of_every_contract_is_closed_to_the_last_digit(bench: Bench) -> None:
    async with stand(bench) as on:
        for listed in on.exchange.query.contracts():
            if listed.symbol not in bench.hundredth:
                continue
            key = on.long(listed.symbol)  # type: ignore[arg-type]
            on.hold(key, 5)
            smallest = max(listed.min_size, listed.step)
            accepted(await on.send(replace(on.close(key, 1), size=smallest)))
            view = on.view(key)
            assert view is not None
            assert view.size == on.size(key, 5) - smallest


async def test_C98_the_largest_market_order_goes_and_one_step_more_is_refused(bench: Bench) -> None:
    async with stand(bench, isolated=False, deposit=100_000_000) as on:
        (known,) = await on.venue.instruments([on.eth])
        listed = on.exchange.query.contract(on.eth)
        assert known.max_market_size == listed.max_market_size
        on.exchange.set_leverage(UID, on.eth, on.server.now_ms(), leverage=Decimal(5))
        for _ in range(2):
            order = OrderRequest(symbol=on.eth, side=OrderSide.BUY, size=listed.max_market_size, kind=OrderKind.MARKET)
            on.owned.add(on.exchange.place(UID, order, on.server.now_ms()).order_id)
        key = on.long(on.eth)
        over = replace(on.close(key, 1), size=listed.max_market_size + listed.step)
        on.denied(await on.send(over), Denial.ABOVE_MARKET_MAXIMUM)
        for _ in range(2):
            accepted(await on.send(replace(over, size=listed.max_market_size)))
        assert on.view(key) is None


@pytest.mark.parametrize("share", ["0.5"])
async def test_C99_dust_below_the_smallest_size_is_closed_or_refused_as_that(bench: Bench, share: str) -> None:
    async with stand(bench) as on:
        key = on.long(on.btc)
        on.hold(key, 5)
        listed = on.exchange.query.contract(on.btc)
        held = on.size(key, 5)
        # The venue raised its smallest size since the position was opened.
        on.exchange.set_contract(replace(listed, min_size=held / Decimal(share)), on.server.now_ms())
        outcome = await on.send(on.close(key, 5))
        if isinstance(outcome, Rejected):
            on.denied(outcome, Denial.BELOW_MINIMUM)
            assert on.held(key) == 5
        else:
            accepted(outcome)
            assert on.held(key) == 0
