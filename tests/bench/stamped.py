"""When an order's last byte was readable, by the kernel's own stamp: however busy the exchange was, before any handling.

`asyncio` reads a connection with `recv`; here that is a `recvmsg` which also takes the time at which the network stack had the
bytes (SO_TIMESTAMPNS). It is a wall-clock reading, brought to the monotonic clock by the difference of the two at that moment.
"""

import re
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

SO_TIMESTAMPNS: Final = 35
_STAMP: Final = struct.Struct("qq")
_ANCILLARY: Final = socket.CMSG_SPACE(_STAMP.size)
_ORDER: Final = re.compile(rb"^POST (\S+/place-order) ")
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.I)
_SYMBOL: Final = re.compile(rb'"symbol": *"([A-Z0-9]+)"')
_END: Final = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Arrival:
    """One order, whole: `mono_ns` is when its last byte was readable."""

    symbol: str
    mono_ns: int


Heard = Callable[[Arrival], None]


class StampedListener(socket.socket):
    """A listening socket whose connections tell `heard` of every order."""

    def __init__(self, heard: Heard) -> None:
        super().__init__(socket.AF_INET, socket.SOCK_STREAM)
        self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._heard = heard

    def accept(self) -> tuple[socket.socket, Any]:
        plain, address = super().accept()
        return _Connection(plain, self._heard), address


class _Connection(socket.socket):
    def __init__(self, plain: socket.socket, heard: Heard) -> None:
        super().__init__(plain.family, plain.type, plain.proto, fileno=plain.detach())
        self.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._heard = heard
        self._begun = b""

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        data, ancillary, _, _ = self.recvmsg(bufsize, _ANCILLARY, flags)
        if self._begun or data.startswith(b"POST "):
            self._listen(data, ancillary)
        return data

    def _listen(self, data: bytes, ancillary: list[tuple[int, int, bytes]]) -> None:
        self._begun += data
        head, end, body = self._begun.partition(_END)
        if not end:
            return
        length = _LENGTH.search(head)
        if length is not None and len(body) < int(length[1]):
            return
        whole, self._begun = self._begun, b""
        symbol = _SYMBOL.search(whole, len(head)) if _ORDER.match(head) else None
        if symbol is not None:
            self._heard(Arrival(symbol[1].decode(), _readable_ns(ancillary)))


def _readable_ns(ancillary: list[tuple[int, int, bytes]]) -> int:
    wall_ns, mono_ns = time.time_ns(), time.monotonic_ns()
    for level, kind, stamp in ancillary:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = _STAMP.unpack(stamp[: _STAMP.size])
            return int(mono_ns - (wall_ns - seconds * 1_000_000_000 - nanoseconds))
    return mono_ns
