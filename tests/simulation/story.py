"""One seed, played: exchanges, traders, the weather, and a guard that is killed and started again."""

import asyncio
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from typing import Final

from guardd.config import AccountSettings, Mode, Secrets, Settings, Venue
from guardd.errors import GuarddError
from guardd.model.facts import Fact, IntentStaged
from guardd.model.instant import NS_PER_S
from guardd.model.intent import Stage
from guardd.policy.load import load_policy
from guardd.simulator.control import AccountSettings as Owner
from guardd.simulator.run import DEFAULT_ACCOUNTS, ServeSettings
from guardd.simulator.stamps import RequestStamp
from guardd.venues.wire import WireRequest
from tests.changed import replace
from tests.live.places import PLACES
from tests.simulation.cast import Cast
from tests.simulation.checks import WELL_FOR_S
from tests.simulation.forces import Forces
from tests.simulation.loop import BEGINS_S, VirtualClock, VirtualLoop, play
from tests.simulation.market import Prices
from tests.simulation.menu import KILL, MENU, TWIN, TWIN_AFTER_S, UP_AGAIN_S
from tests.simulation.plot import MACHINE, Kill, Plot, Rewrite, Strike, Twin
from tests.simulation.process import Machine, Process
from tests.simulation.room import Room
from tests.simulation.wire import Weather

PULSE_S: Final = 0.15
"""How often a venue looks at the time, and how late what is due there may come: tickers go each second time."""
AGAIN_S: Final = 5.0
"""So long after its end a service manager starts a daemon again."""
GAP: Final = 0.03
MEMORY: Final = Path("/dev/shm")
"""Journals of a story lie in memory where there is such a place: how long a real disk takes is not what is asked."""


@dataclass(slots=True, kw_only=True)
class Told:
    """How a story went."""

    seed: int
    venue: str
    breaches: list[str]
    seconds: float
    turns: int = 0
    closes: int = 0
    liquidations: int = 0
    kills: int = 0
    drawn: dict[str, int] = field(default_factory=dict)
    """How many strikes of each kind there were."""
    strikes: dict[str, int] = field(default_factory=dict)
    """How often each kind struck."""
    decisions: int = 0
    facts: int = 0
    open_breach: bool = False
    avoidable: int = 0
    """Liquidations that a guard with perfect information would have prevented."""
    unexplained_s: float = 0.0
    """Seconds without protection that nothing explains."""
    requests: int = 0
    awaits: int = 0
    """Where the guard's hands could have been killed: each await of an intent's way, in all lives together."""
    left: list[str] = field(default_factory=list)
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
        self.policy = load_policy(plot.policy, source="policy.yaml")
        self.rooms = [self._room(number) for number in range(len(plot.sites))]
        self.weather = [Weather() for _ in plot.sites]
        self.machine = self._machine()
        self.cast = [
            Cast(part, plot.sites[part.site].venue, self._owner(number), self.rooms[part.site], self.policy)
            for number, part in enumerate(plot.parts)
        ]
        chance = Random(f"story/{plot.seed}")
        self.prices = [Prices(site, room.server, chance) for site, room in zip(plot.sites, self.rooms, strict=True)]
        self.forces = Forces(
            rooms=self.rooms,
            weather=self.weather,
            prices=self.prices,
            parts=plot.parts,
            clock=self.machine.clock,
            processes=self._processes,
            guard=lambda: self.guard,
            wrong=self._wrong,
        )
        self.told_facts: list[str] | None = [] if tape else None
        self.guard: Process | None = None
        self.twin: Process | None = None
        self.lives = count()
        self.starts: list[float] = []
        self.ended = 0
        self.tails: list[str] = []
        self.wrongs: list[str] = []
        self.awaits = self.decisions = self.facts = 0
        loop.on_await = self._awaits

    # The stage

    def _room(self, number: int) -> Room:
        site = self.plot.sites[number]
        owners = [self._owner(n) for n, part in enumerate(self.plot.parts) if part.site == number]
        settings = ServeSettings(
            venue=site.venue,
            seed=self.plot.seed + number,
            accounts=tuple(owners),
            contracts=PLACES[site.venue].contracts(),
        )
        upgrades = any(strike.what == "upgraded" and strike.site == number for strike in self.plot.strikes)
        return Room(f"{site.venue}-{number}.sim", settings, VirtualClock(self.loop), upgrades=upgrades)

    def _owner(self, number: int) -> Owner:
        part = self.plot.parts[number]
        return replace(DEFAULT_ACCOUNTS[number], uid=part.uid, deposit=part.deposit, spot=part.spot)

    def _machine(self) -> Machine:
        accounts: list[AccountSettings] = []
        environ: dict[str, str] = {}
        for number, part in enumerate(self.plot.parts):
            place, owner, room = PLACES[self.plot.sites[part.site].venue], self._owner(number), self.rooms[part.site]
            own = place.environ(owner.key, owner.secret, owner.passphrase)
            environ.update({f"{part.name.upper()}_{name.split('_', 1)[1]}": value for name, value in own.items()})
            accounts.append(
                AccountSettings(
                    name=part.name,
                    venue=Venue(place.settings_name),
                    credentials=part.name.upper(),
                    mode=Mode.OBSERVE if part.observe else None,
                    rest_url=room.rest_url,
                    stream_url=room.stream_url,
                )
            )
        return Machine(
            loop=self.loop,
            clock=VirtualClock(self.loop, offset_ms=self.plot.clock_ms),
            rooms={room.host: room for room in self.rooms},
            weather=dict(zip((room.host for room in self.rooms), self.weather, strict=True)),
            settings=Settings(mode=Mode.ENFORCE, accounts=tuple(accounts)),
            secrets=Secrets(environ=environ),
        )

    # From beginning to end

    async def run(self) -> Told:
        for cast in self.cast:
            cast.trader.open_positions()
        self._start(self.home / f"data-{next(self.lives)}")
        tasks = [self.loop.create_task(work) for work in self._works()]
        await asyncio.sleep(BEGINS_S + self.plot.seconds - self.loop.time())
        for task in tasks:
            if task.done():
                task.result()
            task.cancel()
        self._look()
        self._all_up()
        for cast in self.cast:
            cast.checks.close_of_story(self._now())
        for process in self._processes():
            await process.stop()
            self._left_by(process, process.data)
        for cast in self.cast:
            cast.checks.stopped(self._now())
        return self._told()

    def _all_up(self) -> None:
        """With nothing in the way for a while, each account has its guard again."""
        for cast in self.cast:
            well = self._now() >= cast.checks.disturbed_until + WELL_FOR_S
            if well and not self._mistaken(cast) and (self.guard is None or cast.part.name not in self.guard.armed_at):
                self._wrong(f"start: {cast.part.name} has had no guard since its last trouble")

    def _mistaken(self, cast: Cast) -> bool:
        """A guard that began while the venue said that the account is of its other family is told to be started again."""
        return any(
            strike.what == "other-family"
            and strike.site == cast.part.site
            and strike.at_s <= at <= strike.at_s + strike.for_s
            for strike in self.plot.strikes
            for at in self.starts
        )

    def _works(self) -> list[object]:
        return [
            self._prices(),
            self._pulse(),
            self._deeds(),
            *([] if self.plot.resumes_after_s is None else [self._operator(self.plot.resumes_after_s)]),
            *(self._strike(strike) for strike in self.plot.strikes),
            *(self._end_process(kill) for kill in self.plot.kills),
            *(self._rewrite(rewrite) for rewrite in self.plot.rewrites),
            *(self._second(number, twin) for number, twin in enumerate(self.plot.twins)),
        ]

    async def _prices(self) -> None:
        while True:
            now = self._now()
            for number, each in enumerate(self.prices):
                if each.go_on(now) > GAP:
                    self._gap(number)
            self._look()
            busy = any(each.busy(now) for each in self.prices)  # ten ticks a second while something happens
            await self.machine.clock.sleep(0.1 if busy else self.plot.tick_s)

    async def _pulse(self) -> None:
        while True:
            for room in self.rooms:
                room.pulse()
            guard = self.guard
            if guard is not None and guard.dead is not None:
                self._died(guard, guard.dead)
            await self.machine.clock.sleep(PULSE_S)

    async def _deeds(self) -> None:
        for deed in self.plot.deeds:
            await self._until(deed.at_s)
            cast = self.cast[deed.part]
            cast.checks.disturb(self._now())
            if cast.trader.do(deed):
                self._look()

    async def _rewrite(self, rewrite: Rewrite) -> None:
        await self._until(rewrite.at_s)
        self.policy = load_policy(rewrite.policy, source="policy.yaml")
        self._look()
        for cast in self.cast:
            cast.rewrite(self.policy, self._now())
        for process in self._processes():
            process.adopt(self.policy)

    async def _operator(self, after_s: float) -> None:
        """Sees that an account is parked, or that its guard looks on beside one that is gone; looks into it, and resumes it."""
        since: dict[str, float] = {}
        while True:
            for cast in self.cast:
                alone = cast.checks.telling.steps_aside and self.twin is None
                if not cast.checks.parked and not alone:
                    since.pop(cast.part.name, None)
                elif self._now() - since.setdefault(cast.part.name, self._now()) >= after_s:
                    since.pop(cast.part.name)
                    cast.checks.disturb(self._now())
                    cast.checks.spoken(self._now())
                    self.forces.resume(cast.part.name)
            await asyncio.sleep(1.0)

    # What goes wrong

    async def _strike(self, strike: Strike) -> None:
        await self._until(strike.at_s)
        kind = MENU[strike.what]
        end = strike.at_s + strike.for_s
        for cast in self._struck(strike):
            cast.excuse(kind.name, strike.at_s, end + kind.excused_s(strike.for_s, strike.size), kind.excuses)
        if strike.what in {"tiers", "paused", "shut", "delisted", "adl"}:
            self._gap(strike.site)
        self.forces.begin(strike)
        self._spoken(strike)
        self._look()
        await self._until(end)
        while strike.what == "halted" and not self._up():  # a word that nobody hears isn't given
            await asyncio.sleep(1.0)
            self._excuse_all(strike.what, kind.after_s)
        self.forces.end(strike)
        self._spoken(strike)
        if strike.what == "outage":
            for cast in self._struck(strike):
                cast.checks.gone(strike.what, strike.at_s, end, self._now())
        self._look()

    def _spoken(self, strike: Strike) -> None:
        for cast in self.cast if strike.what == "halted" else ():
            cast.checks.spoken(self._now())

    def _struck(self, strike: Strike) -> list[Cast]:
        return [cast for cast in self.cast if strike.site in (MACHINE, cast.part.site)]

    def _gap(self, site: int) -> None:
        for cast in self.cast:
            if cast.part.site == site:
                cast.checks.gap(self._now())

    async def _end_process(self, kill: Kill) -> None:
        await self._until(kill.at_s)
        guard = self.guard
        if guard is None:
            return
        self._excuse_all(KILL, kill.down_s + UP_AGAIN_S)
        if not kill.politely:
            self._kill(guard, down_s=kill.down_s)
            return
        self.guard = None
        self.ended += 1
        self._look()
        await guard.stop()
        for cast in self.cast:
            cast.checks.stopped(self._now())
        self._excuse_all(KILL, kill.down_s + UP_AGAIN_S)
        self.loop.call_later(kill.down_s, self._start, self._left_by(guard, guard.data))

    async def _second(self, number: int, twin: Twin) -> None:
        """Somebody starts guardd on another machine as well, and ends it after a while."""
        await self._until(twin.at_s)
        self._excuse_all(TWIN, twin.for_s + TWIN_AFTER_S)
        data = self.home / f"twin-{number}"
        self.twin = self._process(data)
        self.forces.struck[TWIN] = self.forces.struck.get(TWIN, 0) + 1
        await self._until(twin.at_s + twin.for_s)
        left = self.home / f"twin-{number}-left"
        self.twin.kill(left)
        self._left_by(self.twin, left)
        self.twin = None

    def _awaits(self, task: str) -> None:
        self.awaits += 1
        if self.guard is not None and self.awaits == self.plot.kill_at_await:
            self._kill(self.guard, down_s=0.05)

    def _kill(self, guard: Process, *, down_s: float) -> None:
        onto = self.home / f"data-{next(self.lives)}"
        self.tails.append(guard.kill(onto).value)
        self.guard = None
        self.ended += 1
        self._excuse_all(KILL, down_s + UP_AGAIN_S)
        self.loop.call_later(down_s, self._start, self._left_by(guard, onto))

    def _died(self, guard: Process, why: GuarddError) -> None:
        """By itself: that is allowed where its disk takes nothing; its service manager starts it again."""
        if not self._excused("disk-full"):
            self._wrong(f"the guard ended by itself: {why}")
        self._kill(guard, down_s=AGAIN_S)

    def _left_by(self, guard: Process, data: Path) -> Path:
        for cast in self.cast:
            cast.checks.process_ended(data, self._now(), str(guard.data))
        return data

    def _start(self, data: Path) -> None:
        self._excuse_all(KILL, UP_AGAIN_S)
        self.starts.append(self._now())
        try:
            self.guard = self._process(data)
        except GuarddError as error:
            self._wrong(f"a guard couldn't start: {error}")

    def _process(self, data: Path) -> Process:
        process = Process(self.machine, self.policy, data, seed=f"process/{self.plot.seed}/{data.name}", watch=self)
        process.disk.full = self._stands("disk-full")
        for cast in self.cast:
            cast.checks.begun(str(data), self._now())
        return process

    # Watching

    def _look(self) -> None:
        now = self._now()
        for cast in self.cast:
            cast.look(now, self.guard)

    def heard(self, fact: Fact, life: Path) -> None:
        self.facts += 1
        self.decisions += isinstance(fact, IntentStaged) and fact.stage is Stage.DECIDED
        if self.told_facts is not None:
            whose = "" if life.name.startswith("data-") else f"[{life.name}] "
            self.told_facts.append(f"{self._now():.3f} {whose}{fact}")
        now = self._now()
        for cast in self.cast:
            cast.heard(fact, now, life)

    def leaving(self, request: WireRequest, life: Path) -> None:
        now = self._now()
        for cast in self.cast:
            cast.leaving(request, now, life)

    def asked(self, room: Room, stamp: RequestStamp, life: Path) -> None:
        now = self._now()
        for cast in self.cast:
            cast.asked(room, stamp, now, life)

    def unheard(self, request: WireRequest, life: Path) -> None:
        for cast in self.cast:
            cast.unheard(request, self._now(), life)

    def _wrong(self, text: str) -> None:
        self.wrongs.append(f"{text} (at {self._now():.2f} s)")

    # Questions

    def _processes(self) -> list[Process]:
        return [each for each in (self.guard, self.twin) if each is not None]

    def _up(self) -> bool:
        return self.guard is not None and len(self.guard.armed_at) == len(self.cast)

    def _stands(self, what: str) -> bool:
        return any(
            each.what == what and each.at_s <= self._now() < each.at_s + each.for_s for each in self.plot.strikes
        )

    def _excused(self, what: str) -> bool:
        return any(
            each.what == what and each.at_s <= self._now() <= each.at_s + each.for_s + AGAIN_S + UP_AGAIN_S
            for each in self.plot.strikes
        )

    def _excuse_all(self, what: str, for_s: float) -> None:
        for cast in self.cast:
            cast.excuse(what, self._now(), self._now() + for_s)

    def _now(self) -> float:
        return self.loop.time() - BEGINS_S

    async def _until(self, at_s: float) -> None:
        await asyncio.sleep(max(at_s - self._now(), 0.0))

    # How it went

    def _told(self) -> Told:
        drawn = Counter(strike.what for strike in self.plot.strikes)
        drawn.update({KILL: len(self.plot.kills), TWIN: len(self.plot.twins)})
        return Told(
            seed=self.plot.seed,
            venue=self.plot.venue,
            breaches=[*self.wrongs, *(line for cast in self.cast for line in cast.breaches(alone=len(self.cast) == 1))],
            seconds=self.plot.seconds,
            turns=self.loop.turns,
            closes=sum(cast.checks.closes for cast in self.cast),
            liquidations=sum(cast.checks.liquidations for cast in self.cast),
            kills=self.ended,
            drawn=dict(drawn),
            strikes={**self.forces.struck, KILL: self.ended},
            decisions=self.decisions,
            facts=self.facts,
            open_breach=any(cast.checks.open_breach for cast in self.cast),
            avoidable=sum(cast.checks.avoidable for cast in self.cast),
            unexplained_s=sum(cast.checks.standing.unexplained_s for cast in self.cast),
            requests=sum(len(room.server.stamps.requests) for room in self.rooms),
            awaits=self.awaits,
            left=[line for cast in self.cast for line in cast.left()],
            tails=self.tails,
            tape=self._tape(),
        )

    def _tape(self) -> list[str]:
        if self.told_facts is None:
            return []
        lines = [*self.told_facts, *(f"{strike.at_s:.3f} STRIKE {strike}" for strike in self.plot.strikes)]
        for room in self.rooms:
            lines.extend(_stamped(room, stamp) for stamp in room.server.stamps.requests)
            began_ms = self.cast[0].checks.began_ms
            rows = room.server.exchange.ledger._rows
            lines.extend(f"{(row.at_ms - began_ms) / 1e3:.3f} {room.host} {row.as_json()}" for row in rows)
        return sorted(lines, key=lambda line: float(line.split(" ", 1)[0]))


def _stamped(room: Room, stamp: RequestStamp) -> str:
    at_s = stamp.mono_ns / NS_PER_S - BEGINS_S
    return f"{at_s:.3f} {room.host} {stamp.uid} {stamp.method} {stamp.path} {stamp.status} {stamp.body}"
