"""Budgets (I12): judged by a counter like the venue's, at the moment a call arrives there."""

import asyncio
import heapq
from collections.abc import Sequence
from math import floor
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardd.clock import ManualClock
from guardd.errors import ConfigurationError
from guardd.model.event import BlockKind, BlockMoved
from guardd.venues.limiter import (
    EMERGENCY_SHARE,
    EVERY_ENDPOINT,
    Ending,
    Held,
    How,
    Lane,
    Left,
    Limit,
    Limiter,
    LimiterRegistry,
    Permit,
    Scope,
    Usage,
)

ANSWERED = Ending(how=How.ANSWERED)


def limit(calls: int, window_s: float = 2.0, endpoint: str = "orders", scope: Scope = Scope.KEY) -> Limit:
    return Limit(endpoint=endpoint, calls=calls, window_s=window_s, scope=scope)


def limiter_of(clock: ManualClock, *limits: Limit, share: float = 0.7, credential: str = "key") -> Limiter:
    registry = LimiterRegistry(clock, Random(1))
    return registry.limiter(host="venue", credential=credential, limits=limits, share=share)


def drawn(limiter: Limiter, lane: Lane, *, endpoint: str = "orders", most: int = 100) -> int:
    """How many calls go at this moment, each answered at once."""
    count = 0
    while count < most and isinstance(permit := limiter.try_acquire(endpoint, lane), Permit):
        limiter.settle(permit, ANSWERED)
        count += 1
    return count


def most_in_any_window(arrivals_s: Sequence[float], window_s: float) -> int:
    """What a venue with a sliding window would count at worst; its edge counts as inside."""
    ordered = sorted(arrivals_s)
    return max((sum(start <= other <= start + window_s for other in ordered) for start in ordered), default=0)


@given(
    calls=st.integers(1, 30),
    window_s=st.sampled_from([1.0, 2.0, 10.0]),
    share=st.sampled_from([0.05, 0.3, 0.7, 0.95]),
    asks=st.lists(
        st.tuples(
            st.floats(0.0, 1.0),  # pause before the call
            st.sampled_from([Lane.ORDINARY, Lane.EMERGENCY]),
            st.floats(0.0, 3.0),  # way to the venue
            st.floats(0.0, 3.0),  # way back
        ),
        max_size=150,
    ),
)
def test_I12_no_window_of_the_venue_holds_more_than_the_budget_however_long_the_ways_take(
    calls: int, window_s: float, share: float, asks: list[tuple[float, Lane, float, float]]
) -> None:
    clock = ManualClock(mono_ns=0)
    limiter = limiter_of(clock, limit(calls, window_s), share=share)
    arrivals: dict[Lane, list[float]] = {Lane.ORDINARY: [], Lane.EMERGENCY: []}
    answers: list[tuple[float, int, Permit]] = []
    now_s = 0.0

    def go_to(second: float) -> None:
        nonlocal now_s
        while answers and answers[0][0] <= second:
            when, _, permit = heapq.heappop(answers)
            clock.pass_time(max(0.0, when - now_s))
            now_s = max(now_s, when)
            limiter.settle(permit, ANSWERED)
        clock.pass_time(second - now_s)
        now_s = second

    for number, (pause_s, lane, there_s, back_s) in enumerate(asks):
        go_to(now_s + pause_s)
        permit = limiter.try_acquire("orders", lane)
        if isinstance(permit, Permit):
            arrivals[lane].append(now_s + there_s)
            heapq.heappush(answers, (now_s + there_s + back_s, number, permit))
    everything = arrivals[Lane.ORDINARY] + arrivals[Lane.EMERGENCY]
    assert most_in_any_window(everything, window_s) <= max(1, floor(EMERGENCY_SHARE * calls + 1e-9))
    assert most_in_any_window(arrivals[Lane.ORDINARY], window_s) <= max(1, floor(share * calls + 1e-9))
    if share * calls < 1.0:
        assert most_in_any_window(arrivals[Lane.ORDINARY], window_s / (share * calls)) <= 1


@given(calls=st.integers(1, 60), lane=st.sampled_from([Lane.ORDINARY, Lane.EMERGENCY]))
def test_a_whole_budget_is_there_again_one_window_after_its_last_answer(calls: int, lane: Lane) -> None:
    clock = ManualClock()
    limiter = limiter_of(clock, limit(calls))
    first = drawn(limiter, lane)
    clock.pass_time(2.0 / min(1.0, 0.7 * calls) + 0.01)
    assert first >= 1
    assert drawn(limiter, lane) == first


def test_I12_a_venue_that_counts_its_windows_edge_as_inside_is_not_surprised() -> None:
    clock = ManualClock()
    limiter = limiter_of(clock, limit(10))
    assert drawn(limiter, Lane.ORDINARY) == 7
    clock.pass_time(2.0)
    assert drawn(limiter, Lane.ORDINARY) == 0
    clock.pass_time(0.01)
    assert drawn(limiter, Lane.ORDINARY) == 7


def test_ordinary_traffic_cannot_take_the_emergency_part() -> None:
    limiter = limiter_of(ManualClock(), limit(24))
    assert drawn(limiter, Lane.ORDINARY) == 16
    assert drawn(limiter, Lane.EMERGENCY) == 6


def test_ordinary_traffic_yields_to_what_emergencies_used() -> None:
    limiter = limiter_of(ManualClock(), limit(24))
    assert drawn(limiter, Lane.EMERGENCY) == 22
    assert drawn(limiter, Lane.ORDINARY) == 0


def test_a_limit_of_one_call_is_stretched_and_not_closed() -> None:
    clock = ManualClock()
    limiter = limiter_of(clock, limit(1))
    assert drawn(limiter, Lane.ORDINARY) == 1
    clock.pass_time(2.8)
    assert drawn(limiter, Lane.ORDINARY) == 0
    clock.pass_time(0.07)
    assert drawn(limiter, Lane.ORDINARY) == 1


def test_a_call_that_is_not_answered_yet_goes_on_counting() -> None:
    clock = ManualClock()
    limiter = limiter_of(clock, limit(2), share=0.5)
    permit = limiter.try_acquire("orders", Lane.ORDINARY)
    assert isinstance(permit, Permit)
    clock.pass_time(60.0)
    assert isinstance(limiter.try_acquire("orders", Lane.ORDINARY), Held)
    limiter.settle(permit, Ending(how=How.LOST))
    clock.pass_time(2.01)
    assert isinstance(limiter.try_acquire("orders", Lane.ORDINARY), Permit)


def test_a_call_that_never_left_is_given_back() -> None:
    limiter = limiter_of(ManualClock(), limit(1))
    permit = limiter.try_acquire("orders", Lane.ORDINARY)
    assert isinstance(permit, Permit)
    limiter.settle(permit, Ending(how=How.UNSENT))
    assert drawn(limiter, Lane.ORDINARY) == 1


def test_a_limit_on_every_endpoint_binds_them_together() -> None:
    limiter = limiter_of(
        ManualClock(), limit(24), limit(24, endpoint="plans"), limit(10, 60.0, EVERY_ENDPOINT, Scope.IP)
    )
    assert drawn(limiter, Lane.ORDINARY) == 7
    assert drawn(limiter, Lane.ORDINARY, endpoint="plans") == 0


def test_an_endpoint_without_a_published_limit_gets_two_calls_in_two_seconds() -> None:
    limiter = limiter_of(ManualClock())
    assert drawn(limiter, Lane.ORDINARY, endpoint="unlisted") == 1


def test_two_windows_on_one_endpoint_both_hold() -> None:
    clock = ManualClock()
    limiter = limiter_of(clock, limit(10, 1.0), limit(20, 60.0))
    went = 0
    for _ in range(10):
        went += drawn(limiter, Lane.ORDINARY)
        clock.pass_time(1.1)
    assert went == 14


def test_equal_credentials_share_their_key_budget_and_different_ones_do_not() -> None:
    registry = LimiterRegistry(ManualClock(), Random(1))
    limits = [limit(10), limit(10, endpoint="time", scope=Scope.IP)]
    one, same, other = (
        registry.limiter(host="venue", credential=key, limits=limits, share=0.7) for key in ("a", "a", "b")
    )
    assert drawn(one, Lane.ORDINARY) == 7
    assert drawn(same, Lane.ORDINARY) == 0
    assert drawn(other, Lane.ORDINARY) == 7
    assert drawn(one, Lane.ORDINARY, endpoint="time") == 7
    assert drawn(other, Lane.ORDINARY, endpoint="time") == 0


def test_hosts_have_budgets_and_blocks_of_their_own() -> None:
    registry = LimiterRegistry(ManualClock(), Random(1))
    live, demo = (registry.limiter(host=host, credential="a", limits=[limit(10)], share=0.7) for host in ("l", "d"))
    permit = live.try_acquire("orders", Lane.ORDINARY)
    assert isinstance(permit, Permit)
    live.settle(permit, Ending(how=How.BANNED))
    assert drawn(live, Lane.ORDINARY) == 0
    assert drawn(demo, Lane.ORDINARY) == 7


def test_I26_no_part_of_a_registry_holds_the_credential() -> None:
    registry = LimiterRegistry(ManualClock(), Random(1))
    limiter = registry.limiter(host="venue", credential="canary-key", limits=[limit(10)], share=0.7)
    drawn(limiter, Lane.ORDINARY)
    shown = repr((vars(registry), vars(limiter), [vars(books) for books in registry._books.values()]))
    assert "canary" not in shown


@pytest.mark.parametrize("share", [0.0, -1.0, 0.96, 1.0])
def test_a_share_that_leaves_emergencies_nothing_is_refused(share: float) -> None:
    with pytest.raises(ConfigurationError, match="rate_limit_share"):
        limiter_of(ManualClock(), limit(10), share=share)


def test_what_the_headers_say_others_used_is_counted() -> None:
    limiter = limiter_of(ManualClock(), limit(24))
    permit = limiter.try_acquire("orders", Lane.ORDINARY)
    assert isinstance(permit, Permit)
    limiter.settle(permit, Ending(how=How.ANSWERED, usage=Usage(used=13, limit=24, window_s=2.0)))
    assert drawn(limiter, Lane.ORDINARY) == 3


def test_headers_that_count_only_our_own_calls_change_nothing() -> None:
    limiter = limiter_of(ManualClock(), limit(24))
    for used in range(1, 17):
        permit = limiter.try_acquire("orders", Lane.ORDINARY)
        assert isinstance(permit, Permit)
        limiter.settle(permit, Ending(how=How.ANSWERED, usage=Usage(used=used, limit=24, window_s=2.0)))
    assert isinstance(limiter.try_acquire("orders", Lane.ORDINARY), Held)


def test_a_lower_limit_in_the_headers_is_believed_and_a_higher_one_is_not() -> None:
    for told, room in ((10, 6), (100, 15)):
        limiter = limiter_of(ManualClock(), limit(24))
        permit = limiter.try_acquire("orders", Lane.ORDINARY)
        assert isinstance(permit, Permit)
        limiter.settle(permit, Ending(how=How.ANSWERED, usage=Usage(used=1, limit=told, window_s=2.0)))
        assert drawn(limiter, Lane.ORDINARY) == room


def test_nonsense_in_the_headers_is_ignored() -> None:
    limiter = limiter_of(ManualClock(), limit(24))
    permit = limiter.try_acquire("orders", Lane.ORDINARY)
    assert isinstance(permit, Permit)
    limiter.settle(permit, Ending(how=How.ANSWERED, usage=Usage(used=-5, limit=0, window_s=0.0)))
    assert drawn(limiter, Lane.ORDINARY) == 15


def test_a_header_that_counts_down_tells_of_calls_that_others_made() -> None:
    clock = ManualClock()
    limiter = limiter_of(clock, limit(10, window_s=1.0))
    permit = limiter.try_acquire("orders", Lane.EMERGENCY)
    assert isinstance(permit, Permit)
    limiter.settle(permit, Ending(how=How.ANSWERED, usage=Left(calls=4)))
    assert limiter.tokens() == {"orders/key": 7 - 6}
    clock.pass_time(1.1)
    assert limiter.tokens() == {"orders/key": 7}


@pytest.mark.parametrize("left", [9, 10, 59])
def test_a_header_that_counts_down_from_at_least_what_we_know_changes_nothing(left: int) -> None:
    limiter = limiter_of(ManualClock(), limit(10, window_s=1.0))
    permit = limiter.try_acquire("orders", Lane.EMERGENCY)
    assert isinstance(permit, Permit)
    limiter.settle(permit, Ending(how=How.ANSWERED, usage=Left(calls=left)))
    assert limiter.tokens() == {"orders/key": 7 - 1}


def refuse(limiter: Limiter, retry_after_s: float = 0.0, lane: Lane = Lane.ORDINARY) -> bool:
    permit = limiter.try_acquire("orders", lane)
    if isinstance(permit, Permit):
        limiter.settle(permit, Ending(how=How.RATE_LIMITED, retry_after_s=retry_after_s))
    return isinstance(permit, Permit)


def test_a_429_rests_its_own_bucket_only_for_both_lanes() -> None:
    clock = ManualClock()
    limiter = limiter_of(clock, limit(24), limit(24, endpoint="plans"))
    assert refuse(limiter)
    assert drawn(limiter, Lane.EMERGENCY) == 0
    assert drawn(limiter, Lane.EMERGENCY, endpoint="plans") == 22
    clock.pass_time(2.01)
    assert drawn(limiter, Lane.EMERGENCY) == 22


def test_further_429s_double_the_rest_and_an_answer_ends_the_doubling() -> None:
    clock = ManualClock()
    limiter = limiter_of(clock, limit(24))
    rests_s: list[float] = []
    for _ in range(3):
        assert refuse(limiter)
        waited_s = 0.0
        while isinstance(limiter.try_acquire("orders", Lane.ORDINARY), Held):
            clock.pass_time(0.1)
            waited_s += 0.1
        rests_s.append(waited_s)
        clock.pass_time(30.0)  # what was just granted is never settled: it must not matter
    assert 2.0 <= rests_s[0] <= 2.2
    assert 4.0 <= rests_s[1] <= 6.2
    assert 8.0 <= rests_s[2] <= 12.2
    assert drawn(limiter, Lane.ORDINARY, most=1) == 1
    assert refuse(limiter)
    clock.pass_time(2.1)
    assert drawn(limiter, Lane.ORDINARY, most=1) == 1


def test_several_calls_refused_together_are_one_refusal() -> None:
    clock = ManualClock()
    limiter = limiter_of(clock, limit(24))
    permits = [limiter.try_acquire("orders", Lane.ORDINARY) for _ in range(5)]
    for permit in permits:
        clock.pass_time(0.01)
        assert isinstance(permit, Permit)
        limiter.settle(permit, Ending(how=How.RATE_LIMITED))
    clock.pass_time(2.01)
    assert drawn(limiter, Lane.ORDINARY, most=1) == 1


def test_each_change_of_a_block_is_told_once_to_each_account() -> None:
    clock = ManualClock()
    registry = LimiterRegistry(clock, Random(1))
    told: dict[str, list[tuple[BlockKind, bool]]] = {"a": [], "b": []}
    limiters = {
        key: registry.limiter(host="venue", credential=key, limits=[limit(24)], share=0.7) for key in ("a", "b")
    }

    def hear(key: str) -> None:
        def note(moved: BlockMoved) -> None:
            told[key].append((moved.kind, moved.until is not None))

        limiters[key].on_block = note

    hear("a")
    hear("b")
    permit = limiters["a"].try_acquire("orders", Lane.ORDINARY)
    assert isinstance(permit, Permit)
    limiters["a"].settle(permit, Ending(how=How.PAGE))
    for each in limiters.values():
        each.tell(clock.now())
        each.tell(clock.now())
    assert told == {"a": [(BlockKind.EDGE, True)], "b": [(BlockKind.EDGE, True)]}
    clock.pass_time(61.0)
    assert limiters["b"].probe_due(clock.now())
    probe = limiters["b"].try_acquire("orders", Lane.PROBE)
    assert isinstance(probe, Permit)
    assert not limiters["a"].probe_due(clock.now())
    limiters["b"].settle(probe, ANSWERED)
    limiters["a"].tell(clock.now())
    assert told["a"][-1] == (BlockKind.EDGE, False)
    assert told["b"][-1] == (BlockKind.EDGE, False)


def test_the_end_of_a_429s_rest_is_told() -> None:
    clock = ManualClock()
    limiter = limiter_of(clock, limit(24))
    moves: list[BlockMoved] = []
    limiter.on_block = moves.append
    assert refuse(limiter)
    clock.pass_time(2.01)
    limiter.tell(clock.now())
    assert [(move.kind, move.until is None) for move in moves] == [
        (BlockKind.RATE_LIMIT, False),
        (BlockKind.RATE_LIMIT, True),
    ]


def test_a_rest_that_one_account_met_is_told_to_the_others_that_share_its_bucket() -> None:
    clock = ManualClock()
    registry = LimiterRegistry(clock, Random(1))
    shared = limit(24, scope=Scope.IP)
    met, other, apart = (
        registry.limiter(host=host, credential=key, limits=[shared], share=0.7)
        for host, key in (("venue", "a"), ("venue", "b"), ("elsewhere", "c"))
    )
    moves: dict[str, list[tuple[BlockKind, bool]]] = {"other": [], "apart": []}
    other.on_block = lambda moved: moves["other"].append((moved.kind, moved.until is not None))
    apart.on_block = lambda moved: moves["apart"].append((moved.kind, moved.until is not None))
    assert drawn(other, Lane.ORDINARY, most=1) == drawn(apart, Lane.ORDINARY, most=1) == 1
    assert refuse(met)
    for limiter in (other, apart):
        limiter.tell(clock.now())
    assert moves == {"other": [(BlockKind.RATE_LIMIT, True)], "apart": []}
    clock.pass_time(2.2)
    other.tell(clock.now())
    assert moves["other"][-1] == (BlockKind.RATE_LIMIT, False)


def test_tokens_are_what_ordinary_traffic_has_left() -> None:
    limiter = limiter_of(ManualClock(), limit(24))
    drawn(limiter, Lane.ORDINARY, most=3)
    assert limiter.tokens() == {"orders/key": 13}


async def test_a_waiter_gets_its_permit_when_the_window_has_passed() -> None:
    clock = ManualClock()
    limiter = limiter_of(clock, limit(2), share=0.5)
    assert drawn(limiter, Lane.ORDINARY) == 1
    async with asyncio.TaskGroup() as group:
        waiter = group.create_task(limiter.acquire("orders", Lane.ORDINARY, 5.0))
        await clock.advance(1.9)
        assert not waiter.done()
        await clock.advance(0.2)
        assert isinstance(waiter.result(), Permit)


async def test_a_waiter_that_cannot_be_served_in_time_is_told_at_once() -> None:
    clock = ManualClock()
    limiter = limiter_of(clock, limit(2), share=0.5)
    drawn(limiter, Lane.ORDINARY)
    held = await limiter.acquire("orders", Lane.ORDINARY, 1.0)
    assert isinstance(held, Held)
    assert held.kind is None


async def test_a_waiter_whose_turn_nobody_knows_gives_up_at_its_deadline() -> None:
    clock = ManualClock()
    limiter = limiter_of(clock, limit(2), share=0.5)
    assert isinstance(limiter.try_acquire("orders", Lane.ORDINARY), Permit)
    async with asyncio.TaskGroup() as group:
        waiter = group.create_task(limiter.acquire("orders", Lane.ORDINARY, 1.0))
        await clock.advance(1.1)
        assert isinstance(waiter.result(), Held)


async def test_waiters_are_served_in_order_and_emergencies_first() -> None:
    clock = ManualClock()
    limiter = limiter_of(clock, limit(1))
    drawn(limiter, Lane.EMERGENCY)
    served: list[str] = []

    async def want(name: str, lane: Lane) -> None:
        permit = await limiter.acquire("orders", lane, 60.0)
        assert isinstance(permit, Permit)
        served.append(name)
        limiter.settle(permit, ANSWERED)

    async with asyncio.TaskGroup() as group:
        group.create_task(want("first read", Lane.ORDINARY))
        await clock.advance(0.01)
        group.create_task(want("second read", Lane.ORDINARY))
        await clock.advance(0.01)
        group.create_task(want("close", Lane.EMERGENCY))
        await clock.advance(20.0)
    assert served == ["close", "first read", "second read"]


async def test_nobody_overtakes_those_who_wait() -> None:
    clock = ManualClock()
    limiter = limiter_of(clock, limit(2), share=0.5)
    drawn(limiter, Lane.ORDINARY)
    async with asyncio.TaskGroup() as group:
        waiter = group.create_task(limiter.acquire("orders", Lane.ORDINARY, 5.0))
        await clock.advance(0.1)
        clock.pass_time(2.0)
        assert isinstance(limiter.try_acquire("orders", Lane.ORDINARY), Held)
        await clock.advance(0.1)
        assert isinstance(waiter.result(), Permit)


async def test_a_cancelled_waiter_leaves_the_queue() -> None:
    clock = ManualClock()
    limiter = limiter_of(clock, limit(2), share=0.5)
    drawn(limiter, Lane.ORDINARY)
    async with asyncio.TaskGroup() as group:
        waiter = group.create_task(limiter.acquire("orders", Lane.ORDINARY, 5.0))
        await clock.advance(0.1)
        waiter.cancel()
    clock.pass_time(2.1)
    assert isinstance(limiter.try_acquire("orders", Lane.ORDINARY), Permit)


async def test_a_block_is_named_when_it_holds_a_call_back() -> None:
    clock = ManualClock()
    limiter = limiter_of(clock, limit(24))
    permit = limiter.try_acquire("orders", Lane.ORDINARY)
    assert isinstance(permit, Permit)
    limiter.settle(permit, Ending(how=How.PAGE))
    held = await limiter.acquire("orders", Lane.ORDINARY, 5.0)
    assert isinstance(held, Held)
    assert held.kind is BlockKind.EDGE
    assert held.why == "Cloudflare blocks this address"  # who asked names the endpoint, once
    assert held.until is not None
    assert 30.0 <= held.until.seconds_since(clock.now()) <= 60.0


def test_endpoints_that_share_a_row_count_towards_it_together_and_others_do_not() -> None:
    clock = ManualClock()
    together = Limit(endpoint="market", calls=10, window_s=1.0, scope=Scope.IP, members=("tickers", "contracts"))
    rows = [limit(10, 1.0, name, Scope.IP) for name in ("tickers", "contracts", "orders")]
    limiter = limiter_of(clock, together, *rows, share=0.7)
    assert drawn(limiter, Lane.ORDINARY, endpoint="tickers", most=5) == 5
    assert drawn(limiter, Lane.ORDINARY, endpoint="contracts") == 2
    assert drawn(limiter, Lane.ORDINARY, endpoint="orders") == 7
    clock.pass_time(1.1)
    assert drawn(limiter, Lane.ORDINARY, endpoint="contracts") == 7
