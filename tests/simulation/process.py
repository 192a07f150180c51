"""One guardd in the simulation: its accounts wired as the daemon wires them, killed at any await, started on what the disk kept."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

from guardd.config import AccountSettings, Mode, Secrets, Settings
from guardd.daemon.account import GuardedAccount
from guardd.daemon.supervisor import EXPENDABLE, Supervisor
from guardd.daemon.wiring import World, guarded_account
from guardd.errors import GuarddError, VenueError
from guardd.execution.haste import Haste
from guardd.journal.sqlite import SqliteJournal
from guardd.model.facts import Fact
from guardd.policy.language import Policy
from guardd.venues.limiter import LimiterRegistry
from tests.simulation.disk import DiskWorker, Tail, crash
from tests.simulation.loop import VirtualClock, VirtualLoop
from tests.simulation.room import Room
from tests.simulation.wire import MemoryWire, Watch, Weather

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
    """From start to kill or stop. `dead` says why it ended by itself. Raises `JournalError` where the directory is taken."""

    def __init__(self, machine: Machine, policy: Policy, data: Path, *, seed: str, watch: Watch) -> None:
        self.machine, self.policy, self.data = machine, policy, data
        self._watch = watch
        self._chance = Random(seed)
        self._alive = True
        self.dead: GuarddError | None = None
        self.armed_at: dict[str, float] = {}
        """When each account's gate was opened, by name."""
        self.disk = DiskWorker(machine.loop, self._chance)
        self.journal = SqliteJournal.open(data, now=machine.clock.now, listen=self._hear, worker=self.disk)
        self.wire = MemoryWire(
            machine.loop, machine.clock, machine.rooms, machine.weather, self._chance, watch=watch, life=data
        )
        self.supervisor = Supervisor(machine.clock)
        world = World(
            clock=machine.clock,
            wire=self.wire,
            random=self._chance,
            limiters=LimiterRegistry(machine.clock, self._chance),
        )
        self.accounts: list[GuardedAccount] = []
        haste = Haste(machine.clock)
        for account in machine.settings.accounts:
            guarded = guarded_account(
                account,
                machine.settings,
                policy=policy,
                secrets=machine.secrets,
                world=world,
                journal=self.journal,
                supervisor=self.supervisor,
                listener=self._hear,
                haste=haste,
            )
            self.accounts.append(guarded)
            self.supervisor.start(f"{guarded.name}/life", self._life(guarded, account), budget=EXPENDABLE)

    def _life(self, guarded: GuardedAccount, account: AccountSettings) -> Callable[[], Awaitable[None]]:
        armed = self.machine.settings.mode_of(account) is Mode.ENFORCE
        return lambda: self._live(guarded, armed=armed)

    async def _live(self, account: GuardedAccount, *, armed: bool) -> None:
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
        account.begin(armed=armed, why="simulation")
        self.armed_at[account.name] = self.machine.loop.time()

    def adopt(self, policy: Policy) -> None:
        """As the service does it once a file was read and found valid: all accounts in one turn (I23)."""
        self.policy = policy
        for account in self.accounts:
            account.guard.adopt(policy)

    def kill(self, onto: Path) -> Tail:
        """SIGKILL, or the power: nothing of it acts any more. `onto` is the data directory that the next one finds."""
        self._alive = False
        self.wire.cut()
        tail = crash(self.disk, self._chance, self.data, onto)
        for task in list(self.supervisor._tasks):
            task.cancel()
        self.journal._store.close()
        if self.journal._ahead is not None:
            self.journal._ahead.close()
        if self.journal._lock is not None:
            self.journal._lock.release()
        return tail

    async def stop(self) -> None:
        """SIGTERM. A journal that can't be closed is what it is: the process ends all the same."""
        await asyncio.gather(*(account.stop() for account in self.accounts), return_exceptions=True)
        await self.supervisor.stop(deadline_s=3.0)
        try:
            await self.journal.close()
        except GuarddError as error:
            self.dead = error
        await self.wire.close()
        self._alive = False

    def _hear(self, fact: Fact) -> None:
        if self._alive:
            self._watch.heard(fact, self.data)


def another_on(process: Process) -> None:
    """Open the journal that this process holds, as a second guardd would. Raises `JournalError` as it must."""
    clock = process.machine.clock
    journal = SqliteJournal.open(process.data, now=clock.now, listen=lambda fact: None, worker=process.disk)
    journal._store.close()
