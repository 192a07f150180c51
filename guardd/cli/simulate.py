"""`guardd simulate`: the simulated exchange alone, speaking a venue's protocol."""

import asyncio
import os
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
        asyncio.run(serve(settings, SystemClock()))
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno is not None else str(error)
        raise ConfigurationError(
            f"can't listen on {settings.host}:{settings.port}: {reason}; choose another --port (0 takes any free one)"
        ) from None
    return Exit.DONE
