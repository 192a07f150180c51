"""The word CONFIRM: asked for at a terminal, given beforehand where there is none. Nothing is sent without it."""

import sys
from typing import Final

from rich.text import Text

from guardd.cli.exits import talk
from guardd.errors import ConfigurationError

WORD: Final = "CONFIRM"


def confirmed(what: str, given: str | None) -> bool:
    """True when the word was said. Raises `ConfigurationError` where it wasn't given and nobody can be asked."""
    if given is not None:
        if given == WORD:
            return True
        raise ConfigurationError(f"--confirm: found another word, expected {WORD}; nothing was sent")
    if not sys.stdin.isatty():
        raise ConfigurationError(f"no terminal to ask at; to {what} unattended give --confirm {WORD}; nothing was sent")
    talk().print(Text(f"Type {WORD} to {what} (anything else ends it): "), end="")
    if sys.stdin.readline().strip() == WORD:
        return True
    talk().print(Text("not confirmed: nothing was sent"))
    return False
