"""What passes between the thin HTTP shell and a dialect: plain values, so that a dialect is a function of its input.

A dialect gets a `Request` whose body has been read to its last byte and gives a `Reply`. Nothing here knows sockets.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from msgspec import Struct

from guardd.simulator.happenings import Happening

JSON_TYPE = "application/json; charset=utf-8"
HTML_TYPE = "text/html; charset=UTF-8"
TEXT_TYPE = "text/plain; charset=UTF-8"


class Request(Struct, frozen=True, kw_only=True):
    """One HTTP request. Header names are in lower case; of a repeated query parameter the last one counts.

    `raw_query` is the query as it was sent, for venues whose signature covers it.
    """

    method: str
    path: str
    query: Mapping[str, str] = {}
    raw_query: str = ""
    headers: Mapping[str, str] = {}
    body: bytes = b""
    peer_ip: str = "127.0.0.1"
    now_ms: int


class Response(Struct, frozen=True, kw_only=True):
    """One HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Reply(Struct, frozen=True, kw_only=True):
    """What the shell does with a request: answer after `delay_ms`, or (`response` None) let the caller's time run out."""

    response: Response | None
    delay_ms: int = 0


class Close(Struct, frozen=True, kw_only=True):
    """The venue ends a socket."""

    code: int
    reason: str


class Push(Struct, frozen=True, kw_only=True):
    """One frame on its way to a socket; `ticker` names the symbol when it carries a price, for the reaction stamps."""

    text: str
    topic: str = ""
    ticker: str = ""
    mark: str = ""


class StreamSession(Protocol):
    """One socket, as its dialect sees it; `close` says why the venue ends it, None while it doesn't."""

    close: Close | None

    def touch(self, now_ms: int) -> None:
        """The client sent something that is no text frame."""
        ...

    def on_frame(self, text: str, now_ms: int) -> list[str]:
        """Answers to one text frame, in order."""
        ...

    def frozen(self, now_ms: int) -> bool:
        """Open, but silent."""
        ...


class Dialect(Protocol):
    """A venue's protocol over the exchange: plain calls, no sockets."""

    @property
    def stream_paths(self) -> tuple[str, ...]:
        """Paths that are upgraded to WebSockets."""
        ...

    def answer(self, request: Request) -> Reply:
        """Judge and execute one request."""
        ...

    def open(self, path: str, now_ms: int, deliver: Callable[[Push], None]) -> StreamSession:
        """A new socket; pushes go to `deliver`."""
        ...

    def drop(self, session: StreamSession) -> None:
        """The socket is gone."""
        ...

    def hear(self, happening: Happening) -> None:
        """Something happened on the exchange."""
        ...

    def tick(self, now_ms: int) -> None:
        """Time passed: periodic frames, late pushes, sockets to end."""
        ...

    def account_of(self, request: Request) -> str:
        """The uid that a request claims to be, "" for none."""
        ...

    def add_key(self, uid: str, key: str, secret: str, passphrase: str, *, may_trade: bool) -> None:
        """Give an account one more API key; `passphrase` is what this venue calls it, a memo for instance."""
        ...
