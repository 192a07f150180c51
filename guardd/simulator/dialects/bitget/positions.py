"""What is held, what was held, and who is next to be auto-deleveraged. Bitget reference, 9."""

from decimal import Decimal

from guardd.simulator.dialects.bitget import rows
from guardd.simulator.dialects.bitget.desk import Desk
from guardd.simulator.dialects.bitget.lists import page
from guardd.simulator.dialects.bitget.products import COIN_MARGIN, COINS, Product
from guardd.simulator.dialects.bitget.words import number
from guardd.simulator.dialects.bitget_common.envelope import Json, Row, VenueError
from guardd.simulator.dialects.bitget_common.gateway import Call

_HISTORY_MIN = 20
_RANK = Decimal("0.0001")


def single_position(desk: Desk, call: Call) -> Json:
    """An array of none, one or (hedge) two rows; unset stops are null here (9.1, sample)."""
    product = desk.product(call.query)
    symbol = desk.optional_symbol(call.query)
    if symbol is None:
        raise VenueError("40811", fill="symbol")
    if product is Product.COIN:
        return _coin_rows(desk, call)
    desk.check_coin(call.query, desk.contract(call.query))
    return [rows.position_row(desk, each, None) for each in rows.views(desk, call.uid, product, symbol)]


def all_position(desk: Desk, call: Call) -> Json:
    """Unset stops are `""` here (sample)."""
    product = desk.product(call.query)
    coin = call.query.optional_text("marginCoin").upper()
    if product is Product.COIN:
        return _coin_rows(desk, call) if coin in ("", COIN_MARGIN) else []
    if coin not in ("", COINS[product]):
        raise VenueError("40778")
    return [rows.position_row(desk, each, "") for each in rows.views(desk, call.uid, product)]


def _coin_rows(desk: Desk, call: Call) -> Json:
    planted = desk.memory.coin_positions.get(call.uid, [])
    return [rows.coin_position_row(each, index, call.now_ms) for index, each in enumerate(planted)]


def history_position(desk: Desk, call: Call) -> Json:
    """`productType` is USDT-FUTURES by default, and nothing beside a symbol (9.3)."""
    query = call.query
    symbol = query.optional_text("symbol").upper()
    product = Product(query.word("productType", *Product, default=Product.USDT))
    lives = [
        rows.closed_position_row(desk, each)
        for each in desk.memory.lives.get(call.uid, [])
        if (each.symbol == symbol if symbol else desk.of_product(each.symbol, product))
    ]
    ordered = sorted(lives, key=lambda row: int(str(row["positionId"])))
    return page(query, ordered, "list", call.now_ms, id_name="positionId", time_name="utime", least=_HISTORY_MIN)


def adl_rank(desk: Desk, call: Call) -> Json:
    """By profit and leverage: nearer to 1 is nearer to be deleveraged (9.4)."""
    product = desk.product(call.query)
    held = rows.views(desk, call.uid, product)
    found: list[Json] = []
    for view in held:
        gain = view.unrealized_pnl / view.margin if view.margin else Decimal(0)
        rank = min(max((gain + 1) / 2, Decimal(0)), Decimal(1)).quantize(_RANK)
        row: Row = {
            "symbol": view.symbol,
            "marginCoin": view.coin,
            "adlRank": number(1 - rank),
            "rank": number(rank),
            "holdSide": view.side.value,
        }
        found.append(row)
    return found
