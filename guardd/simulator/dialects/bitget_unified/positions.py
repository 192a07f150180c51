"""Positions: present, past, and their place in the queue of auto-deleveraging. UTA reference, 8."""

from decimal import Decimal

from guardd.simulator.dialects.bitget_common.envelope import Json, Row
from guardd.simulator.dialects.bitget_common.gateway import Call
from guardd.simulator.dialects.bitget_unified import arguments, rows
from guardd.simulator.dialects.bitget_unified.coin import COIN_CONTRACTS, CoinPosition
from guardd.simulator.dialects.bitget_unified.desk import Category, Desk
from guardd.simulator.dialects.bitget_unified.paging import listed, paged
from guardd.simulator.dialects.bitget_unified.words import rounded


def current_position(desk: Desk, call: Call) -> Json:
    """All of a category at once; `list` is null when flat (observed)."""
    query = call.query
    category, symbol = arguments.category(query), arguments.optional_symbol(query)
    leg = arguments.pos_side(query)
    if symbol and not desk.coins(category, symbol):
        desk.contract(category, symbol)
    found: list[Row] = []
    if category is Category.COIN:
        mode = desk.exchange.query.position_mode(call.uid)
        found = [
            rows.coin_position_row(each, coin_mark(desk, each), mode)
            for each in desk.standing(call.uid).coin_positions
            if symbol in ("", each.symbol) and leg in (None, each.side)
        ]
    for view in desk.exchange.query.positions(call.uid):
        if desk.category(view.symbol) is category and symbol in ("", view.symbol) and leg in (None, view.side):
            found.append(rows.position_row(view, desk.exchange.query.contract(view.symbol)))
    return listed(desk, found)


def coin_mark(desk: Desk, planted: CoinPosition) -> Decimal:
    quote = desk.exchange.query.quotes().get(COIN_CONTRACTS[planted.symbol].twin)
    return quote.mark if quote else planted.entry


def history_position(desk: Desk, call: Call) -> Json:
    query = call.query
    category, symbol = arguments.category(query), arguments.optional_symbol(query)
    start_ms, end_ms = arguments.window(query, call.now_ms)
    found = [
        (int(each.position_id), rows.closed_row(each, desk.exchange.query.contract(each.view.symbol)))
        for each in desk.standing(call.uid).closed
        if desk.category(each.view.symbol) is category
        and symbol in ("", each.view.symbol)
        and start_ms <= each.view.updated_ms <= end_ms
    ]
    return paged(desk, query, found)


def adl_rank(desk: Desk, call: Call) -> Json:
    """A fraction, nearer to 1 = sooner: here the share of the position's profit in its value (8.3)."""
    found: list[Row] = []
    for view in desk.exchange.query.positions(call.uid):
        share = view.unrealized_pnl / view.notional_mark if view.notional_mark else Decimal(0)
        rank = min(max(Decimal("0.5") + share, Decimal(0)), Decimal(1))
        found.append(
            {
                "symbol": view.symbol,
                "marginCoin": view.coin,
                "adlRank": rounded(rank, Decimal("1E-4")),
                "holdSide": view.side.value,
            }
        )
    return found
