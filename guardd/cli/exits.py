"""Exit codes (interfaces.md section 3) and the one place where an error becomes one."""

import sys
from collections.abc import Callable
from enum import IntEnum

from rich.console import Console
from rich.text import Text

from guardd.cli.mends import REFUSES_THE_KEY, code_in, mend
from guardd.errors import ConfigurationError, CredentialsError, GuarddError, VenueBusy, VenueUnreachable
from guardd.policy.nodes import PolicyRefused


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
        case VenueUnreachable() | VenueBusy():
            return Exit.UNREACHABLE
        case _ if code_in(error) in REFUSES_THE_KEY:
            return Exit.CREDENTIALS
        case _:
            return Exit.FAILED


def guarded(command: Callable[[], int | None]) -> None:
    """Run a command; an error of ours ends in its text on stderr and its exit code, never in a traceback."""
    try:
        code = command()
    except GuarddError as error:
        complain(error)
        sys.exit(code_of(error))
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(code or Exit.DONE)


def complain(error: GuarddError) -> None:
    """What was wrong, and what to do about it."""
    console = talk()
    said = error.shown() if isinstance(error, PolicyRefused) else str(error)
    console.print(Text.assemble(("guardd: ", "bold red"), said))
    if advice := mend(error):
        console.print(Text.assemble(("to mend it: ", "bold"), advice))


def talk() -> Console:
    """Where guardd talks to people: stderr."""
    return Console(stderr=True, soft_wrap=True, highlight=False)
