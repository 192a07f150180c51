"""The REST half of both dialects: what a request passes before its call is made, faults included.

The order of judgement: the edge (Cloudflare), the path, the address's budget and the call's own, the account's family
(16.1: before the signature is looked at), the key, and only then the call itself.
"""

import json
from collections.abc import Callable, Mapping
from random import Random
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from guardd.simulator.dialects.bitget_common import envelope
from guardd.simulator.dialects.bitget_common.arguments import Fields
from guardd.simulator.dialects.bitget_common.auth import Family, Keyring
from guardd.simulator.dialects.bitget_common.endpoints import MARKET, OVERALL, OVERALL_RECOVERY_S, Endpoint
from guardd.simulator.dialects.bitget_common.envelope import TOO_MANY, Json, VenueError, code_of_fault
from guardd.simulator.engine import Exchange
from guardd.simulator.faults import Fault, FaultKind, Faults
from guardd.simulator.limits import BanRule, Charge, Limits, Scope, Verdict
from guardd.simulator.refusals import Refused
from guardd.simulator.wire import Reply, Request, Response

LIBRARY_AGENTS = ("python", "aiohttp", "java", "go-http-client", "curl", "okhttp", "libwww", "axios", "node")
NEVER_BANNED = BanRule(refusals=1_000_000_000)  # this venue documents no ban, only the overall limit's recovery (4)
_RETIRED = ("/api/mix/v1/", "/api/spot/v1/")
_LISTS = ("entrustedList", "fillList", "list", "bills")
_Asked: TypeAlias = tuple[tuple[str, str], ...]


_PAGES: dict[FaultKind, Callable[[str], Response]] = {
    FaultKind.CLOUDFLARE_403: envelope.blocked,
    FaultKind.CLOUDFLARE_1010: envelope.agent_refused,
    FaultKind.CLOUDFLARE_503: envelope.edge_unavailable,
    FaultKind.ERROR_HTML: envelope.bad_gateway,
}


class Call(Struct, frozen=True, kw_only=True):
    """One admitted request. `uid` is "" on public calls; `now_ms` is the exchange's time, which never steps back."""

    request: Request
    uid: str
    now_ms: int
    numbers: bool = False

    @property
    def query(self) -> Fields:
        return Fields.of_query(self.request)

    @property
    def body(self) -> Fields:
        return Fields.of_body(self.request, numbers=self.numbers)


Handler = Callable[[Call], Json]


def _unified_info(uid: str) -> Json:
    return {
        "userId": uid,
        "inviterId": "",
        "parentId": "",
        "channelCode": "",
        "channel": "",
        "ips": "",
        "permType": "read-and-write",
        "permissions": ["uta_mgt", "uta_trade"],
        "regisTime": "1704067200000",
    }


def _unified_settings(uid: str) -> Json:
    return {
        "uid": uid,
        "accountMode": "unified",
        "assetMode": "multi_assets",
        "accountLevel": "advanced",
        "holdMode": "hedge_mode",
        "stpMode": "none",
        "symbolConfigList": [],
        "coinConfigList": [],
    }


# What proves the family of an account that has switched to it (UTA reference, 2).
_PUBLIC = ("/market/", "/public/")
_OF_SWITCHED: dict[Family, dict[str, Callable[[str], Json]]] = {
    Family.UNIFIED: {"/api/v3/account/info": _unified_info, "/api/v3/account/settings": _unified_settings},
    Family.CLASSIC: {"/api/v2/mix/account/accounts": lambda _uid: []},
}


class Counter(Struct, frozen=True, kw_only=True):
    """What a family puts behind the gateway: its calls, and its words for the exchange's refusals.

    `other_prefix` are the paths of the other family; `seeks_risk` says what a closing venue refuses first.
    """

    family: Family
    endpoints: Mapping[tuple[str, str], Endpoint]
    handlers: Mapping[str, Handler]
    code_of: Callable[[Refused], VenueError]
    seeks_risk: Callable[[Request], bool]
    other_prefix: str
    takes_numbers: bool = False  # in bodies, for their text


class Gateway:
    """Judges and executes requests against one counter."""

    def __init__(
        self, counter: Counter, *, exchange: Exchange, faults: Faults, random: Random, keyring: Keyring, limits: Limits
    ) -> None:
        self._counter = counter
        self._exchange = exchange
        self._faults = faults
        self._armed = faults.kinds
        self._random = random
        self._keyring = keyring
        self._limits = limits
        self._earlier: dict[tuple[str, str, _Asked], Response] = {}  # last true answer of each read, for stale ones

    def answer(self, request: Request) -> Reply:
        uid = self.account_of(request)
        edge = self._edge(request, uid)
        if edge is not None:
            return Reply(response=edge)
        endpoint = self._counter.endpoints.get((request.method, request.path))
        if endpoint is None:
            return Reply(response=self._unknown(request))
        charge = self._charge(endpoint, request, uid)
        if self._strikes(FaultKind.TIMEOUT_BEFORE, request, uid):
            return Reply(response=None)
        response = self._judged(endpoint, request, uid, charge)
        if self._strikes(FaultKind.TIMEOUT_AFTER, request, uid):
            return Reply(response=None)
        slow = self._strikes(FaultKind.SLOW, request, uid)
        return Reply(response=_with_limit(response, charge), delay_ms=slow.delay_ms if slow else 0)

    def account_of(self, request: Request) -> str:
        key = self._keyring.of_request(request.headers)
        return key.uid if key else ""

    def _edge(self, request: Request, uid: str) -> Response | None:
        if not self._armed:
            return None
        agent = request.headers.get("user-agent", "").lower()
        if (not agent or agent.startswith(LIBRARY_AGENTS)) and self._strikes(FaultKind.AGENT_CHECK, request, uid):
            return envelope.agent_refused(self._ray())
        for kind, page in _PAGES.items():
            if self._strikes(kind, request, uid):
                return page(self._ray())
        return None

    def _unknown(self, request: Request) -> Response:
        """A path of the other family, one that is retired, or one that isn't there."""
        try:
            if request.path.startswith(_RETIRED):
                raise VenueError("30032")
            if request.path.startswith(self._counter.other_prefix):
                return self._elsewhere(request)
            raise VenueError("40404")
        except VenueError as error:
            return self._refusal(error, request)

    def _elsewhere(self, request: Request) -> Response:
        """The other family's paths tell which one the key's account is of (16.1); to one that has switched, no more than that."""
        other = Family.UNIFIED if self._counter.family is Family.CLASSIC else Family.CLASSIC
        if request.method == "GET" and any(part in request.path for part in _PUBLIC):
            raise VenueError("40404")  # both families have their own; this venue keeps one
        if not self._switched(request):
            self._keyring.check_family(request, other)
        key = self._keyring.authenticate(request)
        answers = _OF_SWITCHED[other]
        if request.method != "GET" or request.path not in answers:
            raise VenueError("40404")
        return envelope.success(answers[request.path](key.uid), request.now_ms)

    def _charge(self, endpoint: Endpoint, request: Request, uid: str) -> Charge:
        """The address's whole budget, what market calls share, and the call's own: the last is what headers show."""
        limits, ip, now_ms = self._limits, request.peer_ip, request.now_ms
        if not limits.banned(ip, now_ms):
            overall = limits.charge("overall", OVERALL, ip, ip, now_ms)
            if overall.verdict is Verdict.TOO_MANY:
                limits.ban(ip, now_ms + OVERALL_RECOVERY_S * 1000)
        shared = limits.charge("market", MARKET, ip, ip, now_ms) if endpoint.market else None
        caller = ip if endpoint.rate.scope is Scope.IP else uid or request.headers.get("access-key", ip)
        own = limits.charge(endpoint.name, endpoint.rate, caller, ip, now_ms)
        if shared is not None and shared.verdict is Verdict.TOO_MANY:
            return replace(own, verdict=Verdict.TOO_MANY)
        return own

    def _judged(self, endpoint: Endpoint, request: Request, uid: str, charge: Charge) -> Response:
        try:
            self._admit(request, uid, charge)
            key_uid = ""
            if endpoint.private:
                self._check_family(request)
                if request.body and "application/json" not in request.headers.get("content-type", ""):
                    raise VenueError("40007")
                key_uid = self._keyring.authenticate(request).uid
            self._refuse_by_fault(endpoint, request, uid)
            call = Call(
                request=request,
                uid=key_uid,
                now_ms=max(request.now_ms, self._exchange.now_ms),
                numbers=self._counter.takes_numbers,
            )
            return self._execute(endpoint, call)
        except Refused as refusal:
            return self._refusal(self._counter.code_of(refusal), request)
        except VenueError as error:
            return self._refusal(error, request)

    def _admit(self, request: Request, uid: str, charge: Charge) -> None:
        if charge.verdict is not Verdict.PASS:
            raise VenueError(TOO_MANY)
        if self._strikes(FaultKind.TOO_MANY, request, uid) or self._strikes(FaultKind.BANNED, request, uid):
            raise VenueError(TOO_MANY)
        if self._strikes(FaultKind.UNAVAILABLE, request, uid):
            raise VenueError("40725")

    def _check_family(self, request: Request) -> None:
        """Before the signature (16.1); as the keyring knows it, or as a fault has it for a while."""
        family = self._counter.family
        if self._switched(request):
            raise VenueError("40085" if family is Family.CLASSIC else "40084")
        self._keyring.check_family(request, family)

    def _switched(self, request: Request) -> bool:
        uid = self.account_of(request)
        return self._faults.stands(FaultKind.OTHER_FAMILY, request.now_ms, account=uid) is not None

    def _refuse_by_fault(self, endpoint: Endpoint, request: Request, uid: str) -> None:
        if endpoint.private and self._strikes(FaultKind.MAINTENANCE, request, uid):
            raise VenueError("40200")
        if self._counter.seeks_risk(request):
            closing = self._strikes(FaultKind.CLOSING, request, uid)
            if closing is not None:
                raise VenueError(code_of_fault(closing.code, "45107"))
        refused = self._strikes(FaultKind.REFUSE, request, uid)
        if refused is not None:
            raise VenueError(code_of_fault(refused.code, "400172"))

    def _execute(self, endpoint: Endpoint, call: Call) -> Response:
        if not endpoint.private or endpoint.method != "GET":
            return self._handle(endpoint, call)
        if self._strikes(FaultKind.EMPTY_READ, call.request, call.uid):
            return envelope.success(_emptied(self._counter.handlers[endpoint.name](call)), call.now_ms)
        asked = (endpoint.name, call.uid, tuple(sorted(call.request.query.items())))
        if self._strikes(FaultKind.STALE_READ, call.request, call.uid):
            return self._earlier.setdefault(asked, self._handle(endpoint, call))
        response = self._handle(endpoint, call)
        self._earlier[asked] = response
        return response

    def _handle(self, endpoint: Endpoint, call: Call) -> Response:
        return envelope.success(self._counter.handlers[endpoint.name](call), call.now_ms)

    def _refusal(self, error: VenueError, request: Request) -> Response:
        return envelope.refusal(error, request.now_ms)

    def _ray(self) -> str:
        return f"{self._random.getrandbits(64):016x}"

    def _strikes(self, kind: FaultKind, request: Request, uid: str) -> Fault | None:
        if kind not in self._armed:
            return None
        return self._faults.strikes(kind, request.now_ms, target=request.path, account=uid, symbol=_symbol_of(request))


def _symbol_of(request: Request) -> str:
    if request.method != "POST":
        return request.query.get("symbol", "")
    try:
        parsed = json.loads(request.body or b"{}")
    except (ValueError, RecursionError):
        return ""
    named = parsed.get("symbol", "") if isinstance(parsed, dict) else ""
    return named if isinstance(named, str) else ""


def _emptied(data: Json) -> Json:
    """Lists can be `[]` or null when empty (2); this venue's paged ones are null, with their cursor."""
    if isinstance(data, list):
        return []
    if isinstance(data, Mapping):
        return {name: None if name in (*_LISTS, "endId", "cursor") else value for name, value in data.items()}
    return data


def _with_limit(response: Response, charge: Charge) -> Response:
    """Requests left for this call in the current second (4)."""
    headers = {**response.headers, "x-mbx-used-remain-limit": str(max(charge.rate.count - charge.used, 0))}
    return Response(status=response.status, headers=headers, body=response.body)
