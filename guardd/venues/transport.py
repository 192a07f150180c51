"""From a dialect's call to an answer that says what is certain: tokens, deadlines, blocks, and who it was that spoke.

Nothing here knows a venue's words; a `Dialect` passes in the two that differ: what a code means for the rate, and what the
headers count. Queries, headers and bodies never reach a text (I26).
"""

import asyncio
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import lru_cache
from random import Random
from typing import Final, TypeAlias, assert_never
from urllib.parse import urlencode

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from guardd.clock import Clock
from guardd.model.event import BlockKind, BlockMoved
from guardd.model.facts import BlockChanged, Listener, RequestFinished, RequestResult
from guardd.model.instant import NS_PER_S, Instant
from guardd.model.names import AccountName, VenueName
from guardd.venues import retry
from guardd.venues.limiter import Ending, Held, How, Lane, Left, Limiter, Permit, Usage
from guardd.venues.wire import (
    Ambiguous,
    KeepsSpares,
    NotSent,
    Wire,
    WireAnswer,
    WireReply,
    WireRequest,
    shown,
    shown_text,
)

__all__ = [
    "Ambiguous",
    "Answer",
    "Banned",
    "Call",
    "Dialect",
    "EdgePage",
    "HeldBack",
    "Judgement",
    "NotSent",
    "RateLimited",
    "Reply",
    "Transport",
    "Usage",
    "classify",
    "encoded",
    "no_usage",
]

RETRY_AFTER_CAP_S: Final = 900.0
"""A venue that asks for a longer pause is asked again after this long."""
WARM_EVERY_S: Final = 10.0
"""At most one warming request per connection in this time."""
WARM_CONNECTIONS: Final = 2
"""One for the order, one spare for a second order in flight or the reads that go on beside it."""
SPARES_MAX: Final = 8
"""Connections held open for the orders of one account, one for each position up to this. With an answer in 100 ms they carry 80
orders a second, several times what a venue lets an account send: more would serve the first round trip of a burst alone."""
SPARE_DEADLINE_S: Final = 3.0
"""For name, TCP and TLS of a spare one; nobody waits for it."""
PULSE_S: Final = 0.5
"""How often blocks are looked at: their end is told within 1 s (I21)."""
_DRAIN_POLL_S: Final = 0.02
_ATTEMPT_FLOOR_S: Final = 0.5
_LOST: Final = Ending(how=How.LOST)
_UNSENT: Final = Ending(how=How.UNSENT)


class Judgement(StrEnum):
    """What the API's own answer means to the transport; everything else about it is the dialect's."""

    OK = "ok"
    REJECTED = "rejected"
    RATE_LIMITED = "rate_limited"
    BANNED = "banned"


def no_usage(headers: Mapping[str, str]) -> Usage | Left | None:
    """For a venue whose answers carry no counters."""
    return None


class Dialect(Struct, frozen=True, kw_only=True):
    """The two words that differ from venue to venue. `judge` takes the HTTP status and the envelope's `code` as text."""

    judge: Callable[[int, str], Judgement]
    usage: Callable[[Mapping[str, str]], Usage | Left | None] = no_usage
    """Reads lower-case header names."""


class Call(Struct, frozen=True, kw_only=True):
    """One API call. `endpoint` is its name in limits and metrics; `deadline_s` covers everything, the wait for a token included.

    `sign` is asked for further headers after the token is granted, right before each send, so that a timestamp is never old.
    `subject` names what an emergency write is for (a position, a position's stop): while Cloudflare blocks, each subject is tried
    at once and then every 30-60 s; `closes` says that it closes a position in breach, the only write that a ban lets through.
    """

    endpoint: str
    method: str
    path: str
    deadline_s: float
    query: tuple[tuple[str, str], ...] = ()
    body: str | None = None
    """The exact text that is signed and sent."""
    headers: Mapping[str, str] = {}
    sign: Callable[[], Mapping[str, str]] | None = None
    lane: Lane = Lane.ORDINARY
    subject: str | None = None
    closes: bool = False
    base_url: str | None = None
    """Another host of the venue than the transport's own; its pages and answers say nothing about the transport's host."""
    expected: frozenset[str] = frozenset()
    """Codes that are an answer to what this call asks, and no failure of it."""

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """Query, body, headers and signature may hold secrets (I26)."""
        return shown(
            self, "endpoint", "method", "path", "deadline_s", "lane", "subject", "closes", "base_url", "expected"
        )

    def __repr__(self) -> str:
        return shown_text(self)


class Reply(Struct, frozen=True, kw_only=True):
    """The API's own JSON, whatever the HTTP status: the dialect judges its code. Header names are in lower case."""

    status: int
    code: str
    """The envelope's `code` as text."""
    body: bytes
    headers: Mapping[str, str]
    sent_ns: int
    received: Instant

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """The venue's words may hold secrets (I26)."""
        return shown(self, "status", "code", "sent_ns", "received")

    def __repr__(self) -> str:
        return shown_text(self)


class EdgePage(Struct, frozen=True, kw_only=True):
    """Cloudflare spoke, not the API (403 or 503). A 403 certainly kept the request from the venue; after a 503 the outcome of a
    write is unknown (BitMart reference, 4.4)."""

    status: int
    retry_after_s: float = 0.0

    @property
    def not_executed(self) -> bool:
        return self.status == 403


class RateLimited(Struct, frozen=True, kw_only=True):
    """Turned away, certainly not executed. `reply` is the API's own answer where it was one."""

    retry_after_s: float
    reply: Reply | None


class Banned(Struct, frozen=True, kw_only=True):
    """The address is blocked for ignoring 429s; certainly not executed."""

    retry_after_s: float
    reply: Reply | None


class HeldBack(Struct, frozen=True, kw_only=True):
    """Never sent: no token within the deadline (`kind` None), or a block holds it back until `until`."""

    why: str
    kind: BlockKind | None
    until: Instant | None


Answer: TypeAlias = Reply | EdgePage | RateLimited | Banned | HeldBack | NotSent | Ambiguous


class _Envelope(msgspec.Struct):
    """What makes a JSON object the API's own: every answer carries a code. Cloudflare's own JSON errors don't."""

    code: int | str


_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)


class Transport:
    """Carries the calls of one account. `listener` hears facts; `on_block` hears what holds the account back."""

    def __init__(
        self,
        *,
        wire: Wire,
        base_url: str,
        limiter: Limiter,
        clock: Clock,
        random: Random,
        dialect: Dialect,
        account: AccountName,
        venue: VenueName,
        listener: Listener,
        on_block: Callable[[BlockMoved], object],
        headers: Mapping[str, str],
    ) -> None:
        self._wire = wire
        self._base_url = base_url.rstrip("/")
        self._limiter = limiter
        self._clock = clock
        self._random = random
        self._dialect = dialect
        self._account = account
        self._venue = venue
        self._listener = listener
        self._on_block = on_block
        self._headers = dict(headers)
        self._in_flight = 0
        self._closing = False
        self._last_call_ns = 0
        limiter.on_block = self._block_moved

    async def read(self, call: Call) -> Answer:
        """A call that changes nothing: sent again, inside its deadline, when no usable answer came."""
        end_ns = self._clock.monotonic_ns() + int(call.deadline_s * NS_PER_S)
        failures = 0
        while True:
            left_s = self._left_s(end_ns)
            answer = await self._attempt(call, left_s, send_within_s=max(left_s / 2, _ATTEMPT_FLOOR_S))
            failures += 1
            if failures >= retry.READ_TRIES or not _worth_reading_again(answer):
                return answer
            wait_s = retry.read_s(failures - 1, self._random.random())
            if wait_s >= self._left_s(end_ns):
                return answer
            await self._clock.sleep(wait_s)

    async def write(self, call: Call) -> Answer:
        """A call that changes something: sent again only when it certainly never left, and never after its deadline (I7)."""
        end_ns = self._clock.monotonic_ns() + int(call.deadline_s * NS_PER_S)
        answer = await self._attempt(call, call.deadline_s, send_within_s=call.deadline_s)
        failures = 0
        while isinstance(answer, NotSent):
            wait_s = retry.read_s(failures, self._random.random())
            failures += 1
            if wait_s >= self._left_s(end_ns):
                return answer
            await self._clock.sleep(wait_s)
            left_s = self._left_s(end_ns)
            answer = await self._attempt(call, left_s, send_within_s=left_s)
        return answer

    async def tend(self, probe: Call, positions: Callable[[], int] = lambda: 0) -> None:
        """For ever: keeps the order's connection and its spares warm, and asks during a block whether it is over.

        `probe` is one cheap read. It is never sent more often than each 10 s and connection, nor while calls keep them warm.
        `positions` says how many are held: each may want its order at once.
        """
        async with asyncio.TaskGroup() as group:
            if isinstance(self._wire, KeepsSpares):
                group.create_task(self._keep_spares(self._wire, positions), name="spare connections")
            warmed_ns = self._clock.monotonic_ns() - int(WARM_EVERY_S * NS_PER_S)
            while True:
                now = self._clock.now()
                self._limiter.tell(now)
                if not await self.probe_if_due(probe) and now.mono_ns - warmed_ns >= WARM_EVERY_S * NS_PER_S:
                    warmed_ns = now.mono_ns
                    await self.warm(probe)
                await self._clock.sleep(PULSE_S)

    async def probe_if_due(self, probe: Call) -> bool:
        """Ask whether the block is over, where one stands and it is time to; False where it isn't.

        A ban lets nothing else through: whoever starts during one asks so too, since nobody tends yet.
        """
        if not self._limiter.probe_due(self._clock.now()):
            return False
        await self._attempt(_in_lane(probe, Lane.PROBE), probe.deadline_s, send_within_s=probe.deadline_s)
        return True

    async def warm(self, probe: Call) -> None:
        """Send `probe` on several connections at once, so that each is open and used when an order needs it."""
        async with asyncio.TaskGroup() as group:
            for _ in range(WARM_CONNECTIONS):
                group.create_task(self._attempt(probe, probe.deadline_s, send_within_s=probe.deadline_s))

    async def _keep_spares(self, wire: KeepsSpares, positions: Callable[[], int]) -> None:
        """One connection each half second until there are enough: no burst at a start. None while the venue keeps us out."""
        try:
            while True:
                await self._clock.sleep(PULSE_S)
                if not (self._closing or self._limiter.blocked):
                    wanted = WARM_CONNECTIONS + min(positions(), SPARES_MAX)
                    await wire.open_spare(self._base_url, owner=self, wanted=wanted, deadline_s=SPARE_DEADLINE_S)
        finally:
            wire.want_none(self._base_url, owner=self)

    def tokens(self) -> dict[str, int]:
        """Calls left to ordinary traffic, by bucket."""
        return self._limiter.tokens()

    async def drain(self, deadline_s: float) -> bool:
        """Take no further call and let those in flight finish; False when some were still out after `deadline_s`."""
        self._closing = True
        end_ns = self._clock.monotonic_ns() + int(deadline_s * NS_PER_S)
        while self._in_flight and self._clock.monotonic_ns() < end_ns:
            await self._clock.sleep(_DRAIN_POLL_S)
        return not self._in_flight

    async def _attempt(self, call: Call, deadline_s: float, *, send_within_s: float) -> Answer:
        """One token, one request, one answer; the permit is given back whatever happens, a cancellation included."""
        if self._closing:
            return HeldBack(why="shutting down", kind=None, until=None)
        began_ns = self._clock.monotonic_ns()
        self._in_flight += 1
        try:
            # A token in the deadline's last millisecond would only make the outcome unknown: some time is the answer's (I7).
            token_s = deadline_s - min(_ATTEMPT_FLOOR_S, deadline_s / 2)
            permit = await self._limiter.acquire(
                call.endpoint, call.lane, token_s, subject=call.subject or call.endpoint, closes=call.closes
            )
            if isinstance(permit, Held):
                return HeldBack(why=permit.why, kind=permit.kind, until=permit.until)
            now_ns = self._clock.monotonic_ns()
            left_s = max(0.0, deadline_s - (now_ns - began_ns) / NS_PER_S)
            return await self._send(call, permit, min(send_within_s, left_s), now_ns)
        finally:
            self._in_flight -= 1

    async def _send(self, call: Call, permit: Permit, deadline_s: float, began_ns: int) -> Answer:
        ending = _UNSENT
        try:
            request = self._request(call)
            ending = _LOST
            wired = await self._wire.http(request, deadline_s)
            answer = classify(wired, self._dialect)
            ending = self._ending(call, answer, self._usage(wired))
        finally:
            self._limiter.settle(permit, ending)
        self._listener(
            RequestFinished(
                account=self._account,
                venue=self._venue,
                endpoint=call.endpoint,
                result=_result(call, answer, self._dialect),
                seconds=(self._clock.monotonic_ns() - began_ns) / NS_PER_S,
                detail=_detail(answer),
            )
        )
        return answer

    def _request(self, call: Call) -> WireRequest:
        query = f"?{encoded(call.query)}" if call.query else ""
        headers = {**self._headers, **call.headers}
        if call.sign is not None:
            headers.update(call.sign())
        return WireRequest(
            method=call.method,
            url=f"{call.base_url or self._base_url}{call.path}{query}",
            headers=headers,
            body=None if call.body is None else call.body.encode(),
        )

    def _ending(self, call: Call, answer: Answer, usage: Usage | Left | None) -> Ending:
        """Cloudflare guards each host by itself: what another host answers neither begins nor ends a block of the venue's own."""
        ending = _ending(answer, usage)
        elsewhere = call.base_url is not None and call.base_url.rstrip("/") != self._base_url
        if elsewhere and ending.how in {How.ANSWERED, How.PAGE}:
            return replace(ending, how=How.LOST)
        return ending

    def _usage(self, wired: WireAnswer) -> Usage | Left | None:
        return self._dialect.usage(wired.headers) if isinstance(wired, WireReply) else None

    def _left_s(self, end_ns: int) -> float:
        return max(0.0, (end_ns - self._clock.monotonic_ns()) / NS_PER_S)

    def _block_moved(self, moved: BlockMoved) -> None:
        self._listener(
            BlockChanged(
                account=self._account,
                venue=self._venue,
                kind=moved.kind,
                until_ms=0 if moved.until is None else moved.until.wall_ms,
            )
        )
        self._on_block(moved)


@lru_cache(maxsize=256)
def encoded(query: tuple[tuple[str, str], ...]) -> str:
    """The text of a query, for whoever signs it and for the wire: most reads ask the same thing again and again."""
    return urlencode(query)


def classify(wired: WireAnswer, dialect: Dialect) -> Answer:
    """Who spoke, and what is certain (BitMart reference, 4.4 and 16.3)."""
    if not isinstance(wired, WireReply):
        return wired
    reply = _api_reply(wired)
    judgement = dialect.judge(wired.status, "" if reply is None else reply.code)
    retry_after_s = _retry_after_s(wired.headers)
    if judgement is Judgement.BANNED or wired.status == 418:
        return Banned(retry_after_s=retry_after_s, reply=reply)
    if judgement is Judgement.RATE_LIMITED or wired.status == 429:
        return RateLimited(retry_after_s=retry_after_s, reply=reply)
    if reply is not None:
        return reply
    if wired.status in {403, 503}:
        return EdgePage(status=wired.status, retry_after_s=retry_after_s)
    return Ambiguous(why=f"HTTP {wired.status} whose body isn't the API's JSON")


def _api_reply(wired: WireReply) -> Reply | None:
    """The answer as the API's own; None for a page of the edge, a truncated body or a proxy's error."""
    try:
        code = _ENVELOPE.decode(wired.body).code
    except (msgspec.DecodeError, ValueError, RecursionError):  # ValidationError too; no UTF-8; brackets without end
        return None
    return Reply(
        status=wired.status,
        code=str(code),
        body=wired.body,
        headers=wired.headers,
        sent_ns=wired.sent_ns,
        received=wired.received,
    )


def _retry_after_s(headers: Mapping[str, str]) -> float:
    """Seconds the other side asks for, 0 when it doesn't say; the form with a date isn't used by either venue."""
    text = headers.get("retry-after", "")
    return min(float(text), RETRY_AFTER_CAP_S) if text.isdecimal() else 0.0


def _ending(answer: Answer, usage: Usage | Left | None) -> Ending:
    match answer:
        case Reply():
            return Ending(how=How.ANSWERED, usage=usage)
        case RateLimited(retry_after_s=retry_after_s):
            return Ending(how=How.RATE_LIMITED, retry_after_s=retry_after_s, usage=usage)
        case Banned(retry_after_s=retry_after_s):
            return Ending(how=How.BANNED, retry_after_s=retry_after_s)
        case EdgePage(retry_after_s=retry_after_s):
            return Ending(how=How.PAGE, retry_after_s=retry_after_s)
        case NotSent() | HeldBack():
            return _UNSENT
        case Ambiguous():
            return _LOST
        case _:
            assert_never(answer)


def _result(call: Call, answer: Answer, dialect: Dialect) -> RequestResult:
    match answer:
        case Reply(status=status, code=code):
            fine = code in call.expected or dialect.judge(status, code) is Judgement.OK
            return RequestResult.OK if fine else RequestResult.REJECTED
        case RateLimited() | Banned():
            return RequestResult.RATE_LIMITED
        case EdgePage():
            return RequestResult.CLOUDFLARE
        case NotSent(timed_out=True) | Ambiguous(timed_out=True):
            return RequestResult.TIMEOUT
        case NotSent() | Ambiguous() | HeldBack():
            return RequestResult.ERROR
        case _:
            assert_never(answer)


def _detail(answer: Answer) -> str:
    """For people; never anything that was sent (I26)."""
    match answer:
        case Reply(status=status, code=code):
            return f"HTTP {status}, code {code}"
        case RateLimited():
            return "rate limited"
        case Banned():
            return "banned"
        case EdgePage(status=status):
            return f"a Cloudflare page with HTTP {status}"
        case NotSent(why=why):
            return f"not sent: {why}"
        case Ambiguous(why=why):
            return f"outcome unknown: {why}"
        case HeldBack(why=why):
            return f"held back: {why}"
        case _:
            assert_never(answer)


def _worth_reading_again(answer: Answer) -> bool:
    match answer:
        case NotSent() | Ambiguous() | RateLimited():
            return True
        case Reply(status=status):
            return status >= 500
        case EdgePage() | Banned() | HeldBack():
            return False
        case _:
            assert_never(answer)


def _in_lane(call: Call, lane: Lane) -> Call:
    return replace(call, lane=lane)
