"""Which function answers which call, and what a closing venue refuses first."""

import json
from collections.abc import Callable
from functools import partial

from guardd.simulator.dialects.bitget import account, lookups, orders, plans, positions, public, wallet
from guardd.simulator.dialects.bitget.desk import Desk
from guardd.simulator.dialects.bitget.endpoints import MIX
from guardd.simulator.dialects.bitget_common.envelope import Json
from guardd.simulator.dialects.bitget_common.gateway import Call, Handler
from guardd.simulator.wire import Request

_MARKET: dict[str, Callable[[Desk, Call], Json]] = {
    "contracts": public.contracts,
    "ticker": public.ticker,
    "tickers": public.tickers,
    "symbol-price": public.symbol_price,
    "current-fund-rate": public.current_fund_rate,
    "funding-time": public.funding_time,
    "history-fund-rate": public.history_fund_rate,
    "candles": public.candles,
    "history-candles": public.history_candles,
    "history-mark-candles": public.history_mark_candles,
    "history-index-candles": public.history_mark_candles,
    "open-interest": public.open_interest,
    "merge-depth": public.merge_depth,
    "fills": public.fills,
    "fills-history": public.fills,
    "query-position-lever": public.query_position_lever,
}
_READS: dict[str, Callable[[Desk, Call], Json]] = {
    "/api/v2/public/time": public.server_time,
    "/api/v2/spot/public/symbols": public.nothing_listed,
    "/api/v2/spot/public/coins": public.nothing_listed,
    "/api/v2/margin/currencies": public.nothing_listed,
    "/api/v2/common/trade-rate": account.trade_rate,
    "/api/v2/spot/account/info": wallet.account_info,
    "/api/v2/spot/account/assets": wallet.assets,
    "/api/v2/spot/account/transferRecords": wallet.transfer_records,
    f"{MIX}/account/account": account.account,
    f"{MIX}/account/accounts": account.accounts,
    f"{MIX}/account/bill": account.bill,
    f"{MIX}/account/liq-price": account.liq_price,
    f"{MIX}/position/single-position": positions.single_position,
    f"{MIX}/position/all-position": positions.all_position,
    f"{MIX}/position/history-position": positions.history_position,
    f"{MIX}/position/adlRank": positions.adl_rank,
    f"{MIX}/order/detail": lookups.detail,
    f"{MIX}/order/orders-pending": lookups.orders_pending,
    f"{MIX}/order/orders-history": lookups.orders_history,
    f"{MIX}/order/fills": lookups.fills,
    f"{MIX}/order/fill-history": lookups.fill_history,
    f"{MIX}/order/orders-plan-pending": plans.orders_plan_pending,
    f"{MIX}/order/orders-plan-history": plans.orders_plan_history,
    f"{MIX}/order/plan-sub-order": plans.plan_sub_order,
}
_WRITES: dict[str, Callable[[Desk, Call], Json]] = {
    "/api/v2/spot/wallet/transfer": wallet.transfer,
    f"{MIX}/account/set-leverage": account.set_leverage,
    f"{MIX}/account/set-margin": account.set_margin,
    f"{MIX}/account/set-margin-mode": account.set_margin_mode,
    f"{MIX}/account/set-position-mode": account.set_position_mode,
    f"{MIX}/account/set-auto-margin": account.set_auto_margin,
    f"{MIX}/account/set-asset-mode": account.set_asset_mode,
    f"{MIX}/order/place-order": orders.place_order,
    f"{MIX}/order/batch-place-order": orders.batch_place_order,
    f"{MIX}/order/modify-order": orders.modify_order,
    f"{MIX}/order/cancel-order": orders.cancel_order,
    f"{MIX}/order/batch-cancel-orders": orders.batch_cancel_orders,
    f"{MIX}/order/cancel-all-orders": orders.cancel_all_orders,
    f"{MIX}/order/close-positions": orders.close_positions,
    f"{MIX}/order/place-tpsl-order": plans.place_tpsl_order,
    f"{MIX}/order/place-pos-tpsl": plans.place_pos_tpsl,
    f"{MIX}/order/place-plan-order": plans.place_plan_order,
    f"{MIX}/order/modify-tpsl-order": plans.modify_tpsl_order,
    f"{MIX}/order/modify-plan-order": plans.modify_plan_order,
    f"{MIX}/order/cancel-plan-order": plans.cancel_plan_order,
}
_PLACING = ("place-order", "batch-place-order")
_NEW_RISK = (f"{MIX}/order/place-tpsl-order", f"{MIX}/order/place-pos-tpsl", "/api/v2/spot/wallet/transfer")


def handlers(desk: Desk) -> dict[str, Handler]:
    """Every call by its endpoint's name, bound to this desk."""
    reads = {**{f"{MIX}/market/{name}": call for name, call in _MARKET.items()}, **_READS}
    named = {f"GET {path}": call for path, call in reads.items()}
    named |= {f"POST {path}": call for path, call in _WRITES.items()}
    return {name: partial(call, desk) for name, call in named.items()}


def seeks_risk(request: Request) -> bool:
    """Opening orders, plans and transfers; a close says so by `tradeSide` or `reduceOnly`."""
    if request.path in _NEW_RISK:
        return True
    if request.path.removeprefix(f"{MIX}/order/") not in (*_PLACING, "place-plan-order"):
        return False
    try:
        body = json.loads(request.body or b"{}")
    except (ValueError, RecursionError):
        return False
    listed = body.get("orderList") if isinstance(body, dict) else []
    orders = listed if isinstance(listed, list) and listed else [body]
    return any(isinstance(each, dict) and not _closes(each) for each in orders)


def _closes(order: dict[str, object]) -> bool:
    reduce_only = order.get("reduceOnly")
    closes = order.get("tradeSide") == "close"
    return closes or (isinstance(reduce_only, str) and reduce_only.upper() == "YES")
