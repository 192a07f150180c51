"""V3's own codes, in words, and which of them stands for a refusal of the exchange. UTA reference, 14.

V3 mixes 25xxx with the codes of V2, whose words are in `bitget_common.envelope`. Texts without a sample are this
simulator's; a client must not branch on any.
"""

from guardd.simulator.dialects.bitget_common.envelope import WORDS as SHARED_WORDS
from guardd.simulator.dialects.bitget_common.envelope import VenueError
from guardd.simulator.refusals import RefusalReason, Refused

PARAMETER = "400172"

_WORDS = {
    "25008": "The account is in liquidation",
    "25013": "The symbol is not open to the API",
    "25100": "Symbol does not exist",
    "25101": "The symbol is not available",
    "25102": "The symbol does not support this operation",
    "25200": "Parameter error {0}",
    "25201": "Coin does not exist",
    "25202": "Insufficient balance",
    "25203": "Insufficient margin",
    "25205": "The order price is above the limit",
    "25206": "The order price is below the limit",
    "25207": "The order quantity is above the limit",
    "25212": "Duplicate clientOid",
    "25227": "No position to close",
    "25230": "The order quantity is above the openable maximum",
    "25244": "The price is not a multiple of the tick",
    "25245": "Account is not unified",
    "25585": "The take-profit of a long position must be above the latest price",
    "25586": "The stop-loss of a long position must be below the latest price",
    "25587": "The take-profit of a short position must be below the latest price",
    "25588": "The stop-loss of a short position must be above the latest price",
    "25589": "The take-profit of a long position must be above the mark price",
    "25590": "The stop-loss of a long position must be below the mark price",
    "25591": "The take-profit of a short position must be below the mark price",
    "25592": "The stop-loss of a short position must be above the mark price",
    "25594": "The whole position has a TP/SL already",
    "25595": "The quantity of the TP/SL is above the position",
    "25599": "The number of TP/SL orders exceeds the limit",
    "25601": "Position not found",
    "25610": "The quantity is not a multiple of the step",
    "25611": "The quantity is below the minimum",
    "25620": "No permission",
    "40762": "The order size is greater than the max open size",
    "40723": "Too many open orders",
    "40730": "Orders exist, the leverage can't be changed",
    "45044": "The leverage is out of range",
    "45117": "Positions or orders exist, the margin mode can't be changed",
}
_REASONS: dict[RefusalReason, str] = {
    RefusalReason.VENUE_CLOSING: "25013",
    RefusalReason.VENUE_MAINTENANCE: "40200",
    RefusalReason.CONTRACT_NOT_FOUND: "25100",
    RefusalReason.CONTRACT_OFFLINE: "25101",
    RefusalReason.CONTRACT_PAUSED: "25013",
    RefusalReason.NO_MARKET: "25013",
    RefusalReason.PARAMETER_INVALID: "25200",
    RefusalReason.PRICE_PRECISION: "25244",
    RefusalReason.SIZE_PRECISION: "25610",
    RefusalReason.SIZE_RANGE: "25207",
    RefusalReason.NOTIONAL_TOO_SMALL: "25611",
    RefusalReason.DUPLICATE_CLIENT_ID: "25212",
    RefusalReason.LEVERAGE_TOO_LARGE: "45044",
    RefusalReason.LEVERAGE_TOO_SMALL: "45044",
    RefusalReason.LEVERAGE_CONFLICT: "40730",
    RefusalReason.MARGIN_MODE_CONFLICT: "45117",
    RefusalReason.POSITION_LIMIT: "25230",
    RefusalReason.POSITIONS_EXIST: "40920",
    RefusalReason.ORDERS_EXIST: "40920",
    RefusalReason.NOT_ISOLATED: "40875",
    RefusalReason.INSUFFICIENT_BALANCE: "25203",
    RefusalReason.INSUFFICIENT_SPOT_BALANCE: "25202",
    RefusalReason.AMOUNT_INVALID: "25200",
    RefusalReason.WOULD_LIQUIDATE: "25203",
    RefusalReason.TRANSFER_SUSPENDED: "42013",
    RefusalReason.POSITION_NOT_EXIST: "25227",
    RefusalReason.POSITION_CLOSED: "25227",
    RefusalReason.POSITION_LIQUIDATING: "25008",
    RefusalReason.POSITION_NOT_READY: "25601",
    RefusalReason.VOLUME_NOT_ENOUGH: "40804",
    RefusalReason.ORDER_NOT_EXIST: "25204",
    RefusalReason.ORDER_FINISHED: "25204",
    RefusalReason.TOO_MANY_ORDERS: "40723",
    RefusalReason.TOO_MANY_PLANS: "25599",
    RefusalReason.PLAN_EXISTS: "25594",
    RefusalReason.TRIGGER_TOO_FAR: "25205",
    RefusalReason.TRIGGER_WRONG_SIDE: "25590",
    RefusalReason.SYSTEM_ERROR: "25000",
}


def refuse(code: str, fill: str = "") -> VenueError:
    """A refusal by this code, in its words; `fill` stands for their `{0}`."""
    words = _WORDS.get(code) or SHARED_WORDS.get(code) or "Request failed"
    return VenueError(code, words.replace("{0}", fill).rstrip())


def bad(name: str) -> VenueError:
    """A parameter that is missing, of another type, or outside of its list (observed wording, with the name)."""
    return VenueError(PARAMETER, f"Parameter verification failed: {name}")


def code_of(refusal: Refused) -> VenueError:
    """The venue's code for a refusal of the exchange."""
    return refuse(_REASONS[refusal.reason], refusal.detail)
