"""What the private V2 socket pushes: positions, orders, plan orders, wallets (Bitget reference, 13.5-13.8)."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, TypeAlias

from msgspec import Struct

from guardd.errors import PayloadError
from guardd.model.account import Balance
from guardd.model.names import AccountName, OrderId, PositionKey, PositionMode, Side, Symbol
from guardd.model.order import OrderAction, OrderUpdate, RestingKind
from guardd.model.position import PositionUpdate
from guardd.venues.bitget.classic.parse.account import pushed_balances
from guardd.venues.bitget.classic.parse.orders import aim_of, filled_of, kind_of
from guardd.venues.bitget.classic.parse.plans import plan_side, protection_named
from guardd.venues.bitget.classic.parse.positions import liquidation_price
from guardd.venues.bitget.classic.parse.words import (
    HOLD_SIDES,
    MARGIN_MODES,
    ORDER_LIVES,
    POSITION_MODES,
    SHORT_PLAN_WORDS,
    Product,
    client_id_of,
    forced_action,
    list_of,
    plain,
    symbol_of,
    word,
)
from guardd.venues.bitget.frames import Push
from guardd.venues.repeated import RepeatedFields
from guardd.venues.rows import Row

POSITIONS: Final = "positions"
ORDERS: Final = "orders"
PLANS: Final = "orders-algo"
WALLET: Final = "account"
_PLAN_ACTIONS: Final = {
    "executing": OrderAction.SUBMITTED,
    "executed": OrderAction.FILLED,
    "fail_execute": OrderAction.CANCELLED,
    "cancelled": OrderAction.CANCELLED,
    "canceled": OrderAction.CANCELLED,
}
_CHANNELS: Final = frozenset({POSITIONS, ORDERS, PLANS, WALLET})
_FIRED: Final = frozenset({"executing", "executed", "fail_execute"})


class PositionList(Struct, frozen=True, kw_only=True):
    """Every open position of one product type, each time anew (13.5): what isn't in it is closed."""

    product: Product
    updates: tuple[PositionUpdate, ...]
    modes: Mapping[Symbol, PositionMode]
    pushed_ms: int


class OrderUpdates(Struct, frozen=True, kw_only=True):
    product: Product
    updates: tuple[OrderUpdate, ...]


class PlanUpdates(Struct, frozen=True, kw_only=True):
    """What became of plan orders: `failed` are those whose trigger fired and which made no order."""

    product: Product
    updates: tuple[OrderUpdate, ...]
    failed: tuple[OrderId, ...]


class WalletUpdates(Struct, frozen=True, kw_only=True):
    product: Product
    balances: tuple[Balance, ...]


Heard: TypeAlias = PositionList | OrderUpdates | PlanUpdates | WalletUpdates


Listed: TypeAlias = tuple[PositionUpdate, PositionMode]


def position_rows() -> RepeatedFields[Listed]:
    """Of one connection: its lists of positions are whole, and one order changes a row of them."""
    return RepeatedFields(
        "instId",
        "holdSide",
        "posMode",
        "marginMode",
        "total",
        "openPriceAvg",
        "liquidationPrice",
        "frozen",
        "cTime",
        "uTime",
    )


def read_push(
    account: AccountName, push: Push, one_way: Mapping[Symbol, Side], rows_before: RepeatedFields[Listed]
) -> Heard | None:
    """What a push says; None for a channel that nobody here asked for. `one_way`: the positions held in one-way mode, for plan
    orders that name no side. `rows_before`: of this connection and account."""
    if push.channel in _CHANNELS and not push.inst_type:
        raise PayloadError(where=push.where, found="no instType", expected="the product type that it is about")
    if push.inst_type not in set(Product) or push.channel not in _CHANNELS:
        return None
    product = Product(push.inst_type)
    rows = list(list_of(f"{product}.{push.where}", push.rows))
    match push.channel:
        case "positions":
            if push.ts_ms is None:
                raise PayloadError(where=push.where, found="no ts", expected="the moment of the list")
            return _position_list(account, product, rows, push.ts_ms, rows_before)
        case "orders":
            return OrderUpdates(product=product, updates=tuple(_order(account, each) for each in rows))
        case "orders-algo":
            return _plan_updates(account, product, rows, one_way)
        case _:
            return WalletUpdates(product=product, balances=pushed_balances(product, rows))


def _position_list(
    account: AccountName, product: Product, rows: list[Row], pushed_ms: int, rows_before: RepeatedFields[Listed]
) -> PositionList:
    def listed(row: Row) -> Listed:
        return _position(account, row, pushed_ms), word(row, "posMode", POSITION_MODES)

    found = [rows_before.parsed(row, listed) for row in rows]
    return PositionList(
        product=product,
        updates=tuple(update for update, _ in found),
        modes={update.key.symbol: mode for update, mode in found},
        pushed_ms=pushed_ms,
    )


def _plan_updates(
    account: AccountName, product: Product, rows: list[Row], one_way: Mapping[Symbol, Side]
) -> PlanUpdates:
    """A plan order that waits is no event: the plan lists tell it."""
    ended = [each for each in rows if each.text("status").lower() in _PLAN_ACTIONS]
    return PlanUpdates(
        product=product,
        updates=tuple(_plan(account, each, one_way) for each in ended),
        failed=tuple(each.order_id("orderId") for each in ended if plain(each, "status") == "fail_execute"),
    )


def _position(account: AccountName, row: Row, pushed_ms: int) -> PositionUpdate:
    quantity = row.zero_or_more("total")
    return PositionUpdate(
        key=PositionKey(account, symbol_of(row, "instId"), word(row, "holdSide", HOLD_SIDES)),
        quantity=quantity,
        entry_price=row.above_zero("openPriceAvg") if quantity else Decimal(0),
        margin_mode=word(row, "marginMode", MARGIN_MODES),
        liquidation_price=liquidation_price(row),
        frozen_quantity=row.optional_number("frozen") or Decimal(0),
        closed_quantity=Decimal(0),  # the venue doesn't count it: `known.py` does
        opened_ms=row.optional_milliseconds("cTime"),
        venue_ms=row.optional_milliseconds("uTime") or pushed_ms,
    )


def _order(account: AccountName, row: Row) -> OrderUpdate:
    """`accBaseVolume` is what was filled in all; `baseVolume` here is the last fill alone (13.7)."""
    aim, kind = aim_of(row), kind_of(row)
    size = row.zero_or_more("size")
    filled = filled_of(row, "accBaseVolume", "status")
    live = word(row, "status", ORDER_LIVES)
    return OrderUpdate(
        order_id=row.order_id("orderId"),
        client_id=client_id_of(row),
        plan_order_id=None,  # which plan order it came from is told by `orders-algo` alone (13.8)
        key=PositionKey(account, symbol_of(row, "instId"), aim.side),
        closes=aim.closes,
        action=forced_action(plain(row, "tradeSide")) or _action(row, live),
        live=live,
        kind=kind,
        price=row.price("price") if kind is RestingKind.LIMIT else None,
        size=size,
        filled=filled,
        average_price=row.price("priceAvg"),
        venue_ms=row.milliseconds("uTime"),
    )


def _action(row: Row, live: bool) -> OrderAction:
    match plain(row, "status"):
        case "filled" | "partially_filled":
            return OrderAction.FILLED
        case _:
            return OrderAction.SUBMITTED if live else OrderAction.CANCELLED


def _plan(account: AccountName, row: Row, one_way: Mapping[Symbol, Side]) -> OrderUpdate:
    """A plan order that fired or ended, as an order event without a client id: what an order of its id filled isn't told here.

    `plan_order_id` says that it fired, also where it made no order: then nothing stands any more where it stood, and whoever
    finishes a stop that fired closes what it left (12.8).
    """
    status = plain(row, "status")
    short = plain(row, "planType")
    closes = protection_named(SHORT_PLAN_WORDS.get(short, short)) is not None or "close" in plain(row, "tradeSide")
    kind = kind_of(row)
    order_id = row.order_id("orderId")
    key_row = Row(row.where, {**row.fields, "symbol": row.get("instId")})
    size, filled = (Decimal(0) if row.absent(name) else row.zero_or_more(name) for name in ("size", "actualSize"))
    return OrderUpdate(
        order_id=order_id,
        client_id=None,
        plan_order_id=order_id if status in _FIRED else None,
        key=PositionKey(account, symbol_of(key_row), plan_side(key_row, one_way, closes=closes)),
        closes=closes,
        action=_PLAN_ACTIONS[status],
        live=False,
        kind=kind,
        price=row.price("executePrice") if kind is RestingKind.LIMIT else None,
        size=size,
        filled=min(filled, size),
        average_price=None,
        venue_ms=row.milliseconds("uTime"),
    )
