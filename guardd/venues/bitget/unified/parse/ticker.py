"""The hot path: one price frame, decoded straight into the few fields that are used (UTA reference, 11; performance.md)."""

from decimal import Decimal, InvalidOperation
from typing import Final

import msgspec

from guardd.errors import PayloadError
from guardd.model.event import MarkSeen
from guardd.model.instant import Instant
from guardd.model.names import Symbol
from guardd.venues.bitget.overtaken import pushed_ms

TICKER_TOPIC: Final = "ticker"
_TOO_LARGE: Final = Decimal("1e30")
_TOO_SMALL: Final = Decimal("1e-30")


class _Arg(msgspec.Struct, gc=False):
    topic: str = ""
    symbol: str = ""


class _Ticker(msgspec.Struct, gc=False, rename="camel"):
    mark_price: str = ""
    index_price: str = ""
    last_price: str = ""
    bid1_price: str = ""
    ask1_price: str = ""


class _Frame(msgspec.Struct, gc=False):
    arg: _Arg
    data: list[_Ticker]
    ts: object = None


_DECODER: Final = msgspec.json.Decoder(_Frame)


def ticker(frame: str | bytes, at: Instant) -> MarkSeen | None:
    """The mark in a price frame; None when the frame is something else, for the slower parser to say what.

    The symbol stands in `arg`; a recorded push had none in its data (11). A price frame without a mark above zero is a
    `PayloadError`; the other prices only confirm the mark (I28), so that an absent one is None.
    """
    try:
        decoded = _DECODER.decode(frame)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    if decoded.arg.topic != TICKER_TOPIC or not decoded.data:
        return None
    row, symbol = decoded.data[-1], decoded.arg.symbol
    mark = _price(row.mark_price, "markPrice")
    if mark is None or not symbol:
        raise PayloadError(where=TICKER_TOPIC, found="no mark or no symbol", expected="both in every ticker frame")
    return MarkSeen(
        Symbol(symbol),
        mark,
        at,
        _price(row.index_price, "indexPrice"),
        _price(row.last_price, "lastPrice"),
        _price(row.bid1_price, "bid1Price"),
        _price(row.ask1_price, "ask1Price"),
        venue_ms=pushed_ms(decoded.ts),
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
    raise PayloadError(where=f"{TICKER_TOPIC}.data.{name}", found=repr(text[:40]), expected="a price")
