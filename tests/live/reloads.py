"""Reloading during a fall, a thousand times, good and bad files in turn: `python -m tests.live.reloads --times 1000`.

Two positions, and a ladder of rules of which each shall act once on the way down, then the last one closes. All the while the
policy's file is replaced and SIGHUP sent, as fast as the daemon takes it in; every second file is a bad one, and the good ones
differ in every threshold. The verdict is drawn from the exchange's ledger: each rule acted once and once only on each position,
at its mark and in time; no stop was ever moved away, none was missing.
"""

import argparse
import asyncio
import json
import os
import shutil
import signal
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Final

from guardd.policy.load import load_policy
from guardd.simulator.ledger import LedgerRow, RowKind
from guardd.simulator.run import SimulatedVenue
from tests.live.desk import Desk, RunningGuard, open_desk, until
from tests.live.fall import HELD, OURS, STARTS, TICKS, Case, Story, wrongs
from tests.live.places import BITMART, PLACES, Place

DEPOSIT: Final = 1_905
"""With it the cross position liquidates near -9.6 %: its stop rests below the last rule (-6.3 %)."""
STEP: Final = Decimal("0.003")
"""From one rule of the ladder to the next."""
APART: Final = Decimal("0.0002")
"""How far the thresholds of the two good files lie apart."""
LATE_S: Final = 2.0
"""From the mark's passing of both thresholds to the order: cross-check, a read that is due, and a loaded machine included."""
SHOWN_S: Final = 2.4
"""After that the private stream has repeated the positions once: before, no first reduction may go (I29)."""
TURN_S: Final = 3.0
"""A reload that isn't answered by then is lost."""

HEAD: Final = """\
version: 1
limits: {orders_per_minute: 600, stale_after: 5s}
rules:
  - name: resting-protection
    then:
      - stop_loss: {trigger: {liquidation_buffer: BUFFER}}
"""
RULE: Final = """\
  - name: step-NUMBER
    when: {profit_from_entry: {below: -THRESHOLD}}
    cooldown: 1h
    then: [reduce: {by: 4%}]
"""
LAST: Final = """\
  - name: last-resort
    when: {profit_from_entry: {below: -THRESHOLD}}
    then: [close: {}]
"""


def good(rungs: int, *, other: bool) -> str:
    """One of the two files: in the other every rule comes later, and the stop is looser."""
    text = HEAD.replace("BUFFER", "5%" if other else "10%")
    for number in range(1, rungs + 1):
        threshold = str(threshold_of(number, other=other))
        text += RULE.replace("NUMBER", f"{number:02}").replace("THRESHOLD", threshold)
    return text + LAST.replace("THRESHOLD", str(threshold_of(rungs + 1, other=other)))


def threshold_of(number: int, *, other: bool) -> Decimal:
    return STEP * number + (APART if other else 0)


def bad(rungs: int, number: int) -> str:
    """A file that can't be used, each time for another reason; most of it would close everything at once."""
    text = good(rungs, other=False).replace("below: -0", "above: -0")
    match number % 4:
        case 0:
            return text.replace("close: {}", "clos: {}")
        case 1:
            return text[: len(text) * 2 // 3].rsplit("\n", 1)[0] + "\n    then: [reduce: {by: 4"
        case 2:
            return text.replace("by: 4%", "by: 4")
        case _:
            return "\t" + text


@dataclass(slots=True, kw_only=True)
class Played:
    """One fall with its reloads. `reached`, `passed`: the exchange's wall ms at which a rule (symbol, number) came true by the
    first of the two files, and by both."""

    times: int
    rungs: int
    story: Story
    reached: dict[tuple[str, int], int]
    passed: dict[tuple[str, int], int]
    turns_s: list[float]
    """From each SIGHUP to the line that tells what came of it."""
    outcomes: Counter[str]
    refusals_told: int
    digest: str
    last_good: str

    def orders(self) -> dict[tuple[str, str], list[LedgerRow]]:
        """Our closing orders that the exchange accepted, by symbol and rule."""
        found: dict[tuple[str, str], list[LedgerRow]] = {}
        for row in self.story.ledger.rows(uid="main", kind=RowKind.ORDER_ACCEPTED):
            client_id = str(row.details["client_id"])
            if client_id.startswith(OURS):
                rule = self.story.rule_of(client_id, str(row.details["order_id"]))
                found.setdefault((row.symbol, rule), []).append(row)
        return found

    def lags_s(self) -> list[float]:
        """From the mark's passing of both thresholds to each order; below zero where it went by the first."""
        found = self.orders()
        return [
            (rows[0].at_ms - self.passed[symbol, number]) / 1000
            for (symbol, number) in sorted(self.passed)
            if (rows := found.get((symbol, rule_name(number, self.rungs)), []))
        ]


def rule_name(number: int, rungs: int) -> str:
    return "last-resort" if number > rungs else f"step-{number:02}"


async def play(home: Path, *, times: int, rungs: int, seconds: float, place: Place = BITMART) -> Played:
    """The fall takes `seconds`, or as long as its reloads do."""
    files = [good(rungs, other=False), good(rungs, other=True)]
    async with open_desk(home, deposit=DEPOSIT, place=place) as desk:
        desk.open("SOLUSDT", "long", int(HELD["SOLUSDT"]), isolated=True)
        desk.open("BTCUSDT", "long", int(HELD["BTCUSDT"]))
        async with desk.guard(files[0]) as guard:
            await guard.protected(2, within_s=20)
            market = _Market(desk=desk, rungs=rungs)
            turns_s = await _reload_while_it_falls(guard, market, files, times=times, seconds=seconds)
            await until(lambda: not desk.positions(), within_s=10, what="everything is closed")
            digest = str((await guard.status())["policy_digest"])
            story = _story(desk, guard, place, await guard.get("/metrics"))
        return Played(
            times=times,
            rungs=rungs,
            story=story,
            reached=market.reached,
            passed=market.passed,
            turns_s=turns_s,
            outcomes=Counter(str(each["outcome"]) for each in guard.events("policy_reload")),
            refusals_told=len(guard.told("policy not reloaded", severity="critical")),
            digest=digest,
            last_good=load_policy(files[times // 2 % 2], source="").digest,
        )


async def _reload_while_it_falls(
    guard: RunningGuard, market: "_Market", files: list[str], *, times: int, seconds: float
) -> list[float]:
    """A bad file, the other good one, a bad file, the first one, and so on; once the first seconds are over the price falls a
    little with each."""
    loop = asyncio.get_running_loop()
    turns_s: list[float] = []
    began, whole_s, still = loop.time(), SHOWN_S + seconds, 0
    for number in range(1, times + 1):
        text = bad(market.rungs, number // 2) if number % 2 else files[number // 2 % 2]
        _put(market.desk.home / "policy.yaml", text, renamed=number % 4 < 2)
        sent = loop.time()
        guard.send(signal.SIGHUP)
        if loop.time() - began < SHOWN_S and number < times:
            still = number
        else:
            market.fall(Decimal(number - still) / (times - still))
        while not _answered(guard, number):
            assert loop.time() - sent < TURN_S, f"reload {number} was not answered within {TURN_S} s"
            await asyncio.sleep(0.001)
        turns_s.append(loop.time() - sent)
        await asyncio.sleep(max(began + whole_s * number / times - loop.time(), 0))
    return turns_s


def _answered(guard: RunningGuard, number: int) -> bool:
    """Did the daemon say what came of this reload?"""
    lines = (line for line in reversed(guard.lines[-100:]) if '"policy_reload"' in line)
    return any(json.loads(line)["number"] == number for line in lines)


def _put(path: Path, text: str, *, renamed: bool) -> None:
    """As an editor or a mount does it, by renaming, and as a shell does it, in place."""
    target = path.with_suffix(".new") if renamed else path
    target.write_text(text, encoding="utf-8")
    if renamed:
        os.replace(target, path)


@dataclass(slots=True)
class _Market:
    """Both prices, falling; notes when they pass what a rule asks for."""

    desk: Desk
    rungs: int
    reached: dict[tuple[str, int], int] = field(default_factory=dict)
    passed: dict[tuple[str, int], int] = field(default_factory=dict)

    def fall(self, share: Decimal) -> None:
        """So much of the way, to a little below the last rule."""
        depth = threshold_of(self.rungs + 1, other=True) + 2 * APART
        for symbol, start in STARTS.items():
            price = (start * (1 - depth * share)).quantize(TICKS[symbol])
            self.desk.price(symbol, price)
            now_ms = self.desk.server.now_ms()
            for number in range(1, self.rungs + 2):
                for other, times in ((False, self.reached), (True, self.passed)):
                    if price < self._entry(symbol) * (1 - threshold_of(number, other=other)):
                        times.setdefault((symbol, number), now_ms)

    def _entry(self, symbol: str) -> Decimal:
        rows = self.desk.server.exchange.ledger.rows(uid="main", kind=RowKind.FILL, symbol=symbol)
        return rows[0].decimal("price")


def _story(desk: Desk, guard: RunningGuard, place: Place, metrics: str) -> Story:
    """As the faults' stories are told, so that the same verdict is passed on it."""
    return Story(
        case=Case(name="reloads", ends="closed", swept=False),
        ledger=desk.server.exchange.ledger,
        stamps=list(desk.server.stamps.requests),
        log=guard.events(),
        metrics=metrics,
        hits=0,
        hit_at=None,
        block_stamps=[],
        place=place,
        lots={symbol: desk.lot(symbol) for symbol in STARTS},
        held=desk.positions(),
        left_over=len(desk.plans()),
        ended_ms=desk.server.now_ms(),
        mark_at_end={},
    )


# The verdict


def wrong(played: Played) -> list[str]:
    """Everything that must not have been; empty when the guard did right."""
    return [*wrongs(played.story), *_once_each(played), *_stops(played), *_reloading(played)]


def _once_each(played: Played) -> Iterator[str]:
    """Each rule once on each position, not before the mark was there by either file, and in time.

    A close takes what a reduction on its way leaves, and goes on until flat: that it never took more than was held is I1 and I2.
    """
    orders = played.orders()
    wanted = {(symbol, rule_name(number, played.rungs)): (symbol, number) for symbol, number in played.reached}
    for place in sorted(wanted):
        found = orders.get(place, [])
        if not found:
            yield f"missed: {place[1]} on {place[0]}"
            continue
        if len(found) > 1 and place[1] != "last-resort":
            yield f"doubled: {place[1]} on {place[0]}, {len(found)} orders"
        if found[0].at_ms < played.reached[wanted[place]]:
            yield f"too early: {place[1]} on {place[0]}"
        late_s = (found[0].at_ms - played.passed[wanted[place]]) / 1000
        if late_s > LATE_S:
            yield f"late: {place[1]} on {place[0]} by {late_s:.1f} s"
    for symbol, rule in sorted(set(orders) - set(wanted)):
        yield f"nobody asked for: {rule} on {symbol}"


def _stops(played: Played) -> Iterator[str]:
    """I11, I23: of a long position no stop ever rested lower than one before."""
    for symbol in STARTS:
        highest = Decimal(0)
        for row in played.story.ledger.rows(uid="main", kind=RowKind.PLAN, symbol=symbol):
            if row.details["protects"] and row.details["live"]:
                if row.decimal("trigger_price") < highest:
                    yield f"I23: a stop of {symbol} was moved from {highest} to {row.details['trigger_price']}"
                highest = max(highest, row.decimal("trigger_price"))


def _reloading(played: Played) -> Iterator[str]:
    refused = (played.times + 1) // 2
    expected = {"refused": refused, "adopted": played.times - refused}
    if dict(played.outcomes) != {name: count for name, count in expected.items() if count}:
        yield f"reloads: {dict(played.outcomes)}, expected {expected}"
    if played.refusals_told != refused:
        yield f"{played.refusals_told} refusals were told, expected {refused}"
    if played.digest != played.last_good:
        yield "the policy at the end isn't the last good one"
    for outcome, count in expected.items():
        if f'guardd_policy_reloads_total{{outcome="{outcome}"}} {float(count)}' not in played.story.metrics:
            yield f"guardd_policy_reloads_total doesn't count {count} {outcome}"


# In words


def summary(played: Played) -> list[str]:
    """The figures, for people and the note."""
    lags_s, turns_s = sorted(played.lags_s()), sorted(played.turns_s)
    orders = played.orders()
    found = wrong(played)
    rows = {
        "reloads": ", ".join(f"{count} {name}" for name, count in sorted(played.outcomes.items())),
        "SIGHUP to its answer": f"median {statistics.median(turns_s) * 1000:.0f} ms, max {turns_s[-1] * 1000:.0f} ms",
        "rules due, on two positions": f"{len(played.reached)}",
        "orders sent for them": f"{sum(map(len, orders.values()))}",
        "missed": f"{sum(text.startswith('missed') for text in found)}",
        "doubled": f"{sum(text.startswith('doubled') for text in found)}",
        "mark past both files' thresholds to order": (
            f"median {statistics.median(lags_s):.2f} s, max {lags_s[-1]:.2f} s" if lags_s else "none"
        ),
        "stops moved away": f"{sum('was moved from' in text for text in found)}",
        "breaches": f"{len(found)}",
    }
    return [f"{name:<44}{text}" for name, text in rows.items()] + [f"    {text}" for text in found]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.live.reloads", description=__doc__)
    parser.add_argument("--times", type=int, default=1000)
    parser.add_argument(
        "--rungs", type=int, default=20, help="rules that shall act once each, on each of two positions"
    )
    parser.add_argument("--seconds", type=float, default=60, help="how long the fall takes at least")
    parser.add_argument("--venue", type=SimulatedVenue, choices=tuple(PLACES), default=SimulatedVenue.BITMART)
    given = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="reloads-"))
    played = asyncio.run(
        play(home, times=given.times, rungs=given.rungs, seconds=given.seconds, place=PLACES[given.venue])
    )
    print("\n".join(summary(played)))
    if not wrong(played):
        shutil.rmtree(home)
        return 0
    (home / "guard.log").write_text("\n".join(map(json.dumps, played.story.log)))
    (home / "ledger.json").write_text(
        "\n".join(json.dumps(row.as_json()) for row in played.story.ledger.rows(uid="main"))
    )
    print(f"kept in {home}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
