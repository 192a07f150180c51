"""From a dialect's call to an answer that says what is certain: tokens, deadlines, blocks, and who it was that spoke.

Nothing here knows a venue's words; a `Dialect` passes in the two that differ: what a code means for the rate, and what the
headers count. Queries, headers and bodies never reach a text (I26).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from guardd.model.event import BlockKind
from guardd.model.instant import Instant
from guardd.venues.limiter import Lane
from guardd.venues.wire import Ambiguous, NotSent


class Judgement(StrEnum):
    """What the API's own answer means to the transport; everything else about it is the dialect's."""

    OK = "ok"
    REJECTED = "rejected"
    RATE_LIMITED = "rate_limited"
    BANNED = "banned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What an answer's headers say of the bucket: calls *used* of `limit` in a window of `window_s`."""

    used: int
    limit: int
    window_s: float


def no_usage(headers: Mapping[str, str]) -> Usage | None:
    """For a venue whose answers carry no counters."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """The two words that differ from venue to venue. `judge` takes the HTTP status and the envelope's `code` as text."""

    judge: Callable[[int, str], Judgement]
    usage: Callable[[Mapping[str, str]], Usage | None] = no_usage
    """Reads lower-case header names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One API call. `endpoint` is its name in limits and metrics; `deadline_s` covers everything, the wait for a token included.

    `sign` is asked for further headers after the token is granted, right before each send, so that a timestamp is never old.
    `subject` names what an emergency write is for (a position, a position's stop): while Cloudflare blocks, each subject is tried
    at once and then every 30-60 s; `closes` says that it closes a position in breach, the only write that a ban lets through.
    """

    endpoint: str
    method: str
    path: str
    deadline_s: float
    query: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: str | None = field(default=None, repr=False)
    """The exact text that is signed and sent."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    sign: Callable[[], Mapping[str, str]] | None = field(default=None, repr=False)
    lane: Lane = Lane.ORDINARY
    subject: str | None = None
    closes: bool = False
    base_url: str | None = None
    """Another host of the venue than the transport's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The API's own JSON, whatever the HTTP status: the dialect judges its code. Header names are in lower case."""

    status: int
    code: str
    """The envelope's `code` as text."""
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    sent_ns: int
    received: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgePage:
    """Cloudflare spoke, not the API (403 or 503). A 403 certainly kept the request from the venue; after a 503 the outcome of a
    write is unknown (BitMart reference, 4.4)."""

    status: int

    @property
    def not_executed(self) -> bool:
        return self.status == 403


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimited:
    """Turned away, certainly not executed. `reply` is the API's own answer where it was one."""

    retry_after_s: float
    reply: Reply | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Banned:
    """The address is blocked for ignoring 429s; certainly not executed."""

    retry_after_s: float
    reply: Reply | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldBack:
    """Never sent: no token within the deadline (`kind` None), or a block holds it back until `until`."""

    why: str
    kind: BlockKind | None
    until: Instant | None


Answer: TypeAlias = Reply | EdgePage | RateLimited | Banned | HeldBack | NotSent | Ambiguous
