"""The demo from start to end: two processes, the market's course, what is seen of it, the verdict, and an orderly end."""

import asyncio
import signal
import tempfile
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp
import msgspec
from msgspec import Struct

from guardd.clock import Clock
from guardd.demo import scenario, story
from guardd.demo.exchange import Addresses
from guardd.demo.frame import Frame, Show
from guardd.demo.processes import Child, DemoFailed, clean_environment, free_port
from guardd.demo.scenario import Play
from guardd.demo.settings import credentials, write_settings
from guardd.demo.story import Line
from guardd.demo.verdict import Verdict, judge
from guardd.demo.watch import ANSWER_S, Exchange, Log, Status, read_status
from guardd.simulator import prices
from guardd.simulator.run import SimulatedVenue

EXCHANGE_START_S: Final = 30.0
DAEMON_START_S: Final = 60.0
"""From the daemon's start until every position is protected; a second on a free machine."""
LOOK_S: Final = 0.2
REMEMBERED: Final = 20
SETTLE_S: Final = 2.0
"""After the last price: what is under way comes to its end."""


class Wish(Struct, frozen=True, kw_only=True):
    """What the user asked for."""

    venue: SimulatedVenue
    seconds: int
    seed: int
    observe: bool


async def run_demo(wish: Wish, clock: Clock, show_at: Callable[[str], Show]) -> Verdict:
    """Play the demo. `show_at` makes the show, given the status page's address. Raises `DemoFailed`.

    Whatever happens (Ctrl-C, SIGTERM, a failure), both processes are ended in order and the temporary directory is removed.
    """
    _end_on_signals()
    address = f"http://127.0.0.1:{(port := free_port())}"
    show = show_at(address)
    with tempfile.TemporaryDirectory(prefix="guardd-demo-") as name:
        home = Path(name)
        exchange = await Child.start(
            "exchange",
            ["-m", "guardd.demo.exchange", wish.venue.value, str(wish.seed)],
            home=home,
            environ=clean_environment({}),
            read_stdout=True,
        )
        try:
            line = await exchange.first_line(EXCHANGE_START_S)
            addresses = msgspec.json.decode(line, type=Addresses)
            file = write_settings(home, venue=wish.venue, addresses=addresses, port=port, observe=wish.observe)
            daemon = await Child.start(
                "daemon",
                ["-m", "guardd", "run", "-c", str(file), "--confirm", "CONFIRM"],
                home=home,
                environ=clean_environment(credentials(wish.venue)),
            )
            try:
                session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_S))
                async with session:
                    stage = _Stage(
                        wish=wish,
                        clock=clock,
                        show=show,
                        address=address,
                        play=scenario.play(seed=wish.seed, seconds=wish.seconds),
                        children=(exchange, daemon),
                        daemon=daemon,
                        exchange=Exchange(rest_url=addresses.rest_url, session=session, lots=addresses.lots),
                        session=session,
                        log=Log(file=daemon.log),
                    )
                    return await stage.run()
            finally:
                show.end()
                await daemon.stop()
        finally:
            await exchange.stop()


def _end_on_signals() -> None:
    """SIGTERM and a hang-up end the demo as Ctrl-C does: in order."""
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("the demo runs as a task")
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)


@dataclass(slots=True, kw_only=True)
class _Stage:
    """Everything that stands while the demo plays. `began_ms`: the play's start in the exchange's time, 0 before it."""

    wish: Wish
    clock: Clock
    show: Show
    address: str
    play: Play
    children: tuple[Child, ...]
    daemon: Child
    exchange: Exchange
    session: aiohttp.ClientSession
    log: Log
    said: deque[str] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    began_ms: int = 0
    now_ms: int = 0

    async def run(self) -> Verdict:
        mode = "observe (it sends nothing)" if self.wish.observe else "enforce"
        self.show.words(
            f"Two equal accounts at a simulated {self.wish.venue}, {scenario.DEPOSIT:,} USDT each; guardd guards "
            f"`{scenario.GUARDED}` in {mode}, nobody guards `{scenario.TWIN}`. Seed {self.wish.seed}."
        )
        self.show.words(f"Status page while it runs: {self.address}/")
        await self._wait_for_the_guard()
        self.began_ms = await self.exchange.begin(self.play)
        end_ms = self.began_ms + self.play.end_ms + int(SETTLE_S * 1_000)
        while self.now_ms < end_ms:
            await self._look()
            await self.clock.sleep(LOOK_S)
        await self.daemon.stop()  # before the last look: what it leaves resting at the exchange stays there
        await self._look(daemon_gone=True)
        self.show.end()
        await self.exchange.read_equity((scenario.GUARDED, scenario.TWIN))
        verdict = judge(self.exchange.ledger, began_ms=self.began_ms, end_ms=self.began_ms + self.play.end_ms)
        self.show.verdict(verdict, observe=self.wish.observe)
        return verdict

    async def _wait_for_the_guard(self) -> None:
        """Until every position is protected (in observe: until the account is live). The market stands until then."""
        started_ns = self.clock.monotonic_ns()
        missing = ""
        while (self.clock.monotonic_ns() - started_ns) / 1e9 < DAEMON_START_S:
            status = await self._look()
            missing = self._missing(status)
            if not missing:
                return
            await self.clock.sleep(LOOK_S)
        raise self.daemon.failure(f"was not ready within {DAEMON_START_S:.0f} s ({missing})")

    def _missing(self, status: Status | None) -> str:
        if status is None:
            return f"nothing answers at {self.address}/status"
        return status.waits_for(len(scenario.LEGS), observe=self.wish.observe)

    async def _look(self, *, daemon_gone: bool = False) -> Status | None:
        """One look at everything, shown. Raises `DemoFailed` when a process has died."""
        for child in self.children:
            if not (daemon_gone and child is self.daemon):
                child.check()
        try:
            venue, rows = await self.exchange.look()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self.children[0].failure(f"gave no answer ({type(error).__name__})") from error
        status = None if daemon_gone else await read_status(self.session, self.address)
        self.now_ms = venue.now_ms
        self._tell([*map(story.tell, rows), *map(story.say, self.log.fresh())])
        offset_ms = self._offset(venue.now_ms)
        silent = self._silent(offset_ms)
        self.show.frame(Frame(offset_ms=offset_ms, play=self.play, venue=venue, status=status, feed_silent=silent))
        return status

    def _tell(self, lines: Iterable[Line | None]) -> None:
        """What happened since the last look, in order; what the guard says in two ways at once is shown once."""
        for line in sorted((line for line in lines if line is not None), key=lambda line: line.at_ms):
            if line.who == "guard" and line.text in self.said:
                continue
            self.said.append(line.text)
            self.show.line(line, self._offset(line.at_ms))

    def _offset(self, at_ms: int) -> int:
        """From the play's start; before it, from now backwards."""
        return at_ms - self.began_ms if self.began_ms else min(at_ms - self.now_ms, 0) - 1

    def _silent(self, offset_ms: int) -> bool:
        effects = prices.crash_feed_effects(self.play.crash_ms)
        stalls = (effect for effect in effects if effect.kind is prices.FeedEffectKind.STALL)
        return any(stall.start_ms <= offset_ms < stall.end_ms for stall in stalls)


__all__ = ["DemoFailed", "Wish", "run_demo"]
