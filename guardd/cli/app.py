"""`guardd`: the commands, assembled. One file a group; each says in its own front page what it does."""

import gc
import os
import sys
from collections.abc import Iterable
from importlib import import_module
from typing import Annotated, Final

import typer

from guardd import __version__
from guardd.cli.exits import Exit

PLACES: Final = {
    "run": "run",
    "check": "check",
    "status": "status",
    "halt": "words",
    "resume": "words",
    "flatten": "flatten",
    "demo": "demo",
    "simulate": "simulate",
    "account": "account",
    "policy": "policy",
    "journal": "journal",
}
"""In which module of this room each command or group stands, in the order in which the help lists them."""


def main() -> None:
    """The program. Only the command that is asked for is imported: a restart during a fall doesn't wait for the simulator."""
    typed = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS") or ""  # by a shell that completes
    words = typed.split()[1:] if "_GUARDD_COMPLETE" in os.environ else sys.argv[1:]
    asked = next((word for word in words if not word.startswith("-")), "")
    gc.disable()  # what importing makes stays: looking for garbage in it is an eighth of a start, and of every later full look
    program = assembled([asked] if asked in PLACES else PLACES)
    gc.freeze()
    gc.enable()
    program(prog_name="guardd")


def assembled(names: Iterable[str] = PLACES) -> typer.Typer:
    """The program with these commands."""
    app = typer.Typer(
        name="guardd",
        no_args_is_help=True,
        pretty_exceptions_enable=False,  # a traceback of ours may show locals, and locals may be secrets (I26)
        rich_markup_mode=None,
        help="Guards crypto futures positions that somebody else opened. Exit codes: 0 done, 1 failed, 2 usage, "
        "69 venue unreachable, 77 credentials missing or refused, 78 settings or policy invalid.",
    )
    app.callback()(about)
    for name in names:
        module = import_module(f"guardd.cli.{PLACES[name]}")
        if hasattr(module, "group"):
            app.add_typer(module.group, name=name)
        else:
            app.command(name)(getattr(module, name))
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"guardd {__version__}")
        raise typer.Exit(Exit.DONE)


def about(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and end.")
    ] = False,
) -> None:
    """Its help stands above, at the program."""
