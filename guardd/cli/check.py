"""`guardd check`: everything that can be known before the daemon runs, and how to mend what is wrong. Sends no write."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.text import Text

from guardd.cli import findings
from guardd.cli.bench import bench
from guardd.cli.exits import Exit, guarded
from guardd.cli.findings import Finding, Weight
from guardd.cli.given import ConfigOption, JsonOption, settings_from
from guardd.cli.holdings import holdings_json, print_holdings
from guardd.cli.look import Window, address_of, window_on, world_of
from guardd.cli.receivers import of_receivers
from guardd.cli.show import NOTHING, Json, print_json, print_line, print_table
from guardd.clock import Clock, SystemClock
from guardd.config import AccountSettings, Secrets, Settings
from guardd.daemon.wiring import World, policy_from
from guardd.errors import ConfigurationError, CredentialsError, JournalError, VenueError
from guardd.policy.check import Bench, bench_of
from guardd.policy.explain import describe
from guardd.policy.language import Policy

STYLE: Final = {Weight.ERROR: "bold red", Weight.WARNING: "yellow", Weight.NOTE: ""}


@dataclass(slots=True, kw_only=True)
class AccountReport:
    """What a check says of one account; `window` None: it was never looked at."""

    account: AccountSettings
    mode: str
    address: str
    """Where the account's venue answers."""
    window: Window | None = None
    policy_now: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class Report:
    settings: Settings
    policy: Policy
    accounts: list[AccountReport] = field(default_factory=list)
    found: list[Finding] = field(default_factory=list)


def check(
    config: ConfigOption = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Ask no venue: settings, policy and credentials only.")
    ] = False,
    test_message: Annotated[
        bool, typer.Option("--test-message", help="Send a test message to every receiver of the settings.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Validate settings, policy, credentials and accounts; show what the policy would do now. Sends no order."""
    guarded(lambda: _check(config, offline=offline, test_message=test_message, as_json=as_json))


def _check(config: Path | None, *, offline: bool, test_message: bool, as_json: bool) -> int:
    settings = settings_from(config)
    policy = policy_from(settings.policy)
    secrets = Secrets.of(settings)
    report = Report(settings=settings, policy=policy)
    _look_at_settings(report, secrets)
    clock = SystemClock()
    asyncio.run(_look_outside(report, secrets, clock, offline=offline, test_message=test_message))
    report.found += findings.of_policy(policy, _bench(report))
    if as_json:
        print_json(_document(report, clock))
    else:
        _print(report, clock)
    return findings.exit_of(report.found)


def _bench(report: Report) -> Bench:
    """The policy is judged at the leverages that are held, where they are known."""
    windows = [about.window for about in report.accounts if about.window is not None]
    looked = [window.state for window in windows if window.state.positions_at is not None]
    return bench_of(looked) if len(looked) == len(report.accounts) else bench(report.settings)


def _look_at_settings(report: Report, secrets: Secrets) -> None:
    try:
        report.found += findings.of_settings(report.settings, has_token=secrets.http_token(report.settings) is not None)
        report.found += findings.of_files(_secret_files(report.settings))
        report.found += findings.of_journal(report.settings)
    except (CredentialsError, JournalError) as error:
        report.found.append(findings.of_error(error, "settings"))


def _secret_files(settings: Settings) -> list[Path]:
    place = settings.secrets_dir
    return [Path(".env"), *(sorted(place.iterdir()) if place is not None and place.is_dir() else ())]


async def _look_outside(report: Report, secrets: Secrets, clock: Clock, *, offline: bool, test_message: bool) -> None:
    await _look_at_accounts(report, secrets, clock, offline=offline)
    async for found in of_receivers(report.settings, secrets, clock, send=test_message):
        report.found.append(found)


async def _look_at_accounts(report: Report, secrets: Secrets, clock: Clock, *, offline: bool) -> None:
    async with world_of(clock) as world:
        for account in report.settings.accounts:
            mode = report.settings.mode_of(account)
            about = AccountReport(account=account, mode=mode, address=address_of(account))
            report.accounts.append(about)
            try:
                secrets.credentials(account)
                if not offline:
                    await _look_at(about, report, secrets, world)
            except (ConfigurationError, CredentialsError, VenueError) as error:
                report.found.append(findings.of_error(error, account.name, address=about.address))


async def _look_at(about: AccountReport, report: Report, secrets: Secrets, world: World) -> None:
    """What was seen until the first error stays in the report."""
    account = about.account
    async with window_on(account, report.settings, secrets, world) as window:
        about.window = window
        await window.measure_clock()
        await window.read()
        about.policy_now = describe(report.policy, window.state, world.clock.now())
        await window.prove_key()
        await window.listen()
        report.found += findings.of_account(account, report.settings.mode_of(account), window)


def _document(report: Report, clock: Clock) -> Json:
    return {
        "ok": findings.exit_of(report.found) is Exit.DONE,
        "mode": report.settings.mode.value,
        "policy": {"source": report.policy.source, "digest": report.policy.digest},
        "accounts": [_account_json(about, clock) for about in report.accounts],
        "findings": [
            {"weight": each.weight.value, "where": each.where, "text": each.text, "mend": each.mend}
            for each in findings.gravest_first(report.found)
        ],
    }


def _account_json(about: AccountReport, clock: Clock) -> Json:
    window = about.window
    document: dict[str, Json] = {
        "name": about.account.name,
        "venue": about.account.venue.value,
        "environment": about.account.environment.value,
        "mode": about.mode,
        "looked_at": window is not None,
    }
    if window is None:
        return document
    return {
        **document,
        "family": window.state.family or None,
        "clock_offset_ms": window.state.clock_offset_ms,
        "may_trade": window.may_trade,
        "streams": {name.value: stream.up for name, stream in window.state.streams.items()},
        **holdings_json(window.state, clock.now()),
        "policy_now": list(about.policy_now),
    }


def _print(report: Report, clock: Clock) -> None:
    print_line(f"mode {report.settings.mode}, data in {report.settings.data_dir}")
    print_line(f"policy {report.policy.source}: {len(report.policy.rules)} rules, digest {report.policy.digest}")
    for about in report.accounts:
        _print_account(about, clock)
    if report.found:
        rows = [
            (Text(each.weight, style=STYLE[each.weight]), each.where, each.text, each.mend or NOTHING)
            for each in findings.gravest_first(report.found)
        ]
        print_table("findings", ("", "where", "what", "how to mend it"), rows)
    failed = findings.exit_of(report.found) is not Exit.DONE
    print_line("check failed" if failed else "check passed", style="bold red" if failed else "bold green")


def _print_account(about: AccountReport, clock: Clock) -> None:
    account, window = about.account, about.window
    print_line("")
    venue = f"{account.venue} {window.state.family}".rstrip() if window is not None else account.venue
    where = f"{venue} {account.environment} at {about.address}"
    print_line(f"account {account.name}: {where}, mode {about.mode}", style="bold")
    if window is None or window.state.clock_offset_ms is None:
        return
    state = window.state
    permission = {True: "may trade", False: "may only read", None: "not proved"}[window.may_trade]
    print_line(f"{account.name}: venue clock {state.clock_offset_ms:+d} ms, key {permission}, {_streams(window)}")
    if state.positions_at is None:
        return
    print_holdings(state, clock.now())
    if state.held:
        print_line(f"{account.name}: what the policy would do now", style="bold")
        for line in about.policy_now:
            print_line(f"  {line}")


def _streams(window: Window) -> str:
    if window.may_trade is None:
        return "streams not tried"
    return ", ".join(f"{name} stream {'up' if stream.up else 'down'}" for name, stream in window.state.streams.items())
