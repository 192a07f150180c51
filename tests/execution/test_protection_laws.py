"""Whatever the venue answers, and in whatever order things happen: never without a stop, two generations, no way back, one end.

Invariants I3, I5 and I11 are checked inside the venue, after every change it makes.
"""

import asyncio
from dataclasses import dataclass, field
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from guardd.execution.reconcile import reconcile
from guardd.execution.resting import made_by_us
from guardd.model.capabilities import Capabilities
from guardd.model.outcome import Reason
from tests.changed import replace
from tests.execution.bench import BOUNDS, LONG, Bench, D, position, protect, wanted
from tests.execution.fake_venue import CAN_ALL, Answer

ANSWERS = [*Answer, Reason.INVALID, Reason.RATE_LIMITED, Reason.EDGE_BLOCKED, Reason.SIZE_ABOVE_POSITION]
OPS = st.one_of(
    st.just(("guard", None)),
    st.just(("round", None)),
    st.just(("round", None)),
    st.tuples(st.just("answer"), st.sampled_from(ANSWERS)),
    st.tuples(st.just("wish"), st.sampled_from([82, 90, 91, 95])),
    st.tuples(st.just("quantity"), st.sampled_from([1, 60, 101, 150])),
    st.tuples(st.just("time"), st.sampled_from([0.05, 0.5, 3.0, 8.0, 70.0])),
    st.just(("read", None)),
    st.tuples(st.just("reads fail"), st.booleans()),
    st.just(("late", None)),
    st.just(("restart", None)),
)


@dataclass
class Law:
    """Watches the venue: what it saw may never get worse."""

    bench: Bench
    broken: list[str] = field(default_factory=list)
    tightest: Decimal | None = None
    came_late: int = 0
    """Plain plan orders that arrived after looks over three seconds had proved them lost: nothing tells one from the next."""

    def late(self) -> None:
        """What was lost arrives after all. One with a client id is the same order when it is sent again; a plain one isn't."""
        self.came_late += self.bench.venue.late_without_client_id()
        self.bench.venue.late()

    def check(self) -> None:
        stops = list(self.bench.venue.plans.values())
        if self.tightest is not None and not stops:
            self.broken.append("I3: a position that had a stop has none")
        if len(stops) > 2 + self.came_late:
            self.broken.append(f"I5: {len(stops)} generations rest")
        if stops:
            now = max(stop.trigger_price for stop in stops)
            if self.tightest is not None and now < self.tightest:
                self.broken.append(f"I11: the tightest stop went from {self.tightest} to {now}")
            self.tightest = max(now, self.tightest or now)


@settings(max_examples=100, deadline=None)
@given(
    ops=st.lists(OPS, max_size=40),
    can_modify=st.booleans(),
    can_whole=st.booleans(),
    can_sized=st.booleans(),
)
def test_I03_I05_I11_through_any_interleaving(
    ops: list[tuple[str, object]], can_modify: bool, can_whole: bool, can_sized: bool
) -> None:
    can = replace(
        CAN_ALL, modify_protection=can_modify, whole_position_protection=can_whole, sized_protection=can_sized
    )
    asyncio.run(_scenario(ops, can))


async def _scenario(ops: list[tuple[str, object]], can: Capabilities) -> None:
    bench = Bench(capabilities=can)
    await bench.hold(position())
    law = Law(bench)
    bench.venue.watch_change = law.check
    wish = "90"
    for name, value in ops:
        match name:
            case "guard":
                bench.executor.resume(bench.state.pending.values())
                _guard(bench, wish)
                await bench.settle(0)
            case "round":
                bench.executor.resume(bench.state.pending.values())
                _guard(bench, wish)
                await bench.settle(6)
                if not bench.venue.reads_fail:
                    await bench.read()
            case "answer":
                bench.venue.script.append(value)  # type: ignore[arg-type]
            case "wish":
                wish = str(value)
            case "quantity":
                bench.venue.rows[LONG] = _resized(bench, int(str(value)))
            case "time":
                await bench.settle(float(str(value)))
            case "read":
                if not bench.venue.reads_fail:
                    await bench.read()
            case "reads fail":
                bench.venue.reads_fail = bool(value)
            case "late":
                law.late()
            case "restart":
                await bench.end()
        assert law.broken == []
    await _calm(bench, wish, law)
    assert law.broken == []
    await _converges(bench, wish)
    await bench.end()


async def _calm(bench: Bench, wish: str, law: Law) -> None:
    """Faults stop: what was late arrives, reads answer, every answer is yes."""
    bench.venue.script.clear()
    bench.venue.reads_fail = False
    law.late()
    for _ in range(30):
        bench.executor.resume(bench.state.pending.values())
        await bench.settle(10)
        await bench.read()
        _guard(bench, wish)
        await bench.settle(5)
        await bench.read()


async def _converges(bench: Bench, wish: str) -> None:
    [stop] = bench.venue.plans.values()
    quantity = bench.venue.rows[LONG].quantity
    assert stop.size in (None, quantity)
    moved_enough = stop.trigger_price * Decimal("1.001")
    assert stop.trigger_price >= D(wish) or D(wish) < moved_enough
    assert made_by_us(bench.state, stop)
    assert not bench.state.pending
    assert not reconcile(protect(wanted(wish)), bench.state, BOUNDS, now=bench.now).proposals


def _guard(bench: Bench, wish: str) -> None:
    bench.go(reconcile(protect(wanted(wish)), bench.state, BOUNDS, now=bench.now))


def _resized(bench: Bench, quantity: int):
    row = bench.venue.rows[LONG]
    closed = row.closed_quantity + max(row.quantity - quantity, D(0))
    now_ms = max(bench.now.wall_ms, row.venue_ms + 1)
    return replace(row, quantity=D(quantity), closed_quantity=closed, venue_ms=now_ms)
