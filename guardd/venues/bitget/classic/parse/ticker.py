"""The hot path: one ticker frame, decoded straight into the few fields that are used (Bitget reference, 13.4; performance.md)."""

from decimal import Decimal, InvalidOperation
from typing import Final

import msgspec

from guardd.errors import PayloadError
from guardd.model.event import MarkSeen
from guardd.model.instant import Instant
from guardd.model.names import Symbol
from guardd.venues.bitget.overtaken import pushed_ms

TICKER: Final = "ticker"
_TOO_LARGE: Final = Decimal("1e30")
_TOO_SMALL: Final = Decimal("1e-30")


class _Argument(msgspec.Struct, gc=False):
    channel: str = ""


class _Ticker(msgspec.Struct, gc=False):
    inst_id: str = msgspec.field(default="", name="instId")
    mark: str = msgspec.field(default="", name="markPrice")
    index: str = msgspec.field(default="", name="indexPrice")
    last: str = msgspec.field(default="", name="lastPr")
    bid: str = msgspec.field(default="", name="bidPr")
    ask: str = msgspec.field(default="", name="askPr")


class _Frame(msgspec.Struct, gc=False):
    arg: _Argument
    data: list[_Ticker]
    ts: object = None


_DECODER: Final = msgspec.json.Decoder(_Frame)


def ticker(frame: str | bytes, at: Instant) -> MarkSeen | None:
    """The mark in a ticker frame, of its newest row; None when the frame is something else, for the slower parser to say what.

    A row without a mark above zero is a `PayloadError`; the other prices only confirm the mark (I28), so an absent one is None.
    """
    try:
        decoded = _DECODER.decode(frame)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    if decoded.arg.channel != TICKER or not decoded.data:
        return None
    return _seen(decoded.data[-1], at, pushed_ms(decoded.ts))


def _seen(row: _Ticker, at: Instant, venue_ms: int | None) -> MarkSeen:
    mark = _price(row.mark, "markPrice")
    if mark is None or not row.inst_id:
        raise PayloadError(where="ticker.data", found="no mark or no symbol", expected="both in every ticker frame")
    return MarkSeen(
        Symbol(row.inst_id.upper()),
        mark,
        at,
        _price(row.index, "indexPrice"),
        _price(row.last, "lastPr"),
        _price(row.bid, "bidPr"),
        _price(row.ask, "askPr"),
        venue_ms=venue_ms,
    )


def _price(text: str, name: str) -> Decimal | None:
    if not text:
        return None
    try:
        price = Decimal(text)
        if _TOO_SMALL < price < _TOO_LARGE:  # raises for NaN, is false for zero, less and infinity
            return price
        if price == 0:
            return None
    except InvalidOperation:
        pass
    raise PayloadError(where=f"ticker.data.{name}", found=repr(text[:40]), expected="a price")
