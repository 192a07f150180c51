"""Bitget's codes of refusal, as data (Bitget reference, 15; UTA reference, 14)."""

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from guardd.model.outcome import Reason


class GuardAction(StrEnum):
    """What the guard does on a code (the action words of section 15)."""

    OK = "ok"
    RETRY = "retry"
    SLOW = "slow"
    CLOCK = "clock"
    REREAD = "reread"
    FIX = "fix"
    WAIT = "wait"
    ALERT = "alert"


@dataclass(frozen=True, slots=True)
class Refusal:
    """`certain` False: the write may have happened all the same."""

    meaning: str
    action: GuardAction
    reason: Reason
    certain: bool = True


REFUSALS: Final = MappingProxyType({"429": Refusal("too many requests", GuardAction.SLOW, Reason.RATE_LIMITED)})
