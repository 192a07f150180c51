"""interfaces.md 2.4, `trail_stop` and **Ladders**: tranches, what they are shares of, and the best mark."""

from decimal import Decimal

import pytest

from guardd.errors import ConfigurationError
from guardd.model.event import PositionsPushed
from guardd.model.fold import fold
from guardd.model.names import PriceType, Side
from guardd.model.order import ProtectionKind
from guardd.policy.decide import Decided
from guardd.policy.language import TrailStop
from guardd.policy.memory import Memory
from tests.changed import replace
from tests.daemon.test_guard import GuardBench, pushed
from tests.execution.bench import LONG as HELD
from tests.execution.bench import position
from tests.model.accounts import D, row
from tests.policy.guarded import Guarded, guarded, policy_of, protect

STOP, PROFIT = ProtectionKind.STOP_LOSS, ProtectionKind.TAKE_PROFIT
LONG = row(venue_liquidation=D(80000))
HALVES = "[{trigger: {from_entry: -4%}, size: 50%}, {trigger: {from_entry: -8%}, size: 50%}]"
THIRDS = "[{trigger: {from_entry: 3%}, size: 30%}, {trigger: {from_entry: 6%}, size: 70%}]"
STOPS = policy_of(f"name: s\nthen: [stop_loss: {HALVES}]")
PROFITS = policy_of(f"name: p\nthen: [take_profit: {THIRDS}]")
TRAIL = policy_of("name: t\nthen: [trail_stop: {distance: 2%}]")


def rungs(decided: Decided, kind: ProtectionKind = STOP) -> list[tuple[str, Decimal | None]]:
    """Trigger and contracts of each order that shall rest."""
    orders = [order for order in protect(decided).wanted if order.kind is kind]
    return [(f"{order.trigger_price.normalize():f}", order.size) for order in orders]


# Ladders


def test_a_stop_loss_takes_a_list_each_with_its_size() -> None:
    assert rungs(guarded(STOPS, LONG).mark("89000")) == [("86400", D(50)), ("82800", D(50))]


def test_a_take_profit_takes_one_too() -> None:
    assert rungs(guarded(PROFITS, LONG).mark("89000"), PROFIT) == [("92700", D(30)), ("95400", D(70))]


@pytest.mark.parametrize(
    "action", ["stop_loss: {trigger: {from_entry: -4%}}", "take_profit: {trigger: {from_entry: 4%}}"]
)
def test_without_a_size_it_is_for_the_whole_position(action: str) -> None:
    [order] = protect(guarded(policy_of(f"name: s\nthen: [{action}]"), LONG).mark("89000")).wanted
    assert order.size is None


def test_a_size_is_a_share_of_the_episodes_largest_quantity() -> None:
    """100 were held and 60 are left: the first half is 50 of them, not 30."""
    here = guarded(STOPS, LONG)
    here.mark("89000")
    here.read(replace(LONG, quantity=D(60)))
    assert rungs(here.mark("89000")) == [("86400", D(50)), ("82800", D(10))]


def test_an_addition_re_bases_what_is_left() -> None:
    here = guarded(STOPS, LONG)
    here.mark("89000")
    here.read(row(quantity="150", venue_liquidation=D(80000)))
    assert rungs(here.mark("89000")) == [("86400", D(75)), ("82800", D(75))]


def test_a_stop_of_its_own_may_be_for_a_part_only() -> None:
    policy = policy_of("name: s\nthen: [stop_loss: {trigger: {from_entry: -4%}, size: 25%}]")
    decided = guarded(policy, LONG).mark("89000")
    assert rungs(decided) == [("86400", D(25))]
    assert any("25 of 100 contracts" in tell.text for tell in decided.told)


# The trailing stop


def test_a_trailing_stop_has_a_distance_and_is_triggered_by_the_mark() -> None:
    assert TRAIL.rules[0].then == (TrailStop(distance=D("0.02"), price_type=PriceType.MARK),)
    with pytest.raises(ConfigurationError, match="without `distance`"):
        policy_of("name: t\nthen: [trail_stop: {}]")


@pytest.mark.parametrize(
    ("side", "marks", "stops"),
    [
        (Side.LONG, ("90000", "95000", "94000", "96000"), ("88200", "93100", "93100", "94080")),
        (Side.SHORT, ("90000", "85000", "86000", "84000"), ("91800", "86700", "86700", "85680")),
    ],
)
def test_a_trailing_stop_ratchets_behind_the_best_mark(
    side: Side, marks: tuple[str, ...], stops: tuple[str, ...]
) -> None:
    liquidation = D(80000) if side is Side.LONG else D(100000)
    here = guarded(TRAIL, row(side, mark="90000", venue_liquidation=liquidation))
    found: list[str] = []
    for mark in marks:
        [(trigger, _)] = rungs(here.mark(mark))
        found.append(trigger)
    assert tuple(found) == stops


def test_a_mark_that_nothing_confirms_is_no_best() -> None:
    here = guarded(TRAIL, LONG)
    here.mark("90000")
    assert rungs(here.bare("97000")) == [("88200", None)]
    assert rungs(here.mark("90000")) == [("88200", None)]


def test_the_best_is_journalled_and_survives_a_restart() -> None:
    here = guarded(TRAIL, LONG)
    for found in here.mark("95000").footings:
        fold(here.state, found)
    assert rungs(again(here)) == [("93100", None)]


def again(here: Guarded) -> Decided:
    """The first look after a restart, at a mark below the best: nothing is remembered but what the journal gave back."""
    here.memory = Memory()
    here.memory.show(here.state)
    return here.mark("94000")


def test_the_best_mark_belongs_to_its_episode() -> None:
    here = guarded(TRAIL, LONG)
    assert rungs(here.mark("95000")) == [("93100", None)]
    here.wait(1, read=False)
    here.read(replace(LONG, opened_ms=here.now.wall_ms))
    assert rungs(here.mark("90000")) == [("88200", None)]


# A tranche that filled, on a whole guard


TAKES = "name: p\nthen: [take_profit: [{trigger: {price: 110}, size: 40%}, {trigger: {price: 120}, size: 60%}]]"


def takes(bench: GuardBench) -> dict[str, Decimal | None]:
    return {f"{plan.trigger_price.normalize():f}": plan.size for plan in bench.venue.plans.values()}


async def seen(bench: GuardBench) -> None:
    """The venue's lists are read, and what follows is done."""
    for _ in range(3):
        rows = bench.venue.rows.items()
        bench.venue.rows = {each: replace(found, notional=100 * found.quantity) for each, found in rows}
        read = await bench.venue.positions()
        updates = tuple(
            replace(
                pushed(),
                quantity=each.quantity,
                closed_quantity=each.closed_quantity,
                opened_ms=each.opened_ms,
                venue_ms=each.venue_ms,
            )
            for each in read.positions
        )
        bench.guard.inbox.post(read)
        bench.guard.inbox.post(PositionsPushed(at=read.at, updates=updates))
        bench.guard.inbox.post(await bench.venue.orders())
        bench.frame("100")
        await bench.settle(3)


async def test_a_filled_tranche_is_done_for_the_episode_and_not_for_the_next() -> None:
    bench = GuardBench(TAKES)
    await bench.begin()
    assert takes(bench) == {"110": D(40), "120": D(60)}
    bench.venue.fire(next(plan.order_id for plan in bench.venue.plans.values() if plan.trigger_price == 110))
    await seen(bench)
    assert takes(bench) == {"120": D(60)}
    opened_ms = bench.clock.now().wall_ms
    bench.venue.rows = {HELD: position(opened_ms=opened_ms, venue_ms=opened_ms)}
    await seen(bench)
    assert takes(bench) == {"110": D(40), "120": D(60)}
    await bench.end()
