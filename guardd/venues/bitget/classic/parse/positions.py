"""Positions as the account's reads tell them (Bitget reference, 9), and where each of their fields goes."""

from collections.abc import Iterable
from decimal import Decimal
from types import MappingProxyType
from typing import Final, NamedTuple, cast

import msgspec
from msgspec import Struct

from guardd.errors import PayloadError
from guardd.model.names import AccountName, MarginMode, PositionKey, PositionMode, Side, Symbol
from guardd.model.position import Position
from guardd.model.reading import Absent, Reading, is_value
from guardd.venues.bitget.classic.parse.words import (
    HOLD_SIDES,
    MARGIN_MODES,
    POSITION_MODES,
    SWITCHES,
    Product,
    coin_of,
    list_of,
    plain,
    symbol_of,
    word,
)
from guardd.venues.repeated import RepeatedRows
from guardd.venues.rows import Row, as_list

USED: Final = MappingProxyType(
    {
        "symbol": "Position.key",
        "holdSide": "Position.key",
        "marginCoin": "HeldRow.margin_coin",
        "total": "Position.quantity",
        "openPriceAvg": "Position.entry_price",
        "marginMode": "Position.margin_mode",
        "leverage": "Position.leverage",
        "marginSize": "Position.margin",
        "keepMarginRate": "Position.maintenance_margin",
        "liquidationPrice": "Position.liquidation_price",
        "markPrice": "Position.mark_price",
        "unrealizedPL": "Position.unrealized_pnl",
        "cTime": "Position.opened_ms",
        "uTime": "Position.venue_ms",
        "posMode": "HeldRow.mode",
        "marginRatio": "HeldRow.margin_ratio",
        "assetMode": "HeldRow.union",
        "autoMargin": "HeldRow.auto_margin",
    }
)
"""Where each field of a row arrives."""
UNUSED: Final = MappingProxyType(
    {
        "openDelegateSize": "orders that open are read from the order lists, each with its size",
        "available": "what resting closes hold is summed from the order list, each with its id (I13)",
        "locked": "as `available`; the socket's `frozen` is the same figure, newer",
        "achievedProfits": "what was realised is in the wallet already",
        "breakEvenPrice": "no risk hangs on it",
        "totalFee": "funding is in the wallet already",
        "deductedFee": "fees are in the wallet already",
        "grant": "a voucher amount; the equity of the account is what counts",
        "cashDividend": "is in the wallet already",
        "takeProfit": "position-wide ones only: the plan lists show every take-profit with its id",
        "takeProfitId": "as `takeProfit`",
        "stopLoss": "position-wide ones only: the plan lists show every stop with its id, kind and trigger",
        "stopLossId": "as `stopLoss`",
    }
)
"""Fields that nothing is done with, and why."""


class HeldRow(Struct, frozen=True, kw_only=True):
    """One open position with what orders for it need to say."""

    product: Product
    position: Position
    margin_coin: str
    mode: PositionMode
    union: bool
    """Several coins back it (5.1)."""
    auto_margin: bool
    """The exchange adds margin to it by itself (7.7)."""
    margin_ratio: Reading
    """1 is liquidation; of the position where it is isolated, of the whole cross account else (10)."""


def held_rows(account: AccountName, product: Product, data: object, *, asked_ms: int) -> tuple[HeldRow, ...]:
    """The open positions of one product type. `asked_ms` (the venue's time) dates rows that carry no time of their own.

    A second row of a symbol and side can't be: the margin mode is the symbol's, and isn't changed while it is held (5.1, 7.5)."""
    where = f"{product}.position.data"
    return _one_each(where, [_open_row(account, product, row, asked_ms)[0] for row in list_of(where, data)])


class RepeatedHeldRows:
    """The same of one product type, read after read: what comes word for word as before is the very row that it was."""

    def __init__(self, account: AccountName, product: Product) -> None:
        self._account = account
        self._product = product
        self._rows: RepeatedRows[_OpenRow] = RepeatedRows()

    def read(self, data: object, *, asked_ms: int) -> tuple[HeldRow, ...]:
        """`data`: the rows as they came (`envelope_of_rows`)."""
        where = f"{self._product}.position.data"
        raws = [] if data is None else as_list(where, data)
        if not all(isinstance(raw, msgspec.Raw) for raw in raws):
            return held_rows(self._account, self._product, data, asked_ms=asked_ms)

        def parse(row: Row) -> tuple[_OpenRow, bool]:
            return _open_row(self._account, self._product, row, asked_ms)

        return _one_each(where, self._rows.parsed(where, cast("list[msgspec.Raw]", raws), parse))


class _OpenRow(NamedTuple):
    """None for a position of nothing, which may be shown for a moment (9.2)."""

    held: HeldRow | None


def _open_row(account: AccountName, product: Product, row: Row, asked_ms: int) -> tuple[_OpenRow, bool]:
    """A row, and whether its words mean the same in the next read: one without a time of its own is as young as the question."""
    if row.zero_or_more("total") == 0:
        return _OpenRow(None), True
    return _OpenRow(_held(account, product, row, asked_ms)), bool(row.optional_milliseconds("uTime"))


def _one_each(where: str, found: Iterable[_OpenRow]) -> tuple[HeldRow, ...]:
    rows: dict[PositionKey, HeldRow] = {}
    for (held,) in found:
        if held is None:
            continue
        if held.position.key in rows:
            raise PayloadError(where=where, found=f"a second row of {held.position.key}", expected="one row a position")
        rows[held.position.key] = held
    return tuple(rows[key] for key in sorted(rows))


def liquidation_price(row: Row) -> Reading:
    """Zero or less: the venue says that there is none now (9.2). A far one is a fact, not an error (10)."""
    number = row.optional_number("liquidationPrice")
    if number is None:
        return Absent.UNKNOWN
    return number if number > 0 else Absent.NONE


def isolated_maintenance(row: HeldRow, taker_fee: Decimal) -> Reading:
    """The maintenance that the venue itself reckons with: its ratio of an isolated row is maintenance and closing fee over margin
    and profit (10, checked). Where that gives more than the rate on the whole value does, the fee isn't ours: the rate stands."""
    position = row.position
    by_rate, margin, profit, notional = (
        position.maintenance_margin,
        position.margin,
        position.unrealized_pnl,
        position.notional,
    )
    if position.margin_mode is not MarginMode.ISOLATED or not is_value(by_rate) or not is_value(row.margin_ratio):
        return by_rate
    if not is_value(margin) or not is_value(profit) or not is_value(notional):
        return by_rate
    by_ratio = row.margin_ratio * (margin + profit) - taker_fee * notional
    return by_ratio if 0 < by_ratio < by_rate else by_rate


def adl_ranks(account: AccountName, data: object) -> dict[PositionKey, Decimal]:
    """The nearer to 1, the nearer to being auto-deleveraged (9.4)."""
    return {
        PositionKey(account, symbol_of(row), word(row, "holdSide", HOLD_SIDES)): row.number("rank")
        for row in list_of("adlRank.data", data)
    }


def _held(account: AccountName, product: Product, row: Row, asked_ms: int) -> HeldRow:
    key = PositionKey(account, symbol_of(row), word(row, "holdSide", HOLD_SIDES))
    return HeldRow(
        product=product,
        position=_position(row, key, product, asked_ms),
        margin_coin=coin_of(row),
        mode=word(row, "posMode", POSITION_MODES),
        union=plain(row, "assetMode") == "union",
        auto_margin=SWITCHES.get(plain(row, "autoMargin"), False),
        margin_ratio=row.reading_zero_or_more("marginRatio"),
    )


def _position(row: Row, key: PositionKey, product: Product, asked_ms: int) -> Position:
    """Money of a Coin-M row is in its base coin and its size has no sure unit: unknown, never wrong."""
    quantity, mark = row.above_zero("total"), row.reading_above_zero("markPrice")
    notional = quantity * mark if is_value(mark) and product.linear else Absent.UNKNOWN
    rate = row.reading_above_zero("keepMarginRate")
    known = product.linear
    return Position(
        auto_margin=SWITCHES.get(plain(row, "autoMargin"), False),
        key=key,
        quantity=quantity,
        entry_price=row.above_zero("openPriceAvg"),
        margin_mode=word(row, "marginMode", MARGIN_MODES),
        leverage=row.reading_above_zero("leverage"),
        margin=row.reading_above_zero("marginSize") if known else Absent.UNKNOWN,
        maintenance_margin=notional * rate if is_value(notional) and is_value(rate) else Absent.UNKNOWN,
        liquidation_price=liquidation_price(row),
        mark_price=mark,
        notional=notional,
        unrealized_pnl=row.reading("unrealizedPL") if known else Absent.UNKNOWN,
        opened_ms=row.optional_milliseconds("cTime"),
        closed_quantity=Decimal(0),  # the venue doesn't count it: `known.py` does
        venue_ms=row.optional_milliseconds("uTime") or asked_ms,
    )


def one_way_sides(rows: tuple[HeldRow, ...]) -> dict[Symbol, Side]:
    """The side of each position held in one-way mode."""
    return {row.position.key.symbol: row.position.key.side for row in rows if row.mode is PositionMode.ONE_WAY}
