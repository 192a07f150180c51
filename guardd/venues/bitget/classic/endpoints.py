"""Every call that a guard makes of a classic account, with its limit, as data (Bitget reference, 4 and 6-12).

Not here, on purpose: `click-backhand` (it reverses a position), `cancel-all-orders`, `batch-cancel-orders` and `set-all-leverage`
(what they touch isn't named), `batch-place-order` (it opens), and everything about depth, trades of others and candles.
"""

from typing import Final

from guardd.venues.bitget.endpoint import Endpoint
from guardd.venues.limiter import Limit, Scope

_MIX: Final = "/api/v2/mix"


def _public(name: str) -> Endpoint:
    return Endpoint(name, "GET", f"{_MIX}/market/{name}", signed=False)


def _read(room: str, name: str) -> Endpoint:
    return Endpoint(name, "GET", f"{_MIX}/{room}/{name}", signed=True)


def _write(room: str, name: str) -> Endpoint:
    return Endpoint(name, "POST", f"{_MIX}/{room}/{name}", signed=True)


CONTRACTS: Final = _public("contracts")
TIERS: Final = _public("query-position-lever")
TICKER: Final = _public("ticker")
TICKERS: Final = _public("tickers")
SYMBOL_PRICE: Final = _public("symbol-price")

TRADE_RATE: Final = Endpoint("trade-rate", "GET", "/api/v2/common/trade-rate", signed=True)
ACCOUNT: Final = _read("account", "account")
ACCOUNTS: Final = _read("account", "accounts")
BILL: Final = _read("account", "bill")
SINGLE_POSITION: Final = _read("position", "single-position")
ALL_POSITION: Final = _read("position", "all-position")
ADL_RANK: Final = _read("position", "adlRank")
ORDER_DETAIL: Final = _read("order", "detail")
ORDERS_PENDING: Final = _read("order", "orders-pending")
ORDERS_HISTORY: Final = _read("order", "orders-history")
FILLS: Final = _read("order", "fills")
PLANS_PENDING: Final = _read("order", "orders-plan-pending")
PLANS_HISTORY: Final = _read("order", "orders-plan-history")
KEY_INFO: Final = Endpoint("account-info", "GET", "/api/v2/spot/account/info", signed=True)
SPOT_ASSETS: Final = Endpoint("spot-assets", "GET", "/api/v2/spot/account/assets", signed=True)
TRANSFER_RECORDS: Final = Endpoint("transfer-records", "GET", "/api/v2/spot/account/transferRecords", signed=True)

PLACE_ORDER: Final = _write("order", "place-order")
CANCEL_ORDER: Final = _write("order", "cancel-order")
CLOSE_POSITIONS: Final = _write("order", "close-positions")
PLACE_TPSL: Final = _write("order", "place-tpsl-order")
MODIFY_TPSL: Final = _write("order", "modify-tpsl-order")
PLACE_PLAN: Final = _write("order", "place-plan-order")
MODIFY_PLAN: Final = _write("order", "modify-plan-order")
CANCEL_PLAN: Final = _write("order", "cancel-plan-order")
SET_LEVERAGE: Final = _write("account", "set-leverage")
SET_MARGIN: Final = _write("account", "set-margin")
SET_MARGIN_MODE: Final = _write("account", "set-margin-mode")
SET_POSITION_MODE: Final = _write("account", "set-position-mode")
SET_AUTO_MARGIN: Final = _write("account", "set-auto-margin")
TRANSFER: Final = Endpoint("wallet-transfer", "POST", "/api/v2/spot/wallet/transfer", signed=True)

_CALLS_A_SECOND: Final = {
    Scope.IP: (
        (20, (CONTRACTS, TICKER, TICKERS)),
        (10, (TIERS,)),
    ),
    Scope.UID: (
        (20, (SYMBOL_PRICE, TRANSFER_RECORDS)),
        (10, (TRADE_RATE, ACCOUNT, ACCOUNTS, BILL, SINGLE_POSITION, SPOT_ASSETS)),
        (10, (ORDER_DETAIL, ORDERS_PENDING, ORDERS_HISTORY, FILLS, PLANS_PENDING, PLANS_HISTORY)),
        (10, (PLACE_ORDER, CANCEL_ORDER, PLACE_TPSL, MODIFY_TPSL, PLACE_PLAN, MODIFY_PLAN, CANCEL_PLAN, TRANSFER)),
        (5, (ALL_POSITION, ADL_RANK)),
        (5, (SET_LEVERAGE, SET_MARGIN, SET_MARGIN_MODE, SET_POSITION_MODE, SET_AUTO_MARGIN)),
        (1, (CLOSE_POSITIONS, KEY_INFO)),
    ),
}
"""The default tier; VIP levels raise it (4). `account-info` has no published limit: the smallest is assumed."""

LIMITS: Final = tuple(
    Limit(endpoint=each.name, calls=calls, window_s=1.0, scope=scope)
    for scope, rows in _CALLS_A_SECOND.items()
    for calls, endpoints in rows
    for each in endpoints
)
