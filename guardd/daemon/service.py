"""The daemon from start to stop: accounts, gate, HTTP, signals, the service manager."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from importlib import import_module
from typing import Final

import structlog
from msgspec import Struct

from guardd import __version__
from guardd.clock import Clock
from guardd.config import Mode, Secrets, Settings, account_name, is_loopback
from guardd.daemon.account import GuardedAccount
from guardd.daemon.garbage import look_when_calm
from guardd.daemon.reload import Ears, PolicyReload, fingerprint
from guardd.daemon.supervisor import EXPENDABLE, Supervisor
from guardd.daemon.systemd import Notifier as ServiceManager
from guardd.daemon.wiring import World, guarded_account, policy_from, real_world
from guardd.errors import ConfigurationError, VenueBusy, VenueError
from guardd.execution.haste import Haste
from guardd.http.board import Board, CallsLeft
from guardd.journal.sqlite import SqliteJournal
from guardd.journal.tape import Tape
from guardd.model.event import OperatorWord
from guardd.model.facts import Said
from guardd.model.instant import NS_PER_MS, NS_PER_S, Instant
from guardd.model.intent import Stage
from guardd.model.names import AccountName, Severity
from guardd.policy.check import Weight, bench_of, findings
from guardd.policy.explain import describe
from guardd.policy.language import Policy
from guardd.telemetry.courier import installed
from guardd.telemetry.fanout import Afterwards, Fanout
from guardd.telemetry.heartbeat import Heartbeat, Seen
from guardd.telemetry.metrics import LastFrame, Metrics, TokensLeft, UnknownSince
from guardd.telemetry.narrate import Narrator
from guardd.telemetry.notify import Notifier, Receiver, by_apprise
from guardd.telemetry.summary import DailySummary

log = structlog.get_logger("guardd")

SILENT_AFTER_S: Final = 3.0
"""The guard's pulse beats four times a second; without one for this long the daemon counts as hung."""
RETRY_START_S: Final = 5.0
PAGE_AFTER_S: Final = 0.05
DATES_AFTER_S: Final = 5.0
"""So long after the accounts' start the code of what no position waits for is read."""
JOURNAL_KEPT_S: Final = 90 * 86_400.0
STOP_TASKS_S: Final = 3.0
CONFIRM: Final = "CONFIRM"


class Gate(Struct, frozen=True, kw_only=True):
    """How the operator's word comes: given beforehand, or asked for at a terminal (None where there is none)."""

    word: str | None
    ask: Callable[[Sequence[str]], Awaitable[str]] | None


class Service:
    """All accounts of one configuration."""

    def __init__(
        self, *, settings: Settings, secrets: Secrets, gate: Gate, clock: Clock, announce: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._secrets = secrets
        self._gate = gate
        self._clock = clock
        self._announce = announce
        seen = fingerprint(settings.policy)
        self._policy = policy_from(settings.policy)
        self._manager = ServiceManager(os.environ)
        self._supervisor = Supervisor(clock)
        self._world: World = real_world(clock)
        self._accounts: list[GuardedAccount] = []
        self._stopping = asyncio.Event()
        self._pulses: dict[AccountName, Instant] = {}
        """When each guard that has begun last turned its loop."""
        self._began = clock.now()
        self._watchdog = clock.now()
        names = [account_name(account) for account in settings.accounts]
        self._board = Board(
            accounts=names,
            mode=settings.mode,
            version=__version__,
            policy_digest=lambda: self._policy.digest,
            now_ms=lambda: clock.now().wall_ms,
            calls_left=self._calls_left,
        )
        self._journal: SqliteJournal | None = None
        self._metrics = Metrics(
            version=__version__,
            tokens=self._tokens,
            frames=self._frames,
            unknowns=self._unknowns,
            durable=lambda: self._journal is None or self._journal.failing is None,
            accounts=lambda: [(each.name, each.venue.name) for each in self._accounts],
        )
        self._notifier = Notifier(
            receivers=[
                Receiver(
                    name=each.url,
                    url=secrets.notify_url(each),
                    min_severity=each.min_severity,
                    daily_summary=each.daily_summary,
                )
                for each in settings.notify
            ],
            count=self._metrics.notification,
            now=clock.now,
            sleep=clock.sleep,
        )
        self._summary = DailySummary(clock.now())
        self._seen = Seen()
        self._haste = Haste(clock)
        heard_by = Fanout(self._metrics, self._board, Narrator(), self._notifier, self._summary, self._seen)
        self._listener = Afterwards(heard_by, calm=self._haste.wait, sleep=clock.sleep)
        self._ready = False
        self._reload = PolicyReload(
            path=settings.policy,
            current=lambda: self._policy,
            adopt=self._adopt,
            states=lambda: [account.guard.state for account in self._accounts],
            clock=clock,
            ears=Ears(said=self._said, count=self._metrics.policy_reload, reloading=self._reloading),
            seen=seen,
            pinned=gate.word is not None and gate.word != CONFIRM,
        )

    async def run(self) -> None:
        """Guard until a signal. Raises what keeps it from starting: settings, credentials, venue, journal."""
        self._check_gate()
        check_receivers(self._settings, self._secrets)
        heartbeat = self._heartbeat()
        token = self._secrets.http_token(self._settings)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload.ask)
        sync = not self._settings.measure_without_sync
        journal = SqliteJournal.open(self._settings.data_dir, now=self._clock.now, listen=self._listener, sync=sync)
        if not sync:
            self._announce("the journal isn't synced: for measurements only")
        self._journal = journal
        tape = Tape(self._settings.data_dir)
        try:
            self._wire_accounts(journal, tape)
            self._supervisor.start("telling", self._listener.run, budget=EXPENDABLE)
            self._supervisor.start("tape", lambda: tape.run(self._clock.sleep), budget=EXPENDABLE)
            self._supervisor.start("notify", self._notifier.run, budget=EXPENDABLE)
            if heartbeat is not None:
                self._supervisor.start("heartbeat", heartbeat.run, budget=EXPENDABLE)
            self._supervisor.start("policy", self._reload.run, budget=EXPENDABLE)
            if self._settings.policy_watch:
                self._supervisor.start("policy-watch", self._reload.watch, budget=EXPENDABLE)
            self._supervisor.start("http", lambda: self._listen(token), budget=EXPENDABLE)
            if await self._supervisor.unless(self._stopping, "start", self._start_accounts()):
                self._supervisor.start("schedule", lambda: self._keep_dates(journal), budget=EXPENDABLE)
                self._supervisor.start("gate", self._open_gates, budget=EXPENDABLE)
                await self._stopping.wait()
        finally:
            await self._stop(journal, tape)

    # Start

    def _check_gate(self) -> None:
        enforcing = any(self._settings.mode_of(account) is Mode.ENFORCE for account in self._settings.accounts)
        if enforcing and self._gate.word is None and self._gate.ask is None:
            raise ConfigurationError(
                "mode enforce: found neither a terminal to ask at nor --confirm (GUARDD_CONFIRM), expected the word CONFIRM "
                f"or CONFIRM:{self._policy.digest[:12]}…; nothing was sent"
            )

    def _wire_accounts(self, journal: SqliteJournal, tape: Tape) -> None:
        for account in self._settings.accounts:
            self._accounts.append(
                guarded_account(
                    account,
                    self._settings,
                    policy=self._policy,
                    secrets=self._secrets,
                    world=self._world,
                    journal=journal,
                    supervisor=self._supervisor,
                    listener=self._listener,
                    haste=self._haste,
                    on_pulse=partial(self._on_pulse, account_name(account)),
                    tape=tape,
                )
            )

    async def _listen(self, token: str | None) -> None:
        """Expendable: restarted for ever. That it can't listen is told. Its code is read beside the accounts' first requests:
        positions wait for their guard, a page can wait."""
        await self._clock.sleep(PAGE_AFTER_S)
        await asyncio.to_thread(import_module, "guardd.http.app")
        from guardd.http.app import Operator, Sources, make_app, serve

        settings = self._settings.http
        operator = Operator(
            halt=lambda account: self._speak(OperatorWord.HALT, account),
            resume=lambda account: self._speak(OperatorWord.RESUME, account),
            flatten=lambda account: self._speak(OperatorWord.FLATTEN, account),
            token=token,
        )

        def metrics(accept: str) -> tuple[AsyncIterator[bytes], str]:
            return self._metrics.exposition(accept, rest=lambda: self._clock.sleep(0))

        sources = Sources(board=self._board, metrics=metrics, silent=self._silent, wait=self._clock.wait)
        app = make_app(sources=sources, operator=operator, loopback=is_loopback(settings.host))
        try:
            await serve(
                app,
                host=settings.host,
                port=settings.port,
                listening=lambda address: self._announce(f"status page: {address}/"),
            )
        except OSError as error:
            say = f"http: can't listen on {settings.host}:{settings.port} ({error.strerror or error}); tried again"
            self._said(Severity.CRITICAL, "http", say)
            raise

    async def _keep_dates(self, journal: SqliteJournal) -> None:
        """The daily work, once nothing waits for its guard any more."""
        await self._clock.sleep(DATES_AFTER_S)
        await asyncio.to_thread(import_module, "guardd.daemon.schedule")
        from guardd.daemon.schedule import Schedule

        schedule = Schedule(count=self._metrics.scheduled_job)
        schedule.daily("prune-journal", lambda: self._prune(journal), hour=0, minute=10)
        schedule.daily("daily-summary", self._summarise, hour=0, minute=5)
        schedule.start()
        try:
            await self._stopping.wait()
        finally:
            schedule.stop()

    async def _start_accounts(self) -> None:
        """Every account by itself. Where none of them can be reached, the daemon says so and ends (exit 69).

        What a venue does to one account (a block, a ban, maintenance, an answer without sense) never leaves the others
        unguarded: that one is tried again. Blocks and bans end by themselves, so they are waited for even where all are held up:
        a daemon that ends is started anew, and asks a venue that has told it to stay away.
        """
        results = await asyncio.gather(*(account.start() for account in self._accounts), return_exceptions=True)
        failed = [
            (account, error)
            for account, error in zip(self._accounts, results, strict=True)
            if isinstance(error, BaseException)
        ]
        ours = [error for _, error in failed if not isinstance(error, VenueError)]
        waits = any(isinstance(error, VenueBusy) for _, error in failed)
        if ours or (len(failed) == len(self._accounts) and not waits):
            raise (*ours, *(error for _, error in failed))[0]
        for account, error in failed:
            self._said(Severity.CRITICAL, f"start/{account.name}", f"{account.name}: {error}; tried again")
            self._supervisor.start(f"{account.name}/start", partial(self._start_later, account), budget=EXPENDABLE)

    async def _start_later(self, account: GuardedAccount) -> None:
        while True:
            await self._clock.sleep(RETRY_START_S)
            try:
                await account.start()
            except VenueError:
                continue
            return

    # The gate

    async def _open_gates(self) -> None:
        """Each account begins once it is ready and its mode allows; READY=1 when all have."""
        async with asyncio.TaskGroup() as group:
            for account, settings in zip(self._accounts, self._settings.accounts, strict=True):
                if self._settings.mode_of(settings) is Mode.OBSERVE:
                    group.create_task(self._begin(account, armed=False), name=f"{account.name}/begin")
            enforcing = [
                account
                for account, settings in zip(self._accounts, self._settings.accounts, strict=True)
                if self._settings.mode_of(settings) is Mode.ENFORCE
            ]
            if enforcing and self._gate.word is not None:
                armed = self._word_arms(self._gate.word)
                for account in enforcing:
                    group.create_task(self._begin(account, armed=armed), name=f"{account.name}/begin")
            elif enforcing:
                group.create_task(self._ask(enforcing), name="confirm")
        self._ready = True
        garbage = partial(look_when_calm, calm=self._haste.wait, sleep=self._clock.sleep)
        self._supervisor.start("garbage", garbage, budget=EXPENDABLE)
        self._manager.send(READY="1", STATUS=f"guarding {len(self._accounts)} accounts, {self._settings.mode}")
        log.info("ready", accounts=len(self._accounts), mode=self._settings.mode.value, policy=self._policy.digest[:12])

    async def _begin(self, account: GuardedAccount, *, armed: bool) -> None:
        await account.ready()
        account.begin(armed=armed, why=f"policy {self._policy.digest}")

    def _word_arms(self, word: str) -> bool:
        """`CONFIRM` arms whatever the policy says; `CONFIRM:<digest>` only that policy."""
        if word == CONFIRM:
            return True
        digest = word.removeprefix(f"{CONFIRM}:")
        if len(digest) >= 12 and self._policy.digest.startswith(digest):
            return True
        text = f"the confirmation names policy {digest[:12]}, this one is {self._policy.digest[:12]}: observing, nothing is sent"
        self._said(Severity.CRITICAL, "confirm", text)
        return False

    async def _ask(self, accounts: list[GuardedAccount]) -> None:
        """Show positions and what the policy would do; wait for the word. Anything else stops the daemon with nothing sent."""
        for account in accounts:
            await account.ready()
        ask = self._gate.ask
        if ask is None:
            return
        while True:
            shown = self._policy
            answer = await ask([*self._picture(accounts), *await self._doubts(accounts)])
            if answer == CONFIRM and self._policy.digest == shown.digest:
                break
            if answer != CONFIRM:
                self._announce("not confirmed: nothing was sent")
                self._stopping.set()
                return
            self._announce("the policy was reloaded while you read: look again")
        for account in accounts:
            account.begin(armed=True, why=f"policy {self._policy.digest}")

    def _picture(self, accounts: list[GuardedAccount]) -> list[str]:
        """What CONFIRM is about."""
        lines = [f"policy {self._policy.source} ({self._policy.digest[:12]})"]
        for account in accounts:
            lines.append(f"account {account.name} ({account.guard.state.venue}):")
            lines.extend(f"  {line}" for line in describe(self._policy, account.guard.state, self._clock.now()))
        return lines

    async def _doubts(self, accounts: list[GuardedAccount]) -> list[str]:
        """What `guardd policy check` has to say, at the leverages that are held; off the loop, which reads on meanwhile."""
        bench = bench_of(account.guard.state for account in accounts)
        found = await asyncio.to_thread(findings, self._policy, bench)
        told = [each for each in found if each.weight is not Weight.INFO]
        lines = [f"  {each.weight} (line {each.line}): {each.sentence}; to mend it: {each.mend}" for each in told]
        return ["what looks wrong in the policy:", *lines] if lines else []

    # While it runs

    def _speak(self, word: OperatorWord, name: AccountName | None) -> None:
        for account in self._accounts:
            if name is None or account.name == name:
                account.speak(word, "over HTTP")

    def _adopt(self, policy: Policy) -> None:
        """Another policy for all accounts in one turn of the loop: whole, or not at all (I23)."""
        self._policy = policy
        for account in self._accounts:
            account.guard.adopt(policy)

    def _reloading(self, begins: bool) -> None:
        """What a service of systemd's type `notify-reload` says; one that isn't ready yet says nothing."""
        if self._ready and begins:
            self._manager.send(RELOADING="1", MONOTONIC_USEC=str(self._clock.monotonic_ns() // 1000))
        elif self._ready:
            self._manager.send(READY="1")

    def _on_pulse(self, account: AccountName, now: Instant) -> None:
        """A guard's loop turned: the service manager's watchdog hangs on this, not on a timer, and on every guard's."""
        self._pulses[account] = now
        watchdog_s = self._manager.watchdog_s
        due = watchdog_s is not None and now.seconds_since(self._watchdog) >= watchdog_s / 2
        if due and self._silent() is None:
            self._watchdog = now
            self._manager.send(WATCHDOG="1")

    def _silent(self) -> str | None:
        """Why the daemon counts as hung: one guard that stopped isn't masked by the others."""
        now = self._clock.now()
        for account, pulse in sorted(self._pulses.items() or [(AccountName("every account"), self._began)]):
            quiet_s = now.seconds_since(pulse)
            if quiet_s >= SILENT_AFTER_S:
                return f"{account}: no guard's pulse for {quiet_s:.1f} s"
        return None

    def _said(self, severity: Severity, edge: str, text: str) -> None:
        self._listener(Said(account=None, severity=severity, edge=edge, text=text, at=self._clock.now()))

    def _heartbeat(self) -> Heartbeat | None:
        """None where no dead man's switch is set. Raises `CredentialsError` where its address is missing."""
        wanted = self._settings.heartbeat
        if wanted is None:
            return None
        return Heartbeat(
            url=self._secrets.heartbeat_url(wanted),
            every_s=wanted.every_s,
            why_not=self._why_no_heartbeat,
            count=self._metrics.heartbeat,
            sleep=self._clock.sleep,
        )

    def _why_no_heartbeat(self) -> str | None:
        """The loop of every guard turns, and every account was read in full lately."""
        accounts = [account_name(account) for account in self._settings.accounts]
        return self._silent() or self._seen.unseen(accounts, self._clock.now())

    async def _summarise(self) -> None:
        self._notifier.summarise(self._summary.take(self._clock.now()))

    async def _prune(self, journal: SqliteJournal) -> None:
        await journal.prune(older_than_s=JOURNAL_KEPT_S)

    def _tokens(self) -> list[TokensLeft]:
        return [
            TokensLeft(account=each.name, venue=each.venue.name, bucket=bucket, tokens=float(left))
            for each in self._accounts
            for bucket, left in sorted(each.venue.tokens().items())
        ]

    def _calls_left(self) -> list[CallsLeft]:
        return [
            CallsLeft(account=each.name, bucket=bucket, calls=left)
            for each in self._accounts
            for bucket, left in sorted(each.venue.tokens().items())
        ]

    def _frames(self) -> list[LastFrame]:
        now = self._clock.now()
        return [
            LastFrame(
                account=each.name,
                venue=each.venue.name,
                stream=stream,
                wall_ms=now.wall_ms - (now.mono_ns - at_ns) // NS_PER_MS,
            )
            for each in self._accounts
            for stream, at_ns in each.venue.last_frame_ns().items()
            if at_ns
        ]

    def _unknowns(self) -> list[UnknownSince]:
        oldest: list[UnknownSince] = []
        for each in self._accounts:
            pending = each.guard.state.pending.values()
            since = [intent.since.wall_ms for intent in pending if intent.stage is Stage.UNKNOWN]
            oldest.append(UnknownSince(account=each.name, venue=each.venue.name, wall_ms=min(since, default=None)))
        return oldest

    # Stop

    async def _stop(self, journal: SqliteJournal, tape: Tape) -> None:
        """Two phases for each account, then everything else. The resting protection stays where it is (I25)."""
        self._manager.send(STOPPING="1", EXTEND_TIMEOUT_USEC=str(20 * NS_PER_S // 1000))
        async with (
            AsyncExitStack() as closing
        ):  # a full disk keeps nothing else from being closed; it is raised at the end
            closing.callback(self._listener.flush)
            closing.push_async_callback(self._world.wire.close)
            closing.push_async_callback(tape.close)
            closing.push_async_callback(journal.close)
            await asyncio.gather(*(account.stop() for account in self._accounts), return_exceptions=True)
            await self._supervisor.stop(deadline_s=STOP_TASKS_S)
        log.info("stopped")


def check_receivers(settings: Settings, secrets: Secrets) -> None:
    """Raises `ConfigurationError` where a receiver's address is one for Apprise and Apprise isn't there."""
    wanting = [each.url for each in settings.notify if by_apprise(secrets.notify_url(each))]
    if wanting and not installed():
        raise ConfigurationError(
            f"notify: {wanting[0]} holds an address for Apprise, which is not installed; `pip install apprise`, "
            "or an http(s) address, which gets a JSON POST"
        )
