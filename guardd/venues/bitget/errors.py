"""What guardd makes of a code of Bitget's: the judgement of a write, and the action. The codes are data (`refusals.py`)."""

from datetime import UTC, datetime
from typing import Final

from guardd.model.instant import MS_PER_S
from guardd.model.outcome import Reason, Rejected, Unknown
from guardd.venues.bitget.refusals import REFUSALS, GuardAction, Refusal

__all__ = [
    "CREDENTIAL_CODES",
    "FAMILY_CODES",
    "REFUSALS",
    "SUCCESS",
    "GuardAction",
    "Refusal",
    "action_for",
    "in_maintenance_window",
    "is_unknown_order",
    "is_unknown_symbol",
    "judge_write",
    "meaning_of",
    "reason_for",
]

SUCCESS: Final = "00000"
FAMILY_CODES: Final = frozenset({"40084", "40085", "25245"})
"""The account is of another family than the call (UTA reference, 2)."""
CREDENTIAL_CODES: Final = frozenset(code for code, row in REFUSALS.items() if row.reason is Reason.CREDENTIALS)

_SERVER_FAULT: Final = 500
_UNKNOWN_ORDERS: Final = frozenset({"22001", "43001", "43004", "40109", "40768", "40819", "45057", "25204", "24056"})
_UNKNOWN_SYMBOLS: Final = frozenset({"40034", "25100"})

_PARAMETER_OR_MAINTENANCE: Final = "40808"
_PARAMETER_TAILS: Final = ("checkbdscale", "is null", "scale", "holdside", "hold side")
"""What 40808 says of a parameter (15.2), in lower case; without such words it may be the maintenance speaking."""
_DEPLOY_DAYS: Final = frozenset({1, 2, 3})
"""Tuesday, Wednesday, Thursday: the sources differ, so all of them (19.11)."""
_DEPLOY_HOURS_UTC: Final = range(6, 10)
"""14:00-18:00 at UTC+8."""


def judge_write(*, status: int, code: str, text: str, at_ms: int) -> Rejected | Unknown:
    """The outcome of a write that the venue answered with an error code; `status` is the HTTP status, `at_ms` wall time.

    JSON at 5xx leaves the outcome open, whatever its code, and so does a code that nobody published: read again. 40808 is a wrong
    parameter, but in the hours of deployment also a general answer: then only a text that names the parameter makes it certain.
    """
    known = REFUSALS.get(code)
    if known is None or not known.certain:
        return Unknown(why=f"code {code or 'none'} at HTTP {status} doesn't say whether it happened: {text}")
    if status >= _SERVER_FAULT:
        return Unknown(why=f"code {code} came with HTTP {status}, which leaves the outcome open: {text}")
    if code == _PARAMETER_OR_MAINTENANCE and in_maintenance_window(at_ms) and not _names_a_parameter(text):
        return Unknown(why=f"code {code} in the hours of deployment may be the maintenance speaking: {text}")
    return Rejected(reason=known.reason, code=code, text=text or known.meaning)


def in_maintenance_window(at_ms: int) -> bool:
    """True in the hours of deployment: REST may answer 45001, 40725, 40808 or 40015 then, and sockets may be cut (4)."""
    moment = datetime.fromtimestamp(at_ms / MS_PER_S, tz=UTC)
    return moment.weekday() in _DEPLOY_DAYS and moment.hour in _DEPLOY_HOURS_UTC


def action_for(code: str) -> GuardAction:
    """What a guard does on a code. An unknown one: read again, no second write, tell."""
    known = REFUSALS.get(code)
    return GuardAction.REREAD if known is None else known.action


def reason_for(code: str) -> Reason:
    known = REFUSALS.get(code)
    return Reason.OTHER if known is None else known.reason


def meaning_of(code: str) -> str:
    known = REFUSALS.get(code)
    return "unpublished code" if known is None else known.meaning


def is_unknown_order(code: str) -> bool:
    """The venue doesn't know the order that was asked for. Right after placing it may only be late (15.3)."""
    return code in _UNKNOWN_ORDERS


def is_unknown_symbol(code: str) -> bool:
    return code in _UNKNOWN_SYMBOLS


def _names_a_parameter(text: str) -> bool:
    lowered = text.lower()
    return any(tail in lowered for tail in _PARAMETER_TAILS)
