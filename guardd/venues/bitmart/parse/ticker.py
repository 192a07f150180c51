"""The hot path: one price frame, decoded straight into the few fields that are used (reference, 14.7; performance.md)."""

from decimal import Decimal, InvalidOperation
from typing import Final

import msgspec

from guardd.errors import PayloadError
from guardd.model.event import MarkSeen
from guardd.model.instant import Instant
from guardd.model.names import Symbol

TICKER_GROUP: Final = "futures/ticker"
_TOO_LARGE: Final = Decimal("1e30")
_TOO_SMALL: Final = Decimal("1e-30")


class _Ticker(msgspec.Struct, gc=False):
    """`fair_price` is what the mark was called before 2025-02-11."""

    symbol: str = ""
    mark_price: str = ""
    fair_price: str = ""
    index_price: str = ""
    last_price: str = ""
    bid_price: str = ""
    ask_price: str = ""


class _Frame(msgspec.Struct, gc=False):
    group: str = ""
    data: _Ticker | None = None


_DECODER: Final = msgspec.json.Decoder(_Frame)


def ticker(frame: str | bytes, at: Instant) -> MarkSeen | None:
    """The mark in a price frame; None when the frame is something else, for the slower parser to say what.

    The frame carries no time: `at` is its arrival. A price frame without a mark above zero is a `PayloadError`; the other prices
    only confirm the mark (I28), so that an absent one is None.
    """
    try:
        decoded = _DECODER.decode(frame)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    row = decoded.data
    if row is None or not decoded.group.startswith(TICKER_GROUP):
        return None
    mark = _price(row.mark_price or row.fair_price, "mark_price")
    if mark is None or not row.symbol:
        raise PayloadError(where=decoded.group, found="no mark or no symbol", expected="both in every ticker frame")
    return MarkSeen(
        Symbol(row.symbol),
        mark,
        at,
        _price(row.index_price, "index_price"),
        _price(row.last_price, "last_price"),
        _price(row.bid_price, "bid_price"),
        _price(row.ask_price, "ask_price"),
    )


def _price(text: str, name: str) -> Decimal | None:
    if not text or text == "-":
        return None
    try:
        price = Decimal(text)
        if _TOO_SMALL < price < _TOO_LARGE:  # raises for NaN, is false for zero, less and infinity
            return price
        if price == 0:
            return None
    except InvalidOperation:
        pass
    raise PayloadError(where=f"futures/ticker.data.{name}", found=repr(text[:40]), expected="a price")
