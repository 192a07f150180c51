"""guardd whole in one process on a virtual clock, with everything that hears of its doings: metrics, board, log, tape, journal.

What `guardd run` has and this has not: sockets, threads and the HTTP server. Frames begin as the venue's text, orders end as bytes.
"""

import asyncio
import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, Final

from guardd import __version__
from guardd.config import AccountSettings, Mode, Secrets, Settings, Venue, account_name
from guardd.daemon.account import GuardedAccount
from guardd.daemon.supervisor import EXPENDABLE, Supervisor
from guardd.daemon.wiring import World, guarded_account
from guardd.execution.haste import Haste
from guardd.http.board import Board
from guardd.journal.sqlite import SqliteJournal
from guardd.journal.tape import Tape
from guardd.journal.worker import InlineWorker
from guardd.model.facts import Fact
from guardd.policy.load import load_policy
from guardd.simulator.contracts import Contract
from guardd.simulator.control import AccountSettings as Owner
from guardd.simulator.limits import Charge, Rate, Verdict
from guardd.simulator.run import ServeSettings, SimulatedVenue
from guardd.simulator.stamps import RequestStamp
from guardd.simulator.wire import Close, Reply
from guardd.telemetry.fanout import Afterwards, Fanout
from guardd.telemetry.heartbeat import Seen
from guardd.telemetry.log import configure_log
from guardd.telemetry.metrics import Metrics
from guardd.telemetry.narrate import Narrator
from guardd.telemetry.notify import Notifier
from guardd.telemetry.redaction import Redactor
from guardd.telemetry.summary import DailySummary
from guardd.venues.limiter import Limit, Limiter, LimiterRegistry
from guardd.venues.wire import WireRequest
from tests.bench.book import hold_alike
from tests.bench.cast import LEVERAGE, START, Cast, contracts_of, key_of, quote_at, size_of_position
from tests.bench.counter import Counter
from tests.changed import replace
from tests.live.places import PLACES, Place
from tests.simulation.disk import DiskWorker
from tests.simulation.loop import VirtualClock, VirtualLoop
from tests.simulation.room import Room, RoomSocket
from tests.simulation.wire import MemoryWire, Weather

PULSE_S: Final = 0.15
_TIMES: Final = 10_000
_SETTLED_S: Final = 5.0
"""After the last position is guarded and protected: what follows that is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What is guarded, and by what policy. `limited`: with the limits of requests; thousands of positions want none."""

    venue: SimulatedVenue
    cast: Cast
    policy: str
    limited: bool = False


class Nowhere(io.TextIOBase):
    """Where the log goes: it is made, and nobody reads it."""

    def write(self, text: str) -> int:
        return len(text)


class UncountedRoom(Room):
    """A venue whose work isn't counted."""

    def __init__(self, settings: ServeSettings, clock: VirtualClock, counter: Counter) -> None:
        super().__init__(f"{settings.venue}.bench", settings, clock)
        self._counter = counter

    def answer(self, wired: WireRequest) -> Reply:
        with self._counter.paused():
            return super().answer(wired)

    def open(self, url: str, deliver: Callable[[str | Close], None]) -> RoomSocket | None:
        with self._counter.paused():
            return super().open(url, deliver)

    def heard(self, socket: RoomSocket, text: str) -> None:
        with self._counter.paused():
            super().heard(socket, text)

    def pulse(self) -> None:
        with self._counter.paused():
            super().pulse()


class UnlimitedRegistry(LimiterRegistry):
    """guardd's side of a venue that turns nobody away."""

    def limiter(self, *, host: str, credential: str, limits: Any, share: float) -> Limiter:
        wide: list[Limit] = [replace(limit, calls=limit.calls * _TIMES) for limit in limits]
        return super().limiter(host=host, credential=credential, limits=wide, share=share)


@dataclass(slots=True)
class Witness:
    """Who looks over the process's shoulder: how many orders have left. `on_order` is told of each."""

    closing: str
    orders: int = 0
    on_order: Callable[[], None] = field(default=lambda: None)

    def heard(self, fact: Fact, life: Path) -> None:
        """The stand's own listeners hear everything."""

    def leaving(self, request: WireRequest, life: Path) -> None:
        if request.method == "POST" and request.url.endswith(self.closing):
            self.orders += 1
            self.on_order()

    def asked(self, room: Room, stamp: RequestStamp, life: Path) -> None:
        """Not of interest."""

    def unheard(self, request: WireRequest, life: Path) -> None:
        """Not of interest."""


class Stand:
    """A scene, guarded. `async with`-free: `begin`, play, and let the loop drop it."""

    def __init__(
        self, scene: Scene, loop: VirtualLoop, home: Path, *, tape: Callable[[Path], Tape] | None = None
    ) -> None:
        """`tape`: makes the guard's tape of its data directory."""
        self.scene, self.loop, self.cast = scene, loop, scene.cast
        self.counter = Counter()
        self.clock = VirtualClock(loop)
        self.place: Place = PLACES[scene.venue]
        self.contracts = _contracts(self.place, self.cast)
        self.room = UncountedRoom(self._serve_settings(), self.clock, self.counter)
        if not scene.limited:
            self.room.server.dialect.limits.charge = _unlimited  # type: ignore[attr-defined]
        self._open_book()
        self.witness = Witness(closing=self.place.word("{close}"))
        chance = Random("bench")
        self._journal = SqliteJournal.open(
            home / "data", now=self.clock.now, listen=self._hear, worker=DiskWorker(loop, chance)
        )
        weather = Weather(least_ms=0.0, tail_ms=2.0, push_tail_ms=0.0)
        self.wire = MemoryWire(
            loop,
            self.clock,
            {self.room.host: self.room},
            {self.room.host: weather},
            chance,
            watch=self.witness,
            life=home,
        )
        self.tape = tape(home / "data") if tape else Tape(home / "data", worker=InlineWorker())
        self.accounts: list[GuardedAccount] = []
        self.supervisor = Supervisor(self.clock)
        self._wire_up(chance)

    def _wire_up(self, chance: Random) -> None:
        settings = Settings(mode=Mode.ENFORCE, accounts=tuple(self._accounts()))
        secrets = Secrets(environ=self._environ())
        configure_log(
            level="info", form="json", now=self.clock.now, redactor=Redactor(secrets.loaded), stream=Nowhere()
        )
        policy = load_policy(self.scene.policy, source="policy.yaml")
        haste = Haste(self.clock)
        self.metrics, heard_by = self._telemetry(settings, policy.digest)
        self._listener = Afterwards(heard_by, calm=haste.wait, sleep=self.clock.sleep)
        registry = (LimiterRegistry if self.scene.limited else UnlimitedRegistry)(self.clock, chance)
        world = World(clock=self.clock, wire=self.wire, random=chance, limiters=registry)
        for account in settings.accounts:
            guarded = guarded_account(
                account,
                settings,
                policy=policy,
                secrets=secrets,
                world=world,
                journal=self._journal,
                supervisor=self.supervisor,
                listener=self._listener,
                haste=haste,
                tape=self.tape,
            )
            self.accounts.append(guarded)
        self.supervisor.start("telling", self._listener.run, budget=EXPENDABLE)
        self.supervisor.start("tape", lambda: self.tape.run(self.clock.sleep), budget=EXPENDABLE)

    def _hear(self, fact: Fact) -> None:
        self._listener(fact)

    def _telemetry(self, settings: Settings, digest: str) -> tuple[Metrics, Fanout]:
        """As the service has them."""
        metrics = Metrics(
            version=__version__,
            tokens=list,
            frames=list,
            unknowns=list,
            durable=lambda: True,
            accounts=lambda: [(each.name, each.venue.name) for each in self.accounts],
        )
        board = Board(
            accounts=[account_name(account) for account in settings.accounts],
            mode=settings.mode,
            version=__version__,
            policy_digest=lambda: digest,
            now_ms=lambda: self.clock.now().wall_ms,
            calls_left=list,
        )
        notifier = Notifier(receivers=[], count=metrics.notification, now=self.clock.now, sleep=self.clock.sleep)
        return metrics, Fanout(metrics, board, Narrator(), notifier, DailySummary(self.clock.now()), Seen())

    # From start to rest

    async def begin(self) -> None:
        """Started, every position guarded (and protected, where the policy says so), and at rest."""
        self.loop.create_task(self._keep_time())
        for account in self.accounts:
            await account.start()
        for account in self.accounts:
            await account.ready()
            account.begin(armed=True, why="bench")
        wanted = self.cast.positions if "stop_loss" in self.scene.policy else 0
        while self._stops() < wanted:
            await self.clock.sleep(1.0)
        await self.clock.sleep(_SETTLED_S)

    async def _keep_time(self) -> None:
        """Each position ticks once a second from the beginning: nobody may take the feed for dead."""
        due, wave = 0, 0
        while True:
            self.room.pulse()
            due += 1
            if due >= 1 / PULSE_S:
                due, wave = 0, wave + 1
                for symbol in self.cast.symbols if self.ticking else ():
                    self.tick(symbol, wave)
            await self.clock.sleep(PULSE_S)

    ticking = True
    """Whether the background's ticks go on."""

    def _stops(self) -> int:
        query = self.room.server.exchange.query
        return sum(len(query.open_plans(name)) for name in self.cast.account_names)

    # The market

    async def settle_instant(self) -> None:
        """Until nobody has anything left to do at this instant."""
        loop = self.loop
        await asyncio.sleep(0)
        while loop._ready or (loop._timers and loop._timers[0][0] <= loop.now_us):  # noqa: ASYNC110
            await asyncio.sleep(0)

    def tick(self, symbol: str, wave: int, level: Decimal = START) -> None:
        """A price move, pushed in the venue's own words; the venue's part of it isn't counted."""
        with self.counter.paused():
            quote = quote_at(level, self.contracts[0].tick, wave % 7)
            self.room.server.set_price(symbol, quote.mark, quote=quote)

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Without the background's ticks."""
        self.ticking = False
        try:
            yield
        finally:
            self.ticking = True

    # Settings

    def _serve_settings(self) -> ServeSettings:
        deposit = Decimal(1_000) * self.cast.positions / self.cast.accounts / 2
        owners = tuple(
            Owner(
                uid=name,
                deposit=deposit,
                key=key_of(name).key,
                secret=key_of(name).secret,
                passphrase=key_of(name).passphrase,
            )
            for name in self.cast.account_names
        )
        return ServeSettings(
            venue=self.scene.venue,
            accounts=owners,
            contracts=self.contracts,
            prices=dict.fromkeys(self.cast.symbols, START),
            walk=False,
            ticker_interval_ms=0,
            options=self.place.options(ticker_ms=0),
        )

    def _open_book(self) -> None:
        for name in self.cast.account_names:
            own = [symbol for symbol in self.cast.symbols if self.cast.owner(symbol) == name]
            size = size_of_position() / self.contracts[0].contract_size
            hold_alike(self.room.server, name, own, size=size, leverage=Decimal(LEVERAGE), cross=self.cast.cross)
        self.room.server.exchange.advance(self.room.server.now_ms())

    def _accounts(self) -> Iterator[AccountSettings]:
        for name in self.cast.account_names:
            yield AccountSettings(
                name=name,
                venue=Venue(self.place.settings_name),
                credentials=name.upper(),
                mode=Mode.ENFORCE,
                rest_url=self.room.rest_url,
                stream_url=self.room.stream_url,
            )

    def _environ(self) -> Mapping[str, str]:
        found: dict[str, str] = {}
        for name in self.cast.account_names:
            key = key_of(name)
            own = self.place.environ(key.key, key.secret, key.passphrase)
            found |= {f"{name.upper()}_{variable.split('_', 1)[1]}": value for variable, value in own.items()}
        return found


def _contracts(place: Place, cast: Cast) -> tuple[Contract, ...]:
    """BitMart counts in whole contracts, and knows no product lines."""
    made = contracts_of(cast)
    if place.venue is SimulatedVenue.BITMART:
        thousandth = Decimal("0.001")
        return tuple(
            replace(
                each, contract_size=thousandth, step=Decimal(1), min_size=Decimal(1), group="", settle="",
                max_market_size=Decimal(10**7), max_limit_size=Decimal(10**7),
            )
            for each in made
        )  # fmt: skip
    return made


def _unlimited(endpoint: str, rate: Rate, caller: str, peer_ip: str, now_ms: int) -> Charge:
    return Charge(verdict=Verdict.PASS, rate=rate, used=1)
