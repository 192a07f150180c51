"""One Bitget account on a table: a network whose answers are written down, a clock that moves when told."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from guardd.clock import ManualClock
from guardd.model.facts import Fact, Said
from guardd.model.names import AccountName, Severity
from guardd.venues.bitget import LIMITS, Access, BitgetVenue, Credentials, hosts_for
from guardd.venues.bitget.api import Notice
from guardd.venues.bitget.connection import Connection, connection
from guardd.venues.limiter import LimiterRegistry
from guardd.venues.wire import Ambiguous, NotSent, Socket, Unconnected, WireAnswer, WireReply, WireRequest
from tests.changed import replace

CREDENTIALS = Credentials(key="the-key", secret="the-secret", passphrase="the phrase")
TIME = "/api/v2/public/time"

Answer = WireAnswer | Mapping[str, object] | tuple[int, Mapping[str, object] | str]
"""A wire's own answer; a JSON envelope at HTTP 200; or one (or a page) with another status."""


def ok(data: object = None) -> dict[str, object]:
    return {"code": "00000", "msg": "success", "requestTime": 1700000000000, "data": data}


def refusal(code: str, text: str = "no", status: int = 400) -> tuple[int, dict[str, object]]:
    return status, {"code": code, "msg": text, "requestTime": 1700000000000, "data": None}


TIMED_OUT = Ambiguous(why="no answer within 1 s", timed_out=True)
REFUSED = NotSent(why="connection refused")
PAGE = "<!DOCTYPE html><html><title>Just a moment... | Cloudflare</title></html>"


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
    target: str
    """Path and query, as they were sent."""
    headers: dict[str, str]
    text: str | None

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(urlsplit(self.target).query)

    @property
    def body(self) -> Any:
        return None if self.text is None else json.loads(self.text)


@dataclass
class Network:
    """Answers by the end of the path: a list is used up to its last entry, which stays. Time is always told, unless a test says
    otherwise. `headers` come with every answer."""

    clock: HurriedClock
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    venue_ahead_ms: int = 0

    def on(self, path: str, *answers: Answer) -> None:
        self.answers[path] = list(answers)

    def sent(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path.endswith(path)]

    @property
    def writes(self) -> list[Request]:
        return [request for request in self.requests if request.method == "POST"]

    @property
    def private(self) -> list[Request]:
        return [request for request in self.requests if "ACCESS-KEY" in request.headers]

    async def http(self, request: WireRequest, deadline_s: float) -> WireAnswer:
        parts = urlsplit(request.url)
        text = None if request.body is None else request.body.decode()
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        self.requests.append(Request(request.method, parts.path, target, dict(request.headers), text))
        answer = self._answer(parts.path)
        if isinstance(answer, WireReply | NotSent | Ambiguous):
            return answer
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        raw = body if isinstance(body, str) else json.dumps(body)
        return WireReply(
            status=status,
            headers=dict(self.headers),
            body=raw.encode(),
            sent_ns=self.clock.monotonic_ns(),
            received=self.clock.now(),
        )

    def _answer(self, path: str) -> Answer:
        for ending, answers in self.answers.items():
            if path.endswith(ending):
                return answers.pop(0) if len(answers) > 1 else answers[0]
        if path == TIME:
            return ok({"serverTime": str(self.clock.now().wall_ms + self.venue_ahead_ms)})
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
    """A way to the venue of its own: what it notices is in `noticed`, and the adapter below doesn't hear it."""
    venue: BitgetVenue
    facts: list[Fact]
    noticed: list[Notice]

    def said(self, edge: str, severity: Severity | None = None) -> list[Said]:
        found = [fact for fact in self.facts if isinstance(fact, Said) and fact.edge == edge]
        return [fact for fact in found if severity is None or fact.severity is severity]


def bench(*, demo: bool = False, channel_code: str | None = None) -> Bench:
    clock = HurriedClock()
    network = Network(clock)
    random = Random(5)
    hosts = hosts_for("demo" if demo else "live")
    limiters = [
        LimiterRegistry(clock, random).limiter(host=hosts.rest, credential=CREDENTIALS.key, limits=LIMITS, share=0.7)
        for _ in range(2)
    ]
    facts: list[Fact] = []
    noticed: list[Notice] = []
    access = Access(
        account=AccountName("main"),
        hosts=hosts,
        credentials=CREDENTIALS,
        demo=demo,
        product_types=("USDT-FUTURES",),
        channel_code=channel_code,
        clock=clock,
        limiter=limiters[0],
        wire=network,
        random=random,
        listener=facts.append,
    )
    return Bench(
        clock=clock,
        network=network,
        access=access,
        parts=connection(access, noticed.append),
        venue=BitgetVenue(replace(access, limiter=limiters[1])),
        facts=facts,
        noticed=noticed,
    )
