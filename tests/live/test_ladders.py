"""Ladders and a trailing stop, from the daemon to the exchange and back, over a kill too (interfaces.md 2.4)."""

import asyncio
from pathlib import Path

from guardd.simulator.orders import PlanKind
from tests.live.desk import Desk, open_desk, until

LADDERS = """\
version: 1
rules:
  - name: ladder
    then:
      - stop_loss: [{trigger: {from_entry: -4%}, size: 50%}, {trigger: {from_entry: -7%}, size: 50%}]
      - take_profit:
          - {trigger: {from_entry: 2%}, size: 25%}
          - {trigger: {from_entry: 4%}, size: 25%}
          - {trigger: {from_entry: 6%}, size: 50%}
"""
TRAIL = """\
version: 1
rules:
  - name: trail
    then: [trail_stop: {distance: 2%}]
"""


def rest(desk: Desk, kind: PlanKind) -> list[tuple[int, int | None]]:
    """Trigger and size of what truly rests, the lowest trigger first."""
    found = [(int(plan.trigger_price), plan.size and int(plan.size)) for plan in desk.plans() if plan.kind is kind]
    return sorted(found, key=lambda each: each[0])


async def test_three_take_profits_fill_one_after_another_and_the_stops_are_for_what_is_left(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        desk.open("BTCUSDT", "long", 100)
        async with desk.guard(LADDERS) as guard:
            await until(lambda: len(desk.plans()) == 5, within_s=30, what="five tranches rest")
            await guard.protected(1, within_s=20)
            assert rest(desk, PlanKind.STOP_LOSS) == [(83700, 50), (86400, 50)]
            assert rest(desk, PlanKind.TAKE_PROFIT) == [(91800, 25), (93600, 25), (95400, 50)]

            desk.price("BTCUSDT", "91810")
            await until(lambda: desk.positions() == {("BTCUSDT", "long"): 75}, within_s=8, what="the first filled")
            left = [(83700, 25), (86400, 50)]
            await until(lambda: rest(desk, PlanKind.STOP_LOSS) == left, within_s=15, what="the stops are for 75")
            assert rest(desk, PlanKind.TAKE_PROFIT) == [(93600, 25), (95400, 50)]

            desk.price("BTCUSDT", "93610")
            await until(lambda: rest(desk, PlanKind.STOP_LOSS) == [(86400, 50)], within_s=15, what="one stop is for 50")
            await until(lambda: len(rest(desk, PlanKind.TAKE_PROFIT)) == 1, within_s=15, what="one take-profit is left")

            desk.price("BTCUSDT", "95410")
            await until(lambda: not desk.positions() and not desk.plans(), within_s=20, what="flat, and nothing rests")


async def test_a_stop_trails_the_best_mark_and_a_kill_forgets_nothing(tmp_path: Path) -> None:
    """Killed before the stop may move again: that the mark was at 92 000 only the journal knows."""
    async with open_desk(tmp_path) as desk:
        desk.open("BTCUSDT", "long", 100)
        async with desk.guard(TRAIL) as guard:
            await until(lambda: rest(desk, PlanKind.STOP_LOSS) == [(88200, None)], within_s=30, what="a stop rests")
            await guard.protected(1, within_s=20)
            await desk.fall("BTCUSDT", 90_000, 92_000, steps=10)
            await asyncio.sleep(0.5)
            guard.kill()
        desk.price("BTCUSDT", "91000")
        async with desk.guard(TRAIL):
            behind = [(90160, None)]
            await until(
                lambda: rest(desk, PlanKind.STOP_LOSS) == behind, within_s=30, what="it is behind the best again"
            )
            desk.price("BTCUSDT", "90150")
            await until(lambda: not desk.positions(), within_s=10, what="it fired")
