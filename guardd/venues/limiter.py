"""Budgets of requests: how guardd stays welcome at a venue (interfaces.md section 6, invariant I12).

A bucket that refills continuously lets through up to twice its size in one window, so these buckets keep a record instead: a call
counts from the moment it is granted until a whole window after it was *answered*. The venue counts it somewhere in between, so
however long the two ways take, no window of the venue's ever holds more of our calls than the budget.

Accounts with equal credentials share what the venue counts by key or UID; all accounts of a venue host share what it counts by IP,
and the block that stands against our address (`guardd.venues.block`).
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from enum import StrEnum
from hashlib import blake2b
from math import floor
from random import Random
from typing import Final

from msgspec import Struct

from guardd.clock import Clock
from guardd.errors import ConfigurationError
from guardd.model.event import BlockKind, BlockMoved
from guardd.model.instant import NS_PER_S, Instant
from guardd.venues import retry
from guardd.venues.block import Admission, Barred, Block, Errand, Gate, Lane, Sign

__all__ = [
    "EMERGENCY_SHARE",
    "EVERY_ENDPOINT",
    "Ending",
    "Held",
    "How",
    "Lane",
    "Left",
    "Limit",
    "Limiter",
    "LimiterRegistry",
    "Permit",
    "Scope",
    "Usage",
]

EMERGENCY_SHARE: Final = 0.95
EVERY_ENDPOINT: Final = "*"
"""The endpoint of a limit that all calls of its scope count towards."""
UNLISTED_CALLS: Final = 2
UNLISTED_WINDOW_S: Final = 2.0
"""What is assumed of an endpoint without a published limit (BitMart reference, 4.1)."""
POLL_S: Final = 0.01
"""How often a waiter looks again when nobody can say when its turn comes: a call before it is still unanswered."""
_SLACK_NS: Final = 5_000_000
"""Added to each window: two clocks don't run alike, and a venue may count the window's edge as inside."""
_RANK: Final = {Lane.EMERGENCY: 0, Lane.PROBE: 1, Lane.ORDINARY: 2}


class Scope(StrEnum):
    """What the venue counts by: the caller's address, the API key, or the account whatever its keys."""

    IP = "ip"
    KEY = "key"
    UID = "uid"


class Limit(Struct, frozen=True, kw_only=True):
    """One row of a venue's table: at most `calls` in any `window_s`."""

    endpoint: str
    calls: int
    window_s: float
    scope: Scope
    members: tuple[str, ...] = ()
    """Endpoints that count towards this row besides their own; `endpoint` is only its name then."""


class Usage(Struct, frozen=True, kw_only=True):
    """What an answer's headers say of the bucket: calls *used* of `limit` in a window of `window_s`."""

    used: int
    limit: int
    window_s: float


class Left(Struct, frozen=True, kw_only=True):
    """What an answer's header says of the bucket where it counts down: calls left in the current window of the published limit."""

    calls: int


class How(StrEnum):
    """How a granted call ended."""

    UNSENT = "unsent"
    ANSWERED = "answered"
    RATE_LIMITED = "rate_limited"
    PAGE = "page"
    BANNED = "banned"
    LOST = "lost"
    """It may have arrived; nobody answered."""


class Ending(Struct, frozen=True, kw_only=True):
    """`retry_after_s` is what the venue asked for, 0 for nothing."""

    how: How
    retry_after_s: float = 0.0
    usage: Usage | Left | None = None


class Permit(Struct, frozen=True, kw_only=True):
    """A leave for one call. Whoever holds it gives it back with `Limiter.settle`, whatever happened."""

    endpoint: str
    admission: Admission


class Held(Struct, frozen=True, kw_only=True):
    """No leave: `kind` None means only that the budget is used up until `until` (None: nobody can say)."""

    why: str
    kind: BlockKind | None
    until: Instant | None


class _Bucket:
    """One venue counter: an endpoint by one scope and identity."""

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self.paused_until_ns = 0
        self._calls = limit.calls
        self._window_s = limit.window_s
        self._unanswered = 0
        self._answered_ns: list[int] = []  # ascending
        self._paused_since_ns = 0
        self._refusals = 0
        self._budgets: dict[float, tuple[int, int]] = {}
        """By share, as long as limit and window are these."""

    def grant(self) -> None:
        self._unanswered += 1

    def give_back(self, now_ns: int, *, sent: bool) -> None:
        self._unanswered -= 1
        if sent:
            self._answered_ns.append(now_ns)

    def wait_ns(self, share: float, now_ns: int) -> int | None:
        """Nanoseconds until `share` of the limit has room for one call; None while that hangs on an unanswered call."""
        calls, window_ns = self._budget(share)
        since = bisect_right(self._answered_ns, now_ns - window_ns)
        too_many = len(self._answered_ns) - since + self._unanswered - calls + 1
        if too_many <= 0:
            return 0
        if since + too_many > len(self._answered_ns):
            return None
        return self._answered_ns[since + too_many - 1] + window_ns - now_ns

    def room(self, share: float, now_ns: int) -> int:
        """Calls that `share` of the limit would still let through now."""
        calls, window_ns = self._budget(share)
        recent = len(self._answered_ns) - bisect_right(self._answered_ns, now_ns - window_ns)
        return 0 if now_ns < self.paused_until_ns else max(0, calls - recent - self._unanswered)

    def forget(self, before_ns: int) -> None:
        del self._answered_ns[: bisect_right(self._answered_ns, before_ns)]

    def window_ns(self, share: float) -> int:
        return self._budget(share)[1]

    def correct(self, told: Usage | Left, now_ns: int) -> None:
        """Believe the venue where it is stricter than we are: its limit, its window, and calls that others made."""
        published = self.limit
        if isinstance(told, Left):
            used, limit, window_s = published.calls - told.calls, published.calls, published.window_s
        else:
            used, limit, window_s = told.used, told.limit, told.window_s
        if limit < 1 or window_s <= 0.0:
            return
        believed = min(published.calls, limit), max(published.window_s, window_s)
        if believed != (self._calls, self._window_s):
            self._calls, self._window_s = believed
            self._budgets.clear()
        counted = len(self._answered_ns) - bisect_right(self._answered_ns, now_ns - self._budget(1.0)[1])
        others = min(used, self._calls) - counted - self._unanswered
        if others > 0:
            self._answered_ns.extend([now_ns] * others)

    def pause(self, sent_ns: int, now_ns: int, retry_after_s: float, jitter: float) -> None:
        """A 429. Several refused at once are one refusal: only a call sent after the last pause began makes it longer."""
        if sent_ns < self._paused_since_ns and self._refusals:
            return
        rest_s = retry.rate_limit_s(self._refusals, max(retry_after_s, self._window_s), jitter)
        self._refusals += 1
        self._paused_since_ns = now_ns
        self.paused_until_ns = now_ns + _ns(rest_s)

    def reward(self, sent_ns: int) -> None:
        """An answer that wasn't a 429 ends the doubling."""
        if sent_ns >= self._paused_since_ns:
            self._refusals = 0

    def _budget(self, share: float) -> tuple[int, int]:
        """Whole calls and the window they may fill: below one call, the window is stretched until it holds one."""
        found = self._budgets.get(share)
        if found is None:
            product = share * self._calls
            stretch = 1.0 if product >= 1.0 else 1.0 / product
            found = max(1, floor(product + 1e-9)), _ns(self._window_s * stretch) + _SLACK_NS
            self._budgets[share] = found
        return found


class _Books:
    """What the accounts of one venue host have in common."""

    def __init__(self, random: Random) -> None:
        self.gate = Gate(random)
        self.random = random
        self.buckets: dict[tuple[Limit, bytes], _Bucket] = {}
        self.queue: list[_Ticket] = []
        self.tickets = 0
        self.pauses_until_ns = 0
        """No bucket of this host rests beyond it: none is looked through for its pause before one has begun."""


class _Ticket(Struct, frozen=True, kw_only=True):
    """A place in the queue."""

    number: int
    errand: Errand
    buckets: tuple[_Bucket, ...]

    def goes_before(self, other: "_Ticket") -> bool:
        """Emergency before ordinary wherever they share a bucket; within a lane, first come first served for each endpoint."""
        if (_RANK[self.errand.lane], self.number) >= (_RANK[other.errand.lane], other.number):
            return False
        if self.errand.lane is other.errand.lane:
            return self.buckets[0] is other.buckets[0]
        return any(bucket in other.buckets for bucket in self.buckets)


class LimiterRegistry:
    """Hands each account its `Limiter`, so that what the venue counts together is counted together here."""

    def __init__(self, clock: Clock, random: Random) -> None:
        self._clock = clock
        self._random = random
        self._salt = random.randbytes(16)
        self._books: dict[str, _Books] = {}

    def limiter(self, *, host: str, credential: str, limits: Sequence[Limit], share: float) -> "Limiter":
        """`host` names the venue's environment, `credential` the API key; `share` is `rate_limit_share`."""
        if not 0.0 < share <= EMERGENCY_SHARE:
            raise ConfigurationError(f"rate_limit_share: found {share}, expected above 0 and at most {EMERGENCY_SHARE}")
        books = self._books.setdefault(host, _Books(self._random))
        return Limiter(clock=self._clock, books=books, identity=self._identity(credential), limits=limits, share=share)

    def _identity(self, credential: str) -> bytes:
        """Tells credentials apart without holding one (I26)."""
        return blake2b(credential.encode(), key=self._salt, digest_size=16).digest()


def _deaf(moved: BlockMoved) -> None:
    """Nobody listens yet."""


class Limiter:
    """One account's view of the budgets. `on_block` hears each change of what holds this account back."""

    def __init__(self, *, clock: Clock, books: _Books, identity: bytes, limits: Sequence[Limit], share: float) -> None:
        self._clock = clock
        self._books = books
        self._identity = identity
        self._share = share
        """Of every lane but the emergency one. The least of all, so that what has left its windows counts for no lane."""
        self._limits = tuple(limits)
        self._by_endpoint: dict[str, tuple[_Bucket, ...]] = {}
        self._told: dict[BlockKind, int] = {}
        self.on_block: Callable[[BlockMoved], None] = _deaf

    def try_acquire(self, endpoint: str, lane: Lane, *, subject: str = "", closes: bool = False) -> Permit | Held:
        """A permit if there is one now and nobody who waits goes first."""
        return self._decide(self._ticket(endpoint, lane, subject, closes), endpoint)[0]

    async def acquire(
        self, endpoint: str, lane: Lane, deadline_s: float, *, subject: str = "", closes: bool = False
    ) -> Permit | Held:
        """A permit within `deadline_s`; Held at once when it is known that there will be none by then."""
        ticket = self._ticket(endpoint, lane, subject, closes)
        verdict, wait_s = self._decide(ticket, endpoint)
        if isinstance(verdict, Permit):
            return verdict
        return await self._wait(ticket, endpoint, deadline_s, verdict, wait_s)

    async def _wait(
        self, ticket: _Ticket, endpoint: str, deadline_s: float, verdict: Permit | Held, wait_s: float | None
    ) -> Permit | Held:
        """In the queue, from the verdict of just now on."""
        end_ns = self._clock.monotonic_ns() + _ns(deadline_s)
        self._books.queue.append(ticket)
        try:
            while True:
                if isinstance(verdict, Permit):
                    return verdict
                left_s = (end_ns - self._clock.monotonic_ns()) / NS_PER_S
                if left_s <= 0 or (wait_s is not None and wait_s > left_s):
                    return verdict
                await self._clock.sleep(min(left_s, POLL_S if wait_s is None else max(wait_s, POLL_S)))
                verdict, wait_s = self._decide(ticket, endpoint)
        finally:
            self._books.queue.remove(ticket)

    def settle(self, permit: Permit, ending: Ending) -> None:
        """The call is over."""
        now = self._clock.now()
        admission, now_ns = permit.admission, now.mono_ns
        buckets = self._buckets(permit.endpoint)
        for bucket in buckets:
            bucket.give_back(now_ns, sent=ending.how is not How.UNSENT)
            bucket.forget(now_ns - bucket.window_ns(self._share))
        if ending.usage is not None:
            buckets[0].correct(ending.usage, now_ns)
        match ending.how:
            case How.UNSENT:
                self._books.gate.take_back(admission)
            case How.ANSWERED:
                self._books.gate.learn(Sign.ANSWER, admission, now_ns)
                buckets[0].reward(admission.at_ns)
            case How.RATE_LIMITED:
                buckets[0].pause(admission.at_ns, now_ns, ending.retry_after_s, self._books.random.random())
                self._books.pauses_until_ns = max(self._books.pauses_until_ns, buckets[0].paused_until_ns)
            case How.PAGE:
                self._books.gate.learn(Sign.PAGE, admission, now_ns, retry_after_s=ending.retry_after_s)
            case How.BANNED:
                self._books.gate.learn(Sign.BAN, admission, now_ns, retry_after_s=ending.retry_after_s)
            case How.LOST:
                pass
        self.tell(now)

    def tell(self, now: Instant) -> None:
        """Report what began, moved or ended; called at each end of a call and, for pauses that just run out, by a pulse."""
        standing = self._standing(now.mono_ns)
        if standing == self._told:
            return
        for kind in BlockKind:
            until_ns = standing.get(kind)
            if until_ns == self._told.get(kind):
                continue
            if until_ns is None:
                del self._told[kind]
                self.on_block(BlockMoved(at=now, kind=kind, until=None))
            else:
                self._told[kind] = until_ns
                self.on_block(BlockMoved(at=now, kind=kind, until=_at(now, until_ns)))

    @property
    def blocked(self) -> bool:
        """A page of the edge or a ban stands against our address."""
        return self._books.gate.block is not Block.FREE

    def probe_due(self, now: Instant) -> bool:
        """True when a block stands and its next cheap probe may be sent."""
        return self._books.gate.probe_due(now.mono_ns)

    def tokens(self) -> dict[str, int]:
        """For each bucket used so far, `endpoint/scope`, the calls that ordinary traffic has left now."""
        now_ns = self._clock.monotonic_ns()
        rooms: dict[str, int] = {}
        for bucket in {bucket for buckets in self._by_endpoint.values() for bucket in buckets}:
            name = f"{bucket.limit.endpoint}/{bucket.limit.scope}"
            rooms[name] = min(bucket.room(self._share, now_ns), rooms.get(name, bucket.limit.calls))
        return dict(sorted(rooms.items()))

    def _ticket(self, endpoint: str, lane: Lane, subject: str, closes: bool) -> _Ticket:
        self._books.tickets += 1
        errand = Errand(lane=lane, subject=subject, closes=closes)
        return _Ticket(number=self._books.tickets, errand=errand, buckets=self._buckets(endpoint))

    def _decide(self, ticket: _Ticket, endpoint: str) -> tuple[Permit | Held, float | None]:
        """The verdict now, and in how many seconds to ask again; None: nobody can say."""
        now_ns = self._clock.monotonic_ns()
        leave = self._books.gate.ask(ticket.errand, now_ns)
        if isinstance(leave, Barred):
            return _barred(leave, self._clock.now()), (leave.until_ns - now_ns) / NS_PER_S
        share = EMERGENCY_SHARE if ticket.errand.lane is Lane.EMERGENCY else self._share
        paused_until_ns = longest_ns = 0
        unknown = False
        for bucket in ticket.buckets:
            paused_until_ns = max(paused_until_ns, bucket.paused_until_ns)
            wait_ns = bucket.wait_ns(share, now_ns)
            if wait_ns is None:
                unknown = True
            else:
                longest_ns = max(longest_ns, wait_ns)
        if now_ns < paused_until_ns:
            why = "the venue answered 429, its bucket rests"
            held = Held(why=why, kind=BlockKind.RATE_LIMIT, until=_at(self._clock.now(), paused_until_ns))
            return held, (paused_until_ns - now_ns) / NS_PER_S
        if unknown:
            return Held(why="its budget is used up", kind=None, until=None), None
        if longest_ns > 0:
            until = _at(self._clock.now(), now_ns + longest_ns)
            return Held(why="its budget is used up", kind=None, until=until), longest_ns / NS_PER_S
        if self._books.queue and any(other.goes_before(ticket) for other in self._books.queue):
            return Held(why="others wait before it", kind=None, until=None), None
        self._books.gate.admit(leave)
        for bucket in ticket.buckets:
            bucket.grant()
        return Permit(endpoint=endpoint, admission=leave), 0.0

    def _buckets(self, endpoint: str) -> tuple[_Bucket, ...]:
        """The endpoint's own bucket first (the one that a 429 or a header is about), then those that it shares with others."""
        found = self._by_endpoint.get(endpoint)
        if found is None:
            own = [limit for limit in self._limits if limit.endpoint == endpoint] or [
                Limit(endpoint=endpoint, calls=UNLISTED_CALLS, window_s=UNLISTED_WINDOW_S, scope=Scope.KEY)
            ]
            shared = [each for each in self._limits if each.endpoint == EVERY_ENDPOINT or endpoint in each.members]
            found = tuple(self._bucket(limit) for limit in (*own, *shared))
            self._by_endpoint[endpoint] = found
        return found

    def _bucket(self, limit: Limit) -> _Bucket:
        identity = b"" if limit.scope is Scope.IP else self._identity
        return self._books.buckets.setdefault((limit, identity), _Bucket(limit))

    def _standing(self, now_ns: int) -> dict[BlockKind, int]:
        """What holds this account back now, and until when (monotonic ns)."""
        standing: dict[BlockKind, int] = {}
        gate = self._books.gate
        if (until_ns := gate.until_ns()) is not None:
            standing[BlockKind.EDGE if gate.block is Block.EDGE else BlockKind.BAN] = until_ns
        if self._books.pauses_until_ns <= now_ns:
            return standing
        pauses = (bucket.paused_until_ns for buckets in self._by_endpoint.values() for bucket in buckets)
        if (rests_until_ns := max(pauses, default=0)) > now_ns:
            standing[BlockKind.RATE_LIMIT] = rests_until_ns
        return standing


def _barred(barred: Barred, now: Instant) -> Held:
    kind = BlockKind.EDGE if barred.block is Block.EDGE else BlockKind.BAN
    who = "Cloudflare blocks this address" if kind is BlockKind.EDGE else "the venue banned this address"
    return Held(why=who, kind=kind, until=_at(now, barred.until_ns))


def _at(now: Instant, mono_ns: int) -> Instant:
    return now.later_by((mono_ns - now.mono_ns) / NS_PER_S)


def _ns(seconds: float) -> int:
    return int(seconds * NS_PER_S)
