"""One seed, played: the exchange, the trader, the weather, and a guard that is killed and started again."""

import asyncio
import tempfile
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import count
from pathlib import Path
from random import Random
from typing import Final

from guardd.config import AccountSettings, Secrets, Settings
from guardd.model.facts import Fact
from guardd.policy.load import load_policy
from guardd.simulator.accounts import MarginMode
from guardd.simulator.faults import FaultKind
from guardd.simulator.orders import (
    OrderRequest,
    PlanKind,
    PlanRequest,
    PositionMode,
    PositionSide,
    Side,
)
from guardd.simulator.records import PositionView
from guardd.simulator.refusals import Refused
from guardd.simulator.run import DEFAULT_ACCOUNTS, ServeSettings, SimulatedVenue
from tests.live.places import PLACES
from tests.simulation.checks import Checks
from tests.simulation.loop import BEGINS_S, VirtualClock, VirtualLoop, play
from tests.simulation.plot import Deed, Hand, Market, Move, Plot, Strike
from tests.simulation.process import Machine, Process
from tests.simulation.room import Room
from tests.simulation.wire import Weather

PULSE_S: Final = 0.1
UP_AGAIN_S: Final = 12.0
UID: Final = "main"
GAP: Final = Decimal("0.03")
MEMORY: Final = Path("/dev/shm")
"""Journals of a story lie in memory where there is such a place: how long a real disk takes is not what is asked."""


@dataclass(slots=True)
class Told:
    """How a story went."""

    seed: int
    venue: str
    breaches: list[str]
    seconds: float
    turns: int
    closes: int
    liquidations: int
    kills: int
    strikes: dict[str, int]
    open_breach: bool
    requests: int
    awaits: int
    """Where the guard's hands could have been killed: each await of an intent's way, in all lives together."""
    left: list[str]
    """What is held and what rests at the end."""
    tails: list[str] = field(default_factory=list)
    tape: list[str] = field(default_factory=list)


def tell(plot: Plot, *, tape: bool = False) -> Told:
    """Play a plot to its end."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None, prefix="guardd-") as home:
        return play(lambda loop: _Story(plot, loop, Path(home), tape=tape).run())


class _Story:
    def __init__(self, plot: Plot, loop: VirtualLoop, home: Path, *, tape: bool) -> None:
        self.plot, self.loop, self.home = plot, loop, home
        self.place = PLACES[plot.venue]
        self.chance = Random(f"story/{plot.seed}")
        self.clock = VirtualClock(loop)
        host = f"{plot.venue}.sim"
        account = replace(DEFAULT_ACCOUNTS[0], deposit=plot.deposit)
        self.room = Room(
            host,
            ServeSettings(venue=plot.venue, seed=plot.seed, accounts=(account,), contracts=self.place.contracts()),
            self.clock,
        )
        self.exchange = self.room.server.exchange
        self.weather = Weather()
        settings = Settings(
            mode="enforce",
            accounts=(
                AccountSettings(
                    name="main",
                    venue=self.place.settings_name,
                    rest_url=self.room.rest_url,
                    stream_url=self.room.stream_url,
                ),
            ),
        )
        secrets = Secrets(environ=self.place.environ(account.key, account.secret, account.passphrase))
        self.machine = Machine(
            loop=loop,
            clock=self.clock,
            rooms={host: self.room},
            weather={host: self.weather},
            settings=settings,
            secrets=secrets,
        )
        self.policy = load_policy(plot.policy, source="policy.yaml")
        last = Decimal(plot.policy.rsplit("below: ", 1)[1].split("%", 1)[0])
        self.checks = Checks(self.exchange, UID, last, self.room.server.now_ms())
        self.told_facts: list[str] | None = [] if tape else None
        self.guard: Process | None = None
        self.lives = count()
        self.struck: dict[str, int] = {}
        self.tails: list[str] = []
        self.starts: dict[str, Decimal] = {}
        self.awaits = 0
        loop.on_await = self._awaits

    async def run(self) -> Told:
        self._open_positions()
        self._start(self.home / "data-0")
        works = [self._prices(), self._pulse(), self._strikes(), self._deeds(), self._kills()]
        tasks = [self.loop.create_task(work) for work in works]
        end = BEGINS_S + self.plot.seconds
        await asyncio.sleep(end - self.loop.time())
        for task in tasks:
            if task.done():
                task.result()
            task.cancel()
        self._look()
        self.checks.close_of_story(self.loop.time() - BEGINS_S)
        guard = self.guard
        if guard is not None and guard.dead is not None:
            self.checks.breaches.append(f"the guard ended by itself: {guard.dead}")
        told = Told(
            seed=self.plot.seed,
            venue=self.plot.venue.value,
            breaches=list(self.checks.breaches),
            seconds=self.plot.seconds,
            turns=self.loop.turns,
            closes=self.checks.closes,
            liquidations=self.checks.liquidations,
            kills=next(self.lives) - 1,
            strikes={**self.struck, "lost": self.weather.lost},
            open_breach=self.checks.open_breach,
            requests=len(self.room.server.stamps.requests),
            awaits=self.awaits,
            left=self._left(),
            tails=self.tails,
            tape=self._tape(),
        )
        if guard is not None:
            await guard.stop()
        return told

    # The trader

    def _open_positions(self) -> None:
        now_ms = self.room.server.now_ms()
        self.exchange.set_position_mode(UID, self.plot.mode, now_ms)
        for holding in self.plot.holdings:
            margin_mode = MarginMode.ISOLATED if holding.isolated else MarginMode.CROSS
            quote, contract = self.exchange.query.quote(holding.symbol), self.exchange.query.contract(holding.symbol)
            assert quote is not None
            worth = self.plot.deposit * holding.share * holding.leverage
            size = (worth / quote.mark / contract.contract_size / contract.step).to_integral_value() * contract.step
            try:
                self.exchange.set_leverage(
                    UID, holding.symbol, now_ms, leverage=Decimal(holding.leverage), margin_mode=margin_mode
                )
                self._trade(holding.symbol, Side.BUY if holding.long else Side.SELL, size)
            except Refused:
                continue  # too small, too large, the modes of two legs: then he doesn't have it
        self.starts = {symbol: self._mark(symbol) for symbol in self.plot.moves}

    def _trade(self, symbol: str, side: Side, size: Decimal, *, reduce: bool = False) -> None:
        order = OrderRequest(symbol=symbol, side=side, size=size, reduce=reduce)
        self.exchange.place(UID, order, self.room.server.now_ms())

    async def _deeds(self) -> None:
        for deed in self.plot.deeds:
            await self._until(deed.at_s)
            self._disturb(0.0)
            try:
                self._do(deed)
            except Refused:
                continue
            self._look()

    def _do(self, deed: Deed) -> None:
        server, symbol = self.room.server, deed.symbol
        held = next((each for each in self.exchange.query.positions(UID, symbol) if each.size), None)
        contract = self.exchange.query.contract(symbol)
        now_ms = server.now_ms()
        match deed.hand:
            case Hand.DEPOSITS:
                self.exchange.grant(UID, self.plot.deposit / 10, now_ms)
            case Hand.OPENS:
                self._trade(symbol, Side.BUY, max(contract.min_size, contract.step * 10))
            case _ if held is None:
                return
            case Hand.ADDS:
                self._trade(symbol, _opening(held), self._part(held, Decimal("0.3")))
            case Hand.CLOSES_PART:
                self._trade(symbol, _closing(held), self._part(held, Decimal("0.4")), reduce=True)
            case Hand.CLOSES:
                self._trade(symbol, _closing(held), held.size, reduce=True)
            case Hand.FLIPS:
                if self.plot.mode is PositionMode.ONE_WAY:
                    self._trade(symbol, _closing(held), held.size * 2)
            case Hand.CANCELS_STOP:
                for plan in self.exchange.query.open_plans(UID, symbol):
                    self.exchange.cancel_plan(UID, plan.plan_id, now_ms)
                    return
            case Hand.PLACES_STOP:
                sign = 1 if held.side is PositionSide.LONG else -1
                trigger = held.mark_price * (1 - sign * Decimal("0.02"))
                plan = PlanRequest(
                    symbol=symbol,
                    kind=PlanKind.STOP_LOSS,
                    side=_closing(held),
                    reduce=True,
                    trigger_price=(trigger / contract.tick).to_integral_value() * contract.tick,
                )
                self.exchange.place_plan(UID, plan, now_ms)
            case Hand.RAISES_LEVERAGE:
                self.exchange.set_leverage(
                    UID, symbol, now_ms, leverage=held.leverage + 5, margin_mode=held.margin_mode
                )

    def _part(self, held: PositionView, share: Decimal) -> Decimal:
        step = self.exchange.query.contract(held.symbol).step
        return max((held.size * share / step).to_integral_value() * step, step)

    # The market

    async def _prices(self) -> None:
        walk = dict.fromkeys(self.plot.moves, Decimal(0))
        while True:
            now = self._now()
            for symbol, move in self.plot.moves.items():
                walk[symbol] += Decimal(self.chance.randrange(-100, 101)) * Decimal("0.000003")
                contract = self.exchange.query.contract(symbol)
                mark = self.starts[symbol] * (1 + walk[symbol] - move.size * Decimal(_shape(move, now)))
                before = self._mark(symbol)
                self.room.server.set_price(symbol, max((mark / contract.tick).to_integral_value(), 1) * contract.tick)
                if abs(mark - before) > before * GAP:
                    self.checks.gap(now)
            self._look()
            await asyncio.sleep(self._pace(now))

    def _pace(self, now: float) -> float:
        """Ten ticks a second while something happens."""
        busy = any(
            move.market is not Market.CALM and move.begins_s - 1 <= now <= move.begins_s + min(move.lasts_s, 20) + 1
            for move in self.plot.moves.values()
        )
        return 0.1 if busy else self.plot.tick_s

    async def _pulse(self) -> None:
        while True:
            self.room.pulse()
            await asyncio.sleep(PULSE_S)

    # What goes wrong

    async def _strikes(self) -> None:
        async with asyncio.TaskGroup() as group:
            for strike in self.plot.strikes:
                group.create_task(self._strike(strike))

    async def _strike(self, strike: Strike) -> None:
        await self._until(strike.at_s)
        end = strike.at_s + strike.for_s
        self._disturb(end - self._now())
        if strike.fault is not None:
            self.room.server.faults.set(strike.fault)
        self._weather(strike, on=True)
        await self._until(end)
        if strike.fault is not None:
            hits = next(hits for fault, hits in self.room.server.faults.listed() if fault.name == strike.fault.name)
            self.struck[strike.fault.kind.value] = self.struck.get(strike.fault.kind.value, 0) + max(hits, 1)
            self.room.server.faults.clear(strike.fault.name)
            if strike.fault.kind in {FaultKind.CLOUDFLARE_403, FaultKind.CLOUDFLARE_503, FaultKind.TOO_MANY}:
                self._disturb(75.0)  # the block's own time (interfaces.md section 6)
            if strike.fault.kind is FaultKind.FREEZE_SOCKET:
                self._disturb(45.0)
        self._weather(strike, on=False)

    def _weather(self, strike: Strike, *, on: bool) -> None:
        weather, fair = self.weather, Weather()
        match strike.weather:
            case "lost-before":
                weather.lost_before = strike.share if on else 0.0
            case "lost-after":
                weather.lost_after = strike.share if on else 0.0
            case "slow":
                weather.tail_ms = 5_000.0 if on else fair.tail_ms
                weather.push_tail_ms = 5_000.0 if on else fair.push_tail_ms
            case "down":
                weather.down = on
                if on:
                    self.room.cut()
            case _:
                return
        self.struck[strike.weather] = self.struck.get(strike.weather, 0) + on

    async def _kills(self) -> None:
        for at_s in self.plot.kills:
            await self._until(at_s)
            guard = self.guard
            if guard is not None:
                self._kill(guard, down_s=self.chance.choice((0.05, 0.5, 3.0, 20.0)))

    def _awaits(self, task: str) -> None:
        self.awaits += 1
        if self.guard is not None and self.awaits == self.plot.kill_at_await:
            self._kill(self.guard, down_s=0.05)

    def _kill(self, guard: Process, *, down_s: float) -> None:
        onto = self.home / f"data-{next(self.lives)}"
        self.tails.append(guard.kill(onto).value)
        self.guard = None
        self.loop.call_later(down_s, self._start, onto)

    def _start(self, data: Path) -> None:
        if data.name == "data-0":
            next(self.lives)
        self._disturb(UP_AGAIN_S)
        self.guard = Process(
            self.machine, self.policy, data, seed=f"process/{self.plot.seed}/{data.name}", listen=self._hear
        )

    # Watching

    def _look(self) -> None:
        guard = self.guard
        guarded = guard is not None and guard.armed_at is not None and self.loop.time() - guard.armed_at > UP_AGAIN_S
        if guard is None:
            self._disturb(0.0)
        self.checks.look(self._now(), guarded=guarded)

    def _hear(self, fact: Fact) -> None:
        if self.told_facts is not None:
            self.told_facts.append(f"{self._now():.3f} {fact}")

    def _tape(self) -> list[str]:
        if self.told_facts is None:
            return []
        stamps = [
            f"{s.mono_ns / 1e9 - BEGINS_S:.3f} {s.method} {s.path} {s.status} {s.body}"
            for s in self.room.server.stamps.requests
        ]
        rows = [f"{(r.at_ms - self.checks.began_ms) / 1e3:.3f} {r.as_json()}" for r in self.exchange.ledger._rows]
        lines = [*self.told_facts, *stamps, *rows]
        return sorted(lines, key=lambda line: float(line.split(" ", 1)[0]))

    def _left(self) -> list[str]:
        """An order for exactly what is held is one for all of it."""
        held = {(each.symbol, each.side): each.size for each in self.exchange.query.positions(UID) if each.size}
        found = [f"{symbol} {side.value} {size}" for (symbol, side), size in held.items()]
        for plan in self.exchange.query.open_plans(UID):
            size = "whole" if plan.size is None or plan.size in held.values() else str(plan.size)
            found.append(f"{plan.symbol} {plan.kind.value} {plan.side.value} {plan.trigger_price} {size}")
        return sorted(found)

    def _mark(self, symbol: str) -> Decimal:
        quote = self.exchange.query.quote(symbol)
        assert quote is not None
        return quote.mark

    def _now(self) -> float:
        return self.loop.time() - BEGINS_S

    def _disturb(self, for_s: float) -> None:
        self.checks.disturb(self._now() + for_s)

    async def _until(self, at_s: float) -> None:
        await asyncio.sleep(max(at_s - self._now(), 0.0))


def _shape(move: Move, now: float) -> float:
    """How much of the move is behind at this second: 0 to 1."""
    since = now - move.begins_s
    if since <= 0 or move.market is Market.CALM:
        return 0.0
    match move.market:
        case Market.GAP:
            return 1.0
        case Market.WICK:
            half = max(move.lasts_s / 2, 0.5)
            return max(1.0 - abs(since - half) / half, 0.0)
        case Market.CRASH:
            fallen = min(since / 1.0, 1.0) * 0.4 + min(max(since - 1.0, 0.0) / 9.0, 1.0) * 0.6
            return fallen - min(max(since - 10.0, 0.0) / 60.0, 1.0) * 0.5
        case _:
            return min(since / max(move.lasts_s, 30.0), 1.0)


def _opening(held: PositionView) -> Side:
    return Side.BUY if held.side is PositionSide.LONG else Side.SELL


def _closing(held: PositionView) -> Side:
    return Side.SELL if held.side is PositionSide.LONG else Side.BUY


__all__ = ["SimulatedVenue", "Told", "tell"]
