"""What is said on one connection of Bitget's sockets, and what the answers change, for both families. No I/O.

A family gives topics and reads pushes; login, acknowledgements, refusals and budgets are the same (Bitget reference, 13; the
UTA reference, 11, names no other rules). Neither socket replays what was missed, so whoever listens takes a full snapshot whenever
the private stream comes up.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final, TypeAlias, assert_never

from guardd.errors import PayloadError
from guardd.model.event import Event, MarkSeen
from guardd.model.instant import NS_PER_S, Instant
from guardd.model.names import Symbol
from guardd.venues.bitget.admission import Admission, SocketAction, socket_action
from guardd.venues.bitget.frames import (
    Acknowledged,
    LoggedIn,
    Noise,
    Pong,
    Push,
    Refused,
    Topic,
    parse_frame,
    request_frames,
)
from guardd.venues.bitget.overtaken import Order
from guardd.venues.bitget.sign import Credentials, login_frame

REQUESTS_MAX: Final = 230
"""Subscription requests of one connection in an hour; the venue takes 240 (13.1)."""
REQUESTS_WINDOW_S: Final = 3_600.0
MALFORMED_MAX: Final = 20
"""Price frames in a row that can't be read before the connection is given up: the format has changed then."""

_Key: TypeAlias = frozenset[tuple[str, str]]


class _Subscriptions:
    """Which topics of one connection were asked for, stand, or were refused."""

    def __init__(self) -> None:
        self._carried: dict[_Key, Topic] = {}
        self._waiting: dict[_Key, Topic] = {}
        self._refused: set[_Key] = set()
        self._unnamed = 0
        self._asked_ns: deque[int] = deque()

    @property
    def waiting(self) -> Collection[str]:
        return [each.name for each in self._waiting.values()]

    def towards(self, topics: Iterable[Topic], now_ns: int) -> tuple[str, ...] | None:
        """Frames that make what is carried what is wanted. None: no request is left for it within the hour. A refused topic
        isn't asked for again on this connection."""
        wanted = {each.key: each for each in topics}
        known = {**self._carried, **self._waiting}
        fresh = {key: each for key, each in wanted.items() if key not in known and key not in self._refused}
        stale = {key: each for key, each in known.items() if key not in wanted}
        ends = request_frames("unsubscribe", stale.values())
        begins = request_frames("subscribe", fresh.values())
        left = self._requests_left(now_ns)
        if len(begins) > left:
            return None
        if len(begins) + len(ends) > left:
            ends, stale = (), {}  # what is carried too much does no harm: the last requests are for what is missing
        for key in stale:
            self._carried.pop(key, None)
            self._waiting.pop(key, None)
        self._waiting |= fresh
        self._asked_ns.extend([now_ns] * (len(begins) + len(ends)))
        return (*ends, *begins)

    def acknowledged(self, word: Acknowledged) -> None:
        found = self._waiting.pop(word.topic.key, None) if word.subscribed else None
        if found is not None:
            self._carried[word.topic.key] = found

    def refused(self, word: Refused) -> tuple[Topic, ...]:
        """The topics that are now known to be refused. An error frame may come without its topic (13.3): those that wait for ever
        are told apart once all others were acknowledged."""
        if word.topic is None:
            self._unnamed += 1
            return self.unnamed()
        found = self._waiting.pop(word.topic.key, None)
        self._refused.add(word.topic.key)
        return (found or word.topic,)

    def unnamed(self) -> tuple[Topic, ...]:
        """Those that must be what error frames without a topic were about: as many topics still wait as there were such frames."""
        if not self._unnamed or len(self._waiting) > self._unnamed:
            return ()
        found = tuple(self._waiting.values())
        self._refused |= set(self._waiting)
        self._waiting.clear()
        self._unnamed = 0
        return found

    def _requests_left(self, now_ns: int) -> int:
        while self._asked_ns and now_ns - self._asked_ns[0] >= REQUESTS_WINDOW_S * NS_PER_S:
            self._asked_ns.popleft()
        return REQUESTS_MAX - len(self._asked_ns)


class PublicTalk:
    """One connection of a public socket: one price topic a watched symbol.

    `price` reads a price frame and gives None for any other; `tell` hears, in words, of symbols that are refused and of frames
    that can't be read.
    """

    def __init__(
        self,
        *,
        topic_of: Callable[[Symbol], Topic],
        price: Callable[[str | bytes, Instant], MarkSeen | None],
        tell: Callable[[str, str], None],
    ) -> None:
        self._topic_of = topic_of
        self._price = price
        self._tell = tell
        self._subscriptions = _Subscriptions()
        self._order = Order()
        self._now_ns = 0
        self._malformed = 0
        self.failed: str | None = None

    @property
    def admitted(self) -> bool:
        return True

    @property
    def waiting(self) -> Collection[str]:
        return self._subscriptions.waiting

    def opening(self, now: Instant) -> Sequence[str]:
        self._now_ns = now.mono_ns
        return ()

    def wanted(self, symbols: frozenset[Symbol]) -> Sequence[str]:
        topics = [self._topic_of(symbol) for symbol in sorted(symbols)]
        frames = self._subscriptions.towards(topics, self._now_ns)
        if frames is None:
            self.failed = "its subscription requests of this hour are used up; a fresh connection has its own"
            return ()
        return frames

    def on_frame(self, frame: str | bytes, at: Instant) -> Sequence[Event]:
        self._now_ns = at.mono_ns
        try:
            seen = self._price(frame, at)
            if seen is not None:
                self._malformed = 0
                return () if self._order.overtaken(seen) else (seen,)
            self._heard(parse_frame(frame))
        except PayloadError as error:
            # One price that can't be read takes no other symbol's prices away: it is dropped, told, and ages as missing.
            self._malformed += 1
            if self._malformed > MALFORMED_MAX:
                raise
            self._tell("public-frame", f"a frame of the public stream can't be read and is dropped: {error}")
        return ()

    def _heard(self, word: Pong | LoggedIn | Acknowledged | Refused | Push | Noise) -> None:
        match word:
            case Acknowledged():
                self._subscriptions.acknowledged(word)
                self._told_refused(self._subscriptions.unnamed(), "the venue named no topic in its refusal")
            case Refused() if socket_action(word.code) is SocketAction.SLOW:
                self.failed = f"the venue wants fewer messages: {word.code} {word.text}"
            case Refused():
                self._told_refused(self._subscriptions.refused(word), f"{word.code} {word.text}")
            case Pong() | LoggedIn() | Push() | Noise():
                pass
            case _:
                assert_never(word)

    def _told_refused(self, topics: Iterable[Topic], why: str) -> None:
        for each in topics:
            self._tell(f"refused-{each.name}", f"the venue refuses the price topic {each.name}: {why}")


class PrivateTalk:
    """One connection of a private socket: login, then the same topics whatever is held.

    `now_s` is the venue's time: the login expires 30 s after it (13.2). `read` makes events of a push; what it cannot read ends the
    connection, so that the next one begins from a snapshot. `optional` topics may be refused; any other refusal ends it.
    """

    def __init__(
        self,
        *,
        credentials: Credentials,
        now_s: Callable[[], int],
        topics: Sequence[Topic],
        optional: Sequence[Topic] = (),
        read: Callable[[Push, Instant], Sequence[Event]],
        admission: Admission,
    ) -> None:
        self._credentials = credentials
        self._now_s = now_s
        self._topics = (*topics, *optional)
        self._optional = frozenset(each.key for each in optional)
        self._read = read
        self._admission = admission
        self._subscriptions = _Subscriptions()
        self._now_ns = 0
        self.admitted = False
        self.failed: str | None = None

    @property
    def waiting(self) -> Collection[str]:
        return self._subscriptions.waiting

    def opening(self, now: Instant) -> Sequence[str]:
        self._now_ns = now.mono_ns
        return (login_frame(self._credentials, self._now_s()),)

    def wanted(self, symbols: frozenset[Symbol]) -> Sequence[str]:
        return self._subscriptions.towards(self._topics, self._now_ns) or ()

    def on_frame(self, frame: str | bytes, at: Instant) -> Sequence[Event]:
        self._now_ns = at.mono_ns
        word = parse_frame(frame)
        match word:
            case Push():
                return self._read(word, at)
            case LoggedIn():
                self.admitted = True
                self._admission.granted()
            case Acknowledged():
                self._subscriptions.acknowledged(word)
                self._lost(self._subscriptions.unnamed(), "the venue named no topic in its refusal")
            case Refused():
                self._refused(word)
            case Pong() | Noise():
                pass
            case _:
                assert_never(word)
        return ()

    def _refused(self, word: Refused) -> None:
        """A word on one topic may cost that topic alone; every other refusal, and any before the login, costs the connection."""
        why = f"{word.code} {word.text}"
        if self.admitted and socket_action(word.code) in {SocketAction.FIX, None}:
            self._lost(self._subscriptions.refused(word), why)
            return
        self.failed = f"refused: {why}"
        self._admission.refused(word.code, word.text)

    def _lost(self, topics: Iterable[Topic], why: str) -> None:
        for each in topics:
            if each.key in self._optional:
                self._admission.tell(f"refused-{each.name}", f"the venue refuses the topic {each.name}: {why}")
            else:
                self.failed = f"{each.name} refused: {why}"
