"""One account's tasks: the stream's pump, the reads, the guard and its pulse. Its trouble never cancels another's send."""

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Final

from guardd.clock import Clock
from guardd.daemon.guard import Guard
from guardd.daemon.supervisor import ESSENTIAL, Supervisor
from guardd.errors import VenueBusy, VenueRefused, VenueUnreachable
from guardd.execution.awaken import awaken
from guardd.journal.base import Journal
from guardd.model.event import ClockRead, Event, OperatorSpoke, OperatorWord, Pulse, VenueLearned
from guardd.model.facts import Listener, LoopLagged
from guardd.model.instant import NS_PER_S
from guardd.model.names import AccountName, Severity
from guardd.venues.base import Venue

PULSE_S: Final = 0.25
"""How often `for`, cooldowns and ages are judged without an event; what is told of a breach is within a second (I21)."""
DRAIN_S: Final = 8.0
PROOF_S: Final = 1.9
"""Shorter than what a bucket rests after a 429 (2 s): a start that is turned away goes on at once."""
PROOF_AGAIN_S: Final = 2.0


class GuardedAccount:
    """An account from start to stop."""

    def __init__(
        self,
        *,
        guard: Guard,
        venue: Venue,
        journal: Journal,
        clock: Clock,
        supervisor: Supervisor,
        listener: Listener,
        tape: Callable[[AccountName, Event], None],
        acts: bool,
    ) -> None:
        """`acts`: it shall enforce, so its key must be allowed to trade."""
        self.guard = guard
        self.venue = venue
        self._journal = journal
        self._clock = clock
        self._supervisor = supervisor
        self._listener = listener
        self._tape = tape
        self._acts = acts

    @property
    def name(self) -> AccountName:
        return self.guard.state.name

    async def start(self) -> None:
        """Prove the key, remember the last run, start reading. Raises `VenueUnreachable`, `CredentialsError`, `JournalError`."""
        await self.venue.open()
        self._learn()
        proved = await self._prove_key()
        offset_ms = await self.venue.clock_offset_ms()
        memory = await self._journal.recall(self.name)
        awaken(self.guard.state, memory, now=self._clock.now(), clock_offset_ms=offset_ms)
        self.guard.absorb(ClockRead(at=self._clock.now(), offset_ms=offset_ms))
        self._run("guard", self.guard.run)
        self._run("stream", self._pump)
        self._run("pulse", self._beat)
        for name, body in self.guard.reader.tasks():
            self._run(name, body)
        self.guard.reader.want_full()
        self.guard.executor.resume(self.guard.state.pending.values())
        if not proved:
            self._run("prove-key", self._prove_later)

    def _learn(self) -> None:
        """What the account can do is known once its adapter is open (a venue may have several families of accounts)."""
        venue = self.venue
        learned = VenueLearned(at=self._clock.now(), capabilities=venue.capabilities, family=venue.family)
        self._tape(self.name, learned)
        self.guard.absorb(learned)

    def speak(self, word: OperatorWord, why: str) -> None:
        """An operator's word; acted on by the guard's own task."""
        self.guard.inbox.post(OperatorSpoke(at=self._clock.now(), word=word, why=why))

    async def ready(self) -> None:
        """Wait until everything that a first decision needs has been read."""
        while not self.guard.ready:
            await self._clock.sleep(0.02)

    def begin(self, *, armed: bool, why: str) -> None:
        """Open the gate. `armed`: signed writes may leave."""
        if armed:
            self.guard.absorb(OperatorSpoke(at=self._clock.now(), word=OperatorWord.CONFIRM, why=why))
            self._journal.note_word(self.name, OperatorWord.CONFIRM, why, self._clock.now())
        self.guard.begin()

    async def stop(self) -> None:
        """Two phases: nothing new, then what is being sent comes to its end. The resting protection stays (I25)."""
        self.guard.executor.stop_intake()
        await self.guard.executor.drain(deadline_s=DRAIN_S)
        await self.venue.close()

    def _run(self, name: str, body: Callable[[], Awaitable[None]]) -> None:
        self._supervisor.start(f"{self.name}/{name}", body, budget=ESSENTIAL, given_up=self._given_up)

    def _given_up(self, why: str) -> None:
        self.guard.park(f"a task of this account failed again and again: {why}")

    async def _prove_key(self) -> bool:
        """False where a start a moment ago spent the budget of that call: positions don't wait for their guard because of it."""
        try:
            await self.venue.prove_key(deadline_s=PROOF_S)
        except VenueBusy:
            return False
        except VenueRefused as refusal:
            if self._acts:
                raise
            text = f"{self.name}: this key may not trade ({refusal}); enough to observe, not to enforce"
            self.guard.teller.say(Severity.WARNING, "key", text, self._clock.now())
        return True

    async def _prove_later(self) -> None:
        """A key that is refused after all parks the account."""
        while True:
            await self._clock.sleep(PROOF_AGAIN_S)
            try:
                await self.venue.prove_key()
            except (VenueBusy, VenueUnreachable):
                continue
            return

    async def _pump(self) -> None:
        """From the stream to the guard."""
        async with aclosing(self.venue.stream(self.guard.hear)) as events:
            async for event in events:
                self.guard.hear(event)

    async def _beat(self) -> None:
        """The guard's pulse, and by the way how late the loop is."""
        while True:
            before_ns = self._clock.monotonic_ns()
            await self._clock.sleep(PULSE_S)
            late_s = (self._clock.monotonic_ns() - before_ns) / NS_PER_S - PULSE_S
            self._listener(LoopLagged(seconds=max(late_s, 0.0)))
            self.guard.inbox.post(Pulse(at=self._clock.now()))
