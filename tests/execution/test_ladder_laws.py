"""Ladders at a venue that does what venues do: never looser than it was, two generations of a tranche, one end (I1, I3, I5, I11).

The position grows, shrinks and fills; tranches fire; answers get lost; the guard is restarted. What rests is looked at after every
change that the venue makes.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from guardd.execution.reconcile import reconcile
from guardd.execution.resting import covered
from guardd.model.capabilities import Capabilities
from guardd.model.decision import OnUnprotected, WantedOrder
from guardd.model.event import FootingFound
from guardd.model.footing import FilledTranche
from guardd.model.intent import CancelOrder, Intent, PlaceProtection
from guardd.model.names import OrderId, PriceType, RuleName, Side
from guardd.model.order import PlanOrder, ProtectionKind
from guardd.model.outcome import Reason
from guardd.model.state import Held as HeldState
from guardd.policy.ladders import Held, Ladder, Rung, done_places, joined
from guardd.risk.tranches import filled_tranches
from tests.changed import replace
from tests.execution.bench import BOUNDS, EPISODE, INSTRUMENT, LONG, Bench, D, position, protect
from tests.execution.fake_venue import CAN_ALL, Answer

STOP = ProtectionKind.STOP_LOSS
RULE = RuleName("rest")
ANSWERS = [*Answer, Reason.INVALID, Reason.RATE_LIMITED, Reason.EDGE_BLOCKED]
EXAMPLES = int(os.environ.get("GUARDD_LADDER_EXAMPLES", "25"))
SHAPES = st.sampled_from([("0.5", "0.5"), ("0.3", "0.3", "0.4"), ("0.25", "0.75"), ("0.4", "0.2")])
OPS = st.one_of(
    st.just(("round", None)),
    st.just(("round", None)),
    st.tuples(st.just("answer"), st.sampled_from(ANSWERS)),
    st.tuples(st.just("higher"), st.sampled_from([1, 2, 4])),
    st.tuples(st.just("add"), st.sampled_from([10, 40, 100])),
    st.tuples(st.just("cut"), st.sampled_from([5, 30])),
    st.just(("fire", None)),
    st.just(("cancel", None)),
    st.tuples(st.just("time"), st.sampled_from([0.5, 3.0, 8.0, 70.0])),
    st.just(("late", None)),
)


@dataclass
class Desk:
    """One ladder on one position: wished for as the policy would, from what the state shows."""

    bench: Bench
    shares: tuple[str, ...]
    lowest: int = 85
    broken: list[str] = field(default_factory=list)
    filled: dict[RuleName, FilledTranche] = field(default_factory=dict)
    wished: tuple[WantedOrder, ...] = ()
    seen: dict[OrderId, PlanOrder] = field(default_factory=dict)
    fired: set[RuleName] = field(default_factory=set)
    confused: bool = False
    came_late: int = 0
    """Orders that arrived after looks over three seconds had proved them lost."""

    @property
    def held(self) -> HeldState:
        return self.bench.state.held[LONG]

    def wish(self) -> tuple[WantedOrder, ...]:
        self.filled = filled_tranches(self.bench.state, self.held, self.filled)
        shares = tuple(D(share) for share in self.shares)
        done = done_places(self.filled, RULE, STOP, shares, 0)
        rungs = tuple(
            Rung(
                rule=RULE,
                tranche=place,
                trigger_price=D(self.lowest + 2 * (len(shares) - place)),
                share=share,
                price_type=PriceType.MARK,
                on_unprotected=OnUnprotected.ALERT,
            )
            for place, share in enumerate(shares)
            if place not in done
        )
        row = self.held.position
        held = Held(quantity=row.quantity, largest=self.held.episode.largest_quantity, instrument=INSTRUMENT)
        self.wished = joined(
            [Ladder(rungs=rungs, done=sum((shares[place] for place in done), D(0)))], held, STOP, Side.LONG.sign
        )
        return self.wished

    async def guard(self, seconds: float) -> None:
        if LONG not in self.bench.state.held:
            return
        self.bench.executor.resume(self.bench.state.pending.values())
        steps = reconcile(protect(*self.wish()), self.bench.state, BOUNDS, now=self.bench.now)
        footing = replace(self.held.episode.footing, filled=tuple(self.filled.values()))
        self.bench.post(FootingFound(at=self.bench.now, key=LONG, episode=EPISODE, footing=footing))
        self.bench.go(steps)
        await self.bench.settle(seconds)
        if steps.position_first:
            self.bench.post(await self.bench.venue.positions())
        if steps.lists_first:
            self.bench.post(await self.bench.venue.orders())

    async def round(self) -> None:
        await self.guard(0.2)
        await self.guard(6)
        await self.bench.read()

    def look(self) -> None:
        """After every change that the venue makes."""
        plans = self.bench.venue.plans
        names = Counter(made.rule for plan in plans.values() if (made := self._intent_of(plan)) is not None)
        if any(count > 2 + self.came_late for count in names.values()):
            self.broken.append(f"I5: {names} rest")
        write = self.bench.venue.sent[-1].write
        if isinstance(write, CancelOrder) and write.order_id in self.seen and LONG in self.bench.venue.rows:
            self._ended(self.seen[write.order_id])
        self.seen = dict(plans)

    def _ended(self, ending: PlanOrder) -> None:
        """By no price of the ladder is less closed than the policy asks, if what ended had closed it (I3)."""
        quantity = min(self.bench.venue.rows[LONG].quantity, self.held.position.quantity)
        after = list(self.bench.venue.plans.values())
        slot = self._intent_of(ending)
        if {*self.bench.venue.plans, ending.order_id} != set(self.bench.state.plans):
            return  # the user took one away and no list has told yet
        if slot is None or any(self._intent_of(plan) is None for plan in after):
            return  # a plain plan order has no client id: which tranche it is for the venue can't tell
        heirs = [plan for plan in after if (made := self._intent_of(plan)) and made.rule == slot.rule]
        old = [plan for plan in after if plan not in heirs] + [ending]
        for order in self.wished:
            price = order.trigger_price
            sizes = [each.size for each in self.wished if each.trigger_price >= price]
            asked = sum((quantity if size is None else size for size in sizes), D(0))
            left = covered([plan for plan in after if plan.trigger_price >= price], quantity)
            before = covered([plan for plan in old if plan.trigger_price >= price], quantity)
            if left < min(before, asked, quantity):
                self.broken.append(f"I3: {left} of {min(before, asked, quantity)} closed by {price} without {ending}")

    def user(self, did: Callable[[], None]) -> None:
        did()
        self.seen = dict(self.bench.venue.plans)

    def resize(self, by: int) -> None:
        row = self.bench.venue.rows.get(LONG)
        if row is None or row.quantity + by <= 0:
            return
        now_ms = max(self.bench.now.wall_ms, row.venue_ms + 1)
        closed = row.closed_quantity + max(-by, 0)
        self.bench.venue.rows[LONG] = replace(row, quantity=row.quantity + by, closed_quantity=closed, venue_ms=now_ms)

    def fire(self) -> None:
        """The tranche that fires first does."""
        plans = sorted(self.bench.venue.plans.values(), key=lambda plan: -plan.trigger_price)
        if not plans or LONG not in self.bench.venue.rows:
            return
        made = self._intent_of(plans[0])
        write = None if made is None else made.write
        if made is not None and isinstance(write, PlaceProtection) and write.size and write.size < write.position_size:
            self.fired.add(made.rule)
        self.bench.venue.fire(plans[0].order_id)

    def _intent_of(self, plan: PlanOrder) -> Intent | None:
        return self.bench.journal.intended.get(plan.client_id or "")

    def cancel(self) -> None:
        plans = list(self.bench.venue.plans.values())
        if plans:
            del self.bench.venue.plans[plans[0].order_id]


@settings(max_examples=EXAMPLES, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(ops=st.lists(OPS, max_size=25), shares=SHAPES, can_modify=st.booleans(), can_whole=st.booleans())
def test_I01_I03_I05_I11_a_ladder_comes_to_one_end_whatever_happens(
    ops: list[tuple[str, object]], shares: tuple[str, ...], can_modify: bool, can_whole: bool
) -> None:
    can = replace(
        CAN_ALL,
        modify_protection=can_modify,
        whole_position_protection=can_whole,
        modify_size=can_modify and not can_whole,
    )
    asyncio.run(_scenario(ops, shares, can))


async def _scenario(ops: list[tuple[str, object]], shares: tuple[str, ...], can: Capabilities) -> None:
    bench = Bench(capabilities=can)
    await bench.hold(position())
    desk = Desk(bench, shares)
    bench.venue.watch_change = desk.look
    for name, value in ops:
        match name:
            case "round":
                await desk.round()
            case "answer":
                bench.venue.script.append(value)  # type: ignore[arg-type]
                desk.confused |= value is Answer.UNKNOWN_LATE
                desk.came_late += value is Answer.UNKNOWN_LATE
            case "higher":
                desk.lowest = min(desk.lowest + int(str(value)), 92)
            case "add":
                desk.resize(int(str(value)))
            case "cut":
                desk.resize(-int(str(value)))
            case "fire":
                desk.user(desk.fire)
            case "cancel":
                desk.user(desk.cancel)
                desk.confused = True
            case "time":
                await bench.settle(float(str(value)))
            case "late":
                desk.user(bench.venue.late)
        assert desk.broken == [], desk.broken
    bench.venue.script.clear()
    bench.venue.late()
    await bench.settle(70)
    for _ in range(14):
        await desk.round()
    _at_rest(desk)
    await bench.end()


def _at_rest(desk: Desk) -> None:
    """What the policy asks for rests, and nothing else: each rung with its size, no price behind what is wished (I1, I5)."""
    bench = desk.bench
    if LONG not in bench.venue.rows:
        return
    wanted = {(order.trigger_price, order.size) for order in desk.wish()}
    if not wanted:  # every tranche of a ladder for a part filled: what an earlier generation left isn't taken away
        return
    quantity = bench.venue.rows[LONG].quantity
    resting = sorted((plan.trigger_price, plan.size) for plan in bench.venue.plans.values() if plan.key == LONG)
    assert sum((quantity if size is None else size for _, size in resting), Decimal(0)) <= quantity, resting
    assert len(resting) == len(wanted), (resting, wanted, quantity)
    for (trigger, size), order in zip(resting, sorted(desk.wish(), key=lambda order: order.trigger_price), strict=True):
        assert trigger >= order.trigger_price
        assert (quantity if size is None else size) == (quantity if order.size is None else order.size)
    # An order that was given up as lost and came late, and one that the user took at the same moment, can't be told from it.
    assert desk.confused or len(desk.filled) >= len(desk.fired), "a tranche that filled is done for the episode"
    assert not bench.state.pending
    assert not reconcile(protect(*desk.wish()), bench.state, BOUNDS, now=bench.now).proposals
    assert desk.held.episode.id == EPISODE
