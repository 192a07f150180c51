"""Every REST call that is served: path, what it must prove, how often it may be made. Reference 4.1."""

from msgspec import Struct

from guardd.simulator.dialects.bitmart.auth import Level
from guardd.simulator.limits import Rate, Scope


class Endpoint(Struct, frozen=True, kw_only=True):
    method: str
    path: str
    level: Level
    rate: Rate

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


def _endpoint(method: str, path: str, level: Level, count: int, scope: Scope, window_s: int = 2) -> Endpoint:
    return Endpoint(method=method, path=path, level=level, rate=Rate(count=count, window_s=window_s, scope=scope))


def _public(path: str, count: int = 12) -> Endpoint:
    return _endpoint("GET", f"/contract/public/{path}", Level.NONE, count, Scope.IP)


def _read(path: str, count: int) -> Endpoint:
    return _endpoint("GET", f"/contract/private/{path}", Level.KEYED, count, Scope.KEY)


def _write(path: str, count: int, scope: Scope) -> Endpoint:
    return _endpoint("POST", f"/contract/private/{path}", Level.SIGNED, count, scope)


def _account(path: str, count: int) -> Endpoint:
    return _endpoint("POST", f"/account/v1/{path}", Level.SIGNED, count, Scope.KEY)


_ALL = (
    _endpoint("GET", "/system/time", Level.NONE, 10, Scope.IP, window_s=1),
    _endpoint("GET", "/system/service", Level.NONE, 10, Scope.IP, window_s=1),
    # The spot host's listings, empty: general clients ask for them before they look at futures.
    _endpoint("GET", "/spot/v1/symbols/details", Level.NONE, 12, Scope.IP),
    _endpoint("GET", "/account/v1/currencies", Level.NONE, 2, Scope.IP),
    _public("details"),
    _public("depth"),
    _public("market-trade"),
    _public("open-interest", 2),
    _public("funding-rate"),
    _public("funding-rate-v2"),
    _public("funding-rate-history"),
    _public("kline"),
    _public("markprice-kline"),
    _public("leverage-bracket"),
    _read("assets-detail", 12),
    _read("trade-fee-rate", 2),
    _read("position", 6),
    _read("position-v2", 6),
    _read("position-risk", 24),
    _read("get-position-mode", 2),
    _read("transaction-history", 6),
    _read("order", 50),
    _read("get-open-orders", 50),
    _read("current-plan-order", 50),
    _read("order-history", 6),
    _read("trades", 6),
    _write("set-position-mode", 2, Scope.KEY),
    _write("submit-order", 24, Scope.KEY),
    _write("modify-limit-order", 24, Scope.UID),
    _write("cancel-order", 40, Scope.KEY),
    _write("cancel-orders", 2, Scope.KEY),
    _write("cancel-all-after", 4, Scope.UID),
    _write("submit-plan-order", 24, Scope.UID),
    _write("cancel-plan-order", 40, Scope.UID),
    _write("modify-plan-order", 24, Scope.UID),
    _write("modify-preset-plan-order", 24, Scope.UID),
    _write("submit-tp-sl-order", 24, Scope.UID),
    _write("modify-tp-sl-order", 24, Scope.UID),
    _write("submit-trail-order", 24, Scope.UID),
    _write("cancel-trail-order", 24, Scope.UID),
    _write("submit-leverage", 24, Scope.KEY),
    _account("transfer-contract", 1),
    _account("transfer-contract-list", 1),
    _write("claim", 2, Scope.KEY),  # not listed: "assume 2 per 2 s"
)
ENDPOINTS: dict[tuple[str, str], Endpoint] = {(each.method, each.path): each for each in _ALL}
# Retired paths that still answer, with HTTP 200 (16.1).
RETIRED_PREFIXES = ("/contract/v1/",)
