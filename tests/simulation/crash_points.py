"""Two stories, again and again, with a kill at each await of the guard's hands in turn: `python -m tests.simulation.crash_points`.

What stands at the end is what stands without a kill: the same held, the same resting (I8), each decision carried out once (I7).
"""

import argparse
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal
from typing import Final

import structlog

from guardd.simulator.orders import PositionMode
from guardd.simulator.run import SimulatedVenue
from tests.changed import replace
from tests.simulation.plot import Deed, Hand, Holding, Market, Move, Part, Plot, Site
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


LEVERS: Final = """\
version: 1
limits: {orders_per_minute: 60, stale_after: 15s, top_up_per_day: 70 USDT}
rules:
  - name: resting-protection
    then:
      - stop_loss: {trigger: {from_entry: -8%}}
  - name: trailing
    match: {symbol: ETHUSDT}
    then: [trail_stop: {distance: 5%}]
  - name: unquote
    match: {symbol: ETHUSDT}
    when: {profit_from_entry: {above: 1%}}
    cooldown: 10m
    then: [cancel_entries: {}]
  - name: unlever
    match: {symbol: SOLUSDT}
    when: {profit_from_entry: {below: -1%}}
    cooldown: 10m
    then: [set_leverage: {to: 8}]
  - name: stake
    match: {symbol: SOLUSDT, margin_mode: isolated}
    when: {profit_from_entry: {below: -2%}}
    cooldown: 10m
    then: [add_margin: {amount: 20 USDT, at_most: 20 USDT}]
  - name: fund
    match: {symbol: BTCUSDT, margin_mode: cross}
    when: {profit_from_entry: {below: -2%}}
    cooldown: 10m
    then: [top_up: {amount: 40 USDT}]
"""


def fall(venue: SimulatedVenue) -> Plot:
    """BTC falls by 5 %: a trim, then a close. SOL falls by 3 %: a trim; its stop and its take-profit rest to the end."""
    return _plot(venue, POLICY, {"BTCUSDT": Decimal("0.05"), "SOLUSDT": Decimal("0.03")})


def levers(venue: SimulatedVenue) -> Plot:
    """BTC and SOL fall: leverage is lowered, margin added, money moved. ETH rises, its stop after it; an entry is cancelled."""
    falls = {"BTCUSDT": Decimal("0.03"), "SOLUSDT": Decimal("0.03"), "ETHUSDT": Decimal("-0.04")}
    entry = Deed(at_s=9.0, hand=Hand.PLACES_ENTRY, symbol="ETHUSDT")
    return replace(_plot(venue, LEVERS, falls), deeds=(entry,))


MOVED_FROM: Final = Decimal("0.001")
STORIES: Final = {"fall": fall, "levers": levers}


def _plot(venue: SimulatedVenue, policy: str, falls: dict[str, Decimal]) -> Plot:
    """Of each contract a long; that of SOL is isolated."""
    moves = {symbol: Move(market=Market.TREND, size=size, begins_s=14, lasts_s=30) for symbol, size in falls.items()}
    return Plot(
        seed=1,
        sites=(Site(venue=venue, moves=moves),),
        parts=(
            Part(
                name="main",
                uid="main",
                site=0,
                mode=PositionMode.HEDGE,
                deposit=Decimal(5_000),
                spot=Decimal(1_000),
                holdings=tuple(
                    Holding(
                        symbol=symbol,
                        long=True,
                        isolated=symbol == "SOLUSDT",
                        leverage=10,
                        share=Decimal("0.2") if symbol == "BTCUSDT" else Decimal("0.1"),
                    )
                    for symbol in falls
                ),
                last_percent=Decimal(-4),
            ),
        ),
        policy=policy,
        seconds=75,
        tick_s=1.0,
    )


def killed(story: str, venue: SimulatedVenue, at: int) -> Told:
    """The story with a kill at that await; 0: with none."""
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)  # what wasn't begun yet
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    return tell(replace(STORIES[story](venue), kill_at_await=at))


def wrongs(told: Told, whole: Told) -> list[str]:
    """What the kill changed."""
    found = list(told.breaches)
    if not _alike(told.left, whole.left):
        found.append(f"I8: {told.left} is left, {whole.left} without the kill")
    if told.closes != whole.closes:
        found.append(f"I7: {told.closes} closing fills, {whole.closes} without the kill")
    return found


def _alike(left: list[str], other: list[str]) -> bool:
    """The same held and the same resting. A stop follows in steps of 0.1 %: which of them was the last hangs on the moment."""
    if len(left) != len(other):
        return False
    for one, its in zip(map(str.split, left), map(str.split, other), strict=True):
        if len(one) != len(its) or [*one[:3], *one[4:]] != [*its[:3], *its[4:]]:
            return False
        if len(one) > 3 and abs(Decimal(one[3]) / Decimal(its[3]) - 1) >= MOVED_FROM:
            return False
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--venue", type=SimulatedVenue, choices=tuple(SimulatedVenue), help="only this venue")
    parser.add_argument("--story", choices=tuple(STORIES), help="only this story")
    parser.add_argument("--at", type=int, help="only this await")
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    failed = 0
    with ProcessPoolExecutor(given.jobs) as pool:
        for venue in [given.venue] if given.venue else SimulatedVenue:
            for story in [given.story] if given.story else STORIES:
                failed += _each_await(pool, story, venue, given.at)
    return 1 if failed else 0


def _each_await(pool: ProcessPoolExecutor, story: str, venue: SimulatedVenue, at: int | None) -> int:
    """How many breaches there were."""
    whole = killed(story, venue, 0)
    points = [at] if at else list(range(1, whole.awaits + 1))
    told = pool.map(killed, [story] * len(points), [venue] * len(points), points)
    found = [(0, line) for line in whole.breaches]
    found += [(point, line) for point, one in zip(points, told, strict=True) for line in wrongs(one, whole)]
    for point, line in found:
        again = f"python -m tests.simulation.crash_points --venue {venue} --story {story} --at {point}"
        print(f"await {point}: {line}\n    again: {again}")
    print(
        f"{venue} {story}: {len(points)} awaits of the execution path, each a kill; {whole.left} left; {len(found)} breaches"
    )
    return len(found)


if __name__ == "__main__":
    sys.exit(main())
