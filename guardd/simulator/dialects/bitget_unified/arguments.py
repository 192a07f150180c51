"""What V3 calls take: tables of parameters over the strict reader of `bitget_common.arguments`. UTA reference, 7 to 10.

Values are strings throughout, also in bodies; words are compared without regard to case (1: documented examples in lower case).
"""

import json
import re
from collections.abc import Mapping
from decimal import Decimal

from guardd.simulator.dialects.bitget_common.arguments import Fields, parse_body
from guardd.simulator.dialects.bitget_unified.codes import bad, refuse
from guardd.simulator.dialects.bitget_unified.desk import FUTURES, Category
from guardd.simulator.orders import PositionSide, PriceSource, Side, TimeInForce
from guardd.simulator.wire import Request

CLIENT_ID = re.compile(r"[.A-Z:/a-z0-9_-]{1,32}")
BATCH_MAX = 20
TIMES_IN_FORCE = {
    "gtc": TimeInForce.GTC,
    "ioc": TimeInForce.IOC,
    "fok": TimeInForce.FOK,
    "post_only": TimeInForce.MAKER_ONLY,
}
SOURCES = {"market": PriceSource.LAST, "mark": PriceSource.MARK}
_DAY_MS = 86_400_000
_SPAN_MAX_MS, _BACK_MAX_MS = 30 * _DAY_MS, 90 * _DAY_MS
_PAGE = 100


def category(fields: Fields, *, only: tuple[Category, ...] = FUTURES) -> Category:
    """The required category."""
    return Category(_word(fields, "category", *only))


def optional_category(fields: Fields) -> Category | None:
    return Category(_word(fields, "category", *Category)) if fields.has("category") else None


def symbol(fields: Fields) -> str:
    return _text(fields, "symbol").upper()


def optional_symbol(fields: Fields) -> str:
    return fields.optional_text("symbol").upper()


def side(fields: Fields) -> Side:
    return Side(_word(fields, "side", *Side))


def optional_side(fields: Fields) -> Side | None:
    return side(fields) if fields.has("side") else None


def pos_side(fields: Fields) -> PositionSide | None:
    return PositionSide(_word(fields, "posSide", *PositionSide)) if fields.has("posSide") else None


def reduce_only(fields: Fields) -> bool:
    return _word(fields, "reduceOnly", "yes", "no", default="no") == "yes"


def source(fields: Fields, name: str) -> PriceSource:
    """Which price a trigger watches: the last one unless `mark` is said (0, fact 5)."""
    return SOURCES[_word(fields, name, *SOURCES, default="market")]


def word(fields: Fields, name: str, *choices: str, default: str = "") -> str:
    return _word(fields, name, *choices, default=default)


def text(fields: Fields, name: str) -> str:
    return _text(fields, name)


def positive(fields: Fields, name: str) -> Decimal:
    """A required decimal above zero."""
    value = optional_positive(fields, name)
    if value is None:
        raise bad(name)
    return value


def optional_positive(fields: Fields, name: str) -> Decimal | None:
    """A decimal above zero; absent, empty or `"0"` is None: the venue's own way to say that there is none."""
    value = fields.optional_decimal(name)
    if value is None or value == 0:
        return None
    if value < 0:
        raise bad(name)
    return value


def client_id(fields: Fields) -> str:
    """`""` when none is given (9.10)."""
    given = fields.optional_text("clientOid")
    if given and not CLIENT_ID.fullmatch(given):
        raise refuse("40304" if len(given) > 32 else "40305")
    return given


def identity(fields: Fields) -> tuple[str, str]:
    """`orderId` and `clientOid`; one must be there, and the first wins."""
    order_id, client = fields.optional_text("orderId"), fields.optional_text("clientOid")
    if not order_id and not client:
        raise refuse("40913", "orderId or clientOid")
    return order_id, "" if order_id else client


def window(fields: Fields, now_ms: int) -> tuple[int, int]:
    """startTime and endTime in ms: at most 30 days apart, at most 90 back (7.8, 8.2, 9.9)."""
    end_ms = fields.integer("endTime", default=now_ms)
    start_ms = fields.integer("startTime", default=max(end_ms - _SPAN_MAX_MS, now_ms - _BACK_MAX_MS))
    if end_ms < start_ms or end_ms - start_ms > _SPAN_MAX_MS:
        raise refuse("00001", "30")
    if start_ms < now_ms - _BACK_MAX_MS:
        raise refuse("00001", "90")
    return start_ms, end_ms


def page(fields: Fields) -> tuple[int, int]:
    """(limit, cursor): rows with an id below the cursor; 0 is the newest page."""
    return fields.integer("limit", default=_PAGE, low=1, high=_PAGE), fields.integer("cursor", default=0)


def batch(request: Request) -> list[Fields]:
    """A bare JSON array of at most 20 objects: 40306 above."""
    parsed = parse_body(request)
    if not isinstance(parsed, list) or not parsed or not all(isinstance(each, dict) for each in parsed):
        raise bad("the body is an array of orders")
    if len(parsed) > BATCH_MAX:
        raise refuse("40306")
    return [Fields(each) for each in parsed]


def peek(request: Request) -> list[Mapping[str, object]]:
    """The body's object, or those of its array, as far as they are any: for questions before the strict reading."""
    try:
        parsed: object = json.loads(request.body or b"{}")
    except (ValueError, RecursionError):
        return []
    return [each for each in (parsed if isinstance(parsed, list) else [parsed]) if isinstance(each, dict)]


def _text(fields: Fields, name: str) -> str:
    value = fields.optional_text(name)
    if not value:
        raise bad(name)
    return value


def _word(fields: Fields, name: str, *choices: str, default: str = "") -> str:
    value = fields.optional_text(name) or default
    if value in choices:
        return value
    found = next((choice for choice in choices if choice.lower() == value.lower()), None)
    if found is None:
        raise bad(name)
    return found
