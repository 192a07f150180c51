"""What the daemon and its Apprise process say to each other, a line of JSON each way."""

import json
from dataclasses import dataclass, field
from typing import Final, Self

SENT: Final = "sent"
NOT_TAKEN: Final = "Apprise could not deliver it"
UNKNOWN_ADDRESS: Final = "Apprise knows no such address"
NO_APPRISE: Final = "Apprise is not installed"
ANSWERS: Final = frozenset({SENT, NOT_TAKEN, UNKNOWN_ADDRESS, NO_APPRISE})
FOR_GOOD: Final = frozenset({UNKNOWN_ADDRESS, NO_APPRISE})
"""Answers that another try won't change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """One message to one address. The address holds a token and is never shown."""

    url: str = field(repr=False)
    title: str
    text: str
    severity: str
    look_only: bool = False
    """Only say whether Apprise understands the address."""

    def line(self) -> str:
        """Without a line break inside, whatever the text holds."""
        return json.dumps({name: getattr(self, name) for name in self.__slots__}) + "\n"

    @classmethod
    def read(cls, line: str) -> Self:
        return cls(**json.loads(line))
