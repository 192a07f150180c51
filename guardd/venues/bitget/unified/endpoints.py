"""Every call that guardd makes of a unified account, with its limit, as data (UTA reference, 1 and 6-10).

Not here, on purpose: `cancel-symbol-order` and `countdown-cancel-all` (they may take stops with them: I27), batches, `switch`,
`adjust-account-mode`, `set-collateral-type`, `repay` and `move-positions` (2, 8.4), and withdrawals.
"""

from typing import Final

from guardd.venues.bitget.endpoint import Endpoint
from guardd.venues.limiter import Limit, Scope

_LIMITS: dict[str, Limit] = {}


def _call(method: str, path: str, calls: int, *, signed: bool = True) -> Endpoint:
    """One call, and its row in the table of limits: so many in a second, by address where public, by account where private."""
    endpoint = Endpoint(name=f"v3-{path.rpartition('/')[2]}", method=method, path=f"/api/v3/{path}", signed=signed)
    scope = Scope.UID if signed else Scope.IP
    _LIMITS[endpoint.name] = Limit(endpoint=endpoint.name, calls=calls, window_s=1.0, scope=scope)
    return endpoint


INSTRUMENTS: Final = _call("GET", "market/instruments", 20, signed=False)
TICKERS: Final = _call("GET", "market/tickers", 20, signed=False)
POSITION_TIER: Final = _call("GET", "market/position-tier", 20, signed=False)

ACCOUNT_INFO: Final = _call("GET", "account/info", 5)
SETTINGS: Final = _call("GET", "account/settings", 20)
ASSETS: Final = _call("GET", "account/assets", 20)
FUNDING_ASSETS: Final = _call("GET", "account/funding-assets", 20)
FINANCIAL_RECORDS: Final = _call("GET", "account/financial-records", 20)
CURRENT_POSITION: Final = _call("GET", "position/current-position", 20)
ORDER_INFO: Final = _call("GET", "trade/order-info", 20)
UNFILLED_ORDERS: Final = _call("GET", "trade/unfilled-orders", 20)
HISTORY_ORDERS: Final = _call("GET", "trade/history-orders", 20)
FILLS: Final = _call("GET", "trade/fills", 20)
UNFILLED_STRATEGY_ORDERS: Final = _call("GET", "trade/unfilled-strategy-orders", 20)
HISTORY_STRATEGY_ORDERS: Final = _call("GET", "trade/history-strategy-orders", 20)
STRATEGY_SUB_ORDERS: Final = _call("GET", "trade/strategy-sub-orders", 10)

PLACE_ORDER: Final = _call("POST", "trade/place-order", 10)
CANCEL_ORDER: Final = _call("POST", "trade/cancel-order", 10)
CLOSE_POSITIONS: Final = _call("POST", "trade/close-positions", 5)
"""Only with a symbol, and only where an order for the whole position was refused for its form (9.6, 12.3)."""
PLACE_STRATEGY_ORDER: Final = _call("POST", "trade/place-strategy-order", 10)
MODIFY_STRATEGY_ORDER: Final = _call("POST", "trade/modify-strategy-order", 10)
CANCEL_STRATEGY_ORDER: Final = _call("POST", "trade/cancel-strategy-order", 10)
SET_LEVERAGE: Final = _call("POST", "account/set-leverage", 10)

SET_MARGIN: Final = _call("POST", "account/set-margin", 10)
SET_HOLD_MODE: Final = _call("POST", "account/set-hold-mode", 10)
TRANSFER: Final = _call("POST", "account/transfer", 5)
"""The last three are an operator's."""

LIMITS: Final = tuple(_LIMITS.values())
