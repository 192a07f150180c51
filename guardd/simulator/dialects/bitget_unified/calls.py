"""Which function answers which call."""

from functools import partial

from guardd.simulator.dialects.bitget_common.gateway import Handler as Bound
from guardd.simulator.dialects.bitget_unified import account, lookups, orders, positions, public, strategies
from guardd.simulator.dialects.bitget_unified.desk import Desk, Handler

CANCEL_STRATEGY_PATH = "/api/v3/trade/cancel-strategy-order"

_CALLS: dict[str, Handler] = {
    "GET /api/v2/public/time": public.server_time,
    "GET /api/v3/public/time": public.server_time,
    "GET /api/v2/spot/public/coins": public.nothing_listed,
    "GET /api/v3/market/instruments": public.instruments,
    "GET /api/v3/market/tickers": public.tickers,
    "GET /api/v3/market/orderbook": public.orderbook,
    "GET /api/v3/market/candles": public.candles,
    "GET /api/v3/market/history-candles": public.history_candles,
    "GET /api/v3/market/current-fund-rate": public.current_fund_rate,
    "GET /api/v3/market/history-fund-rate": public.history_fund_rate,
    "GET /api/v3/market/open-interest": public.open_interest_rows,
    "GET /api/v3/market/position-tier": public.position_tier,
    "GET /api/v3/market/discount-rate": public.discount_rate,
    "GET /api/v3/account/assets": account.assets,
    "GET /api/v3/account/settings": account.settings,
    "GET /api/v3/account/funding-assets": account.funding_assets,
    "GET /api/v3/account/financial-records": account.financial_records,
    "GET /api/v3/account/info": account.info,
    "GET /api/v3/account/switch-status": account.switch_status,
    "GET /api/v3/account/max-transferable": account.max_transferable,
    "GET /api/v3/account/transferable-coins": account.transferable_coins,
    "POST /api/v3/account/set-leverage": account.set_leverage,
    "POST /api/v3/account/set-hold-mode": account.set_hold_mode,
    "POST /api/v3/account/set-margin": account.set_margin,
    "POST /api/v3/account/transfer": account.transfer,
    "POST /api/v3/account/max-open-available": account.max_open_available,
    "GET /api/v3/position/current-position": positions.current_position,
    "GET /api/v3/position/history-position": positions.history_position,
    "GET /api/v3/position/adlRank": positions.adl_rank,
    "GET /api/v3/trade/order-info": lookups.order_info,
    "GET /api/v3/trade/unfilled-orders": lookups.unfilled_orders,
    "GET /api/v3/trade/history-orders": lookups.history_orders,
    "GET /api/v3/trade/fills": lookups.fills,
    "GET /api/v3/trade/unfilled-strategy-orders": strategies.unfilled_strategy_orders,
    "GET /api/v3/trade/history-strategy-orders": strategies.history_strategy_orders,
    "GET /api/v3/trade/strategy-sub-orders": strategies.strategy_sub_orders,
    "GET /api/v3/trade/loan-data": account.loan_data,
    "POST /api/v3/trade/place-order": orders.place_order,
    "POST /api/v3/trade/modify-order": orders.modify_order,
    "POST /api/v3/trade/cancel-order": orders.cancel_order,
    "POST /api/v3/trade/place-strategy-order": strategies.place_strategy_order,
    "POST /api/v3/trade/modify-strategy-order": strategies.modify_strategy_order,
    f"POST {CANCEL_STRATEGY_PATH}": strategies.cancel_strategy_order,
    "POST /api/v3/trade/place-batch": orders.place_batch,
    "POST /api/v3/trade/cancel-batch": orders.cancel_batch,
    "POST /api/v3/trade/cancel-symbol-order": orders.cancel_symbol_order,
    "POST /api/v3/trade/close-positions": orders.close_positions,
    "POST /api/v3/trade/countdown-cancel-all": orders.countdown_cancel_all,
}


def handlers(desk: Desk) -> dict[str, Bound]:
    """Every call by its endpoint's name, bound to this desk."""
    return {name: partial(call, desk) for name, call in _CALLS.items()}
