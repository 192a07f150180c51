"""What guardd makes of Bitget's codes: the judgement of writes, and the action for a code. The codes themselves are data."""

from typing import Final

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
    "judge_write",
    "meaning_of",
]

SUCCESS: Final = "00000"
FAMILY_CODES: Final = frozenset({"40084", "40085", "25245"})
"""The account is of another family than the call (UTA reference, 2)."""
CREDENTIAL_CODES: Final = frozenset(code for code, row in REFUSALS.items() if row.reason is Reason.CREDENTIALS)
_SERVER_FAULT: Final = 500


def judge_write(*, status: int, code: str, text: str, at_ms: int) -> Rejected | Unknown:
    """The outcome of a write that the venue answered with an error code; `status` is the HTTP status, `at_ms` wall time.

    JSON at 5xx leaves the outcome open, whatever its code, and so does a code that nobody published: read again.
    """
    known = REFUSALS.get(code)
    if known is None or not known.certain:
        return Unknown(why=f"code {code or 'none'} at HTTP {status} doesn't say whether it happened: {text}")
    if status >= _SERVER_FAULT:
        return Unknown(why=f"code {code} came with HTTP {status}, which leaves the outcome open: {text}")
    return Rejected(reason=known.reason, code=code, text=text or known.meaning)


def action_for(code: str) -> GuardAction:
    """What a guard does on a code. An unknown one: read again, no second write, tell."""
    known = REFUSALS.get(code)
    return GuardAction.REREAD if known is None else known.action


def meaning_of(code: str) -> str:
    known = REFUSALS.get(code)
    return "unpublished code" if known is None else known.meaning
