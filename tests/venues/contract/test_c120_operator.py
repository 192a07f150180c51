"""C120-C127: an operator's single steps. Milestone "operator"."""

from decimal import Decimal

import pytest

from guardd.model.names import PositionMode
from guardd.model.outcome import Rejected
from guardd.simulator.orders import MarginMode, PositionSide
from tests.venues.contract.bench import Bench
from tests.venues.contract.stand import UID, Stand, able, accepted, stand
from tests.venues.contract.test_c01_snapshot import both_margins, both_modes
from tests.venues.contract.test_c50_stops import both_sides, key_of


def own_what_rests_and_was_done(on: Stand) -> None:
    """What the operator opened is the owner's word."""
    query = on.exchange.query
    on.owned |= {order.order_id for order in (*query.open_orders(UID), *query.order_history(UID))}


def mode_of(on: Stand) -> str:
    """Of the contract's own line, where each has one."""
    group = on.exchange.query.contract(on.btc).group
    return on.exchange.query.position_mode(UID, group).value


@both_sides
@both_margins
@both_modes
async def test_C120_an_operator_opens_and_closes_at_market(
    bench: Bench, hedge: bool, isolated: bool, side: str
) -> None:
    async with stand(bench, hedge=hedge, isolated=isolated) as on:
        key = key_of(on, side)
        size = on.size(key, 5)
        outcome = await on.operator.open_position(key, size=size, price=None, leverage=Decimal(10), isolated=isolated)
        own_what_rests_and_was_done(on)
        accepted(outcome)
        view = on.view(key)
        assert view is not None
        assert (view.size, view.leverage) == (size, 10)
        assert view.margin_mode is (MarginMode.ISOLATED if isolated else MarginMode.CROSS)
        accepted(await on.operator.close_position(key, size=size, price=None))
        assert on.held(key) == 0


@both_modes
async def test_C121_an_operators_limit_order_rests_at_its_price(bench: Bench, hedge: bool) -> None:
    async with stand(bench, hedge=hedge) as on:
        key = on.short(on.btc)
        price = on.away(on.btc, 3)
        outcome = await on.operator.open_position(
            key, size=on.size(key, 5), price=price, leverage=Decimal(10), isolated=True
        )
        own_what_rests_and_was_done(on)
        accepted(outcome)
        (order,) = on.exchange.query.open_orders(UID)
        assert (order.price, order.size, order.reduce, order.position_side.value) == (
            price,
            on.size(key, 5),
            False,
            "short",
        )


@both_modes
async def test_C122_I02_an_operators_close_of_nothing_opens_nothing(bench: Bench, hedge: bool) -> None:
    async with stand(bench, hedge=hedge) as on:
        key = on.long(on.btc)
        outcome = await on.operator.close_position(key, size=on.size(key, 5), price=None)
        assert isinstance(outcome, Rejected), outcome
        assert on.exchange.query.positions(UID) == ()


@pytest.mark.parametrize("hedge", [True, False], ids=["to_one_way", "to_hedge"])
async def test_C123_the_position_mode_is_switched_on_an_empty_account(bench: Bench, hedge: bool) -> None:
    wanted = PositionMode.ONE_WAY if hedge else PositionMode.HEDGE
    async with stand(bench, hedge=hedge) as on:
        accepted(await on.operator.set_position_mode(wanted))
        assert mode_of(on) == wanted.value
        assert await on.venue.position_mode() is wanted


@pytest.mark.parametrize("open_", ["position", "order", "plan"])
async def test_C124_the_position_mode_is_not_switched_with_anything_open(bench: Bench, open_: str) -> None:
    async with stand(bench) as on:
        key = on.long(on.btc)
        if open_ == "order":
            on.rest(key, 2, on.away(on.btc, -5), closes=False)
        else:
            on.hold(key, 5)
        if open_ == "plan":
            accepted(await on.send(on.stop(key)))
        outcome = await on.operator.set_position_mode(PositionMode.ONE_WAY)
        assert isinstance(outcome, Rejected), outcome
        assert mode_of(on) == PositionMode.HEDGE.value


@both_margins
async def test_C125_leverage_and_margin_mode_are_set_for_what_comes(bench: Bench, isolated: bool) -> None:
    async with stand(bench, isolated=isolated) as on:
        accepted(await on.operator.set_leverage(on.btc, leverage=Decimal(20), isolated=isolated))
        settings = on.exchange.query.settings(UID, on.btc)
        assert settings.leverage(PositionSide.LONG) == 20


@pytest.mark.parametrize("into_futures", [True, False])
async def test_C126_money_is_moved_between_the_wallets(bench: Bench, into_futures: bool) -> None:
    async with stand(bench) as on:
        able(on, "top_up")
        before = (await on.venue.balances())[0].available
        accepted(await on.operator.transfer(amount=Decimal("100.5"), into_futures=into_futures))
        moved = Decimal("100.5") if into_futures else Decimal("-100.5")
        assert (await on.venue.balances())[0].available == before + moved


async def test_C127_more_money_than_there_is_is_not_moved(bench: Bench) -> None:
    async with stand(bench) as on:
        able(on, "top_up")
        before = (await on.venue.balances())[0].available
        outcome = await on.operator.transfer(amount=Decimal(100_000), into_futures=True)
        assert isinstance(outcome, Rejected), outcome
        assert (await on.venue.balances())[0].available == before
