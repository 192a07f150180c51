"""`guardd`: the commands, assembled. One file a group; each says in its own front page what it does."""

from typing import Annotated

import typer

from guardd import __version__
from guardd.cli import account, journal, policy
from guardd.cli.check import check
from guardd.cli.demo import demo
from guardd.cli.exits import Exit
from guardd.cli.flatten import flatten
from guardd.cli.run import run
from guardd.cli.simulate import simulate
from guardd.cli.status import status
from guardd.cli.words import halt, resume

app = typer.Typer(
    name="guardd",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # a traceback of ours may show locals, and locals may be secrets (I26)
    rich_markup_mode=None,
    help="Guards crypto futures positions that somebody else opened. Exit codes: 0 done, 1 failed, 2 usage, "
    "69 venue unreachable, 77 credentials missing or refused, 78 settings or policy invalid.",
)


def main() -> None:
    """The program."""
    app(prog_name="guardd")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"guardd {__version__}")
        raise typer.Exit(Exit.DONE)


@app.callback()
def about(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and end.")
    ] = False,
) -> None:
    """Its help stands above, at the program."""


app.command()(run)
app.command()(check)
app.command()(status)
app.command()(halt)
app.command()(resume)
app.command()(flatten)
app.command()(demo)
app.command()(simulate)
app.add_typer(account.group, name="account")
app.add_typer(policy.group, name="policy")
app.add_typer(journal.group, name="journal")
