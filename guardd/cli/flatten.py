"""`guardd flatten`: cancel entries, close everything, halt. Through the running daemon, or by the daemon's own machinery here."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from rich.text import Text

from guardd.cli.asking import confirmed
from guardd.cli.exits import Exit, guarded, talk
from guardd.cli.given import AccountOption, ConfigOption, ConfirmOption, settings_from, the_account
from guardd.cli.holdings import print_holdings
from guardd.cli.look import world_of
from guardd.cli.running import Daemon, Document, NoDaemon, daemon_at, token_of, url_of
from guardd.cli.show import print_line
from guardd.cli.status import accounts_in, positions_in, print_status
from guardd.clock import Clock, SystemClock
from guardd.config import AccountSettings, Mode, Secrets, Settings
from guardd.daemon.account import GuardedAccount
from guardd.daemon.supervisor import Supervisor
from guardd.daemon.wiring import guarded_account, policy_from
from guardd.errors import VenueUnreachable
from guardd.execution.haste import Haste
from guardd.journal.sqlite import SqliteJournal
from guardd.model.account import AccountCondition
from guardd.model.event import OperatorWord
from guardd.model.facts import Fact, IntentStaged, Said
from guardd.model.intent import Stage
from guardd.model.names import Severity
from guardd.model.order import PlanOrder, RestingOrder
from guardd.model.state import AccountState
from guardd.telemetry.log import configure_log
from guardd.telemetry.redaction import Redactor

FLAT_WITHIN_S: Final = 120.0
"""How long flat is waited for: a large position goes in slices, and a market that doesn't fill goes on."""
READY_WITHIN_S: Final = 30.0
LOOK_EVERY_S: Final = 0.5
SWEPT_WITHIN_S: Final = 25.0
"""After the last position is gone: two reconciliations, in which what is left of our own orders is swept (I6)."""
STOP_TASKS_S: Final = 3.0
FLATTENING: Final = "operator-flatten"
"""In the name of everything that the guard's hands do for this word."""
TOLD_STAGES: Final = frozenset({Stage.VERIFIED, Stage.REJECTED, Stage.FAILED, Stage.UNKNOWN, Stage.VOID})


def flatten(config: ConfigOption = None, account: AccountOption = None, confirm: ConfirmOption = None) -> None:
    """Cancel entries, close every position of one account at market, and leave it halted. Asks for CONFIRM."""
    guarded(lambda: asyncio.run(_flatten(config, account, confirm)))


async def _flatten(config: Path | None, name: str | None, confirm: str | None) -> int:
    settings = settings_from(config)
    account = the_account(settings, name)
    clock = SystemClock()
    if settings.http.port != 0:
        async with daemon_at(url_of(settings)) as daemon:
            try:
                document = await daemon.status()
            except NoDaemon:
                pass
            else:
                return await _through(daemon, document, settings, account, confirm, clock)
    return await _here(settings, account, confirm, clock)


# Through the running daemon


async def _through(
    daemon: Daemon, document: Document, settings: Settings, account: AccountSettings, confirm: str | None, clock: Clock
) -> int:
    print_line(f"a daemon runs at {daemon.url}")
    print_status(document, account.name)
    about = _account_in(document, account.name)
    if about is None:
        talk().print(
            Text(f"guardd: the daemon at {daemon.url} doesn't guard {account.name}: is it another's? Stop it first")
        )
        return Exit.FAILED
    if about.get("mode") != Mode.ENFORCE:
        talk().print(
            Text(f"guardd: the daemon observes {account.name} and sends nothing: stop it, then say flatten again")
        )
        return Exit.FAILED
    if about.get("state") == AccountCondition.PARKED:
        return _parked(account, str(about.get("state_reason")))
    if not confirmed(f"cancel entries, close everything on {account.name} and halt it", confirm):
        return Exit.FAILED
    await daemon.say("flatten", token_of(settings), account=account.name, confirm="CONFIRM")
    print_line(f"{account.name}: flatten said to the daemon")
    return await _follow(daemon, account, clock)


async def _follow(daemon: Daemon, account: AccountSettings, clock: Clock) -> int:
    until_s = FLAT_WITHIN_S
    before = ""
    while until_s > 0:
        about = _account_in(await daemon.status(), account.name) or {}
        positions = positions_in(about)
        held = ", ".join(f"{each.get('symbol')} {each.get('side')} {each.get('quantity')}" for each in positions)
        if not positions and about.get("state") is not None:
            print_line(f"{account.name}: flat and {about.get('state')}")
            return Exit.DONE
        if about.get("state") == AccountCondition.PARKED:
            return _parked(account, str(about.get("state_reason")))
        if held != before:
            talk().print(Text(f"{account.name}: still open: {held}"))
            before = held
        await clock.sleep(LOOK_EVERY_S)
        until_s -= LOOK_EVERY_S
    return _not_flat(account, before)


def _account_in(document: Document, name: str) -> Document | None:
    return next((each for each in accounts_in(document) if each.get("name") == name), None)


# Without a daemon


async def _here(settings: Settings, account: AccountSettings, confirm: str | None, clock: Clock) -> int:
    """The daemon's own account, in this process: its reads, its journal, its checks before each order."""
    policy = policy_from(settings.policy)
    secrets = Secrets.of(settings)
    secrets.credentials(account)
    configure_log(level="error", form="auto", now=clock.now, redactor=Redactor(secrets.loaded))
    async with AsyncExitStack() as at_end:
        journal = SqliteJournal.open(settings.data_dir, now=clock.now, listen=_tell)
        at_end.push_async_callback(journal.close)
        world = await at_end.enter_async_context(world_of(clock))
        supervisor = Supervisor(clock)
        at_end.push_async_callback(supervisor.stop, deadline_s=STOP_TASKS_S)
        guarded = guarded_account(
            account,
            settings,
            policy=policy,
            secrets=secrets,
            world=world,
            journal=journal,
            supervisor=supervisor,
            listener=_tell,
            haste=Haste(clock),
            on_pulse=lambda now: None,
        )
        at_end.push_async_callback(guarded.stop)
        print_line(f"no daemon runs; {account.name} is flattened from here")
        await guarded.start()
        await _ready(guarded)
        print_holdings(guarded.guard.state, clock.now())
        if guarded.guard.state.parked is not None:
            return _parked(account, guarded.guard.state.parked)
        if not confirmed(f"cancel entries, close everything on {account.name} and halt it", confirm):
            return Exit.FAILED
        guarded.speak(OperatorWord.FLATTEN, "on the command line")
        guarded.begin(armed=True, why="guardd flatten")
        return await _until_flat(guarded, account, clock)


async def _ready(guarded: GuardedAccount) -> None:
    try:
        async with asyncio.timeout(READY_WITHIN_S):
            await guarded.ready()
    except TimeoutError:
        raise VenueUnreachable(
            f"{guarded.name}: not read whole within {READY_WITHIN_S:g} s (both streams, positions, orders); nothing was sent"
        ) from None


async def _until_flat(guarded: GuardedAccount, account: AccountSettings, clock: Clock) -> int:
    """Flat is what the guard believes after two reads (I6); then its own orders are swept."""
    state = guarded.guard.state
    started = clock.now()
    await clock.sleep(LOOK_EVERY_S)
    while not state.halted or state.held:
        if state.parked is not None and not state.pending:
            return _parked(account, state.parked)
        if clock.now().seconds_since(started) > FLAT_WITHIN_S:
            return _not_flat(account, ", ".join(f"{key} {held.position.quantity}" for key, held in state.held.items()))
        await clock.sleep(LOOK_EVERY_S)
    swept = clock.now()
    while _left_over(state) and clock.now().seconds_since(swept) < SWEPT_WITHIN_S:
        await clock.sleep(LOOK_EVERY_S)
    print_line(f"{account.name}: flat and halted; `guardd resume` ends the halt")
    print_holdings(state, clock.now())
    if left := _left_over(state):
        talk().print(
            Text(f"guardd: {account.name}: still there: {', '.join(left)}; cancel by hand what you don't want")
        )
        return Exit.FAILED
    return Exit.DONE


def _left_over(state: AccountState) -> list[str]:
    """What of ours is on its way or rests without a position, and every order that would open one."""
    found = [f"{pending.intent.action} on its way" for pending in state.pending.values()]
    orders: list[PlanOrder | RestingOrder] = [*state.plans.values(), *state.resting.values()]
    found += [f"opening order {order.order_id} of {order.key.symbol}" for order in orders if not order.closes]
    found += [f"order {plan.order_id} of {plan.key.symbol}" for plan in state.plans.values() if state.owns(plan)]
    return found


def _parked(account: AccountSettings, why: str) -> int:
    talk().print(
        Text(
            f"guardd: {account.name} is parked ({why}): nothing is closed until somebody has looked at it. "
            f"`guardd resume --account {account.name}` ends that; then say flatten again"
        )
    )
    return Exit.FAILED


def _not_flat(account: AccountSettings, held: str) -> int:
    talk().print(
        Text(
            f"guardd: {account.name} is not flat after {FLAT_WITHIN_S:g} s: {held}; "
            "look at the venue, then say flatten again"
        )
    )
    return Exit.FAILED


def _tell(fact: Fact, /) -> None:
    """What the guard does and why it can't, while it works; the rest is on the page that follows."""
    match fact:
        case IntentStaged(intent=intent, stage=stage) if stage in TOLD_STAGES:
            talk().print(
                Text(f"{intent.action} of {intent.key}: {stage}" + (f" ({fact.detail})" if fact.detail else ""))
            )
        case Said(severity=severity, edge=edge, text=text) if severity is Severity.CRITICAL or FLATTENING in edge:
            talk().print(Text(f"{severity}: {text}"))
        case _:
            pass
