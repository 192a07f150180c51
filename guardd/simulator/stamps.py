"""When what passed the venue's door, on the machine's monotonic clock: the other side of a guard's reaction time."""

from collections import deque

from msgspec import Struct

_KEPT = 200_000


class RequestStamp(Struct, frozen=True, kw_only=True):
    """`mono_ns`: the request's last byte was readable. `sequence` counts requests from 1."""

    sequence: int
    mono_ns: int
    method: str
    path: str
    uid: str
    body: str
    status: int  # 0: swallowed
    answer: str = ""
    """What a refusal said."""


class TickerStamp(Struct, frozen=True, kw_only=True):
    """`mono_ns`: just before the frame was handed to the socket."""

    sequence: int
    mono_ns: int
    symbol: str
    mark: str


class Stamps:
    """The newest of both kinds; older ones fall off."""

    def __init__(self) -> None:
        self.requests: deque[RequestStamp] = deque(maxlen=_KEPT)
        self.tickers: deque[TickerStamp] = deque(maxlen=_KEPT)
        self._requests = 0
        self._tickers = 0

    def note_request(
        self, mono_ns: int, method: str, path: str, uid: str, body: str, status: int, answer: bytes
    ) -> None:
        self._requests += 1
        self.requests.append(
            RequestStamp(
                sequence=self._requests,
                mono_ns=mono_ns,
                method=method,
                path=path,
                uid=uid,
                body=body,
                status=status,
                answer=answer.decode(errors="replace") if status >= 400 else "",
            )
        )

    def note_ticker(self, mono_ns: int, symbol: str, mark: str) -> None:
        self._tickers += 1
        self.tickers.append(TickerStamp(sequence=self._tickers, mono_ns=mono_ns, symbol=symbol, mark=mark))

    def clear(self) -> None:
        self.requests.clear()
        self.tickers.clear()
