"""Frames of the two sockets: acknowledgements, pongs, pushes (reference, section 14). Prices have a file of their own."""

import zlib
from typing import Final, TypeAlias

from msgspec import Struct

from guardd.errors import PayloadError
from guardd.model.account import Balance
from guardd.model.event import BalancePushed, OrderPushed, PositionsPushed
from guardd.model.instant import Instant
from guardd.model.names import AccountName, OrderId, PositionKey
from guardd.model.order import OrderUpdate, RestingKind
from guardd.model.position import PositionUpdate
from guardd.model.reading import Absent
from guardd.venues.bitmart.parse.orders import PLAN_CHILD_PREFIX, client_id_of, key_of, kind_of
from guardd.venues.bitmart.parse.words import (
    ENDING_ACTIONS,
    POSITION_TYPES,
    STREAM_ACTIONS,
    STREAM_MARGIN_MODES,
    WORKING_STATES,
    number_word,
)
from guardd.venues.rows import Row, as_row, as_rows, json_value

POSITION_GROUP: Final = "futures/position"
ORDER_GROUP: Final = "futures/order"
ASSET_GROUP: Final = "futures/asset"
_INFLATED_BYTES_MAX: Final = 4 * 2**20
_AUTO_HEADER: Final = 32 + zlib.MAX_WBITS  # zlib or gzip, found out from the first bytes


class Acknowledgement(Struct, frozen=True, kw_only=True):
    """The venue's word on one topic (one frame each), on the login (`group` empty), or on a frame that it didn't understand."""

    action: str
    group: str
    success: bool
    error: str


class Pong(Struct, frozen=True, kw_only=True):
    """The answer to our ping."""


class OtherPush(Struct, frozen=True, kw_only=True):
    """A topic that nobody here asked for."""

    group: str


Frame: TypeAlias = Acknowledgement | Pong | OtherPush | PositionsPushed | BalancePushed | tuple[OrderPushed, ...]


def topic(group: str) -> str:
    """A topic as it was asked for: the venue may add a speed to it, `@100ms` (quirk 26)."""
    return group.partition("@")[0]


def frame_text(frame: str | bytes) -> str | bytes:
    """A frame that can be decoded; binary ones may be deflated or gzipped (14.1). Raises `PayloadError`."""
    if isinstance(frame, str) or frame[:1] in (b"{", b"[", b'"', b" ", b"\n") or not frame:
        return frame
    for header in (_AUTO_HEADER, -zlib.MAX_WBITS):
        inflater = zlib.decompressobj(header)
        try:
            inflated = inflater.decompress(frame, _INFLATED_BYTES_MAX)
        except zlib.error:
            continue
        if not inflater.eof:
            break
        return inflated
    raise PayloadError(
        where="a binary frame", found=f"{len(frame)} bytes that don't inflate", expected="JSON, deflate or gzip"
    )


def parse_frame(account: AccountName, text: str | bytes, at: Instant) -> Frame:
    """What a frame says. `at` is its arrival."""
    row = as_row("frame", json_value("frame", text))
    if "success" in row.fields:
        return _acknowledgement(row)
    group = topic(row.text("group"))
    match group.partition(":")[0]:
        case "System":
            return Pong()
        case "futures/position":
            updates = tuple(_position(account, each) for each in as_rows(f"{group}.data", row.get("data")))
            return PositionsPushed(at=at, updates=updates)
        case "futures/order":
            rows = as_rows(f"{group}.data", row.get("data"))
            return tuple(OrderPushed(at=at, update=_order(account, each)) for each in rows)
        case "futures/asset":
            return BalancePushed(at=at, balance=_asset(as_row(f"{group}.data", row.get("data"))))
        case _:
            return OtherPush(group=group)


def _acknowledgement(row: Row) -> Acknowledgement:
    success = row.get("success")
    if not isinstance(success, bool):
        raise row.wrong("success", "true or false")
    return Acknowledgement(
        action=row.optional_text("action") or "",
        group=topic(row.optional_text("group") or ""),
        success=success,
        error=row.optional_text("error") or "",
    )


def _position(account: AccountName, row: Row) -> PositionUpdate:
    quantity = row.contracts("hold_volume")
    return PositionUpdate(
        key=PositionKey(account, row.symbol(), number_word(row, "position_type", POSITION_TYPES)),
        quantity=quantity,
        entry_price=row.above_zero("hold_avg_price") if quantity else row.zero_or_more("hold_avg_price"),
        margin_mode=number_word(row, "open_type", STREAM_MARGIN_MODES),
        liquidation_price=row.reading_above_zero("liquidate_price"),
        frozen_quantity=row.contracts("frozen_volume"),
        closed_quantity=row.contracts("close_volume"),
        opened_ms=row.optional_milliseconds("create_time"),
        venue_ms=row.milliseconds("update_time"),
    )


def _order(account: AccountName, entry: Row) -> OrderUpdate:
    row = entry.row("order")
    action = number_word(entry, "action", STREAM_ACTIONS)
    key, closes = key_of(account, row)
    price = row.price("price")
    kind = kind_of(row, price)
    size = row.contracts("size")
    filled = row.contracts("deal_size")
    if filled > size:
        raise row.wrong("deal_size", "not more than the order's size")
    working = number_word(row, "state", WORKING_STATES)
    return OrderUpdate(
        order_id=row.order_id("order_id"),
        client_id=client_id_of(row),
        plan_order_id=_parent(row),
        key=key,
        closes=closes,
        action=action,
        live=working and entry.integer("action") not in ENDING_ACTIONS and filled < size,
        kind=kind,
        price=price if kind is RestingKind.LIMIT else None,  # a market order's is a bound near the market (14.9)
        size=size,
        filled=filled,
        average_price=row.price("deal_avg_price"),
        venue_ms=row.milliseconds("update_time"),
    )


def _parent(row: Row) -> OrderId | None:
    """The plan order that gave birth to this one, by its own field or by the client id `PLAN_<id>` (quirk 13)."""
    stated = row.optional_order_id("plan_order_id")
    client = client_id_of(row)
    if stated is None and client is not None and client.startswith(PLAN_CHILD_PREFIX):
        return OrderId(client.removeprefix(PLAN_CHILD_PREFIX))
    return stated


def _asset(row: Row) -> Balance:
    """One coin of the wallet. No equity and no unrealised profit come with it (14.10): unknown, never zero."""
    return Balance(
        currency=row.text("currency"),
        equity=Absent.UNKNOWN,
        available=row.number("available_balance"),
        frozen=row.number("frozen_balance"),
        position_margin=row.number("position_deposit"),
        unrealized_pnl=Absent.UNKNOWN,
    )
