"""Bitget's codes of refusal, as data: all of the Bitget reference, 15.1-15.6, and of the UTA reference, 14; some of V3's own list.

Both families answer out of one table: V3 mixes its own 25xxx with the codes of V2. A row is a row of the reference; `REFUSALS` has
one entry a code. `certain` False: the write may have happened all the same, so nothing but a read says what became of it (I7).
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from guardd.model.outcome import Reason


class GuardAction(StrEnum):
    """What the guard does on a code (the action words of section 15)."""

    OK = "ok"
    """The wanted state exists already: read once more, then as good as success."""
    RETRY = "retry"
    """Transient. A read is repeated; the outcome of a write is unknown: look it up first."""
    SLOW = "slow"
    """Back off, then again; the bucket rests."""
    CLOCK = "clock"
    """Measure the venue's time, then once more."""
    REREAD = "reread"
    """Our picture is stale: read, and decide again from state."""
    FIX = "fix"
    """A fault of ours or of the input: never repeated unchanged."""
    WAIT = "wait"
    """The venue itself handles risk, delivery or maintenance: every few seconds again while the danger lasts; people are told."""
    ALERT = "alert"
    """A human must know."""


class Refusal(Struct, frozen=True):
    """What one code means and what is done about it."""

    meaning: str
    action: GuardAction
    reason: Reason
    certain: bool = True


class _Row(Struct, frozen=True):
    """One row of the reference: codes apart by blanks, a span with a dash. Where the action is RETRY the outcome is open."""

    codes: str
    meaning: str
    action: GuardAction
    reason: Reason
    uncertain: bool = False

    def entries(self) -> Iterator[tuple[str, Refusal]]:
        certain = self.action is not GuardAction.RETRY and not self.uncertain
        for word in self.codes.split():
            first, _, last = word.partition("-")
            if not last:
                yield word, Refusal(self.meaning, self.action, self.reason, certain)
                continue
            for code in range(int(first), int(last) + 1):
                yield str(code), Refusal(self.meaning, self.action, self.reason, certain)


_A = GuardAction
_R = Reason

# 15.1 Transport, authentication, permission
_GATEWAY: Final = (
    _Row("429", "too many requests", _A.SLOW, _R.RATE_LIMITED),
    _Row("40001 40002 40003", "a header of key, signature or timestamp is empty", _A.FIX, _R.CREDENTIALS),
    _Row("40004 40005 40008 40911", "timestamp expired or invalid", _A.CLOCK, _R.CLOCK),
    _Row("40006 40037 40041", "the key is invalid or doesn't exist", _A.ALERT, _R.CREDENTIALS),
    _Row("40007", "wrong Content-Type", _A.FIX, _R.INVALID),
    _Row("40009", "the signature is wrong", _A.FIX, _R.CREDENTIALS),
    _Row("40010 40910", "the request or the operation timed out at the venue", _A.RETRY, _R.OTHER),
    _Row("40011 40012 40036", "the passphrase is missing, or it or the key is wrong", _A.ALERT, _R.CREDENTIALS),
    _Row(
        "40013 40022 40023 40024 40026 40031 40710 40752 40753 40760 40916",
        "the user is restricted, frozen, disabled or cancelled",
        _A.ALERT,
        _R.PERMISSION,
    ),
    _Row("40014 40025 40040 40301", "the key lacks a permission", _A.ALERT, _R.PERMISSION),
    _Row("40015", "system abnormal, also the answer of a maintenance", _A.RETRY, _R.MAINTENANCE),
    _Row(
        "40016 40035 40101 40111", "a phone, a second factor or an identity check is missing", _A.ALERT, _R.PERMISSION
    ),
    _Row("40018 40038 22010", "this address isn't allowed for the key", _A.ALERT, _R.PERMISSION),
    _Row("40000 40100 40103 40104", "restricted in this region", _A.ALERT, _R.PERMISSION),
    _Row("40068 40061", "access of the sub-account is disabled", _A.ALERT, _R.PERMISSION),
    _Row("40084", "the account is classic, and the call of the unified family", _A.ALERT, _R.PERMISSION),
    _Row("40085", "the account is unified, and the call of the classic family", _A.ALERT, _R.PERMISSION),
    _Row("40086", "the VIP host isn't enabled", _A.FIX, _R.UNSUPPORTED),
    _Row("40099", "the key belongs to the other environment (demo or live)", _A.ALERT, _R.CREDENTIALS),
    _Row("40081 40105 40110 22030", "not available in demo", _A.FIX, _R.UNSUPPORTED),
    _Row("22035", "demo: opening too often", _A.SLOW, _R.RATE_LIMITED),
    _Row("40078", "receiveWindow: the request came too late", _A.CLOCK, _R.CLOCK),
    _Row("40079", "receiveWindow has a wrong form", _A.FIX, _R.INVALID),
    _Row("40199", "traders may not use this API", _A.ALERT, _R.PERMISSION),
    _Row("40200", "server upgrade", _A.WAIT, _R.MAINTENANCE),
    _Row("40404", "unknown path", _A.FIX, _R.UNSUPPORTED),
    _Row("30032", "a path of V1, which has ended", _A.FIX, _R.UNSUPPORTED),
    _Row("70228 50009", "operating too often", _A.SLOW, _R.RATE_LIMITED),
    _Row("45001 50031 43059 40908", "unknown or system error, or a concurrent operation", _A.RETRY, _R.OTHER),
    _Row("40725", "the service returned an error, also the answer of a maintenance", _A.RETRY, _R.MAINTENANCE),
    _Row("43136 49003", "the account is frozen, or the address illegal", _A.ALERT, _R.PERMISSION),
)

# 15.2 Parameters
_PARAMETERS: Final = (
    _Row(
        "40017 400171 400172 40064 40811 40812 40813 40019 40020 40053 40054 40057 40058 40059 40402 40408 40409 40707 "
        "41002 41100 41101 41104 43058 48001 48002 40724",
        "a parameter is missing, malformed or out of range",
        _A.FIX,
        _R.INVALID,
    ),
    _Row("40808", "parameter verification failed, also the answer of a maintenance", _A.FIX, _R.INVALID),
    _Row(
        "40034 40072 40102 40309 40845 40844 40822",
        "a parameter or symbol is unknown, unsupported, removed, in maintenance or not configured",
        _A.REREAD,
        _R.INVALID,
    ),
    _Row(
        "22004 41113 41114 43115 43119 43120 45043 45119 40919",
        "the symbol isn't open to the API, is in maintenance, opening soon or suspended",
        _A.WAIT,
        _R.INSTRUMENT_PAUSED,
    ),
    _Row("00001 01001 01002 01003 20001 40704 40705", "range or precision of the times asked for", _A.FIX, _R.INVALID),
    _Row("40303", "more than 20,000 rows asked for", _A.FIX, _R.INVALID),
    _Row("40304 40305", "clientOid is too long or holds bad characters", _A.FIX, _R.INVALID),
    _Row("40306 40912", "too many in one batch", _A.FIX, _R.INVALID),
    _Row(
        "40913 40924 40925 40923 22003",
        "an id, or price and size together, or a newClientOid is needed, or nothing would change",
        _A.FIX,
        _R.INVALID,
    ),
    _Row("40778 43049 45025", "wrong margin coin", _A.FIX, _R.INVALID),
    _Row("41103 45035 43028 45115 40787", "the price is off the tick", _A.FIX, _R.PRECISION),
    _Row("22038", "the size is off the step", _A.FIX, _R.PRECISION),
    _Row("43011", "a value outside its specification", _A.FIX, _R.INVALID),
)

# 15.3 Orders and positions
_ORDERS: Final = (
    _Row("22001 43004 31007 43001 45057 40109 40768 40819", "no such order", _A.OK, _R.ORDER_GONE),
    _Row("45031 45055 45056 50062", "the order is finished or can't be cancelled any more", _A.OK, _R.ORDER_GONE),
    _Row("45129", "the same order cancelled twice within a second", _A.REREAD, _R.ORDER_GONE),
    _Row("22002", "no position to close", _A.REREAD, _R.POSITION_GONE),
    _Row("40709 40714 40802 40838 43043", "no position", _A.REREAD, _R.POSITION_GONE),
    _Row("40786 43118 45034 50060 40708", "the clientOid is used already", _A.REREAD, _R.DUPLICATE_CLIENT_ID),
    _Row("40762 45120 40921 40715", "above what may be opened: as a close, it would open", _A.FIX, _R.INVALID),
    _Row("40754 40798 40711 40712 43012 43132 45002 40800", "balance or margin not enough", _A.REREAD, _R.BALANCE),
    _Row(
        "40755 40757 40758 45003 45005 45006 45007 40804 40717 40746 40867 43029",
        "more than the closable position",
        _A.REREAD,
        _R.SIZE_ABOVE_POSITION,
    ),
    _Row("40859 40865 50066", "the position is being closed already", _A.REREAD, _R.SIZE_ABOVE_POSITION),
    _Row("40939", "resting reduce-only orders are in the way", _A.REREAD, _R.SIZE_ABOVE_POSITION),
    _Row("40774 45020 45021 45109 43075", "the request doesn't fit the position mode", _A.REREAD, _R.INVALID),
    _Row("45110 45111 45114 43006 43010 43027 43037 43042 22034", "below the smallest", _A.FIX, _R.SIZE_BOUNDS),
    _Row("43007 43038 43041 45112 45113", "above the largest", _A.FIX, _R.SIZE_BOUNDS),
    _Row("45103 45104 40887 40888", "above what one flash order may hold", _A.FIX, _R.SIZE_BOUNDS),
    _Row(
        "40815 40816 43008 43009 43039 43040 40748 22006 22007 22008 22009",
        "the price is outside the band or beyond the risk price",
        _A.REREAD,
        _R.INVALID,
    ),
    _Row("40718 40719 40820 40821", "the closing price is beyond the liquidation price", _A.FIX, _R.INVALID),
    _Row(
        "40721 40824 40722 40826 40825 22045 70220",
        "no market order now: not allowed, not enough cost in volatility, or no depth",
        _A.ALERT,
        _R.INSTRUMENT_PAUSED,
    ),
    _Row("45123", "only market orders now", _A.FIX, _R.INVALID),
    _Row("45121", "the mark is too far from the market to open", _A.REREAD, _R.INVALID),
    _Row("40723 40761 43005 43128 45118", "too many open orders", _A.ALERT, _R.OTHER),
    _Row("45116 22029 40928", "the most that positions or risk control allow: an opening", _A.FIX, _R.INVALID),
    _Row("40931", "risk control forbids closing", _A.WAIT, _R.INSTRUMENT_PAUSED),
    _Row("45009 40780 40879 40880", "the venue handles this account's risk", _A.WAIT, _R.POSITION_LIQUIDATING),
    _Row("22043 22044 22067", "automatic deleveraging runs on the symbol", _A.WAIT, _R.POSITION_LIQUIDATING),
    _Row("22039 22040 22041", "delivery is near: opening or closing is limited", _A.WAIT, _R.INSTRUMENT_PAUSED),
    # The key may do all the rest, and the bar is lifted without a word: asked for again, as of a venue that closes.
    _Row("45107 45108", "the API is barred from opening or closing", _A.ALERT, _R.VENUE_CLOSING),
    _Row("40878", "index data are abnormal", _A.WAIT, _R.INSTRUMENT_PAUSED),
    _Row("45019 45017 40807", "the account's settlement isn't configured", _A.ALERT, _R.PERMISSION),
    _Row("45023 45024 43002 43003", "creating or cancelling failed", _A.RETRY, _R.OTHER),
    _Row("46013", "sell limit on the symbol", _A.FIX, _R.INVALID),
)

# 15.4 Leverage, margin, modes, transfers
_ACCOUNT: Final = (
    _Row("40814 45054", "the leverage is that already", _A.OK, _R.LEVERAGE_CONFLICT),
    _Row("40893 45047", "not enough margin for the new leverage", _A.REREAD, _R.BALANCE),
    _Row("45044 45045 43050", "leverage out of range", _A.FIX, _R.LEVERAGE_CONFLICT),
    _Row("40730 45097", "orders exist that lock the leverage", _A.REREAD, _R.LEVERAGE_CONFLICT),
    _Row("22020 22025 22026", "a position or account of experience coupons", _A.ALERT, _R.UNSUPPORTED),
    _Row("40875 40874 45102 22011 22005 40716", "not in the margin mode that this needs", _A.REREAD, _R.INVALID),
    _Row("40801 40713 43117", "above what may be moved", _A.REREAD, _R.BALANCE),
    _Row("40799", "below the smallest transfer", _A.FIX, _R.SIZE_BOUNDS),
    _Row("40839", "automatic margin is suspended", _A.ALERT, _R.UNSUPPORTED),
    _Row("40872 40920 45117", "a position or order blocks the change of mode", _A.FIX, _R.INVALID),
    _Row("42013 40782", "the transfer failed", _A.RETRY, _R.OTHER),
    _Row("43137 40909", "the transfer is in progress", _A.REREAD, _R.OTHER, uncertain=True),
    _Row("43129", "the coin can't be transferred", _A.FIX, _R.UNSUPPORTED),
    _Row("45098 40869 45089", "a restriction of lead or copy traders", _A.ALERT, _R.PERMISSION),
)

# 15.5 Plan orders and TP/SL
_PLANS: Final = (
    _Row("43020 43021 43025 43026 43033", "the plan order is missing or closed", _A.OK, _R.ORDER_GONE),
    _Row("43023 40891", "the position isn't enough for a stop (yet)", _A.REREAD, _R.SIZE_ABOVE_POSITION),
    _Row("40837 45068 31008", "no position for a stop", _A.REREAD, _R.POSITION_GONE),
    _Row("43030 43031", "a take-profit or a stop exists already", _A.REREAD, _R.PROTECTION_EXISTS),
    _Row("43024", "attached to an order that exists", _A.FIX, _R.UNSUPPORTED),
    _Row("45127 45128 40896", "changing the stop or its size is disabled", _A.ALERT, _R.UNSUPPORTED),
    _Row(
        "40917 45062 40834 43015 40833 45066 31005",
        "a long's stop isn't below the mark, current, entry or order price",
        _A.REREAD,
        _R.TRIGGER_PASSED,
    ),
    _Row("45122 40836 43016 40835 45067", "a short's stop isn't above it", _A.REREAD, _R.TRIGGER_PASSED),
    _Row(
        "40915 45060 40830 43013 40829 45064 31004",
        "a long's take-profit isn't above it",
        _A.REREAD,
        _R.TRIGGER_PASSED,
    ),
    _Row("45061 40832 43014 40831 45065", "a short's take-profit isn't below it", _A.REREAD, _R.TRIGGER_PASSED),
    _Row("43034 43035", "the trigger lies on the wrong side of the market", _A.REREAD, _R.TRIGGER_PASSED),
    _Row("40895", "the preset price doesn't fit the order's", _A.FIX, _R.INVALID),
    _Row("45051 45052 31053", "the execution or trigger price is invalid", _A.FIX, _R.INVALID),
    _Row("43032", "the callback rate is too small", _A.FIX, _R.INVALID),
    _Row("40889 40890 43071 45091", "too many plan orders", _A.ALERT, _R.TOO_MANY_PLAN_ORDERS),
    _Row("22042", "one-way: a trigger order can't be reduce-only", _A.FIX, _R.UNSUPPORTED),
    _Row("43022", "the default stop failed to trigger", _A.ALERT, _R.OTHER),
)

# 15.6 and UTA reference, 14 (which is the newer where they differ)
_UNIFIED: Final = (
    _Row("25000", "system error", _A.RETRY, _R.OTHER),
    _Row("25001", "the operation timed out", _A.RETRY, _R.OTHER),
    _Row("25003", "a concurrent operation", _A.RETRY, _R.OTHER),
    _Row("25004", "too many requests", _A.SLOW, _R.RATE_LIMITED),
    _Row("25008 25011 25012", "the account is in liquidation or risk handling", _A.WAIT, _R.POSITION_LIQUIDATING),
    _Row("25013", "the symbol isn't open to the API", _A.ALERT, _R.INSTRUMENT_PAUSED),
    _Row("25100-25108", "the symbol is unknown or not available", _A.REREAD, _R.INSTRUMENT_PAUSED),
    _Row("25200", "parameter verification failed", _A.FIX, _R.INVALID),
    _Row("25201", "the coin is unknown", _A.FIX, _R.INVALID),
    _Row("25202 25203 25228 25231", "balance or margin not enough", _A.REREAD, _R.BALANCE),
    _Row("25204 24056", "no such order", _A.OK, _R.ORDER_GONE),
    _Row("25205 25206", "the price is out of range", _A.REREAD, _R.INVALID),
    _Row("25207 25208", "the quantity is out of range", _A.REREAD, _R.SIZE_BOUNDS),
    _Row("25212", "the clientOid is used already", _A.REREAD, _R.DUPLICATE_CLIENT_ID),
    _Row("25227", "no position to close", _A.REREAD, _R.POSITION_GONE),
    _Row("25230", "above what may be opened: as a close, it would open", _A.FIX, _R.INVALID),
    _Row("25244", "the price is off the tick", _A.FIX, _R.PRECISION),
    _Row("25245", "the account isn't unified", _A.ALERT, _R.PERMISSION),
    # The reference has 25579-25653 as one row; which price is meant stands in the venue's list of V3 codes (read 2026-11-21).
    _Row("25579-25582", "the trigger lies on the wrong side of the entry price", _A.REREAD, _R.TRIGGER_PASSED),
    _Row("25585-25588", "the trigger lies on the wrong side of the latest price", _A.REREAD, _R.TRIGGER_PASSED),
    _Row("25589-25592", "the trigger lies on the wrong side of the mark", _A.REREAD, _R.TRIGGER_PASSED),
    _Row("25650-25652", "the trigger lies on the wrong side of the current price", _A.REREAD, _R.TRIGGER_PASSED),
    _Row("25583 25584 25602-25605", "a trigger or order price isn't above 0", _A.REREAD, _R.INVALID),
    _Row("25606-25609", "a trigger or order price is off the tick", _A.REREAD, _R.PRECISION),
    _Row("25653", "the order was changed meanwhile", _A.REREAD, _R.OTHER),
    _Row("25599", "too many stops", _A.ALERT, _R.TOO_MANY_PLAN_ORDERS),
    _Row("25601", "no position for a stop", _A.REREAD, _R.POSITION_GONE),
    _Row("25610", "the quantity is off the step", _A.FIX, _R.PRECISION),
    _Row("25611", "below the smallest quantity", _A.FIX, _R.SIZE_BOUNDS),
    _Row("25620", "the key lacks a permission", _A.ALERT, _R.PERMISSION),
)

# The venue's list of V3 codes (read 2026-11-21): those of closes, stops and their changes that neither reference has
_PUBLISHED: Final = (
    _Row("25002 25240 25593", "the operation isn't supported", _A.FIX, _R.UNSUPPORTED),
    _Row("25006 25007", "the account's status forbids it", _A.ALERT, _R.PERMISSION),
    _Row("25209 25210", "no market order now: no depth, or too much movement", _A.ALERT, _R.INSTRUMENT_PAUSED),
    _Row("25225 25226 25242", "more than the closable position", _A.REREAD, _R.SIZE_ABOVE_POSITION),
    _Row("25232 25574", "resting reduce-only orders are in the way", _A.REREAD, _R.SIZE_ABOVE_POSITION),
    _Row("25233 25241", "above the largest", _A.FIX, _R.SIZE_BOUNDS),
    _Row("25236 25237", "the request doesn't fit the position mode", _A.REREAD, _R.INVALID),
    _Row("25239", "closing failed, to be tried again", _A.RETRY, _R.OTHER),
    _Row("25594", "a stop on the whole position exists already", _A.REREAD, _R.PROTECTION_EXISTS),
    _Row("25595", "the stops together are for more than the position", _A.REREAD, _R.SIZE_ABOVE_POSITION),
    _Row("25596 25597 25598", "the strategy order fired, failed or ended", _A.REREAD, _R.ORDER_GONE),
)


def _section(rows: tuple[_Row, ...]) -> Mapping[str, Refusal]:
    return MappingProxyType({code: refusal for row in rows for code, refusal in row.entries()})


SECTIONS: Final[Mapping[str, Mapping[str, Refusal]]] = MappingProxyType(
    {
        "15.1": _section(_GATEWAY),
        "15.2": _section(_PARAMETERS),
        "15.3": _section(_ORDERS),
        "15.4": _section(_ACCOUNT),
        "15.5": _section(_PLANS),
        "15.6": _section(_UNIFIED),
        "V3 list": _section(_PUBLISHED),
    }
)
REFUSALS: Final[Mapping[str, Refusal]] = MappingProxyType(
    {code: refusal for section in SECTIONS.values() for code, refusal in section.items()}
)
"""By code, as text: codes of one number with and without leading zeros are different codes."""
