"""The hot path: one price frame, decoded straight into the few fields that are used (UTA reference, 11; performance.md)."""

from decimal import Decimal, InvalidOperation
from typing import Final

import msgspec

from guardd.errors import PayloadError
from guardd.model.event import PRICE_ABOVE, PRICE_BELOW, MarkSeen, Source
from guardd.model.instant import Instant
from guardd.model.names import Symbol
from guardd.venues.bitget.overtaken import pushed_ms

TICKER_TOPIC: Final = "ticker"


class _Arg(msgspec.Struct, gc=False):
    topic: str = ""
    symbol: Symbol = Symbol("")


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


_decode: Final = msgspec.json.Decoder(_Frame).decode


def ticker(frame: str | bytes, at: Instant) -> MarkSeen | None:
    """The mark in a price frame; None when the frame is something else, for the slower parser to say what.

    The symbol stands in `arg`; a recorded push had none in its data (11). A price frame without a mark above zero is a
    `PayloadError`; the other prices only confirm the mark (I28), and stay text until then.
    """
    try:
        decoded = _decode(frame)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    if decoded.arg.topic != TICKER_TOPIC or not decoded.data:
        return None
    row, symbol, ts = decoded.data[-1], decoded.arg.symbol, decoded.ts
    try:
        mark = Decimal(row.mark_price)
        usable = PRICE_ABOVE < mark < PRICE_BELOW  # raises for NaN, is false for zero, less and infinity
    except InvalidOperation:
        usable = False
    if not usable or not symbol:
        found = f"no mark or no symbol: markPrice {row.mark_price[:40]!r} of {symbol[:40]!r}"
        raise PayloadError(where=TICKER_TOPIC, found=found, expected="a price and a symbol in every ticker frame")
    return MarkSeen(
        symbol,
        mark,
        at,
        row.index_price,
        row.last_price,
        row.bid1_price,
        row.ask1_price,
        Source.STREAM,
        ts if type(ts) is int else pushed_ms(ts),
    )
