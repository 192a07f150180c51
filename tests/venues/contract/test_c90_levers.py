"""C90-C94: leverage and margin. Milestone "closes"."""

import pytest

from guardd.model.outcome import Accepted, Rejected
from guardd.simulator.orders import PositionSide
from tests.venues.contract.bench import Bench, Denial
from tests.venues.contract.stand import UID, Stand, able, accepted, stand
from tests.venues.contract.test_c01_snapshot import both_margins, both_modes


def leverage_of(on: Stand, side: PositionSide) -> object:
    return on.exchange.query.settings(UID, on.btc).leverage(side)


@both_margins
@both_modes
async def test_C90_leverage_is_lowered_and_nothing_else_changes(bench: Bench, hedge: bool, isolated: bool) -> None:
    async with stand(bench, hedge=hedge, isolated=isolated) as on:
        able(on, "set_leverage")
        key = on.short(on.btc)
        on.hold(key, 5)
        before = on.exchange.query.settings(UID, on.btc)
        accepted(await on.send(on.leverage(key, 5)))
        assert leverage_of(on, PositionSide.SHORT) == 5
        assert on.exchange.query.settings(UID, on.btc).margin_mode is before.margin_mode
        (position,) = (await on.venue.positions()).positions
        assert (position.leverage, position.quantity) == (5, on.size(key, 5))


@both_margins
async def test_C91_the_leverage_that_stands_already_is_no_failure(bench: Bench, isolated: bool) -> None:
    async with stand(bench, isolated=isolated) as on:
        able(on, "set_leverage")
        on.hold(on.long(on.btc), 5)
        accepted(await on.send(on.leverage(on.long(on.btc), 10)))
        assert leverage_of(on, PositionSide.LONG) == 10


async def test_C92_a_leverage_that_the_contract_does_not_have_is_refused(bench: Bench) -> None:
    async with stand(bench) as on:
        able(on, "set_leverage")
        key = on.long(on.btc)
        on.hold(key, 5)
        highest = int(on.exchange.query.contract(on.btc).max_leverage)
        on.denied(await on.send(on.leverage(key, highest + 1)), Denial.LEVERAGE_OUT_OF_RANGE)
        assert leverage_of(on, PositionSide.LONG) == 10


@pytest.mark.parametrize("side", PositionSide)
async def test_C93_with_both_legs_open_the_leverage_of_the_named_one_is_lowered(
    bench: Bench, side: PositionSide
) -> None:
    async with stand(bench, hedge=True, isolated=True) as on:
        able(on, "set_leverage")
        on.hold(on.long(on.btc), 5)
        on.hold(on.short(on.btc), 5)
        key = on.long(on.btc) if side is PositionSide.LONG else on.short(on.btc)
        outcome = await on.send(on.leverage(key, 4))
        assert isinstance(outcome, Accepted | Rejected), outcome
        assert (leverage_of(on, side) == 4) is isinstance(outcome, Accepted)
        assert leverage_of(on, side.opposite) in (4, 10)


async def test_C94_leverage_that_the_balance_can_not_pay_for_is_refused(bench: Bench) -> None:
    async with stand(bench, deposit=600) as on:
        able(on, "set_leverage")
        key = on.long(on.btc)
        on.hold(key, 5)
        outcome = await on.send(on.leverage(key, 1))
        assert isinstance(outcome, Rejected), outcome
        assert leverage_of(on, PositionSide.LONG) == 10
