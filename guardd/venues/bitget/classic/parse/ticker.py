"""The hot path: one ticker frame, decoded straight into the few fields that are used (Bitget reference, 13.4; performance.md)."""

from decimal import Decimal, InvalidOperation
from typing import Final

import msgspec

from guardd.errors import PayloadError
from guardd.model.event import PRICE_ABOVE, PRICE_BELOW, MarkSeen, Source
from guardd.model.instant import Instant
from guardd.model.names import Symbol
from guardd.venues.bitget.overtaken import pushed_ms

TICKER: Final = "ticker"


class _Argument(msgspec.Struct, gc=False):
    channel: str = ""


class _Ticker(msgspec.Struct, gc=False):
    inst_id: Symbol = msgspec.field(default=Symbol(""), name="instId")
    mark: str = msgspec.field(default="", name="markPrice")
    index: str = msgspec.field(default="", name="indexPrice")
    last: str = msgspec.field(default="", name="lastPr")
    bid: str = msgspec.field(default="", name="bidPr")
    ask: str = msgspec.field(default="", name="askPr")


class _Frame(msgspec.Struct, gc=False):
    arg: _Argument
    data: list[_Ticker]
    ts: object = None


_decode: Final = msgspec.json.Decoder(_Frame).decode


def ticker(frame: str | bytes, at: Instant) -> MarkSeen | None:
    """The mark in a ticker frame, of its newest row; None when the frame is something else, for the slower parser to say what.

    A row without a mark above zero is a `PayloadError`; the other prices only confirm the mark (I28), and stay text until then.
    """
    try:
        decoded = _decode(frame)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    if decoded.arg.channel != TICKER or not decoded.data:
        return None
    row, ts = decoded.data[-1], decoded.ts
    try:
        mark = Decimal(row.mark)
        usable = PRICE_ABOVE < mark < PRICE_BELOW  # raises for NaN, is false for zero, less and infinity
    except InvalidOperation:
        usable = False
    if not usable or not row.inst_id:
        raise _unusable(row)
    return MarkSeen(
        Symbol(row.inst_id.upper()),
        mark,
        at,
        row.index,
        row.last,
        row.bid,
        row.ask,
        Source.STREAM,
        ts if type(ts) is int else pushed_ms(ts),
    )


def _unusable(row: _Ticker) -> PayloadError:
    found = f"no mark or no symbol: markPrice {row.mark[:40]!r} of {row.inst_id[:40]!r}"
    return PayloadError(where="ticker.data", found=found, expected="a price and a symbol in every ticker frame")
