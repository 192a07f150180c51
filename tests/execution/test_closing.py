"""Closing steps: what holds the volume goes first, slices follow, entries end, leftovers are swept."""

from typing import Any

import pytest

from guardd.execution.approve import ApprovedIntent
from guardd.execution.closing import closing_steps, unfinished_reductions
from guardd.execution.entries import cancel_entries, cancel_every_entry, entries_left
from guardd.execution.sweep import sweep
from guardd.model.decision import CancelEntries, Close, Reduce
from guardd.model.event import OperatorSpoke, OperatorWord, PositionModeRead
from guardd.model.intent import CancelKind, CancelOrder, CloseAtMarket
from guardd.model.names import AccountName, MarginMode, OrderId, PositionKey, PositionMode, RuleName, Side, Symbol
from guardd.model.order import RestingKind
from guardd.model.outcome import Reason
from guardd.venues.limiter import Lane
from tests.changed import replace
from tests.execution.bench import BOUNDS, EPISODE, INSTRUMENT, LONG, SHORT, Bench, D, plan, position, resting, wanted
from tests.execution.fake_venue import Answer

CLOSE = Close(key=LONG, episode=EPISODE, rule=RuleName("last-resort"), reason="the end is near")
ETH = PositionKey(AccountName("main"), Symbol("ETHUSDT"), Side.LONG)


@pytest.fixture
async def bench():
    bench = Bench()
    await bench.hold(position())
    yield bench
    await bench.end()


async def rest(bench: Bench, *orders: Any) -> None:
    bench.venue.resting = {order.order_id: order for order in orders}
    await bench.read()


def steps(bench: Bench, decision: Close | Reduce = CLOSE, **changes: Any):
    return closing_steps(decision, bench.state, BOUNDS, now=bench.now, **changes)


def writes(bench: Bench) -> list[Any]:
    return [sent.write for sent in bench.venue.sent]


# Freeing volume: invariant I13


async def test_I13_resting_closes_that_hold_the_volume_are_cancelled_by_id_told_and_then_the_close_goes(
    bench: Bench,
) -> None:
    await rest(bench, resting("tp", 60), resting("entry", 10, closes=False))
    first = steps(bench)
    assert "tp (60)" in first.notes[0].text
    bench.go(first)
    await bench.settle(1)
    bench.go(steps(bench))
    await bench.settle(3)
    assert writes(bench) == [
        CancelOrder(key=LONG, order_id=OrderId("tp"), kind=CancelKind.RESTING),
        CloseAtMarket(key=LONG, size=D(100)),
    ]
    assert "entry" in bench.venue.resting


async def test_a_reduce_frees_no_more_than_it_needs(bench: Bench) -> None:
    await rest(bench, resting("a", 20), resting("b", 50), resting("c", 10))
    trim = Reduce(key=LONG, episode=EPISODE, rule=RuleName("trim"), size=D(60), reason="too near")
    assert [each.write.order_id for each in steps(bench, trim).proposals] == ["b"]
    assert {each.lane for each in steps(bench, trim).proposals} == {Lane.ORDINARY}


async def test_a_reduce_that_finds_volume_enough_cancels_nothing(bench: Bench) -> None:
    await rest(bench, resting("a", 20))
    trim = Reduce(key=LONG, episode=EPISODE, rule=RuleName("trim"), size=D(80), reason="too near")
    assert [type(each.write) for each in steps(bench, trim).proposals] == [CloseAtMarket]


async def test_a_cancel_that_does_not_come_back_holds_a_close_up_for_a_second_only(bench: Bench) -> None:
    await rest(bench, resting("tp", 60))
    bench.venue.script.append(Answer.UNKNOWN_LOST)
    bench.go(steps(bench))
    await bench.settle(0.5)
    assert not steps(bench).proposals
    await bench.settle(0.6)
    [close] = steps(bench).proposals
    assert close.write.size == 40, "what is free goes at once"


async def test_a_cancel_that_was_refused_is_tried_again_and_until_then_what_is_free_is_closed(bench: Bench) -> None:
    """The account was of the other family for a minute: a close of all was refused for its volume, try after try."""
    await rest(bench, resting("tp", 60))
    bench.venue.script.append(Reason.OTHER)
    bench.go(steps(bench))
    await bench.settle(1)
    bench.go(steps(bench))
    await bench.settle(3)
    assert writes(bench)[1:] == [CloseAtMarket(key=LONG, size=D(40))]
    await bench.settle(3)
    await bench.read()
    bench.go(steps(bench))
    await bench.settle(1)
    bench.go(steps(bench))
    await bench.settle(3)
    assert [type(each) for each in writes(bench)[2:]] == [CancelOrder, CloseAtMarket]
    assert LONG not in bench.venue.rows


async def test_a_cancel_that_was_refused_for_long_holds_no_close_back(bench: Bench) -> None:
    await rest(bench, resting("tp", 60))
    bench.venue.script.append(Reason.PERMISSION)
    bench.go(steps(bench))
    await bench.settle(6)
    assert [type(each.write) for each in steps(bench).proposals] == [CloseAtMarket]
    await bench.settle(5)
    assert [type(each.write) for each in steps(bench).proposals] == [CancelOrder]


async def test_a_trailing_close_is_cancelled_as_what_it_is(bench: Bench) -> None:
    await rest(bench, resting("t", 60, kind=RestingKind.TRAILING))
    [cancel] = steps(bench).proposals
    assert cancel.write.kind is CancelKind.TRAILING


async def test_a_size_that_the_venue_calls_too_large_is_read_anew_and_tried_smaller(bench: Bench) -> None:
    bench.venue.resting = {OrderId("unseen"): resting("unseen", 60)}
    bench.go(steps(bench))
    await bench.settle(1)
    bench.go(steps(bench))
    await bench.settle(2)
    await bench.read()
    bench.go(steps(bench))
    await bench.settle(3)
    assert LONG not in bench.venue.rows


# Slices


async def test_a_reduction_goes_on_slice_by_slice_and_across_a_restart(bench: Bench) -> None:
    await bench.hold(position(quantity=5_000))
    trim = Reduce(key=LONG, episode=EPISODE, rule=RuleName("trim"), size=D(2_500), reason="too near")
    bench.go(steps(bench, trim))
    for _ in range(4):
        await bench.settle(3)
        await bench.read()
        for decision in unfinished_reductions(bench.state, bench.now):
            bench.go(steps(bench, decision))
    assert [write.size for write in writes(bench)] == [D(1000), D(1000), D(500)]
    assert len({dict(each.intent.inputs)["decision"] for each in bench.state.finished}) == 1
    assert unfinished_reductions(bench.state, bench.now) == ()


async def test_a_close_goes_on_until_it_is_flat_though_its_rule_is_no_longer_true(bench: Bench) -> None:
    """Interfaces 2.3: slices above the market maximum, one of them turned away; nobody decides anything anew meanwhile."""
    await bench.hold(position(quantity=2_500))
    bench.go(steps(bench))
    await bench.settle(3)
    await bench.read()
    bench.venue.script.append(Reason.NOT_SENT)
    for _ in range(5):
        for decision in unfinished_reductions(bench.state, bench.now):
            assert isinstance(decision, Close)
            bench.go(steps(bench, decision))
        await bench.settle(3)
        await bench.read()
    assert [write.size for write in writes(bench)] == [D(1000), D(1000), D(1000), D(500)]
    assert len({dict(each.intent.inputs)["decision"] for each in bench.state.finished}) == 1
    assert LONG not in bench.venue.rows
    assert unfinished_reductions(bench.state, bench.now) == ()


async def test_a_close_of_which_nothing_went_is_judged_anew(bench: Bench) -> None:
    bench.venue.script.append(Reason.NOT_SENT)
    bench.go(steps(bench))
    await bench.settle(3)
    assert unfinished_reductions(bench.state, bench.now) == ()


async def test_an_operators_close_passes_halt_and_limits(bench: Bench) -> None:
    bench.post(OperatorSpoke(at=bench.now, word=OperatorWord.FLATTEN, why="test"))
    await rest(bench, resting("entry", 10, closes=False), resting("tp", 10))
    entries = cancel_every_entry(bench.state, rule=RuleName("flatten"))
    asked = [*entries.proposals, *steps(bench, operator=True).proposals]
    assert [type(each.write).__name__ for each in asked] == ["CancelOrder", "CancelOrder"]
    assert all(isinstance(bench.judge(each), ApprovedIntent) for each in asked)


# Entries


def entries(bench: Bench, **changes: Any) -> set[str]:
    asked = CancelEntries(key=LONG, episode=EPISODE, rule=RuleName("trim"), reason="test", **changes)
    return {each.write.order_id for each in cancel_entries(asked, bench.state).proposals}


async def test_entries_are_what_would_enlarge_the_position_conditional_ones_included(bench: Bench) -> None:
    bench.venue.plans = {OrderId("plan"): plan("plan", protection=None, size=D(5)), OrderId("stop"): plan("stop")}
    await rest(bench, resting("limit", 5, closes=False), resting("tp", 5), resting("short", 5, closes=False, key=SHORT))
    assert entries(bench) == {"plan", "limit"}


async def test_in_one_way_mode_opposite_orders_up_to_the_quantity_stay(bench: Bench) -> None:
    bench.post(PositionModeRead(at=bench.now, mode=PositionMode.ONE_WAY))
    await rest(
        bench,
        resting("sell1", 60, closes=False, key=SHORT, created_ms=1),
        resting("sell2", 60, closes=False, key=SHORT, created_ms=2),
    )
    assert entries(bench) == {"sell2"}


async def test_an_account_rule_ends_the_entries_of_every_cross_instrument(bench: Bench) -> None:
    await bench.hold(position(margin_mode=MarginMode.ISOLATED))
    await rest(bench, resting("btc", 5, closes=False), resting("eth", 5, closes=False, key=ETH))
    assert entries(bench, whole_account=True) == {"eth"}


async def test_entries_of_a_contract_that_isnt_guarded_are_left_alone(bench: Bench) -> None:
    await rest(bench, resting("eth", 5, closes=False, key=ETH))
    assert entries(bench, whole_account=True) == {"eth"}
    bench.state.instruments[ETH.symbol] = replace(INSTRUMENT, symbol=ETH.symbol, unguarded="inverse")
    assert entries(bench, whole_account=True) == set()
    assert not entries_left(bench.state)


async def test_an_entry_that_is_being_cancelled_is_not_cancelled_twice(bench: Bench) -> None:
    await rest(bench, resting("limit", 5, closes=False))
    asked = CancelEntries(key=LONG, episode=EPISODE, rule=RuleName("trim"), reason="test")
    bench.go(cancel_entries(asked, bench.state))
    assert cancel_entries(asked, bench.state).proposals == ()


# The sweep: invariant I6


async def test_I06_after_confirmed_flat_ours_are_swept_and_strangers_stay(bench: Bench) -> None:
    await bench.protect(wanted("90"))
    bench.venue.plans[OrderId("users")] = plan("users", "70", key=SHORT)
    bench.venue.rows.clear()
    for _ in range(3):
        await bench.read()
        bench.go(sweep(bench.state))
        await bench.settle(2.5)
        await bench.read()
    assert set(bench.venue.plans) == {"users"}


async def test_I06_nothing_is_swept_before_flat_is_confirmed(bench: Bench) -> None:
    await bench.protect(wanted("90"))
    bench.venue.rows.clear()
    await bench.read()
    assert sweep(bench.state).proposals == ()


async def test_a_close_that_is_rejected_once_is_sent_again(bench: Bench) -> None:
    bench.venue.script.append(Reason.NOT_SENT)
    bench.go(steps(bench))
    await bench.settle(0.3)
    bench.go(steps(bench))
    await bench.settle(3)
    assert LONG not in bench.venue.rows
