"""A number that may not be there.

A venue's answer, or a metric, is a value, *none* (the venue says there is none) or *unknown* (missing, zero where zero is
no price, impossible, or too old). Unknown is never read as safe and never as a reason to close; the type checker
keeps both out of every comparison (invariant I19).
"""

from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias, TypeGuard


class Absent(StrEnum):
    """Why there is no number."""

    NONE = "none"
    UNKNOWN = "unknown"


Reading: TypeAlias = Decimal | Absent


def is_value(reading: Reading) -> TypeGuard[Decimal]:
    """True when the reading is a number."""
    return isinstance(reading, Decimal)
