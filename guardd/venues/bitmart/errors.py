"""BitMart's answers of refusal, as data: section 16 of the reference, every code with what a guard does about it.

`judge_write` turns an answer to a write into an outcome: rejected only where certainly nothing happened, else unknown (I7).
"""

from enum import StrEnum
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from guardd.model.outcome import Reason, Rejected, Unknown

SUCCESS: Final = 1000


class GuardAction(StrEnum):
    """What the guard does on a code (the action words of section 16)."""

    RETRY = "retry"
    """The same request again after a pause; the refused one did not happen."""
    RESYNC = "resync"
    """Mend the clock offset, then once more."""
    SLOW_DOWN = "slow_down"
    """Mend the clock offset and pause the bucket."""
    SIGN_AGAIN = "sign_again"
    """Fresh timestamp, exact body, once more; then the secret or the memo is wrong."""
    REREAD = "reread"
    """Fetch positions and orders and decide again from state."""
    DONE = "done"
    """As good as success, once a read confirms it."""
    FIX = "fix"
    """A fault of ours or of the input: never repeated unchanged."""
    ALERT = "alert"
    """A human must know; other protective steps go on."""
    STOP = "stop"
    """Stop all calls from this address but one probe."""
    ADOPT = "adopt"
    """The earlier send arrived: look it up."""


class Refusal(Struct, frozen=True):
    """One row of the table. `http` None: not published. `certain` False: the write may have happened all the same."""

    code: int
    http: int | None
    meaning: str
    action: GuardAction
    reason: Reason
    certain: bool = True


_A = GuardAction
_R = Reason

_GATEWAY: Final = (
    Refusal(30000, 404, "unknown path", _A.FIX, _R.UNSUPPORTED),
    Refusal(30001, 401, "X-BM-KEY is empty", _A.FIX, _R.CREDENTIALS),
    Refusal(30002, 401, "key not found", _A.ALERT, _R.CREDENTIALS),
    Refusal(30003, 401, "key frozen", _A.ALERT, _R.CREDENTIALS),
    Refusal(30004, 401, "X-BM-SIGN is empty", _A.FIX, _R.CREDENTIALS),
    Refusal(30005, 401, "signature wrong", _A.SIGN_AGAIN, _R.CREDENTIALS),
    Refusal(30006, 401, "timestamp empty", _A.FIX, _R.CLOCK),
    Refusal(30007, 401, "timestamp off by more than a minute", _A.RESYNC, _R.CLOCK),
    Refusal(30008, 401, "timestamp has a wrong form", _A.RESYNC, _R.CLOCK),
    Refusal(30009, None, "not in the published table", _A.ALERT, _R.OTHER, certain=False),
    Refusal(30010, 403, "this address is not allowed", _A.ALERT, _R.PERMISSION),
    Refusal(30011, 403, "key expired", _A.ALERT, _R.CREDENTIALS),
    Refusal(30012, 403, "key not allowed for this call", _A.ALERT, _R.PERMISSION),
    Refusal(30013, 429, "too many requests", _A.RETRY, _R.RATE_LIMITED),
    Refusal(30014, 503, "service unavailable", _A.RETRY, _R.MAINTENANCE),
    Refusal(30015, None, "not in the published table", _A.ALERT, _R.OTHER, certain=False),
    Refusal(30016, 200, "maintenance", _A.REREAD, _R.MAINTENANCE),
    Refusal(30017, 418, "blocked for breaking limits", _A.STOP, _R.BANNED),
    Refusal(30018, 503, "the body must be JSON", _A.FIX, _R.INVALID),
    Refusal(30019, 200, "no permission for this operation", _A.ALERT, _R.PERMISSION),
    Refusal(30030, 200, "V1 interface retired", _A.FIX, _R.VENUE_CLOSING),
    Refusal(30031, 200, "this endpoint retired", _A.FIX, _R.VENUE_CLOSING),
)

_CONTRACT: Final = (
    Refusal(40001, 400, "futures account not found", _A.ALERT, _R.PERMISSION),
    Refusal(40002, 400, "out_trade_no not found", _A.REREAD, _R.OTHER),
    Refusal(40003, 400, "out_trade_no exists already", _A.DONE, _R.OTHER),
    Refusal(40004, 400, "futures account count limit", _A.ALERT, _R.PERMISSION),
    Refusal(40005, 400, "transfer amount precision", _A.FIX, _R.PRECISION),
    Refusal(40006, 400, "address invalid", _A.ALERT, _R.PERMISSION),
    Refusal(40007, 400, "parameters could not be parsed", _A.FIX, _R.INVALID),
    Refusal(40008, 400, "nonce check failed", _A.RESYNC, _R.CLOCK),
    Refusal(40009, 400, "version check failed", _A.FIX, _R.INVALID),
    Refusal(40010, 400, "function not found", _A.FIX, _R.UNSUPPORTED),
    Refusal(40011, 400, "invalid request or parameter", _A.FIX, _R.INVALID),
    Refusal(40012, 400, "system error, a catch-all: the text tells", _A.REREAD, _R.LEVERAGE_CONFLICT),
    Refusal(40013, 400, "too often, or client time invalid", _A.SLOW_DOWN, _R.RATE_LIMITED),
    Refusal(40014, 400, "contract offline", _A.ALERT, _R.INSTRUMENT_PAUSED),
    Refusal(40015, 400, "trading of the contract paused", _A.RETRY, _R.INSTRUMENT_PAUSED),
    Refusal(40016, 400, "the order would trigger liquidation", _A.FIX, _R.WOULD_LIQUIDATE),
    Refusal(40017, 400, "cannot open and close at the same time", _A.REREAD, _R.INVALID),
    Refusal(40018, 400, "position already closed", _A.DONE, _R.POSITION_GONE),
    Refusal(40019, 400, "position is being liquidated", _A.REREAD, _R.POSITION_LIQUIDATING),
    Refusal(40020, 400, "position volume not enough", _A.REREAD, _R.SIZE_ABOVE_POSITION),
    Refusal(40021, 400, "position does not exist", _A.DONE, _R.POSITION_GONE),
    Refusal(40022, 400, "position is not isolated", _A.REREAD, _R.INVALID),
    Refusal(40023, 400, "removing margin would liquidate", _A.FIX, _R.WOULD_LIQUIDATE),
    Refusal(40024, 400, "removing margin would come near liquidation", _A.FIX, _R.WOULD_LIQUIDATE),
    Refusal(40025, 400, "margin below the base limit", _A.FIX, _R.BALANCE),
    Refusal(40026, 400, "cross position is being liquidated", _A.REREAD, _R.POSITION_LIQUIDATING),
    Refusal(40027, 400, "available futures balance not enough", _A.REREAD, _R.BALANCE),
    Refusal(40028, 400, "too many plan orders", _A.REREAD, _R.TOO_MANY_PLAN_ORDERS),
    Refusal(40029, 400, "leverage too large", _A.FIX, _R.LEVERAGE_CONFLICT),
    Refusal(40030, 400, "leverage too small", _A.FIX, _R.LEVERAGE_CONFLICT),
    Refusal(40031, 400, "trigger too far from the price", _A.FIX, _R.TRIGGER_TOO_FAR),
    Refusal(40032, 400, "plan order life too long", _A.FIX, _R.INVALID),
    Refusal(40033, 400, "plan order life too short", _A.FIX, _R.INVALID),
    Refusal(40034, 400, "contract not found", _A.ALERT, _R.INVALID),
    Refusal(40035, 400, "order does not exist", _A.DONE, _R.ORDER_GONE),
    Refusal(40036, 400, "order state does not allow it", _A.DONE, _R.ORDER_GONE),
    Refusal(40037, 400, "order id does not exist", _A.DONE, _R.ORDER_GONE),
    Refusal(40038, 400, "kline step invalid", _A.FIX, _R.INVALID),
    Refusal(40039, 400, "timestamp invalid", _A.RESYNC, _R.CLOCK),
    Refusal(40040, 400, "leverage invalid or in conflict with the position", _A.REREAD, _R.LEVERAGE_CONFLICT),
    Refusal(40041, 400, "side invalid", _A.FIX, _R.INVALID),
    Refusal(40042, 400, "type invalid", _A.FIX, _R.INVALID),
    Refusal(40043, 400, "precision invalid", _A.FIX, _R.PRECISION),
    Refusal(40044, 400, "size out of range", _A.FIX, _R.SIZE_BOUNDS),
    Refusal(40045, 400, "open type invalid", _A.REREAD, _R.LEVERAGE_CONFLICT),
    Refusal(40046, 403, "futures not opened on the account", _A.ALERT, _R.PERMISSION),
    Refusal(40047, 403, "service not available in this country", _A.ALERT, _R.PERMISSION),
    Refusal(40048, 403, "client id has other than letters and digits", _A.FIX, _R.INVALID),
    Refusal(40049, 403, "client id longer than 32", _A.FIX, _R.INVALID),
    Refusal(40050, 403, "client id repeats that of an existing order", _A.ADOPT, _R.DUPLICATE_CLIENT_ID),
    Refusal(40059, 400, "positions exist, mode switch refused", _A.FIX, _R.INVALID),
    Refusal(42000, 200, "insufficient balance", _A.REREAD, _R.BALANCE),
    Refusal(25601, None, "maintenance, announced for 2025-10", _A.REREAD, _R.MAINTENANCE),
    Refusal(49998, 400, "legacy: invalid parameter", _A.FIX, _R.INVALID),
    Refusal(49999, 400, "legacy: system error", _A.REREAD, _R.OTHER, certain=False),
)

_ACCOUNT_FAMILY: Final = (
    Refusal(60000, 400, "invalid request", _A.FIX, _R.INVALID),
    Refusal(60001, 400, "account type does not exist", _A.FIX, _R.INVALID),
    Refusal(60002, 400, "currency does not exist", _A.FIX, _R.INVALID),
    Refusal(60008, 400, "balance not enough", _A.REREAD, _R.BALANCE),
    Refusal(60009, 400, "beyond the limit", _A.FIX, _R.SIZE_BOUNDS),
    Refusal(60020, 403, "deposits barred for the account", _A.ALERT, _R.PERMISSION),
    Refusal(60021, 403, "withdrawals barred for the account", _A.ALERT, _R.PERMISSION),
    Refusal(60022, 403, "deposits and withdrawals barred for the account", _A.ALERT, _R.PERMISSION),
    Refusal(60026, 403, "sub-account lacks permission", _A.FIX, _R.PERMISSION),
    Refusal(60027, 403, "call is for sub-accounts only", _A.FIX, _R.PERMISSION),
    Refusal(60028, 403, "account disabled by the main account", _A.ALERT, _R.PERMISSION),
    Refusal(60029, 403, "account frozen by the main account", _A.ALERT, _R.PERMISSION),
    Refusal(60030, 405, "wrong method", _A.FIX, _R.INVALID),
    Refusal(60031, 415, "wrong media type", _A.FIX, _R.INVALID),
    Refusal(60050, 500, "user account not found", _A.REREAD, _R.OTHER, certain=False),
    Refusal(60051, 500, "internal error", _A.REREAD, _R.OTHER, certain=False),
    Refusal(61001, 200, "balance not enough", _A.REREAD, _R.BALANCE),
    Refusal(61003, 400, "sub-account not found", _A.FIX, _R.INVALID),
    Refusal(61004, 400, "requestNo repeated", _A.DONE, _R.DUPLICATE_CLIENT_ID),
    Refusal(61005, 403, "transfer between these accounts not available", _A.ALERT, _R.PERMISSION),
    Refusal(61006, 403, "institution account needed", _A.ALERT, _R.PERMISSION),
    Refusal(61007, 403, "institution verification needed", _A.ALERT, _R.PERMISSION),
    Refusal(61008, 403, "transfer out suspended", _A.ALERT, _R.PERMISSION),
)

REFUSALS: Final = MappingProxyType({row.code: row for row in (*_GATEWAY, *_CONTRACT, *_ACCOUNT_FAMILY)})

# Texts that mean something of their own inside the catch-alls 40011 and 40012 (16.2, end): fragments, in lower case. The last two
# refusals are described without a code or a text (11.1: a second position-level order, a trigger on the wrong side), so their
# fragments are our guess: where they miss, the refusal counts as one of form and the next form is tried.
CATCH_ALL_CODES: Final = frozenset({40011, 40012})
CATCH_ALL_TEXTS: Final = (
    ("balance not enough", Reason.BALANCE),
    ("position does not exist", Reason.POSITION_GONE),
    ("symbol_not_exist", Reason.INVALID),
    ("invalid order", Reason.LEVERAGE_CONFLICT),
    ("already exist", Reason.PROTECTION_EXISTS),
    ("trigger price", Reason.TRIGGER_PASSED),
)

VENUE_CLOSING_CODES: Final = frozenset({30014, 30016, 30030, 30031, 40014, 40015, 25601})
"""Section 0: the venue may be closing. 40020 on a position that exists belongs to them too, which only `execution` can know."""
CREDENTIAL_CODES: Final = frozenset(row.code for row in REFUSALS.values() if row.reason is Reason.CREDENTIALS)
_CERTAIN_AT_5XX: Final = frozenset({30014, 30018})
_SERVER_FAULT: Final = 500


def judge_write(*, status: int, code: int, text: str, retry_after_s: float | None = None) -> Rejected | Unknown:
    """The outcome of a write that the venue answered with an error code (16.1-16.4; `status` is the HTTP status).

    JSON at 5xx is unknown unless 30014 or 30018 (16.3); 40012 has been seen at 500 too, where only a text that says why
    makes it certain. A code that nobody published is unknown at any status: read again.
    """
    known = REFUSALS.get(code)
    reason = refusal_reason(code, text)
    if known is None or not known.certain:
        return Unknown(why=f"code {code} at HTTP {status} doesn't say whether it happened: {text}")
    if status >= _SERVER_FAULT and code not in _CERTAIN_AT_5XX and catch_all_reason(code, text) is None:
        return Unknown(why=f"code {code} came with HTTP {status}, which leaves the outcome open: {text}")
    return Rejected(reason=reason, code=str(code), text=text or known.meaning, retry_after_s=retry_after_s)


def refusal_reason(code: int, text: str) -> Reason:
    """The guard's word for a code; the catch-alls are told apart by their text."""
    by_text = catch_all_reason(code, text)
    if by_text is not None:
        return by_text
    known = REFUSALS.get(code)
    return Reason.OTHER if known is None else known.reason


def catch_all_reason(code: int, text: str) -> Reason | None:
    """What the text inside a catch-all code says, None where it says nothing known."""
    if code not in CATCH_ALL_CODES:
        return None
    lowered = text.lower()
    return next((reason for fragment, reason in CATCH_ALL_TEXTS if fragment in lowered), None)


def action_for(code: int) -> GuardAction:
    """Unknown code: re-read, no retry for writes, tell (16)."""
    known = REFUSALS.get(code)
    return GuardAction.REREAD if known is None else known.action


def is_unknown_order(code: str) -> bool:
    """The venue doesn't know the order that was asked for."""
    return code in {"40035", "40037"}


def is_unknown_symbol(code: str, text: str) -> bool:
    """The venue doesn't know the contract: 40034, or 40012 with a text on the details call (quirk 9)."""
    return code == "40034" or (code == "40012" and "symbol_not_exist" in text.lower())
