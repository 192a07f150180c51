"""One socket as the venue sees it: logins, subscriptions, and when the venue ends it. Bitget reference, 13.1 to 13.3.

`on_frame` answers what the client sends; pushes arrive through `push`, where stream faults strike. What a subscription
shows first waits in `welcomes` until the stream looks at the time: the acknowledgement goes before it.
"""

import json
from collections import deque
from collections.abc import Callable, Mapping

from msgspec import Struct

from guardd.simulator.dialects.bitget_common.auth import Keyring, login_failure
from guardd.simulator.dialects.bitget_common.envelope import Json, Row, dump
from guardd.simulator.faults import FaultKind, Faults
from guardd.simulator.wire import Close, Push

MESSAGE_TOO_BIG, NORMAL_CLOSE, GOING_AWAY, POLICY = 1009, 1000, 1001, 1008
NO_CHANNEL, ILLEGAL, INVALID_OP, NOT_LOGGED_IN, LOGIN_FAILED, TOO_MANY, OVER_LIMIT = (
    30001,
    30002,
    30003,
    30004,
    30005,
    30006,
    30007,
)
_HOUR_MS = 3_600_000


class SocketRules(Struct, frozen=True, kw_only=True):
    """13.1. None switches a rule off."""

    frame_bytes: int = 4_096
    messages_per_s: int = 10
    subscribes_per_hour: int = 240
    channels: int = 1_000
    ping_within_ms: int | None = 120_000  # the text `ping`: protocol pings don't count (community, several projects)
    lifetime_ms: int | None = 24 * _HOUR_MS
    connects_per_5_min: int = 300


class Topic(Struct, frozen=True, kw_only=True):
    """One channel as asked for. `arg` is echoed; `key` tells it from others; `private` needs a login.

    `instrument_type` is upper case, `selector` a symbol, a coin, `default`, or ""; `timed`: it has frames that go by the clock.
    """

    arg: Mapping[str, str]
    channel: str
    instrument_type: str
    selector: str
    private: bool
    timed: bool = False

    @property
    def key(self) -> str:
        return f"{self.instrument_type}/{self.channel}/{self.selector}"

    @property
    def name(self) -> str:
        """What faults of pushes are aimed at: `ticker:BTCUSDT`."""
        return f"{self.channel}:{self.selector}"


class UnknownTopic(Exception):
    """`code` and `text` are the venue's."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class SocketSide(Struct, frozen=True, kw_only=True):
    """What every socket of a dialect shares.

    `read` raises UnknownTopic; `names_connection`: acknowledgements carry the connection's id, with an empty code (V3).
    """

    faults: Faults
    keyring: Keyring
    rules: SocketRules
    read: Callable[[Mapping[str, str]], Topic]
    new_connection: Callable[[], str]
    private_path: str
    names_connection: bool = False


class Session:
    """Give it frames, take its answers. `deliver` hands a push to the socket; `close` says why it must end."""

    def __init__(self, venue: SocketSide, *, path: str, now_ms: int, deliver: Callable[[Push], None]) -> None:
        self.uid = ""
        self.path = path
        self.close: Close | None = None
        self.held: dict[str, Topic] = {}
        self.timed: tuple[Topic, ...] = ()
        """Those of `held` that are."""
        self.welcomes: list[Topic] = []
        self._venue = venue
        self._deliver = deliver
        self._connection = venue.new_connection()
        self._opened_ms = now_ms
        self._pinged_ms = now_ms
        self._messages: deque[int] = deque()
        self._subscribes: deque[int] = deque()
        self._held_back: list[tuple[int, Push]] = []  # late pushes, by due time
        self._swapped: Push | None = None

    def frozen(self, now_ms: int) -> bool:
        """Open, but silent: nothing leaves, not even a pong."""
        faults = self._venue.faults
        return faults.stands(FaultKind.FREEZE_SOCKET, now_ms, target=self.path, account=self.uid) is not None

    def touch(self, now_ms: int) -> None:
        """Protocol frames keep nothing alive here."""

    def on_frame(self, text: str, now_ms: int) -> list[str]:
        """Answers to one text frame, in order."""
        if len(text.encode()) > self._venue.rules.frame_bytes:
            self.close = Close(code=MESSAGE_TOO_BIG, reason="message too big")
            return []
        self._messages.append(now_ms)
        while self._messages[0] <= now_ms - 1_000:
            self._messages.popleft()
        if len(self._messages) > self._venue.rules.messages_per_s:
            self.close = Close(code=POLICY, reason="request over limit")
            return [_error(OVER_LIMIT, "Request over limit, connection closed")]
        answers = self._answers(text, now_ms)
        return [] if self.frozen(now_ms) else answers

    def check(self, now_ms: int) -> Close | None:
        """Whether the venue ends this socket now."""
        rules = self._venue.rules
        if self.close is not None:
            return self.close
        if self._venue.faults.strikes(FaultKind.CLOSE_SOCKET, now_ms, target=self.path, account=self.uid):
            self.close = Close(code=GOING_AWAY, reason="")
        elif rules.ping_within_ms is not None and now_ms - self._pinged_ms >= rules.ping_within_ms:
            self.close = Close(code=NORMAL_CLOSE, reason="no ping")
        elif rules.lifetime_ms is not None and now_ms - self._opened_ms >= rules.lifetime_ms:
            self.close = Close(code=NORMAL_CLOSE, reason="24 hours")
        return self.close

    def push(self, push: Push, now_ms: int) -> None:
        """One push on its way out, through the faults of the stream."""
        if self.close is not None or self.frozen(now_ms):
            return
        faults, uid = self._venue.faults, self.uid
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
        if text == "ping":
            self._pinged_ms = now_ms
            return ["pong"]
        message = _message(text)
        if message is None:
            return [_error(ILLEGAL, "Illegal request")]
        operation, arguments = message
        match operation:
            case "login":
                return [self._login(arguments, now_ms)]
            case "subscribe":
                return self._subscribe(arguments, now_ms)
            case "unsubscribe":
                return [self._unsubscribe(each) for each in arguments]
            case _:
                return [_error(INVALID_OP, "Invalid op")]

    def _login(self, arguments: list[dict[str, str]], now_ms: int) -> str:
        failure = self._login_failure(arguments[0] if len(arguments) == 1 else {}, now_ms)
        if failure is not None:
            self.close = Close(code=NORMAL_CLOSE, reason="login failed")
            return _error(*failure)
        return dump({"event": "login", "code": 0, "connId": self._connection})

    def _login_failure(self, wanted: dict[str, str], now_ms: int) -> tuple[int, str] | None:
        """A key of the other family logs in as well (16.1, observed): success proves nothing about REST."""
        key = self._venue.keyring.find(wanted.get("apiKey", ""))
        failure = login_failure(
            key, wanted.get("passphrase", ""), wanted.get("timestamp", ""), wanted.get("sign", ""), now_ms
        )
        if failure is not None or key is None:
            return failure
        if self._venue.faults.strikes(FaultKind.REFUSE_LOGIN, now_ms, target=self.path, account=key.uid):
            return LOGIN_FAILED, "error"
        self.uid = key.uid
        return None

    def _subscribe(self, arguments: list[dict[str, str]], now_ms: int) -> list[str]:
        self._subscribes.append(now_ms)
        while self._subscribes[0] <= now_ms - _HOUR_MS:
            self._subscribes.popleft()
        if len(self._subscribes) > self._venue.rules.subscribes_per_hour:
            return [_error(TOO_MANY, "Too many requests")]
        return [self._take_topic(each, now_ms) for each in arguments]

    def _take_topic(self, argument: dict[str, str], now_ms: int) -> str:
        try:
            topic = self._venue.read(argument)
        except UnknownTopic as unknown:
            return _error(unknown.code, unknown.text)
        if topic.private:
            if self.path != self._venue.private_path:
                return _error(NO_CHANNEL, _missing(argument))
            unavailable = self._venue.faults.strikes(
                FaultKind.LOGIN_UNAVAILABLE, now_ms, target=topic.name, account=self.uid
            )
            if not self.uid or unavailable:
                return _error(NOT_LOGGED_IN, "User needs to log in", argument)
        elif self.path == self._venue.private_path:
            return _error(NO_CHANNEL, _missing(argument))
        if topic.key not in self.held and len(self.held) >= self._venue.rules.channels:
            return _error(TOO_MANY, "Too many channels", argument)
        self._hold({**self.held, topic.key: topic})
        self.welcomes.append(topic)
        return self._acknowledge("subscribe", argument)

    def _unsubscribe(self, argument: dict[str, str]) -> str:
        try:
            topic = self._venue.read(argument)
        except UnknownTopic as unknown:
            return _error(unknown.code, unknown.text)
        self._hold({key: held for key, held in self.held.items() if key != topic.key})
        return self._acknowledge("unsubscribe", argument)

    def _hold(self, topics: dict[str, Topic]) -> None:
        self.held = topics
        self.timed = tuple(topic for topic in topics.values() if topic.timed)

    def _acknowledge(self, event: str, argument: dict[str, str]) -> str:
        frame: Row = {"event": event, "arg": argument}
        if self._venue.names_connection:
            frame |= {"code": "", "msg": "", "connId": self._connection}
        return dump(frame)


def missing(instrument_type: str, channel: str, selector: str) -> UnknownTopic:
    """The words for a channel or an instrument that isn't there."""
    return UnknownTopic(NO_CHANNEL, f"instType:{instrument_type},channel:{channel},instId:{selector} doesn't exist")


def _missing(argument: Mapping[str, str]) -> str:
    return ",".join(f"{name}:{value}" for name, value in argument.items()) + " doesn't exist"


def _message(text: str) -> tuple[str, list[dict[str, str]]] | None:
    """`op` and `args` of a frame whose values are all text; None for anything else."""
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(parsed, dict):
        return None
    operation, arguments = parsed.get("op"), parsed.get("args")
    if not isinstance(operation, str) or not isinstance(arguments, list) or not arguments:
        return None
    for each in arguments:
        if not isinstance(each, dict) or not all(isinstance(value, str) for value in each.values()):
            return None
    return operation, arguments


def _error(code: int, text: str, argument: Mapping[str, str] | None = None) -> str:
    """The code is a JSON number live; `arg` comes with some of them (13.3)."""
    frame: dict[str, Json] = {"event": "error"}
    if argument is not None:
        frame["arg"] = dict(argument)
    return dump({**frame, "code": code, "msg": text})
