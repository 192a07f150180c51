"""One call at Bitget, from headers to verdict, for both families: signatures, the envelope's code, and what is mended at once.

A read gives the answer's `data` or raises; a write gives an `Outcome` and never raises for what the network or the venue did. A
clock that is off is measured and the call made once more, within the same deadline. A code that says that the account is of another
family is told and never answered by another try.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias, assert_never

import msgspec
from msgspec import Struct

from guardd import __version__
from guardd.clock import Clock
from guardd.errors import CredentialsError, PayloadError, VenueBusy, VenueError, VenueRefused, VenueUnreachable
from guardd.model.event import BlockKind, BlockMoved
from guardd.model.instant import NS_PER_S, Instant
from guardd.model.outcome import Accepted, Outcome, Reason, Rejected, Unknown
from guardd.venues import retry
from guardd.venues.bitget.endpoint import TIME, Endpoint
from guardd.venues.bitget.envelope import Envelope, accepted_order_id, envelope, refused_legs
from guardd.venues.bitget.errors import (
    CREDENTIAL_CODES,
    FAMILY_CODES,
    SUCCESS,
    GuardAction,
    action_for,
    judge_write,
    meaning_of,
)
from guardd.venues.bitget.hosts import Hosts
from guardd.venues.bitget.sign import DEMO_HEADER, Credentials, signed_headers
from guardd.venues.limiter import Lane, Left
from guardd.venues.rows import as_row
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
    encoded,
)
from guardd.venues.venue_time import VenueTime
from guardd.venues.wire import Ambiguous, NotSent

Query: TypeAlias = Sequence[tuple[str, str]]
Body: TypeAlias = Mapping[str, object] | Sequence[object]

READ_DEADLINE_S: Final = 5.0
CLOCK_DEADLINE_S: Final = 2.0
USER_AGENT: Final = f"guardd/{__version__} (+risk guard)"
"""Descriptive and stable: the agents of common libraries are the first that an edge turns away."""
CHANNEL_HEADER: Final = "X-CHANNEL-API-CODE"
LEFT_HEADER: Final = "x-mbx-used-remain-limit"


class FamilyDenied(Struct, frozen=True, kw_only=True):
    """The venue says that this account isn't of the family whose call was made (UTA reference, 2)."""

    at: Instant
    code: str
    endpoint: str
    text: str


Notice: TypeAlias = BlockMoved | FamilyDenied


def _judge(status: int, code: str) -> Judgement:
    """What a code means for the rate (4); everything else about it is in `errors.py`. Only 2xx with 00000 is success."""
    if code == SUCCESS and 200 <= status < 300:
        return Judgement.OK
    return Judgement.RATE_LIMITED if code and action_for(code) is GuardAction.SLOW else Judgement.REJECTED


def _usage(headers: Mapping[str, str]) -> Left | None:
    """In spite of its name the header counts what is left to this endpoint in the current second (4)."""
    left = headers.get(LEFT_HEADER, "")
    return Left(calls=int(left)) if left.isascii() and left.isdecimal() else None


DIALECT: Final = Dialect(judge=_judge, usage=_usage)


class Api:
    """Makes calls for one account over its transport. `notice` hears what a code says beyond the call that met it."""

    def __init__(
        self,
        *,
        transport: Transport,
        hosts: Hosts,
        credentials: Credentials,
        demo: bool,
        clock: Clock,
        notice: Callable[[Notice], None],
        channel_code: str | None,
    ) -> None:
        self.hosts = hosts
        self.time = VenueTime(clock)
        self._transport = transport
        self._credentials = credentials
        self._demo = demo
        self._clock = clock
        self._notice = notice
        self._channel_code = channel_code

    def probe(self) -> Call:
        """The one cheap request that keeps connections warm and asks whether a block is over: the venue's time."""
        return self._prepared(TIME, (), None, CLOCK_DEADLINE_S, Lane.ORDINARY)

    async def read(
        self,
        endpoint: Endpoint,
        query: Query = (),
        *,
        deadline_s: float = READ_DEADLINE_S,
        lane: Lane = Lane.ORDINARY,
        expected: frozenset[str] = frozenset(),
        opened: Callable[[str, bytes | str], Envelope] = envelope,
    ) -> object:
        """The `data` of an answer, as `opened` takes it out. Raises `VenueError`, and `CredentialsError` when the venue refuses our
        key.

        A code that is `expected` is raised as any other, and counted as an answer: the call asks for it."""
        ends_ns = self._clock.monotonic_ns() + int(deadline_s * NS_PER_S)
        mended, failures = False, 0
        while True:
            call = self._prepared(endpoint, query, None, self._left_s(ends_ns), lane, expected=expected)
            reply = _reply(endpoint, await self._transport.read(call))
            sealed = opened(endpoint.name, reply.body)
            self._listen(endpoint, sealed)
            if sealed.ok and reply.status < 300:
                return sealed.data
            if not mended and await self._mend(sealed.code, self._left_s(ends_ns)):
                mended = True
                continue
            failures += 1
            wait_s = retry.read_s(failures, jitter=0.0)
            passing = action_for(sealed.code) is GuardAction.RETRY and reply.status < 500  # else it was repeated below
            if not passing or not self._worth(failures, wait_s, ends_ns):
                raise _refusal(endpoint, sealed)
            await self._clock.sleep(wait_s)

    async def write(
        self,
        endpoint: Endpoint,
        body: Body,
        *,
        lane: Lane,
        deadline_s: float,
        closes: bool = False,
        subject: str = "",
    ) -> Outcome:
        """Send one signed write. The text that is signed is the text that is sent. An answer that takes the whole and refuses its
        only leg is a refusal."""
        ends_ns = self._clock.monotonic_ns() + int(deadline_s * NS_PER_S)
        if not await self._time_is_known(deadline_s):
            return Rejected(
                reason=Reason.CLOCK,
                code="",
                text="not sent: the venue's clock isn't known within 5 s, and a wrong timestamp is refused",
            )
        text = wire_text(body)
        mended = False
        while True:
            left_s = self._left_s(ends_ns)
            call = self._prepared(endpoint, (), text, left_s, lane, subject=subject or None, closes=closes)
            outcome = self._outcome(endpoint, await self._transport.write(call))
            if not isinstance(outcome, Rejected) or mended:
                return outcome
            if not await self._mend(outcome.code, self._left_s(ends_ns)):
                return outcome
            mended = True

    async def measure_time(self, deadline_s: float = CLOCK_DEADLINE_S) -> int:
        """Ask the venue for its time; the offset in ms (venue minus local). Raises `VenueError`."""
        call = self._prepared(TIME, (), None, deadline_s, Lane.ORDINARY)
        reply = _reply(TIME, await self._transport.read(call))
        sealed = envelope(TIME.name, reply.body)
        if not sealed.ok or reply.status >= 300:
            raise _refusal(TIME, sealed)
        server_ms = as_row(TIME.name, sealed.data).milliseconds("serverTime")
        self.time.learn(server_ms=server_ms, sent_ns=reply.sent_ns, received_ns=reply.received.mono_ns)
        return self.time.offset_ms()

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
        expected: frozenset[str] = frozenset(),
    ) -> Call:
        """Keys in ascending order, the one order that every source signs (19.2)."""
        ordered = tuple(sorted(query))
        path_and_query = f"{endpoint.path}?{encoded(ordered)}" if ordered else endpoint.path
        headers: dict[str, str] = {}
        if text is not None:
            headers["Content-Type"] = "application/json"
        if self._channel_code and endpoint.places:
            headers[CHANNEL_HEADER] = self._channel_code
        return Call(
            endpoint=endpoint.name,
            method=endpoint.method,
            path=endpoint.path,
            deadline_s=deadline_s,
            query=ordered,
            body=text,
            headers=headers,
            sign=(lambda: self._signed(endpoint.method, path_and_query, text or "")) if endpoint.signed else None,
            lane=lane,
            subject=subject,
            closes=closes,
            expected=expected,
        )

    def _signed(self, method: str, path_and_query: str, text: str) -> Mapping[str, str]:
        return signed_headers(
            self._credentials,
            timestamp_ms=self.time.timestamp_ms(),
            method=method,
            path_and_query=path_and_query,
            body=text,
            demo=self._demo,
        )

    def _outcome(self, endpoint: Endpoint, answer: Answer) -> Outcome:
        """What became of a write."""
        match answer:
            case Reply():
                return self._answered(endpoint, answer)
            case EdgePage(status=status):
                if not answer.not_executed:
                    return Unknown(why=f"{endpoint.name}: a page of the edge at HTTP {status}")
                return Rejected(reason=Reason.EDGE_BLOCKED, code=str(status), text="a page of the edge")
            case RateLimited(retry_after_s=wait_s, reply=reply):
                return _turned_away(Reason.RATE_LIMITED, "429" if reply is None else reply.code, wait_s)
            case Banned(retry_after_s=wait_s):
                return _turned_away(Reason.BANNED, "418", wait_s)
            case HeldBack():
                return self._held_back(answer)
            case NotSent(why=why):
                return Rejected(reason=Reason.NOT_SENT, code="", text=why)
            case Ambiguous(why=why):
                return Unknown(why=f"{endpoint.name}: {why}")
            case _:
                assert_never(answer)

    def _answered(self, endpoint: Endpoint, reply: Reply) -> Outcome:
        try:
            sealed = envelope(endpoint.name, reply.body)
        except PayloadError as error:
            return Unknown(why=str(error))
        self._listen(endpoint, sealed)
        at_ms = reply.received.wall_ms
        if not sealed.ok or reply.status >= 300:
            return judge_write(status=reply.status, code=sealed.code, text=sealed.text, at_ms=at_ms)
        for leg in refused_legs(sealed.data):
            return judge_write(status=reply.status, code=leg.code, text=leg.text, at_ms=at_ms)
        return Accepted(order_id=accepted_order_id(sealed.data), sent_ns=reply.sent_ns)

    def _held_back(self, held: HeldBack) -> Rejected:
        reason = Reason.NOT_SENT if held.kind is None else _HELD_REASONS[held.kind]
        wait_s = None if held.until is None else max(0.0, held.until.seconds_since(self._clock.now()))
        return Rejected(reason=reason, code="", text=held.why, retry_after_s=wait_s)

    async def _mend(self, code: str, left_s: float) -> bool:
        """Put right what a code complains of; True when the call is worth making once more within `left_s`."""
        if left_s <= 0 or action_for(code) is not GuardAction.CLOCK:
            return False
        return await self._measured(left_s)

    def _worth(self, failures: int, wait_s: float, ends_ns: int) -> bool:
        """Whether a read that met a passing fault of the venue's is to be made again."""
        return failures < retry.READ_TRIES and wait_s < self._left_s(ends_ns)

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
        if sealed.code in FAMILY_CODES:
            self._notice(FamilyDenied(at=self._clock.now(), code=sealed.code, endpoint=endpoint.name, text=sealed.text))

    def _left_s(self, ends_ns: int) -> float:
        return (ends_ns - self._clock.monotonic_ns()) / NS_PER_S


def wire_text(body: Body) -> str:
    """The one text of a body: this is what is signed, and this is what is sent (3). Nothing to say is the empty text."""
    return msgspec.json.encode(body).decode() if body else ""


def common_headers(*, demo: bool) -> dict[str, str]:
    """What every request carries. In demo the public calls carry the mark too: its prices aren't the live ones (14)."""
    headers = {"User-Agent": USER_AGENT, "Accept": "application/json", "locale": "en-US"}
    return {**headers, DEMO_HEADER: "1"} if demo else headers


_HELD_REASONS: Final = {
    BlockKind.RATE_LIMIT: Reason.RATE_LIMITED,
    BlockKind.EDGE: Reason.EDGE_BLOCKED,
    BlockKind.BAN: Reason.BANNED,
}


def _turned_away(reason: Reason, code: str, retry_after_s: float) -> Rejected:
    return Rejected(reason=reason, code=code, text="turned away", retry_after_s=retry_after_s)


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
    text = sealed.text or meaning_of(sealed.code)
    if sealed.code in CREDENTIAL_CODES:
        return CredentialsError(f"Bitget refuses our credentials at {endpoint.name}, code {sealed.code}: {text}")
    return VenueRefused(endpoint=endpoint.name, code=sealed.code, text=text)
