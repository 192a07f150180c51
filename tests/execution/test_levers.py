"""Leverage, margin and transfers on their way to the venue: what may be sent, and what became of it (I7, I16, I17, I20)."""

from typing import Any

import pytest

from guardd.execution.approve import ApprovedIntent, NeedsRead
from guardd.execution.awaken import awaken
from guardd.execution.closing import closing_steps
from guardd.execution.levering import lever_steps
from guardd.execution.proposal import Leash, Steps
from guardd.execution.refusal import Refusal, RefusalKind
from guardd.execution.windows import largest_quantity, topped_up
from guardd.journal.base import Memory, Remembered
from guardd.model.decision import AddMargin, Close, Lever, LowerLeverage, Reduce, TopUp
from guardd.model.event import BalanceRead, OperatorSpoke, OperatorWord
from guardd.model.intent import FINISHED, Action, Intent, Stage
from guardd.model.names import MarginMode, RuleName
from guardd.model.outcome import Reason
from guardd.model.position import Position
from guardd.model.reading import Absent
from guardd.venues.limiter import Lane
from tests.changed import replace
from tests.execution.bench import BOUNDS, EMPTY_MEMORY, EPISODE, LONG, SHORT, Bench, D, balance, fresh_state, position
from tests.execution.fake_venue import CAN_ALL, Answer

RULE = RuleName("feed")
LOWER = LowerLeverage(key=LONG, episode=EPISODE, rule=RULE, leverage=D(4), reason="too near")
ADD = AddMargin(key=LONG, episode=EPISODE, rule=RULE, amount=D(50), currency="USDT", reason="too near")
TOP_UP = TopUp(key=LONG, episode=EPISODE, rule=RULE, amount=D(100), currency="USDT", reason="too near")
CLOSE = Close(key=LONG, episode=EPISODE, rule=RULE, reason="the end is near")
DONE = [Stage.DECIDED, Stage.JOURNALLED, Stage.SENT, Stage.ACCEPTED, Stage.VERIFIED]


def isolated(**changes: Any) -> Position:
    return position(margin=D(2_000), **changes)


def crossed(**changes: Any) -> Position:
    return position(margin_mode=MarginMode.CROSS, **changes)


@pytest.fixture
async def bench():
    bench = Bench()
    bench.venue.balance = balance()
    await hold(bench, isolated())
    yield bench
    await bench.end()


async def hold(bench: Bench, *rows: Position) -> None:
    await bench.hold(*rows)
    assert bench.venue.balance is not None
    bench.post(BalanceRead(at=bench.now, balances=(bench.venue.balance,)))


def steps(bench: Bench, decision: Lever) -> Steps:
    return lever_steps(decision, bench.state)


def judge(bench: Bench, decision: Lever, **changes: Any) -> ApprovedIntent | Refusal | NeedsRead:
    [proposal] = steps(bench, decision).proposals
    return bench.judge(proposal, **changes)


def refused(bench: Bench, decision: Lever, **changes: Any) -> RefusalKind:
    verdict = judge(bench, decision, **changes)
    assert isinstance(verdict, Refusal), verdict
    return verdict.kind


def go(bench: Bench, decision: Lever) -> Intent:
    [intent] = bench.go(steps(bench, decision))
    return intent


# What may be sent


@pytest.mark.parametrize(
    ("decision", "rows", "change", "kind"),
    [
        (replace(LOWER, leverage=D(5)), (), {}, RefusalKind.WORSENS),
        (replace(LOWER, leverage=D(6)), (), {}, RefusalKind.WORSENS),
        (replace(LOWER, leverage=D(1)), (), {"available": "7999"}, RefusalKind.BALANCE),
        (ADD, (), {"available": "49.99"}, RefusalKind.BALANCE),
        (ADD, (crossed(),), {}, RefusalKind.UNABLE),
        (ADD, (isolated(auto_margin=True),), {}, RefusalKind.UNABLE),
        (replace(ADD, currency="USDC"), (), {}, RefusalKind.UNABLE),
        (replace(ADD, amount=D("500.01")), (), {}, RefusalKind.LIMIT),
        (TOP_UP, (isolated(),), {}, RefusalKind.UNABLE),
        (replace(TOP_UP, currency="USDC"), (crossed(),), {}, RefusalKind.UNABLE),
        (replace(TOP_UP, amount=D("500.01")), (crossed(),), {}, RefusalKind.LIMIT),
    ],
)
async def test_I16_I17_what_may_not_be_moved_is_refused(
    bench: Bench, decision: Lever, rows: tuple[Position, ...], change: dict[str, str], kind: RefusalKind
) -> None:
    bench.venue.balance = balance(**change)
    await hold(bench, *(rows or (isolated(),)))
    assert refused(bench, decision) is kind


@pytest.mark.parametrize("decision", [LOWER, ADD, TOP_UP], ids=["leverage", "margin", "transfer"])
async def test_a_venue_that_cant_is_asked_for_nothing(decision: Lever) -> None:
    none = replace(CAN_ALL, add_margin=False, set_leverage=False, top_up=False)
    bench = Bench(capabilities=none)
    bench.venue.balance = balance()
    await hold(bench, crossed() if decision is TOP_UP else isolated())
    assert refused(bench, decision) is RefusalKind.UNABLE


@pytest.mark.parametrize("decision", [LOWER, ADD], ids=["leverage", "margin"])
@pytest.mark.parametrize(
    ("word", "kind"), [(OperatorWord.HALT, RefusalKind.HALTED), (OperatorWord.PARK, RefusalKind.PARKED)]
)
async def test_I22_while_halted_or_parked_nothing_is_moved(
    bench: Bench, decision: Lever, word: OperatorWord, kind: RefusalKind
) -> None:
    bench.post(OperatorSpoke(at=bench.now, word=word, why="test"))
    assert refused(bench, decision) is kind


async def test_I22_observing_only_tells() -> None:
    bench = Bench(armed=False)
    bench.venue.balance = balance()
    await hold(bench, isolated())
    assert refused(bench, ADD) is RefusalKind.OBSERVING
    assert bench.go(steps(bench, ADD)) == []
    assert bench.venue.sent == []


async def test_an_old_position_is_read_before_anything_is_moved(bench: Bench) -> None:
    assert isinstance(judge(bench, ADD, now=bench.now.later_by(3.1)), NeedsRead)


async def test_a_margin_that_isnt_known_is_read_before_it_is_added_to(bench: Bench) -> None:
    await hold(bench, position(margin=Absent.UNKNOWN))
    assert isinstance(judge(bench, ADD), NeedsRead)


async def test_I29_the_account_was_cross_checked_before_anything_is_moved(bench: Bench) -> None:
    assert refused(bench, ADD, doubts=("the figures differ",)) is RefusalKind.CROSS_CHECK


async def test_I16_nothing_is_moved_for_a_position_that_is_being_closed(bench: Bench) -> None:
    bench.venue.script.append(Answer.UNKNOWN_LOST)
    other = replace(CLOSE, rule=RuleName("last-resort"))
    bench.go(closing_steps(other, bench.state, BOUNDS, now=bench.now))
    assert refused(bench, ADD) is RefusalKind.IN_FLIGHT


async def test_levers_take_the_ordinary_lane_and_count_among_the_orders_of_a_minute(bench: Bench) -> None:
    verdict = judge(bench, ADD)
    assert isinstance(verdict, ApprovedIntent)
    assert verdict.lane is Lane.ORDINARY
    go(bench, LOWER)
    await bench.settle(3)
    await hold(bench, *bench.venue.rows.values())
    assert refused(bench, ADD, leash=Leash(orders_per_minute=1)) is RefusalKind.LIMIT


# What became of it


async def test_a_lower_leverage_is_verified_by_the_position(bench: Bench) -> None:
    intent = go(bench, LOWER)
    await bench.settle(3)
    assert bench.stages(intent) == DONE
    assert bench.state.held[LONG].position.leverage == 4


async def test_a_leverage_that_the_venue_takes_and_doesnt_set_has_failed_after_two_seconds(bench: Bench) -> None:
    bench.venue.script.append(Answer.ACCEPT_NOT_LISTED)
    intent = go(bench, LOWER)
    await bench.settle(2.1)
    assert bench.stages(intent)[-1] is Stage.FAILED


async def test_I20_an_addition_is_durable_before_it_is_sent_and_verified_by_the_positions_margin(bench: Bench) -> None:
    intent = go(bench, ADD)
    await bench.settle(3)
    assert bench.stages(intent) == DONE
    log = bench.venue.log
    assert log.index(f"durable {intent.id}") < log.index("send AddMargin")
    assert "money_moved" not in " ".join(log), "the position's own margin tells it"
    assert any(isinstance(event, BalanceRead) for event in bench.events)


async def test_a_transfer_is_verified_by_the_venues_record_and_by_a_balance_read_after_it(bench: Bench) -> None:
    await hold(bench, crossed())
    intent = go(bench, TOP_UP)
    await bench.settle(3)
    assert bench.stages(intent) == DONE
    reads = [event for event in bench.events if isinstance(event, BalanceRead)]
    assert reads[-1].balances[0].available == 10_100
    assert bench.state.finished[-1].order_id == bench.venue.records[0].id
    assert bench.venue.records[0].id not in bench.state.own_order_ids


@pytest.mark.parametrize(("decision", "row"), [(ADD, isolated()), (TOP_UP, crossed())], ids=["margin", "transfer"])
async def test_I07_an_unknown_move_that_was_done_is_found_and_never_sent_again(
    bench: Bench, decision: Lever, row: Position
) -> None:
    await hold(bench, row)
    bench.venue.script.append(Answer.UNKNOWN_DONE)
    intent = go(bench, decision)
    await bench.settle(3)
    assert bench.stages(intent)[-1] is Stage.VERIFIED
    assert len(bench.venue.sent) == 1


@pytest.mark.parametrize(("decision", "row"), [(ADD, isolated()), (TOP_UP, crossed())], ids=["margin", "transfer"])
async def test_I07_I16_a_lost_move_stays_unknown_for_ten_seconds_keeps_its_like_back_and_counts_all_day(
    bench: Bench, decision: Lever, row: Position
) -> None:
    await hold(bench, row)
    bench.venue.script.append(Answer.UNKNOWN_LOST)
    intent = go(bench, decision)
    await bench.settle(9)
    await hold(bench, row)
    assert bench.stages(intent)[-1] is Stage.UNKNOWN
    again = replace(decision, rule=RuleName("other"))
    assert refused(bench, again) is RefusalKind.IN_FLIGHT
    await bench.settle(12)
    assert bench.stages(intent)[-1] is Stage.FAILED
    assert topped_up(bench.state, bench.now) == decision.amount
    assert len(bench.venue.sent) == 1


async def test_I07_money_never_goes_twice_under_one_id_and_a_late_one_counts_beside_the_next(bench: Bench) -> None:
    await hold(bench, crossed())
    bench.venue.script.append(Answer.UNKNOWN_LATE)
    first = go(bench, TOP_UP)
    await bench.settle(25)
    await hold(bench, crossed())
    second = go(bench, TOP_UP)
    assert second.id != first.id
    bench.venue.late()
    await bench.settle(3)
    assert topped_up(bench.state, bench.now) == sum(record.amount for record in bench.venue.records) == 200


async def test_a_move_that_is_accepted_and_never_shows_has_failed_and_counts(bench: Bench) -> None:
    bench.venue.script.append(Answer.ACCEPT_NOT_LISTED)
    intent = go(bench, ADD)
    await bench.settle(25)
    assert bench.stages(intent)[-1] is Stage.FAILED
    assert topped_up(bench.state, bench.now) == 50


async def test_I07_the_record_of_an_earlier_transfer_is_no_evidence_for_a_later_one(bench: Bench) -> None:
    await hold(bench, crossed())
    go(bench, TOP_UP)
    await bench.settle(0.5)
    await hold(bench, crossed())
    bench.venue.script.append(Answer.UNKNOWN_LOST)
    second = go(bench, TOP_UP)
    await bench.settle(25)
    assert len(bench.venue.records) == 1
    assert bench.stages(second)[-1] is Stage.FAILED


async def test_a_record_that_the_venue_is_still_at_settles_nothing_yet(bench: Bench) -> None:
    await hold(bench, crossed())
    bench.venue.script.append(Answer.UNKNOWN_DONE)
    intent = go(bench, TOP_UP)
    bench.venue.records_done = False
    await bench.settle(15)
    assert bench.stages(intent)[-1] is Stage.UNKNOWN
    bench.venue.records_done = True
    await bench.settle(15)
    assert bench.stages(intent)[-1] is Stage.VERIFIED


async def test_records_that_cant_be_read_are_no_evidence_of_absence(bench: Bench) -> None:
    await hold(bench, crossed())
    bench.venue.script.append(Answer.UNKNOWN_LOST)
    intent = go(bench, TOP_UP)
    bench.venue.reads_fail = True
    await bench.settle(30)
    assert bench.stages(intent)[-1] is Stage.UNKNOWN


@pytest.mark.parametrize(("answer", "stage"), [(Answer.ACCEPT, Stage.VERIFIED), (Answer.UNKNOWN_DONE, Stage.UNKNOWN)])
async def test_where_records_cant_be_read_the_venues_own_word_counts_and_nothing_less(
    bench: Bench, answer: Answer, stage: Stage
) -> None:
    await hold(bench, crossed())
    bench.venue.records_fail = True
    bench.venue.script.append(answer)
    intent = go(bench, TOP_UP)
    await bench.settle(2.1)
    assert bench.stages(intent)[-1] is stage
    await bench.settle(30)
    assert bench.stages(intent)[-1] is stage


async def test_margin_that_changed_with_the_quantity_is_no_evidence_of_an_addition(bench: Bench) -> None:
    bench.venue.script.append(Answer.UNKNOWN_LOST)
    intent = go(bench, ADD)
    bench.venue.rows[LONG] = isolated(quantity=120, venue_ms=bench.now.wall_ms + 1)
    bench.venue.rows[LONG] = replace(bench.venue.rows[LONG], margin=D(2_400))
    await bench.settle(25)
    assert bench.stages(intent)[-1] is Stage.FAILED


async def test_a_refusal_for_the_balance_reads_the_balance_before_it_is_settled(bench: Bench) -> None:
    bench.venue.script.append(Reason.BALANCE)
    intent = go(bench, ADD)
    bench.events.clear()
    await bench.settle(1)
    assert any(isinstance(event, BalanceRead) for event in bench.events)
    assert bench.stages(intent)[-1] is Stage.REJECTED
    assert topped_up(bench.state, bench.now) == 0


# What follows


@pytest.mark.parametrize(("waited_s", "goes"), [(1.9, False), (2.1, True)])
async def test_a_rules_reduction_goes_over_its_own_unsettled_margin_after_two_seconds(
    bench: Bench, waited_s: float, goes: bool
) -> None:
    bench.venue.script.append(Answer.UNKNOWN_LOST)
    first = go(bench, ADD)
    await bench.settle(waited_s)
    await hold(bench, isolated())
    trim = Reduce(key=LONG, episode=EPISODE, rule=RULE, size=D(10), reason="still too near")
    started = bench.go(closing_steps(trim, bench.state, BOUNDS, now=bench.now))
    assert [each.action for each in started] == ([Action.REDUCE] if goes else [])
    assert all(each.id != first.id for each in started)


async def test_a_rules_close_waits_for_none_of_its_margin(bench: Bench) -> None:
    bench.venue.script.append(Answer.UNKNOWN_LOST)
    go(bench, ADD)
    [close] = bench.go(closing_steps(CLOSE, bench.state, BOUNDS, now=bench.now))
    assert close.action is Action.CLOSE


async def test_two_positions_cant_top_up_the_account_at_once(bench: Bench) -> None:
    await hold(bench, crossed(), crossed(key=SHORT))
    go(bench, TOP_UP)
    held = bench.state.held[SHORT]
    other = replace(TOP_UP, key=SHORT, episode=held.episode.id)
    assert refused(bench, other) is RefusalKind.IN_FLIGHT


# Across a restart


def kept(bench: Bench, intent: Intent) -> Memory:
    """What the journal would say of one intent."""
    if intent.id not in bench.journal.intended:
        return EMPTY_MEMORY
    notes = [note for note in bench.journal.notes if note.intent.id == intent.id]
    last = notes[-1] if notes else None
    one = Remembered(
        intent=intent,
        stage=Stage.JOURNALLED if last is None else last.stage,
        outcome=None if last is None else last.outcome,
        order_id=None if last is None else last.order_id,
        filled=None,
        at_ms=bench.now.wall_ms,
    )
    return replace(EMPTY_MEMORY, **{"recent" if one.stage in FINISHED else "unfinished": (one,)})


async def restart(bench: Bench, memory: Memory, *, away_s: float = 0.0) -> None:
    await bench.end()
    bench.clock.pass_time(away_s)
    bench.state = fresh_state(bench.now)
    awaken(bench.state, memory, now=bench.now, clock_offset_ms=0)
    bench.executor = bench.new_executor()
    await hold(bench, *bench.venue.rows.values())


@pytest.mark.parametrize("answer", [Answer.ACCEPT, Answer.UNKNOWN_DONE, Answer.UNKNOWN_LOST])
@pytest.mark.parametrize("turns", range(0, 24, 3))
@pytest.mark.parametrize(("decision", "row"), [(ADD, isolated()), (TOP_UP, crossed())], ids=["margin", "transfer"])
async def test_I08_killed_anywhere_money_is_moved_once(
    bench: Bench, turns: int, answer: Answer, decision: Lever, row: Position
) -> None:
    await hold(bench, row)
    bench.venue.pause_s = 0.01
    bench.venue.script.append(answer)
    intent = go(bench, decision)
    for _ in range(turns):
        await bench.clock.advance(0.01, turns=1)
    await bench.end()
    bench.venue.script.clear()
    bench.venue.pause_s = 0.0
    await restart(bench, kept(bench, intent), away_s=1)
    bench.executor.resume(bench.state.pending.values())
    await bench.settle(25)
    await hold(bench, *bench.venue.rows.values())
    if not any(finished.stage is Stage.VERIFIED for finished in bench.state.finished):
        go(bench, decision)
        await bench.settle(5)
    assert len(bench.venue.records) == 1
    assert topped_up(bench.state, bench.now) >= decision.amount


async def test_I24_the_days_window_survives_a_restart(bench: Bench) -> None:
    first = go(bench, replace(ADD, amount=D(450)))
    await bench.settle(3)
    memory = kept(bench, first)
    await restart(bench, memory, away_s=3_600)
    assert refused(bench, replace(ADD, amount=D(51))) is RefusalKind.LIMIT
    assert isinstance(judge(bench, ADD), ApprovedIntent)
    await restart(bench, memory, away_s=24 * 3_600)
    assert isinstance(judge(bench, replace(ADD, amount=D(51))), ApprovedIntent)


# The rest of the leash


async def test_the_hours_largest_quantity_is_the_largest_it_had_in_the_hour_whoever_closed_it(bench: Bench) -> None:
    def at_the_venue(quantity: int) -> None:
        bench.venue.rows[LONG] = isolated(quantity=quantity, venue_ms=bench.now.wall_ms)

    await bench.settle(4_000)
    for quantity in (100, 300, 200):
        at_the_venue(quantity)
        await bench.read()
        await bench.settle(60)
    assert largest_quantity(bench.state, LONG, bench.now) == 300
    await bench.settle(3_601)
    assert largest_quantity(bench.state, LONG, bench.now) == 200
    trim = Reduce(key=LONG, episode=EPISODE, rule=RuleName("trim"), size=D(101), reason="too near")
    await bench.read()
    [proposal] = closing_steps(trim, bench.state, BOUNDS, now=bench.now).proposals
    verdict = bench.judge(proposal, leash=Leash(reduce_per_hour=D("0.5")))
    assert isinstance(verdict, Refusal)
    assert verdict.kind is RefusalKind.LIMIT


async def test_I24_the_breakers_minute_survives_a_restart(bench: Bench) -> None:
    done: list[Remembered] = []
    for number in range(3):
        bench.venue.script.append(Reason.POSITION_LIQUIDATING)
        close = replace(CLOSE, rule=RuleName(f"rule{number}"))
        [intent] = bench.go(closing_steps(close, bench.state, BOUNDS, now=bench.now))
        await bench.settle(0.2)
        done += kept(bench, intent).recent
    memory = replace(EMPTY_MEMORY, recent=tuple(done))
    fourth = replace(CLOSE, rule=RuleName("fourth"))
    for away_s, tripped in ((5.0, True), (60.0, False)):
        await restart(bench, memory, away_s=away_s)
        [proposal] = closing_steps(fourth, bench.state, BOUNDS, now=bench.now).proposals
        verdict = bench.judge(proposal)
        assert (isinstance(verdict, Refusal) and verdict.kind is RefusalKind.BREAKER) is tripped


async def test_the_orders_of_a_minute_survive_a_restart(bench: Bench) -> None:
    first = go(bench, LOWER)
    await bench.settle(3)
    memory = kept(bench, first)
    for away_s, full in ((5.0, True), (60.0, False)):
        await restart(bench, memory, away_s=away_s)
        verdict = judge(bench, replace(ADD, rule=RuleName("other")), leash=Leash(orders_per_minute=1))
        assert isinstance(verdict, Refusal) is full
