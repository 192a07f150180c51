"""The classic adapter on a table: a network whose answers are written down, a clock that moves when told."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from guardd.clock import ManualClock
from guardd.model.facts import Fact
from guardd.model.intent import Write
from guardd.model.names import AccountName, ClientId, PositionKey, PositionMode, Side, Symbol
from guardd.model.outcome import Outcome
from guardd.venues.bitget.classic.endpoints import LIMITS as CLASSIC_LIMITS
from guardd.venues.bitget.classic.operator import ClassicOperator
from guardd.venues.bitget.classic.venue import ClassicVenue
from guardd.venues.bitget.connection import Access, connection
from guardd.venues.bitget.endpoint import LIMITS
from guardd.venues.bitget.hosts import hosts_for
from guardd.venues.bitget.sign import Credentials
from guardd.venues.limiter import Lane, LimiterRegistry
from guardd.venues.stream import Mailbox
from guardd.venues.wire import Ambiguous, NotSent, Socket, Unconnected, WireAnswer, WireReply, WireRequest

MAIN = AccountName("main")
BTC = Symbol("BTCUSDT")
LONG_BTC = PositionKey(MAIN, BTC, Side.LONG)
SHORT_BTC = PositionKey(MAIN, BTC, Side.SHORT)
LONG_PERP = PositionKey(MAIN, Symbol("BTCPERP"), Side.LONG)
CREDENTIALS = Credentials(key="the-key", secret="the-secret", passphrase="the-pass")
OURS = ClientId("gd1abc")

Plain = WireAnswer | Mapping[str, object] | tuple[int, Mapping[str, object] | str]
Answer = Plain | Callable[["Request"], Plain]
"""A wire's own answer; an envelope at HTTP 200; one (or a page) with another status; or what makes one of the request."""

TIMED_OUT = Ambiguous(why="no answer within 1 s", timed_out=True)
REFUSED = NotSent(why="connection refused")


def ok(data: object = None) -> dict[str, object]:
    return {"code": "00000", "msg": "success", "requestTime": 1, "data": data}


def refusal(code: str, text: str = "no", status: int = 400) -> tuple[int, dict[str, object]]:
    return status, {"code": code, "msg": text, "requestTime": 1, "data": None}


def row(symbol: str = "BTCUSDT", side: str = "long", **fields: object) -> dict[str, object]:
    """An open position of `all-position`."""
    return {
        "marginCoin": "USDT",
        "symbol": symbol,
        "holdSide": side,
        "openDelegateSize": "0",
        "marginSize": "100",
        "available": "0.01",
        "locked": "0",
        "total": "0.01",
        "leverage": "10",
        "achievedProfits": "0",
        "openPriceAvg": "60000",
        "marginMode": "isolated",
        "posMode": "hedge_mode",
        "unrealizedPL": "0",
        "liquidationPrice": "50000",
        "keepMarginRate": "0.004",
        "markPrice": "60000",
        "marginRatio": "0.01",
        "assetMode": "single",
        "autoMargin": "off",
        "cTime": "1700000000000",
        "uTime": "1700000001000",
        **fields,
    }


def plan(order_id: str, plan_type: str = "pos_loss", **fields: object) -> dict[str, object]:
    """A row of `orders-plan-pending`."""
    return {
        "planType": plan_type,
        "symbol": "BTCUSDT",
        "size": "0" if plan_type.startswith("pos") else "0.01",
        "orderId": order_id,
        "clientOid": "",
        "price": "",
        "executePrice": "0",
        "callbackRatio": "",
        "triggerPrice": "55000",
        "triggerType": "mark_price",
        "planStatus": "live",
        "side": "buy",
        "posSide": "long",
        "marginCoin": "USDT",
        "marginMode": "",
        "enterPointSource": "API",
        "tradeSide": "close",
        "posMode": "hedge_mode",
        "orderType": "market",
        "cTime": "1700000002000",
        "uTime": "1700000002000",
        **fields,
    }


def entrusted(*rows: Mapping[str, object]) -> dict[str, object]:
    return ok({"entrustedList": list(rows) or None, "endId": None})


class HurriedClock:
    """Whoever sleeps has slept: time passes by the sleeps themselves, and no test waits."""

    def __init__(self) -> None:
        self._clock = ManualClock()
        self.now = self._clock.now
        self.monotonic_ns = self._clock.monotonic_ns
        self.pass_time = self._clock.pass_time
        self.step_wall = self._clock.step_wall

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
    """Answers by the last words of the path: a list is used up to its last entry, which stays."""

    clock: HurriedClock
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    def on(self, path: str, *answers: Answer) -> None:
        self.answers[path] = list(answers)

    def sent(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path.endswith(f"/{path}")]

    @property
    def writes(self) -> list[Request]:
        return [request for request in self.requests if request.method == "POST"]

    async def http(self, request: WireRequest, deadline_s: float) -> WireAnswer:
        parts = urlsplit(request.url)
        text = None if request.body is None else request.body.decode()
        asked = Request(request.method, parts.path, dict(parse_qsl(parts.query)), dict(request.headers), text)
        self.requests.append(asked)
        answer = self._answer(asked)
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

    def _answer(self, asked: Request) -> Plain:
        for ending, answers in self.answers.items():
            if asked.path.endswith(f"/{ending}"):
                answer = answers.pop(0) if len(answers) > 1 else answers[0]
                return answer(asked) if callable(answer) else answer
        if asked.path.endswith("/public/time"):
            return ok({"serverTime": str(self.clock.now().wall_ms)})
        if asked.path.endswith(("/spot/account/assets", "/account/funding-assets")):
            return ok([])  # asked at the opening, to learn whether the key may
        raise AssertionError(f"the test has no answer for {asked.path}")

    async def connect(self, url: str, headers: Mapping[str, str], deadline_s: float) -> Socket | Unconnected:
        return Unconnected(why="no sockets on this table")

    async def close(self) -> None:
        return None


@dataclass
class Bench:
    clock: HurriedClock
    network: Network
    access: Access
    venue: ClassicVenue
    operator: ClassicOperator
    facts: list[Fact]

    async def send(
        self,
        write: Write,
        *,
        client_id: ClientId = OURS,
        mode: PositionMode = PositionMode.HEDGE,
        deadline_s: float = 3.0,
    ) -> Outcome:
        return await self.venue.send(
            write, client_id=client_id, position_mode=mode, lane=Lane.EMERGENCY, deadline_s=deadline_s
        )

    async def hold(self, *rows: Mapping[str, object]) -> None:
        """Let the adapter read these positions of USDT-M, and nothing elsewhere."""
        self.network.on("all-position", by_product(USDT=rows))
        self.network.on("order/fills", ok({"fillList": None, "endId": None}))
        await self.venue.positions()

    def said(self, edge: str) -> list[Fact]:
        return [fact for fact in self.facts if getattr(fact, "edge", "").startswith(edge)]


def by_product(**rows: object) -> Callable[[Request], Plain]:
    """An answer for each product type, by its first letters; empty for the others."""

    def answer(asked: Request) -> Plain:
        product = asked.query["productType"].partition("-")[0]
        found = rows.get(product, ())
        if isinstance(found, tuple) and found and isinstance(found[0], int):
            return found  # type: ignore[return-value]
        return ok(list(found))  # type: ignore[call-overload]

    return answer


def bench(*product_types: str) -> Bench:
    clock = HurriedClock()
    network = Network(clock)
    random = Random(5)
    hosts = hosts_for("live")
    limiter = LimiterRegistry(clock, random).limiter(
        host=hosts.rest, credential=CREDENTIALS.key, limits=(*LIMITS, *CLASSIC_LIMITS), share=0.7
    )
    facts: list[Fact] = []
    access = Access(
        account=MAIN,
        hosts=hosts,
        credentials=CREDENTIALS,
        demo=False,
        product_types=product_types or ("USDT-FUTURES",),
        channel_code=None,
        clock=clock,
        limiter=limiter,
        wire=network,
        random=random,
        listener=facts.append,
    )

    def parts() -> Any:
        return connection(access, lambda notice: None)

    return Bench(
        clock=clock,
        network=network,
        access=access,
        venue=ClassicVenue(access, parts(), Mailbox()),
        operator=ClassicOperator(access, parts()),
        facts=facts,
    )


def dec(text: str | int) -> Decimal:
    return Decimal(text)
