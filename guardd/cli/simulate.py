"""`guardd simulate`: the simulated exchange alone, speaking a venue's protocol."""

import asyncio
import os
import signal
from contextlib import suppress
from typing import Annotated

import typer

from guardd.cli.exits import Exit, guarded
from guardd.clock import SystemClock
from guardd.errors import ConfigurationError
from guardd.simulator.run import ServeSettings, SimulatedVenue, serve


def simulate(
    venue: Annotated[SimulatedVenue, typer.Option(help="Whose protocol it speaks.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes any free one.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    seed: Annotated[int, typer.Option(help="The same seed walks the same prices.")] = 0,
    ticker_ms: Annotated[
        int, typer.Option("--ticker-ms", min=1, help="Milliseconds between two ticker frames.")
    ] = 1_000,
    walk: Annotated[
        bool, typer.Option("--walk/--still", help="Prices wander from the start, or stand until told.")
    ] = True,
) -> None:
    """Run the simulated exchange until Ctrl-C. It prints its addresses and the keys of its accounts."""
    settings = ServeSettings(venue=venue, host=host, port=port, seed=seed, ticker_interval_ms=ticker_ms, walk=walk)
    guarded(lambda: _simulate(settings))


def _simulate(settings: ServeSettings) -> int:
    try:
        asyncio.run(_serve(settings))
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno is not None else str(error)
        raise ConfigurationError(
            f"can't listen on {settings.host}:{settings.port}: {reason}; choose another --port (0 takes any free one)"
        ) from None
    return Exit.DONE


async def _serve(settings: ServeSettings) -> None:
    """Until Ctrl-C, or the SIGTERM of whoever started it: both end it in order."""
    serving = asyncio.current_task()
    if serving is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, serving.cancel)
    with suppress(asyncio.CancelledError):
        await serve(settings, SystemClock())
