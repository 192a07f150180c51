"""kill -9 during a fall, again and again: `python -m tests.live.kill_loop --times 50 --seed 1`.

A story is one desk, one data directory and two rounds: the price of a fresh position falls through the trim and the guard is
killed 0 to 500 ms after the crossing frame left the venue; then what survived falls through the close, and it is killed again.
Each time it is started anew on what it left behind while the fall goes on or stands still. Judged by the exchange's ledger
alone (I2, I5, I7, I8); the journal only says what each order was meant to be, and what was in flight (I20).
"""

import argparse
import asyncio
import json
import shutil
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from fnmatch import fnmatch
from pathlib import Path
from random import Random
from typing import Final

from guardd.errors import JournalError
from guardd.model.intent import Stage
from guardd.simulator.faults import Fault, FaultKind
from guardd.simulator.orders import PlanKind, PositionSide
from guardd.simulator.run import SimulatedVenue
from tests.live.desk import Desk, RunningGuard, open_desk
from tests.live.kill_verdict import (
    POLICY,
    PROTECTED_S_MAX,
    Breach,
    Left,
    apart,
    bare_spans,
    executions,
    intents,
    judged,
    left_behind,
    resting,
    unfinished,
    wanted,
)
from tests.live.places import BITMART, PLACES, Place

STARTS: Final = {"BTCUSDT": Decimal(90_000), "ETHUSDT": Decimal(3_200), "SOLUSDT": Decimal(180)}
HELD: Final = Decimal(100)
"""Contracts of a fresh position; the trim takes 25 of them."""
QUIET_RATIO, PAST_TRIM, FURTHER, NEAR_CLOSE, PAST_CLOSE = map(Decimal, ("0.02", "0.043", "0.05", "0.055", "0.069"))
"""How far the price has gone against the position; at 10x isolated the trim comes at 3.3 to 3.8 %, the close at 6.1 to 6.3 %."""
BOOT_S: Final = 2.0
"""From the start of the process to its first request. On a machine that is busy with others it takes longer: what goes beyond this
is shown, and not held against the guard."""
SETTLED_S: Final = 1.0
"""How long nothing may happen any more before a round is judged."""
IN_FLIGHT_MIN_SHARE: Final = Decimal("0.4")
"""20 of 50."""


class Answer(StrEnum):
    """What the venue does with closing orders while the guard is about to be killed."""

    SLOW = "slow"
    LOST_BEFORE = "lost before it was executed"
    LOST_AFTER = "executed, never answered"


class Fall(StrEnum):
    STANDS = "stands still"
    GOES_ON = "goes on"
    GOES_THROUGH = "goes through the close"


class Meanwhile(StrEnum):
    """What the trader does while no guard runs."""

    NOTHING = "nothing"
    CANCELS_STOP = "cancels a stop"
    OPENS = "opens a position"


class Second(StrEnum):
    """Whether and when the guard that was started again is killed as well."""

    NONE = "none"
    BLIND = "at any moment of its start"
    WRITING = "just after its first write"


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What was drawn for one kill."""

    number: int
    answer: Answer
    slow_ms: int
    kill_ms: float
    """After the crossing frame was sent."""
    down_ms: float
    fall: Fall
    meanwhile: Meanwhile
    second: Second
    second_ms: float


@dataclass(slots=True, kw_only=True)
class Figures:
    """What one round brought."""

    round: Round
    closes: bool
    """The crossing was the close's; else the trim's."""
    left: list[Left] = field(default_factory=list)
    left_by_second: list[Left] = field(default_factory=list)
    killed_ms: float = 0.0
    boot_s: float = 0.0
    """From the last start to its first request at the venue: the interpreter and the imports."""
    restored_s: float | None = None
    """From the last start until everything held had its stop in the ledger; None: nothing was ever missing."""
    known_s: float = 0.0
    """From the last start until the guard had verified the protection of everything held and said so."""
    done_s: float = 0.0
    """From the last start until the position was what the rules name."""
    breaches: list[str] = field(default_factory=list)

    def line(self) -> str:
        drawn = self.round
        rule = "close" if self.closes else "trim"
        left = ", ".join(
            f"{each.intent.action} {each.stage}{' (executed)' if each.executed else ''} -> {each.became}"
            for each in self.left
        )
        twice = f"; killed again {drawn.second}" if drawn.second is not Second.NONE else ""
        trader = f"; the trader {drawn.meanwhile}" if drawn.meanwhile is not Meanwhile.NOTHING else ""
        restored = "" if self.restored_s is None else f", stops back after {self.restored_s:.2f} s"
        return (
            f"round {drawn.number:>3} {rule:<5} killed at {self.killed_ms:5.1f} ms ({drawn.answer}), down {drawn.down_ms:.0f} ms, "
            f"the fall {drawn.fall}{trader}{twice}: in flight: {left or 'nothing'}; "
            f"booted in {self.boot_s:.2f} s, protection verified after {self.known_s:.2f} s{restored}, "
            f"done after {self.done_s:.2f} s" + "".join(f"\n    BREACH {breach}" for breach in self.breaches)
        )


def drawn(seed: int, number: int) -> Round:
    """The round of that number: a pure function of the seed."""
    rng = Random(f"{seed}/round/{number}")
    answer = rng.choices((Answer.SLOW, Answer.LOST_BEFORE, Answer.LOST_AFTER), (70, 18, 12))[0]
    second = rng.choices(tuple(Second), (70, 15, 15))[0]
    return Round(
        number=number,
        answer=answer,
        slow_ms=rng.randint(50, 150),
        kill_ms=rng.uniform(0, 120) if rng.random() < 0.75 else rng.uniform(0, 500),
        down_ms=rng.uniform(0, 100) if rng.random() < 0.7 else rng.uniform(100, 1_500),
        fall=rng.choices(tuple(Fall), (40, 45, 15))[0],
        meanwhile=rng.choices(tuple(Meanwhile), (60, 20, 20))[0],
        second=second,
        second_ms=rng.uniform(0, 2_500) if second is Second.BLIND else rng.uniform(0, 80),
    )


# One story


class Story:
    """Two rounds on one desk and one data directory. `play` gives the figures of each round that could be played."""

    def __init__(self, desk: Desk, seed: int, number: int) -> None:
        rng = Random(f"{seed}/story/{number}")
        self.desk = desk
        self.symbol, self.other = rng.sample(("BTCUSDT", "ETHUSDT"), 2)
        self.side = rng.choice(tuple(PositionSide))
        self.rounds = tuple(drawn(seed, 2 * number + part) for part in range(2))
        self.guard: RunningGuard | None = None
        self.started_s = 0.0
        self.starts_ms: list[int] = []

    async def play(self, rounds: int) -> list[Figures]:
        """Raises nothing for what the guard does wrong: that is in the figures."""
        played: list[Figures] = []
        desk = self.desk
        desk.open(self.other, self.side.opposite.value, 50)
        try:
            await self._start()
            for each in self.rounds[:rounds]:
                figures = Figures(round=each, closes=self._size() > 0)
                played.append(figures)
                try:
                    await self._round(figures)
                except (Breach, JournalError) as error:
                    figures.breaches.append(str(error))
                else:
                    figures.breaches.extend(judged(desk, self.starts_ms))
                if figures.breaches:
                    break
        finally:
            if self.guard is not None and self.guard.process.returncode is None:
                await self.guard.stop()
        return played

    async def _round(self, figures: Figures) -> None:
        drawn, desk = figures.round, self.desk
        if not figures.closes:
            desk.price(self.symbol, STARTS[self.symbol])
            desk.open(self.symbol, self.side.value, int(HELD), isolated=True)
        await self._protected("before the kill")
        if figures.round.number == self.rounds[0].number:
            self.starts_ms[-1] += int(max(self._boot_s() - BOOT_S, 0) * 1000)
        before = resting(desk)
        await self._glide(*((FURTHER, NEAR_CLOSE) if figures.closes else (Decimal(0), QUIET_RATIO)))
        await asyncio.sleep(0.4)
        self._spoil(drawn)
        await self._kill_after_crossing(figures, PAST_CLOSE if figures.closes else PAST_TRIM)
        figures.left = left_behind(desk)
        desk.faults.clear()
        expected = self._expected(figures)
        bare = self._trade(drawn)
        self._slow(drawn)
        await asyncio.sleep(drawn.down_ms / 1000)
        for each in figures.left:
            each.executed = each.intent.id in executions(desk)
        await self._start()
        falling = asyncio.get_running_loop().create_task(self._fall_on(figures))
        try:
            if drawn.second is not Second.NONE:
                await self._kill_again(figures)
                await self._start()
            await self._come_back(figures, expected, bare=bare)
        finally:
            await falling
        desk.faults.clear()
        kept = {row for row in before if (row[0], row[1]) in desk.positions()}
        if lost := kept - resting(desk):
            raise Breach(f"I8: rested before the kill and no longer does: {sorted(map(str, lost))}")

    # Prices

    def _mark(self, against: Decimal) -> Decimal:
        tick = self.desk.server.exchange.query.contract(self.symbol).tick
        return (STARTS[self.symbol] * (1 - against * self.side.sign)).quantize(tick)

    async def _glide(self, start: Decimal, end: Decimal) -> None:
        for step in range(1, 9):
            self.desk.price(self.symbol, self._mark(start + (end - start) * step / 8))
            await asyncio.sleep(0.05)

    async def _fall_on(self, figures: Figures) -> None:
        match figures.round.fall:
            case Fall.GOES_ON:
                start = PAST_CLOSE if figures.closes else PAST_TRIM
                end = PAST_CLOSE + Decimal("0.003") if figures.closes else FURTHER
                await self._glide(start, end)
            case Fall.GOES_THROUGH:
                self.desk.price(self.symbol, self._mark(PAST_CLOSE))

    # Killing and starting

    def _slow(self, drawn: Round) -> None:
        self._answer(FaultKind.SLOW, "{submit}", delay_ms=drawn.slow_ms)

    def _spoil(self, drawn: Round) -> None:
        self._slow(drawn)
        if drawn.answer is Answer.LOST_BEFORE:
            self._answer(FaultKind.TIMEOUT_BEFORE, "{close}")
        if drawn.answer is Answer.LOST_AFTER:
            self._answer(FaultKind.TIMEOUT_AFTER, "{close}")

    def _answer(self, kind: FaultKind, target: str, *, delay_ms: int = 0) -> None:
        self.desk.fault(Fault(name=str(kind), kind=kind, target=target, delay_ms=delay_ms))

    async def _kill_after_crossing(self, figures: Figures, against: Decimal) -> None:
        loop, tickers = asyncio.get_running_loop(), self.desk.server.stamps.tickers
        mark, known = self._mark(against), tickers[-1].sequence if tickers else 0
        self.desk.price(self.symbol, mark)

        def sent() -> int | None:
            for stamp in reversed(tickers):
                if stamp.sequence <= known:
                    return None
                if stamp.symbol == self.symbol and Decimal(stamp.mark) == mark:
                    return stamp.mono_ns
            return None

        while (sent_ns := sent()) is None:  # noqa: ASYNC110 - the stamps are a plain list
            await asyncio.sleep(0.0005)
        await asyncio.sleep(max(sent_ns / 1e9 + figures.round.kill_ms / 1000 - loop.time(), 0))
        figures.killed_ms = loop.time() * 1000 - sent_ns / 1e6
        await self._kill()

    async def _kill_again(self, figures: Figures) -> None:
        """The guard that came back is killed too, at any moment of its start or just after its first write."""
        drawn, requests = figures.round, self.desk.server.stamps.requests
        if drawn.second is Second.WRITING:
            known = requests[-1].sequence
            loop, deadline = asyncio.get_running_loop(), self.started_s + 20

            def written() -> bool:
                return any(
                    each.sequence > known
                    and each.method == "POST"
                    and fnmatch(each.path, self.desk.place.word("{submit}"))
                    for each in requests
                )

            while not written() and loop.time() < deadline:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        await asyncio.sleep(drawn.second_ms / 1000)
        await self._kill()
        figures.left_by_second = left_behind(self.desk)
        await asyncio.sleep(drawn.down_ms / 1000)
        for each in figures.left_by_second:
            each.executed = each.intent.id in executions(self.desk)

    async def _start(self) -> None:
        self.starts_ms.append(self.desk.server.now_ms())
        self.started_s = asyncio.get_running_loop().time()
        self.guard = await RunningGuard.start(self.desk.write(POLICY), self.desk.place.environ())
        self.desk.guards.append(self.guard)

    async def _kill(self) -> None:
        assert self.guard is not None
        self.guard.kill()
        await self.guard.process.wait()

    # Coming back

    def _trade(self, drawn: Round) -> bool:
        """What the trader does while no guard runs; true when something is without a stop afterwards."""
        exchange, now_ms = self.desk.server.exchange, self.desk.server.now_ms()
        if drawn.meanwhile is Meanwhile.OPENS and not self._size("SOLUSDT"):
            self.desk.open("SOLUSDT", self.side.value, 20)
            return True
        if drawn.meanwhile is Meanwhile.CANCELS_STOP:
            stops = [plan for plan in exchange.query.open_plans("main", self.other) if plan.kind is PlanKind.STOP_LOSS]
            exchange.cancel_plan("main", stops[0].plan_id, now_ms)
            return True
        return False

    def _expected(self, figures: Figures) -> tuple[Decimal, ...]:
        """What the ledger may say that is left of the position when all is done."""
        closed = figures.closes or figures.round.fall is Fall.GOES_THROUGH
        return (Decimal(0),) if closed else (HELD * 3 / 4,)

    async def _come_back(self, figures: Figures, expected: tuple[Decimal, ...], *, bare: bool) -> None:
        loop, desk = asyncio.get_running_loop(), self.desk
        began_s = self.starts_ms[-1] / 1000
        await self._protected("after the start")
        figures.known_s = loop.time() - self.started_s
        figures.boot_s = self._boot_s()
        late_s = max(figures.boot_s - BOOT_S, 0)
        self.starts_ms[-1] += int(late_s * 1000)
        if bare:
            ends = [end for _, _, spans in bare_spans(desk) for _, end in spans]
            figures.restored_s = max(max(ends, default=0) / 1000 - began_s, 0)
        await _comes(
            lambda: self._size() in expected,
            15,
            lambda: f"{self.symbol}: {self._size()} left, the rules name {expected}",
        )
        figures.done_s = loop.time() - self.started_s
        await _comes(lambda: resting(desk) == wanted(desk), 12, lambda: f"I8: {apart(desk)}")
        await _comes(lambda: not unfinished(desk.home), 12, lambda: f"never resolved: {unfinished(desk.home)}", 0.1)
        await asyncio.sleep(SETTLED_S)
        if self._size() not in expected:
            raise Breach(f"{self.symbol}: {self._size()} left, the rules name {expected}")
        if resting(desk) != wanted(desk):
            raise Breach(f"I5: {apart(desk)}")
        told = {each.id: stages for each, stages in intents(desk.home)}
        for left in (*figures.left, *figures.left_by_second):
            stages = told[left.intent.id]
            left.became = f"void, sent again, {stages[-1]}" if Stage.VOID in stages[:-1] else stages[-1]
        if figures.known_s - late_s > PROTECTED_S_MAX:
            figures.breaches.append(f"protection was verified only {figures.known_s:.2f} s after the start")

    def _boot_s(self) -> float:
        first = next(each for each in self.desk.server.stamps.requests if each.mono_ns / 1e9 > self.started_s)
        return first.mono_ns / 1e9 - self.started_s

    async def _protected(self, when: str, *, within_s: float = 40) -> None:
        """The guard has verified and told the protection of everything that is held."""
        guard = self.guard
        assert guard is not None

        def told() -> bool:
            last = {each["position"]: each["event"] for each in guard.events() if "position" in each and _tells(each)}
            held = {f"{symbol}/{side}" for symbol, side in self.desk.positions()}
            return all(last.get(place) == "position_protected" for place in held)

        await _comes(told, within_s, lambda: f"{when}: not protected: {apart(self.desk)}; the log: {guard.lines[-12:]}")

    def _size(self, symbol: str | None = None) -> Decimal:
        return self.desk.positions().get((symbol or self.symbol, self.side.value), Decimal(0))


async def _comes(
    condition: Callable[[], bool], within_s: float, else_: Callable[[], str], every_s: float = 0.01
) -> None:
    """Wait until it is so; `Breach` with what is there instead when it never is."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + within_s
    while not condition():
        if loop.time() > end_s:
            raise Breach(f"not within {within_s} s: {else_()}")
        await asyncio.sleep(every_s)


def _tells(record: Mapping[str, object]) -> bool:
    return record["event"] in ("position_protected", "position_unprotected", "position_gone")


# The loop


async def loop(
    *, times: int, seed: int, only: int | None = None, say: bool = True, place: Place = BITMART
) -> list[Figures]:
    """`times` rounds, two to a story; `only`: just the story that this round belongs to."""
    played: list[Figures] = []
    for number in range((times + 1) // 2):
        if only is not None and number != only // 2:
            continue
        home = Path(tempfile.mkdtemp(prefix="guardd-kill-"))
        async with open_desk(home, deposit=10_000, seed=seed, place=place) as desk:
            story = Story(desk, seed, number)
            figures = await story.play(min(2, times - 2 * number))
            ledger = desk.ledger()
        played.extend(figures)
        for each in figures if say else ():
            print(each.line(), flush=True)
        if any(each.breaches for each in figures):
            (home / "ledger.json").write_text("\n".join(json.dumps(row) for row in ledger))
            (home / "requests.log").write_text("\n".join(map(str, desk.server.stamps.requests)))
            for name, guard in enumerate(desk.guards):
                (home / f"guard-{name}.log").write_text("\n".join(guard.lines))
            again = f"python -m tests.live.kill_loop --venue {place.venue} --times {times} --seed {seed}"
            again += f" --only {figures[-1].round.number}"
            print(f"    kept in {home}; again: {again}", flush=True)
        else:
            shutil.rmtree(home)
    return played


def summary(played: list[Figures]) -> list[str]:
    """The figures, for people and the note."""
    left = [each for figures in played for each in (*figures.left, *figures.left_by_second)]
    texts = [breach for figures in played for breach in figures.breaches]
    restored = [figures.restored_s for figures in played if figures.restored_s is not None]
    second = [figures for figures in played if figures.round.second is not Second.NONE]
    rows = {
        "rounds": f"{len(played)}, of them {sum(each.closes for each in played)} through the close, the others the trim",
        "kills": f"{len(played) + len(second)}, of them {len(second)} of a guard that had just been started again",
        "rounds with an intent in flight": f"{sum(bool(each.left) for each in played)}",
        "second kills with one in flight": f"{sum(bool(each.left_by_second) for each in second)}",
        "intents in flight": f"{len(left)}: {_counted(each.stage for each in left)}",
        "executed, outcome not known": f"{sum(each.executed for each in left)}",
        "resolved after the start as": _counted(each.became for each in left),
        "restarts within 100 ms": f"{sum(each.round.down_ms < 100 for each in played)}",
        "double executions": f"{sum(text.startswith('I7') for text in texts)}",
        "exposure increases": f"{sum(text.startswith('I2:') for text in texts)}",
        "start to first request": _spread([each.boot_s for each in played]),
        "first request to verified protection": _spread([each.known_s - each.boot_s for each in played]),
        "start to verified protection": _spread([each.known_s for each in played]),
        f"over {PROTECTED_S_MAX:.0f} s of that, boot included": f"{sum(each.known_s > PROTECTED_S_MAX for each in played)}",
        "start to a missing stop placed": _spread(restored),
        "start to what the rules name": _spread([each.done_s for each in played]),
        "breaches": f"{len(texts)}",
    }
    return [f"{name:<38}{text}" for name, text in rows.items()]


def _counted(names: Iterable[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(Counter(map(str, names)).items())) or "none"


def _spread(seconds: list[float]) -> str:
    if not seconds:
        return "none"
    return f"median {statistics.median(seconds):.2f} s, max {max(seconds):.2f} s, of {len(seconds)}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.live.kill_loop", description=__doc__)
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="play only the story of this round")
    parser.add_argument("--venue", type=SimulatedVenue, choices=tuple(PLACES), default=SimulatedVenue.BITMART)
    given = parser.parse_args()
    played = asyncio.run(loop(times=given.times, seed=given.seed, only=given.only, place=PLACES[given.venue]))
    print("\n".join(summary(played)))
    in_flight = sum(bool(each.left) for each in played)
    short = given.only is None and in_flight < IN_FLIGHT_MIN_SHARE * given.times
    if short:
        print(f"only {in_flight} of {given.times} kills hit an intent in flight: too few to prove anything")
    return 1 if short or any(each.breaches for each in played) else 0


if __name__ == "__main__":
    sys.exit(main())
