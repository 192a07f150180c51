"""The adapter on a table: a network whose answers are written down, a clock that moves when told."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from guardd.clock import ManualClock
from guardd.model.event import Event
from guardd.model.facts import Fact
from guardd.model.names import AccountName, ClientId, PositionMode
from guardd.model.outcome import Outcome
from guardd.venues.bitmart import LIMITS, Access, BitmartVenue, Credentials, hosts_for
from guardd.venues.bitmart.connection import Connection, connection
from guardd.venues.bitmart.hosts import Hosts
from guardd.venues.bitmart.operator import BitmartOperator
from guardd.venues.bitmart.writes import Writes
from guardd.venues.limiter import Lane, LimiterRegistry
from guardd.venues.wire import Ambiguous, NotSent, Socket, Unconnected, WireAnswer, WireReply, WireRequest

CREDENTIALS = Credentials(key="the-key", secret="the-secret", memo="the#memo")
TIME = "/system/time"

Answer = WireAnswer | Mapping[str, object] | tuple[int, Mapping[str, object] | str]
"""A wire's own answer; a JSON envelope at HTTP 200; or one (or a page) with another status."""


def ok(data: object = None) -> dict[str, object]:
    return {"code": 1000, "message": "Ok", "trace": "t", "data": data}


def refusal(code: int, text: str = "no", status: int = 400) -> tuple[int, dict[str, object]]:
    return status, {"code": code, "message": text, "trace": "t"}


TIMED_OUT = Ambiguous(why="no answer within 1 s", timed_out=True)
REFUSED = NotSent(why="connection refused")


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
    """Answers by path: a list is used up to its last entry, which stays. Time is always told, unless a test says otherwise."""

    clock: HurriedClock
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)
    down: set[str] = field(default_factory=set)
    """Hosts (scheme and name) whose every answer is a gateway's page."""
    venue_ahead_ms: int = 0

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
        self.hosts.append(f"{parts.scheme}://{parts.netloc}")
        self.requests.append(
            Request(request.method, parts.path, dict(parse_qsl(parts.query)), dict(request.headers), text)
        )
        down = self.hosts[-1] in self.down
        answer = (502, "<html>bad gateway</html>") if down else self._answer(parts.path)
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
            return ok({"server_time": self.clock.now().wall_ms + self.venue_ahead_ms})
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
    writes: Writes
    venue: BitmartVenue
    operator: BitmartOperator
    facts: list[Fact]
    noticed: list[Event]

    async def send(self, write: Any, *, mode: PositionMode = PositionMode.HEDGE, deadline_s: float = 3.0) -> Outcome:
        return await self.venue.send(
            write, client_id=ClientId("gd1abc"), position_mode=mode, lane=Lane.EMERGENCY, deadline_s=deadline_s
        )

    def said(self, edge: str) -> list[Fact]:
        return [fact for fact in self.facts if getattr(fact, "edge", "").startswith(edge)]


def bench(*, broker_id: str | None = None, hosts: Hosts | None = None) -> Bench:
    clock = HurriedClock()
    network = Network(clock)
    random = Random(5)
    hosts = hosts or hosts_for("live")
    limiter = LimiterRegistry(clock, random).limiter(
        host=hosts.rest, credential=CREDENTIALS.key, limits=LIMITS, share=0.7
    )
    facts: list[Fact] = []
    noticed: list[Event] = []
    access = Access(
        account=AccountName("main"),
        hosts=hosts,
        credentials=CREDENTIALS,
        broker_id=broker_id,
        clock=clock,
        limiter=limiter,
        wire=network,
        random=random,
        listener=facts.append,
    )
    parts = connection(access, noticed.append)
    return Bench(
        clock=clock,
        network=network,
        access=access,
        parts=parts,
        writes=Writes(api=parts.api, reads=parts.reads, clock=clock),
        venue=BitmartVenue(access),
        operator=BitmartOperator(access),
        facts=facts,
        noticed=noticed,
    )
