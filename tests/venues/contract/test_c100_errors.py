"""C100-C118: every way in which a venue fails, and what may be concluded from it (I7). Milestone "signed reads" for the reads,
"closes" for the writes.

Three outcomes, and the exchange's ledger says whether they are true: accepted means that it happened, rejected that it did not,
and unknown is the only answer where both are possible.
"""

import asyncio

import pytest

from guardd.errors import CredentialsError, VenueBusy, VenueError
from guardd.model.event import BlockKind, BlockMoved, VenueClosingSeen
from guardd.model.facts import BlockChanged, RequestFinished
from guardd.model.intent import Write
from guardd.model.outcome import Accepted, Outcome, Reason, Rejected, Unknown
from guardd.simulator.contracts import ContractStatus
from guardd.simulator.faults import FaultKind
from guardd.venues.limiter import Lane
from tests.venues.contract.bench import Bench, Denial, Keys, Line, Trait
from tests.venues.contract.stand import MAIN, READ_ONLY, SHORT_DEADLINE_S, Stand, accepted, needs, stand, until
from tests.venues.contract.tap import Spoilt

WRONG_KEYS = [
    Keys(key="nobody", secret=MAIN.secret, passphrase=MAIN.passphrase),
    Keys(key=MAIN.key, secret="mistaken-secret", passphrase=MAIN.passphrase),
    Keys(key=MAIN.key, secret=MAIN.secret, passphrase="mistaken-words"),
]
FAILURES = (
    FaultKind.CLOUDFLARE_403,
    FaultKind.CLOUDFLARE_1010,
    FaultKind.CLOUDFLARE_503,
    FaultKind.TOO_MANY,
    FaultKind.BANNED,
    FaultKind.UNAVAILABLE,
    FaultKind.ERROR_HTML,
    FaultKind.MAINTENANCE,
    FaultKind.TIMEOUT_BEFORE,
    FaultKind.TIMEOUT_AFTER,
)
SILENT = (FaultKind.TIMEOUT_BEFORE, FaultKind.TIMEOUT_AFTER)
HASTE = 5
"""Reads are tried again with pauses between: they pass five times as fast."""
LINES = (Line.CLOSE, Line.STOP, Line.CANCEL, Line.LEVERAGE)


async def errand(on: Stand, line: Line) -> Write:
    """One write of each line, on a position that is ready for it."""
    key = on.long(on.btc)
    on.hold(key, 5)
    match line:
        case Line.CLOSE:
            return on.close(key, 2)
        case Line.STOP:
            return on.stop(key)
        case Line.CANCEL:
            accepted(await on.send(on.stop(key)))
            (plan,) = await on.plans()
            return on.cancel(key, plan.order_id)
        case _:
            return on.leverage(key, 5)


def happened(on: Stand, line: Line) -> bool:
    """By the exchange's own word."""
    key = on.long(on.btc)
    match line:
        case Line.CLOSE:
            return on.held(key) == 3
        case Line.STOP:
            return len(on.live_plans(key)) == 1
        case Line.CANCEL:
            return on.live_plans(key) == []
        case _:
            view = on.view(key)
            assert view is not None
            return view.leverage == 5


def is_true(on: Stand, line: Line, outcome: Outcome) -> None:
    match outcome:
        case Accepted():
            assert happened(on, line), f"accepted, and it did not happen: {outcome}"
        case Rejected():
            assert not happened(on, line), f"rejected, and it happened: {outcome}"
        case Unknown():
            pass


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("kind", FAILURES)
async def test_C100_I07_a_failure_at_a_write_comes_to_what_it_proves(bench: Bench, kind: FaultKind, line: Line) -> None:
    if kind not in bench.turned_away:
        pytest.skip(f"{bench.name} has no {kind} of its own")
    async with stand(bench) as on:
        write = await errand(on, line)
        on.fault(kind, line)
        outcome = await on.send(write, "gd1fail", deadline_s=SHORT_DEADLINE_S if kind in SILENT else 2.0)
        is_true(on, line, outcome)
        expected = bench.turned_away[kind]
        if expected is None:
            assert isinstance(outcome, Unknown), outcome
        else:
            assert isinstance(outcome, Rejected), outcome
            assert outcome.reason is expected, outcome
        assert on.tap.sent_to(bench.paths[line]) <= (2 if line is Line.CANCEL else 1), "sent again"


@pytest.mark.parametrize("line", [Line.POSITIONS, Line.BALANCES, Line.RESTING, Line.PLANS])
@pytest.mark.parametrize("kind", [kind for kind in FAILURES if kind not in SILENT])
async def test_C101_a_failure_at_a_read_is_an_error_and_never_an_empty_answer(
    bench: Bench, kind: FaultKind, line: Line
) -> None:
    if kind not in bench.turned_away:
        pytest.skip(f"{bench.name} has no {kind} of its own")
    async with stand(bench, speed=HASTE) as on:
        on.hold(on.long(on.btc), 5)
        on.fault(kind, line)
        with pytest.raises(VenueError):
            await read(on, line)


async def read(on: Stand, line: Line) -> object:
    match line:
        case Line.POSITIONS:
            return await on.venue.positions()
        case Line.BALANCES:
            return await on.venue.balances()
        case Line.RESTING:
            return await on.venue.orders(plans=False)
        case Line.PLANS:
            return await on.venue.orders(resting=False)
        case _:
            raise AssertionError(f"{line} is no list")


async def test_C102_I28_a_mark_that_is_not_told_within_half_a_second_is_an_error_and_the_next_one_is_right(
    bench: Bench,
) -> None:
    async with stand(bench) as on:
        on.hold(on.long(on.btc), 5)
        on.fault(FaultKind.TIMEOUT_BEFORE, Line.MARK)
        began_ns = on.clock.monotonic_ns()
        with pytest.raises(VenueError):
            await on.venue.mark(on.btc)
        assert (on.clock.monotonic_ns() - began_ns) / 1e9 < 1.0
        on.faults.clear()
        assert (await on.venue.mark(on.btc)).mark == on.mark(on.btc)


@pytest.mark.parametrize("how", Spoilt)
@pytest.mark.parametrize("line", LINES)
async def test_C103_I07_a_write_whose_answer_can_not_be_read_is_unknown(bench: Bench, line: Line, how: Spoilt) -> None:
    async with stand(bench) as on:
        write = await errand(on, line)
        on.tap.spoil(bench.paths[line], how)
        outcome = await on.send(write, "gd1spoil")
        assert isinstance(outcome, Unknown), outcome
        assert happened(on, line)
        assert on.tap.sent_to(bench.paths[line]) == (
            1 if line is not Line.CANCEL else on.tap.sent_to(bench.paths[line])
        )


@pytest.mark.parametrize("how", Spoilt)
@pytest.mark.parametrize("line", [Line.POSITIONS, Line.BALANCES, Line.RESTING, Line.PLANS])
async def test_C104_a_read_whose_answer_can_not_be_read_is_an_error_and_never_flat(
    bench: Bench, line: Line, how: Spoilt
) -> None:
    async with stand(bench, speed=HASTE) as on:
        on.hold(on.long(on.btc), 5)
        on.tap.spoil(bench.paths[line], how)
        with pytest.raises(VenueError):
            await read(on, line)


@pytest.mark.parametrize("keys", WRONG_KEYS, ids=["key", "secret", "passphrase"])
async def test_C105_wrong_credentials_are_named_as_such_and_do_nothing(bench: Bench, keys: Keys) -> None:
    async with stand(bench, keys=keys, opened=False) as on:
        key = on.long(on.btc)
        on.hold(key, 5)
        try:
            await on.venue.open()
        except CredentialsError:
            return  # said at the door
        outcome = await on.send(on.close(key, 2))
        assert isinstance(outcome, Rejected), outcome
        assert outcome.reason is Reason.CREDENTIALS
        assert on.held(key) == 5


async def test_C106_a_key_that_may_only_read_reads_and_is_refused_its_first_write(bench: Bench) -> None:
    async with stand(bench, keys=READ_ONLY) as on:
        key = on.long(on.btc)
        on.hold(key, 5)
        assert len((await on.venue.positions()).positions) == 1
        for write in (on.close(key, 2), on.stop(key)):
            outcome = await on.send(write)
            assert isinstance(outcome, Rejected), outcome
            assert outcome.reason is Reason.PERMISSION
        assert on.held(key) == 5
        assert on.live_plans() == []


async def test_C107_too_many_calls_rest_that_call_for_a_while_and_leave_the_others_alone(bench: Bench) -> None:
    async with stand(bench) as on:
        key = on.long(on.btc)
        on.hold(key, 5)
        on.fault(FaultKind.TOO_MANY, Line.STOP, times=1)
        first = await on.send(on.stop(key))
        assert isinstance(first, Rejected), first
        assert first.reason is Reason.RATE_LIMITED
        sent = on.tap.sent_to(bench.paths[Line.STOP])
        second = await on.send(on.stop(key), deadline_s=0.2)
        assert isinstance(second, Rejected), second
        assert second.reason is Reason.RATE_LIMITED
        assert on.tap.sent_to(bench.paths[Line.STOP]) == sent, "the bucket rests"
        accepted(await on.send(on.close(key, 2)))


@pytest.mark.parametrize("kind", [FaultKind.CLOUDFLARE_403, FaultKind.CLOUDFLARE_1010, FaultKind.CLOUDFLARE_503])
async def test_C108_a_page_of_the_edge_holds_reads_back_and_lets_a_close_try(bench: Bench, kind: FaultKind) -> None:
    async with stand(bench) as on:
        key = on.long(on.btc)
        on.hold(key, 5)
        await on.venue.positions()
        on.fault(kind, Line.POSITIONS)
        with pytest.raises(VenueBusy):
            await on.venue.positions()
        sent = len(on.tap.requests)
        with pytest.raises(VenueBusy):
            await on.venue.balances()
        assert len(on.tap.requests) == sent, "a read went out during the block"
        assert any(isinstance(fact, BlockChanged) and fact.kind is BlockKind.EDGE for fact in on.facts)
        accepted(await on.send(on.close(key, 2)))
        async with on.listening([on.btc], settled=False):
            await until(lambda: any(moved.kind is BlockKind.EDGE for moved in on.of(BlockMoved)))


async def test_C109_a_ban_lets_nothing_through_but_a_close(bench: Bench) -> None:
    if FaultKind.BANNED not in bench.turned_away:
        pytest.skip(f"{bench.name} has no ban of its own")
    async with stand(bench) as on:
        key = on.long(on.btc)
        on.hold(key, 5)
        on.fault(FaultKind.BANNED, Line.POSITIONS)
        with pytest.raises(VenueBusy):
            await on.venue.positions()
        sent = len(on.tap.requests)
        refused = await on.send(on.stop(key))
        assert isinstance(refused, Rejected), refused
        assert refused.reason is Reason.BANNED
        assert len(on.tap.requests) == sent


async def test_C110_a_venue_that_says_maintenance_is_told_as_one_that_may_be_closing(bench: Bench) -> None:
    needs(bench, Trait.MAY_BE_CLOSING)
    async with stand(bench) as on:
        key = on.long(on.btc)
        on.hold(key, 5)
        async with on.listening([on.btc]):
            on.fault(FaultKind.MAINTENANCE, Line.STOP)
            assert not isinstance(await on.send(on.stop(key)), Accepted)
            await until(lambda: bool(on.of(VenueClosingSeen)))


async def test_C111_a_paused_contract_is_refused_as_paused(bench: Bench) -> None:
    async with stand(bench) as on:
        key = on.long(on.btc)
        on.hold(key, 5)
        on.exchange.set_status(on.btc, ContractStatus.PAUSED, on.server.now_ms())
        on.denied(await on.send(on.close(key, 2)), Denial.PAUSED_CONTRACT)
        assert on.held(key) == 5


@pytest.mark.parametrize("offset_ms", [90_000, -90_000])
async def test_C112_a_clock_that_jumps_by_ninety_seconds_costs_at_most_one_write_and_no_read(
    bench: Bench, offset_ms: int
) -> None:
    async with stand(bench) as on:
        key = on.long(on.btc)
        on.hold(key, 5)
        on.faults.add(FaultKind.CLOCK_OFFSET, offset_ms=offset_ms)
        outcome = await on.send(on.close(key, 2), "gd1jump")
        if isinstance(outcome, Rejected):
            assert outcome.reason is Reason.CLOCK
            accepted(await on.send(on.close(key, 2), "gd1next"))
        assert on.held(key) == 3
        assert len((await on.venue.positions()).positions) == 1


async def test_C113_the_tokens_of_ordinary_traffic_fall_with_each_call_and_never_below_nothing(bench: Bench) -> None:
    async with stand(bench, speed=HASTE) as on:
        await on.venue.positions()
        assert max(on.venue.tokens().values()) > 0
        seen: list[dict[str, int]] = []
        with pytest.raises(ExceptionGroup) as held:
            await many_modes(on, seen)
        assert held.value.subgroup(VenueBusy) is not None
        assert min(min(tokens.values()) for tokens in seen) == 0
        finished = [fact for fact in on.facts if isinstance(fact, RequestFinished)]
        assert not any(fact.result == "rate_limited" for fact in finished), "the venue had to say it"


async def many_modes(on: Stand, seen: list[dict[str, int]]) -> None:
    """More calls at once than any budget lets through within their deadline; looks at the tokens while they wait."""
    async with asyncio.TaskGroup() as group:
        for _ in range(200):
            group.create_task(on.venue.position_mode())
        for _ in range(20):
            await asyncio.sleep(0)
            seen.append(dict(on.venue.tokens()))


async def test_C114_a_close_has_room_when_ordinary_traffic_used_up_its_share(bench: Bench) -> None:
    async with stand(bench) as on:
        key = on.long(on.btc)
        on.hold(key, 50)
        await on.venue.positions()
        ordinary = await asyncio.gather(
            *(on.send(on.close(key, 1), lane=Lane.ORDINARY, deadline_s=0.5) for _ in range(40))
        )
        done = [outcome for outcome in ordinary if isinstance(outcome, Accepted)]
        held = [outcome for outcome in ordinary if isinstance(outcome, Rejected)]
        assert done
        assert held, "no limit was reached"
        assert {outcome.reason for outcome in held} <= {Reason.NOT_SENT, Reason.RATE_LIMITED}
        accepted(await on.send(on.close(key, 2), lane=Lane.EMERGENCY))


async def test_C115_closing_the_adapter_lets_what_is_being_sent_finish_and_sends_nothing_more(bench: Bench) -> None:
    async with stand(bench) as on:
        key = on.long(on.btc)
        on.hold(key, 5)
        on.fault(FaultKind.SLOW, Line.CLOSE, delay_ms=200)
        sending = asyncio.create_task(on.send(on.close(key, 2)))
        await until(lambda: on.tap.sent_to(bench.paths[Line.CLOSE]) == 1)
        await on.venue.close()
        assert sending.done()
        accepted(await sending)
        sent = len(on.tap.requests)
        assert isinstance(await on.send(on.close(key, 2), deadline_s=0.2), Rejected)
        with pytest.raises(VenueError):
            await on.venue.positions()
        assert (on.held(key), len(on.tap.requests)) == (3, sent)


async def test_C116_a_cancelled_send_leaves_the_adapter_whole(bench: Bench) -> None:
    async with stand(bench) as on:
        key = on.long(on.btc)
        on.hold(key, 5)
        on.fault(FaultKind.SLOW, Line.CLOSE, delay_ms=500, times=1)
        sending = asyncio.create_task(on.send(on.close(key, 2), "gd1gone"))
        await until(lambda: on.tap.sent_to(bench.paths[Line.CLOSE]) == 1)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert (await on.found(key, "gd1gone")).filled == on.size(key, 2)
        accepted(await on.send(on.close(key, 1)))


async def test_C117_an_edge_that_stops_common_libraries_lets_us_pass(bench: Bench) -> None:
    async with stand(bench, opened=False) as on:
        on.faults.add(FaultKind.AGENT_CHECK)
        await on.venue.open()
        assert (await on.venue.positions()).positions == ()
        async with on.listening([on.btc]):
            pass


async def test_C118_an_account_that_changes_its_family_is_told_once_and_gets_no_write(bench: Bench) -> None:
    needs(bench, Trait.CHANGES_FAMILY)
    assert bench.change_family is not None
    async with stand(bench) as on:
        key = on.long(on.btc)
        on.hold(key, 5)
        bench.change_family(on.server.dialect)
        sent = on.tap.sent_to(bench.paths[Line.CLOSE])
        for _ in range(5):
            outcome = await on.send(on.close(key, 2))
            assert isinstance(outcome, Rejected), outcome
        assert on.tap.sent_to(bench.paths[Line.CLOSE]) - sent <= 1, "the wrong family is retried in a loop"
        with pytest.raises((VenueError, CredentialsError)):
            await on.venue.positions()
        assert on.held(key) == 5
        edges = [said.edge for said in on.said() if said.severity == "critical"]
        assert len(edges) == len(set(edges)) == 1
