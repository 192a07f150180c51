"""How V3's sockets write the same things: other names, lower-case words. UTA reference, 11."""

from collections.abc import Iterable
from decimal import Decimal

from guardd.simulator.contracts import Contract
from guardd.simulator.dialects.bitget_common.envelope import Row
from guardd.simulator.dialects.bitget_unified.desk import category_of
from guardd.simulator.dialects.bitget_unified.rows import (
    average,
    break_even,
    debt,
    executed_value,
    fee_detail,
    fees_paid,
    liquidation,
    maintenance_rate,
    money,
    position_balance,
    price_profit,
    profit_rate,
    risk_figures,
)
from guardd.simulator.dialects.bitget_unified.words import (
    FORCE_WORDS,
    HOLD_WORDS,
    MARGIN_WORDS,
    cancel_reason,
    client_oid,
    delegate_type,
    number,
    order_status,
    order_type,
    reduce_only,
    rounded,
    trade_side,
)
from guardd.simulator.orders import Order, OrderKind, Plan
from guardd.simulator.records import Balance, Pool, PositionView, Trade
from guardd.simulator.tape import Candle, Print

_RATIO = Decimal("1E-4")


def account(pool: Pool, balances: Iterable[tuple[Balance, Decimal]], places: int) -> Row:
    """REST names differ: `accountEquity`, `unrealisedPnl`, `assets`, `debt`."""
    return {
        "unrealisedPnL": money(pool.unrealized),
        "totalEquity": money(pool.equity),
        **risk_figures(pool, places),
        "coin": [_coin(balance, price) for balance, price in balances],
    }


def _coin(balance: Balance, price: Decimal) -> Row:
    owed = money(debt(balance))
    return {
        "debts": owed,
        "balance": money(balance.wallet),
        "available": money(balance.available),
        "borrow": owed,
        "locked": "0",
        "equity": money(balance.equity),
        "coin": balance.coin,
        "usdValue": money(balance.equity * price),
    }


def position(view: PositionView, contract: Contract) -> Row:
    """No category in it. REST names differ: `total`, `liquidationPrice`, `positionBalance`, `totalFunding`."""
    if not view.size:
        return _ended(view)
    opening, closing = fees_paid(view)
    return {
        **_leg(view),
        "openFeeTotal": money(-opening),
        "mmr": maintenance_rate(view, contract),
        "breakEvenPrice": break_even(view, contract),
        "available": number(view.available_size),
        "liqPrice": liquidation(view, contract),
        "unrealisedPnl": money(view.unrealized_pnl),
        "avgPrice": average(view, contract),
        "totalFundingFee": money(view.funding),
        "frozen": number(view.frozen_size),
        "profitRate": profit_rate(view, contract),
        "closeFeeTotal": money(-closing),
        "marginSize": money(position_balance(view, contract)),
        "curRealisedPnl": money(price_profit(view)),
        "size": number(view.size),
        "positionStatus": "opening",
        "marginRate": rounded(view.margin_ratio, _RATIO) if view.margin_ratio is not None else "1",
        "cashDividend": "0",
    }


def _ended(view: PositionView) -> Row:
    """A close: size "0", and empty text for much of the rest (documented)."""
    gone = ("openFeeTotal", "mmr", "breakEvenPrice", "liqPrice", "profitRate", "closeFeeTotal")
    naught = (
        "available",
        "unrealisedPnl",
        "avgPrice",
        "totalFundingFee",
        "frozen",
        "marginSize",
        "curRealisedPnl",
        "size",
    )
    return {**_leg(view), **dict.fromkeys(gone, ""), **dict.fromkeys(naught, "0"), "positionStatus": "ended"}


def _leg(view: PositionView) -> Row:
    return {
        "symbol": view.symbol,
        "leverage": number(view.leverage),
        "marginMode": MARGIN_WORDS[view.margin_mode],
        "markPrice": number(view.mark_price),
        "createdTime": str(view.opened_ms),
        "updatedTime": str(view.updated_ms),
        "marginCoin": view.coin,
        "posSide": view.side.value,
        "holdMode": HOLD_WORDS[view.position_mode],
    }


def order(each: Order, contract: Contract, plan: Plan | None, profit: Decimal) -> Row:
    """Cumulative quantities only; the position's side is called `holdSide`."""
    return {
        "category": category_of(contract).value.lower(),
        "symbol": each.symbol,
        "orderId": each.order_id,
        "clientOid": client_oid(each.order_id, each.client_id),
        "price": number(each.price) if each.price is not None else "",
        "qty": number(each.size),
        "amount": "0",
        "holdMode": HOLD_WORDS[each.position_mode],
        "holdSide": each.position_side.value,
        "delegateType": delegate_type(each, plan),
        "tradeSide": trade_side(reduce=each.reduce),
        "orderType": order_type(each),
        "timeInForce": FORCE_WORDS[each.time_in_force],
        "side": each.side.value,
        "marginMode": MARGIN_WORDS[each.margin_mode],
        "marginCoin": contract.coin,
        "reduceOnly": "yes" if reduce_only(each) else "no",
        "cumExecQty": number(each.filled),
        "cumExecValue": executed_value(each, contract),
        "avgPrice": number(each.average_price),
        "totalProfit": money(profit),
        "orderStatus": order_status(each, fresh="new"),
        "cancelReason": cancel_reason(each),
        "leverage": number(each.leverage),
        "feeDetail": fee_detail(each.fee, contract.coin, paid=bool(each.filled)),
        "createdTime": str(each.created_ms),
        "updatedTime": str(each.updated_ms),
        "stpMode": "none",
    }


def fill(trade: Trade, each: Order, contract: Contract) -> Row:
    return {
        "symbol": trade.symbol,
        "orderType": "limit" if trade.kind is OrderKind.LIMIT else "market",
        "updatedTime": str(trade.at_ms),
        "side": trade.side.value,
        "orderId": trade.order_id,
        "execPnl": money(trade.realized_pnl),
        "feeDetail": fee_detail(trade.fee, contract.coin),
        "execTime": str(trade.at_ms),
        "tradeScope": _scope(trade),
        "tradeSide": trade_side(reduce=trade.reduce),
        "execId": trade.trade_id,
        "execLinkId": trade.trade_id,
        "execPrice": number(trade.price),
        "holdSide": each.position_side.value,
        "execValue": money(trade.size * contract.contract_size * trade.price),
        "category": category_of(contract).value.lower(),
        "execQty": number(trade.size),
        "clientOid": client_oid(trade.order_id, trade.client_id),
        "isRPI": "no",
    }


def fast_fill(trade: Trade, each: Order, contract: Contract) -> Row:
    """`data` of this topic is this object itself, not an array."""
    return {
        "symbol": trade.symbol,
        "updatedTime": str(trade.at_ms),
        "side": trade.side.value,
        "orderId": trade.order_id,
        "execTime": str(trade.at_ms),
        "tradeScope": _scope(trade),
        "execId": trade.trade_id,
        "execPrice": number(trade.price),
        "holdSide": each.position_side.value,
        "category": category_of(contract).value.lower(),
        "execQty": number(trade.size),
        "clientOid": client_oid(trade.order_id, trade.client_id),
    }


def _scope(trade: Trade) -> str:
    return "maker" if trade.maker else "taker"


def deleveraged(trade: Trade, contract: Contract) -> Row:
    """`amount` is in the quote coin."""
    return {
        "symbol": trade.symbol,
        "side": trade.side.value,
        "status": "triggered",
        "price": number(trade.price),
        "amount": money(trade.size * contract.contract_size * trade.price),
        "ts": str(trade.at_ms),
    }


def public_trade(each: Print) -> Row:
    return {
        "i": str(each.trade_id),
        "p": number(each.price),
        "v": number(each.size),
        "S": "sell" if each.buyer_is_maker else "buy",
        "T": str(each.at_ms),
        "L": str(each.trade_id),
    }


def candle(each: Candle, start_ms: int) -> Row:
    return {
        "start": str(start_ms),
        "open": number(each.open),
        "close": number(each.close),
        "high": number(each.high),
        "low": number(each.low),
        "volume": number(each.volume),
        "turnover": number(each.volume * each.close),
    }
