"""The hot path: one price frame, decoded straight into the few fields that are used (reference, 14.7; performance.md)."""

from decimal import Decimal, InvalidOperation
from typing import Final

import msgspec

from guardd.errors import PayloadError
from guardd.model.event import PRICE_ABOVE, PRICE_BELOW, MarkSeen
from guardd.model.instant import Instant
from guardd.model.names import Symbol

TICKER_GROUP: Final = "futures/ticker"


class _Ticker(msgspec.Struct, gc=False):
    """`fair_price` is what the mark was called before 2025-02-11."""

    symbol: Symbol = Symbol("")
    mark_price: str = ""
    fair_price: str = ""
    index_price: str = ""
    last_price: str = ""
    bid_price: str = ""
    ask_price: str = ""


class _Frame(msgspec.Struct, gc=False):
    group: str = ""
    data: _Ticker | None = None


_decode: Final = msgspec.json.Decoder(_Frame).decode


def ticker(frame: str | bytes, at: Instant) -> MarkSeen | None:
    """The mark in a price frame; None when the frame is something else, for the slower parser to say what.

    The frame carries no time: `at` is its arrival. A price frame without a mark above zero is a `PayloadError`; the other prices
    only confirm the mark (I28), and stay text until then.
    """
    try:
        decoded = _decode(frame)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    row = decoded.data
    if row is None or not decoded.group.startswith(TICKER_GROUP):
        return None
    text = row.mark_price or row.fair_price
    try:
        mark = Decimal(text)
        usable = PRICE_ABOVE < mark < PRICE_BELOW  # raises for NaN, is false for zero, less and infinity
    except InvalidOperation:
        usable = False
    if not usable or not row.symbol:
        found = f"no mark or no symbol: mark_price {text[:40]!r} of {row.symbol[:40]!r}"
        raise PayloadError(where=decoded.group, found=found, expected="a price and a symbol in every ticker frame")
    return MarkSeen(row.symbol, mark, at, row.index_price, row.last_price, row.bid_price, row.ask_price)
