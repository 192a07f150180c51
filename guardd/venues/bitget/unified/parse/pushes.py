"""What the pushes of the private socket hold, topic by topic (UTA reference, 11). Prices have a file of their own."""

from decimal import Decimal

from msgspec import Struct

from guardd.errors import PayloadError
from guardd.model.names import AccountName, PositionKey, Symbol
from guardd.model.order import OrderAction, OrderUpdate
from guardd.model.position import PositionUpdate
from guardd.venues.bitget.frames import Push
from guardd.venues.bitget.unified.parse.account import Pool, pushed_pool
from guardd.venues.bitget.unified.parse.fields import client_id_of, liquidation_price, moment, rows_of, some, words
from guardd.venues.bitget.unified.parse.orders import filled_of, key_of, price_of
from guardd.venues.bitget.unified.parse.strategy import Strategy, strategy
from guardd.venues.bitget.unified.parse.words import (
    MARGIN_MODES,
    ORDER_LIVES,
    ORDER_TYPES,
    POSITION_SIDES,
    category,
    forced_action,
    word,
)
from guardd.venues.rows import Row


class Deleveraged(Struct, frozen=True, kw_only=True):
    """One auto-deleveraging. Whether `side` is that of the position or of the transaction isn't said."""

    symbol: Symbol
    side: str
    price: Decimal | None
    amount: Decimal | None


def pushed_positions(account: AccountName, push: Push) -> tuple[PositionUpdate, ...]:
    """Only what changed: the absence of a position means nothing."""
    return tuple(_position(account, row) for row in rows_of(push.where, push.rows))


def pool_of(push: Push) -> Pool:
    rows = rows_of(push.where, push.rows)
    if len(rows) != 1:
        raise PayloadError(where=push.where, found=f"{len(rows)} rows", expected="one: there is one pool")
    return pushed_pool(rows[0])


def pushed_orders(account: AccountName, push: Push) -> tuple[OrderUpdate, ...]:
    """The futures orders among the rows."""
    return tuple(_order(account, row) for row in rows_of(push.where, push.rows) if category(row) is not None)


def pushed_strategies(push: Push) -> tuple[Strategy, ...]:
    found = (strategy(row) for row in rows_of(push.where, push.rows))
    return tuple(each for each in found if each is not None)


def deleveragings(push: Push) -> tuple[Deleveraged, ...]:
    return tuple(
        Deleveraged(symbol=row.symbol(), side=words(row, "side"), price=some(row, "price"), amount=some(row, "amount"))
        for row in rows_of(push.where, push.rows)
    )


def _position(account: AccountName, row: Row) -> PositionUpdate:
    """An `ended` row has size 0 and no prices. An older page called the entry price `openPriceAvg` (11)."""
    quantity = row.zero_or_more("size")
    entry = "avgPrice" if "avgPrice" in row.fields else "openPriceAvg"
    return PositionUpdate(
        key=PositionKey(account, row.symbol(), word(row, "posSide", POSITION_SIDES)),
        quantity=quantity,
        entry_price=row.above_zero(entry) if quantity else row.optional_number(entry) or Decimal(0),
        margin_mode=word(row, "marginMode", MARGIN_MODES),
        liquidation_price=liquidation_price(row, "liqPrice"),
        frozen_quantity=row.optional_number("frozen") or Decimal(0),
        closed_quantity=Decimal(0),
        opened_ms=moment(row, "createdTime"),
        venue_ms=row.milliseconds("updatedTime"),
    )


def _order(account: AccountName, row: Row) -> OrderUpdate:
    key, closes = key_of(account, row, side_name="holdSide")
    kind = word(row, "orderType", ORDER_TYPES)
    live = word(row, "orderStatus", ORDER_LIVES)
    return OrderUpdate(
        order_id=row.order_id("orderId"),
        client_id=client_id_of(row),
        plan_order_id=None,
        key=key,
        closes=closes,
        action=forced_action(row) or _action(row, live),
        live=live,
        kind=kind,
        price=price_of(row, kind),
        size=row.zero_or_more("qty"),
        filled=filled_of(row),
        average_price=some(row, "avgPrice"),
        venue_ms=row.milliseconds("updatedTime"),
    )


def _action(row: Row, live: bool) -> OrderAction:
    if row.text("orderStatus").lower() in ("filled", "partially_filled"):
        return OrderAction.FILLED
    return OrderAction.SUBMITTED if live else OrderAction.CANCELLED
