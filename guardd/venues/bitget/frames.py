"""Frames of the sockets of both families: pongs, the login's answer, acknowledgements, refusals, pushes (Bitget reference, 13).

V2 names its topics by `channel`, V3 by `topic`; V3 writes `instType` in lower case (UTA reference, 1). What is compared here is
compared in one case. What a push's `data` holds is the family's own.
"""

from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from guardd.errors import PayloadError
from guardd.venues.rows import Row, as_row, json_value, shown

FRAME_BYTES_MAX: Final = 4_096
"""The longest subscribe message that the venue takes (13.1)."""
PING_FRAME: Final = "ping"
_PONGS: Final = frozenset({"pong", b"pong"})
_LOGIN_TAKEN: Final = "0"


class Topic(Struct, frozen=True):
    """One argument of a subscription, in the very words that are sent."""

    fields: tuple[tuple[str, str], ...]

    @property
    def key(self) -> frozenset[tuple[str, str]]:
        """The same for every spelling that the venue may answer with; the order of fields varies too (13.3)."""
        return frozenset((name, value.lower()) for name, value in self.fields)

    @property
    def name(self) -> str:
        """For people: `ticker USDT-FUTURES BTCUSDT`."""
        words = dict(self.fields)
        first = words.pop("channel", None) or words.pop("topic", "")
        return " ".join((first, *words.values()))


def topic(**fields: str) -> Topic:
    """`topic(instType="USDT-FUTURES", channel="ticker", instId="BTCUSDT")`."""
    return Topic(tuple(fields.items()))


class Pong(Struct, frozen=True, kw_only=True):
    """The answer to our ping."""


class LoggedIn(Struct, frozen=True, kw_only=True):
    """The login was taken."""


class Acknowledged(Struct, frozen=True, kw_only=True):
    """A subscription stands, or one was ended."""

    topic: Topic
    subscribed: bool


class Refused(Struct, frozen=True, kw_only=True):
    """An error frame. `topic` None: the venue doesn't say what it is about."""

    code: str
    text: str
    topic: Topic | None


class Push(Struct, frozen=True, kw_only=True):
    """Data of one topic. `channel` is V2's `channel` or V3's `topic`, `inst_type` in upper case, `selector` the symbol or coin."""

    channel: str
    inst_type: str
    selector: str
    action: str
    rows: object
    """The frame's `data` as it came."""
    ts_ms: int | None

    @property
    def where(self) -> str:
        return f"push {self.channel}"


class Noise(Struct, frozen=True, kw_only=True):
    """A frame that is none of these; `event` is what it calls itself."""

    event: str


Frame: TypeAlias = Pong | LoggedIn | Acknowledged | Refused | Push | Noise


def parse_frame(frame: str | bytes) -> Frame:
    """Raises `PayloadError` for what is neither JSON nor `pong`."""
    if frame in _PONGS:
        return Pong()
    row = as_row("frame", json_value("frame", frame))
    if "event" in row.fields:
        return _event(row)
    if "data" not in row.fields:
        return Noise(event="")
    arg = row.row("arg")
    return Push(
        channel=arg.optional_text("channel") or arg.text("topic"),
        inst_type=(arg.optional_text("instType") or "").upper(),
        selector=arg.optional_text("instId") or arg.optional_text("symbol") or arg.optional_text("coin") or "",
        action=row.optional_text("action") or "",
        rows=row.get("data"),
        ts_ms=row.optional_milliseconds("ts"),
    )


def request_frames(op: str, topics: Iterable[Topic]) -> tuple[str, ...]:
    """Requests for these topics, each frame within what the venue takes."""
    frames: list[str] = []
    together: list[Topic] = []
    for each in topics:
        if together and len(_request(op, [*together, each]).encode()) > FRAME_BYTES_MAX:
            frames.append(_request(op, together))
            together = []
        together.append(each)
    if together:
        frames.append(_request(op, together))
    return tuple(frames)


def _request(op: str, topics: Iterable[Topic]) -> str:
    return msgspec.json.encode({"op": op, "args": [dict(each.fields) for each in topics]}).decode()


def _event(row: Row) -> Frame:
    match row.get("event"):
        case "login":
            code = _code(row)
            return LoggedIn() if code == _LOGIN_TAKEN else Refused(code=code, text=_text(row), topic=None)
        case "error":
            return Refused(code=_code(row), text=_text(row), topic=_topic(row.get("arg")))
        case "subscribe" | "unsubscribe" as event:
            about = _topic(row.get("arg"))
            if about is None:
                raise PayloadError(
                    where=f"frame {event}", found=shown(row.get("arg")), expected="the topic it is about"
                )
            return Acknowledged(topic=about, subscribed=event == "subscribe")
        case other:
            return Noise(event=shown(other))


def _topic(arg: object) -> Topic | None:
    if not isinstance(arg, Mapping) or not arg:
        return None
    return Topic(tuple((str(name), str(value)) for name, value in arg.items()))


def _code(row: Row) -> str:
    """A number on the live venue, a text in its documentation (19.6)."""
    value = row.get("code")
    return str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""


def _text(row: Row) -> str:
    value = row.get("msg")
    return value if isinstance(value, str) else ""
