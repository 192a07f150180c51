"""What BitMart's two sockets are told, and what their frames mean (reference, section 14). No I/O: `guardd.venues.stream` does it.

The public socket carries one price topic a held symbol; the private one logs in and carries positions, orders and the USDT wallet.
Neither has sequence numbers, so whoever listens takes a full REST snapshot whenever the private stream comes up (14.5).
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Sequence
from decimal import Decimal
from typing import Final, TypeAlias, assert_never

import msgspec

from guardd.errors import PayloadError
from guardd.model.event import BalancePushed, Event, OrderPushed, PositionsPushed
from guardd.model.instant import Instant
from guardd.model.names import AccountName, OrderId, Symbol
from guardd.model.order import OrderAction
from guardd.venues.bitmart.parse.frames import (
    ASSET_GROUP,
    ORDER_GROUP,
    POSITION_GROUP,
    Acknowledgement,
    OtherPush,
    Pong,
    frame_text,
    parse_frame,
)
from guardd.venues.bitmart.parse.market import SETTLE
from guardd.venues.bitmart.parse.ticker import TICKER_GROUP, ticker
from guardd.venues.bitmart.sign import Credentials, login_frame

FRAME_BYTES_MAX: Final = 2_000
"""A request of 2,186 bytes closed the socket; we stay below the largest that was measured to pass (14.1)."""
PING_FRAME: Final = '{"action":"ping"}'
PING_EVERY_S: Final = 10.0
SILENCE_S: Final = 30.0
ACKNOWLEDGE_WITHIN_S: Final = 10.0
PRIVATE_TOPICS: Final = (POSITION_GROUP, ORDER_GROUP, f"{ASSET_GROUP}:{SETTLE}")
LOGIN_ACTION: Final = "access"
SEEN_ORDERS_MAX: Final = 2_000
"""Order pushes remembered to drop repetitions; some hours' worth of a busy account."""
MALFORMED_MAX: Final = 20
"""Price frames in a row that can't be read before the connection is given up: the format has changed then."""

_OrderMoment: TypeAlias = tuple[OrderId, OrderAction, bool, Decimal, int]


KEPT_OPEN_BY: Final = Symbol("BTCUSDT")


class PublicTalk:
    """One connection of the public socket. `tell` hears, in words, of symbols that are refused and frames that can't be read."""

    def __init__(self, *, tell: Callable[[str, str], None]) -> None:
        self._tell = tell
        self._carried: set[str] = set()
        self._waiting: set[str] = set()
        self._refused: set[str] = set()
        self._malformed = 0
        self.failed: str | None = None

    @property
    def admitted(self) -> bool:
        return True

    @property
    def waiting(self) -> Collection[str]:
        return self._waiting

    def opening(self, now: Instant) -> Sequence[str]:
        return ()

    def wanted(self, symbols: frozenset[Symbol]) -> Sequence[str]:
        """Subscribe what is new, unsubscribe what is no longer held. A refused topic isn't asked for again here (14.2).

        A socket without any topic is closed after 5 s (14.1): while nothing is held it carries one ticker that nobody needs.
        """
        topics = {f"{TICKER_GROUP}:{symbol}" for symbol in symbols or {KEPT_OPEN_BY}}
        fresh = sorted(topics - self._carried - self._waiting - self._refused)
        stale = sorted((self._carried | self._waiting) - topics)
        self._carried -= set(stale)
        self._waiting -= set(stale)
        self._waiting |= set(fresh)
        return (*request_frames("unsubscribe", stale), *request_frames("subscribe", fresh))

    def on_frame(self, frame: str | bytes, at: Instant) -> Sequence[Event]:
        try:
            seen = ticker(frame, at)
            if seen is not None:
                self._malformed = 0
                return (seen,)
            text = frame_text(frame)
            if text is not frame and (seen := ticker(text, at)) is not None:
                return (seen,)
            self._heard(text, at)
        except PayloadError as error:
            # One price that can't be read takes no other symbol's prices away: it is dropped, told, and ages as missing.
            self._malformed += 1
            if self._malformed > MALFORMED_MAX:
                raise
            self._tell("public-frame", f"a frame of the public stream can't be read and is dropped: {error}")
        return ()

    def _heard(self, text: str | bytes, at: Instant) -> None:
        match parse_frame(AccountName(""), text, at):
            case Acknowledgement() as word:
                self._acknowledged(word)
            case Pong() | OtherPush() | PositionsPushed() | BalancePushed() | tuple():
                pass

    def _acknowledged(self, word: Acknowledgement) -> None:
        if not word.group:
            self.failed = f"the venue refused a frame: {word.error}"
            return
        if word.action == "unsubscribe":
            return
        if word.success:
            if word.group in self._waiting:
                self._waiting.discard(word.group)
                self._carried.add(word.group)
            return
        self._waiting.discard(word.group)
        self._refused.add(word.group)
        self._tell(f"refused-{word.group}", f"the venue refuses the price topic {word.group}: {word.error}")


class PrivateTalk:
    """One connection of the private socket. `timestamp_ms` is the venue's time: the login expires a minute after it (14.3).

    `pushed` hears every position frame, `login_refused` the venue's words.
    """

    def __init__(
        self,
        *,
        account: AccountName,
        credentials: Credentials,
        timestamp_ms: Callable[[], int],
        pushed: Callable[[PositionsPushed], None],
        login_refused: Callable[[str], None],
    ) -> None:
        self._account = account
        self._credentials = credentials
        self._timestamp_ms = timestamp_ms
        self._pushed = pushed
        self._login_refused = login_refused
        self._waiting: set[str] = set()
        self._subscribed = False
        self._seen: OrderedDict[_OrderMoment, None] = OrderedDict()
        self.admitted = False
        self.failed: str | None = None

    @property
    def waiting(self) -> Collection[str]:
        return self._waiting

    def opening(self, now: Instant) -> Sequence[str]:
        return (_encoded(login_frame(self._credentials, timestamp_ms=self._timestamp_ms())),)

    def wanted(self, symbols: frozenset[Symbol]) -> Sequence[str]:
        """The same three topics whatever is held."""
        if self._subscribed:
            return ()
        self._subscribed = True
        self._waiting = set(PRIVATE_TOPICS)
        return request_frames("subscribe", PRIVATE_TOPICS)

    def on_frame(self, frame: str | bytes, at: Instant) -> Sequence[Event]:
        """A push that can't be read ends the connection: what it told is lost, so the next one starts from a snapshot."""
        heard = parse_frame(self._account, frame_text(frame), at)
        match heard:
            case Acknowledgement():
                self._acknowledged(heard)
                return ()
            case PositionsPushed():
                self._pushed(heard)
                return (heard,)
            case BalancePushed():
                return (heard,)
            case tuple():
                return tuple(push for push in heard if self._is_new(push))
            case Pong() | OtherPush():
                return ()
            case _:
                assert_never(heard)

    def _acknowledged(self, word: Acknowledgement) -> None:
        if word.success:
            self._waiting.discard(word.group)
            self.admitted = self.admitted or word.action == LOGIN_ACTION
        elif word.action == LOGIN_ACTION:
            self.failed = f"login refused: {word.error}"
            self._login_refused(word.error)
        elif word.action != "unsubscribe":
            self.failed = f"{word.group or 'a frame'} refused: {word.error}"

    def _is_new(self, push: OrderPushed) -> bool:
        """Pushes repeat. The reference's key is (order, state, filled, time); the action is added, so that a cancellation in the
        millisecond of its order is not taken for a repetition."""
        update = push.update
        moment = (update.order_id, update.action, update.live, update.filled, update.venue_ms)
        if moment in self._seen:
            return False
        self._seen[moment] = None
        if len(self._seen) > SEEN_ORDERS_MAX:
            self._seen.popitem(last=False)
        return True


def request_frames(action: str, topics: Iterable[str]) -> tuple[str, ...]:
    """Requests for these topics, each frame shorter than the venue takes."""
    frames: list[str] = []
    together: list[str] = []
    for each in topics:
        if together and len(_encoded({"action": action, "args": [*together, each]})) >= FRAME_BYTES_MAX:
            frames.append(_encoded({"action": action, "args": together}))
            together = []
        together.append(each)
    if together:
        frames.append(_encoded({"action": action, "args": together}))
    return tuple(frames)


def _encoded(frame: dict[str, object]) -> str:
    return msgspec.json.encode(frame).decode()
