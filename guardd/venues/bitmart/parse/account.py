"""Private answers about the account: balance, positions, mode, ledger, transfers (reference, sections 8 and 12)."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from msgspec import Struct

from guardd.errors import PayloadError
from guardd.model.account import Balance
from guardd.model.names import AccountName, MarginMode, PositionKey, PositionMode, Side, Symbol
from guardd.model.position import Position
from guardd.model.reading import Reading, is_value
from guardd.venues.bitmart.parse.market import SETTLE
from guardd.venues.bitmart.parse.words import MARGIN_MODES, POSITION_MODES, POSITION_TYPES, number_word, word
from guardd.venues.rows import Row, as_row, as_rows

_BALANCE_FIELDS = ("available_balance", "frozen_balance", "position_deposit", "equity", "unrealized")

FINISHED_TRANSFER: Final = "FINISHED"
ALIVE_TRANSFERS: Final = frozenset({"PROCESSING", FINISHED_TRANSFER})


class PositionsV2(Struct, frozen=True, kw_only=True):
    """What position-v2 says: open positions, and the one-way symbols whose side it left open (8.3)."""

    positions: tuple[Position, ...]
    undirected: tuple[Symbol, ...]


class RiskRow(Struct, frozen=True, kw_only=True):
    """One row of position-risk: for marks and liquidation prices only, its amounts have no sure unit (5.1; 8.4)."""

    symbol: Symbol
    side: Side
    mark_price: Reading
    liquidation_price: Reading
    leverage: Reading
    margin_mode: MarginMode
    isolated_margin: Reading
    venue_ms: int


class LedgerRow(Struct, frozen=True, kw_only=True):
    """One row of the ledger. Ids repeat across rows (quirk 10), so the whole row is its key."""

    id: str
    kind: str
    symbol: Symbol | None
    currency: str
    amount: Decimal
    at_ms: int


class TransferRow(Struct, frozen=True, kw_only=True):
    id: str
    currency: str
    amount: Decimal
    into_futures: bool
    state: str
    at_ms: int


def balance(data: object) -> Balance:
    """The USDT row. Other coins with anything in them may back the equity: it is an upper bound then (8.1)."""
    rows = list(as_rows("assets-detail.data", data))
    found = [row for row in rows if row.text("currency") == SETTLE]
    if len(found) != 1:
        raise PayloadError(where="assets-detail.data", found=f"{len(found)} rows of {SETTLE}", expected="one")
    row = found[0]
    return Balance(
        currency=SETTLE,
        equity=row.reading("equity"),
        available=row.number("available_balance"),
        frozen=row.number("frozen_balance"),
        position_margin=row.number("position_deposit"),
        unrealized_pnl=row.reading("unrealized"),
        foreign_collateral=any(_holds_anything(other) for other in rows if other is not row),
    )


def positions_v2(account: AccountName, data: object, sides: Mapping[Symbol, Side]) -> PositionsV2:
    """The authority on positions. `sides`: directions stated elsewhere, which count for rows in one-way mode."""
    positions: dict[PositionKey, Position] = {}
    undirected: list[Symbol] = []
    for row in as_rows("position-v2.data", data):
        quantity = row.contracts("current_amount")
        if quantity == 0:
            continue  # flat rows come when a symbol is given; `position_amount` beside them means nothing (quirk 3)
        side = _side_v2(row)
        if row.text("position_side").lower() == "both":
            side = sides.get(row.symbol(), side)
        if side is None:
            undirected.append(row.symbol())
            continue
        position = _position_v2(row, PositionKey(account, row.symbol(), side), quantity)
        if position.key in positions:
            raise PayloadError(where=row.where, found=f"a second row of {position.key}", expected="one row a position")
        positions[position.key] = position
    return PositionsV2(positions=tuple(positions[key] for key in sorted(positions)), undirected=tuple(undirected))


def one_way_sides(data: object) -> dict[Symbol, Side]:
    """Which side each one-way row of position-v2 claims by the sign of its amount, to hold against other sources."""
    claimed: dict[Symbol, Side] = {}
    for row in as_rows("position-v2.data", data):
        if row.text("position_side").lower() == "both" and row.contracts("current_amount") > 0:
            side = _side_v2(row)
            if side is not None:
                claimed[row.symbol()] = side
    return claimed


def marks_v2(data: object) -> dict[Symbol, Decimal]:
    """Marks in position-v2; they stand in flat rows too, which come when a symbol is given (8.3)."""
    marks: dict[Symbol, Decimal] = {}
    for row in as_rows("position-v2.data", data):
        mark = row.reading_above_zero("mark_price")
        if is_value(mark):
            marks[row.symbol()] = mark
    return marks


def leverages_v2(data: object) -> dict[Symbol, tuple[Decimal, MarginMode]]:
    """Leverage and margin mode as set, from position-v2, flat rows too."""
    found: dict[Symbol, tuple[Decimal, MarginMode]] = {}
    for row in as_rows("position-v2.data", data):
        found[row.symbol()] = (row.above_zero("leverage"), word(row, "open_type", MARGIN_MODES))
    return found


def sides_v1(data: object) -> dict[Symbol, Side]:
    """The direction of each open position by `/position`, which states it outright: the fallback in one-way mode (8.2)."""
    sides: dict[Symbol, Side] = {}
    for row in as_rows("position.data", data):
        if row.contracts("current_amount") > 0:
            side = number_word(row, "position_type", POSITION_TYPES)
            if sides.setdefault(row.symbol(), side) is not side:
                raise PayloadError(where=row.where, found="both sides of a symbol", expected="one in one-way mode")
    return sides


def position_risk(data: object) -> tuple[RiskRow, ...]:
    return tuple(
        RiskRow(
            symbol=row.symbol(),
            side=word(row, "position_side", {"long": Side.LONG, "short": Side.SHORT}),
            mark_price=row.reading_above_zero("mark_price"),
            liquidation_price=row.reading_above_zero("liquidation_price"),
            leverage=row.reading_above_zero("leverage"),
            margin_mode=word(row, "margin_type", MARGIN_MODES),
            isolated_margin=row.reading_above_zero("isolated_margin"),
            venue_ms=row.milliseconds("update_time"),
        )
        for row in as_rows("position-risk.data", data)
    )


def marks_risk(data: object) -> dict[Symbol, Decimal]:
    return {row.symbol: row.mark_price for row in position_risk(data) if is_value(row.mark_price)}


def position_mode(data: object) -> PositionMode:
    return word(as_row("get-position-mode.data", data), "position_mode", POSITION_MODES)


def ledger(data: object) -> tuple[LedgerRow, ...]:
    """Transfers, realised profits, funding, fees, liquidations: what shifts equity besides marks (8.7)."""
    return tuple(
        LedgerRow(
            id=str(row.get("tran_id")),
            kind=row.text("type"),
            symbol=Symbol(symbol) if (symbol := row.optional_text("symbol")) else None,
            currency=row.text("asset"),
            amount=row.number("amount"),
            at_ms=row.milliseconds("time"),
        )
        for row in as_rows("transaction-history.data", data)
    )


def transfers(data: object) -> tuple[TransferRow, ...]:
    return tuple(
        TransferRow(
            id=row.order_id("transfer_id"),
            currency=row.text("currency"),
            amount=row.above_zero("amount"),
            into_futures=word(row, "type", {"spot_to_contract": True, "contract_to_spot": False}),
            state=row.text("state"),
            at_ms=row.milliseconds("timestamp"),
        )
        for row in as_row("transfer-contract-list.data", data).rows("records")
    )


def _position_v2(row: Row, key: PositionKey, quantity: Decimal) -> Position:
    return Position(
        key=key,
        quantity=quantity,
        entry_price=row.above_zero("entry_price"),
        margin_mode=word(row, "open_type", MARGIN_MODES),
        leverage=row.reading_above_zero("leverage"),
        margin=row.reading_above_zero("initial_margin"),
        maintenance_margin=row.reading_above_zero("maintenance_margin"),
        liquidation_price=row.reading_above_zero("liquidation_price"),
        mark_price=row.reading_above_zero("mark_price"),
        notional=row.reading_above_zero("mark_value"),
        unrealized_pnl=row.reading("unrealized_pnl"),
        opened_ms=row.optional_milliseconds("open_timestamp"),
        closed_quantity=row.zero_or_more("close_vol"),
        venue_ms=row.milliseconds("timestamp"),
    )


def _side_v2(row: Row) -> Side | None:
    """`long` and `short` speak for themselves; for `both` the sign of `position_amount`, None when it is zero or absent."""
    match row.text("position_side").lower():
        case "long":
            return Side.LONG
        case "short":
            return Side.SHORT
        case "both":
            amount = row.optional_number("position_amount")
            return None if not amount else Side.LONG if amount > 0 else Side.SHORT
        case _:
            raise row.wrong("position_side", "long, short or both")


def _holds_anything(row: Row) -> bool:
    return any(row.optional_number(name) for name in _BALANCE_FIELDS)
