"""`guardd halt` and `guardd resume`: through the running daemon, or into the journal where none runs."""

import asyncio
from pathlib import Path

from guardd.cli.exits import Exit, guarded
from guardd.cli.given import AccountOption, ConfigOption, JsonOption, accounts_of, settings_from
from guardd.cli.running import NoDaemon, daemon_at, token_of, url_of
from guardd.cli.show import print_json, print_line
from guardd.clock import SystemClock
from guardd.config import Settings, account_name
from guardd.journal.sqlite import SqliteJournal
from guardd.model.event import OperatorWord
from guardd.model.facts import Fact


def halt(config: ConfigOption = None, account: AccountOption = None, as_json: JsonOption = False) -> None:
    """Stop everything but missing stops and `close`, until `resume`. Survives a restart."""
    guarded(lambda: _speak(OperatorWord.HALT, config, account, as_json=as_json))


def resume(config: ConfigOption = None, account: AccountOption = None, as_json: JsonOption = False) -> None:
    """End a halt, and what parked an account."""
    guarded(lambda: _speak(OperatorWord.RESUME, config, account, as_json=as_json))


def _speak(word: OperatorWord, config: Path | None, account: str | None, *, as_json: bool) -> int:
    settings = settings_from(config)
    names = [each.name for each in accounts_of(settings, account)]
    way = asyncio.run(_said(word, settings, account, names))
    if as_json:
        print_json({"word": word.value, "accounts": names, "way": way})
        return Exit.DONE
    effect = "halted" if word is OperatorWord.HALT else "resumed"
    if way == "daemon":
        print_line(f"{', '.join(names)}: {effect}, by the daemon at {url_of(settings)}")
    else:
        print_line(f"{', '.join(names)}: no daemon runs; noted in the journal of {settings.data_dir}")
        print_line("the next start begins halted" if word is OperatorWord.HALT else "the next start isn't halted")
    return Exit.DONE


async def _said(word: OperatorWord, settings: Settings, account: str | None, names: list[str]) -> str:
    """Which way the word went. Raises `JournalError` where a daemon holds the journal but doesn't answer."""
    if settings.http.port != 0:
        async with daemon_at(url_of(settings)) as daemon:
            try:
                await daemon.status()
                body = {} if account is None else {"account": account}
                await daemon.say(word.value, token_of(settings), **body)
            except NoDaemon:
                pass
            else:
                return "daemon"
    await _note(word, settings, names)
    return "journal"


async def _note(word: OperatorWord, settings: Settings, names: list[str]) -> None:
    clock = SystemClock()
    journal = SqliteJournal.open(settings.data_dir, now=clock.now, listen=_unheard)
    try:
        for account in settings.accounts:
            if account.name in names:
                journal.note_word(account_name(account), word, "on the command line", clock.now())
    finally:
        await journal.close()


def _unheard(fact: Fact, /) -> None:
    """What can't be written is raised when the journal is closed."""
