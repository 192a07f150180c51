"""How V3 writes orders, fills, positions, balances and ledger rows by REST: names and JSON types of the samples.

Numbers and times are strings. The socket's spelling of the same things is in `frames`, strategy orders are in `strategy`.
"""

from collections.abc import Iterable
from decimal import ROUND_DOWN, Decimal

from msgspec import Struct

from guardd.simulator.contracts import Contract
from guardd.simulator.dialects.bitget_common.envelope import Row
from guardd.simulator.dialects.bitget_unified.coin import COIN_CONTRACTS, CoinPosition
from guardd.simulator.dialects.bitget_unified.desk import Category, Closed, category_of
from guardd.simulator.dialects.bitget_unified.words import (
    FORCE_WORDS,
    HOLD_WORDS,
    MARGIN_WORDS,
    SOURCE_WORDS,
    cancel_reason,
    client_oid,
    delegate_type,
    exec_type,
    number,
    order_status,
    order_type,
    reduce_only,
    rounded,
    trade_side,
)
from guardd.simulator.orders import MarginMode, Order, OrderKind, Plan, PositionMode, Preset
from guardd.simulator.records import Balance, Flow, FlowKind, Pool, PositionView, Trade

ZERO = Decimal(0)
MONEY = Decimal("1E-8")
_RATE = Decimal("1E-16")

FLOW_TYPES = {
    FlowKind.TRANSFER: ("TRANSFER_IN", "TRANSFER_OUT"),
    FlowKind.REALIZED_PNL: ("CLOSE_LONG", "CLOSE_LONG"),
    FlowKind.FUNDING: ("CONTRACT_MAIN_SETTLE_FEE_USER_IN", "CONTRACT_MAIN_SETTLE_FEE_USER_OUT"),
    FlowKind.COMMISSION: ("OPEN_LONG", "OPEN_LONG"),
    FlowKind.LIQUIDATION: ("BURST_LONG_LOSS_QUERY", "BURST_LONG_LOSS_QUERY"),
    FlowKind.CONVERSION: ("LIQ_TRANSFER_IN", "LIQ_TRANSFER_OUT"),
}


def money(value: Decimal) -> str:
    return rounded(value, MONEY)


def order_row(order: Order, contract: Contract, plan: Plan | None) -> Row:
    """order-info and history-orders; `plan` is what made the order, where it was one."""
    return {
        **_order_head(order, contract),
        "cancelReason": cancel_reason(order),
        "execType": exec_type(order),
        **_order_tail(order, plan),
    }


def open_order_row(order: Order, contract: Contract, plan: Plan | None) -> Row:
    """A row of unfilled-orders: without `cancelReason` and `execType` (recorded)."""
    return {**_order_head(order, contract), **_order_tail(order, plan)}


def _order_head(order: Order, contract: Contract) -> Row:
    forced = order.kind not in (OrderKind.LIMIT, OrderKind.MARKET)
    return {
        "orderId": order.order_id,
        "clientOid": client_oid(order.order_id, order.client_id),
        "category": category_of(contract).value,
        "symbol": order.symbol,
        "orderType": order_type(order),
        "side": order.side.value,
        "price": number(order.average_price if forced else order.price),
        "qty": number(order.size),
        "amount": "0",
        "cumExecQty": number(order.filled),
        "cumExecValue": executed_value(order, contract),
        "avgPrice": number(order.average_price),
        "timeInForce": FORCE_WORDS[order.time_in_force],
        "orderStatus": order_status(order, fresh="live"),
        "posSide": order.position_side.value,
        "holdMode": HOLD_WORDS[order.position_mode],
        "reduceOnly": "YES" if reduce_only(order) else "NO",
        "feeDetail": fee_detail(order.fee, contract.coin, paid=bool(order.filled)),
        "createdTime": str(order.created_ms),
        "updatedTime": str(order.updated_ms),
    }


def executed_value(order: Order, contract: Contract) -> str:
    return money(order.filled * contract.contract_size * (order.average_price or ZERO))


def fee_detail(fee: Decimal, coin: str, *, paid: bool = True) -> list[Row]:
    """Positive when paid (5); one row of empty text before the first fill."""
    return [{"feeCoin": coin, "fee": number(fee)}] if paid else [{"feeCoin": "", "fee": ""}]


def _order_tail(order: Order, plan: Plan | None) -> Row:
    return {
        "stpMode": "none",
        **_preset("tp", "takeProfit", order.take_profit),
        **_preset("sl", "stopLoss", order.stop_loss),
        "delegateType": delegate_type(order, plan),
        "marginMode": MARGIN_WORDS[order.margin_mode],
        "tradeSide": trade_side(reduce=order.reduce),
    }


def _preset(prefix: str, name: str, preset: Preset | None) -> Row:
    """null where there is none (recorded; the document prints `""`)."""
    return {
        f"{prefix}TriggerBy": SOURCE_WORDS[preset.source] if preset else None,
        name: number(preset.trigger_price) if preset else None,
        f"{prefix}OrderType": _execution(preset) if preset else None,
        f"{prefix}LimitPrice": (number(preset.limit_price) if preset.limit_price else "") if preset else None,
    }


def _execution(preset: Preset) -> str:
    return "market" if preset.limit_price is None else "limit"


def fill_row(trade: Trade, contract: Contract) -> Row:
    """`side` is the transaction's direction; `execPnl` is before fees."""
    return {
        "execId": trade.trade_id,
        "execLinkId": trade.trade_id,
        "orderId": trade.order_id,
        "clientOid": client_oid(trade.order_id, trade.client_id),
        "category": category_of(contract).value,
        "symbol": trade.symbol,
        "orderType": "limit" if trade.kind is OrderKind.LIMIT else "market",
        "side": trade.side.value,
        "execPrice": number(trade.price),
        "execQty": number(trade.size),
        "execValue": money(trade.size * contract.contract_size * trade.price),
        "tradeScope": "maker" if trade.maker else "taker",
        "tradeSide": trade_side(reduce=trade.reduce),
        "feeDetail": fee_detail(trade.fee, contract.coin),
        "execPnl": money(trade.realized_pnl),
        "isRPI": "no",
        "createdTime": str(trade.at_ms),
        "updatedTime": str(trade.at_ms),
    }


def position_balance(view: PositionView, contract: Contract) -> Decimal:
    """Cross: initial margin at mark with the closing fee, which is no collateral; isolated: what is assigned (4)."""
    if view.margin_mode is MarginMode.ISOLATED:
        return view.margin
    return view.notional_mark * (1 / view.leverage + contract.taker_fee)


def profit_rate(view: PositionView, contract: Contract) -> str:
    behind = position_balance(view, contract)
    return rounded(view.unrealized_pnl / behind, _RATE) if behind else "0"


def fees_paid(view: PositionView) -> tuple[Decimal, Decimal]:
    """(opening, closing) fees of this life, positive: the exchange keeps their sum, split here by traded value."""
    opened = (view.size + view.closed_size) * view.open_average_price
    closed = view.closed_size * view.closed_average_price
    if not opened + closed:
        return ZERO, ZERO
    closing = (view.fees * closed / (opened + closed)).quantize(MONEY)
    return view.fees - closing, closing


def break_even(view: PositionView, contract: Contract) -> str:
    """The price at which opening fee, funding and the closing fee are earned (checked on three rows, cut to the tick)."""
    if not view.size:
        return ""
    quantity = view.size * contract.contract_size
    opening, _ = fees_paid(view)
    cost = (opening - view.funding) / quantity
    sign = view.side.sign
    price = (view.entry_price + sign * cost) / (1 - sign * contract.taker_fee)
    return rounded(max(price, contract.tick), contract.tick, ROUND_DOWN)


def liquidation(view: PositionView, contract: Contract) -> str:
    """`"0"` when no price liquidates it."""
    return rounded(view.liquidation_price, contract.tick) if view.liquidation_price is not None else "0"


def maintenance_rate(view: PositionView, contract: Contract) -> str:
    """`mmr` of a row is the tier's rate; that of the account is an amount (0, fact 3)."""
    return number(contract.tier(view.notional_mark).rate)


def price_profit(view: PositionView) -> Decimal:
    """Realised by price alone: the engine's figure has fees and funding in it."""
    return view.realized_pnl + view.fees - view.funding


def position_row(view: PositionView, contract: Contract) -> Row:
    opening, closing = fees_paid(view)
    return {
        "category": category_of(contract).value,
        "symbol": view.symbol,
        "marginCoin": view.coin,
        "holdMode": HOLD_WORDS[view.position_mode],
        "posSide": view.side.value,
        "marginMode": MARGIN_WORDS[view.margin_mode],
        "positionBalance": money(position_balance(view, contract)),
        "available": number(view.available_size),
        "frozen": number(view.frozen_size),
        "total": number(view.size),
        "leverage": number(view.leverage),
        "curRealisedPnl": money(price_profit(view)),
        "avgPrice": average(view, contract),
        "positionStatus": "normal",
        "unrealisedPnl": money(view.unrealized_pnl),
        "liquidationPrice": liquidation(view, contract),
        "mmr": maintenance_rate(view, contract),
        "profitRate": profit_rate(view, contract),
        "markPrice": number(view.mark_price),
        "breakEvenPrice": break_even(view, contract),
        "totalFunding": money(view.funding),
        "openFeeTotal": money(-opening),
        "closeFeeTotal": money(-closing),
        "createdTime": str(view.opened_ms),
        "updatedTime": str(view.updated_ms),
        "cashDividend": "0",
    }


def average(view: PositionView, contract: Contract) -> str:
    """The entry, to a few places more than the tick."""
    return rounded(view.entry_price, contract.tick / 10_000)


def coin_position_row(planted: CoinPosition, mark: Decimal, hold_mode: PositionMode) -> Row:
    """A Coin-M position: figures in the base coin (5)."""
    base = COIN_CONTRACTS[planted.symbol].base
    return {
        "category": Category.COIN.value,
        "symbol": planted.symbol,
        "marginCoin": base,
        "holdMode": HOLD_WORDS[hold_mode],
        "posSide": planted.side.value,
        "marginMode": MARGIN_WORDS[planted.margin_mode],
        "positionBalance": number(planted.margin),
        "available": number(planted.size),
        "frozen": "0",
        "total": number(planted.size),
        "leverage": number(planted.leverage),
        "curRealisedPnl": "0",
        "avgPrice": number(planted.entry),
        "positionStatus": "normal",
        "unrealisedPnl": number(planted.unrealized),
        "liquidationPrice": number(planted.liquidation),
        "mmr": "0.004",
        "profitRate": "0",
        "markPrice": number(mark),
        "breakEvenPrice": number(planted.entry),
        "totalFunding": "0",
        "openFeeTotal": "0",
        "closeFeeTotal": "0",
        "createdTime": str(planted.opened_ms),
        "updatedTime": str(planted.opened_ms),
        "cashDividend": "0",
    }


def closed_row(closed: Closed, contract: Contract) -> Row:
    """history-position; `cumRealisedPnl` without fees, `netProfit` with everything."""
    view = closed.view
    opening, closing = fees_paid(view)
    return {
        "positionId": closed.position_id,
        "category": category_of(contract).value,
        "symbol": view.symbol,
        "marginCoin": view.coin,
        "holdMode": HOLD_WORDS[view.position_mode],
        "posSide": view.side.value,
        "marginMode": MARGIN_WORDS[view.margin_mode],
        "openPriceAvg": rounded(view.open_average_price, contract.tick / 10_000),
        "closePriceAvg": rounded(view.closed_average_price, contract.tick / 10_000),
        "openTotalPos": number(view.closed_size),
        "closeTotalPos": number(view.closed_size),
        "cumRealisedPnl": money(price_profit(view)),
        "netProfit": money(view.realized_pnl),
        "totalFunding": money(view.funding),
        "openFeeTotal": money(-opening),
        "closeFeeTotal": money(-closing),
        "createdTime": str(view.opened_ms),
        "updatedTime": str(view.updated_ms),
    }


def risk_figures(pool: Pool, places: int) -> dict[str, str]:
    """What both REST and socket say of the whole: amounts in USD, and the ratio cut off coarsely (0, fact 4)."""
    ratio = pool.ratio if pool.ratio is not None else Decimal(1)
    coarse = rounded(ratio, Decimal(1).scaleb(-places), ROUND_DOWN)
    return {
        "effEquity": money(pool.effective),
        "mmr": money(pool.maintenance),
        "imr": money(pool.initial_margin),
        "mgnRatio": coarse,
        "positionMgnRatio": coarse,
    }


class UnitPrices(Struct, frozen=True, kw_only=True):
    """In USD: of the coins in which the whole is told as well."""

    tether: Decimal
    bitcoin: Decimal


def assets(pool: Pool, balances: Iterable[tuple[Balance, Decimal]], prices: UnitPrices, places: int) -> Row:
    """account/assets; `balances` are coins with their price in USD."""
    return {
        "accountEquity": money(pool.equity),
        "usdtEquity": _in(prices.tether, pool.equity),
        "btcEquity": _in(prices.bitcoin, pool.equity),
        "unrealisedPnl": money(pool.unrealized),
        "usdtUnrealisedPnl": _in(prices.tether, pool.unrealized),
        "btcUnrealizedPnl": _in(prices.bitcoin, pool.unrealized),
        **risk_figures(pool, places),
        "assets": [asset_row(balance, price) for balance, price in balances],
        "positionValue": money(pool.notional),
        "leverage": money(pool.notional / pool.equity) if pool.equity > 0 else "0",
        "bonus": "0",
    }


def _in(price: Decimal, usd: Decimal) -> str:
    return money(usd / price) if price else "0"


def asset_row(balance: Balance, price: Decimal) -> Row:
    """`equity` = balance + unrealised PnL (3)."""
    return {
        "coin": balance.coin,
        "equity": money(balance.equity),
        "usdValue": money(balance.equity * price),
        "balance": money(balance.wallet),
        "available": money(balance.available),
        "debt": money(debt(balance)),
        "locked": "0",
    }


def debt(balance: Balance) -> Decimal:
    """|min(balance + unrealised PnL, 0)| (3)."""
    return max(-balance.equity, ZERO)


def flow_row(flow: Flow, category: str) -> Row:
    kind = FLOW_TYPES[flow.kind][0 if flow.amount > 0 else 1]
    fee = flow.amount if flow.kind is FlowKind.COMMISSION else ZERO
    return {
        "category": category,
        "id": flow.flow_id,
        "symbol": flow.symbol,
        "coin": flow.coin,
        "type": kind,
        "positionType": "crossed",
        "fee": money(fee),
        "positionAmount": "0",
        "positionBalance": "0",
        "amount": money(flow.amount - fee),
        "balance": "0",
        "ts": str(flow.at_ms),
    }
