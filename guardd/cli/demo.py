"""`guardd demo`: see it work, without an account."""

import asyncio
import os
import signal
from typing import Annotated

import typer
from rich.console import Console

from guardd.cli.exits import Exit, guarded
from guardd.clock import SystemClock
from guardd.demo import scenario
from guardd.demo.frame import Show
from guardd.demo.plain import Plain
from guardd.demo.play import Wish, run_demo
from guardd.demo.screen import Screen
from guardd.simulator.run import SimulatedVenue

PLAIN_WIDTH = 132
"""Columns of the summary's tables where nobody says how wide a page is."""


def demo(
    venue: Annotated[
        SimulatedVenue, typer.Option(help="Whose protocol the simulated exchange speaks.")
    ] = SimulatedVenue.BITMART,
    seconds: Annotated[
        int,
        typer.Option(
            help="How long the market plays; start and end come on top.",
            min=scenario.SECONDS_MIN,
            max=scenario.SECONDS_MAX,
        ),
    ] = scenario.SECONDS,
    seed: Annotated[int, typer.Option(help="The same seed and length give the same prices.", min=0)] = 1,
    observe: Annotated[
        bool, typer.Option("--observe", help="Let the guard only watch: the account ends like its twin, exit code 1.")
    ] = False,
) -> None:
    """A simulated market falls on two equal accounts, one of them guarded. Needs no account and no network.

    Ends with exit code 0 when the guarded account kept its positions or closed them in time and its twin was liquidated.
    """
    guarded(lambda: _demo(Wish(venue=venue, seconds=seconds, seed=seed, observe=observe)))


def _demo(wish: Wish) -> int:
    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(width=PLAIN_WIDTH)

    def show_at(address: str) -> Show:
        animated = console.is_terminal and not console.is_dumb_terminal
        return Screen(console, address) if animated else Plain(console)

    try:
        verdict = asyncio.run(run_demo(wish, SystemClock(), show_at))
    except asyncio.CancelledError:  # SIGTERM or SIGHUP; everything is ended and removed
        return 128 + signal.SIGTERM
    return Exit.DONE if verdict.guard_held else Exit.FAILED
