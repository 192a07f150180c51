"""C130-C138: what the daemon moves behind a position, and how it is known again. Milestone "money"."""

from decimal import Decimal

import pytest

from guardd.model.intent import AddMargin, MovesMoney, TransferToFutures
from guardd.model.moved import MoneyRecord
from guardd.model.names import PositionKey
from guardd.model.outcome import Reason, Rejected
from guardd.model.position import Position
from guardd.model.reading import is_value
from guardd.simulator.faults import FaultKind
from tests.venues.contract.bench import Bench, Line
from tests.venues.contract.stand import SHORT_DEADLINE_S, UID, Stand, able, accepted, stand, unknown
from tests.venues.contract.test_c01_snapshot import both_modes
from tests.venues.contract.test_c50_stops import both_sides, key_of

COIN = "USDT"


def wallets(on: Stand) -> tuple[Decimal, Decimal]:
    """What lies in spot and in futures, by the exchange's own word."""
    (found,) = [each for each in on.exchange.query.balances(UID) if each.coin == COIN]
    return found.spot, found.wallet


def margin_of(on: Stand, key: PositionKey) -> Decimal:
    view = on.view(key)
    assert view is not None
    return view.margin


async def row_of(on: Stand, key: PositionKey) -> Position:
    (row,) = [row for row in (await on.venue.positions()).positions if row.key == key]
    return row


def addition(on: Stand, key: PositionKey, amount: str = "25.5") -> AddMargin:
    return AddMargin(key=key, amount=Decimal(amount), currency=COIN, margin_before=margin_of(on, key))


def transfer(key: PositionKey, amount: str = "120") -> TransferToFutures:
    return TransferToFutures(key=key, currency=COIN, amount=Decimal(amount))


async def recorded(on: Stand, write: MovesMoney, since_ms: int) -> tuple[MoneyRecord, ...]:
    return await on.venue.money_moved(write, since_ms=since_ms)


@both_sides
@both_modes
async def test_C130_margin_is_added_to_the_named_position_alone(bench: Bench, hedge: bool, side: str) -> None:
    async with stand(bench, hedge=hedge, isolated=True) as on:
        able(on, "add_margin")
        key = key_of(on, side)
        on.hold(key, 5)
        before, read = margin_of(on, key), await row_of(on, key)
        accepted(await on.send(addition(on, key)))
        assert margin_of(on, key) == before + Decimal("25.5")
        after = await row_of(on, key)
        assert is_value(read.margin)
        assert is_value(after.margin)
        assert abs(after.margin - read.margin - Decimal("25.5")) < Decimal("0.01")
        assert on.held(key) == 5


async def test_C131_margin_for_a_cross_position_is_not_even_asked_for(bench: Bench) -> None:
    async with stand(bench, isolated=False) as on:
        able(on, "add_margin")
        key = on.long(on.btc)
        on.hold(key, 5)
        await on.venue.positions()
        outcome = await on.send(AddMargin(key=key, amount=Decimal(10), currency=COIN, margin_before=Decimal(0)))
        assert isinstance(outcome, Rejected), outcome
        assert outcome.reason is Reason.UNSUPPORTED


async def test_C132_more_margin_than_is_free_is_refused(bench: Bench) -> None:
    async with stand(bench, isolated=True, deposit=1_000) as on:
        able(on, "add_margin")
        key = on.long(on.btc)
        on.hold(key, 5)
        before = margin_of(on, key)
        outcome = await on.send(addition(on, key, "5000"))
        assert isinstance(outcome, Rejected), outcome
        assert margin_of(on, key) == before


async def test_C133_I07_an_addition_without_an_answer_is_unknown_and_the_position_shows_it(bench: Bench) -> None:
    async with stand(bench, isolated=True) as on:
        able(on, "add_margin")
        key = on.long(on.btc)
        on.hold(key, 5)
        before = margin_of(on, key)
        on.fault(FaultKind.TIMEOUT_AFTER, Line.MARGIN, times=1)
        unknown(await on.send(addition(on, key), deadline_s=SHORT_DEADLINE_S))
        assert margin_of(on, key) == before + Decimal("25.5")
        read = await row_of(on, key)
        assert is_value(read.margin)
        assert read.margin - before >= Decimal("25.4")


async def test_C134_a_venue_without_a_call_for_margin_says_so_and_sends_nothing(bench: Bench) -> None:
    async with stand(bench, isolated=True) as on:
        if on.venue.capabilities.add_margin:
            pytest.skip(f"{bench.name} has one")
        key = on.long(on.btc)
        on.hold(key, 5)
        outcome = await on.send(addition(on, key))
        assert isinstance(outcome, Rejected), outcome
        assert outcome.reason is Reason.UNSUPPORTED


@both_modes
async def test_C135_a_top_up_moves_money_from_spot_to_futures_and_is_recorded(bench: Bench, hedge: bool) -> None:
    async with stand(bench, hedge=hedge, isolated=False) as on:
        able(on, "top_up")
        key = on.long(on.btc)
        on.hold(key, 5)
        since_ms = on.server.now_ms()
        spot, futures = wallets(on)
        accepted(await on.send(transfer(key), "gd1topup"))
        assert wallets(on) == (spot - 120, futures + 120)
        (record,) = await recorded(on, transfer(key), since_ms)
        assert (record.amount, record.done) == (120, True)
        assert record.client_id in (None, "gd1topup")
        assert since_ms <= record.at_ms <= on.server.now_ms()


async def test_C136_more_than_lies_in_spot_is_refused_and_nothing_moves(bench: Bench) -> None:
    async with stand(bench, isolated=False) as on:
        able(on, "top_up")
        key = on.long(on.btc)
        on.hold(key, 5)
        since_ms, before = on.server.now_ms(), wallets(on)
        outcome = await on.send(transfer(key, "501"))
        assert isinstance(outcome, Rejected), outcome
        assert wallets(on) == before
        assert await recorded(on, transfer(key, "501"), since_ms) == ()


async def test_C137_I07_a_transfer_without_an_answer_is_unknown_and_the_records_tell_of_it(bench: Bench) -> None:
    async with stand(bench, isolated=False) as on:
        able(on, "top_up")
        key = on.long(on.btc)
        on.hold(key, 5)
        since_ms = on.server.now_ms()
        spot, futures = wallets(on)
        on.fault(FaultKind.TIMEOUT_AFTER, Line.TRANSFER, times=1)
        unknown(await on.send(transfer(key), "gd1once", deadline_s=SHORT_DEADLINE_S))
        assert wallets(on) == (spot - 120, futures + 120)
        (record,) = await recorded(on, transfer(key), since_ms)
        assert record.amount == 120


async def test_C138_a_transfer_that_never_arrived_leaves_no_record(bench: Bench) -> None:
    async with stand(bench, isolated=False) as on:
        able(on, "top_up")
        key = on.long(on.btc)
        on.hold(key, 5)
        since_ms = on.server.now_ms()
        before = wallets(on)
        on.fault(FaultKind.TIMEOUT_BEFORE, Line.TRANSFER, times=1)
        unknown(await on.send(transfer(key), deadline_s=SHORT_DEADLINE_S))
        assert wallets(on) == before
        assert await recorded(on, transfer(key), since_ms) == ()
