"""The real wire with a tap on it: every request is counted, and an answer may be spoilt on its way back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from guardd.venues.wire import Ambiguous, Socket, Unconnected, Wire, WireAnswer, WireReply, WireRequest
from tests.changed import replace


class Spoilt(StrEnum):
    """What can become of an answer's bytes between the venue and us."""

    EMPTY = "empty"
    TRUNCATED = "truncated"
    GARBAGE = "garbage"
    WRONG_SHAPE = "wrong_shape"
    NULL = "null"
    LOST = "lost"


def spoil(reply: WireReply, how: Spoilt) -> WireAnswer:
    match how:
        case Spoilt.EMPTY:
            return replace(reply, body=b"")
        case Spoilt.TRUNCATED:
            return replace(reply, body=reply.body[: len(reply.body) * 2 // 3])
        case Spoilt.GARBAGE:
            return replace(reply, body=b"\x00\xff\xfe<not json>")
        case Spoilt.WRONG_SHAPE:
            return replace(reply, body=b"[[]]")
        case Spoilt.NULL:
            return replace(reply, body=b"null")
        case Spoilt.LOST:
            return Ambiguous(why="the connection was reset after the request had been sent")


@dataclass(slots=True)
class Tap:
    """Wraps `wire`. `spoils` maps globs of paths to what becomes of their answers."""

    wire: Wire
    requests: list[tuple[str, str]] = field(default_factory=list)
    """(method, path) of every request, in order."""
    spoils: dict[str, Spoilt] = field(default_factory=dict)

    def spoil(self, paths: Sequence[str], how: Spoilt) -> None:
        self.spoils = dict.fromkeys(paths, how)

    def sent_to(self, paths: Sequence[str]) -> int:
        """How many requests went to one of these paths."""
        return sum(any(fnmatchcase(path, each) for each in paths) for _, path in self.requests)

    async def http(self, request: WireRequest, deadline_s: float) -> WireAnswer:
        path = urlsplit(request.url).path
        self.requests.append((request.method, path))
        answer = await self.wire.http(request, deadline_s)
        how = next((how for glob, how in self.spoils.items() if fnmatchcase(path, glob)), None)
        return spoil(answer, how) if how is not None and isinstance(answer, WireReply) else answer

    async def connect(self, url: str, headers: Mapping[str, str], deadline_s: float) -> Socket | Unconnected:
        return await self.wire.connect(url, headers, deadline_s)

    async def close(self) -> None:
        await self.wire.close()
