"""`guardd run`: the daemon."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from guardd.cli.exits import Exit, guarded, talk
from guardd.clock import SystemClock
from guardd.config import Secrets, load_settings
from guardd.daemon.service import Gate, Service
from guardd.telemetry.log import configure_log
from guardd.telemetry.redaction import Redactor


def run(
    config: Annotated[Path, typer.Option("-c", "--config", help="The settings file (config/guardd.yaml).")],
    confirm: Annotated[
        str | None, typer.Option(help="CONFIRM, or CONFIRM:<policy digest>, for an unattended start in enforce mode.")
    ] = None,
) -> None:
    """Guard the accounts of a configuration until told to stop."""
    guarded(lambda: _run(config, confirm))


def _run(config: Path, confirm: str | None) -> int:
    settings = load_settings(config, overrides={} if confirm is None else {"confirm": confirm})
    secrets = Secrets.of(settings)
    for account in settings.accounts:
        secrets.credentials(account)
    clock = SystemClock()
    redactor = Redactor()
    secrets.watch(redactor.learn)  # the addresses of receivers and the token are read later
    configure_log(level=settings.log.level, form=settings.log.format, now=clock.now, redactor=redactor)
    ask = _ask if sys.stdin.isatty() and sys.stderr.isatty() else None

    async def body() -> None:
        service = Service(
            settings=settings,
            secrets=secrets,
            gate=Gate(word=settings.confirm, ask=ask),
            clock=clock,
            announce=lambda text: talk().print(text, highlight=False),
        )
        await service.run()

    with asyncio.Runner(loop_factory=_fastest_loop()) as runner:
        runner.run(body())
    return Exit.DONE


async def _ask(lines: Sequence[str]) -> str:
    """The positions, what the policy would do, and the question."""
    console = talk()
    for line in lines:
        console.print(line, highlight=False, markup=False)
    console.print("Type CONFIRM to let guardd act on these accounts (anything else ends it):", highlight=False)
    loop, answered = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), answered.set)  # a thread that waits for a line would hold back every SIGTERM
    try:
        await answered.wait()
    finally:
        loop.remove_reader(sys.stdin.fileno())
    return sys.stdin.readline().strip()


def _fastest_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it is installed (the extra `fast`), else asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    fastest: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return fastest
