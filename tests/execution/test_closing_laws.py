"""Whatever the venue answers: closes in flight never exceed the position, and one decision is executed once (I1, I2, I7, I8)."""

import asyncio
from dataclasses import dataclass, field
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from guardd.execution.closing import closing_steps, unfinished_reductions
from guardd.execution.windows import closing_in_flight
from guardd.model.decision import Close, Reduce
from guardd.model.intent import CloseAtMarket, Stage
from guardd.model.names import RuleName
from guardd.model.outcome import Reason
from tests.changed import replace
from tests.execution.bench import BOUNDS, EPISODE, INSTRUMENT, LONG, Bench, D, position
from tests.execution.fake_venue import Answer

ANSWERS = [*(each for each in Answer if each is not Answer.ACCEPT_NOT_LISTED), Reason.NOT_SENT, Reason.INVALID]
OPS = st.one_of(
    st.just(("round", None)),
    st.just(("round", None)),
    st.just(("reduce", None)),
    st.just(("close", None)),
    st.tuples(st.just("answer"), st.sampled_from(ANSWERS)),
    st.tuples(st.just("user closes"), st.sampled_from([1, 20])),
    st.tuples(st.just("time"), st.sampled_from([0.05, 0.5, 3.0, 8.0])),
    st.tuples(st.just("reads fail"), st.booleans()),
    st.just(("late", None)),
    st.just(("restart", None)),
)


@dataclass
class Law:
    bench: Bench
    broken: list[str] = field(default_factory=list)
    quantity: Decimal = Decimal(0)

    in_flight: Decimal = Decimal(0)

    def check(self) -> None:
        held = self.bench.state.held.get(LONG)
        before, self.in_flight = self.in_flight, closing_in_flight(self.bench.state, LONG)
        added = self.in_flight > before  # what the user closes meanwhile may leave less than is in flight already
        if added and held is not None and self.in_flight > held.position.quantity:
            self.broken.append("I1: closes in flight exceed the position")
        row = self.bench.venue.rows.get(LONG)
        quantity = row.quantity if row is not None else D(0)
        if quantity > self.quantity or quantity < 0:
            self.broken.append(f"I2: from {self.quantity} to {quantity}")
        self.quantity = quantity


@settings(max_examples=100, deadline=None)
@given(ops=st.lists(OPS, max_size=30))
def test_I01_I02_closes_in_flight_never_exceed_the_position(ops: list[tuple[str, object]]) -> None:
    asyncio.run(_scenario(ops))


@settings(max_examples=100, deadline=None)
@given(answers=st.lists(st.sampled_from(ANSWERS), max_size=6), late=st.lists(st.booleans(), min_size=8, max_size=8))
def test_I07_I08_one_decision_is_executed_once(answers: list[Answer | Reason], late: list[bool]) -> None:
    asyncio.run(_once(answers, late))


@settings(max_examples=60, deadline=None)
@given(quantity=st.integers(1, 300), most=st.integers(5, 100), least=st.integers(1, 5), by_half=st.booleans())
def test_I18_slices_close_what_was_asked_and_leave_nothing_that_cannot_be_closed(
    quantity: int, most: int, least: int, by_half: bool
) -> None:
    asyncio.run(_slices(quantity, most, least, by_half=by_half))


async def _scenario(ops: list[tuple[str, object]]) -> None:
    bench = Bench()
    await bench.hold(position())
    law = Law(bench, quantity=D(100))
    bench.venue.watch_change = law.check
    for name, value in ops:
        match name:
            case "round":
                await _round(bench)
            case "reduce":
                _decide(bench, _reduce(30))
                law.check()
            case "close":
                _decide(bench, _close())
                law.check()
            case "answer":
                bench.venue.script.append(value)  # type: ignore[arg-type]
            case "user closes" if LONG in bench.venue.rows:
                _user_closes(bench, D(str(value)))
                law.check()
            case "time":
                await bench.settle(float(str(value)))
            case "reads fail":
                bench.venue.reads_fail = bool(value)
            case "late":
                bench.venue.late()
            case "restart":
                await bench.end()
        assert law.broken == []
    bench.venue.script.clear()
    bench.venue.reads_fail = False
    bench.venue.late()
    for _ in range(40):
        await _round(bench)
        _decide(bench, _close())
        if not bench.venue.rows and not bench.state.pending and not bench.state.held:
            break
    assert (bench.venue.rows, bench.state.held, law.broken) == ({}, {}, []), "a close goes on until it is flat"
    await bench.end()


async def _once(answers: list[Answer | Reason], late: list[bool]) -> None:
    bench = Bench()
    await bench.hold(position())
    bench.venue.script.extend(answers)
    for arrives in [*late, *[True] * 40]:
        if arrives:
            bench.venue.late()
        await _round(bench)
        if any(finished.stage is Stage.VERIFIED for finished in bench.state.finished):
            break
        _decide(bench, _reduce(30))
    await bench.settle(30)
    bench.venue.late()
    await _round(bench)
    assert bench.venue.rows[LONG].quantity == 70
    await bench.end()


async def _slices(quantity: int, most: int, least: int, *, by_half: bool) -> None:
    bench = Bench()
    instrument = replace(INSTRUMENT, max_market_size=D(most), min_size=D(least))
    bench.state.instruments[INSTRUMENT.symbol] = instrument
    await bench.hold(position(quantity=quantity))
    asked = quantity // 2 if by_half else quantity
    if by_half:
        if asked > 0:
            _decide(bench, _reduce(asked))
        await bench.settle(4)
        for _ in range(80):
            await _round(bench)
            rest = unfinished_reductions(bench.state, bench.now)
            if not rest and not bench.state.pending:
                break
            for decision in rest:
                _decide(bench, decision)
    else:
        for _ in range(80):
            _decide(bench, _close())
            await bench.settle(4)
            await bench.read()
            if not bench.venue.rows or quantity < least:
                break
    sizes = [sent.write.size for sent in bench.venue.sent if isinstance(sent.write, CloseAtMarket)]
    assert all(least <= size <= most for size in sizes)
    row = bench.venue.rows.get(LONG)
    left = row.quantity if row is not None else D(0)
    if by_half:
        assert quantity - asked <= left <= quantity - asked + 2 * least
        assert left >= least or quantity < least
    else:
        slices = -(-quantity // most)
        assert left == 0 if slices * least <= quantity else left < least
    await bench.end()


async def _round(bench: Bench) -> None:
    bench.executor.resume(bench.state.pending.values())
    await bench.settle(4)
    if not bench.venue.reads_fail:
        await bench.read()


def _decide(bench: Bench, decision: Close | Reduce) -> None:
    bench.go(closing_steps(decision, bench.state, BOUNDS, now=bench.now))


def _reduce(size: int) -> Reduce:
    return Reduce(key=LONG, episode=EPISODE, rule=RuleName("trim"), size=D(size), reason="too near")


def _close() -> Close:
    return Close(key=LONG, episode=EPISODE, rule=RuleName("last-resort"), reason="the end is near")


def _user_closes(bench: Bench, size: Decimal) -> None:
    row = bench.venue.rows[LONG]
    if row.quantity <= size:
        del bench.venue.rows[LONG]
        return
    closed = row.closed_quantity + size
    bench.venue.rows[LONG] = replace(
        row, quantity=row.quantity - size, closed_quantity=closed, venue_ms=bench.now.wall_ms
    )
