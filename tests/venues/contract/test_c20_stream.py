"""C20-C39: what the sockets carry, that they come back, and that their silence is noticed. Milestone "streams"."""

import asyncio

import pytest

from guardd.errors import CredentialsError
from guardd.model.event import BalancePushed, MarkSeen, OrderPushed, PositionsPushed, Source, StreamName
from guardd.model.names import PositionKey, Severity
from guardd.model.order import OrderAction
from guardd.simulator.faults import FaultKind
from guardd.simulator.orders import PositionSide
from tests.venues.contract.bench import Bench, Keys, Line
from tests.venues.contract.stand import MAIN, UID, Stand, accepted, stand, until
from tests.venues.contract.test_c01_snapshot import both_modes

HASTE = 15
"""Half a minute of silence passes in two seconds."""
QUIET_HASTE, QUIET_S = 25, 125
"""Longer than any venue here lets a socket live that says nothing."""


def told_size(on: Stand, key: PositionKey) -> object:
    """The last quantity that the stream told of a position, None where it told none."""
    updates = [update for push in on.of(PositionsPushed) for update in push.updates if update.key == key]
    return updates[-1].quantity if updates else None


async def test_C20_both_streams_come_up_once_and_say_so(bench: Bench) -> None:
    async with stand(bench) as on:
        assert on.venue.last_frame_ns() == dict.fromkeys(StreamName, 0)
        async with on.listening([on.btc]):
            assert {stream: on.moves(stream) for stream in StreamName} == {each: [True] for each in StreamName}
            assert all(ns > 0 for ns in on.venue.last_frame_ns().values())


async def test_C21_the_marks_of_watched_contracts_are_carried_and_the_last_price_is_never_taken_for_one(
    bench: Bench,
) -> None:
    async with stand(bench) as on, on.listening([on.btc]):
        mark, last = on.away(on.btc, -1), on.away(on.btc, -3)
        on.exchange.move(on.btc, mark=mark, last=last, now_ms=on.server.now_ms())
        await until(lambda: any(seen.mark == mark for seen in on.of(MarkSeen)))
        seen = next(seen for seen in on.of(MarkSeen) if seen.mark == mark)
        assert (seen.symbol, seen.source, seen.last) == (on.btc, Source.STREAM, last)
        assert seen.bid is None or seen.ask is None or seen.bid < seen.ask


async def test_C22_a_contract_that_joins_later_gets_its_marks_and_one_that_the_venue_does_not_know_takes_none_away(
    bench: Bench,
) -> None:
    async with stand(bench) as on, on.listening():
        on.venue.watch([on.eth, bench.unknown])
        await until(lambda: any(seen.symbol == on.eth for seen in on.of(MarkSeen)))
        on.venue.watch([on.eth, on.btc])
        await until(lambda: any(seen.symbol == on.btc for seen in on.of(MarkSeen)))
        assert on.up() == set(StreamName)


@both_modes
async def test_C23_a_position_is_pushed_when_it_opens_changes_and_closes(bench: Bench, hedge: bool) -> None:
    async with stand(bench, hedge=hedge) as on, on.listening([on.btc]):
        key = on.short(on.btc)
        on.hold(key, 5)
        await until(lambda: told_size(on, key) == on.size(key, 5))
        on.lessen(key, 2)
        await until(lambda: told_size(on, key) == on.size(key, 3))
        on.lessen(key, 3)
        await until(lambda: told_size(on, key) == 0)


async def test_C24_a_position_that_was_there_before_the_stream_is_told_or_repeated_by_the_next_change(
    bench: Bench,
) -> None:
    async with stand(bench) as on:
        on.hold(on.long(on.btc), 5)
        async with on.listening([on.btc]):
            on.hold(on.long(on.btc), 1)
            await until(lambda: told_size(on, on.long(on.btc)) == on.size(on.long(on.btc), 6))


@both_modes
async def test_C25_orders_are_pushed_with_the_position_that_they_close(bench: Bench, hedge: bool) -> None:
    async with stand(bench, hedge=hedge) as on, on.listening([on.btc]):
        key = on.long(on.btc)
        on.hold(key, 6)
        resting = on.rest(key, 2, on.away(on.btc, 5), closes=True)
        accepted(await on.send(on.close(key, 3), "gd1told"))
        on.exchange.cancel(UID, resting.order_id, on.server.now_ms())
        await until(lambda: {OrderAction.FILLED, OrderAction.CANCELLED} <= _actions(on, resting.order_id, "gd1told"))
        ours = [push.update for push in on.of(OrderPushed) if push.update.client_id == "gd1told"]
        assert {(update.key, update.closes) for update in ours} == {(key, True)}
        assert (ours[-1].filled, ours[-1].live) == (on.size(key, 3), False)
        assert ours[-1].average_price is not None
        theirs = [push.update for push in on.of(OrderPushed) if push.update.order_id == resting.order_id]
        assert {(update.key, update.closes) for update in theirs} == {(key, True)}
        assert not theirs[-1].live


def _actions(on: Stand, order_id: str, client_id: str) -> set[OrderAction]:
    updates = [push.update for push in on.of(OrderPushed)]
    return {each.action for each in updates if each.order_id == order_id or each.client_id == client_id}


async def test_C26_a_fill_moves_the_balance_and_that_is_pushed(bench: Bench) -> None:
    async with stand(bench) as on, on.listening([on.btc]):
        on.hold(on.long(on.btc), 5)
        await until(lambda: bool(on.of(BalancePushed)))
        read = {each.currency for each in await on.venue.balances()}
        assert {push.balance.currency for push in on.of(BalancePushed)} <= read


@pytest.mark.parametrize("line", [Line.PRIVATE_SOCKET, Line.PUBLIC_SOCKET])
async def test_C27_a_socket_that_the_venue_ends_comes_back_with_everything_it_carried(bench: Bench, line: Line) -> None:
    stream = StreamName.PRIVATE if line is Line.PRIVATE_SOCKET else StreamName.PUBLIC
    async with stand(bench) as on, on.listening([on.btc]):
        on.fault(FaultKind.CLOSE_SOCKET, line, times=1)
        await until(lambda: on.moves(stream) == [True, False, True], within_s=8)
        on.heard.clear()
        on.hold(on.long(on.btc), 5)
        on.set_price(on.btc, on.away(on.btc, 1))
        await until(lambda: any(seen.mark == on.mark(on.btc) for seen in on.of(MarkSeen)))
        await until(lambda: told_size(on, on.long(on.btc)) == on.size(on.long(on.btc), 5))


@pytest.mark.parametrize("line", [Line.PRIVATE_SOCKET, Line.PUBLIC_SOCKET])
async def test_C28_a_socket_that_is_open_but_silent_is_given_up_and_replaced(bench: Bench, line: Line) -> None:
    stream = StreamName.PRIVATE if line is Line.PRIVATE_SOCKET else StreamName.PUBLIC
    async with stand(bench, speed=HASTE) as on, on.listening([on.btc]):
        on.fault(FaultKind.FREEZE_SOCKET, line)
        await until(lambda: on.moves(stream)[:2] == [True, False], within_s=60 / HASTE + 2)
        on.faults.clear()
        await until(lambda: on.moves(stream)[-1], within_s=60 / HASTE + 2)


async def test_C29_a_quiet_account_keeps_its_sockets_by_itself(bench: Bench) -> None:
    async with stand(bench, speed=QUIET_HASTE) as on, on.listening([on.btc]):
        await asyncio.sleep(QUIET_S / QUIET_HASTE)
        assert {stream: on.moves(stream) for stream in StreamName} == {each: [True] for each in StreamName}


async def test_C30_a_refused_login_is_critical_the_prices_go_on_and_it_is_tried_again(bench: Bench) -> None:
    async with stand(bench, speed=HASTE) as on:
        on.fault(FaultKind.REFUSE_LOGIN, Line.PRIVATE_SOCKET, times=1)
        async with on.listening([on.btc], settled=False):
            await until(lambda: bool(on.said(Severity.CRITICAL)) and StreamName.PUBLIC in on.up())
            await until(lambda: on.up() == set(StreamName), within_s=10)


async def test_C31_with_a_wrong_secret_only_the_prices_are_carried(bench: Bench) -> None:
    wrong = Keys(key=MAIN.key, secret="mistaken-secret", passphrase=MAIN.passphrase)
    async with stand(bench, keys=wrong, opened=False) as on:
        try:
            await on.venue.open()
        except CredentialsError:
            pytest.skip(f"{bench.name} refuses the key at the door")
        await carried_without_a_login(on)


async def carried_without_a_login(on: Stand) -> None:
    async with on.listening([on.btc], settled=False):
        await until(lambda: bool(on.said(Severity.CRITICAL)))
        assert StreamName.PRIVATE not in on.up()


async def test_C32_private_topics_that_are_refused_for_the_moment_are_asked_for_again(bench: Bench) -> None:
    async with stand(bench) as on:
        on.fault(FaultKind.LOGIN_UNAVAILABLE, Line.PRIVATE_PUSHES, times=1)
        async with on.listening([on.btc], settled=False):
            await until(lambda: on.up() == set(StreamName), within_s=10)
            on.hold(on.long(on.btc), 5)
            await until(lambda: told_size(on, on.long(on.btc)) == on.size(on.long(on.btc), 5))


@pytest.mark.parametrize("kind", [FaultKind.DUPLICATE_PUSH, FaultKind.REORDER_PUSH])
async def test_C33_repeated_and_overtaken_pushes_bring_no_stream_down_and_no_fill_twice(
    bench: Bench, kind: FaultKind
) -> None:
    async with stand(bench) as on, on.listening([on.btc]):
        key = on.long(on.btc)
        on.fault(kind, Line.PRIVATE_PUSHES)
        on.hold(key, 5)
        accepted(await on.send(on.close(key, 2), "gd1twice"))
        on.faults.clear()
        on.hold(key, 1)
        await until(lambda: told_size(on, key) == on.size(key, 4))
        updates = [push.update for push in on.of(OrderPushed) if push.update.client_id == "gd1twice"]
        assert all(update.filled <= on.size(key, 2) for update in updates)
        assert on.up() == set(StreamName)


async def test_C34_a_forced_reduction_is_told_as_one(bench: Bench) -> None:
    async with stand(bench) as on, on.listening([on.btc]):
        key = on.long(on.btc)
        on.hold(key, 5)
        on.exchange.auto_deleverage(UID, on.btc, PositionSide.LONG, on.size(key, 2), on.server.now_ms())
        await until(lambda: any(push.update.action is OrderAction.ADL for push in on.of(OrderPushed)))
        update = next(push.update for push in on.of(OrderPushed) if push.update.action is OrderAction.ADL)
        assert (update.key, update.closes) == (key, True)


async def test_C35_a_liquidation_is_told_as_one(bench: Bench) -> None:
    async with stand(bench) as on, on.listening([on.btc]):
        key = on.long(on.btc)
        on.hold(key, 5)
        on.set_price(on.btc, on.away(on.btc, -15))
        assert on.held(key) == 0
        await until(lambda: any(push.update.action is OrderAction.LIQUIDATION for push in on.of(OrderPushed)))
        await until(lambda: told_size(on, key) == 0)


async def test_C36_leaving_the_stream_closes_its_sockets(bench: Bench) -> None:
    async with stand(bench) as on:
        async with on.listening([on.btc]):
            pass
        frames = on.venue.last_frame_ns()
        on.hold(on.long(on.btc), 5)
        on.set_price(on.btc, on.away(on.btc, 1))
        await asyncio.sleep(0.2)
        assert on.venue.last_frame_ns() == frames
