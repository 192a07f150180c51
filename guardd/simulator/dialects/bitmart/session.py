"""One socket as the venue sees it: what it asked for, whether it logged in, and when the venue ends it.

`on_frame` answers what the client sends; pushes arrive through `push`, where stream faults strike. Reference 14.1–14.4.
"""

import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from guardd.simulator.dialects.bitmart import topics
from guardd.simulator.dialects.bitmart.auth import LOGIN_BODY, ApiKey, Keyring, KeyState, check_timestamp
from guardd.simulator.dialects.bitmart.desk import Desk
from guardd.simulator.dialects.bitmart.envelope import Json, VenueError
from guardd.simulator.dialects.bitmart.topics import Family, Topic, UnknownTopic
from guardd.simulator.faults import FaultKind
from guardd.simulator.refusals import Refused
from guardd.simulator.wire import Close, Push

PUBLIC_PATH, PRIVATE_PATH = "/api", "/user"
FRAME_BYTES_MAX = 2_048  # a 2,020-byte frame is accepted, 2,186 bytes close the socket with 1009
TOPIC_BYTES_MAX = 4_096  # documented: all topics of a connection together
MESSAGE_TOO_BIG, NORMAL_CLOSE, GOING_AWAY = 1009, 1000, 1001
_ACCESS_ARGUMENTS = 4


@dataclass(slots=True, kw_only=True)
class Subscription:
    """A held topic, with when its next periodic frame is due and, for depthIncrease, the book last told."""

    topic: Topic
    due_ms: int
    version: int = 0
    book: dict[tuple[str, Decimal], Decimal] = field(default_factory=dict)


class Session:
    """Give it frames, take its answers. `deliver` hands a push to the socket; `close` says why it must end."""

    def __init__(
        self, desk: Desk, keyring: Keyring, *, path: str, now_ms: int, deliver: Callable[[Push], None]
    ) -> None:
        self.uid = ""
        self.path = path
        self.close: Close | None = None
        self.held: dict[str, Subscription] = {}
        self._desk = desk
        self._keyring = keyring
        self._deliver = deliver
        self._opened_ms = now_ms
        self._heard_ms = now_ms
        self._held_back: list[tuple[int, Push]] = []  # late pushes, by due time
        self._swapped: Push | None = None

    def frozen(self, now_ms: int) -> bool:
        """Open, but silent: nothing leaves, not even a pong."""
        fault = self._desk.faults.stands(FaultKind.FREEZE_SOCKET, now_ms, target=self.path, account=self.uid)
        return fault is not None

    def touch(self, now_ms: int) -> None:
        """Any frame of the client, pings included, is a sign of life."""
        self._heard_ms = now_ms

    def on_frame(self, text: str, now_ms: int) -> list[str]:
        """Answers to one text frame, in order."""
        self.touch(now_ms)
        if len(text.encode()) > FRAME_BYTES_MAX:
            self.close = Close(code=MESSAGE_TOO_BIG, reason="message too big")
            return []
        answers = self._answers(text, now_ms)
        return [] if self.frozen(now_ms) else answers

    def check(self, now_ms: int) -> Close | None:
        """Whether the venue ends this socket now."""
        options = self._desk.options
        if self.close is not None:
            return self.close
        if self._desk.faults.strikes(FaultKind.CLOSE_SOCKET, now_ms, target=self.path, account=self.uid):
            self.close = Close(code=GOING_AWAY, reason="")
        elif options.idle_close_ms is not None and now_ms - self._heard_ms >= options.idle_close_ms:
            self.close = Close(code=NORMAL_CLOSE, reason="no data")
        elif (
            options.subscribe_within_ms is not None
            and not self.held
            and now_ms - self._opened_ms >= options.subscribe_within_ms
        ):
            self.close = Close(code=NORMAL_CLOSE, reason="no subscription")
        return self.close

    def push(self, push: Push, now_ms: int) -> None:
        """One push on its way out, through the faults of the stream."""
        if self.close is not None or self.frozen(now_ms):
            return
        faults, uid = self._desk.faults, self.uid
        if not faults.kinds and self._swapped is None:
            self._deliver(push)
            return
        if faults.strikes(FaultKind.DROP_PUSH, now_ms, target=push.topic, account=uid, symbol=push.ticker):
            return
        late = faults.strikes(FaultKind.LATE_PUSH, now_ms, target=push.topic, account=uid, symbol=push.ticker)
        if late is not None:
            self._held_back.append((now_ms + late.delay_ms, push))
            return
        if self._swapped is None and faults.strikes(
            FaultKind.REORDER_PUSH, now_ms, target=push.topic, account=uid, symbol=push.ticker
        ):
            self._swapped = push
            return
        self._deliver(push)
        if faults.strikes(FaultKind.DUPLICATE_PUSH, now_ms, target=push.topic, account=uid, symbol=push.ticker):
            self._deliver(push)
        if self._swapped is not None:
            swapped, self._swapped = self._swapped, None
            self._deliver(swapped)

    def release(self, now_ms: int) -> None:
        """Let late pushes go whose time has come."""
        if not self._held_back or self.frozen(now_ms):
            return
        due = sorted((item for item in self._held_back if item[0] <= now_ms), key=lambda item: item[0])
        self._held_back = [item for item in self._held_back if item[0] > now_ms]
        for _, push in due:
            self._deliver(push)

    def _answers(self, text: str, now_ms: int) -> list[str]:
        try:
            message = json.loads(text)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            return [_dump({"success": False, "error": f"Invalid message: message must be JSON: {text}"})]
        action = message.get("action", "")
        arguments = message.get("args", [])
        if not isinstance(action, str) or not _all_text(arguments):
            return [_dump({"success": False, "error": f"Invalid message: {text}"})]
        match action:
            case "ping":
                return [_dump({"group": "System", "data": f"pong+{self._desk.trace()}"})]
            case "access":
                return [self._access(arguments, now_ms)]
            case "subscribe" | "unsubscribe" | "request":
                return [answer for name in arguments for answer in self._topic(action, name, message, now_ms)]
            case _:
                return [_refused(action, name, message, _wrong_action(action, name)) for name in arguments]

    def _access(self, arguments: list[str], now_ms: int) -> str:
        key = self._login(arguments, now_ms)
        if key is None:
            name = arguments[0][:10] if arguments else ""
            self.close = Close(code=NORMAL_CLOSE, reason="access failed")
            error = f"access failed: openapi auth: apiKey {name}**** failed: openapi auth failed"
            return _dump({"action": "access", "success": False, "error": error})
        self.uid = key.uid
        return _dump({"action": "access", "success": True})

    def _login(self, arguments: list[str], now_ms: int) -> ApiKey | None:
        if len(arguments) != _ACCESS_ARGUMENTS or arguments[3] != "web":
            return None
        name, timestamp, sign, _ = arguments
        key = self._keyring.find(name)
        if key is None or key.state is not KeyState.LIVE:
            return None
        if self._desk.faults.strikes(FaultKind.REFUSE_LOGIN, now_ms, target=self.path, account=key.uid):
            return None
        try:
            check_timestamp(timestamp, now_ms)
        except VenueError:
            return None
        return key if hmac.compare_digest(key.sign(timestamp, LOGIN_BODY).encode(), sign.encode()) else None

    def _topic(self, action: str, name: str, message: dict[str, Json], now_ms: int) -> list[str]:
        try:
            topic = topics.parse(name)
            self._check_symbol(topic)
        except UnknownTopic as unknown:
            return [_refused(action, name, message, unknown.text)]
        if topic.family in topics.PRIVATE and not self.uid:
            error = f"futures/{topic.family} need authenication"
            return [_dump({"action": action, "group": name, "success": False, "error": error})]
        if topic.family in topics.PRIVATE and self._desk.faults.strikes(
            FaultKind.LOGIN_UNAVAILABLE, now_ms, target=name, account=self.uid
        ):
            error = "authentication is temporarily unavailable"
            return [_dump({"action": action, "group": name, "success": False, "error": error})]
        if action == "unsubscribe":
            self.held.pop(name, None)
        elif action == "request":
            if topic.family not in topics.ON_REQUEST:
                return [_refused(action, name, message, _wrong_action(action, name))]
            return self._snapshot(topic, now_ms)
        elif name not in self.held:
            if sum(len(held) for held in self.held) + len(name) > TOPIC_BYTES_MAX:
                return [_refused(action, name, message, f"too many topics, the limit is {TOPIC_BYTES_MAX} bytes")]
            first = 0 if topic.family in topics.ON_REQUEST else topic.period_ms
            self.held[name] = Subscription(topic=topic, due_ms=now_ms + first)
        return [_dump({"action": action, "group": name, "success": True, "request": message})]

    def _snapshot(self, topic: Topic, now_ms: int) -> list[str]:
        """A one-shot answer: the held subscription starts its book anew with the next frame."""
        held = self.held.get(topic.name)
        if held is None:
            held = Subscription(topic=topic, due_ms=now_ms)
            self.held[topic.name] = held
        held.book.clear()
        held.version, held.due_ms = 0, now_ms
        return []

    def _check_symbol(self, topic: Topic) -> None:
        if not topic.symbol or topic.family in (Family.ASSET, Family.MUTE):
            return
        try:
            self._desk.exchange.query.contract(topic.symbol)
        except Refused as refusal:
            raise UnknownTopic(f"Invalid channel: not found {topic.name}") from refusal


def _refused(action: str, group: str, message: dict[str, Json], error: str) -> str:
    return _dump({"action": action, "group": group, "success": False, "request": message, "error": error})


def _wrong_action(action: str, group: str) -> str:
    return f"Invalid action [{action}] for group [{group}]"


def _all_text(arguments: object) -> bool:
    return isinstance(arguments, list) and all(isinstance(each, str) for each in arguments)


def _dump(message: dict[str, Json]) -> str:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))
