"""Exit codes (interfaces.md section 3) and the one place where an error becomes one."""

import sys
from collections.abc import Callable
from enum import IntEnum

from rich.console import Console

from guardd.errors import ConfigurationError, CredentialsError, GuarddError, VenueUnreachable


class Exit(IntEnum):
    DONE = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 69
    CREDENTIALS = 77
    CONFIGURATION = 78


def code_of(error: GuarddError) -> Exit:
    """The exit code that says whose fault it was."""
    match error:
        case ConfigurationError():
            return Exit.CONFIGURATION
        case CredentialsError():
            return Exit.CREDENTIALS
        case VenueUnreachable():
            return Exit.UNREACHABLE
        case _:
            return Exit.FAILED


def guarded(command: Callable[[], int | None]) -> None:
    """Run a command; an error of ours ends in its text on stderr and its exit code, never in a traceback."""
    try:
        code = command()
    except GuarddError as error:
        talk().print(f"[bold red]guardd:[/] {_escaped(str(error))}", highlight=False)
        sys.exit(code_of(error))
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(code or Exit.DONE)


def talk() -> Console:
    """Where guardd talks to people: stderr."""
    return Console(stderr=True, soft_wrap=True)


def _escaped(text: str) -> str:
    return text.replace("[", "\\[")
