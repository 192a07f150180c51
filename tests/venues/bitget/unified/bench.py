"""The adapter on a table: a network whose answers are written down, a clock that moves when told."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from guardd.clock import ManualClock
from guardd.model.facts import Fact, Said
from guardd.model.intent import Write
from guardd.model.names import AccountName, ClientId, PositionKey, PositionMode, Side, Symbol
from guardd.model.outcome import Outcome
from guardd.venues.bitget.connection import Access, Connection, connection
from guardd.venues.bitget.endpoint import LIMITS as COMMON_LIMITS
from guardd.venues.bitget.hosts import hosts_for
from guardd.venues.bitget.sign import Credentials
from guardd.venues.bitget.unified import LIMITS, UnifiedVenue
from guardd.venues.bitget.unified.operator import UnifiedOperator
from guardd.venues.limiter import Lane, LimiterRegistry
from guardd.venues.stream import Mailbox
from guardd.venues.wire import Ambiguous, NotSent, Socket, Unconnected, WireAnswer, WireReply, WireRequest
from tests.venues.bitget.unified import samples

CREDENTIALS = Credentials(key="the-key", secret="the-secret", passphrase="the-passphrase")
ACCOUNT = AccountName("main")
BTC = Symbol("BTCUSDT")
LONG = PositionKey(ACCOUNT, BTC, Side.LONG)
SHORT = PositionKey(ACCOUNT, BTC, Side.SHORT)
OURS = ClientId("gd1abc")
TIME = "/api/v2/public/time"
ALL_CATEGORIES = ("USDT-FUTURES", "USDC-FUTURES", "COIN-FUTURES")

Body = WireAnswer | Mapping[str, object] | tuple[int, Mapping[str, object] | str]
"""A wire's own answer; a JSON envelope at HTTP 200; or one (or a page) with another status."""
Answer = Body | Callable[[dict[str, str]], Body]
"""Or one that hangs on the query."""


def ok(data: object = None) -> dict[str, object]:
    return {"code": "00000", "msg": "success", "requestTime": 1790000000000, "data": data}


def refusal(code: str, text: str = "no", status: int = 400) -> tuple[int, dict[str, object]]:
    return status, {"code": code, "msg": text, "requestTime": 1790000000000, "data": None}


TIMED_OUT = Ambiguous(why="no answer within 1 s", timed_out=True)
REFUSED = NotSent(why="connection refused")


class HurriedClock:
    """Whoever sleeps has slept: time passes by the sleeps themselves, and no test waits."""

    def __init__(self) -> None:
        self._clock = ManualClock()
        self.now = self._clock.now
        self.monotonic_ns = self._clock.monotonic_ns
        self.pass_time = self._clock.pass_time

    async def sleep(self, seconds: float) -> None:
        self._clock.pass_time(max(seconds, 0.0))
        await asyncio.sleep(0)

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        return await self._clock.wait(event, seconds)


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    text: str | None

    @property
    def body(self) -> Any:
        return None if self.text is None else json.loads(self.text)


@dataclass
class Network:
    """Answers by the end of the path: a list is used up to its last entry, which stays. Time is always told."""

    clock: HurriedClock
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    def on(self, path: str, *answers: Answer) -> None:
        self.answers[path] = list(answers)

    def sent(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path.endswith(path)]

    @property
    def writes(self) -> list[Request]:
        return [request for request in self.requests if request.method == "POST"]

    async def http(self, request: WireRequest, deadline_s: float) -> WireAnswer:
        parts = urlsplit(request.url)
        text = None if request.body is None else request.body.decode()
        query = dict(parse_qsl(parts.query))
        self.requests.append(Request(request.method, parts.path, query, dict(request.headers), text))
        answer = self._answer(parts.path)
        if callable(answer):
            answer = answer(query)
        if isinstance(answer, WireReply | NotSent | Ambiguous):
            return answer
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        raw = body if isinstance(body, str) else json.dumps(body)
        return WireReply(
            status=status,
            headers={},
            body=raw.encode(),
            sent_ns=self.clock.monotonic_ns(),
            received=self.clock.now(),
        )

    def _answer(self, path: str) -> Answer:
        for ending, answers in self.answers.items():
            if path.endswith(ending):
                return answers.pop(0) if len(answers) > 1 else answers[0]
        if path == TIME:
            return ok({"serverTime": str(self.clock.now().wall_ms)})
        if path.endswith(("/spot/account/assets", "/account/funding-assets")):
            return ok([])  # asked at the opening, to learn whether the key may
        raise AssertionError(f"the test has no answer for {path}")

    async def connect(self, url: str, headers: Mapping[str, str], deadline_s: float) -> Socket | Unconnected:
        return Unconnected(why="no sockets on this table")

    async def close(self) -> None:
        return None


@dataclass
class Bench:
    clock: HurriedClock
    network: Network
    access: Access
    parts: Connection
    venue: UnifiedVenue
    operator: UnifiedOperator
    facts: list[Fact]

    async def send(self, write: Write, *, mode: PositionMode = PositionMode.HEDGE, deadline_s: float = 3.0) -> Outcome:
        return await self.venue.send(
            write, client_id=OURS, position_mode=mode, lane=Lane.EMERGENCY, deadline_s=deadline_s
        )

    @property
    def edges(self) -> list[str]:
        """What was said to people, by what it is about."""
        return [fact.edge for fact in self.facts if isinstance(fact, Said)]

    def said(self, edge: str) -> list[Fact]:
        return [fact for fact in self.facts if isinstance(fact, Said) and fact.edge.startswith(edge)]


def bench(*, categories: tuple[str, ...] = ALL_CATEGORIES) -> Bench:
    clock = HurriedClock()
    network = Network(clock)
    random = Random(5)
    hosts = hosts_for("live")
    limiter = LimiterRegistry(clock, random).limiter(
        host=hosts.rest, credential=CREDENTIALS.key, limits=(*COMMON_LIMITS, *LIMITS), share=0.7
    )
    facts: list[Fact] = []
    access = Access(
        account=ACCOUNT,
        hosts=hosts,
        credentials=CREDENTIALS,
        demo=False,
        product_types=categories,
        channel_code=None,
        clock=clock,
        limiter=limiter,
        wire=network,
        random=random,
        listener=facts.append,
    )
    parts = connection(access, lambda notice: None)
    table = Bench(
        clock=clock,
        network=network,
        access=access,
        parts=parts,
        venue=UnifiedVenue(access, parts, Mailbox()),
        operator=UnifiedOperator(access, parts),
        facts=facts,
    )
    network.on("market/instruments", instruments_answer)
    network.on("account/info", ok(info()))
    network.on("account/settings", ok(settings()))
    network.on("current-position", ok({"list": None}))
    return table


async def opened(
    *, mode: str = "hedge_mode", level: str = "advanced", held: tuple[Mapping[str, object], ...] = ()
) -> Bench:
    """A bench whose venue is open and has read its positions; what was sent for that is forgotten."""
    table = bench()
    table.network.on("account/settings", ok(settings(holdMode=mode, accountLevel=level)))
    table.network.on("current-position", held_answer(*held))
    await table.venue.open()
    await table.venue.positions()
    table.network.requests.clear()
    table.facts.clear()
    return table


def held_answer(*rows: Mapping[str, object]) -> Callable[[dict[str, str]], Body]:
    """The rows of the category that is asked for."""

    def answer(query: dict[str, str]) -> Body:
        return ok({"list": [row for row in rows if row["category"] == query["category"]] or None})

    return answer


def instruments_answer(query: dict[str, str]) -> Body:
    usdt, usdc = samples.data("instruments_usdt_futures.json"), samples.data("instruments_usdc_futures_observed.json")
    coin = [{**usdt[0], "symbol": "BTCUSD_CM", "category": "COIN-FUTURES", "quoteCoin": "USD"}]
    rows = {"USDT-FUTURES": usdt, "USDC-FUTURES": usdc, "COIN-FUTURES": coin}[query["category"]]
    return ok([row for row in rows if row["symbol"] == query.get("symbol", row["symbol"])])


def info(**changes: object) -> dict[str, object]:
    fields: dict[str, object] = {
        "userId": "1",
        "parentId": "",
        "ips": "192.168.1.1",
        "permType": "read-and-write",
        "permissions": ["uta_mgt", "uta_trade"],
    }
    return {**fields, **changes}


def settings(**changes: object) -> dict[str, object]:
    return {**samples.data("account_settings.json"), "accountMode": "unified", "holdMode": "hedge_mode", **changes}


def row(
    side: str = "long", size: str = "0.1", *, mode: str = "hedge_mode", margin: str = "crossed", **changes: object
) -> dict[str, object]:
    """A row of current-position."""
    (plain,) = samples.data("current_position_no_liquidation.json")["list"]
    size_now = {"total": size, "available": size, "positionBalance": str(Decimal(size) * Decimal("4796.5"))}
    return {**plain, "posSide": side, "holdMode": mode, "marginMode": margin, **size_now, **changes}


def strategy_row(
    order_id: str = "77", client: str = "owner1", *, sl: str = "", tp: str = "", qty: str = "0.1", **changes: object
) -> dict[str, object]:
    """A row of unfilled-strategy-orders."""
    fields: dict[str, object] = {
        "orderId": order_id,
        "clientOid": client,
        "category": "USDT-FUTURES",
        "symbol": "BTCUSDT",
        "qty": qty,
        "posSide": "long",
        "status": "pending",
        "tpTriggerBy": "mark" if tp else "",
        "slTriggerBy": "mark" if sl else "",
        "takeProfit": tp,
        "stopLoss": sl,
        "tpOrderType": "market",
        "slOrderType": "market",
        "tpLimitPrice": "",
        "slLimitPrice": "",
        "createdTime": "1753057411736",
        "updatedTime": "1753057411747",
    }
    return {**fields, **changes}


def listed(*rows: Mapping[str, object]) -> Callable[[dict[str, str]], Body]:
    """unfilled-strategy-orders with these of type tpsl, and no trigger orders."""

    def answer(query: dict[str, str]) -> Body:
        if query.get("type") != "tpsl":
            return ok([])
        return ok([each for each in rows if each["category"] == query["category"]])

    return answer


def taken(order_id: str | None = "901", client: str = "x") -> dict[str, object]:
    return ok({"orderId": order_id, "clientOid": client})
