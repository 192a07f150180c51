"""One call at BitMart, from headers to verdict: keys and signatures, the envelope's code, and what is mended at once.

A read gives the answer's `data` or raises; a write gives an `Outcome` and never raises for what the network or the venue did. What
section 16 says to mend (the clock, a signature) is mended and the call made once more, within the same deadline.
"""

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias, assert_never

from guardd import __version__
from guardd.clock import Clock
from guardd.errors import CredentialsError, PayloadError, VenueBusy, VenueError, VenueRefused, VenueUnreachable
from guardd.model.event import BlockKind, Event, VenueClosingSeen
from guardd.model.instant import NS_PER_S
from guardd.model.outcome import Accepted, Outcome, Reason, Rejected, Unknown
from guardd.venues.bitmart.bodies import Body, wire_text
from guardd.venues.bitmart.endpoints import SYSTEM_TIME, SYSTEM_TIME_V2, Auth, Endpoint, Host
from guardd.venues.bitmart.errors import (
    CREDENTIAL_CODES,
    REFUSALS,
    VENUE_CLOSING_CODES,
    GuardAction,
    action_for,
    judge_write,
)
from guardd.venues.bitmart.hosts import Hosts
from guardd.venues.bitmart.parse.envelope import Envelope, accepted_order_id, envelope
from guardd.venues.bitmart.parse.market import server_time_ms
from guardd.venues.bitmart.sign import Credentials, keyed_headers, signed_headers
from guardd.venues.limiter import Lane, Usage
from guardd.venues.transport import (
    Answer,
    Banned,
    Call,
    Dialect,
    EdgePage,
    HeldBack,
    Judgement,
    RateLimited,
    Reply,
    Transport,
)
from guardd.venues.venue_time import VenueTime
from guardd.venues.wire import Ambiguous, NotSent

Query: TypeAlias = tuple[tuple[str, str], ...]

READ_DEADLINE_S: Final = 5.0
CLOCK_DEADLINE_S: Final = 2.0
USER_AGENT: Final = f"guardd/{__version__} (+risk guard)"
"""Descriptive and stable: the agents of common libraries are stopped at the edge (3.5)."""
CLOSING_TOLD_EVERY_S: Final = 60.0
_WINDOW_S_MAX: Final = 600.0
"""Documented windows are of seconds (4.1); one without an end would hold every call back for good."""
_SIGN_EMPTY: Final = 30004
_TOO_OFTEN_OR_CLOCK: Final = "40013"


def _judge(status: int, code: str) -> Judgement:
    """What a code means for the rate (4.3); everything else about it is in `errors.py`."""
    match code:
        case "1000":
            return Judgement.OK
        case "30013" | "40013":
            return Judgement.RATE_LIMITED
        case "30017":
            return Judgement.BANNED
        case _:
            return Judgement.REJECTED


def _usage(headers: Mapping[str, str]) -> Usage | None:
    """`Remaining` counts the calls already *used*, in spite of its name (4.2)."""
    try:
        used, limit = int(headers["x-bm-ratelimit-remaining"]), int(headers["x-bm-ratelimit-limit"])
        window_s = float(headers["x-bm-ratelimit-reset"])
    except (KeyError, ValueError):
        return None
    return Usage(used=used, limit=limit, window_s=window_s) if 0 < window_s <= _WINDOW_S_MAX else None


DIALECT: Final = Dialect(judge=_judge, usage=_usage)


class Api:
    """Makes calls for one account over its transport. `notice` hears what a code says beyond the call that met it."""

    def __init__(
        self,
        *,
        transport: Transport,
        hosts: Hosts,
        credentials: Credentials,
        clock: Clock,
        notice: Callable[[Event], object],
    ) -> None:
        self.time = VenueTime(clock)
        self._transport = transport
        self._hosts = hosts
        self._credentials = credentials
        self._clock = clock
        self._notice = notice
        self._signs_reads = False
        self._closing_told_ns: dict[int, int] = {}

    def probe(self) -> Call:
        """The one cheap request that keeps connections warm and asks whether a block is over: time, on the futures host."""
        return self._prepared(SYSTEM_TIME_V2, (), None, CLOCK_DEADLINE_S, Lane.ORDINARY)

    async def read(
        self,
        endpoint: Endpoint,
        query: Query = (),
        *,
        body: Body | None = None,
        deadline_s: float = READ_DEADLINE_S,
        lane: Lane = Lane.ORDINARY,
    ) -> object:
        """The `data` of an answer. Raises `VenueError`, and `CredentialsError` when the venue refuses our key."""
        ends_ns = self._clock.monotonic_ns() + int(deadline_s * NS_PER_S)
        text = None if body is None else wire_text(body)
        mended: set[int] = set()
        refusal: VenueError | CredentialsError | None = None
        while True:
            answer = await self._transport.read(self._prepared(endpoint, query, text, self._left_s(ends_ns), lane))
            if isinstance(answer, HeldBack) and isinstance(refusal, CredentialsError):
                raise refusal  # the second try had no budget: the venue's word on our key stands
            await self._slow_down(answer, self._left_s(ends_ns))
            sealed = envelope(endpoint.name, _reply(endpoint, answer).body)
            self._listen(endpoint, sealed)
            if sealed.ok:
                return sealed.data
            refusal = _refusal(endpoint, sealed)
            if not await self._mend(endpoint, sealed.code, mended, self._left_s(ends_ns)):
                raise refusal

    async def write(
        self,
        endpoint: Endpoint,
        body: Body,
        *,
        deadline_s: float,
        lane: Lane,
        subject: str | None = None,
        closes: bool = False,
    ) -> Outcome:
        """Send one signed write. The text that is signed is the text that is sent."""
        ends_ns = self._clock.monotonic_ns() + int(deadline_s * NS_PER_S)
        if not await self._time_is_known(deadline_s):
            return Rejected(
                reason=Reason.CLOCK,
                code="",
                text="not sent: the venue's clock isn't known within 5 s, and a wrong timestamp is refused",
            )
        text = wire_text(body)
        mended: set[int] = set()
        while True:
            left_s = self._left_s(ends_ns)
            call = self._prepared(endpoint, (), text, left_s, lane, subject=subject, closes=closes)
            answer = await self._transport.write(call)
            await self._slow_down(answer, self._left_s(ends_ns))
            outcome, code = self._outcome(endpoint, answer)
            if not isinstance(outcome, Rejected) or code is None:
                return outcome
            if not await self._mend(endpoint, code, mended, self._left_s(ends_ns)):
                return outcome

    async def measure_time(self, deadline_s: float = CLOCK_DEADLINE_S) -> int:
        """Ask the venue for its time; the offset in ms (venue minus local). Raises `VenueError`."""
        with_own_host = (SYSTEM_TIME, SYSTEM_TIME_V2)
        candidates = with_own_host if self._hosts.system is not None else (SYSTEM_TIME_V2,)
        ends_ns = self._clock.monotonic_ns() + int(deadline_s * NS_PER_S)
        failure: VenueError | None = None
        for tried, endpoint in enumerate(candidates, start=1):
            left_s = self._left_s(ends_ns) / (len(candidates) - tried + 1)
            try:
                call = self._prepared(endpoint, (), None, left_s, Lane.ORDINARY)
                reply = _reply(endpoint, await self._transport.read(call))
                sealed = envelope(endpoint.name, reply.body)
                if not sealed.ok:
                    raise _refusal(endpoint, sealed)
                server_ms = server_time_ms(sealed.data)
            except VenueError as error:
                failure = error
                continue
            self.time.learn(server_ms=server_ms, sent_ns=reply.sent_ns, received_ns=reply.received.mono_ns)
            return self.time.offset_ms()
        raise failure or VenueUnreachable("system/time: no host was asked")

    def _prepared(
        self,
        endpoint: Endpoint,
        query: Query,
        text: str | None,
        deadline_s: float,
        lane: Lane,
        *,
        subject: str | None = None,
        closes: bool = False,
    ) -> Call:
        headers: dict[str, str] = {}
        if endpoint.auth is Auth.KEYED:
            headers |= keyed_headers(self._credentials)
        if text is not None:
            headers["Content-Type"] = "application/json"
        signs = endpoint.auth is Auth.SIGNED or (endpoint.auth is Auth.KEYED and self._signs_reads)
        return Call(
            endpoint=endpoint.name,
            method=endpoint.method,
            path=endpoint.path,
            deadline_s=deadline_s,
            query=query,
            body=text,
            headers=headers,
            sign=(lambda: self._signed(text or "")) if signs else None,
            lane=lane,
            subject=subject,
            closes=closes,
            base_url=self._hosts.system if endpoint.host is Host.SYSTEM else None,
        )

    def _signed(self, text: str) -> Mapping[str, str]:
        return signed_headers(self._credentials, timestamp_ms=self.time.timestamp_ms(), body=text)

    def _outcome(self, endpoint: Endpoint, answer: Answer) -> tuple[Outcome, int | None]:
        """What became of a write, and the code where the API gave one."""
        match answer:
            case Reply():
                try:
                    sealed = envelope(endpoint.name, answer.body)
                except PayloadError as error:
                    return Unknown(why=str(error)), None
                self._listen(endpoint, sealed)
                if sealed.ok:
                    return Accepted(order_id=accepted_order_id(sealed.data), sent_ns=answer.sent_ns), None
                return judge_write(status=answer.status, code=sealed.code, text=sealed.text), sealed.code
            case EdgePage(status=status):
                if not answer.not_executed:
                    return Unknown(why=f"{endpoint.name}: a page of the edge at HTTP {status}"), None
                return Rejected(reason=Reason.EDGE_BLOCKED, code=str(status), text="a page of the edge"), None
            case RateLimited():
                return _turned_away(Reason.RATE_LIMITED, "429", answer.retry_after_s), None
            case Banned():
                return _turned_away(Reason.BANNED, "418", answer.retry_after_s), None
            case HeldBack():
                return self._held_back(answer), None
            case NotSent(why=why):
                return Rejected(reason=Reason.NOT_SENT, code="", text=why), None
            case Ambiguous(why=why):
                return Unknown(why=f"{endpoint.name}: {why}"), None
            case _:
                assert_never(answer)

    def _held_back(self, held: HeldBack) -> Rejected:
        reason = Reason.NOT_SENT if held.kind is None else _HELD_REASONS[held.kind]
        wait_s = None if held.until is None else max(0.0, held.until.seconds_since(self._clock.now()))
        return Rejected(reason=reason, code="", text=held.why, retry_after_s=wait_s)

    async def _mend(self, endpoint: Endpoint, code: int, mended: set[int], left_s: float) -> bool:
        """Put right what a code complains of; True when the call is worth making once more within `left_s`."""
        if code in mended or left_s <= 0:
            return False
        mended.add(code)
        if code == _SIGN_EMPTY and endpoint.auth is Auth.KEYED:
            self._signs_reads = True  # "key-only form ever gives 30004" (19.1)
            return True
        match action_for(code):
            case GuardAction.SIGN_AGAIN:
                return endpoint.auth is Auth.SIGNED or self._signs_reads
            case GuardAction.RESYNC:
                return await self._measured(left_s)
            case _:
                return False

    async def _slow_down(self, answer: Answer, left_s: float) -> None:
        """40013 mixes "too often" with "check your system time": its bucket rests by now, and the clock is looked at (16.2)."""
        if isinstance(answer, RateLimited) and answer.reply is not None and answer.reply.code == _TOO_OFTEN_OR_CLOCK:
            await self._measured(left_s)

    async def _measured(self, left_s: float) -> bool:
        try:
            await self.measure_time(min(left_s, CLOCK_DEADLINE_S))
        except VenueError:
            return False
        return True

    async def _time_is_known(self, deadline_s: float) -> bool:
        if self.time.trusted():
            return True
        await self._measured(deadline_s / 2)
        return self.time.trusted()

    def _listen(self, endpoint: Endpoint, sealed: Envelope) -> None:
        """Section 0: some codes say that the venue may be closing. Told at most once a minute each."""
        if sealed.code not in VENUE_CLOSING_CODES:
            return
        now = self._clock.now()
        told_ns = self._closing_told_ns.get(sealed.code)
        if told_ns is not None and now.mono_ns - told_ns < CLOSING_TOLD_EVERY_S * NS_PER_S:
            return
        self._closing_told_ns[sealed.code] = now.mono_ns
        why = f"{endpoint.name} answered {sealed.code} ({REFUSALS[sealed.code].meaning}): {sealed.text}"
        self._notice(VenueClosingSeen(at=now, why=why))

    def _left_s(self, ends_ns: int) -> float:
        return (ends_ns - self._clock.monotonic_ns()) / NS_PER_S


def common_headers(broker_id: str | None) -> dict[str, str]:
    """What every request and every handshake carries. The broker's id is attribution only and isn't signed (3.5)."""
    headers = {"User-Agent": USER_AGENT, "Accept": "application/json"}
    return {**headers, "X-BM-BROKER-ID": broker_id} if broker_id else headers


_HELD_REASONS: Final = {
    BlockKind.RATE_LIMIT: Reason.RATE_LIMITED,
    BlockKind.EDGE: Reason.EDGE_BLOCKED,
    BlockKind.BAN: Reason.BANNED,
}


def _turned_away(reason: Reason, status: str, retry_after_s: float) -> Rejected:
    return Rejected(reason=reason, code=status, text=f"HTTP {status}", retry_after_s=retry_after_s)


def _reply(endpoint: Endpoint, answer: Answer) -> Reply:
    """The API's own answer, or the error that says why there is none."""
    match answer:
        case Reply():
            return answer
        case EdgePage(status=status):
            raise VenueBusy(f"{endpoint.name}: a page of the edge at HTTP {status}, expected the API's JSON")
        case RateLimited(retry_after_s=wait_s) | Banned(retry_after_s=wait_s):
            raise VenueBusy(f"{endpoint.name}: turned away, to try again after {wait_s:.1f} s")
        case HeldBack(why=why):
            raise VenueBusy(f"{endpoint.name}: {why}")
        case NotSent(why=why) | Ambiguous(why=why):
            raise VenueUnreachable(f"{endpoint.name}: {why}")
        case _:
            assert_never(answer)


def _refusal(endpoint: Endpoint, sealed: Envelope) -> VenueRefused | CredentialsError:
    known = REFUSALS.get(sealed.code)
    text = f"{sealed.text or (known.meaning if known else 'unpublished code')} (trace {sealed.trace})"
    if sealed.code in CREDENTIAL_CODES:
        return CredentialsError(f"BitMart refuses our credentials at {endpoint.name}, code {sealed.code}: {text}")
    return VenueRefused(endpoint=endpoint.name, code=str(sealed.code), text=text)
