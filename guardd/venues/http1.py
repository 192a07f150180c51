"""One kept HTTP/1.1 connection: a request leaves in one write, its answer comes back through llhttp.

Written by hand because an order pays for every object on its way: a general client's request costs five times as much. What it
doesn't do is what a venue's API never asks of us: redirects, cookies, proxies, uploads, pipelining, HTTP/2.

The law of outcomes (I7): as long as `send` has not written, nothing of the request has left this process. From the write on nobody
can know, and only a whole answer ends the doubt. Nothing is ever written twice.
"""

import asyncio
import re
import select
from collections.abc import Callable
from functools import lru_cache
from typing import Final, cast

from guardd.clock import Clock
from guardd.model.instant import NS_PER_S
from guardd.venues.answer import Incoming
from guardd.venues.wire import Ambiguous, WireAnswer, WireReply, WireRequest, named

DOUBTFUL_AFTER_S: Final = 4.0
"""A connection that rested this long is asked, before it is used, whether the kernel knows of its end: no common server gives a
quiet connection less than 5 s. To ask costs a system call, and with it a chance for another thread to hold us up."""

_METHODS: Final = frozenset({"DELETE", "GET", "PATCH", "POST", "PUT"})
_TARGET: Final = re.compile(r"/[\x21\x22\x24-\x7e]*")
"""What may stand between the method and the version: no blank, no control, no fragment."""
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNSAFE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""What would end a header line, or mean something else to the next reader of it."""
_OURS: Final = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""They say how the message is framed and what may come back: only this file can keep that promise."""


def request_bytes(request: WireRequest, host: str, target: str) -> bytes:
    """The whole request. Raises `ValueError`, quoting nothing of it (I26), for what can't be sent as it is."""
    if request.method not in _METHODS:
        raise ValueError("a method that isn't one of HTTP's")
    if _TARGET.fullmatch(target) is None:
        raise ValueError("an address with signs that a request line can't carry")
    headers, body = request.headers, request.body
    values = tuple(headers.values())
    if _UNSAFE.search("".join(values)) is not None:
        raise ValueError("a header with a line break or another control character in its value")
    lines = _lines(tuple(headers), body is not None) % values
    if body is None:
        length = "" if request.method == "GET" else "Content-Length: 0\r\n"
        return f"{request.method} {target} HTTP/1.1\r\nHost: {host}\r\n{lines}{length}\r\n".encode()
    return (
        f"{request.method} {target} HTTP/1.1\r\nHost: {host}\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode()
        + body
    )


@lru_cache(maxsize=256)
def _lines(names: tuple[str, ...], body: bool) -> str:
    """The header lines with `%s` for the values: the few sets of names that a dialect uses are looked at once.

    gzip and nothing else is offered: it is what zlib can undo within a bound, and half a megabyte of contract details is worth it.
    """
    seen: set[str] = set()
    for name in names:
        lower = name.lower()
        if _NAME.fullmatch(name) is None:
            raise ValueError("a header whose name HTTP doesn't allow")
        if lower in _OURS or lower in seen:
            raise ValueError(f"a header that may stand only once, or is the wire's own: {lower}")
        seen.add(lower)
    lines = [f"{name.replace('%', '%%')}: %s\r\n" for name in names]
    if "accept" not in seen:
        lines.append("Accept: */*\r\n")
    if body and "content-type" not in seen:
        lines.append("Content-Type: application/json\r\n")
    lines.append("Accept-Encoding: gzip\r\n")
    return "".join(lines)


class Http1Connection(asyncio.Protocol):
    """One connection, with at most one request on its way. `freed` hears when it may be used again, `lost` once when it is gone."""

    def __init__(
        self,
        clock: Clock,
        *,
        freed: "Callable[[Http1Connection], None]",
        lost: "Callable[[Http1Connection], None]",
    ) -> None:
        self._clock = clock
        self._freed, self._lost = freed, lost
        self._transport: asyncio.Transport | None = None
        self._poll: select.poll | None = None
        self._incoming = Incoming()
        self._waiter: asyncio.Future[WireAnswer] | None = None
        self.closed = False
        """For good: the loop, the other side or its user said so."""
        self._sent_ns = 0
        self._idle_since_ns = clock.monotonic_ns()

    def send(self, request: bytes) -> "asyncio.Future[WireAnswer] | None":
        """Hand a whole request to the socket; None when the connection is found closed, and nothing was written."""
        transport = self._transport
        if transport is None or self.closed or transport.is_closing() or self._waiter is not None:
            return None
        self._waiter = waiter = asyncio.get_running_loop().create_future()
        transport.write(request)
        self._sent_ns = self._clock.monotonic_ns()
        return waiter

    def usable(self, now_ns: int, idle_s_max: float) -> bool:
        """Open, quiet, and not at rest for longer than `idle_s_max`."""
        transport = self._transport
        if transport is None or self.closed or transport.is_closing():
            return False
        return now_ns - self._idle_since_ns <= idle_s_max * NS_PER_S

    def stirs(self, now_ns: int) -> bool:
        """After a longer rest: whether the kernel holds something of it that the loop has not read yet, its end most likely."""
        if self._poll is None or now_ns - self._idle_since_ns < DOUBTFUL_AFTER_S * NS_PER_S:
            return False
        return bool(self._poll.poll(0))

    def abandon(self, waiter: "asyncio.Future[WireAnswer]") -> None:
        """Nobody waits for it any more. If the answer is still to come, the next request would read it: the connection ends."""
        if self._waiter is waiter:
            self.drop()

    def drop(self) -> None:
        """Close it at once."""
        self._end(Ambiguous(why="the connection was dropped"))

    # What the loop says.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._idle_since_ns = self._clock.monotonic_ns()
        found = transport.get_extra_info("socket")
        if found is not None and hasattr(select, "poll"):
            self._poll = select.poll()
            self._poll.register(found.fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        if self._waiter is None:  # nobody asked: it would be taken for the next request's answer
            self.drop()
            return
        broken = self._incoming.feed(data)
        if broken is not None:
            self._end(broken)
        elif self._incoming.whole:
            self._answered()

    def eof_received(self) -> None:
        """The other side says no more: an answer without a length ends like this, nothing else does."""
        if self._waiter is not None and self._incoming.end():
            self._answered()
        else:
            self._end(Ambiguous(why="the connection was closed before the answer was whole"))

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = self._poll = None
        lost = "the connection was lost" if error is None else named(error)
        self._end(Ambiguous(why=f"{lost} before the answer was whole"))
        self._lost(self)

    def _answered(self) -> None:
        """The answer is whole. The connection is free again if nothing of either message is left in it."""
        received = self._clock.now()
        incoming, transport = self._incoming, self._transport
        waiter, self._waiter = self._waiter, None
        body = incoming.body()
        answer: WireAnswer = (
            WireReply(
                status=incoming.status,
                headers=incoming.headers,
                body=body,
                sent_ns=self._sent_ns,
                received=received,
            )
            if isinstance(body, bytes)
            else body
        )
        if waiter is not None and not waiter.done():
            waiter.set_result(answer)
        if incoming.last or transport is None or transport.get_write_buffer_size():
            self.drop()
        else:
            incoming.begin()
            self._idle_since_ns = received.mono_ns
            self._freed(self)

    def _end(self, answer: Ambiguous) -> None:
        """Nothing more is sent or read. Whoever still waits is told."""
        self.closed = True
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(answer)
        if self._transport is not None:
            self._transport.abort()
