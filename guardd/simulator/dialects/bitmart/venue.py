"""BitMart's REST side in one call: a request goes in, the answer comes out. No sockets, no clock.

The order of judgement is the venue's: the edge (Cloudflare), the address's ban, the path, the rate limit, the key, and
only then the call itself. A refused call carries the rate-limit headers like any other.
"""

from collections.abc import Callable
from typing import TypeAlias

from msgspec.structs import replace

from guardd.simulator.dialects.bitmart import account, envelope, orders, plans, public
from guardd.simulator.dialects.bitmart.arguments import Body
from guardd.simulator.dialects.bitmart.auth import Keyring, Level
from guardd.simulator.dialects.bitmart.desk import Call, Desk, Handler, code_of
from guardd.simulator.dialects.bitmart.endpoints import ENDPOINTS, RETIRED_PREFIXES, Endpoint
from guardd.simulator.dialects.bitmart.envelope import Success, VenueError
from guardd.simulator.faults import Fault, FaultKind
from guardd.simulator.limits import Charge, Limits, Scope, Verdict
from guardd.simulator.refusals import Refused
from guardd.simulator.wire import Reply, Request, Response

LIBRARY_AGENTS = ("python", "aiohttp", "java", "go-http-client", "curl", "okhttp", "libwww", "axios", "node")

_HANDLERS: dict[str, Handler] = {
    "GET /system/time": public.system_time,
    "GET /system/service": public.system_service,
    "GET /spot/v1/symbols/details": public.spot_symbols,
    "GET /account/v1/currencies": public.currencies,
    "GET /contract/public/details": public.details,
    "GET /contract/public/depth": public.depth,
    "GET /contract/public/market-trade": public.market_trade,
    "GET /contract/public/open-interest": public.open_interest,
    "GET /contract/public/funding-rate": public.funding_rate,
    "GET /contract/public/funding-rate-v2": public.funding_rate_v2,
    "GET /contract/public/funding-rate-history": public.funding_rate_history,
    "GET /contract/public/kline": public.kline,
    "GET /contract/public/markprice-kline": public.markprice_kline,
    "GET /contract/public/leverage-bracket": public.leverage_bracket,
    "GET /contract/private/assets-detail": account.assets_detail,
    "GET /contract/private/trade-fee-rate": account.trade_fee_rate,
    "GET /contract/private/position": account.position,
    "GET /contract/private/position-v2": account.position_v2,
    "GET /contract/private/position-risk": account.position_risk,
    "GET /contract/private/get-position-mode": account.get_position_mode,
    "GET /contract/private/transaction-history": account.transaction_history,
    "GET /contract/private/order": orders.order,
    "GET /contract/private/get-open-orders": orders.get_open_orders,
    "GET /contract/private/current-plan-order": orders.current_plan_order,
    "GET /contract/private/order-history": orders.order_history,
    "GET /contract/private/trades": orders.trades,
    "POST /contract/private/set-position-mode": account.set_position_mode,
    "POST /contract/private/submit-order": orders.submit_order,
    "POST /contract/private/modify-limit-order": orders.modify_limit_order,
    "POST /contract/private/cancel-order": orders.cancel_order,
    "POST /contract/private/cancel-orders": orders.cancel_orders,
    "POST /contract/private/cancel-all-after": orders.cancel_all_after,
    "POST /contract/private/submit-plan-order": plans.submit_plan_order,
    "POST /contract/private/cancel-plan-order": plans.cancel_plan_order,
    "POST /contract/private/modify-plan-order": plans.modify_plan_order,
    "POST /contract/private/modify-preset-plan-order": plans.modify_preset_plan_order,
    "POST /contract/private/submit-tp-sl-order": plans.submit_tp_sl_order,
    "POST /contract/private/modify-tp-sl-order": plans.modify_tp_sl_order,
    "POST /contract/private/submit-trail-order": plans.submit_trail_order,
    "POST /contract/private/cancel-trail-order": plans.cancel_trail_order,
    "POST /contract/private/submit-leverage": account.submit_leverage,
    "POST /account/v1/transfer-contract": account.transfer_contract,
    "POST /account/v1/transfer-contract-list": account.transfer_contract_list,
    "POST /contract/private/claim": account.claim,
}
_NEW_RISK_PATHS = (
    "/contract/private/submit-plan-order",
    "/contract/private/submit-tp-sl-order",
    "/contract/private/submit-trail-order",
    "/account/v1/transfer-contract",
)
_OPENING_SIDES = (1, 4)
_Asked: TypeAlias = tuple[tuple[str, str], ...]
_PAGES: dict[FaultKind, Callable[[str], Response]] = {
    FaultKind.CLOUDFLARE_403: envelope.cloudflare_challenge,
    FaultKind.CLOUDFLARE_1010: envelope.cloudflare_1010,
    FaultKind.CLOUDFLARE_503: envelope.cloudflare_503,
    FaultKind.ERROR_HTML: envelope.bad_gateway,
}


class BitmartVenue:
    """The dialect's REST half. `desk` holds what handlers need."""

    def __init__(self, desk: Desk, keyring: Keyring, limits: Limits) -> None:
        self.desk = desk
        self.keyring = keyring
        self.limits = limits
        self._earlier: dict[tuple[str, str, _Asked], Response] = {}  # last true answer of each read, for stale ones

    def answer(self, request: Request) -> Reply:
        """Judge and execute one request, faults included."""
        uid = self._uid(request)
        edge = self._edge(request, uid)
        if edge is not None:
            return Reply(response=edge)
        endpoint = ENDPOINTS.get((request.method, request.path))
        if endpoint is None:
            return Reply(response=self._unknown(request))
        charge = self._charge(endpoint, request, uid)
        if self._strikes(FaultKind.TIMEOUT_BEFORE, request, uid):
            return Reply(response=None)
        response = self._judged(endpoint, request, uid, charge)
        if self._strikes(FaultKind.TIMEOUT_AFTER, request, uid):
            return Reply(response=None)
        slow = self._strikes(FaultKind.SLOW, request, uid)
        return Reply(response=_with_limits(response, charge), delay_ms=slow.delay_ms if slow else 0)

    def _uid(self, request: Request) -> str:
        key = self.keyring.of_request(request.headers)
        return key.uid if key else ""

    def _edge(self, request: Request, uid: str) -> Response | None:
        if not self.desk.faults.kinds:
            return None
        agent = request.headers.get("user-agent", "").lower()
        if (not agent or agent.startswith(LIBRARY_AGENTS)) and self._strikes(FaultKind.AGENT_CHECK, request, uid):
            return envelope.cloudflare_1010(self._ray())
        for kind, page in _PAGES.items():
            if self._strikes(kind, request, uid):
                return page(self._ray())
        return None

    def _unknown(self, request: Request) -> Response:
        if self.limits.banned(request.peer_ip, request.now_ms):
            return self._refusal(VenueError(30017))
        retired = request.path.startswith(RETIRED_PREFIXES)
        return self._refusal(VenueError(30030 if retired else 30000))

    def _charge(self, endpoint: Endpoint, request: Request, uid: str) -> Charge:
        match endpoint.rate.scope:
            case Scope.IP:
                caller = request.peer_ip
            case Scope.KEY:
                caller = request.headers.get("x-bm-key", "")
            case Scope.UID:
                caller = uid or request.headers.get("x-bm-key", "")
        return self.limits.charge(endpoint.name, endpoint.rate, caller, request.peer_ip, request.now_ms)

    def _judged(self, endpoint: Endpoint, request: Request, uid: str, charge: Charge) -> Response:
        try:
            self._admit(request, uid, charge)
            if request.method == "POST" and "application/json" not in request.headers.get("content-type", ""):
                raise VenueError(30018)
            key = self.keyring.authenticate(request, endpoint.level)
            self._refuse_by_fault(endpoint, request, uid)
            call = Call(
                request=request,
                uid=key.uid if key else "",
                now_ms=max(request.now_ms, self.desk.exchange.now_ms),
            )
            return self._execute(endpoint, call)
        except Refused as refusal:
            return self._refusal(code_of(refusal))
        except VenueError as error:
            return self._refusal(error)

    def _admit(self, request: Request, uid: str, charge: Charge) -> None:
        if charge.verdict is Verdict.BANNED or self._strikes(FaultKind.BANNED, request, uid):
            raise VenueError(30017)
        if charge.verdict is Verdict.TOO_MANY:
            raise VenueError(30013)
        if self._strikes(FaultKind.TOO_MANY, request, uid):
            self.limits.note_refusal(request.peer_ip, request.now_ms)
            raise VenueError(30013)
        if self._strikes(FaultKind.UNAVAILABLE, request, uid):
            raise VenueError(30014)

    def _refuse_by_fault(self, endpoint: Endpoint, request: Request, uid: str) -> None:
        if endpoint.level is not Level.NONE and self._strikes(FaultKind.MAINTENANCE, request, uid):
            raise VenueError(30016)
        if _seeks_risk(request):
            closing = self._strikes(FaultKind.CLOSING, request, uid)
            if closing is not None:
                raise VenueError(closing.code or 40015)
        refused = self._strikes(FaultKind.REFUSE, request, uid)
        if refused is not None:
            raise VenueError(refused.code or 40012)

    def _execute(self, endpoint: Endpoint, call: Call) -> Response:
        if endpoint.level is not Level.KEYED:
            return self._handle(endpoint, call)
        if self._strikes(FaultKind.EMPTY_READ, call.request, call.uid):
            return envelope.success(_emptied(_HANDLERS[endpoint.name](self.desk, call)), self.desk.trace())
        asked = (endpoint.name, call.uid, tuple(sorted(call.request.query.items())))
        if self._strikes(FaultKind.STALE_READ, call.request, call.uid):
            return self._earlier.setdefault(asked, self._handle(endpoint, call))
        response = self._handle(endpoint, call)
        self._earlier[asked] = response
        return response

    def _handle(self, endpoint: Endpoint, call: Call) -> Response:
        return envelope.success(_HANDLERS[endpoint.name](self.desk, call), self.desk.trace())

    def _refusal(self, error: VenueError) -> Response:
        return envelope.refusal(error, self.desk.trace())

    def _ray(self) -> str:
        return self.desk.trace().replace("-", "")

    def _strikes(self, kind: FaultKind, request: Request, uid: str) -> Fault | None:
        if kind not in self.desk.faults.kinds:
            return None
        symbol = request.query.get("symbol", "")
        return self.desk.faults.strikes(kind, request.now_ms, target=request.path, account=uid, symbol=symbol)


def _seeks_risk(request: Request) -> bool:
    """What a venue that is closing refuses first (reference section 0): opening orders, plans, transfers."""
    if request.path == "/contract/private/submit-order":
        return Body.of(request).optional_integer("side") in _OPENING_SIDES
    return request.path in _NEW_RISK_PATHS


def _emptied(answer: Success) -> Success:
    return replace(answer, data=[]) if isinstance(answer.data, list) else answer


def _with_limits(response: Response, charge: Charge) -> Response:
    """`Remaining` counts what is used, in spite of its name (reference 4.2)."""
    headers = {
        **response.headers,
        "x-bm-ratelimit-mode": charge.rate.scope.value,
        "x-bm-ratelimit-limit": str(charge.rate.count),
        "x-bm-ratelimit-remaining": str(charge.used),
        "x-bm-ratelimit-reset": str(charge.rate.window_s),
    }
    return Response(status=response.status, headers=headers, body=response.body)
