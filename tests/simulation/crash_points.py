"""One fall, again and again, with a kill at each await of the guard's hands in turn: `python -m tests.simulation.crash_points`.

What stands at the end is what stands without a kill: the same held, the same resting (I8), each decision carried out once (I7).
"""

import argparse
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from decimal import Decimal
from typing import Final

import structlog

from guardd.simulator.orders import PositionMode
from guardd.simulator.run import SimulatedVenue
from tests.simulation.plot import Holding, Market, Move, Part, Plot, Site
from tests.simulation.story import Told, tell

POLICY: Final = """\
version: 1
limits: {orders_per_minute: 60, stale_after: 15s}
rules:
  - name: resting-protection
    then:
      - stop_loss: {trigger: [{liquidation_buffer: 20%}, {from_entry: -15%}]}
      - take_profit: {trigger: {from_entry: 4%}}
  - name: trim
    when: {profit_from_entry: {below: -2%}}
    cooldown: 10m
    then:
      - reduce: {by: 25%}
  - name: last-resort
    match: {symbol: BTCUSDT}
    when: {profit_from_entry: {below: -4%}}
    then: [close: {}]
"""


def fall(venue: SimulatedVenue) -> Plot:
    """BTC falls by 5 %: a trim, then a close. SOL falls by 3 %: a trim; its stop and its take-profit rest to the end."""
    return Plot(
        seed=1,
        sites=(
            Site(
                venue=venue,
                moves={
                    "BTCUSDT": Move(market=Market.TREND, size=Decimal("0.05"), begins_s=14, lasts_s=30),
                    "SOLUSDT": Move(market=Market.TREND, size=Decimal("0.03"), begins_s=14, lasts_s=30),
                },
            ),
        ),
        parts=(
            Part(
                name="main",
                uid="main",
                site=0,
                mode=PositionMode.HEDGE,
                deposit=Decimal(5_000),
                holdings=(
                    Holding(symbol="BTCUSDT", long=True, isolated=False, leverage=10, share=Decimal("0.2")),
                    Holding(symbol="SOLUSDT", long=True, isolated=True, leverage=10, share=Decimal("0.1")),
                ),
                last_percent=Decimal(-4),
            ),
        ),
        policy=POLICY,
        seconds=75,
        tick_s=1.0,
    )


def killed(venue: SimulatedVenue, at: int) -> Told:
    """The fall with a kill at that await; 0: with none."""
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)  # what wasn't begun yet
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    return tell(replace(fall(venue), kill_at_await=at))


def wrongs(told: Told, whole: Told) -> list[str]:
    """What the kill changed."""
    found = list(told.breaches)
    if told.left != whole.left:
        found.append(f"I8: {told.left} is left, {whole.left} without the kill")
    if told.closes != whole.closes:
        found.append(f"I7: {told.closes} closing fills, {whole.closes} without the kill")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--venue", type=SimulatedVenue, choices=tuple(SimulatedVenue), default=SimulatedVenue.BITMART)
    parser.add_argument("--at", type=int, help="only this await")
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    whole = killed(given.venue, 0)
    points = [given.at] if given.at else list(range(1, whole.awaits + 1))
    failed = 0
    with ProcessPoolExecutor(given.jobs) as pool:
        for at, told in zip(points, pool.map(killed, [given.venue] * len(points), points), strict=True):
            for line in wrongs(told, whole):
                failed += 1
                print(
                    f"await {at}: {line}\n    again: python -m tests.simulation.crash_points --venue {given.venue} --at {at}"
                )
    print(
        f"{given.venue}: {len(points)} awaits of the execution path, each a kill; {whole.left} left; {failed} breaches"
    )
    return 1 if failed or whole.breaches else 0


if __name__ == "__main__":
    sys.exit(main())
