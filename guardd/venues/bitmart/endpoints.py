"""Every call that a guard makes at BitMart, with its limit, as data (reference, sections 2, 4.1 and 7-13).

Not here, on purpose: `cancel-orders` and `cancel-all-after` (they may take stops with them: I27), `close-all-position` (no
symbol, no size, no client id: I30), and everything about depth, trades of others and affiliates.
"""

from enum import StrEnum
from typing import Final

from msgspec import Struct

from guardd.venues.limiter import Limit, Scope


class Auth(StrEnum):
    NONE = "none"
    KEYED = "keyed"
    """The key alone: every private read (3.1)."""
    SIGNED = "signed"
    """Key, timestamp, signature: every private write, and the transfer list."""


class Host(StrEnum):
    FUTURES = "futures"
    SYSTEM = "system"
    """The spot host, where time and service notices live (2)."""


class Endpoint(Struct, frozen=True):
    """One call: `limit` times in `window_s`, counted by `scope` (UID: the account, any other software on it included)."""

    name: str
    method: str
    path: str
    auth: Auth
    limit: int
    scope: Scope
    window_s: float = 2.0
    host: Host = Host.FUTURES


def _public(name: str, limit: int = 12) -> Endpoint:
    return Endpoint(name, "GET", f"/contract/public/{name}", Auth.NONE, limit, Scope.IP)


def _read(name: str, limit: int) -> Endpoint:
    return Endpoint(name, "GET", f"/contract/private/{name}", Auth.KEYED, limit, Scope.KEY)


def _write(name: str, limit: int, scope: Scope) -> Endpoint:
    return Endpoint(name, "POST", f"/contract/private/{name}", Auth.SIGNED, limit, scope)


SYSTEM_TIME: Final = Endpoint("system-time", "GET", "/system/time", Auth.NONE, 10, Scope.IP, 1.0, Host.SYSTEM)
SYSTEM_SERVICE: Final = Endpoint("system-service", "GET", "/system/service", Auth.NONE, 10, Scope.IP, 1.0, Host.SYSTEM)
SYSTEM_TIME_V2: Final = Endpoint("system-time-v2", "GET", "/system/time", Auth.NONE, 10, Scope.IP, 1.0)
"""Undocumented on this host, but answered there: the fallback (2)."""

DETAILS: Final = _public("details")
LEVERAGE_BRACKET: Final = _public("leverage-bracket")
MARK_PRICE_KLINE: Final = _public("markprice-kline")

ASSETS_DETAIL: Final = _read("assets-detail", 12)
POSITION: Final = _read("position", 6)
POSITION_V2: Final = _read("position-v2", 6)
POSITION_RISK: Final = _read("position-risk", 24)
GET_POSITION_MODE: Final = _read("get-position-mode", 2)
TRADE_FEE_RATE: Final = _read("trade-fee-rate", 2)
TRANSACTION_HISTORY: Final = _read("transaction-history", 6)
ORDER: Final = _read("order", 50)
ORDER_HISTORY: Final = _read("order-history", 6)
GET_OPEN_ORDERS: Final = _read("get-open-orders", 50)
CURRENT_PLAN_ORDER: Final = _read("current-plan-order", 50)
TRADES: Final = _read("trades", 6)

SUBMIT_ORDER: Final = _write("submit-order", 24, Scope.KEY)
CANCEL_ORDER: Final = _write("cancel-order", 40, Scope.KEY)
SUBMIT_TP_SL_ORDER: Final = _write("submit-tp-sl-order", 24, Scope.UID)
MODIFY_TP_SL_ORDER: Final = _write("modify-tp-sl-order", 24, Scope.UID)
SUBMIT_PLAN_ORDER: Final = _write("submit-plan-order", 24, Scope.UID)
MODIFY_PLAN_ORDER: Final = _write("modify-plan-order", 24, Scope.UID)
CANCEL_PLAN_ORDER: Final = _write("cancel-plan-order", 40, Scope.UID)
CANCEL_TRAIL_ORDER: Final = _write("cancel-trail-order", 24, Scope.UID)
SUBMIT_LEVERAGE: Final = _write("submit-leverage", 24, Scope.KEY)
SET_POSITION_MODE: Final = _write("set-position-mode", 2, Scope.KEY)
TRANSFER: Final = Endpoint("transfer-contract", "POST", "/account/v1/transfer-contract", Auth.SIGNED, 1, Scope.KEY)
TRANSFER_LIST: Final = Endpoint(
    "transfer-contract-list", "POST", "/account/v1/transfer-contract-list", Auth.SIGNED, 1, Scope.KEY
)

ALL: Final = (
    *(SYSTEM_TIME, SYSTEM_SERVICE, SYSTEM_TIME_V2, DETAILS, LEVERAGE_BRACKET, MARK_PRICE_KLINE),
    *(ASSETS_DETAIL, POSITION, POSITION_V2, POSITION_RISK, GET_POSITION_MODE, TRADE_FEE_RATE, TRANSACTION_HISTORY),
    *(ORDER, ORDER_HISTORY, GET_OPEN_ORDERS, CURRENT_PLAN_ORDER, TRADES),
    *(SUBMIT_ORDER, CANCEL_ORDER, SUBMIT_TP_SL_ORDER, MODIFY_TP_SL_ORDER),
    *(SUBMIT_PLAN_ORDER, MODIFY_PLAN_ORDER, CANCEL_PLAN_ORDER, CANCEL_TRAIL_ORDER),
    *(SUBMIT_LEVERAGE, SET_POSITION_MODE, TRANSFER, TRANSFER_LIST),
)
LIMITS: Final = tuple(
    Limit(endpoint=each.name, calls=each.limit, window_s=each.window_s, scope=each.scope) for each in ALL
)
