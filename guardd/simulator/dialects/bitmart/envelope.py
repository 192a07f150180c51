"""The envelope of every answer, the table of codes with their HTTP status, and the edge's own pages.

Reference sections 2, 4.4 and 16. Success is `code` 1000; errors come with their own HTTP status, some with 200, and the
gateway's use `msg` where everything else says `message`.
"""

from collections.abc import Mapping, Sequence
from json import JSONEncoder
from typing import TypeAlias

from msgspec import Struct

from guardd.simulator.wire import HTML_TYPE, JSON_TYPE, TEXT_TYPE, Response

Json: TypeAlias = "str | int | Sequence[Json] | Mapping[str, Json] | None"

SUCCESS = 1000
_JSON = JSONEncoder(ensure_ascii=False, separators=(",", ":"))

_REJECTED = (
    "Your account request is temporarily rejected due to violation of current limiting rules, "
    "please contact customer service"
)
_NO_PERMISSION = (
    "You do not have the permissions to perform this operation. Please contact customer service or BD for assistance."
)
# code: (HTTP status, text). Texts are fragments to match on, not to parse: the venue's spelling, typos included.
CODES: dict[int, tuple[int, str]] = {
    30000: (404, "Not found"),
    30001: (401, "Header X-BM-KEY is empty"),
    30002: (401, "Header X-BM-KEY not found"),
    30003: (401, "Header X-BM-KEY has frozen"),
    30004: (401, "Header X-BM-SIGN is empty"),
    30005: (401, "Header X-BM-SIGN is wrong"),
    30006: (401, "Header X-BM-TIMESTAMP is empty"),
    30007: (401, "Header X-BM-TIMESTAMP range. Within a minute"),
    30008: (401, "Header X-BM-TIMESTAMP invalid format"),
    30010: (
        403,
        "IP is forbidden. We recommend enabling IP whitelist for API trading. After that reauth your account",
    ),
    30011: (403, "Header X-BM-KEY over expire time"),
    30012: (403, "Header X-BM-KEY is forbidden to request it"),
    30013: (429, "Request too many requests"),
    30014: (503, "Service unavailable"),
    30016: (200, "Service maintenance, the function is temporarily unavailable"),
    30017: (418, _REJECTED),
    30018: (503, "Request Body requires JSON format"),
    30019: (200, _NO_PERMISSION),
    30030: (200, "Futures V1 API has been deprecated. Please use the V2 API"),
    30031: (200, "This endpoint has been deprecated. Please refer to the document: https://developer-pro.bitmart.com/"),
    40001: (400, "Cloud account not found"),
    40002: (400, "out_trade_no not found"),
    40003: (400, "out_trade_no already existed"),
    40004: (400, "Cloud account count limit"),
    40005: (400, "Transfer vol precision error"),
    40006: (400, "Invalid ip error"),
    40007: (400, "Parse parameter error"),
    40008: (400, "Check nonce error"),
    40009: (400, "Check ver error"),
    40010: (400, "Not found func error"),
    40011: (400, "Invalid parameter"),
    40012: (400, "Invalid order"),
    40013: (400, 'Access too often" CLIENT_TIME_INVALID, "Please check your system time.'),
    40014: (400, "This contract is offline"),
    40015: (400, "This contract's exchange has been paused"),
    40016: (400, "This order would trigger user position liquidate"),
    40017: (400, "It is not possible to open and close simultaneously in the same position"),
    40018: (400, "Your position is closed"),
    40019: (400, "Your position is in liquidation delegating"),
    40020: (400, "Your position volume is not enough"),
    40021: (400, "The position is not exsit"),
    40022: (400, "The position is not isolated"),
    40023: (400, "The position would liquidate when sub margin"),
    40024: (400, "The position would be warnning of liquidation when sub margin"),
    40025: (400, "The position's margin shouldn't be lower than the base limit"),
    40026: (400, "You cross margin position is in liquidation delegating"),
    40027: (400, "You contract account available balance not enough"),
    40028: (400, "Your plan order's count is more than system maximum limit."),
    40029: (400, "The order's leverage is too large."),
    40030: (400, "The order's leverage is too small."),
    40031: (400, "The deviation between current price and trigger price is too large."),
    40032: (400, "The plan order's life cycle is too long."),
    40033: (400, "The plan order's life cycle is too short."),
    40034: (400, "Symbol Not Exist"),
    40035: (400, "Order not exist"),
    40036: (400, "The order status is invalid"),
    40037: (400, "The order id is not exist"),
    40038: (400, "Invalid K-Line Step"),
    40039: (400, "The timestamp is invalid"),
    40040: (400, "The order leverage is invalid"),
    40041: (400, "The order side is invalid"),
    40042: (400, "The order type is invalid"),
    40043: (400, "The order precision is invalid"),
    40044: (400, "The order range is invalid"),
    40045: (400, "The order open type is invalid"),
    40046: (403, "The account is not opened futures"),
    40047: (403, "Services is not available in you countries and areas"),
    40048: (403, "ClientOrderId only allows a combination of numbers and letters"),
    40049: (403, "The maximum length of clientOrderId cannot exceed 32"),
    40050: (403, "Client OrderId duplicated with existing orders"),
    40059: (400, "Some positions exist and the mode switching fails."),
    42000: (200, "Insufficient balance"),
    25601: (400, ""),
    49998: (400, "Invalid parameters"),
    49999: (400, "Cloud system error"),
    60000: (400, "Invalid request (maybe the body is empty, or the int parameter passes string data)"),
    60001: (400, "Asset account type does not exist"),
    60002: (400, "currency does not exist"),
    60008: (400, "Balance not enough"),
    60009: (400, "Exceed the maximum limit"),
    60030: (405, "Method Not Allowed"),
    60031: (415, "Unsupported Media Type"),
    61001: (400, "Balance not enough"),
    61008: (403, "The transfer out is suspended"),
}
_WITH_EMPTY_DATA = range(30001, 30020)  # their documented envelope carries `data: {}`
_WITH_NULL_DATA = (40035,)
_WITH_MSG = (30000, 30030, 30031)


class Success(Struct, frozen=True, kw_only=True):
    """What a handler answers; `message` in the letters of that call, `data` left out when `bare` (quirk 20)."""

    data: Json
    message: str = "Ok"
    bare: bool = False


class VenueError(Exception):
    """The venue says no, by code. `text` replaces the table's wording where one code hides several causes (40012)."""

    def __init__(self, code: int, text: str | None = None) -> None:
        super().__init__(f"{code}: {text or CODES[code][1]}")
        self.code = code
        self.text = text


def success(answer: Success, trace: str) -> Response:
    body: dict[str, Json] = {"code": SUCCESS, "message": answer.message, "trace": trace}
    if not answer.bare:
        body["data"] = answer.data
    return _json(200, body)


def refusal(error: VenueError, trace: str) -> Response:
    status, text = CODES[error.code]
    if error.text is not None:
        text = error.text
    key = "msg" if error.code in _WITH_MSG else "message"
    body: dict[str, Json] = {"code": error.code, key: text, "trace": trace}
    if error.code in _WITH_EMPTY_DATA:
        body["data"] = {}
    if error.code in _WITH_NULL_DATA:
        body["data"] = None
    return _json(status, body)


def cloudflare_challenge(ray: str) -> Response:
    page = (
        '<!DOCTYPE html><html lang="en-US"><head><title>Just a moment...</title></head>'
        '<body><div id="cf-wrapper">Checking your browser</div></body></html>'
    )
    return _page(403, HTML_TYPE, page, ray)


def cloudflare_1010(ray: str) -> Response:
    return _page(403, TEXT_TYPE, "error code: 1010", ray)


def cloudflare_503(ray: str) -> Response:
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


def _json(status: int, body: dict[str, Json]) -> Response:
    return Response(status=status, headers={"content-type": JSON_TYPE}, body=_JSON.encode(body).encode())


def _page(status: int, kind: str, text: str, ray: str, more: dict[str, str] | None = None) -> Response:
    headers = {"content-type": kind, "server": "cloudflare", "cf-ray": f"{ray[:16]}-TPE", **(more or {})}
    return Response(status=status, headers=headers, body=text.encode())
