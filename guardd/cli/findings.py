"""What `guardd check` finds: one sentence of what is so, one of how to mend it, and what it means for the exit code."""

import os
from collections.abc import Iterable, Iterator
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from stat import S_IROTH, S_ISREG, S_IWOTH
from typing import Final

from msgspec import Struct

from guardd.cli.exits import Exit, code_of
from guardd.cli.holdings import risk_of
from guardd.cli.look import Window
from guardd.cli.mends import mend, mend_told
from guardd.config import AccountSettings, Environment, Mode, Settings, Venue, is_loopback
from guardd.errors import GuarddError, VenueUnreachable
from guardd.journal.entry import RecordKind, after_word
from guardd.journal.reading import JournalReader
from guardd.journal.sqlite import FILE_NAME
from guardd.model.names import Severity
from guardd.model.reading import is_value
from guardd.policy.check import Bench
from guardd.policy.check import Weight as Sense
from guardd.policy.check import findings as policy_findings
from guardd.policy.language import Policy
from guardd.risk.crosscheck import Check, Mismatch

CLOCK_TOLD_FROM_MS: Final = 1_000
DRIFT_TOLD_FROM: Final = Decimal("0.02")
WORDS_MAX: Final = 10_000


class Weight(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


_OF_SEVERITY: Final = {
    Severity.CRITICAL: Weight.ERROR,
    Severity.WARNING: Weight.WARNING,
    Severity.INFO: Weight.NOTE,
}


class Finding(Struct, frozen=True, kw_only=True):
    """`code` is what an error of this sort ends the program with."""

    weight: Weight
    where: str
    text: str
    mend: str = ""
    code: Exit = Exit.FAILED


def exit_of(found: list[Finding]) -> Exit:
    """The gravest: settings before credentials before the network before all else."""
    codes = {finding.code for finding in found if finding.weight is Weight.ERROR}
    order = (Exit.CONFIGURATION, Exit.CREDENTIALS, Exit.UNREACHABLE, Exit.FAILED)
    return next((code for code in order if code in codes), Exit.DONE)


def gravest_first(found: list[Finding]) -> list[Finding]:
    """Errors on top; within a weight as they were found."""
    return sorted(found, key=lambda finding: tuple(Weight).index(finding.weight))


def of_error(error: GuarddError, where: str, *, address: str = "") -> Finding:
    """`address` is what was asked, for errors that say that nothing answered there."""
    text = f"{address} can't be reached: {error}" if isinstance(error, VenueUnreachable) and address else str(error)
    return Finding(weight=Weight.ERROR, where=where, text=text, mend=mend(error), code=code_of(error))


_OF_SENSE: Final = {Sense.ERROR: Weight.ERROR, Sense.WARNING: Weight.WARNING, Sense.INFO: Weight.NOTE}


def of_policy(policy: Policy, bench: Bench) -> Iterator[Finding]:
    """What `guardd policy check` says, judged on this bench."""
    for found in policy_findings(policy, bench):
        where = f"{policy.source}:{found.line}:{found.column}"
        yield Finding(weight=_OF_SENSE[found.weight], where=where, text=found.sentence, mend=found.mend)


def of_settings(settings: Settings, *, has_token: bool) -> Iterator[Finding]:
    if settings.mode is Mode.OBSERVE:
        text = "mode observe: guardd decides and reports, and sends no order"
        yield Finding(
            weight=Weight.NOTE, where="settings", text=text, mend="mode: enforce, once you trust what it reports"
        )
    if not has_token:
        text = "no GUARDD_HTTP__TOKEN: a running daemon takes no halt, resume or flatten"
        mended = "set GUARDD_HTTP__TOKEN for the daemon and for these commands"
        yield Finding(weight=Weight.NOTE, where="settings", text=text, mend=mended)
    if not is_loopback(settings.http.host):
        text = f"http.host {settings.http.host}: whoever reaches port {settings.http.port} reads balances and positions"
        mended = "127.0.0.1, or let a firewall, a NetworkPolicy or a proxy with a password stand before it"
        yield Finding(weight=Weight.WARNING, where="settings", text=text, mend=mended)
    place = next(place for place in (settings.data_dir, *settings.data_dir.parents) if place.exists())
    if not place.is_dir():
        text = f"data_dir {settings.data_dir}: {place} is no directory"
        mended = "name a directory that guardd may make or write to"
        yield Finding(weight=Weight.ERROR, where="settings", text=text, mend=mended, code=Exit.CONFIGURATION)


def of_journal(settings: Settings) -> Iterator[Finding]:
    """Words of an earlier run that the next one begins with. Raises `JournalError` for a journal that can't be read."""
    if not (settings.data_dir / FILE_NAME).is_file():
        return
    with JournalReader.open(settings.data_dir) as reader:
        words = reader.list(kind=RecordKind.WORD, limit=WORDS_MAX)
    for account in settings.accounts:
        halted, parked = False, None
        for record in words:
            if record.account == account.name:
                word, why = str(record.body.get("word")), str(record.body.get("why"))
                halted, parked = after_word(word, why, halted=halted, parked=parked)
        mended = f"guardd resume --account {account.name}"
        if parked is not None:
            text = f"the journal says parked ({parked}): nothing but a missing stop is sent"
            yield Finding(weight=Weight.WARNING, where=account.name, text=text, mend=f"find out why, then {mended}")
        if halted:
            text = "the journal says halted: only missing stops and `close` act"
            yield Finding(weight=Weight.WARNING, where=account.name, text=text, mend=mended)


def of_account(account: AccountSettings, mode: Mode, window: Window) -> Iterator[Finding]:
    """What a look at an account tells, apart from errors that ended the look."""
    yield from _of_venue(account, mode, window)
    for stream in window.state.streams:
        moved = window.state.streams[stream]
        if not moved.up:
            text = f"the {stream} stream doesn't come up: {moved.why}"
            mended = "is stream_url right, and does a firewall or proxy let WebSockets through?"
            yield Finding(weight=Weight.ERROR, where=account.name, text=text, mend=mended, code=Exit.UNREACHABLE)
    for mismatch in window.mismatches():
        if mismatch.proved:
            mended = "nothing reducing is sent while this stands; is it the right account and environment?"
            yield Finding(weight=Weight.ERROR, where=account.name, text=f"I29: {mismatch.text}", mend=mended)
        elif _matters(mismatch):
            mended = "check again in ten seconds; nothing reducing is sent until both agree"
            yield Finding(weight=Weight.WARNING, where=account.name, text=f"I29: {mismatch.text}", mend=mended)
    yield from _of_positions(account, window)
    for said in window.said:
        mended = mend_told(said.edge)
        yield Finding(weight=_OF_SEVERITY[said.severity], where=account.name, text=said.text, mend=mended)


def _matters(mismatch: Mismatch) -> bool:
    """The venue repeats a position only every ten seconds: that a short look saw no push or no stream mark says nothing."""
    return mismatch.check in (Check.NOTIONAL, Check.POSITION_MODE)


def _of_venue(account: AccountSettings, mode: Mode, window: Window) -> Iterator[Finding]:
    if account.venue is Venue.BITMART and account.environment is Environment.LIVE and account.rest_url is None:
        text = (
            "BitMart announced on 2026-07-26 that it winds down; guardd reads, cancels and closes as long as it lets us"
        )
        yield Finding(weight=Weight.WARNING, where=account.name, text=text, mend="move positions while you can")
    offset_ms = window.state.clock_offset_ms
    if offset_ms is not None and abs(offset_ms) >= CLOCK_TOLD_FROM_MS:
        text = f"this machine's clock is {abs(offset_ms) / 1000:.1f} s {'behind' if offset_ms > 0 else 'ahead of'} the venue's"
        mended = "set it by NTP; until then guardd corrects for it"
        yield Finding(weight=Weight.WARNING, where=account.name, text=text, mend=mended)
    if window.may_trade is not None and account.venue is Venue.BITMART:
        text = "BitMart tells nobody what else a key may do"
        mended = "see at the venue that Withdraw isn't ticked and that the key is bound to this machine's address"
        yield Finding(weight=Weight.NOTE, where=account.name, text=text, mend=mended)
    if window.may_trade is False:
        grave = mode is Mode.ENFORCE
        text = "the key may read but not trade" + (", and mode is enforce: no stop could be placed" if grave else "")
        mended = "give the key Future-Trade, never Withdraw" if grave else "enough to observe"
        code = Exit.CREDENTIALS
        weight = Weight.ERROR if grave else Weight.NOTE
        yield Finding(weight=weight, where=account.name, text=text, mend=mended, code=code)
    if any(balance.foreign_collateral for balance in window.state.balances.values()):
        text = "other coins back this account's equity too: its figures are upper bounds"
        yield Finding(weight=Weight.WARNING, where=account.name, text=text, mend="keep the settlement coin only")


def _of_positions(account: AccountSettings, window: Window) -> Iterator[Finding]:
    state = window.state
    for key, held in sorted(state.held.items()):
        where = f"{account.name}: {key.symbol} {key.side}"
        why = state.why_unguarded(key.symbol)
        if why or key.symbol not in state.instruments:
            text = f"it isn't guarded: {why or 'its contract is none that guardd knows how to guard'}"
            yield Finding(weight=Weight.ERROR, where=where, text=text, mend="watch it yourself, or close it")
            continue
        risk = risk_of(state, held, window.clock.now())
        if risk is None:
            yield Finding(weight=Weight.ERROR, where=where, text="it has no mark price", mend="look at the venue")
        elif risk.contradiction:
            yield Finding(
                weight=Weight.ERROR, where=where, text=risk.contradiction, mend="look at the venue; try again"
            )
        elif is_value(risk.drift) and abs(risk.drift) > DRIFT_TOLD_FROM and not risk.far:
            text = f"the venue's liquidation price and our own differ by {abs(risk.drift) * 100:.1f} %"
            mended = "the nearer one is used for stops and warnings; a close needs the venue's"
            yield Finding(weight=Weight.WARNING, where=where, text=text, mend=mended)


def of_files(paths: Iterable[Path]) -> Iterator[Finding]:
    """Files that hold secrets and that every user of this machine may read; where a system has no such modes, none."""
    for path in paths:
        try:
            mode = path.stat().st_mode
        except OSError:
            continue
        if os.name == "posix" and S_ISREG(mode) and mode & (S_IROTH | S_IWOTH):
            text = f"{path} holds secrets and every user of this machine may read or change it"
            yield Finding(weight=Weight.WARNING, where="settings", text=text, mend=f"chmod 600 {path}")
