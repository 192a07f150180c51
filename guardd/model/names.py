"""The words and keys that name accounts, instruments and positions."""

from enum import StrEnum
from typing import NamedTuple, NewType

AccountName = NewType("AccountName", str)
VenueName = NewType("VenueName", str)
Symbol = NewType("Symbol", str)
RuleName = NewType("RuleName", str)
EpisodeId = NewType("EpisodeId", str)
ClientId = NewType("ClientId", str)
"""A client order id: 1-32 letters and digits, a pure function of what the order is for (`guardd.model.intent`)."""
OrderId = NewType("OrderId", str)
"""The venue's id of an order or plan order; text even where the venue writes a number."""


class Side(StrEnum):
    """The side of a position."""

    LONG = "long"
    SHORT = "short"

    @property
    def sign(self) -> int:
        """+1 for a long, -1 for a short."""
        return 1 if self is Side.LONG else -1

    @property
    def opposite(self) -> "Side":
        return Side.SHORT if self is Side.LONG else Side.LONG


class MarginMode(StrEnum):
    CROSS = "cross"
    ISOLATED = "isolated"


class PositionMode(StrEnum):
    HEDGE = "hedge"
    ONE_WAY = "one_way"


class PriceType(StrEnum):
    """The price that triggers a plan order."""

    MARK = "mark"
    LAST = "last"


class Severity(StrEnum):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class PositionKey(NamedTuple):
    """Which position: in hedge mode an instrument has two, in one-way mode a change of sign is another key."""

    account: AccountName
    symbol: Symbol
    side: Side

    def __str__(self) -> str:
        return f"{self.account}/{self.symbol}/{self.side}"
