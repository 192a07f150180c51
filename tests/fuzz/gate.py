"""Who spoke, and what became of a write: the transport's judgement and each venue's tables, on pages, bodies and headers alike.

A payload is one body; it is answered with at every HTTP status that decides differently. Beside soundness it must hold that
a write is accepted only by the venue's own word of success, that an answer which isn't the API's JSON is no refusal except
where the status alone proves that nothing was executed, and that a code nobody published leaves the outcome open (I7).
"""

import json
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, cast

from guardd.clock import ManualClock
from guardd.errors import CredentialsError, VenueError
from guardd.model.instant import Instant
from guardd.model.outcome import Accepted, Outcome, Rejected
from guardd.venues.bitget import api as bitget_api
from guardd.venues.bitget import errors as bitget_errors
from guardd.venues.bitget.classic import endpoints as classic_endpoints
from guardd.venues.bitget.hosts import Hosts as BitgetHosts
from guardd.venues.bitget.sign import Credentials as BitgetCredentials
from guardd.venues.bitmart import api as bitmart_api
from guardd.venues.bitmart import endpoints as bitmart_endpoints
from guardd.venues.bitmart import errors as bitmart_errors
from guardd.venues.bitmart.hosts import Hosts as BitmartHosts
from guardd.venues.bitmart.sign import Credentials as BitmartCredentials
from guardd.venues.limiter import Lane
from guardd.venues.transport import Answer, Dialect, Reply, Transport, classify
from guardd.venues.wire import WireReply
from tests.fuzz import law, samples
from tests.fuzz.target import Target

STATUSES: Final = (200, 400, 403, 418, 429, 500, 503, 530)
_NOT_EXECUTED: Final = frozenset({403, 418, 429})
"""Where the status alone says so: the edge's 403, a limit, a ban (BitMart reference, 4.3 and 4.4)."""
_AT: Final = Instant(7, 1_700_000_000_000)
_PAGE: Final = b"<!DOCTYPE html><title>Just a moment...</title><div id='cf-wrapper'>Checking your browser</div>"


class _OneAnswer:
    """A transport whose every call is answered at once, and in the same way."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._wired = wired(200, b"")

    def say(self, answer: WireReply) -> Answer:
        self._wired = answer
        return classify(answer, self._dialect)

    async def read(self, _: object) -> Answer:
        return classify(self._wired, self._dialect)

    write = read


def wired(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> WireReply:
    return WireReply(status=status, headers=headers or {}, body=body, sent_ns=1, received=_AT)


def _now(answering: Coroutine[Any, Any, Outcome]) -> Outcome:
    """The outcome of a call that waits for nothing."""
    try:
        answering.send(None)
    except StopIteration as ended:
        return cast(Outcome, ended.value)
    raise AssertionError("the call waits for something")


def _bitmart() -> Callable[[bytes], object]:
    clock, transport = ManualClock(), _OneAnswer(bitmart_api.DIALECT)
    api = bitmart_api.Api(
        transport=cast(Transport, transport),
        hosts=BitmartHosts(rest="http://a", stream="ws://a"),
        credentials=BitmartCredentials(key="k", secret="s", memo="m"),
        clock=clock,
        notice=lambda _: None,
    )
    api.time.learn(server_ms=1_700_000_000_000, sent_ns=clock.monotonic_ns(), received_ns=clock.monotonic_ns())

    def published(code: str) -> bool:
        return code.isascii() and code.isdecimal() and len(code) < 10 and int(code) in bitmart_errors.REFUSALS

    def write(body: bytes) -> object:
        return [_judged(status, body, transport, send, published, "1000") for status in STATUSES]

    def send() -> Outcome:
        return _now(api.write(bitmart_endpoints.SUBMIT_ORDER, {"a": 1}, deadline_s=1.0, lane=Lane.EMERGENCY))

    return write


def _bitget() -> Callable[[bytes], object]:
    clock, transport = ManualClock(), _OneAnswer(bitget_api.DIALECT)
    api = bitget_api.Api(
        transport=cast(Transport, transport),
        hosts=BitgetHosts(rest="http://a", stream="ws://a"),
        credentials=BitgetCredentials(key="k", secret="s", passphrase="p"),
        demo=False,
        clock=clock,
        notice=lambda _: None,
        channel_code=None,
    )
    api.time.learn(server_ms=1_700_000_000_000, sent_ns=clock.monotonic_ns(), received_ns=clock.monotonic_ns())

    def write(body: bytes) -> object:
        return [
            _judged(status, body, transport, send, bitget_errors.REFUSALS.__contains__, "00000") for status in STATUSES
        ]

    def send() -> Outcome:
        return _now(api.write(classic_endpoints.PLACE_ORDER, {"a": 1}, deadline_s=1.0, lane=Lane.EMERGENCY))

    return write


def _judged(
    status: int,
    body: bytes,
    transport: _OneAnswer,
    send: Callable[[], Outcome],
    published: Callable[[str], bool],
    success: str,
) -> Outcome:
    answer = transport.say(wired(status, body, {"retry-after": body[:40].decode("latin-1")}))
    outcome = send()
    reply = answer if isinstance(answer, Reply) else getattr(answer, "reply", None)
    said = None if reply is None else reply.code
    if isinstance(outcome, Accepted) and said != success:
        raise law.Unsound(f"accepted at HTTP {status} by {said!r}")
    if isinstance(outcome, Rejected) and said is None and status not in _NOT_EXECUTED:
        raise law.Unsound(f"rejected at HTTP {status} by nobody: {outcome}")
    if (
        isinstance(outcome, Rejected)
        and said not in (None, success)
        and not published(str(said))
        and status not in _NOT_EXECUTED
    ):
        raise law.Unsound(f"rejected by the unpublished code {said}")
    return outcome


def _headers(dialect: Dialect) -> Callable[[bytes], object]:
    """The headers of an answer, as a JSON object of texts."""

    def read(text: bytes) -> object:
        given = json.loads(text.decode())
        if not isinstance(given, dict):
            raise ValueError("no object")
        headers = {str(name).lower(): value for name, value in given.items() if isinstance(value, str)}
        usage = dialect.usage(headers)
        answer = classify(wired(429, b"", headers), dialect)
        wait_s = getattr(answer, "retry_after_s", 0.0)
        if not 0 <= wait_s <= 900:
            raise law.Unsound(f"a pause of {wait_s} s")
        window_s = getattr(usage, "window_s", 1.0)
        if not 0 < window_s <= 3_600:
            raise law.Unsound(f"a window of {window_s} s")
        return None

    return read


_ERRORS: Final = (VenueError, CredentialsError)
_LIMITS: Final = (
    b'{"x-bm-ratelimit-remaining":"1","x-bm-ratelimit-limit":"12","x-bm-ratelimit-reset":"2","retry-after":"30"}',
    b'{"x-mbx-used-remain-limit":"9","retry-after":"5"}',
)
_BITMART: Final = (*samples.named("bitmart", "error_[34]*.json"), *samples.of("bitmart", "submit_order_limit"))
_BITGET: Final = (*samples.named("bitget", "error_*.json"), *samples.of("bitget", "place_order", "close_positions"))

TARGETS: Final = (
    Target("bitmart.write", _bitmart(), _BITMART, _ERRORS),
    Target("bitget.write", _bitget(), _BITGET, _ERRORS),
    Target("bitmart.page", _bitmart(), (_PAGE, b"error code: 1010", b""), _ERRORS, json=False),
    Target("bitget.page", _bitget(), (_PAGE, b"error code: 1010", b""), _ERRORS, json=False),
    Target("bitmart.headers", _headers(bitmart_api.DIALECT), _LIMITS, (ValueError, RecursionError)),
    Target("bitget.headers", _headers(bitget_api.DIALECT), _LIMITS, (ValueError, RecursionError)),
)
