"""One guardd in the simulation: its accounts wired as the daemon wires them, killed at any await, started on what the disk kept."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

from guardd.config import Secrets, Settings
from guardd.daemon.account import GuardedAccount
from guardd.daemon.supervisor import EXPENDABLE, Supervisor
from guardd.daemon.wiring import World, guarded_account
from guardd.errors import GuarddError, VenueError
from guardd.journal.sqlite import FILE_NAME, SqliteJournal
from guardd.journal.store import open_store
from guardd.model.facts import Fact, Listener
from guardd.policy.language import Policy
from guardd.venues.limiter import LimiterRegistry
from tests.simulation.disk import DiskWorker, Tail, crash
from tests.simulation.loop import VirtualClock, VirtualLoop
from tests.simulation.room import Room
from tests.simulation.wire import MemoryWire, Weather

AGAIN_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What outlives a process."""

    loop: VirtualLoop
    clock: VirtualClock
    rooms: Mapping[str, Room]
    weather: Mapping[str, Weather]
    settings: Settings
    secrets: Secrets


class Process:
    """From start to kill or stop. `dead` says why it ended by itself."""

    def __init__(self, machine: Machine, policy: Policy, data: Path, *, seed: str, listen: Listener) -> None:
        self.machine, self.policy, self.data = machine, policy, data
        self._listen = listen
        self._chance = Random(seed)
        self._alive = True
        self.dead: GuarddError | None = None
        self.began = machine.loop.time()
        self.armed_at: float | None = None
        self.disk = DiskWorker(machine.loop, self._chance)
        data.mkdir(parents=True, exist_ok=True)
        self._store = open_store(data / FILE_NAME)
        self.journal = SqliteJournal(
            store=self._store, lock=None, worker=self.disk, now=machine.clock.now, listen=self._hear
        )
        self.wire = MemoryWire(machine.loop, machine.clock, machine.rooms, machine.weather, self._chance)
        self.supervisor = Supervisor(machine.clock)
        world = World(
            clock=machine.clock,
            wire=self.wire,
            random=self._chance,
            limiters=LimiterRegistry(machine.clock, self._chance),
        )
        self.accounts: list[GuardedAccount] = [
            guarded_account(
                account,
                machine.settings,
                policy=policy,
                secrets=machine.secrets,
                world=world,
                journal=self.journal,
                supervisor=self.supervisor,
                listener=self._hear,
            )
            for account in machine.settings.accounts
        ]
        for guarded in self.accounts:
            self.supervisor.start(
                f"{guarded.name}/life", lambda guarded=guarded: self._live(guarded), budget=EXPENDABLE
            )

    async def _live(self, account: GuardedAccount) -> None:
        """As the service does it: start, begin when ready, try again where the venue can't be reached."""
        while True:
            try:
                await account.start()
            except VenueError:
                await self.machine.clock.sleep(AGAIN_S)
                continue
            except GuarddError as error:
                self.dead = error
                return
            break
        await account.ready()
        account.begin(armed=True, why="simulation")
        self.armed_at = self.armed_at or self.machine.loop.time()

    def kill(self, onto: Path) -> Tail:
        """SIGKILL, or the power: nothing of it acts any more. `onto` is the data directory that the next one finds."""
        self._alive = False
        self.wire.cut()
        tail = crash(self.disk, self._chance, self.data, onto)
        for task in list(self.supervisor._tasks):
            task.cancel()
        self._store.close()
        return tail

    async def stop(self) -> None:
        """SIGTERM."""
        await asyncio.gather(*(account.stop() for account in self.accounts), return_exceptions=True)
        await self.supervisor.stop(deadline_s=3.0)
        await self.journal.close()
        await self.wire.close()
        self._alive = False

    def _hear(self, fact: Fact) -> None:
        if self._alive:
            self._listen(fact)
