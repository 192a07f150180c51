"""The envelope of every answer, the wording of refusals, and the pages of the edge in front of the venue.

Bitget reference, 2 and 15. Success is `code` "00000"; a business error comes with HTTP 400 and the same envelope
(observed everywhere; quirk 15), too many requests with HTTP 429.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec

from guardd.simulator.wire import HTML_TYPE, JSON_TYPE, TEXT_TYPE, Response

Json: TypeAlias = "str | int | Sequence[Json] | Mapping[str, Json] | None"
Row: TypeAlias = dict[str, Json]

SUCCESS = "00000"
TOO_MANY = "429"

# Texts are what the samples or the published table print; a client must not branch on them. Unfilled `{0}` included.
WORDS: dict[str, str] = {
    "00001": "startTime and endTime interval cannot be greater than {0} days",
    "22001": "No order to cancel",
    "22002": "No position to close",
    "22003": "newClientOid is required",
    "22011": "Cross margin mode does not support this operation",
    "22034": "The order size is below the minimum",
    "22038": "The size is not a multiple of the step",
    "22042": "A trigger order can't be reduce-only in one-way mode",
    "24056": "notExisted",
    "25000": "System error",
    "25204": "Order does not exist",
    "25212": "Duplicate clientOid",
    "25245": "The account is not a unified account",
    "30032": "The V1 API has been decommissioned. Please migrate to a newer version.",
    "40001": "ACCESS_KEY cannot be empty",
    "40002": "ACCESS_SIGN cannot be empty",
    "40003": "ACCESS_TIMESTAMP cannot be empty",
    "40005": "Invalid ACCESS_TIMESTAMP",
    "40006": "Invalid ACCESS_KEY",
    "40007": "Invalid Content_Type, please use the “application/json” format",
    "40008": "Request timestamp expired",
    "40009": "sign signature error",
    "40010": "Request timed out",
    "40011": "ACCESS_PASSPHRASE cannot be empty",
    "40012": "apikey/password is incorrect",
    "40014": "Incorrect permissions, need contract_order write permissions",
    "40015": "System is abnormal, please try again later",
    "40017": "Parameter verification failed",
    "400171": "Parameter {0} error",
    "400172": "Parameter verification failed",
    "40018": "Invalid IP",
    "40019": "Parameter {0} cannot be empty",
    "40020": "Parameter {0} error",
    "40034": "Parameter {0} does not exist",
    "40037": "Apikey does not exist",
    "40084": "You are in Classic Account mode, and the Unified Account API is not supported at this time",
    "40085": "You are in Unified Account mode, and the Classic Account API is not supported at this time",
    "40099": "exchange environment is incorrect",
    "40109": "The data of the order cannot be found, please confirm the order number",
    "40200": "Server upgrade, please try again later",
    "40304": "Client order length over 50",
    "40305": "client_oid length is not greater than 64, and cannot be Martian characters",
    "40306": "Batch processing orders can only process up to 20",
    "40404": "Request URL NOT FOUND",
    "40714": "No position",
    "40725": "service return an error",
    "40754": "balance not enough",
    "40762": "The order amount exceeds the balance",
    "40768": "Order does not exist",
    "40774": "The order type for unilateral position must also be the unilateral position type.",
    "40778": "Coin is not supported",
    "40786": "Duplicate clientOid",
    "40799": "Cannot be less than the minimum transfer amount",
    "40800": "Insufficient amount of margin",
    "40801": "Cannot exceed the maximum transferable amount",
    "40802": "No position can be adjusted",
    "40804": "The number of closed positions cannot exceed the number of positions held",
    "40808": "Parameter verification exception {0}",
    "40811": "The parameter {0} should not be null",
    "40814": "No change in leverage",
    "40815": "The order price is higher than the highest bid price",
    "40816": "The order price is lower than the lowest offer price",
    "40838": "There is no position",
    "40875": "The margin can't be adjusted in cross margin mode",
    "40880": "The risk is being processed and the leverage cannot be adjusted.",
    "40889": "The plan order of this contract has reached the upper limit",
    "40890": "The TP/SL orders of this contract have reached the upper limit",
    "40893": "Insufficient margin for the new leverage",
    "40912": "single cancel cannot exceed 50",
    "40913": "{0} must be passed one",
    "40915": "Long position take profit price please > mark price {0}",
    "40917": "Stop price for long positions please < mark price {0}",
    "40920": "Position or order exists, the position mode cannot be switched",
    "40923": "Order size and price have not changed",
    "40925": "Price and size must be passed in at the same time",
    "40928": "Risk control, the position limit is reached",
    "40939": (
        "Reducing positions only will decrease your position. "
        "Please cancel or modify the original pending order first before placing a new order"
    ),
    "41103": "param price scale error error",
    "41113": "{0} is not open to trading",
    "42013": "transfer fail",
    "43011": "The parameter does not meet the specification {0}",
    "43012": "Insufficient balance",
    "43020": "Stop profit and stop loss order does not exist",
    "43023": "Insufficient position, can not set profit or stop loss",
    "43024": "The stop profit or stop loss is attached to an order",
    "43025": "Plan order does not exist",
    "43027": "The minimum order value {0} is not met",
    "43030": "Take profit order already existed",
    "43031": "Stop loss order already existed",
    "43032": "The callback rate is too small",
    "43117": "Exceeds the maximum amount that can be transferred",
    "43129": "The coin can't be transferred",
    "43137": "Transfer in progress",
    "45001": "Unknown error",
    "45009": "The account is at risk and cannot perform trades temporarily",
    "45020": "The account is in hedge mode, the order is of one-way type",
    "45021": "The account is in one-way mode, the order is of hedge type",
    "45023": "Create order error",
    "45031": "The order is finalized",
    "45044": "Leverage is too low",
    "45045": "Leverage exceeds the maximum",
    "45052": "Trigger price is invalid",
    "45057": "The order does not exist",
    "45061": "Short position take profit price please < mark price {0}",
    "45097": "There are orders or plan orders, the leverage can't be adjusted",
    "45104": "Failed to place an order, the maximum amount of single flash closing position is {0}",
    "45107": "API is restricted to open positions. If you have any questions, please contact our customer service",
    "45110": "less than the minimum amount {0} USDT",
    "45111": "less than the minimum order quantity {0}",
    "45112": "more than the maximum order quantity {0}",
    "45113": "more than the maximum market order quantity {0}",
    "45115": "Please enter a price that is a multiple of {0}",
    "45117": "Currently holding positions or orders, the margin mode cannot be adjusted",
    "45118": "The number of open orders is at its limit",
    "45122": "Short position stop loss price please > mark price {0}",
    "45129": "Cancel order is too frequent, the same orderId is only allowed to be canceled once in a second",
    TOO_MANY: "Too Many Requests",
}
_STATUS = {TOO_MANY: 429, "40404": 404, "40725": 500}


class VenueError(Exception):
    """The venue says no, by code. `text` replaces the table's wording, `fill` stands for its `{0}`."""

    def __init__(
        self, code: str, text: str | None = None, *, fill: str | None = None, status: int | None = None
    ) -> None:
        words = WORDS.get(code, "Request failed") if text is None else text
        self.code = code
        self.text = words if fill is None else words.replace("{0}", fill)
        self.status = status or _STATUS.get(code, 400)
        super().__init__(f"{code}: {self.text}")


def success(data: Json, now_ms: int) -> Response:
    return _json(200, {"code": SUCCESS, "msg": "success", "requestTime": now_ms, "data": data})


def refusal(error: VenueError, now_ms: int) -> Response:
    return _json(error.status, {"code": error.code, "msg": error.text, "requestTime": now_ms, "data": None})


def code_of_fault(code: int | None, default: str) -> str:
    """A fault names its code as a number; the venue writes five digits at least, 429 aside."""
    if code is None:
        return default
    return TOO_MANY if code == int(TOO_MANY) else f"{code:05d}"


def blocked(ray: str) -> Response:
    """The edge's block page for an address it dislikes (reference, 4)."""
    page = (
        '<!DOCTYPE html><html lang="en-US"><head><title>Attention Required! | Cloudflare</title></head>'
        '<body><div id="cf-wrapper">Sorry, you have been blocked</div></body></html>'
    )
    return _page(403, HTML_TYPE, page, ray)


def agent_refused(ray: str) -> Response:
    return _page(403, TEXT_TYPE, "error code: 1010", ray)


def edge_unavailable(ray: str) -> Response:
    page = (
        "<!DOCTYPE html><html><head><title>Service unavailable | Cloudflare</title></head>"
        "<body>cf-error-details</body></html>"
    )
    return _page(503, HTML_TYPE, page, ray, {"retry-after": "30"})


def bad_gateway(ray: str) -> Response:
    page = (
        "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>"
    )
    return _page(502, HTML_TYPE, page, ray)


def dump(message: Json) -> str:
    return msgspec.json.encode(message).decode()


def _json(status: int, body: Row) -> Response:
    return Response(status=status, headers={"content-type": JSON_TYPE}, body=msgspec.json.encode(body))


def _page(status: int, kind: str, text: str, ray: str, more: dict[str, str] | None = None) -> Response:
    headers = {"content-type": kind, "server": "cloudflare", "cf-ray": f"{ray[:16]}-TPE", **(more or {})}
    return Response(status=status, headers=headers, body=text.encode())
